"""Pictures of cohorts: retention, repeat purchases, stickiness and activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from opsmetrics import _output
from opsmetrics.cohorts.activations import Activation
from opsmetrics.cohorts.habits import Stickiness
from opsmetrics.cohorts.repurchases import NextPeriod, Repurchase
from opsmetrics.cohorts.retentions import Retention
from opsmetrics.plotting import series
from opsmetrics.plotting.canvas import (
    BLUE,
    COLOURS,
    GREY,
    INK,
    MARKS,
    Floats,
    draw,
    exact,
    finish,
    heat,
    new_axes,
    numbers,
    read,
    share_axis,
    whiskers,
    wrapped,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROWS, _WRITTEN = 40, 19
"""Up to so many cohorts and ages have a cell each, and up to so many ages have room for their numbers."""

_ACTIVE = {"bounded": "active at that age", "unbounded": "active at that age or later", "rolling": "active at every age up to it"}
_SUMS = {"orders": "Orders at that age, per order at age 0", "amount": "Money at that age, per unit of money at age 0"}


# --------------------------------------------------------------------------------------------------------------- retention


@draw.register(Retention)
def _retention(result: Retention[Any], ax: Axes | None) -> Axes:
    """Cells of cohort and age where cohorts are periods, and few; else a line for each cohort, or for all of them together."""
    cohorts, ages = (_output.height(result._tables[name]) for name in ("triangle", "average"))
    if result.params["cohort"] != "first":
        return _lines(result, ax, cohorts)
    return _cells(result, ax) if max(cohorts, ages) <= _ROWS else _lines(result, ax, 0)


def _cells(result: Retention[Any], ax: Axes | None) -> Axes:
    """The retention of each cohort (row) at each age (column), under that of all cohorts; blank where it is not known yet."""
    triangle, average, period = read(result, "triangle"), read(result, "average"), str(result.params["period"])
    ages = len(average["age"])
    lines = [numbers(average["retention"]), *np.array([numbers(triangle[str(age)]) for age in range(ages)]).T]
    shares = np.array(lines)
    names = ["all", *(series.name_of(str(first), period) for first in triangle["cohort"])]
    sizes = [sum(triangle["size"]), *triangle["size"]]
    ax = new_axes(ax, float(np.clip(2.2 + 0.55 * ages, 8.0, 12.0)), 1.9 + 0.32 * max(len(names), 4))
    written = ages <= _WRITTEN
    words = np.array([[_cell(share) if written else "" for share in line] for line in shares], dtype=object)
    # Only what lies after age 0, where everybody is, tells cohorts apart; nothing is drawn for zero, so it is made a little more.
    later = shares[1:, 1:][~np.isnan(shares[1:, 1:])]
    top = max(float(np.quantile(later, 0.98, method="higher")) if later.size else 0.0, 0.01)
    image = heat(ax, np.where(shares == 0, 1e-12, shares), words, top=top)
    ax.grid(which="minor", color="white", linewidth=1.0)
    ax.axhline(0.5, color=GREY, linewidth=1.2)
    if not written:
        bar = ax.figure.colorbar(image, ax=ax, label="retention", extend="max")
        share_axis(bar.ax.yaxis)
        ax.set_facecolor(series.GROUND)
    shown = np.arange(0, ages, 1 if written else 2)
    ax.set_xticks(shown, [str(age) for age in shown])
    ax.set_yticks(range(len(names)), [f"{name}  {size:,}" for name, size in zip(names, sizes, strict=True)])
    ax.set_xlabel(f"age: {series.many(period)} since the first")
    ax.set_ylabel(f"first {series.one(period)}, and customers")
    waiting = f"{'Blank' if written else 'Grey'}: not over by {result.params['as_of']}"
    return finish(ax, f"{_headline(result, average)}\n{_meaning(result)}. {waiting}")


def _cell(share: float) -> str:
    """A share in whole per cent, zero included; nothing where it is not known."""
    if np.isnan(share):
        return ""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def _lines(result: Retention[Any], ax: Axes | None, cohorts: int) -> Axes:
    """Retention by age of the largest cohorts, and of all customers with its interval."""
    average, by, period = read(result, "average"), str(result.params["cohort"]), str(result.params["period"])
    columns, rows = _output.head(result._tables["triangle"], series.VALUES if cohorts else 0)
    known = np.flatnonzero(~np.isnan(numbers(average["retention"])))
    drawn = known[1:] if len(known) > 1 else known  # age 0 is 100%, and would flatten the rest
    ages = numbers(average["age"])[drawn]
    ax = new_axes(ax, 9.0, 4.8)
    top, names = 0.0, []
    for place, row in enumerate(rows):
        shares = numbers(row[columns.index("0") :])[drawn]
        names.append(f"{series.said(row[0])} ({row[1]:,})")
        ax.plot(
            ages,
            shares,
            marker=MARKS[place],
            markersize=series.dots(ages),
            color=COLOURS[place],
            linewidth=1.3,
            label=series.labelled(names[-1]),
        )
        top = max(top, float(np.nanmax(shares, initial=0.0)))
    middle = numbers(average["retention"])[drawn]
    low, high = (numbers(average.get(f"retention_{end}", average["retention"]))[drawn] for end in ("low", "high"))
    ax.fill_between(ages, low, high, color=INK if rows else BLUE, alpha=0.15, linewidth=0)
    names += ["all"] if rows else []
    ax.plot(ages, middle, color=INK if rows else BLUE, linewidth=2.2, label="all")
    ax.set_xlim(*((0, float(ages[-1]) * 1.01 or 1.0) if len(ages) else (0, 1)))
    ax.set_ylim(0, max(1.05 * top, series.roof(middle, high)))
    _whole(ax)
    share_axis(ax.yaxis)
    ax.set_xlabel(f"age: {series.many(period)} since the first{' (age 0, where all are, is left out)' if len(known) > 1 else ''}")
    ax.set_ylabel("retention")
    several = series.largest(cohorts, by) if rows else f", {_output.height(result._tables['triangle']):,} cohorts together"
    title = f"{_headline(result, average)}\n{_meaning(result)}{several}"
    return finish(ax, title, grid="y", above=series.legend(ax, names))


def _whole(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _headline(result: Retention[Any], average: dict[str, list[Any]]) -> str:
    """The first age after 0 over all cohorts."""
    by, period = str(result.params["cohort"]), str(result.params["period"])
    what = f"Retention of {result.params['customers']:,} customers{'' if by == 'first' else f' by {by}'}"
    shares = numbers(average["retention"])
    if len(shares) < 2 or np.isnan(shares[1]):
        return f"{what}, too young to know"
    ends = (numbers(average[f"retention_{end}"])[1] for end in ("low", "high")) if "retention_low" in average else (np.nan, np.nan)
    return f"{what}: {exact(shares[1])}{series.interval(*ends)} after {series.since(1, period)}"


def _meaning(result: Retention[Any]) -> str:
    value = str(result.params["value"])
    return _SUMS[value] if value in _SUMS else f"Share of the cohort {_ACTIVE[str(result.params['kind'])]}"


# -------------------------------------------------------------------------------------------------------- repeat purchases


@draw.register(Repurchase)
def _repurchase(result: Repurchase[Any], ax: Axes | None) -> Axes:
    """Dots with intervals, one for each measure, and what they are a share of."""
    table = read(result)
    middle, low, high = (numbers(table[name]) for name in ("rate", "rate_low", "rate_high"))
    place = np.arange(len(middle))
    ax = new_axes(ax, 8.5, 1.4 + 0.42 * max(len(place), 3))
    ax.hlines(place, 0, np.nan_to_num(middle), color=BLUE, alpha=0.3, linewidth=2)
    ax.errorbar(middle, place, xerr=whiskers(middle, low, high), fmt="o", color=BLUE, ecolor=INK, markersize=6, capsize=3, elinewidth=1.1)
    for at, taken, of in zip(place, table["numerator"], table["denominator"], strict=True):
        words = f"{exact(middle[at])}  {taken:,} of {of:,}" if of else "nobody was followed so long"
        end = 0.0 if np.isnan(high[at]) else high[at]
        ax.annotate(words, (end, at), xytext=(8, 0), textcoords="offset points", va="center", fontsize=8.5, color=INK)
    ax.set_yticks(place, [wrapped(name, 30) for name in table["measure"]])
    ax.set_ylim(len(place) - 0.5, -0.5)
    ax.set_xlim(0, 1.42 * max(float(np.nanmax(high, initial=0.0)), 0.1))
    share_axis(ax.xaxis)
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= 1 + 1e-9])
    ax.set_xlabel("share (within: of first-time buyers who were followed so long)")
    window = result.params["window"]
    span = "All history" if window is None else f"Rates: last {window:,} days; within, one-time: all history"
    title = f"Repurchase: {exact(middle[0])}{series.interval(low[0], high[0])} of {table['denominator'][0]:,} buyers bought again"
    return finish(ax, f"{title}\n{span}, up to {result.params['as_of']}", grid="x")


@draw.register(NextPeriod)
def _next(result: NextPeriod[Any], ax: Axes | None) -> Axes:
    """The share of each period's buyers who buy in the next, with its interval."""
    table, period = read(result), str(result.params["period"])
    days = series.days_of(table["period"])
    middle, low, high = (numbers(table[name]) for name in ("rate", "rate_low", "rate_high"))
    waiting = int(np.isnan(numbers(table["returned"])).sum())
    ax = new_axes(ax, 9.0, 4.2)
    series.band(ax, days, middle, low, high, colour=BLUE)
    series.calendar(ax, days, period)
    ax.set_ylim(0, series.roof(middle, high))
    share_axis(ax.yaxis)
    ax.set_xlabel(f"{series.one(period)} of purchase")
    ax.set_ylabel(f"share who buy in the next {series.one(period)} too")
    known = np.flatnonzero(~np.isnan(middle))
    title = f"No {series.one(period)} yet whose next is over"
    if known.size:
        at = known[-1]
        again = f"{exact(middle[at])}{series.interval(low[at], high[at])}"
        title = f"Of {table['buyers'][at]:,} buyers of {series.name_of(days[at], period)}, {again} bought in the next {series.one(period)}"
    last = series.one(period) if waiting == 1 else series.since(waiting, period)
    note = f"\nThe last {last}: the next is not over by {result.params['as_of']}" if waiting and known.size else ""
    return finish(ax, title + note, grid="y")


