"""Group-sequential tests: how often a test statistic leaves its bounds, look by look, and what may be said where it does.

At information time t the score S = Z sqrt(t) of a test statistic Z is a Brownian motion with a drift, the mean of Z at t = 1. The mass of
the paths that no look has stopped is carried from look to look by numerical integration (P. Armitage, C. K. McPherson & B. C. Rowe, 1969,
Repeated significance tests on accumulating data, JRSS A 132, 235-244; C. Jennison & B. W. Turnbull, 2000, Group Sequential Methods with
Applications to Clinical Trials, chapter 19). It is carried under no drift: under a drift, a path that is at s at time t weighs
exp(drift s - drift^2 t / 2) as much, so one walk answers for every drift.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels.quadrature import legendre

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Family = Literal["obrien-fleming", "pocock", "hwang-shih-decani", "kim-demets"]

NEGLIGIBLE: Final = 1e-14
"""A look that may spend less than this part of the whole error cannot stop: its bound would be more than eight standard deviations out."""

REACH, _EDGE = 8.5, 40.0
"""Standard deviations beyond which there is no path without a drift: 2e-17 of them; a bound that no path meets under any drift."""

_FAR = 12.0
"""Standard deviations that no path goes in one step."""

_DENSITY, _ENDS, _PANEL = 1.5, 12, 80
"""Nodes of Gauss and Legendre per standard deviation of the shortest step, more towards both ends of a panel, and the most in one panel."""

_DEEP = 20.0
"""A z so far below zero has nothing to do with bounds above it: estimates move with it."""

_SPACE, _STENCIL = 0.125, 8
"""How far apart the levels are at which a p-value is looked up, and how many of them its interpolation takes."""

_GRID: Final = {1: (-4.0, 36.0), 2: (-14.0, 36.0)}
"""The ends of the grid of levels by sides: from 1 less a millionth (of one side, 3e-5) down to 4e-284."""


# -------------------------------------------------------------------------------------------------------------- spending


@dataclass(frozen=True, slots=True)
class Spending:
    """How much of an error may have been spent at an information time.

    With a the error of one side: O'Brien and Fleming's 2 - 2 Phi(z_{a/2} / sqrt t) and Pocock's a log(1 + (e - 1) t) are approximations by
    K. K. G. Lan & D. L. DeMets (1983), Discrete sequential boundaries for clinical trials, Biometrika 70, 659-663; then
    a (1 - exp(-g t)) / (1 - exp(-g)) by I. K. Hwang, W. J. Shih & J. S. DeCani (1990), Statistics in Medicine 9, 1439-1445; and a t^g by
    K. Kim & D. L. DeMets (1987), Biometrika 74, 149-154.
    """

    family: Family
    shape: float
    sides: Literal[1, 2]

    def logs(self, t: npt.ArrayLike, log_error: npt.ArrayLike) -> Floats:
        """The logarithm of what all sides together may have spent at time t; nothing at t = 0, the whole error from t = 1 on."""
        time, whole = np.clip(np.asarray(t, dtype=np.float64), 0.0, 1.0), np.asarray(log_error, dtype=np.float64)
        with np.errstate(divide="ignore"):
            if self.family == "obrien-fleming":
                from scipy.special import log_ndtr, ndtri_exp

                z = ndtri_exp(np.minimum(whole - math.log(2 * self.sides), math.log(0.5)))
                return np.asarray(math.log(2 * self.sides) + log_ndtr(np.divide(z, np.sqrt(time))))
            return np.asarray(whole + np.log(self._part(time)))

    def _part(self, t: Floats) -> Floats:
        """The part of the error where it does not depend on the error."""
        if self.family == "pocock":
            return np.log1p((math.e - 1) * t)
        if self.family == "kim-demets":
            return t**self.shape
        return t if self.shape == 0 else np.expm1(-self.shape * t) / math.expm1(-self.shape)

    def spent(self, t: npt.ArrayLike, error: float) -> Floats:
        """What all sides together may have spent at time t."""
        return np.exp(self.logs(t, math.log(error)))


# ----------------------------------------------------------------------------------------------------------------- walks


class Paths(NamedTuple):
    """The paths that go on after a look: its time, points of the score, and the logarithm of the mass at each, under no drift."""

    time: float
    points: Floats
    log_mass: Floats

    def log_under(self, drift: Floats) -> Floats:
        """The logarithm of the mass at each point under each drift, along a last axis."""
        d = drift[..., None]
        return np.asarray(self.log_mass + d * self.points - 0.5 * d * d * self.time)


class Walk(NamedTuple):
    """Bounds of z at the times of looks, and the paths that arrive at each."""

    t: Floats
    lower: Floats
    upper: Floats
    arriving: tuple[Paths, ...]


def _start() -> Paths:
    return Paths(0.0, np.zeros(1), np.zeros(1))


def _between(paths: Paths, t: float, lower: float, upper: float, gap: float, reach: float = REACH) -> Paths:
    """The paths that are between two bounds of z at time t. `gap` is the step that will follow."""
    if lower <= -_EDGE and upper >= _EDGE:
        return paths
    step, scale = t - paths.time, math.sqrt(t)
    left, right = (lower if lower > -_EDGE else -reach) * scale, (upper if upper < _EDGE else reach) * scale
    panels, at, weights = _nodes(_DENSITY * (right - left) / math.sqrt(min(step, gap)))
    points = left + (right - left) * at
    density = np.concatenate([_density(paths, step, part) for part in np.split(points, panels)])
    with np.errstate(divide="ignore"):
        return Paths(t, points, np.log(density * weights * (right - left)))


def _density(paths: Paths, step: float, at: Floats) -> Floats:
    """The density of the paths at points (in order) one step later, of which only those that are near can have come."""
    near = slice(*np.searchsorted(paths.points, [at[0] - _FAR * math.sqrt(step), at[-1] + _FAR * math.sqrt(step)]))
    apart = at[:, None] - paths.points[near]
    return np.asarray(np.exp(apart * apart * (-0.5 / step)) @ np.exp(paths.log_mass[near])) / math.sqrt(2 * math.pi * step)


def _nodes(wanted: float) -> tuple[int, Floats, Floats]:
    """How many panels there are, and nodes and weights on [0, 1], in panels of equal width: rules of many nodes are dear to find."""
    panels = math.ceil(wanted / (_PANEL - _ENDS))
    at, weights = legendre(8 * math.ceil((wanted / panels + _ENDS) / 8))
    return panels, ((np.arange(panels)[:, None] + at) / panels).ravel(), np.tile(weights / panels, panels)


def _gaps(t: Floats) -> Floats:
    """The shortest step that may follow a look: the next look may come half-way early."""
    return np.append(np.diff(t) / 2, np.inf)


def walk(t: Floats, lower: Floats, upper: Floats, reach: float = REACH) -> Walk:
    """The paths that arrive at each look, when those outside the bounds of z stop."""
    arriving, gaps = [_start()], _gaps(t)
    for k in range(t.size - 1):
        arriving.append(_between(arriving[-1], float(t[k]), float(lower[k]), float(upper[k]), float(gaps[k]), reach))
    return Walk(t, lower, upper, tuple(arriving))


def spend(t: Floats, cumulative: Floats, sides: int) -> Walk:
    """Bounds that spend these errors up to each time, on one side or evenly on both, and the paths that arrive at each look."""
    paths, spent, gaps, bounds, arriving = _start(), 0.0, _gaps(t), np.full(t.size, np.inf), []
    for k, now in enumerate(t.tolist()):
        arriving.append(paths)
        if cumulative[k] - spent > NEGLIGIBLE * cumulative[-1]:
            log_spend = np.log(cumulative[k : k + 1] - spent)
            bounds[k] = bound(paths, t[k : k + 1], log_spend, sides, near=bounds[k - 1] if k else np.inf)[0]
            spent = cumulative[k]
            low = -bounds[k] if sides == 2 else -math.inf
            if k < t.size - 1:
                paths = _between(paths, now, low, bounds[k], float(gaps[k]))
    return Walk(t, -bounds if sides == 2 else np.full(t.size, -np.inf), bounds, tuple(arriving))


def bound(paths: Paths, t: Floats, log_spend: Floats, sides: int, near: float = np.inf) -> Floats:
    """The z at each time t that so much of the arriving paths exceed, on one side or in size, and which may be `near` another."""
    from scipy.special import ndtri_exp

    log_side = log_spend - math.log(sides)
    found = _exceeded(paths, t, log_side, np.sqrt(t) * np.minimum(-ndtri_exp(np.minimum(log_side, -1e-300)), near)) / np.sqrt(t)
    return np.maximum(found, 0.0) if sides == 2 else found


def _exceeded(paths: Paths, t: Floats, log_spend: Floats, near: Floats) -> Floats:
    """The score at each time t that this mass of the arriving paths exceeds; minus infinity where fewer arrive.

    The logarithm of the mass above b is concave and decreasing in b (A. Prekopa, 1971, Acta Sci. Math. 32, 301-316), so Newton's steps
    lead beyond the root at most once, and then come down to it. They are so near at the end that one more would only be rounding.
    """
    b = np.array(near, dtype=np.float64)
    enough = log_spend < np.logaddexp.reduce(paths.log_mass) - 1e-15
    for _ in range(100):
        log_above, slope = _log_above(paths, t, b)
        step = np.where(enough, (log_above - log_spend) / slope, 0.0)
        b -= step
        if (np.abs(step) <= 1e-8 * np.sqrt(t)).all():
            break
    return np.where(enough, b, -np.inf)


def _log_above(paths: Paths, t: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The logarithm of the mass of the arriving paths above b at time t, and its derivative in b."""
    from scipy.special import log_ndtr

    step = np.sqrt(t - paths.time)[:, None]
    x = (paths.points - b[:, None]) / step
    parts = paths.log_mass + log_ndtr(x)
    top = parts.max(axis=1, keepdims=True)
    mass = np.exp(parts - top).sum(axis=1)
    density = np.exp(paths.log_mass - 0.5 * x * x - top).sum(axis=1) / (math.sqrt(2 * math.pi) * step[:, 0])
    return top[:, 0] + np.log(mass), -density / mass


