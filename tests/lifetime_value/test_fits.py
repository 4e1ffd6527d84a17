"""Fits: at the maximum of the textbook's likelihood, sure of what its curvature says, and predictions that follow from the parameters."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import math
import pickle
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import betaln, expit, gammaln, hyp2f1, logit, logsumexp, ndtri

import opsmetrics as om
from benchmarks import peers
from benchmarks.simulated_customers import gamma_gamma
from opsmetrics._kernels import newton
from opsmetrics._kernels.beta_geo import BetaGeo
from opsmetrics._kernels.histories import Histories, Total
from opsmetrics.lifetime_value import estimation
from opsmetrics.lifetime_value.families import FAMILIES
from opsmetrics.lifetime_value.laws import law_of
from tests.lifetime_value import reference
from tests.lifetime_value.inputs import (
    BB,
    BG,
    CDNOW,
    CONTINUOUS,
    MBG,
    MODELS,
    PARETO,
    Model,
    amounts,
    at,
    cdnow,
    predicted,
    quiet,
    rows,
    simulated,
    spending,
)
from tests.support import Kind

GG = "gamma_gamma"
Params = Mapping[str, float]
DAYS = {"day": 1.0, "week": 7.0, "month": 365.2425 / 12, "quarter": 365.2425 / 4, "year": 365.2425}


def histories(model: Any, customers: int = 500, seed: int = 1) -> pd.DataFrame:
    return amounts(customers, seed) if model is GG else simulated(model, customers, seed)


def fit(model: Any, people: Any, *, penalty: float = 0.0, **choices: Any) -> Any:
    return (om.GammaGamma if model is GG else model.spec)(penalty=penalty).fit(people, **choices)


EVERY = [*MODELS, GG]


# ------------------------------------------------------------------------------------------------- the textbook's formulas


def coins(p: Params, x: Any, t_x: Any, T: Any, first: int) -> Any:
    """Fader, Hardie & Lee (2005) equation 6, and Batislam et al. (2007) with first = 1."""
    r, alpha, a, b = p.values()
    k = x + first
    bought = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    lives = betaln(a, b + k) - betaln(a, b) - (r + x) * np.log(alpha + T)
    left = betaln(a + 1, b + np.maximum(k, 1) - 1) - betaln(a, b) - (r + x) * np.log(alpha + t_x)
    return bought + np.where(k > 0, np.logaddexp(lives, left), lives)


def pareto(p: Params, x: Any, t_x: Any, T: Any) -> Any:
    """Fader & Hardie (2005), a note on deriving the Pareto/NBD model, equations 18 to 20, for alpha below beta."""
    r, alpha, s, beta = p.values()
    assert alpha < beta
    n = r + s + x

    def part(t: Any) -> Any:
        return np.log(hyp2f1(n, r + x, n + 1, (beta - alpha) / (beta + t))) - n * np.log(beta + t)

    dead = np.log(s) - np.log(n) + np.log(np.exp(part(t_x)) - np.exp(part(T)))
    alive = -(r + x) * np.log(alpha + T) - s * np.log(beta + T)
    return gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta) + np.logaddexp(alive, dead)


def periods(p: Params, x: Any, t_x: Any, T: Any) -> Any:
    """Fader, Hardie & Shang (2010) equation 5."""
    alpha, beta, gamma, delta = p.values()

    ends = [betaln(alpha + x, beta + T - x) + betaln(gamma, delta + T)]
    for last in range(int(T.max())):  # the period after which he was gone
        gone = betaln(alpha + x, beta + last - x) + betaln(gamma + 1, delta + last)
        ends.append(np.where((t_x <= last) & (last < T), gone, -np.inf))
    return logsumexp(ends, axis=0) - betaln(alpha, beta) - betaln(gamma, delta)


def spent(p: Params, x: Any, z: Any) -> Any:
    """Fader & Hardie (2013) equation 1a."""
    p_, q, v = p.values()
    return (
        gammaln(p_ * x + q) - gammaln(p_ * x) - gammaln(q) + q * np.log(v) + (p_ * x - 1) * np.log(z) + p_ * x * np.log(x)
        - (p_ * x + q) * np.log(x * z + v)
    )  # fmt: skip


def textbook(model: Any, people: pd.DataFrame) -> Callable[[Params], float]:
    """The log-likelihood of these customers as a function of the parameters."""
    if model is GG:
        known = people[people["frequency"] > 0]
        return lambda p: float(spent(p, known["frequency"].to_numpy(), known["monetary_value"].to_numpy()).sum())
    x, t_x, T = (people[name].to_numpy() for name in ("frequency", "recency", "T"))
    formula = {BG: lambda p: coins(p, x, t_x, T, 0), MBG: lambda p: coins(p, x, t_x, T, 1), PARETO: lambda p: pareto(p, x, t_x, T)}
    formula[BB] = lambda p: periods(p, x, t_x, T)
    return lambda p: float(formula[model](p).sum())


def derivatives(value: Callable[[Params], float], params: Params, step: float = 4e-3) -> tuple[Any, Any]:
    """Gradient and Hessian by central differences in the logs of the parameters."""
    names, base = list(params), np.log(list(params.values()))

    def f(*moves: tuple[int, float]) -> float:
        place = base.copy()
        for i, by in moves:
            place[i] += by * step
        return value(dict(zip(names, np.exp(place).tolist(), strict=True)))

    n, here = len(names), f()
    slope = np.array([(f((i, 1)) - f((i, -1))) / (2 * step) for i in range(n)])
    bend = np.zeros((n, n))
    for i in range(n):
        bend[i, i] = (f((i, 1)) + f((i, -1)) - 2 * here) / step**2
        for j in range(i):
            corners = [f((i, a), (j, b)) * a * b for a in (1, -1) for b in (1, -1)]
            bend[i, j] = bend[j, i] = sum(corners) / (4 * step**2)
    return slope, bend


@pytest.mark.parametrize("model", EVERY, ids=str)
def test_the_fit_is_the_maximum_of_the_textbook_likelihood(model: Any) -> None:
    """On the time scale (and in the money) of the data; the next step of Newton would gain nothing."""
    people = histories(model)
    found, value = fit(model, people), textbook(model, people)
    assert (found.converged, found.reason, found.warnings) == (True, "converged", ())
    assert found.log_likelihood == pytest.approx(value(found.params), abs=1e-6)
    slope, bend = derivatives(value, found.params)
    assert np.linalg.eigvalsh(bend).max() < 0
    assert slope @ np.linalg.solve(-bend, slope) / 2 < 1e-6
    for name in found.params:
        for factor in (0.95, 1.05):
            assert value({**found.params, name: found.params[name] * factor}) < found.log_likelihood


@pytest.mark.parametrize("model", [BG, GG], ids=str)
def test_every_row_counts_where_there_are_many(model: Any) -> None:
    """More distinct rows than the search begins on: it ends at the maximum of all of them, not of some."""
    people = amounts(60_000, 2) if model is GG else simulated(model, 52_000, 2)
    known = people[people["frequency"] > 0] if model is GG else people
    assert len(known.drop_duplicates()) >= estimation._MANY
    found, value = fit(model, people), textbook(model, people)
    assert found.customers == len(known)
    assert found.log_likelihood == pytest.approx(value(found.params), rel=1e-10)
    slope, bend = derivatives(value, found.params)
    assert slope @ np.linalg.solve(-bend, slope) / 2 < 1e-4  # of some it would be about two


@pytest.mark.parametrize("model", EVERY, ids=str)
def test_the_covariance_is_the_inverse_of_the_observed_information(model: Any) -> None:
    """Of the logs, by the textbook's curvature; the full matrix, on the scale of the parameters."""
    people = histories(model)
    found = fit(model, people)
    _, bend = derivatives(textbook(model, people), found.params)
    size = np.array(list(found.params.values()))
    expected = np.linalg.inv(-bend) * np.outer(size, size)
    matrix = pd.DataFrame(found.covariance).loc[list(found.params), list(found.params)].to_numpy()
    spread = np.sqrt(np.diag(expected))
    assert matrix / np.outer(spread, spread) == pytest.approx(expected / np.outer(spread, spread), abs=2e-3)
    assert matrix == pytest.approx(matrix.T, rel=1e-9)
    assert found.standard_errors == pytest.approx(dict(zip(found.params, np.sqrt(np.diag(matrix)), strict=True)), rel=1e-12)


