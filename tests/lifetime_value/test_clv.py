"""Customer lifetime value: the table and its identities, both kinds of intervals, groups, the choice of a model, what is told."""

from __future__ import annotations

import datetime as dt
import json
import math
import pickle
import re
import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaincinv, ndtri

import opsmetrics as om
from opsmetrics.lifetime_value import outcomes
from tests.lifetime_value.inputs import (
    BG,
    CDNOW,
    CONTINUOUS,
    LAST_DAY,
    MBG,
    ORDERS,
    PARETO,
    Model,
    at,
    cdnow,
    orders_of,
    predicted,
    quiet,
    spending,
)
from tests.support import Kind, columns_of, to_pandas

COLUMNS = [
    "customer", "frequency", "recency", "T", "monetary_value", "p_alive", "expected_purchases", "expected_purchases_low",
    "expected_purchases_high", "purchases_low", "purchases_high", "expected_amount", "value", "value_low", "value_high", "outcome_low",
    "outcome_high",
]  # fmt: skip
TOTALS = [
    "customers", "expected_purchases", "expected_purchases_low", "expected_purchases_high", "purchases_low", "purchases_high", "value",
    "value_low", "value_high", "outcome_low", "outcome_high",
]  # fmt: skip
RESULTS = ["value", "value_low", "value_high", "outcome_low", "outcome_high"]
AHEAD = 180


def ask(orders: Any, **choices: Any) -> Any:
    return om.clv(orders, **({**ORDERS, "as_of": LAST_DAY, "horizon": AHEAD, "model": "mbg_nbd"} | choices))


@pytest.fixture(scope="module")
def shop() -> tuple[pd.DataFrame, pd.DataFrame]:
    return orders_of(800, 3, ahead=AHEAD)


@pytest.fixture(scope="module")
def orders(shop: Any) -> pd.DataFrame:
    return shop[0]


@pytest.fixture(scope="module")
def values(orders: pd.DataFrame) -> Any:
    return ask(orders)


def summary_of(values: Any) -> pd.DataFrame:
    return values.table[["frequency", "recency", "T", "monetary_value"]]


# ------------------------------------------------------------------------------------------------------------ the table


def test_the_table_is_that_of_the_summary_with_what_is_expected(values: Any, orders: pd.DataFrame) -> None:
    assert values.table.columns.tolist() == COLUMNS
    assert values.totals.columns.tolist() == TOTALS
    summary = om.clv_summary(orders, **ORDERS, as_of=LAST_DAY)
    pd.testing.assert_frame_equal(values.table[summary.table.columns], summary.table)
    assert (values.customer, values.fit.unit, values.fit.model) == ("customer", "day", "mbg_nbd")
    assert {name: values.params[name] for name in ("model", "horizon", "discount_rate", "margin", "confidence", "chosen_by")} == {
        "model": "MBG/NBD", "horizon": AHEAD, "discount_rate": 0.10, "margin": 1.0, "confidence": 0.95, "chosen_by": None,
    }  # fmt: skip
    assert np.isfinite(values.table.drop(columns="customer").to_numpy(float)).all()
    assert np.isfinite(values.totals.to_numpy(float)).all()
    assert {str(values.table[name].dtype) for name in ("purchases_low", "purchases_high")} == {"int64"}


@pytest.mark.parametrize("model", ["bg_nbd", "mbg_nbd", "pareto_nbd"])
def test_each_column_is_what_the_fits_predict(orders: pd.DataFrame, model: Any) -> None:
    """Value = margin times discounted purchases times amount; intervals of the mean add the variances of the two logarithms."""
    made = quiet(ask, orders, model=model, margin=0.3, discount_rate=0.2, confidence=0.9)
    table, people = made.table, summary_of(made)
    assert table["p_alive"].to_numpy() == pytest.approx(predicted(quiet(made.fit.p_alive, people)), rel=1e-12)
    mean = made.fit.expected_purchases(AHEAD, people, confidence=0.9).table
    for end in ("", "_low", "_high"):
        assert table[f"expected_purchases{end}"].to_numpy() == pytest.approx(mean[f"expected_purchases{end}"].to_numpy(), rel=1e-9)
    kept = made.fit.discounted_purchases(people, horizon=AHEAD, discount_rate=0.2, confidence=0.9).table
    amount = made.spend_fit.expected_amount(people, confidence=0.9).table
    assert table["expected_amount"].to_numpy() == pytest.approx(amount["expected_amount"].to_numpy(), rel=1e-12)
    value = 0.3 * kept["discounted_purchases"] * amount["expected_amount"]
    assert table["value"].to_numpy() == pytest.approx(value.to_numpy(), rel=1e-9)
    parts = [
        np.log(kept["discounted_purchases_high"] / kept["discounted_purchases"]),
        np.log(amount["expected_amount_high"] / amount["expected_amount"]),
    ]
    half = np.hypot(*parts)
    assert table["value_low"].to_numpy() == pytest.approx((value * np.exp(-half)).to_numpy(), rel=1e-9)
    assert table["value_high"].to_numpy() == pytest.approx((value * np.exp(half)).to_numpy(), rel=1e-9)


def test_intervals_lie_around_what_they_are_of(values: Any) -> None:
    table, totals = values.table, values.totals.iloc[0]
    for name in ("expected_purchases", "value"):
        assert (table[f"{name}_low"] < table[name]).all()
        assert (table[name] < table[f"{name}_high"]).all()
    assert (table["purchases_low"] <= table["purchases_high"]).all()
    assert ((table["outcome_low"] >= 0) & (table["outcome_low"] <= table["value"])).all()
    assert totals["outcome_low"] < totals["value_low"] < totals["value"] < totals["value_high"] < totals["outcome_high"]
    assert totals["purchases_low"] < totals["expected_purchases_low"] < totals["expected_purchases_high"] < totals["purchases_high"]


def test_the_ends_of_purchases_are_quantiles_of_their_distribution(values: Any) -> None:
    """The least number that at least 2.5 % (97.5 %) of the outcomes do not exceed."""
    people = summary_of(values).iloc[:200]
    chances = np.cumsum([predicted(values.fit.purchase_probability(x, AHEAD, people)) for x in range(150)], axis=0)
    for name, level in (("purchases_low", 0.025), ("purchases_high", 0.975)):
        expected = (chances < level - 1e-9).sum(axis=0)
        assert values.table[name].iloc[:200].tolist() == expected.tolist()


# -------------------------------------------------------------------------------------- uncertainty against simulations


