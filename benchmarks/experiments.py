"""A/B tests from ten columns of units, and from statistics: against tea-tasting, and gbstats where it is installed, in turns.

All are asked the same question: five means with a covariate each, whose coefficient comes from the spread of all units, three variants.
Their answers are held against each other in the same run. `--units N` sets the size; tea-tasting takes some 15 seconds for 10,000,000 units
of pandas.
"""

from __future__ import annotations

import importlib
import itertools
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import tea_tasting as tt

import opsmetrics as om
from benchmarks import processes, timing

UNITS, MOST_UNITS, MEMORY_UNITS = 1_000_000, 10_000_000, 4_000_000
ROUNDS, FAST_ROUNDS = 5, 30
TESTS, CALLS = 10_000, 200
"""Tests from statistics in one call, and how many of them the peers are asked about; their time is scaled up."""
NAMES = tuple(f"y{i}" for i in range(5))
VARIANTS = ("A", "B", "C")
CLOSE = 1e-6
FRESH = itertools.count(1)
"""Numbers that no plan has had."""

PANDAS, POLARS, STATISTICS, LOOKS, SMALL, MEMORY = 0.1, 0.6, 100, 15.0, 5.0, 0.3
"""The targets: at most these parts of tea-tasting's time on pandas and on polars; at least so many times as fast as a loop of calls; at
most these milliseconds for the boundaries of 20 looks and for 1,000 rows; and how much of the size of the columns the memory grows."""


# ------------------------------------------------------------------------------------------------------------- the data


def units(count: int = UNITS) -> pd.DataFrame:
    """Five skewed numbers of each unit, each with what it was before, and one of three variants as text."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {"variant": pd.array(np.array(VARIANTS, dtype=object)[rng.integers(0, 3, count)], dtype="str")}
    for name in NAMES:
        before = rng.gamma(2.0, 10.0, count)
        columns[f"{name}_before"] = before
        columns[name] = 0.7 * before + rng.gamma(2.0, 10.0, count)
    return pd.DataFrame(columns)


def aggregates(tests: int = TESTS) -> pd.DataFrame:
    """The statistics of so many tests of two variants."""
    rng = np.random.default_rng(0)
    n = rng.integers(1_000, 100_000, 2 * tests)
    return pd.DataFrame(
        {
            "experiment": np.repeat(np.arange(tests), 2), "variant": np.tile(VARIANTS[:2], tests), "n": n,
            "mean": rng.normal(10.0, 20.0 / np.sqrt(n)), "variance": 400 * rng.chisquare(n - 1) / (n - 1),
        }
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------- contenders


def ours(frame: Any) -> Any:
    """The whole answer: the split, the estimates, intervals of difference and lift, statistics."""
    metrics = {name: om.Mean(name, covariate=f"{name}_before", theta="pooled") for name in NAMES}
    return om.ab_test(frame, variant="variant", metrics=metrics, control="A")


def theirs(frame: Any) -> Any:
    """The same by tea-tasting, which compares all pairs of variants from one pass."""
    experiment = tt.Experiment({name: tt.Mean(name, f"{name}_before") for name in NAMES}, variant="variant")
    return experiment.analyze(frame, control="A", all_variants=True)


def ours_from_stats(stats: pd.DataFrame) -> Any:
    """All tests in one call."""
    return om.ab_test_from_stats(stats, by="experiment", control="A", expected_split={"A": 1, "B": 1}).table


def theirs_from_stats(stats: pd.DataFrame, calls: int) -> list[Any]:
    """A call of tea-tasting for each of the first tests."""
    n, mean, variance = (stats[name].tolist() for name in ("n", "mean", "variance"))
    metric, found = tt.Mean("y"), []
    for i in range(0, 2 * calls, 2):
        control, treatment = (
            tt.aggr.Aggregates(count_=n[at], mean_={"y": mean[at]}, var_={"y": variance[at]}) for at in (i, i + 1)
        )  # fmt: skip
        found.append(metric.analyze_aggregates(control, treatment))
    return found


def gbstats() -> Any:
    """The package, where it can be imported."""
    try:
        return importlib.import_module("gbstats.frequentist.tests"), importlib.import_module("gbstats.models.statistics")
    except ImportError:
        return None


def by_gbstats(stats: pd.DataFrame, calls: int, package: Any, kinds: Sequence[str]) -> list[Any]:
    """A call of gbstats for each of the first tests and of `kinds`: "absolute" is the difference, "relative" the lift.

    The others tell both at once. It takes sums and sums of squares.
    """
    tests, models = package
    n, mean, variance = (stats[name].tolist() for name in ("n", "mean", "variance"))
    configs, found = [tests.FrequentistConfig(difference_type=kind) for kind in kinds], []
    for i in range(0, 2 * calls, 2):
        arms = [
            models.SampleMeanStatistic(n=n[at], sum=n[at] * mean[at], sum_squares=variance[at] * (n[at] - 1) + n[at] * mean[at] ** 2)
            for at in (i, i + 1)
        ]
        first, *_ = [tests.TwoSidedTTest(*arms, config).compute_result() for config in configs]
        found.append(first)
    return found


# ------------------------------------------------------------------------------------------------------------ agreement


def apart(frame: pd.DataFrame) -> float:
    """How far the answers to two variants are from tea-tasting's, relatively: it pools two variants at a time."""
    two = frame[frame["variant"].isin(VARIANTS[:2])]
    table = ours(two).table.set_index("metric")
    found = theirs(two)
    pair = next(iter(found.values()))
    return max(against(table.loc[name], pair[name]) for name in NAMES)


