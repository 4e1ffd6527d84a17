"""Two independent proportions: score statistic, score intervals of difference and ratio, exact tests.

Arm 1 is the treatment, arm 0 the control; k successes of n trials, which need not be whole outside the exact tests. The ends of an
interval take critical values of the standard normal scale, one for each end: infinity leaves an end open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels.alternatives import Alternative

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

MOST_STEPS: Final = 200
STEP: Final = 1e-14
ROUNDING: Final = 1e-15
"""A root is found where the step is no longer than the first part of it, or the target missed by no more than the second."""

TIE: Final = 1e-7
"""Tables whose probabilities differ by less than this part are equally probable: the rule of R and of scipy."""

DEPTH: Final = 40.0
"""Outcomes exp(-40) times less probable than the one in question change no digit of a sum."""

CELLS: Final = 1 << 18
"""How many probabilities are held at a time."""


def score_z(k1: npt.ArrayLike, n1: npt.ArrayLike, k0: npt.ArrayLike, n0: npt.ArrayLike, margin: npt.ArrayLike = 0.0) -> Floats:
    """The signed score statistic of p1 - p0 = margin.

    z = (k1/n1 - k0/n0 - margin) / sqrt(p1 (1 - p1) / n1 + p0 (1 - p0) / n0) with the rates of `constrained`. At margin 0 it is the pooled
    z, whose square is Pearson's chi-squared without correction. 0 where the rates differ by the margin, so also where both are 0 or both
    1; missing where an arm has no trials.

    C. P. Farrington & G. Manning (1990), Test statistics and sample size formulae for comparative binomial trials with null hypothesis of
    non-zero risk difference or non-unity relative risk, Statistics in Medicine 9, 1447-1454.
    """
    a, m, b, n, shift = _arrays(k1, n1, k0, n0, margin)
    _, _, multiplier = _at_margin(a, m, b, n, shift)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = a / m - b / n - shift
        # With the multiplier t the gap is t V, so the score gap / sqrt(V) is sqrt(gap t): no digit of V is lost where a rate is near 1.
        z = np.sign(gap) * np.sqrt(gap * multiplier)
    return np.where((gap == 0) & ~np.isnan(multiplier), 0.0, z)


def constrained(k1: npt.ArrayLike, n1: npt.ArrayLike, k0: npt.ArrayLike, n0: npt.ArrayLike, margin: npt.ArrayLike) -> tuple[Floats, Floats]:
    """The most likely rates (p1, p0) among those with p1 - p0 = margin; missing without trials or where no rates differ so much.

    Both scores balance, n1 (k1/n1 - p1) / (p1 (1 - p1)) = t = -n0 (k0/n0 - p0) / (p0 (1 - p0)). Each is a quadratic in its rate, so the
    cubic of Miettinen & Nurminen is solved for the multiplier t, where it has no double roots at rates of 0 or 1.

    O. Miettinen & M. Nurminen (1985), Comparative analysis of two rates, Statistics in Medicine 4, 213-226.
    """
    p1, p0, _ = _at_margin(*_arrays(k1, n1, k0, n0, margin))
    return p1, p0


def miettinen_nurminen(
    k1: npt.ArrayLike, n1: npt.ArrayLike, k0: npt.ArrayLike, n0: npt.ArrayLike, z_low: npt.ArrayLike, z_high: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """The score interval of p1 - p0: low and high.

    The margins whose `score_z` times sqrt((N - 1) / N), N = n1 + n0, is neither above z_low nor below -z_high. The statistic falls with
    the margin, so each end is the one root. Without trials nothing is known: [-1, 1].

    O. Miettinen & M. Nurminen (1985), Comparative analysis of two rates, Statistics in Medicine 4, 213-226.
    """
    a, m, b, n, low, high = _arrays(k1, n1, k0, n0, z_low, z_high)
    return _difference_low(a, m, b, n, low), -_difference_low(b, n, a, m, high)


def koopman(
    k1: npt.ArrayLike, n1: npt.ArrayLike, k0: npt.ArrayLike, n0: npt.ArrayLike, z_low: npt.ArrayLike, z_high: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """The score interval of the ratio p1 / p0: low and high.

    The ratios whose score statistic is neither above z_low nor below -z_high. At ratio 1 it is `score_z`: 1 is outside exactly when that
    test rejects. The low end is 0 without successes in arm 1, the high end infinite without any in arm 0. Without trials: [0, inf].

    P. A. R. Koopman (1984), Confidence intervals for the ratio of two binomial proportions, Biometrics 40, 513-517.
    """
    a, m, b, n, low, high = _arrays(k1, n1, k0, n0, z_low, z_high)
    with np.errstate(divide="ignore"):
        return _ratio_low(a, m, b, n, low), 1.0 / _ratio_low(b, n, a, m, high)


def newcombe(
    k1: npt.ArrayLike, n1: npt.ArrayLike, k0: npt.ArrayLike, n0: npt.ArrayLike, z_low: npt.ArrayLike, z_high: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Newcombe's hybrid score interval of p1 - p0: low and high.

    The distances of both rates from the ends of their Wilson intervals, added as squares (method 10). Without trials: [-1, 1].

    R. G. Newcombe (1998), Interval estimation for the difference between independent proportions, Statistics in Medicine 17, 873-890.
    """
    a, m, b, n, low, high = _arrays(k1, n1, k0, n0, z_low, z_high)
    return _hybrid_low(a, m, b, n, low), -_hybrid_low(b, n, a, m, high)


