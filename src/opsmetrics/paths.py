"""Paths through a log: visits, and which event follows which."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames, _output, _parts, _render
from opsmetrics._clock import Clock
from opsmetrics._frames import Backend, Column, Floats, Ints, Use, Values
from opsmetrics._kernels import grouping, rates, sequences
from opsmetrics._marks import Marker
from opsmetrics._parts import Part
from opsmetrics._results import SHOWN_LABELS, Result, Table, dropped_notes, shown
from opsmetrics.errors import ColumnError, DataError, ParameterError
from opsmetrics.events import MISSING_EVENT, Columns, EventLog, arrange, check, read

if TYPE_CHECKING:
    import datetime as dt

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

ENTRY: Final = "(entry)"
"""What a path begins with."""

EXIT: Final = "(exit)"
"""What a path ends with."""

_RESERVED = frozenset({"session", "start", "end", "events", "seconds"})


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Sessions(Result[FrameT_co]):
    """Visits, as `sessionize` returns them.

    Attributes
    ----------
    table : frame
        One row per visit: the customer column, ``session`` (the customer's first visit is 1), ``start``, ``end``, ``events`` and
        ``seconds`` from the first event to the last.
    events : frame
        The caller's rows, in the caller's order, with the column ``session`` (null where the row has no customer or no time).
    customer : str
        The name of the customer column.

    Examples
    --------
    >>> import opsmetrics as om
    >>> visits = om.sessionize(om.make_events(50, rng=1), customer="customer", time="time")
    >>> list(visits.table.columns)
    ['customer', 'session', 'start', 'end', 'events', 'seconds']
    """

    customer: str

    events = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], 10)
        total = _output.height(self._tables["table"])
        return _render.View(
            title=f"Sessions: {total:,}", facts=shown(self.params), columns=columns, rows=rows, ids=(self.customer,), total_rows=total,
            notes=["your rows with their session: .events", *dropped_notes(self.dropped)],
        )  # fmt: skip


def sessionize(events: FrameT, *, customer: str, time: str, gap: str | dt.timedelta = "30min") -> Sessions[FrameT]:
    """Cut each customer's events into visits where nothing happened for a while (also known as: 会话切分).

    Parameters
    ----------
    events : frame
        One row per event; a scan or a DuckDB relation is collected.
    customer, time : str
        Columns of the customer (whole numbers or text) and the time (dates or timestamps).
    gap : str or timedelta
        A longer silence than this begins a new visit: "30min" is the custom of web analytics.

    Returns
    -------
    Sessions
        ``.table`` has one row per visit, with counts of events and times in the unit of a second; ``.events`` has the rows with the
        number of their visit, to be held constant by ``funnel(..., hold=["session"])``.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type; a column that is named "session" already.
    DataError
        No rows.
    ParameterError
        A gap that is no span of time.

    References
    ----------
    Catledge, L. D. & Pitkow, J. E. (1995), Characterizing browsing strategies in the World-Wide Web, Computer Networks and ISDN Systems
    27(6), 1065-1073 (25.5 minutes, from which the custom of 30 comes).

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> log = pd.DataFrame({"uid": [1, 1, 1], "at": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:30", "2026-01-01 11:01"])})
    >>> om.sessionize(log, customer="uid", time="at").events["session"].tolist()
    [1, 1, 2]
    """
    if gap is None:
        raise ParameterError("gap=None cuts nowhere; give the longest silence inside a visit, as in '30min'.", code="parameter.gap")
    span = _checks.duration("gap", gap, least=1)
    native = _frames.collect(_frames.wrap("events", events))
    uses = [Use("customer", customer, "key"), Use("time", time, "time")]
    _frames.check(native, uses)
    if customer in _RESERVED or "session" in native.columns:
        name = customer if customer in _RESERVED else "session"
        raise ColumnError(f"events has the column {name!r}, which the result needs for itself; rename it first.", code="column.reserved")
    source = _parts.read("events", native.to_native(), uses, marker=Marker(None, (), every=True))
    limit = source.clock.whole_ticks(span or 0)
    found = _parts.fold(source, functools.partial(_visits, clock=source.clock, gap=limit))
    numbers, known = np.zeros(len(native), dtype=np.int64), np.zeros(len(native), dtype=np.bool_)
    for visits in found:
        numbers[visits.row], known[visits.row] = visits.number, True
    customers = _frames.concat([visits.customers for visits in found])
    starts = np.cumsum([0, *(len(visits.customers) for visits in found)])
    person = np.concatenate([visits.person + start for visits, start in zip(found, starts.tolist(), strict=False)])
    columns = {name: np.concatenate([getattr(visits, name) for visits in found]) for name in ("session", "start", "end", "events")}
    rows = np.lexsort((columns["session"], _frames.rank(customers, "customer")[person]))
    content: dict[str, Column] = {
        customer: _frames.take(customers, person[rows]), "session": columns["session"][rows],
        "start": _output.stamps(source.backend, columns["start"][rows], source.clock),
        "end": _output.stamps(source.backend, columns["end"][rows], source.clock), "events": columns["events"][rows],
        "seconds": (columns["end"] - columns["start"])[rows] / float(source.clock.per_second),
    }  # fmt: skip
    tables = {
        "table": _output.build(source.backend, content),
        "events": _output.append(
            native, {"session": _output.whole_or_null(source.backend, numbers, known) if not known.all() else numbers}
        ),
    }
    params: dict[str, object] = {"columns": {"customer": customer, "time": time}, "gap": _checks.spoken(span or 0)}
    dropped = sum((visits.dropped for visits in found), Counter[str]())
    return Sessions(_tables=tables, params=params, dropped=dict(dropped), customer=customer)


@dataclass(frozen=True, slots=True)
class _Visits:
    """The visits of some customers, and the number of the visit of each of their rows."""

    row: Ints
    number: Ints
    customers: Values
    person: Ints
    session: Ints
    start: Ints
    end: Ints
    events: Ints
    dropped: Counter[str]


def _visits(part: Part, clock: Clock, gap: int) -> _Visits:
    """The visits of some whole customers."""
    ordered = arrange(part, clock, 0)
    log = ordered.log
    begins = visit_starts(log, gap)
    sizes = np.diff(begins, append=len(log))
    group = log.group[begins]
    first = np.repeat(sequences.run_starts(group), np.diff(sequences.run_starts(group), append=len(group)))
    session = np.arange(len(begins)) - first + 1
    return _Visits(
        row=part["row"][log.row], number=np.repeat(session, sizes), customers=part.customers, person=ordered.person[group], session=session,
        start=log.tick[begins], end=log.tick[begins + sizes - 1], events=sizes, dropped=ordered.dropped,
    )  # fmt: skip


def visit_starts(log: sequences.Log, gap: int | None) -> Ints:
    """Where visits begin: with a customer's first row, and after a silence longer than the gap."""
    begins = np.ones(len(log), dtype=np.bool_)
    begins[1:] = log.group[1:] != log.group[:-1]
    if gap is not None:
        begins[1:] |= log.tick[1:] > sequences.later(log.tick[:-1], gap)
    return np.flatnonzero(begins)


# --------------------------------------------------------------------------------------------------------- transitions


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class PathTransitions(Result[FrameT_co]):
    """Which event follows which, as `path_transitions` returns it.

    Attributes
    ----------
    table : frame
        One row per move that happened: ``source`` ("(entry)" where a path begins), ``target`` ("(exit)" where it ends), ``transitions``,
        ``customers`` who made it, ``share`` of all moves from the source with its interval ``share_low`` and ``share_high``, and
        ``median_seconds`` it took. Most frequent first.
    nodes : frame
        One row per event: ``event``, ``visits`` (rows), ``customers``, ``entry_rate`` (of paths begin here), ``exit_rate`` (of its rows
        are the last of a path) with its interval ``exit_rate_low`` and ``exit_rate_high``.

    Examples
    --------
    >>> import opsmetrics as om
    >>> found = om.path_transitions(om.make_events(100, rng=1), customer="customer", event="event", time="time", gap="30min")
    >>> list(found.nodes.columns)
    ['event', 'visits', 'customers', 'entry_rate', 'exit_rate', 'exit_rate_low', 'exit_rate_high']
    """

    nodes = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN_LABELS)
        total = _output.height(self._tables["table"])
        return _render.View(
            title=f"Path transitions: {self.params['paths']:,} paths of {self.params['customers']:,} customers", facts=shown(self.params),
            columns=columns, rows=rows, bars=("share",), ids=("source", "target"), total_rows=total,
            notes=["one row per event: .nodes", *dropped_notes(self.dropped)],
        )  # fmt: skip


@overload
def path_transitions(
    events: EventLog[FrameT], *, customer: None = ..., event: None = ..., time: None = ...,
    gap: str | dt.timedelta | None = ..., confidence: float = ...,
) -> PathTransitions[FrameT]: ...  # fmt: skip
@overload
def path_transitions(
    events: FrameT, *, customer: str, event: str, time: str, gap: str | dt.timedelta | None = ..., confidence: float = ...,
) -> PathTransitions[FrameT]: ...  # fmt: skip
def path_transitions(
    events: Any, *, customer: str | None = None, event: str | None = None, time: str | None = None,
    gap: str | dt.timedelta | None = None, confidence: float = 0.95,
) -> PathTransitions[Any]:  # fmt: skip
    """Count which event follows which, where paths begin and where they end (also known as: 路径分析, 桑基图数据).

    A path is all of a customer, or one visit of his where `gap` is given. Events at the same time follow each other in the order of the
    input.

    Parameters
    ----------
    events : frame or EventLog
        One row per event, or a log from `prepare_events`.
    customer, event, time : str, optional
        Columns of the customer and the event (whole numbers or text) and of the time (dates or timestamps). A prepared log knows them.
    gap : str or timedelta, optional
        A longer silence than this ends a path: "30min" for visits.
    confidence : float
        Of the intervals, between 0 and 1.

    Returns
    -------
    PathTransitions
        Moves and events: counts, fractions, and times with the unit of a second. The moves of one customer depend on each other, so the
        intervals of shares and of exit rates take customers as clusters.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows; an event named "(entry)" or "(exit)".
    ParameterError
        A gap that is no span of time.

    References
    ----------
    Chierichetti, F. et al. (2012), Are web users really Markovian?, WWW 2012, 609-618 (what a table of single moves can tell, and what it
    cannot). Cochran, W. G. (1977), Sampling Techniques, 3rd ed., 6.3 (rates of clusters).

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> at = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"])
    >>> log = pd.DataFrame({"uid": [1, 1, 2], "what": ["view", "pay", "view"], "at": at})
    >>> om.path_transitions(log, customer="uid", event="what", time="at").table[["source", "target", "transitions", "share"]]
        source  target  transitions  share
    0  (entry)    view            2    1.0
    1      pay  (exit)            1    1.0
    2     view  (exit)            1    0.5
    3     view     pay            1    0.5
    """
    level, span = _checks.fraction("confidence", confidence), _checks.duration("gap", gap, least=1)
    columns = Columns(customer, event, time).resolved(events, needs_event=True)
    uses = [
        Use("customer", str(columns.customer), "key"),
        Use("time", str(columns.time), "time"),
        Use("event", str(columns.event), "label"),
    ]
    check(events, [*uses[:2], Use("event", str(columns.event), "key")])
    source = read(events, uses, Marker(columns.event, (), every=True), None)
    limit = None if span is None else source.clock.whole_ticks(span)
    found = _parts.fold(source, functools.partial(_moves, clock=source.clock, gap=limit))
    params: dict[str, object] = {
        "columns": {use.argument: use.column for use in uses},
        "gap": None if span is None else _checks.spoken(span),
    }
    return _result(_merge(found, uses[2]), source.backend, source.clock, level, params)


@dataclass(frozen=True, slots=True)
class _Moves:
    """Moves of some customers: source and target, the customer (from 0), the ticks it took, and the rows left out.

    Source and target point into `names`; the number of names is the entry, one more the exit, and such moves take -1 ticks.
    """

    source: Ints
    target: Ints
    person: Ints
    took: Ints
    names: Values
    people: int
    dropped: Counter[str]


def _moves(part: Part, clock: Clock, gap: int | None) -> _Moves:
    """The moves of some whole customers; rows without an event are no stations."""
    ordered = arrange(part, clock, 0)
    codes = part["event"][ordered.log.row]
    if unnamed := int(np.count_nonzero(codes < 0)):
        ordered.dropped[MISSING_EVENT] = unnamed
    log, codes = ordered.log.take(codes >= 0), codes[codes >= 0]
    names = part.labels["event"]
    begins = visit_starts(log, gap)
    ends = np.append(begins[1:], len(log)) - 1 if len(log) else begins
    inner = np.ones(len(log), dtype=np.bool_)
    inner[begins] = False
    to = np.flatnonzero(inner)
    entry, leave = np.full(len(begins), len(names)), np.full(len(ends), len(names) + 1)
    return _Moves(
        source=np.concatenate([entry, codes[to - 1], codes[ends]]),
        target=np.concatenate([codes[begins], codes[to], leave]),
        person=np.concatenate([log.group[begins], log.group[to], log.group[ends]]),
        took=np.concatenate([np.full(len(begins), -1), log.tick[to] - log.tick[to - 1], np.full(len(ends), -1)]),
        names=names, people=len(part.customers), dropped=ordered.dropped,
    )  # fmt: skip


def _merge(parts: Sequence[_Moves], event: Use) -> _Moves:
    """Moves of disjoint customers, by the names of all."""
    own = [(np.arange(len(part.names)), part.names) for part in parts]
    joined, names = _frames.together(own, event)
    tables = np.split(joined, np.cumsum([len(part.names) for part in parts])[:-1])
    spoken = [np.append(table, [len(names), len(names) + 1]) for table in tables]
    starts = np.cumsum([0, *(part.people for part in parts)]).tolist()
    return _Moves(
        source=np.concatenate([table[part.source] for table, part in zip(spoken, parts, strict=True)]),
        target=np.concatenate([table[part.target] for table, part in zip(spoken, parts, strict=True)]),
        person=np.concatenate([part.person + start for part, start in zip(parts, starts, strict=False)]),
        took=np.concatenate([part.took for part in parts]),
        names=names, people=starts[-1], dropped=sum((part.dropped for part in parts), Counter[str]()),
    )  # fmt: skip


def _result(moves: _Moves, backend: Backend, clock: Clock, confidence: float, params: dict[str, object]) -> PathTransitions[Any]:
    """The tables of moves and of events."""
    names = [str(name) for name in moves.names.to_list()]
    if taken := sorted({ENTRY, EXIT} & set(names)):
        raise DataError(f"event= has the value {taken[0]!r}, which names the ends of paths; rename it.", code="data.label")
    spoken, size = [*names, ENTRY, EXIT], len(names) + 2
    kinds, code = np.unique(moves.source * size + moves.target, return_inverse=True)
    source, target = kinds // size, kinds % size
    counts = np.bincount(code, minlength=len(kinds))
    out = np.bincount(moves.source, minlength=size)
    share, low, high = _shares(source, code, moves, counts, out, confidence)
    waits = (
        grouping.medians(code, len(kinds), [np.where(moves.took < 0, np.nan, moves.took / float(clock.per_second))])[0]
        if len(kinds)
        else counts
    )
    alphabet = np.argsort(np.argsort(np.array(spoken, dtype=object)))
    rows = np.lexsort((alphabet[target], alphabet[source], -counts))
    content: dict[str, Column] = {
        "source": _output.words(backend, spoken, source[rows]), "target": _output.words(backend, spoken, target[rows]),
        "transitions": counts[rows], "customers": _people(code, moves, len(kinds))[rows], "share": share[rows], "share_low": low[rows],
        "share_high": high[rows], "median_seconds": np.asarray(waits, dtype=np.float64)[rows],
    }  # fmt: skip
    paths = int(np.count_nonzero(moves.source == len(names)))
    tables = {
        "table": _output.build(backend, content),
        "nodes": _nodes(moves, backend, names, (source, target, share, low, high), counts, out, paths, confidence),
    }
    params |= {"paths": paths, "customers": len(np.unique(moves.person)), "confidence": confidence}
    return PathTransitions(_tables=tables, params=params, dropped=dict(moves.dropped))


def _people(code: Ints, moves: _Moves, size: int) -> Ints:
    """How many customers made each move."""
    pairs = np.unique(code * max(moves.people, 1) + moves.person)
    return np.bincount(pairs // max(moves.people, 1), minlength=size)


def _shares(source: Ints, code: Ints, moves: _Moves, counts: Ints, out: Ints, confidence: float) -> tuple[Floats, Floats, Floats]:
    """The share of each move among those from its source, with an interval in which customers are clusters."""
    people = max(moves.people, 1)
    pair, times = np.unique(code * people + moves.person, return_counts=True)
    whole, from_source = np.unique(moves.source * people + moves.person, return_counts=True)
    kind, person = pair // people, pair % people
    x = from_source[np.searchsorted(whole, source[kind] * people + person)] if len(pair) else times
    node = whole // people
    xx, clusters = np.bincount(node, from_source.astype(np.float64) ** 2, minlength=len(out)), np.bincount(node, minlength=len(out))
    yy, xy = np.bincount(kind, times.astype(np.float64) ** 2, minlength=len(counts)), np.bincount(kind, times * x, minlength=len(counts))
    size = rates.effective_size(counts * 1.0, out[source] * 1.0, yy, xy, xx[source], clusters[source] * 1.0)
    share = grouping.ratio(counts, out[source])
    low, high = rates.wilson(np.nan_to_num(share) * size, size, confidence)
    return share, low, high


def _nodes(
    moves: _Moves,
    backend: Backend,
    names: list[str],
    kinds: tuple[npt.NDArray[Any], ...],
    counts: Ints,
    out: Ints,
    paths: int,
    confidence: float,
) -> Any:
    """One row per event, the most visited first."""
    source, target, share, low, high = kinds
    size = len(names)
    entries, exits = np.zeros(size, dtype=np.int64), np.zeros((3, size))
    begin, end = source == size, target == size + 1
    entries[target[begin]] = counts[begin]
    exits[:, source[end]] = share[end], low[end], high[end]
    never = np.ones(size, dtype=np.bool_)
    never[source[end]] = False
    customers = np.bincount(np.unique(moves.source * max(moves.people, 1) + moves.person) // max(moves.people, 1), minlength=size + 1)[
        :size
    ]
    exits[2, never] = rates.wilson(0, customers[never], confidence)[1]  # customers are clusters
    rows = np.lexsort((np.argsort(np.argsort(np.array(names, dtype=object))), -out[:size]))
    content: dict[str, Column] = {
        "event": _output.words(backend, names, rows), "visits": out[:size][rows], "customers": customers[rows],
        "entry_rate": grouping.ratio(entries, paths)[rows], "exit_rate": exits[0][rows], "exit_rate_low": exits[1][rows],
        "exit_rate_high": exits[2][rows],
    }  # fmt: skip
    return _output.build(backend, content)
