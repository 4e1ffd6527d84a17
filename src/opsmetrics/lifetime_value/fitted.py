"""What fitted models have in common: estimates, how sure they are, and how that carries over to what is predicted from them."""

from __future__ import annotations

import abc
import itertools
import math
import numbers
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from opsmetrics import _checks, _output, _render
from opsmetrics._frames import Column, Floats
from opsmetrics.errors import FitError, ParameterError, warn

LEVEL = 1.959963984540054
"""Of 95 % intervals of parameters."""

FARTHEST = 600.0
"""The largest logarithm of a parameter that floats hold with room to spare."""

_FARTHEST_SAVED = 300.0
"""The largest of a saved one, whose products with others floats must hold as well."""

_WIDEST_SAVED = 1e100
"""The largest variance of a saved logarithm or coefficient: more than any likelihood is flat, with room for what predictions multiply."""

NOBODY_READS_ON = 300.0
"""Ends of intervals are no farther apart than this, as logarithms."""

_ROUNDING = 1e-6

_NEXT_TO_NOTHING = 1e-150
"""A standard error that is taken for none: floats do not hold its square to many digits."""


FitT = TypeVar("FitT", bound="Fitted")


class Kept(dict[str, Any]):
    """The numbers of a fit by name: a dict that cannot be changed, and so may be a key itself."""

    def _refuse(self, *_: object, **__: object) -> Any:
        raise TypeError("a fit does not change; take a copy of its numbers with dict(...).")

    __setitem__ = __delitem__ = __ior__ = update = pop = popitem = clear = setdefault = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


@dataclass(frozen=True, kw_only=True)
class Fitted(abc.ABC):
    """What fitted models have in common: estimates, how sure they are, and whether the search for them went well."""

    params: Mapping[str, float]
    covariance: Mapping[str, Mapping[str, float]]
    log_likelihood: float
    customers: float
    converged: bool
    reason: str
    evaluations: int
    warnings: tuple[str, ...]
    penalty: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", Kept(self.params))
        object.__setattr__(self, "covariance", Kept({name: Kept(row) for name, row in self.covariance.items()}))

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """The name of the model in the literature."""

    @property
    def standard_errors(self) -> dict[str, float]:
        """The standard error of each parameter, from the observed information."""
        return {name: math.sqrt(max(row[name], 0.0)) for name, row in self.covariance.items()}

    @property
    def aic(self) -> float:
        """Akaike's information criterion: twice the number of parameters, less twice the log-likelihood."""
        return 2 * len(self.params) - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """The Bayesian information criterion: with the logarithm of the number of customers for each parameter instead of two."""
        return math.log(max(self.customers, 1.0)) * len(self.params) - 2 * self.log_likelihood

    @property
    def summary(self) -> Any:
        """The parameters as a pandas frame: estimate, standard error, and the ends of a 95 % interval, on the scale of its logarithm."""
        columns, rows = self._rows()
        content: dict[str, Column] = {name: np.array([row[place] for row in rows]) for place, name in enumerate(columns)}
        return _output.build(_output.backend("pandas"), content)

    def _rows(self) -> tuple[list[str], list[tuple[object, ...]]]:
        rows: list[tuple[object, ...]] = []
        for name, estimate in self.params.items():
            error = self.standard_errors[name]
            if "[" in name:
                low, high = estimate - LEVEL * error, estimate + LEVEL * error
            else:
                spread = math.exp(min(LEVEL * error / estimate, NOBODY_READS_ON))
                low, high = estimate / spread, min(estimate * spread, sys.float_info.max)
            rows.append((name, estimate, error, low, high))
        return ["parameter", "estimate", "standard_error", "low", "high"], rows

    def _view(self) -> _render.View:
        columns, rows = self._rows()
        return _render.View(
            title=f"{self.title}: {self.customers:,.10g} customers",
            facts=self._facts(),
            columns=columns,
            rows=rows,
            notes=[*self.warnings] if self.converged else [f"not converged: {self.reason}", *self.warnings],
        )

    def _facts(self) -> dict[str, object]:
        known = {"log_likelihood": self.log_likelihood, "aic": self.aic, "bic": self.bic, "penalty": self.penalty or None}
        return {name: None if value is None or not math.isfinite(value) else round(value, 4) for name, value in known.items()}

    def _repr_html_(self) -> str:
        return _render.page(self._view())

    def __str__(self) -> str:
        return _render.text(self._view())

    def __repr__(self) -> str:
        return str(self)


def told(fit: FitT) -> FitT:
    """A fit, after its caller has been warned of what is wrong with it."""
    for sentence in fit.warnings:
        warn(f"{fit.title}: {sentence}")
    return fit


def demand_parameters(fit: Fitted) -> None:
    """Nothing follows from a fit without parameters."""
    if not fit.params:
        raise FitError(f"{fit.title} has no parameters: {fit.reason}. Nothing can be predicted.", code="fit.parameters")


def log_covariance(fit: Fitted) -> Floats:
    """The covariance of the logs of the parameters, and of coefficients as they are."""
    scale = np.array([1.0 if "[" in name else value for name, value in fit.params.items()])
    return np.array([list(row.values()) for row in fit.covariance.values()]) / np.outer(scale, scale)


def estimated(names: Sequence[str], values: Floats, covariance: Floats, logs: int) -> dict[str, Any]:
    """Parameters, the first `logs` of them from their logarithms, and coefficients; with the covariance of these, by name."""
    size = np.where(np.arange(len(values)) < logs, values, 1.0)
    rows = (covariance * np.outer(size, size)).tolist()
    return {
        "params": dict(zip(names, values.tolist(), strict=True)),
        "covariance": {name: dict(zip(names, row, strict=True)) for name, row in zip(names, rows, strict=True)},
    }


