"""Stages by rule: each rule read by hand, overlaps, stages at several dates, JSON, and moves between stages."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from itertools import pairwise, product
from random import Random
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import opsmetrics as om
from opsmetrics import _checks, _parts, customers
from opsmetrics.lifecycles import conditions
from tests.lifecycles import reference as slow
from tests.support import Kind, columns_of, to_pandas

COLUMNS: dict[str, Any] = {"customer": "customer", "time": "time", "amount": "amount"}
FIVE: slow.Plain = [
    ("流失", [{"recency": (181, None)}]),
    ("休眠", [{"recency": (91, 180)}]),
    ("引入", [{"orders": 1}]),
    ("成长", [{"orders": (2, 3)}, {"revenue": (None, 50.5)}]),
]


def stages_of(plain: slow.Plain, default: str | None = None) -> om.Stages:
    return om.Stages([om.Stage(name, *rules) for name, rules in plain], default=default)


def records(frame: Any) -> list[dict[str, Any]]:
    table = columns_of(frame)
    return [{name: values[row] for name, values in table.items()} for row in range(len(next(iter(table.values()))))]


def by_hand(plain: slow.Plain, default: str | None, frame: Any) -> tuple[list[Any], list[tuple[Any, ...]], list[tuple[str, str, int]]]:
    """The stage of each customer, the counts of each stage, and the overlaps."""
    people = records(frame)
    given_to = [slow.stage_of(plain, default, customer) for customer in people]
    names = [name for name, _ in plain] + ([] if default is None else [default])
    also: Counter[tuple[str, str]] = Counter()
    counts = []
    for name, rules in plain:
        matched = [stage for stage, customer in zip(given_to, people, strict=True) if slow.holds(rules, customer)]
        taken = [stage for stage in matched if stage != name]
        also.update((str(stage), name) for stage in taken)
        counts.append((name, given_to.count(name), given_to.count(name) / len(people), len(matched), len(taken)))
    if default is not None:
        there = given_to.count(default)
        counts.append((default, there, there / len(people), there, 0))
    overlaps = sorted(((*pair, number) for pair, number in also.items()), key=lambda row: (names.index(row[0]), names.index(row[1])))
    return given_to, counts, overlaps


def check(plain: slow.Plain, default: str | None, frame: Any) -> om.Staged[Any]:
    """The result of a call against stages read by hand."""
    staged = stages_of(plain, default).assign(frame)
    given_to, counts, overlaps = by_hand(plain, default, frame)
    table = columns_of(staged.table)
    assert table.pop("stage") == given_to
    assert list(table) == [name for name in columns_of(frame) if name != "stage"]
    assert [tuple(row.values()) for row in records(staged.stages)] == counts
    assert [tuple(row.values()) for row in records(staged.overlaps)] == overlaps
    assert staged.segment_names == tuple(row[0] for row in counts)
    assert staged.params["stages"] == list(staged.segment_names)
    return staged


# --------------------------------------------------------------------------------------------------------------- by hand


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    return om.make_orders(1_500, rng=7)


@pytest.fixture(scope="module")
def summary(orders: pd.DataFrame) -> om.CustomerSummary[pd.DataFrame]:
    return om.customer_summary(orders, **COLUMNS, as_of="2025-10-31")


def test_five_stages_of_a_shop_are_those_of_pandas(summary: om.CustomerSummary[pd.DataFrame]) -> None:
    table = summary.table
    recency, number, money = table["recency"], table["orders"], table["revenue"]
    conditions = [recency > 180, recency.between(91, 180), number == 1, number.between(2, 3) | (money <= 50.5)]
    expected = np.select(conditions, ["流失", "休眠", "引入", "成长"], default="成熟")
    staged = check(FIVE, "成熟", summary.table)
    assert staged.table["stage"].tolist() == expected.tolist()
    found = stages_of(FIVE, "成熟").assign(summary)
    assert found.table.equals(staged.table)
    assert (found.customer, staged.customer, found.label) == ("customer", None, "stage")
    assert found.params["as_of"] == "2025-10-31"
    assert stages_of(FIVE, "成熟").assign(summary.table, customer="customer").customer == "customer"
    assert min(staged.stages["customers"]) > 20
    assert staged.stages["matched"].tolist()[:4] == [int(condition.sum()) for condition in conditions]


PEOPLE = pd.DataFrame(
    {
        "uid": ["a", "b", "c", "d", "e", "f"],
        "orders": pd.array([1, 2, 3, None, 9, 1], dtype="Int64"),
        "money": [0.5, np.nan, 2.0, 50.0, -1.0, 0.3],
        "channel": ["ads", "web", None, "ads", "引流", "Ads"],
        "vip": pd.array([True, False, None, True, False, False], dtype="boolean"),
    }
)
BY_HAND: list[tuple[str, list[dict[str, Any]], str]] = [
    ("a value", [{"orders": 1}], "af"),
    ("a list", [{"orders": [1, 9, 77]}], "aef"),
    ("a pair", [{"orders": (2, 3)}], "bc"),
    ("both ends are in", [{"money": (0.3, 2.0)}], "acf"),
    ("open below", [{"orders": (None, 2)}], "abf"),
    ("open above", [{"money": (2, None)}], "cd"),
    ("open on both sides: whoever has a value", [{"orders": (None, None)}], "abcef"),
    ("one number as a pair", [{"orders": (9, 9)}], "e"),
    ("a float for whole numbers", [{"orders": (1.5, 2.5)}], "b"),
    ("a whole number for floats", [{"money": 2}], "c"),
    ("below zero", [{"money": (None, -0.5)}], "e"),
    ("text", [{"channel": "ads"}], "ad"),
    ("texts", [{"channel": ["web", "引流", "none"]}], "be"),
    ("a flag", [{"vip": True}], "ad"),
    ("no flag", [{"vip": False}], "bef"),
    ("either flag", [{"vip": [True, False]}], "abdef"),
    ("all of a rule", [{"orders": (None, 3), "channel": "ads"}], "a"),
    ("any of the rules", [{"orders": 9}, {"channel": "web"}, {"money": (50, None), "vip": True}], "bde"),
    ("a pair for two columns", [{"orders": (1, 2), "money": (0.4, None)}], "a"),
    ("a set", [{"channel": {"ads", "web"}}], "abd"),
    ("numbers of numpy", [{"orders": (np.int64(2), np.float64(3))}, {"orders": np.int8(9)}], "bce"),
    ("nobody", [{"orders": 4}], ""),
    ("everybody", [], "abcdef"),
]


@pytest.mark.parametrize(("rules", "who"), [pytest.param(rules, who, id=name) for name, rules, who in BY_HAND])
def test_what_a_rule_holds(rules: list[dict[str, Any]], who: str, kind: Kind) -> None:
    staged = om.Stages([om.Stage("in", *rules)], default=None if who == "abcdef" else "out").assign(kind.make(PEOPLE), customer="uid")
    table = columns_of(staged.table)
    assert "".join(uid for uid, stage in zip(table["uid"], table["stage"], strict=True) if stage == "in") == who
    assert isinstance(staged.table, kind.result)


def test_who_holds_several_stages() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3, 4, 5, 6], "y": [1, 1, 2, 2, 3, 3]})
    staged = check([("low", [{"x": (None, 4)}]), ("middle", [{"x": (3, 5)}]), ("y two", [{"y": 2}])], "rest", frame)
    assert staged.table["stage"].tolist() == ["low"] * 4 + ["middle", "rest"]
    assert staged.overlaps.to_numpy().tolist() == [["low", "middle", 2], ["low", "y two", 2]]
    assert staged.stages["taken"].tolist() == [0, 2, 2, 0]
    assert staged.stages["customers"].tolist() == [4, 1, 0, 1]


def test_an_alternative_that_an_earlier_stage_leaves_open_keeps_a_stage_in_reach() -> None:
    plain: slow.Plain = [("one", [{"x": 1}]), ("few", [{"x": [1, 2]}, {"x": (5, 6)}]), ("some", [{"x": (1, 2)}, {"x": (6, 7)}])]
    check(plain, "rest", pd.DataFrame({"x": range(9)}))


def test_a_stage_column_that_is_there_already_is_replaced_after_the_rules_have_read_it(summary: om.CustomerSummary[pd.DataFrame]) -> None:
    first = stages_of(FIVE, "成熟").assign(summary)
    gone = om.Stages([om.Stage("gone", {"stage": ["流失", "休眠"]})], default="there")
    again = gone.assign(first)
    assert again.table.columns.tolist() == first.table.columns.tolist()
    expected = first.table["stage"].isin(["流失", "休眠"]).map({True: "gone", False: "there"})
    assert again.table["stage"].tolist() == expected.tolist()
    assert (again.customer, again.segment_names) == ("customer", ("gone", "there"))


def test_segments_of_rfm_are_columns_like_any_other(orders: pd.DataFrame) -> None:
    report = om.rfm(orders, **COLUMNS, as_of="2025-10-31")
    names = sorted(report.table["segment"].unique())[:2]
    staged = om.Stages([om.Stage("chosen", {"segment": names, "tenure": (100, None)})], default="others").assign(report)
    expected = report.table["segment"].isin(names) & (report.table["tenure"] >= 100)
    assert (staged.table["stage"] == "chosen").tolist() == expected.tolist()
    assert staged.customer == "customer"
    assert staged.dropped == report.dropped


# -------------------------------------------------------------------------------------------------------------- at random


@st.composite
def random_rules(draw: st.DrawFn) -> list[dict[str, Any]]:
    whole, real = st.integers(-1, 6), st.sampled_from([-1.5, 0.0, 0.5, 1.0, 2.5])
    ends = st.tuples(st.none() | whole, st.none() | whole).filter(lambda pair: None in pair or pair[0] <= pair[1])
    columns: dict[str, st.SearchStrategy[Any]] = {
        "orders": whole | ends | st.lists(whole, min_size=1, max_size=3),
        "money": real | ends | st.lists(real, min_size=1, max_size=2),
        "channel": st.sampled_from(["ads", "web", "引流"]) | st.lists(st.sampled_from(["ads", "web", "app"]), min_size=1, max_size=2),
        "vip": st.booleans(),
    }
    chosen = st.lists(st.sampled_from(list(columns)), min_size=1, max_size=2, unique=True)
    return [{name: draw(columns[name]) for name in draw(chosen)} for _ in range(draw(st.integers(1, 2)))]


@settings(max_examples=80)
@given(st.data())
def test_any_rules_against_rules_read_by_hand(data: st.DataObject) -> None:
    random = Random(data.draw(st.integers(0, 2**32 - 1)))
    size = data.draw(st.integers(1, 25))

    def column(*values: Any) -> list[Any]:
        return [random.choice(values) for _ in range(size)]

    frame = pd.DataFrame(
        {
            "orders": pd.array(column(0, 1, 2, 3, 4, 5, None), dtype="Int64"),
            "money": column(-1.5, 0.0, 0.5, 1.0, 2.5, 7.0, np.nan),
            "channel": pd.array(column("ads", "web", "引流", None), dtype="string"),
            "vip": pd.array(column(True, False, None), dtype="boolean"),
        }
    )
    plain = [(f"s{number}", data.draw(random_rules())) for number in range(data.draw(st.integers(1, 4)))]
    try:
        stages = stages_of(plain, "rest")
    except om.ParameterError as refused:
        # Refused where all of a stage is an earlier one's. Then it is never given.
        assert refused.code == "parameter.stages"
        for place, (name, _) in enumerate(plain):
            if repr(name) in str(refused).split(" can never")[0]:
                people = records(frame)
                earlier = [any(slow.holds(rules, customer) for _, rules in plain[:place]) for customer in people]
                held = [slow.holds(plain[place][1], customer) for customer in people]
                assert not any(own and not first for own, first in zip(held, earlier, strict=True))
        return
    check(plain, "rest", frame)
    assert om.Stages.from_dict(json.loads(json.dumps(stages.to_dict()))) == stages


# ------------------------------------------------------------------------------------------------------------------ JSON


def test_stages_come_back_from_json(summary: om.CustomerSummary[pd.DataFrame]) -> None:
    plain: slow.Plain = [
        ("甲", [{"orders": 1, "recency": (None, 30)}, {"orders": [2, 3], "revenue": (0.5, None)}]),
        ("乙", [{"customer": ["C00001", "C00002"]}, {"recency": (1, 10), "tenure": (None, None)}]),
    ]
    for stages in (stages_of(plain, "丙"), om.Stages([*stages_of(plain).stages, om.Stage("丙")])):
        saved = json.dumps(stages.to_dict(), ensure_ascii=False)
        again = om.Stages.from_dict(json.loads(saved))
        assert again == stages
        assert again.names == ("甲", "乙", "丙")
        assert json.dumps(again.to_dict(), ensure_ascii=False) == saved
        assert again.assign(summary).table.equals(stages.assign(summary).table)
        assert pickle.loads(pickle.dumps(stages)) == stages
        assert eval(repr(again), {"Stages": om.Stages, "Stage": om.Stage}) == stages
    assert stages_of(plain, "丙") != stages_of(plain, "丁")


def test_numbers_of_numpy_are_written_to_json() -> None:
    rules: list[dict[str, Any]] = [{"x": (np.int64(2), np.float32(2.5))}, {"x": [np.int16(9), np.float64(0.25)]}, {"y": np.bool_(True)}]
    stages = om.Stages([om.Stage("s", *rules)], default="rest")
    assert om.Stages.from_dict(json.loads(json.dumps(stages.to_dict()))) == stages


# --------------------------------------------------------------------------------------------------------- several dates

DATES = ["2025-02-28", "2025-06-30", "2025-10-31 12:30", "2026-01-05"]


def expected_history(stages: om.Stages, frame: Any, dates: list[Any], **options: Any) -> tuple[list[om.Staged[Any]], list[list[Any]]]:
    """The stages at each date by `customer_summary` and `assign`, one date after the other; and the rows of the long table."""
    each = [stages.assign(om.customer_summary(frame, **COLUMNS, as_of=date, **options)) for date in dates]
    rows = []
    for staged in each:
        table = columns_of(staged.table)
        rows += [[staged.params["as_of"], *pair] for pair in zip(table["customer"], table["stage"], strict=True)]
    return each, rows


def check_history(stages: om.Stages, frame: Any, dates: list[Any], **options: Any) -> None:
    found = stages.assign_at(frame, dates, **COLUMNS, **options)
    each, rows = expected_history(stages, frame, dates, **options)
    assert [list(row.values()) for row in records(found.table)] == rows
    counts = [
        [staged.params["as_of"], row["stage"], row["customers"], row["customer_share"]] for staged in each for row in records(staged.stages)
    ]
    assert [list(row.values()) for row in records(found.counts)] == counts
    assert found.dropped == each[-1].dropped
    moves: Counter[tuple[str, ...]] = Counter()
    for before, after in pairwise(each):
        old, new = (dict(zip(t["customer"], t["stage"], strict=True)) for t in (columns_of(before.table), columns_of(after.table)))
        assert set(old) <= set(new)
        moves.update((before.params["as_of"], after.params["as_of"], old.get(who, "(new)"), stage) for who, stage in new.items())
    assert {tuple(row.values())[:-1]: row["customers"] for row in records(found.moves)} == dict(moves)
    assert len(records(found.moves)) == len(moves)


@pytest.mark.parametrize("options", [{}, {"missing_customer": "drop"}, {"tz": "America/New_York", "missing_customer": "drop"}], ids=str)
def test_one_pass_says_what_one_call_per_date_says(orders: pd.DataFrame, options: dict[str, Any]) -> None:
    frame = orders.sample(frac=1, random_state=4).reset_index(drop=True)
    if "missing_customer" in options:
        frame.loc[frame.index % 50 == 0, "customer"] = None
        frame.loc[frame.index % 60 == 0, "amount"] = np.nan
        frame.loc[frame.index % 70 == 0, "time"] = pd.NaT
    dates = [date + "+00:00" if "tz" in options and " " in date else date for date in DATES]
    check_history(stages_of(FIVE, "成熟"), frame, dates, **options)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), number=st.integers(1, 5), zone=st.sampled_from([None, "US/Pacific", "Asia/Shanghai"]))
def test_any_dates_of_any_orders(seed: int, number: int, zone: str | None) -> None:
    random = np.random.default_rng(seed)
    size = 60
    frame = pd.DataFrame(
        {
            "customer": random.integers(0, 12, size),
            "time": np.datetime64("2026-03-01", "us") + random.integers(0, 30 * 24, size) * np.timedelta64(1, "h"),
            "amount": random.choice([1.0, 2.5, 0.0, -2.5], size),
        }
    )
    frame.loc[0, ["time", "amount"]] = [pd.Timestamp("2026-02-25"), 1.0]  # somebody has bought by every date
    days = np.sort(random.choice(40, number, replace=False))
    dates = [str(np.datetime64("2026-02-26") + int(day)) for day in days]
    plain: slow.Plain = [("back", [{"refunded": (0.5, None)}]), ("silent", [{"recency": (7, None)}]), ("old", [{"tenure": (10, None)}])]
    check_history(stages_of(plain, "fresh"), frame, dates, tz=zone)


def test_the_summaries_of_one_pass_are_those_of_each_date(orders: pd.DataFrame) -> None:
    """All tables, parameters and counts of dropped rows; of each date, and not of the last alone."""
    frame = orders.assign(amount=orders["amount"].where(orders.index % 40 > 0, -9.5))
    frame.loc[frame.index % 50 == 0, "customer"] = None
    moments = [_checks.moment("dates", date) for date in DATES]
    found = customers.summaries_at(frame, moments, **COLUMNS, order_id=None, tz=None, missing_customer="drop")
    for date, ours in zip(DATES, found, strict=True):
        alone = om.customer_summary(frame, **COLUMNS, as_of=date, missing_customer="drop")
        for name in ("table", "refund_only"):
            pd.testing.assert_frame_equal(getattr(ours, name), getattr(alone, name), check_exact=True)
        assert (ours.dropped, ours.params, ours.customer) == (alone.dropped, alone.params, alone.customer)
    assert [summary.dropped["after as_of"] for summary in found[:2]] == [int((frame["customer"].notna() & (frame["time"] >= after)).sum())
        for after in ("2025-03-01", "2025-07-01")]  # fmt: skip


def history_of(frame: Any) -> list[Any]:
    found = stages_of(FIVE, "成熟").assign_at(frame, DATES, **COLUMNS)
    return [columns_of(found.counts), columns_of(found.moves), columns_of(found.table), found.dropped, found.params]


def test_stages_at_dates_in_every_kind(orders: pd.DataFrame, kind: Kind) -> None:
    frame = orders.iloc[:2_000]
    assert history_of(kind.make(frame)) == history_of(frame)
    assert isinstance(stages_of(FIVE, "成熟").assign_at(kind.make(frame), DATES, **COLUMNS).table, kind.result)


@pytest.mark.parametrize("engine", ["pandas", "polars-scan", "duckdb"])
def test_stages_at_dates_of_tables_in_parts(orders: pd.DataFrame, engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    expected = history_of(orders)
    for name in ("ROWS_TO_SPLIT", "ROWS_PER_PART", "ROWS_PER_BATCH"):
        monkeypatch.setattr(_parts, name, 700)
    orders.to_parquet(tmp_path / "orders.parquet", index=False)
    path = str(tmp_path / "orders.parquet")
    made = {"pandas": lambda: orders, "polars-scan": lambda: pl.scan_parquet(path), "duckdb": lambda: duckdb.connect().read_parquet(path)}
    assert history_of(made[engine]()) == expected


def test_assign_in_every_kind(orders: pd.DataFrame, kind: Kind) -> None:
    expected = stages_of(FIVE, "成熟").assign(om.customer_summary(orders, **COLUMNS, as_of="2025-10-31"))
    staged = stages_of(FIVE, "成熟").assign(om.customer_summary(kind.make(orders), **COLUMNS, as_of="2025-10-31"))
    for name in ("table", "stages", "overlaps"):
        assert columns_of(getattr(staged, name)) == columns_of(getattr(expected, name))
        assert isinstance(getattr(staged, name), kind.result)
    assert staged.to_dict() == expected.to_dict()
    assert json.dumps(staged.to_dict())


# ----------------------------------------------------------------------------------------------------------------- moves


def test_won_back_and_lost_by_hand(kind: Kind) -> None:
    before = {
        1: "churned",
        2: "churned",
        3: "dormant",
        4: "dormant",
        5: "mature",
        6: "mature",
        7: "mature",
        8: "new",
        9: "mature",
        10: "churned",
    }
    after = {
        1: "churned",
        2: "new",
        3: "churned",
        4: "mature",
        5: "mature",
        6: "dormant",
        7: "new",
        8: "mature",
        11: "new",
    }  # 9, 10 are gone
    sides = [kind.make(pd.DataFrame({"uid": list(side), "stage": list(side.values())})) for side in (before, after)]
    moves = om.transitions(*sides, customer="uid", label="stage", lapsed=["churned", "dormant"], top=["mature"])
    rates = {row["direction"]: (row["customers"], row["of"], row["rate"]) for row in records(moves.rates)}
    assert rates == {
        "moved": (6, 10, 0.6), "stayed": (2, 10, 0.2), "gone": (2, 10, 0.2),
        "won back": (2, 5, 0.4),  # 2 and 4 of the five; 3 went from one lapsed stage to another, 10 is gone
        "top lost": (2, 4, 0.5),  # 6 is dormant, 9 is gone; 7 went down but stayed
    }  # fmt: skip
    row = next(row for row in records(moves.rates) if row["direction"] == "won back")
    assert (row["rate_low"], row["rate_high"]) == pytest.approx(slow.wilson(2, 5))
    assert moves.params["lapsed"] == ["churned", "dormant"]
    alone = om.transitions(*sides, customer="uid", label="stage", lapsed=["churned"])
    assert [row["direction"] for row in records(alone.rates)] == ["moved", "stayed", "gone", "won back"]
    assert records(alone.rates)[-1]["of"] == 3
    assert records(alone.rates)[-1]["customers"] == 1
    plain = om.transitions(*sides, customer="uid", label="stage")
    assert records(plain.rates) == records(moves.rates)[:3]
    assert columns_of(plain.table) == columns_of(moves.table)


def test_moves_between_staged_customers_need_no_names(orders: pd.DataFrame) -> None:
    stages = stages_of(FIVE, "成熟")
    before, after = (stages.assign(om.customer_summary(orders, **COLUMNS, as_of=date)) for date in ("2025-06-30", "2025-10-31"))
    moves = om.transitions(before, after, lapsed=["流失", "休眠"], top=["成熟"])
    assert moves.params["label"] == "stage"
    assert to_pandas(moves.counts)["source"].tolist() == [*stages.names, "(new)"]
    joined = before.table.merge(after.table, on="customer", how="outer", suffixes=("", "_after"))
    crossed = pd.crosstab(joined["stage"].fillna("(new)"), joined["stage_after"])
    for row in records(moves.table):
        assert crossed.loc[row["source"], row["target"]] == row["customers"]
    assert sum(row["customers"] for row in records(moves.table)) == len(joined)
    rates = moves.rates.set_index("direction")
    lapsed = joined["stage"].isin(["流失", "休眠"])
    lapsed_after = joined["stage_after"].isin(["流失", "休眠"])
    assert rates.loc["won back", "customers"] == (lapsed & ~lapsed_after).sum()
    assert rates.loc["won back", "of"] == lapsed.sum()
    assert rates.loc["top lost", "customers"] == ((joined["stage"] == "成熟") & lapsed_after).sum()
    long = stages.assign_at(orders, ["2025-06-30", "2025-10-31"], **COLUMNS)
    assert {tuple(row)[2:] for row in long.moves.to_numpy().tolist()} == {
        (row["source"], row["target"], row["customers"]) for row in records(moves.table)
    }


def test_a_stage_that_nobody_is_in_may_be_named_as_lapsed():
    """Its name is known to the staged table, so it is no mistake; nobody was there to be won back."""
    stages = om.Stages([om.Stage("lost", {"recency": (400, None)}), om.Stage("here", {"recency": (0, 399)})])
    summary = om.customer_summary(
        om.make_orders(customers=30, rng=1), customer="customer", time="time", amount="amount", as_of="2025-12-31"
    )
    staged = stages.assign(summary)
    rates = om.transitions(staged, staged, lapsed=["lost"], top=["here"]).rates.set_index("direction")
    assert rates.loc["won back", ["customers", "of"]].tolist() == [0, 0]
    assert rates.loc["top lost", ["customers", "of"]].tolist() == [0, 30]


def test_several_dates_are_no_side_of_a_transition():
    """A history has a row per date, so customers repeat: the sentence says so, whatever the table is made of."""
    stages = om.Stages([om.Stage("silent", {"recency": (91, None)})], default="active")
    orders = om.make_orders(customers=30, rng=1)
    history = stages.assign_at(orders, ["2025-06-30", "2025-12-31"], customer="customer", time="time", amount="amount")
    with pytest.raises(om.DataError, match="repeats in"):
        om.transitions(history, history, label="stage")


ends = st.one_of(st.none(), st.integers(0, 3))
spans = st.tuples(ends, ends).filter(lambda pair: pair != (None, None) and (None in pair or pair[0] <= pair[1]))
rules = st.dictionaries(st.sampled_from("abc"), st.one_of(spans, st.lists(st.integers(0, 3), min_size=1, max_size=3)), min_size=1)
GRID = [None, -1.0, *(half / 2 for half in range(7)), 4.0]


@settings(max_examples=150)
@given(earlier=st.lists(rules, max_size=5), later=rules)
def test_a_rule_is_covered_if_nobody_could_escape(earlier: list[dict[str, Any]], later: dict[str, Any]) -> None:
    """Against everybody there could be: each column missing, at an end, or between two."""
    read = [conditions.read("x", rule) for rule in (*earlier, later)]
    people = [dict(zip("abc", values, strict=True)) for values in product(GRID, repeat=3)]
    escaped = any(slow.holds([later], one) and not (earlier and slow.holds(earlier, one)) for one in people)
    assert conditions.covers(read[:-1], read[-1]) == (not escaped)


def test_a_stage_whose_customers_are_all_taken_is_told() -> None:
    """Of whole numbers 1 and 2 nothing is left between; of numbers in general there is, so that only the data can tell."""
    stages = om.Stages(
        [om.Stage("one", {"orders": 1}), om.Stage("two", {"orders": 2}), om.Stage("few", {"orders": (1, 2)})], default="more"
    )
    found = stages.assign(pd.DataFrame({"orders": [1, 2, 2, 7]}))
    assert "'few' holds 3 customers, all of whom earlier stages take" in str(found)
    assert "earlier stages take" not in str(stages.assign(pd.DataFrame({"orders": [1.5, 7.0]})))
