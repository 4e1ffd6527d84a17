"""Pictures of lifetime value: repeat purchases, who is still a customer, what customers are worth, and how well that was predicted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from opsmetrics import _frames
from opsmetrics.lifetime_value.calls import CLV, CLVBreakdown
from opsmetrics.lifetime_value.fits import PurchaseFit
from opsmetrics.lifetime_value.predictions import Predictions
from opsmetrics.lifetime_value.summaries import CLVSummary
from opsmetrics.lifetime_value.validations import Validation
from opsmetrics.plotting import series
from opsmetrics.plotting.canvas import (
    BLUE,
    GREY,
    INK,
    LIGHT,
    ORANGE,
    Floats,
    count_axis,
    draw,
    finish,
    heat,
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

    from opsmetrics._results import Result

_MOST = 7
"""The last bar of repeat purchases holds all from here on."""

_TYPICAL, _LEVELS = 10, 40
"""The purchases that a customer makes up to the age that P(alive) is drawn at, and about how many rows of recency there are."""

_POINTS = 1_000
"""A curve of more customers is drawn through so many of them."""

_BINS, _GROUPS = 25, 20
"""Bars of a histogram, and the most groups that have room."""


def _column(result: Result[Any], name: str) -> Floats:
    """A column of numbers of the main table; missing ones are NaN."""
    _, columns = _frames.columns("table", result._tables["table"], [_frames.Use(name, name, "number")])
    found: Floats = columns[name].astype(np.float64)
    return found


def _times(count: float, unit: str) -> str:
    """So many units: "1 day", "26 weeks"."""
    return f"{count:,.6g} {unit}{'' if count == 1 else 's'}"


# ------------------------------------------------------------------------------------------------------- repeat purchases


@draw.register(CLVSummary)
def _repeats(result: CLVSummary[Any], ax: Axes | None) -> Axes:
    """How many customers came back never, once, twice, and so on."""
    ax = new_axes(ax, 7.0, 4.0)
    frequency = _column(result, "frequency").astype(np.int64)
    counts = np.bincount(np.minimum(frequency, _MOST), minlength=_MOST + 1)
    bars = ax.bar(range(_MOST + 1), counts, width=0.8, color=BLUE)
    ax.bar_label(bars, [per_cent(share) for share in counts / max(counts.sum(), 1)], padding=2, fontsize=8, color=GREY)
    ax.set_xticks(range(_MOST + 1), [*map(str, range(_MOST)), f"{_MOST}+"])
    count_axis(ax.yaxis)
    ax.margins(y=0.08)
    ax.set_xlabel(f"repeat purchases ({result.unit}s with a purchase, without the first)")
    ax.set_ylabel("customers")
    end = result.params["calibration_end"] or result.params["as_of"]
    return finish(ax, f"How often {counts.sum():,} customers came back, up to {end}", grid="y")


# ---------------------------------------------------------------------------------------------- who is still a customer


@draw.register(PurchaseFit)
def _alive(fit: PurchaseFit, ax: Axes | None) -> Axes:
    """P(alive) by frequency (to the right) and recency (up), of customers of one age."""
    step, rows = _rows(fit)
    x, row = np.meshgrid(np.arange(2 * _TYPICAL + 1), np.arange(rows + 1))
    t_x, age = row * step, rows * step
    # Who never came back has a recency of 0, all others have not; and in BG/BB a period has one purchase at most.
    can_be = (x > 0) == (row > 0)
    if fit.model == "bg_bb":
        can_be &= x <= t_x
    chances = np.full(x.shape, np.nan)
    chances[can_be] = fit._alive(x[can_be], t_x[can_be], age)
    ax = new_axes(ax, 7.5, 5.2)
    image = heat(ax, np.maximum(chances, 1e-12), np.full(x.shape, "", dtype=object), top=1.0)
    ax.set_facecolor(series.GROUND)
    share_axis(ax.figure.colorbar(image, ax=ax, label="P(alive)").ax.yaxis)
    even = np.nanmin(chances) < 0.5 < np.nanmax(chances)
    if even:
        ax.contour(chances, levels=[0.5], colors=[ORANGE], linewidths=1.6)
    ticks = _round(age)
    ax.set_yticks(ticks / step, [f"{tick:,.6g}" for tick in ticks])
    ax.set_xticks(range(0, 2 * _TYPICAL + 1, 2))
    ax.invert_yaxis()
    ax.text(0, rows / 2, f"never came back: {chances[0, 0]:.0%}", rotation=90, ha="center", va="center", fontsize=8, color=INK)
    ax.set_xlabel("repeat purchases")
    ax.set_ylabel(f"{fit.unit}s from the first to the last purchase")
    moved = ", at covariates of 0" if fit.purchase_covariates or fit.dropout_covariates else ""
    notes = [*(["Line: 50%"] if even else []), "Grey: no such customers"]
    return finish(ax, f"P(alive) of customers who first bought {_times(age, fit.unit)} ago, by {fit.title}{moved}\n{'. '.join(notes)}")


def _rows(fit: PurchaseFit) -> tuple[float, int]:
    """Units of time from one row of recency to the next, and how many rows there are; their product is the age of the customers.

    The mean rate of purchases, over purchases and not over customers, is (r + 1) / alpha, and (alpha + 1) / (alpha + beta + 1) per period
    of BG/BB. At this rate a customer of that age has made ten.
    """
    values = fit.params
    if fit.model == "bg_bb":
        age = _TYPICAL * (values["alpha"] + values["beta"] + 1) / (values["alpha"] + 1)
        step = math.ceil(age / _LEVELS)
        return float(step), math.ceil(age / step)
    return float(f"{_TYPICAL * values['alpha'] / (values['r'] + 1):.1e}") / _LEVELS, _LEVELS


def _round(end: float) -> Floats:
    """Round numbers from 0 to an end."""
    from matplotlib.ticker import MaxNLocator

    found = np.asarray(MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(0, end), dtype=np.float64)
    return found[(found >= 0) & (found <= end)]


@draw.register(Predictions)
def _predictions(result: Predictions[Any], ax: Axes | None) -> Axes:
    """How many customers have a prediction of that size."""
    name, label = _predicted(result)
    values = _column(result, name)
    chance = name in {"p_alive", "purchase_probability"}
    top = 1.0 if chance else _top(values[np.isfinite(values)])
    edges = np.linspace(0.0, top, _BINS + 1)
    counts, _ = np.histogram(np.minimum(values, top), edges)
    ax = new_axes(ax, 7.5, 4.2)
    bars = ax.bar(edges[:-1], counts, width=top / _BINS, align="edge", color=BLUE, edgecolor="white", linewidth=0.6)
    notes, mean = [], float(values.mean())
    if math.isfinite(mean):
        ax.axvline(mean, color=INK, linewidth=1.1, linestyle="--")
        notes.append(f"Dashed: the mean, {f'{mean:.1%}' if chance else f'{mean:,.4g}'}")
    if (values > top).any():
        bars.patches[-1].set(hatch="////")
        notes.append(f"Last bar: {edges[-2]:,.3g} or more")
    if chance:
        share_axis(ax.xaxis)
    ax.set_xlim(0, max(top, mean) if math.isfinite(mean) else top)
    count_axis(ax.yaxis)
    ax.set_xlabel(label)
    ax.set_ylabel("customers")
    title = f"{label[0].upper()}{label[1:]}, by {result.params['model']}"
    return finish(ax, f"{title}\n{'. '.join([f'{len(values):,} customers', *notes])}", grid="y")


def _top(values: Floats) -> float:
    """Where the last bar of a histogram ends: at the largest value, unless that is far from all others."""
    if not values.any():
        return 1.0
    most, usual = float(values.max()), float(np.quantile(values, 0.99, method="lower"))
    return usual if most > 1.5 * usual > 0 else most


def _predicted(result: Predictions[Any]) -> tuple[str, str]:
    """The column that was predicted, which the question tells, and its name for a reader."""
    match result.params:
        case {"x": int(x), "t": float(t) | int(t)}:
            return "purchase_probability", f"chance of exactly {_times(x, 'purchase')} in the next {_times(t, result.unit)}"
        case {"t": float(t) | int(t)}:
            return "expected_purchases", f"expected purchases in the next {_times(t, result.unit)}"
        case {"horizon": horizon}:
            ahead = "for ever" if horizon is None else f"in the next {_times(int(str(horizon)), 'day')}"
            return "discounted_purchases", f"expected purchases {ahead}, discounted"
        case {"model": "Gamma-Gamma"}:
            return "expected_amount", "expected amount per purchase"
    return "p_alive", "P(alive)"


# ------------------------------------------------------------------------------------------------ what customers are worth


@draw.register(CLV)
def _concentration(result: CLV[Any], ax: Axes | None) -> Axes:
    """The share of the value that the most valuable customers hold, against their share of customers."""
    values = _column(result, "value")
    known = np.sort(values[np.isfinite(values)])[::-1]
    held = np.append(0.0, np.cumsum(known))
    held /= held[-1] or 1.0
    places = np.unique(np.linspace(0, len(known), min(len(known), _POINTS) + 1).round().astype(np.int64))
    people, shares = places / max(len(known), 1), held[places]
    ax = new_axes(ax, 6.4, 5.2)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1.0, linestyle="--")
    ax.fill_between(people, people, shares, color=LIGHT, linewidth=0)
    ax.plot(people, shares, color=BLUE, linewidth=2.0)
    few = np.array([0.1, 0.2])
    theirs = np.interp(few, people, shares)
    ax.plot(few, theirs, "o", color=ORANGE, markersize=7, zorder=5)
    for part, share in zip(few, theirs, strict=True):
        ax.annotate(f"{part:.0%} hold {share:.0%}", (part, share), (9, -4), textcoords="offset points", va="top", fontsize=9, color=INK)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.02)
    share_axis(ax.xaxis)
    share_axis(ax.yaxis)
    ax.set_xlabel("share of customers, the most valuable first (dashed: if all were alike)")
    ax.set_ylabel("share of the expected value")
    lost = f", without {unknown:,} of unknown value" if (unknown := len(values) - len(known)) else ""
    title = f"20% of customers hold {theirs[1]:.0%} of the value of the next {_times(int(str(result.params['horizon'])), 'day')}"
    return finish(ax, f"{title}\n{len(values):,} customers up to {result.params['as_of']}{lost}{_total(result)}")


def _total(result: CLV[Any]) -> str:
    """What all customers together will bring."""
    (value,), (low,), (high,) = (numbers(read(result, "totals")[name]) for name in ("value", "outcome_low", "outcome_high"))
    if not math.isfinite(value):
        return ""
    return f"\nAll together: {_money(value)} [{_money(low)}, {_money(high)}] to come"


def _money(amount: float) -> str:
    """Money for a reader: whole, or a small sum to three digits."""
    if math.isnan(amount):
        return "unknown"
    return f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:.3g}"


@draw.register(CLVBreakdown)
def _groups(result: CLVBreakdown[Any], ax: Axes | None) -> Axes:
    """Bars of the value of groups, with the interval of the mean, and that in which the outcome will lie."""
    table, label = read(result), result.label
    columns = np.array([numbers(table[name]) for name in ("value", "value_low", "value_high", "outcome_low", "outcome_high")])
    columns[~np.isfinite(columns)] = np.nan
    kept = np.argsort(-columns[0], kind="stable")[:_GROUPS]
    place, (value, low, high, least, most) = np.arange(len(kept)), columns[:, kept]
    ax = new_axes(ax, 8.5, 1.9 + 0.42 * max(len(kept), 3))
    level = f"{result.params['confidence']:.0%}"
    names = ["expected value", f"mean within ({level})", f"outcome within ({level})"]
    ax.barh(place, np.nan_to_num(value), height=0.68, color=LIGHT, label=names[0])
    ax.errorbar(value, place, xerr=whiskers(value, low, high), fmt="none", ecolor=BLUE, elinewidth=6, label=names[1])
    # The outcome of a group of little value is 0, most likely, so that the mean may lie outside.
    ax.errorbar((least + most) / 2, place, xerr=(most - least) / 2, fmt="none", ecolor=INK, elinewidth=1.2, capsize=3, label=names[2])
    ends = np.nan_to_num([value, high, most]).max(axis=0)
    for at, end, amount in zip(place, ends, value, strict=True):
        ax.annotate(_money(amount), (end, at), (6, 0), textcoords="offset points", va="center", fontsize=9, color=INK)
    groups = [f"no {label}" if table[label][row] is None else str(table[label][row]) for row in kept]
    ax.set_yticks(place, [f"{wrapped(name, 24)}  {table['customers'][row]:,}" for name, row in zip(groups, kept, strict=True)])
    ax.set_ylim(len(kept) - 0.4, -0.6)
    ax.set_xlim(0, 1.15 * float(ends.max(initial=0.0)) or 1.0)
    ax.xaxis.set_major_formatter(lambda amount, _: _money(amount))
    ax.set_xlabel("value (customers beside their group)")
    title = f"What customers will be worth in the next {_times(int(str(result.params['horizon'])), 'day')}, by {label}"
    title += f", the {_GROUPS} most valuable of {len(columns[0]):,}" if len(columns[0]) > _GROUPS else ""
    return finish(ax, title, grid="x", above=series.legend(ax, names))


# ---------------------------------------------------------------------------------------------- how well it was predicted


@draw.register(Validation)
def _tracking(result: Validation[Any], ax: Axes | None) -> Axes:
    """Cumulated repeat purchases week by week: those that were made, and those that were expected."""
    table = read(result, "tracking")
    days, actual, expected = series.days_of(table["time"]), numbers(table["actual"]), numbers(table["expected"])
    begins = np.datetime64(result.calibration_end[:10], "D")
    ax = new_axes(ax, 8.5, 4.6)
    names = ["actual", f"expected by {result.model}"]
    ax.plot(days, actual, color=BLUE, linewidth=2.0, label=names[0])
    ax.plot(days, expected, color=ORANGE, linewidth=2.0, linestyle="--", label=names[1])
    ax.axvline(begins, color=INK, linewidth=1.0)  # type: ignore[arg-type]
    series.calendar(ax, days, "week")
    ax.set_xlim(left=min(begins, series.edges(days, "week")[0]))
    late = begins > days[0] + (days[-1] - days[0]) / 2
    ax.annotate(
        f"learned until {begins}" if late else f"held out after {begins}", (begins, 0.02), xycoords=("data", "axes fraction"),
        xytext=(-5 if late else 5, 0), textcoords="offset points", ha="right" if late else "left", va="bottom", fontsize=9, color=INK,
    )  # fmt: skip
    count_axis(ax.yaxis)
    ax.set_ylim(0, 1.06 * float(max(actual.max(), expected.max())) or 1.0)
    ax.set_xlabel("week, by its last day")
    ax.set_ylabel("repeat purchases so far")
    off = f" ({expected[-1] / actual[-1] - 1:+.1%})" if actual[-1] else ""
    title = f"Repeat purchases up to {days[-1]}: {actual[-1]:,.0f}, and {expected[-1]:,.0f} expected{off}"
    return finish(ax, title, grid="y", above=series.legend(ax, names))


def frequencies(result: Validation[Any], ax: Axes | None = None) -> Axes:
    """Pairs of bars: how many customers came back so often, and how many the model expects."""
    table = read(result, "frequencies")
    place = np.arange(len(table["purchases"]))
    ax = new_axes(ax, 7.5, 4.2)
    names = ["actual", f"expected by {result.model}"]
    for shift, column, colour, name in ((-0.2, "actual", BLUE, names[0]), (0.2, "expected", ORANGE, names[1])):
        ax.bar(place + shift, numbers(table[column]), width=0.38, color=colour, label=name)
    ax.set_xticks(place, table["purchases"])
    count_axis(ax.yaxis)
    ax.set_xlabel("repeat purchases")
    ax.set_ylabel("customers")
    title = f"How often {sum(table['actual']):,} customers came back, up to {result.calibration_end}"
    return finish(ax, title, grid="y", above=series.legend(ax, names))


def calibration(result: Validation[Any], ax: Axes | None = None) -> Axes:
    """Purchases that were held out against those that were predicted, in groups of customers with like predictions."""
    table = read(result, "calibration")
    expected, actual, low, high = (numbers(table[name]) for name in ("expected", "actual", "actual_low", "actual_high"))
    ax = new_axes(ax, 6.0, 5.4)
    end = 1.05 * float(np.nanmax([expected, high])) or 1.0
    ax.plot([0, end], [0, end], color=GREY, linewidth=1.0, linestyle="--")
    ax.errorbar(expected, actual, yerr=whiskers(actual, low, high), fmt="o", color=BLUE, markersize=4.5, elinewidth=1.2)
    ax.set_xlim(0, end)
    ax.set_ylim(0, end)
    ax.set_xlabel("predicted purchases")
    ax.set_ylabel("actual purchases (mean, with its 95% interval)")
    title = f"Purchases of customers after {result.calibration_end}, predicted by {result.model}"
    return finish(ax, f"{title}\n{len(expected)} groups of customers with like predictions (dashed: as predicted)", grid="both")
