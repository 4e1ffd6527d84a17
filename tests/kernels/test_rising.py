"""Rising factorials, Beta functions and the trigamma function against forty digits, from parameters near 0 to such beyond measure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp

from opsmetrics._kernels import rising
from tests.lifetime_value import reference

SIZES = st.floats(-18.0, 18.0).map(np.exp)
"""What the search for parameters may come to."""


def exact(function):
    with reference.digits(40):
        return [float(value) for value in function()]


def near(expected, size):
    """Fourteen digits of the value, or of the largest of what it is the difference of."""
    return pytest.approx(expected, rel=1e-12, abs=1e-14 * max(size, 1.0))


@given(SIZES)
def test_trigamma_has_fourteen_digits(z):
    (expected,) = exact(lambda: [mp.psi(1, z)])
    assert float(rising.trigamma(np.array([z]))[0]) == pytest.approx(expected, rel=1e-14)


@given(SIZES, st.integers(0, 10_000))
def test_rising_factorials_and_their_slopes(z, k):
    expected = exact(
        lambda: [
            mp.loggamma(mp.mpf(z) + k) - mp.loggamma(z),
            mp.psi(0, mp.mpf(z) + k) - mp.psi(0, z),
            mp.psi(1, mp.mpf(z) + k) - mp.psi(1, z),
        ]
    )
    found = [float(value[0]) for value in rising.rows(np.array([z]), np.array([k]))]
    sizes = [abs(expected[0]) + 1e3, 1 + 1 / z, 1 + 1 / z**2]
    assert all(own == near(value, size) for own, value, size in zip(found, expected, sizes, strict=True))
    assert rising.logs(z, k) == found[0]


@given(SIZES, SIZES)
def test_beta_functions_and_their_slopes(a, b):
    def function():
        both = mp.mpf(a) + b
        first, second = ([mp.psi(order, value) for value in (a, b, both)] for order in (0, 1))
        return [
            mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(both),
            first[0] - first[2], first[1] - first[2], second[0] - second[2], second[1] - second[2], -second[2],
        ]  # fmt: skip

    expected = exact(function)
    value, *slopes = (float(row[0]) for row in rising.log_beta(np.array([a]), b))
    assert value == near(expected[0], float(mp.loggamma(min(a, b))) + 1e3)
    for own, right in zip(slopes, expected[1:], strict=True):
        assert own == near(right, 1 + 1 / min(a, b) ** 2)


def test_rows_are_told_one_by_one():
    """Large and small ones beside each other, with a number for all and with one for each."""
    a, b = np.array([0.3, 7.0, 250.0, 1e6]), np.array([2.0, 300.0, 1e7, 0.5])
    each = np.array([rising.log_beta(x, y) for x, y in zip(a, b, strict=True)])
    assert rising.log_beta(a, b).T.tolist() == each.tolist()
    assert rising.log_beta(a, 300.0).T.tolist() == [rising.log_beta(x, 300.0).tolist() for x in a]
