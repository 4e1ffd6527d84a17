"""How often A/B tests err where the truth is known: false positives by tail, what intervals cover, and whether a warning came with it.

Every case is drawn as the statistics of thousands of tests at once, which one call answers. Proportions are not drawn: all pairs of counts
are tested, and weighted by their chances, so that there is no Monte Carlo error. A tail is held where it has at most 2.5 %, and an interval
where it covers at least 95 %, give or take half a point and three Monte Carlo errors; where a method does not hold them, its answers are to
come with a warning. `--repeats N` sets the runs of each case.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

import opsmetrics as om
from benchmarks import processes
from benchmarks import simulated_experiments as simulated
from benchmarks.simulated_experiments import Floats, Population
from opsmetrics._kernels import quantiles
from opsmetrics.experiments import inference
from opsmetrics.experiments.laws import Question
from opsmetrics.experiments.metrics import Metric

REPEATS = 10_000
MOST_UNITS = 4_000_000
"""Units that are drawn at once."""
ALPHA, LIFT, SLACK = 0.05, 0.2, 0.005
CUT = 0.99
"""The quantile at which revenue is winsorised."""
RARE = 1e-6
"""Pairs of counts that are so much rarer than the most frequent one are left out."""
WARNED = 0.5
"""The share of tests with a warning that makes a case one that is warned of."""

UPPER, LOWER, ABOVE, BELOW, LIFT_ABOVE, LIFT_BELOW, WARNING, TORN = range(8)
"""What is counted. Without an effect: wrongly better, wrongly worse. With one: the interval of the difference above and below it, that of
the lift. Warnings; and p-values that disagree with their intervals."""

Shares = npt.NDArray[np.float64]
Method = tuple[str, Metric]
VARIANTS = ("A", "B")


# --------------------------------------------------------------------------------------------------------------- cases


class Case(Protocol):
    """Tests of two arms."""

    @property
    def what(self) -> str:
        """What is measured."""

    @property
    def sizes(self) -> tuple[int, int]:
        """Units of the control and of the treatment."""

    @property
    def methods(self) -> Sequence[Method]:
        """How it is tested, in words and as a metric."""

    @property
    def lift(self) -> float | None:
        """The effect under which intervals are judged; none where they are judged without one."""

    def truth(self, lift: float) -> float:
        """What is estimated."""

    def stats(self, rng: np.random.Generator, repeats: int, lift: float) -> list[pd.DataFrame]:
        """Statistics of so many tests, a table for each method."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Units of a population."""

    what: str
    population: Population
    sizes: tuple[int, int]
    methods: Sequence[Method]
    lift: float | None = LIFT

    def truth(self, lift: float) -> float:
        """As of the population."""
        return self.population.truth(lift)

    def stats(self, rng: np.random.Generator, repeats: int, lift: float) -> list[pd.DataFrame]:
        """The same table for all methods."""
        arms = [self.population.draw(rng, np.full(repeats, n), own) for n, own in zip(self.sizes, (0.0, lift), strict=True)]
        parts = [simulated.columns(arm, self.population) for arm in arms]
        table = {name: np.stack([part[name] for part in parts], axis=1).ravel() for name in parts[0]}
        return [pd.DataFrame({**arms_of(repeats), "kind": self.population.kind, **table})] * len(self.methods)


