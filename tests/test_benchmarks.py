"""The benchmarks run and compare like with like; how fast, `make bench` tells on a machine that does nothing else."""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.stats import binom

import opsmetrics as om
from benchmarks import (
    experiments,
    experiments_errors,
    experiments_peeking,
    funnel,
    funnel_intervals,
    lifecycle,
    lifetime_value,
    lifetime_value_recovery,
    lifetime_value_robustness,
    peers,
    processes,
    return_probability,
    rfm,
    simulated_customers,
    simulated_experiments,
    timing,
)
from opsmetrics.experiments import schedules
from tests.support import data


def test_the_contenders_answer_the_same_question() -> None:
    orders = rfm.orders(5_000, 400)
    mine, hand, bare = rfm.ours(orders), rfm.by_hand(orders), rfm.bare_polars(pl.from_pandas(orders)).sort("customer")
    assert mine["customer"].tolist() == hand.index.tolist() == bare["customer"].to_list()
    assert mine["frequency"].tolist() == hand["frequency"].tolist() == bare["len"].to_list()
    assert mine["monetary"].tolist() == pytest.approx(hand["monetary"].tolist())


def test_the_contenders_count_the_same_funnel() -> None:
    """The peers are written by hand in five ways: outside witnesses of the counts."""
    frame = funnel.events(60_000, 4_000)
    columns = pl.from_pandas(frame)
    counts = funnel.counts(frame)
    assert min(counts[:4]) > 0
    assert counts == funnel.counts(columns) == funnel.full(frame)
    assert counts == funnel.by_hand(frame)
    for peer in (funnel.asof, funnel.window_sql, funnel.sorted_expressions, funnel.join_asof):
        assert peer(columns) == counts, peer.__name__


def test_clusters_keep_the_promise_of_the_interval() -> None:
    """A small run of the simulation: the error of 400 simulations is one point."""
    clustered, naive = funnel_intervals.coverage(*funnel_intervals.SHOPS["300 customers, 20 %"], simulations=400)
    assert 0.90 <= clustered <= 0.99
    assert naive < 0.85


def test_ratios_and_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = timing.in_turns({"a": lambda: None, "b": lambda: None}, 3)
    assert [len(taken) for taken in seconds.values()] == [3, 3]
    assert timing.ratios({"a": [1.0, 2.0, 6.0], "b": [2.0, 2.0, 2.0]}, "a", "b") == (0.5, 1.0, 3.0)
    assert timing.verdict("x", 1.0, 1.0)
    assert not timing.verdict("x", 1.1, 1.0)
    assert "MISSED" in capsys.readouterr().out
    assert timing.verdict("x", 1.1, 1.0, at_least=True)
    assert not timing.verdict("x", 0.9, 1.0, at_least=True)
    assert ">= 1: MISSED" in capsys.readouterr().out


def test_the_clock_may_be_that_of_the_processor_and_the_first_round_may_count() -> None:
    runs: list[float] = []
    seconds = timing.in_turns({"a": lambda: runs.append(time.sleep(0.05) or 0.0)}, 2, clock=time.process_time, warmed=True)
    assert len(runs) == len(seconds["a"]) == 2
    assert max(seconds["a"]) < 0.05


def test_a_process_of_its_own_has_one_thread_of_blas() -> None:
    before = dict(os.environ)
    assert processes.alone(os.getpid) != os.getpid()
    assert processes.side_by_side(os.getenv, processes.BLAS_THREADS) == ["1", "1", "1"]
    assert dict(os.environ) == before
    with pytest.raises(ValueError, match="none"):
        processes.alone(int, "none")


def test_growth_of_memory_is_that_of_the_call() -> None:
    processes.release()
    assert 0.9 * 8e7 <= processes.peak_growth(lambda: np.ones(10_000_000)) <= 1.5 * 8e7


