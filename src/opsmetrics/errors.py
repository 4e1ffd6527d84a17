"""What goes wrong, by name.

Every error is a `ValueError`, so code that already catches bad values catches these, and bears a stable `code` for services.
Each message is one sentence pattern: argument = value received; the rule; what exists; the nearest fix.

    OpsmetricsError (ValueError)
    |-- ColumnError      a column that is missing, given twice, or of the wrong type
    |-- DataError        rows that contradict the question
    |-- ParameterError   an argument outside its rule
    `-- FitError         a model or a scorer that cannot be estimated from these rows
    OpsmetricsWarning (UserWarning)
"""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable
from typing import ClassVar


class OpsmetricsError(ValueError):
    """The root of every error this library raises on purpose.

    Attributes
    ----------
    code : str
        A stable, machine-readable name of the rule that was broken, for example ``"column.missing"``.

    Examples
    --------
    >>> import opsmetrics as om
    >>> issubclass(om.OpsmetricsError, ValueError)
    True
    """

    default_code: ClassVar[str] = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.default_code

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), str(self), self.code), self.__dict__


def _rebuild(kind: type[OpsmetricsError], message: str, code: str) -> OpsmetricsError:
    """Unpickle with the code kept: services carry errors across processes."""
    return kind(message, code=code)


class ColumnError(OpsmetricsError):
    """A column that is missing, named twice, or of a type that cannot play its part.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> orders = pd.DataFrame({"uid": [1], "paid_at": pd.to_datetime(["2026-01-05"]), "amount": [9.9]})
    >>> om.rfm(orders, customer="uid", time="paid_at", amount="amout", as_of="2026-01-31")
    Traceback (most recent call last):
    ...
    opsmetrics.errors.ColumnError: amount='amout' is not a column of the frame; it has ['uid', 'paid_at', 'amount']. Did you mean 'amount'?
    """

    default_code = "column"


class DataError(OpsmetricsError):
    """Rows that contradict the question: none at all, no customer, infinite money.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> orders = pd.DataFrame({"uid": [1], "paid_at": pd.to_datetime(["2026-01-05"]), "amount": [9.9]})
    >>> try:
    ...     om.rfm(orders.head(0), customer="uid", time="paid_at", amount="amount", as_of="2026-01-31")
    ... except om.DataError as error:
    ...     print(error.code)
    data.empty
    """

    default_code = "data"


class ParameterError(OpsmetricsError):
    """An argument outside its rule.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.RFMScorer(bins=1)
    Traceback (most recent call last):
    ...
    opsmetrics.errors.ParameterError: bins=1 is out of range; it must be a whole number from 2 to 10. The usual choice is 5.
    """

    default_code = "parameter"


class FitError(OpsmetricsError):
    """A model or a scorer that cannot be estimated from the rows it was given.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> nobody = pd.DataFrame({"recency": [], "frequency": [], "monetary": []})
    >>> try:
    ...     om.RFMScorer().fit(nobody)
    ... except om.FitError as error:
    ...     print(error.code)
    fit.empty
    """

    default_code = "fit"


class OpsmetricsWarning(UserWarning):
    """The answer stands, but something about it should be known before it is used.

    Examples
    --------
    >>> import opsmetrics as om
    >>> issubclass(om.OpsmetricsWarning, UserWarning)
    True
    """


def warn(message: str) -> None:
    """Warn at the line of the caller outside this package, however deep the warning arises."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("opsmetrics."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, OpsmetricsWarning, stacklevel=level)


def nearest(name: object, known: Iterable[object]) -> str:
    """A closing hint ``" Did you mean 'x'?"``, or nothing where no known name is near."""
    names = {str(k): k for k in known}
    close = difflib.get_close_matches(str(name).casefold(), [n.casefold() for n in names], n=1, cutoff=0.6)
    alike = [n for n in names if n.casefold() in close]
    best = max(alike, key=lambda n: difflib.SequenceMatcher(None, str(name), n).ratio(), default=None)
    return "" if best is None else f" Did you mean {names[best]!r}?"
