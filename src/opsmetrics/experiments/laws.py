"""What a statistic must reach, on one scale for all rules: the level alone, the largest of several, or a sequential design."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from opsmetrics._frames import Floats, Ints
from opsmetrics._kernels import multiplicity
from opsmetrics._kernels.alternatives import Alternative
from opsmetrics.experiments.designs import Design
from opsmetrics.experiments.metrics import Metric
from opsmetrics.experiments.monitors import Monitor

Bools: TypeAlias = npt.NDArray[np.bool_]


_MANY_DF, _FAR = 2_000, 4.0
"""From so many degrees of freedom on, and no farther out than this, a t quantile is a series."""

_CORNISH_FISHER = ((1, 1, 4), (5, 16, 3, 96), (3, 19, 17, -15, 384), (79, 776, 1482, -1920, -945, 92160))
"""Its terms in powers of 1 / df: polynomials in the squared normal quantile, and what they are divided by."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of all comparisons."""

    alternative: Alternative
    confidence: float
    dunnett: bool = False
    design: Design | None = None

    @property
    def alpha(self) -> float:
        """The level of the test."""
        return 1 - self.confidence


@dataclass(frozen=True, slots=True)
class Sides:
    """What a statistic is held against: margins with the side on which each is rejected, and which ends of an interval are given."""

    nulls: tuple[tuple[float, Alternative], ...]
    low: bool
    high: bool

    @classmethod
    def of(cls, metric: Metric, alternative: Alternative) -> Sides:
        """For what is asked of a metric; a margin brings its own sides."""
        margin = metric.margin or 0.0
        if metric.hypothesis == "equivalence":
            return cls(((-margin, "greater"), (margin, "less")), low=True, high=True)
        if metric.hypothesis == "non-inferiority":
            return cls(((margin, "less"),), low=False, high=True) if metric.decrease else cls(((-margin, "greater"),), low=True, high=False)
        return cls(((0.0, alternative),), low=alternative != "less", high=alternative != "greater")

    @property
    def tails(self) -> int:
        """How many tails share the level."""
        return 2 if self.nulls[0][1] == "two-sided" else 1

    @property
    def sign(self) -> int:
        """-1 where a statistic below zero is evidence."""
        return -1 if self.nulls[0][1] == "less" else 1


@dataclass(frozen=True, slots=True)
class Law:
    """What a statistic must reach, on the scale of Student's t, and the p-value that it has."""

    critical: Floats
    df: Floats
    monitor: Monitor | None = None

    def p_value(self, statistic: Floats, side: Alternative) -> Floats:
        """Of a statistic against one null."""
        evidence = np.abs(statistic) if side == "two-sided" else statistic if side == "greater" else -statistic
        if self.monitor is None:
            return np.minimum((2 if side == "two-sided" else 1) * tail(evidence, self.df), 1.0)
        return self.monitor.p_value(normal(evidence, self.df))


def by_level(question: Question, sides: Sides, df: Floats) -> Law:
    """One look at one comparison."""
    return Law(quantile(np.full(len(df), question.alpha / sides.tails), df), df)


def by_design(question: Question, design: Design, sides: Sides, df: Floats, units: Floats, ready: Bools) -> Law:
    """One of several looks. One side is one side: a statistic that speaks for less is turned round."""
    monitor = design._monitor(units, question.confidence, "two-sided" if sides.tails == 2 else "greater", ready)
    return Law(student(monitor.critical, df), df, monitor)


@dataclass(frozen=True, slots=True)
class Many:
    """Comparisons of several treatments with one control: the test of each, the units of both arms."""

    test: Ints
    treatment: Floats
    control: Floats

    def law(self, question: Question, sides: Sides, df: Floats) -> Law:
        """The largest of the statistics of a test, by Dunnett's distribution."""
        if not len(df):
            return by_level(question, sides, df)
        sizes = self._spread(self.treatment, 0.0, self._slots())[self.test]
        return Law(multiplicity.dunnett_critical(question.alpha, df, self.control, sizes, 2 if sides.tails == 2 else 1), df)

    def p_values(self, statistic: Floats, df: Floats, side: Alternative) -> Floats:
        """Adjusted p-values, each by its own degrees of freedom."""
        if not len(df):
            return df
        slots = self._slots()
        sizes, statistics = self._spread(self.treatment, 0.0, slots), self._spread(statistic, np.nan, slots)
        adjusted = multiplicity.dunnett(statistics[self.test], df, self.control, sizes[self.test], side)
        return np.asarray(adjusted[np.arange(len(self.test)), slots])

    def _slots(self) -> Ints:
        """The place of each comparison in its test."""
        order = np.argsort(self.test, kind="stable")
        counts = np.bincount(self.test)
        slots = np.empty(len(self.test), dtype=np.int64)
        slots[order] = np.arange(len(self.test)) - np.repeat(np.cumsum(counts) - counts, counts)
        return slots

    def _spread(self, values: Floats, nothing: float, slots: Ints) -> Floats:
        """A row of values for each test."""
        rows = np.full((int(self.test.max(initial=-1)) + 1, int(slots.max(initial=-1)) + 1), nothing)
        rows[self.test, slots] = values
        return rows


def tail(statistic: Floats, df: Floats) -> Floats:
    """P(T > statistic)."""
    from scipy.special import ndtr, stdtr

    finite = np.isfinite(df)
    return np.asarray(np.where(finite, stdtr(np.where(finite, df, 1.0), -statistic), ndtr(-statistic)))


def normal(statistic: Floats, df: Floats) -> Floats:
    """The normal deviate with the same tail."""
    from scipy.special import ndtri

    chance = tail(np.abs(statistic), df)
    return np.where(np.isinf(df) | (chance <= 0), statistic, -np.sign(statistic) * ndtri(np.where(chance > 0, chance, 0.5)))


def student(z: Floats, df: Floats) -> Floats:
    """Student's deviate with the same tail as a normal one."""
    from scipy.special import ndtr

    level = ndtr(-np.where(np.isinf(z), 0.0, z))
    found = quantile(np.where(level > 0, level, 0.5), df)
    # What no float can tell from never is never: where the level, or its quantile, is beyond the floats.
    return np.asarray(np.where(np.isinf(z) | (level <= 0) | ~(found >= 0), np.inf, found))


def quantile(level: Floats, df: Floats) -> Floats:
    """The value that T exceeds with this chance.

    With many degrees of freedom it is the normal one and four terms in 1 / df, to the last digits and in less time: R. A. Fisher &
    E. A. Cornish (1960), The percentile points of distributions having known cumulants, Technometrics 2, 209.
    """
    from scipy.special import ndtri, stdtrit

    found = np.asarray(-ndtri(level))
    many = (df >= _MANY_DF) & (np.abs(found) <= _FAR)
    few = np.flatnonzero(np.isfinite(df) & ~many)
    z, nu = found[many], df[many]
    square, more = z * z, np.zeros(len(z))
    for *terms, whole in _CORNISH_FISHER[::-1]:
        more = (more + np.polyval(terms, square) / whole) / nu
    found[many] = z * (1 + more)
    found[few] = -stdtrit(df[few], level[few])
    return found
