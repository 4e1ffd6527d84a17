"""Cohorts and habits: arguments outside the rules, columns that do not fit, data in which nothing happens or that reaches too far."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import opsmetrics as om
from opsmetrics.cohorts import retentions
from opsmetrics.cohorts.activations import activation_rate
from opsmetrics.cohorts.habits import stickiness
from opsmetrics.cohorts.repurchases import next_period_rate, repurchase_rate
from opsmetrics.cohorts.retentions import retention
from tests.bad_input.cases import Case, check_refused, refuse
from tests.support import Kind, columns_of

P, C, D = om.ParameterError, om.ColumnError, om.DataError
STAMPS = ["2026-01-02 10:00", "2026-01-20 11:00", "2026-01-05 12:00", "2026-01-06 13:00"]
NAMES: dict[str, Any] = {"customer": "uid", "time": "at"}


def log(**columns: Any) -> pd.DataFrame:
    """Four rows of the customers a, a, b, c in January 2026."""
    usual: dict[str, Any] = {
        "uid": ["a", "a", "b", "c"],
        "at": pd.to_datetime(STAMPS),
        "amount": [30.5, 20.0, 100.04, 7.5],
        "what": ["view", "pay", "view", "cart"],
        "paid": [False, True, False, False],
    }
    return pd.DataFrame(usual | columns)


QUESTIONS: dict[str, Callable[..., Any]] = {
    "retention": retention,
    "repurchase": repurchase_rate,
    "next": next_period_rate,
    "stickiness": stickiness,
    "activation": lambda frame, **arguments: activation_rate(frame, **({"key": "pay", "event": "what"} | arguments)),
}
"""The five questions, each with the usual arguments."""

FRAMES = {"retention": "data", "repurchase": "orders", "next": "orders", "stickiness": "events", "activation": "events"}


def on(name: str, frame: Any = None, **arguments: Any) -> Callable[[], Any]:
    return lambda: QUESTIONS[name](log() if frame is None else frame, **(NAMES | arguments))


def everywhere(case: str, error: Any, code: str, *says: str, frame: Any = None, but: tuple[str, ...] = (), **arguments: Any) -> list[Any]:
    """The same refusal of all questions that have the arguments."""
    return [refuse(f"{name}: {case}", on(name, frame, **arguments), error, code, *says) for name in QUESTIONS if name not in but]


NO_PERIOD, NO_AMOUNT, NO_CONFIDENCE = ("repurchase", "stickiness"), ("stickiness", "activation"), ("stickiness",)

COMMON = [
    *everywhere("unknown period", P, "parameter.period", "period='monht'", "Did you mean 'month'?", but=NO_PERIOD, period="monht"),
    *[
        one
        for period in (0, -7, 1.5, None, True, "0D", "7X", [7], dt.timedelta(hours=5))
        for one in everywhere(f"period {period!r}", P, "parameter.period", but=NO_PERIOD, period=period)
    ],
    *everywhere("a span that begins before the calendar", D, "data.time", "year 1", but=NO_PERIOD, period=1_000_000),
    *everywhere("week_start", P, "parameter.week_start", "Did you mean 'monday'?", but=NO_PERIOD, week_start="mon"),
    *everywhere("as_of before the data", D, "data.no_activity", "as_of='2025-12-31'", "'at'", as_of="2025-12-31"),
    *everywhere("as_of no time", P, "parameter.as_of", "as_of='soon'", as_of="soon"),
    *everywhere("as_of a number", P, "parameter.as_of", as_of=5),
    *everywhere("as_of NaT", P, "parameter.as_of", as_of=pd.NaT),
    *everywhere("as_of without a zone", P, "parameter.as_of.naive", tz="Asia/Shanghai", as_of="2026-01-31 10:00"),
    *everywhere("as_of with a zone", P, "parameter.as_of.aware", as_of="2026-01-31 10:00+08:00"),
    *everywhere("tz unknown", P, "parameter.tz", "Did you mean 'Asia/Shanghai'?", tz="Asia/Shangai"),
    *everywhere("tz of dates", P, "parameter.tz", frame=pl.from_pandas(log()).with_columns(pl.col("at").cast(pl.Date)), tz="Asia/Tokyo"),
    *[
        one
        for level in (95, 0, 1, None, "0.95", float("nan"), True)
        for one in everywhere(f"confidence {level!r}", P, "parameter.confidence", but=NO_CONFIDENCE, confidence=level)
    ],
    *everywhere("customer missing", C, "column.missing", "customer='uidd'", "Did you mean 'uid'?", customer="uidd"),
    *everywhere("time missing", C, "column.missing", "time='when'", time="when"),
    *everywhere("customer None", C, "column.name", "customer=None", customer=None),
    *everywhere("time a list", C, "column.name", time=["at"]),
    *everywhere("time is customer", C, "column.repeated", time="uid"),
    *everywhere("time of text", C, "column.type", "Parse it first", frame=log(at=STAMPS)),
    *everywhere("customers of true and false", C, "column.type", customer="paid"),
    *everywhere("amount missing", C, "column.missing", "Did you mean 'amount'?", but=NO_AMOUNT, amount="amuont"),
    *everywhere("amount of text", C, "column.type", but=NO_AMOUNT, amount="what"),
    *everywhere("amount infinite", D, "data.amount", "inf", but=NO_AMOUNT, frame=log(amount=[1, 2, np.inf, 4]), amount="amount"),
    *everywhere("refunds alone", D, "data.no_activity", but=NO_AMOUNT, frame=log(amount=[-1.0, -2, -3, -4]), amount="amount"),
    *everywhere("null times", D, "data.time", "time='at' is null", frame=log(at=pd.Series([None] * 4, dtype="datetime64[us]"))),
    *everywhere("null customers", D, "data.no_activity", frame=log(uid=pd.Series([None] * 4, dtype="string"))),
    *[refuse(f"{name}: no rows", on(name, log().head(0)), D, "data.empty", f"{FRAMES[name]} has no rows") for name in QUESTIONS],
    *[refuse(f"{name}: no table", on(name, [1, 2]), D, "data.kind", f"{FRAMES[name]} is a list") for name in QUESTIONS],
]  # fmt: skip

RETENTION = [
    refuse("cohort missing", on("retention", cohort="whta"), C, "column.missing", "cohort='whta'", "Did you mean 'what'?"),
    refuse("cohort None", on("retention", cohort=None), C, "column.name"),
    *[
        refuse(f"cohort a {type(cohort).__name__}", on("retention", cohort=cohort), C, "column.name")
        for cohort in (np.array(["first", "what"]), pd.Series(["what", "first"]), pd.NA, ["first"])
    ],
    refuse("cohort the customer", on("retention", cohort="uid"), C, "column.repeated", "customer"),
    refuse("cohort of times", on("retention", log(then=pd.to_datetime(STAMPS)), cohort="then"), C, "column.type"),
    refuse("kind", on("retention", kind="unbound"), P, "parameter.kind", "Did you mean 'unbounded'?"),
    refuse("kind None", on("retention", kind=None), P, "parameter.kind"),
    refuse("value", on("retention", value="money"), P, "parameter.value", "'amount'"),
    refuse("orders that are unbounded", on("retention", value="orders", kind="unbounded"), P, "parameter.kind", "value='orders'"),
    refuse(
        "money that rolls", on("retention", value="amount", amount="amount", kind="rolling"), P, "parameter.kind", "kind='bounded'",
    ),
    refuse("money without a column", on("retention", value="amount"), P, "parameter.amount", "amount=None", "value='orders'"),
    refuse("days of a century", on("retention", period="day", as_of="2126-01-01"), D, "data.cohorts", "4,000,000", "longer period"),
]  # fmt: skip

REPURCHASE = [
    refuse("same_day", on("repurchase", same_day="merged"), P, "parameter.same_day", "Did you mean 'merge'?"),
    *[
        refuse(f"within {within!r}", on("repurchase", within=within), P, "parameter.within")
        for within in (0, -1, 1.5, None, True, "30", "a month", [], [30, 0], [None], [[30]], [30, [90]], {30, 90}, "30h")
    ],
    refuse("within twice", on("repurchase", within=[90, 30, "90D"]), P, "parameter.within", "repeats [90]", "[30, 90]"),
    *[refuse(f"window {window!r}", on("repurchase", window=window), P, "parameter.window") for window in (0, -1, 1.5, True, "x", [7])],
]

STICKINESS = [refuse(f"stickiness {w!r}", on("stickiness", window=w), P, "parameter.window", "days") for w in (0, None, 1.5, "28", [28])]

KEYS: list[Any] = [None, 1.5, [], {}, {"where": {}}, {"evnt": "pay"}]
ACTIVATION = [
    refuse("key that never occurs", on("activation", key="payy"), P, "parameter.key.missing", "'payy'", "'cart'", "Did you mean 'pay'?"),
    refuse("one of the keys", on("activation", key=["pay", "paid!"]), P, "parameter.key.missing", "'paid!'"),
    refuse("key in where", on("activation", key={"event": "payy"}), P, "parameter.key.missing"),
    refuse("key of another type", on("activation", key=5), P, "parameter.key", "holds text"),
    *[refuse(f"key {key!r}", on("activation", key=key), P, "parameter.key") for key in KEYS],
    refuse("where missing", on("activation", key={"where": {"amuont": 5}}), C, "column.missing", "Did you mean 'amount'?"),
    refuse("where of another type", on("activation", key={"where": {"amount": "5"}}), P, "parameter.key"),
    refuse("event None", on("activation", event=None), P, "parameter.event", "['paid']"),
    refuse("event missing", on("activation", event="wat"), C, "column.missing", "event='wat'"),
    refuse("event of numbers with halves", on("activation", event="at"), C, "column.*"),
    refuse("event the customer", on("activation", event="uid"), C, "column.repeated"),
    refuse("null events", on("activation", log(what=pd.Series([None] * 4, dtype="string"))), P, "parameter.key.missing", "no event"),
    *[
        refuse(f"activation within {within!r}", on("activation", within=within), P, "parameter.within")
        for within in (0, -1, 1.5, None, True, "7", "-1D", "0min", [7], pd.NaT)
    ],
]


@pytest.mark.parametrize("case", [*COMMON, *RETENTION, *REPURCHASE, *STICKINESS, *ACTIVATION])
def test_refused(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_frame_without_rows_or_without_anybody(name: str, kind: Kind) -> None:
    check_refused(on(name, kind.make(log().head(0))), D, "data.empty")
    nobody = log(uid=pd.Series([None] * 4, dtype="string"))
    check_refused(on(name, kind.make(nobody)), D, "data.no_activity")
    never = log(at=pd.Series([None] * 4, dtype="datetime64[us]"))
    check_refused(on(name, kind.make(never)), D, "data.time")


def test_too_many_cohorts_of_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retentions, "MOST_CELLS", 30)
    frame = log(what=list("abcd"))
    assert retention(frame, **NAMES, cohort="what", as_of="2026-06-30").params["customers"] == 3
    check_refused(lambda: retention(frame, **NAMES, cohort="what", as_of="2026-07-31"), D, "data.cohorts", ["cohort='what'", "35"])


@pytest.mark.parametrize("name", ["next", "activation", "stickiness"])
def test_stray_dates(name: str) -> None:
    far = pl.DataFrame({"uid": ["a", "a"], "what": ["pay", "pay"], "at": [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)]})
    far = far if name != "activation" else far.with_columns(pl.Series("uid", ["a", "b"]))
    arguments = {} if name == "stickiness" else {"period": "day"}
    check_refused(on(name, far, **arguments), D, "data.time", ["100,000"])


def test_the_end_of_64_bits() -> None:
    """Nanoseconds end in 2262; the calendar of as_of does not, nor do spans."""
    late = pl.DataFrame(
        {"uid": ["a", "a", "b"], "what": ["view", "pay", "pay"], "at": pl.Series([2**62, 2**63 - 2, 2**62]).cast(pl.Datetime("ns"))}
    )
    assert columns_of(activation_rate(late, "pay", event="what", **NAMES, within="99999D", period="year").overall)["eligible"] == [0]
    found = activation_rate(late, "pay", event="what", **NAMES, within="99999D", period="year", as_of="9000-01-01")
    assert columns_of(found.overall)["activated"] == [2]
    assert columns_of(repurchase_rate(late, **NAMES, within="60000D", as_of="2300-01-01").table)["numerator"][:3] == [1, 1, 1]
    assert len(columns_of(retention(late, **NAMES, period="year", as_of="2300-01-01").triangle)["size"]) == 1


def test_the_first_and_the_last_day_of_the_calendar() -> None:
    ends = pl.DataFrame(
        {"uid": ["a", "a", "b"], "what": ["pay"] * 3, "at": [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31), dt.datetime(9999, 12, 31)]}
    )
    check_refused(lambda: repurchase_rate(ends, **NAMES), D, "data.time", ["100,000"])
    assert columns_of(next_period_rate(ends, **NAMES, period="year").table)["buyers"][-1] == 2
    check_refused(lambda: retention(ends, **NAMES, period="year"), D, "data.cohorts")
    assert columns_of(retention(ends, **NAMES, period="year", cohort="what").triangle)["9998"] == [1.0]


def test_one_customer_on_one_day(kind: Kind) -> None:
    frame = kind.make(log().head(1))
    assert columns_of(retention(frame, **NAMES, period="day").table)["retention"] == [1.0]
    assert columns_of(retention(frame, **NAMES).table)["retention"] == [None]  # January is not over
    assert columns_of(retention(frame, **NAMES, cohort="what").triangle)["size"] == [1]
    assert columns_of(repurchase_rate(frame, **NAMES).table)["rate"] == [0.0, 0.0, None, None, None, None]
    assert columns_of(next_period_rate(frame, **NAMES).table)["returned"] == [None]
    assert columns_of(stickiness(frame, **NAMES).table)["dau_over_mau_28d"] == [1.0]
    found = activation_rate(frame, "view", event="what", **NAMES)
    assert columns_of(found.table)["activated"] == columns_of(found.overall)["rate"] == [None]
    assert all(map(str, (found, retention(frame, **NAMES), stickiness(frame, **NAMES))))


@pytest.mark.parametrize("name", ["cohort", "age", "size", "0", "retained", "period", "marks", "row", "first"])
def test_columns_that_share_a_name_with_the_insides(name: str) -> None:
    """No column of the caller lands in a table under its own name."""
    for old in ("uid", "at", "what", "amount"):
        frame, names = log().rename(columns={old: name}), NAMES | {"amount": "amount"}
        names = {argument: name if column == old else column for argument, column in names.items()}
        column = name if old == "what" and name != "first" else "what" if old != "what" else "first"
        assert columns_of(retention(frame, **names, as_of="2026-01-31").table)["size"] == [3]
        if column in frame and column != "first":
            assert columns_of(retention(frame, **names, cohort=column, as_of="2026-01-31").triangle)["size"] == [2, 1]
        assert repurchase_rate(frame, **names).params["buyers"] == 3
        del names["amount"]
        event = name if old == "what" else "what"
        found = activation_rate(frame, "pay", **names, event=event, within=20, as_of="2026-06-30").overall
        assert columns_of(found)["activated"] == [1]


def test_spans_may_be_written_in_many_ways() -> None:
    spans: list[Any] = [30, "30D", dt.timedelta(30), np.int64(30), np.timedelta64(30, "D"), [30], (30,), np.array([30]), range(30, 31)]
    assert [repurchase_rate(log(), **NAMES, within=span).params["within"] for span in spans] == [[30]] * len(spans)
    spans = ["7D", 7, "1W", "168h", dt.timedelta(7)]
    assert {activation_rate(log(), "pay", event="what", **NAMES, within=span).params["within"] for span in spans} == {"7D"}
    assert {stickiness(log(), **NAMES, window=span).params["window"] for span in (28, "4W", "28D", dt.timedelta(28))} == {28}
    assert {next_period_rate(log(), **NAMES, period=span).params["period"] for span in (28, "4W", "28D", dt.timedelta(28))} == {"28D"}


@pytest.mark.parametrize(("column", "value"), [("paid_at", pd.Timestamp.max), ("money", 1e300)])
def test_what_reaches_too_far_is_named_as_the_caller_named_it(column, value):
    orders = pd.DataFrame({"uid": [1, 2], "paid_at": pd.to_datetime(["2026-01-01", "2026-02-01"]), "money": [1.0, 2.0]})
    orders["paid_at"] = orders["paid_at"].astype("datetime64[s]")
    orders.loc[1, column] = value if column == "money" else np.datetime64(300_000_000_000, "s")
    with pytest.raises(om.DataError, match=f"='{column}' reaches"):
        om.lifecycle(orders, customer="uid", time="paid_at", amount="money", as_of="2026-03-01" if column == "money" else None)
