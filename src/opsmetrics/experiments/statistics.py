"""The statistics of tests as a table: what the frame of units comes down to, and the second door.

One row per metric, variant and stratum has everything that every estimate needs: how many units, means, variances and covariances. Rows of
the same ones add up, so days, machines and shards are put one below the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames
from opsmetrics._frames import Backend, Floats, Ints, Use
from opsmetrics._kernels import grouping, moments
from opsmetrics._kernels.moments import Moments
from opsmetrics.errors import ColumnError, DataError, ParameterError, nearest
from opsmetrics.experiments.measured import Layout, Measured, numbered
from opsmetrics.experiments.metrics import Kind
from opsmetrics.experiments.readings import LARGEST, in_order

KINDS: Final[tuple[Kind, ...]] = ("proportion", "mean", "ratio", "quantile")
MOST_COVARIATES: Final = 50
ROUNDING: Final = 1e-7
"""What sums of products may have lost, as a part of them."""


def _mean(name: str) -> str:
    return "mean" if name == "value" else f"{name}_mean"


def _variance(name: str) -> str:
    return "variance" if name == "value" else f"{name}_variance"


def _covariance(one: str, other: str) -> str:
    return f"covariance_{other}" if one == "value" else f"covariance_{one}_{other}"


_CUBES: Final = {
    "third_moment": (0, 0, 0), "third_moment_21": (0, 0, 1), "third_moment_12": (0, 1, 1), "third_moment_denominator": (1, 1, 1),
}  # fmt: skip


def columns_of(measured: Measured) -> dict[str, Floats]:
    """The statistics of every cell, by the names of their columns; those without units are missing."""
    cells = measured.raw_cells
    n = np.where(cells.n > 0, cells.n, np.nan)
    found: dict[str, Floats] = {"n": cells.n}
    if measured.layout.kind == "proportion" and measured.layout.plain:
        return found | {"successes": np.rint(cells.n * cells.mean[:, 0])}
    names = measured.layout.names
    for i, name in enumerate(names):
        found[_mean(name)] = np.where(cells.n > 0, cells.mean[:, i], np.nan)
        found[_variance(name)] = cells.covariance[:, i, i]
    for (i, one), (j, other) in itertools.combinations(enumerate(names), 2):
        found[_covariance(one, other)] = cells.covariance[:, i, j]
    d = cells.cubes.shape[1]
    return found | {name: cells.cubes[:, at[0], at[1], at[2]] / n for name, at in _CUBES.items() if max(at) < d}


# ------------------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True)
class Read:
    """The statistics of many tests, as a caller gave them: labels of the columns `by`, of metrics and variants, and what was measured."""

    backend: Backend
    by: Mapping[str, Any]
    metrics: Sequence[str]
    variants: Sequence[object]
    strata: Sequence[object]
    measured: Sequence[Measured]
    experiment: Ints
    metric: Ints


def enter(stats: object, by: Sequence[str]) -> Read:
    """Check a table of statistics, or records, and bring the rows of each arm together."""
    frame = _table(stats)
    names = list(frame.collect_schema())
    uses = [Use("by", column, "label") for column in by]
    _frames.check(frame, uses)
    if "variant" not in names:
        raise ColumnError(f"stats has no column 'variant'; it has {names}.{nearest('variant', names)}", code="column.missing")
    keys = [Use("variant", "variant", "label"), *(Use(name, name, "label") for name in ("metric", "stratum", "kind") if name in names)]
    numbers = [Use(name, name, "number") for name in names if name in _known(names)]
    _frames.check(frame, [*uses, *keys, *numbers])
    eager = _frames.collect(frame)
    _checks.not_empty("stats", len(eager))
    coded = {use.argument if use.argument != "by" else use.column: _frames.encode(eager[use.column], use) for use in [*uses, *keys]}
    for name, (codes, _) in coded.items():
        if (codes < 0).any():
            raise DataError(f"stats has {int((codes < 0).sum()):,} rows without a {name}; every row needs one.", code="data.stats")
    columns = {use.column: _frames.values_in(eager, use) for use in numbers}
    if "n" not in columns:
        raise ColumnError(f"stats has no column 'n', the number of units; it has {names}.{nearest('n', names)}", code="column.missing")
    return _arrange(_frames.family(frame), by, coded, columns)


def _table(stats: object) -> Any:
    """A frame, records, or a mapping of variants to records."""
    if isinstance(stats, Mapping):
        for variant, record in stats.items():
            if not isinstance(record, Mapping):
                raise ParameterError(
                    f"stats[{variant!r}]={_checks.short(record)} must be a mapping such as {{'n': 10000, 'successes': 500}}.",
                    code="parameter.stats",
                )
        stats = [{"variant": variant, **record} for variant, record in stats.items()]
    if isinstance(stats, Sequence) and not isinstance(stats, str):
        import pandas as pd

        if not stats or not all(isinstance(record, Mapping) for record in stats):
            raise ParameterError("stats must be a table, or a list of at least one mapping.", code="parameter.stats")
        stats = pd.DataFrame(list(stats))
        stats = stats.astype({name: float for name in stats.columns if stats[name].isna().all()})  # from JSON: null, and not text
    return _frames.wrap("stats", stats)


def _known(names: Sequence[str]) -> set[str]:
    """The columns of statistics that there may be, given those that there are."""
    covariates = next((i for i in range(MOST_COVARIATES) if _mean(numbered("covariate", i)) not in names), MOST_COVARIATES)
    numbers = Layout("ratio", 2, True, covariates, tuple(range(covariates))).names
    pairs = {_covariance(*pair) for pair in itertools.combinations(numbers, 2)}
    return {"n", "units", "successes", *_CUBES, *pairs, *(column(name) for name in numbers for column in (_mean, _variance))}


def _arrange(backend: Backend, by: Sequence[str], coded: Mapping[str, tuple[Ints, Any]], columns: Mapping[str, Floats]) -> Read:
    """Rows into arms: tests in the order in which they come, and for each layout of statistics one `Measured`."""
    rows = len(columns["n"])
    nothing = np.zeros(rows, dtype=np.int64)
    metric, names = coded.get("metric", (nothing, None))
    variant, variants = _in_order(*coded["variant"])
    stratum, groups = coded.get("stratum", (nothing, None))
    strata = [None] if groups is None else groups.to_list()
    experiment = _packed([coded[column][0] for column in by], rows)
    first = _frames.first_rows(experiment)
    labels = {column: _frames.take(coded[column][1], coded[column][0][first]) for column in by}
    metrics = ["metric"] if names is None else [str(name) for name in names.to_list()]
    tests, test = grouping.dense(experiment * len(metrics) + metric, len(first) * len(metrics))
    layouts, layout = _layouts(coded.get("kind"), columns, metrics, test, metric)
    layout = _of_empty(layout, test, columns["n"])
    _demand_alike(layout, test, metrics, metric)
    parts = [(own, at) for i, own in enumerate(layouts) for at in _by_cubes(own, columns, test, np.flatnonzero(layout == i)) if len(at)]
    measured = [_measure(own, columns, _Rows(at, test, variant, stratum), (len(variants), len(strata))) for own, at in parts]
    return Read(backend, labels, metrics, variants, strata, measured, tests // len(metrics), tests % len(metrics))


def _in_order(codes: Ints, labels: Any) -> tuple[Ints, list[Any]]:
    """Variants in the order of their labels, as in a frame of units."""
    listed = labels.to_list()
    ordered = in_order(listed)
    return np.array([ordered.index(label) for label in listed], dtype=np.int64)[codes], ordered


def _packed(codes: Sequence[Ints], rows: int) -> Ints:
    """Several codes as one, in the order in which they come."""
    packed, *others = codes or [np.zeros(rows, dtype=np.int64)]
    for code in others:
        packed, _ = _frames.factorize(packed * (int(code.max(initial=0)) + 1) + code)
    return packed


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of one layout, and of all rows the test, the variant and the stratum."""

    at: Ints
    test: Ints
    variant: Ints
    stratum: Ints


