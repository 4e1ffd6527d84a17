"""What holds for every A/B test: mirrored arms, other units of money, statistics merged in any order, and answers that agree."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import opsmetrics as om
from opsmetrics.datasets import make_experiment
from tests.experiments.answers import quietly
from tests.support import Kind, columns_of, to_pandas

NUMBERS = [
    "n", "n_baseline", "treatment", "control", "difference", "difference_low", "difference_high", "lift", "lift_low", "lift_high",
    "statistic", "df", "p_value", "variance_reduction",
]  # fmt: skip
INTERVALS = ["difference_low", "difference_high", "lift_low", "lift_high"]
EXAMPLES = settings(max_examples=25)


def ab(units: Any, metrics: Any, **choices: Any) -> pd.DataFrame:
    options = {"control": "A", **choices}
    table = to_pandas(quietly(om.ab_test, units, variant="variant", metrics=metrics, **options).table)
    return table.set_index(["metric", "variant", "baseline"])


def same(found: pd.DataFrame, expected: pd.DataFrame, columns: list[str] | None = None, rel: float = 1e-9) -> None:
    """Equal numbers in equal rows."""
    assert sorted(found.index) == sorted(expected.index)
    for name in columns or NUMBERS:
        left, right = (np.asarray(table.loc[expected.index, name], dtype=float) for table in (found, expected))
        np.testing.assert_allclose(left, right, rtol=rel, atol=rel * _size(right), err_msg=name)


def _size(values: Any) -> float:
    finite = values[np.isfinite(values)]
    return float(np.abs(finite).max(initial=0.0))


def metrics() -> dict[str, Any]:
    """Every kind of metric that is made of moments."""
    return {
        "mean": om.Mean("revenue"),
        "cuped": om.Mean("revenue", covariate="revenue_before"),
        "cuped pooled": om.Mean("revenue", covariate=["revenue_before", "age"], theta="pooled"),
        "skewed": om.Mean("revenue", skew_correction=True),
        "rate": om.Proportion("converted"),
        "ratio": om.Ratio("revenue", "sessions"),
        "ratio cuped": om.Ratio("orders", "sessions", covariate="revenue_before"),
    }


@pytest.fixture(scope="module")
def units() -> pd.DataFrame:
    frame = make_experiment(3_000, rng=6).astype({"sessions": float, "orders": float, "converted": float})
    return frame.assign(age=np.random.default_rng(1).integers(18, 80, len(frame)).astype(float), weight=frame.index % 50)


@pytest.fixture(scope="module")
def table(units: pd.DataFrame) -> pd.DataFrame:
    return ab(units, metrics() | {"p90": om.Quantile("basket", 0.9)})


@st.composite
def two_arms(draw: st.DrawFn) -> tuple[Any, Any]:
    """Outcomes of a control (clearly above 0) and a treatment: skewed or not, equal or not."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.tuples(st.integers(3, 60), st.integers(3, 60)))
    spread, shift = draw(st.floats(0.1, 2)), draw(st.floats(-2, 2))
    control, treatment = random.lognormal(1, spread, sizes[0]) + 0.5, random.lognormal(1, spread / 2, sizes[1]) + shift
    return control, treatment


def frame_of(control: Any, treatment: Any, **more: Any) -> pd.DataFrame:
    variant = ["A"] * len(control) + ["B"] * len(treatment)
    return pd.DataFrame({"variant": variant, "y": np.concatenate([control, treatment]), **more})


# ------------------------------------------------------------------------------------------------- arms, units, and rows


def test_swapping_arms_flips_the_difference(units: pd.DataFrame) -> None:
    two = units[units["variant"] != "C"]
    for alternative, mirrored in (("two-sided", "two-sided"), ("greater", "less"), ("less", "greater")):
        found = ab(two, metrics(), alternative=alternative).droplevel(["variant", "baseline"])
        other = ab(two, metrics(), alternative=mirrored, control="B").droplevel(["variant", "baseline"])
        same(other, found.assign(treatment=found["control"], control=found["treatment"]), ["treatment", "control", "p_value", "df"])
        same(-other[["difference", "statistic"]], found[["difference", "statistic"]], ["difference", "statistic"])
        ends = pd.DataFrame({"difference_low": -other["difference_high"], "difference_high": -other["difference_low"]})
        same(ends, found, ["difference_low", "difference_high"], 1e-7)


