"""Maximum likelihood by Newton's method in a trust region, for a handful of parameters with exact second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels.histories import Total

Floats = npt.NDArray[np.float64]

GAIN: Final = 1e-10
RIDGE_GAIN: Final = 1e-7
"""Converged where no step as far as `REACH` promises more than this in the log-likelihood; the second on a ridge, where it never ends."""

STEEP: Final = 0.01
"""The curvature of a summit that is no ridge: a log of a parameter is told to within 10."""

REACH: Final = 3.0
"""Along a ridge that rises for ever the rest of the climb is about the slope times this."""

FLAT: Final = 1e-5
"""A curvature upwards that is no more than this brings next to nothing, however far one goes."""

FAR: Final = 18.0
"""A log of a parameter, in the data's own units, beyond which it is taken to run to the boundary; farther out all is rounding."""

NEAR: Final = 1.0
"""Logs of all parameters that are no farther apart belong to one hill."""

OPTIMISM: Final = 2.0
"""A climb is given up where so many times what its model promises does not bring it to a summit that is known."""

MOST_STEPS: Final = 60


@dataclass(frozen=True, slots=True)
class Optimum:
    """Where the search ended, with the derivatives there, the number of evaluations, and why it ended."""

    theta: Floats
    total: Total
    evaluations: int
    reason: str

    @property
    def converged(self) -> bool:
        """Whether the gradient has vanished at a maximum."""
        return self.reason == "converged"


def maximise(total_at: Callable[[Floats], Total], start: Floats, size: float, known: Optimum | None = None) -> Optimum:
    """Climb from `start`. `size` is the weight of the rows, which says how much of a value is rounding.

    A climb is given up where it leads to a summit that is `known`, or to a lower one.

    The model of the surface is its Hessian with eigenvalues made negative (Ph. E. Gill & W. Murray, 1974), the step is cut to a radius, and
    the radius grows and shrinks with how well the model told the gain (J. Nocedal & S. J. Wright, 2006, Numerical Optimization, ch. 4). A
    parameter that runs to the boundary stays there, and the others go on.
    """
    theta, total, radius, stretch = _within(start, FAR), total_at(start), 1.0, 1.0
    for evaluations in range(1, MOST_STEPS):
        free = np.abs(theta) < FAR
        if not free.all():
            free |= np.sign(theta) != np.sign(total.gradient)
        step, gain, promised, lowest = _step(total, free, radius, size)
        rounding = 4e-15 * (abs(total.value) + size)
        if lowest > -FLAT and gain <= max(GAIN if lowest > STEEP else RIDGE_GAIN, rounding):
            return Optimum(theta, total, evaluations, "converged" if free.all() else "at a boundary")
        if known is not None and _is_outdone(known, theta, total.value, (step, gain) if lowest > 0 else None):
            return Optimum(theta, total, evaluations, "below another summit")
        tried = _within(theta + stretch * step, FAR)
        found = total_at(tried)
        got, length = found.value - total.value, float(np.abs(step).max())
        if not np.isfinite(found.value) or got < 0.1 * promised - 10 * rounding:
            radius = radius if stretch > 1 else 0.25 * length
            if radius < 1e-9:
                return Optimum(theta, total, evaluations + 1, "where no step climbs any further")
            stretch = 1.0
            continue
        if got > 0.7 * promised and length >= 0.99 * radius:
            radius = min(radius * 3, 8.0)
        # Where a step brings more than it promised the surface is a ridge that flattens out, on which Newton's steps are too short.
        stretch = min(2 * stretch, 8.0) if got > 1.1 * promised + 10 * rounding and length < 0.99 * radius else 1.0
        theta, total = tried, found
    return Optimum(theta, total, MOST_STEPS, "out of steps")


def _step(total: Total, free: npt.NDArray[np.bool_], radius: float, size: float) -> tuple[Floats, float, float, float]:
    """Newton's step within a radius; what one within `REACH` would gain, what this one promises, and the least curvature."""
    own = slice(None) if free.all() else free
    curvature, axes = np.linalg.eigh(-total.hessian[own][:, own])
    slope, sizes = axes.T @ total.gradient[own], np.abs(curvature)
    bent = np.maximum(sizes, max(1e-10 * float(sizes.max(initial=0.0)), 1e-12 * size))
    along = slope / bent
    reach = _within(along, REACH)
    gain = float(slope @ reach - 0.5 * (bent @ (reach * reach)))
    if (length := float(np.abs(axes @ along).max(initial=0.0))) > radius:
        along = along * (radius / length)
    step = np.zeros(len(free))
    step[own] = axes @ along
    return step, gain, float(slope @ along - 0.5 * (bent @ (along * along))), float(curvature.min(initial=np.inf))


def _is_outdone(known: Optimum, theta: Floats, value: float, ahead: tuple[Floats, float] | None) -> bool:
    """Whether a climb ends at a known summit or at a lower one, as far as its model tells: the step to its own, if any, and the gain."""
    step, gain = (0.0, np.inf) if ahead is None else ahead
    summit = known.total.value
    return value <= summit and (value + OPTIMISM * gain < summit or float(np.abs(theta + step - known.theta).max()) < NEAR)


def _within(values: Floats, most: float) -> Floats:
    """Numbers cut at so much either way."""
    return np.minimum(np.maximum(values, -most), most)
