"""Lifecycle, retention and the fit of stages on 5 million orders over 24 months, against the recipes people use."""

from __future__ import annotations

import warnings

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

import opsmetrics as om
from benchmarks import timing
from benchmarks.rfm import AS_OF, CUSTOMERS, ORDERS, orders

ROUNDS, FAST_ROUNDS = 5, 50
COLUMNS = {"customer": "customer", "time": "time"}

STATES_SQL = """
with months as (select distinct customer, datediff('month', timestamp '1970-01-01', time) as month from log),
     seen as (select month, month - lag(month) over (partition by customer order by month) as gap,
                     lead(month) over (partition by customer order by month) - month as until from months)
select month, count(*) as active, count(*) filter (gap is null) as new, count(*) filter (gap = 1) as retained,
       count(*) filter (gap > 1) as resurrected, count(*) filter (until is null or until > 1) as leaving
from seen group by month order by month
"""


def states(frame: pd.DataFrame) -> pd.DataFrame:
    """Every state, rate, interval and flag."""
    return om.lifecycle(frame, **COLUMNS, period="month").table


def states_by_shift(frame: pd.DataFrame) -> pd.DataFrame:
    """The recipe of the tutorials: distinct customer and month, sorted, and a look at the row before and after."""
    month = frame["time"].dt.year * 12 + frame["time"].dt.month
    seen = pd.DataFrame({"customer": frame["customer"], "month": month}).drop_duplicates().sort_values(["customer", "month"])
    gap = seen["month"] - seen.groupby("customer")["month"].shift()
    until = seen.groupby("customer")["month"].shift(-1) - seen["month"]
    found = pd.DataFrame(
        {
            "month": seen["month"], "active": 1, "new": gap.isna(), "retained": gap == 1, "resurrected": gap > 1,
            "leaving": ~(until == 1),
        }
    )  # fmt: skip
    return found.groupby("month").sum().reset_index()


def states_by_sql(table: pa.Table) -> pa.Table:
    """The same with window functions, on both cores."""
    connection = duckdb.connect()
    connection.register("log", table)
    return connection.sql(STATES_SQL).to_arrow_table()


def triangle(frame: pd.DataFrame) -> pd.DataFrame:
    """The cohort triangle, with intervals and the mask."""
    return om.retention(frame, **COLUMNS, period="month").triangle


def triangle_by_pivot(frame: pd.DataFrame) -> pd.DataFrame:
    """The recipe of the tutorials: periods, the first of each customer, distinct customers per cell, a pivot."""
    month = frame["time"].dt.year * 12 + frame["time"].dt.month
    seen = pd.DataFrame({"customer": frame["customer"], "month": month})
    seen["cohort"] = seen.groupby("customer")["month"].transform("min")
    seen["age"] = seen["month"] - seen["cohort"]
    cells = seen.groupby(["cohort", "age"])["customer"].nunique().reset_index()
    wide = cells.pivot(index="cohort", columns="age", values="customer")
    return wide.div(wide[0], axis=0)


def fitted(frame: pd.DataFrame) -> pd.DataFrame:
    """The default stages: gaps, curves and limits. That two years are too short to know some of these is not the question here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)
        return om.Stages.default().fit(frame, **COLUMNS, amount="amount").table


def scored(frame: pd.DataFrame) -> pd.DataFrame:
    """One call of rfm, the measure of what a pass over the orders costs."""
    return om.rfm(frame, **COLUMNS, amount="amount", as_of=AS_OF).table


def small(frame: pd.DataFrame) -> bool:
    """A thousand rows, as in a notebook."""
    asks = {"lifecycle": lambda: states(frame), "retention": lambda: triangle(frame), "fit": lambda: fitted(frame)}
    found = timing.in_turns({f"{name}, 1,000 rows": ask for name, ask in asks.items()}, FAST_ROUNDS)
    timing.report(found)
    met = [timing.verdict(f"{name}, ms", float(np.median(taken)) * 1e3, 15.0) for name, taken in found.items()]
    return all(met)


def main() -> bool:
    """Run, print, and tell whether every target was met."""
    print(f"Lifecycle: {ORDERS:,} orders, {CUSTOMERS:,} customers, 24 months, pandas in; {ROUNDS} rounds in turns")
    frame = orders()
    table = pa.Table.from_pandas(frame[["customer", "time"]], preserve_index=False)
    seconds = timing.in_turns(
        {
            "om.lifecycle": lambda: states(frame), "states, pandas shift": lambda: states_by_shift(frame),
            "states, DuckDB windows": lambda: states_by_sql(table), "om.retention": lambda: triangle(frame),
            "triangle, pandas pivot": lambda: triangle_by_pivot(frame), "Stages.default().fit": lambda: fitted(frame),
            "om.rfm": lambda: scored(frame),
        },
        ROUNDS,
    )  # fmt: skip
    timing.report(seconds)
    met = []
    for ours, peer, target in (
        ("om.lifecycle", "states, pandas shift", 0.5), ("om.lifecycle", "states, DuckDB windows", 1.0),
        ("om.retention", "triangle, pandas pivot", 0.6), ("Stages.default().fit", "om.rfm", 2.0),
    ):  # fmt: skip
        low, middle, high = timing.ratios(seconds, ours, peer)
        met.append(timing.verdict(f"{ours} over {peer} ({low:.2f} .. {high:.2f})", middle, target))
    return all([*met, small(orders(1_000, 300))])


if __name__ == "__main__":
    main()
