"""Searches along curves that are known."""

from __future__ import annotations

import numpy as np
import pytest

from opsmetrics.experiments import searches


def test_where_a_function_gets_to():
    assert searches.crossing(lambda x: x * x, 9.0, 1e-3, 1e6) == pytest.approx(3.0, rel=1e-14)
    assert searches.crossing(lambda x: x * x, 9.0, 5.0, 1e6) == 5.0
    assert np.isnan(searches.crossing(lambda x: x / (1 + x), 1.5, 1e-3, 1e6))


def test_where_a_power_settles():
    assert searches.settled(lambda p: 0.9 - 0.5 * p, 0.025, 0.9) == pytest.approx(0.6, rel=1e-12)
    assert searches.settled(lambda p: 1.0, 0.025, 1.0) == 1.0
