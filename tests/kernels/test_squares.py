"""The mean square of discounted purchases: against the distribution of purchases, customers drawn one by one, and laws."""

from __future__ import annotations

import numpy as np
import pytest

from opsmetrics._kernels import beta_geo, forecasts, pareto_nbd

LAWS = {
    "bg_nbd": beta_geo.BetaGeo(0.5, 13.0, 2.07, 9.9),
    "mbg_nbd, a and b below one": beta_geo.BetaGeo(0.5, 13.0, 0.3, 0.4, first=1),
    "pareto_nbd": pareto_nbd.ParetoNBD(0.55, 10.6, 0.6, 11.7),
    "pareto_nbd, s of six": pareto_nbd.ParetoNBD(0.55, 10.6, 6.0, 11.7),
}
EACH = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
X, T = np.array([0, 1, 3, 23, 300]), np.array([10.0, 100.0, 50.0, 200.0, 100.0])


@EACH
@pytest.mark.parametrize("t", [0.5, 30.0, 700.0])
def test_undiscounted_it_is_that_of_the_distribution(law, t):
    mean, square = forecasts.moments(law.counts(X, T, t))
    assert law.squared(X, T, t, 0.0) == pytest.approx(square, rel=2e-6)
    assert (law.squared(X, T, t, 0.0) >= mean**2).all()


def drawn(law, x, age, t, delta, size, rng):
    """Discounted purchases of customers alive at an age, each with a life of his own."""
    pace = rng.gamma(law.r + x, 1 / (law.alpha + age), size)
    if isinstance(law, pareto_nbd.ParetoNBD):
        life = rng.exponential(1 / rng.gamma(law.s, 1 / (law.beta + age), size))
        steady, last = pace, np.zeros(size)
    else:  # who drops out with the chance p after each purchase makes others at the pace (1 - p) until he makes his last at the pace p
        p = rng.beta(law.a, law.b + x + law.first, size)
        life, steady = rng.exponential(1 / (pace * p)), pace * (1 - p)
        last = np.where(life < t, np.exp(-delta * life), 0.0)
    until = np.minimum(life, t)
    count = rng.poisson(steady * until)
    times = rng.random(count.sum()) * np.repeat(until, count)
    return np.bincount(np.repeat(np.arange(size), count), np.exp(-delta * times), size) + last


@EACH
@pytest.mark.parametrize(("x", "age"), [(1, 100.0), (23, 200.0)])
def test_discounted_it_is_that_of_customers_drawn_one_by_one(law, x, age):
    rng = np.random.default_rng(x)
    found = drawn(law, x, age, 700.0, 0.003, 50_000, rng)
    for own, expected in ((found, law.discounted(x, age, 700.0, 0.003)), (found**2, law.squared(x, age, 700.0, 0.003))):
        assert abs(own.mean() - expected) < 4.5 * own.std() / np.sqrt(len(own))


@EACH
def test_another_unit_of_time_changes_nothing(law):
    kind = type(law)
    other = (
        kind(law.r, law.alpha * 86_400, law.s, law.beta * 86_400)
        if isinstance(law, pareto_nbd.ParetoNBD)
        else kind(law.r, law.alpha * 86_400, law.a, law.b, law.first)
    )
    assert other.squared(X, T * 86_400, 365.0 * 86_400, 1e-3 / 86_400) == pytest.approx(law.squared(X, T, 365.0, 1e-3), rel=1e-9)


@EACH
def test_discounting_takes_away(law):
    found = [law.squared(X, T, 365.0, delta) for delta in (0.0, 1e-9, 1e-3, 0.1, 10.0)]
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert (np.diff(found, axis=0) < 0).all()
