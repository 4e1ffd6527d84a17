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
# # Should the shop send these mails, and could it have known sooner?
#
# 64,000 customers of a shop were split by chance into three groups of equal size. One got a mail about men's clothes, one a
# mail about women's, one none. For two weeks it was noted who visited, who bought, and for how much.
#
# The data: the *MineThatData e-mail challenge* (K. Hillstrom, 2008). Further down, 99 treatments of a fashion shop at each
# of their looks (*ASOS digital experiments*, C. H. B. Liu, A. Cardoso, P. Couturier and E. J. McCoy, 2021). Where the files
# are not at hand, made-up data with the same columns stand in. Everything runs then too, but the text speaks of the files.

# %%
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import display

import opsmetrics as om

SHARED = Path("shared", "data")
NONE, MENS, WOMENS = "No E-Mail", "Mens E-Mail", "Womens E-Mail"


def at_hand(name: str) -> Path | None:
    """A file of the folder `shared` beside the repository, if it is there."""
    folders = [Path.cwd(), *Path.cwd().parents, *Path(om.__file__).resolve().parents]
    return next((folder / SHARED / name for folder in folders if (folder / SHARED / name).exists()), None)


def mailed() -> tuple[pd.DataFrame, bool]:
    """The real customers, or a stand-in with the same columns."""
    if (file := at_hand("hillstrom.parquet")) is not None:
        return pd.read_parquet(file), True
    made = om.make_experiment(64_000, rng=7)
    columns = {
        "recency": made["sessions"].clip(upper=12),
        "history": made["revenue_before"].fillna(0.0),
        "newbie": made["revenue_before"].isna().astype(int),
        "treatment": made["variant"].map({"A": NONE, "B": MENS, "C": WOMENS}),
        "conversion": made["converted"],
        "visit": made["converted"] | (made["sessions"] > 4),
        "spend": made["revenue"],
    }
    return pd.DataFrame(columns), False


def looked_at() -> pd.DataFrame:
    """The statistics of the treatments at each look, or those of thirty made-up ones."""
    if (file := at_hand("asos_experiments.parquet")) is not None:
        return pd.read_parquet(file)
    rng = np.random.default_rng(7)
    tests, looks, each = 30, 40, 500
    k = rng.binomial(each, 0.1, (2, tests, looks)).cumsum(axis=2)
    test, look = (axis.ravel() for axis in np.indices((tests, looks)))
    n, (control, treatment) = each * (look + 1.0), k.reshape(2, -1)
    rates = {"c": control / n, "t": treatment / n}
    keys = {"experiment_id": test.astype(str), "variant_id": 1, "metric_id": 1, "time_since_start": look + 1.0}
    counts = {f"count_{arm}": n for arm in rates}
    means = {f"mean_{arm}": rate for arm, rate in rates.items()}
    variances = {f"variance_{arm}": rate * (1 - rate) * n / (n - 1) for arm, rate in rates.items()}
    return pd.DataFrame(keys | counts | means | variances)


customers, REAL = mailed()
# What should be known of a result is said as a warning, and kept with it. Here it is read from there.
warnings.simplefilter("ignore", om.OpsmetricsWarning)
print(f"{'the real shop' if REAL else 'a stand-in'}: {len(customers):,} customers")
customers[["treatment", "visit", "conversion", "spend", "history", "recency", "newbie"]].head(3)

# %% [markdown]
# ## First of all: was the split as planned?
#
# A third each was planned. It came out as 21,306, 21,307 and 21,387; chance alone does worse nine times in ten. Were it
# otherwise, nothing below would be worth reading.

# %%
split = om.srm_test(customers["treatment"].value_counts().to_dict())
if REAL:
    assert sorted(split.table["observed"].tolist()) == [21_306, 21_307, 21_387]
    assert 0.89 < split.p_value < 0.92
assert not split.mismatch
split.plot()
split

