"""The summary that models of lifetime value take: against lifetimes, published data, a slow reference, and its own laws."""

from __future__ import annotations

import datetime as dt
import json
import pickle
import warnings
import zoneinfo
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import opsmetrics as om
from opsmetrics import _parts
from opsmetrics.lifetime_value.summaries import CLVSummary, clv_summary
from tests.bad_input.cases import Case, check_refused, refuse
from tests.support import KINDS, SHARED, Kind, columns_of, data

NAMES: dict[str, Any] = {"customer": "uid", "time": "at", "amount": "paid"}
HISTORY = ["frequency", "recency", "T"]
P, C, D = om.ParameterError, om.ColumnError, om.DataError


def frame(rows: list[tuple[Any, str, float]]) -> pd.DataFrame:
    uid, time, amount = zip(*rows, strict=True)
    return pd.DataFrame({"uid": list(uid), "at": pd.to_datetime(list(time), format="ISO8601"), "paid": list(amount)})


def summarise(orders: Any, as_of: Any = "2026-01-31", **choices: Any) -> CLVSummary[Any]:
    return clv_summary(orders, as_of=as_of, **(NAMES | choices))


def rows_of(found: CLVSummary[Any]) -> list[tuple[Any, ...]]:
    return list(zip(*columns_of(found.table).values(), strict=True))


# ------------------------------------------------------------------------------------------------------------- meaning

VISITS = [
    (1, "2026-01-02 09:00", 10.0),
    (1, "2026-01-02 18:00", 5.0),
    (1, "2026-01-12", 20.0),
    (1, "2026-01-20", 40.0),
    (2, "2026-01-05", 7.0),
]


def test_frequency_leaves_out_the_first_and_recency_runs_from_first_to_last(kind: Kind) -> None:
    found = summarise(kind.make(frame(VISITS)))
    assert columns_of(found.table) == {
        "uid": [1, 2],
        "frequency": [2, 0],
        "recency": [18, 0],
        "T": [29, 26],
        "monetary_value": [30.0, 0.0],
    }
    assert isinstance(found.table, kind.result)
    assert (found.customer, found.unit) == ("uid", "day")


def test_whole_numbers_are_of_64_bits() -> None:
    table = summarise(frame(VISITS), calibration_end="2026-01-15").table
    assert {str(table[name].dtype) for name in table if "monetary" not in name} == {"int64"}
    assert {str(table[name].dtype) for name in table if "monetary" in name} == {"float64"}


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("week", [(1, 2, 3, 4), (2, 0, 0, 3)]),  # ISO weeks begin on the 5th, 12th, 19th and 26th
        ("month", [(1, 0, 0, 0), (2, 0, 0, 0)]),
        ("quarter", [(1, 0, 0, 0), (2, 0, 0, 0)]),
        ("year", [(1, 0, 0, 0), (2, 0, 0, 0)]),
    ],
)
def test_purchases_of_one_unit_are_one(unit: str, expected: list[tuple[int, ...]]) -> None:
    assert rows_of(summarise(frame(VISITS), amount=None, unit=unit)) == expected
    later = rows_of(summarise(frame([*VISITS, (1, "2027-05-31", 1.0)]), "2027-12-01", amount=None, unit=unit))[0]
    assert later == {"week": (1, 3, 74, 100), "month": (1, 1, 16, 23), "quarter": (1, 1, 5, 7), "year": (1, 1, 1, 1)}[unit]


def test_without_an_amount_every_row_is_a_purchase(kind: Kind) -> None:
    found = summarise(kind.make(frame([*VISITS, (2, "2026-01-06", -7.0)])), amount=None)
    assert columns_of(found.table) == {"uid": [1, 2], "frequency": [2, 1], "recency": [18, 1], "T": [29, 26]}


def test_the_day_of_the_last_row_is_the_usual_as_of(kind: Kind) -> None:
    found = summarise(kind.make(frame([*VISITS, (2, "2026-01-24 11:00", 1.0)])), None)
    assert found.params["as_of"] == "2026-01-24"
    assert found.params["last_day"] == "taken to be over"
    assert columns_of(found.table)["T"] == [22, 19]


