"""Activation: how many new customers do the thing that matters, soon enough."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial as bind
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from opsmetrics import _checks, _frames, _output, _parts, _patterns, _render, activity
from opsmetrics._frames import Backend, Column, Ints, Use
from opsmetrics._kernels import cohorts as kernel
from opsmetrics._kernels import rates
from opsmetrics._marks import Marker
from opsmetrics._results import SHOWN_LABELS, Result, Table, dropped_notes, shown
from opsmetrics.activity import Log, Tally, WeekStart
from opsmetrics.cohorts import observations
from opsmetrics.events import demand_known

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

Weeks: TypeAlias = Literal["week", "day", "month", "quarter", "year"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Activation(Result[FrameT_co]):
    """How many new customers were activated, as `activation_rate` returns it (also known as: 激活率).

    Attributes
    ----------
    table : frame
        One row per period of first sight: ``period`` (its first day), ``customers`` first seen in it, ``eligible`` (followed for the whole
        span), ``activated`` of these, ``rate``, ``rate_low``, ``rate_high``. Where nobody is eligible, the last four are missing.
    overall : frame
        The same over all periods, one row without the period.

    Examples
    --------
    >>> import opsmetrics as om
    >>> events = om.make_events(200, rng=1)
    >>> found = om.activation_rate(events, "cart", customer="customer", event="event", time="time", period="month")
    >>> found.overall[["customers", "eligible", "activated"]]
       customers  eligible  activated
    0        200       196         58
    """

    overall = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN_LABELS)
        names, (whole,) = _output.head(self._tables["overall"])
        told = dict(zip(names, whole, strict=True))
        rate = told["rate"]
        total = f"{rate:.1%}" if isinstance(rate, float) else "nobody was followed for the whole span"
        count = _output.height(self._tables["table"])
        return _render.View(
            title=f"Activation: {told['activated'] or 0:,} of {told['eligible']:,} eligible customers ({total})",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            bars=("rate",),
            total_rows=count,
            notes=dropped_notes(self.dropped),
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The log, and the ticks that a customer has."""

    log: Log
    span: int


