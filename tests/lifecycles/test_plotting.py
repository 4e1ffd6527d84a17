"""The pictures of the life cycle: what they say must be what the tables say, and drawing must leave no trace."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import opsmetrics as om
from opsmetrics.plotting import series
from opsmetrics.plotting.canvas import COLOURS, INK
from tests.pictures import (
    check_every_picture,
    check_words,
    families,
    heights,
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
RULES: dict[str, Any] = {"awareness": "view", "interest": ["cart", "favourite"], "purchase": "pay", "loyalty": 2}
SIMPLE = om.Stages([om.Stage("silent", {"recency": (60, None)}), om.Stage("one order", {"orders": 1})], default="more")
KPIS: dict[str, Any] = {"buys again": "any", "spends 80 or more": "big"}


def fit(orders: pd.DataFrame, **asked: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)
        return om.Stages.default(labels=asked.pop("labels", "en")).fit(orders, amount="amount", **NAMES, **asked)


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    frame = om.make_orders(customers=600, rng=5)
    return frame.assign(any=True, big=frame["amount"] >= 80, shop=pd.factorize(frame["customer"])[0] % 3)


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return om.make_events(400, rng=3)


@pytest.fixture(scope="module")
def pictures(orders: pd.DataFrame, events: pd.DataFrame) -> dict[str, Any]:
    log = {**NAMES, "event": "event", "window": "30D"}
    before, after = (om.aipl(events, RULES, as_of=day, **log) for day in ("2025-02-15", "2025-03-15"))
    summary = om.customer_summary(orders, amount="amount", as_of="2025-09-30", **NAMES)
    shops = summary.table.assign(shop=np.arange(len(summary.table)) % 3)
    later: dict[str, Any] = {"between": ("2025-10-01", None), **NAMES}
    dates = pd.date_range("2025-01-31", "2025-12-31", freq="ME").strftime("%Y-%m-%d").tolist()
    return {
        "months": om.lifecycle(orders, as_of="2025-12-10", **NAMES),
        "weeks": om.lifecycle(orders, period="week", new_after=60, as_of="2025-12-31", **NAMES),
        "days": om.lifecycle(orders, period="day", as_of="2025-12-31 12:00", **NAMES),
        "spans": om.lifecycle(events, period="30D", **NAMES),
        "a year": om.lifecycle(events, period="year", **NAMES),
        "by": om.lifecycle(events, period="week", as_of="2025-03-28", **NAMES).by("channel"),
        "staged": SIMPLE.assign(summary),
        "rates": SIMPLE.assign(summary).kpis(orders, KPIS, **later),
        "rates by": SIMPLE.assign(shops, customer="customer").kpis(orders, KPIS, by="shop", **later),
        "history": SIMPLE.assign_at(orders, dates, amount="amount", **NAMES),
        "fitted": fit(orders, horizon=60),
        "aipl": before,
        "flow": before.flow(after),
    }


PICTURES = [
    "months", "days", "spans", "a year", "by", "staged", "rates", "rates by", "history", "fitted", "aipl", "flow",
]  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture(name: str, pictures: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    check_every_picture(pictures[name], monkeypatch)


def readings(orders: Any, events: Any) -> list[dict[str, Any]]:
    """What the pictures say of one shop."""
    by_channel = om.lifecycle(events, period="week", **NAMES).by("channel")
    summary = om.customer_summary(orders, amount="amount", as_of="2025-09-30", **NAMES)
    rates = SIMPLE.assign(summary).kpis(orders, KPIS, **NAMES)
    log = {**NAMES, "event": "event"}
    before, after = (om.aipl(events, RULES, as_of=day, **log) for day in ("2025-02-15", "2025-03-15"))
    history = SIMPLE.assign_at(orders, ["2025-06-30", "2025-12-31"], amount="amount", **NAMES)
    results = [by_channel, rates, before.flow(after), fit(orders, horizon=60), history]
    return [reading(result.plot(plt.figure().subplots())) for result in results]


def shop() -> tuple[pd.DataFrame, pd.DataFrame]:
    orders = om.make_orders(customers=200, rng=5)
    return orders.assign(any=True, big=orders["amount"] >= 80), om.make_events(100, rng=3)


@functools.cache
def expected() -> list[dict[str, Any]]:
    return readings(*shop())


def test_the_same_picture_for_every_kind_of_frame(kind: Kind) -> None:
    np.testing.assert_equal(readings(*map(kind.make, shop())), expected())


# -------------------------------------------------------------------------------------------------------- states by period


@pytest.mark.parametrize("name", ["months", "weeks", "spans"])
def test_bars_are_the_counts_of_each_state(pictures: dict[str, Any], name: str) -> None:
    ax, table = pictures[name].plot(), pictures[name].table
    assert legend(ax) == ["retained", "resurrected", "new", "churned"]
    base = np.zeros(len(table))
    for container, state in zip(ax.containers[:3], legend(ax), strict=False):
        np.testing.assert_array_equal(heights(container), table[state])
        np.testing.assert_array_equal([bar.get_y() for bar in container], base)
        base += table[state]
    np.testing.assert_array_equal(base, table["active"])
    np.testing.assert_array_equal(heights(ax.containers[3]), -table["churned"])
    assert {bar.get_y() for bar in ax.containers[3]} == {0}


def test_bars_stand_at_the_first_day_of_their_period(pictures: dict[str, Any]) -> None:
    ax, table = pictures["months"].plot(), pictures["months"].table
    middles = [bar.get_x() + bar.get_width() / 2 for bar in ax.containers[0]]
    np.testing.assert_allclose(middles, mpl.dates.date2num(table["period"]))
    assert ax.get_xlabel() == "month"
    assert pictures["spans"].plot().get_xlabel() == "30 days, by their first"


def test_what_is_not_over_is_hatched_and_said(pictures: dict[str, Any]) -> None:
    ax, table = pictures["months"].plot(), pictures["months"].table
    for container in ax.containers:
        assert [bar.get_hatch() is not None for bar in container] == (~table["complete"]).tolist()
        assert [bar.get_alpha() is not None for bar in container] == (~table["complete"]).tolist()
    assert title(ax).endswith("\nPale: not over by 2025-12-10. Grey ground: too early to know who is new")
    assert {patch.get_alpha() for patch in ax.get_legend().get_patches()} == {None}
    over = pictures["spans"]
    assert over.table["complete"].all()
    assert "Pale" not in title(over.plot())


def test_the_title_tells_the_last_period_that_is_over(pictures: dict[str, Any]) -> None:
    row = pictures["months"].table.iloc[-2]
    low, high = row["retention_rate_low"], row["retention_rate_high"]
    assert title(pictures["months"].plot()).splitlines()[0] == (
        f"2025-11: {row['active']:,} active customers ({row['net_growth']:+,} on the month before), "
        f"retention {row['retention_rate']:.1%} [{low:.1%}, {high:.1%}]"
    )
    assert title(pictures["a year"].plot()).startswith("Customers by year, none of which is over")


def test_the_first_period_has_none_before_it() -> None:
    visits = pd.DataFrame({"customer": [1, 2], "time": pd.to_datetime(["2025-01-02", "2025-01-03"])})
    ax = om.lifecycle(visits, as_of="2025-01-31", **NAMES).plot()
    assert title(ax).startswith("2025-01: 2 active customers (the first)\n")
    assert ticks(ax.xaxis) == ["2025-01"]
    check_words(ax)


def test_the_ground_is_grey_where_history_is_too_short(pictures: dict[str, Any]) -> None:
    ax, table = pictures["weeks"].plot(), pictures["weeks"].table
    (ground,) = [patch for patch in ax.patches if mpl.colors.to_hex(patch.get_facecolor()) == series.GROUND]
    middles = mpl.dates.date2num(table["period"])
    inside = (ground.get_x() < middles) & (middles < ground.get_x() + ground.get_width())
    np.testing.assert_array_equal(inside, table["truncated"])
    assert table["truncated"].sum() > 5


def test_many_periods_are_one_shape_for_each_state(pictures: dict[str, Any]) -> None:
    ax, table = pictures["days"].plot(), pictures["days"].table
    assert len(table) == 365
    assert legend(ax) == ["retained", "resurrected", "new", "churned"]
    retained, resurrected, new, churned = ax.collections
    for shape, top, bottom in (
        (retained, table["retained"], 0 * table["new"]),
        (resurrected, table["retained"] + table["resurrected"], table["retained"]),
        (new, table["active"], table["active"] - table["new"]),
        (churned, 0 * table["new"], -table["churned"]),
    ):
        corners = shape.get_paths()[0].vertices[:, 1]
        assert set(corners) <= {*top, *bottom, 0}
        assert corners.max() == top.max()
        assert corners.min() == bottom.min()
    veil = [patch for patch in ax.patches if patch.get_alpha() == 0.55]
    assert len(veil) == (~table["complete"]).sum() == 1


def test_lines_of_each_value_are_its_active_customers(pictures: dict[str, Any]) -> None:
    ax, groups = pictures["by"].plot(), dict(list(pictures["by"].table.groupby("channel", sort=False)))
    assert legend(ax) == list(groups)
    for name, line in solid(ax).items():
        group = groups[name]
        np.testing.assert_array_equal(line.get_xdata(), group["period"])
        np.testing.assert_array_equal(line.get_ydata(), group["active"].where(group["complete"]))
    hollow = [line.get_ydata().tolist() for line in ax.lines if line.get_markerfacecolor() == "white"]
    assert hollow == [[group["active"].iloc[-1]] for group in groups.values()]
    dashed = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "--"]
    assert [ends[~np.isnan(ends)].tolist() for ends in dashed] == [group["active"].tolist()[-2:] for group in groups.values()]
    assert title(ax).startswith("Active customers by week and channel\nDashed: not over by 2025-03-28. Grey ground")
    assert len({line.get_marker() for line in solid(ax).values()}) == len(groups)


@pytest.mark.parametrize("channels", [1, 2, 12])
def test_lines_of_many_days(orders: pd.DataFrame, channels: int) -> None:
    """The rows of a value are found among very many."""
    size = np.unique(orders["customer"]).searchsorted(orders["customer"]) ** 2 % channels
    frame = pd.concat([orders.assign(channel=size), orders.assign(channel=size, time=orders["time"] + pd.Timedelta(days=400))])
    found = om.lifecycle(frame, period="day", **NAMES).by("channel")
    ax, groups = found.plot(), dict(list(found.table.groupby("channel", sort=False)))
    assert len(solid(ax)) == min(len(groups), 8)
    for name, line in solid(ax).items():
        np.testing.assert_array_equal(line.get_ydata(), groups[int(name)]["active"])


def test_more_values_than_colours_are_said(events: pd.DataFrame) -> None:
    shop = np.array([f"_shop {i % 20:02}" for i in pd.factorize(events["customer"])[0]], dtype=object)
    frame = events.assign(shop=np.where(shop == "_shop 00", None, shop))
    found = om.lifecycle(frame, **NAMES).by("shop")
    ax = found.plot()
    assert legend(ax) == [f" {name}" for name in found.table["shop"].unique()[:8]]  # the legend leaves out "_shop"
    assert "the 8 largest of 20 values of shop" in title(ax)
    few = frame[frame["shop"].isna() | (frame["shop"] == "_shop 01")]
    assert legend(om.lifecycle(few, **NAMES).by("shop").plot()) == [" _shop 01", "no value"]


# ------------------------------------------------------------------------------------------------------------------ stages


@pytest.mark.parametrize(("name", "table"), [("staged", "stages"), ("aipl", "table")])
def test_bars_of_stages_are_their_customers(pictures: dict[str, Any], name: str, table: str) -> None:
    ax, told = pictures[name].plot(), getattr(pictures[name], table)
    assert [bar.get_width() for bar in ax.patches] == told["customers"].tolist()
    assert texts(ax) == [f"{count:,}  {share:.1%}" for count, share in zip(told["customers"], told["customer_share"], strict=True)]
    assert ticks(ax.yaxis) == told["stage"].tolist()
    assert f"{told['customers'].sum():,} customers" in title(ax)
    assert ax.yaxis_inverted()


def test_titles_say_until_when(pictures: dict[str, Any]) -> None:
    assert title(pictures["staged"].plot()).endswith("as of 2025-09-30")
    assert title(pictures["aipl"].plot()).endswith("last 30 days, up to 2025-02-15")


def test_nobody_is_in_a_stage(events: pd.DataFrame) -> None:
    """A window in which nothing happened."""
    log: dict[str, Any] = {**NAMES, "event": "event", "window": 1}
    none, some = (om.aipl(events, RULES, as_of=day, **log) for day in ("2026-02-15", "2026-03-15"))
    ax = none.plot()
    assert texts(ax) == ["0"] * 4
    check_words(ax)
    ax = none.flow(some).plot()
    assert texts(ax) == ["nobody"] * 4
    assert "0 of 0 lost, 0 new" in title(ax)


def test_dots_are_the_rates_of_each_stage(pictures: dict[str, Any]) -> None:
    ax, table = pictures["rates"].plot(), pictures["rates"].table
    assert legend(ax) == list(KPIS)
    for i, (container, kpi) in enumerate(zip(ax.containers, KPIS, strict=True)):
        rows = table[table["kpi"] == kpi]
        np.testing.assert_allclose(container.lines[0].get_xdata(), rows["rate"])
        np.testing.assert_allclose(whiskers(container), rows[["rate_low", "rate_high"]])
        np.testing.assert_array_equal(np.round(container.lines[0].get_ydata()), np.arange(len(rows)))
        assert container.lines[0].get_color() == COLOURS[i]
    first = table[table["kpi"] == "buys again"]
    assert ticks(ax.yaxis) == [f"{stage}  {count:,}" for stage, count in zip(first["stage"], first["customers"], strict=True)]
    assert title(ax) == "What customers did, by stage, from 2025-10-01"


def test_groups_in_a_stage_have_a_line_each(pictures: dict[str, Any]) -> None:
    ax, table = pictures["rates by"].plot(), pictures["rates by"].table
    first = table[table["kpi"] == "buys again"]
    labels = [f"{row.stage}, {row.shop}  {row.customers:,}" for row in first.itertuples()]
    assert ticks(ax.yaxis) == labels
    np.testing.assert_allclose(ax.containers[0].lines[0].get_xdata(), first["rate"])
    assert "by stage and shop" in title(ax)


def test_the_largest_groups_and_the_first_rates_are_drawn(orders: pd.DataFrame) -> None:
    table = om.customer_summary(orders, amount="amount", as_of="2025-09-30", **NAMES).table
    city = np.array([None, *(f"city {i:02}" for i in range(11))], dtype=object)[np.minimum(np.arange(len(table)) % 25, 11)]
    staged = SIMPLE.assign(table.assign(city=city), customer="customer")
    found = staged.kpis(orders, {f"rate {i}": "big" for i in range(10)}, by="city", **NAMES)
    ax = found.plot()
    sizes = found.table[found.table["kpi"] == "rate 0"].groupby("city", dropna=False)["customers"].sum()
    named = {label.rpartition("  ")[0].partition(", ")[2] for label in ticks(ax.yaxis)}
    assert len(named) == 8
    assert "city 10" in named  # the most customers
    assert sizes.shape == (12,)
    assert "the 8 largest of 12 values of city" in title(ax)
    assert title(ax).endswith("the first 8 of 10 rates")
    assert legend(ax) == [f"rate {i}" for i in range(8)]


def test_an_empty_stage_has_no_dot(orders: pd.DataFrame) -> None:
    stages = om.Stages([om.Stage("never", {"orders": (1_000, None)})], default="rest")
    summary = om.customer_summary(orders, amount="amount", as_of="2025-09-30", **NAMES)
    ax = stages.assign(summary).kpis(orders, {"buys": "any"}, between=(None, "2025-12-01"), **NAMES).plot()
    assert np.isnan(ax.containers[0].lines[0].get_xdata()[0])
    assert ticks(ax.yaxis)[0] == "never  0"
    assert title(ax).endswith(", up to 2025-12-01")


@pytest.mark.parametrize("count", [1, 12, 40])
def test_shares_of_stages_add_up_at_each_date(orders: pd.DataFrame, count: int) -> None:
    dates = pd.date_range("2025-06-30", periods=count, freq="4D").strftime("%Y-%m-%d").tolist()
    found = SIMPLE.assign_at(orders, dates, amount="amount", **NAMES)
    ax, shares = found.plot(), found.counts.pivot(index="as_of", columns="stage", values="customer_share")
    for container, name in zip(ax.containers, ["silent", "one order", "more"], strict=True):
        np.testing.assert_allclose(heights(container), shares[name])
    np.testing.assert_allclose([bar.get_y() + bar.get_height() for bar in ax.containers[-1]], 1)
    assert ax.get_ylim() == (0, 1)
    total = found.counts.groupby("as_of")["customers"].sum()
    step = -(-count // 8)
    assert ticks(ax.xaxis) == [f"{date}\n{total[date]:,}" for date in dates[::step]]
    written = [f"{share:.0%}" for name in ("silent", "one order", "more") for share in shares[name] if share >= 0.05]
    assert texts(ax) == (written if count <= 14 else [])
    check_words(ax)


def test_many_dates_and_many_stages(orders: pd.DataFrame) -> None:
    stages = om.Stages([om.Stage(f"orders {i}", {"orders": i}) for i in range(1, 10)], default="more")
    dates = pd.date_range("2025-06-30", periods=121, freq="D").strftime("%Y-%m-%d").tolist()
    found = stages.assign_at(orders, dates, amount="amount", **NAMES)
    ax = found.plot()
    assert len(ax.collections) == 10
    np.testing.assert_allclose(ax.collections[-1].get_paths()[0].vertices[:, 1].max(), 1)
    looks = {(mpl.colors.to_hex(shape.get_facecolor()[0]), shape.get_hatch()) for shape in ax.collections}
    assert len(looks) == 10
    check_words(ax)


# ------------------------------------------------------------------------------------------------------- fitted to returns


def test_curves_are_the_chance_to_return(pictures: dict[str, Any]) -> None:
    found = pictures["fitted"]
    ax, curves = found.plot(), found.curves
    named = [line for line in solid(ax).values() if not line.get_label().startswith("child")]
    for line, band, orders in zip(named, ax.collections, found.table["orders"], strict=True):
        own = curves[curves["orders"] == orders]
        np.testing.assert_array_equal(line.get_xdata(), own["recency"])
        np.testing.assert_array_equal(line.get_ydata(), own["return_probability"])
        corners = band.get_paths()[0].vertices[:, 1]
        assert set(corners) == {*own["return_probability_low"], *own["return_probability_high"]}
    levels = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert levels == [found.params["p_dormant"], found.params["p_churned"]]
    assert texts(ax) == ["dormant: below 35%", "churned: below 10%"]


def test_marks_are_the_limits(pictures: dict[str, Any]) -> None:
    found = pictures["fitted"]
    ax, table = found.plot(), found.table
    for fill, column in ((False, "dormant_after"), (True, "churned_after")):
        marks = [line for line in ax.lines if len(line.get_xdata()) == 1 and (line.get_markerfacecolor() == "white") == fill]
        assert [int(line.get_xdata()[0]) for line in marks] == table[column].dropna().tolist()
        assert all(line.get_ydata()[0] < found.params["p_churned" if fill else "p_dormant"] for line in marks)
    assert table[["dormant_after", "churned_after"]].notna().to_numpy().any()
    for name, row in zip(legend(ax), table.itertuples(), strict=True):
        assert name.startswith(f"{row.stage} ({row.orders} order")
        for state, limit in (("dormant", row.dormant_after), ("churned", row.churned_after)):
            assert pd.isna(limit) or f"{state} from {limit:,} days" in name


def test_what_the_history_cannot_say(orders: pd.DataFrame) -> None:
    found = fit(orders.head(150), horizon=300)
    assert len(found.curves) == 0
    ax = found.plot()
    assert all(name.endswith("too few to judge") for name in legend(ax))
    check_words(ax)


# ------------------------------------------------------------------------------------------------------------ A-I-P-L flow


def test_pieces_are_what_became_of_each_stage(pictures: dict[str, Any]) -> None:
    found = pictures["flow"]
    ax, table = found.plot(), found.table
    base = np.zeros(4)
    for container, name in zip(ax.containers, ["moved_up", "stayed", "moved_down", "lost"], strict=True):
        np.testing.assert_allclose([bar.get_width() for bar in container], table[f"{name}_rate"])
        np.testing.assert_allclose([bar.get_x() for bar in container], base)
        base += table[f"{name}_rate"]
    np.testing.assert_allclose(base, 1)
    assert legend(ax) == ["moved up", "stayed", "moved down", "lost"]
    assert ticks(ax.yaxis) == [f"{stage}  {start:,}" for stage, start in zip(table["stage"], table["start"], strict=True)]
    lost, new = table["lost"].sum(), table["new"].sum()
    assert title(ax) == f"A-I-P-L from 2025-02-15 to 2025-03-15: {lost:,} of {table['start'].sum():,} lost, {new:,} new"


@pytest.mark.parametrize("colour", COLOURS)
def test_words_can_be_read_on_their_piece(colour: str) -> None:
    def luminance(colour: str) -> float:
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour)]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    def contrast(ink: str) -> float:
        low, high = sorted([luminance(colour), luminance(ink)])
        return (high + 0.05) / (low + 0.05)

    ink = series.ink_on(colour)
    assert contrast(ink) > 3.5
    assert contrast(ink) > 0.95 * max(contrast("white"), contrast(INK))


# ------------------------------------------------------------------------------------------------------------- letters


def test_chinese_labels_get_an_installed_font(orders: pd.DataFrame, events: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_simhei(monkeypatch)
    log: dict[str, Any] = {**NAMES, "event": "event", "labels": "zh"}
    before, after = (om.aipl(events, RULES, as_of=day, **log) for day in ("2025-02-15", "2025-03-15"))
    fitted = fit(orders, labels="zh", horizon=60)
    summary = om.customer_summary(orders, amount="amount", as_of="2025-12-31", **NAMES)
    staged = fitted.assign(summary)
    history = fitted.stages.assign_at(orders, ["2025-06-30", "2025-12-31"], amount="amount", **NAMES)
    channels = om.lifecycle(events.assign(渠道=events["channel"].replace("ads", "广告")), **NAMES).by("渠道").plot()
    assert ticks(before.plot().yaxis) == ["认知", "兴趣", "购买", "忠诚"]
    chinese = [
        *before.plot().get_yticklabels(), *before.flow(after).plot().get_yticklabels(), *staged.plot().get_yticklabels(),
        *staged.kpis(orders, {"再次购买": "any"}, **NAMES).plot().get_legend().get_texts(),
        *history.plot().get_legend().get_texts(), *fitted.plot().get_legend().get_texts(), channels._left_title,
        *(text for text in channels.get_legend().get_texts() if text.get_text() == "广告"),
    ]  # fmt: skip
    assert families(chinese) == {("sans-serif", "SimHei")}


def test_prices_in_names_are_no_formulas(orders: pd.DataFrame) -> None:
    stages = om.Stages([om.Stage("$1-$5", {"revenue": (None, 5)})], default="over $5")
    summary = om.customer_summary(orders, amount="amount", as_of="2025-12-31", **NAMES)
    assert not any(label.get_parse_math() for label in stages.assign(summary).plot().get_yticklabels())
