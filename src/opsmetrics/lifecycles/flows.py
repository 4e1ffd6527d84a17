"""Between two reports of A-I-P-L: who stayed in a stage, who moved up or down, who was lost, and who is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

from opsmetrics import _frames, _output, _render
from opsmetrics._frames import Column, Ints, Use, Values
from opsmetrics._kernels import rates
from opsmetrics._results import Result, Table, dropped_notes, shown
from opsmetrics.errors import ParameterError, warn
from opsmetrics.lifecycles.holders import SIZE, Asked, Holders, by_size

FrameT_co = TypeVar("FrameT_co", covariant=True)

ENTRY: Final = "(new)"
"""The source of customers who were in no stage before."""

EXIT: Final = "(gone)"
"""The target of customers who are in no stage any more."""

OUT: Final = ("stayed", "moved_up", "moved_down", "lost")
"""What became of the customers of a stage: each of them is in one of these."""

RESERVED: Final = frozenset({
    "stage", "customers", "customer_share", "start", "end", *OUT, "from_below", "from_above", "new",
    *(f"{name}_rate{end}" for name in OUT for end in ("", "_low", "_high")),
})  # fmt: skip
"""Columns of the tables, which no column of the caller's may be called."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class AIPLFlow(Result[FrameT_co]):
    """How customers moved between the stages of A-I-P-L, as `AIPL.flow` returns them (also known as: AIPL 流转).

    Attributes
    ----------
    table : frame
        One row per stage. ``start`` is the number of its customers before, and each of them ``stayed``, ``moved_up``, ``moved_down`` or
        was ``lost`` (is in no stage after), so that start = stayed + moved_up + moved_down + lost. ``end`` is the number of its customers
        after: end = stayed + ``from_below`` + ``from_above`` (those who came from lower and from higher stages) + ``new`` (those who were
        in no stage before). ``stayed_rate``, ``moved_up_rate``, ``moved_down_rate`` and ``lost_rate`` are fractions of start, each with its
        interval (``..._low``, ``..._high``); missing where nobody started.
    moves : frame
        One row per move that happened, ready for a Sankey diagram: ``source``, ``target``, ``customers``. Newcomers have the source
        "(new)", those who were lost the target "(gone)".
    channels : frame
        Where a channel was named: the channel of first touch (as before; of newcomers as after), then the columns of the table, one row
        per channel and stage. The channel with most customers comes first, customers without one last.

    Examples
    --------
    >>> import opsmetrics as om
    >>> events = om.make_events(300, rng=1)
    >>> rules = {"awareness": "view", "interest": ["cart", "favourite"], "purchase": "pay", "loyalty": 2}
    >>> names = {"customer": "customer", "event": "event", "time": "time", "window": "30D"}
    >>> flow = om.aipl(events, rules, as_of="2025-02-15", **names).flow(om.aipl(events, rules, as_of="2025-03-15", **names))
    >>> flow.table[["stage", "start", "stayed", "moved_up", "moved_down", "lost", "new", "end"]].head(2)
           stage  start  stayed  moved_up  moved_down  lost  new  end
    0  awareness     87      32        19           0    36   47  103
    1   interest     62      14         8          18    22   20   51
    """

    moves = Table()
    channels = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"])
        kept = [place for place, name in enumerate(columns) if not name.endswith(("_low", "_high"))]
        notes = ["moves from stage to stage: .moves"] + (["by channel of first touch: .channels"] if "channels" in self._tables else [])
        return _render.View(
            title="A-I-P-L flow: what became of each stage",
            facts=shown(self.params),
            columns=[columns[place] for place in kept],
            rows=[[row[place] for place in kept] for row in rows],
            notes=[*notes, *dropped_notes(self.dropped)],
        )


def demand_alike(before: Mapping[str, object], after: Mapping[str, object], *, in_order: bool) -> None:
    """Two reports that can be compared: of the same columns and labels, one after the other."""
    for name in ("labels", "columns"):
        if before[name] != after[name]:
            raise ParameterError(
                f"after has {name}={after[name]!r}, but the report before has {name}={before[name]!r}; make both in the same way.",
                code="parameter.after",
            )
    if not in_order:
        raise ParameterError(
            f"after ends at {after['as_of']}, before the report that it is to follow, which ends at {before['as_of']}; swap the two.",
            code="parameter.after",
        )
    moved = [name for name in ("rules", "window") if before[name] != after[name]]
    if moved:
        warn(f"before and after differ in {' and '.join(moved)}, so the rule moved as well as the customers; count both by the same rules.")


