"""Order and search in logs: against numpy's slow ways, in every range of time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmetrics._kernels import grouping, sequences

TIMES = {
    "days": (86_400_000_000, 90), "seconds": (1_000_000, 5_000), "microseconds": (1, 2**40), "ties": (1, 3), "all of time": (1, 2**62),
}  # fmt: skip


@pytest.mark.parametrize("with_minor", [True, False])
@pytest.mark.parametrize("groups", [1, 7, 2**31])
@pytest.mark.parametrize("times", TIMES)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 300))
def test_the_order_is_that_of_a_sort_by_all_keys(times, groups, with_minor, seed, size):
    rng = np.random.default_rng(seed)
    unit, span = TIMES[times]
    group = rng.integers(0, groups, size)
    tick = rng.integers(0, span, size) * unit - 2**61 * (times == "all of time")
    minor = rng.integers(0, 6, size).astype(np.uint8) if with_minor else None
    keys = (np.arange(size), *([minor] if minor is not None else []), tick, group)
    assert sequences.order(group, tick, minor).tolist() == np.lexsort(keys).tolist()


def test_keys_that_do_not_fit_are_repaired():
    """Two million customers over thirty years of microseconds: 51 bits of time have no room, and the last ones decide."""
    rng = np.random.default_rng(1)
    group = rng.integers(0, 2**21, 20_000)
    group[:2_000] = 5
    tick = rng.integers(0, 30 * 365 * 86_400 * 10**6, 20_000)
    tick[:2_000] = 10**15 + rng.integers(0, 50, 2_000)
    minor = rng.integers(0, 3, 20_000).astype(np.uint8)
    assert sequences.order(group, tick, minor).tolist() == np.lexsort((np.arange(20_000), minor, tick, group)).tolist()


def test_nothing_has_an_order():
    none = np.empty(0, dtype=np.int64)
    assert sequences.order(none, none).size == 0
    assert sequences.run_ends(none).size == sequences.run_starts(none).size == sequences.ends_of(none, none).size == 0


@given(mask=st.lists(st.booleans(), min_size=1, max_size=200), nth=st.integers(1, 3), few=st.booleans(), data=st.data())
def test_the_nth_following_row_is_found_by_search_and_by_table(mask, nth, few, data):
    count = max(1, len(mask) // 32) if few else len(mask)
    begin = sorted(data.draw(st.lists(st.integers(0, len(mask)), min_size=1, max_size=count)))
    places = [i for i, holds in enumerate(mask) if holds]
    expected = [([p for p in places if p >= b][nth - 1 :] or [len(mask)])[0] for b in begin]
    assert sequences.following(np.array(mask), np.array(begin), nth).tolist() == expected


@given(ticks=st.lists(st.integers(-5, 5), min_size=1, max_size=30), data=st.data())
def test_the_first_row_that_reaches_a_time(ticks, data):
    ticks = sorted(ticks)
    low = data.draw(st.integers(0, len(ticks)))
    high = data.draw(st.integers(low, len(ticks)))
    wanted = data.draw(st.integers(-6, 6))
    expected = next((i for i in range(low, high) if ticks[i] >= wanted), high)
    found = sequences.first_reaching(np.array(ticks), np.array([wanted]), np.array([low]), np.array([high]))
    assert found.tolist() == [expected]


def test_later_never_wraps_around():
    ticks = np.array([0, sequences.LARGEST - 1], dtype=np.int64)
    assert sequences.later(ticks, 5).tolist() == [5, sequences.LARGEST]
    assert sequences.later(ticks, None).tolist() == [sequences.LARGEST] * 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint64])
def test_the_lowest_bit(dtype):
    marks = np.array([0, 1, 2, 3, 4, 12, 128 | 8], dtype=dtype)
    assert sequences.lowest_bit(marks, 5).tolist() == [5, 0, 1, 0, 2, 2, 3]
    assert sequences.lowest_bit(np.array([8], dtype=dtype), 3).tolist() == [3]


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.int8, np.uint32])
@given(data=st.data())
def test_rows_are_brought_together_by_key(dtype, data):
    """Also where keys are so far apart that 64 bits hold no row beside them, and two of them look alike."""
    info = np.iinfo(dtype)
    near = st.integers(0, 3).map(lambda n: info.max - n)
    keys = np.array(data.draw(st.lists(st.integers(info.min, info.max) | near | st.integers(0, 3), max_size=60)), dtype=dtype)
    rows, codes, distinct = grouping.together(keys)
    values, inverse = np.unique(keys, return_inverse=True)
    assert rows.tolist() == np.argsort(keys, kind="stable").tolist()
    assert distinct.tolist() == values.tolist()
    assert codes.tolist() == inverse[rows].tolist()
