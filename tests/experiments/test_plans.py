"""Plans: published sizes, the three as inverses of each other, what is multiplied by what, and what is refused."""

from __future__ import annotations

import copy
import json
import math
import pickle
from dataclasses import asdict, dataclass

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from statsmodels.stats.power import NormalIndPower

import opsmetrics as om
from opsmetrics.experiments.baselines import Baseline
from opsmetrics.experiments.designs import AlwaysValid, GroupSequential
from opsmetrics.experiments.plans import duration, minimum_detectable_effect, power, sample_size
from tests.bad_input.cases import check_refused
from tests.support import reference

SPEND = Baseline(3.75, std=30)
UNIT = Baseline(0, std=1)


@pytest.fixture(scope="module")
def published():
    return {case["id"]: case for case in reference("ab.json")}


@dataclass(frozen=True)
class Looks:
    """A design whose price falls with the power, as that of group sequential designs does."""

    planned_n: int = 1_000

    def to_dict(self):
        return asdict(self)

    def _inflation(self, confidence, power, alternative):
        return 1.3 - 0.2 * power, 0.9 - 0.1 * power


def exact(plan):
    return plan.params["n_exact"]


# ----------------------------------------------------------------------------------------------------------------- published


def test_sizes_for_rates(published):
    case = published["power_prop_2"]
    found = sample_size(case["inputs"]["p1"], effect=case["inputs"]["p2"] - case["inputs"]["p1"], power=case["inputs"]["power"])
    assert exact(found) / 2 == pytest.approx(case["expected"]["n"], abs=case["tolerance"])
    case = published["power_prop_ecom"]
    for alternative, expected in (("two-sided", "n_two_sided"), ("greater", "n_one_sided")):
        found = sample_size(0.05, effect=0.1, relative=True, alternative=alternative)
        assert exact(found) / 2 == pytest.approx(case["expected"][expected], abs=case["tolerance"])
    assert exact(sample_size(0.05, effect=0.005)) == pytest.approx(case["expected"]["rpact_total"], abs=case["tolerance"])


def test_power_and_effect_of_rates(published):
    case = published["power_prop_1"]
    found = power(case["inputs"]["p1"], n=2 * case["inputs"]["n"], effect=case["inputs"]["p2"] - case["inputs"]["p1"])
    assert found.params["power"] == pytest.approx(case["expected"]["power"], abs=case["tolerance"])
    case = published["power_prop_3"]
    found = minimum_detectable_effect(case["inputs"]["p1"], n=2 * case["inputs"]["n"], power=case["inputs"]["power"])
    assert case["inputs"]["p1"] + found.params["effect"] == pytest.approx(case["expected"]["p2"], abs=case["tolerance"])


def test_sizes_for_means(published):
    case = published["power_t_2"]
    for alternative, expected in (("two-sided", "n_two_sided"), ("greater", "n_one_sided")):
        found = sample_size(UNIT, effect=case["inputs"]["delta"], power=case["inputs"]["power"], alternative=alternative)
        assert exact(found) / 2 == pytest.approx(case["expected"][expected], abs=case["tolerance"])
    case = published["power_t_1"]
    found = power(UNIT, n=2 * case["inputs"]["n"], effect=case["inputs"]["delta"])
    assert found.params["power"] == pytest.approx(case["expected"]["power"], abs=case["tolerance"])


def test_the_normal_is_the_limit(published):
    case = published["power_norm_ratio"]
    small = 1e-4  # the sizes go with 1 / effect^2, and so many units have a normal mean
    scale = (case["inputs"]["d"] / small) ** 2
    for allocation, expected in (((1, 1), "total_1_1"), ((9, 1), "total_9_1")):
        found = sample_size(UNIT, effect=small, allocation=allocation)
        assert exact(found) / scale == pytest.approx(case["expected"][expected], rel=1e-7)


def test_the_rule_of_sixteen(published):
    """16 std^2 / effect^2 per variant is rounded up from 15.7, and takes the variance of the baseline for both arms."""
    case = published["kohavi_16"]
    conversion = sample_size(case["inputs"]["conv"], effect=case["inputs"]["rel"], relative=True)
    spend = sample_size(Baseline(case["inputs"]["mean_purchase"], std=case["inputs"]["sd_purchase"]), effect=0.05, relative=True)
    factor = 2 * (ndtri(0.975) + ndtri(0.8)) ** 2 / 16
    assert spend.table["n"].tolist() == [math.ceil(factor * case["expected"]["n_revenue"] + 1)] * 2
    assert exact(conversion) / 2 == pytest.approx(factor * case["expected"]["n_conversion"], rel=0.03)


