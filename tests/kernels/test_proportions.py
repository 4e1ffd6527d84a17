"""Two proportions: published intervals, R's and scipy's tests, exact levels by enumeration, and the laws they must obey."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtr, ndtri
from statsmodels.stats.proportion import confint_proportions_2indep

from opsmetrics._kernels.proportions import boschloo, constrained, fisher, koopman, miettinen_nurminen, newcombe, score_test, score_z
from tests.support import reference

Z = float(ndtri(0.975))
INTERVALS = {"miettinen_nurminen": miettinen_nurminen, "koopman": koopman, "newcombe": newcombe}
NEWCOMBE_ROWS = ["a", "b", "c", "d", "e", "f", "h"]
MARGINS = ["-0.05", "-0.02", "0.01"]


def arms(largest: int, smallest: int = 1) -> st.SearchStrategy[tuple[int, int, int, int]]:
    arm = st.integers(smallest, largest).flatmap(lambda n: st.tuples(st.one_of(st.integers(0, n), st.sampled_from([0, n])), st.just(n)))
    return st.tuples(arm, arm).map(lambda pair: (*pair[0], *pair[1]))


def inner(largest: int) -> st.SearchStrategy[tuple[int, int, int, int]]:
    """Arms with a success and a failure each."""
    arm = st.integers(2, largest).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n)))
    return st.tuples(arm, arm).map(lambda pair: (*pair[0], *pair[1]))


ARMS, SMALL, CRITICAL = arms(10**6), arms(30), st.floats(0.01, 12)


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    return {case["id"]: case for case in reference("ab.json")}


def counts(case: dict[str, Any]) -> tuple[int, int, int, int]:
    given = case["inputs"]
    return given["x1"], given["n1"], given.get("x2", given.get("x0")), given.get("n2", given.get("n0"))


def ends(method: str, table: tuple[int, int, int, int], z_low: float = Z, z_high: float | None = None) -> tuple[float, float]:
    low, high = INTERVALS[method](*table, z_low, z_low if z_high is None else z_high)
    return float(low), float(high)


def failures(table: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    k1, n1, k0, n0 = table
    return n1 - k1, n1, n0 - k0, n0


def swapped(table: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return *table[2:], *table[:2]


# ------------------------------------------------------------------------------------------------------ published values


@pytest.mark.parametrize("row", NEWCOMBE_ROWS)
def test_newcombes_published_intervals(published, row):
    case = published[f"newcombe_diff_{row}"]
    expected = case["expected"]["low"], case["expected"]["high"]
    assert ends("newcombe", counts(case)) == pytest.approx(expected, abs=case["tolerance"])


@pytest.mark.parametrize("row", range(4))
def test_published_score_intervals_of_a_difference(published, row):
    """Mee's interval has no factor N / (N - 1) in its variance: ours with the critical value that takes it out."""
    case = published[f"diff_methods_{row}"]
    k1, n1, k0, n0 = counts(case)
    plain = Z * math.sqrt(1 - 1 / (n1 + n0))
    assert ends("miettinen_nurminen", (k1, n1, k0, n0)) == pytest.approx(case["expected"]["miettinen_nurminen"], abs=case["tolerance"])
    assert ends("miettinen_nurminen", (k1, n1, k0, n0), plain) == pytest.approx(
        case["expected"]["mee_farrington_manning"], abs=case["tolerance"]
    )


def test_the_published_newcombe_interval_of_the_hiv_trial(published):
    case = published["diff_methods_3"]
    assert ends("newcombe", counts(case)) == pytest.approx(case["expected"]["newcombe"], abs=case["tolerance"])


@pytest.mark.parametrize("margin", MARGINS)
def test_constrained_rates_are_those_of_rpact(published, margin):
    case = published[f"fm_mle_{margin}"]
    p1, p0 = constrained(*counts(case), case["inputs"]["theta"])
    assert (float(p1), float(p0)) == pytest.approx((case["expected"]["p1"], case["expected"]["p0"]), abs=case["tolerance"])


