"""Time until something happens, where for some it has not happened yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opsmetrics._kernels import rates
from opsmetrics._kernels.sequences import run_starts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


_NO_SPREAD = 1e-9
"""The part of Greenwood's variance below which clusters are alike but for rounding."""


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


def kaplan_meier(times: Ints, happened: npt.NDArray[np.bool_], confidence: float, cluster: Ints | None = None) -> Curve:
    """The product-limit estimate S(t) with Greenwood's variance on the scale of log(-log S), which keeps the interval inside [0, 1].

    Spells of one `cluster` may depend on each other; where each is alone, that is Greenwood's variance again. The curve has a row for each
    time of an event, and one where the last was seen. `censored` counts those last seen from this time on, before the next one; a tie of
    both counts as an event first.

    E. L. Kaplan & P. Meier (1958), Nonparametric estimation from incomplete observations, JASA 53, 457-481. J. D. Kalbfleisch & R. L.
    Prentice (2002), The Statistical Analysis of Failure Time Data, 2nd ed., 1.4 (the interval).
    """
    time = np.unique(np.append(times[happened], times[times == times.max(initial=0)][:1]))
    ends = np.sort(times[happened])
    events = np.diff(np.searchsorted(ends, time, side="right"), prepend=0).astype(np.int64)
    ordered = np.sort(times)
    at_risk = len(times) - np.searchsorted(ordered, time, side="left")
    left = np.sort(times[~happened])
    censored = np.diff(np.searchsorted(left, time, side="left"), append=len(left))
    survival, spread = product_limit(events, at_risk)
    if cluster is not None:
        between, clusters = _clustered(times, happened, cluster, time, events, at_risk)
        # Clusters that show no spread, as one alone, are worth one spell each; and none are worth more than their spells.
        alike = len(times) / max(clusters, 1) * spread
        spread = np.where(between <= _NO_SPREAD * spread, alike, np.maximum(between, spread))
    low, high = log_log(survival, spread, confidence)
    return Curve(time, at_risk, events, censored, survival, low, high)


def product_limit(events: Ints, at_risk: Ints) -> tuple[Floats, Floats]:
    """S at each time, and Greenwood's sum of d / (n (n - d)) up to it, from events d and those at risk n."""
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.cumprod(np.where(at_risk > 0, 1 - events / at_risk, 1.0))
        spread = np.cumsum(np.where(events > 0, events / (at_risk * (at_risk - events)), 0.0))
    return np.asarray(survival, dtype=np.float64), np.asarray(spread, dtype=np.float64)


def _clustered(times: Ints, happened: npt.NDArray[np.bool_], cluster: Ints, time: Ints, events: Ints, at_risk: Ints) -> tuple[Floats, int]:
    """The variance of log S at each time where spells of a cluster depend on each other, its infinitesimal jackknife; and the clusters.

    Spell i moves log S(t) by G(min(t, T_i)), less 1 / (n - d) at T_i where it ends with an event by then; G sums d / (n (n - d)). With r
    spells of a cluster still to end and the sum a of those that did, the variance is the sum of (r G(t) + a)^2 over clusters, so three
    sums that change as spells end, sum r^2, sum r a and sum a^2, tell it at all times.

    T. M. Therneau & P. M. Grambsch (2000), Modeling Survival Data, 2.2 and 7.1.
    """
    left = np.maximum(at_risk - events, 1)  # where none is left S is 0, and has no interval
    grown = np.cumsum(events / (at_risk * left))
    place = np.searchsorted(time, times, side="right") - 1
    ended = np.where(place >= 0, grown[place], 0.0) - np.where(happened, 1 / left[place], 0.0)
    order = np.lexsort((times, cluster))
    starts = run_starts(cluster[order])
    sizes = np.diff(starts, append=len(order))
    begins = np.repeat(starts, sizes)
    r = np.repeat(sizes, sizes) - (np.arange(len(order)) - begins)  # before a spell ends
    own = ended[order]
    whole = np.cumsum(own) - own
    a = whole - whole[begins]
    changes = np.stack([1.0 - 2 * r, (r - 1) * own - a, own * (2 * a + own)])
    by_time = np.argsort(times[order], kind="stable")
    sums = np.concatenate([np.array([[float(sizes @ sizes)], [0.0], [0.0]]), changes[:, by_time]], axis=1).cumsum(axis=1)
    rr, ra, aa = sums[:, np.searchsorted(times[order][by_time], time, side="right")]
    return np.maximum(grown * (grown * rr + 2 * ra) + aa, 0.0), len(sizes)


def log_log(survival: Floats, spread: Floats, confidence: float) -> tuple[Floats, Floats]:
    """The interval of S on the scale of log(-log S); nothing is known of the spread where nothing, or everything, has happened."""
    from scipy.special import ndtri

    with np.errstate(divide="ignore", invalid="ignore"):
        half = ndtri(0.5 + confidence / 2) * np.sqrt(spread) / np.abs(np.log(survival))
        low, high = survival ** np.exp(half), survival ** np.exp(-half)
    gone, whole = survival == 0, survival == 1
    return np.where(gone, 0.0, np.where(whole, 1.0, low)), np.where(gone, 0.0, np.where(whole, 1.0, high))


@dataclass(frozen=True, slots=True)
class Returning:
    """After t = 0, 1, ... days of silence: how many are watched to t + H, S(t), and the chance to return within H days, with its ends."""

    watched: Ints
    survival: Floats
    probability: Floats
    low: Floats
    high: Floats


def returning(events: Ints, censored: Ints, horizon: int, least: int, confidence: float) -> Returning:
    """P(return within H | silent for t) = (S(t) - S(t + H)) / S(t) from counts of gaps by whole days, returned and still open.

    Only for t at which as many as `least` gaps are watched until t + H: beyond, the curve hangs on a few. S(t + H) / S(t) is itself a
    product limit, over the days after t, so Greenwood's sum over these days gives its interval; where nobody returned, that has no spread,
    and Wilson's interval of none among those watched stands in. Those who are silent longer are no likelier to return, so the probability
    is made non-increasing.
    """
    seen = events + censored
    at_risk = seen.sum() - np.cumsum(seen) + seen
    survival, spread = product_limit(events, at_risk)
    known = max(int(np.count_nonzero(at_risk >= least)) - horizon, 0)  # those at risk never grow in number
    stays = np.divide(survival[horizon:][:known], survival[:known], out=np.ones(known), where=survival[:known] > 0)
    watched = at_risk[horizon:][:known]
    low, high = log_log(stays, spread[horizon:][:known] - spread[:known], confidence)
    low = np.where(stays == 1, 1 - rates.wilson(0, watched, confidence)[1], low)
    return Returning(
        watched=watched,
        survival=survival[:known],
        probability=np.minimum.accumulate(1 - stays),
        low=np.minimum.accumulate(1 - high),
        high=np.minimum.accumulate(1 - low),
    )
