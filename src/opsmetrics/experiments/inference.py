"""Arms compared: one statistic per comparison, and from it the p-value and both intervals."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from opsmetrics._frames import Floats, Ints
from opsmetrics._kernels import contrasts, proportions
from opsmetrics._kernels.alternatives import Alternative
from opsmetrics._kernels.arms import Arms
from opsmetrics._kernels.contrasts import Pairs
from opsmetrics.errors import DataError, ParameterError
from opsmetrics.experiments import laws
from opsmetrics.experiments.laws import Bools, Law, Many, Question, Sides
from opsmetrics.experiments.measured import Measured
from opsmetrics.experiments.metrics import Kind, Mean, Metric, Proportion, Quantile
from opsmetrics.experiments.monitors import Monitor

FEW_EXPECTED: Final = 5.0
"""Below so many expected successes or failures in an arm an exact test takes over (W. G. Cochran, 1954, Biometrics 10, 417-451)."""

MOST_UNITS: Final = 500
"""In both arms together, up to which that is Boschloo's, and beyond Fisher's, which is ready at once."""

MOST_TABLES: Final = 500
"""Of so few units up to which they are all Boschloo's: a night's experiments are not to take minutes."""

FEW_OUTCOMES: Final = 15
"""Successes or failures below which an arm of a proportion has few: a count more or less moves the error of a tail by half a point."""

FEW_CLUSTERS: Final = 20
"""Clusters, or units of a ratio, below which an arm has few: the delta method is asymptotic."""

FEW_BEYOND: Final = 25
"""Units beyond a quantile, on its nearer side, below which an arm has few: one order statistic more or less moves the error of a tail."""

TOO_NARROW: Final = 1.1
"""How many times as large as without an effect an error may be with one, before an interval of the effect is too narrow."""

TAIL_EXCESS: Final = 0.005
"""An error of a tail, predicted from the skewness, that is worth a warning."""

USUAL_SKEWNESS: Final = 20.0
"""That of the revenue of visitors of whom one in twenty buys: where statistics do not tell it, it may be so large."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Comparisons of one metric: columns of the table by name, and what the warnings need."""

    kind: Kind
    place: Ints
    variant: Ints
    baseline: Ints
    columns: Mapping[str, Floats]
    method: str
    exact: Ints
    excess: Floats
    bearable: Floats
    few: Bools
    few_clusters: Bools
    narrow: Bools
    corrigible: bool
    monitor: Monitor | None
    error: Floats
    own_error: Floats
    skew: Floats
    null: float
    sign: int
    adjusted: Floats | None


@dataclass(frozen=True, slots=True)
class Contest:
    """The arms of one metric, which of them are compared, and how."""

    measured: Measured
    metric: Metric
    arms: Arms
    treatment: Ints
    baseline: Ints
    sides: Sides
    pairs: Pairs
    pooled: bool
    corrected: bool

    @property
    def unlike(self) -> bool:
        """Whether the arms differ where the hypothesis just holds: at a margin."""
        return self.metric.hypothesis != "superiority"

    @property
    def successes(self) -> Floats:
        """In each arm."""
        cells = self.measured.raw_cells
        return np.asarray(np.rint((cells.n * cells.mean[:, 0]).reshape(-1, self.measured.strata).sum(axis=1)))

    @property
    def trials(self) -> Floats:
        """The units of each arm; the rows of its clusters, where those are the units."""
        cells, strata = self.measured.cells, self.measured.strata
        rows = cells.n * cells.mean[:, 1] if self.measured.layout.base == 2 else cells.n
        return np.asarray(rows.reshape(-1, strata).sum(axis=1))

    @property
    def smaller(self) -> Floats:
        """The units of the smaller arm of each comparison."""
        return np.minimum(self.measured.units[self.treatment], self.measured.units[self.baseline])

    @property
    def rarest(self) -> Floats:
        """The fewest successes or failures of an arm of each comparison."""
        rarer = np.minimum(self.successes, self.trials - self.successes)
        return np.minimum(rarer[self.treatment], rarer[self.baseline])

    @property
    def many(self) -> Many:
        """The comparisons as those of several treatments with one control."""
        units = self.measured.units
        return Many(self.measured.test[self.treatment], units[self.treatment], units[self.baseline])


