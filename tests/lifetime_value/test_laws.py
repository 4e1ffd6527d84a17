"""Laws of lifetime value: what must not change when nothing that matters has changed, and what must change in step."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import opsmetrics as om
from benchmarks.simulated_customers import gamma_gamma
from tests.lifetime_value.inputs import (
    BB,
    BG,
    CONTINUOUS,
    HISTORY,
    MBG,
    MODELS,
    PARETO,
    Model,
    amounts,
    at,
    predicted,
    quiet,
    rows,
    simulated,
    spending,
)
from tests.support import KINDS, Kind, columns_of

GG = "gamma_gamma"
EVERY = [*MODELS, GG]
TIMED = {"bg_nbd": {"alpha"}, "mbg_nbd": {"alpha"}, "pareto_nbd": {"alpha", "beta"}, "bg_bb": set()}


def histories(model: Any, customers: int = 250, seed: int = 2) -> pd.DataFrame:
    """Customers with an id, and columns that are nobody's business; some histories are shared by several."""
    people = amounts(customers, seed).round(2) if model is GG else simulated(model, customers, seed)
    if model not in {GG, BB}:
        people = people.assign(recency=np.ceil(people["recency"]), T=np.ceil(people["T"]))
    return people.assign(uid=np.arange(customers), note="x").reset_index(drop=True)


def fit(model: Any, people: Any, **choices: Any) -> Any:
    return quiet((om.GammaGamma() if model is GG else model.spec()).fit, people, **choices)


def same(ours: Any, theirs: Any, rel: float = 1e-9) -> None:
    """The same model to this relative error (errors of parameters to a hundred times as much)."""
    assert ours.params == pytest.approx(theirs.params, rel=rel)
    assert ours.standard_errors == pytest.approx(theirs.standard_errors, rel=100 * rel)
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood, rel=rel)
    assert ours.customers == pytest.approx(theirs.customers)
    assert ours.converged == theirs.converged


# ---------------------------------------------------------------------------------------------------- what does not matter


@pytest.mark.parametrize("model", EVERY, ids=str)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(model: Any, seed: int) -> None:
    people = histories(model)
    same(fit(model, people.sample(frac=1, random_state=seed)), fit(model, people))


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_nor_does_it_with_covariates(model: Model) -> None:
    people = histories(model).assign(z=lambda f: f["uid"] % 2, size=lambda f: np.log1p(f["uid"]))
    names = {"purchase_covariates": ["z", "size"], "dropout_covariates": ["z"]}
    one = fit(model, people, **names)
    counted = people.assign(w=0.5)
    for other in (fit(model, people[::-1], **names), fit(model, pd.concat([counted, counted]), weights="w", **names)):
        assert other.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-10)
        for name, error in one.standard_errors.items():
            assert abs(other.params[name] - one.params[name]) < 1e-4 * error, name
            assert other.standard_errors[name] == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_nor_does_it_where_the_search_begins_on_some_of_many(model: Model) -> None:
    people = simulated(model, 55_000, 5).assign(z=lambda f: np.log1p(np.arange(len(f)) % 999), shop=lambda f: np.arange(len(f)) % 2)
    names = {"purchase_covariates": ["z"], "dropout_covariates": ["shop"]}
    same(fit(model, people.sample(frac=1, random_state=1), **names), fit(model, people, **names), rel=1e-10)


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_the_origin_and_the_unit_of_a_covariate_do_not_matter(model: Model) -> None:
    """A calendar year, or dollars: only the parameters at 0 of the covariate are others."""
    people = histories(model).assign(z=lambda f: np.log1p(f["uid"]))
    names = {"purchase_covariates": ["z"], "dropout_covariates": ["z"]}
    one, far = (fit(model, people.assign(z=z), **names) for z in (people["z"], 2_000 + 5 * people["z"]))
    assert far.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-6)
    for name in ("purchase[z]", "dropout[z]"):
        assert abs(5 * far.params[name] - one.params[name]) < 1e-3 * one.standard_errors[name]
        assert 5 * far.standard_errors[name] == pytest.approx(one.standard_errors[name], rel=1e-3)


@pytest.mark.parametrize("model", EVERY, ids=str)
def test_ids_and_other_columns_do_not_matter(model: Any) -> None:
    people = histories(model)
    bare = people[["frequency", "monetary_value"] if model is GG else HISTORY]
    assert fit(model, bare) == fit(model, people)
    assert fit(model, people.assign(uid=people["uid"].astype(str), note=None)) == fit(model, people)
    assert fit(model, people.set_index("uid")) == fit(model, people)