def test_statsmodels_for_unequal_arms():
    found = sample_size(SPEND, effect=0.5, power=0.9, allocation=(3, 1), alternative="greater")
    witness = NormalIndPower().solve_power(0.5 / 30, power=0.9, alpha=0.05, ratio=1 / 3, alternative="larger")
    assert exact(found) == pytest.approx(witness * 4 / 3, rel=1e-4)


def test_sequential_designs_multiply(published):
    case = published["gs_inflation"]
    place = case["inputs"]["designs"].index("ldof5")
    one, several = sample_size(SPEND, effect=0.5), sample_size(SPEND, effect=0.5, sequential=GroupSequential(5, planned_n=500))
    assert exact(several) == pytest.approx(exact(one) * case["expected"]["inflation"][place], rel=case["tolerance"])
    assert several.params["expected_n"] == pytest.approx(exact(one) * case["expected"]["asn_h1"][place], rel=case["tolerance"])
    assert one.params["expected_n"] is None
    assert "planned_n=500" in several.params["notes"][0]
    again = sample_size(SPEND, effect=0.5, sequential=GroupSequential(5, planned_n=several.params["n"]))
    assert again.params["n"] == several.params["n"]
    assert again.params["notes"] == []


@pytest.mark.parametrize("design", [GroupSequential(3, planned_n=900, spending="pocock"), AlwaysValid(900)], ids=["group", "always"])
def test_inverses_of_designs_with_looks(design):
    asked = {"sequential": design, "alternative": "greater"}
    n = exact(sample_size(0.1, effect=0.02, power=0.7, **asked))
    assert power(0.1, n=n, effect=0.02, **asked).params["power"] == pytest.approx(0.7, abs=1e-9)
    assert minimum_detectable_effect(0.1, n=n, power=0.7, **asked).params["effect"] == pytest.approx(0.02, rel=1e-9)


def test_hardly_any_power_of_designs_with_looks():
    found = power(0.05, n=1_000, effect=1e-6, sequential=GroupSequential(5, planned_n=1_000))
    assert found.params["power"] == pytest.approx(0.025, abs=1e-4)


# ---------------------------------------------------------------------------------------------------------------------- laws


ASKED = st.fixed_dictionaries(
    {
        "confidence": st.sampled_from([0.9, 0.95, 0.99]),
        "alternative": st.sampled_from(["two-sided", "greater", "less"]),
        "allocation": st.sampled_from([(1, 1), (9, 1), (1, 3), (2, 1, 1), (1, 1, 2, 1)]),
        "correction": st.sampled_from([None, "bonferroni", "dunnett", "holm"]),
        "sequential": st.sampled_from([None, Looks()]),
    }
)
KNOWN = st.sampled_from([0.05, 0.5, 0.97, UNIT, Baseline(3.75, std=30, correlation=0.6), Baseline(0.2, cluster_size=12, icc=0.05)])


@settings(max_examples=60)
@given(baseline=KNOWN, asked=ASKED, share=st.floats(0.01, 0.9), chance=st.floats(0.55, 0.99))
def test_the_three_are_inverses(baseline, asked, share, chance):
    assume(not (asked["correction"] == "dunnett" and asked["sequential"]))  # which is refused
    known = baseline if isinstance(baseline, Baseline) else Baseline(baseline)
    down = asked["alternative"] == "less"
    room = (known.value if down else 1 - known.value) if known.std is None else known.std
    effect = -share * room if down else share * room
    planned = sample_size(baseline, effect=effect, power=chance, **asked)
    n = exact(planned)
    assert planned.params["power"] >= chance
    again = power(baseline, n=n, effect=effect, **asked)
    assert again.params["power"] == pytest.approx(planned.params["power"], abs=1e-9)
    assert again.params["inflation"] == pytest.approx(planned.params["inflation"], abs=1e-9)
    if planned.params["power"] == chance:
        found = minimum_detectable_effect(baseline, n=n, power=chance, **asked)
        assert found.params["effect"] == pytest.approx(effect, rel=1e-8)


@pytest.mark.parametrize("baseline", [0.3, SPEND], ids=["rate", "mean"])
@pytest.mark.parametrize("hypothesis", ["non-inferiority", "equivalence"])
def test_margins_have_inverses(baseline, hypothesis):
    asked = {"effect": 0.01, "hypothesis": hypothesis, "margin": 0.08}
    found = power(baseline, n=exact(sample_size(baseline, power=0.9, **asked)), **asked)
    assert found.params["power"] == pytest.approx(0.9, abs=1e-9)


