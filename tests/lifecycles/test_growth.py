"""Growth accounting: published counts, the slow reference over all options, pandas and SQL as witnesses, every kind of frame."""

from __future__ import annotations

import datetime as dt
from itertools import count
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings

import opsmetrics as om
from opsmetrics import _parts
from tests.lifecycles import reference as slow
from tests.lifecycles.logs import NAMES, Case, cases, log
from tests.support import Kind, columns_of, data, reference

OURS = {"new": "new", "returning": "retained", "resurrecting": "resurrected", "dormant": "churned"}


def table(frame: Any, **options: Any) -> dict[str, list[Any]]:
    return columns_of(om.lifecycle(frame, **(NAMES | options)).table)


# ------------------------------------------------------------------------------------------------------------- published


def visits(events: dict[str, list[str]]) -> pd.DataFrame:
    """A log in UTC, on a clock without a zone."""
    rows = [(customer, stamp.rstrip("Z")) for customer, stamps in events.items() for stamp in stamps]
    return pd.DataFrame({"customer": [customer for customer, _ in rows], "time": pd.to_datetime([s for _, s in rows], format="ISO8601")})


def published_cases() -> list[tuple[str, pd.DataFrame, dict[str, Any], list[str], dict[str, list[int]]]]:
    """Each chart of PostHog's tests: its name, the log, our options, the days its periods begin with, and its counts."""
    cases = {case["name"]: case for case in reference("lifecycle.json")["posthog_lifecycle"]["cases"]}
    found = []
    for name, case in cases.items():
        events = case["events"] if isinstance(case["events"], dict) else cases[case["events"].removeprefix("as ")]["events"]
        unit = case["interval"]
        days = case.get("days") or [
            str(day.date()) for day in pd.date_range(case["from"], case["to"], freq="MS" if unit == "month" else "D")
        ]
        last = pd.Timestamp(case.get("to", days[-1]))  # theirs is the period that it lies in
        end = pd.Period(last, "M").end_time if unit == "month" else last + pd.Timedelta(days={"day": 0, "week": 6}[unit])
        options: dict[str, Any] = {"period": unit, "as_of": str(end.date())}
        if case.get("tz", "UTC") != "UTC":
            options["tz"] = case["tz"]
        for week_start in case.get("week_start", ["monday"]):
            starts = case["period_starts"][week_start] if unit == "week" else days
            found.append((f"{name} {week_start}", visits(events), options | {"week_start": week_start}, starts, case["published"]))
        if "published_same_events_in_UTC" in case:
            found.append((f"{name} in UTC", visits(events), options | {"tz": "UTC"}, days, case["published_same_events_in_UTC"]))
    return found


def test_posthogs_charts() -> None:
    cases = published_cases()
    assert len(cases) == 8
    for name, frame, options, starts, published in cases:
        found = table(frame, **options)
        rows = {str(period.date()): number for number, period in enumerate(found["period"])}
        for theirs, counts in published.items():
            ours = [found[OURS[theirs]][rows[start]] if start in rows else 0 for start in starts]
            assert ours == ([-number for number in counts] if theirs == "dormant" else counts), (name, theirs)


