"""What the models of lifetime value ask of each customer: frequency, recency and age, counted in units of the calendar.

Orders of whole customers are folded to facts (`partial`), facts of disjoint customers are put side by side (`merge`), and the columns are
read off them (`_measures`).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial as bind
from typing import Literal, TypeVar, get_args

import numpy as np

from opsmetrics import _checks, _frames, _output, _parts, _render, activity
from opsmetrics._frames import Column, Floats, Ints
from opsmetrics._kernels import grouping, periods
from opsmetrics._kernels import repeats as kernel
from opsmetrics._results import SHOWN, Result, dropped_notes, shown
from opsmetrics.activity import AFTER, MISSING_CUSTOMER, Log
from opsmetrics.customers import MissingCustomer, Refunds
from opsmetrics.errors import DataError, ParameterError

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

Unit = Literal["day", "week", "month", "quarter", "year"]

RESERVED = frozenset({
    "frequency", "recency", "T", "monetary_value", "frequency_holdout", "monetary_value_holdout", "duration_holdout",
})  # fmt: skip
"""Columns that the table of customers gets."""

REFUND_ONLY, AFTER_CALIBRATION = "refund_only", "customers_after_calibration"


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CLVSummary(Result[FrameT_co]):
    """One row per customer who bought, as `clv_summary` returns it and the models of lifetime value take it.

    Attributes
    ----------
    table : frame
        The customer column, then ``frequency`` (units with a purchase, without the first), ``recency`` (units from the first to the last
        purchase) and ``T`` (units from the first purchase to `as_of`, or to `calibration_end`), and with an amount ``monetary_value``, the
        mean money per repeat unit. Where there is a holdout, ``frequency_holdout``, ``monetary_value_holdout`` and ``duration_holdout``
        tell the same of the time after `calibration_end`. Sorted by customer.
    customer : str
        The name of the customer column.
    unit : str
        The unit of time, in which everything is counted.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=50, rng=7)
    >>> summary = om.clv_summary(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    >>> summary.table.columns.tolist()
    ['customer', 'frequency', 'recency', 'T', 'monetary_value']
    """

    customer: str
    unit: str

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN)
        total = _output.height(self._tables["table"])
        notes = [f"in {self.unit}s: recency runs from the first to the last purchase, T from the first to the end; frequency has no first"]
        if after := self.params[AFTER_CALIBRATION]:
            notes.append(f"{after:,} customers first bought after the calibration period and are left out")
        if apart := self.params[REFUND_ONLY]:
            notes.append(f"{apart:,} customers have refunds only and are left out")
        return _render.View(
            title=f"CLV summary: {total:,} customers",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            total_rows=total,
            ids=[self.customer],
            notes=[*notes, *dropped_notes(self.dropped)],
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts: the log, the last unit of the time to learn from, whether there is a holdout after it, and whether refunds count."""

    log: Log
    end: int
    holdout: bool
    refunds: Refunds


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the customers who bought in the time that models learn from, with money in millionths; and how much was left out.

    `repeats` is the money after each one's first unit; `held` and `money_held` are the units with a purchase and the money of the holdout.
    """

    customers: _frames.Values
    bought: kernel.Spans
    repeats: Ints
    held: Ints
    money_held: Ints
    dropped: Counter[str]
    counts: Counter[str]

    def take(self, positions: Ints) -> Facts:
        """Customers by position."""
        return replace(
            self,
            customers=_frames.take(self.customers, positions),
            bought=self.bought.take(positions),
            repeats=self.repeats[positions],
            held=self.held[positions],
            money_held=self.money_held[positions],
        )


def clv_summary(
    orders: FrameT,
    *,
    customer: str,
    time: str,
    amount: str | None = None,
    unit: Unit = "day",
    as_of: str | dt.date | dt.datetime | np.datetime64 | None = None,
    calibration_end: str | dt.date | dt.datetime | np.datetime64 | None = None,
    tz: str | None = None,
    refunds: Refunds = "net",
    missing_customer: MissingCustomer = "error",
) -> CLVSummary[FrameT]:
    """Frequency, recency, age and money of each customer, as the models of lifetime value take them (also known as: RFM-T, CBS).

    Purchases of one customer in one unit of the calendar are one. The words are those of the literature on lifetime value, and differ from
    the RFM of marketing: *frequency* leaves out the first purchase, so that it counts repeats, and *recency* runs from the first to the
    last purchase - a high one is good - where RFM counts the days since the last. `T` is the customer's age. A unit coarser than a day
    merges purchases, and rounds their times, which biases the parameters of a model: count in days, unless customers buy by the week.

    A row with an amount of zero or more is a purchase. A negative amount is a refund: no purchase, but money taken off, from that of the
    first unit where it lies in it (or before), else from that of the repeats. So ``monetary_value``, the mean money per repeat unit, may be
    zero or less. Money is added in whole millionths, so neither the order of the rows nor the engine matters.

    Parameters
    ----------
    orders : frame
        One row per order or order line. pandas, polars (eager or lazy), pyarrow, or a DuckDB relation; scans and relations are streamed.
    customer, time : str
        Columns of the customer (whole numbers or text) and the time (dates or timestamps).
    amount : str, optional
        Column of the money (any currency). Without it every row is a purchase, and the table has no money.
    unit : {"day", "week", "month", "quarter", "year"}
        The unit of time, of the calendar of `tz`; weeks begin on Monday.
    as_of : str, date, datetime or datetime64, optional
        The last moment that the data covers: a day is included to its local end, an instant itself; later rows are left out and counted.
        By default the local day of the last row, taken to be over: name the instant where it is not.
    calibration_end : str, date, datetime or datetime64, optional
        Hold out what comes later: models learn from the time to the end of the unit in which this moment lies, and are measured on the
        units after it, up to `as_of`. Customers who first bought in the holdout are left out and counted in ``.params``.
    tz : str, optional
        The shop's time zone, as in `customer_summary`.
    refunds : {"net", "drop", "error"}
        Subtract refunds, leave them out (counted), or refuse them. Customers with refunds only are left out, and counted in ``.params``.
    missing_customer : {"error", "drop"}
        Refuse rows without a customer, or leave them out (counted).

    Returns
    -------
    CLVSummary
        ``.table`` has one row per customer who bought: counts of units, and money in the unit of `amount`, 0.0 where there is no repeat.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows, no purchase up to `as_of` or `calibration_end`, null customers under "error", refunds under "error", infinite or
        astronomic amounts.
    ParameterError
        An argument outside its rule; a `calibration_end` that leaves no unit to hold out.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. & Lee, K. L. (2005), "Counting your customers" the easy way: an alternative to the Pareto/NBD model,
    Marketing Science 24(2), 275-284 (frequency, recency and T as all that the models need); Fader, P. S. & Hardie, B. G. S. (2013), The
    Gamma-Gamma model of monetary value (the mean of repeat purchases).

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> orders = pd.DataFrame({
    ...     "uid": ["ann", "ann", "ann", "bo"],
    ...     "paid_at": pd.to_datetime(["2026-01-02", "2026-01-12", "2026-01-20", "2026-01-05"]),
    ...     "amount": [30.0, 20.0, 40.0, 100.0],
    ... })
    >>> om.clv_summary(orders, customer="uid", time="paid_at", amount="amount", as_of="2026-01-31").table
       uid  frequency  recency   T  monetary_value
    0  ann          2       18  29            30.0
    1   bo          0        0  26             0.0
    """
    _checks.choice("unit", unit, periods.WORDS)
    _checks.choice("refunds", refunds, get_args(Refunds))
    _checks.choice("missing_customer", missing_customer, get_args(MissingCustomer))
    held_from = None if calibration_end is None else _checks.moment("calibration_end", calibration_end)
    log = activity.observe("orders", orders, activity.uses_of(customer, time, amount), tz=tz, as_of=as_of, period=unit)
    _checks.free("customer", customer, RESERVED)
    end = log.observed.last if held_from is None else _calibration_end(log.observed, held_from, unit)
    rules = Rules(log, end, held_from is not None, refunds)
    facts = merge(_parts.fold(log.source, bind(partial, rules=rules)))
    _refuse(facts, log, missing_customer, refunds, None if held_from is None else held_from.text)
    order = _frames.sort_order(facts.customers, "customer")
    facts = facts if order is None else facts.take(order)
    params = activity.params_of(log) | log.observed.facts | {
        "unit": unit, "calibration_end": None if held_from is None else held_from.text, "refunds": refunds,
        "missing_customer": missing_customer, **{name: facts.counts[name] for name in ("rows", REFUND_ONLY, AFTER_CALIBRATION)},
    }  # fmt: skip
    table = _output.build(log.source.backend, {customer: facts.customers} | _measures(facts, rules))
    return CLVSummary(_tables={"table": table}, params=params, dropped=dict(facts.dropped), customer=customer, unit=unit)


def _calibration_end(observed: activity.Observed, moment: _checks.Moment, unit: str) -> int:
    """The number of the last unit that models learn from."""
    end = int(observed.periods.number(np.array([observed.clock.day_of("calibration_end", moment)]))[0])
    if end >= observed.last:
        raise ParameterError(
            f"calibration_end={moment.text!r} leaves nothing to hold out: it must lie in an earlier {unit} than as_of={observed.text!r}. "
            "Choose an earlier one.",
            code="parameter.calibration_end",
        )
    return end


# ------------------------------------------------------------------------------------------- partial, merge, measures


def partial(part: _parts.Part, rules: Rules) -> Facts:
    """Fold the orders of some whole customers."""
    orders, dropped, refunds = orders_of(part, rules)
    now, later = orders.split(rules.end) if rules.holdout else (orders, None)
    bought = now.purchases.spans()
    held = np.zeros_like(bought.units) if later is None else later.purchases.spans().units
    has_bought = bought.units > 0
    never = ~has_bought & (held == 0)
    counts = {
        "rows": part.rows,
        "refunds": len(refunds),
        REFUND_ONLY: len(np.unique(refunds[never[refunds]])),
        AFTER_CALIBRATION: int(np.count_nonzero(~has_bought & (held > 0))),
    }
    money_held = np.zeros_like(held) if later is None else later.total()
    facts = Facts(part.customers, bought, now.total_after(bought.first), held, money_held, dropped, Counter(counts))
    return facts if has_bought.all() else facts.take(np.flatnonzero(has_bought))


def orders_of(part: _parts.Part, rules: Rules) -> tuple[kernel.Orders, Counter[str], Ints]:
    """The rows that count, how many do not and why, and whose the refunds are that count."""
    observed = rules.log.observed
    rows = activity.usable(part, observed, apart=True)
    units = observed.periods.number(observed.clock.days(rows.ticks))
    orders = kernel.Orders(rows.codes, units, rows.units, len(part.customers))
    refunds = orders.refunds
    if refunds is None:
        return orders, rows.dropped, np.empty(0, dtype=np.int64)
    if rules.refunds == "drop":
        return orders.take(~refunds), rows.dropped + Counter({"refund": int(np.count_nonzero(refunds))}), np.empty(0, dtype=np.int64)
    return orders, rows.dropped, orders.codes[refunds]


def merge(facts: Sequence[Facts]) -> Facts:
    """Facts of disjoint customers, side by side."""
    return Facts(
        customers=_frames.concat([f.customers for f in facts]),
        bought=kernel.concatenate([f.bought for f in facts]),
        repeats=np.concatenate([f.repeats for f in facts]),
        held=np.concatenate([f.held for f in facts]),
        money_held=np.concatenate([f.money_held for f in facts]),
        dropped=sum((f.dropped for f in facts), Counter[str]()),
        counts=sum((f.counts for f in facts), Counter[str]()),
    )


def _measures(facts: Facts, rules: Rules) -> dict[str, Column]:
    """The columns of the table, customers in order."""
    bought, frequency = facts.bought, facts.bought.units - 1
    paid = "amount" in rules.log.columns
    found: dict[str, Column] = {"frequency": frequency, "recency": bought.last - bought.first, "T": rules.end - bought.first}
    if paid:
        found["monetary_value"] = _mean(facts.repeats, frequency)
    if rules.holdout:
        found["frequency_holdout"] = facts.held
        if paid:
            found["monetary_value_holdout"] = _mean(facts.money_held, facts.held)
        found["duration_holdout"] = np.full(len(frequency), rules.log.observed.last - rules.end)
    return found


def _mean(money: Ints, units: Ints) -> Floats:
    """Money per unit; 0.0 where there is no unit, whatever was given back."""
    return np.divide(grouping.money(money), units, out=np.zeros(len(units)), where=units > 0)


def _refuse(facts: Facts, log: Log, missing_customer: MissingCustomer, refunds: Refunds, calibration_end: str | None) -> None:
    """What the whole data says against the question."""
    rows = facts.counts["rows"]
    if missing_customer == "error" and (nobody := facts.dropped[MISSING_CUSTOMER]):
        raise DataError(
            f"customer={log.columns['customer']!r} is null in {nobody:,} of {rows:,} rows; every order needs a customer. Pass "
            "missing_customer='drop' to leave them out and count them.",
            code="data.missing_customer",
        )
    if refunds == "error" and (back := facts.counts["refunds"]):
        raise DataError(
            f"amount={log.columns['amount']!r} is negative in {back:,} orders; refunds='error' allows none. Pass refunds='net' to subtract "
            "them or refunds='drop' to leave them out.",
            code="data.refunds",
        )
    if len(facts.customers):
        return
    if calibration_end is not None and (after := facts.counts[AFTER_CALIBRATION]):
        raise DataError(
            f"calibration_end={calibration_end!r} leaves no purchase to learn from: all {after:,} customers first bought after it; choose "
            "a later one.",
            code="data.no_purchases",
        )
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in facts.dropped.items())
    fix = "choose a later as_of" if facts.dropped[AFTER] else "check the columns"
    raise DataError(
        f"as_of={log.observed.text!r} leaves no purchase among {rows:,} rows ({reasons or 'all are refunds'}); {fix}.",
        code="data.no_purchases",
    )
