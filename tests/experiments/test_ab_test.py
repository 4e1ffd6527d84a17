"""A/B tests against slow answers on the same rows, scipy and statsmodels."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import replace
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
from tests.experiments.answers import ALTERNATIVES, SAMPLES, ab, agree, arms, close, counts, frame_of, from_stats, quietly
from tests.support import to_pandas

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


@pytest.mark.parametrize(
    ("control", "other"),
    [
        (dt.date(2024, 1, 1), dt.date(2024, 2, 1)), (False, True), (np.bool_(False), True), (np.int64(7), 3), (7.0, 3),
        (np.str_("old"), "new"),
    ],
)  # fmt: skip
def test_a_control_is_told_by_a_label_of_any_kind(control: Any, other: Any) -> None:
    frame = pd.DataFrame({"variant": [control, other] * 40, "y": range(80)})
    row = om.ab_test(frame, variant="variant", metrics="y", control=control).table.iloc[0]
    told = [str(label) if isinstance(label, dt.date) else label for label in (control, other)]
    assert [row["baseline"], row["variant"], row["difference"]] == [*told, 1.0]


@pytest.mark.parametrize("control", [1, None, pd.NA, [True], math.nan, {"a": 1}, np.array([True])])
def test_a_control_is_no_value_that_only_looks_like_a_label(control: Any) -> None:
    frame = pd.DataFrame({"variant": [True, False] * 40, "y": range(80)})
    if control is None:
        assert len(om.ab_test(frame, variant="variant", metrics="y").table) == 1
        return
    with pytest.raises(om.DataError, match=r"is not among the variants \[False, True\]"):
        om.ab_test(frame, variant="variant", metrics="y", control=control)


def test_missing_outcomes_do_not_count() -> None:
    """Rows counted in n, but in no mean, made tea-tasting's interval 29 % too narrow."""
    control, treatment = SAMPLES["normal"]
    half = np.where(np.arange(len(treatment)) % 2, treatment, np.nan)
    frame = frame_of(A=control, B=half)
    result = quietly(om.ab_test, frame, variant="variant", metrics={"m": om.Mean("y")}, control="A")
    row = to_pandas(result.table).iloc[0]
    agree(row, oracle.welch(half[1::2], control))
    assert row["n"] == len(half) // 2
    assert result.dropped == {"m missing": len(half) // 2}


def test_an_arm_without_a_value_has_no_estimate() -> None:
    row = ab(frame_of(A=[3.0, 4.0, 5.0], B=[math.nan] * 3), om.Mean("y")).loc["B"]
    assert row["n"] == 0
    assert row[["treatment", "difference", "difference_low", "lift", "statistic", "p_value"]].isna().all()


@pytest.mark.parametrize("name", ["around zero", "clearly around zero"])
def test_a_lift_without_bounds_is_told(name: str) -> None:
    control, treatment = SAMPLES[name]
    with pytest.warns(om.OpsmetricsWarning, match="control cannot be told from 0"):
        om.ab_test(frame_of(A=control, B=treatment), variant="variant", metrics={"m": om.Mean("y")}, control="A")


def test_rows_without_a_variant_are_dropped_and_counted() -> None:
    control, treatment = SAMPLES["normal"]
    frame = frame_of(A=control, B=treatment)
    more = pd.concat([frame, pd.DataFrame({"variant": [None] * 7, "y": np.arange(7.0)})], ignore_index=True)
    result = quietly(om.ab_test, more, variant="variant", metrics={"m": om.Mean("y")}, control="A")
    agree(to_pandas(result.table).iloc[0], oracle.welch(treatment, control))
    assert result.dropped == {"no variant": 7}


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
    close(variances[["A", "B"]], [one.var(ddof=1) for one in near])


def test_winsorizing_cuts_where_all_arms_together_are_cut() -> None:
    for choice, low, high in ((0.99, 0.0, 0.99), ((0.05, 0.9), 0.05, 0.9)):
        for control, treatment in (SAMPLES["revenue"], SAMPLES["unequal"]):
            cut = oracle.winsorized([control, treatment], low, high)
            if np.ptp(cut[0]):
                row = ab(frame_of(A=control, B=treatment), om.Mean("y", winsorize=choice)).loc["B"]
                agree(row, oracle.welch(cut[1], cut[0]))
                assert row["treatment"] < treatment.mean()


def test_winsorizing_cuts_the_numerator_of_a_ratio(units: pd.DataFrame) -> None:
    cut = oracle.winsorized([arm["revenue"].to_numpy() for arm in arms(units)], 0.0, 0.99)
    a, b, _ = (oracle.ratio(values, arm["sessions"]) for values, arm in zip(cut, arms(units), strict=True))
    agree(ab(units, om.Ratio("revenue", "sessions", winsorize=0.99)).loc["B"], oracle.compare(b, a))


@pytest.mark.parametrize("name", ["unequal", "revenue", "normal"])
def test_the_statistic_with_its_third_moment(name: str) -> None:
    control, treatment = SAMPLES[name]
    row = ab(frame_of(A=control, B=treatment), om.Mean("y", skew_correction=True)).loc["B"]
    z, p_value = oracle.skew_corrected(treatment, control)
    close(row["statistic"], z)
    close(row["p_value"], p_value)
    assert ab(frame_of(A=control, B=treatment), om.Mean("y")).loc["B", "p_value"] != pytest.approx(p_value, rel=1e-4)


def test_unequal_arms_without_a_third_moment_are_warned_of() -> None:
    """At the skewness that the warning names the warning of known skewness begins; even arms and known moments have none."""

    def told(third: float | None, n: int = 1_000) -> list[str]:
        rows = [{"metric": "m", "variant": v, "n": k, "mean": 1.0, "variance": 4.0} for v, k in (("A", 9_000), ("B", n))]
        known = pd.DataFrame(rows if third is None else [row | {"third_moment": third * 8.0} for row in rows])
        return list(quietly(om.ab_test_from_stats, known, control="A", expected_split={"A": 0.9, "B": 0.1}).warnings)

    (text,) = told(None)
    assert "m in B" in text
    assert "without third_moment" in text
    named = float(re.search(r"skewness above ([\d.]+) ", text)[1])
    assert "more than 0.5%" in told(1.02 * named)[0]
    assert told(0.98 * named) == []
    assert [text for text in told(None, n=8_000) if "skew" in text] == []
    assert [text for text in told(None, n=9_000_000) if "skew" in text] != []


@pytest.mark.parametrize(
    ("sizes", "deviations"), [((900, 100), (1.0, 1.0)), ((900, 100), (1.0, 3.0)), ((40, 40), (0.3, 1.0))], ids=["alike", "apart", "even"]
)
def test_the_skewness_that_does_harm_is_that_of_both_arms_own_variances(sizes: Any, deviations: Any) -> None:
    """A = g (s_t^3 / n_t^2 - s_c^3 / n_c^2) / se^3 for units of the skewness g, and a tail gains A phi(z) (2 z^2 + 1) / 6 (Hall, 1992)."""
    rows = [{"metric": "m", "variant": v, "n": n, "mean": 1.0, "variance": s**2} for v, n, s in zip("AB", sizes, deviations, strict=True)]
    found = quietly(om.ab_test_from_stats, pd.DataFrame(rows), control="A", expected_split=dict(zip("AB", sizes, strict=True)))
    (text,) = [text for text in found.warnings if "third_moment" in text]
    z = stats.t.ppf(0.975, found.table["df"].iloc[0])
    (s_c, s_t), (n_c, n_t) = deviations, sizes
    lopsided = abs(s_t**3 / n_t**2 - s_c**3 / n_c**2) / (s_t**2 / n_t + s_c**2 / n_c) ** 1.5
    expected = 0.005 / (lopsided * stats.norm.pdf(z) * (2 * z**2 + 1) / 6)
    assert float(re.search(r"skewness above ([\d.]+) ", text)[1]) == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize(("n", "skewness", "warned"), [(400, 8.0, True), (10_000, 8.0, False), (100, 0.2, False)], ids=str)
def test_at_a_margin_even_arms_of_unequal_spread_are_skewed(n: int, skewness: float, warned: bool) -> None:
    """A treatment that brings three tenths less of everything: the skewness of the arms does not cancel, as it does without a margin."""
    rows = [
        {"metric": "m", "variant": v, "n": n, "mean": 10 * size, "variance": size**2, "third_moment": skewness * size**3}
        for v, size in (("A", 1.0), ("B", 0.7))
    ]
    asked: dict[str, Any] = {"control": "A", "metrics": {"m": om.Mean("m", hypothesis="non-inferiority", margin=3.0)}}
    found = quietly(om.ab_test_from_stats, pd.DataFrame(rows), **asked)
    z = stats.t.ppf(0.95, found.table["df"].iloc[0])
    off = skewness * (1 - 0.7**3) / n**2 / ((1 + 0.7**2) / n) ** 1.5 * stats.norm.pdf(z) * (2 * z**2 + 1) / 6
    assert (off > 0.005) == warned
    texts = [text for text in found.warnings if "skewed" in text]
    assert len(texts) == warned
    if warned:
        assert f"at a margin of unequal spread, so that the error of a tail is off by up to {off:.1%}" in texts[0]
    assert not [text for text in quietly(om.ab_test_from_stats, pd.DataFrame(rows), control="A").warnings if "skewed" in text]


@pytest.mark.parametrize(
    "choices", [{"metrics": {"m": om.Mean("m", skew_correction=True)}}, {"sequential": om.AlwaysValid(2_000)}], ids=str
)
def test_an_interval_of_an_effect_that_is_too_narrow_is_told(choices: Any) -> None:
    """With one variance for both arms, as without an effect, where the smaller arm has nine times the larger one's."""

    def told(mean: float, variance: float, sizes: tuple[int, int] = (1_800, 200)) -> list[str]:
        rows = [
            {"metric": "m", "variant": arm, "n": n, "mean": own, "variance": spread, "third_moment": 0.0}
            for arm, n, own, spread in zip("AB", sizes, (10.0, mean), (9.0, variance), strict=True)
        ]
        split = dict(zip("AB", sizes, strict=True))
        found = quietly(om.ab_test_from_stats, pd.DataFrame(rows), control="A", expected_split=split, **choices)
        return [text for text in found.warnings if "too narrow" in text]

    (text,) = told(20.0, 81.0)
    assert "taken to vary alike" in text
    assert "errors 1.1 times as large" in text
    assert told(20.0, 9.0) == []  # a tenth of the units are far off, which widens what the arms have in common
    assert told(10.1, 81.0) == []  # nothing is called
    assert told(20.0, 81.0, (1_000, 1_000)) == []


def test_a_third_moment_is_known_test_by_test() -> None:
    """Another metric, or another experiment, that lacks it takes nothing from one that has it."""
    rows = [
        {"metric": m, "variant": v, "n": n, "mean": 1.0 + (v == "B"), "variance": 4.0, "third_moment": third}
        for m, third in (("x", None), ("y", 40.0)) for v, n in (("A", 900), ("B", 100))
    ]  # fmt: skip
    both, asked = pd.DataFrame(rows), {"control": "A", "expected_split": {"A": 9, "B": 1}}
    alone = quietly(om.ab_test_from_stats, both[both["metric"] == "y"], **asked)
    found = quietly(om.ab_test_from_stats, both, **asked)
    assert [text for text in found.warnings if text.startswith("y")] == list(alone.warnings) != []
    assert [text for text in found.warnings if text.startswith("x")]
    corrected = {name: om.Mean(name, skew_correction=name == "y") for name in "xy"}
    table = quietly(om.ab_test_from_stats, both, metrics=corrected, **asked).table.set_index("metric")
    one = quietly(om.ab_test_from_stats, both[both["metric"] == "y"], metrics={"y": corrected["y"]}, **asked).table.iloc[0]
    assert "Hall" in table.loc["y", "method"]
    assert table.loc["y", "p_value"] == one["p_value"]
    night = pd.concat([both[both["metric"] == m].assign(metric="m", night=m) for m in "xy"])
    told = quietly(om.ab_test_from_stats, night, by="night", **asked).warnings
    assert [text for text in told if "night=y" in text and "off by" in text]
    assert [text for text in told if "night=x" in text and "without third_moment" in text]


def test_nothing_is_warned_of_where_nothing_can_err_yet() -> None:
    """Before its burn-in a test cannot stop, however skewed its units are."""
    known = pd.DataFrame({"metric": "m", "variant": ["A", "B"], "n": [450, 50], "mean": [1.0, 1.1], "variance": 1.0})
    for more in ({}, {"third_moment": 20.0}):
        asked = {"control": "A", "expected_split": {"A": 9, "B": 1}, "sequential": om.AlwaysValid(5_000)}
        assert not [text for text in quietly(om.ab_test_from_stats, known.assign(**more), **asked).warnings if "skew" in text]


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


PAIRS = [(500, 10_000, 560, 10_000), (40, 900, 11, 100), (56, 70, 48, 80), (20, 300, 41, 250), (90, 100, 12, 40)]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_a_proportion_is_the_pooled_score_test(pair: tuple[int, int, int, int]) -> None:
    k0, n0, k1, n1 = pair
    row = from_stats(counts(("A", k0, n0), ("B", k1, n1))).loc["B"]
    z, p_value = proportions_ztest([k1, k0], [n1, n0])
    close(row["statistic"], z)
    close(row["p_value"], p_value)
    low, high = confint_proportions_2indep(k1, n1, k0, n0, compare="ratio", method="score", correction=False)
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


@pytest.mark.parametrize("pair", [(3, 10, 9, 10), (1, 30, 8, 40), (0, 25, 4, 30), (1, 100, 6, 80)], ids=str)
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
    resampled = [np.median(random.choice(arm, (4_000, len(arm))), axis=1) for arm in (treatment, control)]
    reach = stats.norm.isf(0.025) * (resampled[0] - resampled[1]).std()
    difference = np.median(treatment) - np.median(control)
    close(
        row[["difference", "difference_low", "difference_high"]], (difference, difference - reach, difference + reach), 0, abs=0.05 * reach
    )
    again = ab(frame, om.Quantile("y", 0.5, method="bootstrap"), rng=1).loc["B"]
    pd.testing.assert_series_equal(again, row)


# ---------------------------------------------------------------------------------------------------------- covariates


@pytest.mark.parametrize("names", [["revenue_before"], ["revenue_before", "sessions"]], ids=["one", "two"])
def test_covariates_are_an_analysis_of_covariance(units: pd.DataFrame, names: list[str]) -> None:
    found = ab(units, om.Mean("revenue", covariate=names if len(names) > 1 else names[0]))
    a, *others = arms(units)
    expected = oracle.ancova([arm["revenue"] for arm in (a, *others)], [arm[names] for arm in (a, *others)])
    for place, arm in enumerate(others):
        row = found.loc["BC"[place]]
        agree(row, expected.answer(place + 1))
        raw = oracle.mean(arm["revenue"]).variance + oracle.mean(a["revenue"]).variance
        close(row["variance_reduction"], 1 - (expected.arms[place + 1].variance + expected.arms[0].variance) / raw)
        assert row["variance_reduction"] > 0.2


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_covariates_of_a_ratio(units: pd.DataFrame, alternative: Any) -> None:
    found = ab(units, om.Ratio("revenue", "sessions", covariate="revenue_before"), alternative=alternative)
    values = [oracle.ratio_values(arm["revenue"], arm["sessions"]) for arm in arms(units)]
    expected = oracle.ancova(values, [arm["revenue_before"] for arm in arms(units)])
    for place, name in enumerate("BC"):
        agree(found.loc[name], expected.answer(place + 1, alternative=alternative))


def test_covariates_of_a_proportion(units: pd.DataFrame) -> None:
    found = ab(units, om.Proportion("converted", covariate="revenue_before"))
    expected = oracle.ancova([arm["converted"] for arm in arms(units)], [arm["revenue_before"] for arm in arms(units)])
    for place, name in enumerate("BC"):
        agree(found.loc[name], expected.answer(place + 1))


def test_few_units_lose_a_degree_of_freedom_per_covariate() -> None:
    """Where all arms have equal residual variances, the interval must be nearly that of the classical analysis of covariance."""
    random = np.random.default_rng(8)
    before = [random.normal(0, 1, (9, 2)), random.normal(0.4, 1, (9, 2))]
    after = [x @ [1.0, -0.5] + random.normal(0, 1, 9) for x in before]
    expected = oracle.ancova(after, before)
    arms = zip("AB", after, before, strict=True)
    frame = pd.concat([pd.DataFrame({"variant": name, "y": y, "x": x[:, 0], "z": x[:, 1]}) for name, y, x in arms])
    row = ab(frame, om.Mean("y", covariate=["x", "z"])).loc["B"]
    agree(row, expected.answer(1))
    ones = np.array([1, -1])
    width = 2 * stats.t.isf(0.025, 18 - 2 - 2) * math.sqrt(ones @ expected.classical @ ones)
    close(row["difference_high"] - row["difference_low"], width, 0.03)


def test_a_covariate_with_the_slope_of_all_arms_together(units: pd.DataFrame) -> None:
    (a, *others), shared = oracle.cuped_total([arm["revenue"] for arm in arms(units)], [arm["revenue_before"] for arm in arms(units)])
    found = ab(units, om.Mean("revenue", covariate="revenue_before", theta="pooled"))
    for name, adjusted in zip("BC", others, strict=True):
        plain = oracle.welch(adjusted, a)
        one, other = (oracle.Arm(arm.estimate, arm.variance + shared, arm.df) for arm in (oracle.mean(adjusted), oracle.mean(a)))
        agree(found.loc[name], replace(plain, lift=oracle.lifts(one, other, plain.df, covariance=shared)))


def test_missing_covariates_are_filled_and_marked() -> None:
    frame = make_experiment(3_000, rng=4)
    filled = [np.column_stack([arm["revenue_before"].fillna(0), arm["revenue_before"].isna()]) for arm in arms(frame)]
    expected = oracle.ancova([arm["revenue"] for arm in arms(frame)], filled)
    result = quietly(om.ab_test, frame, variant="variant", metrics={"m": om.Mean("revenue", covariate="revenue_before")}, control="A")
    found = to_pandas(result.table).set_index("variant")
    for place, name in enumerate("BC"):
        agree(found.loc[name], expected.answer(place + 1))
        assert found.loc[name, "n"] == (frame["variant"] == name).sum()
    assert result.params["missing_covariates"] == {"m": frame["revenue_before"].isna().sum()}


@pytest.mark.parametrize("level", [0.0, 1_000.0])
def test_a_covariate_that_is_missing_in_all_of_an_arm_tells_nothing_of_it(level: float) -> None:
    """There is no telling how far the arm's covariate is from the others': the estimate must not depend on what it is filled with."""
    control, treatment = SAMPLES["normal"]
    before = np.concatenate([control + np.sin(np.arange(len(control))), np.full(len(treatment), np.nan)])
    frame = pd.DataFrame({"variant": ["A"] * len(control) + ["B"] * len(treatment), "y": [*control, *treatment], "x": before + level})
    row = ab(frame, om.Mean("y", covariate="x")).loc["B"]
    close(row["difference"], treatment.mean() - control.mean())


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


@pytest.mark.parametrize("sizes", [(60, 60, 60), (90, 40, 40)], ids=str)
def test_dunnett_by_the_multivariate_t(sizes: tuple[int, int, int]) -> None:
    """The larger of two correlated t's: each comparison has its own error and degrees of freedom, by Welch."""
    random = np.random.default_rng(3)
    a, b, c = (random.normal(shift, 1, size) for shift, size in zip((0, 0.3, 0.45), sizes, strict=True))
    table = ab(frame_of(A=a, B=b, C=c), om.Mean("y"), correction="dunnett")
    shares = [math.sqrt(size / (size + sizes[0])) for size in sizes[1:]]
    shape = [[1, shares[0] * shares[1]], [shares[0] * shares[1], 1]]
    for name, arm in (("B", b), ("C", c)):
        expected = oracle.welch(arm, a)
        reach = abs(expected.statistic) * np.ones(2)
        law = stats.multivariate_t(shape=shape, df=expected.df)
        inside = law.cdf(reach, lower_limit=-reach, random_state=1, maxpts=200_000)
        close(table.loc[name, "p_adjusted"], 1 - inside, 0, abs=2e-4)


def test_a_sample_ratio_mismatch_is_found() -> None:
    frame = frame_of(A=np.arange(600) % 5, B=np.arange(400) % 4, C=np.arange(500) % 3)
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
