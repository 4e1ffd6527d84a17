"""What customers will do, and how far that may lie from the mean: intervals of each customer, and of sums.

Given the parameters customers are independent, so the variances of what each does add up; what is not known of the parameters moves all of
them together. Where amounts have no variance a sum has none, and what it may come to is drawn; so it is where they have hardly one, and of
sums of a few customers, which look like no distribution that has a name.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from opsmetrics._frames import Floats, Ints
from opsmetrics._kernels import forecasts, products
from opsmetrics.lifetime_value import laws
from opsmetrics.lifetime_value.fitted import NOBODY_READS_ON, around, deviation, log_covariance
from opsmetrics.lifetime_value.spending import amounts_known, law_of
from opsmetrics.lifetime_value.worth import Base

DRAWS: Final = 1_000
"""Outcomes drawn for each distinct history, and for a sum without a variance."""

_TOGETHER: Final = 1_024
"""Customers, and sums, whose outcomes are drawn at a time."""

_FEW: Final = 30
"""Customers whose sum is drawn; that of more is spread as its mean and variance tell."""

_PARTS: Final = 64
"""Counts of each kind, evenly spread over its distribution, by which it is told how the discount goes with the count."""

_NEWTON: Final = 4

_NAMES: Final = (("expected_purchases", "purchases"), ("value", "outcome"))
"""Columns of a mean, and of the ends of what happens."""

_NEVER: Final = 1e-9
"""A chance that is taken for none."""

_NEXT_TO_NOTHING: Final = 1e-200

_FLATTEST: Final = 1e-100
"""A ratio of a squared mean and a variance, or of these, beyond which all is taken to be at the mean."""

_TAME: Final = 2.5
"""The shape p x + q of a mean amount from which its variance, infinite up to 2, tells how a sum is spread; below it is drawn."""


def purchase_ends(base: Base) -> Ints:
    """The ends, low and high, of the interval in which each customer's purchases will lie."""
    kinds, alive, ends = base.kinds, base.worth.alive, np.empty((2, len(base.rows)), dtype=np.int64)
    for block, own in kinds.blocks():
        counts = kinds.counts(base.models.buying, base.question.span, block)
        ends[:, own] = forecasts.quantiles(counts, kinds.of[own] - block.start, alive[own], _levels(base.question.confidence))
    return ends


def value_ends(base: Base, coming: Coming, random: np.random.Generator) -> Floats:
    """The ends, low and high, of the interval in which each customer's value will lie.

    The sum of n purchases is Gamma(p n) / Gamma(p x + q) times v + x z: a ratio of two Gammas that is drawn for each kind of history, with
    n spread as its distribution is; those who are not alive buy nothing.
    """
    kinds, alive, ends = base.kinds, base.worth.alive, np.empty((2, len(base.rows)))
    law, beyond, power = law_of(base.models.spending), 1 - np.array(_levels(base.question.confidence)), coming.power
    for block, own in kinds.blocks():
        n = forecasts.draws(kinds.counts(base.models.buying, base.question.span, block), DRAWS)
        shape = law.p * kinds.spending_x[block] + law.q
        ratio = _ratio(random, law.p * n, np.broadcast_to(shape[:, None], n.shape))
        ratio *= power.of_count(n, np.arange(len(n))[:, None] + block.start)
        ratio.sort(axis=1)
        target = 1 - beyond[:, None] / np.maximum(alive[own], 1e-300)
        place = np.clip(np.ceil(target * DRAWS) - 1, 0, DRAWS - 1).astype(np.int64)
        ends[:, own] = np.where(target > 0, ratio[kinds.of[own] - block.start, place], 0.0)
    return ends * _money(base)


def _money(base: Base) -> Floats:
    """What a ratio of Gammas is worth to each customer, undiscounted."""
    x, known = amounts_known(base.rows.x, base.z)
    return np.asarray(base.question.margin * (law_of(base.models.spending).v + x * known))


