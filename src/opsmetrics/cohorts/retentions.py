"""Retention: of the customers who began together, how many come back as they grow older."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial as bind
from typing import Any, Literal, TypeAlias, TypeVar, get_args

import numpy as np

from opsmetrics import _checks, _frames, _lines, _output, _parts, _render, activity
from opsmetrics._frames import Backend, Column, Floats, Ints, Use
from opsmetrics._kernels import cohorts as kernel
from opsmetrics._kernels import grouping, rates
from opsmetrics._kernels.cells import Cells
from opsmetrics._kernels.cohorts import Cohorts, Seen
from opsmetrics._results import SHOWN_LABELS, Result, Table, dropped_notes, shown
from opsmetrics.activity import Log, Period, Tally, WeekStart
from opsmetrics.cohorts.observations import Bools
from opsmetrics.errors import DataError, ParameterError

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

Kind: TypeAlias = Literal["bounded", "unbounded", "rolling"]
Value: TypeAlias = Literal["customers", "orders", "amount"]

FIRST = "first"
MOST_CELLS = 4_000_000
"""More cohorts and ages than these are a period too short, or a column that is no group."""

_SHOWN_AGES = 13


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Retention(Result[FrameT_co]):
    """Who came back at which age, as `retention` returns it (also known as: 留存分析).

    Attributes
    ----------
    table : frame
        One row per cohort and age: ``cohort``, ``age`` (periods since a customer's first), ``period`` (in which the cohort has that age;
        missing where cohorts come from a column), ``size`` (the cohort's customers; of a column's cohort those who can have reached that
        age), ``retained``, ``retention`` and its interval ``retention_low`` and ``retention_high``. Of orders and money there is no
        interval, and ``base`` has the sum at age 0. What is not over yet is missing.
    triangle : frame
        One row per cohort: ``cohort``, ``size`` (all its customers), then a column of retention for each age, ``0``, ``1``, ...
    average : frame
        One row per age: ``age``, ``size``, ``retained``, ``retention`` and its interval (or ``base``), from the sums over all cohorts that
        have reached that age.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=200, rng=1)
    >>> found = om.retention(orders, customer="customer", time="time", period="quarter")
    >>> found.average[["age", "size", "retained"]]
       age  size  retained
    0    0   200       200
    1    1   199        66
    2    2   132        24
    3    3    64         8
    """

    triangle = Table()
    average = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["triangle"], SHOWN_LABELS)
        kept = 2 + _SHOWN_AGES
        notes = [f"ages up to {columns[-1]}: .triangle"] if len(columns) > kept else []
        return _render.View(
            title=f"Retention: {_output.height(self._tables['triangle']):,} cohorts",
            facts=shown(self.params),
            columns=columns[:kept],
            rows=[row[:kept] for row in rows],
            ids=() if self.params["cohort"] == FIRST else ("cohort",),
            shares=columns[2:],
            total_rows=_output.height(self._tables["triangle"]),
            notes=[*notes, "with intervals: .table, over all cohorts: .average", *dropped_notes(self.dropped)],
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked: by which column customers are told apart (None: by their first period), and what is counted of them."""

    log: Log
    by: Use | None
    kind: str
    value: str
    confidence: float

    @property
    def seen(self) -> Seen:
        """The last period, and the last one that is over."""
        return Seen(self.log.observed.last, self.log.observed.over)


