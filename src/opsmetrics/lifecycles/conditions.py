"""Rules of stages: conditions on columns, what holds them, and which rule leaves nothing for another."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard, cast

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames, _patterns
from opsmetrics._frames import Use
from opsmetrics._kernels import calendars
from opsmetrics.errors import ColumnError, ParameterError

_HUGE = 1e15
Bools = npt.NDArray[np.bool_]

Given: TypeAlias = (
    str | int | float | bool | Sequence[str | int | float] | tuple[float | None, float | None] | tuple[dt.date | None, dt.date | None]
)
"""A value, a list of values, or a pair of the lowest and the highest number, or of the first and last date; None where an end is open."""


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from `low` to `high`, both included."""

    low: float | None
    high: float | None

    @property
    def ends(self) -> tuple[float, float]:
        """The ends, infinite where they are open."""
        return (-math.inf if self.low is None else self.low), (math.inf if self.high is None else self.high)

    def accepts(self, value: object) -> bool:
        """Whether a value holds this condition."""
        return _is_real(value) and self.ends[0] <= value <= self.ends[1]

    def edges(self) -> Iterator[object]:
        """Values of both kinds on either side of its ends: those that hold it, and those that do not."""
        for end in self.ends:
            yield from (end, math.nextafter(end, -math.inf), math.nextafter(end, math.inf))


@dataclass(frozen=True, slots=True)
class Dates:
    """Times from `first` to `last`: a day is included to its local end, an instant itself."""

    first: _checks.Moment | None
    last: _checks.Moment | None

    @property
    def whole_days(self) -> bool:
        """Whether no end is an instant."""
        return all(end is None or end.day is not None for end in (self.first, self.last))

    @property
    def ends(self) -> tuple[float, float]:
        """The numbers of the first and the last day; none is included of which an instant may cut a part."""
        first = -math.inf if self.first is None else math.inf if self.first.day is None else self.first.day.toordinal()
        last = math.inf if self.last is None else -math.inf if self.last.day is None else self.last.day.toordinal()
        return first, last

    def accepts(self, value: object) -> bool:
        """Whether all of a day holds this condition."""
        return isinstance(value, _Day) and self.ends[0] <= value.number <= self.ends[1]

    def edges(self) -> Iterator[object]:
        """Days of both kinds on either side of its ends."""
        for end in self.ends:
            yield from (_Day(end), _Day(end - 1), _Day(end + 1))


@dataclass(frozen=True, slots=True)
class _Day:
    """A day by its number, which is no number of the caller's."""

    number: float


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of a few values."""

    values: tuple[Any, ...]

    def accepts(self, value: object) -> bool:
        """Whether a value holds this condition."""
        return value in self.values

    def edges(self) -> Iterator[object]:
        """Its values, and the numbers beside them."""
        for value in self.values:
            yield value
            if _is_real(value):
                yield from (math.nextafter(value, -math.inf), math.nextafter(value, math.inf))


Condition: TypeAlias = Span | Dates | AnyOf
Rule: TypeAlias = Mapping[str, Condition]


def read(stage: str, given: object) -> dict[str, Condition]:
    """A rule as the caller wrote it: a mapping of columns to conditions, all of which must hold."""
    if not isinstance(given, Mapping) or len(given) == 0:
        raise ParameterError(
            f"rules of {stage!r} has {given!r}; a rule is a mapping of columns to conditions, such as {{'orders': (2, 3)}}.",
            code="parameter.rules",
        )
    return {_name(stage, column): _condition(stage, column, condition) for column, condition in given.items()}


def _name(stage: str, column: object) -> str:
    if isinstance(column, str):
        return column
    raise ColumnError(f"rules of {stage!r} looks at {column!r}, which is no name of a column; a name is a text.", code="column.name")


def _condition(stage: str, column: str, given: Any) -> Condition:
    if isinstance(given, tuple) and len(given) == 2 and given != (None, None) and all(map(_is_date, given)):
        return _dates(stage, column, given)
    if isinstance(given, tuple):
        if len(given) != 2 or not all(end is None or _is_number(end) for end in given):
            raise ParameterError(
                f"rules of {stage!r} has {column!r}: {given!r}; a pair is the lowest and the highest number, or two dates, None where one "
                "is open. Write several values as a list.",
                code="parameter.rules",
            )
        low, high = (None if end is None else _plain(end) for end in given)
        if low is not None and high is not None and low > high:
            raise ParameterError(
                f"rules of {stage!r} has {column!r}: {given!r}, which no number can hold; swap the two.", code="parameter.rules"
            )
        return Span(low, high)
    values = tuple(map(_patterns.word, given if isinstance(given, (list, set, frozenset)) else (given,)))
    if not values or not all(isinstance(value, (str, bool)) or _is_number(value) for value in values):
        raise ParameterError(
            f"rules of {stage!r} has {column!r}: {given!r}; a condition is a value, a list of values, or a pair (low, high).",
            code="parameter.rules",
        )
    return AnyOf(tuple(value if isinstance(value, (str, bool)) else _plain(value) for value in values))


def _is_date(end: object) -> bool:
    """Whether this may be an end of a pair of dates."""
    return end is None or isinstance(end, (dt.date, np.datetime64))


def _dates(stage: str, column: str, given: tuple[Any, Any]) -> Dates:
    """A pair of dates, in their order."""
    first, last = (None if end is None else _checks.moment("rules", end) for end in given)
    if first is not None and last is not None and first.day is not None and last.day is not None and first.day > last.day:
        raise ParameterError(
            f"rules of {stage!r} has {column!r}: from {first.text} to {last.text}, which no time can hold; swap the two.",
            code="parameter.rules",
        )
    return Dates(first, last)


def _is_number(value: object) -> bool:
    """A number that floats can tell from the next one; true and false are none."""
    return _checks.is_number(value, numbers.Real) and abs(cast("float", value)) <= _HUGE


def _is_real(value: object) -> TypeGuard[float]:
    """A number, also an infinite one."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plain(number: Any) -> float:
    """A number as JSON can write it; whole numbers stay whole."""
    return int(number) if isinstance(number, numbers.Integral) else float(number)


