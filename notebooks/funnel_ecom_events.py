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
# # Which channel loses people where, what did they do instead, and how long does payment take?
#
# A funnel (漏斗) counts how many customers take the steps of a shop one after the other: they look at a product, put one
# into the cart, begin the checkout, pay. The count is the easy part. This notebook asks what a shop wants to know next,
# and shows the choices that change the answer: the window, the attempt that counts, the visit.
#
# The data: events of a **synthetic** shop (Apache-2.0), half a year of visits of a few hundred users. Where the file is
# not at hand, a made-up log with the same columns stands in. Everything runs then too, but the text speaks of the file.

# %%
from pathlib import Path

import pandas as pd
from IPython.display import display

import opsmetrics as om

FILE = Path("shared", "data", "ecom_events.parquet")
NAMES = {
    "view": "product_view", "cart": "add_to_cart", "checkout": "shipping_details", "pay": "purchase", "favourite": "wishlist_add",
    "coupon": "payment_details", "help": "support_chat",
}  # fmt: skip


def shop_events() -> tuple[pd.DataFrame, bool]:
    """The events, from the folder `shared` beside the repository, or a stand-in with the same columns."""
    folders = [Path.cwd(), *Path.cwd().parents, *Path(om.__file__).resolve().parents]
    found = next((folder / FILE for folder in folders if (folder / FILE).exists()), None)
    if found is not None:
        return pd.read_parquet(found), True
    made = om.make_events(1_500, rng=7)
    columns = {
        "user_id": made["customer"],
        "event": made["event"].replace(NAMES),
        "timestamp": made["time"],
        "acquisition_channel": made["channel"].replace({"search": "organic", "ads": "paid_search"}),
    }
    return pd.DataFrame(columns), False


events, REAL = shop_events()
columns = {"customer": "user_id", "event": "event", "time": "timestamp"}
log = om.prepare_events(events, **columns)
print(
    f"{'the file' if REAL else 'a stand-in'}: {len(events):,} events of {events['user_id'].nunique():,} users, "
    f"{events['timestamp'].min()} to {events['timestamp'].max()}"
)
pd.concat([events["event"].value_counts().rename("rows"), events.groupby("event")["user_id"].nunique().rename("users")], axis=1)

# %% [markdown]
# ## The funnel
#
# `prepare_events` sorts the log once, and each funnel below uses it again. The shop has two pages of checkout, and some
# customers see one of them only; a list inside a `Step` means any of these events. The window is seven days from the
# first step: whoever pays later has not converted in this attempt.
#
# Most users reach the cart. The worst step is the last: more than half of those who begin the checkout do not pay. The
# bars are shares of those who enter, with 95% intervals; the lighter part was lost since the step before.

# %%
checkout = om.Step(["shipping_details", "payment_details"], label="checkout")
steps = ["product_view", "add_to_cart", checkout, "purchase"]
found = om.funnel(log, steps, window="7D")
found.plot()
assert not REAL or found.table["step_conversion"].idxmin() == 3
assert not REAL or found.table["step_conversion"][3] < 0.5
found

# %% [markdown]
# ## Three numbers, one log
#
# "Conversion" is not one number. A user comes many times, and every product view opens an attempt. `entry="best"` takes
# the deepest attempt of each user: can he be brought to pay? `entry="first"` takes the first one only: what becomes of a
# first visit? Without a window, months may pass between a view and a payment. `count="totals"` counts attempts that do
# not overlap. The rates differ by a factor of several, so a report that does not say which one it shows says little.

# %%
choices = {
    "best attempt, 7 days": found,
    "best attempt, 1 day": om.funnel(log, steps, window="1D"),
    "best attempt, no window": om.funnel(log, steps),
    "first attempt, 7 days": om.funnel(log, steps, window="7D", entry="first"),
    "all attempts, 7 days": om.funnel(log, steps, window="7D", count="totals"),
}
last = {name: funnel.table.iloc[-1] for name, funnel in choices.items()}
assert not REAL or last["best attempt, no window"]["conversion"] > 5 * last["first attempt, 7 days"]["conversion"]
converted = pd.DataFrame({name: row[["conversion", "conversion_low", "conversion_high"]] for name, row in last.items()}).T
converted.map("{:.1%}".format)

# %% [markdown]
# ## Which channel loses people where (分渠道漏斗)
#
# Each user has one channel, so the rows of a step add up to the whole funnel. Paid search and e-mail look better than
# organic visitors from the checkout on. Is that more than luck? `compare` gives the difference at each step with its
# interval, and p-values adjusted for the number of comparisons (Holm). One remains below 5%: users from paid search pay
# more often. The interval of e-mail lies above zero as well, but among twelve comparisons one such interval is no
# surprise, and its mark is hollow.

# %%
by_channel = found.by("acquisition_channel")
by_channel.plot()
against = found.compare("acquisition_channel", baseline="organic")
against.plot()
sure = against.table[against.table["p_adjusted"] < 0.05]
rates = by_channel.table.pivot(index="acquisition_channel", columns="step", values="step_conversion")[found.table["step"]]
assert not REAL or (rates.idxmin(axis=1) == "purchase").all()
assert not REAL or sure[["acquisition_channel", "step"]].to_numpy().tolist() == [["paid_search", "purchase"]]
print(f"{len(against.table)} comparisons, {len(sure)} below 5% after adjustment")
display(rates.round(3))
against

# %% [markdown]
# The channels differ in who begins the checkout, too. `denominator="previous"` asks about the last step alone: of those
# who began the checkout, who paid? The difference is larger and less certain, since fewer users are left. And these are
# users whom the earlier steps have already chosen, so it is a hint where to look, not a proof that checkout treats
# channels differently.

