"""A/B tests against slow answers on the same rows, published numbers, scipy, statsmodels and tea-tasting."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

import opsmetrics as om
from opsmetrics.datasets import make_experiment
from tests.experiments import oracle
from tests.support import reference, to_pandas

ALTERNATIVES = ("two-sided", "greater", "less")


def quietly(call: Any, *args: Any, **choices: Any) -> Any:
    """A result without its warnings, which other tests look at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)
        return call(*args, **choices)


def frame_of(**arms: Any) -> pd.DataFrame:
    """A frame of one column of outcomes per variant, the rows of the variants mixed."""
    rows = pd.concat([pd.DataFrame({"variant": name, "y": np.asarray(values)}) for name, values in arms.items()])
    return rows.sample(frac=1, random_state=1, ignore_index=True)


def ab(units: Any, metric: Any, *, control: Any = "A", **choices: Any) -> pd.DataFrame:
    """The table of one metric, by variant."""
    result = quietly(om.ab_test, units, variant="variant", metrics={"m": metric}, control=control, **choices)
    return to_pandas(result.table).set_index("variant")


def from_stats(records: Any, *, control: Any = "A", **choices: Any) -> pd.DataFrame:
    return to_pandas(quietly(om.ab_test_from_stats, records, control=control, **choices).table).set_index("variant")


def close(found: Any, expected: Any, rel: float = 1e-9, abs: float = 0.0) -> None:  # noqa: A002
    """Equal to nine digits, infinities included."""
    np.testing.assert_allclose(np.asarray(found, dtype=float), np.asarray(expected, dtype=float), rtol=rel, atol=abs)


def agree(row: pd.Series, expected: oracle.Answer, rel: float = 1e-9) -> None:
    """Everything an answer says; of a set of lifts, the ends."""
    close(row["treatment"], expected.treatment, rel)
    close(row["control"], expected.control, rel)
    close(row["difference"], expected.difference, rel, abs=1e-12)
    close(row[["difference_low", "difference_high"]], (expected.low, expected.high), rel, abs=1e-12)
    close(row["statistic"], expected.statistic, rel, abs=1e-12)
    close(row["p_value"], expected.p_value, rel)
    if math.isfinite(expected.df):
        close(row["df"], expected.df, rel)
    close(row["lift"], expected.difference / abs(expected.control), rel, abs=1e-12)
    close(row[["lift_low", "lift_high"]], (expected.lift[0][0], expected.lift[-1][1]), max(rel, 1e-8), abs=1e-12)


def samples() -> dict[str, tuple[Any, Any]]:
    """Outcomes of a control and a treatment."""
    random = np.random.default_rng(20)

    def revenue(size: int) -> Any:
        return np.where(random.uniform(size=size) < 0.05, random.lognormal(4, 1, size), 0.0)

    return {
        "normal": (random.normal(10, 2, 80), random.normal(10.5, 3, 120)),
        "revenue": (revenue(2_000), revenue(1_500)),
        "small": (random.normal(5, 1, 4), random.normal(6, 2, 3)),
        "below zero": (random.normal(-8, 2, 60), random.normal(-7, 1, 50)),
        "around zero": (random.normal(0.05, 1, 60), random.normal(0.6, 1, 50)),
        "clearly around zero": (random.normal(0.0, 1, 200), random.normal(5, 1, 200)),
        "one arm constant": (random.normal(3, 1, 50), np.full(40, 3.25)),
        "unequal": (random.exponential(3, 900), random.exponential(3.5, 100)),
        "cents": (np.rint(random.lognormal(8, 1, 300)), np.rint(random.lognormal(8.1, 1, 280))),
    }


SAMPLES = samples()


# ---------------------------------------------------------------------------------------------------------------- means


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_mean_is_welch_s_test_and_fieller_s_lift(name: str, alternative: Any) -> None:
    control, treatment = SAMPLES[name]
    for confidence in (0.95, 0.8):
        row = ab(frame_of(A=control, B=treatment), om.Mean("y"), alternative=alternative, confidence=confidence).loc["B"]
        agree(row, oracle.welch(treatment, control, confidence, alternative), 1e-8)
        assert (row["n"], row["n_baseline"], row["baseline"], row["kind"]) == (len(treatment), len(control), "A", "mean")


