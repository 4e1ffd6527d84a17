"""What becomes of tests that are looked at before they are over: their errors, their price, and what they say when they stop.

First by integration, for normal statistics, without Monte Carlo error. Then with units as shops have them, of which all that the library
says at each look comes from the statistics so far; a test ends at its first significant look, or at the last. `--repeats N` sets how many.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

import opsmetrics as om
from benchmarks import experiments_errors, processes
from benchmarks import simulated_experiments as simulated
from benchmarks.experiments_errors import ALPHA, error
from benchmarks.simulated_experiments import Floats, Ints, Population, Sums
from opsmetrics._kernels import mixtures, sequential
from opsmetrics.experiments import splits
from opsmetrics.experiments.metrics import Metric

REPEATS, LOOKS, MANY = 1_000, 20, 1_000
MANY_REPEATS = 5
"""One in so many tests is looked at a thousand times as well."""
ROWS = 50_000
"""Looks that are asked about in one call."""
POWER = 0.8
Z, BAYES_Z = 1.959963984540054, 1.6448536269514722
"""Of a test at 5 %; and of a chance of 95 % to be better, or worse, under a flat prior, which is a test at 10 %."""

NAIVE, BAYES, OBRIEN, POCOCK, ALWAYS = "p < 0.05", "P(better) > 95 %", "O'Brien-Fleming", "Pocock", "always valid"
LEVELS: Final = (0.05, 0.01, 0.001)
PROTECTED: Final = (OBRIEN, POCOCK, ALWAYS)
STRAIGHT: Final = {f"{rule}, Hall": rule for rule in (OBRIEN, POCOCK)}
"""The same with the correction for skewness, for means."""
Bools = npt.NDArray[np.bool_]


def design(rule: str, looks: int, units: int) -> om.GroupSequential | om.AlwaysValid | None:
    """The design of a rule; the naive ones have none."""
    rule = STRAIGHT.get(rule, rule)
    if rule == ALWAYS:
        return om.AlwaysValid(units)
    if rule in (OBRIEN, POCOCK):
        return om.GroupSequential(looks, planned_n=units, spending="pocock" if rule == POCOCK else "obrien-fleming")
    return None


# ----------------------------------------------------------------------------------------------------- by integration


@dataclass(frozen=True, slots=True)
class Exact:
    """Of a rule: the chance to stop without an effect and with one, the share of the units used then, the last bound, and the inflation."""

    level: float
    power: float
    used_none: float
    used: float
    last: float
    inflation: float


def bounds(rule: str, looks: int) -> Floats:
    """The z that ends the test at each look."""
    if rule in (NAIVE, BAYES):
        return np.full(looks, Z if rule == NAIVE else BAYES_Z)
    if rule == ALWAYS:
        t = np.arange(1, looks + 1) / looks
        return mixtures.critical(t, mixtures.tuned(1, ALPHA), ALPHA, 2)
    planned: Any = design(rule, looks, 10**6)
    return np.asarray(planned.boundaries().table["bound"])


def integrated(rule: str, looks: int) -> Exact:
    """With the effect that a single look finds with 80 %."""
    t, bound = np.arange(1, looks + 1) / looks, bounds(rule, looks)
    drift = sequential.fixed_drift(POWER, ALPHA, 2)
    stops = np.add(*sequential.exits(t, -bound, bound, [0.0, drift]))
    chance = stops.sum(axis=0)
    used = t @ stops + 1 - chance
    needed = sequential.drift_for(POWER, sequential.walk(t, -bound, bound)) if rule in PROTECTED else math.nan
    return Exact(float(chance[0]), float(chance[1]), float(used[0]), float(used[1]), float(bound[-1]), (needed / drift) ** 2)


def report_integrated(looks: int) -> list[bool]:
    """Print a line per rule, and tell whether the protected ones hold their level."""
    print(f"  {looks:,} looks, normal statistics, without error")
    print(f"  {'':<20}{'false pos.':>12}{'power':>8}{'used, none':>12}{'used, effect':>14}{'last z':>9}{'units for 80 %':>16}")
    good = []
    for rule in (NAIVE, BAYES, *PROTECTED):
        found = integrated(rule, looks)
        price = f"x{found.inflation:.3f}" if rule in PROTECTED else ""
        held = found.level <= ALPHA + 1e-6
        verdict = ("held" if held else "MISSED") if rule in PROTECTED else ""
        print(
            f"  {rule:<20}{100 * found.level:12.2f}{100 * found.power:8.1f}{found.used_none:12.3f}{found.used:14.3f}{found.last:9.3f}"
            f"{price:>16}  {verdict}"
        )
        good.append(held or rule not in PROTECTED)
    return good


# -------------------------------------------------------------------------------------------------------- simulated


@dataclass(frozen=True, slots=True)
class Shop:
    """A test of so many units, of which a share is treated."""

    what: str
    population: Population
    units: int
    share: float

    @property
    def rules(self) -> Sequence[str]:
        """By which it is followed."""
        return (NAIVE, BAYES, *PROTECTED, *(STRAIGHT if self.population.kind == "mean" else ()))

    def metric(self, rule: str) -> Metric:
        """How it is tested; proportions always by the score test, since thousands of exact ones take too long."""
        if self.population.kind == "proportion":
            return om.Proportion("value", test="score")
        return om.Ratio("value", "denominator") if self.population.kind == "ratio" else om.Mean("value", skew_correction=rule in STRAIGHT)

    @property
    def lift(self) -> float:
        """What a single look finds with 80 %, were the variance that without an effect."""
        spread = math.sqrt(_unit_variance(self.population) * (1 / self.share + 1 / (1 - self.share)) / self.units)
        return sequential.fixed_drift(POWER, ALPHA, 2) * spread / self.population.truth(0.0)

    def difference(self, lift: float) -> float:
        """The true one."""
        return self.population.truth(lift) - self.population.truth(0.0)

    def arrive(self, rng: np.random.Generator, repeats: int, looks: int, lift: float) -> Sums:
        """The sums of control and treatment at each look, (repeats, looks, 2); each unit is treated by chance."""
        treated = rng.binomial(self.units // looks, self.share, (repeats, looks))
        arms = [self.population.draw(rng, n, own) for n, own in ((self.units // looks - treated, 0.0), (treated, lift))]
        return Sums.stacked(arms, axis=2).each(lambda values: np.cumsum(values, axis=1))


def _unit_variance(population: Population) -> float:
    """Of what one unit adds to the estimate, from a million of them."""
    found = population.draw(np.random.default_rng(0), np.array([1_000_000]), 0.0)
    mean, covariance = found.mean[0], found.covariance[0]
    if population.kind != "ratio":
        return float(covariance[0, 0])
    gradient = np.array([1.0, -mean[0] / mean[1]]) / mean[1]
    return float(gradient @ covariance @ gradient)


@dataclass(frozen=True, slots=True)
class Ends:
    """How tests ended: at which fraction of their units, whether significant and on which side, the plain difference, and what was said.

    `estimate` allows for the early end; `low` and `high` are the interval of that look, `stage_low` and `stage_high` that of the end.
    """

    used: Floats
    better: Bools
    worse: Bools
    difference: Floats
    estimate: Floats
    low: Floats
    high: Floats
    stage_low: Floats
    stage_high: Floats


def table_of(sums: Sums, population: Population, rows: Ints) -> pd.DataFrame:
    """The statistics of some tests at one look, which `replicate` numbers."""
    own = simulated.columns(sums, population)
    arms = {"replicate": np.repeat(rows, 2), "variant": np.tile(experiments_errors.VARIANTS, len(rows))}
    return pd.DataFrame({**arms, "kind": population.kind, **own})


def asked(sums: Sums, shop: Shop, rows: Ints, rule: str, plan: Any) -> Any:
    """What the library says of them."""
    split = dict(zip(experiments_errors.VARIANTS, (1 - shop.share, shop.share), strict=True))
    return experiments_errors.ask(table_of(sums, shop.population, rows), {"metric": shop.metric(rule)}, split, sequential=plan)


def followed(sums: Sums, shop: Shop, rule: str) -> Ends:
    """Tests from look to look until they end."""
    repeats, looks = sums.n.shape[:2]
    plan, level = design(rule, looks, shop.units), 2 * ALPHA if rule == BAYES else ALPHA
    ends = np.full((9, repeats), np.nan)
    going = np.arange(repeats)
    for look in range(looks):
        ready = going[(sums.n[going, look] >= 2).all(axis=1)]
        if not len(ready):
            continue
        found = asked(sums[ready, look], shop, ready, rule, plan)
        table, said = found.table, found.sequential if plan else None
        significant = (table["p_value"] < level).to_numpy()
        over = significant | (look == looks - 1)
        at = ready[over]
        ends[0, at] = (look + 1) / looks
        ends[1, at], ends[2, at] = ((significant & (sign * table["statistic"] > 0))[over] for sign in (1, -1))
        for i, name in enumerate(("difference", "difference_low", "difference_high")):
            ends[(3, 5, 6)[i], at] = table[name][over]
        if said is not None:
            for i, name in enumerate(("estimate", "estimate_low", "estimate_high")):
                ends[(4, 7, 8)[i], at] = said[name][over]
        going = np.setdiff1d(going, at)
    return Ends(ends[0], ends[1] == 1, ends[2] == 1, *ends[3:])


ENDS = [f.name for f in fields(Ends)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a rule in a shop: tests without an effect, and with one."""

    none: Ends
    some: Ends


