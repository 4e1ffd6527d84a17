"""What a Gamma variable comes to that is multiplied by a factor which itself is not sure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import quadrature, rising

Floats = npt.NDArray[np.float64]

_NODES = 32
_BISECTIONS = 32
_FARTHEST = 690.0
"""The logarithm of the largest number that floats hold, with some room."""


def quantile(shape: Floats, spread: Floats, level: Floats) -> Floats:
    """The quantile at a level of G exp(spread N), G ~ Gamma(shape) / shape with mean 1 and N standard normal, one for each row.

    The distribution function of the wider of the two, on the scale of the logarithm, is averaged over the narrower.
    """
    found, wide = np.empty(len(shape)), spread > np.sqrt(rising.trigamma(shape))
    for rows, wider in ((wide, _wide_factor), (~wide, _wide_gamma)):
        if rows.any():
            found[rows] = wider(shape[rows, None], spread[rows, None], level[rows, None])
    return found


def _wide_factor(shape: Floats, spread: Floats, level: Floats) -> Floats:
    from scipy.special import ndtr, ndtri

    at, weights = quadrature.legendre(_NODES)

    def below(y: Floats) -> Floats:
        return np.asarray(ndtr(y / spread))

    return _bisected(below, _log_gamma(shape, at), spread * ndtri(level), level, weights)


def _wide_gamma(shape: Floats, spread: Floats, level: Floats) -> Floats:
    from scipy.special import gammainc, ndtri

    at, weights = quadrature.legendre(_NODES)

    def below(y: Floats) -> Floats:
        return np.asarray(gammainc(shape, shape * np.exp(np.minimum(y, _FARTHEST))))

    return _bisected(below, spread * ndtri(at), _log_gamma(shape, level), level, weights)


def _log_gamma(shape: Floats, levels: Floats) -> Floats:
    """Quantiles of the logarithm of a Gamma variable with mean 1."""
    from scipy.special import gammaincinv

    with np.errstate(divide="ignore"):
        return np.asarray(np.maximum(np.log(gammaincinv(shape, levels) / shape), -_FARTHEST))


def _bisected(below: Callable[[Floats], Floats], narrow: Floats, middle: Floats, level: Floats, weights: Floats) -> Floats:
    """Where the mean over the narrower of the wider's distribution function is at the level.

    That is nowhere below the wider's own quantile plus the least of the narrower, and nowhere above that plus the largest.
    """
    low, high = middle + narrow.min(axis=1, keepdims=True), middle + narrow.max(axis=1, keepdims=True)
    for _ in range(_BISECTIONS):
        half = 0.5 * (low + high)
        short = (below(half - narrow) * weights).sum(axis=1, keepdims=True) < level
        low, high = np.where(short, half, low), np.where(short, high, half)
    return np.asarray(np.exp(np.minimum(high[:, 0], _FARTHEST)))
