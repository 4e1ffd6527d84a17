"""What is known of a metric before its test."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opsmetrics import _checks
from opsmetrics._kernels import planning as kernel
from opsmetrics.errors import ParameterError
from opsmetrics.experiments import histories
from opsmetrics.experiments.metrics import Metric


@dataclass(frozen=True)
class Baseline:
    """What is known of a metric before the test.

    Parameters
    ----------
    value : float
        The control's rate, mean, ratio or quantile.
    std : float, optional
        Standard deviation of one unit. Of a mean: of its values. Of a ratio of sums: of ``(numerator - value * denominator) /
        mean(denominator)``. Of a quantile q: ``sqrt(q * (1 - q))`` over the density at it. By default the metric is a rate, whose spread
        follows from its value.
    correlation : float
        Of the metric with its covariate, which takes the square of it off the variance.
    cluster_size : float
        Units per cluster, where whole clusters are assigned to variants.
    icc : float
        How alike the units of a cluster are: the share of the variance that lies between clusters.

    Raises
    ------
    ParameterError
        A rate outside (0, 1), a standard deviation that is not above 0, a correlation outside (-1, 1), a cluster below 1 unit, an icc
        outside [0, 1].

    References
    ----------
    Deng, A., Xu, Y., Kohavi, R. & Walker, T. (2013), WSDM (the covariate). Donner, A. & Klar, N. (2000), Design and Analysis of Cluster
    Randomization Trials in Health Research (the clusters).

    Examples
    --------
    >>> import opsmetrics as om
    >>> spend = om.Baseline(3.75, std=30, correlation=0.6)
    >>> om.sample_size(spend, effect=0.05, relative=True).table
         variant       n  share
    0    control  257194    0.5
    1  treatment  257194    0.5
    """

    value: float
    _: dataclasses.KW_ONLY
    std: float | None = None
    correlation: float = 0.0
    cluster_size: float = 1.0
    icc: float = 0.0

    def __post_init__(self) -> None:
        for name in ("value", "std", "correlation", "cluster_size", "icc"):
            if (given := getattr(self, name)) is not None or name != "std":
                object.__setattr__(self, name, _checks.number(name, given))
        if self.std is None:
            _rate(self.value)
        elif self.std <= 0:
            raise ParameterError(f"std={self.std!r} must be above 0; leave it out for a rate.", code="parameter.std")
        if not -1 < self.correlation < 1:
            hint = percent(self.correlation)
            raise ParameterError(f"correlation={self.correlation!r} must lie between -1 and 1.{hint}", code="parameter.correlation")
        if self.cluster_size < 1:
            raise ParameterError(
                f"cluster_size={self.cluster_size!r} must be 1 or more, the units per cluster.", code="parameter.cluster_size"
            )
        if not 0 <= self.icc <= 1:
            raise ParameterError(f"icc={self.icc!r} must lie in [0, 1].{percent(self.icc)}", code="parameter.icc")

    @classmethod
    def of(cls, units: object, metric: str | Metric, *, cluster: str | None = None) -> Baseline:
        """What a table of units says of a metric: units of an earlier time, without an experiment.

        Parameters
        ----------
        units : frame
            One row per unit, or several with `cluster`. pandas, polars (eager or lazy), pyarrow, or a DuckDB relation.
        metric : str, Mean, Proportion, Ratio or Quantile
            What will be measured, a bare column as in `ab_test`. Its covariates become `correlation`.
        cluster : str, optional
            Column of the unit of randomisation where rows are finer: it tells `cluster_size` and `icc`.

        Returns
        -------
        Baseline
            Its value and the spread of one unit (of one row, with clusters). A quantile is planned like a mean: for a shift of all values.

        Raises
        ------
        ColumnError
            A column that is missing, repeated or of the wrong type.
        DataError
            No rows; values that do not vary; a proportion that is not 0 and 1.

        Examples
        --------
        >>> import opsmetrics as om
        >>> units = om.make_experiment(20_000, rng=1)
        >>> om.Baseline.of(units, om.Proportion("converted"))
        Baseline(value=0.0524, std=None, correlation=0.0, cluster_size=1.0, icc=0.0)
        """
        return cls(**histories.told(units, metric, cluster))

    @property
    def factor(self) -> float:
        """By how much the variance of its estimate differs from that of independent units without a covariate."""
        return kernel.variance_factor(self.correlation, self.cluster_size, self.icc)

    def to_dict(self) -> dict[str, object]:
        """The baseline as values `json.dumps` accepts.

        Returns
        -------
        dict
            What `from_dict` reads back to an equal baseline.

        Examples
        --------
        >>> import opsmetrics as om
        >>> om.Baseline(0.05).to_dict()
        {'value': 0.05, 'std': None, 'correlation': 0.0, 'cluster_size': 1.0, 'icc': 0.0}
        """
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, object]) -> Baseline:
        """A baseline from what `to_dict` wrote.

        Parameters
        ----------
        saved : mapping
            With the keys ``value``, ``std``, ``correlation``, ``cluster_size`` and ``icc``.

        Returns
        -------
        Baseline

        Raises
        ------
        ParameterError
            A missing or unknown key, or values that are no baseline.

        Examples
        --------
        >>> import opsmetrics as om
        >>> om.Baseline.from_dict(om.Baseline(3.75, std=30).to_dict())
        Baseline(value=3.75, std=30, correlation=0.0, cluster_size=1.0, icc=0.0)
        """
        values: Mapping[str, Any] = _checks.named("saved", saved, [field.name for field in dataclasses.fields(cls)])
        return cls(**values)


def percent(value: float) -> str:
    """A hint for what was given in per cent."""
    return f" Did you mean {value / 100:g}?" if 1 < abs(value) < 100 else ""


def _rate(value: float) -> None:
    if not 0 < value < 1:
        hint = f" Did you mean {value / 100:g}, or Baseline({value!r}, std=...)?" if 1 < value < 100 else ""
        raise ParameterError(
            f"value={value!r} is no rate, which must lie between 0 and 1; a mean, ratio or quantile needs the std of a unit.{hint}",
            code="parameter.value",
        )
