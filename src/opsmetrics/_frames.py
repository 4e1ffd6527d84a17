"""The boundary, on the way in: frames of any kind on one side, numpy columns on the other. `_output` is the way out.

`check` holds names and types against their use, `values_of` and `encode` make numbers of columns. How a frame is read in parts of whole
customers stands in `_parts`. Beside `_output` the only file that imports narwhals.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt

from opsmetrics import _checks
from opsmetrics._clock import Clock
from opsmetrics._kernels import calendars
from opsmetrics.errors import ColumnError, DataError, nearest

T = TypeVar("T")
FrameT = TypeVar("FrameT")
"""Any frame a caller may hand in: pandas, polars (eager or lazy), pyarrow, or a DuckDB relation."""

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Eager: TypeAlias = "nw.DataFrame[Any]"
Lazy: TypeAlias = "nw.LazyFrame[Any]"
Values: TypeAlias = "nw.Series[Any]"
Column: TypeAlias = "npt.NDArray[Any] | nw.Series[Any]"
Backend: TypeAlias = Any
"""One of narwhals' eager implementations: pandas, polars, pyarrow."""
Role: TypeAlias = Literal["key", "label", "time", "number", "measure"]

KEYS: Final = ("key", "label")
"""The roles whose values are told apart, and not counted with."""

FEW: Final = 8
"""Values of a label up to which each is looked for by itself."""

SHORT: Final = 200
"""Rows that are made one by one."""

TEXT: Final = nw.String()
"""The type of text in every kind of frame."""

_MEANING: Final[Mapping[Role, str]] = {
    "key": "whole numbers or text",
    "label": "whole numbers, text or true and false",
    "time": "dates or timestamps",
    "number": "numbers",
    "measure": "numbers, or true and false",
}
_FIX: Final[Mapping[Role, str]] = {
    "key": "Cast it to text or to whole numbers first.",
    "label": "Cast it to text or to whole numbers first.",
    "time": "Parse it first, for example with pandas.to_datetime or a cast to TIMESTAMP.",
    "number": "Cast it first, for example with pandas.to_numeric or a cast to DOUBLE.",
    "measure": "Cast it first, for example with pandas.to_numeric or a cast to DOUBLE.",
}


@dataclass(frozen=True, slots=True)
class Use:
    """What a column is used for: the caller's argument, the column it names, and the part it plays."""

    argument: str
    column: str
    role: Role


# ---------------------------------------------------------------------------------------------------------------- in


def columns(argument: str, frame: object, uses: Sequence[Use]) -> tuple[nw.DataFrame[Any], dict[str, npt.NDArray[Any]]]:
    """A frame that has one row per customer already, in memory, and its numbers by argument."""
    native = wrap(argument, frame)
    check(native, uses)
    eager = collect(native)
    return eager, {u.argument: values_in(eager, u) for u in uses if u.role not in KEYS}


def wrap(argument: str, frame: object) -> Eager | Lazy:
    """Any supported frame behind one interface; one that is behind it already is left as it is."""
    if isinstance(frame, (nw.DataFrame, nw.LazyFrame)):
        return frame
    try:
        return cast("Eager | Lazy", nw.from_native(cast("Any", frame)))
    except TypeError:
        raise DataError(
            f"{argument} is a {type(frame).__name__}, not a table; give a pandas or polars frame, a pyarrow table or a DuckDB relation.",
            code="data.kind",
        ) from None
    except nw.exceptions.DuplicateError:
        names = [str(name) for name in getattr(frame, "column_names", None) or cast("Any", frame).columns]
        twice = sorted({n for n in names if names.count(n) > 1})
        raise ColumnError(f"{argument} has two columns with the name {twice}; rename one of them.", code="column.duplicate") from None


def snapshot(frame: Eager | Lazy) -> Eager | Lazy:
    """The frame as it is now, to be read again later: pandas' frames can be changed in place, and the copy is made on write."""
    if not frame.implementation.is_pandas():
        return frame
    return in_memory(cast("Any", frame.to_native()).copy(deep=False))


def engine(frame: Eager | Lazy) -> str | None:
    """The name of the engine behind a lazy frame; None for a frame in memory."""
    return frame.implementation.name.lower() if isinstance(frame, nw.LazyFrame) else None


