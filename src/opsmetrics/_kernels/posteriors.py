"""Which of several arms is best, given what is known of each: the posteriors of independent arms side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_REACH = 9.0
"""Beyond 9 standard deviations a normal holds 1e-19."""

_STEP = 0.65
"""The trapezoidal rule with this step, in standard deviations, takes a normal density to 1e-20."""

_COARSE = 0.25
"""The longest step, for densities that are no normal: on the scale of the logit they are analytic up to pi / 2 from the line."""

_FLAT = 40.0
"""exp(-40) = 4e-18."""

_LEAST_SHAPE = 0.05
"""With less, most of a density lies at numbers that floats do not hold."""

_MOST_NODES = 200_000
"""A test that needs more, since its arms are known as unequally as one in a million, has no answer."""

_MOST = 1_000_000
"""Numbers in memory at once, per array."""


@dataclass(frozen=True, slots=True)
class Best:
    """For each arm, along the last axis: the chance that it is the best, and by how much the best is above it in expectation."""

    probability: Floats
    expected_loss: Floats


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where the nodes of each test begin, the step between them, and how many there are."""

    start: Floats
    step: Floats
    size: Floats


@dataclass(frozen=True, slots=True)
class _Curves:
    """At each node, the last axis: each arm's density up to a factor, the log of its distribution function, and the width of the node."""

    density: Floats
    log_cdf: Floats
    width: Floats


def best_beta(a: npt.ArrayLike, b: npt.ArrayLike) -> Best:
    """Arms that are proportions p ~ Beta(a, b); the largest is the best. Arms along the last axis, tests along the others.

    P(i is best) = int f_i prod_(j != i) F_j, and the expected loss of choosing i, E[max_j p_j] - E[p_i], is
    int F_i (1 - prod_(j != i) F_j): both by the trapezoidal rule on the scale of log(p / (1 - p)), where densities fall off like
    exponentials. Nothing is subtracted, so that small chances and losses keep their digits. A test with a shape below 0.05 has no answer.

    J. D. Cook (2005), Exact calculation of beta inequalities, UT MD Anderson. C. Stucchio (2015), Bayesian A/B testing at VWO (the loss).
    """
    from scipy.special import polygamma

    shape, (alpha, beta) = _rows(a, b)
    known = np.asarray(((alpha >= _LEAST_SHAPE) & (beta >= _LEAST_SHAPE)).all(axis=-1), dtype=np.bool_)
    alpha, beta = np.where(known[:, None], alpha, 1.0), np.where(known[:, None], beta, 1.0)
    mode = np.log(alpha / beta)
    spread = np.sqrt(polygamma(1, alpha) + polygamma(1, beta))
    reach = _REACH * np.sqrt(1 / alpha + 1 / beta)
    grid = _grid(mode - reach - _FLAT / alpha, mode + reach + _FLAT / beta, _STEP * _narrow(spread))

    def curves(rows: npt.NDArray[np.intp], y: Floats) -> _Curves:
        return _beta_curves(alpha[rows, :, None], beta[rows, :, None], y)

    return _best(grid, curves, known, shape)


def best_student(location: npt.ArrayLike, scale: npt.ArrayLike, df: npt.ArrayLike) -> Best:
    """Arms whose means are location + scale T, with T of Student's distribution with `df`, normal where it is infinite.

    As `best_beta`, by the trapezoidal rule in v with the mean at x = m + w sinh(v), which reaches heavy tails in few steps. With df of 1 or
    less a mean has no expectation, and the loss is infinite; an arm without scale leaves its test without an answer.
    """
    shape, (centre, spread, freedom) = _rows(location, scale, df)
    known = np.asarray(((spread > 0) & (freedom > 0) & np.isfinite(centre)).all(axis=-1), dtype=np.bool_)
    centre, spread, freedom = (np.where(known[:, None], x, 1.0) for x in (centre, spread, freedom))
    off = centre - (centre.max(axis=-1, keepdims=True) + centre.min(axis=-1, keepdims=True)) / 2
    wide = np.maximum(off.max(axis=-1, keepdims=True), 3 * spread.max(axis=-1, keepdims=True))
    finite, nu = np.isfinite(freedom), np.where(np.isfinite(freedom), freedom, 1.0)

    def away(z: Floats) -> Floats:
        """How far out a density has fallen by exp(-_REACH^2 / 2) from where it stands at z; df log(1 + t^2 / df) is about t^2."""
        fallen = np.where(finite, nu * np.log1p(z**2 / nu), z**2) + _REACH**2
        return np.asarray(spread * np.where(finite, np.sqrt(nu * np.expm1(np.minimum(fallen / nu, 600.0))), np.sqrt(fallen)))

    # An arm is best where it is above the highest centre; there a low arm has no more than a tail, whose digits count too.
    above = (off.max(axis=-1, keepdims=True) - off) / spread
    spread_of_v = spread / np.hypot(wide, off)
    poles = (np.sqrt(np.where(finite, nu, np.inf)) * spread_of_v).min(axis=-1)
    left, right = np.arcsinh((off - away(np.zeros_like(off))) / wide), np.arcsinh((off + away(above)) / wide)
    grid = _grid(left, right, np.minimum(_STEP * _narrow(spread_of_v), 2 * np.pi / _FLAT * poles))

    def curves(rows: npt.NDArray[np.intp], v: Floats) -> _Curves:
        x, width = wide[rows] * np.sinh(v), wide[rows] * np.cosh(v)
        return _student_curves((x[:, None] - off[rows, :, None]) / spread[rows, :, None], freedom[rows, :, None], width)

    found = _best(grid, curves, known, shape)
    endless = np.broadcast_to((known & (freedom <= 1).any(axis=-1))[:, None], freedom.shape).reshape(shape)
    return Best(found.probability, np.where(endless, np.inf, found.expected_loss))


