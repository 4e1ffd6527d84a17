"""Sample quantiles, the ranks around them, their standard error and their bootstrap: numpy, scipy and real resampling as witnesses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from opsmetrics._kernels.quantiles import bootstrap, quantile, ranks, standard_error
from tests.support import reference

Z = 1.959963984540054
Q = st.floats(0.001, 0.999)


def case():
    return next(c for c in reference("ab.json") if c["id"] == "order_stat_ranks")


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), q=Q)
def test_the_quantile_is_numpys(values, q):
    ordered = np.sort(np.array(values))
    assert quantile(ordered, q) == pytest.approx(float(np.quantile(ordered, q)), rel=1e-12, abs=1e-9)


def test_nothing_has_no_quantile():
    nothing = np.empty(0)
    assert math.isnan(quantile(nothing, 0.5))
    assert math.isnan(standard_error(nothing, 0.5, Z))
    assert np.isnan(bootstrap(nothing, 0.5, 3, np.random.default_rng(1))).all()


# --------------------------------------------------------------------------------------------------------------- ranks


def test_the_published_ranks():
    found = case()
    for one, expected in zip(found["inputs"]["cases"], found["expected"]["ranks"], strict=True):
        assert list(ranks(one["n"], one["p"], Z)) == expected
    low, high = ranks(100, 0.5, Z)
    coverage = stats.binom.cdf(high - 1, 100, 0.5) - stats.binom.cdf(low - 1, 100, 0.5)
    assert coverage == pytest.approx(found["expected"]["coverage_first"], abs=1e-9)


@given(n=st.one_of(st.integers(1, 400), st.integers(1, 10**7)), q=Q, z=st.floats(0.3, 6))
def test_the_ranks_are_the_closest_that_hold_the_level(n, q, z):
    low, high = ranks(n, q, z)
    tail = stats.norm.sf(z)
    close = 1e-9  # of binomial probabilities
    assert 0 <= low < high <= n + 1
    assert stats.binom.cdf(low - 1, n, q) <= tail * (1 + close)
    assert stats.binom.cdf(low, n, q) >= tail * (1 - close)
    assert stats.binom.sf(high - 1, n, q) <= tail * (1 + close)
    assert stats.binom.sf(high - 2, n, q) >= tail * (1 - close)


def test_few_values_bound_no_side():
    assert ranks(5, 0.5, Z) == (0, 6)
    assert ranks(100, 0.99, Z)[1] == 101
    assert ranks(0, 0.5, Z) == (0, 1)
    assert ranks(10**9, 0.5, math.inf) == (0, 10**9 + 1)


# ------------------------------------------------------------------------------------------------------ standard error


def test_a_standard_error_by_hand():
    """100 values 1 ... 100 and z = 2: places 50.5 -+ 2 sqrt(25) are 40.5 and 60.5, so 20 / 4."""
    assert standard_error(np.arange(1.0, 101.0), 0.5, 2.0) == pytest.approx(5.0)


def test_the_variance_of_the_share_below_stretches_it():
    ordered = np.arange(1.0, 1001.0)
    alone = standard_error(ordered, 0.3, Z)
    assert standard_error(ordered, 0.3, Z, 0.21 / 1000) == pytest.approx(alone, rel=1e-12)
    assert standard_error(ordered, 0.3, Z, 4 * 0.21 / 1000) == pytest.approx(2 * alone, rel=1e-12)


@pytest.mark.parametrize(("n", "q"), [(4000, 0.5), (4000, 0.9), (20_000, 0.99)], ids=["median", "p90", "p99"])
def test_it_is_the_spread_of_sample_quantiles(n, q):
    """Of a sample from the exponential distribution: sqrt(q (1 - q) / n) over the density there, 1 - q."""
    rng = np.random.default_rng(11)
    found = [standard_error(np.sort(rng.exponential(size=n)), q, Z) for _ in range(60)]
    assert np.mean(found) == pytest.approx(math.sqrt(q * (1 - q) / n) / (1 - q), rel=0.04)


@pytest.mark.parametrize("q", [0.5, 0.9], ids=["median", "p90"])
def test_equal_groups_are_told_apart_as_often_as_the_level_says(q):
    rng = np.random.default_rng(12)
    runs, alarms = 1500, 0
    for _ in range(runs):
        one, two = np.sort(rng.lognormal(size=400)), np.sort(rng.lognormal(size=300))
        error = math.hypot(standard_error(one, q, Z), standard_error(two, q, Z))
        alarms += abs(quantile(one, q) - quantile(two, q)) > Z * error
    assert 0.02 < alarms / runs < 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_too_few_values_have_no_standard_error():
    assert math.isnan(standard_error(np.arange(100.0), 0.99, Z))
    assert not math.isnan(standard_error(np.arange(1000.0), 0.99, Z))
    assert math.isnan(standard_error(np.arange(100.0), 0.5, Z, math.nan))


# ----------------------------------------------------------------------------------------------------------- bootstrap


@pytest.mark.parametrize(("n", "q"), [(1, 0.3), (7, 0.5), (8, 0.5), (40, 0.9), (11, 0.1)], ids=str)
def test_it_is_distributed_as_real_resampling(n, q):
    rng = np.random.default_rng(5)
    ordered = np.sort(rng.lognormal(size=n))
    quick = bootstrap(ordered, q, 20_000, rng)
    real = np.quantile(ordered[rng.integers(0, n, (20_000, n))], q, axis=1)
    assert quick.mean() == pytest.approx(real.mean(), rel=0.02)
    assert quick.std() == pytest.approx(real.std(), rel=0.04, abs=1e-12)
    # The two are discrete and alike: their distribution functions differ by chance alone.
    edges = np.unique(np.concatenate([quick, real]).round(10))
    gap = np.abs(np.searchsorted(np.sort(quick.round(10)), edges, "right") - np.searchsorted(np.sort(real.round(10)), edges, "right"))
    assert gap.max() / 20_000 < 1.95 * math.sqrt(2 / 20_000)


def test_the_chance_of_each_value_is_that_of_resampling():
    """The median of 3 of 3 values: x_(1) where two or three of the draws are the first, 7 / 27; x_(2) in 13 of 27."""
    found = bootstrap(np.array([1.0, 2.0, 3.0]), 0.5, 200_000, np.random.default_rng(3))
    assert [(found == v).mean() for v in (1, 2, 3)] == pytest.approx([7 / 27, 13 / 27, 7 / 27], abs=0.005)


@settings(max_examples=40)
@given(n=st.integers(1, 50), q=Q, seed=st.integers(0, 100))
def test_it_stays_within_the_values(n, q, seed):
    ordered = np.sort(np.random.default_rng(seed).normal(size=n))
    found = bootstrap(ordered, q, 50, np.random.default_rng(seed))
    assert ordered[0] <= found.min()
    assert found.max() <= ordered[-1]
    assert found.tolist() == bootstrap(ordered, q, 50, np.random.default_rng(seed)).tolist()
