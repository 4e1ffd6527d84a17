"""What is measured of each unit: means, proportions, ratios and quantiles, declared and not coded."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, MISSING, dataclass, fields
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias, cast

from opsmetrics import _checks
from opsmetrics._results import plain
from opsmetrics.errors import ColumnError, ParameterError, nearest

Kind: TypeAlias = Literal["proportion", "mean", "ratio", "quantile"]
Hypothesis: TypeAlias = Literal["superiority", "non-inferiority", "equivalence"]
Theta: TypeAlias = Literal["within", "pooled"]
Test: TypeAlias = Literal["score", "fisher", "boschloo"]
Interval: TypeAlias = Literal["miettinen-nurminen", "newcombe"]
QuantileMethod: TypeAlias = Literal["order-statistics", "bootstrap"]

HYPOTHESES: Final = ("superiority", "non-inferiority", "equivalence")
THETAS: Final = ("within", "pooled")
TESTS: Final = ("score", "fisher", "boschloo")
INTERVALS: Final = ("miettinen-nurminen", "newcombe")
QUANTILE_METHODS: Final = ("order-statistics", "bootstrap")


@dataclass(frozen=True, kw_only=True, repr=False)
class Metric:
    """What every metric has: the question that is asked of it."""

    hypothesis: Hypothesis = "superiority"
    margin: float | None = None
    decrease: bool = False

    kind: ClassVar[Kind]
    values: ClassVar[tuple[str, ...]] = ("column",)

    def __post_init__(self) -> None:
        for name in self.values:
            _column(name, getattr(self, name))
        hypothesis = _checks.choice("hypothesis", self.hypothesis, HYPOTHESES)
        object.__setattr__(self, "decrease", _checks.flag("decrease", self.decrease))
        if hypothesis == "superiority" and self.margin is not None:
            raise ParameterError(
                f"margin={self.margin!r} has no meaning for superiority; leave it out, or ask for hypothesis='non-inferiority' or "
                "'equivalence'.",
                code="parameter.margin",
            )
        if hypothesis != "superiority" and not _is_margin(self.margin):
            raise ParameterError(
                f"margin={self.margin!r} must be a number above 0, in the units of the metric: the difference that does not matter.",
                code="parameter.margin",
            )
        if self.margin is not None:
            object.__setattr__(self, "margin", float(self.margin))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads: the value, the denominator of a ratio, and the covariates."""
        return (*(getattr(self, name) for name in self.values), *self.covariates)

    @property
    def covariates(self) -> tuple[str, ...]:
        """The columns measured before the test."""
        return ()

    @property
    def options(self) -> tuple[object, ...]:
        """Everything that is asked of its numbers, whatever columns they are in."""
        columns = {*self.values, "covariate", "winsorize", "q"}
        return (type(self), *(getattr(self, f.name) for f in fields(self) if f.name not in columns))

    def __repr__(self) -> str:
        """The call that makes it, without what is so by default."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        usual = {f.name: (repr(f.default), "()") for f in fields(self)}
        asked = [f"{f.name}={own[f.name]!r}" for f in fields(self) if f.kw_only and repr(own[f.name]) not in usual[f.name]]
        given = [repr(own[f.name]) for f in fields(self) if not f.kw_only]
        return f"{type(self).__name__}({', '.join([*given, *asked])})"

    def to_dict(self) -> dict[str, object]:
        """The metric as values `json.dumps` accepts.

        Returns
        -------
        dict
            Its kind and its arguments.

        Examples
        --------
        >>> import opsmetrics as om
        >>> om.Ratio("revenue", "orders").to_dict()["denominator"]
        'orders'
        """
        return {"kind": self.kind, **{f.name: plain(getattr(self, f.name)) for f in fields(self)}}

    @classmethod
    def from_dict(cls, saved: Mapping[str, object]) -> Self:
        """The metric again.

        Parameters
        ----------
        saved : mapping
            What `to_dict` returned.

        Returns
        -------
        Mean, Proportion, Ratio or Quantile
            An equal one.

        Raises
        ------
        ParameterError
            A kind or an argument that this metric does not have.

        Examples
        --------
        >>> import opsmetrics as om
        >>> spend = om.Mean("revenue", covariate="revenue_before")
        >>> om.Mean.from_dict(spend.to_dict()) == spend
        True
        """
        if not _is_kind(saved, cls.kind):
            raise ParameterError(f"saved={_checks.short(saved)} is no {cls.kind}; give what to_dict returned.", code="parameter.saved")
        known = [f.name for f in fields(cls)]
        for name in saved:
            if name != "kind" and name not in known:
                raise ParameterError(f"saved has {name!r}, which a {cls.kind} has not.{nearest(name, known)}", code="parameter.saved")
        if missing := [f.name for f in fields(cls) if f.name not in saved and f.default is MISSING]:
            raise ParameterError(f"saved has no {missing[0]!r}; give what to_dict returned.", code="parameter.saved")
        return cls(**{name: value for name, value in saved.items() if name != "kind"})  # type: ignore[arg-type]


Metrics: TypeAlias = str | Metric | Sequence[str | Metric] | Mapping[str, str | Metric] | Mapping[str, str] | Mapping[str, Metric]
"""What is measured: one metric or several, each by itself or as the name of its column."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Adjusted(Metric):
    """A metric that covariates can make surer."""

    covariate: str | Sequence[str] | None = None
    theta: Theta = "within"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "covariate", _covariates(self.covariate))
        if taken := [name for name in self.covariates if name in self.columns[: len(self.values)]]:
            raise ColumnError(f"covariate={taken[0]!r} is what is measured; give a column from before the test.", code="column.repeated")
        _checks.choice("theta", self.theta, THETAS)

    @property
    def covariates(self) -> tuple[str, ...]:
        """The columns measured before the test."""
        return cast("tuple[str, ...]", self.covariate)  # which it has become