def test_the_score_test_is_prop_test_of_r_without_correction(published):
    case = published["proptest_ecom"]
    z = float(score_z(*counts(case)))
    assert z < 0
    assert z * z == pytest.approx(case["expected"]["chi2"], rel=case["tolerance"])
    assert 2 * ndtr(z) == pytest.approx(case["expected"]["p"], rel=case["tolerance"])


@pytest.mark.parametrize("name", ["fisher_tea", "fisher_convictions"])
def test_fishers_published_tables(published, name):
    """The tables have a row for each outcome or arm: R's odds ratio is that of [[k1, k0], [failures]], and symmetric."""
    case = published[name]
    (k1, k0), (lost1, lost0) = case["inputs"]["table"]
    table = k1, k1 + lost1, k0, k0 + lost0
    names = {"p_two_sided": "two-sided", "p_greater": "greater", "p_less": "less"}
    checked = [key for key in case["expected"] if key in names]
    assert len(checked) == 2
    for key in checked:
        assert float(fisher(*table, names[key])) == pytest.approx(case["expected"][key], rel=case["tolerance"] * 10)


def test_koopmans_published_interval():
    """Koopman (1984): 36 of 40 against 16 of 80, 95 %."""
    low, high = ends("koopman", (36, 40, 16, 80))
    assert (round(low, 2), round(high, 2)) == (2.94, 7.15)


def test_boschloo_of_the_documentation_of_scipy():
    """74 of 117 against 31 of 63, satisfied employees: 0.0355641 for "more in the first"."""
    assert boschloo(74, 117, 31, 63, "greater") == pytest.approx(0.0355641, abs=5e-8)


# -------------------------------------------------------------------------------------------------------- levels, exactly


def all_tables(n1: int, n0: int) -> tuple[np.ndarray, np.ndarray]:
    k1, k0 = np.meshgrid(np.arange(n1 + 1), np.arange(n0 + 1), indexing="ij")
    return k1.ravel(), k0.ravel()


def chances(n1: int, p1: float, n0: int, p0: float) -> np.ndarray:
    return np.outer(stats.binom.pmf(np.arange(n1 + 1), n1, p1), stats.binom.pmf(np.arange(n0 + 1), n0, p0)).ravel()


@pytest.mark.parametrize(("n1", "n0", "rate", "level"), [(100, 100, 0.05, 0.044), (100, 900, 0.05, 0.047), (500, 500, 0.05, 0.049)])
def test_the_size_of_the_score_test(n1, n0, rate, level):
    k1, k0 = all_tables(n1, n0)
    rejected = np.abs(score_z(k1, n1, k0, n0)) > Z
    assert round(float(chances(n1, rate, n0, rate)[rejected].sum()), 3) == level


@pytest.mark.parametrize(
    ("n1", "n0", "p1", "p0", "coverage"),
    [(100, 100, 0.05, 0.05, 0.956), (100, 900, 0.05, 0.05, 0.953), (100, 900, 0.08, 0.05, 0.952)],
)
def test_the_coverage_of_miettinen_and_nurminen(n1, n0, p1, p0, coverage):
    k1, k0 = all_tables(n1, n0)
    low, high = miettinen_nurminen(k1, n1, k0, n0, Z, Z)
    covers = (low <= p1 - p0) & (p1 - p0 <= high)
    if p1 == p0:
        pooled = (k1 + k0) / (n1 + n0)
        limit = Z * np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n0) * (n1 + n0) / (n1 + n0 - 1))
        assert covers.tolist() == (np.abs(k1 / n1 - k0 / n0) <= limit).tolist()
    assert round(float(chances(n1, p1, n0, p0)[covers].sum()), 3) == coverage


@pytest.mark.parametrize(("n1", "n0", "rate", "coverage"), [(100, 100, 0.05, 0.956), (100, 900, 0.05, 0.953)])
def test_the_coverage_of_koopman(n1, n0, rate, coverage):
    """At equal rates that of the score test, as both are one: 1 less its size."""
    k1, k0 = all_tables(n1, n0)
    low, high = koopman(k1, n1, k0, n0, Z, Z)
    covers = (low <= 1) & (high >= 1)
    assert round(float(chances(n1, rate, n0, rate)[covers].sum()), 3) == coverage
    assert covers.tolist() == (np.abs(score_z(k1, n1, k0, n0)) <= Z).tolist()


