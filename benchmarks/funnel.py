"""Windowed funnels on 5 million events of 500,000 customers, against what an expert would write by hand in each engine."""

from __future__ import annotations

import datetime as dt
import math

import duckdb
import numpy as np
import pandas as pd
import polars as pl

import opsmetrics as om
from benchmarks import processes, timing

EVENTS, CUSTOMERS, ROUNDS = 5_000_000, 500_000, 11
STEPS = ["view", "cart", "checkout", "pay", "repeat"]
OTHERS = [f"other_{number}" for number in range(10)]
COLUMNS = {"customer": "customer", "event": "event", "time": "time"}
WINDOW = dt.timedelta(days=7)
ASOF, WINDOWS, OVER, JOIN, PANDAS = (
    "DuckDB, chain of ASOF joins", "DuckDB, window SQL", "polars, sorted expressions", "polars, join_asof", "pandas, merge_asof",
)  # fmt: skip


def events(rows: int = EVENTS, customers: int = CUSTOMERS) -> pd.DataFrame:
    """Events in the order of time, of which half are steps: sparse 64-bit ids, microsecond stamps over 90 days."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 2**60, customers)
    weight = rng.gamma(0.7, 1.0, customers)
    who = rng.choice(customers, rows, p=weight / weight.sum())
    micros = np.sort(rng.choice(90 * 86_400 * 1_000_000, rows))
    shares = np.array([0.25, 0.12, 0.06, 0.04, 0.03, *[0.05] * 10])
    what = rng.choice(len(shares), rows, p=shares / shares.sum())
    return pd.DataFrame(
        {
            "customer": ids[who],
            "event": pd.Series(pd.Categorical.from_codes(what, [*STEPS, *OTHERS])).astype("str"),
            "time": np.datetime64("2026-01-01T00:00:00", "us") + micros.astype("timedelta64[us]"),
        }
    )


def counts(frame: object) -> list[int]:
    """The whole table: counts, intervals, step times; the table of customers is made when asked for."""
    return [int(n) for n in om.funnel(frame, STEPS, window=WINDOW, **COLUMNS).table["customers"]]


def full(frame: object) -> list[int]:
    """The table, and that of the customers with the row and the time of every step."""
    found = om.funnel(frame, STEPS, window=WINDOW, **COLUMNS)
    assert len(found.customers) > 0
    return [int(n) for n in found.table["customers"]]


def asof(frame: pl.DataFrame) -> list[int]:
    """One ASOF join per step: to each row of a step the last attempt that reached the step before it."""
    connection = duckdb.connect()
    connection.register("events", frame)
    connection.sql("create temp table s1 as select customer, time, time as entry from events where event = 'view'")
    found = [connection.sql("select count(distinct customer) from s1").fetchall()[0][0]]
    for number, step in enumerate(STEPS[1:], 2):
        connection.sql(
            f"create temp table s{number} as select c.customer, c.time, p.entry "
            f"from (select customer, time from events where event = '{step}') c "
            f"asof join s{number - 1} p on c.customer = p.customer and c.time >= p.time where c.time <= p.entry + interval 7 day"
        )
        found.append(connection.sql(f"select count(distinct customer) from s{number}").fetchall()[0][0])
    return found


def window_sql(frame: pl.DataFrame) -> list[int]:
    """Running maxima of the latest entry that reached each step."""
    connection = duckdb.connect()
    connection.register("events", frame)
    names = ", ".join(f"'{step}'" for step in STEPS)
    sql = f"select customer, time, event from events where event in ({names})"
    over = "over (partition by customer order by time rows unbounded preceding)"
    for number, step in enumerate(STEPS, 1):
        reached = "time" if number == 1 else f"case when time <= e{number - 1} + interval 7 day then e{number - 1} end"
        sql = f"select *, max(case when event = '{step}' then {reached} end) {over} as e{number} from ({sql})"
    taken = ", ".join(f"count(distinct case when e{number} is not null then customer end)" for number in range(1, len(STEPS) + 1))
    return list(connection.sql(f"select {taken} from ({sql})").fetchall()[0])


def sorted_expressions(frame: pl.DataFrame) -> list[int]:
    """The same running maxima as expressions over sorted rows."""
    rows = frame.lazy().filter(pl.col("event").is_in(STEPS)).sort("customer", "time")
    entry = pl.col("time")
    for number, step in enumerate(STEPS, 1):
        reached = pl.when((pl.col("event") == step) & (pl.col("time") - entry <= WINDOW)).then(entry)
        rows = rows.with_columns(reached.cum_max().forward_fill().over("customer").alias(f"e{number}"))
        entry = pl.col(f"e{number}")
    customer, numbers = pl.col("customer"), range(1, len(STEPS) + 1)
    taken = [customer.filter(pl.col(f"e{number}").is_not_null()).n_unique().alias(f"n{number}") for number in numbers]
    return [int(n) for n in rows.select(taken).collect().row(0)]


def join_asof(frame: pl.DataFrame) -> list[int]:
    """One backward join per step; the log is in the order of time already."""
    rows = frame.lazy().filter(pl.col("event").is_in(STEPS)).select("customer", "time", "event").collect()
    steps = rows.partition_by("event", as_dict=True)
    last = steps["view",].select("customer", "time", entry="time")
    found = [last["customer"].n_unique()]
    for step in STEPS[1:]:
        rows = steps[step,].select("customer", "time").set_sorted("time")
        joined = rows.join_asof(last.set_sorted("time"), on="time", by="customer", strategy="backward", check_sortedness=False)
        last = joined.filter(pl.col("time") - pl.col("entry") <= WINDOW)
        found.append(last["customer"].n_unique())
    return found


def by_hand(frame: pd.DataFrame) -> list[int]:
    """The same chain with merge_asof."""
    last = frame.loc[frame["event"] == "view", ["customer", "time"]]
    last = last.assign(entry=last["time"])
    found = [last["customer"].nunique()]
    for step in STEPS[1:]:
        rows = frame.loc[frame["event"] == step, ["customer", "time"]]
        joined = pd.merge_asof(rows, last, on="time", by="customer")
        last = joined[joined["time"] - joined["entry"] <= WINDOW]
        found.append(last["customer"].nunique())
    return found


def floor(frame: pd.DataFrame) -> int:
    """What no implementation can leave out: encode the two columns, and sort a packed key of the rows of steps."""
    step = pd.factorize(frame["event"])[0]
    customer, _ = pd.factorize(frame["customer"])
    kept = np.flatnonzero(step < len(STEPS))
    key = (customer[kept] << 43) | (frame["time"].to_numpy().view(np.int64)[kept] & (2**43 - 1))
    return int(np.sort(key)[0])


def memory() -> float:
    """In a process of its own: the growth of resident memory over the size of the input columns."""
    return processes.growth_over_columns(lambda frame: om.funnel(frame, STEPS, window=WINDOW, **COLUMNS).table, events())


def main() -> bool:
    """Run, print, and tell whether every target was met."""
    print(f"Funnel: {EVENTS:,} events, {CUSTOMERS:,} customers, {len(STEPS)} steps, 7 days; {ROUNDS} rounds in turns; peers only count")
    frame = events()
    columns = pl.from_pandas(frame)
    log = om.prepare_events(frame, **COLUMNS)
    contenders = {
        "opsmetrics.funnel, pandas in": lambda: counts(frame),
        "opsmetrics.funnel, polars in": lambda: counts(columns),
        "opsmetrics.funnel + customers, pandas in": lambda: full(frame),
        "opsmetrics.funnel + customers, polars in": lambda: full(columns),
        "opsmetrics.funnel on a prepared log": lambda: [int(n) for n in om.funnel(log, STEPS, window=WINDOW).table["customers"]],
        ASOF: lambda: asof(columns),
        JOIN: lambda: join_asof(columns),
        OVER: lambda: sorted_expressions(columns),
        PANDAS: lambda: by_hand(frame),
        "encode the columns and sort a packed key": lambda: floor(frame),
    }
    seconds = timing.in_turns(contenders, ROUNDS)
    slow = timing.in_turns({WINDOWS: lambda: window_sql(columns), "opsmetrics again": lambda: full(frame)}, 3)
    timing.report(seconds | {WINDOWS: slow[WINDOWS]})
    peers = {name: sorted(seconds[name])[ROUNDS // 2] for name in (ASOF, JOIN, OVER, PANDAS)}
    fastest = min(peers, key=lambda name: peers[name])
    print(f"  the fastest peer is {fastest}")
    met = []
    for kind in ("pandas", "polars"):
        for name, target in ((f"opsmetrics.funnel, {kind} in", 0.6), (f"opsmetrics.funnel + customers, {kind} in", 1.2)):
            met.append(timing.verdict(f"{name} / fastest", timing.ratios(seconds, name, fastest)[1], target))
    full_over_window = timing.ratios(slow | {"ours": slow["opsmetrics again"]}, "ours", WINDOWS)[1]
    met.append(timing.verdict("funnel + customers / window SQL", full_over_window, 0.35))
    limit = "encode the columns and sort a packed key"
    over_limit = timing.ratios(seconds, "opsmetrics.funnel, pandas in", limit)[1]
    met.append(timing.verdict("funnel, pandas in / encoding and sorting", over_limit, 6))
    prepared = timing.ratios(seconds, "opsmetrics.funnel on a prepared log", "opsmetrics.funnel, pandas in")[1]
    met.append(timing.verdict("funnel on a prepared log / first funnel", prepared, 0.5))
    small = events(1_000, 300)
    taken = timing.in_turns({"opsmetrics.funnel, 1,000 events of pandas": lambda: counts(small)}, 50)
    timing.report(taken)
    met.append(timing.verdict("1,000 events, ms", sorted(taken.popitem()[1])[25] * 1e3, 5.0))
    met.append(growth())
    met.append(timing.verdict("peak memory over the input columns", processes.alone(memory), 1.5))
    return all(met)


def growth(few: int = 1_000_000, many: int = 20_000_000) -> bool:
    """Time from few to many events, against n log n."""
    frames = {rows: events(rows, rows // 10) for rows in (few, many)}
    taken = timing.in_turns({str(rows): lambda rows=rows: counts(frames[rows]) for rows in frames}, 3)  # type: ignore[misc]
    times = [sorted(taken[str(rows)])[1] for rows in (few, many)]
    allowed = many * math.log(many) / (few * math.log(few))
    return timing.verdict(f"{many:,} events / {few:,} events, over n log n", times[1] / times[0] / allowed, 1.0)


if __name__ == "__main__":
    main()