@pytest.mark.parametrize("model", EVERY, ids=str)
def test_information_criteria_and_the_summary(model: Any) -> None:
    """AIC = 2 k - 2 LL, BIC = k ln n - 2 LL; intervals on the scale of the logarithm, so that no end is below 0."""
    found = fit(model, histories(model))
    k = len(found.params)
    assert k == (3 if model is GG else 4)
    assert found.aic == pytest.approx(2 * k - 2 * found.log_likelihood)
    assert found.bic == pytest.approx(k * math.log(found.customers) - 2 * found.log_likelihood)
    table = found.summary
    assert table.columns.tolist() == ["parameter", "estimate", "standard_error", "low", "high"]
    assert table["parameter"].tolist() == list(found.params)
    assert table["estimate"].tolist() == list(found.params.values())
    assert table["standard_error"].tolist() == list(found.standard_errors.values())
    reach = np.exp(1.959964 * table["standard_error"] / table["estimate"])
    assert table["low"].to_numpy() == pytest.approx((table["estimate"] / reach).to_numpy(), rel=1e-6)
    assert table["high"].to_numpy() == pytest.approx((table["estimate"] * reach).to_numpy(), rel=1e-6)
    for shown in (str(found), found._repr_html_()):
        assert found.title in shown
        assert all(name in shown for name in (*found.params, "log_likelihood", "aic", "bic"))


@pytest.mark.parametrize("model", EVERY, ids=str)
def test_specs_and_fits_are_immutable(model: Any) -> None:
    spec = om.GammaGamma() if model is GG else model.spec()
    found = fit(model, histories(model))
    for thing, name in ((spec, "penalty"), (found, "params"), (found, "log_likelihood")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, name, 1.0)
    for kept in (found.params, found.covariance, *found.covariance.values()):
        before = dict(kept)
        for change, arguments in (
            ("__setitem__", ("r", 5.0)), ("__delitem__", ("r",)), ("__ior__", ({"r": 5.0},)), ("update", ({"r": 5.0},)), ("pop", ("r",)),
            ("popitem", ()), ("clear", ()), ("setdefault", ("new", 1.0)),
        ):  # fmt: skip
            with pytest.raises(TypeError, match="a fit does not change"):
                getattr(kept, change)(*arguments)
        assert kept == before
    assert copy.deepcopy(found) == pickle.loads(pickle.dumps(found)) == found
    assert len({found, copy.deepcopy(found), spec}) == 2  # they may be keys
    assert spec == dataclasses.replace(spec)
    assert fit(model, histories(model)) == found  # nothing is random


def test_a_fit_costs_twelve_evaluations_at_most() -> None:
    """Of value, gradient and Hessian, where the data tell the parameters: on CDNOW and in ordinary shops."""
    summary = om.clv_summary(cdnow(), **CDNOW)
    assert max(fit(model, summary).evaluations for model in [*CONTINUOUS, GG]) <= 12
    for model in EVERY:
        for seed in range(6):
            found = quiet(fit, model, histories(model, 1_000, seed))
            assert found.warnings or found.evaluations <= 12, (model, seed)
            assert found.converged, (model, seed)


def test_the_second_hill_costs_little() -> None:
    """MBG/NBD is climbed from two sides: shops of few customers who differ in more than it knows of."""
    taken = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        T = rng.uniform(15, 60, 600)
        walked = reference.simulate("pareto_nbd", (0.55, 10.0, 0.6, 12.0), 600, T, 0, rng)
        found = quiet(om.ModifiedBetaGeo().fit, rows(walked.x, walked.t_x, T))
        assert not found.warnings
        taken.append(found.evaluations)
    assert np.mean(taken) < 10.5
    assert np.quantile(taken, 0.9) <= 12


# ------------------------------------------------------------------------------------------------------------- penalty


