"""Plans for looking at tests: published bounds through the public door, what a present look may say, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from opsmetrics import errors
from opsmetrics._kernels import mixtures, sequential
from opsmetrics.experiments.designs import AlwaysValid, GroupSequential
from tests.bad_input.cases import Case, check_refused, refuse
from tests.support import reference

FIVE = GroupSequential(5, planned_n=10_000)
DESIGNS = [
    FIVE,
    GroupSequential([0.25, 0.5, 1], planned_n=800, spending="pocock"),
    GroupSequential((0.1, 0.4), planned_n=10**9, spending="hwang-shih-decani", shape=-2),
    GroupSequential(3, planned_n=1_000, spending="kim-demets", shape=1.5, futility="pocock", power=0.9),
    AlwaysValid(20_000),
    AlwaysValid(500, burn_in=0),
]
IDS = ["obrien", "pocock", "hwang", "kim", "always", "no burn-in"]


def floats(*values):
    return np.array(values, dtype=np.float64)


# ---------------------------------------------------------------------------------------------------------------- bounds


def test_the_bounds_of_lan_and_demets():
    found = FIVE.boundaries()
    table = found.table
    assert list(table) == ["look", "information", "n", "bound", "nominal_p", "spent", "stop_no_effect", "stop_effect"]
    assert table["n"].tolist() == [2_000, 4_000, 6_000, 8_000, 10_000]
    assert table["bound"].round(3).tolist() == [4.877, 3.357, 2.680, 2.290, 2.031]
    assert table["nominal_p"].to_numpy() == pytest.approx(2 * norm.sf(table["bound"]), rel=1e-9)
    assert table["stop_no_effect"].to_numpy() == pytest.approx(table["spent"].to_numpy(), rel=1e-9)
    assert table["spent"].iloc[-1] == pytest.approx(0.05, rel=1e-12)
    assert table["stop_effect"].iloc[-1] == pytest.approx(0.8, abs=1e-5)


@pytest.mark.parametrize(("looks", "place"), [(2, 4), (5, 5)])
def test_the_price_is_that_of_the_book(looks, place):
    case = next(c for c in reference("ab.json") if c["id"] == "gs_inflation")
    inflation, expected = case["expected"]["inflation"][place], case["expected"]["asn_h1"][place]
    plan = GroupSequential(looks, planned_n=10_000)
    assert plan._inflation(0.95, 0.8, "two-sided") == pytest.approx((inflation, expected), abs=2e-6)
    params = plan.boundaries().params
    assert params["inflation"] == pytest.approx(inflation, abs=2e-6)
    assert params["expected_n_effect"] == pytest.approx(10_000 * expected / inflation, abs=0.05)
    assert params["expected_n_effect"] < params["expected_n_no_effect"] < 10_000


def test_gsdesign_with_futility():
    """gsDesign(), all by default, as its manual prints it."""
    plan = GroupSequential(3, planned_n=10_000, spending="hwang-shih-decani", futility="hwang-shih-decani", power=0.9)
    found = plan.boundaries(confidence=0.975, alternative="greater")
    assert found.table["bound"].round(2).tolist() == [3.01, 2.55, 2.0]
    assert found.table["futility"].round(2).tolist() == [-0.24, 0.94, 2.0]
    assert found.params["inflation"] == pytest.approx(1.070, abs=5e-4)
    assert found.params["expected_n_no_effect"] / 10_000 * 1.070 == pytest.approx(0.6249, abs=5e-4)
    assert found.params["expected_n_effect"] / 10_000 * 1.070 == pytest.approx(0.7913, abs=5e-4)
    assert found.table["stop_no_effect"].iloc[-1] == pytest.approx(1.0)


def test_directions_have_the_same_bounds():
    greater, less = (FIVE.boundaries(confidence=0.975, alternative=side).table for side in ("greater", "less"))
    pd.testing.assert_frame_equal(greater, less)
    assert greater["bound"].to_numpy() == pytest.approx(FIVE.boundaries().table["bound"].to_numpy(), abs=1e-6)


def test_a_plan_that_does_not_end_at_one_has_a_last_look_there():
    found = GroupSequential([0.25, 0.5], planned_n=1_001).boundaries().table
    assert found["information"].tolist() == [0.25, 0.5, 1.0]
    assert found["n"].tolist() == [251, 501, 1_001]


def test_always_valid_bounds():
    found = AlwaysValid(10_000).boundaries()
    table, rho2 = found.table, mixtures.tuned(10_000, 1 - 0.95)
    assert table["n"].tolist() == list(range(1_000, 10_001, 1_000))
    assert table["bound"].to_numpy() == pytest.approx(
        np.sqrt((table["n"] * rho2 + 1) / (table["n"] * rho2) * np.log((table["n"] * rho2 + 1) / 0.05**2)).to_numpy(), rel=1e-9
    )
    assert 0.01 < table["stop_no_effect"].iloc[-1] < 0.05
    assert table["stop_effect"].iloc[-1] == pytest.approx(0.8, abs=1e-5)


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_the_price_of_always_valid_tests_in_simulation(alternative):
    """Paths with the drift that the price promises cross within a hundred looks with the power asked for."""
    sides, runs, power = 2 if alternative == "two-sided" else 1, 20_000, 0.9
    most, expected = AlwaysValid(1_000)._inflation(0.95, power, alternative)
    fixed = norm.ppf(1 - 0.05 / sides) + norm.ppf(power)
    t = np.arange(1, 101) / 100
    steps = np.random.default_rng(8).normal(fixed * math.sqrt(most) / 100, 0.1, (runs, 100))
    z = steps.cumsum(axis=1) / np.sqrt(t)
    crossed = z > AlwaysValid(1_000)._monitor(1_000 * t, 0.95, alternative).critical
    assert abs(crossed.any(axis=1).mean() - power) < 4 * math.sqrt(power * (1 - power) / runs)
    used = np.where(crossed.any(axis=1), t[crossed.argmax(axis=1)], 1.0)
    assert abs(used.mean() * most - expected) < 4 * most * used.std() / math.sqrt(runs)


# ----------------------------------------------------------------------------------------------------------- present looks


def test_planned_looks_have_their_bounds():
    monitor = FIVE._monitor(floats(2_000, 4_000, 6_000, 8_000, 10_000), 0.95, "two-sided")
    assert monitor.critical.round(3).tolist() == [4.877, 3.357, 2.680, 2.290, 2.031]
    facts = monitor.facts()
    assert facts["look"] == [1, 2, 3, 4, 5]
    assert facts["information"] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert facts["beyond_plan"] == [False] * 5
    assert facts["spent"] == pytest.approx(FIVE.boundaries().table["spent"].tolist())
    assert "futility" not in facts
    assert json.loads(json.dumps(facts)) == facts


def test_the_nearest_planned_look_is_the_present_one():
    """At 5,300 of 10,000 units the third look is early: the first two were at .2 and .4, and this one spends up to .53."""
    early = FIVE._monitor(floats(5_300), 0.95, "two-sided")
    planned = GroupSequential([0.2, 0.4, 0.53, 0.8, 1], planned_n=10_000).boundaries().table
    assert early.facts()["look"] == [3]
    assert early.critical[0] == pytest.approx(planned["bound"][2], rel=1e-9)


def test_looks_may_be_at_any_times():
    """Each actual look takes the place of the planned one it is nearest to; planned looks that are still to come stay."""
    moved = FIVE.looked_at([1_400, 4_100, 4_300])
    assert moved.looks == (0.14, 0.41, 0.43, 0.6, 0.8, 1.0)
    assert dataclasses.replace(moved, looks=5) == FIVE
    assert FIVE.looked_at([1_400, 9_200]).looks == (0.14, 0.92)  # to which a last look at 1 is added
    assert FIVE.looked_at([12_000]).looks == (1.0,)
    assert FIVE.looked_at(np.array([2_000])).looks == (0.2, 0.4, 0.6, 0.8, 1.0)
    third = moved._monitor(floats(4_300), 0.95, "two-sided")
    assert third.facts()["look"] == [3]


def test_looks_as_close_as_may_be_can_be_told():
    """A look for each ten-thousandth of the plan: fractions are rounded, and units are not."""
    for planned in (10_000, 1_000_000):
        step = planned // 10_000
        plan = GroupSequential(5, planned_n=planned)
        for first in range(step, planned - 2 * step, 97 * step):
            assert plan.looked_at([first, first + step]).looks[:2] == (first / planned, (first + step) / planned)
        assert plan.looked_at([planned - step]).looks == ((planned - step) / planned,)
    near = GroupSequential([0.5, 0.50015], planned_n=10**6)
    assert near.looked_at([500_074]).looks == (0.500074, 1.0)  # the planned look that is all but this one is left out


@given(
    st.lists(st.integers(1, 99), min_size=1, max_size=8, unique=True).map(sorted),
    st.sampled_from(["two-sided", "greater"]),
    st.sampled_from(["obrien-fleming", "pocock", "hwang-shih-decani", "kim-demets"]),
)
@settings(max_examples=30, deadline=None)
def test_a_plan_made_anew_at_every_look_keeps_its_error(percents, alternative, spending):
    """A bound depends on the looks up to its own, so that those found on the way are those of one plan of all looks (Lan and DeMets)."""
    asked, n = GroupSequential(3, planned_n=1_000, spending=spending), [10 * percent for percent in percents] + [1_000]
    found = [float(asked.looked_at(n[: k + 1])._monitor(floats(n[k]), 0.95, alternative).critical[0]) for k in range(len(n))]
    t = np.array(n) / 1_000
    upper = np.minimum(found, 40.0)
    below, above = sequential.exits(t, -upper if alternative == "two-sided" else np.full(t.size, -np.inf), upper, 0.0)
    assert (below + above if alternative == "two-sided" else above).sum() == pytest.approx(0.05, rel=1e-6)


def test_two_looks_near_one_planned_look_are_one_too_many_without_it():
    """What `looked_at` is for: the plan alone takes all of the first four for its first look, and spends on each."""
    plan, n = GroupSequential(2, planned_n=10_000, spending="pocock"), [3_000, 4_500, 6_000, 7_400, 10_000]
    t = np.array(n) / 10_000
    alone = plan._monitor(floats(*n), 0.95, "two-sided").critical
    told = np.array([plan.looked_at(n[: k + 1])._monitor(floats(n[k]), 0.95, "two-sided").critical[0] for k in range(len(n))])
    spent, kept = (sum(sequential.exits(t, -upper, upper, 0.0)).sum() for upper in (alone, told))
    assert spent > 0.07
    assert kept == pytest.approx(0.05, rel=1e-6)


def test_a_look_beyond_the_plan_spends_what_is_left():
    """Units beyond the plan weaken the correlation with the looks before, and the whole error may be spent."""
    late = FIVE._monitor(floats(10_000, 13_000), 0.95, "two-sided")
    assert late.facts()["beyond_plan"] == [False, True]
    assert late.facts()["information"] == [1.0, 1.0]
    assert late.facts()["spent"] == pytest.approx([0.05, 0.05])
    rng = np.random.default_rng(4)
    times = floats(0.2, 0.4, 0.6, 0.8, 1.3)
    steps = rng.normal(0, np.sqrt(np.diff(times, prepend=0)), (400_000, 5))
    z = np.abs(steps.cumsum(axis=1)) / np.sqrt(times)
    bounds = [*FIVE.boundaries().table["bound"][:4], late.critical[1]]
    assert abs((z > bounds).any(axis=1).mean() - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 400_000)


def test_before_there_is_anything_to_see():
    monitor = FIVE._monitor(floats(0, 1, 100), 0.95, "two-sided")
    assert monitor.critical.tolist() == [np.inf] * 3
    assert monitor.p_value(floats(9, 9, 9))[0] == 1.0
    assert not monitor.stopping(floats(9, 9, 9)).stopped.any()
    assert np.isnan(monitor.stopping(floats(9, 9, 9)).z_estimate).all()


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
@pytest.mark.parametrize("design", DESIGNS, ids=IDS)
def test_p_values_intervals_and_bounds_are_one_event(design, alternative):
    if getattr(design, "futility", None) is not None and alternative == "two-sided":
        return
    rng = np.random.default_rng(2)
    n = rng.uniform(0, 1.3 * design.planned_n, 400)
    for confidence in (0.95, 0.6):
        monitor = design._monitor(n, confidence, alternative)
        finite = np.isfinite(monitor.critical)
        at = np.where(finite, monitor.critical, 3.0)
        for z in (rng.normal(0, 3, 400), at, np.nextafter(at, 9), at - 1e-4):
            signed = z * rng.choice([-1, 1], 400) if alternative == "two-sided" else z
            size = np.abs(z) if alternative == "two-sided" else z
            p = monitor.p_value(signed)
            assert ((p < 1 - confidence) == (size > monitor.critical)).all()
            assert ((p >= 0) & (p <= 1)).all()
            found = monitor.stopping(signed)
            assert found.stopped[size > monitor.critical].all()
            over = found.stopped & ((size > monitor.critical + 1e-6) | ((n >= design.planned_n) & (size < monitor.critical - 1e-6)))
            apart = (found.z_low > 0) | (found.z_high < 0)
            assert (apart[over] == (size > monitor.critical)[over]).all()
            assert (found.p_value[over] < 1 - confidence).tolist() == (size > monitor.critical)[over].tolist()
            known = found.stopped
            assert (found.z_low[known] <= found.z_estimate[known]).all()
            assert (found.z_estimate[known] <= found.z_high[known]).all()


def test_swapping_arms_swaps_what_is_said():
    monitor = FIVE._monitor(floats(4_000, 10_000), 0.95, "two-sided")
    z = floats(3.7, 1.1)
    plus, minus = monitor.stopping(z), monitor.stopping(-z)
    assert monitor.p_value(z).tolist() == monitor.p_value(-z).tolist()
    assert plus.z_estimate == pytest.approx(-minus.z_estimate, abs=1e-12)
    assert plus.z_low == pytest.approx(-minus.z_high, abs=1e-12)
    assert plus.p_value.tolist() == minus.p_value.tolist()


def test_an_early_stop_shrinks_the_estimate_and_the_first_does_not():
    found = FIVE._monitor(floats(2_000, 8_000), 0.95, "two-sided").stopping(floats(5.0, 2.5))
    assert found.z_estimate[0] == pytest.approx(5.0)
    assert 0 < found.z_estimate[1] < 2.5
    assert found.z_low[1] > 0


@pytest.mark.parametrize("design", [FIVE, AlwaysValid(10_000)], ids=["looks", "always"])
def test_missing_and_endless_statistics(design):
    monitor = design._monitor(floats(10_000, 10_000, 10_000), 0.95, "two-sided")
    z = floats(np.nan, np.inf, -np.inf)
    p = monitor.p_value(z)
    assert np.isnan(p[0])
    assert (p[1:] < 1e-100).all()
    found = monitor.stopping(z)
    assert found.stopped.tolist() == [False, True, True]
    assert np.isnan(found.z_low[0])


def test_futility_gives_up_at_its_bounds():
    plan = GroupSequential(3, planned_n=900, spending="hwang-shih-decani", futility="hwang-shih-decani", power=0.9)
    monitor = plan._monitor(floats(300, 600, 900, 600), 0.975, "greater")
    assert monitor.facts()["futility"] == pytest.approx(
        [*plan.boundaries(confidence=0.975, alternative="greater").table["futility"], monitor.facts()["futility"][1]]
    )
    found = monitor.stopping(floats(-0.3, 0.9, 1.5, 1.0))
    assert found.stopped.tolist() == [True, True, True, False]
    assert (found.z_high[:3] == np.inf).all()
    without = GroupSequential(3, planned_n=900, spending="hwang-shih-decani")._monitor(floats(300, 600, 900, 600), 0.975, "greater")
    assert monitor.critical == pytest.approx(without.critical, rel=1e-12)
    assert monitor.p_value(floats(1, 2, 2, 1)) == pytest.approx(without.p_value(floats(1, 2, 2, 1)), rel=1e-12)


def test_tests_are_the_same_together_and_alone():
    rng = np.random.default_rng(5)
    n, z = rng.uniform(1, 12_000, 300), rng.normal(1, 2, 300)
    together = FIVE._monitor(n, 0.95, "greater")
    for i in range(0, 300, 37):
        alone = FIVE._monitor(n[i : i + 1], 0.95, "greater")
        assert alone.critical[0] == pytest.approx(together.critical[i], rel=1e-9)
        assert alone.p_value(z[i : i + 1])[0] == pytest.approx(together.p_value(z)[i], rel=1e-9)
        assert np.ravel(alone.stopping(z[i : i + 1])) == pytest.approx([float(c[i]) for c in together.stopping(z)], rel=1e-9, nan_ok=True)


# ------------------------------------------------------------------------------------------------------------ always valid


def test_always_valid_tests_wait_for_their_burn_in():
    plan = AlwaysValid(10_000, burn_in=150)
    ready = plan._ready(floats(149, 150, 5_000, 5_000), floats(50, 10, 9, 10))
    assert ready.tolist() == [False, True, False, True]
    assert plan._ready(floats(149, 150)).tolist() == [False, True]
    monitor = plan._monitor(floats(300, 300, 9_000, 9_000), 0.95, "two-sided", ready)
    z = floats(8, 8, 8, 8)
    assert np.isinf(monitor.critical).tolist() == [True, False, True, False]
    assert (monitor.p_value(z) == 1).tolist() == [True, False, True, False]
    assert np.isinf(monitor.stopping(z).z_low).tolist() == [True, False, True, False]
    assert monitor.facts()["ready"] == ready.tolist()
    assert FIVE._ready(floats(1, 2)).all()


def test_always_valid_intervals_are_z_and_the_bound():
    plan, z = AlwaysValid(10_000), floats(2.0, -4.0)
    monitor = plan._monitor(floats(5_000, 20_000), 0.95, "two-sided")
    found = monitor.stopping(z)
    assert found.z_low == pytest.approx(z - monitor.critical)
    assert found.z_high == pytest.approx(z + monitor.critical)
    prior = mixtures.tuned(10_000, 1 - 0.95)
    assert found.z_estimate == pytest.approx(z * prior / (prior + 1 / floats(5_000, 20_000)))
    assert found.stopped.tolist() == [False, True]


def test_an_always_valid_estimate_stays_in_its_interval():
    """After 100 of 10,000 units most of z = 12 is shrunk away, to below the interval."""
    monitor = AlwaysValid(10_000)._monitor(floats(100, 100), 0.95, "two-sided")
    found = monitor.stopping(floats(12, -12))
    assert found.z_estimate[0] == found.z_low[0] > 0
    assert found.z_estimate[1] == found.z_high[1] < 0


# ------------------------------------------------------------------------------------------------------------------ plans


@pytest.mark.parametrize("design", DESIGNS, ids=IDS)
def test_plans_are_values(design):
    again = type(design).from_dict(json.loads(json.dumps(design.to_dict())))
    assert again == design
    assert hash(again) == hash(design)
    assert pickle.loads(pickle.dumps(design)) == design
    assert copy.deepcopy(design) == design
    with pytest.raises(AttributeError):
        design.planned_n = 5


def test_lists_arrays_and_tuples_of_looks_are_one():
    given = [[0.5, 1.0], (0.5, 1), np.array([0.5, 1.0]), pd.Series([0.5, 1.0])]
    assert len({GroupSequential(looks, planned_n=10) for looks in given}) == 1
    assert GroupSequential(np.int64(3), planned_n=np.int64(10)).to_dict()["looks"] == 3


def test_results_show_what_cannot_stop_and_travel():
    found = GroupSequential(20, planned_n=2_000).boundaries()
    text = str(found)
    assert "inf: this look cannot stop" in text
    assert "2,000" in text
    assert "cannot stop" not in str(FIVE.boundaries())
    assert json.loads(json.dumps(found.to_dict()))["table"][0]["bound"] is None
    assert pickle.loads(pickle.dumps(found)).table.equals(found.table)
    assert "stop_<wbr>" in found._repr_html_()


def test_a_thousand_looks_are_possible():
    found = GroupSequential(1_000, planned_n=10**6, spending="pocock").boundaries().table
    assert found["stop_no_effect"].iloc[-1] == pytest.approx(0.05, rel=1e-8)


# --------------------------------------------------------------------------------------------------------------- bad input

LOOKS, PLANNED, SPENDING, SHAPE, FUTILITY, POWER, UNITS = (
    (errors.ParameterError, f"parameter.{name}") for name in ("looks", "planned_n", "spending", "shape", "futility", "power", "counts")
)


def plan(looks=5, planned_n=1_000, **others):
    return lambda: GroupSequential(looks, planned_n=planned_n, **others)


BAD = [
    refuse("looks none", plan(0), *LOOKS, "looks=0", "from 1 to 1000"),
    refuse("looks too many", plan(1_001), *LOOKS, "looks=1001"),
    refuse("looks negative", plan(-3), *LOOKS, "looks=-3"),
    refuse("looks fraction", plan(0.5), *LOOKS, "looks=0.5", "as a list"),
    refuse("looks True", plan(True), *LOOKS, "looks=True"),
    refuse("looks None", plan(None), *LOOKS, "looks=None"),
    refuse("looks text", plan("5"), *LOOKS, "looks='5'"),
    refuse("looks empty", plan([]), *LOOKS, "0 looks"),
    refuse("looks decreasing", plan([0.5, 0.25, 1]), *LOOKS, "0.25 follows 0.5"),
    refuse("looks repeated", plan([0.5, 0.5, 1]), *LOOKS, "0.5 follows 0.5"),
    refuse("looks too close", plan([0.5, 0.50001, 1]), *LOOKS, "0.0001"),
    refuse("looks all but one", plan([0.5, 0.99999]), *LOOKS, "1 follows 0.99999"),
    refuse("looks at nothing", plan([0, 0.5, 1]), *LOOKS, "has 0;", "above 0"),
    refuse("looks in per cent", plan([25, 50, 100]), *LOOKS, "Did you mean [0.25, 0.5, 1.0]?"),
    refuse("looks beyond", plan([0.5, 1.2]), *LOOKS, "has 1.2"),
    refuse("looks negative times", plan([-0.5, 1]), *LOOKS, "has -0.5"),
    refuse("looks NaN", plan([0.5, math.nan]), *LOOKS, "finite"),
    refuse("looks of text", plan(["a"]), *LOOKS, "'a'"),
    refuse("looks too many times", plan(np.linspace(0.0001, 1, 1_001)), *LOOKS, "1001 looks"),
    refuse(
        "looked at too often", lambda: plan(planned_n=10**6)().looked_at(range(200, 200_000, 200)), *UNITS, "counts has 999", "are 1003"
    ),
    refuse("planned_n negative", plan(planned_n=-5), *PLANNED, "planned_n=-5"),
    refuse("planned_n 0", plan(planned_n=0), *PLANNED, "from 1"),
    refuse("planned_n fraction", plan(planned_n=10.5), *PLANNED, "10.5"),
    refuse("planned_n None", plan(planned_n=None), *PLANNED, "None"),
    refuse("spending near", plan(spending="pocok"), *SPENDING, "Did you mean 'pocock'?", "'kim-demets'"),
    refuse("spending None", plan(spending=None), *SPENDING),
    refuse("shape without a family", plan(shape=2), *SHAPE, "shape=2", "'obrien-fleming'", "leave it out"),
    refuse("shape of hwang", plan(spending="hwang-shih-decani", shape=50), *SHAPE, "-40", "10"),
    refuse("shape of kim", plan(spending="kim-demets", shape=0), *SHAPE, "0.1", "50"),
    refuse("shape text", plan(spending="kim-demets", shape="3"), *SHAPE, "'3'"),
    refuse("shape NaN", plan(spending="kim-demets", shape=math.nan), *SHAPE, "finite"),
    refuse("futility near", plan(futility="pococ"), *FUTILITY, "Did you mean 'pocock'?"),
    refuse("futility True", plan(futility=True), *FUTILITY, "True"),
    refuse("futility on two sides", lambda: plan(futility="pocock")().boundaries(), *FUTILITY, "'two-sided'", "'greater' or 'less'"),
    refuse("futility on two sides, looking", lambda: plan(futility="pocock")()._monitor(floats(5), 0.95, "two-sided"), *FUTILITY),
    refuse("power in per cent", plan(power=80), *POWER, "Did you mean 0.8?"),
    refuse("power 1", plan(power=1), *POWER, "between 0 and 1"),
    refuse("power below the error", lambda: plan(power=0.04)().boundaries(), *POWER, "power=0.04", "0.05"),
    refuse("power below the error, price", lambda: AlwaysValid(10)._inflation(0.9, 0.1, "greater"), *POWER, "0.1"),
    refuse("looked at nothing", lambda: FIVE.looked_at([]), *UNITS, "counts=[]", "one or more looks"),
    refuse("looked at no list", lambda: FIVE.looked_at(500), *UNITS, "500"),
    refuse("looked at text", lambda: FIVE.looked_at(["many"]), *UNITS, "'many'"),
    refuse("looked at half a unit", lambda: FIVE.looked_at([10.5]), *UNITS, "10.5", "whole"),
    refuse("looked at no unit", lambda: FIVE.looked_at([0, 10]), *UNITS, "0"),
    refuse("looked back", lambda: FIVE.looked_at([500, 400]), *UNITS, "400 follows 500", "increase"),
    refuse("looked twice at once", lambda: FIVE.looked_at([500, 500]), *UNITS, "500 follows 500"),
    refuse("looked on after the end", lambda: FIVE.looked_at([10_000, 12_000]), *UNITS, "12000 follows 10000", "planned_n=10000"),
    refuse("looked as shares", lambda: FIVE.looked_at([0.2, 0.4]), *UNITS, "0.2", "units"),
    refuse("looked too close", lambda: FIVE.looked_at([5_000, 5_000.0]), *UNITS, "5000"),
    refuse("looked almost at the end", lambda: GroupSequential(2, planned_n=10**6).looked_at([999_999]), *UNITS, "999999"),
    refuse("always planned_n", lambda: AlwaysValid(0), *PLANNED, "planned_n=0"),
    refuse("always planned_n text", lambda: AlwaysValid("many"), *PLANNED, "'many'"),
    refuse("burn_in negative", lambda: AlwaysValid(10, burn_in=-1), errors.ParameterError, "parameter.burn_in", "burn_in=-1"),
    refuse("burn_in None", lambda: AlwaysValid(10, burn_in=None), errors.ParameterError, "parameter.burn_in", "None"),
    refuse("confidence", lambda: FIVE.boundaries(confidence=95), errors.ParameterError, "parameter.confidence", "Did you mean 0.95?"),
    refuse("alternative", lambda: FIVE.boundaries(alternative="larger"), errors.ParameterError, "parameter.alternative", "'greater'"),
    refuse("saved without a key", lambda: AlwaysValid.from_dict({"planned_n": 5}), errors.ParameterError, "parameter.saved", "burn_in"),
    refuse("saved of another", lambda: AlwaysValid.from_dict(FIVE.to_dict()), errors.ParameterError, "parameter.saved", "'looks'"),
    refuse("saved no mapping", lambda: GroupSequential.from_dict([5]), errors.ParameterError, "parameter.saved"),
]


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)
