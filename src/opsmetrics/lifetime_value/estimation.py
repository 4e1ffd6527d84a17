"""From a likelihood to an estimate: the maximum, how sure it is, and a sentence for all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from opsmetrics._frames import Floats
from opsmetrics._kernels import newton
from opsmetrics._kernels.histories import Total
from opsmetrics._kernels.newton import Optimum

WEAK: Final = 2.0
"""The standard error of a parameter's logarithm beyond which the data tell next to nothing of the parameter."""

MANY: Final = 50_000
SOME: Final = 5_000
"""Of so many rows and more, the search begins where it ended on so few of them, evenly spread."""

_FLATTEST = 1e-8
"""Curvature, against the largest, below which a direction counts as flat."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Logs of the parameters (then coefficients) at the maximum, their covariance, and how the search went."""

    theta: Floats
    covariance: Floats
    log_likelihood: float
    converged: bool
    reason: str
    evaluations: int
    warnings: tuple[str, ...]


def estimate(
    likelihood: Callable[[Floats], Total], starts: Sequence[Floats], size: float, names: Sequence[str], logs: int, penalty: float
) -> Estimate:
    """Climb from the first start; where what comes out is no maximum, or hardly one, from the others too, and keep the highest.

    `penalty` times the sum of the squared logs of the first `logs` parameters is taken off, in units in which the data are about one: the
    logarithm of a normal density around them.
    """

    def penalised(theta: Floats) -> Total:
        total, own = likelihood(theta), np.arange(len(theta)) < logs
        if penalty == 0:
            return total
        pulled = np.where(own, theta, 0.0)
        return total + Total(-penalty * float(pulled @ pulled), -2 * penalty * pulled, -2 * penalty * np.diag(own.astype(np.float64)))

    best, spread = _climb(penalised, starts[0], size)
    evaluations = best.evaluations
    if not best.converged or spread[:logs].max() > WEAK:
        for start in starts[1:]:
            found, own = _climb(penalised, start, size)
            evaluations += found.evaluations
            if found.total.value > best.total.value + newton.GAIN:
                best, spread = found, own
    own_value = best.total.value if penalty == 0 else likelihood(best.theta).value
    weak = [name for name, error in zip(names, spread, strict=True) if error > WEAK]
    return Estimate(
        theta=best.theta, covariance=_covariance(best.total.hessian), log_likelihood=own_value, converged=best.converged,
        reason=best.reason, evaluations=evaluations, warnings=tuple(_sentences(best, weak)),
    )  # fmt: skip


def _climb(total_at: Callable[[Floats], Total], start: Floats, size: float) -> tuple[Optimum, Floats]:
    found = newton.maximise(total_at, start, size)
    return found, np.sqrt(np.diag(_covariance(found.total.hessian)))


def _covariance(hessian: Floats) -> Floats:
    """The inverse of the observed information; in a direction in which the likelihood is flat it is very large, not infinite."""
    curvature, axes = np.linalg.eigh(-hessian)
    least = max(_FLATTEST * float(np.abs(curvature).max(initial=0.0)), 1e-12)
    return np.asarray((axes / np.maximum(curvature, least)) @ axes.T)


def covariance_of(total: Total) -> tuple[Floats, float]:
    """The covariance at estimates that were found elsewhere, and how much log-likelihood another step would gain."""
    covariance = _covariance(total.hessian)
    return covariance, 0.5 * float(total.gradient @ covariance @ total.gradient)


def _sentences(best: Optimum, weak: Sequence[str]) -> list[str]:
    found = []
    if not best.converged:
        found.append(
            f"the search for the parameters ended {best.reason}, not at a maximum: what they imply for customers like these may still be "
            "right, the parameters are not. Look at another model, or give a penalty."
        )
    if weak:
        told = ", ".join(weak)
        found.append(
            f"the data hardly tell {told} (the standard error of the logarithm, or of a coefficient per standard deviation, is above "
            f"{WEAK:g}): customers differ too little, or are too few. Predictions may stand; do not read the parameters. More customers, a "
            "simpler model or a penalty helps."
        )
    return found
