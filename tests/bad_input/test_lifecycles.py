"""Growth accounting, stages and their fit: periods, rules and levels out of bounds, columns that do not fit, data that say nothing."""

from __future__ import annotations

import copy
import datetime as dt
import math
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import opsmetrics as om
from opsmetrics import _parts
from tests.bad_input.cases import Case, check_refused, refuse, settled
from tests.support import Kind, columns_of

STAMPS = ("2026-01-05 10:00", "2026-02-03 11:00", "2026-01-20 12:00", "2026-03-01 13:00")
NAMES: dict[str, Any] = {"customer": "uid", "time": "paid_at"}
MONEY = NAMES | {"amount": "amount"}
P = om.ParameterError
TYPE, MISSING, NAME = (om.ColumnError, "column.type"), (om.ColumnError, "column.missing"), (om.ColumnError, "column.name")
RESERVED, REPEATED = (om.ColumnError, "column.reserved"), (om.ColumnError, "column.repeated")
PERIOD, NEW_AFTER, STAGES, RULES = (P, "parameter.period"), (P, "parameter.new_after"), (P, "parameter.stages"), (P, "parameter.rules")
TIME, AMOUNT, NOTHING = (om.DataError, "data.time"), (om.DataError, "data.amount"), (om.DataError, "data.no_activity")
DATES = ["2026-01-31", "2026-03-31"]


def orders(**columns: Any) -> pd.DataFrame:
    """Four orders of the customers a, a, b, c in the first quarter of 2026; any column may be given anew."""
    usual: dict[str, Any] = {
        "uid": ["a", "a", "b", "c"],
        "paid_at": pd.to_datetime(list(STAMPS)),
        "amount": [30.5, 20.0, 100.04, 7.5],
        "channel": ["ads", "web", "ads", None],
    }
    return pd.DataFrame(usual | columns)


def objects(*values: Any) -> pd.Series:
    return pd.Series(list(values), dtype=object)


def people(**columns: Any) -> pd.DataFrame:
    """Four customers as a summary has them."""
    usual: dict[str, Any] = {
        "uid": ["a", "b", "c", "d"],
        "orders": [1, 2, 5, 1],
        "recency": [3, 40, 200, 91],
        "channel": ["ads", "web", None, "ads"],
        "vip": [True, False, False, True],
        "first_order": pd.to_datetime(list(STAMPS)),
    }
    return pd.DataFrame(usual | columns)


def states(frame: Any = None, **arguments: Any) -> om.Lifecycle[Any]:
    return om.lifecycle(orders() if frame is None else frame, **(NAMES | arguments))


def on(frame: Any = None, **arguments: Any) -> Callable[[], Any]:
    return lambda: states(frame, **arguments)


def by(column: Any, frame: Any = None, **arguments: Any) -> Callable[[], Any]:
    return lambda: states(frame, **arguments).by(column)


def stages(*rules: Any, default: Any = "rest") -> Callable[[], Any]:
    """Stages with a name each, and one rule or several."""
    return lambda: om.Stages(
        [om.Stage(f"s{number}", *(rule if isinstance(rule, list) else [rule])) for number, rule in enumerate(rules)], default=default
    )


def assigned(rule: Any, frame: Any = None, *, default: Any = "rest", **arguments: Any) -> Callable[[], Any]:
    return lambda: om.Stages([om.Stage("s", rule)], default=default).assign(people() if frame is None else frame, **arguments)


def at(dates: Any = tuple(DATES), frame: Any = None, rule: Any = None, **arguments: Any) -> Callable[[], Any]:
    given = om.Stages([om.Stage("silent", rule or {"recency": (30, None)})], default="active")
    return lambda: given.assign_at(orders() if frame is None else frame, list(dates), **(MONEY | arguments))


