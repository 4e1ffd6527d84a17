"""Fits of nasty histories, which mostly do not tell the parameters: how often each ends in parameters or a sentence, beside `lifetimes`.

And values of nasty orders, from the orders to what is shown, with a validation: they fail where they raise anything but an error of the
library, warn of numbers, or end in totals that are no numbers.

A fit fails where it raises or warns of numbers, where parameters, standard errors or predictions are not finite, and where it neither
converged nor says why not; a fit of `lifetimes` where it raises, takes too long, is not finite, or ends short of the log-likelihood reached
here. `--sets N` asks both about the first N sets of each category, of which there are 18.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import numpy as np
import pandas as pd

import opsmetrics as om
from benchmarks import peers, processes, simulated_customers
from benchmarks.simulated_customers import History

SEED = 0
PEER_SETS = 6
"""Sets of each category that `lifetimes` is asked about as well."""
PATIENCE, MORE_PATIENCE = 10.0, 60.0
"""Seconds of the processor that `lifetimes` gets for a fit, and that a fit and all predictions get here."""
SHORT = 0.01
"""A log-likelihood that is lower by this much is not the maximum."""

MODELS = {
    "BG/NBD": (om.BetaGeo, om.BetaGeoFit, "BetaGeoFitter"),
    "MBG/NBD": (om.ModifiedBetaGeo, om.ModifiedBetaGeoFit, "ModifiedBetaGeoFitter"),
    "Pareto/NBD": (om.ParetoNBD, om.ParetoNBDFit, "ParetoNBDFitter"),
}

VALUES = "values"
CONVERGED, TOLD, NOTHING, RAISED = "converged", "ended with a sentence", "no repeat purchases, said so", "raised"
SHOWN = "shown and validated"
GOOD = "at the maximum"
FREE, LATE, NOT_FINITE, BELOW = "parameters of nothing", "took too long", "not finite", "short of the maximum"


class TooLongError(Exception):
    """A call had its time."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the fits of one model to one set ended here and, where it was asked, at `lifetimes`; with what went wrong here, or nothing."""

    name: str
    model: str
    here: str
    wrong: str
    there: str
    ahead: bool


# --------------------------------------------------------------------------------------------------------------- here


def judged(model: str, history: History) -> tuple[str, str, Any]:
    """How a fit ended, what is wrong with it, and the fit."""
    spec, _, _ = MODELS[model]
    rows = dict(zip(("frequency", "recency", "T"), history, strict=True))
    try:
        with patience(MORE_PATIENCE), warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", om.OpsmetricsWarning)
            fit = spec().fit(rows)
            return _ending(fit), _fault(fit, rows), fit
    except Exception as error:  # noqa: BLE001, whatever it is, it is counted
        return RAISED, f"{type(error).__name__}: {error}", None


def _ending(fit: Any) -> str:
    if not fit.params:
        return NOTHING
    return CONVERGED if fit.converged else TOLD


def _fault(fit: Any, rows: dict[str, Any]) -> str:
    """What is wrong with a fit, or nothing."""
    if not fit.params:
        told = bool(fit.warnings) and not (rows["frequency"].any() and rows["T"].any())
        return "" if told else "no parameters, though there are repeat purchases"
    numbers = [*fit.params.values(), *fit.standard_errors.values(), fit.log_likelihood]
    if not np.isfinite(numbers).all():
        return "a parameter or its error is not finite"
    if not fit.converged and not fit.warnings:
        return "not converged, and no sentence"
    return next((f"{name} cannot be" for name, good in _predictions(fit, rows) if not good), "")


