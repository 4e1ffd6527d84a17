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
# # Did we lose new customers, old customers, or repeat purchase, and who moved where?
#
# A shop can lose in three places: fewer people come for the first time (拉新), those who came once do not buy again
# (复购), or good customers of old stop coming (流失). Each asks for another remedy, and revenue alone shows none of them.
# This notebook takes a year of a real shop apart: states by month, cohorts, repurchase rates, stages, and moves
# between stages.
#
# The data: *Online Retail*, a year of order lines of a British gift shop (UCI Machine Learning Repository 352, CC BY
# 4.0). The last section uses the events of a **synthetic** shop (Apache-2.0). Where a file is not at hand, made-up
# data with the same columns stand in. Everything runs then too, but the text speaks of the files.

# %%
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import display

import opsmetrics as om

SHARED = Path("shared", "data")


def at_hand(name: str) -> Path | None:
    """A file of the folder `shared` beside the repository, if it is there."""
    folders = [Path.cwd(), *Path.cwd().parents, *Path(om.__file__).resolve().parents]
    return next((folder / SHARED / name for folder in folders if (folder / SHARED / name).exists()), None)


def order_lines() -> tuple[pd.DataFrame, bool]:
    """The real lines, or a stand-in with the same columns."""
    if (file := at_hand("online_retail.parquet")) is not None:
        return pd.read_parquet(file), True
    made = om.make_orders(customers=4_000, rng=7)
    number = made["order_id"].abs().astype(str)
    columns = {
        "InvoiceNo": number.where(made["order_id"] > 0, "C" + number),
        "Quantity": np.sign(made["amount"]),
        "InvoiceDate": made["time"] + (pd.Timestamp("2011-12-09") - made["time"].max().normalize()),
        "UnitPrice": made["amount"].abs(),
        "CustomerID": made["customer"].where(made["order_id"] % 20 != 0),
        "Country": np.where(made["customer"].str[-1].isin(["1", "2"]), "Germany", "United Kingdom"),
    }
    return pd.DataFrame(columns), False


lines, REAL = order_lines()
print(f"{'the real shop' if REAL else 'a stand-in'}: {len(lines):,} lines, {lines['InvoiceDate'].min()} to {lines['InvoiceDate'].max()}")

# %% [markdown]
# Lines are not orders, so they are added up first: one row per invoice. Invoices of guests stay in the table. They
# have no customer, so nothing below can use them, and every result says in `.dropped` how many it left out. Cancelled
# invoices have negative amounts: refunds, which lower the money of a month and are no visit.

# %%
lines["amount"] = lines["Quantity"] * lines["UnitPrice"]
kept = {"customer": ("CustomerID", "first"), "time": ("InvoiceDate", "min"), "amount": ("amount", "sum"), "country": ("Country", "first")}
orders = lines.groupby("InvoiceNo", sort=False).agg(**kept).reset_index()
columns = {"customer": "customer", "time": "time", "amount": "amount"}
LAST = "2011-12-09"
print(f"{len(orders):,} invoices, of these {orders['customer'].isna().sum():,} of guests and {(orders['amount'] < 0).sum():,} refunds")
orders.head(3)

# %% [markdown]
# ## Month by month: who came, who came again, who came back
#
# The file begins in December 2010, the shop did not. Whoever is seen first in winter is often an old customer, so
# `new_after=90` marks the first three months: "new" is not known there. December 2011 has nine days and no rates.
#
# Read from March on. **New customers** fall from 452 to 169 in August, by more than half, and recover in autumn.
# **The share that comes again** does not fall: the retention rate swings between 31 % and 46 %, and is highest in
# November. **Those who come back after a pause** become the largest group, 719 of 1,665 in November. The quick ratio
# lies below one from June to August: for each customer who stayed away, fewer than one came.

# %%
months = om.lifecycle(orders, **columns, as_of=LAST, new_after=90)
months.plot()
table = months.table.set_index(months.table["period"].dt.strftime("%Y-%m"))
if REAL:
    assert table.loc[["2011-03", "2011-08"], "new"].tolist() == [452, 169]
    assert table["retention_rate"].idxmax() == "2011-11"
    assert table.loc["2011-03":"2011-11", "retention_rate"].round(2).agg(["min", "max"]).tolist() == [0.31, 0.46]
    assert (table.loc["2011-06":"2011-08", "quick_ratio"] < 1).all()
    assert table.loc["2011-11", ["active", "resurrected"]].tolist() == [1665, 719]
months

