"""Every result class, on every kind of frame: JSON, repr, HTML, pickle, and tables of the caller's own kind."""

from __future__ import annotations

import copy
import datetime as dt
import functools
import json
import pickle
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from opsmetrics import _output
from opsmetrics._results import SHOWN, Result, plain
from tests.support import KINDS, Kind, columns_of
from tests.test_api import results
from tests.test_render import Page, width

CLASSES = list(results())
FIRST_ID = 17_800
MEASURES = {"recency": [2.0, 30.0], "frequency": [9.0, 1.0], "monetary": [450.0, 15.0]}


@functools.cache
def orders() -> pd.DataFrame:
    """Orders of a shop in Shanghai whose customers are numbers; three rows are dropped for two reasons."""
    frame = om.make_orders(customers=30, rng=4).drop(columns="order_id")
    frame["customer"] = frame["customer"].str[1:].astype("int64") + FIRST_ID
    frame["time"] = frame["time"].dt.tz_localize("Asia/Shanghai")
    frame.loc[[3, 5], "amount"] = np.nan
    frame.loc[7, "time"] = pd.Timestamp("2027-01-01", tz="Asia/Shanghai")
    return frame


@functools.cache
def made(name: str) -> dict[str, Any]:
    """One result of each class, from a kind of frame."""
    kind = next(kind for kind in KINDS if kind.name == name)
    given = kind.make(orders())
    columns = {"customer": "customer", "time": "time", "amount": "amount", "tz": "Asia/Shanghai"}
    summary = om.customer_summary(given, **columns, as_of="2026-01-01")
    scores = om.RFMScorer().fit(summary).transform(summary)
    report = om.SegmentMap.rf10().assign(scores)
    before = om.rfm(given, **columns, as_of="2025-06-30", scorer=report.scorer)
    moves = om.transitions(before, report)
    log, names = kind.make(events()), {"customer": "customer", "event": "event", "time": "time"}
    funnel = om.funnel(log, ["view", "cart", "pay"], **names, window="7D", amount="amount")
    answers = (funnel, funnel.by("channel"), funnel.compare("channel", baseline="ads"), funnel.times(1, 3), funnel.survival())
    paths = (
        funnel.next_events("cart"),
        om.path_transitions(log, **names, gap="30min"),
        om.sessionize(log, customer="customer", time="time"),
    )
    families = (*lives(given, log, columns), *habits(given, log), *worths(given, columns), *tried(kind))
    found = (summary, scores, report, report.segments, moves, *answers, *paths, *families)
    return {type(result).__name__: result for result in found}


def lives(given: Any, log: Any, columns: dict[str, str]) -> tuple[Any, ...]:
    """The results of the lifecycle family."""
    states = om.lifecycle(given, **columns, as_of="2026-01-10")
    summary = om.customer_summary(given, **columns, as_of="2025-12-31")
    stages = om.Stages([om.Stage("silent", {"recency": (60, None)}), om.Stage("one", {"orders": 1})], default="more")
    staged = stages.assign(summary)
    history = stages.assign_at(given, ["2025-08-31", "2025-12-31"], **columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)  # thirty customers are too few to know
        fitted = om.Stages.default().fit(given, **columns, horizon=30)
    rules: dict[str, Any] = {"awareness": "view", "interest": ["cart", "favourite"], "purchase": "pay", "loyalty": 2}
    before, after = (
        om.aipl(log, rules, customer="customer", event="event", time="time", as_of=day, window=30, channel="channel")
        for day in ("2025-02-15", "2025-03-31")
    )
    rates = staged.kpis(log, {"cart": "cart", "help": "help"}, customer="customer", event="event")
    visits = om.lifecycle(log, customer="customer", time="time", period="week").by("channel")
    return (states, visits, staged, rates, history, fitted, before, before.flow(after))


def habits(given: Any, log: Any) -> tuple[Any, ...]:
    """The results of the retention family."""
    columns = {"customer": "customer", "time": "time"}
    shop = {"tz": "Asia/Shanghai", "as_of": "2025-12-31"}
    return (
        om.retention(given, **columns, **shop), om.repurchase_rate(given, **columns, **shop), om.next_period_rate(given, **columns, **shop),
        om.stickiness(log, **columns), om.activation_rate(log, "pay", **columns, event="event"),
    )  # fmt: skip


