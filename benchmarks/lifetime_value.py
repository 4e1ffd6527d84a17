"""Lifetime value at a million customers and at CDNOW's 2,357: fits, scores and summaries against `lifetimes`, by the time of the processor.

Everything runs in a process of its own in which BLAS has one thread. A ratio is the peer's seconds over ours, of all threads together.
`--million` fits Pareto/NBD to a million customers as well, for which `lifetimes` takes some seven minutes.
"""

from __future__ import annotations

import datetime as dt
import math
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

import opsmetrics as om
from benchmarks import peers, processes, rfm, simulated_customers, timing

CUSTOMERS, FEWER, LINES = 1_000_000, 100_000, 5_000_000
ROUNDS, FAST_ROUNDS, ROW_ROUNDS = 2, 9, 5
WARM = 2_000
"""Customers that each contender sees before it counts."""

HISTORY = ["frequency", "recency", "T"]
SPENDING = ["frequency", "monetary_value"]
COLUMNS = {"customer": "customer", "time": "time", "amount": "amount"}

MONTH, MONTHS, MONTHLY = 30, 12, 0.01
"""Days that `lifetimes` takes for a month, how many of them are looked ahead, and the discount of each."""
YEARLY = math.log1p(MONTHLY) / MONTH * 365.2425
"""The same discount as a rate per year, continuously compounded."""

AS_OF = dt.datetime(2025, 12, 31)
SUMMARY_SQL = """
with days as (select customer, time::date as day, sum(amount) as amount from log group by all)
select customer, count(*) - 1 as frequency, max(day) - min(day) as recency, date '2025-12-31' - min(day) as T,
       coalesce((sum(amount) - arg_min(amount, day)) / nullif(count(*) - 1, 0), 0) as monetary_value
from days group by customer order by customer
"""


@dataclass(frozen=True, slots=True)
class Estimator:
    """A model, what `lifetimes` calls it, the columns it is fitted to, how many times as fast it is to be: at scale, and on CDNOW."""

    spec: Callable[[], Any]
    peer: str
    columns: Sequence[str]
    at_scale: float | None
    on_cdnow: float | None


ESTIMATORS = {
    "BG/NBD": Estimator(om.BetaGeo, "BetaGeoFitter", HISTORY, 60, 25),
    "MBG/NBD": Estimator(om.ModifiedBetaGeo, "ModifiedBetaGeoFitter", HISTORY, None, None),
    "Pareto/NBD": Estimator(om.ParetoNBD, "ParetoNBDFitter", HISTORY, 150, 40),
    "Gamma-Gamma": Estimator(om.GammaGamma, "GammaGammaFitter", SPENDING, 25, 25),
}

MOST_EVALUATIONS, MOST_ARRAYS = 12, 10


# ------------------------------------------------------------------------------------------------------------- data


def shop(customers: int) -> pd.DataFrame:
    """A summary by days of customers who first bought in the last two years: seven in ten came back, half of a million are distinct."""
    rng = np.random.default_rng(0)
    T = np.ceil(rng.uniform(0.0, 730.0, customers))
    x, t_x, T = simulated_customers.bg_nbd(rng, T, 0.0, r=0.5, alpha=20.0, a=0.5, b=2.0, whole=True).history
    mean, _ = simulated_customers.gamma_gamma(rng, x, p=6.25, q=3.75, v=15.5)
    return pd.DataFrame({"frequency": x, "recency": t_x, "T": T, "monetary_value": mean})


def cdnow() -> pd.DataFrame:
    """39 weeks of the customers of the literature, as they come with `lifetimes`."""
    found: pd.DataFrame = peers.lifetimes().datasets.load_cdnow_summary_data_with_monetary_value()
    return found.reset_index(drop=True)


def repeaters(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The rows that `lifetimes` can fit: of amounts those with a repeat purchase."""
    return table[table["frequency"] > 0] if "monetary_value" in columns else table


# ------------------------------------------------------------------------------------------------------- contenders


def held(name: str, table: pd.DataFrame) -> dict[str, Any]:
    """The columns of a model as arrays, which is what both are handed."""
    return {column: table[column].to_numpy() for column in ESTIMATORS[name].columns}


def fit(name: str, summary: object) -> Any:
    """A fit; that the model may not suit the data is not the question here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)
        return ESTIMATORS[name].spec().fit(summary)


def fit_peer(name: str, columns: Mapping[str, Any]) -> Any:
    """A fit of `lifetimes` with its default settings; None where it says that it did not converge."""
    return peers.fitted(ESTIMATORS[name].peer, [*columns.values()])


def score(buying: Any, spending: Any, table: pd.DataFrame, confidence: float | None = None) -> pd.DataFrame:
    """The discounted value of twelve months, and with a confidence the ends of its interval for the purchases."""
    horizon = f"{MONTHS * MONTH}D"
    found = buying.discounted_purchases(table, horizon=horizon, discount_rate=YEARLY, confidence=confidence).table
    amount = spending.expected_amount(table).table["expected_amount"]
    ends = [name for name in found if name.startswith("discounted_purchases")]
    return pd.DataFrame({name.replace("discounted_purchases", "value"): found[name] * amount for name in ends})


