"""Attempts at a funnel: from every entry, which rows fill its steps.

A plan has K steps, some of them optional, and patterns of exclusion. Steps are bits 0..K-1 of a row's marks, exclusions the bits above. An
attempt is a column of a matrix of positions, one row per step, -1 where a step is not filled. What "the first later row" is, and when an
attempt ends, is stated in `docs/funnels.md`; the numbers in comments are its paragraphs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import sequences
from opsmetrics._kernels.sequences import Bools, Ints, Log

Filled = npt.NDArray[np.int32]

NOT_FILLED = -1


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A bit of the marks, and the required steps (numbers from 0) between which it acts."""

    bit: int
    after: int
    before: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What counts as an attempt; spans in ticks. The gaps are those before each required step but the first."""

    size: int
    required: tuple[int, ...]
    order: str
    strict_ties: bool
    window: int | None
    step_window: tuple[int | None, ...]
    min_gap: tuple[int | None, ...]
    exclusions: tuple[Exclusion, ...]
    entry: str
    removes: bool
    totals: bool
    begin: int
    end: int

    @property
    def steps_mask(self) -> int:
        """The bits of the steps."""
        return (1 << self.size) - 1

    @property
    def has_gaps(self) -> bool:
        """Whether the gap between two steps is bounded, so that the first later row need not be the right one."""
        return any(gap is not None for gap in (*self.step_window, *self.min_gap))


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts in the order of their entries: the rows that fill the required steps, the last ticks of windows, the ends of groups."""

    filled: Filled
    limit: Ints
    stop: Ints

    @property
    def entry(self) -> npt.NDArray[np.int32]:
        """The position of the first row."""
        return np.asarray(self.filled[0])

    @property
    def depth(self) -> npt.NDArray[np.int8]:
        """How many of the steps, which are 62 at most, are filled: filled ones come first."""
        depth = np.ones(self.filled.shape[1], dtype=np.int8)
        for line in self.filled[1:]:
            depth += line >= 0
        return depth

    def last(self, depth: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
        """The position of the last row."""
        return np.asarray(self.filled[depth - 1, np.arange(self.filled.shape[1])])

    def take(self, chosen: Ints) -> Attempts:
        """Some of the attempts."""
        return Attempts(self.filled[:, chosen], self.limit[chosen], self.stop[chosen])


def attempts(log: Log, plan: Plan) -> Attempts:
    """One attempt from every entry; exclusions that remove customers are not looked at yet."""
    first = plan.steps_mask if plan.order == "any" else 1 << plan.required[0]
    opens = log.matches(first)
    if plan.begin > -sequences.LARGEST or plan.end < sequences.LARGEST:
        opens &= (log.tick >= plan.begin) & (log.tick < plan.end)
    entries = np.flatnonzero(opens)
    limit = sequences.later(log.tick[entries], plan.window)
    stop = sequences.ends_of(log.group, entries)
    if plan.order == "any":
        return _in_any_order(log, plan, entries, limit, stop)
    return (_chains if plan.has_gaps else _first_rows)(log, plan, entries, limit, stop)


def _first_rows(log: Log, plan: Plan, entries: Ints, limit: Ints, stop: Ints) -> Attempts:
    """The first later row for each next step, inside the window (2)."""
    filled = np.full((len(plan.required), len(entries)), NOT_FILLED, dtype=np.int32)
    filled[0] = entries
    ends = _tie_ends(log) if plan.strict_ties else None
    alive, at, limits, stops = np.arange(len(entries)), entries, limit, stop
    for gap, step in enumerate(plan.required[1:]):
        found = sequences.following(log.matches(1 << step), at + 1 if ends is None else ends[at])
        good = found < stops
        good &= log.tick.take(found, mode="clip") <= limits
        if (blocks := _ends(log, plan, gap)) is not None:
            good &= found <= sequences.following(blocks, at + 1)
        kept = np.flatnonzero(good)
        alive, at, limits, stops = (values.take(kept) for values in (alive, found, limits, stops))
        filled[gap + 1, alive] = at
    return Attempts(filled, limit, stop)


def _chains(log: Log, plan: Plan, entries: Ints, limit: Ints, stop: Ints) -> Attempts:
    """With bounds on the gaps any valid chain counts (3).

    For each depth, from the deepest: which rows of a step can still reach it, through which row of the next step, and where that ends. Of
    two rows of a step, the earlier ends no later, so the first row that can reach the end is the best of all.
    """
    size, count = len(log), len(plan.required)
    filled = np.full((count, len(entries)), NOT_FILLED, dtype=np.int32)
    filled[0] = entries
    at_step = [entries, *(np.flatnonzero(log.matches(1 << step)) for step in plan.required[1:])]
    begins = [_earliest_next(log, plan, gap, at_step[gap]) for gap in range(count - 1)]
    blocks = [_ends(log, plan, gap) for gap in range(count - 1)]
    longest = [sequences.later(log.tick[at], plan.step_window[gap]) for gap, at in enumerate(at_step[:-1])]
    ends = sequences.run_ends(log.group)
    for target in range(count - 1, 0, -1):
        reaches = np.zeros(size, dtype=np.bool_)
        reaches[at_step[target]] = True
        finish = np.arange(size)
        links: list[Ints] = []
        for step in range(target - 1, -1, -1):
            at = at_step[step]
            found = sequences.following(reaches, begins[step])
            good = found < ends[at]
            good &= log.tick[np.minimum(found, size - 1)] <= longest[step]
            if (blocked := blocks[step]) is not None:
                good &= found <= sequences.following(blocked, at + 1)
            link, soonest, reaches = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.bool_)
            link[at[good]], soonest[at[good]], reaches[at[good]] = found[good], finish[found[good]], True
            links.append(link)
            finish = soonest
        deep = np.flatnonzero((filled[1] < 0) & reaches[entries] & (log.tick[finish[entries]] <= limit))
        at = entries[deep]
        for step, link in enumerate(reversed(links), 1):
            at = link[at]
            filled[step, deep] = at
    return Attempts(filled, limit, stop)


