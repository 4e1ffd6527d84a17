"""Calendars cut into periods that are numbered without gaps: weeks, months, quarters, years, or spans of so many days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

MONTHS_IN = {"month": 1, "quarter": 3, "year": 12}
"""Months in the periods that are made of months."""

WORDS = ("day", "week", *MONTHS_IN)

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_MONDAY = -3
"""1970-01-01 was a Thursday."""


@dataclass(frozen=True, slots=True)
class Periods:
    """Periods of so many months, or of so many days of which one begins on the day `anchor`; a day is a count since 1970-01-01."""

    months: int = 0
    days: int = 0
    anchor: int = 0

    @classmethod
    def of(cls, word: str, week_start: str = "monday") -> Self:
        """The periods of the calendar; weeks begin on Monday (ISO 8601) unless another day is named."""
        if word in MONTHS_IN:
            return cls(months=MONTHS_IN[word])
        return cls(days=1) if word == "day" else cls(days=7, anchor=_MONDAY + WEEKDAYS.index(week_start))

    def number(self, days: Ints) -> Ints:
        """The number of the period that each day lies in. Rows are many and days are few, so each day is numbered once."""
        if days.size == 0 or self.days == 1:
            return days - self.anchor
        low, high = int(days.min()), int(days.max())
        if high - low >= days.size:
            return self._number(days)
        return self._number(np.arange(low, high + 1))[days - low]

    def _number(self, days: Ints) -> Ints:
        if self.days:
            return (days - self.anchor) // self.days
        return np.asarray(days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) // self.months)

    def start(self, numbers: Ints) -> Ints:
        """The first day of each period."""
        if self.days:
            return numbers * self.days + self.anchor
        return np.asarray((numbers * self.months).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64))

    def starts(self, days: Ints) -> Ints:
        """The first day of the period that each day lies in."""
        return self.start(self.number(days))
