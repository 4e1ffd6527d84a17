"""Orders folded by customer against a dictionary, in any order of the rows, over any range of units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmetrics._kernels.repeats import Orders, Spans, concatenate

CUSTOMERS = 7
UNITS = [-719_162, -4, -1, 0, 1, 2, 3, 90, 2_932_896]
ROWS = st.lists(st.tuples(st.integers(0, CUSTOMERS - 1), st.sampled_from(UNITS), st.sampled_from([-1, 0, 1, 10**15])), max_size=40)


def orders(rows: list[tuple[int, int, int]], money: bool = True) -> Orders:
    codes, units, paid = (np.array(column, dtype=np.int64) for column in (zip(*rows, strict=True) if rows else ([], [], [])))
    return Orders(codes, units, paid if money else None, CUSTOMERS)


def as_rows(found: Spans) -> list[tuple[int, int, int]]:
    return list(zip(found.units.tolist(), found.first.tolist(), found.last.tolist(), strict=True))


def units_of(rows: list[tuple[int, int, int]], customer: int) -> list[int]:
    return sorted({unit for code, unit, _ in rows if code == customer})


@pytest.mark.parametrize("by_customer", [False, True])
@given(rows=ROWS, money=st.booleans())
def test_orders_of_rows(by_customer: bool, rows: list[tuple[int, int, int]], money: bool) -> None:
    rows = sorted(rows, key=lambda row: row[0]) if by_customer else rows
    found = orders(rows, money)
    assert found.by_customer or not by_customer
    bought = [row for row in rows if row[2] >= 0 or not money]
    expected = [(len(own), min(own, default=0), max(own, default=0)) for own in (units_of(bought, code) for code in range(CUSTOMERS))]
    spans = found.purchases.spans()
    assert as_rows(spans) == expected
    assert (found.refunds is None) == (bought == rows)
    paid = [[(unit, cents * money) for code, unit, cents in rows if code == customer] for customer in range(CUSTOMERS)]
    assert found.total().tolist() == [sum(cents for _, cents in own) for own in paid]
    after = [sum(cents for unit, cents in own if unit > first) for own, (_, first, _) in zip(paid, expected, strict=True)]
    assert found.total_after(spans.first).tolist() == after


@given(rows=ROWS, unit=st.integers(-5, 4))
def test_a_split_by_unit(rows: list[tuple[int, int, int]], unit: int) -> None:
    now, later = orders(rows).split(unit)
    for side, expected in ((now, [row for row in rows if row[1] <= unit]), (later, [row for row in rows if row[1] > unit])):
        money: Any = side.money
        assert list(zip(side.codes.tolist(), side.units.tolist(), money.tolist(), strict=True)) == expected
        assert side.customers == CUSTOMERS


@given(rows=ROWS, cut=st.integers(0, CUSTOMERS))
def test_disjoint_customers_side_by_side(rows: list[tuple[int, int, int]], cut: int) -> None:
    whole = orders(rows).spans()
    parts = [whole.take(np.arange(cut)), whole.take(np.arange(cut, CUSTOMERS))]
    assert as_rows(concatenate(parts)) == as_rows(whole)


def test_sums_are_exact_beyond_floats() -> None:
    for rows in ([(0, 1, 2**60), (0, 2, 1), (0, 3, -(2**60))], [(1, 1, 5), (0, 1, 2**60), (0, 2, 1), (0, 3, -(2**60))]):
        assert orders(rows).total()[0] == 1
        assert orders(rows).total_after(np.ones(CUSTOMERS, dtype=np.int64))[0] == 1 - 2**60
