"""Rates of counts with their uncertainty."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-12
"""What is left of a sum of squares by rounding, as a part of its terms."""


def wilson(successes: npt.ArrayLike, trials: npt.ArrayLike, confidence: float) -> tuple[Floats, Floats]:
    """Wilson's score interval of a proportion: low and high.

    The set of p whose score test does not reject, (k/n - p)^2 <= z^2 p(1-p)/n, solved for p. Without trials nothing is known: [0, 1].

    E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22, 209-212.
    """
    from scipy.special import ndtri  # as dear to import as half of pandas, and needed by intervals only

    k, n = np.broadcast_arrays(np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64))
    z2 = ndtri(0.5 + confidence / 2.0) ** 2
    known = n > 0
    m = np.where(known, n, 1.0)
    p = k / m
    centre = p + z2 / (2 * m)
    half = np.sqrt(z2 * (p * (1 - p) / m + z2 / (4 * m * m)))
    scale = 1 + z2 / m
    # At k = 0 and k = n one end is 0 or 1 by algebra; in floats it misses by a last bit.
    low = np.where(k == 0, 0.0, (centre - half) / scale)
    high = np.where(k == n, 1.0, (centre + half) / scale)
    return np.where(known, low, 0.0), np.where(known, high, 1.0)


def columns(
    name: str, taken: npt.ArrayLike, of: npt.ArrayLike, confidence: float, known: npt.ArrayLike = True, effective: Floats | None = None
) -> dict[str, Floats]:
    """A rate with Wilson's interval, missing where it is not known or has nobody to speak of; clustered trials are worth fewer."""
    rate = _rate(taken, of)
    told = np.asarray(known) & ~np.isnan(rate)
    trials = np.asarray(of, dtype=np.float64) if effective is None else effective
    successes = np.asarray(taken, dtype=np.float64) if effective is None else np.where(told, rate, 0.0) * trials
    low, high = wilson(successes, trials, confidence)
    return {key: np.where(told, values, np.nan) for key, values in ((name, rate), (f"{name}_low", low), (f"{name}_high", high))}


def effective_size(
    y: npt.ArrayLike, x: npt.ArrayLike, yy: npt.ArrayLike, xy: npt.ArrayLike, xx: npt.ArrayLike, clusters: npt.ArrayLike
) -> Floats:
    """How many independent trials tell as much about a rate as these trials, which come in clusters.

    The rate p = sum(y) / sum(x) is a ratio of sums over m clusters; its variance is m/(m-1) sum((y - p x)^2) / sum(x)^2 (W. G. Cochran
    (1977), Sampling Techniques, 3rd ed., 6.3). Independent trials would have the variance p(1-p)/n, so n = p(1-p)/variance, never more
    than there are trials: E. L. Korn & B. I. Graubard (1998), Survey Methodology 24, 193-201. Where all clusters have one rate (every
    trial, or none, succeeds, or there is one cluster) they show no spread, and count as one trial each.

    Parameters are the sums over clusters of y, x, y^2, xy, x^2, and the number of clusters with x > 0.
    """
    k, n, kk, kn, nn, m = (np.asarray(sums, dtype=np.float64) for sums in (y, x, yy, xy, xx, clusters))
    p = _rate(k, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = kk - 2 * p * kn + p * p * nn
        size = p * (1 - p) / (squares * m / (m - 1) / (n * n))
    alike = (m <= 1) | (squares <= _ROUNDING * (kk + p * p * nn))
    return np.where(n > 0, np.where(alike, m, np.minimum(size, n)), 0.0)


def _rate(k: npt.ArrayLike, n: npt.ArrayLike) -> Floats:
    """A proportion, missing without trials."""
    a, b = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64))
    return np.asarray(np.divide(a, b, out=np.full(a.shape, np.nan), where=b > 0))
