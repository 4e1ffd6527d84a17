"""What fitted models say of customers, one row each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from opsmetrics import _output, _render
from opsmetrics._results import SHOWN, Result, dropped_notes, shown

FrameT_co = TypeVar("FrameT_co", covariant=True)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Predictions(Result[FrameT_co]):
    """Customers with what a fitted model says of each.

    Attributes
    ----------
    table : frame
        The columns that were handed in, then the prediction, and with `confidence` its interval.
    customer : str or None
        The name of the customer column, where a summary was handed in.
    unit : str
        The unit of time.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=500, rng=1)
    >>> summary = om.clv_summary(orders, customer="customer", time="time")
    >>> fit = om.ModifiedBetaGeo().fit(summary)
    >>> fit.expected_purchases(30, summary).table.columns[-1]
    'expected_purchases'
    """

    customer: str | None
    unit: str

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN)
        return _render.View(
            title=f"Predictions of {self.params['model']}",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            ids=[] if self.customer is None else [self.customer],
            total_rows=_output.height(self._tables["table"]),
            notes=dropped_notes(self.dropped),
        )
