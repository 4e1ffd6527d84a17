"""What each segment holds: customers, orders, revenue, and typical members."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import numpy as np

from opsmetrics import _checks, _frames, _output, _render
from opsmetrics._frames import Column, Floats, Ints, Use
from opsmetrics._kernels import grouping
from opsmetrics._results import SHOWN_LABELS, Result, dropped_notes, table_of
from opsmetrics.errors import DataError

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

MEDIANS = ("recency", "frequency", "monetary")
RESERVED = frozenset({
    "customers", "customer_share", "orders", "revenue", "revenue_share", "average_order_value", "revenue_per_customer",
    *(f"median_{name}" for name in MEDIANS),
})  # fmt: skip
TOTALS = {"orders": "frequency", "revenue": "monetary"}
"""Where the totals come from, and what stands in where the table has no such column."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class SegmentSummary(Result[FrameT_co]):
    """One row per segment, as `segment_summary` returns it.

    Attributes
    ----------
    table : frame
        The label, then ``customers``, ``customer_share``, ``orders``, ``revenue``, ``revenue_share``, ``average_order_value`` (revenue per
        order, 笔单价), ``revenue_per_customer`` (客单价), ``median_recency``, ``median_frequency``, ``median_monetary``.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=200, rng=1)
    >>> report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    >>> isinstance(report.segments, om.SegmentSummary)
    True
    """

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN_LABELS)
        count = _output.height(self._tables["table"])
        return _render.View(
            title=f"Segments: {count:,}",
            facts=self.params,
            columns=columns,
            rows=rows,
            bars=("customer_share", "revenue_share"),
            total_rows=count,
            notes=dropped_notes(self.dropped),
        )


@overload
def segment_summary(scored: Result[FrameT], *, by: str = "segment", order: Sequence[str] | None = None) -> SegmentSummary[FrameT]: ...
@overload
def segment_summary(scored: FrameT, *, by: str = "segment", order: Sequence[str] | None = None) -> SegmentSummary[FrameT]: ...
def segment_summary(scored: Any, *, by: str = "segment", order: Sequence[str] | None = None) -> SegmentSummary[Any]:
    """Customers, orders, revenue and typical members of each segment (also known as: 分层汇总).

    Orders and revenue come from the columns ``orders`` and ``revenue`` where the table has them, else from ``frequency`` and ``monetary``.

    Parameters
    ----------
    scored : RFM, CustomerSummary or frame
        One row per customer with the label and ``recency``, ``frequency``, ``monetary``.
    by : str
        The column of the label: the segment, a channel, a country.
    order : sequence of str, optional
        The labels in the order wanted, empty ones included; by default the labels there are, those with most revenue first.

    Returns
    -------
    SegmentSummary
        Shares are fractions of all customers and of all revenue; money is in the unit of the orders.

    Raises
    ------
    ColumnError
        A missing column, or a label that is neither text nor whole numbers.
    DataError
        Customers without a label, or null measures.
    ParameterError
        An order that leaves out a label.

    References
    ----------
    Hughes, A. M. (1994), Strategic Database Marketing (size and revenue share of each cell). The segment table of the R package rfm.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> customers = pd.DataFrame({
    ...     "recency": [3, 5, 90], "frequency": [4, 2, 1], "monetary": [80.0, 40.0, 30.0], "channel": ["app", "app", "web"],
    ... })
    >>> om.segment_summary(customers, by="channel").table[["channel", "customers", "revenue", "average_order_value"]]
      channel  customers  revenue  average_order_value
    0     app          2    120.0                 20.0
    1     web          1     30.0                 30.0
    """
    table = table_of(scored)
    use = Use("by", by, "key")
    frame, columns = _frames.columns("scored", table, [use, *_uses(_frames.names("scored", table))])
    _checks.free("by", by, RESERVED)
    labels, codes = _labels(frame[by], use, order)
    dropped = scored.dropped if isinstance(scored, Result) else {}
    return summarise(frame.implementation, by, labels, codes, columns, keep_order=order is not None, dropped=dropped)


def summarise(
    backend: _frames.Backend,
    by: str,
    labels: _frames.Values,
    codes: Ints,
    columns: Mapping[str, Floats],
    *,
    keep_order: bool,
    dropped: Mapping[str, int],
) -> SegmentSummary[Any]:
    """The summary of customers whose labels are known as codes."""
    _demand_known(columns)
    content = _measures(codes, len(labels), columns)
    rows = np.arange(len(labels)) if keep_order else np.argsort(-content["revenue"], kind="stable")
    by_row: dict[str, Column] = {name: values[rows] for name, values in content.items()}
    table = _output.build(backend, {by: _frames.take(labels, rows)} | by_row)
    return SegmentSummary(_tables={"table": table}, params={"by": by, "customers": len(codes)}, dropped=dict(dropped))


def _uses(names: Sequence[str]) -> list[Use]:
    """The measures, and the orders and the revenue where the table has both."""
    known = (*MEDIANS, *TOTALS) if set(TOTALS) <= set(names) else MEDIANS
    return [Use(name, name, "number") for name in known]


def _labels(values: _frames.Values, use: Use, order: Sequence[str] | None) -> tuple[_frames.Values, Ints]:
    """The labels in order, and the place of each customer's among them."""
    codes, distinct = _frames.encode(values, use)
    if unlabelled := int(np.count_nonzero(codes < 0)):
        raise DataError(
            f"by={use.column!r} is null for {unlabelled:,} of {len(codes):,} customers; label or drop them first.", code="data.label"
        )
    if order is None:
        return distinct, codes
    there, wanted = distinct.to_list(), _checks.listed("order", order)
    _checks.order_of(wanted, there)
    place = np.array([wanted.index(label) for label in there], dtype=np.int64)
    dtype = dtype if (dtype := _frames.plain(distinct).dtype).is_integer() else _frames.TEXT
    return _output.series(values.implementation, wanted, dtype), place[codes]


def finite_extremes(name: str, values: Floats) -> tuple[float, float]:
    """The smallest and the largest of a measure, each value of which must be known and finite."""
    low, high = grouping.extremes(values)
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    wrong = int(np.count_nonzero(~np.isfinite(values)))
    raise DataError(
        f"{name} is null or infinite for {wrong:,} of {len(values):,} customers; drop them or fill it first.", code="data.measure"
    )


def _demand_known(columns: Mapping[str, Floats]) -> None:
    for name, values in columns.items():
        low, high = finite_extremes(name, values)
        if max(-low, high) * values.size > grouping.LARGEST_WHOLE:
            raise DataError(
                f"{name} reaches {max(-low, high):g}, whose sums are beyond exact numbers; use a larger unit.", code="data.measure"
            )


def _measures(codes: Ints, size: int, columns: Mapping[str, Floats]) -> dict[str, Any]:
    orders, revenue = (columns[name] if name in columns else columns[other] for name, other in TOTALS.items())
    customers = np.bincount(codes, minlength=size)
    ordered, earned = grouping.whole_sums(codes, size, orders), grouping.money_sums(codes, size, revenue)
    medians = grouping.medians(codes, size, [columns[name] for name in MEDIANS])
    return {
        "customers": customers,
        "customer_share": grouping.ratio(customers, len(codes)),
        "orders": ordered,
        "revenue": earned,
        "revenue_share": grouping.ratio(earned, math.fsum(earned)),
        "average_order_value": grouping.ratio(earned, ordered),
        "revenue_per_customer": grouping.ratio(earned, customers),
    } | {f"median_{name}": median for name, median in zip(MEDIANS, medians, strict=True)}
