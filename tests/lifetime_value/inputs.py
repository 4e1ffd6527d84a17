"""What the tests of fits share: models by name, published data in weeks, and simulated customers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import files
from typing import Any

import numpy as np
import pandas as pd

import opsmetrics as om
from benchmarks import simulated_customers as simulators
from tests.support import data


@dataclass(frozen=True, eq=False)
class Model:
    """A model of buying, before and after it is fitted, and what lifetimes calls it."""

    name: str
    spec: Any
    fit: Any
    fitter: str
    params: Mapping[str, float]

    def __str__(self) -> str:
        return self.name


BG = Model("bg_nbd", om.BetaGeo, om.BetaGeoFit, "BetaGeoFitter", {"r": 0.8, "alpha": 20.0, "a": 0.9, "b": 2.5})
MBG = Model("mbg_nbd", om.ModifiedBetaGeo, om.ModifiedBetaGeoFit, "ModifiedBetaGeoFitter", {"r": 0.8, "alpha": 20.0, "a": 0.9, "b": 2.5})
PARETO = Model("pareto_nbd", om.ParetoNBD, om.ParetoNBDFit, "ParetoNBDFitter", {"r": 0.8, "alpha": 20.0, "s": 0.9, "beta": 60.0})
BB = Model(
    "bg_bb",
    om.BetaGeoBetaBinom,
    om.BetaGeoBetaBinomFit,
    "BetaGeoBetaBinomFitter",
    {"alpha": 1.2, "beta": 0.75, "gamma": 0.66, "delta": 2.8},
)
CONTINUOUS = (BG, MBG, PARETO)
MODELS = (*CONTINUOUS, BB)

CDNOW: dict[str, Any] = {"customer": "sample_id", "time": "date", "amount": "amount"}
HISTORY = ["frequency", "recency", "T"]


def quiet(call: Callable[..., Any], *args: Any, **choices: Any) -> Any:
    """The answer, where what the library warns of is not the question."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)
        return call(*args, **choices)


def at(model: Model, params: Mapping[str, float] | None = None, *, unit: str = "week", covariance: Any = None, **choices: Any) -> Any:
    """A fit with these parameters."""
    params = model.params if params is None else params
    saved = {
        "model": model.name, "params": dict(params), "covariance": covariance or {a: dict.fromkeys(params, 0.0) for a in params},
        "log_likelihood": None, "customers": 1.0, "converged": True, "reason": "given", "evaluations": 0, "warnings": [], "unit": unit,
        "penalty": 0.0, "purchase_covariates": [], "dropout_covariates": [],
    }  # fmt: skip
    return model.fit.from_dict(saved | choices)


def spending(p: float, q: float, v: float) -> om.GammaGammaFit:
    """A fit of amounts with these parameters."""
    covariance = {a: dict.fromkeys("pqv", 0.0) for a in "pqv"}
    return om.GammaGammaFit.from_dict(
        {
            "params": {"p": p, "q": q, "v": v}, "covariance": covariance, "log_likelihood": None, "customers": 1.0, "converged": True,
            "reason": "given", "evaluations": 0, "warnings": [], "penalty": 0.0, "correlation": None, "left_out": 0.0,
        }
    )  # fmt: skip


def rows(x: Any, t_x: Any, T: Any) -> dict[str, Any]:
    """Histories as arrays, the second door."""
    return {"frequency": x, "recency": t_x, "T": T}


def predicted(found: Any) -> Any:
    """The last column of predictions without an interval."""
    return found.table.iloc[:, -1].to_numpy()


# ------------------------------------------------------------------------------------------------------------- data


@cache
def cdnow() -> pd.DataFrame:
    """The purchases that the literature fits."""
    return pd.read_parquet(data("cdnow_sample.parquet"))


def in_weeks(summary: Any) -> pd.DataFrame:
    """Days as exact weeks, which the literature counts in."""
    table = summary.table
    return table.assign(recency=table["recency"] / 7, T=table["T"] / 7)


