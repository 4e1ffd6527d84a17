"""A/B tests from both doors: a frame of units, or the statistics that such a frame comes down to."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, overload

import numpy as np

from opsmetrics import _checks
from opsmetrics._frames import Backend, Floats, Ints
from opsmetrics._kernels import multiplicity
from opsmetrics._kernels.alternatives import ALTERNATIVES, Alternative
from opsmetrics._results import Later
from opsmetrics.errors import DataError, ParameterError, nearest, warn
from opsmetrics.experiments import inference, measures, readings, reports, splits, statistics
from opsmetrics.experiments.designs import AlwaysValid, GroupSequential
from opsmetrics.experiments.inference import Compared
from opsmetrics.experiments.laws import Question
from opsmetrics.experiments.measured import Measured
from opsmetrics.experiments.metrics import Mean, Metric, Metrics, Proportion, Quantile, Ratio, named
from opsmetrics.experiments.reports import Tests
from opsmetrics.experiments.results import ABTest
from opsmetrics.experiments.splits import Split

if TYPE_CHECKING:
    import pandas as pd

FrameT = TypeVar("FrameT")
Correction: TypeAlias = Literal["holm", "hochberg", "bonferroni", "benjamini-hochberg", "benjamini-yekutieli", "dunnett"]
CORRECTIONS = (*multiplicity.CORRECTIONS, "dunnett")


def ab_test(
    units: FrameT,
    *,
    variant: str,
    metrics: Metrics,
    control: str | int | None = None,
    alternative: Alternative = "two-sided",
    confidence: float = 0.95,
    cluster: str | None = None,
    strata: str | None = None,
    expected_split: Split | None = None,
    correction: Correction | None = None,
    sequential: GroupSequential | AlwaysValid | None = None,
    rng: int | np.random.Generator | None = None,
    progress: bool = False,
) -> ABTest[FrameT]:
    """Compare the variants of an experiment, metric by metric (also known as: A/B 测试, 显著性检验).

    Every metric gets its estimate, the difference and the lift with intervals, and a p-value that agrees with both. Whether the units were
    split as planned is always tested, and said first where they were not. Units without a variant, or without a metric, are counted.

    Parameters
    ----------
    units : frame
        One row per unit of the experiment, such as a customer; with `cluster`, several rows per unit. pandas, polars (eager or lazy),
        pyarrow, or a DuckDB relation.
    variant : str
        Column of the arm: text, whole numbers or booleans.
    metrics : str, metric, sequence or mapping
        What is measured, by name: `Mean`, `Proportion`, `Ratio`, `Quantile`. A bare column is a proportion where it holds only 0 and 1 (or
        booleans), else a mean; ``kind`` in the table says which.
    control : str or int, optional
        The variant that the others are compared with; all pairs are compared by default, the later with the earlier.
    alternative : {"two-sided", "greater", "less"}
        The side on which an effect counts: treatment above control, or below. Intervals are one-sided then.
    confidence : float
        Of all intervals, between 0 and 1; one less it is the level of the tests.
    cluster : str, optional
        Column of the unit of randomisation where rows are finer, such as the customer of a session: standard errors are then robust.
    strata : str, optional
        Column of groups known before the test, such as the country; estimates are then post-stratified.
    expected_split : mapping of str to float, optional
        The planned share, or weight, of each variant; even by default.
    correction : str, optional
        How p-values are adjusted over all comparisons: "holm", "hochberg", "bonferroni", "benjamini-hochberg", "benjamini-yekutieli"; or
        "dunnett", over the treatments of each metric, and with the intervals as well.
    sequential : GroupSequential or AlwaysValid, optional
        How often the test is looked at; intervals and p-values then hold for all looks together.
    rng : int or numpy Generator, optional
        The seed of bootstrapped quantiles.
    progress : bool
        Whether to show a bar while quantiles of clusters are resampled (the ``progress`` extra).

    Returns
    -------
    ABTest
        ``.table`` has one row per metric and comparison, rates and lifts as fractions; ``.srm`` the split, ``.stats`` what it is made of.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows; a single variant; a control that is not there; a proportion that is not 0 and 1; infinite values; a cluster in two
        variants.
    ParameterError
        An argument outside its rule.

    Warns
    -----
    OpsmetricsWarning
        A sample ratio mismatch; skewed units in arms of unequal size; few conversions or clusters; a lift without bounds.

    References
    ----------
    Kohavi, R., Tang, D. & Xu, Y. (2020), Trustworthy Online Controlled Experiments. Welch, B. L. (1947), Biometrika 34, 28-35.
    Miettinen, O. & Nurminen, M. (1985), Statistics in Medicine 4, 213-226. Fieller, E. C. (1954), JRSS B 16, 175-185.

    Examples
    --------
    >>> import opsmetrics as om
    >>> units = om.make_experiment(20_000, rng=1)
    >>> spend = om.Mean("revenue", covariate="revenue_before")
    >>> found = om.ab_test(units, variant="variant", metrics={"converted": "converted", "revenue": spend}, control="A")
    >>> found.table[["metric", "kind", "variant", "baseline"]]
          metric        kind variant baseline
    0  converted  proportion       B        A
    1  converted  proportion       C        A
    2    revenue        mean       B        A
    3    revenue        mean       C        A
    """
    question = _question(alternative, confidence, correction, sequential, control)
    asked = readings.Asked(named(metrics), strata=strata is not None, clustered=cluster is not None)
    sizing = measures.Sizing(_checks.generator("rng", rng), _checks.flag("progress", progress))
    reading = readings.read(units, variant, asked, cluster, strata)
    _demand_two(reading.variants)
    specs = measures.resolve(asked.metrics, reading.found)
    measured = measures.measure(reading, specs, sizing, clustered=cluster is not None)
    place = np.arange(len(specs))
    tests = Tests(list(specs), place, np.zeros_like(place), {}, reading.variants)
    sizes = reading.units.reshape(len(reading.variants), -1).sum(axis=1)
    code = None if control is None else np.full(len(specs), _code_of(control, reading.variants))
    study = Study(
        reading.backend, tests, tuple(zip(measured, specs.values(), strict=True)), code, np.full(len(specs), float(sizes.sum())), question,
        correction,
    )  # fmt: skip
    split = splits.srm_of(reading.variants, sizes, expected_split, reading.backend, peeking=sequential is not None)
    columns = {"variant": variant, "cluster": cluster, "strata": strata}
    params: dict[str, object] = {
        "columns": {name: column for name, column in columns.items() if column is not None},
        "by": [],
        "control": control,
    }
    params["missing_covariates"] = {name: found.incomplete for name, found in reading.found.items() if found.incomplete}
    made_of = Later(lambda: reports.statistics(study.backend, tests, measured, reading.strata))
    return _result(study, split, made_of, params, reading.dropped)


@overload
def ab_test_from_stats(
    stats: Mapping[str, Mapping[str, object]] | Mapping[int, Mapping[str, object]] | Sequence[Mapping[str, object]],
    *,
    control: str | int | None = ...,
    by: str | Sequence[str] | None = ...,
    metrics: Metrics | None = ...,
    alternative: Alternative = ...,
    confidence: float = ...,
    expected_split: Split | None = ...,
    correction: Correction | None = ...,
    sequential: GroupSequential | AlwaysValid | None = ...,
) -> ABTest[pd.DataFrame]: ...
@overload
def ab_test_from_stats(
    stats: FrameT,
    *,
    control: str | int | None = ...,
    by: str | Sequence[str] | None = ...,
    metrics: Metrics | None = ...,
    alternative: Alternative = ...,
    confidence: float = ...,
    expected_split: Split | None = ...,
    correction: Correction | None = ...,
    sequential: GroupSequential | AlwaysValid | None = ...,
) -> ABTest[FrameT]: ...
def ab_test_from_stats(
    stats: Any,
    *,
    control: str | int | None = None,
    by: str | Sequence[str] | None = None,
    metrics: Metrics | None = None,
    alternative: Alternative = "two-sided",
    confidence: float = 0.95,
    expected_split: Split | None = None,
    correction: Correction | None = None,
    sequential: GroupSequential | AlwaysValid | None = None,
) -> ABTest[Any]:
    """The same from statistics: counts, or units, means and variances, as SQL or other machines have added them up.

    Rows of one metric, variant and stratum are merged, so the statistics of days and shards are put one below the other. `ABTest.stats` is
    such a table. Many experiments are tested in one call.

    Parameters
    ----------
    stats : frame, sequence of mappings, or mapping of variants to mappings
        One row per variant, or per metric, variant and stratum: ``variant``, ``metric`` (where there are several), ``stratum`` (where there
        are), ``n`` units that have the metric (and ``units``, all that there are, where those are more), and for a proportion
        ``successes``; for a mean ``mean`` and ``variance`` (n - 1 in its denominator) of the units, with ``third_moment`` about the mean if
        skewness is to be known; for a ratio of sums also ``denominator_mean``, ``denominator_variance``, ``covariance_denominator``; with a
        covariate also ``covariate_mean``, ``covariate_variance``, ``covariance_covariate`` (and ``covariance_denominator_covariate``), of a
        second one ``covariate2_mean`` and so on. ``kind`` tells what a row without counts is.
    control : str or int, optional
        The variant that the others are compared with; all pairs by default.
    by : str or sequence of str, optional
        Columns that tell experiments apart. They come first in the table; p-values are adjusted within each.
    metrics : mapping of str to metric, optional
        For metrics that want other options than the default: their hypothesis, margin, test or interval. Their columns are not looked at.
    alternative : {"two-sided", "greater", "less"}
        As of `ab_test`.
    confidence : float
        Of all intervals, between 0 and 1.
    expected_split : mapping of str to float, optional
        The planned share, or weight, of each variant; even by default.
    correction : str, optional
        As of `ab_test`.
    sequential : GroupSequential or AlwaysValid, optional
        As of `ab_test`.

    Returns
    -------
    ABTest
        ``.table`` has one row per experiment, metric and comparison, rates and lifts as fractions.

    Raises
    ------
    ColumnError
        A column that is missing or of the wrong type.
    DataError
        Statistics that cannot be, such as more successes than units; an experiment with one variant, or without the control.
    ParameterError
        An argument outside its rule; options for a metric that is not there.

    Warns
    -----
    OpsmetricsWarning
        As `ab_test`.

    References
    ----------
    Chan, T. F., Golub, G. H. & LeVeque, R. J. (1983), Algorithms for computing the sample variance, The American Statistician 37, 242-247.

    Examples
    --------
    >>> import opsmetrics as om
    >>> counts = {"A": {"n": 10_000, "successes": 500}, "B": {"n": 10_000, "successes": 560}}
    >>> found = om.ab_test_from_stats(counts, control="A")
    >>> found.table[["difference", "difference_low", "difference_high", "p_value"]].round(4)
       difference  difference_low  difference_high  p_value
    0       0.006         -0.0002           0.0122   0.0583
    """
    question = _question(alternative, confidence, correction, sequential, control)
    keys = [] if by is None else [by] if isinstance(by, str) else _checks.listed("by", by)
    for column in keys:
        _checks.free("by", column, reports.RESERVED)
    read = statistics.enter(stats, keys)
    _demand_two(read.variants)
    tests = Tests(read.metrics, read.metric, read.experiment, read.by, read.variants)
    specs = _specs(metrics, read.metrics)
    sizes = _sizes(read)
    code = None if control is None else np.full(len(read.metric), _code_of(control, read.variants))
    _demand_control(read, sizes, code)
    entries = tuple(entry for own in read.measured for entry in _by_spec(own, read, specs))
    study = Study(read.backend, tests, entries, code, sizes.sum(axis=1)[read.experiment], question, correction)
    split = splits.srm_of_each(read.backend, read.by, read.variants, sizes, expected_split, peeking=sequential is not None)
    params: dict[str, object] = {"columns": {}, "by": keys, "control": control, "missing_covariates": {}}
    made_of = Later(lambda: reports.statistics(read.backend, tests, read.measured, read.strata))
    return _result(study, split, made_of, params, {})


# ------------------------------------------------------------------------------------------------------------- together


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that is known before arms are compared: control and units by test."""

    backend: Backend
    tests: Tests
    entries: tuple[tuple[Measured, Metric], ...]
    control: Ints | None
    units: Floats
    question: Question
    correction: Correction | None