# %% [markdown]
# The same for money. In March, a third of the revenue came from new customers, in November an eighth. What grew is
# the money of those who were there already: retained, expansion and above all those who came back. In no month did
# the customers of two consecutive months keep the money of the first: even with expansion, 36 % to 83 % of it is
# left. A gift shop lives on people who come now and then.

# %%
money = months.revenue.set_index(months.revenue["period"].dt.strftime("%Y-%m"))
parts = money[["new", "retained", "expansion", "resurrected"]].div(money["revenue"], axis=0)
if REAL:
    assert 0.33 < parts.loc["2011-03", "new"] < 0.35
    assert 0.11 < parts.loc["2011-11", "new"] < 0.13
    assert parts.loc["2011-11"].idxmax() == "retained"
    assert money.loc["2011-02":"2011-11", "net_retention_rate"].between(0.35, 0.83).all()
print(parts.loc[["2011-03", "2011-08", "2011-11"]].round(2).to_string())
money[["revenue", "contraction", "churned", "late_refunds", "net_retention_rate", "quick_ratio"]].round(2).tail(6)

# %% [markdown]
# ## Where did the new customers go missing?
#
# `.by` gives each customer the value of his first order, so the countries add up to the whole. From March to August
# the shop's home market lost two thirds of its newcomers; abroad there are few in every month, 19 to 34.

# %%
countries = months.by("country")
countries.plot()
split = countries.table.assign(home=np.where(countries.table["country"] == "United Kingdom", "United Kingdom", "elsewhere"))
split["month"] = split["period"].dt.strftime("%Y-%m")
newcomers = split.pivot_table(index="home", columns="month", values="new", aggfunc="sum").loc[:, "2011-03":"2011-11"]
assert int(split["new"].sum()) == int(table["new"].sum())
if REAL:
    assert newcomers.loc["United Kingdom", "2011-08"] < 0.34 * newcomers.loc["United Kingdom", "2011-03"]
    assert newcomers.loc["elsewhere"].agg(["min", "max"]).tolist() == [19, 34]
newcomers

# %% [markdown]
# ## Do they buy again?
#
# Cohorts by the month of the first order. Each row is a cohort, each column its age in months. Cells that are not
# over are empty. Two things can be seen. The first cohort stands out, since it holds the old customers who bought in
# that December. And the later cohorts are not worse than the earlier ones: of the newcomers of spring 15 % to 21 %
# were back in the next month, of those of September and October 23 % and 24 %. The last cell of each row is November,
# the best month of the year: a rise towards the right is the season, not age.

# %%
cohorts = om.retention(orders, **columns, as_of=LAST)
cohorts.plot()
triangle = cohorts.triangle.set_index(cohorts.triangle["cohort"].dt.strftime("%Y-%m"))
if REAL:
    assert triangle.loc["2011-03":"2011-05", "1"].round(2).between(0.15, 0.21).all()
    assert triangle.loc["2011-09":"2011-10", "1"].round(2).between(0.23, 0.24).all()
    assert triangle["1"].idxmax() == "2010-12"
triangle.drop(columns="cohort").round(2)

# %% [markdown]
# Repurchase has several meanings. Almost two thirds of all buyers bought twice (按人), and almost three quarters of all
# purchases are repeat purchases (按单). Both grow by themselves as the data gets longer. To compare over time, take
# buyers who were all followed equally long: within 90 days of the first order, 45 % bought again. The last row says
# what is lost for good, or so it seems: of buyers with half a year to return, 23 % bought once only.
#
# 回购率, month to month, is 31 % to 46 %, and highest from October to November. **Repeat purchase is not what the shop
# lost.**

# %%
again = om.repurchase_rate(orders, **columns, as_of=LAST)
again.plot()
following = om.next_period_rate(orders, **columns, as_of=LAST)
following.plot()
rates = again.table.set_index("measure")["rate"]
if REAL:
    assert 0.45 < rates["within 90 days"] < 0.46
    assert 0.22 < rates["one-time buyers"] < 0.235
    assert following.table["rate"].max() == following.table["rate"].iloc[10]
display(again)
following.table.set_index(following.table["period"].dt.strftime("%Y-%m"))[["buyers", "returned", "rate", "rate_low", "rate_high"]].round(3)

