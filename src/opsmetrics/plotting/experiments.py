"""Pictures of A/B tests: what was found, when it may be stopped, what it takes, whether the split and the error rates are right."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from opsmetrics.experiments.designs import Boundaries
from opsmetrics.experiments.plans import Duration, Plan
from opsmetrics.experiments.posterior import BayesReadout
from opsmetrics.experiments.results import ABTest
from opsmetrics.experiments.simulations import AACheck
from opsmetrics.experiments.splits import SRMTest
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
    exact,
    finish,
    new_axes,
    numbers,
    read,
    share_axis,
    whiskers,
    wrapped,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Bools = npt.NDArray[np.bool_]

RED = "#b3261e"
"""What must not be overlooked."""

ROWS = 40
"""So many rows have room."""

_FARTHEST = 3.0
"""Intervals that reach beyond so many times the usual end go on outside the picture."""

_MARKED, _NUMBERED = 60, 15
"""Up to so many points have a mark each; up to so many bounds are told in numbers."""


_LETTERS = 76
"""So many letters of a title have room."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The first rows of a table with one row per metric and variant: their names, and where another metric begins."""

    table: Mapping[str, list[Any]]
    names: list[str]
    begins: list[int]
    total: int

    @classmethod
    def of(cls, table: Mapping[str, list[Any]], *, pairs: bool = False) -> _Rows:
        """Of a table whose columns up to the metric tell tests apart."""
        total = len(table["metric"])
        shown = {name: values[:ROWS] for name, values in table.items()}
        heads = list(shown)[: list(shown).index("metric") + 1]
        tests = [tuple(shown[name][row] for name in heads) for row in range(min(total, ROWS))]
        begins = [row for row in range(1, len(tests)) if tests[row] != tests[row - 1]]
        variants = [series.said(one) for one in shown["variant"]]
        if pairs:
            variants = [f"{one} - {series.said(other)}" for one, other in zip(variants, shown["baseline"], strict=True)]
        names = [f"{', '.join(map(series.said, test))}: {one}" for test, one in zip(tests, variants, strict=True)]
        return cls(shown, names, begins, total)

    def axes(self, ax: Axes | None) -> Axes:
        """Axes with a line for each row, from the top."""
        size = len(self.names)
        ax = new_axes(ax, 8.5, 1.7 + 0.3 * max(size, 3))
        ax.set_yticks(range(size), [textwrap.fill(name, 32, max_lines=2, placeholder="...") for name in self.names], fontsize=9)
        ax.set_ylim(max(size, 1) - 0.4, -0.6)
        for row in self.begins:
            ax.axhline(row - 0.5, color=series.GROUND, linewidth=1.0, zorder=0)
        return ax

    def rest(self, what: str) -> list[str]:
        """A sentence about the rows that have no room."""
        return [f"The first {ROWS} of {self.total:,} {what}"] if self.total > ROWS else []


def _beside(ax: Axes, words: Sequence[str]) -> None:
    """What is told of each row, to the right of the axes."""
    right = ax.get_yaxis_transform()
    for row, told in enumerate(words):
        ax.annotate(told, (1, row), (6, 0), xycoords=right, textcoords="offset points", va="center", fontsize=8, color=INK)


def _level(params: Any) -> float:
    """The share of false findings that is allowed."""
    return float(round(1 - params["confidence"], 12))


def _p(value: float) -> str:
    """A p-value as tests report it."""
    return "p unknown" if math.isnan(value) else "p < 0.0001" if value < 1e-4 else f"p = {value:.4f}"


def _percent(share: float) -> str:
    """A level: 95%, 99.9%."""
    return f"{100 * share:.6g}%"


def _titled(heading: str, *notes: str) -> str:
    """A heading and the lines below it."""
    return "\n".join(wrapped(line, _LETTERS) for line in (heading, *notes))


def _alarm(ax: Axes, title: str) -> Axes:
    """The title in red; `finish` has set it, in the colour of the user's titles."""
    ax.set_title(title, loc="left", fontsize=11, pad=6, color=RED)
    return ax


# ---------------------------------------------------------------------------------------------------------- what was found


