"""Experiments whose truth is known because they were simulated, drawn as the statistics that their units come down to.

Thousands of replicates are one array: sums of the units of each arm, from which follow the columns that `ab_test_from_stats` takes. Sums of
looks add up. Units of which nothing is seen are counted and not drawn, and those with few possible values are drawn by the value.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sums:
    """Of groups of units with p numbers each: how many, and the sums of their numbers, of products of two, and of three of them."""

    n: Floats
    first: Floats
    second: Floats
    third: Floats

    def __getitem__(self, at: Any) -> Self:
        return self.each(lambda values: values[at])

    def each(self, change: Callable[[Floats], Floats]) -> Self:
        """The same change of every array."""
        return type(self)(*(change(getattr(self, f.name)) for f in fields(self)))

    def shaped(self, groups: tuple[int, ...]) -> Self:
        """The same groups in another shape."""
        last = self.n.ndim
        return self.each(lambda values: values.reshape(*groups, *values.shape[last:]))

    @classmethod
    def stacked(cls, parts: Sequence[Self], axis: int) -> Self:
        """Several of one shape along a new axis."""
        return cls(*(np.stack([getattr(part, f.name) for part in parts], axis=axis) for f in fields(cls)))

    @property
    def mean(self) -> Floats:
        """(..., p)."""
        return self.first / np.where(self.n > 0, self.n, np.nan)[..., None]

    @property
    def covariance(self) -> Floats:
        """(..., p, p), with n - 1 in the denominator; 0 for a single unit."""
        products = self.second - self.n[..., None, None] * self.mean[..., :, None] * self.mean[..., None, :]
        i = np.arange(products.shape[-1])
        spread = np.sqrt(np.maximum(products[..., i, i], 0.0))
        most = spread[..., :, None] * spread[..., None, :]  # where nothing varies rounding leaves something
        products = np.clip(products, -most, most)
        return products / np.maximum(self.n - 1, 1)[..., None, None]

    def cube(self, i: int, j: int, k: int) -> Floats:
        """The third central moment of three of the numbers."""
        n, m = np.where(self.n > 0, self.n, np.nan), self.mean
        pairs = sum(m[..., a] * self.second[..., b, c] for a, b, c in ((i, j, k), (j, i, k), (k, i, j))) / n
        return np.asarray(self.third[..., i, j, k] / n - pairs + 2 * m[..., i] * m[..., j] * m[..., k])


def of_units(n: Ints, cell: Ints, values: Sequence[Floats]) -> Sums:
    """The sums of units; those that are not listed have nothing but zeros."""
    p, size = len(values), n.size
    found = Sums(n.ravel().astype(np.float64), np.zeros((size, p)), np.zeros((size, p, p)), np.zeros((size, p, p, p)))
    for i, one in enumerate(values):
        found.first[:, i] = np.bincount(cell, one, size)
        for j in range(i, p):
            pair = one * values[j]
            found.second[:, i, j] = found.second[:, j, i] = np.bincount(cell, pair, size)
            for k in range(j, p):
                triple = np.bincount(cell, pair * values[k], size)
                for a, b, c in set(itertools.permutations((i, j, k))):
                    found.third[:, a, b, c] = triple
    return found.shaped(n.shape)


def of_table(n: Ints, counts: Ints, points: Floats) -> Sums:
    """The sums of units that are counted by their value: `counts` (..., C) of `points` (C, p)."""
    second = points[:, :, None] * points[:, None, :]
    third = second[:, :, :, None] * points[:, None, None, :]
    c, p = points.shape
    parts = [(counts @ array.reshape(c, -1)).reshape(*n.shape, *array.shape[1:]) for array in (points, second, third)]
    return Sums(n.astype(np.float64), parts[0].reshape(*n.shape, p), parts[1], parts[2])


# --------------------------------------------------------------------------------------------------------- populations


class Population(Protocol):
    """Units whose truth is known. `numbers` says what they have: a value, a denominator, a covariate."""

    @property
    def kind(self) -> str:
        """The kind of metric."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """The names of a unit's numbers."""

    def truth(self, lift: float) -> float:
        """What is estimated, where the treatment lifts it by this fraction."""

    def draw(self, rng: np.random.Generator, n: Ints, lift: float) -> Sums:
        """The sums of so many units in each cell."""


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal units with the mean 1; a covariate of the given correlation, where there is one."""

    sd: float = 1.0
    correlation: float | None = None
    kind: str = "mean"

    @property
    def numbers(self) -> tuple[str, ...]:
        """A value, and perhaps a covariate."""
        return ("value",) if self.correlation is None else ("value", "covariate")

    def truth(self, lift: float) -> float:
        """The mean."""
        return 1 + lift

    def draw(self, rng: np.random.Generator, n: Ints, lift: float) -> Sums:
        """All units."""
        cell, units = np.repeat(np.arange(n.size), n.ravel()), int(n.sum())
        z = rng.normal(size=units)
        if self.correlation is None:
            return of_units(n, cell, [1 + lift + self.sd * z])
        x = self.correlation * z + math.sqrt(1 - self.correlation**2) * rng.normal(size=units)
        return of_units(n, cell, [1 + lift + self.sd * z, x])


@dataclass(frozen=True, slots=True)
class Bernoulli:
    """Units of which a share converts."""

    rate: float = 0.05
    kind: str = "proportion"
    numbers: tuple[str, ...] = ("value",)

    def truth(self, lift: float) -> float:
        """The share."""
        return self.rate * (1 + lift)

    def draw(self, rng: np.random.Generator, n: Ints, lift: float) -> Sums:
        """Successes only."""
        return of_table(n, rng.binomial(n, self.truth(lift))[..., None], np.ones((1, 1)))


@dataclass(frozen=True, slots=True)
class Revenue:
    """One unit in twenty buys, and spends a log-normal amount; the treatment makes more of them buy.

    With `before` one in ten has bought before, and half of the buyers are of these; what they spent then is the covariate, log-normal
    around a level of their own. The skewness of a unit is about 20 with a sigma of 1, and 131 with 1.5.
    """

    sigma: float = 1.0
    before: bool = False
    kind: str = "mean"

    RATE = 0.05
    REGULAR, SHARED = 0.1, 0.8
    """The share that has bought before, and how much of the variance of the logarithm is the customer's own."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """Revenue, and perhaps that before the experiment."""
        return ("value", "covariate") if self.before else ("value",)

    def truth(self, lift: float) -> float:
        """Revenue per unit."""
        return self.RATE * (1 + lift) * math.exp(self.sigma**2 / 2)

    def draw(self, rng: np.random.Generator, n: Ints, lift: float) -> Sums:
        """Who bought, now or before."""
        rate = self.RATE * (1 + lift)
        if not self.before:
            buyers = rng.binomial(n, rate).ravel()
            return of_units(n, np.repeat(np.arange(n.size), buyers), [rng.lognormal(0.0, self.sigma, buyers.sum())])
        chances = [rate / 2, self.REGULAR - rate / 2, rate / 2]  # both, before only, now only
        groups = rng.multinomial(n.ravel(), [*chances, 1 - sum(chances)])[:, :3]
        cell = np.repeat(np.tile(np.arange(n.size), 3), groups.T.ravel())
        group = np.repeat(np.arange(3), groups.sum(axis=0))
        own, apart = (self.sigma * math.sqrt(part) for part in (self.SHARED, 1 - self.SHARED))
        level = rng.normal(0.0, own, len(cell))
        now = np.exp(level + rng.normal(0.0, apart, len(cell)))
        then = np.exp(level + rng.normal(0.0, apart, len(cell)))
        return of_units(n, cell, [now * (group != 1), then * (group != 2)])


