"""From a reading of units to what can be compared: the kinds of bare columns, strata with too few units, quantiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np

from opsmetrics._frames import Floats, Ints
from opsmetrics._kernels import moments, quantiles
from opsmetrics._kernels.moments import Moments
from opsmetrics.errors import DataError
from opsmetrics.experiments.measured import Layout, Measured
from opsmetrics.experiments.metrics import Mean, Metric, Proportion, Quantile
from opsmetrics.experiments.readings import Found, Reading

T = TypeVar("T")

RESAMPLES: Final = 2_000
"""Bootstrap samples: the standard error is then known to 1.6 %."""

LEAST: Final = 2
"""Units that a stratum must have in each arm, to have a variance."""

EXPECTED: Final = 10
"""Units that a stratum should be expected to have in the smallest arm."""

_Z: Final = 1.959963984540054
"""The interval of 95 % whose width tells the standard error of a quantile."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """How quantiles are resampled."""

    rng: np.random.Generator
    progress: bool


def resolve(metrics: Mapping[str, Metric | str], found: Mapping[str, Found]) -> dict[str, Metric]:
    """The metrics, bare columns as what they hold: a proportion where that is 0 and 1 only, else a mean."""
    resolved: dict[str, Metric] = {}
    for name, metric in metrics.items():
        own = found[name]
        if isinstance(metric, Proportion) and own.odd is not None:
            raise DataError(
                f"metrics[{name!r}]: column {metric.column!r} holds {own.odd:g}; a proportion counts units for which something is true, as "
                f"0 and 1 or as booleans. Did you mean om.Mean({metric.column!r})?",
                code="data.proportion",
            )
        resolved[name] = metric if isinstance(metric, Metric) else Proportion(metric) if own.odd is None else Mean(metric)
        if not own.moments.n.any() and (own.values is None or not len(own.values)):
            raise DataError(f"metrics[{name!r}] is missing in every row; there is nothing to compare.", code="data.missing")
    return resolved


def measure(reading: Reading, metrics: Mapping[str, Metric], sizing: Sizing, *, clustered: bool) -> list[Measured]:
    """Each metric in all arms of the one test."""
    groups = (len(reading.variants), len(reading.strata))
    return [
        replace(measured_of(reading.found[name], metric, groups, sizing, (name, place), clustered=clustered), sizes=_sizes(reading, metric))
        for place, (name, metric) in enumerate(metrics.items())
    ]


def _sizes(reading: Reading, metric: Metric) -> Floats:
    """The units of every cell; quantiles are of all strata together."""
    units = reading.units.astype(np.float64)
    return units.reshape(len(reading.variants), -1).sum(axis=1) if isinstance(metric, Quantile) else units


def measured_of(
    found: Found, metric: Metric, groups: tuple[int, int], sizing: Sizing, named: tuple[str, int], *, clustered: bool
) -> Measured:
    """One metric in all arms of one test. `groups` are the numbers of variants and of strata, `named` the metric's name and place."""
    variants, strata = groups
    cells, covariates = found.moments, len(metric.covariates)
    if isinstance(metric, Quantile):
        cells, strata, layout = _quantiles(found, metric, groups, sizing, named[0]), 1, Layout("quantile", clusters=clustered)
    else:
        layout = Layout(metric.kind, 2 if clustered else len(metric.values), clustered and covariates > 0, covariates, found.indicators)
    return Measured(
        layout,
        np.zeros(variants, dtype=np.int64),
        np.arange(variants),
        cells,
        cells.n,
        strata,
        np.array([named[1]]),
        np.array([found.origin]),
    )


def together(entries: Sequence[tuple[Measured, Metric]]) -> list[tuple[Measured, Metric]]:
    """Metrics that are asked the same of the same kind of numbers as so many tests of one, which are then compared at once."""
    alike: dict[object, list[tuple[Measured, Metric]]] = {}
    for own, metric in entries:
        key = (own.layout, own.strata, own.cells.cubes.shape[1], metric.options)
        alike.setdefault(key, []).append((own, metric))
    return [(stacked([own for own, _ in group]), group[0][1]) for group in alike.values()]


def stacked(parts: Sequence[Measured]) -> Measured:
    """The tests of several as those of one."""
    if len(parts) == 1:
        return parts[0]
    starts = np.cumsum([0, *(len(own.place) for own in parts)]).tolist()
    return replace(
        parts[0],
        test=np.concatenate([own.test + start for own, start in zip(parts, starts, strict=False)]),
        variant=np.concatenate([own.variant for own in parts]),
        cells=moments.stack(own.cells for own in parts),
        sizes=np.concatenate([own.sizes for own in parts]),
        place=np.concatenate([own.place for own in parts]),
        origin=np.concatenate([own.origin for own in parts]),
    )