def run(task: tuple[Shop, int, int]) -> dict[str, Outcome]:
    """Follow the same tests by all rules; and as if they were looked at once."""
    shop, repeats, seed = task
    rng = np.random.default_rng([seed, *shop.what.encode(), shop.units, round(100 * shop.share)])
    none, some = (shop.arrive(rng, repeats, LOOKS, lift) for lift in (0.0, shop.lift))
    found = {rule: Outcome(followed(none, shop, rule), followed(some, shop, rule)) for rule in shop.rules}
    return {"a single look": Outcome(*(followed(sums[:, -1:], shop, NAIVE) for sums in (none, some))), **found}


def inside(low: Floats, high: Floats, truth: float) -> float:
    """The share of intervals that hold the truth; those without ends do."""
    return float(1 - np.mean((low > truth) | (high < truth)))


def report(shop: Shop, found: Mapping[str, Outcome]) -> list[bool]:
    """Print a line per rule, and tell whether the protected ones keep their promises."""
    truth, good = shop.difference(shop.lift), []
    print(f"  {shop.what}, {shop.units:,} units, {shop.share:.0%} treated, lift {shop.lift:+.0%}")
    for rule, own in found.items():
        none, some = own.none, own.some
        naive = [100 * none.better.mean(), 100 * none.worse.mean(), 100 * some.better.mean(), some.used.mean()]
        plain = [_mean(some.difference) / truth, _mean(some.difference[some.better]) / truth]
        line = f"    {rule:<22}{naive[0]:7.2f}{naive[1]:7.2f}{naive[2]:8.1f}{naive[3]:7.2f}{plain[0]:9.2f}{plain[1]:7.2f}"
        if rule not in (*PROTECTED, *STRAIGHT):
            print(line)
            continue
        told = [_mean(some.estimate) / truth, _mean(some.estimate[some.better]) / truth, 100 * np.mean(some.estimate < truth)]
        repeated = min(inside(none.low, none.high, 0.0), inside(some.low, some.high, truth))
        ending = min(inside(none.stage_low, none.stage_high, 0.0), inside(some.stage_low, some.stage_high, truth))
        three = 3 * error(ALPHA, len(none.used))
        kept = bool((none.better | none.worse).mean() <= ALPHA + three and min(repeated, ending) >= 1 - ALPHA - 0.01 - three)
        covered = f"{100 * repeated:10.1f}{100 * ending:8.1f}"
        print(f"{line}{told[0]:9.2f}{told[1]:7.2f}{told[2]:8.1f}{covered}  {'held' if kept else 'MISSED'}")
        good.append(kept)
    return good


