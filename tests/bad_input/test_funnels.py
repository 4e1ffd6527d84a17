"""Funnels and paths: steps, spans and questions outside the rules, columns that do not fit, logs in which nothing happens."""

from __future__ import annotations

import copy
import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import opsmetrics as om
from tests.bad_input.cases import Case, check_refused, refuse, settled
from tests.support import Kind, columns_of

STAMPS = ("2026-01-01 10:00", "2026-01-01 10:05", "2026-01-02 10:00", "2026-01-01 11:00", "2026-01-09 11:00", "2026-01-03 09:00")
NAMES: dict[str, Any] = {"customer": "uid", "event": "what", "time": "at"}
P = om.ParameterError
STEPS, TYPE, MISSING = (P, "parameter.steps"), (om.ColumnError, "column.type"), (om.ColumnError, "column.missing")
RESERVED, REPEATED, NAME = (om.ColumnError, "column.reserved"), (om.ColumnError, "column.repeated"), (om.ColumnError, "column.name")
COUNTS, WINDOW = (P, "parameter.counts"), (P, "parameter.window")
OPTIONAL_CART = ["view", om.Step("cart", optional=True), "pay"]


def log(**columns: Any) -> pd.DataFrame:
    """Six events: ann views, carts and pays, bo views and pays, cy views."""
    usual: dict[str, Any] = {
        "uid": ["ann", "ann", "ann", "bo", "bo", "cy"],
        "what": ["view", "cart", "pay", "view", "pay", "view"],
        "at": pd.to_datetime(list(STAMPS)),
        "channel": ["ads", "ads", "web", "web", "web", "ads"],
        "money": [0.0, 0.0, 9.5, 0.0, 20.0, 0.0],
        "vip": [True, True, True, False, False, False],
    }
    return pd.DataFrame(usual | columns)


def objects(*values: Any) -> pd.Series:
    return pd.Series(list(values), dtype=object)


def funnel(frame: Any = None, steps: Any = ("view", "pay"), **arguments: Any) -> om.Funnel[Any]:
    return om.funnel(log() if frame is None else frame, steps, **(NAMES | arguments))


def on(frame: Any = None, **arguments: Any) -> Callable[[], Any]:
    return lambda: funnel(frame, **arguments)


def steps(*given: Any) -> Callable[[], Any]:
    return lambda: funnel(steps=list(given))


def pay_where(**conditions: Any) -> Callable[[], Any]:
    return steps("view", {"event": "pay", "where": conditions})


def renamed(old: str, new: Any) -> pd.DataFrame:
    return log().rename(columns={old: new})


def paths(frame: Any = None, **arguments: Any) -> Callable[[], Any]:
    return lambda: om.path_transitions(log() if frame is None else frame, **(NAMES | arguments))


def visits(frame: Any = None, **arguments: Any) -> Callable[[], Any]:
    return lambda: om.sessionize(log() if frame is None else frame, **({"customer": "uid", "time": "at"} | arguments))


def prepared(frame: Any = None, **arguments: Any) -> om.EventLog[Any]:
    return om.prepare_events(log() if frame is None else frame, **(NAMES | arguments))


def asked(question: Callable[[om.Funnel[Any]], Any], **arguments: Any) -> Callable[[], Any]:
    return lambda: question(funnel(**arguments))


def reached(found: om.Funnel[Any]) -> list[int]:
    return columns_of(found.table)["customers"]


