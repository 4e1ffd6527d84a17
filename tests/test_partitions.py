"""Partials of disjoint customers add up: however a table is cut into whole customers, the answer is the same."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import opsmetrics as om
from opsmetrics import _checks, _parts, customers
from opsmetrics._frames import Use
from tests.support import columns_of

CHOICES: list[dict[str, Any]] = [
    {},
    {"order_id": "order_id"},
    {"frequency": "days", "tz": "Asia/Shanghai"},
    {"monetary": "mean", "refunds": "drop", "window": 120},
]
USES = [
    Use("customer", "customer", "key"),
    Use("time", "time", "time"),
    Use("amount", "amount", "number"),
    Use("order_id", "order_id", "key"),
]


def tables(frame: Any, **choices: Any) -> list[Any]:
    made = om.customer_summary(frame, customer="customer", time="time", amount="amount", as_of="2025-12-01", **choices)
    return [columns_of(made.table), columns_of(made.refund_only), made.dropped, made.params["rows"]]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), pieces=st.integers(2, 7), lines=st.booleans(), frequency=st.sampled_from(["orders", "days"]))
def test_random_partitions_of_whole_customers_merge_to_the_same_table(seed: int, pieces: int, lines: bool, frequency: Any) -> None:
    frame = om.make_orders(40, rng=seed)
    frame.loc[:2, "customer"] = None
    uses = USES if lines else USES[:3]
    source = _parts.read("orders", frame, uses)
    moment = _checks.moment("as_of", "2025-12-01")
    rules = customers.Rules(
        source.clock.midnight(20_100),
        source.clock.end("as_of", moment),
        source.clock,
        frequency,
        "net",
        {u.argument: u.column for u in uses},
    )
    place = np.random.default_rng(seed).integers(0, pieces, len(frame["customer"].unique()))
    piece_of = place[frame["customer"].factorize(use_na_sentinel=False)[0]]

    def finished(frames: list[pd.DataFrame]) -> list[Any]:
        parts = [part for piece in frames if len(piece) for part in _parts.read("orders", piece, uses).parts()]
        facts = customers.merge([customers.partial(part(), rules) for part in parts])
        made = customers._finish(facts, source.backend, source.clock, 20_423, "customer", {"frequency": frequency, "monetary": "net"})
        return [columns_of(made.table), columns_of(made.refund_only), made.dropped, facts.rows]

    assert finished([frame[piece_of == i] for i in range(pieces)]) == finished([frame])


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that are cut often."""
    monkeypatch.setattr(_parts, "ROWS_PER_PART", 700)
    monkeypatch.setattr(_parts, "ROWS_PER_BATCH", 300)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Path]:
    frame = om.make_orders(1_500, rng=5)
    frame.loc[frame.index % 97 == 0, "customer"] = None
    folder = tmp_path_factory.mktemp("orders")
    for i, piece in enumerate(np.array_split(np.arange(len(frame)), 3)):
        frame.iloc[piece].to_parquet(folder / f"part{i}.parquet", index=False)
    return frame, folder


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("choices", CHOICES, ids=str)
def test_a_parquet_folder_is_streamed_to_the_same_table(parquet: tuple[pd.DataFrame, Path], choices: dict[str, Any]) -> None:
    frame, folder = parquet
    choices = choices | {"missing_customer": "drop"}
    whole = tables(frame, **choices)
    assert tables(pl.scan_parquet(folder / "*.parquet"), **choices) == whole
    assert tables(duckdb.connect().read_parquet(str(folder / "*.parquet")), **choices) == whole


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_a_stream_has_several_parts_of_whole_customers(parquet: tuple[pd.DataFrame, Path], engine: str) -> None:
    frame, folder = parquet
    lazy = pl.scan_parquet(folder / "*.parquet") if engine == "polars" else duckdb.connect().read_parquet(str(folder / "*.parquet"))
    parts = [part() for part in _parts.read("orders", lazy, USES).parts()]
    assert len(parts) > 3
    assert sum(part.rows for part in parts) == len(frame)
    seen = [customer for part in parts for customer in part.customers.to_list()]
    assert len(seen) == len(set(seen)) == frame["customer"].nunique()


def test_one_customer_larger_than_a_batch_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parts, "ROWS_PER_BATCH", 10)
    frame = pd.DataFrame({"u": [1] * 5 + [2] * 95 + [3] * 4, "t": pd.Timestamp("2026-01-01"), "a": 1.0})
    relation = duckdb.from_arrow(pl.from_pandas(frame).to_arrow())
    table = om.customer_summary(relation, customer="u", time="t", amount="a", as_of="2026-01-02").table
    assert table.to_pydict()["orders"] == [5, 95, 4]


