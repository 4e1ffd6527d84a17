"""The public names and their signatures: one vocabulary, frames first, everything else by keyword, results that cannot be changed."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import typing
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import opsmetrics as om
from opsmetrics._results import Result

ROOT = Path(om.__file__).parent

FRAMES = {"data", "orders", "events", "units", "stats", "before", "after", "scored", "summary", "scores", "segments"}
"""The tables that functions and methods start from. They come first, and may be given by position."""

POSITIONAL = FRAMES | {
    "customers", "regions", "saved", "ax", "steps", "counts", "formula", "of", "column", "start", "end", "period",
    "rules", "key", "name", "stages", "dates", "t", "x", "fitter",
    "metric", "numerator", "denominator", "q", "value", "baseline", "plan", "looks", "planned_n", "p_values",
}  # fmt: skip
"""What else is plain enough without its name: ``make_orders(50)``, ``SegmentMap([...])``, ``from_dict(saved)``, ``plot(ax)``."""

COLUMNS = {"customer", "time", "amount", "event", "order_id", "variant", "label", "by", "tie_key"}
"""Arguments that name a column. None has a column name as default, except labels that this library itself writes."""

OPTIONS = {
    "as_of", "window", "tz", "confidence", "rng", "kind", "order",
    "frequency", "monetary", "refunds", "missing_customer",
    "bins", "method", "ties", "thresholds", "weights", "scorer", "segment_map",
    "otherwise", "labels", "basis", "centre", "comparison",
    "step_window", "min_gap", "entry", "count", "exclude", "exclusion", "hold", "entries_between", "allow_missing", "gap", "optional",
    "at", "baseline", "denominator", "quantiles", "edges",
    "week_start", "new_after", "between", "default", "channel", "lapsed", "top", "horizon", "p_dormant", "p_churned", "bands",
    "cohort", "value", "same_day", "within",
    "unit", "calibration_end", "penalty", "purchase_covariates", "dropout_covariates", "model", "discount_rate", "margin",
    "metrics", "control", "alternative", "cluster", "strata", "expected_split", "correction", "sequential", "progress", "repeats",
    "hypothesis", "decrease", "covariate", "theta", "winsorize", "skew_correction", "test", "interval", "prior", "peeking",
    "effect", "relative", "power", "n", "allocation", "std", "correlation", "cluster_size", "icc", "traffic", "share",
    "spending", "shape", "futility", "burn_in", "spend_model",
    "awareness", "interest", "purchase", "loyalty", "acquisition", "activation", "retention", "referral", "revenue",
}  # fmt: skip
"""Everything else. A new word is a decision: look first whether one of these means the same, then add it here."""


def exported() -> dict[str, Any]:
    return {name: getattr(om, name) for name in om.__all__}


def functions() -> dict[str, Callable[..., Any]]:
    return {name: value for name, value in exported().items() if inspect.isfunction(value)}


def classes() -> dict[str, type]:
    return {name: value for name, value in exported().items() if isinstance(value, type)}


def results() -> dict[str, type]:
    return {name: value for name, value in classes().items() if issubclass(value, Result)}


def made_by_users(cls: type) -> bool:
    """Whether users construct a class: its docstring then tells its parameters."""
    return "Parameters\n" in (inspect.getdoc(cls) or "")


def methods(cls: type) -> dict[str, Callable[..., Any]]:
    """Public methods, those of the package's own base classes included."""
    found = {}
    for name, value in inspect.getmembers(cls, lambda m: inspect.isfunction(m) or inspect.ismethod(m)):
        if not name.startswith("_") and str(value.__module__).startswith("opsmetrics"):
            found[name] = value
    return found


def callables() -> dict[str, Callable[..., Any]]:
    """Everything a user calls, by the name he calls it by."""
    found = dict(functions())
    for name, cls in classes().items():
        if made_by_users(cls):
            found[name] = cls
        found |= {f"{name}.{method}": value for method, value in methods(cls).items()}
    return found


