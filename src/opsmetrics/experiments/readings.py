"""A frame of units, read once: the moments of every metric in every arm.

Rows stand for themselves, or belong to clusters, the units of randomisation, whose rows are then added up: a mean over rows is a ratio of
sums over clusters, and what clusters share is in its variance (the delta method is the cluster-robust variance with few-cluster correction:
A. Deng, J. Lu & W. Qin, 2021, arXiv:2105.14705).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial as bind
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from opsmetrics import _parts
from opsmetrics._frames import Backend, Floats, Ints, Use
from opsmetrics._kernels import moments
from opsmetrics._kernels.moments import Moments, Runs
from opsmetrics._parts import Part
from opsmetrics.errors import DataError
from opsmetrics.experiments.metrics import Metric, Quantile

LARGEST: Final = 1e30
"""Numbers beyond it are a mistake, and their cubes are no floats."""

ROWS: Final = 262_144
"""Rows that are looked at together, so that their scratch stays in the cache."""

MANY_VARIANTS: Final = 100
MANY_STRATA: Final = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be read: the metrics by name (a text is a bare column), their columns, and where values are cut."""

    metrics: Mapping[str, Metric | str]
    strata: bool
    clustered: bool
    cuts: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def columns(self, name: str) -> tuple[str, ...]:
        """The columns of a metric."""
        metric = self.metrics[name]
        return (metric,) if isinstance(metric, str) else metric.columns

    def parts(self, name: str) -> list[str]:
        """What each of them is called in a sentence."""
        metric = self.metrics[name]
        if isinstance(metric, str):
            return [""]
        many = len(metric.covariates) > 1
        return [
            *(f".{value}" for value in metric.values),
            *(f".covariate[{i}]" if many else ".covariate" for i in range(len(metric.covariates))),
        ]

    def base(self, name: str) -> int:
        """How many of them are its value: two for a ratio."""
        metric = self.metrics[name]
        return 1 if isinstance(metric, str) else len(metric.values)


@dataclass(frozen=True, slots=True)
class Found:
    """One metric in a part: the moments of its groups, which covariates are missing somewhere, and a value other than 0 and 1.

    Of a metric with a denominator the moments are those of value - `origin` denominator: where the ratio is large against what units differ
    by, squares of the values would lose all digits (T. F. Chan, G. H. Golub & R. J. LeVeque, 1983). `values`, `groups` and `clusters` are
    kept for quantiles only, which need them all.
    """

    moments: Moments
    indicators: tuple[int, ...] = ()
    odd: float | None = None
    missing: int = 0
    incomplete: int = 0
    values: Floats | None = None
    groups: Ints | None = None
    clusters: Ints | None = None
    origin: float = 0.0

    def about(self, origin: float) -> Found:
        """The same with another origin."""
        if self.origin == origin:
            return self
        moved = moments.tilted(self.moments, np.full(len(self.moments.n), self.origin - origin))
        return replace(self, moments=moved, origin=origin)


@dataclass(frozen=True, slots=True)
class Tally:
    """What a part says: units by group, the labels of its groups, and each metric."""

    units: Ints
    variants: Sequence[Any]
    strata: Sequence[Any]
    found: Mapping[str, Found]
    dropped: Mapping[str, int]
    torn: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """All parts together. Groups are variants by strata, all strata of the first variant first."""

    backend: Backend
    variants: Sequence[Any]
    strata: Sequence[Any]
    units: Ints
    found: Mapping[str, Found]
    dropped: Mapping[str, int]


def read(units: object, variant: str, asked: Asked, cluster: str | None, strata: str | None) -> Reading:
    """Read a frame of units."""
    uses = uses_of(asked, cluster, strata)
    uses.insert(int(cluster is not None), Use("variant", variant, "label"))
    source = _parts.read("units", units, uses, whole=cluster is not None)
    places = {use.column: use.argument for use in uses}
    if cut := {asked.columns(name)[0] for name in _winsorized(asked)}:
        kept = _parts.fold(source, lambda part: {column: part[places[column]] for column in cut})
        asked = with_cuts(asked, {column: np.concatenate([part[column] for part in kept]) for column in cut})
    tallies = _parts.fold(source, bind(_partial, asked=asked, uses=uses))
    if torn := sum(tally.torn for tally in tallies):
        raise DataError(
            f"cluster={cluster!r}: {torn:,} clusters have rows in more than one variant{' or stratum' if strata else ''}; a cluster is the "
            "unit that was randomised, and belongs to one. Leave those out, or find out why.",
            code="data.torn",
        )
    _demand_labels(tallies, uses)
    return _together(source.backend, tallies, asked)