def test_outcomes_contain_what_happens_and_means_do_not(shop: Any, values: Any) -> None:
    """Counts jump, so that their intervals cover more than 95 %; with 800 customers four standard errors are 3 %."""
    later, table = shop[1].loc[values.table["customer"]], values.table
    for low, high, name in (("purchases_low", "purchases_high", "purchases"), ("outcome_low", "outcome_high", "value")):
        actual = later[name].to_numpy()
        inside = (table[low].to_numpy() <= actual) & (actual <= table[high].to_numpy())
        assert 0.92 < inside.mean() <= 1, name
    mean_only = (table["value_low"].to_numpy() <= later["value"].to_numpy()) & (later["value"].to_numpy() <= table["value_high"].to_numpy())
    assert mean_only.mean() < 0.5
    likely = table["p_alive"].to_numpy() > 0.9  # of those who buy for sure both ends are at work
    above = (later["value"].to_numpy() > table["outcome_high"].to_numpy())[likely].mean()
    below = (later["value"].to_numpy() < table["outcome_low"].to_numpy())[likely].mean()
    assert 0 < above < 0.08
    assert below < 0.08


def test_totals_contain_what_happens() -> None:
    """Of 20 shops at 90 % the outcome should miss two; the intervals of the mean alone miss many more."""
    inside = {"purchases": 0, "value": 0, "mean": 0}
    for seed in range(20):
        orders, later = orders_of(250, 100 + seed, ahead=AHEAD)
        totals = quiet(ask, orders, confidence=0.9).totals.iloc[0]
        inside["purchases"] += totals["purchases_low"] <= later["purchases"].sum() <= totals["purchases_high"]
        inside["value"] += totals["outcome_low"] <= later["value"].sum() <= totals["outcome_high"]
        inside["mean"] += totals["value_low"] <= later["value"].sum() <= totals["value_high"]
    assert inside["purchases"] >= 14  # 2 in 1,000 of binomials with 20 and 0.9 are below
    assert inside["value"] >= 14
    assert inside["mean"] < inside["value"]


def test_the_mean_of_the_total_moves_with_the_parameters_that_all_share(values: Any) -> None:
    """Its interval against totals at parameters drawn from their distribution; errors of customers do not average out."""
    people = summary_of(values)
    rng = np.random.default_rng(5)

    def drawn(fit: Any) -> Any:
        size = np.array(list(fit.params.values()))
        covariance = pd.DataFrame(fit.covariance).to_numpy() / np.outer(size, size)
        return [
            dict(zip(fit.params, row, strict=True))
            for row in (size * np.exp(rng.multivariate_normal(np.zeros(len(size)), covariance, 150))).tolist()
        ]

    totals = []
    for buying, spend in zip(drawn(values.fit), drawn(values.spend_fit), strict=True):
        fit = om.ModifiedBetaGeoFit.from_dict(values.fit.to_dict() | {"params": buying})
        amounts = om.GammaGammaFit.from_dict(values.spend_fit.to_dict() | {"params": spend})
        bought, worth = predicted(fit.expected_purchases(AHEAD, people)), predicted(amounts.expected_amount(people))
        totals.append((bought.sum(), bought @ worth))
    spread = np.log(np.array(totals)).std(axis=0)
    row = quiet(ask, orders_of(800, 3, ahead=AHEAD)[0], discount_rate=0).totals.iloc[0]
    for name, expected in zip(("expected_purchases", "value"), spread, strict=True):
        found = math.log(row[f"{name}_high"] / row[f"{name}_low"]) / (2 * ndtri(0.975))
        assert found == pytest.approx(expected, rel=0.25), name
    independent = np.log(values.table["value_high"] / values.table["value"]) / ndtri(0.975)
    shares = values.table["value"] / values.table["value"].sum()
    assert math.sqrt(independent**2 @ shares**2) < spread[1] / 3  # as if each customer had parameters of his own


def test_the_outcome_of_the_total_adds_what_customers_do_to_what_is_not_known_of_parameters(orders: pd.DataFrame) -> None:
    """Ends of a Gamma distribution with the mean of the total and the variances of all customers' sums, times a log-normal factor.

    The factor is that of the interval of the mean, which so lies within that of the outcome.

    A sum of Y amounts of mean M has the variance E(Y) E(M^2) / p + E(Y^2) E(M^2) - E(Y)^2 E(M)^2; M = p / nu, and nu is Gamma(p x + q)
    distributed with the rate v + x z.
    """
    few = orders[orders["customer"] < 60]  # of whom little is known, so that both parts matter
    made = quiet(ask, few, discount_rate=0)
    table, people, p = made.table, summary_of(made), made.spend_fit.params
    chances = np.array([predicted(made.fit.purchase_probability(n, AHEAD, people)) for n in range(250)])
    mean, square = (np.arange(250) ** power @ chances for power in (1, 2))
    shape, rate = p["p"] * table["frequency"] + p["q"], p["v"] + table["frequency"] * table["monetary_value"]
    amount, amount_square = p["p"] * rate / (shape - 1), (p["p"] * rate) ** 2 / ((shape - 1) * (shape - 2))
    bought = (square - mean**2).sum()
    spent = (mean * amount_square / p["p"] + square * amount_square - (mean * amount) ** 2).sum()
    row = made.totals.iloc[0]
    for name, outcome, variance in (("expected_purchases", "purchases", bought), ("value", "outcome", spent)):
        relative = math.log(row[f"{name}_high"] / row[name]) / ndtri(0.975)
        of_mean = (relative * row[name]) ** 2
        assert of_mean > 0.05 * variance  # or the test would say nothing of it
        size, middles = row[name] ** 2 / variance, (np.arange(2_000) + 0.5) / 2_000
        drawn = np.outer(gammaincinv(size, middles) / size, np.exp(relative * ndtri(middles))) * row[name]
        for end, level in (("low", 0.025), ("high", 0.975)):
            expected = np.quantile(drawn, level)
            assert row[f"{outcome}_{end}"] == pytest.approx(expected, rel=1e-3, abs=1 if outcome == "purchases" else 0), (outcome, end)
        assert row[f"{outcome}_low"] < row[f"{name}_low"]
        assert row[f"{name}_high"] < row[f"{outcome}_high"]