@pytest.mark.parametrize("model", EVERY, ids=str)
def test_a_penalty_pulls_the_logs_towards_zero(model: Any) -> None:
    """In units in which T (and money) are one on average; the log-likelihood that is told has no penalty in it."""
    people = histories(model)
    free, weak, strong = (fit(model, people, penalty=penalty) for penalty in (0.0, 2.0, 50.0))
    assert (free.penalty, weak.penalty) == (0, 2)
    assert free.log_likelihood > weak.log_likelihood > strong.log_likelihood
    value = textbook(model, people)
    assert weak.log_likelihood == pytest.approx(value(weak.params), abs=1e-6)
    known = people[people["frequency"] > 0]
    unit = {"v": known["monetary_value"].mean()} if model is GG else dict.fromkeys(("alpha", "beta"), people["T"].mean())
    scale = {name: 1.0 if model is BB or (model in {BG, MBG} and name == "beta") else unit.get(name, 1.0) for name in free.params}
    logs = [sum(math.log(value / scale[name]) ** 2 for name, value in found.params.items()) for found in (free, weak, strong)]
    assert logs[0] > logs[1] > logs[2]

    def penalised(params: Params) -> float:
        return value(params) - 2.0 * sum(math.log(params[name] / scale[name]) ** 2 for name in params)

    slope, bend = derivatives(penalised, weak.params)
    assert slope @ np.linalg.solve(-bend, slope) / 2 < 1e-6
    size = np.array(list(weak.params.values()))
    errors = np.sqrt(np.diag(np.linalg.inv(-bend))) * size
    assert list(weak.standard_errors.values()) == pytest.approx(errors.tolist(), rel=5e-3)


@pytest.mark.parametrize("model", [BG, MBG], ids=str)
def test_a_penalty_does_not_pull_coefficients(model: Model) -> None:
    """Of a covariate with mean 0 and deviation 1: at the estimates the likelihood itself does not rise along its coefficient."""
    people = moved(model, 500, 7, 0.8, 0.0).assign(z=lambda f: 2 * f["z"] - 1)
    found = fit(model, people, penalty=20.0, purchase_covariates=["z"])
    *own, coefficient = found.params.values()
    x, t_x, T, z = (people[name].to_numpy() for name in ("frequency", "recency", "T", "z"))

    def value(by: float) -> float:
        params = dict(zip(model.params, own, strict=True)) | {"alpha": found.params["alpha"] * np.exp(-(coefficient + by) * z)}
        return float(coins(params, x, t_x, T, int(model is MBG)).sum())

    below, here, above = (value(by) for by in (-1e-3, 0.0, 1e-3))
    assert abs(coefficient) > 0.1
    assert found.log_likelihood == pytest.approx(here, abs=1e-6)
    step = 1e-3 * (above - below) / 2 / (2 * here - above - below)
    assert abs(step) < 1e-3 * found.standard_errors["purchase[z]"]


# ----------------------------------------------------------------------------------- where the data say nothing, or little


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_no_repeat_buyers_are_a_status_and_no_parameters(model: Model) -> None:
    with pytest.warns(om.OpsmetricsWarning, match="no customer has a repeat purchase, so the data say nothing of rates"):
        found = model.spec().fit(rows([0, 0, 0], [0, 0, 0], [5, 6, 7]))
    assert (found.params, found.covariance, found.standard_errors, found.converged) == ({}, {}, {}, False)
    assert found.reason == "no customer has a repeat purchase"
    assert found.log_likelihood == -math.inf
    assert found.summary.empty
    assert "no customer has a repeat purchase" in str(found)
    assert "no customer has a repeat purchase" in found._repr_html_()
    again = model.fit.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.to_dict() == found.to_dict()
    for ask in (lambda: found.p_alive(rows([0], [0], [5])), lambda: found.expected_purchases(5), lambda: found.purchase_probability(0, 5)):
        with pytest.raises(om.FitError, match="has no parameters: no customer has a repeat purchase") as caught:
            ask()
        assert caught.value.code == "fit.parameters"


def test_no_repeat_amounts_are_a_status_and_no_parameters() -> None:
    with pytest.warns(om.OpsmetricsWarning, match="no customer has repeat purchases of more than 0"):
        found = om.GammaGamma().fit({"frequency": [0, 2], "monetary_value": [0.0, -3.0]})
    assert (found.params, found.converged, found.left_out, found.customers) == ({}, False, 1, 0)
    assert om.GammaGammaFit.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))).to_dict() == found.to_dict()
    with pytest.raises(om.FitError, match="no customer has a repeat purchase of more than 0") as caught:
        found.expected_amount()
    assert caught.value.code == "fit.parameters"


def test_a_fit_to_no_amounts_can_be_shown() -> None:
    found = quiet(om.GammaGamma().fit, {"frequency": [0, 0], "monetary_value": [0.0, 0.0]})
    assert "no customer has a repeat purchase of more than 0" in str(found)
    assert "no customer has a repeat purchase of more than 0" in found._repr_html_()
    assert found.bic == math.inf


def test_new_customers_alone_say_nothing() -> None:
    with pytest.warns(om.OpsmetricsWarning, match="all histories have no length"):
        found = om.BetaGeo().fit(rows([1, 2], [0, 0], [0, 0]))
    assert found.params == {}


TWO_MODES = rows(
    [*[0] * 9, 2, 2, 3, 5, 6, 8],
    [*[0] * 9, 23, 42, 211, 178, 18, 65],
    [60, 173, 175, 194, 303, 320, 353, 373, 397, 129, 255, 291, 188, 145, 376],
)
"""Fifteen customers of whom six returned: the likelihood of MBG/NBD has two hills, and the nearer one is the lower."""


def test_weakly_identified_parameters_are_flagged_and_tried_from_other_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(om.OpsmetricsWarning, match=r"MBG/NBD: the data hardly tell a, b \(the standard error of the logarithm, or of a"):
        found = om.ModifiedBetaGeo().fit(TWO_MODES)
    assert found.converged
    assert "customers differ too little, or are too few" in found.warnings[0]
    logs = {name: error / found.params[name] for name, error in found.standard_errors.items()}
    assert {name for name, error in logs.items() if error > 2} == {"a", "b"}
    monkeypatch.setattr(estimation, "DOUBTFUL", math.inf)
    once = om.ModifiedBetaGeo().fit(TWO_MODES)
    assert once.log_likelihood < found.log_likelihood - 1
    assert once.evaluations < found.evaluations


