"""High and low: how an axis becomes one bit of the eight classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from opsmetrics import _checks
from opsmetrics._frames import Floats, Ints
from opsmetrics.segments.scorers import AXES, good

Basis = Literal["score", "value"]
Comparison = Literal[">", ">="]

SPLIT_PARAMS = ("basis", "centre", "comparison")
"""What a split adds to the parameters of a result."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """What is compared (scores or values), with which centre, by which comparison."""

    basis: Basis
    centre: Literal["mean", "median"] | Mapping[str, float]
    comparison: Comparison

    @classmethod
    def of(cls, basis: Any, centre: Any, comparison: Any) -> Split:
        """A split from arguments of any origin."""
        if isinstance(centre, str):
            _checks.choice("centre", centre, ("mean", "median"))
        else:
            given = _checks.named("centre", centre, AXES)
            centre = {axis: _checks.number("centre", given[axis]) for axis in AXES}
        return cls(
            basis=_checks.choice("basis", basis, get_args(Basis)),
            centre=centre,
            comparison=_checks.choice("comparison", comparison, get_args(Comparison)),
        )

    def centred(self, compared: Mapping[str, Floats]) -> Split:
        """The same split with its centres as numbers, taken from these customers unless they were given."""
        if isinstance(self.centre, Mapping):
            return self
        middle = _mean if self.centre == "mean" else np.median
        return replace(self, centre={axis: float(middle(values)) if len(values) else 0.0 for axis, values in compared.items()})

    def levels(self, compared: Mapping[str, Floats]) -> list[Ints]:
        """2 for high and 1 for low on each axis, larger being better; wants centres as numbers."""
        assert isinstance(self.centre, Mapping)
        beats = np.greater if self.comparison == ">" else np.greater_equal
        return [
            beats(self._turned(axis, compared[axis]), self._turned(axis, np.float64(self.centre[axis]))).astype(np.int64) + 1
            for axis in AXES
        ]

    def to_dict(self) -> dict[str, object]:
        """The split as values `json.dumps` accepts."""
        return asdict(self)

    def _turned(self, axis: str, values: Any) -> Any:
        """Scores grow with goodness already; of the values, recency has to be turned round."""
        return good(axis, values) if self.basis == "value" else values


def _mean(values: Floats) -> float:
    """By an exact sum: the mean must not depend on the order of the customers. Divided first, so that it cannot overflow."""
    return math.fsum(values / len(values))
