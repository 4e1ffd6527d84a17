"""What customers will do, and how far that may lie from the mean: intervals of each customer, and of sums.

Given the parameters customers are independent, so the variances of what each does add up; what is not known of the parameters moves all of
them together. Where amounts have no variance a sum has none, and what it may come to is drawn; so it is where they have hardly one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from opsmetrics._frames import Floats, Ints
from opsmetrics._kernels import forecasts
from opsmetrics.lifetime_value.fitted import around, deviation, log_covariance
from opsmetrics.lifetime_value.spending import amounts_known, law_of
from opsmetrics.lifetime_value.worth import Base

DRAWS: Final = 1_000
"""Outcomes drawn for each distinct history, and for a sum without a variance."""

_TOGETHER: Final = 1_024
"""Customers, and sums, whose outcomes are drawn at a time."""

_NEVER: Final = 1e-9
"""A chance that is taken for none."""

_NEXT_TO_NOTHING: Final = 1e-200

_TAME: Final = 2.5
"""The shape p x + q of a mean amount from which its variance, infinite up to 2, tells how a sum is spread; below it is drawn."""


def purchase_ends(base: Base) -> Ints:
    """The ends, low and high, of the interval in which each customer's purchases will lie."""
    kinds, alive, ends = base.kinds, base.worth.alive, np.empty((2, len(base.rows)), dtype=np.int64)
    for block, own in kinds.blocks():
        counts = kinds.counts(base.models.buying, base.question.span, block)
        ends[:, own] = forecasts.quantiles(counts, kinds.of[own] - block.start, alive[own], _levels(base.question.confidence))
    return ends


def value_ends(base: Base, random: np.random.Generator) -> Floats:
    """The ends, low and high, of the interval in which each customer's value will lie.

    The sum of n purchases is Gamma(p n) / Gamma(p x + q) times v + x z: a ratio of two Gammas that is drawn for each kind of history, with
    n spread as its distribution is; those who are not alive buy nothing. Each purchase is discounted as the mean one.
    """
    kinds, alive, ends = base.kinds, base.worth.alive, np.empty((2, len(base.rows)))
    law, beyond = law_of(base.models.spending), 1 - np.array(_levels(base.question.confidence))
    for block, own in kinds.blocks():
        n = forecasts.draws(kinds.counts(base.models.buying, base.question.span, block), DRAWS)
        shape = law.p * kinds.spending_x[block] + law.q
        ratio = np.sort(_ratio(random, law.p * n, np.broadcast_to(shape[:, None], n.shape)), axis=1)
        target = 1 - beyond[:, None] / np.maximum(alive[own], 1e-300)
        place = np.clip(np.ceil(target * DRAWS) - 1, 0, DRAWS - 1).astype(np.int64)
        ends[:, own] = np.where(target > 0, ratio[kinds.of[own] - block.start, place], 0.0)
    return ends * _money(base)


def _money(base: Base) -> Floats:
    """What a ratio of Gammas is worth to each customer."""
    x, known = amounts_known(base.rows.x, base.z)
    return np.asarray(base.question.margin * base.worth.discount * (law_of(base.models.spending).v + x * known))


@dataclass(frozen=True, slots=True)
class _Spread:
    """What each customer does given the parameters: the chance to buy nothing, and the variances of purchases and of value.

    Whose amounts have no variance to go by is `wild`.
    """

    nothing: Floats
    purchases: Floats
    value: Floats
    wild: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, base: Base) -> _Spread:
        """Var(Y) of purchases, and of the sum of Y amounts: E(Y) E(M^2) / p + E(Y^2) E(M^2) - E(Y)^2 E(M)^2, M being the mean amount."""
        kinds, found, law = base.kinds, base.worth, law_of(base.models.spending)
        square, none = np.empty(len(kinds.x)), np.empty(len(kinds.x))
        for block, _ in kinds.blocks():
            counts = kinds.counts(base.models.buying, base.question.span, block)
            none[block] = first = next(counts)
            square[block] = forecasts.moments(itertools.chain([first], counts))[1]
        squared = found.alive * square[kinds.of]
        x, z = amounts_known(base.rows.x, base.z)
        wild = law.p * x + law.q < _TAME
        square_here, amount = np.where(wild, 0.0, law.second_moment(x, z)), np.where(wild, 0.0, found.amount)
        spent = found.purchases * square_here / law.p + squared * square_here - (found.purchases * amount) ** 2
        spent = np.maximum(spent, 0.0) * (base.question.margin * found.discount) ** 2
        nothing = 1 - found.alive * (1 - none[kinds.of])
        return cls(nothing, np.maximum(squared - found.purchases**2, 0.0), np.where(wild, 0.0, spent), wild)


# ------------------------------------------------------------------------------------------------------------------ sums


