"""Sample ratio mismatch: published cases, scipy as witness, exact and sequential tests, and what is refused."""

from __future__ import annotations

import json
import math
import pickle
import warnings

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from opsmetrics import _output
from opsmetrics._kernels import splits as kernel
from opsmetrics.errors import OpsmetricsWarning, ParameterError
from opsmetrics.experiments.splits import srm_of, srm_of_each, srm_test
from tests.bad_input.cases import Case, check_refused, refuse
from tests.support import columns_of, reference

COUNTS = st.lists(st.integers(50, 10**6), min_size=2, max_size=5)


def named(counts):
    return {f"v{i}": count for i, count in enumerate(counts)}


# --------------------------------------------------------------------------------------------------------- chi-squared


@pytest.mark.parametrize("name", ["srm_kohavi", "srm_3way"])
def test_the_published_cases(name):
    case = next(c for c in reference("ab.json") if c["id"] == name)
    found = srm_test(named(case["inputs"]["observed"]))
    assert found.params["statistic"] == pytest.approx(case["expected"]["chi2"], rel=case["tolerance"])
    assert found.p_value == pytest.approx(case["expected"]["p"], rel=case["tolerance"])


@given(counts=COUNTS, weights=st.lists(st.integers(1, 10), min_size=5, max_size=5))
def test_scipy_agrees(counts, weights):
    planned = np.array(weights[: len(counts)], dtype=float)
    found = srm_test(named(counts), expected_split=named(planned.tolist()))
    witness = stats.chisquare(counts, planned / planned.sum() * sum(counts))
    assert found.params["method"] == "Pearson's chi-squared"
    assert found.params["df"] == len(counts) - 1
    assert found.params["statistic"] == pytest.approx(float(witness.statistic), rel=1e-9, abs=1e-9)
    assert found.p_value == pytest.approx(float(witness.pvalue), rel=1e-6, abs=1e-300)
    assert found.mismatch == (found.p_value < 0.001)


def test_far_tails_keep_their_digits():
    """One minus a distribution function is 0 here."""
    found = srm_test({"A": 600_000, "B": 500_000})
    assert found.p_value == pytest.approx(2 * stats.norm.sf(100_000 / math.sqrt(1_100_000)), rel=1e-6)
    assert 0 < srm_test({"A": 51_000, "B": 49_000}).p_value < 1e-9


def test_the_table():
    found = srm_test({"A": 7000, "B": 2900}, expected_split={"B": 1, "A": 2})
    assert columns_of(found.table) == {
        "variant": ["A", "B"],
        "observed": [7000, 2900],
        "expected": [6600.0, 3300.0],
        "share": [7000 / 9900, 2900 / 9900],
        "expected_share": [2 / 3, 1 / 3],
    }
    assert isinstance(found.table, pd.DataFrame)


def test_a_split_in_weights_per_cent_or_shares_is_one_split():
    counts = {"A": 700, "B": 290}
    p = [srm_test(counts, expected_split=split).p_value for split in ({"A": 0.7, "B": 0.3}, {"A": 70, "B": 30}, {"A": 7, "B": 3})]
    assert p == pytest.approx([p[0]] * 3, rel=1e-12)


@given(counts=COUNTS)
def test_the_order_of_the_variants_does_not_matter(counts):
    turned = srm_test(dict(reversed(list(named(counts).items()))))
    assert turned.p_value == pytest.approx(srm_test(named(counts)).p_value, rel=1e-9)


def test_the_threshold_is_one_in_a_thousand():
    assert srm_test({"A": 5166, "B": 4834}).mismatch  # p = 0.0009
    assert not srm_test({"A": 5163, "B": 4837}).mismatch  # p = 0.0011


def test_it_says_it_plainly():
    broken, sound = srm_test({"A": 821_588, "B": 815_482}), srm_test({"A": 10_050, "B": 9_950})
    assert "SAMPLE RATIO MISMATCH: do not read the results" in str(broken).splitlines()[0]
    assert "as planned" in str(sound).splitlines()[0]
    assert "MISMATCH" not in str(sound)
    assert "p_value 1.82179e-06" in str(broken)
    assert "821,588" in str(broken)
    assert "MISMATCH" in broken._repr_html_()


