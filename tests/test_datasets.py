"""The data that comes along: made-up orders that behave like a shop's, and CDNOW as it was published."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opsmetrics as om
from tests.support import columns_of, data

CUSTOMERS = 2_000


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    return om.make_orders(CUSTOMERS, rng=11)


# ------------------------------------------------------------------------------------------------------- made orders


def test_the_same_seed_gives_the_same_table(orders: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(om.make_orders(CUSTOMERS, rng=11), orders)


def test_another_seed_gives_another_table(orders: pd.DataFrame) -> None:
    assert not om.make_orders(CUSTOMERS, rng=12).equals(orders)
    assert not om.make_orders(50).equals(om.make_orders(50))


def test_takes_a_generator(orders: pd.DataFrame) -> None:
    random = np.random.default_rng(11)
    pd.testing.assert_frame_equal(om.make_orders(CUSTOMERS, rng=random), orders)
    assert not om.make_orders(CUSTOMERS, rng=random).equals(orders)


def test_leaves_the_global_generator_alone() -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    om.make_orders(50, rng=1)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


@pytest.mark.parametrize(("kind", "result"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame), ("pyarrow", pa.Table)])
def test_the_same_table_in_each_kind(kind: Any, result: type, orders: pd.DataFrame) -> None:
    made = om.make_orders(CUSTOMERS, kind=kind, rng=11)
    assert isinstance(made, result)
    assert columns_of(made) == columns_of(orders)


def test_the_types_of_the_columns() -> None:
    schema = {name: str(dtype) for name, dtype in om.make_orders(5, kind="polars", rng=1).schema.items()}
    assert schema == {
        "customer": "String",
        "order_id": "Int64",
        "time": "Datetime(time_unit='us', time_zone=None)",
        "amount": "Float64",
    }


@given(customers=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_is_a_shop_s_table_of_orders(customers: int, seed: int) -> None:
    made = om.make_orders(customers, rng=seed)
    bought, back = made[made["amount"] > 0], made[made["amount"] < 0]
    assert len(bought) + len(back) == len(made)
    assert sorted(bought["customer"].unique()) == [f"C{i:05d}" for i in range(1, customers + 1)]
    assert sorted(bought["order_id"]) == list(range(1, len(bought) + 1))
    assert made["time"].is_monotonic_increasing
    assert made["time"].between("2025-01-01", "2025-12-31 23:59:59").all()
    cents = made["amount"].to_numpy() * 100
    np.testing.assert_allclose(cents, np.rint(cents), atol=1e-6)
    assert made["amount"].tolist() == (np.rint(cents) / 100).tolist()

    # A refund gives one order back: whole, once, to the customer who placed it, and never before it was placed.
    assert back["order_id"].is_unique
    refunds = back.assign(order_id=-back["order_id"]).merge(bought, on="order_id", how="left", suffixes=("", "_bought"))
    assert (refunds["customer"] == refunds["customer_bought"]).all()
    assert (refunds["amount"] == -refunds["amount_bought"]).all()
    assert (refunds["time"] >= refunds["time_bought"]).all()


def test_looks_like_a_shop(orders: pd.DataFrame) -> None:
    """Loose bounds around the promises of the docstring: many who buy once, a few heavy buyers, about three refunds in a hundred."""
    bought = orders[orders["amount"] > 0]
    counts = bought.groupby("customer").size()
    assert 0.3 < (counts == 1).mean() < 0.7
    assert counts.max() > 20
    heaviest = counts.nlargest(CUSTOMERS // 5).sum()
    assert heaviest > 0.5 * len(bought)
    assert 0.02 < (orders["amount"] < 0).sum() / len(bought) < 0.04
    assert 40 < bought["amount"].median() < 70


def test_names_stay_of_one_width() -> None:
    made = om.make_orders(100_000, rng=1)
    assert set(made["customer"].str.len()) == {len("C100000")}


@pytest.mark.parametrize("customers", [0, -1, 2.5, True, "10"])
def test_refuses_a_number_of_customers(customers: Any) -> None:
    with pytest.raises(om.ParameterError, match=r"customers=.* is out of range; it must be a whole number from 1 to 10000000") as caught:
        om.make_orders(customers)
    assert caught.value.code == "parameter.customers"


def test_refuses_an_unknown_kind() -> None:
    with pytest.raises(om.ParameterError, match=r"kind='panda' is not known; .*Did you mean 'pandas'\?"):
        om.make_orders(10, kind="panda")  # type: ignore[call-overload]


def test_feeds_the_rest_of_the_library(orders: pd.DataFrame) -> None:
    report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2025-12-31")
    assert len(report.table) == CUSTOMERS
    assert (report.segments.table["customers"] > 0).sum() >= 8


# -------------------------------------------------------------------------------------------------------------- CDNOW


@pytest.fixture(scope="module")
def cdnow() -> pd.DataFrame:
    return om.load_cdnow()


def test_cdnow_has_its_published_size(cdnow: pd.DataFrame) -> None:
    """Fader & Hardie (2001): 23,570 customers who first bought in the first quarter of 1997, followed to June 1998."""
    assert list(cdnow.columns) == ["customer", "date", "quantity", "amount"]
    assert len(cdnow) == 69_659
    assert cdnow["customer"].nunique() == 23_570
    assert (cdnow["date"].min(), cdnow["date"].max()) == (pd.Timestamp("1997-01-01"), pd.Timestamp("1998-06-30"))
    assert cdnow.groupby("customer")["date"].min().max() == pd.Timestamp("1997-03-25")
    assert not cdnow.isna().any(axis=None)
    assert [str(dtype).partition("[")[0] for dtype in cdnow.dtypes] == ["int64", "datetime64", "int64", "float64"]


def test_cdnow_is_the_shared_file(cdnow: pd.DataFrame) -> None:
    shared = pd.read_parquet(data("cdnow_master.parquet"))
    assert columns_of(cdnow.rename(columns={"customer": "customer_id"})) == columns_of(shared)


def test_cdnow_is_read_without_importing_lifetimes() -> None:
    script = "import sys, opsmetrics as om; om.load_cdnow(); sys.exit('lifetimes' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "error", "-c", script], check=False).returncode == 0


def test_cdnow_without_lifetimes(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(om.DataError) as caught:
        om.load_cdnow()
    assert str(caught.value) == (
        "the CDNOW purchases come with the lifetimes distribution, which is not installed; "
        'run pip install "opsmetrics[lifetimes]".'
    )  # fmt: skip
    assert caught.value.code == "data.cdnow"
    assert caught.value.__suppress_context__
