"""What models of lifetime value are handed: a summary, any frame or arrays with its columns, one row per customer or counted rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames, _output
from opsmetrics._frames import Floats, Use
from opsmetrics._kernels.histories import Histories
from opsmetrics._results import Result, table_of
from opsmetrics.errors import ColumnError, DataError
from opsmetrics.lifetime_value.summaries import Unit

LARGEST: Final = 1_000_000
"""More repeat purchases than this are no customer's."""

MOST_ASKED: Final = 2_500
"""More purchases than this nobody asks the chance of: one on each day of seven years. The walk to it takes a second or two."""

MOST_PERIODS: Final = 100_000
"""More than BG/BB can count."""

LONGEST: Final = 36_525
"""Days: nobody is a customer for more than 100 years."""

HUGE: Final = 1e15
"""Numbers beyond it, or nearer to 0 than its inverse, are in the wrong unit."""

DAYS_IN: Final[dict[Unit, float]] = {"day": 1.0, "week": 7.0, "month": 365.2425 / 12, "quarter": 365.2425 / 4, "year": 365.2425}
"""Days in a unit of time, on the average of the Gregorian calendar."""


@dataclass(frozen=True)
class Table:
    """What was handed in: a frame, or arrays by name, which are read as they are, and become a frame only where a prediction joins them."""

    given: Any

    @cached_property
    def frame(self) -> _frames.Eager:
        """The frame; of pandas, if it was arrays."""
        if not isinstance(self.given, Mapping):
            return _frames.collect(_frames.wrap("summary", self.given))
        own = {name: values.copy() for name, values in self.given.items()}  # the caller's stay his
        return _frames.in_memory(_output.build(_output.backend("pandas"), own))

    def numbers(self, uses: Sequence[Use]) -> dict[str, Any]:
        """Columns of numbers by argument."""
        names = [use.column for use in uses]
        if isinstance(self.given, Mapping) and len({*names}) == len(names) and all(_is_plain(self.given.get(name)) for name in names):
            return {use.argument: self.given[use.column].astype(np.float64, copy=False) for use in uses}
        return _frames.columns("summary", self.frame, uses)[1]


def _is_plain(values: Any) -> bool:
    """Whether an array holds numbers that are as they should be; of others the boundary has something to say."""
    return values is not None and values.dtype.kind in "iuf" and values.dtype.itemsize <= 8


@dataclass(frozen=True, slots=True)
class Door:
    """A table of histories: what was handed in, its rows as numbers, and what a summary says of itself."""

    table: Table
    histories: Histories
    unit: str | None
    customer: str | None


def enter(summary: object, *, weights: str | None = None, purchase: Sequence[str] = (), dropout: Sequence[str] = ()) -> Door:
    """Read the columns frequency, recency and T, and those that are named besides."""
    names = {"frequency": "frequency", "recency": "recency", "T": "T"}
    table, columns = read(summary, weighed(names, weights))
    x = whole("frequency", columns["frequency"])
    t_x, T = columns["recency"], columns["T"]
    _refuse_times(x, t_x, T)
    counted = None if weights is None else counts(weights, columns["weights"])
    covariates = [_covariates(table, argument, given) for argument, given in (("purchase", purchase), ("dropout", dropout))]
    histories = Histories(x, t_x, T, np.ones(len(x)) if counted is None else counted, *covariates)
    known = summary if isinstance(summary, Result) else None
    return Door(table, histories, getattr(known, "unit", None), getattr(known, "customer", None))


def weighed(names: Mapping[str, str], weights: object) -> dict[str, str]:
    """Columns by argument, and that of the weights, if any: a column rather than the numbers themselves."""
    if weights is None or isinstance(weights, str):
        return dict(names) if weights is None else {**names, "weights": weights}
    given = " ".join(_checks.short(weights).split())
    raise ColumnError(
        f"weights={given} is no name of a column; put the numbers into the table and name their column, as in weights='people'.",
        code="column.name",
    )


def read(summary: object, names: Mapping[str, str]) -> tuple[Table, dict[str, Any]]:
    """The table of a summary, and columns of numbers by argument."""
    given = table_of(summary)
    table = Table(_arrays(given) if isinstance(given, Mapping) else given)
    columns = table.numbers([Use(argument, name, "number") for argument, name in names.items()])
    _checks.not_empty("summary", len(next(iter(columns.values()))))
    for name, values in columns.items():
        _refuse_unusable(name, values, name.lower(), "every row needs a number. Leave these rows out.")
    return table, columns


