"""The pictures of cohorts: what they say must be what the tables say, and drawing must leave no trace."""

from __future__ import annotations

import functools
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import opsmetrics as om
from opsmetrics.plotting import series
from opsmetrics.plotting.canvas import COLOURS
from tests.pictures import (
    check_every_picture,
    check_words,
    families,
    legend,
    pretend_simhei,
    reading,
    solid,
    texts,
    ticks,
    title,
    whiskers,
)
from tests.support import Kind

pytestmark = pytest.mark.usefixtures("agg")

NAMES: dict[str, Any] = {"customer": "customer", "time": "time"}
LOG: dict[str, Any] = {**NAMES, "event": "event"}


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    return om.make_orders(customers=500, rng=5)


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return om.make_events(400, rng=3)


@pytest.fixture(scope="module")
def pictures(orders: pd.DataFrame, events: pd.DataFrame) -> dict[str, Any]:
    return {
        "months": om.retention(orders, as_of="2025-12-20", **NAMES),
        "quarters": om.retention(orders, period="quarter", kind="rolling", as_of="2025-12-20", **NAMES),
        "money": om.retention(orders, value="amount", amount="amount", **NAMES),
        "orders": om.retention(orders, period="90D", value="orders", **NAMES),
        "4 days": om.retention(events, period=4, **NAMES),
        "days": om.retention(events, period="day", **NAMES),
        "channels": om.retention(events, cohort="channel", period="week", as_of="2025-03-28", **NAMES),
        "channels' orders": om.retention(events, cohort="channel", value="orders", **NAMES),
        "repurchase": om.repurchase_rate(orders, **NAMES),
        "window": om.repurchase_rate(orders, window=90, within=(30, 10_000), **NAMES),
        "next month": om.next_period_rate(orders, as_of="2025-12-20", **NAMES),
        "next day": om.next_period_rate(events, period="day", **NAMES),
        "stickiness": om.stickiness(events, **NAMES),
        "unripe": om.stickiness(events, window=365, as_of="2025-03-28 12:00", **NAMES),
        "activation": om.activation_rate(events, "cart", as_of="2025-03-28", **LOG),
        "activation by day": om.activation_rate(events, "pay", period="day", within="48h", **LOG),
    }