def _earliest_next(log: Log, plan: Plan, gap: int, at: Ints) -> Ints:
    """From where on a row may fill the next step."""
    begin = _tie_ends(log)[at] if plan.strict_ties else at + 1
    least = plan.min_gap[gap]
    if least is None:
        return begin
    return sequences.first_reaching(
        log.tick, sequences.later(log.tick[at], least), begin, np.maximum(sequences.run_ends(log.group)[at], begin)
    )


def _in_any_order(log: Log, plan: Plan, entries: Ints, limit: Ints, stop: Ints) -> Attempts:
    """As many steps as distinct rows can fill, in any order (6).

    Steps that share rows form a family. By Koenig's theorem j of a family's steps C can be filled from a stretch of rows exactly if for
    every subset S at least j - |C - S| of its rows match a step of S; so the j-th is filled at the latest of the rows that bring these
    numbers about. Families share no rows, and their rows are merged.
    """
    found: list[Ints] = []
    for family in _families(log, plan.size):
        reached = np.full((len(family), len(entries)), -1, dtype=np.int64)
        for count in range(1, len(family) + 1):
            for subset in itertools.combinations(family, count):
                matches = log.matches(sum(1 << step for step in subset))
                for nth in range(1, count + 1):
                    filled = len(family) - count + nth
                    reached[filled - 1] = np.maximum(reached[filled - 1], sequences.following(matches, entries, nth))
        found.extend(reached)
    rows = np.sort(np.stack(found), axis=0)
    bad = (rows >= stop) | (log.tick[np.minimum(rows, len(log) - 1)] > limit)
    if (blocks := _ends(log, plan, 0)) is not None:
        bad |= rows >= sequences.following(blocks, entries + 1)
    return Attempts(np.where(bad, NOT_FILLED, rows).astype(np.int32), limit, stop)