@dataclass(frozen=True, slots=True)
class _Answer:
    statistic: Floats
    p_value: Floats
    difference: tuple[Floats, Floats]
    lift: tuple[Floats, Floats]
    exact: Ints


def compare(measured: Measured, metric: Metric, control: Ints | None, units: Floats, question: Question) -> Compared:
    """Compare arms: each with the arm `control` of its test, or all pairs. `units` are those of each test, for sequential designs."""
    contest = _contest(measured, metric, control, question)
    skew = _skewness(contest)
    law = _law(contest, question, units)
    used = contrasts.bounded(skew, law.critical) if contest.corrected else np.zeros(len(skew))
    exactly = question.design is None and not question.dunnett
    answer = _proportions(contest, law, exactly=exactly) if contest.measured.counted else _means(contest, law, used)
    return _compared(contest, law, answer, (skew, used), question)


def _skewness(contest: Contest) -> Floats:
    """The skewness of the differences where the hypothesis just holds; 0 where third moments are not known."""
    if not contest.measured.cells.cubes.shape[1]:
        return np.zeros(len(contest.treatment))
    skewness = contrasts.skewness_of_shape if contest.unlike else contrasts.skewness
    return skewness(contest.arms, contest.pairs, contest.treatment, contest.baseline)


def _contest(measured: Measured, metric: Metric, control: Ints | None, question: Question) -> Contest:
    """Estimate the arms, and pair them."""
    _demand_possible(measured, metric, question)
    treatment, baseline = _pairs(measured, control)
    within = getattr(metric, "theta", "within") == "within"
    arms = measured.arms(within=within)
    corrected = isinstance(metric, Mean) and metric.skew_correction
    quantile = isinstance(metric, Quantile)
    # What is looked at early has small arms, whose own variances are too small when their means are.
    pooled = corrected or (question.design is not None and not quantile)
    pairs = contrasts.pooled(arms, treatment, baseline) if pooled else contrasts.welch(arms, treatment, baseline)
    if quantile or measured.counted:
        pairs = replace(pairs, df=np.full(len(treatment), np.inf))
    return Contest(measured, metric, arms, treatment, baseline, Sides.of(metric, question.alternative), pairs, pooled, corrected)


def _demand_possible(measured: Measured, metric: Metric, question: Question) -> None:
    """Options that do not go together."""
    if isinstance(metric, Proportion) and (argument := metric.of_counts) and not measured.counted:
        raise ParameterError(
            f"{argument}={getattr(metric, argument)!r} is of counts, and with clusters or strata there are none; leave one of them out.",
            code=f"parameter.{argument}",
        )
    special = "a sequential design" if question.design is not None else "Dunnett's correction" if question.dunnett else None
    if special and isinstance(metric, Proportion) and metric.test in {"fisher", "boschloo"}:
        raise ParameterError(f"test={metric.test!r} is of one look at one comparison; with {special} leave it out.", code="parameter.test")
    if special and metric.hypothesis == "equivalence":
        raise ParameterError(f"hypothesis='equivalence' has no form with {special}; leave one of them out.", code="parameter.hypothesis")
    if metric.hypothesis != "superiority" and question.alternative != "two-sided":
        raise ParameterError(
            f"alternative={question.alternative!r}, but {metric.hypothesis} has its own side; leave alternative out, and say decrease=True "
            "where less is better.",
            code="parameter.alternative",
        )
    if isinstance(metric, Mean) and metric.skew_correction and measured.layout.covariates:
        raise DataError(
            "stats: skew_correction=True goes without covariates, whose third moments are not kept; leave their columns out.",
            code="data.stats",
        )
    if isinstance(metric, Mean) and metric.skew_correction and not measured.cells.cubes.shape[1]:
        raise DataError("stats: skew_correction=True needs the column 'third_moment', which is missing.", code="data.stats")


