"""What an A/B test answers, slowly: each estimator on the rows of the units, by scipy, statsmodels, or the definition.

Nothing here is shared with the package. An estimator gives an `Arm`: an estimate, the square of its standard error, and its degrees of
freedom; two arms make an `Answer`. Intervals of the lift are sets, found by looking along the whole line where the t statistic of
"treatment - (1 + lift) control = 0" is not significant.

E. C. Fieller (1954), Some problems in interval estimation, J. R. Stat. Soc. B 16, 175-185. A. Deng, U. Knoblich & J. Lu (2018), Applying
the delta method in metric analytics, KDD '18, 233-242. P. Hall (1992), On the removal of skewness by transformation, J. R. Stat. Soc. B 54,
221-228. D. J. Schuirmann (1987), A comparison of the two one-sided tests procedure, J. Pharmacokinet. Biopharm. 15, 657-680. L. W.
Miratrix, J. S. Sekhon & B. Yu (2013), Adjusting treatment effect estimates by post-stratification, J. R. Stat. Soc. B 75, 369-396.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats
from statsmodels.regression.linear_model import OLS

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """An estimate, the square of its standard error, and its degrees of freedom."""

    estimate: float
    variance: float
    df: float


@dataclass(frozen=True)
class Answer:
    """What a comparison says. `lift` holds the pieces of the set of lifts that are not excluded."""

    treatment: float
    control: float
    difference: float
    low: float
    high: float
    statistic: float
    df: float
    p_value: float
    lift: tuple[tuple[float, float], ...]


# ------------------------------------------------------------------------------------------------------------ two arms


def welch(treatment: Any, control: Any, confidence: float = 0.95, alternative: Any = "two-sided") -> Answer:
    """Welch's t test of rows, by scipy."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)  # an arm may be constant
        found = stats.ttest_ind(treatment, control, equal_var=False, alternative=alternative)
    low, high = found.confidence_interval(confidence)
    arms = mean(treatment), mean(control)
    lift = lifts(*arms, float(found.df), confidence, alternative)
    means = arms[0].estimate, arms[1].estimate
    return Answer(*means, means[0] - means[1], low, high, found.statistic, found.df, found.pvalue, lift)


def compare(
    treatment: Arm, control: Arm, confidence: float = 0.95, alternative: str = "two-sided", df: float | None = None, covariance: float = 0.0
) -> Answer:
    """The difference of two estimates, independent unless they have a covariance; degrees of freedom by Satterthwaite unless given."""
    df = satterthwaite(treatment, control) if df is None else df
    difference = treatment.estimate - control.estimate
    se = math.sqrt(treatment.variance + control.variance - 2 * covariance)
    low, high = ends(difference, se, df, confidence, alternative)
    p_value = tail(difference / se, df, alternative)
    lift = lifts(treatment, control, df, confidence, alternative, covariance)
    return Answer(treatment.estimate, control.estimate, difference, low, high, difference / se, df, p_value, lift)


def satterthwaite(*parts: Arm) -> float:
    """The degrees of freedom of a sum of independent variances."""
    below = sum(part.variance**2 / part.df for part in parts)
    return sum(part.variance for part in parts) ** 2 / below if below else math.inf


def tail(statistic: float, df: float, alternative: str) -> float:
    """The p-value of a t statistic."""
    law = stats.t(df) if math.isfinite(df) else stats.norm()
    tails = {"two-sided": 2 * law.sf(abs(statistic)), "greater": law.sf(statistic), "less": law.cdf(statistic)}
    return float(tails[alternative])


def critical(df: float, confidence: float, alternative: str) -> float:
    """How far a t statistic may be from 0."""
    law = stats.t(df) if math.isfinite(df) else stats.norm()
    return float(law.isf((1 - confidence) / 2 if alternative == "two-sided" else 1 - confidence))


def ends(difference: float, se: float, df: float, confidence: float, alternative: str) -> tuple[float, float]:
    """The interval of a difference."""
    reach = critical(df, confidence, alternative) * se
    return (-math.inf if alternative == "less" else difference - reach, math.inf if alternative == "greater" else difference + reach)


