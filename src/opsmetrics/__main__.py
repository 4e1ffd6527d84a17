"""The tour: what each family tells an analyst about the real purchases of 23,570 customers.

Run it with ``python -m opsmetrics``. A path to the order lines of Online Retail adds what that shop lost, one to Hillstrom's e-mail test
(``hillstrom.parquet``) what that decides.
"""

from __future__ import annotations

import io
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import opsmetrics as om

if TYPE_CHECKING:
    import pandas as pd

HALF_TIME, THE_END = "1997-12-31", "1998-06-30"
SILENT = ("churned", "dormant")


def rfm_tour(purchases: pd.DataFrame) -> None:
    """Who are the customers, what are they worth, and where did they move in half a year."""
    print("Who are the customers, and what are they worth?\n")
    before = om.rfm(purchases, customer="customer", time="date", amount="amount", as_of=HALF_TIME, frequency="days")
    print(before)
    print("\nThe same customers half a year later, by the same edges: nothing hides a decline.\n")
    after = om.rfm(
        purchases, customer="customer", time="date", amount="amount", as_of=THE_END, frequency="days",
        scorer=before.scorer, segment_map=before.segment_map,
    )  # fmt: skip
    print(om.segment_summary(after, order=before.segment_map.names))
    print("\nWho moved where?\n")
    print(om.transitions(before, after))
    print("\nThe eight classes of Chinese operations teams (RFM 八分类), scores against their means:\n")
    print(om.SegmentMap.cn8(labels="zh").assign(before))


def funnel_tour(purchases: pd.DataFrame) -> None:
    """How many come back, how long it takes, which channel loses people where, and what they do instead."""
    print("How many first customers buy again within half a year, and a third time? A later day counts, the same day does not.\n")
    steps = [om.Step("buys", label=label) for label in ("first purchase", "second purchase", "third purchase")]
    again = om.funnel(
        purchases.assign(buys=True), steps, customer="customer", time="date", window="180D", entry="first", ties="strict", amount="amount"
    )
    print(again)
    print("\nHow long does the second purchase take?\n")
    print(again.times("first purchase", "second purchase", edges=["0D", "7D", "14D", "30D", "60D", "90D", "120D", "180D"]))
    print("\nPurchases are the end of the way; a log of events has the way itself. Ninety days of a generated shop:\n")
    events = om.make_events(customers=5_000, rng=7)
    log = om.prepare_events(events, customer="customer", event="event", time="time")
    shop = om.funnel(log, ["view", "cart", om.Step("coupon", optional=True), "checkout", "pay"], window="7D")
    print(shop)
    print("\nWhich channel loses people where? Out of all entries, against the customers who come by themselves:\n")
    print(shop.compare("channel", baseline="direct"))
    print("\nHow long does the payment take, once the order is there?\n")
    print(shop.times("checkout", "pay", edges=["0min", "1min", "5min", "10min", "30min", "1h", "7D"]))
    print("\nWhat did those do who left a cart?\n")
    print(shop.next_events(after="cart"))
    print("\nThe same customers as A-I-P-L (认知 - 兴趣 - 购买 - 忠诚), loyalty being one more payment:\n")
    print(om.funnel(log, om.aipl_steps(awareness="view", interest=["favourite", "cart"], purchase="pay", labels="zh")))


def lifecycle_tour(purchases: pd.DataFrame) -> None:
    """Did the shop lose new customers, old customers, or repeat purchase, and who moved where; and the stages before a purchase."""
    answer_loss(Shop(purchases, "customer", "date", "amount", HALF_TIME, THE_END))
    print("\nBefore they buy they look: the A-I-P-L stages of a generated shop, and what became of each in a month:\n")
    events = om.make_events(customers=5_000, rng=7)
    rules: dict[str, str | int | list[str]] = {"awareness": "view", "interest": ["favourite", "cart"], "purchase": "pay", "loyalty": 2}
    february, march = (
        om.aipl(events, rules, customer="customer", event="event", time="time", as_of=day, window=30, channel="channel")
        for day in ("2025-02-28", "2025-03-30")
    )
    print(february.flow(march))


