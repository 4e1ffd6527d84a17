"""A-I-P-L against plain Python and SQL written by hand, its laws, and the same answers for every kind of frame."""

from __future__ import annotations

import copy
import datetime as dt
import json
import pickle
import zoneinfo
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import opsmetrics as om
from opsmetrics import _parts
from opsmetrics.lifecycles.aipls import AIPL, aipl
from opsmetrics.lifecycles.flows import AIPLFlow
from tests.support import KINDS, Kind, columns_of, reference

START = dt.datetime(2026, 1, 1, tzinfo=None)
EVENTS = ("view", "cart", "like", "pay", "share", "other")
NAMES: dict[str, Any] = {"customer": "uid", "event": "what", "time": "at"}
PATTERNS: dict[str, Any] = {
    "awareness": "view",
    "interest": ["cart", "like"],
    "purchase": {"event": "pay", "where": {"vip": [True, False]}},
}
STAGES = ("awareness", "interest", "purchase", "loyalty")
OUT = ("stayed", "moved_up", "moved_down", "lost")
FEW = settings(max_examples=15)
Row = dict[str, Any]


@st.composite
def logs(draw: st.DrawFn, *, apart: bool = False, missing: bool = True) -> pd.DataFrame:
    """Events of a few customers on a coarse grid of 40 days; every event occurs at least once, in a row without a customer."""
    random = Random(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(1, 60))
    slots = random.sample(range(400), size) if apart else [random.randrange(80) for _ in range(size)]
    rows = [
        {
            "uid": None if missing and random.random() < 0.05 else random.randrange(8),
            "what": random.choice(EVENTS),
            "at": None if missing and random.random() < 0.05 else START + dt.timedelta(hours=slot * (2.4 if apart else 12)),
            "channel": random.choice(["ads", "web", "app", None]),
            "vip": random.choice([True, False]),
            "flag": random.random() < 0.1,
        }
        for slot in slots
    ]
    rows += [{"uid": None, "what": event, "at": START, "channel": None, "vip": True, "flag": False} for event in EVENTS]
    rows += [{"uid": 9, "what": "view", "at": START, "channel": "web", "vip": False, "flag": False}]  # somebody is always in a stage
    frame = pd.DataFrame(rows)
    return frame.astype({"uid": "Int64", "channel": "string", "what": "string"}).assign(at=pd.to_datetime(frame["at"]))


loyalties: st.SearchStrategy[Any] = st.sampled_from([2, 3, "share", {"event": ["share", "pay"], "where": {"vip": True}}, "flag"])
windows = st.sampled_from([None, 1, 7, "3W"])
days = st.integers(0, 45).map(lambda day: (START + dt.timedelta(days=day)).date())


def count(frame: Any, loyalty: Any = 2, as_of: Any = dt.date(2026, 2, 10), **arguments: Any) -> AIPL[Any]:
    return aipl(frame, PATTERNS | {"loyalty": loyalty}, as_of=as_of, **(NAMES | arguments))


def stage_of(found: AIPL[Any]) -> dict[Any, str]:
    table = columns_of(found.customers)
    return dict(zip(table["uid"], table["stage"], strict=True))


def matches(row: Row, of: Any) -> bool:
    """Whether a row matches a rule, read off the rule as it is written."""
    if of == "flag":
        return bool(row["flag"])
    if isinstance(of, dict):
        wanted = of.get("where", {}).get("vip", [True, False])
        return matches(row, of["event"]) and row["vip"] in (wanted if isinstance(wanted, list) else [wanted])
    return row["what"] in (of if isinstance(of, list) else [of])


