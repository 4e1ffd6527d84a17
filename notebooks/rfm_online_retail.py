# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Who are the customers of a gift shop? RFM on real order lines
#
# RFM describes a customer by three numbers: **recency** (最近一次消费), the days since the last order; **frequency**
# (消费频次), the number of orders; and **monetary** (消费金额), the money spent. This notebook goes from raw order lines to
# segments that one can act on, and shows the places where such a report goes wrong without anybody noticing.
#
# The data: *Online Retail*, a year of order lines of a British gift shop (UCI Machine Learning Repository 352, CC BY
# 4.0). Where the file is not at hand, a made-up shop with the same columns stands in. Everything runs then too, but
# the numbers in the text are those of the real shop.

# %%
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import display

import opsmetrics as om

FILE = Path("shared", "data", "online_retail.parquet")


def order_lines() -> tuple[pd.DataFrame, bool]:
    """The real lines, from the folder `shared` beside the repository, or a stand-in with the same columns."""
    folders = [Path.cwd(), *Path.cwd().parents, *Path(om.__file__).resolve().parents]
    found = next((folder / FILE for folder in folders if (folder / FILE).exists()), None)
    if found is not None:
        return pd.read_parquet(found), True
    made = om.make_orders(customers=4_000, rng=7)
    number = made["order_id"].abs().astype(str)
    order = pd.DataFrame(
        {
            "InvoiceNo": number.where(made["order_id"] > 0, "C" + number),
            "Quantity": np.sign(made["amount"]),
            "InvoiceDate": made["time"] + (pd.Timestamp("2011-12-09") - made["time"].max().normalize()),
            "UnitPrice": made["amount"].abs() / 2,
            "CustomerID": made["customer"].where(made["order_id"] % 20 != 0),
        }
    )
    return pd.concat([order, order], ignore_index=True), False  # each order has two lines


lines, REAL = order_lines()
lines["amount"] = lines["Quantity"] * lines["UnitPrice"]
print(f"{'the real shop' if REAL else 'a stand-in'}: {len(lines):,} lines, {lines['InvoiceDate'].min()} to {lines['InvoiceDate'].max()}")
lines.head(3)

# %% [markdown]
# ## What is left out, and why
#
# A quarter of the lines have no customer. Left alone, they would become one giant customer in some tools and vanish
# in silence in others; here the call stops and says so. `missing_customer="drop"` leaves them out, and the result
# keeps the count.
#
# Cancellations (invoice numbers that begin with C) have negative amounts. They are refunds (退款): they lower a
# customer's money, but they are no visit, so recency and frequency come from purchases alone. (The first row below:
# 77,183.60 bought and given back, so no money is left of one order.) A customer with refunds and no purchase in the
# data has no recency at all; such customers are set apart in `.refund_only`.

# %%
columns = {"customer": "CustomerID", "time": "InvoiceDate", "amount": "amount", "order_id": "InvoiceNo"}
try:
    om.customer_summary(lines, as_of="2011-12-09", **columns)
except om.DataError as refusal:
    print(refusal, "\n")

columns["missing_customer"] = "drop"
summary = om.customer_summary(lines, as_of="2011-12-09", **columns)
groups = {"lines without a customer": lines["CustomerID"].isna(), "cancelled lines": lines["InvoiceNo"].str.startswith("C")}
for name, rows in groups.items():
    print(f"{name:<27}{rows.sum():>9,}, {rows.mean():.0%} of the lines, worth {lines.loc[rows, 'amount'].sum():,.0f}")
print(f"customers with refunds only{len(summary.refund_only):>9,}")
assert not REAL or summary.dropped == {"missing customer": 135_080}
summary

# %% [markdown]
# ## Lines are not orders
#
# The table has one row per *line*. Without `order_id`, a basket of forty things counts as forty purchases: the
# frequency then measures how much a customer puts in the basket, not how often he comes back. With `order_id` the
# lines of an invoice are added up.

# %%
by_line = om.customer_summary(lines, as_of="2011-12-09", **{name: column for name, column in columns.items() if name != "order_id"})
median = pd.DataFrame(
    {
        "lines counted": by_line.table[["frequency", "monetary"]].median(),
        "orders counted": summary.table[["frequency", "monetary"]].median(),
    }
)
assert np.allclose(by_line.table["monetary"], summary.table["monetary"])  # the money is the same either way
median.rename(index=lambda name: f"median {name}")

