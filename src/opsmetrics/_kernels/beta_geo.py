"""BG/NBD and MBG/NBD: purchases at a steady rate, with a coin tossed after each to see whether the customer stays.

While alive a customer buys at the rate lambda ~ Gamma(r, alpha). BG/NBD tosses the coin with chance p ~ Beta(a, b) of dropout after every
repeat purchase (P. S. Fader, B. G. S. Hardie & K. L. Lee, 2005, Marketing Science 24, 275-284), MBG/NBD after the first purchase too (E. P.
Batislam, M. Denizel & A. Filiztekin, 2007, Int. J. Research in Marketing 24, 201-209). With k = x + `first` tosses survived the two are
one model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial as bind
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import grouping, quadrature, rising
from opsmetrics._kernels.histories import FOUR, PAIRS, Ints, Terms, Total, add_up, distinct, floats, longer

if TYPE_CHECKING:
    from opsmetrics._kernels.histories import Histories

Floats = npt.NDArray[np.float64]

BLOCK = 8192
"""Rows whose scratch stays in the cache."""

_SLOPES = 4

_NOTHING = (0.0, 0.0, 0.0)

_MANY = 100
"""Ages with one x from which it is quicker to interpolate between them."""

_CLOSE = 1e-11
"""How well what depends on a is interpolated."""

_LEAST = 1e-12
"""Horizons shorter than this part of a customer's age are interpolated in it."""


