"""Growth accounting: how many customers came, stayed, left and came back, period by period, and what their money did.

J. Hsu (2015), Diligence at Social Capital, part 1: accounting for user growth; part 2: accounting for revenue growth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import grouping
from opsmetrics._kernels.cells import Cells

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CUSTOMERS = ("active", "new", "retained")
MONEY = ("revenue", "new", "retained", "expansion", "contraction", "late_refunds")
"""What is counted of customers, and of money; the rest of the accounts follows from these."""


def tally(cells: Cells, group: Ints, groups: int, base: int, size: int) -> Ints:
    """Counts by measure, group and period, the periods beginning with number `base`; `group` has the group of each customer.

    Of a customer active in two periods that follow one another, min(before, now) is retained money, what is more now is expansion, and what
    is less is contraction.
    """
    active = cells.active
    places = groups * size

    def slots(of: Cells) -> Ints:
        return group[of.customer] * size + of.period - base

    slot, first, follows = slots(active), active.first, active.follows
    counts = [slot, slot[first], slot[follows]]
    found = [np.bincount(chosen, minlength=places) for chosen in counts]
    if cells.money is not None and active.money is not None:
        now = active.money[follows]
        before = active.money[np.flatnonzero(follows) - 1]
        kept = np.minimum(before, now)
        refunds = cells.orders == 0
        found += [
            grouping.sums(slot, places, active.money),
            grouping.sums(slot[first], places, active.money[first]),
            grouping.sums(slot[follows], places, kept),
            grouping.sums(slot[follows], places, now - kept),
            grouping.sums(slot[follows], places, before - kept),
            grouping.sums(slots(cells.take(refunds)), places, cells.money[refunds]),
        ]
    return np.stack(found).reshape(len(found), groups, size)


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of customers by group and period; `before` is what the period before had, nothing before the first."""

    active: Ints
    new: Ints
    retained: Ints

    @property
    def before(self) -> Ints:
        """Customers active in the period before."""
        return shifted(self.active)

    @property
    def resurrected(self) -> Ints:
        """Seen before, but not in the period before."""
        return self.active - self.new - self.retained

    @property
    def churned(self) -> Ints:
        """Active in the period before, and not in this one."""
        return self.before - self.retained

    @property
    def silent(self) -> Ints:
        """All seen before who are not active."""
        return np.cumsum(self.new, axis=-1) - self.active

    @property
    def dormant(self) -> Ints:
        """Silent in this period and in the one before."""
        return self.silent - self.churned


@dataclass(frozen=True, slots=True)
class Money:
    """The accounts of money by group and period, in millionths."""

    revenue: Ints
    new: Ints
    retained: Ints
    expansion: Ints
    contraction: Ints
    late_refunds: Ints

    @property
    def before(self) -> Ints:
        """Revenue of the period before."""
        return shifted(self.revenue)

    @property
    def resurrected(self) -> Ints:
        """Money of customers seen before, but not in the period before."""
        return self.revenue - self.new - self.retained - self.expansion

    @property
    def churned(self) -> Ints:
        """What customers who are gone had spent in the period before."""
        return self.before - self.retained - self.contraction


def shifted(values: Ints) -> Ints:
    """Each period's value in the period after it."""
    found = np.zeros_like(values)
    found[..., 1:] = values[..., :-1]
    return found