def score_peer(buying: Any, spending: Any, table: pd.DataFrame) -> Any:
    """The same by `lifetimes`, at parameters in its own fitters."""
    columns = [table[name] for name in (*HISTORY, "monetary_value")]
    return peers.heard(spending.customer_lifetime_value, buying, *columns, time=MONTHS, discount_rate=MONTHLY, freq="D")


def summary(lines: object) -> Any:
    """Checked, exact sums, customers in order."""
    return om.clv_summary(lines, **COLUMNS, as_of=AS_OF).table


def summary_peer(lines: pd.DataFrame) -> Any:
    """What `lifetimes` does itself."""
    made = peers.lifetimes().utils.summary_data_from_transaction_data
    return peers.heard(made, lines, "customer", "time", "amount", observation_period_end=AS_OF)


def summary_by_hand(lines: pd.DataFrame) -> pd.DataFrame:
    """Two group-bys of pandas: days, then customers."""
    days = lines.assign(day=lines["time"].dt.floor("D")).groupby(["customer", "day"], as_index=False)["amount"].sum()
    found = days.groupby("customer").agg(
        first=("day", "min"), last=("day", "max"), days=("day", "size"), total=("amount", "sum"), at_first=("amount", "first")
    )
    repeats = found["days"] - 1
    mean = ((found["total"] - found["at_first"]) / repeats.where(repeats > 0)).fillna(0.0)
    recency, age = (found["last"] - found["first"]).dt.days, (pd.Timestamp(AS_OF) - found["first"]).dt.days
    return pd.DataFrame({"frequency": repeats, "recency": recency, "T": age, "monetary_value": mean}).reset_index()


def summary_by_polars(lines: pl.DataFrame) -> pl.DataFrame:
    """The same two group-bys, on both cores."""
    day, amount, repeats = pl.col("day"), pl.col("amount"), pl.len() - 1
    days = lines.lazy().with_columns(day=pl.col("time").dt.date()).group_by("customer", "day").agg(amount.sum())
    return (
        days.group_by("customer")
        .agg(
            frequency=repeats,
            recency=(day.max() - day.min()).dt.total_days(),
            T=(pl.lit(AS_OF.date()) - day.min()).dt.total_days(),
            monetary_value=pl.when(repeats > 0).then((amount.sum() - amount.get(day.arg_min())) / repeats).otherwise(0.0),
        )
        .sort("customer")
        .collect()
    )