PICTURES = [
    "months", "quarters", "orders", "4 days", "days", "channels", "repurchase", "window", "next month",
    "next day", "stickiness", "unripe", "activation", "activation by day",
]  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture(name: str, pictures: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    check_every_picture(pictures[name], monkeypatch)


def readings(events: Any) -> list[dict[str, Any]]:
    """What the pictures say of one log."""
    results = [
        om.retention(events, **NAMES), om.retention(events, cohort="channel", period="week", **NAMES),
        om.next_period_rate(events, period="week", **NAMES), om.activation_rate(events, "cart", **LOG),
    ]  # fmt: skip
    return [reading(result.plot(plt.figure().subplots())) for result in results]


@functools.cache
def expected() -> list[dict[str, Any]]:
    return readings(few())


def few() -> pd.DataFrame:
    return om.make_events(100, rng=3)


def test_the_same_picture_for_every_kind_of_frame(kind: Kind) -> None:
    np.testing.assert_equal(readings(kind.make(few())), expected())


# --------------------------------------------------------------------------------------------------------------- retention


@pytest.mark.parametrize("name", ["months", "quarters", "money", "orders", "4 days"])
def test_cells_are_the_retention_of_each_cohort(pictures: dict[str, Any], name: str) -> None:
    ax, triangle, average = pictures[name].plot(), pictures[name].triangle, pictures[name].average
    (image,) = ax.images
    drawn = image.get_array()
    expected = np.vstack([average["retention"], triangle.iloc[:, 2:].astype(float)])
    np.testing.assert_allclose(np.ma.filled(drawn, np.nan), expected, atol=1e-9)
    sizes = [triangle["size"].sum(), *triangle["size"]]
    assert [label.rpartition("  ")[2] for label in ticks(ax.yaxis)] == [f"{size:,}" for size in sizes]
    assert ticks(ax.yaxis)[0].startswith("all  ")
    shown = ticks(ax.xaxis)
    assert shown == [str(age) for age in range(0, len(average), 1 if len(average) <= 19 else 2)]


def test_a_cell_says_zero_and_one_that_is_not_known_says_nothing() -> None:
    days = {1: ["2025-01-03", "2025-02-03"], 2: ["2025-02-10"], 3: ["2025-03-01", "2025-04-01"]}
    visits = pd.DataFrame([(who, day) for who, own in days.items() for day in own], columns=["customer", "time"])
    found = om.retention(visits.assign(time=pd.to_datetime(visits["time"])), as_of="2025-04-20", **NAMES)
    ax = found.plot()
    written = {text.get_position(): text.get_text() for text in ax.texts}
    cohorts = {0: ["100%", "50%", "0%"], 1: ["100%", "100%", "0%"], 2: ["100%", "0%"], 3: ["100%"]}
    assert written == {(age, row): word for row, line in cohorts.items() for age, word in enumerate(line)}
    (image,) = ax.images
    known = ~np.ma.getmaskarray(image.get_array())
    assert known.tolist() == [[len(cohorts[row]) > age for age in range(4)] for row in range(4)]
    assert image.to_rgba(image.get_array())[1, 3, 3] == 0  # nothing is drawn there
    assert title(ax).endswith("\nShare of the cohort active at that age. Blank: not over by 2025-04-20")
    check_words(ax)


def test_a_cohort_of_today_only(events: pd.DataFrame) -> None:
    found = om.retention(events, period="year", as_of="2025-03-31", **NAMES)
    assert np.isnan(found.average["retention"]).all()
    ax = found.plot()
    assert texts(ax) == []
    assert "too young to know" in title(ax)
    check_words(ax)
    ax = om.retention(events, period="year", cohort="channel", as_of="2025-03-31", **NAMES).plot()
    assert "too young to know" in title(ax)
    check_words(ax)


def test_a_little_is_not_nothing() -> None:
    visits = pd.DataFrame({"customer": [*range(999), 0], "time": pd.Timestamp("2025-01-05")})
    visits.loc[999, "time"] = pd.Timestamp("2025-02-05")
    ax = om.retention(visits, as_of="2025-02-28", **NAMES).plot()
    assert texts(ax) == ["100%", "<1%", "100%", "<1%"]


@pytest.mark.parametrize(
    ("period", "names", "axis"),
    [
        ("month", ["2024-12", "2025-01"], "age: months since the first"),
        ("quarter", ["2024 Q4", "2025 Q1"], "age: quarters since the first"),
        ("year", ["2024", "2025"], "age: years since the first"),
        ("30D", ["2024-12-03", "2025-01-02"], "age: spans of 30 days since the first"),
        ("week", ["2024-12-30", "2025-01-27"], "age: weeks since the first"),
    ],
)
def test_cohorts_are_named_by_their_period(period: Any, names: list[str], axis: str) -> None:
    visits = pd.DataFrame({"customer": [1, 2], "time": pd.to_datetime(["2024-12-31", "2025-01-31"])})
    ax = om.retention(visits, period=period, as_of="2025-01-31", **NAMES).plot()
    assert [label.rpartition("  ")[0] for label in ticks(ax.yaxis)[1:]] == names
    assert ax.get_xlabel() == axis


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"kind": "unbounded"}, "Share of the cohort active at that age or later."),
        ({"kind": "rolling"}, "Share of the cohort active at every age up to it."),
        ({"value": "orders"}, "Orders at that age, per order at age 0."),
        ({"value": "amount", "amount": "amount"}, "Money at that age, per unit of money at age 0."),
    ],
)
def test_titles_say_what_is_counted(orders: pd.DataFrame, asked: Any, words: str) -> None:
    found = om.retention(orders, **asked, **NAMES)
    first, second = title(found.plot()).splitlines()
    assert second.startswith(words)
    row = found.average.iloc[1]
    interval = "" if "value" in asked else f" [{row['retention_low']:.1%}, {row['retention_high']:.1%}]"
    assert first == f"Retention of {found.params['customers']:,} customers: {row['retention']:.1%}{interval} after 1 month"


def test_many_cells_have_a_colour_bar_and_what_is_not_over_is_grey(pictures: dict[str, Any]) -> None:
    ax = pictures["4 days"].plot()
    assert texts(ax) == []
    assert [other.get_ylabel() for other in ax.figure.axes if other is not ax] == ["retention"]
    assert mpl.colors.to_hex(ax.get_facecolor()) == series.GROUND
    assert "Grey: not over by" in title(ax)


def test_too_many_cohorts_are_a_line_of_all(pictures: dict[str, Any]) -> None:
    found = pictures["days"]
    ax, average = found.plot(), found.average
    known = average[average["retention"].notna() & (average["age"] > 0)]
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xdata(), known["age"])
    np.testing.assert_allclose(line.get_ydata(), known["retention"])
    (band,) = ax.collections
    assert set(band.get_paths()[0].vertices[:, 1]) == {*known["retention_low"], *known["retention_high"]}
    assert f"{len(found.triangle)} cohorts together" in title(ax)
    assert "age 0, where all are, is left out" in ax.get_xlabel()


