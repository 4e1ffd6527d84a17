"""Ticks of a clock and days of a calendar.

A *tick* is an integer count of a time unit since 1970-01-01 00:00, in UTC where the column knows its zone and on the wall clock
where it does not. A *day* is an integer count of calendar days since 1970-01-01 in a zone.
"""

from __future__ import annotations

import datetime as dt
import functools

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

TICKS_PER_DAY = {"D": 1, "s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
"""Ticks in 24 hours, by time unit."""

MISSING = np.iinfo(np.int64).min
"""The tick that stands for "no time" (numpy's NaT)."""

_BEFORE_ALL = -(np.iinfo(np.int64).max // 10**9)
"""A second before all others that is still one in nanoseconds."""

_UTC = dt.UTC
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=_UTC)
_FIRST, _LAST = dt.datetime.min.replace(tzinfo=_UTC) + dt.timedelta(days=2), dt.datetime.max.replace(tzinfo=_UTC) - dt.timedelta(days=2)


def local_days(ticks: Ints, unit: str, zone: dt.tzinfo | None) -> Ints:
    """The calendar day of each tick.

    A day of the calendar is not 24 hours after the last one where clocks change, so the zone's offset is added before dividing.
    """
    per_day = TICKS_PER_DAY[unit]
    if zone is None or per_day == 1 or ticks.size == 0:
        return np.asarray(ticks // per_day)
    per_second = per_day // 86_400
    low, high = int(ticks.min()), int(ticks.max())
    starts, offsets = utc_offsets(zone, low // per_second, high // per_second)
    offset = offsets[np.searchsorted(starts * per_second, ticks, side="right") - 1]
    return np.asarray((ticks + offset * per_second) // per_day)


def local_day(nanoseconds: int, zone: dt.tzinfo | None) -> int:
    """The calendar day of one instant."""
    return int(local_days(np.array([nanoseconds // 1_000_000_000], dtype=np.int64), "s", zone)[0])


def midnight(day: int, unit: str, zone: dt.tzinfo | None) -> int:
    """The tick at which a calendar day begins. Where midnight was skipped by the clock, the day begins at the change."""
    per_day = TICKS_PER_DAY[unit]
    if zone is None or per_day == 1:
        return day * per_day
    nearest = min(max(day, (_FIRST - _EPOCH).days), (_LAST - _EPOCH).days)
    offset = (dt.datetime(1970, 1, 1, tzinfo=zone) + dt.timedelta(days=nearest)).utcoffset()
    return (day * 86_400 - (0 if offset is None else round(offset.total_seconds()))) * (per_day // 86_400)


@functools.lru_cache(maxsize=64)
def utc_offsets(zone: dt.tzinfo, first: int, last: int) -> tuple[Ints, Ints]:
    """Offsets from UTC over a span of seconds: where each begins, and its size in seconds.

    The zone is asked once per day, and the day of a change is halved down to its second.
    """
    first, last = _clip(first), _clip(last)
    starts, offsets = [_BEFORE_ALL], [_offset(zone, first)]
    for begin in range(first, last + 1, 86_400):
        end = min(begin + 86_400, last + 1)
        if (after := _offset(zone, end)) != offsets[-1]:
            low, high = begin, end
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(zone, middle) == offsets[-1] else (low, middle)
            starts.append(high)
            offsets.append(after)
    return np.array(starts, dtype=np.int64), np.array(offsets, dtype=np.int64)


def _offset(zone: dt.tzinfo, second: int) -> int:
    offset = (_EPOCH + dt.timedelta(seconds=second)).astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


def _clip(second: int) -> int:
    """Python's calendar ends at the years 1 and 9999; beyond them the nearest known offset holds."""
    low, high = (int((end - _EPOCH).total_seconds()) for end in (_FIRST, _LAST))
    return min(max(second, low), high)