@dataclass(frozen=True, slots=True)
class Stratified:
    """Normal units whose means differ between four strata, as much as units do inside them."""

    sizes: tuple[int, int]
    methods: Sequence[Method]
    what: str = "normal, 4 strata"
    lift: float | None = LIFT

    SHARES, MEANS = (0.4, 0.3, 0.2, 0.1), (-1.0, 0.0, 1.0, 2.0)

    def truth(self, lift: float) -> float:
        """The mean."""
        return 1 + lift

    def stats(self, rng: np.random.Generator, repeats: int, lift: float) -> list[pd.DataFrame]:
        """How many units of a stratum are in an arm is by chance."""
        n = np.stack([rng.multinomial(size, self.SHARES, repeats) for size in self.sizes], axis=1)
        found = simulated.Normal().draw(rng, n, 0.0)
        mean = found.mean[..., 0] + np.array(self.MEANS) + np.array([0.0, lift])[:, None]
        table = pd.DataFrame(
            {
                "replicate": np.repeat(np.arange(repeats), 8), "variant": np.tile(np.repeat(VARIANTS, 4), repeats),
                "stratum": np.tile(np.arange(4), 2 * repeats), "n": n.ravel(), "mean": mean.ravel(),
                "variance": found.covariance[..., 0, 0].ravel(), "third_moment": found.cube(0, 0, 0).ravel(),
            }
        )  # fmt: skip
        return [table[table["n"] > 0]] * len(self.methods)


@dataclass(frozen=True, slots=True)
class Winsorised:
    """Revenue that is cut at its 99th percentile: of all units, as the library does it, or of each arm, as it must not be done."""

    sizes: tuple[int, int]
    each: bool = False
    sigma: float = 1.0
    lift: float | None = None

    @property
    def what(self) -> str:
        """Revenue."""
        return "revenue, skewness 20"

    @property
    def methods(self) -> Sequence[Method]:
        """Welch's test of what is left."""
        return [(f"cut at 99 % of {'each arm (not offered)' if self.each else 'all units'}", om.Mean("value"))]

    def truth(self, lift: float) -> float:
        """The same in both arms."""
        return lift

    def stats(self, rng: np.random.Generator, repeats: int, lift: float) -> list[pd.DataFrame]:
        """All units are needed for the percentiles."""
        values = np.zeros((repeats, sum(self.sizes)))
        bought = rng.random(values.shape) < simulated.Revenue.RATE
        values[bought] = rng.lognormal(lift, self.sigma, bought.sum())
        return [table_of(self.cut(values))]

    def cut(self, values: Floats) -> list[Floats]:
        """The two arms, cut."""
        arms = [values[:, : self.sizes[0]], values[:, self.sizes[0] :]]
        parts = arms if self.each else [values, values]
        return [np.minimum(arm, np.quantile(part, CUT, axis=1, keepdims=True)) for arm, part in zip(arms, parts, strict=True)]


@dataclass(frozen=True, slots=True)
class Quantiles:
    """A quantile of log-normal baskets."""

    q: float
    sizes: tuple[int, int]
    methods: Sequence[Method]
    lift: float | None = None

    @property
    def what(self) -> str:
        """Baskets."""
        return f"log-normal, {self.q:.0%} quantile"

    def truth(self, lift: float) -> float:
        """The same in both arms."""
        return lift

    def stats(self, rng: np.random.Generator, repeats: int, lift: float) -> list[pd.DataFrame]:
        """As the frame door makes them: a quantile as a mean whose variance is n times its squared standard error."""
        arms = [np.sort(rng.lognormal(lift, 1.0, (repeats, n)), axis=1) for n in self.sizes]
        return [self.table(arms, getattr(metric, "method", ""), rng) for _, metric in self.methods]

    def table(self, arms: Sequence[Floats], method: str, rng: np.random.Generator) -> pd.DataFrame:
        """The statistics of arms that are in order."""
        z = 1.959963984540054
        if method == "bootstrap":
            errors = [[float(np.std(quantiles.bootstrap(row, self.q, 2_000, rng), ddof=1)) for row in arm] for arm in arms]
        else:
            errors = [[quantiles.standard_error(row, self.q, z, None) for row in arm] for arm in arms]
        mean = [np.quantile(arm, self.q, axis=1) for arm in arms]
        variance = [np.square(error) * n for error, n in zip(errors, self.sizes, strict=True)]
        return _paired(self.sizes, {"mean": mean, "variance": variance}).assign(kind="quantile")


def arms_of(repeats: int) -> dict[str, Any]:
    """The rows of two arms of each test."""
    return {"replicate": np.repeat(np.arange(repeats), 2), "variant": np.tile(VARIANTS, repeats)}


