"""Rates by stage as a user asks for them, counted here by hand; and what stages tell the questions that follow them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pandas as pd
import pytest

import opsmetrics as om
from tests.support import Kind, columns_of

COLUMNS: dict[str, Any] = {"customer": "uid", "time": "at"}


def summary() -> pd.DataFrame:
    return pd.DataFrame({"uid": ["ann", "bo", "cy", "di", "ed"], "recency": [1, 200, 2, 210, 3], "shop": ["n", "n", "s", "s", "n"]})


def log() -> pd.DataFrame:
    """Ann opens on the last minute of 10 January in Shanghai, cy a minute later; bo opens twice; fay is nobody's customer."""
    return pd.DataFrame({
        "uid": ["ann", "cy", "bo", "bo", "di", "fay", None],
        "at": pd.to_datetime([
            "2026-01-10 15:59", "2026-01-10 16:00", "2026-01-05 08:00", "2026-01-06 08:00", "2026-01-20 08:00", "2026-01-06 09:00",
            "2026-01-06 09:00",
        ]),
        "what": ["open", "open", "open", "open", "buy", "open", "open"],
    })  # fmt: skip


def staged(kind: Kind | None = None) -> Any:
    stages = om.Stages([om.Stage("silent", {"recency": (90, None)})], default="active")
    return stages.assign(summary() if kind is None else kind.make(summary()), customer="uid")


def test_each_stage_is_its_own_population(kind: Kind) -> None:
    rates = staged(kind).kpis(kind.make(log()), {"opens": "open", "buys": "buy"}, **COLUMNS, event="what")
    found = columns_of(rates.table)
    assert list(zip(found["stage"], found["kpi"], found["customers"], found["reached"], strict=True)) == [
        ("silent", "opens", 2, 1), ("silent", "buys", 2, 1), ("active", "opens", 3, 2), ("active", "buys", 3, 0),
    ]  # fmt: skip
    assert found["rate"] == [0.5, 0.5, 2 / 3, 0.0]
    assert rates.dropped == {"missing customer": 1}


def test_a_span_of_local_days_decides_what_counts() -> None:
    """10 January ends at 16:00 UTC in Shanghai, so cy's opening is one of the 11th there, and of the 10th in UTC."""
    for zone, opened in (("Asia/Shanghai", 1), ("UTC", 2)):
        rates = staged().kpis(log(), {"opens": "open"}, **COLUMNS, event="what", between=("2026-01-07", "2026-01-10"), tz=zone)
        assert rates.table.set_index("stage").loc["active", "reached"] == opened
        assert rates.table.set_index("stage").loc["silent", "reached"] == 0


def test_groups_are_nested_in_stages() -> None:
    rates = staged().kpis(log(), {"opens": "open"}, **COLUMNS, event="what", by="shop").table
    assert rates[["stage", "shop", "customers", "reached"]].to_numpy().tolist() == [
        ["silent", "n", 1, 1], ["silent", "s", 1, 0], ["active", "n", 2, 1], ["active", "s", 1, 1],
    ]  # fmt: skip


def test_a_span_beyond_the_data_is_told() -> None:
    """Whoever has not acted yet may still do so: a rate that looks like zero is not one."""
    with pytest.warns(om.OpsmetricsWarning, match="between ends after the last row, of 2026-01-20"):
        staged().kpis(log(), {"buys": "buy"}, **COLUMNS, event="what", between=("2026-01-19", "2026-02-19"))


def test_who_holds_the_rules_of_several_stages() -> None:
    stages = om.Stages([om.Stage("silent", {"recency": (90, None)}), om.Stage("north", {"shop": "n"})], default="south")
    found = stages.assign(summary(), customer="uid")
    assert found.overlapping.to_numpy().tolist() == [["bo", "silent", "north"]]
    assert stages.assign(summary()).overlapping.to_numpy().tolist() == [[1, "silent", "north"]]
    assert found.overlaps.to_numpy().tolist() == [["silent", "north", 1]]


def test_a_column_of_ids_is_no_column_of_groups() -> None:
    log = pd.DataFrame({"uid": range(4_000), "shop": range(4_000), "at": pd.Timestamp("2020-01-01")})
    log.loc[0, "at"] = pd.Timestamp("2025-12-31")
    states = om.lifecycle(log.rename(columns={"shop": "id"}), **COLUMNS, period="day")
    with pytest.raises(om.DataError, match="has 4,000 values") as caught:
        states.by("id")
    assert caught.value.code == "data.groups"