# --------------------------------------------------------------------------------------------------- stickiness, activation


@draw.register(Stickiness)
def _stickiness(result: Stickiness[Any], ax: Axes | None) -> Axes:
    """The ratio of daily to monthly active customers; dashed where the month is shorter than its window, and the ratio too high."""
    table, window = read(result), int(str(result.params["window"]))
    days, young = series.days_of(table["day"]), series.flags(table["truncated"])
    ratio, daily, monthly = (numbers(table[name]) for name in (f"dau_over_mau_{window}d", "dau", f"mau_{window}d"))
    ax = new_axes(ax, 9.0, 4.2)
    grown = np.where(young, np.nan, ratio)
    ax.plot(days, grown, color=BLUE, linewidth=1.3)
    first = int(young.sum())
    ax.plot(days[: first + 1], ratio[: first + 1], "--", color=GREY, linewidth=1.1)
    series.shade(ax, young, series.edges(days, "day"))
    series.calendar(ax, days, "day")
    ax.set_ylim(0, _height(ratio, grown))
    share_axis(ax.yaxis)
    ax.set_xlabel("day")
    ax.set_ylabel(f"daily / {window}-day active customers")
    known = np.flatnonzero(~np.isnan(ratio) & ~young)
    title = f"Stickiness (DAU/MAU): fewer than {window} days of data"
    if known.size:
        at = known[-1]
        title = f"Stickiness (DAU/MAU) on {days[at]}: {exact(ratio[at])}, {daily[at]:,.0f} of {monthly[at]:,.0f} active in {window} days"
    return finish(ax, title + (f"\nGrey ground: fewer than {window} days of data, so the ratio is too high" if first else ""), grid="y")


