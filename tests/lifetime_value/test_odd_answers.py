"""What once came out wrong in silence: lapsed groups, stale intervals, lifetimes that nobody has, arrays that are shared."""

from __future__ import annotations

import json
import math
import time
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from opsmetrics._kernels.pareto_nbd import ParetoNBD
from opsmetrics.lifetime_value import outcomes
from tests.lifetime_value.inputs import BB, CONTINUOUS, LAST_DAY, MODELS, ORDERS, PARETO, amounts, at, predicted, quiet, simulated, spending

ROWS = {"frequency": [3, 0], "recency": [90, 0], "T": [100, 100]}


def test_a_group_that_is_surely_gone_brings_nothing() -> None:
    low, high = outcomes._ends(np.array([1e-20]), np.array([1e-20]), np.zeros(1), np.array([1.0]), 0.95)
    assert (low[0], high[0]) == (0, 0)


@pytest.mark.parametrize("delta", [0.0, 1e-7, 1e-4])
def test_short_lives_are_discounted_as_exponential_ones(delta: float) -> None:
    """Lifetimes of about 192 days that hardly differ: the integral of exp(-(delta + s / beta) u)."""
    law = ParetoNBD(0.895, 35.8, 5.94e7, 1.14e10)
    ahead = 1e6 if delta == 0 else math.inf
    expected = (0.895 + 3) / (35.8 + 100) / (delta + 5.94e7 / (1.14e10 + 100))
    assert law.discounted(3, 100.0, ahead, delta) == pytest.approx(expected, rel=1e-6)


@pytest.fixture(scope="module")
def fit() -> om.ModifiedBetaGeoFit:
    return om.ModifiedBetaGeo().fit(om.clv_summary(om.make_orders(customers=400, rng=1), customer="customer", time="time"))


def test_an_earlier_interval_does_not_stay(fit: om.ModifiedBetaGeoFit) -> None:
    again = fit.expected_purchases(3, fit.expected_purchases(365, ROWS, confidence=0.9))
    assert [name for name in again.table if name.startswith("expected")] == ["expected_purchases"]


def test_an_earlier_interval_of_amounts_does_not_stay() -> None:
    known = om.GammaGamma().fit(amounts(300, 1))
    again = known.expected_amount(known.expected_amount({"frequency": [3, 0], "monetary_value": [9.0, 0.0]}, confidence=0.9))
    assert [name for name in again.table if name.startswith("expected")] == ["expected_amount"]


def test_arrays_stay_the_callers(fit: om.ModifiedBetaGeoFit) -> None:
    given = {name: np.array(values, dtype=np.float64) for name, values in ROWS.items()}
    found = fit.p_alive(given).table
    found.loc[0, "T"] = 999
    assert given["T"].tolist() == [100, 100]


def test_covariates_may_come_from_an_iterator() -> None:
    summary = om.clv_summary(om.make_orders(customers=400, rng=1), customer="customer", time="time").table
    summary = summary.assign(z=np.arange(400) % 2)
    assert om.ModifiedBetaGeo().fit(summary, purchase_covariates=iter(["z"])).purchase_covariates == ("z",)  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", ["", 0, pd.NA, []])
def test_a_unit_is_a_word(unit: object) -> None:
    with pytest.raises(om.ParameterError, match="unit="):
        om.ModifiedBetaGeo().fit(ROWS, unit=unit)  # type: ignore[arg-type]


def test_a_covariate_must_differ_between_customers_who_count() -> None:
    summary = om.clv_summary(om.make_orders(customers=400, rng=1), customer="customer", time="time").table
    summary = summary.assign(z=np.arange(400) % 2, w=(np.arange(400) % 2 == 0) * 1.0)
    with pytest.raises(om.FitError, match="do not differ between customers"):
        om.ModifiedBetaGeo().fit(summary, weights="w", purchase_covariates=["z"])


