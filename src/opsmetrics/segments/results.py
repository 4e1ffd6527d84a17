"""What scoring and mapping return: scored customers, and customers in segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from opsmetrics import _output, _render
from opsmetrics._results import Result, Table, dropped_notes, shown
from opsmetrics.segments.summaries import SegmentSummary

if TYPE_CHECKING:
    from opsmetrics.segments.maps import SegmentMap
    from opsmetrics.segments.scorers import FittedRFMScorer

FrameT_co = TypeVar("FrameT_co", covariant=True)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RFMScores(Result[FrameT_co]):
    """Scored customers, as `FittedRFMScorer.transform` returns them; `SegmentMap.assign` makes segments of them.

    Attributes
    ----------
    table : frame
        The table that was scored, with ``r_score``, ``f_score``, ``m_score`` and ``rfm_score``.
    scorer : FittedRFMScorer
        The scorer that was used.
    customer : str or None
        The name of the customer column, where a `CustomerSummary` was scored.
    refund_only : frame
        Customers with refunds and no purchase, where a `CustomerSummary` was scored.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> summary = pd.DataFrame({"recency": [2, 30], "frequency": [9, 1], "monetary": [450.0, 15.0]})
    >>> om.RFMScorer(bins=2).fit(summary).transform(summary).table["r_score"].tolist()
    [2, 1]
    """

    customer: str | None
    scorer: FittedRFMScorer

    refund_only = Table()


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RFM(RFMScores[FrameT_co]):
    """Customers in segments, as `rfm` and `SegmentMap.assign` return them.

    Attributes
    ----------
    table : frame
        The customer column, ``recency`` (days), ``frequency``, ``monetary`` and the other columns of the customer summary, then
        ``r_score``, ``f_score``, ``m_score``, ``rfm_score`` and ``segment``; with `SegmentMap.cn8` also ``rfm_code``.
    segments : SegmentSummary
        One row per segment, in the order of the map.
    scorer : FittedRFMScorer
        The frozen edges; hand them to the next period's `rfm`.
    segment_map : SegmentMap
        The map that was used, with its centres as numbers; hand it to the next period's `rfm` too.
    customer : str or None
        The name of the customer column.
    refund_only : frame
        Customers with refunds and no purchase in the window: the customer column, ``refunds`` (a count) and ``refunded``.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=200, rng=1)
    >>> report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    >>> report.segments.table["customers"].sum()
    np.int64(200)
    """

    segments: SegmentSummary[FrameT_co]
    segment_map: SegmentMap

    @property
    def segment_names(self) -> tuple[str, ...]:
        """The names of the segments in the order of the map."""
        return self.segment_map.names

    def _view(self) -> _render.View:
        inner = self.segments._view()
        customers = _output.height(self._tables["table"])
        return _render.View(
            title=f"RFM: {customers:,} customers in {inner.total_rows:,} segments",
            facts=shown(self.params),
            columns=inner.columns,
            rows=inner.rows,
            bars=inner.bars,
            total_rows=inner.total_rows,
            notes=[*dropped_notes(self.dropped), "customers one by one: .table; frozen edges: .scorer"],
        )

    def to_dict(self) -> dict[str, object]:
        """Everything the result holds, as values `json.dumps` accepts.

        Returns
        -------
        dict
            The table and the segments as lists of records; the scorer and the map as their own ``to_dict``; ``params`` and ``dropped``.
        """
        models = {"segments": self.segments.to_dict()["table"], "scorer": self.scorer.to_dict(), "segment_map": self.segment_map.to_dict()}
        return super().to_dict() | models