def lifetime_value_tour(purchases: pd.DataFrame) -> None:
    """Who will be worth most, how sure that is, and how well the same model told the second half from the first."""
    print(
        "Who are the most valuable customers of the year to come? The mean is known within one interval, what happens within the other:\n"
    )
    values = om.clv(purchases, customer="customer", time="date", amount="amount", horizon="365D", discount_rate=0.10, model="auto")
    print(values)
    print("\nThe models of buying that were fitted, and what speaks for each:\n")
    print(values.choice.to_string(index=False))
    print("\nWould it have told the truth? Fitted to the first nine months, held against the next nine:\n")
    held_out = values.validate(calibration_end="1997-09-30")
    print(held_out)
    print("\nTen groups of customers by what was expected of them, and what they did:\n")
    print(held_out.calibration.round(2).to_string(index=False))


def experiment_tour(_: pd.DataFrame) -> None:
    """Did a change work? Generated visitors in three variants: B makes 10 % more of them order, C does nothing."""
    units = om.make_experiment(60_000, rng=2)
    spend = om.Mean("revenue", covariate="revenue_before")
    metrics = {"converted": om.Proportion("converted"), "revenue": spend, "order value": om.Ratio("revenue", "orders")}
    answer_experiment(Trial(units, "variant", "A", metrics, "converted", "B"))
    print("\nHow many units would it have taken, and for how many days?\n")
    plan = om.sample_size(om.Baseline.of(units[units["variant"] == "A"], spend), effect=0.1, relative=True)
    print(plan)
    print()
    print(om.duration(plan, traffic=[9_000] * 5 + [14_000] * 2))


@dataclass(frozen=True)
class Trial:
    """An experiment: its units, its control, what is measured, and the outcome and the variant that are looked at while it runs."""

    units: Any
    variant: str
    control: str
    metrics: dict[str, Any]
    outcome: str
    candidate: str


