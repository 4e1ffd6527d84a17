"""Repeat purchases: how many buyers buy again at all, within so many days, and in the next period."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial as bind
from typing import Literal, TypeAlias, TypeVar, get_args

import numpy as np

from opsmetrics import _checks, _lines, _output, _parts, _render, activity
from opsmetrics._frames import Column, Ints
from opsmetrics._kernels import cohorts as kernel
from opsmetrics._kernels import rates
from opsmetrics._results import SHOWN_LABELS, Result, dropped_notes, shown
from opsmetrics.activity import Log, Period, Tally, WeekStart
from opsmetrics.cohorts import observations

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

SameDay: TypeAlias = Literal["merge", "count"]

BY_CUSTOMERS, BY_ORDERS, ONE_TIME = "repurchase rate (customers)", "repurchase rate (orders)", "one-time buyers"


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Repurchase(Result[FrameT_co]):
    """How many buyers buy again, as `repurchase_rate` returns it (also known as: 复购率).

    Attributes
    ----------
    table : frame
        One row per measure: ``measure``, ``numerator``, ``denominator``, ``rate``, ``rate_low``, ``rate_high``. The measures are
        "repurchase rate (customers)", "repurchase rate (orders)", "within N days" for each N, and "one-time buyers".

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=200, rng=1)
    >>> found = om.repurchase_rate(orders, customer="customer", time="time", amount="amount")
    >>> found.table["measure"].tolist()[2:]
    ['within 30 days', 'within 90 days', 'within 180 days', 'one-time buyers']
    """

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"])
        notes = ["within: first-time buyers who were followed that long"]
        return _render.View(
            title="Buyers who buy again",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            notes=[*notes, *dropped_notes(self.dropped)],
        )


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class NextPeriod(Result[FrameT_co]):
    """How many buyers of a period buy in the next one, as `next_period_rate` returns it (also known as: 回购率).

    Attributes
    ----------
    table : frame
        One row per period: ``period`` (its first day), ``buyers``, ``returned`` (those who buy in the next period too), ``rate``,
        ``rate_low``, ``rate_high``. Where the next period is not over, all but the buyers are missing.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=200, rng=1)
    >>> om.next_period_rate(orders, customer="customer", time="time", as_of="2025-12-31").table[["buyers", "returned"]].tail(2)
        buyers  returned
    10      28        13
    11      22      <NA>
    """

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN_LABELS)
        count = _output.height(self._tables["table"])
        return _render.View(
            title=f"Buyers of a period who buy in the next: {count:,} periods",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            bars=("rate",),
            total_rows=count,
            notes=dropped_notes(self.dropped),
        )


@dataclass(frozen=True, slots=True)
class _Rules:
    """What counts as a purchase and as followed: the first day of the window, and the spans after a first purchase."""

    log: Log
    begin: int
    within: tuple[int, ...]
    merge: bool


def repurchase_rate(
    orders: FrameT,
    *,
    customer: str,
    time: str,
    amount: str | None = None,
    order_id: str | None = None,
    same_day: SameDay = "merge",
    within: int | str | dt.timedelta | Sequence[int | str | dt.timedelta] = (30, 90, 180),
    as_of: str | dt.date | dt.datetime | np.datetime64 | None = None,
    window: int | str | dt.timedelta | None = None,
    tz: str | None = None,
    confidence: float = 0.95,
) -> Repurchase[FrameT]:
    """How many buyers buy again: by customers, by orders, and within so many days (also known as: 复购率, repeat purchase rate).

    The rate of customers is of those with two purchases or more in the window among its buyers (按人). That of orders is of all purchases
    but each customer's first in the window among its purchases (按单); a customer's purchases depend on each other, so its interval takes
    customers as clusters. "Within N days" looks at first purchases of all history that are at least N days old, so that nobody is called
    lost before his time; "one-time buyers" are those who never bought again, among buyers as old as the longest N.

    Parameters
    ----------
    orders : frame
        One row per order, or per order line with `order_id`. pandas, polars (eager or lazy), pyarrow, or a DuckDB relation.
    customer, time : str
        Columns of the customer (whole numbers or text) and the time (dates or timestamps).
    amount : str, optional
        Column of the money. A row with a negative amount is a refund, and no purchase.
    order_id : str, optional
        Column of the order. Lines of one customer with one order id are one order: its amount is their sum, its time that of the first.
    same_day : {"merge", "count"}
        Purchases of one customer on one local day are one, or as many as there are.
    within : int, str, timedelta, or several
        Days in which to buy again, counted from the local day of the first purchase.
    as_of : str, date, datetime or datetime64, optional
        The last moment that the data covers: a day is included to its local end, an instant itself; later rows are left out and counted.
        By default the local day of the last row, taken to be over: name the instant where it is not.
    window : int, str or timedelta, optional
        Only purchases of the last so many local days, that of `as_of` included, make the first two rates. All history by default.
    tz : str, optional
        The shop's time zone, as in `customer_summary`.
    confidence : float
        Of the intervals, between 0 and 1.

    Returns
    -------
    Repurchase
        ``.table`` has one row per measure: counts, rates as fractions, and Wilson intervals. A rate of nobody is missing.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows; no purchase up to `as_of`; times beyond the calendar or that span more than 100,000 days; infinite amounts.
    ParameterError
        An argument outside its rule.

    References
    ----------
    Ehrenberg, A. S. C. (1972), Repeat-Buying: Theory and Applications. For the interval of orders: Cochran, W. G. (1977), Sampling
    Techniques, 3rd ed., 6.3, and Korn, E. L. & Graubard, B. I. (1998), Survey Methodology 24, 193-201.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> orders = pd.DataFrame({
    ...     "uid": ["ann", "ann", "ann", "bo", "cy", "cy"],
    ...     "at": pd.to_datetime(["2026-01-05", "2026-01-25", "2026-06-01", "2026-01-20", "2026-02-11", "2026-02-11"]),
    ... })
    >>> found = om.repurchase_rate(orders, customer="uid", time="at", within=30)
    >>> found.table[["measure", "numerator", "denominator", "rate"]].round(3)
                           measure  numerator  denominator   rate
    0  repurchase rate (customers)          1            3  0.333
    1     repurchase rate (orders)          2            5  0.400
    2               within 30 days          1            3  0.333
    3              one-time buyers          2            3  0.667
    """
    _checks.choice("same_day", same_day, get_args(SameDay))
    level = _checks.fraction("confidence", confidence)
    spans, length = observations.spans("within", within), _checks.days("window", window)
    log = activity.observe("orders", orders, activity.uses_of(customer, time, amount, order_id), tz=tz, as_of=as_of)
    begin = np.iinfo(np.int64).min if length is None else log.observed.today - length + 1
    rules = _Rules(log, int(begin), spans, same_day == "merge")
    found = activity.add_up(_parts.fold(log.source, bind(_partial_repeats, rules=rules)))
    _lines.demand_orders(found.dropped, log.columns)
    activity.demand_activity(found.counts[:1], log.observed, log.columns)
    table = _output.build(log.source.backend, _measures(found.counts[:, 0, 0], spans, level))
    params = activity.params_of(log) | log.observed.facts | {
        "same_day": same_day, "within": list(spans), "window": length, "confidence": level, "buyers": int(found.counts[0].sum()),
    }  # fmt: skip
    return Repurchase(_tables={"table": table}, params=params, dropped=dict(found.dropped))


def _partial_repeats(part: _parts.Part, rules: _Rules) -> Tally:
    """The counts of some whole customers."""
    observed = rules.log.observed
    rows = activity.usable(part, observed)
    days = activity.cells(rows, observed, len(part.customers))
    counts = kernel.repeats(days, rules.begin, observed.over, rules.within, merge=rules.merge)
    return Tally(0, counts.reshape(-1, 1, 1), rows.dropped)


def _measures(counts: Ints, within: Sequence[int], confidence: float) -> dict[str, Column]:
    size = len(kernel.REPEATS)
    said = dict(zip(kernel.REPEATS, counts[:size].tolist(), strict=True))
    followed, again = counts[size:].reshape(-1, 2).T
    taken = np.array([said["repeaters"], said["repeats"], *again, said["once"]], dtype=np.int64)
    of = np.array([said["buyers"], said["purchases"], *followed, said["followed"]], dtype=np.int64)
    trials = of.astype(np.float64)
    trials[1] = float(rates.effective_size(*(said[name] for name in ("repeats", "purchases", "yy", "xy", "xx", "buyers"))))
    known = np.ones(len(of), dtype=np.bool_)
    names = [BY_CUSTOMERS, BY_ORDERS, *(f"within {days} day{'s' if days > 1 else ''}" for days in within), ONE_TIME]
    columns: dict[str, Column] = {"measure": np.array(names, dtype=object), "numerator": taken, "denominator": of}
    return columns | rates.columns("rate", taken, of, confidence, known, trials)


# --------------------------------------------------------------------------------------------------------- next period


def next_period_rate(
    orders: FrameT,
    *,
    customer: str,
    time: str,
    amount: str | None = None,
    period: Period | int | str | dt.timedelta = "month",
    as_of: str | dt.date | dt.datetime | np.datetime64 | None = None,
    tz: str | None = None,
    week_start: WeekStart = "monday",
    confidence: float = 0.95,
) -> NextPeriod[FrameT]:
    """How many buyers of each period buy in the next one too (also known as: 回购率).

    Where the next period is not over, its customers may still come: the rate is missing, not low.

    Parameters
    ----------
    orders : frame
        One row per order. pandas, polars (eager or lazy), pyarrow, or a DuckDB relation.
    customer, time : str
        Columns of the customer (whole numbers or text) and the time (dates or timestamps).
    amount : str, optional
        Column of the money. A row with a negative amount is a refund, and no purchase.
    period : {"month", "day", "week", "quarter", "year"} or days
        Of the calendar of `tz`; or a whole number of days ("30D"), of which the last span ends with `as_of`.
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
    NextPeriod
        ``.table`` has counts and rates as fractions, one row per period from the first with a purchase to that of `as_of`.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows; no purchase up to `as_of`; times beyond the calendar or that span more than 100,000 periods; infinite amounts.
    ParameterError
        An argument outside its rule.

    References
    ----------
    Ehrenberg, A. S. C. (1972), Repeat-Buying: Theory and Applications (period-by-period repeat buying).

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> orders = pd.DataFrame({
    ...     "uid": ["ann", "ann", "bo", "bo"],
    ...     "at": pd.to_datetime(["2026-01-05", "2026-02-07", "2026-01-20", "2026-03-09"]),
    ... })
    >>> om.next_period_rate(orders, customer="uid", time="at", as_of="2026-03-31").table[["period", "buyers", "returned", "rate"]]
          period  buyers  returned  rate
    0 2026-01-01       2         1   0.5
    1 2026-02-01       1         0   0.0
    2 2026-03-01       1      <NA>   NaN
    """
    level = _checks.fraction("confidence", confidence)
    uses = activity.uses_of(customer, time, amount)
    log = activity.observe("orders", orders, uses, tz=tz, as_of=as_of, period=period, week_start=week_start)
    found = activity.add_up(_parts.fold(log.source, bind(_partial_returns, log=log)))
    activity.demand_activity(found.counts, log.observed, log.columns)
    table = _output.build(log.source.backend, _periods(found, log, level))
    params = activity.params_of(log, activity.period_of("period", period), week_start) | log.observed.facts | {"confidence": level}
    return NextPeriod(_tables={"table": table}, params=params, dropped=dict(found.dropped))


def _partial_returns(part: _parts.Part, log: Log) -> Tally:
    """Buyers and returns of some whole customers by period."""
    rows = activity.usable(part, log.observed)
    cells = activity.cells(rows, log.observed, len(part.customers)).active
    base = int(cells.period.min(initial=log.observed.last))
    return Tally(base, kernel.returns(cells, base, log.observed.last - base + 1)[:, None, :], rows.dropped)


def _periods(found: Tally, log: Log, confidence: float) -> dict[str, Column]:
    buyers, returned = found.counts[:, 0]
    there = slice(int(np.argmax(buyers > 0)), None)  # no period before the first purchase, where refunds may lie
    numbers = (found.base + np.arange(len(buyers)))[there]
    known = numbers + 1 <= log.observed.over
    columns: dict[str, Column] = {
        "period": _output.days(log.source.backend, log.observed.periods.start(numbers)),
        "buyers": buyers[there],
        "returned": _output.whole_or_null(log.source.backend, returned[there], known),
    }
    return columns | rates.columns("rate", returned[there], buyers[there], confidence, known)
