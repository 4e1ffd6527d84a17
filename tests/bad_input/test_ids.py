"""Ids of customers: of every type, near the limits of the types, and nearly alike."""

from __future__ import annotations

import datetime as dt
import uuid

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import opsmetrics as om
from opsmetrics import _parts
from tests.bad_input.cases import arrow, check_refused, orders, rfm, settled, summary
from tests.support import Kind, columns_of

NAN = float("nan")

WHOLE_NUMBERS = [
    ("int8", [-128, 127, 0, 127]),
    ("uint8", [0, 255, 1, 255]),
    ("int32", [-(2**31), 2**31 - 1, 0, 2**31 - 1]),
    ("int64", [2**53, 2**53 + 1, 2**63 - 1, 2**63 - 2]),
    ("int64", [-(2**63), -(2**63) + 1, -1, 0]),
    ("uint64", [2**64 - 1, 2**64 - 2, 2**63, 2**53 + 1]),
]


@pytest.mark.parametrize(("dtype", "ids"), WHOLE_NUMBERS, ids=lambda v: v if isinstance(v, str) else f"{v[0]}..")
@pytest.mark.parametrize("split", [False, True], ids=["one part", "many parts"])
def test_whole_numbers_up_to_the_limits_of_their_type(
    dtype: str, ids: list[int], split: bool, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    if split:
        monkeypatch.setattr(_parts, "ROWS_TO_SPLIT", 1)
    found = columns_of(rfm(kind.make(orders(uid=np.array(ids, dtype=dtype)))).table)
    assert [int(value) for value in found["uid"]] == sorted(set(ids))
    assert sum(found["orders"]) == 4


def test_large_ids_beside_a_null_do_not_pass_through_floats(kind: Kind) -> None:
    for dtype, ids in (("Int64", [2**53, 2**53 + 1, 2**63 - 1]), ("UInt64", [2**64 - 1, 2**64 - 2, 2**53 + 1])):
        frame = kind.make(orders(uid=pd.array([*ids, None], dtype=dtype)))
        found = summary(frame, missing_customer="drop")
        assert sorted(columns_of(found.table)["uid"]) == sorted(ids)
        assert found.dropped == {"missing customer": 1}


@pytest.mark.parametrize("sql_type", ["HUGEINT", "UHUGEINT", "BIGINT"])
def test_large_ids_of_duckdb(sql_type: str) -> None:
    ids = [2**53, 2**53 + 1, 2**62, 2**62 + 1]
    rows = ", ".join(f"({value}::{sql_type}, TIMESTAMP '2026-01-02', 1.5)" for value in [*ids, 2**53])
    found = columns_of(summary(duckdb.sql(f"SELECT * FROM (VALUES {rows}) t(uid, paid_at, amount)")).table)
    assert [int(value) for value in found["uid"]] == ids
    assert found["orders"] == [2, 1, 1, 1]


def test_ids_of_128_bits_in_polars() -> None:
    ids = pl.Series([2**100, 1, 2**100 + 1, 1], dtype=pl.Int128)
    found = settled(lambda: summary(pl.from_pandas(orders()).with_columns(uid=ids)))
    assert isinstance(found, om.OpsmetricsError) or columns_of(found.table)["uid"] == [1, 2**100, 2**100 + 1]


TEXTS = [
    ("case", ["a", "A", "b", "A"]),
    ("spaces", ["a", "a ", " a", "a "]),
    ("empty", ["", " ", "a", ""]),
    ("missing as a word", ["None", "nan", "NaN", "null"]),
    ("Chinese, accents, emoji", ["客户", "é", "e\u0301", "😀"]),
    ("a zero byte", ["a\0b", "a\0c", "a", "a\0b"]),
    ("line breaks and quotes", ["a\nb", "a\tb", "a'b", 'a"b']),
    ("numbers as text", ["1", "01", "1.0", "1"]),
    ("long", ["x" * 10_000, "x" * 10_001, "x", "x" * 10_000]),
]


@pytest.mark.parametrize("ids", [pytest.param(ids, id=name) for name, ids in TEXTS])
def test_texts_that_are_nearly_alike(ids: list[str], kind: Kind) -> None:
    found = rfm(kind.make(orders(uid=ids)))
    assert columns_of(found.table)["uid"] == sorted(set(ids))
    assert sum(columns_of(found.table)["orders"]) == 4
    assert str(summary(kind.make(orders(uid=ids))))


def test_floats_as_ids(kind: Kind) -> None:
    found = columns_of(summary(kind.make(orders(uid=[1.5, np.inf, -np.inf, 2.5]))).table)
    assert [float(value) for value in found["uid"]] == [-np.inf, 1.5, 2.5, np.inf]


def test_zero_and_minus_zero_are_one_customer(kind: Kind) -> None:
    found = columns_of(summary(kind.make(orders(uid=[-0.0, 0.0, 0.5, 1.5]))).table)
    assert found["orders"] == [2, 1, 1]


def floats(kind_of: str) -> object:
    frame = pl.from_pandas(orders()).with_columns(uid=pl.Series([1.0, NAN, None, 1.0]))
    return {"polars": frame, "polars-lazy": frame.lazy(), "pyarrow": frame.to_arrow(), "duckdb": duckdb.from_arrow(frame.to_arrow())}[
        kind_of
    ]


@pytest.mark.parametrize("kind_of", ["polars", "polars-lazy", "pyarrow", "duckdb"])
def test_nan_as_an_id_is_no_customer(kind_of: str) -> None:
    """pandas knows one missing value; the others tell NaN from null, and neither of them is a customer."""
    check_refused(lambda: summary(floats(kind_of)), om.DataError, "data.missing_customer", ["2 of 4"])
    found = summary(floats(kind_of), missing_customer="drop")
    assert columns_of(found.table)["uid"] == [1.0]
    assert found.dropped == {"missing customer": 2}


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_ids_at_the_edges_of_batches(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parts, "ROWS_PER_BATCH", rows)
    monkeypatch.setattr(_parts, "ROWS_PER_PART", rows)
    ids = pd.array(["a", "b", "a", None, None, "b", "c"], dtype="string")
    stamps = pd.to_datetime("2026-01-05") + pd.to_timedelta(range(7), unit="h")
    frame = pd.DataFrame({"uid": ids, "paid_at": stamps, "amount": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]})
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for native in (
        duckdb.from_arrow(table),
        pl.from_arrow(table).lazy(),
        duckdb.from_arrow(table).project("uid::ENUM('c', 'b', 'a') AS uid, * EXCLUDE uid"),
    ):
        found = summary(native, missing_customer="drop")
        assert columns_of(found.table)["revenue"] == [4.0, 8.0, 7.0]
        assert found.dropped == {"missing customer": 2}


