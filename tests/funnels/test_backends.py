"""Every kind of frame, every engine, streams cut often, and SQL written by hand: the same funnel."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import opsmetrics as om
from opsmetrics import _parts
from tests.support import Kind, columns_of, data

NAMES = {"customer": "customer", "event": "event", "time": "time"}
SHOP = {"customer": "user_id", "event": "event", "time": "timestamp"}
STEPS = ["view", om.Step("cart", label="basket"), "pay"]
PATH = ["product_view", "add_to_cart", "payment_details", "purchase"]


@pytest.fixture(scope="module")
def generated() -> pd.DataFrame:
    """Events of 2,000 customers."""
    return marred(om.make_events(2_000, rng=3))


@pytest.fixture(scope="module")
def few() -> pd.DataFrame:
    """Events of 150 customers."""
    return marred(om.make_events(150, rng=3))


def marred(frame: pd.DataFrame) -> pd.DataFrame:
    """With boolean columns, and with nulls now and then."""
    frame["vip"] = pd.Series(frame["product"] % 2 == 0).astype("boolean")
    frame["paid"] = frame["event"] == "pay"
    for place, column in enumerate(("customer", "time", "event", "channel", "vip")):
        frame.loc[frame.index % 97 == place, column] = None
    return frame


@pytest.fixture(scope="module")
def shop() -> pd.DataFrame:
    """Events of a real shop's site."""
    return pd.read_parquet(data("ecom_events.parquet"))


def without_rows(table: Any) -> dict[str, list[Any]]:
    return {name: values for name, values in columns_of(table).items() if not name.startswith("row_")}


def answers(frame: Any, of: str) -> dict[str, Any]:
    """Everything that can be asked of events, as frames of the caller's kind."""
    if of == "shop":
        found = om.funnel(frame, PATH, window="7D", **SHOP)
        names, column, baseline = SHOP, "acquisition_channel", "organic"
    else:
        found = om.funnel(frame, STEPS, window="7D", amount="amount", exclude={"event": "help", "after": "basket"}, **NAMES)
        names, column, baseline = NAMES, "channel", "search"
    paths = om.path_transitions(frame, gap="30min", **names)
    visits = om.sessionize(frame, customer=names["customer"], time=names["time"])
    return {
        "table": found.table,
        "customers": found.customers,
        "by": found.by(column).table,
        "by last": found.by(column, at=2).table,
        "trend": found.trend("month").table,
        "next": found.next_events(after=2).table,
        "compare": found.compare(column, baseline=baseline).table,
        "times": found.times(1, 3).table,
        "histogram": found.times(1, 3).histogram,
        "survival": found.survival().table,
        "transitions": paths.table,
        "nodes": paths.nodes,
        "visits": visits.table,
        "numbered": visits.events,
    }


def plain(tables: dict[str, Any]) -> dict[str, Any]:
    made = {name: without_rows(table) for name, table in tables.items()}
    made["numbered"] = {"session": made["numbered"]["session"]}  # the other columns are the caller's own
    return made


@pytest.fixture(scope="module")
def generated_answers(generated: pd.DataFrame) -> dict[str, Any]:
    return plain(answers(generated, "generated"))


@pytest.fixture(scope="module")
def shop_answers(shop: pd.DataFrame) -> dict[str, Any]:
    return plain(answers(shop, "shop"))


def test_the_same_answers_in_the_callers_kind(kind: Kind, generated: pd.DataFrame, generated_answers: dict[str, Any]) -> None:
    found = answers(kind.make(generated), "generated")
    assert {type(table) for table in found.values()} == {kind.result}
    made = plain(found)
    for name, expected in generated_answers.items():
        assert made[name] == expected, name
    assert len(generated_answers["customers"]["customer"]) > 1_500
    assert None in generated_answers["by"]["channel"] or None in generated_answers["by last"]["channel"]


def test_the_same_answers_of_a_real_shop(kind: Kind, shop: pd.DataFrame, shop_answers: dict[str, Any]) -> None:
    made = plain(answers(kind.make(shop), "shop"))
    for name, expected in shop_answers.items():
        assert made[name] == expected, name


