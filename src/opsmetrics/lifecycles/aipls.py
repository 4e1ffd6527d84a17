"""A-I-P-L: customers in the highest of four stages whose rule one of their events matches."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial as bind
from typing import Literal, TypeVar

import numpy as np

from opsmetrics import _checks, _frames, _output, _parts, _render, activity
from opsmetrics._frames import Use
from opsmetrics._kernels import calendars
from opsmetrics._patterns import Of, word
from opsmetrics._results import Result, Table, dropped_notes, shown
from opsmetrics.activity import Observed
from opsmetrics.errors import DataError, ParameterError
from opsmetrics.events import demand_known
from opsmetrics.lifecycles import flows, holders, matching
from opsmetrics.lifecycles.flows import RESERVED, AIPLFlow
from opsmetrics.lifecycles.holders import NAMES, SIZE, Asked, Holders

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)


_KEYS = NAMES["en"]
_PURCHASE, _LOYALTY = _KEYS.index("purchase"), _KEYS.index("loyalty")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class AIPL(Result[FrameT_co]):
    """Customers by stage of A-I-P-L, as `aipl` returns them (also known as: AIPL 人群资产).

    Attributes
    ----------
    table : frame
        One row per stage, from the lowest to the highest, empty ones included: ``stage``, ``customers``, ``customer_share`` (of all
        customers in a stage; missing where there are none).
    customers : frame
        One row per customer in a stage, in the order of the ids: the customer column, ``stage`` and, where one was named, the channel of
        first touch. Made when it is first asked for.
    channels : frame
        Where a channel was named: the channel, ``stage``, ``customers``, one row for each channel and stage. The channel with most
        customers comes first, customers without one last.

    Examples
    --------
    >>> import opsmetrics as om
    >>> events = om.make_events(300, rng=1)
    >>> rules = {"awareness": "view", "interest": ["cart", "favourite"], "purchase": "pay", "loyalty": 2}
    >>> report = om.aipl(events, rules, customer="customer", event="event", time="time", as_of="2025-03-15", window="30D")
    >>> report.table["stage"].tolist()
    ['awareness', 'interest', 'purchase', 'loyalty']
    """

    _holders: Holders
    _asked: Asked

    customers = Table()
    channels = Table()

    def flow(self, after: AIPL[object], *, confidence: float = 0.95) -> AIPLFlow[FrameT_co]:
        """What became of the customers of each stage by a later report (also known as: AIPL 流转, 人群流失与跃迁).

        Customers of both reports are matched by id. A customer who is in no stage of the later report is lost, one who was in none of this
        one is new. With a window, both reports look back by the same number of days.

        Parameters
        ----------
        after : AIPL
            The later report, made with the same labels and columns, of frames of the same kind. Other rules or another window give a
            warning.
        confidence : float
            Of the Wilson intervals, between 0 and 1.

        Returns
        -------
        AIPLFlow
            Counts of customers, which balance exactly, and rates as fractions of those who started in the stage.

        Raises
        ------
        ColumnError
            Ids of one type in one report and another in the other.
        DataError
            Reports of two kinds of frames.
        ParameterError
            Reports with unlike labels or columns; a report that ends before this one; a confidence outside (0, 1).

        References
        ----------
        Alibaba Cloud, Quick Audience help 420448 (up, down, lost and new between two dates). Wilson, E. B. (1927), Probable inference, the
        law of succession, and statistical inference, JASA 22, 209-212 (the intervals).

        Examples
        --------
        >>> import opsmetrics as om
        >>> events = om.make_events(300, rng=1)
        >>> rules = {"awareness": "view", "interest": ["cart", "favourite"], "purchase": "pay", "loyalty": 2}
        >>> names = {"customer": "customer", "event": "event", "time": "time"}
        >>> before, after = (om.aipl(events, rules, as_of=day, **names) for day in ("2025-02-15", "2025-03-15"))
        >>> before.flow(after).table[["stage", "start", "stayed", "moved_up", "moved_down", "lost"]].head(2)
               stage  start  stayed  moved_up  moved_down  lost
        0  awareness    114      91        23           0     0
        1   interest     78      68        10           0     0
        """
        level = _checks.fraction("confidence", confidence)
        if not isinstance(after, AIPL):
            raise ParameterError(
                f"after is a {type(after).__name__}; give the later report, an AIPL as om.aipl returns it.", code="parameter.after"
            )
        flows.demand_alike(self.params, after.params, in_order=self._asked.end <= after._asked.end)
        tables, moves = flows.flow(self._asked, self._holders, after._holders, level)
        params: dict[str, object] = {
            **{name: self.params[name] for name in ("columns", "labels", "window")}, "before": self.params["as_of"],
            "after": after.params["as_of"], "lost": int(moves[:SIZE, SIZE].sum()), "new": int(moves[SIZE, :SIZE].sum()),
            "confidence": level,
        }  # fmt: skip
        return AIPLFlow(_tables=tables, params=params, dropped={})

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"])
        notes = ["the stage of each customer: .customers"]
        notes += ["by channel of first touch: .channels"] if "channels" in self._tables else []
        return _render.View(
            title=f"A-I-P-L: {len(self._holders.level):,} customers",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            bars=("customer_share",),
            notes=[*notes, *dropped_notes(self.dropped)],
        )


def aipl(
    events: FrameT,
    rules: Mapping[str, Of],
    *,
    customer: str,
    event: str | None = None,
    time: str,
    as_of: str | dt.date | dt.datetime | np.datetime64,
    window: int | str | dt.timedelta | None = None,
    channel: str | None = None,
    tz: str | None = None,
    labels: Literal["zh", "en"] | Mapping[str, str] = "en",
) -> AIPL[FrameT]:
    """Put each customer in the highest stage he has reached: awareness, interest, purchase, loyalty (also known as: AIPL 模型, 消费者资产).

    A customer who matches several rules is in the highest of their stages, one who matches none is in no stage and is not counted. Rows
    that match no rule are not looked at; of those that match, rows without a customer or a time, and rows after `as_of`, are left out and
    counted in ``.dropped``.

    Parameters
    ----------
    events : frame
        One row per event. pandas, polars (eager or lazy), pyarrow, or a DuckDB relation.
    rules : mapping of str to str, int, list or mapping
        For each of "awareness", "interest", "purchase" and "loyalty" the rows that count, as a funnel's step is written: an event, a list
        of events, ``{"event": ..., "where": {column: value}}``, or the name of a boolean column. A whole number n under "loyalty" means n
        or more rows that match "purchase" (write ``[n]`` for an event whose name is a number).
    customer : str
        Column of the customer (whole numbers or text).
    event : str, optional
        Column of the event (text or whole numbers); not needed where all rules are boolean columns.
    time : str
        Column of the time (dates or timestamps).
    as_of : str, date, datetime or datetime64
        The last moment of the report: a day is included to its local end, an instant itself.
    window : int, str or timedelta, optional
        Only rows of so many local days up to the day of `as_of`, that day included; by default all history.
    channel : str, optional
        Column of the channel. A customer's channel is that of his first row that matches any rule (the earliest, and among equals the first
        of the input), however old.
    tz : str, optional
        The shop's time zone, as in `customer_summary`.
    labels : str or mapping
        The language of the names of the stages, "en" or "zh", or a name for each English one; the keys of `rules` stay as they are.

    Returns
    -------
    AIPL
        ``.table`` has counts of customers and shares as fractions, ``.customers`` the stage of each; `AIPL.flow` compares two dates.

    Raises
    ------
    ColumnError
        A column that is missing, repeated, of the wrong type, or named as one of the result.
    DataError
        No rows; no row that matches a rule up to `as_of`; times beyond the calendar.
    ParameterError
        Rules that lack a stage; an event that never occurs, with the nearest that does; an argument outside its rule.

    References
    ----------
    Alibaba Cloud, Quick Audience help 420448: A < I < P < L; a user who meets several is put in the highest, and is lost when in none at
    the end date.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> log = pd.DataFrame({
    ...     "uid": ["ann", "ann", "ann", "bo", "bo", "cy"],
    ...     "what": ["view", "pay", "pay", "view", "cart", "view"],
    ...     "at": pd.to_datetime(["2026-01-02", "2026-01-03", "2026-01-09", "2026-01-04", "2026-01-05", "2026-01-06"]),
    ... })
    >>> rules = {"awareness": "view", "interest": "cart", "purchase": "pay", "loyalty": 2}
    >>> om.aipl(log, rules, customer="uid", event="what", time="at", as_of="2026-01-31").table
           stage  customers  customer_share
    0  awareness          1        0.333333
    1   interest          1        0.333333
    2   purchase          0        0.000000
    3    loyalty          1        0.333333
    """
    names = _checks.names("labels", labels, NAMES)
    _demand_apart(names)
    span = _checks.days("window", window)
    _checks.moment("as_of", as_of)  # a report of stages has no date by default
    frame = _frames.snapshot(_frames.wrap("events", events))
    uses = [*activity.uses_of(customer, time), *([] if channel is None else [Use("channel", channel, "label")])]
    _frames.check(frame, [*uses, *matching.event_use(event)])
    for argument, column in (("customer", customer), ("channel", channel)):
        _checks.free(argument, column, RESERVED)
    named = _checks.named("rules", rules, _KEYS)
    least = _repeats(named["loyalty"])
    said, marker = matching.understand({key: named[key] for key in _KEYS if key != "loyalty" or least is None}, event, _frames.kinds(frame))
    log = activity.observe("events", frame, uses, tz=tz, as_of=as_of, marker=marker)
    observed = log.observed
    start = calendars.MISSING + 1 if span is None else observed.clock.midnight(observed.today - span + 1)
    found = _parts.fold(log.source, bind(_partial, observed=observed, start=start, least=least))
    demand_known("rules", marker.patterns, frozenset().union(*(part.seen for part in found)), frame, event, matching.ABSENT)
    if not any(part.matched for part in found):
        raise DataError(
            f"as_of={observed.text!r} leaves no row that matches a rule and has a {customer!r} and a {time!r}; choose a later as_of, or "
            "check the columns and the rules.",
            code="data.no_activity",
        )
    columns = {use.argument: use.column for use in [*uses, *matching.event_use(event)]}
    asked = Asked(log.source.backend, columns, names, Fraction(observed.end) / observed.clock.per_second)
    held = _merge(found, uses)
    params: dict[str, object] = {
        "columns": columns, "rules": said if least is None else said | {"loyalty": least}, "as_of": observed.text, "window": span,
        "tz": observed.clock.local, "labels": list(names),
    }  # fmt: skip
    dropped = dict(sum((part.dropped for part in found), Counter[str]()))
    return AIPL(_tables=holders.tables(held, asked), params=params, dropped=dropped, _holders=held, _asked=asked)


def _demand_apart(names: Sequence[str]) -> None:
    """Names that tell the stages apart, from each other and from those who come and go."""
    taken = {flows.ENTRY, flows.EXIT} & set(names)
    if taken or len(set(names)) < SIZE:
        raise ParameterError(
            f"labels={list(names)} must be {SIZE} different names, none of them {flows.ENTRY!r} or {flows.EXIT!r}.", code="parameter.labels"
        )


def _repeats(loyalty: object) -> int | None:
    """The number of purchases that make a customer loyal; None where loyalty has a pattern of its own."""
    least = word(loyalty)
    if not isinstance(least, int) or isinstance(least, bool):
        return None
    if not 2 <= least <= 2**31:
        raise ParameterError(
            f"rules has {{'loyalty': {least}}}; a whole number is that of the purchases, two or more. Write [{least}] for an event of this "
            "name.",
            code="parameter.rules",
        )
    return least


# ------------------------------------------------------------------------------------------- partial, merge, finish


@dataclass(frozen=True, slots=True)
class _Found:
    """Those of some whole customers who are in a stage, whether any row counted, what was left out, and which events occur."""

    holders: Holders
    matched: bool
    dropped: Counter[str]
    seen: frozenset[str | int]


def _partial(part: _parts.Part, observed: Observed, start: int, least: int | None) -> _Found:
    """The stages of some whole customers."""
    rows = activity.usable(part, observed)
    people = len(part.customers)
    inside = rows.ticks >= start
    codes, marks = (rows.codes, rows.values(part["marks"])) if inside.all() else (rows.codes[inside], rows.values(part["marks"])[inside])
    level = np.full(people, -1, dtype=np.int64)
    for place in range(SIZE if least is None else SIZE - 1):  # the higher stages are written last
        level[codes[marks & marks.dtype.type(1 << place) != 0]] = place
    if least is not None:
        bought = np.bincount(codes[marks & marks.dtype.type(1 << _PURCHASE) != 0], minlength=people)
        level[bought >= least] = _LOYALTY
    there = np.flatnonzero(level >= 0)
    channel = None
    if "channel" in part.labels:
        channel = activity.first_values(rows, part["channel"], people)[there], part.labels["channel"]
    held = Holders(_frames.take(part.customers, there), level[there], channel)
    return _Found(held, len(rows.codes) > 0, rows.dropped, part.seen)


def _merge(found: Sequence[_Found], uses: Sequence[Use]) -> Holders:
    """Customers of disjoint parts, side by side."""
    sides = [part.holders for part in found]
    labelled = [side.channel for side in sides if side.channel is not None]
    channel = _frames.together(labelled, uses[-1]) if labelled else None
    return Holders(_frames.concat([side.people for side in sides]), np.concatenate([side.level for side in sides]), channel)