def thick(measured: Measured) -> tuple[Measured, Ints]:
    """Strata of enough units: small ones of a test are one, or join its smallest. Also the places of tests that have no strata left.

    Whether a stratum is small is told by its units in all arms: to look at how they were split would put those together whose split is
    lopsided, and the difference between strata would pass for one between arms. Where an arm still has no variance in a stratum, the test
    has none.
    """
    if measured.strata == 1:
        return measured, measured.place[:0]
    n = measured.cells.n.reshape(-1, measured.strata)
    into = np.tile(np.where(n.sum(axis=0) > 0, np.arange(measured.strata), 0), (len(n), 1))
    for test in range(len(measured.place)):
        arms = np.flatnonzero(measured.test == test)
        units = n[arms].sum(axis=0)
        share = n[arms].sum(axis=1).min() / max(units.sum(), 1.0)
        small = np.flatnonzero((units > 0) & (units * share < EXPECTED))
        good = np.flatnonzero(units * share >= EXPECTED)
        if len(small):
            together = units[small].sum() * share >= EXPECTED or not len(good)
            into[np.ix_(arms, small)] = small[0] if together else good[np.argmin(units[good])]
    whole = _restrata(measured, into)
    left = whole.cells.n.reshape(n.shape)
    torn = (
        np.bincount(
            measured.test,
            weights=((left < LEAST) & (moments.summed(left, measured.test, len(measured.place))[measured.test] > 0)).any(axis=1),
        )
        > 0
    )
    if torn.any():
        into[torn[measured.test]] = 0
        whole = _restrata(measured, into)
    if not into.any():
        return replace(whole, cells=whole.cells[np.arange(0, n.size, measured.strata)], sizes=n.sum(axis=1), strata=1), measured.place[torn]
    return whole, measured.place[torn]


def _restrata(measured: Measured, into: Ints) -> Measured:
    """The same arms, each of their strata in another one."""
    codes = (np.arange(len(into))[:, None] * measured.strata + into).ravel()
    return replace(measured, cells=moments.merge(measured.cells, codes, into.size))


# ----------------------------------------------------------------------------------------------------------- quantiles


def _quantiles(found: Found, metric: Quantile, groups: tuple[int, int], sizing: Sizing, name: str) -> Moments:
    """A quantile of each arm as if it were a mean: its value, and as the variance of one unit n times its squared standard error."""
    variants, strata = groups
    values, arm = found.values, found.groups // strata  # type: ignore[operator]
    n, mean, variance = np.zeros(variants), np.zeros(variants), np.zeros(variants)
    for variant in range(variants):
        own = np.flatnonzero(arm == variant)
        order = own[np.argsort(values[own], kind="stable")]  # type: ignore[index]
        ordered, clusters = values[order], None if found.clusters is None else found.clusters[order]  # type: ignore[index]
        n[variant] = len(order) if clusters is None else len(np.unique(clusters))
        mean[variant] = quantiles.quantile(ordered, metric.q)
        error = _error(ordered, clusters, metric, sizing, f"{name}, arm {variant + 1} of {variants}")
        variance[variant] = error**2 * n[variant]
    products = variance * np.maximum(n - 1, 0)
    return Moments(n, np.nan_to_num(mean)[:, None], products[:, None, None], np.zeros((variants, 0, 0, 0)))


def _error(ordered: Floats, clusters: Ints | None, metric: Quantile, sizing: Sizing, title: str) -> float:
    """The standard error of a quantile."""
    if len(ordered) < 2:
        return np.nan
    if metric.method == "bootstrap":
        if clusters is None:
            return float(np.std(quantiles.bootstrap(ordered, metric.q, RESAMPLES, sizing.rng), ddof=1))
        return float(np.std(_resampled(ordered, clusters, metric.q, sizing, title), ddof=1))
    share = None if clusters is None else _share_variance(ordered, clusters, metric.q)
    return quantiles.standard_error(ordered, metric.q, _Z, share)


def _share_variance(ordered: Floats, clusters: Ints, q: float) -> float:
    """Of the share of values up to the quantile, a ratio of sums over clusters."""
    below = ordered <= quantiles.quantile(ordered, q)
    ids = np.unique(clusters, return_inverse=True)[1]
    rows, hits = np.bincount(ids), np.bincount(ids, weights=below)
    m = len(rows)
    residuals = hits - below.mean() * rows
    return float(m / max(m - 1, 1) * (residuals @ residuals) / len(ordered) ** 2)


def _resampled(ordered: Floats, clusters: Ints, q: float, sizing: Sizing, title: str) -> Floats:
    """Quantiles of samples of whole clusters."""
    ids = np.unique(clusters, return_inverse=True)[1]
    m = int(ids.max()) + 1
    found = np.empty(RESAMPLES)
    for i in progressing(range(RESAMPLES), title, show=sizing.progress):
        times = np.bincount(sizing.rng.integers(0, m, m), minlength=m)[ids]
        reached = np.cumsum(times)
        found[i] = ordered[np.searchsorted(reached, q * reached[-1])]
    return found


def progressing(rounds: Sequence[T], title: str, *, show: bool) -> Iterable[T]:
    """Rounds behind a progress bar, where one is asked for."""
    if not show:
        return rounds
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError('progress=True needs tqdm: pip install "opsmetrics[progress]"') from None
    bar: Iterable[T] = tqdm(rounds, desc=title)
    return bar