# %% [markdown]
# ## After how many days is a customer gone?
#
# Sixty days is a guess, and the 90th percentile of the gaps between orders looks only at those who came back. Fitted
# stages count the silences that are not over as well, and ask: of those who have been silent for so long, how many
# buy within the next 60 days? Below 30 % we call them dormant, below 20 % churned.
#
# The answer differs by how often they have bought. Of customers with one order, fewer than 30 % return after six
# weeks of silence, and fewer than 20 % after five months. Of those with two or three, it takes almost six months to
# be dormant. Of those with four or more, 45 % still return after 139 days, the longest silence that one year can
# judge. So there is no day on which to call them dormant, and the library says so instead of making one up.

# %%
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always", om.OpsmetricsWarning)
    fitted = om.Stages.default().fit(orders, **columns, as_of=LAST, horizon=60, p_dormant=0.30, p_churned=0.20)
for warning in told:
    print("warning:", warning.message, "\n")
fitted.plot()
limits = fitted.table.set_index("stage")
if REAL:
    assert limits.loc["introduction", ["dormant_after", "churned_after"]].tolist() == [44, 161]
    assert limits.loc["growth", "dormant_after"] == 172
    assert limits.loc["maturity", "longest_known"] == 139
    assert limits["churned_after"].isna().tolist() == [False, True, True]
fitted

# %% [markdown]
# ## Stages of our own, where the data are silent
#
# A shop must act before it knows. So we keep the fitted days where there are some, and choose where there are none: a
# good customer who has been silent for longer than could be judged goes to *dormant* as well. That is a watch list,
# not a loss, since almost half of them come back, and the choice stands in plain sight in the rules. Only one-time
# buyers can be churned: for the others a year does not tell.

# %%
known = limits["dormant_after"].fillna(limits["longest_known"]).astype(int).to_dict()
bands = {"introduction": 1, "growth": (2, 3), "maturity": (4, None)}
gone = limits["churned_after"].dropna().astype(int).to_dict()
stages = om.Stages(
    [
        om.Stage("churned", *({"orders": bands[name], "recency": (days, None)} for name, days in gone.items())),
        om.Stage("dormant", *({"orders": bands[name], "recency": (days, None)} for name, days in known.items())),
        om.Stage("introduction", {"orders": 1}),
        om.Stage("growth", {"orders": (2, 3)}),
    ],
    default="maturity",
)
for stage in stages.stages:
    print(stage)
dates = ["2011-06-09", "2011-09-09", LAST]
history = stages.assign_at(orders, dates, **columns, missing_customer="drop")
history.plot()
history.counts.pivot(index="stage", columns="as_of", values="customers").loc[list(stages.names)]

# %% [markdown]
# ## Who moved where (阶段迁移)
#
# Each row is a stage at the first date, each column the stage a quarter later; the last row holds the customers won
# in between. From summer to autumn the shop climbed: `up` rises from 25 % to 29 % and `down` falls from 27 % to 18 %.
# **Win-back** (召回率) rises from 28 % to 37 % of the dormant and churned. **High-value churn** (高价值流失) is small in both
# quarters, 5 % of the mature customers. The leak is elsewhere: half to two thirds of those with one order are dormant
# a quarter later. Old customers are not what the shop lost either. Customers who bought once are.

# %%
pyramid = ["churned", "dormant", "introduction", "growth", "maturity"]
moves = {}
for before, after in zip(dates[:-1], dates[1:], strict=True):
    sides = [history.table[history.table["as_of"] == day] for day in (before, after)]
    asked = {"customer": "customer", "label": "stage", "order": pyramid, "lapsed": ["dormant", "churned"], "top": ["maturity"]}
    moves[f"{before} to {after}"] = om.transitions(*sides, **asked)
summer, autumn = moves.values()
summer.plot()
autumn.plot()
compared = pd.concat({name: moved.rates.set_index("direction") for name, moved in moves.items()})
if REAL:
    up, down = (compared["rate"].xs(direction, level=1).round(2).tolist() for direction in ("up", "down"))
    assert (up, down) == ([0.25, 0.29], [0.27, 0.18])
    assert compared["rate"].xs("won back", level=1).round(2).tolist() == [0.28, 0.37]
    assert (compared["rate"].xs("top lost", level=1) < 0.06).all()
display(autumn)
compared.round(3)

# %% [markdown]
# ## What each stage did (分层 KPI)
#
# The stages of 9 September, and what their customers did in the 60 days after. Each stage is the population of its
# own rates. They rise from stage to stage, as they should: from 23 % of the churned to 75 % of the mature customers.
# But look at the lowest: fewer than 20 % of the churned should have come, and by Christmas (the moves above) it was a
# third. That is the season: most gaps of the year know nothing of the autumn. A cut-off is a forecast, and this is
# how to test it.
#
# By market inside each stage, the intervals overlap everywhere: no difference can be told from these numbers.

