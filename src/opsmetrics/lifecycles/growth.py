"""States by period: who is new, who stayed, who came back, who is gone; and the same of their money."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial as bind
from typing import Any, TypeVar

import numpy as np

from opsmetrics import _checks, _output, _parts, _render, activity
from opsmetrics._frames import Column, Ints, Use
from opsmetrics._kernels import grouping, growth, rates
from opsmetrics._kernels.growth import Accounts, Money
from opsmetrics._results import SHOWN_LABELS, Held, Result, Table, dropped_notes, shown
from opsmetrics.activity import Log, Period, Tally, WeekStart
from opsmetrics.errors import DataError

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

MOST_CELLS = 4_000_000
"""More values and periods than these are a column of ids, or the wrong period."""

_HIDDEN = ("retention_rate_low", "retention_rate_high", "truncated", "complete")
_FLAGS = {
    "history too short": "who looks new may be an old customer",
    "not over": "no rates are given, for its customers may still come",
}
_COLUMNS = frozenset({
    "period", *growth.CUSTOMERS, *growth.MONEY, "resurrected", "churned", "dormant", "silent", "net_growth", "retention_rate",
    "retention_rate_low", "retention_rate_high", "quick_ratio", "growth_rate", "gross_retention_rate", "net_retention_rate", "truncated",
    "complete",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Asked:
    """The data and what was asked of it, so that it can be asked again by a column."""

    data: Held
    columns: Mapping[str, str]
    tz: str | None
    as_of: str | dt.date | dt.datetime | np.datetime64 | None
    period: str | int
    week_start: str
    new_after: int | None
    confidence: float

    def log(self, *by: str) -> Log:
        """The data, checked again."""
        uses = activity.uses_of(self.columns["customer"], self.columns["time"], self.columns.get("amount"))
        uses += [Use("column", column, "label") for column in by]
        return activity.observe("data", self.data.frame, uses, tz=self.tz, as_of=self.as_of, period=self.period, week_start=self.week_start)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Lifecycle(Result[FrameT_co]):
    """Customers by state and period, as `lifecycle` returns them (also known as: 用户生命周期状态, 增长核算).

    Attributes
    ----------
    table : frame
        One row per period: ``period`` (its first day), ``active`` customers, of these ``new`` (seen for the first time), ``retained``
        (active in the period before too) and ``resurrected`` (seen before, but not in the period before); ``churned`` (active in the
        period before and not in this one: a flow), ``dormant`` (silent in this period and in the one before: a stock), ``silent`` (the
        stock of all seen before who are not active: churned and dormant), ``net_growth`` (a count), ``retention_rate`` of those active in
        the period before with its interval, ``quick_ratio`` ((new + resurrected) / churned), ``growth_rate`` (net growth over those active
        before), ``truncated`` (the data begins so late that new customers may be old ones) and ``complete`` (the period is over).
    revenue : frame
        Where an amount was named: ``revenue`` of the active customers, of it ``new``, ``retained``, ``expansion`` and ``resurrected``;
        ``contraction`` and ``churned`` (money lost, as positive numbers), ``late_refunds`` (given back to customers who bought nothing in
        the period), ``gross_retention_rate``, ``net_retention_rate``, ``quick_ratio``, ``truncated`` and ``complete``.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=200, rng=1)
    >>> states = om.lifecycle(orders, customer="customer", time="time", amount="amount", as_of="2025-12-31")
    >>> states.table[["period", "active", "new", "retained", "resurrected", "churned"]].head(3)
          period  active  new  retained  resurrected  churned
    0 2025-01-01      15   15         0            0        0
    1 2025-02-01      29   24         5            0       10
    2 2025-03-01      32   25         6            1       23
    """

    _asked: _Asked

    revenue = Table()

    def _view(self) -> _render.View:
        return _view(self, "Lifecycle", ())

    def by(self, column: str) -> LifecycleBreakdown[FrameT_co]:
        """The states for each value of a column (also known as: 分渠道增长核算).

        A customer has one value, that of his first row, so the counts add up to those of the whole.

        Parameters
        ----------
        column : str
            A column of the data: a channel, a city, the category of the first purchase. The data is read again.

        Returns
        -------
        LifecycleBreakdown
            The tables of `Lifecycle` with the column before them; values with most customers first, customers without a value last. Rates
            are fractions.

        Raises
        ------
        ColumnError
            A column that is missing, that plays another part, or whose name the result needs itself.

        References
        ----------
        The rule of one value per customer is that of first-touch attribution.

        Examples
        --------
        >>> import opsmetrics as om
        >>> events = om.make_events(200, rng=1)
        >>> states = om.lifecycle(events, customer="customer", time="time", period="month").by("channel")
        >>> states.table.groupby("channel")["new"].sum().to_dict()
        {'ads': 57, 'direct': 57, 'search': 61, 'social': 25}
        """
        log = self._asked.log(column)
        _checks.free("column", column, _COLUMNS)
        use = log.uses[-1]
        found, since = _counted(log, use)
        tables, facts = _finish(found, since, log, self._asked, column)
        params = {name: value for name, value in self.params.items() if name != "columns"}
        columns: dict[str, object] = {"columns": {**self._asked.columns, "column": column}}
        return LifecycleBreakdown(_tables=tables, params=columns | {"column": column} | params | facts, dropped=dict(found.dropped))


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class LifecycleBreakdown(Result[FrameT_co]):
    """Customers by state and period for each value of a column, as `Lifecycle.by` returns them.

    Attributes
    ----------
    table : frame
        The column, then those of `Lifecycle`'s table.
    revenue : frame
        The column, then those of its money, where an amount was named.

    Examples
    --------
    >>> import opsmetrics as om
    >>> events = om.make_events(200, rng=1)
    >>> by_channel = om.lifecycle(events, customer="customer", time="time", period="week").by("channel")
    >>> list(by_channel.table.columns)[:4]
    ['channel', 'period', 'active', 'new']
    """

    revenue = Table()

    def _view(self) -> _render.View:
        return _view(self, "Lifecycle by " + str(self.params["column"]), (str(self.params["column"]),))


def lifecycle(
    data: FrameT,
    *,
    customer: str,
    time: str,
    amount: str | None = None,
    period: Period | int | str | dt.timedelta = "month",
    as_of: str | dt.date | dt.datetime | np.datetime64 | None = None,
    tz: str | None = None,
    week_start: WeekStart = "monday",
    new_after: int | str | dt.timedelta | None = None,
    confidence: float = 0.95,
) -> Lifecycle[FrameT]:
    """Count who is new, retained, resurrected, churned and dormant in each period (also known as: 生命周期状态, 新增/留存/召回/流失).

    Counts balance exactly: active = new + retained + resurrected, and active = active before + new + resurrected - churned. Money balances
    likewise. Rows without a customer or a time are left out and counted in ``.dropped``.

    Parameters
    ----------
    data : frame
        One row per order or event. pandas, polars (eager or lazy), pyarrow, or a DuckDB relation.
    customer, time : str
        Columns of the customer (whole numbers or text) and the time (dates or timestamps).
    amount : str, optional
        Column of the money, which adds ``.revenue``. A negative amount is a refund: it lowers the money of its period and is no activity.
    period : {"month", "day", "week", "quarter", "year"} or days
        Of the calendar of `tz`; or a whole number of days ("28D"), of which the last span ends with `as_of`.
    as_of : str, date, datetime or datetime64, optional
        The last moment that the data covers: a day is included to its local end, an instant itself; later rows are left out and counted.
        By default the local day of the last row, taken to be over: name the instant where it is not. A period that is not over by then
        is not ``complete``, and has no rates.
    tz : str, optional
        The shop's time zone, as in `customer_summary`.
    week_start : {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
        The day on which weeks begin.
    new_after : int, str or timedelta, optional
        How many days of history it takes to know that a customer is new: periods that begin before then are ``truncated``. By default
        only the first period is.
    confidence : float
        Of the Wilson intervals, between 0 and 1.

    Returns
    -------
    Lifecycle
        ``.table`` has counts of customers and rates as fractions, one row per period, empty ones included; money in ``.revenue`` is in the
        unit of `amount`.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows; no activity up to `as_of`; times beyond the calendar or that span more than 100,000 periods; infinite amounts.
    ParameterError
        An argument outside its rule.

    References
    ----------
    Hsu, J. (2015), Diligence at Social Capital, part 1: accounting for user growth, and part 2: accounting for revenue growth. The states
    are those of Amplitude's and PostHog's lifecycle charts; Alibaba Cloud's Quick Tracking calls them 新增, 留存, 召回 and 流失.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> visits = pd.DataFrame({
    ...     "uid": ["ann", "ann", "ann", "bo", "cy"],
    ...     "at": pd.to_datetime(["2026-01-05", "2026-02-07", "2026-04-01", "2026-01-20", "2026-02-11"]),
    ... })
    >>> om.lifecycle(visits, customer="uid", time="at", as_of="2026-04-30").table[
    ...     ["active", "new", "retained", "resurrected", "churned", "dormant"]
    ... ]
       active  new  retained  resurrected  churned  dormant
    0       2    2         0            0        0        0
    1       2    1         1            0        1        0
    2       0    0         0            0        2        1
    3       1    0         0            1        0        2
    """
    level = _checks.fraction("confidence", confidence)
    columns = {"customer": customer, "time": time} | ({} if amount is None else {"amount": amount})
    length = activity.period_of("period", period)
    asked = _Asked(Held.of("data", data), columns, tz, as_of, length, week_start, _checks.days("new_after", new_after), level)
    log = asked.log()
    found, since = _counted(log)
    tables, facts = _finish(found, since, log, asked)
    params = activity.params_of(log, length, week_start) | {"new_after": asked.new_after, "confidence": level}
    return Lifecycle(_tables=tables, params=params | facts, dropped=dict(found.dropped), _asked=asked)


# ------------------------------------------------------------------------------------------------ partial, then finish


def _counted(log: Log, by: Use | None = None) -> tuple[Tally, int]:
    """The counts of all customers by group and period, and the first day of the data."""
    parts = _parts.fold(log.source, bind(_partial, log=log, by=None if by is None else by.argument))
    return activity.add_up([tally for tally, _ in parts], by), min((day for _, day in parts), default=log.observed.today)


def _partial(part: _parts.Part, log: Log, by: str | None = None) -> tuple[Tally, int]:
    """The counts of some whole customers by group and period, and the first day with a row."""
    rows = activity.usable(part, log.observed)
    people = len(part.customers)
    cells = activity.cells(rows, log.observed, people)
    group, names = (np.zeros(people, dtype=np.int64), None) if by is None else activity.groups_of(part, rows, by)
    groups = 1 if names is None else len(names) + 1
    base = int(cells.period.min(initial=log.observed.last))
    _demand_few(groups, log.observed.last - base + 1, log)
    since = int(log.observed.clock.days(rows.ticks.min(keepdims=True))[0]) if rows.ticks.size else log.observed.today
    return Tally(base, growth.tally(cells, group, groups, base, log.observed.last - base + 1), rows.dropped, names), since


def _demand_few(groups: int, periods: int, log: Log) -> None:
    if groups * periods > MOST_CELLS:
        raise DataError(
            f"column={log.columns.get('column')!r} has {groups - 1:,} values, which over {periods:,} periods make more rows than "
            f"{MOST_CELLS:,}, which is the most. Group the values, or choose a longer period.",
            code="data.groups",
        )


def _finish(found: Tally, since: int, log: Log, asked: _Asked, column: str | None = None) -> tuple[dict[str, Any], dict[str, object]]:
    """The tables, and what a reader should know of them."""
    observed, counts = log.observed, found.counts
    activity.demand_activity(counts[:1], observed, log.columns)
    numbers = found.base + np.arange(counts.shape[2])
    starts = observed.periods.start(numbers)
    complete = numbers <= observed.over
    known = starts[0] + 1 if asked.new_after is None else since + asked.new_after
    order = activity.by_size(counts, found.groups) if found.groups is not None else np.zeros(1, dtype=np.int64)
    counts = counts[:, order]
    head: dict[str, Column] = {}
    if column is not None and found.groups is not None:
        head[column] = activity.group_column(found.groups, np.repeat(order, len(numbers)))
    head["period"] = _output.days(log.source.backend, np.tile(starts, len(order)))
    foot = {"truncated": np.tile(starts < known, len(order)), "complete": np.tile(complete, len(order))}
    users = Accounts(*counts[: len(growth.CUSTOMERS)])
    tables = {"table": _output.build(log.source.backend, head | _customer_columns(users, foot["complete"], asked.confidence) | foot)}
    if len(counts) > len(growth.CUSTOMERS):
        money = Money(*counts[len(growth.CUSTOMERS) :])
        tables["revenue"] = _output.build(log.source.backend, head | _money_columns(money, foot["complete"]) | foot)
    return tables, {"truncated": int((starts < known).sum()), "incomplete": int((~complete).sum())} | observed.facts


def _customer_columns(users: Accounts, complete: Any, confidence: float) -> dict[str, Column]:
    before, retained = users.before.ravel(), users.retained.ravel()
    known = complete & (before > 0)
    net = (users.active - users.before).ravel()
    return {
        "active": users.active.ravel(), "new": users.new.ravel(), "retained": retained, "resurrected": users.resurrected.ravel(),
        "churned": users.churned.ravel(), "dormant": users.dormant.ravel(), "silent": users.silent.ravel(), "net_growth": net,
        **rates.columns("retention_rate", retained, before, confidence, known),
        "quick_ratio": np.where(known, grouping.ratio((users.new + users.resurrected).ravel(), users.churned.ravel()), np.nan),
        "growth_rate": np.where(known, grouping.ratio(net, before), np.nan),
    }  # fmt: skip


def _money_columns(money: Money, complete: Any) -> dict[str, Column]:
    def flat(values: Ints) -> Any:
        return grouping.money(values.ravel())

    before, lost = money.before, money.contraction + money.churned
    won = money.new + money.resurrected + money.expansion
    return {
        "revenue": flat(money.revenue), "new": flat(money.new), "retained": flat(money.retained), "expansion": flat(money.expansion),
        "resurrected": flat(money.resurrected), "contraction": flat(money.contraction), "churned": flat(money.churned),
        "late_refunds": flat(money.late_refunds),
        "gross_retention_rate": np.where(complete, grouping.ratio(flat(money.retained), flat(before)), np.nan),
        "net_retention_rate": np.where(complete, grouping.ratio(flat(money.retained + money.expansion), flat(before)), np.nan),
        "quick_ratio": np.where(complete, grouping.ratio(flat(won), flat(lost)), np.nan),
    }  # fmt: skip


def _view(result: Result[Any], title: str, ids: tuple[str, ...]) -> _render.View:
    """The table without the columns that only a machine reads; what is not over, or not known yet, is marked."""
    columns, rows = _output.head(result._tables["table"], SHOWN_LABELS)
    kept = [place for place, name in enumerate(columns) if name not in _HIDDEN]
    truncated, complete = columns.index("truncated"), columns.index("complete")
    flags = ["not over" if not row[complete] else "history too short" if row[truncated] else "" for row in rows]
    notes = [f"{flag}: {meaning}" for flag, meaning in _FLAGS.items() if flag in flags]
    notes += ["the money's accounts: .revenue"] if "revenue" in result._tables else []
    return _render.View(
        title=f"{title}: {_output.height(result._tables['table']):,} rows",
        facts=shown(result.params),
        columns=[*(columns[place] for place in kept), "note"],
        rows=[[*(row[place] for place in kept), flag] for row, flag in zip(rows, flags, strict=True)],
        ids=ids,
        total_rows=_output.height(result._tables["table"]),
        notes=[*notes, *dropped_notes(result.dropped)],
    )
