"""Purchase histories reduced to what buy-till-you-die models need of them, and how a likelihood over them is added up."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import grouping
from opsmetrics._kernels.sequences import run_starts

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FOUR: Final = 4
"""Parameters of a model of buying, the coefficients of covariates aside."""

PAIRS: Final = tuple(combinations_with_replacement(range(FOUR), 2))
"""The upper triangle of a Hessian of four parameters, row by row."""

_ROWS, _COLUMNS = np.triu_indices(FOUR)

_WHOLE = 2.0**53
"""Whole numbers below it are exact in floats."""

_MOST_BITS = 62
_DENSE = 4
"""A table of all numbers there could be is quicker than a sort as long as it has no more than so many places per row."""

_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True, slots=True)
class Histories:
    """Customers by history: x repeat purchases, the last of them at t_x, seen until T (all from the first purchase on), so many of each.

    `purchase` and `dropout` are covariates, one row each, where there are any.
    """

    x: Ints
    t_x: Floats
    T: Floats
    weights: Floats
    purchase: Floats | None = None
    dropout: Floats | None = None

    @classmethod
    def of(cls, x: Ints, t_x: Floats, T: Floats, weights: Floats | None = None) -> Self:
        """Histories of one customer each, unless they are counted."""
        return cls(x, t_x, T, np.ones(len(x)) if weights is None else weights)

    def __len__(self) -> int:
        return len(self.x)

    def merged(self) -> Self:
        """Identical histories as one, with their weights added: no rounding, so the likelihood is the same."""
        if len(self) == 0:
            return self
        columns = (self.x, self.t_x, self.T, *self.covariates)
        packing = _Packing.of(columns)
        if packing is not None and self.bare and (self.weights == 1.0).all():
            numbers = np.sort(packing.numbers)  # nothing has to come along, and numbers alone are sorted several times as fast
            starts = run_starts(numbers)
            x, t_x, T = packing.unpack(numbers[starts])
            return type(self)(x, t_x, T, np.diff(starts, append=len(numbers)).astype(np.float64))
        order, codes = _runs(columns, packing)
        starts = run_starts(codes)
        return replace(self.take(order[starts]), weights=np.add.reduceat(self.weights[order], starts))

    def scaled(self, unit: float) -> Self:
        """The same with times counted in another unit."""
        return type(self)(self.x, self.t_x / unit, self.T / unit, self.weights, self.purchase, self.dropout)

    def rows(self, block: slice) -> Self:
        """Some of the histories."""
        purchase, dropout = (None if z is None else z[:, block] for z in (self.purchase, self.dropout))
        return type(self)(self.x[block], self.t_x[block], self.T[block], self.weights[block], purchase, dropout)

    def take(self, rows: Ints) -> Self:
        """Histories by position."""
        purchase, dropout = (None if z is None else z[:, rows] for z in (self.purchase, self.dropout))
        return type(self)(self.x[rows], self.t_x[rows], self.T[rows], self.weights[rows], purchase, dropout)

    @property
    def covariates(self) -> list[Floats]:
        """Those of the purchases, then those of the dropout, by row."""
        return [z for part in (self.purchase, self.dropout) if part is not None for z in part]

    @property
    def bare(self) -> bool:
        """Whether there are no covariates, so that all customers share the four parameters."""
        return self.purchase is None and self.dropout is None

    @property
    def coefficients(self) -> tuple[int, int]:
        """How many covariates move the purchase rate, and how many the dropout."""
        return tuple(0 if z is None else len(z) for z in (self.purchase, self.dropout))  # type: ignore[return-value]


def distinct(*columns: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """A row of each distinct combination of values of 64 bits, and which of the combinations each row has."""
    packing = _Packing.of(columns)
    if packing is not None and packing.size <= _DENSE * len(packing.numbers):
        numbers, of = grouping.dense(packing.numbers, packing.size)
        one = np.empty(len(numbers), dtype=np.int64)
        one[of] = np.arange(len(of))
        return one, of
    order, codes = _runs(columns, packing)
    of = np.empty(len(order), dtype=np.int64)
    of[order] = codes
    return order[run_starts(codes)], of


def _runs(columns: Sequence[npt.NDArray[Any]], packing: _Packing | None) -> tuple[Ints, Ints]:
    """An order in which identical rows stand together, and dense codes along it.

    Whole numbers are packed in one. Of others a hash is sorted instead; runs are told by the values themselves, and where two runs of one
    hash interleave, by an exact sort.
    """
    if packing is not None:
        order, codes, _ = grouping.together(packing.numbers)
        return order, codes
    values = [column + 0.0 if column.dtype == np.float64 else column for column in columns]  # -0.0 is 0.0
    keys = np.zeros(len(values[0]), dtype=np.uint64)
    for column in values:  # the finaliser of splitmix64 (G. L. Steele, D. Lea & C. H. Flood, 2014), once for each column
        keys = (keys ^ column.view(np.uint64)) * _MIX[0]
        keys ^= keys >> np.uint64(32)
        keys *= _MIX[1]
        keys ^= keys >> np.uint64(29)
    order = np.argsort(keys)
    changed = _changed(order, values)
    hashed = keys[order]
    if (changed[1:] & (hashed[1:] == hashed[:-1])).any():
        order = np.lexsort(values)
        changed = _changed(order, values)
    return order, np.cumsum(changed) - 1


@dataclass(frozen=True, slots=True)
class _Packing:
    """Columns of whole numbers as one number per row: what was taken off each, how many bits it has, and its type."""

    numbers: npt.NDArray[np.integer]
    lows: tuple[float, ...]
    bits: tuple[int, ...]
    dtypes: tuple[np.dtype[Any], ...]

    @classmethod
    def of(cls, columns: Sequence[npt.NDArray[Any]]) -> _Packing | None:
        """None where some values are not whole, or too large."""
        if len(columns[0]) == 0 or any(column.dtype == np.float64 and (np.floor(column) != column).any() for column in columns):
            return None
        ends = [(column.min(), column.max()) for column in columns]
        if not all(-_WHOLE < low <= high < _WHOLE for low, high in ends):
            return None
        bits = tuple(int(high - low).bit_length() for low, high in ends)
        if sum(bits) > _MOST_BITS:
            return None
        numbers: npt.NDArray[Any] = np.zeros(len(columns[0]), dtype=np.uint32 if sum(bits) <= 32 else np.int64)
        for column, (low, _), size in zip(columns, ends, bits, strict=True):
            numbers <<= size
            numbers |= (column - low).astype(numbers.dtype)
        return cls(numbers, tuple(low for low, _ in ends), bits, tuple(column.dtype for column in columns))

    @property
    def size(self) -> int:
        """How many numbers there could be."""
        return 1 << sum(self.bits)

    def unpack(self, numbers: npt.NDArray[np.integer]) -> list[npt.NDArray[Any]]:
        """The columns that some numbers were made of."""
        columns, shift = [], sum(self.bits)
        for low, size, dtype in zip(self.lows, self.bits, self.dtypes, strict=True):
            shift -= size
            columns.append((numbers >> shift & ((1 << size) - 1)).astype(dtype) + low)
        return columns


def _changed(order: Ints, columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.bool_]:
    """Where values change along an order."""
    changed = np.zeros(len(order), dtype=np.bool_)
    changed[:1] = True
    for values in columns:
        ordered = values[order]
        changed[1:] |= ordered[1:] != ordered[:-1]
    return changed


@dataclass(frozen=True, slots=True)
class Total:
    """A log-likelihood with its gradient and Hessian in the logs of the parameters (and in the coefficients of covariates)."""

    value: float
    gradient: Floats
    hessian: Floats

    @classmethod
    def packed(cls, numbers: Floats, more: int = 0) -> Total:
        """A value, its four first derivatives, and the upper triangle of the second, row by row; of `more` parameters it tells nothing."""
        gradient, hessian = np.zeros(FOUR + more), np.zeros((FOUR + more, FOUR + more))
        gradient[:FOUR] = numbers[1 : 1 + FOUR]
        hessian[_ROWS, _COLUMNS] = hessian[_COLUMNS, _ROWS] = numbers[1 + FOUR :]
        return cls(float(numbers[0]), gradient, hessian)

    def __add__(self, other: Total) -> Total:
        return Total(self.value + other.value, self.gradient + other.gradient, self.hessian + other.hessian)


@dataclass(frozen=True, slots=True)
class Terms:
    """What rows add to a log-likelihood, each a mixture of cases: customers who are alive, and such who have died.

    `value` by row, and `scores`, the means of the cases' scores, by parameter and row. Its Hessian is the mean of the cases' Hessians, of
    which `turns` has the entries that are not 0, plus the covariance of their scores (T. A. Louis, 1982, JRSS B 44, 226-233): products of
    `off`, how far they are from their means, by parameter, case and row, with the `share` of each case as weight.
    """

    value: Floats
    scores: Floats
    turns: Mapping[tuple[int, int], Floats]
    share: Floats
    off: Floats

    def plus(self, numbers: Floats) -> Terms:
        """With what does not depend on the case: a value, four first and ten second derivatives, by row."""
        turns = {pair: self.turns.get(pair, 0.0) + numbers[place] for place, pair in enumerate(PAIRS, start=1 + FOUR)}
        return replace(self, value=self.value + numbers[0], scores=self.scores + numbers[1 : 1 + FOUR], turns=turns)

    def chained(self, base: Sequence[int], factors: Floats) -> Terms:
        """The same in parameters that move the logs of those of `base`, each by so much by row."""
        pairs = {(i, j): (min(base[i], base[j]), max(base[i], base[j])) for i, j in combinations_with_replacement(range(len(base)), 2)}
        turns = {(i, j): self.turns[pair] * factors[i] * factors[j] for (i, j), pair in pairs.items() if pair in self.turns}
        return Terms(self.value, self.scores[base] * factors, turns, self.share, self.off[base] * factors[:, None])

    def total(self, weights: Floats) -> Total:
        """Their sum, each row counted so many times."""
        off = self.off.reshape(len(self.off), -1)
        hessian = 0.5 * (off * (self.share * weights).ravel()) @ off.T
        for (i, j), curve in self.turns.items():
            hessian[i, j] += (0.5 if i == j else 1.0) * float(curve @ weights)
        return Total(float(self.value @ weights), self.scores @ weights, hessian + hessian.T)


def add_up(histories: Histories, block: int, row: Callable[[Histories], Terms], moved: tuple[int, float]) -> Total:
    """Sum over rows of a likelihood, with its derivatives, of which `row` gives the terms for a block of them.

    Blocks stay in the cache, which is several times as fast. A covariate z of the purchases moves the log of the second parameter by
    -z'gamma; one of the dropout moves the log of the parameter `moved` by z'gamma, times the sign beside it. So the derivatives in the
    coefficients follow by the chain rule.
    """
    purchase, dropout = histories.coefficients
    base = [*range(FOUR), *[1] * purchase, *[moved[0]] * dropout]

    def of_block(begin: int) -> Total:
        part = histories.rows(slice(begin, begin + block))
        found = row(part)
        return (found if part.bare else found.chained(base, _factors(part, moved[1]))).total(part.weights)

    return functools.reduce(operator.add, map(of_block, range(0, len(histories), block)))


def _factors(part: Histories, sign: float) -> Floats:
    """What each parameter, then each coefficient, is multiplied with in the logs of a row's own parameters."""
    moved = [-part.purchase] if part.purchase is not None else []
    moved += [sign * part.dropout] if part.dropout is not None else []
    return np.concatenate([np.ones((FOUR, len(part))), *moved])


def floats(*values: npt.ArrayLike) -> tuple[Floats, ...]:
    """Numbers or arrays of numbers as arrays of floats."""
    return tuple(np.asarray(value, dtype=np.float64) for value in values)


def longer(x: Ints, weights: Floats) -> Floats:
    """For k = 0, 1, ...: the weight of rows with x > k. Turns a sum over rows of sums over k < x into one sum over k."""
    counts = np.bincount(x, weights=weights)
    return np.asarray(counts.sum() - np.cumsum(counts))[:-1]
