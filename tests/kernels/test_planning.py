"""Power before a test: R's and PowerTOST's values, exact sums over all tables, integrals by mpmath, and laws."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from scipy.special import ndtr, ndtri
from statsmodels.stats.power import TTestIndPower

from opsmetrics._kernels import planning, proportions
from tests.support import reference

Z = 1.959963984540054


@pytest.fixture(scope="module")
def published():
    return {case["id"]: case for case in reference("ab.json")}


def test_t_as_r_has_it(published):
    case = published["power_t_1"]
    n = case["inputs"]["n"]
    found = planning.power_of_means(case["inputs"]["delta"], np.sqrt(2 / n), planning.welch_df(n, n), 0.025)
    assert float(found) == pytest.approx(case["expected"]["power"], abs=case["tolerance"])


def test_rates_as_r_has_them(published):
    case = published["power_prop_1"]
    n = case["inputs"]["n"]
    found = planning.power_of_rates(case["inputs"]["p1"], case["inputs"]["p2"], n, n, 0.0, 0.025)
    assert float(found) == pytest.approx(case["expected"]["power"], abs=case["tolerance"])


def test_two_one_sided_tests_as_powertost_has_them():
    # R package PowerTOST, ?expectedpower: power.TOST(CV = 0.3, n = 40) gives 0.8158453 at a ratio of 0.95 within 0.8 ... 1.25; its 2x2
    # crossover has the error sqrt(2 mse / n), mse = log(1 + CV^2), and n - 2 degrees of freedom.
    error = np.sqrt(2 * np.log(1 + 0.3**2) / 40)
    found = planning.power_of_equivalent_means(np.log(0.95), np.log(1.25), error, 38, 0.05)
    assert float(found) == pytest.approx(0.8158453, abs=5e-8)


def noncentral(ncp, df, t):
    """P(T > t), integrated over the standard deviation with 30 digits."""
    with mpmath.workdps(30):
        half = mpmath.mpf(df) / 2
        constant = mpmath.log(2) + half * mpmath.log(half) - mpmath.loggamma(half)
        spread = 1 / mpmath.sqrt(4 * half)
        points = sorted({max(mpmath.mpf(0), 1 + k * spread) for k in (-14, -6, -2, 0, 2, 6, 14, 30)})

        def density(s):
            return mpmath.exp(constant + (2 * half - 1) * mpmath.log(s) - half * s * s) if s > 0 else mpmath.mpf(0)

        return float(mpmath.quad(lambda s: mpmath.ncdf(ncp - t * s) * density(s), points))


@pytest.mark.parametrize("df", [2, 3, 11.1, 1_000, 1e7], ids=str)
@pytest.mark.parametrize("ncp", [0.5, 2.8, 6.0], ids=str)
def test_the_noncentral_t(df, ncp):
    critical = float(-stats.t.ppf(0.025, df))
    assert float(planning.power_of_means(ncp, 1.0, df, 0.025)) == pytest.approx(noncentral(ncp, df, critical), abs=1e-11)


def test_many_degrees_of_freedom_are_the_normal():
    assert float(planning.power_of_means(2.8, 1.0, 1e13, 0.025)) == pytest.approx(float(ndtr(2.8 - Z)), abs=1e-12)


def test_statsmodels_in_equal_arms():
    for n, effect in ((2, 1.0), (10, 0.8), (300, 0.2)):
        witness = TTestIndPower().power(effect, n, 0.025, alternative="larger")
        found = planning.power_of_means(effect, np.sqrt(2 / n), planning.welch_df(n, n), 0.025)
        assert float(found) == pytest.approx(witness, abs=1e-9)


@pytest.mark.parametrize(("m", "n"), [(2, 2), (5, 5), (90, 10), (3, 1_000)])
def test_degrees_of_freedom_as_scipy_finds_them(m, n):
    arms = [np.r_[-1.0, 1.0, np.zeros(size - 2)] * np.sqrt(size - 1) for size in (m, n)]  # of equal variance
    assert float(planning.welch_df(m, n)) == pytest.approx(stats.ttest_ind(*arms, equal_var=False).df)


def test_too_few_units_have_no_degrees_of_freedom():
    assert np.isnan(planning.welch_df([1.9, 5.0], [5.0, 1.0])).all()


def test_unequal_arms_at_random():
    """Welch's own degrees of freedom, and not m + n - 2, foretell how often Welch's test rejects."""
    m, n, effect, runs = 54, 6, 1.3, 400_000
    rng = np.random.default_rng(7)
    difference = effect + rng.standard_normal(runs) * np.sqrt(1 / m + 1 / n)
    a, b = rng.chisquare(m - 1, runs) / (m - 1) / m, rng.chisquare(n - 1, runs) / (n - 1) / n
    df = (a + b) ** 2 / (a * a / (m - 1) + b * b / (n - 1))
    rejected = (difference / np.sqrt(a + b) > -stats.t.ppf(0.025, df)).mean()
    error = np.sqrt(1 / m + 1 / n)
    assert float(planning.power_of_means(effect, error, planning.welch_df(m, n), 0.025)) == pytest.approx(rejected, abs=0.015)
    assert abs(float(planning.power_of_means(effect, error, m + n - 2, 0.025)) - rejected) > 0.05


@pytest.mark.parametrize("df", [2, 6, 38, 400], ids=str)
def test_two_one_sided_tests_by_mpmath(df):
    effect, margin, critical = 0.3, 4.5, float(-stats.t.ppf(0.05, df))

    def density(s):
        return stats.chi2.pdf(df * s * s, df) * 2 * df * s

    def inside(s):
        return float(ndtr(margin - effect - critical * s) - ndtr(critical * s - margin - effect)) * density(s)

    expected = float(mpmath.quad(lambda s: inside(float(s)), np.linspace(0, margin / critical, 9).tolist()))
    assert float(planning.power_of_equivalent_means(effect, margin, 1.0, df, 0.05)) == pytest.approx(expected, abs=1e-9)


def test_two_one_sided_tests_of_too_few():
    assert float(planning.power_of_equivalent_means(0.0, 0.1, 5.0, 3, 0.05)) == pytest.approx(0.0, abs=1e-3)
    assert float(planning.power_of_equivalent_rates(0.5, 0.5, 10, 10, 0.05, 0.05)) == 0.0


def likeliest(p0, p1, n0, n1, difference):
    """The rates at that difference with the highest likelihood, searched for."""
    ends = max(0.0, -difference) + 1e-12, min(1.0, 1 - difference) - 1e-12

    def unlikely(q0):
        q1 = q0 + difference
        return -sum(n * (p * np.log(q) + (1 - p) * np.log(1 - q)) for n, p, q in ((n0, p0, q0), (n1, p1, q1)))

    q0 = optimize.minimize_scalar(unlikely, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
    return q0, q0 + difference


@pytest.mark.parametrize(
    ("p0", "p1", "n0", "n1", "margin"), [(0.3, 0.3, 200, 200, 0.1), (0.05, 0.06, 900, 100, 0.03), (0.9, 0.88, 50, 150, 0.12)]
)
def test_rates_with_a_margin(p0, p1, n0, n1, margin):
    """Farrington and Manning's formula from its definition."""
    q0, q1 = likeliest(p0, p1, n0, n1, -margin)
    null, true = (np.sqrt(a * (1 - a) / n0 + b * (1 - b) / n1) for a, b in ((q0, q1), (p0, p1)))
    expected = ndtr((p1 - p0 + margin - Z * null) / true)
    assert float(planning.power_of_rates(p0, p1, n0, n1, margin, 0.025)) == pytest.approx(float(expected), abs=1e-6)