@pytest.mark.parametrize("factor", [100.0, 1e-6, 7.3])
def test_other_units_of_money_leave_lift_and_p(units: pd.DataFrame, table: pd.DataFrame, factor: float) -> None:
    scaled = units.assign(**{name: units[name] * factor for name in ("revenue", "revenue_before", "basket", "orders")})
    found = ab(scaled, metrics() | {"p90": om.Quantile("basket", 0.9)})
    same(found, table, ["lift", "lift_low", "lift_high", "p_value", "statistic", "df", "variance_reduction", "n"], 1e-7)
    money = found.index.get_level_values("metric") != "rate"
    ends = ["difference", "difference_low", "difference_high", "treatment", "control"]
    same(found.loc[money, ends] / factor, table[money], ends, 1e-7)


def test_a_constant_more_leaves_differences_of_means(units: pd.DataFrame, table: pd.DataFrame) -> None:
    found = ab(units.assign(revenue=units["revenue"] + 250.0, revenue_before=units["revenue_before"] - 80.0), metrics())
    means = ["mean", "cuped", "cuped pooled", "skewed"]
    same(found.loc[means], table.loc[means], ["difference", "difference_low", "difference_high", "statistic", "df", "p_value"], 1e-7)
    estimates = ["treatment", "control"]
    same(found.loc[means, estimates] - 250.0, table.loc[means], estimates, 1e-7)


def test_the_order_of_rows_says_nothing(units: pd.DataFrame, table: pd.DataFrame) -> None:
    found = ab(units.sample(frac=1, random_state=3), metrics() | {"p90": om.Quantile("basket", 0.9)})
    same(found, table, rel=1e-12)


def test_rows_twice_halve_the_variance(units: pd.DataFrame) -> None:
    """All but for n - 1 below the variance."""
    both = pd.concat([units, units], ignore_index=True)
    once, twice = ab(units, metrics()), ab(both, metrics())
    same(twice, once, ["treatment", "control", "difference", "lift"])
    np.testing.assert_allclose((twice["statistic"] / once["statistic"]).to_numpy(dtype=float), math.sqrt(2), rtol=3e-3)
    assert (twice["n"] == 2 * once["n"]).all()


@EXAMPLES
@given(arms=two_arms())
def test_rows_twice_halve_the_variance_to_the_digit(arms: tuple[Any, Any]) -> None:
    """The square of the error of a mean is m2 / (n (n - 1)); of rows twice it is 2 m2 / (2 n (2 n - 1))."""
    control, treatment = arms
    once = ab(frame_of(control, treatment), {"m": om.Mean("y")}).iloc[0]
    twice = ab(frame_of(np.tile(control, 2), np.tile(treatment, 2)), {"m": om.Mean("y")}).iloc[0]
    parts = [one.var() / (2 * len(one) - 1) for one in arms]
    np.testing.assert_allclose(twice["difference"] / twice["statistic"], math.sqrt(sum(parts)), rtol=1e-9)
    np.testing.assert_allclose(twice["difference"], once["difference"], rtol=1e-9, atol=1e-12)


def test_an_irrelevant_covariate_changes_little(units: pd.DataFrame, table: pd.DataFrame) -> None:
    found = ab(units, {"mean": om.Mean("revenue", covariate="age")})
    assert (found["variance_reduction"].abs() < 0.01).all()
    np.testing.assert_allclose(found["difference"], table.loc[["mean"], "difference"], atol=0.1)


def test_clusters_of_one_row_and_a_single_stratum_say_nothing(units: pd.DataFrame, table: pd.DataFrame) -> None:
    alone = ab(units, {name: metric for name, metric in metrics().items() if name not in ("rate", "skewed")}, cluster="unit")
    same(alone, table.loc[alone.index])
    same(ab(units.assign(one="all"), metrics(), strata="one"), table.loc[list(metrics())])


