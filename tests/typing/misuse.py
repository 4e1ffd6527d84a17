"""Mistakes a type checker must find before they run. An ignore that ignores nothing is an error, so each line here has to fail."""

from __future__ import annotations

import json
from typing import assert_type

import pandas as pd
import polars as pl

import opsmetrics as om


def arguments(orders: pd.DataFrame) -> None:
    om.rfm(orders, customer="uid", time="at", amount="paid")  # type: ignore[call-arg]
    om.rfm(orders, "uid", "at", "paid", "2026-01-01")  # type: ignore[call-arg]
    om.rfm(orders, customer="uid", time="at", amount="paid", as_of="2026-01-01", user="uid")  # type: ignore[call-arg]
    om.rfm(orders, customer="uid", time="at", amount="paid", as_of="2026-01-01", refunds="keep")  # type: ignore[arg-type]
    om.rfm(orders, customer="uid", time="at", amount="paid", as_of="2026-01-01", scorer=5)  # type: ignore[arg-type]
    om.customer_summary(orders, customer=["uid"], time="at", amount="paid", as_of="2026-01-01")  # type: ignore[arg-type]
    om.customer_summary(orders, customer="uid", time="at", amount="paid", as_of=20260101)  # type: ignore[arg-type]
    om.customer_summary(orders, customer="uid", time="at", amount="paid", as_of="2026-01-01", window=1.5)  # type: ignore[arg-type]
    om.segment_summary(orders, "segment")  # type: ignore[call-overload]
    om.transitions(orders, orders, customer="uid", confidence="95%")  # type: ignore[call-overload]
    om.transitions(orders)  # type: ignore[call-overload]
    om.make_orders(kind="spark")  # type: ignore[call-overload]
    om.RFMScorer(5)  # type: ignore[call-arg]
    om.RFMScorer(method="decile")  # type: ignore[arg-type]
    om.SegmentMap({"gold": {"f": 5}})  # type: ignore[dict-item]
    om.SegmentMap.cn8(comparison="<")  # type: ignore[arg-type]
    om.SegmentMap.rf10().assign(orders)  # type: ignore[arg-type]
    om.rmf(orders)  # type: ignore[attr-defined]


def results(orders: pd.DataFrame, scan: pl.LazyFrame) -> None:
    report = om.rfm(orders, customer="uid", time="at", amount="paid", as_of="2026-01-01")
    lazy = om.rfm(scan, customer="uid", time="at", amount="paid", as_of="2026-01-01")
    report.params = {}  # type: ignore[misc]
    report.tables  # type: ignore[attr-defined]  # noqa: B018
    assert_type(report.table, pl.DataFrame)  # type: ignore[assert-type]
    assert_type(lazy.table, pl.LazyFrame)  # type: ignore[assert-type]
    om.RFMScorer().bins = 4  # type: ignore[misc]


def the_checker_sees_any() -> None:
    print(json.loads("1"))  # type: ignore[misc]