@dataclass(frozen=True, slots=True)
class Power:
    """What each of n purchases counts after discounting, by kind: `factor` times n^(`exponent` - 1).

    Who buys often buys longer, and so later: factor and exponent are such that the mean and the variance of the discounted count are right.
    """

    factor: Floats
    exponent: Floats

    def of_count(self, n: Ints, kind: Ints) -> Floats:
        """Of each of n purchases of some kind."""
        return np.asarray(self.factor[kind] * np.maximum(n, 1) ** (self.exponent[kind] - 1))


@dataclass(frozen=True, slots=True)
class Coming:
    """Of each kind of customer who is alive: the chance to buy nothing, E(Y^2) of purchases, E(D^2) of the discounted, E(sum of d^2)."""

    nothing: Floats
    squared: Floats
    discounted_squared: Floats
    squares: Floats
    power: Power

    @classmethod
    def of(cls, base: Base) -> Coming:
        """Walk the kinds."""
        kinds, question, law = base.kinds, base.question, laws.law_of(base.models.buying)
        given = kinds.x, kinds.T, question.span
        squared, discounted_squared = law.squared(*given, 0.0), law.squared(*given, question.delta)
        mean, kept = law.expected(*given), law.discounted(*given, question.delta)
        nothing, exponent, size = np.empty(len(kinds.x)), np.empty(len(kinds.x)), np.empty(len(kinds.x))
        narrower = np.log(discounted_squared / squared) - 2 * np.log(kept / mean)
        for block, _ in kinds.blocks():
            counts = kinds.counts(base.models.buying, question.span, block)
            nothing[block] = first = next(counts)
            exponent[block], size[block] = _exponent(forecasts.draws(itertools.chain([first], counts), _PARTS), narrower[block])
        power = Power(kept / mean * size, exponent)
        return cls(nothing, squared, discounted_squared, law.discounted(*given, 2 * question.delta), power)


def _exponent(n: Ints, narrower: Floats) -> tuple[Floats, Floats]:
    """The b for which n^b has a log(E(n^2b) / E(n^b)^2) that is by so much narrower than that of n, and E(n) / E(n^b)."""
    logs = np.log(np.maximum(n, 1))
    some = n > 0

    def moment(power: Floats, order: int) -> Floats:
        return np.asarray((some * np.exp(power[:, None] * logs) * logs**order).sum(axis=1))

    exponent = np.ones(len(n))
    most = np.maximum(moment(exponent, 0), 1e-300)
    start = np.log(np.maximum(moment(2 * exponent, 0), 1e-300)) - 2 * np.log(most)
    for _ in range(_NEWTON):
        one, two = np.maximum(moment(exponent, 0), 1e-300), np.maximum(moment(2 * exponent, 0), 1e-300)
        slope = 2 * (moment(2 * exponent, 1) / two - moment(exponent, 1) / one)
        gap = np.log(two) - 2 * np.log(one) - start - narrower
        exponent = np.clip(exponent - np.divide(gap, slope, out=np.zeros_like(gap), where=slope > 1e-6), 0.0, 2.0)
    return exponent, most / np.maximum(moment(exponent, 0), 1e-300)


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
    def of(cls, base: Base, coming: Coming) -> _Spread:
        """Var(Y) of purchases, and of the sum of discounted amounts: E(sum of d^2) E(M^2) / p + E(D^2) E(M^2) - E(D)^2 E(M)^2.

        M is the mean amount.
        """
        of, found, law = base.kinds.of, base.worth, law_of(base.models.spending)
        x, z = amounts_known(base.rows.x, base.z)
        wild = law.p * x + law.q < _TAME
        square_here, mean = np.where(wild, 0.0, law.second_moment(x, z)), np.where(wild, 0.0, found.value)
        spent = found.alive * square_here * (coming.squares / law.p + coming.discounted_squared)[of] * base.question.margin**2
        return cls(
            nothing=1 - found.alive * (1 - coming.nothing[of]),
            purchases=np.maximum(found.alive * coming.squared[of] - found.purchases**2, 0.0),
            value=np.where(wild, 0.0, np.maximum(spent - mean**2, 0.0)),
            wild=wild,
        )