@pytest.mark.parametrize("penalty", [0.0, 0.1])
@pytest.mark.parametrize("unit", [1e-9, 1 / 300])
@pytest.mark.parametrize("spec", [*(model.spec for model in MODELS), om.GammaGamma], ids=lambda spec: spec.__name__)
def test_the_unit_of_weights_does_not_matter(spec: Any, unit: float, penalty: float) -> None:
    people = amounts(300, 1) if spec is om.GammaGamma else simulated(next(model for model in MODELS if model.spec is spec), 300, 1)
    ours, theirs = (quiet(spec(penalty=penalty * size).fit, people.assign(w=size), weights="w") for size in (unit, 1.0))
    assert ours.converged
    assert ours.params == pytest.approx(theirs.params, rel=1e-6)
    assert ours.customers == pytest.approx(unit * theirs.customers, rel=1e-12)
    assert ours.log_likelihood == pytest.approx(unit * theirs.log_likelihood, rel=1e-9)
    found, expected = (np.array([list(row.values()) for row in fit.covariance.values()]) for fit in (ours, theirs))
    assert unit * found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", [1e-120, 1.0, 1e100])
def test_what_is_hardly_told_stays_finite(size: float) -> None:
    """Errors of 1e49 times what they belong to; warnings of numpy would fail the test."""
    wide = {a: {b: (1e49 * size) ** 2 * (a == b) for b in PARETO.params} for a in PARETO.params}
    given = at(PARETO, dict.fromkeys(PARETO.params, size), covariance=wide)
    assert np.isfinite(given.summary[["estimate", "standard_error", "low", "high"]].to_numpy()).all()
    found = given.expected_purchases(3.0, ROWS, confidence=0.9).table
    assert np.isfinite(found.to_numpy(float)).all()


@pytest.mark.parametrize(
    ("model", "x", "t"), [*((model, 2_500, 30.0) for model in CONTINUOUS), (BB, 900, 1_000), (BB, 3, 100_000)], ids=str
)
def test_the_chance_of_many_purchases_takes_no_time(model: Any, x: int, t: float) -> None:
    begun = time.perf_counter()
    found = predicted(at(model).purchase_probability(x, t, simulated(model, 300, 1)))
    assert time.perf_counter() - begun < 2
    assert (found == 0).all() if model is not BB else ((found > 0) & (found < 0.1)).all()


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_chances_fall_to_nothing_without_a_break(model: Any) -> None:
    people, fit = simulated(model, 20, 1), at(model)
    found = np.array([predicted(fit.purchase_probability(x, 30, people)) for x in range(0, 600, 40 if model is not BB else 600)])
    assert (np.diff(found, axis=0) <= 0).all()
    ahead = np.array([predicted(fit.purchase_probability(x, 30, people)) for x in range(200 if model is not BB else 31)])
    assert ahead.sum(axis=0) == pytest.approx(np.ones(20), rel=1e-6)


# ---------------------------------------------------------------------------------------------------------- sentences


@pytest.mark.parametrize("rate", [Decimal("0.1"), np.array(0.1), np.float32(0.1)], ids=repr)
def test_rates_are_numbers_of_any_kind(fit: om.ModifiedBetaGeoFit, rate: Any) -> None:
    found = fit.discounted_purchases(ROWS, horizon=90, discount_rate=rate, confidence=Decimal("0.9"))
    assert found.params["discount_rate"] == pytest.approx(0.1)
    assert json.loads(json.dumps(found.to_dict()))["params"]["confidence"] == 0.9
    assert json.loads(json.dumps(fit.expected_purchases(rate, ROWS).to_dict()))["params"]["t"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    "given", [Decimal("NaN"), Decimal("sNaN"), Decimal("inf"), np.array("0.1"), np.array(True), np.array(0.1j)], ids=repr
)
def test_what_is_no_number_stays_refused(fit: om.ModifiedBetaGeoFit, given: Any) -> None:
    for choice in ("discount_rate", "confidence"):
        with pytest.raises(om.ParameterError, match=f"{choice}="):
            fit.discounted_purchases(ROWS, horizon=90, **{choice: given})


@pytest.mark.parametrize("choices", [{"margin": 1.2}, {"confidence": 1.5}, {"discount_rate": 10.0001}], ids=str)
def test_no_hint_where_per_cent_are_not_meant(choices: dict[str, float]) -> None:
    with pytest.raises(om.ParameterError) as caught:
        om.clv(om.make_orders(customers=50, rng=1), **ORDERS, **choices)
    assert "Did you mean" not in str(caught.value)


def test_amounts_that_round_to_nothing_need_another_unit() -> None:
    people = {"frequency": [2, 1, 0], "monetary_value": [0.0, 0.0, 0.0]}
    with pytest.warns(om.OpsmetricsWarning, match="but 2 of 0 or less.*count less in a smaller unit"):
        om.GammaGamma().fit(people)


