"""Kaplan and Meier's curve: a published table, and statsmodels as witness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.proportion import proportion_confint

from opsmetrics._kernels.survival import kaplan_meier, log_log, product_limit, returning

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


def by_jackknife(times, happened, cluster):
    """The variance of log S at each time of an event, cluster by cluster, each left out a little at a time (written out as a matrix)."""
    curve = kaplan_meier(times, happened, 0.95)
    n, d = curve.at_risk.astype(float), curve.events.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.where(times[:, None] >= curve.time, d / (n * (n - d)), 0.0)
        moved = moved - np.where(happened[:, None] & (times[:, None] == curve.time), 1 / (n - d), 0.0)
        sums = np.array([moved[cluster == one].sum(axis=0) for one in np.unique(cluster)]).cumsum(axis=1)
    return curve, (sums**2).sum(axis=0)


SPELLS = st.lists(st.tuples(st.integers(0, 15), st.booleans(), st.integers(0, 9)), min_size=2, max_size=50)


@given(SPELLS)
def test_clusters_are_left_out_one_by_one(spells):
    times, happened, cluster = (np.array(column) for column in zip(*spells, strict=True))
    curve, variance = by_jackknife(times, happened, cluster)
    found = kaplan_meier(times, happened, 0.95, cluster)
    assert found.survival.tolist() == curve.survival.tolist()
    _, alone = product_limit(curve.events, curve.at_risk)
    variance = np.nan_to_num(variance, posinf=0.0)
    low, high = log_log(
        curve.survival, np.where(variance <= 1e-9 * alone, alone * len(times) / len(set(cluster)), np.maximum(variance, alone)), 0.95
    )
    inside = (curve.survival > 0) & (curve.survival < 1)
    assert found.low[inside] == pytest.approx(low[inside], rel=1e-7, abs=1e-9)
    assert found.high[inside] == pytest.approx(high[inside], rel=1e-7, abs=1e-9)


def test_a_single_cluster_is_worth_one_spell():
    """Twenty spells of one customer tell no more of others than one would; nor do those of customers who are all alike."""
    times, happened = np.arange(1, 21), np.arange(20) % 3 > 0
    alone = kaplan_meier(times, happened, 0.95)
    one = kaplan_meier(times, happened, 0.95, np.zeros(20, dtype=np.int64))
    assert (one.high - one.low > 1.8 * (alone.high - alone.low))[2:-2].all()
    alike = kaplan_meier(np.tile(times, 2), np.tile(happened, 2), 0.95, np.repeat([0, 1], 20))
    assert (alike.high - alike.low > alone.high - alone.low)[2:-2].all()
    assert (alike.high - alike.low < one.high - one.low)[2:-2].all()


@given(SPELLS)
def test_clusters_of_one_are_none_and_copies_say_nothing_new(spells):
    """Alone it is Greenwood's variance; a cluster of two equal spells is worth one."""
    times, happened, _ = (np.array(column) for column in zip(*spells, strict=True))
    one, alone = np.arange(len(times)), kaplan_meier(times, happened, 0.95)
    twice = kaplan_meier(np.tile(times, 2), np.tile(happened, 2), 0.95, np.tile(one, 2))
    for found in (kaplan_meier(times, happened, 0.95, one), twice):
        assert found.time.tolist() == alone.time.tolist()
        for name in ("survival", "low", "high"):
            assert getattr(found, name) == pytest.approx(getattr(alone, name), rel=1e-7, abs=1e-9), name


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


GAPS = st.lists(st.tuples(st.integers(1, 14), st.booleans()), min_size=1, max_size=60)


def counted(gaps):
    """Gaps by whole days, ended and open."""
    size = max(days for days, _ in gaps) + 1
    return [np.bincount([days for days, ended in gaps if ended == kind], minlength=size).astype(np.int64) for kind in (True, False)]


@settings(max_examples=30)
@given(gaps=GAPS, horizon=st.integers(1, 6), least=st.integers(1, 4))
def test_the_chance_to_return_is_that_of_a_refit_on_those_still_silent(gaps, horizon, least):
    """S(t + H) / S(t) and Greenwood's variance of it, by statsmodels on the gaps longer than t, their days counted from t."""
    found = returning(*counted(gaps), horizon, least, 0.95)
    days, ended = np.array([days for days, _ in gaps]), np.array([int(ended) for _, ended in gaps])
    chance, low, high = [], [], []
    for t in range(len(found.probability)):
        assert found.watched[t] == (days >= t + horizon).sum() >= least
        whole = SurvfuncRight(days, ended)
        assert found.survival[t] == pytest.approx(np.append(1.0, whole.surv_prob)[np.searchsorted(whole.surv_times, t, side="right")])
        again = SurvfuncRight(days[days > t] - t, ended[days > t])
        last = int(np.searchsorted(again.surv_times, horizon, side="right")) - 1
        s = again.surv_prob[last] if last >= 0 else 1.0
        chance.append(1 - s)
        if 0 < s < 1:
            half = 1.959963984540054 * again.surv_prob_se[last] / (s * np.log(s))
            low.append(1 - s ** np.exp(half))
            high.append(1 - s ** np.exp(-half))
        else:
            low.append(1 - s)
            high.append(proportion_confint(0, found.watched[t], method="wilson")[1] if s == 1 else 1.0)  # none of those watched returned
    assert found.probability == pytest.approx(np.minimum.accumulate(chance) if chance else [], abs=1e-12)
    assert found.low == pytest.approx(np.minimum.accumulate(low) if low else [], abs=1e-9)
    assert found.high == pytest.approx(np.minimum.accumulate(high) if high else [], abs=1e-9)
    assert (days >= len(found.probability) + horizon).sum() < least


def test_a_short_history_says_nothing():
    events, censored = np.array([0, 3, 1]), np.array([1, 0, 2])
    assert returning(events, censored, 3, 1, 0.95).probability.size == 0  # nobody is watched for three days
    assert returning(events, censored, 1, 8, 0.95).probability.size == 0  # there are seven
    assert returning(np.zeros(0, np.int64), np.zeros(0, np.int64), 5, 1, 0.95).survival.size == 0
    two = returning(events, censored, 2, 3, 0.95)
    assert two.watched.tolist() == [3]
    assert two.probability.tolist() == pytest.approx([1 - 3 / 6 * 2 / 3])
    assert 0 < two.low[0] < two.probability[0] < two.high[0] < 1