def written(condition: Condition) -> object:
    """A condition as JSON has it: a list of values, or a mapping with the ends of a span."""
    if isinstance(condition, Dates):
        return {"first": condition.first and condition.first.text, "last": condition.last and condition.last.text}
    return {"low": condition.low, "high": condition.high} if isinstance(condition, Span) else list(condition.values)


def unwritten(given: object) -> object:
    """What `written` wrote, as a caller writes it."""
    if isinstance(given, Mapping) and set(given) == {"first", "last"}:
        return tuple(None if end is None else _checks.from_iso("rules", end) for end in (given["first"], given["last"]))
    return (given.get("low"), given.get("high")) if isinstance(given, Mapping) and set(given) == {"low", "high"} else given


def spoken(condition: Condition) -> object:
    """A condition as a caller would write it."""
    if isinstance(condition, Span):
        return condition.low, condition.high
    if isinstance(condition, Dates):
        return condition.first and condition.first.text, condition.last and condition.last.text
    return condition.values[0] if len(condition.values) == 1 else list(condition.values)


def covers(earlier: Sequence[Rule], later: Rule) -> bool:
    """Whether all that could hold the later rule hold one of the earlier ones.

    Rules are boxes, and a column that a rule does not look at may be missing; so an earlier rule counts only if it looks at no other
    columns. Whatever a column lets through differs at the edges of its conditions alone, and each column's values of all edges are tried.
    Where it looks for an instant, which may lie in any zone, nothing is known to cover it.
    """
    unclear = {column for column, condition in later.items() if isinstance(condition, Dates) and not condition.whole_days}
    rivals = [rule for rule in earlier if rule.keys() <= later.keys() - unclear]

    @functools.cache
    def holds(columns: tuple[str, ...], left: frozenset[int]) -> bool:
        if not left or not columns:
            return bool(left)
        column, *rest = columns
        own = {number: rivals[number][column] for number in left if column in rivals[number]}
        edges = itertools.chain(later[column].edges(), *(condition.edges() for condition in own.values()))
        kept = {
            left - {number for number, condition in own.items() if not condition.accepts(value)}
            for value in edges
            if later[column].accepts(value)
        }
        return all(holds(tuple(rest), remaining) for remaining in kept)

    return holds(tuple(later.keys() - unclear), frozenset(range(len(rivals))))


def holding(frame: _frames.Eager, rules: Sequence[Rule]) -> Bools:
    """Which customers hold any of the rules; a missing value holds no condition. Without a rule everybody does."""
    if not rules:
        return np.ones(len(frame), dtype=np.bool_)
    kinds = _frames.kinds(frame)
    found = np.zeros(len(frame), dtype=np.bool_)
    for rule in rules:
        mask = np.ones(len(frame), dtype=np.bool_)
        for column, condition in rule.items():
            mask &= _holds(frame, column, condition, kinds)
        found |= mask
    return found


def _holds(frame: _frames.Eager, column: str, condition: Condition, kinds: Mapping[str, str]) -> Bools:
    """Which customers hold one condition."""
    if isinstance(condition, Dates):
        use = Use("rules", column, "time")
        clock = _frames.clock_of(_frames.check(frame, [use])[column], use, None, None)
        ticks = _frames.values_in(frame, use)
        held = ticks != calendars.MISSING
        if condition.first is not None:
            held &= ticks >= clock.start("rules", condition.first)
        if condition.last is not None:
            held &= ticks < clock.end("rules", condition.last)
        return np.asarray(held, dtype=np.bool_)
    if isinstance(condition, AnyOf):
        return _frames.among(frame[column], _patterns.values("rules", column, list(condition.values), kinds))
    if kinds[column] not in {"whole", "real"}:
        raise ColumnError(
            f"rules gives {column!r} a lowest or highest number, but the column holds no numbers; give values, or a column of numbers.",
            code="column.type",
        )
    values = _frames.values_in(frame, Use("rules", column, "number"))
    low, high = condition.ends
    return np.asarray((values >= low) & (values <= high), dtype=np.bool_)
