"""The customer table: when each customer last bought, how often, and for how much.

The common ground of the families that start from orders. Orders of whole customers are folded to *facts* (`partial`), facts of disjoint
customers are put side by side (`merge`), and the measures are read off them (`finish`).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames, _lines, _output, _parts, _render
from opsmetrics._frames import Column, Ints, Use
from opsmetrics._kernels import calendars, grouping, purchases
from opsmetrics._results import SHOWN, Result, Table, dropped_notes, shown
from opsmetrics.errors import DataError, ParameterError

if TYPE_CHECKING:
    import datetime as dt

    from opsmetrics._clock import Clock

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

Frequency = Literal["orders", "days"]
Monetary = Literal["net", "gross", "mean"]
Refunds = Literal["net", "drop", "error"]
MissingCustomer = Literal["error", "drop"]

RESERVED = frozenset({
    "recency", "frequency", "monetary", "orders", "revenue", "refunded", "tenure", "refunds", "first_order", "last_order",
    "r_score", "f_score", "m_score", "rfm_score", "rfm_code", "segment",
})  # fmt: skip
"""Columns that the table of customers gets, here or on its way to segments."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CustomerSummary(Result[FrameT_co]):
    """One row per customer who bought, as `customer_summary` returns it.

    Attributes
    ----------
    table : frame
        The customer column, then ``recency`` (whole local days), ``frequency``, ``monetary``, ``orders``, ``revenue`` (net of refunds),
        ``refunded`` (an amount, >= 0), ``tenure`` (whole local days since the first purchase), ``first_order`` and ``last_order`` (times);
        sorted by customer.
    refund_only : frame
        Customers with refunds and no purchase in the window: the customer column, ``refunds`` (a count) and ``refunded``.
    customer : str
        The name of the customer column.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=50, rng=7)
    >>> summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    >>> list(summary.table.columns)[:4]
    ['customer', 'recency', 'frequency', 'monetary']
    """

    customer: str

    refund_only = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN)
        total, apart = _output.height(self._tables["table"]), _output.height(self._tables["refund_only"])
        note = [f"{apart:,} customers have refunds only; see .refund_only"] if apart else []
        return _render.View(
            title=f"Customer summary: {total:,} customers",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            total_rows=total,
            ids=[self.customer],
            notes=[*note, *dropped_notes(self.dropped)],
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as an order: the span of ticks [start, end), and the policies."""

    start: int
    end: int
    clock: Clock
    frequency: Frequency
    refunds: Refunds
    columns: dict[str, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of some customers: their ids, their purchases, the days they bought on, and the rows that were left out."""

    customers: _frames.Values
    bought: purchases.Purchases
    days: Ints
    rows: int
    dropped: Counter[str]

    def take(self, positions: Ints) -> Facts:
        """Customers by position."""
        return replace(
            self,
            customers=_frames.take(self.customers, positions),
            bought=self.bought.take(positions),
            days=self.days[positions],
        )


def customer_summary(
    orders: FrameT,
    *,
    customer: str,
    time: str,
    amount: str,
    as_of: str | dt.date | dt.datetime | np.datetime64,
    order_id: str | None = None,
    window: int | str | dt.timedelta | None = None,
    tz: str | None = None,
    frequency: Frequency = "orders",
    monetary: Monetary = "net",
    refunds: Refunds = "net",
    missing_customer: MissingCustomer = "error",
) -> CustomerSummary[FrameT]:
    """Recency, frequency and money of each customer from orders or order lines (also known as: 用户消费汇总).

    A row with an amount of zero or more is a purchase, a negative amount is a refund. Recency and frequency come from purchases only. Money
    is added in whole millionths, so the sums do not depend on the order of the rows or on the engine. Rows without a time or an amount
    cannot be orders: they are left out and counted in ``.dropped``.

    Parameters
    ----------
    orders : frame
        One row per order, or per order line with `order_id`. pandas, polars (eager or lazy), pyarrow, or a DuckDB relation; polars
        scans and DuckDB relations are streamed, so they may be larger than memory.
    customer, time, amount : str
        Columns of the customer (whole numbers or text), the time (dates or timestamps) and the money (any currency).
    as_of : str, date, datetime or datetime64
        The last moment of the report. A day ("2026-11-23") is included to its local end; an instant ("2026-11-23 18:00") is included
        itself. Later rows are left out and counted.
    order_id : str, optional
        Column of the order. Lines of one customer with one order id are one order: its amount is their sum, its time that of the first.
    window : int, str or timedelta, optional
        Only orders of the last so many local days, that of `as_of` included: 90, "90D", "12W". All history by default.
    tz : str, optional
        The shop's time zone, whose calendar counts the days: a stamp in UTC belongs to the local day of `tz`. Stamps without a zone are
        read as UTC where `tz` is given, and as the local wall clock where it is not. DuckDB's TIMESTAMPTZ is an instant without a
        calendar: its days are those of UTC unless `tz` is given.
    frequency : {"orders", "days"}
        Count purchases, or local days with a purchase.
    monetary : {"net", "gross", "mean"}
        Purchases less refunds, purchases alone, or net money per unit of frequency.
    refunds : {"net", "drop", "error"}
        Subtract refunds, leave them out (counted), or refuse them.
    missing_customer : {"error", "drop"}
        Refuse rows without a customer, or leave them out (counted).

    Returns
    -------
    CustomerSummary
        ``.table`` has one row per customer who bought: recency in whole local days from the last purchase to `as_of`, frequency
        as a count, money in the unit of `amount`.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows, no purchase up to `as_of`, null customers under "error", refunds under "error", infinite or astronomic amounts.
    ParameterError
        An argument outside its rule; an instant without a zone for times that have one.

    References
    ----------
    Bult, J. R. & Wansbeek, T. (1995), Optimal selection for direct mail, Marketing Science 14(4), 378-394 (recency, frequency,
    monetary value as the description of a customer).

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> orders = pd.DataFrame({
    ...     "uid": ["ann", "ann", "bo", "bo"],
    ...     "paid_at": pd.to_datetime(["2026-01-02", "2026-01-20", "2026-01-05", "2026-01-06"]),
    ...     "amount": [30.0, 20.0, 100.0, -100.0],
    ... })
    >>> summary = om.customer_summary(orders, customer="uid", time="paid_at", amount="amount", as_of="2026-01-31")
    >>> summary.table[["uid", "recency", "frequency", "monetary", "refunded"]]
       uid  recency  frequency  monetary  refunded
    0  ann       11          2      50.0       0.0
    1   bo       26          1       0.0     100.0
    """
    _checks.choice("frequency", frequency, get_args(Frequency))
    _checks.choice("monetary", monetary, get_args(Monetary))
    _checks.choice("refunds", refunds, get_args(Refunds))
    _checks.choice("missing_customer", missing_customer, get_args(MissingCustomer))
    moment, span = _checks.moment("as_of", as_of), _checks.days("window", window)
    uses = [Use("customer", customer, "key"), Use("time", time, "time"), Use("amount", amount, "number"), *_lines.uses_of(order_id)]
    source = _parts.read("orders", orders, uses, tz=tz)
    _checks.free("customer", customer, RESERVED)
    clock = source.clock
    today = clock.day_of("as_of", moment)
    start = calendars.MISSING + 1 if span is None else clock.midnight(today - span + 1)
    columns = {use.argument: use.column for use in uses}
    rules = Rules(start, clock.end("as_of", moment), clock, frequency, refunds, columns)
    facts = merge(_parts.fold(source, lambda part: partial(part, rules)))
    _refuse(facts, missing_customer, refunds, columns, moment.text)
    params: dict[str, object] = {"columns": columns}
    params |= {"as_of": moment.text, "window": span, "tz": clock.local, "frequency": frequency, "monetary": monetary}
    params |= {"refunds": refunds, "missing_customer": missing_customer, "rows": facts.rows}
    return _finish(facts, source.backend, clock, today, customer, params)


def summaries_at(
    orders: FrameT,
    moments: Sequence[_checks.Moment],
    *,
    customer: str,
    time: str,
    amount: str,
    order_id: str | None,
    tz: str | None,
    missing_customer: MissingCustomer,
) -> list[CustomerSummary[FrameT]]:
    """The customer table as of several moments, from one pass: each order is added once, to the first moment that covers it."""
    _checks.choice("missing_customer", missing_customer, get_args(MissingCustomer))
    if not moments:
        raise ParameterError("dates=[] is empty; give at least one date.", code="parameter.dates")
    uses = [Use("customer", customer, "key"), Use("time", time, "time"), Use("amount", amount, "number"), *_lines.uses_of(order_id)]
    source = _parts.read("orders", orders, uses, tz=tz)
    _checks.free("customer", customer, RESERVED)
    clock, columns = source.clock, {use.argument: use.column for use in uses}
    ends = [clock.end("dates", moment) for moment in moments]
    for place, (before, after) in enumerate(itertools.pairwise(ends)):
        if after <= before:
            raise ParameterError(
                f"dates must increase; {moments[place + 1].text!r} follows {moments[place].text!r}. Sort them, each once.",
                code="parameter.dates",
            )
    rules = Rules(calendars.MISSING + 1, ends[-1], clock, "orders", "net", columns)
    last = np.array([min(max(end - 1, calendars.MISSING), np.iinfo(np.int64).max) for end in ends], dtype=np.int64)
    parts = _parts.fold(source, lambda part: partial_at(part, rules, last))
    found = []
    for place, moment in enumerate(moments):
        facts = merge([part[place] for part in parts])
        _refuse(facts, missing_customer, "net", columns, moment.text)
        params: dict[str, object] = {"columns": columns, "as_of": moment.text, "window": None, "tz": clock.local, "frequency": "orders"}
        params |= {"monetary": "net", "refunds": "net", "missing_customer": missing_customer, "rows": facts.rows}
        found.append(_finish(facts, source.backend, clock, clock.day_of("dates", moment), customer, params))
    return found


# ------------------------------------------------------------------------------------------- partial, merge, finish


def partial(part: _parts.Part, rules: Rules) -> Facts:
    """Fold the orders of some whole customers."""
    keep, dropped = _usable(part, rules)
    if part.grouped and part.rows and not dropped and rules.frequency == "orders" and "order_id" not in part.columns:
        return _of_runs(part, rules)
    bought = purchases.Purchases.none(len(part.customers))
    pairs = [np.empty(0, dtype=np.int64)]
    for codes, ticks, units in _batches(part, keep, rules, dropped):
        bought.add(codes, ticks, units)
        if rules.frequency == "days":
            paid = units >= 0
            _refuse_no_date(ticks[paid], ticks[paid], rules)
            pairs.append(purchases.customer_days(codes[paid], rules.clock.days(ticks[paid])))
    has_bought = bought.orders > 0
    _refuse_no_date(bought.first[has_bought], bought.last[has_bought], rules)
    days = purchases.days_per_customer(np.unique(np.concatenate(pairs)), len(part.customers))
    return Facts(part.customers, bought, days, part.rows, dropped)


def _of_runs(part: _parts.Part, rules: Rules) -> Facts:
    """The same where every row counts and rows stand by customer."""
    _refuse_astronomic(part.codes, part["amount"], rules)
    starts = np.append(0, np.flatnonzero(part.codes[1:] != part.codes[:-1]) + 1)
    bought = purchases.Purchases.of_runs(starts, part["time"], grouping.micros(part["amount"]))
    has_bought = bought.orders > 0
    _refuse_no_date(bought.first[has_bought], bought.last[has_bought], rules)
    return Facts(part.customers, bought, np.zeros(len(starts), dtype=np.int64), part.rows, Counter())


def partial_at(part: _parts.Part, rules: Rules, last: Ints) -> list[Facts]:
    """Fold the orders of some whole customers up to each of several ticks, each included; the rules end after the last of them.

    The lines of an order may lie on both sides of a tick: they are added up anew for each.
    """
    if "order_id" in part.columns:
        return [partial(part, replace(rules, end=min(tick, np.iinfo(np.int64).max - 1) + 1)) for tick in last.tolist()]
    keep, dropped = _usable(part, rules)
    people = len(part.customers)
    fresh = [purchases.Purchases.none(people) for _ in last]
    rows = np.zeros(len(last), dtype=np.int64)
    for codes, ticks, units in _batches(part, keep, rules, dropped):
        place = np.searchsorted(last, ticks)
        for number, bought in enumerate(fresh):
            own = place == number
            rows[number] += np.count_nonzero(own)
            bought.add(codes[own], ticks[own], units[own])
    later = int(rows.sum()) - np.cumsum(rows)
    found: list[Facts] = []
    for number, bought in enumerate(fresh):
        so_far = bought if not found else found[-1].bought.plus(bought)
        own_dropped = dropped + Counter({"after as_of": int(later[number])})
        has_bought = so_far.orders > 0
        _refuse_no_date(so_far.first[has_bought], so_far.last[has_bought], rules)
        found.append(Facts(part.customers, so_far, np.zeros(people, dtype=np.int64), part.rows, own_dropped))
    return found


def merge(facts: Sequence[Facts]) -> Facts:
    """Facts of disjoint customers, side by side."""
    return Facts(
        customers=_frames.concat([f.customers for f in facts]),
        bought=purchases.concatenate([f.bought for f in facts]),
        days=np.concatenate([f.days for f in facts]),
        rows=sum(f.rows for f in facts),
        dropped=sum((f.dropped for f in facts), Counter[str]()),
    )


def _finish(
    facts: Facts, backend: _frames.Backend, clock: Clock, today: int, customer: str, params: dict[str, object]
) -> CustomerSummary[Any]:
    """Read the measures off the facts, customers in order."""
    order = _frames.sort_order(facts.customers, "customer")
    facts = facts if order is None else facts.take(order)
    has_bought = facts.bought.orders > 0
    buyers = facts if has_bought.all() else facts.take(np.flatnonzero(has_bought))
    apart = facts.take(np.flatnonzero(~has_bought & (facts.bought.refunds > 0)))
    p, back = buyers.bought, apart.bought
    frequency = p.orders if params["frequency"] == "orders" else buyers.days
    net = grouping.money(p.bought - p.refunded)
    monetary = net / frequency if params["monetary"] == "mean" else net
    if params["monetary"] == "gross":
        monetary = grouping.money(p.bought)
    measures: dict[str, Column] = {
        "recency": today - clock.days(p.last),
        "frequency": frequency,
        "monetary": monetary,
        "orders": p.orders,
        "revenue": net,
        "refunded": grouping.money(p.refunded),
        "tenure": today - clock.days(p.first),
        "first_order": _output.stamps(backend, p.first, clock),
        "last_order": _output.stamps(backend, p.last, clock),
    }
    alone: dict[str, Column] = {"refunds": back.refunds, "refunded": grouping.money(back.refunded)}
    tables = {
        "table": _output.build(backend, {customer: buyers.customers} | measures),
        "refund_only": _output.build(backend, {customer: apart.customers} | alone),
    }
    params["refund_only"] = len(apart.customers)
    return CustomerSummary(_tables=tables, params=params, dropped=dict(facts.dropped), customer=customer)


# ------------------------------------------------------------------------------------------------------------ the rows


def _usable(part: _parts.Part, rules: Rules) -> tuple[npt.NDArray[np.bool_], Counter[str]]:
    """Which rows are orders of the report, and how many are not, by the first reason that holds."""
    ticks, amounts = part["time"], part["amount"]
    keep, dropped = np.ones(part.rows, dtype=np.bool_), Counter[str]()
    if _spotless(part, rules):
        return keep, dropped
    lone_refund = (amounts < 0) if rules.refunds == "drop" and "order_id" not in part.columns else np.False_
    reasons = {
        "missing customer": part.codes < 0,
        "missing time": ticks == calendars.MISSING,
        "missing amount": np.isnan(amounts),
        "after as_of": ticks >= rules.end,
        "before window": ticks < rules.start,
        _lines.MISSING_ORDER: part["order_id"] < 0 if "order_id" in part.columns else np.False_,
        "refund": lone_refund,
    }
    for reason, applies in reasons.items():
        if rows := int(np.count_nonzero(applies & keep)):
            dropped[reason] = rows
            keep &= ~applies
    return keep, dropped


def _spotless(part: _parts.Part, rules: Rules) -> bool:
    """Whether every row is an order of the report, told by the extremes alone, as it mostly is."""
    ticks, amounts = part["time"], part["amount"]
    if part.rows == 0 or part.codes.min() < 0 or ticks.min() < max(rules.start, calendars.MISSING + 1) or ticks.max() >= rules.end:
        return False
    lines = part.columns.get("order_id")
    least = amounts.min()  # NaN where any amount is
    return not np.isnan(least) and (rules.refunds != "drop" or least >= 0) and (lines is None or lines.min() >= 0)


def _batches(part: _parts.Part, keep: npt.NDArray[np.bool_], rules: Rules, dropped: Counter[str]) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Orders as customer codes, ticks and money: row by row in blocks, or lines added up where there is an order id."""
    codes, ticks, amounts = part.codes, part["time"], part["amount"]
    _refuse_astronomic(codes, amounts, rules)
    if "order_id" not in part.columns:
        for block in grouping.blocks(part.rows):
            use = slice(None) if (kept := keep[block]).all() else kept
            yield codes[block][use], ticks[block][use], grouping.micros(amounts[block][use])
        return
    ids = part["order_id"]
    order = _lines.orders_of(codes[keep], ids[keep])
    customer, first, money, lines = purchases.sum_lines(order, codes[keep], ticks[keep], grouping.micros(amounts[keep]))
    if rules.refunds == "drop" and (back := money < 0).any():
        dropped["refund"] += int(lines[back].sum())
        customer, first, money = customer[~back], first[~back], money[~back]
    yield customer, first, money


def _refuse_no_date(first: Ints, last: Ints, rules: Rules) -> None:
    """Times outside the years 1 to 9999: DuckDB's infinity, or a unit mistaken for another."""
    if first.size and not rules.clock.covers(int(first.min()), int(last.max())):
        raise DataError(
            f"time={rules.columns['time']!r} reaches beyond the years 1 to 9999 of the calendar; check its unit, and drop infinite times.",
            code="data.time",
        )


def _refuse_astronomic(codes: Ints, amounts: _frames.Floats, rules: Rules) -> None:
    """Infinite amounts, and sums that whole millionths in 64 bits cannot hold."""
    if amounts.size == 0:
        return
    high, low = float(np.fmax.reduce(amounts)), float(np.fmin.reduce(amounts))
    extreme = high if high >= -low else low
    largest = abs(extreme)
    if not largest * amounts.size >= grouping.LARGEST:
        return
    known = (codes >= 0) & ~np.isnan(amounts)
    if largest >= grouping.LARGEST or np.bincount(codes[known], weights=np.abs(amounts[known])).max(initial=0.0) >= grouping.LARGEST:
        raise DataError(
            f"amount={rules.columns['amount']!r} reaches {extreme:g}; amounts must be finite, and those of one customer must add up to "
            f"less than {grouping.LARGEST:.3g}. Remove the infinite ones or use a larger unit of money.",
            code="data.amount",
        )


def _refuse(facts: Facts, missing_customer: MissingCustomer, refunds: Refunds, columns: dict[str, str], as_of: str) -> None:
    """What the whole data says against the question."""
    if missing_customer == "error" and (rows := facts.dropped["missing customer"]):
        raise DataError(
            f"customer={columns['customer']!r} is null in {rows:,} of {facts.rows:,} rows; every order needs a customer. Pass "
            "missing_customer='drop' to leave them out and count them.",
            code="data.missing_customer",
        )
    _lines.demand_orders(facts.dropped, columns)
    if refunds == "error" and (rows := int(facts.bought.refunds.sum())):
        raise DataError(
            f"amount={columns['amount']!r} is negative in {rows:,} orders; refunds='error' allows none. Pass refunds='net' to subtract "
            "them or refunds='drop' to leave them out.",
            code="data.refunds",
        )
    if not facts.bought.orders.any():
        counts = ", ".join(f"{rows:,} {reason}" for reason, rows in facts.dropped.items())
        fixes = {"after as_of": "choose a later as_of", "before window": "choose a longer window"}
        fix = " or ".join(advice for reason, advice in fixes.items() if facts.dropped[reason]) or "check the columns"
        raise DataError(
            f"as_of={as_of!r} leaves no purchase among {facts.rows:,} rows ({counts or 'all are refunds'}); {fix}.",
            code="data.no_purchases",
        )
