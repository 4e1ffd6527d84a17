"""Models of buying once more, slowly: their definitions integrated and summed to as many digits as one likes, and walked at random.

Written from the papers, customer by customer, without the formulas of the package: what a customer with known rates does is taken from the
definition of the process; that the rates differ between customers is integrated numerically. Only the moments of the Gamma and the Beta
distribution are taken in closed form. Functions compute with `mpmath.mp.dps` digits, which `digits` sets for a while.

P. S. Fader, B. G. S. Hardie & K. L. Lee (2005), "Counting your customers" the easy way, Marketing Science 24, 275-284 (BG/NBD). E. P.
Batislam, M. Denizel & A. Filiztekin (2007), International Journal of Research in Marketing 24, 201-209 (MBG/NBD). D. C. Schmittlein, D. G.
Morrison & R. Colombo (1987), Management Science 33, 1-24 (Pareto/NBD). P. S. Fader & B. G. S. Hardie (2013), The Gamma-Gamma model of
monetary value. P. S. Fader, B. G. S. Hardie & J. Shang (2010), Marketing Science 29, 1086-1108 (BG/BB).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from mpmath import mp, mpf

Number = Any

FULL = 50
"""Digits where nothing else is asked for."""

mp.dps = FULL


@contextlib.contextmanager
def digits(count: int) -> Iterator[None]:
    """Fewer digits for a while: 25 are ten more than a float has, and several times as quick."""
    with mp.workdps(count):
        yield


# ------------------------------------------------------------------------------------------------------- integrals and moments


def _span() -> Number:
    """exp(-span) is below the digits that are kept."""
    return mp.dps * mp.log(10) + 10


def _panels(begin: Number, end: Number, at: Number, scale: Number) -> list[Number]:
    """Edges of panels on [begin, end], some `scale` wide."""
    begin, end = mpf(begin), mpf(end)
    count = min(max(int(mp.ceil((end - begin) / scale)), 1), 4000)
    return sorted({begin + (end - begin) * i / count for i in range(count + 1)} | ({at} if begin < at < end else set()))


def _integral(function: Callable[[Number], Number], edges: list[Number]) -> Number:
    return mp.quad(function, edges, method="gauss-legendre", maxdegree=9)


def over_beta(function: Callable[[Number, Number], Number], a: Number, b: Number, bend: Number = 1) -> Number:
    """The mean of a function of p and 1 - p over a Beta distribution, along log(p / (1 - p)).

    The function should be flat where p is far below 1 / bend: there only the density counts, which falls like p^a.
    """
    a, b, bend = mpf(a), mpf(b), mpf(bend)
    mode, wide = mp.log(a / b), mp.sqrt(1 / a + 1 / b)
    reach = _span()
    left = max(mode - reach / a - mp.sqrt(2 * reach) * wide, -reach - mp.log(max(bend, b, 1)) - 5)
    right = min(mode + reach / b + mp.sqrt(2 * reach) * wide, reach + mp.log(max(a, 1)) + 5)
    left, right = min(left, mode - wide), max(right, mode + wide)

    def chances(y: Number) -> tuple[Number, Number]:
        return 1 / (1 + mp.exp(-y)), 1 / (1 + mp.exp(y))

    top = _log_beta(a, b)

    def weighted(y: Number) -> Number:
        p, q = chances(y)
        return mp.exp(a * mp.log(p) + b * mp.log(q) - top) * function(p, q)

    edges = _panels(left, right, mode, min(4 * wide, mpf(4)))
    # beyond the ends the function is flat, and the density an exponential
    return _integral(weighted, edges) + weighted(left) / a + weighted(right) / b


def over_time(function: Callable[[Number], Number], begin: Number, end: Number, scale: Number) -> Number:
    """The integral of a function of time that changes within `scale` at its beginning, and ever more slowly."""
    if begin == end:
        return mpf(0)
    begin, scale = mpf(begin), mpf(scale)
    last = mp.log1p((mpf(end) - begin) / scale)
    edges = _panels(mpf(0), last, mpf(0), mpf(1))
    return _integral(lambda v: function(begin + scale * mp.expm1(v)) * scale * mp.exp(v), edges)


def gamma_moment(power: Number, time: Number, shape: Number, rate: Number) -> Number:
    """The mean of lambda^power exp(-lambda time), as a logarithm."""
    shape, rate, time = mpf(shape), mpf(rate), mpf(time)
    return mp.loggamma(shape + power) - mp.loggamma(shape) + shape * mp.log(rate) - (shape + power) * mp.log(rate + time)


def beta_moment(heads: Number, tails: Number, a: Number, b: Number) -> Number:
    """The mean of p^heads (1 - p)^tails, as a logarithm."""
    a, b = mpf(a), mpf(b)
    return _log_beta(a + heads, b + tails) - _log_beta(a, b)


def _log_beta(a: Number, b: Number) -> Number:
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def poisson_mixture(n: int, shape: Number, rate: Number, time: Number) -> Number:
    """The chance of n purchases in some time at a rate that is Gamma distributed: the mean of (lambda t)^n exp(-lambda t) / n!."""
    if time == 0:
        return mpf(n == 0)
    return mp.exp(gamma_moment(n, time, shape, rate) + n * mp.log(mpf(time)) - mp.loggamma(n + 1))


# -------------------------------------------------------------------------------------------------------------- the models


class Model(Protocol):
    """What is known of a history, and of the time after it given that the customer is alive."""

    def log_likelihood(self, x: int, t_x: Number, T: Number) -> Number: ...
    def p_alive(self, x: int, t_x: Number, T: Number) -> Number: ...
    def expected(self, x: int, T: Number, t: Number) -> Number: ...
    def discounted(self, x: int, T: Number, t: Number, delta: Number) -> Number: ...
    def pmf(self, n: int, x: int, T: Number, t: Number) -> Number: ...


@dataclass(frozen=True)
class BetaGeo:
    """BG/NBD; with first = 1 MBG/NBD, where a coin is tossed after the first purchase too.

    Purchases at rate lambda ~ Gamma(r, alpha); after each repeat purchase the customer stops with chance p ~ Beta(a, b).
    """

    r: Number
    alpha: Number
    a: Number
    b: Number
    first: int = 0

    def _alive(self, x: int, T: Number) -> Number:
        """x purchases at their times, none after, no coin told to stop."""
        return gamma_moment(x, T, self.r, self.alpha) + beta_moment(0, x + self.first, self.a, self.b)

    def _stopped(self, x: int, t_x: Number) -> Number:
        """The coin after the last purchase was the first to say stop."""
        tosses = x + self.first
        return -mp.inf if tosses == 0 else gamma_moment(x, t_x, self.r, self.alpha) + beta_moment(1, tosses - 1, self.a, self.b)

    def log_likelihood(self, x: int, t_x: Number, T: Number) -> Number:
        return _log_sum(self._alive(x, T), self._stopped(x, t_x))

    def p_alive(self, x: int, t_x: Number, T: Number) -> Number:
        return mp.exp(self._alive(x, T) - self.log_likelihood(x, t_x, T))

    def _given(self, x: int, T: Number) -> tuple[Number, Number, Number, Number]:
        """What lambda and p are distributed as, given that the customer is alive at T."""
        return mpf(self.r) + x, mpf(self.alpha) + T, mpf(self.a), mpf(self.b) + x + self.first

    def expected(self, x: int, T: Number, t: Number) -> Number:
        """Stopping by chance p at each purchase is dying at rate lambda p: the mean of (1 - exp(-lambda p t)) / p."""
        shape, rate, a, b = self._given(x, T)
        z = mpf(t) / rate
        return over_beta(lambda p, _: -mp.expm1(-shape * mp.log1p(p * z)) / p, a, b, bend=1 + shape * z)

    def discounted(self, x: int, T: Number, t: Number, delta: Number) -> Number:
        """The nth purchase comes if none of n - 1 coins said stop, after n waits at rate lambda: the sum over n of their densities at u."""
        shape, rate, a, b = self._given(x, T)

        def pace(u: Number) -> Number:
            share, term, total, n = u / (rate + u), mp.exp(shape * mp.log(rate / (rate + u))) * shape / (rate + u), mpf(0), 1
            while term > total * mp.eps / 100 or n * (1 - share) < shape * share:
                total += term
                term *= (shape + n) / n * share * (b + n - 1) / (a + b + n - 1)
                n += 1
            return total

        return over_time(lambda u: mp.exp(-delta * u) * pace(u), 0, t, min(mpf(t), rate / shape))

    def pmf(self, n: int, x: int, T: Number, t: Number) -> Number:
        """n purchases and the coin never said stop, or it said so at the nth, whenever that was."""
        shape, rate, a, b = self._given(x, T)
        through = poisson_mixture(n, shape, rate, t) * mp.exp(beta_moment(0, n, a, b))
        if n == 0:
            return through
        reached = 1 - sum(poisson_mixture(j, shape, rate, t) for j in range(n))
        return through + reached * mp.exp(beta_moment(1, n - 1, a, b))


@dataclass(frozen=True)
class ParetoNBD:
    """Purchases at rate lambda ~ Gamma(r, alpha) for a lifetime that is exponential with rate mu ~ Gamma(s, beta)."""

    r: Number
    alpha: Number
    s: Number
    beta: Number

    def _alive(self, x: int, T: Number) -> Number:
        return gamma_moment(x, T, self.r, self.alpha) + gamma_moment(0, T, self.s, self.beta)

    def log_likelihood(self, x: int, t_x: Number, T: Number) -> Number:
        return _log_sum(self._alive(x, T), self._dead(x, t_x, T))

    def _dead(self, x: int, t_x: Number, T: Number) -> Number:
        """Dead since some time in (t_x, T]: the integral over it, along logarithms of time, against its value at t_x."""
        if t_x == T:
            return -mp.inf

        def at(y: Number) -> Number:
            return gamma_moment(x, y, self.r, self.alpha) + gamma_moment(1, y, self.s, self.beta)

        top = at(t_x)
        slope = (mpf(self.r) + x) / (mpf(self.alpha) + t_x) + (mpf(self.s) + 1) / (mpf(self.beta) + t_x)
        return top + mp.log(over_time(lambda y: mp.exp(at(y) - top), t_x, T, 1 / slope))

    def p_alive(self, x: int, t_x: Number, T: Number) -> Number:
        return mp.exp(self._alive(x, T) - self.log_likelihood(x, t_x, T))

    def _lasting(self, T: Number, t: Number, delta: Number) -> Number:
        """The integral of exp(-delta u) P(alive at T + u | alive at T) over u in (0, t]."""
        age, s, delta = mpf(self.beta) + T, mpf(self.s), mpf(delta)
        scale = 1 / (s / age + delta)
        until = mpf(t) if t != mp.inf else _span() / delta
        return over_time(lambda u: mp.exp(-delta * u - s * mp.log1p(u / age)), 0, until, min(scale, until))

    def expected(self, x: int, T: Number, t: Number) -> Number:
        return self.discounted(x, T, t, 0)

    def discounted(self, x: int, T: Number, t: Number, delta: Number) -> Number:
        return (mpf(self.r) + x) / (mpf(self.alpha) + T) * self._lasting(T, t, delta)

    def pmf(self, n: int, x: int, T: Number, t: Number) -> Number:
        """n purchases until death at u, or until t."""
        shape, rate, age, s = mpf(self.r) + x, mpf(self.alpha) + T, mpf(self.beta) + T, mpf(self.s)
        last = mp.exp(-s * mp.log1p(mpf(t) / age)) * poisson_mixture(n, shape, rate, t)
        scale = min(mpf(t), 1 / (shape / rate + (s + 1) / age))
        return last + over_time(lambda u: s / age * mp.exp(-(s + 1) * mp.log1p(u / age)) * poisson_mixture(n, shape, rate, u), 0, t, scale)


@dataclass(frozen=True)
class BetaBinomial:
    """BG/BB: before each period the customer leaves with chance theta ~ Beta(gamma, delta), else buys with chance p ~ Beta(alpha, beta).

    Alive means: there in period T + 1.
    """

    alpha: Number
    beta: Number
    gamma: Number
    delta: Number

    def _bought(self, x: int, k: int) -> Number:
        """Purchases in x known periods of k."""
        return beta_moment(x, k - x, self.alpha, self.beta)

    def log_likelihood(self, x: int, t_x: int, T: int) -> Number:
        left = [self._bought(x, k) + beta_moment(1, k, self.gamma, self.delta) for k in range(t_x, T)]
        return _log_sum(self._bought(x, T) + beta_moment(0, T, self.gamma, self.delta), *left)

    def p_alive(self, x: int, t_x: int, T: int) -> Number:
        return mp.exp(self._bought(x, T) + beta_moment(0, T + 1, self.gamma, self.delta) - self.log_likelihood(x, t_x, T))

    def expected(self, x: int, T: int, t: int) -> Number:
        return self.discounted(x, T, t, 0)

    def discounted(self, x: int, T: int, t: Number, delta: Number) -> Number:
        """A purchase in period T + k counts (1 + delta)^-k."""
        chance = (mpf(self.alpha) + x) / (mpf(self.alpha) + self.beta + T)
        z = 1 / (1 + mpf(delta))
        if t == mp.inf:
            return chance * over_beta(lambda theta, q: z / (1 - z + z * theta), self.gamma, mpf(self.delta) + T + 1, bend=1 / mpf(delta))
        here = beta_moment(0, T + 1, self.gamma, self.delta)
        return chance * mp.fsum(mp.exp(beta_moment(0, T + k, self.gamma, self.delta) - here) * z**k for k in range(1, t + 1))

    def pmf(self, n: int, x: int, T: int, t: int) -> Number:
        """n purchases in the k periods that the customer stays, of t."""
        if t == 0:
            return mpf(n == 0)
        here, before = beta_moment(0, T + 1, self.gamma, self.delta), self._bought(x, T)

        def stays(k: int) -> Number:
            return mp.exp(beta_moment(k < t, T + k, self.gamma, self.delta) - here)

        def buys(k: int) -> Number:
            return mp.binomial(k, n) * mp.exp(self._bought(x + n, T + k) - before)

        return mp.fsum(stays(k) * buys(k) for k in range(max(n, 1), t + 1))


@dataclass(frozen=True)
class GammaGamma:
    """Each purchase is worth Gamma(p, nu) (so p / nu on average) with nu ~ Gamma(q, v); the mean of x of them is Gamma(p x, nu x)."""

    p: Number
    q: Number
    v: Number

    def log_likelihood(self, x: int, z: Number) -> Number:
        shape, z = mpf(self.p) * x, mpf(z)
        # the density of z given nu, relative to nu = (p x + q) / (v + x z), where the integrand is largest
        at = (shape + self.q) / (mpf(self.v) + x * z)
        top = shape * mp.log(at * x) - at * x * z
        known = (shape - 1) * mp.log(z) - mp.loggamma(shape)
        return known + top + mp.log(self._mean(lambda nu: mp.exp(shape * mp.log(nu * x) - nu * x * z - top), x, z))

    def expected(self, x: int, z: Number) -> Number:
        """The mean of p / nu given the history."""
        shape, z, p = mpf(self.p) * x, mpf(z), mpf(self.p)
        at = (shape + self.q) / (mpf(self.v) + x * z)

        def likelihood(nu: Number) -> Number:
            return mp.exp(shape * mp.log(nu / at) - (nu - at) * x * z)

        return self._mean(lambda nu: p / nu * likelihood(nu), x, z, power=-1) / self._mean(likelihood, x, z)

    def _mean(self, function: Callable[[Number], Number], x: int, z: Number, power: int = 0) -> Number:
        """The mean over nu of a function that is concentrated where the history wants nu, and takes a power of nu near 0."""
        q, v = mpf(self.q), mpf(self.v)
        shape, rate = mpf(self.p) * x + q, v + x * z
        wide, mode = 1 / mp.sqrt(shape), mp.log(shape / rate)
        left = mode - _span() / (shape + power) - mp.sqrt(2 * _span()) * wide
        right = mode + mp.log1p(_span() / shape) + mp.sqrt(2 * _span()) * wide

        def weighted(y: Number) -> Number:
            return mp.exp(q * mp.log(v) - mp.loggamma(q) + q * y - v * mp.exp(y)) * function(mp.exp(y))

        return _integral(weighted, _panels(left, right, mode, 4 * wide))


def _log_sum(*logs: Number) -> Number:
    top = max(logs)
    return top + mp.log(mp.fsum(mp.exp(log - top) for log in logs))


# ---------------------------------------------------------------------------------------------------------- at random


@dataclass(frozen=True)
class Walked:
    """Histories until T, how many purchases came in the time after T, and who was alive at T (BG/BB: in period T + 1)."""

    x: np.ndarray
    t_x: np.ndarray
    T: np.ndarray
    ahead: np.ndarray
    alive: np.ndarray


def simulate(model: str, params: Any, customers: int, T: Any, t: Any, rng: np.random.Generator) -> Walked:
    """Customers who walk from purchase to purchase until T + t: "bg_nbd", "mbg_nbd", "pareto_nbd" or "bg_bb"; T may differ between them."""
    until = np.broadcast_to(np.asarray(T, dtype=np.float64), (customers,)).copy()
    if model == "bg_bb":
        return _walk_periods(params, until.astype(np.int64), int(t), rng)
    r, alpha = params[:2]
    pace = rng.gamma(r, 1 / alpha, customers)
    if model == "pareto_nbd":
        s, beta = params[2:]
        return _walk(pace, np.zeros(customers), rng.exponential(1, customers) / rng.gamma(s, 1 / beta, customers), until, t, rng)
    a, b = params[2:]
    stops = rng.beta(a, b, customers)
    death = np.full(customers, np.inf)
    if model == "mbg_nbd":
        death[rng.random(customers) < stops] = 0.0
    return _walk(pace, stops, death, until, t, rng)


def _walk(pace: Any, stops: Any, death: Any, until: Any, t: Any, rng: np.random.Generator) -> Walked:
    """From purchase to purchase: at some pace, until death, which may come by chance `stops` at each."""
    customers = len(pace)
    x, ahead, t_x = np.zeros(customers, np.int64), np.zeros(customers, np.int64), np.zeros(customers)
    who, now, death = np.arange(customers), np.zeros(customers), death.copy()
    while len(who):
        with np.errstate(divide="ignore", over="ignore"):
            now = now + rng.exponential(1, len(who)) / pace[who]
        buys = now < np.minimum(death[who], until[who] + t)
        who, now = who[buys], now[buys]
        early = now <= until[who]
        x[who[early]] += 1
        t_x[who[early]] = now[early]
        ahead[who[~early]] += 1
        stopped = rng.random(len(who)) < stops[who]
        death[who[stopped]] = now[stopped]
        who, now = who[~stopped], now[~stopped]
    return Walked(x, t_x, until, ahead, death > until)


def _walk_periods(params: Any, until: Any, t: int, rng: np.random.Generator) -> Walked:
    """From period to period."""
    alpha, beta, gamma, delta = params
    customers = len(until)
    p, theta = rng.beta(alpha, beta, customers), rng.beta(gamma, delta, customers)
    x, ahead, t_x = np.zeros((3, customers), np.int64)
    here, alive = np.ones(customers, np.bool_), np.zeros(customers, np.bool_)
    for period in range(1, int(until.max()) + t + 1):
        here &= rng.random(customers) >= theta
        alive |= here & (period == until + 1)
        buys = here & (rng.random(customers) < p)
        x += buys & (period <= until)
        t_x = np.where(buys & (period <= until), period, t_x)
        ahead += buys & (period > until) & (period <= until + t)
    return Walked(x, t_x.astype(np.float64), until.astype(np.float64), ahead, alive)


def mean_values(params: Any, x: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Gamma-Gamma: the mean value of x purchases of each customer, and the mean that he spends in the long run."""
    p, q, v = params
    nu = rng.gamma(q, 1 / v, len(x))
    return rng.gamma(p * x) / (nu * x), p / nu
