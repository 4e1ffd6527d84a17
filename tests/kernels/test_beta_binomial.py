"""BG/BB: published numbers, slow sums of its definition, every history there is, and customers walked at random."""

from __future__ import annotations

import importlib.metadata
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp
from scipy import optimize

from opsmetrics._kernels import beta_binomial
from opsmetrics._kernels.beta_binomial import BetaBinomial, likelihood
from opsmetrics._kernels.histories import Histories
from tests.lifetime_value import reference
from tests.support import reference as values_of

DIGITS = 30


def numbers(values):
    return np.array([float(value) for value in values])


# -------------------------------------------------------------------------------------------------------- published numbers


@pytest.fixture(scope="module")
def published():
    return values_of("clv.json")["bgbb_donations"]


@pytest.fixture(scope="module")
def donations():
    """11,104 people who first gave to a charity in 1995, and whether they did in each of the six years after."""
    try:
        file = importlib.metadata.distribution("lifetimes").locate_file("lifetimes/datasets/donations.csv")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs the donations that come with lifetimes, which is not installed")
    x, t_x, periods, weights = np.loadtxt(str(file), delimiter=",", skiprows=1).T
    return Histories(x.astype(np.int64), t_x, periods, weights)


def in_sample(model, n):
    """The distribution of purchases of a new customer in the next n periods."""
    alive = float(model.p_alive(0, 0, 0))
    found = alive * numbers(itertools.islice(model.counts(0, 0, n), n + 1))
    found[0] += 1 - alive
    return found


def test_the_values_at_the_published_parameters(published):
    block = published["at_1.20_.75_.66_2.78"]
    model = BetaBinomial(1.20, 0.75, 0.66, 2.78)
    for key, wanted in block.items():
        name, _, inside = key.partition("(")
        at = [float(number) for number in re.split("[;,]", inside.rstrip(")"))] if "," in inside else []
        if name == "Palive":
            assert model.p_alive(*at) == pytest.approx(wanted, rel=1e-9)
        elif name == "CET5":
            assert model.p_alive(*at) * model.expected(at[0], at[2], 5) == pytest.approx(wanted, rel=1e-9)
        elif name == "DERT":
            assert model.p_alive(*at[1:]) * model.discounted(at[1], at[3], np.inf, at[0]) == pytest.approx(wanted, rel=1e-9)
        elif name == "E":
            assert model.p_alive(0, 0, 0) * model.expected(0, 0, np.arange(1, 7)) == pytest.approx(wanted, rel=1e-9)
        elif name == "pmf6":
            assert in_sample(model, 6) == pytest.approx(wanted, rel=1e-9)
        else:
            assert name == "source"


def test_the_donations(published, donations):
    fit = published["params"]
    theta = np.log([fit[name] for name in ("alpha", "beta", "gamma", "delta")])
    found = likelihood(theta, donations)
    assert found.value == pytest.approx(fit["LL"], abs=1e-5)
    model = BetaBinomial(*np.exp(theta))
    alive = model.p_alive(np.array([0, 2, 6]), np.array([0, 4, 6]), 6)
    assert alive == pytest.approx([published["palive_2002"][key] for key in ("x=0", "(2,4)", "(6,6)")], abs=0.005)
    to_come = model.p_alive(donations.x, donations.t_x, donations.T) * model.expected(donations.x, donations.T, 5)
    assert donations.weights @ to_come == pytest.approx(published["sum_CET_5"]["own_R"], rel=1e-8)
    expected = in_sample(model, 6) * donations.weights.sum()
    assert expected[[0, 6]] == pytest.approx([published["in_sample"][key] for key in ("x=0", "x=6")], abs=0.2)


def test_the_donations_lead_back_to_the_published_parameters(published, donations):
    """Newton's method with the gradient and the Hessian that the kernel gives, until the gradient vanishes; BTYD's search stops before."""
    fit = published["params"]
    found = optimize.minimize(
        lambda theta: -likelihood(theta, donations).value, np.zeros(4), method="trust-exact",
        jac=lambda theta: -likelihood(theta, donations).gradient, hess=lambda theta: -likelihood(theta, donations).hessian,
        options={"gtol": 1e-8},
    )  # fmt: skip
    assert -found.fun >= fit["LL"] - 1e-5
    assert np.exp(found.x) == pytest.approx([fit[name] for name in ("alpha", "beta", "gamma", "delta")], rel=3e-4)
    assert np.abs(likelihood(found.x, donations).gradient).max() < 1e-6


