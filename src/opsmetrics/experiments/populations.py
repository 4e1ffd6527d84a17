"""Units in memory, to be split into arms again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from opsmetrics import _checks, _frames
from opsmetrics._frames import Backend, Floats, Ints, Use
from opsmetrics._kernels import moments
from opsmetrics._kernels.moments import Runs
from opsmetrics.errors import DataError
from opsmetrics.experiments import readings
from opsmetrics.experiments.measures import LEAST
from opsmetrics.experiments.metrics import Quantile
from opsmetrics.experiments.readings import Asked, Found


@dataclass(frozen=True, slots=True)
class Population:
    """Units that can be split again and again: of each metric, what its arms are for the arm of each unit."""

    backend: Backend
    units: int
    strata: int
    draws: Mapping[str, Callable[[Ints, int], Found]]
    dropped: dict[str, int]


def population(units: object, asked: Asked, cluster: str | None, strata: str | None) -> Population:
    """Read the units once; whole clusters are assigned where rows have them."""
    uses = readings.uses_of(asked, cluster, strata)
    frame, numbers = _frames.columns("units", units, uses)
    _checks.not_empty("units", len(frame))
    unit, ids = (np.arange(len(frame)), None) if cluster is None else _frames.encode(frame[cluster], uses[0])
    stratum, groups = (np.zeros(len(frame), dtype=np.int64), 1)
    if strata is not None:
        stratum, labels = _frames.encode(frame[strata], Use("strata", strata, "label"))
        groups = len(labels)
    kept = np.flatnonzero((unit >= 0) & (stratum >= 0))
    count = len(frame) if ids is None else len(ids)
    if not len(kept):
        raise DataError(f"{'cluster' if cluster else 'strata'} is missing in every row; there is nothing to split.", code="data.missing")
    if count < LEAST:
        raise DataError(f"there is one {'cluster' if cluster else 'unit'}; a comparison needs {LEAST} at least.", code="data.few")
    columns = {use.column: numbers[use.argument][kept] for use in uses if use.role == "measure"}
    readings.refuse_extreme(columns, uses)
    asked = readings.with_cuts(asked, columns)
    of_unit = np.zeros(count, dtype=np.int64)
    of_unit[unit[kept]] = stratum[kept]
    if torn := len(np.unique(unit[kept][of_unit[unit[kept]] != stratum[kept]])):
        raise DataError(
            f"cluster={cluster!r}: {torn:,} clusters have rows in more than one stratum; a cluster is the unit that is assigned, and "
            "belongs to one.",
            code="data.torn",
        )
    draws = {name: _draw(name, asked, columns, unit[kept], of_unit, groups) for name in asked.metrics}
    dropped = {"no cluster": int((unit < 0).sum()), "no stratum": int(((unit >= 0) & (stratum < 0)).sum())}
    return Population(_frames.family(_frames.wrap("units", units)), count, groups, draws, {k: v for k, v in dropped.items() if v})


def _draw(name: str, asked: Asked, columns: Mapping[str, Floats], unit: Ints, stratum: Ints, strata: int) -> Callable[[Ints, int], Found]:
    """One metric of the units: a function from the arm of each to what is found in the arms."""
    values, indicators, valid, incomplete = readings.values_of([columns[column] for column in asked.columns(name)], name, asked)
    own = unit if valid is None else unit[valid]
    kept = values if valid is None else [column[valid] for column in values]
    if isinstance(asked.metrics[name], Quantile):
        clusters = own if asked.clustered else None
        return lambda arm, arms: replace(
            readings.nothing(arms * strata), values=kept[0], groups=arm[own] * strata + stratum[own], clusters=clusters
        )
    base, odd = asked.base(name), readings.odd(kept[0])
    if asked.clustered:
        kept, own = readings.sums_of(kept, own, len(stratum), base)
        base = 2
    kept, origin = readings.centred(kept, base)

    def draw(arm: Ints, arms: int) -> Found:
        size = arms * strata
        codes = (arm[own] * strata + stratum[own]).astype(np.min_scalar_type(size))
        return Found(moments.of_units(kept, Runs.of(codes), size, third=base), indicators, odd, 0, incomplete, origin=origin)

    return draw