@draw.register(ABTest)
def _forest(result: ABTest[Any], ax: Axes | None) -> Axes:
    """Every lift with its interval; an end that is open, or far away, has an arrow."""
    params: Any = result.params
    table = read(result)
    rows = _Rows.of(table, pairs=params["control"] is None)
    lift, low, high = (numbers(rows.table[name]) for name in ("lift", "lift_low", "lift_high"))
    rates = np.array([kind == "proportion" for kind in rows.table["kind"]])
    low[rates & (numbers(rows.table["difference_low"]) <= -1)] = -np.inf  # on one side: any rate down to 0
    p = numbers(rows.table["p_value" if params["correction"] is None else "p_adjusted"])
    found = p < _level(params)
    left, right = _edges(lift, low, high)
    ax = rows.axes(ax)
    ax.axvline(0, color=INK, linewidth=1.0, zorder=1)
    place = np.arange(len(lift))
    ax.hlines(place, np.clip(low, left, right), np.clip(high, left, right), color=BLUE, linewidth=1.6)
    for chosen, face in ((found, BLUE), (~found, "white")):
        ax.plot(lift[chosen], place[chosen], "o", color=BLUE, markerfacecolor=face, markersize=6, zorder=5)
    goes_on = {"<": (low < left, left), ">": (high > right, right)}
    for mark, (chosen, end) in goes_on.items():
        ax.plot(np.full(chosen.sum(), end), place[chosen], mark, color=BLUE, markersize=7, clip_on=False)
    ax.set_xlim(left, right)
    share_axis(ax.xaxis)
    ax.set_xlabel("lift")
    _beside(ax, [f"{'-' if math.isnan(one) else f'{one:+.1%}'}  {_p(chance)}" for one, chance in zip(lift, p, strict=True)])
    after = "" if params["correction"] is None else f" after {params['correction']}"
    notes = [f"{_intervals(params)}. Filled: p < {_level(params):g}{after}", *_margins(result)]
    if any(chosen.any() for chosen, _ in goes_on.values()):
        notes.append("Arrow: the interval goes on")
    over = "of the first variant over the second" if params["control"] is None else f"of each variant over {params['control']}"
    lines = [f"Lift {over}", *notes, *rows.rest("comparisons")]
    if not params["srm_mismatch"]:
        return finish(ax, _titled(*lines), grid="x")
    title = _titled(f"SAMPLE RATIO MISMATCH ({_p(params['srm_p_value'])}): do not read these numbers", *lines)
    return _alarm(finish(ax, title, grid="x"), title)


def _edges(lift: Floats, low: Floats, high: Floats) -> tuple[float, float]:
    """Where the axis ends: around zero, all lifts, and all intervals but those that would hide the others."""
    ends = np.array([low, high])
    known, lifts = ends[np.isfinite(ends)], lift[np.isfinite(lift)]
    usual = float(np.median(np.abs(known))) if known.size else 0.0
    farthest = max(_FARTHEST * usual, 1.2 * float(np.abs(lifts).max(initial=0.0))) or 1.0
    points = np.clip(np.concatenate([[0.0], known, lifts]), -farthest, farthest)
    room = 0.06 * (float(points.max() - points.min()) or 2.0)
    return float(points.min()) - room, float(points.max()) + room


def _intervals(params: Any) -> str:
    """What the intervals are."""
    side = "" if params["alternative"] == "two-sided" else f" on one side ({params['alternative']})"
    looks = "" if params["sequential"] is None else ", which hold at every look"
    return f"{_percent(params['confidence'])} intervals{side}{looks}"


def _margins(result: ABTest[Any]) -> list[str]:
    """What the intervals are where there is a margin."""
    confidence: Any = result.params["confidence"]
    asked = {metric.hypothesis for _, metric in result._entries}
    return [
        *([f"Equivalence: {_percent(2 * confidence - 1)} intervals"] if "equivalence" in asked else []),
        *(["Non-inferiority: intervals on one side"] if "non-inferiority" in asked else []),
    ]


# ----------------------------------------------------------------------------------------------------- when it may be stopped