def fit(frame: Any = None, **arguments: Any) -> Any:
    """A fit of few orders says that it knows too little."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)
        return om.Stages.default().fit(orders() if frame is None else frame, **(NAMES | arguments))


def fits(frame: Any = None, **arguments: Any) -> Callable[[], Any]:
    return lambda: fit(frame, **arguments)


def renamed(old: str, new: Any) -> pd.DataFrame:
    return orders().rename(columns={old: new})


def polars_at(*stamps: dt.datetime) -> pl.DataFrame:
    """Orders at these times, in polars, which knows all years."""
    return pl.DataFrame(
        {"uid": [f"c{number}" for number in range(len(stamps))], "paid_at": pl.Series(list(stamps), dtype=pl.Datetime("us"))}
    )


YEAR_ONE = polars_at(dt.datetime(1, 1, 1), dt.datetime(2026, 1, 1))
NEW_YORK_AND_UTC = objects(*(pd.Timestamp(stamp, tz=zone) for stamp, zone in zip(STAMPS, ["UTC", "America/New_York"] * 2, strict=True)))


CASES_ACCOUNTS = [
    refuse("unknown period", on(period="monht"), *PERIOD, "'monht'", "Did you mean 'month'?"),
    refuse("period None", on(period=None), *PERIOD, "None"),
    *[
        refuse(f"period {period!r}", on(period=period), *PERIOD)
        for period in (
            "",
            "fortnight",
            0,
            -7,
            7.5,
            True,
            "0D",
            "7X",
            "1h",
            dt.timedelta(hours=36),
            float("nan"),
            [7],
            "28",
            np.timedelta64(1, "M"),
        )
    ],
    refuse("week_start typo", on(period="week", week_start="sumday"), P, "parameter.week_start", "'sumday'", "Did you mean 'sunday'?"),
    refuse("week_start of months", on(week_start="Sunday"), P, "parameter.week_start"),
    refuse("week_start a number", on(period="week", week_start=0), P, "parameter.week_start", "0"),
    *[refuse(f"new_after {new_after!r}", on(new_after=new_after), *NEW_AFTER) for new_after in (0, -1, 1.5, "30", "1M", True, "soon", [1])],
    refuse("confidence 95", on(confidence=95), P, "parameter.confidence", "Did you mean 0.95?"),
    refuse("confidence 1", on(confidence=1), P, "parameter.confidence"),
    refuse("confidence a span of time", on(confidence=np.timedelta64(1, "D")), P, "parameter.confidence"),
    refuse("as_of no date", on(as_of="yesterday"), P, "parameter.as_of"),
    refuse("as_of before the data", on(as_of="2025-12-31"), *NOTHING, "2025-12-31", "paid_at"),
    refuse("as_of an hour before", on(as_of="2026-01-05 09:59"), *NOTHING),
    refuse("as_of with a zone", on(as_of="2026-03-01 10:00+00:00"), P, "parameter.as_of.aware"),
    refuse("as_of without a zone", on(as_of="2026-03-01 10:00", tz="Asia/Shanghai"), P, "parameter.as_of.naive"),
    refuse("unknown zone", on(tz="Asia/Shangai"), P, "parameter.tz", "Asia/Shanghai"),
    refuse(
        "zone for days", on(polars_at(dt.datetime(2026, 1, 1)).with_columns(pl.col("paid_at").cast(pl.Date)), tz="UTC"), P, "parameter.tz"
    ),
    refuse("empty", on(orders().head(0)), om.DataError, "data.empty", "data has no rows"),
    refuse("empty with money", on(orders().head(0), amount="amount", as_of="2026-01-01"), om.DataError, "data.empty"),
    refuse("no table", on([1, 2]), om.DataError, "data.kind", "list"),
    refuse("refunds only", on(orders(amount=-1.0), amount="amount"), *NOTHING),
    refuse("customers null", on(orders(uid=pd.Series([None] * 4, dtype="string"))), *NOTHING),
    refuse("amounts null", on(orders(amount=np.nan), amount="amount"), *NOTHING),
    refuse("times null", on(orders(paid_at=pd.Series([pd.NaT] * 4, dtype="datetime64[us]"))), *TIME, "null in every row"),
    refuse("times null, with as_of", on(orders(paid_at=pd.Series([pd.NaT] * 4, dtype="datetime64[us]")), as_of="2026-01-01"), *NOTHING),
    refuse("zones mixed", on(orders(paid_at=NEW_YORK_AND_UTC)), *TYPE, "'paid_at'", "Parse it first"),
    refuse("times as text", on(orders(paid_at=list(STAMPS))), *TYPE, "Parse it first"),
    refuse("times as numbers", on(orders(paid_at=[1, 2, 3, 4])), *TYPE),
    refuse("customers are lists", on(orders(uid=objects([1], [2], [1], [3]))), *TYPE),
    refuse("amounts as text", on(orders(amount=["1", "2", "3", "4"]), amount="amount"), *TYPE, "pandas.to_numeric"),
    refuse("amount infinite", on(orders(amount=[1.0, math.inf, 2, 3]), amount="amount"), *AMOUNT, "inf"),
    refuse("amount minus infinite", on(orders(amount=[1.0, -math.inf, 2, 3]), amount="amount"), *AMOUNT, "-inf"),
    refuse("amount astronomic", on(orders(amount=[1.0, 1e13, 2, 3]), amount="amount"), *AMOUNT),
    refuse("amounts astronomic together", on(orders(amount=5e12), amount="amount"), *AMOUNT),
    refuse("missing column", on(renamed("uid", "user")), *MISSING, "'uid'"),
    refuse("nearly a column", on(customer="uidd"), *MISSING, "Did you mean 'uid'?"),
    refuse("a column twice", on(amount="uid"), *REPEATED),
    refuse("customer a list", on(customer=["uid"]), *NAME),
    refuse("two columns of one name", on(pd.concat([orders(), orders()[["uid"]]], axis=1)), om.ColumnError, "column.duplicate", "'uid'"),
    refuse("a stray date by day", on(YEAR_ONE, period="day"), *TIME, "739,617 periods", "0001-01-01", "stray dates", "longer period"),
    refuse("a stray date by 7D", on(YEAR_ONE, period=7), *TIME, "105,660 periods"),
    refuse("as_of far ahead by day", on(period="day", as_of="9999-12-30"), *TIME, "periods"),
    refuse("a span that begins before the calendar", on(period=1_000_000), *TIME, "year 1", "shorter period"),
    refuse(
        "a week that begins before the calendar", on(polars_at(dt.datetime(1, 1, 2)), period="week", week_start="sunday"), *TIME, "year 1"
    ),
    refuse(
        "times beyond the calendar",
        on(polars_at(dt.datetime(2026, 1, 1)).with_columns(paid_at=pl.lit(10**18).cast(pl.Datetime("us")))),
        *TIME,
    ),
]

CASES_BY = [
    *[refuse(f"by {column!r}", by(column), *NAME, repr(column)) for column in (None, 5, ["channel"], True)],
    refuse("by a column that is missing", by("chanel"), *MISSING, "'chanel'", "Did you mean 'channel'?"),
    refuse("by the customer", by("uid"), *REPEATED, "uid"),
    refuse("by the time", by("paid_at"), *REPEATED),
    refuse("by the amount", by("amount", amount="amount"), *REPEATED),
    refuse("by numbers with a fraction is a label", by("tier", orders(tier=objects([1], [2], [3], [4]))), *TYPE),
    refuse("by times", by("when", orders(when=pd.to_datetime(list(STAMPS)))), *TYPE),
    *[
        refuse(f"by {name}", by(name, orders(**{name: "x"})), *RESERVED, name, "rename it first")
        for name in ("period", "active", "new", "silent", "revenue", "contraction", "complete", "truncated", "quick_ratio", "late_refunds")
    ],
    refuse("by mixed objects", by("tier", orders(tier=objects("x", 1, 2, "y"))), om.DataError, "data.mixed"),
    refuse("by after a journey", lambda: pickle.loads(pickle.dumps(states())).by("channel"), P, "parameter.log", "another process"),
]

CASES_RULES = [
    refuse("name empty", lambda: om.Stage(" "), P, "parameter.name"),
    refuse("name a number", lambda: om.Stage(5), P, "parameter.name", "5"),
    refuse("name None", lambda: om.Stage(None, {"orders": 1}), P, "parameter.name"),
    refuse("name half a letter", lambda: om.Stage("\ud800"), P, "parameter.name"),
    *[
        refuse(f"rule {rule!r}", stages([rule]), *RULES, "'s0'")
        for rule in (
            {},
            None,
            "orders",
            5,
            [("orders", 1)],
            {"orders": None},
            {"orders": []},
            {"orders": [None]},
            {"orders": [[1]]},
            {"orders": {"low": 1}},
            {"orders": (1,)},
            {"orders": (1, 2, 3)},
            {"orders": ("a", "b")},
            {"orders": (True, False)},
            {"orders": float("nan")},
            {"orders": (float("nan"), 1)},
            {"orders": (None, math.inf)},
            {"orders": 10**400},
            {"orders": dt.date(2026, 1, 1)},
            {"orders": b"x"},
            {"orders": 1j},
            {"orders": (dt.date(2026, 1, 1), 5)},
            {"orders": np.timedelta64(1, "D")},
            {"orders": (np.timedelta64(1, "D"), None)},
        )
    ],
    refuse("ends swapped", stages({"orders": (3, 2)}), *RULES, "(3, 2)", "swap"),
    refuse("values as a tuple", stages({"channel": ("ads", "web")}), *RULES, "as a list"),
    refuse("column a number", stages({5: 1}), *NAME, "5"),
    refuse("no stages", lambda: om.Stages([]), *STAGES, "at least one"),
    refuse("stages a text", lambda: om.Stages("churned"), *STAGES, "must be a list"),
    refuse("stages a scalar of numpy", lambda: om.Stages(np.array("churned")), *STAGES, "must be a list"),
    refuse("stages a stage", lambda: om.Stages(om.Stage("x")), *STAGES, "must be a list"),
    refuse("stages a mapping", lambda: om.Stages({"x": {"orders": 1}}), *STAGES),
    refuse("a rule for a stage", lambda: om.Stages([{"orders": 1}]), *STAGES, "om.Stage"),
    refuse("a name twice", lambda: om.Stages([om.Stage("x", {"a": 1}), om.Stage("x", {"a": 2})]), *STAGES, "'x'", "one Stage"),
    refuse("the default's name twice", lambda: om.Stages([om.Stage("x", {"a": 1})], default="x"), *STAGES, "'x'"),
    refuse("default empty", stages({"a": 1}, default=""), P, "parameter.default"),
    refuse("default a number", stages({"a": 1}, default=0), P, "parameter.default"),
    refuse("unknown labels", lambda: om.Stages.default(labels="fr"), P, "parameter.labels", "'fr'"),
]

UNREACHABLE = [
    refuse("the same again", stages({"a": 1}, {"a": 1}), *STAGES, "'s1' can never be given", "'s0' comes first"),
    refuse("a value of a list", stages({"a": [1, 2]}, {"a": 2}), *STAGES, "'s1'", "swap the two"),
    refuse("a list of a pair", stages({"a": (1, 9)}, {"a": [2, 9]}), *STAGES, "'s1'"),
    refuse("a pair of a pair", stages({"a": (1, None)}, {"a": (2, 3)}), *STAGES, "'s1'"),
    refuse("a pair of one number", stages({"a": [3, 4]}, {"a": (3, 3)}), *STAGES, "'s1'"),
    refuse("one more condition", stages({"a": 1}, {"a": 1, "b": 2}), *STAGES, "'s1'"),
    refuse("after everybody", lambda: om.Stages([om.Stage("all"), om.Stage("x", {"a": 1})]), *STAGES, "'x'", "'all'"),
    refuse("everybody twice", lambda: om.Stages([om.Stage("all"), om.Stage("again")]), *STAGES, "'again'"),
    refuse("a default after everybody", lambda: om.Stages([om.Stage("all")], default="rest"), P, "parameter.default", "'rest'", "'all'"),
    refuse("each alternative by another", stages({"a": 1}, {"b": 1}, [{"a": 1, "c": 1}, {"b": [1]}]), *STAGES, "'s2'", "'s0' and 's1'"),
    refuse("two halves", stages({"a": (None, 5)}, {"z": 1}, {"a": (5, None)}, {"a": (2, 9)}), *STAGES, "'s3'", "'s0' and 's2' come first"),
    refuse("values of two", stages({"a": ["x", "y"]}, {"a": "z"}, {"a": ["x", "z"]}), *STAGES, "'s2'", "'s0' and 's1' come first"),
    refuse(
        "corners of a box",
        stages({"a": (0, 5), "b": (0, 5)}, {"a": (5, 9)}, {"b": (5, 9)}, {"a": (1, 8), "b": (1, 8)}),
        *STAGES,
        "'s3'",
        "move it up",
    ),
    refuse(
        "days of two",
        stages({"a": (None, dt.date(2026, 1, 31))}, {"a": (dt.date(2026, 2, 1), None)}, {"a": (dt.date(2026, 1, 1), dt.date(2026, 3, 1))}),
        *STAGES,
        "'s2'",
    ),
    refuse(
        "from JSON", lambda: om.Stages.from_dict({"stages": [{"name": n, "rules": [{"a": [1]}]} for n in "xy"], "default": None}), *STAGES
    ),
]

CASES_JSON = [
    refuse("no mapping", lambda: om.Stages.from_dict([1]), P, "parameter.saved"),
    refuse("a key missing", lambda: om.Stages.from_dict({"stages": []}), P, "parameter.saved", "'default'"),
    refuse("a key unknown", lambda: om.Stages.from_dict({"stages": [], "default": None, "x": 1}), P, "parameter.saved", "'x'"),
    refuse("no stages", lambda: om.Stages.from_dict({"stages": [], "default": None}), *STAGES),
    refuse("a stage of text", lambda: om.Stages.from_dict({"stages": ["x"], "default": None}), *STAGES, "'x'"),
    refuse("rules of text", lambda: om.Stages.from_dict({"stages": [{"name": "x", "rules": "y"}], "default": None}), *RULES),
    refuse("a rule of text", lambda: om.Stages.from_dict({"stages": [{"name": "x", "rules": ["y"]}], "default": None}), *RULES),
    refuse(
        "half a pair",
        lambda: om.Stages.from_dict({"stages": [{"name": "x", "rules": [{"a": {"low": 1}}]}], "default": None}),
        *RULES,
        "'x'",
    ),
]

CASES_ASSIGN = [
    refuse("column missing", assigned({"recncy": (1, None)}), *MISSING, "'recncy'", "Did you mean 'recency'?"),
    refuse("column missing, a value", assigned({"chanel": "ads"}), *MISSING, "Did you mean 'channel'?"),
    refuse("text for numbers", assigned({"orders": "1"}), *RULES, "'orders'", "whole numbers"),
    refuse("a fraction for whole numbers", assigned({"orders": 1.5}), *RULES, "whole numbers"),
    refuse("numbers for text", assigned({"channel": 1}), *RULES, "holds text"),
    refuse("a pair for text", assigned({"channel": (1, 2)}), *TYPE, "'channel'"),
    refuse("a pair for a flag", assigned({"vip": (0, 1)}), *TYPE, "'vip'"),
    refuse("1 for a flag", assigned({"vip": 1}), *RULES, "true and false"),
    refuse("true for numbers", assigned({"orders": True}), *RULES),
    refuse("a value for a time", assigned({"first_order": "2026-01-05"}), *TYPE, "'first_order'"),
    refuse("a pair for a time", assigned({"first_order": (1, 2)}), *TYPE, "'first_order'"),
    refuse(
        "nobody's", assigned({"orders": 1}, default=None), om.DataError, "data.unstaged", "2 of 4 customers", "orders=2", "default='others'"
    ),
    refuse("empty", assigned({"orders": 1}, people().head(0)), om.DataError, "data.empty", "summary has no rows"),
    refuse("no table", assigned({"orders": 1}, "people"), om.DataError, "data.kind"),
    refuse("customer missing", assigned({"orders": 1}, customer="uidd"), *MISSING, "Did you mean 'uid'?"),
    refuse("customer a flag", assigned({"orders": 1}, customer="vip"), *TYPE),
    refuse(
        "customer named stage", assigned({"orders": 1}, people().rename(columns={"uid": "stage"}), customer="stage"), *RESERVED, "'stage'"
    ),
    refuse(
        "a summary's customer named stage",
        lambda: om.Stages([om.Stage("all")]).assign(
            om.customer_summary(renamed("uid", "stage"), **(MONEY | {"customer": "stage"}), as_of="2026-04-01")
        ),
        *RESERVED,
    ),
]

CASES_DATES = [
    refuse("no dates", at([]), P, "parameter.dates", "at least one"),
    refuse(
        "dates a text",
        lambda: at()().params and om.Stages([om.Stage("x")]).assign_at(orders(), "2026-01-31", **MONEY),
        P,
        "parameter.dates",
    ),
    refuse("dates decrease", at(["2026-03-31", "2026-01-31"]), P, "parameter.dates", "must increase", "'2026-01-31' follows '2026-03-31'"),
    refuse("a date twice", at(["2026-03-31", "2026-03-31"]), P, "parameter.dates"),
    refuse("a day and its evening", at(["2026-03-01", "2026-03-01 22:00"]), P, "parameter.dates"),
    refuse("no date", at(["2026-01-31", "soon"]), P, "parameter.dates", "'soon'"),
    refuse("before the data", at(["2025-12-31", "2026-01-31"]), om.DataError, "data.*", "2025-12-31"),
    refuse("column missing", at(rule={"recncy": (1, None)}), *MISSING, "Did you mean 'recency'?"),
    refuse("customers null", at(frame=orders(uid=["a", None, "b", "c"])), om.DataError, "data.missing_customer"),
    refuse("missing_customer typo", at(missing_customer="dorp"), P, "parameter.missing_customer", "Did you mean 'drop'?"),
    *[
        refuse(f"customer named {name}", at(frame=renamed("uid", name), customer=name), *RESERVED, name)
        for name in ("stage", "as_of", "recency", "orders", "tenure")
    ],
    refuse("empty", at(frame=orders().head(0)), om.DataError, "data.empty"),
    refuse("amount infinite", at(frame=orders(amount=math.inf)), *AMOUNT),
    refuse("zones mixed", at(frame=orders(paid_at=NEW_YORK_AND_UTC)), *TYPE),
]

CASES_FIT = [
    refuse("levels swapped", fits(p_dormant=0.1, p_churned=0.35), P, "parameter.p_churned", "0.35", "0.1"),
    refuse("levels equal", fits(p_dormant=0.2, p_churned=0.2), P, "parameter.p_churned"),
    refuse("p_dormant 35", fits(p_dormant=35), P, "parameter.p_dormant", "Did you mean 0.35?"),
    refuse("p_churned 0", fits(p_churned=0), P, "parameter.p_churned"),
    *[
        refuse(f"horizon {horizon!r}", fits(horizon=horizon), P, "parameter.horizon")
        for horizon in (None, 0, -1, 1.5, "90", "3M", True, dt.timedelta(hours=1))
    ],
    *[
        refuse(f"bands {bands!r}", fits(bands=bands), P, "parameter.bands")
        for bands in ((2, 3, 4), (1, 2), (1, 2, 3, 4), (1, 3, 3), (1, 4, 2), (0, 1, 2), (1, 2.5, 4), "124", 1, None, (1, None, 4), ())
    ],
    refuse("confidence 2", fits(confidence=2), P, "parameter.confidence"),
    refuse("empty", fits(orders().head(0)), om.DataError, "data.empty"),
    refuse("as_of before the data", fits(as_of="2025-01-01"), *NOTHING, "2025-01-01"),
    refuse("refunds only", fits(orders(amount=-5.0), amount="amount"), *NOTHING),
    refuse("times null", fits(orders(paid_at=pd.Series([pd.NaT] * 4, dtype="datetime64[us]"))), *TIME),
    refuse("amount infinite", fits(orders(amount=math.inf), amount="amount"), *AMOUNT),
    refuse("zones mixed", fits(orders(paid_at=NEW_YORK_AND_UTC)), *TYPE),
    refuse("a stray date", fits(YEAR_ONE), *TIME, "stray dates"),
    refuse("summary without orders", lambda: fit().assign(people().drop(columns="orders")), *MISSING, "'orders'"),
    refuse("summary without recency", lambda: fit().assign(people().drop(columns="recency")), *MISSING, "'recency'"),
    refuse("orders as text", lambda: fit().assign(people(orders="1")), *TYPE, "'orders'"),
    refuse(
        "customer named as the chance",
        lambda: fit().assign(people().rename(columns={"uid": "return_probability"}), customer="return_probability"), *RESERVED,
    ),
]  # fmt: skip

CASES_MOVES = [
    refuse("lapsed unknown", lambda: moves(lapsed=["chruned"]), P, "parameter.lapsed", "'chruned'", "Did you mean 'churned'?"),
    refuse("top unknown", lambda: moves(lapsed=["churned"], top=["best"]), P, "parameter.top", "'best'"),
    refuse("lapsed a text", lambda: moves(lapsed="churned"), P, "parameter.lapsed", "must be a list"),
    refuse("top alone", lambda: moves(top=["new"]), P, "parameter.top", "without lapsed"),
    refuse("both", lambda: moves(lapsed=["churned", "new"], top=["new"]), P, "parameter.top", "'new'"),
    refuse("lapsed None in a list", lambda: moves(lapsed=[None]), P, "parameter.lapsed"),
]


def moves(**arguments: Any) -> om.Transitions[Any]:
    before, after = (
        pd.DataFrame({"uid": [1, 2, 3], "stage": list(stage)}) for stage in (["churned", "new", "old"], ["new", "new", "churned"])
    )
    return om.transitions(before, after, customer="uid", label="stage", **arguments)


CASES = {
    "accounts": CASES_ACCOUNTS, "by": CASES_BY, "rules": CASES_RULES, "out of reach": UNREACHABLE, "json": CASES_JSON,
    "assign": CASES_ASSIGN, "dates": CASES_DATES, "fit": CASES_FIT, "moves": CASES_MOVES,
}  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(*case.values, id=f"{group}: {case.id}") for group, cases in CASES.items() for case in cases])
def test_is_refused(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


# ------------------------------------------------------------------------------------------------------ small, and whole


def test_stages_that_seem_out_of_reach_and_are_not() -> None:
    for reachable in (
        stages({"a": (1, 2)}, {"a": (2, 3)}), stages({"a": 1, "b": 1}, {"a": 1}), stages({"a": (2, 3)}, {"a": [3, 4]}),
        stages({"a": 1}, {"b": 1}), stages({"a": (1, 5)}, {"a": "5"}), stages([{"a": 1}, {"b": 1}], [{"a": 1}, {"c": 1}]),
        stages({"a": [1, 2]}, {"a": (1, 2)}), stages({"a": (None, None)}, {"b": 1}), stages({"a": (5, 5)}, {"a": [5, "x"]}),
    ):  # fmt: skip
        assert reachable().names == ("s0", "s1", "rest")


@pytest.mark.parametrize("name", ["place in the relation", "Place in the Relation"])
def test_a_column_named_as_the_place_of_rows(name: str) -> None:
    for old in ("uid", "paid_at", "channel"):
        frame = duckdb.from_arrow(pa.Table.from_pandas(renamed(old, name), preserve_index=False))
        names = {argument: name if column == old else column for argument, column in NAMES.items()}
        label = name if old == "channel" else "channel"
        assert columns_of(om.lifecycle(frame, **names).by(label).table)[label] == ["ads"] * 3 + ["web"] * 0 + [None] * 3


def test_a_value_may_be_given_twice(kind: Kind) -> None:
    frame = kind.make(people(level=[0.5, 1.5, 0.5, 2.5]))
    for rule, expected in (
        ({"orders": [1, 1]}, [1, 0, 0, 1]),
        ({"channel": ["ads", "ads"]}, [1, 0, 0, 1]),
        ({"level": [0.5, 0.5]}, [1, 0, 1, 0]),
    ):
        staged = om.Stages([om.Stage("s", rule)], default="rest").assign(frame)
        assert columns_of(staged.table)["stage"] == [["rest", "s"][holds] for holds in expected]


def test_one_customer_and_one_period(kind: Kind) -> None:
    one = kind.make(orders().head(1))
    found = om.lifecycle(one, **MONEY, period="year")
    table = columns_of(found.table)
    assert [table[name] for name in ("active", "new", "retained", "churned", "silent")] == [[1], [1], [0], [0], [0]]
    assert [table[name] for name in ("retention_rate", "retention_rate_low", "quick_ratio", "growth_rate")] == [[None]] * 4
    assert (table["truncated"], table["complete"]) == ([True], [False])
    assert columns_of(found.revenue)["revenue"] == [30.5]
    assert columns_of(found.by("channel").table)["channel"] == ["ads"]
    history = at(frame=one)()
    assert columns_of(history.table)["stage"] == ["active", "silent"]
    fitted = fit(one, as_of="2026-05-01")
    assert columns_of(fitted.table)["customers"] == [1, 0, 0]
    assert columns_of(fitted.table)["longest_known"] == [None] * 3
    assert columns_of(fitted.curves)["recency"] == []


def test_one_day_of_many_customers() -> None:
    frame = orders(uid=list("abcd"), paid_at=pd.Timestamp("2026-01-05"))
    assert columns_of(states(frame, period="day").table)["active"] == [4]
    assert columns_of(states(frame, period=28).table)["period"] == [dt.datetime(2025, 12, 9)]
    assert columns_of(states(frame, as_of="2026-04-02").table)["dormant"] == [0, 0, 4, 4]


def test_nobody_has_a_label() -> None:
    for labels in (pd.Series([None] * 4, dtype="string"), objects(*[None] * 4), pd.Series([np.nan] * 4)):
        found = columns_of(states(orders(channel=labels)).by("channel").table)
        assert found["channel"] == [None] * 3
        assert found["new"] == [2, 0, 1]


def test_labels_of_every_type() -> None:
    for labels, expected in (
        ([True, False, True, None], [True, None]), ([1, 2, 3, 1], [1, 3]), ([0.5, 2.0, 0.5, np.nan], [0.5, None]),
        (["乙", "丙", "甲", ""], ["", "乙", "甲"]),
    ):  # fmt: skip
        found = columns_of(states(orders(label=objects(*labels) if None in labels else labels)).by("label").table)
        assert list(dict.fromkeys(found["label"])) == expected


def test_a_stray_date_is_refused_wherever_a_part_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the customer with the stray date is alone in his part."""
    monkeypatch.setattr(_parts, "ROWS_TO_SPLIT", 2)
    monkeypatch.setattr(_parts, "ROWS_PER_BATCH", 1)
    for frame in (YEAR_ONE, duckdb.from_arrow(YEAR_ONE.to_arrow())):
        check_refused(lambda frame=frame: states(frame, period="day"), *TIME, ["739,617 periods"])
    assert len(columns_of(states(YEAR_ONE, period="month").table)["period"]) == 24_301