def _law(contest: Contest, question: Question, units: Floats) -> Law:
    """What the statistics must reach."""
    sides, df, design = contest.sides, contest.pairs.df, question.design
    if design is None:
        return contest.many.law(question, sides, df) if question.dunnett else laws.by_level(question, sides, df)
    measured = contest.measured
    smaller = np.minimum(measured.units[contest.treatment], measured.units[contest.baseline])
    rare = contest.rarest if measured.counted else None
    own = units[measured.place[measured.test[contest.treatment]]]
    return laws.by_design(question, design, sides, df, own, design._ready(smaller, rare))


def _ends(contest: Contest, critical: Floats) -> tuple[Floats, Floats]:
    """How far an interval goes down and up; an end that is not given is open."""
    nowhere = np.full(len(critical), np.inf)
    return critical if contest.sides.low else nowhere, critical if contest.sides.high else nowhere


def _means(contest: Contest, law: Law, skew: Floats) -> _Answer:
    """By the t statistic, straightened where the difference is skewed."""
    pairs, nulls = contest.pairs, contest.sides.nulls
    above, _ = _ends(contest, contrasts.bent(law.critical, skew))
    _, below = _ends(contest, -contrasts.bent(-law.critical, skew))
    found = [contrasts.straightened((pairs.difference - margin) / pairs.error, skew) for margin, _ in nulls]
    statistic, p_value = _worst(found, [law.p_value(z, side) for z, (_, side) in zip(found, nulls, strict=True)])
    exact = np.zeros(len(skew), dtype=np.int64)
    return _Answer(statistic, p_value, contrasts.interval(pairs, above, below), contrasts.fieller(pairs, above, below), exact)


def _proportions(contest: Contest, law: Law, *, exactly: bool) -> _Answer:
    """By the score statistic; where counts are tiny, the exact p-value."""
    metric, nulls, n, k = contest.metric, contest.sides.nulls, contest.measured.units, contest.successes
    counts = (k[contest.treatment], n[contest.treatment], k[contest.baseline], n[contest.baseline])
    some = (counts[1] > 0) & (counts[3] > 0)
    found = [np.where(some, proportions.score_z(*counts, margin), np.nan) for margin, _ in nulls]
    statistic, p_value = _worst(found, [law.p_value(z, side) for z, (_, side) in zip(found, nulls, strict=True)])
    above, below = _ends(contest, law.critical)
    newcombe = isinstance(metric, Proportion) and metric.interval == "newcombe"
    difference = (proportions.newcombe if newcombe else proportions.miettinen_nurminen)(*counts, above, below)
    low, high = proportions.koopman(*counts, above, below)
    low, high, least, most = (np.where(some, end, np.nan) for end in (low, high, *difference))
    test = metric.test if isinstance(metric, Proportion) else None
    tiny = _expected(counts) < FEW_EXPECTED if test is None else np.full(len(some), test != "score")
    rows = np.flatnonzero(tiny & some & (exactly and metric.hypothesis == "superiority"))
    exact, p_value = np.zeros(len(some), dtype=np.int64), p_value.copy()
    if len(rows):
        exact[rows], p_value[rows] = _exact([count[rows] for count in counts], nulls[0][1], test)
    return _Answer(statistic, p_value, (least, most), (low - 1, high - 1), exact)