@pytest.mark.parametrize("n", [8, 25])
@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_exact_tests_hold_their_level_at_every_rate(n, alternative):
    tables = [(k1, n, k0, n + 3) for k1 in range(n + 1) for k0 in range(n + 4)]
    unconditional = np.array([boschloo(*table, alternative) for table in tables])
    conditional = fisher(*np.array(tables).T, alternative)
    for rate in np.linspace(0.02, 0.98, 25):
        at = chances(n, rate, n + 3, rate)
        sizes = [float(at[p <= 0.05].sum()) for p in (conditional, unconditional)]
        assert sizes[0] <= 0.05
        assert sizes[1] <= 0.05
        if alternative != "two-sided":
            assert sizes[1] >= sizes[0]  # what the raised level gains


# --------------------------------------------------------------------------------------------------------------- witnesses


def likelihood(table: tuple[int, int, int, int], p1: float, p0: float) -> float:
    k1, n1, k0, n0 = table
    return float(stats.binom.pmf(k1, n1, p1) * stats.binom.pmf(k0, n0, p0))


@given(inner(1000), st.floats(-0.99, 0.99))
def test_constrained_rates_are_the_root_of_the_published_cubic(table, margin):
    """Miettinen & Nurminen (1985), appendix I, in p0; the root within the rates' range."""
    k1, n1, k0, n0 = table
    total, size = k1 + k0, n1 + n0
    cubic = [size, (n1 + 2 * n0) * margin - size - total, (n0 * margin - size - 2 * k0) * margin + total, k0 * margin * (1 - margin)]
    p1, p0 = (float(p) for p in constrained(*table, margin))
    assert p1 - p0 == pytest.approx(margin, abs=1e-14)
    assert 0 < p1 < 1
    assert 0 < p0 < 1
    assert np.polyval(cubic, p0) == pytest.approx(0, abs=1e-13 * size)


@given(ARMS, st.floats(-1, 1))
def test_constrained_rates_differ_by_the_margin(table, margin):
    p1, p0 = (float(p) for p in constrained(*table, margin))
    assert 0 <= p1 <= 1
    assert 0 <= p0 <= 1
    assert p1 - p0 == pytest.approx(margin, abs=1e-13)


@given(arms(200), st.integers(-1000, 1000), st.integers(0, 1000))
def test_no_rates_with_this_difference_are_more_likely(table, margin, other):
    margin, other = margin / 1000, other / 1000
    p1, p0 = (float(p) for p in constrained(*table, margin))
    low, high = max(0.0, -margin), min(1.0, 1 - margin)
    tried = low + other * (high - low)
    assume(0 <= tried + margin <= 1)
    assert likelihood(table, p1, p0) >= likelihood(table, tried + margin, tried) * (1 - 1e-9)


def score_of_ratio(table, ratio):
    """The score statistic of a ratio of rates in 40 digits, with the constrained rates from the quadratic of Koopman (1984)."""
    k1, n1, k0, n0 = table
    with mp.workdps(40):
        r = mp.mpf(ratio)
        a, b, c = (n1 + n0) * r, -(n1 * r + k1 + n0 + k0 * r), k1 + k0
        p0 = (-b - mp.sqrt(b * b - 4 * a * c)) / (2 * a)
        spread = r * p0 * (1 - r * p0) / n1 + r * r * p0 * (1 - p0) / n0
        return float((mp.mpf(k1) / n1 - r * mp.mpf(k0) / n0) / mp.sqrt(spread))


