"""What holds whatever the data: order and names of customers do not matter, disjoint customers add up, kinds of retention are nested."""

from __future__ import annotations

import datetime as dt
import json
import pickle
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from opsmetrics.cohorts.activations import activation_rate
from opsmetrics.cohorts.habits import stickiness
from opsmetrics.cohorts.repurchases import next_period_rate, repurchase_rate
from opsmetrics.cohorts.retentions import retention
from tests.support import columns_of, reference

NAMES: dict[str, Any] = {"customer": "customer", "time": "time"}
END: dict[str, Any] = {"as_of": "2025-12-20"}


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    """Orders of 400 customers over a year, with a channel, an event, and some refunds."""
    frame = om.make_orders(customers=400, rng=5)
    frame["customer"] = pd.factorize(frame["customer"])[0]
    random = np.random.default_rng(5)
    frame["channel"] = random.choice(["ads", "web", "app"], len(frame))
    frame.loc[random.random(len(frame)) < 0.2, "channel"] = None
    frame["event"] = random.choice(["view", "pay", "help"], len(frame))
    frame.loc[random.random(len(frame)) < 0.05, "amount"] *= -1
    return frame


ASKED: dict[str, Callable[..., Any]] = {
    "months": lambda f, **k: retention(f, **NAMES, **END, **k),
    "weeks later": lambda f, **k: retention(f, **NAMES, **END, **k, period="week", kind="unbounded", week_start="sunday"),
    "spans rolling": lambda f, **k: retention(f, **NAMES, **END, **k, period="30D", kind="rolling"),
    "channels": lambda f, **k: retention(f, **NAMES, **END, **k, cohort="channel"),
    "channels later": lambda f, **k: retention(f, **NAMES, **END, **k, cohort="channel", kind="unbounded", period="quarter"),
    "orders": lambda f, **k: retention(f, **NAMES, **END, **k, value="orders", amount="amount"),
    "amount": lambda f, **k: retention(f, **NAMES, **END, **k, value="amount", amount="amount", cohort="channel"),
    "repurchase": lambda f, **k: repurchase_rate(f, **NAMES, **END, **k, amount="amount", window=100),
    "repurchase counted": lambda f, **k: repurchase_rate(f, **NAMES, **END, **k, same_day="count", within="4W"),
    "next": lambda f, **k: next_period_rate(f, **NAMES, **END, **k, amount="amount"),
    "stickiness": lambda f, **k: stickiness(f, **NAMES, **END, **k, window="30D"),
    "activation": lambda f, **k: activation_rate(f, ["pay", "help"], event="event", within=30, period="month", **NAMES, **END, **k),
}


def tables(found: Any) -> dict[str, Any]:
    """All tables of an answer as plain values, with what was dropped."""
    return {name: columns_of(getattr(found, name)) for name in found._tables} | {"dropped": found.dropped}