def _exact(counts: list[Floats], side: Alternative, test: str | None) -> tuple[Ints, Floats]:
    """Which exact test it is (1 Fisher's, 2 Boschloo's), and its p-value."""
    found = proportions.fisher(counts[0], counts[1], counts[2], counts[3], side)
    chosen = np.full(len(found), test == "boschloo") if test else counts[1] + counts[3] <= MOST_UNITS
    chosen &= (test is not None) | (chosen.sum() <= MOST_TABLES)
    for row in np.flatnonzero(chosen).tolist():
        k1, n1, k0, n0 = (int(count[row]) for count in counts)
        found[row] = proportions.boschloo(k1, n1, k0, n0, side)
    return 1 + chosen.astype(np.int64), found


def _expected(counts: tuple[Floats, Floats, Floats, Floats]) -> Floats:
    """The smallest count expected in the table of each comparison."""
    k1, n1, k0, n0 = counts
    total = np.maximum(n1 + n0, 1.0)
    return np.minimum(k1 + k0, n1 + n0 - k1 - k0) * np.minimum(n1, n0) / total


def _worst(statistics: list[Floats], p_values: list[Floats]) -> tuple[Floats, Floats]:
    """Of two nulls that must both be rejected the one with the larger p-value (D. J. Schuirmann, 1987, two one-sided tests)."""
    if len(statistics) == 1:
        return statistics[0], p_values[0]
    second = p_values[1] > p_values[0]
    return np.where(second, statistics[1], statistics[0]), np.where(second, p_values[1], p_values[0])


def _pairs(measured: Measured, control: Ints | None) -> tuple[Ints, Ints]:
    """The arms to compare: each but the control with it, or every one with all before it."""
    count = len(measured.place)
    if control is not None:
        arm_of = np.full(count, -1, dtype=np.int64)
        is_control = measured.variant == control[measured.place[measured.test]]
        arm_of[measured.test[is_control]] = np.flatnonzero(is_control)
        treatment = np.flatnonzero(~is_control & (arm_of[measured.test] >= 0))
        return treatment, arm_of[measured.test[treatment]]
    begins = np.searchsorted(measured.test, np.arange(count + 1))
    found = [
        (later, earlier)
        for begin, end in itertools.pairwise(begins.tolist())
        for earlier, later in itertools.combinations(range(begin, end), 2)
    ]
    pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _compared(contest: Contest, law: Law, answer: _Answer, skews: tuple[Floats, Floats], question: Question) -> Compared:
    skew, used = skews
    measured, arms, pairs, treatment, baseline = contest.measured, contest.arms, contest.pairs, contest.treatment, contest.baseline
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = np.where(pairs.control == 0, np.nan, pairs.difference / np.abs(pairs.control))
        raw = arms.raw_variance[treatment] + arms.raw_variance[baseline]
        adjusted = arms.variance[treatment] + arms.variance[baseline]
        reduction = np.where((arms.covariates[treatment] > 0) & (raw > 0), 1 - adjusted / raw, np.nan)
    columns = {
        "n": measured.units[treatment], "n_baseline": measured.units[baseline],
        "treatment": pairs.treatment, "control": pairs.control,
        "difference": pairs.difference, "difference_low": answer.difference[0], "difference_high": answer.difference[1],
        "lift": lift, "lift_low": answer.lift[0], "lift_high": answer.lift[1],
        "statistic": answer.statistic, "df": pairs.df, "p_value": answer.p_value, "variance_reduction": reduction,
    }  # fmt: skip
    many = contest.many.p_values(answer.statistic, pairs.df, contest.sides.nulls[0][1]) if question.dunnett else None
    own_error = contrasts.welch(arms, treatment, baseline).error if contest.pooled else pairs.error
    called = answer.p_value < 1 - question.confidence
    return Compared(
        measured.layout.kind, measured.place[measured.test[treatment]], measured.variant[treatment], measured.variant[baseline], columns,
        _method(contest), answer.exact,
        excess=_excess(contest, law, skew), bearable=_bearable(contest, law), few=_few(contest), few_clusters=_few_clusters(contest),
        narrow=_narrow(contest, own_error, called), corrigible=_corrigible(contest),
        monitor=law.monitor, error=pairs.error, own_error=own_error, skew=used, null=contest.sides.nulls[0][0], sign=contest.sides.sign,
        adjusted=many,
    )  # fmt: skip