def answer_experiment(trial: Trial) -> None:
    """The decision, a split that was not as planned, and what it takes to look while the test runs."""
    units, variant = trial.units, trial.variant
    print("Which variant is better, by how much, and how sure is that? All comparisons count together:\n")
    print(om.ab_test(units, variant=variant, metrics=trial.metrics, control=trial.control, correction="holm"))
    print(f"\nAfter a fault: one in twelve without success is lost from {trial.candidate}. The numbers alone would not show it:\n")
    lost = (units[variant] == trial.candidate) & (units[trial.outcome] == 0) & (np.arange(len(units)) % 12 == 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)  # it stands in the title
        print(om.ab_test(units[~lost], variant=variant, metrics=trial.outcome, control=trial.control))
    print("\nA manager looks five times. The bounds allow for that, so whoever stops at the first that is passed still has his 95 %:\n")
    plan = om.GroupSequential(5, planned_n=len(units))
    print(plan.boundaries(), end="\n\n")
    for look in range(1, 6):
        seen = units.iloc[: len(units) * look // 5]
        found = om.ab_test(seen, variant=variant, metrics=om.Proportion(trial.outcome), control=trial.control, sequential=plan)
        told = found.sequential.set_index("variant").loc[trial.candidate]
        print(f"Look {look}: {trial.candidate} has z = {told['z']:.2f}, and the test stops beyond {told['bound']:.2f}.")
        if abs(told["z"]) > told["bound"]:
            ends = f"{told['estimate_low']:+.2%} to {told['estimate_high']:+.2%}"
            print(f"\nThe difference is {told['estimate']:+.2%}, which allows for stopping early, and with 95 % it is {ends}.")
            break


@dataclass(frozen=True)
class Shop:
    """Orders, their columns, and two dates to compare."""

    orders: Any
    customer: str
    time: str
    amount: str
    before: str
    after: str
    horizon: int = 90


def answer_loss(shop: Shop) -> None:
    """One question after another to a table of orders."""
    orders, customer, time = shop.orders, shop.customer, shop.time
    print("Did we lose new customers, or old ones? Each quarter's customers are new, retained or back; those who are gone are churned.\n")
    print(om.lifecycle(orders, customer=customer, time=time, amount=shop.amount, period="quarter"))
    print("\nOr does nobody buy again? Of those who came in a month, how many buy in each month after:\n")
    print(om.retention(orders, customer=customer, time=time, amount=shop.amount))
    print("\nRepurchase has several names: by customer and by order (复购率), within so many days of the first purchase:\n")
    print(om.repurchase_rate(orders, customer=customer, time=time, amount=shop.amount))
    print("\nWhen is a customer dormant, and when churned? When too few return of those who were silent as long:\n")
    fitted = om.Stages.default().fit(orders, customer=customer, time=time, amount=shop.amount, horizon=shop.horizon, p_dormant=0.25)
    print(fitted)
    print(f"\nWho moved where from {shop.before} to {shop.after}? The same limits at both dates:\n")
    before, after = (
        fitted.assign(om.customer_summary(orders, customer=customer, time=time, amount=shop.amount, as_of=day, missing_customer="drop"))
        for day in (shop.before, shop.after)
    )
    best = fitted.names[-1:] if str(list(fitted.table["dormant_after"])[-1]).isdigit() else None
    if best is None:
        print(f"(The history is too short to tell when a customer in {fitted.names[-1]} is lost, so no churn of theirs is told.)\n")
    print(om.transitions(before, after, order=fitted.names, lapsed=SILENT, top=best))


def retail(path: str) -> Shop:
    """The order lines of the public Online Retail table (UCI), added up to orders. Its customers come back soon, or late."""
    import polars as pl

    lines = pl.read_parquet(path).with_columns(amount=pl.col("Quantity") * pl.col("UnitPrice"))
    orders = lines.group_by("InvoiceNo", "CustomerID").agg(pl.col("InvoiceDate").min(), pl.col("amount").sum())
    return Shop(orders.sort("InvoiceDate", "InvoiceNo"), "CustomerID", "InvoiceDate", "amount", "2011-06-30", "2011-12-09", horizon=60)


def hillstrom(path: str) -> Trial:
    """The public e-mail test of Kevin Hillstrom: 64,000 customers, of whom a third each got no mail, men's or women's goods."""
    import pandas as pd
    import polars as pl

    customers = pd.DataFrame(pl.read_parquet(path).to_dict(as_series=False))  # polars' own way to pandas wants pyarrow
    spend = om.Mean("spend", covariate="history")
    metrics = {"visit": om.Proportion("visit"), "conversion": om.Proportion("conversion"), "spend": spend}
    return Trial(customers, "treatment", "No E-Mail", metrics, "conversion", "Mens E-Mail")


FAMILIES: tuple[tuple[str, Callable[[pd.DataFrame], None]], ...] = (
    ("RFM", rfm_tour),
    ("Funnels", funnel_tour),
    ("Lifecycle and retention", lifecycle_tour),
    ("Customer lifetime value", lifetime_value_tour),
    ("A/B tests", experiment_tour),
)


def main(*tables: str) -> int:
    """Run every family over CDNOW; and over tables that are named, what was lost from order lines, and what a test of e-mails says."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without block characters or Chinese still gets the numbers
    started = time.perf_counter()
    try:
        purchases = om.load_cdnow()
    except om.DataError as error:
        print(f"The tour needs its data: {error}", file=sys.stderr)
        return 1
    buyers = purchases["customer"].nunique()
    print(f"opsmetrics {om.__version__}: a tour on CDNOW, {len(purchases):,} purchases of {buyers:,} customers, January 1997 to June 1998.")
    for number, (name, tour) in enumerate(FAMILIES, 1):
        print(f"\n{'=' * 100}\n{number}. {name}\n{'=' * 100}")
        tour(purchases)
    for path in tables:
        retailer = "retail" in Path(path).name
        what = "The same questions to a shop that sells every day: Online Retail" if retailer else "A real experiment: Hillstrom's e-mails"
        print(f"\n{'=' * 100}\n{what}\n{'=' * 100}")
        if retailer:
            answer_loss(retail(path))
        else:
            answer_experiment(hillstrom(path))
    print(f"\nThe tour took {time.perf_counter() - started:.1f} seconds. Where to go next: README.md, docs/, notebooks/.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except BrokenPipeError:  # the reader has seen enough, as in "| head"; nothing may be flushed to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
