"""The pictures: what they say must be what the tables say, and drawing must leave no trace."""

from __future__ import annotations

import builtins
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import opsmetrics as om
from opsmetrics.plotting.canvas import _CJK_FAMILIES
from tests.support import Kind, columns_of, to_pandas

pytestmark = pytest.mark.usefixtures("agg")

ARGUMENTS: dict[str, Any] = {"customer": "customer", "time": "time", "amount": "amount"}
CJK = set(_CJK_FAMILIES)


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    return om.make_orders(customers=400, rng=5)


@pytest.fixture(scope="module")
def report(orders: pd.DataFrame) -> om.RFM[pd.DataFrame]:
    return om.rfm(orders, as_of="2025-12-31", **ARGUMENTS)


@pytest.fixture(scope="module")
def summary(orders: pd.DataFrame) -> om.CustomerSummary[pd.DataFrame]:
    return om.customer_summary(orders, as_of="2025-12-31", **ARGUMENTS)


@pytest.fixture(scope="module")
def moves(orders: pd.DataFrame) -> om.Transitions[pd.DataFrame]:
    june = om.rfm(orders, as_of="2025-06-30", **ARGUMENTS)
    return om.transitions(june, om.rfm(orders, as_of="2025-12-31", scorer=june.scorer, **ARGUMENTS))


@pytest.fixture(params=["scores", "report", "segments", "summary", "moves"])
def result(request: pytest.FixtureRequest) -> Any:
    """Each result that has a picture."""
    if request.param == "scores":
        summary = request.getfixturevalue("summary")
        return om.RFMScorer().fit(summary).transform(summary)
    if request.param == "segments":
        return request.getfixturevalue("report").segments
    return request.getfixturevalue(request.param)


def ticks(axis: Any) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def cell_numbers(ax: Axes, line: int) -> list[int]:
    """The number on one line of the text of each cell, counted from the last."""
    return [int(text.get_text().splitlines()[line].replace(",", "")) for text in ax.texts]


def words(ax: Axes) -> set[str]:
    """The names in the cells of a heat map, on one line each."""
    return {" ".join(text.get_text().splitlines()[:-2]) for text in ax.texts}


# ----------------------------------------------------------------------------------------------------- every picture


def test_returns_its_axes(result: Any) -> None:
    ax = result.plot()
    assert isinstance(ax, Axes)
    assert plt.get_fignums() == [ax.figure.number]


def test_draws_on_the_axes_given_and_opens_nothing(result: Any) -> None:
    _, (left, right) = plt.subplots(1, 2)
    assert result.plot(ax=right) is right
    assert result.plot(right) is right
    assert len(plt.get_fignums()) == 1
    assert not left.has_data()


