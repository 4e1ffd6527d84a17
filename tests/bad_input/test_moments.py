"""Points in time: the end of the report, time zones, the window, units, and the ends of the calendar."""

from __future__ import annotations

import datetime as dt

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

import opsmetrics as om
from tests.bad_input.cases import Case, at, check_refused, orders, refuse, rfm, settled, summary
from tests.support import Kind, columns_of

NEW_YORK, SHANGHAI, SAO_PAULO = "America/New_York", "Asia/Shanghai", "America/Sao_Paulo"
NO_POINT = (om.ParameterError, "parameter.as_of", "is not a point in time")
NO_ISO = (om.ParameterError, "parameter.as_of", "is not an ISO 8601 date or time")
NO_ZONE = (om.ParameterError, "parameter.tz", "is not a time zone")
NO_SPAN = (om.ParameterError, "parameter.window", "must be a whole number of days, one or more")

ARGUMENTS = [
    refuse("as_of None", lambda: summary(orders(), as_of=None), *NO_POINT, "as_of=None"),
    refuse("as_of NaT", lambda: summary(orders(), as_of=pd.NaT), *NO_POINT, "as_of=NaT"),
    refuse("as_of numpy NaT", lambda: summary(orders(), as_of=np.datetime64("NaT")), *NO_POINT),
    refuse("as_of number", lambda: summary(orders(), as_of=20260131), *NO_POINT, "as_of=20260131"),
    refuse("as_of fraction", lambda: summary(orders(), as_of=1.5), *NO_POINT),
    refuse("as_of boolean", lambda: summary(orders(), as_of=True), *NO_POINT),
    refuse("as_of list", lambda: summary(orders(), as_of=["2026-01-31"]), *NO_POINT),
    refuse("as_of bytes", lambda: summary(orders(), as_of=b"2026-01-31"), *NO_POINT),
    refuse("as_of Series", lambda: summary(orders(), as_of=pd.Series(["2026-01-31"])), *NO_POINT),
    refuse("as_of time of day", lambda: summary(orders(), as_of=dt.time(1, 2)), *NO_POINT),
    refuse("as_of period", lambda: summary(orders(), as_of=pd.Period("2026-01")), *NO_POINT),
    refuse("as_of garbage", lambda: summary(orders(), as_of="garbage"), *NO_ISO, "as_of='garbage'"),
    refuse("as_of empty", lambda: summary(orders(), as_of=""), *NO_ISO),
    refuse("as_of month", lambda: summary(orders(), as_of="2026-01"), *NO_ISO),
    refuse("as_of 30 February", lambda: summary(orders(), as_of="2026-02-30"), *NO_ISO),
    refuse("as_of slashes", lambda: summary(orders(), as_of="2026/01/31"), *NO_ISO),
    refuse("as_of word", lambda: summary(orders(), as_of="today"), *NO_ISO),
    refuse("tz near miss", lambda: summary(orders(), tz="Asia/Shangai"), *NO_ZONE, "tz='Asia/Shangai'", "Did you mean 'Asia/Shanghai'?"),
    refuse("tz wrong case", lambda: summary(orders(), tz="asia/shanghai"), *NO_ZONE, "Did you mean 'Asia/Shanghai'?"),
    refuse("tz empty", lambda: summary(orders(), tz=""), *NO_ZONE),
    refuse("tz path", lambda: summary(orders(), tz="../etc/passwd"), *NO_ZONE),
    refuse("tz number", lambda: summary(orders(), tz=8), *NO_ZONE, "tz=8"),
    refuse("tz object", lambda: summary(orders(), tz=dt.UTC), *NO_ZONE),
    refuse("tz offset out of range", lambda: summary(orders(), tz="+25:00"), *NO_ZONE),
    refuse("window 0", lambda: summary(orders(), window=0), *NO_SPAN, "window=0", "90, '90D', '12W'"),
    refuse("window negative", lambda: summary(orders(), window=-1), *NO_SPAN),
    refuse("window unit", lambda: summary(orders(), window="90X"), *NO_SPAN, "window='90X'"),
    refuse("window month", lambda: summary(orders(), window="1M"), *NO_SPAN),
    refuse("window '90'", lambda: summary(orders(), window="90"), *NO_SPAN),
    refuse("window '0D'", lambda: summary(orders(), window="0D"), *NO_SPAN),
    refuse("window fraction", lambda: summary(orders(), window=1.5), *NO_SPAN),
    refuse("window 1.5 days", lambda: summary(orders(), window=dt.timedelta(days=1.5)), *NO_SPAN),
    refuse("window 90 days and a nanosecond", lambda: summary(orders(), window=pd.Timedelta(days=90, nanoseconds=1)), *NO_SPAN),
    refuse(
        "window 90 numpy days and a nanosecond", lambda: summary(orders(), window=np.timedelta64(90 * 86_400 * 10**9 + 1, "ns")),
        *NO_SPAN,
    ),
    refuse("window boolean", lambda: summary(orders(), window=True), *NO_SPAN),
    refuse("window NaN", lambda: summary(orders(), window=float("nan")), *NO_SPAN),
    refuse("window NaT", lambda: summary(orders(), window=pd.NaT), *NO_SPAN),
    refuse("window numpy NaT", lambda: summary(orders(), window=np.timedelta64("NaT")), *NO_SPAN),
    refuse("window numpy months", lambda: summary(orders(), window=np.timedelta64(3, "M")), *NO_SPAN),
    refuse("window numpy years", lambda: summary(orders(), window=np.timedelta64(1, "Y")), *NO_SPAN),
    refuse("window 5,000 digits", lambda: summary(orders(), window="9" * 5000 + "D"), *NO_SPAN),
    refuse("window too long", lambda: summary(orders(), window=10**9), om.ParameterError, "parameter.window", "1,000,000 days"),
    refuse("window list", lambda: summary(orders(), window=[90]), *NO_SPAN),
    refuse("window in rfm", lambda: rfm(orders(), window="90X"), *NO_SPAN),
]  # fmt: skip


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


