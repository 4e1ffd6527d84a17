"""Rows: empty tables, missing and monstrous values, refunds, order lines; and that no row is lost without being counted."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import opsmetrics as om
from opsmetrics import _parts
from tests.bad_input.cases import CALL, Case, arrow, check_refused, orders, refuse, rfm, settled, summary
from tests.support import Kind, columns_of

NOBODY = pd.array([None] * 4, dtype="string")
NEVER = pd.to_datetime([None] * 4)


def refuse_rows(name: str, columns: dict, error: type[om.OpsmetricsError], code: str, *says: str, **arguments: object):
    """A case whose rows are at fault: the columns that differ from the usual four orders, and the arguments of the call."""
    return pytest.param(columns, arguments, Case(name, summary, error, code, says), id=name)


TABLES = [
    refuse_rows("infinite amount", {"amount": [np.inf, 1.5, 2.5, 3.5]}, om.DataError, "data.amount", "finite"),
    refuse_rows("minus infinite amount", {"amount": [-np.inf, 1.5, 2.5, 3.5]}, om.DataError, "data.amount", "finite"),
    refuse_rows("amount 1e300", {"amount": [1e300, 1.5, 2.5, 3.5]}, om.DataError, "data.amount", "1e+300", "larger unit of money"),
    refuse_rows("refund of 1e300", {"amount": [-1e300, 1.5, 2.5, 3.5]}, om.DataError, "data.amount", "1e+300"),
    refuse_rows("one customer's sum too large", {"amount": [6e12 + 0.5, 6e12, 1.5, 2.5]}, om.DataError, "data.amount", "less than"),
    refuse_rows("all amounts missing", {"amount": [np.nan] * 4}, om.DataError, "data.no_purchases", "4 missing amount"),
    refuse_rows("all times missing", {"paid_at": NEVER}, om.DataError, "data.no_purchases", "4 missing time"),
    refuse_rows(
        "no row usable", {"amount": [np.nan, 1.5, np.nan, 2.5], "paid_at": pd.to_datetime(["2026-01-02", None, "2026-01-03", None])},
        om.DataError, "data.no_purchases", "2 missing time, 2 missing amount",
    ),
    refuse_rows(
        "null customers", {"uid": ["a", None, "b", None]},
        om.DataError, "data.missing_customer", "customer='uid' is null in 2 of 4 rows", "missing_customer='drop'",
    ),
    refuse_rows("all customers null", {"uid": NOBODY}, om.DataError, "data.missing_customer", "4 of 4"),
    refuse_rows(
        "all customers null, dropped", {"uid": NOBODY},
        om.DataError, "data.no_purchases", "4 missing customer", missing_customer="drop",
    ),
    refuse_rows(
        "refunds under error", {"amount": [10.5, -4.5, 5.5, -1.5]},
        om.DataError, "data.refunds", "amount='amount' is negative in 2", "refunds='net'", refunds="error",
    ),
    refuse_rows("only refunds, net", {"amount": [-1.5, -2.5, -3.5, -4.5]}, om.DataError, "data.no_purchases", "refunds"),
    refuse_rows(
        "only refunds, dropped", {"amount": [-1.5, -2.5, -3.5, -4.5]},
        om.DataError, "data.no_purchases", "4 refund", refunds="drop",
    ),
    refuse_rows(
        "only refunds by order, dropped", {"amount": [-1.5, -2.5, -3.5, -4.5]},
        om.DataError, "data.no_purchases", "4 refund", refunds="drop", order_id="order",
    ),
    refuse_rows(
        "null order ids", {"order": pd.array([1, None, 2, 3], dtype="Int64")},
        om.DataError, "data.order_id", "null in 1 rows", order_id="order",
    ),
    refuse_rows("null order texts", {"order": ["x", None, "y", None]}, om.DataError, "data.order_id", "null in 2 rows", order_id="order"),
    refuse_rows("refunds unknown", {}, om.ParameterError, "parameter.refunds", "refunds='nett'", "Did you mean 'net'?", refunds="nett"),
    refuse_rows("refunds None", {}, om.ParameterError, "parameter.refunds", "refunds=None", "'net', 'drop', 'error'", refunds=None),
    refuse_rows("frequency unknown", {}, om.ParameterError, "parameter.frequency", "Did you mean 'orders'?", frequency="order"),
    refuse_rows("frequency a Series", {}, om.ParameterError, "parameter.frequency", frequency=pd.Series(["orders", "days"])),
    refuse_rows("monetary unknown", {}, om.ParameterError, "parameter.monetary", "Did you mean 'net'?", monetary="NET"),
    refuse_rows("missing_customer unknown", {}, om.ParameterError, "parameter.missing_customer", missing_customer="ignore"),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "arguments", "case"), TABLES)
def test_rows_that_contradict_the_question(columns: dict, arguments: dict, case: Case, kind: Kind) -> None:
    frame = kind.make(orders(**columns))
    check_refused(lambda: case.call(frame, **arguments), case.error, case.code, case.says)


def test_no_rows(kind: Kind) -> None:
    frame = kind.make(orders().head(0))
    check_refused(lambda: summary(frame), om.DataError, "data.empty", ["orders has no rows"])
    check_refused(lambda: rfm(frame), om.DataError, "data.empty", ["orders has no rows"])


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, lambda: pa.table({})], ids=["pandas", "polars", "pyarrow"])
def test_no_columns(make) -> None:
    check_refused(lambda: summary(make()), om.ColumnError, "column.missing", ["customer='uid'", "it has []"])


USELESS_ADVICE = [
    ("times", {"paid_at": NEVER}, {}),
    ("amounts", {"amount": [np.nan] * 4}, {}),
    ("customers", {"uid": NOBODY}, {"missing_customer": "drop"}),
    ("refunds", {"amount": [-1.5] * 4}, {"refunds": "drop"}),
    ("net refunds", {"amount": [-1.5] * 4}, {}),
]


@pytest.mark.parametrize(("columns", "arguments"), [pytest.param(*rest, id=name) for name, *rest in USELESS_ADVICE])
def test_the_fix_fits_the_fault(columns: dict, arguments: dict) -> None:
    """Where no date can help, no date is proposed."""
    error = check_refused(lambda: summary(orders(**columns), **arguments), om.DataError, "data.no_purchases")
    assert "later as_of" not in str(error), str(error)


ARGUMENT_FIRST = [
    refuse("infinite amount", lambda: summary(orders(amount=[np.inf, 1, 2, 3])), om.DataError, "data.amount", "amount='amount'"),
    refuse("minus infinite amount", lambda: summary(orders(amount=[-np.inf, 1, 2, 3])), om.DataError, "data.amount", "-inf"),
    refuse(
        "null order id", lambda: summary(orders(order=[1, None, 2, 3]), order_id="order"), om.DataError, "data.order_id", "order_id='order'"
    ),
]


@pytest.mark.parametrize("case", ARGUMENT_FIRST)
def test_a_sentence_names_the_argument_and_the_value(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


# ---------------------------------------------------------------------------------------- documented results


def test_missing_values_are_left_out_and_counted(kind: Kind) -> None:
    stamps = pd.to_datetime(["2026-01-02", None, "2026-01-03", "2026-01-04", "2026-01-05"])
    frame = orders().head(0).reindex(range(5)).assign(
        uid=["a", "a", "b", None, "c"], paid_at=stamps, amount=[30.5, 1.5, np.nan, 2.5, 100.04], order=[1, 2, 3, 4, 5]
    )  # fmt: skip
    found = summary(kind.make(frame), missing_customer="drop")
    assert columns_of(found.table)["uid"] == ["a", "c"]
    assert columns_of(found.table)["revenue"] == [30.5, 100.04]
    assert found.dropped == {"missing customer": 1, "missing time": 1, "missing amount": 1}
    assert found.params["rows"] == 5


def test_nan_and_null_are_both_missing_where_an_engine_knows_both() -> None:
    frame = pl.from_pandas(orders()).with_columns(amount=pl.Series([float("nan"), None, 2.5, 3.5]))
    for native in (frame, frame.lazy(), frame.to_arrow(), duckdb.from_arrow(frame.to_arrow())):
        assert summary(native).dropped == {"missing amount": 2}


@pytest.mark.parametrize("refunds", ["net", "drop"])
@pytest.mark.parametrize("order_id", [None, "order"])
def test_every_row_is_an_order_a_refund_or_counted(refunds: str, order_id: str | None, kind: Kind) -> None:
    random = np.random.default_rng(5)
    size = 300
    frame = pd.DataFrame(
        {
            "uid": random.choice(np.array(["a", "b", "c", None], dtype=object), size),
            "paid_at": pd.to_datetime("2026-01-01") + pd.to_timedelta(random.integers(0, 60, size), unit="D"),
            "amount": random.choice([np.nan, -1.25, 0.0, 2.5, 100.04], size),
            "order": np.arange(size),
        }
    )
    frame.loc[::17, "paid_at"] = pd.NaT
    found = summary(kind.make(frame), order_id=order_id, refunds=refunds, window=20, missing_customer="drop")
    kept = frame["uid"].notna() & frame["amount"].notna() & frame["paid_at"].between("2026-01-12", "2026-01-31")
    back = int((kept & (frame["amount"] < 0)).sum())
    counted = sum(found.dropped.values()) + sum(columns_of(found.table)["orders"]) + (back if refunds == "net" else 0)
    assert counted == size == found.params["rows"]
    assert found.dropped.get("refund", 0) == (back if refunds == "drop" else 0)


def test_amounts_come_back_unchanged(kind: Kind) -> None:
    money = [100.04, 0.1 + 0.2, 19.99, 9_000_000_000.07]
    found = summary(kind.make(orders(uid=list("abcd"), amount=money)))
    assert columns_of(found.table)["revenue"] == [100.04, 0.3, 19.99, 9_000_000_000.07]


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_free_orders_are_orders(zero: float, kind: Kind) -> None:
    found = rfm(kind.make(orders(amount=[zero, zero, zero, 0.5])))
    assert columns_of(found.table)["frequency"] == [2, 1, 1]
    assert columns_of(found.table)["revenue"] == [0.0, 0.0, 0.5]


def test_one_row_and_one_customer(kind: Kind) -> None:
    alone = rfm(kind.make(orders().head(1)))
    assert columns_of(alone.table)["segment"] == ["champions"], "the first of one stands on the highest rank"
    assert str(alone)
    twice = rfm(kind.make(orders().head(2)))
    assert columns_of(twice.table)["frequency"] == [2]


def test_customers_who_are_all_alike_share_one_segment(kind: Kind) -> None:
    same = pd.DataFrame({"uid": [f"C{i:04}" for i in range(1000)], "paid_at": pd.Timestamp("2026-01-05 12:00"), "amount": 9.5})
    assert set(columns_of(rfm(kind.make(same)).table)["segment"]) == {"hibernating"}


def test_many_one_time_buyers_do_not_break_the_quintiles(kind: Kind) -> None:
    ids = [f"C{i}" for i in range(65)] + [f"C{i}" for i in range(65, 100) for _ in range(3)]
    stamps = pd.to_datetime("2026-01-01") + pd.to_timedelta(np.arange(len(ids)), unit="h")
    found = columns_of(rfm(kind.make(pd.DataFrame({"uid": ids, "paid_at": stamps, "amount": 1.5}))).table)
    by_count = {(orders, score) for orders, score in zip(found["frequency"], found["f_score"], strict=True)}
    assert len(by_count) == 2, "equal counts score alike"


def test_order_ids_are_of_one_customer_and_lines_add_up(kind: Kind) -> None:
    frame = orders(order=["x", "x", "x", "y"], amount=[10.5, -4.25, 5.5, 7.5])
    found = summary(kind.make(frame), order_id="order")
    assert columns_of(found.table)["orders"] == [1, 1, 1], "the order x of a and the order x of b are two"
    assert columns_of(found.table)["revenue"] == [6.25, 5.5, 7.5], "a refunded line makes the order smaller"
    assert columns_of(found.table)["refunded"] == [0.0, 0.0, 0.0]
    assert summary(kind.make(frame), order_id="order", refunds="error").dropped == {}, "no order is negative as a whole"


def test_an_order_with_more_given_back_than_bought_is_a_refund(kind: Kind) -> None:
    frame = kind.make(orders(order=[1, 1, 3, 4], amount=[10.5, -14.5, 5.5, 7.5]))
    net = summary(frame, order_id="order")
    assert columns_of(net.table)["uid"] == ["b", "c"]
    assert columns_of(net.refund_only) == {"uid": ["a"], "refunds": [1], "refunded": [4.0]}
    assert summary(frame, order_id="order", refunds="drop").dropped == {"refund": 2}
    check_refused(lambda: summary(frame, order_id="order", refunds="error"), om.DataError, "data.refunds", ["1 orders"])


def test_a_null_order_id_on_a_row_that_is_left_out_anyway_is_no_matter(kind: Kind) -> None:
    frame = kind.make(orders(order=["x", None, "y", "z"], amount=[1.5, np.nan, 2.5, 3.5]))
    assert summary(frame, order_id="order").dropped == {"missing amount": 1}


def test_null_order_ids_are_counted_over_all_parts(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a frame is cut up, the sentence tells the rows of the whole."""
    monkeypatch.setattr(_parts, "ROWS_TO_SPLIT", 1)
    monkeypatch.setattr(_parts, "ROWS_PER_PART", 1)
    frame = kind.make(orders(uid=[1, 2, 3, 4], order=["x", None, "y", None]))
    check_refused(lambda: summary(frame, order_id="order"), om.DataError, "data.order_id", ["null in 2 rows"])


