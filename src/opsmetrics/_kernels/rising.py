"""Rising factorials: log(Gamma(z + k) / Gamma(z)) = sum of log(z + j) over j < k, with its derivatives in z."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LARGE = 200.0
"""Beyond it Gamma functions are so large that their differences lose more than three of sixteen digits."""

_ORDERS = np.arange(1, 10, 2)
_STIRLING = np.array([1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188])
"""What Stirling's series for log Gamma adds in 1 / z, 1 / z^3, ...; and then its first and second slopes, one more power each."""

_SERIES = np.stack([_STIRLING, -_ORDERS * _STIRLING, _ORDERS * (_ORDERS + 1) * _STIRLING])


def weighted(z: float, longer: Floats) -> tuple[float, float, float]:
    """The sum over rows, given how many rows have more than k terms, and its first two derivatives in z.

    No Gamma function per row, and none of the cancellation between two of them where z is huge.
    """
    terms = z + np.arange(len(longer))
    inverse = 1 / terms
    return float(longer @ np.log(terms)), float(longer @ inverse), -float(longer @ (inverse * inverse))


def rows(z: npt.ArrayLike, k: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Row by row, with the first two derivatives in z. Large z by differences of Stirling's series, which do not cancel."""
    from scipy.special import digamma, gammaln, zeta

    start, steps = np.asarray(z, dtype=np.float64), np.asarray(k, dtype=np.float64)
    end = start + steps
    value, first, second = gammaln(end) - gammaln(start), digamma(end) - digamma(start), zeta(2.0, end) - zeta(2.0, start)
    if (start > _LARGE).any():
        start, steps = np.broadcast_arrays(start, steps)
        large = start > _LARGE
        value, first, second = (np.array(found) for found in (value, first, second))
        value[large], first[large], second[large] = _stirling(start[large], steps[large])
    return value, first, second


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
