"""A Gamma variable times a log-normal factor: against a fine grid of both, and against either alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import gamma

from opsmetrics._kernels import products

LEVELS = np.array([0.025, 0.05, 0.5, 0.95, 0.975])


@pytest.mark.parametrize("spread", [0.01, 0.2, 1.0, 5.0])
@pytest.mark.parametrize("shape", [0.3, 2.0, 40.0, 1e4])
def test_quantiles_are_those_of_a_fine_grid(shape: float, spread: float) -> None:
    middles = (np.arange(3_000) + 0.5) / 3_000
    grid = np.log(gamma.ppf(middles, shape) / shape)[:, None] + spread * ndtri(middles)
    found = products.quantile(np.full(5, shape), np.full(5, spread), LEVELS)
    assert np.log(found) == pytest.approx(np.quantile(grid, LEVELS), abs=0.002 * float(grid.std()))


def test_without_a_factor_it_is_the_gamma_distribution() -> None:
    shapes = np.array([0.01, 0.5, 3.0, 1e3, 1e8])
    for level in LEVELS:
        found = products.quantile(shapes, np.zeros(5), np.full(5, level))
        assert found == pytest.approx(gamma.ppf(level, shapes) / shapes, rel=1e-8, abs=1e-290)


def test_of_a_variable_that_does_not_vary_it_is_the_factor() -> None:
    found = products.quantile(np.full(5, 1e12), np.full(5, 0.7), LEVELS)
    assert found == pytest.approx(np.exp(0.7 * ndtri(LEVELS)), rel=1e-5)
