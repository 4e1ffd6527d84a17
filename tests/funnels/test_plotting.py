"""The pictures of funnels and paths: what they say must be what the tables say, and drawing must leave no trace."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import dates, font_manager
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import opsmetrics as om
from opsmetrics.plotting.canvas import _CJK_FAMILIES, COLOURS, LIGHT
from tests.support import Kind

pytestmark = pytest.mark.usefixtures("agg")

COLUMNS: dict[str, Any] = {"customer": "customer", "event": "event", "time": "time"}
STEPS = ["view", "cart", "checkout", "pay"]
HALF_HOURS = [f"{30 * i}min" for i in range(41)]


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    return om.make_events(400, rng=3)


@pytest.fixture(scope="module")
def found(events: pd.DataFrame) -> om.Funnel[pd.DataFrame]:
    return om.funnel(events, STEPS, window="7D", **COLUMNS)


@pytest.fixture(scope="module")
def pictures(events: pd.DataFrame, found: om.Funnel[pd.DataFrame]) -> dict[str, Any]:
    totals = om.funnel(events, STEPS, window="7D", count="totals", **COLUMNS)
    return {
        "funnel": found,
        "attempts": totals,
        "any order": om.funnel(events, STEPS, order="any", **COLUMNS),
        "counts": om.funnel_from_counts({"view": 1000, "cart": 250, "pay": 10}),
        "nobody": om.funnel_from_counts({"view": 0, "cart": 0}),
        "by": found.by("channel"),
        "week": found.trend("week"),
        "day": found.trend("day"),
        "comparison": found.compare("channel", baseline="search"),
        "times": found.times("cart", "pay"),
        "times in bins": found.times("cart", "pay", edges=HALF_HOURS),
        "curve": found.survival(),
        "next": found.next_events(after="cart"),
        "visits": om.sessionize(events, customer="customer", time="time"),
        "paths": om.path_transitions(events, gap="30min", **COLUMNS),
    }


PICTURES = [
    "funnel", "attempts", "any order", "counts", "nobody", "by", "week", "day", "comparison", "times", "times in bins", "curve", "next",
    "visits", "paths",
]  # fmt: skip


@pytest.fixture(params=PICTURES)
def result(request: pytest.FixtureRequest, pictures: dict[str, Any]) -> Any:
    """Each result that has a picture."""
    return pictures[request.param]


def ticks(axis: Any) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def title(ax: Axes) -> str:
    return ax.get_title(loc="left")


def legend(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def whiskers(container: Any) -> np.ndarray:
    """The intervals that error bars draw along x, one row each."""
    (bars,) = container.lines[2]
    return np.array([segment[:, 0] for segment in bars.get_segments()])


# ----------------------------------------------------------------------------------------------------- every picture


def test_returns_its_axes(result: Any) -> None:
    ax = result.plot()
    assert isinstance(ax, Axes)
    assert plt.get_fignums() == [ax.figure.number]


def test_draws_on_the_axes_given_and_opens_nothing(result: Any) -> None:
    _, (left, right) = plt.subplots(1, 2)
    assert result.plot(ax=right) is right
    assert len(plt.get_fignums()) == 1
    assert not left.has_data()


def test_touches_no_setting_and_no_table(result: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(*_: Any, **__: Any) -> None:
        raise AssertionError("shown")

    monkeypatch.setattr(plt, "show", shown)
    before, table = mpl.rcParams.copy(), result.table.copy()
    units = dict(mpl.units.registry)
    result.plot().figure.canvas.draw()
    assert mpl.rcParams == before
    assert dict(mpl.units.registry) == units
    pd.testing.assert_frame_equal(result.table, table)


def test_says_what_it_shows(result: Any) -> None:
    ax = result.plot()
    assert len(title(ax)) > 20
    assert ax.get_xlabel()
    assert ax.get_ylabel() or ticks(ax.yaxis)


def test_texts_do_not_overlap_and_lie_inside(result: Any) -> None:
    ax = result.plot()
    ax.figure.canvas.draw()
    whole = ax.figure.bbox
    for labels in (ax.get_xticklabels(), ax.get_yticklabels(), ax.texts):
        boxes = [label.get_window_extent() for label in labels if label.get_text()]
        if labels and labels[0].get_rotation() == 45:
            continue  # boxes of slanted labels overlap, the letters do not
        assert [(i, k) for i, a in enumerate(boxes) for k, b in enumerate(boxes) if i < k and a.overlaps(b)] == []
    heading = ax._left_title.get_window_extent()
    assert heading.y0 > ax.get_window_extent().y1
    assert all(box.x1 <= whole.x1 + 1 for box in [heading, *(text.get_window_extent() for text in ax.texts)])
    if ax.get_legend():
        box = ax.get_legend().get_window_extent()
        assert ax.get_window_extent().y1 <= box.y0 + 1
        assert box.y1 <= heading.y0 + 1
        assert box.x1 <= whole.x1


def test_lengths_start_at_zero(result: Any) -> None:
    """A bar that starts elsewhere lies; so does an axis of shares that does not begin at zero."""
    ax = result.plot()
    if isinstance(result, om.FunnelComparison):
        return
    rates = ax.xaxis if ax.yaxis_inverted() and not ax.images else ax.yaxis
    if not ax.images:
        assert rates.get_view_interval()[0] == 0


# ------------------------------------------------------------------------------------------------------------- funnels


@pytest.mark.parametrize("name", ["funnel", "attempts", "any order", "counts"])
def test_bars_are_as_long_as_the_conversion(pictures: dict[str, Any], name: str) -> None:
    ax, table = pictures[name].plot(), pictures[name].table
    reached, lost, error = ax.containers
    counts = table.iloc[:, 1]
    np.testing.assert_allclose([bar.get_width() for bar in reached], table["conversion"])
    np.testing.assert_allclose([bar.get_width() for bar in lost], table["dropped"] / counts[0])
    np.testing.assert_allclose([bar.get_x() for bar in lost], table["conversion"])
    assert {mpl.colors.to_hex(bar.get_facecolor()) for bar in lost} == {LIGHT}
    np.testing.assert_allclose(whiskers(error), table[["conversion_low", "conversion_high"]][1:])
    assert ticks(ax.yaxis) == table["step"].tolist()
    assert ax.yaxis_inverted()
    first, *rest = (text.get_text() for text in ax.texts)
    assert first == f"{counts[0]:,}  100.0%"
    for text, count, share, step in zip(rest, counts[1:], table["conversion"][1:], table["step_conversion"][1:], strict=True):
        assert text == f"{count:,}  {share:.1%}\n{step:.1%} of step before"
    assert title(ax).startswith(f"{counts[0]:,} {table.columns[1]}: {table['conversion'].iloc[-1]:.1%} [")


def test_the_title_says_who_may_still_convert(found: om.Funnel[pd.DataFrame]) -> None:
    assert found.params["immature"] > 0
    assert f"; {found.params['immature']:,} may still convert" in title(found.plot())
    assert "within 7D" in title(found.plot())


def test_an_optional_step_loses_nobody(events: pd.DataFrame) -> None:
    steps = ["view", om.Step("cart", optional=True), "pay"]
    found = om.funnel(events, steps, **COLUMNS)
    ax, table = found.plot(), found.table
    lost = [bar.get_width() for bar in ax.containers[1]]
    assert lost[1] == 0
    np.testing.assert_allclose(lost[2], 1 - table["conversion"][2])
    assert [text.get_text().endswith("(optional)") for text in ax.texts] == [False, True, False]


def test_pairs_are_not_called_customers(events: pd.DataFrame) -> None:
    found = om.funnel(events, STEPS, hold=["product"], **COLUMNS)
    ax = found.plot()
    assert title(ax).startswith(f"{found.table['customers'][0]:,} pairs of customer and product: ")
    assert ax.get_xlabel() == "share of the pairs of customer and product who enter"


def test_nobody_enters(pictures: dict[str, Any]) -> None:
    ax = pictures["nobody"].plot()
    assert [text.get_text() for text in ax.texts] == ["0", "0"]
    assert [bar.get_width() for bar in ax.patches] == [0, 0, 0, 0]
    assert title(ax).startswith("0 customers: nobody enters")


def test_the_same_picture_for_every_kind_of_frame(kind: Kind, events: pd.DataFrame, found: om.Funnel[pd.DataFrame]) -> None:
    other = om.funnel(kind.make(events), STEPS, window="7D", **COLUMNS)
    for ask in (lambda f: f, lambda f: f.by("channel"), lambda f: f.trend("month"), lambda f: f.survival()):
        drawn, expected = ask(other).plot(), ask(found).plot()
        assert title(drawn) == title(expected)
        assert [text.get_text() for text in drawn.texts] == [text.get_text() for text in expected.texts]
        for line, same in zip(drawn.lines, expected.lines, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), same.get_xydata())


# ----------------------------------------------------------------------------------------------------- values of a column


def test_dots_are_the_rates_of_each_value(found: om.Funnel[pd.DataFrame]) -> None:
    asked = found.by("channel")
    ax, groups = asked.plot(), dict(list(asked.table.groupby("channel", sort=False)))
    assert legend(ax) == [f"{name} ({group['customers'].iloc[0]:,})" for name, group in groups.items()]
    for i, (container, group) in enumerate(zip(ax.containers, groups.values(), strict=True)):
        np.testing.assert_allclose(container.lines[0].get_xdata(), group["conversion"][1:])
        np.testing.assert_allclose(whiskers(container), group[["conversion_low", "conversion_high"]][1:])
        np.testing.assert_array_equal(np.round(container.lines[0].get_ydata()), np.arange(len(STEPS) - 1))
        assert container.lines[0].get_color() == COLOURS[i]
    assert ticks(ax.yaxis) == STEPS[1:]
    assert ax.yaxis_inverted()


def test_more_values_than_colours_are_said(events: pd.DataFrame) -> None:
    frame = events.assign(shop=[f"shop {i % 20:02}" for i in pd.factorize(events["customer"])[0]])
    asked = om.funnel(frame, STEPS, **COLUMNS).by("shop")
    ax = asked.plot()
    assert len(ax.containers) == len(legend(ax)) == 8
    assert title(ax).endswith("the 8 largest of 20 values of shop")
    largest = asked.table.drop_duplicates("shop")["customers"][:8]
    assert [int(text.rpartition("(")[2][:-1]) for text in legend(ax)] == largest.tolist()
    assert "8 largest of 19 values of shop" in title(om.funnel(frame, STEPS, **COLUMNS).compare("shop", baseline="shop 03").plot())


def test_those_without_a_value_have_a_name(events: pd.DataFrame) -> None:
    frame = events.assign(shop=events["channel"].where(events["channel"] != "ads"))
    assert any(name.startswith("no value (") for name in legend(om.funnel(frame, STEPS, **COLUMNS).by("shop").plot()))


@pytest.mark.parametrize("denominator", ["entries", "previous"])
def test_a_comparison_draws_differences_around_zero(found: om.Funnel[pd.DataFrame], denominator: Any) -> None:
    asked = found.compare("channel", baseline="search", denominator=denominator)
    ax, groups = asked.plot(), dict(list(asked.table.groupby("channel", sort=False)))
    assert [name.partition(" (")[0] for name in legend(ax)] == list(groups)
    for container, group in zip(ax.containers, groups.values(), strict=True):
        np.testing.assert_allclose(container.lines[0].get_xdata(), group["difference"])
        np.testing.assert_allclose(whiskers(container), group[["difference_low", "difference_high"]])
    assert [0, 0] in [list(line.get_xdata()) for line in ax.lines]
    assert "less than search" in ax.get_xlabel()
    assert ("those who enter" if denominator == "entries" else "those at the step before") in ax.get_xlabel()


def test_hollow_dots_are_those_that_luck_explains() -> None:
    """Of two steps one differs and the other does not."""
    size = 400
    people = np.arange(2 * size)
    shop = np.where(people < size, "a", "b")
    cart = people[(people % 2 == 0) | (people < size)]
    log = pd.concat([
        pd.DataFrame({"customer": ids, "event": event, "time": pd.Timestamp("2025-01-01") + pd.Timedelta(hours=hour)})
        for hour, (event, ids) in enumerate([("view", people), ("cart", cart), ("pay", people[people % 8 == 0])])
    ])  # fmt: skip
    log["shop"] = shop[log["customer"]]
    asked = om.funnel(log, ["view", "cart", "pay"], **COLUMNS).compare("shop", baseline="a")
    low, high = asked.table["p_adjusted"]
    assert low < 0.05 < high
    (hollow,) = [line for line in asked.plot().lines if line.get_markerfacecolor() == "white"]
    np.testing.assert_allclose(hollow.get_xdata(), asked.table["difference"][1:])


# ------------------------------------------------------------------------------------------------------------- periods


def test_a_trend_is_the_conversion_to_the_last_step(found: om.Funnel[pd.DataFrame]) -> None:
    asked = found.trend("week")
    ax, last = asked.plot(), asked.table[asked.table["step"] == "pay"]
    dots = {line.get_markerfacecolor() == "white": line for line in ax.lines if line.get_marker() == "o"}
    for young, line in dots.items():
        rows = last[(last["immature"] > 0) == young]
        assert len(rows) > 0
        np.testing.assert_array_equal(line.get_xdata(), rows["period"].to_numpy())
        np.testing.assert_allclose(line.get_ydata(), rows["conversion"])
    joints = {line.get_linestyle() for line in ax.lines if line.get_marker() != "o"}
    assert joints == {"-", "--"}
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices[:, 1]
    assert set(corners) == {*last["conversion_low"], *last["conversion_high"]}
    assert "Hollow" in title(ax)


def test_no_line_leads_over_weeks_in_which_nobody_entered() -> None:
    weeks = [0, 1, 5, 6, 9]
    at = pd.Timestamp("2025-01-06 10:00") + pd.to_timedelta(weeks, unit="W")
    views = pd.DataFrame({"customer": weeks, "event": "view", "time": at})
    log = pd.concat([views, views.assign(event="pay", time=at + pd.Timedelta("1h"))])
    ax = om.funnel(log, ["view", "pay"], **COLUMNS).trend("week").plot()
    joints = [line.get_xdata() for line in ax.lines if line.get_marker() != "o"]
    spans = [int((right - left).astype("timedelta64[D]").astype(int)) for left, right in (pair for pair in joints if len(pair) == 2)]
    assert spans[:2] == [7, 7]
    assert max(spans) == 7
    assert "No window" in title(ax)


def test_the_dates_of_a_trend_can_be_read(found: om.Funnel[pd.DataFrame]) -> None:
    ax = found.trend("month").plot()
    assert isinstance(ax.xaxis.get_major_formatter(), dates.ConciseDateFormatter)
    assert ax.get_xlabel() == "month of entry at view"


# --------------------------------------------------------------------------------------------------------------- times


def test_a_histogram_has_the_shares_of_its_bins(found: om.Funnel[pd.DataFrame]) -> None:
    asked = found.times("cart", "pay")
    ax, bins = asked.plot(), asked.histogram
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], bins["share"])
    assert [text.get_text() for text in ax.texts] == [f"{count:,}" if count else "" for count in bins["customers"]]
    assert "bins of unequal length" in ax.get_xlabel()
    quantiles = asked.table.set_index("quantile")["seconds"]
    edges = [*bins["from_seconds"], bins["to_seconds"].iloc[-1]]
    for line, level in zip(ax.lines, (0.5, 0.9), strict=True):
        (place, _) = line.get_xdata()
        left = int(place)
        assert edges[left] <= quantiles[level] <= edges[left + 1]
        np.testing.assert_allclose(np.interp(place, np.arange(len(edges)), edges), quantiles[level])
    assert [name.split()[0] for name in legend(ax)] == ["median", "90%"]


def test_equal_bins_are_not_called_unequal(found: om.Funnel[pd.DataFrame]) -> None:
    ax = found.times("cart", "pay", edges=HALF_HOURS).plot()
    assert "unequal" not in ax.get_xlabel()
    assert len(ax.patches) == 40
    assert len(ticks(ax.xaxis)) <= 16


def test_what_lies_outside_the_bins_is_said(found: om.Funnel[pd.DataFrame]) -> None:
    asked = found.times("cart", "pay", edges=["0s", "1s", "2s"])
    outside = asked.params["customers"] - asked.histogram["customers"].sum()
    ax = asked.plot()
    assert f"{outside:,} of them outside the bins" in title(ax)
    assert len(ax.lines) == 0  # the median lies outside too


def test_nobody_took_both(events: pd.DataFrame) -> None:
    log = events[events["event"] != "pay"]
    found = om.funnel(log, STEPS, allow_missing=True, **COLUMNS)
    assert {bar.get_height() for bar in found.times("cart", "pay").plot().patches} == {0}
    ax = found.survival().plot()
    assert title(ax) == f"0 of {found.table['customers'][0]:,} converted"
    ax.figure.canvas.draw()


def test_a_curve_starts_at_zero_and_has_the_steps_of_its_table(found: om.Funnel[pd.DataFrame]) -> None:
    asked = found.survival()
    (line,) = asked.plot().lines
    unit = 86_400 if "days" in line.axes.get_xlabel() else 3_600
    np.testing.assert_allclose(line.get_xdata() * unit, [0, *asked.table["seconds"]])
    np.testing.assert_allclose(line.get_ydata(), [0, *asked.table["conversion"]])
    assert line.get_drawstyle() == "steps-post"
    (band,) = line.axes.collections
    drawn = np.unique(band.get_paths()[0].vertices[:, 1])
    np.testing.assert_allclose(drawn, np.unique([0, *asked.table["conversion_low"], *asked.table["conversion_high"]]))


def test_a_long_curve_is_drawn_with_few_points() -> None:
    size = 5_000
    log = pd.DataFrame({
        "customer": np.tile(np.arange(size), 2), "event": np.repeat(["view", "pay"], size),
        "time": pd.Timestamp("2025-01-01") + pd.to_timedelta(np.r_[np.zeros(size), np.arange(1, size + 1)], unit="s"),
    })  # fmt: skip
    asked = om.funnel(log, ["view", "pay"], **COLUMNS).survival()
    (line,) = asked.plot().lines
    assert len(asked.table) == size
    assert len(line.get_xdata()) == 2_000
    assert line.get_ydata()[-1] == 1


# -------------------------------------------------------------------------------------------------------- what came next


def test_bars_of_what_came_next(found: om.Funnel[pd.DataFrame]) -> None:
    asked = found.next_events(after="cart")
    ax, table = asked.plot(), asked.table
    bars, error = ax.containers
    np.testing.assert_allclose([bar.get_width() for bar in bars], table["share"])
    np.testing.assert_allclose(whiskers(error), table[["share_low", "share_high"]])
    assert ticks(ax.yaxis) == table["event"].tolist()
    assert [text.get_text() for text in ax.texts] == [
        f"{count:,}  {share:.1%}" for count, share in zip(table["customers"], table["share"], strict=True)
    ]
    assert "Not drawn" not in title(ax)


def test_of_many_next_events_the_rarest_are_left_out_and_nothing_stays() -> None:
    people = np.arange(300)
    log = pd.concat([
        pd.DataFrame({"customer": people, "event": "view", "time": pd.Timestamp("2025-01-01")}),
        pd.DataFrame({"customer": people[:290], "event": [f"e{i % 25:02}" for i in range(290)], "time": pd.Timestamp("2025-01-02")}),
    ])  # fmt: skip
    asked = om.funnel(log, ["view", "pay"], allow_missing=True, **COLUMNS).next_events(after="view")
    ax = asked.plot()
    drawn = asked.table.set_index("event")["customers"][ticks(ax.yaxis)]
    assert len(drawn) == 15
    assert drawn.index[-1] == "(nothing)"
    assert title(ax).endswith(f"Not drawn: {26 - 15} rarer events, of {300 - drawn.sum()} in all")


# --------------------------------------------------------------------------------------------------------------- paths


def visits_of(sizes: list[int]) -> om.Sessions[pd.DataFrame]:
    customer = np.repeat(np.arange(len(sizes)), sizes)
    return om.sessionize(pd.DataFrame({"customer": customer, "time": pd.Timestamp("2025-01-01")}), customer="customer", time="time")


@pytest.mark.parametrize(
    ("sizes", "bars", "labels"),
    [
        ([1, 1, 3], [2, 0, 1], ["1", "2", "3"]),
        ([*range(1, 21)], [2] * 10, [f"{i}-{i + 1}" for i in range(1, 20, 2)]),
        ([1] * 500 + [1000], [501], ["1+"]),
    ],
)
def test_bars_of_visits(sizes: list[int], bars: list[int], labels: list[str]) -> None:
    ax = visits_of(sizes).plot()
    assert [bar.get_height() for bar in ax.patches] == bars
    assert ticks(ax.xaxis) == labels
    assert title(ax).startswith(f"{len(sizes):,} visits")


def test_every_visit_is_in_a_bar(pictures: dict[str, Any]) -> None:
    assert sum(bar.get_height() for bar in pictures["visits"].plot().patches) == len(pictures["visits"].table)


def test_moves_are_the_shares_of_their_source(pictures: dict[str, Any]) -> None:
    asked = pictures["paths"]
    ax, names = asked.plot(), asked.nodes["event"].tolist()
    rows, columns = ["(entry)", *names], [*names, "(exit)"]
    shares = asked.table.pivot(index="source", columns="target", values="share").reindex(index=rows, columns=columns).fillna(0)
    assert ticks(ax.xaxis) == columns
    totals = asked.table.groupby("source")["transitions"].sum()
    assert ticks(ax.yaxis) == [f"{name}  {totals[name]:,}" for name in rows]
    (image,) = ax.images
    np.testing.assert_allclose(np.ma.filled(image.get_array(), 0), shares)
    assert len(ax.texts) == np.count_nonzero(shares)


def test_rare_events_share_a_column() -> None:
    rng = np.random.default_rng(1)
    size = 3_000
    log = pd.DataFrame({
        "customer": rng.integers(0, 100, size), "event": [f"e{i:02}" for i in np.minimum(rng.geometric(0.15, size), 30)],
        "time": pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(size), unit="min"),
    })  # fmt: skip
    asked = om.path_transitions(log, **COLUMNS)
    ax = asked.plot()
    names = asked.nodes["event"].tolist()
    assert ticks(ax.xaxis) == [*names[:12], "(other events)", "(exit)"]
    (image,) = ax.images
    drawn = np.ma.filled(image.get_array(), 0)
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    first = asked.table[(asked.table["source"] == names[0]) & asked.table["target"].isin(names[12:])]
    np.testing.assert_allclose(drawn[1, 12], first["share"].sum())
    assert f"the 12 most frequent of {len(names)} events" in title(ax)


# ------------------------------------------------------------------------------------------------------------- letters


def test_chinese_labels_get_an_installed_font(events: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticks, the label of an axis, the legend, and the title."""
    fonts = [font for font in font_manager.fontManager.ttflist if font.name not in _CJK_FAMILIES]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*fonts, font_manager.FontEntry(name="SimHei")])
    monkeypatch.setitem(mpl.rcParams, "font.sans-serif", ["DejaVu Sans"])
    frame = events.assign(channel=events["channel"].replace({"ads": "广告"}))
    steps = om.aipl_steps(awareness="view", interest=["search", "cart"], purchase="pay", labels="zh")
    found = om.funnel(frame, steps, **COLUMNS)
    whole, by, trend = (asked.plot() for asked in (found, found.by("channel"), found.trend("month")))
    assert ticks(whole.yaxis) == ["认知", "兴趣", "购买", "忠诚"]
    chinese = [
        *whole.get_yticklabels(), *by.get_yticklabels(), by.xaxis.label, trend.xaxis.label, trend._left_title,
        *(text for text in by.get_legend().get_texts() if "广告" in text.get_text()),
    ]  # fmt: skip
    assert len(chinese) == 4 + 3 + 3 + 1
    assert {tuple(label.get_fontfamily()) for label in chinese} == {("sans-serif", "SimHei")}


def test_prices_in_labels_are_no_formulas() -> None:
    ax = om.funnel_from_counts({"$1-$5 basket": 10, "$5-$9 basket": 5}).plot()
    assert not any(label.get_parse_math() for label in ax.get_yticklabels())
