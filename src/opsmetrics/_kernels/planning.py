"""How likely a comparison of two arms is to find what is there, and how many units it takes.

All powers are one-sided: the chance to end beyond the critical value in the direction that is hoped for. The other tail of a two-sided
test, to find an effect of the wrong sign, is no success (strict = FALSE in R's power.t.test and power.prop.test); so power rises with n and
with the effect, and n, effect and power determine each other. `level` is the chance of the one tail: alpha / 2 in a two-sided test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import multiplicity, proportions, quadrature

Floats = npt.NDArray[np.float64]

NODES = 160
"""Of the integral over the standard deviation that will be found; twice as many change no power by 1e-11 from 2 degrees of freedom on."""

_NEGLIGIBLE = 36.0
"""exp(-36) = 2e-16."""

_FEWEST = 2 - 1e-9
"""Two units, which a share of all of them may miss by rounding."""

NEARLY_SURE = 1 - 1e-9
"""As high as a power is told apart from 1."""


def variance_factor(correlation: float, cluster_size: float, icc: float) -> float:
    """By how much the variance of a mean differs from that of independent units without a covariate: (1 - r^2) (1 + (m - 1) icc).

    A covariate of correlation r takes away r^2 (A. Deng, Y. Xu, R. Kohavi & T. Walker, 2013, Improving the sensitivity of online controlled
    experiments by utilizing pre-experiment data, WSDM, 123-132); m alike units in a cluster multiply (L. Kish, 1965, Survey Sampling, 8.2).
    """
    return (1 - correlation * correlation) * (1 + (cluster_size - 1) * icc)


def welch_df(n_control: npt.ArrayLike, n_treatment: npt.ArrayLike) -> Floats:
    """Satterthwaite's degrees of freedom of Welch's test where the variances are equal: 2 (n - 1) in equal arms, missing below 2 units.

    (1/n0 + 1/n1)^2 / (1/(n0^2 (n0 - 1)) + 1/(n1^2 (n1 - 1))). F. E. Satterthwaite (1946), Biometrics Bulletin 2, 110-114.
    """
    a, b = np.broadcast_arrays(np.asarray(n_control, dtype=np.float64), np.asarray(n_treatment, dtype=np.float64))
    known = (a >= _FEWEST) & (b >= _FEWEST)
    m, n = np.where(known, a, 2.0), np.where(known, b, 2.0)
    return np.where(known, (1 / m + 1 / n) ** 2 / (1 / (m * m * (m - 1)) + 1 / (n * n * (n - 1))), np.nan)


def power_of_means(gap: npt.ArrayLike, error: npt.ArrayLike, df: npt.ArrayLike, level: npt.ArrayLike) -> Floats:
    """The chance that a t statistic, whose mean is `gap` standard `error`s off the edge of the hypothesis, exceeds its critical value.

    P(T > t) of the noncentral t distribution with noncentrality gap / error, as the mean over the estimated standard deviation s (in units
    of the true one, s^2 ~ chi^2_df / df) of Phi(gap / error - t s). J. Cohen (1988), Statistical Power Analysis, 2nd ed., ch. 2.
    """
    from scipy.special import ndtr, stdtrit

    ncp, tail, nu = _columns(np.asarray(gap) / np.asarray(error), level, df)
    scale, weights = _scales(nu)
    return _mean(ndtr(ncp + stdtrit(nu, tail) * scale), weights)


def power_of_equivalent_means(
    effect: npt.ArrayLike, margin: npt.ArrayLike, error: npt.ArrayLike, df: npt.ArrayLike, level: npt.ArrayLike
) -> Floats:
    """The chance that two one-sided t tests both reject, differences beyond -margin and beyond margin.

    Given s they do where the difference falls within margin - t s error of 0, which is nowhere once s is above margin / (t error). The mean
    over s is Owen's Q. D. J. Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680; K. F. Phillips (1990), ibid.
    18, 137-144.
    """
    from scipy.special import ndtr, stdtrit

    off, room, tail, nu = _columns(np.asarray(effect) / np.asarray(error), np.asarray(margin) / np.asarray(error), level, df)
    critical = -stdtrit(nu, tail)
    scale, weights = _scales(nu, room / critical)
    inside = ndtr(room - off - critical * scale) - ndtr(critical * scale - room - off)
    return _mean(inside, weights)


def power_of_rates(
    p_control: npt.ArrayLike, p_treatment: npt.ArrayLike, n_control: npt.ArrayLike, n_treatment: npt.ArrayLike, margin: float, level: float
) -> Floats:
    """The chance that the score test rejects a rate of the treatment that is lower than the control's by `margin` or more.

    Phi((p1 - p0 + margin - z se0) / se1): se1 is the standard error at the rates as they are, se0 at the rates of which the hypothesis
    makes these samples likeliest, for margin 0 the pooled rate. J. L. Fleiss, A. Tytun & H. K. Ury (1980), Biometrics 36, 343-346 (without
    their correction; R's power.prop.test); C. P. Farrington & G. Manning (1990), Statistics in Medicine 9, 1447-1454.
    """
    from scipy.special import ndtr, ndtri

    p0, p1, n0, n1 = _arms(p_control, p_treatment, n_control, n_treatment)
    room = p1 - p0 + margin + ndtri(level) * _null_error(p0, p1, n0, n1, -margin)
    return np.asarray(ndtr(room / _error(p0, p1, n0, n1)))


def power_of_equivalent_rates(
    p_control: npt.ArrayLike, p_treatment: npt.ArrayLike, n_control: npt.ArrayLike, n_treatment: npt.ArrayLike, margin: float, level: float
) -> Floats:
    """The chance that two one-sided score tests both reject, differences of the rates beyond -margin and beyond margin."""
    from scipy.special import ndtr, ndtri

    p0, p1, n0, n1 = _arms(p_control, p_treatment, n_control, n_treatment)
    error, critical = _error(p0, p1, n0, n1), -ndtri(level)
    high = (margin - (p1 - p0) - critical * _null_error(p0, p1, n0, n1, margin)) / error
    low = (-margin - (p1 - p0) + critical * _null_error(p0, p1, n0, n1, -margin)) / error
    return np.asarray(np.maximum(ndtr(high) - ndtr(low), 0.0))


def dunnett_level(error: float, shares: Sequence[float], sides: Literal[1, 2]) -> float:
    """The chance of one tail of one comparison, where all comparisons of treatments with the control together have `error`.

    That of Dunnett's critical value for large samples; `shares` are those of the variants, the control's first.
    """
    from scipy.special import ndtr

    return float(ndtr(-multiplicity.dunnett_critical(error, np.inf, shares[0], shares[1:], sides)))


def _columns(*values: npt.ArrayLike) -> list[Floats]:
    """Arrays of one shape, with an axis for the nodes."""
    return [array[..., None] for array in np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in values))]


def _mean(values: Floats, weights: Floats) -> Floats:
    return np.asarray(np.clip((values * weights).sum(axis=-1), 0.0, 1.0))


def _scales(df: Floats, most: npt.ArrayLike = np.inf) -> tuple[Floats, Floats]:
    """Nodes and weights for the mean over s, s^2 ~ chi^2_df / df, of a function that is 0 above `most`.

    In w = log s the density is proportional to exp(-df h(w)), h = (e^(2w) - 1)/2 - w, which stays accurate for any df; it is cut where
    df h > 36.
    """
    cut = _NEGLIGIBLE / df
    low, high = -(np.sqrt(cut) + cut), np.log1p(2 * (cut + 1.5 * np.sqrt(cut))) / 2
    points, parts = quadrature.legendre(NODES)

    def masses(end: Floats) -> tuple[Floats, Floats]:
        w = low + (end - low) * points
        return w, (end - low) * parts * np.exp(-df * (np.expm1(2 * w) / 2 - w))

    with np.errstate(divide="ignore"):
        w, weights = masses(np.clip(np.log(np.asarray(most)), low, high))
    return np.exp(w), weights / masses(high)[1].sum(axis=-1, keepdims=True)


def _arms(*values: npt.ArrayLike) -> list[Floats]:
    return list(np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in values)))


def _error(p0: Floats, p1: Floats, n0: Floats, n1: Floats) -> Floats:
    """The standard error of the difference of two rates."""
    return np.sqrt(p0 * (1 - p0) / n0 + p1 * (1 - p1) / n1)


def _null_error(p0: Floats, p1: Floats, n0: Floats, n1: Floats, difference: float) -> Floats:
    """The standard error at the rates that differ by `difference` and are likeliest for samples of these sizes and rates."""
    if difference == 0:
        pooled = (n0 * p0 + n1 * p1) / (n0 + n1)
        return _error(pooled, pooled, n0, n1)
    null1, null0 = proportions.constrained(n1 * p1, n1, n0 * p0, n0, difference)
    return _error(null0, null1, n0, n1)