def uses_of(asked: Asked, cluster: str | None, strata: str | None) -> list[Use]:
    """The columns that are read. A column that several metrics measure is read once; one that plays another part is told by the check."""
    uses = [Use("cluster", cluster, "key")] if cluster is not None else []
    uses += [Use("strata", strata, "label")] if strata is not None else []
    measured: dict[str, Use] = {}
    for name in asked.metrics:
        for column, part in zip(asked.columns(name), asked.parts(name), strict=True):
            measured.setdefault(column, Use(f"metrics[{name!r}]{part}", column, "measure"))
    return [*uses, *measured.values()]


def with_cuts(asked: Asked, columns: Mapping[str, Floats]) -> Asked:
    """The numbers at which winsorised columns are cut: quantiles of all units, whichever arm they are in.

    A cut-off of each arm's own makes false positives of up to 25 %.
    """
    cuts: dict[str, tuple[float, float]] = {}
    for name, ends in _winsorized(asked).items():
        values = columns[asked.columns(name)[0]]
        values = values[~np.isnan(values)]
        if len(values):
            low, high = np.quantile(values, ends).tolist()
            cuts[name] = (low, high)
    return replace(asked, cuts=cuts)


def _winsorized(asked: Asked) -> dict[str, tuple[float, float]]:
    """The metrics whose values are cut, and at which quantiles."""
    return {
        name: cuts
        for name, metric in asked.metrics.items()
        if not isinstance(metric, str) and (cuts := getattr(metric, "winsorize", None)) is not None
    }


def _partial(part: Part, asked: Asked, uses: Sequence[Use]) -> Tally:
    """The moments of some rows, or of some whole clusters."""
    groups, (variants, strata), dropped = _groups(part, asked)
    size = len(variants) * len(strata)
    columns = {use.column: part[use.argument] for use in uses if use.role == "measure"}
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found below
        if asked.clustered:
            tally = _clusters(part, asked, columns, groups, (variants, strata), dropped)
        else:
            blocks = [_block(columns, groups, slice(begin, begin + ROWS), size, asked) for begin in range(0, part.rows, ROWS)]
            found = {name: _joined([block[name] for _, block in blocks], size) for name in asked.metrics}
            tally = Tally(np.sum([units for units, _ in blocks], axis=0), variants, strata, found, dropped)
    if not all(map(_finite, tally.found.values())):
        refuse_extreme(columns, uses)
    return tally


def _groups(part: Part, asked: Asked) -> tuple[Ints, tuple[Sequence[Any], Sequence[Any]], dict[str, int]]:
    """The group of each row, -1 where it has none; the labels of variants and strata; and why rows have no group."""
    groups = part["variant"] if asked.clustered else part.codes
    variants = (part.labels["variant"] if asked.clustered else part.customers).to_list()
    labels = (variants, part.labels["strata"].to_list() if asked.strata else [None])
    dropped = {"no variant": int((groups < 0).sum())}
    if asked.strata:
        stratum = part["strata"]
        dropped["no stratum"] = int(((groups >= 0) & (stratum < 0)).sum())
        groups = np.where((groups >= 0) & (stratum >= 0), groups * len(labels[1]) + stratum, -1)
    if asked.clustered:
        dropped["no cluster"] = int(((groups >= 0) & (part.codes < 0)).sum())
        groups = np.where(part.codes >= 0, groups, -1)
    return groups, labels, dropped