FEW_WHO_DIFFER = rows(
    [0, 4, 0, 0, 0, 3, 58, 9, 0, 0, 1, 0, 13, 0, 24, 0],
    [0, 61, 0, 0, 0, 103, 263, 120, 0, 0, 1, 0, 196, 0, 213, 0],
    [260, 269, 237, 39, 44, 119, 267, 287, 174, 242, 119, 251, 251, 50, 290, 123],
)
FEW_WHO_DIFFER_MORE = rows(
    [5, 10, 2, 0, 2, 1, 1, 5, 1, 0, 0, 1, 9, 1, 1, 3],
    [14, 238, 42, 0, 104, 12, 19, 241, 74, 0, 0, 25, 78, 14, 129, 21],
    [199, 272, 239, 91, 111, 266, 31, 252, 245, 156, 112, 105, 99, 150, 166, 179],
)


@pytest.mark.parametrize(
    ("people", "model", "low", "high"),
    [pytest.param(FEW_WHO_DIFFER, PARETO, 2.0, 3.0, id="weak"), pytest.param(FEW_WHO_DIFFER_MORE, BG, 1.5, 2.0, id="not")],
)
def test_parameters_are_called_weak_from_two_standard_errors_of_a_log_on(people: Any, model: Model, low: float, high: float) -> None:
    found = quiet(fit, model, people)
    assert found.converged
    logs = {name: error / found.params[name] for name, error in found.standard_errors.items()}
    assert low < max(logs.values()) < high
    weak = ", ".join(name for name, error in logs.items() if error > 2)
    assert [f"the data hardly tell {weak} (" in line for line in found.warnings] == [True] * (high > 2)


def test_a_search_that_ends_nowhere_begins_again_elsewhere() -> None:
    """Two hills of one curvature, so that no error is in doubt: the near one has its summit beyond the boundary, the far one is higher."""

    def total_at(theta: Any) -> Total:
        off, low = min((theta[0] - 25.0, 5.0), (theta[0] + 2.0, 0.0), key=lambda hill: hill[0] ** 2 / 2 + hill[1])
        return Total(-(off**2) / 2 - low, np.array([-off]), np.array([[-1.0]]))

    surface, near, far = estimation.Surface(total_at, 1.0), [np.array([15.0])], [np.array([0.5])]
    stuck = estimation.estimate([surface], near, [], ["a"], 1, 0.0, 1)
    assert (stuck.converged, stuck.reason) == (False, "at a boundary")
    assert stuck.covariance[0, 0] < estimation.DOUBTFUL
    found = estimation.estimate([surface], near, far, ["a"], 1, 0.0, 1)
    assert found.converged
    assert found.theta == pytest.approx([-2.0], abs=1e-4)
    assert found.log_likelihood == pytest.approx(0.0, abs=1e-8)


TWO_HILLS = [77, 108, 129, 246, 298, 462, 961]


@pytest.mark.parametrize("seed", TWO_HILLS)
def test_the_higher_of_two_hills_is_found(seed: int) -> None:
    """One-time buyers may be gone at once, or come back some day: of one shop in a hundred MBG/NBD has two sharp hills."""
    rng = np.random.default_rng(seed)
    T = rng.integers(50, 400, 200).astype(float)
    walked = reference.simulate("pareto_nbd", np.exp(rng.uniform([-2, 1, -1, 1], [1, 5, 1, 5])), 200, T, 0, rng)
    recency = np.ceil(walked.t_x)
    found = quiet(om.ModifiedBetaGeo().fit, {"frequency": walked.x, "recency": recency, "T": T})
    own = Histories.of(walked.x, recency, T).scaled(T.mean())
    ends = []
    for r, a, b in itertools.product((0.1, 0.5, 2.0), (0.3, 1.0), (0.3, 2.5)):
        start = np.log([r, r / own.x.sum() * own.T.sum(), a, b])
        ends.append(newton.maximise(partial(FAMILIES["mbg_nbd"].likelihood, histories=own), start, 200.0).total.value)
    assert np.ptp(ends) > 0.1
    assert found.log_likelihood >= max(ends) - own.x.sum() * np.log(T.mean()) - 1e-6


@pytest.mark.parametrize("seed", [69, 457, 826])
def test_a_broad_summit_is_not_taken_for_the_highest(seed: int) -> None:
    """Where all drop out with one chance, a and b have no end, and the likelihood of a handful of customers may be higher there."""
    rng = np.random.default_rng(90_000 + seed)
    size = int(rng.choice([15, 20, 50, 200, 1_000]))
    T = rng.integers(50, 400, size).astype(float)
    model = ("bg_nbd", "mbg_nbd", "pareto_nbd")[seed % 3]
    spread = [[-2, 1, -1, 1], [1, 5, 1, 5]] if model == "pareto_nbd" else [[-2, 1, -1, -1], [1, 5, 1, 2]]
    walked = reference.simulate(model, np.exp([rng.uniform(low, high) for low, high in zip(*spread, strict=True)]), size, T, 0, rng)
    x, t_x = walked.x, np.minimum(np.ceil(walked.t_x), T)
    found = quiet(om.ModifiedBetaGeo().fit, rows(x, t_x, T))

    def short(theta: Any) -> float:
        r, alpha = np.exp(theta[:2])
        chance = expit(theta[2])
        return -float(BetaGeo(r, alpha, 1e7 * chance, 1e7 * (1 - chance), 1).log_likelihood(x, t_x, T).sum())

    constant = min(minimize(short, [math.log(0.5), math.log(20), start], method="Nelder-Mead").fun for start in (-3.0, 0.0))
    assert found.log_likelihood > -constant - 1e-3


@pytest.mark.parametrize("seed", [16, 173])
def test_no_hill_is_left_because_it_looks_low_from_afar(seed: int) -> None:
    """What a surface promises far from its summit is no bound; `lifetimes` finds these."""
    rng = np.random.default_rng(seed)
    T, rate = rng.uniform(20, 50, 200), rng.gamma(0.25, 4, 200)
    until = np.minimum(T, rng.exponential(1 / rng.gamma(0.3, 1 / 20, 200).clip(1e-9)))
    x = rng.poisson(rate * until)
    recency = np.where(x > 0, until * rng.random(200) ** (1 / np.maximum(x, 1)), 0)
    found = quiet(om.ModifiedBetaGeo().fit, {"frequency": x, "recency": recency, "T": T})
    theirs = peers.fitted("ModifiedBetaGeoFitter", [x, recency, T])
    assert found.log_likelihood > quiet(om.ModifiedBetaGeoFit.from_lifetimes, theirs).log_likelihood - 1e-6


