"""Slow references of the family, in plain loops, written from the semantics in words: periods by walking along the calendar, states by sets
of customers, money in whole cents, survival in fractions, stages by reading each rule for each customer.

They share nothing with the library.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from statistics import NormalDist
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
ONE_DAY, TICK = dt.timedelta(days=1), dt.timedelta(microseconds=1)


class Row(NamedTuple):
    """One row: who, when (a wall clock, or UTC under a zone), for how many cents (None: unknown), and a label; any of them may be null."""

    customer: Hashable
    time: dt.datetime | None
    cents: int | None = None
    label: Hashable = None


@dataclass(frozen=True)
class Rules:
    """The options of growth accounting; `money` where an amount is named."""

    period: str | int = "month"
    week_start: str = "monday"
    tz: str | None = None
    as_of: dt.date | dt.datetime | None = None
    new_after: int | None = None
    money: bool = False


# ----------------------------------------------------------------------------------------------------------- the calendar


def local_day(moment: dt.datetime, tz: str | None) -> dt.date:
    """The day on the wall; under a zone a clock without one shows UTC."""
    if tz is None:
        return moment.date()
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return aware.astimezone(ZoneInfo(tz)).date()


def start_of(day: dt.date, rules: Rules, today: dt.date) -> dt.date:
    """The first day of the period of a day."""
    if isinstance(rules.period, int):
        start = today - (rules.period - 1) * ONE_DAY
        while start > day:
            start -= rules.period * ONE_DAY
        return start
    if rules.period == "week":
        while WEEKDAYS[day.weekday()] != rules.week_start:
            day -= ONE_DAY
        return day
    if rules.period == "day":
        return day
    first_month = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[rules.period]
    return dt.date(day.year, first_month, 1)


def next_start(start: dt.date, rules: Rules) -> dt.date:
    """The first day of the period after the one that begins at `start`."""
    if isinstance(rules.period, int):
        return start + rules.period * ONE_DAY
    if rules.period in {"day", "week"}:
        return start + {"day": 1, "week": 7}[rules.period] * ONE_DAY
    months = {"month": 1, "quarter": 3, "year": 12}[rules.period]
    month = start.month - 1 + months
    return dt.date(start.year + month // 12, month % 12 + 1, 1)


# ------------------------------------------------------------------------------------------------------ growth accounting


@dataclass
class Book:
    """What is left of a log, and what it covers."""

    rows: list[Row]
    dropped: dict[str, int]
    today: dt.date
    until: dt.date  # the first local day that the data does not cover to its end
    starts: list[dt.date] = field(default_factory=list)


def read(rows: Sequence[Row], rules: Rules) -> Book:
    """The rows that count, the reasons of the others, and the periods from the first row to the end."""
    if rules.as_of is None:
        today = max(local_day(row.time, rules.tz) for row in rows if row.time is not None)
        until = today + ONE_DAY
    elif isinstance(rules.as_of, dt.datetime):
        today, until = local_day(rules.as_of, rules.tz), local_day(rules.as_of + TICK, rules.tz)
    else:
        today, until = rules.as_of, rules.as_of + ONE_DAY
    kept: list[Row] = []
    dropped: Counter[str] = Counter()
    for row in rows:
        if row.customer is None:
            dropped["missing customer"] += 1
        elif row.time is None:
            dropped["missing time"] += 1
        elif rules.money and row.cents is None:
            dropped["missing amount"] += 1
        elif not covered(row.time, rules, today):
            dropped["after as_of"] += 1
        else:
            kept.append(row)
    book = Book(kept, dict(dropped), today, until)
    if kept:
        start = min(start_of(local_day(moment(row), rules.tz), rules, today) for row in kept)
        while start <= today:
            book.starts.append(start)
            start = next_start(start, rules)
    return book


def covered(time: dt.datetime, rules: Rules, today: dt.date) -> bool:
    """Whether a time is not after the end of the data."""
    if isinstance(rules.as_of, dt.datetime):
        end = rules.as_of if rules.tz is None else rules.as_of.astimezone(dt.UTC).replace(tzinfo=None)
        return time <= end
    return local_day(time, rules.tz) <= today


def moment(row: Row) -> dt.datetime:
    assert row.time is not None
    return row.time


def is_purchase(row: Row, rules: Rules) -> bool:
    return not rules.money or (row.cents is not None and row.cents >= 0)


def customer_labels(book: Book) -> dict[Hashable, Hashable]:
    """The label of each customer's first row: the earliest, and among equals the first of the input."""
    first: dict[Hashable, Row] = {}
    for row in book.rows:
        if row.customer not in first or moment(row) < moment(first[row.customer]):
            first[row.customer] = row
    return {customer: row.label for customer, row in first.items()}


