"""Repeat purchases day by day, of customers who were first seen while a model learned."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial as bind
from typing import Any

import numpy as np

from opsmetrics import _checks, _parts, activity
from opsmetrics._frames import Ints
from opsmetrics.lifetime_value import summaries
from opsmetrics.lifetime_value.summaries import Rules


def repeats_by_day(orders: Any, asked: Mapping[str, Any], calibration_end: str) -> tuple[Ints, int, int]:
    """How many repeat purchases each day saw, from the first day with an order on; that day, and the last of the learning."""
    uses = activity.uses_of(asked["customer"], asked["time"], asked["amount"])
    log = activity.observe("orders", orders, uses, tz=asked["tz"], as_of=asked["as_of"], period="day")
    end = log.observed.clock.day_of("calibration_end", _checks.moment("calibration_end", calibration_end))
    rules = Rules(log, end, holdout=True, refunds=asked["refunds"])
    parts = _parts.fold(log.source, bind(_repeats, rules=rules))
    first = min(int(days[0].min()) for days in parts if len(days[0]))
    found = np.zeros(log.observed.last - first + 1, dtype=np.int64)
    for _, repeats in parts:
        found += np.bincount(repeats - first, minlength=len(found))
    return found, first, end


def _repeats(part: _parts.Part, rules: Rules) -> tuple[Ints, Ints]:
    """The first days of some whole customers, and the days of all their repeat purchases."""
    orders = summaries.orders_of(part, rules)[0].purchases
    pairs = np.unique(np.stack([orders.codes, orders.units]), axis=1)
    codes, days = pairs
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    first = days[starts]
    known = np.repeat(first, np.diff(np.append(starts, len(codes)))) <= rules.end
    repeat = np.ones(len(codes), dtype=np.bool_)
    repeat[starts] = False
    return first[first <= rules.end], days[known & repeat]