def test_a_margin_of_means_is_added_to_the_effect():
    shifted = sample_size(SPEND, effect=-0.2, margin=0.7, hypothesis="non-inferiority")
    assert exact(shifted) == pytest.approx(exact(sample_size(SPEND, effect=0.5, alternative="greater")), rel=1e-12)
    assert exact(sample_size(SPEND, effect=0.2, margin=0.7, hypothesis="non-inferiority", alternative="less")) == pytest.approx(
        exact(sample_size(SPEND, effect=0.5, alternative="greater")), rel=1e-12
    )


def test_equivalence_without_a_difference():
    """Large samples: 2 (z_alpha + z_(beta / 2))^2 std^2 / margin^2 per variant (Chow, Shao & Wang, 2008, 3.2.3)."""
    found = sample_size(UNIT, effect=0, margin=0.001, hypothesis="equivalence")
    assert exact(found) / 2 == pytest.approx(2 * (ndtri(0.95) + ndtri(0.9)) ** 2 / 1e-6, rel=1e-5)


def test_a_fall_of_a_rate_is_a_rise_of_its_complement():
    asked = {"effect": 0.02, "hypothesis": "non-inferiority", "margin": 0.05}
    down = sample_size(0.1, alternative="less", **asked)
    up = sample_size(0.9, alternative="greater", **asked | {"effect": -0.02})
    assert exact(down) == pytest.approx(exact(up), rel=1e-9)
    assert exact(sample_size(0.1, effect=-0.03)) == pytest.approx(exact(sample_size(0.9, effect=0.03)), rel=1e-9)


def test_covariates_and_clusters_multiply():
    plain, effect = exact(sample_size(0.1, effect=0.01)), 0.01
    assert exact(sample_size(Baseline(0.1, correlation=0.8), effect=effect)) == pytest.approx(0.36 * plain)
    assert exact(sample_size(Baseline(0.1, cluster_size=21, icc=0.05), effect=effect)) == pytest.approx(2 * plain)


def test_clusters_are_what_degrees_of_freedom_count():
    clusters = power(Baseline(0, std=1, cluster_size=100, icc=1.0), n=4_000, effect=1.0)
    assert clusters.params["power"] == pytest.approx(power(UNIT, n=40, effect=1.0).params["power"], abs=1e-12)


def test_money_in_another_currency():
    one = sample_size(SPEND, effect=0.3)
    other = sample_size(Baseline(375, std=3_000), effect=30)
    assert exact(one) == pytest.approx(exact(other), rel=1e-12)
    assert exact(sample_size(Baseline(-3.75, std=30), effect=0.08, relative=True)) == pytest.approx(exact(one), rel=1e-12)


def test_corrections():
    sizes = {c: exact(sample_size(0.05, effect=0.01, allocation=(1, 1, 1), correction=c)) for c in (None, "bonferroni", "dunnett", "holm")}
    assert sizes[None] < sizes["dunnett"] < sizes["bonferroni"] == sizes["holm"]
    stricter = sample_size(0.05, effect=0.01, allocation=(1, 1, 1), confidence=0.975)
    assert sizes["bonferroni"] == pytest.approx(exact(stricter), rel=1e-9)
    # C. W. Dunnett (1964): 2.21 for two treatments
    assert -ndtri(sample_size(0.05, effect=0.01, allocation=(1, 1, 1), correction="dunnett").params["level"]) == pytest.approx(
        2.21, abs=0.005
    )


def test_the_comparison_with_the_least_power_decides():
    three = sample_size(SPEND, effect=1, allocation=(4, 2, 1))
    pair = sample_size(SPEND, effect=1, allocation=(4, 1))
    assert exact(three) * 5 / 7 == pytest.approx(exact(pair), rel=1e-12)


def test_the_other_tail_is_no_success():
    found = power(UNIT, n=40, effect=1e-9)
    assert found.params["power"] == pytest.approx(0.025, abs=1e-6)


def test_so_large_an_effect_that_two_units_each_suffice():
    found = sample_size(UNIT, effect=100)
    assert found.table["n"].tolist() == [2, 2]
    assert found.params["power"] > 0.99