# %%
staged = stages.assign(om.customer_summary(orders, **columns, as_of="2011-09-09", missing_customer="drop"))
later = orders.assign(bought=orders["amount"] > 0, large=orders["amount"] >= 500)
sixty_days = {"customer": "customer", "time": "time", "between": ("2011-09-10", "2011-11-08")}
kpis = staged.kpis(later, {"bought again": "bought", "order of 500 or more": "large"}, **sixty_days)
kpis.plot()
came = kpis.table[kpis.table["kpi"] == "bought again"].set_index("stage")["rate"]
assert not REAL or (came.is_monotonic_increasing and came.round(2).iloc[[0, -1]].tolist() == [0.23, 0.75])
display(kpis)

first = orders.sort_values("time").drop_duplicates("customer").set_index("customer")["country"]
market = staged.table["customer"].map(first).eq("United Kingdom").map({True: "United Kingdom", False: "elsewhere"})
nested = stages.assign(staged.table.drop(columns="stage").assign(market=market), customer="customer")
nested.kpis(later, {"bought again": "bought"}, by="market", **sixty_days).table.round(3)

# %% [markdown]
# ## Before the order: A-I-P-L (AIPL 流转)
#
# Orders know nothing of people who only look. A log of events does: the highest of four stages in the last 45 days,
# and what became of each stage 45 days later. Loyalty is two purchases or more.
#
# Two thirds of those who only looked have moved up six weeks later, and one in ten is lost. The buyers mostly move
# **down**: 78 of 123 did not buy again within the window, but 60 of these still put things into their carts or on
# their lists. They are not lost, they are shopping, and they are the audience for a second order. Paid search seems
# to move up more of the interested than organic visitors do; the intervals overlap, so it may be luck.

# %%
RULES = {"awareness": ["product_view", "catalog"], "interest": ["wishlist_add", "add_to_cart"], "purchase": "purchase", "loyalty": 2}
NAMES = {"view": "product_view", "search": "catalog", "favourite": "wishlist_add", "cart": "add_to_cart", "pay": "purchase"}


def shop_events() -> tuple[pd.DataFrame, bool]:
    """The events of the synthetic shop, or a stand-in with the same columns."""
    if (file := at_hand("ecom_events.parquet")) is not None:
        return pd.read_parquet(file), True
    made = om.make_events(1_500, rng=7)
    names = {"user_id": made["customer"], "event": made["event"].replace(NAMES), "timestamp": made["time"]}
    return pd.DataFrame({**names, "acquisition_channel": made["channel"]}), False


events, REAL_EVENTS = shop_events()
end = events["timestamp"].max().date()
asked = {"customer": "user_id", "event": "event", "time": "timestamp", "channel": "acquisition_channel", "window": "45D"}
earlier, later_on = (om.aipl(events, RULES, as_of=day, **asked) for day in (end - pd.Timedelta(days=45), end))
flow = earlier.flow(later_on)
flow.plot()
print(f"{'the file' if REAL_EVENTS else 'a stand-in'}: {len(events):,} events, {earlier.params['as_of']} to {later_on.params['as_of']}")
balance = flow.table.set_index("stage")
assert (balance["start"] == balance[["stayed", "moved_up", "moved_down", "lost"]].sum(axis=1)).all()
moved = flow.moves.set_index(["source", "target"])["customers"]
if REAL_EVENTS:
    assert 0.66 < balance.loc["awareness", "moved_up_rate"] < 0.69
    assert 0.09 < balance.loc["awareness", "lost_rate"] < 0.11
    assert balance.loc["purchase", ["start", "moved_down"]].tolist() == [123, 78]
    assert moved["purchase", "interest"] == 60
display(flow)
interested = flow.channels[flow.channels["stage"] == "interest"].set_index("acquisition_channel")
interested[["start", "moved_up", "moved_up_rate", "moved_up_rate_low", "moved_up_rate_high"]].round(3)

# %% [markdown]
# ## What the shop would do
#
# - **New customers**: lost between March and August, at home. Find out what brought them in spring.
# - **The second order** is where customers are lost. Its time is the first six weeks: after that a one-time buyer is
#   dormant. A welcome series belongs there, and a reminder before the season, when a third of the long silent come
#   back.
# - **Repeat purchase and good customers** are sound. Watch the few mature ones who fall silent; do not write them
#   off.
# - **Next year**: two Decembers in the data will tell season from loss, and from which day on a good customer is
#   gone.