def test_places_of_rows_are_those_of_the_caller(kind: Kind, generated: pd.DataFrame) -> None:
    """A relation has no places: its order is the engine's affair. A scan is read by the engine as well."""
    customers = columns_of(om.funnel(kind.make(generated), STEPS, **NAMES).customers)
    if str(kind) in {"duckdb", "polars-lazy"}:
        assert not [name for name in customers if name.startswith("row_")]
        return
    for number, event in enumerate(("view", "cart", "pay"), start=1):
        rows = [row for row in customers[f"row_{number}"] if row is not None]
        assert set(generated["event"].iloc[rows]) == {event}
        owners = [owner for owner, row in zip(customers["customer"], customers[f"row_{number}"], strict=True) if row is not None]
        assert generated["customer"].iloc[rows].tolist() == owners


QUESTIONS: dict[str, dict[str, Any]] = {
    "flag": {"steps": ["view", "paid"]},
    "flag with nulls": {"steps": ["view", "vip", "paid"], "order": "strict"},
    "flags alone": {"steps": ["vip", "paid"], "event": None},
    "where": {"steps": ["view", {"event": ["cart", "favourite"], "where": {"channel": ["ads", "social"], "vip": False}}, "pay"]},
    "where numbers": {"steps": ["view", {"event": "pay", "where": {"product": [1, 2, 3, 50, 51, 52], "amount": [0, 10.5]}}, "view"]},
    "where alone": {"steps": [{"where": {"channel": "ads"}}, {"where": {"vip": True}}]},
    "hold": {"steps": ["view", "cart", "pay"], "hold": ["product"], "amount": "amount"},
    "hold with nulls": {"steps": ["view", "pay"], "hold": ["channel", "vip"]},
    "strict": {"steps": ["view", "cart"], "order": "strict"},
    "any": {"steps": ["view", "cart", "pay"], "order": "any", "window": "1D"},
    "totals": {"steps": ["view", "cart"], "count": "totals", "window": "1D"},
    "removed": {"steps": ["view", "pay"], "exclude": "compare", "exclusion": "remove", "window": "7D"},
    "absent": {"steps": ["view", ["pay", "buy"]], "allow_missing": True},
}


def said(frame: Any, name: str) -> list[Any]:
    """What a funnel of these steps says."""
    found = om.funnel(frame, **(NAMES | QUESTIONS[name]))
    tables = [found.table, found.customers, found.by("vip", at="last").table]
    return [*map(without_rows, tables), found.dropped]


@pytest.fixture(scope="module")
def said_of_few(few: pd.DataFrame) -> dict[str, list[Any]]:
    return {name: said(few, name) for name in QUESTIONS}


@pytest.mark.parametrize("name", QUESTIONS)
def test_steps_of_every_sort(kind: Kind, few: pd.DataFrame, said_of_few: dict[str, list[Any]], name: str) -> None:
    assert said(kind.make(few), name) == said_of_few[name]
    table = said_of_few[name][0]
    assert max(table.get("customers") or table["attempts"])


def test_a_breakdown_by_a_held_column_keeps_its_values(kind: Kind, few: pd.DataFrame) -> None:
    found = om.funnel(kind.make(few), ["view", "pay"], hold=["channel", "vip"], **NAMES)
    assert set(columns_of(found.by("channel").table)["channel"]) == {"ads", "direct", "search", "social"}
    assert set(columns_of(found.by("vip", at="last").table)["vip"]) == {True, False}
    assert columns_of(found.compare("channel", baseline="ads").table)["channel"]


# ------------------------------------------------------------------------------------------------------------ streams


@pytest.mark.parametrize(("engine", "split"), [("polars", 10**9), ("polars", 1_000), ("duckdb", 10**9), ("duckdb", 600)])
def test_a_stream_cut_often(
    generated: pd.DataFrame, generated_answers: dict[str, Any], engine: str, split: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_parts, "ROWS_TO_SPLIT", split)
    monkeypatch.setattr(_parts, "ROWS_PER_PART", 4_000)
    monkeypatch.setattr(_parts, "ROWS_PER_BATCH", 2_000)
    path = str(tmp_path / "events.parquet")
    generated.to_parquet(path, index=False)
    stream = pl.scan_parquet(path) if engine == "polars" else duckdb.connect().read_parquet(path)
    made = plain(answers(stream, "generated"))
    for name, expected in generated_answers.items():
        assert made[name] == expected, name


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
@pytest.mark.parametrize("name", QUESTIONS)
def test_steps_of_every_sort_in_a_stream(
    few: pd.DataFrame, said_of_few: dict[str, list[Any]], engine: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_parts, "ROWS_PER_PART", 500)
    monkeypatch.setattr(_parts, "ROWS_PER_BATCH", 300)
    table = pa.Table.from_pandas(few, preserve_index=False)
    assert said(pl.from_arrow(table).lazy() if engine == "polars" else duckdb.from_arrow(table), name) == said_of_few[name]