@pytest.mark.parametrize("name", ["channels", "channels' orders"])
def test_cohorts_of_a_column_are_lines(pictures: dict[str, Any], name: str) -> None:
    found = pictures[name]
    ax, triangle = found.plot(), found.triangle.set_index("cohort")
    known = found.average["age"][found.average["retention"].notna()].tolist()[1:]
    assert legend(ax) == [*(f"{cohort} ({size:,})" for cohort, size in triangle["size"].items()), "all"]
    *lines, whole = solid(ax).values()
    for line, cohort in zip(lines, triangle.index, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), known)
        np.testing.assert_allclose(line.get_ydata(), triangle.loc[cohort, [str(age) for age in known]].astype(float))
    np.testing.assert_allclose(whole.get_ydata(), found.average["retention"][known])
    assert "customers by channel: " in title(ax)


def test_the_largest_cohorts_are_drawn(events: pd.DataFrame) -> None:
    shop = np.array([f"_shop {i % 20:02}" for i in pd.factorize(events["customer"])[0]], dtype=object)
    found = om.retention(events.assign(shop=shop), cohort="shop", **NAMES)
    ax = found.plot()
    assert legend(ax) == [*(f" {row.cohort} ({row.size:,})" for row in found.triangle.head(8).itertuples(index=False)), "all"]
    assert title(ax).endswith("the 8 largest of 20 values of shop")
    few = events.assign(shop=np.where(shop < "_shop 10", None, "one"))
    assert legend(om.retention(few, cohort="shop", **NAMES).plot())[1].startswith("no value (")


# -------------------------------------------------------------------------------------------------------- repeat purchases


@pytest.mark.parametrize("name", ["repurchase", "window"])
def test_dots_are_the_rates_of_each_measure(pictures: dict[str, Any], name: str) -> None:
    ax, table = pictures[name].plot(), pictures[name].table
    (error,) = ax.containers
    np.testing.assert_allclose(error.lines[0].get_xdata(), table["rate"])
    np.testing.assert_allclose(whiskers(error), table[table["denominator"] > 0][["rate_low", "rate_high"]])
    assert ticks(ax.yaxis) == table["measure"].tolist()
    for text, row in zip(texts(ax), table.itertuples(), strict=True):
        assert text == (f"{row.rate:.1%}  {row.numerator:,} of {row.denominator:,}" if row.denominator else "nobody was followed so long")
    first = table.iloc[0]
    assert title(ax).startswith(
        f"Repurchase: {first['rate']:.1%} [{first['rate_low']:.1%}, {first['rate_high']:.1%}] of {first['denominator']:,} buyers"
    )


def test_a_window_is_said(pictures: dict[str, Any]) -> None:
    assert title(pictures["window"].plot()).splitlines()[1].startswith("Rates: last 90 days; within, one-time: all history, up to")
    assert title(pictures["repurchase"].plot()).splitlines()[1].startswith("All history, up to")


def test_the_line_is_the_rate_of_the_next_period(pictures: dict[str, Any]) -> None:
    found = pictures["next month"]
    ax, table = found.plot(), found.table
    (line,), (band,) = ax.lines, ax.collections
    np.testing.assert_array_equal(line.get_xdata(), table["period"])
    np.testing.assert_allclose(line.get_ydata(), table["rate"])
    known = table[table["rate"].notna()]
    assert set(band.get_paths()[0].vertices[:, 1]) == {*known["rate_low"], *known["rate_high"]}
    assert len(known) == len(table) - 2
    last = known.iloc[-1]
    again = f"{last['rate']:.1%} [{last['rate_low']:.1%}, {last['rate_high']:.1%}]"
    assert title(ax).splitlines() == [
        f"Of {last['buyers']:,} buyers of 2025-10, {again} bought in the next month",
        "The last 2 months: the next is not over by 2025-12-20",
    ]


def test_a_period_without_buyers_breaks_the_line() -> None:
    """And a point between two such periods has whiskers, for it has no band."""
    months = ["2025-01-05", "2025-03-05", "2025-05-05", "2025-06-05"]
    visits = pd.DataFrame({"customer": 1, "time": pd.to_datetime(months)})
    found = om.next_period_rate(visits, as_of="2025-06-30", **NAMES)
    ax, rates = found.plot(), found.table["rate"]
    assert rates.isna().tolist() == [False, True, False, True, False, True]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), rates)
    np.testing.assert_allclose(whiskers(ax.containers[0], 1), found.table[["rate_low", "rate_high"]].dropna())
    assert title(ax).endswith("The last month: the next is not over by 2025-06-30")


