"""Rates with a stage as their population: who of given customers did what, against plain Python and SQL, for every kind of frame."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from random import Random
from typing import Any

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import opsmetrics as om
from opsmetrics import _frames, _output, _parts
from opsmetrics._frames import Use
from opsmetrics.lifecycles import kpis
from opsmetrics.lifecycles.kpis import Reached, kpi_table, reached
from tests.support import KINDS, Kind, columns_of

START = dt.datetime(2026, 1, 1, tzinfo=None)
EVENTS = ("view", "cart", "pay", "help")
NAMES: dict[str, Any] = {"customer": "uid", "event": "what", "time": "at"}
RULES: dict[str, Any] = {"saw": "view", "bought": {"event": ["pay", "cart"], "where": {"vip": True}}, "wrote": "flag", "any": list(EVENTS)}
COLUMNS = ["stage", "kpi", "customers", "reached", "rate", "rate_low", "rate_high"]
Row = dict[str, Any]


def people_of(frame: Any, column: str = "uid") -> _frames.Values:
    """The ids of a frame's customers as the engine takes them."""
    return _frames.collect(_frames.wrap("people", frame))[column]


@st.composite
def logs(draw: st.DrawFn) -> pd.DataFrame:
    random = Random(draw(st.integers(0, 2**32 - 1)))
    rows: list[Row] = [
        {
            "uid": None if random.random() < 0.05 else random.randrange(10),
            "what": random.choice(EVENTS),
            "at": None if random.random() < 0.05 else START + dt.timedelta(hours=random.randrange(200)),
            "vip": random.choice([True, False, None]),
            "flag": random.random() < 0.2,
        }
        for _ in range(draw(st.integers(0, 40)))
    ]
    rows += [{"uid": None, "what": event, "at": START, "vip": True, "flag": False} for event in EVENTS]
    frame = pd.DataFrame(rows).astype({"uid": "Int64", "what": "string", "vip": "boolean"})
    return frame.assign(at=pd.to_datetime(frame["at"]))


ids = st.lists(st.one_of(st.none(), st.integers(-2, 14)), max_size=15)
ends = st.one_of(st.none(), st.integers(0, 8))


def matches(row: Row, name: str) -> bool:
    if name == "bought":
        return row["what"] in {"pay", "cart"} and row["vip"] is True
    return bool(row["flag"]) if name == "wrote" else row["what"] == "view" if name == "saw" else True


def by_hand(frame: pd.DataFrame, people: list[Any], first: dt.date | None, last: dt.date | None) -> tuple[list[list[bool]], Counter[str]]:
    """Every rule and every customer in turn."""
    rows: list[Row] = [{str(key): None if pd.isna(value) else value for key, value in row.items()} for row in frame.to_dict("records")]
    rows = [row for row in rows if any(matches(row, name) for name in RULES)]
    dropped = Counter("missing customer" if row["uid"] is None else "missing time" for row in rows if None in (row["uid"], row["at"]))
    known = [row for row in rows if row["uid"] is not None and row["at"] is not None]
    inside = [row for row in known if (first is None or row["at"].date() >= first) and (last is None or row["at"].date() <= last)]
    return [
        [one is not None and any(row["uid"] == one and matches(row, name) for row in inside) for one in people] for name in RULES
    ], dropped


@pytest.mark.filterwarnings("ignore:between ends after the last row")
@settings(max_examples=80)
@given(logs(), ids, ends, ends)
def test_who_reached_what_as_plain_python_counts_it(frame: pd.DataFrame, people: list[Any], one: int | None, other: int | None) -> None:
    """Ids may repeat, be null, or be those of nobody in the log."""
    first, last = (None if end is None else START.date() + dt.timedelta(days=end) for end in (one, other))
    if first is not None and last is not None and first > last:
        first, last = last, first
    asked = pd.DataFrame({"uid": pd.array(people, dtype="Int64")})
    found = reached(frame, RULES, people_of(asked), between=None if first is None and last is None else (first, last), **NAMES)
    expected, dropped = by_hand(frame, people, first, last)
    assert found.reached.tolist() == expected
    assert found.dropped == dropped
    assert found.names == list(RULES)


@settings(max_examples=20)
@given(logs(), ids)
def test_without_times_all_rows_count(frame: pd.DataFrame, people: list[Any]) -> None:
    asked = people_of(pd.DataFrame({"uid": pd.array(people, dtype="Int64")}))
    filled = frame.assign(at=frame["at"].fillna(START))
    found = reached(frame.drop(columns="at"), RULES, asked, customer="uid", event="what")
    assert found.reached.tolist() == reached(filled, RULES, asked, **NAMES).reached.tolist()
    assert set(found.dropped) <= {"missing customer"}