# %% [markdown]
# ## The answer
#
# Three metrics, two mails, each against no mail. Dunnett's correction allows for two mails that share their control, in the
# p-values and in the intervals: of each metric, both intervals hold together in 95 of 100 such tests.
#
# - Both mails bring customers to the shop: 18.3 and 15.1 % visit, of those without a mail 10.6 %.
# - Both make them buy. The men's mail doubles the conversion, from 0.57 to 1.25 %.
# - Both bring money: 77 cents more per customer for the men's mail, somewhere from 45 cents to 1.09 dollars; 42 cents for
#   the women's, from 14 to 71 cents.
#
# A mail costs a fraction of that. Send them.

# %%
METRICS = {"visit": om.Proportion("visit"), "conversion": om.Proportion("conversion"), "spend": om.Mean("spend")}
answer = om.ab_test(customers, variant="treatment", metrics=METRICS, control=NONE, correction="dunnett")
table = answer.table.set_index(["metric", "variant"])
if REAL:
    assert (table["p_adjusted"] < 0.003).all()
    assert table.loc["visit", "treatment"].round(3).tolist() == [0.183, 0.151]
    assert table.loc[("conversion", MENS), ["control", "treatment"]].round(4).tolist() == [0.0057, 0.0125]
    ends = ["difference", "difference_low", "difference_high"]
    assert table.loc[("spend", MENS), ends].astype(float).round(2).tolist() == [0.77, 0.45, 1.09]
    assert table.loc[("spend", WOMENS), ends].astype(float).round(2).tolist() == [0.42, 0.14, 0.71]
    assert answer.warnings == ()
answer.plot()
answer

# %% [markdown]
# ## Which of the two?
#
# Without a control all pairs are compared. The men's mail wins in visits and orders beyond doubt. In money it is 35 cents
# ahead, and that is less sure: p = 0.03. The Bayesian readout says the same in other words: the men's mail is the better one
# with a probability of 98.5 %, and to choose it is expected to lose a tenth of a cent.

# %%
pairs = om.ab_test(customers, variant="treatment", metrics=METRICS, correction="holm")
belief = om.ab_test(customers, variant="treatment", metrics={"spend": METRICS["spend"]}, control=NONE).bayes()
if REAL:
    two = pairs.table.query("variant == @WOMENS and baseline == @MENS").set_index("metric")
    assert (two.loc[["visit", "conversion"], "p_adjusted"] < 0.001).all()
    assert (round(two.loc["spend", "difference"], 2), round(two.loc["spend", "p_adjusted"], 2)) == (-0.35, 0.03)
    best = belief.table.set_index("variant").loc[MENS]
    assert round(best["probability_best"], 3) == 0.985
    assert 0.0005 < best["expected_loss"] < 0.0015
belief.plot()
display(pairs)
belief

# %% [markdown]
# ## Does it help to know the customers?
#
# What a customer spent in the year before (`history`) could take noise out of what he spends now (CUPED). Here it does not:
# it takes out 0.04 % of the variance, for hardly anybody buys within two weeks, and those who do are not those who spent most.
# Three covariates take 2 % out of the visits. Look before you build a pipeline for it.

# %%
with_history = {
    "spend": om.Mean("spend", covariate="history"),
    "visit": om.Proportion("visit", covariate=["history", "recency", "newbie"]),
}
cuped = om.ab_test(customers, variant="treatment", metrics=with_history, control=NONE).table.set_index("metric")
if REAL:
    assert (cuped.loc["spend", "variance_reduction"] < 0.0006).all()
    assert cuped.loc["visit", "variance_reduction"].between(0.01, 0.025).all()
cuped[["variant", "difference", "difference_low", "difference_high", "variance_reduction"]]

# %% [markdown]
# ## Does the test hold its 5 % on these customers?
#
# Spend is as skewed as it gets: one in a hundred buys, for up to 499 dollars. So split the customers *without* a mail at
# random, two thousand times, and count how often two equal halves are called different. At 50 to 50 all is well.
#
# But had only a **tenth** of the customers got a mail, Welch's test would call a difference in 8 or 9 % of the tests without
# any, nearly all of them a loss: a small group mostly lacks the few large orders, and with them the variance. The correction
# for skewness keeps below 5 %. A real test of that shape gets a warning, by a rule on the third moments.

