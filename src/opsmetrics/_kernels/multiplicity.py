"""Many tests at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels.alternatives import Alternative

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Correction = Literal["holm", "hochberg", "bonferroni", "benjamini-hochberg", "benjamini-yekutieli"]

CORRECTIONS: Final = get_args(Correction)
"""The corrections that need nothing but the p-values."""

_REACH = 7.5
"""Beyond 7.5 standard deviations a normal holds 6e-14."""

_END = 38.0
"""Beyond 38 standard deviations a float cannot hold what is left."""

_STEP = 0.65
"""The trapezoidal rule with this step, in standard deviations, takes a normal density to 1e-20, and one that is skewed to 1e-12."""

_FLAT = 30.0
"""exp(-30) = 1e-13."""

_STEP_OF_LOG = 0.125
"""Of the log of chi, whose density is analytic up to pi / 4 from the line: the trapezoidal rule leaves exp(-pi^2 / 2 / step) = 7e-18."""

_CLOSE = 1e-9
"""A step of the secant rule that is shorter leaves an error of the order of its square."""

_MOST_STEPS = 40

_MOST = 2_000_000
"""Numbers in memory at once, per array."""


# ------------------------------------------------------------------------------------------------------------ p-values


def adjust(p_values: npt.ArrayLike, correction: Correction, family: npt.ArrayLike | None = None) -> Floats:
    """Adjusted p-values: the smallest level at which the procedure rejects. Missing ones stay missing and count for nothing.

    Of m p-values, p_(1) <= ... <= p_(m): Bonferroni has m p; Holm, step-down, the largest (m - j + 1) p_(j) over j <= i; Hochberg,
    step-up, the smallest (m - j + 1) p_(j) over j >= i; Benjamini and Hochberg, step-up, the smallest m p_(j) / j over j >= i, and
    Benjamini and Yekutieli that times 1 + 1/2 + ... + 1/m. None is above 1. `family` holds a whole number per p-value; each family is
    adjusted by itself.

    S. Holm (1979), Scandinavian Journal of Statistics 6, 65-70. Y. Hochberg (1988), Biometrika 75, 800-802. Y. Benjamini & Y. Hochberg
    (1995), JRSS B 57, 289-300. Y. Benjamini & D. Yekutieli (2001), Annals of Statistics 29, 1165-1188.
    """
    given = np.asarray(p_values, dtype=np.float64)
    p = given.ravel()
    codes = np.zeros(p.size, dtype=np.int64) if family is None else np.asarray(family, dtype=np.int64).ravel()
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.lexsort((p[known], codes[known]))]
    values = p[order]
    _, first, size = np.unique(codes[order], return_index=True, return_counts=True)
    group, m = np.repeat(np.arange(first.size), size), np.repeat(size, size)
    place = np.arange(values.size) - np.repeat(first, size)
    steps = values * _factors(correction, place, m)
    if correction == "holm":
        steps = _running_max(steps, group)
    elif correction != "bonferroni":
        steps = -_running_max(-steps[::-1], first.size - 1 - group[::-1])[::-1]
    adjusted = np.full(p.size, np.nan)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted.reshape(given.shape)


def _factors(correction: Correction, place: Ints, m: Ints) -> Floats:
    """What the p-value at each place, from 0, of a family of m is multiplied by."""
    if correction == "bonferroni":
        return m.astype(np.float64)
    if correction in {"holm", "hochberg"}:
        return (m - place).astype(np.float64)
    rate = m / (place + 1)
    if correction == "benjamini-hochberg":
        return np.asarray(rate)
    harmonic = np.cumsum(1 / np.arange(1, m.max(initial=0) + 1))
    return np.asarray(rate * harmonic[m - 1])


def _running_max(values: Floats, group: Ints) -> Floats:
    """The largest so far within each group; groups lie together and are numbered in increasing order."""
    order = np.argsort(values, kind="stable")
    rank = np.empty(values.size, dtype=np.int64)
    rank[order] = np.arange(values.size)
    shift = group * values.size  # a later group outranks all before it, and ranks lose no digits where sums of floats would
    return values[order[np.maximum.accumulate(rank + shift) - shift]]


# ------------------------------------------------------------------------------------------- many treatments, one control


def dunnett(
    statistics: npt.ArrayLike, df: npt.ArrayLike, n_control: npt.ArrayLike, n_treatments: npt.ArrayLike, alternative: Alternative
) -> Floats:
    """Adjusted p-values of several treatments against one control, which share the control's luck: P(max T > t) under no effect.

    The statistics t_i = (mean_i - mean_0) / (s sqrt(1/n_i + 1/n_0)) have the correlations l_i l_j, l_i = sqrt(n_i / (n_0 + n_i)), so given
    the control's deviation u and the ratio x of s to sigma they are independent, and

        P(max |T_i| > t) = E_x E_u [1 - prod_i (1 - Phi(-(t x + l_i u) / b_i) - Phi(-(t x - l_i u) / b_i))],   b_i = sqrt(1 - l_i^2),

    with u normal and x chi / sqrt(df), 1 where df is infinite. Both means are taken by the trapezoidal rule, and no tail is one minus a
    probability.

    `statistics` and `n_treatments` have the treatments along the last axis, `df` and `n_control` none. A missing statistic stays missing; a
    treatment with n = 0 is none.

    C. W. Dunnett (1955), A multiple comparison procedure for comparing several treatments with a control, JASA 50, 1096-1121.
    """
    t, n = np.broadcast_arrays(np.asarray(statistics, dtype=np.float64), np.asarray(n_treatments, dtype=np.float64))
    shape = t.shape[:-1]
    freedom = np.broadcast_to(np.asarray(df, dtype=np.float64), shape)
    control = np.broadcast_to(np.asarray(n_control, dtype=np.float64), shape)
    values = np.abs(t) if alternative == "two-sided" else t if alternative == "greater" else -t
    of_row, control_of_row = (np.broadcast_to(x[..., None], t.shape).ravel() for x in (freedom, control))
    every = np.broadcast_to(n[..., None, :], (*t.shape, t.shape[-1])).reshape(t.size, t.shape[-1])
    return _exceeds(values.ravel(), of_row, control_of_row, every, sides=2 if alternative == "two-sided" else 1).reshape(t.shape)


def dunnett_critical(
    alpha: npt.ArrayLike, df: npt.ArrayLike, n_control: npt.ArrayLike, n_treatments: npt.ArrayLike, sides: Literal[1, 2]
) -> Floats:
    """The value that the largest of several statistics against one control exceeds with chance `alpha`: |T| where sides are 2, T where 1.

    Found by the secant rule on log p: first without bound on df, from Bonferroni's value, and then from the value of Student's
    distribution that is as rare for one treatment. `n_treatments` has the treatments along the last axis, the others none.

    C. W. Dunnett (1964), New tables for multiple comparisons with a control, Biometrics 20, 482-491.
    """
    from scipy.special import ndtr, ndtri, stdtrit

    n = np.asarray(n_treatments, dtype=np.float64)
    given = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (alpha, df, n_control)), n[..., 0])
    shape = given[0].shape
    sizes = np.broadcast_to(n, (*shape, n.shape[-1])).reshape(-1, n.shape[-1])
    level, freedom, control = (x.ravel() for x in given[:3])
    critical = np.full(level.size, np.nan)
    known = np.flatnonzero((level > 0) & (level < 1) & (freedom > 0) & (control > 0) & (sizes > 0).any(axis=-1))
    level, freedom, control, sizes = level[known], freedom[known], control[known], sizes[known]
    bounded = np.isfinite(freedom)

    def excess(at: Floats, rows: Ints, df: Floats) -> Floats:
        return np.asarray(np.log(_exceeds(at, df[rows], control[rows], sizes[rows], sides=sides)) - np.log(level[rows]))

    endless = np.full(level.size, np.inf)
    normal = _secant(partial(excess, df=endless), -ndtri(level / sides / np.maximum((sizes > 0).sum(axis=-1), 1)))
    start = np.where(bounded, -stdtrit(np.where(bounded, freedom, 1.0), ndtr(-normal)), normal)
    critical[known] = _secant(partial(excess, df=freedom), start) if bounded.any() else normal
    return critical.reshape(shape)


def _secant(excess: Callable[[Floats, Ints], Floats], start: Floats) -> Floats:
    """The roots of smooth, falling functions, each from a point nearby; `excess` takes points and the numbers of their functions."""
    root, before = start.copy(), start + 0.01
    todo = np.arange(start.size)
    value = excess(before, todo)
    for _ in range(_MOST_STEPS):
        last, value = value, excess(root[todo], todo)
        change = value - last
        step = np.divide(value * (root[todo] - before), change, out=np.zeros_like(value), where=change != 0)
        before = root[todo]
        root[todo] = before - step
        going = np.abs(step) > _CLOSE * np.maximum(np.abs(before), 1.0)
        todo, before, value = todo[going], before[going], value[going]
        if not todo.size:
            break
    return root


def _exceeds(t: Floats, df: Floats, n_control: Floats, n: Floats, *, sides: int) -> Floats:
    """P(max T > t), or of |T|, row by row: a row has one t and the sizes of all its treatments."""
    chance = np.full(t.size, np.nan)
    known = np.flatnonzero(~np.isnan(t) & (n_control > 0) & (df > 0))
    ratio = n / np.where(n_control > 0, n_control, 1.0)[:, None]
    # Rows that need about as many nodes go together, so that one hard row does not make all of them dear.
    nodes = np.log2([_size_of_chi(df[known], t[known]), _size_of_control(ratio[known], t[known])]).astype(np.int64)
    for pair in np.unique(nodes, axis=1).T:
        alike = known[(nodes == pair[:, None]).all(axis=0)]
        rows = max(1, _MOST >> int(pair.sum() + 2))
        for start in range(0, alike.size, rows):
            at = alike[start : start + rows]
            chi, chi_weights = _chi(df[at], t[at])
            u, u_weights = _control(ratio[at], t[at], sides)
            exceeded = _given(t[at, None] * chi, u, ratio[at], sides) @ u_weights
            chance[at] = np.minimum((exceeded * chi_weights).sum(axis=-1), 1.0)
    return chance


def _given(limit: Floats, u: Floats, ratio: Floats, sides: int) -> Floats:
    """The chance that any statistic exceeds each limit of a row, given each deviation of the control."""
    from scipy.special import ndtr

    kept = np.zeros((*limit.shape, u.size))
    with np.errstate(divide="ignore"):  # one that exceeds for sure leaves log 0
        for r in ratio.T:
            # l = sqrt(r / (1 + r)) and b = sqrt(1 / (1 + r)), with r the size of the treatment over that of the control
            scaled, shift = limit * np.sqrt(1 + r)[:, None], np.multiply.outer(np.sqrt(r), u)[:, None]
            beyond = ndtr(-scaled[..., None] - shift)
            if sides == 2:
                beyond += ndtr(shift - scaled[..., None])
            beyond[r == 0] = 0.0
            kept += np.log1p(-np.minimum(beyond, 1.0))
    return np.asarray(-np.expm1(kept))


def _step_of_control(ratio: Floats) -> Floats:
    """Given u, a treatment exceeds t within b / l around u = t / l: the product of all has the width 1 / sqrt(1 + sum n_i / n_0)."""
    return np.asarray(_STEP / np.sqrt(1 + ratio.sum(axis=-1)))


def _size_of_control(ratio: Floats, t: Floats) -> Floats:
    far = np.abs(np.where(np.isfinite(t), t, 0.0))
    return np.asarray(np.ceil(np.minimum(_REACH + far, _END) / _step_of_control(ratio)))


def _control(ratio: Floats, t: Floats, sides: int) -> tuple[Floats, Floats]:
    """Nodes and weights for the control's deviation, for all rows; where both sides count, those above 0 stand for both."""
    step, size = _step_of_control(ratio).min(), int(_size_of_control(ratio, t).max())
    u = step * np.arange(0 if sides == 2 else -size, size + 1)
    weights = np.exp(-u * u / 2)
    weights[u > 0] *= sides
    return u, weights / weights.sum()