def score_test(k1: npt.ArrayLike, n1: npt.ArrayLike, k0: npt.ArrayLike, n0: npt.ArrayLike) -> Floats:
    """Two-sided p-value of equal rates by the score statistic: Pearson's chi-squared without correction; missing without trials in an arm.

    K. Pearson (1900), On the criterion that a given system of deviations..., Philosophical Magazine 50, 157-175.
    """
    from scipy.special import ndtr

    return np.asarray(2 * ndtr(-np.abs(score_z(k1, n1, k0, n0))))


def fisher(k1: npt.ArrayLike, n1: npt.ArrayLike, k0: npt.ArrayLike, n0: npt.ArrayLike, alternative: Alternative) -> Floats:
    """P-value of equal rates by Fisher's exact test: given the sum of successes, k1 is hypergeometric.

    "greater" sums the tables with as many successes or more in arm 1, "less" those with as many or fewer, "two-sided" all that are no more
    probable than this one. Without trials in an arm there is one table only, and the value is 1.

    R. A. Fisher (1935), The logic of inductive inference, Journal of the Royal Statistical Society 98, 39-82.
    """
    a, m, b, n = _arrays(k1, n1, k0, n0)
    shape = a.shape
    a, m, b, n = (x.ravel() for x in (a, m, b, n))
    p = np.ones(a.shape)
    depth = DEPTH - _log_hypergeometric(a, m, n, a + b)
    for rows, x, pmf in _tables(m, n, a + b, depth):
        here = a[rows, None]
        if alternative == "two-sided":
            kept = pmf <= (1 + TIE) * np.sum(pmf, axis=1, where=x == here, keepdims=True)
        else:
            kept = x >= here if alternative == "greater" else x <= here
        p[rows] = np.sum(pmf, axis=1, where=kept)
    return np.minimum(p, 1.0).reshape(shape)


def boschloo(k1: int, n1: int, k0: int, n0: int, alternative: Alternative) -> float:
    """P-value of equal rates by Boschloo's exact unconditional test of one table; never above Fisher's when one-sided.

    The largest probability, over the unknown common rate, of a table whose one-sided p-value by `fisher` is as small as this one's.
    "two-sided" is twice the smaller of both sides, at most 1.

    R. D. Boschloo (1970), Raised conditional level of significance for the 2 x 2-table when testing the equality of two probabilities,
    Statistica Neerlandica 24, 1-9.
    """
    if alternative == "two-sided":
        return min(1.0, 2 * min(_raised(k1, n1, k0, n0), _raised(k0, n0, k1, n1)))
    return _raised(k1, n1, k0, n0) if alternative == "greater" else _raised(k0, n0, k1, n1)


# ------------------------------------------------------------------------------------------------------- score intervals


def _arrays(*values: npt.ArrayLike) -> tuple[Floats, ...]:
    return tuple(np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values)))