@draw.register(Boundaries)
def _boundaries(result: Boundaries[Any], ax: Axes | None) -> Axes:
    """The z that stop a test, by the share of the planned units that is in, and those below which it may be given up."""
    table = read(result)
    params: Any = result.params
    information, bound = numbers(table["information"]), numbers(table["bound"])
    two = params["alternative"] == "two-sided"
    can = np.isfinite(bound)
    bound = np.where(can, bound, np.nan)
    futility = numbers(table["futility"]) if "futility" in table else np.full(len(bound), np.nan)
    futility = np.where(np.isfinite(futility), futility, np.nan)
    top = 1.15 * float(bound[can].max(initial=2.0))
    known = futility[~np.isnan(futility)]
    bottom = -top if two else min(1.15 * float(known.min(initial=0.0)), 0.0)
    ax = new_axes(ax, 7.5, 4.6)
    ax.axhline(0, color=INK, linewidth=0.8)
    for side in (1, -1) if two else (1,):
        ax.fill_between(information, side * bound, side * top, color=LIGHT, linewidth=0)
        label = "bound: stop" if side == 1 else None
        ax.plot(information, side * bound, marker=_mark(bound), markersize=5, color=BLUE, linewidth=1.8, label=label)
    if known.size:
        ax.plot(information, futility, "--", marker=_mark(futility), markersize=5, color=ORANGE, linewidth=1.8, label="futility: give up")
    _numbered(ax, information, bound)
    ax.set_xlim(0, 1.02)
    ax.set_ylim(bottom, top)
    share_axis(ax.xaxis)
    ax.set_xlabel(f"information: share of the {params['planned_n']:,} planned units")
    ax.set_ylabel("z" if two else f"z, on the side of {params['alternative']}")
    names = ["bound: stop", *(["futility: give up"] if known.size else [])]
    notes = [*_cost(params), *([f"No bound at {_looks(~can)}: too early to stop"] if not can.all() else [])]
    return finish(ax, _titled(f"When {_design(params)} stops", *notes), grid="both", above=series.legend(ax, names))


def _mark(values: Floats) -> str:
    return "o" if len(values) <= _MARKED else ""


def _numbered(ax: Axes, at: Floats, bound: Floats) -> None:
    """The bounds in numbers, where they are few."""
    if len(bound) > _NUMBERED:
        return
    for x, z in zip(at, bound, strict=True):
        if not math.isnan(z):
            ax.annotate(f"{z:.2f}", (x, z), (0, 6), textcoords="offset points", ha="center", va="bottom", fontsize=8, color=INK)


def _looks(chosen: Bools) -> str:
    count = int(chosen.sum())
    return f"the first {count} looks" if count > 1 else "the first look"


def _design(params: Any) -> str:
    """The plan as a reader would call it."""
    if "looks" not in params:
        return "an always valid test"
    looks = params["looks"] if isinstance(params["looks"], int) else len(params["looks"]) + (params["looks"][-1] < 1)
    return f"a test with {looks:,} look{'' if looks == 1 else 's'} ({params['spending']})"


def _cost(params: Any) -> list[str]:
    """The price of looking."""
    none, some = params["expected_n_no_effect"], params["expected_n_effect"]
    return [
        f"{params['inflation']:.3f} times the units of a single look of the same power",
        f"Units until it stops: {none:,.0f} expected without an effect, {some:,.0f} with it",
    ]


# -------------------------------------------------------------------------------------------------------------- what it takes


@draw.register(Plan)
def _plan(result: Plan[Any], ax: Axes | None) -> Axes:
    """The power by effect at the units of the plan, and the effect that is planned for."""
    curve = read(result, "curve")
    params: Any = result.params
    effect, reached = params["effect"], params["power"]
    relative = params["effect_relative"]
    ax = new_axes(ax, 7.5, 4.4)
    ax.plot(numbers(curve["effect"]), numbers(curve["power"]), color=BLUE, linewidth=2.0)
    ax.plot([effect, effect], [0, reached], "--", color=GREY, linewidth=1.0)
    ax.plot([effect], [reached], "o", color=ORANGE, markersize=8, zorder=5)
    for end in _margin_ends(params):
        ax.axvline(end, color=INK, linewidth=1.0, linestyle=":")
    ax.set_ylim(0, 1.05)
    share_axis(ax.yaxis)
    ax.set_xlabel("effect: treatment less control" + ("" if params["margin"] is None else " (dotted: the margin)"))
    ax.set_ylabel("power")
    shown = f"{effect:.4g}" + (f" ({relative:+.1%})" if isinstance(relative, float) else "")
    ax.annotate(f"{shown}: {exact(reached)}", (effect, reached), (8, -4), textcoords="offset points", va="top", fontsize=9, color=INK)
    what = "" if params["hypothesis"] == "superiority" else f"{params['hypothesis']} at "
    notes = [f"with a power of {exact(reached)} ({params['alternative']}, confidence {_percent(params['confidence'])})"]
    return finish(ax, _titled(f"{params['n']:,} units show {what}an effect of {shown}", *notes), grid="both")