@dataclass(frozen=True, slots=True)
class BetaGeo:
    """The model at its parameters, each a number or one number per row. `first` = 0 is BG/NBD, 1 is MBG/NBD."""

    r: Any
    alpha: Any
    a: Any
    b: Any
    first: int = 0

    def log_likelihood(self, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Floats:
        """The log-likelihood of each history."""
        x, t_x, T = floats(x, t_x, T)
        k = x + self.first
        common = rising.logs(self.r, x) + rising.logs(self.b, k) - rising.logs(self.a + self.b, k)
        alive = -self.r * np.log1p(T / self.alpha) - x * np.log(self.alpha + T)
        return np.asarray(common + alive + np.logaddexp(0, self._dead_odds(x, t_x, T)))

    def p_alive(self, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Floats:
        """The chance that the customer has not dropped out by T."""
        from scipy.special import expit

        return np.asarray(expit(-self._dead_odds(*floats(x, t_x, T))))

    def p_alive_slopes(self, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> tuple[Floats, Floats]:
        """P(alive), and the slope of its logarithm in the log of each parameter."""
        x, t_x, T = np.broadcast_arrays(*floats(x, t_x, T))
        alive = self.p_alive(x, t_x, T)
        odds = np.array([np.broadcast_to(part, x.shape) for part in self._odds_slopes(x, t_x, T)])
        return alive, -(1 - alive) * np.where(x + self.first > 0, odds, 0.0)

    def expected(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike) -> Floats:
        """Expected purchases in (T, T + t], given alive at T: the mean of (1 - (1 + p z)^-(r + x)) / p, z = t / (alpha + T)."""
        return np.asarray(self._moments(1, *floats(x, T, t))[0])

    def expected_slopes(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Expected purchases, and their slopes in the log of each parameter."""
        found = self._moments(1 + _SLOPES, *floats(x, T, t))
        return found[0], found[1:]

    def discounted(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike, delta: float) -> Floats:
        """Expected purchases in (T, T + t], each weighted exp(-delta u) when it comes u after T: by parts, from the undiscounted ones."""
        return np.asarray(self._discounted(1, x, T, t, delta)[0])

    def discounted_slopes(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike, delta: float) -> tuple[Floats, Floats]:
        """Discounted purchases, and their slopes in the log of each parameter."""
        found = self._discounted(1 + _SLOPES, x, T, t, delta)
        return found[0], found[1:]

    def squared(self, x: npt.ArrayLike, T: npt.ArrayLike, t: float, delta: float) -> Floats:
        """The mean square of discounted purchases in (T, T + t] of customers alive at T: each with itself, and any two with each other."""
        x, T = np.broadcast_arrays(*floats(x, T))
        rate, age = self.r + np.ravel(x), np.ravel(self.alpha + T)
        pairs = 2 * rate * (rate + 1) / age**2 * self._pairs(np.ravel(x), age, np.full(x.size, t), delta)
        return np.asarray(self.discounted(x, T, t, 2 * delta) + pairs.reshape(x.shape))

    def _pairs(self, x: Floats, age: Floats, until: Floats, delta: float) -> Floats:
        """Two purchases, the later after w, have the density lambda^2 (1 - p) exp(-lambda p w), whenever the earlier was.

        Its mean over lambda and p is a function of w / age for each x, and is interpolated as purchases are.
        """
        kinds, of = self._kinds(x, np.broadcast_to(self.a, x.shape))
        rate, bend = self.r + kinds[0], self._bend(kinds[0])
        span = np.log1p(bend * _largest(until / age, of, kinds))
        p, _, log_q, weights = quadrature.over_beta(kinds[1], self.b + kinds[0] + self.first, np.expm1(span))
        stays = weights * np.exp(log_q)

        def at_points(points: Floats) -> Floats:
            return np.stack(
                [(stays * np.exp(-(rate + 2) * np.log1p(p * np.expm1(point * span) / bend))).sum(axis=0) for point in points], axis=-1
            )[None]

        series, found = quadrature.chebyshev(at_points), np.empty(len(x))
        for begin in range(0, len(x), BLOCK):
            some = slice(begin, begin + BLOCK)
            own, quick = of[some], bend[of[some]] / age[some]

            def together(times: Floats, own: Ints = own, quick: Floats = quick) -> Floats:
                density = quadrature.evaluate(series, own, np.log1p(quick * times) / span[own])[0]
                return np.asarray(density * quadrature.pair_discount(delta, times))

            found[some] = quadrature.over_time(together, until[some], quick + delta)
        return found

    def counts(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike) -> Iterator[Floats]:
        """P(Y = n), n = 0, 1, ..., of purchases Y in (T, T + t] of customers alive at T.

        Either all n purchases were survived, or the n-th was the last and there was time for it: negative binomial probabilities times
        chances of tosses, both by recurrence.
        """
        x, T, t = np.broadcast_arrays(*floats(x, T, t))
        rate, stays, drops = self.r + x, self.b + x + self.first, self.a
        with np.errstate(divide="ignore"):
            log_share = np.log(t / (self.alpha + T + t))
        log_exactly = -rate * np.log1p(t / (self.alpha + T))  # of a heavy buyer too small for a float
        fewer, survived = np.zeros_like(log_share), np.ones_like(log_share)
        n = 0
        while True:
            # tosses survived n - 1 times, then lost, with time for n purchases; survived before the n-th is B(a, b + n - 1) / B(a, b)
            last = 0.0
            if n:
                lost = survived * drops / (drops + stays + n - 1)
                survived = survived * (stays + n - 1) / (drops + stays + n - 1)
                last = lost * np.maximum(1 - fewer, 0)
            exactly = np.exp(log_exactly)
            yield survived * exactly + last
            fewer = fewer + exactly
            log_exactly = log_exactly + np.log((rate + n) / (n + 1)) + log_share
            n += 1

    def _dead_odds(self, x: Floats, t_x: Floats, T: Floats) -> Floats:
        """The logarithm of P(dead) / P(alive) at T."""
        tossed = np.log(self.a) - np.log(_stays(self.b, x + self.first))
        return np.asarray(tossed + (self.r + x) * np.log1p((T - t_x) / (self.alpha + t_x)))

    def _odds_slopes(self, x: Floats, t_x: Floats, T: Floats) -> tuple[Any, ...]:
        """Slopes of these log odds in the log of each parameter."""
        later, sooner = self.alpha / (self.alpha + T), self.alpha / (self.alpha + t_x)
        lasted = self.r * np.log1p((T - t_x) / (self.alpha + t_x))
        return lasted, (self.r + x) * (later - sooner), 1.0, -self.b / _stays(self.b, x + self.first)

    def _moments(self, functions: int, x: Floats, T: Floats, t: Floats) -> Floats:
        """Expected purchases while alive, perhaps with their slopes."""
        alpha, a, x, T, t = np.broadcast_arrays(self.alpha, self.a, x, T, t)
        if x.size == 0:
            return np.empty((functions, *x.shape))
        kinds, of = self._kinds(np.ravel(x), np.ravel(a))
        age = np.ravel(alpha + T)
        z = np.ravel(t) / age
        found = self._course(functions, kinds, _largest(z, of, kinds)).at(of, z)
        found[2:3] *= -np.ravel(alpha) / age
        return found.reshape(functions, *x.shape)

    def _discounted(self, functions: int, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike, delta: float) -> Floats:
        """Discounted purchases, perhaps with their slopes. Of many ages with one x and one t they are interpolated."""
        alpha, a, *given = np.broadcast_arrays(self.alpha, self.a, *floats(x, T, t))
        if given[0].size == 0:
            return np.empty((functions, *given[0].shape))
        kinds, of = self._kinds(np.ravel(given[0]), np.ravel(a))
        age, until = np.ravel(alpha + given[1]), np.ravel(given[2])
        course = self._course(functions, kinds, _largest(until / age, of, kinds))
        found = np.empty((functions, len(of)))
        many = np.bincount(of, minlength=kinds.shape[1]) > _MANY if np.ndim(t) == 0 else np.zeros(kinds.shape[1], dtype=np.bool_)
        alone, rows = np.flatnonzero(~many[of]), np.flatnonzero(many[of])
        found[:, alone] = _by_parts(course, functions, of[alone], age[alone], until[alone], delta)
        found[:, rows] = _over_ages(course, functions, of[rows], age[rows], until[rows], delta)
        found[2:3] *= -np.ravel(alpha) / age
        return found.reshape(functions, *given[0].shape)

    def _kinds(self, x: Floats, a: Floats) -> tuple[Floats, Ints]:
        """The distinct x and a, one column each, and which of them each row has."""
        one, of = distinct(x, a) if np.ndim(self.a) else distinct(x)
        return np.stack([x[one], a[one]]), of

    def _course(self, functions: int, kinds: Floats, largest: Floats) -> _Course:
        """Expected purchases while alive, perhaps with slopes in the logs of r, of 1 / age, of a and of b, up to the largest z."""
        counts, of = np.unique(kinds[0], return_inverse=True)
        if kinds.shape[1] > _MANY * len(counts):
            return self._course_over(functions, counts, of, kinds[1], largest)
        bend = self._bend(kinds[0])
        span, fall = np.log1p(bend * largest), np.minimum(kinds[1], 1.0)
        series = quadrature.chebyshev(lambda points: self._at_points(kinds[0], kinds[1], points, span, fall, functions))
        return _Course(series, bend, span, fall)

    def _course_over(self, functions: int, counts: Floats, of: Ints, a: Floats, largest: Floats) -> _Surface:
        """The same of customers who differ in their dropout, by their x: smooth functions of log a too, in which they are interpolated."""
        at, bend = np.log(a), self._bend(counts)
        low, high, most = np.full(len(counts), np.inf), np.full(len(counts), -np.inf), np.zeros(len(counts))
        for end, choose, given in ((low, np.minimum, at), (high, np.maximum, at), (most, np.maximum, largest)):
            choose.at(end, of, given)
        span, fall = np.log1p(bend * most), np.minimum(np.exp(low), 1.0)

        def values(places: Floats, points: Floats) -> Floats:
            """By function, x, point of z, and place between the ends of log a."""
            own = np.exp(low[:, None] + places * (high - low)[:, None]).ravel()
            x, reach, steep = (np.repeat(each, len(places)) for each in (counts, span, fall))
            found = self._at_points(x, own, points, reach, steep, functions)
            return np.moveaxis(found.reshape(functions, len(counts), len(places), -1), 2, 3)

        size = quadrature.chebyshev(lambda points: np.moveaxis(values(np.array([0.0, 1.0]), points), 2, 3)).shape[-1]
        points, matrix = quadrature.cosines(size)
        over_a = quadrature.chebyshev(lambda places: values(places, points), _CLOSE)
        series = np.asarray(np.einsum("jp,fxpa->fxja", matrix, over_a))
        place = (at - low[of]) / np.maximum(high - low, 1e-300)[of]
        return _Surface(series, bend[of], span[of], fall[of], of, place)

    def _bend(self, counts: Floats) -> Floats:
        """By how much z is stretched: with less than 1 the singularity at z = -1 comes too near."""
        return np.asarray(np.maximum(self.r + counts, 1.0))

    def _at_points(self, counts: Floats, a: Floats, points: Floats, span: Floats, fall: Floats, functions: int) -> Floats:
        """For each x, at points of log(1 + bend z): the mean over p and its slopes, over z (1 + bend z)^-fall. By function, x and point."""
        rate, bend = self.r + counts, self._bend(counts)
        p, log_p, log_q, weights = quadrature.over_beta(a, self.b + counts + self.first, np.expm1(span))
        # the slopes of the logarithm of Beta's density in ln a and ln b, less their means
        by_a = a * (log_p - (weights * log_p).sum(axis=0))
        by_b = self.b * (log_q - (weights * log_q).sum(axis=0))
        found = np.empty((functions, len(counts), len(points)))
        for number, point in enumerate(points):
            z = np.expm1(point * span) / bend
            grown = np.log1p(p * z)
            kept = np.exp(-rate * grown)
            mean = -np.expm1(-rate * grown) / (p * z)
            found[0, :, number] = (weights * mean).sum(axis=0)
            if functions > 1:
                slopes = (self.r * grown * kept / (p * z), rate * kept / (1 + p * z), by_a * mean, by_b * mean)
                found[1:, :, number] = [(weights * slope).sum(axis=0) for slope in slopes]
        return np.asarray(found * np.exp((fall * span)[:, None] * points))


@dataclass(frozen=True, slots=True)
class _Course:
    """Expected purchases while alive, for each kind of customer a smooth function of z, which is interpolated in log(1 + bend z).

    Over z they fall from r + x to nothing as (1 + bend z)^-fall or faster does, whose inverse times them has the same size for all z.
    """

    series: Floats
    bend: Floats
    span: Floats
    fall: Floats

    def at(self, of: Ints, z: Floats) -> Floats:
        """By function and row, the kind `of` each with some z."""
        grown = np.log1p(self.bend[of] * z)
        return np.asarray(quadrature.evaluate(self.series, of, grown / self.span[of]) * z * np.exp(-self.fall[of] * grown))


@dataclass(frozen=True, slots=True)
class _Surface(_Course):
    """The same of customers who differ in their dropout, each a kind: the series of his x, whose coefficients are series in log a."""

    x: Ints
    place: Floats

    def at(self, of: Ints, z: Floats) -> Floats:
        """By function and row, a customer each with some z; some rows at a time, whose own series are kept."""
        found = np.empty((len(self.series), *z.shape))
        for begin in range(0, len(of), BLOCK):
            some = slice(begin, begin + BLOCK)
            own = of[some]
            grown = np.log1p(self.bend[own] * z[..., some])
            values = quadrature.evaluate(self._own(own), np.arange(len(own)), grown / self.span[own])
            found[..., some] = values * z[..., some] * np.exp(-self.fall[own] * grown)
        return found

    def _own(self, of: Ints) -> Floats:
        """The series of some customers, by function, customer and degree."""
        functions, _, degrees, most = self.series.shape
        polynomials = np.cos(np.outer(np.arange(most), np.arccos(np.clip(2 * self.place[of] - 1, -1.0, 1.0))))
        found = np.empty((functions * degrees, len(of)))
        for x in np.unique(self.x[of]):
            rows = np.flatnonzero(self.x[of] == x)
            found[:, rows] = self.series[:, x].reshape(-1, most) @ polynomials[:, rows]
        return np.moveaxis(found.reshape(functions, degrees, -1), 1, 2)


def _largest(z: Floats, of: Ints, kinds: Floats) -> Floats:
    """The largest z of each kind."""
    largest = np.full(kinds.shape[1], _LEAST)
    np.maximum.at(largest, of, z)
    return largest


def _by_parts(course: _Course, functions: int, of: Ints, age: Floats, until: Floats, delta: float) -> Floats:
    """Discounted purchases row by row, by blocks of rows."""
    found = np.empty((functions, len(of)))
    for begin in range(0, len(of), BLOCK):
        some = slice(begin, begin + BLOCK)
        own, since = of[some], age[some]
        found[:, some] = quadrature.discounted(bind(_until, course, own, since), until[some], delta, course.bend[own] / since)
    return found


def _until(course: _Course, of: Ints, age: Floats, times: Floats) -> Floats:
    """Purchases up to some times, by node and row."""
    return course.at(of, times / age)


def _over_ages(course: _Course, functions: int, of: Ints, age: Floats, until: Floats, delta: float) -> Floats:
    """The same of one horizon and of many ages for each kind: smooth functions of the age's logarithm, which are interpolated."""
    if len(of) == 0:
        return np.empty((functions, 0))
    present, of = grouping.dense(of, int(of.max()) + 1)
    at = np.log(age)
    low, high = np.full(len(present), np.inf), np.full(len(present), -np.inf)
    np.minimum.at(low, of, at)
    np.maximum.at(high, of, at)

    def at_points(points: Floats) -> Floats:
        ages = np.exp(low[:, None] + (high - low)[:, None] * points).ravel()
        kinds = np.repeat(present, len(points))
        return _by_parts(course, functions, kinds, ages, np.full(len(ages), until[0]), delta).reshape(functions, len(present), -1)

    return quadrature.evaluate(quadrature.chebyshev(at_points), of, (at - low[of]) / (high - low)[of])


def likelihood(theta: Floats, histories: Histories, first: int = 0) -> Total:
    """The log-likelihood of histories, with gradient and Hessian in theta = ln(r, alpha, a, b), then the coefficients of covariates.

    Each history is a mixture of customers who are alive and dead: its gradient is the mean of the two scores, its Hessian the mean of the
    two Hessians plus the variance of the score between them (T. A. Louis, 1982, JRSS B 44, 226-233). What depends on whole numbers alone
    is summed over them, not over rows. Covariates of the dropout move ln a, and so the odds a / b of the mean chance to drop out.
    """
    r, a, b = np.exp(theta[[0, 2, 3]])

    def row(part: Histories) -> Terms:
        log_alpha = theta[1] - (0.0 if part.purchase is None else theta[4 : 4 + len(part.purchase)] @ part.purchase)
        log_a = theta[2] + (0.0 if part.dropout is None else theta[len(theta) - len(part.dropout) :] @ part.dropout)
        own = BetaGeo(r, np.exp(log_alpha), np.exp(log_a), b, first)
        found = _row(own, part, log_alpha)
        return found if part.dropout is None else found.plus(_whole_row(own, part))

    return add_up(histories, BLOCK, row, moved=(2, 1.0)) + _whole(r, a, b, histories, first)


def _row(model: BetaGeo, part: Histories, log_alpha: Any) -> Terms:
    """The part of ln L that depends on times. The cases, alive and dead, differ in their scores by the slopes of the odds between them."""
    x, t_x, T = part.x, part.t_x, part.T
    r, alpha, n = model.r, model.alpha, model.r + part.x
    lasted = np.log1p((T - t_x) / (alpha + t_x))
    stays = _stays(model.b, x + model.first)
    odds = np.log(model.a) - np.log(stays) + n * lasted
    small = np.exp(-np.abs(odds))  # of it come both ln(1 + exp(odds)) and the chance to be dead
    dead = np.where(odds > 0, 1.0, small) / (1 + small)
    later, sooner = alpha / (alpha + T), alpha / (alpha + t_x)
    past = np.log1p(T / alpha)
    toss = model.b / stays
    apart = later - sooner
    off = np.empty((FOUR, 1, len(x)))
    off[0], off[1], off[2], off[3] = r * lasted, n * apart, 1.0, -toss
    scores = dead * off[:, 0]
    scores[0] -= r * past
    scores[1] += r - n * later
    fading = n * later * (1 - later)
    turns = {
        (0, 0): scores[0],
        (0, 1): r * ((1 - later) + dead * apart),
        (1, 1): -fading + dead * (fading - n * sooner * (1 - sooner)),
        (3, 3): -dead * toss * (1 - toss),
    }
    value = -n * past - x * log_alpha + np.maximum(odds, 0.0) + np.log1p(small)
    return Terms(value, scores, turns, (dead * (1 - dead))[None], off)


def _stays(b: Any, k: Any) -> Floats:
    """The other side of the odds to drop out at the last of k tosses, a to b + k - 1: infinite without a toss. No toss, no death."""
    return np.where(k > 0, b + (k - 1.0), np.inf)


def _whole(r: float, a: float, b: float, histories: Histories, first: int) -> Total:
    """The part that depends on x alone, over all rows at once."""
    beyond = longer(histories.x, histories.weights)
    tossed = np.concatenate([[histories.weights.sum()], beyond]) if first else beyond
    of_s = rising.weighted(a + b, tossed) if histories.dropout is None else _NOTHING
    numbers = np.array(_rising(r, a, b, (rising.weighted(r, beyond), rising.weighted(b, tossed), of_s)))
    return Total.packed(numbers, sum(histories.coefficients))


def _whole_row(model: BetaGeo, part: Histories) -> Floats:
    """What of it differs between rows with a."""
    of = _NOTHING, _NOTHING, rising.rows(model.a + model.b, part.x + model.first)
    return np.stack(np.broadcast_arrays(*_rising(model.r, model.a, model.b, of)))


def _rising(r: Any, a: Any, b: Any, of: tuple[tuple[Any, Any, Any], ...]) -> list[Any]:
    """Value, slopes and second slopes in the logs of the parameters of the rising factorials of r and b over that of a + b."""
    of_r, of_b, of_s = of
    by_r, by_a, by_b = r * of_r[1], -a * of_s[1], b * (of_b[1] - of_s[1])
    twice = {
        (0, 0): by_r + r * r * of_r[2],
        (2, 2): by_a - a * a * of_s[2],
        (2, 3): -a * b * of_s[2],
        (3, 3): by_b + b * b * (of_b[2] - of_s[2]),
    }
    return [of_r[0] + of_b[0] - of_s[0], by_r, 0.0, by_a, by_b, *(twice.get(pair, 0.0) for pair in PAIRS)]