@settings(max_examples=30)  # the witness is slow
@example(table=(1, 10, 1276, 1321), z=3.0)
@given(table=inner(3000), z=st.floats(0.3, 6))
def test_koopman_is_that_of_statsmodels(table, z):
    """As near as its search comes, which ends in the sixth digit; and the ends solve their equation, whatever it says."""
    assume(min(table[1], table[3]) >= 10)
    try:
        expected = confint_proportions_2indep(*table, compare="ratio", method="score", alpha=2 * float(ndtr(-z)), correction=False)
    except (ValueError, RuntimeWarning):  # its search has a bracket that is too small
        assume(False)
    low, high = ends("koopman", table, z)
    assert (low, high) == pytest.approx(expected, rel=1e-5)
    assert score_of_ratio(table, low) == pytest.approx(z, rel=1e-9)
    assert score_of_ratio(table, high) == pytest.approx(-z, rel=1e-9)


@pytest.mark.parametrize("table", [(1, 2, 1288, 1483), (36, 40, 16, 80), (500, 10_000, 560, 10_000)], ids=str)
def test_the_low_end_of_koopman_s_interval_solves_its_equation(table):
    low, _ = ends("koopman", table, 1.5)
    assert score_of_ratio(table, low) == pytest.approx(1.5, rel=1e-12)


@given(ARMS, CRITICAL)
def test_newcombe_s_interval_is_that_of_statsmodels(table, z):
    expected = confint_proportions_2indep(*table, compare="diff", method="newcomb", alpha=2 * float(ndtr(-z)))
    assert ends("newcombe", table, z) == pytest.approx(expected, rel=1e-7, abs=1e-12)


@given(ARMS)
def test_the_score_test_is_pearsons(table):
    k1, n1, k0, n0 = table
    z = float(score_z(*table))
    assert float(score_test(*table)) == 2 * ndtr(-abs(z))
    assert math.copysign(1, z) == math.copysign(1, k1 / n1 - k0 / n0) or z == 0
    if 0 < k1 + k0 < n1 + n0:
        chi2 = stats.chi2_contingency([[k1, n1 - k1], [k0, n0 - k0]], correction=False).statistic
        assert z * z == pytest.approx(chi2, rel=1e-6, abs=1e-12)


@settings(max_examples=300)
@given(arms(400))
def test_fisher_is_that_of_scipy(table):
    k1, n1, k0, n0 = table
    for alternative in ("two-sided", "greater", "less"):
        expected = stats.fisher_exact([[k1, k0], [n1 - k1, n0 - k0]], alternative).pvalue
        assert float(fisher(*table, alternative)) == pytest.approx(expected, rel=1e-9, abs=1e-290)


@pytest.mark.parametrize("table", [(2_000, 10**6, 2_200, 10**6), (30, 10**7, 70, 10**7), (900, 1000, 500, 1000)], ids=str)
def test_fisher_of_a_shop_of_millions(table):
    """The tails by mpmath, at 40 digits."""
    import mpmath

    k1, n1, k0, n0 = table
    total = k1 + k0
    with mpmath.workdps(40):
        term = mpmath.binomial(n1, k1) * mpmath.binomial(n0, k0) / mpmath.binomial(n1 + n0, total)
        tail = mpmath.mpf(0)
        step, x = (-1, k1) if k1 / n1 < k0 / n0 else (1, k1)
        while term > tail * mpmath.mpf(10) ** -20:
            tail += term
            y = total - x
            term *= mpmath.mpf(x * (n0 - y)) / ((n1 - x + 1) * (y + 1)) if step < 0 else mpmath.mpf((n1 - x) * y) / ((x + 1) * (n0 - y + 1))
            x += step
    assert float(fisher(*table, "less" if step < 0 else "greater")) == pytest.approx(float(tail), rel=1e-10)