# --------------------------------------------------------------------------------- other types, engine by engine

OBJECTS = [
    ("whole numbers", [3, 1, 2, 3], [1, 2, 3]),
    ("large whole numbers and None", [2**53 + 1, 2**53, None, 2**53], [2**53, 2**53 + 1]),
    ("beyond 64 bits", [2**70, 2**70 + 1, 5, 5], [5, 2**70, 2**70 + 1]),
    ("text, None and NA", ["b", None, pd.NA, "a"], ["a", "b"]),
    ("text and NaT", ["b", pd.NaT, "a", "a"], ["a", "b"]),
    ("uuids", [uuid.UUID(int=2), uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=3)], [uuid.UUID(int=i) for i in (1, 2, 3)]),
]


@pytest.mark.parametrize(("ids", "customers"), [pytest.param(*rest, id=name) for name, *rest in OBJECTS])
def test_pandas_columns_of_objects(ids: list, customers: list) -> None:
    found = summary(orders(uid=pd.Series(ids, dtype=object)), missing_customer="drop")
    assert columns_of(found.table)["uid"] == customers
    assert sum(found.dropped.values()) + sum(columns_of(found.table)["orders"]) == 4


ODD = [
    ("pandas dates", lambda: orders(uid=pd.Series([dt.date(2026, 1, day) for day in (1, 2, 1, 3)], dtype=object))),
    ("pandas booleans as objects", lambda: orders(uid=pd.Series([True, False, True, None], dtype=object))),
    ("pandas 1 and True", lambda: orders(uid=pd.Series([1, True, 0, False], dtype=object))),
    ("pandas intervals", lambda: orders(uid=pd.cut([1, 2, 3, 4], 2))),
    ("pandas tuples", lambda: orders(uid=[(1, 2), (1, 2), (2, 3), (3, 4)])),
    ("pandas complex", lambda: orders(uid=[1j, 2j, 1j, 3j])),
    ("pandas periods", lambda: orders(uid=pd.PeriodIndex(["2026-01"] * 4, freq="M"))),
    ("pandas half floats", lambda: orders(uid=np.array([1, 2, 1, 3], dtype="float16"))),
    ("polars objects", lambda: pl.from_pandas(orders()).with_columns(uid=pl.Series([object()] * 4, dtype=pl.Object))),
    ("polars objects that are text", lambda: pl.from_pandas(orders()).with_columns(uid=pl.Series(list("abac"), dtype=pl.Object))),
    ("polars decimals", lambda: pl.from_pandas(orders()).with_columns(uid=pl.Series([1, 2, 1, 3]).cast(pl.Decimal(9, 2)))),
    ("arrow views of text", lambda: arrow(uid=pa.array(["a", "b", "a", "c"], pa.string_view()))),
    ("arrow large text", lambda: arrow(uid=pa.array(["a", "b", "a", "c"], pa.large_string()))),
    ("arrow binary", lambda: arrow(uid=pa.array([b"a", b"b", b"a", b"c"]))),
    ("arrow runs", lambda: arrow(uid=pa.RunEndEncodedArray.from_arrays([2, 4], ["a", "b"]))),
    ("arrow dictionary of numbers", lambda: arrow(uid=pa.array([3, 1, 3, 2]).dictionary_encode())),
    ("arrow dictionary of structs", lambda: pa.Table.from_pandas(orders(uid=pd.cut([1, 2, 3, 4], 2)))),
    ("duckdb bits", lambda: duckdb.sql("SELECT '101'::BIT AS uid, TIMESTAMP '2026-01-02' AS paid_at, 1.5 AS amount")),
    ("duckdb times", lambda: duckdb.sql("SELECT TIME '10:00' AS uid, TIMESTAMP '2026-01-02' AS paid_at, 1.5 AS amount")),
]  # fmt: skip


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in ODD])
def test_odd_ids_are_either_served_or_refused_by_the_library(make) -> None:
    found = settled(lambda: summary(make(), missing_customer="drop"))
    if isinstance(found, om.OpsmetricsError):
        assert "uid" in str(found), str(found)
    else:
        table = columns_of(found.table)
        assert sum(table["orders"]) + sum(found.dropped.values()) == found.params["rows"]
        assert str(found)


def test_arrow_dictionaries_with_holes_and_doubles() -> None:
    """Arrow allows a null and equal values inside a dictionary; an id is what it means, not where it stands."""
    codes = pa.array([0, 1, 2, 1])
    holes = summary(arrow(uid=pa.DictionaryArray.from_arrays(codes, pa.array(["a", None, "b"]))), missing_customer="drop")
    assert columns_of(holes.table)["uid"] == ["a", "b"]
    assert holes.dropped == {"missing customer": 2}
    doubles = summary(arrow(uid=pa.DictionaryArray.from_arrays(codes, pa.array(["a", "a", "b"]))))
    assert columns_of(doubles.table)["orders"] == [3, 1]


def test_categories_that_nobody_has_are_no_customers() -> None:
    ids = pd.Categorical(["b", "a", "b", None], categories=["z", "b", "a"], ordered=True)
    found = summary(orders(uid=ids), missing_customer="drop")
    assert columns_of(found.table)["uid"] == ["a", "b"]
    assert found.dropped == {"missing customer": 1}