# %%
checkouts = found.compare("acquisition_channel", baseline="organic", denominator="previous").table
checkouts.query("step == 'purchase'").round(3)

# %% [markdown]
# ## What did they do instead (流失去向)
#
# The users who began the checkout in their best attempt and did not pay: what was the first thing they did next? A fifth
# did nothing more inside the window. Others turned pages of the checkout or went back to the cart. Few saw an
# error or asked for help at once, so errors do not explain the loss; but the cart and the form, seen again and again, are
# worth a look.

# %%
instead = found.next_events(after="checkout")
instead.plot()
shares = instead.table.set_index("event")["share"]
trouble = shares[shares.index.isin(["payment_error", "error_page", "checkout_bug", "support_chat"])]
form = shares[shares.index.isin(["cart", "shipping_details", "payment_details"])]
assert not REAL or (form.sum() > 0.4 and trouble.sum() < 0.1 and 0.15 < shares["(nothing)"] < 0.25)
print(f"cart or checkout again {form.sum():.1%}, trouble {trouble.sum():.1%}, nothing {shares.get('(nothing)', 0):.1%}")
instead

# %% [markdown]
# ## How long does payment take (转化时长)
#
# Of those who paid: the time from the checkout to the payment. The bins are those a reader would choose, and not equally
# long. Nine in ten pay within half an hour; then comes a gap of a day, and a few who paid in a later visit. A
# reminder after an hour would reach almost nobody who was about to pay anyway.

# %%
waits = found.times("checkout", "purchase")
waits.plot()
soon = waits.histogram.query("to_seconds <= 1800")["share"].sum()
assert not REAL or soon > 0.9
print(f"within half an hour: {soon:.1%} of {waits.params['customers']:,} who paid")
waits

# %% [markdown]
# Waiting times of those who paid leave out those who did not, and the last entries could not be watched for seven days.
# The curve counts each user as long as he was seen: the share that has paid by each time since the first checkout
# (one less Kaplan-Meier). The honest clock starts at the first entry, hence `entry="first"`: the best attempt is chosen by
# looking at how it ended.

# %%
first_checkout = om.funnel(log, [checkout, "purchase"], window="7D", entry="first")
curve = first_checkout.survival()
curve.plot()
hour = curve.table[curve.table["seconds"] <= 3600].iloc[-1]
print(f"paid within an hour {hour['conversion']:.1%}, by the end {curve.table['conversion'].iloc[-1]:.1%}")
print(f"the window of {first_checkout.params['immature']} entries was still open when the data ended")
curve

# %% [markdown]
# ## Week by week (转化趋势)
#
# By week of entry; in each week a user counts once. The intervals of the first weeks, with a handful of users, run off the
# top. The hollow dots are weeks whose entries may still convert: the data ends before their windows do, and the
# conversions of these entries can only become more. A drop at the right end of such a chart is the most common false alarm of all.

# %%
weeks = found.trend("week")
weeks.plot()
latest = weeks.table[weeks.table["step"] == "purchase"].tail(4)
assert not REAL or list(latest["immature"] > 0) == [False, False, True, True]
latest.set_index("period")[["customers", "conversion", "conversion_low", "conversion_high", "immature"]].round(3)

# %% [markdown]
# ## A-I-P-L (AIPL 人群链路)
#
# Awareness, interest, purchase, loyalty, as a preset with Chinese labels. Loyalty is one more purchase: a row fills one
# step only, so the same event twice in a row means buying again. The window is thirty days: the median of the last
# step says that most of those who buy again take longer than a week.

# %%
aipl = om.aipl_steps(awareness="product_view", interest=["wishlist_add", "add_to_cart"], purchase="purchase", labels="zh")
loyal = om.funnel(log, aipl, window="30D")
assert not REAL or loyal.table["median_step_seconds"][3] > 7 * 86_400
loyal

# %% [markdown]
# ## Within one visit
#
# `sessionize` cuts each user's events into visits where nothing happened for half an hour. With `hold=["session"]` all
# steps must lie in one visit, and pairs of user and visit are counted; the visits of one user depend on each other, so the
# intervals take users as clusters. Of the best attempts above that ended in a payment, how many needed more than one visit?
# Compare the users: most of those who pay within seven days do it in one visit.

# %%
visits = om.sessionize(events, customer="user_id", time="timestamp", gap="30min")
visits.plot()
in_one_visit = om.funnel(visits.events, steps, hold=["session"], **columns)
in_one_visit.plot()
paid = {
    "in one visit": in_one_visit.customers.query("level == 4")["user_id"].nunique(),
    "within seven days": int((found.customers["level"] == 4).sum()),
}
assert not REAL or paid["in one visit"] > 0.8 * paid["within seven days"]
print("users who paid:", paid)
in_one_visit

# %% [markdown]
# ## All paths, not only the planned one (路径分析)
#
# Last, without a plan: which event follows which inside a visit, where visits begin and where they end. After a product
# view comes the catalogue or the next product more often than the cart. Of all common events, the payment page is
# the one with the highest exit rate but for the purchase itself, whose visitors are done.

# %%
moves = om.path_transitions(log, gap="30min")
moves.plot()
nodes = moves.nodes.query("visits >= 100").sort_values("exit_rate", ascending=False)
assert not REAL or nodes["event"].tolist()[:2] == ["purchase", "payment_details"]
display(nodes.head(5).round(3))
moves.table.query("source == 'product_view'").head(5).round(3)

# %% [markdown]
# ## What the shop would do
#
# - Work on the step from checkout to payment: it loses most, in every channel, and what people do instead is
#   to go round in the cart and the form.
# - Ask what paid search does differently; the difference at the purchase is the only one that luck does not explain.
# - Send reminders for the checkout after an hour, not after a day.
# - Report one conversion rate with its window and its rule of entry, and leave the last week hollow.
