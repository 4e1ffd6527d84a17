"""What units of an earlier time say of a metric."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opsmetrics._kernels import arms as kernel
from opsmetrics.errors import DataError
from opsmetrics.experiments import measures
from opsmetrics.experiments.metrics import Metric
from opsmetrics.experiments.populations import population
from opsmetrics.experiments.readings import Asked


def told(units: object, metric: Metric, cluster: str | None) -> dict[str, Any]:
    """The arguments of a baseline: all units are one arm."""
    name = metric.columns[0]
    single = _estimated(units, metric, name, None)
    if not single.raw_variance[0] > 0:
        raise DataError(f"{name!r} does not vary among the units; there is no spread to plan with.", code="data.constant")
    n, value = float(single.n.sum()), float(single.raw[0])
    std = None if metric.kind == "proportion" else math.sqrt(float(single.raw_variance[0]) * n)
    known: dict[str, Any] = {"value": value, "std": std}
    if metric.covariates:
        known["correlation"] = math.sqrt(max(1 - float(single.variance[0] / single.raw_variance[0]), 0.0))
    if cluster is None:
        return known
    clustered = _estimated(units, metric, name, cluster)
    size = n / float(clustered.n.sum())
    effect = float(clustered.raw_variance[0] / single.raw_variance[0])
    return known | {"cluster_size": size, "icc": min(max((effect - 1) / (size - 1), 0.0), 1.0) if size > 1 else 0.0}


def _estimated(units: object, metric: Metric, name: str, cluster: str | None) -> kernel.Arms:
    """The one arm that all units are."""
    asked = Asked({name: metric}, strata=False, clustered=cluster is not None)
    people = population(units, asked, cluster, None)
    found = people.draws[name](np.zeros(people.units, dtype=np.int64), 1)
    measures.resolve(asked.metrics, {name: found})
    sizing = measures.Sizing(np.random.default_rng(0), progress=False)
    measured = measures.measured_of(found, metric, (1, 1), sizing, (name, 0), clustered=asked.clustered)
    return kernel.estimate(measured.cells, measured.test, measured.strata, ratio=measured.base == 2, within=True)