def _margin_ends(params: Any) -> list[float]:
    """Where the effects that matter begin."""
    margin = params["margin"]
    if margin is None:
        return []
    if params["hypothesis"] == "equivalence":
        return [-margin, margin]
    return [margin if params["alternative"] == "less" else -margin]


@draw.register(Duration)
def _duration(result: Duration[Any], ax: Axes | None) -> Axes:
    """The power day by day; of units without a plan, how many have come."""
    table = read(result)
    params: Any = result.params
    days, units = numbers(table["day"]), numbers(table["units"])
    powers = numbers(table["power"]) if "power" in table else units
    power = bool((~np.isnan(powers)).any()) and "power" in table
    heights = powers if power else units
    needed, whole = params["days"], params["days_recommended"]
    ax = new_axes(ax, 7.5, 4.2)
    ax.plot(days, heights, marker=_mark(days), markersize=4.5, color=BLUE, linewidth=1.5)
    ax.axvline(needed, color=ORANGE, linewidth=1.2, linestyle="--")
    ax.axvline(whole, color=INK, linewidth=1.2)
    if power:
        ax.set_ylim(0, 1.05)
        share_axis(ax.yaxis)
    else:
        ax.set_ylim(0, 1.06 * float(units.max()))
        count_axis(ax.yaxis)
    count_axis(ax.xaxis)
    ax.set_xlim(0, 1.02 * max(days[-1], whole))
    if days[-1] <= 7 * 13:
        ax.set_xticks(np.arange(0, days[-1] + 1, 7))
    ax.set_xlabel("day (dashed: enough units; line: whole weeks)")
    ax.set_ylabel("power" if power else "units so far")
    expected = params.get("expected_days")
    notes = [
        f"{_days(needed)} for {params['n']:,} units",
        *([] if expected is None else [f"{_days(expected)} expected, as it may stop early"]),
    ]
    weeks = f"{params['weeks']:,} whole week{'' if params['weeks'] == 1 else 's'}"
    title = f"Run it for {weeks}, {_days(whole)}"
    return finish(ax, _titled(title, ", ".join(notes)), grid="y")


def _days(count: int) -> str:
    return f"{count:,} day{'' if count == 1 else 's'}"


# ---------------------------------------------------------------------------------------------------- as it should be, or not


@draw.register(SRMTest)
def _split(result: SRMTest[Any], ax: Axes | None) -> Axes:
    """Units above or below those that the plan gives each variant, and how far chance moves them; with looks, the evidence by look."""
    params: Any = result.params
    threshold = params["threshold"]
    verdict = "SAMPLE RATIO MISMATCH: do not read the results" if result.mismatch else "The split is as planned"
    head = f"{verdict} ({_p(result.p_value)}, {params['units']:,} units)"
    ax, notes = _evidence(result, ax, threshold) if params["peeking"] else _deviations(result, ax, threshold)
    title = _titled(head, *notes)
    finish(ax, title, grid="both" if params["peeking"] else "x")
    return _alarm(ax, title) if result.mismatch else ax


def _deviations(result: SRMTest[Any], ax: Axes | None, threshold: float) -> tuple[Axes, list[str]]:
    whole = read(result)
    table, total = {name: values[:ROWS] for name, values in whole.items()}, len(whole["variant"])
    observed, expected, planned = (numbers(table[name]) for name in ("observed", "expected", "expected_share"))
    size = len(observed)
    reached = np.divide(observed - expected, expected, out=np.full(size, np.nan), where=expected > 0)
    z = NormalDist().inv_cdf(1 - threshold / 2)
    chance = z * np.sqrt(np.divide(1 - planned, expected, out=np.full(size, np.nan), where=expected > 0))
    outside = np.abs(reached) > chance
    place = np.arange(size)
    ax = new_axes(ax, 7.5, 1.7 + 0.42 * max(size, 3))
    ax.barh(place, 2 * np.nan_to_num(chance), left=-np.nan_to_num(chance), height=0.6, color=series.GROUND)
    ax.axvline(0, color=INK, linewidth=1.0)
    for chosen, colour in ((~outside, BLUE), (outside, RED)):
        ax.plot(reached[chosen], place[chosen], "o", color=colour, markersize=8, zorder=5)
    shares = numbers(table["share"])
    _beside(ax, [f"{count:,.0f} units, {own:.2%} (plan {plan:.2%})" for count, own, plan in zip(observed, shares, planned, strict=True)])
    ax.set_yticks(place, [wrapped(series.said(name), 24) for name in table["variant"]])
    ax.set_ylim(size - 0.4, -0.6)
    far = 1.15 * float(np.nan_to_num([np.abs(reached), chance]).max()) or 1.0
    ax.set_xlim(-far, far)
    share_axis(ax.xaxis)
    ax.set_xlabel("units above or below the plan, in per cent of those planned")
    notes = [f"Grey: where chance leaves a variant in {_percent(1 - threshold)} of splits"]
    return ax, notes + ([f"The first {ROWS} of {total:,} variants"] if total > ROWS else [])