def lifts(
    treatment: Arm, control: Arm, df: float, confidence: float = 0.95, alternative: str = "two-sided", covariance: float = 0.0
) -> tuple[tuple[float, float], ...]:
    """The lifts (treatment - control) / |control| that a t test does not exclude: pieces of the line, found on a grid and by brentq.

    The line is walked along an angle, so that it has ends: 1 + lift (1 - lift where the control is negative) is its tangent.
    """
    scale = math.sqrt(treatment.variance / control.variance) if treatment.variance and control.variance else 1.0
    allowed = critical(df, confidence, alternative)

    def excess(angle: float) -> float:
        """By how much the statistic is too far from 0; above 0 the lift is excluded."""
        rise, run = scale * math.sin(angle), math.cos(angle)
        variance = treatment.variance * run**2 + control.variance * rise**2 - 2 * covariance * rise * run
        far = (treatment.estimate * run - control.estimate * rise) / math.sqrt(variance)
        return {"two-sided": abs(far), "greater": far, "less": -far}[alternative] - allowed

    best = math.atan(treatment.estimate / control.estimate / scale)
    worst = math.atan(-scale * control.estimate / treatment.estimate) if treatment.estimate else 0.0
    near_ends = [sign * (math.pi / 2 - 10.0**-digits) for digits in (3, 6, 9) for sign in (-1, 1)]
    grid = sorted({*np.linspace(-math.pi / 2, math.pi / 2, 801)[1:-1].tolist(), *near_ends, best, worst})
    edges = [-math.pi / 2, *_roots(excess, grid), math.pi / 2]
    inside = [piece for piece in itertools.pairwise(edges) if excess(sum(piece) / 2) <= 0]
    ratios = [tuple(math.copysign(math.inf, at) if abs(at) == math.pi / 2 else scale * math.tan(at) for at in piece) for piece in inside]
    pieces = [(a - 1, b - 1) if control.estimate > 0 else (1 - b, 1 - a) for a, b in ratios]
    return tuple(sorted(pieces))


def shown(answer: Answer) -> tuple[float, float]:
    """The one interval that is given of a set of lifts: the set, where it is in one piece.

    Where it is in two, the piece that holds the estimate if no lift is excluded, else the whole line.
    """
    if len(answer.lift) == 1:
        return answer.lift[0]
    if any(low <= 0 <= high for low, high in answer.lift):
        return (-math.inf, math.inf)
    lift = answer.difference / abs(answer.control)
    return next((low, high) for low, high in answer.lift if low <= lift <= high)


def _roots(function: Any, grid: Sequence[float]) -> list[float]:
    values = [function(at) for at in grid]
    neighbours = zip(itertools.pairwise(grid), itertools.pairwise(values), strict=True)
    return [float(optimize.brentq(function, a, b, xtol=1e-15, rtol=1e-14)) for (a, b), (left, right) in neighbours if left * right < 0]


def equivalence(treatment: Any, control: Any, margin: float, confidence: float = 0.95) -> tuple[float, tuple[float, float]]:
    """Two one-sided tests: the larger p-value of "above -margin" and "below margin", and the interval that belongs to both."""
    treatment, control = np.asarray(treatment, dtype=float), np.asarray(control, dtype=float)
    above = stats.ttest_ind(treatment + margin, control, equal_var=False, alternative="greater").pvalue
    below = stats.ttest_ind(treatment - margin, control, equal_var=False, alternative="less").pvalue
    both = welch(treatment, control, 2 * confidence - 1)
    return float(max(above, below)), (both.low, both.high)


def skew_corrected(treatment: Any, control: Any) -> tuple[float, float]:
    """The pooled statistic under "no difference at all", corrected for the third moment, and its two-sided p-value.

    The variance is that of both arms together, about their common mean; the third moment is about the mean of each arm.
    """
    together = np.concatenate([treatment, control])
    n_t, n_c = len(treatment), len(control)
    se = math.sqrt(together.var(ddof=1) * (1 / n_t + 1 / n_c))
    third = sum(((arm - np.mean(arm)) ** 3).sum() for arm in (treatment, control)) / len(together)
    skew = third * (1 / n_t**2 - 1 / n_c**2) / se**3
    z = (np.mean(treatment) - np.mean(control)) / se
    corrected = float(z - skew / 6 * (z**2 - 1) + skew**2 * z**3 / 108)
    return corrected, float(2 * stats.t.sf(abs(corrected), len(together) - 2))


# ------------------------------------------------------------------------------------------------------------- one arm


def mean(values: Any) -> Arm:
    values = np.asarray(values, dtype=float)
    return Arm(float(values.mean()), float(values.var(ddof=1)) / len(values), len(values) - 1)


def winsorized(values: Sequence[Floats], low: float, high: float) -> list[Floats]:
    """All arms, cut where the quantiles of all of them together are."""
    ends_of_all = np.quantile(np.concatenate(values), [low, high])
    return [np.clip(one, *ends_of_all) for one in values]


def ratio(numerator: Any, denominator: Any) -> Arm:
    """A ratio of sums: how much it moves with each unit has the variance of the ratio."""
    return mean(ratio_values(numerator, denominator))


def clustered(values: Any, clusters: Any) -> Arm:
    """A mean of rows that come in clusters: statsmodels' sandwich with its correction for the number of clusters (CR1)."""
    values, codes = np.asarray(values, dtype=float), np.unique(np.asarray(clusters), return_inverse=True)[1]
    fit = OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": codes, "use_correction": True})
    return Arm(float(fit.params[0]), float(fit.cov_params()[0, 0]), int(codes.max()))


def clustered_ratio(numerator: Any, denominator: Any, clusters: Any) -> Arm:
    """A ratio of sums whose rows come in clusters: that of the clusters' sums."""
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    return ratio(np.bincount(codes, weights=numerator), np.bincount(codes, weights=denominator))