def are_whole(values: Values) -> bool:
    """Whether all values are whole numbers; a column of numpy's cannot lack one, which need not be counted."""
    own = isinstance(getattr(values.to_native(), "dtype", None), np.dtype)
    return values.dtype.is_integer() and (own or values.null_count() == 0)


def is_text(frame: Eager | Lazy, column: str) -> bool:
    """Whether a column holds text."""
    return bool(frame.collect_schema()[column] == nw.String)


def in_memory(native: object) -> Eager:
    """A native frame that is in memory already, behind the common interface."""
    return nw.from_native(cast("Any", native), eager_only=True)


def collect(frame: Eager | Lazy) -> Eager:
    """The eager frame of the same family."""
    return frame.collect() if isinstance(frame, nw.LazyFrame) else frame


def family(frame: Eager | Lazy) -> nw.Implementation:
    lazy_without_eager = isinstance(frame, nw.LazyFrame) and not frame.implementation.is_polars()
    return nw.Implementation.PYARROW if lazy_without_eager else frame.implementation


def check(frame: Eager | Lazy, uses: Sequence[Use]) -> Mapping[str, nw.dtypes.DType]:
    schema = _schema(frame)
    names = list(schema)
    seen: dict[str, str] = {}
    for use in uses:
        if not isinstance(use.column, str):
            raise ColumnError(
                f"{use.argument}={use.column!r} is no name of a column; a name is a text. Rename the column, or leave out the brackets.",
                code="column.name",
            )
        if use.column not in names:
            raise ColumnError(
                f"{use.argument}={use.column!r} is not a column of the frame; it has {names}."
                f"{_hint_of_index(frame, use.column) or nearest(use.column, names)}",
                code="column.missing",
            )
        if use.column in seen:
            raise ColumnError(
                f"{use.argument}={use.column!r} is already used as {seen[use.column]}; each column plays one part.", code="column.repeated"
            )
        seen[use.column] = use.argument
        if not _plays(schema[use.column], use.role, frame.implementation):
            raise _wrong_type(use, _type_name(frame, use.column))
    return schema


def _hint_of_index(frame: Eager | Lazy, column: str) -> str:
    """What to do where the index of a frame of pandas has the name, as after a groupby."""
    if not frame.implementation.is_pandas() or column not in cast("Any", frame.to_native()).index.names:
        return ""
    return f" {column!r} is in the index; make it a column with .reset_index()."


def _schema(frame: Eager | Lazy) -> Mapping[str, nw.dtypes.DType]:
    """The types of the columns; that of pandas' stamps in zones with a sign or a digit in their name, which narwhals does not read, too."""
    schema: dict[str, nw.dtypes.DType] = dict(frame.collect_schema())
    if not frame.implementation.is_pandas() or nw.Unknown not in schema.values():
        return schema
    import pandas as pd

    own = dict(zip(schema, cast("pd.DataFrame", frame.to_native()).dtypes, strict=True))
    return {
        name: nw.Datetime(cast("Any", own[name]).unit, str(own[name].tz)) if isinstance(own[name], pd.DatetimeTZDtype) else dtype
        for name, dtype in schema.items()
    }


def _plays(dtype: nw.dtypes.DType, role: Role, kind: Backend) -> bool:
    """Whether a type can play a part. Objects may be text in pandas; polars' whole numbers of 128 bits fit no array."""
    if role in {"number", "measure"}:
        objects = kind.is_pandas_like() and dtype == nw.Object  # booleans with a missing one, as files have them
        return dtype.is_numeric() or (role == "measure" and (isinstance(dtype, nw.Boolean) or objects))
    if role == "time":
        return isinstance(dtype, (nw.Datetime, nw.Date))
    if role == "label" and isinstance(dtype, nw.Boolean):
        return True
    text = isinstance(dtype, (nw.String, nw.Categorical, nw.Enum)) or (kind.is_pandas_like() and dtype == nw.Object)
    wide = kind.is_polars() and isinstance(dtype, (nw.Int128, nw.UInt128))
    return text or dtype.is_float() or (dtype.is_integer() and not wide)


def _wrong_type(use: Use, found: str) -> ColumnError:
    return ColumnError(
        f"{use.argument}={use.column!r} holds {found}; it must hold {_MEANING[use.role]}. {_FIX[use.role]}", code="column.type"
    )