def _evidence(result: SRMTest[Any], ax: Axes | None, threshold: float) -> tuple[Axes, list[str]]:
    looks = read(result, "looks")
    units, evidence = numbers(looks["units"]), numbers(looks["evidence"])
    alarm = -math.log(threshold)
    ax = new_axes(ax, 7.5, 4.2)
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.axhline(alarm, color=RED, linewidth=1.2, linestyle="--")
    ax.plot(units, evidence, marker=_mark(units), markersize=4.5, color=BLUE, linewidth=1.5)
    known = evidence[np.isfinite(evidence)]
    ax.set_ylim(min(1.1 * float(known.min(initial=0.0)), 0.0) - 0.4, 1.1 * max(float(known.max(initial=0.0)), alarm))
    ax.set_xlim(0, 1.04 * float(units.max()) or 1.0)
    count_axis(ax.xaxis)
    ax.set_xlabel("units so far")
    ax.set_ylabel("evidence against the planned split (log)")
    return ax, [f"Dashed: a mismatch from here on, p < {threshold:g} at every look"]


@draw.register(AACheck)
def _false_positives(result: AACheck[Any], ax: Axes | None) -> Axes:
    """How often nothing was called something, with intervals, and how often it should be."""
    params: Any = result.params
    rows = _Rows.of(read(result))
    rate, low, high, above, below = (
        numbers(rows.table[name])
        for name in ("false_positive_rate", "false_positive_rate_low", "false_positive_rate_high", "above_rate", "below_rate")
    )
    level = _level(params)
    known = ~np.isnan(rate)
    off = known & ~((low <= level) & (level <= high))
    place = np.arange(len(rate))
    ax = rows.axes(ax)
    ax.axvline(level, color=INK, linewidth=1.1, linestyle="--")
    for chosen, colour in ((known & ~off, BLUE), (off, ORANGE)):
        bars = whiskers(rate, low, high)[:, chosen]
        ax.errorbar(rate[chosen], place[chosen], xerr=bars, fmt="o", color=colour, markersize=6, elinewidth=1.6)
    _beside(ax, [f"{exact(up)} above, {exact(down)} below" for up, down in zip(above, below, strict=True)])
    ax.set_xlim(0, 1.12 * max(float(np.nan_to_num(np.where(known, high, 0.0)).max(initial=0.0)), level))
    share_axis(ax.xaxis)
    ax.set_xlabel("share of splits called different")
    verdict = "none is off" if not off.any() else f"{off.sum()} of {len(off)} off (orange)"
    notes = [
        f"{_percent(params['confidence'])} intervals. Dashed: the nominal {_percent(level)}, half of it on each side",
        *rows.rest("rows"),
    ]
    title = f"{params['repeats']:,} random splits of {params['units']:,} units: {verdict}"
    return finish(ax, _titled(title, *notes), grid="x")


@draw.register(BayesReadout)
def _best(result: BayesReadout[Any], ax: Axes | None) -> Axes:
    """Bars of the probability to be the best, and what choosing the variant is expected to lose."""
    rows = _Rows.of(read(result))
    chance, loss = (numbers(rows.table[name]) for name in ("probability_best", "expected_loss"))
    place = np.arange(len(chance))
    ax = rows.axes(ax)
    ax.barh(place, np.nan_to_num(chance), height=0.65, color=BLUE)
    lost = ["loss unknown" if math.isnan(one) else f"loses {one:.3g}" for one in loss]
    _beside(ax, [f"{exact(one)}  {told}" for one, told in zip(chance, lost, strict=True)])
    ax.set_xlim(0, 1)
    share_axis(ax.xaxis)
    ax.set_xlabel("probability to be the best (beside it: the expected loss)")
    out: Any = result.params["left_out"]
    notes = [
        "No protection against peeking",
        *([f"No conjugate prior, left out: {', '.join(out)}"] if out else []),
        *rows.rest("rows"),
    ]
    return finish(ax, _titled("How probably each variant is the best", *notes), grid="x")