def by_hand(frame: pd.DataFrame, loyalty: Any, as_of: dt.date, window: int | None, day_of: Callable[[Any], dt.date]) -> dict[str, Any]:
    """The report in plain Python: customers one by one, rules one by one."""
    rows: list[Row] = [{str(key): None if pd.isna(value) else value for key, value in row.items()} for row in frame.to_dict("records")]
    rules = dict(PATTERNS) if isinstance(loyalty, int) else PATTERNS | {"loyalty": loyalty}
    dropped: Counter[str] = Counter()
    own: dict[Any, list[Row]] = {}
    for row in rows:
        if any(matches(row, of) for of in rules.values()):
            if row["uid"] is None:
                dropped["missing customer"] += 1
            elif row["at"] is None:
                dropped["missing time"] += 1
            elif day_of(row["at"]) > as_of:
                dropped["after as_of"] += 1
            else:
                own.setdefault(row["uid"], []).append(row)
    stages, channels = {}, {}
    for customer, seen in own.items():
        inside = [row for row in seen if window is None or (as_of - day_of(row["at"])).days < window]
        reached = {stage: sum(matches(row, of) for row in inside) for stage, of in rules.items()}
        if isinstance(loyalty, int):
            reached["loyalty"] = int(reached["purchase"] >= loyalty)
        if highest := [stage for stage in STAGES if reached[stage]]:
            stages[customer] = highest[-1]
            channels[customer] = min(enumerate(seen), key=lambda one: (one[1]["at"], one[0]))[1]["channel"]
    return {"stages": dict(sorted(stages.items())), "channels": dict(sorted(channels.items())), "dropped": dict(dropped)}


def weeks(window: Any) -> int | None:
    return 21 if window == "3W" else window


# ------------------------------------------------------------------------------------------------------ by hand


@settings(max_examples=80)
@given(logs(), loyalties, days, windows)
def test_stages_as_plain_python_counts_them(frame: pd.DataFrame, loyalty: Any, as_of: dt.date, window: Any) -> None:
    expected = by_hand(frame, loyalty, as_of, weeks(window), lambda at: at.date())
    found = count(frame, loyalty, as_of, window=window, channel="channel")
    customers = columns_of(found.customers)
    assert dict(zip(customers["uid"], customers["stage"], strict=True)) == expected["stages"]
    assert dict(zip(customers["uid"], customers["channel"], strict=True)) == expected["channels"]
    assert customers["uid"] == sorted(customers["uid"])
    assert {reason: rows for reason, rows in found.dropped.items() if rows} == expected["dropped"]
    table, total = columns_of(found.table), len(expected["stages"])
    assert table["stage"] == list(STAGES)
    assert table["customers"] == [list(expected["stages"].values()).count(stage) for stage in STAGES]
    assert table["customer_share"] == [held / total if total else None for held in table["customers"]]
    split = columns_of(found.channels)
    cells = Counter((expected["channels"][customer], stage) for customer, stage in expected["stages"].items())
    sizes = Counter(expected["channels"].values())
    order = sorted(sizes, key=lambda channel: (channel is None, -sizes[channel], str(channel)))
    assert list(zip(split["channel"], split["stage"], split["customers"], strict=True)) == [
        (channel, stage, cells[channel, stage]) for channel in order for stage in STAGES
    ]


@FEW
@given(logs(), days, st.sampled_from(["Asia/Shanghai", "America/New_York", "+05:30"]), st.sampled_from([None, 5]))
def test_days_are_those_of_the_zone(frame: pd.DataFrame, as_of: dt.date, tz: str, window: int | None) -> None:
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30)) if tz == "+05:30" else zoneinfo.ZoneInfo(tz)
    expected = by_hand(frame, 2, as_of, window, lambda at: at.tz_localize("UTC").astimezone(zone).date())
    try:
        assert stage_of(count(frame, 2, as_of, window=window, tz=tz)) == expected["stages"]
    except om.DataError as error:
        assert error.code == "data.no_activity"
        assert expected["stages"] == {}