def retention(
    data: FrameT,
    *,
    customer: str,
    time: str,
    period: Period | int | str | dt.timedelta = "month",
    cohort: str = "first",
    kind: Kind = "bounded",
    value: Value = "customers",
    amount: str | None = None,
    order_id: str | None = None,
    as_of: str | dt.date | dt.datetime | np.datetime64 | None = None,
    tz: str | None = None,
    week_start: WeekStart = "monday",
    confidence: float = 0.95,
) -> Retention[FrameT]:
    """Retention of cohorts by age, with intervals (also known as: 留存率, 同期群分析, cohort analysis).

    A customer's age is the number of whole periods since the first in which he was active. What lies in a period that is not over is
    missing, never zero. Rows without a customer or a time are left out and counted in ``.dropped``.

    Parameters
    ----------
    data : frame
        One row per order or event, or per order line with `order_id`. pandas, polars (eager or lazy), pyarrow, or a DuckDB relation.
    customer, time : str
        Columns of the customer (whole numbers or text) and the time (dates or timestamps).
    period : {"month", "day", "week", "quarter", "year"} or days
        Of the calendar of `tz`; or a whole number of days ("30D"), of which the last span ends with `as_of`.
    cohort : str
        "first": customers who began in the same period. Else a column, of which each customer has the value of his first row: a channel,
        a campaign, the first product; customers without a value are a cohort of their own, the last. At each age only those count who can
        have reached it.
    kind : {"bounded", "unbounded", "rolling"}
        Active at that age; at that age or later (which other tools call rolling retention); or at every age up to it, as in the "rolling
        calculation" of Adobe's cohort tables.
    value : {"customers", "orders", "amount"}
        The share of customers; or the sum of orders, or of money less refunds, at that age over that at age 0. Sums are bounded.
    amount : str, optional
        Column of the money. A negative amount is a refund, which is no activity. Refunds before a customer's first purchase have no age.
    order_id : str, optional
        Column of the order. Lines of one customer with one order id are one order: its amount is their sum, its time that of the first.
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
    Retention
        ``.table`` has counts and retention as a fraction, one row per cohort and age; ``.triangle`` one row per cohort; ``.average`` one
        row per age. Periods in which nobody began have no cohort.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows; no activity up to `as_of`; times beyond the calendar; more than 4,000,000 cohorts and ages; infinite amounts.
    ParameterError
        An argument outside its rule; sums that are not bounded; the value "amount" without a column of money.

    References
    ----------
    Fader, P. S. & Hardie, B. G. S. (2007), How to project customer retention, Journal of Interactive Marketing 21(1), 76-90 (cohorts by
    age). Adobe Analytics, Configure a cohort table ("Rolling Calculation"). Wilson, E. B. (1927), JASA 22, 209-212.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> visits = pd.DataFrame({
    ...     "uid": ["ann", "ann", "ann", "bo", "cy", "cy"],
    ...     "at": pd.to_datetime(["2026-01-05", "2026-02-07", "2026-03-01", "2026-01-20", "2026-02-11", "2026-03-30"]),
    ... })
    >>> om.retention(visits, customer="uid", time="at", as_of="2026-03-31").triangle
          cohort  size    0    1    2
    0 2026-01-01     2  1.0  0.5  0.5
    1 2026-02-01     1  1.0  1.0  NaN
    """
    _checks.choice("kind", kind, get_args(Kind))
    _checks.choice("value", value, get_args(Value))
    level = _checks.fraction("confidence", confidence)
    _demand_consistent(kind, value, amount)
    uses = activity.uses_of(customer, time, amount, order_id)
    by = None if _is_first(cohort) else Use("cohort", cohort, "label")
    all_uses = uses if by is None else [*uses, by]
    log = activity.observe("data", data, all_uses, tz=tz, as_of=as_of, period=period, week_start=week_start)
    asked = _Asked(log, by, kind, value, level)
    found = activity.add_up(_parts.fold(log.source, bind(_partial, asked=asked)), by)
    _lines.demand_orders(found.dropped, log.columns)
    activity.demand_activity(found.counts[1:2], log.observed, log.columns)
    tables = _finish(found, asked)
    length = activity.period_of("period", period)
    params = activity.params_of(log, length, week_start) | log.observed.facts | {
        "cohort": cohort, "kind": kind, "value": value, "confidence": level, "customers": int(found.counts[1].sum()),
    }  # fmt: skip
    return Retention(_tables=tables, params=params, dropped=dict(found.dropped))


def _is_first(cohort: object) -> bool:
    return isinstance(cohort, str) and cohort == FIRST


def _demand_consistent(kind: str, value: str, amount: str | None) -> None:
    if value == "amount" and amount is None:
        raise ParameterError(
            "amount=None names no column of money, which value='amount' adds; name it, or choose value='orders'.", code="parameter.amount"
        )
    if value != "customers" and kind != "bounded":
        raise ParameterError(
            f"kind={kind!r} is a question of customers, and value={value!r} is none; sums have kind='bounded'.", code="parameter.kind"
        )


# ------------------------------------------------------------------------------------------------ partial, then finish


def _partial(part: _parts.Part, asked: _Asked) -> Tally:
    """Values, members and base of some whole customers, by cohort and age."""
    observed, people = asked.log.observed, len(part.customers)
    rows = activity.usable(part, observed)
    cells = activity.cells(rows, observed, people)
    active, group, names = cells.active, None, None
    if asked.by is not None:
        group, names = activity.groups_of(part, rows, asked.by.argument)
    groups = 1 if names is None else len(names) + 1
    ages = observed.last - int(active.period.min(initial=observed.last)) + 1
    places = kernel.triangle(ages - 1) if names is None else groups * ages
    _demand_few(places, ages, asked)
    cohorts = Cohorts.of(active, asked.seen, group, ages)
    return Tally(0, _counts(cells, active, cohorts, asked, people, places).reshape(3, groups, -1), rows.dropped, names)


def _counts(cells: Cells, active: Cells, cohorts: Cohorts, asked: _Asked, people: int, places: int) -> Ints:
    members = cohorts.members(places)
    if asked.value == "customers":
        return np.stack([kernel.retained(active, cohorts, asked.seen, asked.kind, people, places), members, members])
    values = cells.orders if asked.value == "orders" or cells.money is None else cells.money
    sums, base = kernel.added(cells, values, cohorts, asked.seen, people, places)
    return np.stack([sums, members, base])