def test_no_next_period_is_over(orders: pd.DataFrame) -> None:
    ax = om.next_period_rate(orders.head(20), as_of="2025-01-31", **NAMES).plot()
    assert title(ax) == "No month yet whose next is over"
    assert ax.get_ylim() == (0, 1)
    check_words(ax)


# --------------------------------------------------------------------------------------------------- stickiness, activation


def test_the_ratio_is_dashed_while_the_month_is_short(pictures: dict[str, Any]) -> None:
    found = pictures["stickiness"]
    ax, table = found.plot(), found.table
    ripe, young = ax.lines
    np.testing.assert_array_equal(ripe.get_xdata(), table["day"])
    np.testing.assert_array_equal(ripe.get_ydata(), table["dau_over_mau_28d"].mask(table["truncated"]))
    assert young.get_linestyle() == "--"
    np.testing.assert_array_equal(young.get_ydata(), table["dau_over_mau_28d"][:28])
    (ground,) = ax.patches
    assert ground.get_x() + ground.get_width() == mpl.dates.date2num(table["day"][27]) - 0.5
    last = table.iloc[-1]
    told = f"{last['dau_over_mau_28d']:.1%}, {last['dau']} of {last['mau_28d']:,} active in 28 days"
    assert title(ax).splitlines()[0] == f"Stickiness (DAU/MAU) on {last['day'].date()}: {told}"


def test_no_month_is_long_enough(pictures: dict[str, Any]) -> None:
    found = pictures["unripe"]
    ax = found.plot()
    assert title(ax).startswith("Stickiness (DAU/MAU): fewer than 365 days of data")
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), found.table["dau_over_mau_365d"])
    assert np.isnan(ax.lines[0].get_ydata()).all()


def test_the_line_is_the_share_activated(pictures: dict[str, Any]) -> None:
    found = pictures["activation"]
    ax, table = found.plot(), found.table
    (error,) = ax.containers
    known = table[table["rate"].notna()]
    np.testing.assert_allclose(whiskers(error, 1), known[["rate_low", "rate_high"]])
    whole = table["eligible"] == table["customers"]
    full = next(line for line in ax.lines if line.get_linestyle() == "-" and line.get_color() == COLOURS[0])
    np.testing.assert_array_equal(full.get_ydata(), table["rate"].where(whole))
    (hollow,) = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
    np.testing.assert_array_equal(hollow.get_ydata(), table["rate"][~whole & table["rate"].notna()])
    row = found.overall.iloc[0]
    rate = f"{row['rate']:.1%} [{row['rate_low']:.1%}, {row['rate_high']:.1%}]"
    assert title(ax).splitlines() == [
        f"cart within 7D of first sight: {rate} of {row['eligible']:,.0f} customers followed so long",
        "Hollow: not all were followed so long. Not drawn: 1 of 13 weeks, in which nobody was",
    ]


def test_many_periods_have_a_band_instead_of_whiskers(pictures: dict[str, Any]) -> None:
    found = pictures["activation by day"]
    ax, known = found.plot(), found.table[found.table["rate"].notna()]
    assert len(ax.containers) == 0
    (band,) = ax.collections
    corners = np.concatenate([path.vertices[:, 1] for path in band.get_paths()])
    assert set(corners) == {*known["rate_low"], *known["rate_high"]}


def test_nobody_was_followed() -> None:
    log = pd.DataFrame({"customer": [1, 2], "event": ["a", "b"], "time": pd.Timestamp("2025-01-06 10:00")})
    ax = om.activation_rate(log, "b", **LOG).plot()
    assert title(ax).startswith("b within 7D of first sight: - of 0 customers")
    assert title(ax).endswith("Not drawn: 1 of 1 weeks, in which nobody was")
    check_words(ax)


# ------------------------------------------------------------------------------------------------------------- letters


def test_chinese_labels_get_an_installed_font(events: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_simhei(monkeypatch)
    frame = events.assign(渠道=events["channel"].replace("ads", "广告"), event=events["event"].replace("pay", "支付"))
    lines = om.retention(frame, cohort="渠道", period="week", **NAMES).plot()
    chinese = [
        lines._left_title, *(text for text in lines.get_legend().get_texts() if "广告" in text.get_text()),
        om.activation_rate(frame, "支付", **LOG).plot()._left_title,
    ]  # fmt: skip
    assert len(chinese) == 3
    assert families(chinese) == {("sans-serif", "SimHei")}