def test_a_boundary_is_told() -> None:
    """Nobody ever left, so the rate at which they do is at its end."""
    rng = np.random.default_rng(5)
    x = rng.poisson(5.0, 60)
    everyone = rows(x, np.where(x > 0, 100.0, 0.0), np.full(60, 100.0))
    for model in CONTINUOUS:
        with pytest.warns(om.OpsmetricsWarning, match=r"hardly tell|not at a maximum"):
            found = model.spec().fit(everyone)
        assert found.warnings
        later = predicted(quiet(found.expected_purchases, 10.0, everyone))
        assert later.sum() == pytest.approx(x.sum() / 10, rel=0.05)
        assert all(line in str(found).replace("\n  ", " ") for line in found.warnings)


@pytest.mark.parametrize(
    ("model", "people"),
    [
        (BG, rows([1, 1, 1], [10, 10, 10], [10, 10, 10])), (MBG, rows([1, 1], [5, 5], [9, 9])),
        (PARETO, rows([1, 1], [5, 5], [9, 9])),
    ],
    ids=["bg_nbd", "mbg_nbd", "pareto_nbd"],
)  # fmt: skip
def test_parameters_that_run_away_end_at_a_boundary(model: Model, people: Any) -> None:
    """Customers with one history: the more alike they are said to be, the likelier they are, without end."""
    found = quiet(fit, model, people)
    assert found.warnings[0].startswith("the search for the parameters ended at a boundary, not at a maximum")
    assert (found.converged, found.reason) == (False, "at a boundary")
    assert "not converged: at a boundary" in str(found)
    assert found.params["r"] > 1e7
    less = at(model, dict(found.params) | {"r": found.params["r"] / 1e6, "alpha": found.params["alpha"] / 1e6}, unit="day")
    x, t_x, T = (np.array(values) for values in people.values())
    there, before = (float(law_of(own).log_likelihood(x, t_x, T).sum()) for own in (found, less))
    assert there > before


def test_a_search_that_finds_no_maximum_says_so() -> None:
    """One customer with the same history sixty times: any homogeneous rate will do."""
    with pytest.warns(om.OpsmetricsWarning):
        found = om.BetaGeo().fit({**rows([3], [40], [100]), "people": [60]}, weights="people")
    assert found.warnings
    if not found.converged:
        assert found.reason in found.warnings[0]
        assert "not converged" in str(found)


def test_a_mean_that_does_not_exist_is_told() -> None:
    """With q of 1 or less the amounts of customers have no mean; of a new one it is infinite, never negative."""
    people = amounts(3_000, 3, p=3.0, q=0.8, v=10.0)
    with pytest.warns(om.OpsmetricsWarning, match=r"Gamma-Gamma: q = 0\.\d+ is 1 or less, so the amounts of customers have no mean"):
        found = om.GammaGamma().fit(people)
    assert found.params["q"] < 1
    assert quiet(found.expected_amount) == math.inf
    table = quiet(found.expected_amount, people).table
    assert (table["expected_amount"] > 0).all()
    assert np.isfinite(table["expected_amount"][people["frequency"] > 0]).all()
    assert np.isinf(table["expected_amount"][people["frequency"] == 0]).all()


@pytest.mark.parametrize(("sign", "word"), [(1, "understated"), (-1, "overstated")])
def test_amounts_that_go_with_the_frequency_are_told(sign: int, word: str) -> None:
    rng = np.random.default_rng(4)
    x = rng.integers(1, 9, 800)
    mean, _ = gamma_gamma(rng, x, p=2.0, q=6.0, v=40.0)
    people = pd.DataFrame({"frequency": x, "monetary_value": mean * np.where(sign * (x - 4.5) > 0, 2, 1)})
    with pytest.warns(om.OpsmetricsWarning, match=rf"frequency and amount go together \(correlation [+-]0\.\d\d\).* {word}"):
        found = om.GammaGamma().fit(people)
    assert found.correlation == pytest.approx(np.corrcoef(people["frequency"], people["monetary_value"])[0, 1])
    assert f"correlation {round(found.correlation, 3):g}" in str(found)


def test_the_correlation_is_reported_where_it_is_small() -> None:
    people = amounts(800, 4)
    found, known = om.GammaGamma().fit(people), people[people["frequency"] > 0]
    assert found.correlation == pytest.approx(np.corrcoef(known["frequency"], known["monetary_value"])[0, 1])
    assert abs(found.correlation) < 0.3
    assert found.warnings == ()


def test_amounts_that_cannot_be_are_left_out_and_counted() -> None:
    people = amounts(800, 4)
    returned = pd.concat([people, pd.DataFrame({"frequency": [1, 2, 3], "monetary_value": [0.0, -5.0, -1e6]})])
    found = om.GammaGamma().fit(returned)
    assert found.left_out == 3
    assert found.params == om.GammaGamma().fit(people).params
    table = found.expected_amount(returned).table
    assert table["expected_amount"].tail(3).tolist() == [found.expected_amount()] * 3
    assert "left_out 3" in str(found)


# ---------------------------------------------------------------------------------------------------------- covariates


