"""Which model of buying: the one that is named, or the one that the data speak for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np

from opsmetrics import _checks, _output
from opsmetrics._frames import Backend, Column, Floats
from opsmetrics._kernels.histories import Histories
from opsmetrics._results import Held
from opsmetrics.errors import FitError, ParameterError
from opsmetrics.lifetime_value import validations
from opsmetrics.lifetime_value.fits import PurchaseFit
from opsmetrics.lifetime_value.fitted import demand_parameters, told
from opsmetrics.lifetime_value.models import fit_histories
from opsmetrics.lifetime_value.specs import BetaGeoFit, ModifiedBetaGeoFit, ParetoNBDFit, PurchaseModel
from opsmetrics.lifetime_value.spending import GammaGamma, GammaGammaFit

Model: TypeAlias = Literal["bg_nbd", "mbg_nbd", "pareto_nbd", "auto", "auto_holdout"]

KINDS: Final[dict[str, type[PurchaseFit]]] = {kind.model: kind for kind in (BetaGeoFit, ModifiedBetaGeoFit, ParetoNBDFit)}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The fit that was chosen, why, and what speaks for each that was fitted."""

    fit: PurchaseFit
    why: str | None
    candidates: Sequence[PurchaseFit]
    scores: Floats | None = None

    def columns(self, backend: Backend) -> dict[str, Column]:
        """One row per model that was fitted."""
        content: dict[str, Column] = {
            "model": _output.words(backend, [fit.title for fit in self.candidates], np.arange(len(self.candidates))),
            "log_likelihood": np.array([fit.log_likelihood for fit in self.candidates]),
            "aic": np.array([fit.aic for fit in self.candidates]),
            "converged": np.array([fit.converged for fit in self.candidates]),
        }
        if self.scores is not None:
            content["crps"] = self.scores
        return content | {"chosen": np.array([fit is self.fit for fit in self.candidates])}


def understand(model: object) -> str | PurchaseModel[PurchaseFit] | PurchaseFit:
    """A model by its name, as it is before it is fitted, or a fit that customers can be valued by."""
    if isinstance(model, PurchaseModel):
        return model
    if isinstance(model, str):
        return str(_checks.choice("model", model, get_args(Model)))
    if not isinstance(model, PurchaseFit):
        raise ParameterError(
            f"model is of the type {type(model).__name__}; name one of {list(get_args(Model))}, or give om.BetaGeo(), "
            "om.ModifiedBetaGeo() or om.ParetoNBD(), or the fit of one, which values have as .fit.",
            code="parameter.model",
        )
    if type(model) not in KINDS.values():
        raise ParameterError(
            f"model is a fit of {model.title}, which counts periods; values need a model of days: {', '.join(KINDS)}.",
            code="parameter.model",
        )
    demand_parameters(model)
    if model.unit != "day":
        raise ParameterError(
            f"model is a fit by the {model.unit}, and values are by the day; fit it to a summary with unit='day'.", code="parameter.model"
        )
    if covariates := [*model.purchase_covariates, *model.dropout_covariates]:
        raise ParameterError(
            f"model is a fit with the covariates {covariates}, which orders do not tell; use its discounted_purchases on a table that has "
            "them.",
            code="parameter.model",
        )
    return model


def understand_spending(model: object) -> GammaGamma | GammaGammaFit:
    """The model of amounts, or a fit of it."""
    if model is None:
        return GammaGamma()
    if not isinstance(model, (GammaGamma, GammaGammaFit)):
        raise ParameterError(
            f"spend_model is of the type {type(model).__name__}; give om.GammaGamma(), with a penalty or without, or a fit of it, which "
            "values have as .spend_fit.",
            code="parameter.spend_model",
        )
    return model


def choose(model: str | PurchaseModel[PurchaseFit] | PurchaseFit, histories: Histories, orders: Held, asked: dict[str, Any]) -> Chosen:
    """Fit the model that is asked for, or all three and take one; a fit is taken as it is."""
    if isinstance(model, PurchaseFit):
        return Chosen(model, "a fit that was handed over", [model])
    if isinstance(model, PurchaseModel) or model in KINDS:
        kind, penalty = (KINDS[model], 0.0) if isinstance(model, str) else (model._kind(), model.penalty)
        fit = fit_histories(kind, histories, "day", penalty)
        return Chosen(told(fit) if fit.params else fit, None, [fit])
    candidates = [fit_histories(kind, histories, "day") for kind in KINDS.values()]
    known = [fit for fit in candidates if fit.params]
    if not known:
        return Chosen(candidates[0], None, candidates)
    if model == "auto":
        best = max(known, key=lambda fit: (fit.converged, fit.log_likelihood))
        return Chosen(told(best), _why(best, [fit for fit in known if fit is not best]), candidates)
    scores = np.array([validations.score(orders, fit, asked) for fit in candidates])
    if np.isnan(scores).all():
        raise FitError(
            "model='auto_holdout' cannot choose: the first half of the orders is too little for any model; use 'auto'.",
            code="fit.no_repeats",
        )
    place = int(np.nanargmin(scores))
    return Chosen(
        told(candidates[place]),
        f"{candidates[place].title} has the lowest mean CRPS ({scores[place]:.4f}) on the second half",
        candidates,
        scores,
    )


def _why(best: PurchaseFit, others: Sequence[PurchaseFit]) -> str:
    """What speaks for the model with the highest likelihood of those that converged."""
    rivals = [fit.log_likelihood for fit in others if fit.converged >= best.converged]
    lead = f", {best.log_likelihood - max(rivals):.1f} above the next" if rivals else ""
    if not best.converged:
        return f"no model converged; {best.title} has the highest log-likelihood{lead}"
    if all(fit.converged for fit in others):
        return f"{best.title} has the highest log-likelihood{lead}; all three have four parameters"
    return f"{best.title} converged, and of the models that did it fits best{lead}"


def no_model(fit: PurchaseFit) -> FitError:
    """Where there is nothing to value customers by."""
    return FitError(f"{fit.title}: {fit.warnings[0]}", code="fit.no_repeats")
