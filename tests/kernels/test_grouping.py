"""Exact sums, and summaries per group."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmetrics._kernels import grouping, purchases

cents = st.integers(-(10**10), 10**10)


@given(st.lists(cents, min_size=1, max_size=50))
def test_sums_of_money_are_exact(amounts: list[int]) -> None:
    floats = np.array([float(Decimal(a) / 100) for a in amounts])
    total = grouping.money(np.array(grouping.micros(floats).sum()))
    assert float(total) == float(Fraction(sum(amounts), 100))


@given(st.lists(cents, min_size=1, max_size=50), st.randoms())
def test_sums_of_money_do_not_depend_on_the_order(amounts: list[int], random: object) -> None:
    floats = np.array(amounts) / 100
    turned = floats.copy()
    random.shuffle(turned)  # type: ignore[attr-defined]
    assert grouping.micros(floats).sum() == grouping.micros(turned).sum()


@pytest.mark.parametrize("amount", [100.04, 0.01, 0.1, 1_234_567.89, 4.35, 0.000001, 77_183.6])
def test_an_amount_comes_back_as_it_went_in(amount: float) -> None:
    assert grouping.money(grouping.micros(np.array([amount]))).tolist() == [amount]


def test_blocks_cover_every_row_once() -> None:
    rows = 3 * (1 << 20) + 17
    covered = np.concatenate([np.arange(rows)[block] for block in grouping.blocks(rows)])
    assert np.array_equal(covered, np.arange(rows))
    assert list(grouping.blocks(0)) == []


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-1e6, 1e6)), max_size=40))
def test_medians_are_those_of_each_group(rows: list[tuple[int, float]]) -> None:
    codes, data = np.array([r[0] for r in rows], dtype=np.int64), np.array([r[1] for r in rows])
    (found,) = grouping.medians(codes, 6, [data])
    for group in range(6):
        members = data[codes == group]
        assert np.isnan(found[group]) if members.size == 0 else found[group] == np.median(members)


def test_a_ratio_to_nothing_is_missing() -> None:
    assert np.array_equal(grouping.ratio([1.0, 2.0], [0.0, 4.0]), [np.nan, 0.5], equal_nan=True)


rows_of_orders = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**6), st.integers(-(10**9), 10**9)), max_size=40)


def fold(rows: list[tuple[int, int, int]]) -> purchases.Purchases:
    folded = purchases.Purchases.none(4)
    folded.add(*(np.array([r[i] for r in rows], dtype=np.int64) for i in range(3)))
    return folded


@given(rows_of_orders)
def test_purchases_fold_as_one_customer_at_a_time(rows: list[tuple[int, int, int]]) -> None:
    folded = fold(rows)
    for customer in range(4):
        bought = [(tick, money) for c, tick, money in rows if c == customer and money >= 0]
        back = [money for c, _, money in rows if c == customer and money < 0]
        assert folded.orders[customer] == len(bought)
        assert folded.bought[customer] == sum(money for _, money in bought)
        assert folded.refunds[customer] == len(back)
        assert folded.refunded[customer] == -sum(back)
        if bought:
            assert folded.first[customer] == min(bought)[0]
            assert folded.last[customer] == max(tick for tick, _ in bought)


@given(rows_of_orders, st.integers(0, 40))
def test_folding_in_two_steps_is_folding_at_once(rows: list[tuple[int, int, int]], cut: int) -> None:
    folded = fold(rows[:cut])
    folded.add(*(np.array([r[i] for r in rows[cut:]], dtype=np.int64) for i in range(3)))
    once = fold(rows)
    for field in ("orders", "first", "last", "bought", "refunds", "refunded"):
        assert np.array_equal(getattr(folded, field), getattr(once, field))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-200_000, 200_000)), max_size=40))
def test_distinct_days_per_customer(pairs: list[tuple[int, int]]) -> None:
    codes, days = (np.array([p[i] for p in pairs], dtype=np.int64) for i in range(2))
    found = purchases.days_per_customer(purchases.customer_days(codes, days), 4)
    assert found.tolist() == [len({day for c, day in pairs if c == customer}) for customer in range(4)]


wide_keys = st.lists(
    st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 5), st.integers(2**40, 2**40 + 3), st.integers(2**62, 2**62 + 2)),
    min_size=1, max_size=60,
)  # fmt: skip


@given(wide_keys)
def test_rows_come_together_by_key_each_in_its_order(keys: list[int]) -> None:
    rows, codes, distinct = grouping.together(np.array(keys, dtype=np.int64))
    assert rows.tolist() == sorted(range(len(keys)), key=lambda row: (keys[row], row))
    assert distinct.tolist() == sorted(set(keys))
    assert distinct[codes].tolist() == sorted(keys)


def test_keys_that_share_their_leading_bits_are_told_apart() -> None:
    rng = np.random.default_rng(5)
    keys = np.append(rng.integers(0, 1_000, 5_000), 2**62)
    rows, _, distinct = grouping.together(keys)
    assert rows.tolist() == np.argsort(keys, kind="stable").tolist()
    assert distinct.tolist() == np.unique(keys).tolist()


@given(st.lists(st.integers(0, 2**64 - 1), max_size=30))
def test_keys_without_a_sign_come_together(keys: list[int]) -> None:
    rows, _, _ = grouping.together(np.array(keys, dtype=np.uint64))
    assert rows.tolist() == sorted(range(len(keys)), key=lambda row: (keys[row], row))
