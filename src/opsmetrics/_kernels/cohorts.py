"""Who came back when: retention, repeat purchases, habits and activation, counted over cells of customer and period.

A customer's *age* in a period is the number of periods since his first one. All counts add up over disjoint customers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import grouping, sequences
from opsmetrics._kernels.cells import Cells

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_NEVER = int(np.iinfo(np.int64).max)


def runs(cells: Cells) -> tuple[Ints, Ints]:
    """Where the cells of each customer begin, and how many there are."""
    starts = np.flatnonzero(cells.first)
    return starts, np.diff(starts, append=len(cells))


# ----------------------------------------------------------------------------------------------------------- retention


@dataclass(frozen=True, slots=True)
class Seen:
    """Periods by number: the data ends in `last`, and `over` is the last one that is complete."""

    last: int
    over: int


def triangle(since: int) -> int:
    """The places of all cohorts of which the oldest began so many periods ago: newest first, each with its ages from 0."""
    return (since + 1) * (since + 2) // 2


@dataclass(frozen=True, slots=True)
class Cohorts:
    """Customers who have a first period: their codes, that period, how long ago it is, and where the places of their cohort begin."""

    person: Ints
    first: Ints
    since: Ints
    row: Ints

    @classmethod
    def of(cls, active: Cells, seen: Seen, group: Ints | None, width: int) -> Cohorts:
        """The cohort is the first period, whose places lie in a triangle, or the customer's group, which has `width` places."""
        starts, _ = runs(active)
        person, first = active.customer[starts], active.period[starts]
        since = seen.last - first
        return cls(person, first, since, since * (since + 1) // 2 if group is None else group[person] * width)

    @property
    def ages(self) -> int:
        """Ages of the oldest cohort."""
        return int(self.since.max(initial=-1)) + 1

    def by_code(self, values: Ints, customers: int) -> Ints:
        """Values of these customers in an array of all."""
        found = np.full(customers, _NEVER, dtype=np.int64)
        found[self.person] = values
        return found

    def members(self, places: int) -> Ints:
        """Customers by cohort and number of periods since their first."""
        return np.bincount(self.row + self.since, minlength=places)


def retained(active: Cells, cohorts: Cohorts, seen: Seen, kind: str, customers: int, places: int) -> Ints:
    """Customers by cohort and age who were active at that age, which lies in a complete period.

    "rolling": those active at every age up to it. "unbounded": here each customer is counted once, at his last age; see `or_later`.
    """
    begin = cohorts.row - cohorts.first
    if kind == "unbounded":
        last = np.minimum(active.period[active.last], seen.over)
        return np.bincount((begin + last)[last >= cohorts.first], minlength=places)
    slots = cohorts.by_code(begin, customers)[active.customer]
    slots += active.period
    chosen = active.period <= seen.over
    if kind == "rolling":  # a customer's n-th cell has the age n exactly where all ages before it have cells too
        starts, sizes = runs(active)
        chosen &= np.arange(len(active)) - active.period == np.repeat(starts - cohorts.first, sizes)
    return np.bincount(slots if chosen.all() else slots[chosen], minlength=places)


def added(cells: Cells, values: Ints, cohorts: Cohorts, seen: Seen, customers: int, places: int) -> tuple[Ints, Ints]:
    """Sums of values by cohort and age, and sums at age 0 by cohort and number of periods since the first."""
    first = cohorts.by_code(cohorts.first, customers)[cells.customer]
    begun = cells.period == first
    chosen = (cells.period >= first) & (cells.period <= seen.over)  # refunds before the first purchase have no age
    origin = cohorts.by_code(cohorts.row - cohorts.first, customers)
    slots = origin[cells.customer[chosen]] + cells.period[chosen]
    return grouping.sums(slots, places, values[chosen]), grouping.sums(cohorts.row + cohorts.since, places, values[begun])


def or_later(counts: Ints) -> Ints:
    """At each place of the last axis, what is counted there or after it."""
    return np.asarray(np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1])


def unrolled(counts: Ints) -> Ints:
    """The places of a triangle (the last axis) as a table of cohorts and ages, the oldest cohort first."""
    size = (int(np.sqrt(8 * counts.shape[-1] + 1)) - 1) // 2
    found = np.zeros((*counts.shape[:-1], size, size), dtype=np.int64)
    found[..., *np.tril_indices(size)] = counts
    return found[..., ::-1, :]