# ---------------------------------------------------------------------------------------------- the end of the report

SAME_DAY = [
    "2026-01-20", "20260120", "2026-W04-2", " 2026-01-20 ", dt.date(2026, 1, 20), np.datetime64("2026-01-20"), np.str_("2026-01-20"),
    "2026-01-20 11:00", "2026-01-20T11:00:00", dt.datetime(2026, 1, 20, 11), pd.Timestamp("2026-01-20 11:00"),
    np.datetime64("2026-01-20T11"), np.datetime64("2026-01-20T11:00:00", "ns"), pd.Timestamp("2026-01-20 11:00:00.000000001"),
]  # fmt: skip


@pytest.mark.parametrize("as_of", SAME_DAY, ids=repr)
def test_a_day_is_included_to_its_end_and_an_instant_is_included_itself(as_of: object) -> None:
    found = summary(orders(), as_of=as_of)
    assert columns_of(found.table)["recency"] == [0, 15, 14]
    assert found.dropped == {}


JUST_BEFORE = [
    "2026-01-20 10:59:59",
    pd.Timestamp("2026-01-20 10:59:59.999999999"),
    np.datetime64("2026-01-20T10:59"),
    pd.Timestamp("2026-01-20"),
]


@pytest.mark.parametrize("as_of", JUST_BEFORE, ids=repr)
def test_an_instant_before_the_last_order_leaves_it_out_and_counts_it(as_of: object) -> None:
    found = summary(orders(), as_of=as_of)
    assert columns_of(found.table)["recency"] == [18, 15, 14]
    assert found.dropped == {"after as_of": 1}


def test_as_of_before_everything(kind: Kind) -> None:
    frame = kind.make(orders())
    says = ["as_of='2020-01-01'", "4 after as_of", "later as_of"]
    check_refused(lambda: summary(frame, as_of="2020-01-01"), om.DataError, "data.no_purchases", says)


FAR = ["9999-12-31", "9999-12-31 23:59:59", dt.date.max, dt.datetime.max, pd.Timestamp("9999-12-31 23:59:59")]