CASES_STEPS = [
    refuse("unknown step", steps("view", "payy"), P, "parameter.steps.missing", "'payy'", "Did you mean 'pay'?", "allow_missing=True"),
    refuse("one step", steps("view"), *STEPS, "['view']", "two or more"),
    refuse("no steps", steps(), *STEPS, "two or more"),
    refuse("steps a text", on(steps="view"), *STEPS, "must be a list", "Did you mean ['view', ...]?"),
    refuse("steps None", on(steps=None), *STEPS, "must be a list"),
    refuse("steps a mapping", on(steps={"a": "view", "b": "pay"}), *STEPS, "must be a list"),
    refuse("steps an array", on(steps=np.array(["view", "pay"])), *STEPS, "must be a list"),
    refuse("63 steps", steps(*["view"] * 63), *STEPS, "62 are the most"),
    *[
        refuse(f"step {thing!r}", steps("view", thing), *STEPS, repr(thing), "is no step")
        for thing in (None, True, 1.5, float("nan"), b"pay", [], [None], ["pay", ["cart"]], "\ud800", 2**70, ["view", 1.5])
    ],
    refuse("step an object", steps("view", object()), *STEPS, "is no step"),
    refuse("a step of a step", steps("view", om.Step(om.Step("pay"))), *STEPS, "is no step"),
    refuse("step {}", steps("view", {}), *STEPS, "asks for nothing"),
    refuse("step with an unknown key", steps("view", {"evnt": "pay"}), *STEPS, "'evnt'", "Did you mean 'event'?"),
    refuse("step with after", steps("view", {"event": "pay", "after": 1}), *STEPS, "'after'"),
    refuse("label empty", steps("view", om.Step("pay", label="")), P, "parameter.label", "label=''"),
    refuse("label blank", steps("view", om.Step("pay", label="  ")), P, "parameter.label"),
    refuse("label a number", steps("view", om.Step("pay", label=5)), P, "parameter.label", "label=5"),
    refuse("first optional", steps(om.Step("view", optional=True), "pay"), *STEPS, "'view'", "first step"),
    refuse("only one required", steps("view", om.Step("pay", optional=True)), *STEPS, "one required step"),
    refuse("optional a word", steps("view", om.Step("cart", optional="no"), "pay"), P, "parameter.optional", "optional='no'"),
    refuse("optional None", steps("view", om.Step("cart", optional=None), "pay"), P, "parameter.optional"),
    refuse("a number among text", steps("view", 1), *STEPS, "holds text"),
    refuse("text among numbers", on(log(what=[1, 2, 3, 1, 3, 1]), steps=[1, "3"]), *STEPS, "'3'", "whole numbers"),
    refuse("events without a column", on(event=None), P, "parameter.event", "'view'", "['vip']", "event=None"),
    refuse("where missing", pay_where(chanel="ads"), *MISSING, "'chanel'", "Did you mean 'channel'?"),
    refuse("where by number", steps("view", {"event": "pay", "where": {1: "ads"}}), *MISSING),
    refuse("where by the number of a column", on(renamed("money", 5), steps=["view", {"event": "pay", "where": {5: 9.5}}]), *MISSING),
    refuse("where text for numbers", pay_where(money="9"), *STEPS, "'money'", "'9'", "numbers"),
    refuse("where 1 for a flag", pay_where(vip=1), *STEPS, "true and false"),
    refuse("where True for text", pay_where(channel=True), *STEPS, "holds text"),
    refuse("where True for numbers", pay_where(money=True), *STEPS),
    refuse("where None", pay_where(channel=None), *STEPS, "None"),
    refuse("where NaN", pay_where(money=float("nan")), *STEPS, "nan"),
    refuse("where too large", pay_where(money=10**400), *STEPS),
    refuse("where no text", pay_where(channel="\ud800"), *STEPS),
    refuse("where empty", pay_where(channel=[]), *STEPS, "no value for 'channel'"),
    refuse("where nested", pay_where(channel=[["ads"]]), *STEPS),
    refuse("where a time", pay_where(at="2026-01-01"), *TYPE, "'at'", "make a boolean column"),
    refuse("where a text", steps("view", {"event": "pay", "where": "channel"}), *STEPS, "mapping of columns"),
]

SPANS = [
    *[
        refuse(f"window {window!r}", on(window=window), *WINDOW, "is no span of time", "'7D'")
        for window in (
            "-7D", -7, "7", 7.5, True, "seven days", "7X", "", [7], pd.NaT, np.timedelta64(1, "M"), np.timedelta64("NaT", "D"),
            dt.timedelta(-1), float("nan"), "99999999999999D", dt.timedelta.max, pd.DateOffset(months=1),
        )
    ],
    refuse("step_window 7", on(step_window=7), P, "parameter.step_window", "Did you mean '7D'?"),
    refuse("step_window of the wrong length", on(steps=["view", "cart", "pay"], step_window=["1D"]), P, "parameter.step_window", "3 steps"),
    refuse("step_window empty", on(step_window=[]), P, "parameter.step_window"),
    refuse("step_window negative", on(step_window="-1D"), P, "parameter.step_window"),
    refuse("step_window in a mapping", on(step_window={"pay": "1D"}), P, "parameter.step_window"),
    refuse("step_window of an optional step", on(steps=OPTIONAL_CART, step_window=["1D", None]), P, "parameter.step_window", "'cart'"),
    refuse("min_gap 5", on(min_gap=5), P, "parameter.min_gap", "Did you mean '5D'?"),
    refuse("min_gap over step_window", on(step_window="1D", min_gap="2D"), P, "parameter.min_gap", "'2D'", "'1D'"),
    *[
        refuse(f"entries_between {given!r}", on(entries_between=given), P, "parameter.entries_between", *says)
        for given, *says in (
            [("2026-02-01", "2026-01-01"), "swap"], ["2026-01-01", "a pair"], [("2026-01-01",), "a pair"], [(1, 2, 3), "a pair"],
            [{"2026-01-01"}, "a pair"], [("junk", None), "'junk'"], [(1, 2), "1"], [(pd.NaT, None), "NaT"],
        )
    ],
    refuse(
        "entries_between aware", on(entries_between=("2026-01-01T00:00+00:00", None)),
        P, "parameter.entries_between.aware", "has a time zone",
    ),
    refuse(
        "entries_between naive", on(tz="UTC", entries_between=("2026-01-01 10:00", None)),
        P, "parameter.entries_between.naive", "has no time zone",
    ),
    refuse("confidence 95", on(confidence=95), P, "parameter.confidence", "Did you mean 0.95?"),
    refuse("confidence 1", on(confidence=1), P, "parameter.confidence"),
    refuse("tz unknown", on(tz="Mars"), P, "parameter.tz", "'Mars'"),
]  # fmt: skip