def _refuse_unusable(told: str, values: Floats, argument: str, rule: str) -> None:
    """Numbers that are none, or in the wrong unit."""
    sizes = np.abs(values)
    usable = (sizes <= HUGE) & ((sizes >= 1 / HUGE) | (sizes == 0))
    if usable.all():
        return
    if lacking := int(np.count_nonzero(~np.isfinite(values))):
        raise DataError(f"{told} is null or infinite in {lacking:,} of {len(values):,} rows; {rule}", code=f"data.{argument}")
    raise DataError(
        f"{told}={values[~usable][0]:g} in one of the rows is beyond measure: sizes are 0, or from {1 / HUGE:g} to {HUGE:g}. "
        "Choose another unit.",
        code=f"data.{argument}",
    )


def _arrays(given: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """Arrays by name, of one length."""
    arrays = {str(name): _array(str(name), values) for name, values in given.items()}
    if len(arrays) < len(given):
        raise DataError(f"summary has two arrays of one name among {list(given)}; name each once.", code="data.kind")
    lengths = {name: values.shape for name, values in arrays.items()}
    if any(len(shape) != 1 for shape in lengths.values()) or len(set(lengths.values())) > 1:
        raise DataError(f"summary has arrays of the shapes {lengths}; they must be of one length, one row per customer.", code="data.kind")
    return arrays


def _array(name: str, values: Any) -> npt.NDArray[Any]:
    """A list or an array as an array; what is masked is null."""
    if isinstance(values, np.ma.MaskedArray):
        lacking = np.ma.getmaskarray(values)
        if lacking.any():
            number = values.dtype.kind in "biuf"
            return np.atleast_1d(np.ma.filled(values.astype(np.float64 if number else object), np.nan if number else None))
        values = values.data
    try:
        return np.atleast_1d(np.asarray(values))
    except ValueError:
        raise DataError(f"summary has lists of unequal length in {name!r}; give one number per customer.", code="data.kind") from None


def whole(argument: str, values: Floats) -> Any:
    """Whole numbers of 0 or more."""
    bad = (values < 0) | (values != np.floor(values)) | (values > LARGEST)
    if bad.any():
        raise DataError(
            f"{argument}={float(values[bad][0]):g} in one of the rows; it counts repeat purchases, so it must be a whole number from 0 to "
            f"{LARGEST:,}.",
            code=f"data.{argument}",
        )
    return values.astype(np.int64)


def _refuse_times(x: Any, t_x: Floats, T: Floats) -> None:
    """Times that no history has."""
    bad = (t_x < 0) | (t_x > T)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"recency={t_x[row]:g} with T={T[row]:g} in row {row}; recency runs from the first to the last purchase and T from the first "
            "to the end, so 0 <= recency <= T. RFM's recency (days since the last purchase) is T - recency.",
            code="data.recency",
        )
    never = (x == 0) & (t_x > 0)
    if never.any():
        row = int(np.flatnonzero(never)[0])
        raise DataError(
            f"recency={t_x[row]:g} with frequency=0 in row {row}; without a repeat purchase the first is the last, and recency is 0. "
            "frequency leaves out the first purchase.",
            code="data.recency",
        )


def refuse_fractions(histories: Histories) -> None:
    """BG/BB counts periods, in each of which a customer buys or not."""
    if (np.floor(histories.T) != histories.T).any() or (histories.t_x != np.floor(histories.t_x)).any():
        raise DataError(
            "BG/BB counts periods: recency and T must be whole numbers. Summarise with unit='month' or another unit in which customers buy "
            "once at most.",
            code="data.recency",
        )
    if histories.T.max() > MOST_PERIODS:
        raise DataError(
            f"T={histories.T.max():,.0f} periods are more than the {MOST_PERIODS:,} that BG/BB can count; choose a longer unit.",
            code="data.t",
        )
    if (histories.x > histories.t_x).any():
        raise DataError(
            "BG/BB knows one purchase per period at most, but some frequency is above its recency; choose a longer unit.",
            code="data.frequency",
        )


def counts(column: str, values: Floats) -> Floats:
    """How many customers each row stands for."""
    if (values < 0).any() or not values.any():
        raise DataError(
            f"weights={column!r} must count customers: numbers of 0 or more, not all of them 0; the smallest is {values.min():g}.",
            code="data.weights",
        )
    return values


def _covariates(table: Table, part: str, given: object) -> Floats | None:
    """Columns of covariates, one row each."""
    argument = f"{part}_covariates"
    names = _checks.listed(argument, given)
    if not names:
        return None
    uses = [Use(f"{argument}[{place}]", name, "number") for place, name in enumerate(names)]
    columns = table.numbers(uses)
    for use in uses:
        rule = "a covariate must be known of every customer. Fill it, or leave these customers out."
        _refuse_unusable(repr(use.column), columns[use.argument], "covariates", rule)
    return np.stack([columns[use.argument] for use in uses])
