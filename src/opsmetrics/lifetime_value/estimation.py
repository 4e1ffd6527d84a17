"""From a likelihood to an estimate: the maximum, how sure it is, and a sentence for all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from opsmetrics._frames import Floats
from opsmetrics._kernels import newton
from opsmetrics._kernels.histories import Total
from opsmetrics._kernels.newton import Optimum

WEAK: Final = 2.0
"""The standard error of a parameter's logarithm beyond which the data tell next to nothing of the parameter."""

DOUBTFUL: Final = 1.3
"""And the one beyond which there may be another summit that is higher: where a likelihood has more than one, this one is so broad."""

_MANY = 50_000
_SOME = 5_000
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


@dataclass(frozen=True, slots=True)
class Surface:
    """A log-likelihood to climb: its value and derivatives at a place, and the weight of the rows in it."""

    total_at: Callable[[Floats], Total]
    size: float

    def penalised(self, penalty: float, logs: int) -> Surface:
        """Less `penalty` times the sum of the squares of the first `logs` parameters."""
        if penalty == 0:
            return self

        def total_at(theta: Floats) -> Total:
            own = np.arange(len(theta)) < logs
            pulled = np.where(own, theta, 0.0)
            pull = Total(-penalty * float(pulled @ pulled), -2 * penalty * pulled, -2 * penalty * np.diag(own.astype(np.float64)))
            return self.total_at(theta) + pull

        return Surface(total_at, self.size)

    def times(self, factor: float) -> Surface:
        """Of so many times as many customers."""
        if factor == 1:
            return self

        def total_at(theta: Floats) -> Total:
            own = self.total_at(theta)
            return Total(factor * own.value, factor * own.gradient, factor * own.hessian)

        return Surface(total_at, factor * self.size)


def stages(rows: int) -> list[slice]:
    """Rows to climb on one after the other: where there are many a few of them first, which tell at little cost where the summit is."""
    every = slice(None)
    return [slice(None, None, rows // _SOME), every] if rows >= _MANY else [every]


def estimate(
    surfaces: Sequence[Surface],
    near: Sequence[Floats],
    far: Iterable[Floats],
    names: Sequence[str],
    logs: int,
    penalty: float,
    rows: int,
) -> Estimate:
    """Climb the first surface from the near starts, and from the highest summit on the others, to the last: the likelihood itself.

    Where what comes out is no maximum, or a broad one, climb that from the far starts too, and keep the highest. `penalty` times the sum
    of the squared logs of the first `logs` parameters is taken off, in units in which the data are about one: the logarithm of a normal
    density around them.

    Where the weights of the `rows` that have one come to less than one each, the search takes them to: when it ends is a matter of how much
    log-likelihood is left, which must not depend on the unit of the weights.
    """
    more = max(1.0, rows / surfaces[-1].size)
    first, *later = (surface.penalised(penalty, logs).times(more) for surface in surfaces)
    best, evaluations = _highest(first, near)
    for surface in later:
        best, taken = _highest(surface, [best.theta if best.converged else near[0]])
        evaluations += taken
    covariance = _covariance(best.total.hessian)
    if not best.converged or _errors(covariance)[:logs].max() > DOUBTFUL:
        best, taken = _highest((first, *later)[-1], far, best)
        evaluations += taken
        covariance = _covariance(best.total.hessian)
    covariance = more * covariance
    own_value = best.total.value / more if penalty == 0 else surfaces[-1].total_at(best.theta).value
    return Estimate(
        theta=best.theta, covariance=covariance, log_likelihood=own_value, converged=best.converged,
        reason=best.reason, evaluations=evaluations, warnings=(*_unfinished(best), *hardly_told(names, covariance)),
    )  # fmt: skip


def _highest(surface: Surface, starts: Iterable[Floats], best: Optimum | None = None) -> tuple[Optimum, int]:
    """The highest of the summits that starts lead to, and one that is known; and the evaluations that it took."""
    evaluations = 0
    for start in starts:
        found = newton.maximise(surface.total_at, start, surface.size, best if best is not None and best.converged else None)
        evaluations += found.evaluations
        if best is None or found.total.value > best.total.value + newton.GAIN:
            best = found
    assert best is not None
    return best, evaluations


def _errors(covariance: Floats) -> Floats:
    """Standard errors of the logs of the parameters."""
    return np.asarray(np.sqrt(np.diag(covariance)))


def _covariance(hessian: Floats) -> Floats:
    """The inverse of the observed information; in a direction in which the likelihood is flat it is very large, not infinite."""
    curvature, axes = np.linalg.eigh(-hessian)
    least = max(_FLATTEST * float(np.abs(curvature).max(initial=0.0)), 1e-12)
    return np.asarray((axes / np.maximum(curvature, least)) @ axes.T)


def covariance_of(total: Total) -> tuple[Floats, float]:
    """The covariance at estimates that were found elsewhere, and how much log-likelihood another step would gain."""
    covariance = _covariance(total.hessian)
    return covariance, 0.5 * float(total.gradient @ covariance @ total.gradient)


def _unfinished(best: Optimum) -> list[str]:
    """A sentence on a search that ended elsewhere than at a maximum."""
    sentence = (
        f"the search for the parameters ended {best.reason}, not at a maximum: what they imply for customers like these may still be "
        "right, the parameters are not. Look at another model, or give a penalty."
    )
    return [] if best.converged else [sentence]


def hardly_told(names: Sequence[str], covariance: Floats) -> list[str]:
    """A sentence on the parameters that the data tell next to nothing of."""
    weak = [name for name, error in zip(names, _errors(covariance), strict=True) if error > WEAK]
    sentence = (
        f"the data hardly tell {', '.join(weak)} (the standard error of the logarithm, or of a coefficient per standard deviation, is "
        f"above {WEAK:g}): customers differ too little, or are too few. Predictions may stand; do not read the parameters. More customers, "
        "a simpler model or a penalty helps."
    )
    return [sentence] if weak else []
