"""Segment maps: regions outside the rules, maps that are no partition, maps for other scores, odd names, maps that were tampered with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from tests.bad_input.cases import Case, check_refused, orders, refuse, rfm, scores_input, settled, summary
from tests.support import Kind, columns_of

CODES = ("111", "101", "011", "001", "110", "100", "010", "000")
REGIONS = (om.ParameterError, "parameter.regions")
PRESETS = [om.SegmentMap.rf10, om.SegmentMap.cn8, om.SegmentMap.r_rfm, om.SegmentMap.pymc_marketing]
HALVES = [("high", {"r": (3, 5)}), ("low", {"r": (1, 2)})]


def scored(bins: Any = 5) -> om.RFMScores[pd.DataFrame]:
    return om.RFMScorer(bins=bins).fit(scores_input()).transform(scores_input())


def given(segment_map: om.SegmentMap, scores: Any = None) -> list[str]:
    return columns_of(segment_map.assign(scored() if scores is None else scores).table)["segment"]


def region(value: Any) -> Callable[[], Any]:
    return lambda: om.SegmentMap([("name", value)], otherwise="rest")


def regions(value: Any) -> Callable[[], Any]:
    return lambda: om.SegmentMap(value)


RULES = [
    refuse("no regions", regions([]), *REGIONS, "regions=[] is empty"),
    refuse("regions None", regions(None), *REGIONS, "None"),
    refuse("regions a number", regions(5), *REGIONS, "5"),
    refuse("regions a text", regions("abc"), *REGIONS),
    refuse("regions a mapping", regions({"best": {"r": 5}}), *REGIONS),
    refuse("a name without a region", regions([("best",)]), *REGIONS),
    refuse("three parts", regions([("best", {"r": 5}, 3)]), *REGIONS),
    refuse("unknown axis", region({"x": 5}), *REGIONS, "'x'", "['r', 'f', 'm']"),
    refuse("axis in capitals", region({"R": 5}), *REGIONS, "'R'"),
    refuse("no axis", region({}), *REGIONS),
    refuse("score 6 of 5", region({"r": 6}), *REGIONS, "r=6", "from 1 to 5"),
    refuse("score 0", region({"r": 0}), *REGIONS, "r=0"),
    refuse("range backwards", region({"r": (5, 4)}), *REGIONS, "(5, 4)"),
    refuse("range of three", region({"r": (1, 2, 3)}), *REGIONS),
    refuse("score a text", region({"r": "5"}), *REGIONS, "'5'"),
    refuse("score a float", region({"r": 5.0}), *REGIONS, "5.0"),
    refuse("score a boolean", region({"r": True}), *REGIONS, "True"),
    refuse("score None", region({"r": None}), *REGIONS, "None"),
    refuse("score an array", region({"r": np.array([4, 5])}), *REGIONS),
    refuse("one code as text", region("555"), *REGIONS, "codes such as ['555', '554']"),
    refuse("no codes", region([]), *REGIONS),
    refuse("code of two digits", region(["55"]), *REGIONS, "'55'", "three digits"),
    refuse("code beyond the bins", region(["666"]), *REGIONS, "'666'"),
    refuse("code a number", region([555]), *REGIONS, "555"),
    refuse("code of letters", region(["abc"]), *REGIONS, "'abc'"),
    refuse("bins 1", lambda: om.SegmentMap(HALVES, bins=1), om.ParameterError, "parameter.bins", "bins=1"),
    refuse("bins '5'", lambda: om.SegmentMap(HALVES, bins="5"), om.ParameterError, "parameter.bins"),
    refuse("bins without axes", lambda: om.SegmentMap(HALVES, bins={"r": 5}), om.ParameterError, "parameter.bins", "['f', 'm']"),
    refuse("otherwise a number", lambda: om.SegmentMap(HALVES, otherwise=5), om.ParameterError, "parameter.otherwise", "otherwise=5"),
    refuse("labels unknown", lambda: om.SegmentMap.cn8(labels="fr"), om.ParameterError, "parameter.labels", "'zh', 'en'"),
    refuse("labels None", lambda: om.SegmentMap.cn8(labels=None), om.ParameterError, "parameter.labels"),
    refuse("labels list", lambda: om.SegmentMap.cn8(labels=list("abcdefgh")), om.ParameterError, "parameter.labels", "must be a mapping"),
    refuse("labels with codes missing", lambda: om.SegmentMap.cn8(labels={"111": "a"}), om.ParameterError, "parameter.labels", "'000'"),
    refuse(
        "labels with a code too many", lambda: om.SegmentMap.cn8(labels=dict.fromkeys([*CODES, "222"], "a")),
        om.ParameterError, "parameter.labels", "'222'",
    ),
    refuse("labels by number", lambda: om.SegmentMap.cn8(labels={111: "a"}), om.ParameterError, "parameter.labels", "Did you mean '111'?"),
    refuse("basis", lambda: om.SegmentMap.cn8(basis="scores"), om.ParameterError, "parameter.basis", "Did you mean 'score'?"),
    refuse("comparison", lambda: om.SegmentMap.cn8(comparison="<"), om.ParameterError, "parameter.comparison", "'>', '>='"),
    refuse("centre unknown", lambda: om.SegmentMap.cn8(centre="average"), om.ParameterError, "parameter.centre", "'mean', 'median'"),
    refuse("centre None", lambda: om.SegmentMap.cn8(centre=None), om.ParameterError, "parameter.centre"),
    refuse("centre without an axis", lambda: om.SegmentMap.cn8(centre={"r": 10, "f": 3}), om.ParameterError, "parameter.centre", "['m']"),
    refuse(
        "centre NaN", lambda: om.SegmentMap.cn8(centre={"r": 10, "f": 3, "m": float("nan")}),
        om.ParameterError, "parameter.centre", "nan",
    ),
    refuse(
        "gaps", lambda: given(om.SegmentMap([("a", {"r": (2, 5)})])),
        om.ParameterError, "parameter.partition", "25 cells have no name", "111", "otherwise='Others'",
    ),
    refuse(
        "overlaps", lambda: given(om.SegmentMap([("a", {"r": (1, 5)}), ("b", {"r": 3})])),
        om.ParameterError, "parameter.partition", "several names", "no cell can get: b",
    ),
    refuse(
        "a map of 4 for scores of 5", lambda: given(om.SegmentMap.pymc_marketing()),
        om.ParameterError, "parameter.bins", "made for 4 scores", "gives 5",
    ),
    refuse(
        "a map of 5 for scores of 4", lambda: given(om.SegmentMap.rf10(), scored(4)),
        om.ParameterError, "parameter.bins", "made for 5", "gives 4",
    ),
    refuse("the usual map for 4 bins", lambda: rfm(orders(), bins=4), om.ParameterError, "parameter.bins", "made for 5", "gives 4"),
    refuse(
        "segment_map a word", lambda: rfm(orders(), segment_map="rf10"),
        om.ParameterError, "parameter.segment_map", "segment_map='rf10'",
    ),
    refuse("segment_map a method", lambda: rfm(orders(), segment_map=om.SegmentMap.rf10), om.ParameterError, "parameter.segment_map"),
    refuse("segment_map a class", lambda: rfm(orders(), segment_map=om.SegmentMap), om.ParameterError, "parameter.segment_map"),
    refuse("segment_map empty", lambda: rfm(orders(), segment_map=[]), om.ParameterError, "parameter.segment_map"),
    refuse("segment_map False", lambda: rfm(orders(), segment_map=False), om.ParameterError, "parameter.segment_map"),
    refuse("assign nothing", lambda: om.SegmentMap.rf10().assign(None), om.OpsmetricsError, "*", "scores"),
    refuse("assign a frame", lambda: om.SegmentMap.rf10().assign(scores_input()), om.OpsmetricsError, "*", "scores"),
    refuse("assign a scorer", lambda: om.SegmentMap.rf10().assign(om.RFMScorer()), om.OpsmetricsError, "*", "scores"),
    refuse("assign a summary", lambda: om.SegmentMap.rf10().assign(summary(orders())), om.OpsmetricsError, "*", "r_score"),
]  # fmt: skip


@pytest.mark.parametrize("case", RULES)
def test_rules_of_maps(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


def test_check_reports_and_does_not_raise() -> None:
    check = om.SegmentMap([("a", {"r": (2, 5)}), ("b", {"r": 3}), ("a", {"r": 2})]).check()
    assert len(check.gaps) == 25
    assert check.unreachable == ("b",)
    assert not check.is_partition
    assert all(preset().check() for preset in PRESETS)


def test_a_name_that_nothing_can_get_is_told() -> None:
    with pytest.warns(om.OpsmetricsWarning, match=r"\['b'\] can never be given"):
        assert set(given(om.SegmentMap([("a", {"r": (1, 5)}), ("b", {"r": 3})], otherwise="rest"))) == {"a"}


# ------------------------------------------------------------------------------------------ cells and their names


def test_otherwise_may_be_the_name_of_a_region() -> None:
    """Cells that no region holds get the name given for them, wherever else that name stands."""
    tiers = om.SegmentMap([("a", {"r": 1}), ("b", {"r": 2})], otherwise="a")
    assert given(tiers) == ["a"] * 6 + ["b"] * 2 + ["a"] * 2


FREE_AXES = [{"r": 5, "f": 5, "m": 10}, {"r": 5, "f": 5, "m": 3}, {"r": 5, "f": 5, "m": 2}]


@pytest.mark.parametrize("bins", FREE_AXES, ids=lambda b: f"m={b['m']}")
def test_scores_on_an_axis_that_the_map_leaves_free_make_no_difference(bins: dict) -> None:
    assert given(om.SegmentMap.rf10(), scored(bins)) == given(om.SegmentMap.rf10())
    assert given(om.SegmentMap(HALVES), scored(bins | {"f": 10})) == given(om.SegmentMap(HALVES))


def test_thresholds_with_many_scores_on_a_free_axis() -> None:
    cuts = {"r": [2, 4, 6, 8], "f": [1, 2, 3, 4], "m": list(range(100))}
    scores = om.RFMScorer(method="thresholds", thresholds=cuts).fit(scores_input()).transform(scores_input())
    assert given(om.SegmentMap(HALVES), scores) == given(om.SegmentMap(HALVES))


NAMES = ["<script>alert(1)</script>", "\"quoted\" & 'quoted'", "x" * 5_000, "", " ", "重要价值客户", "a\nb", "$100-$500", "{0} %s"]


@pytest.mark.parametrize("name", NAMES, ids=lambda n: n[:12])
def test_odd_names_are_kept_and_escaped(name: str, kind: Kind) -> None:
    segment_map = om.SegmentMap([(name, {"r": (3, 5)}), ("low", {"r": (1, 2)})])
    found = rfm(kind.make(orders()), segment_map=segment_map)
    assert set(columns_of(found.table)["segment"]) == {name, "low"}
    page = found._repr_html_()
    assert "<script>" not in page.lower()
    assert str(found)
    assert json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.__name__)
def test_presets_over_a_lone_customer_and_over_nobody(preset: Callable[[], om.SegmentMap]) -> None:
    segment_map = preset()
    bins = 5 if segment_map.split else dict(segment_map.bins)
    scorer = om.RFMScorer(bins=bins).fit(scores_input())
    for rows in (1, 0):
        found = segment_map.assign(scorer.transform(scores_input().head(rows)))
        assert len(columns_of(found.table)["segment"]) == rows
        assert str(found)


@pytest.mark.parametrize("centre", ["mean", "median"])
@pytest.mark.parametrize("basis", ["score", "value"])
def test_the_eight_classes_of_nobody(basis: str, centre: str) -> None:
    nobody = om.RFMScorer().fit(scores_input()).transform(scores_input().head(0))
    found = settled(lambda: om.SegmentMap.cn8(basis=basis, centre=centre).assign(nobody))
    assert isinstance(found, om.OpsmetricsError) or str(found)


def test_the_eight_classes_of_money_beyond_floats() -> None:
    huge = scores_input(monetary=[1.7e308] * 10)
    scores = om.RFMScorer().fit(huge).transform(huge)
    check_refused(lambda: om.SegmentMap.cn8(basis="value").assign(scores), om.DataError, "data.measure", ["1.7e+308", "larger unit"])


def test_everybody_on_the_mean_is_low_by_one_comparison_and_high_by_the_other() -> None:
    same = orders(uid=list("abcd"), amount=9.5, paid_at=pd.Timestamp("2026-01-05"))
    low = rfm(same, segment_map=om.SegmentMap.cn8(comparison=">"))
    high = rfm(same, segment_map=om.SegmentMap.cn8(comparison=">="))
    assert set(columns_of(low.table)["rfm_code"]) == {"000"}
    assert set(columns_of(high.table)["rfm_code"]) == {"111"}


# ------------------------------------------------------------------------------------------------------ saved maps

RF10, CN8 = om.SegmentMap.rf10().to_dict(), om.SegmentMap.cn8().to_dict()
SAVED = (om.ParameterError, "parameter.saved")
SPLIT = (om.ParameterError, "parameter.split")


def read(saved: Any) -> Callable[[], Any]:
    return lambda: om.SegmentMap.from_dict(saved)


TAMPERED = [
    refuse("None", read(None), *SAVED, "saved=None"),
    refuse("list", read([]), *SAVED),
    refuse("empty", read({}), *SAVED, "no entry for"),
    refuse("unknown key", read(RF10 | {"x": 1}), *SAVED, "'x'"),
    refuse("regions None", read(RF10 | {"regions": None}), *REGIONS),
    refuse("regions a text", read(RF10 | {"regions": "abc"}), *REGIONS),
    refuse("a name without a region", read(RF10 | {"regions": [["a"]]}), *REGIONS),
    refuse("bins without axes", read(RF10 | {"bins": {"r": 5}}), om.ParameterError, "parameter.bins"),
    refuse("otherwise a number", read(RF10 | {"otherwise": 5}), om.ParameterError, "parameter.otherwise"),
    refuse("split a text", read(CN8 | {"split": "mean"}), *SPLIT),
    refuse("split False", read(CN8 | {"split": False}), *SPLIT),
    refuse("split empty", read(CN8 | {"split": {}}), *SPLIT),
    refuse("split with an unknown key", read(CN8 | {"split": CN8["split"] | {"x": 1}}), *SPLIT, "'x'"),
    refuse("split without a key", read(CN8 | {"split": {"basis": "score"}}), *SPLIT, "centre"),
    refuse("split with a bad centre", read(CN8 | {"split": CN8["split"] | {"centre": 5}}), om.ParameterError, "parameter.centre"),
    refuse("a split for a map of five scores", read(RF10 | {"split": CN8["split"]}), om.ParameterError, "parameter.*"),
]


@pytest.mark.parametrize("case", TAMPERED)
def test_a_saved_map_that_was_tampered_with(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.__name__)
def test_a_saved_map_that_was_not(preset: Callable[[], om.SegmentMap]) -> None:
    again = om.SegmentMap.from_dict(json.loads(json.dumps(preset().to_dict(), allow_nan=False)))
    assert again == preset()
