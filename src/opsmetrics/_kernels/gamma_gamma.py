"""Gamma-Gamma: what customers spend per purchase, each around a mean of his own.

A customer's purchases are Gamma(p, nu), and nu ~ Gamma(q, v) differs between customers; both are independent of how often he buys (P. S.
Fader & B. G. S. Hardie, 2013, The Gamma-Gamma model of monetary value; R. Colombo & W. Jiang, 1999, J. Interactive Marketing 13, 2-12).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import rising
from opsmetrics._kernels.histories import Total

if TYPE_CHECKING:
    from opsmetrics._kernels.histories import Ints

Floats = npt.NDArray[np.float64]

BLOCK = 8192
"""Rows whose scratch stays in the cache."""

_POWERS = np.arange(3.0)


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """The model at its parameters; x purchases of mean value z."""

    p: float
    q: float
    v: float

    def log_likelihood(self, x: npt.ArrayLike, z: npt.ArrayLike) -> Floats:
        """The log-likelihood of the mean value of x purchases."""
        x, z = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(z, dtype=np.float64))
        shape, ratio = self.p * x, x * z / self.v
        return np.asarray(-rising.log_beta(shape, self.q)[0] + shape * np.log(ratio) - (shape + self.q) * np.log1p(ratio) - np.log(z))

    def expected(self, x: npt.ArrayLike, z: npt.ArrayLike) -> Floats:
        """The expected mean spend: (v + x z) p / (p x + q - 1). Infinite where p x + q <= 1."""
        x, z = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(z, dtype=np.float64))
        below = self.p * x + self.q - 1
        with np.errstate(divide="ignore"):
            return np.where(below > 0, (self.v + x * z) * self.p / below, np.inf)

    def expected_slopes(self, x: npt.ArrayLike, z: npt.ArrayLike) -> tuple[Floats, Floats]:
        """The expected mean spend, and the slopes of its logarithm in the log of each parameter."""
        x, z = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(z, dtype=np.float64))
        value = self.expected(x, z)
        below = np.where(np.isfinite(value), self.p * x + self.q - 1, np.inf)  # what is infinite does not move
        return value, np.stack([1 - self.p * x / below, -self.q / below, self.v / (self.v + x * z)])

    def second_moment(self, x: npt.ArrayLike, z: npt.ArrayLike) -> Floats:
        """The mean of the squared mean spend, given the history: nu ~ Gamma(p x + q, v + x z). Infinite where p x + q <= 2."""
        x, z = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(z, dtype=np.float64))
        shape = self.p * x + self.q
        below = (shape - 1) * (shape - 2)
        with np.errstate(divide="ignore"):
            return np.where(shape > 2, (self.p * (self.v + x * z)) ** 2 / below, np.inf)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Mean amounts z of x purchases: what of a likelihood over them depends on no parameter.

    `counts` are the distinct x, and `moments` the sums of their weights times 1, x and x^2: `customers` and `purchases` in all. By row,
    `spent` is x z.
    """

    counts: Floats
    moments: Floats
    x: Ints
    spent: Floats
    weights: Floats
    customers: float
    purchases: float
    log_spent: float
    log_mean: float

    @classmethod
    def of_rows(cls, x: Ints, z: Floats, weights: Floats) -> Amounts:
        """Add up what can be added up once."""
        many = np.bincount(x, weights)
        counts = np.flatnonzero(many)
        moments = np.asarray(many[counts][:, None] * counts[:, None] ** _POWERS, dtype=np.float64)
        customers, purchases, _ = moments.sum(axis=0).tolist()
        spent = x * z
        log_spent, log_mean = float(weights @ (x * np.log(spent))), float(weights @ np.log(z))
        return cls(counts.astype(np.float64), moments, x, spent, weights, customers, purchases, log_spent, log_mean)


def by_moments(x: Ints, z: Floats, weights: Floats) -> Floats:
    """About where ln(p, q, v) are, from amounts whose mean is 1: where the search begins.

    Around its mean, ln z has the variance psi'(p x) + psi'(q), finite whatever the amounts. With psi'(y) about 1 / y + 1 / (2 y^2), its
    slope in 1 / x tells p, what is left tells q, and the mean of the amounts is p v / (q - 1).
    """
    share, once, logs = weights / weights.sum(), 1.0 / x, np.log(z)
    squares = (logs - share @ logs) ** 2
    spread, middle = float(share @ squares), float(share @ once)
    bent = float(share @ (once - middle) ** 2)
    slope = float(share @ ((once - middle) * squares)) / bent if bent > 0 else 0.0
    slope = min(max(slope, 0.02 * spread), 0.9 * spread / middle)
    left = max(spread - slope * middle, 1e-300)
    p = 1 / max(slope, 1e-300)
    q = (1 + math.sqrt(1 + 2 * left)) / (2 * left)
    p, q = min(max(p, 0.1), 50.0), min(max(q, 1.05), 50.0)
    return np.log([p, q, (q - 1) / p])


def likelihood(theta: Floats, amounts: Amounts) -> Total:
    """The log-likelihood of mean values, with gradient and Hessian in theta = ln(p, q, v).

    The Gamma functions depend on x alone: they are found once for each distinct x. Rows are taken in blocks that stay in the cache.
    """
    p, q, v = np.exp(theta).tolist()
    sums = np.zeros((3, 2))
    for begin in range(0, len(amounts.spent), BLOCK):
        block = slice(begin, begin + BLOCK)
        ratio = amounts.spent[block] / v
        above = 1 + ratio
        share, weights = ratio / above, amounts.weights[block]
        sums += np.array([np.log1p(ratio), share, share / above]) @ np.array([weights, weights * amounts.x[block]]).T
    (kept, kept_x), (share_all, share_x), (turn, turn_x) = sums.tolist()
    # ln Gamma(p x + q) - ln Gamma(p x) - ln Gamma(q): slopes in p x, and in q
    gammas = -rising.log_beta(p * amounts.counts, q) @ amounts.moments
    (grown, _, _), (_, rises, _), (falls, _, _), (_, _, rises2), (falls2, _, _), (_, across, _) = gammas.tolist()
    log_share = p * (amounts.log_spent - amounts.purchases * float(theta[2]) - kept_x)
    by_p, by_q, bent = p * rises + log_share, q * (falls - kept), p * (share_x - amounts.purchases)
    hessian = [
        [by_p + p * p * rises2, p * q * across, bent],
        [p * q * across, by_q + q * q * falls2, q * share_all],
        [bent, q * share_all, -p * turn_x - q * turn],
    ]
    value = grown + log_share - q * kept - amounts.log_mean
    return Total(value, np.array([by_p, by_q, bent + q * share_all]), np.array(hessian))
