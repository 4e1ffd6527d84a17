"""How good forecasts of counts were that came as whole distributions.

A customer is alive with a probability; if so his count Y has the distribution of his *pair* (what those with one frequency and one age
share), else it is 0: P(Y > n) = alive * P(Y > n | alive). Distributions come as an iterator: for n = 0, 1, 2, ... an array of
P(Y = n | alive) over the pairs. They are walked once and not kept, and the walk ends as soon as no answer can change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NEGLIGIBLE = 1e-12
"""A probability that is taken for none."""
_ROUNDING, _NO_TERM = 1e-6, 1e-18
"""What may be left by the rounding of a long sum, as soon as its terms are below the second number."""
_MOST = 100_000
"""No count beyond it is looked at."""


def quantiles(counts: Iterable[Floats], pair: Ints, alive: Floats, levels: npt.ArrayLike) -> Ints:
    """The smallest n with P(Y <= n) >= level, by level (below 1) and customer.

    That is the smallest n with alive * P(Y > n | alive) <= 1 - level. Who has his answer is looked at no more: most have it at n = 0 to 3.
    """
    beyond = 1 - np.atleast_1d(np.asarray(levels, dtype=np.float64)) + _NEGLIGIBLE
    found = np.zeros((len(beyond), len(pair)), dtype=np.int64)
    waiting = [np.flatnonzero(alive > most) for most in beyond]
    for n, (_, above) in enumerate(_tails(counts)):
        for level, most in enumerate(beyond):
            who = waiting[level]
            found[level, who] = n
            waiting[level] = who[alive[who] * above[pair[who]] > most]
        if not any(map(len, waiting)):
            break
    return found


def moments(counts: Iterable[Floats]) -> tuple[Floats, Floats]:
    """The mean and the mean square of each pair's count: sums over n of P(Y > n), and of (2 n + 1) P(Y > n)."""
    mean = square = np.zeros(1)
    for n, (_, above) in enumerate(_tails(counts)):
        mean, square = mean + above, square + (2 * n + 1) * above
    return mean, square


def draws(counts: Iterable[Floats], size: int) -> Ints:
    """So many counts of each pair, spread as its distribution is: the quantiles at the middles of `size` equal parts of [0, 1]."""
    shares: list[Ints] = []
    told = np.zeros(1, dtype=np.int64)
    for _, above in _tails(counts):
        upto = np.floor((1 - above) * size + 0.5).astype(np.int64)
        shares.append(upto - told)
        told = upto
    many = np.stack(shares, axis=1)
    return np.repeat(np.tile(np.arange(many.shape[1]), len(many)), many.ravel()).reshape(len(many), size)


def positive(counts: Iterable[Floats]) -> Floats:
    """P(Y <= n | Y > 0, alive) for n = 1, 2, ... along the second axis; 1 at once where nothing is ever bought."""
    tails = [np.array(above) for _, above in _tails(counts)]
    some = np.where(tails[0] > 0, tails[0], 1.0)
    return 1 - np.stack([tail / some for tail in tails[1:]] or [0.0 * some], axis=1)


def crps(counts: Iterable[Floats], pair: Ints, alive: Floats, actual: Ints) -> Floats:
    """The ranked probability score of each customer's forecast: the sum over n >= 0 of (P(Y <= n) - 1{actual <= n})^2; 0 is perfect.

    With S(n) = P(Y > n | alive) the terms are (1 - alive S)^2 before the actual count y, and (alive S)^2 from there on. Expanded, the sum
    is y - 2 alive sum_{n < y} S(n) + alive^2 sum_n S(n)^2: two running sums over pairs, the first read by each customer at n = y.

    E. S. Epstein (1969), A scoring system for probability forecasts of ranked categories, Journal of Applied Meteorology 8, 985-987.
    T. Gneiting & A. E. Raftery (2007), Strictly proper scoring rules, prediction, and estimation, JASA 102, 359-378.
    """
    before = np.empty(len(pair))
    total = squares = np.zeros(1)
    for who, _, above in _walk(counts, actual):
        before[who] = np.broadcast_to(total, above.shape)[pair[who]]
        total, squares = total + above, squares + above * above
    return np.maximum(actual - 2 * alive * before + alive * alive * squares[pair], 0.0)


def pit(counts: Iterable[Floats], pair: Ints, alive: Floats, actual: Ints) -> tuple[Floats, Floats]:
    """P(Y < actual) and P(Y <= actual) of each customer, between which his probability integral transform lies."""
    low, high = np.empty(len(pair)), np.empty(len(pair))
    last = actual.max(initial=-1)
    for n, (who, at_least, above) in enumerate(_walk(counts, actual)):
        low[who] = 1 - alive[who] * at_least[pair[who]] if n else 0.0
        high[who] = 1 - alive[who] * above[pair[who]]
        if n >= last:
            break
    return low, high