def _layouts(
    kind: tuple[Ints, Any] | None, columns: Mapping[str, Floats], metrics: Sequence[str], test: Ints, metric: Ints
) -> tuple[list[Layout], Ints]:
    """The layout of each row, told by what is not missing."""
    rows = len(metric)

    def has(name: str) -> npt.NDArray[np.bool_]:
        return ~np.isnan(columns[name]) if name in columns else np.zeros(rows, dtype=np.bool_)

    counted, ratio, summed = has("successes"), has("denominator_mean"), has("rows_mean")
    covariates, missing = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    for place in range(MOST_COVARIATES):
        if not (more := has(_mean(numbered("covariate", place)))).any():
            break
        missing |= has(_mean(numbered("missing", place))).astype(np.int64) << place
        covariates[more] += 1
    told = counted | has("mean") | (columns["n"] == 0)
    if not told.all():
        name = metrics[int(metric[np.argmin(told)])]
        raise DataError(
            f"stats: metric {name!r} has rows with neither 'successes' nor 'mean' and 'variance'; give one or the other.", code="data.stats"
        )
    np.bitwise_or.at(together := np.zeros(int(test.max(initial=-1)) + 1, dtype=np.int64), test, missing)
    missing = together[test]  # rows in which none is missing have none of these columns
    own = np.where(counted, 0, np.where(ratio, 2, 1))
    if kind is not None:
        stated = np.array([KINDS.index(_checks.choice("kind", word, KINDS)) for word in kind[1].to_list()], dtype=np.int64)
        own = np.where(counted, 0, stated[kind[0]])
        lacking = (own == KINDS.index("ratio")) & ~ratio & ~counted
        if lacking.any():
            name = metrics[int(metric[np.argmax(lacking)])]
            raise DataError(
                f"stats: the ratio {name!r} has rows without 'denominator_mean'; give its denominator, or kind='mean'.", code="data.stats"
            )
    shape, of_shape = np.unique(missing, return_inverse=True)
    packed = (((own * 2 + ratio) * 2 + summed) * (MOST_COVARIATES + 1) + covariates) * len(shape) + of_shape
    _, first, layout = np.unique(packed, return_index=True, return_inverse=True)
    return [
        Layout(KINDS[own[at]], 1 + int(ratio[at]), bool(summed[at]), int(covariates[at]), _bits(int(missing[at]))) for at in first.tolist()
    ], layout


