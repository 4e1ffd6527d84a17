"""Inference that holds at every sample size at once, by mixtures of likelihood ratios: their chance ever to exceed 1 / a is at most a.

I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy & A. Ramdas (2024), Time-uniform central limit theory and asymptotic confidence
sequences, Annals of Statistics 52, 2613-2640; for normal data it is the mixture sequential probability ratio test of H. Robbins (1970),
Annals of Mathematical Statistics 41, 1397-1409, and R. Johari, P. Koomen, L. Pekelis & D. Walsh (2022), Operations Research 70, 1806-1821.

Effects in standard deviations of a unit have the mixture N(0, rho2), under which the statistic z of n units has the variance 1 + n rho2.
One-sided mixtures keep the half of the effects that is above 0.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import rising

Floats = npt.NDArray[np.float64]


def tuned(n: float, error: float) -> float:
    """The variance of the mixture whose interval at n units is about the narrowest (Waudby-Smith et al.)."""
    least = -2 * math.log(error)
    return (least + math.log1p(least)) / n


def shrinkage(n: npt.ArrayLike, rho2: float) -> Floats:
    """The part of an estimate that is left under the mixture as a prior, n rho2 / (n rho2 + 1)."""
    grown = np.asarray(n, dtype=np.float64) * rho2
    return np.asarray(grown / (grown + 1))


def log_evidence(z: npt.ArrayLike, n: npt.ArrayLike, rho2: float, sides: int) -> Floats:
    """The logarithm of the likelihood ratio of the mixture to no effect, 1/2 s z^2 - 1/2 log(n rho2 + 1) with s the shrinkage.

    On one side the likelihood is that of the effects above 0, twice the whole times Phi(z sqrt s).
    """
    from scipy.special import log_ndtr

    at, kept = np.asarray(z, dtype=np.float64), shrinkage(n, rho2)
    whole = 0.5 * kept * at * at - 0.5 * np.log1p(np.asarray(n, dtype=np.float64) * rho2)
    return np.asarray(whole if sides == 2 else whole + math.log(2) + log_ndtr(at * np.sqrt(kept)))


def p_value(z: npt.ArrayLike, n: npt.ArrayLike, rho2: float, sides: int) -> Floats:
    """The always valid p-value: one over the evidence, at most 1."""
    return np.exp(np.minimum(-log_evidence(z, n, rho2, sides), 0.0))


def critical(n: npt.ArrayLike, rho2: float, error: float, sides: int) -> Floats:
    """The z from which the evidence is 1 / error; infinite without units.

    On two sides z^2 = (n rho2 + 1) / (n rho2) log((n rho2 + 1) / error^2). On one side Newton's steps come down to the root, for the
    logarithm of the evidence is convex and increasing.
    """
    from scipy.special import log_ndtr

    units, kept = np.asarray(n, dtype=np.float64), shrinkage(n, rho2)
    some = kept > 0
    safe = np.where(some, kept, 0.5)
    z = np.sqrt((np.log1p(units * rho2) - 2 * math.log(error)) / safe)
    if sides == 1:
        for _ in range(60):
            root = np.sqrt(safe)
            slope = safe * z + root * np.exp(-0.5 * safe * z * z - log_ndtr(z * root)) / math.sqrt(2 * math.pi)
            step = (log_evidence(z, units, rho2, 1) + math.log(error)) / slope
            z = z - np.where(some, step, 0.0)
            if (np.abs(step) <= 1e-14 * np.maximum(np.abs(z), 1.0))[some].all():
                break
    return np.where(some, z, np.inf)


def split_evidence(counts: npt.ArrayLike, shares: npt.ArrayLike, concentration: float) -> Floats:
    """The logarithm of the evidence against a split in these shares, from the counts up to each look, arms along the last axis.

    The likelihood ratio of a Dirichlet(concentration x shares) mixture of shares to the shares themselves: M. Lindon & A. Malek (2022),
    Anytime-valid inference for multinomial count data, NeurIPS 35. One over the largest evidence so far is a p-value that is
    always valid.
    """
    seen, planned = np.asarray(counts, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    prior = concentration * planned
    grown = rising.logs(np.broadcast_to(prior, seen.shape), seen) - seen * np.log(planned)
    total = rising.logs(np.full(seen.shape[:-1], prior.sum()), seen.sum(axis=-1))
    return np.asarray(grown.sum(axis=-1) - total)