# ----------------------------------------------------------------------------------------------------------------- exits


def leaving(walked: Walk, drift: npt.ArrayLike) -> tuple[Floats, Floats]:
    """The chance to leave below and above at each look (the first axis), under each drift."""
    from scipy.special import ndtr

    drifts = np.asarray(drift, dtype=np.float64)
    below, above = (np.empty((walked.t.size, *drifts.shape)) for _ in range(2))
    for k, (t, paths) in enumerate(zip(walked.t.tolist(), walked.arriving, strict=True)):
        step, mass = t - paths.time, np.exp(paths.log_under(drifts))
        mean = paths.points + drifts[..., None] * step
        low, high = walked.lower[k] * math.sqrt(t), walked.upper[k] * math.sqrt(t)
        below[k] = (mass * ndtr((low - mean) / math.sqrt(step))).sum(axis=-1)
        above[k] = (mass * ndtr((mean - high) / math.sqrt(step))).sum(axis=-1)
    return below, above


def exits(t: Floats, lower: Floats, upper: Floats, drift: npt.ArrayLike) -> tuple[Floats, Floats]:
    """The chance to leave two bounds of z below and above at each look, where the mean of Z at time t is drift sqrt(t)."""
    return leaving(walk(t, lower, upper, REACH + float(np.max(np.abs(drift)))), drift)


