"""Which model of buying: the one that is named, or the one that the data speak for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from opsmetrics import _frames
from opsmetrics._frames import Backend, Column, Floats
from opsmetrics._kernels.histories import Histories
from opsmetrics._results import Held
from opsmetrics.errors import FitError
from opsmetrics.lifetime_value import validations
from opsmetrics.lifetime_value.fits import PurchaseFit
from opsmetrics.lifetime_value.models import fit_histories, told
from opsmetrics.lifetime_value.specs import BetaGeoFit, ModifiedBetaGeoFit, ParetoNBDFit

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
            "model": _frames.words(backend, [fit.title for fit in self.candidates], np.arange(len(self.candidates))),
            "log_likelihood": np.array([fit.log_likelihood for fit in self.candidates]),
            "aic": np.array([fit.aic for fit in self.candidates]),
            "converged": np.array([fit.converged for fit in self.candidates]),
        }
        if self.scores is not None:
            content["crps"] = self.scores
        return content | {"chosen": np.array([fit is self.fit for fit in self.candidates])}


def choose(model: str, histories: Histories, orders: Held, asked: dict[str, Any]) -> Chosen:
    """Fit the model that is named, or all three and take one."""
    if model in KINDS:
        fit = fit_histories(KINDS[model], histories, "day")
        return Chosen(told(fit) if fit.params else fit, None, [fit])
    candidates = [fit_histories(kind, histories, "day") for kind in KINDS.values()]
    known = [fit for fit in candidates if fit.params]
    if not known:
        return Chosen(candidates[0], None, candidates)
    if model == "auto":
        best = max(known, key=lambda fit: (fit.converged, fit.log_likelihood))
        return Chosen(told(best), _why(best, [fit for fit in known if fit is not best]), candidates)
    scores = np.array([validations.score(orders, type(fit), asked) for fit in candidates])
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
    if all(fit.converged for fit in others):
        return f"{best.title} has the highest log-likelihood{lead}; all three have four parameters"
    return f"{best.title} converged, and of the models that did it fits best{lead}"


def no_model(fit: PurchaseFit) -> FitError:
    """Where there is nothing to value customers by."""
    return FitError(f"{fit.title}: {fit.warnings[0]}", code="fit.no_repeats")