def _at_margin(k1: Floats, n1: Floats, k0: Floats, n0: Floats, margin: Floats) -> tuple[Floats, Floats, Floats]:
    """The rates of `constrained`, p1 and p0, with their multiplier."""
    known = (n1 > 0) & (n0 > 0) & (np.abs(margin) <= 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        observed1, observed0, pooled = k1 / n1, k0 / n0, (k1 + k0) / (n1 + n0)
        gap = observed1 - observed0 - margin
        equal = gap / (pooled * (n1 - k1 + n0 - k0) / (n1 + n0) * (1 / n1 + 1 / n0))
    p1, p0 = (np.where(known, np.where(margin == 0, pooled, rate), np.nan) for rate in (observed1, observed0))
    t = np.where(known, np.where(gap == 0, 0.0, equal), np.nan)
    for sign, (fall, k, n), (rise, j, m) in ((1.0, (p1, k1, n1), (p0, k0, n0)), (-1.0, (p0, k0, n0), (p1, k1, n1))):
        rows = known & (margin != 0) & (sign * gap > 0)
        edge = rows & (sign * margin == -1)
        fall[edge], rise[edge], t[edge] = 0.0, 1.0, sign * np.inf
        rows &= ~edge
        fall[rows], rise[rows], multiplier = _balanced("gap", sign * gap[rows], k[rows], n[rows], j[rows], m[rows])
        t[rows] = sign * multiplier
    return p1, p0, t


def _difference_low(k1: Floats, n1: Floats, k0: Floats, n0: Floats, z: Floats) -> Floats:
    """The margin below the estimate where the score statistic is z sqrt(N / (N - 1)); -1 where nothing is known, or z is infinite."""
    size = n1 + n0
    with np.errstate(divide="ignore", invalid="ignore"):
        target = np.where(size > 1, z * np.sqrt(size / (size - 1)), np.inf)
        estimate = k1 / n1 - k0 / n0
    nothing = (n1 == 0) | (n0 == 0) | (target == np.inf)
    low = np.where(nothing, -1.0, estimate)
    rows = ~nothing & (target > 0) & (estimate > -1)
    fall, rise, _ = _balanced("z", *(x[rows] for x in (target, k1, n1, k0, n0)))
    low[rows] = fall - rise
    return np.where(np.isnan(z), np.nan, low)


def _balanced(by: Literal["gap", "z"], target: Floats, k1: Floats, n1: Floats, k0: Floats, n0: Floats) -> tuple[Floats, Floats, Floats]:
    """The constrained rates, arm 1 below and arm 0 above the observed, where their difference is off by a gap or the score is z.

    With the multiplier t of `constrained`, the third value, and V = p1 (1 - p1) / n1 + p0 (1 - p0) / n0 the gap is t V and the score
    t sqrt(V). Both increase with t, as V + t V' = sum of p (1 - p) / S with the S of `_fallen`.
    """

    def curve(t: Floats) -> tuple[Floats, Floats]:
        p1, q1, s1 = _fallen(k1, n1, t)
        q0, p0, s0 = _fallen(n0 - k0, n0, t)
        one, zero = p1 * q1, p0 * q0
        variance, rise = one / n1 + zero / n0, one / s1 + zero / s0
        if by == "gap":
            return t * variance, rise
        sd = np.sqrt(variance)
        return t * sd, (variance + rise) / (2 * sd)

    # Rates of half a success more and half a failure more are off the edges, where the variance is 0.
    near1, near0 = (k1 + 0.5) / (n1 + 1), (k0 + 0.5) / (n0 + 1)
    variance = near1 * (1 - near1) / n1 + near0 * (1 - near0) / n0
    t = _root(curve, target, target / (variance if by == "gap" else np.sqrt(variance)), np.full(target.shape, np.inf))
    return np.minimum(_fallen(k1, n1, t)[0], 1.0), np.minimum(_fallen(n0 - k0, n0, t)[1], 1.0), t


def _fallen(k: Floats, n: Floats, t: Floats) -> tuple[Floats, Floats, Floats]:
    """The rate p at or below k/n with n (k/n - p) = t p (1 - p), t > 0; also 1 - p, and S with dp/dt = -p (1 - p) / S.

    The quadratic's discriminant S^2 as a sum of squares and each root in the form without cancellation.
    """
    failures, ahead = n - k, n - t
    s = np.sqrt(ahead * ahead + 4 * t * failures)
    p = 2 * k / (n + t + s)
    below = ahead > 0
    q = np.where(below, 2 * failures, s - ahead) / np.where(below, ahead + s, 2 * t)
    return p, q, np.maximum(s, np.finfo(np.float64).tiny)


def _ratio_low(k1: Floats, n1: Floats, k0: Floats, n0: Floats, z: Floats) -> Floats:
    """The ratio below the estimate where the score statistic is z.

    The most likely rates with p1 / p0 = r are p1 = (k1 - t) / (n1 - t) and p0 = (k0 + t) / (n0 + t) with one t for each r, and the
    statistic is t sqrt((1 - k1/n1) / (k1 - t) + (1 - k0/n0) / (k0 + t)), which increases with t.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = (k1 / n1) / (k0 / n0)
        # Where all of arm 1 succeed its rate stays 1 until t = n1; what is left of z^2 then lowers it, with t and p0 as they are.
        left = z * z - n1 * n1 * (1 - k0 / n0) / (k0 + n1)
        lowered = n1 / (n1 + left) * (n0 + n1) / (k0 + n1)
    nothing = (n1 == 0) | (n0 == 0) | (z == np.inf) | (k1 == 0)
    beyond = (k1 == n1) & (left >= 0)
    low = np.where(nothing, 0.0, np.where(beyond & (z > 0), lowered, estimate))
    rows = ~nothing & ~beyond & (z > 0) & ~np.isnan(estimate)
    low[rows] = _ratio_reached(*(x[rows] for x in (k1, n1, k0, n0, z)))
    return np.where(np.isnan(z), np.nan, low)


def _ratio_reached(k1: Floats, n1: Floats, k0: Floats, n0: Floats, z: Floats) -> Floats:
    missed1, missed0 = (n1 - k1) / n1, (n0 - k0) / n0

    def curve(t: Floats) -> tuple[Floats, Floats]:
        one, zero = missed1 / (k1 - t), missed0 / (k0 + t)
        sd = np.sqrt(one + zero)
        return t * sd, sd + 0.5 * t * (one / (k1 - t) - zero / (k0 + t)) / sd

    start = np.minimum(z / np.sqrt(missed1 / k1 + missed0 / (k0 + 0.5)), 0.5 * k1)
    t = _root(curve, z, start, k1)
    return np.where(missed1 == 0, 1.0, (k1 - t) / (n1 - t)) * (n0 + t) / (k0 + t)


def _hybrid_low(k1: Floats, n1: Floats, k0: Floats, n0: Floats, z: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        low = k1 / n1 - k0 / n0 - np.hypot(_reach(n1 - k1, n1, z), _reach(k0, n0, z))
    return np.where((n1 == 0) | (n0 == 0) | (z == np.inf), -1.0, low)


def _reach(k: Floats, n: Floats, z: Floats) -> Floats:
    """How far Wilson's upper end is above k/n (E. B. Wilson, 1927); the lower end is as far below it as that of the failures is above."""
    p = k / n
    return z * (np.sqrt(z * z + 4 * k * (1 - p)) + z * (1 - 2 * p)) / (2 * (n + z * z))


def _root(curve: Callable[[Floats], tuple[Floats, Floats]], target: Floats, start: Floats, ceiling: Floats) -> Floats:
    """Where an increasing function of t > 0, given with its slope, reaches the target: Newton's steps within a bracket that shrinks.

    A step out of the bracket, or no shorter than half the last one, is replaced by the bracket's middle; while no upper end is known, a
    step that is not finite, as on a plateau at 0, more than doubles t.
    """
    low, high, t, length = np.zeros_like(start), ceiling, start, np.full(start.shape, np.inf)
    done = np.zeros(start.shape, dtype=np.bool_)
    for _ in range(MOST_STEPS):
        with np.errstate(all="ignore"):
            value, slope = curve(t)
            step = (target - value) / slope
        below = value < target
        low, high = np.where(below, t, low), np.where(below, high, t)
        newton = t + step
        taken = np.isfinite(newton) & (newton >= low) & (newton <= high) & (np.isinf(high) | (2 * np.abs(step) <= length))
        step = np.where(taken, step, np.where(np.isinf(high), t + 1, 0.5 * (low + high) - t))
        t, length = np.where(done, t, t + step), np.abs(step)
        done |= (length <= STEP * t) | (np.abs(value - target) <= ROUNDING * target)
        if done.all():
            break
    return t


# ----------------------------------------------------------------------------------------------------------- exact tests


def _log_hypergeometric(k: Floats, n1: Floats, n0: Floats, total: Floats) -> Floats:
    from scipy.special import gammaln  # as dear to import as half of pandas, and needed by exact tests only

    def choose(n: Floats, x: Floats) -> Floats:
        return np.asarray(gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1))

    return choose(n1, k) + choose(n0, total - k) - choose(n1 + n0, total)


