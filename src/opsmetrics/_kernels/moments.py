"""Means, products and cubes of deviations of groups of units: one stable pass, and parts that add up.

Sums of squares lose all digits where a mean is large against its spread (1e9 with a deviation of 1); sums of deviations do not. Deviations
from a part's own mean become deviations from the whole's by what the mean moved: T. F. Chan, G. H. Golub & R. J. LeVeque (1983), Algorithms
for computing the sample variance, The American Statistician 37, 242-247; third moments: P. Pebay (2008), Sandia report SAND2008-6212.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FEW: Final = 256
"""Units whose mean stands in for that of all."""

_PIECE: Final = 8192
"""Products that BLAS adds up at once: from 10,000 on it begins threads, which would fight with ours."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Of G groups of units with p numbers each: how many units, their means, and the sums of products and cubes of deviations.

    Attributes
    ----------
    n : (G,) units.
    mean : (G, p).
    products : (G, p, p), sums of (x_i - mean_i)(x_j - mean_j).
    cubes : (G, d, d, d), the same in three, of the first d numbers; d is 0 where they are not known.
    """

    n: Floats
    mean: Floats
    products: Floats
    cubes: Floats

    def __getitem__(self, at: Ints | slice) -> Self:
        return type(self)(*(getattr(self, f.name)[at] for f in fields(self)))

    @property
    def covariance(self) -> Floats:
        """The sample covariance of each group (n - 1 in the denominator); missing for fewer than two units."""
        return self.products / np.where(self.n > 1, self.n - 1, np.nan)[:, None, None]


@dataclass(frozen=True, slots=True)
class Runs:
    """Rows put in order of their groups: `order` sorts them, and the rows of `groups[i]` then stand from `bounds[i]` to `bounds[i + 1]`."""

    order: Ints
    groups: Ints
    bounds: Ints

    @classmethod
    def of(cls, codes: npt.NDArray[np.integer]) -> Self:
        """The runs of small whole numbers."""
        counts = np.bincount(codes)
        groups = np.flatnonzero(counts)
        return cls(np.argsort(codes, kind="stable"), groups, np.concatenate([[0], np.cumsum(counts[groups])]))


def of_units(values: Sequence[Floats], runs: Runs, groups: int, *, third: int = 1) -> Moments:
    """The moments of units whose numbers are known. `third` is d, for how many numbers cubes are kept.

    Deviations are taken from the mean of a run's first `FEW` units, which saves a pass over all; what they add up to moves everything to
    the mean of the run. With m of n units in it that mean is within sqrt(n / m) standard deviations, so hardly a digit is lost.
    """
    p = len(values)
    n, centre, total = np.zeros(groups), np.zeros((groups, p)), np.zeros((groups, p))
    products, cubes = np.zeros((groups, p, p)), np.zeros((groups, third, third, third))
    ordered = [column.take(runs.order, mode="clip") for column in values]  # clipping is quicker than refusing what is out of bounds
    for group, begin, end in zip(runs.groups.tolist(), runs.bounds[:-1].tolist(), runs.bounds[1:].tolist(), strict=True):
        n[group] = end - begin
        deviations = [column[begin:end] for column in ordered]
        for i, own in enumerate(deviations):
            centre[group, i] = own[:FEW].sum() / len(own[:FEW])
            np.subtract(own, centre[group, i], out=own)
        _sums(deviations, total[group], products[group], cubes[group])
    off = total / np.where(n > 0, n, 1.0)[:, None]
    products -= n[:, None, None] * off[:, :, None] * off[:, None, :]
    return Moments(n, centre + off, products, cubes - _moved(n, off[:, :third], products[:, :third, :third]))


def _sums(deviations: Sequence[Floats], total: Floats, products: Floats, cubes: Floats) -> None:
    """Write the sums of deviations, of their products and of their cubes."""
    for i, own in enumerate(deviations):
        total[i] = own.sum()
        for j in range(i, len(deviations)):
            products[i, j] = products[j, i] = _dot(own, deviations[j])
        for j in range(i, len(cubes)):
            both = own * deviations[j]
            for k in range(j, len(cubes)):
                triple = _dot(both, deviations[k])
                for at in itertools.permutations((i, j, k)):
                    cubes[at] = triple


def _dot(one: Floats, other: Floats) -> float:
    """The sum of products, in pieces."""
    whole = len(one) - len(one) % _PIECE
    found = float(one[whole:].dot(other[whole:]))
    if whole == 0:
        return found
    return found + float(np.vecdot(one[:whole].reshape(-1, _PIECE), other[:whole].reshape(-1, _PIECE)).sum())


def mapped(parts: Moments, matrix: Floats) -> Moments:
    """The moments of other numbers of the same units: `matrix` makes them of the old ones, in each group its own.

    The first numbers, of which cubes are kept, must be made of themselves alone.
    """
    d = parts.cubes.shape[1]
    mean = np.einsum("gij,gj->gi", matrix, parts.mean)
    products = np.einsum("gij,gjk,glk->gil", matrix, parts.products, matrix)
    own = matrix[:, :d, :d]
    return Moments(parts.n, mean, products, np.einsum("gai,gbj,gck,gijk->gabc", own, own, own, parts.cubes))


def tilted(parts: Moments, slopes: Floats) -> Moments:
    """The same with so many times the second number added to the first."""
    matrix = np.tile(np.eye(parts.mean.shape[1]), (len(parts.n), 1, 1))
    matrix[:, 0, 1] = slopes
    return mapped(parts, matrix)


def stack(parts: Iterable[Moments]) -> Moments:
    """Groups of several parts, one after the other."""
    listed = list(parts)
    return Moments(*(np.concatenate([getattr(part, f.name) for part in listed]) for f in fields(Moments)))


def merge(parts: Moments, codes: Ints, groups: int) -> Moments:
    """Groups of groups: `codes` says which of the new groups each of the old ones belongs to."""
    n = np.bincount(codes, weights=parts.n, minlength=groups).astype(np.float64)
    whole = np.where(n > 0, n, 1.0)
    p = parts.mean.shape[1]
    told = np.flatnonzero(parts.n > 0)[::-1]
    first = np.zeros(groups, dtype=np.int64)
    first[codes[told]] = told  # means are taken from one of their own, so that nothing large is added up
    origin = parts.mean[first]
    away = np.where(parts.n[:, None] > 0, parts.mean - origin[codes], 0.0)
    moved = summed(parts.n[:, None] * away, codes, groups) / whole[:, None]
    shift = away - moved[codes]
    weighted = parts.n[:, None] * shift
    products = summed(parts.products + weighted[:, :, None] * shift[:, None, :], codes, groups)
    d = parts.cubes.shape[1]
    cubes = parts.cubes + _moved(parts.n, shift[:, :d], parts.products[:, :d, :d])
    mean = np.where(n[:, None] > 0, origin + moved, 0.0)
    return Moments(n, mean.reshape(groups, p), products, summed(cubes, codes, groups))


def _moved(n: Floats, shift: Floats, products: Floats) -> Floats:
    """What sums of cubes of deviations gain where these are from a point that is off the mean, by -`shift`.

    That is n s_i s_j s_k and the three s_i products_jk, in each of which a third of the former is.
    """
    one, other, last = shift[:, :, None, None], shift[:, None, :, None], shift[:, None, None, :]
    both = products + n[:, None, None] / 3 * shift[:, :, None] * shift[:, None, :]
    return np.asarray(one * both[:, None] + other * both[:, :, None] + last * both[:, :, :, None])


def summed(values: Floats, codes: Ints, groups: int) -> Floats:
    """Sums by group, along the first axis."""
    total = np.empty((groups, int(np.prod(values.shape[1:]))))
    for place, column in enumerate(values.reshape(len(values), -1).T):
        total[:, place] = np.bincount(codes, weights=column, minlength=groups)
    return total.reshape(groups, *values.shape[1:])