def _finite(found: Found) -> bool:
    """Whether everything is a number that can be counted with."""
    if found.values is not None:
        return not bool(np.isinf(found.values).any())
    m = found.moments
    return bool((np.abs(m.mean) <= LARGEST).all() and np.isfinite(m.products).all() and np.isfinite(m.cubes).all())


def refuse_extreme(columns: Mapping[str, Floats], uses: Iterable[Use]) -> None:
    """Numbers whose cubes no float can hold."""
    for use in uses:
        if use.role != "measure":
            continue
        low, high = np.fmin.reduce(columns[use.column], initial=0.0), np.fmax.reduce(columns[use.column], initial=0.0)
        largest = float(max(-low, high))
        if largest > LARGEST:
            what = "infinite values" if np.isinf(largest) else f"values as large as {largest:.3g}"
            raise DataError(
                f"{use.argument}={use.column!r} has {what}; a mean of them says nothing. Find out where they come from.",
                code="data.infinite",
            )


def _block(columns: Mapping[str, Floats], groups: Ints, rows: slice, size: int, asked: Asked) -> tuple[Ints, dict[str, Found]]:
    """The units of a block in each group, and the moments of its rows."""
    codes = groups[rows]
    known = codes >= 0
    every = bool(known.all())
    narrow = np.min_scalar_type(size)
    all_runs = Runs.of((codes if every else codes[known]).astype(narrow))
    units = np.zeros(size, dtype=np.int64)
    units[all_runs.groups] = np.diff(all_runs.bounds)
    found = {}
    for name in asked.metrics:
        values, indicators, valid, incomplete = values_of([columns[column][rows] for column in asked.columns(name)], name, asked)
        own, runs, missing = codes, all_runs, 0
        if not every or valid is not None:
            present = known if valid is None else known & valid
            own, values = codes[present], [column[present] for column in values]
        if valid is not None:
            runs, missing = Runs.of(own.astype(narrow)), int((known & ~valid).sum())
        found[name] = _measured(values, runs, own, size, indicators, missing, incomplete, asked, name)
    return units, found


def values_of(given: Sequence[Floats], name: str, asked: Asked) -> tuple[list[Floats], tuple[int, ...], npt.NDArray[np.bool_] | None, int]:
    """The numbers of a metric, cut where they are to be: with covariates filled in, and indicators of where they were missing.

    Also which covariates have an indicator, which rows have a value (all, where None), and how many rows lack a covariate.
    """
    base, cuts = asked.base(name), asked.cuts.get(name)
    values = [*given] if cuts is None else [np.clip(given[0], *cuts), *given[1:]]
    # A least value that is a number tells that all are, in half the time of looking at each.
    gaps = {i: np.isnan(column) for i, column in enumerate(values) if np.isnan(column.min(initial=np.inf))}
    absent = [gap for i, gap in gaps.items() if i < base]
    valid = ~np.logical_or.reduce(absent) if absent else None
    missing = {i: gap for i, gap in gaps.items() if i >= base}
    if not missing:
        return values, (), valid, 0
    filled = [np.where(missing[i], 0.0, column) if i in missing else column for i, column in enumerate(values)]
    incomplete = int(np.logical_or.reduce(list(missing.values())).sum())
    return [*filled, *(gap.astype(np.float64) for gap in missing.values())], tuple(i - base for i in missing), valid, incomplete


def _measured(
    values: list[Floats], runs: Runs, codes: Ints, size: int, indicators: tuple[int, ...], missing: int, incomplete: int, asked: Asked,
    name: str, clusters: Ints | None = None,
) -> Found:  # fmt: skip
    if isinstance(asked.metrics[name], Quantile):
        return replace(nothing(size), missing=missing, values=values[0].copy(), groups=codes.copy(), clusters=clusters)
    values, origin = centred(values, asked.base(name))
    found = moments.of_units(values, runs, size, third=asked.base(name))
    metric = asked.metrics[name]
    zero_or_one = isinstance(metric, str) or metric.kind == "proportion"
    return Found(found, indicators, odd(values[0]) if zero_or_one else None, missing, incomplete, origin=origin)