def _tables(n1: Floats, n0: Floats, total: Floats, depth: Floats) -> Iterator[tuple[Rows, Floats, Floats]]:
    """All tables with these sums, rows of about one width at a time: which rows, the successes in arm 1, their probabilities.

    Left out are outcomes of a probability below exp(-depth): one as far as x from the mean has at most exp(-2 x^2 / n), where n is any of
    the four sums of the table (W. Hoeffding, 1963, Probability inequalities for sums of bounded random variables, JASA 58, 13-30).
    """
    size = n1 + n0
    mean = n1 * total / np.maximum(size, 1)
    reach = np.sqrt(0.5 * depth * np.minimum(np.minimum(n1, n0), np.minimum(total, size - total)))
    first = np.maximum(np.maximum(total - n0, 0), np.floor(mean - reach))
    last = np.minimum(np.minimum(n1, total), np.ceil(mean + reach))
    order = np.argsort(last - first, kind="stable")
    while order.size:
        widths = (last - first)[order] + 1
        many = max(1, int(np.searchsorted(widths * np.arange(1, order.size + 1), CELLS, side="right")))
        rows, order = order[:many], order[many:]
        x = np.asarray(first[rows, None] + np.arange(widths[many - 1], dtype=np.float64), dtype=np.float64)
        yield rows, x, _hypergeometric(x, last[rows, None], n1[rows, None], n0[rows, None], total[rows, None])


