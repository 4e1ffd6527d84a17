"""Pictures of customers: their segments, their scores, how often they bought, and where they went."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from opsmetrics import _frames, _output
from opsmetrics.customers import CustomerSummary
from opsmetrics.migration import Transitions
from opsmetrics.plotting.canvas import BLUE, GREY, INK, ORANGE, count_axis, draw, finish, heat, new_axes, per_cent
from opsmetrics.segments.results import RFM, RFMScores
from opsmetrics.segments.summaries import SegmentSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from opsmetrics._results import Result

_MOST = 10
"""The last bar of frequencies holds all from here on."""

_WRITTEN, _NAMED = 100, 36
"""Up to so many cells have room for their numbers, and for the name of their segment."""


@draw.register(SegmentSummary)
def _segments(result: SegmentSummary[Any], ax: Axes | None) -> Axes:
    """Bars of the share of customers and the share of revenue of each segment."""
    names, rows = _output.head(result._tables["table"])
    column = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    by, place = str(result.params["by"]), np.arange(len(rows))
    ax = new_axes(ax, 8.0, 1.4 + 0.4 * max(len(rows), 3))
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
    return finish(ax, f"{result.params['customers']:,} customers and their revenue by {by}", grid="x", above=20)


@draw.register(RFMScores)
def _cells(result: RFMScores[Any], ax: Axes | None) -> Axes:
    """The number of customers in each cell of recency and frequency scores, and the median money of its members."""
    return _grid(result, ax, {})


@draw.register(RFM)
def _named_cells(result: RFM[Any], ax: Axes | None) -> Axes:
    """The same cells with the names of their segments, where the map looks at recency and frequency alone."""
    names, rows = _output.head(result._tables["table"])
    pairs: set[Any] = {tuple(row[names.index(name)] for name in ("f_score", "r_score", "segment")) for row in rows}
    cells = {(int(f) - 1, int(r) - 1): str(name).replace("_", " ") for f, r, name in pairs}
    small = result.scorer.bins["f"] * result.scorer.bins["r"] <= _NAMED
    return _grid(result, ax, cells if small and len(cells) == len(pairs) else {})


def _grid(result: RFMScores[Any], ax: Axes | None, names: Mapping[tuple[int, int], str]) -> Axes:
    """Cells of scores, recency to the right and frequency up."""
    ax = new_axes(ax, 7.5, 5.5)
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
    image = heat(ax, counts, words, top=max(int(counts.max()), 1))
    if not written:
        ax.figure.colorbar(image, ax=ax, label="customers")
    _number(ax, *counts.shape)
    ax.invert_yaxis()
    ax.set_xlabel("recency score (right: bought recently)")
    ax.set_ylabel("frequency score (up: buys often)")
    legend = f"\nIn each cell: {'segment, ' if names else ''}customers, their median money" if written else ""
    return finish(ax, f"{len(f):,} customers by recency and frequency score{_until(result)}{legend}")


@draw.register(CustomerSummary)
def _frequencies(result: CustomerSummary[Any], ax: Axes | None) -> Axes:
    """How many customers bought once, twice, and so on."""
    ax = new_axes(ax, 7.0, 4.0)
    _, columns = _frames.columns("summary", result._tables["table"], [_frames.Use("frequency", "frequency", "number")])
    frequency = columns["frequency"].astype(np.int64)
    top = int(frequency.max(initial=1))
    last = min(top, _MOST)
    place = np.arange(1, last + 1)
    counts = np.bincount(np.minimum(frequency, last), minlength=last + 1)[1:]
    bars = ax.bar(place, counts, width=0.8, color=BLUE)
    ax.bar_label(bars, [per_cent(share) for share in counts / max(counts.sum(), 1)], padding=2, fontsize=8, color=GREY)
    ax.set_xticks(place, [*(str(i) for i in place[:-1]), f"{last}+" if top > last else str(last)])
    ax.set_xlim(0.4, max(last, 5) + 0.6)
    count_axis(ax.yaxis)
    ax.margins(y=0.08)
    ax.set_xlabel("orders per customer" if result.params["frequency"] == "orders" else "days with a purchase per customer")
    ax.set_ylabel("customers")
    return finish(ax, f"How often {counts.sum():,} customers bought{_until(result)}", grid="y")


@draw.register(Transitions)
def _moves(result: Transitions[Any], ax: Axes | None) -> Axes:
    """The share of each source (row) by target (column); the frames mark those who stayed."""
    names, rows = _output.head(result._tables["counts"])
    counts = np.array([row[1:] for row in rows], dtype=np.int64)
    totals = counts.sum(axis=1)
    size = len(counts)
    ax = new_axes(ax, 2.5 + 0.6 * max(size, 4), 2.2 + 0.42 * max(size, 4))
    shares = counts / np.maximum(totals, 1)[:, None]
    words = np.array([[per_cent(share) for share in row] for row in shares], dtype=object)
    heat(ax, shares, words, top=1.0)
    for i in range(size - 1):
        ax.add_patch(_frame(i))
    ax.set_xticks(range(size), names[1:], rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(size), [f"{row[0]}  {total:,}" for row, total in zip(rows, totals, strict=True)])
    ax.set_xlabel("after")
    ax.set_ylabel("before, with customers")
    return finish(ax, f"Where customers went, by {result.params['label']}\nIn each cell: share of its row (framed: stayed)")


def _frame(i: int) -> Any:
    """A frame around a cell of the diagonal."""
    from matplotlib.patches import Rectangle

    return Rectangle((i - 0.47, i - 0.47), 0.94, 0.94, fill=False, edgecolor=ORANGE, linewidth=1.6, zorder=3)


def _number(ax: Axes, up: int, across: int) -> None:
    """Scores from 1 at the ticks; about ten of them where there are many."""
    for axis, size in ((ax.yaxis, up), (ax.xaxis, across)):
        shown = [i for i in range(1, size + 1) if size <= _MOST or i == 1 or i % (size // _MOST) == 0]
        axis.set_ticks([i - 1 for i in shown], [str(i) for i in shown])


def _until(result: Result[Any]) -> str:
    """What the result says of its time, as the end of a title."""
    as_of, window = result.params.get("as_of"), result.params.get("window")
    span = "" if window is None else f", last {window:,} days"
    return "" if as_of is None else f"{span}, up to {as_of}"
