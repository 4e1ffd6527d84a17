"""Intervals and tests of rates against scipy's, statsmodels' and published ones, and the laws they must obey."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest

from opsmetrics._kernels import rates
from opsmetrics._kernels.rates import wilson

CONFIDENCES = [0.5, 0.8, 0.9, 0.95, 0.99, 0.999]
COUNTS = st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
CONFIDENCE = st.floats(0.01, 0.9999)


def interval(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    low, high = wilson(k, n, confidence)
    return float(low), float(high)


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_agrees_with_scipy(confidence):
    cells = [(k, n) for n in (1, 2, 3, 7, 10, 50, 1000) for k in sorted({0, 1, n // 3, n // 2, n - 1, n})]
    low, high = wilson(*np.array(cells).T, confidence)
    for (k, n), found in zip(cells, zip(low, high, strict=True), strict=True):
        expected = binomtest(k, n).proportion_ci(confidence, method="wilson")
        assert found == pytest.approx((expected.low, expected.high), rel=1e-12, abs=1e-15)


def test_agrees_with_scipy_for_a_shop_of_millions():
    expected = binomtest(123_456, 9_876_543).proportion_ci(0.95, method="wilson")
    assert interval(123_456, 9_876_543) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_a_number_worked_out_by_hand():
    """k = 5 of n = 10 and z = 2, so z2 = 4: centre 0.5, half the square root of 4 (0.025 + 0.01), all over 1.4."""
    confidence = math.erf(2 / math.sqrt(2))
    half = math.sqrt(4 * (0.25 / 10 + 4 / 400)) / 1.4
    assert interval(5, 10, confidence) == pytest.approx((0.5 - half, 0.5 + half), rel=1e-12)


@given(COUNTS, CONFIDENCE)
def test_bounds_are_shares_around_the_observed_one(counts, confidence):
    k, n = counts
    low, high = interval(k, n, confidence)
    assert 0 <= low <= k / n <= high <= 1


@given(COUNTS, CONFIDENCE)
def test_successes_and_failures_mirror_each_other(counts, confidence):
    k, n = counts
    low, high = interval(k, n, confidence)
    assert interval(n - k, n, confidence) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@given(COUNTS, CONFIDENCE, CONFIDENCE)
def test_more_confidence_is_a_wider_interval(counts, one, other):
    less, more = sorted((one, other))
    assume(more - less > 1e-6)
    inner, outer = interval(*counts, less), interval(*counts, more)
    assert outer[0] <= inner[0]
    assert outer[1] >= inner[1]
    assert outer[1] - outer[0] > inner[1] - inner[0]


@given(COUNTS, CONFIDENCE)
def test_one_more_success_lifts_both_bounds(counts, confidence):
    k, n = counts
    assume(k < n)
    before, after = interval(k, n, confidence), interval(k + 1, n, confidence)
    assert after[0] >= before[0]
    assert after[1] >= before[1]
    assert sum(after) > sum(before)


@given(st.integers(0, 1000), st.integers(1, 1000), st.integers(2, 100), CONFIDENCE)
def test_more_trials_with_the_same_share_know_more(k, n, times, confidence):
    assume(k <= n)
    few, many = interval(k, n, confidence), interval(k * times, n * times, confidence)
    assert many[1] - many[0] < few[1] - few[0]


@given(COUNTS, CONFIDENCE)
def test_the_bounds_are_where_the_score_test_turns(counts, confidence):
    """The definition: (k/n - p)^2 = z^2 p (1 - p) / n at both bounds."""
    from scipy.special import ndtri

    k, n = counts
    z2 = ndtri(0.5 + confidence / 2) ** 2
    for p in interval(k, n, confidence):
        assert (k / n - p) ** 2 == pytest.approx(z2 * p * (1 - p) / n, rel=1e-6, abs=1e-12 / n)


@given(st.integers(1, 10**9), CONFIDENCE)
def test_none_and_all_end_at_exactly_zero_and_one(n, confidence):
    """Floats would miss the ends by a last bit, and 1.0000000000000002 is not a share."""
    assert interval(0, n, confidence)[0] == 0.0
    assert interval(n, n, confidence)[1] == 1.0
    assert 0 < interval(0, n, confidence)[1] < 1
    assert 0 < interval(n, n, confidence)[0] < 1


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_without_trials_nothing_is_known(confidence):
    assert interval(0, 0, confidence) == (0.0, 1.0)


def test_cells_are_independent():
    low, high = wilson([0, 0, 5, 10], [0, 10, 10, 10], 0.95)
    assert low.tolist() == [interval(0, 0)[0], interval(0, 10)[0], interval(5, 10)[0], interval(10, 10)[0]]
    assert high.tolist() == [interval(0, 0)[1], interval(0, 10)[1], interval(5, 10)[1], interval(10, 10)[1]]


def test_many_successes_of_one_number_of_trials():
    low, high = wilson(np.array([1, 2, 3]), 10, 0.95)
    assert low.shape == high.shape == (3,)
    assert low.dtype == high.dtype == np.float64


def test_no_cells_at_all():
    low, high = wilson(np.array([], dtype=np.int64), np.array([], dtype=np.int64), 0.95)
    assert low.size == high.size == 0


# -------------------------------------------------------------------------------------------------------------- clusters


def test_clusters_of_one_are_independent():
    y = np.array([1.0, 0, 0, 1, 1, 0, 0, 0, 0, 0])
    size = rates.effective_size(y.sum(), 10, y @ y, y.sum(), 10, 10)
    assert size == pytest.approx(9.0)  # m / (m - 1) in the variance


def test_copies_tell_nothing_new():
    """Each customer's trials all end alike: as many independent trials as customers."""
    y = np.array([1.0, 0, 0, 1, 1, 0, 0, 0, 0, 0]) * 5
    size = rates.effective_size(y.sum(), 50, y @ y, 5 * y.sum(), 250, 10)
    assert size == pytest.approx(9.0)
    assert rates.effective_size(50, 50, 250, 250, 250, 10) == 10.0  # all succeed: the clusters count
    assert rates.effective_size(0, 0, 0, 0, 0, 0) == 0.0


@given(st.integers(1, 40), st.integers(1, 40), st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_clusters_of_one_rate_tell_no_more_than_they_are_many(y, more, sizes):
    """Also a single one: in floats the spread is a rest of rounding, which must not be taken for a variance."""
    x, many = y + more, len(sizes)
    total, squares = sum(sizes), sum(size * size for size in sizes)
    found = rates.effective_size(y * total, x * total, y * y * squares, x * y * squares, x * x * squares, many)
    assert found == many