def _hypergeometric(x: Floats, last: Floats, n1: Floats, n0: Floats, total: Floats) -> Floats:
    """Probabilities of x successes in arm 1, 0 beyond the last: products of the ratios of neighbours, which keep digits at any size."""
    y = x[:, :-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (n1 - y) * (total - y) / ((y + 1) * (n0 - total + y + 1))
    logs = np.zeros(x.shape)
    np.cumsum(np.log(np.where(y < last, ratio, 1.0)), axis=1, out=logs[:, 1:])
    logs[x > last] = -np.inf
    pmf = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(pmf / pmf.sum(axis=1, keepdims=True))


def _raised(k1: int, n1: int, k0: int, n0: int) -> float:
    """Boschloo's p-value of "greater".

    Given the sum s of successes, the tables as extreme as this one have the probability c(s), the largest one-sided p-value at s that is
    not above this one's; so with N = n1 + n0 and rate r all have sum of c(s) Binomial(s; N, r), a function of one variable.
    """
    p = float(fisher(k1, n1, k0, n0, "greater"))
    if p in {0.0, 1.0}:
        return p
    total = np.arange(n1 + n0 + 1, dtype=np.float64)
    conditional = np.zeros(total.shape)
    for rows, _, pmf in _tables(*_arrays(n1, n0, total, DEPTH - np.log(p))):
        tails = np.cumsum(pmf[:, ::-1], axis=1)
        conditional[rows] = np.max(tails, axis=1, where=tails <= (1 + TIE) * p, initial=0.0)
    return min(p, _highest(conditional))


def _highest(conditional: Floats) -> float:
    """The maximum over r of the sum of c(s) Binomial(s; N, r).

    In the angle arcsin(sqrt(r)) the binomial's deviation is 1 / (2 sqrt(N)) everywhere, and smooths what changes faster: a grid of quarters
    of it misses no peak, and those that may be highest are searched on finer grids around them.
    """
    step = 1 / (8 * np.sqrt(conditional.size - 1))
    angles = np.linspace(0, np.pi / 2, max(8, int(np.pi / 2 / step)) + 2)[1:-1]
    step = angles[1] - angles[0]
    found = _mixed(conditional, angles)
    around = np.pad(found, 1)
    # On a plateau all is rounding, and one point of it is enough.
    peak = (found > (1 + 1e-10) * around[:-2]) & (found >= around[2:]) & (found >= 0.97 * found.max())
    peaks = angles[peak | (np.arange(found.size) == found.argmax())]
    finer = np.linspace(-1, 1, 9)
    for _ in range(9):
        grid = np.clip(peaks[:, None] + step * finer, 0.5 * angles[0], np.pi / 2 - 0.5 * angles[0])
        heights = _mixed(conditional, grid.ravel()).reshape(grid.shape)
        peaks, step = grid[np.arange(peaks.size), heights.argmax(axis=1)], 0.25 * step
    return float(heights.max())


def _mixed(conditional: Floats, angles: Floats) -> Floats:
    """The sum of c(s) Binomial(s; N, sin(angle)^2) over the s within Hoeffding's reach of the mean."""
    from scipy.special import gammaln  # as in `_log_hypergeometric`

    size = conditional.size - 1
    s = np.arange(size + 1, dtype=np.float64)
    choose = gammaln(size + 1) - gammaln(s + 1) - gammaln(size - s + 1)
    reach = int(np.ceil(np.sqrt(0.5 * DEPTH * size)))
    width = min(2 * reach + 1, size + 1)
    first = np.clip(np.floor(size * np.sin(angles) ** 2).astype(np.int64) - reach, 0, size + 1 - width)
    win, lose = 2 * np.log(np.sin(angles)), 2 * np.log(np.cos(angles))
    sums = np.empty(angles.shape)
    for part in np.array_split(np.arange(angles.size), angles.size * width // CELLS + 1):
        at = first[part, None] + np.arange(width)
        chances = np.exp(choose[at] + at * win[part, None] + (size - at) * lose[part, None])
        sums[part] = np.einsum("ij,ij->i", conditional[at], chances)
    return sums