@settings(max_examples=25)  # the witness is slow
@given(arms(25))
def test_boschloo_is_that_of_scipy(table):
    """Scipy's search of the nuisance rate may end below the supremum, and never above."""
    k1, n1, k0, n0 = table
    assume(0 < k1 + k0 < n1 + n0)
    for alternative in ("two-sided", "greater", "less"):
        expected = stats.boschloo_exact([[k1, k0], [n1 - k1, n0 - k0]], alternative, n=64).pvalue
        found = boschloo(*table, alternative)
        assert found >= expected * (1 - 1e-9)
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("table", [(7, 12, 2, 15), (10, 60, 3, 90), (1, 9, 0, 140), (25, 40, 12, 35)], ids=str)
def test_boschloo_by_brute_force(table):
    """The definition: all tables, the tail of scipy's hypergeometric, 20,001 nuisance rates."""
    k1, n1, k0, n0 = table
    x1, x0 = all_tables(n1, n0)
    tails = stats.hypergeom.sf(x1 - 1, n1 + n0, x1 + x0, n1)
    extreme = (tails <= stats.hypergeom.sf(k1 - 1, n1 + n0, k1 + k0, n1) * (1 + 1e-9)).reshape(n1 + 1, n0 + 1)
    grid = np.linspace(0, 1, 20_001)[:, None]
    first, second = stats.binom.pmf(np.arange(n1 + 1), n1, grid), stats.binom.pmf(np.arange(n0 + 1), n0, grid)
    highest = float(np.einsum("gi,ij,gj->g", first, extreme.astype(float), second, optimize=True).max())
    assert boschloo(*table, "greater") == pytest.approx(highest, rel=1e-6)
    assert boschloo(*table, "greater") >= highest * (1 - 1e-12)


# -------------------------------------------------------------------------------------------------------------------- laws


@given(ARMS, CRITICAL)
def test_the_ends_are_where_the_score_test_turns(table, z):
    """The definition, by the score statistic of the margin; where 0 or 1 is among the rates the statistic has a kink."""
    k1, n1, k0, n0 = table
    factor = math.sqrt(1 - 1 / (n1 + n0))
    low, high = ends("miettinen_nurminen", table, z)
    for end, sign in ((low, 1), (high, -1)):
        width = sign * (k1 / n1 - k0 / n0 - end)
        assume(width > 1e-9 and abs(end) < 1 - 1e-9)
        outside, inside = (sign * factor * float(score_z(*table, end - sign * step * width)) for step in (1e-6, -1e-6))
        assert inside <= z * (1 + 1e-9)
        assert outside >= z * (1 - 1e-9)
        assert outside > inside


@given(ARMS, CRITICAL)
def test_one_is_outside_koopmans_interval_exactly_when_the_score_test_rejects(table, z):
    statistic = float(score_z(*table))
    assume(abs(abs(statistic) - z) > 1e-9)
    low, high = ends("koopman", table, z)
    assert (low > 1) == (statistic > z)
    assert (high < 1) == (statistic < -z)


@given(ARMS, CRITICAL)
def test_zero_is_outside_the_interval_of_the_difference_exactly_when_the_corrected_score_test_rejects(table, z):
    statistic = float(score_z(*table)) * math.sqrt(1 - 1 / (table[1] + table[3]))
    assume(abs(abs(statistic) - z) > 1e-9)
    low, high = ends("miettinen_nurminen", table, z)
    assert (low > 0) == (statistic > z)
    assert (high < 0) == (statistic < -z)


@pytest.mark.parametrize("method", INTERVALS)
@given(table=ARMS, z=CRITICAL, other=CRITICAL)
def test_swapping_arms_mirrors(method, table, z, other):
    (low, high), (mirrored_high, mirrored_low) = ends(method, table, z, other), ends(method, swapped(table), other, z)
    if method == "koopman":
        assert (low, high) == pytest.approx(
            (1 / mirrored_low if mirrored_low else math.inf, 1 / mirrored_high if mirrored_high else math.inf)
        )
    else:
        assert (low, high) == (-mirrored_low, -mirrored_high)


