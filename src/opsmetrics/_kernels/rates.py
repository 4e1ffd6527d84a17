"""Rates of counts with their uncertainty."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def wilson(successes: npt.ArrayLike, trials: npt.ArrayLike, confidence: float) -> tuple[Floats, Floats]:
    """Wilson's score interval of a proportion: low and high.

    The set of p whose score test does not reject, (k/n - p)^2 <= z^2 p(1-p)/n, solved for p. Without trials nothing is known: [0, 1].

    E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22, 209-212.
    """
    from scipy.special import ndtri  # as dear to import as half of pandas, and needed by intervals only

    k, n = np.broadcast_arrays(np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64))
    z2 = ndtri(0.5 + confidence / 2.0) ** 2
    known = n > 0
    m = np.where(known, n, 1.0)
    p = k / m
    centre = p + z2 / (2 * m)
    half = np.sqrt(z2 * (p * (1 - p) / m + z2 / (4 * m * m)))
    scale = 1 + z2 / m
    # At k = 0 and k = n one end is 0 or 1 by algebra; in floats it misses by a last bit.
    low = np.where(k == 0, 0.0, (centre - half) / scale)
    high = np.where(k == n, 1.0, (centre + half) / scale)
    return np.where(known, low, 0.0), np.where(known, high, 1.0)
