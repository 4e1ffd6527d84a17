"""Pictures of results, with matplotlib (the ``plot`` extra). Nothing is shown, and no global setting is touched."""

from __future__ import annotations

import functools
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from opsmetrics import _frames
from opsmetrics.customers import CustomerSummary
from opsmetrics.errors import warn
from opsmetrics.migration import Transitions
from opsmetrics.segments.results import RFM, RFMScores
from opsmetrics.segments.summaries import SegmentSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

    from opsmetrics._results import Result

Words = npt.NDArray[np.object_]

# Blue and orange differ for every common kind of colour blindness, and in grey.
BLUE, ORANGE, INK, GREY = "#3b7dd8", "#e69f00", "#222222", "#5b616b"
_CJK_FAMILIES = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "SimHei",
    "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "Arial Unicode MS", "Noto Sans CJK JP",
)  # fmt: skip
_MOST = 10
"""The last bar of frequencies holds all from here on."""

_WRITTEN, _NAMED = 100, 36
"""Up to so many cells have room for their numbers, and for the name of their segment."""


@functools.singledispatch
def draw(result: Result[Any], _ax: Axes | None) -> Axes:
    """Draw a result on axes; new ones where none are given."""
    raise TypeError(f"{type(result).__name__} has no picture; draw its .table.")


@draw.register(SegmentSummary)
def _segments(result: SegmentSummary[Any], ax: Axes | None) -> Axes:
    """Bars of the share of customers and the share of revenue of each segment."""
    names, rows = _frames.head(result._tables["table"])
    column = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    by, place = str(result.params["by"]), np.arange(len(rows))
    ax = _axes(ax, 8.0, 1.4 + 0.4 * max(len(rows), 3))
    for shift, name, colour, legend in ((-0.2, "customer_share", BLUE, "customers"), (0.2, "revenue_share", ORANGE, "revenue")):
        shares: list[Any] = column[name]
        lengths = [0.0 if share is None else share for share in shares]
        bars = ax.barh(place + shift, lengths, height=0.38, color=colour, label=legend)
        ax.bar_label(bars, ["no revenue" if share is None else f"{share:.1%}" for share in shares], padding=3, fontsize=8, color=INK)
    ax.set_yticks(place, [str(label) for label in column[by]])
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    ax.set_xlabel("share of all")
    ax.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.0, borderpad=0.2)
    return _finish(ax, f"{result.params['customers']:,} customers and their revenue by {by}", grid="x", above=20)


@draw.register(RFMScores)
def _cells(result: RFMScores[Any], ax: Axes | None) -> Axes:
    """The number of customers in each cell of recency and frequency scores, and the median money of its members."""
    return _grid(result, ax, {})


@draw.register(RFM)
def _named_cells(result: RFM[Any], ax: Axes | None) -> Axes:
    """The same cells with the names of their segments, where the map looks at recency and frequency alone."""
    names, rows = _frames.head(result._tables["table"])
    pairs: set[Any] = {tuple(row[names.index(name)] for name in ("f_score", "r_score", "segment")) for row in rows}
    cells = {(int(f) - 1, int(r) - 1): str(name).replace("_", " ") for f, r, name in pairs}
    small = result.scorer.bins["f"] * result.scorer.bins["r"] <= _NAMED
    return _grid(result, ax, cells if small and len(cells) == len(pairs) else {})


def _grid(result: RFMScores[Any], ax: Axes | None, names: Mapping[tuple[int, int], str]) -> Axes:
    """Cells of scores, recency to the right and frequency up."""
    ax = _axes(ax, 7.5, 5.5)
    uses = [_frames.Use(name, name, "number") for name in ("f_score", "r_score", "monetary")]
    _, columns = _frames.columns("scores", result._tables["table"], uses)
    f, r = (columns[name].astype(np.int64) - 1 for name in ("f_score", "r_score"))
    counts = np.zeros((result.scorer.bins["f"], result.scorer.bins["r"]), dtype=np.int64)
    np.add.at(counts, (f, r), 1)
    written = counts.size <= _WRITTEN
    words = np.full(counts.shape, "", dtype=object)
    for y, x in np.argwhere(counts) if written else ():
        money = np.median(columns["monetary"][(f == y) & (r == x)])
        name = textwrap.fill(names.get((y, x), ""), 12)
        words[y, x] = f"{name}\n{counts[y, x]:,}\n{money:,.0f}".strip()
    image = _heat(ax, counts, words, top=max(int(counts.max()), 1))
    if not written:
        ax.figure.colorbar(image, ax=ax, label="customers")
    _number(ax, *counts.shape)
    ax.invert_yaxis()
    ax.set_xlabel("recency score (right: bought recently)")
    ax.set_ylabel("frequency score (up: buys often)")
    legend = f"\nIn each cell: {'segment, ' if names else ''}customers, their median money" if written else ""
    return _finish(ax, f"{len(f):,} customers by recency and frequency score{_until(result)}{legend}")


@draw.register(CustomerSummary)
def _frequencies(result: CustomerSummary[Any], ax: Axes | None) -> Axes:
    """How many customers bought once, twice, and so on."""
    ax = _axes(ax, 7.0, 4.0)
    _, columns = _frames.columns("summary", result._tables["table"], [_frames.Use("frequency", "frequency", "number")])
    frequency = columns["frequency"].astype(np.int64)
    top = int(frequency.max(initial=1))
    last = min(top, _MOST)
    place = np.arange(1, last + 1)
    counts = np.bincount(np.minimum(frequency, last), minlength=last + 1)[1:]
    bars = ax.bar(place, counts, width=0.8, color=BLUE)
    ax.bar_label(bars, [_per_cent(share) for share in counts / max(counts.sum(), 1)], padding=2, fontsize=8, color=GREY)
    ax.set_xticks(place, [*(str(i) for i in place[:-1]), f"{last}+" if top > last else str(last)])
    ax.set_xlim(0.4, max(last, 5) + 0.6)
    _count(ax.yaxis)
    ax.margins(y=0.08)
    ax.set_xlabel("orders per customer" if result.params["frequency"] == "orders" else "days with a purchase per customer")
    ax.set_ylabel("customers")
    return _finish(ax, f"How often {counts.sum():,} customers bought{_until(result)}", grid="y")