def test_a_power_below_that_of_any_design_is_found():
    low = power(UNIT, n=50, effect=0.01, sequential=Looks())
    assert 0.025 < low.params["power"] < power(UNIT, n=50, effect=0.01).params["power"]
    assert power(UNIT, n=1_000, effect=9, sequential=Looks()).params["power"] == pytest.approx(1.0)


# ------------------------------------------------------------------------------------------------------------------- results


def test_the_table():
    found = sample_size(0.05, effect=0.005, allocation=(2, 1, 1))
    assert found.table["variant"].tolist() == ["control", "treatment 1", "treatment 2"]
    assert found.table["share"].tolist() == [0.5, 0.25, 0.25]
    shares = exact(found) * np.array([0.5, 0.25, 0.25])
    assert found.table["n"].tolist() == np.ceil(shares).tolist()
    assert found.params["n"] == found.table["n"].sum()


def test_units_that_are_given_are_all_assigned():
    found = power(0.3, n=1_001, effect=0.1, allocation=(1, 1, 1))
    assert found.table["n"].sum() == 1_001
    assert found.table["n"].max() - found.table["n"].min() <= 1


def test_the_curve_runs_through_the_plan():
    found = sample_size(0.05, effect=-0.004, power=0.9)
    curve = found.curve
    assert curve["effect"].iloc[[0, -1]].tolist() == [0.0, -0.008]
    assert curve["power"].iloc[0] == pytest.approx(0.025)
    assert curve["power"].iloc[50] == pytest.approx(0.9, abs=1e-9)
    assert (np.diff(curve["power"]) > -1e-12).all()
    assert curve["effect_relative"].tolist() == pytest.approx((curve["effect"] / 0.05).tolist())
    within = sample_size(0.05, effect=0, hypothesis="equivalence", margin=0.004).curve
    assert within["effect"].iloc[[0, -1]].tolist() == pytest.approx([-0.005, 0.005])
    assert within["power"].max() == pytest.approx(0.8, abs=1e-9)
    assert np.isfinite(sample_size(0.999, effect=0.0005).curve["power"]).all()


def test_what_a_plan_shows():
    text = str(sample_size(Baseline(3.75, std=30, correlation=0.5), effect=0.05, relative=True, sequential=Looks()))
    for part in ("80.0%", "0.1875 (+5.0%)", "Welch's t test", "inflation 1.14", "planned_n=1,000", ".curve"):
        assert part in text
    text = str(sample_size(0.05, effect=0, hypothesis="non-inferiority", margin=0.005, correction="holm"))
    for part in ("non-inferiority within 0.005", "Farrington and Manning", "holm is planned as bonferroni"):
        assert part in text
    assert "%)" not in str(sample_size(UNIT, effect=0.1)).splitlines()[0]


def test_plans_travel():
    found = sample_size(SPEND, effect=0.5, sequential=Looks())
    told = json.loads(json.dumps(found.to_dict()))
    assert told["table"] == found.table.to_dict("records")
    assert told["params"]["baseline"] == SPEND.to_dict()
    assert told["params"]["sequential"] == {"planned_n": 1_000}
    assert len(told["curve"]) == 101
    for again in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert str(again) == str(found)
        assert duration(again, traffic=900).table.equals(duration(found, traffic=900).table)


def test_baselines_travel():
    known = Baseline(np.float32(0.25), correlation=np.float64(0.5), cluster_size=np.int64(3), icc=0.1)
    assert Baseline.from_dict(json.loads(json.dumps(known.to_dict()))) == known
    assert hash(known) == hash(Baseline(0.25, correlation=0.5, cluster_size=3, icc=0.1))


# ------------------------------------------------------------------------------------------------------------------ duration


def test_days_of_even_traffic():
    found = duration(50_000, traffic=4_000, share=0.5)
    assert (found.params["days"], found.params["weeks"], found.params["days_recommended"]) == (25, 4, 28)
    assert found.table["day"].tolist() == list(range(1, 29))
    assert found.table["units"].iloc[24] == 50_000
    assert "power" not in found.table
    assert "run 4 whole weeks (28 days)" in str(found)


def test_weeks_repeat():
    week = [100, 100, 100, 100, 100, 300, 300]
    assert duration(1_100, traffic=week).params["days"] == 7
    assert duration(1_101, traffic=week).params["days"] == 8
    assert duration(2_200 + 501, traffic=week).params["days"] == 14 + 6


def test_the_last_week_repeats_after_a_launch():
    launch = [1_000, 500, *range(1, 8)]
    assert duration(1_528 + 28 + 1, traffic=launch).params["days"] == 9 + 7 + 1
    assert duration(1_528 + 28 + 2, traffic=launch).params["days"] == 9 + 7 + 2


