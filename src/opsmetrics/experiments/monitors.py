"""The present look at tests of a sequential plan: what z must reach, p-values that hold although one looked before, what stopping says."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from opsmetrics._frames import Floats, Ints
from opsmetrics._kernels import mixtures, sequential
from opsmetrics.experiments import schedules
from opsmetrics.experiments.schedules import Schedule

Bools = npt.NDArray[np.bool_]

_FARTHEST = 1_000.0
"""A z from which nothing more follows."""


class Stopping(NamedTuple):
    """What is said of tests that stop now, on the scale of z: an estimate is z_estimate times the standard error of the difference."""

    stopped: Bools
    p_value: Floats
    z_estimate: Floats
    z_low: Floats
    z_high: Floats


@dataclass(frozen=True, kw_only=True)
class Monitor(abc.ABC):
    """The present look at several tests. The more a z speaks for a one-sided alternative the larger it is; on two sides it has a sign.

    `critical` are the z that stop the tests, infinite where they cannot stop. A p-value is below 1 - confidence exactly where z (on two
    sides its size) is above the critical one.
    """

    error: float
    sides: Literal[1, 2]
    critical: Floats

    stagewise: ClassVar[bool] = True

    def p_value(self, z: Floats) -> Floats:
        """P-values that hold although the tests were looked at before."""
        return self._coherent(z, self._p_value(self._sized(z)))

    @abc.abstractmethod
    def facts(self) -> dict[str, list[object]]:
        """Where the tests stand, as columns of a table."""

    @abc.abstractmethod
    def stopping(self, z: Floats) -> Stopping:
        """What is said of tests that stop now."""

    @abc.abstractmethod
    def _p_value(self, size: Floats) -> Floats: ...

    def _sized(self, z: Floats) -> Floats:
        known = np.where(np.isnan(z), 0.0, np.clip(z, -_FARTHEST, _FARTHEST))
        return np.abs(known) if self.sides == 2 else known

    def _coherent(self, z: Floats, p: Floats) -> Floats:
        """P-values on the side of the error on which z is of the critical one; rounding must not decide otherwise."""
        crossed = self._sized(z) > self.critical
        held = np.where(crossed, np.minimum(p, np.nextafter(self.error, 0.0)), np.maximum(p, self.error))
        return np.where(np.isnan(z), np.nan, held)


@dataclass(frozen=True, kw_only=True)
class Looks(Monitor):
    """The present look of a group-sequential plan. Times beyond the plan are kept as they are: they spend the whole error at its end."""

    plan: Schedule
    look: Ints
    t: Floats
    judged: Bools
    futility: Floats

    def _p_value(self, size: Floats) -> Floats:
        found = np.ones(size.size)
        for k, here in groups(self.look, self.judged):
            found[here] = sequential.repeated(schedules.levels(self.plan.terms, self.sides), k, self.t[here], size[here])
        return found

    def facts(self) -> dict[str, list[object]]:
        """The number of the look, its information, and what of the error is spent by then."""
        spent = np.exp(self.plan.spending.logs(self.t, math.log(self.error)))
        columns = {"look": self.look + 1, "information": np.minimum(self.t, 1.0), "spent": spent, "beyond_plan": self.t > 1}
        if self.plan.terms.futility is not None:
            columns["futility"] = self.futility
        return {name: values.tolist() for name, values in columns.items()}

    def stopping(self, z: Floats) -> Stopping:
        """By the order of stages: earlier stops speak more against no effect than later ones."""
        size = self._sized(z)
        stopped = ~np.isnan(z) & self.judged & ((size > self.critical) | (self.t >= 1) | (size <= self.futility))
        columns = np.full((4, z.size), np.nan)
        for k, here in groups(self.look, stopped):
            signed = np.clip(z[here], -_FARTHEST, _FARTHEST)
            columns[:, here] = sequential.stagewise(self.plan.walk, k, self.t[here], signed, self.error, self.sides)
        p, estimate, low, high = columns
        return Stopping(stopped, np.where(stopped, self._coherent(z, p), np.nan), estimate, low, high)


@dataclass(frozen=True, kw_only=True)
class Always(Monitor):
    """The present state of tests that may be looked at whenever one likes."""

    n: Floats
    rho2: float
    ready: Bools
    planned_n: int

    stagewise: ClassVar[bool] = False

    def _p_value(self, size: Floats) -> Floats:
        return np.where(self.ready, mixtures.p_value(size, self.n, self.rho2, self.sides), 1.0)

    def facts(self) -> dict[str, list[object]]:
        """The share of the planned units, and whether the burn-in is over."""
        return {"information": (self.n / self.planned_n).tolist(), "ready": self.ready.tolist()}

    def stopping(self, z: Floats) -> Stopping:
        """By the mixture: its mean after z, and the interval that holds at every look."""
        at = np.clip(z, -_FARTHEST, _FARTHEST)
        p, low = self.p_value(at), at - self.critical
        high = at + self.critical if self.sides == 2 else np.full(z.size, np.inf)
        # Where an early z contradicts the prior, the mean after it would lie outside of the interval.
        return Stopping(p < self.error, p, np.clip(at * mixtures.shrinkage(self.n, self.rho2), low, high), low, high)


def groups(look: Ints, chosen: Bools) -> list[tuple[int, Ints]]:
    """The chosen tests look by look."""
    return [(k, np.flatnonzero(chosen & (look == k))) for k in np.unique(look[chosen]).tolist()]