@pytest.fixture(params=ASKED)
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Each question in turn."""
    return ASKED[request.param]


# ------------------------------------------------------------------------------------------------------------ symmetry


def test_the_order_of_the_rows_does_not_matter(ask: Callable[..., Any], orders: pd.DataFrame) -> None:
    assert not orders.duplicated(["customer", "time"]).any()
    assert tables(ask(orders.sample(frac=1, random_state=1))) == tables(ask(orders))


def test_the_names_of_customers_do_not_matter(ask: Callable[..., Any], orders: pd.DataFrame) -> None:
    names = np.random.default_rng(2).permutation(orders["customer"].max() + 1)
    renamed = orders.assign(customer=names[orders["customer"]])
    assert tables(ask(renamed)) == tables(ask(orders))
    assert tables(ask(renamed.assign(customer="c" + renamed["customer"].astype(str)))) == tables(ask(orders))


def test_rows_after_as_of_change_nothing_but_what_is_dropped(ask: Callable[..., Any], orders: pd.DataFrame) -> None:
    later = orders["time"] >= "2025-12-21"
    found, before = tables(ask(orders)), tables(ask(orders[~later]))
    assert found.pop("dropped") == {"after as_of": later.sum()}
    assert not before.pop("dropped")
    assert found == before


def test_rows_of_nobody_and_of_no_time_are_counted(ask: Callable[..., Any], orders: pd.DataFrame) -> None:
    marred = pd.concat([orders, orders[:12]], ignore_index=True).astype({"customer": "Int64"})
    marred.loc[marred.index[-12:-5], "customer"] = None
    marred.loc[marred.index[-5:], "time"] = None
    found, whole = tables(ask(marred)), tables(ask(orders))
    assert found.pop("dropped") == whole.pop("dropped") | {"missing customer": 7, "missing time": 5}
    assert found == whole


COUNTS = {
    "size", "retained", "base", "numerator", "denominator", "buyers", "returned", "dau", "wau_7d", "mau_30d", "customers", "eligible",
    "activated",
}  # fmt: skip


def test_disjoint_customers_add_up(ask: Callable[..., Any], orders: pd.DataFrame) -> None:
    """Each half has customers of the first day, in every channel, so that both have the same rows."""
    ends = orders.loc[[0, 0]].assign(time=pd.to_datetime(["2025-01-01 00:00:01"] * 2), amount=1.0, event="view")
    anchors = pd.concat([ends.assign(channel=name) for name in ("ads", "web", "app", None)], ignore_index=True)
    anchors["customer"] = np.arange(len(anchors)) + 10_000
    odd = orders["customer"] % 2 == 1
    halves = [pd.concat([orders[own], anchors.iloc[place::2]]) for place, own in enumerate((odd, ~odd))]
    whole = tables(ask(pd.concat(halves)))
    parts = [tables(ask(half)) for half in halves]
    for name, table in whole.items():
        if name in {"dropped", "triangle"}:
            continue
        keys = [column for column in table if column in {"cohort", "age", "period", "measure", "day", "days"}]
        sums: dict[Any, dict[str, float]] = {}
        for part in parts:
            for row in zip(*part[name].values(), strict=True):
                line = dict(zip(part[name], row, strict=True))
                own_sums = sums.setdefault(tuple(line[key] for key in keys), {})
                for column in COUNTS & set(line):
                    own_sums[column] = own_sums.get(column, 0) + (line[column] or 0)
        for row in zip(*table.values(), strict=True):
            line = dict(zip(table, row, strict=True))
            added = sums[tuple(line[key] for key in keys)]
            assert added == pytest.approx({column: line[column] or 0 for column in added}), (name, line)


# ------------------------------------------------------------------------------------------------------------ retention


def cells(found: Any) -> dict[tuple[Any, int], Any]:
    table = columns_of(found.table)
    return dict(zip(zip(table["cohort"], table["age"], strict=True), table["retained"], strict=True))


@pytest.mark.parametrize("cohort", ["first", "channel"])
@pytest.mark.parametrize("period", ["month", "week", 10])
def test_kinds_of_retention_are_nested(orders: pd.DataFrame, cohort: str, period: Any) -> None:
    rolling, bounded, unbounded = (
        cells(retention(orders, **NAMES, **END, cohort=cohort, period=period, kind=kind)) for kind in ("rolling", "bounded", "unbounded")
    )
    assert rolling.keys() == bounded.keys() == unbounded.keys()
    for place, retained in bounded.items():
        if retained is None:
            assert rolling[place] is unbounded[place] is None
        else:
            assert rolling[place] <= retained <= unbounded[place]
    assert rolling != bounded != unbounded
    for cohort_name, age in bounded:  # those kinds that cannot come back fall, where the same customers are counted
        after = (cohort_name, age + 1)
        if cohort == "first" and bounded.get(after) is not None:
            assert rolling[after] <= rolling[cohort_name, age]
            assert unbounded[after] <= unbounded[cohort_name, age]


def test_what_is_not_over_is_missing_and_never_zero(orders: pd.DataFrame) -> None:
    found = retention(orders, **NAMES, **END)
    table = pd.DataFrame(columns_of(found.table))
    running = table["period"] == "2025-12-01"
    assert running.sum() == len(set(table["cohort"]))
    for column in ("retained", "retention", "retention_low", "retention_high"):
        assert (table[column].isna() == running).all()
    whole = pd.DataFrame(columns_of(retention(orders, **NAMES, as_of="2025-12-31").table))
    assert whole["retained"].notna().all()
    assert whole.loc[~running, "retained"].tolist() == table.loc[~running, "retained"].tolist()
    assert found.triangle.iloc[0, 2:].isna().sum() == 1
    assert found.average["size"].tolist()[-1] == 0


def test_age_0_is_everybody(orders: pd.DataFrame) -> None:
    questions: list[dict[str, Any]] = [{}, {"cohort": "channel"}, {"kind": "unbounded"}, {"kind": "rolling"}, {"period": "day"}]
    for arguments in questions:
        table = columns_of(retention(orders, **NAMES, as_of="2026-01-01", **arguments).table)
        for age, size, retained, share in zip(table["age"], table["size"], table["retained"], table["retention"], strict=True):
            assert age > 0 or retained is None or (size == retained and share in {1.0, None})


@pytest.mark.parametrize("value", ["customers", "orders", "amount"])
def test_column_cohorts_add_up_to_the_average_of_first_cohorts(orders: pd.DataFrame, value: Any) -> None:
    """Both follow the same customers through the same ages."""
    found = [retention(orders, **NAMES, **END, cohort=c, value=value, amount="amount").average for c in ("first", "channel")]
    assert columns_of(found[0]) == columns_of(found[1])


def test_all_orders_have_an_age(orders: pd.DataFrame) -> None:
    paid = orders[orders["amount"] >= 0]
    found = retention(orders, **NAMES, as_of="2025-12-31", value="orders", amount="amount")
    assert sum(columns_of(found.table)["retained"]) == len(paid)
    money = retention(paid, **NAMES, as_of="2025-12-31", value="amount", amount="amount")
    assert sum(columns_of(money.table)["retained"]) == pytest.approx(paid["amount"].sum())


def test_a_channel_is_that_of_the_first_row() -> None:
    frame = pd.DataFrame({
        "customer": [1, 1, 2, 2, 3], "channel": ["web", "ads", "ads", "web", None],
        "time": pd.to_datetime(["2026-01-05", "2026-01-01", "2026-01-03", "2026-01-03", "2026-01-09"]),
    })  # fmt: skip
    found = retention(frame, **NAMES, cohort="channel")
    assert columns_of(found.triangle)["cohort"] == ["ads", None]
    assert columns_of(found.triangle)["size"] == [2, 1]


SQL = """
with cells as (select distinct customer, date_trunc('month', time) as period from orders),
firsts as (select customer, min(period) as cohort from cells group by all),
sizes as (select cohort, count(*) as size from firsts group by all),
grid as (
    select cohort, size, unnest(range(0, 1 + datediff('month', cohort, timestamp '2025-11-01')))::int as age from sizes
    where cohort <= timestamp '2025-11-01'
)
select grid.cohort, grid.age, size, count(cells.customer) as retained
from grid left join firsts on firsts.cohort = grid.cohort
left join cells on cells.customer = firsts.customer and cells.period = grid.cohort + to_months(grid.age)
group by all order by grid.cohort, grid.age
"""


def test_sql_gives_the_same_retention(orders: pd.DataFrame) -> None:
    expected = duckdb.execute(SQL).fetchall()
    found = retention(orders, **NAMES, **END).table.dropna(subset="retained")
    assert list(zip(*(columns_of(found)[name] for name in ("cohort", "age", "size", "retained")), strict=True)) == expected
    assert len(expected) == sum(range(2, 12))


def test_the_pandas_recipe_gives_the_same_triangle(orders: pd.DataFrame) -> None:
    """The recipe of a hundred blogs, which knows nothing of periods that are not over: here all are."""
    frame = orders.assign(month=orders["time"].dt.to_period("M"))
    frame["cohort"] = frame.groupby("customer")["month"].transform("min")
    frame["age"] = frame["month"].astype("int64") - frame["cohort"].astype("int64")
    counts = frame.pivot_table(index="cohort", columns="age", values="customer", aggfunc="nunique")
    shares = counts.div(counts[0], axis=0)
    found = retention(orders, **NAMES, as_of="2025-12-31").triangle
    assert found["size"].tolist() == counts[0].tolist()
    assert found["cohort"].tolist() == [period.to_timestamp() for period in counts.index]
    mine = found[[str(age) for age in shares.columns]].to_numpy()
    there = ~np.isnan(mine)
    assert there.sum() == sum(range(3, 13))  # nobody began in the last two months
    np.testing.assert_array_equal(mine[there], shares.fillna(0.0).to_numpy()[there])


def test_an_average_is_weighted() -> None:
    """One of one comes back, and none of three: a quarter, not a half."""
    days = ["2026-01-05", "2026-02-05", "2026-02-01", "2026-02-02", "2026-02-03"]
    frame = pd.DataFrame({"customer": [1, 1, 2, 3, 4], "time": pd.to_datetime(days)})
    found = retention(frame, **NAMES, as_of="2026-03-31").average
    assert found["retained"].tolist() == [4, 1, 0]
    assert found["retention"].tolist() == [1.0, 0.25, 0.0]


# ----------------------------------------------------------------------------------------------------------- repurchase


def published(metric: str) -> dict[str, Any]:
    definitions = reference("lifecycle.json")["repurchase_definitions"]["published"]
    return next(one["example"] for one in definitions if one["metric"] == metric)


def shop(purchases: dict[str, list[str]]) -> pd.DataFrame:
    """A shop of customers and the days on which they buy."""
    rows = [(customer, day) for customer, days in purchases.items() for day in days]
    return pd.DataFrame(rows, columns=["customer", "time"]).assign(time=lambda frame: pd.to_datetime(frame["time"], format="ISO8601"))


def test_the_published_rate_of_orders() -> None:
    """100 transactions; 20 customers have a second, and 10 of these a third."""
    example = published("复购率 by transaction")
    second, third = example["users_with_2nd"], example["of_which_3rd"]
    buyers = example["transactions"] - second - third
    days = ["2026-01-05", "2026-01-15", "2026-02-05"]
    frame = shop({f"c{n}": days[: 1 + (n < second) + (n < third)] for n in range(buyers)})
    assert len(frame) == example["transactions"]
    table = columns_of(repurchase_rate(frame, **NAMES).table)
    assert table["numerator"][:2] == [20, 30]
    assert table["denominator"][:2] == [70, 100]
    assert table["rate"][1] == example["rate"]


def test_the_published_rate_of_the_next_month() -> None:
    example = published("回购率")
    buyers, also = example["january_buyers"], example["also_february"]
    frame = shop({f"c{n}": ["2026-01-05", "2026-02-05"][: 1 + (n < also)] for n in range(buyers)})
    table = columns_of(next_period_rate(frame, **NAMES, as_of="2026-02-28").table)
    assert (table["buyers"][0], table["returned"][0], table["rate"][0]) == (buyers, also, example["rate"])
    assert table["returned"][1] is None


def test_the_published_variants_of_one_day() -> None:
    frame = shop({"twice in a day": ["2026-01-05 10:00", "2026-01-05 18:00"], "once": ["2026-01-05"]})
    counted, merged = (
        columns_of(repurchase_rate(frame, **NAMES, same_day=way, within=7, as_of="2026-02-05").table) for way in ("count", "merge")
    )
    assert counted["numerator"] == [1, 1, 1, 1]
    assert counted["denominator"] == [2, 3, 2, 2]
    assert merged["numerator"] == [0, 0, 0, 2]
    assert merged["denominator"] == [2, 2, 2, 2]


def test_who_bought_yesterday_is_not_lost() -> None:
    frame = shop({"old": ["2026-01-05", "2026-01-20"], "lost": ["2026-01-06"], "new": ["2026-03-30"]})
    table = columns_of(repurchase_rate(frame, **NAMES, within=(30, 60), as_of="2026-03-31").table)
    assert table["denominator"][2:] == [2, 2, 2]
    assert table["numerator"][2:] == [1, 1, 1]
    table = columns_of(repurchase_rate(frame, **NAMES, within=(85, 86), as_of="2026-03-31").table)
    assert table["denominator"][2:] == [1, 0, 0] if (dt.date(2026, 3, 31) - dt.date(2026, 1, 5)).days == 85 else [2, 1, 1]
    assert table["rate"][3] is None


def test_the_interval_of_orders_takes_customers_as_clusters() -> None:
    """One customer who buys a thousand times tells little of the others."""
    days = [str(day.date()) for day in pd.date_range("2024-01-01", periods=500)]
    frame = shop({"fan": days, **{f"c{n}": [days[n]] for n in range(50)}})
    table = columns_of(repurchase_rate(frame, **NAMES).table)
    assert table["rate"][1] == 499 / 550
    assert table["rate_high"][1] - table["rate_low"][1] > 0.3


# --------------------------------------------------------------------------------------------------------------- habits


def test_the_last_month_is_that_of_the_active_days(orders: pd.DataFrame) -> None:
    for window in (1, 7, 28, 1_000):
        found = stickiness(orders, **NAMES, window=window)
        assert sum(columns_of(found.active_days)["customers"]) == columns_of(found.table)[f"mau_{window}d"][-1]
        assert len(columns_of(found.active_days)["days"]) == window
    assert columns_of(found.table)["mau_1000d"][-1] == orders["customer"].nunique()


def test_wider_windows_hold_more(orders: pd.DataFrame) -> None:
    found = stickiness(orders, **NAMES).table
    assert (found["dau"] <= found["wau_7d"]).all()
    assert (found["wau_7d"] <= found["mau_28d"]).all()
    assert found["truncated"].sum() == 27


def test_activation_of_anything_is_everybody(orders: pd.DataFrame) -> None:
    found = activation_rate(orders, ["view", "pay", "help"], event="event", **NAMES).overall
    assert found["activated"].tolist() == found["eligible"].tolist()
    spans = [activation_rate(orders, "pay", event="event", **NAMES, within=days, as_of="2027-01-01").overall for days in (1, 30, 365)]
    assert [one["eligible"].item() for one in spans] == [orders["customer"].nunique()] * 3
    rates = [one["rate"].item() for one in spans]
    assert rates == sorted(rates)


# --------------------------------------------------------------------------------------------------------- the results


def test_results_travel_and_are_told(ask: Callable[..., Any], orders: pd.DataFrame) -> None:
    found = ask(orders)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["params"]["columns"]["customer"] == "customer"
    assert found.params["as_of"] == "2025-12-20"
    assert tables(pickle.loads(pickle.dumps(found))) == tables(found)
    assert str(found)
    assert found._repr_html_()


def test_a_repr_has_the_triangle_in_per_cent(orders: pd.DataFrame) -> None:
    said = str(retention(orders, **NAMES, **END, period="quarter"))
    assert "Retention: " in said
    assert "100.0%" in said
    assert "2025-01-01" in said
    assert "ages up to" in str(retention(orders, **NAMES, period="week"))


ZONES = ["America/New_York", "Asia/Shanghai", "Europe/London"]


@pytest.mark.parametrize("zone", ZONES)
def test_a_zone_is_its_local_clock(zone: str) -> None:
    """Instants under a zone, over both changes of the clock, are the stamps on its walls without one."""
    utc = om.make_events(customers=80, rng=3)
    utc["time"] = utc["time"] + pd.Timedelta(days=25)  # into the spring change of New York and London
    walls = utc.assign(time=utc["time"].dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None))
    columns: dict[str, Any] = {"customer": "customer", "time": "time"}
    asks = [
        lambda frame, **tz: om.retention(frame, **columns, period="day", **tz).table,
        lambda frame, **tz: om.repurchase_rate(frame, **columns, within=[1, 7], **tz).table,
        lambda frame, **tz: om.next_period_rate(frame, **columns, period="week", **tz).table,
        lambda frame, **tz: om.stickiness(frame, **columns, window=7, **tz).table,
    ]
    for ask in asks:
        pd.testing.assert_frame_equal(ask(utc, tz=zone), ask(walls))


def test_whole_weeks_later_all_is_the_same() -> None:
    """Relabelling periods: only the names of the periods change."""
    events = om.make_events(customers=80, rng=3)
    later = events.assign(time=events["time"] + pd.Timedelta(weeks=5))
    columns: dict[str, Any] = {"customer": "customer", "time": "time"}
    for ask in (
        lambda frame: om.retention(frame, **columns, period="week").triangle.drop(columns="cohort"),
        lambda frame: om.next_period_rate(frame, **columns, period="week").table.drop(columns="period"),
        lambda frame: om.stickiness(frame, **columns).table.drop(columns="day"),
        lambda frame: om.activation_rate(frame, "pay", **columns, event="event").table.drop(columns="period"),
    ):
        pd.testing.assert_frame_equal(ask(events), ask(later))