def _result(
    study: Study, split: splits.SRMTest[Any], made_of: Later, params: Mapping[str, object], dropped: Mapping[str, int]
) -> ABTest[Any]:
    """Compare, and put everything together."""
    alike = measures.together(study.entries)
    whole = [measures.thick(own.filled()) for own, _ in alike]
    joined = [study.tests.metrics[study.tests.metric[place]] for _, places in whole for place in places.tolist()]
    entries = [(own, metric) for (own, _), (_, metric) in zip(whole, alike, strict=True)]
    compared = [inference.compare(own, metric, study.control, study.units, study.question) for own, metric in entries]
    rows = reports.in_order(compared, _adjusted(study, compared))
    told = [
        *(["the sample ratio is not the planned one; look for the reason before the numbers."] if split.params["mismatch"] else []),
        *(f"{name}: an arm has fewer than {measures.LEAST} units in a stratum, so it is not stratified." for name in dict.fromkeys(joined)),
        *reports.uneven(study.tests, [own for own, _ in study.entries]),
        *reports.alone(study.tests, [own for own, _ in study.entries], rows),
        *reports.warnings_of(study.tests, rows),
    ]
    for sentence in told:
        warn(sentence)
    tables: dict[str, Any] = {"table": reports.table(study.backend, study.tests, rows), "srm": Later(lambda: split.table), "stats": made_of}
    design = study.question.design
    if design is not None:
        tables["sequential"] = Later(lambda: reports.sequential(study.backend, study.tests, compared))
    specs = {
        study.tests.metrics[code]: metric for own, metric in study.entries for code in np.unique(study.tests.metric[own.place]).tolist()
    }
    facts = {
        "alternative": study.question.alternative, "confidence": study.question.confidence, "correction": study.correction,
        "sequential": None if design is None else {"design": type(design).__name__, **design.to_dict()},
        "metrics": {name: str(metric) for name, metric in specs.items()},
        "srm_p_value": split.params["p_value"], "srm_mismatch": split.params["mismatch"],
        "srm_mismatches": split.params.get("mismatches", 0),
    }  # fmt: skip
    return ABTest(
        _tables=tables, params=dict(params) | facts, dropped=dict(dropped), warnings=tuple(told),
        _tests=study.tests, _entries=tuple(entries),
    )  # fmt: skip