TOGETHER = [
    refuse("order unknown", on(order="Strict"), P, "parameter.order", "Did you mean 'strict'?"),
    refuse("order None", on(order=None), P, "parameter.order"),
    refuse("ties a list", on(ties=["strict"]), P, "parameter.ties"),
    refuse("entry unknown", on(entry="last"), P, "parameter.entry", "'best', 'first', 'latest'"),
    refuse("count unknown", on(count="total"), P, "parameter.count", "Did you mean 'totals'?"),
    refuse("exclusion unknown", on(exclusion="drop"), P, "parameter.exclusion"),
    refuse("any with strict ties", on(order="any", ties="strict"), P, "parameter.ties", "order='any'"),
    refuse("any with step_window", on(order="any", step_window="1D"), P, "parameter.step_window", "order='any'"),
    refuse("any with min_gap", on(order="any", min_gap="1D"), P, "parameter.min_gap", "order='any'"),
    refuse("any with optional", on(order="any", steps=OPTIONAL_CART), P, "parameter.steps", "order='any'"),
    refuse(
        "any with an exclusion between steps", on(order="any", steps=["view", "cart", "pay"], exclude={"event": "cart", "after": "cart"}),
        P, "parameter.exclude", "order='any'",
    ),
    refuse("totals with entry", on(count="totals", entry="first"), P, "parameter.entry", "count='totals'"),
    refuse("totals with remove", on(count="totals", exclude="cart", exclusion="remove"), P, "parameter.exclusion", "exclusion='end'"),
    refuse("exclude unknown", on(exclude="carrt"), P, "parameter.exclude.missing", "Did you mean 'cart'?"),
    refuse("exclude True", on(exclude=True), P, "parameter.exclude"),
    refuse("exclude [None]", on(exclude=[None]), P, "parameter.exclude"),
    refuse("exclude after unknown", on(exclude={"event": "cart", "after": "vieww"}), P, "parameter.after", "Did you mean 'view'?"),
    refuse("exclude before 9", on(exclude={"event": "cart", "before": 9}), P, "parameter.before", "from 1 to 2"),
    refuse("exclude after True", on(exclude={"event": "cart", "after": True}), P, "parameter.after"),
    refuse("exclude after None", on(exclude={"event": "cart", "after": None}), P, "parameter.after"),
    refuse(
        "exclude after an optional", on(steps=OPTIONAL_CART, exclude={"event": "cart", "after": "cart"}),
        P, "parameter.after", "optional",
    ),
    refuse("exclude backwards", on(exclude={"event": "cart", "after": "pay", "before": "view"}), P, "parameter.exclude", "come before"),
    refuse("exclude nothing", on(exclude={"after": 1}), P, "parameter.exclude", "asks for nothing"),
    refuse("exclude with an unknown key", on(exclude={"event": "cart", "aftr": 1}), P, "parameter.exclude", "Did you mean 'after'?"),
    refuse("too many patterns", on(steps=["view"] * 40, exclude=["cart"] * 40), P, "parameter.exclude", "62"),
    refuse("prepared with a customer", lambda: om.funnel(prepared(), ["view", "pay"], customer="uid"), P, "parameter.customer", "prepared"),
    refuse("prepared with an event", lambda: om.funnel(prepared(), ["view", "pay"], event="what"), P, "parameter.event", "prepared"),
    refuse("prepared with a time", lambda: om.path_transitions(prepared(), time="at"), P, "parameter.time", "prepared"),
    refuse("prepared with another tz", lambda: om.funnel(prepared(), ["view", "pay"], tz="UTC"), P, "parameter.tz", "tz=None"),
    refuse("prepared and unknown", lambda: om.funnel(prepared(), ["view", "payy"]), P, "parameter.steps.missing", "Did you mean 'pay'?"),
    refuse("prepared again", lambda: om.prepare_events(prepared(), **NAMES), om.DataError, "data.kind", "EventLog"),
    refuse("prepared in visits", lambda: om.sessionize(prepared(), customer="uid", time="at"), om.DataError, "data.kind"),
]  # fmt: skip