def poststratified(values: Any, strata: Any, shares: dict[Any, float]) -> Arm:
    """A mean over strata, each with its share of all units; degrees of freedom by Satterthwaite."""
    values, strata = np.asarray(values, dtype=float), np.asarray(strata)
    parts = [(share, mean(values[strata == name])) for name, share in shares.items()]
    weighted = [Arm(share * part.estimate, share**2 * part.variance, part.df) for share, part in parts]
    return Arm(sum(part.estimate for part in weighted), sum(part.variance for part in weighted), satterthwaite(*weighted))


def quantile(values: Any, q: float) -> Arm:
    """A quantile, and its error from the order statistics that hold it in between in 95 of 100 samples (Deng, Knoblich & Lu).

    How many values lie below the true quantile is binomial; the ranks are 1.96 of its standard errors around its mean, and a half.
    """
    values = np.sort(np.asarray(values, dtype=float))
    n, reach = len(values), stats.norm.isf(0.025)
    places = n * q + 0.5 + reach * np.array([-1, 1]) * math.sqrt(n * q * (1 - q))
    low, high = np.interp(places, np.arange(1, n + 1), values)
    return Arm(float(np.quantile(values, q)), float(((high - low) / (2 * reach)) ** 2), math.inf)


# ---------------------------------------------------------------------------------------------------------- covariates


@dataclass(frozen=True)
class Adjusted:
    """An analysis of covariance: adjusted means of the arms, and what is known of their errors."""

    estimates: Floats
    covariance: Floats
    """Of the adjusted means, where each arm has a residual variance of its own."""
    classical: Floats
    """The same where all arms have one residual variance."""
    arms: tuple[Arm, ...]
    """Each arm as if the slopes and the mean of the covariates were known."""
    slopes: Floats

    def answer(self, treatment: int, control: int = 0, **choices: Any) -> Answer:
        """One arm against another: Satterthwaite's degrees of freedom, less one for each slope."""
        one, other = (
            Arm(float(self.estimates[place]), float(self.covariance[place, place]), self.arms[place].df) for place in (treatment, control)
        )
        df = satterthwaite(self.arms[treatment], self.arms[control]) - len(self.slopes)
        return compare(one, other, df=df, covariance=float(self.covariance[treatment, control]), **choices)


def ancova(values: Sequence[Any], covariates: Sequence[Any]) -> Adjusted:
    """Common slopes by statsmodels' OLS with an intercept per arm; the first arm is the control, each arm's covariates are a matrix.

    To the errors at known covariates comes that of their mean among all units, at which all means are taken.
    """
    sizes = np.array([len(v) for v in values])
    outcome = np.concatenate([np.asarray(v, dtype=float) for v in values])
    matrix = np.concatenate([np.asarray(x, dtype=float).reshape(len(v), -1) for v, x in zip(values, covariates, strict=True)])
    centred, arm = matrix - matrix.mean(axis=0), np.repeat(np.arange(len(values)), sizes)
    fit = OLS(outcome, np.column_stack([np.eye(len(values))[arm], centred])).fit()
    slopes = fit.params[len(values) :]
    lost = (len(outcome) - len(values)) / fit.df_resid
    residual = np.array([lost * (fit.resid[arm == place] ** 2).sum() / (size - 1) for place, size in enumerate(sizes)])
    shared = slopes @ np.atleast_2d(np.cov(matrix.T)) @ slopes / len(outcome)
    classical = np.asarray(fit.cov_params())[: len(values), : len(values)] + shared
    separate = classical + np.diag((residual - fit.scale) / sizes)
    estimates = fit.params[: len(values)]
    arms = tuple(Arm(float(e), float(v / size), size - 1) for e, v, size in zip(estimates, residual, sizes, strict=True))
    return Adjusted(estimates, separate, classical, arms, slopes)


def ratio_values(numerator: Any, denominator: Any) -> Floats:
    """Numbers of the units whose mean is the ratio of the sums, and whose spread is what each unit adds to it."""
    numerator, denominator = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    estimate = numerator.sum() / denominator.sum()
    return np.asarray(estimate + (numerator - estimate * denominator) / denominator.mean())


def cuped_total(values: Sequence[Any], covariate: Sequence[Any]) -> tuple[list[Floats], float]:
    """Outcomes less what the covariate tells, the slope taken from all arms as if they were one.

    Also the error that all arms' means have in common, since their covariates are compared with one mean.
    """
    outcome, before = np.concatenate(values).astype(float), np.concatenate(covariate).astype(float)
    slope = np.cov(outcome, before)[0, 1] / before.var(ddof=1)
    adjusted = [
        np.asarray(v, dtype=float) - slope * (np.asarray(x, dtype=float) - before.mean()) for v, x in zip(values, covariate, strict=True)
    ]
    return adjusted, float(slope**2 * before.var(ddof=1) / len(before))
