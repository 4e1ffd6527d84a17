"""Identical histories put together: nothing is rounded, nothing lost, whatever the numbers are like."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmetrics._kernels import beta_geo
from opsmetrics._kernels.histories import Histories, distinct

times = st.one_of(
    st.lists(st.integers(0, 5).map(float), min_size=1, max_size=30),
    st.lists(st.sampled_from([0.0, 0.5, 7.25, 1e6]), min_size=1, max_size=30),
    st.lists(st.sampled_from([1e15, 1e15 + 1, 3.0]), min_size=1, max_size=30),
    st.lists(st.sampled_from([100.0, 100.0 + 1e-13]), min_size=1, max_size=30),
)


@given(times, st.data())
def test_merged_histories_are_counted(T: list[float], data: st.DataObject) -> None:
    x = data.draw(st.lists(st.integers(0, 3), min_size=len(T), max_size=len(T)))
    counted = data.draw(st.booleans())
    weights = data.draw(st.lists(st.sampled_from([1.0, 2.0, 0.5]), min_size=len(T), max_size=len(T))) if counted else [1.0] * len(T)
    columns = np.array(x), np.array(T) / 2, np.array(T)
    found = Histories.of(*columns, np.array(weights) if counted else None).merged()
    expected: Counter[tuple[float, ...]] = Counter()
    for row, weight in zip(zip(*(values.tolist() for values in columns), strict=True), weights, strict=True):
        expected[row] += weight  # type: ignore[assignment]
    told = list(zip(found.x.tolist(), found.t_x.tolist(), found.T.tolist(), strict=True))
    assert len(set(told)) == len(told)
    assert dict(zip(told, found.weights.tolist(), strict=True)) == dict(expected)
    assert (found.x.dtype, found.t_x.dtype, found.T.dtype) == (np.int64, np.float64, np.float64)


@given(times, st.data())
def test_histories_are_merged_where_their_covariates_are_the_same_too(T: list[float], data: st.DataObject) -> None:
    def drawn(values: st.SearchStrategy[float]) -> npt.NDArray[np.float64]:
        return np.array([data.draw(st.lists(values, min_size=len(T), max_size=len(T)))])

    purchase, dropout = drawn(st.sampled_from([0.0, 1.0, 0.1])), drawn(st.sampled_from([0.0, -2.0]))
    given = Histories(np.ones(len(T), dtype=np.int64), np.array(T) / 2, np.array(T), np.ones(len(T)), purchase, dropout)
    found = given.merged()
    rows = [Counter[tuple[float, ...]](), Counter[tuple[float, ...]]()]
    for own, counted in zip((given, found), rows, strict=True):
        assert own.purchase is not None and own.dropout is not None
        for row in zip(own.t_x, own.T, own.purchase[0], own.dropout[0], own.weights, strict=True):
            counted[tuple(map(float, row[:-1]))] += int(row[-1])
    assert rows[0] == rows[1]
    assert len(found) == len(rows[1])


@given(times, st.lists(st.integers(-3, 10**12), min_size=1, max_size=30))
def test_each_row_is_told_its_combination(first: list[float], second: list[int]) -> None:
    size = min(len(first), len(second))
    columns: list[npt.NDArray[np.generic]] = [np.array(first[:size]), np.array(second[:size], dtype=np.int64)]
    one, of = distinct(*columns)
    pairs = list(zip(*(values.tolist() for values in columns), strict=True))
    assert [pairs[one[number]] for number in of] == pairs
    assert len(one) == len(set(pairs))


@pytest.mark.parametrize("first", [0, 1], ids=["bg_nbd", "mbg_nbd"])
@pytest.mark.parametrize("parameters", [(0.24, 30.9, 0.79, 2.43), (5.0, 0.01, 1e-3, 50.0), (0.01, 1e4, 0.9, 0.05), (3.0, 7.0, 12.0, 0.5)])
@pytest.mark.parametrize(("t", "delta"), [(365.0, 3e-4), (4_000.0, 1e-3), (1.0, 0.2)])
def test_many_ages_are_discounted_as_each_alone(parameters: tuple[float, ...], first: int, t: float, delta: float) -> None:
    """From a hundred ages of one frequency on they are interpolated, with slopes and without."""
    law = beta_geo.BetaGeo(*parameters, first=first)
    ages = np.concatenate([np.arange(1.0, 801.0), [3.0, 90.0]])
    x = np.array([0.0] * 400 + [25.0] * 400 + [7.0, 300.0])
    mean, slopes = law.discounted_slopes(x, ages, t, delta)
    each, their_slopes = law.discounted_slopes(x, ages, np.full(len(ages), t), delta)  # horizons of their own, one by one
    assert mean == pytest.approx(each, rel=1e-11)
    assert (slopes / mean) == pytest.approx(their_slopes / each, rel=1e-10, abs=1e-11)
    assert law.discounted(x, ages, t, delta) == pytest.approx(each, rel=1e-11)


def test_many_ages_where_customers_differ_in_their_dropout() -> None:
    """Covariates give each kind of customer an a of his own."""
    a = np.tile([0.3, 0.8], 300)
    ages = np.arange(1.0, 601.0)
    law = beta_geo.BetaGeo(0.5, np.linspace(10, 20, 600), a, 2.0)
    mean, slopes = law.discounted_slopes(2.0, ages, 365.0, 3e-4)
    each, their_slopes = law.discounted_slopes(2.0, ages, np.full(600, 365.0), 3e-4)
    assert mean == pytest.approx(each, rel=1e-11)
    assert slopes == pytest.approx(their_slopes, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("first", [0, 1], ids=["bg_nbd", "mbg_nbd"])
@pytest.mark.parametrize("spread", [0.0, 0.8, 3.0])
def test_each_of_many_who_differ_in_their_dropout_is_as_alone(first: int, spread: float) -> None:
    """Where all have an a of their own, by a continuous covariate, what comes is interpolated in it."""
    rng = np.random.default_rng(4)
    x, T, a = rng.integers(0, 4, 1_500).astype(float), rng.uniform(1, 700, 1_500), 0.7 * np.exp(spread * rng.normal(size=1_500))
    law = beta_geo.BetaGeo(0.5, 20.0, a, 2.0, first)
    mean, slopes = law.expected_slopes(x, T, 365.0)
    kept, kept_slopes = law.discounted_slopes(x, T, 365.0, 1e-3)
    for row in range(0, 1_500, 60):
        alone = beta_geo.BetaGeo(0.5, 20.0, float(a[row]), 2.0, first)
        for own, own_slopes, (value, by) in (
            (mean, slopes, alone.expected_slopes(x[row], T[row], 365.0)),
            (kept, kept_slopes, alone.discounted_slopes(x[row], T[row], 365.0, 1e-3)),
        ):
            assert own[row] == pytest.approx(float(value), rel=1e-10)
            assert own_slopes[:, row] == pytest.approx(by, rel=1e-7, abs=1e-9 * float(value))
