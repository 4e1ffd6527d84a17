"""Checks of arguments. Each returns the clean value or raises the sentence that says what to do instead."""

from __future__ import annotations

import datetime as dt
import itertools
import numbers
import re
import zoneinfo
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeGuard, TypeVar

import numpy as np

from opsmetrics.errors import ColumnError, DataError, ParameterError, nearest

WordT = TypeVar("WordT", bound=str)
_DAYS_IN = {"D": 1, "W": 7}
_EPOCH = dt.date(1970, 1, 1)
_NUMPY_UNITS = {"W": "w", "D": "d", "h": "h", "m": "min", "s": "s", "ms": "ms", "us": "us", "ns": "ns"}
_DAY, _NUMPY_DAY = dt.timedelta(days=1), np.timedelta64(1, "D")
_HUGE = 1e15
_NANOSECONDS_IN = {
    "d": 86_400_000_000_000, "h": 3_600_000_000_000, "min": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1,
    "w": 7 * 86_400_000_000_000,
}  # fmt: skip


def is_number(value: Any, kind: type) -> bool:
    """Whether a value is a number of this kind; booleans are not numbers here, nor are spans of time, which numpy counts among them."""
    return isinstance(value, kind) and not isinstance(value, (bool, np.bool_, np.timedelta64))


def choice(argument: str, value: object, allowed: Collection[WordT]) -> WordT:
    """One of a few words."""
    for word in allowed:
        if isinstance(value, str) and value == word:
            return word
    names = ", ".join(repr(a) for a in allowed)
    raise ParameterError(f"{argument}={value!r} is not known; it is one of {names}.{nearest(value, allowed)}", code=f"parameter.{argument}")


def flag(argument: str, value: object) -> bool:
    """True or False."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ParameterError(f"{argument}={short(value)} must be True or False.", code=f"parameter.{argument}")


def whole_number(argument: str, value: Any, low: int, high: int, *, hint: str = "") -> int:
    """An integer inside [low, high]; booleans and 5.5 are not integers."""
    if is_number(value, numbers.Integral) and low <= int(value) <= high:
        return int(value)
    raise ParameterError(
        f"{argument}={value!r} is out of range; it must be a whole number from {low} to {high}.{hint}",
        code=f"parameter.{argument}",
    )


def number(argument: str, given: Any, *, place: str | None = None) -> int | float:
    """A real, finite number; whole numbers stay whole."""
    value = _real(given)
    if is_number(value, numbers.Real) and -_HUGE <= value <= _HUGE:
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    raise ParameterError(f"{place or argument}={given!r} must be a finite number, at most 1e15 in size.", code=f"parameter.{argument}")


def _real(value: Any) -> Any:
    """A decimal, or an array of one number and no dimension, as that number."""
    if isinstance(value, Decimal) and value.is_finite():
        return float(value)
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def fraction(argument: str, given: Any) -> float:
    """A number strictly between 0 and 1, and not so near to an end that floats cannot tell them apart."""
    value = _real(given)
    if is_number(value, numbers.Real) and 1e-12 < value < 1 - 1e-12:
        return float(value)
    hint = f" Did you mean {value / 100:g}?" if is_number(value, numbers.Real) and 2 <= value < 100 else ""
    raise ParameterError(f"{argument}={given!r} must lie between 0 and 1.{hint}", code=f"parameter.{argument}")


def increasing(argument: str, values: object) -> tuple[float, ...]:
    """At least one number, each above the one before."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ParameterError(f"{argument}={values!r} must be a list of numbers.", code="parameter.thresholds")
    clean = tuple(float(number("thresholds", v, place=argument)) for v in values)
    if not clean:
        raise ParameterError(f"{argument}=[] is empty; give at least one number.", code="parameter.thresholds")
    for before, after in itertools.pairwise(clean):
        if not before < after:
            raise ParameterError(
                f"{argument}={list(clean)} must increase strictly; {after:g} follows {before:g}. Did you mean {sorted(set(clean))}?",
                code="parameter.thresholds",
            )
    return clean


def listed(argument: str, values: object) -> list[Any]:
    """A list of values, not a text and not one value."""
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping)) and getattr(values, "ndim", 1) > 0:
        return list(values)
    raise ParameterError(f"{argument}={values!r} must be a list.", code=f"parameter.{argument}")


def order_of(order: Sequence[object], labels: Sequence[object], reserved: Collection[str] = ()) -> None:
    """Each label once, and no name that the result needs for itself."""
    if left_out := sorted(str(label) for label in labels if label not in order):
        known = sorted(map(str, labels))
        raise ParameterError(f"order={order} leaves out {left_out}; name every label, {known}.", code="parameter.order")
    if repeated := sorted({str(name) for name in order if order.count(name) > 1}):
        raise ParameterError(f"order={order} repeats {repeated}; name every label once.", code="parameter.order")
    if taken := [name for name in order if name in reserved]:
        raise ParameterError(f"order={order} has {taken}, which the result names itself; leave it out.", code="parameter.order")


