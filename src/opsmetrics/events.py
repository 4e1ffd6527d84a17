"""The event log: who did what, when. The common ground of the families that start from events.

A log is read in parts of whole customers, and the rows of a part are put in order (`arrange`). A prepared log has done both once.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from opsmetrics import _frames, _parts, _render
from opsmetrics._clock import Clock
from opsmetrics._frames import Ints, Use, Values
from opsmetrics._kernels import sequences
from opsmetrics._kernels.calendars import MISSING
from opsmetrics._kernels.sequences import Log
from opsmetrics._marks import Marker, Pattern, look_up
from opsmetrics._parts import Part, Source
from opsmetrics.errors import ColumnError, DataError, ParameterError, nearest

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

_Extra: TypeAlias = "dict[str, tuple[npt.NDArray[Any], Values | None]]"
"""Columns of a frame in its own order, and the distinct values of those that are labels."""

_LISTED = 20
"""Events that a sentence names at most."""

MISSING_CUSTOMER, MISSING_TIME, MISSING_EVENT = "missing customer", "missing time", "missing event"


@dataclass(frozen=True, slots=True)
class SortedRows:
    """The rows of some whole customers by (customer, time, place in the input): their codes, ticks, events and places."""

    codes: npt.NDArray[np.int32]
    ticks: Ints
    events: npt.NDArray[np.integer]
    row: npt.NDArray[np.integer]
    customers: Values


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class EventLog(Generic[FrameT_co]):
    """A log that is encoded and in order, as `prepare_events` returns it; `funnel` and `path_transitions` take it in the place of a frame.

    Attributes
    ----------
    customer, event, time : str
        The columns.
    tz : str or None
        The shop's time zone.
    names : list
        The events that occur.
    rows : int
        Rows of the frame.

    Examples
    --------
    >>> import opsmetrics as om
    >>> log = om.prepare_events(om.make_events(100, rng=1), customer="customer", event="event", time="time")
    >>> log.names[:3]
    ['view', 'favourite', 'search']
    """

    customer: str
    event: str
    time: str
    tz: str | None
    names: list[str | int]
    rows: int
    _frame: Any
    _clock: Clock
    _sorted: Sequence[SortedRows]
    _lost: Sequence[Part]
    _last: int

    def __repr__(self) -> str:
        return _render.text(self._view())

    def _repr_html_(self) -> str:
        return _render.page(self._view())

    def _view(self) -> _render.View:
        people = sum(len(part.customers) for part in self._sorted)
        facts = {"customer": self.customer, "event": self.event, "time": self.time, "tz": self.tz, "customers": people}
        return _render.View(f"Event log: {self.rows:,} rows, {len(self.names):,} events", facts, [], [])

    def _source(self, uses: Sequence[Use], marker: Marker) -> Source:
        """The log as a source of parts; the first three uses are those it was prepared for."""
        _frames.check(self._frame, uses)
        extra = [use for use in uses[1:] if use.role != "time"]

        def parts() -> _parts.Parts:
            table = marker.by_code(self.names) if marker.by_event_alone else None
            marks = None if table is not None else marker.mark(self._frame)[0]
            columns = self._columns(extra)
            read = functools.partial(_read_sorted, table, marks, marker.every, seen=frozenset(self.names), columns=columns)
            for rows in self._sorted:
                yield functools.partial(read, rows)
            for lost in self._lost:
                if lost.rows:
                    yield functools.partial(_mark_lost, lost, table, marks, every=marker.every, columns=columns)

        return Source(self._frame.implementation, self._clock, parts)

    def _columns(self, uses: Sequence[Use]) -> _Extra:
        """Other columns of the frame, in its own order, and the distinct values of labels."""
        found: _Extra = {}
        for use in uses:
            series = self._frame[use.column]
            found[use.argument] = _frames.encode(series, use) if use.role == "label" else (_frames.values_of(series, use), None)
        return found


def _read_sorted(
    table: npt.NDArray[Any] | None,
    marks: npt.NDArray[Any] | None,
    every: bool,
    rows: SortedRows,
    *,
    seen: frozenset[Any],
    columns: _Extra,
) -> Part:
    """A part of the rows that are wanted, in order already."""
    marked = look_up(table, rows.events) if table is not None else marks[rows.row] if marks is not None else np.zeros(0)
    kept = np.arange(len(marked)) if every else np.flatnonzero(marked)
    place = rows.row[kept]
    values = {"time": rows.ticks[kept], "marks": marked[kept], "row": place} | {
        name: column[place] for name, (column, _) in columns.items()
    }
    labels = {name: distinct for name, (_, distinct) in columns.items() if distinct is not None}
    return Part(len(kept), rows.codes[kept].astype(np.int64), rows.customers, values, labels, seen, grouped=True)


def _mark_lost(lost: Part, table: npt.NDArray[Any] | None, marks: npt.NDArray[Any] | None, *, every: bool, columns: _Extra) -> Part:
    """The rows without a customer or a time, which a fold will drop and count."""
    marked = table[lost["events"]] if table is not None else marks[lost["row"]] if marks is not None else np.zeros(0)
    kept = np.arange(len(marked)) if every else np.flatnonzero(marked)
    place = lost["row"][kept]
    values = {"time": lost["time"][kept], "marks": marked[kept], "row": place} | {
        name: column[place] for name, (column, _) in columns.items()
    }
    labels = {name: distinct for name, (_, distinct) in columns.items() if distinct is not None}
    return Part(len(kept), lost.codes[kept], lost.customers, values, labels)


def prepare_events(events: FrameT, *, customer: str, event: str, time: str, tz: str | None = None) -> EventLog[FrameT]:
    """Encode and order a log once, for many questions (also known as: 事件日志预处理).

    A funnel on a prepared log does not encode names or sort rows again. The answers are the same.

    Parameters
    ----------
    events : frame
        One row per event. pandas, polars, pyarrow; a scan or a DuckDB relation is collected.
    customer, event, time : str
        Columns of the customer and of the event (whole numbers or text) and of the time (dates or timestamps).
    tz : str, optional
        The shop's time zone, whose calendar counts days, weeks and months.

    Returns
    -------
    EventLog
        To be given to `funnel` or `path_transitions` in the place of the frame, without the names of the columns; their counts are the
        same.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows; times beyond the calendar.

    References
    ----------
    The layout is that of a sorted column store: a customer's rows stand together, in the order of time.

    Examples
    --------
    >>> import opsmetrics as om
    >>> log = om.prepare_events(om.make_events(100, rng=1), customer="customer", event="event", time="time")
    >>> om.funnel(log, ["view", "cart", "pay"]).table["customers"].tolist()
    [100, 51, 23]
    """
    native = _frames.collect(_frames.wrap("events", events))
    uses = [Use("customer", customer, "key"), Use("time", time, "time"), Use("event", event, "label")]
    _frames.check(native, [*uses[:2], Use("event", event, "key")])
    marker = Marker(event, (), every=True)
    source = _parts.read("events", native.to_native(), uses, tz=tz, marker=marker)
    found = _parts.fold(source, functools.partial(_sort, source.clock))
    labels = found[0][2]
    return EventLog(
        customer=customer, event=event, time=time, tz=tz, names=labels.to_list(), rows=len(native),
        _frame=native, _clock=source.clock, _sorted=[rows for rows, _, _ in found], _lost=[lost for _, lost, _ in found],
        _last=_frames.latest(native, uses[1]),
    )  # fmt: skip


def _sort(clock: Clock, part: Part) -> tuple[SortedRows, Part, Values]:
    """The rows of a part in order, those without a customer or a time apart, and the names of the events."""
    keep, _ = usable(part, clock)
    kept, gone = np.flatnonzero(keep), np.flatnonzero(~keep)
    rows = kept[sequences.order(part.codes[kept], part["time"][kept])]
    names = part.labels["event"]
    codes, events = part.codes[rows].astype(np.int32), part["event"][rows].astype(np.min_scalar_type(-len(names) - 1))
    columns = {"time": part["time"][gone], "events": part["event"][gone], "row": part["row"][gone]}
    lost = Part(len(gone), part.codes[gone], part.customers, columns)
    return SortedRows(codes, part["time"][rows], events, part["row"][rows], part.customers), lost, names


# ------------------------------------------------------------------------------------------------------ any kind of log


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a log that the caller named; all None for a prepared log, which knows its own."""

    customer: str | None
    event: str | None
    time: str | None

    def resolved(self, events: object, *, needs_event: bool = False) -> Columns:
        """The names that count: those of a prepared log, or those given for a frame."""
        names = {"customer": self.customer, "event": self.event, "time": self.time}
        if isinstance(events, EventLog):
            if given := [name for name, value in names.items() if value is not None]:
                argument = given[0]
                raise ParameterError(
                    f"{argument}={names[argument]!r} was given with a prepared log, which knows its columns already; leave out {given}.",
                    code=f"parameter.{argument}",
                )
            return Columns(events.customer, events.event, events.time)
        for argument, column in names.items():
            if column is not None and not isinstance(column, str):
                raise ColumnError(f"{argument}={column!r} is no name of a column; a name is a text.", code="column.name")
            if column is None and (needs_event or argument != "event"):
                raise ParameterError(
                    f"{argument}=None: name the column of the {argument}; the frame has {_frames.names('events', events)}.",
                    code=f"parameter.{argument}",
                )
        return self