def _type_name(frame: Eager | Lazy, column: str) -> str:
    """The type of a column, by its engine's name where the common one is unknown."""
    native, dtype = cast("Any", frame.to_native()), frame.collect_schema()[column]
    if dtype != nw.Unknown:
        return str(dtype)
    if frame.implementation.is_duckdb():
        return str(native.types[native.columns.index(column)])
    return str(native.schema.field(column).type if frame.implementation.is_pyarrow() else native[column].dtype)


def clock_of(dtype: nw.dtypes.DType, use: Use, tz: str | None, engine: str | None) -> Clock:
    """How the time column's clock runs."""
    if not isinstance(dtype, nw.Datetime):
        return Clock.of("D", None, tz)
    if dtype.time_zone is not None and not _checks.is_zone(dtype.time_zone):
        raise ColumnError(
            f"{use.argument}={use.column!r} is in the time zone {dtype.time_zone!r}, which the IANA database does not know. Convert it "
            "first, for example to 'UTC'.",
            code="column.zone",
        )
    # DuckDB's stamps with a zone are instants; the zone shown is the session's, which must not decide what a day is.
    stored = "UTC" if engine == "duckdb" and dtype.time_zone is not None else dtype.time_zone
    return Clock.of(dtype.time_unit, stored, tz)


# ----------------------------------------------------------------------------------------------------------- columns


def values_in(frame: Eager, use: Use) -> npt.NDArray[Any]:
    """The values of a column; numbers of pandas without the way over the common interface, which costs more than small columns do."""
    if use.role in {"number", "measure"} and frame.implementation.is_pandas_like():
        return _numbers_of_pandas(frame.to_native()[use.column], use)
    return values_of(frame.get_column(use.column), use)


def values_of(series: nw.Series[Any], use: Use) -> npt.NDArray[Any]:
    """The values of a column: codes of keys and labels, ticks of times, floats, NaN where null."""
    if use.role in KEYS:
        return encode(series, use)[0]
    if use.role == "time":
        return _ticks(series)
    native = series.to_native()
    if series.implementation.is_pandas_like():
        return _numbers_of_pandas(native, use)
    if series.implementation.is_pyarrow():
        return np.asarray(native.cast("float64", safe=False).to_numpy(), dtype=np.float64)
    floats = native if series.dtype == nw.Float64 else series.cast(nw.Float64).to_native()
    return np.asarray(floats.to_numpy(), dtype=np.float64)


def _numbers_of_pandas(native: Any, use: Use) -> Floats:
    """Floats, NaN where null. A numpy column has no missing value but NaN, and is not copied."""
    if isinstance(native.dtype, np.dtype) and native.dtype != object:
        return np.asarray(native.to_numpy(dtype="float64"))
    if native.dtype != object or not any(isinstance(value, (str, bytes)) for value in native):  # text may read like a number
        with contextlib.suppress(TypeError, ValueError):
            return np.asarray(native.to_numpy(dtype="float64", na_value=np.nan))
    raise _wrong_type(use, "objects, some of which are no numbers")


def _ticks(series: nw.Series[Any]) -> Ints:
    """Ticks in the column's own unit, `calendars.MISSING` where null; in UTC where the column has a zone."""
    native = series.to_native()
    if series.implementation.is_polars():
        return cast("Ints", native.to_numpy().astype(_numpy_time(series.dtype), copy=False).view(np.int64))
    if series.implementation.is_pandas_like():
        import pandas as pd

        if not isinstance(native.dtype, pd.ArrowDtype):
            return np.asarray(pd.DatetimeIndex(native, copy=False).asi8)
        native = native.array.__arrow_array__()
    import pyarrow as pa

    narrow = pa.int32() if pa.types.is_date32(native.type) else pa.int64()
    return np.asarray(native.cast(narrow).cast(pa.int64()).fill_null(calendars.MISSING).to_numpy(), dtype=np.int64)


def _numpy_time(dtype: nw.dtypes.DType) -> str:
    return f"datetime64[{dtype.time_unit if isinstance(dtype, nw.Datetime) else 'D'}]"