def _adjusted(study: Study, compared: Sequence[Compared]) -> Floats | None:
    """P-values adjusted over the comparisons of each experiment."""
    if study.correction is None:
        return None
    if study.question.dunnett:
        return np.concatenate([one.adjusted for one in compared if one.adjusted is not None])
    p = np.concatenate([one.columns["p_value"] for one in compared])
    place = np.concatenate([one.place for one in compared])
    return multiplicity.adjust(p, study.correction, study.tests.experiment[place])  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------------------- checks


def _question(alternative: object, confidence: object, correction: object, design: object, control: object) -> Question:
    side = _checks.choice("alternative", alternative, ALTERNATIVES)
    level = _checks.fraction("confidence", confidence)
    dunnett = correction is not None and _checks.choice("correction", correction, CORRECTIONS) == "dunnett"
    if dunnett and control is None:
        raise ParameterError("correction='dunnett' compares with one control; name it with control=.", code="parameter.correction")
    if design is not None and not isinstance(design, (GroupSequential, AlwaysValid)):
        raise ParameterError(
            f"sequential={design!r} is no design; give om.GroupSequential(...) or om.AlwaysValid(...).", code="parameter.sequential"
        )
    if dunnett and design is not None:
        raise ParameterError("correction='dunnett' has no sequential form; use 'holm'.", code="parameter.correction")
    return Question(side, level, dunnett, design)


