"""BG/BB: in each period a customer who has not left buys or does not.

Before each period he leaves for good with chance theta ~ Beta(gamma, delta); in each period that he stays he buys with chance p ~
Beta(alpha, beta) (P. S. Fader, B. G. S. Hardie & J. Shang, 2010, Marketing Science 29, 1086-1108). With the last of x purchases in period
t_x, he has stayed for k = t_x, ..., T - 1 periods and then left, or is still there after T: the likelihood is a sum over these cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import quadrature
from opsmetrics._kernels.histories import FOUR, PAIRS, Histories, Total, distinct, floats

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CELLS: Final = 1 << 16
"""Cells of a table that stays in the cache."""

BLOCK: Final = 8192
"""Rows whose scratch stays in the cache."""

_DEEP = 500.0
"""Logarithms further apart than this are not put into one sum: exp(709) is the largest number there is."""


@dataclass(frozen=True, slots=True)
class BetaBinomial:
    """The model at its parameters; x, t_x, T and t are whole numbers of periods."""

    alpha: float
    beta: float
    gamma: float
    delta: float

    def log_likelihood(self, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Floats:
        """The log-likelihood of each history."""
        return np.asarray(self._by_rows(0, x, t_x, T)[0])

    def p_alive(self, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Floats:
        """The chance that the customer is still there in period T + 1."""
        return np.asarray(np.exp(np.minimum(self._staying(x, T)[0] - self.log_likelihood(x, t_x, T), 0.0)))

    def p_alive_slopes(self, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> tuple[Floats, Floats]:
        """P(alive), and the slope of its logarithm in the log of each parameter: the score if alive, less the mean score."""
        alive, found = self._staying(x, T, scores=True), self._by_rows(1, x, t_x, T)
        slopes = alive - found
        return np.asarray(np.exp(np.minimum(slopes[0], 0.0))), slopes[1:]

    def expected(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike) -> Floats:
        """Expected purchases in the t periods after T, of customers who are there in period T + 1."""
        return self.discounted_slopes(x, T, t, 0.0)[0]

    def expected_slopes(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Expected purchases, and their slopes in the log of each parameter."""
        return self.discounted_slopes(x, T, t, 0.0)

    def discounted(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike, delta: float) -> Floats:
        """Expected purchases in the t periods after T, the one in period T + k weighted (1 + delta)^-k; t may be infinite if delta > 0."""
        return self.discounted_slopes(x, T, t, delta)[0]

    def discounted_slopes(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike, delta: float) -> tuple[Floats, Floats]:
        """Discounted purchases, and their slopes in the log of each parameter: the mean of p times that of the periods to come."""
        shape, (x, T, t) = _flat(x, T, t)
        trials = self.alpha + self.beta + T
        chance = (self.alpha + x) / trials
        by_alpha = self.alpha * (self.beta + T - x) / ((self.alpha + x) * trials)  # alpha / (alpha + x) - alpha / trials
        one, of = distinct(T.astype(np.int64), t, t)
        periods, by_gamma, by_delta = self._periods(T[one], t[one], delta)[:, of]
        value = chance * periods
        slopes = np.stack([value * by_alpha, -value * self.beta / trials, chance * by_gamma, chance * by_delta])
        return value.reshape(shape), slopes.reshape(FOUR, *shape)

    def counts(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike, first: int = 0) -> Iterator[Floats]:
        """P(Y = n), n = first, first + 1, ..., of purchases Y in the t periods after T, of customers who are there in period T + 1.

        A mixture over the periods k <= t that the customer stays of beta-binomial probabilities of n purchases in k periods.
        """
        shape, rows = _flat(x, T, t)
        x, T, t = (values.astype(np.int64) for values in rows)
        longest = int(t.max(initial=0))
        buy, leave = self._coins(int(T.max(initial=0)) + longest)
        factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, longest + 1)))])
        size = max(CELLS // (longest + 1), 1)

        def some(n: int, begin: int) -> Floats:
            own, age, ahead = (values[begin : begin + size, None] for values in (x, T, t))
            k = np.arange(n, longest + 1)
            # who is there in period T + 1 has passed T + 1 tosses; each period after it takes one more, of which the last may say leave
            chance = leave.log(k < ahead, age + np.maximum(k, 1)) - leave.log(0, age + 1)
            bought = buy.log(own + n, age - own + k - n) - buy.log(own, age - own)
            ways = factorial[k] - factorial[n] - factorial[k - n]
            possible = (k <= ahead) & ((k > 0) | (ahead == 0))
            return np.asarray(np.where(possible, np.exp(chance + bought + ways), 0.0).sum(axis=1))

        for n in count(first):
            parts = [some(n, begin) for begin in range(0, len(x), size)] if n <= longest else []
            yield np.concatenate(parts).reshape(shape) if parts else np.zeros(shape)

    def _coins(self, most: int) -> tuple[Coin, Coin]:
        """The coins of buying and of leaving, for up to so many tosses."""
        return Coin.of(self.alpha, self.beta, most + 1), Coin.of(self.gamma, self.delta, most + 1)

    def _staying(self, x: npt.ArrayLike, T: npt.ArrayLike, *, scores: bool = False) -> Floats:
        """Ln P(history, still there in period T + 1), and its slopes."""
        x, T = np.broadcast_arrays(np.asarray(x, dtype=np.int64), np.asarray(T, dtype=np.int64))
        buy, leave = self._coins(int(T.max(initial=0)))
        own = (x, T - x), (0, T + 1)
        logs = buy.log(*own[0]) + leave.log(*own[1])
        return np.stack([logs, *buy.scores(*own[0]), *leave.scores(*own[1])]) if scores else logs[None]

    def _periods(self, T: Floats, t: Floats, delta: float) -> Floats:
        """The discounted periods, of the next t, that a customer who is there in period T + 1 stays; the slopes in ln gamma and ln delta.

        With z = 1 / (1 + delta), q = 1 - theta and theta ~ Beta(gamma, delta + T + 1), the mean of z (1 - (q z)^t) / (1 - q z): a sum of
        positive terms, whatever gamma is, while the sum in closed form is 0 / 0 at gamma = 1.
        """
        found = np.empty((3, len(T)))
        log_z = -np.log1p(delta)
        for begin in range(0, len(T), BLOCK):
            block = slice(begin, begin + BLOCK)
            ahead, passed = t[block], self.delta + T[block] + 1
            left = np.full(len(passed), self.gamma)
            bend = 1 / np.maximum(1 / np.maximum(ahead, 1.0), delta)
            if self.gamma <= passed.max():
                _, log_theta, log_q, weights = quadrature.over_beta(left, passed, bend)
            else:  # the nodes are as dense as the first of the two asks for
                _, log_q, log_theta, weights = quadrature.over_beta(passed, left, bend)
            fading = log_q + log_z
            periods = weights * np.expm1(ahead * fading) / np.expm1(fading)
            centred = [logs - (weights * logs).sum(axis=0) for logs in (log_theta, log_q)]
            found[0, block] = periods.sum(axis=0)
            found[1, block] = self.gamma * (periods * centred[0]).sum(axis=0)
            found[2, block] = self.delta * (periods * centred[1]).sum(axis=0)
        return found / (1 + delta)

    def _by_rows(self, order: int, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Floats:
        """Ln L and, up to that order, its slopes in the logs of the parameters: 1, 5 or 15 numbers per history."""
        shape, rows = _flat(x, t_x, T)
        x, t_x, T = (values.astype(np.int64) for values in rows)
        found = np.empty((_SIZES[order], len(x)))
        for block, values in self._blocks(order, x, t_x, T):
            found[:, block] = values
        return found.reshape(len(found), *shape)

    def _blocks(self, order: int, x: Ints, t_x: Ints, T: Ints) -> Iterator[tuple[Ints, Floats]]:
        """The same by blocks of rows with few distinct x, since each of these needs a table over k."""
        if len(x) == 0:
            return
        coins = self._coins(int(T.max()))
        sort = np.argsort(x, kind="stable")
        kind = np.cumsum(np.diff(x[sort], prepend=x[sort[0]]) != 0)
        group = kind // max(CELLS // int(T.max() - t_x.min() + 1), 1)
        for own in np.split(sort, np.flatnonzero(np.diff(group)) + 1):
            for begin in range(0, len(own), BLOCK):
                block = own[begin : begin + BLOCK]
                yield block, _mixture(coins, order, x[block], t_x[block], T[block])


_SIZES = (1, 1 + FOUR, 1 + FOUR + len(PAIRS))


def likelihood(theta: Floats, histories: Histories) -> Total:
    """The log-likelihood of histories, with gradient and Hessian in theta = ln(alpha, beta, gamma, delta).

    The gradient is the mean over the cases of their scores, the Hessian the mean of their Hessians plus the covariance of the scores
    (T. A. Louis, 1982, JRSS B 44, 226-233).
    """
    rows = (histories.x, histories.t_x.astype(np.int64), histories.T.astype(np.int64))
    total = np.zeros(_SIZES[2])
    for block, found in BetaBinomial(*np.exp(theta))._blocks(2, *rows):
        total += found @ histories.weights[block]
    return Total.packed(total)


@dataclass(frozen=True, slots=True)
class Coin:
    """A coin whose chance of heads is Beta(one, other): the logarithm of the probability of a heads and b tails in some given order.

    That is ln of one(one + 1)...(one + a - 1) other(other + 1)...(other + b - 1) over the same of one + other with a + b factors. Factors
    z + j are taken as z times 1 + j / z, so that nothing cancels where the parameters are huge. Tables by number of factors hold the sums
    of ln(1 + j / z), of u = 1 / (1 + j / z), which is its slope in ln z but for a sign, and of u^2.
    """

    one: float
    other: float
    heads: Floats
    tails: Floats
    both: Floats

    @classmethod
    def of(cls, one: float, other: float, most: int) -> Self:
        """Tables for up to so many tosses."""
        return cls(one, other, *(_rising(z, most) for z in (one, other, one + other)))

    def log(self, a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
        """Ln of the probability."""
        a, b = _whole(a, b)
        of_one, of_other = -np.log1p(self.other / self.one), -np.log1p(self.one / self.other)
        return np.asarray(a * of_one + b * of_other + self.heads[0, a] + self.tails[0, b] - self.both[0, a + b])

    def scores(self, a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Its slopes in ln one and ln other."""
        a, b = _whole(a, b)
        share, every = self.one / (self.one + self.other), self.both[1, a + b]
        return self.heads[1, a] - share * every, self.tails[1, b] - (1 - share) * every

    def curves(self, a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Its second slopes: twice in ln one, in both, twice in ln other."""
        a, b = _whole(a, b)
        share, every, square = self.one / (self.one + self.other), self.both[1, a + b], self.both[2, a + b]
        rest = 1 - share
        return (
            self.heads[1, a] - self.heads[2, a] - share * every + share * share * square,
            share * rest * square,
            self.tails[1, b] - self.tails[2, b] - rest * every + rest * rest * square,
        )


def _rising(z: float, most: int) -> Floats:
    """For 0, 1, ..., `most` factors z + j: the sums of ln(1 + j / z), u = z / (z + j), and u^2."""
    ratio = np.arange(most) / z
    found = np.zeros((3, most + 1))
    found[:, 1:] = np.log1p(ratio), 1 / (1 + ratio), 1 / (1 + ratio) ** 2
    return np.cumsum(found, axis=1)


def _mixture(coins: tuple[Coin, Coin], order: int, x: Ints, t_x: Ints, T: Ints) -> Floats:
    """Ln L of histories with few distinct x, and its slopes.

    A case's part in L depends on x and k alone, so there is a table of parts for each x, and a history is a stretch k = t_x, ..., T - 1 of
    it: the sum from t_x on less that from T on. Parts fall with k, so the difference loses no more than the length of the table in units
    of rounding.
    """
    kinds, of = np.unique(x, return_inverse=True)
    k = np.arange(t_x.min(), T.max() + 1)
    case = Case(*coins, kinds[:, None], np.maximum(k - kinds[:, None], 0), np.int64(1), k)
    logs = case.log()
    begin, end = (of, t_x - k[0]), (of, T - k[0])
    tail, fall = _tails(logs), np.exp(logs[end] - logs[begin])

    def stretch(values: npt.ArrayLike) -> Floats:
        sums = tail(values)
        return np.asarray(sums[begin] - fall * sums[end])

    still = Case(*coins, x, T - x, np.int64(0), T)
    alive = still.log()
    mass = stretch(1.0)
    gone = np.where(t_x < T, logs[begin] + np.log(np.where(t_x < T, mass, 1.0)), -np.inf)
    found = np.empty((_SIZES[order], len(x)))
    found[0] = np.logaddexp(alive, gone)
    share, first = np.exp(alive - found[0]), np.exp(logs[begin] - found[0])
    for row, (if_alive, if_gone) in enumerate(zip(still.slopes(order), case.slopes(order), strict=True), start=1):
        found[row] = share * if_alive + first * stretch(if_gone)
    for row, (i, j) in enumerate(PAIRS if order == 2 else (), start=1 + FOUR):
        found[row] -= found[1 + i] * found[1 + j]
    return found


@dataclass(frozen=True, slots=True)
class Case:
    """A customer bought in `hits` periods, did not in `misses`, stayed at `passed` tosses, and left at `left` (0 or 1) of them."""

    buy: Coin
    leave: Coin
    hits: Ints
    misses: Ints
    left: Any
    passed: Ints

    def log(self) -> Floats:
        """Ln of the probability."""
        return self.buy.log(self.hits, self.misses) + self.leave.log(self.left, self.passed)

    def slopes(self, order: int) -> Iterator[Floats]:
        """Slopes of the probability in the logs of the parameters, then second slopes, all over the probability."""
        if order == 0:
            return
        scores = (*self.buy.scores(self.hits, self.misses), *self.leave.scores(self.left, self.passed))
        yield from scores
        if order == 1:
            return
        of_buy, of_leave = iter(self.buy.curves(self.hits, self.misses)), iter(self.leave.curves(self.left, self.passed))
        for i, j in PAIRS:
            curve: Any = next(of_buy) if j < 2 else next(of_leave) if i >= 2 else 0.0
            yield scores[i] * scores[j] + curve


def _tails(logs: Floats) -> Callable[[npt.ArrayLike], Floats]:
    """Sums over k >= i of exp(logs[k] - logs[i]) values[k] along the last axis, where logs fall; by pieces, in each not far."""
    falls = np.cumsum(np.append(0.0, (logs[:, :-1] - logs[:, 1:]).max(axis=0)))
    edges = np.append(np.flatnonzero(np.diff(np.floor(falls / _DEEP), prepend=-1.0)), len(falls))
    pieces = [slice(begin, end) for begin, end in pairwise(edges)][::-1]
    weights = [np.exp(logs[:, piece] - logs[:, piece.stop - 1, None]) for piece in pieces]

    def sums(values: npt.ArrayLike) -> Floats:
        values = np.broadcast_to(np.asarray(values, dtype=np.float64), logs.shape)
        found = np.empty(logs.shape)
        beyond: Any = 0.0
        for piece, weight in zip(pieces, weights, strict=True):
            added = np.cumsum((weight * values[:, piece])[:, ::-1], axis=1)[:, ::-1] + beyond
            found[:, piece] = added / weight
            if piece.start:
                beyond = found[:, piece.start, None] * np.exp(logs[:, piece.start, None] - logs[:, piece.start - 1, None])
        return found

    return sums


def _flat(*values: npt.ArrayLike) -> tuple[tuple[int, ...], tuple[Floats, ...]]:
    """Values in one shape, and they in a row."""
    arrays = np.broadcast_arrays(*floats(*values))
    return arrays[0].shape, tuple(array.ravel() for array in arrays)


def _whole(*values: npt.ArrayLike) -> tuple[Ints, ...]:
    return tuple(np.asarray(value, dtype=np.int64) for value in values)