def moved(model: Model, customers: int, seed: int, purchase: float, dropout: float) -> pd.DataFrame:
    """Two groups: in the second alpha exp(-purchase), and beta exp(-dropout) or a exp(dropout)."""
    base = model.params
    own = {"alpha": base["alpha"] * math.exp(-purchase)}
    own |= {"beta": base["beta"] * math.exp(-dropout)} if model is PARETO else {"a": base["a"] * math.exp(dropout)}
    groups = [simulated(model, customers, seed).assign(z=0), simulated(model, customers, seed + 1, **own).assign(z=1)]
    return pd.concat(groups, ignore_index=True)


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_covariates_find_what_was_put_in(model: Model) -> None:
    people = moved(model, 4_000, 7, 0.5, 0.7)
    found = fit(model, people, purchase_covariates=["z"], dropout_covariates=["z"])
    assert list(found.params) == [*model.params, "purchase[z]", "dropout[z]"]
    for name, true in (model.params | {"purchase[z]": 0.5, "dropout[z]": 0.7}).items():
        assert abs(found.params[name] - true) < 4 * found.standard_errors[name], name
    assert found.log_likelihood > fit(model, people).log_likelihood + 10
    table = found.summary.set_index("parameter")
    for name in ("purchase[z]", "dropout[z]"):
        assert table.loc[name, "high"] - table.loc[name, "low"] == pytest.approx(2 * 1.959964 * found.standard_errors[name], rel=1e-6)


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_a_covariate_moves_the_parameters_of_its_customers(model: Model) -> None:
    """The likelihood is that of the two groups with parameters of their own; predictions are too."""
    people = moved(model, 300, 7, 0.5, 0.7)
    found = fit(model, people, purchase_covariates=["z"], dropout_covariates=["z"])
    base = {name: found.params[name] for name in model.params}
    own = base | {"alpha": base["alpha"] * math.exp(-found.params["purchase[z]"])}
    if model is PARETO:
        own["beta"] = base["beta"] * math.exp(-found.params["dropout[z]"])
    else:
        own["a"] = base["a"] * math.exp(found.params["dropout[z]"])  # so the mean chance to leave moves, b as it is
    total = 0.0
    for z, params in ((0, base), (1, own)):
        group = people[people["z"] == z]
        there = at(model, params, unit="day")
        if model is not PARETO or params["alpha"] < params["beta"]:
            total += textbook(model, group)(params)
        for ask in ("expected_purchases", "purchase_probability", "discounted_purchases", "p_alive"):
            arguments: dict[str, Any] = {"expected_purchases": {"t": 30}, "purchase_probability": {"x": 2, "t": 30}}.get(ask, {})
            arguments |= {"horizon": "300D"} if ask == "discounted_purchases" else {}
            with_z, without = (predicted(quiet(getattr(f, ask), summary=group, **arguments)) for f in (found, there))
            assert with_z == pytest.approx(without, rel=1e-9), ask
    assert found.log_likelihood == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
@pytest.mark.parametrize("part", ["purchase", "dropout"])
def test_covariates_in_other_units_and_order_are_the_same_model(model: Model, part: str) -> None:
    rng = np.random.default_rng(3)
    people = moved(model, 500, 7, 0.5, 0.7).assign(size=rng.normal(size=1_000))
    names = {f"{part}_covariates": ["z", "size"]}
    found = fit(model, people, **names)
    other = fit(model, people.assign(size=100 * people["size"] + 3), **{f"{part}_covariates": ["size", "z"]})
    assert other.log_likelihood == pytest.approx(found.log_likelihood, abs=1e-6)
    assert other.params[f"{part}[z]"] == pytest.approx(found.params[f"{part}[z]"], abs=1e-4)
    assert other.params[f"{part}[size]"] * 100 == pytest.approx(found.params[f"{part}[size]"], abs=1e-4)
    assert list(other.params)[4:] == [f"{part}[size]", f"{part}[z]"]
    assert found.params.keys() == {*model.params, f"{part}[z]", f"{part}[size]"}


SCALES = pytest.mark.parametrize(("middle", "spread"), [(1_980.0, 15.0), (50_000.0, 25_000.0)], ids=["years", "incomes"])


def plain_and_raw(model: Model, middle: float, spread: float) -> tuple[Any, Any]:
    """Fits with a covariate around 0, and with the same one in another unit from another zero."""
    people = simulated(model, 600, 1).assign(z=np.random.default_rng(3).normal(size=600))
    raw = people.assign(z=middle + spread * people["z"])
    return fit(model, people, purchase_covariates=["z"]), quiet(fit, model, raw, purchase_covariates=["z"])


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
@SCALES
def test_estimates_with_covariates_need_no_scaling(model: Model, middle: float, spread: float) -> None:
    plain, raw = plain_and_raw(model, middle, spread)
    assert raw.converged
    assert raw.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    assert raw.params["purchase[z]"] * spread == pytest.approx(plain.params["purchase[z]"], abs=1e-4)


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
@SCALES
def test_standard_errors_with_covariates_need_no_scaling(model: Model, middle: float, spread: float) -> None:
    plain, raw = plain_and_raw(model, middle, spread)
    assert raw.standard_errors["purchase[z]"] * spread == pytest.approx(plain.standard_errors["purchase[z]"], rel=1e-3)


def test_fits_with_covariates_travel() -> None:
    people = moved(PARETO, 300, 7, 0.5, 0.7)
    found = fit(PARETO, people, purchase_covariates=["z"], dropout_covariates=["z"])
    again = om.ParetoNBDFit.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again == found
    assert predicted(again.expected_purchases(9, people)) == pytest.approx(predicted(found.expected_purchases(9, people)), rel=0)
    row = {**rows([0, 0], [0, 0], [0, 0]), "z": [0, 1]}
    newcomers = predicted(found.expected_purchases(30, row))
    assert newcomers[1] / newcomers[0] == pytest.approx(math.exp(found.params["purchase[z]"]), rel=0.2)


# --------------------------------------------------------------------------------------------------------- predictions

PEOPLE = rows([0, 0, 1, 2, 3, 12, 40], [0, 0, 4.0, 30.0, 1.0, 55.0, 10.0], [0, 60, 60, 31.0, 80, 57.0, 90.0])
DONORS = rows([0, 0, 1, 2, 3, 5], [0, 0, 4, 3, 3, 6], [0, 6, 6, 5, 3, 6])


def some(model: Model) -> dict[str, Any]:
    return DONORS if model is BB else PEOPLE


def uncertain(model: Model) -> Any:
    """A fit with parameters and a covariance of a usual size."""
    names = list(model.params)
    size = np.array(list(model.params.values()))
    matrix = (0.02 * np.eye(4) + 0.01) * np.outer(size, size)
    return at(model, covariance={a: dict(zip(names, row, strict=True)) for a, row in zip(names, matrix.tolist(), strict=True)})