def test_a_day_is_included_to_its_end_and_an_instant_itself(kind: Kind) -> None:
    orders = kind.make(frame([(1, "2026-01-30", 1.0), (1, "2026-01-31 23:59:59", 1.0), (1, "2026-02-01 00:00", 1.0)]))
    for as_of, repeats in (("2026-01-31", 1), ("2026-01-31 23:59:59", 1), (dt.datetime(2026, 1, 31, 23, 59, 58), 0)):
        found = summarise(orders, as_of)
        assert columns_of(found.table)["frequency"] == [repeats]
        assert columns_of(found.table)["T"] == [1]
        assert found.dropped == {"after as_of": 2 - repeats}


def test_a_utc_stamp_belongs_to_the_local_day(kind: Kind) -> None:
    """17:00 UTC on the 30th is 01:00 on the 31st in Shanghai, and 16:30 on the 31st is in February."""
    orders = kind.make(frame([(1, "2026-01-30 10:00", 1.0), (1, "2026-01-30 17:00", 1.0), (1, "2026-01-31 16:30", 1.0)]))
    assert rows_of(summarise(orders, amount=None)) == [(1, 1, 1, 1)]
    assert rows_of(summarise(orders, amount=None, tz="Asia/Shanghai")) == [(1, 1, 1, 1)]
    assert summarise(orders, amount=None, tz="Asia/Shanghai").dropped == {"after as_of": 1}
    assert rows_of(summarise(orders, "2026-02-01", amount=None, tz="Asia/Shanghai", unit="month")) == [(1, 1, 1, 1)]
    assert rows_of(summarise(orders, "2026-02-01", amount=None, unit="month")) == [(1, 0, 0, 1)]


def test_rows_that_cannot_be_orders_are_counted_by_their_first_reason(kind: Kind) -> None:
    orders = frame(
        [(1, "2026-01-02", 1.0), (1, "2026-01-03", np.nan), (1, "2026-03-03", np.nan), (1, "2026-01-04", 2.0), (1, "2026-04-01", 1.0)]
    )
    orders["uid"] = ["a", "a", None, None, "a"]
    orders.loc[5] = ["a", pd.NaT, 3.0]
    orders.loc[6] = ["a", pd.Timestamp("2026-01-05"), -3.0]
    found = summarise(kind.make(orders), missing_customer="drop", refunds="drop")
    assert found.dropped == {"missing customer": 2, "missing time": 1, "missing amount": 1, "after as_of": 1, "refund": 1}
    assert rows_of(found) == [("a", 0, 0, 29, 0.0)]
    assert found.params["rows"] == 7


# ------------------------------------------------------------------------------------------------------------- refunds

REFUNDS = [
    (1, "2026-01-01", -2.0), (1, "2026-01-02", 100.0), (1, "2026-01-02 12:00", -1.0), (1, "2026-01-10", 50.0), (1, "2026-01-20", -80.0),
    (2, "2026-01-05", -5.0),
    (3, "2026-01-05", 0.0), (3, "2026-01-06", -1.0),
]  # fmt: skip


def test_a_refund_is_no_purchase_but_money(kind: Kind) -> None:
    """Those of the first unit and before are taken off the first unit's money, the others off the repeats, which may go below zero."""
    found = summarise(kind.make(frame(REFUNDS)))
    assert rows_of(found) == [(1, 1, 8, 29, -30.0), (3, 0, 0, 26, 0.0)]
    assert found.params["refund_only"] == 1
    assert "1 customers have refunds only" in str(found)


def test_refunds_left_out(kind: Kind) -> None:
    found = summarise(kind.make(frame(REFUNDS)), refunds="drop")
    assert rows_of(found) == [(1, 1, 8, 29, 50.0), (3, 0, 0, 26, 0.0)]
    assert found.dropped == {"refund": 5}
    assert found.params["refund_only"] == 0


# ----------------------------------------------------------------------------------------------------------- holdout


def test_what_is_held_out(kind: Kind) -> None:
    orders = kind.make(
        frame([*VISITS, (1, "2026-01-20 10:00", 8.0), (1, "2026-01-25", 2.0), (1, "2026-01-26", -4.0), (3, "2026-01-16", 1.0)])
    )
    found = summarise(orders, calibration_end="2026-01-15")
    assert columns_of(found.table) == {
        "uid": [1, 2],
        "frequency": [1, 0],
        "recency": [10, 0],
        "T": [13, 10],
        "monetary_value": [20.0, 0.0],
        "frequency_holdout": [2, 0],
        "monetary_value_holdout": [23.0, 0.0],
        "duration_holdout": [16, 16],
    }
    assert found.params["customers_after_calibration"] == 1
    assert found.params["calibration_end"] == "2026-01-15"
    assert "1 customers first bought after the calibration period" in str(found)
    assert list(columns_of(summarise(orders, calibration_end="2026-01-15", amount=None).table)) == [
        "uid", *HISTORY, "frequency_holdout", "duration_holdout",
    ]  # fmt: skip


