"""Rows folded to cells: what each customer did in each period in which he did anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import grouping

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_DENSE = 4
"""A table of all customers and periods is quicker than a sort as long as it has no more than so many places per row."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Parallel arrays over distinct pairs of customer (code) and period (number), by customer and then by period.

    `orders` counts purchases (rows, where money is not known), `money` is net, in millionths. A cell of refunds alone has no orders.
    """

    customer: Ints
    period: Ints
    orders: Ints
    money: Ints | None = None

    def __len__(self) -> int:
        return len(self.customer)

    def take(self, chosen: Bools | Ints) -> Cells:
        """Some of the cells."""
        money = None if self.money is None else self.money[chosen]
        return replace(self, customer=self.customer[chosen], period=self.period[chosen], orders=self.orders[chosen], money=money)

    @property
    def active(self) -> Cells:
        """The cells in which something was bought."""
        return self if (bought := self.orders > 0).all() else self.take(bought)

    @property
    def first(self) -> Bools:
        """Which cells are the first of their customer."""
        return changes(self.customer)

    @property
    def last(self) -> Bools:
        """Which cells are the last of their customer."""
        found = np.ones(len(self), dtype=np.bool_)
        found[:-1] = self.customer[1:] != self.customer[:-1]
        return found

    @property
    def follows(self) -> Bools:
        """Which cells come in the period right after their customer's cell before."""
        found = np.zeros(len(self), dtype=np.bool_)
        found[1:] = (self.customer[1:] == self.customer[:-1]) & (self.period[1:] == self.period[:-1] + 1)
        return found


def changes(values: npt.NDArray[Any]) -> Bools:
    """Where a run of equal values begins."""
    found = np.ones(len(values), dtype=np.bool_)
    found[1:] = values[1:] != values[:-1]
    return found


def cells(codes: Ints, periods: Ints, customers: int, units: Ints | None = None) -> Cells:
    """Cells of rows. An amount below zero is a refund, which is money but no order."""
    if len(codes) == 0:
        none = np.empty(0, dtype=np.int64)
        return Cells(none, none, none, None if units is None else none)
    low, width = int(periods.min()), int(periods.max()) - int(periods.min()) + 1
    key = codes * width + (periods - low)
    bought = None if units is None or units.min() >= 0 else units >= 0
    if customers * width <= _DENSE * len(codes):
        size, slot = customers * width, key
        rows = np.bincount(slot, minlength=size)
        place = np.flatnonzero(rows)
    else:
        order, slot, place = grouping.together(key)
        size, rows = len(place), np.bincount(slot)
        units = None if units is None else units[order]
        bought = None if bought is None else bought[order]
    orders = rows if bought is None else np.bincount(slot[bought], minlength=size)
    money = None if units is None else grouping.sums(slot, size, units)
    found = Cells(place // width, place % width + low, orders, money)
    if size == len(place):
        return found
    return replace(found, orders=orders[place], money=None if money is None else money[place])
