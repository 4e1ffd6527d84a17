"""Local days against the standard library's own arithmetic, in zones chosen for their traps."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from opsmetrics._kernels import calendars
from opsmetrics._kernels.calendars import TICKS_PER_DAY, day_offsets, local_day, local_days, midnight

ZONES = {
    "Asia/Shanghai": "no change since 1991",
    "America/New_York": "changes at 2 in the morning",
    "Europe/London": "UTC in winter; British Standard Time until 1971",
    "America/Sao_Paulo": "clocks went forward at midnight: some days begin at 1 o'clock",
    "Australia/Lord_Howe": "changes by half an hour",
    "Asia/Kathmandu": "a quarter of an hour off",
    "Pacific/Apia": "skipped 30 December 2011",
    "America/St_Johns": "clocks went back at one minute past midnight: some days were left and entered again",
    "Africa/Casablanca": "goes back for Ramadan",
    "America/Havana": "clocks go back at 1 o'clock to midnight: midnight comes twice",
}
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
SECONDS = st.integers(-2_000_000_000, 4_000_000_000)  # 1906 to 2096
DAYS = st.integers(-20_000, 40_000)
STAMPS = st.builds(lambda base, others: [base, *(base + o for o in others)], SECONDS, st.lists(st.integers(0, 10**8), max_size=20))
"""Instants of three years, as a shop has them: a span in which clocks change."""

a_few = settings(max_examples=25)
every_zone = pytest.mark.parametrize("name", ZONES)
every_unit = pytest.mark.parametrize("unit", UNITS)


def day_of(second: int, zone: dt.tzinfo) -> int:
    """The standard library's answer."""
    return ((EPOCH + dt.timedelta(seconds=second)).astimezone(zone).date() - EPOCH.date()).days


def instant(text: str) -> int:
    """Seconds since 1970 of an instant with an offset."""
    return int(dt.datetime.fromisoformat(text).timestamp())


# --------------------------------------------------------------------------------------------------------- local days


@every_zone
@every_unit
@a_few
@given(seconds=STAMPS)
def test_days_are_those_of_the_standard_library(name, unit, seconds):
    zone = ZoneInfo(name)
    ticks = np.array(seconds, dtype=np.int64) * UNITS[unit]
    assert local_days(ticks, unit, zone).tolist() == [day_of(second, zone) for second in seconds]


@every_zone
@every_unit
@a_few
@given(day=DAYS, second=st.integers(-5400, 5400), year=st.integers(-3, 3))
def test_days_near_midnight_are_those_of_the_standard_library(name, unit, day, second, year):
    """Where a wrong offset shows: within 90 minutes of a local midnight, beside an instant years away."""
    zone = ZoneInfo(name)
    near = midnight(day, "s", zone) + second
    far = near + year * 365 * 86_400
    days = local_days(np.array([near, far]) * UNITS[unit], unit, zone)
    assert days.tolist() == [day_of(near, zone), day_of(far, zone)]


@every_zone
@a_few
@given(seconds=STAMPS, fraction=st.integers(0, 999_999_999))
def test_fractions_of_a_second_change_nothing(name, seconds, fraction):
    zone = ZoneInfo(name)
    ticks = np.array(seconds, dtype=np.int64)
    assert local_days(ticks * 10**9 + fraction, "ns", zone).tolist() == local_days(ticks, "s", zone).tolist()