def test_scratch_memory_of_a_funnel_stays_below_the_columns() -> None:
    """Of a log large enough to be cut into parts: at most 1.5 times the input columns, as allocations are counted."""
    frame = funnel.events(2_500_000, 250_000)
    funnel.counts(frame.head(1_000))
    tracemalloc.start()
    funnel.counts(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 1.5 * sum(frame[name].nbytes for name in frame)


def test_scratch_memory_stays_below_the_columns() -> None:
    """Of a frame large enough to be cut into parts: at most 1.5 times the input columns, as allocations are counted."""
    orders = rfm.orders(1_500_000, 150_000)
    rfm.ours(orders.head(1_000))
    tracemalloc.start()
    rfm.ours(orders)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 1.5 * sum(orders[name].nbytes for name in orders)


def test_the_contenders_tell_the_same_states_and_triangle() -> None:
    """The recipes and the window functions are outside witnesses of the counts."""
    orders = rfm.orders(20_000, 2_000)
    mine, shift = lifecycle.states(orders), lifecycle.states_by_shift(orders)
    sql = lifecycle.states_by_sql(pa.Table.from_pandas(orders[["customer", "time"]], preserve_index=False)).to_pandas()
    for name in ("active", "new", "retained", "resurrected"):
        assert mine[name].tolist() == shift[name].tolist() == sql[name].tolist(), name
    assert mine["churned"].tolist()[1:] == shift["leaving"].tolist()[:-1] == sql["leaving"].tolist()[:-1]
    ours, pivot = lifecycle.triangle(orders), lifecycle.triangle_by_pivot(orders)
    shares = ours[[str(age) for age in pivot.columns]].to_numpy()
    known = ~np.isnan(shares) & ~np.isnan(pivot.to_numpy())
    assert known.sum() > 100
    assert shares[known] == pytest.approx(pivot.to_numpy()[known])


def test_pages_quote_what_the_calibration_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line of figures on the page is a line of the run."""
    data("online_retail.parquet")
    return_probability.main()
    printed = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    root = Path(__file__).resolve().parents[1] / "docs"
    for page in (root / "lifecycle.md", root / "zh" / "lifecycle.md"):
        after = page.read_text("utf-8").partition("python -m benchmarks.return_probability")[2]
        quoted = [" ".join(line.split()) for line in after.partition("```text\n")[2].partition("```")[0].splitlines() if "[" in line]
        assert len(quoted) >= 5
        assert set(quoted) <= printed, set(quoted) - printed


# --------------------------------------------------------------------------------------------------- lifetime value


def test_the_contenders_summarise_alike() -> None:
    """The recipes and lifetimes are outside witnesses of the summary."""
    lines = rfm.orders(20_000, 3_000)
    mine = lifetime_value.summary(lines).set_index("customer").astype("float64")
    others = [
        lifetime_value.summary_peer(lines),
        lifetime_value.summary_by_hand(lines).set_index("customer"),
        lifetime_value.summary_by_polars(pl.from_pandas(lines)).to_pandas().set_index("customer"),
        lifetime_value.summary_by_sql(lifetime_value.log_in_duckdb(lines)).to_pandas().set_index("customer"),
    ]
    for found in others:
        table = found.astype("float64").sort_index()
        assert table.index.tolist() == mine.index.tolist()
        assert np.allclose(table[list(mine)], mine, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", list(lifetime_value.ESTIMATORS))
def test_the_contenders_fit_alike(name: str) -> None:
    """To CDNOW: parameters as near as the peer's search comes, at a likelihood that is no lower."""
    table = lifetime_value.cdnow()
    ours = lifetime_value.fit(name, table)
    repeaters = lifetime_value.repeaters(table, lifetime_value.ESTIMATORS[name].columns)
    theirs = lifetime_value.fit_peer(name, lifetime_value.held(name, repeaters))
    assert lifetime_value.fit(name, lifetime_value.held(name, table)) == ours
    assert list(theirs.params_) == pytest.approx(list(ours.params.values()), rel=0.02)
    assert ours.log_likelihood > peers.heard(type(ours).from_lifetimes, theirs).log_likelihood - 1e-6


def test_the_contenders_value_alike() -> None:
    """Twelve months of 30 days; lifetimes discounts each by its last day, which is about half a month's discount less."""
    table = lifetime_value.shop(2_000)
    buying, spending = lifetime_value.fit("BG/NBD", table), lifetime_value.fit("Gamma-Gamma", table)
    ours = lifetime_value.score(buying, spending, table, 0.95)
    theirs = lifetime_value.score_peer(peers.heard(buying.to_lifetimes), peers.heard(spending.to_lifetimes), table)
    assert np.allclose(theirs, ours["value"] * 1.01**-0.5, rtol=0.002)
    assert (ours["value_low"] < ours["value"]).all()
    assert (ours["value"] < ours["value_high"]).all()
    assert lifetime_value.score(buying, spending, table)["value"].tolist() == pytest.approx(ours["value"].tolist())


@pytest.mark.parametrize("name", list(lifetime_value.ESTIMATORS))
def test_a_fit_costs_few_evaluations_and_little_memory(name: str) -> None:
    """At most ten arrays as long as the summary, as allocations are counted."""
    assert lifetime_value.fit(name, lifetime_value.cdnow()).evaluations <= lifetime_value.MOST_EVALUATIONS
    table = lifetime_value.shop(300_000)
    tracemalloc.start()
    fit = lifetime_value.fit(name, table)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fit.converged
    assert fit.evaluations <= lifetime_value.MOST_EVALUATIONS
    assert peak <= lifetime_value.MOST_ARRAYS * 8 * len(table)


def test_the_benchmark_of_lifetime_value_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In small: every ratio is printed beside its target."""
    for rounds in ("ROUNDS", "FAST_ROUNDS", "ROW_ROUNDS"):
        monkeypatch.setattr(lifetime_value, rounds, 1)
    assert lifetime_value.measure(customers=5_000, fewer=500, lines=20_000) in {True, False}
    told = [line.partition("target ")[2].partition(":")[0] for line in capsys.readouterr().out.splitlines() if "target " in line]
    speeds = [">= 25", ">= 40", ">= 25", ">= 60", ">= 150 at a million", ">= 25", ">= 60", ">= 20", ">= 12", ">= 3", ">= 1.5", ">= 1.5"]
    assert [one.removeprefix("is ") for one in told if ">=" in one] == speeds
    assert told.count("<= 12") == 8


def test_asking_lifetimes_leaves_no_trace() -> None:
    filters, state = list(warnings.filters), np.random.get_state()  # noqa: NPY002
    table = lifetime_value.cdnow().head(500)
    assert peers.fitted("BetaGeoFitter", [table[name] for name in lifetime_value.HISTORY]).params_["r"] > 0
    alike = np.full(3, 5.0)
    assert peers.fitted("BetaGeoFitter", [np.full(3, 3), alike, alike]) is None, "it says that it did not converge"
    assert list(warnings.filters) == filters
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), state, strict=True))  # noqa: NPY002


@pytest.mark.parametrize("category", list(simulated_customers.CATEGORIES))
def test_fits_of_nasty_histories_end_as_they_should(category: str) -> None:
    """One set of each category and all models; all sets are in the benchmark."""
    (task,) = (one for one in lifetime_value_robustness.tasks(11, 1, 0) if one.name == f"{category}, 1")
    assert [(one.model, one.wrong) for one in lifetime_value_robustness.run(task) if one.wrong] == []


def test_failures_of_fits_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a fit that is wrong in one way each."""
    history = simulated_customers.bg_nbd(np.random.default_rng(0), np.full(300, 200.0), 0.0, r=0.8, alpha=20.0, a=0.9, b=2.5).history
    ending, wrong, fit = lifetime_value_robustness.judged("BG/NBD", history)
    assert (ending, wrong) == ("converged", "")
    saved = fit.to_dict()
    nan, flat = {name: float("nan") for name in fit.params}, {a: dict.fromkeys(fit.params, 0.0) for a in fit.params}

    def judged(**changes: object) -> tuple[str, str]:
        bad = om.BetaGeoFit(**{**{name: getattr(fit, name) for name in saved if name != "model"}, **changes})
        monkeypatch.setattr(om.BetaGeo, "fit", lambda self, rows: bad)
        return lifetime_value_robustness.judged("BG/NBD", history)[:2]

    assert judged() == ("converged", "")
    assert judged(params=nan)[1] == "a parameter or its error is not finite"
    assert judged(converged=False)[1] == "not converged, and no sentence"
    assert judged(converged=False, warnings=("so it is",)) == ("ended with a sentence", "")
    assert judged(params={})[1] == "no parameters, though there are repeat purchases"
    assert judged(params={"r": 1.0, "alpha": 1.0, "a": -0.5, "b": 1.0}, covariance=flat)[1] != ""


def test_failures_of_lifetimes_are_counted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Two sets it cannot fit; a shop it can fit; and one for which it has no time."""
    rng = np.random.default_rng(0)
    shop = simulated_customers.pareto_nbd(rng, np.full(300, 200.0), 0.0, r=0.8, alpha=20.0, s=0.9, beta=60.0).history
    nothing = (np.zeros(20, dtype=np.int64), np.zeros(20), np.full(20, 30.0))
    found = lifetime_value_robustness.run(lifetime_value_robustness.Task("shop", shop, there=True))
    found += lifetime_value_robustness.run(lifetime_value_robustness.Task("nothing", nothing, there=True))
    assert {one.model: one.there for one in found if one.name == "shop"}["BG/NBD"] == lifetime_value_robustness.GOOD
    assert lifetime_value_robustness.GOOD not in {one.there for one in found if one.name == "nothing"}
    monkeypatch.setattr(lifetime_value_robustness, "PATIENCE", 0.01)
    assert lifetime_value_robustness.judged_there("Pareto/NBD", shop, None) == (lifetime_value_robustness.LATE, False)
    assert lifetime_value_robustness.report(found)
    assert "failures of lifetimes 1 of 2; here on the same 0" in capsys.readouterr().out


def _ordinary() -> lifetime_value_robustness.Shop:
    orders = om.make_orders(customers=120, rng=1)[["customer", "time", "amount"]]
    return lifetime_value_robustness.Shop("ordinary", orders, orders["time"].max(), 180, "auto")


@pytest.mark.parametrize("part", range(5))
@pytest.mark.parametrize("category", list(lifetime_value_robustness.SHOPS))
def test_values_of_nasty_orders_end_as_they_should(category: str, part: int) -> None:
    """Ten sets of each category, two at a time; more are in the benchmark."""
    own = [shop for shop in lifetime_value_robustness.shops(11, 10) if shop.name.startswith(category)]
    assert len(own) == 10
    assert [(one.name, one.wrong) for one in map(lifetime_value_robustness.valued, own[part::5]) if one.wrong] == []


def test_failures_of_values_are_seen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An ordinary shop has none; totals that are no numbers, errors and warnings of others are, an error of the library is none."""
    shop = _ordinary()
    fine = lifetime_value_robustness.valued(shop)
    assert (fine.here, fine.wrong) == (lifetime_value_robustness.SHOWN, "")
    made = om.clv(shop.orders, customer="customer", time="time", amount="amount", model="mbg_nbd")
    bad = dataclasses.replace(made, _tables={**made._tables, "totals": made.totals.assign(expected_purchases_low=np.nan)})

    def judged(answer: Callable[[], object]) -> tuple[str, str]:
        monkeypatch.setattr(om, "clv", lambda orders, **asked: answer())
        found = lifetime_value_robustness.valued(shop)
        assert lifetime_value_robustness.report([found]) == (not found.wrong)
        return found.here, found.wrong

    def refused() -> object:
        raise om.FitError("so it is", code="fit.no_repeats")

    assert judged(lambda: bad) == (lifetime_value_robustness.SHOWN, "totals without a number: expected_purchases_low")
    assert judged(lambda: np.log(np.zeros(1)))[1] == "RuntimeWarning: divide by zero encountered in log"
    assert judged(dict[str, int]().popitem)[1] == "KeyError: 'popitem(): dictionary is empty'"
    assert judged(refused) == ("refused with fit.no_repeats", "")
    assert "failures 1 of 1" in capsys.readouterr().out


def test_robustness_and_recovery_report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In this process, and tiny."""
    monkeypatch.setattr(processes, "side_by_side", lambda ask, tasks: [ask(task) for task in tasks])
    sets = list(itertools.islice(simulated_customers.nasty(0), 2))
    monkeypatch.setattr(simulated_customers, "nasty", lambda seed: iter(sets))
    monkeypatch.setattr(lifetime_value_robustness, "SHOPS", {"ordinary": lambda rng: _ordinary()})
    assert lifetime_value_robustness.main(sets=2, peer_sets=1)
    out = capsys.readouterr().out
    assert "2 nasty sets of customers, 3 models, lifetimes beside them; 2 nasty sets of orders" in out
    assert out.count("failures 0 of 2") == 4
    assert out.count("lifetimes on 1: ") == 3
    assert lifetime_value_recovery.main(replications=3, customers=200, fits=4) in {True, False}
    assert capsys.readouterr().out.count("in its interval of 95 %") == 4 * 3 + 3


@pytest.mark.parametrize("model", list(lifetime_value_recovery.TRUTHS))
def test_intervals_and_predictions_recover_what_was_simulated(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A small run: of 60 shops the error of a share is 3 to 4 points."""
    shops = lifetime_value_recovery.shops(model, 60, customers=600)
    found, held = ([ask(one) for one in shops] for ask in (lifetime_value_recovery.shop, lifetime_value_recovery.held))
    shares = [*lifetime_value_recovery.covered(held, held[0]).values()]
    assert len(shares) == 7
    assert min(shares) >= 0.8
    assert 0.9 <= np.mean(shares) <= 0.99
    assert all(abs(errors) <= 3.5 for _, errors in lifetime_value_recovery.biases(found).values())
    for of in ("all purchases", "all value"):
        outcome, mean = (np.mean([one.totals[of, kind] for one in found]) for kind in ("outcome", "mean"))
        assert outcome >= 0.78
        assert mean <= outcome - 0.1
    assert min(np.mean([one.each[of] for one in found]) for of in ("purchases", "value")) >= 0.9
    assert np.abs(np.mean([one.transform for one in found], axis=0) - 0.1).max() <= 0.01
    lifetime_value_recovery.report(found)
    assert "all value in the 90% interval of the outcome" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------------- experiments


def test_the_contenders_test_alike(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """tea-tasting is an outside witness of estimates, intervals and p-values; in small, every ratio is printed beside its target."""
    monkeypatch.setattr(processes, "alone", lambda ask, *args: ask(*args))
    assert experiments.main(3_000, rounds=1, tests=300, calls=40, fast_rounds=1, memory_units=1) in {True, False}
    lines = [line for line in capsys.readouterr().out.splitlines() if "target " in line]
    told = [line.partition("target ")[2].partition(":")[0] for line in lines if "gbstats" not in line]
    assert told == ["<= 1", "<= 0.1", "<= 0.6", "<= 0.3", ">= 100", "<= 1", "<= 15", "<= 5", "<= 5"]
    assert all(line.endswith(": met") for line in lines if "answers apart" in line)


def test_each_plan_that_is_timed_is_computed() -> None:
    before = schedules.stops.cache_info().misses
    experiments.small(3)
    assert schedules.stops.cache_info().misses == before + 4 * (1 + timing.IN_A_ROW), "one round warms up"


def test_a_difference_to_a_peer_is_seen() -> None:
    frame = experiments.units(2_000)
    assert experiments.apart(frame) < 1e-6
    two = frame[frame["variant"].isin(["A", "B"])]
    rows, moved = (experiments.ours(own).table.set_index("metric").loc["y0"] for own in (two, two.assign(y0=two["y0"] * 1.001)))
    peer = next(iter(experiments.theirs(two).values()))["y0"]
    assert experiments.against(rows, peer) < 1e-6 < 1e-4 < experiments.against(moved, peer)


UNITS = 400
"""Units of each of the two arms that are given to the frame door."""


def _units(numbers: int) -> pd.DataFrame:
    """Numbers of units that are related to each other, in two arms."""
    rng = np.random.default_rng(3)
    base = rng.gamma(1.0, 2.0, 2 * UNITS)
    columns = {f"x{i}": base + rng.gamma(2.0, 1.0 + i, 2 * UNITS) for i in range(numbers)}
    return pd.DataFrame({"variant": np.repeat(["A", "B"], UNITS), **columns})


@pytest.mark.parametrize(
    ("population", "metric"),
    [
        (simulated_experiments.Normal(), om.Mean("x0")),
        (simulated_experiments.Normal(correlation=0.5), om.Mean("x0", covariate="x1")),
        (simulated_experiments.RevenuePerOrder(), om.Ratio("x0", "x1")),
        (simulated_experiments.Clusters(), om.Mean("x0")),
    ],
    ids=["mean", "covariate", "ratio", "clusters"],
)
def test_simulated_statistics_are_those_of_the_frame_door(population: simulated_experiments.Population, metric: om.Mean | om.Ratio) -> None:
    """Column by column, of the same units."""
    units = _units(len(population.numbers))
    cell = np.repeat([0, 1], UNITS)
    if clusters := isinstance(population, simulated_experiments.Clusters):
        units["id"] = np.repeat(np.arange(UNITS // 2), 4)
        sums = units.groupby("id")["x0"].agg(["sum", "size"])
        values, cell = [sums[name].to_numpy(dtype=np.float64) for name in sums], np.repeat([0, 1], UNITS // 4)
    else:
        values = [units[f"x{i}"].to_numpy() for i in range(len(population.numbers))]
    found = simulated_experiments.of_units(np.bincount(cell), cell, values)
    told = om.ab_test(units, variant="variant", metrics={"m": metric}, cluster="id" if clusters else None).stats
    for name, column in simulated_experiments.columns(found, population).items():
        assert column.tolist() == pytest.approx(told[name].tolist(), rel=1e-9, abs=1e-9), name


def test_winsorised_and_ordered_statistics_are_those_of_the_frame_door() -> None:
    units = _units(1)
    values = units["x0"].to_numpy()[None, :]
    cut = experiments_errors.table_of(experiments_errors.Winsorised((UNITS, UNITS)).cut(values))
    ordered = [np.sort(values[:, :UNITS]), np.sort(values[:, UNITS:])]
    case = experiments_errors.Quantiles(0.9, (UNITS, UNITS), [experiments_errors.order(0.9)])
    ranked = case.table(ordered, "order-statistics", np.random.default_rng(0))
    asked = om.ab_test(units, variant="variant", metrics={"cut": om.Mean("x0", winsorize=0.99), "p90": om.Quantile("x0", 0.9)}).stats
    for metric, table in (("cut", cut), ("p90", ranked)):
        for name in ("n", "mean", "variance"):
            assert table[name].tolist() == pytest.approx(asked.loc[asked["metric"] == metric, name].tolist()), (metric, name)


@pytest.mark.parametrize(
    "population",
    [
        simulated_experiments.Normal(correlation=0.7), simulated_experiments.Bernoulli(), simulated_experiments.Revenue(),
        simulated_experiments.Revenue(before=True), simulated_experiments.OrdersPerSession(), simulated_experiments.RevenuePerOrder(),
        simulated_experiments.Clusters(),
    ],
    ids=["normal", "proportion", "revenue", "revenue before", "orders per session", "revenue per order", "clusters"],
)  # fmt: skip
@pytest.mark.parametrize("lift", [0.0, 0.2])
def test_populations_have_their_truth(population: simulated_experiments.Population, lift: float) -> None:
    """The mean of 400 draws lies within four of its standard errors."""
    drawn = population.draw(np.random.default_rng(1), np.full(400, 1_000), lift)
    mean = drawn.mean
    found = mean[:, 0] / mean[:, 1] if "denominator" in population.numbers else mean[:, 0]
    assert found.mean() == pytest.approx(population.truth(lift), abs=4 * found.std() / 20)


def test_levels_of_proportions_are_summed_exactly() -> None:
    """Of the score test, from the binomial chances and the formula alone."""
    case = experiments_errors.Counted(0.05, (90, 30), [experiments_errors.NEWCOMBE])
    (shares,) = experiments_errors.exactly(case)
    k0, k1 = np.arange(91)[:, None], np.arange(31)
    pooled = (k0 + k1) / 120
    with np.errstate(invalid="ignore"):
        z = (k1 / 30 - k0 / 90) / np.sqrt(pooled * (1 - pooled) * (1 / 30 + 1 / 90))
    chance = binom.pmf(k0, 90, 0.05) * binom.pmf(k1, 30, 0.05)
    assert shares[experiments_errors.UPPER] == pytest.approx(chance[z > 1.959964].sum(), abs=1e-4)
    assert shares[experiments_errors.LOWER] == pytest.approx(chance[z < -1.959964].sum(), abs=1e-4)


def test_errors_are_judged_by_tail_interval_and_warning() -> None:
    shares = np.array([0.025, 0.025, 0.02, 0.02, 0.02, 0.02, 0.0, 0.0])
    assert experiments_errors.judged(shares, np.inf) == "held"
    for place, bad in ((experiments_errors.UPPER, 0.04), (experiments_errors.ABOVE, 0.05), (experiments_errors.LIFT_BELOW, 0.05)):
        off = shares.copy()
        off[place] = bad
        assert experiments_errors.judged(off, np.inf) == "MISSED"
        assert experiments_errors.judged(off, 100) == "held", "within three Monte Carlo errors"
        off[experiments_errors.WARNING] = 0.9
        assert experiments_errors.judged(off, np.inf) == "warned"


def test_a_small_run_finds_what_the_large_one_finds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Welch's errors in one tail, with a warning; the pooled test that holds; families with and without a correction."""
    monkeypatch.setattr(processes, "side_by_side", lambda ask, tasks: [ask(task) for task in tasks])
    revenue = experiments_errors.Drawn(
        "revenue", simulated_experiments.Revenue(), (900, 100), [experiments_errors.WELCH, experiments_errors.CORRECTED]
    )
    welch, corrected = experiments_errors.collected(experiments_errors.run, [revenue], 800)[0]
    lower, warning = experiments_errors.LOWER, experiments_errors.WARNING
    assert welch[lower] > 0.07
    assert welch[warning] > 0.8
    assert max(corrected[experiments_errors.UPPER], corrected[lower]) < 0.04
    assert welch[experiments_errors.TORN] == corrected[experiments_errors.TORN] == 0
    several = [
        one for one in experiments_errors.families() if one.what in {"2 treatments x 5 metrics, none", "2 treatments x 5 metrics, holm"}
    ]
    plain, holm = (own[0] for own in experiments_errors.collected(experiments_errors.family, several, 400))
    assert plain > 0.3
    assert holm < 0.09
    close = experiments_errors.margins()[:1]
    (at,) = experiments_errors.collected(experiments_errors.margin, close, 800)
    assert 0.02 < at[0] < 0.08
    capsys.readouterr()
    few = [one for one in experiments_errors.cases() if sum(one.sizes) <= 200]
    pairs = [experiments_errors.Counted(0.5, (10, 10), [experiments_errors.SCORE])]
    assert experiments_errors.main(20, drawn=few, exact=pairs, several=several, close=close) in {True, False}
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.endswith(("held", "warned", "MISSED"))]) == sum(len(one.methods) for one in few) + 3


def test_looks_cost_what_is_published() -> None:
    """24.8 % for 20 looks: P. Armitage, C. K. McPherson & B. C. Rowe (1969), Repeated significance tests, JRSS A 132, 235-244."""
    naive, obrien = (experiments_peeking.integrated(rule, 20) for rule in (experiments_peeking.NAIVE, experiments_peeking.OBRIEN))
    assert naive.level == pytest.approx(0.248, abs=5e-4)
    assert obrien.level == pytest.approx(0.05, abs=1e-6)
    assert naive.used < obrien.used < 1
    assert 1 < obrien.inflation < 1.1


def test_tests_that_are_followed_end_as_they_should(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A small run: the naive rule errs often, O'Brien and Fleming's does not; without looks the estimate is the difference."""
    monkeypatch.setattr(processes, "side_by_side", lambda ask, tasks: [ask(task) for task in tasks])
    monkeypatch.setattr(experiments_peeking, "LOOKS", 10)
    monkeypatch.setattr(experiments_peeking, "MANY", 40)
    monkeypatch.setattr(experiments_peeking, "SPLITS", ((20_000, 0.5, 0.5, 10), (100_000, 0.51, 0.5, 10)))
    shop = experiments_peeking.Shop("proportion", simulated_experiments.Bernoulli(), 2_000, 0.5)
    found = experiments_peeking.run((shop, 150, 0))
    wrong = {rule: (own.none.better | own.none.worse).mean() for rule, own in found.items()}
    assert wrong[experiments_peeking.NAIVE] > 0.1
    assert wrong[experiments_peeking.BAYES] > wrong[experiments_peeking.NAIVE]
    assert wrong[experiments_peeking.OBRIEN] < 0.11
    some = {rule: own.some for rule, own in found.items()}
    assert 0.6 < some["a single look"].better.mean() < 0.95
    early = some[experiments_peeking.OBRIEN]
    assert early.used.mean() < 1
    assert np.nanmean(early.difference) > np.nanmean(early.estimate) > 0
    assert experiments_peeking.inside(early.stage_low, early.stage_high, shop.difference(shop.lift)) > 0.88
    assert experiments_peeking.main(20, chosen=[shop], many=[shop]) in {True, False}
    out = capsys.readouterr().out
    assert out.count("held") + out.count("MISSED") == 3 * 4
    assert "51.0% instead of 50% of 100,000, 10 looks" in out


def test_sample_ratios_are_judged_as_the_library_judges_them() -> None:
    """The least p-value over the looks of one test; the peer's is Pearson's at each look."""
    pearson, mixture = experiments_peeking.mismatches((0.51, 0.5, 20_000, 20, 1, 7))[0]
    treated = np.cumsum(np.random.default_rng([20, 20_000, 5_100, 7]).binomial(1_000, 0.51, 20))
    looks = [{"A": int(1_000 * (i + 1) - b), "B": int(b)} for i, b in enumerate(treated)]
    assert om.srm_test(looks, peeking=True).params["p_value"] == pytest.approx(mixture, rel=1e-9)
    assert min(om.srm_test(look).params["p_value"] for look in looks) == pytest.approx(pearson, rel=1e-9)
