"""Generators, the CDNOW file, and pictures: what is asked of them wrongly, and what is not installed."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import opsmetrics as om
from tests.bad_input.cases import Case, check_refused, orders, refuse, rfm, summary

CUSTOMERS, KIND, RNG = ((om.ParameterError, f"parameter.{name}") for name in ("customers", "kind", "rng"))

GENERATORS = [
    refuse("customers 0", lambda: om.make_orders(0), *CUSTOMERS, "customers=0", "from 1 to"),
    refuse("customers negative", lambda: om.make_orders(-1), *CUSTOMERS),
    refuse("customers fraction", lambda: om.make_orders(1.5), *CUSTOMERS, "1.5"),
    refuse("customers text", lambda: om.make_orders("10"), *CUSTOMERS, "'10'"),
    refuse("customers True", lambda: om.make_orders(True), *CUSTOMERS),
    refuse("customers None", lambda: om.make_orders(None), *CUSTOMERS),
    refuse("customers too many", lambda: om.make_orders(10**9), *CUSTOMERS),
    refuse("kind near", lambda: om.make_orders(5, kind="panda"), *KIND, "kind='panda'", "Did you mean 'pandas'?"),
    refuse("kind lazy", lambda: om.make_orders(5, kind="duckdb"), *KIND, "'pandas', 'polars', 'pyarrow'"),
    refuse("kind None", lambda: om.make_orders(5, kind=None), *KIND),
    refuse("rng text", lambda: om.make_orders(5, rng="seed"), *RNG, "rng='seed'"),
    refuse("rng negative", lambda: om.make_orders(5, rng=-1), *RNG, "rng=-1"),
    refuse("rng fraction", lambda: om.make_orders(5, rng=1.5), *RNG, "rng=1.5"),
    refuse("rng mapping", lambda: om.make_orders(5, rng={}), *RNG),
]


@pytest.mark.parametrize("case", GENERATORS)
def test_make_orders(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


def test_a_generator_of_numpy_is_taken_as_it_is() -> None:
    first, second = (om.make_orders(5, rng=np.random.default_rng(3)) for _ in range(2))
    assert first.equals(second)
    assert om.make_orders(1, rng=0)["customer"].nunique() == 1


def test_cdnow_without_lifetimes(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    check_refused(om.load_cdnow, om.DataError, "data.cdnow", ['pip install "opsmetrics[lifetimes]"'])


def test_cdnow_with_a_lifetimes_that_lacks_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    class Bare:
        def locate_file(self, path: str) -> Any:
            return tmp_path / path

    monkeypatch.setattr(importlib.metadata, "distribution", lambda _name: Bare())
    check_refused(om.load_cdnow, om.DataError, "data.cdnow", ["lifetimes"])


# ---------------------------------------------------------------------------------------------------------- pictures


def results() -> Iterator[Any]:
    found = rfm(orders())
    yield from (found, found.segments, summary(orders()), om.transitions(found, found), found.scorer.transform(found.table))


def test_pictures_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
    for result in results():
        with pytest.raises(ImportError, match=r'pip install "opsmetrics\[plot\]"'):
            result.plot()


@pytest.mark.parametrize("name", ["$100-$500", "$x_{$", "a_b^c", "_hidden"])
def test_a_picture_writes_a_segment_as_it_is_called(name: str) -> None:
    """Two dollar signs are money here, not the ends of a formula."""
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    found = rfm(orders(), segment_map=om.SegmentMap([(name, {"r": (1, 5)})]))
    for result in (found.segments, om.transitions(found, found)):
        figure = Figure()
        axes = result.plot(figure.add_subplot())
        figure.canvas.draw()
        label = next(label for label in axes.get_yticklabels() if name in label.get_text().replace("\\", ""))
        assert "$" not in name or not label.get_parse_math() or "\\$" in label.get_text()


def test_pictures_of_very_little() -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    alone = rfm(orders().head(1))
    broke = rfm(orders(amount=[1.5, 1.5, 1.5, 0.0]).assign(uid="a"))
    nobody = alone.table.head(0)
    little = [alone, alone.segments, broke.segments, om.transitions(alone, alone), om.segment_summary(nobody)]
    little += [om.transitions(nobody, nobody, customer="uid"), om.transitions(nobody, alone.table, customer="uid")]
    for result in little:
        figure = Figure()
        result.plot(figure.add_subplot())
        figure.canvas.draw()


def test_a_public_name_that_does_not_exist() -> None:
    with pytest.raises(AttributeError, match=r"'customer_sumary'.* Did you mean 'customer_summary'\?"):
        om.customer_sumary  # noqa: B018
