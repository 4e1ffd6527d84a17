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

ALWAYS = (MISSING + 1, int(np.iinfo(np.int64).max))
"""The ticks [begin, end) of all times."""

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
    utc_day = ticks // per_day
    first = int(utc_day.min())
    there = np.flatnonzero(np.bincount(utc_day - first))
    # What the zone says of each UTC day that occurs, laid out so that a day finds its row.
    before, change, after = np.zeros((3, int(there[-1]) + 1), dtype=np.int64)
    for day in there.tolist():
        before[day], change[day], after[day] = day_offsets(zone, first + day)
    per_second = per_day // 86_400
    row, second = utc_day - first, ticks // per_second
    offset = np.where(second < change[row], before[row], after[row])
    return np.asarray(utc_day + (ticks - utc_day * per_day + offset * per_second) // per_day)  # near the ends of 64 bits no sum is larger


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


@functools.lru_cache(maxsize=1 << 14)
def day_offsets(zone: dt.tzinfo, day: int) -> tuple[int, int, int]:
    """Of one UTC day: the offset in seconds at its start, the second of its change, and the offset from then on.

    Where nothing changes, the change lies at the end of the day. The day of a change is halved down to its second.
    """
    start, end = day * 86_400, (day + 1) * 86_400
    before, after = _offset(zone, start), _offset(zone, end - 1)
    if before == after:
        return before, end, after
    low, high = start, end - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return before, high, after


def _offset(zone: dt.tzinfo, second: int) -> int:
    offset = (_EPOCH + dt.timedelta(seconds=_clip(second))).astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


def _clip(second: int) -> int:
    """Python's calendar ends at the years 1 and 9999; beyond them the nearest known offset holds."""
    low, high = (int((end - _EPOCH).total_seconds()) for end in (_FIRST, _LAST))
    return min(max(second, low), high)