def test_a_few_days_that_suffice():
    found = duration(250, traffic=[100, 100, 100])
    assert (found.params["days"], found.params["days_recommended"]) == (3, 7)
    assert found.table["units"].tolist() == [100, 200, 300]
    assert "run 1 whole week (7 days)" in str(found)


def test_power_by_day():
    plan = sample_size(SPEND, effect=2)
    found = duration(plan, traffic=500)
    by_day = [power(SPEND, n=n, effect=2).params["power"] for n in found.table["units"]]
    assert found.table["power"].tolist() == pytest.approx(by_day, abs=1e-12)
    reached = found.table["power"].to_numpy() >= 0.8
    assert int(np.argmax(reached)) + 1 == found.params["days"]
    slow = duration(sample_size(UNIT, effect=2), traffic=1)
    assert np.isnan(slow.table["power"].iloc[:3]).all()
    assert slow.table["power"].iloc[3] > 0.025


def test_expected_days_of_a_design_with_looks():
    plan = sample_size(SPEND, effect=2, sequential=Looks())
    found = duration(plan, traffic=100)
    assert found.params["expected_days"] == math.ceil(plan.params["expected_n"] / 100) < found.params["days"]
    assert duration(sample_size(SPEND, effect=2), traffic=100).params["expected_days"] is None


# ------------------------------------------------------------------------------------------------------------------- refusals


