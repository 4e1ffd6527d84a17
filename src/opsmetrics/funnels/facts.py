"""What is known of the paths through a funnel: rows of whole customers folded (`partial`), and facts put side by side (`merge`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from opsmetrics import _frames, events
from opsmetrics._clock import Clock
from opsmetrics._frames import Floats, Ints, Use, Values
from opsmetrics._kernels import attempts, calendars, sequences
from opsmetrics._kernels.attempts import Attempts, Filled, Plan
from opsmetrics._kernels.sequences import AnyInts, Log
from opsmetrics._parts import Part
from opsmetrics.errors import ParameterError

NumberT = TypeVar("NumberT", bound=np.generic)

MISSING = calendars.MISSING
MOST_OVERLAPPING = 10
"""Steps in any order that share rows are weighed subset by subset, and their number doubles with each step."""


@dataclass(frozen=True, slots=True)
class Carry:
    """A value for each path besides its rows: of a column at its rows, the period of its entry, or the event that came after a step.

    `at` is "first" or "last" (of those that are not null along the path) or the number of a step.
    """

    kind: Literal["column", "period", "next"]
    argument: str = ""
    at: str | int = "first"


@dataclass(frozen=True, slots=True)
class Rules:
    """What is asked of the log."""

    plan: Plan
    clock: Clock
    hold: tuple[Use, ...] = ()
    amount: str | None = None
    carry: Carry | None = None


@dataclass(frozen=True)
class Paths:
    """One path per key (or per attempt): when each step was taken, in ticks, missing where it was not; by step, then by path.

    `person` numbers the customers, whose ids are in `customers`; `row` has the places in the input, where the input has places. `value`
    points into `values`. `limit` is the last tick of the window.
    """

    ticks: Ints
    limit: Ints
    person: Ints
    customers: Sequence[Values]
    held: Sequence[tuple[Ints, Values]]
    row: Ints | None = None
    amount: Floats | None = None
    value: Ints | None = None
    values: Values | None = None
    wait: Ints | None = None
    removed: int = 0
    dropped: Counter[str] | None = None
    seen: frozenset[str | int] = frozenset()

    def __len__(self) -> int:
        return int(self.ticks.shape[1])

    @cached_property
    def taken(self) -> npt.NDArray[np.bool_]:
        """Which steps were taken."""
        return np.asarray(self.ticks != MISSING)

    @property
    def level(self) -> Ints:
        """The number, from 1, of the last step taken."""
        size = len(self.ticks)
        return np.asarray(size - np.argmax(self.taken[::-1], axis=0), dtype=np.int64)

    def take(self, chosen: Ints) -> Paths:
        """Some of the paths; columns that results do not read again are left behind."""
        return replace(
            self,
            ticks=self.ticks[:, chosen],
            limit=self.limit[chosen],
            person=self.person[chosen],
            held=[(codes[chosen], values) for codes, values in self.held],
            row=None if self.row is None else self.row[:, chosen],
            amount=None if self.amount is None else self.amount[:, chosen],
            value=None if self.value is None else self.value[chosen],
            wait=None if self.wait is None else self.wait[chosen],
        )


def partial(part: Part, rules: Rules) -> Paths:
    """The paths of some whole customers."""
    plan, hold = rules.plan, tuple(use.argument for use in rules.hold)
    ordered = events.arrange(part, rules.clock, plan.size, hold)
    log = ordered.log
    _demand_separable(log, plan)
    found = attempts.attempts(log, plan)
    period = rules.clock.periods(log.tick[found.entry], rules.carry.argument) if rules.carry and rules.carry.kind == "period" else None
    if plan.totals:
        chosen, removed = attempts.apart(log, plan, found), 0
    else:
        chosen, marred = attempts.choose(log, plan, found, _keys(log, found, period))
        chosen, removed = chosen[~marred], int(np.count_nonzero(marred))
    picked = found.take(chosen)
    filled = attempts.fill_optional(log, plan, picked)
    paths = Paths(
        ticks=_along(filled, log.tick, MISSING),
        limit=picked.limit,
        person=ordered.person[log.group[picked.entry]],
        customers=[part.customers],
        held=[(part[name][log.row[filled[0]]], part.labels[name]) for name in hold],
        row=_along(filled, part["row"], -1, log.row) if "row" in part.columns else None,
        amount=None if rules.amount is None else _along(filled, part[rules.amount], np.nan, log.row),
        removed=removed,
        dropped=ordered.dropped,
        seen=part.seen,
    )
    if period is not None:
        return replace(paths, value=period[chosen])
    return paths if rules.carry is None else _carried(paths, part, log, picked, filled, rules.carry)


def _along(filled: Filled, values: npt.NDArray[Any], missing: float, row: AnyInts | None = None) -> npt.NDArray[Any]:
    """The values at the rows of the paths, missing where a step was not taken; most steps are not, so each is looked up alone."""
    found = np.full(filled.shape, missing, dtype=np.promote_types(values.dtype, np.int8))  # places in a frame have no sign
    for line, places in zip(found, filled, strict=True):
        there = np.flatnonzero(places >= 0)
        at = places[there]
        line[there] = values[at if row is None else row[at]]
    return found


def _keys(log: Log, found: Attempts, period: Ints | None) -> Ints:
    """What a path is chosen for: the key, and the period of the entry where each period has its own path."""
    group = np.asarray(log.group[found.entry], dtype=np.int64)
    if period is None or group.size == 0:
        return group
    new = np.concatenate(([True], (group[1:] != group[:-1]) | (period[1:] != period[:-1])))
    return np.cumsum(new)


def _carried(paths: Paths, part: Part, log: Log, picked: Attempts, filled: Filled, carry: Carry) -> Paths:
    """The paths with their value of a column, or with the event after a step and how long it took."""
    codes, distinct = part[carry.argument], part.labels[carry.argument]
    if carry.kind == "next" and isinstance(carry.at, int):
        named = codes[log.row] >= 0  # who did something without a name did nothing that could be told
        after = sequences.following(named, filled[carry.at].astype(np.int64) + 1)
        there = (filled[carry.at] >= 0) & (after < picked.stop)
        there &= log.tick[np.minimum(after, len(log) - 1)] <= picked.limit
        place = np.where(there, after, 0)
        return replace(
            paths,
            value=np.where(there, codes[log.row[place]], -1),
            values=distinct,
            wait=np.where(there, log.tick[place] - paths.ticks[carry.at], MISSING),
            dropped=(paths.dropped or Counter()) + Counter({events.MISSING_EVENT: int(np.count_nonzero(~named))}),
        )
    along = _along(filled, codes, -1, log.row)
    if isinstance(carry.at, int):
        return replace(paths, value=along[carry.at], values=distinct)
    lines = along if carry.at == "first" else along[::-1]
    return replace(paths, value=lines[np.argmax(lines >= 0, axis=0), np.arange(len(paths))], values=distinct)


def _demand_separable(log: Log, plan: Plan) -> None:
    if plan.order == "any" and (most := attempts.overlap(log, plan.size)) > MOST_OVERLAPPING:
        raise ParameterError(
            f"order='any' with {most} steps that share rows; {MOST_OVERLAPPING} are the most. Give the steps different events.",
            code="parameter.steps",
        )


def merge(parts: Sequence[Paths], steps: int, held: Sequence[Use], carried: Use | None) -> Paths:
    """Paths of disjoint customers, side by side."""
    starts = np.cumsum([0, *(sum(map(len, part.customers)) for part in parts)])
    dropped = sum((part.dropped or Counter() for part in parts), Counter[str]())
    if not parts:
        none = np.empty((steps, 0), dtype=np.int64)
        return Paths(none, none[0], none[0], [], [], row=none, dropped=dropped)
    value, values = _joined([part.value for part in parts]), None
    sides = [(part.value, part.values) for part in parts if part.value is not None and part.values is not None]
    if carried is not None and len(sides) == len(parts):
        value, values = _frames.together(sides, carried)
    return Paths(
        ticks=np.concatenate([part.ticks for part in parts], axis=1),
        limit=np.concatenate([part.limit for part in parts]),
        person=np.concatenate([part.person + start for part, start in zip(parts, starts.tolist(), strict=False)]),
        customers=[values for part in parts for values in part.customers],
        held=[_frames.together([part.held[place] for part in parts], use) for place, use in enumerate(held)],
        row=_joined([part.row for part in parts], axis=1),
        amount=_joined([part.amount for part in parts], axis=1),
        value=value,
        values=values,
        wait=_joined([part.wait for part in parts]),
        removed=sum(part.removed for part in parts),
        dropped=dropped,
        seen=frozenset().union(*(part.seen for part in parts)),
    )


def _joined(arrays: Sequence[npt.NDArray[NumberT] | None], axis: int = 0) -> npt.NDArray[NumberT] | None:
    """Arrays one after the other, where all parts have one."""
    known = [values for values in arrays if values is not None]
    return np.concatenate(known, axis=axis) if known and len(known) == len(arrays) else None