def _demand_few(places: int, ages: int, asked: _Asked) -> None:
    if places > MOST_CELLS:
        fix = (
            "Choose a longer period, or check as_of and stray dates" if asked.by is None else "Choose a longer period, or group the values"
        )
        what = "the first periods" if asked.by is None else f"cohort={asked.by.column!r}"
        raise DataError(
            f"{what} and {ages:,} ages make {places:,} cohorts and ages; {MOST_CELLS:,} are the most. {fix}.", code="data.cohorts"
        )


@dataclass(frozen=True, slots=True)
class _Cohorts:
    """By cohort and age: what was counted, what was counted at age 0 and how many were, of those who can have reached the age.

    And all customers by cohort.
    """

    values: Ints
    base: Ints
    eligible: Ints
    size: Ints

    @classmethod
    def of(cls, counts: Ints, kind: str, lag: int) -> _Cohorts:
        """Read off counts by measure, cohort and age; `lag` is 1 where the last period is not over."""
        values, members, base = counts
        return cls(
            values=kernel.or_later(values) if kind == "unbounded" else values,
            base=kernel.eligible(base, lag),
            eligible=kernel.eligible(members, lag),
            size=members.sum(axis=1),
        )

    def total(self) -> _Cohorts:
        """All cohorts as one."""
        return _Cohorts(*(counts.sum(axis=0, keepdims=True) for counts in (self.values, self.base, self.eligible, self.size)))

    def retention(self, asked: _Asked) -> Floats:
        """What was counted at each age, as a share of what was at age 0."""
        share = grouping.ratio(self.values, self.eligible if asked.value == "customers" else self.base)
        return np.where(self.eligible > 0, share, np.nan)

    def columns(self, backend: Backend, asked: _Asked, at: tuple[Ints, Ints]) -> dict[str, Column]:
        """The columns of some cohorts and ages, missing where nobody can have reached the age yet."""
        values, base, known = self.values[at], self.base[at], self.eligible[at] > 0
        if asked.value == "customers":
            retained = _output.whole_or_null(backend, values, known)
            return {"retained": retained} | rates.columns("retention", values, base, asked.confidence, known)
        told: dict[str, Column] = {"base": self._told(backend, asked, base, known), "retained": self._told(backend, asked, values, known)}
        return told | {"retention": self.retention(asked)[at]}

    def _told(self, backend: Backend, asked: _Asked, sums: Ints, known: Bools) -> Any:
        """Sums as they are told: orders are whole, money is in its unit."""
        if asked.value == "orders":
            return _output.whole_or_null(backend, sums, known)
        return np.where(known, grouping.money(sums), np.nan)


def _finish(found: Tally, asked: _Asked) -> dict[str, Any]:
    """The tables: cohorts in order, the cells that there are, and what is known of them."""
    seen, backend = asked.seen, asked.log.source.backend
    counts = kernel.unrolled(found.counts[:, 0]) if found.groups is None else found.counts
    ages = counts.shape[2]
    _demand_few(counts[0].size // (2 if found.groups is None else 1), ages, asked)
    names: Any
    if found.groups is None:
        order = np.flatnonzero(counts[1].any(axis=1))
        first = order + (seen.last - (ages - 1))
        row, age = np.nonzero(np.arange(ages) <= seen.last - first[:, None])
        names = _output.days(backend, asked.log.observed.periods.start(first))
        period = asked.log.observed.periods.start(first[row] + age)
    else:
        order = activity.by_size(counts, found.groups)
        row, age = np.divmod(np.arange(len(order) * ages), ages)
        names = activity.group_column(found.groups, order)
        period = np.full(len(row), np.iinfo(np.int64).min)
    cohorts = _Cohorts.of(counts[:, order], asked.kind, seen.last - seen.over)
    size = cohorts.size[row] if found.groups is None else cohorts.eligible[row, age]
    content: dict[str, Column] = {"cohort": _frames.take(names, row), "age": age, "period": _output.days(backend, period), "size": size}
    content |= cohorts.columns(backend, asked, (row, age))
    triangle: dict[str, Column] = {"cohort": names, "size": cohorts.size}
    triangle |= {str(number): line for number, line in enumerate(cohorts.retention(asked).T.copy())}
    total = cohorts.total()
    average: dict[str, Column] = {"age": np.arange(ages), "size": total.eligible[0]}
    average |= total.columns(backend, asked, (np.zeros(ages, dtype=np.int64), np.arange(ages)))
    return {name: _output.build(backend, made) for name, made in (("table", content), ("triangle", triangle), ("average", average))}