# ------------------------------------------------------------------------------------------------------ slow sums as witness

PARAMETERS = {
    "usual": (1.2, 0.75, 0.66, 2.78),
    "gamma is one": (0.4, 2.0, 1.0, 3.0),
    "all alike": (3e6, 7e6, 2e7, 4e8),
    "all leave alike": (0.5, 1.5, 4e4, 9e5),
    "soon gone": (8.0, 0.2, 5e4, 3.0),
    "nobody alike": (0.01, 0.03, 0.02, 0.01),
    "tiny and huge": (1e-4, 2e5, 1e-3, 40.0),
}
HISTORIES = [(0, 0, 0), (0, 0, 1), (1, 1, 1), (0, 0, 6), (2, 4, 6), (6, 6, 6), (3, 3, 40), (17, 39, 40), (1, 2, 300), (150, 200, 300)]
X, T_X, T = (np.array(column) for column in zip(*HISTORIES, strict=True))


@pytest.mark.parametrize("params", PARAMETERS.values(), ids=[name.replace(" ", "-") for name in PARAMETERS])
def test_all_that_is_asked_is_the_sum_that_defines_it(params):
    fast, exact = BetaBinomial(*params), reference.BetaBinomial(*params)
    with reference.digits(DIGITS):
        logs = numbers(exact.log_likelihood(*history) for history in HISTORIES)
        alive = numbers(exact.p_alive(*history) for history in HISTORIES)
        plain = {t: numbers(exact.expected(x, n, t) for x, _, n in HISTORIES) for t in (1, 20)}
        kept = numbers(exact.discounted(x, n, 20, 0.1) for x, _, n in HISTORIES)
        ever = numbers(exact.discounted(x, n, mp.inf, 0.1) for x, _, n in HISTORIES[3:6])
        chances = {n: numbers(exact.pmf(n, x, age, 12) for x, _, age in HISTORIES) for n in (0, 1, 5, 12)}
    assert np.abs(fast.log_likelihood(X, T_X, T) - logs).max() <= 1e-9 * max(1.0, np.abs(logs).max())
    assert fast.p_alive(X, T_X, T) == pytest.approx(alive, rel=1e-9, abs=1e-250)
    for t, wanted in plain.items():
        assert fast.expected(X, T, t) == pytest.approx(wanted, rel=1e-9)
    assert fast.discounted(X, T, 20, 0.1) == pytest.approx(kept, rel=1e-9)
    assert fast.discounted(X[3:6], T[3:6], np.inf, 0.1) == pytest.approx(ever, rel=1e-9)
    walked = list(itertools.islice(fast.counts(X, T, 12), 15))
    for n, wanted in chances.items():
        assert walked[n] == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    assert not np.any(walked[13:])


def differences(function, at, step):
    """First and second slopes by central differences, in as many digits as there are."""
    size = len(at)

    def moved(*steps):
        return function([value + step * sum(s for place, s in steps if place == i) for i, value in enumerate(at)])

    middle = function(at)
    up, down = ([moved((i, sign)) for i in range(size)] for sign in (1, -1))
    second = np.empty((size, size))
    for i in range(size):
        second[i, i] = float((up[i] - 2 * middle + down[i]) / step**2)
        for j in range(i):
            cross = moved((i, 1), (j, 1)) - moved((i, 1), (j, -1)) - moved((i, -1), (j, 1)) + moved((i, -1), (j, -1))
            second[i, j] = second[j, i] = float(cross / (4 * step**2))
    return numbers((a - b) / (2 * step) for a, b in zip(up, down, strict=True)), second


@pytest.mark.parametrize("params", PARAMETERS.values(), ids=[name.replace(" ", "-") for name in PARAMETERS])
@pytest.mark.parametrize("history", [(0, 0, 6), (2, 4, 9), (5, 5, 5), (3, 8, 30)], ids=str)
def test_gradient_and_hessian_are_those_of_the_definition(params, history):
    """With 45 digits and steps of 1e-9 central differences have 17, less what huge parameters take."""
    found = likelihood(np.log(params), Histories.of(*(np.array([value]) for value in history)))
    with reference.digits(45):
        theta = [mp.log(value) for value in params]
        gradient, hessian = differences(
            lambda at: reference.BetaBinomial(*(mp.exp(own) for own in at)).log_likelihood(*history), theta, mp.mpf(10) ** -9
        )
    assert found.gradient == pytest.approx(gradient, rel=1e-8, abs=1e-8)
    assert found.hessian == pytest.approx(hessian, rel=1e-8, abs=1e-8)


