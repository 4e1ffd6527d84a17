"""The `lifetimes` package as an oracle in the same run: likelihoods are reached, predictions are ours, fits go in and out."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from benchmarks.peers import fitted as fitted_by_lifetimes
from benchmarks.peers import heard, lifetimes
from opsmetrics._kernels.histories import Histories
from tests.lifetime_value.inputs import (
    BB,
    BG,
    CDNOW,
    CONTINUOUS,
    HISTORY,
    MODELS,
    PARETO,
    Model,
    amounts,
    at,
    cdnow,
    csv_of_lifetimes,
    predicted,
    quiet,
    rows,
    simulated,
    spending,
)

SETS = 50
CUT_OFF = {PARETO: {"maxiter": 200}}
"""Where customers hardly drop out, as in the gift shop, their Pareto/NBD fit climbs a ridge for minutes; most are there after 200 steps."""
AHEAD = 45.0


def merged(people: pd.DataFrame) -> Histories:
    """Identical histories once, with their number: what lifetimes needs minutes for alone is done in seconds."""
    return Histories.of(*(people[name].to_numpy(dtype) for name, dtype in zip(HISTORY, (np.int64, float, float), strict=True))).merged()


def fit_theirs(model: Model, people: pd.DataFrame, **choices: Any) -> Any:
    """Their fit of these customers, and its log-likelihood on the original scale of time; None where they give up.

    What they keep is per customer (Pareto/NBD: of all, over the mean weight), and of times in units of the highest age, which a purchase
    each multiplies by; its own sign aside.
    """
    known = merged(people)
    fitter = fitted_by_lifetimes(model.fitter, (known.x, known.t_x, known.T), weights=known.weights, **choices)
    if fitter is None:
        return None, math.nan
    if model is BB:
        return fitter, -fitter._negative_log_likelihood_ * known.weights.sum()
    size = known.weights.mean() if model is PARETO else known.weights.sum()
    return fitter, -fitter._negative_log_likelihood_ * size + known.weights @ known.x * math.log(fitter._scale)


# --------------------------------------------------------------------------------------------------------- likelihoods


def sets(model: Model) -> Iterator[pd.DataFrame]:
    """Shops of 150 customers with rates and chances to leave of all kinds.

    Those for Pareto/NBD are one cohort in whole weeks, since lifetimes needs two seconds for that many different histories.
    """
    for seed in range(SETS):
        rng = np.random.default_rng([11, seed])
        rate = {"r": rng.uniform(0.3, 2.0), "alpha": rng.uniform(5.0, 40.0)}
        if model is not PARETO:
            yield simulated(model, 150, seed, **rate, a=rng.uniform(0.3, 2.0), b=rng.uniform(1.0, 5.0))
            continue
        people = simulated(model, 150, seed, T=np.full(150, 52.0), **rate, s=rng.uniform(0.3, 2.0), beta=rng.uniform(5.0, 40.0))
        weeks = np.ceil(people["recency"])
        yield people.assign(frequency=np.minimum(people["frequency"], weeks), recency=weeks)


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_simulated_sets_never_come_out_worse(model: Model) -> None:
    """Nor do their parameters have another likelihood, or other predictions, with us. Some of their fits fail; of ours none does unsaid."""
    ahead = []
    for place, people in enumerate(sets(model)):
        ours = quiet(model.spec().fit, people)
        assert ours.converged or ours.warnings, place
        fitter, theirs = fit_theirs(model, people, **CUT_OFF.get(model, {}))
        if fitter is None or not math.isfinite(theirs):
            continue
        assert ours.log_likelihood >= theirs - 1e-6, place
        read = quiet(model.fit.from_lifetimes, fitter)
        assert read.log_likelihood == pytest.approx(theirs, abs=1e-5), place
        same_predictions(model, read, fitter, people, f"set {place}")
        ahead.append(ours.log_likelihood - theirs)
    assert len(ahead) >= 0.8 * SETS
    assert np.median(ahead) < 1e-3  # so the scale is the same, and most of theirs are at the maximum too


def test_simulated_amounts_never_come_out_worse() -> None:
    compared = 0
    for seed in range(SETS):
        rng = np.random.default_rng([13, seed])
        people = amounts(200, seed, p=rng.uniform(1.0, 10.0), q=rng.uniform(1.5, 8.0), v=rng.uniform(5.0, 500.0))
        ours = quiet(om.GammaGamma().fit, people)
        known = people[people["frequency"] > 0]
        fitter = fitted_by_lifetimes("GammaGammaFitter", (known["frequency"], known["monetary_value"]))
        if fitter is None:
            continue
        assert ours.log_likelihood >= -fitter._negative_log_likelihood_ * len(known) - 1e-6, seed
        read = quiet(om.GammaGammaFit.from_lifetimes, fitter)
        assert read.log_likelihood == pytest.approx(-fitter._negative_log_likelihood_ * len(known), abs=1e-6), seed
        theirs = fitter.conditional_expected_average_profit(known["frequency"], known["monetary_value"])
        assert predicted(read.expected_amount(known)) == pytest.approx(theirs.to_numpy(), rel=1e-6), seed
        compared += 1
    assert compared >= 0.8 * SETS


def test_simulated_donors_never_come_out_worse() -> None:
    """Ten sets: theirs walks through all the periods that a donor may have left in."""
    for seed in range(10):
        rng = np.random.default_rng([17, seed])
        shape = {name: rng.uniform(0.5, 3.0) for name in BB.params}
        people = simulated(BB, 300, seed, T=np.full(300, 8), **shape)
        ours = quiet(om.BetaGeoBetaBinom().fit, people)
        fitter, theirs = fit_theirs(BB, people)
        assert ours.converged, seed
        assert ours.log_likelihood >= theirs - 1e-6, seed
        assert quiet(om.BetaGeoBetaBinomFit.from_lifetimes, fitter).log_likelihood == pytest.approx(theirs, abs=1e-6), seed


@pytest.fixture(scope="module")
def shops(online_retail: pd.DataFrame) -> dict[str, om.CLVSummary[Any]]:
    """CDNOW, and the customers of the gift shop that have an id; in days."""
    names: dict[str, Any] = {"customer": "CustomerID", "time": "InvoiceDate", "amount": "amount", "missing_customer": "drop"}
    return {"cdnow": om.clv_summary(cdnow(), **CDNOW), "online_retail": om.clv_summary(online_retail, **names)}


@pytest.mark.parametrize("shop", ["cdnow", "online_retail"])
@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_real_shops_never_come_out_worse(model: Model, shop: str, shops: Any) -> None:
    ours = quiet(model.spec().fit, shops[shop])
    assert ours.converged
    assert ours.unit == "day"
    fitter, theirs = fit_theirs(model, shops[shop].table, **CUT_OFF.get(model, {}))
    assert ours.log_likelihood >= theirs - 1e-6
    assert ours.log_likelihood == pytest.approx(theirs, abs=1e-2)
    same_predictions(model, quiet(model.fit.from_lifetimes, fitter), fitter, shops[shop].table, shop)


@pytest.mark.parametrize("shop", ["cdnow", "online_retail"])
def test_amounts_of_real_shops_never_come_out_worse(shop: str, shops: Any) -> None:
    ours, table = om.GammaGamma().fit(shops[shop]), shops[shop].table
    known = table[(table["frequency"] > 0) & (table["monetary_value"] > 0)]
    assert (ours.customers, ours.left_out) == (len(known), ((table["frequency"] > 0) & (table["monetary_value"] <= 0)).sum())
    fitter = fitted_by_lifetimes("GammaGammaFitter", (known["frequency"], known["monetary_value"]))
    assert ours.log_likelihood >= -fitter._negative_log_likelihood_ * len(known) - 1e-6
    theirs = fitter.conditional_expected_average_profit(known["frequency"], known["monetary_value"])
    assert predicted(om.GammaGammaFit.from_lifetimes(fitter).expected_amount(known)) == pytest.approx(theirs.to_numpy(), rel=1e-6)


# --------------------------------------------------------------------------------------------------------- predictions


def same_predictions(model: Model, ours: Any, theirs: Any, people: pd.DataFrame, where: str) -> None:
    """To 1e-6 of each number, where theirs is one and is not lost to rounding."""
    columns = [people[name].to_numpy(float) for name in HISTORY]
    bought = np.asarray(heard(theirs.conditional_expected_number_of_purchases_up_to_time, AHEAD, *columns))
    alive = np.asarray(heard(theirs.conditional_probability_alive, *columns))
    for told, found, expected in (
        ("expected purchases", ours.expected_purchases(AHEAD, people), bought),
        ("P(alive)", quiet(ours.p_alive, people), alive),
    ):
        known = np.isfinite(expected)
        assert known.mean() > 0.9, (where, told)
        assert predicted(found)[known] == pytest.approx(expected[known], rel=1e-6), (where, told)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_predictions_of_the_same_parameters(model: Model) -> None:
    """Of each customer; and of new ones, where they have a formula for them."""
    fit = at(model)
    fitter = fit.to_lifetimes()
    people = simulated(model, 300, 5)
    columns = [people[name].to_numpy(float) for name in HISTORY]
    if model is BB:
        bought, alive = heard(fitter.conditional_expected_number_of_purchases_up_to_time, 5, *columns), None
        alive = heard(fitter.conditional_probability_alive, 1, *columns)  # alive at the next chance to buy, as in the paper's table
    else:
        bought = heard(fitter.conditional_expected_number_of_purchases_up_to_time, 5, *columns)
        alive = heard(fitter.conditional_probability_alive, *columns)
    assert predicted(fit.expected_purchases(5, people)) == pytest.approx(bought, rel=1e-6)
    assert predicted(quiet(fit.p_alive, people)) == pytest.approx(alive, rel=1e-6)


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_new_customers_of_the_same_parameters(model: Model) -> None:
    fit = at(model)
    fitter = fit.to_lifetimes()
    for t in (0.5, 5.0, 50.0, 500.0):
        assert fit.expected_purchases(t) == pytest.approx(float(heard(fitter.expected_number_of_purchases_up_to_time, t)), rel=1e-6)


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_chances_of_new_customers_of_the_same_parameters(model: Model) -> None:
    fit = at(model)
    fitter = fit.to_lifetimes()
    for x in range(6):
        if model is not PARETO:
            theirs = heard(fitter.probability_of_n_purchases_up_to_time, 30.0, x)
        else:
            theirs = heard(fitter.conditional_probability_of_n_purchases_up_to_time, x, 30.0, 0, 0.0, 0.0)
        assert fit.purchase_probability(x, 30.0) == pytest.approx(float(theirs), rel=1e-6)


def test_chances_of_known_customers() -> None:
    """They have them for Pareto/NBD alone."""
    fit, fitter = at(PARETO), at(PARETO).to_lifetimes()
    people = simulated(PARETO, 60, 9)
    columns = [people[name].to_numpy(float) for name in HISTORY]
    for x in range(4):
        theirs = heard(fitter.conditional_probability_of_n_purchases_up_to_time, x, 30.0, *columns)
        assert predicted(fit.purchase_probability(x, 30.0, people)) == pytest.approx(theirs, rel=1e-6)


# ------------------------------------------------------------------------------------------------------------- in and out


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_a_fit_goes_out_and_predicts(model: Model) -> None:
    people = simulated(model, 250, 3)
    fit = quiet(model.spec().fit, people, unit="week")
    fitter = fit.to_lifetimes()
    assert type(fitter).__name__ == model.fitter
    assert dict(fitter.params_) == fit.params
    assert heard(repr, fitter).startswith(f"<lifetimes.{model.fitter}:")
    one = people[people["frequency"] > 0].iloc[:3]
    columns = [one[name].to_numpy(float) for name in HISTORY]
    assert heard(fitter.predict, 4, *columns) == pytest.approx(predicted(fit.expected_purchases(4, one)), rel=1e-6)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_a_fitter_comes_in_with_its_uncertainty(model: Model) -> None:
    """Their parameters are where ours are, so the errors found anew are ours too; and out and in again nothing is lost."""
    people = simulated(model, 400, 4)
    fitter, likelihood = fit_theirs(model, people)
    read, ours = quiet(model.fit.from_lifetimes, fitter, unit="week"), quiet(model.spec().fit, people, unit="week")
    assert read.params == dict(fitter.params_)
    assert read.params == pytest.approx(ours.params, rel=0.02)
    assert read.standard_errors == pytest.approx(ours.standard_errors, rel=0.03)
    assert read.log_likelihood == pytest.approx(likelihood, abs=1e-6)
    assert (read.customers, read.unit, read.converged, read.reason) == (400, "week", True, "converged")
    assert model.fit.from_dict(json.loads(json.dumps(read.to_dict()))) == read
    again = read.to_lifetimes()
    again.data = fitter.data
    assert quiet(model.fit.from_lifetimes, again, unit="week") == read


def test_amounts_go_out_and_come_in() -> None:
    people = amounts(400, 6)
    known = people[people["frequency"] > 0]
    fitter = fitted_by_lifetimes("GammaGammaFitter", (known["frequency"], known["monetary_value"]))
    read, ours = quiet(om.GammaGammaFit.from_lifetimes, fitter), om.GammaGamma().fit(people)
    assert read.params == pytest.approx(ours.params, rel=1e-3)
    assert read.standard_errors == pytest.approx(ours.standard_errors, rel=1e-3)
    assert read.correlation == pytest.approx(ours.correlation)
    assert (read.customers, read.converged, read.left_out) == (len(known), True, 0)
    out = ours.to_lifetimes()
    assert dict(out.params_) == ours.params
    theirs = heard(out.conditional_expected_average_profit, known["frequency"], known["monetary_value"])
    assert predicted(ours.expected_amount(known)) == pytest.approx(theirs.to_numpy(), rel=1e-9)
    out.data = fitter.data
    assert quiet(om.GammaGammaFit.from_lifetimes, out).params == ours.params


def told(call: Any, *args: Any) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = call(*args)
    return found, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("given", [{"q": 0.8, "v": 5.0}, {"q": 4.0}], ids=str)
def test_what_is_wrong_with_amounts_comes_in_too(given: dict[str, float]) -> None:
    """No mean; and amounts that go with the frequency: the sentences of a fit of ours."""
    people = amounts(400, 6, **given)
    known = people[people["frequency"] > 0]
    if given["q"] > 1:
        known = known.assign(monetary_value=known["monetary_value"] * known["frequency"])
    fitter = fitted_by_lifetimes("GammaGammaFitter", (known["frequency"], known["monetary_value"]))
    ours, expected = told(om.GammaGamma().fit, known)
    read, heard = told(om.GammaGammaFit.from_lifetimes, fitter)
    assert len(expected) == len(ours.warnings) == 1
    assert (list(read.warnings), heard) == (list(ours.warnings), expected)
    again, silence = told(om.GammaGammaFit.from_dict, json.loads(json.dumps(read.to_dict())))
    assert (again.warnings, silence) == (read.warnings, [])


def test_parameters_that_are_hardly_told_come_in_so() -> None:
    fitter, _ = fit_theirs(BG, simulated(BG, 20, 0))
    read, heard = told(om.BetaGeoFit.from_lifetimes, fitter)
    assert heard == [f"BG/NBD: {sentence}" for sentence in read.warnings]
    assert "the data hardly tell" in read.warnings[0]


def test_counted_customers_come_in_as_many() -> None:
    table = csv_of_lifetimes("donations.csv")
    fitter = fitted_by_lifetimes(BB.fitter, [table[name] for name in ("frequency", "recency", "periods")], weights=table["weights"])
    read = quiet(om.BetaGeoBetaBinomFit.from_lifetimes, fitter, unit="year")
    ours = om.BetaGeoBetaBinom().fit(table.rename(columns={"periods": "T"}), weights="weights", unit="year")
    assert read.customers == ours.customers == 11_104
    assert read.params == pytest.approx(ours.params, rel=1e-3)
    assert read.standard_errors == pytest.approx(ours.standard_errors, rel=1e-3)


def test_a_penalised_fitter_is_not_at_the_maximum() -> None:
    """Its penalty is another than ours; so the fit says how much likelihood is left."""
    people = simulated(BG, 300, 8)
    fitter = lifetimes().BetaGeoFitter(penalizer_coef=0.01)
    heard(fitter.fit, *(people[name] for name in HISTORY))
    read, ours = quiet(om.BetaGeoFit.from_lifetimes, fitter), om.BetaGeo().fit(people)
    assert not read.converged
    assert "below the maximum of the log-likelihood" in read.reason
    assert read.log_likelihood < ours.log_likelihood


def test_fits_that_cannot_go_out() -> None:
    nothing = quiet(om.BetaGeo().fit, rows([0, 0], [0, 0], [5, 7]))
    with pytest.raises(om.FitError, match="no customer has a repeat purchase") as caught:
        nothing.to_lifetimes()
    assert caught.value.code == "fit.parameters"
    people = simulated(PARETO, 300, 8)
    moved = om.ParetoNBD().fit(people.assign(z=np.arange(300) % 2), purchase_covariates=["z"])
    with pytest.raises(om.FitError, match="lifetimes knows no covariates") as caught:
        moved.to_lifetimes()
    assert caught.value.code == "fit.covariates"


# ----------------------------------------------------------------------------------------------- what is wrong with it


def test_its_covariance_is_not_symmetric_and_ours_is() -> None:
    """It multiplies the inverse of the information by the square of one parameter instead of by both: only the diagonal is right."""
    table = csv_of_lifetimes("cdnow_customers_summary.csv")
    fitter = fitted_by_lifetimes("BetaGeoFitter", [table[name] for name in HISTORY])
    theirs = fitter.variance_matrix_.to_numpy()
    assert np.abs(theirs - theirs.T).max() > 0.1
    ours = pd.DataFrame(om.BetaGeoFit.from_lifetimes(fitter, unit="week").covariance).to_numpy()
    assert ours == pytest.approx(ours.T, rel=1e-12)
    own = np.sqrt(np.diag(ours))
    assert own[[0, 2, 3]] == pytest.approx(np.sqrt(np.diag(theirs))[[0, 2, 3]], rel=1e-4)
    assert np.linalg.eigvalsh(ours).min() > 0


def test_its_likelihood_is_of_a_customer_and_of_rescaled_time() -> None:
    fitter, likelihood = fit_theirs(BG, csv_of_lifetimes("cdnow_customers_summary.csv"))
    assert -fitter._negative_log_likelihood_ * 2357 == pytest.approx(-589.9, abs=0.1)
    assert likelihood == pytest.approx(-9582.4256, abs=1e-3)


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_its_likelihood_of_pareto_nbd_is_the_sum(model: Model) -> None:
    """Of the other models it is the mean; on a time in units of the highest age, in which ours is that of the data."""
    people = simulated(model, 300, 2)
    fit = quiet(model.spec().fit, people)
    size = 1 if model is PARETO else 300
    assert -size * fit.to_lifetimes()._negative_log_likelihood_ == pytest.approx(fit.log_likelihood)
    fitter = fitted_by_lifetimes(model.fitter, [people[name] for name in HISTORY])
    theirs = -size * fitter._negative_log_likelihood_ + people["frequency"].sum() * math.log(fitter._scale)
    assert theirs == pytest.approx(fit.log_likelihood, abs=0.01)


def test_it_has_no_errors_for_pareto_nbd() -> None:
    fitter, _ = fit_theirs(PARETO, next(sets(PARETO)))
    assert not hasattr(fitter, "variance_matrix_")
    assert all(error > 0 for error in quiet(om.ParetoNBDFit.from_lifetimes, fitter).standard_errors.values())


def test_where_it_has_no_number_we_have_one() -> None:
    """BG/NBD of one-time buyers with a + b < 1, and at a = 1."""
    people = rows([0, 0, 2, 30], [0, 0, 20, 70], [10, 50, 30, 80])
    for a, b in ((0.3, 0.5), (1.0, 2.0), (0.05, 0.1)):
        fit = at(BG, {"r": 0.4, "alpha": 6.0, "a": a, "b": b})
        found = predicted(fit.expected_purchases(30, people))
        assert np.isfinite(found).all()
        assert (found > 0).all()
        near = at(BG, {"r": 0.4, "alpha": 6.0, "a": a + 1e-7, "b": b})
        assert found == pytest.approx(predicted(near.expected_purchases(30, people)), rel=1e-5)
    theirs = at(BG, {"r": 0.4, "alpha": 6.0, "a": 1.0, "b": 2.0}).to_lifetimes()
    assert not np.isfinite(heard(theirs.conditional_expected_number_of_purchases_up_to_time, 30, *map(np.array, people.values()))).any()


OUT = """
import warnings
import pandas as pd
import opsmetrics as om
histories = {"frequency": [0, 1, 1, 2, 2, 5, 5, 9], "recency": [0, 1, 6, 3, 9, 6, 9, 10], "T": [10] * 8}
histories["people"] = [300, 60, 30, 20, 20, 10, 30, 25]
fit = om.ModifiedBetaGeo().fit(histories, weights="people")
filters = list(warnings.filters)
fit.to_lifetimes()
assert warnings.filters == filters, "filters changed"
"""


def test_the_import_of_lifetimes_is_silent_and_changes_nothing() -> None:
    """In a process of its own, since an import happens once."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", OUT], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr[-500:]


def test_mean_amounts_at_given_parameters() -> None:
    people = amounts(100, 2)
    theirs = heard(
        spending(6.25, 3.74, 15.44).to_lifetimes().conditional_expected_average_profit, people["frequency"], people["monetary_value"]
    )
    assert predicted(spending(6.25, 3.74, 15.44).expected_amount(people)) == pytest.approx(theirs.to_numpy(), rel=1e-9)
