"""What a calendar means for a column of times: which day a stamp belongs to, and where a report's last moment lies."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from opsmetrics import _checks
from opsmetrics._kernels import calendars
from opsmetrics._kernels.periods import Periods
from opsmetrics.errors import ParameterError

_YEAR_ONE = _checks.day_number(dt.date.min)
_YEAR_TEN_THOUSAND = _checks.day_number(dt.date.max) + 1


@dataclass(frozen=True, slots=True)
class Clock:
    """The unit and zone of a time column, and the zone whose calendar counts the days.

    `stored` is the zone the column itself knows. `local` is the zone of the calendar: `tz` where the caller gives it, else the
    column's own. Stamps without a zone are the wall clock, unless `tz` is given: then they are UTC.
    """

    unit: str
    stored: str | None
    local: str | None

    @classmethod
    def of(cls, unit: str, stored: str | None, tz: str | None) -> Self:
        """The clock of a column under the caller's `tz`."""
        if tz is not None:
            _checks.zone("tz", tz)
            if unit == "D":
                raise ParameterError(
                    f"tz={tz!r} has nothing to act on: the time column holds days, which are local already. Leave tz out.",
                    code="parameter.tz",
                )
        return cls(unit, stored, tz or stored)

    def covers(self, first: int, last: int) -> bool:
        """Whether ticks lie in the years 1 to 9999 of the calendar, beyond which no date can be written."""
        return self.midnight(_YEAR_ONE) <= first and last < self.midnight(_YEAR_TEN_THOUSAND)

    @property
    def zone(self) -> dt.tzinfo | None:
        """The calendar's zone; None for a wall clock."""
        return None if self.local is None else _checks.zone("tz", self.local)

    def days(self, ticks: calendars.Ints) -> calendars.Ints:
        """The local calendar day of each tick, as days since 1970-01-01."""
        return calendars.local_days(ticks, self.unit, self.zone)

    def periods(self, ticks: calendars.Ints, period: str) -> calendars.Ints:
        """The first day of the local day, week, month, quarter or year of each tick."""
        return Periods.of(period).starts(self.days(ticks))

    def midnight(self, day: int) -> int:
        """The first tick of a local day."""
        return calendars.midnight(day, self.unit, self.zone)

    def day_of(self, argument: str, moment: _checks.Moment) -> int:
        """The local day of a point in time."""
        if moment.day is not None:
            return _checks.day_number(moment.day)
        self._same_kind(argument, moment)
        return calendars.local_day(moment.nanoseconds or 0, self.zone)

    def end(self, argument: str, moment: _checks.Moment) -> int:
        """The first tick after a point in time: a day is included to its local end, an instant is included itself."""
        if moment.day is not None or self.unit == "D":
            return self.midnight(self.day_of(argument, moment) + 1)
        self._same_kind(argument, moment)
        per_second = calendars.TICKS_PER_DAY[self.unit] // 86_400
        return int(Fraction(moment.nanoseconds or 0) * per_second // 1_000_000_000) + 1

    def start(self, argument: str, moment: _checks.Moment) -> int:
        """The first tick at or after a point in time: a day begins at its local midnight."""
        if moment.day is not None or self.unit == "D":
            return self.midnight(self.day_of(argument, moment))
        self._same_kind(argument, moment)
        return -(-(moment.nanoseconds or 0) * self.per_second // 1_000_000_000)

    def between(self, argument: str, given: object) -> tuple[int, int]:
        """The ticks [begin, end) between a pair of moments, both included; either may be open, and None is always."""
        if given is None:
            return calendars.ALWAYS
        if not isinstance(given, (list, tuple)) or len(given) != 2:
            raise ParameterError(f"{argument}={given!r} must be a pair of moments; either may be None.", code=f"parameter.{argument}")
        first, last = (None if end is None else _checks.moment(argument, end) for end in given)
        begin = calendars.ALWAYS[0] if first is None else self.start(argument, first)
        end = calendars.ALWAYS[1] if last is None else self.end(argument, last)
        if begin >= end:
            raise ParameterError(f"{argument}={tuple(map(str, given))} ends before it begins; swap the two.", code=f"parameter.{argument}")
        return begin, end

    @property
    def per_second(self) -> Fraction:
        """Ticks in a second."""
        return Fraction(calendars.TICKS_PER_DAY[self.unit], 86_400)

    def whole_ticks(self, nanoseconds: int) -> int:
        """How many whole ticks fit in a span."""
        return int(nanoseconds * self.per_second // 1_000_000_000)

    def _same_kind(self, argument: str, moment: _checks.Moment) -> None:
        """An instant with a zone and stamps without one cannot be put on one line, nor the other way round."""
        if self.local is not None and not moment.aware:
            raise ParameterError(
                f"{argument}={moment.text!r} has no time zone, but the times are read in {self.local}; add an offset, as in "
                f"'{moment.text}+00:00', or give a plain day, which is a day of {self.local}.",
                code=f"parameter.{argument}.naive",
            )
        if self.local is None and moment.aware:
            raise ParameterError(
                f"{argument}={moment.text!r} has a time zone, but the times have none; give {argument} without one"
                + (
                    ", as a plain day."
                    if self.unit == "D"
                    else ", or tell with tz= where the shop's calendar is (the times are then read as UTC)."
                ),
                code=f"parameter.{argument}.aware",
            )