def flow(asked: Asked, before: Holders, after: Holders, confidence: float) -> tuple[dict[str, Any], Ints]:
    """The tables of a flow, and the matrix of its moves."""
    (old, new), people = _frames.encode_together([before.people, after.people], Use("customer", asked.columns["customer"], "key"))
    source, target = np.full(len(people), SIZE), np.full(len(people), SIZE)
    source[old], target[new] = before.level, after.level
    move = source * (SIZE + 1) + target
    moves = np.bincount(move, minlength=(SIZE + 1) ** 2).reshape(SIZE + 1, SIZE + 1)
    tables = {
        "table": _output.build(asked.backend, _balance(asked, moves[None], confidence)),
        "moves": _output.build(asked.backend, _moves(asked, moves)),
    }
    if before.channel is not None:
        tables["channels"] = _by_channel(asked, before, after, (old, new), move, confidence)
    return tables, moves


def _balance(asked: Asked, moves: Ints, confidence: float) -> dict[str, Column]:
    """What became of each stage, group by group, from matrices of moves whose last row holds the newcomers and last column the lost."""
    inner = moves[:, :SIZE, :SIZE]
    up, down = np.triu(inner, 1), np.tril(inner, -1)
    counts = {
        "start": moves[:, :SIZE].sum(axis=2),
        "stayed": np.diagonal(inner, axis1=1, axis2=2),
        "moved_up": up.sum(axis=2),
        "moved_down": down.sum(axis=2),
        "lost": moves[:, :SIZE, SIZE],
        "from_below": up.sum(axis=1),
        "from_above": down.sum(axis=1),
        "new": moves[:, SIZE, :SIZE],
        "end": moves[:, :, :SIZE].sum(axis=1),
    }
    content: dict[str, Column] = {"stage": _output.words(asked.backend, asked.names, np.tile(np.arange(SIZE), len(moves)))}
    content |= {name: values.ravel() for name, values in counts.items()}
    start = counts["start"].ravel()
    for name in OUT:
        content |= rates.columns(f"{name}_rate", counts[name].ravel(), start, confidence)
    return content


def _moves(asked: Asked, moves: Ints) -> dict[str, Column]:
    source, target = np.nonzero(moves)
    return {
        "source": _output.words(asked.backend, [*asked.names, ENTRY], source),
        "target": _output.words(asked.backend, [*asked.names, EXIT], target),
        "customers": moves[source, target],
    }


def _by_channel(asked: Asked, before: Holders, after: Holders, codes: tuple[Ints, Ints], move: Ints, confidence: float) -> Any:
    """The balance of each channel of first touch: that of before where a customer was there, else that of after."""
    column = asked.columns["channel"]
    first, second, values = _channels(before, after, column)
    channel = np.empty(len(move), dtype=np.int64)
    channel[codes[1]] = second
    channel[codes[0]] = first
    order, place = by_size("channel", channel, values)
    cells = (SIZE + 1) ** 2
    moves = np.bincount(place * cells + move, minlength=len(order) * cells).reshape(len(order), SIZE + 1, SIZE + 1)
    content: dict[str, Column] = {column: _output.take_or_null(values, np.repeat(order, SIZE))}
    return _output.build(asked.backend, content | _balance(asked, moves, confidence))


def _channels(before: Holders, after: Holders, column: str) -> tuple[Ints, Ints, Values]:
    """The channels of both reports as codes into one list of values."""
    sides = [side.channel for side in (before, after) if side.channel is not None]
    (first, old), (second, new) = sides
    if len(old) == 0 or len(new) == 0:  # who knows no channel does not know its type either
        return first, second, old if len(old) else new
    (at_old, at_new), distinct = _frames.encode_together([old, new], Use("channel", column, "label"))
    return np.append(at_old, -1)[first], np.append(at_new, -1)[second], distinct
