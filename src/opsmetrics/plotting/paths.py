"""Pictures of visits and of moves between events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from opsmetrics import _frames
from opsmetrics.paths import PathTransitions, Sessions
from opsmetrics.plotting.canvas import BLUE, GREY, count_axis, draw, finish, heat, new_axes, per_cent, read, span, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EVENTS = 12
"""So many events have a row and a column of their own."""

_BARS = 15
"""About so many bars of visits are drawn."""

ENTRY, EXIT, OTHERS = "(entry)", "(exit)", "(other events)"


@draw.register(Sessions)
def _visits(result: Sessions[Any], ax: Axes | None) -> Axes:
    """How many visits have so many events; the last bar holds all from there on."""
    uses = [_frames.Use(name, name, "number") for name in ("events", "seconds")]
    _, columns = _frames.columns("sessions", result._tables["table"], uses)
    events = columns["events"].astype(np.int64)
    top = int(np.quantile(events, 0.99, method="higher")) if events.size else 1
    width = next(first * 10**power for power in range(19) for first in (1, 2, 5) if top <= _BARS * first * 10**power)
    last = -(-top // width)
    bins = np.minimum((events - 1) // width, last - 1)
    counts = np.bincount(bins, minlength=last)
    ends = np.arange(1, last + 1) * width
    labels = [str(end) if width == 1 else f"{end - width + 1:,}-{end:,}" for end in ends]
    if events.max(initial=0) > ends[-1]:
        labels[-1] = f"{ends[-1] - width + 1:,}+"
    ax = new_axes(ax, 8.0, 4.0)
    bars = ax.bar(np.arange(last), counts, width=0.86, color=BLUE)
    ax.bar_label(bars, [per_cent(share) for share in counts / max(counts.sum(), 1)], padding=2, fontsize=8, color=GREY)
    ax.set_xticks(np.arange(last), labels, fontsize=9 if last <= 12 else 8)
    ax.set_xlim(-0.6, max(last, 5) - 0.4)
    count_axis(ax.yaxis)
    ax.margins(y=0.08)
    ax.set_xlabel("events per visit")
    ax.set_ylabel("visits")
    middle = f": median {np.median(events):,g} events, {span(float(np.median(columns['seconds'])))}" if events.size else ""
    return finish(ax, f"{len(events):,} visits (gap {result.params['gap']}){middle}", grid="y")


@draw.register(PathTransitions)
def _follows(result: PathTransitions[Any], ax: Axes | None) -> Axes:
    """The share of each source (row) by target (column), with where paths begin and end."""
    nodes, moves = read(result, "nodes"), read(result)
    names, every = nodes["event"][:_EVENTS], len(nodes["event"])
    sources = {name: i for i, name in enumerate([ENTRY, *names])}
    targets = {name: i for i, name in enumerate([*names, *([OTHERS] if every > _EVENTS else []), EXIT])}
    shares, totals = np.zeros((len(sources), len(targets))), np.zeros(len(sources), dtype=np.int64)
    for source, target, count, share in zip(*(moves[name] for name in ("source", "target", "transitions", "share")), strict=True):
        if source in sources:
            shares[sources[source], targets.get(target, targets.get(OTHERS, 0))] += share
            totals[sources[source]] += count
    words = np.array([[per_cent(share) for share in row] for row in shares], dtype=object)
    ax = new_axes(ax, 3.0 + 0.55 * max(len(targets), 4), 2.2 + 0.42 * max(len(sources), 4))
    heat(ax, shares, words, top=float(shares.max()) or 1.0)
    ax.axhline(0.5, color=GREY, linewidth=1.0)
    for edge in {len(names), len(targets) - 1}:
        ax.axvline(edge - 0.5, color=GREY, linewidth=1.0)
    ax.set_xticks(range(len(targets)), [wrapped(name) for name in targets], rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(sources)), [f"{wrapped(name)}  {total:,}" for name, total in zip(sources, totals, strict=True)])
    ax.set_xlabel("next event")
    ax.set_ylabel("event, with how often")
    few = f", the {len(names)} most frequent of {every:,} events" if every > _EVENTS else ""
    title = f"Which event follows which: {result.params['paths']:,} paths{few}\nIn each cell: share of its row"
    return finish(ax, title)
