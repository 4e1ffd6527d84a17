"""Logs that the tests of the family share: random ones near the days on which clocks change, and one with many rows of one time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from tests.lifecycles import reference as slow

NAMES: dict[str, Any] = {"customer": "customer", "time": "time"}

CLOCKS = {
    None: dt.datetime(2026, 1, 28),
    "America/New_York": dt.datetime(2026, 3, 7),
    "US/Pacific": dt.datetime(2025, 10, 31),
    "America/Sao_Paulo": dt.datetime(2018, 11, 2),  # midnight was skipped on the 4th
    "America/Havana": dt.datetime(2025, 10, 31),  # midnight came twice on 2 November
    "Pacific/Apia": dt.datetime(2011, 12, 27),  # 30 December was skipped
    "Australia/Lord_Howe": dt.datetime(2026, 4, 3),
    "Asia/Shanghai": dt.datetime(2026, 12, 29),
    "Asia/Kathmandu": dt.datetime(2025, 12, 30),
}
PERIODS: list[tuple[str | int, int]] = [
    ("day", 8),
    ("week", 40),
    ("month", 200),
    ("quarter", 500),
    ("year", 1200),
    (28, 150),
    (3, 14),
    (1, 6),
]
"""Periods, and the days of a log that has a few of them."""


@dataclass(frozen=True)
class Case:
    """A log and the options of a call over it."""

    rows: list[slow.Row]
    rules: slow.Rules

    def frame(self) -> pd.DataFrame:
        made = pd.DataFrame(
            {
                "customer": pd.Series([row.customer for row in self.rows], dtype="string"),
                "time": pd.Series([row.time for row in self.rows], dtype="datetime64[us]"),
                "label": pd.Series([row.label for row in self.rows], dtype="string"),
            }
        )
        return made.assign(amount=[np.nan if row.cents is None else row.cents / 100 for row in self.rows])

    def options(self) -> dict[str, Any]:
        rules = self.rules
        found: dict[str, Any] = {"tz": rules.tz, "as_of": rules.as_of, "new_after": rules.new_after, "week_start": rules.week_start}
        return NAMES | found | {"period": rules.period} | ({"amount": "amount"} if rules.money else {})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Random logs near the days on which clocks change; nulls, refunds, ties of time, and ends of any kind."""
    random = Random(draw(st.integers(0, 2**32 - 1)))
    tz = draw(st.sampled_from(list(CLOCKS)))
    period, days = draw(st.sampled_from(PERIODS))
    money = draw(st.booleans())
    base = CLOCKS[tz]
    rows = []
    for _ in range(draw(st.integers(1, 45))):
        time = base + dt.timedelta(hours=random.randrange(days * 24)) if random.random() < 0.97 else None
        cents = random.choice([0, 100, 999, 1234, 250_000, 7, -300, -5000]) if random.random() < 0.95 else None
        label = random.choice(["ads", "web", "引流", None])
        rows.append(slow.Row(f"c{random.randrange(9)}" if random.random() < 0.96 else None, time, cents, label))
    rows.append(slow.Row("c0", base + dt.timedelta(hours=random.randrange(days * 24)), 500, "web"))
    as_of: dt.date | dt.datetime | None = None
    if draw(st.booleans()):
        at = base + dt.timedelta(days=random.randrange(-3, days + max(days // 3, 5)), hours=random.randrange(24))
        at += random.choice([dt.timedelta(0), -slow.TICK, dt.timedelta(minutes=30)])
        as_of = at.date() if draw(st.booleans()) else at.replace(tzinfo=None if tz is None else dt.UTC)
    return Case(
        rows,
        slow.Rules(
            period=period,
            week_start=draw(st.sampled_from(slow.WEEKDAYS)) if period == "week" else "monday",
            tz=tz,
            as_of=as_of,
            new_after=draw(st.none() | st.integers(1, days)),
            money=money,
        ),
    )


def log(size: int = 400, seed: int = 3, *, nulls: bool = True) -> pd.DataFrame:
    """A log with many rows of one time, so that the first row of a customer hangs on the order of the input."""
    random = np.random.default_rng(seed)
    made = pd.DataFrame(
        {
            "customer": random.integers(0, 60, size),
            "time": np.datetime64("2026-01-20", "us") + random.integers(0, 30, size) * np.timedelta64(60, "h"),
            "amount": random.choice([0.0, 1.25, 19.99, -3.5, 100.04], size),
            "label": random.choice(["ads", "web", "引流"], size),
            "vip": random.random(size) < 0.5,
        }
    )
    if nulls:
        made["label"] = made["label"].where(made.index % 7 > 0, None)
        made["amount"] = made["amount"].where(made.index % 31 > 0, np.nan)
        made["time"] = made["time"].where(made.index % 37 > 0, pd.NaT)
    return made