def against(own: Any, peer: Any) -> float:
    """How far one answer is from the peer's, relatively."""
    pairs = [
        (own["difference"], peer.effect_size), (own["difference_low"], peer.effect_size_ci_lower),
        (own["difference_high"], peer.effect_size_ci_upper), (own["statistic"], peer.statistic), (own["p_value"], peer.pvalue),
    ]  # fmt: skip
    return max(abs(a - b) / max(abs(b), 1e-300) for a, b in pairs)


def apart_from_stats(table: Any, found: list[Any], package_found: list[Any] | None) -> float:
    """The same for tests from statistics."""
    rows = [table.iloc[i] for i in range(len(found))]
    worst = max(against(row, peer) for row, peer in zip(rows, found, strict=True))
    if package_found is None:
        return worst
    ends = [abs(row["difference_low"] - peer.ci[0]) / abs(peer.ci[0]) for row, peer in zip(rows, package_found, strict=True)]
    return max(worst, *ends)


# ----------------------------------------------------------------------------------------------------------------- runs


def quiet(run: Callable[[], object]) -> Callable[[], object]:
    """Without the warnings of the library: a split of random statistics is seldom even."""

    def silent() -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", om.OpsmetricsWarning)
            return run()

    return silent


def contest(seconds: Mapping[str, list[float]], mine: str, peer: str, target: float) -> bool:
    """Ours over the peer's."""
    low, middle, high = timing.ratios(seconds, mine, peer)
    return timing.verdict(f"  {mine} / {peer} ({low:.2f} .. {high:.2f})", middle, target)


def frames(count: int, rounds: int) -> list[bool]:
    """From units to answers."""
    frame = units(count)
    columns = pl.from_pandas(frame)
    seconds = timing.in_turns(
        {
            "opsmetrics, pandas": lambda: ours(frame), "tea-tasting, pandas": lambda: theirs(frame),
            "opsmetrics, polars": lambda: ours(columns), "tea-tasting, polars": lambda: theirs(columns),
            "one sum over the columns": lambda: sum(float(frame[name].sum()) for name in frame.columns[1:]),
        },
        rounds,
    )  # fmt: skip
    timing.report(seconds)
    agreed = timing.verdict("  answers apart from tea-tasting's, x 1e-6", apart(frame) / CLOSE, 1)
    return [
        contest(seconds, "opsmetrics, pandas", "tea-tasting, pandas", PANDAS),
        contest(seconds, "opsmetrics, polars", "tea-tasting, polars", POLARS),
        agreed,
    ]


