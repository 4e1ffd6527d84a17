"""Periods of the calendar against pandas' and a walk along the days."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmetrics._kernels.periods import WEEKDAYS, Periods

EPOCH = dt.date(1970, 1, 1)
FIRST, LAST = (dt.date.min - EPOCH).days, (dt.date.max - EPOCH).days
DAYS = st.lists(st.integers(-800, 40_000) | st.integers(FIRST, LAST), min_size=1, max_size=30).map(np.array)
ALL = [*((word, "monday") for word in ("day", "month", "quarter", "year")), *(("week", day) for day in WEEKDAYS)]
EVERY = pytest.mark.parametrize(("word", "week_start"), ALL)


def date(day: int) -> dt.date:
    return EPOCH + dt.timedelta(days=int(day))


def first_day(day: int, word: str, week_start: str) -> dt.date:
    """The first day of the period, from the words."""
    found = date(day)
    match word:
        case "week":
            return found - dt.timedelta(days=(found.weekday() - WEEKDAYS.index(week_start)) % 7)
        case "month":
            return found.replace(day=1)
        case "quarter":
            return found.replace(month=(found.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return found.replace(month=1, day=1)
    return found


@EVERY
@given(days=DAYS)
def test_each_day_lies_in_its_period(word: str, week_start: str, days: np.ndarray) -> None:
    periods = Periods.of(word, week_start)
    days = days[days > FIRST + 6]
    assert [date(day) for day in periods.starts(days)] == [first_day(day, word, week_start) for day in days]
    numbers = periods.number(days)
    assert (periods.start(numbers) <= days).all()
    assert (days < periods.start(numbers + 1)).all()
    assert (periods.number(periods.start(numbers)) == numbers).all()


@EVERY
def test_numbers_leave_no_gap_over_forty_years(word: str, week_start: str) -> None:
    periods = Periods.of(word, week_start)
    numbers = periods.number(np.arange(-4_000, 11_000))
    assert set(np.diff(numbers).tolist()) <= {0, 1}
    codes = {"day": "D", "week": f"W-{WEEKDAYS[WEEKDAYS.index(week_start) - 1][:3].upper()}", "month": "M", "quarter": "Q", "year": "Y"}
    theirs = pd.date_range("1990-01-01", "2010-12-31").to_period(codes[word])
    ours = periods.starts(np.arange((dt.date(1990, 1, 1) - EPOCH).days, (dt.date(2010, 12, 31) - EPOCH).days + 1))
    assert ours.astype("datetime64[D]").tolist() == theirs.start_time.date.tolist()


@given(days=DAYS, length=st.integers(1, 400), anchor=st.integers(-500, 30_000))
def test_spans_of_days_begin_at_their_anchor(days: np.ndarray, length: int, anchor: int) -> None:
    periods = Periods(days=length, anchor=anchor)
    numbers = periods.number(days)
    assert numbers.tolist() == [(int(day) - anchor) // length for day in days]
    assert periods.number(np.array([anchor - 1, anchor, anchor + length])).tolist() == [-1, 0, 1]
    assert periods.start(np.array([0]))[0] == anchor
    assert (days - periods.starts(days) < length).all()


@pytest.mark.parametrize("word", ["month", "week", "day"])
def test_many_days_in_few_are_numbered_as_each_alone(word: str) -> None:
    """Where rows are more than days, each day is numbered once; few days far apart are numbered one by one."""
    periods = Periods.of(word)
    days = np.random.default_rng(0).integers(20_000, 20_100, 5_000)
    alone = [int(periods.number(np.array([day]))[0]) for day in days]
    assert periods.number(days).tolist() == alone
    assert periods.number(np.array([FIRST, LAST])).tolist() == [int(periods.number(np.array([day]))[0]) for day in (FIRST, LAST)]
    assert periods.number(np.empty(0, dtype=np.int64)).tolist() == []