# ------------------------------------------------------------------------------------------------------------------ sums


def totals(base: Base, coming: Coming, group: Ints, size: int, random: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
    """Sums of groups of customers with both intervals: of the mean, which the shared parameters move together, and of the outcome."""
    found, level = base.worth, base.question.confidence
    spread = _Spread.of(base, coming)
    buying, spending = log_covariance(base.models.buying), log_covariance(base.models.spending)

    def sums(weights: npt.NDArray[Any]) -> Floats:
        return np.asarray(np.bincount(group, weights=weights, minlength=size), dtype=np.float64)

    with np.errstate(divide="ignore"):
        silence = np.exp(sums(np.log(spread.nothing)))
    customers = np.bincount(group, minlength=size)
    few = customers[group] < _FEW
    means: list[Floats] = []
    relatives: list[Floats] = []
    ends: list[Floats] = []
    for values, variance, slopes in (
        (found.purchases, spread.purchases, [(buying, found.by_buying)]),
        (found.value, spread.value, [(buying, found.by_buying_discounted), (spending, found.by_spending)]),
    ):
        shared, finite = np.zeros(size), np.where(np.isfinite(values), values, 0.0)
        for covariance, rows in slopes:
            shared = np.hypot(shared, deviation(covariance, np.stack([sums(finite * row) for row in rows])))
        means.append(sums(values))
        relatives.append(shared / np.maximum(sums(finite), 1e-300))
        ends.append(_ends(means[-1], sums(variance), relatives[-1], silence, level))
    if (drawn := few | spread.wild).any():
        others = _drawn(base, coming, spread, drawn, group, relatives, random)
        ends = [np.where(sums(1.0 * who) > 0, own, end) for who, own, end in zip((few, drawn), others, ends, strict=True)]
    ends[0] = np.stack([np.floor(ends[0][0]), np.ceil(ends[0][1])])
    content: dict[str, npt.NDArray[Any]] = {"customers": customers}
    for (mean, outcome), total, relative, (low, high) in zip(_NAMES, means, relatives, ends, strict=True):
        content[mean] = total
        content[f"{mean}_low"], content[f"{mean}_high"] = around(total, relative, level)
        content[f"{outcome}_low"], content[f"{outcome}_high"] = low, high
    return content


def _ends(mean: Floats, variance: Floats, relative: Floats, silence: Floats, level: float) -> Floats:
    """The ends, low and high, of the interval of a sum with this mean and variance that is 0 with the chance `silence`.

    What is above 0 is taken to be Gamma, which is never below 0, and normal where it is narrow; and to be multiplied by what is not known
    of the parameters, whose logarithm has the standard error `relative`.
    """
    gone = 1 - silence < _NEVER  # surely nothing
    some, known_mean = np.where(gone, 1.0, 1 - silence), np.where(np.isfinite(mean), mean, 0.0)
    own = known_mean / some
    spread = (variance + known_mean**2) / some - own**2
    known = (own > 0) & (spread > _FLATTEST * own**2) & (own**2 > _FLATTEST * spread)
    shape = np.where(known, own, 1.0) ** 2 / np.where(known, spread, 1.0)
    ends = []
    for tail in _levels(level):
        above = np.clip((tail - silence) / some, 1e-12, 1.0)
        end = np.where(tail > silence, own * products.quantile(shape, relative, above), 0.0)
        ends.append(np.where(gone, 0.0, np.where(known, end, mean)))
    return np.stack(ends)


def _drawn(
    base: Base, coming: Coming, spread: _Spread, drawn: npt.NDArray[np.bool_], group: Ints, relatives: list[Floats],
    random: np.random.Generator,
) -> Floats:  # fmt: skip
    """The ends, low and high, of the intervals of sums of purchases and of value in which some customers are drawn.

    Of these it is drawn whether they buy, how often, and for how much. The value of the others is Gamma distributed, and what is not known
    of the parameters moves all together. Purchases are told where all of a group are drawn.
    """
    size = len(relatives[0])
    mean, variance = (np.bincount(group, np.where(drawn, 0.0, values), size)[:, None] for values in (base.worth.value, spread.value))
    some = (mean > 0) & (variance > 0)
    scale = np.where(some, variance / np.where(some, mean, 1.0), 1.0)
    chosen = [(block, own[drawn[own]]) for block, own in base.kinds.blocks()]
    kinds = [(block.start, own, _steps(base, block)) for block, own in chosen if len(own)]
    money, ends = _money(base), np.empty((2, 2, size))
    for begin in range(0, size, _TOGETHER):  # of many groups, so that the scratch stays small
        here = slice(begin, min(begin + _TOGETHER, size))
        value = np.where(some[here], random.standard_gamma((mean / scale)[here], (here.stop - begin, DRAWS)) * scale[here], mean[here])
        purchases = np.zeros_like(value)
        for first, own, steps in kinds:
            members = own[(group[own] >= begin) & (group[own] < here.stop)]
            for who in np.split(members, range(_TOGETHER, len(members), _TOGETHER)):
                customer, draw, n, ratio = _spent(base, coming, who, 1 - spread.nothing[who], steps, first, random)
                places, local = np.unique(group[who], return_inverse=True)
                cell = local[customer] * DRAWS + draw
                for sums, each in ((purchases, n), (value, ratio * money[who[customer]])):
                    sums[places - begin] += np.bincount(cell, each, len(places) * DRAWS).reshape(-1, DRAWS)
        for place, (sums, relative) in enumerate(zip((purchases, value), relatives, strict=True)):
            moved = np.clip(relative[here, None] * random.standard_normal(sums.shape), -NOBODY_READS_ON, NOBODY_READS_ON)
            ends[place][:, here] = np.quantile(sums * np.exp(moved), _levels(base.question.confidence), axis=1)
    return ends


def _steps(base: Base, block: slice) -> Floats:
    """The distribution functions of the numbers of purchases from 1 on, one kind above the other, so that one search answers for all."""
    counts = forecasts.positive(base.kinds.counts(base.models.buying, base.question.span, block))
    return counts + np.arange(len(counts))[:, None]


def _spent(
    base: Base, coming: Coming, who: Ints, chance: Floats, steps: Floats, first: int, random: np.random.Generator
) -> tuple[Ints, Ints, Ints, Floats]:
    """The draws in which some customers buy: which of them, in which draw, how often, and the discounted ratio of Gammas of what he spends.

    `steps` are those of `_steps` of the kinds from `first` on.
    """
    law, kind = law_of(base.models.spending), base.kinds.of[who] - first
    level = random.random((len(who), DRAWS))
    customer, draw = np.nonzero(level < chance[:, None])
    row, within = kind[customer], level[customer, draw] / chance[customer]
    most = steps.shape[1]
    n = np.minimum(np.searchsorted(steps.ravel(), row + within) - row * most + 1, most)
    shape = (law.p * base.kinds.spending_x[base.kinds.of[who]] + law.q)[customer]
    return customer, draw, n, _ratio(random, law.p * n, shape) * coming.power.of_count(n, row + first)


def _ratio(random: np.random.Generator, above: npt.NDArray[Any], below: npt.NDArray[Any]) -> Floats:
    """A draw of one Gamma over another; of tiny shapes the latter would come out as 0."""
    return np.asarray(random.standard_gamma(above) / np.maximum(random.standard_gamma(below), _NEXT_TO_NOTHING))


def _levels(level: float) -> tuple[float, float]:
    return (1 - level) / 2, (1 + level) / 2
