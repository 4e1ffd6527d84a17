"""Ninety-nine treatments of a shop's platform, replayed look by look from the statistics that it wrote down."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import opsmetrics as om
from tests.experiments.answers import close, quietly
from tests.support import data

SERIES = ["experiment_id", "variant_id", "metric"]
LOOK = [*SERIES, "time_since_start"]
GROUPS = ["experiment_id", "variant_id", "time_since_start"]


@pytest.fixture(scope="module")
def looks() -> pd.DataFrame:
    """One row per series and look, in their order, with n, mean and variance of both arms."""
    found = pd.read_parquet(data("asos_experiments.parquet")).dropna(subset=["variance_c", "variance_t"])
    found = found[(found["count_c"] > 1) & (found["count_t"] > 1)]
    found["metric"] = found["metric_id"].map("metric {}".format)
    return found.sort_values(LOOK).reset_index(drop=True)


def statistics(looks: pd.DataFrame) -> pd.DataFrame:
    """The same with one row per arm."""
    arms = [
        looks[LOOK].assign(variant=name, n=looks[f"count_{arm}"], mean=looks[f"mean_{arm}"], variance=looks[f"variance_{arm}"])
        for arm, name in (("c", "control"), ("t", "treatment"))
    ]
    return pd.concat(arms, ignore_index=True)


def called(p: pd.Series, looks: pd.DataFrame) -> pd.Series:
    """Which series have a p-value below 5 % at some look."""
    return (p < 0.05).groupby([looks[name] for name in SERIES]).any()


def welch(looks: pd.DataFrame) -> pd.Series:
    """Each look as if it were the only one, by scipy."""
    columns = (looks[f"{name}_{arm}"].to_numpy() for arm in "tc" for name in ("mean", "variance", "count"))
    mean_t, variance_t, n_t, mean_c, variance_c, n_c = columns
    found = stats.ttest_ind_from_stats(mean_t, np.sqrt(variance_t), n_t, mean_c, np.sqrt(variance_c), n_c, equal_var=False)
    return pd.Series(found.pvalue, looks.index)


def test_every_look_alone_is_welch_s_test(looks: pd.DataFrame) -> None:
    """24,000 tests in one call."""
    found = quietly(om.ab_test_from_stats, statistics(looks), by=GROUPS, control="control").table
    found = found.sort_values(LOOK).reset_index(drop=True)
    pd.testing.assert_frame_equal(found[LOOK], looks[LOOK], check_dtype=False)
    close(found["p_value"], welch(looks), rel=1e-7, abs=1e-290)
    last = ~looks.duplicated(SERIES, keep="last")
    assert called(found["p_value"], looks).mean() > 2 * (found["p_value"][last] < 0.05).mean()  # what looking does


def distance(looks: pd.DataFrame) -> pd.Series:
    """The z that is as far out as t of all units about one mean."""
    n_t, n_c = looks["count_t"], looks["count_c"]
    n, apart = n_t + n_c, looks["mean_t"] - looks["mean_c"]
    within = (n_t - 1) * looks["variance_t"] + (n_c - 1) * looks["variance_c"]
    pooled = (within + apart**2 * n_t * n_c / n) / (n - 1)
    t = apart.abs() / np.sqrt(pooled * (1 / n_t + 1 / n_c))
    return pd.Series(stats.norm.isf(stats.t.sf(t.to_numpy(), n.to_numpy() - 2)), looks.index)


def always_valid(looks: pd.DataFrame, planned: pd.Series) -> pd.Series:
    """The p-value of the mixture, written out: effects vary by (2 log 1/a + log(1 + 2 log 1/a)) / planned."""
    n_t, n_c, z = looks["count_t"], looks["count_c"], distance(looks)
    least = 2 * math.log(20)
    grown = (n_t + n_c) * (least + math.log1p(least)) / planned
    p = np.exp(-(z * z * grown / (1 + grown) - np.log1p(grown)) / 2).clip(upper=1.0)
    return p.where((n_t >= 100) & (n_c >= 100), 1.0)


def test_a_bound_for_all_looks_calls_fewer(looks: pd.DataFrame) -> None:
    units = looks["count_t"] + looks["count_c"]
    planned = units.groupby([looks["experiment_id"], looks["variant_id"]]).transform("max").astype(int)
    found = []
    for most, own in looks.groupby(planned):
        asked = {"by": GROUPS, "control": "control", "sequential": om.AlwaysValid(int(most))}
        found.append(quietly(om.ab_test_from_stats, statistics(own), **asked).table)
    table = pd.concat(found).sort_values(LOOK).reset_index(drop=True)
    pd.testing.assert_frame_equal(table[LOOK], looks[LOOK], check_dtype=False)
    close(table["p_value"], always_valid(looks, planned), rel=1e-6, abs=1e-290)
    assert called(table["p_value"], looks).sum() < 0.6 * called(welch(looks), looks).sum()


def test_bounds_for_the_looks_that_were_hold_together(looks: pd.DataFrame) -> None:
    """A metric of each tenth treatment, looked at when it was: beyond the bound where p is below 5 %, which chance is once in twenty."""
    rng, shares = np.random.default_rng(1), []
    treatments = list(looks[looks["metric"] == "metric 1"].groupby(SERIES))
    for _, own in treatments[::10]:
        units = (own["count_t"] + own["count_c"]).astype(int)
        apart = units.diff().fillna(units) > 0.02 * units.max()
        seen, counts = own[apart], units[apart].tolist()
        plan = om.GroupSequential(1, planned_n=counts[-1]).looked_at(counts)
        found = quietly(om.ab_test_from_stats, statistics(seen), by=GROUPS, control="control", sequential=plan)
        bound, z = plan.boundaries().table["bound"].to_numpy(), distance(seen).to_numpy()
        close(found.sequential["bound"], bound)
        close(found.sequential["z"].abs(), z, rel=1e-6)
        assert ((found.table["p_value"] < 0.05).to_numpy() == (z > bound)).all()
        # the chance that a path without a drift is beyond one of them, by simulation
        times = np.array(counts) / counts[-1]
        paths = np.cumsum(rng.normal(size=(20_000, len(times))) * np.sqrt(np.diff(times, prepend=0.0)), axis=1)
        shares.append((np.abs(paths) > bound * np.sqrt(times)).any(axis=1).mean())
    assert np.abs(np.array(shares) - 0.05).max() < 4 * math.sqrt(0.05 * 0.95 / 20_000)
    assert len(shares) == 10