def named(argument: str, values: object, names: Sequence[str]) -> Mapping[str, object]:
    """A mapping with exactly these keys."""
    if not isinstance(values, Mapping):
        raise ParameterError(f"{argument}={values!r} must be a mapping with the keys {list(names)}.", code=f"parameter.{argument}")
    for key in values:
        if key not in names:
            raise ParameterError(
                f"{argument} has the key {key!r}; its keys are {list(names)}.{nearest(key, names)}", code=f"parameter.{argument}"
            )
    missing = [n for n in names if n not in values]
    if missing:
        raise ParameterError(f"{argument} has no entry for {missing}; it needs all of {list(names)}.", code=f"parameter.{argument}")
    return values


def is_word(value: object) -> TypeGuard[str]:
    """Whether a value is a text that is not empty, and that can be written: no half of a surrogate pair."""
    return isinstance(value, str) and bool(value.strip()) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def word(argument: str, value: object) -> str:
    """A name: a text that is not empty."""
    if is_word(value):
        return value
    raise ParameterError(f"{argument}={value!r} must be a name, a text that is not empty.", code=f"parameter.{argument}")


def names(argument: str, given: str | Mapping[str, str], known: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Names in one of the languages known, or the caller's own for each English one."""
    if isinstance(given, str):
        return tuple(known[choice(argument, given, tuple(known))])
    own = named(argument, given, known["en"])
    return tuple(word(argument, own[name]) for name in known["en"])


def free(argument: str, column: object, taken: Collection[object]) -> None:
    """A column whose name the result does not need itself."""
    if isinstance(column, str) and column in taken:
        raise ColumnError(f"{argument}={column!r} is also a column of the result; rename it first.", code="column.reserved")


def generator(argument: str, value: Any) -> np.random.Generator:
    """A random generator, from a seed or as it is (SPEC 7)."""
    seed = value is None or (is_number(value, numbers.Integral) and value >= 0)
    if seed or isinstance(value, np.random.Generator):
        return np.random.default_rng(value)
    raise ParameterError(
        f"{argument}={value!r} is no seed; give a whole number of 0 or more, or a numpy Generator.", code=f"parameter.{argument}"
    )


def zone(argument: str, value: str) -> dt.tzinfo:
    """A time zone: a name of the IANA database, or a fixed offset such as "+08:00" or "UTC+08:00"."""
    try:
        if match := re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{2}):?([0-5]\d)", value):
            offset = dt.timedelta(hours=int(match[2]), minutes=int(match[3]))
            return dt.timezone(-offset if match[1] == "-" else offset)
        return zoneinfo.ZoneInfo(value if value != "localtime" else "")  # "localtime" is another zone on every machine
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        hint = nearest(value, zoneinfo.available_timezones())
        raise ParameterError(
            f"{argument}={value!r} is not a time zone; give an IANA name such as 'Asia/Shanghai', or an offset such as '+08:00'.{hint}",
            code=f"parameter.{argument}",
        ) from None


def is_named_zone(name: str) -> bool:
    """Whether a zone has a name in the IANA database, and is no mere offset."""
    return isinstance(zone("tz", name), zoneinfo.ZoneInfo)


def is_zone(name: str) -> bool:
    """Whether a name is that of a time zone."""
    try:
        return zone("tz", name) is not None
    except ParameterError:
        return False