@given(ARMS, st.floats(-0.999, 0.999))
def test_swapping_arms_or_outcomes_turns_the_score(table, margin):
    z = float(score_z(*table, margin))
    assert float(score_z(*swapped(table), -margin)) == pytest.approx(-z, rel=1e-6, abs=1e-9)
    assert float(score_z(*failures(table), -margin)) == pytest.approx(-z, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("method", ["miettinen_nurminen", "newcombe"])
@given(table=ARMS, z=CRITICAL)
def test_successes_and_failures_mirror_each_other(method, table, z):
    low, high = ends(method, table, z)
    assert ends(method, failures(table), z) == pytest.approx((-high, -low), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("method", INTERVALS)
@given(table=ARMS, one=CRITICAL, other=CRITICAL)
def test_a_wider_critical_value_is_a_wider_interval_around_the_estimate(method, table, one, other):
    k1, n1, k0, n0 = table
    less, more = sorted((one, other))
    assume(more - less > 1e-3)
    inner, outer = ends(method, table, less), ends(method, table, more)
    if method == "koopman":
        assume(k1 + k0 > 0)
        estimate, least, most = (k1 / n1) / (k0 / n0) if k0 else math.inf, 0.0, math.inf
    else:
        estimate, least, most = k1 / n1 - k0 / n0, -1.0, 1.0
    assert least <= outer[0] <= inner[0] <= estimate <= inner[1] <= outer[1] <= most
    assert outer[0] < inner[0] or inner[0] in {least, estimate}
    assert outer[1] > inner[1] or inner[1] in {most, estimate}


@pytest.mark.parametrize("method", INTERVALS)
@given(table=ARMS, z=CRITICAL)
def test_an_infinite_critical_value_leaves_its_end_open(method, table, z):
    least, most = (0.0, math.inf) if method == "koopman" else (-1.0, 1.0)
    low, high = ends(method, table, z)
    assert ends(method, table, math.inf, z) == (least, high)
    assert ends(method, table, z, math.inf) == (low, most)


@given(SMALL)
def test_one_sided_exact_tests_overlap_in_this_table_alone(table):
    k1, n1, k0, n0 = table
    here = float(stats.hypergeom.pmf(k1, n1 + n0, k1 + k0, n1))
    greater, less = float(fisher(*table, "greater")), float(fisher(*table, "less"))
    assert greater + less == pytest.approx(1 + here, rel=1e-12)


@settings(max_examples=50)
@given(SMALL)
def test_swapping_arms_or_outcomes_turns_exact_tests(table):
    for other in (swapped(table), failures(table)):
        assert float(fisher(*table, "greater")) == pytest.approx(float(fisher(*other, "less")), rel=1e-12)
        assert float(fisher(*table, "two-sided")) == pytest.approx(float(fisher(*other, "two-sided")), rel=1e-12)
        assert boschloo(*table, "greater") == pytest.approx(boschloo(*other, "less"), rel=1e-9)
        assert boschloo(*table, "two-sided") == pytest.approx(boschloo(*other, "two-sided"), rel=1e-9)


@settings(max_examples=50)
@given(arms(300))
def test_boschloo_is_uniformly_more_powerful_than_fisher(table):
    assert boschloo(*table, "greater") <= float(fisher(*table, "greater")) * (1 + 1e-12)
    assert boschloo(*table, "less") <= float(fisher(*table, "less")) * (1 + 1e-12)


# ------------------------------------------------------------------------------------------------------------------- edges


@pytest.mark.parametrize("table", [(0, 7, 0, 9), (7, 7, 9, 9), (1, 3, 3, 9)], ids=str)
def test_equal_rates_have_no_score(table):
    assert float(score_z(*table)) == 0.0


def test_without_trials_nothing_is_known():
    for table in ((0, 0, 3, 10), (3, 10, 0, 0), (0, 0, 0, 0)):
        assert ends("miettinen_nurminen", table) == ends("newcombe", table) == (-1.0, 1.0)
        assert ends("koopman", table) == (0.0, math.inf)
        assert np.isnan(score_z(*table))
        assert np.isnan(score_z(*table, 0.1))
        assert np.isnan(constrained(*table, 0.1)).all()
        assert float(fisher(*table, "two-sided")) == 1.0
        assert boschloo(*table, "two-sided") == 1.0


def test_missing_counts_or_critical_values_stay_missing():
    assert np.isnan(ends("miettinen_nurminen", (math.nan, 10, 3, 10))).all()
    assert np.isnan(ends("koopman", (math.nan, 10, 3, 10))).all()
    for method in ("miettinen_nurminen", "koopman", "newcombe"):
        low, high = ends(method, (4, 10, 3, 10), math.nan, Z)
        assert math.isnan(low)
        assert high == ends(method, (4, 10, 3, 10))[1]


def test_empty_arms_of_a_ratio():
    assert ends("koopman", (0, 9, 4, 9))[0] == 0.0
    assert 0 < ends("koopman", (0, 9, 4, 9))[1] < 1.4
    assert ends("koopman", (4, 9, 0, 9))[1] == math.inf
    assert ends("koopman", (4, 9, 0, 9))[0] > 0.7
    assert ends("koopman", (0, 9, 0, 9)) == (0.0, math.inf)


def test_all_against_all_by_hand():
    """Only the rate of the treatment gives way: 1 = p1 with n1 (1 - p1) / p1 = z^2."""
    low, high = ends("koopman", (12, 12, 30, 30), 2.0)
    assert (low, high) == pytest.approx((12 / 16, 34 / 30), rel=1e-14)


def test_all_against_none_reaches_the_end():
    low, high = ends("miettinen_nurminen", (10, 10, 0, 20))
    assert high == 1.0
    assert low == pytest.approx(0.7156, abs=1.1e-4)
    assert ends("miettinen_nurminen", (0, 20, 10, 10)) == (-1.0, -low)


def test_the_widest_margins():
    assert [float(p) for p in constrained(3, 10, 4, 10, -1.0)] == [0.0, 1.0]
    assert [float(p) for p in constrained(3, 10, 4, 10, 1.0)] == [1.0, 0.0]
    assert float(score_z(3, 10, 4, 10, -1.0)) == math.inf
    assert float(score_z(3, 10, 4, 10, 1.0)) == -math.inf
    assert float(score_z(10, 10, 0, 10, 1.0)) == 0.0
    assert np.isnan(score_z(3, 10, 4, 10, 1.5))


def test_a_zero_critical_value_leaves_the_estimate():
    assert ends("miettinen_nurminen", (3, 10, 4, 20), 0.0) == pytest.approx((0.1, 0.1), abs=1e-16)
    assert ends("koopman", (3, 10, 4, 20), 0.0) == pytest.approx((1.5, 1.5), rel=1e-15)
    assert ends("newcombe", (3, 10, 4, 20), 0.0) == pytest.approx((0.1, 0.1), abs=1e-16)


def test_a_vanishing_p_value_is_no_error():
    assert boschloo(10_000, 10_000, 0, 10_000, "greater") == 0.0
    assert float(fisher(10_000, 10_000, 0, 10_000, "two-sided")) == 0.0
    assert float(fisher(500, 500, 0, 500, "greater")) == pytest.approx(1 / math.comb(1000, 500), rel=1e-9)


def test_comparisons_are_independent_and_keep_their_shape():
    tables = np.array([(0, 10, 0, 10), (10, 10, 0, 20), (9, 10, 3, 10), (500, 10_000, 560, 10_000), (0, 0, 1, 5), (7, 7, 3, 9)])
    for method, interval in INTERVALS.items():
        low, high = interval(*tables.T, Z, 1.0)
        assert list(zip(low.tolist(), high.tolist(), strict=True)) == [ends(method, tuple(row), Z, 1.0) for row in tables.tolist()]
    for alternative in ("two-sided", "greater", "less"):
        found = fisher(*tables.T.reshape(4, 2, 3), alternative)
        assert found.shape == (2, 3)
        assert found.ravel() == pytest.approx([float(fisher(*row, alternative)) for row in tables.tolist()], rel=1e-12)
    assert score_z(*tables.T, [[0.1], [0.0]]).shape == (2, 6)


@pytest.mark.parametrize("method", INTERVALS)
def test_no_comparisons_at_all(method):
    none = np.array([], dtype=np.int64)
    assert [end.size for end in INTERVALS[method](none, none, none, none, Z, Z)] == [0, 0]
    assert fisher(none, none, none, none, "two-sided").size == 0
    assert score_z(none, none, none, none, 0.1).size == 0
