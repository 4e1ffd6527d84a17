"""The boundary, on the way out: frames of the caller's kind from numpy columns, and what a result shows of frames.

A lazy caller gets an eager frame of its own family (polars.DataFrame, pyarrow.Table).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, cast

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt

from opsmetrics import _checks
from opsmetrics._clock import Clock
from opsmetrics._frames import SHORT, TEXT, Backend, Column, Eager, Ints, take


def backend(kind: str) -> Backend:
    """The backend with this name."""
    return nw.Implementation.from_backend(cast("Any", kind))


def build(backend: Backend, content: Mapping[str, Column]) -> Any:
    """A frame of the backend's kind from columns of equal length; arrays are handed over, not copied, unless two columns share one."""
    arrays = [id(values) for values in content.values()]
    own = {
        name: values.copy() if isinstance(values, np.ndarray) and arrays.count(id(values)) > 1 else values
        for name, values in content.items()
    }
    if backend is nw.Implementation.PANDAS:
        import pandas as pd

        # arrays have no index that the rows would be aligned by
        return pd.DataFrame({name: v if isinstance(v, np.ndarray) else v.to_native().array for name, v in own.items()}, copy=False)
    return nw.from_dict({name: _series(backend, name, values) for name, values in own.items()}).to_native()


def append(frame: nw.DataFrame[Any], content: Mapping[str, Column]) -> Any:
    """The frame with more columns (or new ones in the place of old), the caller's own left as it was."""
    return frame.with_columns(*(_series(frame.implementation, name, values) for name, values in content.items())).to_native()


def without(frame: Eager, columns: Sequence[str]) -> Eager:
    """The frame without these columns, where it has them."""
    return frame.drop([name for name in columns if name in frame.columns])


def words(backend: Backend, names: Sequence[str], codes: Ints) -> Column:
    """Text from a few names and a code per row."""
    return _coded(backend, names, TEXT, codes)


def labels(backend: Backend, values: Sequence[Any], codes: Ints) -> Column:
    """Labels, all text or all of one other kind, and a code per row."""
    kinds = {type(value) for value in values}
    kind = kinds.pop() if len(kinds) == 1 else str
    if kind is int and not all(-(2**63) <= value < 2**63 for value in values):
        kind = str  # no kind of frame has them all
    own = {bool: nw.Boolean, int: nw.Int64, float: nw.Float64}.get(kind)
    return _coded(backend, [str(v) if own is None else v for v in values], TEXT if own is None else own(), codes)


def _coded(backend: Backend, values: Sequence[Any], dtype: Any, codes: Ints) -> Column:
    """One of a few values per row; for few rows the way over an engine's `take` is the longer one."""
    if len(codes) <= SHORT:
        few = [values[code] for code in codes.tolist()]
        if backend is nw.Implementation.PANDAS and dtype == TEXT and few:  # which tells text from other objects by itself
            return np.array(few, dtype=object)
        return series(backend, few, dtype)
    return take(series(backend, values, dtype), codes)


def series(backend: Backend, values: Sequence[object], dtype: Any) -> nw.Series[Any]:
    """A few values as a column."""
    return nw.new_series("values", list(values), dtype, backend=backend)


def stamps(backend: Backend, ticks: Ints, clock: Clock) -> nw.Series[Any]:
    """Times from ticks, in the zone of the clock's calendar where it has a name, else in UTC."""
    times = nw.new_series("time", ticks.view(f"datetime64[{clock.unit}]"), backend=backend)
    if clock.local is None:
        return times
    utc = times.dt.replace_time_zone("UTC")
    return utc.dt.convert_time_zone(clock.local) if _checks.is_named_zone(clock.local) else utc  # not every engine knows offsets


def whole_or_null(backend: Backend, numbers: Ints, known: npt.NDArray[np.bool_]) -> nw.Series[Any]:
    """Whole numbers, null where they are not known: floats cannot hold all of them, so pandas gets its nullable type."""
    if backend is nw.Implementation.PANDAS:
        import pandas as pd

        return nw.from_native(pd.Series(pd.arrays.IntegerArray(numbers.astype(np.int64), ~known)), series_only=True)
    if backend is nw.Implementation.PYARROW:
        import pyarrow as pa

        return nw.from_native(pa.chunked_array([pa.array(numbers, pa.int64(), mask=~known)]), series_only=True)
    import polars as pl

    return nw.from_native(pl.Series(numbers).set(pl.Series(~known), None), series_only=True)


def take_or_null(values: nw.Series[Any], positions: Ints) -> nw.Series[Any]:
    """Rows by position, null at -1."""
    if len(values) == 0 or not (positions < 0).any():
        return take(values, positions) if len(values) else series(values.implementation, [None] * len(positions), TEXT)
    native = values.to_native()
    if values.implementation.is_pandas_like():
        import pandas as pd

        if isinstance(native.dtype, np.dtype) and native.dtype.kind in "iub":  # numpy's whole numbers know no null
            native = native.astype("boolean" if native.dtype.kind == "b" else "Int64")
        picked = native.reset_index(drop=True).reindex(pd.Index(np.where(positions < 0, len(values), positions))).reset_index(drop=True)
    elif values.implementation.is_polars():
        import polars as pl

        at = pl.Series(positions).set(pl.Series(positions < 0), None)
        picked = native.gather(at)
    else:
        import pyarrow as pa

        own = native.cast(pa.large_string()) if native.type == pa.string_view() else native
        picked = own.take(pa.array(positions, mask=positions < 0))
    taken: nw.Series[Any] = nw.from_native(picked, series_only=True)
    return taken.alias(values.name)


def days(backend: Backend, days: Ints) -> nw.Series[Any]:
    """Days since 1970-01-01 as times at midnight, on the wall clock."""
    return nw.new_series("day", days.view("datetime64[D]").astype("datetime64[us]"), backend=backend)


def _series(backend: Backend, name: str, values: Column) -> nw.Series[Any]:
    return values.alias(name) if isinstance(values, nw.Series) else nw.new_series(name, values, backend=backend)


def head(native: object, limit: int | None = None) -> tuple[list[str], list[tuple[object, ...]]]:
    """Column names and the first rows (all, where no limit is given) as Python values."""
    frame = nw.from_native(cast("Any", native), eager_only=True)
    rows = frame if limit is None else frame.head(limit)
    return frame.columns, [tuple(_python(v) for v in row) for row in rows.iter_rows()]


def height(native: object) -> int:
    """The number of rows of an eager frame."""
    return len(nw.from_native(cast("Any", native), eager_only=True))


def _differs_from_itself(value: object) -> bool:
    """NaN, NaT, and pandas.NA, which does not even say so."""
    try:
        return bool(value != value)
    except TypeError:
        return True


def _python(value: object) -> object:
    """A plain Python value: missing is None, numpy scalars are unwrapped, stamps are datetimes."""
    if value is None or _differs_from_itself(value):
        return None
    if isinstance(value, np.generic):
        return cast("object", value.item())
    if isinstance(value, dt.datetime) and hasattr(value, "to_pydatetime"):
        return cast("object", value.to_pydatetime(warn=False))
    return value
