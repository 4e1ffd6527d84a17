"""P-values adjusted together, as users call it."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from opsmetrics.errors import ParameterError
from opsmetrics.experiments.corrections import adjust_pvalues
from tests.bad_input.cases import Case, check_refused, refuse
from tests.support import reference

NAMES = {"holm": "holm", "hochberg": "hochberg", "bonferroni": "bonferroni", "benjamini-hochberg": "bh", "benjamini-yekutieli": "by"}


@pytest.mark.parametrize("correction", NAMES)
def test_the_published_example(correction):
    case = next(c for c in reference("ab.json") if c["id"] == "bh95")
    assert adjust_pvalues(case["inputs"]["p"], correction=correction) == pytest.approx(case["expected"][NAMES[correction]], abs=1e-9)


def test_holm_is_the_default_and_the_order_is_kept():
    p = [0.04, 0.01, 0.03]
    assert adjust_pvalues(p) == pytest.approx(multipletests(p, method="holm")[1])


@pytest.mark.parametrize("make", [list, tuple, np.array, pd.Series, iter], ids=lambda make: make.__name__)
def test_any_iterable_gives_plain_floats(make):
    found = adjust_pvalues(make([0.01, 0.5, 0.9]))
    assert found == pytest.approx([0.03, 1.0, 1.0])
    assert json.loads(json.dumps(found)) == found


def test_what_is_missing_is_no_test():
    found = adjust_pvalues([0.01, math.nan, 0.04])
    assert math.isnan(found[1])
    assert [found[0], found[2]] == [0.02, 0.04]


@pytest.mark.parametrize("correction", NAMES)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=10), data=st.data())
def test_the_order_of_the_tests_does_not_matter_and_none_gets_smaller(correction, p, data):
    order = data.draw(st.permutations(range(len(p))))
    found = adjust_pvalues(p, correction=correction)
    assert adjust_pvalues([p[i] for i in order], correction=correction) == [found[i] for i in order]
    assert all(one <= other <= 1 for one, other in zip(p, found, strict=True))


P = ParameterError
VALUES, CORRECTION = (P, "parameter.p_values"), (P, "parameter.correction")


@pytest.mark.parametrize(
    "case",
    [
        refuse("empty", lambda: adjust_pvalues([]), *VALUES, "empty"),
        refuse("below-0", lambda: adjust_pvalues([0.1, -0.1]), *VALUES, "p_values[1]=-0.1", "from 0 to 1"),
        refuse("above-1", lambda: adjust_pvalues([1.5]), *VALUES, "p_values[0]=1.5", "Did you mean 0.015?"),
        refuse("percent", lambda: adjust_pvalues([5]), *VALUES, "Did you mean 0.05?"),
        refuse("infinite", lambda: adjust_pvalues([math.inf]), *VALUES, "inf"),
        refuse("text", lambda: adjust_pvalues("0.05"), *VALUES, "must be a list"),
        refuse("text-inside", lambda: adjust_pvalues([0.1, "0.05"]), *VALUES, "p_values[1]='0.05'"),
        refuse("none-inside", lambda: adjust_pvalues([None]), *VALUES, "p_values[0]=None"),
        refuse("flag-inside", lambda: adjust_pvalues([True]), *VALUES, "p_values[0]=True"),
        refuse("number", lambda: adjust_pvalues(0.05), *VALUES, "must be a list"),
        refuse("mapping", lambda: adjust_pvalues({"A": 0.05}), *VALUES, "must be a list"),
        refuse("table", lambda: adjust_pvalues(np.array([[0.1, 0.2]])), *VALUES, "p_values[0]"),
        refuse("unknown", lambda: adjust_pvalues([0.1], correction="holmes"), *CORRECTION, "Did you mean 'holm'?"),
        refuse("none", lambda: adjust_pvalues([0.1], correction=None), *CORRECTION, "'bonferroni'"),
        refuse("dunnett", lambda: adjust_pvalues([0.1], correction="dunnett"), *CORRECTION, "p-values alone", "ab_test"),
    ],
)
def test_refused(case: Case):
    check_refused(case.call, case.error, case.code, case.says)