# %%
unmailed = customers[customers["treatment"] == NONE]
even = om.aa_check(unmailed, metrics=METRICS, repeats=2_000, rng=1)
both = {"Welch": om.Mean("spend"), "corrected": om.Mean("spend", skew_correction=True)}
uneven = om.aa_check(unmailed, metrics=both, expected_split={"none": 9, "mail": 1}, repeats=2_000, rng=1)
rates = uneven.table.set_index("metric")
if REAL:
    assert even.table["false_positive_rate"].between(0.03, 0.06).all()
    assert 0.07 < rates.loc["Welch", "false_positive_rate"] < 0.1
    assert rates.loc["Welch", "below_rate"] > 10 * rates.loc["Welch", "above_rate"]
    assert rates.loc["corrected", "false_positive_rate"] < 0.055
uneven.plot()
display(even)
uneven

# %% [markdown]
# ## Somebody loses rows
#
# Suppose a filter against bots takes one in twelve of those away who got the women's mail and did not visit: 1,496 of 64,000
# customers. Nothing looks wrong, and the mail looks better than it is: visits up by 53 % instead of 43 %. No p-value of any
# metric could tell. The split does, and the result says that before everything else.

# %%
kept = customers[(customers["treatment"] != WOMENS) | (customers["visit"] == 1) | (customers.index % 12 > 0)]
broken = om.ab_test(kept, variant="treatment", metrics=METRICS, control=NONE)
assert broken.params["srm_mismatch"]
assert "SAMPLE RATIO MISMATCH" in str(broken).splitlines()[0]
if REAL:
    assert len(customers) - len(kept) == 1_496
    assert round(broken.table.set_index(["metric", "variant"]).loc[("visit", WOMENS), "lift"], 2) == 0.53
    assert round(table.loc[("visit", WOMENS), "lift"], 2) == 0.43
broken.plot()
broken

# %% [markdown]
# ## Could the shop have stopped sooner?
#
# Play the test again, with the customers in the order of the file, and looks at 20, 40, 60, 80 and 100 %. A plan of looks
# that is made before spends the 5 % over them: hardly anything early, nearly all of it at the end.

# %%
plan = om.GroupSequential(5, planned_n=len(customers))
bounds = plan.boundaries()
assert bounds.table["bound"].round(3).tolist() == [4.877, 3.357, 2.680, 2.290, 2.031]
bounds.plot()
bounds

# %% [markdown]
# At the second look, with 25,600 customers, the men's mail has passed its bound in the conversion (a z of 3.44, of 3.36
# needed). It can be sent to everybody. The women's mail passes one look later.
#
# The interval in the table holds at all looks together, and so is wide: 0.01 to 1.01 points. At stopping there is a better one,
# which knows when the test stopped: 0.21 to 0.77 points, with a median-unbiased estimate of 0.49. The whole test says 0.68,
# from 0.50 to 0.86.

# %%
looks = []
for share in (0.2, 0.4, 0.6, 0.8, 1.0):
    seen = om.ab_test(customers[: round(share * len(customers))], variant="treatment", metrics="conversion", control=NONE, sequential=plan)
    looks.append(seen.table.merge(seen.sequential, on=["metric", "variant", "baseline"]))
replay = pd.concat(looks, ignore_index=True)
stopped = replay[replay["stopped"]].groupby("variant").first()
if REAL:
    assert stopped["look"].to_dict() == {MENS: 2, WOMENS: 3}
    early = stopped.loc[MENS]
    assert (round(early["z"], 2), round(early["bound"], 2)) == (3.44, 3.36)
    assert early[["difference_low", "difference_high"]].astype(float).round(4).tolist() == [0.0001, 0.0101]
    assert early[["estimate_low", "estimate", "estimate_high"]].astype(float).round(4).tolist() == [0.0021, 0.0049, 0.0077]
display(replay[["variant", "look", "z", "bound", "stopped", "difference", "difference_low", "difference_high", "p_value"]].round(4))
stopped[["look", "estimate", "estimate_low", "estimate_high", "stopping_p_value"]].round(4)

