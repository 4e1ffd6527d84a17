"""Rising factorials, log(Gamma(z + k) / Gamma(z)) = sum of log(z + j) over j < k, and Beta functions, with their derivatives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LARGE = 200.0
"""Beyond it Gamma functions are so large that their differences lose more than three of sixteen digits."""

_ORDERS = np.arange(1, 14, 2)
_STIRLING = np.array([1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156])
"""What Stirling's series for log Gamma adds in 1 / z, 1 / z^3, ...; and then its first and second slopes, one more power each."""

_SERIES = np.stack([_STIRLING, -_ORDERS * _STIRLING, _ORDERS * (_ORDERS + 1) * _STIRLING])

_SHIFTS = np.arange(10.0)
"""Terms of a sum that are added up before the rest is told by a series."""


def weighted(z: float, longer: Floats) -> tuple[float, float, float]:
    """The sum over rows, given how many rows have more than k terms, and its first two derivatives in z.

    No Gamma function per row, and none of the cancellation between two of them where z is huge.
    """
    terms = z + np.arange(len(longer))
    inverse = 1 / terms
    return float(longer @ np.log(terms)), float(longer @ inverse), -float(longer @ (inverse * inverse))


def logs(z: npt.ArrayLike, k: npt.ArrayLike) -> Floats:
    """Row by row. Large z by differences of Stirling's series, which do not cancel."""
    from scipy.special import gammaln

    start, steps = _pairs(z, k)
    found = np.asarray(gammaln(start + steps) - gammaln(start))
    if (large := start > _LARGE).any():
        found[large] = _stirling(start[large], steps[large])[0]
    return found


def rows(z: npt.ArrayLike, k: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Row by row, with the first two derivatives in z."""
    from scipy.special import digamma

    start, steps = _pairs(z, k)
    end = start + steps
    first, second = digamma(end) - digamma(start), trigamma(end) - trigamma(start)
    if (large := start > _LARGE).any():
        _, first[large], second[large] = _stirling(start[large], steps[large])
    return logs(start, steps), first, second


def log_beta(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """The log of the Beta function, its slopes in a and in b, and its second derivatives, in a, in b and across: six rows."""
    from scipy.special import digamma, gammaln

    a, b = _pairs(a, b)
    low, high, parts = np.minimum(a, b), np.maximum(a, b), np.array([a, b, a + b])
    first, second = digamma(parts), trigamma(parts)
    found = np.array([gammaln(low) - logs(high, low), *(first[:2] - first[2]), *(second[:2] - second[2]), -second[2]])
    for own, other, slope, bend in ((a, b, 1, 3), (b, a, 2, 4)):
        if (large := own > _LARGE).any():
            _, found[slope, large], found[bend, large] = (-risen for risen in _stirling(own[large], other[large]))
    return found


def trigamma(z: Floats) -> Floats:
    """The second derivative of log Gamma: some terms of its sum, and the rest by its series (DLMF 5.15.1, 5.15.8).

    Several times as quick as the zeta function of two arguments, of which it is a case.
    """
    inverse = 1 / np.add.outer(_SHIFTS, z)
    rest = 1 / (z + len(_SHIFTS))
    square = rest * rest
    series = np.zeros_like(square)
    for coefficient in _SERIES[2, ::-1].tolist():
        series = (series + coefficient) * square
    return np.asarray((inverse * inverse).sum(axis=0) + rest * (1 + 0.5 * rest + series))


def _pairs(a: npt.ArrayLike, b: npt.ArrayLike) -> list[Floats]:
    """Two numbers or arrays of numbers, as long as each other."""
    return [*np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))]


def _stirling(z: Floats, k: Floats) -> tuple[Floats, Floats, Floats]:
    """Differences between z + k and z of log Gamma, digamma and trigamma by their asymptotic series (DLMF 5.11.1, 5.11.2, 5.15.8)."""
    end, grown = z + k, np.log1p(k / z)
    inverse = 1 / np.stack([end, z])
    square = inverse * inverse
    series = np.zeros((3, *square.shape))
    for coefficients in _SERIES.T[::-1, :, None, None]:
        series = series * square + coefficients
    value, first, second = (own[0] - own[1] for own in series * np.stack([inverse, square, square * inverse]))
    value += (z - 0.5) * grown + k * (np.log(end) - 1)
    first += grown + 0.5 * k / (z * end)
    second += -k / (z * end) + 0.5 * (square[0] - square[1])
    return value, first, second
