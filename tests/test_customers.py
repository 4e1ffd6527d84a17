"""What the customer table means: decisions that the documentation states, one test each."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from tests.support import Kind, columns_of


def frame(rows: list[tuple[Any, str, float]], **more: list[Any]) -> pd.DataFrame:
    uid, time, amount = zip(*rows, strict=True)
    return pd.DataFrame({"uid": list(uid), "at": pd.to_datetime(list(time), format="ISO8601"), "paid": list(amount), **more})


def summarise(orders: Any, as_of: Any = "2026-01-31", **choices: Any) -> om.CustomerSummary[Any]:
    return om.customer_summary(orders, customer="uid", time="at", amount="paid", as_of=as_of, **choices)


# ------------------------------------------------------------------------------------------------------------- as_of


def test_a_day_is_included_to_its_end_and_an_instant_is_included_itself(kind: Kind) -> None:
    orders = kind.make(frame([(1, "2026-01-31 00:00", 1.0), (1, "2026-01-31 23:59:59", 1.0), (1, "2026-02-01 00:00", 1.0)]))
    assert columns_of(summarise(orders, "2026-01-31").table)["frequency"] == [2]
    assert columns_of(summarise(orders, "2026-01-31 23:59:59").table)["frequency"] == [2]
    assert columns_of(summarise(orders, "2026-01-31 23:59:58").table)["frequency"] == [1]
    assert summarise(orders, "2026-01-31").dropped == {"after as_of": 1}


@pytest.mark.parametrize(
    "as_of",
    [
        "2026-01-31",
        dt.date(2026, 1, 31),
        np.datetime64("2026-01-31"),
        "2026-01-31 18:00",
        dt.datetime(2026, 1, 31, 18),
        pd.Timestamp("2026-01-31 18:00"),
    ],
)
def test_recency_counts_whole_local_days(as_of: Any) -> None:
    """The hour does not matter: from late on the 29th to any time of the 31st it is two days."""
    assert summarise(frame([(1, "2026-01-29 23:00", 1.0)]), as_of).table["recency"].tolist() == [2]


def test_the_last_stamp_itself_is_a_possible_as_of() -> None:
    """Down to the nanosecond: what `max()` gives is not "after" itself."""
    orders = frame([(1, "2026-01-29 23:00", 1.0), (2, "2026-01-30 10:11:12", 1.0)])
    orders["at"] = orders["at"].astype("datetime64[ns]") + pd.Timedelta(nanoseconds=789)
    made = summarise(orders, orders["at"].max())
    assert made.dropped == {}
    assert made.table["recency"].tolist() == [1, 0]


# ---------------------------------------------------------------------------------------------------------- time zones


def test_a_utc_stamp_belongs_to_the_local_day(kind: Kind) -> None:
    """17:00 UTC on the 30th is 01:00 on the 31st in Shanghai."""
    orders = kind.make(frame([(1, "2026-01-30 17:00", 1.0), (1, "2026-01-30 10:00", 1.0), (2, "2026-01-31 17:00", 1.0)]))
    made = summarise(orders, "2026-01-31", tz="Asia/Shanghai", frequency="days")
    assert columns_of(made.table)["recency"] == [0]
    assert columns_of(made.table)["frequency"] == [2]
    assert made.dropped == {"after as_of": 1}  # already 1 February in Shanghai
    assert columns_of(summarise(orders, "2026-01-31").table)["recency"] == [1, 0]


def test_a_column_with_a_zone_counts_days_in_its_own_zone_unless_told() -> None:
    orders = frame([(1, "2026-01-30 17:00", 1.0)])
    orders["at"] = orders["at"].dt.tz_localize("UTC").dt.tz_convert("Asia/Shanghai")
    assert summarise(orders).table["recency"].tolist() == [0]
    assert summarise(orders, tz="UTC").table["recency"].tolist() == [1]
    assert str(summarise(orders).table["last_order"].dt.tz) == "Asia/Shanghai"
    assert summarise(orders, tz="Europe/London").table["last_order"][0] == orders["at"][0]


def test_days_have_23_or_25_hours_where_clocks_change() -> None:
    """Both orders fall on 29 March 2026 in London, a day of 23 hours; elapsed hours would say otherwise."""
    orders = frame([(1, "2026-03-29 00:30", 1.0), (1, "2026-03-29 22:45", 1.0), (2, "2026-03-29 23:15", 1.0)])
    made = summarise(orders, "2026-03-30", tz="Europe/London", frequency="days")
    assert made.table["recency"].tolist() == [1, 0]
    assert made.table["frequency"].tolist() == [1, 1]


def test_a_window_of_days_includes_the_day_of_as_of(kind: Kind) -> None:
    orders = kind.make(frame([(1, "2026-01-01 00:00", 1.0), (1, "2026-01-02 00:00", 2.0), (1, "2026-01-31 12:00", 4.0)]))
    for window in (30, "30D", dt.timedelta(days=30), np.timedelta64(30, "D")):
        made = summarise(orders, window=window)
        assert columns_of(made.table)["revenue"] == [6.0]
        assert made.dropped == {"before window": 1}
    assert columns_of(summarise(orders, window="1W").table)["revenue"] == [4.0]


# -------------------------------------------------------------------------------------------------------------- refunds

REFUNDS = [(1, "2026-01-02", 100.0), (1, "2026-01-20", -30.0), (2, "2026-01-05", -5.0), (3, "2026-01-05", 0.0)]


def test_recency_and_frequency_come_from_purchases_and_money_is_net(kind: Kind) -> None:
    made = summarise(kind.make(frame(REFUNDS)))
    table = columns_of(made.table)
    assert table["uid"] == [1, 3]
    assert table["recency"] == [29, 26]
    assert table["frequency"] == [1, 1]  # an order for nothing is an order
    assert table["monetary"] == [70.0, 0.0]
    assert table["refunded"] == [30.0, 0.0]
    assert columns_of(made.refund_only) == {"uid": [2], "refunds": [1], "refunded": [5.0]}
    assert "1 customers have refunds only" in str(made)


def test_gross_dropped_and_mean_money(kind: Kind) -> None:
    orders = kind.make(frame([*REFUNDS, (1, "2026-01-03", 50.0)]))
    assert columns_of(summarise(orders, monetary="gross").table)["monetary"] == [150.0, 0.0]
    assert columns_of(summarise(orders, monetary="mean").table)["monetary"] == [60.0, 0.0]
    dropped = summarise(orders, refunds="drop")
    assert columns_of(dropped.table)["monetary"] == [150.0, 0.0]
    assert dropped.dropped == {"refund": 2}
    assert columns_of(dropped.refund_only)["uid"] == []


def test_refunds_can_be_refused() -> None:
    with pytest.raises(om.DataError, match="negative in 2 orders") as caught:
        summarise(frame(REFUNDS), refunds="error")
    assert caught.value.code == "data.refunds"


# ---------------------------------------------------------------------------------------------------------- order lines


def test_lines_of_an_order_are_one_order(kind: Kind) -> None:
    """A discount line is no refund; an order whose lines add up to less than nothing is one."""
    rows = [(1, "2026-01-02", 100.0), (1, "2026-01-03", -10.0), (1, "2026-01-05", 7.0), (2, "2026-01-02", 5.0), (2, "2026-01-04", -9.0)]
    orders = kind.make(frame(rows, order=["a", "a", "b", "a", "c"]))
    table = columns_of(summarise(orders, order_id="order").table)
    assert table["frequency"] == [2, 1]  # an order id under two customers is an order of each
    assert table["revenue"] == [97.0, -4.0]
    assert table["refunded"] == [0.0, 9.0]
    assert table["first_order"] == [dt.datetime(2026, 1, 2)] * 2
    assert columns_of(summarise(orders).table)["frequency"] == [2, 1]
    dropped = summarise(orders, order_id="order", refunds="drop")
    assert columns_of(dropped.table)["revenue"] == [97.0, 5.0]
    assert dropped.dropped == {"refund": 1}


def test_the_same_day_counts_once_by_day(kind: Kind) -> None:
    orders = kind.make(frame([(1, "2026-01-02 09:00", 1.0), (1, "2026-01-02 18:00", 1.0), (1, "2026-01-03 09:00", 1.0)]))
    assert columns_of(summarise(orders).table)["frequency"] == [3]
    assert columns_of(summarise(orders, frequency="days").table)["frequency"] == [2]


# ------------------------------------------------------------------------------------------------------- nothing uncounted


def test_rows_that_cannot_be_orders_are_counted_by_their_first_reason(kind: Kind) -> None:
    orders = frame(
        [(1, "2026-01-02", 1.0), (1, "2026-01-03", np.nan), (1, "2026-03-03", np.nan), (1, "2026-01-04", 2.0), (1, "2026-04-01", 1.0)]
    )
    orders["uid"] = ["a", "a", None, None, "a"]
    orders.loc[5] = ["a", pd.NaT, 3.0]
    made = summarise(kind.make(orders), missing_customer="drop")
    assert made.dropped == {"missing customer": 2, "missing time": 1, "missing amount": 1, "after as_of": 1}
    assert columns_of(made.table)["revenue"] == [1.0]
    assert made.params["rows"] == 6


def test_huge_sums_are_exact_or_refused() -> None:
    large = frame([(1, "2026-01-02", 4e12), (1, "2026-01-03", 4e12 + 0.25)])
    assert summarise(large).table["revenue"].tolist() == [8e12 + 0.25]
    with pytest.raises(om.DataError, match="add up to less than") as caught:
        summarise(frame([(1, "2026-01-02", 5e12), (1, "2026-01-03", 5e12)]))
    assert caught.value.code == "data.amount"
    many = frame([(i, "2026-01-02", 5e12) for i in range(5)])
    assert summarise(many).table["revenue"].tolist() == [5e12] * 5


@pytest.mark.parametrize("tz", ["+08:00", "UTC+08:00", "GMT+0800", "Asia/Shanghai"])
def test_offsets_are_zones_for_every_kind(kind: Kind, tz: str) -> None:
    made = summarise(kind.make(frame([(1, "2026-01-30 17:00", 1.0)])), tz=tz)
    assert columns_of(made.table)["recency"] == [0]
    assert columns_of(made.table)["last_order"][0].astimezone(dt.UTC) == dt.datetime(2026, 1, 30, 17, tzinfo=dt.UTC)
    assert str(made)