ASKED: dict[str, Callable[..., Any]] = {
    "p_alive": lambda fit, people, **c: quiet(fit.p_alive, people, **c),
    "expected_purchases": lambda fit, people, **c: fit.expected_purchases(6, people, **c),
    "discounted_purchases": lambda fit, people, **c: fit.discounted_purchases(people, horizon="70D", discount_rate=3, **c),
}


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_intervals_are_those_of_the_delta_method(model: Model, name: str) -> None:
    """The slopes by differences of the prediction itself; the interval on the scale of the logarithm, or of the log odds."""
    fit, people = uncertain(model), some(model)
    value = predicted(ASKED[name](fit, people))
    step = 1e-4

    def shifted(parameter: str, by: float) -> Any:
        return predicted(ASKED[name](at(model, {**fit.params, parameter: fit.params[parameter] * math.exp(by)}), people))

    scale: Callable[[Any], Any] = (lambda v: logit(np.clip(v, 1e-300, 1 - 1e-16))) if name == "p_alive" else np.log
    slopes = np.array([(scale(shifted(p, step)) - scale(shifted(p, -step))) / (2 * step) for p in fit.params])
    spread = np.sqrt(np.einsum("ik,ij,jk->k", slopes, 0.02 * np.eye(4) + 0.01, slopes))
    table = ASKED[name](fit, people, confidence=0.8).table
    half = ndtri(0.9) * spread
    back: Callable[[Any], Any] = expit if name == "p_alive" else np.exp
    sure = value >= 1 - 1e-12 if name == "p_alive" else np.zeros(len(value), dtype=bool)
    for end, sign in (("low", -1), ("high", 1)):
        expected = np.where(sure, value, back(scale(value) + sign * half))
        assert table[f"{name}_{end}"].to_numpy() == pytest.approx(expected, rel=1e-5), end
    assert table[name].to_numpy() == pytest.approx(value, rel=0)


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
def test_intervals_know_that_coefficients_are_uncertain(model: Model, name: str) -> None:
    """The same by differences, with two covariates of the purchases and one of the dropout; coefficients move on their own scale."""
    names = {"purchase_covariates": ["z", "y"], "dropout_covariates": ["z"]}
    params = dict(model.params) | {"purchase[z]": 0.4, "purchase[y]": -0.2, "dropout[z]": 0.3}
    root = np.random.default_rng(8).normal(size=(7, 7)) * 0.1
    matrix = root @ root.T
    size = np.array([1.0 if "[" in parameter else value for parameter, value in params.items()])
    covariance = pd.DataFrame(matrix * np.outer(size, size), list(params), list(params)).to_dict("index")
    people = rows([1, 2, 3, 12], [4.0, 30.0, 1.0, 55.0], [60, 31.0, 80, 57.0]) | {"z": [0.0, 1.0, 2.0, -1.0], "y": [1.0, 0.0, -1.0, 0.5]}

    def shifted(parameter: str, by: float) -> Any:
        moved = params[parameter] + by if "[" in parameter else params[parameter] * math.exp(by)
        return scale(predicted(ASKED[name](at(model, params | {parameter: moved}, **names), people)))

    scale: Callable[[Any], Any] = logit if name == "p_alive" else np.log
    slopes = np.array([(shifted(parameter, 1e-4) - shifted(parameter, -1e-4)) / 2e-4 for parameter in params])
    half = ndtri(0.9) * np.sqrt(np.einsum("ik,ij,jk->k", slopes, matrix, slopes))
    table = ASKED[name](at(model, params, covariance=covariance, **names), people, confidence=0.8).table
    back: Callable[[Any], Any] = expit if name == "p_alive" else np.exp
    middle = scale(table[name].to_numpy())
    assert table[f"{name}_low"].to_numpy() == pytest.approx(back(middle - half), rel=1e-5)
    assert table[f"{name}_high"].to_numpy() == pytest.approx(back(middle + half), rel=1e-5)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_chances_sum_to_one_and_to_the_expectation(model: Model) -> None:
    fit, people = at(model), some(model)
    table = np.array([predicted(fit.purchase_probability(x, 6, people)) for x in range(7 if model is BB else 120)])
    assert (table >= 0).all()
    assert table.sum(axis=0) == pytest.approx(np.ones(table.shape[1]), abs=1e-9)
    assert np.arange(len(table)) @ table == pytest.approx(predicted(fit.expected_purchases(6, people)), rel=1e-7)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_a_new_customer_is_one_of_age_zero(model: Model) -> None:
    fit, new = at(model), rows([0], [0], [0])
    for x in range(3):
        assert fit.purchase_probability(x, 5) == pytest.approx(predicted(fit.purchase_probability(x, 5, new))[0], rel=1e-12)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_a_new_customer_expects_what_one_of_age_zero_does(model: Model) -> None:
    fit, new = at(model), rows([0], [0], [0])
    assert fit.expected_purchases(5) == pytest.approx(predicted(fit.expected_purchases(5, new))[0], rel=1e-12)
    assert fit.expected_purchases(5) == pytest.approx(
        sum(x * fit.purchase_probability(x, 5) for x in range(100 if model is not BB else 6)), rel=1e-9
    )


@pytest.mark.parametrize("model", CONTINUOUS, ids=str)
@pytest.mark.parametrize("unit", ["day", "week", "year"])
def test_discounting_weighs_each_purchase_by_its_time(model: Model, unit: str) -> None:
    """Integral of exp(-delta t) dE(t) = exp(-delta t) E(t) + delta times the integral of exp(-delta t) E(t), at a rate per year."""
    fit, people, horizon = at(model, unit=unit), rows([3], [30.0], [35.0]), 400
    span, delta = horizon / DAYS[unit], 0.25 * DAYS[unit] / 365.2425

    def expected(t: float) -> float:
        return float(predicted(fit.expected_purchases(t, people))[0])

    area, _ = quad(lambda t: math.exp(-delta * t) * expected(t), 0, span, epsrel=1e-9)
    found = predicted(fit.discounted_purchases(people, horizon=horizon, discount_rate=0.25))[0]
    assert found == pytest.approx(math.exp(-delta * span) * expected(span) + delta * area, rel=1e-7)