@settings(max_examples=60)
@given(logs(), logs(), loyalties, windows, st.integers(0, 20))
def test_flows_as_plain_python_counts_them(first: pd.DataFrame, second: pd.DataFrame, loyalty: Any, window: Any, days_between: int) -> None:
    """Two exports that need not agree: customers are matched by id, a channel is that of the report before where he is in it."""
    early, late = dt.date(2026, 1, 20), dt.date(2026, 1, 20) + dt.timedelta(days=days_between)
    second = second.assign(uid=second["uid"] + 3)
    old, new = (by_hand(frame, loyalty, at, weeks(window), lambda at: at.date()) for frame, at in ((first, early), (second, late)))
    before, after = (count(f, loyalty, at, window=window, channel="channel") for f, at in ((first, early), (second, late)))
    flow = before.flow(after)
    moves = Counter((old["stages"].get(one, "(new)"), new["stages"].get(one, "(gone)")) for one in old["stages"] | new["stages"])
    listed = columns_of(flow.moves)
    assert Counter(dict(zip(zip(listed["source"], listed["target"], strict=True), listed["customers"], strict=True))) == moves
    assert_balance(columns_of(flow.table), moves)
    split = columns_of(flow.channels)
    channel = {one: old["channels"].get(one) if one in old["stages"] else new["channels"][one] for one in old["stages"] | new["stages"]}
    places = list(dict.fromkeys(split["channel"]))
    sizes = Counter(channel.values())
    assert places == sorted(sizes, key=lambda name: (name is None, -sizes[name], str(name)))
    for name in places:
        own = [one for one in channel if channel[one] == name]
        rows = [row for row, value in enumerate(split["channel"]) if value == name]
        assert_balance(
            {column: [values[row] for row in rows] for column, values in split.items()},
            Counter((old["stages"].get(one, "(new)"), new["stages"].get(one, "(gone)")) for one in own),
        )


def assert_balance(table: dict[str, list[Any]], moves: Counter[tuple[str, str]]) -> None:
    """The columns of a flow, each counted anew from the moves."""
    assert table["stage"] == list(STAGES)
    for place, stage in enumerate(STAGES):
        lower, higher = STAGES[:place], STAGES[place + 1 :]
        row = {name: values[place] for name, values in table.items()}
        assert row["start"] == sum(customers for (source, _), customers in moves.items() if source == stage)
        assert row["stayed"] == moves[stage, stage]
        assert row["moved_up"] == sum(moves[stage, to] for to in higher)
        assert row["moved_down"] == sum(moves[stage, to] for to in lower)
        assert row["lost"] == moves[stage, "(gone)"]
        assert row["from_below"] == sum(moves[source, stage] for source in lower)
        assert row["from_above"] == sum(moves[source, stage] for source in higher)
        assert row["new"] == moves["(new)", stage]
        assert row["end"] == sum(customers for (_, target), customers in moves.items() if target == stage)
        assert row["start"] == sum(row[name] for name in OUT)
        assert row["end"] == row["stayed"] + row["from_below"] + row["from_above"] + row["new"]
        for name in OUT:
            assert row[f"{name}_rate"] == (row[name] / row["start"] if row["start"] else None)
            assert (row[f"{name}_rate_low"] is None) == (row[f"{name}_rate_high"] is None) == (row["start"] == 0)


def test_rates_have_wilsons_interval() -> None:
    """Of 10 customers in awareness 3 move up: Wilson's interval of 3 in 10 at 95 per cent, from the published formula."""
    before = pd.DataFrame({"uid": range(10), "what": ["view"] * 9 + ["view"], "at": [START] * 10, "vip": True})
    later = before.assign(what=["cart"] * 3 + ["view"] * 7)
    rest = pd.DataFrame({"uid": None, "what": EVENTS, "at": [START] * 6, "vip": True})
    both = [pd.concat([frame, rest]).astype({"uid": "Int64"}) for frame in (before, later)]
    row = {name: values[0] for name, values in columns_of(count(both[0]).flow(count(both[1])).table).items()}
    z, p, n = 1.959963984540054, 0.3, 10
    centre, half = (p + z * z / (2 * n)) / (1 + z * z / n), z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    assert (row["moved_up"], row["moved_up_rate"]) == (3, 0.3)
    assert (row["moved_up_rate_low"], row["moved_up_rate_high"]) == (pytest.approx(centre - half), pytest.approx(centre + half))


