"""Pictures of a funnel and of the answers to questions about it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from opsmetrics.funnels.answers import ConversionCurve, FunnelBreakdown, FunnelComparison, NextEvents, StepTimes
from opsmetrics.funnels.results import Funnel
from opsmetrics.plotting.canvas import (
    BLUE,
    COLOURS,
    GREY,
    INK,
    LIGHT,
    MARKS,
    ORANGE,
    Floats,
    draw,
    exact,
    finish,
    legend_above,
    new_axes,
    numbers,
    read,
    share_axis,
    span,
    whiskers,
    wrapped,
)  # fmt: skip
from opsmetrics.plotting.series import said

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_VALUES = len(COLOURS)
"""So many values of a column are drawn."""

_EVENTS = 15
"""So many next events are drawn."""

NOTHING = "(nothing)"
"""What came next where nothing did; the last row."""

_EDGES = 16
"""Up to so many edges of a histogram have room for their names."""

_POINTS = 2_000
"""So many points of a curve are drawn; no screen shows more."""

_UNITS = ((2 * 86_400, 86_400, "days"), (2 * 3_600, 3_600, "hours"), (2 * 60, 60, "minutes"), (0, 1, "seconds"))
"""From so many seconds on, the seconds of a unit and its name."""

_NEXT = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}
"""The days after which the next period has begun, at the latest."""


@draw.register(Funnel)
def _steps(result: Funnel[Any], ax: Axes | None) -> Axes:
    """Bars of the conversion to each step, with those lost since the step before in a lighter colour."""
    table = read(result)
    counted, hold = list(table)[1], result.params.get("hold")
    people = f"pairs of customer and {', '.join(map(str, hold))}" if isinstance(hold, list) and counted == "customers" else counted
    conversion, low, high, step = (numbers(table[name]) for name in ("conversion", "conversion_low", "conversion_high", "step_conversion"))
    counts, dropped = numbers(table[counted]), numbers(table["dropped"])
    known, size = np.nan_to_num(conversion), len(counts)
    lost = dropped / max(counts[0], 1.0)
    place = np.arange(size)
    ax = new_axes(ax, 8.0, 1.4 + 0.55 * max(size, 3))
    ax.barh(place, known, height=0.7, color=BLUE)
    ax.barh(place, lost, left=known, height=0.7, color=LIGHT)
    if counts[0]:
        ax.errorbar(known[1:], place[1:], xerr=whiskers(known, low, high)[:, 1:], fmt="none", ecolor=INK, elinewidth=1.1, capsize=3)
    else:
        high = known
    for at in range(size):
        optional = dropped[at] == 0 and step[at] < 1
        share = "" if at == 0 or np.isnan(step[at]) else f"\n{exact(step[at])} of step before{' (optional)' if optional else ''}"
        words = f"{counts[at]:,.0f}{f'  {exact(conversion[at])}' if counts[0] else ''}{share}"
        ax.text(max(known[at] + lost[at], high[at]) + 0.02, at, words, va="center", fontsize=8, linespacing=1.3, color=INK)
    ax.set_yticks(place, [wrapped(label) for label in table["step"]])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.38)
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    ax.set_xlabel(f"share of the {people} who enter")
    end = f"{exact(conversion[-1])}{_ci(low[-1], high[-1])} come to the end{_within(result)}" if counts[0] else "nobody enters"
    waiting = result.params.get("immature")
    legend = f"Light: lost since the step before{f'; {waiting:,} may still convert' if waiting else ''}"
    return finish(ax, f"{counts[0]:,.0f} {people}: {end}\n{legend}", grid="x")


# ----------------------------------------------------------------------------------------------------- values of a column


@dataclass(frozen=True, slots=True)
class _Group:
    """One value of a column: its name, and a rate with its interval at each step."""

    name: str
    middle: Floats
    low: Floats
    high: Floats
    full: npt.NDArray[np.bool_]


@draw.register(FunnelBreakdown)
def _breakdown(result: FunnelBreakdown[Any], ax: Axes | None) -> Axes:
    """Over periods a line of the last step's conversion; for values of a column, dots for each step and value."""
    table = read(result)
    return _trend(result, table, ax) if "immature" in table else _values(result, table, ax)


