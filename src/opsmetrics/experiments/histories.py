"""What units of an earlier time say of a metric."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from opsmetrics import _checks
from opsmetrics._kernels.arms import Arms
from opsmetrics.errors import DataError, ParameterError
from opsmetrics.experiments import measures
from opsmetrics.experiments.metrics import Metric
from opsmetrics.experiments.populations import population
from opsmetrics.experiments.readings import Asked


def told(units: object, metric: str | Metric, cluster: str | None) -> dict[str, Any]:
    """The arguments of a baseline: all units are one arm."""
    if not isinstance(metric, (str, Metric)):
        raise ParameterError(
            f"metric={_checks.short(metric)} is no metric; give om.Mean, om.Proportion, om.Ratio or om.Quantile, or a column's name.",
            code="parameter.metric",
        )
    name = metric if isinstance(metric, str) else metric.columns[0]
    single, metric = _estimated(units, metric, name, None)
    if not single.raw_variance[0] > 0:
        raise DataError(f"{name!r} does not vary among the units; there is no spread to plan with.", code="data.constant")
    n, value = float(single.n.sum()), float(single.raw[0])
    std = None if metric.kind == "proportion" else math.sqrt(float(single.raw_variance[0]) * n)
    known: dict[str, Any] = {"value": value, "std": std}
    if metric.covariates:
        known["correlation"] = math.sqrt(max(1 - float(single.variance[0] / single.raw_variance[0]), 0.0))
    if cluster is None:
        return known
    clustered, _ = _estimated(units, metric, name, cluster)
    size = n / float(clustered.n.sum())
    effect = float(clustered.raw_variance[0] / single.raw_variance[0])
    return known | {"cluster_size": size, "icc": min(max((effect - 1) / (size - 1), 0.0), 1.0) if size > 1 else 0.0}


def _estimated(units: object, metric: str | Metric, name: str, cluster: str | None) -> tuple[Arms, Metric]:
    """The one arm that all units are, and the metric, which a bare column decides."""
    asked = Asked({name: metric}, strata=False, clustered=cluster is not None)
    people = population(units, asked, cluster, None)
    found = people.draws[name](np.zeros(people.units, dtype=np.int64), 1)
    metric = measures.resolve(asked.metrics, {name: found})[name]
    sizing = measures.Sizing(np.random.default_rng(0), progress=False)
    measured = measures.measured_of(found, metric, (1, 1), sizing, (name, 0), clustered=asked.clustered)
    return measured.filled().arms(within=True), metric