def test_it_travels():
    found = srm_test({"A": 821_588, "B": 815_482})
    saved = json.loads(json.dumps(found.to_dict()))
    assert saved["params"]["mismatch"] is True
    assert saved["table"][0]["variant"] == "A"
    assert pickle.loads(pickle.dumps(found)).p_value == found.p_value


def test_names_may_be_numbers_and_counts_numpys():
    found = srm_test({1: np.int64(5000), 2: 5100.0})
    assert columns_of(found.table)["variant"] == [1, 2]
    assert columns_of(srm_test(pd.Series({True: 40, False: 60}).to_dict()).table)["variant"] == [True, False]


def test_a_variant_without_units_is_the_plainest_mismatch():
    assert srm_test({"A": 100, "B": 0}).mismatch


# --------------------------------------------------------------------------------------------------------------- exact


@settings(max_examples=40)
@given(k=st.integers(0, 9), rest=st.integers(0, 9), share=st.floats(0.05, 0.95))
def test_few_units_are_tested_exactly_as_scipy_does(k, rest, share):
    n = k + rest
    if n == 0 or n * min(share, 1 - share) >= 5:
        return
    found = srm_test({"A": k, "B": rest}, expected_split={"A": share, "B": 1 - share})
    assert (found.params["method"], found.params["df"]) == ("exact multinomial", None)
    assert found.p_value == pytest.approx(stats.binomtest(k, n, share).pvalue, rel=1e-6)


def test_the_exact_test_of_three_variants():
    """Every one of the 3^7 ways to send seven units, one by one."""
    shares, observed = np.array([0.5, 0.3, 0.2]), [1, 5, 1]
    law = stats.multinomial(7, shares)
    ways = {(a, b, 7 - a - b) for a in range(8) for b in range(8 - a)}
    expected = sum(law.pmf(way) for way in ways if law.pmf(way) <= law.pmf(observed) * (1 + 1e-7))
    assert kernel.outcomes(7, 3) == len(ways)
    assert srm_test(named(observed), expected_split=named(shares.tolist())).p_value == pytest.approx(expected, rel=1e-9)


def test_too_many_ways_are_not_counted_and_it_says_so():
    counts = named([10] + [1] * 11)
    with pytest.warns(OpsmetricsWarning, match=r"1\.8 units are expected of the smallest variant, and 5 are needed"):
        found = srm_test(counts)
    assert found.params["method"] == "Pearson's chi-squared"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        srm_test(named([60] + [55] * 11))


# ------------------------------------------------------------------------------------------------------------- peeking


def test_a_single_look_by_hand():
    """The Dirichlet-multinomial probability of the counts over the multinomial one, with the prior 10,000 times the planned shares."""
    counts, shares = np.array([5200.0, 4800.0]), np.array([0.5, 0.5])
    prior = 10_000 * shares
    evidence = (
        special.gammaln(10_000)
        - special.gammaln(10_000 + counts.sum())
        + (special.gammaln(prior + counts) - special.gammaln(prior) - counts * np.log(shares)).sum()
    )
    found = srm_test({"A": 5200, "B": 4800}, peeking=True)
    assert found.params["statistic"] == pytest.approx(evidence, rel=1e-9)
    assert found.p_value == pytest.approx(math.exp(-evidence), rel=1e-9)
    assert found.params["df"] is None


def test_the_largest_evidence_so_far_counts():
    looks = [{"A": 0, "B": 0}, {"A": 6000, "B": 5400}, {"A": 12_000, "B": 11_900}]
    found = srm_test(looks, peeking=True)
    table = columns_of(found.looks)
    assert table["look"] == [1, 2, 3]
    assert table["units"] == [0, 11_400, 23_900]
    assert table["p_value"][0] == 1.0
    assert table["p_value"][2] == table["p_value"][1] == found.p_value
    assert table["evidence"][2] < table["evidence"][1] == found.params["statistic"]
    assert columns_of(found.table)["observed"] == [12_000, 11_900]
    alone = [srm_test(look, peeking=True).p_value for look in looks[1:]]
    assert found.p_value == pytest.approx(min(alone))