@settings(max_examples=20)
@given(logs(), st.integers(0, 2**32 - 1), st.permutations(range(10)))
def test_neither_the_order_of_rows_nor_names_matter(frame: pd.DataFrame, seed: int, names: list[int]) -> None:
    numbers = pd.DataFrame({"uid": range(10)})
    words = pd.DataFrame({"uid": [f"c{name}" for name in names]})
    named = frame.assign(uid=frame["uid"].map(lambda one: f"c{names[one]}", na_action="ignore").astype("string"))
    plain = reached(frame, RULES, people_of(numbers), **NAMES)
    other = reached(named.sample(frac=1, random_state=seed), RULES, people_of(words), **NAMES)
    assert plain.reached.tolist() == other.reached.tolist()
    assert plain.dropped == other.dropped


def test_a_span_holds_both_its_ends_in_the_zone() -> None:
    """The whole days of Shanghai, and instants themselves."""
    stamps = ["2026-01-04 15:59", "2026-01-04 16:00", "2026-01-05 15:59", "2026-01-05 16:00"]
    frame = pd.DataFrame({"uid": range(4), "what": "view", "at": pd.to_datetime(stamps)})
    asked = people_of(pd.DataFrame({"uid": range(4)}))

    def who(between: Any, tz: str | None = "Asia/Shanghai") -> list[int]:
        return np.flatnonzero(reached(frame, {"saw": "view"}, asked, between=between, tz=tz, **NAMES).reached[0]).tolist()

    assert who(("2026-01-05", "2026-01-05")) == [1, 2]
    assert who((None, "2026-01-05")) == [0, 1, 2]
    assert who(("2026-01-05", None)) == [1, 2, 3]
    assert who(("2026-01-04 16:00", "2026-01-05 15:59"), tz=None) == [1, 2]
    assert who(None) == who((None, None)) == [0, 1, 2, 3]


# ------------------------------------------------------------------------------------------------------ engines


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    frame = om.make_events(400, rng=5)
    frame["vip"] = pd.Series(frame["product"] % 2 == 0).astype("boolean")
    for place, column in enumerate(("customer", "time", "event", "vip")):
        frame.loc[frame.index % 97 == place, column] = None
    return frame