def check(events: object, uses: Sequence[Use]) -> None:
    """Hold the columns of a log against their uses."""
    _frames.check(events._frame if isinstance(events, EventLog) else _frames.wrap("events", events), uses)


def opened(events: object) -> object:
    """A log behind the common interface, as it is now; a prepared one is already."""
    return events if isinstance(events, EventLog) else _frames.snapshot(_frames.wrap("events", events))


def kinds_of(events: object) -> dict[str, str]:
    """What each column of a log holds."""
    return _frames.kinds(events._frame if isinstance(events, EventLog) else _frames.wrap("events", events))


def read(events: object, uses: Sequence[Use], marker: Marker, tz: str | None) -> Source:
    """A log as a source of parts; the uses are customer, time, then others."""
    if not isinstance(events, EventLog):
        return _parts.read("events", events, uses, tz=tz, marker=marker)
    if tz is not None and tz != events.tz:
        raise ParameterError(
            f"tz={tz!r} differs from the tz={events.tz!r} that the log was prepared with; leave it out.", code="parameter.tz"
        )
    return events._source(uses, marker)


def latest(events: object, time: Use) -> int:
    """The last tick of a log: what is known ends there."""
    return events._last if isinstance(events, EventLog) else _frames.latest(_frames.wrap("events", events), time)