@dataclass(frozen=True, slots=True)
class OrdersPerSession:
    """Sessions are skewed, and units differ in how often a session ends with an order; the treatment lifts that."""

    rate: float = 0.1
    alike: float = 3.0
    kind: str = "ratio"
    numbers: tuple[str, ...] = ("value", "denominator")

    MOST = 12

    def truth(self, lift: float) -> float:
        """Orders over sessions."""
        return self.rate * (1 + lift)

    def draw(self, rng: np.random.Generator, n: Ints, lift: float) -> Sums:
        """Units by their sessions and orders."""
        points, chances = self._table(lift)
        return of_table(n, rng.multinomial(n, chances), points)

    def _table(self, lift: float) -> tuple[Floats, Floats]:
        """All pairs of orders and sessions, with their chances: sessions geometric, orders beta-binomial."""
        a, b = self.alike * self.truth(lift), self.alike * (1 - self.truth(lift))
        sessions = 0.6 ** np.arange(self.MOST)
        pairs = [(orders, m) for m in range(1, self.MOST + 1) for orders in range(m + 1)]
        chances = np.array([sessions[m - 1] * math.comb(m, k) * math.exp(_beta(a + k, b + m - k) - _beta(a, b)) for k, m in pairs])
        return np.array(pairs, dtype=np.float64), chances / chances.sum()