@pytest.mark.parametrize("model", EVERY, ids=str)
def test_every_kind_of_frame_has_the_same_fit(model: Any, kind: Kind) -> None:
    people = histories(model).drop(columns=["note", "alive"], errors="ignore")
    if kind.name == "pandas-categorical":
        return  # numbers as categories are no numbers: tests of bad input
    found, expected = fit(model, kind.make(people)), fit(model, people)
    assert found == expected
    ask: Callable[[Any], Any] = found.expected_amount if model is GG else (lambda frame: found.expected_purchases(4, frame))
    ours, theirs = ask(kind.make(people)), ask(people)
    assert isinstance(ours.table, kind.result)
    assert columns_of(ours.table)[theirs.table.columns[-1]] == theirs.table.iloc[:, -1].tolist()


@pytest.mark.parametrize("model", EVERY, ids=str)
def test_arrays_are_a_frame(model: Any) -> None:
    people = histories(model)
    names = ["frequency", "monetary_value"] if model is GG else HISTORY
    for convert in (np.asarray, list, tuple, pd.Series):
        assert fit(model, {name: convert(people[name]) for name in names}) == fit(model, people)


@pytest.mark.parametrize("model", EVERY, ids=str)
def test_the_caller_keeps_its_frame(model: Any) -> None:
    people = histories(model)
    before = people.copy(deep=True)
    found = fit(model, people)
    if model is GG:
        found.expected_amount(people, confidence=0.9)
    else:
        quiet(found.p_alive, people, confidence=0.9)
        found.expected_purchases(4, people)
        found.discounted_purchases(people, horizon=40)
    pd.testing.assert_frame_equal(people, before)


def test_orders_keep_their_frame() -> None:
    orders = om.make_orders(300, rng=1)
    before = orders.copy(deep=True)
    made = quiet(om.clv, orders, customer="customer", time="time", amount="amount", model="mbg_nbd")
    quiet(made.validate)
    pd.testing.assert_frame_equal(orders, before)


# ------------------------------------------------------------------------------------------------------------ counted rows


@pytest.mark.parametrize("model", EVERY, ids=str)
def test_counted_rows_are_as_many_customers(model: Any) -> None:
    """As from a GROUP BY frequency, recency, T."""
    people = histories(model)
    names = ["frequency", "monetary_value"] if model is GG else HISTORY
    counted = people.groupby(names, as_index=False).size()
    assert len(counted) < len(people)
    same(fit(model, counted, weights="size"), fit(model, people))


