"""Fits of nasty histories, which mostly do not tell the parameters: how often each ends in parameters or a sentence, beside `lifetimes`.

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
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np

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
    "MBG/NBD": (om.ModifiedBetaGeo, om.ModifiedBetaGeoFit, None),
    "Pareto/NBD": (om.ParetoNBD, om.ParetoNBDFit, "ParetoNBDFitter"),
}

CONVERGED, TOLD, NOTHING, RAISED = "converged", "ended with a sentence", "no repeat purchases, said so", "raised"
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
    for model, (_, _, fitter) in MODELS.items():
        here, wrong, fit = judged(model, task.history)
        asked = task.there and fitter is not None
        there, ahead = judged_there(model, task.history, fit) if asked else ("", False)
        found.append(Verdict(task.name, model, here, wrong, there, ahead))
    return found


def report(found: list[Verdict]) -> bool:
    """Print how fits ended, by model, and tell whether none failed."""
    failed = [one for one in found if one.wrong]
    for model, (_, _, fitter) in MODELS.items():
        own = [one for one in found if one.model == model]
        print(f"  {model:<12} {_counted(Counter(one.here for one in own))}")
        print(f"  {'':<12} failures {sum(bool(one.wrong) for one in own)} of {len(own)}")
        if fitter is not None and (asked := [one for one in own if one.there]):
            fails = sum(one.there != GOOD for one in asked)
            print(f"  {'':<12} lifetimes on {len(asked)}: {_counted(Counter(one.there for one in asked))}")
            here = sum(bool(one.wrong) for one in asked)
            print(f"  {'':<12} failures of lifetimes {fails} of {len(asked)}; here on the same {here}")
            print(f"  {'':<12} log-likelihood of lifetimes above ours by more than {SHORT}: {sum(one.ahead for one in asked)}")
    for one in failed[:20]:
        print(f"    {one.model}, {one.name}: {one.wrong}")
    return not failed


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in counts.most_common())


def main(*, sets: int = simulated_customers.REPEATS, peer_sets: int = PEER_SETS) -> bool:
    """Run, print, and tell whether every fit ended as it should."""
    chosen = list(tasks(SEED, sets, peer_sets))
    print(f"Robustness of lifetime value: {len(chosen)} nasty sets of customers, {len(MODELS)} models; lifetimes beside them")
    return report(list(itertools.chain.from_iterable(processes.side_by_side(run, chosen))))


if __name__ == "__main__":
    given = [int(number) for flag, number in itertools.pairwise(sys.argv) if flag == "--sets"]
    main(**({"sets": given[0], "peer_sets": given[0]} if given else {}))