def drift_for(power: float, walked: Walk) -> float:
    """The drift under which the upper bounds are crossed with this chance; a crossing on the other side is no success."""
    from scipy.special import ndtri

    def short(drift: Floats) -> Floats:
        return np.asarray(_probit(leaving(walked, drift)[1].sum(axis=0)) - ndtri(power))

    return float(_root(short, np.array([-12.0]), np.array([24.0]))[0])


def fixed_drift(power: float, error: float, sides: int) -> float:
    """The drift under which a single look at the end has this power on the right side."""
    from scipy.special import ndtri

    return float(ndtri(power) - ndtri(error / sides))


def meeting(t: Floats, upper: Floats, cumulative: Floats) -> tuple[float, Floats]:
    """The drift, and lower bounds of z that spend these type II errors under it up to each time and meet the upper bound at the last look.

    The upper bounds stay as they are, so that who goes on in spite of a lower bound keeps his type I error: the futility does not bind.
    S. Pampallona, A. A. Tsiatis & K. Kim (2001), Drug Information Journal 35, 1113-1121.
    """

    def short(drift: Floats) -> Floats:
        return np.array([_lower(t, upper, cumulative, float(d))[0] for d in drift])

    low = np.array([drift_for(1 - float(cumulative[-1]), walk(t, np.full(t.size, -np.inf), upper))])  # to give up costs power
    high = low + 0.2
    while short(high)[0] < 0:
        low, high = high, high + 2 * (high - low)
    drift = float(_root(short, low, high)[0])
    return drift, _lower(t, upper, cumulative, drift)[1]


