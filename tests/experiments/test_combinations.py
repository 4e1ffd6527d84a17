"""Options together: what goes, what is refused, and what must hold whichever are chosen."""

from __future__ import annotations

import math
import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from opsmetrics.experiments import readings
from tests.experiments.answers import close, frame_of, quietly

DESIGN = om.GroupSequential(2, planned_n=40_000)
ALIKE = {"A": {"n": 10_000, "successes": 5_000}, "B": {"n": 10_000, "successes": 5_030}}
OPTIONS: dict[str, Any] = {
    "plain": {}, "fisher": {"test": "fisher"}, "boschloo": {"test": "boschloo"},
    "non-inferiority": {"hypothesis": "non-inferiority", "margin": 0.05},
    "less is better": {"hypothesis": "non-inferiority", "margin": 0.05, "decrease": True},
    "equivalence": {"hypothesis": "equivalence", "margin": 0.05},
}  # fmt: skip
CORRECTIONS = ("holm", "hochberg", "bonferroni", "benjamini-hochberg", "benjamini-yekutieli", "dunnett")


def asked(records: Any, metric: om.Proportion, **choices: Any) -> om.ABTest[pd.DataFrame]:
    found: om.ABTest[pd.DataFrame] = quietly(om.ab_test_from_stats, records, control="A", metrics={"metric": metric}, **choices)
    return found


@pytest.mark.parametrize("mean", [1e6, 1e9, -1e9])
def test_the_lift_of_a_large_mean_keeps_its_digits(mean: float) -> None:
    """Nothing is known of the control but its mean, so that the lift is the difference in other units."""
    records = {"A": {"n": 100_000, "mean": mean, "variance": 1.0}, "B": {"n": 100_000, "mean": mean + 0.0078125, "variance": 1.0}}
    row = om.ab_test_from_stats(records, control="A").table.loc[0]
    close(row[["lift_low", "lift_high"]] * abs(mean), row[["difference_low", "difference_high"]], rel=1e-6)


@pytest.mark.parametrize("options", ["non-inferiority", "less is better"])
def test_an_estimate_at_stopping_is_of_the_difference_and_not_of_its_distance_to_the_margin(options: str) -> None:
    metric = om.Proportion("successes", **OPTIONS[options])
    found = asked(ALIKE, metric, sequential=om.GroupSequential(1, planned_n=20_000))
    assert found.sequential["stopped"][0]
    # The score statistic has the variance of rates that differ by the margin, 2 % away from that of rates that are alike.
    close(found.sequential["estimate"][0], found.table["difference"][0], abs=0.02 * 0.05)
    always = asked(ALIKE, metric, sequential=om.AlwaysValid(20_000))
    assert always.table["difference_low"][0] <= always.sequential["estimate"][0] <= always.table["difference_high"][0]


def test_an_always_valid_estimate_has_the_interval_of_the_table() -> None:
    skewed = {"variance": 100.0, "third_moment": 2e4}
    records = {"A": {"n": 9_000, "mean": 1.0, **skewed}, "B": {"n": 1_000, "mean": 2.2, **skewed}}
    found = quietly(
        om.ab_test_from_stats, records, control="A", expected_split={"A": 9, "B": 1}, sequential=om.AlwaysValid(20_000),
        metrics={"metric": om.Mean("mean", skew_correction=True)},
    )  # fmt: skip
    close(found.sequential.loc[0, ["estimate_low", "estimate_high"]], found.table.loc[0, ["difference_low", "difference_high"]])