COLUMNS = [
    refuse("customer None", on(customer=None), P, "parameter.customer", "['uid', 'what'"),
    refuse("time None", on(time=None), P, "parameter.time"),
    refuse("event None for paths", paths(event=None), P, "parameter.event"),
    refuse("no columns", lambda: om.funnel(log(), ["view", "pay"]), P, "parameter.customer"),
    refuse("customer missing", on(customer="user"), *MISSING, "'user'"),
    refuse("event missing", on(event="wat"), *MISSING, "Did you mean 'what'?"),
    refuse("customer a list", on(customer=["uid"]), *NAME),
    refuse("event a list", on(event=["what"]), *NAME),
    refuse("time 5", on(time=5), *NAME, "time=5"),
    refuse("customer a list, of visits", visits(customer=["uid"]), *NAME),
    refuse("customer a list, of paths", paths(customer=["uid"]), *NAME),
    refuse("time is the customer", on(time="uid"), *REPEATED),
    refuse("event is the customer", on(event="uid"), *REPEATED),
    refuse("event is the time", on(event="at"), *REPEATED),
    refuse("customer twice in the frame", on(pd.concat([log(), log()[["uid"]]], axis=1)), om.ColumnError, "column.duplicate", "['uid']"),
    refuse("customer of flags", on(customer="vip"), *TYPE),
    refuse("customer of lists", on(log(uid=objects(*[[1]] * 6))), *TYPE, "cannot be told apart"),
    refuse("customer of times", on(log(uid=pd.to_datetime(list(STAMPS)))), *TYPE),
    refuse("event of flags", on(event="vip"), *TYPE, "Boolean"),
    refuse("event of flags, prepared", lambda: prepared(event="vip"), *TYPE),
    refuse("event of flags, in paths", paths(event="vip"), *TYPE),
    refuse("event of lists", on(log(what=objects(*[["view"]] * 6))), *TYPE, "cannot be told apart"),
    refuse("event of bytes", on(log(what=objects(*[b"view"] * 6))), P, "parameter.steps.missing"),
    refuse("text for events of floats", on(log(what=[1.0, 2.0, 3.0, 1.0, 3.0, 1.0])), P, "parameter.steps.missing", "1.0, 2.0, 3.0"),
    refuse("times as text", on(log(at=list(STAMPS))), *TYPE, "Parse it first"),
    refuse("times as numbers", on(log(at=range(6))), *TYPE),
    refuse(
        "mixed time zones",
        on(log(at=objects(*[dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=h))) for h in (0, 8, 0, 8, 0, 8)]))), *TYPE,
    ),
    refuse("mixed time zones, in visits", visits(log(at=objects(*[dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * 6))), *TYPE),
    refuse("tz for dates", on(pl.DataFrame({"uid": ["a"], "what": ["view"], "at": [dt.date(2026, 1, 1)]}), tz="UTC"), P, "parameter.tz"),
    refuse("hold missing", on(hold=["chanel"]), *MISSING, "Did you mean 'channel'?"),
    refuse("hold the customer", on(hold=["uid"]), *REPEATED),
    refuse("hold the event", on(hold=["what"]), *REPEATED, "cannot be constant"),
    refuse("hold twice", on(hold=["channel", "channel"]), *REPEATED),
    refuse("hold 5", on(hold=5), P, "parameter.hold", "must be a list"),
    refuse("hold [None]", on(hold=[None]), *NAME),
    refuse("hold a list of lists", on(hold=[["channel"]]), *NAME),
    refuse("hold a column of the result", on(renamed("channel", "level"), hold=["level"]), *RESERVED, "'level'"),
    refuse("hold time_2", on(renamed("channel", "time_2"), hold=["time_2"]), *RESERVED),
    *[
        refuse(f"customer named {name}", on(renamed("uid", name), customer=name), *RESERVED, repr(name))
        for name in ("level", "immature", "time_1", "row_2")
    ],
    refuse("amount missing", on(amount="mony"), *MISSING, "Did you mean 'money'?"),
    refuse("amount of text", on(amount="channel"), *TYPE),
    refuse("amount infinite", on(log(money=[0, 0, np.inf, 0, 0, 0]), amount="money"), om.DataError, "data.amount", "inf"),
    refuse("amount minus infinite", on(log(money=[0, 0, -np.inf, 0, 0, 0]), amount="money"), om.DataError, "data.amount"),
    refuse("amount beyond sums", on(log(money=[0, 0, 1e300, 0, 0, 0]), amount="money"), om.DataError, "data.amount"),
    refuse("all null events", on(log(what=objects(*[None] * 6))), P, "parameter.steps.missing", "no event"),
    refuse("no table", on([1, 2]), om.DataError, "data.kind", "list"),
    refuse("no table, for paths", paths("events.csv"), om.DataError, "data.kind"),
    refuse("no table, for visits", visits({}), om.DataError, "data.kind"),
    refuse("mixed customers", lambda: funnel(log(uid=objects("ann", "ann", 1, 1, 2.5, "cy"))).customers, om.DataError, "data.mixed"),
]  # fmt: skip

QUESTIONS = [
    refuse("by missing", asked(lambda f: f.by("chanel")), *MISSING, "column='chanel'", "Did you mean 'channel'?"),
    refuse("by None", asked(lambda f: f.by(None)), *NAME),
    refuse("by a list", asked(lambda f: f.by(["channel"])), *NAME),
    refuse("by 5", asked(lambda f: f.by(5)), *NAME),
    refuse("by the customer", asked(lambda f: f.by("uid")), *REPEATED, "column='uid'"),
    refuse("by the time", asked(lambda f: f.by("at")), *REPEATED),
    refuse("by a column of the result", asked(lambda f: f.by("step"), frame=renamed("channel", "step")), *RESERVED),
    refuse("by seconds", asked(lambda f: f.by("load_seconds"), frame=renamed("channel", "load_seconds")), *RESERVED),
    refuse("by at an unknown step", asked(lambda f: f.by("channel", at="views")), P, "parameter.at", "Did you mean 'view'?"),
    refuse("by at 0", asked(lambda f: f.by("channel", at=0)), P, "parameter.at", "from 1 to 2"),
    refuse("by at a list", asked(lambda f: f.by("channel", at=["first"])), P, "parameter.at"),
    refuse("by at True", asked(lambda f: f.by("channel", at=True)), P, "parameter.at"),
    refuse("by at a step of any order", asked(lambda f: f.by("channel", at=1), order="any"), P, "parameter.at", "order='any'"),
    refuse("compare with an unknown value", asked(lambda f: f.compare("channel", baseline="webb")), P, "parameter.baseline", "'web'?"),
    refuse("compare with None", asked(lambda f: f.compare("channel", baseline=None)), P, "parameter.baseline"),
    refuse("compare with NA", asked(lambda f: f.compare("channel", baseline=pd.NA)), P, "parameter.baseline"),
    refuse("compare with an array", asked(lambda f: f.compare("channel", baseline=np.array(["ads", "web"]))), P, "parameter.baseline"),
    refuse(
        "compare one value", asked(lambda f: f.compare("channel", baseline="a"), frame=log(channel="a")),
        om.DataError, "data.values", "nothing to compare",
    ),
    refuse(
        "compare with a value off the paths", asked(lambda f: f.compare("channel", baseline="b"), frame=log(channel=list("abaaaa"))),
        P, "parameter.baseline", "no path of its own",
    ),
    refuse("compare p_value", asked(lambda f: f.compare("p_value", baseline="a"), frame=renamed("channel", "p_value")), *RESERVED),
    refuse("denominator", asked(lambda f: f.compare("channel", baseline="web", denominator="entry")), P, "parameter.denominator"),
    refuse("times of one step", asked(lambda f: f.times("view", "view")), P, "parameter.start", "does not come before"),
    refuse("times backwards", asked(lambda f: f.times("pay", "view")), P, "parameter.start"),
    refuse("times of an unknown step", asked(lambda f: f.times("view", "payy")), P, "parameter.end", "Did you mean 'pay'?"),
    refuse("times of None", asked(lambda f: f.times(None, 2)), P, "parameter.start"),
    *[
        refuse(f"quantiles {levels!r}", asked(lambda f, levels=levels: f.times(1, 2, quantiles=levels)), P, "parameter.quantiles")
        for levels in ([2], [-0.1], [], 0.5, "0.5", [float("nan")], [True])
    ],
    *[
        refuse(f"edges {edges!r}", asked(lambda f, edges=edges: f.times(1, 2, edges=edges)), P, "parameter.edges")
        for edges in (0, True, "1h", ["1h"], ["1h", "5min"], [None, "1h"], ["5min", None, "1h"], [0, 60], 3.5)
    ],
    refuse("trend of weeks", asked(lambda f: f.trend("weeks")), P, "parameter.period", "Did you mean 'week'?"),
    refuse("trend None", asked(lambda f: f.trend(None)), P, "parameter.period"),
    refuse("next after an unknown step", asked(lambda f: f.next_events(after="vieww")), P, "parameter.after", "'view'?"),
    refuse("next in any order", asked(lambda f: f.next_events(after=1), order="any"), P, "parameter.after"),
    refuse(
        "next without events", asked(lambda f: f.next_events(after=1), event=None, steps=["vip", {"where": {"channel": "web"}}]),
        P, "parameter.event", "event=None",
    ),
    refuse(
        "next where an event is called nothing",
        asked(lambda f: f.next_events(after=1), frame=log(what=["view", "(nothing)", "view", "view", "pay", "view"])),
        om.DataError, "data.label", "'(nothing)'",
    ),
]  # fmt: skip