def test_a_unit_lies_wholly_before_or_after_the_end_of_calibration() -> None:
    """Monday the 12th to Sunday the 18th is one week, whichever of its days is named; the same holds of the hours of a day."""
    orders = frame([(1, "2026-01-01", 1.0), (1, "2026-01-17", 2.0), (1, "2026-01-19", 4.0)])
    for end in ("2026-01-12", "2026-01-18", "2026-01-14 12:00"):
        assert rows_of(summarise(orders, calibration_end=end, unit="week")) == [(1, 1, 2, 2, 2.0, 1, 4.0, 2)]
    late = frame([(1, "2026-01-01", 1.0), (1, "2026-01-17 18:00", 2.0)])
    assert rows_of(summarise(late, calibration_end="2026-01-17 12:00")) == [(1, 1, 16, 16, 2.0, 0, 0.0, 14)]


def test_refunds_before_and_purchases_after_the_end_of_calibration() -> None:
    """Neither a customer to learn from nor one who never bought."""
    orders = frame(
        [(1, "2026-01-02", 1.0), (2, "2026-01-03", -1.0), (2, "2026-01-20", 2.0), (3, "2026-01-04", -1.0), (4, "2026-01-25", -1.0)]
    )
    found = summarise(orders, calibration_end="2026-01-15")
    assert rows_of(found) == [(1, 0, 0, 13, 0.0, 0, 0.0, 16)]
    assert (found.params["customers_after_calibration"], found.params["refund_only"]) == (1, 2)


# -------------------------------------------------------------------------------------------------------- slow reference

ZERO = dt.datetime(2026, 1, 1)
NUMBER: dict[str, Any] = {
    "day": dt.date.toordinal,
    "week": lambda day: (day.toordinal() - 1) // 7,  # 1 January of the year 1 was a Monday
    "month": lambda day: day.year * 12 + day.month,
    "quarter": lambda day: day.year * 4 + (day.month - 1) // 3,
    "year": lambda day: day.year,
}


@st.composite
def logs(draw: st.DrawFn, least: int = -5_000) -> pd.DataFrame:
    """Orders and refunds in cents of a few customers around as_of, over two changes of the clock in New York."""
    some = draw(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 400 * 96), st.integers(least, 50_000)), max_size=50))
    rows = [(1, 0, 999), *some]
    return pd.DataFrame(
        {
            "uid": [100 + uid for uid, _, _ in rows],
            "at": pd.to_datetime([ZERO + dt.timedelta(minutes=15 * quarters) for _, quarters, _ in rows]).astype("datetime64[us]"),
            "paid": [cents / 100 for _, _, cents in rows],
        }
    )


CHOICES = st.fixed_dictionaries({
    "unit": st.sampled_from(list(NUMBER)),
    "as_of": st.sampled_from(["2026-06-30", "2026-12-31", "2027-06-01"]),
    "calibration_end": st.sampled_from([None, "2026-01-02", "2026-03-08", "2026-05-31"]),
    "tz": st.sampled_from([None, "Asia/Shanghai", "America/New_York"]),
    "refunds": st.sampled_from(["net", "drop"]),
})  # fmt: skip


