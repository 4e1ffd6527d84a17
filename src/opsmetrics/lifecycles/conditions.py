"""Rules of stages: conditions on columns, what holds them, and which rule leaves nothing for another."""

from __future__ import annotations

import datetime as dt
import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

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

    def contains(self, other: Condition) -> bool:
        """Whether all that hold the other condition hold this one."""
        low, high = self.ends
        if isinstance(other, Span):
            return low <= other.ends[0] and other.ends[1] <= high
        return isinstance(other, AnyOf) and all(_is_number(value) and low <= value <= high for value in other.values)


@dataclass(frozen=True, slots=True)
class Dates:
    """Times from `first` to `last`: a day is included to its local end, an instant itself."""

    first: _checks.Moment | None
    last: _checks.Moment | None

    def contains(self, other: Condition) -> bool:
        """Whether all that hold the other condition hold this one; of days only, for an instant may lie in any zone."""
        if not isinstance(other, Dates):
            return False
        begins = self.first is None or (other.first is not None and _not_after(self.first, other.first))
        return begins and (self.last is None or (other.last is not None and _not_after(other.last, self.last)))


def _not_after(one: _checks.Moment, other: _checks.Moment) -> bool:
    """Whether one day is the other or before it."""
    return one.day is not None and other.day is not None and one.day <= other.day


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of a few values."""

    values: tuple[Any, ...]

    def contains(self, other: Condition) -> bool:
        """Whether all that hold the other condition hold this one."""
        if isinstance(other, Span):
            return other.low is not None and other.low == other.high and other.low in self.values
        return isinstance(other, AnyOf) and set(other.values) <= set(self.values)


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


def contains(earlier: Rule, later: Rule) -> bool:
    """Whether all that hold the later rule hold the earlier one."""
    return all(column in later and condition.contains(later[column]) for column, condition in earlier.items())


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
        ticks = _frames.values_of(frame[column], use)
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
    values = _frames.values_of(frame[column], Use("rules", column, "number"))
    low, high = condition.ends
    return np.asarray((values >= low) & (values <= high), dtype=np.bool_)
