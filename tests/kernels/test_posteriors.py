"""Which arm is best: exact sums and closed forms as witnesses, and the laws that chances and losses obey."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from opsmetrics._kernels.posteriors import best_beta, best_student
from tests.support import reference

SHAPE = st.floats(0.3, 500)
MANY = st.lists(st.tuples(SHAPE, SHAPE), min_size=2, max_size=4)


def above(a1, b1, a2, b2):
    """P(p2 > p1) for a whole a2: the finite sum of Cook (2005), with 40 digits."""
    with mp.workdps(40):
        total = mp.fsum(mp.beta(a1 + i, b1 + b2) / ((b2 + i) * mp.beta(1 + i, b2)) for i in range(a2))
        return total / mp.beta(a1, b1)


def loss_of_first(a1, b1, a2, b2):
    """E[max(p1, p2)] - E[p1] = E[p2] P(p2' > p1) - E[p1] P(p2 > p1'), a shape one larger under the stroke."""
    with mp.workdps(40):
        second = mp.mpf(a2) / (a2 + b2) * above(a1, b1, a2 + 1, b2)
        return second - mp.mpf(a1) / (a1 + b1) * above(a1 + 1, b1, a2, b2)


def test_the_golden_probabilities():
    case = next(c for c in reference("ab.json") if c["id"] == "bayes_beta")
    rows = np.array(case["inputs"]["cases"])
    wins, units = rows[:, [0, 2]], rows[:, [1, 3]]
    found = best_beta(1 + wins, 1 + units - wins)
    assert found.probability[:, 1] == pytest.approx(case["expected"]["prob"], abs=case["tolerance"])


@pytest.mark.parametrize(
    "shapes",
    [
        (1, 1, 1, 1),
        (1, 1000, 5, 1000),
        (1, 101, 300, 70_000),
        (2, 1, 900, 1),
        (40, 60, 600, 1400),
        (1, 10**6, 3, 10**6),
        (400, 600, 300, 700),
    ],
    ids=str,
)
def test_the_exact_sum_agrees(shapes):
    a1, b1, a2, b2 = shapes
    found = best_beta([a1, a2], [b1, b2])
    assert found.probability[1] == pytest.approx(float(above(*shapes)), rel=1e-10)
    assert found.probability[0] == pytest.approx(float(1 - above(*shapes)), rel=1e-10)
    assert found.expected_loss[0] == pytest.approx(float(loss_of_first(*shapes)), rel=1e-10)


@settings(max_examples=40)
@example(m=0.5, s1=0.0625, s2=0.01171875)
@example(m=0.089, s1=0.01, s2=0.01)
@example(m=0.89, s1=0.1, s2=0.01)
@given(m=st.floats(-6, 6), s1=st.floats(0.01, 10), s2=st.floats(0.01, 10))
def test_two_normals_have_a_closed_form(m, s1, s2):
    found = best_student([0.0, m], [s1, s2], math.inf)
    s = math.hypot(s1, s2)
    z = m / s
    assert found.probability.tolist() == pytest.approx([stats.norm.sf(z), stats.norm.cdf(z)], rel=1e-9, abs=1e-250)
    expected = [s * (stats.norm.pdf(z) + z * stats.norm.cdf(z)), s * (stats.norm.pdf(z) - z * stats.norm.sf(z))]
    assert found.expected_loss.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-13 * (s + abs(m)))  # the closed form cancels


@pytest.mark.parametrize("df", [3.0, 12.0, 400.0, 1e7])
def test_student_arms_against_a_fine_grid(df):
    location, scale = np.array([0.0, 0.4, 1.0]), np.array([1.0, 0.3, 2.0])
    u = np.linspace(-19, 19, 400_001)
    x = np.sinh(u) / 10
    laws = [stats.t(df, m, s) for m, s in zip(location, scale, strict=True)]
    cdf = [law.cdf(x) for law in laws]
    found = best_student(location, scale, df)
    for i, law in enumerate(laws):
        others = np.prod([c for j, c in enumerate(cdf) if j != i], axis=0)
        assert found.probability[i] == pytest.approx(np.trapezoid(law.pdf(x) * others, x), abs=1e-8)
        assert found.expected_loss[i] == pytest.approx(np.trapezoid(cdf[i] * (1 - others), x), rel=1e-6)


def test_small_losses_keep_their_digits():
    """A loss of 1e-40 is no rounding error of two means of 1: what is left is the far tail of the difference."""
    found = best_student([0.0, 20.0], [1.0, 1.0], math.inf)
    with mp.workdps(80):
        s = mp.sqrt(2)
        z = 20 / s
        expected = s * (mp.npdf(z) - z * mp.ncdf(-z))
    assert found.expected_loss[1] == pytest.approx(float(expected), rel=1e-9)
    assert found.probability[0] == pytest.approx(float(stats.norm.sf(20 / math.sqrt(2))), rel=1e-9)


@settings(max_examples=40)
@given(arms=MANY)
def test_beta_arms_share_the_chance(arms):
    a, b = np.array(arms).T
    found = best_beta(a, b)
    assert found.probability.sum() == pytest.approx(1, abs=1e-9)
    assert (found.expected_loss >= 0).all()
    best = found.expected_loss + a / (a + b)  # the expectation of the best, whichever arm it is reckoned from
    assert best == pytest.approx(np.full(len(a), best[0]), rel=1e-9)
    mirror = best_beta(a[::-1], b[::-1])
    assert mirror.probability[::-1] == pytest.approx(found.probability, rel=1e-9, abs=1e-12)


@settings(max_examples=40)
@given(
    arms=st.lists(st.tuples(st.floats(-5, 5), st.floats(0.05, 5), st.one_of(st.floats(2, 1e6), st.just(math.inf))), min_size=2, max_size=4),
    shift=st.sampled_from([0.0, 1e6]),
    factor=st.sampled_from([1.0, 1e-3, 100.0]),
)
def test_student_arms_share_the_chance_on_any_scale(arms, shift, factor):
    location, scale, df = np.array(arms).T
    found = best_student(location, scale, df)
    assert found.probability.sum() == pytest.approx(1, abs=1e-8)
    moved = best_student(location * factor + shift, scale * factor, df)
    assert moved.probability == pytest.approx(found.probability, rel=1e-5, abs=1e-9)
    assert moved.expected_loss == pytest.approx(found.expected_loss * factor, rel=1e-5, abs=1e-9 * factor)


def test_many_tests_at_once_are_as_each_alone():
    rng = np.random.default_rng(2)
    a, b = rng.integers(1, 10**5, (40, 3)), rng.integers(1, 10**5, (40, 3))
    together = best_beta(a, b)
    for i in range(0, 40, 7):
        alone = best_beta(a[i], b[i])
        assert together.probability[i] == pytest.approx(alone.probability, rel=1e-9, abs=1e-15)
        assert together.expected_loss[i] == pytest.approx(alone.expected_loss, rel=1e-9, abs=1e-15)


def test_random_draws_agree():
    rng = np.random.default_rng(3)
    a, b = np.array([30.0, 42.0, 35.0]), np.array([970.0, 958.0, 1100.0])
    draws = rng.beta(a, b, (400_000, 3))
    found = best_beta(a, b)
    assert found.probability == pytest.approx(np.bincount(draws.argmax(axis=1), minlength=3) / len(draws), abs=0.004)
    assert found.expected_loss == pytest.approx((draws.max(axis=1)[:, None] - draws).mean(axis=0), abs=5e-5)


def test_what_has_no_answer():
    assert np.isnan(best_beta([1.0, 0.0], [1.0, 1.0]).probability).all()
    assert np.isnan(best_student([1.0, 2.0], [0.0, 1.0], 4.0).expected_loss).all()
    found = best_student([0.0, 1.0], [1.0, 1.0], [1.0, 30.0])
    assert found.probability.sum() == pytest.approx(1)
    assert np.isinf(found.expected_loss).all()
    rest = best_beta([[1.0, 0.0], [3.0, 5.0]], [[1.0, 1.0], [9.0, 9.0]])
    assert np.isnan(rest.probability).tolist() == [[True, True], [False, False]]
