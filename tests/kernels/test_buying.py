"""BG/NBD, MBG/NBD, Pareto/NBD, Gamma-Gamma: against slow integrals of their definitions, against customers walked at random, and laws."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp

from opsmetrics._kernels import beta_geo, gamma_gamma, newton, pareto_nbd
from opsmetrics._kernels.histories import Histories, Total
from tests.lifetime_value import reference

BG, MBG, PARETO = "bg_nbd", "mbg_nbd", "pareto_nbd"
MODELS = [BG, MBG, PARETO]

DIGITS = 21
"""Of which parameters in the millions take eight; five more than the comparisons need."""


def kernel(model, params):
    return pareto_nbd.ParetoNBD(*params) if model == PARETO else beta_geo.BetaGeo(*params, first=int(model == MBG))


def slow(model, params):
    return reference.ParetoNBD(*params) if model == PARETO else reference.BetaGeo(*params, first=int(model == MBG))


def total(model, theta, histories):
    return pareto_nbd.likelihood(theta, histories) if model == PARETO else beta_geo.likelihood(theta, histories, int(model == MBG))


# ------------------------------------------------------------------------------------------------- slow integrals as witness


@dataclass(frozen=True)
class Case:
    """Parameters, histories (x, t_x, T), and so much time ahead at some rate of discounting."""

    name: str
    models: tuple[str, ...]
    params: tuple[float, ...]
    histories: tuple[tuple[int, float, float], ...]
    t: float
    delta: float

    def __str__(self):
        return self.name


WEEK = 604_800.0

CASES = [
    Case("usual", (BG, MBG), (0.243, 4.414, 0.793, 2.426), ((0, 0.0, 38.86), (2, 30.43, 38.86), (26, 30.86, 31.0)), 39.0, 0.002),
    Case("usual", (PARETO,), (0.55, 10.58, 0.61, 11.67), ((0, 0.0, 38.86), (2, 30.43, 38.86), (26, 30.86, 31.0)), 39.0, 0.002),
    Case("long ahead", (BG, MBG), (0.525, 6.183, 0.891, 1.614), ((1, 5.0, 30.0), (7, 25.0, 30.0)), 150.0, 0.01),
    Case("long ahead", (PARETO,), (0.55, 10.58, 0.61, 11.67), ((1, 5.0, 30.0), (7, 25.0, 30.0)), 3000.0, 0.001),
    Case("no time yet", (MBG,), (0.7, 3.0, 1.2, 2.0), ((0, 0.0, 0.0), (1, 1e-3, 1e-3)), 10.0, 0.1),
    Case("no time yet", (PARETO,), (0.7, 3.0, 1.2, 2.0), ((0, 0.0, 0.0), (1, 1e-3, 1e-3)), 10.0, 0.1),
    Case("hundreds", (BG,), (0.8, 2.0, 0.7, 9.0), ((130, 60.0, 61.0), (600, 90.0, 100.0)), 20.0, 0.02),
    Case("hundreds", (MBG,), (0.8, 2.0, 0.7, 9.0), ((130, 60.0, 90.0), (600, 99.5, 100.0)), 20.0, 0.02),
    Case("hundreds", (PARETO,), (0.8, 2.0, 0.7, 9.0), ((130, 60.0, 61.0), (600, 90.0, 100.0), (600, 99.5, 100.0)), 20.0, 0.02),
    Case("thousands", (BG, MBG), (0.5, 0.1, 1.5, 20.0), ((6000, 700.0, 701.0), (3000, 10.0, 700.0)), 0.5, 0.2),
    Case("thousands", (PARETO,), (0.5, 0.1, 1.5, 20.0), ((6000, 700.0, 701.0), (3000, 10.0, 700.0), (5893, 71.4, 91.1)), 5.0, 0.2),
    Case("all drop out alike", (BG, MBG), (0.6, 5.0, 1e5, 4e5), ((0, 0.0, 9.0), (3, 20.0, 25.0)), 30.0, 0.01),
    Case("all drop out alike", (PARETO,), (0.6, 5.0, 1e6, 4e7), ((0, 0.0, 9.0), (3, 20.0, 25.0), (3, 20.0, 90.0)), 30.0, 0.01),
    Case("seconds", (BG,), (0.243, 4.414 * WEEK, 0.793, 2.426), ((0, 0.0, 2.3e7), (4, 1e7, 2.3e7)), 3e7, 1e-8),
    Case("seconds", (PARETO,), (0.55, 10.58 * WEEK, 0.61, 11.67 * WEEK), ((0, 0.0, 2.3e7), (4, 1e7, 2.3e7)), 3e7, 1e-8),
    Case("all buy alike", (MBG,), (1e6, 5e6, 0.8, 2.5), ((5, 22.0, 25.0), (5, 7.0, 25.0)), 20.0, 0.01),
    Case("all buy alike", (PARETO,), (1e6, 5e6, 0.8, 20.0), ((5, 22.0, 25.0), (5, 7.0, 25.0)), 20.0, 0.01),
    Case("nobody is alike", (BG, MBG), (0.01, 3.0, 0.02, 0.03), ((0, 0.0, 20.0), (4, 17.0, 20.0)), 60.0, 0.05),
    Case("nobody is alike", (PARETO,), (0.01, 3.0, 0.02, 0.03), ((0, 0.0, 20.0), (4, 17.0, 20.0)), 60.0, 0.05),
    Case("a is one", (BG,), (0.4, 4.0, 1.0, 2.0), ((0, 0.0, 30.0), (3, 20.0, 30.0)), 52.0, 0.01),
    Case("s is one", (PARETO,), (0.4, 4.0, 1.0, 9.0), ((0, 0.0, 30.0), (3, 20.0, 30.0)), 52.0, 0.01),
    Case("a and b below one", (BG, MBG), (0.4, 4.0, 0.3, 0.5), ((0, 0.0, 30.0), (1, 20.0, 30.0)), 52.0, 0.01),
    Case("hardly anybody buys", (BG,), (1e-4, 1e-3, 0.25, 0.11), ((0, 0.0, 0.0), (0, 0.0, 3.0), (0, 0.0, 30.0)), 90.0, 0.01),
    Case("last seen now", (BG,), (0.4, 4.0, 0.9, 2.5), ((1, 1.0, 1.0), (9, 50.0, 50.0)), 10.0, 0.01),
    Case("all is over early", (BG, MBG), (150.0, 15.0, 300.0, 60.0), ((0, 0.0, 0.0), (0, 0.0, 0.0), (2, 0.2, 0.3)), 365.0, 2.7e-4),
    Case("all at once", (BG,), (1.0, 1e-12, 2.0, 4.0), ((0, 0.0, 0.0),), 100.0, 0.01),
    Case("last seen now", (PARETO,), (0.4, 40.0, 0.9, 0.5), ((1, 1.0, 1.0), (9, 50.0, 50.0), (9, 50.0, 50.0 + 1e-9)), 10.0, 0.01),
]

PAIRS = [pytest.param(model, case, id=f"{model}-{case.name.replace(' ', '-')}") for case in CASES for model in case.models]


def arrays(case):
    x, t_x, T = zip(*case.histories, strict=True)
    return np.array(x), np.array(t_x), np.array(T)


def numbers(values):
    return np.array([float(value) for value in values])


@pytest.mark.parametrize(("model", "case"), PAIRS)
def test_histories_are_as_likely_as_their_definition_says(model, case):
    fast, exact = kernel(model, case.params), slow(model, case.params)
    with reference.digits(DIGITS):
        logs = numbers(exact.log_likelihood(*history) for history in case.histories)
        alive = numbers(exact.p_alive(*history) for history in case.histories)
    assert np.abs(fast.log_likelihood(*arrays(case)) - logs).max() <= 1e-8 * max(1.0, np.abs(logs).max())
    assert fast.p_alive(*arrays(case)) == pytest.approx(alive, rel=1e-8, abs=1e-200)


@pytest.mark.parametrize(("model", "case"), PAIRS)
def test_purchases_to_come_are_the_integrals_that_define_them(model, case):
    fast, exact = kernel(model, case.params), slow(model, case.params)
    x, _, T = arrays(case)
    with reference.digits(DIGITS):
        plain = numbers(exact.expected(own, age, case.t) for own, _, age in case.histories)
        kept = numbers(exact.discounted(own, age, case.t, case.delta) for own, _, age in case.histories[1:])
        ever = numbers(exact.discounted(own, age, mp.inf, case.delta) for own, _, age in case.histories if model == PARETO)
    assert fast.expected(x, T, case.t) == pytest.approx(plain, rel=1e-8)
    assert fast.discounted(x, T, case.t, case.delta)[1:] == pytest.approx(kept, rel=1e-8)
    if model == PARETO:
        assert fast.discounted(x, T, np.inf, case.delta) == pytest.approx(ever, rel=1e-8)


@pytest.mark.parametrize(("model", "case"), PAIRS)
def test_counts_to_come_are_the_integrals_that_define_them(model, case):
    """To eight digits of the likeliest count: what is next to impossible matters to nobody."""
    fast, exact = kernel(model, case.params), slow(model, case.params)
    x, _, T = arrays(case)
    some = sorted({0, 1, 2, 5, *(int(mean) for mean in fast.expected(x, T, case.t) if mean < 300)})
    walked = list(itertools.islice(fast.counts(x, T, case.t), some[-1] + 1))
    largest = np.max(walked, axis=0)
    with reference.digits(DIGITS):
        for n in some:
            wanted = numbers(exact.pmf(n, own, age, case.t) for own, _, age in case.histories)
            assert (np.abs(walked[n] - wanted) <= 1e-8 * largest).all(), n


@pytest.mark.parametrize("model", MODELS)
def test_one_of_the_witnesses_to_fifty_digits(model):
    """That fewer digits do."""
    exact = slow(model, (0.55, 10.58, 0.61, 11.67))
    found = {}
    for count in (DIGITS, reference.FULL):
        with reference.digits(count):
            found[count] = [exact.log_likelihood(2, 30.43, 38.86), exact.p_alive(2, 30.43, 38.86), exact.expected(2, 38.86, 39)]
    assert all(abs(a / b - 1) < mp.mpf(10) ** -16 for a, b in zip(found[DIGITS], found[reference.FULL], strict=True))


# ----------------------------------------------------------------------------------------------------- slopes of the likelihood

SLOPES = {
    BG: [
        ((0.243, 4.414, 0.793, 2.426), (2, 30.43, 38.86)),
        ((0.01, 3.0, 1e5, 4e5), (0, 0.0, 20.0)),
        ((0.8, 2.0, 0.7, 9.0), (600, 99.9, 100.0)),
    ],
    MBG: [((0.243, 4.414, 0.793, 2.426), (2, 30.43, 38.86)), ((0.5, 6.0, 0.9, 1.6), (0, 0.0, 20.0))],
    PARETO: [((0.55, 10.58, 0.61, 11.67), (2, 30.43, 38.86)), ((0.8, 2.0, 30.0, 900.0), (600, 99.5, 100.0))],
}


def differences(function, at, step):
    """First and second slopes by central differences, in as many digits as there are."""
    size = len(at)

    def moved(*steps):
        return function([value + step * sum(s for place, s in steps if place == i) for i, value in enumerate(at)])

    middle = function(at)
    up, down = ([moved((i, sign)) for i in range(size)] for sign in (1, -1))
    first = [(a - b) / (2 * step) for a, b in zip(up, down, strict=True)]
    second = np.empty((size, size))
    for i in range(size):
        second[i, i] = float((up[i] - 2 * middle + down[i]) / step**2)
        for j in range(i):
            cross = moved((i, 1), (j, 1)) - moved((i, 1), (j, -1)) - moved((i, -1), (j, 1)) + moved((i, -1), (j, -1))
            second[i, j] = second[j, i] = float(cross / (4 * step**2))
    return float(middle), numbers(first), second


@pytest.mark.parametrize("model", MODELS)
def test_gradient_and_hessian_are_those_of_the_definition(model):
    """With 50 digits and steps of 1e-7 central differences have 14."""
    for params, (x, t_x, T) in SLOPES[model]:
        history = Histories.of(np.array([x]), np.array([t_x]), np.array([T]))
        found = total(model, np.log(params), history)
        with reference.digits(reference.FULL):
            theta = [mp.log(value) for value in params]
            value, gradient, hessian = differences(
                lambda at: slow(model, [mp.exp(own) for own in at]).log_likelihood(x, t_x, T), theta, mp.mpf(10) ** -7  # noqa: B023
            )  # fmt: skip
        assert found.value == pytest.approx(value, rel=1e-8, abs=1e-8)
        assert found.gradient == pytest.approx(gradient, rel=1e-7, abs=1e-7)
        assert found.hessian == pytest.approx(hessian, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("covariates", [False, True], ids=["bare", "covariates"])
@pytest.mark.parametrize("model", MODELS)
def test_the_total_is_the_weighted_sum_and_its_slopes_are_its_own(model, covariates):
    rng = np.random.default_rng(3)
    walked = reference.simulate(model, (0.5, 5.0, 0.8, 3.0), 300, rng.uniform(5, 50, 300), 0, rng)
    purchase, dropout = (rng.normal(0, 0.5, (size, 300)) if covariates else None for size in (2, 1))
    histories = Histories(walked.x, walked.t_x, walked.T, rng.uniform(0.5, 3, 300), purchase, dropout)
    theta = np.log([0.6, 4.0, 0.7, 2.5])
    if covariates:
        theta = np.append(theta, [0.3, -0.2, 0.4])
    found = total(model, theta, histories)
    params = list(np.exp(theta[:4]))
    if covariates:
        params[1] = params[1] * np.exp(-theta[4:6] @ purchase)
        place, sign = (3, -1) if model == PARETO else (2, 1)
        params[place] = params[place] * np.exp(sign * theta[6:] @ dropout)
    one_by_one = kernel(model, params).log_likelihood(walked.x, walked.t_x, walked.T)
    assert found.value == pytest.approx(float(histories.weights @ one_by_one), rel=1e-9)
    step = 1e-4
    moved = [[total(model, theta + sign * step * unit, histories) for sign in (1, -1)] for unit in np.eye(len(theta))]
    assert found.gradient == pytest.approx(numbers((a.value - b.value) / (2 * step) for a, b in moved), rel=1e-5, abs=1e-3)
    assert found.hessian == pytest.approx(np.stack([(a.gradient - b.gradient) / (2 * step) for a, b in moved]), rel=1e-5, abs=1e-3)
    assert (found.hessian == found.hessian.T).all()


def slopes_by_differences(model, params, function):
    step = 1e-3
    found = []
    for i in range(4):
        ends = []
        for steps in (-2, -1, 1, 2):
            changed = list(params)
            changed[i] *= np.exp(steps * step)
            ends.append(function(kernel(model, changed)))
        found.append((ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * step))
    return np.stack(found)


@pytest.mark.parametrize("params", [(0.5, 5.0, 0.8, 3.0), (2.0, 9.0, 1.0, 0.4), (0.05, 0.2, 20.0, 90.0)], ids=["usual", "one", "alike"])
@pytest.mark.parametrize("model", MODELS)
def test_predictions_come_with_their_slopes(model, params):
    """Central differences of fourth order have ten digits; less where P(alive) is next to nothing."""
    x, t_x, T = np.array([0, 1, 4, 30]), np.array([0.0, 3.0, 35.0, 39.0]), np.array([40.0, 40.0, 40.0, 40.0])
    own = kernel(model, params)
    alive, slopes = own.p_alive_slopes(x, t_x, T)
    assert alive == pytest.approx(own.p_alive(x, t_x, T), rel=1e-12)
    assert slopes == pytest.approx(slopes_by_differences(model, params, lambda m: np.log(m.p_alive(x, t_x, T))), rel=1e-6, abs=1e-8)
    for t in (20.0, 400.0):
        value, slopes = own.expected_slopes(x, T, t)
        assert value == pytest.approx(own.expected(x, T, t), rel=1e-12)
        assert slopes == pytest.approx(slopes_by_differences(model, params, lambda m, t=t: m.expected(x, T, t)), rel=1e-6, abs=1e-8)
    for t in (10.0, *([np.inf] if model == PARETO else [])):
        value, slopes = own.discounted_slopes(x, T, t, 0.05)
        assert value == pytest.approx(own.discounted(x, T, t, 0.05), rel=1e-12)
        assert slopes == pytest.approx(slopes_by_differences(model, params, lambda m, t=t: m.discounted(x, T, t, 0.05)), rel=1e-6, abs=1e-8)


# ---------------------------------------------------------------------------------------------------------------------- laws

LOGS = st.floats(-2.5, 3.0)
PARAMS = st.tuples(LOGS, LOGS, LOGS, LOGS).map(lambda logs: tuple(float(np.exp(value)) for value in logs))
HISTORIES = st.lists(st.tuples(st.integers(0, 40), st.floats(0.01, 1), st.floats(0.1, 100)), min_size=1, max_size=3)


def drawn(histories):
    x, share, T = (np.array(column) for column in zip(*histories, strict=True))
    return x, np.where(x > 0, share * T, 0.0), T


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=8, deadline=None)
@given(params=PARAMS, histories=HISTORIES, ahead=st.floats(0.1, 3))
def test_counts_add_up_to_one_and_to_the_expectation(model, params, histories, ahead):
    x, _, T = drawn(histories)
    own = kernel(model, params)
    t = ahead * (params[1] + T) * np.minimum(1, 10 / (params[0] + x))  # so much that counts beyond 500 are next to impossible
    mean = own.expected(x, T, t)
    chances = np.array(list(itertools.islice(own.counts(x, T, t), 500)))
    assert (chances >= 0).all()
    assert chances.sum(axis=0) == pytest.approx(1, abs=1e-9)
    assert np.arange(500) @ chances == pytest.approx(mean, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("x", [1000, 5000])
@pytest.mark.parametrize("model", MODELS)
def test_counts_of_the_heaviest_buyers(model, x):
    """P(Y = 0) is below the smallest number there is, and counts run to thousands."""
    own = kernel(model, (0.5, 5.0, 0.8, 9.0))
    chances = np.array(list(itertools.islice(own.counts(np.array([x]), 100.0, 100.0), 10_000)))[:, 0]
    assert chances.sum() == pytest.approx(1, abs=1e-8)
    assert np.arange(len(chances)) @ chances == pytest.approx(own.expected(x, 100.0, 100.0), rel=1e-7)


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=8, deadline=None)
@given(params=PARAMS, histories=HISTORIES)
def test_chances_are_chances_and_time_only_adds(model, params, histories):
    x, t_x, T = drawn(histories)
    own = kernel(model, params)
    alive = own.p_alive(x, t_x, T)
    assert ((alive >= 0) & (alive <= 1)).all()
    later = own.p_alive(x, t_x, T + 1)
    assert (later <= alive * (1 + 1e-9)).all()
    spans = np.array([[0.0], [1e-3], [1.0], [30.0], [1e3]])
    plain, kept = own.expected(x, T, spans), own.discounted(x, T, spans[:4], 0.01)
    assert (plain[0] == 0).all()
    assert (plain[1] > 0).all()
    for values in (plain, kept):
        assert (np.diff(values, axis=0) >= -1e-9 * values[1:]).all()
    assert (kept <= plain[:4] * (1 + 1e-9)).all()
    assert own.discounted(x, T, spans, 0.0) == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=8, deadline=None)
@given(params=PARAMS, histories=HISTORIES, unit=st.sampled_from([7.0, 86_400.0, 1e-3, 1e7]))
def test_another_unit_of_time_scales_the_scales_and_nothing_else(model, params, histories, unit):
    x, t_x, T = drawn(histories)
    r, alpha, third, fourth = params
    scaled = kernel(model, (r, alpha * unit, third, fourth * unit if model == PARETO else fourth))
    own, t = kernel(model, params), 20.0
    assert scaled.log_likelihood(x, t_x * unit, T * unit) == pytest.approx(
        own.log_likelihood(x, t_x, T) - x * np.log(unit), rel=1e-9, abs=1e-9
    )
    assert scaled.p_alive(x, t_x * unit, T * unit) == pytest.approx(own.p_alive(x, t_x, T), rel=1e-8, abs=1e-200)
    assert scaled.expected(x, T * unit, t * unit) == pytest.approx(own.expected(x, T, t), rel=1e-8)
    assert scaled.discounted(x, T * unit, t * unit, 0.01 / unit) == pytest.approx(own.discounted(x, T, t, 0.01), rel=1e-8)
    for ours, theirs in itertools.islice(zip(own.counts(x, T, t), scaled.counts(x, T * unit, t * unit), strict=False), 4):
        assert theirs == pytest.approx(ours, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_shapes_are_those_of_broadcasting(model):
    own = kernel(model, (0.5, 5.0, 0.8, 3.0))
    x, t_x, T = np.array([0, 3]), np.array([0.0, 4.0]), np.array([9.0, 9.0])
    assert own.log_likelihood(0, 0.0, 0.0).shape == own.p_alive(0, 0.0, 0.0).shape == own.expected(0, 0.0, 3.0).shape == ()
    assert own.expected(x, T, np.array([[1.0], [2.0], [3.0]])).shape == (3, 2)
    for found in (own.log_likelihood(x, t_x, T), own.p_alive(x, t_x, T), own.discounted(x, T, 5.0, 0.1), next(own.counts(x, T, 5.0))):
        assert (found.shape, found.dtype) == ((2,), np.float64)
    none = np.empty(0)
    assert own.log_likelihood(none.astype(int), none, none).shape == own.expected(none.astype(int), none, 3.0).shape == (0,)


# ------------------------------------------------------------------------------------------------------- customers at random

WALKS = [
    (BG, (0.5, 5.0, 0.8, 3.0)), (BG, (2.0, 8.0, 0.4, 0.5)), (MBG, (0.5, 5.0, 0.8, 3.0)), (MBG, (1.5, 6.0, 1.0, 2.0)),
    (PARETO, (0.6, 10.0, 0.6, 12.0)), (PARETO, (2.0, 8.0, 1.0, 30.0)),
]  # fmt: skip
CUSTOMERS, ERRORS = 10_000, 5.0


def within(values, mean):
    """Whether a mean over customers is within five of its standard errors."""
    error = np.std(values) / np.sqrt(len(values))
    return abs(np.mean(values) - mean) <= ERRORS * error + 1e-12


@pytest.mark.parametrize(("model", "params"), WALKS, ids=[f"{model}-{number}" for number, (model, _) in enumerate(WALKS)])
def test_customers_at_random_do_what_they_are_expected_to(model, params):
    rng = np.random.default_rng(11)
    T, t, delta = rng.choice([10.0, 30.0, 52.0], CUSTOMERS), 26.0, 0.03
    walked, own = reference.simulate(model, params, CUSTOMERS, T, t, rng), kernel(model, params)
    alive = own.p_alive(walked.x, walked.t_x, T)
    mean = alive * own.expected(walked.x, T, t)
    assert within(walked.alive - alive, 0)
    assert within(walked.ahead - mean, 0)
    some = walked.x >= 3
    assert within((walked.alive - alive)[some], 0)
    assert within((walked.ahead - mean)[some], 0)
    # over histories, the conditional expectation is what a new customer is expected to buy in (T, T + t]
    born = float(own.p_alive(0, 0.0, 0.0))
    for age in np.unique(T):
        assert within(walked.x[age == T], born * float(own.expected(0, 0.0, age)))
        assert within(mean[age == T], born * float(own.expected(0, 0.0, age + t) - own.expected(0, 0.0, age)))
        late = own.discounted(0, 0.0, age + t, delta) - own.discounted(0, 0.0, age, delta)
        kept = alive * own.discounted(walked.x, T, t, delta)
        assert within(kept[age == T], born * float(late) * np.exp(delta * age))
    # the distribution of counts, of new customers and of known ones
    for n, (first, later) in enumerate(itertools.islice(zip(own.counts(0, 0.0, 30.0), own.counts(walked.x, T, t), strict=False), 6)):
        nothing = float(n == 0)
        assert within(walked.x[T == 30] == n, born * float(first) + (1 - born) * nothing)
        assert within((walked.ahead == n) - (alive * later + (1 - alive) * nothing), 0)


# ---------------------------------------------------------------------------------------------------------------- amounts

AMOUNTS = [
    ((6.25, 3.74, 15.44), (2, 22.35)), ((6.25, 3.74, 15.44), (3, 35.0)), ((0.4, 1.5, 0.02), (1, 1e-3)), ((6.25, 3.74, 15.44e6), (500, 3e7)),
    ((3e3, 4e3, 9e3), (7, 6.0)), ((2.0, 0.3, 5.0), (4, 1e5)),
]  # fmt: skip


@pytest.mark.parametrize(("params", "history"), AMOUNTS, ids=[str(number) for number in range(len(AMOUNTS))])
def test_amounts_are_the_integrals_that_define_them(params, history):
    fast, exact = gamma_gamma.GammaGamma(*params), reference.GammaGamma(*params)
    with reference.digits(DIGITS):
        log, mean = float(exact.log_likelihood(*history)), float(exact.expected(*history))
    assert fast.log_likelihood(*history) == pytest.approx(log, rel=1e-9, abs=1e-8)
    assert fast.expected(*history) == pytest.approx(mean, rel=1e-9)
    own = Histories.of(np.array([history[0]]), np.zeros(1), np.zeros(1))
    amounts = gamma_gamma.Amounts.of_rows(own.x, np.array([history[1]]), own.weights)
    found = gamma_gamma.likelihood(np.log(params), amounts)
    assert found.value == pytest.approx(log, rel=1e-9, abs=1e-8)
    with reference.digits(30):
        _, gradient, hessian = differences(
            lambda at: reference.GammaGamma(*(mp.exp(value) for value in at)).log_likelihood(*history),
            [mp.log(value) for value in params], mp.mpf(10) ** -7,
        )  # fmt: skip
    assert found.gradient == pytest.approx(gradient, rel=1e-7, abs=1e-7)
    assert found.hessian == pytest.approx(hessian, rel=1e-6, abs=1e-6)


def test_amounts_without_purchases_have_the_mean_of_all():
    p, q, v = 6.25, 3.74, 15.44
    with reference.digits(DIGITS):
        assert gamma_gamma.GammaGamma(p, q, v).expected(0, 0.0) == pytest.approx(
            float(reference.GammaGamma(p, q, v).expected(0, 0)), rel=1e-9
        )
    assert gamma_gamma.GammaGamma(p, 0.9, v).expected(np.array([0, 1]), np.array([0.0, 20.0])).tolist() == [
        np.inf,
        pytest.approx((v + 20) * p / (p + 0.9 - 1)),
    ]


def test_another_currency_scales_amounts_and_nothing_else():
    x, z = np.array([1, 2, 9]), np.array([3.0, 20.0, 11.0])
    own, cents = gamma_gamma.GammaGamma(6.25, 3.74, 15.44), gamma_gamma.GammaGamma(6.25, 3.74, 1544.0)
    assert cents.log_likelihood(x, 100 * z) == pytest.approx(own.log_likelihood(x, z) - np.log(100), rel=1e-12)
    assert cents.expected(x, 100 * z) == pytest.approx(100 * own.expected(x, z), rel=1e-12)


def test_customers_at_random_spend_what_they_are_expected_to():
    rng = np.random.default_rng(5)
    x = rng.integers(1, 8, CUSTOMERS)
    mean, long_run = reference.mean_values((6.25, 3.74, 15.44), x, rng)
    own = gamma_gamma.GammaGamma(6.25, 3.74, 15.44)
    assert within(long_run - own.expected(x, mean), 0)
    assert within((long_run - own.expected(x, mean))[mean > 40], 0)
    assert within(long_run, float(own.expected(0, 0.0)))
    assert within(long_run**2 - own.second_moment(x, mean), 0)


# -------------------------------------------------------------------------------------------- where the search begins


@pytest.mark.parametrize("params", [(6.25, 3.75, 15.5), (1.0, 3.0, 10.0), (20.0, 10.0, 10.0)], ids=str)
def test_moments_of_logs_come_near_the_parameters(params):
    """Within a factor of three, and of the third the mean exactly; scale and order are none of its business."""
    rng = np.random.default_rng(1)
    p, q, v = params
    x = rng.geometric(0.4, 50_000)
    z = rng.gamma(p * x) / x / rng.gamma(q, 1 / v, len(x))
    z, weights = z / z.mean(), np.ones(len(x))
    found = gamma_gamma.by_moments(x, z, weights)
    assert np.abs(found[:2] - np.log([p, q])).max() < np.log(3)
    assert np.exp(found[0] + found[2]) / (np.exp(found[1]) - 1) == pytest.approx(1.0)
    assert gamma_gamma.by_moments(x[::-1], z[::-1], weights) == pytest.approx(found)
    assert gamma_gamma.by_moments(x, z, 3 * weights) == pytest.approx(found)


@pytest.mark.parametrize(
    ("x", "z"),
    [([1], [1.0]), ([2, 2], [1.0, 1.0]), ([1, 1, 1], [0.5, 1.0, 1.5]), ([1, 9], [1e-9, 2.0])],
    ids=["one", "same", "once", "far"],
)
def test_moments_of_few_amounts_are_numbers(x, z):
    found = gamma_gamma.by_moments(np.array(x), np.array(z), np.ones(len(x)))
    assert np.isfinite(found).all()
    assert np.exp(found[0]) > 0 and np.exp(found[1]) > 1


@pytest.mark.parametrize("params", [(0.55, 10.58, 0.61, 11.67), (2.0, 2.0, 0.2, 30.0), (1.0, 0.5, 0.5, 10.0)], ids=str)
def test_few_nodes_come_near_the_likelihood(params):
    """A step of Newton's from where their slopes vanish gains next to nothing: what they leave out is no more than that."""
    rng = np.random.default_rng(2)
    walked = reference.simulate(PARETO, params, 2_000, rng.uniform(5, 50, 2_000), 0, rng)
    histories = Histories.of(walked.x, walked.t_x, walked.T)
    theta = np.log(params)
    rough, own = (pareto_nbd.likelihood(theta, histories, nodes) for nodes in (pareto_nbd.ROUGH_NODES, pareto_nbd.FIT_NODES))
    off = own.gradient - rough.gradient
    assert 0.5 * off @ np.linalg.solve(-own.hessian, off) < 1e-5
    assert rough.value == pytest.approx(own.value, rel=1e-5)


