"""Order lines: rows of one customer with one order id are one order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from opsmetrics import _frames
from opsmetrics._frames import Ints, Use
from opsmetrics.errors import DataError

MISSING_ORDER = "missing order_id"


def uses_of(order_id: str | None) -> list[Use]:
    """The use of the column of the order, where one is named."""
    return [] if order_id is None else [Use("order_id", order_id, "key")]


def orders_of(codes: Ints, ids: Ints) -> Ints:
    """Dense codes of the orders of lines, by the codes of their customers and of their ids."""
    return _frames.factorize(codes * (int(ids.max(initial=0)) + 1) + ids)[0]


def demand_orders(dropped: Counter[str], columns: Mapping[str, str]) -> None:
    """Every line bears the id of its order."""
    if rows := dropped[MISSING_ORDER]:
        raise DataError(
            f"order_id={columns['order_id']!r} is null in {rows:,} rows; lines without an order cannot be added up. Fill them or leave "
            "order_id out.",
            code="data.order_id",
        )
