"""Frames of a Spark session answer as pandas does; without PySpark and Java there is nothing to ask."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

import opsmetrics as om
from tests.support import columns_of

pyspark = pytest.importorskip("pyspark", reason="PySpark is not installed")
pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")

ORDERS: dict[str, Any] = {"customer": "customer", "time": "time", "amount": "amount"}
EVENTS: dict[str, Any] = {"customer": "customer", "event": "event", "time": "time"}
STAGES = om.Stages([om.Stage("silent", {"recency": (90, None)}), om.Stage("once", {"orders": 1})], default="more")

ASKS: dict[str, Callable[[Any], Any]] = {
    "rfm": lambda orders: om.rfm(orders, **ORDERS, as_of="2025-12-31"),
    "lifecycle": lambda orders: om.lifecycle(orders, **ORDERS, as_of="2025-12-31"),
    "stages": lambda orders: STAGES.assign_at(orders, ["2025-06-30", "2025-12-31"], **ORDERS),
    "retention": lambda orders: om.retention(orders, customer="customer", time="time", as_of="2025-12-31"),
    "repurchase_rate": lambda orders: om.repurchase_rate(orders, **ORDERS, order_id="order_id"),
    "clv_summary": lambda orders: om.clv_summary(orders, **ORDERS, as_of="2025-12-31"),
}
LOGS: dict[str, Callable[[Any], Any]] = {
    "funnel": lambda events: om.funnel(events, ["view", "cart", "pay"], window="7D", **EVENTS),
    "path_transitions": lambda events: om.path_transitions(events, **EVENTS),
    "stickiness": lambda events: om.stickiness(events, customer="customer", time="time"),
}


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    settings = {"spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC", "spark.sql.execution.arrow.pyspark.enabled": "true"}
    builder = SparkSession.builder.master("local[2]").appName("opsmetrics")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.mark.parametrize("name", [*ASKS, *LOGS])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_answers_are_those_of_pandas(name: str, spark: Any) -> None:
    frame = om.make_orders(customers=300, rng=1) if name in ASKS else om.make_events(500, rng=1)
    frame = frame.assign(time=frame["time"].dt.tz_localize("UTC"))  # Spark's timestamps are instants
    ask = (ASKS | LOGS)[name]
    ours = ask(spark.createDataFrame(frame)).table
    assert isinstance(ours, pa.Table)
    expected = columns_of(ask(frame).table)
    found = columns_of(ours)
    assert list(found) == list(expected)
    for column, values in expected.items():
        assert found[column] == pytest.approx(values, nan_ok=True) if isinstance(values[0], float) else found[column] == values, column
