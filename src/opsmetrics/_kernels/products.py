"""What a Gamma variable comes to that is multiplied by a factor which itself is not sure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import quadrature, rising

Floats = npt.NDArray[np.float64]

NODES = 48

_BISECTIONS = 52
_FARTHEST = 690.0
"""The logarithm of the largest number that floats hold, with some room."""


def quantile(shape: Floats, spread: Floats, level: Floats) -> Floats:
    """The quantile at a level of G exp(spread N), G ~ Gamma(shape) / shape with mean 1 and N standard normal, one for each row.

    The distribution function of the wider of the two, on the scale of the logarithm, is averaged over the narrower, and then bisected.
    """
    from scipy.special import gammainc, gammaincinv, ndtr, ndtri

    at, weights = quadrature.legendre(NODES)
    shape, spread, level = (values[:, None] for values in np.broadcast_arrays(shape, spread, level))
    wide = spread > np.sqrt(rising.trigamma(shape))
    with np.errstate(divide="ignore"):
        narrow = np.where(wide, np.log(gammaincinv(shape, at) / shape), spread * ndtri(at))
    low, high = np.full(shape.shape, -_FARTHEST), np.full(shape.shape, _FARTHEST)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        beyond = middle - narrow
        of_normal = ndtr(np.divide(beyond, spread, out=np.zeros_like(beyond), where=wide))
        of_gamma = gammainc(shape, shape * np.exp(np.clip(beyond, -_FARTHEST, _FARTHEST)))
        below = (np.where(wide, of_normal, of_gamma) * weights).sum(axis=1, keepdims=True) < level
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(np.exp(high[:, 0]))