def pit_histogram(low: Floats, high: Floats, bins: int) -> Floats:
    """The share of the probability integral transform in each of `bins` equal parts of [0, 1]: all 1 / bins where forecasts are calibrated.

    Nothing is drawn at random: each customer's transform is spread evenly from P(Y < actual) to P(Y <= actual).

    C. Czado, T. Gneiting & L. Held (2009), Predictive model assessment for count data, Biometrics 65, 1254-1261.
    """
    if not len(low):
        return np.full(bins, np.nan)
    width = high - low
    below = [0.0]
    for edge in np.arange(1, bins) / bins:
        step = np.where(edge >= high, 1.0, 0.0)  # of those with no width at all
        below.append(float(np.clip(np.divide(edge - low, width, out=step, where=width > 0), 0.0, 1.0).mean()))
    return np.diff([*below, 1.0])


def gini(predicted: Floats, actual: npt.ArrayLike) -> float:
    """How well the prediction ranks: 1 as the actual values do, 0 like chance, -1 in reverse; missing where all actual values are equal.

    The concentration of the actual values along the order of the predicted ones, over that along their own order. With R the centred rank,
    ties sharing theirs evenly, the area between a concentration curve and the diagonal is proportional to sum(R actual), so this is
    sum(R(predicted) actual) / sum(R(actual) actual), the Gini correlation.

    E. Schechtman & S. Yitzhaki (1987), A measure of association based on Gini's mean difference, Communications in Statistics 16, 207-231.
    """
    values = np.asarray(actual, dtype=np.float64)
    perfect = float(_centred_ranks(values) @ values)
    return float(_centred_ranks(predicted) @ values) / perfect if perfect > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class Calibration:
    """By group of customers with like predictions: how many, the mean predicted, the mean actual and its standard error."""

    customers: Ints
    predicted: Floats
    actual: Floats
    error: Floats


def calibration(predicted: Floats, actual: npt.ArrayLike, groups: int) -> Calibration:
    """Predicted and actual means in up to `groups` groups of equal size by predicted value; the error of a single customer is missing.

    Equal predictions stay together, in the group where the middle one of them belongs: groups may differ in size, and some be left out.
    """
    values = np.asarray(actual, dtype=np.float64)
    _, place, ties = np.unique(predicted, return_inverse=True, return_counts=True)
    middle = 2 * np.cumsum(ties) - ties  # twice the place of the middle, in whole numbers
    _, group, size = np.unique((middle * groups // (2 * max(len(values), 1)))[place], return_inverse=True, return_counts=True)
    mean = np.bincount(group, values, len(size)) / size
    squares = np.bincount(group, (values - mean[group]) ** 2, len(size))
    with np.errstate(invalid="ignore"):
        error = np.sqrt(squares / (size - 1) / size)
    return Calibration(size.astype(np.int64), np.bincount(group, predicted, len(size)) / size, mean, error)


def _tails(counts: Iterable[Floats]) -> Iterator[tuple[Floats, Floats]]:
    """P(Y >= n | alive) and P(Y > n | alive) of all pairs for n = 0, 1, 2, ...; the last n takes all that is left, so nothing lies beyond.

    It is the last when every pair has next to nothing beyond it, when the distributions end, or when it is too large to go on.
    """
    above: Floats = np.ones(1)
    for chance in islice(counts, _MOST):
        at_least = np.broadcast_to(above, chance.shape)
        above = np.maximum(at_least - chance, 0.0)
        if not ((above > _NEGLIGIBLE) & ((above > _ROUNDING) | (chance > _NO_TERM))).any():
            yield at_least, 0.0 * above
            return
        yield at_least, above
    yield above, 0.0 * above


def _walk(counts: Iterable[Floats], actual: Ints) -> Iterator[tuple[Ints, Floats, Floats]]:
    """The customers whose actual count is n, and the tails of all pairs, for n = 0, 1, 2, ...; then those with more than the last n."""
    order = np.argsort(actual, kind="stable")
    ordered, told = actual[order], 0
    for n, (at_least, above) in enumerate(_tails(counts)):
        until = int(np.searchsorted(ordered, n, side="right"))
        yield order[told:until], at_least, above
        told = until
    yield order[told:], above, above


def _centred_ranks(values: Floats) -> Floats:
    """Twice the rank less its mean, where ties share: whole numbers, so sums of them with counts are exact in any order."""
    _, place, ties = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((2 * np.cumsum(ties) - ties - len(values))[place], dtype=np.float64)