def slopes_by_differences(params, function):
    """Central differences of fourth order in the logs of the parameters."""
    step, found = 1e-3, []
    for i in range(4):
        ends = []
        for steps in (-2, -1, 1, 2):
            changed = list(params)
            changed[i] *= np.exp(steps * step)
            ends.append(function(BetaBinomial(*changed)))
        found.append((ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * step))
    return np.stack(found)


@pytest.mark.parametrize("params", PARAMETERS.values(), ids=[name.replace(" ", "-") for name in PARAMETERS])
def test_predictions_come_with_their_slopes(params):
    model = BetaBinomial(*params)
    alive, slopes = model.p_alive_slopes(X, T_X, T)
    known = alive > 1e-250
    assert alive == pytest.approx(model.p_alive(X, T_X, T), rel=1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = slopes_by_differences(params, lambda other: np.log(other.p_alive(X, T_X, T)))
    assert slopes[:, known] == pytest.approx(wanted[:, known], rel=1e-6, abs=1e-7)
    for t, delta in ((1, 0.0), (20, 0.0), (20, 0.1), (np.inf, 0.1)):
        value, slopes = model.discounted_slopes(X, T, t, delta)
        wanted = slopes_by_differences(params, lambda other, t=t, delta=delta: other.discounted(X, T, t, delta))
        assert value == pytest.approx(model.discounted(X, T, t, delta), rel=1e-12)
        assert slopes == pytest.approx(wanted, rel=1e-6, abs=1e-7)
    assert model.expected_slopes(X, T, 20)[1].tolist() == model.discounted_slopes(X, T, 20, 0.0)[1].tolist()


# ------------------------------------------------------------------------------------------------------------------------ laws

LOGS = st.floats(-4, 6)
PARAMS = st.tuples(LOGS, LOGS, LOGS, LOGS).map(lambda logs: tuple(float(np.exp(value)) for value in logs))


def every_history(n):
    """All there is to know after n periods, and in how many ways it can come about."""
    pairs = [(0, 0), *((x, t_x) for t_x in range(1, n + 1) for x in range(1, t_x + 1))]
    x, t_x = (np.array(column) for column in zip(*pairs, strict=True))
    ways = np.array([1 if own == 0 else math.comb(last - 1, own - 1) for own, last in pairs])
    return x, t_x, ways


@settings(max_examples=25, deadline=None)
@given(params=PARAMS, n=st.integers(0, 9), t=st.integers(1, 12), delta=st.sampled_from([0.0, 0.1]))
def test_all_histories_add_up_to_what_a_new_customer_is_expected_to_do(params, n, t, delta):
    """The chances of all histories to one; their means of what is to come to the difference of two new customers' means."""
    x, t_x, ways = every_history(n)
    model = BetaBinomial(*params)
    chance = ways * np.exp(model.log_likelihood(x, t_x, n))
    assert chance.sum() == pytest.approx(1, rel=1e-10)
    alive = model.p_alive(x, t_x, n)
    born = model.p_alive(0, 0, 0)
    whole = born * (model.discounted(0, 0, n + t, delta) - (model.discounted(0, 0, n, delta))) * (1 + delta) ** n
    assert chance @ (alive * model.discounted(x, n, t, delta)) == pytest.approx(float(whole), rel=1e-8, abs=1e-10)
    assert chance @ (x * 1.0) == pytest.approx(float(born * model.expected(0, 0, n)), rel=1e-9, abs=1e-12)
    assert chance[x == 1].sum() == pytest.approx(in_sample(model, n)[1] if n else 0.0, rel=1e-9, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(params=PARAMS, n=st.integers(0, 60), t=st.integers(0, 40), share=st.floats(0, 1))
def test_counts_add_up_to_one_and_to_the_expectation(params, n, t, share):
    x = round(share * n)
    model = BetaBinomial(*params)
    chances = np.array([float(chance) for chance in itertools.islice(model.counts(x, n, t), t + 3)])
    assert (chances >= 0).all()
    assert chances.sum() == pytest.approx(1, abs=1e-10)
    assert np.arange(t + 3) @ chances == pytest.approx(float(model.expected(x, n, t)), rel=1e-9, abs=1e-12)
    assert chances[t + 1 :].tolist() == [0.0, 0.0]
    alive = float(model.p_alive(x, x, n))
    assert 0 <= alive <= 1
    longer, own, kept = model.expected(x, n, t + 1), model.expected(x, n, t), model.discounted(x, n, t, 0.05)
    assert longer >= own * (1 - 1e-10)
    assert own >= kept


def test_horizons_of_many_lengths_at_once():
    model, ahead = BetaBinomial(1.2, 0.75, 0.66, 2.78), np.array([0, 1, 2, 7, 30])
    together = np.array(list(itertools.islice(model.counts(0, 0, ahead), 32)))
    for place, t in enumerate(ahead):
        assert together[:, place] == pytest.approx(numbers(itertools.islice(model.counts(0, 0, t), 32)), rel=1e-12)
    assert np.arange(32) @ together == pytest.approx(model.expected(0, 0, ahead), rel=1e-10)


def test_for_ever_is_a_very_long_time():
    model = BetaBinomial(1.2, 0.75, 0.66, 2.78)
    assert model.discounted(X, T, np.inf, 0.02) == pytest.approx(model.discounted(X, T, 5000, 0.02), rel=1e-12)
    near, at = BetaBinomial(0.4, 2.0, 1 + 1e-9, 3.0), BetaBinomial(0.4, 2.0, 1.0, 3.0)
    assert near.expected(X, T, 50) == pytest.approx(at.expected(X, T, 50), rel=1e-8)


def test_shapes_are_those_of_broadcasting():
    model = BetaBinomial(1.2, 0.75, 0.66, 2.78)
    assert model.log_likelihood(0, 0, 0).shape == model.p_alive(0, 0.0, 0.0).shape == model.expected(0, 0.0, 3.0).shape == ()
    assert model.p_alive_slopes(0, 0, 0)[1].shape == model.expected_slopes(0, 0, 3)[1].shape == (4,)
    assert model.expected(X, T, np.array([[1], [2]])).shape == (2, len(X))
    assert next(model.counts(X.reshape(2, 5), T.reshape(2, 5), 4.0)).shape == (2, 5)
    none = np.empty(0, dtype=np.int64)
    assert (
        model.log_likelihood(none, none, none).shape
        == model.expected(none, none, 3).shape
        == next(model.counts(none, none, 3)).shape
        == (0,)
    )
    assert model.p_alive_slopes(none, none, none)[1].shape == (4, 0)
    nobody = likelihood(np.zeros(4), Histories.of(none, none * 1.0, none * 1.0))
    assert (nobody.value, nobody.gradient.tolist(), nobody.hessian.tolist()) == (0.0, [0.0] * 4, [[0.0] * 4] * 4)


# ---------------------------------------------------------------------------------------------------- the total of a likelihood


def test_the_total_is_the_weighted_sum_in_any_order_and_in_any_blocks(monkeypatch):
    rng = np.random.default_rng(2)
    walked = reference.simulate("bg_bb", (0.6, 2.0, 0.7, 9.0), 400, rng.integers(0, 40, 400), 0, rng)
    weights = rng.uniform(0.5, 3, 400)
    histories, theta = Histories(walked.x, walked.t_x, walked.T, weights), np.log([0.8, 1.5, 0.9, 7.0])
    found = likelihood(theta, histories)
    model = BetaBinomial(*np.exp(theta))
    one_by_one = model.log_likelihood(walked.x, walked.t_x, walked.T)
    assert found.value == pytest.approx(float(weights @ one_by_one), rel=1e-12)
    step = 1e-5
    ends = [[likelihood(theta + sign * step * unit, histories) for sign in (1, -1)] for unit in np.eye(4)]
    assert found.gradient == pytest.approx(numbers((a.value - b.value) / (2 * step) for a, b in ends), rel=1e-7, abs=1e-5)
    assert found.hessian == pytest.approx(np.stack([(a.gradient - b.gradient) / (2 * step) for a, b in ends]), rel=1e-7, abs=1e-5)
    assert (found.hessian == found.hessian.T).all()
    order = rng.permutation(400)
    monkeypatch.setattr(beta_binomial, "CELLS", 100)
    monkeypatch.setattr(beta_binomial, "BLOCK", 7)
    for other in (histories.merged(), histories.take(order)):
        again = likelihood(theta, other)
        assert again.value == pytest.approx(found.value, rel=1e-12)
        assert again.gradient == pytest.approx(found.gradient, rel=1e-9, abs=1e-9)
        assert again.hessian == pytest.approx(found.hessian, rel=1e-9, abs=1e-9)
    assert model.log_likelihood(walked.x, walked.t_x, walked.T) == pytest.approx(one_by_one, rel=1e-12)
    walking = zip(model.counts(walked.x, walked.T, 30), model.counts(walked.x[order], walked.T[order], 30), strict=False)
    for ours, theirs in itertools.islice(walking, 5):
        assert theirs == pytest.approx(ours[order], rel=1e-12)


def test_long_histories_of_customers_who_leave_soon():
    """Parts of the likelihood fall by hundreds of orders of magnitude along a history: they are summed in pieces."""
    params, histories = (400.0, 300.0, 200.0, 100.0), [(0, 0, 900), (3, 5, 900), (600, 800, 900), (880, 900, 900), (2, 890, 900)]
    x, t_x, periods = (np.array(column) for column in zip(*histories, strict=True))
    exact = reference.BetaBinomial(*params)
    with reference.digits(20):
        logs = numbers(exact.log_likelihood(*history) for history in histories)
        alive = numbers(exact.p_alive(*history) for history in histories)
    assert logs.min() < -750
    assert BetaBinomial(*params).log_likelihood(x, t_x, periods) == pytest.approx(logs, rel=1e-11)
    assert BetaBinomial(*params).p_alive(x, t_x, periods) == pytest.approx(alive, rel=1e-8, abs=1e-250)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_breaks_at_the_ends_of_the_search(seed):
    rng = np.random.default_rng(seed)
    for _ in range(10):
        theta = np.clip(rng.choice([-25.0, -12.0, 0.0, 12.0, 25.0], 4) + rng.normal(0, 1, 4), -25, 25)
        periods = rng.integers(0, rng.choice([2, 61, 1000]), 20)
        t_x = rng.integers(0, periods + 1)
        x = np.where(t_x > 0, np.maximum((t_x * rng.random(20)).astype(int), 1), 0)
        found = likelihood(theta, Histories.of(x, t_x * 1.0, periods * 1.0))
        assert np.isfinite([found.value, *found.gradient, *found.hessian.ravel()]).all()
        model = BetaBinomial(*np.exp(theta))
        alive, slopes = model.p_alive_slopes(x, t_x, periods)
        assert ((alive >= 0) & (alive <= 1)).all()
        assert np.isfinite(slopes).all()
        for t, delta in ((0, 0.0), (12, 0.0), (12, 0.01), (np.inf, 0.01)):
            value, slopes = model.discounted_slopes(x, periods, t, delta)
            assert (value >= 0).all()
            assert np.isfinite([value, *slopes]).all()
        assert sum(itertools.islice(model.counts(x, periods, 12), 13)) == pytest.approx(1, abs=1e-9)


# ------------------------------------------------------------------------------------------------------- customers at random


@pytest.mark.parametrize("params", [(1.2, 0.75, 0.66, 2.78), (0.8, 4.0, 2.0, 20.0)], ids=["short", "long"])
def test_customers_at_random_do_what_they_are_expected_to(params):
    rng = np.random.default_rng(4)
    periods = rng.choice([0, 6, 12], 20_000)
    walked, model = reference.simulate("bg_bb", params, 20_000, periods, 5, rng), BetaBinomial(*params)
    alive = model.p_alive(walked.x, walked.t_x, periods)

    def none_left(values):
        return abs(values.mean()) <= 5 * values.std() / np.sqrt(len(values))

    assert none_left(walked.alive - alive)
    for some in (walked.x >= 0, walked.x == 0, walked.x > 2):
        assert none_left((walked.ahead - alive * model.expected(walked.x, periods, 5))[some])
    for n, chance in enumerate(itertools.islice(model.counts(walked.x, periods, 5), 6)):
        assert none_left((walked.ahead == n) - alive * chance - (1 - alive) * (n == 0))
