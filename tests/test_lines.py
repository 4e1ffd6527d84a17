"""Order lines: a table of lines with `order_id` answers as the table of orders that they add up to, in every family that counts orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import opsmetrics as om
from opsmetrics import _parts
from tests.support import KINDS, Kind, columns_of

NAMES = {"customer": "customer", "time": "time"}
DATES = ["2025-03-15", "2025-06-30", "2025-09-30"]


def lines_of(seed: int, orders: int = 400, people: int = 60) -> pd.DataFrame:
    """Lines of orders: those of one order lie within days of each other; ids are the customer's own; some orders come to less than 0."""
    random = np.random.default_rng(seed)
    who = random.integers(0, people, orders)
    size = random.integers(1, 5, orders)
    order = np.repeat(np.arange(orders), size)
    number = pd.Series(who).groupby(who).cumcount().to_numpy()
    start = np.datetime64("2025-01-01", "us") + random.integers(0, 270 * 24, orders) * np.timedelta64(1, "h")
    frame = pd.DataFrame(
        {
            "customer": who[order],
            "order": number[order],
            "time": start[order] + random.integers(0, 40, len(order)) * np.timedelta64(1, "h"),
            "amount": random.choice([5.0, 2.25, 0.0, -2.5], len(order), p=[0.5, 0.3, 0.1, 0.1]),
            "channel": random.choice(["ads", "web"], len(order)),
        }
    )
    return frame.sample(frac=1, random_state=int(random.integers(2**31)), ignore_index=True)


def added(lines: pd.DataFrame) -> pd.DataFrame:
    """One row per order, by pandas: the time and the channel of the first line, the sum of the money."""
    first = lines.sort_values("time", kind="stable").groupby(["customer", "order"], sort=False)
    return first.agg(time=("time", "first"), amount=("amount", "sum"), channel=("channel", "first")).reset_index()


def repeats(frame: Any, **more: Any) -> Any:
    return columns_of(om.repurchase_rate(frame, **NAMES, amount="amount", same_day="count", as_of="2025-10-31", **more).table)


def sums(frame: Any, **more: Any) -> Any:
    return columns_of(om.retention(frame, **NAMES, amount="amount", value="orders", as_of="2025-10-31", **more).table)


def channels(frame: Any, **more: Any) -> Any:
    return columns_of(om.retention(frame, **NAMES, value="orders", cohort="channel", as_of="2025-10-31", **more).table)


def stages(frame: Any, **more: Any) -> Any:
    with pytest.warns(om.OpsmetricsWarning):
        return columns_of(om.Stages.default().fit(frame, **NAMES, amount="amount", horizon=20, as_of="2025-10-31", **more).table)


ASKS: list[Callable[..., Any]] = [repeats, sums, channels, stages]


@pytest.mark.parametrize("ask", ASKS)
def test_lines_answer_as_their_orders(ask: Callable[..., Any], kind: Kind) -> None:
    lines = lines_of(3)
    assert ask(kind.make(lines), order_id="order") == ask(added(lines))
    if ask is not channels:
        assert ask(lines) != ask(added(lines))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_lines(seed: int) -> None:
    lines = lines_of(seed, 40, 9)
    for ask in ASKS[:3]:
        assert ask(lines, order_id="order") == ask(added(lines))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name in {"pandas", "polars-lazy", "duckdb"}], ids=str)
def test_however_lines_are_cut_into_parts(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = lines_of(5)
    expected = [ask(lines, order_id="order") for ask in ASKS]
    for name in ("ROWS_TO_SPLIT", "ROWS_PER_PART", "ROWS_PER_BATCH"):
        monkeypatch.setattr(_parts, name, 150)
    assert [ask(kind.make(lines), order_id="order") for ask in ASKS] == expected


def test_stages_at_dates_see_the_lines_up_to_each(kind: Kind) -> None:
    """An order whose lines lie on both sides of a date is worth less before it."""
    lines = lines_of(8)
    found = om.Stages([om.Stage("big", {"revenue": (20, None)}), om.Stage("once", {"orders": 1})], default="more")
    ours = found.assign_at(kind.make(lines), DATES, **NAMES, amount="amount", order_id="order")
    for date in DATES:
        summary = om.customer_summary(lines, **NAMES, amount="amount", as_of=date, order_id="order")
        alone = found.assign(summary)
        told = pd.DataFrame(columns_of(ours.table))
        own = told[told["as_of"] == date].set_index("customer")["stage"]
        assert own.to_dict() == alone.table.set_index("customer")["stage"].to_dict()
    sides = [lines["time"] < pd.Timestamp(date) + pd.Timedelta(days=1) for date in DATES]
    assert any((lines.assign(side=side).groupby(["customer", "order"])["side"].nunique() == 2).any() for side in sides)


def fitted(frame: Any, **more: Any) -> Any:
    return om.Stages.default().fit(frame, **NAMES, **more)


def dated(frame: Any, **more: Any) -> Any:
    return om.Stages([om.Stage("all")]).assign_at(frame, ["2025-12-31"], **NAMES, amount="amount", **more)


@pytest.mark.parametrize("ask", [*ASKS[:3], fitted, dated])
def test_lines_without_an_order_are_refused(ask: Callable[..., Any]) -> None:
    lines = lines_of(2, 30)
    lines["order"] = lines["order"].astype("Int64").mask(lines.index < 7)
    with pytest.raises(om.DataError, match=r"order_id='order' is null in 7 rows; lines without an order cannot be added up") as told:
        ask(lines, order_id="order")
    assert told.value.code == "data.order_id"
    with pytest.raises(om.ColumnError, match=r"order_id='ordre' is not a column .* Did you mean 'order'"):
        ask(lines, order_id="ordre")