def test_an_infinite_amount_is_warned_of() -> None:
    fit, people = spending(2.0, 0.9, 15.0), {"frequency": [0, 3, 0], "monetary_value": [0.0, 20.0, 0.0]}
    with pytest.warns(om.OpsmetricsWarning, match=r"q = 0.9 is 1 or less.*of a new customer is infinite"):
        assert fit.expected_amount() == math.inf
    with pytest.warns(om.OpsmetricsWarning, match=r"in 2 of 3 rows is infinite"):
        found = fit.expected_amount(people, confidence=0.9)
    assert np.isinf(found.table["expected_amount"]).tolist() == [True, False, True]
    assert np.isfinite(fit.expected_amount({"frequency": [3], "monetary_value": [20.0]}).table["expected_amount"]).all()


# --------------------------------------------------------------------------------------------------------- validation


def shop(**changes: Any) -> Any:
    return quiet(om.clv, om.make_orders(customers=400, rng=1).assign(**changes), **ORDERS, model="mbg_nbd", as_of=LAST_DAY)


def test_one_date_of_long_ago_costs_next_to_nothing() -> None:
    """The sum over all days since, of each day's newcomers on all days after it, once took a minute."""
    orders = om.make_orders(customers=400, rng=1)
    when = orders["time"].to_numpy().astype("datetime64[s]")
    when[0] = np.datetime64("0001-01-05")
    values, begun = shop(time=when), time.perf_counter()
    tracking = quiet(values.validate, calibration_end="2025-06-30").tracking
    assert time.perf_counter() - begun < 5
    assert len(tracking) > 100_000
    assert (tracking["expected"].diff().iloc[1:] >= 0).all()


def test_where_nobody_bought_there_is_no_bias_and_the_result_says_so() -> None:
    orders = om.make_orders(customers=400, rng=1)
    values = quiet(om.clv, orders[orders["time"] < "2025-09-01"], **ORDERS, model="mbg_nbd", as_of=LAST_DAY)
    with pytest.warns(om.OpsmetricsWarning, match="nobody bought in the time held out, so there is no bias and no gini"):
        found = values.validate(calibration_end="2025-09-30")
    assert found.table[["bias", "gini"]].isna().all(axis=None)
    assert "nobody bought in the time held out" in str(found)
    assert "held out, so" not in str(quiet(values.validate, calibration_end="2025-06-30"))


def test_where_all_bought_equally_often_there_is_no_gini() -> None:
    days = pd.to_datetime(["2025-01-01", "2025-02-01", "2025-02-20", "2025-05-01"])
    orders = pd.DataFrame({"customer": np.repeat(np.arange(30), 4), "time": np.tile(days, 30), "amount": np.arange(120) + 1.0})
    values = quiet(om.clv, orders, **ORDERS, model="mbg_nbd")
    found = quiet(values.validate, calibration_end="2025-03-01")
    assert "all customers bought equally often in the time held out, so there is no gini" in str(found)
    assert found.table["gini"].isna().all()
    assert found.table["bias"].notna().all()


@pytest.mark.parametrize("change", ["DELETE FROM orders WHERE customer < 'C00100'", "UPDATE orders SET time = time - INTERVAL 9 DAY"])
def test_orders_that_changed_are_not_validated(change: str) -> None:
    """A relation is read again: the answer would be of other orders than the values."""
    held = duckdb.connect()
    held.register("given", om.make_orders(customers=400, rng=1))
    held.execute("CREATE TABLE orders AS SELECT * FROM given")
    values = quiet(om.clv, held.table("orders"), **ORDERS, model="mbg_nbd")
    assert quiet(values.validate).params["rows"] == values.params["rows"]
    held.execute(change)
    with pytest.raises(om.DataError, match=r"orders have changed: .* rows up to .* when they were valued") as caught:
        values.validate()
    assert caught.value.code == "data.unstable"


def test_variances_next_to_nothing_are_read_as_any() -> None:
    """Floats hold such to one or two digits, so that a covariance may come out above what its variances allow."""
    saved = om.ModifiedBetaGeo().fit(om.clv_summary(om.make_orders(300, rng=1), customer="customer", time="time")).to_dict()
    names, least = ("r", "alpha", "a", "b"), 5e-324
    tiny = {a: {b: 26 * least if a == b == "r" else 27 * least for b in names} for a in names}
    assert om.ModifiedBetaGeoFit.from_dict(saved | {"covariance": tiny}).params == saved["params"]
