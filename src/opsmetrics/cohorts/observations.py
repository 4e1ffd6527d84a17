"""Spans as the questions of this family take them: one that has to be given, in days or in elapsed time, or several."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks
from opsmetrics.errors import ParameterError

Bools = npt.NDArray[np.bool_]


def span(argument: str, value: int | str | dt.timedelta | None) -> int:
    """A whole number of days, which has to be given."""
    found = _checks.days(argument, value)
    if found is None:
        raise ParameterError(
            f"{argument}=None must be a whole number of days, one or more: 90, '90D', '12W' or a timedelta of days.",
            code=f"parameter.{argument}",
        )
    return found


def elapsed(argument: str, value: int | str | dt.timedelta | None) -> int:
    """A span of elapsed time in nanoseconds, which has to be given; a bare number is days."""
    found = _checks.duration(argument, value, least=1, days=True)
    if found is None:
        raise ParameterError(
            f"{argument}=None is no span of time; give a number of days, or write it with its unit, as in '48h'.",
            code=f"parameter.{argument}",
        )
    return found


def spans(argument: str, values: int | str | dt.timedelta | Sequence[int | str | dt.timedelta]) -> tuple[int, ...]:
    """One number of days or several, each once."""
    several = isinstance(values, (list, tuple, range)) or (isinstance(values, np.ndarray) and values.ndim > 0)
    found = tuple(span(argument, value) for value in (cast("Sequence[Any]", values) if several else [cast("Any", values)]))
    if not found:
        raise ParameterError(f"{argument}=[] is empty; give at least one number of days, such as 90.", code=f"parameter.{argument}")
    if repeated := sorted({days for days in found if found.count(days) > 1}):
        raise ParameterError(
            f"{argument}={list(found)} repeats {repeated}; give each number of days once: {sorted(set(found))}.",
            code=f"parameter.{argument}",
        )
    return found
