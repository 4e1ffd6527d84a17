"""From the moments of an arm's units to its estimate, and how sure that is: the delta method, covariates, strata.

Every estimate here is a function of means, and what matters of its error is linear in the units: with the gradient g of the function at the
means, one unit adds g'(x - mean) and the variance of the estimate is g'Sg / n. A mean has g = (1), a ratio of means R = Y/D has
g = (1, -R) / D, and a covariate with the coefficient theta adds -theta.

The delta method for ratios: A. Deng, U. Knoblich & J. Lu (2018), Applying the delta method in metric analytics, KDD. Covariates: A. Deng,
Y. Xu, R. Kohavi & T. Walker (2013), Improving the sensitivity of online controlled experiments by utilizing pre-experiment data, WSDM; with
the coefficient from within the arms it is the analysis of covariance, R. A. Fisher (1932). Strata: L. W. Miratrix, J. S. Sekhon & B. Yu
(2013), Adjusting treatment effect estimates by post-stratification, JRSS B 75, 369-396.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels.moments import Moments, merge, summed

ROUNDING: Final = 1e-28
"""The square of what the deviations of cancelling numbers keep of their size."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Arms:
    """The estimates of M arms, which belong to tests, each in S strata.

    Attributes
    ----------
    n : (M, S) units.
    estimate, raw : (M,) with the covariates' help, and without.
    variance, raw_variance : (M,) of the estimates, each arm for itself.
    unit_variance, unit_third : (M, S) second and third moment of what one unit adds.
    weights : (M, S) the share of the stratum in the test.
    imbalance : (M, q) how far the arm's covariates are from their test's mean.
    leverage : (M, q, q) what the coefficients' error costs: variance = imbalance' leverage imbalance.
    shared : (M,) variance that all arms of a test have in common, since their covariates are compared with one mean.
    covariates : (M,) how many covariates say anything.
    spent : (M,) degrees of freedom that they cost.
    """

    n: Floats
    estimate: Floats
    raw: Floats
    variance: Floats
    raw_variance: Floats
    unit_variance: Floats
    unit_third: Floats
    weights: Floats
    imbalance: Floats
    leverage: Floats
    shared: Floats
    covariates: Floats
    spent: Floats

    def covariance(self, one: Ints, other: Ints) -> Floats:
        """Of the estimates of two arms, which are independent but for the covariates."""
        cross = np.einsum("mi,mij,mj->m", self.imbalance[one], self.leverage[one], self.imbalance[other])
        return np.asarray(cross + self.shared[one] + np.where(one == other, self.variance[one], 0.0))


def estimate(cells: Moments, test: Ints, strata: int, origin: Floats, *, ratio: bool, within: bool) -> Arms:
    """The arms of tests. `cells` are M x S groups (all strata of the first arm first) of value, denominator if a ratio, and covariates.

    `test` is the test of each arm, `origin` what has been taken off the ratio of each test. With `within` the coefficients of the
    covariates come from the spread inside the arms' cells, as in the analysis of covariance; else from that of all units of a test,
    whichever arm they are in.
    """
    arms, base = len(test), 2 if ratio else 1
    n = cells.n.reshape(arms, strata)
    weights = _weights(n, test)
    means = np.einsum("ms,msp->mp", weights, cells.mean.reshape(arms, strata, -1))
    means[n.sum(axis=1) == 0] = np.nan
    raw, gradient = _gradient(means, ratio=ratio)
    raw = raw + origin[test]
    q = means.shape[1] - base
    raw_unit = _spread(cells, np.repeat(_padded(gradient, q), strata, axis=0)).reshape(arms, strata)
    third = _third(cells, gradient, strata)
    if not q:
        none = np.zeros((arms, 0))
        variance = _variance(weights, raw_unit, n)
        flat, zero = np.zeros((arms, 0, 0)), np.zeros(arms)
        return Arms(n, raw, raw, variance, variance, raw_unit, third, weights, none, flat, zero, zero, zero)
    theta, inverse, rank = _coefficients(cells, gradient, test, strata, base, within=within)
    full = np.concatenate([gradient, -theta[test]], axis=1)
    freedom = _freedom(n, test)
    unit = _spread(cells, np.repeat(full, strata, axis=0)).reshape(arms, strata)
    unit = unit * (freedom / np.where(freedom > rank, freedom - rank, np.nan))[test][:, None] if within else unit
    size = np.bincount(test, weights=n.sum(axis=1))
    centre = _by_test(n.sum(axis=1)[:, None] * np.nan_to_num(means[:, base:]), test) / size[:, None]
    imbalance = means[:, base:] - centre[test]
    residual = _by_test(np.nansum(unit * np.maximum(n - 1, 0), axis=1)[:, None], test)[:, 0] / np.maximum(freedom, 1)
    leverage = (residual[:, None, None] * inverse)[test] if within else np.zeros((arms, q, q))
    spread = merge(cells, np.repeat(test, strata), len(size)).covariance[:, base:, base:]
    shared = np.einsum("ti,tij,tj->t", theta, spread, theta) / size
    return Arms(
        n, raw - np.einsum("mi,mi->m", imbalance, theta[test]), raw, _variance(weights, unit, n), _variance(weights, raw_unit, n), unit,
        third, weights, imbalance, leverage, shared[test], rank[test], rank[test] if within else np.zeros(arms),
    )  # fmt: skip


