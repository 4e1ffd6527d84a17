"""Cells of customer and period against a dictionary, whether they are counted in a table or sorted."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsmetrics._kernels import cells as kernel
from opsmetrics._kernels.cells import Cells, cells, changes

ROWS = st.lists(st.tuples(st.integers(0, 6), st.integers(-4, 9), st.sampled_from([-3, -1, 0, 1, 5, 10**15])), max_size=40)


def arrays(rows: list[tuple[int, int, int]]) -> list[np.ndarray[Any, Any]]:
    return [np.array(column, dtype=np.int64) for column in (zip(*rows, strict=True) if rows else ([], [], []))]


def as_rows(found: Cells) -> list[tuple[int, ...]]:
    columns = [found.customer, found.period, found.orders, *([] if found.money is None else [found.money])]
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("dense", [0, 10**6], ids=["sorted", "in a table"])
@pytest.mark.parametrize("money", [False, True])
@settings(max_examples=60)
@given(rows=ROWS)
def test_cells_of_rows(dense: int, money: bool, rows: list[tuple[int, int, int]]) -> None:
    codes, periods, units = arrays(rows)
    orders: dict[tuple[int, int], int] = defaultdict(int)
    spent: dict[tuple[int, int], int] = defaultdict(int)
    for customer, period, cents in rows:
        orders[customer, period] += not money or cents >= 0
        spent[customer, period] += cents
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "_DENSE", dense)
        found = cells(codes, periods, 7, units if money else None)
    expected = [(*key, orders[key], *([spent[key]] if money else [])) for key in sorted(orders)]
    assert as_rows(found) == expected
    assert len(found) == len(expected)
    assert as_rows(found.active) == [cell for cell in expected if cell[2]]
    keys = sorted(orders)
    assert found.first.tolist() == [key == min(k for k in keys if k[0] == key[0]) for key in keys]
    assert found.last.tolist() == [key == max(k for k in keys if k[0] == key[0]) for key in keys]
    assert found.follows.tolist() == [(customer, period - 1) in orders for customer, period in keys]
    some = np.arange(0, len(found), 2)
    assert as_rows(found.take(some)) == expected[::2]


def test_sums_are_exact_beyond_floats() -> None:
    ones = np.ones(3, dtype=np.int64)
    found = cells(ones * 0, ones, 1, np.array([2**60, 1, -(2**60)]))
    assert as_rows(found) == [(0, 1, 2, 1)]


def test_where_runs_begin() -> None:
    assert changes(np.array([3, 3, 1, 3])).tolist() == [True, False, True, True]
    assert changes(np.array([])).tolist() == []