def test_an_outcome_spreads_as_that_of_a_simulated_customer(orders: pd.DataFrame, values: Any) -> None:
    """One customer, 40,000 times: P(alive), a number of purchases, a mean amount of his own and purchases around it.

    An end is found among a thousand draws, which is good for some 4 %: hence the mean of six.
    """
    place = values.table["value"].argsort().iloc[-25]
    row = values.table.iloc[place].copy()
    ends = [ask(orders, rng=seed).table.iloc[place] for seed in range(6)]
    row["outcome_low"], row["outcome_high"] = (np.mean([end[name] for end in ends]) for name in ("outcome_low", "outcome_high"))
    people = pd.DataFrame([row])[["frequency", "recency", "T", "monetary_value"]].astype({"frequency": int})
    rng, p = np.random.default_rng(2), values.spend_fit.params
    chance = [predicted(values.fit.purchase_probability(x, AHEAD, people))[0] for x in range(120)]
    bought = rng.choice(120, 40_000, p=np.array(chance) / sum(chance))
    own = rng.gamma(p["p"] * row["frequency"] + p["q"], 1 / (p["v"] + row["frequency"] * row["monetary_value"]), 40_000)
    outcome = np.where(bought > 0, rng.gamma(p["p"] * np.maximum(bought, 1)) / own, 0.0)
    discount = row["value"] / (row["expected_purchases"] * row["expected_amount"])
    low, high = np.quantile(outcome * discount, [0.025, 0.975])
    assert row["outcome_high"] == pytest.approx(high, rel=0.05)
    assert row["outcome_low"] == pytest.approx(low, rel=0.15, abs=1e-9)
    assert row["value"] == pytest.approx(outcome.mean() * discount, rel=0.02)


YEARS = 1_826
"""Five years ahead, in days."""

AMOUNTS = {"p": 6.0, "q": 4.0, "v": 15.0}
LASTING = {
    BG: {"r": 1.2, "alpha": 25.0, "a": 0.7, "b": 9.0},
    MBG: {"r": 1.2, "alpha": 25.0, "a": 0.7, "b": 9.0},
    PARETO: {"r": 1.2, "alpha": 25.0, "s": 0.9, "beta": 400.0},
}
"""Customers who may stay for years."""


def lived(fit: Any, spend: Any, people: pd.DataFrame, ahead: int, rate: float, times: int) -> Any:
    """What customers bring in the days ahead, so many times (one row each): lives, purchases one by one, amounts, each discounted.

    Rates of purchases and of leaving, and mean amounts, are drawn from what they are distributed as given the history and these parameters.
    """
    rng, own = np.random.default_rng(12), fit.params
    x, T, z, alive = (np.tile(people[name].to_numpy(float), times) for name in ("frequency", "T", "monetary_value", "p_alive"))
    pace, price = rng.gamma(own["r"] + x) / (own["alpha"] + T), rng.gamma(spend["p"] * x + spend["q"]) / (spend["v"] + x * z)
    until, chance = np.full(len(x), float(ahead)), np.zeros(len(x))
    if fit.model == "pareto_nbd":
        until = np.minimum(until, rng.exponential(1 / (rng.gamma(own["s"], size=len(x)) / (own["beta"] + T))))
    else:
        chance = rng.beta(own["a"], own["b"] + x + (fit.model == "mbg_nbd"))
    now, brought, there = np.zeros(len(x)), np.zeros(len(x)), np.flatnonzero(rng.random(len(x)) < alive)
    while len(there):
        now[there] += rng.exponential(1 / pace[there])
        there = there[now[there] < until[there]]
        brought[there] += rng.gamma(spend["p"], 1 / price[there]) * np.exp(-rate * now[there] / 365.2425)
        there = there[rng.random(len(there)) >= chance[there]]
    return brought.reshape(times, len(people))


@cache
def valued_and_lived(model: Model, ahead: int, rate: float) -> tuple[Any, Any]:
    """Sixty customers and three who buy every 11 to 19 days, at parameters that are known; and 3,000 times what they bring."""
    fit = at(model, LASTING[model], unit="day")
    days = [(100 + every, pd.Timestamp(LAST_DAY) - pd.Timedelta(days=i * every), 20.0) for every in (11, 15, 19) for i in range(15)]
    orders = pd.concat([orders_of(60, 3)[0], pd.DataFrame(days, columns=["customer", "time", "amount"])])
    made = quiet(ask, orders, model=fit, spend_model=spending(**AMOUNTS), horizon=ahead, discount_rate=rate, confidence=0.9)
    return made, lived(fit, AMOUNTS, made.table, ahead, rate, 3_000)


LIVES = [(365, 0.0), (YEARS, 0.0), (365, 0.5), (YEARS, 0.5)]


@pytest.mark.parametrize(("ahead", "rate"), LIVES)
@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_discounted_totals_are_those_of_simulated_customers(model: Model, ahead: int, rate: float) -> None:
    """Of 3,000 lives a share of 5 % is told to within 0.4 points."""
    made, brought = valued_and_lived(model, ahead, rate)
    row, sums = made.totals.iloc[0], brought.sum(axis=1)
    assert row["value"] == pytest.approx(sums.mean(), abs=4 * sums.std() / math.sqrt(len(sums)))
    assert 0.03 < np.mean(sums < row["outcome_low"]) < 0.07
    assert 0.03 < np.mean(sums > row["outcome_high"]) < 0.07


@pytest.mark.parametrize(("ahead", "rate"), LIVES)
@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_discounted_outcomes_are_those_of_simulated_customers(model: Model, ahead: int, rate: float) -> None:
    """Of the three who all but surely come again, so that both ends are at work."""
    made, brought = valued_and_lived(model, ahead, rate)
    for place in np.flatnonzero(made.table["customer"] > 100):
        row, own = made.table.iloc[place], brought[:, place]
        assert row["value"] == pytest.approx(own.mean(), abs=4 * own.std() / math.sqrt(len(own)))
        assert 0.02 < np.mean(own < row["outcome_low"]) < 0.08
        assert 0.02 < np.mean(own > row["outcome_high"]) < 0.08


@pytest.mark.parametrize("q", [1.8, 4.0], ids=["drawn", "spread"])
def test_totals_know_that_parameters_are_uncertain(q: float) -> None:
    """Where amounts have a variance to go by, and where a total is drawn: the scale of all amounts is known to within a third.

    10 % are to lie outside, but for what the slope at the estimates leaves out; of customers alone, nearly 20 % would.
    """
    orders, fit = orders_of(200, 3)[0], at(MBG, LASTING[MBG], unit="day")
    params = AMOUNTS | {"q": q}
    spend = om.GammaGammaFit.from_dict(sure(params) | {"covariance": {a: dict.fromkeys(params, 0.0) for a in params}})
    unsure = {**spend.covariance, "v": {"p": 0.0, "q": 0.0, "v": (0.35 * params["v"]) ** 2}}
    spend = om.GammaGammaFit.from_dict(spend.to_dict() | {"covariance": unsure})
    made = quiet(ask, orders, model=fit, spend_model=spend, discount_rate=0, confidence=0.9)
    scales = params["v"] * np.exp(0.35 * np.random.default_rng(4).standard_normal(3_000))
    sums = lived(fit, params | {"v": np.repeat(scales, len(made.table))}, made.table, AHEAD, 0.0, 3_000).sum(axis=1)
    row = made.totals.iloc[0]
    assert 0.05 < np.mean((sums < row["outcome_low"]) | (sums > row["outcome_high"])) < 0.14