def encode(series: nw.Series[Any], use: Use) -> tuple[Ints, nw.Series[Any]]:
    """Dense codes in order of appearance, -1 where null, and the distinct values in the column's own type."""
    native = series.to_native()
    if series.implementation.is_pandas_like():
        import pandas as pd

        try:
            codes, distinct = pd.factorize(native + 0.0 if series.dtype.is_float() else native)  # -0.0 is 0.0
        except TypeError:
            raise _wrong_type(use, "objects that cannot be told apart, such as lists") from None
        return codes.astype(np.int64, copy=False), nw.new_series(native.name, distinct, backend=series.implementation)
    if use.role == "label" and (found := _few(series)) is not None:
        return found
    codes = _integers(series, use)
    return codes, take(series, first_rows(codes))


def _few(series: nw.Series[Any]) -> tuple[Ints, nw.Series[Any]] | None:
    """The same for a polars text of few values, each found by one comparison, which takes a quarter of the time; None if there are more."""
    if not series.implementation.is_polars() or series.dtype != nw.String:
        return None
    native = series.to_native()
    first: list[int] = []
    codes = FEW + native.is_null().to_numpy().view(np.uint8)
    while (rest := codes == FEW).any():
        if len(first) == FEW:
            return None
        place = int(rest.argmax())
        codes -= _mask(native == native[place]).view(np.uint8) * np.uint8(FEW - len(first))  # a choice by mask takes three times as long
        first.append(place)
    codes[codes > FEW] = 255
    return codes.view(np.int8).astype(np.int64), take(series, np.array(first, dtype=np.int64))


def _mask(native: Any) -> npt.NDArray[np.bool_]:
    """Truth values of polars as an array; null is false."""
    return np.asarray((native.fill_null(value=False) if native.null_count() else native).to_numpy())


def _integers(series: nw.Series[Any], use: Use) -> Ints:
    """Codes of a polars or pyarrow column."""
    native = series.to_native()
    text = isinstance(series.dtype, (nw.String, nw.Categorical, nw.Enum))
    if text and series.implementation.is_polars():
        import polars as pl

        physical = native.cast(pl.Categorical).to_physical()
        return factorize(physical.cast(pl.Float64).to_numpy() if native.null_count() else physical.to_numpy())[0]
    if text:
        import pyarrow as pa

        value_type = native.type.value_type if pa.types.is_dictionary(native.type) else pa.large_string()
        if pa.types.is_nested(value_type) or isinstance(value_type, pa.BaseExtensionType):
            raise _wrong_type(use, str(native.type))
        indices = native.cast(value_type).combine_chunks().dictionary_encode().indices
        return np.asarray(indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False))
    if series.null_count() == 0:
        return factorize(native.to_numpy())[0]
    codes = np.full(len(series), -1, dtype=np.int64)
    codes[~series.is_null().to_numpy()] = factorize(series.drop_nulls().to_native().to_numpy())[0]
    return codes


def positions_among(series: nw.Series[Any], words: Sequence[Any]) -> npt.NDArray[Any]:
    """The place of each value in a list of words; the length of the list where it is none of them, or null."""
    native, other = series.to_native(), len(words)
    small = np.min_scalar_type(other)
    if series.implementation.is_polars():
        import polars as pl

        if isinstance(series.dtype, nw.String) and other <= FEW:
            # One comparison for each takes half the time of a search for all; the bits of places, from 1, are put together in the engine.
            equal, places = [native == word for word in words], np.zeros(len(native), dtype=np.uint8)
            for bit in range(other.bit_length()):
                plane = functools.reduce(operator.or_, (equal[place] for place in range(other) if (place + 1) >> bit & 1))
                places |= _mask(plane).view(np.uint8) << bit
            return np.asarray(np.minimum(places - np.uint8(1), small.type(other)))
        if isinstance(series.dtype, (nw.String, nw.Categorical, nw.Enum)):
            found = native.cast(pl.String).cast(pl.Enum([str(word) for word in words]), strict=False).to_physical().fill_null(other)
        else:
            known = {word: place for place, word in enumerate(_fitting(series.dtype, words)) if word is not None}
            found = native.replace_strict(known, default=other, return_dtype=pl.Int64)
        return np.asarray(found.to_numpy()).astype(small, copy=False)
    if series.implementation.is_pandas_like():
        import pandas as pd

        if isinstance(native.dtype, pd.CategoricalDtype):
            table = np.append(_places(native.dtype.categories, words), other)
            return np.asarray(table[native.cat.codes.to_numpy()]).astype(small)
        if not _has_arrow() or not hasattr(native.array, "__arrow_array__") or isinstance(native.dtype, np.dtype):
            return _places(native, words).astype(small)
        native = native.array.__arrow_array__()
    import pyarrow as pa
    import pyarrow.compute as pc

    plain_values = native.cast(native.type.value_type) if pa.types.is_dictionary(native.type) else native
    if pa.types.is_string_view(plain_values.type):
        plain_values = plain_values.cast(pa.large_string())
    found = pc.index_in(plain_values, pa.array(_fitting(series.dtype, words), plain_values.type), skip_nulls=True)
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    validity, data = found.buffers()
    places = np.frombuffer(data, dtype=np.int32)[found.offset : found.offset + len(found)].astype(small)
    if found.null_count:  # read off the bitmap: filling nulls takes Arrow as long as the search, and numpy's choice by mask a third of it
        bits = np.unpackbits(np.frombuffer(validity, dtype=np.uint8), bitorder="little")[found.offset : found.offset + len(found)]
        places *= bits
        places += (bits ^ 1) * small.type(other)
    return places