@pytest.mark.parametrize("model", EVERY, ids=str)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_splitting_into_counted_rows_changes_nothing(model: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = histories(model)
    share = rng.random(len(people)).round(3)
    parts = pd.concat([people.assign(many=share), people.assign(many=1 - share), people.head(9).assign(many=0.0)])
    same(fit(model, parts.sample(frac=1, random_state=seed), weights="many"), fit(model, people))


@pytest.mark.parametrize("model", EVERY, ids=str)
@pytest.mark.parametrize("times", [2, 7])
def test_duplicated_data_keep_the_estimates_and_halve_the_covariance(model: Any, times: int) -> None:
    people = histories(model)
    one, many = fit(model, people), fit(model, pd.concat([people] * times))
    for name, error in one.standard_errors.items():  # a search ends where less than 1e-10 is to be gained
        assert abs(many.params[name] - one.params[name]) < 1e-4 * error, name
    assert many.log_likelihood == pytest.approx(times * one.log_likelihood, rel=1e-12)
    for a, row in one.covariance.items():
        for b, value in row.items():
            scale = one.standard_errors[a] * one.standard_errors[b]
            assert many.covariance[a][b] * times / scale == pytest.approx(value / scale, abs=1e-4)
    weighted = fit(model, people.assign(w=float(times)), weights="w")
    assert weighted.params == pytest.approx(many.params, rel=1e-9)
    assert many.customers == weighted.customers == times * one.customers


# --------------------------------------------------------------------------------------------------------------- units


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
@pytest.mark.parametrize("factor", [1 / 7, 1 / 365.25, 24.0, 86_400.0])
def test_the_unit_of_time_scales_what_is_counted_in_it(model: Model, factor: float) -> None:
    """Alpha (and beta of Pareto/NBD) scale, nothing else; the likelihood is a density in as many times as there are purchases."""
    people = histories(model)
    scaled = people.assign(recency=people["recency"] * factor, T=people["T"] * factor)
    one, other = fit(model, people), fit(model, scaled)
    scale = {name: factor if name in TIMED[model.name] else 1.0 for name in one.params}
    assert other.params == pytest.approx({name: value * scale[name] for name, value in one.params.items()}, rel=1e-6)
    assert other.standard_errors == pytest.approx({name: value * scale[name] for name, value in one.standard_errors.items()}, rel=1e-4)
    shift = people["frequency"].sum() * math.log(factor)
    assert other.log_likelihood == pytest.approx(one.log_likelihood - shift, abs=1e-6)
    assert predicted(other.expected_purchases(9 * factor, scaled)) == pytest.approx(predicted(one.expected_purchases(9, people)), rel=1e-6)
    assert predicted(quiet(other.p_alive, scaled)) == pytest.approx(predicted(quiet(one.p_alive, people)), rel=1e-6)


@pytest.mark.parametrize("factor", [0.01, 6.9, 15_000.0])
def test_the_unit_of_money_scales_v_alone(factor: float) -> None:
    people = histories(GG)
    scaled = people.assign(monetary_value=people["monetary_value"] * factor)
    one, other = fit(GG, people), fit(GG, scaled)
    assert other.params == pytest.approx(one.params | {"v": one.params["v"] * factor}, rel=1e-6)
    assert other.standard_errors == pytest.approx(one.standard_errors | {"v": one.standard_errors["v"] * factor}, rel=1e-4)
    assert other.log_likelihood == pytest.approx(one.log_likelihood - one.customers * math.log(factor), abs=1e-6)
    assert predicted(other.expected_amount(scaled)) == pytest.approx(factor * predicted(one.expected_amount(people)), rel=1e-6)


def test_days_and_weeks_of_one_shop_agree() -> None:
    """Money per year is the same, whatever unit the fit counts in; a calendar of 365.2425 days."""
    people = histories(MBG)
    days = fit(MBG, people)
    weeks = fit(MBG, people.assign(recency=people["recency"] / 7, T=people["T"] / 7), unit="week")
    a = predicted(days.discounted_purchases(people, horizon="365D", discount_rate=0.3))
    b = predicted(
        weeks.discounted_purchases(people.assign(recency=people["recency"] / 7, T=people["T"] / 7), horizon="365D", discount_rate=0.3)
    )
    assert a == pytest.approx(b, rel=1e-6)


# ------------------------------------------------------------------------------------------------------------ predictions

PARAMETERS = st.floats(-3.0, 3.0).map(math.exp)


@st.composite
def given_fit(draw: st.DrawFn, models: Any = MODELS) -> tuple[Model, Any]:
    """A model at any parameters within a factor of twenty, and as uncertain as it may be."""
    model = draw(st.sampled_from(models))
    values = [draw(PARAMETERS) for _ in range(4)]
    names, size = list(model.params), np.array(values) * [10.0 if name in TIMED[model.name] else 1.0 for name in model.params]
    matrix = (draw(st.floats(0.0, 0.3)) * np.eye(4) + draw(st.floats(0.0, 0.2))) * np.outer(size, size)
    covariance = {a: dict(zip(names, row, strict=True)) for a, row in zip(names, matrix.tolist(), strict=True)}
    return model, at(model, dict(zip(names, size.tolist(), strict=True)), covariance=covariance)


@st.composite
def people_of(draw: st.DrawFn, model: Model) -> dict[str, Any]:
    """Histories that can be: x >= 0 and 0 <= t_x <= T, whole periods for BG/BB."""
    made = []
    for _ in range(draw(st.integers(1, 6))):
        if model is BB:
            T = draw(st.integers(0, 12))
            t_x = draw(st.integers(0, T))
            made.append((draw(st.integers(1, t_x)) if t_x else 0, t_x, T))
            continue
        T = draw(st.floats(0.0, 200.0).map(lambda v: round(v, 3)))
        x = draw(st.integers(0, 60)) if T else 0
        made.append((x, round(T * draw(st.floats(0.001, 1.0)), 6) if x else 0.0, T))
    made = [(x, min(t_x, T), T) for x, t_x, T in made]
    return rows(*map(list, zip(*made, strict=True)))


@settings(max_examples=60)
@given(given_fit(), st.data())
def test_p_alive_is_a_probability_and_intervals_nest(pair: tuple[Model, Any], data: st.DataObject) -> None:
    model, fit = pair
    people = data.draw(people_of(model))
    narrow, wide = (quiet(fit.p_alive, people, confidence=c).table for c in (0.5, 0.99))
    for table in (narrow, wide):
        for name in ("p_alive_low", "p_alive", "p_alive_high"):
            assert table[name].between(0, 1).all()
    ends = [wide["p_alive_low"], narrow["p_alive_low"], narrow["p_alive"], narrow["p_alive_high"], wide["p_alive_high"]]
    for low, high in pairwise(ends):
        assert (low <= high + 1e-12).all()


@settings(max_examples=60)
@given(given_fit(), st.integers(1, 40), st.data())
def test_expectations_are_positive_finite_and_nest(pair: tuple[Model, Any], t: int, data: st.DataObject) -> None:
    model, fit = pair
    people = data.draw(people_of(model))
    inner, outer = (fit.expected_purchases(t, people, confidence=c).table for c in (0.5, 0.99))
    assert np.isfinite(inner["expected_purchases"]).all()
    assert (inner["expected_purchases"] >= 0).all()
    ends = [outer["expected_purchases_low"], inner["expected_purchases_low"], inner["expected_purchases"]]
    for low, high in pairwise([*ends, inner["expected_purchases_high"], outer["expected_purchases_high"]]):
        assert (low <= high * (1 + 1e-12)).all()
    longer = predicted(fit.expected_purchases(t + 1, people))
    assert (longer >= inner["expected_purchases"].to_numpy() * (1 - 1e-9)).all()
    kept = predicted(fit.discounted_purchases(people, horizon=7 * t, discount_rate=0.5))
    assert (kept <= inner["expected_purchases"].to_numpy() * (1 + 1e-9)).all()
    none = predicted(fit.purchase_probability(0, t, people))
    assert ((none >= 0) & (none <= 1 + 1e-12)).all()
    assert (1 - none <= inner["expected_purchases"].to_numpy() + 1e-9).all()  # Markov


@settings(max_examples=40)
@given(given_fit(), st.data())
def test_counted_customers_are_predicted_one_by_one(pair: tuple[Model, Any], data: st.DataObject) -> None:
    """Each row's numbers are its own: neither neighbours nor their order matter, nor whether histories repeat."""
    model, fit = pair
    people = pd.DataFrame(data.draw(people_of(model)))
    whole = predicted(fit.expected_purchases(5, people))
    assert predicted(fit.expected_purchases(5, people[::-1]))[::-1] == pytest.approx(whole, rel=1e-12)
    assert predicted(fit.expected_purchases(5, pd.concat([people, people]))) == pytest.approx(np.tile(whole, 2), rel=1e-12)
    one = [predicted(fit.expected_purchases(5, people.iloc[[place]]))[0] for place in range(len(people))]
    assert one == pytest.approx(whole.tolist(), rel=1e-7)


@settings(max_examples=40)
@given(given_fit(), st.data())
def test_json_and_pickles_bring_back_the_same_fit(pair: tuple[Model, Any], data: st.DataObject) -> None:
    model, fit = pair
    people = data.draw(people_of(model))
    for again in (
        type(fit).from_dict(json.loads(json.dumps(fit.to_dict(), allow_nan=False))),
        type(fit).from_dict(json.loads(json.dumps(fit.to_dict(), sort_keys=True))),
        pickle.loads(pickle.dumps(fit)),
    ):
        assert again.params == fit.params
        assert again.covariance == fit.covariance
        assert again.to_dict() == fit.to_dict()
        ours, theirs = (f.expected_purchases(5, people, confidence=0.9).table for f in (again, fit))
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


@pytest.mark.parametrize("model", EVERY, ids=str)
def test_fits_travel_and_are_equal(model: Any) -> None:
    people = histories(model)
    found = fit(model, people)
    for again in (type(found).from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))), pickle.loads(pickle.dumps(found))):
        assert again == found
        assert (again.standard_errors, again.aic, again.bic, str(again)) == (found.standard_errors, found.aic, found.bic, str(found))
        pd.testing.assert_frame_equal(again.summary, found.summary)


