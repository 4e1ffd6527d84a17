"""What customers are worth on average: numbers per customer, and how sure the mean is.

The mean value is margin times P(alive) times discounted purchases times mean amount. All customers share the parameters, so errors follow
from the slopes of the logarithm (delta method). How far what happens may lie from the mean is told by `outcomes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from opsmetrics._frames import Floats, Ints
from opsmetrics._kernels.histories import Histories, distinct
from opsmetrics.lifetime_value import laws
from opsmetrics.lifetime_value.fits import PurchaseFit
from opsmetrics.lifetime_value.fitted import deviation, log_covariance
from opsmetrics.lifetime_value.spending import GammaGammaFit, amounts_known, law_of

_BLOCK: Final = 2_048


@dataclass(frozen=True, slots=True)
class Question:
    """So many units ahead, discounted by delta per unit; the share of an amount that is kept; and the level of the intervals."""

    span: float
    delta: float
    margin: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Worth:
    """Customers by position, with slopes of logarithms in the logs of the parameters, one row each."""

    alive: Floats
    purchases: Floats
    by_buying: Floats
    value: Floats
    by_buying_discounted: Floats
    by_spending: Floats
    amount: Floats


@dataclass(frozen=True, slots=True)
class Models:
    """The two fits that a value rests on."""

    buying: PurchaseFit
    spending: GammaGammaFit


@dataclass(frozen=True, slots=True)
class Kinds:
    """Distinct histories by frequency, age and spending frequency, on which alone outcomes depend; and which of them each customer has."""

    x: Ints
    T: Floats
    spending_x: Ints
    of: Ints

    @classmethod
    def of_rows(cls, rows: Histories, z: Floats) -> Kinds:
        """The kinds of histories."""
        spending_x, _ = amounts_known(rows.x, z)
        one, of = distinct(rows.x, rows.T, spending_x)
        return cls(rows.x[one], rows.T[one], spending_x[one], of)

    def blocks(self) -> Iterator[tuple[slice, Ints]]:
        """Parts whose scratch stays small: some kinds, and the customers of these kinds."""
        order = np.argsort(self.of, kind="stable")
        ends = np.append(0, np.cumsum(np.bincount(self.of, minlength=len(self.x))))
        for begin in range(0, len(self.x), _BLOCK):
            stop = min(begin + _BLOCK, len(self.x))
            yield slice(begin, stop), order[ends[begin] : ends[stop]]

    def counts(self, buying: PurchaseFit, span: float, block: slice) -> Iterator[Floats]:
        """The distribution of purchases of some kinds, given that they are alive."""
        found: Iterator[Floats] = laws.law_of(buying).counts(self.x[block], self.T[block], span)
        return found


@dataclass(frozen=True, slots=True)
class Base:
    """Customers with their histories and mean amounts, what is asked of them, and what each is worth."""

    models: Models
    rows: Histories
    z: Floats
    question: Question
    kinds: Kinds
    worth: Worth

    @classmethod
    def of(cls, models: Models, rows: Histories, z: Floats, question: Question) -> Base:
        """Value each customer."""
        return cls(models, rows, z, question, Kinds.of_rows(rows, z), _worth(models, rows, z, question))

    def spreads(self) -> tuple[Floats, Floats]:
        """Standard errors of the logarithms of purchases and of value, customer by customer."""
        buying, spending = log_covariance(self.models.buying), log_covariance(self.models.spending)
        of_value = np.hypot(deviation(buying, self.worth.by_buying_discounted), deviation(spending, self.worth.by_spending))
        return deviation(buying, self.worth.by_buying), of_value


def _worth(models: Models, rows: Histories, z: Floats, question: Question) -> Worth:
    """Expected purchases, amount and value of each customer."""
    alive, by_alive = laws.law_of(models.buying, rows).p_alive_slopes(rows.x, rows.t_x, rows.T)
    mean, by_mean = laws.coming(models.buying, rows, question.span)
    kept, by_kept = laws.coming(models.buying, rows, question.span, question.delta)
    amount, by_spending = law_of(models.spending).expected_slopes(*amounts_known(rows.x, z))
    return Worth(
        alive=alive, purchases=alive * mean, by_buying=by_alive + by_mean, value=_times(question.margin * alive * kept, amount),
        by_buying_discounted=by_alive + by_kept, by_spending=by_spending, amount=amount,
    )  # fmt: skip


def _times(purchases: Floats, amount: Floats) -> Floats:
    """Purchases for an amount, which is infinite where it has no mean, however few they are."""
    return np.where(np.isinf(amount), np.inf, purchases * np.where(np.isinf(amount), 0.0, amount))
