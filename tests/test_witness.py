"""Outside witnesses in the same run: SQL written by hand, pandas, and the usual recipes that go wrong."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from tests.support import columns_of


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    return om.make_orders(3_000, rng=17)


def summary(frame: pd.DataFrame, **choices: Any) -> pd.DataFrame:
    return om.customer_summary(frame, customer="customer", time="time", amount="amount", as_of="2025-10-31", **choices).table


def test_the_customer_table_is_that_of_sql(orders: pd.DataFrame) -> None:
    sql = duckdb.sql(
        """
        select customer, date_diff('day', max(time) filter (amount >= 0)::date, date '2025-10-31') as recency,
               count(*) filter (amount >= 0) as frequency, sum(amount::decimal(18, 2))::double as monetary,
               coalesce(-sum(amount::decimal(18, 2)) filter (amount < 0), 0)::double as refunded,
               min(time) filter (amount >= 0) as first_order, max(time) filter (amount >= 0) as last_order
        from orders where time < timestamp '2025-11-01' group by customer having frequency > 0 order by customer
        """
    ).df()
    table = summary(orders)
    for name in sql.columns:
        assert table[name].tolist() == sql[name].tolist(), name
    assert len(table) == len(sql)


def test_days_in_a_zone_and_a_window_are_those_of_pandas(orders: pd.DataFrame) -> None:
    """A stamp in UTC belongs to the local day of the shop."""
    local = orders["time"].dt.tz_localize("UTC").dt.tz_convert("Asia/Shanghai").dt.tz_localize(None).dt.normalize()
    day = pd.Timestamp("2025-10-31")
    kept = orders.assign(day=local)[(local <= day) & (local > day - pd.Timedelta(days=90)) & (orders["amount"] >= 0)]
    by = kept.groupby("customer")["day"]
    table = summary(orders, tz="Asia/Shanghai", window="90D", frequency="days").set_index("customer")
    assert table["frequency"].to_dict() == by.nunique().to_dict()
    assert table["recency"].to_dict() == (day - by.max()).dt.days.to_dict()
    assert (local != orders["time"].dt.normalize()).mean() > 0.2  # the zone matters here


def test_order_lines_are_those_of_sql(online_retail: pd.DataFrame) -> None:
    lines = online_retail.dropna(subset="CustomerID")
    assert len(lines)
    sql = duckdb.sql(
        """
        with invoices as (
            select CustomerID, InvoiceNo, min(InvoiceDate) as paid_at, sum(Quantity * UnitPrice::decimal(18, 3)) as amount
            from lines group by all
        )
        select CustomerID, count(*) filter (amount >= 0) as frequency, sum(amount)::double as monetary,
               date_diff('day', max(paid_at) filter (amount >= 0)::date, date '2011-12-09') as recency
        from invoices group by all having frequency > 0 order by CustomerID
        """
    ).df()
    table = om.customer_summary(
        online_retail, customer="CustomerID", time="InvoiceDate", amount="amount", as_of="2011-12-09",
        order_id="InvoiceNo", missing_customer="drop",
    ).table  # fmt: skip
    for name in ("CustomerID", "frequency", "recency"):
        assert table[name].tolist() == sql[name].tolist(), name
    assert np.abs(table["monetary"] - sql["monetary"]).max() < 1e-6


def test_ntile_is_that_of_sql(orders: pd.DataFrame) -> None:
    customers = summary(orders)
    scores = om.RFMScorer(method="ntile", tie_key="customer").fit(customers).transform(customers).table
    sql = duckdb.sql(
        """
        select ntile(5) over (order by recency desc, customer) as r, ntile(5) over (order by frequency, customer) as f,
               ntile(5) over (order by monetary, customer) as m
        from customers order by customer
        """
    ).df()
    assert scores[["r_score", "f_score", "m_score"]].to_numpy().tolist() == sql.to_numpy().tolist()


def test_segments_add_up_as_in_pandas(orders: pd.DataFrame) -> None:
    report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2025-10-31")
    by = report.table.groupby("segment")
    table = report.segments.table.set_index("segment")
    there = table[table["customers"] > 0]
    assert there["customers"].to_dict() == by.size().to_dict()
    assert there["orders"].to_dict() == by["orders"].sum().to_dict()
    assert there["median_monetary"].to_dict() == by["monetary"].median().to_dict()
    assert np.allclose(there["revenue"], by["revenue"].sum()[there.index])
    assert np.isclose(table["customer_share"].sum(), 1.0)
    assert np.isclose(table["revenue_share"].sum(), 1.0)
    assert set(table.index) == set(om.SegmentMap.rf10().names)


# ----------------------------------------------------------------------------------------- what the usual recipes do


def test_qcut_fails_on_tied_frequencies_and_we_do_not(orders: pd.DataFrame) -> None:
    table = summary(orders)
    with pytest.raises(ValueError, match="Bin edges must be unique"):
        pd.qcut(table["frequency"], 5)
    scores = om.RFMScorer().fit(table).transform(table).table
    assert scores["f_score"].max() == 5


def test_a_thousand_identical_customers_stay_together() -> None:
    same = pd.DataFrame({"u": range(1_000), "t": pd.Timestamp("2026-01-01"), "a": 10.0})
    report = om.rfm(same, customer="u", time="t", amount="a", as_of="2026-01-31")
    assert report.table["segment"].nunique() == 1
    ranked = pd.qcut(report.table["frequency"].rank(method="first"), 5, labels=False)
    assert ranked.nunique() == 5  # the usual recipe spreads them over five scores


def test_refitting_hides_a_decline_that_frozen_edges_show() -> None:
    """Forty in a hundred customers stop a third into the second half; quintiles fitted anew give the same shares all the same."""
    rng = np.random.default_rng(3)
    minute = pd.to_timedelta(rng.integers(0, 181 * 24 * 60, 12_000), unit="min")
    first = pd.DataFrame({"u": rng.integers(0, 2_000, 12_000), "t": pd.Timestamp("2025-01-01") + minute, "a": 10.0})
    second = first.assign(t=first["t"] + pd.Timedelta(days=182))
    second = second[(second["u"] % 10 >= 4) | (second["t"] < "2025-09-01")]
    names: dict[str, Any] = {"customer": "u", "time": "t", "amount": "a", "window": 181}
    before = om.rfm(first, as_of="2025-06-30", **names)
    frozen = om.rfm(second, as_of="2025-12-29", scorer=before.scorer, **names)
    refitted = om.rfm(second, as_of="2025-12-29", **names)
    old, new, again = ((report.table["r_score"] >= 4).mean() for report in (before, frozen, refitted))
    assert new < 0.75 * old
    assert abs(again - old) < 0.02


def test_null_customers_do_not_become_one_giant_customer(orders: pd.DataFrame) -> None:
    holed = orders.assign(customer=orders["customer"].where(orders.index % 5 > 0, None))
    with pytest.raises(om.DataError, match="every order needs a customer") as caught:
        summary(holed)
    assert caught.value.code == "data.missing_customer"
    made = om.customer_summary(holed, customer="customer", time="time", amount="amount", as_of="2025-12-31", missing_customer="drop")
    assert made.dropped == {"missing customer": int((orders.index % 5 == 0).sum())}
    assert made.table["frequency"].max() < 200


def test_one_wholesale_customer_moves_the_mean_but_not_the_scores(orders: pd.DataFrame) -> None:
    """The choice of basis moves customers between the eight classes, so it is a parameter and is kept in the result."""
    giant = pd.DataFrame({"customer": ["C99999"], "order_id": [10**6], "time": pd.Timestamp("2025-06-01"), "amount": [5e7]})
    scores = {}
    for name, frame in (("without", orders), ("with", pd.concat([orders, giant]))):
        table = om.customer_summary(frame, customer="customer", time="time", amount="amount", as_of="2025-12-31")
        scored = om.RFMScorer().fit(table).transform(table)
        for basis in ("score", "value"):
            report = om.SegmentMap.cn8(basis=basis).assign(scored)
            scores[name, basis] = np.mean([code[2] == "1" for code in report.table["rfm_code"]])
            assert report.params["basis"] == basis
            assert set(report.params["centre"]) == {"r", "f", "m"}
    assert scores["with", "value"] < scores["without", "value"] / 10
    assert abs(scores["with", "score"] - scores["without", "score"]) < 0.01
    assert columns_of(report.table)["rfm_code"]


def test_a_report_mapped_again_states_the_rule_that_made_it(orders: pd.DataFrame) -> None:
    report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2025-10-31")
    eight = om.SegmentMap.cn8(basis="value").assign(report)
    again = om.SegmentMap.rf10().assign(eight)
    assert columns_of(again.table) == columns_of(report.table)
    assert again.params == report.params
    rescored = report.scorer.transform(report)
    assert (rescored.customer, rescored.dropped, "segment" in rescored.table) == ("customer", report.dropped, False)
    assert columns_of(again.refund_only) == columns_of(report.refund_only)


def test_moves_between_reports_of_different_rules_are_flagged(orders: pd.DataFrame) -> None:
    columns: dict[str, Any] = {"customer": "customer", "time": "time", "amount": "amount"}
    june = om.rfm(orders, **columns, as_of="2025-06-30", segment_map=om.SegmentMap.cn8())
    refitted = om.rfm(orders, **columns, as_of="2025-10-31", scorer=june.scorer, segment_map=om.SegmentMap.cn8())
    with pytest.warns(om.OpsmetricsWarning, match="different maps or centres"):
        om.transitions(june, refitted)
    frozen = om.rfm(orders, **columns, as_of="2025-10-31", scorer=june.scorer, segment_map=june.segment_map)
    assert om.transitions(june, frozen).params["before"] == len(june.table)


def test_columns_of_a_frame_are_not_taken_for_a_result() -> None:
    tiers = pd.DataFrame({"customer": [1, 2], "scorer": ["x", "y"], "segment_names": ["p", "q"], "segment": ["a", "b"]})
    assert om.transitions(tiers, tiers, customer="customer").counts["a"].tolist() == [1, 0, 0]
    with pytest.raises(om.ParameterError, match="name the column of the customer"):
        om.transitions(tiers, tiers)