def test_looking_at_every_day_keeps_the_level_where_chi_squared_does_not():
    """400 sound experiments of 50 days at the level 0.05: at least one false alarm in how many of them?"""
    rng = np.random.default_rng(9)
    alarms = naive = 0
    for _ in range(400):
        a = rng.binomial(400, 0.5, 50).cumsum()
        units = 400 * np.arange(1, 51)
        found = srm_test([{"A": int(x), "B": int(n - x)} for x, n in zip(a, units, strict=True)], peeking=True)
        alarms += found.p_value < 0.05
        naive += (stats.chi2.sf((2 * a - units) ** 2 / units, 1) < 0.05).any()
    assert alarms / 400 <= 0.05
    assert naive / 400 > 0.2


def test_a_broken_split_is_noticed_while_the_test_runs():
    looks = [{"A": 530 * day, "B": 470 * day} for day in range(1, 31)]
    found = srm_test(looks, peeking=True)
    assert found.mismatch
    noticed = next(i for i, p in enumerate(columns_of(found.looks)["p_value"], start=1) if p < 0.001)
    assert noticed < 20


# --------------------------------------------------------------------------------------------- inside the A/B test


def test_the_caller_of_any_kind_of_frame_gets_his_own():
    found = srm_of(["A", "B"], np.array([5000, 5100]), None, _output.backend("polars"), peeking=False)
    assert isinstance(found.table, pl.DataFrame)
    assert found.p_value == srm_test({"A": 5000, "B": 5100}).p_value


def test_nobody_at_all_is_no_mismatch():
    found = srm_of(["A", "B"], np.array([0, 0]), None, _output.backend("pandas"), peeking=False)
    assert math.isnan(found.p_value)
    assert not found.mismatch
    assert found.to_dict()["params"]["p_value"] is None


@pytest.mark.parametrize("peeking", [False, True], ids=["once", "peeking"])
def test_many_experiments_are_tested_each_by_itself(peeking):
    counts = np.array([[5000, 5100, 0], [8000, 7000, 7500], [3, 2, 0], [0, 400, 390]])
    by = {"test": nw.new_series("test", ["a", "b", "c", "d"], nw.String(), backend="pandas")}
    found = srm_of_each(_output.backend("pandas"), by, ["A", "B", "C"], counts, None, peeking=peeking)
    table = columns_of(found.table)
    alone = [srm_test({i: int(n) for i, n in enumerate(row) if n}, peeking=peeking) for row in counts]
    assert table["test"] == ["a", "b", "c", "d"]
    assert table["p_value"] == pytest.approx([one.p_value for one in alone], rel=1e-12)
    assert table["mismatch"] == [one.mismatch for one in alone] == [False, True, False, False]
    assert table["units"] == [10_100, 22_500, 5, 790]
    assert found.p_value == pytest.approx(alone[1].p_value * 4)
    assert found.mismatch


def test_one_alarm_among_ten_thousand_experiments_is_expected():
    counts = np.full((10_000, 2), 5000)
    counts[17] = [5180, 4820]  # p = 0.0003
    by = {"test": nw.new_series("test", [str(i) for i in range(10_000)], nw.String(), backend="pandas")}
    found = srm_of_each(_output.backend("pandas"), by, ["A", "B"], counts, {"A": 1, "B": 1}, peeking=False)
    assert columns_of(found.table)["mismatch"][17] is True
    assert found.params["mismatches"] == 1
    assert not found.mismatch


def test_the_planned_shares_of_an_experiment_are_those_of_its_own_variants():
    by = {"test": nw.new_series("test", ["a"], nw.String(), backend="pandas")}
    found = srm_of_each(_output.backend("pandas"), by, ["A", "B", "C"], np.array([[600, 310, 0]]), {"A": 2, "B": 1, "C": 3}, peeking=False)
    assert found.p_value == pytest.approx(srm_test({"A": 600, "B": 310}, expected_split={"A": 2, "B": 1}).p_value, rel=1e-12)
    alone = srm_of_each(_output.backend("pandas"), {}, ["A", "B"], np.array([[600, 310]]), {"A": 2, "B": 1}, peeking=False)
    assert columns_of(alone.table)["observed"] == [600, 310]
    single = srm_of_each(_output.backend("pandas"), by, ["A", "B"], np.array([[600, 0]]), None, peeking=False)
    assert columns_of(single.table)["p_value"] == [None]
    assert not single.mismatch


# ----------------------------------------------------------------------------------------------------------- bad input

