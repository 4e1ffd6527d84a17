"""Statistics that come back by other ways: shards, JSON, arms without a metric; and numbers at the end of floats."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from tests.experiments.answers import close, quietly


def both(units: pd.DataFrame, **asked: Any) -> tuple[om.ABTest[pd.DataFrame], om.ABTest[pd.DataFrame]]:
    """From the frame, and from what it comes down to by way of JSON."""
    first = quietly(om.ab_test, units, **asked)
    keep = {name: asked[name] for name in ("control", "sequential", "correction") if name in asked}
    return first, quietly(om.ab_test_from_stats, json.loads(json.dumps(first.to_dict()["stats"])), **keep)


def shop(rows: int = 4_000) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    variant = rng.choice(["A", "B"], rows)
    orders = rng.random(rows) < np.where(variant == "A", 0.2, 0.3)
    return pd.DataFrame({"variant": variant, "basket": np.where(orders, rng.lognormal(size=rows), np.nan), "orders": orders})


@pytest.mark.parametrize("planned", [100_000, 1_000_000, 10**9])
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_an_interval_that_is_not_known_yet_is_open(planned: int, alternative: Any) -> None:
    """The bound of a hundredth of the units is a z beyond all floats: it was turned inside out."""
    records = {name: {"n": 100, "mean": 1.0, "variance": 1.0, "third_moment": 3.0} for name in "AB"}
    for skew_correction in (False, True):
        row = quietly(
            om.ab_test_from_stats, records, control="A", alternative=alternative, sequential=om.AlwaysValid(planned),
            metrics={"metric": om.Mean("x", skew_correction=skew_correction)},
        ).table.loc[0]  # fmt: skip
        assert row["difference_low"] < 0 < row["difference_high"]
        assert row["lift_low"] < 0 < row["lift_high"]
        assert row["p_value"] >= 0.05


def test_units_without_the_metric_are_units_all_the_same() -> None:
    """The split and the share of the plan are of all units: buyers are no sample of them."""
    asked: dict[str, Any] = {"variant": "variant", "metrics": {"basket": om.Mean("basket")}, "control": "A"}
    first, again = both(shop(), **asked, sequential=om.GroupSequential(3, planned_n=4_000))
    assert again.params["srm_p_value"] == first.params["srm_p_value"]
    pd.testing.assert_frame_equal(again.sequential, first.sequential)
    pd.testing.assert_frame_equal(again.table, first.table)


def test_an_arm_that_has_not_the_metric_stays_an_arm() -> None:
    frame = pd.DataFrame({"variant": [*"AAABBBCCC"], "y": [math.nan] * 3 + [1.0, 2, 4, 3, 5, 5]})
    first, again = both(frame, variant="variant", metrics={"m": om.Mean("y")}, control="A", correction="dunnett")
    assert first.table["treatment"].notna().all()
    assert first.table["difference"].isna().all()
    pd.testing.assert_frame_equal(again.table, first.table)


def test_one_unit_goes_through_json() -> None:
    first, again = both(pd.DataFrame({"variant": ["A", "B"], "y": [1.0, 2.0]}), variant="variant", metrics={"m": om.Mean("y")})
    assert math.isnan(again.table["p_value"][0])
    pd.testing.assert_frame_equal(again.table, first.table)


def test_a_quantile_of_few_units_goes_through_statistics() -> None:
    frame = pd.DataFrame({"variant": [*"AABBBC"], "y": [1.5] * 6})
    first, again = both(frame, variant="variant", metrics={"q": om.Quantile("y", 0.01)})
    pd.testing.assert_frame_equal(again.table, first.table)


def test_shards_that_are_strata_know_their_stratum() -> None:
    """Without it two countries with other shares of B and other revenue made an effect of nothing."""
    rng = np.random.default_rng(0)
    country = np.repeat(["X", "Y"], 1_000)
    variant = np.where(rng.random(2_000) < np.where(country == "X", 0.8, 0.2), "B", "A")
    frame = pd.DataFrame({"country": country, "variant": variant, "y": np.where(country == "X", 10, 2) + rng.normal(size=2_000)})
    asked: dict[str, Any] = {"variant": "variant", "metrics": {"m": om.Mean("y")}, "control": "A", "strata": "country"}
    whole = quietly(om.ab_test, frame, **asked).table
    shards = [quietly(om.ab_test, own, **asked).stats for _, own in frame.groupby("country")]
    close(quietly(om.ab_test_from_stats, pd.concat(shards), control="A").table["p_value"], whole["p_value"])


def test_shards_of_which_one_lacks_covariates_add_up() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"variant": rng.choice(["A", "B"], 600), "y": 5 + rng.normal(size=600)})
    frame["before"] = np.where((frame.index < 300) & (rng.random(600) < 0.2), np.nan, frame["y"] + rng.normal(size=600))
    asked: dict[str, Any] = {"variant": "variant", "metrics": {"m": om.Mean("y", covariate="before")}, "control": "A"}
    shards = [quietly(om.ab_test, own, **asked).stats for own in (frame[:300], frame[300:])]
    whole = quietly(om.ab_test, frame, **asked).table
    close(quietly(om.ab_test_from_stats, pd.concat(shards), control="A").table["p_value"], whole["p_value"])


def test_a_part_in_which_a_number_is_0_and_1_by_chance_is_told() -> None:
    frame = pd.DataFrame({"variant": [*"AB"] * 40, "y": [0.0] * 40 + list(np.linspace(0, 9, 40))})
    shards = [quietly(om.ab_test, own, variant="variant", metrics="y", control="A").stats for own in (frame[:40], frame[40:])]
    with pytest.raises(om.DataError, match=r"0 and 1 by chance in a part; name om\.Mean"):
        om.ab_test_from_stats(pd.concat(shards), control="A")


def test_pairs_are_those_of_the_frame_whatever_the_order_of_the_rows() -> None:
    records = [{"variant": name, "n": 100, "successes": k} for name, k in (("C", 30), ("A", 20), ("B", 50))]
    table = om.ab_test_from_stats(records).table
    assert table[["variant", "baseline"]].to_numpy().tolist() == [["B", "A"], ["C", "A"], ["C", "B"]]


def test_a_metric_of_one_variant_is_told_under_dunnett_too() -> None:
    records: list[dict[str, object]] = [{"variant": v, "metric": "x", "n": 9, "mean": 1.0, "variance": 1.0} for v in "AB"]
    records.append({"variant": "B", "metric": "y", "n": 90, "successes": 40})
    with pytest.warns(om.OpsmetricsWarning, match="y: only one variant has it"):
        found = om.ab_test_from_stats(records, control="A", correction="dunnett", expected_split={"A": 1, "B": 10})
    assert found.table["metric"].tolist() == ["x"]


def test_large_labels_are_labels() -> None:
    labels = np.array([2**63 + 5, 2**63 + 6], dtype=np.uint64)
    frame = pd.DataFrame({"variant": np.tile(labels, 50), "y": np.arange(100.0)})
    table = quietly(om.ab_test, frame, variant="variant", metrics={"m": om.Mean("y")}).table
    assert table["variant"].tolist() == [str(2**63 + 6)]


# ------------------------------------------------------------------------------------------------------------ nothing varies


@pytest.mark.parametrize("choices", [{"cluster": "cluster"}, {"strata": "stratum"}, {}], ids=str)
def test_what_rounding_leaves_is_no_spread(choices: dict[str, str]) -> None:
    frame = pd.DataFrame({"variant": [*"AB"] * 60, "y": 0.1, "z": 0.3, "before": np.arange(120.0)})
    frame["cluster"], frame["stratum"] = frame.index // 4 * 2 + frame.index % 2, frame.index // 40
    for metric in (om.Mean("y"), om.Ratio("z", "y"), om.Mean("y", covariate="before")):
        row = quietly(om.ab_test, frame, variant="variant", metrics={"m": metric}, control="A", **choices).table.loc[0]
        assert math.isnan(row["p_value"]), metric
        assert math.isnan(row["difference_low"]), metric


# -------------------------------------------------------------------------------------------------------------- the readout


def test_the_readout_of_an_experiment_is_its_own() -> None:
    """Beside one that needs many more nodes its integral ran beyond all floats."""
    rows = [
        {"exp": e, "variant": v, "n": n, "mean": m, "variance": s}
        for e, v, n, m, s in (
            ("e", "A", 10_000, 3.85, 4.0),
            ("e", "B", 10_000, 3.84, 4.0),
            ("h", "A", 10**5, 3.0, 1.0),
            ("h", "B", 3, 4.0, 1.0),
        )
    ]
    together = quietly(om.ab_test_from_stats, rows, by="exp").bayes().table
    alone = om.ab_test_from_stats([{k: v for k, v in row.items() if k != "exp"} for row in rows[:2]]).bayes().table
    close(together.loc[:1, "probability_best"], alone["probability_best"])
    close(together.groupby("exp")["probability_best"].sum(), [1.0, 1.0])


def test_arms_that_are_known_too_unequally_have_no_readout() -> None:
    records = {"A": {"n": 2, "mean": 3.0, "variance": 1.0}, "B": {"n": 2, "mean": 3.0, "variance": 1e-12}}
    assert quietly(om.ab_test_from_stats, records).bayes().table["probability_best"].isna().all()


def test_a_power_below_its_level_is_found() -> None:
    """Of very uneven arms and a rare event the power at few units is below the level itself."""
    plan = om.power(0.01, n=1_000, effect=0.1, allocation=(1, 99), sequential=om.GroupSequential(20, planned_n=100_000))
    assert 0 < float(plan.params["power"]) < 0.1  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------------- booleans


def test_booleans_with_a_missing_one_are_booleans() -> None:
    """As files have them: pandas makes objects of them."""
    hit = pd.Series([True, None, False, True, False, True, True, False] * 25, dtype=object)
    frame = pd.DataFrame({"variant": [*"ABBA"] * 50, "hit": hit})
    plain = om.ab_test(frame.assign(hit=hit.astype("boolean")), variant="variant", metrics="hit")
    pd.testing.assert_frame_equal(om.ab_test(frame, variant="variant", metrics="hit").table, plain.table)
    assert plain.table["n"].tolist() == [75]


def test_objects_that_are_no_numbers_are_refused() -> None:
    frame = pd.DataFrame({"variant": [*"AB"] * 4, "hit": pd.Series([True, "yes"] * 4, dtype=object)})
    with pytest.raises(om.ColumnError, match="holds objects, some of which are no numbers"):
        om.ab_test(frame, variant="variant", metrics="hit")
