"""Group-sequential tests against published tables, multivariate normal probabilities, and their own definitions."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm

from opsmetrics._kernels import sequential as kernel
from opsmetrics._kernels.sequential import Levels, Spending
from tests.support import reference

FAMILIES = [("obrien-fleming", 0.0), ("pocock", 0.0), ("hwang-shih-decani", -4.0), ("hwang-shih-decani", 1.0), ("kim-demets", 3.0)]
LDOF = Spending("obrien-fleming", 0.0, 2)


def even(looks):
    return np.arange(1, looks + 1) / looks


def golden(name):
    return next(case for case in reference("ab.json") if case["id"] == name)


def inside(t, lower, upper, drift):
    """The chance that Z is between its bounds at every look, from the joint normal distribution."""
    covariance = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    low, high = (np.clip(np.asarray(bounds, dtype=float), -30, 30) for bounds in (lower, upper))
    law = multivariate_normal(drift * np.sqrt(t), covariance, allow_singular=True, abseps=1e-7, releps=1e-7, maxpts=300_000, seed=1)
    return law.cdf(high, lower_limit=low)


# -------------------------------------------------------------------------------------------------------------- spending


def test_spending_is_that_of_the_papers():
    t, a = 0.4, 0.025
    one = {family: float(Spending(family, shape, 1).spent(t, a)) for family, shape in FAMILIES}
    assert one["obrien-fleming"] == pytest.approx(2 - 2 * norm.cdf(norm.ppf(1 - a / 2) / math.sqrt(t)), rel=1e-10)
    assert one["pocock"] == pytest.approx(a * math.log(1 + (math.e - 1) * t), rel=1e-12)
    assert one["hwang-shih-decani"] == pytest.approx(a * (1 - math.exp(-t)) / (1 - math.exp(-1)), rel=1e-12)
    assert one["kim-demets"] == pytest.approx(a * t**3, rel=1e-12)
    assert Spending("hwang-shih-decani", 0.0, 1).spent(t, a) == pytest.approx(a * t, rel=1e-12)


@pytest.mark.parametrize(("family", "shape"), FAMILIES)
def test_two_sides_spend_twice_what_one_does_at_half_the_error(family, shape):
    t = np.array([0.0, 0.1, 0.5, 1.0, 1.7])
    two, one = Spending(family, shape, 2).spent(t, 0.05), Spending(family, shape, 1).spent(t, 0.025)
    assert two == pytest.approx(2 * one, rel=1e-12)
    assert two[0] == 0
    assert two[3:] == pytest.approx(0.05, rel=1e-12)


# ---------------------------------------------------------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    ("family", "published"),
    [("obrien-fleming", [4.877, 3.357, 2.680, 2.290, 2.031]), ("pocock", [2.438, 2.427, 2.410, 2.397, 2.386])],
)
def test_lan_demets_bounds_of_five_looks(family, published):
    """D. M. Reboussin et al. (2000), Controlled Clinical Trials 21, 190-207, and every program since."""
    found = kernel.spend(even(5), Spending(family, 0.0, 2).spent(even(5), 0.05), 2).upper
    assert found.round(3).tolist() == published


def test_kim_demets_bounds():
    case = golden("kd_5")
    t = np.array(case["inputs"]["t"])
    found = kernel.spend(t, Spending("kim-demets", case["inputs"]["rho"], 2).spent(t, 0.05), 2).upper
    assert found == pytest.approx(np.array(case["expected"]["z"]), abs=1e-6)


def test_gsdesign_with_five_looks():
    """gsDesign's own snapshot of five looks with Hwang, Shih and DeCani's spending, gamma = -4, at a one-sided 2.5 %."""
    t = even(5)
    found = kernel.spend(t, Spending("hwang-shih-decani", -4.0, 1).spent(t, 0.025), 1)
    assert found.upper.round(2).tolist() == [3.25, 2.99, 2.69, 2.37, 2.03]
    drift = kernel.drift_for(0.9, found)
    assert (drift / kernel.fixed_drift(0.9, 0.025, 1)) ** 2 == pytest.approx(1.023, abs=5e-4)
    assert kernel.leaving(found, drift)[1].round(4).tolist() == [0.0370, 0.1512, 0.2647, 0.2699, 0.1771]


@pytest.mark.parametrize(("case", "shape"), [("pocock_c", 0.0), ("obf_c", 0.5)])
def test_constants_of_pocock_and_obrien_fleming_give_five_per_cent(case, shape):
    given = golden(case)
    for looks, constant in zip(given["inputs"]["K"], given["expected"]["c"], strict=True):
        upper = constant / even(looks) ** shape
        below, above = kernel.exits(even(looks), -upper, upper, 0.0)
        assert below.sum() + above.sum() == pytest.approx(0.05, abs=1e-6), looks
        assert below == pytest.approx(above, rel=1e-9)


def test_the_bounds_of_obrien_and_fleming():
    upper = np.array(golden("obf_bounds_5")["expected"]["z"])
    assert sum(map(np.sum, kernel.exits(even(5), -upper, upper, 0.0))) == pytest.approx(0.05, abs=1e-6)


def test_twenty_naive_looks():
    upper = np.full(20, norm.ppf(0.975))
    assert sum(map(np.sum, kernel.exits(even(20), -upper, upper, 0.0))) == pytest.approx(0.2479, abs=5e-5)


@pytest.mark.parametrize("drift", [0.0, 2.8, -1.0])
def test_exits_are_those_of_the_joint_distribution(drift):
    t = np.array([0.2, 0.3, 0.7, 1.0])
    lower, upper = np.array([-2.5, -np.inf, -1.0, 1.2]), np.array([3.0, 2.2, np.inf, 2.0])
    below, above = kernel.exits(t, lower, upper, drift)
    for k in range(4):
        before = inside(t[:k], lower[:k], upper[:k], drift) if k else 1.0
        high = inside(t[: k + 1], np.append(lower[:k], upper[k]), np.append(upper[:k], np.inf), drift)
        low = inside(t[: k + 1], np.append(lower[:k], -np.inf), np.append(upper[:k], lower[k]), drift)
        assert (above[k], below[k]) == pytest.approx((high, low), abs=2e-6)
        assert below[k] + above[k] <= before + 1e-9


@pytest.mark.parametrize(("family", "shape"), FAMILIES)
@pytest.mark.parametrize("sides", [1, 2])
def test_bounds_spend_what_they_may_at_uneven_looks(family, shape, sides):
    """To a ninth digit, by other nodes: the walk of given bounds has another reach and other gaps."""
    t = np.array([0.03, 0.031, 0.2, 0.55, 0.56, 0.9, 1.0])
    cumulative = Spending(family, shape, sides).spent(t, 0.05)
    upper = kernel.spend(t, cumulative, sides).upper
    lower = -upper if sides == 2 else np.full(7, -np.inf)
    below, above = kernel.exits(t, lower, upper, 0.0)
    finite = np.isfinite(upper)
    assert (below + above).cumsum()[finite] == pytest.approx(cumulative[finite], rel=1e-9)


def test_more_nodes_change_nothing(monkeypatch):
    t = even(60)
    found = kernel.spend(t, LDOF.spent(t, 0.05), 2).upper
    monkeypatch.setattr(kernel, "_DENSITY", 4.0)
    monkeypatch.setattr(kernel, "_ENDS", 30)
    monkeypatch.setattr(kernel, "_FAR", 30.0)
    assert kernel.spend(t, LDOF.spent(t, 0.05), 2).upper == pytest.approx(found, rel=1e-11)


def test_a_look_with_nothing_to_spend_cannot_stop():
    t = even(20)
    upper = kernel.spend(t, LDOF.spent(t, 0.05), 2).upper
    assert np.isinf(upper).tolist() == [True] + [False] * 19
    assert kernel.spend(np.array([0.5, 1.0]), np.array([0.05, 0.05]), 2).upper.tolist() == [pytest.approx(norm.ppf(0.975)), np.inf]


def test_twenty_looks_take_milliseconds():
    t, taken = even(20), []
    for _ in range(25):
        start = time.perf_counter()
        kernel.spend(t, LDOF.spent(t, 0.05), 2)
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.015


# ----------------------------------------------------------------------------------------------------- power and futility


def test_inflation_and_expected_sizes_of_the_book():
    case = golden("gs_inflation")
    bounds = {
        "pocock": lambda t: np.full(t.size, {2: 2.17827209, 5: 2.41317622}[t.size]),
        "obf": lambda t: {2: 1.977431, 5: 2.0400732}[t.size] / np.sqrt(t),
        "ldof": lambda t: kernel.spend(t, LDOF.spent(t, 0.05), 2).upper,
    }
    for design, inflation, expected in zip(
        case["inputs"]["designs"], case["expected"]["inflation"], case["expected"]["asn_h1"], strict=True
    ):
        t = even(int(design[-1]))
        upper = bounds[design[:-1]](t)
        walked = kernel.walk(t, -upper, upper)
        drift = kernel.drift_for(0.8, walked)
        found = (drift / kernel.fixed_drift(0.8, 0.05, 2)) ** 2
        assert found == pytest.approx(inflation, abs=2e-6), design
        stops = np.add(*kernel.leaving(walked, drift))
        assert found * (stops[:-1] @ t[:-1] + 1 - stops[:-1].sum()) == pytest.approx(expected, abs=2e-6), design


def test_futility_of_gsdesign():
    """gsDesign(), all by default: non-binding lower bounds by gamma = -2, upper ones by gamma = -4 (from the package's manual)."""
    t = even(3)
    upper = kernel.spend(t, Spending("hwang-shih-decani", -4.0, 1).spent(t, 0.025), 1).upper
    drift, lower = kernel.meeting(t, upper, Spending("hwang-shih-decani", -2.0, 1).spent(t, 0.1))
    assert upper.round(2).tolist() == [3.01, 2.55, 2.0]
    assert lower.round(2).tolist() == [-0.24, 0.94, 2.0]
    assert (drift / kernel.fixed_drift(0.9, 0.025, 1)) ** 2 == pytest.approx(1.070, abs=5e-4)
    below, above = kernel.exits(t, lower, upper, np.array([0.0, drift]))
    assert above.T.round(4).tolist() == [[0.0013, 0.0049, 0.0171], [0.1412, 0.4403, 0.3185]]
    assert below[:, 1].round(4).tolist() == [0.0148, 0.0289, 0.0563]


@pytest.mark.parametrize("family", ["obrien-fleming", "pocock", "kim-demets"])
def test_futility_spends_the_type_two_error(family):
    t = np.array([0.1, 0.4, 0.45, 1.0])
    upper = kernel.spend(t, Spending("pocock", 0.0, 1).spent(t, 0.05), 1).upper
    beta = Spending(family, 3.0, 1).spent(t, 0.2)
    drift, lower = kernel.meeting(t, upper, beta)
    below, above = kernel.exits(t, lower, upper, drift)
    assert below.cumsum() == pytest.approx(beta, rel=1e-8)
    assert above.sum() == pytest.approx(0.8, abs=1e-9)
    assert lower[-1] == upper[-1]


# -------------------------------------------------------------------------------------------------------------- p-values


@pytest.mark.parametrize(("family", "shape"), FAMILIES)
@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("look", [0, 2, 4])
def test_the_repeated_p_value_is_the_level_whose_bound_is_met(family, shape, sides, look):
    spending, planned = Spending(family, shape, sides), even(5)
    z, t = np.array([0.3, 1.0, 1.7, 2.2, 3.0, 4.0, 5.2]), np.full(7, planned[look] - 0.03)
    found = kernel.repeated(Levels.of(spending, planned), look, t, z)
    assert (np.diff(found) <= 0).all()

    def beyond(log_level, at):
        times = np.append(planned[:look], [t[0], 2.0])  # the last only says that this is not the end of the plan
        return min(kernel.spend(times, spending.spent(times, math.exp(log_level)), sides).upper[look], 99.0) - at

    for at, p in zip(z.tolist(), found.tolist(), strict=True):
        if 1e-6 < p < 0.9999:
            near = math.log(p)
            root = brentq(beyond, near - 1e-3, min(near + 1e-3, -1e-9), args=(at,), xtol=1e-13)
            assert math.exp(root) == pytest.approx(p, rel=1e-6), at
        elif p > 0.9999:
            assert beyond(math.log(0.9999), at) > 0


def test_a_first_look_that_spends_evenly_multiplies_the_p_value():
    """The bound of the first look is the normal quantile of what it spends: p = 2 P(Z > z) / log(1 + (e - 1) t)."""
    t = np.full(3, 0.2)
    z = np.array([2.5, 4.0, 8.0])
    found = kernel.repeated(Levels.of(Spending("pocock", 0.0, 2), even(5)), 0, t, z)
    assert found == pytest.approx(2 * norm.sf(z) / math.log(1 + (math.e - 1) * 0.2), rel=1e-9)


def test_one_look_is_no_look_before():
    z = np.array([0.0, 0.1, 1.96, 6.0, 20.0, 37.0])
    for sides in (1, 2):
        for family, shape in FAMILIES:
            found = kernel.repeated(Levels.of(Spending(family, shape, sides), np.ones(1)), 0, np.ones(6), z)
            assert found == pytest.approx(sides * norm.sf(z), rel=1e-7, abs=1e-280)


def test_a_level_that_few_looks_can_spend_bounds_the_p_value():
    """O'Brien and Fleming's first look spends next to nothing at small levels, whatever z is."""
    levels, t = Levels.of(LDOF, even(10)), np.full(2, 0.1)
    found = kernel.repeated(levels, 0, t, np.array([12.0, 300.0]))
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert float(LDOF.spent(0.1, found[0])) == pytest.approx(kernel.NEGLIGIBLE * found[0], rel=1e-6)


def test_ten_thousand_p_values_are_one_call():
    rng = np.random.default_rng(3)
    z, t = np.abs(rng.normal(size=10_000)), rng.uniform(0.475, 0.525, 10_000)
    levels = Levels.of(LDOF, even(20))
    together = kernel.repeated(levels, 9, t, z)
    alone = [kernel.repeated(levels, 9, t[i : i + 1], z[i : i + 1])[0] for i in range(5)]
    assert together[:5] == pytest.approx(alone, rel=1e-12)


# ------------------------------------------------------------------------------------------------------------ at stopping


@pytest.mark.parametrize("z", [2.5, 4.0, -3.1])
def test_stagewise_at_a_second_look_by_the_joint_distribution(z):
    """The second of four looks, which comes later than planned."""
    walked = kernel.spend(even(4), Spending("pocock", 0.0, 2).spent(even(4), 0.05), 2)
    first = walked.upper[0]
    found = kernel.stagewise(walked, 1, np.array([0.75]), np.array([z]), 0.05, 2)
    times = np.array([0.25, 0.75])

    def higher(drift):
        """Stopped above at the first look, or went on and is above |z| now."""
        return norm.sf(first - drift * 0.5) + inside(times, [-first, abs(z)], [first, np.inf], drift)

    assert found.p_value[0] == pytest.approx(2 * higher(0.0), abs=1e-6)
    scale = math.copysign(math.sqrt(0.75), z)
    ends = sorted([found.z_low[0] / scale, found.z_high[0] / scale])
    assert [higher(d) for d in (ends[0], found.z[0] / scale, ends[1])] == pytest.approx([0.025, 0.5, 0.975], abs=1e-6)
    assert found.z_low[0] < found.z[0] < found.z_high[0]


def test_stagewise_at_the_first_look_is_the_fixed_test():
    walked = kernel.spend(even(5), LDOF.spent(even(5), 0.05), 2)
    found = kernel.stagewise(walked, 0, np.array([0.2]), np.array([5.0]), 0.05, 2)
    assert np.ravel(found) == pytest.approx([2 * norm.sf(5), 5, 5 - norm.ppf(0.975), 5 + norm.ppf(0.975)], rel=1e-9)


def test_one_sided_estimates_far_on_the_other_side_are_those_of_a_fixed_test():
    spending = Spending("pocock", 0.0, 1)
    walked = kernel.spend(even(5), spending.spent(even(5), 0.05), 1)
    z = np.array([-9.0, -19.5, -60.0])
    found = kernel.stagewise(walked, 4, np.ones(3), z, 0.05, 1)
    assert found.z == pytest.approx(z, abs=1e-6)
    assert found.z_low == pytest.approx(z - norm.ppf(0.95), abs=1e-6)
    assert found.z_high.tolist() == [np.inf] * 3
    assert found.p_value == pytest.approx(1.0, abs=1e-12)


def test_the_interval_and_the_p_value_at_stopping_agree_with_the_bound():
    walked = kernel.spend(even(5), LDOF.spent(even(5), 0.05), 2)
    for look in (1, 3, 4):
        at = walked.upper[look] + np.array([-1e-6, 1e-6])
        found = kernel.stagewise(walked, look, np.full(2, walked.t[look]), at, 0.05, 2)
        spent = float(LDOF.spent(walked.t[look], 0.05))
        assert found.p_value == pytest.approx(spent, abs=1e-6)
        if look == 4:
            assert (found.z_low > 0).tolist() == [False, True]


def test_the_estimate_is_median_unbiased_in_simulation():
    """Half of the estimates of tests that are run to their end are too large, where half of the naive ones are not."""
    rng, t, drift, runs = np.random.default_rng(11), even(5), 2.5, 4_000
    walked = kernel.spend(t, Spending("pocock", 0.0, 2).spent(t, 0.05), 2)
    z = rng.normal(drift / 5, math.sqrt(0.2), (runs, 5)).cumsum(axis=1) / np.sqrt(t)
    crossed = np.abs(z) > walked.upper
    last = np.where(crossed.any(axis=1), crossed.argmax(axis=1), 4)
    at = z[np.arange(runs), last]
    estimate, low, high = (np.empty(runs) for _ in range(3))
    for look in range(5):
        here = last == look
        found = kernel.stagewise(walked, look, np.full(here.sum(), t[look]), at[here], 0.05, 2)
        estimate[here], low[here], high[here] = (values / math.sqrt(t[look]) for values in (found.z, found.z_low, found.z_high))
    error = math.sqrt(0.25 / runs)
    assert abs((estimate > drift).mean() - 0.5) < 4 * error
    assert (at / np.sqrt(t[last]) > drift).mean() > 0.5 + 4 * error
    covered = ((low <= drift) & (drift <= high)).mean()
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / runs)