def test_touches_no_setting_and_shows_nothing(result: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(*_: Any, **__: Any) -> None:
        raise AssertionError("shown")

    monkeypatch.setattr(plt, "show", shown)
    before, interactive = mpl.rcParams.copy(), mpl.is_interactive()
    result.plot().figure.canvas.draw()
    assert mpl.rcParams == before
    assert mpl.is_interactive() == interactive


def test_says_what_it_shows(result: Any) -> None:
    ax = result.plot()
    assert len(ax.get_title(loc="left")) > 20
    assert ax.get_xlabel()
    assert ax.get_ylabel() or ticks(ax.yaxis)


def test_labels_do_not_overlap(result: Any) -> None:
    """In a picture of its own size, no two texts of one kind cover each other."""
    ax = result.plot()
    ax.figure.canvas.draw()
    for labels in (ax.get_xticklabels(), ax.get_yticklabels(), ax.texts):
        boxes = [label.get_window_extent() for label in labels if label.get_text()]
        if labels and labels[0].get_rotation() == 45:
            continue  # boxes of slanted labels overlap, the letters do not
        overlapping = [(i, k) for i, a in enumerate(boxes) for k, b in enumerate(boxes) if i < k and a.overlaps(b)]
        assert overlapping == []
    assert ax._left_title.get_window_extent().y0 > ax.get_window_extent().y1


def test_the_same_picture_for_every_kind_of_frame(kind: Kind, orders: pd.DataFrame, report: om.RFM[pd.DataFrame]) -> None:
    other = om.rfm(kind.make(orders), as_of="2025-12-31", **ARGUMENTS)
    assert [text.get_text() for text in other.plot().texts] == [text.get_text() for text in report.plot().texts]
    lengths = [[bar.get_width() for bar in scored.segments.plot().patches] for scored in (other, report)]
    assert lengths[0] == lengths[1]


def test_without_matplotlib(result: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r'^plotting needs matplotlib: pip install "opsmetrics\[plot\]"$'):
        result.plot()


def test_importing_the_pictures_does_not_import_matplotlib() -> None:
    import subprocess
    import sys

    script = "import sys, opsmetrics.plotting; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_result_without_a_picture() -> None:
    from opsmetrics._results import Result

    with pytest.raises(TypeError, match=r"Result has no picture; draw its \.table"):
        Result(_tables={}, params={}, dropped={}).plot()


# ---------------------------------------------------------------------------------------------------------- segments


def test_bars_are_as_long_as_the_shares(report: om.RFM[pd.DataFrame]) -> None:
    ax, table = report.segments.plot(), report.segments.table
    customers, revenue = ax.containers
    np.testing.assert_allclose([bar.get_width() for bar in customers], table["customer_share"])
    np.testing.assert_allclose([bar.get_width() for bar in revenue], table["revenue_share"])
    assert {bar.get_x() for bar in ax.patches} == {0.0}
    assert ax.get_xlim()[0] == 0
    assert ticks(ax.yaxis) == table["segment"].tolist()
    assert ax.yaxis_inverted()
    written = [text.get_text() for text in ax.texts]
    assert written == [f"{share:.1%}" for name in ("customer_share", "revenue_share") for share in table[name]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["customers", "revenue"]
    assert f"{len(report.table):,} customers" in ax.get_title(loc="left")


def test_the_legend_stands_between_the_title_and_the_bars(report: om.RFM[pd.DataFrame]) -> None:
    """Whichever bar is the longest, and on narrow axes too."""
    ax = report.segments.plot(plt.subplots(figsize=(4, 4))[1])
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    assert ax.get_window_extent().y1 <= legend.y0 + 1
    assert legend.y1 < ax._left_title.get_window_extent().y0


def test_more_segments_make_a_higher_picture(orders: pd.DataFrame) -> None:
    summary = om.customer_summary(orders, as_of="2025-12-31", **ARGUMENTS).table
    heights = []
    for labels in (3, 30):
        summary["channel"] = [f"channel {i % labels}" for i in range(len(summary))]
        heights.append(om.segment_summary(summary, by="channel").plot().figure.get_figheight())
    assert heights[1] > 3 * heights[0]


def test_no_revenue_is_said() -> None:
    free = pd.DataFrame({"recency": [1, 2], "frequency": [1, 1], "monetary": [0.0, 0.0], "segment": ["a", "b"]})
    ax = om.segment_summary(free).plot()
    assert [text.get_text() for text in ax.texts] == ["50.0%", "50.0%", "no revenue", "no revenue"]


def test_negative_revenue_goes_to_the_left() -> None:
    frame = pd.DataFrame({"recency": [1, 2], "frequency": [1, 1], "monetary": [30.0, -10.0], "segment": ["a", "b"]})
    ax = om.segment_summary(frame).plot()
    assert [bar.get_width() for bar in ax.containers[1]] == [1.5, -0.5]
    assert ax.get_xlim()[0] < -0.5


# ------------------------------------------------------------------------------------------------------------- cells


def test_cells_add_up_to_the_customers(report: om.RFM[pd.DataFrame]) -> None:
    ax = report.plot()
    assert sum(cell_numbers(ax, -2)) == len(report.table)
    assert words(ax) == {name.replace("_", " ") for name in report.table["segment"].unique()}
    assert ticks(ax.xaxis) == ticks(ax.yaxis) == ["1", "2", "3", "4", "5"]


def test_each_cell_has_its_own_customers(report: om.RFM[pd.DataFrame]) -> None:
    """Up is a better frequency score, right a better recency score; the last line is the median money."""
    ax = report.plot()
    assert ax.get_ylim()[1] > ax.get_ylim()[0]
    found = {}
    for text in ax.texts:
        x, y = text.get_position()
        *name, customers, money = text.get_text().splitlines()
        found[int(x) + 1, int(y) + 1] = (" ".join(name), int(customers), money)
    groups = report.table.groupby(["r_score", "f_score"])
    expected = {
        cell: (group["segment"].iloc[0].replace("_", " "), len(group), f"{group['monetary'].median():,.0f}") for cell, group in groups
    }
    assert found == expected


def test_cells_have_no_names_where_money_decides_too(report: om.RFM[pd.DataFrame]) -> None:
    ax = om.SegmentMap.cn8(labels="en").assign(report).plot()
    assert words(ax) == {""}
    assert sum(cell_numbers(ax, -2)) == len(report.table)


def test_darker_means_more_and_white_means_nobody(report: om.RFM[pd.DataFrame]) -> None:
    (image,) = report.plot().images
    assert image.norm.vmin == 0
    counts = np.ma.filled(image.get_array(), 0)
    assert counts.sum() == len(report.table)
    assert image.norm.vmax == counts.max()
    light = image.to_rgba(np.ma.masked_equal(np.array([[0, 1, counts.max()]]), 0))[0]
    assert light[0, 3] == 0  # nothing drawn
    assert light[1, :3].sum() > light[2, :3].sum()


def test_words_can_be_read_on_their_cell(report: om.RFM[pd.DataFrame]) -> None:
    """Contrast of text and cell as WCAG 2.1 defines it; 3 is its floor for graphics, the library's own colours give more."""
    ax = report.plot()
    (image,) = ax.images
    for text in ax.texts:
        x, y = (int(at) for at in text.get_position())
        cell, ink = (luminance(colour) for colour in (image.to_rgba(image.get_array())[y, x], mpl.colors.to_rgba(text.get_color())))
        assert (max(cell, ink) + 0.05) / (min(cell, ink) + 0.05) > 3.5


def luminance(colour: Any) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_many_scores_get_a_colour_bar_and_few_ticks(summary: om.CustomerSummary[pd.DataFrame]) -> None:
    ax = om.RFMScorer(method="percentile").fit(summary).transform(summary).plot()
    assert list(ax.texts) == []
    assert ticks(ax.xaxis) == ["1", *(str(i) for i in range(10, 101, 10))]
    assert [other.get_ylabel() for other in ax.figure.axes if other is not ax] == ["customers"]


def test_ten_by_ten_cells_still_have_their_numbers(summary: om.CustomerSummary[pd.DataFrame]) -> None:
    ax = om.RFMScorer(bins=10).fit(summary).transform(summary).plot()
    assert sum(cell_numbers(ax, -2)) == len(summary.table)
    assert len(ax.figure.axes) == 1


def test_unequal_bins(summary: om.CustomerSummary[pd.DataFrame]) -> None:
    scored = om.RFMScorer(bins={"r": 2, "f": 4, "m": 3}).fit(summary).transform(summary)
    ax = scored.plot()
    assert (ticks(ax.xaxis), ticks(ax.yaxis)) == (["1", "2"], ["1", "2", "3", "4"])


def test_no_customers_to_draw(summary: om.CustomerSummary[pd.DataFrame]) -> None:
    nobody = om.RFMScorer().fit(summary).transform(summary.table.head(0))
    assert list(nobody.plot().texts) == []


# ------------------------------------------------------------------------------------------------------- frequencies


def test_bars_of_frequency_add_up_to_the_customers(summary: om.CustomerSummary[pd.DataFrame]) -> None:
    ax = summary.plot()
    frequency = summary.table["frequency"]
    assert frequency.max() > 10
    expected = [*((frequency == i).sum() for i in range(1, 10)), (frequency >= 10).sum()]
    assert [bar.get_height() for bar in ax.patches] == expected
    assert ticks(ax.xaxis) == [*(str(i) for i in range(1, 10)), "10+"]
    assert ax.get_ylim()[0] == 0
    assert ax.get_xlabel() == "orders per customer"


@pytest.mark.parametrize(("counts", "labels"), [([1], ["1"]), ([3, 1], ["1", "2", "3"]), ([10, 2], [str(i) for i in range(1, 11)])])
def test_no_more_bars_than_there_are_frequencies(counts: list[int], labels: list[str]) -> None:
    orders = pd.DataFrame({
        "customer": np.repeat(np.arange(len(counts)), counts), "time": pd.Timestamp("2025-03-01"), "amount": 1.0,
    })  # fmt: skip
    ax = om.customer_summary(orders, as_of="2025-03-01", **ARGUMENTS).plot()
    assert ticks(ax.xaxis) == labels


def test_titles_name_the_span(orders: pd.DataFrame) -> None:
    ax = om.customer_summary(orders, as_of="2025-12-31", window="90D", frequency="days", **ARGUMENTS).plot()
    assert ax.get_title(loc="left").endswith("customers bought, last 90 days, up to 2025-12-31")
    assert ax.get_xlabel() == "days with a purchase per customer"


def test_a_little_is_never_written_as_nothing() -> None:
    orders = pd.DataFrame({"customer": [*range(999), 998], "time": pd.Timestamp("2025-03-01"), "amount": 1.0})
    ax = om.customer_summary(orders, as_of="2025-03-01", **ARGUMENTS).plot()
    assert [text.get_text() for text in ax.texts] == ["100%", "<1%"]


# ------------------------------------------------------------------------------------------------------------- moves


def test_moves_are_the_shares_of_each_row(moves: om.Transitions[pd.DataFrame]) -> None:
    ax = moves.plot()
    shares = moves.shares.set_index("source")
    assert ticks(ax.xaxis) == list(shares.columns)
    totals = moves.counts.set_index("source").sum(axis=1)
    assert ticks(ax.yaxis) == [f"{name}  {total:,}" for name, total in totals.items()]
    (image,) = ax.images
    np.testing.assert_allclose(np.ma.filled(image.get_array(), 0), shares.fillna(0))
    for text in ax.texts:
        x, y = (int(at) for at in text.get_position())
        share = shares.iloc[y, x]
        assert text.get_text() == ("<1%" if share < 0.005 else f"{share:.0%}")
    assert len(ax.texts) == np.count_nonzero(shares.fillna(0))


def test_the_scale_of_shares_is_always_the_same() -> None:
    before, after = (pd.DataFrame({"uid": [1, 2], "tier": tiers}) for tiers in (["a", "a"], ["a", "b"]))
    (image,) = om.transitions(before, after, customer="uid", label="tier").plot().images
    assert np.ma.max(image.get_array()) == 0.5
    assert (image.norm.vmin, image.norm.vmax) == (0, 1)


def test_those_who_stayed_are_framed(moves: om.Transitions[pd.DataFrame]) -> None:
    ax = moves.plot()
    centres = [(patch.get_x() + patch.get_width() / 2, patch.get_y() + patch.get_height() / 2) for patch in ax.patches]
    np.testing.assert_allclose(centres, [(i, i) for i in range(len(moves.counts) - 1)], atol=1e-12)


def test_a_row_where_nobody_started_is_empty() -> None:
    before = pd.DataFrame({"uid": [1, 2], "tier": ["low", "high"]})
    ax = om.transitions(before, before, customer="uid", label="tier", order=["low", "middle", "high"]).plot()
    assert ticks(ax.yaxis) == ["low  1", "middle  0", "high  1", "(new)  0"]
    assert [text.get_text() for text in ax.texts] == ["100%", "100%"]
    assert "by tier" in ax.get_title(loc="left")


def test_moves_of_every_kind_of_frame(kind: Kind) -> None:
    before, after = (pd.DataFrame({"uid": [1, 2, 3], "tier": tiers}) for tiers in (["a", "a", "b"], ["a", "b", "b"]))
    moves = om.transitions(kind.make(before), kind.make(after), customer="uid", label="tier")
    assert columns_of(moves.counts)["a"] == to_pandas(moves.counts)["a"].tolist()
    assert [text.get_text() for text in moves.plot().texts] == ["50%", "50%", "100%"]


# ------------------------------------------------------------------------------------------------------------ letters


@pytest.fixture
def chinese(report: om.RFM[pd.DataFrame]) -> om.RFM[pd.DataFrame]:
    return om.SegmentMap.cn8(labels="zh").assign(report)


def pretend(monkeypatch: pytest.MonkeyPatch, *families: str) -> None:
    """The machine has DejaVu, which knows no Chinese, and these families."""
    fonts = [font for font in font_manager.fontManager.ttflist if font.name not in CJK]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*fonts, *(font_manager.FontEntry(name=name) for name in families)])
    monkeypatch.setitem(mpl.rcParams, "font.sans-serif", ["DejaVu Sans"])