@pytest.fixture(scope="module")
def short() -> tuple[Any, Any]:
    """A history too short for the limit of churn."""
    orders = om.make_orders(customers=2_000, rng=1)
    with pytest.warns(om.OpsmetricsWarning, match="too short"):
        fitted = om.Stages.default().fit(orders, customer="customer", time="time", horizon=120, p_churned=0.01)
    return orders, fitted


def test_a_stage_without_a_limit_is_known_all_the_same(short: tuple[Any, Any]) -> None:
    orders, fitted = short
    columns = {"customer": "customer", "time": "time", "amount": "amount"}
    before, after = (fitted.assign(om.customer_summary(orders, **columns, as_of=day)) for day in ("2025-09-30", "2025-12-31"))
    assert fitted.table["churned_after"].isna().any()
    rates = om.transitions(before, after, order=fitted.names, lapsed=["churned", "dormant"]).rates.set_index("direction")
    assert rates.loc["up", "customers"] > 0  # the pyramid is climbed
    moved = before.table.merge(after.table, on="customer", suffixes=("", "_after"))
    place = {name: number for number, name in enumerate(fitted.names)}
    assert rates.loc["up", "customers"] == (moved["stage"].map(place) < moved["stage_after"].map(place)).sum()


def test_a_windowed_summary_has_not_all_orders(short: tuple[Any, Any]) -> None:
    orders, fitted = short
    recent = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2025-12-31", window=90)
    with pytest.raises(om.ParameterError, match="window of 90 days") as caught:
        fitted.assign(recent)
    assert caught.value.code == "parameter.summary"


JOINED = ["2025-12-31 23:59:59", "2026-01-01", "2026-01-31 23:00", "2026-02-01"]


def joined() -> pd.DataFrame:
    return pd.DataFrame({"uid": [1, 2, 3, 4, 5], "first_order": pd.to_datetime([*JOINED, None], format="ISO8601")})


def test_dates_are_conditions_too(kind: Kind) -> None:
    """Both days are included to their ends; a missing time holds nothing."""
    january = om.Stages([om.Stage("january", {"first_order": (dt.date(2026, 1, 1), dt.date(2026, 1, 31))})], default="else")
    assert columns_of(january.assign(kind.make(joined())).table)["stage"] == ["else", "january", "january", "else", "else"]
    since = om.Stages([om.Stage("since", {"first_order": (dt.datetime(2026, 1, 31, 23), None)})], default="else")
    assert columns_of(since.assign(kind.make(joined())).table)["stage"] == ["else", "else", "since", "since", "else"]


def test_dates_follow_the_zone_of_their_column() -> None:
    """The first second of 2026 in Shanghai is still 2025 in UTC."""
    frame = pd.DataFrame({"uid": [1], "first_order": pd.to_datetime(["2025-12-31 16:00"]).tz_localize("UTC").tz_convert("Asia/Shanghai")})
    stages = om.Stages([om.Stage("new", {"first_order": (dt.date(2026, 1, 1), None)})], default="old")
    assert stages.assign(frame).table["stage"].tolist() == ["new"]
    utc = frame.assign(first_order=frame["first_order"].dt.tz_convert("UTC"))
    assert stages.assign(utc).table["stage"].tolist() == ["old"]


def test_dates_come_back_from_json_and_cover_each_other() -> None:
    stages = om.Stages(
        [om.Stage("a", {"at": (dt.date(2026, 1, 1), None)}), om.Stage("b", {"at": (None, dt.datetime(2026, 1, 5, 12))})], default="c"
    )
    assert om.Stages.from_dict(json.loads(json.dumps(stages.to_dict()))) == stages
    assert "2026-01-01" in repr(stages)
    wide, narrow = {"at": (dt.date(2026, 1, 1), None)}, {"at": (dt.date(2026, 2, 1), dt.date(2026, 3, 1))}
    with pytest.raises(om.ParameterError, match="can never be given"):
        om.Stages([om.Stage("wide", wide), om.Stage("narrow", narrow)])
    om.Stages([om.Stage("narrow", narrow), om.Stage("wide", wide)])


def test_dates_that_cannot_hold_are_refused() -> None:
    with pytest.raises(om.ParameterError, match="swap the two"):
        om.Stage("a", {"at": (dt.date(2026, 2, 1), dt.date(2026, 1, 1))})
    stages = om.Stages([om.Stage("a", {"recency": (dt.date(2026, 2, 1), None)})], default="b")
    with pytest.raises(om.ColumnError, match="must hold dates or timestamps"):
        stages.assign(summary())