def _weights(n: Floats, test: Ints) -> Floats:
    """The share of each stratum among all units of the test."""
    units = _by_test(n, test)
    return np.asarray((units / units.sum(axis=1, keepdims=True))[test])


def _gradient(means: Floats, *, ratio: bool) -> tuple[Floats, Floats]:
    """The estimate from the means, and its gradient."""
    if not ratio:
        return means[:, 0], np.ones((len(means), 1))
    denominator = np.where(means[:, 1] == 0, np.nan, means[:, 1])
    value = means[:, 0] / denominator
    return value, np.stack([1 / denominator, -value / denominator], axis=1)


def _padded(gradient: Floats, zeros: int) -> Floats:
    return np.concatenate([gradient, np.zeros((len(gradient), zeros))], axis=1)


def _spread(cells: Moments, gradient: Floats) -> Floats:
    """The variance of what one unit of a cell adds, g'Sg; nothing where it is what rounding leaves of numbers that cancel."""
    size = np.sqrt(np.einsum("cii->ci", cells.covariance) + cells.mean**2)
    least = ROUNDING * np.einsum("ci,ci->c", np.abs(gradient), size) ** 2
    spread = np.einsum("ci,cij,cj->c", gradient, cells.covariance, gradient)
    return np.asarray(np.where(spread < least, 0.0, spread))


def _variance(weights: Floats, unit: Floats, n: Floats) -> Floats:
    """Of an arm's estimate: the sum of w^2 s^2 / n over its strata."""
    return np.asarray(np.einsum("ms,ms->m", weights**2, np.where(weights > 0, unit / np.where(n > 0, n, np.nan), 0.0)))


def _third(cells: Moments, gradient: Floats, strata: int) -> Floats:
    """The third moment of what one unit adds; missing where no cubes are known."""
    arms, base = gradient.shape
    if cells.cubes.shape[1] < base:
        return np.full((arms, strata), np.nan)
    own = np.repeat(gradient, strata, axis=0)
    cubes = np.einsum("cijk,ci,cj,ck->c", cells.cubes[:, :base, :base, :base], own, own, own)
    return np.asarray((cubes / np.where(cells.n > 0, cells.n, np.nan)).reshape(arms, strata))


def _freedom(n: Floats, test: Ints) -> Floats:
    """Degrees of freedom inside the cells of each test."""
    return _by_test(np.maximum(n - 1, 0).sum(axis=1), test)


def _coefficients(cells: Moments, gradient: Floats, test: Ints, strata: int, base: int, *, within: bool) -> tuple[Floats, Floats, Floats]:
    """Of each test: the coefficients of the covariates, the inverse of their sums of products, and their rank.

    A covariate that says nothing (one that does not vary, or follows from others) gets no weight, by the pseudo-inverse.
    """
    of_cell = np.repeat(test, strata)
    if within:
        own = np.repeat(gradient, strata, axis=0)
        across = _by_test(np.einsum("ci,cij->cj", own, cells.products[:, :base, base:]), of_cell)
        among = _by_test(cells.products[:, base:, base:], of_cell)
    else:
        whole = merge(cells, of_cell, int(test.max()) + 1)
        across = np.einsum("ti,tij->tj", _gradient(whole.mean, ratio=base == 2)[1], whole.products[:, :base, base:])
        among = whole.products[:, base:, base:]
    scale = np.sqrt(np.einsum("tii->ti", among))
    scale = np.where(scale > 0, scale, 1.0)
    inverse, rank = _pseudo_inverse(among / (scale[:, :, None] * scale[:, None, :]))
    inverse /= scale[:, :, None] * scale[:, None, :]
    return np.einsum("tij,tj->ti", inverse, across), inverse, rank


def _pseudo_inverse(matrices: Floats) -> tuple[Floats, Floats]:
    """Of symmetric matrices with ones on the diagonal, and their ranks; directions with less than 1e-10 of the spread are none."""
    values, vectors = np.linalg.eigh(np.where(np.isfinite(matrices), matrices, 0.0))
    told = values > 1e-10
    inverse = np.where(told, 1 / np.where(told, values, 1.0), 0.0)
    return np.einsum("tik,tk,tjk->tij", vectors, inverse, vectors), told.sum(axis=1).astype(np.float64)


def _by_test(values: Floats, test: Ints) -> Floats:
    """Sums over the rows of each test."""
    return summed(values, test, int(test.max(initial=-1)) + 1)
