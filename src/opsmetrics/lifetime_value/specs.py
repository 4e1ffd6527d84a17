"""The models of buying, before and after they are fitted."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from opsmetrics.lifetime_value.fits import PurchaseFit
from opsmetrics.lifetime_value.models import fit, penalty_of
from opsmetrics.lifetime_value.summaries import Unit

FitT_co = TypeVar("FitT_co", bound=PurchaseFit, covariant=True)


@dataclass(frozen=True, kw_only=True)
class PurchaseModel(abc.ABC, Generic[FitT_co]):
    """A model of buying in continuous time, which covariates may move."""

    penalty: float = 0.0

    def __post_init__(self) -> None:
        penalty_of(self.penalty)

    @abc.abstractmethod
    def _kind(self) -> type[FitT_co]:
        """The class of its fits."""

    def fit(
        self,
        summary: object,
        *,
        weights: str | None = None,
        unit: Unit | None = None,
        purchase_covariates: Sequence[str] = (),
        dropout_covariates: Sequence[str] = (),
    ) -> FitT_co:
        """Estimate the parameters by maximum likelihood.

        Parameters
        ----------
        summary : CLVSummary, frame or mapping of arrays
            One row per customer with ``frequency``, ``recency`` and ``T``, or per group of customers with the same ones.
        weights : str, optional
            Column of how many customers a row stands for, as from ``GROUP BY frequency, recency, T``.
        unit : str, optional
            The unit of recency and T, as in `clv_summary`; a summary knows its own, other frames count days.
        purchase_covariates, dropout_covariates : sequence of str
            Columns of numbers z (0 and 1 for groups) that move the scale of the purchase rate, alpha exp(-z'gamma), so that a coefficient
            of 0.7 doubles the rate; and the dropout: the odds of its mean chance, a exp(z'gamma) with b as it is, or the scale of its rate,
            beta exp(-z'gamma).

        Returns
        -------
        BetaGeoFit, ModifiedBetaGeoFit or ParetoNBDFit
            The frozen fit: parameters per unit of time, standard errors, and what went wrong.

        Raises
        ------
        ColumnError
            A column that is missing or no number.
        DataError
            Histories that cannot be, such as a recency above T.
        FitError
            Covariates that do not differ, or of which one follows from the others.
        ParameterError
            A unit that contradicts the summary's.

        Warns
        -----
        OpsmetricsWarning
            No repeat purchase, a search that did not converge, parameters that the data hardly tell.

        Examples
        --------
        >>> import opsmetrics as om
        >>> histories = {"frequency": [0, 1, 1, 2, 2, 5, 5, 9], "recency": [0, 1, 6, 3, 9, 6, 9, 10], "T": [10] * 8}
        >>> counted = histories | {"people": [300, 60, 30, 20, 20, 10, 30, 25]}
        >>> fit = om.BetaGeo().fit(counted, weights="people", unit="week")
        >>> fit.customers, fit.unit
        (495.0, 'week')
        """
        return fit(self.penalty, self._kind(), summary, weights, unit, purchase=purchase_covariates, dropout=dropout_covariates)


@dataclass(frozen=True, kw_only=True)
class BetaGeo(PurchaseModel["BetaGeoFit"]):
    """The BG/NBD model: buyers with a steady rate, who may drop out after any repeat purchase (also known as: BG/NBD 模型).

    While alive a customer buys at the rate lambda ~ Gamma(r, alpha), and after every repeat purchase drops out with chance p ~ Beta(a, b).
    So who has bought once cannot have dropped out: P(alive) is 1 for all of them. `ModifiedBetaGeo` mends that.

    Parameters
    ----------
    penalty : float
        How strongly the logs of the parameters are pulled towards 0, in units in which the customers' mean age is one; 0 is maximum
        likelihood, and rarely needs help. With covariates it pulls the parameters at their means, which are not those in ``.params``, and
        leaves the coefficients alone.

    Raises
    ------
    ParameterError
        A negative penalty.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. & Lee, K. L. (2005), "Counting your customers" the easy way: an alternative to the Pareto/NBD model,
    Marketing Science 24(2), 275-284.

    Examples
    --------
    >>> import opsmetrics as om
    >>> summary = om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time")
    >>> om.BetaGeo().fit(summary).converged
    True
    """

    def _kind(self) -> type[BetaGeoFit]:
        return BetaGeoFit


@dataclass(frozen=True, kw_only=True, repr=False)
class BetaGeoFit(PurchaseFit):
    """A fitted BG/NBD model.

    Attributes
    ----------
    params : mapping of str to float
        ``r`` and ``alpha`` of the purchase rate (alpha in units of time), ``a`` and ``b`` of the chance to drop out, then coefficients.
    standard_errors : mapping of str to float
        Of each parameter, from the observed information.
    covariance : mapping of str to mapping
        Of each two parameters.
    log_likelihood : float
        At the parameters, on the time scale of the data.
    aic, bic : float
        Information criteria: the lower, the better the model, of those that were fitted to the same customers.
    customers : float
        How many the model was fitted to.
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
    >>> summary = om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time")
    >>> list(om.BetaGeo().fit(summary).params)
    ['r', 'alpha', 'a', 'b']
    """

    model = "bg_nbd"


@dataclass(frozen=True, kw_only=True)
class ModifiedBetaGeo(PurchaseModel["ModifiedBetaGeoFit"]):
    """The MBG/NBD model: as BG/NBD, but customers may drop out right after the first purchase (also known as: MBG/NBD 模型).

    The coin is tossed after every purchase, the first included, so who has bought once may be gone.

    Parameters
    ----------
    penalty : float
        How strongly the logs of the parameters are pulled towards 0, in units in which the customers' mean age is one; 0 is maximum
        likelihood, and rarely needs help. With covariates it pulls the parameters at their means, which are not those in ``.params``, and
        leaves the coefficients alone.

    Raises
    ------
    ParameterError
        A negative penalty.

    References
    ----------
    Batislam, E. P., Denizel, M. & Filiztekin, A. (2007), Empirical validation and comparison of models for customer base analysis,
    International Journal of Research in Marketing 24(3), 201-209.

    Examples
    --------
    >>> import opsmetrics as om
    >>> summary = om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time")
    >>> om.ModifiedBetaGeo().fit(summary).converged
    True
    """

    def _kind(self) -> type[ModifiedBetaGeoFit]:
        return ModifiedBetaGeoFit


@dataclass(frozen=True, kw_only=True, repr=False)
class ModifiedBetaGeoFit(PurchaseFit):
    """A fitted MBG/NBD model.

    Attributes
    ----------
    params : mapping of str to float
        ``r`` and ``alpha`` of the purchase rate (alpha in units of time), ``a`` and ``b`` of the chance to drop out, then coefficients.
    standard_errors : mapping of str to float
        Of each parameter, from the observed information.
    covariance : mapping of str to mapping
        Of each two parameters.
    log_likelihood : float
        At the parameters, on the time scale of the data.
    aic, bic : float
        Information criteria: the lower, the better the model, of those that were fitted to the same customers.
    customers : float
        How many the model was fitted to.
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
    >>> summary = om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time")
    >>> list(om.ModifiedBetaGeo().fit(summary).params)
    ['r', 'alpha', 'a', 'b']
    """

    model = "mbg_nbd"


@dataclass(frozen=True, kw_only=True)
class ParetoNBD(PurchaseModel["ParetoNBDFit"]):
    """The Pareto/NBD model: buyers with a steady rate, whose lifetimes end unseen at any time (also known as: Pareto/NBD 模型).

    While alive a customer buys at the rate lambda ~ Gamma(r, alpha), and drops out at the rate mu ~ Gamma(s, beta), bought or not.

    Parameters
    ----------
    penalty : float
        How strongly the logs of the parameters are pulled towards 0, in units in which the customers' mean age is one; 0 is maximum
        likelihood, and rarely needs help. With covariates it pulls the parameters at their means, which are not those in ``.params``, and
        leaves the coefficients alone.

    Raises
    ------
    ParameterError
        A negative penalty.

    References
    ----------
    Schmittlein, D. C., Morrison, D. G. & Colombo, R. (1987), Counting your customers: who are they and what will they do next?, Management
    Science 33(1), 1-24.

    Examples
    --------
    >>> import opsmetrics as om
    >>> summary = om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time")
    >>> om.ParetoNBD().fit(summary).converged
    True
    """

    def _kind(self) -> type[ParetoNBDFit]:
        return ParetoNBDFit


@dataclass(frozen=True, kw_only=True, repr=False)
class ParetoNBDFit(PurchaseFit):
    """A fitted Pareto/NBD model.

    Attributes
    ----------
    params : mapping of str to float
        ``r`` and ``alpha`` of the purchase rate, ``s`` and ``beta`` of the dropout rate (alpha and beta in units of time), then
        coefficients.
    standard_errors : mapping of str to float
        Of each parameter, from the observed information.
    covariance : mapping of str to mapping
        Of each two parameters.
    log_likelihood : float
        At the parameters, on the time scale of the data.
    aic, bic : float
        Information criteria: the lower, the better the model, of those that were fitted to the same customers.
    customers : float
        How many the model was fitted to.
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
    >>> summary = om.clv_summary(om.make_orders(customers=500, rng=1), customer="customer", time="time")
    >>> list(om.ParetoNBD().fit(summary).params)
    ['r', 'alpha', 's', 'beta']
    """

    model = "pareto_nbd"


@dataclass(frozen=True, kw_only=True)
class BetaGeoBetaBinom:
    """The BG/BB model: in each period a customer buys or does not, until he drops out (also known as: BG/BB 模型).

    While alive a customer buys in a period with chance p ~ Beta(alpha, beta), and drops out before each with chance theta ~ Beta(gamma,
    delta). For purchases that can happen at certain times only: donations of a year, the monthly box.

    Parameters
    ----------
    penalty : float
        How strongly the logs of the parameters are pulled towards 0, whatever the period; 0 is maximum likelihood, and rarely needs help.

    Raises
    ------
    ParameterError
        A negative penalty.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. & Shang, J. (2010), Customer-base analysis in a discrete-time noncontractual setting, Marketing Science
    29(6), 1086-1108.

    Examples
    --------
    >>> import opsmetrics as om
    >>> summary = om.clv_summary(om.make_orders(customers=1_000, rng=3), customer="customer", time="time", unit="month")
    >>> om.BetaGeoBetaBinom().fit(summary).converged
    True
    """

    penalty: float = 0.0

    def __post_init__(self) -> None:
        penalty_of(self.penalty)

    def fit(
        self,
        summary: object,
        *,
        weights: str | None = None,
        unit: Unit | None = None,
    ) -> BetaGeoBetaBinomFit:
        """Estimate the parameters by maximum likelihood.

        Parameters
        ----------
        summary : CLVSummary, frame or mapping of arrays
            One row per customer with ``frequency``, ``recency`` and ``T`` (whole periods), or per group of customers with the same ones.
        weights : str, optional
            Column of how many customers a row stands for, as from ``GROUP BY frequency, recency, T``.
        unit : str, optional
            The unit of recency and T, as in `clv_summary`; a summary knows its own, other frames count days.

        Returns
        -------
        BetaGeoBetaBinomFit
            The frozen fit: parameters per unit of time, standard errors, and what went wrong.

        Raises
        ------
        ColumnError
            A column that is missing or no number.
        DataError
            Histories that cannot be, such as a recency above T.
        ParameterError
            A unit that contradicts the summary's.

        Warns
        -----
        OpsmetricsWarning
            No repeat purchase, a search that did not converge, parameters that the data hardly tell.

        Examples
        --------
        >>> import opsmetrics as om
        >>> histories = {"frequency": [0, 1, 1, 2, 2, 5, 5, 9], "recency": [0, 1, 6, 3, 9, 6, 9, 10], "T": [10] * 8}
        >>> counted = histories | {"people": [300, 60, 30, 20, 20, 10, 30, 25]}
        >>> fit = om.BetaGeoBetaBinom().fit(counted, weights="people", unit="week")
        >>> fit.customers, fit.unit
        (495.0, 'week')
        """
        return fit(self.penalty, BetaGeoBetaBinomFit, summary, weights, unit)


@dataclass(frozen=True, kw_only=True, repr=False)
class BetaGeoBetaBinomFit(PurchaseFit):
    """A fitted BG/BB model.

    Attributes
    ----------
    params : mapping of str to float
        ``alpha`` and ``beta`` of the chance to buy in a period, ``gamma`` and ``delta`` of the chance to drop out.
    standard_errors : mapping of str to float
        Of each parameter, from the observed information.
    covariance : mapping of str to mapping
        Of each two parameters.
    log_likelihood : float
        At the parameters, on the time scale of the data.
    aic, bic : float
        Information criteria: the lower, the better the model, of those that were fitted to the same customers.
    customers : float
        How many the model was fitted to.
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
    >>> summary = om.clv_summary(om.make_orders(customers=1_000, rng=3), customer="customer", time="time", unit="month")
    >>> list(om.BetaGeoBetaBinom().fit(summary).params)
    ['alpha', 'beta', 'gamma', 'delta']
    """

    model = "bg_bb"