def slow(orders: pd.DataFrame, *, unit: str, as_of: str, calibration_end: str | None, tz: str | None, refunds: str) -> Any:
    """The table row by row, and the counts, in plain Python; money in cents."""
    zone = None if tz is None else zoneinfo.ZoneInfo(tz)
    number, last = NUMBER[unit], dt.date.fromisoformat(as_of)
    end = number(last if calibration_end is None else dt.date.fromisoformat(calibration_end))
    buys: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    back: dict[int, list[tuple[int, int]]] = defaultdict(list)
    dropped: dict[str, int] = defaultdict(int)
    for uid, at, paid in zip(orders["uid"].tolist(), orders["at"].dt.to_pydatetime(), orders["paid"].tolist(), strict=True):
        local = at if zone is None else at.replace(tzinfo=dt.UTC).astimezone(zone)
        if local.date() > last:
            dropped["after as_of"] += 1
        elif paid >= 0:
            buys[uid][number(local.date())] += round(paid * 100)
        elif refunds == "drop":
            dropped["refund"] += 1
        else:
            back[uid].append((number(local.date()), round(paid * 100)))
    table, late = {}, 0
    for uid, money in sorted(buys.items()):
        units = sorted(money)
        first, seen, held = units[0], [u for u in units if u <= end], [u for u in units if u > end]
        if not seen:
            late += 1
            continue
        cents = sum(money[u] for u in seen[1:]) + sum(c for u, c in back[uid] if first < u <= end)
        row = [len(seen) - 1, seen[-1] - first, end - first, cents / 100 / (len(seen) - 1) if seen[1:] else 0.0]
        if calibration_end is not None:
            cents = sum(money[u] for u in held) + sum(c for u, c in back[uid] if u > end)
            row += [len(held), cents / 100 / len(held) if held else 0.0, number(last) - end]
        table[uid] = tuple(row)
    return table, late, len(set(back) - set(buys)), dict(dropped)


@settings(max_examples=150)
@given(logs(), CHOICES, st.sampled_from(KINDS))
@example(
    frame([(101, "2026-03-08 06:30", 1.0), (101, "2026-03-09 03:59", 2.0), (101, "2026-03-09 04:00", 4.0)]),  # a day of 23 hours
    {"unit": "day", "as_of": "2026-12-31", "calibration_end": "2026-03-08", "tz": "America/New_York", "refunds": "net"},
    KINDS[0],
)
def test_the_slow_reference(orders: pd.DataFrame, choices: dict[str, Any], kind: Kind) -> None:
    ends = [NUMBER[choices["unit"]](dt.date.fromisoformat(choices[name])) for name in ("calibration_end", "as_of") if choices[name]]
    if len(ends) == 2 and ends[0] == ends[1]:
        check_refused(lambda: summarise(kind.make(orders), **choices), P, "parameter.calibration_end")
        return
    table, late, refund_only, dropped = slow(orders, **choices)
    found = summarise(kind.make(orders), **choices)
    assert {uid: tuple(row) for uid, *row in rows_of(found)} == table
    assert found.dropped == dropped
    assert (found.params["customers_after_calibration"], found.params["refund_only"]) == (late, refund_only)


# ----------------------------------------------------------------------------------------------------------- lifetimes


@pytest.fixture(scope="module")
def lifetimes() -> Iterator[Any]:
    """Its functions, heard in silence: it changes the filters of warnings and an option of pandas when it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        option = pd.get_option("mode.chained_assignment")
        from lifetimes import utils

        pd.set_option("mode.chained_assignment", option)
    yield utils


def heard(call: Any, *args: Any, **choices: Any) -> pd.DataFrame:
    """What lifetimes answers, its warnings aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args, **choices).sort_index()


