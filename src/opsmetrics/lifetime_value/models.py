"""Models of buying before they are fitted, and what each is called when it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from opsmetrics import _checks
from opsmetrics._frames import Floats
from opsmetrics._kernels.histories import FOUR, Histories, Total
from opsmetrics.errors import FitError, ParameterError
from opsmetrics.lifetime_value import doors
from opsmetrics.lifetime_value.doors import DAYS_IN
from opsmetrics.lifetime_value.estimation import Estimate, Surface, estimate, stages
from opsmetrics.lifetime_value.families import FAMILIES, Family
from opsmetrics.lifetime_value.fits import PurchaseFit, parameter_names
from opsmetrics.lifetime_value.fitted import FARTHEST, estimated, told

FitT = TypeVar("FitT", bound=PurchaseFit)


def fit(penalty: float, kind: type[FitT], summary: object, weights: str | None, unit: str | None, **covariates: Sequence[str]) -> FitT:
    """Read a summary and estimate a model from it."""
    covariates = {part: _checks.listed(f"{part}_covariates", names) for part, names in covariates.items()}
    door = doors.enter(summary, weights=weights, **covariates)
    asked = (door.unit or "day") if unit is None else unit
    own = _checks.choice("unit", asked, tuple(DAYS_IN))
    if door.unit is not None and own != door.unit:
        raise ParameterError(f"unit={unit!r}, but the summary counts in {door.unit}s; leave unit out.", code="parameter.unit")
    purchase, dropout = (tuple(covariates.get(part, ())) for part in ("purchase", "dropout"))
    _refuse_constant(door.histories, purchase, dropout)
    return told(fit_histories(kind, door.histories, own, penalty, purchase, dropout))


def fit_histories(
    kind: type[FitT], histories: Histories, unit: Any, penalty: float = 0.0, purchase: tuple[str, ...] = (), dropout: tuple[str, ...] = ()
) -> FitT:
    """Estimate a model from histories."""
    family = FAMILIES[kind.model]
    if family.discrete:
        doors.refuse_fractions(histories)
    names = parameter_names(family.parameters, purchase, dropout)
    customers = float(histories.weights.sum())
    known = {"customers": customers, "unit": unit, "penalty": penalty, "purchase_covariates": purchase, "dropout_covariates": dropout}
    if not (histories.weights @ histories.x) or not (histories.weights @ histories.T):
        reason = "no customer has a repeat purchase" if not (histories.weights @ histories.x) else "all histories have no length (T = 0)"
        sentence = f"nothing can be estimated: {reason}, so the data say nothing of rates. Wait for more orders."
        return kind(
            params={}, covariance={}, log_likelihood=-np.inf, converged=False, reason=reason, evaluations=0, warnings=(sentence,), **known
        )
    found, scale = _estimate(family, histories, names, penalty)
    timed = [scale if name in family.timed else 1.0 for name in family.parameters]
    if np.abs(found.theta[:4]).max() > FARTHEST:
        raise FitError(
            f"{[*purchase, *dropout]} lie so far from 0 that a parameter at 0 of them is no number; subtract their means first.",
            code="fit.covariates",
        )
    values = np.concatenate([np.exp(found.theta[:4]) * timed, found.theta[4:]])
    return kind(
        **estimated(names, values, found.covariance, FOUR),
        log_likelihood=found.log_likelihood, converged=found.converged, reason=found.reason, evaluations=found.evaluations,
        warnings=found.warnings, **known,
    )  # fmt: skip


def _estimate(family: Family, histories: Histories, names: Sequence[str], penalty: float) -> tuple[Estimate, float]:
    """Estimate with times in units of the mean T, so that no unit is too large or too small; and that unit."""
    rows, histories = int(np.count_nonzero(histories.weights)), histories.merged()
    customers = float(histories.weights.sum())
    scale = 1.0 if family.discrete else float(histories.weights @ histories.T) / customers
    scaled, back = _standardised(family, histories.scaled(scale))
    none = np.zeros(len(names) - FOUR)
    parts = stages(len(scaled))
    near, far = ((np.concatenate([start, none]) for start in starts) for starts in family.starts(scaled.rows(parts[0])))

    def surface(likelihood: Callable[[Floats, Histories], Total], rows: slice) -> Surface:
        part = scaled.rows(rows)
        return Surface(lambda theta: likelihood(theta, part), float(part.weights.sum()))

    *few, every = parts
    likelihoods = [own for own in (family.rough, family.likelihood) if own is not None]
    surfaces = [*(surface(likelihoods[0], rows) for rows in few), *(surface(own, every) for own in likelihoods)]
    found = estimate(surfaces, [*near], far, names, FOUR, penalty, rows)
    own_units = found.log_likelihood - float(histories.weights @ histories.x) * float(np.log(scale))
    return replace(found, theta=back @ found.theta, covariance=back @ found.covariance @ back.T, log_likelihood=own_units), scale


def _standardised(family: Family, histories: Histories) -> tuple[Histories, Floats]:
    """Covariates with mean 0 and deviation 1, which no unit and no origin disturbs; and what leads back to parameters of their own."""
    purchase, dropout = histories.coefficients
    back = np.eye(FOUR + purchase + dropout)
    parts: dict[str, Any] = {}
    place = FOUR
    for name, rows, (moved, sign) in (
        ("purchase", histories.purchase, ("alpha", -1.0)),
        ("dropout", histories.dropout, family.moved or ("", 0.0)),
    ):
        if rows is None:
            continue
        mean = rows @ histories.weights / histories.weights.sum()
        size = np.sqrt((rows - mean[:, None]) ** 2 @ histories.weights / histories.weights.sum())
        own = slice(place, place + len(rows))
        # log p + sign z gamma = (log p + sign mean gamma) + sign (z - mean) / size (size gamma)
        back[own, own] = np.diag(1 / size)
        back[family.parameters.index(moved), own] = -sign * mean / size
        parts[name] = (rows - mean[:, None]) / size[:, None]
        place += len(rows)
    return replace(histories, **parts), back


def _refuse_constant(histories: Histories, purchase: Sequence[str], dropout: Sequence[str]) -> None:
    """Covariates that say nothing, or the same twice."""
    for argument, names, rows in (("purchase", purchase, histories.purchase), ("dropout", dropout, histories.dropout)):
        if rows is None:
            continue
        counted = rows[:, histories.weights > 0]
        spread = counted - counted.mean(axis=1, keepdims=True)
        if np.linalg.matrix_rank(spread / np.maximum(np.abs(spread).max(axis=1, keepdims=True), 1e-300)) < len(rows):
            raise FitError(
                f"{argument}_covariates={list(names)} do not differ between customers, or one follows from the others; leave one out.",
                code="fit.covariates",
            )


def penalty_of(value: object) -> float:
    """The weight of the pull on the logs of the parameters."""
    clean = float(_checks.number("penalty", value))
    if clean < 0:
        raise ParameterError(f"penalty={value!r} must be 0 (none) or more; 0.01 to 1 is usual.", code="parameter.penalty")
    return clean