@draw.register(Transitions)
def _moves(result: Transitions[Any], ax: Axes | None) -> Axes:
    """The share of each source (row) by target (column); the frames mark those who stayed."""
    names, rows = _frames.head(result._tables["counts"])
    counts = np.array([row[1:] for row in rows], dtype=np.int64)
    totals = counts.sum(axis=1)
    size = len(counts)
    ax = _axes(ax, 2.5 + 0.6 * max(size, 4), 2.2 + 0.42 * max(size, 4))
    shares = counts / np.maximum(totals, 1)[:, None]
    words = np.array([[_per_cent(share) for share in row] for row in shares], dtype=object)
    _heat(ax, shares, words, top=1.0)
    for i in range(size - 1):
        ax.add_patch(_frame(i))
    ax.set_xticks(range(size), names[1:], rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(size), [f"{row[0]}  {total:,}" for row, total in zip(rows, totals, strict=True)])
    ax.set_xlabel("after")
    ax.set_ylabel("before, with customers")
    return _finish(ax, f"Where customers went, by {result.params['label']}\nIn each cell: share of its row (framed: stayed)")


# -------------------------------------------------------------------------------------------------------- common parts


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError('plotting needs matplotlib: pip install "opsmetrics[plot]"') from None
    _, fresh = plt.subplots(figsize=(width, height), layout="constrained")
    return fresh


def _heat(ax: Axes, values: npt.NDArray[Any], words: Words, *, top: float) -> AxesImage:
    """Cells from white (zero) to dark blue (top), divided by white lines, with words in ink that can be read on them."""
    image = ax.imshow(np.ma.masked_equal(values, 0), cmap="Blues", aspect="auto", vmin=0.0, vmax=top)
    if words.any():
        ax.set_xticks(np.arange(values.shape[1] + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(values.shape[0] + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="#e3e6ea", linewidth=0.8)
        ax.tick_params(which="minor", length=0)
    for (y, x), word in np.ndenumerate(words):
        if word:
            # From two thirds of the scale on, white has more contrast on "Blues" than ink.
            ax.text(x, y, word, ha="center", va="center", fontsize=8, linespacing=1.35, color="white" if values[y, x] > 0.67 * top else INK)
    return image


def _frame(i: int) -> Any:
    """A frame around a cell of the diagonal."""
    from matplotlib.patches import Rectangle

    return Rectangle((i - 0.47, i - 0.47), 0.94, 0.94, fill=False, edgecolor=ORANGE, linewidth=1.6, zorder=3)


def _count(axis: Axis) -> None:
    """An axis of counts: whole numbers, in thousands."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda count, _: f"{count:,.0f}")


def _number(ax: Axes, up: int, across: int) -> None:
    """Scores from 1 at the ticks; about ten of them where there are many."""
    for axis, size in ((ax.yaxis, up), (ax.xaxis, across)):
        shown = [i for i in range(1, size + 1) if size <= _MOST or i == 1 or i % (size // _MOST) == 0]
        axis.set_ticks([i - 1 for i in shown], [str(i) for i in shown])


def _per_cent(share: float) -> str:
    """A share in whole per cent; nothing for zero, and never 0% for a little."""
    if share == 0:
        return ""
    return "<1%" if share < 0.005 else f"{share:.0%}"


def _until(result: Result[Any]) -> str:
    """What the result says of its time, as the end of a title."""
    as_of, window = result.params.get("as_of"), result.params.get("window")
    span = "" if window is None else f", last {window:,} days"
    return "" if as_of is None else f"{span}, up to {as_of}"


def _finish(ax: Axes, title: str, *, grid: str | None = None, above: float = 6) -> Axes:
    """The title (so many points above the axes), light lines, and letters for every language."""
    heading = ax.set_title(title, loc="left", fontsize=11, pad=above)
    ax.spines[["top", "right"]].set_visible(False)
    if grid is not None:
        ax.grid(axis=grid, alpha=0.3)  # type: ignore[arg-type]
        ax.set_axisbelow(True)
    labels = [heading, *ax.get_xticklabels(), *ax.get_yticklabels(), *ax.texts]
    for label in labels:
        label.set_parse_math(False)  # "$100-$500" is a price, not a formula
    _letter(labels)
    return ax


def _letter(labels: Sequence[Text]) -> None:
    """Give labels with Chinese characters a font that has them; the default font draws boxes."""
    wide = [label for label in labels if _lacks(label)]
    if not wide:
        return
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    family = next((name for name in _CJK_FAMILIES if name in installed), None)
    if family is None:
        warn(
            "the labels have Chinese characters, but no font with them is installed; install one (for example fonts-noto-cjk) and "
            "delete matplotlib's font cache, or choose English labels."
        )
        return
    for label in wide:
        label.set_fontfamily([*label.get_fontfamily(), family])


def _lacks(label: Text) -> bool:
    """Whether a label has wide characters that its font, the user's choice, has no glyphs for."""
    wide = {c for c in label.get_text() if unicodedata.east_asian_width(c) in "WF"}
    if not wide:
        return False
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont(label.get_fontproperties()))
    return not all(font.get_char_index(ord(c)) for c in wide)
