"""What customers are worth: numbers per customer and per group, with how sure the mean is and how far the outcome may lie from it.

The mean value is margin times P(alive) times discounted purchases times mean amount. Two things are unknown: the parameters, which all
customers share (delta method, from the slopes of the logarithm), and what each customer does given the parameters.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from opsmetrics._frames import Floats, Ints
from opsmetrics._kernels import forecasts
from opsmetrics._kernels.histories import Histories, distinct
from opsmetrics.lifetime_value.fits import PurchaseFit
from opsmetrics.lifetime_value.fitted import around, deviation
from opsmetrics.lifetime_value.spending import GammaGammaFit, amounts_known, law_of

DRAWS: Final = 1_000
"""Outcomes drawn for each distinct history."""

_BLOCK = 2_048

_NEVER = 1e-9
"""A chance that is taken for none."""


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
    discount: Floats


@dataclass(frozen=True, slots=True)
class Models:
    """The two fits that a value rests on."""

    buying: PurchaseFit
    spending: GammaGammaFit


def worth(models: Models, rows: Histories, z: Floats, question: Question) -> Worth:
    """Expected purchases, amount and value of each customer."""
    law = models.buying._law(rows)
    alive, by_alive = law.p_alive_slopes(rows.x, rows.t_x, rows.T)
    mean, by_mean = models.buying._coming(rows, question.span)
    kept, by_kept = models.buying._coming(rows, question.span, question.delta)
    amount, by_spending = law_of(models.spending).expected_slopes(*amounts_known(rows.x, z))
    return Worth(
        alive=alive, purchases=alive * mean, by_buying=by_alive + by_mean, value=question.margin * alive * kept * amount,
        by_buying_discounted=by_alive + by_kept, by_spending=by_spending, amount=amount, discount=kept / np.maximum(mean, 1e-300),
    )  # fmt: skip


def spreads(models: Models, found: Worth) -> tuple[Floats, Floats]:
    """Standard errors of the logarithms of purchases and of value, customer by customer."""
    buying, spending = models.buying._log_covariance(), models.spending._log_covariance()
    of_value = np.hypot(deviation(buying, found.by_buying_discounted), deviation(spending, found.by_spending))
    return deviation(buying, found.by_buying), of_value


@dataclass(frozen=True, slots=True)
class Kinds:
    """Distinct histories by frequency, age and spending frequency, on which alone outcomes depend; and which of them each customer has."""

    x: Ints
    T: Floats
    spending_x: Ints
    of: Ints
    rows: Histories

    @classmethod
    def of_rows(cls, rows: Histories, z: Floats) -> Kinds:
        """The kinds of histories; with covariates each customer is his own."""
        spending_x, _ = amounts_known(rows.x, z)
        if rows.bare:
            one, of = distinct(rows.x, rows.T, spending_x)
        else:
            one = of = np.arange(len(rows))
        return cls(rows.x[one], rows.T[one], spending_x[one], of, rows.take(one))

    def blocks(self) -> Iterator[tuple[slice, Ints]]:
        """Parts whose scratch stays small: some kinds, and the customers of these kinds."""
        order = np.argsort(self.of, kind="stable")
        ends = np.append(0, np.cumsum(np.bincount(self.of, minlength=len(self.x))))
        for begin in range(0, len(self.x), _BLOCK):
            stop = min(begin + _BLOCK, len(self.x))
            yield slice(begin, stop), order[ends[begin] : ends[stop]]

    def counts(self, buying: PurchaseFit, span: float, block: slice) -> Iterator[Floats]:
        """The distribution of purchases of some kinds, given that they are alive."""
        found: Iterator[Floats] = buying._law(self.rows.rows(block)).counts(self.x[block], self.T[block], span)
        return found


def purchase_ends(models: Models, kinds: Kinds, alive: Floats, question: Question) -> Ints:
    """The ends, low and high, of the interval in which each customer's purchases will lie."""
    ends = np.empty((2, len(alive)), dtype=np.int64)
    for block, own in kinds.blocks():
        counts = kinds.counts(models.buying, question.span, block)
        ends[:, own] = forecasts.quantiles(counts, kinds.of[own] - block.start, alive[own], _levels(question))
    return ends


