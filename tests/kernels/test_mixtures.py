"""Always valid inference against published values, and against integrals and sums over everything that can happen."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy.optimize import minimize_scalar

from opsmetrics._kernels import mixtures as kernel
from opsmetrics._kernels import sequential
from tests.support import reference


def golden(name):
    return next(case for case in reference("ab.json") if case["id"] == name)


def test_the_sequential_test_of_johari_and_others():
    case = golden("msprt_johari")
    for given, ratio, p in zip(case["inputs"]["cases"], case["expected"]["lam"], case["expected"]["p"], strict=True):
        z = given["diff"] * math.sqrt(given["n_per_arm"] / (2 * given["sigma2"]))
        rho2 = given["tau2"] / (2 * given["sigma2"])
        assert float(np.exp(kernel.log_evidence(z, given["n_per_arm"], rho2, 2))) == pytest.approx(ratio, rel=1e-10)
        assert float(kernel.p_value(z, given["n_per_arm"], rho2, 2)) == pytest.approx(p, abs=1e-7)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize(("z", "n", "rho2"), [(0.0, 10, 0.1), (2.3, 500, 0.01), (-1.5, 40, 0.5), (9.0, 1000, 1e-4)])
def test_evidence_is_the_mean_likelihood_ratio_of_the_mixture(z, n, rho2, sides):
    """The integral of exp(u z sqrt n - n u^2 / 2) over effects u ~ N(0, rho2), or over those above 0 with twice the density."""
    with mp.workdps(25):
        deviation, root = mp.sqrt(mpf(rho2)), mp.sqrt(mpf(n))
        centre = z * root * mpf(rho2) / (1 + n * mpf(rho2))
        width = deviation / mp.sqrt(1 + n * mpf(rho2))

        def part(u):
            return mp.exp(u * z * root - n * u * u / 2) * mp.npdf(u, 0, deviation)

        points = [centre + width * k for k in (-40, -5, 0, 5, 40)]
        if sides == 1:
            points = [mpf(0), *(at for at in points if at > 0)]
        expected = mp.log(mp.quad(part, points) * (2 if sides == 1 else 1))
    assert float(kernel.log_evidence(z, n, rho2, sides)) == pytest.approx(float(expected), rel=1e-11, abs=1e-12)


def test_the_two_sided_bound_is_that_of_the_paper():
    n, rho2, a = np.array([1.0, 100.0, 1e5]), 0.003, 0.05
    assert kernel.critical(n, rho2, a, 2) == pytest.approx(np.sqrt((n * rho2 + 1) / (n * rho2) * np.log((n * rho2 + 1) / a**2)), rel=1e-13)
    assert kernel.tuned(400, a) == pytest.approx((-2 * math.log(a) + math.log(-2 * math.log(a) + 1)) / 400, rel=1e-14)


@pytest.mark.parametrize("sides", [1, 2])
def test_the_bound_is_where_the_evidence_is_one_over_the_error(sides):
    n = np.array([0.0, 1e-6, 1.0, 50.0, 1e4, 1e9])
    for a in (1e-9, 0.05, 0.6):
        z = kernel.critical(n, 0.02, a, sides)
        assert z[0] == np.inf
        assert kernel.log_evidence(z[1:], n[1:], 0.02, sides) == pytest.approx(-math.log(a), rel=1e-9, abs=1e-9)
        assert kernel.p_value(z[1:], n[1:], 0.02, sides) == pytest.approx(a, rel=1e-8)


def test_one_side_is_narrower_and_never_beyond_the_closed_bound():
    """Waudby-Smith et al. bound the one-sided z^2 by 2 (n rho2 + 1) / (n rho2) log(1 + sqrt(n rho2 + 1) / (2 a))."""
    n, rho2, a = np.array([5.0, 100.0, 2e4]), 0.01, 0.05
    closed = np.sqrt(2 * (n * rho2 + 1) / (n * rho2) * np.log(1 + np.sqrt(n * rho2 + 1) / (2 * a)))
    one = kernel.critical(n, rho2, a, 1)
    assert (one <= closed).all()
    assert one == pytest.approx(closed, rel=0.02)
    assert (one < kernel.critical(n, rho2, a, 2)).all()


def test_tuning_is_near_the_narrowest():
    best = kernel.critical(1_000, kernel.tuned(1_000, 0.05), 0.05, 2)
    others = [float(kernel.critical(1_000, kernel.tuned(n, 0.05), 0.05, 2)) for n in np.geomspace(10, 100_000, 401)]
    assert float(best) == pytest.approx(min(others), rel=1e-3)


def test_the_chance_ever_to_cross_is_below_the_error():
    """A thousand looks up to the planned size: .019 when simulated, with an error of .002; twenty looks: .011."""
    for looks, seen, error in ((1_000, 0.019, 0.002), (20, 0.011, 0.0005)):
        t = np.arange(1, looks + 1) / looks
        upper = kernel.critical(t, kernel.tuned(1, 0.05), 0.05, 2)
        assert sum(map(np.sum, sequential.exits(t, -upper, upper, 0.0))) == pytest.approx(seen, abs=error)


def test_shrinkage_is_the_mean_of_the_effect_given_z():
    """With a prior variance rho2 and n units of variance 1, the mean of the effect is n rho2 / (n rho2 + 1) of the estimate."""
    assert float(kernel.shrinkage(200, 0.01)) == pytest.approx(1 / (1 + (1 / 200) / 0.01), rel=1e-14)
    assert kernel.shrinkage([0, 1e300], 0.01).tolist() == [0.0, 1.0]


# ------------------------------------------------------------------------------------------------------------------ splits


def test_evidence_against_a_split_is_the_product_of_predictions():
    """Each unit's chance, given those before it, over its planned share."""
    shares, concentration = [Fraction(1, 2), Fraction(3, 10), Fraction(1, 5)], 7
    counts, evidence, expected = [0, 0, 0], Fraction(1), []
    for arm in [0, 2, 2, 1, 0, 2, 2, 2, 1, 2]:
        prediction = (concentration * shares[arm] + counts[arm]) / (concentration + sum(counts))
        evidence *= prediction / shares[arm]
        counts[arm] += 1
        expected.append((list(counts), math.log(evidence)))
    found = kernel.split_evidence([row for row, _ in expected], [float(s) for s in shares], concentration)
    assert found == pytest.approx([value for _, value in expected], abs=1e-12)


