"""The `lifetimes` package, as a peer: asked in silence, so that neither it nor its import changes the process for those who come after."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd


@cache
def lifetimes() -> Any:
    """The package; importing it changes the filters of warnings and an option of pandas, which are put back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        option = pd.get_option("mode.chained_assignment")
        found = importlib.import_module("lifetimes")
        importlib.import_module("lifetimes.datasets")
        pd.set_option("mode.chained_assignment", option)
    return found


def heard(call: Callable[..., Any], *args: Any, **choices: Any) -> Any:
    """What the package answers; without its warnings and prints, and from one state of the generator that some of its fits begin from."""
    with _silence(), _state():
        return call(*args, **choices)


def fitted(name: str, columns: Sequence[Any], **choices: Any) -> Any:
    """A fitter of the package with its default settings, unless others are chosen, fitted; None where it says that it did not converge."""
    fitter = getattr(lifetimes(), name)()
    try:
        return heard(fitter.fit, *columns, **choices)
    except lifetimes().utils.ConvergenceError:
        return None


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _state() -> Iterator[None]:
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