def _values(result: FunnelBreakdown[Any], table: dict[str, list[Any]], ax: Axes | None) -> Axes:
    """The conversion to each step after the first, which is 100% for everybody, with its interval."""
    by, counted, steps = *(list(table)[i] for i in (0, 2)), list(result._labels)
    size = len(steps)
    lines = {name: numbers(table[name]).reshape(-1, size) for name in (counted, "conversion", "conversion_low", "conversion_high")}
    groups = [
        _Group(f"{said(value)} ({enter[0]:,.0f})", middle[1:], low[1:], high[1:], np.ones(size - 1, dtype=np.bool_))
        for value, enter, middle, low, high in zip(table[by][::size], *lines.values(), strict=True)
    ]
    ax = _dots(ax, groups, steps[1:])
    ax.set_xlim(left=0)
    share_axis(ax.xaxis)
    ax.set_xlabel(f"share of those who enter at {steps[0]} (their number in brackets)")
    return finish(ax, f"Conversion by {by}{_within(result)}{_rest(groups, by)}", grid="x", above=_room(groups))


@draw.register(FunnelComparison)
def _differences(result: FunnelComparison[Any], ax: Axes | None) -> Axes:
    """The difference of each value to the baseline, at each step, with its interval."""
    table = read(result)
    by, steps = next(iter(table)), list(dict.fromkeys(table["step"]))
    size = len(steps)
    columns = ("base", "difference", "difference_low", "difference_high", "p_adjusted")
    lines = {name: numbers(table[name]).reshape(-1, size) for name in columns}
    confidence = result.params["confidence"]
    level = 1 - confidence if isinstance(confidence, float) else 0.05
    entries = result.params["denominator"] == "entries"
    groups = [
        _Group(f"{said(value)} ({base[0]:,.0f})", middle, low, high, adjusted < level)
        for value, base, middle, low, high, adjusted in zip(table[by][::size], *lines.values(), strict=True)
    ]
    ax = _dots(ax, groups, steps)
    ax.axvline(0, color=GREY, linewidth=1.2, zorder=1)
    share_axis(ax.xaxis)
    ax.xaxis.set_major_formatter(lambda share, _: "0" if abs(share) < 1e-12 else f"{100 * share:+.6g}")
    of = "those who enter" if entries else "those at the step before"
    ax.set_xlabel(f"percentage points more or less than {result.params['baseline']}, in the share of {of}")
    legend = f"\nHollow: p-value not below {level:.2g}, adjusted for all {len(groups) * size} comparisons"
    return finish(ax, f"{by} against {result.params['baseline']}{_rest(groups, by)}{legend}", grid="x", above=_room(groups))


def _dots(ax: Axes | None, groups: Sequence[_Group], steps: Sequence[str]) -> Axes:
    """Dots with intervals: the steps downwards, and within a step the values in their order; hollow where a dot is not `full`."""
    drawn = groups[:_VALUES]
    ax = new_axes(ax, 8.0, 1.6 + len(steps) * max(0.2 * len(drawn) + 0.15, 0.5))
    shift = (np.arange(len(drawn)) - (len(drawn) - 1) / 2) * 0.8 / max(len(drawn), 1)
    for group, up, colour, mark in zip(drawn, shift, COLOURS, MARKS, strict=False):
        place = np.arange(len(steps)) + up
        ax.errorbar(
            group.middle, place, xerr=whiskers(group.middle, group.low, group.high), fmt=mark, color=colour, markersize=5.5, capsize=2,
            elinewidth=1.2, label=group.name,
        )  # fmt: skip
        hollow = ~group.full
        ax.plot(group.middle[hollow], place[hollow], mark, color=colour, markersize=5.5, markerfacecolor="white", zorder=5)
    for line in range(len(steps) - 1):
        ax.axhline(line + 0.5, color="#e3e6ea", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(steps)), [wrapped(label) for label in steps])
    ax.set_ylim(len(steps) - 0.5, -0.5)
    if drawn:
        legend_above(ax, _columns(drawn))
    return ax


