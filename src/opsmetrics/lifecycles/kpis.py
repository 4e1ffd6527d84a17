"""Who of some customers did what: rows that match patterns, folded to customers, and rates with a stage as their population."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial as bind
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames, _output, _parts, activity, events
from opsmetrics._frames import Backend, Column, Ints, Use, Values
from opsmetrics._kernels import calendars, rates
from opsmetrics.errors import DataError, ParameterError, warn
from opsmetrics.events import demand_known
from opsmetrics.lifecycles import holders, matching

if TYPE_CHECKING:
    from opsmetrics._clock import Clock

Bools = npt.NDArray[np.bool_]

RESERVED: Final = frozenset({"stage", "kpi", "customers", "reached", "rate", "rate_low", "rate_high"})
"""Columns of the table of rates."""


class Reached(NamedTuple):
    """Which customers did what, one line per rule; the rows that were left out; the names of the rules."""

    reached: Bools
    dropped: Counter[str]
    names: list[str]


@dataclass(frozen=True, slots=True)
class _Marked:
    """The marks of some whole customers, those of a customer's rows taken together."""

    people: Values
    marks: npt.NDArray[Any]
    dropped: Counter[str]
    seen: frozenset[str | int]


def reached(
    data: object,
    rules: object,
    people: Values,
    *,
    customer: str,
    event: str | None = None,
    time: str | None = None,
    between: object = None,
    tz: str | None = None,
) -> Reached:
    """Which of some customers have a row that matches each rule, between two moments where these are given.

    `people` are ids from another frame; they may repeat, and one that is null did nothing. Without `time` all rows count.
    """
    named = _named(rules)
    _demand_time(time, between, tz)
    frame = _frames.snapshot(_frames.wrap("data", data))
    uses = [Use("customer", customer, "key")] if time is None else activity.uses_of(customer, time)
    _frames.check(frame, [*uses, *matching.event_use(event)])
    _, marker = matching.understand(named, event, _frames.kinds(frame))
    source = _parts.read("data", frame, uses, tz=tz, marker=marker)
    if source.backend != people.implementation:
        kinds = [backend.name.lower() for backend in (source.backend, people.implementation)]
        raise DataError(f"data is a {kinds[0]} frame and the customers are in a {kinds[1]} frame; give both in one kind.", code="data.kind")
    clock = None if time is None else source.clock
    span = source.clock.between("between", between)
    if between is not None:
        _tell_what_is_not_over(frame, uses[1], source.clock, span)
    parts = _parts.fold(source, bind(_partial, clock=clock, span=span))
    demand_known("rules", marker.patterns, frozenset().union(*(part.seen for part in parts)), frame, event, matching.ABSENT)
    marks = _of(people, parts, uses[0], marker.dtype)
    found = np.array([marks & marks.dtype.type(1 << bit) != 0 for bit in range(len(named))], dtype=np.bool_)
    return Reached(found, sum((part.dropped for part in parts), Counter[str]()), list(named))


def _named(rules: object) -> Mapping[str, object]:
    if not isinstance(rules, Mapping) or not rules:
        raise ParameterError(
            f"rules={_checks.short(rules)} must be a mapping of names to events, such as {{'bought': 'pay'}}.", code="parameter.rules"
        )
    for name in rules:
        if not _checks.is_word(name):
            raise ParameterError(f"rules has the name {name!r}; a name is a text that is not empty.", code="parameter.rules")
    return rules


def _demand_time(time: str | None, between: object, tz: str | None) -> None:
    """What is about time needs a column of times."""
    for argument, given in (("between", between), ("tz", tz)):
        if time is None and given is not None:
            raise ParameterError(
                f"{argument}={given!r} has nothing to act on, for time=None names no column; name that of the time, or leave {argument} "
                "out.",
                code=f"parameter.{argument}",
            )


