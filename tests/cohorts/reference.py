"""A slow reference of cohorts and habits: dicts, sets and loops over calendar dates, written from the definitions in words.

It shares nothing with the library. A row is a `Row`; stamps are naive, and UTC where there is a time zone.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

DAY, TICK = dt.timedelta(days=1), dt.timedelta(microseconds=1)
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Row(NamedTuple):
    """One row of a log; None is null."""

    uid: str | None
    at: dt.datetime | None
    amount: float | None = None
    channel: str | None = None
    event: str | None = None


class Known(NamedTuple):
    """A row that counts."""

    uid: str
    at: dt.datetime
    amount: float | None
    channel: str | None
    event: str | None


@dataclass(frozen=True)
class World:
    """Rows, the shop's zone, and the last moment that the data covers: a date, an instant, or None (the day of the last row)."""

    rows: list[Row]
    tz: str | None = None
    as_of: dt.date | dt.datetime | None = None
    money: bool = False

    def day(self, at: dt.datetime) -> dt.date:
        return at.date() if self.tz is None else at.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(self.tz)).date()

    @property
    def today(self) -> dt.date:
        if self.as_of is None:
            return max(self.day(row.at) for row in self.rows if row.at is not None)
        return self.day(self.as_of) if isinstance(self.as_of, dt.datetime) else self.as_of

    def covered(self, at: dt.datetime) -> bool:
        """Whether the data tells what happened at this moment."""
        return at <= self.as_of if isinstance(self.as_of, dt.datetime) else self.day(at) <= self.today

    def is_over(self, day: dt.date) -> bool:
        """Whether all of a day is covered."""
        if not isinstance(self.as_of, dt.datetime):
            return day <= self.today
        midnight = dt.datetime.combine(day + DAY, dt.time())
        if self.tz is not None:
            midnight = midnight.replace(tzinfo=ZoneInfo(self.tz)).astimezone(dt.UTC).replace(tzinfo=None)
        return midnight - TICK <= self.as_of

    def reason(self, row: Row) -> str | None:
        """Why a row does not count."""
        if row.uid is None:
            return "missing customer"
        if row.at is None:
            return "missing time"
        if self.money and row.amount is None:
            return "missing amount"
        return None if self.covered(row.at) else "after as_of"

    @property
    def dropped(self) -> dict[str, int]:
        return dict(Counter(reason for row in self.rows if (reason := self.reason(row))))

    @property
    def kept(self) -> list[Known]:
        return [Known(row.uid, row.at, *row[2:]) for row in self.rows if self.reason(row) is None and row.uid and row.at]

    def is_purchase(self, row: Known) -> bool:
        return not self.money or (row.amount is not None and row.amount >= 0)

    @property
    def active_days(self) -> dict[str, list[dt.date]]:
        """The day of each purchase, by customer, in order."""
        found: dict[str, list[dt.date]] = defaultdict(list)
        for row in self.kept:
            if self.is_purchase(row):
                found[row.uid].append(self.day(row.at))
        return {uid: sorted(days) for uid, days in found.items()}


# ------------------------------------------------------------------------------------------------------------ calendar


@dataclass(frozen=True)
class Calendar:
    """Periods of a calendar, each known by its first day."""

    period: str | int
    week_start: str
    today: dt.date

    def start(self, day: dt.date) -> dt.date:
        if self.period == "day":
            return day
        if self.period == "week":
            return day - DAY * ((day.weekday() - WEEKDAYS.index(self.week_start)) % 7)
        if self.period == "month":
            return day.replace(day=1)
        if self.period == "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        if self.period == "year":
            return day.replace(month=1, day=1)
        span, last = DAY * int(self.period), self.today + DAY  # spans of days count back from the day after the last
        while not last - span <= day < last:
            last += span if day >= last else -span
        return last - span

    def after(self, start: dt.date) -> dt.date:
        """The start of the next period."""
        day = start + DAY
        while self.start(day) == start:
            day += DAY
        return day

    def periods(self, first: dt.date, last: dt.date) -> list[dt.date]:
        """The starts of all periods from that of one day to that of another."""
        found = [self.start(first)]
        while found[-1] < self.start(last):
            found.append(self.after(found[-1]))
        return found

    def over(self, world: World, start: dt.date) -> bool:
        return world.is_over(self.after(start) - DAY)