def _columns(groups: Sequence[_Group]) -> int:
    """As many columns of a legend as find room beside each other."""
    return int(np.clip(80 // (max(len(group.name) for group in groups[:_VALUES]) + 5), 1, 5)) if groups else 1


def _room(groups: Sequence[_Group]) -> float:
    """The points that the legend takes above the axes."""
    return 8 + 14 * -(-min(len(groups), _VALUES) // _columns(groups))


def _rest(groups: Sequence[_Group], by: str) -> str:
    return f", the {_VALUES} largest of {len(groups):,} values of {by}" if len(groups) > _VALUES else ""


# ------------------------------------------------------------------------------------------------------------- periods


def _trend(result: FunnelBreakdown[Any], table: dict[str, list[Any]], ax: Axes | None) -> Axes:
    """The conversion to the last step by period of entry; broken where nobody entered, hollow and dashed where it may still rise."""
    size, period = len(result._labels), str(result.params["period"])
    days = np.array([str(day)[:10] for day in table["period"][size - 1 :: size]], dtype="datetime64[D]")
    middle, low, high, young = (
        numbers(table[name][size - 1 :: size]) for name in ("conversion", "conversion_low", "conversion_high", "immature")
    )
    ripe = young == 0
    ax = new_axes(ax, 8.0, 4.0)
    for run in np.split(np.arange(len(days)), np.flatnonzero(np.diff(days).astype(np.int64) > _NEXT[period]) + 1):
        if len(run) == 1:
            ax.errorbar(
                days[run], middle[run], yerr=whiskers(middle, low, high)[:, run], fmt="none", ecolor=BLUE, elinewidth=1.0, alpha=0.5
            )
        else:
            ax.fill_between(days[run], low[run], high[run], color=BLUE, alpha=0.15, linewidth=0)
        for left, right in itertools.pairwise(run):
            ax.plot(days[[left, right]], middle[[left, right]], "-" if ripe[left] and ripe[right] else "--", color=BLUE, linewidth=1.4)
    ax.plot(days[ripe], middle[ripe], "o", color=BLUE, markersize=5)
    ax.plot(days[~ripe], middle[~ripe], "o", color=BLUE, markersize=5, markerfacecolor="white", zorder=5)
    _calendar(ax, days)
    # A period of three entries has an interval up to 60%; the line is to be seen, so such bands run off the top.
    top = min(float(high.max(initial=0.0)), max(1.5 * float(middle.max(initial=0.0)), 2 * float(np.median(high)) if len(high) else 0.0))
    ax.set_ylim(0, 1.05 * top or 1.0)
    share_axis(ax.yaxis)
    ax.set_xlabel(f"{period} of entry at {result._labels[0]}")
    ax.set_ylabel("share of those who enter")
    legend = "" if ripe.all() else "\nHollow, dashed: entries that may still convert"
    legend += "" if "window" in result.params else "\nNo window: earlier entries had more time to convert"
    return finish(ax, f"Conversion to {result._labels[-1]} by {period} of entry{_within(result)}{legend}", grid="y")


def _calendar(ax: Axes, days: npt.NDArray[np.datetime64]) -> None:
    """An axis of dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    if len(days) == 1:
        ax.set_xlim(days[0] - np.timedelta64(3, "D"), days[0] + np.timedelta64(3, "D"))


# ---------------------------------------------------------------------------------------------------------------- times


@draw.register(StepTimes)
def _waits(result: StepTimes[Any], ax: Axes | None) -> Axes:
    """The share of customers in each bin of time, one bar of equal width per bin, with the median and the 90% quantile."""
    bins = {name: numbers(column) for name, column in read(result, "histogram").items()}
    edges = np.append(bins["from_seconds"], bins["to_seconds"][-1:])
    shares = np.nan_to_num(bins["share"])
    size = len(shares)
    ax = new_axes(ax, float(np.clip(1.5 + 0.55 * size, 6.0, 10.0)), 4.0)
    bars = ax.bar(np.arange(size), shares, width=0.94 if size <= 60 else 1.0, align="edge", color=BLUE)
    if size <= _EDGES:
        ax.bar_label(bars, [f"{count:,.0f}" if count else "" for count in bins["customers"]], padding=2, fontsize=8, color=GREY)
    table = {name: numbers(column) for name, column in read(result).items()}
    for level, name, style, colour in ((0.5, "median", "-", ORANGE), (0.9, "90% within", "--", INK)):
        for seconds in table["seconds"][table["quantile"] == level]:
            if edges[0] <= seconds <= edges[-1]:
                ax.axvline(np.interp(seconds, edges, np.arange(size + 1)), color=colour, linestyle=style, label=f"{name} {span(seconds)}")
    shown = np.arange(0, size + 1, -(-(size + 1) // _EDGES))
    ax.set_xticks(shown, [span(edges[i]) for i in shown], rotation=45, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.1, size + 0.1)
    ax.margins(y=0.1)
    share_axis(ax.yaxis)
    uneven = not np.allclose(np.diff(edges), edges[1] - edges[0])
    ax.set_xlabel(f"time from {result.params['from']} to {result.params['to']}{', in bins of unequal length' if uneven else ''}")
    ax.set_ylabel("share of customers")
    if ax.get_legend_handles_labels()[0]:
        legend_above(ax, 2)
    people = int(str(result.params["customers"]))
    outside = people - int(bins["customers"].sum())
    beyond = f", {outside:,} of them outside the bins" if outside else ""
    title = f"From {result.params['from']} to {result.params['to']}: {people:,} who took both{beyond}"
    return finish(ax, title, grid="y", above=24)


@draw.register(ConversionCurve)
def _curve(result: ConversionCurve[Any], ax: Axes | None) -> Axes:
    """The share converted by each time since entry, as steps, with its interval."""
    table = read(result)
    middle, low, high = (numbers([0.0, *table[name]]) for name in ("conversion", "conversion_low", "conversion_high"))
    seconds = numbers([0.0, *table["seconds"]])
    last = float(seconds[-1])
    size, unit = next((size, unit) for least, size, unit in _UNITS if last >= least)
    kept = np.unique(np.linspace(0, len(seconds) - 1, min(len(seconds), _POINTS)).round().astype(np.int64))
    ax = new_axes(ax, 7.0, 4.2)
    ax.fill_between(seconds[kept] / size, low[kept], high[kept], step="post", color=BLUE, alpha=0.18, linewidth=0)
    ax.plot(seconds[kept] / size, middle[kept], drawstyle="steps-post", color=BLUE)
    ax.set_xlim(0, last / size * 1.02 or 1.0)
    ax.set_ylim(0, float(high.max()) * 1.05 or 1.0)
    share_axis(ax.yaxis)
    ax.set_xlabel(f"{unit} since entry")
    ax.set_ylabel("share converted")
    people, converted = (int(str(result.params[name])) for name in ("customers", "converted"))
    reached = f"\nBy {span(last)}: {exact(middle[-1])}{_ci(low[-1], high[-1])}" if converted else ""
    return finish(ax, f"{converted:,} of {people:,} converted{_within(result)}{reached}", grid="y")


@draw.register(NextEvents)
def _instead(result: NextEvents[Any], ax: Axes | None) -> Axes:
    """Bars of what came next, the most frequent first; nothing at all in grey."""
    table = read(result)
    rows = list(range(len(table["event"])))
    few = len(rows) <= _EVENTS or table["event"][-1] != NOTHING
    drawn = rows[:_EVENTS] if few else [*rows[: _EVENTS - 1], rows[-1]]
    shares, low, high, counts = (numbers([table[name][row] for row in drawn]) for name in ("share", "share_low", "share_high", "customers"))
    names = [table["event"][row] for row in drawn]
    place, people = np.arange(len(names)), int(str(result.params["customers"]))
    ax = new_axes(ax, 7.5, 1.4 + 0.34 * max(len(names), 3))
    ax.barh(place, shares, height=0.7, color=[GREY if name == NOTHING else BLUE for name in names])
    ax.errorbar(shares, place, xerr=whiskers(shares, low, high), fmt="none", ecolor=INK, elinewidth=1.0, capsize=2.5)
    for at, share, end, count in zip(place, shares, high, counts, strict=True):
        ax.annotate(f"{count:,.0f}  {share:.1%}", (end, at), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8, color=INK)
    ax.set_yticks(place, [wrapped(name, 24) for name in names])
    ax.invert_yaxis()
    ax.set_xlim(0, (float(high.max()) if len(high) else 1.0) * 1.2)
    share_axis(ax.xaxis)
    ax.set_xlabel(f"share of the {people:,}")
    others = people - int(counts.sum())
    rest = f"\nNot drawn: {len(table['event']) - len(names)} rarer events, of {others:,} in all" if others else ""
    return finish(ax, f"After {result.params['after']}: what {people:,} who went no further did next{rest}", grid="x")


def _within(result: Any) -> str:
    window = result.params.get("window")
    return "" if window is None else f" within {window}"


def _ci(low: float, high: float) -> str:
    return f" [{exact(low)}, {exact(high)}]"