@pytest.mark.parametrize("as_of", FAR, ids=repr)
def test_as_of_far_in_the_future(as_of: object, kind: Kind) -> None:
    found = summary(kind.make(orders()), as_of=as_of)
    assert columns_of(found.table)["recency"] == [2_912_423, 2_912_438, 2_912_437]
    assert found.dropped == {}


@pytest.mark.parametrize("as_of", [np.datetime64("9999-12-31T00:00:00", "s"), np.datetime64("2300-01-01T00:00", "m")], ids=repr)
def test_a_numpy_as_of_beyond_nanoseconds_is_not_wrapped_around(as_of: np.datetime64) -> None:
    assert summary(orders(), as_of=as_of).dropped == {}


def test_a_numpy_as_of_before_nanoseconds_is_not_wrapped_around() -> None:
    """2**64 nanoseconds after 1600 lie in the year 2184, when all four orders would be in the past."""
    as_of = np.datetime64("1600-01-01T00:00:00", "s")
    check_refused(lambda: summary(orders(), as_of=as_of), om.DataError, "data.no_purchases", ["4 after as_of"])


@pytest.mark.parametrize("tz", ["UTC", SHANGHAI, NEW_YORK, "+08:00"])
@pytest.mark.parametrize("as_of", ["9999-12-31", "9999-12-30"])
def test_as_of_at_the_end_of_the_calendar_with_a_zone(as_of: str, tz: str) -> None:
    assert sum(columns_of(summary(orders(), as_of=as_of, tz=tz).table)["frequency"]) == 4


@pytest.mark.parametrize("tz", [None, "UTC", SHANGHAI, NEW_YORK])
@pytest.mark.parametrize("window", [36_500, "52W", 700_000, 1_000_000])
def test_a_window_longer_than_the_data(window: int | str, tz: str | None) -> None:
    assert sum(columns_of(summary(orders(), window=window, tz=tz).table)["frequency"]) == 4


@pytest.mark.parametrize(
    "window", [11, "11D", np.int64(11), dt.timedelta(days=11), pd.Timedelta(days=11), np.timedelta64(11, "D")], ids=repr
)
def test_a_window_counts_the_last_day(window: object, kind: Kind) -> None:
    frame = kind.make(orders())
    check_refused(lambda: summary(frame, window=window), om.DataError, "data.no_purchases", ["4 before window", "longer window"])
    found = summary(frame, window=window, as_of="2026-01-30")
    assert columns_of(found.table)["uid"] == ["a"]
    assert found.dropped == {"before window": 3}


# ------------------------------------------------------------------------------------------------------- time zones


def in_zone(zone: object) -> pd.DataFrame:
    frame = orders()
    return frame.assign(paid_at=frame["paid_at"].dt.tz_localize(zone))


def test_a_naive_as_of_against_times_with_a_zone(kind: Kind) -> None:
    frame = kind.make(in_zone("UTC"))
    says = ["as_of='2026-01-31 12:00:00' has no time zone", "add an offset"]
    check_refused(lambda: summary(frame, as_of="2026-01-31 12:00"), om.ParameterError, "parameter.as_of.naive", says)


def test_an_as_of_with_a_zone_against_naive_times(kind: Kind) -> None:
    frame = kind.make(orders())
    says = ["as_of='2026-01-31 12:00:00+08:00' has a time zone", "tz="]
    check_refused(lambda: summary(frame, as_of="2026-01-31 12:00+08:00"), om.ParameterError, "parameter.as_of.aware", says)


def test_an_as_of_with_a_zone_against_days_is_not_told_to_give_tz() -> None:
    """Days allow no tz, so the advice would lead from one error to the next."""
    frame = pl.from_pandas(orders()).with_columns(pl.col("paid_at").cast(pl.Date))
    error = check_refused(lambda: summary(frame, as_of="2026-01-31 12:00Z"), om.ParameterError, "parameter.as_of.aware")
    assert "tz=" not in str(error), str(error)