def eligible(members: Ints, lag: int) -> Ints:
    """For each age, members (by periods since their first) who were seen through it; `lag` is 1 where the last period is not over."""
    return np.pad(or_later(members)[..., lag:], [(0, 0)] * (members.ndim - 1) + [(0, lag)])


# ---------------------------------------------------------------------------------------------------- repeat purchases

REPEATS = ("all", "followed", "once", "buyers", "repeaters", "purchases", "repeats", "yy", "xy", "xx")
"""What is counted of repeat purchases: buyers of all history, those followed for the longest span and those of them who bought once; then
of the window. After these come, for each span, those followed that long and those of them who bought again."""


def repeats(days: Cells, begin: int, over: int, spans: Sequence[int], *, merge: bool) -> Ints:
    """Counts over cells of customer and day, of all history and of the window that begins on a day.

    Somebody is followed for a span where the day so many days after his first purchase is `over`. The squares are those of clusters: each
    customer has x purchases, of which y = x - 1 are repeat purchases.
    """
    days = days.active
    bought = np.ones(len(days), dtype=np.int64) if merge else days.orders
    starts, sizes = runs(days)
    if len(days) == 0:
        return np.zeros(len(REPEATS) + 2 * len(spans), dtype=np.int64)
    x = np.add.reduceat(np.where(days.period >= begin, bought, 0), starts)
    x = x[x > 0]
    y = x - 1
    window = [len(x), np.count_nonzero(y), x.sum(), y.sum(), y @ y, x @ y, x @ x]
    first = days.period[starts]
    again = np.full(len(starts), _NEVER)
    second = np.flatnonzero(sizes > 1)
    again[second] = days.period[starts[second] + 1]
    again[bought[starts] > 1] = first[bought[starts] > 1]  # twice on one day, where these count apart
    followed = first + max(spans) <= over
    found = [len(starts), np.count_nonzero(followed), np.count_nonzero(followed & (again == _NEVER)), *window]
    for span in spans:
        long_enough = first + span <= over
        found += [np.count_nonzero(long_enough), np.count_nonzero(long_enough & (again <= first + span))]
    return np.array(found, dtype=np.int64)


def returns(cells: Cells, base: int, size: int) -> Ints:
    """Buyers by period, and those of them who bought in the next one."""
    active = cells.active
    counts = [active.period - base, active.period[active.follows] - 1 - base]
    return np.stack([np.bincount(slots, minlength=size) for slots in counts])


# -------------------------------------------------------------------------------------------------------------- habits


def comings(days: Cells, spans: Sequence[int], base: int, size: int) -> Ints:
    """By day, customers who come, and for each span those whose last coming is so many days old today.

    A coming covers the days up to the next one, or as long as the span: each customer covers a day once, so what came less what went, added
    up along the days, is the number of distinct customers.
    """
    until = np.full(len(days), _NEVER)
    same = days.customer[1:] == days.customer[:-1]
    until[:-1][same] = days.period[1:][same]
    found = [np.bincount(days.period - base, minlength=size)]
    for span in spans:
        ends = np.minimum(until, days.period + span) - base
        found.append(np.bincount(ends[ends < size], minlength=size))
    return np.stack(found)


def active_days(days: Cells, begin: int, window: int) -> Ints:
    """Customers by the number of days, from 1 on, that they came since a day."""
    recent = days.take(days.period >= begin)
    _, sizes = runs(recent)
    return np.bincount(sizes - 1, minlength=window)


# ---------------------------------------------------------------------------------------------------------- activation


@dataclass(frozen=True, slots=True)
class Starts:
    """Customers who were seen: the tick of their first row, whether they were followed for the whole span, and activated in it."""

    first: Ints
    eligible: Bools
    activated: Bools


def activations(codes: Ints, ticks: Ints, key: Bools, customers: int, span: int, end: int) -> Starts:
    """Whoever has a key row at most `span` ticks after his first row is activated; the data covers all ticks before `end`."""
    first = np.full(customers, _NEVER)
    np.minimum.at(first, codes, ticks)
    limit = sequences.later(first, span)
    activated = np.zeros(customers, dtype=np.bool_)
    activated[codes[key & (ticks <= limit[codes])]] = True
    there = np.zeros(customers, dtype=np.bool_)
    there[codes] = True
    return Starts(first[there], first[there] < end - span, activated[there])