def lifecycle(rows: Sequence[Row], rules: Rules, book: Book) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Customers and money of some rows, period by period of the book."""
    purchases: dict[dt.date, Counter[Hashable]] = {start: Counter() for start in book.starts}
    money: dict[dt.date, Counter[Hashable]] = {start: Counter() for start in book.starts}
    for row in rows:
        start = start_of(local_day(moment(row), rules.tz), rules, book.today)
        purchases[start][row.customer] += is_purchase(row, rules)
        money[start][row.customer] += row.cents or 0
    first_day = min(local_day(moment(row), rules.tz) for row in book.rows)
    table: list[dict[str, Any]] = []
    revenue: list[dict[str, Any]] = []
    seen: set[Hashable] = set()
    before: set[Hashable] = set()
    spent_before: dict[Hashable, int] = {}
    for number, start in enumerate(book.starts):
        active = {customer for customer, orders in purchases[start].items() if orders}
        spent = {customer: money[start][customer] for customer in active}
        new, retained = active - seen, active & before
        resurrected, churned = {c for c in active if c in seen and c not in before}, before - active
        silent, dormant = seen - active, {c for c in seen if c not in active and c not in before}
        complete = next_start(start, rules) <= book.until
        truncated = number == 0 if rules.new_after is None else (start - first_day).days < rules.new_after
        flags = {"truncated": truncated or number == 0, "complete": complete}
        net = len(active) - len(before)
        low, high = wilson(len(retained), len(before))
        known = complete and bool(before)
        table.append(
            {
                "period": dt.datetime.combine(start, dt.time()), "active": len(active), "new": len(new), "retained": len(retained),
                "resurrected": len(resurrected), "churned": len(churned), "dormant": len(dormant), "silent": len(silent),
                "net_growth": net, "retention_rate": ratio(len(retained), len(before), known),
                "retention_rate_low": low if known else None, "retention_rate_high": high if known else None,
                "quick_ratio": ratio(len(new) + len(resurrected), len(churned), known), "growth_rate": ratio(net, len(before), known),
            } | flags
        )  # fmt: skip
        kept = sum(min(spent_before[c], spent[c]) for c in retained)
        more = sum(max(spent[c] - spent_before[c], 0) for c in retained)
        less = sum(max(spent_before[c] - spent[c], 0) for c in retained)
        gone, total_before = sum(spent_before[c] for c in churned), sum(spent_before.values())
        of_new, back = sum(spent[c] for c in new), sum(spent[c] for c in resurrected)
        late = sum(cents for customer, cents in money[start].items() if customer not in active)
        revenue.append(
            {
                "period": dt.datetime.combine(start, dt.time()), "revenue": sum(spent.values()) / 100, "new": of_new / 100,
                "retained": kept / 100, "expansion": more / 100, "resurrected": back / 100, "contraction": less / 100,
                "churned": gone / 100, "late_refunds": late / 100,
                "gross_retention_rate": ratio(kept / 100, total_before / 100, complete),
                "net_retention_rate": ratio((kept + more) / 100, total_before / 100, complete),
                "quick_ratio": ratio((of_new + back + more) / 100, (less + gone) / 100, complete),
            } | flags
        )  # fmt: skip
        seen, before, spent_before = seen | active, active, spent
    return columns(table), columns(revenue)


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def ratio(part: float, whole: float, known: bool = True) -> float | None:
    return part / whole if known and whole else None


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The two roots p of (k/n - p)^2 = z^2 p (1 - p) / n."""
    if not trials:
        return 0.0, 1.0
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    a, b, c = 1 + z2 / trials, -(2 * successes / trials + z2 / trials), (successes / trials) ** 2
    root = max(b * b - 4 * a * c, 0.0) ** 0.5
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