@functools.cache
def _has_arrow() -> bool:
    """Whether pyarrow is there, which pandas does without: its text is then looked up by hashing."""
    return importlib.util.find_spec("pyarrow") is not None


def _places(values: Any, words: Sequence[Any]) -> Ints:
    """The same for what pandas can look up by hashing."""
    import pandas as pd

    try:
        places = pd.Index(list(words)).get_indexer(pd.Index(values))
    except TypeError:
        raise ColumnError(
            f"{values.name!r} holds objects that cannot be told apart, such as lists. Cast it to text or to whole numbers first.",
            code="column.type",
        ) from None
    return np.where(places < 0, len(words), places)


def _fitting(dtype: nw.dtypes.DType, words: Sequence[Any]) -> list[Any]:
    """The words that a column of this type can hold, None in the place of others."""
    if not dtype.is_integer():
        return list(words)
    ends = np.iinfo(str(dtype).lower())
    return [word if isinstance(word, int) and ends.min <= word <= ends.max else None for word in words]


def among(series: nw.Series[Any], values: Sequence[object]) -> npt.NDArray[np.bool_]:
    """Which rows have one of these values; null is none of them."""
    if not isinstance(series.dtype, (nw.Decimal, nw.Boolean)) and not series.dtype.is_float():
        return np.asarray(positions_among(series, values) != len(values), dtype=np.bool_)
    comparable = series.cast(nw.Float64) if isinstance(series.dtype, nw.Decimal) else series
    return np.asarray(comparable.is_in(list(values)).fill_null(value=False).to_numpy(), dtype=np.bool_)


def keep_any(frame: Eager | Lazy, patterns: Sequence[Sequence[tuple[str, Sequence[object]]]]) -> Eager | Lazy:
    """The rows that fulfil all conditions of at least one pattern; a condition is a column and the values it may have."""
    schema = frame.collect_schema()

    def column(name: str) -> nw.Expr:
        return nw.col(name).cast(nw.Float64) if isinstance(schema[name], nw.Decimal) else nw.col(name)

    wanted = [nw.all_horizontal(*(column(n).is_in(list(values)) for n, values in conditions), ignore_nulls=True) for conditions in patterns]
    return frame.filter(nw.any_horizontal(*wanted, ignore_nulls=True))


def latest(frame: Eager | Lazy, use: Use) -> int:
    """The last tick of a time column; `calendars.MISSING` where it has none."""
    if isinstance(frame, nw.LazyFrame):
        frame = frame.select(nw.col(use.column).max()).collect()
    return int(values_in(frame, use).max(initial=calendars.MISSING))


def count(frame: Eager | Lazy) -> int:
    """The number of rows of any frame."""
    return len(frame) if isinstance(frame, nw.DataFrame) else int(frame.select(nw.len()).collect().item())