P = ParameterError
COUNTS_CODE, SPLIT, PEEKING = (P, "parameter.counts"), (P, "parameter.expected_split"), (P, "parameter.peeking")
AB = {"A": 500, "B": 510}


@pytest.mark.parametrize(
    "case",
    [
        refuse("one-variant", lambda: srm_test({"A": 500}), *COUNTS_CODE, "1 variants", "two or more"),
        refuse("no-variant", lambda: srm_test({}), *COUNTS_CODE, "two or more"),
        refuse("negative", lambda: srm_test({"A": 500, "B": -1}), *COUNTS_CODE, "counts['B']=-1", "0 or more"),
        refuse("fractional", lambda: srm_test({"A": 500, "B": 499.5}), *COUNTS_CODE, "counts['B']=499.5", "whole number"),
        refuse("missing", lambda: srm_test({"A": 500, "B": math.nan}), *COUNTS_CODE, "counts['B']=nan"),
        refuse("infinite", lambda: srm_test({"A": 500, "B": math.inf}), *COUNTS_CODE, "counts['B']=inf"),
        refuse("none", lambda: srm_test({"A": 500, "B": None}), *COUNTS_CODE, "counts['B']=None"),
        refuse("text-count", lambda: srm_test({"A": 500, "B": "510"}), *COUNTS_CODE, "counts['B']='510'"),
        refuse("flag-count", lambda: srm_test({"A": 500, "B": True}), *COUNTS_CODE, "counts['B']=True"),
        refuse("all-zero", lambda: srm_test({"A": 0, "B": 0}), *COUNTS_CODE, "no units"),
        refuse("text", lambda: srm_test("A"), *COUNTS_CODE, "must be a mapping"),
        refuse("series", lambda: srm_test(pd.Series(AB)), *COUNTS_CODE, "must be a mapping", ".to_dict()"),
        refuse("mixed-names", lambda: srm_test({"A": 500, 2: 510}), *COUNTS_CODE, "all text"),
        refuse("no-name", lambda: srm_test({None: 500, ("A",): 510}), *COUNTS_CODE, "all text"),
        refuse("looks-unsaid", lambda: srm_test([AB, AB]), *COUNTS_CODE, "peeking=True"),
        refuse("no-look", lambda: srm_test([], peeking=True), *COUNTS_CODE, "no look"),
        refuse(
            "looks-fall", lambda: srm_test([AB, {"A": 900, "B": 500}], peeking=True), *COUNTS_CODE, "'B' fall from 510 to 500 at look 2"
        ),
        refuse("look-without", lambda: srm_test([AB, {"A": 900}], peeking=True), *COUNTS_CODE, "look 2", "['A', 'B']"),
        refuse("look-of-numbers", lambda: srm_test([AB, 900], peeking=True), *COUNTS_CODE, "look 2"),
        refuse("looks-of-numbers", lambda: srm_test([500, 510], peeking=True), *COUNTS_CODE, "must be a mapping"),
        refuse("split-other", lambda: srm_test(AB, expected_split={"A": 1, "b": 1}), *SPLIT, "'b'", "Did you mean 'B'?"),
        refuse("split-lacks", lambda: srm_test(AB, expected_split={"A": 1}), *SPLIT, "no share for ['B']"),
        refuse("split-zero", lambda: srm_test(AB, expected_split={"A": 1, "B": 0}), *SPLIT, "expected_split['B']=0", "above 0"),
        refuse("split-negative", lambda: srm_test(AB, expected_split={"A": 1, "B": -0.5}), *SPLIT, "above 0"),
        refuse("split-missing", lambda: srm_test(AB, expected_split={"A": 1, "B": math.nan}), *SPLIT, "above 0"),
        refuse("split-text-share", lambda: srm_test(AB, expected_split={"A": 1, "B": "half"}), *SPLIT, "'half'"),
        refuse("split-text", lambda: srm_test(AB, expected_split="50/50"), *SPLIT, "must be a mapping"),
        refuse("split-list", lambda: srm_test(AB, expected_split=[0.5, 0.5]), *SPLIT, "must be a mapping"),
        refuse("peeking-text", lambda: srm_test(AB, peeking="yes"), *PEEKING, "True or False"),
    ],
)
def test_refused(case: Case):
    check_refused(case.call, case.error, case.code, case.says)
