"""Where a curve reaches what is asked of it."""

from __future__ import annotations

import math
from collections.abc import Callable

from opsmetrics._kernels.planning import NEARLY_SURE


def crossing(reached: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Where in [low, high] an increasing function of a positive number reaches a target; missing where it does not."""
    from scipy.optimize import brentq

    if reached(low) >= target:
        return low
    if reached(high) < target:
        return math.nan
    root: float = brentq(lambda x: reached(math.exp(x)) - target, math.log(low), math.log(high), xtol=1e-15, rtol=1e-15, maxiter=500)
    return math.exp(root)


def settled(reached: Callable[[float], float], low: float, high: float) -> float:
    """The probability p = reached(p) between two others, where `reached` is above p near `low` and not above it at `high`."""
    from scipy.optimize import brentq
    from scipy.special import ndtr, ndtri

    def excess(z: float) -> float:
        p = float(ndtr(z))
        return reached(p) - p

    end, bottom = float(ndtri(min(high, NEARLY_SURE))), float(ndtri(low))
    if excess(end) >= 0:
        return reached(float(ndtr(end)))
    start = bottom + (end - bottom) * 0.9
    while excess(start) < 0:
        start = bottom + (start - bottom) * 0.8
        if start - bottom < 1e-6 * (end - bottom):  # below everywhere: what there is at the least
            return reached(float(ndtr(bottom)))
    return float(ndtr(brentq(excess, start, end, xtol=1e-14, rtol=1e-15)))