# %% [markdown]
# ## The segments
#
# `rfm` does it in one call: measures, scores from 1 (worst) to 5 (best) on each axis, segments. The default map has
# ten segments on the recency and the frequency score, and each of its 25 cells has exactly one name. The result
# remembers its parameters, what was dropped, its edges (`.scorer`) and its map.
#
# | segment | who they are | what to do |
# |---|---|---|
# | champions | came lately, come often | early access, reviews, referrals; no discounts, they buy anyway |
# | loyal_customers | come often, not just now | a reason for the next visit: news, bundles, points |
# | potential_loyalists | came lately, a few times | a second category, membership |
# | new_customers, promising | came lately, once | the second order (首次复购) is the goal: a welcome series in the first month |
# | need_attention, about_to_sleep | fading | one reminder, with an end date |
# | cant_lose, at_risk | came often, long ago | win back (召回): a personal message, a call to the largest, the best offer last |
# | hibernating (沉睡) | once or twice, long ago | the cheapest channel, or none |
#
# The bars say where the money is: champions and loyal customers are some thirty in a hundred customers and bring three
# quarters of the revenue. The grid shows the cells themselves. Its rows are not even fifths: a third of the customers
# bought exactly once, equal values get equal scores, and so the score 1 holds that third.

# %%
report = om.rfm(lines, as_of="2011-12-09", **columns)
display(report)
report.segments.plot()
report.plot()
shares = report.segments.table.set_index("segment")[["customer_share", "revenue_share"]]
assert not REAL or shares.loc[["champions", "loyal_customers"], "revenue_share"].sum() > 0.75
print("share of customers by frequency score:", report.table["f_score"].value_counts(normalize=True).sort_index().round(2).to_dict())
shares.loc[["champions", "loyal_customers"]].sum().rename("champions and loyal customers").to_frame().T

# %% [markdown]
# ## Freeze the edges, or the report cannot fall
#
# Fifths are fifths: whoever fits the edges anew each time finds about a fifth of the customers in each score, this
# year and next, whatever happened. A report over time needs the edges of the first date (固定分箱): hand its `scorer` and
# `segment_map` to the next call.
#
# First the customers of the first half-year, at the end of June and again in December. By June's edges, more than a
# third of them are now in the lowest recency score. Refitted, it is a fifth again: the decline is gone from the
# report, not from the shop.
#
# Then the whole shop, half a year at a time. By the edges of June the share of champions rises by half towards
# Christmas; refitted edges show less than half of that rise. (Mind the `window`: counts over all history can hardly
# fall, so an unlimited history makes everybody look more loyal at each later date.)

# %%
june = om.rfm(lines, as_of="2011-06-30", **columns)
same_people = lines[lines["CustomerID"].isin(june.table["CustomerID"])]
frozen = om.rfm(same_people, as_of="2011-12-09", scorer=june.scorer, segment_map=june.segment_map, **columns)
refitted = om.rfm(same_people, as_of="2011-12-09", **columns)

spring = om.rfm(lines, as_of="2011-06-09", window="182D", **columns)
autumn = om.rfm(lines, as_of="2011-12-09", window="182D", scorer=spring.scorer, **columns)
autumn_refitted = om.rfm(lines, as_of="2011-12-09", window="182D", **columns)


def lowest_recency(scored: om.RFM) -> float:
    return (scored.table["r_score"] == 1).mean()


def champions(scored: om.RFM) -> float:
    return (scored.table["segment"] == "champions").mean()


assert not REAL or lowest_recency(frozen) > 1 / 3 > 0.21 > lowest_recency(refitted)
pd.DataFrame(
    {
        "June": [lowest_recency(june), champions(spring)],
        "December, June's edges": [lowest_recency(frozen), champions(autumn)],
        "December, refitted": [lowest_recency(refitted), champions(autumn_refitted)],
    },
    index=["June's customers in the lowest recency score", "champions, last 182 days"],
).map("{:.1%}".format)

# %% [markdown]
# ## Who moved where (分层迁移)
#
# With frozen edges a change of segment is a change of the customer. The rows are June's segments, the columns
# December's; the last row holds the customers won since. Half of the champions stayed champions, and most of the
# others are loyal customers still. Of those who had come lately for the first time, four in ten are hibernating: the
# second order did not happen.