def _predictions(fit: Any, rows: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each prediction by name, and whether it is a number that can be."""
    span = float(rows["T"].mean()) or 1.0
    alive = fit.p_alive(rows, confidence=0.9).table
    yield "P(alive)", _within(alive.filter(like="p_alive"), 1.0)
    yield "the expectation", _within(fit.expected_purchases(span, rows, confidence=0.9).table.filter(like="expected_"))
    yield "the expectation of a new customer", _within(fit.expected_purchases(span))
    yield "a probability", _within(fit.purchase_probability(1, span, rows).table["purchase_probability"], 1.0)
    discounted = fit.discounted_purchases(rows, horizon=int(min(max(span, 1.0), 3_650.0)), confidence=0.9).table
    yield "the discounted expectation", _within(discounted.filter(like="discounted_"))


def _within(values: Any, most: float = np.inf) -> bool:
    found = np.asarray(values)
    return bool(np.isfinite(found).all() and (found >= 0).all() and (found <= most).all())


# -------------------------------------------------------------------------------------------------------------- there


def judged_there(model: str, history: History, ours: Any) -> tuple[str, bool]:
    """How a fit of `lifetimes` ended, and whether its log-likelihood is above that reached here."""
    _, kind, fitter = MODELS[model]
    try:
        with patience(PATIENCE):
            fit = peers.heard(getattr(peers.lifetimes(), fitter)().fit, *history)
    except TooLongError:
        return LATE, False
    except Exception as error:  # noqa: BLE001, whatever it is, it is counted
        return type(error).__name__, False
    errors = getattr(fit, "standard_errors_", fit.params_)  # of Pareto/NBD it knows none
    if not (np.isfinite(fit.params_).all() and np.isfinite(errors).all()):
        return NOT_FINITE, False
    if ours is None or not ours.params:
        return FREE, False
    reached = peers.heard(kind.from_lifetimes, fit).log_likelihood
    return (GOOD if reached >= ours.log_likelihood - SHORT else BELOW), reached > ours.log_likelihood + SHORT


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Raise where more than these seconds of the processor pass."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


# ------------------------------------------------------------------------------------------------------------- values

DAY = pd.Timedelta(days=1)
FIRST = pd.Timestamp("2024-01-01")
ASKED = ("bg_nbd", "mbg_nbd", "pareto_nbd", "auto")


@dataclass(frozen=True, slots=True)
class Shop:
    """Orders, the last day that is known, and what is asked: how many days ahead, and by which model."""

    name: str
    orders: pd.DataFrame
    as_of: pd.Timestamp
    horizon: int
    model: str


def _shop(rng: np.random.Generator, customer: Any, day: Any, amount: Any, silences: Sequence[int] = (0, 365, 3 * 365)) -> Shop:
    """Orders by customer and day, and a silence after the last one."""
    orders = pd.DataFrame({"customer": customer, "time": FIRST + pd.to_timedelta(day, unit="D"), "amount": amount})
    as_of, model = orders["time"].max() + int(rng.choice(silences)) * DAY, ASKED[int(rng.integers(len(ASKED)))]
    return Shop("", orders, as_of, int(rng.integers(30, 1_000)), model)


def _returning(rng: np.random.Generator) -> tuple[Any, Any]:
    """Customers who buy some times within a year, and the days on which they do."""
    times = rng.geometric(rng.uniform(0.25, 0.7), int(rng.integers(20, 150)))
    customer = np.repeat(np.arange(len(times)), times)
    return customer, rng.integers(0, 366, len(customer))


def _without_mean(rng: np.random.Generator, size: int) -> Any:
    return (1 / np.maximum(rng.gamma(0.3, size=size), 1e-12)).round(2) + 0.01


def _of_pareto(rng: np.random.Generator, size: int) -> Any:
    return rng.pareto(0.5, size).round(2) + 0.01


def _either(rng: np.random.Generator, size: int) -> Any:
    return (_without_mean, _of_pareto)[int(rng.integers(2))](rng, size)


def _heavy(rng: np.random.Generator, amounts: Callable[[np.random.Generator, int], Any]) -> Shop:
    customer, day = _returning(rng)
    return _shop(rng, customer, day, amounts(rng, len(customer)))


def _unlike(rng: np.random.Generator) -> Shop:
    """Customers spend around means of their own, which have no mean."""
    customer, day = _returning(rng)
    own = _without_mean(rng, int(customer[-1]) + 1)
    return _shop(rng, customer, day, own[customer] * rng.gamma(4.0, 0.25, len(customer)) + 0.01)


def _three_days(rng: np.random.Generator) -> Shop:
    customer, _ = _returning(rng)
    days = rng.choice(366, 3, replace=False)
    return _shop(rng, customer, rng.choice(days, len(customer)), _either(rng, len(customer)), silences=[3 * 365])


def _twice(rng: np.random.Generator) -> Shop:
    customer = np.repeat(np.arange(int(rng.integers(20, 300))), 2)
    return _shop(rng, customer, rng.integers(0, 366, len(customer)), _either(rng, len(customer)))


SHOPS: dict[str, Callable[[np.random.Generator], Shop]] = {
    "amounts without a mean": lambda rng: _heavy(rng, _without_mean),
    "amounts of a Pareto law": lambda rng: _heavy(rng, _of_pareto),
    "customers without a mean": _unlike,
    "three days long ago": _three_days,
    "everyone bought twice": _twice,
}


def shops(seed: int, sets: int) -> Iterator[Shop]:
    """So many of each kind; the same for the same seed."""
    for place, (name, made) in enumerate(SHOPS.items()):
        for repeat in range(sets):
            yield replace(made(np.random.default_rng([seed, place, repeat])), name=f"{name}, {repeat + 1}")


def valued(shop: Shop) -> Verdict:
    """How values of a shop ended, from its orders to what is shown of them and of their validation."""
    asked = {"customer": "customer", "time": "time", "amount": "amount", "as_of": shop.as_of, "horizon": shop.horizon}
    try:
        with patience(MORE_PATIENCE), warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", om.OpsmetricsWarning)
            return Verdict(shop.name, VALUES, *_shown(shop.orders, asked | {"model": shop.model}), "", ahead=False)
    except Exception as error:  # noqa: BLE001, whatever it is, it is counted
        return Verdict(shop.name, VALUES, RAISED, f"{type(error).__name__}: {error}", "", ahead=False)


def _shown(orders: pd.DataFrame, asked: dict[str, Any]) -> tuple[str, str]:
    """How it ended, and what is wrong: an error of the library is an ending, with a sentence."""
    wrong = ""
    try:
        values = om.clv(orders, **asked)
        wrong = _unknown(values.totals)
        str(values)
        str(values.validate())
    except om.OpsmetricsError as error:
        return f"refused with {error.code}", wrong
    return SHOWN, wrong


def _unknown(totals: Any) -> str:
    unknown = [name for name in totals if totals[name].isna().any()]
    return f"totals without a number: {', '.join(unknown)}" if unknown else ""


# --------------------------------------------------------------------------------------------------------------- runs


@dataclass(frozen=True, slots=True)
class Task:
    """A set of histories, and whether `lifetimes` is asked too."""

    name: str
    history: History
    there: bool


def tasks(seed: int, sets: int, peer_sets: int) -> Iterator[Task]:
    """The first sets of each category."""
    for name, *history in simulated_customers.nasty(seed):
        repeat = int(name.rpartition(", ")[2])
        if repeat <= sets:
            yield Task(name, tuple(history), repeat <= peer_sets)  # type: ignore[arg-type]


def run(task: Task) -> list[Verdict]:
    """All models on one set."""
    found = []
    for model in MODELS:
        here, wrong, fit = judged(model, task.history)
        there, ahead = judged_there(model, task.history, fit) if task.there else ("", False)
        found.append(Verdict(task.name, model, here, wrong, there, ahead))
    return found


def report(found: list[Verdict]) -> bool:
    """Print how fits ended, by model, and tell whether none failed."""
    failed = [one for one in found if one.wrong]
    for model in MODELS:
        if not (own := [one for one in found if one.model == model]):
            continue
        print(f"  {model:<12} {_counted(Counter(one.here for one in own))}")
        print(f"  {'':<12} failures {sum(bool(one.wrong) for one in own)} of {len(own)}")
        if asked := [one for one in own if one.there]:
            fails = sum(one.there != GOOD for one in asked)
            print(f"  {'':<12} lifetimes on {len(asked)}: {_counted(Counter(one.there for one in asked))}")
            here = sum(bool(one.wrong) for one in asked)
            print(f"  {'':<12} failures of lifetimes {fails} of {len(asked)}; here on the same {here}")
            print(f"  {'':<12} log-likelihood of lifetimes above ours by more than {SHORT}: {sum(one.ahead for one in asked)}")
    if values := [one for one in found if one.model == VALUES]:
        print(f"  {VALUES:<12} {_counted(Counter(one.here for one in values))}")
        print(f"  {'':<12} failures {sum(bool(one.wrong) for one in values)} of {len(values)}")
    for one in failed[:20]:
        print(f"    {one.model}, {one.name}: {one.wrong}")
    return not failed


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in counts.most_common())


def main(*, sets: int = simulated_customers.REPEATS, peer_sets: int = PEER_SETS) -> bool:
    """Run, print, and tell whether every fit and all values ended as they should."""
    chosen, orders = list(tasks(SEED, sets, peer_sets)), list(shops(SEED, sets))
    print(
        f"Robustness of lifetime value: {len(chosen)} nasty sets of customers, {len(MODELS)} models, lifetimes beside them; "
        f"{len(orders)} nasty sets of orders"
    )
    fits = itertools.chain.from_iterable(processes.side_by_side(run, chosen))
    return report([*fits, *processes.side_by_side(valued, orders)])


if __name__ == "__main__":
    given = [int(number) for flag, number in itertools.pairwise(sys.argv) if flag == "--sets"]
    main(**({"sets": given[0], "peer_sets": given[0]} if given else {}))