# -------------------------------------------------------------------------------------------------------- a witness

WITNESS = """
    with rows as (
        select user_id, timestamp as t, event,
               row_number() over (partition by user_id order by timestamp, list_position({steps}, event), place) as n
        from (select *, row_number() over () as place from events) where event in {names}
    ),
    entries as (select user_id, n as n1, t as t1 from rows where event = '{a}'),
    second as (
        select e.*, min(r.n) as n2 from entries as e
        left join rows as r on r.user_id = e.user_id and r.event = '{b}' and r.n > e.n1 and r.t <= e.t1 + {window} group by all
    ),
    third as (
        select e.*, min(r.n) as n3 from second as e
        left join rows as r on r.user_id = e.user_id and r.event = '{c}' and r.n > e.n2 and r.t <= e.t1 + {window} group by all
    ),
    fourth as (
        select e.*, min(r.n) as n4 from third as e
        left join rows as r on r.user_id = e.user_id and r.event = '{d}' and r.n > e.n3 and r.t <= e.t1 + {window} group by all
    ),
    best as (
        select *, (n2 is not null)::int + (n3 is not null)::int + (n4 is not null)::int as depth from fourth
        qualify row_number() over (partition by user_id order by depth desc, n1) = 1
    )
    select count(*), count(n2), count(n3), count(n4),
           median(epoch(r2.t) - epoch(t1)), median(epoch(r3.t) - epoch(r2.t)), median(epoch(r4.t) - epoch(r3.t)),
           median(epoch(r2.t) - epoch(t1)), median(epoch(r3.t) - epoch(t1)), median(epoch(r4.t) - epoch(t1)),
           quantile_cont(epoch(r2.t) - epoch(t1), 0.9), quantile_cont(epoch(r3.t) - epoch(r2.t), 0.9),
           quantile_cont(epoch(r4.t) - epoch(r3.t), 0.9), quantile_cont(epoch(r2.t) - epoch(t1), 0.9),
           quantile_cont(epoch(r3.t) - epoch(t1), 0.9), quantile_cont(epoch(r4.t) - epoch(t1), 0.9)
    from best left join rows as r2 on r2.user_id = best.user_id and r2.n = n2
              left join rows as r3 on r3.user_id = best.user_id and r3.n = n3
              left join rows as r4 on r4.user_id = best.user_id and r4.n = n4
"""


@pytest.mark.parametrize("window", ["10 minutes", "1 hour", "7 days", "400 days"])
def test_sql_written_by_hand_agrees(shop: pd.DataFrame, window: str) -> None:
    """Chained joins over the rows of each customer: the counts and the times (median and p90) of four steps inside a window."""
    connection = duckdb.connect()
    connection.register("events", shop)
    names = dict(zip("abcd", PATH, strict=True))
    found = connection.execute(WITNESS.format(steps=PATH, names=tuple(PATH), window=f"interval '{window}'", **names)).fetchall()[0]
    number, unit = window.split()
    span = number + {"minutes": "min", "hour": "h", "days": "D"}[unit]
    table = columns_of(om.funnel(shop, PATH, window=span, **SHOP).table)
    assert table["customers"] == list(found[:4])
    assert table["median_step_seconds"][1:] == pytest.approx(found[4:7], rel=1e-9)
    assert table["median_seconds"][1:] == pytest.approx(found[7:10], rel=1e-9)
    assert table["p90_step_seconds"][1:] == pytest.approx(found[10:13], rel=1e-9)
    assert table["p90_seconds"][1:] == pytest.approx(found[13:], rel=1e-9)
    assert found[3] > 10


def test_pandas_needs_no_arrow(monkeypatch):
    """Text of pandas is kept in Python's own objects where pyarrow is not installed."""
    from opsmetrics import _frames

    events = om.make_events(customers=60, rng=4)
    events["event"] = events["event"].astype(pd.StringDtype("python", na_value=np.nan))
    columns = {"customer": "customer", "event": "event", "time": "time"}
    usual = om.funnel(events, ["view", "cart", "pay"], **columns).table
    monkeypatch.setattr(_frames, "_has_arrow", lambda: False)
    monkeypatch.setattr(type(events["event"].array), "__arrow_array__", lambda *_args, **_kwargs: 1 / 0)
    pd.testing.assert_frame_equal(om.funnel(events, ["view", "cart", "pay"], **columns).table, usual)