FROM_COUNTS = [
    *[
        refuse(f"{name} of counts", lambda ask=ask: ask(om.funnel_from_counts({"a": 5, "b": 2})), *COUNTS, name, "counts alone")
        for name, ask in {
            "by": lambda f: f.by("x"), "compare": lambda f: f.compare("x", baseline=1), "times": lambda f: f.times(1, 2),
            "survival": lambda f: f.survival(), "trend": lambda f: f.trend(), "next_events": lambda f: f.next_events(after=1),
        }.items()
    ],
    refuse("counts that grow", lambda: om.funnel_from_counts({"a": 1, "b": 2}), *COUNTS, "grow from 'a' (1) to 'b' (2)"),
    *[
        refuse(f"counts {counts!r}", lambda counts=counts: om.funnel_from_counts(counts), *COUNTS)
        for counts in (
            {"a": 1, "b": -1}, {"a": 2.0, "b": 1.0}, {"a": True, "b": False}, {"a": 2, "b": None}, {"a": float("nan"), "b": 1},
            {"a": 2**60, "b": 1}, {"a": "2", "b": "1"}, {"a": 1}, {}, None, "ab", ["ab", "cd"], [("a", 2, 1)],
        )
    ],
    refuse("counts with confidence 95", lambda: om.funnel_from_counts({"a": 2, "b": 1}, confidence=95), P, "parameter.confidence", "0.95"),
]  # fmt: skip

PATHS = [
    *[
        refuse(f"gap {gap!r} of {call.__name__}", call(gap=gap), P, "parameter.gap")
        for call in (paths, visits)
        for gap in ("0s", "-1D", 0, 30, "thirty", pd.NaT)
    ],
    refuse("visits without a gap", visits(gap=None), P, "parameter.gap", "gap=None"),
    refuse("paths with confidence 1", paths(confidence=1), P, "parameter.confidence"),
    refuse("an event named (exit)", paths(log(what="(exit)")), om.DataError, "data.label", "'(exit)'"),
    refuse("an event named (entry)", paths(log(what="(entry)")), om.DataError, "data.label", "'(entry)'"),
    refuse("a column named session", visits(renamed("what", "session")), *RESERVED, "'session'"),
    refuse("a customer named start", visits(renamed("uid", "start"), customer="start"), *RESERVED, "'start'"),
    refuse("visits by a missing column", visits(customer="user"), *MISSING),
    refuse("visits at text", visits(time="what"), *TYPE),
]


