"""Sums and extremes per group, exact and in one pass.

Groups are dense codes 0..n-1. Work runs in blocks of rows, so the scratch memory does not grow with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MICROS = 1_000_000
"""Money is added in whole millionths: integer sums do not depend on the order of the rows, float sums do, and a last bit is
enough to move a customer across the edge of a bin."""

LARGEST = float(np.iinfo(np.int64).max) / MICROS
"""The largest amount, or sum of amounts, that whole millionths can hold: about 9.2e12."""

LARGEST_WHOLE = 9e18
"""The largest sum of whole numbers that 64 bits hold."""

_BLOCK = 1 << 20


def blocks(rows: int) -> Iterator[slice]:
    """Consecutive slices of the rows, each large enough to keep the groups in the cache, small beside the columns."""
    for begin in range(0, rows, _BLOCK):
        yield slice(begin, min(begin + _BLOCK, rows))


def together(keys: npt.NDArray[Any]) -> tuple[Ints, Ints, npt.NDArray[Any]]:
    """Rows brought together by key, those of a key in their own order: the rows, dense codes that increase along them, the distinct keys.

    Keys are counted into place by the 32 leading bits of their range, 16 bits at a time: numpy's stable sort of 16 bits compares nothing,
    and takes a third of the time of sorting whole keys. Few keys share these bits; where some do and came out mixed, they are sorted.
    """
    size = len(keys)
    if size == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), keys
    low, high = int(keys.min()), int(keys.max())
    bits = (high - low).bit_length()
    leading = keys.astype(np.uint64)
    leading -= np.uint64(low % 2**64)  # whole numbers modulo 2^64 differ as they should
    leading >>= np.uint64(max(bits - 32, 0))
    rows = _by_halves(leading.astype(np.uint32), min(bits, 32))
    ordered = keys.take(rows)
    if bits > 32 and (wrong := np.flatnonzero(ordered[1:] < ordered[:-1])).size:
        shared = leading[rows]
        mixed = np.flatnonzero(np.isin(shared, shared[wrong]))
        rows[mixed] = rows[mixed][np.argsort(ordered[mixed], kind="stable")]
        ordered = keys.take(rows)
    return rows, *_runs(ordered, ordered[1:] != ordered[:-1])


def dense(numbers: npt.NDArray[np.integer], size: int) -> tuple[Ints, Ints]:
    """The distinct among whole numbers from 0 to `size`, in order, and which of them each is: what `np.unique` finds by sorting."""
    there = np.zeros(size, dtype=np.bool_)
    there[numbers] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[numbers]


def _by_halves(keys: npt.NDArray[np.uint32], bits: int) -> Ints:
    """Rows in the order of their keys, equal ones in their own."""
    rows = np.argsort(keys.astype(np.uint16), kind="stable")
    if bits <= 16:
        return rows
    return rows.take(np.argsort((keys >> np.uint32(16)).astype(np.uint16).take(rows), kind="stable"))


def _runs(ordered: npt.NDArray[Any], change: npt.NDArray[np.bool_]) -> tuple[Ints, npt.NDArray[Any]]:
    """Dense codes along ordered keys, and the distinct keys."""
    codes = np.zeros(len(ordered), dtype=np.int64)
    np.cumsum(change, out=codes[1:])
    return codes, ordered[np.append(0, np.flatnonzero(change) + 1)]


def micros(amounts: Floats) -> Ints:
    """Amounts as whole millionths; 100.04 is exactly 100_040_000. Wants |amount| <= `LARGEST`."""
    return np.asarray(np.rint(amounts * MICROS), dtype=np.int64)


def money(units: Ints) -> Floats:
    """Whole millionths as amounts again: one correctly rounded division."""
    return np.asarray(units / np.float64(MICROS))


def extremes(values: Floats) -> tuple[float, float]:
    """The smallest and the largest value; one of them is not finite where any value is not."""
    return float(values.min(initial=0.0)), float(values.max(initial=0.0))


def sums(codes: Ints, size: int, values: Ints) -> Ints:
    """Exact sums of whole numbers per group."""
    found = np.zeros(size, dtype=np.int64)
    np.add.at(found, codes, values)
    return found


def whole_sums(codes: Ints, size: int, counts: Floats) -> Ints:
    """Sums of whole numbers per group. Wants the sum of all sizes <= `LARGEST_WHOLE`."""
    return sums(codes, size, np.rint(counts).astype(np.int64))


def money_sums(codes: Ints, size: int, amounts: Floats) -> Floats:
    """Sums of money per group, exact even where the shop's total is beyond millionths in 64 bits: whole units and the rest apart."""
    whole = np.floor(amounts)
    units, rest = whole_sums(codes, size, whole), np.zeros(size, dtype=np.int64)
    np.add.at(rest, codes, micros(amounts - whole))
    return np.array([(u * MICROS + r) / MICROS for u, r in zip(units.tolist(), rest.tolist(), strict=True)], dtype=np.float64)


def ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    """A quotient that is missing (NaN), not an error, where there is nothing to divide by."""
    a, b = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    return np.asarray(np.divide(a, b, out=np.full(a.shape, np.nan), where=b != 0))


def medians(codes: Ints, size: int, columns: Sequence[Floats]) -> list[Floats]:
    """The median of each column in each group; NaN for an empty group."""
    order = np.argsort(codes.astype(np.uint16 if size <= np.iinfo(np.uint16).max else np.int64), kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=size))[:-1]
    return [np.array([np.median(group) if group.size else np.nan for group in np.split(values[order], ends)]) for values in columns]
