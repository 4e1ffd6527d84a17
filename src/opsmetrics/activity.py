"""Who was active when: the common ground of the families that count customers period by period.

Rows of whole customers are folded to cells, one for each customer and period in which he did something (`cells`). What is counted over
cells of disjoint customers adds up.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames, _lines, _output, _parts
from opsmetrics._clock import Clock
from opsmetrics._frames import Column, Ints, Use, Values
from opsmetrics._kernels import calendars, grouping, sequences
from opsmetrics._kernels import cells as kernel
from opsmetrics._kernels import periods as spans
from opsmetrics._kernels.cells import Cells
from opsmetrics._kernels.periods import Periods
from opsmetrics.errors import DataError

Bools: TypeAlias = npt.NDArray[np.bool_]
Period: TypeAlias = Literal["month", "day", "week", "quarter", "year"]
WeekStart: TypeAlias = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Moment: TypeAlias = str | dt.date | dt.datetime | np.datetime64

MOST_PERIODS = 100_000
"""More periods than these are a stray date, or a unit mistaken for another."""

MISSING_CUSTOMER, MISSING_TIME, MISSING_AMOUNT, AFTER = "missing customer", "missing time", "missing amount", "after as_of"


@dataclass(frozen=True, slots=True)
class Observed:
    """What the data covers: all before the tick `end`, the last day being `today`; and how its calendar is cut.

    That the last day is over is `assumed` where nobody said so and the last row lies within it. `columns` has the names of the caller's
    columns by argument.
    """

    clock: Clock
    end: int
    today: int
    text: str
    periods: Periods
    columns: Mapping[str, str]
    assumed: bool = False

    @property
    def last(self) -> int:
        """The number of the period that `today` lies in."""
        return int(self.periods.number(np.array([self.today]))[0])

    @property
    def facts(self) -> dict[str, object]:
        """What a reader should know where a period is complete only because its last day is taken to be over."""
        next_one = int(self.periods.start(np.array([self.last + 1]))[0])
        return {"last_day": "taken to be over"} if self.assumed and next_one == self.today + 1 else {}

    @property
    def over(self) -> int:
        """The number of the last period that is complete: the next one begins when the data ends, or earlier."""
        return self.last if self.clock.midnight(int(self.periods.start(np.array([self.last + 1]))[0])) <= self.end else self.last - 1


@dataclass(frozen=True, slots=True)
class Log:
    """A checked frame, what its columns are used for, and what it covers."""

    source: _parts.Source
    uses: tuple[Use, ...]
    observed: Observed

    @property
    def columns(self) -> dict[str, str]:
        """The columns by argument."""
        return dict(self.observed.columns)


def uses_of(customer: str, time: str, amount: str | None = None, order_id: str | None = None) -> list[Use]:
    """The uses that all questions share."""
    uses = [Use("customer", customer, "key"), Use("time", time, "time"), *_lines.uses_of(order_id)]
    return uses if amount is None else [*uses, Use("amount", amount, "number")]


def params_of(log: Log, length: str | int | None = None, week_start: str | None = None) -> dict[str, object]:
    """The parameters that all results tell."""
    told: dict[str, object] = {"columns": log.columns}
    if length is not None:
        spoken = length if isinstance(length, str) else f"{length}D"
        told |= {"period": spoken, "week_start": week_start if length == "week" else None}
    return told | {"as_of": log.observed.text, "tz": log.observed.clock.local}


def observe(
    argument: str,
    frame: object,
    uses: Sequence[Use],
    *,
    tz: str | None,
    as_of: Moment | None,
    period: object = "day",
    week_start: str = "monday",
    marker: Any = None,
) -> Log:
    """Check a frame, find where its data ends, and cut the calendar."""
    length = period_of("period", period)
    _checks.choice("week_start", week_start, spans.WEEKDAYS)
    moment, assumed = None if as_of is None else _checks.moment("as_of", as_of), False
    source = _parts.read(argument, frame, uses, tz=tz, marker=marker)
    clock = source.clock
    if moment is None:
        time = next(use for use in uses if use.role == "time")
        last = _last_tick(argument, frame, time, clock)
        today = int(clock.days(np.array([last]))[0])
        assumed = last != clock.midnight(today)  # stamps at midnight are days
        end, text = clock.midnight(today + 1), dt.date.fromordinal(today + _EPOCH).isoformat()
    else:
        today, end, text = clock.day_of("as_of", moment), clock.end("as_of", moment), moment.text
    cut = Periods.of(length, week_start) if isinstance(length, str) else Periods(days=length, anchor=today + 1)
    return Log(source, tuple(uses), Observed(clock, end, today, text, cut, {use.argument: use.column for use in uses}, assumed))


_EPOCH = dt.date(1970, 1, 1).toordinal()


def period_of(argument: str, given: object) -> str | int:
    """A period of the calendar by its name, or a whole number of days."""
    if isinstance(given, str) and given in spans.WORDS:
        return given
    if isinstance(given, str) and not any(letter.isdigit() for letter in given):
        return _checks.choice(argument, given, spans.WORDS)
    return _checks.days(argument, given) or _checks.choice(argument, given, spans.WORDS)


def _last_tick(argument: str, frame: object, time: Use, clock: Clock) -> int:
    """The tick of the last row."""
    native = _frames.wrap(argument, frame)
    last = _frames.latest(native, time)
    if last == calendars.MISSING:
        _checks.not_empty(argument, _frames.count(native))
        raise DataError(f"time={time.column!r} is null in every row; at least one row needs a time.", code="data.time")
    _refuse_no_date(last, last, clock, time.column)
    return last


# ---------------------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a part that count, as parallel arrays, and how many do not, by reason.

    There are the customer's code, the tick, the money where it is known (in millionths), and the place in the part. Lines with the id of an
    order are one row: the first of them, with the money of all.
    """

    codes: Ints
    ticks: Ints
    units: Ints | None
    place: Ints | None
    dropped: Counter[str]

    def values(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The values of another column of the part."""
        return column if self.place is None else column[self.place]


def usable(part: _parts.Part, observed: Observed, *, apart: bool = False) -> Rows:
    """The rows with a customer, a time up to the end of the data and, where money is asked for, an amount.

    The money of customers who are told `apart` is never added up, so that only each one's sum has to fit 64 bits.
    """
    codes, ticks, amounts, lines = part.codes, part["time"], part.columns.get("amount"), part.columns.get("order_id")
    dropped: Counter[str] = Counter()
    keep = np.ones(part.rows, dtype=np.bool_)
    reasons: dict[str, Callable[[], Bools | None]] = {
        MISSING_CUSTOMER: lambda: codes < 0 if codes.min() < 0 else None,
        MISSING_TIME: lambda: ticks == calendars.MISSING if ticks.min() == calendars.MISSING else None,
        MISSING_AMOUNT: lambda: None if amounts is None or not np.isnan(amounts.min()) else np.isnan(amounts),
        AFTER: lambda: ticks >= observed.end if ticks.max() >= observed.end else None,
        _lines.MISSING_ORDER: lambda: None if lines is None or lines.min() >= 0 else lines < 0,
    }
    for reason, find in reasons.items() if part.rows else ():
        if (applies := find()) is not None and (rows := int(np.count_nonzero(applies & keep))):
            dropped[reason] = rows
            keep &= ~applies
    place = np.flatnonzero(keep) if dropped else None
    if place is not None:
        codes, ticks, amounts = codes[place], ticks[place], None if amounts is None else amounts[place]
    if ticks.size:
        _refuse_no_date(int(ticks.min()), int(ticks.max()), observed.clock, observed.columns["time"])
    if amounts is not None:
        _refuse_astronomic(observed.columns["amount"], amounts, codes if apart else None)
    found = Rows(codes, ticks, None if amounts is None else grouping.micros(amounts), place, dropped)
    return found if lines is None else _added(found, _lines.orders_of(codes, found.values(lines)))


def _added(lines: Rows, order: Ints) -> Rows:
    """The lines of each order as one row."""
    first = sequences.firsts(order, lines.ticks)
    units = None if lines.units is None else grouping.sums(order, len(first), lines.units)
    return Rows(lines.codes[first], lines.ticks[first], units, first if lines.place is None else lines.place[first], lines.dropped)


def cells(rows: Rows, observed: Observed, customers: int) -> Cells:
    """The cells of some rows: one for each customer and period."""
    numbers = observed.periods.number(observed.clock.days(rows.ticks))
    if numbers.size:
        _refuse_no_period(int(numbers.min()), observed)
    return kernel.cells(rows.codes, numbers, customers, rows.units)


def _refuse_no_period(earliest: int, observed: Observed) -> None:
    """Too many periods, and periods that begin before there are dates."""
    starts = observed.periods.start(np.array([earliest, observed.last]))
    if observed.last - earliest >= MOST_PERIODS:
        first, last = (str(np.datetime64(int(day), "D")) for day in starts)
        raise DataError(
            f"time={observed.columns['time']!r} spans {observed.last - earliest + 1:,} periods, from {first} to {last}; {MOST_PERIODS:,} "
            "are the most. Check for stray dates, or choose a longer period.",
            code="data.time",
        )
    if starts[0] + _EPOCH < 1:
        raise DataError(
            f"time={observed.columns['time']!r} lies in a period that begins before the year 1, where the calendar has no dates; choose a "
            "shorter period, or check for stray dates.",
            code="data.time",
        )


def first_values(rows: Rows, column: npt.NDArray[Any], customers: int) -> Ints:
    """For each customer, the code of a column in his first row: the earliest, and among equals the first of the input; -1 for nobody's."""
    found = np.full(customers, -1, dtype=np.int64)
    first = sequences.firsts(rows.codes, rows.ticks)
    found[rows.codes[first]] = rows.values(column)[first]
    return found


def groups_of(part: _parts.Part, rows: Rows, argument: str) -> tuple[Ints, Values]:
    """The group of each customer by his first row, those without a value in the last one; and the names of all others."""
    names = part.labels[argument]
    first = first_values(rows, part[argument], len(part.customers))
    return np.where(first < 0, len(names), first), names


def _refuse_no_date(first: int, last: int, clock: Clock, column: str) -> None:
    if not clock.covers(first, last):
        raise DataError(
            f"time={column!r} reaches beyond the years 1 to 9999 of the calendar; check its unit, and drop infinite times.",
            code="data.time",
        )


def _refuse_astronomic(column: str, amounts: _frames.Floats, codes: Ints | None) -> None:
    """Infinite amounts, and amounts whose sum, over all or by the codes of customers, whole millionths in 64 bits cannot hold."""
    low, high = grouping.extremes(amounts)
    largest = high if high >= -low else low
    if abs(largest) * amounts.size < grouping.LARGEST:
        return
    sizes = np.abs(amounts)
    if not np.isfinite(largest) or (sizes.sum() if codes is None else np.bincount(codes, sizes).max()) >= grouping.LARGEST:
        whose = "" if codes is None else "those of one customer must "
        raise DataError(
            f"amount={column!r} reaches {largest:g}; amounts must be finite, and {whose}add up to less than {grouping.LARGEST:.3g}. Remove "
            "the infinite ones or use a larger unit of money.",
            code="data.amount",
        )


# --------------------------------------------------------------------------------------------------- sums by group


@dataclass(frozen=True, slots=True)
class Tally:
    """Whole numbers by measure, group and place (a period, an age), the places beginning with number `base`; and the names of the groups.

    The last group is that of customers without a value; without groups there is one.
    """

    base: int
    counts: Ints
    dropped: Counter[str]
    groups: Values | None = None


def add_up(tallies: Sequence[Tally], group: Use | None = None) -> Tally:
    """The tallies of disjoint customers, added place by place and group by group."""
    filled = [tally for tally in tallies if tally.counts.size]
    dropped = sum((tally.dropped for tally in tallies), Counter[str]())
    if not filled:
        return Tally(0, np.zeros((tallies[0].counts.shape[0] if tallies else 0, 1, 0), dtype=np.int64), dropped)
    base = min(tally.base for tally in filled)
    size = max(tally.base + tally.counts.shape[2] for tally in filled) - base
    names, places = _joined_groups(filled, group)
    if sum(float(np.abs(tally.counts.astype(np.float64)).sum()) for tally in filled) >= grouping.LARGEST_WHOLE:
        raise DataError("amount= adds up to more than exact numbers hold; use a larger unit of money.", code="data.amount")
    total = np.zeros((filled[0].counts.shape[0], 1 if names is None else len(names) + 1, size), dtype=np.int64)
    for tally, rows in zip(filled, places, strict=True):
        begin = tally.base - base
        total[:, rows, begin : begin + tally.counts.shape[2]] += tally.counts
    return Tally(base, total, dropped, names)


def _joined_groups(tallies: Sequence[Tally], use: Use | None) -> tuple[Values | None, list[Ints]]:
    """One list of groups, and where in it those of each tally lie, the group without a value at the end."""
    if use is None:
        return None, [np.zeros(1, dtype=np.int64) for _ in tallies]
    sides = [(np.arange(len(tally.groups)), tally.groups) for tally in tallies if tally.groups is not None]
    codes, names = _frames.together(sides, use)
    ends = np.cumsum([len(own) for own, _ in sides])[:-1]
    return names, [np.append(own, len(names)) for own in np.split(codes, ends)]


def group_column(names: Values, positions: Ints) -> Column:
    """The names of groups by position; null for those without a value."""
    return _output.take_or_null(names, np.where(positions == len(names), -1, positions))


def by_size(counts: Ints, names: Values) -> Ints:
    """The groups of anybody, those with most new customers (the second measure) first, then by value; those without a value last."""
    there = np.flatnonzero(counts.any(axis=(0, 2)))
    rank = np.append(_frames.rank(names, "column"), len(names))
    return there[np.lexsort((rank[there], -counts[1].sum(axis=1)[there], there == len(names)))]


def demand_activity(counts: Ints, observed: Observed, columns: dict[str, str]) -> None:
    """Somebody did something before the data ended."""
    if not counts.any():
        raise DataError(
            f"as_of={observed.text!r} leaves no activity in {columns['time']!r}; choose a later as_of, or check the columns.",
            code="data.no_activity",
        )
