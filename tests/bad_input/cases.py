"""What the tests of bad input share: a small table of orders, one line per case, and what every refusal has to look like."""

from __future__ import annotations

import datetime as dt
import fnmatch
import pickle
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import opsmetrics as om

COLUMNS: dict[str, Any] = {"customer": "uid", "time": "paid_at", "amount": "amount"}
CALL: dict[str, Any] = {**COLUMNS, "as_of": "2026-01-31"}
STAMPS = ("2026-01-02 10:00", "2026-01-20 11:00", "2026-01-05 12:00", "2026-01-06 13:00")
ENGINE_WORDS = ("narwhals", "nw.", "polars.exceptions", "Traceback", "unhashable", "ArrowInvalid")


@dataclass(frozen=True)
class Case:
    """One line of a table: what is called, and the error it has to raise. A code may end in `*` where the rule has no fixed name yet."""

    name: str
    call: Callable[..., Any]
    error: type[om.OpsmetricsError]
    code: str
    says: tuple[str, ...] = ()


def refuse(name: str, call: Callable[..., Any], error: type[om.OpsmetricsError], code: str, *says: str) -> Any:
    """A case as a pytest parameter."""
    return pytest.param(Case(name, call, error, code, says), id=name)


def check_refused(call: Callable[[], Any], error: type[om.OpsmetricsError], code: str, says: Iterable[str] = ()) -> om.OpsmetricsError:
    """The call raises this error with this code, and the sentence says these things; every promise about errors is checked on the way."""
    with pytest.raises(om.OpsmetricsError) as caught:
        call()
    found, message = caught.value, str(caught.value)
    assert isinstance(found, error), f"{type(found).__name__}: {message}"
    assert fnmatch.fnmatchcase(found.code, code), f"code {found.code!r}: {message}"
    for words in says:
        assert words in message, message
    well_made(found)
    return found


def well_made(error: om.OpsmetricsError) -> None:
    """A stable code, a sentence with an end, no words of an engine, and safe passage between processes."""
    message = str(error)
    assert isinstance(error, ValueError)
    assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", error.code), error.code
    assert message.rstrip().endswith((".", "?")), message
    assert not [word for word in ENGINE_WORDS if word in message], message
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.code) == (type(error), message, error.code)


def settled(call: Callable[[], Any]) -> Any:
    """The result, or the library's own well made error: anything else that is raised is a fault."""
    try:
        return call()
    except om.OpsmetricsError as error:
        well_made(error)
        return error


def orders(**columns: Any) -> pd.DataFrame:
    """Four orders of the customers a, a, b, c in January 2026; any column may be given anew."""
    usual: dict[str, Any] = {
        "uid": ["a", "a", "b", "c"],
        "paid_at": pd.to_datetime(list(STAMPS)),
        "amount": [30.5, 20.0, 100.04, 7.5],
        "order": [1, 2, 3, 4],
    }
    return pd.DataFrame(usual | columns)


def scores_input(**columns: Any) -> pd.DataFrame:
    """Ten customers with the three measures, all different."""
    usual: dict[str, Any] = {
        "uid": list("abcdefghij"),
        "recency": range(1, 11),
        "frequency": range(10, 0, -1),
        "monetary": [float(money) for money in range(10, 0, -1)],
    }
    return pd.DataFrame(usual | columns)


def at(stamps: Iterable[dt.datetime], unit: str = "us") -> pl.DataFrame:
    """Orders of one customer at these times, in polars, which knows all years and units."""
    times = pl.Series(list(stamps), dtype=pl.Datetime(unit))
    return pl.DataFrame({"uid": ["a"] * len(times), "amount": [1.0] * len(times), "paid_at": times})


def arrow(**columns: Any) -> pa.Table:
    """The four orders as an Arrow table, with columns of any Arrow type."""
    usual: dict[str, Any] = {
        "uid": ["a", "a", "b", "c"],
        "paid_at": [dt.datetime.fromisoformat(stamp) for stamp in STAMPS],
        "amount": [30.5, 20.0, 100.04, 7.5],
    }
    return pa.table(usual | columns)


def summary(frame: Any, **arguments: Any) -> Any:
    """`customer_summary` with the usual arguments."""
    return om.customer_summary(frame, **(CALL | arguments))


def rfm(frame: Any, **arguments: Any) -> Any:
    """`rfm` with the usual arguments."""
    return om.rfm(frame, **(CALL | arguments))