def some(frame: Eager | Lazy, column: str) -> list[Any]:
    """The distinct values of a column, those that are not null, in order."""
    return collect(frame.select(nw.col(column)).unique().drop_nulls()).sort(column)[column].to_list()


def kinds(frame: Eager | Lazy) -> dict[str, str]:
    """What each column holds, as far as patterns of events care: "flag", "text", "whole", "real" or "other"."""
    return {name: _kind(_value_type(frame, name, dtype), frame.implementation) for name, dtype in frame.collect_schema().items()}


def _value_type(frame: Eager | Lazy, name: str, dtype: nw.dtypes.DType) -> nw.dtypes.DType:
    """The type of a column's values; those of categories may be numbers, except in polars and DuckDB."""
    if not isinstance(dtype, nw.Categorical) or isinstance(frame, nw.LazyFrame) or frame.implementation.is_polars():
        return dtype
    return plain(frame[name].head(0)).dtype


def _kind(dtype: nw.dtypes.DType, kind: Backend) -> str:
    if isinstance(dtype, nw.Boolean):
        return "flag"
    if isinstance(dtype, (nw.String, nw.Categorical, nw.Enum)) or (kind.is_pandas_like() and dtype == nw.Object):
        return "text"
    if dtype.is_integer():
        return "whole"
    return "real" if dtype.is_numeric() else "other"


def together(sides: Sequence[tuple[Ints, nw.Series[Any]]], use: Use) -> tuple[Ints, nw.Series[Any]]:
    """Codes into several lists of distinct values as codes into one; -1 stays -1."""
    if len(sides) == 1:
        return sides[0]
    codes, distinct = encode(concat([values for _, values in sides]), use)
    starts = np.cumsum([0, *(len(values) for _, values in sides)])
    tables = (np.append(codes[start : start + len(values)], -1) for start, (_, values) in zip(starts.tolist(), sides, strict=False))
    return np.concatenate([table[own] for table, (own, _) in zip(tables, sides, strict=True)]), distinct


def first_rows(codes: Ints) -> Ints:
    """The first row of each code."""
    first = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.int64)
    known = np.flatnonzero(codes >= 0)[::-1]
    first[codes[known]] = known  # the last one written is the first row
    return first


def factorize(values: npt.NDArray[Any]) -> tuple[Ints, npt.NDArray[Any]]:
    """Dense codes of numbers in order of appearance, by hashing, -1 for NaN; and the distinct numbers."""
    import pandas as pd

    codes, distinct = pd.factorize(values)
    return codes.astype(np.int64, copy=False), np.asarray(distinct)


def encode_together(
    sides: Sequence[nw.Series[Any]], use: Use, names: tuple[str, str] = ("before", "after")
) -> tuple[list[Ints], nw.Series[Any]]:
    """One coding for the same column of two tables, which have these names in a sentence."""
    kinds = [s.implementation for s in sides]
    if len(set(kinds)) > 1:
        raise DataError(
            f"{names[0]} is a {kinds[0].name.lower()} frame and {names[1]} a {kinds[1].name.lower()} frame; give both in one kind.",
            code="data.kind",
        )
    alike = _alike([plain(s) for s in sides], use, names)
    codes, distinct = encode(concat(alike), use)
    return np.split(codes, np.cumsum([len(s) for s in sides])[:-1]), distinct


def _alike(sides: Sequence[nw.Series[Any]], use: Use, names: tuple[str, str]) -> list[nw.Series[Any]]:
    """Columns of one type, where no value changes by it: text with text, whole numbers with whole numbers or with exact floats."""
    dtypes = [s.dtype for s in sides]
    if len(set(dtypes)) == 1:
        return list(sides)
    if all(isinstance(dtype, (nw.String, nw.Object)) for dtype in dtypes):
        return [nw.from_native(s.to_native().astype(object), series_only=True) for s in sides]
    if all(dtype.is_numeric() for dtype in dtypes):
        ends = [(s.min(), s.max()) for s in sides if s.dtype.is_integer() and len(s)]
        low, high = min((low for low, _ in ends), default=0), max((high for _, high in ends), default=0)
        if all(dtype.is_integer() for dtype in dtypes) and (high < 2**63 or low >= 0):
            return [s.cast(nw.Int64 if high < 2**63 else nw.UInt64) for s in sides]
        if low >= -(2**53) and high <= 2**53:
            return [s.cast(nw.Float64) for s in sides]
    raise ColumnError(
        f"{use.argument}={use.column!r} holds {dtypes[0]} {_place(names[0])} and {dtypes[1]} {_place(names[1])}, whose values cannot be "
        "compared. Cast one of them.",
        code="column.type",
    )