def _of_empty(layout: Ints, test: Ints, n: Floats) -> Ints:
    """Rows without units say nothing of their layout, which is that of the others of their test."""
    empty = n == 0
    if not empty.any() or empty.all():
        return layout
    first = _first(layout, test, np.flatnonzero(~empty))
    return np.where(empty & (first[test] >= 0), first[test], layout)


def _first(layout: Ints, test: Ints, rows: Ints) -> Ints:
    """The layout of the first of these rows of each test, -1 where it has none."""
    first = np.full(int(test.max()) + 1, -1, dtype=np.int64)
    first[test[rows[::-1]]] = layout[rows[::-1]]  # the last one written is the first row
    return first


def _bits(flags: int) -> tuple[int, ...]:
    return tuple(i for i in range(flags.bit_length()) if flags >> i & 1)


def _demand_alike(layout: Ints, test: Ints, metrics: Sequence[str], metric: Ints) -> None:
    """Rows of one metric that are to be merged have the same statistics."""
    first = _first(layout, test, np.arange(len(layout)))
    if (other := np.flatnonzero(layout != first[test])).size:
        raise DataError(
            f"stats: rows of the metric {metrics[metric[other[0]]]!r} have different statistics, such as a covariate in some only, "
            "or counts in some and means in others (a bare column that is 0 and 1 by chance in a part; name om.Mean). "
            "Give all rows the same.",
            code="data.stats",
        )


def _by_cubes(layout: Layout, columns: Mapping[str, Floats], test: Ints, at: Ints) -> tuple[Ints, Ints]:
    """Rows of tests whose third moments are known, and of those whose are not: what one lacks is no loss to another."""
    lacking = np.zeros(int(test.max(initial=-1)) + 1, dtype=np.bool_)
    for name in _cubes_of(layout):
        unknown = np.isnan(columns[name][at]) if name in columns else np.ones(len(at), dtype=np.bool_)
        lacking[test[at[unknown & (columns["n"][at] > 0)]]] = True
    known = ~lacking[test[at]]
    return at[known], at[~known]


def _cubes_of(layout: Layout) -> list[str]:
    """The columns of third moments that a layout has."""
    return [name for name, place in _CUBES.items() if max(place) < layout.base]