def compare(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Counts exactly, money as far as float sums agree; customers in one order."""
    assert ours.iloc[:, 0].tolist() == theirs.index.tolist()
    for name in theirs:
        assert ours[name].to_numpy() == pytest.approx(theirs[name].to_numpy(), rel=1e-9 if "monetary" in name else 0), name


@pytest.fixture(scope="module")
def shop() -> pd.DataFrame:
    """Purchases of 400 customers, without refunds."""
    made = om.make_orders(400, rng=3)
    return made[made["amount"] >= 0].rename(columns={"customer": "uid", "time": "at", "amount": "paid"})[["uid", "at", "paid"]]


FREQ = {"day": "D", "week": "W"}  # pandas refuses to divide by its months
END, CALIBRATION = "2026-06-28", "2026-03-29"  # Sundays, so that weeks are over: lifetimes takes the whole last one


@pytest.mark.parametrize("unit", FREQ)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders=logs(0))
def test_summary_data_from_transaction_data(lifetimes: Any, unit: str, orders: pd.DataFrame) -> None:
    ask = lifetimes.summary_data_from_transaction_data
    compare(summarise(orders, END, unit=unit).table, heard(ask, orders, "uid", "at", "paid", observation_period_end=END, freq=FREQ[unit]))
    compare(
        summarise(orders, END, unit=unit, amount=None).table, heard(ask, orders, "uid", "at", observation_period_end=END, freq=FREQ[unit])
    )


@pytest.mark.parametrize("unit", FREQ)
def test_summary_data_of_a_shop(lifetimes: Any, unit: str, shop: pd.DataFrame) -> None:
    theirs = heard(
        lifetimes.summary_data_from_transaction_data, shop, "uid", "at", "paid", observation_period_end="2025-12-28", freq=FREQ[unit]
    )
    compare(summarise(shop, "2025-12-28", unit=unit).table, theirs)
    if unit == "day":  # their last week begins before the last row, so that they take none after it
        compare(summarise(shop, None).table, heard(lifetimes.summary_data_from_transaction_data, shop, "uid", "at", "paid"))


def holdout(lifetimes: Any, orders: pd.DataFrame, unit: str, begin: str, end: str) -> None:
    """Their days begin and end at midnight, and their money is per row: one row a unit makes it the same."""
    daily = orders.assign(at=orders["at"].dt.floor("D"))
    daily = daily[~daily.assign(unit=daily["at"].dt.to_period(FREQ[unit])).duplicated(["uid", "unit"])]
    theirs = heard(
        lifetimes.calibration_and_holdout_data, daily, "uid", "at", begin, end, freq=FREQ[unit], monetary_value_col="paid"
    ).rename(columns=lambda name: name.removesuffix("_cal"))
    compare(summarise(daily, end, unit=unit, calibration_end=begin).table, theirs)


@pytest.mark.parametrize("unit", FREQ)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders=logs(0))
def test_calibration_and_holdout_data(lifetimes: Any, unit: str, orders: pd.DataFrame) -> None:
    both = frame([(106, "2026-02-01", 3.0), (106, "2026-05-01", 5.0)])  # they refuse an empty holdout
    holdout(lifetimes, pd.concat([both, orders]), unit, CALIBRATION, END)


@pytest.mark.parametrize("unit", FREQ)
def test_calibration_and_holdout_data_of_a_shop(lifetimes: Any, unit: str, shop: pd.DataFrame) -> None:
    holdout(lifetimes, shop, unit, "2025-06-29", "2025-12-28")


# ------------------------------------------------------------------------------------------------------- published data


def test_cdnow(kind: Kind) -> None:
    """The sample that the literature fits: 2,357 customers, 2,457 repeat days in 39 weeks."""
    orders = pd.read_parquet(data("cdnow_sample.parquet"))
    found = clv_summary(
        kind.make(orders), customer="sample_id", time="date", amount="amount", as_of="1998-06-30", calibration_end="1997-09-30"
    )
    table = columns_of(found.table)
    assert (len(table["frequency"]), sum(table["frequency"])) == (2_357, 2_457)
    assert set(table["duration_holdout"]) == {273}
    if kind.name == "pandas":
        begun = clv_summary(orders, customer="sample_id", time="date", amount="amount", as_of="1997-09-30").table
        assert columns_of(begun) == {name: table[name] for name in begun}


def test_the_simulated_customers_of_clvtools() -> None:
    """Their transactions are daily, their times in weeks; what they held out is the first half of 2023."""
    folder = SHARED / "reference" / "clv_golden"
    if not folder.exists():
        pytest.skip("needs clv_golden of the shared reference folder, which is not beside this checkout")
    orders = pd.read_csv(folder / "transactions.csv", parse_dates=["Date"])
    cbs = pd.read_csv(folder / "cbs.csv").sort_values("Id")
    names: dict[str, Any] = {"customer": "Id", "time": "Date", "amount": "Price"}
    table = clv_summary(orders, as_of="2022-12-31", **names).table
    assert table["Id"].tolist() == cbs["Id"].tolist()
    assert table["frequency"].tolist() == cbs["x"].tolist()
    assert table["recency"].tolist() == (cbs["t.x"] * 7).round(9).tolist()
    assert table["T"].tolist() == (cbs["T.cal"] * 7).round(9).tolist()
    held = clv_summary(orders, as_of="2023-06-30", calibration_end="2022-12-31", **names).table
    actual = pd.read_csv(folder / "pnbd_predict.csv").sort_values("Id")
    assert held["frequency_holdout"].tolist() == actual["actual.x"].tolist()
    assert (held["monetary_value_holdout"] * held["frequency_holdout"]).to_numpy() == pytest.approx(
        actual["actual.period.spending"].to_numpy()
    )
    assert held["duration_holdout"].unique().tolist() == [181]
    assert held[table.columns].equals(table)


# ---------------------------------------------------------------------------------------------------------------- laws

ASKED: list[dict[str, Any]] = [
    {},
    {"amount": None, "tz": "Asia/Shanghai", "as_of": "2025-10-01"},
    {"unit": "week", "calibration_end": "2025-07-01"},
    {"unit": "month", "calibration_end": "2025-07-01", "refunds": "drop", "as_of": None},
]


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    """Orders of 1,500 customers in no order, some refunded."""
    made = om.make_orders(1_500, rng=9).rename(columns={"customer": "uid", "time": "at", "amount": "paid"})
    made["uid"] = pd.factorize(made["uid"])[0] * 7
    made.loc[np.random.default_rng(9).random(len(made)) < 0.05, "paid"] *= -1
    return made.sample(frac=1, random_state=9)[["uid", "at", "paid"]]


def whole(orders: Any, choices: dict[str, Any]) -> list[Any]:
    found = summarise(orders, **({"as_of": "2025-12-01"} | choices))
    return [columns_of(found.table), found.dropped, found.params]


@pytest.fixture(params=ASKED, ids=str)
def asked(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param


def test_all_kinds_of_frames_answer_alike(kind: Kind, orders: pd.DataFrame, asked: dict[str, Any]) -> None:
    assert whole(kind.make(orders), asked) == whole(orders, asked)


@pytest.mark.parametrize("name", ["pandas", "polars", "polars-lazy", "pyarrow", "duckdb"])
def test_frames_cut_into_many_parts_answer_alike(
    name: str, orders: pd.DataFrame, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole(orders, asked)
    for size in ("ROWS_PER_PART", "ROWS_PER_BATCH", "ROWS_TO_SPLIT"):
        monkeypatch.setattr(_parts, size, 700)
    make = next(kind.make for kind in KINDS if kind.name == name)
    assert whole(make(orders), asked) == expected


def test_the_order_of_the_rows_does_not_matter(orders: pd.DataFrame, asked: dict[str, Any]) -> None:
    assert whole(orders.sort_values("at"), asked) == whole(orders.sort_values(["uid", "at"]), asked) == whole(orders, asked)


def test_the_names_of_customers_do_not_matter(orders: pd.DataFrame, asked: dict[str, Any]) -> None:
    names = np.random.default_rng(2).permutation(orders["uid"].max() + 1)
    (table, *rest), (renamed, *others) = whole(orders, asked), whole(orders.assign(uid=[f"c{n}" for n in names[orders["uid"]]]), asked)
    rows, again = ({uid: row for uid, *row in zip(*t.values(), strict=True)} for t in (table, renamed))
    assert {f"c{names[uid]}": row for uid, row in rows.items()} == again
    assert rest == others


def test_disjoint_customers_add_up(orders: pd.DataFrame, asked: dict[str, Any]) -> None:
    asked = {"as_of": "2025-12-01"} | {name: value for name, value in asked.items() if value is not None or name == "amount"}
    odd = orders["uid"] % 2 == 1
    table, dropped, params = whole(orders, asked)
    halves = [whole(orders[own], asked) for own in (odd, ~odd)]
    assert sorted(row for half, _, _ in halves for row in zip(*half.values(), strict=True)) == list(zip(*table.values(), strict=True))
    assert dropped == {reason: sum(half[reason] for _, half, _ in halves) for reason in dropped}
    for count in ("rows", "refund_only", "customers_after_calibration"):
        assert params[count] == sum(half[count] for _, _, half in halves)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_unit_of_the_stamps_does_not_matter(unit: str, orders: pd.DataFrame, asked: dict[str, Any]) -> None:
    assert whole(orders.assign(at=orders["at"].astype(f"datetime64[{unit}]")), asked) == whole(orders, asked)


def test_the_unit_of_money_does_not_matter(orders: pd.DataFrame, asked: dict[str, Any]) -> None:
    table, *rest = whole(orders, asked)
    scaled, *others = whole(orders.assign(paid=(orders["paid"] * 100).round()), asked)
    assert rest == others
    for name, values in table.items():
        assert scaled[name] == (pytest.approx(np.array(values) * 100) if "monetary" in name else values)


def test_days_are_days_whether_or_not_they_are_stamps(orders: pd.DataFrame) -> None:
    found = whole(pl.from_pandas(orders).with_columns(pl.col("at").dt.date()), {})
    assert found == whole(orders, {})


def test_every_row_is_used_or_counted(orders: pd.DataFrame) -> None:
    """One purchase a day makes the frequencies the rows, but for the first of each customer."""
    daily = orders.assign(at=orders["at"].dt.floor("D")).drop_duplicates(["uid", "at"])
    found = summarise(daily, "2025-12-01", refunds="drop")
    assert found.table["frequency"].sum() + len(found.table) + sum(found.dropped.values()) == len(daily)


def test_the_held_out_and_the_rest_are_the_whole(orders: pd.DataFrame) -> None:
    part = summarise(orders, "2025-12-01", calibration_end="2025-06-30").table.set_index("uid")
    both = summarise(orders, "2025-12-01").table.set_index("uid").loc[part.index]
    assert (part["frequency"] + part["frequency_holdout"]).equals(both["frequency"])
    assert (part["T"] + part["duration_holdout"]).equals(both["T"])
    money = part["monetary_value"] * part["frequency"] + part["monetary_value_holdout"] * part["frequency_holdout"]
    steady = (part["frequency"] > 0) & (part["frequency_holdout"] > 0)  # the mean of nothing is 0, whatever was given back
    assert steady.sum() > 100
    assert money[steady].to_numpy() == pytest.approx((both["monetary_value"] * both["frequency"])[steady].to_numpy())


def test_histories_are_possible(orders: pd.DataFrame, asked: dict[str, Any]) -> None:
    table = pd.DataFrame(whole(orders, asked)[0])
    assert ((table["recency"] >= table["frequency"]) & (table["recency"] <= table["T"]) & (table["frequency"] >= 0)).all()
    assert ((table["frequency"] == 0) == (table["recency"] == 0)).all()


def test_the_caller_keeps_its_frame(orders: pd.DataFrame, asked: dict[str, Any]) -> None:
    before = orders.copy(deep=True)
    whole(orders, asked)
    pd.testing.assert_frame_equal(orders, before)


# ------------------------------------------------------------------------------------------------------------ the result


def test_a_summary_shows_itself_and_travels() -> None:
    found = summarise(frame(REFUNDS), calibration_end="2026-01-15", missing_customer="drop")
    text = str(found)
    assert text.startswith("CLV summary: 2 customers")
    assert "recency runs from the first to the last purchase" in text
    assert "<table" in found._repr_html_()
    made = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert made["table"][0]["uid"] == 1
    assert made["params"] == found.params == {
        "columns": {"customer": "uid", "time": "at", "amount": "paid"}, "as_of": "2026-01-31", "tz": None, "unit": "day",
        "calibration_end": "2026-01-15", "refunds": "net", "missing_customer": "drop", "rows": 8, "refund_only": 1,
        "customers_after_calibration": 0,
    }  # fmt: skip
    again = pickle.loads(pickle.dumps(found))
    assert columns_of(again.table) == columns_of(found.table)
    assert (again.customer, again.unit) == (found.customer, found.unit)


def test_huge_sums_are_exact_or_refused() -> None:
    large = frame([(1, "2026-01-01", 1.0), (1, "2026-01-02", 4e12), (1, "2026-01-03", 4e12 + 0.5)])
    assert summarise(large).table["monetary_value"].tolist() == [4e12 + 0.25]
    many = frame([(uid, f"2026-01-0{day}", 4e12) for uid in range(5) for day in (1, 2)])
    assert summarise(many).table["monetary_value"].tolist() == [4e12] * 5  # nobody adds up customers


def test_the_years_of_the_calendar_are_one_table() -> None:
    """Nothing is laid out by unit, so that a stray date costs nothing."""
    far = pl.DataFrame({"uid": [1, 1], "at": [dt.date(1, 1, 3), dt.date(9999, 12, 30)], "paid": [1.0, 2.0]})
    assert rows_of(summarise(far, "9999-12-30")) == [(1, 1, 3_652_055, 3_652_055, 2.0)]


# ------------------------------------------------------------------------------------------------------------- bad input


def on(rows: Any = None, **choices: Any) -> Any:
    made = frame(VISITS) if rows is None else rows if isinstance(rows, (pd.DataFrame, pl.DataFrame)) else frame(rows)
    return lambda: summarise(made, **choices)


REFUSED = [
    refuse("unknown unit", on(unit="weeks"), P, "parameter.unit", "unit='weeks'", "Did you mean 'week'?"),
    refuse("unit in days", on(unit=7), P, "parameter.unit", "unit=7"),
    refuse("unknown refunds", on(refunds="keep"), P, "parameter.refunds", "'net', 'drop', 'error'"),
    refuse("unknown missing_customer", on(missing_customer="keep"), P, "parameter.missing_customer", "'error', 'drop'"),
    refuse("as_of is no time", on(as_of="soon"), P, "parameter.as_of", "as_of='soon'"),
    refuse("calibration_end is no time", on(calibration_end=5), P, "parameter.calibration_end", "calibration_end=5"),
    refuse("calibration_end at as_of", on(calibration_end="2026-01-31"), P, "parameter.calibration_end", "'2026-01-31'", "earlier day"),
    refuse("calibration_end after as_of", on(calibration_end="2026-02-01"), P, "parameter.calibration_end", "calibration_end='2026-02-01'"),
    refuse("one unit", on(calibration_end="2026-01-10", unit="month"), P, "parameter.calibration_end", "earlier month than as_of"),
    refuse("calibration_end with a zone", on(calibration_end="2026-01-10 10:00+08:00"), P, "parameter.calibration_end.aware"),
    refuse("calibration_end without", on(calibration_end="2026-01-10 10:00", tz="Asia/Tokyo"), P, "parameter.calibration_end.naive"),
    refuse("unknown zone", on(tz="Asia/Shangai"), P, "parameter.tz", "Did you mean 'Asia/Shanghai'?"),
    refuse("unknown column", on(amount="padi"), C, "column.missing", "amount='padi'", "Did you mean 'paid'?"),
    refuse("a column twice", on(amount="at"), C, "column.*"),
    refuse("text for money", on(frame(VISITS).assign(paid="1")), C, "column.type", "amount='paid'"),
    *[
        refuse(f"a customer column {name}", on(frame(VISITS).rename(columns={"uid": name}), customer=name), C, "column.reserved", name)
        for name in ("frequency", "recency", "T", "monetary_value", "frequency_holdout", "monetary_value_holdout", "duration_holdout")
    ],
    refuse("no rows", on(frame(VISITS)[:0]), D, "data.empty", "orders has no rows"),
    refuse("no rows and no as_of", on(frame(VISITS)[:0], as_of=None), D, "data.empty", "orders has no rows"),
    refuse("no times", on(frame(VISITS).assign(at=pd.NaT), as_of=None), D, "data.time", "time='at'", "null in every row"),
    refuse("nobody", on(frame(VISITS).astype({"uid": "Int64"}).assign(uid=pd.array([None] * 5, "Int64"))), D, "data.missing_customer"),
    refuse("some nobodies", on(frame([*VISITS, (None, "2026-01-01", 1.0)])), D, "data.missing_customer", "1 of 6 rows", "='drop'"),
    refuse("refunds", on(REFUNDS, refunds="error"), D, "data.refunds", "amount='paid' is negative in 5 orders", "refunds='drop'"),
    refuse("refunds only", on([(1, "2026-01-02", -1.0)]), D, "data.no_purchases", "among 1 rows (all are refunds); check the columns"),
    refuse("refunds dropped", on([(1, "2026-01-02", -1.0)], refunds="drop"), D, "data.no_purchases", "(1 refund)"),
    refuse("all later", on(as_of="2026-01-01"), D, "data.no_purchases", "as_of='2026-01-01'", "5 after as_of", "choose a later as_of"),
    refuse("nobody so early", on(calibration_end="2026-01-01"), D, "data.no_purchases", "calibration_end='2026-01-01'", "all 2 customers"),
    refuse("infinite money", on([(1, "2026-01-02", np.inf)]), D, "data.amount", "finite"),
    refuse("astronomic money", on([(1, "2026-01-02", 5e12), (1, "2026-01-03", 5e12)]), D, "data.amount", "add up to less than"),
    refuse("the year 318,857", on(pl.DataFrame({"uid": [1], "at": [10**16], "paid": [1.0]}).cast({"at": pl.Datetime("ms")}),
           as_of=None), D, "data.time", "years 1 to 9999"),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


def test_a_list_is_no_table() -> None:
    check_refused(lambda: summarise([1, 2]), D, "data.kind", ["orders is a list"])
