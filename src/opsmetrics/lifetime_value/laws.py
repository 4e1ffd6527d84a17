"""From a fitted model of buying to numbers: the law at its parameters, purchases to come, and how the errors of estimates carry over."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from opsmetrics._frames import Floats, Ints
from opsmetrics._kernels.histories import distinct
from opsmetrics.errors import DataError
from opsmetrics.lifetime_value.families import FAMILIES
from opsmetrics.lifetime_value.fitted import demand_parameters, deviation, log_covariance

if TYPE_CHECKING:
    from opsmetrics._kernels.histories import Histories
    from opsmetrics.lifetime_value.fits import PurchaseFit

_BLOCK = 256
"""Kinds of customers whose distributions are walked together: the busiest decides how finely."""

_FARTHEST = 100.0
"""The logarithm of the largest factor by which covariates may move a parameter."""


def law_of(fit: PurchaseFit, rows: Histories | None = None) -> Any:
    """The model at the parameters; with covariates at those of each row."""
    demand_parameters(fit)
    family = FAMILIES[fit.model]
    values: dict[str, Any] = {name: fit.params[name] for name in family.parameters}
    if rows is not None and rows.purchase is not None:
        values["alpha"] = values["alpha"] * np.exp(-_moved(fit, "purchase", rows.purchase))
    if rows is not None and rows.dropout is not None and family.moved is not None:
        name, sign = family.moved
        values[name] = values[name] * np.exp(sign * _moved(fit, "dropout", rows.dropout))
    return family.law(**values)


def _moved(fit: PurchaseFit, part: str, covariates: Floats) -> Floats:
    """By how much covariates move the logarithm of a parameter."""
    by = np.array([value for name, value in fit.params.items() if name.startswith(f"{part}[")]) @ covariates
    if (far := float(np.abs(by).max(initial=0.0))) > _FARTHEST:
        raise DataError(
            f"{part}_covariates move a parameter by a factor of exp({far:.3g}), far beyond the customers that the fit knows; check "
            "their units.",
            code="data.covariates",
        )
    return np.asarray(by)


def purchases(fit: PurchaseFit, rows: Histories, span: float, delta: float = 0.0) -> tuple[Floats, Floats]:
    """Expected purchases in the next `span` units, discounted by delta per unit, and the slopes of their logarithm."""
    alive, by_alive = law_of(fit, rows).p_alive_slopes(rows.x, rows.t_x, rows.T)
    mean, by_mean = coming(fit, rows, span, delta)
    return alive * mean, by_alive + by_mean


def mean_purchases(fit: PurchaseFit, rows: Histories, span: float, delta: float = 0.0) -> Floats:
    """The same without the slopes."""
    one, of = _kinds(rows)
    kinds = rows.take(one)
    law = law_of(fit, kinds)
    mean = law.discounted(kinds.x, kinds.T, span, delta) if delta else law.expected(kinds.x, kinds.T, span)
    return np.asarray(law_of(fit, rows).p_alive(rows.x, rows.t_x, rows.T) * mean[of])


def coming(fit: PurchaseFit, rows: Histories, span: float, delta: float = 0.0) -> tuple[Floats, Floats]:
    """Purchases of those who are alive, and the slopes of their logarithm."""
    one, of = _kinds(rows)
    kinds = rows.take(one)
    law = law_of(fit, kinds)
    mean, slopes = law.discounted_slopes(kinds.x, kinds.T, span, delta) if delta else law.expected_slopes(kinds.x, kinds.T, span)
    return mean[of], (slopes / np.maximum(mean, 1e-300))[:, of]


def chances(fit: PurchaseFit, rows: Histories, span: float, count: int) -> Floats:
    """P(Y = count) of purchases Y in the next `span` units, which are none unless the customer is alive."""
    one, of = _kinds(rows)
    found = np.concatenate([_given_alive(fit, rows.take(one[begin : begin + _BLOCK]), span, count) for begin in range(0, len(one), _BLOCK)])
    alive = law_of(fit, rows).p_alive(rows.x, rows.t_x, rows.T)
    return np.asarray(alive * found[of] + (1 - alive) * (count == 0))


def _given_alive(fit: PurchaseFit, rows: Histories, span: float, count: int) -> Floats:
    """The same of customers who are alive, of a few kinds."""
    from scipy.special import betainc

    law = law_of(fit, rows)
    if FAMILIES[fit.model].discrete:
        return np.asarray(next(law.counts(rows.x, rows.T, span, count)))
    if count:  # no more likely than that customers who never drop out buy so often or more
        most = betainc(count, law.r + rows.x, span / (law.alpha + rows.T + span))
        if not most.any():
            return np.asarray(most)
    return np.asarray(next(itertools.islice(law.counts(rows.x, rows.T, span), count, None)))


def _kinds(rows: Histories) -> tuple[Ints, Ints]:
    """What comes from those who are alive depends on frequency, age and covariates: a row of each kind, and the kind of each row."""
    return distinct(rows.x, rows.T, *rows.covariates)


def spread(fit: PurchaseFit, rows: Histories, slopes: Floats) -> Floats:
    """The standard error of a logarithm whose slopes in the logs of the four parameters are given, row by row."""
    family, parts = FAMILIES[fit.model], [slopes]
    if rows.purchase is not None:
        parts.append(-rows.purchase * slopes[1])
    if rows.dropout is not None and family.moved is not None:
        name, sign = family.moved
        parts.append(sign * rows.dropout * slopes[family.parameters.index(name)])
    return deviation(log_covariance(fit), np.concatenate(parts))
