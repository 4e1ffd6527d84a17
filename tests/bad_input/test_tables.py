"""Segment summaries and transitions: labels, orders of labels, customers that do not match, and sums that are too large."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import opsmetrics as om
from tests.bad_input.cases import Case, check_refused, orders, refuse, rfm, scores_input, settled, summary
from tests.support import Kind, columns_of

NAN = float("nan")


def labelled(**columns: Any) -> pd.DataFrame:
    """Ten customers in the segments x, y, z."""
    usual = {"segment": list("xxyyzzxyzx")}
    return scores_input(**(usual | columns)).astype({"recency": float, "frequency": float})


def segments(frame: Any, **arguments: Any) -> Any:
    return om.segment_summary(frame, **arguments)


SUMMARIES = [
    refuse("label missing", lambda f: segments(f, by="segmnt"), om.ColumnError, "column.missing", "by='segmnt'", "Did you mean 'segment'?"),
    refuse("label None", lambda f: segments(f, by=None), om.ColumnError, "column.*", "by=None"),
    refuse("label a list", lambda f: segments(f, by=["segment"]), om.ColumnError, "column.*", "by=['segment']"),
    refuse("label a measure", lambda f: segments(f, by="recency"), om.ColumnError, "column.*", "recency"),
    refuse("order leaves out a label", lambda f: segments(f, order=["x", "y"]), om.ParameterError, "parameter.order", "leaves out ['z']"),
    refuse("order of another type", lambda f: segments(f, order=[1, 2, 3]), om.ParameterError, "parameter.order"),
]


@pytest.mark.parametrize("case", SUMMARIES)
def test_labels_and_their_order(case: Case, kind: Kind) -> None:
    frame = kind.make(labelled())
    check_refused(lambda: case.call(frame), case.error, case.code, case.says)


CONTENT = [
    refuse("order empty", lambda: segments(labelled(), order=[]), om.ParameterError, "parameter.order", "order=[]"),
    refuse("order repeats", lambda: segments(labelled(), order=["x", "x", "y", "z"]), om.ParameterError, "parameter.order", "'x'"),
    refuse("order a number", lambda: segments(labelled(), order=5), om.ParameterError, "parameter.order", "order=5"),
    refuse("null label", lambda: segments(labelled(segment=[None, *"xxyyzzxyz"])), om.DataError, "data.label", "by='segment'", "1 of 10"),
    refuse("boolean label", lambda: segments(labelled(segment=True)), om.ColumnError, "column.type", "by='segment' holds Boolean"),
    refuse("stamps as labels", lambda: segments(labelled(segment=pd.Timestamp("2026-01-01"))), om.ColumnError, "column.type"),
    refuse("lists as labels", lambda: segments(labelled(segment=[["x"]] * 10)), om.ColumnError, "column.type", "by='segment'"),
    refuse(
        "NaN label", lambda: segments(pl.from_pandas(labelled()).with_columns(segment=pl.lit(NAN))), om.DataError, "data.label", "10 of 10"
    ),
    refuse("null measure", lambda: segments(labelled(recency=NAN)), om.DataError, "data.measure", "recency", "10 of 10"),
    refuse("infinite orders", lambda: segments(labelled(orders=np.inf, revenue=1.0)), om.DataError, "data.measure", "orders"),
    refuse("measure missing", lambda: segments(labelled().drop(columns="monetary")), om.ColumnError, "column.missing", "monetary"),
    refuse("another result", lambda: segments(om.transitions(labelled(), labelled(), customer="uid")), om.ColumnError, "column.missing"),
    refuse("no table", lambda: segments([1, 2]), om.DataError, "data.kind", "scored is a list"),
    refuse("nothing", lambda: segments(None), om.DataError, "data.kind", "scored is"),
]


@pytest.mark.parametrize("case", CONTENT)
def test_tables_that_cannot_be_summed_up(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


def test_a_label_named_like_a_result(kind: Kind) -> None:
    """The labels must not be overwritten by the numbers."""
    for name in ("customers", "customer_share", "orders", "revenue", "revenue_share", "average_order_value", "median_recency"):
        frame = kind.make(labelled().rename(columns={"segment": name}))
        check_refused(
            lambda name=name, frame=frame: segments(frame, by=name), om.ColumnError, "column.reserved", [f"by={name!r}", "rename it"]
        )


def test_whole_numbers_as_labels_stay_whole_numbers(kind: Kind) -> None:
    frame = kind.make(labelled(segment=[1, 10, 2, 10, 1, 1, 2, 10, 1, 1]))
    assert columns_of(segments(frame, order=[2, 10, 1]).table)["segment"] == [2, 10, 1]
    assert columns_of(segments(frame, order=[3, 2, 10, 1]).table)["customers"] == [0, 2, 3, 5]


def test_an_order_may_name_segments_that_nobody_is_in(kind: Kind) -> None:
    found = columns_of(segments(kind.make(labelled()), order=["q", "z", "y", "x"]).table)
    assert found["customers"] == [0, 3, 3, 4]
    assert found["average_order_value"][0] is None
    assert found["revenue_share"][0] == 0.0


def test_no_customers_at_all(kind: Kind) -> None:
    found = segments(kind.make(labelled().head(0)), order=["x"])
    assert columns_of(found.table)["customers"] == [0]
    assert columns_of(found.table)["customer_share"] == [None]
    assert str(segments(kind.make(labelled().head(0))))


def test_no_orders_and_no_revenue_give_no_quotients(kind: Kind) -> None:
    found = columns_of(segments(kind.make(labelled(orders=0.0, revenue=0.0))).table)
    assert found["average_order_value"] == found["revenue_share"] == [None] * 3


TOO_LARGE = [
    ("money", {"monetary": 1e300}),
    ("a little too much money", {"monetary": 1e13}),
    ("orders", {"frequency": 1e300}),
    ("orders in sum", {"frequency": 9e18}),
]


@pytest.mark.parametrize("columns", [pytest.param(columns, id=name) for name, columns in TOO_LARGE])
def test_numbers_beyond_whole_numbers_do_not_wrap_around(columns: dict) -> None:
    found = settled(lambda: segments(labelled(**columns)))
    if not isinstance(found, om.OpsmetricsError):
        table = columns_of(found.table)
        assert min(table["orders"]) >= 0
        assert min(table["revenue"]) >= 0


def test_shares_of_a_large_revenue_add_up() -> None:
    found = settled(lambda: segments(labelled(monetary=2e12)))
    assert isinstance(found, om.OpsmetricsError) or sum(columns_of(found.table)["revenue_share"]) == pytest.approx(1.0)


def test_negative_revenue_is_summed_up_with_its_sign() -> None:
    found = columns_of(segments(labelled(monetary=-1.5), order=["x", "y", "z"]).table)
    assert found["revenue"] == [-6.0, -4.5, -4.5]


# ------------------------------------------------------------------------------------------------------ transitions

BEFORE = pd.DataFrame({"uid": [1, 2, 3], "segment": ["low", "low", "high"]})
AFTER = pd.DataFrame({"uid": [1, 2, 4], "segment": ["high", "low", "low"]})


def moves(before: Any, after: Any, **arguments: Any) -> Any:
    return om.transitions(before, after, **({"customer": "uid"} | arguments))


ORDER, CONFIDENCE = (om.ParameterError, "parameter.order"), (om.ParameterError, "parameter.confidence")

MOVES = [
    refuse("no customer", lambda b, a: moves(b, a, customer=None), om.ParameterError, "parameter.customer", "customer=None"),
    refuse("customer missing", lambda b, a: moves(b, a, customer="uidd"), om.ColumnError, "column.missing", "Did you mean 'uid'?"),
    refuse(
        "label missing", lambda b, a: moves(b, a, label="segmnt"),
        om.ColumnError, "column.missing", "label='segmnt'", "Did you mean 'segment'?",
    ),
    refuse("label is the customer", lambda b, a: moves(b, a, label="uid"), om.ColumnError, "column.repeated"),
]  # fmt: skip


@pytest.mark.parametrize("case", MOVES)
def test_columns_of_transitions(case: Case, kind: Kind) -> None:
    before, after = kind.make(BEFORE), kind.make(AFTER)
    check_refused(lambda: case.call(before, after), case.error, case.code, case.says)


ARGUMENTS = [
    refuse("order leaves out a label", lambda: moves(BEFORE, AFTER, order=["low"]), *ORDER, "order=['low']", "['high', 'low']"),
    refuse("order repeats", lambda: moves(BEFORE, AFTER, order=["low", "high", "low"]), *ORDER, "once"),
    refuse("order empty", lambda: moves(BEFORE, AFTER, order=[]), *ORDER, "order=[]"),
    refuse("order a text", lambda: moves(BEFORE, AFTER, order="low"), *ORDER),
    refuse("order a number", lambda: moves(BEFORE, AFTER, order=5), *ORDER, "order=5"),
    refuse("order names the newcomers", lambda: moves(BEFORE, AFTER, order=["low", "high", "(new)"]), *ORDER, "(new)"),
    refuse("order names the leavers", lambda: moves(BEFORE, AFTER, order=["low", "high", "(gone)"]), *ORDER, "(gone)"),
    refuse("confidence 95", lambda: moves(BEFORE, AFTER, confidence=95), *CONFIDENCE, "confidence=95", "Did you mean 0.95?"),
    refuse("confidence 0", lambda: moves(BEFORE, AFTER, confidence=0), *CONFIDENCE, "between 0 and 1"),
    refuse("confidence 1", lambda: moves(BEFORE, AFTER, confidence=1), *CONFIDENCE),
    refuse("confidence NaN", lambda: moves(BEFORE, AFTER, confidence=NAN), *CONFIDENCE),
    refuse("confidence a text", lambda: moves(BEFORE, AFTER, confidence="0.95"), *CONFIDENCE, "'0.95'"),
    refuse("confidence True", lambda: moves(BEFORE, AFTER, confidence=True), *CONFIDENCE),
    refuse("no table before", lambda: moves([1], AFTER), om.DataError, "data.kind", "before is a list"),
    refuse("nothing after", lambda: moves(BEFORE, None), om.DataError, "data.kind", "after is"),
]  # fmt: skip


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_of_transitions(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


SIDES: list[Any] = [
    pytest.param(
        {"uid": [1, 1, 3]},
        {},
        Case("", moves, om.DataError, "data.repeated", ("customer='uid' repeats in 1 rows of before",)),
        id="repeated",
    ),
    pytest.param({}, {"uid": [4, 4, 4]}, Case("", moves, om.DataError, "data.repeated", ("2 rows of after",)), id="repeated after"),
    pytest.param(
        {"segment": ["low", None, "high"]}, {}, Case("", moves, om.DataError, "data.null", ("segment", "1 rows of before")), id="null label"
    ),
    pytest.param(
        {},
        {"segment": pd.array([None] * 3, dtype="string")},
        Case("", moves, om.DataError, "data.null", ("3 rows of after",)),
        id="all null",
    ),
    pytest.param(
        {"uid": pd.array([1, None, 3], dtype="Int64")}, {}, Case("", moves, om.DataError, "data.null", ("uid",)), id="null customer"
    ),
    pytest.param({"segment": "(new)"}, {}, Case("", moves, om.DataError, "data.label", ("'(new)'", "rename it")), id="newcomers"),
    pytest.param({}, {"segment": "(gone)"}, Case("", moves, om.DataError, "data.label", ("'(gone)'",)), id="leavers"),
    pytest.param({"segment": ["source", "low", "high"]}, {}, Case("", moves, om.DataError, "data.label", ("'source'",)), id="source"),
    pytest.param(
        {}, {"uid": ["1", "2", "4"]}, Case("", moves, om.ColumnError, "column.type", ("before", "after")), id="numbers before, text after"
    ),
    pytest.param(
        {"uid": ["1", "2", "3"]}, {}, Case("", moves, om.ColumnError, "column.type", ("before", "after")), id="text before, numbers after"
    ),
]


@pytest.mark.parametrize(("before", "after", "case"), SIDES)
def test_the_two_sides_of_transitions(before: dict, after: dict, case: Case, kind: Kind) -> None:
    sides = kind.make(BEFORE.assign(**before)), kind.make(AFTER.assign(**after))
    check_refused(lambda: case.call(*sides), case.error, case.code, case.says)


@pytest.mark.parametrize("make", [pl.DataFrame, pl.DataFrame.lazy, pl.DataFrame.to_arrow], ids=["polars", "polars-lazy", "pyarrow"])
@pytest.mark.parametrize("column", ["uid", "segment"])
def test_nan_is_neither_a_customer_nor_a_label(column: str, make) -> None:
    """Counted as the last customer or the last label it would hide a real one."""
    before = make(pl.DataFrame({"uid": [1.0, 2.0, 3.0], "segment": [1.0, 2.0, 3.0]}).with_columns(pl.Series(column, [1.0, NAN, 3.0])))
    after = make(pl.DataFrame({"uid": [1.0, 2.0, 3.0], "segment": [1.0, 2.0, 3.0]}))
    check_refused(lambda: moves(before, after), om.DataError, "data.null", [column, "before"])


def test_lists_are_neither_customers_nor_labels() -> None:
    lists = [[1], [2], [3]]
    check_refused(lambda: moves(BEFORE.assign(uid=lists), AFTER), om.ColumnError, "column.type", ["uid"])
    check_refused(lambda: moves(BEFORE.assign(segment=lists), AFTER), om.ColumnError, "column.type", ["segment"])


def test_labels_that_read_alike_are_not_blamed_on_an_order_that_was_not_given() -> None:
    alike = pd.Series([1, "1", 2], dtype=object)
    error = check_refused(lambda: moves(BEFORE.assign(segment=alike), AFTER.assign(segment=alike)), om.OpsmetricsError, "*")
    assert "order=" not in str(error), str(error)


def test_ids_beyond_exact_floats_on_two_sides_of_unlike_types() -> None:
    """Unsigned before, signed after: a common type of floats would merge two customers into one."""
    before = BEFORE.assign(uid=np.array([2**63, 2**63 + 1, 3], dtype="uint64"))
    after = AFTER.assign(uid=np.array([2**63 - 1, 2, 3], dtype="int64"))
    found = settled(lambda: moves(before, after, order=["low", "high"]))
    if not isinstance(found, om.OpsmetricsError):
        assert columns_of(found.rates)["customers"] == [0, 1, 0, 2], "only customer 3 is there twice, and went down"


WIDTHS = [
    ("pandas", lambda f, t: f.astype({"uid": t})),
    ("polars", lambda f, t: pl.from_pandas(f.astype({"uid": t}))),
    ("pyarrow", lambda f, t: pa.Table.from_pandas(f.astype({"uid": t}))),
]


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in WIDTHS])
@pytest.mark.parametrize(("old", "new"), [("int32", "int64"), ("int64", "int32"), ("uint8", "int64"), ("int64", "float64")])
def test_numbers_of_unlike_width_are_the_same_customers_or_refused(old: str, new: str, make) -> None:
    found = settled(lambda: moves(make(BEFORE, old), make(AFTER, new)))
    if isinstance(found, om.OpsmetricsError):
        assert found.code == "column.type"
    else:
        assert columns_of(found.rates)["customers"] == [1, 1, 1]


MIXED = [
    ("pandas, polars", BEFORE, pl.from_pandas(AFTER)),
    ("polars, pandas", pl.from_pandas(BEFORE), AFTER),
    ("polars, pyarrow", pl.from_pandas(BEFORE), pa.Table.from_pandas(AFTER)),
]


@pytest.mark.parametrize(("before", "after"), [pytest.param(b, a, id=name) for name, b, a in MIXED])
def test_two_kinds_of_frames(before: Any, after: Any) -> None:
    found = settled(lambda: moves(before, after))
    if isinstance(found, om.OpsmetricsError):
        assert "Int64 before and Int64 after" not in str(found), str(found)
    else:
        assert columns_of(found.rates)["customers"] == [1, 1, 1]


@pytest.mark.parametrize("column", ["uid", "segment"])
def test_arrow_text_of_either_width_is_text(column: str) -> None:
    """pandas hands out large_string, Parquet and DuckDB string: the same texts."""
    texts = {"uid": list("abc"), "segment": ["low", "low", "high"]}
    wide = pa.table({name: pa.array(values, pa.large_string()) for name, values in texts.items()})
    narrow = wide.set_column(wide.column_names.index(column), column, wide[column].cast(pa.string()))
    assert columns_of(moves(wide, narrow).rates)["customers"] == [0, 3, 0]


def test_a_confidence_next_to_one() -> None:
    found = settled(lambda: moves(BEFORE, AFTER, confidence=1 - 1e-16))
    assert isinstance(found, om.OpsmetricsError) or np.isfinite(columns_of(found.table)["share_low"]).all()


def test_nobody_before_nobody_after_nobody_at_all(kind: Kind) -> None:
    nobody, somebody = kind.make(BEFORE.astype({"uid": "str"}).head(0)), kind.make(AFTER.astype({"uid": "str"}))
    assert columns_of(moves(nobody, somebody).table)["source"] == ["(new)", "(new)"]
    assert columns_of(moves(somebody, nobody).table)["target"] == ["(gone)", "(gone)"]
    assert str(moves(nobody, nobody))


def test_an_order_may_name_labels_that_nobody_has(kind: Kind) -> None:
    found = moves(kind.make(BEFORE), kind.make(AFTER), order=["lower", "low", "high"])
    assert columns_of(found.counts)["source"] == ["lower", "low", "high", "(new)"]
    assert columns_of(found.rates)["customers"] == [1, 0, 1, 1]


def test_labels_that_are_nearly_alike_are_not_the_same(kind: Kind) -> None:
    found = moves(kind.make(BEFORE.assign(segment=["low", "low ", "LOW"])), kind.make(AFTER))
    assert columns_of(found.rates)["customers"] == [2, 0, 1]


def test_large_ids_on_both_sides(kind: Kind) -> None:
    found = moves(kind.make(BEFORE.assign(uid=[2**53, 2**53 + 1, 5])), kind.make(AFTER.assign(uid=[2**53, 2**53 + 1, 6])))
    assert columns_of(found.rates)["customers"] == [1, 1, 1]


def test_results_and_tables_on_either_side() -> None:
    first, second = rfm(orders()), rfm(orders(), as_of="2026-02-28")
    for after in (second, second.table):
        with pytest.warns(om.OpsmetricsWarning, match="different edges") if after is second else contextlib.nullcontext():
            assert columns_of(om.transitions(first, after).rates)["customers"] == [0, 3, 0]
    other = rfm(orders().rename(columns={"uid": "id"}), customer="id")
    check_refused(lambda: om.transitions(first, other), om.ColumnError, "column.missing", ["customer='uid'", "Did you mean 'id'?"])
    check_refused(lambda: om.transitions(summary(orders()), first), om.ColumnError, "column.missing", ["label='segment'"])