def test_chinese_labels_get_an_installed_font(chinese: om.RFM[pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "SimHei", "Microsoft YaHei")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = chinese.segments.plot()
    assert ticks(ax.yaxis) == chinese.segments.table["segment"].tolist()
    assert {tuple(label.get_fontfamily()) for label in ax.get_yticklabels()} == {("sans-serif", "Microsoft YaHei")}
    assert {tuple(label.get_fontfamily()) for label in ax.get_xticklabels()} == {tuple(mpl.rcParams["font.family"])}


def test_chinese_labels_without_a_font_are_said(chinese: om.RFM[pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    with pytest.warns(om.OpsmetricsWarning, match="the labels have Chinese characters, but no font with them is installed; install one"):
        chinese.segments.plot()


def test_other_labels_need_no_font(report: om.RFM[pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    report.segments.plot().figure.canvas.draw()


def test_a_font_that_the_user_chose_is_kept(chinese: om.RFM[pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    """`rcParams["font.sans-serif"] = [...]`, as every Chinese tutorial has it, needs no help."""
    installed = {font.name for font in font_manager.fontManager.ttflist} & CJK
    if not installed:
        pytest.skip("no font with Chinese characters is installed")
    chosen = min(installed)
    monkeypatch.setitem(mpl.rcParams, "font.sans-serif", [chosen])
    monkeypatch.setitem(mpl.rcParams, "font.family", ["sans-serif"])
    ax = chinese.segments.plot()
    assert {tuple(label.get_fontfamily()) for label in ax.get_yticklabels()} == {("sans-serif",)}
    ax.figure.canvas.draw()


def test_chinese_names_everywhere_in_a_picture(orders: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of cells, of the label's column, and of both sides of the moves."""
    pretend(monkeypatch, "SimHei")
    tiers = om.SegmentMap([("活跃", {"r": (3, 5)}), ("沉睡", {"r": (1, 2)})])
    before = om.rfm(orders, as_of="2025-06-30", segment_map=tiers, **ARGUMENTS)
    after = om.rfm(orders, as_of="2025-12-31", scorer=before.scorer, segment_map=tiers, **ARGUMENTS)
    by_tier = om.segment_summary(after.table.rename(columns={"segment": "分层"}), by="分层")
    drawn: list[Callable[[Axes], Any]] = [
        lambda ax: ax.texts,
        lambda ax: [ax._left_title],
        lambda ax: [*ax.get_xticklabels()[:2], *ax.get_yticklabels()[:2]],
    ]
    for result, pick in zip((after, by_tier, om.transitions(before, after)), drawn, strict=True):
        labels = pick(result.plot())
        assert labels
        assert {tuple(label.get_fontfamily()) for label in labels} == {("sans-serif", "SimHei")}
