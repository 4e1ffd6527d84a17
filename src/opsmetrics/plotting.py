"""Pictures of results, with matplotlib (the ``plot`` extra). Nothing is shown, and no global setting is touched."""

from __future__ import annotations

import functools
import unicodedata
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from opsmetrics import _frames
from opsmetrics.customers import CustomerSummary
from opsmetrics.errors import OpsmetricsWarning
from opsmetrics.migration import Transitions
from opsmetrics.segments.results import RFMScores
from opsmetrics.segments.summaries import SegmentSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from opsmetrics._results import Result

T = TypeVar("T")

BLUE, ORANGE, GREY = "#3b7dd8", "#e0873a", "#8a8f98"
_CJK_FAMILIES = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "SimHei",
    "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "Arial Unicode MS",
)  # fmt: skip


@functools.singledispatch
def draw(result: Result[Any], _ax: Axes | None) -> Axes:
    """Draw a result on axes; new ones where none are given."""
    raise TypeError(f"{type(result).__name__} has no picture; draw its .table.")


@draw.register(SegmentSummary)
def _segments(result: SegmentSummary[Any], ax: Axes | None) -> Axes:
    """Bars of the share of customers and the share of revenue of each segment."""
    ax = _axes(ax, 8.0, 5.0)
    names, rows = _frames.head(result._tables["table"])
    column = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    labels = [str(label) for label in column[str(result.params["by"])]]
    place = np.arange(len(labels))
    for shift, name, colour, legend in (
        (-0.2, "customer_share", BLUE, "share of customers"),
        (0.2, "revenue_share", ORANGE, "share of revenue"),
    ):
        shares = [0.0 if share is None else float(str(share)) for share in column[name]]
        bars = ax.barh(place + shift, shares, height=0.38, color=colour, label=legend)
        ax.bar_label(bars, [f"{share:.1%}" for share in shares], padding=3, fontsize=8)
    ax.set_yticks(place, labels)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    ax.legend(frameon=False, loc="lower right")
    return _finish(ax, "What each segment holds", grid="x")


@draw.register(RFMScores)
def _cells(result: RFMScores[Any], ax: Axes | None) -> Axes:
    """The number of customers in each cell of recency and frequency scores, and the median money of its members."""
    ax = _axes(ax, 6.5, 5.0)
    frame, columns = _frames.columns(
        "scores", result._tables["table"], [_frames.Use(n, n, "number") for n in ("r_score", "f_score", "monetary")]
    )
    r, f = (columns[name].astype(np.int64) - 1 for name in ("r_score", "f_score"))
    shape = (result.scorer.bins["f"], result.scorer.bins["r"])
    counts = np.zeros(shape, dtype=np.int64)
    np.add.at(counts, (f, r), 1)
    _heat(ax, counts / max(len(frame), 1))
    if counts.size <= 100:
        for (y, x), count in np.ndenumerate(counts):
            if count:
                money = np.median(columns["monetary"][(f == y) & (r == x)])
                _tell(ax, x, y, f"{count:,}\n{money:,.0f}", dark=bool(count > counts.max() / 2))
    ax.set_xticks(range(shape[1]), [str(i + 1) for i in range(shape[1])])
    ax.set_yticks(range(shape[0]), [str(i + 1) for i in range(shape[0])])
    ax.invert_yaxis()
    ax.set_xlabel("recency score (right: bought recently)")
    ax.set_ylabel("frequency score (up: buys often)")
    return _finish(ax, "Customers by cell, with their median money")


@draw.register(CustomerSummary)
def _frequencies(result: CustomerSummary[Any], ax: Axes | None) -> Axes:
    """How many customers bought once, twice, and so on."""
    ax = _axes(ax, 7.0, 4.0)
    _, columns = _frames.columns("summary", result._tables["table"], [_frames.Use("frequency", "frequency", "number")])
    most = 10
    capped = np.minimum(columns["frequency"].astype(np.int64), most)
    counts = np.bincount(capped, minlength=most + 1)[1:]
    bars = ax.bar(np.arange(1, most + 1), counts, color=BLUE)
    ax.bar_label(bars, [f"{share:.0%}" for share in counts / max(counts.sum(), 1)], padding=2, fontsize=8, color=GREY)
    ax.set_xticks(np.arange(1, most + 1), [*(str(i) for i in range(1, most)), f"{most}+"])
    ax.set_xlabel(f"frequency ({result.params['frequency']})")
    ax.set_ylabel("customers")
    return _finish(ax, "Customers by frequency", grid="y")


@draw.register(Transitions)
def _moves(result: Transitions[Any], ax: Axes | None) -> Axes:
    """The share of each source (row) by target (column)."""
    ax = _axes(ax, 8.0, 6.0)
    names, rows = _frames.head(result._tables["shares"])
    shares = np.array([[np.nan if v is None else v for v in row[1:]] for row in rows], dtype=np.float64)
    _heat(ax, np.nan_to_num(shares))
    for (y, x), share in np.ndenumerate(shares):
        if share > 0:
            _tell(ax, x, y, f"{share:.0%}", dark=bool(share > np.nanmax(shares) / 2))
    ax.set_xticks(range(len(names) - 1), names[1:], rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), [str(row[0]) for row in rows])
    ax.set_xlabel("after")
    ax.set_ylabel("before")
    return _finish(ax, "Where customers went")


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError('plotting needs matplotlib: pip install "opsmetrics[plot]"') from None
    _, fresh = plt.subplots(figsize=(width, height), layout="constrained")
    return fresh


def _heat(ax: Axes, shares: _frames.Floats) -> None:
    ax.imshow(shares, cmap="Blues", aspect="auto", vmin=0.0)


def _tell(ax: Axes, x: int, y: int, words: str, *, dark: bool) -> None:
    ax.text(x, y, words, ha="center", va="center", fontsize=8, color="white" if dark else "#222222")


def _finish(ax: Axes, title: str, *, grid: str | None = None) -> Axes:
    ax.set_title(title, loc="left", fontsize=11)
    ax.spines[["top", "right"]].set_visible(False)
    if grid is not None:
        ax.grid(axis=grid, alpha=0.3)  # type: ignore[arg-type]
        ax.set_axisbelow(True)
    _letter([*ax.get_xticklabels(), *ax.get_yticklabels()])
    return ax


def _letter(labels: Sequence[Any]) -> None:
    """Give labels with Chinese characters a font that has them; the default font draws boxes."""
    wide = [label for label in labels if any(unicodedata.east_asian_width(c) in "WF" for c in label.get_text())]
    if not wide:
        return
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    family = next((name for name in _CJK_FAMILIES if name in installed), None)
    if family is None:
        warnings.warn(
            "the labels have Chinese characters, but no font with them is installed; install one (for example fonts-noto-cjk) and "
            "delete matplotlib's font cache, or choose English labels.",
            OpsmetricsWarning,
            stacklevel=2,
        )
        return
    for label in wide:
        label.set_fontfamily([family, "DejaVu Sans"])
