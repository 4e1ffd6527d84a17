"""Answers to questions about a funnel: by a column, compared, over time, how long, and what came instead."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames, _output, _render
from opsmetrics._frames import Backend, Column, Floats, Ints
from opsmetrics._kernels import grouping, multiplicity, proportions, survival
from opsmetrics._results import SHOWN_LABELS, Result, Table, dropped_notes, shown
from opsmetrics.errors import DataError, ParameterError, nearest
from opsmetrics.funnels import tables
from opsmetrics.funnels.facts import MISSING, Paths
from opsmetrics.funnels.tables import Reading

FrameT_co = TypeVar("FrameT_co", covariant=True)

RESERVED = frozenset({
    "period", "step", "customers", "attempts", "conversion", "conversion_low", "conversion_high", "step_conversion", "dropped", "tied",
    "amount", "immature", "level", "baseline_rate", "rate", "difference", "difference_low", "difference_high", "p_value",
    "p_adjusted", "base",
})  # fmt: skip
"""Columns of the answers, which a column of the log must not be named like."""

FEW = 30
"""Below so many entries on a side a comparison says little."""

NOTHING = "(nothing)"
"""What came after the last event inside the window."""

_EDGES = (0, 1, 10, 60, 300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, *(86_400 * d for d in (1, 2, 3, 7, 14, 30, 60, 90, 180, 365)))
"""Seconds at which a reader would cut waiting times."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class FunnelBreakdown(Result[FrameT_co]):
    """A funnel for each value of a column, or for each period of entry, as `Funnel.by` and `Funnel.trend` return it.

    Attributes
    ----------
    table : frame
        The value (or ``period``, the first day of it), then the columns of `Funnel.table`, one row per value and step. `Funnel.trend` adds
        ``immature``: the entries of the period that have not converted and whose window was still open when the data ended.

    Examples
    --------
    >>> import opsmetrics as om
    >>> events = om.make_events(300, rng=1)
    >>> found = om.funnel(events, ["view", "cart", "pay"], customer="customer", event="event", time="time")
    >>> int(found.by("channel").table.query("step == 'view'")["customers"].sum())
    300
    """

    _labels: Sequence[str]

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN_LABELS)
        keep = [i for i, name in enumerate(columns) if not name.startswith("p90") and name != "tied"]
        return _render.View(
            title=f"Funnel by {self.params['by']}",
            facts=shown(self.params),
            columns=[columns[i] for i in keep],
            rows=[[row[i] for i in keep] for row in rows],
            bars=("conversion",),
            ids=(str(self.params["by"]),),
            total_rows=_output.height(self._tables["table"]),
            notes=dropped_notes(self.dropped),
        )


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class FunnelComparison(Result[FrameT_co]):
    """Values of a column against a baseline, step by step, as `Funnel.compare` returns it.

    Attributes
    ----------
    table : frame
        The value, ``step``, ``base`` (the denominator), ``rate``, ``baseline_rate``, ``difference`` (rate less baseline rate) with its
        Newcombe interval ``difference_low`` and ``difference_high``, ``p_value`` of equal rates, and ``p_adjusted`` (Holm, over all rows).

    Examples
    --------
    >>> import opsmetrics as om
    >>> events = om.make_events(300, rng=1)
    >>> found = om.funnel(events, ["view", "cart", "pay"], customer="customer", event="event", time="time")
    >>> list(found.compare("channel", baseline="search").table.columns)[:5]
    ['channel', 'step', 'base', 'rate', 'baseline_rate']
    """

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN_LABELS)
        names = ("difference", "difference_low", "difference_high")
        return _render.View(
            title=f"Funnel by {self.params['by']}, against {self.params['baseline']}",
            facts=shown(self.params),
            columns=columns,
            rows=[
                [
                    _render.signed(value) if name in names else _render.p_value(value) if name.startswith("p_") else value
                    for name, value in zip(columns, row, strict=True)
                ]
                for row in rows
            ],
            ids=(columns[0],),
            total_rows=_output.height(self._tables["table"]),
            notes=[
                *([f"fewer than {FEW} entries on a side: {self.params['few']}"] if self.params["few"] else []),
                *dropped_notes(self.dropped),
            ],
        )


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class StepTimes(Result[FrameT_co]):
    """How long it took from one step to another, as `Funnel.times` returns it.

    Attributes
    ----------
    table : frame
        ``quantile`` and ``seconds``.
    histogram : frame
        ``from_seconds`` (included), ``to_seconds`` (excluded but for the last), ``customers``, ``share``, ``cumulative_share``.

    Examples
    --------
    >>> import opsmetrics as om
    >>> events = om.make_events(300, rng=1)
    >>> found = om.funnel(events, ["view", "cart", "pay"], customer="customer", event="event", time="time")
    >>> found.times("cart", "pay").table["quantile"].tolist()
    [0.1, 0.25, 0.5, 0.75, 0.9, 0.99]
    """

    histogram = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["histogram"])
        _, found = _output.head(self._tables["table"])
        facts = shown(self.params) | {f"{row[0]:.0%}": _render.span(row[1]) for row in found}
        return _render.View(
            title=f"Time from {self.params['from']} to {self.params['to']}: {self.params['customers']:,} customers",
            facts=facts, columns=columns, rows=rows, bars=("share",), notes=["quantiles: .table; these bins: .histogram"],
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ConversionCurve(Result[FrameT_co]):
    """The share that has converted by each time since entry, as `Funnel.survival` returns it.

    Attributes
    ----------
    table : frame
        ``seconds`` since entry, ``at_risk`` just before, ``converted`` at, ``censored`` from here on, ``conversion`` (one less the
        Kaplan-Meier curve) with its interval ``conversion_low`` and ``conversion_high``.

    Examples
    --------
    >>> import opsmetrics as om
    >>> events = om.make_events(300, rng=1)
    >>> found = om.funnel(events, ["view", "cart", "pay"], customer="customer", event="event", time="time", window="7D", entry="first")
    >>> list(found.survival().table.columns)[:4]
    ['seconds', 'at_risk', 'converted', 'censored']
    """

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"])
        step = max(1, -(-len(rows) // 12))
        picked = rows[::step] + (rows[-1:] if len(rows) and (len(rows) - 1) % step else [])
        return _render.View(
            title=f"Conversion by time since entry: {self.params['customers']:,} customers",
            facts=shown(self.params), columns=columns, rows=picked, bars=("conversion",), total_rows=len(rows),
            notes=["entries whose window was still open at the end of the data are counted as long as they were seen"],
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class NextEvents(Result[FrameT_co]):
    """What customers did after a step, instead of the next one, as `Funnel.next_events` returns it.

    Attributes
    ----------
    table : frame
        ``event`` (the first one after the step; "(nothing)" where none came inside the window), ``customers``, ``share`` with its Wilson
        interval ``share_low`` and ``share_high``, and ``median_seconds`` until then.

    Examples
    --------
    >>> import opsmetrics as om
    >>> events = om.make_events(300, rng=1)
    >>> found = om.funnel(events, ["view", "cart", "pay"], customer="customer", event="event", time="time")
    >>> list(found.next_events(after="cart").table.columns)
    ['event', 'customers', 'share', 'share_low', 'share_high', 'median_seconds']
    """

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN_LABELS)
        other = self.params["instead_of"]
        return _render.View(
            title=f"The next event after {self.params['after']}{f', instead of {other}' if other else ''}",
            facts=shown(self.params), columns=columns, rows=rows, bars=("share",), ids=("event",),
            total_rows=_output.height(self._tables["table"]), notes=dropped_notes(self.dropped),
        )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ by value


def demand_free(column: object, reserved: frozenset[str] = RESERVED) -> None:
    """A column of the log that has no namesake in the answer; what is no name of a column is refused where the log is read."""
    if isinstance(column, str):
        _checks.free("column", column, {*reserved, column} if column.endswith("_seconds") else reserved)


def groups(paths: Paths, *, by_size: bool) -> list[Ints]:
    """The paths of each value, the largest group first (or in the order of values), those without a value last."""
    codes = paths.value if paths.value is not None else np.zeros(len(paths), dtype=np.int64)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=codes[order][:1] - 1)) if len(codes) else np.empty(0, dtype=np.int64)
    found = np.split(order, starts[1:]) if len(codes) else []
    known, none = [g for g in found if codes[g[0]] != -1 or not by_size], [g for g in found if codes[g[0]] == -1 and by_size]
    if by_size and paths.values is not None:
        rank = _frames.rank(paths.values, "by")
        known.sort(key=lambda g: (-len(g), rank[codes[g[0]]]))
    return known + none


def breakdown(
    paths: Paths,
    reading: Reading,
    backend: Backend,
    by: str,
    params: Mapping[str, object],
    *,
    periods: bool,
    immature: npt.NDArray[np.bool_],
) -> FunnelBreakdown[Any]:
    """The funnel's table for each group of paths."""
    found = groups(paths, by_size=not periods)
    steps = len(reading.labels)
    parts = [tables.measures(paths.take(group), reading) for group in found]
    values = (
        np.array([paths.value[group[0]] for group in found], dtype=np.int64) if paths.value is not None else np.empty(0, dtype=np.int64)
    )
    names = tables.measures(paths.take(np.empty(0, dtype=np.int64)), reading)
    content: dict[str, Column] = {}
    if periods:
        content["period"] = _output.days(backend, np.repeat(values, steps))
    else:
        distinct = paths.values if paths.values is not None else _output.series(backend, [], _frames.TEXT)
        content[by] = _output.take_or_null(distinct, np.repeat(values, steps))
    content["step"] = _output.words(backend, reading.labels, np.tile(np.arange(steps), len(found)))
    content |= {name: np.concatenate([part[name] for part in parts] or [empty[:0]]) for name, empty in names.items()}
    if periods:
        counts = [int(np.count_nonzero(immature[group])) for group in found]
        content["immature"] = np.repeat(np.array(counts, dtype=np.int64), steps)
    return FunnelBreakdown(
        _tables={"table": _output.build(backend, content)},
        params={"by": by, **params},
        dropped=dict(paths.dropped or {}),
        _labels=reading.labels,
    )


def comparison(
    paths: Paths, reading: Reading, backend: Backend, by: str, baseline: object, denominator: str, params: Mapping[str, object]
) -> FunnelComparison[Any]:
    """Every value against the baseline, at every step but the first."""
    distinct = paths.values.to_list() if paths.values is not None else []
    if not isinstance(baseline, (str, int, float, np.generic)) or baseline not in distinct:
        raise ParameterError(
            f"baseline={baseline!r} is no value of {by!r} along the paths; it has {distinct[:20]}.{nearest(baseline, distinct)}",
            code="parameter.baseline",
        )
    own = distinct.index(baseline)
    found = groups(paths, by_size=True)
    rate = tables.of_entries if denominator == "entries" else tables.of_previous
    of = {int(paths.value[group[0]]): rate(paths.take(group), reading) for group in found} if paths.value is not None else {}
    if own not in of:
        raise ParameterError(f"baseline={baseline!r} has no path of its own; choose a value that has.", code="parameter.baseline")
    base, others = of[own], [code for code in of if code not in {own, -1}]  # paths without a value are no group
    if not others:
        raise DataError(
            f"column={by!r} has no other value than {baseline!r} along the paths; there is nothing to compare.", code="data.values"
        )
    steps = np.arange(1, len(reading.labels))
    content = [_against(of[code], base, steps, reading.confidence) for code in others]
    columns: dict[str, Column] = {
        by: _output.take_or_null(paths.values, np.repeat(np.array(others), len(steps))) if paths.values is not None else np.empty(0),
        "step": _output.words(backend, reading.labels, np.tile(steps, len(others))),
    }
    joined = {name: np.concatenate([part[name] for part in content]) for name in content[0]}
    joined["p_adjusted"] = multiplicity.adjust(joined["p_value"], "holm")
    few = [str(distinct[code]) for code in (own, *others) if of[code].base[0] < FEW]
    return FunnelComparison(
        _tables={"table": _output.build(backend, columns | joined)},
        params={"by": by, "baseline": baseline, "denominator": denominator, **params, "few": few or None},
        dropped=dict(paths.dropped or {}),
    )


def _against(one: tables.Rates, base: tables.Rates, steps: Ints, confidence: float) -> dict[str, npt.NDArray[Any]]:
    """The difference of two groups at some steps."""
    from scipy.special import ndtri

    p, q = (grouping.ratio(side.taken, side.base)[steps] for side in (one, base))
    m, n = one.effective[steps], base.effective[steps]
    k, j = np.nan_to_num(p) * m, np.nan_to_num(q) * n
    z = ndtri(0.5 + confidence / 2)
    low, high = proportions.newcombe(k, m, j, n, z, z)
    return {
        "base": one.base[steps], "rate": p, "baseline_rate": q, "difference": p - q, "difference_low": low, "difference_high": high,
        "p_value": proportions.score_test(k, m, j, n),
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------- times


def times(
    paths: Paths, reading: Reading, backend: Backend, between: tuple[int, int], levels: Sequence[float], edges: Sequence[object] | None
) -> StepTimes[Any]:
    """Waiting times between two steps of those who took both."""
    first, last = between
    both = paths.taken[first] & paths.taken[last]
    waits = paths.ticks[last][both] - paths.ticks[first][both]
    spans = tables.seconds(waits, reading.clock)
    bounds = _edges(spans, edges)
    counts = np.histogram(spans, bounds)[0] if spans.size else np.zeros(len(bounds) - 1, dtype=np.int64)
    share = grouping.ratio(counts, spans.size)
    histogram: dict[str, Column] = {
        "from_seconds": bounds[:-1], "to_seconds": bounds[1:], "customers": counts.astype(np.int64), "share": share,
        "cumulative_share": np.cumsum(share),
    }  # fmt: skip
    table: dict[str, Column] = {"quantile": np.array(levels), "seconds": tables.quantiles(waits, levels, reading.clock)}
    return StepTimes(
        _tables={"table": _output.build(backend, table), "histogram": _output.build(backend, histogram)},
        params={"from": reading.labels[first], "to": reading.labels[last], "customers": int(spans.size)},
        dropped=dict(paths.dropped or {}),
    )


def _edges(spans: Floats, edges: Sequence[object] | None) -> Floats:
    """The edges of a histogram: those given, or those a reader would choose."""
    if edges is None:
        top = float(spans.max(initial=0.0))
        wanted = [float(edge) for edge in _EDGES if edge <= top]
        return np.array([*wanted, next((float(edge) for edge in _EDGES if edge > top), top + 1.0)])
    given = [(_checks.duration("edges", edge) or 0) / 1e9 for edge in _checks.listed("edges", edges) if edge is not None]
    if len(given) < max(2, len(edges)) or any(after <= before for before, after in itertools.pairwise(given)):
        raise ParameterError(f"edges={list(edges)!r} must be two spans or more, each longer than the one before.", code="parameter.edges")
    return np.array(given)


def curve(
    paths: Paths, reading: Reading, backend: Backend, end: int, confidence: float, params: Mapping[str, object]
) -> ConversionCurve[Any]:
    """One less the Kaplan-Meier curve of the time from entry to the last required step."""
    goal = reading.steps.required[-1]
    converted = paths.taken[goal]
    seen = np.minimum(paths.limit, end) - paths.ticks[0]
    waits = np.where(converted, paths.ticks[goal] - paths.ticks[0], np.maximum(seen, 0))
    found = survival.kaplan_meier(waits, converted, confidence, paths.person if reading.clustered else None)
    content: dict[str, Column] = {
        "seconds": tables.seconds(found.time, reading.clock), "at_risk": found.at_risk.astype(np.int64), "converted": found.events,
        "censored": found.censored.astype(np.int64), "conversion": 1 - found.survival, "conversion_low": 1 - found.high,
        "conversion_high": 1 - found.low,
    }  # fmt: skip
    facts = {"customers": len(paths), "converted": int(converted.sum()), **params}
    return ConversionCurve(_tables={"table": _output.build(backend, content)}, params=facts, dropped=dict(paths.dropped or {}))


def next_events(paths: Paths, reading: Reading, backend: Backend, after: int, confidence: float) -> NextEvents[Any]:
    """The events that came after a step, of those who did not take the next required one."""
    later = [step for step in reading.steps.required if step > after]
    here = paths.taken[after] & ~(paths.taken[later[0]] if later else np.zeros(len(paths), dtype=np.bool_))
    chosen = paths.take(np.flatnonzero(here))
    found = groups(chosen, by_size=True)
    codes = [int(chosen.value[group[0]]) if chosen.value is not None else -1 for group in found]
    spoken = [] if chosen.values is None else [str(name) for name in chosen.values.to_list()]
    if NOTHING in spoken:
        raise DataError(f"event= has the value {NOTHING!r}, which names the end of a path; rename it.", code="data.label")
    happened = np.zeros((len(found), len(chosen)), dtype=np.bool_)
    for line, group in zip(happened, found, strict=True):
        line[group] = True
    share = tables.rates_of(happened, np.ones_like(happened), chosen.person, clustered=reading.clustered)
    low, high = tables.interval(share, confidence)
    waits = [np.empty(0, dtype=np.int64) if chosen.wait is None else chosen.wait[group] for group in found]
    medians = [tables.quantiles(wait[wait != MISSING], (0.5,), reading.clock)[0] for wait in waits]
    content: dict[str, Column] = {
        "event": _output.series(backend, [spoken[code] if code >= 0 else NOTHING for code in codes], _frames.TEXT),
        reading.counted: share.taken, "share": grouping.ratio(share.taken, len(chosen)), "share_low": low, "share_high": high,
        "median_seconds": np.array(medians, dtype=np.float64),
    }  # fmt: skip
    params: dict[str, object] = {
        "after": reading.labels[after], "instead_of": reading.labels[later[0]] if later else None, reading.counted: len(chosen),
        "confidence": confidence,
    }  # fmt: skip
    return NextEvents(_tables={"table": _output.build(backend, content)}, params=params, dropped=dict(paths.dropped or {}))