def test_dates_after_the_end_of_64_bits() -> None:
    """Nanoseconds end in 2262; the calendar of the dates does not. The last of them belongs to the first date that covers it."""
    ticks = [0, 2**63 - 10**15, 2**63 - 1]
    late = pl.DataFrame({"uid": ["a", "b", "c"], "amount": [1.0] * 3, "paid_at": pl.Series(ticks).cast(pl.Datetime("ns"))})
    found = at(["1500-01-01", "1970-01-01", "2262-04-10", "2300-01-01", "9999-12-31"], late)
    check_refused(found, om.DataError, "data.*", ["1500-01-01"])
    counts = columns_of(at(["1970-01-01", "2262-04-10", "2300-01-01", "9999-12-31"], late)().counts)["customers"]
    assert [sum(counts[row : row + 2]) for row in range(0, 8, 2)] == [1, 2, 3, 3]


@pytest.mark.parametrize(("tick", "zone", "year"), [(2 - 2**63, "America/Sao_Paulo", 1677), (2**63 - 1, "Asia/Kathmandu", 2262)])
def test_a_zone_at_the_ends_of_64_bits(tick: int, zone: str, year: int) -> None:
    frame = pl.DataFrame({"uid": ["a"], "paid_at": pl.Series([tick]).cast(pl.Datetime("ns"))})
    assert columns_of(states(frame, period="year", tz=zone).table)["period"] == [dt.datetime(year, 1, 1)]