@pytest.mark.parametrize("make", [pl.DataFrame, pl.DataFrame.lazy, pl.DataFrame.to_arrow, lambda f: duckdb.from_arrow(f.to_arrow())])
def test_a_zone_for_days(make) -> None:
    frame = make(pl.from_pandas(orders()).with_columns(pl.col("paid_at").cast(pl.Date)))
    check_refused(lambda: summary(frame, tz=SHANGHAI), om.ParameterError, "parameter.tz", [f"tz={SHANGHAI!r}", "Leave tz out"])
    assert columns_of(summary(frame).table)["recency"] == [11, 26, 25]
    assert summary(frame, as_of="2026-01-20 00:00").dropped == {}, "a day is a whole: an instant inside it includes it"


def test_naive_times_are_utc_where_a_zone_is_given(kind: Kind) -> None:
    stamps = ["2026-01-30 15:59:00", "2026-01-30 16:00:00", "2026-01-31 15:59:59", "2026-01-31 16:00:00"]
    found = summary(kind.make(orders(uid=list("abcd"), paid_at=pd.to_datetime(stamps))), tz=SHANGHAI)
    assert columns_of(found.table)["recency"] == [1, 0, 0]
    assert found.dropped == {"after as_of": 1}
    assert found.params["tz"] == SHANGHAI


