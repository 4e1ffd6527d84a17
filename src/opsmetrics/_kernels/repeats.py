"""Purchases folded to what buy-till-you-die models ask of each customer: the units of time with a purchase, the first, the last, the money.

A unit is the number of a day, a week, a month. Purchases of one customer in one unit are one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import grouping
from opsmetrics._kernels.cells import changes

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Spans:
    """Parallel arrays over customers: the number of units with a purchase, the first and the last of them (0 where there is none)."""

    units: Ints
    first: Ints
    last: Ints

    def take(self, positions: Ints) -> Self:
        """Customers by position."""
        return type(self)(*(getattr(self, field.name)[positions] for field in fields(self)))


def concatenate(parts: list[Spans]) -> Spans:
    """Disjoint customers, side by side."""
    return Spans(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Spans)))


@dataclass(frozen=True, slots=True)
class Orders:
    """Parallel arrays over orders: the customer's code (of so many `customers`), the unit, and the money, if it is known.

    An amount of zero or more is a purchase, a negative one a refund. Orders that stand by customer are folded several times as fast.
    """

    codes: Ints
    units: Ints
    money: Ints | None
    customers: int

    def take(self, chosen: Bools) -> Orders:
        """Some of the orders."""
        money = None if self.money is None else self.money[chosen]
        return replace(self, codes=self.codes[chosen], units=self.units[chosen], money=money)

    @property
    def refunds(self) -> Bools | None:
        """Which orders are refunds; None where none is."""
        return None if self.money is None or self.money.min(initial=0) >= 0 else self.money < 0

    @property
    def purchases(self) -> Orders:
        """The orders that are no refunds."""
        return self if (refunds := self.refunds) is None else self.take(~refunds)

    def split(self, unit: int) -> tuple[Orders, Orders]:
        """The orders up to the end of a unit, and those after it."""
        now = self.units <= unit
        return self.take(now), self.take(~now)

    @property
    def by_customer(self) -> bool:
        """Whether the orders stand by customer, in the order of their codes."""
        return bool(np.all(self.codes[1:] >= self.codes[:-1]))

    def spans(self) -> Spans:
        """The units in which each customer bought.

        Customer and unit are packed in one integer, and nothing else is sorted: a sort that moves nothing along is several times as fast.
        Where orders stand by customer, a sort that looks for runs has little to do, and nothing where they stand in time as well.
        """
        if len(self.codes) == 0:
            return Spans(*np.zeros((3, self.customers), dtype=np.int64))
        low, high = int(self.units.min()), int(self.units.max())
        bits = (high - low).bit_length()
        packed = self.codes << bits
        packed |= self.units - low
        packed.sort(kind="stable" if self.by_customer else None)
        packed = packed[changes(packed)]
        counts = np.bincount(packed >> bits, minlength=self.customers)
        after, some = np.cumsum(counts), counts > 0
        first, last = np.zeros((2, self.customers), dtype=np.int64)
        first[some] = (packed[(after - counts)[some]] & ((1 << bits) - 1)) + low
        last[some] = (packed[after[some] - 1] & ((1 << bits) - 1)) + low
        return Spans(counts, first, last)

    def total(self) -> Ints:
        """The money of each customer."""
        return np.zeros(self.customers, dtype=np.int64) if self.money is None else self._sums(self.money)

    def total_after(self, first: Ints) -> Ints:
        """The money of each customer in the units after his first."""
        if self.money is None:
            return self.total()
        return self._sums(self.money * (self.units > first[self.codes]))

    def _sums(self, values: Ints) -> Ints:
        """Sums per customer; of orders that stand by customer without keeping other threads waiting."""
        if len(values) == 0 or not self.by_customer:
            return grouping.sums(self.codes, self.customers, values)
        starts = np.flatnonzero(changes(self.codes))
        found = np.zeros(self.customers, dtype=np.int64)
        found[self.codes[starts]] = np.add.reduceat(values, starts)
        return found