def refuse_confidence(method: str, confidence: float | None) -> None:
    """An interval is that of a customer."""
    if confidence is not None:
        raise ParameterError(f"confidence={confidence!r} goes with customers; hand {method} a summary too.", code="parameter.confidence")


def deviation(covariance: Floats, slopes: Floats) -> Floats:
    """The standard error of functions of estimates from their slopes, one column each (delta method)."""
    return np.asarray(np.sqrt(np.maximum(((covariance @ slopes) * slopes).sum(axis=0), 0.0)))


def around(value: Floats, spread: Floats, level: float, *, odds: bool = False) -> tuple[Floats, Floats]:
    """The ends of an interval on the scale of the logarithm, or of the log odds, from the standard error of the logarithm."""
    from scipy.special import expit, logit, ndtri

    half = ndtri(0.5 + level / 2) * spread
    if odds:
        inside = (value > 0) & (value < 1)
        half = half / np.where(inside, 1 - value, 1.0)
        place = logit(np.where(inside, value, 0.5))
        return np.where(inside, expit(place - half), value), np.where(inside, expit(place + half), value)
    half = np.minimum(half, NOBODY_READS_ON)
    return value * np.exp(-half), value * np.exp(half)


def read_estimates(saved: Mapping[str, object], names: Sequence[str], logs: int) -> dict[str, Any]:
    """The numbers of a saved fit, each checked."""
    given: Any = saved["params"]
    nothing = given is None or (isinstance(given, Mapping) and not given)
    found = {} if nothing else _checks.named("params", given, names)
    params = {name: _finite("params", found[name], f"params[{name!r}]") for name in names if found}
    if any(params[name] <= 0 for name in [*params][:logs]):
        raise ParameterError(f"params={params} must be above 0, but for coefficients.", code="parameter.params")
    if any(abs(math.log(size) if place < logs else size) > _FARTHEST_SAVED for place, size in enumerate(params.values())):
        raise ParameterError(
            f"params={params} are beyond measure; logarithms of parameters, and coefficients, are {_FARTHEST_SAVED:g} at most in size.",
            code="parameter.params",
        )
    rows = _checks.named("covariance", saved["covariance"], list(params))
    checked = {name: _checks.named("covariance", rows[name], list(params)) for name in params}
    for name, row in checked.items():
        not_negative("covariance", row[name], f"covariance[{name!r}][{name!r}]")
    covariance = {a: {b: _finite("covariance", row[b], f"covariance[{a!r}][{b!r}]") for b in params} for a, row in checked.items()}
    _demand_covariance(covariance)
    for place, (name, size) in enumerate(params.items()):
        if math.sqrt(covariance[name][name]) / (size if place < logs else 1.0) > math.sqrt(_WIDEST_SAVED):
            raise ParameterError(
                f"covariance has {covariance[name][name]:g} for {name!r}, which is {size:g}: beyond measure; variances of logarithms of "
                f"parameters, and of coefficients, are {_WIDEST_SAVED:g} at most.",
                code="parameter.covariance",
            )
    likelihood, warnings = saved["log_likelihood"], _checks.listed("warnings", saved["warnings"])
    return {
        "params": params,
        "covariance": covariance,
        "log_likelihood": -math.inf if likelihood is None else _finite("log_likelihood", likelihood),
        "customers": not_negative("customers", saved["customers"]),
        "converged": _flag("converged", saved["converged"]),
        "reason": str(saved["reason"]),
        "evaluations": _checks.whole_number("evaluations", saved["evaluations"], 0, 10**9),
        "warnings": tuple(str(line) for line in warnings),
        "penalty": not_negative("penalty", saved["penalty"]),
    }


def _demand_covariance(covariance: Mapping[str, Mapping[str, float]]) -> None:
    """Entries that covariances can have, but for rounding."""
    for a, b in itertools.combinations(covariance, 2):
        one, other, most = covariance[a][b], covariance[b][a], math.sqrt(covariance[a][a]) * math.sqrt(covariance[b][b])
        if abs(one - other) > _ROUNDING * max(most, abs(one)):
            raise ParameterError(
                f"covariance has {one:g} for {a!r} and {b!r}, but {other:g} the other way round; it must be symmetric.",
                code="parameter.covariance",
            )
        if abs(one) > (1 + _ROUNDING) * most + _NEXT_TO_NOTHING**2:
            raise ParameterError(
                f"covariance has {one:g} for {a!r} and {b!r}, whose variances allow {most:g} at most.", code="parameter.covariance"
            )
    sizes = np.array([max(math.sqrt(covariance[a][a]), _NEXT_TO_NOTHING) for a in covariance])
    scaled = np.array([[covariance[a][b] for b in covariance] for a in covariance]) / sizes / sizes[:, None]
    if len(sizes) and float(np.linalg.eigvalsh(scaled).min()) < -_ROUNDING:
        raise ParameterError("covariance gives some combination of the parameters a variance below 0.", code="parameter.covariance")


def _flag(argument: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ParameterError(f"{argument}={value!r} must be True or False.", code=f"parameter.{argument}")


def not_negative(argument: str, value: object, place: str | None = None) -> float:
    """A finite number of 0 or more."""
    number = _finite(argument, value, place)
    if number < 0:
        raise ParameterError(f"{place or argument}={value!r} must be 0 or more.", code=f"parameter.{argument}")
    return number


def _finite(argument: str, value: Any, place: str | None = None) -> float:
    """A finite number of any size: what the data hardly tell has an enormous variance."""
    if _checks.is_number(value, numbers.Real) and -sys.float_info.max <= value <= sys.float_info.max:
        return float(value)
    raise ParameterError(f"{place or argument}={value!r} must be a finite number.", code=f"parameter.{argument}")