# %%
december = om.rfm(lines, as_of="2011-12-09", scorer=june.scorer, segment_map=june.segment_map, **columns)
moves = om.transitions(june, december)
moves.plot()
display(moves)
lost = moves.table.query("source in ['new_customers', 'promising'] and target == 'hibernating'")
lost[["source", "target", "customers", "share", "share_low", "share_high"]].round(3)

# %% [markdown]
# ## The eight classes of Chinese operations teams (RFM 八分类)
#
# Each axis is high (1) or low (0), which gives eight classes from 111 重要价值客户 to 000 一般挽留客户. The names differ between
# publishers, the codes do not; so the code is a column of its own, and labels are data (`labels="en"`, or a mapping
# of your own).

# %%
classes = om.SegmentMap.cn8(labels="zh").assign(report)
display(classes)
classes.table[["CustomerID", "recency", "frequency", "monetary", "rfm_code", "segment"]].head()

# %% [markdown]
# High compared with what? Published practice differs, and it matters. Below, the same customers under each choice:
# the share that is high on each axis, and how many customers leave the class that the default (scores against their
# mean, `>`) gave them. From a fifth to more than a third of the customers move. Two traps are in plain sight: the
# mean of raw money follows a few wholesale buyers, so that only a fifth of the customers lie above it; and with whole
# numbers such as orders, `>` and `>=` at the median are different questions.

# %%
choices = {}
for basis in ("score", "value"):
    for centre in ("mean", "median"):
        for comparison in (">", ">="):
            other = om.SegmentMap.cn8(labels="zh", basis=basis, centre=centre, comparison=comparison).assign(report).table
            high = {f"high {axis}": f"{(other['rfm_code'].str[place] == '1').mean():.0%}" for place, axis in enumerate("RFM")}
            moved = int((other["rfm_code"] != classes.table["rfm_code"]).sum())
            choices[basis, centre, comparison] = high | {"in another class": moved, "of customers": f"{moved / len(other):.0%}"}
assert not REAL or choices["value", "mean", ">"]["in another class"] == 1_595
pd.DataFrame(choices).T.rename_axis(["basis", "centre", "comparison"])

# %% [markdown]
# ## Two traps to know
#
# **Ties.** With a third of the customers at one order, `pd.qcut` into fifths fails. The two usual patches fail in
# silence: `duplicates="drop"` leaves four groups, so that nobody can score 5; ranking by first appearance gives five
# even groups by splitting customers who are equal (those with one order get a 1 or a 2 by their place in the table).
# The scorer here never does: equal values, equal scores.

# %%
frequency = summary.table["frequency"]
try:
    pd.qcut(frequency, 5)
except ValueError as failure:
    print("pd.qcut:", str(failure).splitlines()[0], "\n")
ways = {
    "duplicates='drop'": pd.qcut(frequency, 5, labels=False, duplicates="drop") + 1,
    "rank(method='first')": pd.qcut(frequency.rank(method="first"), 5, labels=False) + 1,
    "opsmetrics": report.table["f_score"],
}
pd.DataFrame(
    {
        name: {
            "scores given": ", ".join(map(str, sorted(score.unique()))),
            "scores of customers with one order": ", ".join(map(str, sorted(score[frequency == 1].unique()))),
            "values of frequency that are split": int((score.groupby(frequency).nunique() > 1).sum()),
        }
        for name, score in ways.items()
    }
).T

# %% [markdown]
# **Maps.** A segment map written by hand looks complete long before it is. `.check()` walks through every cell and
# finds cells without a name, cells with several, and names that nobody can ever get. A map with holes is refused;
# `otherwise=` says that they are meant.

# %%
rules = [
    ("VIP", {"f": 5, "m": (4, 5)}),
    ("active", {"r": (4, 5)}),
    ("newcomer", {"r": 5, "f": 1}),
    ("lost", {"r": (1, 2), "f": (1, 3)}),
]
found = om.SegmentMap(rules).check()
print(found, "\n")
try:
    om.SegmentMap(rules).assign(report)
except om.ParameterError as refusal:
    print(refusal, "\n")

better = om.SegmentMap([rules[0], rules[2], rules[1], rules[3]], otherwise="watch")
assert found.unreachable == ("newcomer",)
assert better.check().unreachable == ()
better.assign(report).segments
