"""A prepared log gives the same answers as the frame it was made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import opsmetrics as om
from opsmetrics import _parts
from tests.bad_input.cases import check_refused
from tests.support import Kind, columns_of

NAMES = {"customer": "customer", "event": "event", "time": "time"}
WHERE = {"event": "pay", "where": {"channel": ["ads", "search"], "vip": True}}


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    """Shuffled events with equal times, boolean columns, and nulls in every column that matters."""
    frame = om.make_events(80, rng=21).sample(frac=1.0, random_state=4).reset_index(drop=True)
    frame["time"] = frame["time"].dt.floor("h")
    frame["vip"] = frame["customer"].str.endswith(("1", "3", "5", "7"))
    frame["paid"] = frame["event"] == "pay"
    frame["looked"] = frame["event"].isin(["view", "search"])
    for place, column in enumerate(("customer", "time", "event", "channel")):
        frame.loc[frame.index % 41 == place, column] = None
    return frame


def answers(found: om.Funnel[Any], order: str) -> dict[str, Any]:
    """Everything a funnel says."""
    said: dict[str, Any] = {"dropped": found.dropped, "params": {k: v for k, v in found.params.items() if k != "columns"}}
    asked = [found.table, found.customers, found.by("channel").table, found.by("vip", at="last").table, found.trend("month").table]
    asked += [found.times(1, 2).table, found.survival().table, found.compare("channel", baseline="ads").table]
    if order != "any":
        asked += [found.next_events(after=1).table, found.next_events(after=2).table, found.by("vip", at=2).table]
    return said | {str(number): columns_of(table) for number, table in enumerate(asked)}


ORDERS = ["ordered", "strict", "any"]
CHOICES: dict[str, dict[str, Any]] = {
    "plain": {},
    "window": {"window": "7D", "amount": "amount", "entry": "latest"},
    "where": {"steps": ["view", "cart", WHERE]},
    "flags": {"steps": ["looked", "cart", "paid"], "window": "30D"},
    "flags alone": {"steps": ["looked", "paid"], "exclude": "vip"},
    "overlapping": {"steps": [["view", "search"], "view", {"where": {"channel": "ads"}}]},
    "hold": {"hold": ["product"], "amount": "amount"},
    "hold with nulls": {"hold": ["channel", "product"], "steps": ["view", WHERE]},
    "end": {"exclude": ["compare", {"event": "help", "where": {"channel": "ads"}}], "window": "7D"},
    "remove": {"exclude": ["compare", "help"], "exclusion": "remove", "window": "7D", "entry": "first"},
    "totals": {"count": "totals", "window": "1D"},
    "between": {"entries_between": ("2025-01-10", "2025-02-10 12:00")},
    "absent": {"steps": ["view", "cart", ["pay", "buy"]], "allow_missing": True},
}
ORDERED_ONLY: dict[str, dict[str, Any]] = {
    "ties": {"ties": "strict"},
    "gaps": {"step_window": ["2h", None], "min_gap": "0s", "window": "7D"},
    "optional": {"steps": ["view", om.Step("cart", optional=True), om.Step("checkout", label="till"), "pay"]},
    "exclude between": {"exclude": {"event": "coupon", "after": "cart"}},
}
CASES = [(order, name) for order in ORDERS for name in (CHOICES if order == "any" else CHOICES | ORDERED_ONLY)]


@pytest.mark.parametrize(("order", "name"), CASES, ids=str)
def test_the_same_answers_as_the_frame(events: pd.DataFrame, log: om.EventLog[Any], order: str, name: str) -> None:
    arguments = {"steps": ["view", "cart", "pay"], "order": order} | (CHOICES | ORDERED_ONLY)[name]
    assert answers(om.funnel(log, **arguments), order) == answers(om.funnel(events, **NAMES, **arguments), order)


@pytest.fixture(scope="module")
def log(events: pd.DataFrame) -> om.EventLog[Any]:
    return om.prepare_events(events, **NAMES)


@pytest.mark.parametrize("gap", [None, "30min", "1D"])
def test_the_same_paths_as_the_frame(events: pd.DataFrame, log: om.EventLog[Any], gap: Any) -> None:
    ours, theirs = om.path_transitions(log, gap=gap), om.path_transitions(events, gap=gap, **NAMES)
    assert columns_of(ours.table) == columns_of(theirs.table)
    assert columns_of(ours.nodes) == columns_of(theirs.nodes)
    assert (ours.params, ours.dropped) == (theirs.params, theirs.dropped)
    assert {"missing customer", "missing time", "missing event"} == set(ours.dropped)


@pytest.mark.parametrize("order", ["ordered", "strict"])
def test_every_kind_of_frame(kind: Kind, events: pd.DataFrame, order: str) -> None:
    frame = kind.make(events)
    ready = om.prepare_events(frame, **NAMES)
    for arguments in (
        {"steps": ["view", "cart", WHERE], "window": "7D"},
        {"steps": ["looked", "paid"], "hold": ["channel"], "amount": "amount"},
    ):
        ours, theirs = om.funnel(ready, order=order, **arguments), om.funnel(frame, order=order, **NAMES, **arguments)
        assert isinstance(ours.table, kind.result)
        assert isinstance(ours.customers, kind.result)
        rows = [name for name in columns_of(ours.customers) if name.startswith("row_")]
        assert rows
        assert columns_of(ours.table) == columns_of(theirs.table)
        customers = {name: values for name, values in columns_of(ours.customers).items() if name in columns_of(theirs.customers)}
        assert customers == columns_of(theirs.customers)
        assert columns_of(ours.by("channel").table) == columns_of(theirs.by("channel").table)
        assert columns_of(ours.trend().table) == columns_of(theirs.trend().table)
        assert ours.dropped == theirs.dropped
    assert ready.rows == len(events)
    assert set(ready.names) == set(events["event"].dropna())


@pytest.mark.parametrize("text", [True, False], ids=["text", "numbers"])
def test_a_log_prepared_in_parts(events: pd.DataFrame, text: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = events if text else events.assign(customer=events["customer"].str[1:].astype("Int64"))
    whole = om.funnel(frame, ["view", "cart", WHERE], **NAMES, window="7D", hold=["channel"])
    paths = om.path_transitions(frame, **NAMES)
    monkeypatch.setattr(_parts, "ROWS_TO_SPLIT", 300)
    ready = om.prepare_events(frame, **NAMES)
    again = om.funnel(ready, ["view", "cart", WHERE], window="7D", hold=["channel"])
    assert answers(again, "ordered") == answers(whole, "ordered")
    assert columns_of(om.path_transitions(ready).table) == columns_of(paths.table)


def test_times_with_a_zone_are_counted_by_its_calendar(events: pd.DataFrame) -> None:
    zoned = events.assign(time=events["time"].dt.tz_localize("UTC"))
    ready = om.prepare_events(zoned, **NAMES, tz="Asia/Shanghai")
    for arguments in ({}, {"tz": "Asia/Shanghai"}):
        ours = om.funnel(ready, ["view", "pay"], entries_between=("2025-01-10", "2025-02-10"), **arguments)
        theirs = om.funnel(zoned, ["view", "pay"], entries_between=("2025-01-10", "2025-02-10"), tz="Asia/Shanghai", **NAMES)
        assert answers(ours, "ordered") == answers(theirs, "ordered")
        assert ours.params["tz"] == "Asia/Shanghai"


def test_whole_numbers_and_categories_as_events(events: pd.DataFrame) -> None:
    numbers = {name: number for number, name in enumerate(events["event"].dropna().unique(), start=7)}
    for column in (events["event"].map(numbers).astype("Int64"), events["event"].map(numbers).astype("Int64").astype("category")):
        frame = events.assign(event=column)
        ours = om.funnel(om.prepare_events(frame, **NAMES), [numbers["view"], [numbers["pay"], numbers["cart"]]])
        theirs = om.funnel(events, ["view", ["pay", "cart"]], **NAMES)
        assert columns_of(ours.customers) == columns_of(theirs.customers)


ABSENT: dict[str, tuple[Callable[[om.EventLog[Any]], Any], str]] = {
    "a step": (lambda ready: om.funnel(ready, ["view", "payy"]), "parameter.steps.missing"),
    "one of a list": (lambda ready: om.funnel(ready, ["view", ["pay", "payy"]]), "parameter.steps.missing"),
    "a step with a condition": (
        lambda ready: om.funnel(ready, ["view", {"event": "payy", "where": {"vip": True}}]),
        "parameter.steps.missing",
    ),
    "an exclusion": (lambda ready: om.funnel(ready, ["view", "pay"], exclude="payy"), "parameter.exclude.missing"),
    "a step in strict order": (lambda ready: om.funnel(ready, ["view", "payy"], order="strict"), "parameter.steps.missing"),
}


@pytest.mark.parametrize("name", ABSENT)
def test_an_event_that_never_occurs(events: pd.DataFrame, log: om.EventLog[Any], name: str) -> None:
    call, code = ABSENT[name]
    check_refused(lambda: call(log), om.ParameterError, code, ["'payy'", "Did you mean 'pay'?"])


def test_an_event_that_occurs_only_where_the_customer_is_missing() -> None:
    """It is no typo: its rows are there, and were dropped."""
    frame = pd.DataFrame(
        {"customer": ["a", None], "event": ["view", "pay"], "time": pd.to_datetime(["2026-01-01", "2026-01-02"]), "channel": ["x", "y"]}
    )
    ready = om.prepare_events(frame, **NAMES)
    for found in (om.funnel(ready, ["view", "pay"]), om.funnel(frame, ["view", "pay"], **NAMES)):
        assert columns_of(found.table)["customers"] == [1, 0]
        assert found.dropped == {"missing customer": 1}
    for found in (om.funnel(ready, ["view", "pay"], hold=["channel"]), om.funnel(frame, ["view", "pay"], hold=["channel"], **NAMES)):
        assert columns_of(found.by("channel").table)["channel"] == ["x", "x"]


def test_a_log_shows_itself(log: om.EventLog[Any]) -> None:
    assert "rows" in str(log)
    assert "<" in log._repr_html_()
    assert (log.customer, log.event, log.time, log.tz) == ("customer", "event", "time", None)


def test_a_prepared_log_does_not_mind_what_becomes_of_the_frame() -> None:
    """The rows it was made of are those of then, in polars, Arrow and DuckDB, whose frames do not change."""
    frame = om.make_events(50, rng=1)
    relation = duckdb.connect().from_arrow(pa.Table.from_pandas(frame, preserve_index=False))
    for native in (pl.from_pandas(frame), relation, frame):
        ready = om.prepare_events(native, **NAMES)
        before = columns_of(om.funnel(ready, ["view", "pay"]).table)
        if native is frame:
            frame["more"] = np.arange(len(frame))
        assert columns_of(om.funnel(ready, ["view", "pay"]).table) == before