def centred(values: list[Floats], base: int) -> tuple[list[Floats], float]:
    """Values less a multiple of their denominators, about what the ratio is in a few units; and the multiple, 0 without a denominator."""
    if base == 1:
        return values, 0.0
    few, whole = (float(column[: moments.FEW].sum()) for column in values[:2])
    origin = few / whole if whole else 0.0
    if not np.isfinite(origin):
        return values, 0.0
    return [values[0] - origin * values[1], *values[1:]], origin


def nothing(size: int) -> Found:
    """No moments, which quantiles have not."""
    return Found(Moments(np.zeros(size), np.zeros((size, 1)), np.zeros((size, 1, 1)), np.zeros((size, 0, 0, 0))))


def odd(values: Floats) -> float | None:
    """The first value that is neither 0 nor 1."""
    places = np.flatnonzero((values != 0) & (values != 1))
    return float(values[places[0]]) if len(places) else None


def _clusters(
    part: Part, asked: Asked, columns: Mapping[str, Floats], groups: Ints, labels: tuple[Sequence[object], Sequence[object]],
    dropped: Mapping[str, int],
) -> Tally:  # fmt: skip
    """The moments of clusters: of the sums over their rows, and of the number of rows."""
    size = len(labels[0]) * len(labels[1])
    rows = np.flatnonzero(groups >= 0)
    codes, count = part.codes[rows], len(part.customers)
    of_cluster = np.full(count, -1, dtype=np.int64)
    of_cluster[codes[::-1]] = groups[rows[::-1]]
    torn = len(np.unique(codes[groups[rows] != of_cluster[codes]]))
    found = {}
    for name in asked.metrics:
        values, indicators, valid, incomplete = values_of([columns[column][rows] for column in asked.columns(name)], name, asked)
        own = codes if valid is None else codes[valid]
        kept = values if valid is None else [column[valid] for column in values]
        missing = 0 if valid is None else int((~valid).sum())
        if isinstance(asked.metrics[name], Quantile):
            found[name] = _measured(kept, Runs.of(own[:0]), of_cluster[own], size, (), missing, 0, asked, name, own)
            continue
        sums, there = sums_of(kept, own, count, asked.base(name))
        runs = Runs.of(of_cluster[there].astype(np.min_scalar_type(size)))
        sums, origin = centred(sums, 2)
        summed = moments.of_units(sums, runs, size, third=2)
        found[name] = Found(summed, indicators, odd(kept[0]), missing, incomplete, origin=origin)
    units = np.bincount(of_cluster[of_cluster >= 0], minlength=size)
    return Tally(units, *labels, found, dropped, torn)


def sums_of(values: Sequence[Floats], clusters: Ints, count: int, base: int) -> tuple[list[Floats], Ints]:
    """The sums over the rows of each cluster, and which clusters have rows.

    A mean over rows is a ratio to their number, which is a covariate too where there are others: their sums grow with it.
    """
    rows: Floats = np.bincount(clusters, minlength=count).astype(np.float64)
    sums: list[Floats] = [np.asarray(np.bincount(clusters, weights=column, minlength=count), dtype=np.float64) for column in values]
    sums = [sums[0], rows if base == 1 else sums[1], *([rows] if len(sums) > base else []), *sums[base:]]
    there = np.flatnonzero(rows > 0)
    return [column[there] for column in sums], there


# ----------------------------------------------------------------------------------------------------------- merging


def _joined(found: Sequence[Found], size: int, codes: Sequence[Ints] | None = None) -> Found:
    """Parts of one metric as one; `codes` says which of `size` groups each group of a part is (the same ones by default)."""
    if len(found) == 1:
        (one,) = found
        if codes is None:
            return one
        groups = None if one.groups is None else codes[0][one.groups]
        return replace(one, moments=one.moments[np.argsort(codes[0])], groups=groups)
    places = [np.arange(len(part.moments.n)) for part in found] if codes is None else codes
    indicators = tuple(sorted({i for part in found for i in part.indicators}))
    origin = found[0].origin
    stacked = moments.stack(_widened(part.about(origin), indicators) for part in found)
    odd = next((part.odd for part in found if part.odd is not None), None)
    whole = Found(
        moments.merge(stacked, np.concatenate(places), size), indicators, odd, sum(part.missing for part in found),
        sum(part.incomplete for part in found), origin=origin,
    )  # fmt: skip
    if found[0].values is None:
        return whole
    starts = np.cumsum([0, *(_last(part.clusters) + 1 for part in found)])
    return replace(
        whole,
        values=np.concatenate([part.values for part in found if part.values is not None]),
        groups=np.concatenate([place[part.groups] for place, part in zip(places, found, strict=True) if part.groups is not None]),
        clusters=None
        if found[0].clusters is None
        else np.concatenate([part.clusters + start for start, part in zip(starts, found, strict=False) if part.clusters is not None]),
    )