def _range_of_chi(df: Floats, t: Floats) -> tuple[Floats, Floats, Floats]:
    """Left end, right end and step on the scale of log chi; with a tail beyond t the mass moves to y = -log(1 + t^2 / df) / 2."""
    far = np.where(np.isfinite(t), t, 0.0)
    spread = 1 / np.sqrt(2 * df)
    step = np.minimum(_STEP_OF_LOG, _STEP * spread)
    return -0.5 * np.log1p(far * far / df) - _REACH * spread - _FLAT / df, _REACH * spread, step


def _size_of_chi(df: Floats, t: Floats) -> Floats:
    left, right, step = _range_of_chi(np.where(np.isinf(df), 1.0, df), t)
    return np.where(np.isinf(df), 1.0, np.ceil((right - left) / step) + 1)


def _chi(df: Floats, t: Floats) -> tuple[Floats, Floats]:
    """Nodes and weights for chi / sqrt(df), a row for each df, on the scale of its log y with density exp(df (y - exp(2 y) / 2)).

    Without bound on df all nodes are 1.
    """
    endless = np.isinf(df)[:, None]
    nu = np.where(np.isinf(df), 1.0, df)
    left, _, step = _range_of_chi(nu, t)
    y = np.where(endless, 0.0, left[:, None] + step[:, None] * np.arange(int(_size_of_chi(df, t).max())))
    weights = np.where(endless, 1.0, np.exp(nu[:, None] * (y - np.expm1(2 * y) / 2)))
    return np.exp(y), weights / weights.sum(axis=-1, keepdims=True)