# ------------------------------------------------------------------------------------------------------ gaps and survival


class Gap(NamedTuple):
    """Days of silence after a day with a purchase, by the band of orders so far; open where no purchase ended it."""

    band: int
    days: int
    ended: bool


def gaps(rows: Iterable[Row], rules: Rules, today: dt.date, bands: Sequence[int]) -> list[Gap]:
    """The gaps of all customers."""
    by_customer: dict[Hashable, Counter[dt.date]] = {}
    for row in rows:
        if is_purchase(row, rules):
            by_customer.setdefault(row.customer, Counter())[local_day(moment(row), rules.tz)] += 1
    found = []
    for days in by_customer.values():
        orders = 0
        ordered = sorted(days)
        for day, after in zip(ordered, [*ordered[1:], None], strict=True):
            orders += days[day]
            band = max(number for number, start in enumerate(bands) if start <= orders)
            found.append(Gap(band, ((after or today) - day).days, after is not None))
    return found


@dataclass(frozen=True)
class Curve:
    """After t = 0, 1, ... days of silence: gaps watched to t + H, S(t), and the chance to return within H days, made non-increasing."""

    watched: list[int]
    survival: list[Fraction]
    probability: list[Fraction]

    def first_below(self, level: float) -> int | None:
        return next((t for t, p in enumerate(self.probability) if p < Fraction(level)), None)


def survival(own: Sequence[Gap], until: int) -> Fraction:
    """Kaplan and Meier's S(t): the product over the days up to t of the share of those at risk that stayed silent."""
    found = Fraction(1)
    for day in range(until + 1):
        at_risk = sum(gap.days >= day for gap in own)
        events = sum(gap.days == day and gap.ended for gap in own)
        if at_risk:
            found *= 1 - Fraction(events, at_risk)
    return found


def returning(own: Sequence[Gap], horizon: int, least: int) -> Curve:
    """The curve of one band."""
    watched: list[int] = []
    alive: list[Fraction] = []
    chance: list[Fraction] = []
    while (at_risk := sum(gap.days >= len(watched) + horizon for gap in own)) >= max(least, 1):
        now, then = survival(own, len(watched)), survival(own, len(watched) + horizon)
        watched.append(at_risk)
        alive.append(now)
        chance.append(min([(now - then) / now, *chance[-1:]]))
    return Curve(watched, alive, chance)


# ---------------------------------------------------------------------------------------------------------------- stages

Plain = Sequence[tuple[str, Sequence[Mapping[str, Any]]]]
"""Stages as names and rules."""


def holds(rules: Sequence[Mapping[str, Any]], customer: Mapping[str, Any]) -> bool:
    """Whether any rule holds a customer; without rules they all do."""
    return not rules or any(all(fulfils(condition, customer[column]) for column, condition in rule.items()) for rule in rules)


def fulfils(condition: Any, value: Any) -> bool:
    if value is None:
        return False
    if isinstance(condition, tuple):
        low, high = condition
        return (low is None or value >= low) and (high is None or value <= high)
    return value in (condition if isinstance(condition, list) else [condition])


def stage_of(stages: Plain, default: str | None, customer: Mapping[str, Any]) -> str | None:
    """The first stage that holds."""
    return next((name for name, rules in stages if holds(rules, customer)), default)