def _last(codes: Ints | None) -> int:
    return -1 if codes is None else int(codes.max(initial=-1))


def _widened(found: Found, indicators: tuple[int, ...]) -> Moments:
    """Moments with room for all indicators: where a part has none of them, they are all zero."""
    m, missing = found.moments, [i for i in indicators if i not in found.indicators]
    if not missing:
        return m
    p = m.mean.shape[1] - len(found.indicators)
    order = [*range(p), *(p + found.indicators.index(i) if i in found.indicators else -1 for i in indicators)]
    mean = np.concatenate([m.mean, np.zeros((len(m.n), 1))], axis=1)[:, order]
    padded = np.pad(m.products, ((0, 0), (0, 1), (0, 1)))
    return Moments(m.n, mean, padded[:, order][:, :, order], m.cubes)


def _demand_labels(tallies: Sequence[Tally], uses: Sequence[Use]) -> None:
    """Some rows have a variant, a stratum, and a cluster."""
    empty = {
        "variant": not any(tally.variants for tally in tallies), "strata": not any(tally.strata for tally in tallies),
        "cluster": not any(tally.units.any() for tally in tallies),
    }  # fmt: skip
    for use in uses:
        if not empty.get(use.argument):
            continue
        sentence = f"{use.argument}={use.column!r} is missing in every row; there is nothing to compare."
        if use.argument == "variant":
            raise DataError(sentence, code="data.variant")
        raise DataError(sentence, code="data.missing")


def _together(backend: Backend, tallies: Sequence[Tally], asked: Asked) -> Reading:
    """All parts as one, over the labels of all."""
    variants, strata = (_labels([getattr(tally, name) for tally in tallies]) for name in ("variants", "strata"))
    for name, labels, most in (("variant", variants, MANY_VARIANTS), ("strata", strata, MANY_STRATA)):
        if len(labels) > most:
            raise DataError(
                f"{name} has {len(labels):,} values, more than {most:,}; is it a column of ids? Name the column of the "
                f"{'arms' if name == 'variant' else 'strata'}.",
                code=f"data.{name}",
            )
    size = len(variants) * len(strata)
    codes = []
    for tally in tallies:
        own = np.array([variants.index(label) for label in tally.variants], dtype=np.int64)
        inner = np.array([strata.index(label) for label in tally.strata], dtype=np.int64)
        codes.append((own[:, None] * len(strata) + inner).ravel())
    units = np.zeros(size, dtype=np.int64)
    for tally, code in zip(tallies, codes, strict=True):
        np.add.at(units, code, tally.units)
    found = {name: _joined([tally.found[name] for tally in tallies], size, codes) for name in asked.metrics}
    reasons = dict.fromkeys(reason for tally in tallies for reason in tally.dropped)
    dropped = {reason: rows for reason in reasons if (rows := sum(tally.dropped[reason] for tally in tallies))}
    dropped |= {f"{name} missing": own.missing for name, own in found.items() if own.missing}
    return Reading(backend, variants, strata, units, found, dropped)


def _labels(parts: Sequence[Sequence[object]]) -> list[object]:
    """All labels in order."""
    return in_order(list(dict.fromkeys(label for part in parts for label in part)))


def in_order(labels: Iterable[Any]) -> list[Any]:
    """Labels in order: numbers by size, text by code point."""
    return sorted(labels, key=lambda label: (isinstance(label, str), label))
