"""The models of buying by name: their parameters, their likelihoods, and where the search for the parameters begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial as bind
from typing import Any, Final, Literal

import numpy as np

from opsmetrics._frames import Floats
from opsmetrics._kernels import beta_binomial, beta_geo, pareto_nbd
from opsmetrics._kernels.histories import Histories, Total

Name = Literal["bg_nbd", "mbg_nbd", "pareto_nbd", "bg_bb"]


@dataclass(frozen=True, slots=True)
class Family:
    """A model of buying.

    `timed` has the parameters that are counted in units of time, `moved` the one that covariates of the dropout move, with the sign by
    which they do. `rough` is a likelihood that is cheaper and nearly right. `fitter` is its name in the lifetimes package.

    The search begins at each of `near`, one for each hill that likelihoods are known to have, and where that comes to nothing at `far`:
    r, which near starts have in units of what the moments tell, the purchase rate in units of the mean, and the parameters of the dropout.
    """

    title: str
    fitter: str
    parameters: tuple[str, ...]
    law: Callable[..., Any]
    likelihood: Callable[[Floats, Histories], Total]
    near: tuple[tuple[float, ...], ...]
    far: tuple[tuple[float, ...], ...]
    timed: tuple[str, ...] = ()
    moved: tuple[str, float] | None = None
    discrete: bool = False
    rough: Callable[[Floats, Histories], Total] | None = None

    @property
    def kept(self) -> str:
        """The name of the class of its fits."""
        return self.fitter.removesuffix("ter")

    def starts(self, histories: Histories) -> tuple[Iterable[Floats], Iterable[Floats]]:
        """The logs of the parameters at the near and at the far starts.

        As in a negative binomial without dropout, r is about mean^2 / (variance - mean) of the purchases.
        """
        if self.discrete:
            return (np.log(shape) for shape in self.near), (np.log(shape) for shape in self.far)
        x, share = histories.x, histories.weights / histories.weights.sum()
        mean = float(share @ x)
        rate, beyond = mean / float(share @ histories.T), float(share @ (x - mean) ** 2) - mean
        told = min(max(mean * mean / max(beyond, 1e-9), 0.05), 20.0)

        def start(size: float, r: float, faster: float, *dropout: float) -> Floats:
            return np.log([size * r, size * r / (faster * rate), *dropout])

        return (start(told, *shape) for shape in self.near), (start(1.0, *shape) for shape in self.far)


_COINS = ((3.0, 1.0, 0.1, 10.0), (0.1, 1.0, 5.0, 5.0), (20.0, 1.0, 1.0, 1.0), (1.0, 1.0, 0.02, 0.5))

FAMILIES: Final[dict[str, Family]] = {
    "bg_nbd": Family(
        "BG/NBD", "BetaGeoFitter", ("r", "alpha", "a", "b"), beta_geo.BetaGeo, beta_geo.likelihood,
        near=((1.0, 1.5, 0.8, 2.5),),
        far=_COINS,
        timed=("alpha",), moved=("a", 1.0),
    ),
    "mbg_nbd": Family(
        "MBG/NBD", "ModifiedBetaGeoFitter", ("r", "alpha", "a", "b"), bind(beta_geo.BetaGeo, first=1), bind(beta_geo.likelihood, first=1),
        near=((1.0, 1.5, 0.8, 2.5), (2.0, 2.0, 0.3, 0.3)),  # one-time buyers: who would come back some day, or who are gone at once
        far=_COINS,
        timed=("alpha",), moved=("a", 1.0),
    ),
    "pareto_nbd": Family(
        "Pareto/NBD", "ParetoNBDFitter", ("r", "alpha", "s", "beta"), pareto_nbd.ParetoNBD, pareto_nbd.likelihood,
        near=((1.0, 1.5, 0.6, 0.6),),
        far=((3.0, 1.0, 0.2, 5.0), (0.1, 1.0, 2.0, 0.2), (20.0, 1.0, 1.0, 1.0), (1.0, 1.0, 5.0, 20.0)),
        timed=("alpha", "beta"), moved=("beta", -1.0), rough=bind(pareto_nbd.likelihood, nodes=pareto_nbd.ROUGH_NODES),
    ),
    "bg_bb": Family(
        "BG/BB", "BetaGeoBetaBinomFitter", ("alpha", "beta", "gamma", "delta"), beta_binomial.BetaBinomial, beta_binomial.likelihood,
        near=((1.0, 1.0, 0.5, 2.0),),
        far=((0.3, 1.0, 0.1, 5.0), (2.0, 2.0, 2.0, 2.0), (5.0, 20.0, 1.0, 10.0), (0.5, 0.5, 0.2, 0.2)),
        discrete=True,
    ),
}  # fmt: skip


def told_by(saved: object) -> Family | None:
    """The model of buying that a saved fit says it is one of."""
    return FAMILIES.get(str(saved.get("model"))) if isinstance(saved, Mapping) else None