@pytest.fixture(scope="module")
def staged() -> pd.DataFrame:
    """Customers of the log and others, in stages and channels."""
    numbers = range(1, 600, 2)
    return pd.DataFrame(
        {
            "customer": [f"C{number:05}" for number in numbers],
            "stage": [("new", "grown", "old")[number % 3] for number in numbers],
            "channel": pd.array([("ads", "web", "app", None)[(number // 3) % 4] for number in numbers], dtype="string"),
        }
    )


STAGES = ("new", "grown", "empty", "old")
MADE: dict[str, Any] = {"saw": "view", "bought": {"event": "pay", "where": {"vip": True}}}


def ask(frame: Any, table: Any, by: str | None) -> Any:
    """What `Staged.kpis` asks."""
    own = _frames.collect(_frames.wrap("staged", table))
    found = reached(
        frame, MADE, own["customer"], customer="customer", event="event", time="time", between=("2025-01-15", "2025-03-01"), tz="Asia/Tokyo"
    )
    group = None if by is None else (by, *_frames.encode(own[by], Use("by", by, "label")))
    codes = _frames.positions_among(own["stage"], STAGES).astype(np.int64)
    return kpi_table(own.implementation, STAGES, codes, group, found.reached, found.names, 0.9), found


def test_the_same_answers_in_the_callers_kind(kind: Kind, log: pd.DataFrame, staged: pd.DataFrame) -> None:
    for by in (None, "channel"):
        expected, facts = ask(log, staged, by)
        table, found = ask(kind.make(log), kind.make(staged), by)
        assert isinstance(table, kind.result)
        assert columns_of(table) == columns_of(expected)
        assert found.dropped == facts.dropped
        assert (found.reached == facts.reached).all()
    assert all(facts.dropped[reason] > 0 for reason in ("missing customer", "missing time"))
    assert 0.2 < facts.reached.mean() < 0.8


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name in {"pandas", "polars-lazy", "duckdb"}], ids=str)
def test_parts_do_not_show(kind: Kind, log: pd.DataFrame, staged: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = columns_of(ask(log, staged, "channel")[0])
    for name, rows in (("ROWS_PER_PART", 500), ("ROWS_PER_BATCH", 200), ("ROWS_TO_SPLIT", 400)):
        monkeypatch.setattr(_parts, name, rows)
    assert columns_of(ask(kind.make(log), kind.make(staged), "channel")[0]) == expected


def test_sql_by_hand_says_the_same(log: pd.DataFrame, staged: pd.DataFrame) -> None:
    """A witness in SQL, on the wall clock of Tokyo."""
    shifted = log.assign(time=log["time"] + pd.Timedelta(hours=9))
    witness: Any = duckdb.query("""
        with inside as (
            select customer, event = 'view' as saw, event = 'pay' and vip as bought from shifted
            where time >= timestamp '2025-01-15' and time < timestamp '2025-03-02'
        ), each as (select customer, bool_or(saw) as saw, bool_or(bought) as bought from inside group by customer)
        select stage, count(*), count(*) filter (saw), count(*) filter (bought)
        from staged left join each using (customer) group by stage
    """)
    rows = witness.fetchall()
    table = columns_of(ask(log, staged, None)[0])
    found = list(zip(table["stage"], table["kpi"], table["customers"], table["reached"], strict=True))
    for stage, customers, saw, bought in rows:
        assert (stage, "saw", customers, saw) in found
        assert (stage, "bought", customers, bought) in found
    assert len(shifted) == len(log)
    assert {stage for stage, *_ in rows} == {"new", "grown", "old"}


# ------------------------------------------------------------------------------------------------------ the table


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.booleans())
def test_the_table_as_plain_python_counts_it(seed: int, size: int, grouped: bool) -> None:
    random = Random(seed)
    names, stages = ["one", "two"], ["a", "b", "c"]
    codes = [random.choice([0, 2]) for _ in range(size)]
    channel = [random.choice(["web", "ads", "app", None]) for _ in range(size)]
    did = [[random.random() < 0.5 for _ in range(size)] for _ in names]
    backend = _output.backend("pandas")
    group = None
    if grouped:
        series = nw.new_series("channel", channel, nw.String(), backend=backend)
        group = ("channel", *_frames.encode(series, Use("by", "channel", "label")))
    reached_by = np.array(did, dtype=np.bool_).reshape(2, size)
    table = kpi_table(backend, stages, np.array(codes, dtype=np.int64), group, reached_by, names, 0.95)
    found = columns_of(table)
    assert list(found) == [COLUMNS[0], *(["channel"] if grouped else []), *COLUMNS[1:]]
    sizes = Counter(channel)
    values = sorted(sizes, key=lambda value: (value is None, -sizes[value], str(value))) if grouped else [...]
    expected = []
    for place, stage in enumerate(stages):
        for value in values:
            own = [one for one in range(size) if codes[one] == place and value in (..., channel[one])]
            if own or not grouped:
                expected += [
                    (stage, *([value] if grouped else []), name, len(own), sum(did[k][one] for one in own)) for k, name in enumerate(names)
                ]
    assert list(zip(*list(found.values())[: 5 if grouped else 4], strict=True)) == expected
    for row, customers in enumerate(found["customers"]):
        rate, low, high = (found[name][row] for name in ("rate", "rate_low", "rate_high"))
        if customers == 0:
            assert rate is low is high is None
        else:
            assert rate == found["reached"][row] / customers
            assert 0 <= low <= rate <= high <= 1


def test_groups_may_be_numbers_or_flags() -> None:
    backend = _output.backend("polars")
    for values in ([3, 1, 3], [True, False, True]):
        series = nw.new_series("g", values, backend=backend)
        group = ("g", *_frames.encode(series, Use("by", "g", "label")))
        table = columns_of(kpi_table(backend, ["a"], np.zeros(3, dtype=np.int64), group, np.array([[True, False, True]]), ["k"], 0.95))
        assert table["g"] == [values[0], values[1]]
        assert table["reached"] == [2, 0]


def test_what_a_caller_gets() -> None:
    """The names that the table needs for itself, and a tuple that can be taken apart."""
    assert set(COLUMNS) == kpis.RESERVED
    frame = pd.DataFrame({"uid": [1], "what": ["view"]})
    found = reached(frame, {"saw": "view"}, people_of(frame), customer="uid", event="what")
    assert isinstance(found, Reached)
    who, dropped, names = found
    assert (who.tolist(), dict(dropped), names) == ([[True]], {}, ["saw"])
