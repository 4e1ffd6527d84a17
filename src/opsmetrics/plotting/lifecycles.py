"""Pictures of the life cycle: states by period, stages, how customers return, and A-I-P-L."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from opsmetrics import _output
from opsmetrics.lifecycles.aipls import AIPL
from opsmetrics.lifecycles.flows import AIPLFlow
from opsmetrics.lifecycles.growth import Lifecycle, LifecycleBreakdown
from opsmetrics.lifecycles.models import FittedStages
from opsmetrics.lifecycles.staged import Staged, StageHistory, StageKPIs
from opsmetrics.plotting import series
from opsmetrics.plotting.canvas import (
    BLUE,
    COLOURS,
    GREY,
    INK,
    MARKS,
    ORANGE,
    Floats,
    count_axis,
    draw,
    exact,
    finish,
    new_axes,
    numbers,
    per_cent,
    read,
    share_axis,
    whiskers,
    wrapped,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREEN, SKY, RED = COLOURS[2], COLOURS[4], COLOURS[5]
_STATES = {"retained": BLUE, "resurrected": SKY, "new": GREEN, "churned": RED}
_OUT = {"moved_up": GREEN, "stayed": BLUE, "moved_down": ORANGE, "lost": GREY}

_WRITTEN = 14
"""Up to so many stacked bars have room for their shares."""

_DATES = 8
"""About so many dates are written below an axis."""

_HATCHES = ("", "////", "....", "xxxx")
"""Tell stages apart that have the same colour."""


# -------------------------------------------------------------------------------------------------------- states by period


@draw.register(Lifecycle)
def _states(result: Lifecycle[Any], ax: Axes | None) -> Axes:
    """Active customers of each period above zero, by where they come from; below zero those who were active before and are gone."""
    table, period = read(result), str(result.params["period"])
    days, complete, truncated = series.days_of(table["period"]), series.flags(table["complete"]), series.flags(table["truncated"])
    sides = series.edges(days, period)
    ax = new_axes(ax, 9.0, 4.6)
    heights = {name: (numbers(table[name]) * (-1 if name == "churned" else 1), colour) for name, colour in _STATES.items()}
    drawn = series.stack(ax, days, sides, heights, wide=0.82 * series.length(period))
    above = series.legend(ax, list(_STATES))  # with the colours that bars have before they are made pale
    series.pale(ax, drawn, ~complete, sides)
    series.shade(ax, truncated, sides)
    ax.axhline(0, color=INK, linewidth=0.9)
    series.calendar(ax, days, period)
    _signless(ax)
    ax.set_xlabel(_by(period))
    ax.set_ylabel("customers (below zero: churned)")
    return finish(ax, _headline(table, period) + _doubts(result), grid="y", above=above)


def _headline(table: dict[str, list[Any]], period: str) -> str:
    """What the last period that is over says."""
    over = [row for row, complete in enumerate(table["complete"]) if complete]
    if not over:
        return f"Customers by {series.one(period)}, none of which is over"
    told = {name: column[over[-1]] for name, column in table.items()}
    rate, low, high = numbers([told[name] for name in ("retention_rate", "retention_rate_low", "retention_rate_high")])
    kept = "" if np.isnan(rate) else f", retention {exact(rate)}{series.interval(low, high)}"
    more = f"{told['net_growth']:+,} on the {series.one(period)} before" if over[-1] else "the first"
    return f"{series.name_of(str(told['period']), period)}: {told['active']:,} active customers ({more}){kept}"


def _doubts(result: Lifecycle[Any] | LifecycleBreakdown[Any]) -> str:
    """What is known of fewer periods than are drawn."""
    drawn = "Pale" if isinstance(result, Lifecycle) else "Dashed"
    notes = [f"{drawn}: not over by {result.params['as_of']}"] if result.params["incomplete"] else []
    notes += ["Grey ground: too early to know who is new"] if result.params["truncated"] else []
    return "\n" + ". ".join(notes) if notes else ""


def _signless(ax: Axes) -> None:
    """Counts, also where they hang below zero."""
    count_axis(ax.yaxis)
    ax.yaxis.set_major_formatter(lambda count, _: f"{abs(count):,.0f}")


def _by(period: str) -> str:
    return period if series.one(period) == period else f"{series.one(period)}, by their first"


@draw.register(LifecycleBreakdown)
def _actives(result: LifecycleBreakdown[Any], ax: Axes | None) -> Axes:
    """Active customers of each value, period by period."""
    by, period = str(result.params["column"]), str(result.params["period"])
    table, groups = _largest(result)
    shown = min(groups, series.VALUES)
    size = len(table["period"]) // shown
    days = series.days_of(table["period"][:size])
    complete, truncated = (series.flags(table[name][:size]) for name in ("complete", "truncated"))
    ax = new_axes(ax, 9.0, 4.6)
    actives, names = numbers(table["active"]), [series.said(value) for value in table[by][::size]][:shown]
    for place, name in enumerate(names):
        series.line(ax, days, actives[place * size :][:size], complete, colour=COLOURS[place], mark=MARKS[place], label=name)
    series.shade(ax, truncated, series.edges(days, period))
    series.calendar(ax, days, period)
    count_axis(ax.yaxis)
    ax.set_ylim(0, 1.06 * float(actives[: shown * size].max()) or 1.0)
    ax.set_xlabel(_by(period))
    ax.set_ylabel("active customers")
    title = f"Active customers by {series.one(period)} and {by}{series.largest(groups, by)}{_doubts(result)}"
    return finish(ax, title, grid="y", above=series.legend(ax, names))


def _largest(result: LifecycleBreakdown[Any]) -> tuple[dict[str, list[Any]], int]:
    """The rows of the values that are drawn, which come first, and how many values there are; each has a row for every period."""
    native = result._tables["table"]
    every = _output.height(native)
    for rows in itertools.accumulate(itertools.repeat(2), operator.mul, initial=512):
        names, head = _output.head(native, rows)
        periods = [row[names.index("period")] for row in head]
        size = next((place for place in range(1, len(periods)) if periods[place] == periods[0]), every if rows >= every else 0)
        if size:
            break
    kept = series.VALUES * size
    names, head = _output.head(native, kept) if kept > len(head) else (names, head[:kept])
    return {name: [row[place] for row in head] for place, name in enumerate(names)}, every // size


# ------------------------------------------------------------------------------------------------------------------ stages


@draw.register(Staged)
def _stages(result: Staged[Any], ax: Axes | None) -> Axes:
    """Bars of the customers in each stage, with their share."""
    table = read(result, "stages")
    as_of = result.params.get("as_of")
    title = f"{sum(table['customers']):,} customers by stage{'' if as_of is None else f', as of {as_of}'}"
    return _bars(ax, table, title)


@draw.register(AIPL)
def _aipl(result: AIPL[Any], ax: Axes | None) -> Axes:
    """Bars of the customers in each stage, from awareness to loyalty."""
    table, window = read(result), result.params["window"]
    span = "" if window is None else f", last {window:,} days"
    return _bars(ax, table, f"A-I-P-L: {sum(table['customers']):,} customers by their highest stage{span}, up to {result.params['as_of']}")


def _bars(ax: Axes | None, table: dict[str, list[Any]], title: str) -> Axes:
    customers, shares = numbers(table["customers"]), numbers(table["customer_share"])
    place = np.arange(len(customers))
    ax = new_axes(ax, 8.0, 1.3 + 0.42 * max(len(place), 3))
    bars = ax.barh(place, customers, height=0.7, color=BLUE)
    words = [f"{count:,.0f}" + ("" if np.isnan(share) else f"  {share:.1%}") for count, share in zip(customers, shares, strict=True)]
    ax.bar_label(bars, words, padding=4, fontsize=9, color=INK)
    ax.set_yticks(place, [wrapped(stage) for stage in table["stage"]])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.22 * float(customers.max()) or 1.0)
    count_axis(ax.xaxis)
    ax.set_xlabel("customers, and their share of all")
    return finish(ax, title, grid="x")


@draw.register(StageKPIs)
def _kpis(result: StageKPIs[Any], ax: Axes | None) -> Axes:
    """Dots with intervals: a line for each stage (and group in it), a colour and a mark for each rate."""
    table, by = read(result), result.params["by"]
    size = len(dict.fromkeys(table["kpi"]))
    kpis = list(dict.fromkeys(table["kpi"]))[: series.VALUES]
    lines = range(0, len(table["kpi"]), size)
    kept, values = (lines, 0) if by is None else _large(table[str(by)], table["customers"], lines)
    ax = new_axes(ax, 8.5, 1.7 + len(kept) * max(0.17 * len(kpis) + 0.12, 0.36))
    shift = (np.arange(len(kpis)) - (len(kpis) - 1) / 2) * 0.7 / len(kpis)
    for number, (kpi, up) in enumerate(zip(kpis, shift, strict=True)):
        middle, low, high = (numbers([table[name][row + number] for row in kept]) for name in ("rate", "rate_low", "rate_high"))
        ax.errorbar(
            middle, np.arange(len(kept)) + up, xerr=whiskers(middle, low, high), fmt=MARKS[number], color=COLOURS[number], markersize=5.5,
            capsize=2, elinewidth=1.2, label=series.labelled(str(kpi)),
        )  # fmt: skip
    for place in range(1, len(kept)):
        other = by is None or table["stage"][kept[place]] != table["stage"][kept[place - 1]]
        ax.axhline(place - 0.5, color=GREY if other and by is not None else "#e3e6ea", linewidth=0.8, zorder=0)
    groups = [f"{table['stage'][row]}" if by is None else f"{table['stage'][row]}, {series.said(table[str(by)][row])}" for row in kept]
    ax.set_yticks(range(len(kept)), [f"{wrapped(name, 30)}  {table['customers'][row]:,}" for name, row in zip(groups, kept, strict=True)])
    ax.set_ylim(len(kept) - 0.5, -0.5)
    ax.set_xlim(left=0)
    share_axis(ax.xaxis)
    ax.set_xlabel("share of the customers of the line (their number beside its name)")
    title = f"What customers did, by stage{'' if by is None else f' and {by}'}{_between(result)}"
    title += "" if by is None else series.largest(values, str(by))
    title += f", the first {series.VALUES} of {size} rates" if size > series.VALUES else ""
    return finish(ax, title, grid="x", above=series.legend(ax, [str(kpi) for kpi in kpis]))


def _large(values: Sequence[Any], customers: Sequence[int], lines: Sequence[int]) -> tuple[list[int], int]:
    """The lines of the values with most customers, and how many values there are."""
    total: dict[Any, int] = {}
    for row in lines:
        total[values[row]] = total.get(values[row], 0) + customers[row]
    chosen = set(sorted(total, key=lambda value: -total[value])[: series.VALUES])
    return [row for row in lines if values[row] in chosen], len(total)


def _between(result: StageKPIs[Any]) -> str:
    match result.params["between"]:
        case [None, str(end)]:
            return f", up to {end}"
        case [str(start), None]:
            return f", from {start}"
        case [str(start), str(end)]:
            return f", {start} to {end}"
    return ""


@draw.register(StageHistory)
def _history(result: StageHistory[Any], ax: Axes | None) -> Axes:
    """The share of customers in each stage at each date, stacked to 100%."""
    table = read(result, "counts")
    stages, dates = list(dict.fromkeys(table["stage"])), list(dict.fromkeys(table["as_of"]))
    shares, counts = (numbers(table[name]).reshape(len(dates), len(stages)) for name in ("customer_share", "customers"))
    place, totals = np.arange(len(dates)), counts.sum(axis=1)
    ax = new_axes(ax, 9.0, 4.8)
    layers = {name: (shares[:, at], COLOURS[at % len(COLOURS)]) for at, name in enumerate(stages)}
    drawn = series.stack(ax, place, np.arange(len(dates) + 1) - 0.5, layers, wide=0.82)
    for at, shapes in enumerate(drawn):
        for shape in shapes:
            shape.set(hatch=_HATCHES[at // len(COLOURS) % len(_HATCHES)])
    if len(dates) <= _WRITTEN:
        for at in range(len(stages)):
            _inside(ax, place, shares[:, at], shares[:, :at].sum(axis=1), COLOURS[at % len(COLOURS)])
    step = -(-len(dates) // _DATES)
    ax.set_xticks(place[::step], [f"{date}\n{total:,.0f}" for date, total in zip(dates[::step], totals[::step], strict=True)], fontsize=9)
    ax.set_xlim(-0.6, len(dates) - 0.4)
    ax.set_ylim(0, 1)
    share_axis(ax.yaxis)
    ax.set_xlabel("date, and customers by then")
    ax.set_ylabel("share of customers")
    title = f"Customers by stage at {len(dates)} date{'' if len(dates) == 1 else 's'}: {totals[-1]:,.0f} by {dates[-1]}"
    return finish(ax, title, above=series.legend(ax, stages))


def _inside(ax: Axes, place: Any, shares: Floats, base: Floats, colour: str, *, across: bool = False) -> None:
    """Shares written in the middle of their piece of a bar, where it is long enough."""
    for at, share, below in zip(place, shares, base, strict=True):
        if share >= 0.05:
            x, y = (below + share / 2, at) if across else (at, below + share / 2)
            ax.text(x, y, per_cent(share), ha="center", va="center", fontsize=8.5, color=series.ink_on(colour))


# ------------------------------------------------------------------------------------------------------- fitted to returns


@draw.register(FittedStages)
def _returning(result: FittedStages[Any], ax: Axes | None) -> Axes:
    """The chance to return by days of silence, for each band of orders, and where it falls below the two levels."""
    curves, table, params = read(result, "curves"), read(result), result.params
    days, middle, low, high = (
        numbers(curves[name]) for name in ("recency", "return_probability", "return_probability_low", "return_probability_high")
    )
    bands = np.array(curves["orders"], dtype=object)
    ax = new_axes(ax, 9.0, 4.8)
    names = []
    for place, (stage, orders) in enumerate(zip(table["stage"], table["orders"], strict=True)):
        own = bands == orders
        limits = [None if np.isnan(limit) else int(limit) for limit in numbers([table[f"{name}_after"][place] for name in _LEVELS])]
        names.append(f"{stage} ({orders} order{'' if orders == '1' else 's'}): {_told(limits, known=bool(own.any()))}")
        ax.fill_between(days[own], low[own], high[own], color=COLOURS[place], alpha=0.18, linewidth=0)
        ax.plot(days[own], middle[own], color=COLOURS[place], linewidth=1.6, label=series.labelled(names[-1]))
        for limit, fill in zip(limits, (COLOURS[place], "white"), strict=True):
            if limit is not None:
                ax.plot(
                    limit, middle[own][days[own] == limit], MARKS[place], color=COLOURS[place], markerfacecolor=fill, markersize=7, zorder=5
                )
    for name in _LEVELS:
        level = float(str(params[f"p_{name}"]))
        ax.axhline(level, color=INK, linewidth=0.9, linestyle="--")
        ax.annotate(
            f"{name}: below {100 * level:.6g}%", (1, level), xycoords=("axes fraction", "data"), xytext=(-3, 3), textcoords="offset points",
            ha="right", va="bottom", fontsize=8.5, color=INK,
        )  # fmt: skip
    ax.set_xlim(0, 1.22 * float(days.max(initial=0.0)) or 1.0)  # with room for the names of the levels beside the lines
    ax.set_ylim(0, 1)
    share_axis(ax.yaxis)
    ax.set_xlabel("days of silence since the last purchase")
    ax.set_ylabel(f"return within {params['horizon']} days")
    title = f"How likely customers are to return within {params['horizon']} days, by orders so far, as of {params['as_of']}"
    title += "\nMarks: dormant (full) and churned (hollow) from here on. Lines end where the history is too short to judge"
    return finish(ax, title, grid="y", above=series.legend(ax, names, 60))


_LEVELS = ("dormant", "churned")


def _told(limits: Sequence[int | None], *, known: bool) -> str:
    """The limits of a band in words."""
    if not known:
        return "too few to judge"
    spoken = [f"{name} from {limit:,} days" for name, limit in zip(_LEVELS, limits, strict=True) if limit is not None]
    unknown = [name for name, limit in zip(_LEVELS, limits, strict=True) if limit is None]
    return ", ".join([*spoken, *([f"{' and '.join(unknown)} not known"] if unknown else [])])


# ------------------------------------------------------------------------------------------------------------ A-I-P-L flow


@draw.register(AIPLFlow)
def _flow(result: AIPLFlow[Any], ax: Axes | None) -> Axes:
    """What became of those who were in each stage, as shares of them."""
    table, params = read(result), result.params
    start, place = numbers(table["start"]), np.arange(len(table["stage"]))
    base = np.zeros(len(place))
    ax = new_axes(ax, 8.5, 1.7 + 0.48 * len(place))
    for name, colour in _OUT.items():
        shares = np.nan_to_num(numbers(table[f"{name}_rate"]))
        ax.barh(place, shares, left=base, height=0.72, color=colour, label=name.replace("_", " "))
        _inside(ax, place, shares, base, colour, across=True)
        base += shares
    for at in np.flatnonzero(start == 0).tolist():
        ax.text(0.01, at, "nobody", va="center", fontsize=9, color=GREY)
    ax.set_yticks(place, [f"{stage}  {count:,.0f}" for stage, count in zip(table["stage"], start, strict=True)])
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    share_axis(ax.xaxis)
    ax.set_xlabel(f"share of those in the stage at {params['before']} (their number beside its name)")
    title = f"A-I-P-L from {params['before']} to {params['after']}: {params['lost']:,} of {start.sum():,.0f} lost, {params['new']:,} new"
    return finish(ax, title, above=series.legend(ax, list(_OUT)))
