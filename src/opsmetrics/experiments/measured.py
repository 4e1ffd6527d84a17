"""What was measured: the numbers of a unit, and their moments in the arms of tests."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from opsmetrics._frames import Floats, Ints
from opsmetrics._kernels import moments
from opsmetrics._kernels.arms import Arms, estimate
from opsmetrics._kernels.moments import Moments
from opsmetrics.experiments.metrics import Kind


@dataclass(frozen=True, slots=True)
class Layout:
    """What the numbers of a unit are.

    Attributes
    ----------
    kind : of the metric.
    base : 1 for a value, 2 where it has a denominator.
    rows : whether the number of a cluster's rows is a covariate, as it is beside sums of others.
    covariates : how many.
    missing : which of them have an indicator of where they are missing.
    clusters : whether a quantile's units are clusters; sums over them have a denominator.
    """

    kind: Kind
    base: int = 1
    rows: bool = False
    covariates: int = 0
    missing: tuple[int, ...] = ()
    clusters: bool = False

    @property
    def names(self) -> list[str]:
        """The numbers in order, by the names that their columns of statistics have."""
        adjusting = [numbered("covariate", i) for i in range(self.covariates)] + [numbered("missing", i) for i in self.missing]
        return [*("value", "denominator")[: self.base], *["rows"] * self.rows, *adjusting]

    @property
    def plain(self) -> bool:
        """Whether there is a value, and nothing else."""
        return self.base == 1 and not self.covariates


def numbered(name: str, place: int) -> str:
    """covariate, covariate2, covariate3."""
    return name if place == 0 else f"{name}{place + 1}"


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of metric in the arms of T tests.

    Attributes
    ----------
    layout : what the numbers of a unit are.
    test : (M,) the test of each arm, from 0 to T - 1.
    variant : (M,) its code among all variants.
    cells : M x S groups, all strata of the first arm first.
    sizes : (M x S,) units that there are, with or without the metric.
    place : (T,) where the test stands in the result.
    origin : (T,) how many times the denominator has been taken off the value, so that squares of large values do not lose all digits.
    """

    layout: Layout
    test: Ints
    variant: Ints
    cells: Moments
    sizes: Floats
    strata: int
    place: Ints
    origin: Floats

    @property
    def raw_cells(self) -> Moments:
        """The groups with values as they were."""
        return self.cells if self.layout.base == 1 else moments.tilted(self.cells, np.repeat(self.origin[self.test], self.strata))

    def arms(self, *, within: bool) -> Arms:
        """Their estimates; `within` says where the coefficients of covariates come from."""
        return estimate(self.cells, self.test, self.strata, self.origin, ratio=self.layout.base == 2, within=within)

    @property
    def units(self) -> Floats:
        """(M,) units of each arm."""
        return np.asarray(self.cells.n.reshape(len(self.test), self.strata).sum(axis=1))

    @property
    def counted(self) -> bool:
        """Whether the arms are counts of successes, and nothing else."""
        return self.layout.kind == "proportion" and self.layout.plain and self.strata == 1

    def only(self, tests: npt.NDArray[np.bool_]) -> Measured:
        """Some of the tests."""
        if tests.all():
            return self
        arms = tests[self.test]
        renumbered = np.cumsum(tests) - 1
        kept = np.flatnonzero(np.repeat(arms, self.strata))
        return Measured(
            self.layout,
            renumbered[self.test[arms]],
            self.variant[arms],
            self.cells[kept],
            self.sizes[kept],
            self.strata,
            self.place[tests],
            self.origin[tests],
        )

    def filled(self) -> Measured:
        """Covariates with the mean of their test in the place of what is missing, where there had to be zero until all parts were together.

        Where an arm has none of them the indicator is the arm, and the covariate tells nothing of the difference: it is left out.
        """
        if not self.layout.missing:
            return self
        names, cells, test = self.layout.names, self.cells, np.repeat(self.test, self.strata)
        sums = moments.summed(cells.n[:, None] * cells.mean, test, len(self.place))
        whole = sums[:, names.index("rows")] if self.layout.rows else np.bincount(test, weights=cells.n)
        matrix = np.tile(np.eye(len(names)), (len(self.place), 1, 1))
        for i in self.layout.missing:
            own, gap = names.index(numbered("covariate", i)), names.index(numbered("missing", i))
            known = whole - sums[:, gap]
            matrix[:, own, gap] = np.where(known > 0, sums[:, own] / np.where(known > 0, known, 1.0), 0.0)
            lacking = self.lacking(i)
            matrix[lacking, own], matrix[lacking, gap] = 0.0, 0.0
        return replace(self, cells=moments.mapped(cells, matrix[test]))

    def lacking(self, covariate: int) -> npt.NDArray[np.bool_]:
        """The tests in which an arm has units, and none with this covariate."""
        missing, rows = self.gaps(covariate)
        return np.bincount(self.test, weights=(rows > 0) & (missing >= rows - 0.5), minlength=len(self.place)) > 0

    def gaps(self, covariate: int) -> tuple[Floats, Floats]:
        """Of each arm: how many units (or rows of clusters) lack a covariate, and how many there are."""
        names, cells = self.layout.names, self.cells
        of_unit = cells.mean[:, names.index("rows")] if self.layout.rows else 1.0
        missing, rows = cells.n * cells.mean[:, names.index(numbered("missing", covariate))], cells.n * of_unit
        return missing.reshape(-1, self.strata).sum(axis=1), rows.reshape(-1, self.strata).sum(axis=1)
