"""Fixtures: every kind of frame, and real data where it is at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pandas as pd
import pytest
from hypothesis import settings

from tests.support import KINDS, Kind, data

# Time limits per example only measure the machine. Where a failure must be repeatable, so are the examples.
settings.register_profile("suite", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("suite")


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of frame in turn; every test that takes a frame runs over all of them."""
    return request.param


@pytest.fixture
def agg() -> Iterator[None]:
    """Draw without a screen, and put everything back."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    before = mpl.get_backend()
    mpl.use("Agg")
    plt.close("all")
    yield
    plt.close("all")
    mpl.use(before)


@pytest.fixture(scope="session")
def online_retail() -> pd.DataFrame:
    """Order lines of a UK gift shop, with their amount."""
    lines = pd.read_parquet(data("online_retail.parquet"))
    return lines.assign(amount=lines["Quantity"] * lines["UnitPrice"])