def wilson(k: float, n: float, confidence: float) -> tuple[float | None, float | None]:
    """The two solutions of (p - k/n)^2 = z^2 p (1 - p) / n."""
    if n == 0:
        return None, None
    z2, p = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2, k / n
    a, b, c = 1 + z2 / n, -(2 * p + z2 / n), p * p
    root = math.sqrt(max(b * b - 4 * a * c, 0))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def rated(name: str, k: float, n: float, confidence: float, trials: float | None = None) -> dict[str, float | None]:
    worth = n if trials is None else trials
    low, high = wilson(k / n * worth if n else 0, worth, confidence)
    return {name: k / n if n else None, f"{name}_low": low, f"{name}_high": high}


# ----------------------------------------------------------------------------------------------------------- retention


@dataclass(frozen=True)
class Person:
    """A customer: his cohort, the periods since his first that are known, and what he did at each age."""

    cohort: Any
    ages: list[dt.date]  # the start of the period of each age
    known: int  # ages that are over
    active: set[int]
    orders: Counter[int]
    money: Counter[int]


def people(world: World, calendar: Calendar, by_channel: bool) -> list[Person]:
    found = []
    for uid, days in world.active_days.items():
        ages = calendar.periods(days[0], world.today)
        known = sum(calendar.over(world, start) for start in ages)
        orders, money = Counter[int](), Counter[int]()
        own = [row for row in world.kept if row.uid == uid]
        for row in own:
            start = calendar.start(world.day(row.at))
            if start >= ages[0]:
                orders[ages.index(start)] += world.is_purchase(row)
                money[ages.index(start)] += round(1_000_000 * (row.amount or 0))
        first = min(own, key=lambda row: row.at)  # of equal times the first in the input
        cohort = first.channel if by_channel else ages[0]
        found.append(Person(cohort, ages, known, {ages.index(calendar.start(day)) for day in days}, orders, money))
    return found


def comes_back(person: Person, age: int, kind: str) -> bool:
    if kind == "bounded":
        return age in person.active
    if kind == "unbounded":
        return any(one >= age for one in person.active)
    return all(one in person.active for one in range(age + 1))


def cell(persons: list[Person], age: int, kind: str, value: str, confidence: float) -> dict[str, Any]:
    """One age of some customers, all of whom have reached it."""
    if value == "customers":
        retained = sum(comes_back(person, age, kind) for person in persons)
        return {"retained": retained if persons else None} | rated("retention", retained, len(persons), confidence)
    sums = [sum((person.orders if value == "orders" else person.money)[one] for person in persons) for one in (0, age)]
    told = [number if value == "orders" else number / 1_000_000 for number in sums]
    known = told if persons else [None, None]
    return {"base": known[0], "retained": known[1], "retention": sums[1] / sums[0] if persons and sums[0] else None}


def retention(
    world: World, calendar: Calendar, by_channel: bool, kind: str, value: str, confidence: float
) -> dict[str, list[dict[str, Any]]]:
    everybody = people(world, calendar, by_channel)
    most = max(len(person.ages) for person in everybody)
    by_cohort: dict[Any, list[Person]] = defaultdict(list)
    for person in everybody:
        by_cohort[person.cohort].append(person)
    if by_channel:
        order = sorted(by_cohort, key=lambda name: (name is None, -len(by_cohort[name]), name or ""))
    else:
        order = sorted(by_cohort)
    table, triangle = [], []
    for name in order:
        own, line = by_cohort[name], {}
        for age in range(most):
            reached = [person for person in own if person.known > age]
            numbers = cell(reached, age, kind, value, confidence)
            line[str(age)] = numbers["retention"]
            if by_channel or age < len(own[0].ages):
                period = None if by_channel else own[0].ages[age]
                table.append({"cohort": name, "age": age, "period": period, "size": len(reached if by_channel else own)} | numbers)
        triangle.append({"cohort": name, "size": len(own)} | line)
    average = []
    for age in range(most):
        reached = [person for person in everybody if person.known > age]
        average.append({"age": age, "size": len(reached)} | cell(reached, age, kind, value, confidence))
    return {"table": table, "triangle": triangle, "average": average}


# ---------------------------------------------------------------------------------------------------- repeat purchases