# %% [markdown]
# ### Does that interval still mean 95 %?
#
# Two thousand tests with the conversion of this shop, without an effect and with a third of that of the men's mail. Each is
# looked at up to five times, and stops by the plan. Beside it the usual practice: stop at the first p < 0.05, and take the
# usual interval.
#
# By the plan 95 % of the intervals hold the truth, whether there is an effect or not; of the tests without an effect 5 % find
# one; and the estimate is above the truth as often as below. At the first p < 0.05 it is 15 % that find what is not there, and
# just as many intervals that miss; and where there is an effect, six in ten differences are too high.


# %%
def simulated(rates: list[float], tests: int, seed: int) -> pd.DataFrame:
    """Counts of two arms at five looks, test by test."""
    rng = np.random.default_rng(seed)
    each = len(customers) // 15
    k = rng.binomial(each, np.array(rates), (tests, 5, 2)).cumsum(axis=1)
    test, at, arm = (axis.ravel() for axis in np.indices(k.shape))
    return pd.DataFrame({"test": test, "at": at + 1, "variant": np.array([NONE, MENS])[arm], "n": each * (at + 1), "successes": k.ravel()})


def ends(counts: pd.DataFrame, truth: float, **options: object) -> dict[str, float]:
    """What is said of tests when they stop: how many find an effect, and how many intervals hold the truth."""
    found = om.ab_test_from_stats(counts, by=["test", "at"], control=NONE, **options)
    rows = found.table.rename(columns={"difference": "middle", "difference_low": "low", "difference_high": "high"})
    if options:
        rows["over"] = found.sequential["stopped"]
        rows[["middle", "low", "high"]] = found.sequential[["estimate", "estimate_low", "estimate_high"]]
    else:
        rows["over"] = (rows["p_value"] < 0.05) | (rows["at"] == 5)
    last = rows[rows["over"]].groupby("test").first()
    holds = last["low"].le(truth) & last["high"].ge(truth)
    return {"found": (last["p_value"] < 0.05).mean(), "covered": holds.mean(), "too_high": (last["middle"] > truth).mean()}