ROOM = {"effect": 0.01}
REFUSED = {
    "confidence in per cent": (lambda: sample_size(0.05, **ROOM, confidence=95), "confidence", "Did you mean 0.95?"),
    "power in per cent": (lambda: sample_size(0.05, **ROOM, power=80), "power", "Did you mean 0.8?"),
    "power of chance": (lambda: sample_size(0.05, **ROOM, power=0.02), "power", "above 0.025"),
    "no effect": (lambda: sample_size(0.05, effect=0), "effect", "nothing to find"),
    "effect is text": (lambda: sample_size(0.05, effect="5%"), "effect", "finite number"),
    "effect is missing": (lambda: sample_size(0.05, effect=math.nan), "effect", "finite number"),
    "rate above 1": (lambda: sample_size(0.05, effect=5), "effect", "Did you mean 0.05?"),
    "rate below 0": (lambda: sample_size(0.05, effect=-0.05), "effect", "to 0;"),
    "rate twenty times itself": (lambda: sample_size(0.05, effect=20, relative=True), "effect", "to 1.05"),
    "the other way": (lambda: sample_size(0.05, effect=-0.01, alternative="greater"), "effect", "Did you mean 0.01?"),
    "down, upwards": (lambda: power(0.05, n=100, effect=0.01, alternative="less"), "effect", "looks the other way"),
    "too small an effect": (lambda: sample_size(UNIT, effect=1e-9), "effect", "too small"),
    "worse than the margin": (
        lambda: sample_size(0.05, effect=-0.01, hypothesis="non-inferiority", margin=0.01),
        "effect",
        "beyond the margin",
    ),
    "worse upwards": (
        lambda: sample_size(0.05, effect=0.02, hypothesis="non-inferiority", margin=0.01, alternative="less"),
        "effect",
        "beyond the margin",
    ),
    "different by the margin": (lambda: sample_size(0.05, effect=0.01, hypothesis="equivalence", margin=0.01), "effect", "equivalence"),
    "no margin": (lambda: sample_size(0.05, effect=0, hypothesis="equivalence"), "margin", "missing"),
    "margin of a difference": (lambda: sample_size(0.05, **ROOM, margin=0.01), "margin", "superiority"),
    "margin below 0": (lambda: sample_size(0.05, effect=0, hypothesis="equivalence", margin=-0.01), "margin", "Did you mean 0.01?"),
    "margin in points": (lambda: sample_size(0.05, effect=0, hypothesis="non-inferiority", margin=2), "margin", "Did you mean 0.02?"),
    "hypothesis": (lambda: sample_size(0.05, **ROOM, hypothesis="noninferiority"), "hypothesis", "Did you mean 'non-inferiority'?"),
    "alternative": (lambda: sample_size(0.05, **ROOM, alternative="larger"), "alternative", "'greater'"),
    "one side of equivalence": (
        lambda: sample_size(0.05, effect=0, hypothesis="equivalence", margin=0.01, alternative="less"),
        "alternative",
        "both sides",
    ),
    "looks at equivalence": (
        lambda: sample_size(0.05, effect=0, hypothesis="equivalence", margin=0.01, sequential=Looks()),
        "sequential",
        "one look",
    ),
    "no design": (lambda: sample_size(0.05, **ROOM, sequential=5), "sequential", "GroupSequential"),
    "false discovery rate": (lambda: sample_size(0.05, **ROOM, correction="benjamini-hochberg"), "correction", "bonferroni"),
    "correction": (lambda: sample_size(0.05, **ROOM, correction="bonferoni"), "correction", "Did you mean 'bonferroni'?"),
    "one variant": (lambda: sample_size(0.05, **ROOM, allocation=(1,)), "allocation", "at least two"),
    "nobody in a variant": (lambda: sample_size(0.05, **ROOM, allocation=(1, 0)), "allocation", "above 0"),
    "allocation is a number": (lambda: sample_size(0.05, **ROOM, allocation=2), "allocation", "list"),
    "relative effect twice": (lambda: sample_size(0.05, effect=0.1, relative=0.1), "relative", "True or False"),
    "relative to nothing": (lambda: sample_size(UNIT, effect=0.1, relative=True), "relative", "baseline of 0"),
    "rate in per cent": (lambda: sample_size(5, effect=0.1), "value", "Did you mean 0.05, or Baseline(5.0, std=...)?"),
    "sure rate": (lambda: sample_size(1.0, effect=-0.1), "value", "between 0 and 1"),
    "rate is text": (lambda: sample_size("0.05", effect=0.1), "baseline", "a rate or a Baseline"),
    "no spread": (lambda: Baseline(3, std=0), "std", "above 0"),
    "value is missing": (lambda: Baseline(math.nan, std=1), "value", "finite"),
    "sure correlation": (lambda: Baseline(3, std=1, correlation=1), "correlation", "between -1 and 1"),
    "correlation in per cent": (lambda: Baseline(3, std=1, correlation=60), "correlation", "Did you mean 0.6?"),
    "less than a unit per cluster": (lambda: Baseline(3, std=1, cluster_size=0.5), "cluster_size", "1 or more"),
    "icc": (lambda: Baseline(3, std=1, icc=-0.1), "icc", "[0, 1]"),
    "no spread of no kind": (lambda: Baseline(0.3, correlation=None), "correlation", "finite"),
    "saved": (lambda: Baseline.from_dict({"value": 0.1}), "saved", "no entry for"),
    "n below 0": (lambda: power(0.05, n=-10, **ROOM), "n", "above 0"),
    "n is text": (lambda: power(0.05, n="many", **ROOM), "n", "number of units"),
    "n too small": (lambda: power(0.05, n=7, **ROOM, allocation=(3, 1)), "n", "8 units"),
    "too few clusters": (lambda: power(Baseline(0.05, cluster_size=10, icc=0.1), n=39, **ROOM), "n", "two clusters"),
    "n too small for any effect": (lambda: minimum_detectable_effect(0.5, n=6), "n", "not even the largest"),
    "n too small for looks": (lambda: minimum_detectable_effect(UNIT, n=4, sequential=Looks()), "n", "takes 5 units"),
    "plan is text": (lambda: duration("plan", traffic=10), "plan", "number of units"),
    "no traffic": (lambda: duration(100, traffic=0), "traffic", "above 0"),
    "no days": (lambda: duration(100, traffic=[]), "traffic", "above 0"),
    "traffic below 0": (lambda: duration(100, traffic=[10, -1]), "traffic", "0 or more"),
    "traffic that ends": (lambda: duration(100, traffic=[10, 10]), "traffic", "20 units in 2 days"),
    "traffic that dries up": (lambda: duration(100, traffic=[50] + [0] * 7), "traffic", "in 3,653 days"),
    "traffic is text": (lambda: duration(100, traffic="many"), "traffic", "list"),
    "share in per cent": (lambda: duration(100, traffic=10, share=50), "share", "Did you mean 0.5?"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    call, argument, says = REFUSED[case]
    check_refused(call, om.ParameterError, f"parameter.{argument}", [says])


def test_what_is_just_within_the_rules():
    assert power(0.05, n=8, **ROOM, allocation=(3, 1)).params["power"] > 0.025
    assert duration(100, traffic=[50, 50]).params["days"] == 2
    assert sample_size(0.05, effect=-0.0499).params["n"] > 0
    assert float(ndtr(-1)) < minimum_detectable_effect(0.5, n=30).params["effect"] < 0.5