def _lower(t: Floats, upper: Floats, cumulative: Floats, drift: float) -> tuple[float, Floats]:
    """How far the power is above what the type II errors leave, and lower bounds that spend these."""
    from scipy.special import ndtri

    paths, spent, gaps, bounds = _start(), 0.0, _gaps(t), np.full(t.size, -np.inf)
    for k, now in enumerate(t.tolist()[:-1]):
        bounds[k] = lower_bound(paths, t[k : k + 1], cumulative[k] - spent, cumulative[-1], drift)[0]
        if bounds[k] > -math.inf:
            spent = cumulative[k]
        if bounds[k] >= upper[k]:
            return float(ndtri(1 - spent) - ndtri(1 - cumulative[-1])), bounds
        paths = _between(paths, now, float(bounds[k]), float(upper[k]), float(gaps[k]), REACH + abs(drift))
    bounds[-1] = upper[-1]
    last = Walk(t[-1:], bounds[-1:], upper[-1:], (paths,))
    missed = float(leaving(last, drift)[0][0])
    return float(_probit(np.asarray(1 - spent - missed)) - ndtri(1 - cumulative[-1])), bounds


def lower_bound(paths: Paths, t: Floats, spending: npt.ArrayLike, whole: float, drift: float) -> Floats:
    """The z at each time t below which this mass of the arriving paths is under a drift; minus infinity where a look cannot stop."""
    from scipy.special import ndtri

    left = np.broadcast_to(np.asarray(spending, dtype=np.float64), t.shape)
    some = left > NEGLIGIBLE * whole
    spent = np.where(some, left, 0.5)
    moved, mirrored = drift * (t - paths.time), Paths(paths.time, -paths.points, paths.log_under(np.asarray(drift)))
    found = moved - _exceeded(mirrored, t, np.log(spent), moved - drift * t - np.sqrt(t) * ndtri(spent))
    return np.where(some, found / np.sqrt(t), -np.inf)


# -------------------------------------------------------------------------------------------------------------- p-values


@dataclass(frozen=True, slots=True)
class Levels:
    """One plan at many levels of error, of which each is worked out when it is first asked for."""

    spending: Spending
    t: Floats
    logs: Floats
    _walks: dict[int, Walk] = field(default_factory=dict)

    @classmethod
    def of(cls, spending: Spending, t: Floats) -> Self:
        """The plan with its looks at these times."""
        low, high = _GRID[spending.sides]
        return cls(spending, t, _log_level(np.arange(low, high + _SPACE / 2, _SPACE), spending.sides))

    def walk(self, place: int) -> Walk:
        """The plan at one level."""
        if place not in self._walks:
            self._walks[place] = spend(self.t, np.exp(self.spending.logs(self.t, self.logs[place])), self.spending.sides)
        return self._walks[place]


def _log_level(at: Floats, sides: int) -> Floats:
    """The logarithm of the level at a place of the grid: that of a normal quantile, which two sides need to be positive.

    At level 1 all paths would have stopped a little beyond; the softplus keeps that singularity away.
    """
    from scipy.special import log_ndtr

    return np.asarray(math.log(sides) + log_ndtr(-np.logaddexp(0.0, at) if sides == 2 else -at))


def left_to_spend(spending: Spending, arrived: Walk, look: int, t: Floats, log_level: npt.ArrayLike) -> Floats:
    """The logarithm of what a look at each time t may spend beyond the finite bounds before it."""
    now = spending.logs(t, log_level)
    stopped = np.flatnonzero(np.isfinite(arrived.upper[:look]))
    if not stopped.size:
        return now
    before = spending.logs(arrived.t[stopped[-1]], log_level)
    return np.asarray(now + np.log(np.maximum(-np.expm1(before - now), 1e-300)))


