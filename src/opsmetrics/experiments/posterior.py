"""The Bayesian readout of an A/B test."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from opsmetrics import _checks, _output, _render
from opsmetrics._frames import Backend, Column, Floats
from opsmetrics._kernels import posteriors
from opsmetrics._results import SHOWN_LABELS, Result
from opsmetrics.errors import DataError, ParameterError
from opsmetrics.experiments import reports
from opsmetrics.experiments.measured import Measured
from opsmetrics.experiments.metrics import Metric
from opsmetrics.experiments.reports import Tests

FrameT_co = TypeVar("FrameT_co", covariant=True)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class BayesReadout(Result[FrameT_co]):
    """How good each variant probably is, as `ABTest.bayes` returns it. It is no protection against peeking.

    Attributes
    ----------
    table : frame
        One row per metric and variant: ``metric``, ``variant``, ``estimate`` (the posterior mean), ``low``, ``high`` (its central
        interval), ``probability_best``, ``expected_loss`` (how much better the best is expected to be than this one, in the units of the
        metric).

    Examples
    --------
    >>> import opsmetrics as om
    >>> found = om.ab_test_from_stats({"A": {"n": 100, "successes": 20}, "B": {"n": 100, "successes": 30}}, control="A")
    >>> list(found.bayes().table.columns)[-2:]
    ['probability_best', 'expected_loss']
    """

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN_LABELS)
        return _render.View(
            title="Bayesian readout (no protection against peeking)",
            facts={"prior": self.params["prior"], "confidence": self.params["confidence"]},
            columns=columns,
            rows=[[f"{v:.4g}" if isinstance(v, float) and name != "probability_best" else v for name, v in zip(columns, row, strict=True)]
                  for row in rows],
            bars=("probability_best",),
            shares=("probability_best",),
            total_rows=_output.height(self._tables["table"]),
            notes=[f"no conjugate prior, left out: {', '.join(self.params['left_out'])}"] if self.params["left_out"] else [],  # type: ignore[arg-type]
        )  # fmt: skip


def read_out(
    tests: Tests, entries: Sequence[tuple[Measured, Metric]], prior: object, params: Mapping[str, Any], backend: Backend
) -> BayesReadout[Any]:
    """The posterior of every arm of every metric that has a conjugate prior."""
    shapes = _prior(prior)
    able = [(own, metric) for own, metric in entries if _conjugate(own)]
    if not able:
        raise DataError(
            "no metric has a conjugate prior; proportions and means have one, without covariates, clusters and strata.",
            code="data.conjugate",
        )
    found = [_posterior(own, metric, shapes, params["confidence"]) for own, metric in able]
    place, variant = (np.concatenate(arrays) for arrays in zip(*((own.place[own.test], own.variant) for own, _ in able), strict=True))
    order = np.lexsort((variant, place))
    columns: dict[str, Column] = {name: np.concatenate([one[name] for one in found])[order] for name in found[0]}
    head = reports.head(backend, tests, place[order]) | {"variant": _output.labels(backend, tests.variants, variant[order])}
    names = [tests.metrics[tests.metric[at]] for own, _ in entries if not _conjugate(own) for at in own.place.tolist()]
    told = {"prior": list(shapes), "confidence": params["confidence"], "left_out": list(dict.fromkeys(names))}
    return BayesReadout(_tables={"table": _output.build(backend, head | columns)}, params=told, dropped={})


def _conjugate(own: Measured) -> bool:
    return own.layout.kind in {"proportion", "mean"} and own.layout.plain and own.strata == 1


def _prior(prior: object) -> tuple[float, float]:
    """The shapes of a beta distribution."""
    pair = _checks.listed("prior", prior)
    if len(pair) == 2 and all(_checks.is_number(shape, numbers.Real) and 0 < shape < 1e9 for shape in pair):
        return float(pair[0]), float(pair[1])
    raise ParameterError(f"prior={prior!r} must be two numbers above 0, as of Beta(1, 1).", code="parameter.prior")


def _posterior(own: Measured, metric: Metric, prior: tuple[float, float], confidence: float) -> dict[str, Floats]:
    """Of each arm: the posterior's mean and interval, and how it stands among the arms of its test."""
    from scipy.special import betaincinv, stdtrit

    tail = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    n, mean = own.units, own.cells.mean[:, 0]
    if own.layout.kind == "proportion":
        a, b = prior[0] + n * mean, prior[1] + n * (1 - mean)
        a, b = (b, a) if metric.decrease else (a, b)
        best, shift = _among(own, posteriors.best_beta, a, b), 1.0
        centre, ends = a / (a + b), betaincinv(a, b, tail[:, None])
    else:
        scale = np.sqrt(own.cells.covariance[:, 0, 0] / np.where(n > 0, n, np.nan))
        df = np.maximum(n - 1, 1.0)
        centre, shift = -mean if metric.decrease else mean, 0.0
        best, ends = _among(own, posteriors.best_student, centre, scale, df), centre + scale * stdtrit(df, tail[:, None])
    low, high = ends
    if metric.decrease:  # the least is best: all is turned round, and the numbers back again
        centre, low, high = shift - centre, shift - high, shift - low
    return {"estimate": centre, "low": low, "high": high, "probability_best": best[0], "expected_loss": best[1]}


def _among(own: Measured, rank: Callable[..., posteriors.Best], *shapes: Floats) -> tuple[Floats, Floats]:
    """Each arm among those of its test, tests with as many arms at once."""
    sizes = np.bincount(own.test)
    probability, loss = np.full(len(own.test), np.nan), np.full(len(own.test), np.nan)
    for size in np.unique(sizes).tolist():
        arms = np.flatnonzero(sizes[own.test] == size)
        found = rank(*(shape[arms].reshape(-1, size) for shape in shapes))
        probability[arms], loss[arms] = found.probability.ravel(), found.expected_loss.ravel()
    return probability, loss