def activation_rate(
    events: FrameT,
    key: _patterns.Of,
    *,
    customer: str,
    time: str,
    event: str | None = None,
    within: int | str | dt.timedelta = 7,
    period: Weeks | int | str | dt.timedelta = "week",
    as_of: str | dt.date | dt.datetime | np.datetime64 | None = None,
    tz: str | None = None,
    week_start: WeekStart = "monday",
    confidence: float = 0.95,
) -> Activation[FrameT]:
    """How many new customers have a key event soon after they are first seen (also known as: 激活率).

    First sight is a customer's first row, whatever it says. He is activated by a row that matches `key` at the same time or up to `within`
    later, in elapsed time. Only who was followed for the whole span counts, whether activated or not: those seen last have had less time.

    Parameters
    ----------
    events : frame
        One row per event. pandas, polars (eager or lazy), pyarrow, or a DuckDB relation.
    key : str, int, sequence or mapping
        What activates, written as a step of a funnel: an event, a list of events (any of them), a mapping with "event" and "where"
        (columns and the values they may have), or the name of a boolean column.
    customer, time : str
        Columns of the customer (whole numbers or text) and the time (dates or timestamps).
    event : str, optional
        Column of the event (whole numbers or text); not needed where `key` names no event.
    within : int, str or timedelta
        The span since first sight, its end included: a bare number is days, "48h" and "30min" are shorter.
    period : {"week", "day", "month", "quarter", "year"} or days
        Of first sight, in the calendar of `tz`; or a whole number of days ("30D"), of which the last span ends with `as_of`.
    as_of : str, date, datetime or datetime64, optional
        The last moment that the data covers: a day is included to its local end, an instant itself; later rows are left out and counted.
        By default the local day of the last row, taken to be over: name the instant where it is not.
    tz : str, optional
        The shop's time zone, as in `customer_summary`.
    week_start : {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
        The day on which weeks begin.
    confidence : float
        Of the Wilson intervals, between 0 and 1.

    Returns
    -------
    Activation
        ``.table`` has counts of customers and rates as fractions, one row per period of first sight, empty ones included.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows; no event up to `as_of`; times beyond the calendar or that span more than 100,000 periods.
    ParameterError
        An argument outside its rule; a key event that never occurs.

    References
    ----------
    McClure, D. (2007), Startup metrics for pirates (AARRR: acquisition, activation, retention, referral, revenue).

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> log = pd.DataFrame({
    ...     "uid": ["ann", "ann", "bo", "bo", "cy"],
    ...     "what": ["visit", "pay", "visit", "pay", "visit"],
    ...     "at": pd.to_datetime(["2026-01-05", "2026-01-07", "2026-01-06", "2026-01-20", "2026-01-21"]),
    ... })
    >>> found = om.activation_rate(log, "pay", customer="uid", event="what", time="at", as_of="2026-01-25")
    >>> found.table[["period", "customers", "eligible", "activated", "rate"]]
          period  customers  eligible  activated  rate
    0 2026-01-05          2         2          1   0.5
    1 2026-01-12          0         0       <NA>   NaN
    2 2026-01-19          1         0       <NA>   NaN
    """
    level = _checks.fraction("confidence", confidence)
    span = observations.elapsed("within", within)
    frame = _frames.wrap("events", events)
    uses = activity.uses_of(customer, time)
    if event is not None:
        _frames.check(frame, [*uses, Use("event", event, "key")])
    label, pattern = _patterns.pattern("key", key, event, _frames.kinds(frame))
    marker = Marker(event, (pattern,), every=True)
    log = activity.observe("events", frame, uses, tz=tz, as_of=as_of, period=period, week_start=week_start, marker=marker)
    asked = _Asked(log, log.observed.clock.whole_ticks(span))
    parts = _parts.fold(log.source, bind(_partial, asked=asked))
    demand_known("key", (pattern,), frozenset[str | int]().union(*(seen for _, seen in parts)), frame, event, "Check its spelling.")
    found = activity.add_up([tally for tally, _ in parts])
    activity.demand_activity(found.counts[:1], log.observed, log.columns)
    columns: dict[str, object] = {**log.columns, **({} if event is None else {"event": event})}
    params = activity.params_of(log, activity.period_of("period", period), week_start) | log.observed.facts | {
        "columns": columns, "key": label, "within": _checks.spoken(span), "confidence": level,
    }  # fmt: skip
    return Activation(_tables=_finish(found, log, level), params=params, dropped=dict(found.dropped))


def _partial(part: _parts.Part, asked: _Asked) -> tuple[Tally, frozenset[str | int]]:
    """First sights of some whole customers by period, and which of the named events occur."""
    observed = asked.log.observed
    rows = activity.usable(part, observed)
    key = rows.values(part["marks"]) != 0
    starts = kernel.activations(rows.codes, rows.ticks, key, len(part.customers), asked.span, observed.end)
    # One cell for each customer, that of his first sight.
    sights = activity.Rows(np.arange(len(starts.first)), starts.first, None, None, rows.dropped)
    numbers = activity.cells(sights, observed, len(starts.first)).period
    base = int(numbers.min(initial=observed.last))
    counts = [numbers, numbers[starts.eligible], numbers[starts.eligible & starts.activated]]
    size = observed.last - base + 1
    return Tally(base, np.stack([np.bincount(c - base, minlength=size) for c in counts])[:, None, :], rows.dropped), part.seen


def _finish(found: Tally, log: Log, confidence: float) -> dict[str, Any]:
    """The table by period, and the whole."""
    backend, counts = log.source.backend, found.counts[:, 0]
    numbers = found.base + np.arange(counts.shape[1])
    head: dict[str, Column] = {"period": _output.days(backend, log.observed.periods.start(numbers))}
    return {
        "table": _output.build(backend, head | _rates(backend, counts, confidence)),
        "overall": _output.build(backend, _rates(backend, counts.sum(axis=1, keepdims=True), confidence)),
    }


def _rates(backend: Backend, counts: Ints, confidence: float) -> dict[str, Column]:
    customers, eligible, activated = counts
    known = eligible > 0
    columns: dict[str, Column] = {"customers": customers, "eligible": eligible}
    columns["activated"] = _output.whole_or_null(backend, activated, known)
    return columns | rates.columns("rate", activated, eligible, confidence, known)