def test_totals_of_purchases_end_at_whole_numbers(orders: pd.DataFrame, values: Any) -> None:
    """From the one below to the one above, of all and of groups; a count is told by no fraction."""
    groups = values.by(values.table[["customer"]].assign(segment=values.table["customer"] % 7)).table
    for table in (values.totals, groups, ask(orders, confidence=0.5).totals):
        for name in ("purchases_low", "purchases_high"):
            assert (table[name] % 1 == 0).all(), name
        assert (table["purchases_low"] < table["expected_purchases"]).all()
        assert (table["expected_purchases"] < table["purchases_high"]).all()


def test_who_gave_everything_back_shares_no_outcome_with_who_kept_it(orders: pd.DataFrame) -> None:
    """Two of one history of purchases: what each may bring is what he may bring where he is alone.

    An end is found among a thousand draws: hence the mean of six.
    """
    fit, spend = at(MBG, LASTING[MBG], unit="day"), spending(**AMOUNTS)
    kept = pd.DataFrame({"customer": 1, "time": pd.date_range("2025-09-01", periods=6, freq="24D"), "amount": 30.0})
    back = pd.concat([kept, kept.tail(1).assign(amount=-160.0)]).assign(customer=2)

    def ends(*logs: pd.DataFrame) -> pd.DataFrame:
        made = [quiet(ask, pd.concat(logs), model=fit, spend_model=spend, confidence=0.7, rng=seed) for seed in range(6)]
        tables = pd.concat([one.table for one in made])
        assert tables.groupby("customer")["frequency"].first().eq(5).all()
        return tables.groupby("customer")[["outcome_low", "outcome_high"]].mean()

    apart = pd.concat([ends(kept), ends(back)])
    for together in (ends(kept, back), ends(back.assign(customer=0), kept).rename(index={0: 2}).loc[[1, 2]]):
        assert together.to_numpy() == pytest.approx(apart.to_numpy(), rel=0.07)
    assert (apart["outcome_low"] > 0).all()
    assert apart["outcome_low"][2] < 0.9 * apart["outcome_low"][1]  # the same mean amount, of which less is known


# ------------------------------------------------------------------------------------------------- scales and horizons


def test_the_margin_scales_money_and_nothing_else(orders: pd.DataFrame, values: Any) -> None:
    half = ask(orders, margin=0.5)
    for name in RESULTS:
        assert half.table[name].to_numpy() == pytest.approx(values.table[name].to_numpy() / 2, rel=1e-12), name
        assert half.totals[name].to_numpy() == pytest.approx(values.totals[name].to_numpy() / 2, rel=1e-12), name
    others = [name for name in COLUMNS if name not in RESULTS]
    pd.testing.assert_frame_equal(half.table[others], values.table[others])


def test_the_currency_scales_money_and_nothing_else(orders: pd.DataFrame, values: Any) -> None:
    cents = ask(orders.assign(amount=(orders["amount"] * 100).round()))
    for name in (*RESULTS, "expected_amount", "monetary_value"):
        assert cents.table[name].to_numpy() == pytest.approx(100 * values.table[name].to_numpy(), rel=1e-6), name
    for name in ("p_alive", "expected_purchases", "purchases_low", "purchases_high"):
        assert cents.table[name].tolist() == values.table[name].tolist(), name
    assert cents.spend_fit.params == pytest.approx(values.spend_fit.params | {"v": 100 * values.spend_fit.params["v"]}, rel=1e-5)


def test_a_rate_of_zero_does_not_discount(orders: pd.DataFrame) -> None:
    table = ask(orders, discount_rate=0).table
    assert table["value"].to_numpy() == pytest.approx((table["expected_purchases"] * table["expected_amount"]).to_numpy(), rel=1e-12)


def test_discounts_are_continuous_and_on_the_calendar(orders: pd.DataFrame, values: Any) -> None:
    """A purchase within 180 days counts exp(-0.1 u / 365.2425), so some 2.4 % less on average; not by months of 30 days."""
    free, steep = ask(orders, discount_rate=0), ask(orders, discount_rate=0.5)
    assert (values.table["value"] < free.table["value"]).all()
    assert (steep.table["value"] < values.table["value"]).all()
    ratio = values.totals["value"][0] / free.totals["value"][0]
    assert math.exp(-0.1 * AHEAD / 365.2425) < ratio < 1
    assert ratio == pytest.approx(math.exp(-0.1 * AHEAD / 2 / 365.2425), abs=4e-3)
    assert values.table["expected_purchases"].tolist() == free.table["expected_purchases"].tolist()


@pytest.mark.parametrize("horizon", [364, "364D", "52W", "52w", dt.timedelta(weeks=52), np.timedelta64(364, "D")], ids=repr)
def test_horizons_of_one_length_are_one(orders: pd.DataFrame, horizon: Any) -> None:
    found = ask(orders, horizon=horizon)
    assert found.params["horizon"] == 364
    assert found.totals.to_dict("records") == ask(orders, horizon=364).totals.to_dict("records")


def test_a_year_is_the_usual_horizon(orders: pd.DataFrame) -> None:
    found = om.clv(orders, **ORDERS, model="mbg_nbd", as_of=LAST_DAY)
    assert (found.params["horizon"], found.params["discount_rate"]) == (365, 0.1)
    pd.testing.assert_frame_equal(found.table, ask(orders, horizon=365).table)
    assert (found.table["value"] > ask(orders).table["value"]).all()


def test_intervals_nest(orders: pd.DataFrame) -> None:
    narrow, wide = ask(orders, confidence=0.5), ask(orders, confidence=0.95)
    for place in ("table", "totals"):
        for name in ("expected_purchases", "purchases", "value", "outcome"):
            inner, outer = getattr(narrow, place), getattr(wide, place)
            assert (outer[f"{name}_low"] <= inner[f"{name}_low"]).all(), (place, name)
            assert (inner[f"{name}_low"] <= inner[f"{name}_high"]).all(), (place, name)
            assert (inner[f"{name}_high"] <= outer[f"{name}_high"]).all(), (place, name)
    assert narrow.table["value"].tolist() == wide.table["value"].tolist()


