"""Scores of forecasts of counts: their definitions summed term by term, scipy as witness, and laws."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from opsmetrics._kernels import forecasts

LEVELS = (0.05, 0.5, 0.8, 0.975)


@st.composite
def cases(draw):
    """Some pairs with a table of P(Y = n | alive) each, and customers: pair, P(alive), what happened."""
    pairs, terms, customers = draw(st.integers(1, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    table = rng.random((pairs, terms)) * (rng.random((pairs, terms)) < 0.6)
    table[np.arange(pairs), rng.integers(0, terms, pairs)] += 0.1
    alive = np.where(rng.random(customers) < 0.2, rng.integers(0, 2, customers), rng.random(customers))
    return table / table.sum(axis=1, keepdims=True), rng.integers(0, pairs, customers), alive, rng.integers(0, terms + 3, customers)


def whole(table, pair, alive, size):
    """P(Y <= n) of each customer, for n < size."""
    chance = alive[:, None] * np.pad(table, ((0, 0), (0, size - table.shape[1])))[pair]
    chance[:, 0] += 1 - alive
    return np.cumsum(chance, axis=1)


@given(case=cases())
def test_every_answer_is_its_definition(case):
    table, pair, alive, actual = case
    size = 14
    below = whole(table, pair, alive, size)
    n, rows = np.arange(size), np.arange(len(pair))
    found = forecasts.quantiles(iter(table.T), pair, alive, LEVELS)
    assert found.tolist() == [[int(np.argmax(row >= level - 1e-12)) for row in below] for level in LEVELS]
    scores = forecasts.crps(iter(table.T), pair, alive, actual)
    assert scores == pytest.approx(((below - (actual[:, None] <= n)) ** 2).sum(axis=1), abs=1e-12)
    low, high = forecasts.pit(iter(table.T), pair, alive, actual)
    assert high == pytest.approx(below[rows, actual], abs=1e-12)
    assert low == pytest.approx(np.where(actual > 0, below[rows, actual - 1], 0.0), abs=1e-12)
    assert ((low >= 0) & (low <= high) & (high <= 1)).all()


def endless(shape, chance):
    """The negative binomial of some pairs, which never ends."""
    return (stats.nbinom.pmf(n, shape, chance) for n in count())


@given(case=cases())
def test_counts_of_those_who_buy_are_told_given_that_they_do(case):
    table, *_ = case
    found = forecasts.positive(iter(table.T))
    for row, chances in zip(found, table, strict=True):
        bought = chances[1:].sum()
        expected = np.cumsum(chances[1:]) / bought if bought > 1e-12 else np.ones(len(chances) - 1)
        assert row[: len(expected)] == pytest.approx(expected[: len(row)], abs=1e-9)
        assert row[-1] == 1


SHAPE, CHANCE = np.array([0.3, 2.0, 40.0, 900.0]), np.array([0.9, 0.2, 0.5, 0.3])


def test_the_witness_of_tails_without_end():
    """Means from 0.03 to 2,100; who is not alive for certain has his quantile at another level of the same distribution."""
    rng = np.random.default_rng(5)
    pair, alive = rng.integers(0, 4, 200), rng.random(200) ** 0.3
    actual = np.where(rng.random(200) < alive, rng.negative_binomial(SHAPE[pair], CHANCE[pair]), 0)
    mixture = 1 - alive[:, None] * stats.nbinom.sf(np.arange(6_000), SHAPE[pair, None], CHANCE[pair, None])
    found = forecasts.quantiles(endless(SHAPE, CHANCE), pair, alive, LEVELS)
    for level, row in zip(LEVELS, found, strict=True):
        assert row.tolist() == np.argmax(mixture >= level, axis=1).tolist()
    low, high = forecasts.pit(endless(SHAPE, CHANCE), pair, alive, actual)
    assert high == pytest.approx(mixture[np.arange(200), actual], abs=1e-11)
    assert low[actual > 0] == pytest.approx(mixture[actual > 0, actual[actual > 0] - 1], abs=1e-11)
    scores = forecasts.crps(endless(SHAPE, CHANCE), pair, alive, actual)
    assert scores == pytest.approx(((mixture - (actual[:, None] <= np.arange(6_000))) ** 2).sum(axis=1), abs=1e-8)


def test_what_the_walk_leaves_is_taken_by_the_count_after_it(monkeypatch):
    """At the end of the distributions, or of patience; a sum that rounding keeps from 1 ends as well, and what is not a number shows."""
    pair, alive, actual = np.zeros(2, np.int64), np.ones(2), np.array([1, 7])
    short = np.array([[0.5], [0.25]])
    assert forecasts.quantiles(iter(short), pair, alive, [0.7, 0.9]).tolist() == [[1, 1], [2, 2]]
    assert np.transpose(forecasts.pit(iter(short), pair, alive, actual)).tolist() == [[0.5, 0.75], [1.0, 1.0]]
    assert forecasts.crps(iter(short), pair, alive, actual).tolist() == pytest.approx([0.25 + 0.0625, 0.25 + 0.5625 + 5])
    with monkeypatch.context() as patch:
        patch.setattr(forecasts, "_MOST", 2)
        assert forecasts.quantiles(endless(SHAPE[3:], CHANCE[3:]), pair, alive, 0.9).tolist() == [[2, 2]]
    almost = stats.poisson.pmf(np.arange(10_000)[:, None], 3.0) * (1 - 1e-9)
    assert forecasts.crps(watched := iter(almost), pair, alive, actual) == pytest.approx(
        forecasts.crps(iter(almost / (1 - 1e-9)), pair, alive, actual), abs=1e-7
    )
    assert len(list(watched)) > 9_900
    broken = [np.array([np.nan, 0.5]), np.array([np.nan, 0.5])]
    both = np.array([0, 1])
    assert np.isnan(forecasts.crps(broken, both, alive, actual)).tolist() == [True, False]
    assert np.isnan(forecasts.pit(broken, both, alive, actual)[1]).tolist() == [True, False]


def test_no_more_is_asked_of_the_distributions_than_is_needed():
    asked = []

    def counts():
        for n in count():
            asked.append(n)
            yield np.full(3, 0.5) ** (n + 1)

    pair, alive = np.array([0, 1, 2]), np.array([1.0, 0.5, 0.0])
    assert forecasts.quantiles(counts(), pair, alive, 0.9).tolist() == [[3, 2, 0]]
    assert asked == [0, 1, 2, 3]
    asked.clear()
    forecasts.pit(counts(), pair, alive, np.array([2, 0, 1]))
    assert asked == [0, 1, 2]
    asked.clear()
    forecasts.crps(counts(), pair, alive, np.array([2, 0, 1]))
    assert len(asked) == 40  # 2^-40 < 1e-12


@given(said=st.integers(0, 30), happened=st.integers(0, 30))
def test_the_score_of_a_point_is_the_absolute_error(said, happened):
    point = (np.array([float(n == said)]) for n in range(31))
    assert forecasts.crps(point, np.array([0]), np.ones(1), np.array([happened])) == pytest.approx(abs(said - happened))


def test_the_score_is_proper_and_the_transform_uniform():
    """Of draws from the forecast itself; a forecast of more, or of less, scores worse and bends the histogram."""
    rng = np.random.default_rng(11)
    size = 40_000
    pair, alive = rng.integers(0, 2, size), rng.choice([0.3, 0.6, 1.0], size)
    actual = np.where(rng.random(size) < alive, rng.negative_binomial(SHAPE[pair], CHANCE[pair]), 0)
    scores, bent = [], []
    for chance in (CHANCE, CHANCE**1.3, CHANCE**0.7):
        scores.append(forecasts.crps(endless(SHAPE[:2], chance[:2]), pair, alive, actual).mean())
        shares = forecasts.pit_histogram(*forecasts.pit(endless(SHAPE[:2], chance[:2]), pair, alive, actual), 10)
        bent.append(np.abs(shares - 0.1).max())
    assert scores[0] == min(scores)
    assert bent[0] < 4 * np.sqrt(0.1 * 0.9 / size)
    assert min(bent[1:]) > 3 * bent[0]


@given(case=cases(), bins=st.integers(1, 12))
def test_the_histogram_is_that_of_transforms_drawn_evenly(case, bins):
    table, pair, alive, actual = case
    low, high = forecasts.pit(iter(table.T), pair, alive, actual)
    shares = forecasts.pit_histogram(low, high, bins)
    expected = np.zeros(bins)
    for a, b in zip(low, high, strict=True):
        for j in range(bins):
            start, end = j / bins, (j + 1) / bins
            if b - a > 1e-15:
                expected[j] += max(min(b, end) - max(a, start), 0) / (b - a)
            else:
                expected[j] += start < b <= end or (j == 0 and b == 0)
    assert shares == pytest.approx(expected / len(low), abs=1e-9)
    assert shares.sum() == pytest.approx(1)


def test_the_histogram_of_nobody():
    assert np.isnan(forecasts.pit_histogram(np.empty(0), np.empty(0), 3)).tolist() == [True] * 3


RANKED = st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 5)), min_size=1, max_size=30)


def area(order, actual):
    """Between the concentration curve and the diagonal, by trapezoids, with ties in the order joined by a straight line."""
    shares = [0.0, *(actual[order <= value].sum() for value in np.unique(order))]
    people = [0, *((order <= value).sum() for value in np.unique(order))]
    return len(order) * actual.sum() / 2 - np.trapezoid(shares, people)


@given(rows=RANKED, seed=st.integers(0, 2**32))
def test_gini_is_a_ratio_of_areas(rows, seed):
    predicted, actual = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = forecasts.gini(predicted, actual)
    if len(set(actual)) == 1:
        assert np.isnan(found)
        return
    assert found == pytest.approx(area(predicted, actual) / area(actual, actual), abs=1e-12)
    assert -1 <= found <= 1
    mixed = np.random.default_rng(seed).permutation(len(rows))
    assert forecasts.gini(predicted[mixed], actual[mixed]) == found
    assert forecasts.gini(np.exp(predicted), actual) == found
    assert forecasts.gini(actual * 3 + 1, actual) == 1
    assert forecasts.gini(-actual, actual) == -1
    assert forecasts.gini(np.full(len(rows), 2.5), actual) == 0


@pytest.mark.parametrize("actual", [[], [3], [2, 2, 2]])
def test_nothing_to_rank(actual):
    assert np.isnan(forecasts.gini(np.arange(len(actual), dtype=float), np.array(actual)))


@settings(max_examples=60)
@given(rows=RANKED, groups=st.integers(1, 12), seed=st.integers(0, 2**32))
def test_groups_of_the_calibration(rows, groups, seed):
    predicted, actual = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = forecasts.calibration(predicted, actual, groups)
    assert found.customers.sum() == len(rows)
    assert len(found.customers) <= groups
    assert (np.diff(found.predicted) > 0).all()
    ranks = stats.rankdata(predicted)
    group = np.floor((ranks - 0.5) / len(rows) * groups + 1e-9).astype(int)
    for place, name in enumerate(np.unique(group)):
        own = group == name
        assert found.customers[place] == own.sum()
        assert found.predicted[place] == pytest.approx(predicted[own].mean())
        assert found.actual[place] == pytest.approx(actual[own].mean())
        expected = stats.sem(actual[own]) if own.sum() > 1 else np.nan
        assert found.error[place] == pytest.approx(expected, nan_ok=True)
    mixed = np.random.default_rng(seed).permutation(len(rows))
    again = forecasts.calibration(predicted[mixed], actual[mixed], groups)
    assert again.customers.tolist() == found.customers.tolist()
    assert again.error == pytest.approx(found.error, nan_ok=True)


def test_groups_are_of_equal_size_and_ties_stay_together():
    even = forecasts.calibration(np.arange(103.0), np.ones(103), 10)
    assert set(even.customers.tolist()) == {10, 11}
    tied = forecasts.calibration(np.array([0.0] * 70 + [1.0] * 30), np.arange(100), 10)
    assert tied.customers.tolist() == [70, 30]
    none = forecasts.calibration(np.empty(0), np.empty(0), 10)
    assert none.customers.size == none.error.size == 0