def _demand_two(variants: Sequence[object]) -> None:
    if len(variants) < 2:
        raise DataError(f"variant has one value, {list(variants)}; a comparison needs at least two.", code="data.variant")


def _code_of(control: Any, variants: Sequence[object]) -> int:
    """The code of the control."""
    code = {label: code for code, label in enumerate(variants)}.get(control) if isinstance(control, Hashable) else None
    if code is not None and isinstance(variants[code], bool) == isinstance(control, (bool, np.bool_)):  # to a dict True is 1
        return code
    raise DataError(
        f"control={_checks.short(control)} is not among the variants {list(variants)}.{nearest(control, variants)}", code="data.control"
    )


def _specs(metrics: object, names: Sequence[str]) -> dict[str, Metric]:
    """Options of metrics, by name."""
    if metrics is None or metrics == {}:
        return {}
    specs = named(metrics)
    for name, metric in specs.items():
        if name not in names:
            raise ParameterError(
                f"metrics has {name!r}, which stats has not; it has {list(names)}.{nearest(name, names)}", code="parameter.metrics"
            )
        if isinstance(metric, str):
            raise ParameterError(
                f"metrics[{name!r}]={metric!r} names a column; give options, such as om.Mean(...).", code="parameter.metrics"
            )
        if getattr(metric, "winsorize", None) is not None:
            raise ParameterError(
                f"metrics[{name!r}]={metric!r} cuts values, which statistics have no more; cut them before they are added up.",
                code="parameter.metrics",
            )
    return {name: metric for name, metric in specs.items() if isinstance(metric, Metric)}