def test_three_variants_against_one_and_all_pairs() -> None:
    a, b = SAMPLES["normal"]
    c = b[:70] + 0.5
    frame = frame_of(A=a, B=b, C=c)
    against_b = ab(frame, om.Mean("y"), control="B")
    assert list(against_b.index) == ["A", "C"]
    agree(against_b.loc["A"], oracle.welch(a, b))
    agree(against_b.loc["C"], oracle.welch(c, b))
    pairs = ab(frame, om.Mean("y"), control=None).reset_index().set_index(["baseline", "variant"])
    assert set(pairs.index) == {("A", "B"), ("A", "C"), ("B", "C")}
    for (baseline, variant), one, two in ((("A", "B"), b, a), (("A", "C"), c, a), (("B", "C"), c, b)):
        agree(pairs.loc[(baseline, variant)], oracle.welch(one, two))


def test_missing_outcomes_do_not_count() -> None:
    """Rows counted in n, but in no mean, made tea-tasting's interval 29 % too narrow."""
    control, treatment = SAMPLES["normal"]
    half = np.where(np.arange(len(treatment)) % 2, treatment, np.nan)
    frame = frame_of(A=control, B=half)
    result = quietly(om.ab_test, frame, variant="variant", metrics={"m": om.Mean("y")}, control="A")
    row = to_pandas(result.table).iloc[0]
    agree(row, oracle.welch(half[1::2], control))
    assert row["n"] == len(half) // 2
    assert result.dropped == {"y missing": len(half) // 2} or list(result.dropped.values()) == [len(half) // 2]


def test_rows_without_a_variant_are_dropped_and_counted() -> None:
    control, treatment = SAMPLES["normal"]
    frame = frame_of(A=control, B=treatment)
    more = pd.concat([frame, pd.DataFrame({"variant": [None] * 7, "y": np.arange(7.0)})], ignore_index=True)
    result = quietly(om.ab_test, more, variant="variant", metrics={"m": om.Mean("y")}, control="A")
    agree(to_pandas(result.table).iloc[0], oracle.welch(treatment, control))
    assert 7 in result.dropped.values()


@pytest.mark.parametrize("level", [1e8, 1e9, -1e9])
def test_a_small_spread_around_a_large_mean_keeps_its_digits(level: float) -> None:
    """A variance from sums of squares has no digit left here; the data are whole multiples of 2^-10, so that centring them is exact."""
    random = np.random.default_rng(0)
    near = [np.rint(random.normal(shift, 1, 50_000) * 1024) / 1024 for shift in (0, 0.02)]
    expected = oracle.welch(near[1], near[0])
    frame = frame_of(A=near[0] + level, B=near[1] + level)
    row = ab(frame, om.Mean("y")).loc["B"]
    close(row[["difference", "difference_low", "difference_high"]], (expected.difference, expected.low, expected.high), 1e-9, abs=2e-7)
    close(row["statistic"], expected.statistic, 2e-5)
    result = quietly(om.ab_test, frame, variant="variant", metrics={"m": om.Mean("y")}, control="A")
    variances = to_pandas(result.stats).set_index("variant")["variance"]
    close(variances[["A", "B"]], [one.var(ddof=1) for one in near], reference_case("sumsq_cancellation")["tolerance"] * 1e-3)


def test_winsorizing_cuts_where_all_arms_together_are_cut() -> None:
    control, treatment = SAMPLES["revenue"]
    frame = frame_of(A=control, B=treatment)
    for choice, low, high in ((0.99, 0.0, 0.99), ((0.02, 0.9), 0.02, 0.9)):
        cut = oracle.winsorized([control, treatment], low, high)
        agree(ab(frame, om.Mean("y", winsorize=choice)).loc["B"], oracle.welch(cut[1], cut[0]))
    assert ab(frame, om.Mean("y", winsorize=0.99)).loc["B", "treatment"] < treatment.mean()


@pytest.mark.parametrize("name", ["unequal", "revenue", "normal"])
def test_the_statistic_with_its_third_moment(name: str) -> None:
    control, treatment = SAMPLES[name]
    row = ab(frame_of(A=control, B=treatment), om.Mean("y", skew_correction=True)).loc["B"]
    z, p_value = oracle.skew_corrected(treatment, control)
    close(row["statistic"], z)
    close(row["p_value"], p_value)
    assert ab(frame_of(A=control, B=treatment), om.Mean("y")).loc["B", "p_value"] != pytest.approx(p_value, rel=1e-4)


# ------------------------------------------------------------------------------------------------------------- margins


def test_not_inferior_by_a_margin() -> None:
    control, treatment = SAMPLES["normal"]
    frame = frame_of(A=control, B=treatment)
    for decrease, alternative, shift in ((False, "greater", 0.4), (True, "less", -0.4)):
        row = ab(frame, om.Mean("y", hypothesis="non-inferiority", margin=0.4, decrease=decrease)).loc["B"]
        expected = oracle.welch(treatment + shift, control, 0.95, alternative)
        close(row["p_value"], expected.p_value)
        close(row["difference"], treatment.mean() - control.mean())
        low, high = expected.low - shift, expected.high - shift
        close(row["difference_low" if alternative == "greater" else "difference_high"], low if alternative == "greater" else high)
        assert (row["p_value"] < 0.05) == (row["difference_low"] > -0.4 if alternative == "greater" else row["difference_high"] < 0.4)


@pytest.mark.parametrize("margin", [0.3, 1.0, 1.3, 3.0])
def test_equivalent_within_a_margin(margin: float) -> None:
    control, treatment = SAMPLES["normal"]
    row = ab(frame_of(A=control, B=treatment), om.Mean("y", hypothesis="equivalence", margin=margin)).loc["B"]
    p_value, (low, high) = oracle.equivalence(treatment, control, margin)
    close(row["p_value"], p_value)
    close(row[["difference_low", "difference_high"]], (low, high))
    assert (row["p_value"] < 0.05) == (-margin < row["difference_low"] and row["difference_high"] < margin)


# --------------------------------------------------------------------------------------------------------- proportions


def counts(*arms: tuple[str, int, int]) -> list[dict[str, Any]]:
    return [{"metric": "m", "variant": name, "n": n, "successes": k} for name, k, n in arms]


PAIRS = [(500, 10_000, 560, 10_000), (40, 900, 11, 100), (56, 70, 48, 80), (20, 300, 41, 250), (90, 100, 12, 40)]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_a_proportion_is_the_pooled_score_test(pair: tuple[int, int, int, int]) -> None:
    k0, n0, k1, n1 = pair
    row = from_stats(counts(("A", k0, n0), ("B", k1, n1))).loc["B"]
    z, p_value = proportions_ztest([k1, k0], [n1, n0])
    close(row["statistic"], z)
    close(row["p_value"], p_value)
    low, high = confint_proportions_2indep(k1, n1, k0, n0, compare="ratio", method="score")
    close(row[["lift_low", "lift_high"]], (low - 1, high - 1), 1e-6)
    for alternative, word in (("greater", "larger"), ("less", "smaller")):
        one_sided = from_stats(counts(("A", k0, n0), ("B", k1, n1)), alternative=alternative).loc["B"]
        close(one_sided["p_value"], proportions_ztest([k1, k0], [n1, n0], alternative=word)[1])


def test_rows_of_zeros_and_ones_are_counts() -> None:
    frame = frame_of(A=[0] * 9_500 + [1] * 500, B=[0] * 9_440 + [1] * 560)
    expected = from_stats(counts(("A", 500, 10_000), ("B", 560, 10_000))).loc["B"]
    plain: Any = ["difference", "difference_low", "difference_high", "lift", "lift_low", "lift_high", "statistic", "p_value", "n"]
    for values in (frame, frame.assign(y=frame["y"] == 1), frame.assign(y=frame["y"].astype(float))):
        for metric in (om.Proportion("y"), "y"):
            row = ab(values, metric).loc["B"]
            assert row["kind"] == "proportion"
            close(row[plain], expected[plain], 1e-12)


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


@pytest.mark.parametrize("pair", [(3, 10, 9, 10), (1, 30, 8, 40), (0, 25, 4, 30), (2, 400, 9, 300)], ids=str)
def test_tiny_counts_get_an_exact_test(pair: tuple[int, int, int, int]) -> None:
    k0, n0, k1, n1 = pair
    frame = frame_of(A=[1] * k0 + [0] * (n0 - k0), B=[1] * k1 + [0] * (n1 - k1))
    table = [[k1, k0], [n1 - k1, n0 - k0]]
    for alternative in ALTERNATIVES:
        boschloo = stats.boschloo_exact(table, alternative=alternative, n=128).pvalue
        close(ab(frame, om.Proportion("y"), alternative=alternative).loc["B", "p_value"], boschloo, 2e-3)
        fisher = stats.fisher_exact(table, alternative=alternative).pvalue
        close(ab(frame, om.Proportion("y", test="fisher"), alternative=alternative).loc["B", "p_value"], fisher)
        z = proportions_ztest(
            [k1, k0], [n1, n0], alternative={"two-sided": "two-sided", "greater": "larger", "less": "smaller"}[alternative]
        )
        close(ab(frame, om.Proportion("y", test="score"), alternative=alternative).loc["B", "p_value"], z[1])


# --------------------------------------------------------------------------------------------- ratios, clusters, strata


@pytest.fixture(scope="module")
def units() -> pd.DataFrame:
    """An experiment with every difficulty but missing values."""
    return make_experiment(4_000, rng=3).dropna(subset="revenue_before").reset_index(drop=True)


def arms(units: pd.DataFrame) -> list[pd.DataFrame]:
    return [units[units["variant"] == name] for name in ("A", "B", "C")]


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_a_ratio_by_the_delta_method(units: pd.DataFrame, alternative: Any) -> None:
    found = ab(units, om.Ratio("revenue", "sessions"), alternative=alternative)
    a, *others = [oracle.ratio(arm["revenue"], arm["sessions"]) for arm in arms(units)]
    for name, arm in zip(("B", "C"), others, strict=True):
        agree(found.loc[name], oracle.compare(arm, a, alternative=alternative))


@pytest.mark.parametrize("groups", [10, 60], ids=["few clusters", "clusters"])
def test_clusters_by_statsmodels(units: pd.DataFrame, groups: int) -> None:
    random = np.random.default_rng(1)
    region = units["variant"] + random.integers(0, groups, len(units)).astype(str)
    effect = pd.Series(random.normal(0, 4, 3 * groups), index=sorted(set(region)))
    frame = units.assign(region=region, y=units["sessions"] + effect[region].to_numpy())
    found = ab(frame, om.Mean("y"), cluster="region")
    a, b, c = [oracle.clustered(arm["y"], arm["region"]) for arm in arms(frame)]
    agree(found.loc["B"], oracle.compare(b, a))
    agree(found.loc["C"], oracle.compare(c, a))
    plain = ab(frame, om.Mean("y"))
    assert abs(found.loc["B", "statistic"]) < abs(plain.loc["B", "statistic"])
    found = ab(frame, om.Ratio("y", "orders"), cluster="region")
    a, b, c = [oracle.clustered_ratio(arm["y"], arm["orders"], arm["region"]) for arm in arms(frame)]
    agree(found.loc["B"], oracle.compare(b, a))


def test_a_cluster_in_two_variants_is_refused(units: pd.DataFrame) -> None:
    with pytest.raises(om.DataError, match="variant"):
        ab(units, om.Mean("revenue"), cluster="country")


def test_strata_weigh_as_they_do_among_all_units(units: pd.DataFrame) -> None:
    shares = units["country"].value_counts(normalize=True).to_dict()
    for column in ("sessions", "revenue"):
        found = ab(units, om.Mean(column), strata="country")
        a, b, c = [oracle.poststratified(arm[column], arm["country"], shares) for arm in arms(units)]
        agree(found.loc["B"], oracle.compare(b, a))
        agree(found.loc["C"], oracle.compare(c, a))


def test_a_quantile_by_its_order_statistics() -> None:
    control, treatment = SAMPLES["unequal"]
    for q in (0.5, 0.9):
        row = ab(frame_of(A=control, B=treatment), om.Quantile("y", q)).loc["B"]
        expected = oracle.compare(oracle.quantile(treatment, q), oracle.quantile(control, q))
        close(row[["treatment", "control", "difference"]], (expected.treatment, expected.control, expected.difference))
        close(row[["difference_low", "difference_high", "statistic", "p_value"]],
              (expected.low, expected.high, expected.statistic, expected.p_value))  # fmt: skip


def test_a_quantile_by_bootstrap_is_near_resampling() -> None:
    control, treatment = SAMPLES["unequal"]
    frame = frame_of(A=control, B=treatment)
    row = ab(frame, om.Quantile("y", 0.5, method="bootstrap"), rng=1).loc["B"]
    random = np.random.default_rng(2)
    resampled = [
        np.median(random.choice(treatment, (4_000, len(treatment))), axis=1),
        np.median(random.choice(control, (4_000, len(control))), axis=1),
    ]
    low, high = np.quantile(resampled[0] - resampled[1], [0.025, 0.975])
    close(row["difference"], np.median(treatment) - np.median(control))
    close(row[["difference_low", "difference_high"]], (low, high), 0, abs=0.15 * (high - low))
    again = ab(frame, om.Quantile("y", 0.5, method="bootstrap"), rng=1).loc["B"]
    assert again.to_list() == row.to_list()


# ---------------------------------------------------------------------------------------------------------- covariates


@pytest.mark.parametrize("names", [["revenue_before"], ["revenue_before", "sessions"]], ids=["one", "two"])
def test_covariates_are_an_analysis_of_covariance(units: pd.DataFrame, names: list[str]) -> None:
    found = ab(units, om.Mean("revenue", covariate=names if len(names) > 1 else names[0]))
    expected = oracle.ancova([arm["revenue"] for arm in arms(units)], [arm[names] for arm in arms(units)])
    for place, name in enumerate(("B", "C")):
        row = found.loc[name]
        close(row["difference"], expected.estimates[place + 1] - expected.estimates[0])
        close(row[["treatment", "control"]], expected.estimates[[place + 1, 0]])
        close((row["difference"] / row["statistic"]) ** 2, expected.separate[place], 2e-3)
        raw = oracle.welch(arms(units)[place + 1]["revenue"], arms(units)[0]["revenue"])
        spared = 1 - expected.separate[place] / (raw.difference / raw.statistic) ** 2
        close(row["variance_reduction"], spared, 0, abs=0.01)
        assert row["variance_reduction"] > 0.2


def test_few_units_lose_a_degree_of_freedom_per_covariate() -> None:
    """Where all arms have equal residual variances, the interval must be nearly that of the classical analysis of covariance."""
    random = np.random.default_rng(8)
    before = [random.normal(0, 1, (9, 2)), random.normal(0.4, 1, (9, 2))]
    after = [x @ [1.0, -0.5] + random.normal(0, 1, 9) for x in before]
    expected = oracle.ancova(after, before)
    frame = pd.concat(
        [pd.DataFrame({"variant": name, "y": y, "x": x[:, 0], "z": x[:, 1]}) for name, y, x in zip("AB", after, before, strict=True)]
    )
    row = ab(frame, om.Mean("y", covariate=["x", "z"])).loc["B"]
    close(row["difference"], expected.estimates[1] - expected.estimates[0])
    assert 16 - 2 - 4 < row["df"] <= 16 - 2
    width = row["difference_high"] - row["difference_low"]
    close(width, 2 * stats.t.isf(0.025, expected.df) * math.sqrt(expected.classical[0]), 0.1)


def test_a_covariate_with_the_slope_of_all_arms_together(units: pd.DataFrame) -> None:
    a, b, c = oracle.cuped_total([arm["revenue"] for arm in arms(units)], [arm["revenue_before"] for arm in arms(units)])
    found = ab(units, om.Mean("revenue", covariate="revenue_before", theta="pooled"))
    agree(found.loc["B"], oracle.welch(b, a))
    agree(found.loc["C"], oracle.welch(c, a))


def test_missing_covariates_are_filled_and_marked() -> None:
    frame = make_experiment(3_000, rng=4)
    filled = [np.column_stack([arm["revenue_before"].fillna(0), arm["revenue_before"].isna()]) for arm in arms(frame)]
    expected = oracle.ancova([arm["revenue"] for arm in arms(frame)], filled)
    with pytest.warns(om.OpsmetricsWarning, match=f"{frame['revenue_before'].isna().sum():,}|{frame['revenue_before'].isna().sum()}"):
        result = om.ab_test(
            frame, variant="variant", metrics={"m": om.Mean("revenue", covariate="revenue_before")}, control="A"
        )  # fmt: skip
    found = to_pandas(result.table).set_index("variant")
    for place, name in enumerate(("B", "C")):
        close(found.loc[name, "difference"], expected.estimates[place + 1] - expected.estimates[0])
        close((found.loc[name, "difference"] / found.loc[name, "statistic"]) ** 2, expected.separate[place], 2e-3)
        assert found.loc[name, "n"] == (frame["variant"] == name).sum()


# ------------------------------------------------------------------------------------------------------------ statistics


def reference_case(name: str) -> dict[str, Any]:
    cases = {case["id"]: case for case in reference("ab.json")}
    return dict(cases[name])


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


# ---------------------------------------------------------------------------------- many comparisons, and shares of units


THEIR_WORDS = {
    "holm": "holm",
    "hochberg": "simes-hochberg",
    "bonferroni": "bonferroni",
    "benjamini-hochberg": "fdr_bh",
    "benjamini-yekutieli": "fdr_by",
}


@pytest.mark.parametrize(("ours", "theirs"), THEIR_WORDS.items(), ids=THEIR_WORDS)
def test_adjusted_p_values_are_those_of_statsmodels(units: pd.DataFrame, ours: Any, theirs: str) -> None:
    metrics = {"revenue": om.Mean("revenue"), "sessions": om.Mean("sessions"), "rate": om.Proportion("converted")}
    table = to_pandas(quietly(om.ab_test, units, variant="variant", metrics=metrics, control="A", correction=ours).table)
    assert len(table) == 6
    close(table["p_adjusted"], multipletests(table["p_value"], method=theirs)[1])


def test_dunnett_is_near_scipy(units: pd.DataFrame) -> None:
    random = np.random.default_rng(3)
    frame = frame_of(A=random.normal(0, 1, 60), B=random.normal(0.3, 1, 60), C=random.normal(0.45, 1, 60))
    table = ab(frame, om.Mean("y"), correction="dunnett")
    a, b, c = (frame.loc[frame["variant"] == name, "y"] for name in ("A", "B", "C"))
    close(table.loc[["B", "C"], "p_adjusted"], stats.dunnett(b, c, control=a, rng=np.random.default_rng(1)).pvalue, 0, abs=5e-3)


def test_a_sample_ratio_mismatch_is_found() -> None:
    frame = frame_of(A=np.zeros(600), B=np.ones(400) * 0.5, C=np.arange(500) % 3)
    with pytest.warns(om.OpsmetricsWarning, match="ratio"):
        result = om.ab_test(frame, variant="variant", metrics={"m": om.Mean("y")}, control="A")
    expected = stats.chisquare([600, 400, 500])
    close(result.params["srm_p_value"], expected.pvalue)
    srm = to_pandas(result.srm).set_index("variant")
    assert srm.loc[["A", "B", "C"], "observed"].tolist() == [600, 400, 500]
    close(srm.loc[["A", "B", "C"], "expected"], [500, 500, 500])
    planned = quietly(
        om.ab_test, frame, variant="variant", metrics={"m": om.Mean("y")}, control="A", expected_split={"A": 6, "B": 4, "C": 5}
    )  # fmt: skip
    close(planned.params["srm_p_value"], 1.0)
    assert not [text for text in planned.warnings if "ratio" in text]


def test_a_published_mismatch() -> None:
    case = reference_case("srm_kohavi")
    records = [{"variant": v, "n": n, "mean": 1.0, "variance": 2.0} for v, n in zip("AB", case["inputs"]["observed"], strict=True)]
    result = quietly(om.ab_test_from_stats, records, control="A")
    close(result.params["srm_p_value"], case["expected"]["p"], case["tolerance"])