def _beta_curves(a: Floats, b: Floats, y: Floats) -> _Curves:
    from scipy.special import betainc, expit

    mode = np.log(a / b)
    at, p, q = y[:, None], expit(y)[:, None], expit(-y)[:, None]
    # log(p / p_mode) and log(q / q_mode) from the distance to the mode: differences of logs would lose digits, which a and b multiply.
    with np.errstate(over="ignore"):  # far out the density is 0
        log_density = -a * np.log1p(expit(-mode) * np.expm1(mode - at)) - b * np.log1p(expit(mode) * np.expm1(at - mode))
    below = at < mode
    tail = betainc(np.where(below, a, b), np.where(below, b, a), np.where(below, p, q))
    return _Curves(np.exp(log_density), _log_cdf(below, tail), p[:, 0] * q[:, 0])


def _student_curves(t: Floats, df: Floats, width: Floats) -> _Curves:
    from scipy.special import ndtr, stdtr

    finite = np.isfinite(df)
    nu = np.where(finite, df, 1.0)
    log_density = np.where(finite, -(nu + 1) / 2 * np.log1p(t * t / nu), -t * t / 2)
    tail = np.where(finite, stdtr(nu, -np.abs(t)), ndtr(-np.abs(t)))
    return _Curves(np.exp(log_density) * width[:, None], _log_cdf(t < 0, tail), width)


def _log_cdf(below: npt.NDArray[np.bool_], tail: Floats) -> Floats:
    """The log of a distribution function from the nearer tail, which is the lower one where `below`."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(below, np.log(tail), np.log1p(-tail)))


def _rows(*given: npt.ArrayLike) -> tuple[tuple[int, ...], list[Floats]]:
    """The shape of the arms, and each quantity as one row per test."""
    arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in given))
    shape = arrays[0].shape
    return shape, [x.reshape(-1, shape[-1]) for x in arrays]


def _narrow(spread: Floats) -> Floats:
    """The width of the product of all arms' densities and distribution functions."""
    return np.asarray(1 / np.sqrt((1 / spread**2).sum(axis=-1)))


def _grid(left: Floats, right: Floats, step: Floats) -> _Grid:
    """Nodes from the least of the left ends to the largest of the right ones, a row for each test."""
    start, short = left.min(axis=-1), np.minimum(step, _COARSE)
    return _Grid(start, short, np.ceil((right.max(axis=-1) - start) / short) + 1)


def _best(
    grid: _Grid, curves: Callable[[npt.NDArray[np.intp], Floats], _Curves], known: npt.NDArray[np.bool_], shape: tuple[int, ...]
) -> Best:
    """Both integrals, of tests that need about as many nodes at a time."""
    probability, loss = np.full((known.size, shape[-1]), np.nan), np.full((known.size, shape[-1]), np.nan)
    todo = np.flatnonzero(known & (grid.size <= _MOST_NODES))
    todo = todo[np.argsort(-grid.size[todo], kind="stable")]
    while todo.size:
        size = int(grid.size[todo[0]])
        rows, todo = np.split(todo, [max(1, _MOST // (size * shape[-1]))])
        step, last = grid.step[rows, None], grid.size[rows, None] - 1
        place = np.arange(size)
        inside = place <= last  # beyond its own end a test with fewer nodes than the others stays where it is
        found = curves(rows, grid.start[rows, None] + step * np.minimum(place, last))
        density, width = found.density * inside[:, None], found.width * inside
        weights = density / density.sum(axis=-1, keepdims=True)
        for arm in range(shape[-1]):
            others = np.delete(found.log_cdf, arm, axis=1).sum(axis=1)
            probability[rows, arm] = np.minimum((weights[:, arm] * np.exp(others)).sum(axis=-1), 1.0)
            loss[rows, arm] = (np.exp(found.log_cdf[:, arm]) * -np.expm1(others) * width * step).sum(axis=-1)
    return Best(probability.reshape(shape), loss.reshape(shape))