_PLAIN: Mapping[str, Metric] = {
    "proportion": Proportion("successes"), "mean": Mean("mean"), "ratio": Ratio("numerator", "denominator"),
    "quantile": Quantile("quantile", 0.5),
}  # fmt: skip


def _by_spec(own: Measured, read: statistics.Read, specs: Mapping[str, Metric]) -> list[tuple[Measured, Metric]]:
    """What was measured, cut by the options that its metrics have."""
    plain = _PLAIN[own.layout.kind]
    options = [specs.get(name, plain) for name in read.metrics]
    distinct = list(dict.fromkeys(options))
    option = np.array([distinct.index(metric) for metric in options])[read.metric[own.place]]
    for code in np.unique(option).tolist():
        if distinct[code].kind != own.layout.kind:
            name = read.metrics[read.metric[own.place[np.argmax(option == code)]]]
            raise ParameterError(
                f"metrics[{name!r}] is a {distinct[code].kind}, and its statistics are those of a {own.layout.kind}.",
                code="parameter.metrics",
            )
    return [(own.only(option == code), distinct[code]) for code in np.unique(option).tolist()]


def _sizes(read: statistics.Read) -> Ints:
    """Units by experiment and variant: those of the metric that has most."""
    sizes = np.zeros((int(read.experiment.max(initial=0)) + 1, len(read.variants)))
    for own in read.measured:
        arrived = own.sizes.reshape(len(own.test), -1).sum(axis=1)
        np.maximum.at(sizes, (read.experiment[own.place[own.test]], own.variant), arrived)
    return sizes.astype(np.int64)


def _demand_control(read: statistics.Read, sizes: Ints, code: Ints | None) -> None:
    """Each experiment has something to compare."""
    alone = np.flatnonzero((sizes > 0).sum(axis=1) < 2)
    if len(alone):
        more = f" (and {len(alone) - 1:,} more)" if len(alone) > 1 else ""
        raise DataError(
            f"stats: experiment {alone[0] + 1}{more} has units in fewer than two variants; a comparison needs two.", code="data.variant"
        )
    if code is not None and (missing := np.flatnonzero(sizes[:, code[0]] == 0)).size:
        raise DataError(
            f"stats: control={read.variants[code[0]]!r} has no units in experiment {missing[0] + 1}"
            f"{f' (and {len(missing) - 1:,} more)' if len(missing) > 1 else ''}; each needs some.",
            code="data.control",
        )