def names_of(events: object, event: str) -> list[Any]:
    """The events that occur in a log."""
    return events.names if isinstance(events, EventLog) else _frames.some(_frames.wrap("events", events), event)


def demand_known(argument: str, patterns: Sequence[Pattern], seen: frozenset[str | int], log: object, event: str | None, fix: str) -> None:
    """The events that an argument names occur; those that never do are mostly typos."""
    missing = [word for word in dict.fromkeys(word for pattern in patterns for word in pattern.events or ()) if word not in seen]
    there = names_of(log, str(event)) if missing else []
    for name in missing:
        if name in there:  # it occurs, but only in rows that the engine left out
            continue
        more = f" and {len(there) - _LISTED:,} more" if len(there) > _LISTED else ""
        listed = ", ".join(repr(one) for one in there[:_LISTED]) + more
        raise ParameterError(
            f"{argument} names the event {name!r}, which never occurs in {event!r}; it has {listed or 'no event'}.{nearest(name, there)} "
            f"{fix}",
            code=f"parameter.{argument}.missing",
        )


# --------------------------------------------------------------------------------------------------------------- order


def usable(part: Part, clock: Clock, hold: Sequence[str] = ()) -> tuple[npt.NDArray[np.bool_], Counter[str]]:
    """Which rows have a customer, a time and the values held, and how many have not, by the first that is missing."""
    ticks = part["time"]
    keep, dropped = np.ones(part.rows, dtype=np.bool_), Counter[str]()
    if part.rows == 0:
        return keep, dropped
    reasons = {MISSING_CUSTOMER: part.codes, MISSING_TIME: ticks} | {f"missing {name}": part[name] for name in hold}
    first = int(ticks.min())
    for reason, values in reasons.items():
        least = MISSING + 1 if reason == MISSING_TIME else 0
        if (first if reason == MISSING_TIME else values.min()) < least:
            dropped[reason] = int(np.count_nonzero((values < least) & keep))
            keep &= values >= least
    timed = ticks[keep] if dropped else ticks
    if timed.size:
        _refuse_no_date(int(timed.min()) if dropped else first, int(timed.max()), clock)
    return keep, +dropped


