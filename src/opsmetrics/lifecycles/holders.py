"""Who is in which stage of A-I-P-L: customers, the place of their stage, their channel, and the tables that say so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from opsmetrics import _frames, _output
from opsmetrics._frames import Backend, Column, Ints, Values
from opsmetrics._kernels import grouping
from opsmetrics._results import Later

NAMES: Final = {
    "en": ("awareness", "interest", "purchase", "loyalty"),
    "zh": ("认知", "兴趣", "购买", "忠诚"),
}
"""The stages from the lowest to the highest, by language."""

SIZE: Final = 4


@dataclass(frozen=True, slots=True)
class Holders:
    """Customers in a stage: their ids, the place of the stage and, where a channel was named, its code (-1 where null) and its values."""

    people: Values
    level: Ints
    channel: tuple[Ints, Values] | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report was asked: the columns by argument, the names of the stages, and the first moment after it, in seconds since 1970."""

    backend: Backend
    columns: dict[str, str]
    names: Sequence[str]
    end: Fraction


def tables(holders: Holders, asked: Asked) -> dict[str, Any]:
    """The tables of a report; that of customers, which is large, when it is asked for."""
    backend, names = asked.backend, asked.names
    counts = np.bincount(holders.level, minlength=SIZE)
    content: dict[str, Column] = {
        "stage": _output.words(backend, names, np.arange(SIZE)),
        "customers": counts,
        "customer_share": grouping.ratio(counts, counts.sum()),
    }
    found = {"table": _output.build(backend, content), "customers": Later(_customers(holders, asked))}
    if holders.channel is not None:
        codes, values = holders.channel
        order, place = by_size("channel", codes, values)
        split: dict[str, Column] = {
            asked.columns["channel"]: _output.take_or_null(values, np.repeat(order, SIZE)),
            "stage": _output.words(backend, names, np.tile(np.arange(SIZE), len(order))),
            "customers": np.bincount(place * SIZE + holders.level, minlength=len(order) * SIZE),
        }
        found["channels"] = _output.build(backend, split)
    return found


def _customers(holders: Holders, asked: Asked) -> Callable[[], Any]:
    """One row per customer, in the order of the ids."""

    def make() -> Any:
        order = _frames.sort_order(holders.people, "customer")
        rows = np.arange(len(holders.level)) if order is None else order
        content: dict[str, Column] = {
            asked.columns["customer"]: _frames.take(holders.people, rows),
            "stage": _output.words(asked.backend, asked.names, holders.level[rows]),
        }
        if holders.channel is not None:
            codes, values = holders.channel
            content[asked.columns["channel"]] = _output.take_or_null(values, codes[rows])
        return _output.build(asked.backend, content)

    return make


def by_size(argument: str, codes: Ints, values: Values) -> tuple[Ints, Ints]:
    """The codes of groups, the largest first, then in the order of their values, null (-1) last where there is one; each code's place."""
    sizes = np.bincount(codes[codes >= 0], minlength=len(values))
    order = np.lexsort((_frames.rank(values, argument), -sizes))
    order = order[sizes[order] > 0]
    if (codes < 0).any():
        order = np.append(order, -1)
    place = np.zeros(len(values) + 1, dtype=np.int64)
    place[order] = np.arange(len(order))
    return order, place[codes]