def _paired(sizes: tuple[int, int], columns: Mapping[str, Sequence[Floats]]) -> pd.DataFrame:
    repeats = len(next(iter(columns.values()))[0])
    found = {name: np.stack(arms, axis=1).ravel() for name, arms in columns.items()}
    return pd.DataFrame({**arms_of(repeats), "n": np.tile(sizes, repeats), **found})


def table_of(arms: Sequence[Floats]) -> pd.DataFrame:
    """The statistics of arms whose units are known, tests along the first axis."""
    means = [arm.mean(axis=1) for arm in arms]
    thirds = [((arm - mean[:, None]) ** 3).mean(axis=1) for arm, mean in zip(arms, means, strict=True)]
    variances = [arm.var(axis=1, ddof=1) for arm in arms]
    sizes = (arms[0].shape[1], arms[1].shape[1])
    return _paired(sizes, {"mean": means, "variance": variances, "third_moment": thirds})


# ------------------------------------------------------------------------------------------------------------- judging


def ask(stats: pd.DataFrame, metrics: Mapping[str, Metric] | None, split: Mapping[str, float], **choices: Any) -> Any:
    """One call for all tests; that they are skewed and small is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)
        return om.ab_test_from_stats(stats, by="replicate", control="A", metrics=metrics, expected_split=split, **choices)


def answers(found: Any, difference: float, lift: float) -> npt.NDArray[np.bool_]:
    """What is to be counted, a row per test; the truth may be no effect."""
    table = found.table
    low, high, lift_low, lift_high = (table[name].to_numpy() for name in ("difference_low", "difference_high", "lift_low", "lift_high"))
    wrong, sign = table["p_value"].to_numpy() < ALPHA, table["statistic"].to_numpy()
    torn = (wrong != ((low > 0) | (high < 0))) | (~np.isnan(lift_low) & (wrong != ((lift_low > 0) | (lift_high < 0))))
    missing = [low > difference, high < difference, lift_low > lift, lift_high < lift]
    return np.stack([wrong & (sign > 0), wrong & (sign < 0), *missing, warned(found), torn], axis=1)


def warned(found: Any) -> npt.NDArray[np.bool_]:
    """Which tests came with a warning: of skewness in arms of unequal size, of few successes, or of few clusters."""
    ((own, metric),) = found._entries
    nothing = np.zeros(len(own.place), dtype=np.int64)
    compared = inference.compare(own, metric, nothing, nothing.astype(np.float64), Question("two-sided", 1 - ALPHA))
    return np.asarray((compared.excess > inference.TAIL_EXCESS) | compared.few | compared.few_clusters)


def run(task: tuple[Case, int, int]) -> Shares:
    """The shares of what is counted in so many tests, a row per method."""
    case, repeats, seed = task
    rng = np.random.default_rng([seed, *case.what.encode(), *case.sizes])
    split = dict(zip(VARIANTS, case.sizes, strict=True))
    none = [answers(ask(table, {"metric": metric}, split), 0.0, 0.0) for table, metric in _tables(case, rng, repeats, 0.0)]
    if case.lift is None:
        return np.stack([found.mean(axis=0) for found in none])
    effect = case.truth(case.lift) - case.truth(0.0)
    some = [answers(ask(table, {"metric": m}, split), effect, case.lift) for table, m in _tables(case, rng, repeats, case.lift)]
    return np.stack([together(a.mean(axis=0), b.mean(axis=0)) for a, b in zip(none, some, strict=True)])


def _tables(case: Case, rng: np.random.Generator, repeats: int, lift: float) -> list[tuple[pd.DataFrame, Metric]]:
    return list(zip(case.stats(rng, repeats, lift), (metric for _, metric in case.methods), strict=True))


def together(none: Shares, some: Shares) -> Shares:
    """False positives and warnings without an effect, intervals with one."""
    found = none.copy()
    found[ABOVE : LIFT_BELOW + 1] = some[ABOVE : LIFT_BELOW + 1]
    found[TORN] = max(none[TORN], some[TORN])
    return found


def tasks(case: Case, repeats: int) -> list[tuple[Case, int, int]]:
    """A case in parts that fit the memory."""
    most = max(MOST_UNITS // sum(case.sizes), 1)
    return [(case, min(most, repeats - begin), begin) for begin in range(0, repeats, most)]


# -------------------------------------------------------------------------------------------------- proportions, exact


@dataclass(frozen=True, slots=True)
class Counted:
    """Proportions: all pairs of counts that have a chance."""

    rate: float
    sizes: tuple[int, int]
    methods: Sequence[Method]
    lift: float = LIFT

    @property
    def what(self) -> str:
        """Conversions."""
        return f"proportion {self.rate:.0%}"

    def pairs(self, lift: float) -> tuple[pd.DataFrame, Floats]:
        """The counts, and the chance of each pair."""
        from scipy.stats import binom

        arms = [binom(n, rate) for n, rate in zip(self.sizes, (self.rate, self.rate * (1 + lift)), strict=True)]
        counts = [np.arange(arm.ppf(RARE), arm.isf(RARE) + 1) for arm in arms]
        both = np.array(list(itertools.product(*counts)))
        chances = np.outer(*(arm.pmf(own) for arm, own in zip(arms, counts, strict=True))).ravel()
        kept = chances > RARE * chances.max()
        table = pd.DataFrame({**arms_of(kept.sum()), "n": np.tile(self.sizes, kept.sum()), "successes": both[kept].ravel()})
        return table, chances[kept] / chances[kept].sum()


def exactly(case: Counted) -> Shares:
    """The shares of what is counted, a row per method."""
    split = dict(zip(VARIANTS, case.sizes, strict=True))
    found = []
    for _, metric in case.methods:
        parts = []
        for lift in (0.0, case.lift):
            table, chances = case.pairs(lift)
            parts.append(chances @ answers(ask(table, {"metric": metric}, split), case.rate * lift, lift))
        found.append(together(parts[0], parts[1]))
    return np.stack(found)


# ------------------------------------------------------------------------------------------------------------ families


@dataclass(frozen=True, slots=True)
class Family:
    """Tests that are judged together: treatments with one control, and several metrics; the first metrics have an effect."""

    what: str
    population: Population
    sizes: tuple[int, ...]
    metrics: int
    correction: str | None
    effects: int = 0
    kept: str = "any false positive"
    fewer: int = 1
    """One in so many of the runs, where an answer is dear."""


def family(task: tuple[Family, int, int]) -> Shares:
    """How often there is a false positive at all, or which share of positives are false, and how often an interval of a null misses."""
    case, repeats, seed = task
    rng = np.random.default_rng([seed, *case.what.encode(), *case.sizes, case.metrics])
    rows, arms = [], [chr(ord("A") + i) for i in range(len(case.sizes))]
    for metric, (arm, n) in itertools.product(range(case.metrics), zip(arms, case.sizes, strict=True)):
        lift = LIFT if metric < case.effects and arm != "A" else 0.0
        own = simulated.columns(case.population.draw(rng, np.full(repeats, n), lift), case.population)
        rows.append(pd.DataFrame({"replicate": np.arange(repeats), "metric": f"m{metric}", "variant": arm, **own}))
    found = ask(pd.concat(rows), None, dict(zip(arms, case.sizes, strict=True)), correction=case.correction).table
    null = found["metric"].str[1:].astype("int64") >= case.effects
    p = found["p_value" if case.correction is None else "p_adjusted"] < ALPHA
    by = found["replicate"]
    wrong, positives = (p & null).groupby(by).sum(), p.groupby(by).sum()
    missed = ((found["difference_low"] > 0) | (found["difference_high"] < 0)) & null
    rate = (wrong > 0) if case.kept == "any false positive" else wrong / positives.clip(lower=1)
    return np.array([rate.mean(), missed.groupby(by).any().mean()])


@dataclass(frozen=True, slots=True)
class Margin:
    """A test against a margin where the difference is just the margin."""

    what: str
    population: Population
    sizes: tuple[int, int]
    metric: Metric
    lift: float
    """That moves the treatment to the margin."""


def margin(task: tuple[Margin, int, int]) -> Shares:
    """How often the margin is rejected though it is the truth, and how often there is a warning."""
    case, repeats, seed = task
    rng = np.random.default_rng([seed, *case.what.encode(), *case.sizes])
    drawn = Drawn(case.what, case.population, case.sizes, [("", case.metric)])
    (table,) = drawn.stats(rng, repeats, case.lift)
    found = ask(table, {"metric": case.metric}, dict(zip(VARIANTS, case.sizes, strict=True)))
    return np.array([(found.table["p_value"] < ALPHA).mean(), warned(found).mean()])


# ------------------------------------------------------------------------------------------------------------ the cases

EVEN, UNEVEN = {50: (25, 25), 200: (100, 100), 1_000: (500, 500), 2_000: (1_000, 1_000), 20_000: (10_000, 10_000)}, {
    50: (45, 5), 200: (180, 20), 1_000: (900, 100), 2_000: (1_800, 200), 20_000: (18_000, 2_000),
}  # fmt: skip
WELCH: Method = ("Welch, Fieller", om.Mean("value"))
CORRECTED: Method = ("pooled, Hall's skewness", om.Mean("value", skew_correction=True))
DELTA: Method = ("delta method, Fieller", om.Ratio("value", "denominator"))
CUPED: Sequence[Method] = [
    ("CUPED, theta within", om.Mean("value", covariate="covariate", theta="within")),
    ("CUPED, theta pooled", om.Mean("value", covariate="covariate", theta="pooled")),
]
SCORE: Method = ("score or exact, MN, Koopman", om.Proportion("value"))
NEWCOMBE: Method = ("score, Newcombe", om.Proportion("value", interval="newcombe", test="score"))


def order(q: float) -> Method:
    """A quantile by order statistics."""
    return "order statistics", om.Quantile("value", q)


BOOTSTRAP: Method = ("bootstrap", om.Quantile("value", 0.9, method="bootstrap"))


def _splits(*totals: int) -> list[tuple[int, int]]:
    return [split[total] for total in totals for split in (EVEN, UNEVEN)]


def cases() -> list[Case]:
    """All that are drawn."""
    revenue, before = {s: simulated.Revenue(s) for s in (1.0, 1.5)}, simulated.Revenue(before=True)
    related = simulated.Normal(correlation=0.7)
    robust: Sequence[Method] = [("CR1, Satterthwaite", om.Mean("value"))]
    strata: Sequence[Method] = [("post-stratified", om.Mean("value"))]
    return [
        *(Drawn("normal", simulated.Normal(), sizes, [WELCH, CORRECTED]) for sizes in _splits(50, 1_000)),
        *(Drawn("revenue, skewness 20", revenue[1.0], sizes, [WELCH, CORRECTED]) for sizes in _splits(50, 200, 2_000, 20_000)),
        *(Drawn("revenue, skewness 131", revenue[1.5], sizes, [WELCH, CORRECTED]) for sizes in _splits(2_000, 20_000)),
        *(Drawn("orders per session", simulated.OrdersPerSession(), sizes, [DELTA]) for sizes in _splits(50, 1_000, 20_000)),
        *(Drawn("revenue per order", simulated.RevenuePerOrder(), sizes, [DELTA]) for sizes in _splits(1_000, 20_000)),
        *(Drawn("normal, correlation 0.7", related, sizes, CUPED) for sizes in ((10, 10), *_splits(50, 1_000))),
        *(Drawn("revenue with revenue before", before, sizes, CUPED) for sizes in _splits(200, 2_000, 20_000)),
        *(Drawn("clusters", simulated.Clusters(), sizes, robust) for sizes in ((5, 5), (10, 10), (20, 20), (16, 4))),
        *(Stratified(sizes, strata) for sizes in _splits(200, 2_000)),
        *(Winsorised(sizes) for sizes in _splits(200, 2_000, 20_000)),
        Winsorised(EVEN[2_000], each=True),
        *(Quantiles(0.5, sizes, [order(0.5)]) for sizes in _splits(200)),
        *(Quantiles(0.9, sizes, [order(0.9), BOOTSTRAP]) for sizes in _splits(1_000)),
        *(Quantiles(0.99, sizes, [order(0.99)]) for sizes in (EVEN[1_000], *_splits(20_000))),
    ]  # fmt: skip


def counted() -> list[Counted]:
    """All proportions."""
    return [
        *(Counted(0.05, sizes, [SCORE, NEWCOMBE]) for sizes in _splits(50, 200, 1_000, 20_000)),
        *(Counted(0.01, sizes, [SCORE, NEWCOMBE]) for sizes in _splits(1_000, 20_000)),
        *(Counted(0.5, sizes, [SCORE, NEWCOMBE]) for sizes in _splits(50, 1_000)),
    ]


def families() -> list[Family]:
    """Several treatments, several metrics."""
    normal, revenue = simulated.Normal(), simulated.Revenue()
    words = "holm", "hochberg", "bonferroni"
    return [
        Family("2 treatments, none", normal, (500,) * 3, 1, None),
        *(Family("2 treatments, Dunnett", normal, (n,) * 3, 1, "dunnett") for n in (10, 500)),
        *(Family("5 treatments, Dunnett", normal, (n,) * 6, 1, "dunnett", fewer=10) for n in (10, 500)),
        Family("5 treatments, Dunnett, large control", normal, (1_000, *(200,) * 5), 1, "dunnett", fewer=10),
        Family("5 treatments of revenue, Dunnett", revenue, (2_000,) * 6, 1, "dunnett", fewer=10),
        Family("2 treatments x 5 metrics, none", normal, (500,) * 3, 5, None),
        *(Family(f"2 treatments x 5 metrics, {word}", normal, (500,) * 3, 5, word) for word in words),
        Family("the same with 2 metrics that moved, holm", normal, (500,) * 3, 5, "holm", effects=2),
        *(
            Family(f"2 of 5 metrics moved, {word}", normal, (500,) * 3, 5, word, effects=2, kept="false discoveries")
            for word in ("benjamini-hochberg", "benjamini-yekutieli")
        ),
    ]


def margins() -> list[Margin]:
    """At the margin."""
    populations: Sequence[tuple[str, Population, float, Any]] = [
        ("normal", simulated.Normal(), 0.3, om.Mean), ("revenue, skewness 20", simulated.Revenue(), 0.3, om.Mean),
        ("proportion 5 %", simulated.Bernoulli(), 0.3, om.Proportion),
    ]  # fmt: skip
    return [
        Margin(
            f"{what}, {hypothesis}, {sign * lift:+.0%}", population, sizes,
            of("value", hypothesis=hypothesis, margin=population.truth(lift) - population.truth(0.0)), sign * lift,
        )
        for what, population, lift, of in populations
        for sizes in _splits(200, 2_000, 20_000)
        for hypothesis, sign in (("non-inferiority", -1), ("equivalence", 1), ("equivalence", -1))
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ reporting


def error(share: float, repeats: float) -> float:
    """The Monte Carlo error of a share."""
    return float((share * (1 - share) / repeats) ** 0.5)


def judged(shares: Shares, repeats: float) -> str:
    """Whether both tails and the interval are held; if not, whether the tests came with a warning."""
    tail, level = ALPHA / 2 + SLACK + 3 * error(ALPHA / 2, repeats), ALPHA + 2 * SLACK + 3 * error(ALPHA, repeats)
    held = max(shares[UPPER], shares[LOWER]) <= tail and max(missed(shares), missed(shares, LIFT_ABOVE)) <= level
    return "held" if held else "warned" if shares[WARNING] >= WARNED else "MISSED"


def missed(shares: Shares, first: int = ABOVE) -> float:
    """How often an interval misses, on both sides."""
    return float(shares[first] + shares[first + 1])


def report(case: Case | Counted, shares: Shares, repeats: float) -> list[bool]:
    """Print a line per method, and tell whether each holds its level or was warned of."""
    good = []
    for (method, _), own in zip(case.methods, shares, strict=True):
        offered = "not offered" not in method
        verdict = judged(own, repeats) if offered else ""
        told = [f"{100 * own[name]:7.2f}" for name in (UPPER, LOWER, ABOVE, BELOW, LIFT_ABOVE, LIFT_BELOW)]
        units = "/".join(f"{n:,}" for n in case.sizes)
        print(f"  {case.what:<28} {method:<28}{units:>14}{''.join(told)}{own[WARNING]:8.0%}  {verdict}")
        good.append(verdict != "MISSED")
    return good


HEAD = f"""  {"in 100 tests":<71}    false pos.   difference          lift
  {"":<57}{"units":>14} better  worse  above  below  above  below warning"""


def collected(kind: Any, chosen: Sequence[Any], repeats: int) -> list[Shares]:
    """The shares of each case, its parts side by side with those of all others."""
    parts = [tasks(case, max(repeats // getattr(case, "fewer", 1), 1)) for case in chosen]
    found = iter(processes.side_by_side(kind, itertools.chain.from_iterable(parts)))
    return [np.average([next(found) for _ in own], axis=0, weights=[count for _, count, _ in own]) for own in parts]


def main(
    repeats: int = REPEATS, *, drawn: Sequence[Case] | None = None, exact: Sequence[Counted] | None = None,
    several: Sequence[Family] | None = None, close: Sequence[Margin] | None = None,
) -> bool:  # fmt: skip
    """Run, print, and tell whether every level is held, or comes with a warning where it is not."""
    chosen, pairs = cases() if drawn is None else drawn, counted() if exact is None else exact
    errors = [f"{share:.1%} is known to {error(share, repeats):.2%}" for share in (ALPHA / 2, ALPHA)]
    print(f"Errors of A/B tests at 95 %: {repeats:,} tests of each case, so that {', and '.join(errors)}; proportions without error")
    print(f"  false positives without an effect; intervals that lie above or below the truth, with a lift of {LIFT:.0%}")
    print(HEAD)
    good, torn = [], 0.0
    for case, shares in zip(pairs, processes.side_by_side(exactly, pairs), strict=True):
        good += report(case, shares, np.inf)
    for drawn_case, shares in zip(chosen, collected(run, chosen, repeats), strict=True):
        good += report(drawn_case, shares, repeats)
        torn = max(torn, float(shares[:, TORN].max()))
    print(f"  p-values that disagree with an interval, proportions aside: {torn:.2%}")
    print("  Several tests: any false positive, or the share of false discoveries; any interval of a null that misses")
    chosen_families = families() if several is None else several
    for own, shares in zip(chosen_families, collected(family, chosen_families, repeats), strict=True):
        count = max(repeats // own.fewer, 1)
        good.append(_line(f"{own.what} ({own.kept}, {count:,} runs)", own.sizes, shares, count, judged=own.correction is not None))
    print("  Margins that are true, rejected at 5 %; with a warning")
    chosen_margins = margins() if close is None else close
    for at, shares in zip(chosen_margins, collected(margin, chosen_margins, repeats), strict=True):
        good.append(_line(at.what, at.sizes, shares, repeats, warned=shares[1] >= WARNED))
    return all([*good, torn == 0])


def _line(what: str, sizes: Sequence[int], shares: Shares, repeats: int, *, judged: bool = True, warned: bool = False) -> bool:
    held = bool(shares[0] <= ALPHA + 2 * SLACK + 3 * error(ALPHA, repeats))
    verdict = "held" if held else "warned" if warned else "MISSED"
    units = f"{sizes[0]:,} and {sizes[-1]:,}"
    print(f"  {what:<64}{units:>20}{''.join(f'{100 * share:8.2f}' for share in shares)}  {verdict if judged else ''}")
    return held or warned or not judged


if __name__ == "__main__":
    given = [int(number) for flag, number in itertools.pairwise(sys.argv) if flag == "--repeats"]
    main(*given)