def value_ends(
    models: Models, kinds: Kinds, rows: Histories, found: Worth, z: Floats, question: Question, random: np.random.Generator
) -> Floats:
    """The ends, low and high, of the interval in which each customer's value will lie.

    The sum of n purchases is Gamma(p n) / Gamma(p x + q) times v + x z: a ratio of two Gammas that is drawn for each kind of history, with
    n spread as its distribution is; those who are not alive buy nothing. Each purchase is discounted as the mean one.
    """
    law, ends = law_of(models.spending), np.empty((2, len(found.alive)))
    beyond = 1 - np.array(_levels(question))
    for block, own in kinds.blocks():
        n = forecasts.draws(kinds.counts(models.buying, question.span, block), DRAWS)
        shape = law.p * kinds.spending_x[block] + law.q
        ratio = np.sort(random.standard_gamma(law.p * n) / random.standard_gamma(np.broadcast_to(shape[:, None], n.shape)), axis=1)
        target = 1 - beyond[:, None] / np.maximum(found.alive[own], 1e-300)
        place = np.clip(np.ceil(target * DRAWS) - 1, 0, DRAWS - 1).astype(np.int64)
        ends[:, own] = np.where(target > 0, ratio[kinds.of[own] - block.start, place], 0.0)
    x, known = amounts_known(rows.x, z)
    return ends * (question.margin * found.discount * (law.v + x * known))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What each customer does given the parameters: the chance to buy nothing, and the variances of purchases and of value.

    The last is infinite where amounts have no variance.
    """

    nothing: Floats
    purchases: Floats
    value: Floats


def outcomes(models: Models, kinds: Kinds, rows: Histories, found: Worth, z: Floats, question: Question) -> Outcomes:
    """Var(Y) of purchases, and of the sum of Y amounts: E(Y) E(M^2) / p + E(Y^2) E(M^2) - E(Y)^2 E(M)^2, where M is the mean amount."""
    law, square, none = law_of(models.spending), np.empty(len(kinds.x)), np.empty(len(kinds.x))
    for block, _ in kinds.blocks():
        counts = kinds.counts(models.buying, question.span, block)
        none[block] = first = next(counts)
        square[block] = forecasts.moments(itertools.chain([first], counts))[1]
    squared = found.alive * square[kinds.of]
    mean_square = law.second_moment(*amounts_known(rows.x, z))
    known = np.isfinite(mean_square)
    square_here, amount = np.where(known, mean_square, 0.0), np.where(known, found.amount, 0.0)
    spent = found.purchases * square_here / law.p + squared * square_here - (found.purchases * amount) ** 2
    spent = np.maximum(spent, 0.0) * (question.margin * found.discount) ** 2
    nothing = 1 - found.alive * (1 - none[kinds.of])
    return Outcomes(nothing, np.maximum(squared - found.purchases**2, 0.0), np.where(known, spent, np.inf))


def totals(models: Models, found: Worth, varied: Outcomes, group: Ints, size: int, level: float) -> dict[str, npt.NDArray[Any]]:
    """Sums of groups of customers with both intervals: of the mean, which the shared parameters move together, and of the outcome."""
    buying, spending = models.buying._log_covariance(), models.spending._log_covariance()

    def sums(weights: Floats) -> Floats:
        return np.asarray(np.bincount(group, weights=weights, minlength=size), dtype=np.float64)

    with np.errstate(divide="ignore"):
        silence = np.exp(sums(np.log(varied.nothing)))
    content: dict[str, npt.NDArray[Any]] = {"customers": np.bincount(group, minlength=size)}
    parts = {
        ("expected_purchases", "purchases"): (found.purchases, [(buying, found.by_buying)], varied.purchases),
        ("value", "outcome"): (found.value, [(buying, found.by_buying_discounted), (spending, found.by_spending)], varied.value),
    }
    for (mean, outcome), (values, slopes, variance) in parts.items():
        total = sums(values)
        spread = np.zeros(size)
        finite = np.where(np.isfinite(values), values, 0.0)
        for covariance, rows in slopes:
            spread = np.hypot(spread, deviation(covariance, np.stack([sums(finite * row) for row in rows])))
        relative = spread / np.maximum(sums(finite), 1e-300)
        content[mean] = total
        content[f"{mean}_low"], content[f"{mean}_high"] = around(total, relative, level)
        content[f"{outcome}_low"], content[f"{outcome}_high"] = _ends(total, sums(variance) + spread**2, silence, level)
    content["purchases_low"], content["purchases_high"] = np.floor(content["purchases_low"]), np.ceil(content["purchases_high"])
    return content


def _ends(mean: Floats, variance: Floats, silence: Floats, level: float) -> tuple[Floats, Floats]:
    """The ends of the interval of a sum with this mean and variance that is 0 with the chance `silence`.

    What is above 0 is taken to be Gamma, which is never below 0, and normal where it is narrow. A variance that is infinite tells nothing.
    """
    from scipy.special import gammaincinv

    gone = 1 - silence < _NEVER  # surely nothing
    some, told = np.where(gone, 1.0, 1 - silence), np.isfinite(variance) & np.isfinite(mean)
    own = np.where(told, mean, 0.0) / some
    spread = (np.where(told, variance, 0.0) + np.where(told, mean, 0.0) ** 2) / some - own**2
    known = (own > 0) & (spread > 0)
    shape = np.where(known, own, 1.0) ** 2 / np.where(known, spread, 1.0)
    ends = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        above = np.clip((tail - silence) / some, 0.0, 1.0)
        end = np.where(tail > silence, gammaincinv(shape, above) / shape * np.where(known, own, 0.0), 0.0)
        ends.append(np.where(gone, 0.0, np.where(known, end, np.where(variance > 0, np.nan, mean))))
    return ends[0], ends[1]


def _levels(question: Question) -> tuple[float, float]:
    return (1 - question.confidence) / 2, (1 + question.confidence) / 2
