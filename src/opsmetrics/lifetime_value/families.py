"""The models of buying by name: their parameters, their likelihoods, and where the search for the parameters begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    which they do. `rough` is a likelihood that is cheaper and nearly right. `fitter` is its name in the lifetimes package, and `starts` has
    the parameters that the search begins from, at a purchase rate of one.
    """

    title: str
    fitter: str
    parameters: tuple[str, ...]
    law: Callable[..., Any]
    likelihood: Callable[[Floats, Histories], Total]
    starts: tuple[tuple[float, ...], ...]
    timed: tuple[str, ...] = ()
    moved: tuple[str, float] | None = None
    discrete: bool = False
    rough: Callable[[Floats, Histories], Total] | None = None

    def start(self, shape: Sequence[float], rate: float) -> Floats:
        """The logs of the parameters at a start; the scale of the purchase rate makes its mean that of the data."""
        values = dict(zip(self.parameters, shape, strict=True))
        if not self.discrete:
            values["alpha"] = values["r"] / rate
        return np.log([values[name] for name in self.parameters])


_COINS = ((0.5, 1.0, 0.8, 2.5), (3.0, 1.0, 0.1, 10.0), (0.1, 1.0, 5.0, 5.0), (20.0, 1.0, 1.0, 1.0), (1.0, 1.0, 0.02, 0.5))

FAMILIES: Final[dict[str, Family]] = {
    "bg_nbd": Family(
        "BG/NBD", "BetaGeoFitter", ("r", "alpha", "a", "b"), beta_geo.BetaGeo, beta_geo.likelihood, _COINS, ("alpha",), ("a", 1.0)
    ),
    "mbg_nbd": Family(
        "MBG/NBD", "ModifiedBetaGeoFitter", ("r", "alpha", "a", "b"), bind(beta_geo.BetaGeo, first=1),
        bind(beta_geo.likelihood, first=1), _COINS, ("alpha",), ("a", 1.0),
    ),
    "pareto_nbd": Family(
        "Pareto/NBD", "ParetoNBDFitter", ("r", "alpha", "s", "beta"), pareto_nbd.ParetoNBD, pareto_nbd.likelihood,
        ((0.5, 1.0, 0.6, 0.6), (3.0, 1.0, 0.2, 5.0), (0.1, 1.0, 2.0, 0.2), (20.0, 1.0, 1.0, 1.0), (1.0, 1.0, 5.0, 20.0)),
        ("alpha", "beta"), ("beta", -1.0), rough=bind(pareto_nbd.likelihood, nodes=pareto_nbd.ROUGH_NODES),
    ),
    "bg_bb": Family(
        "BG/BB", "BetaGeoBetaBinomFitter", ("alpha", "beta", "gamma", "delta"), beta_binomial.BetaBinomial, beta_binomial.likelihood,
        ((1.0, 1.0, 0.5, 2.0), (0.3, 1.0, 0.1, 5.0), (2.0, 2.0, 2.0, 2.0), (5.0, 20.0, 1.0, 10.0), (0.5, 0.5, 0.2, 0.2)),
        discrete=True,
    ),
}  # fmt: skip