def test_the_same_seed_gives_the_same_table(orders: pd.DataFrame, values: Any) -> None:
    """Draws find the ends of the outcome's values, and nothing else."""
    pd.testing.assert_frame_equal(ask(orders, rng=0).table, values.table)
    pd.testing.assert_frame_equal(ask(orders, rng=np.random.default_rng(0)).table, values.table)
    other, fresh = ask(orders, rng=1), ask(orders, rng=None)
    drawn = ["outcome_low", "outcome_high"]
    for found in (other, fresh):
        pd.testing.assert_frame_equal(found.table.drop(columns=drawn), values.table.drop(columns=drawn))
        pd.testing.assert_frame_equal(found.totals, values.totals)
    assert (other.table["outcome_high"] != values.table["outcome_high"]).any()
    apart = np.abs(np.log(other.table["outcome_high"] / values.table["outcome_high"]))[values.table["outcome_high"] > 0]
    assert apart.mean() < 0.06  # of a thousand draws each


# ------------------------------------------------------------------------------------------------------------- groups


def test_groups_add_up(values: Any, orders: pd.DataFrame) -> None:
    report = om.rfm(orders, **ORDERS, as_of=LAST_DAY)
    by = values.by(report)
    assert isinstance(by, om.CLVBreakdown)
    assert by.table.columns.tolist() == ["segment", *TOTALS]
    for name in ("customers", "expected_purchases", "value"):
        assert by.table[name].sum() == pytest.approx(values.totals[name][0], rel=1e-9), name
    merged = values.table.merge(report.table[["customer", "segment"]], on="customer").groupby("segment")
    for name, expected in (
        ("customers", merged.size()),
        ("value", merged["value"].sum()),
        ("expected_purchases", merged["expected_purchases"].sum()),
    ):
        found = by.table.set_index("segment")[name]
        assert found.to_dict() == pytest.approx(expected.to_dict(), rel=1e-9), name
    assert by.label == "segment"
    assert {name: by.params[name] for name in ("model", "horizon", "margin")} == {"model": "MBG/NBD", "horizon": AHEAD, "margin": 1.0}


def test_intervals_of_groups_do_not_add_up_to_that_of_all(values: Any, orders: pd.DataFrame) -> None:
    """The shared parameters move groups together, chance moves them apart: the sum is wider than the latter, and at least the former."""
    halves = values.table[["customer"]].assign(segment=values.table["customer"] % 2)
    by, total = values.by(halves).table, values.totals.iloc[0]
    widths = by["outcome_high"] - by["outcome_low"]
    assert widths.sum() > 1.1 * (total["outcome_high"] - total["outcome_low"])
    mean = by["value_high"] - by["value_low"]
    assert mean.sum() == pytest.approx(total["value_high"] - total["value_low"], rel=0.05)
    whole = values.by(values.table[["customer"]].assign(segment="all")).table
    pd.testing.assert_frame_equal(whole.drop(columns="segment"), values.totals)


def test_customers_without_a_group_are_a_group(values: Any) -> None:
    known = values.table[["customer"]].iloc[:100].assign(tier=["gold", "iron"] * 50)
    strangers = pd.DataFrame({"customer": [-5, -6], "tier": ["gold", "tin"]})
    by = values.by(pd.concat([known, strangers]), label="tier")
    assert by.label == "tier"
    counts = {None if label != label else label: count for label, count in zip(by.table["tier"], by.table["customers"], strict=True)}
    assert counts == {"gold": 50, "iron": 50, None: len(values.table) - 100}
    assert by.table["value"].sum() == pytest.approx(values.totals["value"][0])


def test_a_group_without_a_customer_takes_nobody(values: Any) -> None:
    """Refused with a sentence, or nobody's: not the last customer's."""
    named = values.table[["customer"]].astype({"customer": "Int64"}).assign(segment="x")
    nobody = pd.DataFrame({"customer": pd.array([None], dtype="Int64"), "segment": ["nobody's"]})
    try:
        by = values.by(pd.concat([named, nobody])).table
    except om.DataError:
        return
    assert by.set_index("segment")["customers"].to_dict() == {"x": len(values.table)}


def test_stages_are_groups(values: Any, orders: pd.DataFrame) -> None:
    summary = om.customer_summary(orders, **ORDERS, as_of=LAST_DAY)
    staged = om.Stages([om.Stage("silent", {"recency": (90, None)})], default="active").assign(summary)
    by = values.by(staged, label="stage").table.set_index("stage")
    assert by["customers"].to_dict() == staged.table["stage"].value_counts().to_dict()
    assert by.loc["active", "value"] / by.loc["active", "customers"] > by.loc["silent", "value"] / by.loc["silent", "customers"]


# ------------------------------------------------------------------------------------------------ the choice of a model


def test_auto_takes_the_highest_likelihood_and_says_so() -> None:
    found = quiet(om.clv, cdnow(), **CDNOW, model="auto")
    choice = found.choice
    assert choice["model"].tolist() == ["BG/NBD", "MBG/NBD", "Pareto/NBD"]
    assert choice.columns.tolist() == ["model", "log_likelihood", "aic", "converged", "chosen"]
    best = choice["log_likelihood"].idxmax()
    assert choice["chosen"].tolist() == [place == best for place in choice.index]
    assert found.fit.title == choice["model"][best] == found.params["model"]
    assert choice["log_likelihood"][best] == found.fit.log_likelihood
    lead = choice["log_likelihood"].max() - choice["log_likelihood"].drop(best).max()
    assert (
        found.params["chosen_by"]
        == f"{found.fit.title} has the highest log-likelihood, {lead:.1f} above the next; all three have four parameters"
    )
    assert str(found.params["chosen_by"]) in " ".join(str(found).split())
    own = quiet(om.clv, cdnow(), **CDNOW, model=found.fit.model)
    pd.testing.assert_frame_equal(own.table, found.table)
    assert own.choice["chosen"].tolist() == [True]


