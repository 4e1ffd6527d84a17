"""Tests that are looked at while they run: what a design changes in an answer, and what it leaves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

import opsmetrics as om
from tests.experiments.answers import ALTERNATIVES, close, frame_of, quietly
from tests.support import to_pandas

N = 4_000
GROUP = om.GroupSequential(5, planned_n=N)
DESIGNS = {"group-sequential": GROUP, "pocock": om.GroupSequential(5, planned_n=N, spending="pocock"), "always valid": om.AlwaysValid(N)}
METRICS: dict[str, Any] = {
    "rate": om.Proportion("rate"), "spend": om.Mean("spend"), "adjusted": om.Mean("spend", covariate="before"),
    "ratio": om.Ratio("spend", "visits"), "straightened": om.Mean("spend", skew_correction=True), "median": om.Quantile("before", 0.5),
}  # fmt: skip


def shop(seed: int, rows: int, lift: float = 0.0) -> pd.DataFrame:
    """Half of the visitors see B, of which `lift` more buy."""
    rng = np.random.default_rng(seed)
    variant = np.where(rng.random(rows) < 0.5, "A", "B")
    rate = (rng.random(rows) < 0.1 * (1 + lift * (variant == "B"))).astype(int)
    before = rng.gamma(2.0, 10.0, rows)
    spend = rate * rng.lognormal(3.0, 1.0, rows) + before / 20
    return pd.DataFrame({"variant": variant, "rate": rate, "spend": spend, "before": before, "visits": rng.integers(1, 6, rows)})


def look(frame: pd.DataFrame, design: Any, **choices: Any) -> om.ABTest[pd.DataFrame]:
    """The answer at one look."""
    found: om.ABTest[pd.DataFrame] = quietly(
        om.ab_test, frame, variant="variant", metrics=METRICS, control="A", sequential=design, **choices
    )
    return found


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("name", DESIGNS)
def test_the_p_value_the_bound_and_both_intervals_are_one_event(name: str, alternative: Any) -> None:
    """At every look, for every metric: p below 5 % where z is beyond the bound, and where the intervals leave out no effect."""
    seen = 0
    for seed in range(6):
        for share in (0.4, 1.0):
            found = look(shop(seed, round(N * share), lift=(0.0, 0.6, -0.6)[seed % 3]), DESIGNS[name], alternative=alternative)
            table, standing = to_pandas(found.table), to_pandas(found.sequential)
            called = (table["p_value"] < 0.05).to_numpy()
            z = standing["z"] if alternative == "greater" else -standing["z"] if alternative == "less" else standing["z"].abs()
            assert ((z > standing["bound"]).to_numpy() == called).all()
            for ends in ("difference", "lift"):
                outside = (table[f"{ends}_low"] > 0) | (table[f"{ends}_high"] < 0)
                rates = (table["kind"] == "proportion") & (ends == "difference")  # Miettinen and Nurminen's is wider by (n - 1) / n
                assert (outside.to_numpy() == called)[~rates].all()
            seen += int(called.sum())
    assert seen > 0


def test_one_look_at_the_end_is_no_design_at_all() -> None:
    """The pooled score test: the same p-value and the same intervals."""
    frame = shop(1, N, lift=0.3)
    asked: dict[str, Any] = {"variant": "variant", "metrics": {"rate": om.Proportion("rate", test="score")}, "control": "A"}
    plain, planned = om.ab_test(frame, **asked).table, om.ab_test(frame, **asked, sequential=om.GroupSequential(1, planned_n=N)).table
    columns = ["difference_low", "difference_high", "lift_low", "lift_high", "statistic", "p_value"]
    close(planned[columns], plain[columns], rel=1e-6)


def test_a_mean_has_the_variance_that_all_units_have_about_one_mean() -> None:
    """What small arms of skewed units need; written out."""
    rng = np.random.default_rng(3)
    a, b = rng.lognormal(size=900), rng.lognormal(size=100) * 1.2
    found = quietly(
        om.ab_test, frame_of(A=a, B=b), variant="variant", metrics={"m": om.Mean("y")}, control="A", sequential=om.AlwaysValid(1_000)
    )
    both = np.concatenate([a, b])
    error = math.sqrt(both.var(ddof=1) * (1 / 900 + 1 / 100))
    close(found.table["statistic"][0], (b.mean() - a.mean()) / error)


def test_before_the_burn_in_nothing_is_said() -> None:
    records = {"A": {"n": 90, "successes": 22}, "B": {"n": 90, "successes": 60}}
    small = om.ab_test_from_stats(records, control="A", sequential=om.AlwaysValid(N, burn_in=100))
    row = small.table.loc[0]
    assert row["p_value"] == 1.0
    assert (row["difference_low"], row["difference_high"], row["lift_high"]) == (-1.0, 1.0, math.inf)
    assert not small.sequential["ready"][0]


@pytest.mark.parametrize("name", DESIGNS)
def test_one_side_is_the_other_side_turned_round(name: str) -> None:
    records = {"A": {"n": 1_000, "mean": 10.0, "variance": 30.0}, "B": {"n": 1_000, "mean": 10.9, "variance": 30.0}}
    mirrored = {variant: record | {"mean": -record["mean"]} for variant, record in records.items()}
    up, down = (
        om.ab_test_from_stats(given, control="A", alternative=side, sequential=DESIGNS[name])
        for given, side in ((records, "greater"), (mirrored, "less"))
    )
    close(down.table["p_value"], up.table["p_value"])
    close(down.table["difference_high"], -up.table["difference_low"])
    for one, other, sign in (("z", "z", -1), ("bound", "bound", 1), ("estimate", "estimate", -1), ("estimate_high", "estimate_low", -1)):
        close(down.sequential[one], sign * up.sequential[other])


def test_an_estimate_at_stopping_is_drawn_towards_no_effect() -> None:
    """A median-unbiased estimate of who stopped early is smaller than the difference that stopped him; at the only look it is the same."""
    records = {"A": {"n": 400, "successes": 40}, "B": {"n": 400, "successes": 90}}
    early = om.ab_test_from_stats(records, control="A", sequential=om.GroupSequential(5, planned_n=2_000))
    only = om.ab_test_from_stats(records, control="A", sequential=om.GroupSequential(1, planned_n=800))
    assert early.sequential["stopped"][0]
    assert 0 < early.sequential["estimate"][0] < early.table["difference"][0]
    close(only.sequential["estimate"][0], only.table["difference"][0], rel=1e-3)  # scaled by the unbiased variance: (n - 1) / n


def test_around_an_estimate_each_arm_has_its_own_variance() -> None:
    """One look: the interval of who stops is the plain one, although the test has the variance that there is without an effect."""
    records = {"A": {"n": 1_800, "successes": 90}, "B": {"n": 200, "successes": 40}}
    found = om.ab_test_from_stats(records, control="A", expected_split={"A": 9, "B": 1}, sequential=om.GroupSequential(1, planned_n=2_000))
    p, q = 0.2, 0.05
    own = math.sqrt(p * (1 - p) / 199 + q * (1 - q) / 1_799)
    row = found.sequential.loc[0]
    close(row["estimate_high"] - row["estimate_low"], 2 * ndtri(0.975) * own, rel=1e-3)


def test_the_split_is_looked_at_as_often_as_the_test() -> None:
    """At one look Pearson's p-value is below the threshold, and that which holds for all looks is not."""
    records = {"A": {"n": 10_000, "successes": 500}, "B": {"n": 10_480, "successes": 500}}
    plain = quietly(om.ab_test_from_stats, records, control="A")
    looked_at = om.ab_test_from_stats(records, control="A", sequential=om.AlwaysValid(40_000))
    assert plain.params["srm_mismatch"]
    assert not looked_at.params["srm_mismatch"]
    assert looked_at.params["srm_p_value"] > plain.params["srm_p_value"]


