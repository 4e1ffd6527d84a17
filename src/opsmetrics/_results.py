"""The base of results: a frozen object that holds tidy tables, the parameters used, and what was dropped and why."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, cast, overload

import numpy as np

from opsmetrics import _frames, _output, _render
from opsmetrics.errors import ParameterError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    from matplotlib.axes import Axes

FrameT_co = TypeVar("FrameT_co", covariant=True)
FrameT = TypeVar("FrameT")

SHOWN = 10
"""Rows of a table of customers that a repr shows."""

SHOWN_LABELS = 30
"""Rows of a table of labels that a repr shows."""


class _PolarsLazy(Protocol):
    """What tells a type checker that the caller handed in a polars LazyFrame."""

    def sink_parquet(self, *args: Any, **kwargs: Any) -> Any: ...


class _DuckDB(Protocol):
    """What tells a type checker that the caller handed in a DuckDB relation."""

    def to_arrow_reader(self, *args: Any, **kwargs: Any) -> Any: ...


class Later:
    """A table that is made when it is first asked for, since few callers ask for it; it travels as the table it makes."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make: Callable[[], Any] | None = make
        self._made: Any = None

    def __reduce__(self) -> tuple[object, ...]:
        return _made, (self(),)

    def __call__(self) -> Any:
        """The table, made once."""
        if self._make is not None:
            self._made, self._make = self._make(), None
        return self._made


def _made(table: Any) -> Later:
    return Later(lambda: table)


class Table:
    """A named table of a result, in the caller's kind of frame: typed once, here, for every result."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, result: None, owner: type) -> Self: ...
    @overload
    def __get__(self, result: Result[_PolarsLazy], owner: type) -> pl.DataFrame: ...
    @overload
    def __get__(self, result: Result[_DuckDB], owner: type) -> pa.Table: ...
    @overload
    def __get__(self, result: Result[FrameT], owner: type) -> FrameT: ...
    def __get__(self, result: Result[Any] | None, owner: type) -> Any:
        if result is None:
            return self
        if self.name not in result._tables:
            raise AttributeError(f"this {type(result).__name__} has no .{self.name}; it has {list(result._tables)}.")
        table = result._tables[self.name]
        return table() if isinstance(table, Later) else table


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Result(Generic[FrameT_co]):
    """The base of every result.

    Attributes
    ----------
    table : frame
        The main tidy table, of the kind the caller handed in (a polars DataFrame for a LazyFrame, a pyarrow Table for a DuckDB relation).
    params : mapping
        The parameters used, as JSON-safe values.
    dropped : mapping of str to int
        Why rows were left out, and how many.
    """

    _tables: Mapping[str, Any]
    params: dict[str, object]
    dropped: dict[str, int]

    table = Table()

    def _view(self) -> _render.View:
        """What the result shows of itself."""
        columns, rows = _output.head(self._tables["table"], SHOWN)
        return _render.View(
            title=type(self).__name__,
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            ids=[name for name in (getattr(self, "customer", None),) if name is not None],
            total_rows=_output.height(self._tables["table"]),
            notes=dropped_notes(self.dropped),
        )

    def to_dict(self) -> dict[str, object]:
        """Everything the result holds, as values `json.dumps` accepts.

        Returns
        -------
        dict
            Each named table as a list of records, then ``params`` and ``dropped``. Missing values are None, times ISO 8601 text.
        """
        tables: dict[str, object] = {name: _records(getattr(self, name)) for name in self._tables}
        return tables | {"params": plain(self.params), "dropped": dict(self.dropped)}

    def _repr_html_(self) -> str:
        return _render.page(self._view())

    def __str__(self) -> str:
        return _render.text(self._view())

    def __repr__(self) -> str:
        return str(self)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the result with matplotlib (the ``plot`` extra).

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes by default.

        Returns
        -------
        matplotlib Axes
            The axes drawn on; nothing is shown and no global setting is touched.

        Raises
        ------
        ImportError
            Without matplotlib: ``pip install "opsmetrics[plot]"``.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=50, rng=7)
        >>> summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
        >>> summary.plot().get_ylabel()
        'customers'
        """
        return picture(self, ax)


def picture(result: object, ax: Axes | None, name: str = "draw") -> Axes:
    """Draw a result, or a part of it that has a picture of its own."""
    from opsmetrics import plotting

    drawn: Axes = getattr(plotting, name)(result, ax)
    return drawn


@dataclass(frozen=True, slots=True)
class Held:
    """The caller's table as it was, to be asked again; it does not travel with an answer to another process."""

    argument: str
    _frame: Any

    @classmethod
    def of(cls, argument: str, frame: object) -> Self:
        """Keep a frame as it is now."""
        return cls(argument, _frames.snapshot(_frames.wrap(argument, frame)))

    @property
    def frame(self) -> Any:
        """The table, behind the common interface."""
        if self._frame is None:
            raise ParameterError(
                f"this result came from another process, to which its {self.argument} did not travel; ask it where it was made.",
                code="parameter.log",
            )
        return self._frame

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.argument, None)


def table_of(given: object) -> Any:
    """The main table of a result; a frame is its own."""
    return given.table if isinstance(given, Result) else given


def shown(params: Mapping[str, object]) -> dict[str, object]:
    """The parameters that a repr shows: all but the names of columns, and what is nothing."""
    return {name: value for name, value in params.items() if name != "columns" and value}


def dropped_notes(dropped: Mapping[str, int]) -> list[str]:
    """A line that says what was left out; none where nothing was."""
    reasons = ", ".join(f"{rows:,} {reason}" for reason, rows in dropped.items() if rows)
    return [f"dropped rows: {reasons}"] if reasons else []


def _records(table: object) -> list[dict[str, object]]:
    names, rows = _output.head(table)
    return [dict(zip(names, (plain(v) for v in row), strict=True)) for row in rows]


def plain(value: object) -> Any:
    """A value `json.dumps` accepts: NaN and infinities are None, times are ISO 8601 text."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()]
    if isinstance(value, np.generic):
        return plain(cast("object", value.item()))
    if isinstance(value, (dt.date, dt.timedelta)):
        return value.isoformat() if isinstance(value, dt.date) else str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