def worths(given: Any, columns: dict[str, str]) -> tuple[Any, ...]:
    """The results of the family of lifetime value."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)  # thirty customers are too few to know
        values = om.clv(given, **columns, as_of="2026-01-01", model="mbg_nbd")
        groups = om.rfm(given, **columns, as_of="2026-01-01")
        summary = om.clv_summary(given, **columns, as_of="2026-01-01")
        return (summary, values, values.by(groups), values.validate(), values.fit.expected_purchases(30, summary, confidence=0.9))


def tried(kind: Kind) -> tuple[Any, ...]:
    """The results of the family of experiments."""
    units = kind.make(om.make_experiment(300, rng=4).astype({"converted": bool}))
    design = om.GroupSequential(3, planned_n=900)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)  # three hundred units have few orders
        found = om.ab_test(units, variant="variant", metrics=["converted", "revenue"], control="A", sequential=design)
        checked = om.aa_check(units, metrics=["converted", "revenue"], repeats=20, rng=1)
    plan = om.sample_size(0.05, effect=0.01)
    return (found, found.bayes(), checked, om.srm_test({"A": 100, "B": 110}), plan, om.duration(plan, traffic=900), design.boundaries())


FROM_NUMBERS = {"SRMTest", "Plan", "Duration", "Boundaries"}
"""Results of calls that take numbers and no frame: their tables are pandas."""


@functools.cache
def events() -> pd.DataFrame:
    """Events of customers who are numbers."""
    frame = om.make_events(customers=60, rng=4)
    return frame.assign(customer=frame["customer"].str[1:].astype("int64") + FIRST_ID)


def tables(result: Result[Any]) -> dict[str, Any]:
    return {name: getattr(result, name) for name in result._tables}


def page(result: Result[Any]) -> Page:
    return Page(result._repr_html_())


def test_every_result_class_is_made_here():
    assert set(made("pandas")) == set(CLASSES)


# ---------------------------------------------------------------------------------------------------- kinds of frames


@pytest.mark.parametrize("name", CLASSES)
def test_tables_are_of_the_callers_kind(kind: Kind, name):
    result = made(kind.name)[name]
    for table, native in tables(result).items():
        assert type(native) is (pd.DataFrame if name in FROM_NUMBERS else kind.result), table
        assert getattr(result, table) is native


@pytest.mark.parametrize("name", ["CustomerSummary", "RFMScores", "RFM"])
def test_the_customer_column_keeps_its_type(kind: Kind, name):
    given, table = kind.make(orders()), made(kind.name)[name].table
    if kind.result is pd.DataFrame:
        assert table["customer"].dtype == given["customer"].dtype
    assert columns_of(table)["customer"] == sorted(orders()["customer"].unique())


# ---------------------------------------------------------------------------------------------------------------- JSON


@pytest.mark.parametrize("name", CLASSES)
def test_json_takes_everything(kind: Kind, name):
    result = made(kind.name)[name]
    read = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert read == result.to_dict(), "nothing was converted on the way: no tuples, no keys that are numbers"
    assert {"params", "dropped", *tables(result)} <= set(read)
    for table, native in tables(result).items():
        assert read[table] == [dict(zip(row, map(plain, row.values()), strict=True)) for row in _records(native)]


def _records(native: Any) -> list[dict[str, Any]]:
    columns = columns_of(native)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("name", CLASSES)
def test_json_is_the_same_from_every_kind(kind: Kind, name):
    """A service may change its engine, its answers do not."""
    assert _without_places(made(kind.name)[name].to_dict()) == _without_places(made("pandas")[name].to_dict())


def _without_places(told: dict[str, Any]) -> dict[str, Any]:
    """Only frames in memory have places for their rows."""
    kept = [{column: value for column, value in row.items() if not column.startswith("row_")} for row in told.get("customers", [])]
    return told | {"customers": kept}


def test_json_has_missing_values_as_null(kind: Kind):
    """The caller's own columns may have holes, of whatever sort his kind of frame makes of them."""
    frame = pd.DataFrame({**MEASURES, "city": ["深圳", None], "age": [31.0, None]})
    given = kind.make(frame)
    scores = om.RFMScorer(bins=2).fit(given).transform(given)
    second = scores.to_dict()["table"][1]
    assert (second["city"], second["age"]) == (None, None)
    json.dumps(scores.to_dict(), allow_nan=False)
    assert str(scores).splitlines()[-1].split()[3:5] == ["-", "-"]
    page(scores)