def from_statistics(tests: int, calls: int, rounds: int) -> list[bool]:
    """A night of a platform."""
    stats, package = aggregates(tests), gbstats()
    last: dict[str, Any] = {}
    mine, peer = f"{tests:,} tests in one call", f"tea-tasting, {calls:,} calls"
    contenders = {
        mine: quiet(lambda: last.update(ours=ours_from_stats(stats))), peer: lambda: last.update(peer=theirs_from_stats(stats, calls)),
    }  # fmt: skip
    if package is not None:
        for what, kinds in {"difference alone": ["absolute"], "difference and lift": ["absolute", "relative"]}.items():
            contenders[f"gbstats, {what}"] = lambda kinds=kinds: last.update(third=by_gbstats(stats, calls, package, kinds))  # type: ignore[misc]
    seconds = timing.in_turns(contenders, rounds)
    timing.report(seconds)
    met = []
    for name in list(seconds)[1:]:
        low, middle, high = (ratio * tests / calls for ratio in timing.ratios(seconds, name, mine))
        told = f"  {name}, scaled to {tests:,} / one ({low:.0f} .. {high:.0f})"
        met.append(timing.verdict(told, middle, STATISTICS, at_least=True))
    return [*met, timing.verdict("  answers apart, x 1e-6", apart_from_stats(last["ours"], last["peer"], last.get("third")) / CLOSE, 1)]


def small(rounds: int) -> list[bool]:
    """Milliseconds of small calls, some in a row as in a service, and one between others, which finds the caches cold.

    Each plan is at a confidence of its own, since one that has been computed is kept.
    """
    frame = units(1_000)
    calls: dict[str, Callable[[], object]] = {
        "boundaries of 20 looks": lambda: om.GroupSequential(20, planned_n=10**6).boundaries(confidence=0.95 + 1e-9 * next(FRESH)),
        "1,000 rows, 5 metrics with covariates": lambda: ours(frame),
        "1,000 rows, 1 metric": lambda: om.ab_test(frame, variant="variant", metrics="y0", control="A"),
    }
    seconds = timing.in_turns(calls, rounds)
    timing.report({f"{name}, by itself": taken for name, taken in seconds.items()})
    row = timing.in_turns(calls, rounds, in_a_row=timing.IN_A_ROW)
    targets = dict(zip(row, (LOOKS, SMALL, SMALL), strict=True))
    return [timing.verdict(f"  {name}, in a row, ms", statistics.median(taken) * 1e3, targets[name]) for name, taken in row.items()]


def memory(count: int) -> float:
    """In a process of its own: the growth of resident memory over the size of the input columns."""
    return processes.growth_over_columns(ours, units(count))


def main(
    count: int = UNITS, *, rounds: int = ROUNDS, tests: int = TESTS, calls: int = CALLS, fast_rounds: int = FAST_ROUNDS,
    memory_units: int = MEMORY_UNITS,
) -> bool:  # fmt: skip
    """Run, print, and tell whether every target was met."""
    began = time.perf_counter()
    print(f"A/B tests: {count:,} units, {len(VARIANTS)} variants as text, {len(NAMES)} metrics with a covariate; {rounds} rounds in turns")
    if count < MOST_UNITS:
        print(f"  the targets are those of {MOST_UNITS:,}: python -m benchmarks.experiments --units {MOST_UNITS}")
    met = frames(count, rounds)
    larger = max(count, memory_units)
    met.append(timing.verdict(f"  peak memory over the columns, {larger:,}", processes.alone(memory, larger), MEMORY))
    print(f"A/B tests from statistics: {tests:,} tests of two variants; {rounds} rounds in turns")
    met += from_statistics(tests, calls, rounds)
    print(f"Small calls: {fast_rounds} rounds in turns")
    met += small(fast_rounds)
    print(f"  all in {time.perf_counter() - began:.0f} s")
    return all(met)


if __name__ == "__main__":
    given = [int(number) for flag, number in itertools.pairwise(sys.argv) if flag == "--units"]
    main(*given)