def test_the_mean_evidence_without_a_mismatch_is_one():
    shares, n = np.array([0.6, 0.25, 0.15]), 9
    outcomes = np.array([o for o in itertools.product(range(n + 1), repeat=3) if sum(o) == n])
    chances = [math.factorial(n) / math.prod(map(math.factorial, o)) * np.prod(shares**o) for o in outcomes.tolist()]
    assert chances @ np.exp(kernel.split_evidence(outcomes, shares, 50.0)) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("counts", [(821_588, 815_482), (818_535, 818_535), (3, 0), (1_000_000_000, 999_000_000)])
def test_evidence_at_large_counts(counts):
    """The first are those of R. Kohavi et al. (2020), which a fixed test finds with p = 1.8e-6."""
    with mp.workdps(40):
        rising = [mp.log(mp.rf(mpf(5_000), n)) for n in counts]
        expected = sum(rising) - mp.log(mp.rf(mpf(10_000), sum(counts))) - sum(counts) * mp.log(mpf(1) / 2)
    found = float(kernel.split_evidence(counts, [0.5, 0.5], 10_000.0))
    assert found == pytest.approx(float(expected), abs=max(1e-12, 1e-14 * sum(counts)))


def test_no_units_are_no_evidence():
    assert float(kernel.split_evidence([0, 0], [0.5, 0.5], 10_000.0)) == 0.0


# ---------------------------------------------------------------------------------------------- the limit of always valid t-tests


def avlm_evidence(t, n, g, freedom):
    """The logarithm of the evidence of an always valid t-test, whose mixture has the variance 1 / g (M. Lindon et al., 2022)."""
    kept = g / (g + n)
    return 0.5 * math.log(kept) + (freedom + 1) / 2 * math.log1p((1 - kept) * t * t / freedom / (1 + kept * t * t / freedom))


def avlm_radius(n, g, freedom, error):
    """Half its interval, in standard errors."""
    kept = g / (g + n)
    root = math.exp(math.log(kept * error * error) / (freedom + 1))
    return math.sqrt(freedom * (1 - root) / (root - kept))


def test_always_valid_t_tests_become_this_one_as_their_degrees_of_freedom_grow():
    case = golden("avlm_mtcars")
    expected, n, many = case["expected"], 32, 1e9
    for g, p, interval in zip(case["inputs"]["g"], expected["p"], (expected["ci_g1"], expected["ci_g10"]), strict=True):
        assert math.exp(-avlm_evidence(expected["t"], n, g, n - 2)) == pytest.approx(p, rel=case["tolerance"])
        half = expected["se"] * avlm_radius(n, g, n - 2, 0.05)
        assert [expected["est"] - half, expected["est"] + half] == pytest.approx(interval, rel=case["tolerance"])
        assert float(kernel.log_evidence(expected["t"], n, 1 / g, 2)) == pytest.approx(avlm_evidence(expected["t"], n, g, many), rel=1e-6)
        assert float(kernel.critical(n, 1 / g, 0.05, 2)) == pytest.approx(avlm_radius(n, g, many, 0.05), rel=1e-6)


def test_the_mixture_is_tuned_to_be_about_the_narrowest():
    """What is tuned is the first step towards the best mixture, and costs less than a thousandth of the width."""
    case = golden("avlm_optimal_g")

    def best(n, freedom, error):
        found = minimize_scalar(lambda log: avlm_radius(n, math.exp(log), freedom, error), bounds=(0, 15), options={"xatol": 1e-10})
        return math.exp(found.x), found.fun

    for (n, parameters, error), g in zip(case["inputs"]["cases"], case["expected"]["g"], strict=True):
        assert best(n, n - parameters, error)[0] == pytest.approx(g, rel=1e-5)
        assert float(kernel.critical(n, kernel.tuned(n, error), error, 2)) == pytest.approx(best(n, 1e9, error)[1], rel=1e-3)