def test_the_last_days_of_the_calendar() -> None:
    late = polars_at(dt.datetime(9999, 12, 31), dt.datetime(9999, 11, 30))
    for period in ("day", "week", "month", "quarter", "year", 28):
        found = settled(lambda period=period: states(late, period=period))
        assert columns_of(found.table)["complete"][-1] in {True, False}


def test_a_history_shorter_than_the_horizon_says_so(kind: Kind) -> None:
    """Limits are null with a reason and a warning; none is invented, and nobody is dormant or churned by them."""
    with pytest.warns(
        om.OpsmetricsWarning, match="history is too short to know every limit: of the band 1, fewer than 30 gaps were watched"
    ):
        fitted = om.Stages.default().fit(kind.make(orders()), **NAMES)
    table = columns_of(fitted.table)
    for name in ("dormant_after", "churned_after", "longest_known"):
        assert table[name] == [None] * 3
    assert table["reason"] == ["fewer than 30 gaps were watched for 90 days"] * 3
    staged = fitted.assign(kind.make(people().astype({"orders": "int32", "recency": "int32"})))
    assert columns_of(staged.table)["stage"] == ["introduction", "growth", "maturity", "introduction"]
    assert columns_of(staged.table)["return_probability"] == [None] * 4
    assert fitted.stages.names == ("introduction", "growth", "maturity")


