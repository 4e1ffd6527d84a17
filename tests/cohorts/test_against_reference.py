"""The family against the slow reference, on small logs with nulls, refunds, odd zones, and every period."""

from __future__ import annotations

import datetime as dt
from random import Random
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from opsmetrics.cohorts.activations import activation_rate
from opsmetrics.cohorts.habits import stickiness
from opsmetrics.cohorts.repurchases import next_period_rate, repurchase_rate
from opsmetrics.cohorts.retentions import retention
from tests.cohorts import reference as slow
from tests.cohorts.reference import Calendar, Row, World
from tests.support import columns_of

NAMES: dict[str, Any] = {"customer": "uid", "time": "at"}
ZONES = [None, None, "Asia/Shanghai", "America/New_York", "Europe/Berlin", "America/Havana", "Pacific/Apia"]
PERIODS: list[str | int] = ["day", "week", "month", "quarter", "year", 30, 7, 3, 1]
EVENTS = ["visit", "visit", "cart", "pay", None]
SPREADS = {2: "hour", 12: "hour", 60: "day", 400: "day"}
"""Days of a log, and whether its stamps differ by hours or by days: ties are many in short logs."""


@st.composite
def worlds(draw: st.DrawFn, days: tuple[int, ...] = tuple(SPREADS), money: bool | None = None, amounts: bool = True) -> World:
    """Random rows over some days around the changes of the clocks, the zone, and where the data ends."""
    random = Random(draw(st.integers(0, 2**32 - 1)))
    spread, money = draw(st.sampled_from(days)), draw(st.booleans()) if money is None else money
    base = dt.datetime(2026, 3, 6, random.choice([0, 5, 16])) - dt.timedelta(days=spread // 2)
    rows = []
    for number in range(draw(st.integers(1, 7))):
        for _ in range(random.choice([1, 1, 2, 4, 9])):
            hours = random.randrange(24 * spread) if SPREADS[spread] == "hour" else 24 * random.randrange(spread) + random.choice([0, 23])
            at = base + dt.timedelta(hours=hours, minutes=random.choice([0, 0, 30]))
            amount = random.choice([0.0, 5.5, 10.01, 20.0, -3.0, -10.01] + [None] * (random.random() < 0.3)) if amounts else 1.0
            rows.append(Row(f"c{number}", at, amount, random.choice(["ads", "web", None]), random.choice(EVENTS)))
            if random.random() < 0.05:
                rows[-1] = rows[-1]._replace(**{random.choice(["uid", "at"]): None})
    random.shuffle(rows)
    end = draw(st.sampled_from([None, None, "day", "instant"]))
    as_of: Any = base + dt.timedelta(hours=random.randrange(24 * spread + 48))
    as_of = None if end is None else as_of.date() if end == "day" else as_of
    world = World(rows, draw(st.sampled_from(ZONES)), as_of, money)
    assume(any(row.at is not None for row in rows))
    assume(world.active_days)
    return world


@st.composite
def calendars(draw: st.DrawFn, world: World) -> Calendar:
    return Calendar(draw(st.sampled_from(PERIODS)), draw(st.sampled_from(slow.WEEKDAYS)), world.today)


def frame_of(world: World) -> pd.DataFrame:
    frame = pd.DataFrame({name: [getattr(row, name) for row in world.rows] for name in Row._fields})
    frame = frame.astype({"uid": "string", "channel": "string", "event": "string", "amount": "float64"})
    return frame.assign(at=pd.to_datetime(frame["at"]).astype("datetime64[us]"), flag=frame["event"] == "pay")


def asked(world: World, calendar: Calendar | None = None) -> dict[str, Any]:
    """The arguments of a world."""
    as_of: Any = world.as_of
    if isinstance(as_of, dt.datetime) and world.tz is not None:
        as_of = as_of.replace(tzinfo=dt.UTC)
    arguments = NAMES | {"tz": world.tz, "as_of": as_of}
    return arguments if calendar is None else arguments | {"period": calendar.period, "week_start": calendar.week_start}


def check(native: Any, expected: list[dict[str, Any]]) -> None:
    """Whole numbers and names are equal, rates and intervals to the last digits."""
    found = columns_of(native)
    rows = [dict(zip(found, line, strict=True)) for line in zip(*found.values(), strict=True)]
    assert list(found) == list(expected[0])
    assert len(rows) == len(expected)
    for row, wanted in zip(rows, expected, strict=True):
        for name, value in wanted.items():
            mine = row[name].date() if isinstance(row[name], dt.datetime) else row[name]
            assert mine == (pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value), (name, row, wanted)


@settings(max_examples=120)
@given(st.data())
def test_retention(data: st.DataObject) -> None:
    world = data.draw(worlds())
    calendar = data.draw(calendars(world))
    value: Any = data.draw(st.sampled_from(["customers", "customers", "orders", *(["amount"] if world.money else [])]))
    kind: Any = data.draw(st.sampled_from(["bounded", "unbounded", "rolling"] if value == "customers" else ["bounded"]))
    by_channel, confidence = data.draw(st.booleans()), data.draw(st.sampled_from([0.95, 0.5]))
    found = retention(
        frame_of(world), **asked(world, calendar), cohort="channel" if by_channel else "first", kind=kind, value=value,
        amount="amount" if world.money else None, confidence=confidence,
    )  # fmt: skip
    expected = slow.retention(world, calendar, by_channel, kind, value, confidence)
    for name, rows in expected.items():
        check(getattr(found, name), rows)
    assert found.dropped == world.dropped
    assert found.params["customers"] == len(world.active_days)
    assert str(found)


@settings(max_examples=100)
@given(st.data())
def test_repurchase(data: st.DataObject) -> None:
    world = data.draw(worlds())
    same_day: Any = data.draw(st.sampled_from(["merge", "count"]))
    window = data.draw(st.sampled_from([None, 1, 5, 90]))
    within = data.draw(st.lists(st.sampled_from([1, 2, 7, 30, 90]), min_size=1, max_size=3, unique=True))
    found = repurchase_rate(
        frame_of(world), **asked(world), amount="amount" if world.money else None, same_day=same_day, within=within, window=window,
    )  # fmt: skip
    check(found.table, list(slow.repurchase(world, same_day, within, window, 0.95)))
    assert found.dropped == world.dropped
    assert found.params["buyers"] == len(world.active_days)


@settings(max_examples=80)
@given(st.data())
def test_next_period(data: st.DataObject) -> None:
    world = data.draw(worlds())
    calendar = data.draw(calendars(world))
    found = next_period_rate(frame_of(world), **asked(world, calendar), amount="amount" if world.money else None)
    check(found.table, list(slow.next_period(world, calendar, 0.95)))
    assert found.dropped == world.dropped


@settings(max_examples=80)
@given(st.data())
def test_stickiness(data: st.DataObject) -> None:
    world, window = data.draw(worlds(days=(2, 12, 60), money=False)), data.draw(st.sampled_from([1, 3, 7, 28, 40]))
    found = stickiness(frame_of(world), **asked(world), window=window)
    table, often = slow.stickiness(world, window)
    check(found.table, table)
    check(found.active_days, often)
    assert found.dropped == world.dropped


KEYS: dict[str, tuple[Any, Any]] = {
    "event": ("pay", lambda row: row.event == "pay"),
    "events": (["pay", "cart"], lambda row: row.event in {"pay", "cart"}),
    "where": ({"event": "pay", "where": {"channel": ["ads"]}}, lambda row: row.event == "pay" and row.channel == "ads"),
    "flag": ("flag", lambda row: row.event == "pay"),
}


@settings(max_examples=100)
@given(st.data())
def test_activation(data: st.DataObject) -> None:
    world = data.draw(worlds(money=False))
    # So that no named event is unknown, there is one of each, which does not count.
    world = World([*world.rows, *(Row(None, world.kept[0].at, None, None, word) for word in ("pay", "cart"))], world.tz, world.as_of)
    calendar, name = data.draw(calendars(world)), data.draw(st.sampled_from(sorted(KEYS)))
    within: Any = data.draw(st.sampled_from([1, 7, "36h", "30min", dt.timedelta(days=3)]))
    span = {"36h": dt.timedelta(hours=36), "30min": dt.timedelta(minutes=30)}.get(str(within), within)
    span = dt.timedelta(days=span) if isinstance(span, int) else span
    key, is_key = KEYS[name]
    event = None if name == "flag" and data.draw(st.booleans()) else "event"
    found = activation_rate(frame_of(world), key, **asked(world, calendar), event=event, within=within)
    table, overall = slow.activation(world, calendar, is_key, span, 0.95)
    check(found.table, table)
    check(found.overall, [overall])
    assert found.dropped == world.dropped