def month(number: int) -> dt.datetime:
    return dt.datetime(2017 + (number + 2) // 12, (number + 2) % 12 + 1, 3)


def customers_like(mau: list[dict[str, Any]]) -> pd.DataFrame:
    """Customers whose states are those of the published table: as many stay, come back and are new each month as it says."""
    ids = count()
    active: list[int] = []
    silent: list[int] = []
    months: list[np.ndarray[Any, Any]] = []
    for row in mau:
        back = silent[: row["resurrected_users"]]
        stay, gone = active[: row["retained_users"]], active[row["retained_users"] :]
        silent = silent[row["resurrected_users"] :] + gone
        active = [*stay, *back, *(next(ids) for _ in range(row["new_users"]))]
        months.append(np.array(active))
    time = np.repeat(np.array([month(number) for number in range(len(mau))], dtype="datetime64[us]"), [len(who) for who in months])
    return pd.DataFrame({"customer": np.concatenate(months), "time": time})


def test_sampleco_accounts_for_its_users() -> None:
    mau = reference("lifecycle.json")["growth_accounting_sampleco"]["published"]["mau"]
    frame = customers_like(mau).sample(frac=1, random_state=1)
    states = om.lifecycle(frame, **NAMES, as_of="2018-06-30")
    found = columns_of(states.table)
    assert len(found["period"]) == len(mau) == 16
    for ours, theirs, sign in (
        ("active", "mau", 1), ("new", "new_users", 1), ("retained", "retained_users", 1), ("resurrected", "resurrected_users", 1),
        ("churned", "churned_users", -1),
    ):  # fmt: skip
        assert found[ours] == [sign * row[theirs] for row in mau], ours
    for ours, theirs in (("quick_ratio", "mau_quick_ratio"), ("retention_rate", "mau_retention_rate")):
        assert found[ours][0] is None and mau[0][theirs] is None
        assert found[ours][1:] == pytest.approx([row[theirs] for row in mau[1:]], rel=1e-12, abs=0), ours
    assert all(found["complete"])
    assert found["truncated"] == [True] + [False] * 15


def cents(amount: float) -> int:
    return round(amount * 100)


def payers_like(mrr: list[dict[str, Any]]) -> pd.DataFrame:
    """Orders whose money moves as the published table says.

    Money that is kept or lost by contraction lies with customers who pay less the next month, expansion with one who paid nothing before.
    """
    ids = count()
    rows: list[tuple[int, int, int]] = []
    holdings: dict[int, int] = {}  # what each customer pays this month
    staying: dict[int, int] = {}  # those of them who pay the next month too
    silent: list[int] = []
    for number, row in enumerate(mrr):
        gone = [customer for customer in holdings if customer not in staying]
        less, holdings = -cents(row["contraction_rev"]), {}
        for customer, money in staying.items():
            lost = min(less, money)
            less -= lost
            holdings[customer] = money - lost
        if expansion := cents(row["expansion_rev"]):
            holdings[next(customer for customer, money in staying.items() if money == 0)] = expansion
        if resurrected := cents(row["resurrected_rev"]):
            holdings[silent.pop()] = resurrected
        silent += gone
        after = mrr[number + 1] if number + 1 < len(mrr) else None
        wanted = 0 if after is None else cents(after["retained_rev"]) - cents(after["contraction_rev"])
        staying = {}
        for customer, money in sorted(holdings.items(), key=lambda item: -item[1]):
            if sum(staying.values()) + money <= wanted:
                staying[customer] = money
        first, rest, nothing = wanted - sum(staying.values()), next(ids), next(ids)
        staying |= {rest: first, nothing: 0}
        holdings |= {rest: first, next(ids): cents(row["new_rev"]) - first, nothing: 0}
        rows += [(customer, number, money) for customer, money in holdings.items()]
    who, at, money_of = zip(*rows, strict=True)
    return pd.DataFrame({"customer": who, "time": pd.to_datetime([month(number) for number in at]), "amount": np.array(money_of) / 100})


def test_sampleco_accounts_for_its_money() -> None:
    mrr = reference("lifecycle.json")["growth_accounting_sampleco"]["published"]["mrr"]
    states = om.lifecycle(payers_like(mrr), **NAMES, amount="amount", as_of="2018-06-30")
    found = columns_of(states.revenue)
    for ours, theirs, sign in (
        ("revenue", "rev", 1), ("new", "new_rev", 1), ("retained", "retained_rev", 1), ("resurrected", "resurrected_rev", 1),
        ("expansion", "expansion_rev", 1), ("contraction", "contraction_rev", -1), ("churned", "churned_rev", -1),
    ):  # fmt: skip
        assert found[ours] == [sign * row[theirs] for row in mrr], ours
    for ours, theirs in (("quick_ratio", "mrr_quick_ratio"), ("gross_retention_rate", "mrr_retention_rate")):
        assert found[ours][0] is None and mrr[0][theirs] is None
        assert found[ours][1:] == pytest.approx([row[theirs] for row in mrr[1:]], rel=1e-12, abs=0), ours
    assert found["late_refunds"] == [0.0] * 16


# ------------------------------------------------------------------------------------------------------- the reference


def alike(found: dict[str, list[Any]], expected: dict[str, list[Any]]) -> None:
    """Every column as the reference has it; only the ends of intervals are computed another way."""
    assert list(found) == list(expected)
    for name, values in expected.items():
        if name.endswith(("_low", "_high")):
            assert [value is None for value in found[name]] == [value is None for value in values], name
            ours, theirs = ([value for value in side if value is not None] for side in (found[name], values))
            assert ours == pytest.approx(theirs, abs=1e-12), name
        else:
            assert found[name] == values, name


def check(case: Case) -> None:
    """The tables, the breakdown and the count of dropped rows against the reference."""
    book = slow.read(case.rows, case.rules)
    if not any(slow.is_purchase(row, case.rules) for row in book.rows):
        with pytest.raises(om.DataError) as caught:
            om.lifecycle(case.frame(), **case.options())
        assert caught.value.code == "data.no_activity"
        return
    states = om.lifecycle(case.frame(), **case.options())
    expected = slow.lifecycle(book.rows, case.rules, book)
    alike(columns_of(states.table), expected[0])
    assert states.dropped == book.dropped
    assert states.params["incomplete"] == expected[0]["complete"].count(False)
    assert states.params["truncated"] == expected[0]["truncated"].count(True)
    by_label = states.by("label")
    labels = slow.customer_labels(book)
    own = {label: [row for row in book.rows if labels[row.customer] == label] for label in set(labels.values())}
    parts = {label: slow.lifecycle(rows, case.rules, book) for label, rows in own.items()}
    order = sorted(parts, key=lambda label: (label is None, -sum(parts[label][0]["new"]), str(label)))
    order = [label for label in order if any(parts[label][0]["new"]) or (case.rules.money and any(parts[label][1]["late_refunds"]))]
    for place, name in enumerate(["table", "revenue"][: 1 + case.rules.money]):
        wanted: dict[str, list[Any]] = {"label": [label for label in order for _ in book.starts]}
        for label in order:
            for column, values in parts[label][place].items():
                wanted.setdefault(column, []).extend(values)
        alike(columns_of(getattr(by_label, name)), wanted)
    if case.rules.money:
        alike(columns_of(states.revenue), expected[1])
    assert by_label.dropped == states.dropped


def test_the_reference_on_a_case_worked_by_hand() -> None:
    """Ann buys in January, February and April, Bo in January, Cy from February on; Ann's last order is given back in May."""
    months = {
        1: [("ann", 10), ("bo", 5)],
        2: [("ann", 4), ("cy", 8)],
        3: [("cy", 9)],
        4: [("ann", 7), ("cy", 9)],
        5: [("ann", -7), ("cy", 1)],
    }
    rows = [slow.Row(who, dt.datetime(2026, number, 9), 100 * money) for number, own in months.items() for who, money in own]
    rules = slow.Rules(money=True, as_of=dt.date(2026, 6, 15))
    users, money = slow.lifecycle(rows, rules, slow.read(rows, rules))
    assert users["active"] == [2, 2, 1, 2, 1, 0]
    assert users["new"] == [2, 1, 0, 0, 0, 0]
    assert users["retained"] == [0, 1, 1, 1, 1, 0]
    assert users["resurrected"] == [0, 0, 0, 1, 0, 0]
    assert users["churned"] == [0, 1, 1, 0, 1, 1]
    assert users["dormant"] == [0, 0, 1, 1, 1, 2]
    assert users["silent"] == [0, 1, 2, 1, 2, 3]
    assert users["complete"] == [True] * 5 + [False]
    assert users["retention_rate"] == [None, 0.5, 0.5, 1.0, 0.5, None]
    assert users["quick_ratio"] == [None, 1.0, 0.0, None, 0.0, None]
    assert money["revenue"] == [15, 12, 9, 16, 1, 0]
    assert money["retained"] == [0, 4, 8, 9, 1, 0]
    assert money["expansion"] == [0, 0, 1, 0, 0, 0]
    assert money["resurrected"] == [0, 0, 0, 7, 0, 0]
    assert money["contraction"] == [0, 6, 0, 0, 8, 0]
    assert money["churned"] == [0, 5, 4, 0, 7, 1]
    assert money["late_refunds"] == [0, 0, 0, 0, -7, 0]
    assert money["net_retention_rate"] == [None, 4 / 15, 9 / 12, 1.0, 1 / 16, None]


@settings(max_examples=120)
@given(cases())
def test_all_options_against_the_reference(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("week_start", slow.WEEKDAYS)
def test_every_start_of_the_week(week_start: str) -> None:
    times = [dt.datetime(2025, 12, 20) + dt.timedelta(hours=17 * number) for number in range(40)]
    rows = [slow.Row(f"c{number % 4}", time, number * 100 - 300, "ads") for number, time in enumerate(times)]
    check(Case(rows, slow.Rules(period="week", week_start=week_start, money=True)))


# ------------------------------------------------------------------------------------------------------------- witnesses


@pytest.fixture(scope="module")
def cdnow() -> pd.DataFrame:
    return pd.read_parquet(data("cdnow_master.parquet"))


def test_sql_with_windows_on_cdnow(cdnow: pd.DataFrame) -> None:
    sql = duckdb.sql(
        """
        with months as (
            select customer_id, date_trunc('month', date)::timestamp as period, sum(amount::decimal(18, 2)) as money
            from cdnow group by all
        ), sides as (
            select *, row_number() over own = 1 as new, lag(period) over own = period - interval 1 month as follows,
                   lag(money) over own as before, coalesce(lead(period) over own = period + interval 1 month, false) as stays
            from months window own as (partition by customer_id order by period)
        ), here as (
            select period, count(*) as active, count(*) filter (new) as new, count(*) filter (follows) as retained,
                   count(*) filter (not new and not follows) as resurrected, sum(money) as revenue,
                   coalesce(sum(money) filter (new), 0) as new_money, coalesce(sum(least(money, before)) filter (follows), 0) as kept,
                   coalesce(sum(greatest(money - before, 0)) filter (follows), 0) as expansion,
                   coalesce(sum(greatest(before - money, 0)) filter (follows), 0) as contraction
            from sides group by period
        ), gone as (
            select period + interval 1 month as period, count(*) as churned, sum(money) as lost from sides where not stays group by period
        )
        select here.*, coalesce(churned, 0) as churned, coalesce(lost, 0) as lost from here left join gone using (period) order by period
        """
    ).df()
    states = om.lifecycle(cdnow, customer="customer_id", time="date", amount="amount", as_of="1998-06-30")
    users, money = states.table, states.revenue
    assert users["period"].tolist() == sql["period"].tolist()
    for name in ("active", "new", "retained", "resurrected", "churned"):
        assert users[name].tolist() == sql[name].tolist(), name
    for ours, theirs in {
        "revenue": "revenue", "new": "new_money", "retained": "kept", "expansion": "expansion", "contraction": "contraction",
        "churned": "lost",
    }.items():  # fmt: skip
        assert money[ours].tolist() == sql[theirs].astype(float).tolist(), ours
    assert users["active"].iloc[0] == 7846
    assert users["silent"].iloc[-1] + users["active"].iloc[-1] == 23570


def test_shifted_months_of_pandas_on_online_retail(online_retail: pd.DataFrame) -> None:
    lines = online_retail.dropna(subset="CustomerID")
    paid = lines[lines["amount"] >= 0]
    months = paid["InvoiceDate"].dt.to_period("M")
    active = pd.crosstab(paid["CustomerID"], months).reindex(columns=pd.period_range("2010-12", "2011-12", freq="M"), fill_value=0) > 0
    before = active.shift(1, axis=1, fill_value=False)
    seen = active.cumsum(axis=1).shift(1, axis=1, fill_value=0) > 0
    net = lines.assign(cents=(lines["amount"] * 1000).round(), month=lines["InvoiceDate"].dt.to_period("M"))
    money = net.pivot_table(index="CustomerID", columns="month", values="cents", aggfunc="sum", fill_value=0)
    spent = money.reindex(index=active.index).where(active, 0)
    spent_before = spent.shift(1, axis=1, fill_value=0)
    both = active & before
    states = om.lifecycle(online_retail, customer="CustomerID", time="InvoiceDate", amount="amount", as_of="2011-12-09")
    users, revenue = states.table, states.revenue
    expected = {
        "active": active, "new": active & ~seen, "retained": both, "resurrected": active & seen & ~before, "churned": before & ~active,
        "dormant": seen & ~active & ~before, "silent": seen & ~active,
    }  # fmt: skip
    for name, those in expected.items():
        assert users[name].tolist() == those.sum().tolist(), name
    worth = {
        "revenue": spent, "new": spent.where(~seen, 0), "retained": np.minimum(spent, spent_before).where(both, 0),
        "expansion": (spent - spent_before).clip(lower=0).where(both, 0),
        "contraction": (spent_before - spent).clip(lower=0).where(both, 0),
        "churned": spent_before.where(~active, 0), "resurrected": spent.where(seen & ~before, 0),
    }  # fmt: skip
    for name, values in worth.items():
        assert revenue[name].tolist() == pytest.approx((values.sum() / 1000).tolist(), abs=1e-6), name
    late = (money.where(~active.reindex(index=money.index, fill_value=False), 0)).sum() / 1000
    assert revenue["late_refunds"].tolist() == pytest.approx(late.tolist(), abs=1e-6)
    assert revenue["late_refunds"].sum() < 0
    assert users["complete"].tolist() == [True] * 12 + [False]
    assert states.dropped == {"missing customer": int(online_retail["CustomerID"].isna().sum())}


# --------------------------------------------------------------------------------------------------- every kind of frame


OPTIONS: list[dict[str, Any]] = [{}, {"amount": "amount"}, {"amount": "amount", "period": "28D", "tz": "US/Pacific", "as_of": "2026-03-20"}]


def everything(frame: Any, **options: Any) -> list[Any]:
    states = om.lifecycle(frame, **(NAMES | options))
    by_label = states.by("label")
    tables = [columns_of(getattr(result, name)) for result in (states, by_label) for name in result._tables]
    return [*tables, states.dropped, by_label.dropped, states.params]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_kind_of_frame_has_the_same_answer(kind: Kind, options: dict[str, Any]) -> None:
    frame = log()
    made = kind.make(frame)
    assert everything(made, **options) == everything(frame, **options)
    states = om.lifecycle(made, **(NAMES | options))
    assert isinstance(states.table, kind.result)
    assert isinstance(states.by("label").table, kind.result)


def test_text_and_flags_are_customers_and_labels_in_every_kind(kind: Kind) -> None:
    frame = log(nulls=False).assign(customer=lambda f: "甲" + f["customer"].astype(str), label=lambda f: f["vip"])
    assert everything(kind.make(frame), period="week") == everything(frame, period="week")


@pytest.mark.parametrize("engine", ["pandas", "polars", "polars-scan", "duckdb"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_tables_that_are_cut_into_parts(engine: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    frame = log(6_000)
    whole = everything(frame, **options)
    for name in ("ROWS_TO_SPLIT", "ROWS_PER_PART", "ROWS_PER_BATCH"):
        monkeypatch.setattr(_parts, name, 500)
    frame.to_parquet(tmp_path / "log.parquet", index=False)
    made = {
        "pandas": lambda: frame,
        "polars": lambda: pl.from_pandas(frame),
        "polars-scan": lambda: pl.scan_parquet(tmp_path / "log.parquet"),
        "duckdb": lambda: duckdb.connect().read_parquet(str(tmp_path / "log.parquet")),
    }[engine]()
    assert everything(made, **options) == whole


def test_the_first_row_among_those_of_one_time_in_a_large_relation() -> None:
    """DuckDB's sort does not keep equal rows in their order; the first row of the input counts all the same."""
    frame = log(30_000, nulls=False).assign(time=pd.Timestamp("2026-01-01"))
    expected = frame.drop_duplicates("customer")["label"].value_counts()
    found = om.lifecycle(duckdb.sql("select * from frame"), **NAMES).by("label").table.to_pydict()
    assert dict(zip(found["label"], found["new"], strict=True)) == expected.to_dict()


def test_a_last_day_that_is_only_taken_to_be_over_is_told():
    """The data ends at noon, and nobody said until when it goes: a day, and a span that ends with it, say so."""
    visits = pd.DataFrame({"uid": [1, 1, 2], "at": pd.to_datetime(["2026-01-05 09:00", "2026-01-06 09:00", "2026-01-07 12:00"])})

    def told(frame: pd.DataFrame = visits, **given: Any) -> Any:
        found = om.lifecycle(frame, customer="uid", time="at", **given)
        assert ("taken to be over" in str(found)) == ("last_day" in found.params)
        return found.params.get("last_day")

    assert told(period="day") == told(period=3) == "taken to be over"
    assert told(period="month") is None
    assert told(period="day", as_of="2026-01-07") is None
    noon = om.lifecycle(visits, customer="uid", time="at", period="day", as_of="2026-01-07 12:00")
    assert noon.table["complete"].tolist() == [True, True, False]
    assert told(visits.assign(at=visits["at"].dt.normalize()), period="day") is None  # days are whole
    assert om.stickiness(visits, customer="uid", time="at").params["last_day"] == "taken to be over"
