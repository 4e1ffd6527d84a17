"""Rows of a log in their order, and searches along it.

The order of a log is (group, tick, minor, row): a group is a customer's code, a tick an integer time, the minor the lowest step that a row
matches, and the row its place in the input. Positions below are places in that order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels.calendars import TICKS_PER_DAY

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
AnyInts = npt.NDArray[np.integer]

LARGEST = int(np.iinfo(np.int64).max)
_KEY_BITS = 63
_LARGEST_32 = int(np.iinfo(np.int32).max)
_SEARCH = 16
"""A search by halves costs about as much as so many rows of a running count."""

_UNITS = sorted({ticks // parts for ticks in TICKS_PER_DAY.values() for parts in (1, 24, 1_440, 86_400, 86_400_000)} - {0, 1}, reverse=True)
"""Whole days, hours, minutes, seconds and milliseconds in ticks of any unit."""


@dataclass(frozen=True, slots=True)
class Log:
    """Parallel arrays over the rows of some whole groups, in their order. `marks` has a bit for every pattern that a row matches."""

    group: AnyInts
    tick: Ints
    marks: AnyInts
    row: AnyInts

    def __len__(self) -> int:
        return len(self.group)

    def matches(self, mask: int) -> Bools:
        """Which rows match any of the patterns in the mask."""
        return np.asarray((self.marks & self.marks.dtype.type(mask)) != 0)

    def take(self, positions: npt.NDArray[np.integer] | Bools) -> Log:
        """Some of the rows."""
        return Log(self.group[positions], self.tick[positions], self.marks[positions], self.row[positions])


# --------------------------------------------------------------------------------------------------------------- order


def order(group: AnyInts, tick: Ints, minor: AnyInts | None = None) -> Ints:
    """Rows in the order (group, tick, minor, row).

    One integer that holds all four is sorted, which is several times faster than a sort by four keys and brings the rows along. Where 63
    bits cannot hold them, the time loses its last bits, and the stretches of equal keys that came out in a wrong order are sorted again.
    """
    size = len(group)
    if size == 0:
        return np.empty(0, dtype=np.int64)
    low = int(tick.min())
    since = tick - low
    row_bits, group_bits = (size - 1).bit_length(), int(group.max()).bit_length()
    minor_bits = 0 if minor is None else int(minor.max()).bit_length()
    spare = _KEY_BITS - row_bits - group_bits
    if (int(tick.max()) - low).bit_length() + minor_bits > spare:
        since = _in_largest_unit(since)
    time_bits = int(since.max()).bit_length()
    if exact := time_bits + minor_bits <= spare:
        key = (group.astype(np.int64) << (time_bits + minor_bits)) | (since << minor_bits)
        if minor is not None:
            key |= minor
    else:
        key = (group.astype(np.int64) << min(time_bits, spare)) | (since >> max(time_bits - spare, 0))
    key <<= row_bits
    key |= np.arange(size, dtype=np.int64)
    key.sort()
    rows = key & ((1 << row_bits) - 1)
    if not exact:
        key >>= row_bits
        _repair(rows, key, tick, minor)
    return rows


def firsts(codes: AnyInts, tick: Ints) -> Ints:
    """The first row of each code: the earliest, and among equals the first of the input."""
    rows = order(codes, tick)
    return rows[run_starts(codes[rows])]


def _in_largest_unit(since: Ints) -> Ints:
    """Ticks in the largest unit that all of them are whole in: a log of seconds kept in microseconds needs twenty bits less."""
    for unit in _UNITS:
        if not (since[:: max(1, len(since) // 64)] % unit).any() and not (since % unit).any():
            return np.asarray(since // unit)
    return since


def _repair(rows: Ints, key: Ints, tick: Ints, minor: AnyInts | None) -> None:
    """Sort, in place, the stretches of equal keys whose rows are not yet in order."""
    same = np.flatnonzero(key[1:] == key[:-1]) + 1
    if same.size == 0:
        return
    here, before = rows[same], rows[same - 1]
    wrong = tick[here] < tick[before]
    if minor is not None:
        wrong |= (tick[here] == tick[before]) & (minor[here] < minor[before])
    resort(rows, run_starts(key), same[wrong], tick, minor)


def resort(rows: Ints, starts: Ints, wrong: Ints, tick: Ints, minor: AnyInts | None) -> None:
    """Sort, in place, the runs that hold the wrong positions, by (tick, minor, row); runs begin at `starts`."""
    if wrong.size == 0:
        return
    ends = np.append(starts, len(rows))[1:]
    run = np.unique(np.searchsorted(starts, wrong, side="right") - 1)
    sizes = ends[run] - starts[run]
    place = spread(starts[run], sizes)
    moved = rows[place]
    keys = (moved, tick[moved]) if minor is None else (moved, minor[moved], tick[moved])
    rows[place] = moved[np.lexsort((*keys, np.repeat(np.arange(run.size), sizes)))]


def spread(starts: Ints, sizes: Ints) -> Ints:
    """All positions of runs with these starts and sizes."""
    total = int(sizes.sum())
    return np.asarray(np.arange(total) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes), dtype=np.int64)


def run_starts(values: AnyInts) -> Ints:
    """Where runs of equal values begin."""
    changes = np.empty(len(values), dtype=np.bool_)
    changes[:1] = True
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return np.flatnonzero(changes)


def ends_of(codes: AnyInts, at: AnyInts) -> Ints:
    """For rows at some places, where their run of equal codes ends; no code has two runs."""
    starts = run_starts(codes)
    ends = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.int64)
    ends[codes[starts]] = np.append(starts, len(codes))[1:]
    return np.asarray(ends[codes[at]])


def run_ends(values: AnyInts) -> Ints:
    """For every row, where its run of equal values ends (the first position after it)."""
    starts = run_starts(values)
    return np.repeat(np.append(starts, len(values))[1:], np.diff(starts, append=len(values)))


# -------------------------------------------------------------------------------------------------------------- search


def following(mask: Bools, begin: AnyInts, nth: int = 1) -> Ints:
    """The n-th position from each of these on (itself included) where the mask holds; the length of the mask where there is none."""
    size = len(mask)
    places = np.append(np.flatnonzero(mask), np.full(nth, size))
    if len(begin) * _SEARCH < size:
        return np.asarray(places.take(np.searchsorted(places, begin) + (nth - 1), mode="clip"))
    before: AnyInts = np.zeros(size + 1, dtype=np.int32 if size <= _LARGEST_32 else np.int64)
    np.cumsum(mask, out=before[1:])
    return np.asarray(places.take(before.take(begin) + (nth - 1)))


def first_reaching(tick: Ints, wanted: Ints, low: Ints, high: Ints) -> Ints:
    """The first position in [low, high) whose tick is `wanted` or later, `high` where there is none; ticks increase inside each span."""
    low, high = low.copy(), high.copy()
    while True:
        open_ = np.flatnonzero(low < high)
        if open_.size == 0:
            return np.asarray(low, dtype=np.int64)
        middle = (low[open_] + high[open_]) >> 1
        reached = tick[middle] >= wanted[open_]
        high[open_[reached]] = middle[reached]
        low[open_[~reached]] = middle[~reached] + 1


def later(tick: Ints, span: int | None) -> Ints:
    """Ticks so much later; the end of all time where there is no span, or where 64 bits end."""
    if span is None:
        return np.full(len(tick), LARGEST)
    span = min(span, LARGEST)
    return np.minimum(tick, LARGEST - span) + span


def lowest_bit(marks: AnyInts, bits: int) -> npt.NDArray[np.uint8]:
    """The number of the lowest bit that is set, of the first `bits`; `bits` where none is."""
    if marks.dtype.itemsize == 1:
        return np.asarray(_LOWEST_OF_BYTE[bits].take(marks), dtype=np.uint8)
    found = np.full(len(marks), bits, dtype=np.uint8)
    for bit in reversed(range(bits)):
        found[(marks & marks.dtype.type(1 << bit)) != 0] = bit
    return found


_LOWEST_OF_BYTE = np.array([[min((m & -m & 255).bit_length() - 1 if m else k, k) for m in range(256)] for k in range(9)], dtype=np.uint8)
