"""Fits of the `lifetimes` package in and out: its parameters are read, its pickles are not."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from opsmetrics import _checks
from opsmetrics._frames import Floats
from opsmetrics._kernels.histories import Histories, Total
from opsmetrics.errors import FitError, ParameterError
from opsmetrics.lifetime_value.doors import DAYS_IN
from opsmetrics.lifetime_value.estimation import covariance_of, hardly_told
from opsmetrics.lifetime_value.families import FAMILIES
from opsmetrics.lifetime_value.fitted import Fitted, estimated, told

if TYPE_CHECKING:
    from opsmetrics.lifetime_value.fits import PurchaseFit

FitT = TypeVar("FitT", bound="PurchaseFit")

_SETTLED = 1e-3
"""A gain in the log-likelihood that Newton's next step would bring, below which a fitter had converged."""


def read(kind: type[FitT], fitter: object, unit: Any) -> FitT:
    """A fit from a fitter that was fitted."""
    family = FAMILIES[kind.model]
    values, data = parameters(fitter, family.parameters, family.fitter), data_of(fitter)
    x = np.rint(data["frequency"]).astype(np.int64)
    histories = Histories(x, data["recency"], data["n_periods" if family.discrete else "T"], data["weights"])
    own = estimates(family.parameters, values, family.likelihood(np.log(values), histories), float(data["weights"].sum()))
    fit = kind(**own, unit=_checks.choice("unit", unit, tuple(DAYS_IN)), purchase_covariates=(), dropout_covariates=())
    return told(fit)


def estimates(names: Sequence[str], values: Floats, total: Total, customers: float) -> dict[str, Any]:
    """What a fit needs to know, from parameters that were found elsewhere."""
    covariance, gain = covariance_of(total)
    return estimated(names, values, covariance, len(names)) | {
        "log_likelihood": total.value,
        "customers": customers,
        "converged": gain < _SETTLED,
        "reason": "converged" if gain < _SETTLED else f"about {gain:.3g} below the maximum of the log-likelihood",
        "evaluations": 1,
        "warnings": tuple(hardly_told(names, covariance)),
        "penalty": 0.0,  # theirs pulls the parameters, not their logs, and against the mean log-likelihood
    }


def data_of(fitter: object) -> dict[str, Floats]:
    """The customers that a fitter was fitted to, as numbers."""
    if (data := getattr(fitter, "data", None)) is None:
        raise ParameterError(
            f"fitter is a {type(fitter).__name__} without its data, so the covariance of its parameters cannot be found; fit it again.",
            code="parameter.fitter",
        )
    found = {name: np.asarray(data[name], dtype=np.float64) for name in data}
    return found if "weights" in found else found | {"weights": np.ones(len(data))}


def parameters(fitter: object, names: Sequence[str], kind: str) -> Any:
    """The parameters of a fitter of this kind, in order."""
    found = getattr(fitter, "params_", None)
    if type(fitter).__name__ != kind or found is None or set(found.index) != set(names):
        raise ParameterError(
            f"fitter is a {type(fitter).__name__}; {kind.removesuffix('ter')}.from_lifetimes takes one that is fitted, a {kind}.",
            code="parameter.fitter",
        )
    values = np.array([float(found[name]) for name in names])
    if not (np.isfinite(values) & (values > 0)).all():
        raise ParameterError(
            f"fitter has the parameters {dict(zip(names, values.tolist(), strict=True))}; all must be above 0. Fit it again.",
            code="parameter.fitter",
        )
    return values


def write(fitted: Fitted, name: str) -> object:
    """A fitter with the parameters of a fit."""
    if not fitted.params:
        raise FitError(f"{fitted.title} has no parameters: {fitted.reason}. There is nothing to hand over.", code="fit.parameters")
    if any("[" in parameter for parameter in fitted.params):
        raise FitError("lifetimes knows no covariates; hand over a fit without them.", code="fit.covariates")
    pandas = importlib.import_module("pandas")
    fitter = getattr(_lifetimes(pandas), name)()
    fitter.params_ = pandas.Series(dict(fitted.params))
    if math.isfinite(fitted.log_likelihood):
        size = 1.0 if name == "ParetoNBDFitter" else fitted.customers  # of this one they keep the sum, of others the mean
        fitter._negative_log_likelihood_ = -fitted.log_likelihood / size
    if hasattr(fitter, "conditional_expected_number_of_purchases_up_to_time"):
        fitter.predict = fitter.conditional_expected_number_of_purchases_up_to_time
    return fitter


def _lifetimes(pandas: Any) -> Any:
    """The package. Its import changes the filters of warnings and an option of pandas, which are put back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        option = pandas.get_option("mode.chained_assignment")
        try:
            return importlib.import_module("lifetimes")
        except ImportError as error:
            raise ImportError('to_lifetimes needs the lifetimes package; run pip install "opsmetrics[lifetimes]".') from error
        finally:
            pandas.set_option("mode.chained_assignment", option)