def _families(log: Log, size: int) -> list[tuple[int, ...]]:
    """Steps joined to those with which they share rows."""
    families: list[set[int]] = []
    for step in range(size):
        marks = log.marks[log.matches(1 << step)]
        shares = {other for other in range(step) if ((marks >> marks.dtype.type(other)) & marks.dtype.type(1)).any()}
        joined = [family for family in families if family & shares]
        families = [family for family in families if not family & shares] + [{step}.union(*joined)]
    return [tuple(sorted(family)) for family in families]


def overlap(log: Log, size: int) -> int:
    """How many steps the largest family has."""
    return max(map(len, _families(log, size)))


def _tie_ends(log: Log) -> Ints:
    """For every row, the first position with another time or group."""
    change = np.zeros(len(log), dtype=np.int64)
    change[1:] = (log.tick[1:] != log.tick[:-1]) | (log.group[1:] != log.group[:-1])
    return sequences.run_ends(np.cumsum(change))


# ---------------------------------------------------------------------------------------------------------- exclusions


def _excluded(log: Log, plan: Plan, gap: int) -> Bools | None:
    """The rows of exclusions that act in a gap between two required steps; None where none does."""
    bits = sum(1 << exclusion.bit for exclusion in plan.exclusions if exclusion.after <= gap < exclusion.before)
    return log.matches(bits) if bits else None


def _ends(log: Log, plan: Plan, gap: int) -> Bools | None:
    """The rows that end an attempt in a gap: exclusions, unless these remove customers, and in strict order all foreign rows (4, 5)."""
    excluded = None if plan.removes else _excluded(log, plan, gap)
    if plan.order != "strict":
        return excluded
    last = plan.required[gap + 1] if gap + 1 < len(plan.required) else plan.size - 1
    foreign = ~log.matches(sum(1 << step for step in range(plan.required[gap], last + 1)))
    return foreign if excluded is None else foreign | excluded


def _meets(log: Log, plan: Plan, found: Attempts, depth: npt.NDArray[np.int8], rows: Callable[[Log, Plan, int], Bools | None]) -> Ints:
    """Where an attempt meets such a row after its last required one, inside its window; the length of the log where it does not."""
    size, last, met = len(log), found.last(depth), np.full(len(depth), len(log))
    for gap in range(len(plan.required)):
        if (mask := rows(log, plan, gap)) is not None:
            here = np.flatnonzero(depth == gap + 1)
            place = sequences.following(mask, last[here] + 1)
            inside = (place < found.stop[here]) & (log.tick[np.minimum(place, size - 1)] <= found.limit[here])
            met[here[inside]] = place[inside]
    return met


def ended_at(log: Log, plan: Plan, found: Attempts, depth: npt.NDArray[np.int8]) -> Ints:
    """Where a row ends an attempt after its last required row, the length of the log where none does."""
    return _meets(log, plan, found, depth, _ends)


def dirty(log: Log, plan: Plan, found: Attempts, depth: npt.NDArray[np.int8]) -> Bools:
    """Whether an exclusion lies between the rows of an attempt, or after its last one where it did not convert (4)."""
    marred = _meets(log, plan, found, depth, _excluded) < len(log)
    for gap in range(len(plan.required) - 1):
        if (mask := _excluded(log, plan, gap)) is not None:
            here = np.flatnonzero(depth > gap + 1)
            marred[here] |= sequences.following(mask, found.filled[gap, here] + 1) < found.filled[gap + 1, here]
    return marred


# -------------------------------------------------------------------------------------------------------------- choice


def choose(log: Log, plan: Plan, found: Attempts, group: npt.NDArray[np.integer]) -> tuple[Ints, Bools]:
    """The attempt that speaks for each group (runs of equal `group`), and which of these an exclusion removes (4, 7)."""
    depth = found.depth
    marred = dirty(log, plan, found, depth) if plan.removes else np.zeros(len(depth), dtype=np.bool_)
    keys: list[npt.NDArray[np.integer]] = []
    if plan.entry != "first":
        keys.append(marred.view(np.int8) - 2 * depth)
    if plan.entry == "latest":
        keys += [found.last(depth), -found.entry]
    chosen = _least(sequences.run_starts(group), keys, len(depth))
    return chosen, marred[chosen]


