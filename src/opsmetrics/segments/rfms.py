"""RFM in one call: orders to measures, measures to scores, scores to segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from opsmetrics.customers import Frequency, MissingCustomer, Monetary, Refunds, customer_summary
from opsmetrics.errors import ParameterError
from opsmetrics.segments.maps import SegmentMap
from opsmetrics.segments.results import RFM
from opsmetrics.segments.scorers import FittedRFMScorer, RFMScorer

if TYPE_CHECKING:
    import datetime as dt

    import numpy as np

FrameT = TypeVar("FrameT")


def rfm(
    orders: FrameT,
    *,
    customer: str,
    time: str,
    amount: str,
    as_of: str | dt.date | dt.datetime | np.datetime64,
    bins: int | Mapping[str, int] = 5,
    scorer: RFMScorer | FittedRFMScorer | None = None,
    segment_map: SegmentMap | None = None,
    order_id: str | None = None,
    window: int | str | dt.timedelta | None = None,
    tz: str | None = None,
    frequency: Frequency = "orders",
    monetary: Monetary = "net",
    refunds: Refunds = "net",
    missing_customer: MissingCustomer = "error",
) -> RFM[FrameT]:
    """Recency, frequency and money of each customer, scored and put in segments (also known as: RFM 模型, 用户价值分层).

    The call is `customer_summary`, then `RFMScorer.fit` and `FittedRFMScorer.transform`, then `SegmentMap.assign`. The result remembers
    its scorer and its map: a report over time hands last period's to this period's call, since edges that are fitted anew each time
    hide a decline.

    Parameters
    ----------
    orders : frame
        One row per order, or per order line with `order_id`.
    customer, time, amount : str
        Columns of the customer (whole numbers or text), the time (dates or timestamps) and the money (any currency).
    as_of : str, date, datetime or datetime64
        The last moment of the report; later rows are left out and counted.
    bins : int or mapping
        How many scores, 2 to 10; a short form of ``scorer=RFMScorer(bins=...)``.
    scorer : RFMScorer or FittedRFMScorer, optional
        How to score; a fitted one is used as it is.
    segment_map : SegmentMap, optional
        How to name the cells; `SegmentMap.rf10` by default.
    order_id : str, optional
        Column of the order, where rows are order lines.
    window : int, str or timedelta, optional
        Only orders of the last so many local days: 90, "90D", "12W".
    tz : str, optional
        The shop's time zone, whose calendar counts the days.
    frequency : {"orders", "days"}
        Count purchases, or local days with a purchase.
    monetary : {"net", "gross", "mean"}
        Purchases less refunds, purchases alone, or net money per unit of frequency.
    refunds : {"net", "drop", "error"}
        Subtract refunds, leave them out (counted), or refuse them.
    missing_customer : {"error", "drop"}
        Refuse rows without a customer, or leave them out (counted).

    Returns
    -------
    RFM
        ``.table`` has one row per customer who bought: recency in whole local days, frequency as a count, money in the unit of
        `amount`, scores from 1 (worst), and the segment. ``.segments`` has one row per segment.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        Rows that contradict the question; see `customer_summary`.
    ParameterError
        An argument outside its rule; both `bins` and `scorer`; a map that does not fit the scores.

    References
    ----------
    Hughes, A. M. (1994), Strategic Database Marketing. Bult, J. R. & Wansbeek, T. (1995), Optimal selection for direct mail, Marketing
    Science 14(4), 378-394.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=500, rng=3)
    >>> report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2025-06-30")
    >>> later = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2025-12-31",
    ...                scorer=report.scorer, segment_map=report.segment_map)
    >>> later.scorer.edges == report.scorer.edges
    True
    """
    if scorer is not None and bins != 5:
        raise ParameterError(f"bins={bins!r} and scorer= were both given; put the bins into the scorer.", code="parameter.bins")
    for argument, given, kinds in (("scorer", scorer, (RFMScorer, FittedRFMScorer)), ("segment_map", segment_map, (SegmentMap,))):
        if given is not None and not isinstance(given, kinds):
            known = " or ".join(kind.__name__ for kind in kinds)
            raise ParameterError(f"{argument}={given!r} is no {known}; give one, or leave it out.", code=f"parameter.{argument}")
    summary = customer_summary(
        orders, customer=customer, time=time, amount=amount, as_of=as_of, order_id=order_id, window=window, tz=tz,
        frequency=frequency, monetary=monetary, refunds=refunds, missing_customer=missing_customer,
    )  # fmt: skip
    spec = RFMScorer(bins=bins) if scorer is None else scorer
    fitted = spec.fit(summary) if isinstance(spec, RFMScorer) else spec
    return (SegmentMap.rf10() if segment_map is None else segment_map).assign(fitted.transform(summary))