def test_the_published_rule() -> None:
    """Alibaba Cloud help 420448: several stages at once mean the highest; in none at the end date means lost."""
    published = reference("lifecycle.json")["stage_definitions"]["published"]
    assert any("A<I<P<L; a user who meets several is put in the highest" in entry.get("AIPL_rule", "") for entry in published)
    log = pd.DataFrame(
        {
            "uid": ["all", "all", "all", "all", "one", "old"],
            "what": ["share", "view", "pay", "cart", "view", "pay"],
            "at": pd.to_datetime(["2026-02-01", "2026-02-02", "2026-02-03", "2026-02-04", "2026-02-05", "2026-01-01"]),
        }
    )
    rules: dict[str, Any] = {"awareness": "view", "interest": "cart", "purchase": "pay", "loyalty": "share"}
    before = aipl(log, rules, as_of="2026-01-15", window=30, **NAMES)
    after = aipl(log, rules, as_of="2026-02-10", window=30, **NAMES)
    assert stage_of(before) == {"old": "purchase"}
    assert stage_of(after) == {"all": "loyalty", "one": "awareness"}
    assert columns_of(before.flow(after).moves) == {
        "source": ["purchase", "(new)", "(new)"], "target": ["(gone)", "awareness", "loyalty"], "customers": [1, 1, 1],
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------- laws


def told(found: AIPL[Any]) -> dict[str, Any]:
    tables = ("table", "customers", "channels") if "channels" in found._tables else ("table", "customers")
    return {name: columns_of(getattr(found, name)) for name in tables} | {"dropped": found.dropped}


@FEW
@given(logs(apart=True), loyalties, windows, st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(frame: pd.DataFrame, loyalty: Any, window: Any, seed: int) -> None:
    shuffled = frame.sample(frac=1, random_state=seed)
    assert told(count(frame, loyalty, window=window, channel="channel")) == told(count(shuffled, loyalty, window=window, channel="channel"))


@FEW
@given(logs(), loyalties, windows, st.permutations(range(10)))
def test_the_names_of_customers_do_not_matter(frame: pd.DataFrame, loyalty: Any, window: Any, names: Sequence[int]) -> None:
    named = frame.assign(uid=frame["uid"].map(lambda one: f"c{names[one]}", na_action="ignore").astype("string"))
    plain, other = count(frame, loyalty, window=window), count(named, loyalty, window=window)
    assert {f"c{names[one]}": stage for one, stage in stage_of(plain).items()} == stage_of(other)
    assert columns_of(plain.table) == columns_of(other.table)


@FEW
@given(logs(), logs(), loyalties, windows)
def test_disjoint_customers_add_up(first: pd.DataFrame, second: pd.DataFrame, loyalty: Any, window: Any) -> None:
    second = second.assign(uid=second["uid"] + 100)
    parts = [count(frame, loyalty, window=window) for frame in (first, second)]
    whole = count(pd.concat([first, second]), loyalty, window=window)
    assert stage_of(whole) == stage_of(parts[0]) | stage_of(parts[1])
    assert sum(map(Counter, (part.dropped for part in parts)), Counter()) == Counter(whole.dropped)


@FEW
@given(logs(), loyalties, days)
def test_more_history_never_lowers_a_stage(frame: pd.DataFrame, loyalty: Any, as_of: dt.date) -> None:
    def ranks(**arguments: Any) -> dict[Any, int]:
        found = count(frame, loyalty, **({"as_of": as_of} | arguments))
        return {one: STAGES.index(stage) for one, stage in stage_of(found).items()}

    narrow, wide, all_history = ranks(window=5), ranks(window=15), ranks()
    later = ranks(as_of=as_of + dt.timedelta(days=10))
    for less, more in ((narrow, wide), (wide, all_history), (all_history, later)):
        assert all(more[one] >= rank for one, rank in less.items())


@FEW
@given(logs(), loyalties, days, st.integers(-14, 14))
def test_a_zone_moves_the_days(frame: pd.DataFrame, loyalty: Any, as_of: dt.date, hours: int) -> None:
    """UTC stamps read in a zone are the wall clock of that zone."""
    wall = frame.assign(at=frame["at"] + pd.Timedelta(hours=hours))
    if as_of < dt.date(2026, 1, 3):  # the first row of all may be the day before
        as_of = dt.date(2026, 1, 3)
    one = count(frame, loyalty, as_of, window=7, tz=f"{hours:+03d}:00", channel="channel")
    other = count(wall, loyalty, as_of, window=7, channel="channel")
    assert told(one) == told(other)


@FEW
@given(logs(), loyalties, windows)
def test_a_flow_to_itself_stays(frame: pd.DataFrame, loyalty: Any, window: Any) -> None:
    found = count(frame, loyalty, window=window)
    table = columns_of(found.flow(found).table)
    assert table["start"] == table["stayed"] == table["end"] == columns_of(found.table)["customers"]


def test_a_day_is_whole_and_an_instant_is_itself() -> None:
    frame = pd.DataFrame({"uid": [1, 1, 2], "what": ["view", "cart", "like"], "vip": True})
    frame = frame.assign(at=pd.to_datetime(["2026-01-05 08:00", "2026-01-05 20:00", "2026-01-06 00:00"]))
    rules: dict[str, Any] = {"awareness": "view", "interest": "cart", "purchase": "like", "loyalty": 2}
    assert stage_of(aipl(frame, rules, as_of="2026-01-05", **NAMES)) == {1: "interest"}
    assert stage_of(aipl(frame, rules, as_of="2026-01-05 19:59", **NAMES)) == {1: "awareness"}
    assert stage_of(aipl(frame, rules, as_of="2026-01-05 20:00", **NAMES)) == {1: "interest"}
    assert stage_of(aipl(frame, rules, as_of=dt.datetime(2026, 1, 6, 0, 0, tzinfo=None), window=1, **NAMES)) == {2: "purchase"}


def test_a_window_may_leave_nobody() -> None:
    """Everybody is lost: an answer, and no error, for the rows are there."""
    frame = pd.DataFrame({"uid": [1], "what": ["view"], "at": [START], "vip": [True], "flag": [False]})
    rules: dict[str, Any] = {"awareness": "view", "interest": "flag", "purchase": "flag", "loyalty": "flag"}
    before, after = (aipl(frame, rules, as_of=day, window=3, channel="vip", **NAMES) for day in ("2026-01-02", "2026-02-02"))
    assert columns_of(after.table) == {"stage": list(STAGES), "customers": [0] * 4, "customer_share": [None] * 4}
    assert columns_of(after.customers) == {"uid": [], "stage": [], "vip": []}
    assert columns_of(before.flow(after).table)["lost"] == [1, 0, 0, 0]
    assert columns_of(before.flow(after).channels)["vip"] == [True] * 4
    assert columns_of(after.flow(after).table)["start"] == [0] * 4


def test_flow_warns_of_other_rules_and_speaks_chinese(recwarn: pytest.WarningsRecorder) -> None:
    log = om.make_events(100, rng=2)
    names: dict[str, Any] = {"customer": "customer", "event": "event", "time": "time", "labels": "zh"}
    rules: dict[str, Any] = {"awareness": "view", "interest": "cart", "purchase": "pay", "loyalty": 2}
    before = aipl(log, rules, as_of="2025-02-01", **names)
    with pytest.warns(om.OpsmetricsWarning, match="differ in rules and window"):
        flow = before.flow(aipl(log, rules | {"loyalty": 3}, as_of="2025-03-01", window=20, **names))
    assert columns_of(flow.table)["stage"] == ["认知", "兴趣", "购买", "忠诚"]
    assert set(columns_of(before.customers)["stage"]) <= {"认知", "兴趣", "购买", "忠诚"}
    own = {"awareness": "A", "interest": "I", "purchase": "P", "loyalty": "L"}
    assert columns_of(aipl(log, rules, as_of="2025-02-01", **(names | {"labels": own})).table)["stage"] == list("AIPL")
    assert before.params["rules"] == {"awareness": "view", "interest": "cart", "purchase": "pay", "loyalty": 2}
    assert not recwarn.list


def test_results_travel_and_speak() -> None:
    log = om.make_events(200, rng=3)
    rules: dict[str, Any] = {"awareness": "view", "interest": "cart", "purchase": "pay", "loyalty": 2}
    names: dict[str, Any] = {"customer": "customer", "event": "event", "time": "time", "channel": "channel"}
    before, after = (aipl(log, rules, as_of=day, **names) for day in ("2025-02-01", "2025-03-01"))
    flow = before.flow(after)
    for result in (before, flow):
        json.dumps(result.to_dict())
        for again in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
            assert again.to_dict() == result.to_dict()
        assert "A-I-P-L" in repr(result)
        assert "awareness" in result._repr_html_()
    assert pickle.loads(pickle.dumps(before)).flow(after).to_dict() == flow.to_dict()
    assert isinstance(flow, AIPLFlow)
    with pytest.raises(AttributeError, match="channels"):
        _ = aipl(log, rules, customer="customer", event="event", time="time", as_of="2025-02-01").channels


# ------------------------------------------------------------------------------------------------------ engines


def marred(frame: pd.DataFrame) -> pd.DataFrame:
    frame["vip"] = pd.Series(frame["product"] % 2 == 0).astype("boolean")
    for place, column in enumerate(("customer", "time", "event", "channel", "vip")):
        frame.loc[frame.index % 97 == place, column] = None
    return frame


@pytest.fixture(scope="module")
def generated() -> pd.DataFrame:
    return marred(om.make_events(600, rng=3))


RULES: dict[str, Any] = {
    "awareness": ["view", "search"], "interest": {"event": ["cart", "favourite"]}, "purchase": {"event": "pay", "where": {"vip": True}},
    "loyalty": 2,
}  # fmt: skip
MADE: dict[str, Any] = {"customer": "customer", "event": "event", "time": "time", "window": 30, "channel": "channel", "tz": "Asia/Shanghai"}


def answers(frame: Any) -> dict[str, Any]:
    before, after = (aipl(frame, RULES, as_of=day, **MADE) for day in ("2025-02-15", "2025-03-10"))
    flow = before.flow(after)
    tables = {f"{name} {side}": getattr(report, name) for side, report in (("before", before), ("after", after)) for name in report._tables}
    return tables | {f"flow {name}": getattr(flow, name) for name in flow._tables} | {"dropped": before.dropped}


def plain(found: dict[str, Any]) -> dict[str, Any]:
    return {name: table if name == "dropped" else columns_of(table) for name, table in found.items()}


@pytest.fixture(scope="module")
def expected(generated: pd.DataFrame) -> dict[str, Any]:
    return plain(answers(generated))


def test_the_same_answers_in_the_callers_kind(kind: Kind, generated: pd.DataFrame, expected: dict[str, Any]) -> None:
    found = answers(kind.make(generated))
    assert {type(table) for name, table in found.items() if name != "dropped"} == {kind.result}
    assert plain(found) == expected
    assert len(expected["customers before"]["customer"]) > 200
    assert None in expected["channels before"]["channel"]
    assert all(expected["dropped"][reason] > 0 for reason in ("missing customer", "missing time", "after as_of"))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name in {"pandas", "polars-lazy", "duckdb"}], ids=str)
