"""A-I-P-L and rates by stage: rules that lack something, columns that do not fit, reports that cannot be compared."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import opsmetrics as om
from opsmetrics import _frames
from opsmetrics._frames import Use
from opsmetrics.lifecycles.aipls import AIPL, aipl
from opsmetrics.lifecycles.kpis import kpi_table, reached
from tests.bad_input.cases import Case, check_refused, refuse, settled
from tests.support import Kind, columns_of

STAMPS = ("2026-01-01 10:00", "2026-01-02 10:05", "2026-01-03 10:00", "2026-01-01 11:00", "2026-01-09 11:00", "2026-01-03 09:00")
NAMES: dict[str, Any] = {"customer": "uid", "event": "what", "time": "at"}
RULES: dict[str, Any] = {"awareness": "view", "interest": "cart", "purchase": "pay", "loyalty": 2}
P, C, D = om.ParameterError, om.ColumnError, om.DataError
RULE, GONE, AFTER = (P, "parameter.rules"), (P, "parameter.rules.missing"), (P, "parameter.after")
MISSING, TYPE, RESERVED, REPEATED, NAME = (
    (C, f"column.{rule}") for rule in ("missing", "type", "reserved", "repeated", "name")
)  # fmt: skip
BETWEEN, NOBODY = (P, "parameter.between"), (D, "data.no_activity")


def log(**columns: Any) -> pd.DataFrame:
    """Six events: ann views, carts and pays, bo views and pays, cy views."""
    usual: dict[str, Any] = {
        "uid": ["ann", "ann", "ann", "bo", "bo", "cy"],
        "what": ["view", "cart", "pay", "view", "pay", "view"],
        "at": pd.to_datetime(list(STAMPS)),
        "channel": ["ads", "ads", "web", "web", "web", "ads"],
        "vip": [True, True, True, False, False, False],
    }
    return pd.DataFrame(usual | columns)


def count(frame: Any = None, rules: Any = None, **arguments: Any) -> AIPL[Any]:
    given = NAMES | {"as_of": "2026-01-31"} | arguments
    return aipl(log() if frame is None else frame, RULES if rules is None else rules, **given)


def on(frame: Any = None, **arguments: Any) -> Callable[[], Any]:
    return lambda: count(frame, **arguments)


def ruled(**rules: Any) -> Callable[[], Any]:
    return lambda: count(rules={key: of for key, of in (RULES | rules).items() if of is not ...})


def flow(after: Any = None, before: AIPL[Any] | None = None, **arguments: Any) -> Callable[[], Any]:
    return lambda: (before or count()).flow(count() if after is None else after(), **arguments)


def kpis(frame: Any = None, rules: Any = None, people: Any = None, **arguments: Any) -> Callable[[], Any]:
    asked = _frames.wrap("people", pd.DataFrame({"uid": ["ann", "bo"]}) if people is None else people)
    given = NAMES | arguments
    return lambda: reached(
        log() if frame is None else frame, {"saw": "view"} if rules is None else rules, _frames.collect(asked)["uid"], **given
    )


def table(by: str) -> Callable[[], Any]:
    column = _frames.wrap("people", pd.DataFrame({by: ["x"]}))
    group = (by, *_frames.encode(_frames.collect(column)[by], Use("by", by, "label")))
    return lambda: kpi_table(column.implementation, ["one"], np.zeros(1, dtype=np.int64), group, np.array([[True]]), ["saw"], 0.95)


CASES = [
    # rules
    refuse("no mapping", lambda: count(rules=["view", "cart", "pay"]), *RULE, "must be a mapping with the keys", "'awareness'"),
    refuse("rules of None", lambda: aipl(log(), None, as_of="2026-01-31", **NAMES), *RULE, "must be a mapping"),  # type: ignore[arg-type]
    refuse("a stage is missing", ruled(loyalty=...), *RULE, "has no entry for ['loyalty']"),
    refuse("two stages are missing", ruled(loyalty=..., interest=...), *RULE, "['interest', 'loyalty']"),
    refuse("a stage is misspelt", ruled(awarness="view"), *RULE, "'awarness'", "Did you mean 'awareness'?"),
    refuse("a stage in Chinese", ruled(认知="view"), *RULE, "its keys are"),
    refuse("an event that never occurs", ruled(purchase="pya"), *GONE, "'pya'", "it has 'cart', 'pay', 'view'", "Did you mean 'pay'?"),
    refuse("one of several never occurs", ruled(interest=["cart", "like"]), *GONE, "'like'"),
    refuse("an event in other case", ruled(awareness="VIEW"), *GONE, "Did you mean 'view'?"),
    refuse("loyalty of one purchase", ruled(loyalty=1), *RULE, "two or more", "[1]"),
    refuse("loyalty of no purchase", ruled(loyalty=0), *RULE, "two or more"),
    refuse("loyalty below zero", ruled(loyalty=-3), *RULE, "two or more"),
    refuse("loyalty of numpy's one", ruled(loyalty=np.int64(1)), *RULE, "two or more"),
    refuse("loyalty of very many", ruled(loyalty=10**12), *RULE, "two or more"),
    refuse("loyalty is true", ruled(loyalty=True), *RULE, "no step"),
    refuse("loyalty of two and a half", ruled(loyalty=2.5), *RULE, "no step"),
    refuse("loyalty of None", ruled(loyalty=None), *RULE, "no step"),
    refuse("a number among text events", ruled(purchase=7), *RULE, "holds text"),
    refuse("an empty list", ruled(interest=[]), *RULE, "no step"),
    refuse("an empty mapping", ruled(interest={}), *RULE, "asks for nothing"),
    refuse("a mapping with another key", ruled(interest={"events": "cart"}), *RULE, "'events'", "Did you mean 'event'?"),
    refuse("a condition on no column", ruled(interest={"event": "cart", "where": {"vap": True}}), *MISSING, "'vap'", "Did you mean 'vip'?"),
    refuse("a condition of another type", ruled(interest={"event": "cart", "where": {"vip": "yes"}}), *RULE, "true and false"),
    refuse("events without their column", on(event=None), P, "parameter.event", "name it"),
    # columns
    refuse("no such customer", on(customer="user"), *MISSING, "customer='user'"),
    refuse("no such event column", on(event="wat"), *MISSING, "event='wat'", "Did you mean 'what'?"),
    refuse("no such time", on(time="when"), *MISSING, "time='when'"),
    refuse("no such channel", on(channel="chanel"), *MISSING, "Did you mean 'channel'?"),
    refuse("a column twice", on(channel="uid"), *REPEATED, "customer"),
    refuse("the event as the channel", on(channel="what"), *REPEATED, "channel"),
    refuse("a column named by a number", on(customer=3), *NAME, "customer=3"),
    refuse("no time", on(time=None), *NAME, "time=None"),
    refuse("times of text", on(log(at=list(STAMPS))), *TYPE, "time='at'"),
    refuse("customers of time", on(log(uid=pd.to_datetime(list(STAMPS)))), *TYPE, "customer='uid'"),
    refuse("channels of time", on(channel="when", frame=log(when=pd.to_datetime(list(STAMPS)))), *TYPE, "channel='when'"),
    refuse("a customer named stage", on(log().rename(columns={"uid": "stage"}), customer="stage"), *RESERVED, "customer='stage'"),
    refuse("a channel named customers", on(log().rename(columns={"channel": "customers"}), channel="customers"), *RESERVED),
    refuse("a channel named lost_rate", on(log().rename(columns={"channel": "lost_rate"}), channel="lost_rate"), *RESERVED),
    # rows and moments
    refuse("no table", on([1, 2, 3]), D, "data.kind", "events is a list"),
    refuse("no rows", on(log().head(0)), D, "data.*"),
    refuse("as_of before the data", on(as_of="2025-12-31"), *NOBODY, "as_of='2025-12-31'", "choose a later as_of"),
    refuse("nobody has an id", on(log(uid=pd.array([None] * 6, dtype="string"))), *NOBODY, "'uid'"),
    refuse("nothing has a time", on(log(at=pd.Series([pd.NaT] * 6))), *NOBODY, "'at'"),
    refuse("no flag is set", lambda: count(log(none=False), dict.fromkeys(RULES, "none")), *NOBODY),
    refuse("as_of that is no moment", on(as_of="last week"), P, "parameter.as_of", "ISO 8601"),
    refuse("as_of of None", on(as_of=None), P, "parameter.as_of"),
    refuse("as_of in a zone", on(as_of=dt.datetime(2026, 1, 31, tzinfo=dt.UTC)), P, "parameter.as_of.aware"),
    refuse("as_of without a zone", on(tz="UTC", as_of="2026-01-31 10:00"), P, "parameter.as_of.naive"),
    refuse("no such zone", on(tz="Asia/Shanghi"), P, "parameter.tz", "Did you mean 'Asia/Shanghai'?"),
    refuse("a window of nothing", on(window=0), P, "parameter.window"),
    refuse("a window of hours", on(window="12h"), P, "parameter.window"),
    refuse("labels in French", on(labels="fr"), P, "parameter.labels", "'en', 'zh'"),
    refuse("labels that lack one", on(labels={"awareness": "A", "interest": "I", "purchase": "P"}), P, "parameter.labels", "['loyalty']"),
    refuse("labels alike", on(labels=dict.fromkeys(RULES, "A")), P, "parameter.labels", "4 different names"),
    refuse("a label of newcomers", on(labels={key: key for key in RULES} | {"loyalty": "(new)"}), P, "parameter.labels", "'(new)'"),
    # flows
    refuse("a flow to a frame", lambda: count().flow(log()), *AFTER, "DataFrame"),  # type: ignore[arg-type]
    refuse("a flow between languages", flow(on(labels="zh")), *AFTER, "认知", "awareness"),
    refuse("a flow between channels", flow(on(channel="channel")), *AFTER, "columns="),
    refuse("a flow between customers", flow(on(log().rename(columns={"uid": "buyer"}), customer="buyer")), *AFTER, "'buyer'"),
    refuse("a flow backwards", flow(on(as_of="2026-01-20")), *AFTER, "2026-01-20", "swap the two"),
    refuse("a flow with doubt beyond measure", flow(confidence=95), P, "parameter.confidence", "Did you mean 0.95?"),
    refuse("ids of unlike types", flow(on(log(uid=[1, 1, 1, 2, 2, 3]))), *TYPE, "customer='uid'", "Cast one of them"),
    refuse("channels of unlike types", flow(on(log(channel=range(6)), channel="channel"), count(channel="channel")), *TYPE, "'channel'"),
    refuse("frames of two kinds", flow(on(pl.from_pandas(log()))), D, "data.kind", "pandas", "polars"),
    # rates by stage
    refuse("rates without rules", kpis(rules={}), *RULE, "mapping of names to events"),
    refuse("rates from a list", kpis(rules=["view"]), *RULE, "mapping of names to events"),
    refuse("a rate without a name", kpis(rules={"": "view"}), *RULE, "a text that is not empty"),
    refuse("a rate named by a number", kpis(rules={1: "view"}), *RULE, "a text that is not empty"),
    refuse("a rate named by half a letter", kpis(rules={"\ud800": "view"}), *RULE, "a text that is not empty"),
    refuse("a rate of nothing", kpis(rules={"saw": None}), *RULE, "no step"),
    refuse("a rate of what never occurs", kpis(rules={"saw": "veiw"}), *GONE, "Did you mean 'view'?"),
    refuse("too many rates", kpis(rules={str(number): "view" for number in range(63)}), *RULE, "62 are the most"),
    refuse("rates of events without their column", kpis(event=None), P, "parameter.event", "name it"),
    refuse("a span without times", kpis(time=None, between=("2026-01-01", None)), *BETWEEN, "time=None"),
    refuse("a zone without times", kpis(time=None, tz="UTC"), P, "parameter.tz", "time=None"),
    refuse("a span of one end", kpis(between=("2026-01-01",)), *BETWEEN, "a pair of moments"),
    refuse("a span of text", kpis(between="2026-01-01"), *BETWEEN, "a pair of moments"),
    refuse("a span backwards", kpis(between=("2026-01-05", "2026-01-01")), *BETWEEN, "swap the two"),
    refuse("a span of no moments", kpis(between=("soon", None)), *BETWEEN, "ISO 8601"),
    refuse("a span in a zone", kpis(between=(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None)), P, "parameter.between.aware"),
    refuse("rates of no such customer", kpis(customer="user"), *MISSING, "customer='user'"),
    refuse("rates of a column twice", kpis(time="uid"), *REPEATED),
    refuse("rates of no rows", kpis(log().head(0)), D, "data.*"),
    refuse("rates of no table", kpis(7), D, "data.kind", "data is a int"),
    refuse("ids of another type", kpis(people=pd.DataFrame({"uid": [1, 2]})), *TYPE, "in data", "Cast one of them"),
    refuse("customers of another kind", kpis(people=pl.DataFrame({"uid": ["ann"]})), D, "data.kind", "pandas", "polars"),
    refuse("a group named rate", table("rate"), *RESERVED, "by='rate'"),
    refuse("a group named stage", table("stage"), *RESERVED, "by='stage'"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refused_with_a_sentence(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


def test_the_same_sentence_for_every_kind(kind: Kind) -> None:
    frame = kind.make(log())
    check_refused(lambda: count(frame, RULES | {"purchase": "pya"}), *GONE, ["it has 'cart', 'pay', 'view'", "Did you mean 'pay'?"])
    check_refused(on(frame, as_of="2025-12-31"), *NOBODY)
    check_refused(on(frame, channel="chanel"), *MISSING, ["Did you mean 'channel'?"])
    people = kind.make(pd.DataFrame({"uid": ["ann"]}))
    check_refused(kpis(frame, {"saw": "veiw"}, people), *GONE, ["Did you mean 'view'?"])


def test_a_number_is_an_event_where_it_stands_in_a_list() -> None:
    """Of events that are numbers, a bare number under loyalty is still that of the purchases."""
    numbered = log(what=[1, 2, 3, 1, 3, 1])
    rules = {"awareness": 1, "interest": 2, "purchase": 3}
    assert columns_of(count(numbered, rules | {"loyalty": 2}).table)["customers"] == [1, 0, 2, 0]
    assert columns_of(count(numbered, rules | {"loyalty": [2]}).table)["customers"] == [1, 0, 1, 1]
    check_refused(lambda: count(numbered, rules | {"loyalty": 1}), *RULE, ["Write [1]"])
    check_refused(lambda: count(numbered, rules | {"loyalty": [7]}), *GONE, ["it has 1, 2, 3"])


def customers_in(found: AIPL[Any]) -> dict[str, list[Any]]:
    return columns_of(found.customers)


def flow_to_itself(found: AIPL[Any]) -> dict[str, list[Any]]:
    return columns_of(found.flow(found).table)


def test_odd_tables_are_counted_or_refused() -> None:
    """Types at the edge of what a frame may hold: categories, dictionaries and mixed ids are counted, lists and objects of dates not."""
    counted: list[Any] = [
        pl.from_pandas(log()).with_columns(pl.col("uid").cast(pl.Categorical), pl.col("what").cast(pl.Enum(["view", "cart", "pay"]))),
        pa.table({name: pa.array(values) for name, values in log().to_dict("list").items()}),
        pa.Table.from_pandas(log()).set_column(0, "uid", pa.array(list(log()["uid"])).dictionary_encode()),
        log(uid=pd.Series([1, "ann", 2.5, None, 1, 1], dtype=object)),
        log(what=pd.Series(["view", 7, None, "cart", "pay", "pay"], dtype=object)),
        log(uid=[1.0, 1.0, np.inf, -0.0, 0.0, np.nan]),
    ]
    refused: list[Any] = [
        pl.from_pandas(log()).with_columns(pl.concat_list("channel")),
        log(uid=pd.Series([[1], [1], [1], [2], [2], [3]], dtype=object)),
        log(at=pd.Series([dt.date(2026, 1, 1)] * 6, dtype=object)),
        log(channel=pd.Series([["a"]] * 6, dtype=object)),
    ]
    for frame in refused:
        check_refused(on(frame, channel="channel"), om.ColumnError, "column.type")
    for frame in counted:
        found = on(frame, channel="channel")()
        assert isinstance(found, AIPL)
        for question in (customers_in, flow_to_itself):
            settled(functools.partial(question, found))
    for frame in (*counted, *refused):
        own = pa.table(frame) if isinstance(frame, pa.Table) else frame
        settled(kpis(frame, people=own[["uid"]] if isinstance(frame, pd.DataFrame) else own.select(["uid"])))


def test_one_kind_of_zero() -> None:
    assert columns_of(count(log(uid=[0.0, -0.0, 0.0, -0.0, 0.0, 1.0]), RULES | {"loyalty": 3}).table)["customers"] == [1, 0, 1, 0]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_beyond_the_calendar(unit: Any) -> None:
    frame = pl.from_pandas(log()).with_columns(pl.Series("at", [2**62] * 6, dtype=pl.Int64))
    frame = frame.with_columns(pl.col("at").cast(pl.Datetime("us")))
    check_refused(kpis(frame, people=pl.DataFrame({"uid": ["ann"]})), D, "data.time", ["1 to 9999"])
    settled(on(log(at=pd.to_datetime(list(STAMPS)).astype(f"datetime64[{unit}]"))))
