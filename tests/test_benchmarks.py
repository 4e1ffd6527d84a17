"""The benchmarks run and compare like with like; how fast, `make bench` tells on a machine that does nothing else."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from benchmarks import funnel, funnel_intervals, lifecycle, return_probability, rfm, timing
from tests.support import data


def test_the_contenders_answer_the_same_question() -> None:
    orders = rfm.orders(5_000, 400)
    mine, hand, bare = rfm.ours(orders), rfm.by_hand(orders), rfm.bare_polars(pl.from_pandas(orders)).sort("customer")
    assert mine["customer"].tolist() == hand.index.tolist() == bare["customer"].to_list()
    assert mine["frequency"].tolist() == hand["frequency"].tolist() == bare["len"].to_list()
    assert mine["monetary"].tolist() == pytest.approx(hand["monetary"].tolist())


def test_the_contenders_count_the_same_funnel() -> None:
    """The peers are written by hand in five ways: outside witnesses of the counts."""
    frame = funnel.events(60_000, 4_000)
    columns = pl.from_pandas(frame)
    counts = funnel.counts(frame)
    assert min(counts[:4]) > 0
    assert counts == funnel.counts(columns) == funnel.full(frame)
    assert counts == funnel.by_hand(frame)
    for peer in (funnel.asof, funnel.window_sql, funnel.sorted_expressions, funnel.join_asof):
        assert peer(columns) == counts, peer.__name__


def test_clusters_keep_the_promise_of_the_interval() -> None:
    """A small run of the simulation: the error of 400 simulations is one point."""
    clustered, naive = funnel_intervals.coverage(*funnel_intervals.SHOPS["300 customers, 20 %"], simulations=400)
    assert 0.90 <= clustered <= 0.99
    assert naive < 0.85


def test_ratios_and_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = timing.in_turns({"a": lambda: None, "b": lambda: None}, 3)
    assert [len(taken) for taken in seconds.values()] == [3, 3]
    assert timing.ratios({"a": [1.0, 2.0, 6.0], "b": [2.0, 2.0, 2.0]}, "a", "b") == (0.5, 1.0, 3.0)
    assert timing.verdict("x", 1.0, 1.0)
    assert not timing.verdict("x", 1.1, 1.0)
    assert "MISSED" in capsys.readouterr().out


def test_scratch_memory_of_a_funnel_stays_below_the_columns() -> None:
    """Of a log large enough to be cut into parts: at most 1.5 times the input columns, as allocations are counted."""
    frame = funnel.events(2_500_000, 250_000)
    funnel.counts(frame.head(1_000))
    tracemalloc.start()
    funnel.counts(frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 1.5 * sum(frame[name].nbytes for name in frame)


def test_scratch_memory_stays_below_the_columns() -> None:
    """Of a frame large enough to be cut into parts: at most 1.5 times the input columns, as allocations are counted."""
    orders = rfm.orders(1_500_000, 150_000)
    rfm.ours(orders.head(1_000))
    tracemalloc.start()
    rfm.ours(orders)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 1.5 * sum(orders[name].nbytes for name in orders)


def test_the_contenders_tell_the_same_states_and_triangle() -> None:
    """The recipes and the window functions are outside witnesses of the counts."""
    orders = rfm.orders(20_000, 2_000)
    mine, shift = lifecycle.states(orders), lifecycle.states_by_shift(orders)
    sql = lifecycle.states_by_sql(pa.Table.from_pandas(orders[["customer", "time"]], preserve_index=False)).to_pandas()
    for name in ("active", "new", "retained", "resurrected"):
        assert mine[name].tolist() == shift[name].tolist() == sql[name].tolist(), name
    assert mine["churned"].tolist()[1:] == shift["leaving"].tolist()[:-1] == sql["leaving"].tolist()[:-1]
    ours, pivot = lifecycle.triangle(orders), lifecycle.triangle_by_pivot(orders)
    shares = ours[[str(age) for age in pivot.columns]].to_numpy()
    known = ~np.isnan(shares) & ~np.isnan(pivot.to_numpy())
    assert known.sum() > 100
    assert shares[known] == pytest.approx(pivot.to_numpy()[known])


def test_pages_quote_what_the_calibration_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line of figures on the page is a line of the run."""
    data("online_retail.parquet")
    return_probability.main()
    printed = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    root = Path(__file__).resolve().parents[1] / "docs"
    for page in (root / "lifecycle.md", root / "zh" / "lifecycle.md"):
        after = page.read_text("utf-8").partition("python -m benchmarks.return_probability")[2]
        quoted = [" ".join(line.split()) for line in after.partition("```text\n")[2].partition("```")[0].splitlines() if "[" in line]
        assert len(quoted) >= 5
        assert set(quoted) <= printed, set(quoted) - printed