@given(st.floats(1.05, 50.0), PARAMETERS, PARAMETERS, st.integers(0, 50), st.floats(0.01, 1e6))
def test_the_expected_amount_lies_between_ones_own_and_that_of_all(q: float, p: float, v: float, x: int, z: float) -> None:
    fit = spending(p, q, v)
    found = predicted(fit.expected_amount({"frequency": [x], "monetary_value": [z]}))[0]
    everybody = fit.expected_amount()
    assert everybody == pytest.approx(p * v / (q - 1), rel=1e-9)
    low, high = sorted([everybody, z if x else everybody])
    assert low * (1 - 1e-9) <= found <= high * (1 + 1e-9)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from(CONTINUOUS))
def test_recent_buyers_are_more_alive(seed: int, model: Model) -> None:
    """With as many purchases, and as old: the later the last, the likelier to be alive."""
    rng = np.random.default_rng(seed)
    x = int(rng.integers(1, 20))
    people = rows([x] * 20, np.sort(rng.uniform(0.1, 100.0, 20)), [100.0] * 20)
    alive = predicted(at(model).p_alive(people))
    assert (np.diff(alive) >= 0).all()


# ------------------------------------------------------------------------------------- expectations against simulations


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_conditional_expectations_sum_to_the_unconditional(model: Model) -> None:
    """Of 100,000 customers of one age: the sum over what was seen of each is what was expected of them before, within 5 standard errors."""
    customers, T, t = 100_000, 50.0, 60.0
    people = simulated(model, customers, 77, T=np.full(customers, T))
    fit = at(model, unit="day")
    found = predicted(fit.expected_purchases(t, people))
    before = fit.expected_purchases(T + t) - fit.expected_purchases(T)
    assert abs(found.mean() - before) < 5 * found.std() / math.sqrt(customers)
    alive = predicted(quiet(fit.p_alive, people))
    assert abs((alive - people["alive"]).mean()) < 5 * math.sqrt((alive * (1 - alive)).mean() / customers) + 1e-12


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_predictions_of_customers_are_unbiased(model: Model) -> None:
    """Of those with each frequency, the mean of what came is the mean of what was expected, within 5 standard errors."""
    people = simulated(model, 60_000, 78)
    expected = predicted(at(model, unit="day").expected_purchases(60.0, people))
    gap = (people["later"] - expected).groupby(people["frequency"].clip(upper=12))
    assert (gap.mean().abs() < 5 * gap.std() / np.sqrt(gap.size())).all()


