"""Fitted models of buying: frozen numbers that predict, and travel as JSON."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, overload

import numpy as np

from opsmetrics import _checks, _output
from opsmetrics._frames import Column, Floats
from opsmetrics._kernels.histories import Histories
from opsmetrics._results import Result, picture, plain
from opsmetrics.errors import ParameterError, warn
from opsmetrics.lifetime_value import doors, interop, laws
from opsmetrics.lifetime_value.doors import DAYS_IN, Door
from opsmetrics.lifetime_value.families import FAMILIES, Family, told_by
from opsmetrics.lifetime_value.fitted import Fitted, around, demand_parameters, read_estimates, refuse_confidence
from opsmetrics.lifetime_value.predictions import Predictions
from opsmetrics.lifetime_value.summaries import Unit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FrameT = TypeVar("FrameT")

_SAVED = (
    "model", "params", "covariance", "log_likelihood", "customers", "converged", "reason", "evaluations", "warnings", "unit", "penalty",
    "purchase_covariates", "dropout_covariates",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False)
class PurchaseFit(Fitted):
    """A fitted model of buying. Its methods predict from a summary, or from any frame or arrays with frequency, recency and T."""

    model: ClassVar[str]

    unit: Unit
    purchase_covariates: tuple[str, ...]
    dropout_covariates: tuple[str, ...]

    @property
    def title(self) -> str:
        """The name of the model in the literature."""
        return self._family.title

    @property
    def _family(self) -> Family:
        return FAMILIES[self.model]

    def _facts(self) -> dict[str, object]:
        return {"unit": self.unit} | super()._facts()

    @overload
    def p_alive(self, summary: Result[FrameT], *, confidence: float | None = None) -> Predictions[FrameT]: ...
    @overload
    def p_alive(self, summary: Mapping[str, Iterable[float]], *, confidence: float | None = None) -> Predictions[pd.DataFrame]: ...
    @overload
    def p_alive(self, summary: FrameT, *, confidence: float | None = None) -> Predictions[FrameT]: ...
    def p_alive(self, summary: Any, *, confidence: float | None = None) -> Predictions[Any]:
        """The chance that each customer is still a customer (also known as: 存活概率).

        Parameters
        ----------
        summary : CLVSummary, frame or mapping of arrays
            One row per customer with ``frequency``, ``recency`` and ``T`` in the unit of the fit.
        confidence : float, optional
            Add the interval of the estimate at this level, between 0 and 1 (delta method, on the scale of the log odds).

        Returns
        -------
        Predictions
            The table with ``p_alive``, a probability as a fraction.

        Raises
        ------
        ColumnError
            A column that is missing or no number.
        DataError
            Histories that cannot be, such as a recency above T.
        FitError
            A fit without parameters.

        Warns
        -----
        OpsmetricsWarning
            That BG/NBD takes all who bought once to be alive.

        Examples
        --------
        >>> import opsmetrics as om
        >>> fit = om.ParetoNBD().fit(om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time"))
        >>> table = fit.p_alive({"frequency": [3, 3], "recency": [200, 50], "T": [210, 210]}).table
        >>> bool(table["p_alive"][0] > table["p_alive"][1])
        True
        """
        door = self._enter(summary)
        rows = door.histories
        if self.model == "bg_nbd" and (rows.x == 0).any():
            warn(one_time_buyers(float(rows.weights[rows.x == 0].sum())))
        law = laws.law_of(self, rows)
        if confidence is None:
            return self._predicted(door, "p_alive", law.p_alive(rows.x, rows.t_x, rows.T), None, None)
        value, slopes = law.p_alive_slopes(rows.x, rows.t_x, rows.T)
        return self._predicted(door, "p_alive", value, laws.spread(self, rows, slopes), confidence, odds=True)

    @overload
    def expected_purchases(self, t: float, summary: None = None, *, confidence: float | None = None) -> float: ...
    @overload
    def expected_purchases(self, t: float, summary: Result[FrameT], *, confidence: float | None = None) -> Predictions[FrameT]: ...
    @overload
    def expected_purchases(
        self, t: float, summary: Mapping[str, Iterable[float]], *, confidence: float | None = None
    ) -> Predictions[pd.DataFrame]: ...
    @overload
    def expected_purchases(self, t: float, summary: FrameT, *, confidence: float | None = None) -> Predictions[FrameT]: ...
    def expected_purchases(self, t: float, summary: Any = None, *, confidence: float | None = None) -> Any:
        """Expected purchases in the next t units of time, of each customer or of a new one (also known as: 预期购买次数).

        Parameters
        ----------
        t : float
            Units of time, those of the fit.
        summary : CLVSummary, frame or mapping of arrays, optional
            One row per customer with ``frequency``, ``recency`` and ``T`` in the unit of the fit; a new customer without it.
        confidence : float, optional
            Add the interval of the expectation at this level, between 0 and 1 (delta method, on the scale of the logarithm). It tells how
            sure the mean is, not how much a customer will buy.

        Returns
        -------
        Predictions or float
            The table with ``expected_purchases``, a mean count; of a new customer the number.

        Raises
        ------
        ColumnError
            A column that is missing or no number.
        DataError
            Histories that cannot be, such as a recency above T.
        FitError
            A fit without parameters.
        ParameterError
            A negative t; a `confidence` without customers; a new customer of a model with covariates.

        Examples
        --------
        >>> import opsmetrics as om
        >>> fit = om.BetaGeo().fit(om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time"))
        >>> fit.expected_purchases(60) > fit.expected_purchases(30) > 0
        True
        """
        span = self._span("t", t)
        if summary is None:
            law = self._new("expected_purchases", confidence)
            return float(law.p_alive(0, 0.0, 0.0) * law.expected(0, 0.0, span))
        door = self._enter(summary)
        return self._purchases_of(door, "expected_purchases", span, 0.0, confidence, t=_checks.number("t", t))

    @overload
    def purchase_probability(self, x: int, t: float, summary: None = None) -> float: ...
    @overload
    def purchase_probability(self, x: int, t: float, summary: Result[FrameT]) -> Predictions[FrameT]: ...
    @overload
    def purchase_probability(self, x: int, t: float, summary: Mapping[str, Iterable[float]]) -> Predictions[pd.DataFrame]: ...
    @overload
    def purchase_probability(self, x: int, t: float, summary: FrameT) -> Predictions[FrameT]: ...
    def purchase_probability(self, x: int, t: float, summary: Any = None) -> Any:
        """The chance of exactly x purchases in the next t units of time: with x = 0, that a customer does not come back.

        Parameters
        ----------
        x : int
            A count of purchases, at most 2,500.
        t : float
            Units of time, those of the fit; of BG/BB at most 100,000.
        summary : CLVSummary, frame or mapping of arrays, optional
            One row per customer with ``frequency``, ``recency`` and ``T`` in the unit of the fit; a new customer without it.

        Returns
        -------
        Predictions or float
            The table with ``purchase_probability``, a fraction; of a new customer the number.

        Raises
        ------
        ColumnError
            A column that is missing or no number.
        DataError
            Histories that cannot be, such as a recency above T.
        FitError
            A fit without parameters.
        ParameterError
            An x or a t outside its rule; a new customer of a model with covariates.

        Examples
        --------
        >>> import opsmetrics as om
        >>> fit = om.BetaGeo().fit(om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time"))
        >>> round(sum(fit.purchase_probability(x, 90) for x in range(200)), 6)
        1.0
        """
        count, span = _checks.whole_number("x", x, 0, doors.MOST_ASKED), self._span("t", t)
        if self._family.discrete and span > doors.MOST_PERIODS:
            raise ParameterError(
                f"t={t!r} periods are more than the {doors.MOST_PERIODS:,} that BG/BB can count; look less far ahead.", code="parameter.t"
            )
        if summary is None:
            self._new("purchase_probability", None)
            return float(laws.chances(self, Histories.of(np.zeros(1, dtype=np.int64), np.zeros(1), np.zeros(1)), span, count)[0])
        door = self._enter(summary)
        value = laws.chances(self, door.histories, span, count)
        return self._predicted(door, "purchase_probability", value, None, None, t=_checks.number("t", t), x=count)

    @overload
    def discounted_purchases(
        self,
        summary: Result[FrameT],
        *,
        horizon: int | str | dt.timedelta | None = None,
        discount_rate: float = 0.10,
        confidence: float | None = None,
    ) -> Predictions[FrameT]: ...
    @overload
    def discounted_purchases(
        self,
        summary: Mapping[str, Iterable[float]],
        *,
        horizon: int | str | dt.timedelta | None = None,
        discount_rate: float = 0.10,
        confidence: float | None = None,
    ) -> Predictions[pd.DataFrame]: ...
    @overload
    def discounted_purchases(
        self,
        summary: FrameT,
        *,
        horizon: int | str | dt.timedelta | None = None,
        discount_rate: float = 0.10,
        confidence: float | None = None,
    ) -> Predictions[FrameT]: ...
    def discounted_purchases(
        self, summary: Any, *, horizon: int | str | dt.timedelta | None = None, discount_rate: float = 0.10, confidence: float | None = None
    ) -> Predictions[Any]:
        """Expected purchases to come, each worth less the later it is (also known as: DERT, 折现预期购买次数).

        A purchase after u years counts exp(-discount_rate u), continuously, on a calendar of 365.2425 days a year. BG/BB discounts by the
        same rate at the end of each period, and takes the horizon for the nearest number of whole periods.

        Parameters
        ----------
        summary : CLVSummary, frame or mapping of arrays
            One row per customer with ``frequency``, ``recency`` and ``T`` in the unit of the fit.
        horizon : int, str or timedelta, optional
            So many days ahead, 100 years at most: 365, "365D", "52W". Without it for ever, which Pareto/NBD and BG/BB know.
        discount_rate : float
            Per year, continuously compounded, from 0 to 10: 0.1 is 10 %. For ever it must be above 0.
        confidence : float, optional
            Add the interval of the expectation at this level, between 0 and 1 (delta method, on the scale of the logarithm).

        Returns
        -------
        Predictions
            The table with ``discounted_purchases``, a mean count.

        Raises
        ------
        ColumnError
            A column that is missing or no number.
        DataError
            Histories that cannot be, such as a recency above T.
        FitError
            A fit without parameters.
        ParameterError
            No horizon where the model needs one; a rate outside its rule.

        References
        ----------
        Fader, P. S., Hardie, B. G. S. & Lee, K. L. (2005), RFM and CLV: using iso-value curves for customer base analysis, Journal of
        Marketing Research 42, 415-430 (discounted expected residual transactions).

        Examples
        --------
        >>> import opsmetrics as om
        >>> fit = om.ParetoNBD().fit(om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time"))
        >>> one = {"frequency": [3], "recency": [200], "T": [210]}
        >>> year, ever = (fit.discounted_purchases(one, horizon=h).table["discounted_purchases"][0] for h in ("365D", None))
        >>> bool(year < ever)
        True
        """
        days, rate = _checks.days("horizon", horizon, doors.LONGEST), discounting(discount_rate)
        if days is None and (self.model in {"bg_nbd", "mbg_nbd"} or rate == 0):
            raise ParameterError(
                f"horizon=None is for ever: with discount_rate={rate:g} {self.title} has no such sum; say how many days ahead, "
                "as in '365D'.",
                code="parameter.horizon",
            )
        door = self._enter(summary)
        span = math.inf if days is None else self._periods(days)
        delta = rate * DAYS_IN[self.unit] / DAYS_IN["year"]
        own = math.expm1(delta) if self._family.discrete else delta
        facts = {"horizon": days, "discount_rate": rate} | ({"periods": span} if self._family.discrete else {})
        return self._purchases_of(door, "discounted_purchases", span, own, confidence, **facts)

    def to_dict(self) -> dict[str, object]:
        """The fit as values `json.dumps` accepts.

        Returns
        -------
        dict
            What `from_dict` reads back to an equal fit.

        Examples
        --------
        >>> import json, opsmetrics as om
        >>> fit = om.BetaGeo().fit(om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time"))
        >>> om.BetaGeoFit.from_dict(json.loads(json.dumps(fit.to_dict()))) == fit
        True
        """
        return {name: plain(getattr(self, name)) for name in _SAVED}

    @classmethod
    def from_dict(cls, saved: Mapping[str, object]) -> Self:
        """A fit from what `to_dict` wrote.

        Parameters
        ----------
        saved : mapping
            With the keys that `to_dict` writes.

        Returns
        -------
        PurchaseFit
            Of the class that it is asked of.

        Raises
        ------
        ParameterError
            A missing or unknown key, another model, numbers that are none.

        Examples
        --------
        >>> import opsmetrics as om
        >>> fit = om.BetaGeo().fit(om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time"))
        >>> om.BetaGeoFit.from_dict(fit.to_dict()).params["r"] == fit.params["r"]
        True
        """
        _refuse_amounts(saved)
        _checks.named("saved", saved, _SAVED)
        if (family := told_by(saved)) and family != FAMILIES[cls.model]:
            raise ParameterError(
                f"model={saved['model']!r} is a fit of {family.title}, not of {cls.model!r}; read it by {family.kept}.from_dict.",
                code="parameter.model",
            )
        _checks.choice("model", saved["model"], (cls.model,))
        purchase, dropout = (_words(name, saved[name]) for name in ("purchase_covariates", "dropout_covariates"))
        names = parameter_names(FAMILIES[cls.model].parameters, purchase, dropout)
        return cls(
            **read_estimates(saved, names, logs=4), unit=_checks.choice("unit", saved["unit"], tuple(DAYS_IN)),
            purchase_covariates=purchase, dropout_covariates=dropout,
        )  # fmt: skip

    @classmethod
    def from_lifetimes(cls, fitter: object, *, unit: Unit = "day") -> Self:
        """The fit of a fitter of the ``lifetimes`` package, with its parameters.

        Its covariance is found anew, since that of ``lifetimes`` is not symmetric; so the data must still be with the fitter.

        Parameters
        ----------
        fitter : lifetimes fitter
            A fitted ``BetaGeoFitter``, ``ModifiedBetaGeoFitter``, ``ParetoNBDFitter`` or ``BetaGeoBetaBinomFitter``, as the class asks.
        unit : {"day", "week", "month", "quarter", "year"}
            The unit of time that it was fitted in.

        Returns
        -------
        PurchaseFit
            Of the class that it is asked of, at these parameters, which need not be at the maximum: ``converged`` tells.

        Raises
        ------
        ParameterError
            Another fitter, or one that is not fitted.

        Warns
        -----
        OpsmetricsWarning
            Parameters that the data hardly tell.

        Examples
        --------
        >>> import opsmetrics as om
        >>> table = om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time").table
        >>> fitter = om.BetaGeo().fit(table).to_lifetimes()  # or a lifetimes.BetaGeoFitter()
        >>> fitter = fitter.fit(table["frequency"], table["recency"], table["T"])
        >>> om.BetaGeoFit.from_lifetimes(fitter).converged
        True
        """
        return interop.read(cls, fitter, unit)

    def to_lifetimes(self) -> object:
        """The same parameters in a fitter of the ``lifetimes`` package (the ``lifetimes`` extra).

        Returns
        -------
        lifetimes fitter
            Of the same model; it predicts, but has no data, so it cannot plot them.

        Raises
        ------
        ImportError
            Without lifetimes: ``pip install "opsmetrics[lifetimes]"``.
        FitError
            A fit without parameters, or with covariates.

        Examples
        --------
        >>> import opsmetrics as om
        >>> summary = om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time")
        >>> type(om.BetaGeo().fit(summary).to_lifetimes()).__name__
        'BetaGeoFitter'
        """
        return interop.write(self, self._family.fitter)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw P(alive) by frequency and recency, at the age by which the mean rate gives ten purchases (also known as: P(alive) 矩阵).

        A fit keeps no customers, so the age follows from the parameters: 10 alpha / (r + 1), where (r + 1) / alpha is the rate of the mean
        purchase's customer; of BG/BB 10 (alpha + beta + 1) / (alpha + 1). With covariates the picture is that at 0.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes by default.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.

        Raises
        ------
        ImportError
            Without matplotlib: ``pip install "opsmetrics[plot]"``.
        FitError
            A fit without parameters.

        Examples
        --------
        >>> import opsmetrics as om
        >>> fit = om.BetaGeo().fit(om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time"))
        >>> fit.plot().get_xlabel()
        'repeat purchases'
        """
        demand_parameters(self)
        return picture(self, ax)

    def _alive(self, x: Floats, t_x: Floats, T: float) -> Any:
        """P(alive) of histories of one age, at covariates of 0."""
        return laws.law_of(self).p_alive(x, t_x, T)

    def _enter(self, summary: object) -> Door:
        """Read customers of the unit that the fit has."""
        demand_parameters(self)
        door = doors.enter(summary, purchase=self.purchase_covariates, dropout=self.dropout_covariates)
        if self._family.discrete:
            doors.refuse_fractions(door.histories)
        if door.unit is not None and door.unit != self.unit:
            raise ParameterError(
                f"summary counts in {door.unit}s, but the fit in {self.unit}s; summarise with unit={self.unit!r}.", code="parameter.unit"
            )
        return door

    def _new(self, method: str, confidence: float | None) -> Any:
        """The model of a new customer."""
        refuse_confidence(method, confidence)
        if covariates := [*self.purchase_covariates, *self.dropout_covariates]:
            raise ParameterError(
                f"a new customer has no {covariates}; hand {method} a row with frequency, recency and T of 0 and these columns.",
                code="parameter.summary",
            )
        return laws.law_of(self)

    def _span(self, argument: str, t: object) -> float:
        """Units of time ahead."""
        span = float(_checks.number(argument, t))
        if span < 0 or (self._family.discrete and span != math.floor(span)):
            whole = "a whole number of periods" if self._family.discrete else f"a number of {self.unit}s"
            raise ParameterError(f"{argument}={t!r} must be {whole}, 0 or more.", code=f"parameter.{argument}")
        return span

    def _periods(self, days: int) -> float:
        """Days in units of the fit; in whole ones, at least one, where the model knows no others."""
        span = days / DAYS_IN[self.unit]
        if not self._family.discrete:
            return span
        if round(span) == 0:
            raise ParameterError(
                f"horizon={days} days are less than half a {self.unit}, and {self.title} knows whole ones only; look further ahead.",
                code="parameter.horizon",
            )
        return float(round(span))

    def _purchases_of(self, door: Door, name: str, span: float, delta: float, confidence: float | None, **facts: Any) -> Predictions[Any]:
        """The table with purchases to come; slopes are found where an interval is asked for."""
        if confidence is None:
            return self._predicted(door, name, laws.mean_purchases(self, door.histories, span, delta), None, None, **facts)
        value, slopes = laws.purchases(self, door.histories, span, delta)
        return self._predicted(door, name, value, laws.spread(self, door.histories, slopes), confidence, **facts)

    def _predicted(
        self, door: Door, name: str, value: Floats, spread: Floats | None, confidence: float | None, *, odds: bool = False, **facts: Any
    ) -> Predictions[Any]:
        """The table with a column, and its interval where one is asked for."""
        _checks.free("customer", door.customer, (name, f"{name}_low", f"{name}_high"))
        columns: dict[str, Column] = {name: value}
        if confidence is not None and spread is not None:
            level = _checks.fraction("confidence", confidence)
            low, high = around(value, spread, level, odds=odds)
            columns |= {f"{name}_low": low, f"{name}_high": high}
            facts["confidence"] = level
        params = {"model": self.title, "unit": self.unit} | facts
        frame = _output.without(door.table.frame, (f"{name}_low", f"{name}_high"))  # of an earlier prediction
        return Predictions(
            _tables={"table": _output.append(frame, columns)}, params=params, dropped={}, customer=door.customer, unit=self.unit
        )


def parameter_names(parameters: Sequence[str], purchase: Sequence[str], dropout: Sequence[str]) -> tuple[str, ...]:
    """Parameters, then coefficients: "purchase[channel]"."""
    return (*parameters, *(f"purchase[{name}]" for name in purchase), *(f"dropout[{name}]" for name in dropout))


def one_time_buyers(customers: float) -> str:
    """What BG/NBD says of those who bought once."""
    return (
        f"BG/NBD lets customers drop out after a repeat purchase only, so the {customers:,.10g} who bought once have P(alive) = 1, however "
        "long ago that was. MBG/NBD and Pareto/NBD do not: ModifiedBetaGeo, ParetoNBD."
    )


def discounting(rate: object) -> float:
    """A rate per year, continuously compounded."""
    value = float(_checks.number("discount_rate", rate))
    if not 0 <= value <= 10:
        hint = f" Did you mean {value / 100:g}?" if 10 < value < 100 and value.is_integer() else ""
        raise ParameterError(f"discount_rate={rate!r} is a rate per year, from 0 to 10: 0.1 is 10 %.{hint}", code="parameter.discount_rate")
    return value


def _refuse_amounts(saved: object) -> None:
    """A saved fit of the model of amounts, which has no name of its own."""
    if isinstance(saved, Mapping) and "model" not in saved and "correlation" in saved:
        raise ParameterError("saved is a fit of Gamma-Gamma, of amounts; read it by GammaGammaFit.from_dict.", code="parameter.saved")


def _words(argument: str, given: object) -> tuple[str, ...]:
    found = tuple(_checks.word(argument, name) for name in _checks.listed(argument, given))
    if twice := [name for name in found if found.count(name) > 1]:
        raise ParameterError(f"{argument}={list(found)} has {twice[0]!r} twice; name each column once.", code=f"parameter.{argument}")
    return found