@cache
def cdnow_weeks() -> pd.DataFrame:
    """39 weeks of CDNOW, and the number of purchases in the 39 weeks after."""
    return in_weeks(om.clv_summary(cdnow(), **CDNOW, as_of="1998-06-30", calibration_end="1997-09-30"))


def csv_of_lifetimes(name: str) -> pd.DataFrame:
    """A table that the distribution of lifetimes brings along; the package itself is not imported."""
    (path,) = [file for file in files("lifetimes") or [] if file.name == name]
    return pd.read_csv(path.locate())


def simulated(model: Model, customers: int, seed: int, *, T: Any = None, **params: float) -> pd.DataFrame:
    """Histories of customers who buy as the model says; in whole periods for BG/BB."""
    rng = np.random.default_rng(seed)
    params = {**model.params, **params}
    if model is BB:
        return beta_binomial(rng, np.full(customers, 6) if T is None else T, **params)
    ages = rng.uniform(30.0, 300.0, customers) if T is None else T
    made = getattr(simulators, model.name)(rng, ages, 60.0, **params)
    return pd.DataFrame({"frequency": made.x, "recency": made.t_x, "T": made.T, "later": made.later, "alive": made.alive})


def beta_binomial(rng: np.random.Generator, T: Any, *, alpha: float, beta: float, gamma: float, delta: float) -> pd.DataFrame:
    """Customers toss for a purchase in each period that they live to see, and before it for whether they do."""
    p, theta = rng.beta(alpha, beta, len(T)), rng.beta(gamma, delta, len(T))
    period = np.arange(1, int(np.max(T)) + 1)
    lives = rng.geometric(np.maximum(theta, 1e-12))[:, None] > period
    buys = (rng.random((len(T), len(period))) < p[:, None]) & lives & (period <= np.asarray(T)[:, None])
    return pd.DataFrame({"frequency": buys.sum(axis=1), "recency": (buys * period).max(axis=1), "T": T})


def amounts(customers: int, seed: int, *, p: float = 6.0, q: float = 4.0, v: float = 15.0) -> pd.DataFrame:
    """Mean amounts of customers who spend as the Gamma-Gamma model says."""
    rng = np.random.default_rng(seed)
    x = rng.poisson(2.0, customers)
    mean, _ = simulators.gamma_gamma(rng, x, p=p, q=q, v=v)
    return pd.DataFrame({"frequency": x, "monetary_value": mean})


ORDERS: dict[str, Any] = {"customer": "customer", "time": "time", "amount": "amount"}
LAST_DAY = "2025-12-31"


def orders_of(customers: int, seed: int, *, ahead: int = 180) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Purchases of MBG/NBD customers with Gamma-Gamma amounts up to `LAST_DAY`, and what each brings in the days ahead.

    Customers arrive over a year; while they stay they buy at their own rate, and after each purchase they leave with their own chance.
    """
    rng = np.random.default_rng(seed)
    rate, chance = rng.gamma(1.2, 1 / 25.0, customers), rng.beta(0.7, 3.0, customers)
    mean, first = 15.0 / rng.gamma(4.0, 1.0, customers) * 6.0, rng.integers(1, 366, customers).astype(float)
    rows: list[tuple[int, float, float]] = []
    for customer in range(customers):
        now = -first[customer]
        while now <= ahead:
            rows.append((customer, np.ceil(now), round(rng.gamma(6.0, mean[customer] / 6.0), 2)))
            if rng.random() < chance[customer]:
                break
            now += rng.exponential(1 / rate[customer])
    log = pd.DataFrame(rows, columns=["customer", "day", "amount"])
    log = log[log["day"] <= ahead].assign(
        time=lambda f: pd.Timestamp(LAST_DAY) + pd.to_timedelta(f["day"], unit="D") + pd.Timedelta(hours=9)
    )
    later = log[log["day"] > 0].groupby("customer").agg(purchases=("day", "nunique"), value=("amount", "sum"))
    return log.loc[log["day"] <= 0, ["customer", "time", "amount"]], later.reindex(range(customers), fill_value=0)