def _excess(contest: Contest, law: Law, skew: Floats) -> Floats:
    """By how much the skewness moves the error of a tail. Where it is corrected for: whether it is more than can be."""
    if contest.corrected:
        return np.where(np.abs(skew) > contrasts.MOST_SKEW, np.inf, 0.0)
    return np.zeros(len(skew)) if contest.measured.counted else _moved(contest, law, skew)


def _bearable(contest: Contest, law: Law) -> Floats:
    """The skewness of units that moves the error of a tail by what is worth a warning; missing where their own is known."""
    if contest.measured.layout.kind not in {"mean", "ratio"} or contest.measured.cells.cubes.shape[1]:
        return np.full(len(contest.treatment), np.nan)
    per_unit = contrasts.skewness_per_unit(contest.arms, contest.pairs, contest.treatment, contest.baseline)
    with np.errstate(divide="ignore"):
        return TAIL_EXCESS / _moved(contest, law, per_unit)


def _moved(contest: Contest, law: Law, skew: Floats) -> Floats:
    """The error that a tail gains: A phi(z) (2 z^2 + 1) / 6 for variances that each arm has by itself.

    With the pooled variance it is A phi(z) (z^2 - 1) / 6.
    """
    z = np.minimum(law.critical, 40.0)  # where a look cannot stop the test nothing errs
    curve = z**2 - 1 if contest.pooled else 2 * z**2 + 1
    return np.asarray(np.abs(skew * curve) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) / 6)


def _few(contest: Contest) -> Bools:
    """Which comparisons of proportions have few successes or failures in an arm, and which of quantiles few units beyond."""
    layout, metric = contest.measured.layout, contest.metric
    if isinstance(metric, Quantile):
        few = contest.smaller * min(metric.q, 1 - metric.q) < FEW_BEYOND - 1e-9  # 1 - 0.9 is a little less than 0.1
        return np.asarray(few & (not layout.clusters))
    if layout.kind != "proportion":
        return np.zeros(len(contest.treatment), dtype=np.bool_)
    return np.asarray(contest.rarest < FEW_OUTCOMES)


def _few_clusters(contest: Contest) -> Bools:
    """Which comparisons of clusters, or of sums over sums, have few of them in an arm."""
    layout = contest.measured.layout
    return np.asarray((contest.smaller < FEW_CLUSTERS) & (layout.clusters or layout.base == 2))


def _narrow(contest: Contest, own_error: Floats, called: Bools) -> Bools:
    """Which effects have an interval with a variance that there is without an effect, and which is too small with it."""
    if contest.measured.counted:
        return np.zeros(len(called), dtype=np.bool_)
    return np.asarray(called & (own_error > TOO_NARROW * contest.pairs.error))


def _corrigible(contest: Contest) -> bool:
    """Whether its skewness could be corrected for."""
    return isinstance(contest.metric, Mean) and not contest.measured.layout.covariates and not contest.unlike


def _method(contest: Contest) -> str:
    """How it was tested, in a few words."""
    measured, metric = contest.measured, contest.metric
    if contest.measured.counted:
        return f"score, {metric.interval if isinstance(metric, Proportion) else 'miettinen-nurminen'}"
    if isinstance(metric, Quantile):
        return metric.method
    words = ["pooled z" if contest.pooled else "Welch"]
    words += ["Hall's skewness"] * contest.corrected
    words += ["delta method"] * (measured.layout.base == 2)
    words += [f"CUPED ({getattr(metric, 'theta', 'within')})"] * bool(contest.arms.covariates.any())
    words += ["post-stratified"] * (measured.strata > 1)
    return ", ".join(words)
