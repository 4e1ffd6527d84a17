"""Fixtures: every kind of frame, and real data where it is at hand."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.support import KINDS, Kind, data


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of frame in turn; every test that takes a frame runs over all of them."""
    return request.param


@pytest.fixture(scope="session")
def online_retail() -> pd.DataFrame:
    """Order lines of a UK gift shop, with their amount."""
    lines = pd.read_parquet(data("online_retail.parquet"))
    return lines.assign(amount=lines["Quantity"] * lines["UnitPrice"])