def _beta(a: float, b: float) -> float:
    """The logarithm of the beta function."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


@dataclass(frozen=True, slots=True)
class RevenuePerOrder:
    """One unit in twenty buys, some several times; the treatment makes orders dearer."""

    sigma: float = 1.0
    kind: str = "ratio"
    numbers: tuple[str, ...] = ("value", "denominator")

    def truth(self, lift: float) -> float:
        """Revenue over orders."""
        return (1 + lift) * math.exp(self.sigma**2 / 2)

    def draw(self, rng: np.random.Generator, n: Ints, lift: float) -> Sums:
        """Buyers."""
        buyers = rng.binomial(n, Revenue.RATE).ravel()
        orders = (1 + rng.poisson(0.5, buyers.sum())).astype(np.float64)
        spent = (1 + lift) * orders * rng.lognormal(0.0, self.sigma, len(orders))
        return of_units(n, np.repeat(np.arange(n.size), buyers), [spent, orders])


@dataclass(frozen=True, slots=True)
class Clusters:
    """Rows in clusters, which are the units of randomisation: rows of a cluster share a tenth of their variance."""

    shared: float = 0.1
    kind: str = "mean"
    numbers: tuple[str, ...] = ("value", "denominator")

    def truth(self, lift: float) -> float:
        """The mean of a row."""
        return 1 + lift

    def draw(self, rng: np.random.Generator, n: Ints, lift: float) -> Sums:
        """The sum of each cluster, and its rows."""
        cell, clusters = np.repeat(np.arange(n.size), n.ravel()), int(n.sum())
        rows = (1 + rng.poisson(rng.gamma(4.0, 6.0, clusters))).astype(np.float64)
        own = rng.normal(1 + lift, math.sqrt(self.shared), clusters)
        return of_units(n, cell, [rows * own + rng.normal(size=clusters) * np.sqrt((1 - self.shared) * rows), rows])


# ----------------------------------------------------------------------------------------------------------- tables


def columns(sums: Sums, population: Population) -> dict[str, Floats]:
    """The columns of statistics of all cells, one below the other."""
    found = {"successes": sums.first[..., 0]} if population.kind == "proportion" else dict(_named(sums, population.numbers))
    return {"n": sums.n.ravel(), **{name: values.ravel() for name, values in found.items()}}


def _named(sums: Sums, numbers: tuple[str, ...]) -> Iterator[tuple[str, Floats]]:
    mean, covariance = sums.mean, sums.covariance
    yield "mean", mean[..., 0]
    yield "variance", covariance[..., 0, 0]
    yield "third_moment", sums.cube(0, 0, 0)
    for i, name in enumerate(numbers[1:], start=1):
        yield f"{name}_mean", mean[..., i]
        yield f"{name}_variance", covariance[..., i, i]
        yield f"covariance_{name}", covariance[..., 0, i]
    if "denominator" in numbers:
        yield "third_moment_21", sums.cube(0, 0, 1)
        yield "third_moment_12", sums.cube(0, 1, 1)
        yield "third_moment_denominator", sums.cube(1, 1, 1)
