"""Adjusted p-values and Dunnett's test: published tables, statsmodels, scipy and direct integration as witnesses, and their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats
from statsmodels.stats.multitest import multipletests

from opsmetrics._kernels.multiplicity import CORRECTIONS, adjust, dunnett, dunnett_critical
from tests.support import reference

STATSMODELS = {
    "holm": "holm",
    "hochberg": "simes-hochberg",
    "bonferroni": "bonferroni",
    "benjamini-hochberg": "fdr_bh",
    "benjamini-yekutieli": "fdr_by",
}
IN_FILE = {"benjamini-hochberg": "bh", "benjamini-yekutieli": "by"}
P = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.01, 1e-300, 0.05]))


def case(name):
    return next(c for c in reference("ab.json") if c["id"] == name)


# ------------------------------------------------------------------------------------------------------------ p-values


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_the_example_of_benjamini_and_hochberg(correction):
    found = case("bh95")
    adjusted = adjust(found["inputs"]["p"], correction)
    assert adjusted == pytest.approx(found["expected"][IN_FILE.get(correction, correction)], abs=found["tolerance"])


def test_the_published_numbers_of_rejections():
    p = case("bh95")["inputs"]["p"]
    assert (adjust(p, "bonferroni") <= 0.05).sum() == 3
    assert (adjust(p, "benjamini-hochberg") <= 0.05).sum() == 4


@pytest.mark.parametrize("correction", CORRECTIONS)
@settings(max_examples=20)
@given(p=st.lists(P, min_size=1, max_size=12))
def test_statsmodels_agrees(correction, p):
    expected = multipletests(p, method=STATSMODELS[correction])[1]
    assert adjust(p, correction) == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("correction", CORRECTIONS)
@given(data=st.lists(st.tuples(st.one_of(P, st.just(math.nan)), st.integers(-2, 3)), max_size=25))
def test_a_family_is_adjusted_as_if_it_were_alone(correction, data):
    p, family = np.array([d[0] for d in data]), np.array([d[1] for d in data], dtype=np.int64)
    together = adjust(p, correction, family)
    for code in set(family.tolist()):
        alone = adjust(p[family == code], correction)
        assert together[family == code].tolist() == pytest.approx(alone.tolist(), rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_tiny_p_values_keep_their_digits_beside_large_ones(correction):
    p = np.array([1e-200, 3e-250, 0.9, 0.5, 1e-120])
    family = np.array([4, 4, 4, 9, 9])
    small = adjust(p, correction, family)[[0, 1, 4]]
    factor = {
        "holm": [2, 3, 2],
        "hochberg": [2, 3, 2],
        "bonferroni": [3, 3, 2],
        "benjamini-hochberg": [1.5, 3, 2],
        "benjamini-yekutieli": [1.5 * 11 / 6, 5.5, 3],
    }[correction]
    assert small == pytest.approx(p[[0, 1, 4]] * np.array(factor), rel=1e-14, abs=0)


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_no_p_values_and_none_known(correction):
    assert adjust([], correction).shape == (0,)
    assert np.isnan(adjust([math.nan, math.nan], correction)).all()
    assert adjust([[0.01, 0.02], [0.03, math.nan]], correction).shape == (2, 2)


# ------------------------------------------------------------------------------------------------------------- Dunnett


def direct(t, df, n_control, n, sides):
    """P(max > t) from its definition, by Simpson's rule over the control's mean and the standard deviation."""
    u = np.linspace(-9, 9, 3001)
    loads = [math.sqrt(m / (m + n_control)) for m in n]

    def given(x):
        kept = np.ones_like(u)
        for load in loads:
            rest = math.sqrt(1 - load * load)
            kept *= special.ndtr((t * x - load * u) / rest) - (special.ndtr((-t * x - load * u) / rest) if sides == 2 else 0)
        return integrate.simpson((1 - kept) * np.exp(-u * u / 2) / math.sqrt(2 * math.pi), x=u)

    if math.isinf(df):
        return given(1.0)
    chi = stats.chi(df, scale=1 / math.sqrt(df))
    x = np.linspace(0, chi.isf(1e-14), 801)
    return integrate.simpson(np.array([given(one) for one in x]) * chi.pdf(x), x=x)


def test_critical_values_of_many_treatments():
    found = case("dunnett")
    k, expected = found["inputs"]["k"], found["expected"]["crit"]
    sizes = np.array([[100] * arms + [0] * (5 - arms) for arms in k])
    assert dunnett_critical(0.05, math.inf, 100, sizes, 2) == pytest.approx(expected, abs=1e-6)
    assert [round(c, 2) for c in dunnett_critical(0.05, math.inf, 100, sizes, 2).tolist()] == [2.21, 2.35, 2.44, 2.51]


# Dunnett (1964), Table II, two-sided at 5 %, and Dunnett (1955), Table 1a, one-sided at 5 %: equal sizes, df and number of treatments.
@pytest.mark.parametrize(
    ("sides", "df", "k", "published"),
    [
        (2, 5, 2, 3.03),
        (2, 10, 3, 2.76),
        (2, 20, 5, 2.73),
        (2, 20, 2, 2.38),
        (1, 5, 2, 2.44),
        (1, 10, 3, 2.34),
        (1, 20, 5, 2.39),
        (1, 20, 2, 2.03),
    ],
)
def test_published_tables(sides, df, k, published):
    assert float(dunnett_critical(0.05, df, 10, [10] * k, sides)) == pytest.approx(published, abs=0.0051)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize(
    ("df", "n_control", "n"),
    [
        (math.inf, 100, [100, 100]),
        (math.inf, 50, [900, 20, 300]),
        (math.inf, 5000, [10, 100]),
        (math.inf, 10, [4000, 9000]),
        (6, 10, [20, 5]),
        (2, 9, [9, 9]),
    ],
    ids=["equal", "unequal", "large-control", "small-control", "few", "very-few"],
)
def test_direct_integration_agrees(sides, df, n_control, n):
    t = np.array([[0.4, 1.7, 3.3][i % 3] for i in range(len(n))])
    expected = [direct(value, df, n_control, n, sides) for value in t]
    assert dunnett(t, df, n_control, n, "two-sided" if sides == 2 else "greater") == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_scipy_agrees(alternative):
    rng = np.random.default_rng(5)
    control, one, two = rng.normal(0, 1, 30), rng.normal(0.6, 1, 18), rng.normal(-0.2, 1, 25)
    witness = stats.dunnett(one, two, control=control, alternative=alternative, random_state=1)
    found = dunnett(witness.statistic, 30 + 18 + 25 - 3, 30, [18, 25], alternative)
    assert found == pytest.approx(witness.pvalue, abs=2e-4)  # scipy's integral is quasi-random


@settings(max_examples=40)
@given(t=st.floats(-40, 40), df=st.one_of(st.floats(0.8, 1e6), st.just(math.inf)), n=st.integers(1, 10**6))
def test_one_treatment_is_students_test(t, df, n):
    law = stats.norm if math.isinf(df) else stats.t(df)
    assert dunnett([t], df, 50, [n], "greater")[0] == pytest.approx(law.sf(t), rel=1e-9, abs=1e-300)
    assert dunnett([t], df, 50, [n], "two-sided")[0] == pytest.approx(2 * law.sf(abs(t)), rel=1e-9, abs=1e-300)


@settings(max_examples=30)
@given(
    t=st.lists(st.floats(-5, 5), min_size=1, max_size=4),
    n=st.lists(st.integers(1, 5000), min_size=4, max_size=4),
    df=st.one_of(st.floats(1, 1e5), st.just(math.inf)),
)
def test_between_one_test_and_bonferroni_and_the_mirror(t, n, df):
    t, n = np.array(t), n[: len(t)]
    law = stats.norm if math.isinf(df) else stats.t(df)
    found = dunnett(t, df, 500, n, "two-sided")
    single = 2 * law.sf(np.abs(t))
    assert (found >= single * (1 - 1e-9)).all()
    assert (found <= np.minimum(single * len(t), 1.0) * (1 + 1e-9)).all()
    assert dunnett(-t, df, 500, n, "less") == pytest.approx(dunnett(t, df, 500, n, "greater"), rel=1e-12)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 1e-3, 1e-9])
def test_the_critical_value_is_where_the_p_value_is_alpha(sides, alpha):
    df, n = np.array([math.inf, 3, 40, 2000]), np.array([[10, 10, 10], [400, 2, 7], [50, 90, 0], [9, 0, 0]])
    critical = dunnett_critical(alpha, df, 20, n, sides)
    p = dunnett(critical[:, None], df, 20, n, "two-sided" if sides == 2 else "greater")
    assert p == pytest.approx(np.full((4, 3), alpha), rel=1e-7)


def test_one_hard_test_among_many_changes_none_of_them():
    t, df, n = np.array([[2.0, 1.0], [2.5, 900.0], [0.5, 3.0]]), [math.inf, 1.0, 12.0], np.array([[100, 90], [10**4, 5], [30, 30]])
    together = dunnett(t, df, 20, n, "two-sided")
    alone = [dunnett(t[i], df[i], 20, n[i], "two-sided") for i in range(3)]
    assert together == pytest.approx(np.array(alone), rel=1e-9)


def test_what_is_missing_stays_missing():
    assert np.isnan(dunnett([2.0, math.nan], math.inf, 100, [100, 100], "two-sided")).tolist() == [False, True]
    with_empty = dunnett([2.0, 1.0, 9.0], math.inf, 100, [100, 100, 0], "two-sided")[:2]
    assert with_empty == pytest.approx(dunnett([2.0, 1.0], math.inf, 100, [100, 100], "two-sided"), rel=1e-9)
    assert np.isnan(dunnett([2.0], math.inf, 0, [100], "two-sided")).all()
    assert np.isnan(dunnett_critical([0.05, 0.05, 0.0], [math.inf, 0, 5], [0, 10, 10], [[9], [9], [9]], 2)).all()
    assert dunnett([math.inf, -math.inf], 7, 100, [100, 100], "greater") == pytest.approx([0.0, 1.0], abs=1e-15)
