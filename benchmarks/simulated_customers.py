"""Customers whose buying is known because it was simulated, and histories that are as nasty as they may be.

The simulators draw from the models themselves: what is fitted to such histories can be held against the truth. The nasty histories are for
the robustness of fits: most do not tell the parameters, and each must end in parameters or in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
History = tuple[Ints, Floats, Floats]
"""Frequency, recency and age of each customer."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """Frequency, recency and age of each customer, whether he is alive at that age, and his purchases in the horizon after it."""

    x: Ints
    t_x: Floats
    T: Floats
    alive: npt.NDArray[np.bool_]
    later: Ints

    @property
    def history(self) -> History:
        """What a fit may see."""
        return self.x, self.t_x, self.T


def bg_nbd(
    rng: np.random.Generator, T: Floats, horizon: float, *, r: float, alpha: float, a: float, b: float, whole: bool = False, first: int = 0
) -> Simulated:
    """Customers buy at a gamma distributed rate, and after each repeat purchase leave with a beta distributed chance.

    With ``first=1`` they may also leave right after the first purchase. With ``whole`` time comes in whole periods, of which several
    purchases count once; T and the horizon are whole numbers then.
    """
    rate = rng.gamma(r, 1 / alpha, len(T))
    chance = np.maximum(rng.beta(a, b, len(T)), 1e-15)  # one of 0, by underflow, is refused
    leaves_at = rng.geometric(chance) - first  # the repeat purchase that is the last; the first purchase is number 0
    bought, offered = rng.poisson(rate * T), rng.poisson(rate * horizon)
    x = np.minimum(bought, leaves_at)
    alive = leaves_at > bought
    later = np.where(alive, np.minimum(offered, leaves_at - bought), 0)
    known = _known(rng, T, bought, x, whole)
    return Simulated(*known, T, alive, _known(rng, np.full(len(T), horizon), offered, later, whole)[0])


def mbg_nbd(
    rng: np.random.Generator, T: Floats, horizon: float, *, r: float, alpha: float, a: float, b: float, whole: bool = False
) -> Simulated:
    """As `bg_nbd`, where customers may also leave right after the first purchase."""
    return bg_nbd(rng, T, horizon, r=r, alpha=alpha, a=a, b=b, whole=whole, first=1)


def pareto_nbd(
    rng: np.random.Generator, T: Floats, horizon: float, *, r: float, alpha: float, s: float, beta: float, whole: bool = False
) -> Simulated:
    """Customers buy at a gamma distributed rate, and live for an exponential time at another gamma distributed rate."""
    rate = rng.gamma(r, 1 / alpha, len(T))
    hazard = np.maximum(rng.gamma(s, 1 / beta, len(T)), 1e-300)
    life = rng.exponential(1.0, len(T)) / hazard
    active, after = np.minimum(life, T), np.clip(life - T, 0.0, horizon)
    x, later = rng.poisson(rate * active), rng.poisson(rate * after)
    known = _known(rng, active, x, x, whole)
    return Simulated(*known, T, life > T, _known(rng, after, later, later, whole)[0])


def gamma_gamma(rng: np.random.Generator, x: Ints, *, p: float, q: float, v: float) -> tuple[Floats, Floats]:
    """The mean of x purchases, 0 where there are none, and the mean that is true of the customer.

    A purchase is gamma distributed with shape p and the customer's own rate, which is gamma distributed with shape q and rate v; so the
    mean of x of them is gamma distributed with shape p x and x times the rate.
    """
    own = rng.gamma(q, 1 / v, len(x))
    times = np.maximum(x, 1)
    return np.where(x > 0, rng.gamma(p * times) / (own * times), 0.0), p / own


def _known(rng: np.random.Generator, span: Floats, bought: Ints, kept: Ints, whole: bool) -> tuple[Ints, Floats]:
    """How many of the first `kept` of `bought` purchases in a span are told apart, and when the last of them was.

    Given their number, the moments of a Poisson process are independent and uniform, so the k-th of n is beta distributed with k and
    n - k + 1. Where only whole periods are known all moments are drawn: a purchase at s is one of the period ceil(s).
    """
    if not whole:
        return kept, np.where(kept > 0, span * rng.beta(np.maximum(kept, 1), bought - kept + 1), 0.0)
    customer = np.repeat(np.arange(len(span)), bought)
    moment = np.sort(customer + rng.random(len(customer)))  # by customer and time
    place = np.arange(len(customer)) - np.repeat(np.cumsum(bought) - bought, bought)
    stays = place < kept[customer]
    customer, moment = customer[stays], moment[stays]
    period = np.maximum(np.ceil((moment - customer) * span[customer]), 1.0)
    told = np.diff(customer, prepend=-1).astype(bool) | np.diff(period, prepend=0.0).astype(bool)
    last = np.zeros(len(span))
    np.maximum.at(last, customer, period)
    return np.bincount(customer[told], minlength=len(span)), last


REPEATS = 18
"""Sets of each category of nasty histories."""


def nasty(seed: int) -> Iterator[tuple[str, Ints, Floats, Floats]]:
    """Name, frequency, recency and age of sets of customers on which fits may fail; the same for the same seed."""
    for place, (name, made) in enumerate(CATEGORIES.items()):
        for repeat in range(REPEATS):
            x, t_x, T = made(np.random.default_rng([seed, place, repeat]))
            yield f"{name}, {repeat + 1}", x.astype(np.int64), t_x.astype(np.float64), T.astype(np.float64)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _ages(rng: np.random.Generator, customers: int) -> Floats:
    """First purchases over the first half of a year, in days."""
    return np.ceil(rng.uniform(180.0, 365.0, customers))


def _shop(rng: np.random.Generator, customers: int, ages: Floats | None = None, **parameters: float) -> History:
    """An ordinary shop under one of the models, unless parameters say otherwise; they choose the model where they are its own."""
    T = _ages(rng, customers) if ages is None else ages
    buying = {"r": _between(rng, 0.2, 2.0), "alpha": _between(rng, 5.0, 60.0)}
    geometric = {"a": _between(rng, 0.3, 2.0), "b": _between(rng, 1.0, 5.0)}
    exponential = {"s": _between(rng, 0.3, 2.0), "beta": _between(rng, 5.0, 120.0)}
    chosen = int(rng.integers(3))
    whole = bool(rng.integers(2)) and bool((np.ceil(T) == T).all())
    if "s" in parameters or (chosen == 2 and "a" not in parameters):
        return pareto_nbd(rng, T, 0.0, whole=whole, **{**buying, **exponential, **parameters}).history
    return bg_nbd(rng, T, 0.0, whole=whole, first=chosen % 2, **{**buying, **geometric, **parameters}).history


def _some(rng: np.random.Generator) -> int:
    """How many customers: from a few to a few hundred."""
    return int(_between(rng, 10, 400))


def _one_time(rng: np.random.Generator) -> History:
    T = _ages(rng, _some(rng))
    return np.zeros(len(T), dtype=np.int64), np.zeros(len(T)), T


def _nobody_one_time(rng: np.random.Generator) -> History:
    x, t_x, T = _shop(rng, 600)
    few = np.flatnonzero(x > 0)[: _some(rng)]
    return x[few], t_x[few], T[few]


def _nearly_all_one_time(rng: np.random.Generator) -> History:
    x, t_x, T = _one_time(rng)
    few = rng.choice(len(T), int(rng.integers(1, 4)), replace=False)
    x[few], t_x[few] = rng.integers(1, 4, len(few)), T[few] * rng.uniform(0.01, 1.0, len(few))
    return x, t_x, T


def _thousands(rng: np.random.Generator) -> History:
    r, busy, ages = _between(rng, 0.5, 20.0), _between(rng, 10.0, 40.0), rng.uniform(180.0, 365.0, _some(rng))
    if rng.integers(2):
        return _shop(rng, len(ages), ages, r=r, alpha=r / busy, s=_between(rng, 0.3, 2.0), beta=_between(rng, 100.0, 1_000.0))
    return _shop(rng, len(ages), ages, r=r, alpha=r / busy, a=_between(rng, 0.3, 2.0), b=_between(rng, 1_000.0, 10_000.0))


def _whale(rng: np.random.Generator) -> History:
    x, t_x, T = _shop(rng, _some(rng))
    x[0], t_x[0] = int(_between(rng, 1e4, 1e6)), T[0] * rng.uniform(0.9, 1.0)
    return x, t_x, T


def _in_units(rng: np.random.Generator, per_day: float) -> History:
    x, t_x, T = _shop(rng, _some(rng))
    return x, t_x * per_day, T * per_day


def _alike(rng: np.random.Generator, of: str) -> History:
    """Rates, or chances to leave, that are the same for nearly all."""
    size, busy = _between(rng, 1e3, 1e8), _between(rng, 0.01, 0.3)
    if of == "rates":
        return _shop(rng, _some(rng), r=size, alpha=size / busy)
    if rng.integers(2):
        return _shop(rng, _some(rng), a=size * _between(rng, 0.02, 0.5), b=size)
    return _shop(rng, _some(rng), s=size, beta=size / _between(rng, 1e-3, 0.05))


def _unlike(rng: np.random.Generator, of: str) -> History:
    """Rates, or chances to leave, that are nearly 0 for most and large for some."""
    small = _between(rng, 0.003, 0.05)
    if of == "rates":
        return _shop(rng, _some(rng), r=small, alpha=small / _between(rng, 0.01, 0.3))
    if rng.integers(2):
        return _shop(rng, _some(rng), a=small, b=small * _between(rng, 0.3, 3.0))
    return _shop(rng, _some(rng), s=small, beta=_between(rng, 0.01, 1.0))


def _nobody_leaves(rng: np.random.Generator) -> History:
    return _shop(rng, _some(rng), s=1.0, beta=_between(rng, 1e6, 1e12))


def _leaves_at_once(rng: np.random.Generator) -> History:
    if rng.integers(2):
        return _shop(rng, _some(rng), a=_between(rng, 10.0, 1e4), b=_between(rng, 0.01, 0.5))
    return _shop(rng, _some(rng), s=_between(rng, 1.0, 10.0), beta=_between(rng, 1e-3, 0.5))


def _bought_just_now(rng: np.random.Generator) -> History:
    x, _, T = _nobody_one_time(rng)
    return x, T.copy(), T


def _new(rng: np.random.Generator) -> History:
    """Some made their first purchase at the very end."""
    T = _ages(rng, _some(rng))
    T[rng.random(len(T)) < rng.uniform(0.05, 0.95)] = 0.0
    return _shop(rng, len(T), T)


def _cohort(rng: np.random.Generator) -> History:
    return _shop(rng, customers := _some(rng), np.full(customers, float(rng.integers(1, 400))))


def _daily_app(rng: np.random.Generator) -> History:
    """Used on most days, known by the day, and left seldom."""
    T, busy, r = _ages(rng, _some(rng)), _between(rng, 0.5, 4.0), _between(rng, 0.5, 5.0)
    return bg_nbd(rng, T, 0.0, r=r, alpha=r / busy, a=_between(rng, 0.5, 2.0), b=_between(rng, 20.0, 300.0), whole=True).history


def _identical(rng: np.random.Generator) -> History:
    """One customer many times over."""
    T, x = float(rng.integers(1, 400)), int(rng.integers(0, 6))
    t_x = T * float(rng.choice([0.01, 0.5, 1.0])) if x else 0.0
    customers = _some(rng)
    return np.full(customers, x, dtype=np.int64), np.full(customers, t_x), np.full(customers, T)


CATEGORIES: dict[str, Callable[[np.random.Generator], History]] = {
    "20 customers": lambda rng: _shop(rng, 20),
    "one customer": lambda rng: _shop(rng, 1, r=_between(rng, 0.5, 5.0)),
    "two customers": lambda rng: _shop(rng, 2, r=_between(rng, 0.5, 5.0)),
    "everyone bought once": _one_time,
    "nobody bought once": _nobody_one_time,
    "nearly all bought once": _nearly_all_one_time,
    "frequencies in thousands": _thousands,
    "one whale": _whale,
    "time in seconds": lambda rng: _in_units(rng, 86_400.0),
    "time in years": lambda rng: _in_units(rng, 1 / 365.25),
    "the same rate for all": lambda rng: _alike(rng, "rates"),
    "the same chance to leave for all": lambda rng: _alike(rng, "leaving"),
    "rates far apart": lambda rng: _unlike(rng, "rates"),
    "chances to leave far apart": lambda rng: _unlike(rng, "leaving"),
    "nobody leaves": _nobody_leaves,
    "all leave at once": _leaves_at_once,
    "all bought just now": _bought_just_now,
    "customers of age 0": _new,
    "one cohort": _cohort,
    "an app used daily": _daily_app,
    "all customers alike": _identical,
}
