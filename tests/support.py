"""What the tests share: every kind of frame, real data where it is at hand, and a way to compare tables of different kinds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import narwhals.stable.v2 as nw
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from opsmetrics import _output

SHARED = Path(__file__).resolve().parents[2] / "shared"


@dataclass(frozen=True)
class Kind:
    """A kind of frame: how to make one from pandas, and the type in which results come back."""

    name: str
    make: Callable[[pd.DataFrame], Any]
    result: type

    def __str__(self) -> str:
        return self.name


def _arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


def _categorical(frame: pd.DataFrame) -> pd.DataFrame:
    keys = {name: "category" for name in frame.columns if frame[name].dtype in ("str", "object", "int64")}
    return frame.astype(keys)


KINDS = [
    Kind("pandas", lambda f: f, pd.DataFrame),
    Kind("pandas-nullable", lambda f: f.convert_dtypes(dtype_backend="numpy_nullable"), pd.DataFrame),
    Kind("pandas-pyarrow", lambda f: f.convert_dtypes(dtype_backend="pyarrow"), pd.DataFrame),
    Kind("pandas-categorical", _categorical, pd.DataFrame),
    Kind("polars", pl.from_pandas, pl.DataFrame),
    Kind("polars-lazy", lambda f: pl.from_pandas(f).lazy(), pl.DataFrame),
    Kind("pyarrow", _arrow, pa.Table),
    Kind("duckdb", lambda f: duckdb.from_arrow(_arrow(f)), pa.Table),
]


def columns_of(native: Any) -> dict[str, list[Any]]:
    """A table as plain Python columns: missing is None, stamps are datetimes, so that tables of different kinds compare."""

    names, rows = _output.head(native)
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def to_pandas(native: Any) -> pd.DataFrame:
    """An eager table of any kind as pandas."""
    return nw.from_native(native, eager_only=True).to_pandas()


def data(name: str) -> Path:
    """A file of the shared data folder; the test is skipped, with a reason, where the folder is absent."""
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"needs {name} of the shared data folder, which is not beside this checkout")
    return path


def reference(name: str) -> Any:
    """Published values, with their sources."""
    path = SHARED / "reference" / name
    if not path.exists():
        pytest.skip(f"needs {name} of the shared reference folder, which is not beside this checkout")
    return json.loads(path.read_text(encoding="utf-8"))