def _place(name: str) -> str:
    """Where something is found: before, after, or in a table."""
    return name if name in {"before", "after"} else f"in {name}"


def sort_order(values: nw.Series[Any], argument: str) -> Ints | None:
    """Positions that put distinct values in increasing order, None where they are: numbers by size, text by code point."""
    if values.dtype.is_numeric():
        numbers = values.to_numpy()
        if np.all(numbers[1:] > numbers[:-1]):
            return None
        return np.argsort(numbers).astype(np.int64, copy=False)  # distinct, so any sort is stable
    position = nw.new_series("position", np.arange(len(values)), backend=values.implementation)
    try:
        ordered = nw.from_dict({"key": plain(values), "position": position}).sort("key")
    except TypeError:
        kinds = sorted({type(v).__name__ for v in values.to_list()})
        raise DataError(
            f"{argument}={values.name!r} mixes {' and '.join(kinds)}; ids must be all text or all numbers. Cast the column first.",
            code="data.mixed",
        ) from None
    return ordered["position"].to_numpy().astype(np.int64, copy=False)


def rank(values: nw.Series[Any], argument: str) -> Ints:
    """The place of each distinct value among all, in increasing order."""
    order = sort_order(values, argument)
    if order is None:
        return np.arange(len(values))
    place = np.empty(len(values), dtype=np.int64)
    place[order] = np.arange(len(values))
    return place


def concat(series: Sequence[nw.Series[Any]]) -> nw.Series[Any]:
    """Series of one type, one after the other; an empty one has nothing to say, not even its type."""
    series = [s for s in series if len(s)] or series[:1]
    if len(series) == 1:
        return series[0]
    joined = nw.concat([_one_text(s).alias("key").to_frame() for s in series], how="vertical")["key"].alias(series[0].name)
    if not joined.implementation.is_pandas_like():
        return joined
    return nw.from_native(joined.to_native().reset_index(drop=True), series_only=True)


def _one_text(series: nw.Series[Any]) -> nw.Series[Any]:
    """Arrow has several types of text; they do not join, and one of them knows no `take`."""
    if series.implementation.is_pyarrow() and series.dtype == nw.String:
        return nw.from_native(series.to_native().cast("large_string"), series_only=True)
    return series


def plain(values: nw.Series[Any]) -> nw.Series[Any]:
    """A category is its value: its order and identity are those of the value, not of the level."""
    if not isinstance(values.dtype, (nw.Categorical, nw.Enum)):
        return values
    native = values.to_native()
    if values.implementation.is_pandas_like():
        return nw.from_native(native.astype(native.cat.categories.dtype), series_only=True)
    if values.implementation.is_pyarrow():
        return nw.from_native(native.cast(native.type.value_type), series_only=True)
    return values.cast(nw.String)


def take(values: nw.Series[Any], positions: Ints) -> nw.Series[Any]:
    """Rows by position."""
    native = values.to_native()
    if values.implementation.is_pandas_like():
        picked = native.array.take(positions)
    elif values.implementation.is_polars():
        picked = native.gather(positions)
    else:
        import pyarrow as pa

        picked = (native.cast(pa.large_string()) if native.type == pa.string_view() else native).take(pa.array(positions))
    return nw.new_series(values.name, picked, backend=cast("Any", values.implementation))


def like(values: nw.Series[Any], numbers: npt.NDArray[Any]) -> nw.Series[Any]:
    """Numbers as a column of the same kind, type and name as another."""
    native = cast("Any", values.to_native())
    if values.implementation.is_pandas_like():
        import pandas as pd

        return nw.from_native(pd.Series(numbers, dtype=native.dtype, name=native.name, copy=False), series_only=True)
    return nw.new_series(values.name, numbers, values.dtype, backend=cast("Any", values.implementation))


def names(argument: str, native: object) -> list[str]:
    """The column names of any frame."""
    return list(wrap(argument, native).collect_schema())