def _measure(layout: Layout, columns: Mapping[str, Floats], rows: _Rows, sizes: tuple[int, int]) -> Measured:
    """The rows of one layout as arms."""
    variants, strata = sizes
    place, test = grouping.dense(rows.test[rows.at], int(rows.test.max(initial=-1)) + 1)
    arms, arm = grouping.dense(test * variants + rows.variant[rows.at], len(place) * variants)
    cell, size = arm * strata + rows.stratum[rows.at], len(arms) * strata
    if layout.kind == "quantile" and np.bincount(cell).max() > 1:
        raise DataError(
            "stats: quantiles of parts do not add up to that of the whole; give one row for each metric and variant.", code="data.stats"
        )
    own = {name: values[rows.at] for name, values in columns.items()}
    cells = moments.merge(_moments(layout, own), cell, size)
    units = np.where(np.isnan(own["units"]), own["n"], own["units"]) if "units" in own else own["n"]
    _demand("units", units, (units >= own["n"]) & (units < 1e15), "at least n, the units that have the metric")
    arrived = np.bincount(cell, weights=units, minlength=size).astype(np.float64)
    return Measured(layout, arms // variants, arms % variants, cells, arrived, strata, place, np.zeros(len(place)))


def _moments(layout: Layout, columns: Mapping[str, Floats]) -> Moments:
    """The moments that a row tells."""
    n = columns["n"]
    _demand("n", n, (n >= 0) & (n == np.floor(n)) & (n < 1e15), "a whole number of units, 0 or more")
    if layout.kind == "proportion" and "successes" in columns and not np.isnan(columns["successes"]).all():
        k = columns["successes"]
        good = (k >= 0) & (k == np.floor(k)) & (k <= n)
        _demand("successes", k, good, f"a whole number from 0 to n, which is {n[np.argmin(good)]:g} there")
        rate = k / np.where(n > 0, n, 1.0)
        return Moments(n, rate[:, None], (k * (1 - rate))[:, None, None], np.zeros((len(n), 0, 0, 0)))
    names = layout.names
    p, some = len(names), n > 1
    mean, products = np.zeros((len(n), p)), np.zeros((len(n), p, p))
    for i, name in enumerate(names):
        mean[:, i] = _given(_mean(name), columns, n > 0)
        if layout.kind == "proportion" and name == "value" and layout.base == 1:
            _demand("mean", mean[:, i], (mean[:, i] >= 0) & (mean[:, i] <= 1), "from 0 to 1, as a proportion is")
        # A quantile of too few units is known without its variance.
        variance = columns[_variance(name)] if layout.kind == "quantile" else _given(_variance(name), columns, some)
        _demand(_variance(name), variance, ~(variance < 0), "0 or more: the sample variance")
        products[:, i, i] = variance * np.maximum(n - 1, 0)
    for (i, one), (j, other) in itertools.combinations(enumerate(names), 2):
        covariance, degrees = _given(_covariance(one, other), columns, some), np.maximum(n - 1, 0)
        most = np.sqrt(products[:, i, i] * products[:, j, j])
        rounding = ROUNDING * np.sqrt((products[:, i, i] + n * mean[:, i] ** 2) * (products[:, j, j] + n * mean[:, j] ** 2))
        good = np.abs(covariance) * degrees <= most + rounding
        _demand(_covariance(one, other), covariance, good, "no larger than its variances allow")
        products[:, i, j] = products[:, j, i] = np.clip(covariance * degrees, -most, most)
    return Moments(n, mean, products, _cubes(layout, columns, n))


def _given(name: str, columns: Mapping[str, Floats], needed: npt.NDArray[np.bool_]) -> Floats:
    """A column that rows with units need; 0 where there are none."""
    values = columns.get(name)
    if "missing" in name:  # rows in which no covariate is missing need not say so
        return np.nan_to_num(values) if values is not None else np.zeros(len(needed))
    if values is None or np.isnan(values[needed]).any():
        raise DataError(f"stats: {name!r} is missing for some rows that need it; it has {sorted(columns)}.", code="data.stats")
    known = np.where(needed, values, 0.0)
    power = 3 if name.startswith("third") else 1 if name.endswith("mean") else 2
    _demand(name, known, np.abs(known) <= LARGEST**power, "a finite number of a size that money and counts have")
    return known


def _demand(name: str, values: Floats, good: npt.NDArray[np.bool_], rule: str) -> None:
    if not good.all():
        raise DataError(f"stats: {name}={values[np.argmin(good)]:g} must be {rule}.", code="data.stats")


def _cubes(layout: Layout, columns: Mapping[str, Floats], n: Floats) -> Floats:
    """Third moments, where all rows have them."""
    d, wanted = layout.base, _cubes_of(layout)
    if any(name not in columns or np.isnan(columns[name][n > 0]).any() for name in wanted):
        return np.zeros((len(n), 0, 0, 0))
    cubes = np.zeros((len(n), d, d, d))
    for name in wanted:
        for at in set(itertools.permutations(_CUBES[name])):
            cubes[:, at[0], at[1], at[2]] = _given(name, columns, n > 0) * n
    return cubes
