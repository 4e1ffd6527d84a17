"""RFM end to end on 5 million orders of 500,000 customers, against the usual pandas recipe and polars' bare aggregation."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl

import opsmetrics as om
from benchmarks import processes, timing

ORDERS, CUSTOMERS, ROUNDS = 5_000_000, 500_000, 9
AS_OF = dt.datetime(2026, 1, 1)


def orders(rows: int = ORDERS, customers: int = CUSTOMERS) -> pd.DataFrame:
    """Orders with sparse 64-bit ids, second stamps over two years, and amounts in cents."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 2**60, customers)
    weight = rng.gamma(0.7, 1.0, customers)
    buyer = rng.choice(customers, rows, p=weight / weight.sum())
    buyer[:customers] = np.arange(customers)  # everybody buys at least once
    seconds = rng.integers(0, 730 * 86_400, rows)
    return pd.DataFrame(
        {
            "customer": ids[buyer],
            "time": np.datetime64("2024-01-01T00:00:00", "us") + seconds.astype("timedelta64[s]"),
            "amount": rng.integers(100, 50_000, rows) / 100,
        }
    )


def ours(frame: object) -> object:
    """Checks, exact sums, scores, segments and their summary, in the caller's kind of frame."""
    return om.rfm(frame, customer="customer", time="time", amount="amount", as_of=AS_OF).table


def by_hand(frame: pd.DataFrame) -> pd.DataFrame:
    """The recipe of the tutorials: aggregate columns, then rank and cut three times."""
    table = frame.groupby("customer").agg(last=("time", "max"), frequency=("time", "count"), monetary=("amount", "sum"))
    table["recency"] = (AS_OF - table["last"]).dt.days
    table["r"] = pd.qcut(table["recency"].rank(method="first"), 5, labels=[5, 4, 3, 2, 1]).astype(int)
    table["f"] = pd.qcut(table["frequency"].rank(method="first"), 5, labels=[1, 2, 3, 4, 5]).astype(int)
    table["m"] = pd.qcut(table["monetary"].rank(method="first"), 5, labels=[1, 2, 3, 4, 5]).astype(int)
    return table


def bare_polars(frame: pl.DataFrame) -> pl.DataFrame:
    """No scores, no segments, no checks: three aggregations with both cores."""
    return frame.group_by("customer").agg(pl.col("time").max(), pl.len(), pl.col("amount").sum())


def memory() -> float:
    """In a process of its own: the growth of resident memory over the size of the input columns."""
    return processes.growth_over_columns(ours, orders())


def main() -> bool:
    """Run, print, and tell whether every target was met."""
    print(f"RFM: {ORDERS:,} orders, {CUSTOMERS:,} customers, pandas in; {ROUNDS} rounds in turns")
    frame = orders()
    columns = pl.from_pandas(frame)
    seconds = timing.in_turns(
        {
            "opsmetrics.rfm, pandas in": lambda: ours(frame),
            "opsmetrics.rfm, polars in": lambda: ours(columns),
            "pandas by hand (agg + 3 x qcut(rank))": lambda: by_hand(frame),
            "polars, bare aggregation only": lambda: bare_polars(columns),
        },
        ROUNDS,
    )
    timing.report(seconds)
    met = []
    for name in ("opsmetrics.rfm, pandas in", "opsmetrics.rfm, polars in"):
        print(f"  {name}:")
        for peer, target in (("pandas by hand (agg + 3 x qcut(rank))", 0.6), ("polars, bare aggregation only", 1.4)):
            low, middle, high = timing.ratios(seconds, name, peer)
            print(f"    over {peer}: {low:.2f} .. {high:.2f}")
            met.append(timing.verdict("  median ratio", middle, target))
    small = orders(1_000, 300)
    taken = timing.in_turns({"opsmetrics.rfm, 1,000 rows of pandas": lambda: ours(small)}, 50)
    timing.report(taken)
    met.append(timing.verdict("1,000 rows, ms", sorted(taken.popitem()[1])[25] * 1e3, 15.0))
    met.append(timing.verdict("peak memory over the input columns", processes.alone(memory), 1.5))
    return all(met)


if __name__ == "__main__":
    main()
