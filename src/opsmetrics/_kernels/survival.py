"""Time until something happens, where for some it has not happened yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Curve:
    """A survival curve at the distinct times of events, with the ends of its pointwise interval."""

    time: Ints
    at_risk: Ints
    events: Ints
    censored: Ints
    survival: Floats
    low: Floats
    high: Floats


def kaplan_meier(times: Ints, happened: npt.NDArray[np.bool_], confidence: float) -> Curve:
    """The product-limit estimate S(t) with Greenwood's variance on the scale of log(-log S), which keeps the interval inside [0, 1].

    The curve has a row for each time of an event, and one where the last was seen. `censored` counts those last seen from this time on,
    before the next one; a tie of both counts as an event first.

    E. L. Kaplan & P. Meier (1958), Nonparametric estimation from incomplete observations, JASA 53, 457-481. J. D. Kalbfleisch & R. L.
    Prentice (2002), The Statistical Analysis of Failure Time Data, 2nd ed., 1.4 (the interval).
    """
    from scipy.special import ndtri

    time = np.unique(np.append(times[happened], times[times == times.max(initial=0)][:1]))
    ends = np.sort(times[happened])
    events = np.diff(np.searchsorted(ends, time, side="right"), prepend=0).astype(np.int64)
    ordered = np.sort(times)
    at_risk = len(times) - np.searchsorted(ordered, time, side="left")
    left = np.sort(times[~happened])
    censored = np.diff(np.searchsorted(left, time, side="left"), append=len(left))
    survival = np.asarray(np.cumprod(1 - events / at_risk), dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(events / (at_risk * (at_risk - events)))
        half = ndtri(0.5 + confidence / 2) * np.sqrt(greenwood) / np.abs(np.log(survival))
        low, high = survival ** np.exp(half), survival ** np.exp(-half)
    gone, whole = survival == 0, survival == 1  # nothing is known of the spread where nothing, or everything, has happened
    low, high = np.where(gone, 0.0, np.where(whole, 1.0, low)), np.where(gone, 0.0, np.where(whole, 1.0, high))
    return Curve(time, at_risk, events, censored, survival, low, high)