HEAD = f"""    {"":<22}    false pos.   the effect      difference      estimate   below  covered, least
    {"":<22} better  worse   found   used      all  found      all  found   truth  repeated  at end"""


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


# ------------------------------------------------------------------------------------------------- a thousand looks


def crossed(task: tuple[Shop, int, int]) -> dict[str, int]:
    """How many tests without an effect cross the bounds of each rule at one of a thousand looks; one call asks about all looks of some."""
    shop, repeats, seed = task
    rng = np.random.default_rng([seed, *shop.what.encode(), shop.units])
    sums = shop.arrive(rng, repeats, MANY, 0.0)
    flat = sums.shaped((repeats * MANY, 2))
    rows = np.flatnonzero((flat.n >= 2).all(axis=1))
    ever = {rule: np.zeros(repeats, dtype=np.bool_) for rule in (NAIVE, *PROTECTED)}
    naive = asked(flat[rows], shop, rows, NAIVE, None).table["p_value"].to_numpy()
    found = asked(flat[rows], shop, rows, ALWAYS, design(ALWAYS, MANY, shop.units))
    z, test, look = np.abs(found.sequential["z"].to_numpy()), rows // MANY, rows % MANY
    ever[NAIVE][test[naive < ALPHA]] = True
    ever[ALWAYS][test[found.table["p_value"].to_numpy() < ALPHA]] = True
    for rule in (OBRIEN, POCOCK):
        ever[rule][test[z > bounds(rule, MANY)[look]]] = True
    return {rule: int(own.sum()) for rule, own in ever.items()}


