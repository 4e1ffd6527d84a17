"""Every kind of frame, and streams cut often: the same cohorts."""

from __future__ import annotations

from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest

import opsmetrics as om
from opsmetrics import _parts
from opsmetrics.cohorts.activations import activation_rate
from opsmetrics.cohorts.habits import stickiness
from opsmetrics.cohorts.repurchases import next_period_rate, repurchase_rate
from opsmetrics.cohorts.retentions import retention
from tests.support import Kind, columns_of

NAMES: dict[str, Any] = {"customer": "customer", "time": "time"}


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    """Events of 300 customers, with nulls now and then, and many rows of one customer at one time."""
    frame = om.make_events(300, rng=3)
    frame["time"] = frame["time"].dt.floor("3D")
    frame["amount"] = frame["amount"].where(frame["event"] != "help", -5.5)
    for place, column in enumerate(("customer", "time", "event", "channel", "amount")):
        frame.loc[frame.index % 97 == place, column] = None
    frame["channel"] = frame["channel"].where(frame.index % 3 > 0, "last resort")
    return frame.sample(frac=1, random_state=1, ignore_index=True)


def answers(frame: Any) -> dict[str, Any]:
    """What can be asked."""
    found = {
        "first": retention(frame, **NAMES, period="week", amount="amount"),
        "rolling": retention(frame, **NAMES, period="14D", kind="rolling", tz="America/New_York"),
        "channel": retention(frame, **NAMES, cohort="channel", kind="unbounded", as_of="2025-03-10"),
        "products": retention(frame, **NAMES, cohort="product"),
        "amount": retention(frame, **NAMES, cohort="channel", value="amount", amount="amount", as_of="2025-03-10"),
        "orders": retention(frame, **NAMES, value="orders", week_start="sunday", period="week"),
        "repurchase": repurchase_rate(frame, **NAMES, amount="amount", within=[7, 30], window="8W"),
        "next": next_period_rate(frame, **NAMES, as_of="2025-03-10"),
        "stickiness": stickiness(frame, **NAMES),
        "activation": activation_rate(frame, {"event": "pay", "where": {"channel": ["ads", "last resort"]}}, event="event", **NAMES),
    }
    return {f"{name}.{table}": getattr(one, table) for name, one in found.items() for table in one._tables}


@pytest.fixture(scope="module")
def expected(events: pd.DataFrame) -> dict[str, Any]:
    return {name: columns_of(table) for name, table in answers(events).items()}


def test_the_same_answers_in_the_callers_kind(kind: Kind, events: pd.DataFrame, expected: dict[str, Any]) -> None:
    found = answers(kind.make(events))
    assert {type(table) for table in found.values()} == {kind.result}
    for name, table in found.items():
        assert columns_of(table) == expected[name], name


def test_what_is_expected_says_something(expected: dict[str, Any]) -> None:
    assert expected["channel.triangle"]["cohort"][-1] is None
    assert "last resort" in expected["channel.triangle"]["cohort"]
    assert len(expected["products.triangle"]["cohort"]) > 50
    assert None in expected["first.table"]["retained"]
    assert set(expected["channel.table"]["period"]) == {None}
    assert max(expected["repurchase.table"]["numerator"]) > 50


@pytest.mark.parametrize(("engine", "split"), [("polars", 10**9), ("polars", 500), ("duckdb", 10**9), ("duckdb", 200)])
def test_a_stream_cut_often(
    events: pd.DataFrame, expected: dict[str, Any], engine: str, split: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_parts, "ROWS_TO_SPLIT", split)
    monkeypatch.setattr(_parts, "ROWS_PER_PART", 1_000)
    monkeypatch.setattr(_parts, "ROWS_PER_BATCH", 600)
    path = str(tmp_path / "events.parquet")
    events.to_parquet(path, index=False)
    stream = pl.scan_parquet(path) if engine == "polars" else duckdb.connect().read_parquet(path)
    for name, table in answers(stream).items():
        assert columns_of(table) == expected[name], name


@pytest.mark.parametrize("split", [100, 1_000])
def test_a_frame_in_memory_cut_in_slices(
    events: pd.DataFrame, expected: dict[str, Any], split: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_parts, "ROWS_TO_SPLIT", split)
    numbers = events["customer"].str[1:].astype("Int64")
    for name, table in answers(events.assign(customer=numbers)).items():
        assert columns_of(table) == expected[name], name


def test_nobody_changes_the_callers_frame(events: pd.DataFrame) -> None:
    before = events.copy(deep=True)
    answers(events)
    pd.testing.assert_frame_equal(events, before)
