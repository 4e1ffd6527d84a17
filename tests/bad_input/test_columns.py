"""Columns: missing, twice, reserved, unnamed, and of every type that cannot play the part it is given."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import opsmetrics as om
from tests.bad_input.cases import Case, arrow, check_refused, orders, refuse, rfm, settled, summary
from tests.support import Kind, columns_of

ROW = "TIMESTAMP '2026-01-02' AS paid_at, 1.0 AS amount"

EVERY_KIND = [
    refuse(
        "near miss", lambda f: summary(f, amount="amout"), om.ColumnError, "column.missing",
        "amount='amout' is not a column", "it has ['uid', 'paid_at', 'amount', 'order']", "Did you mean 'amount'?",
    ),
    refuse("no near name", lambda f: summary(f, amount="zzz"), om.ColumnError, "column.missing", "amount='zzz'", "'order']."),
    refuse("wrong case", lambda f: summary(f, customer="UID"), om.ColumnError, "column.missing", "Did you mean 'uid'?"),
    refuse("wrong case in rfm", lambda f: rfm(f, time="Paid_At"), om.ColumnError, "column.missing", "Did you mean 'paid_at'?"),
    refuse("missing order_id", lambda f: summary(f, order_id="oder"), om.ColumnError, "column.missing", "Did you mean 'order'?"),
    refuse("one column, two parts", lambda f: summary(f, order_id="uid"), om.ColumnError, "column.repeated", "already used as customer"),
    refuse("a name that is None", lambda f: summary(f, customer=None), om.ColumnError, "column.*", "customer=None"),
    refuse("a name that is a list", lambda f: summary(f, customer=["uid"]), om.ColumnError, "column.*", "customer=['uid']"),
    refuse("a name that is a number", lambda f: summary(f, customer=0), om.ColumnError, "column.*", "customer=0"),
    refuse("text is no time", lambda f: summary(f, time="uid", customer="order"), om.ColumnError, "column.type", "time='uid' holds"),
    refuse("a stamp is no amount", lambda f: summary(f, amount="paid_at", time="amount"), om.ColumnError, "column.type"),
    refuse(
        "a stamp is no customer", lambda f: summary(f, customer="paid_at", time="uid"),
        om.ColumnError, "column.type", "customer='paid_at'",
    ),
    refuse("text is no label for recency", lambda f: om.RFMScorer().fit(f), om.ColumnError, "column.missing", "recency"),
]  # fmt: skip


@pytest.mark.parametrize("case", EVERY_KIND)
def test_columns_of_every_kind(case: Case, kind: Kind) -> None:
    frame = kind.make(orders())
    check_refused(lambda: case.call(frame), case.error, case.code, case.says)


WRONG_TYPES = [
    ("dates as strings", {"paid_at": ["2026-01-02"] * 4}, "time='paid_at' holds"),
    ("numbers as strings", {"amount": ["30.5"] * 4}, "amount='amount' holds"),
    ("booleans as money", {"amount": [True, False, True, True]}, "amount='amount' holds Boolean"),
    ("nullable booleans as money", {"amount": pd.array([True, None, False, True], dtype="boolean")}, "amount='amount' holds Boolean"),
    ("durations as money", {"amount": pd.to_timedelta([1, 2, 3, 4], unit="D")}, "amount='amount' holds Duration"),
    ("whole numbers as times", {"paid_at": np.array([1_767_225_600.5] * 4)}, "time='paid_at' holds Float64"),
    ("booleans as customers", {"uid": [True, False, True, True]}, "customer='uid' holds Boolean"),
    ("stamps as customers", {"uid": pd.to_datetime(["2026-01-02"] * 4)}, "customer='uid' holds Datetime"),
    ("durations as customers", {"uid": pd.to_timedelta([1, 2, 3, 4], unit="D")}, "customer='uid' holds Duration"),
]


@pytest.mark.parametrize(("columns", "says"), [pytest.param(c, s, id=name) for name, c, s in WRONG_TYPES])
def test_wrong_types_of_every_kind(columns: dict, says: str, kind: Kind) -> None:
    frame = kind.make(orders(**columns))
    check_refused(lambda: summary(frame), om.ColumnError, "column.type", [says, "it must hold"])


PANDAS_TYPES = [
    ("lists as customers", {"uid": [["a"], ["b"], ["c"], ["d"]]}, om.ColumnError, "column.type"),
    ("dicts as customers", {"uid": [{"a": 1}] * 4}, om.ColumnError, "column.type"),
    ("one list among texts", {"uid": ["a", "b", ["c"], "d"]}, om.OpsmetricsError, "*"),
    ("texts and numbers as customers", {"uid": pd.Series([1, "a", 2, "b"], dtype=object)}, om.DataError, "data.mixed"),
    ("1 and '1' as customers", {"uid": pd.Series([1, "1", 2, "2"], dtype=object)}, om.DataError, "data.mixed"),
    ("1 and '1' as categories", {"uid": pd.Categorical([1, "1", 2, "2"])}, om.DataError, "data.mixed"),
    ("text and bytes as customers", {"uid": pd.Series(["a", b"a", "b", "c"], dtype=object)}, om.DataError, "data.mixed"),
    ("mixed objects as money", {"amount": pd.Series([1, "a", 2.5, None], dtype=object)}, om.ColumnError, "column.type"),
    ("Decimal objects as money", {"amount": [decimal.Decimal("30.5")] * 4}, om.ColumnError, "column.type"),
    ("complex money", {"amount": [1j] * 4}, om.ColumnError, "column.type"),
    ("lists as money", {"amount": [[1.0]] * 4}, om.ColumnError, "column.type"),
    ("only None as money", {"amount": [None] * 4}, om.ColumnError, "column.type"),
    (
        "mixed time zones",
        {"paid_at": pd.Series([pd.Timestamp("2026-01-02", tz=zone) for zone in ("UTC", "Asia/Tokyo")] * 2, dtype=object)},
        om.ColumnError,
        "column.type",
    ),
    (
        "stamps with and without a zone",
        {"paid_at": [pd.Timestamp("2026-01-02"), pd.Timestamp("2026-01-02", tz="UTC")] * 2},
        om.ColumnError,
        "column.type",
    ),
    ("date objects", {"paid_at": [dt.date(2026, 1, 2)] * 4}, om.ColumnError, "column.type"),
    ("periods", {"paid_at": pd.PeriodIndex(["2026-01-02"] * 4, freq="D")}, om.ColumnError, "column.type"),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "error", "code"), [pytest.param(*rest, id=name) for name, *rest in PANDAS_TYPES])
def test_types_that_only_pandas_has(columns: dict, error: type[om.OpsmetricsError], code: str) -> None:
    check_refused(lambda: summary(orders(**columns)), error, code)


OTHER_TYPES = [
    ("polars list customers", lambda: pl.from_pandas(orders()).with_columns(uid=pl.Series([["a"]] * 4)), "customer='uid' holds List"),
    ("polars duration as time", lambda: pl.from_pandas(orders()).with_columns(paid_at=pl.Series([dt.timedelta(1)] * 4)), "holds Duration"),
    ("polars time of day", lambda: pl.from_pandas(orders()).with_columns(paid_at=pl.Series([dt.time(1)] * 4)), "holds Time"),
    ("polars list money", lambda: pl.from_pandas(orders()).with_columns(amount=pl.Series([[1.0]] * 4)), "amount='amount' holds List"),
    ("polars binary customers", lambda: pl.from_pandas(orders()).with_columns(uid=pl.Series([b"a"] * 4)), "customer='uid' holds Binary"),
    ("polars nothing but null", lambda: pl.from_pandas(orders()).with_columns(uid=pl.Series([None] * 4)), "customer='uid' holds"),
    ("arrow nothing but null", lambda: arrow(amount=pa.nulls(4)), "amount='amount' holds"),
    ("duckdb list", lambda: duckdb.sql(f"SELECT [1, 2] AS uid, {ROW}"), "customer='uid' holds List"),
    ("duckdb struct", lambda: duckdb.sql(f"SELECT {{'a': 1}} AS uid, {ROW}"), "customer='uid' holds Struct"),
    ("duckdb boolean", lambda: duckdb.sql(f"SELECT true AS uid, {ROW}"), "customer='uid' holds Boolean"),
    ("duckdb date", lambda: duckdb.sql(f"SELECT DATE '2026-01-01' AS uid, {ROW}"), "customer='uid' holds Date"),
    ("duckdb blob", lambda: duckdb.sql(f"SELECT 'a'::BLOB AS uid, {ROW}"), "customer='uid' holds Binary"),
    ("duckdb decimal customer", lambda: duckdb.sql(f"SELECT 1.5::DECIMAL(9,2) AS uid, {ROW}"), "customer='uid' holds Decimal"),
]


@pytest.mark.parametrize(("make", "says"), [pytest.param(make, says, id=name) for name, make, says in OTHER_TYPES])
def test_types_that_other_kinds_have(make, says: str) -> None:
    check_refused(lambda: summary(make()), om.ColumnError, "column.type", [says, "it must hold"])


def test_a_type_the_library_does_not_know_is_called_by_its_engine_name() -> None:
    frame = duckdb.sql(f"SELECT '{uuid.UUID(int=1)}'::UUID AS uid, {ROW}")
    error = check_refused(lambda: summary(frame), om.ColumnError, "column.type", ["customer='uid' holds"])
    assert "UUID" in str(error).upper(), str(error)


def test_arrow_dates_in_milliseconds_are_refused_by_their_name() -> None:
    days = pa.array([dt.date(2026, 1, 2), None, dt.date(2026, 1, 5), dt.date(2026, 1, 6)], pa.date64())
    check_refused(lambda: summary(arrow(paid_at=days)), om.ColumnError, "column.type", ["time='paid_at' holds date64"])


def test_a_pandas_column_of_arrow_dates() -> None:
    days = pd.Series([dt.date(2026, 1, 2), None, dt.date(1960, 1, 2), dt.date(2026, 1, 3)], dtype="date32[pyarrow]")
    found = summary(orders(paid_at=days))
    assert columns_of(found.table)["recency"] == [29, 24_136, 28]
    assert found.dropped == {"missing time": 1}


@pytest.mark.parametrize("dtype", [pa.decimal128(10, 2), pa.decimal256(50, 2)], ids=str)
def test_decimal_money_is_exact_or_refused_by_name(dtype: pa.DataType) -> None:
    money = pa.array([decimal.Decimal("100.04"), None, decimal.Decimal("0.10"), decimal.Decimal("7.00")], dtype)
    found = settled(lambda: summary(arrow(amount=money)))
    if isinstance(found, om.OpsmetricsError):
        assert "decimal256" in str(found), str(found)
    else:
        assert columns_of(found.table)["revenue"] == [100.04, 0.1, 7.0]
        assert found.dropped == {"missing amount": 1}


# ------------------------------------------------------------------------------------------------------- names


def test_two_columns_of_one_name() -> None:
    frame = orders()
    twice = pd.concat([frame, frame[["amount"]]], axis=1)
    check_refused(lambda: summary(twice), om.ColumnError, "column.duplicate", ["orders has two columns with the name ['amount']"])


def test_two_arrow_columns_of_one_name() -> None:
    table = arrow().append_column("amount", pa.array([1.0, 2.0, 3.0, 4.0]))
    check_refused(lambda: summary(table), om.ColumnError, "column.duplicate", ["orders has two columns with the name ['amount']"])


def test_columns_that_differ_only_in_case_are_told_apart() -> None:
    table = arrow(UID=["x", "y", "z", "x"])
    assert columns_of(summary(table).table)["uid"] == ["a", "b", "c"]
    assert columns_of(summary(table, customer="UID").table)["UID"] == ["x", "y", "z"]


def test_a_column_name_with_quotes_in_duckdb() -> None:
    frame = duckdb.sql(f"""SELECT 'a' AS "u ""id; --", {ROW}""")
    assert columns_of(summary(frame, customer='u "id; --').table)['u "id; --'] == ["a"]


def test_whole_numbers_as_column_names() -> None:
    frame = orders().set_axis([0, 1, 2, 3], axis=1)
    check_refused(lambda: summary(frame, customer=0, time=1, amount=2), om.ColumnError, "column.*", ["customer=0"])


def test_column_names_of_several_levels() -> None:
    frame = orders()
    frame.columns = pd.MultiIndex.from_product([["sales"], frame.columns])
    check_refused(lambda: summary(frame), om.ColumnError, "column.missing", ["customer='uid'"])
    name = {"customer": ("sales", "uid"), "time": ("sales", "paid_at"), "amount": ("sales", "amount")}
    check_refused(lambda: summary(frame, **name), om.ColumnError, "column.*", ["customer=('sales', 'uid')"])


def test_a_whole_number_among_the_names_of_other_columns() -> None:
    frame = orders().rename(columns={"order": 7})
    assert columns_of(summary(frame).table)["uid"] == ["a", "b", "c"]
    check_refused(lambda: summary(frame, customer="u"), om.ColumnError, "column.missing", ["7"])


@pytest.mark.parametrize(
    "name", ["recency", "frequency", "monetary", "orders", "revenue", "refunded", "first_order", "last_order", "refunds"]
)
def test_a_customer_column_named_like_a_measure(name: str) -> None:
    frame = orders(amount=[30.0, 20.0, -5.0, 7.0]).rename(columns={"uid": name})
    check_refused(lambda: summary(frame, customer=name), om.ColumnError, "column.reserved", [f"customer={name!r}", "rename it"])


def test_a_customer_column_named_like_a_score(kind: Kind) -> None:
    """The ids must not be overwritten by scores or by segments."""
    for name in ("r_score", "f_score", "m_score", "rfm_score", "segment"):
        frame = kind.make(orders().rename(columns={"uid": name}))
        check_refused(lambda name=name, frame=frame: rfm(frame, customer=name), om.ColumnError, "column.reserved", [f"{name!r}"])


def test_a_customer_column_named_like_the_code_of_the_eight_classes() -> None:
    frame = orders().rename(columns={"uid": "rfm_code"})
    arguments = {"customer": "rfm_code", "segment_map": om.SegmentMap.cn8()}
    check_refused(lambda: rfm(frame, **arguments), om.ColumnError, "column.reserved", ["rfm_code"])


@pytest.mark.parametrize("name", ["customers", "source", "index", "key", "position", "names", " ", "客户", "<b>"])
def test_a_customer_column_of_any_other_name(name: str, kind: Kind) -> None:
    frame = kind.make(orders().rename(columns={"uid": name}))
    assert columns_of(rfm(frame, customer=name).table)[name] == ["a", "b", "c"]


def test_a_frame_of_narwhals_is_the_frame_inside() -> None:
    assert isinstance(summary(nw.from_native(orders())).table, pd.DataFrame)


def test_columns_that_nobody_asked_for_may_hold_anything() -> None:
    extra = pl.from_pandas(orders()).with_columns(
        lists=pl.Series([[1]] * 4), spans=pl.Series([dt.timedelta(1)] * 4), structs=pl.struct("uid", "order"), things=pl.Series([b"x"] * 4)
    )
    assert columns_of(rfm(extra).table)["uid"] == ["a", "b", "c"]
    assert columns_of(rfm(orders(lists=[[1]] * 4, things=[object()] * 4)).table)["uid"] == ["a", "b", "c"]