def effective_size(clusters: list[tuple[int, int]]) -> float:
    """Independent trials that tell as much as clusters of (successes, trials), by the variance of a ratio of sums."""
    m, k, n = len(clusters), sum(y for y, _ in clusters), sum(x for _, x in clusters)
    if n == 0:
        return 0.0
    p = Fraction(k, n)
    spread = sum((y - p * x) ** 2 for y, x in clusters)
    if k in {0, n} or m == 1 or spread == 0:
        return m
    return min(float(p * (1 - p) / (Fraction(m, m - 1) * spread / n**2)), n)


def repurchase(world: World, same_day: str, within: list[int], window: int | None, confidence: float) -> Iterator[dict[str, Any]]:
    bought = world.active_days
    if same_day == "merge":
        bought = {uid: sorted(set(days)) for uid, days in bought.items()}
    begin = dt.date.min if window is None else world.today - DAY * (window - 1)
    counts = [len(recent) for days in bought.values() if (recent := [day for day in days if day >= begin])]

    def line(measure: str, k: int, n: int, trials: float | None = None) -> dict[str, Any]:
        return {"measure": measure, "numerator": k, "denominator": n} | rated("rate", k, n, confidence, trials)

    yield line("repurchase rate (customers)", sum(count >= 2 for count in counts), len(counts))
    clusters = [(count - 1, count) for count in counts]
    yield line("repurchase rate (orders)", sum(y for y, _ in clusters), sum(counts), effective_size(clusters))
    for span in within:
        followed = [days for days in bought.values() if world.is_over(days[0] + DAY * span)]
        again = [days for days in followed if any(day <= days[0] + DAY * span for day in days[1:])]
        yield line(f"within {span} day{'s' if span > 1 else ''}", len(again), len(followed))
    followed = [days for days in bought.values() if world.is_over(days[0] + DAY * max(within))]
    yield line("one-time buyers", sum(len(days) == 1 for days in followed), len(followed))


def next_period(world: World, calendar: Calendar, confidence: float) -> Iterator[dict[str, Any]]:
    buyers: dict[dt.date, set[str]] = defaultdict(set)
    for uid, days in world.active_days.items():
        for day in days:
            buyers[calendar.start(day)].add(uid)
    for start in calendar.periods(min(buyers), world.today):
        after = calendar.after(start)
        known = calendar.over(world, after)
        k, n = len(buyers[start] & buyers[after]), len(buyers[start])
        rates = rated("rate", k, n, confidence) if known else dict.fromkeys(("rate", "rate_low", "rate_high"))
        yield {"period": start, "buyers": n, "returned": k if known else None} | rates


# -------------------------------------------------------------------------------------------------------------- habits


def stickiness(world: World, window: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    days = world.active_days
    first = min(own[0] for own in days.values())

    def distinct(last: dt.date, span: int) -> int:
        return sum(any(last - DAY * span < day <= last for day in own) for own in days.values())

    table, day = [], first
    while day <= world.today:
        dau, mau = distinct(day, 1), distinct(day, window)
        table.append({
            "day": day, "dau": dau, "wau_7d": distinct(day, 7), f"mau_{window}d": mau,
            f"dau_over_mau_{window}d": dau / mau if mau and world.is_over(day) else None,
            "truncated": (day - first).days + 1 < window, "complete": world.is_over(day),
        })  # fmt: skip
        day += DAY
    often = Counter(len({day for day in own if day > world.today - DAY * window}) for own in days.values())
    total = sum(customers for number, customers in often.items() if number)
    active = [{"days": n, "customers": often[n], "share": often[n] / total if total else None} for n in range(1, window + 1)]
    return table, active


def activation(
    world: World, calendar: Calendar, is_key: Callable[[Known], bool], within: dt.timedelta, confidence: float
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    seen: dict[dt.date, list[tuple[bool, bool]]] = defaultdict(list)
    for uid in {row.uid for row in world.kept}:
        own = [row for row in world.kept if row.uid == uid]
        first = min(row.at for row in own)
        eligible = world.covered(first + within)
        seen[calendar.start(world.day(first))].append((eligible, any(is_key(row) and row.at <= first + within for row in own)))

    def line(found: list[tuple[bool, bool]]) -> dict[str, Any]:
        followed = [activated for eligible, activated in found if eligible]
        known = {"activated": sum(followed) if followed else None} | rated("rate", sum(followed), len(followed), confidence)
        return {"customers": len(found), "eligible": len(followed)} | known

    table = [{"period": start} | line(seen[start]) for start in calendar.periods(min(seen), world.today)]
    return table, line([one for found in seen.values() for one in found])