def days(argument: str, value: Any, most: int = 1_000_000) -> int | None:
    """A span of whole days: 90, "90D", "12W" or a timedelta."""
    if value is None:
        return None
    count: int | None = None
    if isinstance(value, np.timedelta64):
        fixed = np.datetime_data(value)[0] not in {"Y", "M", "generic"} and not np.isnat(value)
        count = int(value // _NUMPY_DAY) if fixed and value % _NUMPY_DAY == np.timedelta64(0, "D") else None
    elif isinstance(value, dt.timedelta) and value == value:
        count = value // _DAY if value % _DAY == dt.timedelta(0) else None
    elif is_number(value, numbers.Integral):
        count = int(value)
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(\d{1,9})\s*([DWdw])\s*", value)):
        count = int(match[1]) * _DAYS_IN[match[2].upper()]
    if count is not None and count > most:
        raise ParameterError(
            f"{argument}={short(value)} is too long; {most:,} days ({most / 365.25:,.0f} years) are the most: 90, '90D', '12W' or a "
            "timedelta of days.",
            code=f"parameter.{argument}",
        )
    if count is None or count < 1:
        raise ParameterError(
            f"{argument}={short(value)} must be a whole number of days, one or more: 90, '90D', '12W' or a timedelta of days.",
            code=f"parameter.{argument}",
        )
    return count


def duration(argument: str, value: Any, *, least: int = 0, days: bool = False) -> int | None:
    """A span of elapsed time in nanoseconds: "7D", "30min", "1h30min", a timedelta; a bare number is days or has no unit and is refused."""
    if value is None:
        return None
    span: int | None = None
    if isinstance(value, np.timedelta64):
        unit, step = np.datetime_data(value)
        if unit in _NUMPY_UNITS and not np.isnat(value):  # months and years have no length
            span = int(value.astype(np.int64)) * step * _NANOSECONDS_IN[_NUMPY_UNITS[unit]]
    elif isinstance(value, dt.timedelta) and value == value:
        span = _nanoseconds(value) + int(getattr(value, "nanoseconds", 0))
    elif days and is_number(value, numbers.Integral):
        span = int(value) * _NANOSECONDS_IN["d"]
    elif isinstance(value, str) and re.fullmatch(r"(\s*\d{1,18}(\.\d{1,18})?\s*[A-Za-z]+)+\s*", value):
        parts = [
            (Fraction(number), _NANOSECONDS_IN.get(unit.lower())) for number, unit in re.findall(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", value)
        ]
        if all(unit is not None for _, unit in parts):
            span = int(sum(number * (unit or 0) for number, unit in parts))
    if span is None or not least <= span < 10**22:
        hint = f" Did you mean '{value}D'?" if type(value) is int and value > 0 else ""
        raise ParameterError(
            f"{argument}={short(value)} is no span of time{' of more than nothing' if least else ''}; write it with its unit, as in '7D', "
            f"'30min' or '45s', or give a timedelta that is not negative.{hint}",
            code=f"parameter.{argument}",
        )
    return span


def spoken(nanoseconds: int) -> str:
    """A span as it would be written: 7D, 1h30min."""
    words, rest = [], nanoseconds
    for unit, name in (("d", "D"), ("h", "h"), ("min", "min"), ("s", "s"), ("ms", "ms"), ("us", "us"), ("ns", "ns")):
        count, rest = divmod(rest, _NANOSECONDS_IN[unit])
        words += [f"{count}{name}"] if count else []
    return "".join(words) or "0s"


def _nanoseconds(value: dt.timedelta) -> int:
    return ((value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds) * 1_000


def short(value: object) -> str:
    """A value as it was given, cut where it is very long."""
    shown = repr(value)
    return shown if len(shown) <= 200 else f"{shown[:200]}..."


@dataclass(frozen=True, slots=True)
class Moment:
    """A calendar day, or an instant in nanoseconds since 1970 (UTC where it is aware, the local clock where it is not)."""

    day: dt.date | None
    nanoseconds: int | None
    aware: bool
    text: str


def moment(argument: str, value: object) -> Moment:
    """Read a point in time: a day ("2026-11-23", `date`) or an instant ("2026-11-23 18:00", `datetime`)."""
    given = value
    if isinstance(value, str):
        value = from_iso(argument, value)
    if isinstance(value, np.datetime64) and not np.isnat(value):
        unit = np.datetime_data(value)[0]
        if unit == "D":
            value = value.item()
        elif unit not in {"Y", "M", "W", "generic"}:
            second = value.astype("datetime64[s]")  # nanoseconds alone would wrap around before 1678 and after 2262
            rest = (value - second).astype("timedelta64[ns]")
            return Moment(None, int(second.astype(np.int64)) * 10**9 + int(rest.astype(np.int64)), aware=False, text=str(given))
    if isinstance(value, dt.datetime) and value == value:  # NaT is the one datetime that differs from itself
        aware = value.utcoffset() is not None
        since = value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC if aware else None)
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        return Moment(None, micros * 1_000 + int(getattr(value, "nanosecond", 0)), aware=aware, text=value.isoformat(sep=" "))
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return Moment(value, None, aware=False, text=value.isoformat())
    raise ParameterError(
        f"{argument}={given!r} is not a point in time; give a day such as '2026-11-23', or an instant such as '2026-11-23 18:00'.",
        code=f"parameter.{argument}",
    )


def from_iso(argument: str, text: str) -> dt.date | dt.datetime:
    """Days stay days: '2026-11-23' is the whole day, not its midnight."""
    clean = text.strip()
    try:
        return dt.date.fromisoformat(clean) if len(clean) <= len("2026-11-23") else dt.datetime.fromisoformat(clean)
    except ValueError:
        raise ParameterError(
            f"{argument}={text!r} is not an ISO 8601 date or time; write it as '2026-11-23' or '2026-11-23 18:00'.",
            code=f"parameter.{argument}",
        ) from None


def day_number(day: dt.date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


def not_empty(argument: str, rows: int) -> int:
    """A frame with at least one row."""
    if rows == 0:
        raise DataError(f"{argument} has no rows; at least one is needed.", code="data.empty")
    return rows