def summary_by_sql(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """The same in DuckDB, on both cores, from a table of its own."""
    return connection.sql(SUMMARY_SQL).to_arrow_table()


def log_in_duckdb(lines: pd.DataFrame) -> duckdb.DuckDBPyConnection:
    """The lines as a table of the engine."""
    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")
    connection.register("lines", pa.Table.from_pandas(lines, preserve_index=False))
    connection.execute("create table log as select * from lines")
    return connection


# ------------------------------------------------------------------------------------------------------------ runs


def fits(name: str, table: pd.DataFrame, target: float | None, rounds: int, in_a_row: int = 1) -> list[bool]:
    """How many times as fast as `lifetimes` a fit is, from the same arrays and from the frame, and what it cost in evaluations."""
    told, rows = f"{name}, {len(table):,} customers", repeaters(table, ESTIMATORS[name].columns)
    ours, framed, peer = f"{told}, opsmetrics", f"{told}, from a frame", f"{told}, lifetimes"
    own, theirs = held(name, table), held(name, rows)
    if slow := len(table) > WARM * 2:
        fit(name, table.head(WARM))
        fit_peer(name, held(name, rows.head(WARM)))
    last: dict[str, Any] = {}
    contenders = {
        ours: lambda: last.update(ours=fit(name, own)),
        framed: lambda: fit(name, table),
        peer: lambda: last.update(peer=fit_peer(name, theirs)),
    }
    seconds = timing.in_turns(contenders, rounds, clock=time.process_time, warmed=slow, in_a_row=in_a_row)
    timing.report(seconds)
    met = [faster(seconds, peer, ours, "", target), faster(seconds, peer, framed, ", framed", None)]
    if in_a_row > 1:
        alone = timing.in_turns(contenders, FAST_ROUNDS, clock=time.process_time, warmed=True)
        timing.report({f"{ours}, by itself": alone[ours]})
        met.append(faster(alone, peer, ours, ", each by itself", None))
    if last["peer"] is None:
        print("    lifetimes said that it did not converge")
    return [*met, timing.verdict("  evaluations of value, gradient and Hessian", last["ours"].evaluations, MOST_EVALUATIONS)]


def faster(seconds: Mapping[str, Sequence[float]], peer: str, ours: str, kind: str, target: float | None) -> bool:
    """Print the ratio beside its target, if it has one."""
    low, middle, high = timing.ratios(seconds, peer, ours)
    line = f"  lifetimes / opsmetrics{kind} ({low:.1f} .. {high:.1f})"
    if target is not None:
        return timing.verdict(line, middle, target, at_least=True)
    print(f"  {line:<44} {middle:10.2f}      (no target)")
    return True


def scores(table: pd.DataFrame, rounds: int) -> list[bool]:
    """Twelve months of discounted value, both at our parameters."""
    buying, spending = fit("BG/NBD", table), fit("Gamma-Gamma", table)
    theirs = [peers.heard(fitted.to_lifetimes) for fitted in (buying, spending)]
    few = table.head(WARM)
    score(buying, spending, few, 0.95)
    score_peer(*theirs, few)
    told = f"12-month value of {len(table):,}"
    ours, bounded, peer = told, f"{told} with interval", f"{told}, lifetimes"
    seconds = timing.in_turns(
        {
            ours: lambda: score(buying, spending, table), bounded: lambda: score(buying, spending, table, 0.95),
            peer: lambda: score_peer(*theirs, table),
        },
        rounds, clock=time.process_time, warmed=True,
    )  # fmt: skip
    timing.report(seconds)
    return [faster(seconds, peer, ours, "", 60.0), faster(seconds, peer, bounded, " with interval", 20.0)]


def summaries(lines: pd.DataFrame, rounds: int) -> list[bool]:
    """From order lines to a summary; of engines with threads the seconds of all count."""
    columns, connection = pl.from_pandas(lines), log_in_duckdb(lines)
    contenders: Mapping[str, Callable[[], object]] = {
        "clv_summary": lambda: summary(lines), "summary, lifetimes": lambda: summary_peer(lines),
        "summary, pandas by hand": lambda: summary_by_hand(lines), "summary, DuckDB": lambda: summary_by_sql(connection),
        "summary, polars": lambda: summary_by_polars(columns),
    }  # fmt: skip
    seconds = timing.in_turns(contenders, rounds, clock=time.process_time)
    timing.report(seconds)
    met = []
    for peer, target in (
        ("summary, lifetimes", 12.0), ("summary, pandas by hand", 3.0), ("summary, DuckDB", 1.5), ("summary, polars", 1.5),
    ):  # fmt: skip
        low, middle, high = timing.ratios(seconds, peer, "clv_summary")
        met.append(timing.verdict(f"  {peer} / clv_summary ({low:.1f} .. {high:.1f})", middle, target, at_least=True))
    return met


def memory(name: str, customers: int = CUSTOMERS) -> float:
    """In a process of its own: the growth of resident memory during a fit, in arrays of numbers as long as the summary."""
    table = shop(customers)
    fit(name, table.head(WARM))
    processes.release()
    return processes.peak_growth(lambda: fit(name, table)) / (8 * customers)


def measure(*, million: bool = False, customers: int = CUSTOMERS, fewer: int = FEWER, lines: int = LINES) -> bool:
    """Run and print all but memory, in this process."""
    known, table = cdnow(), shop(customers)
    print(f"Lifetime value: {customers:,} customers by the day, CDNOW by the week; CPU time, one thread of BLAS, {ROUNDS} rounds in turns")
    print(f"  of CDNOW {ROW_ROUNDS} rounds of {timing.IN_A_ROW} fits in a row each")
    met = []
    for name, own in ESTIMATORS.items():
        met += fits(name, known, own.on_cdnow, ROW_ROUNDS, timing.IN_A_ROW)
    for name in ("BG/NBD", "MBG/NBD"):
        met += fits(name, table, ESTIMATORS[name].at_scale, ROUNDS)
    if million:
        met += fits("Pareto/NBD", table, ESTIMATORS["Pareto/NBD"].at_scale, 1)
    else:
        met += fits("Pareto/NBD", table.head(fewer), None, 1)
        print(f"    the target is >= {ESTIMATORS['Pareto/NBD'].at_scale:g} at a million: python -m benchmarks.lifetime_value --million")
    met += fits("Gamma-Gamma", table, ESTIMATORS["Gamma-Gamma"].at_scale, ROUNDS)
    met += scores(table, ROUNDS)
    print(f"CLV summary: {lines:,} order lines of {lines // 5:,} customers, pandas in; CPU time of all threads, {ROUNDS} rounds in turns")
    return all([*met, *summaries(rfm.orders(lines, lines // 5), ROUNDS)])


def main(*, million: bool = False) -> bool:
    """Run, print, and tell whether every target was met."""
    met = processes.alone(measure_all if million else measure)
    print(f"Memory of fits: {CUSTOMERS:,} customers, growth at its highest, in arrays of numbers as long as the summary")
    return all([met, *(timing.verdict(name, processes.alone(memory, name), MOST_ARRAYS) for name in ESTIMATORS)])


def measure_all() -> bool:
    """With the fit that takes `lifetimes` minutes."""
    return measure(million=True)


if __name__ == "__main__":
    main(million="--million" in sys.argv[1:])
