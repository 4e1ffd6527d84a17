"""Every kind of frame, every engine: identical scores."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import opsmetrics as om
from tests.support import KINDS, Kind, columns_of

CUSTOMERS = 100_000


@pytest.fixture(scope="module")
def generated() -> pd.DataFrame:
    """Orders of 100,000 customers, with amounts whose float sums differ between engines."""
    return om.make_orders(CUSTOMERS, rng=11)


@pytest.fixture(scope="module")
def generated_table(generated: pd.DataFrame) -> dict[str, list[Any]]:
    return columns_of(rfm(generated).table)


def rfm(frame: Any) -> om.RFM[Any]:
    return om.rfm(frame, customer="customer", time="time", amount="amount", as_of="2025-12-31")


def test_identical_scores_of_100_000_customers(kind: Kind, generated: pd.DataFrame, generated_table: dict[str, list[Any]]) -> None:
    report = rfm(kind.make(generated))
    assert isinstance(report.table, kind.result)
    assert len(generated_table["customer"]) == CUSTOMERS
    assert columns_of(report.table) == generated_table


def test_identical_scores_of_online_retail(kind: Kind, online_retail: pd.DataFrame) -> None:
    columns = online_retail[["CustomerID", "InvoiceDate", "amount", "InvoiceNo"]]
    names = {"customer": "CustomerID", "time": "InvoiceDate", "amount": "amount", "order_id": "InvoiceNo"}
    expected = om.rfm(columns, as_of="2011-12-09", missing_customer="drop", **names)
    report = om.rfm(kind.make(columns), as_of="2011-12-09", missing_customer="drop", **names)
    ours, theirs = columns_of(report.table), columns_of(expected.table)
    assert [float(c) for c in ours.pop("CustomerID")] == theirs.pop("CustomerID")
    assert ours == theirs
    assert columns_of(report.segments.table) == columns_of(expected.segments.table)
    assert report.dropped == expected.dropped == {"missing customer": 135_080}


def test_each_table_comes_back_in_the_callers_kind(kind: Kind) -> None:
    orders = kind.make(om.make_orders(60, rng=2))
    report = rfm(orders)
    summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2025-12-31")
    moves = om.transitions(report, report)
    frames = [report.table, report.segments.table, summary.table, summary.refund_only, moves.table, moves.counts, moves.shares, moves.rates]
    assert {type(frame) for frame in frames} == {kind.result}


def test_the_customer_column_keeps_its_type() -> None:
    ids = pd.DataFrame({"t": pd.to_datetime(["2026-01-01"] * 3), "a": [1.0, 2.0, 3.0]})
    for values in (
        pd.array([3, 1, 2], dtype="Int64"),
        pd.array(["c", "a", "b"], dtype="string"),
        pd.Categorical(["c", "a", "b"]),
        np.array([3, 1, 2], dtype=np.uint8),
        np.array([3.0, 1.0, 2.0]),
    ):
        table = om.customer_summary(ids.assign(u=values), customer="u", time="t", amount="a", as_of="2026-01-02").table
        assert table["u"].dtype == ids.assign(u=values)["u"].dtype
        assert table["revenue"].tolist() == [2.0, 3.0, 1.0]


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["c", "a", "b"]), pl.String])
def test_polars_categories_are_ordered_by_value(dtype: Any) -> None:
    frame = pl.DataFrame({"u": pl.Series(["c", "a", "b"], dtype=dtype), "a": [1.0, 2.0, 3.0]}).with_columns(t=pl.date(2026, 1, 1))
    table = om.customer_summary(frame, customer="u", time="t", amount="a", as_of="2026-01-02").table
    assert table["u"].to_list() == ["a", "b", "c"]
    assert table["u"].dtype == dtype


def test_arrow_dictionaries_dates_and_decimals() -> None:
    table = pa.table(
        {
            "u": pa.chunked_array([["c", "a"], ["b"]]).dictionary_encode(),
            "t": pa.array([20_454, 20_455, 20_456], pa.int32()).cast(pa.date32()),
            "a": pa.array([Decimal("1.00"), Decimal("2.00"), Decimal("3.00")]),
        }
    )
    summary = om.customer_summary(table, customer="u", time="t", amount="a", as_of="2026-01-05")
    assert summary.table.to_pydict()["u"] == ["a", "b", "c"]
    assert summary.table.to_pydict()["recency"] == [3, 2, 4]
    assert summary.table.to_pydict()["revenue"] == [2.0, 3.0, 1.0]


def test_a_relation_with_zones_and_decimals() -> None:
    """A relation knows an instant, not the shop's calendar: tz says where the days begin."""
    relation = duckdb.connect().sql(
        "select u::bigint as u, timestamptz '2026-01-31 16:30:00+00' as t, 12.34::decimal(18, 2) as a from range(3) as r(u)"
    )
    summary = om.customer_summary(relation, customer="u", time="t", amount="a", as_of="2026-02-02", tz="Asia/Shanghai")
    assert summary.params["tz"] == "Asia/Shanghai"
    assert summary.table.to_pydict()["recency"] == [1, 1, 1]  # 1 February in Shanghai
    assert summary.table.to_pydict()["monetary"] == [12.34] * 3


def test_no_two_kinds_share_a_name() -> None:
    assert len({str(kind) for kind in KINDS}) == len(KINDS) == 8


def test_the_days_of_a_relation_do_not_depend_on_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """What DuckDB shows as a stamp's zone is that of its session; without tz the days are those of UTC."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    relation = duckdb.connect().sql("select 1 as u, timestamptz '2026-01-31 16:30:00+00' as t, 1.0 as a")
    summary = om.customer_summary(relation, customer="u", time="t", amount="a", as_of="2026-02-02")
    assert summary.params["tz"] == "UTC"
    assert summary.table.to_pydict()["recency"] == [2]