@pytest.mark.parametrize(("spread", "fit"), [(1.0, 9e-9), (1.5, 1e-6)], ids=["hard", "harder"])
def test_the_nodes_are_enough_for_hard_histories(spread, fit):
    """Against 200 nodes: frequencies up to thousands, shapes and scales over orders of magnitude each way, time in seconds."""
    rng = np.random.default_rng(0)
    r, s = np.exp(rng.uniform(-2 * spread, 2 * spread, (2, 2_000)))
    alpha, beta = WEEK * np.exp(rng.uniform(2 - 3 * spread, 2 + 3 * spread, (2, 2_000)))
    T = WEEK * np.exp(rng.uniform(0, 6, 2_000))
    x = np.floor(np.exp(rng.uniform(0, np.log(5_000), 2_000))) - 1
    t_x = np.where(x > 0, T * (1 - rng.random(2_000) ** rng.choice([1, 6], 2_000)), 0.0)
    own = pareto_nbd.ParetoNBD(r, alpha, s, beta)
    exact, some, more = (own._mixture(x, t_x, T, n).log_likelihood for n in (200, pareto_nbd.FIT_NODES, pareto_nbd.REPORT_NODES))
    assert np.isfinite([exact, some, more]).all()
    assert np.abs(some - exact).max() <= fit
    assert np.abs(more - exact).max() <= 1e-10


def test_a_climb_is_given_up_only_below_what_is_known():
    """A known summit that is only nearly one, as on a ridge, must not stop a climb that has come higher; one that is higher does."""

    def total_at(theta):
        return Total(float(-(theta**4 + 0.01 * theta**2).sum()), -4 * theta**3 - 0.02 * theta, -np.diag(12 * theta**2 + 0.02))

    start, summit = np.array([1.0, -1.0]), newton.maximise(total_at, np.zeros(2), 1.0)
    assert newton.maximise(total_at, start, 1.0, summit).reason == "below another summit"
    ridge = np.array([0.5, 0.5])
    found = newton.maximise(total_at, 0.4 * start, 1.0, newton.Optimum(ridge, total_at(ridge), 1, "converged"))
    assert found.converged
    assert found.theta == pytest.approx([0.0, 0.0], abs=1e-4)