def _refuse_no_date(first: int, last: int, clock: Clock) -> None:
    if not clock.covers(first, last):
        raise DataError(
            "time= reaches beyond the years 1 to 9999 of the calendar; check its unit, and drop infinite times.", code="data.time"
        )
    if last - first > sequences.LARGEST:
        raise DataError("time= spans more nanoseconds than 64 bits hold; cast it to microseconds.", code="data.time")


@dataclass(frozen=True, slots=True)
class Ordered:
    """A part in order. `log.row` points into the part's arrays, `person` has the customer's code of each group."""

    log: Log
    person: Ints
    dropped: Counter[str]


def arrange(part: Part, clock: Clock, steps: int, hold: Sequence[str] = ()) -> Ordered:
    """The rows of a part by (key, time, lowest step matched, place in the input); the key is the customer with what is held constant."""
    keep, dropped = usable(part, clock, hold)
    rows = np.flatnonzero(keep) if dropped else slice(None)
    codes, ticks, marks = part.codes[rows], part["time"][rows], part["marks"][rows]
    group, person = codes, np.arange(len(part.customers))
    if hold:
        for name in hold:
            group, _ = _frames.factorize(group * len(part.labels[name]) + part[name][rows])
        person = codes[_frames.first_rows(group)]
    if part.grouped and not hold and _in_time(group, ticks):
        place = _settled(group, ticks, marks, steps)
    else:
        place = sequences.order(group, ticks, sequences.lowest_bit(marks, steps) if steps else None)
    if place is None:
        return Ordered(Log(group, ticks, marks, np.arange(part.rows)[rows]), person, dropped)
    row = place if isinstance(rows, slice) else rows[place]
    return Ordered(Log(group[place], ticks[place], marks[place], row), person, dropped)


def _in_time(group: Ints, ticks: Ints) -> bool:
    """Whether the rows of each group stand in the order of time, as those of most logs do."""
    return bool(((ticks[1:] >= ticks[:-1]) | (group[1:] != group[:-1])).all())


def _settled(group: Ints, ticks: Ints, marks: npt.NDArray[np.integer], steps: int) -> Ints | None:
    """Rows at the same time in the order of the steps they match; None where they stand so already."""
    tied = np.flatnonzero((ticks[1:] == ticks[:-1]) & (group[1:] == group[:-1])) + 1
    if steps == 0 or tied.size == 0:
        return None
    minor = sequences.lowest_bit(marks, steps)
    wrong = tied[minor[tied] < minor[tied - 1]]
    if wrong.size == 0:
        return None
    starts = np.delete(np.arange(len(group)), tied)  # of runs of rows of one customer at one time
    place = np.arange(len(group))
    sequences.resort(place, starts, wrong, ticks, minor)
    return place