def exact(p0, p1, n0, n1, rejects):
    """The chance to reject, summed over all tables."""
    k0, k1 = np.meshgrid(np.arange(n0 + 1), np.arange(n1 + 1), indexing="ij")
    chance = stats.binom.pmf(k0, n0, p0) * stats.binom.pmf(k1, n1, p1)
    return float(chance[rejects(k1, n1, k0, n0)].sum())


@pytest.mark.parametrize(
    ("p0", "p1", "n0", "n1", "margin"), [(0.3, 0.42, 250, 250, 0.0), (0.3, 0.3, 300, 300, 0.1), (0.5, 0.47, 400, 200, 0.12)]
)
def test_rates_against_all_tables(p0, p1, n0, n1, margin):
    found = planning.power_of_rates(p0, p1, n0, n1, margin, 0.025)
    expected = exact(p0, p1, n0, n1, lambda *counts: proportions.score_z(*counts, -margin) > Z)
    assert float(found) == pytest.approx(expected, abs=0.012)


def test_equivalent_rates_against_all_tables():
    z = -ndtri(0.05)
    found = planning.power_of_equivalent_rates(0.3, 0.32, 300, 400, 0.13, 0.05)

    def both(*counts):
        return (proportions.score_z(*counts, -0.13) > z) & (proportions.score_z(*counts, 0.13) < -z)

    assert float(found) == pytest.approx(exact(0.3, 0.32, 300, 400, both), abs=0.012)


@given(df=st.floats(2, 1e9), level=st.floats(1e-6, 0.4))
def test_nothing_is_found_as_often_as_the_level_says(df, level):
    assert float(planning.power_of_means(0.0, 1.0, df, level)) == pytest.approx(level, rel=1e-6)
    assert float(planning.power_of_rates(0.2, 0.2, 70, 30, 0.0, level)) == pytest.approx(level, rel=1e-9)


@given(n=st.integers(2, 10_000), gap=st.floats(0.01, 1.0))
def test_power_rises(n, gap):
    error, df = np.sqrt(2 / np.array([n, n + 1])), planning.welch_df([n, n + 1], [n, n + 1])
    more_units = planning.power_of_means(gap, error, df, 0.025)
    more_effect = planning.power_of_means([gap, gap + 0.01], error[0], df[0], 0.025)
    assert (np.diff([more_units, more_effect]) >= -1e-14).all()


@pytest.mark.parametrize("arms", [2, 3, 6], ids=str)
def test_the_published_dunnett_values(arms):
    # C. W. Dunnett (1964), Biometrics 20: joint confidence of 95 % with infinite degrees of freedom, one- and two-sided
    one_sided, two_sided = {2: (1.64, 1.96), 3: (1.92, 2.21), 6: (2.23, 2.51)}[arms]
    found = [-ndtri(planning.dunnett_level(0.05, [1 / arms] * arms, sides)) for sides in (1, 2)]
    assert np.round(found, 2).tolist() == [one_sided, two_sided]


def test_variance_factor():
    assert planning.variance_factor(0.8, 1, 0.0) == pytest.approx(0.36)
    assert planning.variance_factor(0.0, 21, 0.05) == pytest.approx(2.0)
    assert planning.variance_factor(-0.6, 11, 0.1) == pytest.approx(0.64 * 2)
