"""Whether units were split as planned: tests of counts against given shares."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_TIES = 1e-7
"""Outcomes whose probabilities differ by less, as a part, are as likely as each other."""


def pearson(counts: npt.ArrayLike, shares: npt.ArrayLike) -> tuple[Floats, Floats]:
    """The sum of (observed - expected)^2 / expected, and its p-value by the chi-squared distribution with k - 1 degrees of freedom.

    The k parts along the last axis. Missing without units.

    K. Pearson (1900), On the criterion that a given system of deviations..., Philosophical Magazine 50, 157-175.
    """
    from scipy.special import chdtrc

    observed = np.asarray(counts, dtype=np.float64)
    n = observed.sum(axis=-1, keepdims=True)
    expected = np.where(n > 0, n, np.nan) * np.asarray(shares, dtype=np.float64)
    statistic = ((observed - expected) ** 2 / expected).sum(axis=-1)
    return statistic, np.asarray(chdtrc(observed.shape[-1] - 1, statistic))


def outcomes(n: int, parts: int) -> int:
    """In how many ways n units can be split into parts."""
    return math.comb(n + parts - 1, parts - 1)


def exact(counts: npt.ArrayLike, shares: npt.ArrayLike) -> float:
    """The exact multinomial test: the probability of all splits that are no likelier than the observed one."""
    from scipy.special import gammaln, xlogy

    observed, planned = np.asarray(counts, dtype=np.int64), np.asarray(shares, dtype=np.float64)
    ways = np.vstack([_compositions(int(observed.sum()), observed.size), observed])
    chance = np.exp(gammaln(observed.sum() + 1) + (xlogy(ways, planned) - gammaln(ways + 1)).sum(axis=-1))
    return float(min(chance[:-1][chance[:-1] <= chance[-1] * (1 + _TIES)].sum(), 1.0))


@functools.lru_cache(maxsize=8)
def _compositions(n: int, parts: int) -> Ints:
    """All ways to split n units into parts, one per row: k - 1 bars among n stars."""
    bars = np.array(list(itertools.combinations(range(n + parts - 1), parts - 1)), dtype=np.int64).reshape(-1, parts - 1)
    return np.diff(bars, axis=1, prepend=-1, append=n + parts - 1) - 1