def _tell_what_is_not_over(frame: _frames.Eager | _frames.Lazy, time: Use, clock: Clock, span: tuple[int, int]) -> None:
    """A span that reaches beyond the last row has rates that may still rise."""
    last = _frames.latest(frame, time)
    if span[1] == calendars.ALWAYS[1] or last == calendars.MISSING or not clock.covers(last, last):
        return
    if span[1] > clock.midnight(int(clock.days(np.array([last]))[0]) + 1):
        day = np.datetime64(int(clock.days(np.array([last]))[0]), "D")
        warn(f"between ends after the last row, of {day}: customers may still act, and the rates are those so far.")


def _partial(part: _parts.Part, clock: Clock | None, span: tuple[int, int]) -> _Marked:
    """The marks of some whole customers, taken together."""
    if clock is None:
        keep = part.codes >= 0
        dropped = +Counter({events.MISSING_CUSTOMER: part.rows - int(np.count_nonzero(keep))})
    else:
        keep, dropped = events.usable(part, clock)
        keep &= (part["time"] >= span[0]) & (part["time"] < span[1])
    codes, marks = (part.codes, part["marks"]) if keep.all() else (part.codes[keep], part["marks"][keep])
    return _Marked(part.customers, any_of(codes, marks, len(part.customers)), dropped, part.seen)


def any_of(codes: Ints, marks: npt.NDArray[Any], people: int) -> npt.NDArray[Any]:
    """The marks that any row of a customer has."""
    found = np.zeros(people, dtype=marks.dtype)
    np.bitwise_or.at(found, codes, marks)
    return found


def _of(people: Values, parts: Sequence[_Marked], use: Use, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The marks of each of the customers asked for; none of those without a row that matches."""
    others = [part.people for part in parts if len(part.people)]
    if not others or len(people) == 0:
        return np.zeros(len(people), dtype=dtype)
    theirs = _frames.concat(others)
    (asked, known), distinct = _frames.encode_together([people, theirs], use, ("the staged table", "data"))
    table = np.zeros(len(distinct) + 1, dtype=dtype)  # the last place is that of a null id
    table[known] = np.concatenate([part.marks for part in parts if len(part.people)])
    return np.asarray(table[asked])


# ------------------------------------------------------------------------------------------------------------ the table


def kpi_table(
    backend: Backend,
    stages: Sequence[str],
    codes: Ints,
    group: tuple[str, Ints, Values] | None,
    reached: Bools,
    names: Sequence[str],
    confidence: float,
) -> Any:
    """The rate of each rule in each stage, as a tidy frame; the rate is missing where a stage is empty.

    `codes` has the place of each customer's stage, `group` the name of a column, each customer's code in it (-1 where it is null) and its
    values. With a group, combinations without customers are left out; groups come with the largest first, and null last.
    """
    order, place = np.zeros(1, dtype=np.int64), np.zeros(len(codes), dtype=np.int64)
    if group is not None:
        _checks.free("by", group[0], RESERVED)
        order, place = holders.by_size("by", group[1], group[2])
    key = codes * len(order) + place
    size = len(stages) * len(order)
    population = np.bincount(key, minlength=size)
    there = np.arange(size) if group is None else np.flatnonzero(population)
    hits = np.array([np.bincount(key[line], minlength=size) for line in reached], dtype=np.int64).reshape(len(names), size)
    customers = np.repeat(population[there], len(names))
    found = hits[:, there].T.ravel()
    content: dict[str, Column] = {"stage": _output.words(backend, stages, np.repeat(there // len(order), len(names)))}
    if group is not None:
        content[group[0]] = _output.take_or_null(group[2], np.repeat(order[there % len(order)], len(names)))
    content |= {
        "kpi": _output.words(backend, names, np.tile(np.arange(len(names)), len(there))), "customers": customers, "reached": found,
        **rates.columns("rate", found, customers, confidence),
    }  # fmt: skip
    return _output.build(backend, content)