@pytest.mark.parametrize(
    ("metric", "choices", "code"),
    [
        (om.Proportion("successes", **OPTIONS["equivalence"]), {"sequential": DESIGN}, "parameter.hypothesis"),
        (om.Proportion("successes", **OPTIONS["equivalence"]), {"correction": "dunnett"}, "parameter.hypothesis"),
        (om.Proportion("successes", test="fisher"), {"sequential": DESIGN}, "parameter.test"),
        (om.Proportion("successes", test="boschloo"), {"correction": "dunnett"}, "parameter.test"),
        (om.Proportion("successes", **OPTIONS["non-inferiority"]), {"alternative": "less"}, "parameter.alternative"),
        (om.Proportion("successes"), {"sequential": DESIGN, "correction": "dunnett"}, "parameter.correction"),
    ],
    ids=["equivalence, looks", "equivalence, dunnett", "exact, looks", "exact, dunnett", "a margin and a side", "dunnett, looks"],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(metric: Any, choices: Any, code: str) -> None:
    with pytest.raises(om.ParameterError) as caught:
        asked(ALIKE, metric, **choices)
    assert caught.value.code == code


def test_a_plan_refuses_what_the_test_does() -> None:
    with pytest.raises(om.ParameterError, match="dunnett"):
        om.sample_size(0.05, effect=0.01, allocation=(1, 1, 1), correction="dunnett", sequential=DESIGN)


@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize("options", OPTIONS)
def test_no_correction_makes_a_p_value_smaller(correction: Any, options: str) -> None:
    """Of few and of many units, with tests that look at counts and at margins."""
    if correction == "dunnett" and options in {"fisher", "boschloo", "equivalence"}:
        return
    for size in (40, 400):
        counts = {name: {"n": size, "successes": k} for name, k in zip("ABCD", (1, 0, 1, 6), strict=True)}
        table = asked(counts, om.Proportion("successes", **OPTIONS[options]), correction=correction).table
        assert (table["p_adjusted"] >= table["p_value"] - 1e-12).all()


# ------------------------------------------------------------------------------------------------------ strata, covariates


def test_small_strata_do_not_pass_for_an_effect() -> None:
    """Twelve strata, far apart, of some seven units: to put together those whose split is lopsided made 12 % false positives."""
    rng, called = np.random.default_rng(1), 0
    for _ in range(400):
        stratum = rng.integers(0, 12, 80)
        frame = pd.DataFrame({"variant": rng.choice(["A", "B"], 80), "stratum": stratum, "y": rng.normal(size=80) + 3 * stratum})
        found = quietly(om.ab_test, frame, variant="variant", metrics=om.Mean("y"), strata="stratum")
        called += found.table["p_value"][0] < 0.05
    assert called / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_a_stratum_that_an_arm_has_not_leaves_the_test_without_strata() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"variant": ["A"] * 30 + ["B"] * 30, "stratum": ["x"] * 30 + ["y"] * 30, "y": 10 + rng.normal(size=60)})
    with pytest.warns(om.OpsmetricsWarning, match="fewer than 2 units in a stratum, so it is not stratified"):
        found = om.ab_test(frame, variant="variant", metrics=om.Mean("y"), strata="stratum")
    plain = quietly(om.ab_test, frame, variant="variant", metrics=om.Mean("y"))
    close(found.table[["difference", "p_value"]], plain.table[["difference", "p_value"]])


def test_a_covariate_that_an_arm_has_not_is_left_out_and_told() -> None:
    """The estimate is the raw one, and so is its error."""
    rng = np.random.default_rng(3)
    control, treatment = 10 + rng.normal(size=200), 10 + rng.normal(size=200)
    frame = frame_of(A=control, B=treatment)
    frame["before"] = np.where(frame["variant"] == "A", frame["y"] + 0.1 * rng.normal(size=400), np.nan)
    with pytest.warns(om.OpsmetricsWarning, match="missing in all units of an arm; it is left out"):
        found = om.ab_test(frame, variant="variant", metrics={"m": om.Mean("y", covariate="before")}, control="A")
    plain = quietly(om.ab_test, frame, variant="variant", metrics={"m": om.Mean("y")}, control="A")
    columns = ["difference", "difference_low", "difference_high", "p_value"]
    close(found.table[columns], plain.table[columns])


def test_a_covariate_that_is_missing_in_one_arm_more_than_in_another_is_told() -> None:
    rng = np.random.default_rng(4)
    frame = frame_of(A=10 + rng.normal(size=400), B=10 + rng.normal(size=400))
    frame["before"] = np.where((frame["variant"] == "B") & (rng.random(800) < 0.3), np.nan, frame["y"] + rng.normal(size=800))
    with pytest.warns(om.OpsmetricsWarning, match="missing in one arm more than in another"):
        om.ab_test(frame, variant="variant", metrics={"m": om.Mean("y", covariate="before")}, control="A")


# ----------------------------------------------------------------------------------------------------------------- clusters


def test_rows_of_clusters_are_not_few() -> None:
    """A thousand clusters of five rows, half of which convert."""
    rng = np.random.default_rng(5)
    cluster = np.repeat(np.arange(2_000), 5)
    frame = pd.DataFrame({"variant": np.where(cluster % 2, "A", "B"), "cluster": cluster, "hit": rng.random(10_000) < 0.5})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = om.ab_test(frame, variant="variant", metrics="hit", control="A", cluster="cluster")
    assert found.table["n"].tolist() == [1_000]


