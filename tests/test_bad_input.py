"""Promises that hold whatever comes in: no raw errors, nothing changed, nothing lost. The cases one by one are in `bad_input/`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import opsmetrics as om
from tests.bad_input.cases import CALL, check_refused, orders, rfm, scores_input, summary
from tests.support import Kind, columns_of, to_pandas

NO_TABLES = {
    "list": [1, 2],
    "dict": {"uid": ["a"], "paid_at": ["2026-01-02"], "amount": [1.0]},
    "None": None,
    "array": np.zeros((2, 3)),
    "text": "orders.csv",
    "pandas series": orders()["amount"],
    "polars series": pl.Series("amount", [1.0]),
    "arrow array": pa.array([1.0]),
    "grouped frame": orders().groupby("uid"),
    "class": pd.DataFrame,
    "range": range(3),
}
DOORS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "customer_summary": ("orders", summary),
    "rfm": ("orders", rfm),
    "fit": ("summary", lambda frame: om.RFMScorer().fit(frame)),
    "transform": ("summary", lambda frame: om.RFMScorer().fit(scores_input()).transform(frame)),
    "segment_summary": ("scored", om.segment_summary),
    "transitions before": ("before", lambda frame: om.transitions(frame, rfm(orders()), customer="uid")),
    "transitions after": ("after", lambda frame: om.transitions(rfm(orders()), frame)),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("thing", NO_TABLES)
def test_what_is_no_table_is_called_by_its_name(door: str, thing: str) -> None:
    argument, call = DOORS[door]
    says = [f"{argument} is", type(NO_TABLES[thing]).__name__, "pandas or polars frame"]
    check_refused(lambda: call(NO_TABLES[thing]), om.DataError, "data.kind", says)


# ------------------------------------------------------------------------------------------------- nothing is changed


def contents(frame: Any) -> Any:
    """All of a frame of any kind, copied out: values, types, index."""
    if isinstance(frame, pd.DataFrame):
        return frame.copy(deep=True)
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, (pl.DataFrame, pa.Table)):
        return copy.deepcopy(frame)
    return frame.to_arrow_table()


def same(one: Any, other: Any) -> bool:
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        return True
    return one.equals(other)


def whole_report(frame: Any) -> om.Transitions[Any]:
    """Everything the family can do with a table of orders."""
    found = om.rfm(frame, **CALL, order_id="order", window=30, refunds="drop", missing_customer="drop", frequency="days")
    om.SegmentMap.cn8(basis="value", centre="median").assign(found)
    om.segment_summary(found, by="segment").to_dict()
    later = om.rfm(frame, **CALL, missing_customer="drop", scorer=found.scorer, segment_map=found.segment_map)
    assert str(later)
    assert later._repr_html_()
    return om.transitions(found, later)


def test_the_callers_orders_are_not_changed(kind: Kind) -> None:
    orders_with_holes = orders(uid=["b", None, "b", "a"], amount=[30.5, np.nan, -100.04, 7.5], order=["x", None, "x", "y"])
    frame = kind.make(orders_with_holes)
    before = contents(frame)
    whole_report(frame)
    assert same(before, contents(frame))


def test_the_callers_summary_and_scores_are_not_changed(kind: Kind) -> None:
    measures = scores_input(segment="mine", r_score="mine").astype({"recency": float, "frequency": float})
    frame = kind.make(measures)
    before = contents(frame)
    scored = om.RFMScorer(bins=5).fit(frame).transform(frame)
    scores = contents(scored.table)
    found = om.SegmentMap.rf10().assign(scored)
    segments = contents(found.table)
    om.SegmentMap.cn8().assign(found)
    om.segment_summary(frame)
    om.transitions(frame, frame, customer="uid")
    assert same(before, contents(frame))
    assert same(scores, contents(scored.table))
    assert same(segments, contents(found.table))


def test_a_result_can_be_written_to_without_touching_the_callers_frame() -> None:
    frame = scores_input()
    before = contents(frame)
    scored = om.RFMScorer(bins=2).fit(frame).transform(frame)
    scored.table["recency"] = -1
    scored.table.loc[:, "monetary"] = -1.0
    assert same(before, frame)


def test_a_frame_over_memory_that_must_not_be_written() -> None:
    numbers = {"uid": np.arange(4), "amount": np.array([1.5, 2.5, 3.5, 4.5]), "paid_at": np.array(orders()["paid_at"].to_numpy())}
    for values in numbers.values():
        values.setflags(write=False)
    frame = pd.DataFrame(numbers, copy=False)
    found = om.rfm(frame, **CALL)
    assert columns_of(found.table)["uid"] == [0, 1, 2, 3]
    assert columns_of(summary(pl.DataFrame(numbers)).table)["revenue"] == [1.5, 2.5, 3.5, 4.5]


# -------------------------------------------------------------------------------------------- rows in any arrangement


INDEXES: dict[str, Any] = {
    "repeated": [7, 7, 7, 7],
    "backwards": [3, 2, 1, 0],
    "text": list("wxyz"),
    "stamps": pd.to_datetime(["2026-01-01"] * 4),
    "levels": pd.MultiIndex.from_tuples([(1, "a"), (1, "a"), (2, "b"), (2, "c")], names=["uid2", "amount2"]),
    "named like a column": pd.Index([4, 3, 2, 1], name="uid"),
}


@pytest.mark.parametrize("index", INDEXES)
def test_the_index_of_a_pandas_frame_plays_no_part(index: str) -> None:
    usual, odd = rfm(orders()), rfm(orders().set_axis(INDEXES[index]))
    assert odd.table.equals(usual.table)
    assert odd.segments.table.equals(usual.segments.table)


@pytest.mark.parametrize("index", [[5, 5, 6], [2, 0, 1], list("abc")], ids=str)
def test_scoring_and_mapping_go_by_row_and_not_by_index(index: list) -> None:
    usual = rfm(orders())
    odd = usual.table.set_axis(index)
    again = usual.segment_map.assign(usual.scorer.transform(odd))
    for name in ("uid", "r_score", "rfm_score", "segment"):
        assert again.table[name].tolist() == usual.table[name].tolist()
    assert again.table.index.tolist() == index
    assert columns_of(om.transitions(odd, usual.table, customer="uid").rates)["customers"] == [0, 3, 0]


def test_a_customer_in_the_index_is_missing_with_a_sentence() -> None:
    check_refused(lambda: rfm(orders().set_index("uid")), om.ColumnError, "column.missing", ["customer='uid'"])
    check_refused(lambda: rfm(orders().set_index(["uid", "order"])), om.ColumnError, "column.missing", ["customer='uid'"])


def test_the_order_of_the_rows_makes_no_difference(kind: Kind) -> None:
    frame = om.make_orders(60, rng=11).rename(columns={"customer": "uid", "time": "paid_at", "order_id": "order"})
    call: dict[str, Any] = CALL | {"as_of": "2025-12-31"}
    first = om.rfm(kind.make(frame), **call)
    for seed in (1, 2):
        shuffled = frame.sample(frac=1.0, random_state=seed, ignore_index=True)
        again = om.rfm(kind.make(shuffled), **call)
        assert columns_of(again.table) == columns_of(first.table)
        assert columns_of(again.segments.table) == columns_of(first.segments.table)
        assert again.scorer == first.scorer


def test_results_come_back_in_the_callers_kind(kind: Kind) -> None:
    found = whole_report(kind.make(orders()))
    for table in (found.table, found.counts, found.shares, found.rates):
        assert isinstance(table, kind.result)
    assert to_pandas(found.rates)["customers"].sum() == 3
