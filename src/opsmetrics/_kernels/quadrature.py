"""Numerical integration and interpolation, to the last digits a float has."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEP: Final = 0.25
"""The trapezoidal rule on the line converges like exp(-2 pi d / step), where d is half the width of the strip without singularities: here
d >= pi / 2, which leaves 7e-18 (L. N. Trefethen & J. A. C. Weideman, 2014, SIAM Review 56, 385-458)."""

_NEGLIGIBLE = 40.0
"""exp(-40) = 4e-18."""

_FLAT = 30.0

_BLOCK = 4096
"""Rows whose scratch stays in the cache."""


@functools.cache
def legendre(nodes: int) -> tuple[Floats, Floats]:
    """Nodes and weights of Gauss and Legendre on [0, 1]."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    return (1 + points) / 2, weights / 2


def over_beta(a: Floats, b: Floats, bend: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Nodes for the mean of a function over p ~ Beta(a, b), one column for each pair: p, log p, log(1 - p), and weights that add up to 1.

    The trapezoidal rule in y = log(p / (1 - p)), where Beta's density is p^a (1 - p)^b and tails fall off like exp(a y) and exp(-b y),
    however singular it is in p. The function should be flat for p < 1e-13 / bend and for p near 1; what a tail beyond the grid holds is
    a geometric series, which is added to the outermost node with its mean of log p.
    """
    from scipy.special import expit, log_expit, polygamma

    # y has the variance trigamma(a) + trigamma(b), and what is narrow wants small steps
    step = min(STEP, 0.45 * float(np.sqrt((polygamma(1, a) + polygamma(1, b)).min())))
    spread = 9 * np.sqrt(1 / a + 1 / b)
    mode = np.log(a / b)
    left = np.maximum(mode - spread - _NEGLIGIBLE / a, -_FLAT - np.log(np.maximum(bend, b)))
    right = np.minimum(mode + spread + _NEGLIGIBLE / b, _FLAT)
    left = np.minimum(left, mode)
    right = np.maximum(right, mode)
    size = int(np.ceil((right - left).max() / step)) + 1
    y = left + step * np.arange(size)[:, None]
    log_p, log_q = log_expit(y), log_expit(-y)
    weights = np.exp(a * (log_p - log_expit(mode)) + b * (log_q - log_expit(-mode)))
    for end, rate in ((0, a), (-1, b)):
        weights[end] /= -np.expm1(-rate * step)
        beyond = step * np.exp(-rate * step) / -np.expm1(-rate * step)
        if end == 0:
            log_p[0] -= beyond
        else:
            log_q[-1] -= beyond
    return expit(y), log_p, log_q, weights / weights.sum(axis=0)


@functools.cache
def cosines(size: int) -> tuple[Floats, Floats]:
    """Chebyshev's points on [0, 1], and the matrix from values there to coefficients."""
    angles = (np.arange(size) + 0.5) * np.pi / size
    matrix = np.cos(np.outer(np.arange(size), angles)) * (2 / size)
    matrix[0] /= 2
    return (1 + np.cos(angles)) / 2, matrix


def chebyshev(values_at: Callable[[Floats], Floats], tolerance: float = 1e-13, most: int = 256) -> Floats:
    """Coefficients of smooth functions on [0, 1], along the last axis: as many as it takes until the last are negligible.

    They are against the largest of the functions, which are told apart by the first axis: a value and its slopes.
    """
    size = 16
    while True:
        points, matrix = cosines(size)
        coefficients = values_at(points) @ matrix.T
        sizes = np.abs(coefficients)
        largest = np.maximum(sizes.max(axis=(0, -1), keepdims=True), 1e-300)
        if size >= most or bool((sizes[..., -3:] <= tolerance * largest).all()):
            needed = (sizes > 0.01 * tolerance * largest).any(axis=tuple(range(sizes.ndim - 1)))
            return coefficients[..., : max(int(np.flatnonzero(needed)[-1]) + 1, 2)] if needed.any() else coefficients[..., :2]
        size *= 2


def evaluate(coefficients: Floats, of: Ints, at: Floats) -> Floats:
    """Chebyshev series on [0, 1] of one or several functions: the series `of` each row at a place (C. W. Clenshaw, 1955).

    Coefficients come by function, series and degree; rows may have several axes, the last of which `of` has too.
    """
    found = np.empty((len(coefficients), *at.shape))
    for begin in range(0, at.shape[-1], _BLOCK):
        some = slice(begin, begin + _BLOCK)
        own, x = of[some], 2 * at[..., some] - 1
        first, *others = np.moveaxis(coefficients, -1, 0)
        last, before = np.zeros((2, len(coefficients), *x.shape))
        for degree in reversed(others):
            last, before = _rows(degree, own, x.ndim) + 2 * x * last - before, last
        found[..., some] = _rows(first, own, x.ndim) + x * last - before
    return found


def _rows(values: Floats, of: Ints, axes: int) -> Floats:
    """The value of each row's series, by function, ready to be spread over the other axes of the rows."""
    return values[:, of].reshape(len(values), *[1] * (axes - 1), len(of))


def over_time(function: Callable[[Floats], Floats], until: Floats, rate: Floats) -> Floats:
    """The integral over (0, until] of a function, or of several, that takes times by node and row, and is smooth in log(1 + rate u).

    The nodes are those of Gauss in this logarithm, so that what happens early is seen however far ahead one looks. They are doubled until
    nothing changes, against the largest of the functions: slopes are differences, whose last digits never settle.
    """
    span, size, before = np.log1p(rate * until), 8, None
    while True:
        points, weights = legendre(size)
        times = np.minimum(np.expm1(span * points[:, None]) / rate, until)
        now = (function(times) * (weights[:, None] * span * (times + 1 / rate))).sum(axis=-2)
        if before is not None and (size >= 256 or bool((np.abs(now - before) <= 1e-10 * _largest(now)).all())):
            return np.asarray(now)
        size, before = size * 2, now


def _largest(values: Floats) -> Floats:
    """The size of the largest of several functions, by row."""
    return np.asarray(np.abs(values.reshape(-1, values.shape[-1])).max(axis=0))


def discounted(cumulative: Callable[[Floats], Floats], until: Floats, delta: float, rate: Floats) -> Floats:
    """The integral of exp(-delta u) dF(u) over (0, until], by parts: exp(-delta until) F(until) + delta times that of exp(-delta u) F(u).

    `cumulative` takes times by node and row, and gives F, or several functions before these two axes, smooth in log(1 + rate u).
    """
    at_end = cumulative(until[None])[..., 0, :] * np.exp(-delta * until)
    if delta == 0:
        return np.asarray(at_end)
    return at_end + delta * over_time(lambda times: cumulative(times) * np.exp(-delta * times), until, rate + delta)


def pair_discount(delta: float, later: Floats) -> Floats:
    """What two purchases count together, the later after so much time, the earlier at any time before: the integral over the latter."""
    return np.asarray(np.exp(-delta * later) * (-np.expm1(-delta * later) / delta if delta else later))