def test_a_relation_far_larger_than_the_memory_limit(tmp_path: Path) -> None:
    """Three million orders of an engine that may use 40 MB, sorted on disk and streamed through the same kernel."""
    path = tmp_path / "orders.parquet"
    made = """
        select (hash(i) % 200_000)::bigint as customer, i as order_id,
               timestamp '2025-01-01' + interval (hash(i + 1) % 31_536_000) second as time,
               (hash(i + 2) % 100_000)::double / 100 as amount, repeat('x', 200) || i as note
        from range(3_000_000) as rows(i)
    """
    duckdb.sql(made).to_parquet(str(path))
    limited = duckdb.connect(config={"memory_limit": "40MB", "threads": 2, "temp_directory": str(tmp_path / "spill")})
    columns = pl.read_parquet(path, columns=["customer", "order_id", "time", "amount"])
    assert columns.estimated_size() > 2 * 40_000_000
    with pytest.raises(duckdb.OutOfMemoryException):
        limited.sql(f"create table orders as select customer, list(note) from '{path}' group by all").fetchall()
    assert tables(limited.read_parquet(str(path))) == tables(columns)


def test_a_scan_that_changes_between_looks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parts, "ROWS_PER_PART", 10)
    looks: Iterator[int] = iter([100, 90, 80, 70, 60, 50, 40, 30, 20, 10, 0])
    frame = om.make_orders(30, kind="polars", rng=0)
    shrinking = frame.lazy().map_batches(lambda df: df.head(next(looks)), schema=frame.schema)
    with pytest.raises(om.DataError, match="collect\\(\\) it first") as caught:
        tables(shrinking)
    assert caught.value.code == "data.unstable"


def test_a_collation_does_not_tear_customers_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under NOCASE, 'ann' and 'ANN' interleave when sorted; they are two customers all the same."""
    monkeypatch.setattr(_parts, "ROWS_PER_BATCH", 2_048)
    connection = duckdb.connect()
    connection.execute("create table orders (u varchar collate nocase, t timestamp, a double)")
    connection.execute("insert into orders select if(i % 2 = 0, 'ann', 'ANN'), timestamp '2026-01-01', 1 from range(10_000) as r(i)")
    table = om.customer_summary(connection.table("orders"), customer="u", time="t", amount="a", as_of="2026-01-02").table
    assert table.to_pydict()["u"] == ["ANN", "ann"]
    assert table.to_pydict()["orders"] == [5_000, 5_000]


def test_no_more_parts_are_alive_than_threads_can_work_on() -> None:
    """What makes a stream of bounded memory: a part is not begun before an earlier one is done with."""
    begun, done, most = 0, 0, 0

    def parts() -> Iterator[Any]:
        nonlocal begun, most
        for number in range(200):
            begun += 1
            most = max(most, begun - done)
            yield lambda number=number: number

    def work(number: Any) -> int:
        nonlocal done
        time.sleep(0.001)
        done += 1
        return number

    source = _parts.Source(None, None, parts)  # type: ignore[arg-type]
    assert _parts.fold(source, work) == list(range(200))
    assert most <= (os.cpu_count() or 1) + 3


def test_a_relation_is_fetched_batch_by_batch(parquet: tuple[pd.DataFrame, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """While parts are still to come, the engine's result is open: nothing has read it to its end."""
    monkeypatch.setattr(_parts, "ROWS_PER_BATCH", 2_048)
    connection = duckdb.connect()
    parts = _parts.read("orders", connection.read_parquet(str(parquet[1] / "*.parquet")), USES).parts()
    next(parts)
    with pytest.raises(duckdb.Error, match="open result"):
        connection.execute("select 1").fetchall()
    parts.close()
    assert connection.execute("select 1").fetchall() == [(1,)]


KEYS = {
    "even": lambda rng: rng.integers(0, 1_000_000, 200_000),
    "old ones buy more": lambda rng: (1e6 * rng.beta(0.5, 2.0, 200_000)).astype(np.int64),
    "two ranges far apart": lambda rng: rng.integers(0, 50_000, 200_000) + rng.choice([0, 10**15], 200_000),
    "by powers": lambda rng: np.exp(rng.uniform(0, 43, 200_000)).astype(np.int64),
    "below 0": lambda rng: rng.integers(-(2**62), 2**62, 200_000),
    "beyond signed": lambda rng: rng.integers(2**63, 2**64, 200_000, dtype=np.uint64),
    "of a byte": lambda rng: rng.integers(-128, 128, 200_000).astype(np.int8),
    "one far out": lambda rng: np.append(rng.integers(0, 9_000, 199_999), 2**61),
}


@pytest.mark.parametrize("slices", [7, 35, 256])
@pytest.mark.parametrize("kind", KEYS)
def test_slices_are_ranges_of_keys_of_about_as_many_rows(kind: str, slices: int) -> None:
    """Keys that the sample lacks are in one of them too; a customer is never cut, however many rows he has."""
    keys = KEYS[kind](np.random.default_rng(0))
    place = _parts._dealer(keys[::25], slices)(keys)
    order = np.argsort(keys, kind="stable")
    assert (np.diff(place[order].astype(np.int64)) >= 0).all()  # ranges, so whole customers
    sizes = np.bincount(place, minlength=slices)
    assert len(sizes) == slices
    assert sizes.max() <= 3 * len(keys) / slices + np.unique(keys, return_counts=True)[1].max()
