"""Orders folded to one line per customer: by runs as one by one, and up to one tick and then from it as all at once."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from opsmetrics._kernels.purchases import Purchases

ROWS = st.lists(st.tuples(st.integers(0, 6), st.integers(-50, 50), st.integers(-9, 9)), min_size=1, max_size=60)


def same(one: Purchases, other: Purchases) -> None:
    for field in fields(Purchases):
        assert getattr(one, field.name).tolist() == getattr(other, field.name).tolist(), field.name


def arrays(rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, ...]:
    """Rows by customer, the customers being 0, 1, 2, ... without gaps."""
    ids, ticks, units = (np.array(column, dtype=np.int64) for column in zip(*sorted(rows, key=lambda row: row[0]), strict=True))
    return np.unique(ids, return_inverse=True)[1], ticks, units


@given(ROWS)
def test_runs_are_counted_as_one_by_one(rows):
    codes, ticks, units = arrays(rows)
    people = int(codes.max()) + 1
    slow = Purchases.none(people)
    slow.add(codes, ticks, units)
    same(Purchases.of_runs(np.searchsorted(codes, np.arange(people)), ticks, units), slow)


@given(ROWS, st.integers(-50, 50))
def test_what_was_bought_before_and_what_came_later_is_all(rows, cut):
    codes, ticks, units = arrays(rows)
    people, early = int(codes.max()) + 1, ticks < cut
    whole, before, after = (Purchases.none(people) for _ in range(3))
    whole.add(codes, ticks, units)
    before.add(codes[early], ticks[early], units[early])
    after.add(codes[~early], ticks[~early], units[~early])
    same(before.plus(after), whole)
