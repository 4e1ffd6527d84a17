"""Habits: how many customers come on a day, in a week, in a month, and on how many days each comes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial as bind
from typing import Any, TypeVar

import numpy as np

from opsmetrics import _output, _parts, _render, activity
from opsmetrics._frames import Column
from opsmetrics._kernels import cohorts as kernel
from opsmetrics._kernels import grouping
from opsmetrics._results import SHOWN, Result, Table, dropped_notes, shown
from opsmetrics.activity import Log, Tally
from opsmetrics.cohorts import observations

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

WEEK = 7


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Stickiness(Result[FrameT_co]):
    """How many customers come, and how often, as `stickiness` returns it (also known as: 用户粘性, DAU/MAU).

    Attributes
    ----------
    table : frame
        One row per day: ``day``, ``dau`` (customers on that day), ``wau_7d`` (on the last 7 days, that day included), ``mau_28d`` (on the
        last 28, or as many as `window` has; its days are in the name), ``dau_over_mau_28d``, ``truncated`` (fewer days of data than the
        window) and ``complete`` (the day is over; where it is not, the ratio is missing).
    active_days : frame
        One row per number of days, 1 to `window`: ``days``, ``customers`` who came on so many of the last days, ``share`` of all who did.

    Examples
    --------
    >>> import opsmetrics as om
    >>> events = om.make_events(200, rng=1)
    >>> found = om.stickiness(events, customer="customer", time="time")
    >>> found.active_days[["days", "customers"]].head(3)
       days  customers
    0     1         62
    1     2         23
    2     3         15
    """

    active_days = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"])
        kept = [place for place, name in enumerate(columns) if name not in {"truncated", "complete"}]
        truncated, complete = columns.index("truncated"), columns.index("complete")
        shown_rows = rows[-SHOWN:]
        flags = ["not over" if not row[complete] else "history too short" if row[truncated] else "" for row in shown_rows]
        earlier = len(rows) - len(shown_rows)
        return _render.View(
            title=f"Stickiness: {len(rows):,} days",
            facts=shown(self.params),
            columns=[*(columns[place] for place in kept), "note"],
            rows=[[*(row[place] for place in kept), flag] for row, flag in zip(shown_rows, flags, strict=True)],
            shares=[name for name in columns if name.startswith("dau_over")],
            notes=[
                *([f"{earlier:,} earlier days: .table"] if earlier else []),
                "on how many days customers came: .active_days",
                *dropped_notes(self.dropped),
            ],
        )


def stickiness(
    events: FrameT,
    *,
    customer: str,
    time: str,
    window: int | str | dt.timedelta = 28,
    as_of: str | dt.date | dt.datetime | np.datetime64 | None = None,
    tz: str | None = None,
) -> Stickiness[FrameT]:
    """Daily, weekly and monthly active customers, their ratio, and the days on which customers come (also known as: 用户粘性, 日活/月活).

    Windows roll: those of a day are its last 7 days and its last `window` days, that day included. Each customer counts once in each.

    Parameters
    ----------
    events : frame
        One row per event; each is activity. pandas, polars (eager or lazy), pyarrow, or a DuckDB relation.
    customer, time : str
        Columns of the customer (whole numbers or text) and the time (dates or timestamps).
    window : int, str or timedelta
        Days of the month: 28 has every weekday four times, 30 is common too.
    as_of : str, date, datetime or datetime64, optional
        The last moment that the data covers: a day is included to its local end, an instant itself; later rows are left out and counted.
        By default the local day of the last row, taken to be over: name the instant where it is not.
    tz : str, optional
        The shop's time zone, as in `customer_summary`.

    Returns
    -------
    Stickiness
        ``.table`` has counts of customers and their ratio as a fraction, one row per local day from the first with an event to that of
        `as_of`; ``.active_days`` how many of the last `window` days they came.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows; no event up to `as_of`; times beyond the calendar or that span more than 100,000 days.
    ParameterError
        An argument outside its rule.

    References
    ----------
    Mozilla Data Documentation, Active users: DAU, WAU and MAU over rolling windows of 1, 7 and 28 days. The days are those of Facebook's
    L28 (and L7) histograms.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> visits = pd.DataFrame({
    ...     "uid": ["ann", "ann", "bo", "ann"],
    ...     "at": pd.to_datetime(["2026-01-05", "2026-01-06", "2026-01-06", "2026-01-08"]),
    ... })
    >>> om.stickiness(visits, customer="uid", time="at", window=3).table[["dau", "wau_7d", "mau_3d", "dau_over_mau_3d", "truncated"]]
       dau  wau_7d  mau_3d  dau_over_mau_3d  truncated
    0    1       1       1              1.0       True
    1    2       2       2              1.0       True
    2    0       2       2              0.0      False
    3    1       2       2              0.5      False
    """
    length = observations.span("window", window)
    log = activity.observe("events", events, activity.uses_of(customer, time), tz=tz, as_of=as_of)
    parts = _parts.fold(log.source, bind(_partial, log=log, window=length))
    found, often = (activity.add_up(tallies) for tallies in zip(*parts, strict=True))
    activity.demand_activity(found.counts, log.observed, log.columns)
    tables = {
        "table": _output.build(log.source.backend, _days(found, log, length)),
        "active_days": _output.build(log.source.backend, _often(often)),
    }
    params = activity.params_of(log) | log.observed.facts | {"window": length}
    return Stickiness(_tables=tables, params=params, dropped=dict(found.dropped))


def _partial(part: _parts.Part, log: Log, window: int) -> tuple[Tally, Tally]:
    """Comings and goings of some whole customers by day, and how often they came."""
    observed = log.observed
    rows = activity.usable(part, observed)
    days = activity.cells(rows, observed, len(part.customers))
    base = int(days.period.min(initial=observed.last))
    counts = kernel.comings(days, (WEEK, window), base, observed.last - base + 1)
    often = kernel.active_days(days, observed.last - window + 1, window)
    return Tally(base, counts[:, None, :], rows.dropped), Tally(1, often[None, None, :], rows.dropped)


def _days(found: Tally, log: Log, window: int) -> dict[str, Column]:
    came, *gone = found.counts[:, 0]
    weekly, monthly = (np.cumsum(came - went) for went in gone)
    numbers = found.base + np.arange(len(came))
    complete = numbers <= log.observed.over
    return {
        "day": _output.days(log.source.backend, log.observed.periods.start(numbers)),
        "dau": came,
        f"wau_{WEEK}d": weekly,
        f"mau_{window}d": monthly,
        f"dau_over_mau_{window}d": np.where(complete, grouping.ratio(came, monthly), np.nan),
        "truncated": numbers - numbers[0] + 1 < window,
        "complete": complete,
    }


def _often(often: Tally) -> dict[str, Any]:
    customers = often.counts[0, 0]
    return {"days": np.arange(1, len(customers) + 1), "customers": customers, "share": grouping.ratio(customers, customers.sum())}
