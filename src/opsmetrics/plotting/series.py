"""What pictures of periods share: their names, an axis of dates, stacks of bars, a rate with its interval, and legends with room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from opsmetrics.plotting.canvas import COLOURS, INK, Floats, exact, legend_above, whiskers

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

Days = npt.NDArray[np.datetime64]
Bools = npt.NDArray[np.bool_]

VALUES = len(COLOURS)
"""So many values of a column are drawn."""

GROUND = "#eceef1"
"""Behind periods of which less is known than it seems."""

_DAYS = {"day": 1.0, "week": 7.0, "month": 30.4, "quarter": 91.3, "year": 365.25}
_LETTERS = 84
"""So many letters have room along an axis of a new picture."""

_BARS = 120
"""Up to so many bars stand apart; more are drawn as one shape."""

POINTS = 80
"""Up to so many points of a line have a mark of their own; where there are more they have dots, which a point that stands alone needs."""


def days_of(values: Sequence[Any]) -> Days:
    """The first days of periods."""
    return np.array([str(value)[:10] for value in values], dtype="datetime64[D]")


def flags(values: Sequence[Any]) -> Bools:
    """A column of booleans."""
    return np.array(values, dtype=np.bool_)


def name_of(day: np.datetime64 | str, period: str) -> str:
    """A period as a reader would write it: 2025-01, 2025 Q1, 2025, or its first day."""
    year, month, date = str(day)[:10].rsplit("-", 2)
    return {"month": f"{year}-{month}", "quarter": f"{year} Q{(int(month) + 2) // 3}", "year": year}.get(period, f"{year}-{month}-{date}")


def one(period: str) -> str:
    """One period: "month", "30 days"."""
    return period if period in _DAYS else f"{length(period):,.0f} days"


def many(period: str) -> str:
    """Periods: "months", "spans of 30 days"."""
    return f"{period}s" if period in _DAYS else f"spans of {one(period)}"


def since(count: int, period: str) -> str:
    """So many periods later: "1 month", "3 months", "60 days"."""
    if period not in _DAYS:
        return f"{count * length(period):,.0f} days"
    return f"{count} {period}{'' if count == 1 else 's'}"


def length(period: str) -> float:
    """About how many days a period has."""
    return _DAYS.get(period) or float(period.removesuffix("D"))


def interval(low: float, high: float) -> str:
    """An interval as the end of what was said of a rate."""
    return "" if np.isnan(low) else f" [{exact(low)}, {exact(high)}]"


def calendar(ax: Axes, days: Days, period: str) -> None:
    """An axis of periods: a name for each where there is room, else dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    names = [name_of(day, period) for day in days]
    ax.set_xlim(*edges(days, period)[[0, -1]])
    if sum(len(name) + 2 for name in names) <= _LETTERS:
        ax.set_xticks(days, names, fontsize=9)
        return
    locator = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def edges(days: Days, period: str) -> Days:
    """Where one period ends and the next begins, each in the middle of its own span, to the second."""
    half = np.timedelta64(round(43_200 * length(period)), "s")
    starts = days.astype("datetime64[s]")
    return np.append(starts - half, starts[-1] + half)


def stack(
    ax: Axes, at: npt.NDArray[Any], sides: npt.NDArray[Any], layers: Mapping[str, tuple[Floats, str]], *, wide: float
) -> list[Sequence[Artist]]:
    """Layers of bars, each a height and a colour, those above zero upwards and those below downwards; one shape each where they are many.

    `at` are the middles of the bars, `sides` their edges, and `wide` the width of a bar in the unit of the axis. Each layer as it was
    drawn is returned: its bars, or its one shape.
    """
    drawn: list[Sequence[Artist]] = []
    up, down = np.zeros(len(at)), np.zeros(len(at))
    for name, (heights, colour) in layers.items():
        base = down if (heights < 0).any() else up
        if len(at) <= _BARS:
            drawn.append(ax.bar(at, heights, bottom=base, width=wide, color=colour, label=labelled(name)).patches)
        else:
            low, high = (np.repeat(values, 2) for values in (base, base + heights))
            drawn.append([ax.fill_between(np.repeat(sides, 2)[1:-1], low, high, color=colour, label=labelled(name), linewidth=0)])
        base += heights
    return drawn


