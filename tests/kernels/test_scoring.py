"""Edges and scores against their definition, rank by rank, and against SQL's NTILE."""

from __future__ import annotations

import math
from fractions import Fraction

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmetrics._kernels import scoring

values = st.lists(st.integers(-5, 12) | st.floats(-1e9, 1e9, allow_nan=False), min_size=1, max_size=60)
TIES = ["low", "high", "mid"]


def by_definition(data: list[float], bins: int, ties: str) -> list[int]:
    """ceil(k * rank / n), the rank of tied values being the lowest, the highest or the middle one; in exact fractions."""
    n = len(data)
    scores = []
    for v in data:
        low, high = sum(x < v for x in data) + 1, sum(x <= v for x in data)
        rank = {"low": Fraction(low), "high": Fraction(high), "mid": Fraction(low + high, 2)}[ties]
        scores.append(math.ceil(bins * rank / n))
    return scores


@pytest.mark.parametrize("ties", TIES)
@given(data=values, bins=st.integers(2, 10))
def test_scores_follow_the_definition(ties: str, data: list[float], bins: int) -> None:
    array = np.array(data, dtype=np.float64)
    edges = scoring.quantile_edges(array, bins, ties)
    assert scoring.scores(array, edges).tolist() == by_definition(array.tolist(), bins, ties)


@pytest.mark.parametrize("ties", TIES)
@given(data=values, bins=st.integers(2, 10), probe=st.floats(-1e10, 1e10, allow_nan=False))
def test_scores_are_monotone_and_clamped(ties: str, data: list[float], bins: int, probe: float) -> None:
    edges = scoring.quantile_edges(np.array(data, dtype=np.float64), bins, ties)
    assert edges.size == bins - 1
    assert np.all(np.diff(edges) >= 0)
    below, at, above = scoring.scores(np.array([-math.inf, probe, math.inf]), edges)
    assert 1 == below <= at <= above == bins


def test_without_ties_the_groups_are_equal() -> None:
    data = np.random.default_rng(0).permutation(1_000).astype(np.float64)
    for ties in TIES:
        assert np.bincount(scoring.scores(data, scoring.quantile_edges(data, 5, ties)))[1:].tolist() == [200] * 5


def test_many_edges_and_few_edges_score_alike() -> None:
    """Searching (many edges) and comparing (few edges) are the same function."""
    data = np.random.default_rng(1).integers(0, 500, 2_000).astype(np.float64)
    many = scoring.quantile_edges(data, 100, "low")
    assert scoring.scores(data, many).tolist() == [1 + int(np.sum(v >= many)) for v in data]
    few = many[:10]
    assert scoring.scores(data, few).tolist() == [1 + int(np.sum(v >= few)) for v in data]


@given(size=st.integers(1, 200), bins=st.integers(2, 10))
def test_ntile_starts_are_those_of_sql(size: int, bins: int) -> None:
    rows = pa.table({"i": np.arange(size)})
    sql = duckdb.sql(f"select ntile({bins}) over (order by i) as tile from rows order by i").to_arrow_table()["tile"].to_numpy()
    assert rows.num_rows == size
    tiles = 1 + sum((np.arange(size) >= start).astype(int) for start in scoring.ntile_starts(size, bins))
    assert tiles.tolist() == sql.tolist()