# ---------------------------------------------------------------------------------------------------------- statistics


def merged(parts: list[Any], **choices: Any) -> pd.DataFrame:
    rows = pd.concat([to_pandas(part) for part in parts], ignore_index=True)
    table = to_pandas(quietly(om.ab_test_from_stats, rows, control="A", metrics=metrics(), **choices).table)
    return table.set_index(["metric", "variant", "baseline"])


def statistics(units: pd.DataFrame, **choices: Any) -> Any:
    return quietly(om.ab_test, units, variant="variant", metrics=metrics(), control="A", **choices).stats


def test_the_statistics_say_all_that_the_rows_say(units: pd.DataFrame) -> None:
    same(merged([statistics(units)]), ab(units, metrics()))
    shown = statistics(units, strata="country")
    same(merged([shown]), ab(units, metrics(), strata="country"))


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), pieces=st.integers(2, 5))
def test_statistics_of_any_split_in_any_order_are_those_of_the_whole(units: pd.DataFrame, seed: int, pieces: int) -> None:
    random = np.random.default_rng([seed, 1])  # not the stream that dealt the units out to the variants
    part = random.integers(0, pieces, len(units))
    parts = [statistics(units[part == place]) for place in range(pieces)]
    same(merged([parts[place] for place in random.permutation(pieces)]), ab(units, metrics()))


@EXAMPLES
@given(arms=two_arms(), level=st.sampled_from([0.0, 1e6, 1e9]), seed=st.integers(0, 2**32 - 1))
def test_statistics_far_from_zero_merge_too(arms: tuple[Any, Any], level: float, seed: int) -> None:
    frame = frame_of(*(np.rint(one * 1024) / 1024 + level for one in arms))
    random = np.random.default_rng(seed)
    part = random.integers(0, 2, len(frame))
    for place in range(2):
        sizes = frame[part == place]["variant"].value_counts()
        assume(sizes.get("A", 0) > 1 and sizes.get("B", 0) > 1)
    one = {"m": om.Mean("y")}
    pieces = [to_pandas(quietly(om.ab_test, frame[part == place], variant="variant", metrics=one, control="A").stats) for place in range(2)]
    found = to_pandas(quietly(om.ab_test_from_stats, pd.concat(pieces, ignore_index=True), control="A", metrics=one).table).iloc[0]
    near = ab(frame.assign(y=frame["y"] - level), one).iloc[0]
    for name in ("difference", "difference_low", "difference_high"):
        np.testing.assert_allclose(found[name], near[name], rtol=1e-8, atol=level * 1e-15 + 1e-12)


def test_many_tests_in_one_call_are_those_of_many_calls(units: pd.DataFrame) -> None:
    shops = [to_pandas(statistics(units[units["weight"] % 4 == shop])).assign(shop=f"s{shop}") for shop in range(4)]
    together = to_pandas(quietly(om.ab_test_from_stats, pd.concat(shops), by="shop", control="A", metrics=metrics()).table)
    assert next(iter(together.columns)) == "shop"
    for shop, own in together.groupby("shop"):
        alone = merged([shops[int(str(shop)[1:])].drop(columns="shop")])
        same(own.set_index(["metric", "variant", "baseline"]), alone, rel=1e-12)


# ------------------------------------------------------------------------------------------------- answers that agree


def many(count: int, seed: int, rows: Callable[[np.random.Generator], list[dict[str, Any]]]) -> pd.DataFrame:
    """Statistics of many tests, each of two arms."""
    random = np.random.default_rng(seed)
    return pd.DataFrame([{"test": test, **row} for test in range(count) for row in rows(random)])