def _is_kind(saved: object, kind: Kind) -> bool:
    return isinstance(saved, Mapping) and saved.get("kind") == kind


def _is_margin(value: Any) -> bool:
    return _checks.is_number(value, numbers.Real) and bool(0 < value < 1e15)


def _column(argument: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ColumnError(f"{argument}={value!r} is no name of a column; a name is a text.", code="column.name")
    return value


def _covariates(given: object) -> tuple[str, ...]:
    """Columns measured before the test."""
    columns = () if given is None else (given,) if isinstance(given, str) else tuple(_checks.listed("covariate", given))
    names = tuple(_column("covariate", column) for column in columns)
    if len(set(names)) < len(names):
        raise ColumnError(f"covariate={list(names)} names a column twice; name each once.", code="column.repeated")
    return names


def _cuts(given: object) -> tuple[float, float] | None:
    """Quantiles at which values are cut: one for the upper end, or two."""
    if given is None:
        return None
    ends: list[Any] = [0.0, given] if _checks.is_number(given, numbers.Real) else _checks.listed("winsorize", given)
    if len(ends) == 2 and all(_checks.is_number(end, numbers.Real) for end in ends):
        low, high = (float(end) for end in ends)
        if 0 <= low < 0.5 < high <= 1:
            return low, high
        hint = f" Did you mean {high / 100:g}?" if 50 < high <= 100 else ""
    else:
        hint = ""
    raise ParameterError(
        f"winsorize={given!r} must be a quantile above 0.5 such as 0.99, or two such as (0.01, 0.99).{hint}", code="parameter.winsorize"
    )


@dataclass(frozen=True, repr=False)
class Mean(Adjusted):
    """The mean of a number per unit, such as revenue per visitor (also known as: 均值指标).

    Tested by Welch's t, with Fieller's interval for the lift, so that the absolute and the relative answer agree. A covariate measured
    before the test (CUPED) takes out what units brought with them.

    Parameters
    ----------
    column : str
        Column of the number.
    hypothesis : {"superiority", "non-inferiority", "equivalence"}
        Whether there is a difference; whether the treatment is at most `margin` worse; whether it is at most `margin` away.
    margin : float, optional
        The difference that does not matter, in the units of the metric.
    decrease : bool
        Whether less is better, for non-inferiority.
    covariate : str or sequence of str, optional
        Columns measured before the test, such as last month's revenue. Where a value is missing an indicator of that takes its place.
    theta : {"within", "pooled"}
        From which spread the covariates' coefficients come: that inside the arms (the analysis of covariance), or that of all units
        whichever arm they are in, which an effect biases when there are few.
    winsorize : float or pair of float, optional
        Quantiles of all arms pooled at which values are cut: 0.99 for the upper end, or (0.01, 0.99).
    skew_correction : bool
        Test with the variance that all units have about one mean, corrected for their third moment: for arms of unequal size and heavy
        skew, where Welch's errors fall into one tail. Not with covariates.

    Raises
    ------
    ColumnError
        A name that is no text, or a covariate named twice.
    ParameterError
        An argument outside its rule; a margin without its hypothesis, or a hypothesis without its margin.

    References
    ----------
    Welch, B. L. (1947), Biometrika 34, 28-35. Fieller, E. C. (1954), JRSS B 16, 175-185. Deng, A., Xu, Y., Kohavi, R. & Walker, T. (2013),
    Improving the sensitivity of online controlled experiments by utilizing pre-experiment data, WSDM. Hall, P. (1992), JRSS B 54, 221-228.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.Mean("revenue", covariate="revenue_before", winsorize=0.99).winsorize
    (0.0, 0.99)
    """

    column: str
    _: KW_ONLY
    winsorize: float | Sequence[float] | None = None
    skew_correction: bool = False

    kind: ClassVar[Kind] = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "winsorize", _cuts(self.winsorize))
        object.__setattr__(self, "skew_correction", _checks.flag("skew_correction", self.skew_correction))
        if self.skew_correction and self.covariate:
            raise ParameterError(
                "skew_correction=True goes without covariates, whose third moments are not kept; leave one of them out.",
                code="parameter.skew_correction",
            )
        if self.skew_correction and self.hypothesis != "superiority":
            raise ParameterError(
                f"skew_correction=True takes the arms to be alike, and with hypothesis={self.hypothesis!r} they are not; leave one of them "
                "out.",
                code="parameter.skew_correction",
            )


