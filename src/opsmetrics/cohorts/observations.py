"""What the questions of this family share: where complete periods end, how columns of rates are made, and how arguments are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames
from opsmetrics._frames import Backend, Column, Floats, Ints
from opsmetrics._kernels import grouping, rates
from opsmetrics.activity import Log, Observed
from opsmetrics.errors import ParameterError

Bools = npt.NDArray[np.bool_]


def over(observed: Observed) -> int:
    """The number of the last period that is complete."""
    last = observed.last
    return last if bool(observed.complete(np.array([last]))[0]) else last - 1


def params_of(log: Log, period: str | int | None = None, week_start: str | None = None) -> dict[str, object]:
    """The parameters that all results tell."""
    told: dict[str, object] = {"columns": log.columns}
    if period is not None:
        told |= {"period": period if isinstance(period, str) else f"{period}D", "week_start": week_start if period == "week" else None}
    return told | {"as_of": log.observed.text, "tz": log.observed.clock.local} | log.observed.facts


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


def share_columns(
    name: str, taken: npt.ArrayLike, of: npt.ArrayLike, confidence: float, known: Bools, effective: Floats | None = None
) -> dict[str, Column]:
    """A rate with Wilson's interval, missing where it is not known or has nobody to speak of; clustered trials are worth fewer."""
    rate = grouping.ratio(taken, of)
    known = known & ~np.isnan(rate)
    trials = np.asarray(of, dtype=np.float64) if effective is None else effective
    successes = np.asarray(taken, dtype=np.float64) if effective is None else np.where(known, rate, 0.0) * trials
    low, high = rates.wilson(successes, trials, confidence)
    return {
        name: np.where(known, rate, np.nan),
        f"{name}_low": np.where(known, low, np.nan),
        f"{name}_high": np.where(known, high, np.nan),
    }


def count_column(backend: Backend, counts: Ints, known: Bools) -> Any:
    """Counts, null where they are not known."""
    return _frames.whole_or_null(backend, counts, known)