def test_more_units_than_were_planned_are_the_last_look() -> None:
    frame = shop(5, 1_000)
    found = look(frame, om.GroupSequential(3, planned_n=800))
    standing = found.sequential
    assert standing["beyond_plan"].all()
    assert set(standing["information"]) == {1.0}
    assert standing["stopped"].all()


# ------------------------------------------------------------------------------------------------------- cuts, many alike


def test_a_cut_is_that_of_its_metric() -> None:
    """The same column, cut in one metric, in two ways, and not at all."""
    frame = shop(6, 2_000)
    metrics = {"plain": om.Mean("spend"), "cut": om.Mean("spend", winsorize=0.9), "both": om.Mean("spend", winsorize=(0.1, 0.95))}
    together = quietly(om.ab_test, frame, variant="variant", metrics=metrics, control="A").table.set_index("metric")
    for name, metric in metrics.items():
        alone = quietly(om.ab_test, frame, variant="variant", metrics={name: metric}, control="A").table.set_index("metric")
        pd.testing.assert_frame_equal(together.loc[[name]], alone)
    assert together["control"].nunique() == 3


def test_metrics_side_by_side_are_what_they_are_alone() -> None:
    """Those that are asked the same are compared at once."""
    frame = shop(7, 2_000).assign(more=lambda f: f["spend"] * 2, other=lambda f: f["before"] + 1)
    metrics = {**METRICS, "more": om.Mean("more"), "other": om.Mean("more", covariate="other"), "rate too": om.Proportion("rate")}
    together = quietly(om.ab_test, frame, variant="variant", metrics=metrics, control="A").table
    alone = [quietly(om.ab_test, frame, variant="variant", metrics={name: metric}, control="A").table for name, metric in metrics.items()]
    pd.testing.assert_frame_equal(together, pd.concat(alone, ignore_index=True))


def test_experiments_side_by_side_are_what_they_are_alone() -> None:
    """Counts, means, a ratio, and one with three variants, in one call."""
    records = [
        {"experiment": "b", "metric": "rate", "variant": v, "n": 1_000, "successes": k} for v, k in (("A", 50), ("B", 70))
    ] + [
        {"experiment": "a", "metric": "spend", "variant": v, "n": 500, "mean": m, "variance": 9.0}
        for v, m in (("A", 3.0), ("B", 3.5), ("C", 2.8))
    ] + [
        {"experiment": "b", "metric": "aov", "variant": v, "n": 400, "mean": m, "variance": 9.0, "denominator_mean": 1.5,
         "denominator_variance": 0.5, "covariance_denominator": 1.0} for v, m in (("A", 3.0), ("B", 3.5))
    ]  # fmt: skip
    frame = pd.DataFrame(records)
    whole = quietly(om.ab_test_from_stats, frame, by="experiment", control="A").table
    for (experiment, metric), rows in whole.groupby(["experiment", "metric"], sort=False):
        own = frame[(frame["experiment"] == experiment) & (frame["metric"] == metric)].drop(columns="experiment").dropna(axis=1)
        alone = quietly(om.ab_test_from_stats, own, control="A").table
        pd.testing.assert_frame_equal(rows.drop(columns="experiment").reset_index(drop=True), alone)
