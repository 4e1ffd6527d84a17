"""Checks of arguments. Each returns the clean value or raises the sentence that says what to do instead."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import numbers
import re
import zoneinfo
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from opsmetrics.errors import DataError, ParameterError, nearest

WordT = TypeVar("WordT", bound=str)
_DAYS_IN = {"D": 1, "W": 7}
_EPOCH = dt.date(1970, 1, 1)


def _is_number(value: Any, kind: type) -> bool:
    """Whether a value is a number of this kind; booleans are not numbers here."""
    return isinstance(value, kind) and not isinstance(value, (bool, np.bool_))


def choice(argument: str, value: object, allowed: Collection[WordT]) -> WordT:
    """One of a few words."""
    for word in allowed:
        if value == word:
            return word
    names = ", ".join(repr(a) for a in allowed)
    raise ParameterError(f"{argument}={value!r} is not known; it is one of {names}.{nearest(value, allowed)}", code=f"parameter.{argument}")


def whole_number(argument: str, value: Any, low: int, high: int, *, hint: str = "") -> int:
    """An integer inside [low, high]; booleans and 5.5 are not integers."""
    if _is_number(value, numbers.Integral) and low <= int(value) <= high:
        return int(value)
    raise ParameterError(
        f"{argument}={value!r} is out of range; it must be a whole number from {low} to {high}.{hint}",
        code=f"parameter.{argument}",
    )


def number(argument: str, value: Any) -> int | float:
    """A real, finite number; whole numbers stay whole."""
    if _is_number(value, numbers.Real) and math.isfinite(value):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    raise ParameterError(f"{argument}={value!r} must be a finite number.", code=f"parameter.{argument}")


def fraction(argument: str, value: Any) -> float:
    """A number strictly between 0 and 1."""
    if _is_number(value, numbers.Real) and 0 < value < 1:
        return float(value)
    hint = f" Did you mean {value / 100:g}?" if _is_number(value, numbers.Real) and 1 < value < 100 else ""
    raise ParameterError(f"{argument}={value!r} must lie between 0 and 1.{hint}", code=f"parameter.{argument}")


def increasing(argument: str, values: object) -> tuple[float, ...]:
    """At least one number, each above the one before."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ParameterError(f"{argument}={values!r} must be a list of numbers.", code="parameter.thresholds")
    clean = tuple(number("thresholds", v) for v in values)
    if not clean:
        raise ParameterError(f"{argument}=[] is empty; give at least one number.", code="parameter.thresholds")
    for before, after in itertools.pairwise(clean):
        if not before < after:
            raise ParameterError(
                f"{argument}={list(clean)} must increase strictly; {after:g} follows {before:g}. Did you mean {sorted(set(clean))}?",
                code="parameter.thresholds",
            )
    return clean


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


def zone(argument: str, value: str) -> dt.tzinfo:
    """A time zone: a name of the IANA database, or a fixed offset such as "+08:00"."""
    try:
        if match := re.fullmatch(r"([+-])(\d{2}):?(\d{2})", value):
            offset = dt.timedelta(hours=int(match[2]), minutes=int(match[3]))
            return dt.timezone(-offset if match[1] == "-" else offset)
        return zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        hint = nearest(value, zoneinfo.available_timezones())
        raise ParameterError(
            f"{argument}={value!r} is not a time zone; give an IANA name such as 'Asia/Shanghai'.{hint}",
            code=f"parameter.{argument}",
        ) from None


def days(argument: str, value: Any) -> int | None:
    """A span of whole days: 90, "90D", "12W" or a timedelta."""
    if value is None:
        return None
    count: float | None = None
    if isinstance(value, np.timedelta64):
        value = dt.timedelta(microseconds=int(value / np.timedelta64(1, "us")))
    if isinstance(value, dt.timedelta):
        count = value / dt.timedelta(days=1)
    elif _is_number(value, numbers.Integral):
        count = int(value)
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+)\s*([DWdw])\s*", value)):
        count = int(match[1]) * _DAYS_IN[match[2].upper()]
    if count is None or count != int(count) or not 1 <= count <= 1_000_000:
        raise ParameterError(
            f"{argument}={value!r} must be a whole number of days, one or more: 90, '90D', '12W' or a timedelta of days.",
            code=f"parameter.{argument}",
        )
    return int(count)


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
        value = _from_iso(argument, value)
    if isinstance(value, np.datetime64) and not np.isnat(value):
        if np.datetime_data(value)[0] in {"Y", "M", "W", "D"}:
            value = value.astype("datetime64[D]").item()
        else:
            return Moment(None, int(value.astype("datetime64[ns]").astype(np.int64)), aware=False, text=str(given))
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


def _from_iso(argument: str, text: str) -> dt.date | dt.datetime:
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
