"""What customers spend per purchase: the Gamma-Gamma model, before and after it is fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import numpy as np

from opsmetrics import _checks, _output
from opsmetrics._frames import Column, Floats
from opsmetrics._kernels import gamma_gamma
from opsmetrics._kernels.histories import Ints
from opsmetrics._results import Result, plain
from opsmetrics.errors import ParameterError, warn
from opsmetrics.lifetime_value import doors, interop
from opsmetrics.lifetime_value.estimation import Surface, estimate, stages
from opsmetrics.lifetime_value.families import told_by
from opsmetrics.lifetime_value.fitted import (
    Fitted,
    around,
    demand_parameters,
    deviation,
    estimated,
    log_covariance,
    not_negative,
    read_estimates,
    refuse_confidence,
    told,
)
from opsmetrics.lifetime_value.models import penalty_of
from opsmetrics.lifetime_value.predictions import Predictions

if TYPE_CHECKING:
    import pandas as pd

FrameT = TypeVar("FrameT")

NAMES: Final = ("p", "q", "v")

CORRELATED: Final = 0.3
"""A correlation of frequency and amount, either way, from which the model's independence is in doubt."""

_FAR = ((2.0, 3.0, 1.0), (6.0, 4.0, 0.5), (0.5, 1.5, 1.0), (20.0, 20.0, 1.0), (1.0, 50.0, 50.0))

