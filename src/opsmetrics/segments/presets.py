"""Segment maps that were published elsewhere, as data. Each preset of `SegmentMap` names its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Scores = int | tuple[int, int]

RF10: Final[Mapping[str, tuple[Scores, Scores]]] = {
    "champions": (5, (4, 5)),
    "loyal_customers": ((3, 4), (4, 5)),
    "potential_loyalists": ((4, 5), (2, 3)),
    "new_customers": (5, 1),
    "promising": (4, 1),
    "need_attention": (3, 3),
    "about_to_sleep": (3, (1, 2)),
    "cant_lose": ((1, 2), 5),
    "at_risk": ((1, 2), (3, 4)),
    "hibernating": ((1, 2), (1, 2)),
}
"""Recency and frequency scores by name."""

R_RFM: Final[Mapping[str, tuple[Scores, Scores, Scores]]] = {
    "Champions": (5, 5, 5),
    "Potential Loyalist": ((3, 5), (3, 5), (2, 5)),
    "Loyal Customers": ((2, 4), (2, 4), (2, 4)),
    "Promising": ((3, 4), (1, 3), (3, 5)),
    "New Customers": ((4, 5), (1, 3), (1, 5)),
    "Can't Lose Them": ((1, 2), (3, 4), (4, 5)),
    "At Risk": ((1, 2), (2, 5), (4, 5)),
    "Need Attention": ((1, 3), (3, 5), (3, 5)),
    "About To Sleep": ((2, 3), (1, 3), (1, 4)),
    "Lost": (1, (1, 5), (1, 5)),
}
"""Recency, frequency and monetary scores by name; the first match wins."""

PYMC_MARKETING: Final[Mapping[str, str]] = {
    "Premium Customer": "333 334 343 344 433 434 443 444",
    "Repeat Customer": "143 232 233 234 243 244 332",
    "Top Spender": "124 133 134 144 224 313 314 323 324 413 414 423 424",
    "At Risk Customer": "122 123 132 212 214 222 223 312 322 412 422",
    "Inactive Customer": "111 112 113 114 211 311 411",
}
"""Codes R F M on quartiles by name."""

CN8: Final[Mapping[str, Mapping[str, str]]] = {
    "zh": {
        "111": "重要价值客户",
        "101": "重要发展客户",
        "011": "重要保持客户",
        "001": "重要挽留客户",
        "110": "一般价值客户",
        "100": "一般发展客户",
        "010": "一般保持客户",
        "000": "一般挽留客户",
    },
    "en": {
        "111": "Key: value",
        "101": "Key: develop",
        "011": "Key: keep",
        "001": "Key: win back",
        "110": "General: value",
        "100": "General: develop",
        "010": "General: keep",
        "000": "General: win back",
    },
}
"""Names of the eight classes by code, R F M high (1) or low (0). Publishers differ in names, never in codes."""
