"""What a sequential plan comes to at one error: the bounds that stop a test or give it up, and what looking costs.

All is in shares of the planned units, so that plans of one shape are one, however many units they have, and what is computed is kept.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from opsmetrics._frames import Floats
from opsmetrics._kernels import mixtures, sequential
from opsmetrics._kernels.sequential import Family, Levels, Spending, Walk

SHAPES: Final[dict[Family, tuple[float, float, float]]] = {"hwang-shih-decani": (-4.0, -40.0, 10.0), "kim-demets": (3.0, 0.1, 50.0)}
"""Families of spending with a shape: the usual one and its range."""

_FUTILITY_SHAPES: Final[dict[Family, float]] = {"hwang-shih-decani": -2.0, "kim-demets": 3.0}
"""Type II errors are usually spent earlier."""

LOOKS: Final = 100
"""A mixture's chances are told for a look at every per cent of the plan."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a group-sequential plan lays down: the times of the looks, the last of which is 1, and how its errors are spent."""

    times: tuple[float, ...]
    spending: Family
    shape: float | None
    futility: Family | None
    power: float


class Price(NamedTuple):
    """Sample sizes of a plan by that of a single look with the same power: the largest, and the expected ones."""

    most: float
    expected_no_effect: float
    expected_effect: float


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """A plan at one error: the bounds that stop its test, and those that give it up under the drift that it is made for."""

    terms: Terms
    spending: Spending
    error: float
    walk: Walk
    drift: float
    lower: Walk

    def leaving(self) -> tuple[Floats, Floats]:
        """The chances to leave below and above at each look, under no effect and under the effect."""
        return sequential.leaving(self.lower, [0.0, self.drift])

    def price(self) -> Price:
        """What the plan costs."""
        return _price(self.lower, self.drift, sequential.fixed_drift(self.terms.power, self.error, self.spending.sides))

    def critical(self, look: int, t: Floats) -> Floats:
        """The z that stop a test at a look that is at these times."""
        log_error = math.log(self.error)
        left = sequential.left_to_spend(self.spending, self.walk, look, t, log_error)
        some = left > log_error + math.log(sequential.NEGLIGIBLE)
        found = np.full(t.size, np.inf)
        found[some] = sequential.bound(self.walk.arriving[look], t[some], left[some], self.spending.sides)
        return found

    def give_up(self, look: int, t: Floats) -> Floats:
        """The z that give a test up at a look that is at these times; at the end each that does not stop it."""
        if self.terms.futility is None:
            return np.full(t.size, -np.inf)
        whole, spending = 1 - self.terms.power, _type_two(self.terms.futility)
        given = np.flatnonzero(np.isfinite(self.lower.lower[:look]))
        before = float(spending.spent(self.lower.t[given[-1]], whole)) if given.size else 0.0
        found = sequential.lower_bound(self.lower.arriving[look], t, spending.spent(t, whole) - before, whole, self.drift)
        return np.where(t >= 1, np.inf, found)


def _type_two(family: Family) -> Spending:
    return Spending(family, _FUTILITY_SHAPES.get(family, 0.0), 1)


@functools.lru_cache(maxsize=64)
def schedule(terms: Terms, error: float, sides: Literal[1, 2]) -> Schedule:
    """The bounds of a plan at one error."""
    spending, walk = _spending(terms, sides), stops(terms, error, sides)
    if terms.futility is None:
        return Schedule(terms, spending, error, walk, sequential.drift_for(terms.power, walk), walk)
    drift, lower = sequential.meeting(walk.t, walk.upper, _type_two(terms.futility).spent(walk.t, 1 - terms.power))
    return Schedule(terms, spending, error, walk, drift, sequential.walk(walk.t, lower, walk.upper, sequential.REACH + abs(drift)))


@functools.lru_cache(maxsize=64)
def stops(terms: Terms, error: float, sides: Literal[1, 2]) -> Walk:
    """The bounds that stop a test."""
    t = np.array(terms.times)
    return sequential.spend(t, _spending(terms, sides).spent(t, error), sides)


def _spending(terms: Terms, sides: Literal[1, 2]) -> Spending:
    usual = SHAPES.get(terms.spending, (0.0,))[0]
    return Spending(terms.spending, usual if terms.shape is None else terms.shape, sides)


@functools.lru_cache(maxsize=64)
def levels(terms: Terms, sides: Literal[1, 2]) -> Levels:
    """The plan at all levels, from which p-values are read."""
    return Levels.of(_spending(terms, sides), np.array(terms.times))


@functools.lru_cache(maxsize=64)
def mixture(error: float, sides: Literal[1, 2]) -> Walk:
    """The bounds of an always valid plan with a look at each per cent of its units, which are all the same in these."""
    t = np.arange(1, LOOKS + 1) / LOOKS
    upper = mixtures.critical(t, mixtures.tuned(1, error), error, sides)
    return sequential.walk(t, -upper if sides == 2 else np.full(LOOKS, -np.inf), upper)


def priced(walk: Walk, power: float, error: float, sides: int) -> Price:
    """What a plan with these bounds costs a test that is to have this power."""
    return _price(walk, sequential.drift_for(power, walk), sequential.fixed_drift(power, error, sides))


def _price(walk: Walk, drift: float, fixed: float) -> Price:
    stops = np.add(*sequential.leaving(walk, [0.0, drift]))
    stops[-1] = 1 - stops[:-1].sum(axis=0)
    most = (drift / fixed) ** 2
    no_effect, effect = (most * float(walk.t @ column) for column in stops.T)
    return Price(most, no_effect, effect)