def test_parts_do_not_show(kind: Kind, generated: pd.DataFrame, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, rows in (("ROWS_PER_PART", 500), ("ROWS_PER_BATCH", 200), ("ROWS_TO_SPLIT", 400)):
        monkeypatch.setattr(_parts, name, rows)
    assert plain(answers(kind.make(generated))) == expected


def numbered(frame: pd.DataFrame, dtype: Any) -> pd.DataFrame:
    """The ids as numbers: C00311 is 311."""
    return frame.assign(customer=frame["customer"].str[1:].astype("Float64").astype(dtype))


@pytest.mark.parametrize("dtype", ["Int32", "Float64", "UInt16"])
def test_ids_of_other_types_are_the_same_customers(dtype: str, generated: pd.DataFrame, expected: dict[str, Any]) -> None:
    found = plain(answers(numbered(generated, dtype)))
    for side in ("before", "after"):
        named = [f"C{int(one):05}" for one in found[f"customers {side}"]["customer"]]
        assert found[f"customers {side}"] | {"customer": named} == expected[f"customers {side}"]
    others = [name for name in expected if not name.startswith("customers")]
    assert {name: found[name] for name in others} == {name: expected[name] for name in others}


def test_flow_matches_ids_of_unlike_whole_types(generated: pd.DataFrame) -> None:
    """A report of an export with nulls has float ids; they are the same numbers."""
    before = aipl(numbered(generated, "float64"), RULES, as_of="2025-02-15", **MADE)
    after = aipl(numbered(generated.dropna(subset=["customer"]), "int64"), RULES, as_of="2025-03-10", **MADE)
    flow = before.flow(after)
    own = aipl(generated, RULES, as_of="2025-02-15", **MADE).flow(aipl(generated, RULES, as_of="2025-03-10", **MADE))
    assert columns_of(flow.table) == columns_of(own.table)


def test_sql_by_hand_says_the_same(generated: pd.DataFrame) -> None:
    """A witness in SQL, on the wall clock of Shanghai."""
    log = generated.assign(time=generated["time"] + pd.Timedelta(hours=8))
    sql = """
        with rows as (
            select customer, channel, time, row_number() over () as place,
                event in ('view', 'search') as a, event in ('cart', 'favourite') as i, event = 'pay' and vip as p
            from log where customer is not null and time is not null and time < timestamp '{day}' + interval 1 day
        ), hits as (select * from rows where coalesce(a, false) or coalesce(i, false) or coalesce(p, false)),
        touched as (select customer, first(channel order by time, place) as channel from hits group by customer),
        levels as (
            select customer, case when count(*) filter (p) >= 2 then 'loyalty' when count(*) filter (p) = 1 then 'purchase'
                when count(*) filter (i) > 0 then 'interest' else 'awareness' end as stage
            from hits where time >= timestamp '{day}' - interval 29 day group by customer
        )
        select customer, stage, channel from levels join touched using (customer) order by customer
    """
    stages = {}
    for day in ("2025-02-15", "2025-03-10"):
        witness: Any = duckdb.query(sql.format(day=day))
        rows = witness.fetchall()
        found = columns_of(aipl(generated, RULES, as_of=day, **MADE).customers)
        assert list(zip(found["customer"], found["stage"], found["channel"], strict=True)) == rows
        stages[day] = {customer: stage for customer, stage, _ in rows}
    assert len(log) == len(generated)
    before, after = stages.values()
    flow = columns_of(aipl(generated, RULES, as_of="2025-02-15", **MADE).flow(aipl(generated, RULES, as_of="2025-03-10", **MADE)).table)
    assert flow["lost"] == [sum(1 for one, held in before.items() if held == stage and one not in after) for stage in STAGES]
    assert flow["new"] == [sum(1 for one, held in after.items() if held == stage and one not in before) for stage in STAGES]


def test_the_callers_frame_is_left_as_it_was(generated: pd.DataFrame) -> None:
    before = generated.copy(deep=True)
    answers(generated)
    pd.testing.assert_frame_equal(generated, before)
    lazy = pl.from_pandas(generated).lazy()
    assert columns_of(answers(lazy)["table before"]) == columns_of(answers(generated)["table before"])
