"""A/B tests against published numbers, R, and the numbers of other tools for the same statistics; tea-tasting also on the same rows."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import opsmetrics as om
from opsmetrics.datasets import make_experiment
from tests.experiments.answers import close, counts, from_stats, quietly, reference_case
from tests.support import reference, to_pandas


@pytest.fixture(scope="module")
def units() -> pd.DataFrame:
    """An experiment with every difficulty but missing values."""
    return make_experiment(4_000, rng=3).dropna(subset="revenue_before").reset_index(drop=True)


def test_published_intervals_of_a_difference_of_proportions() -> None:
    for case in reference("ab.json"):
        x1, n1, x2, n2 = (case["inputs"].get(name) for name in ("x1", "n1", "x2", "n2"))
        records = counts(("A", x2, n2), ("B", x1, n1)) if n2 else []
        if case["id"].startswith("newcombe_diff"):
            row = from_stats(records, metrics={"m": om.Proportion("m", interval="newcombe")}).loc["B"]
            published = (case["expected"]["low"], case["expected"]["high"])
        elif case["id"].startswith("diff_methods"):
            row = from_stats(records).loc["B"]
            published = tuple(case["expected"]["miettinen_nurminen"])
        else:
            continue
        close(row[["difference_low", "difference_high"]], published, 0, abs=case["tolerance"])


def record(variant: str, sums: dict[str, float]) -> dict[str, Any]:
    n = sums["n"]
    return {"variant": variant, "n": n, "mean": sums["sum"] / n, "variance": (sums["sum_sq"] - sums["sum"] ** 2 / n) / (n - 1)}


def test_growthbook_s_means_and_fieller_s_lift() -> None:
    case, lift = reference_case("gb_means"), reference_case("fieller")
    row = from_stats([record("A", case["inputs"]["a"]), record("B", case["inputs"]["b"])]).loc["B"]
    expected = case["expected"]
    close(row[["difference", "difference_low", "difference_high", "p_value"]],
          [expected[name] for name in ("abs_diff", "abs_low", "abs_high", "abs_p")], case["tolerance"])  # fmt: skip
    close(row["difference"] / row["statistic"], expected["abs_se"], case["tolerance"])
    close(row["lift"], expected["rel"], case["tolerance"])
    close(row[["lift_low", "lift_high"]], (lift["expected"]["low"], lift["expected"]["high"]), 0, abs=lift["tolerance"])


def test_growthbook_s_lift_of_proportions() -> None:
    case = reference_case("gb_binom")
    given = case["inputs"]
    row = from_stats(counts(("A", given["x1"], given["n1"]), ("B", given["x2"], given["n2"]))).loc["B"]
    close(row["lift"], case["expected"]["rel"], case["tolerance"])


def test_r_s_prop_test() -> None:
    case = reference_case("proptest_ecom")
    given, expected = case["inputs"], case["expected"]
    row = from_stats(counts(("A", given["x2"], given["n2"]), ("B", given["x1"], given["n1"]))).loc["B"]
    close(row["p_value"], expected["p"], case["tolerance"])
    close(row["statistic"] ** 2, expected["chi2"], case["tolerance"])


def tea_record(variant: str, arm: str, **columns: str) -> dict[str, Any]:
    """Statistics of the users of tea-tasting's tests: `value` and perhaps a `denominator` or a `covariate`."""
    given = reference_case("tt_mean")["inputs"]
    means, variances, covariances = (given[f"{word}_{arm}"] for word in ("mean", "var", "cov"))
    value = columns.pop("value")
    found = {"variant": variant, "n": given[f"n_{arm}"], "mean": means[value], "variance": variances[value]}
    for role, name in columns.items():
        both = covariances.get(f"{value}_{name}", covariances.get(f"{name}_{value}"))
        found |= {f"{role}_mean": means[name], f"{role}_variance": variances[name], f"covariance_{role}": both}
    return found


@pytest.mark.parametrize(
    ("name", "columns", "options"),
    [
        ("tt_mean", {}, None),
        ("tt_ratio", {"denominator": "sessions"}, None),
        ("tt_cuped", {"covariate": "orders_pre"}, lambda: om.Mean("orders", covariate="orders_pre", theta="pooled")),
    ],
    ids=["mean", "ratio", "cuped"],
)
def test_tea_tasting_s_own_numbers(name: str, columns: dict[str, str], options: Any) -> None:
    case = reference_case(name)
    expected = case["expected"]
    records = [{"metric": "orders", **tea_record(v, arm, value="orders", **columns)} for v, arm in (("A", "c"), ("B", "t"))]
    row = from_stats(records, **({} if options is None else {"metrics": {"orders": options()}})).loc["B"]
    names = {"control": "control", "treatment": "treatment", "diff": "difference", "low": "difference_low", "high": "difference_high",
             "p": "p_value", "stat": "statistic"}  # fmt: skip
    for theirs, ours in names.items():
        if theirs in expected:
            close(row[ours], expected[theirs], case["tolerance"])


def test_the_delta_method_is_the_sandwich_of_r() -> None:
    """R's variances there have n below, not n - 1."""
    case = reference_case("delta_ratio_cr")
    records = []
    for variant, arm in (("A", "control"), ("B", "treatment")):
        given = case["inputs"][arm]
        less = (given["n"] - 1) / given["n"]
        below = {"denominator_mean": given["mean_den"], "denominator_variance": given["var_den"] * less}
        above = {"mean": given["mean_num"], "variance": given["var_num"] * less, "covariance_denominator": given["cov"] * less}
        records.append({"variant": variant, "n": given["n"], **above, **below})
    row = from_stats(records).loc["B"]
    close(row["difference"], case["expected"]["ratio_diff"], case["tolerance"])
    close(row["difference"] / row["statistic"], case["expected"]["se_diff_cr0"], case["tolerance"])
    close(row["control"], case["expected"]["ratio_control"], case["tolerance"])


def test_tea_tasting_in_the_same_run(units: pd.DataFrame) -> None:
    tea = pytest.importorskip("tea_tasting")
    two = units[units["variant"] != "C"].reset_index(drop=True)
    theirs = tea.Experiment(
        mean=tea.Mean("revenue"),
        ratio=tea.RatioOfMeans("orders", "sessions"),
        cuped=tea.Mean("revenue", "revenue_before"),
        converted=tea.Proportion("converted", method="norm", correction=False),
    ).analyze(two, control="A")
    ours = {
        "mean": om.Mean("revenue"),
        "ratio": om.Ratio("orders", "sessions"),
        "cuped": om.Mean("revenue", covariate="revenue_before", theta="pooled"),
        "converted": om.Proportion("converted"),
    }
    table = to_pandas(quietly(om.ab_test, two, variant="variant", metrics=ours, control="A").table).set_index("metric")
    for name in ours:
        row, witness = table.loc[name], theirs[name]
        close(row["treatment"], witness.treatment)
        close(row["control"], witness.control)
        close(row["difference"], witness.effect_size)
        close(row["p_value"], witness.pvalue)
        if name != "converted":  # its interval of a difference has the error of no difference
            close(row[["difference_low", "difference_high"]], (witness.effect_size_ci_lower, witness.effect_size_ci_upper))


def test_a_published_mismatch() -> None:
    case = reference_case("srm_kohavi")
    records = [{"variant": v, "n": n, "mean": 1.0, "variance": 2.0} for v, n in zip("AB", case["inputs"]["observed"], strict=True)]
    result = quietly(om.ab_test_from_stats, records, control="A")
    close(result.params["srm_p_value"], case["expected"]["p"], case["tolerance"])
