"""Shops that were simulated with known parameters, fitted and looked ahead: do intervals hold what they promise, are predictions unbiased?

Each shop is fitted, and what its customers do in the following half year is held against what was predicted: parameters against their
intervals; purchases of all customers, and of those with like histories, against the sum of expectations; what all bring, and what each
brings, against the intervals of the outcome, and beside them that of the mean, which does not tell the outcome; and whole distributions of
purchases, by their probability integral transform.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import opsmetrics as om
from benchmarks import processes, simulated_customers
from benchmarks.simulated_customers import Floats, Simulated
from opsmetrics._kernels import forecasts
from opsmetrics._kernels.histories import Histories
from opsmetrics.lifetime_value import outcomes
from opsmetrics.lifetime_value.laws import law_of
from opsmetrics.lifetime_value.worth import Base, Models, Question

FITS, REPLICATIONS, CUSTOMERS, SPAN = 5_000, 1_000, 1_500, 180.0
"""Shops that are fitted, to tell how often parameters lie in their intervals; so many of them look ahead as well."""
CONFIDENCE = 0.9
"""Of the intervals of what customers bring."""
AGES = np.arange(180.0, 541.0, 30.0)
"""Days since the first purchase; customers first bought on one of 13 days."""
BANDS = {"0": (0, 0), "1": (1, 1), "2-3": (2, 3), "4+": (4, 10**9)}
BINS = 10


@dataclass(frozen=True, slots=True)
class Truth:
    """A model before it is fitted, how its customers are simulated, and the parameters they have."""

    spec: Callable[[], Any]
    made: Callable[..., Simulated]
    parameters: Mapping[str, float]


TRUTHS = {
    "BG/NBD": Truth(om.BetaGeo, simulated_customers.bg_nbd, {"r": 0.8, "alpha": 40.0, "a": 0.8, "b": 2.5}),
    "MBG/NBD": Truth(om.ModifiedBetaGeo, simulated_customers.mbg_nbd, {"r": 0.8, "alpha": 40.0, "a": 0.8, "b": 2.5}),
    "Pareto/NBD": Truth(om.ParetoNBD, simulated_customers.pareto_nbd, {"r": 0.8, "alpha": 40.0, "s": 0.6, "beta": 80.0}),
}
AMOUNTS = {"p": 6.25, "q": 3.75, "v": 15.5}


@dataclass(frozen=True, slots=True)
class Shop:
    """A simulated shop: what lay in its interval, and how purchases compare.

    Purchases predicted and made, of all and by band; whether the totals, and which share of customers, lay in the intervals named; the
    transform of purchases in bins; and whether the model of buying came with a sentence.
    """

    predicted: Floats
    actual: Floats
    totals: dict[tuple[str, str], float]
    each: dict[str, float]
    transform: Floats
    told: bool


@dataclass(frozen=True, slots=True)
class Fitted:
    """A shop that was simulated and fitted: its customers, what each spent per purchase and later, and the models."""

    made: Simulated
    z: Floats
    spent: Floats
    models: Models
    rng: np.random.Generator


def fitted(task: tuple[str, int, int]) -> Fitted:
    """Simulate so many customers of a model, and fit them."""
    model, customers, seed = task
    truth, rng = TRUTHS[model], np.random.default_rng([*model.encode(), seed])
    made = truth.made(rng, rng.choice(AGES, customers), SPAN, **truth.parameters)
    z, mean = simulated_customers.gamma_gamma(rng, made.x, **AMOUNTS)
    spent = rng.gamma(AMOUNTS["p"] * made.later) * mean / AMOUNTS["p"]
    rows = {"frequency": made.x, "recency": made.t_x, "T": made.T, "monetary_value": z}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)
        return Fitted(made, z, spent, Models(truth.spec().fit(rows), om.GammaGamma().fit(rows)), rng)


def held(task: tuple[str, int, int]) -> dict[str, bool]:
    """Whether each parameter lies in its interval of 95 %."""
    models, parameters = fitted(task).models, TRUTHS[task[0]].parameters
    return _held(models.buying, parameters) | _held(models.spending, AMOUNTS)


def shop(task: tuple[str, int, int]) -> Shop:
    """Simulate so many customers of a model, fit them, and look ahead."""
    one = fitted(task)
    made, z, spent, models, rng = one.made, one.z, one.spent, one.models, one.rng
    base = Base.of(models, Histories.of(*made.history), z, Question(SPAN, 0.0, 1.0, CONFIDENCE))
    found, kinds = base.worth, base.kinds
    coming = outcomes.Coming.of(base)
    sums = outcomes.totals(base, coming, np.zeros(len(z), dtype=np.int64), 1, rng)
    bands = [np.ones(len(z), dtype=np.bool_), *((low <= made.x) & (made.x <= high) for low, high in BANDS.values())]
    low, high = forecasts.pit(law_of(models.buying).counts(kinds.x, kinds.T, SPAN), kinds.of, found.alive, made.later)
    return Shop(
        predicted=np.array([found.purchases[own].sum() for own in bands]),
        actual=np.array([made.later[own].sum() for own in bands], dtype=np.float64),
        totals={
            ("all purchases", "outcome"): _inside(made.later.sum(), sums["purchases_low"], sums["purchases_high"]),
            ("all purchases", "mean"): _inside(made.later.sum(), sums["expected_purchases_low"], sums["expected_purchases_high"]),
            ("all value", "outcome"): _inside(spent.sum(), sums["outcome_low"], sums["outcome_high"]),
            ("all value", "mean"): _inside(spent.sum(), sums["value_low"], sums["value_high"]),
        },
        each={
            "purchases": _inside(made.later, *outcomes.purchase_ends(base)),
            "value": _inside(spent, *outcomes.value_ends(base, coming, rng)),
        },
        transform=forecasts.pit_histogram(low, high, BINS),
        told=bool(models.buying.warnings),
    )


def _held(fit: Any, parameters: Mapping[str, float]) -> dict[str, bool]:
    table = fit.summary.set_index("parameter")
    return {name: bool(table["low"][name] <= true <= table["high"][name]) for name, true in parameters.items()}


def _inside(actual: Any, low: Any, high: Any) -> float:
    """The share of what happened that lies between the ends."""
    return float(np.mean((low <= actual) & (actual <= high)))


def shops(model: str, replications: int, customers: int = CUSTOMERS) -> list[tuple[str, int, int]]:
    """So many shops of a model, each with its seed."""
    return [(model, customers, seed) for seed in range(replications)]


def error(share: float, replications: int) -> float:
    """The Monte Carlo error of a share."""
    return float((share * (1 - share) / replications) ** 0.5)


def covered(found: Sequence[Mapping[str, bool]], names: Iterable[str]) -> dict[str, float]:
    """The share of shops in which each parameter lay in its interval."""
    return {name: float(np.mean([one[name] for one in found])) for name in names}


def biases(found: Sequence[Shop]) -> dict[str, tuple[float, float]]:
    """Purchases predicted over those made, less 1, and the same in standard errors: of all, and by purchases so far."""
    off = np.array([one.predicted - one.actual for one in found])
    actual = np.mean([one.actual for one in found], axis=0)
    errors = off.std(axis=0, ddof=1) / len(found) ** 0.5
    return dict(zip(["all", *BANDS], zip(off.mean(axis=0) / actual, off.mean(axis=0) / errors, strict=True), strict=True))


def kept(found: Sequence[Mapping[str, bool]], names: Iterable[str]) -> bool:
    """Print how often parameters lay in their intervals, and tell whether that is as often as promised."""
    met = []
    for name, share in covered(found, names).items():
        told = f"{share:.1%} +- {error(0.95, len(found)):.1%}"
        met.append(line(f"{name} in its interval of 95 % (wanted: 93 to 97 %)", told, 0.93 <= share <= 0.97))
    return all(met)


def report(found: Sequence[Shop]) -> bool:
    """Print what is not of parameters, and tell whether all is as promised."""
    met = []
    for band, (relative, errors) in biases(found).items():
        told = f"{relative:+.2%} ({errors:+.1f} standard errors)"
        met.append(line(f"purchases predicted / made - 1, frequency {band}", told, abs(errors) <= 3))
    for of in ("all purchases", "all value"):
        outcome, mean = (float(np.mean([one.totals[of, kind] for one in found])) for kind in ("outcome", "mean"))
        told = f"{outcome:.1%} +- {error(CONFIDENCE, len(found)):.1%} (of the mean alone {mean:.1%})"
        met.append(line(f"{of} in the {CONFIDENCE:.0%} interval of the outcome", told, abs(outcome - CONFIDENCE) <= 0.03))
    for of in ("purchases", "value"):
        share = float(np.mean([one.each[of] for one in found]))
        met.append(line(f"{of} of a customer in that of the outcome", f"{share:.1%} (counts jump)", share >= CONFIDENCE - 0.01))
    flat = np.mean([one.transform for one in found], axis=0)
    good = bool(np.abs(flat - 1 / BINS).max() <= 0.01)
    return all([*met, line("probability integral transform, tenths", f"{flat.min():.3f} .. {flat.max():.3f}", good)])


def line(what: str, told: str, good: bool) -> bool:
    """Print what was found, and whether it is good."""
    print(f"    {what:<52} {told:<38} {'met' if good else 'MISSED'}")
    return good


def main(replications: int = REPLICATIONS, customers: int = CUSTOMERS, fits: int = FITS) -> bool:
    """Run, print, and tell whether every promise is kept."""
    print(f"Recovery of lifetime value: {fits:,} shops of {customers:,} customers by model, {replications:,} of them {SPAN:g} days ahead")
    met, everything = [], []
    for model, truth in TRUTHS.items():
        inside = processes.side_by_side(held, shops(model, fits, customers))
        found = processes.side_by_side(shop, shops(model, replications, customers))
        print(f"  {model}: {sum(one.told for one in found)} of {len(found):,} fits with a sentence")
        met += [kept(inside, truth.parameters), report(found)]
        everything += inside
    print(f"  Gamma-Gamma: {len(everything):,} shops")
    return all([*met, kept(everything, AMOUNTS)])


if __name__ == "__main__":
    main()
