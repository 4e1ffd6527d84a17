"""Pareto/NBD: purchases at a steady rate until a lifetime ends that nobody sees.

The purchase rate is lambda ~ Gamma(r, alpha), the dropout rate mu ~ Gamma(s, beta) (D. C. Schmittlein, D. G. Morrison & R. Colombo, 1987,
Management Science 33, 1-24). The textbook likelihood is a difference of hypergeometric functions, which is not finite for heavy buyers.
Here it is the integral over the time of death that it comes from: a sum of positive terms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import quadrature, rising
from opsmetrics._kernels.histories import Terms, Total, add_up, distinct, floats, longer

if TYPE_CHECKING:
    from opsmetrics._kernels.histories import Histories

Floats = npt.NDArray[np.float64]

CELLS = 6144
"""Nodes of rows that stay in the cache together."""

ROUGH_NODES, FIT_NODES, REPORT_NODES = 6, 16, 24
"""Nodes over the time of death: enough to come near the maximum, to find it, and to report to nine digits."""

_FOREVER = 45.0
"""exp(-45) = 3e-20: a horizon without end stops where discounting has left nothing."""

_SLOWEST = 0.25


@dataclass(frozen=True, slots=True)
class ParetoNBD:
    """The model at its parameters; alpha and beta may be one number per row."""

    r: Any
    alpha: Any
    s: Any
    beta: Any

    def log_likelihood(self, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Floats:
        """The log-likelihood of each history."""
        found = self._by_blocks(lambda own, x, t_x, T: own._mixture(x, t_x, T, REPORT_NODES).log_likelihood[None], 1, x, t_x, T)
        return np.asarray(found[0] + rising.logs(self.r, x))

    def p_alive(self, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Floats:
        """The chance that the lifetime has not ended by T."""
        found = self._by_blocks(lambda own, x, t_x, T: own._mixture(x, t_x, T, REPORT_NODES).share[:1], 1, x, t_x, T)
        return np.asarray(found[0])

    def p_alive_slopes(self, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> tuple[Floats, Floats]:
        """P(alive), and the slope of its logarithm in the log of each parameter: the score if alive, less the mean score."""

        def block(own: ParetoNBD, x: Floats, t_x: Floats, T: Floats) -> Floats:
            mixture = own._mixture(x, t_x, T, REPORT_NODES)
            _, scores = own._scores(mixture, x)
            slopes = [score[0] - _mean(mixture.share, score) for score in scores]
            return np.stack([mixture.share[0], *slopes])

        found = self._by_blocks(block, 5, x, t_x, T)
        return found[0], found[1:]

    def expected(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike) -> Floats:
        """Expected purchases in (T, T + t] of customers who are alive at T."""
        x, T, t = floats(x, T, t)
        return np.asarray((self.r + x) / (self.alpha + T) * (self.beta + T) * _over(self.s - 1, np.log1p(t / (self.beta + T))))

    def expected_slopes(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Expected purchases, and their slopes in the log of each parameter."""
        return self.discounted_slopes(x, T, t, 0.0)

    def discounted(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike, delta: float) -> Floats:
        """Expected purchases in (T, T + t], each weighted exp(-delta u) when it comes u after T; over all time where t is infinite.

        With t infinite times P(alive) these are the discounted expected residual transactions (P. S. Fader, B. G. S. Hardie & K. L. Lee,
        2005, J. Marketing Research 42, 415-430).
        """
        return self.discounted_slopes(x, T, t, delta)[0]

    def discounted_slopes(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike, delta: float) -> tuple[Floats, Floats]:
        """Discounted purchases, and their slopes in the log of each parameter."""
        x, T, t = np.broadcast_arrays(*floats(x, T, t))
        rate = (self.r + x) / (self.alpha + T)
        lasting, by_s, by_beta = self._lasting(T, t, delta)
        found = rate * lasting
        slopes = (self.r / (self.r + x) * found, -self.alpha / (self.alpha + T) * found, rate * by_s, rate * by_beta)
        return found, np.stack(slopes)

    def squared(self, x: npt.ArrayLike, T: npt.ArrayLike, t: float, delta: float) -> Floats:
        """The mean square of discounted purchases in (T, T + t] of customers alive at T: each with itself, and any two with each other.

        Two purchases, the later after w, have the density lambda^2 exp(-mu w), whenever the earlier was.
        """
        x, T = np.broadcast_arrays(*floats(x, T))
        one, of = distinct(np.ravel(T))
        age = self.beta + np.ravel(T)[one]

        def together(times: Floats) -> Floats:
            return np.asarray(np.exp(-self.s * np.log1p(times / age)) * quadrature.pair_discount(delta, times))

        pairs = quadrature.over_time(together, np.full(len(age), t), 1 / age + delta)[of].reshape(x.shape)
        return np.asarray(self.discounted(x, T, t, 2 * delta) + 2 * (self.r + x) * (self.r + x + 1) / (self.alpha + T) ** 2 * pairs)

    def counts(self, x: npt.ArrayLike, T: npt.ArrayLike, t: npt.ArrayLike) -> Iterator[Floats]:
        """P(Y = n), n = 0, 1, ..., of purchases Y in (T, T + t] of customers alive at T.

        A mixture over the time u of death in (0, t] of negative binomial probabilities, each by recurrence, and over surviving t.
        """
        alpha, beta, x, T, t = np.broadcast_arrays(self.alpha, self.beta, *floats(x, T, t))
        rate, age = self.r + x, beta + T
        busiest = float((rate / (alpha + T) * t).max(initial=0.0))
        points, weights = (of.reshape(-1, *[1] * x.ndim) for of in quadrature.legendre(_nodes(busiest)))
        # w = log(1 + u / (beta + T)) has the density s exp(-s w); nodes as in `_mixture`
        whole = np.log1p(t / age)
        fall = np.maximum(self.s, _SLOWEST) / 4
        width = -np.expm1(-fall * whole)
        steps = -np.log1p(-width * points)
        w = steps / fall
        until = np.concatenate([np.broadcast_to(t, (1, *x.shape)), age * np.expm1(w)])
        with np.errstate(divide="ignore"):  # of no time nothing comes
            dying = np.log(self.s / fall * width * weights) + steps - self.s * w
            share = np.log(until / (alpha + T + until))
        now = np.concatenate([-self.s * whole[None], dying]) - rate * np.log1p(until / (alpha + T))
        n = 0
        while True:
            yield np.exp(now).sum(axis=0)
            now = now + (np.log((rate + n) / (n + 1)) + share)
            n += 1

    def _lasting(self, T: Floats, t: Floats, delta: float) -> tuple[Floats, Floats, Floats]:
        """The discounted time that a customer alive at T lasts in (T, T + t], the integral of exp(-delta u) (1 + u / (beta + T))^-s over u.

        And its slopes in ln s and ln beta. It depends on T (and beta) alone, so each distinct one is found once. With w = log(1 + u /
        (beta + T)) the integrand is (beta + T) exp((1 - s) w - delta (beta + T) (exp(w) - 1)).
        """
        shape = np.broadcast_shapes(np.shape(self.beta), T.shape)
        age, t = (np.ravel(np.broadcast_to(values, shape)) for values in (self.beta + T, t))
        one, of = distinct(age, t)
        age, until = age[one], np.minimum(t[one], _FOREVER / delta if delta else np.inf)
        whole, size, before = np.log1p(until / age), 16, None
        if self.s > 1:  # beyond that nothing lasts
            whole = np.minimum(whole, _FOREVER / (self.s - 1))
        while True:
            points, weights = quadrature.legendre(size)
            w = whole * points[:, None]
            density = age * whole * weights[:, None] * np.exp((1 - self.s) * w - delta * age * np.expm1(w))
            # d/dlns: -s log(1 + u / age); d/dage: s u / (age (age + u)) = s (1 - exp(-w)) / age
            now = np.stack([density.sum(axis=0), -self.s * (density * w).sum(axis=0), self.s * (density * -np.expm1(-w)).sum(axis=0) / age])
            if before is not None and (size >= 1024 or np.allclose(now, before, rtol=1e-12, atol=1e-300)):
                break
            size, before = size * 2, now
        lasting, by_s, by_age = (np.reshape(values[of], shape) for values in now)
        return lasting, by_s, by_age * self.beta

    def _mixture(self, x: Floats, t_x: Floats, T: Floats, nodes: int) -> Mixture:
        """Alive at T, or dead since one of some times in (t_x, T]: each with its part in the likelihood.

        With c = min(alpha, beta) and tau = log((c + y) / (c + t_x)), the integrand over the time y of death falls about like exp(-k tau),
        so nodes are those of Gauss and Legendre in exp(-k tau / 4).
        """
        c = np.minimum(self.alpha, self.beta)
        start = c + t_x
        n = self.r + x
        fall = np.maximum(start * (n / (self.alpha + t_x) + (self.s + 1) / (self.beta + t_x)) - 1, _SLOWEST) / 4
        points, weights = quadrature.legendre(nodes)
        width = -np.expm1(-fall * np.log1p((T - t_x) / start))
        steps = -np.log1p(-width * points[:, None])  # fall times tau
        y = np.concatenate([np.broadcast_to(T, (1, len(T))), t_x + start * np.expm1(steps / fall)])
        log_a, log_b = np.log1p(y / self.alpha), np.log1p(y / self.beta)
        parts = -n * log_a - self.s * log_b
        with np.errstate(divide="ignore"):  # nobody dies in no time
            spread = np.log(weights[:, None] * width * (self.s / self.beta) / fall) + steps
            parts[1:] += spread - log_b[1:] + np.log(y[1:] + c)
        largest = parts.max(axis=0)
        share = np.exp(parts - largest)
        whole = share.sum(axis=0)
        return Mixture(y, log_a, log_b, share / whole, np.log(whole) + largest - x * np.log(self.alpha))

    def _scores(self, mixture: Mixture, x: Floats) -> tuple[tuple[Floats, Floats], Floats]:
        """Each part's y / (alpha + y) and y / (beta + y); its scores in the logs of r (its rising factorial aside), alpha, s, beta."""
        early, late = mixture.y / (self.alpha + mixture.y), mixture.y / (self.beta + mixture.y)
        scores = np.stack([-self.r * mixture.log_a, (self.r + x) * early - x, -self.s * mixture.log_b, self.s * late])
        scores[2, 1:] += 1
        scores[3, 1:] += late[1:] - 1
        return (early, late), scores

    def _by_blocks(self, function: Any, size: int, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> Floats:
        """A function of rows, in blocks that stay in the cache."""
        alpha, beta, *given = np.broadcast_arrays(self.alpha, self.beta, *floats(x, t_x, T))
        rows = [np.ravel(values) for values in (alpha, beta, *given)]
        found = np.empty((size, rows[0].size))
        for begin in range(0, rows[0].size, CELLS // REPORT_NODES):
            block = slice(begin, begin + CELLS // REPORT_NODES)
            a, b, *part = (values[block] for values in rows)
            own = ParetoNBD(self.r, a if np.ndim(self.alpha) else self.alpha, self.s, b if np.ndim(self.beta) else self.beta)
            found[:, block] = function(own, *part)
        return found.reshape(size, *given[0].shape)


@dataclass(frozen=True, slots=True)
class Mixture:
    """A customer who is alive at T, the first part, or died at one of some times: by part and row.

    The time y up to which he lived, ln(1 + y / alpha), ln(1 + y / beta), the part's share of the likelihood, and this, but for the rising
    factorial of r, which depends on whole numbers alone.
    """

    y: Floats
    log_a: Floats
    log_b: Floats
    share: Floats
    log_likelihood: Floats


def likelihood(theta: Floats, histories: Histories, nodes: int = FIT_NODES) -> Total:
    """The log-likelihood of histories, with gradient and Hessian in theta = ln(r, alpha, s, beta), then the coefficients of covariates.

    Gradient and Hessian are means over the parts of the mixture (T. A. Louis, 1982, JRSS B 44, 226-233), from the same nodes as the value.
    Covariates of the dropout move ln beta by their negative, as those of the purchases move ln alpha.
    """
    r, alpha, s, beta = np.exp(theta[:4])

    def row(part: Histories) -> Terms:
        moved_a = 0.0 if part.purchase is None else theta[4 : 4 + len(part.purchase)] @ part.purchase
        moved_b = 0.0 if part.dropout is None else theta[len(theta) - len(part.dropout) :] @ part.dropout
        return _row(ParetoNBD(r, alpha * np.exp(-moved_a), s, beta * np.exp(-moved_b)), part, nodes)

    total = add_up(histories, CELLS // nodes, row, moved=(3, -1.0))
    value, first, second = rising.weighted(r, longer(histories.x, histories.weights))
    total.gradient[0] += r * first
    total.hessian[0, 0] += r * first + r * r * second
    return replace(total, value=total.value + value)


def _row(model: ParetoNBD, part: Histories, nodes: int) -> Terms:
    """Rows, the rising factorial of r left out."""
    x = part.x.astype(np.float64)
    mixture = model._mixture(x, part.t_x, part.T, nodes)
    share, (early, late), scores = mixture.share, *model._scores(mixture, x)
    means = np.einsum("ipr,pr->ir", scores, share)
    sooner, lasting = share * early, share * late
    fading = lasting - lasting * late
    by_early = sooner.sum(axis=0)
    turns = {
        (0, 0): means[0],
        (0, 1): model.r * by_early,
        (1, 1): -(model.r + x) * (by_early - _mean(sooner, early)),
        (2, 2): means[2] - (1 - share[0]),
        (2, 3): model.s * lasting.sum(axis=0),
        (3, 3): -model.s * fading.sum(axis=0) - fading[1:].sum(axis=0),
    }
    return Terms(mixture.log_likelihood, means, turns, share, scores - means[:, None])


def _mean(share: Floats, values: Floats) -> Floats:
    """The mean over the parts of a mixture, by row."""
    return np.asarray(np.einsum("pr,pr->r", share, values))


def _nodes(busiest: float) -> int:
    """Nodes over the time of death where customers make so many purchases: how many they have made by then is told the more sharply."""
    return int(min(48 + 8 * math.ceil(math.sqrt(busiest)), 512))


def _over(rate: Any, w: Floats) -> Floats:
    """(1 - exp(-rate w)) / rate, which is w where the rate is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(rate * w) < 1e-300, w, -np.expm1(-rate * w) / rate)