def report_crossed(shop: Shop, found: Sequence[Mapping[str, int]], repeats: int) -> list[bool]:
    """Print the shares, and tell whether the protected ones are below the level."""
    shares = {rule: sum(part[rule] for part in found) / repeats for rule in (NAIVE, *PROTECTED)}
    held = {rule: share <= ALPHA + 3 * error(ALPHA, repeats) for rule, share in shares.items() if rule in PROTECTED}
    told = ", ".join(
        f"{rule} {100 * share:.2f}{'' if rule not in held else ' held' if held[rule] else ' MISSED'}" for rule, share in shares.items()
    )
    print(f"    {shop.what}, {shop.units:,} units, {shop.share:.0%} treated: {told}")
    return list(held.values())


# ------------------------------------------------------------------------------------------------------ sample ratio


SPLITS = (
    (20_000, 0.5, 0.5, LOOKS), (20_000, 0.1, 0.1, LOOKS), (20_000, 0.5, 0.5, MANY), (100_000, 0.505, 0.5, LOOKS),
    (100_000, 0.51, 0.5, LOOKS),
)  # fmt: skip
"""Units, the share of the treatment, the planned one, and looks."""


def mismatches(task: tuple[float, float, int, int, int, int]) -> Floats:
    """The least p-values over all looks, (tests, 2): of Pearson's test at each look, and of the sequential one."""
    from scipy.special import ndtr

    share, planned, units, looks, repeats, seed = task
    rng = np.random.default_rng([looks, units, round(1e4 * share), seed])
    treated = np.cumsum(rng.binomial(units // looks, share, (repeats, looks)), axis=1)
    total = np.arange(1, looks + 1) * (units // looks)
    z = np.abs(treated - planned * total) / np.sqrt(planned * (1 - planned) * total)
    evidence = mixtures.split_evidence(np.stack([total - treated, treated], axis=-1), [1 - planned, planned], splits.CONCENTRATION)
    return np.stack([2 * ndtr(-z.max(axis=1)), np.exp(-np.maximum(evidence.max(axis=1), 0.0))], axis=1)


def report_mismatches(repeats: int) -> list[bool]:
    """Print how often a mismatch is said, and tell whether the sequential test does not cry wolf."""
    print(f"  Sample ratio, {repeats:,} tests each: said to be wrong at some look, by Pearson's test at each and by the sequential one")
    parts = [(s, p, n, looks, min(1_000, repeats - begin), begin) for n, s, p, looks in SPLITS for begin in range(0, repeats, 1_000)]
    found = np.concatenate(processes.side_by_side(mismatches, parts)).reshape(len(SPLITS), repeats, 2)
    good = []
    for (units, share, planned, looks), p in zip(SPLITS, found, strict=True):
        told = [f"at {level:g} {' and '.join(f'{100 * rate:.2f}' for rate in (p < level).mean(axis=0))}" for level in LEVELS]
        print(f"    {share:.1%} instead of {planned:.0%} of {units:,}, {looks:,} looks: {', '.join(told)}")
        if share == planned:
            good += [bool((p[:, 1] < level).mean() <= level + 3 * error(level, repeats)) for level in LEVELS]
    return good


# --------------------------------------------------------------------------------------------------------------- all


def shops() -> list[Shop]:
    """All that are simulated."""
    populations: Sequence[tuple[str, Population]] = [
        ("proportion 5 %", simulated.Bernoulli()), ("revenue", simulated.Revenue()), ("orders per session", simulated.OrdersPerSession()),
    ]  # fmt: skip
    return [Shop(what, own, units, share) for what, own in populations for units in (2_000, 20_000) for share in (0.5, 0.1)]


def main(repeats: int = REPEATS, *, chosen: Sequence[Shop] | None = None, many: Sequence[Shop] | None = None) -> bool:
    """Run, print, and tell whether the protected tests keep their promises."""
    print(f"Looking early: errors at {ALPHA:.0%}, in 100 tests; the effect is one that a single look finds in {POWER:.0%}")
    good = [*report_integrated(LOOKS), *report_integrated(MANY)]
    own = shops() if chosen is None else chosen
    print(f"  {LOOKS} looks, {repeats:,} tests each, so that 5 % is known to {error(ALPHA, repeats):.2%}")
    print(HEAD)
    for shop, found in zip(own, _together(own, repeats), strict=True):
        good += report(shop, found)
    often = [shop for shop in own if shop.units == 20_000] if many is None else many
    count = max(repeats // MANY_REPEATS, 1)
    print(f"  {MANY:,} looks without an effect, {count:,} tests each, so that 5 % is known to {error(ALPHA, count):.2%}")
    most = max(ROWS // MANY, 1)
    parts = [[(shop, min(most, count - begin), begin) for begin in range(0, count, most)] for shop in often]
    crossings = iter(processes.side_by_side(crossed, itertools.chain.from_iterable(parts)))
    for shop, tasks in zip(often, parts, strict=True):
        good += report_crossed(shop, [next(crossings) for _ in tasks], count)
    return all([*good, *report_mismatches(5 * repeats)])


def _together(chosen: Sequence[Shop], repeats: int) -> list[dict[str, Outcome]]:
    """The outcomes of all shops, their parts side by side."""
    most = 1_000
    parts = [[(shop, min(most, repeats - begin), begin) for begin in range(0, repeats, most)] for shop in chosen]
    found = iter(processes.side_by_side(run, itertools.chain.from_iterable(parts)))
    return [_joined([next(found) for _ in tasks]) for tasks in parts]


def _joined(parts: Sequence[Mapping[str, Outcome]]) -> dict[str, Outcome]:
    def ends(which: str, rule: str) -> Ends:
        own = [getattr(part[rule], which) for part in parts]
        return Ends(*(np.concatenate([getattr(one, name) for one in own]) for name in ENDS))

    return {rule: Outcome(ends("none", rule), ends("some", rule)) for rule in parts[0]}


if __name__ == "__main__":
    given = [int(number) for flag, number in itertools.pairwise(sys.argv) if flag == "--repeats"]
    main(*given)
