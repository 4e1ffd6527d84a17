"""A made experiment: a table of units as shops have them, with an effect on B's conversion and on nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opsmetrics as om
from opsmetrics.datasets import make_experiment
from tests.support import columns_of

UNITS = 2_000
MANY = 300_000


@pytest.fixture(scope="module")
def units() -> pd.DataFrame:
    return make_experiment(UNITS, rng=11)


@pytest.fixture(scope="module")
def many() -> pd.DataFrame:
    return make_experiment(MANY, rng=5)


def test_the_same_seed_gives_the_same_table(units: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(make_experiment(UNITS, rng=11), units)


def test_another_seed_gives_another_table(units: pd.DataFrame) -> None:
    assert not make_experiment(UNITS, rng=12).equals(units)
    assert not make_experiment(50).equals(make_experiment(50))


def test_takes_a_generator(units: pd.DataFrame) -> None:
    random = np.random.default_rng(11)
    pd.testing.assert_frame_equal(make_experiment(UNITS, rng=random), units)
    assert not make_experiment(UNITS, rng=random).equals(units)


def test_leaves_the_global_generator_alone() -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    make_experiment(50, rng=1)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


@pytest.mark.parametrize(("kind", "result"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame), ("pyarrow", pa.Table)])
def test_the_same_table_in_each_kind(kind: Any, result: type, units: pd.DataFrame) -> None:
    made = make_experiment(UNITS, kind=kind, rng=11)
    assert isinstance(made, result)
    assert columns_of(made) == columns_of(units)


def test_the_types_of_the_columns() -> None:
    made = make_experiment(50, kind="polars", rng=1)
    assert {name: str(dtype) for name, dtype in made.schema.items()} == {
        "unit": "String",
        "variant": "String",
        "country": "String",
        "sessions": "Int64",
        "converted": "Int64",
        "orders": "Int64",
        "revenue": "Float64",
        "revenue_before": "Float64",
        "basket": "Float64",
    }
    assert not made.select(pl.col(pl.Float64).is_nan().any()).to_series().any()  # what is missing is null
    assert make_experiment(1, kind="polars", rng=0).schema == made.schema
    assert make_experiment(1, kind="pyarrow", rng=0).schema.field("basket").type == pa.float64()


@given(count=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
def test_is_a_shop_s_table_of_units(count: int, seed: int) -> None:
    made = make_experiment(count, rng=seed)
    assert made["unit"].tolist() == [f"U{i:05d}" for i in range(1, count + 1)]
    assert set(made["variant"]) <= {"A", "B", "C"}
    assert set(made["country"]) <= {"AT", "CH", "DE", "FR"}
    assert made["orders"].between(0, made["sessions"]).all()
    assert made["sessions"].min() >= 1
    ordered = made["orders"] > 0
    assert (made["converted"] == ordered.astype(int)).all()
    assert (made["basket"].notna() == ordered).all()
    assert ((made["revenue"] > 0) == ordered).all()
    np.testing.assert_allclose((made["basket"] * made["orders"])[ordered], made["revenue"][ordered], rtol=1e-12)
    for name in ("revenue", "revenue_before"):
        money = made[name].dropna().to_numpy()
        assert money.tolist() == (np.rint(money * 100) / 100).tolist()
        assert (money >= 0).all()


def test_only_the_conversion_of_b_is_lifted(many: pd.DataFrame) -> None:
    """Loose bounds, four standard errors (0.0007 for a rate of 5 in a hundred, 0.0175 for a lift), around what the docstring promises."""
    rate = many.groupby("variant")["converted"].mean()
    assert abs(rate["A"] - 0.05) < 0.0028
    assert abs(rate["C"] - rate["A"]) < 0.004
    assert 1.03 < rate["B"] / ((rate["A"] + rate["C"]) / 2) < 1.17
    basket = many.groupby("variant")["basket"].agg(["mean", "sem"])
    for other in ("B", "C"):
        assert abs(basket["mean"][other] - basket["mean"]["A"]) < 4 * np.hypot(basket["sem"][other], basket["sem"]["A"])
    assert (many["variant"].value_counts() / MANY).between(0.33, 0.337).all()


def test_looks_like_a_shop(many: pd.DataFrame) -> None:
    revenue, before = many["revenue"], many["revenue_before"]
    assert 0.145 < before.isna().mean() < 0.155
    assert 0.5 < revenue.corr(before) < 0.7
    assert revenue.skew() > 8
    assert 2 < many["sessions"].skew() < 4
    logs = np.log(many["basket"].dropna())
    assert abs(logs.skew()) < 0.15
    assert 0.55 < logs.std() < 0.8
    per_buyer = revenue[revenue > 0].sort_values()
    assert per_buyer.tail(len(per_buyer) // 5).sum() > 0.4 * per_buyer.sum()
    by_country = many.groupby("country")["converted"].mean()
    assert by_country["CH"] - by_country["FR"] > 0.015  # a stratum that says something


def test_before_knows_nothing_of_the_variant(many: pd.DataFrame) -> None:
    before = many.groupby("variant")["revenue_before"].agg(["mean", "sem"])
    for other in ("B", "C"):
        assert abs(before["mean"][other] - before["mean"]["A"]) < 4 * np.hypot(before["sem"][other], before["sem"]["A"])
    missing = many["revenue_before"].isna().groupby(many["variant"]).mean()
    assert missing.max() - missing.min() < 0.007


def test_names_stay_of_one_width() -> None:
    assert set(make_experiment(100_000, rng=1)["unit"].str.len()) == {len("U100000")}


@pytest.mark.parametrize("count", [0, -1, 2.5, True, "10", None, 10**9])
def test_refuses_a_number_of_units(count: Any) -> None:
    with pytest.raises(om.ParameterError, match=r"units=.* is out of range; it must be a whole number from 1 to 10000000") as caught:
        make_experiment(count)
    assert caught.value.code == "parameter.units"


def test_refuses_an_unknown_kind() -> None:
    with pytest.raises(om.ParameterError, match=r"kind='panda' is not known; .*Did you mean 'pandas'\?"):
        make_experiment(10, kind="panda")  # type: ignore[call-overload]


def test_refuses_a_seed_that_is_none() -> None:
    with pytest.raises(om.ParameterError, match="rng='seed'") as caught:
        make_experiment(10, rng="seed")  # type: ignore[call-overload]
    assert caught.value.code == "parameter.rng"