def test_a_level_that_the_history_does_not_reach() -> None:
    """The chance is known for a while, but does not fall below the level of the churned."""
    made = om.make_orders(1_500, rng=2)
    with pytest.warns(om.OpsmetricsWarning, match="still return"):
        fitted = om.Stages.default().fit(
            made, customer="customer", time="time", amount="amount", horizon=150, p_dormant=0.4, p_churned=1e-6, as_of="2025-12-31"
        )
    table = fitted.table
    assert table["longest_known"].notna().all()
    assert table["churned_after"].isna().any()
    assert (table.loc[table["churned_after"].isna(), "reason"].str.contains("silence can be judged up to")).all()


@pytest.mark.parametrize("ask", ["lifecycle", "by", "assign", "assign_at", "fit", "transitions"])
def test_the_callers_frame_is_left_as_it_was(ask: str, kind: Kind) -> None:
    log, table = kind.make(orders()), kind.make(people(level=list("xyxz")))
    frame = table if ask in {"assign", "transitions"} else log
    before = contents(frame)
    made: dict[str, Callable[[], Any]] = {
        "lifecycle": lambda: om.lifecycle(log, **MONEY, period="week").revenue,
        "by": lambda: om.lifecycle(log, **MONEY).by("channel"),
        "assign": assigned({"channel": ["ads"], "orders": (1, None)}, table, customer="uid"),
        "assign_at": lambda: at(frame=log)().table,
        "fit": lambda: fit(log, amount="amount", tz="Asia/Shanghai"),
        "transitions": lambda: om.transitions(table, table, customer="uid", label="level", lapsed=["x"]),
    }
    assert str(made[ask]())
    after = contents(frame)
    assert before.equals(after)
    if isinstance(before, pd.DataFrame):
        pd.testing.assert_frame_equal(before, after, check_exact=True)


def contents(frame: Any) -> Any:
    if isinstance(frame, pd.DataFrame):
        return frame.copy(deep=True)
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    return copy.deepcopy(frame) if isinstance(frame, (pl.DataFrame, pa.Table)) else frame.to_arrow_table()


def test_a_result_keeps_the_data_it_was_made_of() -> None:
    frame = orders()
    found = states(frame)
    expected = columns_of(found.by("channel").table)
    frame["channel"] = "other"
    frame.loc[0, "uid"] = "z"
    assert columns_of(found.by("channel").table) == expected


def test_what_travels_is_whole_but_for_the_data() -> None:
    found = pickle.loads(pickle.dumps(states(amount="amount")))
    assert columns_of(found.table) == columns_of(states(amount="amount").table)
    assert found.to_dict() == states(amount="amount").to_dict()
    assert str(found)
    for again in (copy.copy(states()), copy.deepcopy(states())):
        assert columns_of(again.by("channel").table) == columns_of(states().by("channel").table)


def test_a_missing_table_is_named() -> None:
    with pytest.raises(AttributeError, match=r"no \.revenue; it has \['table'\]"):
        _ = states().revenue