@pytest.mark.parametrize("kind_of", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def test_times_parsed_with_an_offset(kind_of) -> None:
    """What `pandas.to_datetime` makes of "2026-01-02T10:00:00+08:00" is a column in the zone UTC+08:00."""
    parsed = pd.to_datetime([f"{stamp.replace(' ', 'T')}:00+08:00" for stamp in ("2026-01-02 10:00", "2026-01-20 23:30")])
    frame = pd.DataFrame({"uid": ["a", "b"], "paid_at": parsed, "amount": [1.0, 2.0]})
    native = frame if kind_of is pd.DataFrame else pl.from_pandas(frame.assign(paid_at=parsed.tz_convert("Asia/Shanghai")))
    assert columns_of(summary(native).table)["recency"] == [29, 11]
    assert columns_of(summary(native, as_of="2026-01-31 18:00+08:00").table)["recency"] == [29, 11]


ODD_ZONES = [dt.timezone(dt.timedelta(hours=8), "CST"), dt.timezone(dt.timedelta(hours=-3, minutes=-30)), "dateutil/Asia/Shanghai"]


@pytest.mark.parametrize("zone", ODD_ZONES, ids=str)
def test_an_odd_zone_is_not_blamed_on_an_argument_that_was_not_given(zone: object) -> None:
    found = settled(lambda: summary(in_zone(zone)))
    if isinstance(found, om.OpsmetricsError):
        assert str(found).startswith("time='paid_at'"), str(found)
        assert "Unknown" not in str(found), str(found)
    else:
        assert columns_of(found.table)["recency"] == [11, 26, 25]


def test_clocks_put_forward_and_back() -> None:
    """Days of 23 and 25 hours: 8 March and 1 November 2026 in New York."""
    spring = [dt.datetime(2026, 3, 8, 4, 59), dt.datetime(2026, 3, 8, 5), dt.datetime(2026, 3, 9, 3, 59), dt.datetime(2026, 3, 9, 4)]
    found = summary(at(spring), tz=NEW_YORK, window=1, as_of="2026-03-08")
    assert found.dropped == {"before window": 1, "after as_of": 1}
    assert columns_of(summary(at(spring), tz=NEW_YORK, frequency="days", as_of="2026-03-09").table)["frequency"] == [3]
    autumn = [dt.datetime(2026, 11, 1, 3, 59), dt.datetime(2026, 11, 1, 4), dt.datetime(2026, 11, 2, 4, 59), dt.datetime(2026, 11, 2, 5)]
    found = summary(at(autumn), tz=NEW_YORK, window=1, as_of="2026-11-01")
    assert found.dropped == {"before window": 1, "after as_of": 1}


def test_days_without_a_midnight_with_two_and_without_any_hour() -> None:
    skipped = [dt.datetime(2018, 11, 4, 2, 59), dt.datetime(2018, 11, 4, 3)]
    assert summary(at(skipped), tz=SAO_PAULO, window=1, as_of="2018-11-04").dropped == {"before window": 1}
    twice = [dt.datetime(2018, 2, 18, 1, 30), dt.datetime(2018, 2, 18, 2, 30), dt.datetime(2018, 2, 18, 3)]
    assert summary(at(twice), tz=SAO_PAULO, window=1, as_of="2018-02-17").dropped == {"after as_of": 1}
    samoa = [dt.datetime(2011, 12, 30, 9, 59), dt.datetime(2011, 12, 30, 10)]
    assert summary(at(samoa), tz="Pacific/Apia", as_of="2011-12-30").dropped == {"after as_of": 1}
    assert columns_of(summary(at(samoa), tz="Pacific/Apia", as_of="2011-12-31").table)["recency"] == [0]


# --------------------------------------------------------------------------------------------- units and ends of time


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_every_unit_of_time(unit: str) -> None:
    frame = orders().assign(paid_at=lambda f: f["paid_at"].astype(f"datetime64[{unit}]"))
    for tz in (None, SHANGHAI):
        assert columns_of(summary(frame, tz=tz).table)["recency"] == [11, 26, 25]
        assert columns_of(summary(frame, tz=tz, as_of="9999-12-30").table)["frequency"] == [2, 1, 1]
    assert summary(frame, as_of="2026-01-20 10:59:59.999999").dropped == {"after as_of": 1}


@pytest.mark.parametrize("make", [pl.DataFrame, pl.DataFrame.to_arrow, pl.DataFrame.to_pandas, lambda f: duckdb.from_arrow(f.to_arrow())])
def test_the_first_and_the_last_year(make) -> None:
    stamps = [dt.datetime(1, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), dt.datetime(9999, 12, 31, 23, 59, 59)]
    frame = make(at(stamps))
    found = summary(frame, as_of="9999-12-31")
    assert columns_of(found.table)["recency"] == [0]
    assert columns_of(found.table)["frequency"] == [3]
    assert columns_of(found.table)["first_order"] == [dt.datetime(1, 1, 1)]
    found = summary(frame, as_of="1969-12-31")
    assert columns_of(found.table)["recency"] == [0]
    assert found.dropped == {"after as_of": 1}


@pytest.mark.parametrize("make", [pl.DataFrame, pl.DataFrame.to_arrow, pl.DataFrame.to_pandas], ids=["polars", "pyarrow", "pandas"])
@pytest.mark.parametrize("frequency", ["orders", "days"])
def test_a_time_before_the_year_1_has_no_date(make, frequency: str) -> None:
    """Midnight UTC of the first day is still the year before in New York."""
    frame = make(at([dt.datetime(1, 1, 1)]))
    check_refused(
        lambda: summary(frame, tz=NEW_YORK, as_of="0001-12-31", frequency=frequency), om.DataError, "data.time", ["time='paid_at'"]
    )


@pytest.mark.parametrize("frequency", ["orders", "days"])
def test_an_infinite_time(frequency: str) -> None:
    """DuckDB has times before and after all others."""
    frame = duckdb.sql("SELECT 'a' AS uid, '-infinity'::TIMESTAMP AS paid_at, 1.0 AS amount")
    found = settled(lambda: summary(frame, frequency=frequency))
    assert isinstance(found, om.OpsmetricsError) or "Customer summary" in str(found)
    late = duckdb.sql("SELECT 'a' AS uid, 'infinity'::TIMESTAMP AS paid_at, 1.0 AS amount")
    check_refused(lambda: summary(late), om.DataError, "data.no_purchases")


def test_a_time_far_before_the_calendar_counted_by_days() -> None:
    stamps = np.array([-(10**13), 0], dtype="datetime64[s]")
    frame = pd.DataFrame({"uid": ["a", "b"], "paid_at": stamps, "amount": 1.0})
    check_refused(lambda: summary(frame, frequency="days"), om.DataError, "data.time", ["years 1 to 9999"])