def moments(random: np.random.Generator) -> list[dict[str, Any]]:
    """Arms whose difference is of the size of its error, skewed, with a denominator; some controls are around 0."""
    level, n = random.choice([0.05, -0.05, 0.5, 3.0, -4.0]), random.integers(5, 400, 2)
    spread, effect = random.uniform(0.5, 3, 2), random.normal(0, 2) * math.hypot(*(1 / np.sqrt(n)))
    return [
        {
            "variant": "AB"[place], "n": n[place], "mean": level + place * effect, "variance": spread[place] ** 2,
            "third_moment": random.normal(0, 2) * spread[place] ** 3, "denominator_mean": random.uniform(1, 1.1),
            "denominator_variance": 0.3, "covariance_denominator": 0.1 * spread[place],
        }
        for place in range(2)
    ]  # fmt: skip


MEANS = ["variant", "n", "mean", "variance", "test"]
SHAPES = {
    "mean": MEANS,
    "skewed": [*MEANS, "third_moment"],
    "ratio": [*MEANS, "denominator_mean", "denominator_variance", "covariance_denominator"],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_p_and_both_intervals_are_one_event(alternative: Any, shape: str) -> None:
    """By Welch and Fieller, or pooled and straightened; also where the lift has no bounds."""
    records = many(800, 5, moments)[SHAPES[shape]]
    options = {"metrics": {"value": om.Mean("value", skew_correction=True)}} if shape == "skewed" else {}
    if options:
        records = records.assign(metric="value")
    for confidence in (0.8, 0.95):
        call: Any = {"control": "A", "by": "test", "alternative": alternative, "confidence": confidence, **options}
        found = to_pandas(quietly(om.ab_test_from_stats, records, **call).table)
        assert len(found) == 800
        small = found["p_value"] < 1 - confidence
        assert 0.02 < small.mean() < 0.98
        outside = (found["difference_low"] > 0) | (found["difference_high"] < 0)
        assert (outside == small).all()
        without = (found["lift_low"] > 0) | (found["lift_high"] < 0)
        assert (without == small).all()
        assert (found["difference_low"] <= found["difference"]).all()
        assert (found["difference"] <= found["difference_high"]).all()
        if shape != "skewed":
            slack = 1e-9 * found["lift"].abs()
            assert (found["lift_low"] <= found["lift"] + slack).all()
            assert (found["lift"] <= found["lift_high"] + slack).all()


def test_a_correction_for_skewness_that_is_too_large_to_hold() -> None:
    """One success among a thousand against none among five: the cubic at A = 13 would call nothing a significant gain."""
    frame = frame_of([1.0] + [0.0] * 999, [0.0] * 5)
    row = ab(frame, {"m": om.Mean("y", skew_correction=True)}, expected_split={"A": 1000, "B": 5}).iloc[0]
    assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    assert row["lift_low"] <= row["lift"] <= row["lift_high"]
    assert row["p_value"] > 0.05


def successes(random: np.random.Generator) -> list[dict[str, Any]]:
    n, rate = random.integers(60, 3_000, 2), random.uniform(0.1, 0.9)
    return [{"variant": "AB"[place], "n": n[place], "successes": random.binomial(n[place], rate)} for place in range(2)]


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_p_and_the_lift_of_a_proportion_are_one_event(alternative: Any) -> None:
    """By the score test and Koopman; Miettinen and Nurminen's interval is a little wider than the test."""
    found = to_pandas(quietly(om.ab_test_from_stats, many(800, 6, successes), control="A", by="test", alternative=alternative).table)
    small = found["p_value"] < 0.05
    assert 0.02 < small.mean() < 0.2
    assert (((found["lift_low"] > 0) | (found["lift_high"] < 0)) == small).all()
    outside = (found["difference_low"] > 0) | (found["difference_high"] < 0)
    assert small[outside].all()
    assert (outside != small).mean() < 0.01


@EXAMPLES
@given(arms=two_arms(), low=st.floats(0.5, 0.9), more=st.floats(0.01, 0.09))
def test_more_confidence_is_a_wider_interval(arms: tuple[Any, Any], low: float, more: float) -> None:
    narrow, wide = (ab(frame_of(*arms), {"m": om.Mean("y")}, confidence=level).iloc[0] for level in (low, low + more))
    assert wide["difference_low"] < narrow["difference_low"] <= narrow["difference_high"] < wide["difference_high"]
    assert wide["lift_low"] <= narrow["lift_low"]
    assert wide["lift_high"] >= narrow["lift_high"]
    assert wide["p_value"] == narrow["p_value"]


def test_corrections_are_in_order(units: pd.DataFrame, table: pd.DataFrame) -> None:
    """Unadjusted, there is nothing to show; Bonferroni is never below Holm, nor Holm below Hochberg, nor that below the raw p-value."""
    assert table["p_adjusted"].isna().all()
    words: list[Any] = ["bonferroni", "holm", "hochberg", "benjamini-hochberg"]
    found = [ab(units, metrics(), correction=word) for word in words]
    for one in found:
        same(one, table.loc[one.index])
        assert (one["p_adjusted"] >= one["p_value"]).all()
        assert (one["p_adjusted"] <= 1).all()
    for larger, smaller in itertools.pairwise(found):
        assert (larger["p_adjusted"] >= smaller["p_adjusted"] - 1e-15).all()
    np.testing.assert_allclose(found[0]["p_adjusted"], np.minimum(1, found[0]["p_value"] * len(found[0])))


# ----------------------------------------------------------------------------------------------------- kinds of frames


def questions(frame: Any) -> dict[str, Any]:
    own = metrics() | {"p90": om.Quantile("basket", 0.9)}
    asked: dict[str, Callable[[], Any]] = {
        "all": lambda: om.ab_test(frame, variant="variant", metrics=own, control="A", correction="holm"),
        "bare": lambda: om.ab_test(frame, variant="variant", metrics=["revenue", "converted"], control="A"),
        "pairs": lambda: om.ab_test(frame, variant="variant", metrics={"m": om.Mean("revenue")}),
        "strata": lambda: om.ab_test(frame, variant="variant", metrics={"m": om.Mean("revenue")}, control="A", strata="country"),
        "numbered": lambda: om.ab_test(frame, variant="number", metrics={"m": om.Mean("revenue")}, control=0),
        "clusters": lambda: om.ab_test(frame, variant="variant", metrics={"m": om.Mean("revenue")}, control="A", cluster="group"),
    }
    return {name: quietly(call) for name, call in asked.items()}


@pytest.fixture(scope="module")
def marred(units: pd.DataFrame) -> pd.DataFrame:
    """Nulls in the variant, the outcome and the covariate."""
    frame = units.assign(group=units["variant"] + units["weight"].astype(str), number=units["variant"].map({"A": 0, "B": 1, "C": 2}))
    frame.loc[frame.index % 211 == 1, "variant"] = None
    frame.loc[frame.index % 97 == 2, "revenue"] = None
    return frame


@pytest.fixture(scope="module")
def expected(marred: pd.DataFrame) -> dict[str, Any]:
    return questions(marred)


def test_the_same_answers_in_the_callers_kind(kind: Kind, marred: pd.DataFrame, expected: dict[str, Any]) -> None:
    for name, found in questions(kind.make(marred)).items():
        for part in ("table", "srm", "stats"):
            assert isinstance(getattr(found, part), kind.result)
            left, right = columns_of(getattr(found, part)), columns_of(getattr(expected[name], part))
            assert list(left) == list(right)
            for column in left:
                if isinstance(right[column][0], float):
                    np.testing.assert_allclose(np.array(left[column], float), np.array(right[column], float), rtol=1e-12, err_msg=column)
                else:
                    assert left[column] == right[column], column
        assert found.dropped == expected[name].dropped
        assert found.warnings == expected[name].warnings


def test_bare_names_say_what_they_are(expected: dict[str, Any]) -> None:
    kinds = to_pandas(expected["bare"].table).set_index("metric")["kind"]
    assert kinds["revenue"].unique().tolist() == ["mean"]
    assert kinds["converted"].unique().tolist() == ["proportion"]


def test_json_out_says_everything(expected: dict[str, Any]) -> None:
    import json

    for result in expected.values():
        said = json.loads(json.dumps(result.to_dict()))
        assert len(said["table"]) == len(result.table)
        assert {"srm", "stats", "params", "dropped"} <= set(said)