both_arms = om.GroupSequential(5, planned_n=2 * 5 * (len(customers) // 15))
base, mail = (float(rate) for rate in table.loc[("conversion", MENS), ["control", "treatment"]])
coverage = pd.DataFrame(
    {
        (effect, way): ends(simulated(rates, 2_000, seed=1), rates[1] - rates[0], **options)
        for effect, rates in (("no effect", [base, base]), ("a third of it", [base, base + (mail - base) / 3]))
        for way, options in (("by the plan", {"sequential": both_arms}), ("at the first p < 0.05", {}))
    }
).T
held = coverage.xs("by the plan", level=1)
if REAL:
    assert held["covered"].between(0.935, 0.965).all()
    assert 0.035 < held.loc["no effect", "found"] < 0.065
    assert held["too_high"].between(0.46, 0.54).all()
    usual = coverage.xs("at the first p < 0.05", level=1)
    assert round(usual.loc["no effect", "found"], 2) == 0.15
    assert round(usual.loc["no effect", "covered"], 2) == 0.85
    assert 0.6 < usual.loc["a third of it", "too_high"] < 0.73
coverage

# %% [markdown]
# ## Ninety-nine treatments, look by look
#
# A fashion shop's platform wrote down n, mean and variance of four metrics, twice a day, for weeks. That is all that a test
# needs. 381 series of looks; in how many would somebody have called a difference?
#
# - At **some** look p falls below 0.05 in 225 of them, six in ten. At the last look it does in 105. So of those who stop at the
#   first p < 0.05, more than half call something that is gone at the end: 120 "wins" and "losses".
# - With a bound that holds at all looks (`AlwaysValid`, tuned to each treatment's size) 105 are called at some look.
#
# That some of these are gone at the end as well need not be chance: an effect can wear off.

# %%
KEYS = ["experiment_id", "variant_id"]
asos = looked_at().dropna(subset=["variance_c", "variance_t"]).query("count_c > 1 and count_t > 1")
asos = asos.assign(metric=asos["metric_id"].map("metric {}".format))
arms = [
    asos[[*KEYS, "metric", "time_since_start"]].assign(
        variant=name, n=asos[f"count_{arm}"], mean=asos[f"mean_{arm}"], variance=asos[f"variance_{arm}"]
    )
    for arm, name in (("c", "control"), ("t", "treatment"))
]
statistics = pd.concat(arms, ignore_index=True)


def called(table: pd.DataFrame) -> pd.DataFrame:
    """By series: whether it was called at some look, and at the last."""
    hit = table.assign(hit=table["p_value"] < 0.05).groupby([*KEYS, "metric"])["hit"]
    return pd.DataFrame({"ever": hit.max(), "last": hit.last()})


naive = called(om.ab_test_from_stats(statistics, by=[*KEYS, "time_since_start"], control="control").table)
tables = []
for _, own in statistics.groupby(KEYS):
    most = own.groupby(["metric", "time_since_start"])["n"].sum().max()
    design = om.AlwaysValid(int(most))
    tables.append(om.ab_test_from_stats(own, by=[*KEYS, "time_since_start"], control="control", sequential=design).table)
valid = called(pd.concat(tables, ignore_index=True))
gone = naive["ever"] & ~naive["last"]
if REAL:
    assert (len(naive), int(naive["ever"].sum()), int(naive["last"].sum()), int(gone.sum())) == (381, 225, 105, 120)
    assert int(valid["ever"].sum()) == 105
print(f"{len(statistics):,} rows of statistics, {len(naive)} series")
print(f"p < 0.05 at some look {naive['ever'].sum()}, at the last {naive['last'].sum()}; gone at the end {gone.sum()}")
print(f"called by an always valid bound {valid['ever'].sum()}")

# %% [markdown]
# ## The next test
#
# The men's mail is sent. Would a new version of it be better by a fifth? Its conversion is 1.25 %; a test with two arms takes
# 68 thousand customers for a power of 80 %. Asked for the *money* it would take 122 thousand, since money is noisier than
# orders. So let orders decide, and report the money.
#
# With five looks it takes 2.5 % more at most, and 18 % less on average if the new mail is as good as hoped. At 4,000 customers
# a day these are 18 days: run three weeks, so that each weekday is in it equally often.

# %%
mens = customers[customers["treatment"] == MENS]
orders = om.Baseline.of(mens, om.Proportion("conversion"))
money = om.Baseline.of(mens, om.Mean("spend"))
one_look, of_money = (om.sample_size(known, effect=0.2, relative=True) for known in (orders, money))
looking = om.GroupSequential(5, planned_n=one_look.params["n"])
next_test = om.sample_size(orders, effect=0.2, relative=True, sequential=looking)
days = om.duration(next_test, traffic=4_000)
if REAL:
    assert round(one_look.params["n"], -3) == 68_000
    assert round(of_money.params["n"], -3) == 122_000
    assert round(next_test.params["inflation"], 3) == 1.025
    assert round(next_test.params["expected_n"] / one_look.params["n"], 2) == 0.82
    assert (days.params["days"], days.params["weeks"]) == (18, 3)
next_test.plot()
days.plot()
display(next_test)
days

# %% [markdown]
# ## Hand it over
#
# `.stats` is what the answer was made of: nine rows, no customer in them. As JSON they give the same answer anywhere, and
# answer other questions. Is the women's mail at least not *worse* than none, by a margin of five cents?

# %%
sent = json.dumps(answer.to_dict())
rows = json.loads(sent)["stats"]
again = om.ab_test_from_stats(rows, control=NONE, correction="dunnett").table
not_worse = om.Mean("spend", hypothesis="non-inferiority", margin=0.05)
asked = om.ab_test_from_stats(rows, control=NONE, metrics={"spend": not_worse}).table.query("metric == 'spend'")
assert np.allclose(again["p_value"], answer.table["p_value"], rtol=1e-9)
assert len(rows) == 9
if REAL:
    assert (asked["p_value"] < 0.001).all()
print(f"{len(rows)} rows")
asked[["variant", "difference", "difference_low", "p_value"]].round(5)
