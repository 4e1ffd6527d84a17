"""A sample quantile and how far it can be trusted, from the order statistics around it: no density is estimated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LEAST = 1e-300
"""Rarer than this, a tail of the binomial distribution cannot be told from none."""


def quantile(ordered: Floats, q: float) -> float:
    """The quantile of values in increasing order: the one at place (n - 1) q, counted from 0, on the line between its neighbours.

    This is type 7 of R. J. Hyndman & Y. Fan (1996), Sample quantiles in statistical packages, The American Statistician 50, 361-365, and
    what numpy gives. Missing without values.
    """
    return float(_between(ordered, np.asarray((ordered.size - 1) * q))) if ordered.size else np.nan


def ranks(n: int, q: float, z: float) -> tuple[int, int]:
    """The ranks r < s, from 1, of the order statistics that hold the true quantile between them, whatever the distribution.

    How many of n values lie below the true quantile is B ~ Binomial(n, q), so x_(r) is above it with chance P(B < r) and x_(s) below it
    with P(B >= s): r is the largest and s the smallest rank for which that is at most P(Z > z). At 0 and n + 1 there is no order
    statistic: too few values to bound that side.

    W. J. Conover (1999), Practical Nonparametric Statistics, 3rd ed., 3.2.
    """
    return _lower_rank(n, q, z), n + 1 - _lower_rank(n, 1 - q, z)


def _lower_rank(n: int, q: float, z: float) -> int:
    """The largest r from 0 to n for which P(Binomial(n, q) < r) <= P(Z > z)."""
    from scipy.special import bdtr, bdtrik, ndtr

    tail = float(ndtr(-z))
    if n == 0 or tail < _LEAST:
        return 0
    rank = int(np.floor(bdtrik(tail, n, q)))
    # The inverse is found to some digits; the probabilities around it decide.
    while rank > 0 and bdtr(rank - 1, n, q) > tail:
        rank -= 1
    while rank < n and bdtr(rank, n, q) <= tail:
        rank += 1
    return rank


def standard_error(ordered: Floats, q: float, z: float, variance: float | None = None) -> float:
    """The standard error that goes with the distance between order statistics: (x_(s) - x_(r)) / (2 z).

    r and s are n q + 1/2 -+ z n sqrt(variance), on the lines between order statistics, where `variance` is that of the share of values
    below the quantile: q (1 - q) / n where the values are independent, and that of a ratio of sums where they come in clusters. Missing
    where r or s lies beyond the values: there are too few.

    A. Deng, U. Knoblich & J. Lu (2018), Applying the delta method in metric analytics, KDD, 233-242.
    """
    n = ordered.size
    if n == 0:
        return np.nan
    half = z * n * np.sqrt(q * (1 - q) / n if variance is None else variance)
    places = n * q - 0.5 + np.array([-half, half])  # from 0
    if not (places[0] >= 0 and places[1] <= n - 1):
        return np.nan
    low, high = _between(ordered, places)
    return float((high - low) / (2 * z))


def bootstrap(ordered: Floats, q: float, size: int, rng: np.random.Generator) -> Floats:
    """Quantiles of `size` bootstrap samples, none of which is drawn: each costs two random numbers.

    A resampled value is x_(ceil(n U)) with U uniform, so the k-th smallest of n of them is x_(ceil(n U_(k))), and
    U_(k) ~ Beta(k, n + 1 - k); the next is as far into the rest of [0, 1] as the least of n - k uniforms. The distribution is that of
    resampling, not one near it.

    M. Schultzberg & S. Ankargren (2022), Resampling-free bootstrap inference for quantiles, FTC, 548-562 (the idea, with a binomial rank).
    H. A. David & H. N. Nagaraja (2003), Order Statistics, 3rd ed., 2.3 and 2.5.
    """
    n = ordered.size
    if n == 0:
        return np.full(size, np.nan)
    place = (n - 1) * q
    k = int(place) + 1
    share = place + 1 - k
    uniform = rng.beta(k, n + 1 - k, size)
    first = ordered[_index(uniform, n)]
    if share == 0:
        return first
    second = ordered[_index(uniform + (1 - uniform) * rng.beta(1, n - k, size), n)]
    return np.asarray(first + share * (second - first))


def _index(uniform: Floats, n: int) -> Ints:
    return np.minimum((n * uniform).astype(np.int64), n - 1)


def _between(ordered: Floats, places: Floats) -> Floats:
    """Values at places from 0, on the lines between neighbours."""
    low = np.floor(places).astype(np.int64)
    high = np.minimum(low + 1, ordered.size - 1)
    return np.asarray(ordered[low] + (places - low) * (ordered[high] - ordered[low]))