def _height(ratio: Floats, grown: Floats) -> float:
    """The top of the ratio; the first days, on which it is 100% by its nature, may run off."""
    told = grown if (grown > 0).any() else ratio
    return 1.25 * float(np.nanmax(told, initial=0.0)) or 1.0


@draw.register(Activation)
def _activation(result: Activation[Any], ax: Axes | None) -> Axes:
    """The share activated by period of first sight, with its interval; hollow where only some were followed for the whole span."""
    table, (names, (whole,)) = read(result), _output.head(result._tables["overall"])
    overall: dict[str, Any] = dict(zip(names, whole, strict=True))
    params, period = result.params, str(result.params["period"])
    days, customers, eligible = series.days_of(table["period"]), numbers(table["customers"]), numbers(table["eligible"])
    middle, low, high = (numbers(table[name]) for name in ("rate", "rate_low", "rate_high"))
    ax = new_axes(ax, 9.0, 4.2)
    if len(days) <= series.POINTS:
        ax.errorbar(days, middle, yerr=whiskers(middle, low, high), fmt="none", ecolor=GREY, elinewidth=1.0, capsize=2)
    else:
        ax.fill_between(days, low, high, color=BLUE, alpha=0.18, linewidth=0)
    series.line(ax, days, middle, (eligible == customers) | np.isnan(middle), colour=BLUE)
    series.calendar(ax, days, period)
    ax.set_ylim(0, series.roof(middle, high))
    share_axis(ax.yaxis)
    ax.set_xlabel(f"{series.one(period)} of first sight")
    ax.set_ylabel(f"share activated within {params['within']}")
    rate, bottom, top = numbers([overall[name] for name in ("rate", "rate_low", "rate_high")])
    followed = f"{overall['eligible']:,} customers followed so long"
    title = f"{params['key']} within {params['within']} of first sight: {exact(rate)}{series.interval(bottom, top)} of {followed}"
    return finish(ax, title + _unfollowed(customers, eligible, period), grid="y")


def _unfollowed(customers: Floats, eligible: Floats, period: str) -> str:
    """What is not drawn, or only in part."""
    some, none = (int(chosen.sum()) for chosen in ((eligible > 0) & (eligible < customers), (eligible == 0) & (customers > 0)))
    notes = ["Hollow: not all were followed so long"] if some else []
    notes += [f"Not drawn: {none:,} of {len(customers):,} {series.many(period)}, in which nobody was"] if none else []
    return "\n" + ". ".join(notes) if notes else ""