CALLABLES = callables()


def parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return [p for p in inspect.signature(function).parameters.values() if p.name not in {"self", "cls"}]


# ------------------------------------------------------------------------------------------------------------- names


def _order(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions (ruff's RUF022)."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)


def test_names_are_sorted_and_told_once():
    assert om.__all__ == sorted(set(om.__all__), key=_order)


def test_each_name_has_one_home_in_all_three_lists():
    """The list of names, the lazy loader, and what type checkers read."""
    tree = ast.parse((ROOT / "__init__.py").read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    lazy = {name: f"opsmetrics.{home}" for home, names in om._HOMES.items() for name in names}
    assert typed == lazy
    assert sorted(lazy) == sorted(om.__all__)


def _written_for_users() -> Iterator[str]:
    """Classes and functions at the top of public modules that show an example: internals have none."""
    for path in sorted(ROOT.rglob("*.py")):
        if not any(part.startswith("_") for part in path.relative_to(ROOT).parts):
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ">>>" in (ast.get_docstring(node) or ""):
                    yield node.name


def test_what_is_written_for_users_is_exported_and_nothing_else():
    assert sorted(set(_written_for_users())) == sorted(om.__all__)


def test_every_result_and_error_is_exported():
    def below(cls: type) -> Iterator[type]:
        for child in cls.__subclasses__():
            yield child
            yield from below(child)

    for module in om._HOMES:
        importlib.import_module(f"opsmetrics.{module}")
    ours = {c.__name__ for root in (Result, om.OpsmetricsError) for c in below(root) if c.__module__.startswith("opsmetrics")}
    assert ours <= set(om.__all__)


@pytest.mark.parametrize("name", om.__all__)
def test_names_live_in_the_package(name):
    value = getattr(om, name)
    assert value.__module__.startswith("opsmetrics.")
    assert value.__name__ == name
    assert getattr(importlib.import_module(value.__module__), name) is value


def test_dir_is_what_there_is():
    assert dir(om) == sorted([*om.__all__, "__version__"])


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(AttributeError, match=r"module 'opsmetrics' has no attribute 'transition'\. Did you mean 'transitions'\?"):
        om.transition  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute 'qqqqq'\.$"):
        om.qqqqq  # noqa: B018


def test_a_star_import_gives_the_public_names():
    space: dict[str, Any] = {}
    exec("from opsmetrics import *", space)
    assert set(space) - {"__builtins__"} == set(om.__all__)


# --------------------------------------------------------------------------------------------------------- signatures


@pytest.mark.parametrize("name", CALLABLES)
def test_arguments_have_the_words_of_the_house(name):
    assert {p.name for p in parameters(CALLABLES[name])} <= POSITIONAL | COLUMNS | OPTIONS


VARIADIC = {"rules"}
"""A stage and the rules it has, one after the other: ``Stage("dormant", {...}, {...})``."""


@pytest.mark.parametrize("name", CALLABLES)
def test_frames_come_first_and_the_rest_by_keyword(name):
    found = parameters(CALLABLES[name])
    assert all(p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY} or p.name in VARIADIC for p in found), "no *args, no **kwargs"
    by_position = {p.name for p in found if p.kind is p.POSITIONAL_OR_KEYWORD}
    assert by_position <= POSITIONAL
    assert {p.name for p in found} & FRAMES <= by_position


@pytest.mark.parametrize("name", CALLABLES)
def test_columns_have_no_default_but_labels_of_our_own(name):
    defaults = {p.name: p.default for p in parameters(CALLABLES[name]) if p.name in COLUMNS}
    assert set(defaults.values()) <= {inspect.Parameter.empty, None, "segment"}


TWO_MEANINGS = {
    "order": {"Sequence[str]", "Order"},
    "weights": {"Mapping[str, float]", "str"},
    "by": {"str", "str | Sequence[str]"},
    "method": {"Method", "QuantileMethod"},
    "denominator": {"Denominator", "str"},
    "value": {"Value", "float"},
    "baseline": {"object", "float | Baseline"},
    "correction": {"Correction", "PlannedCorrection"},
    "sequential": {"Sequential"},
    "within": {"int | str | dt.timedelta", "int | str | dt.timedelta | Sequence[int | str | dt.timedelta]"},
}
"""Of labels, the order they come in; of a funnel, the order that its steps are taken in. The field calls both so. Repurchase is asked
within several spans at once, activation within one. Axes of a score have weights, and so have rows that stand for several customers.
Experiments are told apart by several columns. A share is out of a denominator, and a ratio has one that is a column. What is measured has a
value, in a cohort and before a test. A comparison and a plan start from a baseline. Quantiles and scores have methods. A plan knows fewer
corrections than a test."""


@pytest.mark.parametrize("word", sorted(COLUMNS | OPTIONS))
def test_a_word_has_one_type_everywhere(word):
    """Optional here and required there is fine; text here and a number there is not."""
    found = {p.annotation.removesuffix(" | None"): name for name, f in CALLABLES.items() for p in parameters(f) if p.name == word}
    assert len(found) <= 1 or set(found) == TWO_MEANINGS.get(word), found


@pytest.mark.parametrize("name", CALLABLES)
def test_everything_is_typed(name):
    """Annotations are what editors show; `make types` checks what they say."""
    function = CALLABLES[name]
    assert all(p.annotation is not p.empty for p in parameters(function))
    if not isinstance(function, type):
        assert function.__annotations__["return"]


OVERLOADED = {name: function for name, function in CALLABLES.items() if typing.get_overloads(getattr(function, "__func__", function))}


@pytest.mark.parametrize("name", OVERLOADED)
def test_overloads_tell_the_arguments_of_the_function(name):
    def shape(function: Callable[..., Any]) -> list[tuple[str, Any]]:
        return [(p.name, p.kind) for p in parameters(function)]

    function = OVERLOADED[name]
    assert all(shape(o) == shape(function) for o in typing.get_overloads(getattr(function, "__func__", function)))


def test_the_walk_finds_what_users_call():
    assert {"rfm", "RFMScorer", "RFMScorer.fit", "SegmentMap", "SegmentMap.cn8", "SegmentMap.from_dict", "RFM.plot"} <= set(CALLABLES)
    assert {"transitions", "segment_summary", "make_orders"} <= set(OVERLOADED)


# ----------------------------------------------------------------------------------------------------- frozen objects


OBJECTS = [name for name, cls in classes().items() if not issubclass(cls, (om.OpsmetricsError, om.OpsmetricsWarning))]


def tried() -> list[Any]:
    """The objects of the family of experiments."""
    units, plan = om.make_experiment(600, rng=1), om.sample_size(0.05, effect=0.01)
    metrics = [om.Proportion("converted"), om.Mean("revenue"), om.Ratio("revenue", "orders"), om.Quantile("basket", 0.5)]
    designs = [om.GroupSequential(3, planned_n=2_000), om.AlwaysValid(2_000)]
    named = dict(zip(("rate", "spend", "order", "median"), metrics, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)  # six hundred units have few orders
        found = om.ab_test(units, variant="variant", metrics=named, control="A", sequential=designs[0])
    checked = om.aa_check(units, metrics="converted", repeats=20, rng=1)
    split = om.srm_test({"A": 100, "B": 110})
    planned = [plan, om.duration(plan, traffic=1_000), om.Baseline(0.05), designs[0].boundaries()]
    return [*metrics, *designs, found, found.bayes(), checked, split, *planned]


def worths() -> list[Any]:
    """The objects of the family of lifetime value."""
    orders, columns = om.make_orders(customers=200, rng=1), {"customer": "customer", "time": "time", "amount": "amount"}
    summary, months = om.clv_summary(orders, **columns), om.clv_summary(orders, **columns, unit="month")
    specs: list[Any] = [om.BetaGeo(), om.ModifiedBetaGeo(), om.ParetoNBD(), om.GammaGamma()]
    fits = [spec.fit(summary) for spec in specs]
    values = om.clv(orders, **columns, model="mbg_nbd")
    made = [summary, *specs, *fits, om.BetaGeoBetaBinom(), om.BetaGeoBetaBinom().fit(months), values, values.validate()]
    return [*made, fits[1].p_alive(summary), values.by(om.rfm(orders, **columns, as_of="2025-12-31"))]


@functools.cache
def things() -> dict[str, Any]:
    """One object of each public class that is not an error."""
    orders = om.make_orders(customers=20, rng=1)
    summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    scorer = om.RFMScorer().fit(summary)
    scores = scorer.transform(summary)
    report = om.SegmentMap.rf10().assign(scores)
    check = report.segment_map.check()
    made = [summary, om.RFMScorer(), scorer, scores, report, report.segments, report.segment_map, check, om.transitions(report, report)]
    columns = {"customer": "customer", "event": "event", "time": "time"}
    events = om.make_events(customers=40, rng=1)
    funnel = om.funnel(events, ["view", "cart", "pay"], **columns)
    made += [om.Step("view"), om.prepare_events(events, **columns), funnel, funnel.by("channel"), funnel.times(1, 2), funnel.survival()]
    made += [funnel.compare("channel", baseline="ads"), funnel.next_events(1)]
    made += [om.sessionize(events, customer="customer", time="time"), om.path_transitions(events, **columns)]
    made += [*lives(), *habits(), *worths(), *tried()]
    return {type(thing).__name__: thing for thing in made}


def lives() -> list[Any]:
    """What the lifecycle family makes."""
    orders, columns = om.make_orders(customers=400, rng=1), {"customer": "customer", "time": "time"}
    states = om.lifecycle(orders.assign(shop="north"), **columns, amount="amount", period="month")
    stages = om.Stages([om.Stage("silent", {"recency": (91, None)}), om.Stage("one", {"orders": 1})], default="more")
    summary = om.customer_summary(orders, **columns, amount="amount", as_of="2025-09-30")
    staged = stages.assign(summary)
    rates = staged.kpis(orders.assign(big=orders["amount"] > 90), {"big": "big"}, customer="customer")
    history = stages.assign_at(orders, ["2025-06-30", "2025-12-31"], **columns, amount="amount")
    fitted = om.Stages.default().fit(orders, **columns, horizon=30, p_dormant=0.25, p_churned=0.2)
    rules = {"awareness": "view", "interest": "cart", "purchase": "pay", "loyalty": 2}
    events = om.make_events(customers=40, rng=1)
    before, after = (om.aipl(events, rules, **columns, event="event", as_of=day) for day in ("2025-02-28", "2025-03-31"))
    return [
        states, states.by("shop"), stages.stages[0], stages, staged, rates, history, om.Stages.default(), fitted, before,
        before.flow(after),
    ]  # fmt: skip


def habits() -> list[Any]:
    """What the retention family makes."""
    events, columns = om.make_events(customers=40, rng=1), {"customer": "customer", "time": "time"}
    return [
        om.retention(events, **columns), om.repurchase_rate(events, **columns), om.next_period_rate(events, **columns),
        om.stickiness(events, **columns), om.activation_rate(events, "pay", **columns, event="event"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_are_frozen(name):
    assert name in things(), f"make a {name} in `things`, so that it is checked too"
    thing = things()[name]
    for attribute in ("table", "params", *(f.name for f in dataclasses.fields(thing)), "a_new_one"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, attribute, 1)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(thing, attribute)


@pytest.mark.parametrize("name", results())
def test_results_have_the_same_face(name):
    """Design, section 4: a table, the parameters, what was dropped, JSON, a repr, a picture."""
    cls = results()[name]
    assert {"params", "dropped"} <= {f.name for f in dataclasses.fields(cls)}
    assert all(hasattr(cls, member) for member in ("table", "to_dict", "_repr_html_", "plot"))
