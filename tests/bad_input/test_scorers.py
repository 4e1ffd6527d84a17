"""Scorers: specs outside their rules, summaries that cannot be scored, saved scorers that were tampered with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import opsmetrics as om
from tests.bad_input.cases import Case, check_refused, orders, refuse, rfm, scores_input, settled, summary
from tests.support import Kind, columns_of

CUTS = {"r": [30], "f": [2], "m": [100]}
NAN = float("nan")
BINS = (om.ParameterError, "parameter.bins")
THRESHOLDS = (om.ParameterError, "parameter.thresholds")
WEIGHTS = (om.ParameterError, "parameter.weights")
TIE_KEY = (om.ParameterError, "parameter.tie_key")


def cut(**axes: Any) -> om.RFMScorer:
    return om.RFMScorer(method="thresholds", thresholds=CUTS | axes)


def by_ntile(key: str = "uid", bins: int = 2) -> om.RFMScorer:
    return om.RFMScorer(method="ntile", tie_key=key, bins=bins)


SPECS = [
    refuse("bins 1", lambda: om.RFMScorer(bins=1), *BINS, "bins=1", "from 2 to 10", "usual choice is 5"),
    refuse("bins 0", lambda: om.RFMScorer(bins=0), *BINS),
    refuse("bins 1000", lambda: om.RFMScorer(bins=1000), *BINS, "bins=1000"),
    refuse("bins '5'", lambda: om.RFMScorer(bins="5"), *BINS, "bins='5'"),
    refuse("bins True", lambda: om.RFMScorer(bins=True), *BINS, "bins=True"),
    refuse("bins 2.5", lambda: om.RFMScorer(bins=2.5), *BINS, "bins=2.5"),
    refuse("bins None", lambda: om.RFMScorer(bins=None), *BINS),
    refuse("bins NaN", lambda: om.RFMScorer(bins=NAN), *BINS),
    refuse("bins list", lambda: om.RFMScorer(bins=[5, 5, 5]), *BINS),
    refuse("bins without axes", lambda: om.RFMScorer(bins={"r": 5}), *BINS, "no entry for ['f', 'm']"),
    refuse("bins with a wrong axis", lambda: om.RFMScorer(bins={"r": 5, "f": 5, "x": 5}), *BINS, "'x'", "['r', 'f', 'm']"),
    refuse("bins with one wrong number", lambda: om.RFMScorer(bins={"r": 5, "f": 5, "m": 1}), *BINS, "=1 "),
    refuse("bins for percentiles", lambda: om.RFMScorer(method="percentile", bins=7), *BINS),
    refuse("bins for thresholds", lambda: om.RFMScorer(method="thresholds", thresholds=CUTS, bins=7), *BINS),
    refuse("method near", lambda: om.RFMScorer(method="quantil"), om.ParameterError, "parameter.method", "Did you mean 'quantile'?"),
    refuse("method None", lambda: om.RFMScorer(method=None), om.ParameterError, "parameter.method", "'percentile', 'ntile'"),
    refuse("ties unknown", lambda: om.RFMScorer(ties="first"), om.ParameterError, "parameter.ties", "'low', 'high', 'mid'"),
    refuse("no thresholds", lambda: om.RFMScorer(method="thresholds"), *THRESHOLDS, "needs thresholds="),
    refuse("thresholds of another method", lambda: om.RFMScorer(thresholds=CUTS), *THRESHOLDS, "belongs to method='thresholds'"),
    refuse("thresholds fall", lambda: cut(r=[90, 30]), *THRESHOLDS, "30 follows 90", "Did you mean [30"),
    refuse("thresholds repeat", lambda: cut(r=[30, 30]), *THRESHOLDS, "must increase strictly"),
    refuse("thresholds empty", lambda: cut(r=[]), *THRESHOLDS, "thresholds['r']=[] is empty"),
    refuse("thresholds NaN", lambda: cut(r=[NAN]), *THRESHOLDS, "nan", "finite"),
    refuse("thresholds infinite", lambda: cut(r=[30, float("inf")]), *THRESHOLDS, "inf", "finite"),
    refuse("thresholds text", lambda: cut(r=["30"]), *THRESHOLDS, "'30'", "finite"),
    refuse("thresholds boolean", lambda: cut(r=[True]), *THRESHOLDS, "True"),
    refuse("thresholds one text", lambda: cut(r="30"), *THRESHOLDS, "must be a list of numbers"),
    refuse("thresholds one number", lambda: cut(r=30), *THRESHOLDS, "must be a list of numbers"),
    refuse("thresholds nested", lambda: cut(r=[[30]]), *THRESHOLDS),
    refuse("thresholds beyond floats", lambda: cut(r=[10**400]), *THRESHOLDS),
    refuse("thresholds without an axis", lambda: om.RFMScorer(method="thresholds", thresholds={"r": [1], "f": [1]}), *THRESHOLDS, "['m']"),
    refuse("thresholds list", lambda: om.RFMScorer(method="thresholds", thresholds=[30]), *THRESHOLDS, "must be a mapping"),
    refuse("ntile without a key", lambda: om.RFMScorer(method="ntile"), *TIE_KEY, "needs tie_key="),
    refuse("key of another method", lambda: om.RFMScorer(tie_key="uid"), *TIE_KEY, "belongs to method='ntile'"),
    refuse("weights without axes", lambda: om.RFMScorer(weights={"r": 1}), *WEIGHTS, "no entry for ['f', 'm']"),
    refuse("weights with a wrong axis", lambda: om.RFMScorer(weights={"r": 1, "f": 1, "m": 1, "z": 1}), *WEIGHTS, "'z'"),
    refuse("weights NaN", lambda: om.RFMScorer(weights={"r": NAN, "f": 1, "m": 1}), *WEIGHTS, "nan"),
    refuse("weights text", lambda: om.RFMScorer(weights={"r": "1", "f": 1, "m": 1}), *WEIGHTS, "'1'"),
    refuse("weights list", lambda: om.RFMScorer(weights=[1, 1, 1]), *WEIGHTS, "must be a mapping"),
    refuse("weights empty", lambda: om.RFMScorer(weights={}), *WEIGHTS),
    refuse("bins and scorer", lambda: rfm(orders(), bins=4, scorer=om.RFMScorer()), *BINS, "bins=4 and scorer= were both given"),
    refuse("scorer a word", lambda: rfm(orders(), scorer="quantile"), om.ParameterError, "parameter.scorer", "scorer='quantile'"),
    refuse("scorer a mapping", lambda: rfm(orders(), scorer={"bins": 5}), om.ParameterError, "parameter.scorer"),
    refuse("scorer a class", lambda: rfm(orders(), scorer=om.RFMScorer), om.ParameterError, "parameter.scorer"),
    refuse("scorer False", lambda: rfm(orders(), scorer=False), om.ParameterError, "parameter.scorer"),
]  # fmt: skip


@pytest.mark.parametrize("case", SPECS)
def test_specs(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


def test_a_spec_keeps_its_numbers_when_the_caller_changes_his() -> None:
    """A spec is immutable: what it was made of may change, it may not."""
    cuts, weights = {"r": [5], "f": [5], "m": [5]}, {"r": 1, "f": 1, "m": 1}
    scorer = om.RFMScorer(method="thresholds", thresholds=cuts, weights=weights)
    cuts["r"].append(1)
    weights["m"] = 1_000
    assert scorer.fit(scores_input()).edges["r"] == (5.0,)
    assert scorer.fit(scores_input()).weights == {"r": 1, "f": 1, "m": 1}


@pytest.mark.parametrize(
    "cuts", [{2, 6}, {6: 1, 2: 1}, np.array([2.0, 6.0]), pd.Series([2, 6]), (2, 6), range(2, 7, 4)], ids=lambda c: type(c).__name__
)
def test_thresholds_in_any_sequence_are_kept_in_order_or_refused(cuts: Any) -> None:
    found = settled(lambda: cut(f=cuts).fit(scores_input()).edges["f"])
    assert isinstance(found, om.OpsmetricsError) or found == (2.0, 6.0)


def test_thresholds_from_a_generator_are_not_used_up() -> None:
    found = settled(lambda: cut(f=(value for value in (2, 6))).fit(scores_input()).edges["f"])
    assert found == (2.0, 6.0) or "generator" in str(found), str(found)


@pytest.mark.parametrize("weight", [1e308, 3 * 10**18, 10**30, 10**400], ids=["1e308", "3e18", "10**30", "10**400"])
def test_weights_so_large_that_the_sum_is_not_a_number_of_the_machine(weight: float) -> None:
    found = settled(lambda: om.RFMScorer(weights={"r": weight, "f": 1, "m": 0}).fit(scores_input()).transform(scores_input()))
    if not isinstance(found, om.OpsmetricsError):
        total = columns_of(found.table)["rfm_score"]
        assert np.isfinite(total).all()
        assert total[0] == pytest.approx(5 * weight, rel=1e-9), "the best score, times the weight"


# ------------------------------------------------------------------------------------------------- what is scored

UNSCORABLE: list[Any] = [
    refuse("recency missing", lambda f: f.drop(columns="recency"), om.ColumnError, "column.missing", "recency"),
    refuse("near miss", lambda f: f.rename(columns={"monetary": "monetory"}), om.ColumnError, "column.missing", "Did you mean 'monetory'?"),
    refuse("wrong case", lambda f: f.rename(columns=str.upper), om.ColumnError, "column.missing", "Did you mean 'RECENCY'?"),
    refuse("text", lambda f: f.assign(frequency="often"), om.ColumnError, "column.type", "frequency"),
    refuse("booleans", lambda f: f.assign(frequency=True), om.ColumnError, "column.type", "Boolean"),
    refuse("stamps", lambda f: f.assign(recency=pd.Timestamp("2026-01-01")), om.ColumnError, "column.type", "recency"),
    refuse("durations", lambda f: f.assign(recency=pd.Timedelta(days=1)), om.ColumnError, "column.type", "Duration"),
    refuse("all null", lambda f: f.assign(recency=NAN), om.DataError, "data.measure", "recency", "10 of 10"),
    refuse("one null", lambda f: f.assign(monetary=[NAN] + [1.5] * 9), om.DataError, "data.measure", "1 of 10"),
    refuse("infinite", lambda f: f.assign(monetary=[float("inf")] + [1.5] * 9), om.DataError, "data.measure", "infinite for 1 of 10"),
]


@pytest.mark.parametrize("case", UNSCORABLE)
def test_summaries_that_cannot_be_scored(case: Case, kind: Kind) -> None:
    if kind.name == "pandas-categorical":
        pytest.skip("a category is no measure")
    fitted = om.RFMScorer(bins=2).fit(scores_input())
    frame = kind.make(case.call(scores_input()))
    for call in (lambda: om.RFMScorer(bins=2).fit(frame), lambda: fitted.transform(frame)):
        check_refused(call, case.error, case.code, case.says)


def test_nobody_to_fit_and_nobody_to_score(kind: Kind) -> None:
    nobody = kind.make(scores_input().assign(recency=1.5, frequency=1.5).head(0))
    check_refused(lambda: om.RFMScorer().fit(nobody), om.FitError, "fit.empty", ["summary has no customers"])
    scored = om.RFMScorer().fit(scores_input()).transform(nobody)
    assert columns_of(scored.table)["r_score"] == []
    assert str(om.SegmentMap.rf10().assign(scored))


def test_a_scored_result_is_a_summary_too() -> None:
    scored = om.RFMScorer().fit(scores_input()).transform(scores_input())
    assert om.RFMScorer().fit(scored) == scored.scorer
    assert columns_of(scored.scorer.transform(scored).table) == columns_of(scored.table)


@pytest.mark.parametrize(
    "columns", [{"recency": 5, "frequency": 5, "monetary": 0.5}, {"monetary": -5.5}, {"monetary": [1.7e308, -1.7e308] * 5}]
)
def test_alike_negative_and_huge_measures_are_scored(columns: dict, kind: Kind) -> None:
    frame = scores_input(**columns).astype({"recency": float, "frequency": float})
    table = columns_of(om.RFMScorer().fit(kind.make(frame)).transform(kind.make(frame)).table)
    assert set(table["r_score"]) | set(table["f_score"]) | set(table["m_score"]) <= {1, 2, 3, 4, 5}
    assert all(len(set(table[score])) == 1 for score, measure in (("m_score", "monetary"),) if len(set(table[measure])) == 1)


def test_a_frame_that_has_scores_already_gets_new_ones_and_keeps_its_own(kind: Kind) -> None:
    old = scores_input(r_score="old", rfm_score="old", segment="old").astype({"recency": float, "frequency": float})
    native = kind.make(old)
    scored = om.RFMScorer().fit(native).transform(native)
    assert columns_of(scored.table)["r_score"][0] == 5
    assert columns_of(om.SegmentMap.rf10().assign(scored).table)["segment"][0] == "champions"
    assert set(old["r_score"]) == set(old["segment"]) == {"old"}


# --------------------------------------------------------------------------------------------------------- tie keys

KEYS: list[Any] = [
    refuse(
        "missing, near", lambda: by_ntile("uidd").fit(scores_input()),
        om.ColumnError, "column.missing", "tie_key='uidd'", "Did you mean 'uid'?",
    ),
    refuse("a list", lambda: by_ntile(["uid"]).fit(scores_input()), om.OpsmetricsError, "*", "tie_key=['uid']"),
    refuse("repeats", lambda: by_ntile("key").fit(scores_input(key=[1, 1, *range(2, 10)])), om.DataError, "data.tie_key", "tie_key='key'"),
    refuse("nulls", lambda: by_ntile("key").fit(scores_input(key=[None, *"abcdefghi"])), om.DataError, "data.tie_key", "tie_key='key'"),
    refuse("mixed", lambda: by_ntile("key").fit(scores_input(key=[1, "a", 2, "b", 3, 4, 5, 6, 7, 8])), om.OpsmetricsError, "*", "key"),
    refuse("lists", lambda: by_ntile("key").fit(scores_input(key=[[i] for i in range(10)])), om.OpsmetricsError, "*", "key"),
    refuse(
        "fewer customers than bins", lambda: by_ntile(bins=5).fit(scores_input().head(3)),
        om.FitError, "fit.few", "3 customers", "at least 5",
    ),
    refuse(
        "NaN", lambda: by_ntile("key").fit(pl.from_pandas(scores_input()).with_columns(key=pl.Series([NAN, *map(float, range(9))]))),
        om.DataError, "data.tie_key", "tie_key='key'",
    ),
    refuse(
        "of another type than fitted", lambda: by_ntile().fit(scores_input()).transform(scores_input(uid=range(10))),
        om.OpsmetricsError, "*", "uid",
    ),
    refuse(
        "missing when scored", lambda: by_ntile().fit(scores_input()).transform(scores_input().drop(columns="uid")),
        om.ColumnError, "column.missing", "tie_key='uid'",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", KEYS)
def test_keys_that_do_not_tell_customers_apart(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


TYPES_OF_KEYS = [
    ("stamps", pd.date_range("2026-01-01", periods=10)),
    ("dates", pd.Series([day.date() for day in pd.date_range("2026-01-01", periods=10)], dtype=object)),
    ("large unsigned", np.arange(10, dtype="uint64") + np.uint64(2**63)),
    ("large nullable", pd.array(np.arange(10) + 2**53, dtype="Int64")),
    ("fractions", np.arange(10) / 4),
    ("categories", pd.Categorical(list("abcdefghij"))),
]


@pytest.mark.parametrize("key", [pytest.param(key, id=name) for name, key in TYPES_OF_KEYS])
def test_keys_of_any_type_split_ties_alike_now_and_from_json(key: Any) -> None:
    frame = scores_input(recency=1, key=key)

    def both() -> tuple[list[int], list[int]]:
        fitted = by_ntile("key").fit(frame)
        again = om.FittedRFMScorer.from_dict(json.loads(json.dumps(fitted.to_dict())))
        return tuple(columns_of(scorer.transform(frame).table)["r_score"] for scorer in (fitted, again))

    found = settled(both)
    assert isinstance(found, om.OpsmetricsError) or found == ([1] * 5 + [2] * 5,) * 2


# --------------------------------------------------------------------------------------------------- saved scorers

PLAIN = om.RFMScorer(bins=3).fit(scores_input()).to_dict()
KEYED = by_ntile(bins=3).fit(scores_input()).to_dict()
Saved = Mapping[str, Any]
SAVED = (om.ParameterError, "parameter.saved")
EDGES = (om.ParameterError, "parameter.edges")


def read(saved: Any) -> Callable[[], Any]:
    """Reading a scorer and using it: a bad one must be found when it is read, not in the middle of a report."""
    return lambda: om.FittedRFMScorer.from_dict(saved)


def with_edges(saved: Any, **axes: Any) -> Saved:
    return saved | {"edges": saved["edges"] | axes}


TAMPERED = [
    refuse("None", read(None), *SAVED, "saved=None", "mapping"),
    refuse("list", read([1]), *SAVED),
    refuse("text", read("{}"), *SAVED),
    refuse("empty", read({}), *SAVED, "no entry for"),
    refuse("unknown key", read(PLAIN | {"x": 1}), *SAVED, "'x'"),
    refuse("near key", read({("edge" if key == "edges" else key): value for key, value in PLAIN.items()}), *SAVED, "Did you mean 'edges'?"),
    refuse("missing key", read({key: value for key, value in PLAIN.items() if key != "ties"}), *SAVED, "['ties']"),
    refuse("method", read(PLAIN | {"method": "x"}), om.ParameterError, "parameter.method"),
    refuse("ties", read(PLAIN | {"ties": "x"}), om.ParameterError, "parameter.ties"),
    refuse("weights None", read(PLAIN | {"weights": None}), *WEIGHTS),
    refuse("weights NaN", read(PLAIN | {"weights": {"r": NAN, "f": 1, "m": 1}}), *WEIGHTS),
    refuse("edges None", read(PLAIN | {"edges": None}), *EDGES),
    refuse("edges without axes", read(PLAIN | {"edges": {"r": [1.0]}}), *EDGES),
    refuse("edges out of order", read(with_edges(PLAIN, f=[9, 2])), *EDGES, "from the worst score to the best"),
    refuse("edges of recency out of order", read(with_edges(PLAIN, r=[2, 9])), *EDGES),
    refuse("edges empty", read(with_edges(PLAIN, m=[])), *EDGES),
    refuse("edge NaN", read(with_edges(PLAIN, m=[NAN])), *EDGES, "m"),
    refuse("edge infinite", read(with_edges(PLAIN, m=[1, float("inf")])), *EDGES, "m"),
    refuse("edge text", read(with_edges(PLAIN, m=["2", "9"])), *EDGES, "m"),
    refuse("edge None", read(with_edges(PLAIN, m=[None])), *EDGES, "m"),
    refuse("edge a mapping", read(with_edges(PLAIN, m=[{"a": 1}])), *EDGES, "m"),
    refuse("edge beyond floats", read(with_edges(PLAIN, m=[10**400])), *EDGES, "m"),
    refuse("edges a text", read(with_edges(PLAIN, m="abc")), *EDGES, "m"),
    refuse("edges a number", read(with_edges(PLAIN, m=5)), *EDGES, "m"),
    refuse("edges of an axis None", read(with_edges(PLAIN, m=None)), *EDGES, "m"),
    refuse("pairs without ntile", read(with_edges(PLAIN, m=[[1, "a"]])), *EDGES, "m"),
    refuse("pairs and numbers", read(with_edges(PLAIN, m=[1, [2, "b"]])), *EDGES, "m"),
    refuse("pairs of one", read(with_edges(PLAIN, m=[[1]])), *EDGES, "m"),
    refuse("ntile with numbers", read(with_edges(KEYED, m=[4.0, 7.0])), *EDGES, "m"),
    refuse("ntile with mixed keys", read(with_edges(KEYED, m=[[4.0, 1], [7.0, "a"]])), *EDGES, "m"),
    refuse("ntile without a key", read(KEYED | {"tie_key": None}), *TIE_KEY),
    refuse("ntile without a key, numbers", read(PLAIN | {"method": "ntile"}), *TIE_KEY),
    refuse("key without ntile", read(PLAIN | {"tie_key": "uid"}), *TIE_KEY),
    refuse("key a number", read(KEYED | {"tie_key": 5}), *TIE_KEY),
]  # fmt: skip


@pytest.mark.parametrize("case", TAMPERED)
def test_a_saved_scorer_that_was_tampered_with(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


@pytest.mark.parametrize(("saved", "sizes"), [(PLAIN, (3, 3, 4)), (KEYED, (4, 3, 3))], ids=["quantile", "ntile"])
def test_a_saved_scorer_that_was_not_scores_alike(saved: Saved, sizes: tuple[int, ...]) -> None:
    scorer = om.FittedRFMScorer.from_dict(json.loads(json.dumps(saved, allow_nan=False)))
    scores = columns_of(scorer.transform(scores_input()).table)["r_score"]
    assert tuple(scores.count(score) for score in (1, 2, 3)) == sizes
    assert scorer.to_dict() == saved


@pytest.mark.parametrize(
    "table",
    [pl.from_pandas(scores_input()).lazy(), pa.Table.from_pandas(scores_input()), duckdb.from_arrow(pa.Table.from_pandas(scores_input()))],
)
def test_lazy_and_arrow_summaries(table: Any) -> None:
    assert om.RFMScorer(bins=3).fit(table).to_dict() == PLAIN


def test_scoring_what_customer_summary_returns_under_other_choices() -> None:
    fitted = om.RFMScorer(bins=2).fit(summary(orders()))
    other = summary(orders(amount=[-30.5, 20.0, 100.04, 7.5]), frequency="days", monetary="mean")
    assert columns_of(fitted.transform(other).table)["uid"] == ["a", "b", "c"]