_SAVED = (
    "params", "covariance", "log_likelihood", "customers", "converged", "reason", "evaluations", "warnings", "penalty", "correlation",
    "left_out",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GammaGamma:
    """The Gamma-Gamma model: purchases vary around a mean of the customer's own (also known as: Gamma-Gamma 模型, 客单价模型).

    The purchases of a customer are Gamma(p, nu), and nu ~ Gamma(q, v) differs between customers. What a customer spends should not depend
    on how often he buys: the correlation is reported, and a strong one is warned of.

    Parameters
    ----------
    penalty : float
        How strongly the logs of the parameters are pulled towards 0, with money in units of its mean; 0 is maximum likelihood.

    Raises
    ------
    ParameterError
        A negative penalty.

    References
    ----------
    Fader, P. S. & Hardie, B. G. S. (2013), The Gamma-Gamma model of monetary value; Colombo, R. & Jiang, W. (1999), A stochastic RFM model,
    Journal of Interactive Marketing 13(3), 2-12.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=500, rng=1)
    >>> summary = om.clv_summary(orders, customer="customer", time="time", amount="amount")
    >>> om.GammaGamma().fit(summary).converged
    True
    """

    penalty: float = 0.0

    def __post_init__(self) -> None:
        penalty_of(self.penalty)

    def fit(self, summary: object, *, weights: str | None = None) -> GammaGammaFit:
        """Estimate the parameters by maximum likelihood, from customers with repeat purchases.

        Parameters
        ----------
        summary : CLVSummary, frame or mapping of arrays
            One row per customer with ``frequency`` (repeat purchases) and ``monetary_value`` (their mean amount, in any unit of money).
        weights : str, optional
            Column of how many customers a row stands for.

        Returns
        -------
        GammaGammaFit
            The frozen fit. Customers without a repeat purchase say nothing, and those whose mean amount is not above 0 cannot be: they are
            left out, the latter counted in ``.left_out``.

        Raises
        ------
        ColumnError
            A column that is missing or no number.
        DataError
            Frequencies that are no counts; null amounts.

        Warns
        -----
        OpsmetricsWarning
            No repeat purchase, a search that did not converge, parameters that the data hardly tell, q of 1 or less (there is no mean),
            amounts that go with the frequency.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=500, rng=1)
        >>> fit = om.GammaGamma().fit(om.clv_summary(orders, customer="customer", time="time", amount="amount"))
        >>> list(fit.params)
        ['p', 'q', 'v']
        """
        names = {"frequency": "frequency", "monetary_value": "monetary_value"}
        _, columns = doors.read(summary, doors.weighed(names, weights))
        x, z = doors.whole("frequency", columns.pop("frequency")), columns["monetary_value"]
        counted = np.ones(len(x)) if weights is None else doors.counts(weights, columns["weights"])
        repeats, paid = x > 0, z > 0
        known = np.flatnonzero(repeats & paid & (counted > 0))
        left_out = float(counted[repeats & ~paid].sum())
        return fit_amounts(x.take(known), z.take(known), counted.take(known), left_out, self.penalty)


@dataclass(frozen=True, kw_only=True, repr=False)
class GammaGammaFit(Fitted):
    """A fitted Gamma-Gamma model.

    Attributes
    ----------
    params : mapping of str to float
        ``p`` and ``q`` of the purchases and of the customers, and ``v`` in the unit of money.
    standard_errors : mapping of str to float
        Of each parameter, from the observed information.
    covariance : mapping of str to mapping
        Of each two parameters.
    log_likelihood : float
        At the parameters, on the scale of the money.
    aic, bic : float
        Information criteria.
    customers : float
        How many the model was fitted to: those with a repeat purchase.
    correlation : float or None
        Of frequency and mean amount, which the model takes to be none; None where one of them is the same for all.
    left_out : float
        Customers with repeat purchases whose mean amount is not above 0.
    converged : bool
        Whether the search ended at a maximum.
    reason : str
        Why it ended.
    warnings : tuple of str
        What should be known before the numbers are used.
    summary : pandas.DataFrame
        The parameters with standard errors and 95 % intervals.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=500, rng=1)
    >>> fit = om.GammaGamma().fit(om.clv_summary(orders, customer="customer", time="time", amount="amount"))
    >>> 0 < fit.expected_amount()
    True
    """

    correlation: float | None
    left_out: float

    @property
    def title(self) -> str:
        """The name of the model in the literature."""
        return "Gamma-Gamma"

    def _facts(self) -> dict[str, object]:
        known = None if self.correlation is None else round(self.correlation, 3)
        return super()._facts() | {"correlation": known, "left_out": self.left_out or None}

    @overload
    def expected_amount(self, summary: None = None, *, confidence: float | None = None) -> float: ...
    @overload
    def expected_amount(self, summary: Result[FrameT], *, confidence: float | None = None) -> Predictions[FrameT]: ...
    @overload
    def expected_amount(self, summary: Mapping[str, Iterable[float]], *, confidence: float | None = None) -> Predictions[pd.DataFrame]: ...
    @overload
    def expected_amount(self, summary: FrameT, *, confidence: float | None = None) -> Predictions[FrameT]: ...
    def expected_amount(self, summary: Any = None, *, confidence: float | None = None) -> Any:
        """The mean amount that each customer will spend per purchase: his own, drawn towards that of all (also known as: 预期客单价).

        Parameters
        ----------
        summary : CLVSummary, frame or mapping of arrays, optional
            One row per customer with ``frequency`` and ``monetary_value``; a new customer without it.
        confidence : float, optional
            Add the interval of the expectation at this level, between 0 and 1 (delta method, on the scale of the logarithm).

        Returns
        -------
        Predictions or float
            The table with ``expected_amount``, in the unit of money; of a new customer the number. Infinite where q is 1 or less and
            nothing is known of the customer.

        Raises
        ------
        ColumnError
            A column that is missing or no number.
        DataError
            Frequencies that are no counts; null amounts.
        FitError
            A fit without parameters.
        ParameterError
            A `confidence` without customers.

        Warns
        -----
        OpsmetricsWarning
            An infinite expectation.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=500, rng=1)
        >>> fit = om.GammaGamma().fit(om.clv_summary(orders, customer="customer", time="time", amount="amount"))
        >>> table = fit.expected_amount({"frequency": [0, 5], "monetary_value": [0.0, 999.0]}).table
        >>> bool(table["expected_amount"][0] == fit.expected_amount() < table["expected_amount"][1] < 999)
        True
        """
        law = law_of(self)
        if summary is None:
            refuse_confidence("expected_amount", confidence)
            newcomer = float(law.expected(0, 0.0))
            warn_of_no_mean(law.q, newcomer == np.inf, "of a new customer")
            return newcomer
        table, columns = doors.read(summary, {"frequency": "frequency", "monetary_value": "monetary_value"})
        unit, customer = (getattr(summary, name, None) if isinstance(summary, Result) else None for name in ("unit", "customer"))
        _checks.free("customer", customer, ("expected_amount", "expected_amount_low", "expected_amount_high"))
        value, slopes = law.expected_slopes(*amounts_known(doors.whole("frequency", columns["frequency"]), columns["monetary_value"]))
        warn_of_no_mean(law.q, (endless := np.isinf(value)).any(), f"in {np.count_nonzero(endless):,} of {len(value):,} rows")
        content: dict[str, Column] = {"expected_amount": value}
        params: dict[str, object] = {"model": self.title}
        if confidence is not None:
            level = _checks.fraction("confidence", confidence)
            low, high = around(value, deviation(log_covariance(self), slopes), level)
            content |= {"expected_amount_low": low, "expected_amount_high": high}
            params["confidence"] = level
        frame = _output.without(table.frame, ("expected_amount_low", "expected_amount_high"))  # of an earlier prediction
        return Predictions(
            _tables={"table": _output.append(frame, content)}, params=params, dropped={}, customer=customer, unit=unit or "purchase"
        )

    def to_dict(self) -> dict[str, object]:
        """The fit as values `json.dumps` accepts.

        Returns
        -------
        dict
            What `from_dict` reads back to an equal fit.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=500, rng=1)
        >>> fit = om.GammaGamma().fit(om.clv_summary(orders, customer="customer", time="time", amount="amount"))
        >>> om.GammaGammaFit.from_dict(fit.to_dict()) == fit
        True
        """
        return {name: plain(getattr(self, name)) for name in _SAVED}

    @classmethod
    def from_dict(cls, saved: Mapping[str, object]) -> GammaGammaFit:
        """A fit from what `to_dict` wrote.

        Parameters
        ----------
        saved : mapping
            With the keys that `to_dict` writes.

        Returns
        -------
        GammaGammaFit

        Raises
        ------
        ParameterError
            A missing or unknown key, numbers that are none, a fit of another model.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=500, rng=1)
        >>> fit = om.GammaGamma().fit(om.clv_summary(orders, customer="customer", time="time", amount="amount"))
        >>> om.GammaGammaFit.from_dict(fit.to_dict()).params["q"] == fit.params["q"]
        True
        """
        if family := told_by(saved):
            raise ParameterError(
                f"saved has model={saved['model']!r}, so it is a fit of {family.title}; read it by {family.kept}.from_dict.",
                code="parameter.saved",
            )
        _checks.named("saved", saved, _SAVED)
        correlation = saved["correlation"]
        return cls(
            **read_estimates(saved, NAMES, logs=len(NAMES)),
            correlation=None if correlation is None else _correlation_of(correlation),
            left_out=not_negative("left_out", saved["left_out"]),
        )

    @classmethod
    def from_lifetimes(cls, fitter: object) -> GammaGammaFit:
        """The fit of a ``GammaGammaFitter`` of the ``lifetimes`` package, with its parameters and its data.

        Parameters
        ----------
        fitter : lifetimes fitter
            A fitted ``GammaGammaFitter``.

        Returns
        -------
        GammaGammaFit
            At its parameters, which need not be at the maximum: ``converged`` tells.

        Raises
        ------
        ParameterError
            Another fitter, or one that is not fitted.

        Warns
        -----
        OpsmetricsWarning
            Parameters that the data hardly tell, q of 1 or less, amounts that go with the frequency: as `GammaGamma.fit` does.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=500, rng=1)
        >>> table = om.clv_summary(orders, customer="customer", time="time", amount="amount").table
        >>> known = table[table["monetary_value"] > 0]
        >>> fitter = om.GammaGamma().fit(known).to_lifetimes()  # or a lifetimes.GammaGammaFitter()
        >>> fitter = fitter.fit(known["frequency"], known["monetary_value"])
        >>> om.GammaGammaFit.from_lifetimes(fitter).converged
        True
        """
        values, data = interop.parameters(fitter, NAMES, "GammaGammaFitter"), interop.data_of(fitter)
        x, z = data["frequency"].astype(np.int64), data["monetary_value"]
        total = gamma_gamma.likelihood(np.log(values), gamma_gamma.Amounts.of_rows(x, z, data["weights"]))
        known = interop.estimates(NAMES, values, total, float(data["weights"].sum()))
        correlation = _correlation(x, z, data["weights"])
        known["warnings"] += tuple(_foolish(float(values[1]), correlation))
        return told(cls(**known, correlation=correlation, left_out=0.0))

    def to_lifetimes(self) -> object:
        """The same parameters in a fitter of the ``lifetimes`` package (the ``lifetimes`` extra).

        Returns
        -------
        lifetimes fitter
            A ``GammaGammaFitter`` that predicts; it has no data.

        Raises
        ------
        ImportError
            Without lifetimes: ``pip install "opsmetrics[lifetimes]"``.
        FitError
            A fit without parameters.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=500, rng=1)
        >>> fit = om.GammaGamma().fit(om.clv_summary(orders, customer="customer", time="time", amount="amount"))
        >>> type(fit.to_lifetimes()).__name__
        'GammaGammaFitter'
        """
        return interop.write(self, "GammaGammaFitter")


def warn_of_no_mean(q: float, endless: object, where: str) -> None:
    """Where an expectation is infinite."""
    if endless:
        warn(
            f"Gamma-Gamma: q = {q:.3g} is 1 or less, so the amounts of customers have no mean, and the expected amount {where} is "
            "infinite. Look for a few enormous orders, or fit with a penalty."
        )


def law_of(fitted: GammaGammaFit) -> gamma_gamma.GammaGamma:
    """The model at the parameters."""
    demand_parameters(fitted)
    return gamma_gamma.GammaGamma(*(fitted.params[name] for name in NAMES))


def amounts_known(x: Ints, z: Floats) -> tuple[Ints, Floats]:
    """Histories of spending; of a customer whose repeat purchases do not come to more than 0 nothing is known."""
    known = (x > 0) & (z > 0)
    return np.where(known, x, 0), np.where(known, z, 0.0)


def fit_amounts(x: Ints, z: Floats, weights: Floats, left_out: float, penalty: float) -> GammaGammaFit:
    """Estimate the model from mean amounts z of x > 0 purchases."""
    customers, correlation = float(weights.sum()), _correlation(x, z, weights)
    known: dict[str, Any] = {"customers": customers, "penalty": penalty, "correlation": correlation, "left_out": left_out}
    if len(x) == 0:
        sentence = "Gamma-Gamma cannot be estimated: no customer has repeat purchases of more than 0" + (
            f", but {left_out:,.10g} of 0 or less. Summaries round money to a millionth of its unit; count less in a smaller unit."
            if left_out
            else ". Wait for more orders."
        )
        warn(sentence)
        rounded = ", rounded to a millionth of the unit of money" if left_out else ""
        return GammaGammaFit(
            params={}, covariance={}, log_likelihood=-np.inf, converged=False,
            reason=f"no customer has a repeat purchase of more than 0{rounded}", evaluations=0, warnings=(sentence,), **known,
        )  # fmt: skip
    scale = float(weights @ z) / customers
    parts = stages(len(x))

    def surface(rows: slice) -> Surface:
        amounts = gamma_gamma.Amounts.of_rows(x[rows], z[rows] / scale, weights[rows])
        return Surface(lambda theta: gamma_gamma.likelihood(theta, amounts), float(weights[rows].sum()))

    near = gamma_gamma.by_moments(x[parts[0]], z[parts[0]] / scale, weights[parts[0]])
    far = (np.log(start) for start in _FAR)
    found = estimate([surface(rows) for rows in parts], [near], far, NAMES, len(NAMES), penalty, len(x))
    values = np.exp(found.theta) * [1.0, 1.0, scale]
    fit = GammaGammaFit(
        **estimated(NAMES, values, found.covariance, len(NAMES)),
        log_likelihood=found.log_likelihood - customers * float(np.log(scale)), converged=found.converged, reason=found.reason,
        evaluations=found.evaluations, warnings=(*found.warnings, *_foolish(float(values[1]), correlation)), **known,
    )  # fmt: skip
    return told(fit)


def _foolish(q: float, correlation: float | None) -> list[str]:
    """Sentences on what the model would get wrong."""
    found = []
    if q <= 1:
        found.append(
            f"q = {q:.3g} is 1 or less, so the amounts of customers have no mean, and a customer without repeat purchases an infinite one. "
            "Look for a few enormous orders, or give a penalty."
        )
    if correlation is not None and abs(correlation) >= CORRELATED:
        found.append(
            f"frequency and amount go together (correlation {correlation:+.2f}), but the model takes them to be independent: customers who "
            f"bought once or twice are {'over' if correlation > 0 else 'under'}stated, frequent ones slightly "
            f"{'under' if correlation > 0 else 'over'}stated. Fit groups of customers apart."
        )
    return found


def _correlation_of(saved: object) -> float:
    """A correlation, but for rounding."""
    value = float(_checks.number("correlation", saved))
    if abs(value) > 1 + 1e-9:
        raise ParameterError(f"correlation={saved!r} must lie between -1 and 1.", code="parameter.correlation")
    return value


def _correlation(x: Ints, z: Floats, weights: Floats) -> float | None:
    """The weighted correlation of frequency and mean amount; None where one of them does not vary."""
    total = weights.sum()
    if total == 0:
        return None
    a, b = x - weights @ x / total, z - weights @ z / total
    size = float(np.sqrt((weights @ (a * a)) * (weights @ (b * b))))
    return float(weights @ (a * b)) / size if size > 0 else None
