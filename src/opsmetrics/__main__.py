"""The tour: what each family tells an analyst about the real purchases of 23,570 customers. Run it with ``python -m opsmetrics``."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import opsmetrics as om

if TYPE_CHECKING:
    import pandas as pd

HALF_TIME, THE_END = "1997-12-31", "1998-06-30"


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
    print("\nWhat did those do who left a cart?\n")
    print(shop.next_events(after="cart"))
    print("\nThe same customers as A-I-P-L (认知 - 兴趣 - 购买 - 忠诚), loyalty being one more payment:\n")
    print(om.funnel(log, om.aipl_steps(awareness="view", interest=["favourite", "cart"], purchase="pay", labels="zh")))


FAMILIES: tuple[tuple[str, Callable[[pd.DataFrame], None]], ...] = (("RFM", rfm_tour), ("Funnels", funnel_tour))


def main() -> int:
    """Run every family over CDNOW."""
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
    print(f"\nThe tour took {time.perf_counter() - started:.1f} seconds. Where to go next: README.md, docs/, notebooks/.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # the reader has seen enough, as in "| head"; nothing may be flushed to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