def test_a_model_before_and_after_it_is_fitted_answers_as_its_name(orders: pd.DataFrame, values: Any) -> None:
    summary = om.clv_summary(orders, **ORDERS, as_of=LAST_DAY)
    fit, spend = om.ModifiedBetaGeo().fit(summary), om.GammaGamma().fit(summary)
    saved = om.ModifiedBetaGeoFit.from_dict(json.loads(json.dumps(fit.to_dict())))
    for choices in (
        {"model": om.ModifiedBetaGeo()},
        {"model": fit},
        {"model": saved, "spend_model": spend},
        {"spend_model": om.GammaGamma()},
    ):
        pd.testing.assert_frame_equal(ask(orders, **choices).table, values.table, rtol=1e-9)
    assert ask(orders, model=saved).fit is saved
    assert ask(orders, model=saved).params["chosen_by"] == "a fit that was handed over"


def test_penalties_reach_the_fits_and_those_of_a_validation(orders: pd.DataFrame, values: Any) -> None:
    pulled = ask(orders, model=om.ModifiedBetaGeo(penalty=50.0), spend_model=om.GammaGamma(penalty=50.0))
    assert (pulled.fit.penalty, pulled.spend_fit.penalty) == (50.0, 50.0)
    assert pulled.fit.params["a"] != pytest.approx(values.fit.params["a"], rel=1e-3)
    assert pulled.validate().table["mae"][0] != values.validate().table["mae"][0]


def test_the_fit_of_last_month_values_the_customers_of_today(orders: pd.DataFrame) -> None:
    """Nothing is estimated again: the values are those of the fits on today's summary."""
    before = om.clv_summary(orders[orders["time"] < "2025-10-01"], **ORDERS, as_of="2025-09-30")
    fit, spend = om.ModifiedBetaGeo().fit(before), om.GammaGamma().fit(before)
    found, today = ask(orders, model=fit, spend_model=spend), om.clv_summary(orders, **ORDERS, as_of=LAST_DAY)
    expected = fit.discounted_purchases(today, horizon=AHEAD).table["discounted_purchases"]
    amount = spend.expected_amount(today).table["expected_amount"]
    assert found.table["value"].to_numpy() == pytest.approx((expected * amount).to_numpy(), rel=1e-9)


def test_auto_holdout_takes_the_best_predictor_of_the_second_half_and_says_so() -> None:
    found = quiet(om.clv, cdnow(), **CDNOW, model="auto_holdout")
    choice = found.choice
    best = choice["crps"].idxmin()
    assert choice["chosen"].tolist() == [place == best for place in choice.index]
    assert found.fit.title == choice["model"][best]
    assert found.params["chosen_by"] == f"{found.fit.title} has the lowest mean CRPS ({choice['crps'][best]:.4f}) on the second half"
    for title, model in zip(choice["model"], ("bg_nbd", "mbg_nbd", "pareto_nbd"), strict=True):
        checked = quiet(quiet(om.clv, cdnow(), **CDNOW, model=model).validate)
        assert checked.table["crps"][0] == pytest.approx(choice["crps"][choice["model"].tolist().index(title)], rel=1e-9)
    assert found.fit == quiet(om.clv, cdnow(), **CDNOW, model=found.fit.model).fit  # fitted to all orders in the end


def few() -> pd.DataFrame:
    """Thirty customers in January, of whom some return in November and December: one of the models runs to a boundary."""
    rows = [(i, f"2025-01-{1 + i % 28:02}", 10.0 + i) for i in range(30)]
    rows += [(i, f"2025-{month}-{1 + i % 28:02}", 10.0 + i) for month, size in ((11, 15), (12, 8)) for i in range(size)]
    return pd.DataFrame(rows, columns=["customer", "time", "amount"]).assign(time=lambda f: pd.to_datetime(f["time"]))


def test_auto_says_the_truth_where_the_highest_likelihood_did_not_converge() -> None:
    found = quiet(om.clv, few(), **ORDERS, model="auto")
    best = found.choice.set_index("model")["log_likelihood"].idxmax()
    assert found.fit.title == best or "has the highest log-likelihood" not in str(found.params["chosen_by"])


def test_auto_prefers_a_search_that_ended_at_a_maximum() -> None:
    """MBG/NBD has the highest likelihood of these, at a boundary."""
    found = quiet(om.clv, few(), **ORDERS, model="auto")
    choice = found.choice.set_index("model")
    highest = choice["log_likelihood"].idxmax()
    assert not choice["converged"][highest]
    assert found.fit.converged
    assert choice["chosen"].idxmax() == found.fit.title == choice["log_likelihood"][choice["converged"]].idxmax()
    assert f"{found.fit.title} converged, and of the models that did it fits best" in str(found.params["chosen_by"])


def test_auto_holdout_where_the_first_half_says_nothing() -> None:
    try:
        found = quiet(om.clv, few(), **ORDERS, model="auto_holdout")
    except om.OpsmetricsError as error:
        assert error.code.startswith("fit.")
    else:
        assert found.choice["chosen"].sum() == 1


# ----------------------------------------------------------------------------------------------------- what is told


def test_one_time_buyers_of_bg_nbd_are_told(orders: pd.DataFrame, values: Any) -> None:
    once = (values.table["frequency"] == 0).sum()
    with pytest.warns(om.OpsmetricsWarning, match=rf"BG/NBD lets customers drop out .* the {once:,} who bought once have P\(alive\) = 1"):
        found = ask(orders, model="bg_nbd")
    assert (found.table["p_alive"][found.table["frequency"] == 0] == 1).all()
    assert (values.table["p_alive"] < 1).all()  # MBG/NBD says nothing of the kind, and does not warn