# ---------------------------------------------------------------------------------------------------- large money


LARGE = [
    ("arrow 2**53 + 1", lambda: arrow(amount=[2**53 + 1] * 4)),
    ("arrow 2**60", lambda: arrow(amount=[2**60] * 4)),
    ("duckdb UBIGINT", lambda: duckdb.sql("SELECT 'a' AS uid, TIMESTAMP '2026-01-02' AS paid_at, 18446744073709551615::UBIGINT AS amount")),
    ("polars UInt64", lambda: pl.from_pandas(orders()).with_columns(amount=pl.Series([2**64 - 1] * 4, dtype=pl.UInt64))),
    ("pandas int64", lambda: orders(amount=2**60)),
    ("pandas nullable", lambda: orders(amount=pd.array([2**60] * 4, dtype="Int64"))),
    ("pandas arrow", lambda: orders(amount=pd.array([2**60] * 4, dtype="int64[pyarrow]"))),
]


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in LARGE])
def test_whole_numbers_too_large_for_money(make) -> None:
    check_refused(lambda: summary(make()), om.DataError, "data.amount", ["larger unit of money"])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "float32"])
def test_narrow_numbers_do_not_wrap_around(dtype: str, kind: Kind) -> None:
    if kind.name == "pandas-categorical":
        pytest.skip("a category is no amount")
    found = summary(kind.make(orders(amount=np.array([100, 100, 100, 50], dtype=dtype))))
    assert columns_of(found.table)["revenue"] == [200.0, 100.0, 50.0]


def test_the_revenue_of_a_shop_in_a_small_unit_of_money(kind: Kind) -> None:
    """4e12 rupiah of one customer are allowed, so three such customers must not overflow the sum of the shop."""
    found = settled(lambda: rfm(kind.make(orders(amount=[4e12, 0.5, 4e12, 4e12]))))
    if not isinstance(found, om.OpsmetricsError):
        table = columns_of(found.segments.table)
        assert sum(share for share in table["revenue_share"] if share) == pytest.approx(1.0)
        assert sum(table["revenue"]) == pytest.approx(1.2e13)
        assert all(revenue >= 0 for revenue in table["revenue"])


def test_customer_summary_needs_its_names() -> None:
    with pytest.raises(TypeError, match="as_of"):
        om.customer_summary(orders(), **{name: value for name, value in CALL.items() if name != "as_of"})
