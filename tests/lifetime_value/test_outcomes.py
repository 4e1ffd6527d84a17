"""What customers and groups will come to: each other's witness, and within what is not known of the parameters."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from tests.lifetime_value.inputs import quiet

COLUMNS: dict[str, Any] = {"customer": "customer", "time": "time", "amount": "amount"}


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    return om.make_orders(customers=300, rng=5)


def value(orders: pd.DataFrame, **choices: Any) -> Any:
    return quiet(om.clv, orders, **COLUMNS, **choices)


@pytest.mark.parametrize(("model", "horizon"), [("pareto_nbd", 730), ("pareto_nbd", 1825), ("bg_nbd", 3650)])
def test_the_interval_of_the_mean_of_all_lies_within_that_of_the_outcome(orders: pd.DataFrame, model: str, horizon: int) -> None:
    """Where little is known of the parameters that is most of it."""
    row = value(orders, model=model, horizon=horizon).totals.iloc[0]
    for mean, outcome in (("expected_purchases", "purchases"), ("value", "outcome")):
        assert row[f"{outcome}_low"] < row[f"{mean}_low"] < row[mean] < row[f"{mean}_high"] < row[f"{outcome}_high"]


def test_groups_of_one_customer_spread_as_he_does(orders: pd.DataFrame) -> None:
    """A sum of one is drawn, which is good for some per cent; parameters that are known for sure move nothing."""
    made = value(orders, model="mbg_nbd", horizon=180, confidence=0.9)
    sure = {name: dict.fromkeys(made.fit.params, 0.0) for name in made.fit.params}
    known = type(made.fit).from_dict(made.fit.to_dict() | {"covariance": sure})
    spend = made.spend_fit.to_dict() | {"covariance": {name: dict.fromkeys("pqv", 0.0) for name in "pqv"}}
    made = value(orders, model=known, spend_model=om.GammaGammaFit.from_dict(spend), horizon=180, confidence=0.9)
    each = made.by(made.table[["customer"]].assign(segment=made.table["customer"])).table
    assert (each["purchases_high"] - made.table["purchases_high"]).abs().max() <= 2
    heavy = made.table["outcome_high"] > made.table["outcome_high"].quantile(0.8)
    ratio = each["outcome_high"][heavy] / made.table["outcome_high"][heavy]
    assert abs(np.log(ratio).mean()) < 0.03
    assert np.log(ratio).std() < 0.15


def test_groups_do_not_depend_on_what_is_done_to_the_table(orders: pd.DataFrame) -> None:
    made = value(orders, model="mbg_nbd")
    segments = made.table[["customer"]].assign(segment=np.arange(len(made.table)) % 3)
    before = made.by(segments).table
    made.table["recency"] = 0
    made.table["frequency"] = 0
    pd.testing.assert_frame_equal(made.by(segments).table, before)


def test_discounts_weigh_on_those_who_buy_for_long(orders: pd.DataFrame) -> None:
    """Who buys most buys latest, so his best case shrinks by more than his mean does."""
    plain, kept = (value(orders, model="mbg_nbd", horizon=1825, discount_rate=rate).table for rate in (0.0, 0.5))
    best = plain["outcome_high"] > plain["outcome_high"].quantile(0.9)
    assert (kept["outcome_high"] / plain["outcome_high"])[best].mean() < 0.97 * (kept["value"] / plain["value"])[best].mean()


def test_no_model_that_converged_is_said_so() -> None:
    few = pd.DataFrame({"customer": [1, 1, 2, 2], "time": pd.to_datetime(["2025-01-01", "2025-01-02"] * 2), "amount": [1.0, 2, 3, 4]})
    made = value(few, model="auto")
    assert not made.choice["converged"].any()
    assert str(made.params["chosen_by"]).startswith("no model converged; ")


def test_chances_take_little_memory() -> None:
    """Each is found once for each kind of customer; one who bought thousands of times does not weigh on the others."""
    rng = np.random.default_rng(2)
    T = rng.integers(1, 700, 50_000).astype(float)
    x = rng.poisson(2.0, len(T))
    people = {"frequency": np.append(x, 3_000), "recency": np.append(np.where(x > 0, T, 0.0), 690.0), "T": np.append(T, 700.0)}
    fit = quiet(om.ParetoNBD().fit, people)
    fit.purchase_probability(2, 30, {name: values[:9] for name, values in people.items()})
    tracemalloc.start()
    chance = fit.purchase_probability(2, 30, people).table["purchase_probability"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert chance.between(0, 1).all()
    assert peak < 20 * 8 * len(chance)