def pale(ax: Axes, drawn: Sequence[Sequence[Artist]], chosen: Bools, sides: Days) -> None:
    """Bars that will still change, hatched and pale; where they are one shape, under a veil."""
    for place in np.flatnonzero(chosen).tolist():
        if len(chosen) <= _BARS:
            for bars in drawn:
                bars[place].set(alpha=0.45, hatch="////", edgecolor="white", linewidth=0)
        else:
            ax.axvspan(sides[place], sides[place + 1], facecolor="white", alpha=0.55, linewidth=0, zorder=3)


def shade(ax: Axes, chosen: Bools, sides: Days) -> None:
    """A grey ground behind the first periods."""
    if chosen.any():
        ax.axvspan(sides[0], sides[np.flatnonzero(chosen)[-1] + 1], color=GROUND, zorder=0, linewidth=0)


def line(ax: Axes, days: Days, heights: Floats, complete: Bools, *, colour: str, mark: str = "o", label: str | None = None) -> None:
    """A line over periods; where it may still change it is dashed, and its marks are hollow."""
    size, name = dots(days), None if label is None else labelled(label)
    ax.plot(days, np.where(complete, heights, np.nan), marker=mark, markersize=size, color=colour, linewidth=1.5, label=name)
    if not complete.all():
        young = ~complete | np.append(~complete[1:], False)  # with the point before, from which the dashes lead
        ax.plot(days, np.where(young, heights, np.nan), "--", color=colour, linewidth=1.5)
        ax.plot(days[~complete], heights[~complete], mark, color=colour, markersize=4.5, markerfacecolor="white", zorder=5)


def band(ax: Axes, at: npt.NDArray[Any], middle: Floats, low: Floats, high: Floats, *, colour: str) -> None:
    """A line with its interval as a band; a point that stands alone has whiskers, for it has no band."""
    known = ~np.isnan(middle)
    alone = known & ~np.append(known[1:], False) & ~np.append(False, known[:-1])
    ax.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
    ax.plot(at, middle, marker="o", markersize=dots(at), color=colour, linewidth=1.5)
    if alone.any():
        ax.errorbar(at[alone], middle[alone], yerr=whiskers(middle, low, high)[:, alone], fmt="none", ecolor=colour, elinewidth=1.2)


def dots(at: npt.NDArray[Any]) -> float:
    """The size of marks."""
    return 4.5 if len(at) <= POINTS else 1.5


def roof(middle: Floats, high: Floats) -> float:
    """The top of an axis of rates: all intervals, but for the widest, which would hide the line."""
    if np.isnan(middle).all():
        return 1.0
    highest = np.where(np.isnan(high), middle, high)
    known = highest[~np.isnan(highest)]
    return 1.05 * min(float(known.max()), max(1.5 * float(np.nanmax(middle)), 2 * float(np.median(known)))) or 1.0


def legend(ax: Axes, names: Sequence[str], letters: int = 90) -> float:
    """A legend above the axes, in as many columns as have room; the points that it takes, as the room above them."""
    if not names:
        return 6.0
    columns = int(np.clip(letters // (max(len(name) for name in names) + 5), 1, 6))
    legend_above(ax, columns)
    return 8 + 14 * -(-len(names) // columns)


def said(value: object) -> str:
    """A value of a column as a name."""
    return "no value" if value is None else str(value)


def labelled(name: str) -> str:
    """A name for the legend, which leaves out those that begin with an underscore."""
    return f" {name}" if name.startswith("_") else name


def largest(count: int, by: str) -> str:
    """What a title says where not all values have room."""
    return f", the {VALUES} largest of {count:,} values of {by}" if count > VALUES else ""


def ink_on(colour: str) -> str:
    """White or ink, whichever can be read on a colour."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    shine = sum(weight * c**2.2 for weight, c in ((0.2126, red), (0.7152, green), (0.0722, blue)))
    return "white" if 1.05 / (shine + 0.05) > (shine + 0.05) / 0.066 else INK