@pytest.mark.parametrize("model", ["bg_nbd", "mbg_nbd", "pareto_nbd", "auto", "auto_holdout", om.ModifiedBetaGeo()], ids=str)
def test_what_is_wrong_with_the_fit_is_told(model: Any) -> None:
    """Sixty customers hardly tell the parameters of any model; of those that are not chosen nothing is said."""
    orders, _ = orders_of(60, 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = ask(orders, model=model)
    assert "the data hardly tell" in found.fit.warnings[0]
    told = [str(one.message) for one in caught if "/NBD: " in str(one.message)]
    assert told == [f"{found.fit.title}: {line}" for line in found.fit.warnings]
    assert all(one.filename == __file__ for one in caught)


def test_a_correlation_is_told_and_reported(orders: pd.DataFrame) -> None:
    bought = orders.groupby("customer")["time"].transform("size")
    with pytest.warns(om.OpsmetricsWarning, match=r"frequency and amount go together \(correlation \+0\.\d+\)"):
        found = ask(orders.assign(amount=orders["amount"] * np.sqrt(bought)))
    assert found.spend_fit.correlation > 0.3
    assert any("frequency and amount go together" in line for line in found.spend_fit.warnings)
    assert "frequency and amount go together" in " ".join(str(found).split())


def heavy(orders: pd.DataFrame, q: float) -> pd.DataFrame:
    """Amounts around a mean of the customer's own that has no mean (q <= 1), or no variance (q <= 2)."""
    rng = np.random.default_rng(9)
    own = dict(enumerate(10.0 / rng.gamma(q, 1.0, 800)))
    return orders.assign(amount=(orders["customer"].map(own) * rng.gamma(4.0, 0.25, len(orders))).clip(0.01, 1e9).round(2))


def test_a_mean_that_does_not_exist_is_told(orders: pd.DataFrame) -> None:
    with pytest.warns(om.OpsmetricsWarning, match=r"Gamma-Gamma: q = 0\.\d+ is 1 or less"):
        found = ask(heavy(orders, 0.7))
    totals = found.totals.iloc[0]
    assert totals["value"] == math.inf
    assert not math.isfinite(totals["value_high"])
    assert 0 < totals["outcome_low"] < totals["outcome_high"] < math.inf  # what will be brought has a distribution all the same
    assert np.isinf(found.table["value"][found.table["frequency"] == 0]).all()
    assert np.isfinite(found.table["value"][found.table["frequency"] > 1]).all()
    assert (found.table["value"] > 0).all()
    json.dumps(found.to_dict(), allow_nan=False)
    assert str(found)


def test_a_variance_that_does_not_exist_is_told(orders: pd.DataFrame) -> None:
    with pytest.warns(om.OpsmetricsWarning, match=r"q = 1\.\d+ is 2 or less, so the amounts of customers have no variance"):
        found = ask(heavy(orders, 1.5), rng=1)
    totals = found.totals.iloc[0].astype(float)
    assert np.isfinite(totals).all()
    assert totals["outcome_low"] < totals["value_low"]
    assert totals["outcome_high"] > totals["value_high"]
    assert np.isfinite(found.table[["outcome_low", "outcome_high"]]).all(axis=None)
    assert "unknown" not in str(found)
    again = quiet(ask, heavy(orders, 1.5), rng=1)
    assert again.totals.equals(found.totals)
    groups = found.table[["customer"]].assign(segment=np.where(found.table["frequency"] > 0, "again", "once"))
    assert found.by(groups).table.equals(found.by(groups).table)  # drawn alike each time
    one = found.by(groups.assign(segment="all")).table.iloc[0]
    assert one["outcome_high"] == pytest.approx(totals["outcome_high"], rel=0.1)


@pytest.mark.parametrize("q", [0.8, 1.4])
def test_the_outcome_of_a_total_without_a_variance_is_that_of_simulated_customers(orders: pd.DataFrame, q: float) -> None:
    """The same 800 customers lived through 2,000 times: counts by their probabilities, an amount of his own for each, purchases around it.

    Parameters are all but known, so that only the customers vary.
    """
    spend = om.GammaGammaFit.from_dict(sure({"p": 3.0, "q": q, "v": 12.0}))
    bought = quiet(ask, orders).fit
    buying = om.ModifiedBetaGeoFit.from_dict(bought.to_dict() | sure(bought.params))
    row = quiet(ask, orders, model=buying, spend_model=spend, confidence=0.9, rng=3, discount_rate=0).totals.iloc[0]
    table = quiet(ask, orders, model=buying, spend_model=spend, discount_rate=0).table
    people = table[["frequency", "recency", "T", "monetary_value"]].astype({"frequency": int})
    random = np.random.default_rng(8)
    chances = np.array([predicted(buying.purchase_probability(n, AHEAD, people)) for n in range(60)])
    upto = chances.cumsum(axis=0)
    shape, rate = 3.0 * table["frequency"] + q, 12.0 + table["frequency"] * table["monetary_value"].fillna(0)
    sums = []
    for _ in range(2_000):
        n = (random.random(len(table)) > upto).sum(axis=0)
        sums.append((random.gamma(3.0 * n) * rate / random.gamma(shape)).sum())
    for end, level in (("low", 0.05), ("high", 0.95)):
        reached = np.mean(np.array(sums) <= row[f"outcome_{end}"])
        assert reached == pytest.approx(level, abs=0.03), (end, row[f"outcome_{end}"])


@pytest.mark.parametrize("changes", [{"q": q} for q in (2.0, 2.5)] + [{"q": 1.5, "p": p} for p in (0.5, 1.0)], ids=str)
def test_the_outcome_of_a_total_has_no_cliffs(orders: pd.DataFrame, changes: Any) -> None:
    """Where the variance begins to be finite, and where it begins to be gone by."""
    ends = []
    for apart in (-1e-6, 1e-6):
        p, q = changes.get("p", 3.0) + (apart if "p" in changes else 0.0), changes["q"] + (apart if "p" not in changes else 0.0)
        spend = om.GammaGammaFit.from_dict(sure({"p": p, "q": q, "v": 12.0}))
        ends.append(quiet(ask, orders, spend_model=spend).totals.iloc[0][["outcome_low", "outcome_high"]].astype(float))
    assert ends[0].to_numpy() == pytest.approx(ends[1].to_numpy(), rel=0.03)


def test_groups_without_a_variance_are_drawn_a_few_at_a_time(orders: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of a customer each: what he brings alone is drawn in two ways, by counts that are spread evenly and by chance."""
    found = quiet(ask, heavy(orders, 1.5), rng=1, confidence=0.8)
    alone = found.by(found.table[["customer"]].assign(segment=found.table["customer"].astype(str))).table
    both = alone.assign(customer=alone["segment"].astype(int)).merge(found.table, on="customer", suffixes=("", "_alone"))
    once = (both["frequency"] == 0) & (both["outcome_high_alone"] > 1) & (both["outcome_high"] > 0)  # the others have a variance
    assert once.sum() > 100
    ratio = np.log((both["outcome_high"] / both["outcome_high_alone"])[once])
    assert abs(ratio.mean()) < 0.05
    monkeypatch.setattr(outcomes, "_TOGETHER", 7)
    few = found.by(found.table[["customer"]].assign(segment=found.table["customer"] % 20)).table
    monkeypatch.undo()
    many = found.by(found.table[["customer"]].assign(segment=found.table["customer"] % 20)).table
    assert np.log(few["outcome_high"] / many["outcome_high"]).abs().mean() < 0.15


def sure(params: Any) -> dict[str, Any]:
    """A fit whose parameters are known to all digits, as it is saved."""
    names = list(params)
    none = {a: dict.fromkeys(names, 0.0) | {a: 1e-20} for a in names}
    known = {
        "log_likelihood": -1.0, "customers": 800.0, "converged": True, "reason": "converged", "evaluations": 3, "warnings": [],
        "penalty": 0.0,
    }  # fmt: skip
    own = {"correlation": 0.0, "left_out": 0.0} if names == ["p", "q", "v"] else {}
    return {"params": dict(params), "covariance": none} | known | own


@pytest.mark.parametrize("model", ["bg_nbd", "mbg_nbd", "pareto_nbd", "auto", "auto_holdout"])
def test_no_repeat_buyers_cannot_be_valued(orders: pd.DataFrame, model: Any) -> None:
    once = orders.drop_duplicates("customer")
    with pytest.raises(om.FitError, match="no customer has a repeat purchase, so the data say nothing of rates") as caught:
        quiet(ask, once, model=model)
    assert caught.value.code == "fit.no_repeats"


def test_refunds_are_handled_and_counted(orders: pd.DataFrame, values: Any) -> None:
    """Customers who gave back more than they paid for their repeats are known to buy, and valued at the mean amount of all."""
    repeat = orders[orders["customer"].isin(values.table["customer"][values.table["frequency"] == 1])]
    last = repeat.groupby("customer").tail(1).iloc[:7]
    refunds = last.assign(time=pd.Timestamp(LAST_DAY), amount=-last["amount"] - 5)
    found = ask(pd.concat([orders, refunds]))
    given = found.table["monetary_value"] <= 0
    assert (given & (found.table["frequency"] > 0)).sum() == found.spend_fit.left_out == 7
    assert found.table["expected_amount"][given & (found.table["frequency"] > 0)].to_numpy() == pytest.approx(
        found.spend_fit.expected_amount(), rel=1e-12
    )
    assert np.isfinite(found.table.drop(columns="customer").to_numpy(float)).all()
    assert (found.table["value"] > 0).all()
    assert found.fit.params == values.fit.params
    left = ask(pd.concat([orders, refunds]), refunds="drop")
    assert left.dropped["refund"] == 7
    pd.testing.assert_frame_equal(left.table, values.table)
    with pytest.raises(om.DataError, match="refunds='error' allows none") as caught:
        ask(pd.concat([orders, refunds]), refunds="error")
    assert caught.value.code == "data.refunds"


def test_rows_that_do_not_count_are_counted(orders: pd.DataFrame, values: Any) -> None:
    after = orders.head(3).assign(time=pd.Timestamp(LAST_DAY) + pd.Timedelta(days=2))
    nobody = orders.head(2).assign(customer=None)
    found = ask(pd.concat([orders, after, nobody]).astype({"customer": "Int64"}), missing_customer="drop")
    assert sorted(found.dropped.values()) == [2, 3]
    assert to_pandas(found.table)["value"].tolist() == values.table["value"].tolist()
    assert "dropped rows" in str(found)


# ----------------------------------------------------------------------------------------------------- frames and travel


def test_every_kind_of_frame_has_the_same_answer(orders: pd.DataFrame, values: Any, kind: Kind) -> None:
    found = ask(kind.make(orders))
    assert isinstance(found.table, kind.result)
    assert isinstance(found.totals, kind.result)
    assert isinstance(found.choice, kind.result)
    for name in ("table", "totals", "choice"):
        assert columns_of(getattr(found, name)) == columns_of(getattr(values, name)), name
    halves = values.table[["customer"]].assign(segment=np.where(values.table["customer"] % 2, "odd", "even"))
    by = found.by(kind.make(halves))
    assert isinstance(by.table, kind.result)
    ours, theirs = (pd.DataFrame(columns_of(made.table)).set_index("segment").sort_index() for made in (by, values.by(halves)))
    pd.testing.assert_frame_equal(ours, theirs)


def test_it_travels_but_for_its_orders(orders: pd.DataFrame, values: Any) -> None:
    again = pickle.loads(pickle.dumps(values))
    pd.testing.assert_frame_equal(again.table, values.table)
    assert again.fit == values.fit
    assert again.spend_fit == values.spend_fit
    halves = values.table[["customer"]].assign(segment=values.table["customer"] % 2)
    pd.testing.assert_frame_equal(again.by(halves).table, values.by(halves).table)
    sent = json.loads(json.dumps(values.to_dict(), allow_nan=False))
    assert len(sent["table"]) == len(values.table)
    assert sent["totals"][0]["value"] == values.totals["value"][0]
    assert sent["params"]["model"] == "MBG/NBD"


def test_it_shows_the_most_valuable_customers(values: Any) -> None:
    shown = str(values)
    best = values.table.sort_values("value", ascending=False).head(10)
    assert re.findall(r"^ +(\d+) ", shown, re.MULTILINE)[:10] == [str(customer) for customer in best["customer"]]
    told = " ".join(shown.split())
    row = values.totals.iloc[0]
    assert f"{row['value']:,.0f}" in told
    for name in ("value", "outcome"):
        assert f"{row[f'{name}_low']:,.0f} to {row[f'{name}_high']:,.0f}" in told, name
    assert "MBG/NBD" in values._repr_html_()


def test_the_fits_score_other_customers(values: Any) -> None:
    """A service keeps two JSON texts."""
    fit = om.ModifiedBetaGeoFit.from_dict(json.loads(json.dumps(values.fit.to_dict())))
    spend = om.GammaGammaFit.from_dict(json.loads(json.dumps(values.spend_fit.to_dict())))
    people = summary_of(values)
    found = predicted(fit.discounted_purchases(people, horizon=AHEAD)) * predicted(spend.expected_amount(people))
    assert found == pytest.approx(values.table["value"].to_numpy(), rel=1e-12)


@pytest.mark.parametrize(("customers", "chance"), [(12, 0.04), (60, 0.04), (3, 0.5), (300, 0.2)])
def test_the_interval_of_a_sum_knows_that_it_may_be_nothing(customers: int, chance: float) -> None:
    """Customers who mostly buy nothing: the chance of 0 is an atom, which no Gamma distribution has."""
    random = np.random.default_rng(customers)
    bought = random.random((4_000, customers)) < chance
    sums = (bought * random.gamma(2.0, 10.0, bought.shape)).sum(axis=1)
    mean, variance = customers * chance * 20.0, customers * (chance * 600.0 - (chance * 20.0) ** 2)
    silence = (1 - chance) ** customers
    low, high = (float(end[0]) for end in outcomes._ends(np.array([mean]), np.array([variance]), np.zeros(1), np.array([silence]), 0.95))
    assert 0.93 < np.mean((low <= sums) & (sums <= high)) < 0.99
    assert (low == 0) == (silence >= 0.025)