def test_json_has_times_with_their_offset(kind: Kind):
    first = made(kind.name)["CustomerSummary"].to_dict()["table"][0]["first_order"]
    assert first.endswith("+08:00")
    assert pd.Timestamp(first) == orders().loc[orders()["customer"] == FIRST_ID + 1, "time"].min()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (float("inf"), None),
        (np.float64("-inf"), None),
        (np.float64(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([1.0, np.nan]), [1.0, None]),
        ((1, (2, 3)), [1, [2, 3]]),
        ({1: np.int8(2)}, {"1": 2}),
        (np.datetime64("2026-01-31"), "2026-01-31"),
        (np.datetime64("2026-01-31T08:00", "s"), "2026-01-31T08:00:00"),
        (np.datetime64("NaT", "s"), None),
        (dt.timedelta(days=2), "2 days, 0:00:00"),
        (None, None),
        ("text", "text"),
    ],
)
def test_plain_values(value, expected):
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)


# ------------------------------------------------------------------------------------------------------ text and HTML


@pytest.mark.parametrize("name", CLASSES)
def test_repr_is_text_and_text_is_aligned(kind: Kind, name):
    result = made(kind.name)[name]
    text = str(result)
    assert repr(result) == text
    assert text == str(made("pandas")[name])
    assert max(map(len, text.splitlines())) < 200


@pytest.mark.parametrize("name", CLASSES)
def test_html_is_well_formed(kind: Kind, name):
    result = made(kind.name)[name]
    read = page(result)
    assert len(read.rows) > 1
    assert len({len(row) for row in read.rows}) == 1


@pytest.mark.parametrize("name", ["RFM", "SegmentSummary"])
def test_segments_have_bars_for_shares(name):
    result = made("pandas")[name]
    bars = page(result).bars
    segments = result.to_dict()["segments" if name == "RFM" else "table"]
    shares = [row[share] for row in segments for share in ("customer_share", "revenue_share")]
    assert bars == pytest.approx([max(bars) * share / max(shares) for share in shares], abs=0.06)


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_shown_tells_parameters_and_dropped_rows(name):
    result = made("pandas")[name]
    text, words = " ".join(str(result).split()), page(result).words
    for parameter, value in result.params.items():
        if parameter != "columns" and value:
            assert f"{parameter} " in text
            assert f"{parameter}: " in words
    for reason, rows in result.dropped.items():
        assert f"{rows} {reason}" in text
        assert f"{rows} {reason}" in words


@pytest.mark.parametrize("name", ["CustomerSummary", "RFMScores", "RFM"])
def test_dropped_rows_travel_with_the_result(name):
    result = made("pandas")[name]
    assert result.dropped == {"missing amount": 2, "after as_of": 1}
    assert "dropped rows: 2 missing amount, 1 after as_of" in str(result)


@pytest.mark.parametrize("name", ["CustomerSummary", "RFMScores"])
def test_customer_numbers_have_no_thousands_separators(kind: Kind, name):
    result = made(kind.name)[name]
    for shown in (str(result), page(result).words):
        assert "17801" in shown
        assert "17,801" not in shown


def test_times_are_shown_on_the_local_clock(kind: Kind):
    """The zone is among the parameters; the stamps are those on the shop's wall."""
    summary = made(kind.name)["CustomerSummary"]
    local = orders().loc[orders()["customer"] == FIRST_ID + 1, "time"].min()
    assert f"{local:%Y-%m-%d %H:%M}" in str(summary)
    assert "tz: Asia/Shanghai" in page(summary).words