def test_a_quantile_of_few_clusters_says_so() -> None:
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(8), 50)
    frame = pd.DataFrame({"variant": np.where(cluster % 2, "A", "B"), "cluster": cluster, "y": 10 + rng.normal(size=400)})
    with pytest.warns(om.OpsmetricsWarning, match="fewer than 20 clusters"):
        found = om.ab_test(frame, variant="variant", metrics={"q": om.Quantile("y", 0.5)}, control="A", cluster="cluster")
    assert found.table[["n", "n_baseline"]].to_numpy().tolist() == [[4, 4]]


def test_few_clusters_are_told_from_statistics_too() -> None:
    """Sums by cluster have a denominator; so have ratios, whose units are few as clusters are."""
    rng = np.random.default_rng(8)
    cluster = np.repeat(np.arange(24), 30)
    frame = pd.DataFrame({"variant": np.where(cluster % 2, "A", "B"), "cluster": cluster, "y": 10 + rng.normal(size=720)})
    found = quietly(om.ab_test, frame, variant="variant", metrics="y", control="A", cluster="cluster")
    ratio = frame.groupby("cluster").agg(variant=("variant", "first"), y=("y", "sum"), rows=("y", "size"))
    told = {
        "rows": found.warnings,
        "statistics": quietly(om.ab_test_from_stats, found.stats, control="A").warnings,
        "ratio": quietly(om.ab_test, ratio, variant="variant", metrics={"m": om.Ratio("y", "rows")}, control="A").warnings,
    }
    assert [sum("fewer than 20 clusters, or units of a ratio, in an arm" in text for text in texts) for texts in told.values()] == [1, 1, 1]
    enough = pd.concat([ratio] * 2).assign(y=lambda own: own["y"] + rng.normal(size=48))
    assert not quietly(om.ab_test, enough, variant="variant", metrics={"m": om.Ratio("y", "rows")}, control="A").warnings


def test_advice_on_skewness_is_advice_that_can_be_taken() -> None:
    """A ratio has no correction, and no mean with a covariate has; of counts the score test needs none."""
    rng = np.random.default_rng(7)
    variant = np.where(rng.random(4_000) < 0.9, "A", "B")
    spend = (rng.random(4_000) < 0.05) * rng.lognormal(3, 1, 4_000)
    frame = pd.DataFrame({"variant": variant, "spend": spend, "visits": rng.integers(1, 5, 4_000), "before": rng.normal(size=4_000)})
    asked_of = {"variant": "variant", "control": "A", "expected_split": {"A": 9, "B": 1}}
    ratio = quietly(om.ab_test, frame, metrics={"m": om.Ratio("spend", "visits")}, **asked_of).warnings
    mean = quietly(om.ab_test, frame, metrics={"m": om.Mean("spend")}, **asked_of).warnings
    rate = quietly(om.ab_test, frame.assign(buys=spend > 0), metrics={"m": om.Proportion("buys")}, **asked_of).warnings
    assert "wait for more units" in ratio[0]
    assert "skew_correction=True" in mean[0]
    assert rate == ()


