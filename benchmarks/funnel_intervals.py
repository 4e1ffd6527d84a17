"""How often the interval of a rate of attempts holds the truth, where the attempts of a customer resemble each other: a simulation."""

from __future__ import annotations

import numpy as np

from opsmetrics._kernels import rates

SIMULATIONS, CONFIDENCE = 20_000, 0.95
SHOPS = {"100 customers, 20 %": (100, 0.2, 2.0), "300 customers, 20 %": (300, 0.2, 2.0), "1,000 customers, 3 %": (1_000, 0.03, 6.0)}
"""Customers, mean rate, and how alike a customer's attempts are: rates are beta distributed with this total of pseudo-counts."""


def coverage(customers: int, rate: float, alike: float, simulations: int = SIMULATIONS) -> tuple[float, float]:
    """The share of intervals that hold the rate: with customers as clusters, and with all attempts taken as independent."""
    rng = np.random.default_rng(1)
    held = np.zeros(2)
    for _ in range(simulations):
        tries = 1 + rng.poisson(rng.gamma(1.0, 3.0, customers))
        hits = rng.binomial(tries, rng.beta(alike * rate, alike * (1 - rate), customers)).astype(float)
        x = tries.astype(float)
        size = rates.effective_size(hits.sum(), x.sum(), hits @ hits, hits @ x, x @ x, customers)
        share = hits.sum() / x.sum()
        for place, n in enumerate((size, x.sum())):
            low, high = rates.wilson(share * n, n, CONFIDENCE)
            held[place] += low <= rate <= high
    return float(held[0] / simulations), float(held[1] / simulations)


def main() -> bool:
    """Run, print, and tell whether the interval keeps its promise within two points."""
    error = (CONFIDENCE * (1 - CONFIDENCE) / SIMULATIONS) ** 0.5
    print(f"Intervals of attempts at {CONFIDENCE:.0%}: {SIMULATIONS:,} simulations each, Monte Carlo error {error:.2%}")
    met = []
    for name, shop in SHOPS.items():
        clustered, naive = coverage(*shop)
        good = abs(clustered - CONFIDENCE) <= 0.02
        met.append(good)
        print(f"  {name:<24} customers as clusters {clustered:.1%}   attempts as independent {naive:.1%}   {'met' if good else 'MISSED'}")
    return all(met)


if __name__ == "__main__":
    main()