def repeated(levels: Levels, look: int, t: Floats, z: Floats) -> Floats:
    """The smallest level at which z crosses the bound of the present look, at each time t: the repeated p-value; 1 where there is none.

    Jennison & Turnbull, chapter 9. What may be spent less what the look's tail holds is a smooth function of y, so its
    root is found between levels of a grid by interpolation.
    """
    places, size = _search(levels, look, t, z), levels.logs.size
    first = np.clip(places - _STENCIL // 2 + 1, 0, size - _STENCIL)
    near = np.empty((2, z.size, _STENCIL))
    for place in np.unique(first[:, None] + np.arange(_STENCIL)).tolist():
        here = np.flatnonzero((first <= place) & (place < first + _STENCIL))
        near[:, here, place - first[here]] = _spare(levels, look, t[here], z[here], place)

    def lacking(at: Floats) -> Floats:
        return np.asarray(-(near * _lagrange(at)).sum(axis=-1).min(axis=0))

    root = _root(lacking, np.maximum(places, 0.0) - first, np.minimum(places + 1.0, size - 1.0) - first)
    sides = levels.spending.sides
    return np.where(places < 0, 1.0, np.exp(_log_level(_GRID[sides][0] + (first + root) * _SPACE, sides)))


def _search(levels: Levels, look: int, t: Floats, z: Floats) -> Ints:
    """The last place of the grid whose level z crosses, -1 where there is none: in growing strides from where a first look would cross."""
    from scipy.special import log_ndtr

    size, sample = levels.logs.size, 8
    alone = levels.spending.logs(t[:, None], levels.logs[::sample]) >= math.log(levels.spending.sides) + log_ndtr(-z)[:, None]
    place = np.clip(sample * (alone.sum(axis=1) - 1), 0, size - 1)
    low, high, stride = np.full(z.size, -1), np.full(z.size, size), 1
    while (wide := high - low > 1).any():
        crossed = low >= place
        for one in np.unique(place[wide]).tolist():
            here = np.flatnonzero(wide & (place == one))
            crossed[here] = _spare(levels, look, t[here], z[here], one).min(axis=0) >= 0
        low, high = np.where(wide & crossed, place, low), np.where(wide & ~crossed, place, high)
        near = np.where(crossed, low + stride, high - stride)
        place = np.where((near > low) & (near < high), near, (low + high) // 2)
        stride *= 2
    return low


def _spare(levels: Levels, look: int, t: Floats, z: Floats, place: int) -> Floats:
    """By how much, in logarithms, a level has more to spend than the tail beyond z holds, and than is negligible.

    z crosses where neither is below 0.
    """
    arrived, log_level = levels.walk(place), levels.logs[place]
    left = left_to_spend(levels.spending, arrived, look, t, log_level)
    tail = _log_above(arrived.arriving[look], t, z * np.sqrt(t))[0]
    return np.stack([left - math.log(levels.spending.sides) - tail, left - log_level - math.log(NEGLIGIBLE)])


def _lagrange(x: Floats) -> Floats:
    """The weights of values at 0, 1, 2, ... in the polynomial through them, at each x."""
    nodes = np.arange(_STENCIL, dtype=np.float64)
    weights = np.ones((x.size, _STENCIL))
    for node in range(_STENCIL):
        others = nodes != node
        weights[:, others] *= (x[:, None] - node) / (nodes[others] - node)
    return weights


# ------------------------------------------------------------------------------------------------------------- at stopping


class Stopped(NamedTuple):
    """What is said of tests that stopped: a p-value, and the drift with an interval, as z at the time of stopping."""

    p_value: Floats
    z: Floats
    z_low: Floats
    z_high: Floats


def stagewise(walked: Walk, look: int, t: Floats, z: Floats, error: float, sides: int) -> Stopped:
    """The p-value, the median-unbiased estimate and the interval of tests that stopped at a look at times t with z.

    Outcomes are ordered by look, then by z: one that stopped earlier at an upper bound is more extreme. A. A. Tsiatis, G. L. Rosner & C. R.
    Mehta (1984), Exact confidence intervals following a group sequential test, Biometrics 40, 797-803; Jennison & Turnbull, section 8.4.
    Lower bounds of a one-sided test are passed over, for they do not bind. On two sides the p-value is twice the smaller tail.
    """
    from scipy.special import ndtri

    sign = np.where((z < 0) & (sides == 2), -1.0, 1.0)
    size = np.maximum(sign * z, -_DEEP)
    if sides == 1:
        walked = walk(walked.t, walked.lower, walked.upper, 2 * REACH + max(-float(size.min(initial=0.0)), 0.0))
    tail = _ordered(walked, look, t, size, np.zeros(z.size))
    beyond = sign * z - size
    middle, low, high = (
        beyond + _drift_at(walked, look, t, size, float(ndtri(q))) * np.sqrt(t) for q in (0.5, error / sides, 1 - error / sides)
    )
    if sides == 1:
        return Stopped(np.minimum(tail, 1.0), middle, low, np.full(z.size, np.inf))
    ends = np.sort(np.stack([sign * low, sign * high]), axis=0)
    return Stopped(np.minimum(2 * tail, 1.0), sign * middle, ends[0], ends[1])


def _ordered(walked: Walk, look: int, t: Floats, z: Floats, drift: Floats) -> Floats:
    """The chance of an outcome that is at least as extreme upwards as z at this look, under each test's drift."""
    total = _mass_above(walked.arriving[look], t, z * np.sqrt(t), drift)
    for k in range(look):
        total += _mass_above(walked.arriving[k], walked.t[k : k + 1], walked.upper[k : k + 1] * np.sqrt(walked.t[k]), drift)
    return total


def _mass_above(paths: Paths, t: Floats, b: Floats, drift: Floats) -> Floats:
    """The mass of the arriving paths above b at time t, test by test."""
    from scipy.special import ndtr

    step = (t - paths.time)[:, None]
    return np.asarray(
        (np.exp(paths.log_under(drift)) * ndtr((paths.points + drift[:, None] * step - b[:, None]) / np.sqrt(step))).sum(axis=1)
    )


def _drift_at(walked: Walk, look: int, t: Floats, z: Floats, target: float) -> Floats:
    """The drift under which the chance of a more extreme outcome has this probit."""

    def short(drift: Floats) -> Floats:
        return _probit(_ordered(walked, look, t, z, drift)) - target

    fixed, width = (z + target) / np.sqrt(t), 0.5 / np.sqrt(t)
    low, high = fixed - width, fixed + width
    while (above := short(low) > 0).any() or (short(high) < 0).any():
        width = 2 * width
        low, high = np.where(above, low - width, low), np.where(short(high) < 0, high + width, high)
    return _root(short, low, high)


def _probit(chance: Floats) -> Floats:
    """The normal quantile of a chance, finite at both ends."""
    from scipy.special import ndtri

    return np.asarray(ndtri(np.clip(chance, 1e-300, 1 - 1e-16)))


def _root(function: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """The roots of increasing functions, each between its two ends, all at once.

    T. R. Chandrupatla (1997), A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without using
    derivatives, Advances in Engineering Software 28, 145-149.
    """
    a, b = np.array(high, dtype=np.float64), np.array(low, dtype=np.float64)
    value_a, value_b = function(a), function(b)
    part = np.full(a.shape, 0.5)
    for _ in range(100):
        at = a + part * (b - a)
        value = function(at)
        same = (value > 0) == (value_a > 0)
        c, value_c = np.where(same, a, b), np.where(same, value_a, value_b)
        b, value_b = np.where(same, b, a), np.where(same, value_b, value_a)
        a, value_a = at, value
        with np.errstate(divide="ignore", invalid="ignore"):
            least = 1e-13 * np.maximum(np.abs(a), 1.0) / np.abs(b - a)
            if ((least > 0.5) | (value_a == 0)).all():
                break
            xi, phi = (a - b) / (c - b), (value_a - value_b) / (value_c - value_b)
            curved = value_a / (value_b - value_a) * value_c / (value_b - value_c) + (c - a) / (b - a) * value_a / (
                value_c - value_a
            ) * value_b / (value_c - value_b)
            smooth = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi) & np.isfinite(curved)
            part = np.clip(np.where(smooth, curved, 0.5), np.minimum(least, 0.5), np.maximum(1 - least, 0.5))
            part = np.where(value_a == 0, 0.0, part)
    return np.where(np.abs(value_a) <= np.abs(value_b), a, b)
