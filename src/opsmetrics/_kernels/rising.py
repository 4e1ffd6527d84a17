"""Rising factorials: log(Gamma(z + k) / Gamma(z)) = sum of log(z + j) over j < k, with its derivatives in z."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LARGE = 30.0
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)


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

    start, steps = np.broadcast_arrays(np.asarray(z, dtype=np.float64), np.asarray(k, dtype=np.float64))
    end = start + steps
    value, first, second = (np.array(function(end) - function(start)) for function in (gammaln, digamma, lambda at: zeta(2.0, at)))
    large = start > _LARGE
    if large.any():
        value[large], first[large], second[large] = _stirling(start[large], steps[large])
    return value, first, second


def _stirling(z: Floats, k: Floats) -> tuple[Floats, Floats, Floats]:
    """Differences between z + k and z of log Gamma, digamma and trigamma by their asymptotic series (DLMF 5.11.1, 5.11.2, 5.15.8)."""
    end, grown = z + k, np.log1p(k / z)
    value = (z - 0.5) * grown + k * (np.log(end) - 1)
    first = grown + 0.5 * k / (z * end)
    second = -k / (z * end) + 0.5 * (1 / end**2 - 1 / z**2)
    one_near, one_far = 1 / end, 1 / z
    near, far = one_near.copy(), one_far.copy()
    for order, coefficient in enumerate(_STIRLING, start=1):
        power = 2 * order - 1  # that near and far are raised to
        value += coefficient * (near - far)
        near, far = near * one_near, far * one_far
        first -= coefficient * power * (near - far)
        near, far = near * one_near, far * one_far
        second += coefficient * power * (power + 1) * (near - far)
    return value, first, second