@dataclass(frozen=True, repr=False)
class Proportion(Adjusted):
    """The share of units for which something is true, such as conversion (also known as: 转化率).

    Tested by the pooled score test without continuity correction, with the intervals of Miettinen and Nurminen for the difference and of
    Koopman for the lift; by an exact test where a count below 5 is expected: Boschloo's, and Fisher's where the arms have more than 500
    units together, for which the other takes long. With a covariate, clusters or strata it is a mean of zeros and ones.

    Parameters
    ----------
    column : str
        Column of 0 and 1, or of booleans.
    hypothesis : {"superiority", "non-inferiority", "equivalence"}
        As of `Mean`.
    margin : float, optional
        The difference that does not matter, as a fraction: 0.01 is one percentage point.
    decrease : bool
        Whether less is better, for non-inferiority.
    covariate : str or sequence of str, optional
        Columns measured before the test, as of `Mean`.
    theta : {"within", "pooled"}
        As of `Mean`.
    test : str, optional
        "score", "fisher" or "boschloo"; chosen by the expected counts by default.
    interval : {"miettinen-nurminen", "newcombe"}
        Of the difference.

    Raises
    ------
    ColumnError
        A name that is no text, or a covariate named twice.
    ParameterError
        An argument outside its rule; an exact test of a margin.

    References
    ----------
    Miettinen, O. & Nurminen, M. (1985), Comparative analysis of two rates, Statistics in Medicine 4, 213-226. Koopman, P. A. R. (1984),
    Confidence intervals for the ratio of two binomial proportions, Biometrics 40, 513-517. Newcombe, R. G. (1998), Statistics in Medicine
    17, 873-890. Boschloo, R. D. (1970), Statistica Neerlandica 24, 1-35.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.Proportion("converted", hypothesis="non-inferiority", margin=0.002).margin
    0.002
    """

    column: str
    _: KW_ONLY
    test: Test | None = None
    interval: Interval = "miettinen-nurminen"

    kind: ClassVar[Kind] = "proportion"

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.choice("interval", self.interval, INTERVALS)
        if self.margin is not None and self.margin >= 1:
            hint = f" Did you mean {self.margin / 100:g}?" if self.margin < 100 else ""
            raise ParameterError(f"margin={self.margin!r} must be below 1: 0.01 is one percentage point.{hint}", code="parameter.margin")
        if self.covariate and (argument := self.of_counts):
            raise ParameterError(
                f"{argument}={getattr(self, argument)!r} is of counts, and with a covariate there are none; leave one of them out.",
                code=f"parameter.{argument}",
            )
        if self.test is not None and _checks.choice("test", self.test, TESTS) != "score" and self.hypothesis != "superiority":
            raise ParameterError(
                f"test={self.test!r} tests equality, not a margin; leave test out for hypothesis={self.hypothesis!r}.",
                code="parameter.test",
            )

    @property
    def of_counts(self) -> str | None:
        """The option that needs plain counts of successes, where one is set."""
        return "test" if self.test is not None else "interval" if self.interval == "newcombe" else None