@pytest.mark.parametrize("case", [*CASES_STEPS, *SPANS, *TOGETHER, *COLUMNS, *QUESTIONS, *FROM_COUNTS, *PATHS])
def test_refused_in_a_sentence(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


# ------------------------------------------------------------------------------------------------- documented results


def test_repeated_steps_are_numbered_and_need_a_row_each() -> None:
    found = columns_of(funnel(log(what=["view", "view", "pay", "view", "pay", "view"]), ["view", "view", "pay"]).table)
    assert found["step"] == ["view", "view (2)", "pay"]
    assert found["customers"] == [3, 1, 1]


NEVER = {
    "unknown events": {"steps": ["look", "buy"], "allow_missing": True},
    "entries before all": {"entries_between": (None, "2020-01-01")},
    "entries after all": {"entries_between": ("2030-01-01", None), "amount": "money", "hold": ["channel"]},
    "totals": {"entries_between": ("2030-01-01", None), "count": "totals"},
    "any order": {"steps": ["look", "buy"], "allow_missing": True, "order": "any"},
    "strict order": {"entries_between": ("2030-01-01", None), "order": "strict"},
}  # fmt: skip


@pytest.mark.parametrize("name", NEVER)
def test_no_entry_at_all_is_a_funnel_of_zeros(name: str, kind: Kind) -> None:
    """Nothing is known, so no rate has a value, and each may be anything."""
    found = funnel(kind.make(log()), **NEVER[name])
    table = columns_of(found.table)
    assert table["attempts" if name == "totals" else "customers"] == [0, 0]
    assert table["conversion"] == table["step_conversion"] == table["median_seconds"] == [None, None]
    assert table["conversion_low"] == [0.0, 0.0]
    assert table["conversion_high"] == [1.0, 1.0]
    assert table["dropped"] == table["tied"] == [0, 0]
    assert columns_of(found.customers)["level"] == []
    answers = [found.by("vip"), found.trend("day"), found.times(1, 2), found.survival()]
    answers += [] if NEVER[name].get("order") == "any" else [found.next_events(after=1)]
    for answer in (found, *answers):
        assert str(answer)
        assert answer.to_dict()
        assert isinstance(answer.table, kind.result)
    settled(lambda: found.compare("channel", baseline="ads"))


@pytest.mark.parametrize(
    ("column", "reason"), [("uid", "missing customer"), ("at", "missing time"), ("channel", "missing hold channel")], ids=str
)
def test_rows_without_what_counts_are_dropped_and_told(column: str, reason: str, kind: Kind) -> None:
    known = log()
    known.loc[1:, column] = None
    found = funnel(kind.make(known), hold=["channel"])
    assert sum(found.dropped.values()) == 4  # the cart matches no step
    assert list(found.dropped) == [reason]
    assert reached(found) == [1, 0]
    assert sum(funnel(kind.make(known), hold=["channel"], order="strict").dropped.values()) == 5


def nothing_but_nulls(column: str) -> pd.DataFrame:
    return log(**{column: pd.Series([None] * 6, dtype="datetime64[us]" if column == "at" else "string")})


@pytest.mark.parametrize("column", ["uid", "at", "what"])
def test_a_column_of_nulls(column: str, kind: Kind) -> None:
    frame = kind.make(nothing_but_nulls(column))
    found = funnel(frame, allow_missing=True)
    assert reached(found) == [0, 0]
    assert sum(found.dropped.values()) == (0 if column == "what" else 5)
    for answer in (found, paths(frame)(), visits(frame)(), prepared(frame)):
        assert str(answer)
    assert paths(frame)().params["paths"] == 0
    assert reached(om.funnel(prepared(frame), ["view", "pay"], allow_missing=True)) == [0, 0]


@pytest.mark.parametrize(
    "door", [funnel, lambda f: paths(f)(), lambda f: visits(f)(), prepared], ids=["funnel", "paths", "visits", "prepared"]
)
def test_a_frame_without_rows(door: Callable[[Any], Any], kind: Kind) -> None:
    check_refused(lambda: door(kind.make(log().head(0))), om.DataError, "data.empty", ["events has no rows"])


@pytest.mark.parametrize("window", ["1000000D", np.timedelta64(2**62, "ns"), dt.timedelta(days=300_000)], ids=str)
def test_a_window_longer_than_the_data(window: Any) -> None:
    found, free = funnel(window=window), funnel()
    assert reached(found) == reached(free) == [3, 2]
    assert found.params["immature"] == 1  # cy may still pay


def test_spans_may_be_written_in_many_ways() -> None:
    spans = ["7D", "7 d", "1W", "168h", dt.timedelta(7), pd.Timedelta("7D"), np.timedelta64(7, "D"), np.timedelta64(604_800, "s")]
    assert {funnel(window=span).params["window"] for span in spans} == {"7D"}
    assert reached(funnel(window="0s")) == [3, 0]


def test_a_window_without_a_unit_is_days() -> None:
    """As in `rfm`; other spans of a funnel are refused without a unit."""
    assert funnel(window=7).params["window"] == "7D"


def test_events_and_customers_of_odd_types() -> None:
    floats = log(what=[1.0, 2.0, 3.0, 1.0, 3.0, 1.0], uid=[1.0, 1.0, 1.0, 2.0, 2.0, np.nan])
    assert reached(funnel(floats, [1, 3])) == [2, 2]
    assert funnel(floats, [1, 3]).dropped == {"missing customer": 1}
    assert reached(funnel(log(what=objects("view", 1, "pay", "view", "pay", 2.5)))) == [2, 2]
    numbers = pd.Categorical([10, 20, 30, 10, 30, 10])
    assert reached(funnel(log(what=numbers), [10, 30])) == [3, 2]
    assert reached(funnel(log(channel=numbers), ["view", {"event": "pay", "where": {"channel": 30}}])) == [3, 2]
    assert reached(funnel(log(uid=pd.Categorical([1, 1, 1, 2, 2, 3])))) == [3, 2]
    assert reached(funnel(log(uid=[True, True, True, False, False, 1]).astype({"uid": object}))) == [2, 2]  # True is 1


@pytest.mark.parametrize("dtype", ["uint8", "int64", "uint64"])
def test_a_number_that_the_column_cannot_hold_never_occurs(dtype: str, kind: Kind) -> None:
    frame = kind.make(log(what=np.array([1, 2, 3, 1, 3, 1], dtype=dtype), money=np.array([1, 2, 3, 1, 3, 1], dtype=dtype)))
    for number in (-1, 300, 2**63, 2**64 - 1):
        assert reached(funnel(frame, [1, [3, number]], allow_missing=True)) == [3, 2]
        assert reached(funnel(frame, [1, {"event": 3, "where": {"money": [3, number]}}])) == [3, 2]
        check_refused(lambda number=number: funnel(frame, [1, number]), P, "parameter.steps.missing", [str(number)])


@pytest.mark.parametrize("engine", ["polars", "polars-lazy", "pyarrow", "duckdb"])
def test_whole_numbers_and_decimals_in_conditions(engine: str) -> None:
    relation = duckdb.connect().from_arrow(pa.Table.from_pandas(log(), preserve_index=False))
    relation = relation.project("*, money::decimal(9, 2) as exact")
    frame = {
        "polars": relation.pl,
        "polars-lazy": lambda: relation.pl().lazy(),
        "pyarrow": relation.to_arrow_table,
        "duckdb": lambda: relation,
    }
    for column, value in (("money", 20), ("money", 20.0), ("exact", 20), ("exact", 9.5), ("exact", [9.5, 7])):
        assert reached(funnel(frame[engine](), ["view", {"event": "pay", "where": {column: value}}])) == [3, 1]


@pytest.mark.parametrize("name", ['a"b', "a b", "客户", "a'b", "%s", "select", "a.b"])
def test_odd_names_of_columns_in_a_relation(name: str) -> None:
    columns = {old: name + number for number, old in enumerate_text(["uid", "what", "at", "channel", "money", "vip"])}
    relation = duckdb.connect().from_arrow(pa.Table.from_pandas(log().rename(columns=columns), preserve_index=False))
    names = {argument: columns[old] for argument, old in NAMES.items()}
    condition = {"event": "pay", "where": {columns["channel"]: "web", columns["vip"]: [True, False]}}
    found = om.funnel(
        relation,
        ["view", condition],
        hold=[columns["vip"]],
        amount=columns["money"],
        exclude=columns["vip"] + "",
        **names,
        allow_missing=True,
    )
    assert reached(found)[0] == 3
    assert list(columns_of(found.customers))[:2] == [columns["uid"], columns["vip"]]
    assert columns["channel"] in columns_of(found.by(columns["channel"]).table)
    assert columns_of(found.next_events(after=1).table)["event"]
    assert om.path_transitions(relation, **names).params["paths"] == 3
    assert columns_of(om.sessionize(relation, customer=names["customer"], time=names["time"]).table)["session"]


def enumerate_text(values: list[str]) -> list[tuple[str, str]]:
    return [(str(number), value) for number, value in enumerate(values)]


def test_columns_that_share_a_name_with_the_insides() -> None:
    """Names that the library uses for its own columns and arguments mean nothing in a frame."""
    odd = log().rename(columns={"uid": "marks", "at": "row", "channel": "customer", "vip": "column", "money": "event"})
    found = om.funnel(odd, ["view", "pay"], customer="marks", event="what", time="row", hold=["column"], amount="event")
    assert reached(found) == [3, 2]
    assert set(columns_of(found.by("customer").table)["customer"]) == {"ads", "web"}
    assert set(columns_of(found.by("column").table)["column"]) == {True, False}
    assert columns_of(found.by("what").table)["what"] == ["view", "view"]
    assert columns_of(found.customers)["marks"] == ["ann", "bo", "cy"]


def test_at_may_be_a_label_that_says_first() -> None:
    found = funnel(steps=["view", om.Step("pay", label="first")])
    assert columns_of(found.by("channel", at="first").table)["channel"] == ["web", "web", None, None]
    assert columns_of(found.by("channel", at=np.int64(2)).table)["channel"] == ["web", "web", None, None]


def test_amounts_that_are_missing_are_left_out_of_sums() -> None:
    assert columns_of(funnel(log(money=[1, 0, np.nan, 1, 20.0, 1]), amount="money").table)["amount"] == [3.0, 20.0]


def test_a_funnel_from_counts_of_nothing() -> None:
    found = om.funnel_from_counts([("a", 0), ("a", 0)])
    assert columns_of(found.table)["conversion"] == [None, None]
    assert columns_of(found.table)["conversion_high"] == [1.0, 1.0]
    assert str(found)
    assert not hasattr(found, "customers")


# ----------------------------------------------------------------------------------------------------- extreme times


def at(*stamps: Any, unit: str = "us") -> pl.DataFrame:
    times = (
        pl.Series(list(stamps), dtype=pl.Int64).cast(pl.Datetime(unit))
        if isinstance(stamps[0], int)
        else pl.Series(list(stamps), dtype=pl.Datetime(unit))
    )
    return pl.DataFrame({"uid": ["a"] * len(stamps), "what": ["view", "pay"] * (len(stamps) // 2), "at": times})


def everything(frame: Any, **arguments: Any) -> om.Funnel[Any]:
    found = funnel(frame, **arguments)
    for answer in (
        found,
        found.trend(),
        found.times(1, 2),
        found.survival(),
        found.next_events(after=1),
        found.by("what"),
    ):
        assert str(answer)
    columns_of(found.customers)
    return found


FIRST, LAST = dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23)


@pytest.mark.parametrize("unit", ["ms", "us"])
def test_the_whole_calendar(unit: str) -> None:
    assert reached(everything(at(FIRST, LAST, unit=unit))) == [1, 1]
    assert reached(everything(at(FIRST, LAST, unit=unit), window="1D")) == [1, 0]
    assert reached(everything(at(FIRST, LAST, unit=unit), window="9000000D", step_window="9000000D", min_gap="1D")) == [1, 1]
    assert len(columns_of(visits(at(FIRST, LAST, unit=unit))().table)["session"]) == 2
    assert paths(at(FIRST, LAST, unit=unit), gap="1D")().params["paths"] == 2
    check_refused(lambda: funnel(at(FIRST, LAST, unit=unit), tz="America/New_York"), om.DataError, "data.time", ["years 1 to 9999"])


def test_nanoseconds_at_the_end_of_64_bits() -> None:
    late = at(2**62, 2**63 - 2, unit="ns")
    for arguments in (
        {},
        {"window": "106000D"},
        {"window": "1000000D"},
        {"window": "1000000D", "count": "totals"},
        {"step_window": "1000000D"},
    ):
        table = columns_of(everything(late, **arguments).table)
        assert table["attempts" if "count" in arguments else "customers"] == [1, 1]
    assert reached(everything(late, window="50000D")) == [1, 0]


DOORS: dict[str, Callable[[Any], Any]] = {
    "funnel": funnel, "paths": lambda f: paths(f)(), "visits": lambda f: visits(f)(), "prepared": prepared,
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_times_that_64_bits_or_the_calendar_cannot_hold(door: str) -> None:
    call, refused = DOORS[door], (om.DataError, "data.time")
    check_refused(lambda: call(at(-(2**63) + 1, 2**63 - 1, unit="ns")), *refused, ["microseconds"])
    check_refused(lambda: call(at(-(2**62), 2**62)), *refused, ["years 1 to 9999"])
    for stamp in ("timestamp", "timestamptz", "date"):
        for end in ("infinity", "-infinity"):
            relation = duckdb.connect().sql(
                f"select 'a' as uid, unnest(['view', 'pay']) as what, unnest([{stamp} '2026-01-01', {stamp} '{end}']) as at"
            )
            check_refused(lambda relation=relation: call(relation), *refused, ["infinite"])


# ------------------------------------------------------------------------------------------------------------- a bot


@pytest.fixture(scope="module")
def bot() -> pd.DataFrame:
    """A million events of one customer, three a second."""
    rows = 1_000_000
    events = np.random.default_rng(0).integers(0, 4, rows)
    return pd.DataFrame(
        {
            "uid": np.ones(rows, dtype=np.int64),
            "what": pd.Categorical.from_codes(events, ["view", "cart", "pay", "help"]),
            "at": np.datetime64("2026-01-01", "us") + np.arange(rows) // 3 * np.timedelta64(1, "s"),
        }
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"count": "totals"}, {"count": "totals", "window": "1h", "step_window": "10min", "min_gap": "1min"}, {"order": "strict"},
        {"order": "any", "count": "totals", "window": "1min"}, {"step_window": "1h"},
        {"entry": "latest", "exclude": "help", "window": "1D"},
    ],
    ids=str,
)  # fmt: skip
def test_a_million_events_of_one_bot(bot: pd.DataFrame, arguments: dict[str, Any]) -> None:
    began = time.perf_counter()
    found = columns_of(funnel(bot, ["view", "cart", "pay"], **arguments).table)
    assert time.perf_counter() - began < 20
    if "count" in arguments:
        assert found["attempts"][0] > 10_000 or "min_gap" in arguments
    else:
        assert found["customers"] == [1, 1, 1]


def test_a_million_events_at_one_time(bot: pd.DataFrame) -> None:
    began, same = time.perf_counter(), bot.assign(at=bot["at"].iloc[0])
    assert reached(funnel(same, ties="strict")) == [1, 0]
    assert reached(funnel(same, step_window="1h")) == [1, 1]
    assert columns_of(funnel(same, count="totals").table)["attempts"] == [1, 1]  # all views come before all payments
    assert time.perf_counter() - began < 20


# ------------------------------------------------------------------------------------------------- nothing is changed


def contents(frame: Any) -> Any:
    if isinstance(frame, pd.DataFrame):
        return frame.copy(deep=True)
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    return copy.deepcopy(frame) if isinstance(frame, (pl.DataFrame, pa.Table)) else frame.to_arrow_table()


def test_the_caller_keeps_its_frame(kind: Kind) -> None:
    table = log(what=["view", "cart", "pay", "view", None, "view"], uid=["ann", "ann", "ann", "bo", "bo", None])
    table.loc[3, "at"] = pd.NaT
    frame = kind.make(table)
    before = contents(frame)
    conditions = ["view", {"event": "pay", "where": {"vip": True, "money": 9.5}}]
    found = funnel(frame, conditions, hold=["channel"], amount="money", exclude="cart", window="7D", order="strict", allow_missing=True)
    everything_of = (found.customers, found.by("vip"), found.trend(), found.next_events(after=1), paths(frame)(), visits(frame)().events)
    assert all(map(str, everything_of))
    ready = prepared(frame)
    assert om.funnel(ready, conditions, allow_missing=True)
    assert str(ready)
    for wrong in ({"steps": ["view", "payy"]}, {"hold": ["chanel"]}, {"amount": "channel"}):
        with pytest.raises(om.OpsmetricsError):
            funnel(frame, **wrong)
    after = contents(frame)
    if isinstance(before, pd.DataFrame):
        pd.testing.assert_frame_equal(before, after, check_exact=True)
    else:
        assert before.equals(after)
