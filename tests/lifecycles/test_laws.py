"""What must hold whatever the data are: accounts that balance, and answers that hang neither on names nor on the order of rows."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import opsmetrics as om
from tests.lifecycles.logs import NAMES, Case, cases, log
from tests.support import columns_of

FEW = settings(max_examples=25)
COUNTS = ["active", "new", "retained", "resurrected", "churned", "dormant", "silent", "net_growth"]
MONEY = ["revenue", "new", "retained", "expansion", "resurrected", "contraction", "churned", "late_refunds"]
RATES = ["retention_rate", "retention_rate_low", "retention_rate_high", "quick_ratio", "growth_rate"]


def states_of(case: Case, frame: pd.DataFrame | None = None, **options: Any) -> om.Lifecycle[Any]:
    """The states of a case; where there are none the example says nothing."""
    try:
        return om.lifecycle(case.frame() if frame is None else frame, **(case.options() | options))
    except om.DataError:
        assume(False)
        raise


def tables(states: om.Lifecycle[Any]) -> list[dict[str, list[Any]]]:
    return [columns_of(getattr(states, name)) for name in states._tables]


# -------------------------------------------------------------------------------------------------------------- accounts


@settings(max_examples=40)
@given(cases())
def test_the_accounts_balance(case: Case) -> None:
    case = replace(case, rules=replace(case.rules, money=True))
    states = states_of(case)
    users, money = states.table[COUNTS], states.revenue
    before = users.shift(1, fill_value=0)
    assert (users["active"] == users["new"] + users["retained"] + users["resurrected"]).all()
    assert (users["active"] == before["active"] + users["new"] + users["resurrected"] - users["churned"]).all()
    assert (users["silent"] == before["silent"] + users["churned"] - users["resurrected"]).all()
    assert (users["silent"] == users["churned"] + users["dormant"]).all()
    assert (users["active"] + users["silent"] == users["new"].cumsum()).all()
    assert (users["dormant"] == before["silent"] - users["resurrected"]).all()
    assert (users["net_growth"] == users["active"] - before["active"]).all()
    assert (users[COUNTS[:-1]] >= 0).all(axis=None)
    cents = (money[MONEY] * 100).round().astype(int)
    then = cents.shift(1, fill_value=0)
    assert (cents["revenue"] == cents["new"] + cents["retained"] + cents["expansion"] + cents["resurrected"]).all()
    gained, lost = cents["new"] + cents["resurrected"] + cents["expansion"], cents["contraction"] + cents["churned"]
    assert (cents["revenue"] == then["revenue"] + gained - lost).all()
    assert (then["revenue"] == cents["retained"] + lost).all()
    assert (cents[["expansion", "contraction"]] >= 0).all(axis=None)
    assert (cents["late_refunds"] <= 0).all()
    kept = sum(row.cents or 0 for row in case.rows if row.customer is not None and row.time is not None)
    if not states.dropped.get("after as_of"):
        assert cents["revenue"].sum() + cents["late_refunds"].sum() == kept


@FEW
@given(cases())
def test_groups_add_up_to_the_whole(case: Case) -> None:
    states = states_of(case)
    parts = states.by("label")
    for name, numbers in (("table", COUNTS), ("revenue", MONEY)):
        if name in states._tables:
            whole = getattr(states, name).set_index("period")[numbers]
            added = getattr(parts, name).groupby("period")[numbers].sum()
            assert np.array_equal((added * 100).round(), (whole * 100).round())


# -------------------------------------------------------------------------------------------------- names, rows, customers


@FEW
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_the_names_of_customers_say_nothing(case: Case, random: Any) -> None:
    expected = tables(states_of(case))
    rows = list(case.rows)
    random.shuffle(rows)
    names = {f"c{number}": name for number, name in enumerate(random.sample(["丙", "", "z z", "C1", "c1", "0", "NaN", "x", "y"], 9))}
    shuffled = replace(case, rows=[row._replace(customer=names.get(str(row.customer))) for row in rows])
    assert tables(states_of(shuffled)) == expected
    numbered = shuffled.frame().assign(customer=lambda f: f["customer"].map({name: 7 * n - 20 for n, name in enumerate(names.values())}))
    assert tables(states_of(shuffled, numbered)) == expected


@FEW
@given(cases())
def test_disjoint_customers_add(case: Case) -> None:
    last = max(row.time for row in case.rows if row.time is not None).date()
    frame = case.frame()
    one = frame["customer"].isin(["c0", "c1", "c2", "c3"])
    whole, *apart = (states_of(case, part, as_of=last) for part in (frame, frame[one], frame[~one]))
    for name, numbers in (("table", COUNTS), ("revenue", MONEY)):
        if name in whole._tables:
            together = getattr(whole, name).set_index("period")[numbers]
            added = sum(getattr(part, name).set_index("period")[numbers].reindex(together.index, fill_value=0) for part in apart)
            assert np.array_equal((added * 100).round(), (together * 100).round())
    assert sum(sum(part.dropped.values()) for part in apart) == sum(whole.dropped.values())


# ------------------------------------------------------------------------------------------------------ clocks and periods


@FEW
@given(cases())
def test_a_zone_moves_orders_to_their_local_days(case: Case) -> None:
    """UTC read in a zone, stamps with the zone, and the wall clock of the zone say the same."""
    assume(case.rules.tz is not None and not isinstance(case.rules.as_of, dt.datetime))
    tz, frame = case.rules.tz, case.frame()
    expected = tables(states_of(case))
    aware = frame["time"].dt.tz_localize("UTC").dt.tz_convert(tz)
    assert tables(states_of(case, frame.assign(time=aware), tz=None)) == expected
    wall = frame.assign(time=aware.dt.tz_localize(None))
    assert tables(states_of(case, wall, tz=None)) == expected
    whole_days = wall.assign(time=wall["time"].dt.normalize())
    assert tables(states_of(case, whole_days, tz=None)) == expected


@pytest.mark.parametrize("zone", ["America/New_York", "America/Argentina/Buenos_Aires", "Etc/GMT+8", "Asia/Shanghai", "+08:00"])
def test_stamps_of_pandas_in_any_zone(zone: str) -> None:
    """A zone may have a sign or a digit in its name."""
    frame = log(nulls=False)
    aware = frame.assign(time=frame["time"].dt.tz_localize("UTC").dt.tz_convert(zone))
    expected = om.lifecycle(frame, **NAMES, tz=zone, period="day")
    assert tables(om.lifecycle(aware, **NAMES, period="day")) == tables(expected)
    summary = om.customer_summary(aware, **NAMES, amount="amount", as_of="2026-06-01")
    assert summary.table.drop(columns=["first_order", "last_order"]).equals(
        om.customer_summary(frame, **NAMES, amount="amount", as_of="2026-06-01", tz=zone).table.drop(columns=["first_order", "last_order"])
    )


def test_hours_move_an_order_to_another_day() -> None:
    one = pd.DataFrame({"customer": [1, 1], "time": pd.to_datetime(["2026-03-31 15:30", "2026-03-31 16:30"])})

    def days(tz: str | None) -> list[str]:
        return [str(day.date()) for day in om.lifecycle(one, **NAMES, period="day", tz=tz).table["period"]]

    assert days(None) == days("UTC") == days("Europe/London") == ["2026-03-31"]
    assert days("Asia/Shanghai") == ["2026-03-31", "2026-04-01"]
    assert days("+08:00") == days("Asia/Shanghai")
    assert days("-16:00") == ["2026-03-30", "2026-03-31"]


@FEW
@given(cases(), st.integers(-300, 300))
def test_whole_weeks_later_all_is_the_same(case: Case, weeks: int) -> None:
    assume(case.rules.period in {"day", "week", 28, 3, 1})
    shift = dt.timedelta(weeks=weeks)
    case = replace(case, rules=replace(case.rules, tz=None, as_of=None))
    later = replace(case, rows=[row._replace(time=row.time and row.time + shift) for row in case.rows])
    expected = tables(states_of(case))
    for table in expected:
        table["period"] = [period + shift for period in table["period"]]
    assert tables(states_of(later)) == expected


@FEW
@given(cases(), st.integers(1, 400))
def test_what_is_over_is_not_rewritten(case: Case, days: int) -> None:
    """A later end of the same data leaves the rows of periods that are over as they are."""
    assume(isinstance(case.rules.period, str))
    last = max(row.time for row in case.rows if row.time is not None).date()
    early, late = (tables(states_of(case, as_of=last + dt.timedelta(days=more))) for more in (1, 1 + days))
    for before, after in zip(early, late, strict=True):
        over = before["complete"].count(True)
        for name, values in before.items():
            assert values[:over] == after[name][:over]


@pytest.mark.parametrize(
    ("period", "rows"),
    [("day", 1097), ("week", 158), ("month", 37), ("quarter", 13), ("year", 4), (28, 40), (365, 4), (1096, 2), (1097, 1)],
)
def test_empty_periods_are_kept(period: Any, rows: int) -> None:
    visits = pd.DataFrame({"customer": ["ann", "ann"], "time": pd.to_datetime(["2023-01-05", "2026-01-05"])})
    found = om.lifecycle(visits, **NAMES, period=period).table
    assert len(found) == rows
    assert found["active"].sum() == min(rows, 2)
    steps = {(after - before).days for before, after in pairwise(found["period"])}
    assert len(steps) <= 1 or period in {"month", "quarter", "year"}
    inner = found.iloc[2:-1]
    assert (inner["dormant"] == 1).all()
    assert inner["retention_rate"].isna().all()  # nobody was there to be retained


@pytest.mark.parametrize("period", ["day", "week", "month", "quarter", "year", 28])
def test_a_period_that_is_not_over_has_counts_and_no_rates(period: Any) -> None:
    frame = log(2_000, nulls=False)
    instant = pd.Timestamp("2026-03-19 11:59:59.999999")
    found = om.lifecycle(frame, **NAMES, amount="amount", period=period, as_of=instant.to_pydatetime())
    assert found.table["complete"].tolist() == [True] * (len(found.table) - 1) + [False]
    for table, rates in ((found.table, RATES), (found.revenue, ["gross_retention_rate", "net_retention_rate", "quick_ratio"])):
        assert table[rates].iloc[-1].isna().all()
        if len(table) > 2:
            assert table[rates[:2]].iloc[1].notna().all()
    kept = frame[frame["time"] <= instant]
    assert found.table["new"].sum() == kept.loc[kept["amount"] >= 0, "customer"].nunique()
    assert found.dropped == {"after as_of": len(frame) - len(kept)}
    to_the_end = om.lifecycle(frame, **NAMES, period="day", as_of=dt.datetime(2026, 3, 19, 23, 59, 59, 999999))
    assert bool(to_the_end.table["complete"].iloc[-1])


def test_truncated_counts_days_from_the_first_row() -> None:
    visits = pd.DataFrame({"customer": [1, 2, 3], "time": pd.to_datetime(["2026-01-20", "2026-02-25", "2026-05-02"])})

    def truncated(**options: Any) -> list[bool]:
        return om.lifecycle(visits, **NAMES, **options).table["truncated"].tolist()

    assert truncated() == [True, False, False, False, False]
    assert truncated(new_after=1) == [True, False, False, False, False]
    assert truncated(new_after=12) == [True, False, False, False, False]  # 1 February is twelve days after the first row
    assert truncated(new_after="13D") == [True, True, False, False, False]
    assert truncated(new_after=dt.timedelta(days=41)) == [True, True, True, False, False]
    assert truncated(new_after=1_000) == [True] * 5


@FEW
@given(cases())
def test_money_scales_and_does_not_move_customers(case: Case) -> None:
    bought = [row._replace(cents=abs(row.cents or 0)) for row in case.rows]
    plain = replace(case, rows=bought, rules=replace(case.rules, money=False))
    priced = replace(plain, rules=replace(case.rules, money=True))
    states = states_of(priced)
    assert columns_of(states.table) == columns_of(states_of(plain).table)
    doubled = states_of(replace(priced, rows=[row._replace(cents=2 * (row.cents or 0)) for row in bought]))
    for name in MONEY:
        assert doubled.revenue[name].tolist() == [round(2 * money, 2) for money in states.revenue[name]]
    for name in ("gross_retention_rate", "net_retention_rate", "quick_ratio"):
        assert doubled.revenue[name].tolist() == pytest.approx(states.revenue[name].tolist(), nan_ok=True)