@every_unit
@given(seconds=st.lists(SECONDS, min_size=1))
def test_the_wall_clock_has_days_of_24_hours(unit, seconds):
    ticks = np.array(seconds, dtype=np.int64) * UNITS[unit]
    assert local_days(ticks, unit, None).tolist() == [second // 86_400 for second in seconds]


@pytest.mark.parametrize(("tick", "day"), [(-1, -1), (0, 0), (86_399, 0), (86_400, 1), (-86_400, -1), (-86_401, -2)])
@every_unit
def test_days_before_1970_are_rounded_down(unit, tick, day):
    first = tick * UNITS[unit]
    assert local_days(np.array([first]), unit, None).tolist() == [day]
    assert local_days(np.array([first]), unit, dt.UTC).tolist() == [day]


@given(st.lists(DAYS))
def test_days_are_days_already(days):
    ticks = np.array(days, dtype=np.int64)
    assert local_days(ticks, "D", None).tolist() == local_days(ticks, "D", ZoneInfo("Asia/Shanghai")).tolist() == days


def test_no_ticks_have_no_days():
    assert local_days(np.empty(0, dtype=np.int64), "ns", ZoneInfo("Europe/London")).size == 0


@given(second=SECONDS, minutes=st.integers(-14 * 60, 14 * 60))
def test_fixed_offsets_are_added(second, minutes):
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    assert local_day(second * 10**9, zone) == (second + minutes * 60) // 86_400


@pytest.mark.parametrize(("tick", "day"), [(-1, -1), (0, 0), (86_400 * 10**9 - 1, 0), (-86_400 * 10**9 - 1, -2)])
def test_the_day_of_one_instant_is_rounded_down_too(tick, day):
    assert local_day(tick, None) == local_day(tick, dt.UTC) == day


def test_a_stamp_in_utc_belongs_to_the_local_day():
    """The trap that puts an order of 1 December, half past midnight in Shanghai, into November."""
    stamp = instant("2025-11-30T16:30:00+00:00")
    assert local_day(stamp * 10**9, ZoneInfo("Asia/Shanghai")) == (dt.date(2025, 12, 1) - EPOCH.date()).days
    assert local_day(stamp * 10**9, None) == (dt.date(2025, 11, 30) - EPOCH.date()).days


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("year", [-2_000, 0, 1, 9_999, 12_000])
def test_stamps_outside_pythons_calendar_are_placed_by_the_nearest_offset(unit, year):
    """Garbage such as the year 12000 must not stop a report on the rest."""
    second = (year - 1970) * 31_556_952
    (day,) = local_days(np.array([second * UNITS[unit]]), unit, ZoneInfo("Asia/Shanghai"))
    assert abs(day - second // 86_400) <= 1


def test_the_ends_of_nanoseconds_are_days_too():
    """Nanoseconds begin in 1677 and end in 2262; arithmetic at their ends must not wrap round."""
    ends = np.array([np.iinfo(np.int64).min + 86_400 * 10**9, np.iinfo(np.int64).max - 86_400 * 10**9])
    for name in ("America/New_York", "Asia/Shanghai"):
        zone = ZoneInfo(name)
        assert local_days(ends, "ns", zone).tolist() == [day_of(int(tick) // 10**9, zone) for tick in ends]


# ----------------------------------------------------------------------------------------------------------- midnight


@every_zone
@every_unit
@a_few
@given(day=DAYS)
def test_midnight_is_the_first_tick_of_the_day(name, unit, day):
    zone = ZoneInfo(name)
    assume((name, day) != ("Pacific/Apia", SKIPPED))
    first = midnight(day, unit, zone)
    before, at = local_days(np.array([first - 1, first]), unit, zone).tolist()
    assert before < day == at
    assert first % UNITS[unit] == 0


@every_zone
def test_each_day_begins_after_the_one_before(name):
    """Twenty years without a gap; days of more or less than 24 hours are those of changes."""
    zone = ZoneInfo(name)
    starts = [midnight(day, "s", zone) for day in range(14_000, 21_500)]
    hours = {(after - before) / 3600 for before, after in itertools.pairwise(starts)}
    expected = {
        "Asia/Shanghai": {24},
        "Asia/Kathmandu": {24},
        "Australia/Lord_Howe": {23.5, 24, 24.5},
        "Pacific/Apia": {0, 23, 24, 25},
    }
    assert hours == expected.get(name, {23, 24, 25})


@every_unit
def test_the_wall_clock_begins_its_days_at_midnight(unit):
    assert midnight(20_000, unit, None) == 20_000 * TICKS_PER_DAY[unit]
    assert midnight(-3, unit, None) == -3 * TICKS_PER_DAY[unit]
    assert midnight(20_000, "D", ZoneInfo("Asia/Shanghai")) == 20_000


def _day(text: str) -> int:
    return (dt.date.fromisoformat(text) - EPOCH.date()).days


SKIPPED = _day("2011-12-30")


@pytest.mark.parametrize(
    ("name", "day", "begins"),
    [
        ("Asia/Shanghai", "2026-01-31", "2026-01-31T00:00:00+08:00"),
        ("Asia/Kathmandu", "2026-01-31", "2026-01-31T00:00:00+05:45"),
        ("America/New_York", "2026-03-08", "2026-03-08T00:00:00-05:00"),
        ("America/New_York", "2026-03-09", "2026-03-09T00:00:00-04:00"),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T01:00:00-02:00"),
        ("America/Sao_Paulo", "2018-02-18", "2018-02-18T00:00:00-03:00"),
        ("America/Havana", "2025-11-02", "2025-11-02T00:00:00-04:00"),
        ("America/St_Johns", "2010-11-07", "2010-11-07T00:00:00-02:30"),
        ("Pacific/Apia", "2011-12-29", "2011-12-29T00:00:00-10:00"),
        ("Pacific/Apia", "2011-12-31", "2011-12-31T00:00:00+14:00"),
    ],
)
@every_unit
def test_where_days_begin(name, day, begins, unit):
    assert midnight(_day(day), unit, ZoneInfo(name)) == instant(begins) * UNITS[unit]


def test_a_skipped_day_is_empty():
    """Samoa went from Thursday to Saturday: the Friday begins and ends at the same instant."""
    zone = ZoneInfo("Pacific/Apia")
    assert midnight(SKIPPED, "s", zone) == midnight(SKIPPED + 1, "s", zone)
    assert SKIPPED not in local_days(np.arange(midnight(SKIPPED - 1, "s", zone), midnight(SKIPPED + 2, "s", zone), 600), "s", zone)


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Europe/London", "2026-03-29", 23),
        ("Europe/London", "2026-10-25", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("America/Sao_Paulo", "2018-11-04", 23),
        ("America/Sao_Paulo", "2018-02-17", 25),
        ("Asia/Shanghai", "2026-03-29", 24),
    ],
)
@every_unit
def test_days_have_the_hours_they_have(name, day, hours, unit):
    zone = ZoneInfo(name)
    first, after = midnight(_day(day), unit, zone), midnight(_day(day) + 1, unit, zone)
    assert after - first == hours * 3600 * UNITS[unit]
    half_hours = np.arange(first, after, 1800 * UNITS[unit])
    assert set(local_days(half_hours, unit, zone).tolist()) == {_day(day)}


# ------------------------------------------------------------------------------------------------------------ offsets


@every_zone
@a_few
@given(second=SECONDS)
def test_offsets_of_a_day_are_those_of_the_standard_library(name, second):
    zone = ZoneInfo(name)
    before, change, after = day_offsets(zone, second // 86_400)
    found = before if second < change else after
    assert found == (EPOCH + dt.timedelta(seconds=second)).astimezone(zone).utcoffset().total_seconds()


@every_zone
def test_offsets_change_at_the_very_second(name):
    zone = ZoneInfo(name)
    for day in range(instant("2005-01-01T00:00:00+00:00") // 86_400, instant("2020-01-01T00:00:00+00:00") // 86_400):
        before, change, after = day_offsets(zone, day)
        if before != after:
            assert day * 86_400 < change < (day + 1) * 86_400
            assert (EPOCH + dt.timedelta(seconds=change - 1)).astimezone(zone).utcoffset().total_seconds() == before
            assert (EPOCH + dt.timedelta(seconds=change)).astimezone(zone).utcoffset().total_seconds() == after


def test_a_zone_with_two_changes_a_year_has_thirty_in_fifteen():
    days = range(instant("2005-01-01T00:00:00+00:00") // 86_400, instant("2020-01-01T00:00:00+00:00") // 86_400)
    offsets = [day_offsets(ZoneInfo("America/New_York"), day) for day in days]
    assert sum(before != after for before, _, after in offsets) == 30


def test_stamps_far_apart_ask_the_zone_only_of_their_own_days():
    day_offsets.cache_clear()
    local_days(np.array([-62_000_000_000, 0, 250_000_000_000], dtype=np.int64), "s", ZoneInfo("America/New_York"))
    assert day_offsets.cache_info().misses == 3


def test_units_are_consistent():
    assert {unit: calendars.TICKS_PER_DAY[unit] for unit in UNITS} == {unit: 86_400 * per for unit, per in UNITS.items()}
    assert calendars.TICKS_PER_DAY["D"] == 1
    assert np.datetime64("NaT").view(np.int64) == calendars.MISSING