@dataclass(frozen=True, repr=False)
class Ratio(Adjusted):
    """One sum over another, such as revenue per order, where units have several orders (also known as: 比率指标).

    The variance is that of the units, by the delta method: orders of one customer are not independent. Fieller's interval for the lift.

    Parameters
    ----------
    numerator, denominator : str
        Columns of the two numbers of each unit. Units with a denominator of 0 count.
    hypothesis : {"superiority", "non-inferiority", "equivalence"}
        As of `Mean`.
    margin : float, optional
        The difference that does not matter, in the units of the ratio.
    decrease : bool
        Whether less is better, for non-inferiority.
    covariate : str or sequence of str, optional
        Columns measured before the test, as of `Mean`.
    theta : {"within", "pooled"}
        As of `Mean`.
    winsorize : float or pair of float, optional
        Quantiles of the pooled numerator at which it is cut, as of `Mean`.

    Raises
    ------
    ColumnError
        A name that is no text, or a column named twice.
    ParameterError
        An argument outside its rule.

    References
    ----------
    Deng, A., Knoblich, U. & Lu, J. (2018), Applying the delta method in metric analytics, KDD. Fieller, E. C. (1954), JRSS B 16, 175-185.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.Ratio("revenue", "orders").kind
    'ratio'
    """

    numerator: str
    denominator: str
    _: KW_ONLY
    winsorize: float | Sequence[float] | None = None

    kind: ClassVar[Kind] = "ratio"
    values: ClassVar[tuple[str, ...]] = ("numerator", "denominator")

    def __post_init__(self) -> None:
        super().__post_init__()
        super().__post_init__()
        if self.numerator == self.denominator:
            raise ColumnError(f"denominator={self.denominator!r} is the numerator too; that ratio is 1.", code="column.repeated")
        object.__setattr__(self, "winsorize", _cuts(self.winsorize))


@dataclass(frozen=True, repr=False)
class Quantile(Metric):
    """A quantile of a number, such as the 90th percentile of the basket (also known as: 分位数指标).

    The quantile interpolates between order statistics (numpy's default). How sure it is comes from the ranks that a binomial count of
    units below it leaves possible, or from a bootstrap of that rank; with clusters the count varies as the clusters do.

    Parameters
    ----------
    column : str
        Column of the number; units without one do not count.
    q : float
        Which quantile, between 0 and 1.
    hypothesis : {"superiority", "non-inferiority", "equivalence"}
        As of `Mean`.
    margin : float, optional
        The difference that does not matter, in the units of the column.
    decrease : bool
        Whether less is better, for non-inferiority.
    method : {"order-statistics", "bootstrap"}
        Where the standard error comes from: the width of the distribution-free interval, or the spread of resampled quantiles (`rng`).

    Raises
    ------
    ColumnError
        A name that is no text.
    ParameterError
        An argument outside its rule.

    References
    ----------
    Conover, W. J. (1999), Practical Nonparametric Statistics, 3rd ed., section 3.2. Schultzberg, M. & Ankargren, S. (2022), Resampling-free
    bootstrap inference for quantiles, FTC 2022, 548-562.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.Quantile("basket", 0.9).q
    0.9
    """

    column: str
    q: float
    _: KW_ONLY
    method: QuantileMethod = "order-statistics"

    kind: ClassVar[Kind] = "quantile"

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.fraction("q", self.q)
        _checks.choice("method", self.method, QUANTILE_METHODS)


def _demand_metric(place: str, metric: object) -> None:
    if not isinstance(metric, (str, Metric)):
        raise ParameterError(
            f"{place}={metric!r} is no metric; give om.Mean, om.Proportion, om.Ratio or om.Quantile, or a column's name.",
            code="parameter.metrics",
        )


def named(given: object) -> dict[str, Metric | str]:
    """Metrics by name: a mapping, a list, or one; a bare column name is a metric whose kind the column decides."""
    if isinstance(given, (str, Metric)):
        given = [given]
    if isinstance(given, Mapping):
        found = {_checks.word("metrics", name): metric for name, metric in given.items()}
    elif isinstance(given, Iterable):
        found = {}
        for place, metric in enumerate(given):
            _demand_metric(f"metrics[{place}]", metric)
            name = metric if isinstance(metric, str) else metric.columns[0]
            if name in found:
                raise ParameterError(f"metrics has two of {name!r}; give a mapping with a name for each.", code="parameter.metrics")
            found[name] = metric
    else:
        raise ParameterError(f"metrics={given!r} must be a mapping of names to metrics, or a list.", code="parameter.metrics")
    if not found:
        raise ParameterError("metrics is empty; name at least one, such as {'revenue': om.Mean('revenue')}.", code="parameter.metrics")
    for name, metric in found.items():
        _demand_metric(f"metrics[{name!r}]", metric)
    return found