@pytest.mark.parametrize(
    ("q", "n", "warned"), [(0.9, 240, True), (0.9, 250, False), (0.01, 2_000, True), (0.5, 60, False), (0.5, 40, True)]
)
def test_few_units_beyond_a_quantile_are_told(q: float, n: int, warned: bool) -> None:
    """The 90th percentile of 100 units is the eleventh largest of them: 900/100 err in 5 of 100 in a tail that should have 2.5."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"variant": ["A"] * 3_000 + ["B"] * n, "y": rng.lognormal(size=3_000 + n)})
    split = {"A": 3_000, "B": n}
    found = quietly(om.ab_test, frame, variant="variant", metrics={"q": om.Quantile("y", q)}, control="A", expected_split=split)
    assert [text for text in found.warnings if "fewer than 25 units lie beyond the quantile" in text] == [
        "q in B: fewer than 25 units lie beyond the quantile in an arm; wait for more units."
    ] * warned


# ---------------------------------------------------------------------------------------------------- large beside small


@pytest.mark.parametrize("large", [1e6, 1e9])
@pytest.mark.parametrize("kind", ["ratio", "clusters", "strata of clusters"])
def test_large_ratios_keep_the_digits_of_small_differences(kind: str, large: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many times the denominator on top of each value moves the estimates, and nothing else; in one block and in many."""
    rng = np.random.default_rng(0)
    unit, weight = rng.integers(0, 400, 2_000), rng.integers(1, 9, 2_000).astype(float)
    frame = pd.DataFrame({"variant": np.where(unit % 2, "B", "A"), "unit": unit, "weight": weight, "stratum": unit % 3})
    frame["y"] = np.round(rng.normal(0, 1, 2_000))
    frame["moved"] = frame["y"] + large * (weight if kind == "ratio" else 1)
    asked: dict[str, Any] = {} if kind == "ratio" else {"cluster": "unit"} | ({"strata": "stratum"} if "strata" in kind else {})
    names = ["difference", "difference_low", "difference_high", "p_value", "df"]

    def answer(column: str) -> pd.DataFrame:
        metric = om.Ratio(column, "weight") if kind == "ratio" else om.Mean(column)
        return quietly(om.ab_test, frame, variant="variant", metrics={"m": metric}, control="A", **asked)

    small, moved = answer("y").table, answer("moved")
    assert moved.table[names].to_numpy() == pytest.approx(small[names].to_numpy(), rel=1e-4, abs=1e-6)
    assert moved.table["control"].to_numpy() - large == pytest.approx(small["control"].to_numpy(), abs=1e-6 * large / 1e3)
    mean = frame[frame["variant"] == "A"].groupby("unit")["moved"].sum() if asked else frame.loc[frame["variant"] == "A", "moved"]
    if "stratum" not in moved.stats:
        own = moved.stats[moved.stats["variant"] == "A"].iloc[0]
        assert own["mean"] == pytest.approx(mean.mean(), rel=1e-12)
        assert own["variance"] == pytest.approx(mean.var(), rel=1e-6)
    monkeypatch.setattr(readings, "ROWS", 100)
    assert answer("moved").table[names].to_numpy() == pytest.approx(moved.table[names].to_numpy(), rel=1e-4, abs=1e-6)


# -------------------------------------------------------------------------------------------------------- numpy's own


def test_options_may_be_numbers_of_numpy() -> None:
    spec = om.Mean("y", hypothesis="equivalence", margin=np.float64(0.1), decrease=np.bool_(False))
    assert spec == om.Mean("y", hypothesis="equivalence", margin=0.1)
    assert repr(spec) == "Mean('y', hypothesis='equivalence', margin=0.1)"
    assert om.Mean("y", skew_correction=np.bool_(True)) == om.Mean("y", skew_correction=True)


@pytest.mark.parametrize(
    "label",
    [np.int64, np.bool_, np.float64, Decimal, pd.Timestamp, lambda v: (v, v)],
    ids=["int", "bool", "float", "Decimal", "Timestamp", "tuple"],
)
def test_labels_of_other_kinds_are_told_as_text(label: Any) -> None:
    """Objects that are neither text nor Python's own numbers, in a table of any length."""
    frame = pd.DataFrame({"x": np.arange(40.0), "v": pd.Series([label(0), label(1)] * 20, dtype=object)})
    found = quietly(om.ab_test, frame, variant="v", metrics="x")
    assert set(found.table["variant"]) | set(found.table["baseline"]) == {str(label(0)), str(label(1))}
    again = quietly(om.ab_test_from_stats, found.stats).table
    assert again["p_value"].tolist() == pytest.approx(found.table["p_value"].tolist())


def test_text_among_objects_is_no_number_and_a_missing_one_is_missing() -> None:
    asked: dict[str, Any] = {"variant": "v", "metrics": om.Mean("x"), "control": "A"}
    frame = pd.DataFrame({"v": ["A", "B"] * 20, "x": pd.Series([True, False, True, True] * 10, dtype=object)})
    for missing in (None, math.nan, pd.NA):
        own = frame.assign(x=[missing, *frame["x"][1:]])
        assert quietly(om.ab_test, own, **asked).table["n_baseline"].tolist() == [19]
    with pytest.raises(om.ColumnError, match="objects, some of which are no numbers"):
        om.ab_test(frame.assign(x=["3.0", *frame["x"][1:]]), **asked)


@pytest.mark.parametrize("confidence", [0.5, 0.9])
def test_the_share_of_false_positives_is_that_of_random_splits(confidence: float) -> None:
    """Normal units hold every level, within four standard errors of 600 splits."""
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=400), "before": np.arange(400.0)})
    found = om.aa_check(frame, metrics=om.Mean("x"), repeats=600, confidence=confidence, rng=1).table
    level = 1 - confidence
    assert float(found["false_positive_rate"].iloc[0]) == pytest.approx(level, abs=4 * math.sqrt(level * confidence / 600))
