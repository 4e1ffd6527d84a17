"""The numbers of a funnel, read off its paths: counts, rates with their intervals, times, money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from opsmetrics import _frames, _output
from opsmetrics._clock import Clock
from opsmetrics._frames import Backend, Column, Floats, Ints, Use
from opsmetrics._kernels import grouping, rates
from opsmetrics.funnels.facts import Paths
from opsmetrics.funnels.steps import Steps

QUANTILES = (0.5, 0.9)


@dataclass(frozen=True, slots=True)
class Reading:
    """How paths are read: the names of the steps, the clock, and whether paths of one customer depend on each other."""

    labels: tuple[str, ...]
    steps: Steps
    clock: Clock
    confidence: float
    counted: str
    clustered: bool


@dataclass(frozen=True, slots=True)
class Rates:
    """For each step: who took it, out of whom, and how many independent trials these are worth."""

    taken: Ints
    base: Ints
    effective: Floats


def measures(paths: Paths, reading: Reading) -> dict[str, Any]:
    """The columns of a funnel's table, one row per step."""
    entered = of_entries(paths, reading)
    before = of_previous(paths, reading)
    low, high = interval(entered, reading.confidence)
    if len(paths):
        low[0] = high[0] = 1.0  # whoever enters has entered
    required = np.isin(np.arange(len(reading.labels)), reading.steps.required)
    step, whole = _waits(paths)
    tied = np.array([int(np.count_nonzero(wait == 0)) for wait in step], dtype=np.int64)
    columns: dict[str, Any] = {
        reading.counted: entered.taken,
        "conversion": grouping.ratio(entered.taken, entered.base),
        "conversion_low": low,
        "conversion_high": high,
        "step_conversion": grouping.ratio(before.taken, before.base),
        "dropped": np.where(required, before.base - before.taken, 0),
        "tied": tied,
    }
    since_step = [quantiles(wait, QUANTILES, reading.clock) for wait in step]
    since_entry = since_step[:2] + [quantiles(wait, QUANTILES, reading.clock) for wait in whole[2:]]  # before the second is the entry
    for prefix, found in (("step_", np.array(since_step)), ("", np.array(since_entry))):
        columns |= {f"median_{prefix}seconds": found[:, 0], f"p90_{prefix}seconds": found[:, 1]}
    if paths.amount is not None:
        columns["amount"] = np.concatenate([_sum(line) for line in paths.amount])
    return columns


def of_entries(paths: Paths, reading: Reading) -> Rates:
    """Each step out of those who entered."""
    taken = paths.taken
    return rates_of(taken, np.ones_like(taken), paths.person, clustered=reading.clustered)


def of_previous(paths: Paths, reading: Reading) -> Rates:
    """Each step out of those who took the required step before it."""
    taken = paths.taken
    base = np.ones_like(taken)
    for number in range(1, len(taken)):
        base[number] = taken[max(step for step in reading.steps.required if step < number)]
    return rates_of(taken & base, base, paths.person, clustered=reading.clustered)


def rates_of(taken: npt.NDArray[np.bool_], base: npt.NDArray[np.bool_], person: Ints, *, clustered: bool) -> Rates:
    """The rates of steps taken among those in their base, both as masks of paths; customers are clusters where paths are clustered."""
    k, n = (np.array([np.count_nonzero(line) for line in lines], dtype=np.int64) for lines in (taken, base))
    if not clustered:
        return Rates(k, n, n.astype(np.float64))
    _, code = np.unique(person, return_inverse=True)
    size = int(code.max(initial=-1)) + 1
    sizes = []
    for y, x in zip(taken, base, strict=True):
        ys, xs = np.bincount(code, y, minlength=size), np.bincount(code, x, minlength=size)
        sums = (ys.sum(), xs.sum(), ys @ ys, ys @ xs, xs @ xs, np.count_nonzero(xs))
        sizes.append(float(rates.effective_size(*(np.float64(value) for value in sums))))
    return Rates(k, n, np.array(sizes))


def interval(found: Rates, confidence: float) -> tuple[Floats, Floats]:
    """Wilson's interval of each rate, for as many trials as they are worth."""
    share = grouping.ratio(found.taken, found.base)
    return rates.wilson(np.where(found.base > 0, share, 0.0) * found.effective, found.effective, confidence)


def _waits(paths: Paths) -> tuple[list[Ints], list[Ints]]:
    """For each step, the ticks since the step taken before it and since the entry, of those who took it."""
    step, whole = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    entry, last = paths.ticks[0], paths.ticks[0].copy()
    for ticks, there in zip(paths.ticks[1:], paths.taken[1:], strict=True):
        rows = np.flatnonzero(there)
        here = ticks[rows]
        step.append(here - last[rows])
        whole.append(here - entry[rows])
        last[rows] = here
    return step, whole


def quantiles(waits: Ints, levels: Sequence[float], clock: Clock) -> Floats:
    """Quantiles in seconds, between neighbours by the line (type 7 of Hyndman & Fan 1996); missing where nobody waited."""
    if waits.size == 0:
        return np.full(len(levels), np.nan)
    return np.asarray(np.quantile(waits, levels) / float(clock.per_second))


def seconds(ticks: Ints, clock: Clock) -> Floats:
    """Ticks as seconds."""
    return np.asarray(ticks / float(clock.per_second))


def _sum(amounts: Floats) -> Floats:
    known = amounts[~np.isnan(amounts)]
    return grouping.money_sums(np.zeros(len(known), dtype=np.int64), 1, known)


def customers_frame(
    paths: Paths, reading: Reading, backend: Backend, customer: Use, hold: Sequence[Use], immature: npt.NDArray[np.bool_]
) -> Any:
    """One row per path, in the order of customers and of what is held constant, then of time."""
    nobody = _output.series(backend, [], _frames.TEXT)
    ids = _frames.concat(paths.customers) if paths.customers else nobody
    sides = paths.held or [(np.empty(0, dtype=np.int64), nobody)] * len(hold)
    keys = [
        paths.ticks[0],
        *(_frames.rank(values, use.argument)[codes] for use, (codes, values) in zip(reversed(hold), reversed(sides), strict=True)),
    ]
    order = np.lexsort((*keys, _frames.rank(ids, "customer")[paths.person]))
    ordered = paths.take(order)
    content: dict[str, Column] = {customer.column: _frames.take(ids, ordered.person)}
    content |= {use.column: _frames.take(values, codes[order]) for use, (codes, values) in zip(hold, sides, strict=True)}
    content |= {"level": ordered.level, "immature": immature[order]}
    content |= {f"time_{number}": _output.stamps(backend, ticks, reading.clock) for number, ticks in enumerate(ordered.ticks, 1)}
    if ordered.row is not None:
        content |= {f"row_{number}": _output.whole_or_null(backend, rows, rows >= 0) for number, rows in enumerate(ordered.row, 1)}
    return _output.build(backend, content)
