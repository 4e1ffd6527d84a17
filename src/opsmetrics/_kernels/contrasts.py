"""An arm against another: the difference and the lift of their estimates, tested and estimated by one statistic.

The difference and the ratio are one question, mean_t = r mean_c: at r = 1 it is the test, and the values of r that it does not reject are
the interval of the lift. So the p-value, the interval of the difference and that of the lift always agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels.arms import Arms

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


MOST_SKEW: Final = 2.0
"""A difference more skewed than this is too far from normal for its third moment to mend."""


@dataclass(frozen=True)
class Pairs:
    """Two estimates for each comparison, the variances of both, their covariance, and the degrees of freedom (inf: normal)."""

    treatment: Floats
    control: Floats
    v_treatment: Floats
    v_control: Floats
    covariance: Floats
    df: Floats

    @cached_property
    def difference(self) -> Floats:
        """Treatment less control."""
        return self.treatment - self.control

    @cached_property
    def error(self) -> Floats:
        """The standard error of the difference; missing where nothing varies."""
        variance = self.v_treatment + self.v_control - 2 * self.covariance
        return np.sqrt(np.where(variance > 0, variance, np.nan))


def welch(arms: Arms, treatment: Ints, control: Ints) -> Pairs:
    """Each arm with its own variance; degrees of freedom by Welch and Satterthwaite, over all strata, less one for each covariate.

    B. L. Welch (1947), The generalization of Student's problem when several different population variances are involved, Biometrika 34.
    """
    parts = [
        arms.weights[arm] ** 2 * arms.unit_variance[arm] / np.where(arms.n[arm] > 0, arms.n[arm], np.nan) for arm in (treatment, control)
    ]
    total = sum(np.nansum(part, axis=1) for part in parts)
    below = sum(np.nansum(part**2 / np.maximum(arms.n[arm] - 1, 1), axis=1) for part, arm in zip(parts, (treatment, control), strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(below > 0, total**2 / below, np.nan)
    return Pairs(
        arms.estimate[treatment], arms.estimate[control], arms.covariance(treatment, treatment), arms.covariance(control, control),
        arms.covariance(treatment, control), np.maximum(df - arms.spent[control], 1.0),
    )  # fmt: skip


def pooled(arms: Arms, treatment: Ints, control: Ints) -> Pairs:
    """Both arms with the variance that all their units have about one mean, as when the treatment does nothing.

    What small arms need when units are skewed or successes rare: an arm's own variance is small exactly when its mean is.
    """
    n_t, n_c = arms.n[treatment], arms.n[control]
    both = np.maximum(n_t + n_c, 1.0)
    inside = sum(np.nan_to_num(arms.unit_variance[arm]) * np.maximum(arms.n[arm] - 1, 0) for arm in (treatment, control))
    difference = (arms.estimate[treatment] - arms.estimate[control])[:, None]
    unit = (inside + n_t * n_c / both * difference**2) / np.maximum(both - 1, 1)
    weights = arms.weights[control] ** 2
    shared = arms.shared[control]
    v_t, v_c = (np.nansum(weights * unit / np.where(n > 0, n, np.nan), axis=1) + shared for n in (n_t, n_c))
    df = np.maximum(np.maximum(n_t + n_c - 2, 0).sum(axis=1) - arms.spent[control], 1.0)
    return Pairs(arms.estimate[treatment], arms.estimate[control], v_t, v_c, shared, df)


def skewness(arms: Arms, pairs: Pairs, treatment: Ints, control: Ints) -> Floats:
    """The skewness of the difference, A = k3 (1/n_t^2 - 1/n_c^2) / se^3, with the third moment k3 of the units of both arms.

    Zero where the arms are of one size; where they are not, a tail of the test gains about A phi(z) (2 z^2 + 1) / 6, and the other loses it
    (P. Hall, 1992, The Bootstrap and Edgeworth Expansion, section 2.6).
    """
    n_t, n_c = arms.n[treatment], arms.n[control]
    with np.errstate(divide="ignore", invalid="ignore"):
        k3 = (n_t * np.nan_to_num(arms.unit_third[treatment]) + n_c * np.nan_to_num(arms.unit_third[control])) / (n_t + n_c)
        third = arms.weights[control] ** 3 * k3 * (1 / n_t**2 - 1 / n_c**2)
        return np.asarray(np.nansum(np.where(arms.weights[control] > 0, third, 0.0), axis=1) / pairs.error**3)


def skewness_per_unit(arms: Arms, pairs: Pairs, treatment: Ints, control: Ints) -> Floats:
    """The skewness of the difference by that of the units, which both arms are taken to share: (s_t^3/n_t^2 - s_c^3/n_c^2) / se^3."""
    third = [
        arms.weights[control] ** 3 * np.nan_to_num(arms.unit_variance[arm]) ** 1.5 / np.where(arms.n[arm] > 0, arms.n[arm], np.nan) ** 2
        for arm in (treatment, control)
    ]
    return np.asarray((np.nansum(third[0], axis=1) - np.nansum(third[1], axis=1)) / pairs.error**3)


def skewness_of_shape(arms: Arms, pairs: Pairs, treatment: Ints, control: Ints) -> Floats:
    """The skewness of the difference of arms whose units have one shape, and spreads of their own, as they have at a margin.

    Where a treatment brings less of everything the arms are unlike, and even if they are of one size their skewness does not cancel.
    """
    thirds, cubes = (
        sum(np.nansum(arms.n[arm] * np.nan_to_num(values), axis=1) for arm, values in each)
        for each in (
            [(arm, arms.unit_third[arm]) for arm in (treatment, control)],
            [(arm, arms.unit_variance[arm] ** 1.5) for arm in (treatment, control)],
        )
    )
    shape = np.divide(thirds, cubes, out=np.zeros(len(treatment)), where=cubes > 0)
    return np.asarray(shape * skewness_per_unit(arms, pairs, treatment, control))


def bounded(skew: Floats, critical: Floats) -> Floats:
    """The skewness as far as a third moment corrects for it: beyond that the estimate itself would be rejected."""
    most = np.minimum(MOST_SKEW, 3 * critical)
    return np.clip(skew, -most, most)


def straightened(z: Floats, skew: Floats) -> Floats:
    """A statistic of a skewed difference on the normal scale: z - A (z^2 - 1) / 6 + A^2 z^3 / 108, which increases for every A.

    P. Hall (1992), On the removal of skewness by transformation, JRSS B 54, 221-228.
    """
    return z - skew * (z**2 - 1) / 6 + skew**2 * z**3 / 108


def bent(z: Floats, skew: Floats) -> Floats:
    """What `straightened` takes to z: the cube in 1 - A z / 6, solved."""
    flat = np.abs(skew) < 1e-9
    a = np.where(flat, 1.0, skew)
    return np.where(flat, z, 6 / a * (1 - np.cbrt(1 - a / 2 * (z - a / 6))))


def interval(pairs: Pairs, above: Floats, below: Floats) -> tuple[Floats, Floats]:
    """Of the difference: `above` standard errors down to the low end, `below` up to the high one."""
    reach = pairs.error
    return pairs.difference - above * reach, pairs.difference + below * reach


def fieller(pairs: Pairs, above: Floats, below: Floats) -> tuple[Floats, Floats]:
    """Of the lift, (treatment - control) / |control|: the ratios 1 + x that are not rejected, mean_t - (1 + x) mean_c within its errors.

    Where the control's mean cannot be told from zero that set has no ends: it is the whole line, or what lies outside two numbers. Then
    the part that holds the estimate is given where no difference (x = 0) is rejected, and the whole line where it is not.

    E. C. Fieller (1954), Some problems in interval estimation, JRSS B 16, 175-185.
    """
    lower, upper = _lifts(pairs, above), _lifts(pairs, below)
    negative = pairs.control < 0  # a smaller ratio is then a larger mean
    low, high = np.where(negative, -lower[1], lower[0]), np.where(negative, -upper[0], upper[1])
    nothing = np.isnan(pairs.error) | (pairs.control == 0)
    return np.where(nothing, np.nan, low), np.where(nothing, np.nan, high)


def _lifts(pairs: Pairs, critical: Floats) -> tuple[Floats, Floats]:
    """Both ends of the set of x at one critical value k.

    They are the roots of the quadratic

        x^2 (c^2 - k^2 v_c) - 2 x (h c + k^2 w) + h^2 - k^2 v = 0,    h the difference, v its variance, w = v_c - v_ct,

    written in differences: in the means themselves a lift of 1e-9 would be lost.
    """
    c, h, k2 = pairs.control, pairs.difference, critical**2
    w, v = pairs.v_control - pairs.covariance, pairs.error**2
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        a, b = c**2 - k2 * pairs.v_control, h * c + k2 * w
        root = k2 * (c**2 * v + 2 * h * c * w + h**2 * pairs.v_control + k2 * (w**2 - pairs.v_control * v))
        one, other = ((b + sign * np.sqrt(np.maximum(root, 0.0))) / a for sign in (-1.0, 1.0))
        low, high = np.minimum(one, other), np.maximum(one, other)
        rejects = np.abs(h) > critical * pairs.error
        outside = (a <= 0) & (root > 0) & rejects & (low < 0) & (high > 0)
        right = h / c >= high
    bounded = (a > 0) & np.isfinite(critical)
    below = np.where(bounded, low, np.where(outside & right, high, -np.inf))
    above = np.where(bounded, high, np.where(outside & ~right, low, np.inf))
    return below, above
