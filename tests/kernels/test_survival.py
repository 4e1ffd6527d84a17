"""Kaplan and Meier's curve: a published table, and statsmodels as witness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from opsmetrics._kernels.survival import kaplan_meier

# Freireich et al. (1963), remission of leukaemia under 6-mercaptopurine in weeks, a plus for censored; the curve is that of
# Kalbfleisch & Prentice.
REMISSION = [
    "6",
    "6",
    "6",
    "6+",
    "7",
    "9+",
    "10",
    "10+",
    "11+",
    "13",
    "16",
    "17+",
    "19+",
    "20+",
    "22",
    "23",
    "25+",
    "32+",
    "32+",
    "34+",
    "35+",
]
CURVE = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}


def test_the_published_curve():
    times = np.array([int(week.rstrip("+")) for week in REMISSION])
    happened = np.array([not week.endswith("+") for week in REMISSION])
    curve = kaplan_meier(times, happened, 0.95)
    found = dict(zip(curve.time.tolist(), curve.survival.round(3).tolist(), strict=True))
    assert {week: found[week] for week in CURVE} == CURVE
    assert found[35] == found[23]
    assert curve.events.sum() == 9
    assert curve.censored.sum() == 12


@given(times=st.lists(st.integers(0, 20), min_size=1, max_size=60), seed=st.integers(0, 2**32))
def test_the_witness(times, seed):
    happened = np.random.default_rng(seed).random(len(times)) < 0.6
    curve = kaplan_meier(np.array(times), happened, 0.95)
    assert curve.time.tolist() == sorted(set(curve.time.tolist()))
    assert curve.at_risk.tolist() == [sum(t >= time for t in times) for time in curve.time]
    if happened.any() and min(times) > 0:
        witness = SurvfuncRight(np.array(times), happened.astype(int))
        ours, theirs = np.isin(curve.time, witness.surv_times), np.isin(witness.surv_times, curve.time)
        survival, error = curve.survival[ours], witness.surv_prob_se[theirs]
        assert survival == pytest.approx(witness.surv_prob[theirs])
        inside = (survival > 0) & (survival < 1)
        s, half = survival[inside], 1.959963984540054 * error[inside]
        assert curve.high[ours][inside] == pytest.approx(s ** np.exp(half / (s * np.log(s))))
        assert curve.low[ours][inside] == pytest.approx(s ** np.exp(-half / (s * np.log(s))))


def test_nobody_and_nothing():
    none = kaplan_meier(np.empty(0, dtype=np.int64), np.empty(0, dtype=bool), 0.95)
    assert none.time.size == 0
    waiting = kaplan_meier(np.array([3, 5]), np.array([False, False]), 0.95)
    assert (waiting.time.tolist(), waiting.survival.tolist(), waiting.events.tolist()) == ([5], [1.0], [0])
