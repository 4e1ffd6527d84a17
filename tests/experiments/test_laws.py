"""What a statistic must reach: quantiles of t against 40 digits, on both sides of where the series begins."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from opsmetrics.experiments import laws


def exceeds(t: float, df: float) -> mpmath.mpf:
    """P(T > t) of Student's t."""
    nu, x = mpmath.mpf(df), mpmath.mpf(t)
    return mpmath.betainc(nu / 2, mpmath.mpf(1) / 2, 0, nu / (nu + x * x), regularized=True) / 2


@pytest.mark.parametrize("df", [1.0, 3.5, 150.0, 1_999.0, 2_000.0, 2_500.5, 1e5, 1e9])
def test_quantiles_of_t(df: float) -> None:
    with mpmath.workdps(40):
        levels = np.array([0.4, 0.1, 0.025, 0.005, 1e-4, 1e-7])
        for level, found in zip(levels.tolist(), laws.quantile(levels, np.full(len(levels), df)).tolist(), strict=True):
            told = exceeds(found, df)
            slope = (exceeds(found * 1.000001, df) - told) / (found * 1e-6)  # of the tail, to turn what is left into a distance
            assert abs(float((told - level) / slope)) < 2e-14 * max(found, 1.0) * 10


def test_quantiles_where_there_is_nothing_to_test() -> None:
    levels, df = np.array([0.025, 0.025, 0.0, 0.5]), np.array([np.nan, np.inf, np.inf, 4_000.0])
    found = laws.quantile(levels, df)
    assert found.tolist() == pytest.approx([1.959963984540054, 1.959963984540054, np.inf, 0.0], abs=1e-12)
