"""Many tests at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def holm(p_values: npt.ArrayLike) -> Floats:
    """P-values adjusted so that the chance of any false alarm among them is bounded, whatever their dependence. Missing ones stay missing.

    S. Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 65-70.
    """
    p = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(p))
    adjusted = np.full(p.shape, np.nan)
    by_size = known[np.argsort(p[known], kind="stable")]
    steps = p[by_size] * np.arange(by_size.size, 0, -1)
    adjusted[by_size] = np.minimum(np.maximum.accumulate(steps), 1.0) if by_size.size else steps
    return adjusted
