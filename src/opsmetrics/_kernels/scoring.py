"""Scores from 1 (worst) to k (best) along one axis of goodness.

Values are given in order of goodness: larger is better, so recency arrives negated and its ties fall as those of the other axes.
A scorer is its *edges*: the smallest values that earn the scores 2..k. A value's score is one more than the edges it reaches, so equal
values always score alike, and values outside the fitted range fall into the end bins by themselves.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_FEW = 16
"""Up to so many edges, comparing with each is faster than searching."""


def quantile_edges(values: Floats, bins: int, ties: str) -> Floats:
    """Edges of `bins` groups as equal as the ties allow; k - 1 values, not decreasing.

    With c values below v and d values not above it among n, v stands on the ranks c+1..d, and its score is ceil(k * rank / n), the
    rank being the lowest ("low": rank c+1), the highest ("high": d) or the middle ("mid": (c+d+1)/2) of its ties. Whole positions in
    the sorted values: no interpolation, nothing to round.
    """
    levels, counts = _distinct(values)
    upto = np.cumsum(counts)
    below = upto - counts
    twice_rank = {"low": 2 * (below + 1), "high": 2 * upto, "mid": below + upto + 1}[ties]
    scores = -((-bins * twice_rank) // (2 * values.size))  # ceil in integers
    first = np.searchsorted(scores, np.arange(2, bins + 1), side="left")
    # A score nobody earned is left for values better than the best seen.
    levels = np.append(levels, math.nextafter(float(levels[-1]), math.inf))
    return np.asarray(levels[first], dtype=np.float64)


def _distinct(values: Floats) -> tuple[Floats, Ints]:
    """The distinct values in increasing order, and how often each occurs. Days and orders are counted, money is sorted."""
    low, high = float(values.min()), float(values.max())
    if high - low < 4 * values.size and np.array_equal(values, whole := np.rint(values)):
        counts = np.bincount((whole - low).astype(np.int64))
        there = np.flatnonzero(counts)
        return np.asarray(there + low), np.asarray(counts[there], dtype=np.int64)
    ordered = np.sort(values)
    begin = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return ordered[begin], np.diff(begin, append=ordered.size)


def scores(values: Floats, edges: Floats) -> Ints:
    """1 + the number of edges each value reaches."""
    if edges.size > _FEW:
        return np.searchsorted(edges, values, side="right").astype(np.int64) + 1
    total = np.ones(values.size, dtype=np.int8)
    for edge in edges:
        total += values >= edge
    return total.astype(np.int64)


def ntile_starts(size: int, bins: int) -> Ints:
    """The first positions of the groups 2..k in SQL's NTILE(k): the size % k first groups take one row more (SQL:2003, 6.10)."""
    share, extra = divmod(size, bins)
    group = np.arange(1, bins, dtype=np.int64)
    return group * share + np.minimum(group, extra)