def test_discounting_by_periods() -> None:
    """BG/BB: at the end of each period, exp(-delta k)."""
    fit = at(BB, unit="year")
    cumulated = np.array([predicted(fit.expected_purchases(t, DONORS)) for t in range(11)])
    expected = np.exp(-0.2 * np.arange(1, 11)) @ np.diff(cumulated, axis=0)
    assert predicted(fit.discounted_purchases(DONORS, horizon=3652, discount_rate=0.2)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_a_rate_of_zero_counts_every_purchase(model: Model) -> None:
    fit, people = at(model, unit="year"), some(model)
    days = {"horizon": "1461D"}  # four years of 365.2425 days, and a half hour
    found = predicted(fit.discounted_purchases(people, **days, discount_rate=0))
    span = 4 if model is BB else 1461 / 365.2425
    assert found == pytest.approx(predicted(fit.expected_purchases(span, people)), rel=1e-9)
    rates = [predicted(fit.discounted_purchases(people, **days, discount_rate=rate)) for rate in (0, 0.05, 0.5, 5)]
    for low, high in zip(rates[1:], rates, strict=False):
        assert (low < high).all()


@pytest.mark.parametrize("model", [PARETO, BB], ids=str)
def test_for_ever_is_the_limit_of_long_horizons(model: Model) -> None:
    fit, people = at(model, unit="year"), some(model)
    ever = predicted(fit.discounted_purchases(people, discount_rate=0.3))
    assert ever == pytest.approx(predicted(fit.discounted_purchases(people, horizon=365 * 100, discount_rate=0.3)), rel=1e-9)
    assert (predicted(fit.discounted_purchases(people, horizon=365 * 3, discount_rate=0.3)) < ever).all()


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_expectations_grow_with_the_horizon_and_begin_at_zero(model: Model) -> None:
    fit, people = at(model), some(model)
    found = [predicted(fit.expected_purchases(t, people)) for t in (0, 1, 6, 12)]
    assert (found[0] == 0).all()
    assert all((later > sooner).all() for sooner, later in itertools.pairwise(found))
    assert (predicted(fit.purchase_probability(0, 0, people)) == 1).all()


def test_one_time_buyers_of_bg_nbd_are_said_to_be_alive() -> None:
    with pytest.warns(om.OpsmetricsWarning, match=r"the 2 who bought once have P\(alive\) = 1, however long ago that was") as told:
        found = at(BG).p_alive(PEOPLE)
    assert "ModifiedBetaGeo, ParetoNBD" in str(told[0].message)
    assert predicted(found)[:2].tolist() == [1, 1]
    for model in (MBG, PARETO):  # none of these warns
        assert predicted(at(model).p_alive(PEOPLE))[1] < 1
    assert (predicted(at(BG).p_alive(rows([1], [3], [9]))) < 1).all()


# ------------------------------------------------------------------------------------------------------ doors and units


def test_predictions_are_frames_of_the_kind_that_was_handed_in(kind: Kind) -> None:
    orders = om.make_orders(300, rng=2)
    summary = om.clv_summary(kind.make(orders), customer="customer", time="time", amount="amount")
    fit, spend = om.ModifiedBetaGeo().fit(summary), om.GammaGamma().fit(summary)
    for found in (
        fit.p_alive(summary),
        fit.expected_purchases(30, summary, confidence=0.9),
        fit.purchase_probability(0, 30, summary),
        fit.discounted_purchases(summary, horizon="90D"),
        spend.expected_amount(summary, confidence=0.9),
    ):
        assert isinstance(found, om.Predictions)
        assert isinstance(found.table, kind.result)
        assert found.customer == "customer"
        assert "customer" in str(found)
        json.dumps(found.to_dict(), allow_nan=False)
    assert (fit.unit, fit.customers) == ("day", 300)
    assert isinstance(fit.expected_purchases(30), float)
    assert isinstance(fit.purchase_probability(0, 30), float)
    assert isinstance(spend.expected_amount(), float)


def test_arrays_come_back_as_a_table_of_pandas() -> None:
    found = at(PARETO).expected_purchases(4, {name: tuple(values) for name, values in PEOPLE.items()}, confidence=0.5)
    assert found.table.columns.tolist() == [
        "frequency",
        "recency",
        "T",
        "expected_purchases",
        "expected_purchases_low",
        "expected_purchases_high",
    ]
    assert found.table["frequency"].tolist() == PEOPLE["frequency"]
    assert (found.unit, found.customer) == ("week", None)
    assert found.params == {"model": "Pareto/NBD", "unit": "week", "t": 4, "confidence": 0.5}


@pytest.mark.parametrize("unit", DAYS)
def test_a_summary_knows_its_unit(unit: Any) -> None:
    summary = om.clv_summary(om.make_orders(400, rng=2), customer="customer", time="time", unit=unit)
    if summary.table["frequency"].sum() == 0:
        assert unit == "year"
        return
    found = quiet(om.ModifiedBetaGeo().fit, summary)
    assert found.unit == unit
    assert quiet(om.ModifiedBetaGeo().fit, summary, unit=unit) == found
    plain = quiet(om.ModifiedBetaGeo().fit, summary.table)
    assert plain.unit == "day"  # a frame does not know
    assert plain.params == found.params


def test_a_horizon_in_days_is_read_in_the_unit_of_the_fit() -> None:
    for unit, days in DAYS.items():
        fit = at(PARETO, unit=unit)
        found = predicted(fit.discounted_purchases(PEOPLE, horizon=200, discount_rate=0))
        assert found == pytest.approx(predicted(fit.expected_purchases(200 / days, PEOPLE)), rel=1e-12)


def test_the_parts_of_the_summary_are_counts_or_any_numbers() -> None:
    """Real shops have whole days, simulations fractions; weights may be fractions too."""
    people = simulated(PARETO, 200, 2)
    halves = pd.concat([people.assign(w=0.25), people.assign(w=0.75)])
    one, two = om.ParetoNBD().fit(people), om.ParetoNBD().fit(halves, weights="w")
    assert two.params == pytest.approx(one.params, rel=1e-9)
    assert two.customers == pytest.approx(200)


def test_money_of_new_customers_is_the_mean_of_all() -> None:
    found = spending(6.25, 3.74, 15.44)
    assert found.expected_amount() == pytest.approx(6.25 * 15.44 / 2.74)
    table = found.expected_amount({"frequency": [0, 1, 5, 500], "monetary_value": [0.0, 99.0, 99.0, 99.0]}).table
    assert table["expected_amount"].is_monotonic_increasing  # drawn from the mean of all to one's own
    assert table["expected_amount"].iloc[-1] == pytest.approx(99, rel=1e-2)
