"""The nasty histories are histories, and the simulators draw what they say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import simulated_customers as simulated


def test_nasty_histories_are_valid():
    names = set()
    for name, x, t_x, T in simulated.nasty(0):
        names.add(name)
        assert x.dtype == np.int64, name
        assert len(x) == len(t_x) == len(T) >= 1, name
        assert np.isfinite(T).all(), name
        assert ((x >= 0) & (t_x >= 0) & (t_x <= T)).all(), name
        assert (t_x[x == 0] == 0).all(), name
        assert (t_x[x > 0] > 0).all(), name
    assert len(names) == len(simulated.CATEGORIES) * simulated.REPEATS >= 300


def test_the_same_seed_gives_the_same():
    for first, second in zip(simulated.nasty(3), simulated.nasty(3), strict=True):
        assert first[0] == second[0]
        assert all(np.array_equal(a, b) for a, b in zip(first[1:], second[1:], strict=True))


def test_categories_are_what_they_are_called():
    sets = {}
    for name, *history in simulated.nasty(7):
        sets.setdefault(name.rpartition(",")[0], []).append(history)
    assert all((x == 0).all() for x, _, _ in sets["everyone bought once"])
    assert all((x > 0).all() for x, _, _ in sets["nobody bought once"])
    assert all(1 <= (x > 0).sum() <= 3 for x, _, _ in sets["nearly all bought once"])
    assert all(x.max() > 1_000 for x, _, _ in sets["frequencies in thousands"])
    assert all(x.max() >= 10_000 for x, _, _ in sets["one whale"])
    assert all((T == 0).any() for _, _, T in sets["customers of age 0"])
    assert all((t_x == T).all() for _, t_x, T in sets["all bought just now"])
    assert all((np.ceil(t_x) == t_x).all() and (x <= T).all() for x, t_x, T in sets["an app used daily"])
    assert {len(x) for x, _, _ in sets["one customer"]} == {1}
    assert sum(x.sum() > 0 for x, _, _ in sets["one customer"]) >= 5


def one_by_one(rng, model, customers, age, horizon, whole):
    """Purchases of customers followed from one to the next: frequency, recency, alive at the age, frequency in the horizon."""
    rows = np.empty((customers, 4))
    for row in rows:
        rate, now, dead_at = rng.gamma(0.8, 1 / 9.0), 0.0, np.inf
        p = rng.beta(0.7, 2.4) if model != "pareto_nbd" else 0.0
        if model == "pareto_nbd":
            dead_at = rng.exponential(1 / rng.gamma(0.7, 1 / 12.0))
        elif model == "mbg_nbd" and rng.random() < p:
            dead_at = 0.0
        moments = []
        while (now := now + rng.exponential(1 / max(rate, 1e-12))) < min(dead_at, age + horizon):
            moments.append(float(np.ceil(now)) if whole else now)
            if rng.random() < p:
                dead_at = now
        past = sorted({moment for moment in moments if moment <= age})
        row[:] = len(past), past[-1] if past else 0.0, dead_at > age, len({moment for moment in moments if moment > age})
    return rows


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("model", ["bg_nbd", "mbg_nbd", "pareto_nbd"])
def test_the_simulators_agree_with_customers_followed_one_by_one(model, whole):
    """Means, and means of squares and products, within the errors of both simulations."""
    leaving = {"s": 0.7, "beta": 12.0} if model == "pareto_nbd" else {"a": 0.7, "b": 2.4}
    T = np.full(200_000, 30.0)
    found = getattr(simulated, model)(np.random.default_rng(1), T, 15.0, r=0.8, alpha=9.0, whole=whole, **leaving)
    ours = np.column_stack([found.x, found.t_x, found.alive, found.later]).astype(float)
    theirs = one_by_one(np.random.default_rng(2), model, 10_000, 30.0, 15.0, whole)
    for powers in (
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [2, 0, 0, 0],
        [0, 2, 0, 0],
        [1, 1, 0, 0],
        [1, 0, 0, 1],
        [0, 1, 0, 1],
    ):
        a, b = (np.prod(rows**powers, axis=1) for rows in (ours, theirs))
        assert abs(a.mean() - b.mean()) < 4 * np.hypot(a.std() / np.sqrt(len(a)), b.std() / np.sqrt(len(b))), powers


def test_spending():
    """E(mean) = p v / (q - 1); the variance of a mean of x around the customer's own is m^2 / (p x)."""
    x = np.repeat([0, 1, 4], 100_000)
    mean, own = simulated.gamma_gamma(np.random.default_rng(3), x, p=6.0, q=5.0, v=12.0)
    assert (mean[x == 0] == 0).all()
    assert own.mean() == pytest.approx(18.0, rel=0.01)
    for times in (1, 4):
        chosen = x == times
        assert np.mean((mean[chosen] / own[chosen] - 1) ** 2) == pytest.approx(1 / (6.0 * times), rel=0.02)
        assert np.mean(mean[chosen] / own[chosen]) == pytest.approx(1, rel=0.01)