def test_donors_conditional_expectations_sum_to_the_unconditional() -> None:
    customers = 60_000
    people = simulated(BB, customers, 79, T=np.full(customers, 6))
    fit = at(BB, unit="year")
    found = predicted(fit.expected_purchases(5, people))
    before = fit.expected_purchases(11) - fit.expected_purchases(6)
    assert abs(found.mean() - before) < 5 * found.std() / math.sqrt(customers)


def test_amounts_expected_of_customers_are_unbiased() -> None:
    rng = np.random.default_rng(80)
    x = rng.poisson(2.0, 100_000)
    mean, own = gamma_gamma(rng, x, p=6.0, q=4.0, v=15.0)
    expected = predicted(spending(6.0, 4.0, 15.0).expected_amount({"frequency": x, "monetary_value": mean}))
    gap = pd.Series(own - expected).groupby(np.minimum(x, 6))
    assert (gap.mean().abs() < 5 * gap.std() / np.sqrt(gap.size())).all()


@settings(max_examples=4)
@given(st.sampled_from(KINDS), st.integers(0, 99))
def test_clv_does_not_depend_on_rows_ids_or_frames(kind: Kind, seed: int) -> None:
    names: dict[str, Any] = {"customer": "customer", "time": "time", "amount": "amount", "model": "mbg_nbd", "horizon": 90}
    orders = om.make_orders(120, rng=seed)
    assume(orders["customer"].nunique() < len(orders))
    one = quiet(om.clv, orders, **names)
    shuffled = orders.sample(frac=1, random_state=seed)
    other = quiet(om.clv, kind.make(shuffled), **names)
    assert columns_of(other.table) == columns_of(one.table)
    renamed = quiet(om.clv, orders.assign(customer="z" + orders["customer"]), **names)
    assert renamed.table.drop(columns="customer").equals(one.table.drop(columns="customer"))
    later = quiet(om.clv, orders.assign(time=orders["time"] + pd.Timedelta(days=1_000)), **names)
    assert later.table.equals(one.table)


def test_where_bg_nbd_and_pareto_nbd_never_let_go_they_are_one_model() -> None:
    """With next to no dropout both are the NBD: E = (r + x) t / (alpha + T)."""
    people = rows([0, 3, 10], [0, 20.0, 50.0], [30.0, 40.0, 52.0])
    expected = (0.8 + np.array(people["frequency"])) * 12 / (20.0 + np.array(people["T"]))
    for model, end in ((BG, {"a": 1e-9, "b": 1.0}), (MBG, {"a": 1e-9, "b": 1.0}), (PARETO, {"s": 1e-9, "beta": 1.0})):
        fit = at(model, {"r": 0.8, "alpha": 20.0} | end)
        assert predicted(fit.expected_purchases(12, people)) == pytest.approx(expected, rel=1e-6)
        assert predicted(quiet(fit.p_alive, people)) == pytest.approx(np.ones(3), abs=1e-6)