def test_chinese_segments_are_aligned():
    report = om.SegmentMap.cn8().assign(made("pandas")["RFMScores"])
    lines = [line for line in str(report).splitlines() if "客户 " in line]
    assert len(lines) == 8
    assert len({width(line[: line.index("%")]) for line in lines}) == 1


EVIL = "<script>alert('客户')</script>"


def test_names_cannot_break_the_page(kind: Kind):
    """Segment names, customers and column names come from users' data, and notebooks show pages as they are."""
    frame = pd.DataFrame({EVIL: [EVIL, "b"], **MEASURES})
    given = kind.make(frame)
    scores = om.RFMScorer(bins=2).fit(given).transform(given)
    best = om.SegmentMap([(EVIL, {"r": 2}), ("rest", {"r": 1})], bins=2).assign(scores)
    by_column = om.segment_summary(given, by=EVIL)
    moves = om.transitions(best, best, customer=EVIL)
    for result in (scores, best, best.segments, by_column, moves):
        assert EVIL in page(result).words
        assert "<script" not in result._repr_html_()


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name in {"pandas", "polars", "pyarrow"}], ids=str)
def test_a_long_table_is_shown_short_and_fast(kind: Kind):
    rows = 100_000
    frame = pd.DataFrame({"customer": np.arange(rows), "recency": np.arange(rows), "frequency": 1, "monetary": 5.0})
    given = kind.make(frame)
    scores = om.RFMScorer().fit(given).transform(given)
    begin = time.perf_counter()
    text, html = str(scores), scores._repr_html_()
    assert time.perf_counter() - begin < 1.0
    assert len(text.splitlines()) < 2 * SHOWN
    assert len(html) < 20_000
    assert f"{rows - SHOWN:,} more rows" in text
    assert f"{rows - SHOWN:,} more rows" in html


def test_thousands_of_labels_are_shown_short(kind: Kind):
    """Somebody will look at segments by city, or at moves between products."""
    cities = [f"city {i}" for i in range(2_000)]
    recency = np.arange(2_000.0)
    given = kind.make(pd.DataFrame({"customer": cities, "city": cities, "recency": recency, "frequency": recency, "monetary": recency}))
    summary = om.segment_summary(given, by="city")
    assert len(str(summary).splitlines()) < 100
    assert len(summary._repr_html_()) < 200_000
    few = kind.make(pd.DataFrame({"customer": cities[:300], "city": cities[:300]}))
    moves = om.transitions(few, few, customer="customer", label="city")
    assert len(str(moves)) < 100_000


# -------------------------------------------------------------------------------------------------------------- copies


@pytest.mark.parametrize("name", CLASSES)
def test_results_survive_pickling(kind: Kind, name):
    """Between processes, and in caches on disk."""
    result = made(kind.name)[name]
    back = pickle.loads(pickle.dumps(result))
    assert type(back) is type(result)
    assert back.to_dict() == result.to_dict()
    assert str(back) == str(result)
    assert [type(table) for table in tables(back).values()] == [type(table) for table in tables(result).values()]


@pytest.mark.parametrize("name", CLASSES)
def test_results_survive_copying(name):
    result = made("pandas")[name]
    assert copy.deepcopy(result).to_dict() == copy.copy(result).to_dict() == result.to_dict()


@pytest.mark.parametrize("name", CLASSES)
def test_to_dict_hands_out_nothing_of_its_own(name):
    """Who edits the answer must not edit the result."""
    result = made("pandas")[name]
    before = json.dumps(result.to_dict())
    answer = result.to_dict()
    answer["params"].clear()
    answer["dropped"]["nothing"] = 1
    answer["table"].clear()
    assert json.dumps(result.to_dict()) == before


def test_a_result_without_a_picture_says_so():
    class Plain(Result[Any]):
        """A result that plotting does not know."""

    with pytest.raises(TypeError, match=r"Plain has no picture; draw its \.table"):
        Plain(_tables={}, params={}, dropped={}).plot()


def test_columns_that_share_an_array_are_two_in_a_frame() -> None:
    shared = np.arange(3.0)
    frame = _output.build(_output.backend("pandas"), {"a": shared, "b": shared})
    frame.loc[0, "a"] = 9.0
    assert frame["b"].tolist() == [0.0, 1.0, 2.0]