def _least(starts: Ints, keys: Sequence[npt.NDArray[np.integer]], size: int) -> Ints:
    """In each run the place with the least keys, the earlier key first, then the earliest place."""
    if size == 0 or not keys:
        return starts
    place, runs = np.arange(size), starts
    for key in keys[:-1]:
        least = np.minimum.reduceat(key.take(place), runs)
        place = place[key.take(place) == np.repeat(least, np.diff(runs, append=len(place)))]
        runs = np.searchsorted(place, starts)  # every run keeps a place, so these are where the runs now begin
    last = keys[-1] if len(place) == size else keys[-1].take(place)
    return np.asarray(np.minimum.reduceat(last.astype(np.int64) * size + place, runs) % size)


def apart(log: Log, plan: Plan, found: Attempts) -> Ints:
    """Attempts of each group that do not overlap (8).

    The next begins after the last row of one that converted, at the row that ended it, or after its window.
    """
    size, depth = len(found.limit), found.depth
    if size == 0:
        return np.empty(0, dtype=np.int64)
    converted = depth == len(found.filled)
    group = log.group[found.entry]
    stops = np.repeat(np.append(sequences.run_starts(group)[1:], size), np.diff(sequences.run_starts(group), append=size))
    place = np.arange(size)
    over = sequences.later(found.limit, 1 if plan.window is not None else None)
    after = sequences.first_reaching(log.tick[found.entry], over, place + 1, stops)
    after[found.limit == sequences.LARGEST] = stops[found.limit == sequences.LARGEST]
    ended_by = ended_at(log, plan, found, depth)
    ended = ended_by < len(log)
    after[ended] = np.searchsorted(found.entry, ended_by[ended])
    after[converted] = np.searchsorted(found.entry, fill_optional(log, plan, found).max(axis=0)[converted], side="right")
    follow = np.append(np.where(after < stops, after, size), size)
    reached = np.zeros(size + 1, dtype=np.bool_)
    reached[sequences.run_starts(group)] = True
    # Pointer doubling: after m rounds all attempts up to the 2^m-th of each group are reached; a robot's million take twenty rounds.
    while True:
        more = reached.copy()
        more[follow[np.flatnonzero(reached)]] = True
        if (more == reached).all():
            return np.flatnonzero(reached[:-1])
        reached, follow = more, follow[follow]


def fill_optional(log: Log, plan: Plan, found: Attempts) -> Filled:
    """The rows of all steps: optional ones take the first row between the required rows around them, or after the last one reached (2)."""
    if len(plan.required) == plan.size:
        return found.filled
    depth = found.depth
    filled = np.full((plan.size, len(found.limit)), NOT_FILLED, dtype=np.int32)
    filled[list(plan.required)] = found.filled
    size, ends = len(log), _tie_ends(log)
    at, gap = found.entry.astype(np.int64), 0
    meets = ended_at(log, plan, found, depth)
    for step in range(1, plan.size):
        if step in plan.required:
            gap += 1
            at = np.where(filled[step] >= 0, filled[step], at)
            continue
        row = sequences.following(log.matches(1 << step), ends[at] if plan.strict_ties else at + 1)
        inside = (row < found.stop) & (log.tick[np.minimum(row, size - 1)] <= found.limit)
        ahead = found.filled[gap + 1] if gap + 1 < len(found.filled) else np.full(len(at), NOT_FILLED)
        before = np.where(ahead >= 0, ahead, meets)
        if plan.strict_ties:
            before = np.where(ahead >= 0, _tie_starts(ends)[np.maximum(ahead, 0)], before)
        good = inside & (depth >= gap + 1) & (row < before) & ((ahead >= 0) | (depth == gap + 1))
        filled[step, good] = row[good]
        at = np.where(good, row, at)
    return filled


def _tie_starts(ends: Ints) -> Ints:
    """For every row, the first position with its time and group, from where these end."""
    starts = sequences.run_starts(ends)
    return np.repeat(starts, np.diff(starts, append=len(ends)))