def totals(base: Base, group: Ints, size: int, random: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
    """Sums of groups of customers with both intervals: of the mean, which the shared parameters move together, and of the outcome."""
    found, spread, level = base.worth, _Spread.of(base), base.question.confidence
    buying, spending = log_covariance(base.models.buying), log_covariance(base.models.spending)

    def sums(weights: Floats) -> Floats:
        return np.asarray(np.bincount(group, weights=weights, minlength=size), dtype=np.float64)

    with np.errstate(divide="ignore"):
        silence = np.exp(sums(np.log(spread.nothing)))
    content: dict[str, npt.NDArray[Any]] = {"customers": np.bincount(group, minlength=size)}
    parts = {
        ("expected_purchases", "purchases"): (found.purchases, [(buying, found.by_buying)], spread.purchases),
        ("value", "outcome"): (found.value, [(buying, found.by_buying_discounted), (spending, found.by_spending)], spread.value),
    }
    for (mean, outcome), (values, slopes, variance) in parts.items():
        total, shared = sums(values), np.zeros(size)
        finite = np.where(np.isfinite(values), values, 0.0)
        for covariance, rows in slopes:
            shared = np.hypot(shared, deviation(covariance, np.stack([sums(finite * row) for row in rows])))
        relative = shared / np.maximum(sums(finite), 1e-300)
        content[mean] = total
        content[f"{mean}_low"], content[f"{mean}_high"] = around(total, relative, level)
        ends = _ends(total, sums(variance) + shared**2, silence, level)
        if outcome == "outcome" and (wild := sums(spread.wild.astype(np.float64)) > 0).any():
            ends = np.where(wild, _drawn(base, spread, group, relative, random), ends)
        content[f"{outcome}_low"], content[f"{outcome}_high"] = ends
    content["purchases_low"], content["purchases_high"] = np.floor(content["purchases_low"]), np.ceil(content["purchases_high"])
    return content


def _ends(mean: Floats, variance: Floats, silence: Floats, level: float) -> Floats:
    """The ends, low and high, of the interval of a sum with this mean and variance that is 0 with the chance `silence`.

    What is above 0 is taken to be Gamma, which is never below 0, and normal where it is narrow.
    """
    from scipy.special import gammaincinv

    gone = 1 - silence < _NEVER  # surely nothing
    some, known_mean = np.where(gone, 1.0, 1 - silence), np.where(np.isfinite(mean), mean, 0.0)
    own = known_mean / some
    spread = (variance + known_mean**2) / some - own**2
    known = (own > 0) & (spread > 0)
    shape = np.where(known, own, 1.0) ** 2 / np.where(known, spread, 1.0)
    ends = []
    for tail in _levels(level):
        above = np.clip((tail - silence) / some, 0.0, 1.0)
        end = np.where(tail > silence, gammaincinv(shape, above) / shape * np.where(known, own, 0.0), 0.0)
        ends.append(np.where(gone, 0.0, np.where(known, end, np.where(variance > 0, np.nan, mean))))
    return np.stack(ends)


def _drawn(base: Base, spread: _Spread, group: Ints, relative: Floats, random: np.random.Generator) -> Floats:
    """The ends, low and high, of the interval of sums in which some values have no variance to go by.

    Who has none is drawn: whether he buys, how often, and for how much. The sum of the others is Gamma distributed, and what is not known
    of the parameters moves both together.
    """
    size = len(relative)
    mean, variance = (np.bincount(group, np.where(spread.wild, 0.0, values), size)[:, None] for values in (base.worth.value, spread.value))
    some = (mean > 0) & (variance > 0)
    scale = np.where(some, variance / np.where(some, mean, 1.0), 1.0)
    wild = [(block, own[spread.wild[own]]) for block, own in base.kinds.blocks()]
    kinds = [(block.start, own, _steps(base, block)) for block, own in wild if len(own)]
    money, ends = _money(base), np.empty((2, size))
    for begin in range(0, size, _TOGETHER):  # of many groups, so that the scratch stays small
        here = slice(begin, min(begin + _TOGETHER, size))
        sums = np.where(some[here], random.standard_gamma((mean / scale)[here], (here.stop - begin, DRAWS)) * scale[here], mean[here])
        for first, own, steps in kinds:
            members = own[(group[own] >= begin) & (group[own] < here.stop)]
            for who in np.split(members, range(_TOGETHER, len(members), _TOGETHER)):
                customer, draw, ratio = _spent(base, who, 1 - spread.nothing[who], steps, first, random)
                places, local = np.unique(group[who], return_inverse=True)
                spent = np.bincount(local[customer] * DRAWS + draw, ratio * money[who[customer]], len(places) * DRAWS)
                sums[places - begin] += spent.reshape(-1, DRAWS)
        sums *= np.exp(relative[here, None] * random.standard_normal(sums.shape))
        ends[:, here] = np.quantile(sums, _levels(base.question.confidence), axis=1)
    return ends


def _steps(base: Base, block: slice) -> Floats:
    """The distribution functions of the numbers of purchases from 1 on, one kind above the other, so that one search answers for all."""
    counts = forecasts.positive(base.kinds.counts(base.models.buying, base.question.span, block))
    return counts + np.arange(len(counts))[:, None]


def _spent(base: Base, who: Ints, chance: Floats, steps: Floats, first: int, random: np.random.Generator) -> tuple[Ints, Ints, Floats]:
    """The draws in which some customers buy: which of them, in which draw, and the ratio of Gammas of what each spends.

    `steps` are those of `_steps` of the kinds from `first` on.
    """
    law, kind = law_of(base.models.spending), base.kinds.of[who] - first
    level = random.random((len(who), DRAWS))
    customer, draw = np.nonzero(level < chance[:, None])
    row, within = kind[customer], level[customer, draw] / chance[customer]
    most = steps.shape[1]
    n = np.minimum(np.searchsorted(steps.ravel(), row + within) - row * most + 1, most)
    shape = (law.p * base.kinds.spending_x[base.kinds.of[who]] + law.q)[customer]
    return customer, draw, _ratio(random, law.p * n, shape)


def _ratio(random: np.random.Generator, above: npt.NDArray[Any], below: npt.NDArray[Any]) -> Floats:
    """A draw of one Gamma over another; of tiny shapes the latter would come out as 0."""
    return np.asarray(random.standard_gamma(above) / np.maximum(random.standard_gamma(below), _NEXT_TO_NOTHING))


def _levels(level: float) -> tuple[float, float]:
    return (1 - level) / 2, (1 + level) / 2
