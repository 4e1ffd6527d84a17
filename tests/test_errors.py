"""The errors themselves: a family of ValueErrors, each with a code that services can rely on, and hints that help."""

from __future__ import annotations

import ast
import builtins
import copy
import inspect
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import opsmetrics as om
from opsmetrics import errors
from opsmetrics.errors import nearest, warn

ERRORS = [om.OpsmetricsError, om.ColumnError, om.DataError, om.ParameterError, om.FitError]
ROOT = Path(om.__file__).parent


# ---------------------------------------------------------------------------------------------------------- the family


@pytest.mark.parametrize("error", ERRORS)
def test_errors_are_value_errors(error):
    """Code that catches bad values already catches these."""
    assert issubclass(error, om.OpsmetricsError)
    assert issubclass(error, ValueError)


def test_siblings_do_not_catch_each_other():
    for error in ERRORS[1:]:
        assert error.__bases__ == (om.OpsmetricsError,)


def test_the_warning_is_a_user_warning_and_no_error():
    assert issubclass(om.OpsmetricsWarning, UserWarning)
    assert not issubclass(om.OpsmetricsWarning, ValueError)


def test_the_overview_names_them_all():
    assert all(error.__name__ in str(errors.__doc__) for error in [*ERRORS, om.OpsmetricsWarning])


# -------------------------------------------------------------------------------------------------------------- codes


def test_each_class_has_its_own_code():
    codes = [error("what").code for error in ERRORS]
    assert codes == ["error", "column", "data", "parameter", "fit"]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_is_its_message_and_its_code(error):
    raised = error("amount='x' is wrong.", code="a.b")
    assert str(raised) == "amount='x' is wrong."
    assert raised.args == ("amount='x' is wrong.",)
    assert raised.code == "a.b"


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("back", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_errors_survive_the_way_between_processes(error, back):
    raised = error("客户 is wrong.", code="a.b")
    raised.__notes__ = ["while reading orders"]
    found = back(raised)
    assert type(found) is error
    assert (str(found), found.code, found.__notes__) == (str(raised), "a.b", ["while reading orders"])


RAISABLE = {error.__name__: error for error in ERRORS[1:]}
FOREIGN = {
    ("_results", "AttributeError"), ("__init__", "AttributeError"), ("canvas", "ImportError"), ("canvas", "TypeError"),
    ("interop", "ImportError"), ("measures", "ImportError"), ("fitted", "TypeError"),
}  # fmt: skip
"""What Python's own customs ask for: a missing attribute, a missing library, a kind of result without a picture, a mapping
that does not change."""


def _is_error(name: str) -> bool:
    kind = getattr(builtins, name, None)
    return name in {error.__name__ for error in ERRORS} or (isinstance(kind, type) and issubclass(kind, BaseException))


def _made() -> Iterator[tuple[str, str, ast.Call]]:
    """Each error the package makes, wherever it is raised: the module, the place, the call."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _is_error(ast.unparse(node.func)):
                yield path.stem, f"{path.relative_to(ROOT)}:{node.lineno}:{node.col_offset}", node
            elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name):
                assert not _is_error(node.exc.id), f"{path.name}:{node.lineno} raises without a sentence"


def _begins(node: ast.expr) -> str:
    """The constant with which a text begins."""
    first = node.values[0] if isinstance(node, ast.JoinedStr) else node
    return str(first.value) if isinstance(first, ast.Constant) else ""


@pytest.mark.parametrize(("module", "call"), [pytest.param(m, call, id=place) for m, place, call in _made()])
def test_every_error_is_of_a_class_of_ours_and_has_a_code_below_it(module, call):
    name = ast.unparse(call.func)
    if (module, name) in FOREIGN:
        return
    assert name in RAISABLE, "not an error of this library, or its root, which says nothing"
    codes = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    assert len(codes) == 1
    assert _begins(codes[0]).startswith(f"{RAISABLE[name].default_code}.")


def test_errors_are_found():
    assert len(list(_made())) > 30


@pytest.mark.parametrize(
    ("mistake", "error", "code"),
    [
        (lambda orders: om.rfm(orders, customer="u", time="at", amount="paid", as_of="2026-01-31"), om.ColumnError, "column.missing"),
        (lambda orders: om.rfm(orders, customer="uid", time="at", amount="at", as_of="2026-01-31"), om.ColumnError, "column.repeated"),
        (lambda orders: om.rfm(orders, customer="uid", time="uid", amount="paid", as_of="2026-01-31"), om.ColumnError, "column"),
        (lambda orders: om.rfm(orders, customer="uid", time="at", amount="paid", as_of="soon"), om.ParameterError, "parameter.as_of"),
        (lambda orders: om.rfm(orders.head(0), customer="uid", time="at", amount="paid", as_of="2026-01-31"), om.DataError, "data.empty"),
        (lambda orders: om.rfm(5, customer="uid", time="at", amount="paid", as_of="2026-01-31"), om.DataError, "data.kind"),
        (lambda orders: om.RFMScorer().fit(orders.assign(recency=1, frequency=1, monetary=1).head(0)), om.FitError, "fit.empty"),
        (lambda orders: om.transitions(orders, orders, confidence=95), om.ParameterError, "parameter.confidence"),
    ],
)
def test_codes_of_common_mistakes(mistake, error, code):
    """These are promises: services switch on them."""
    orders = pd.DataFrame({"uid": ["a"], "at": pd.to_datetime(["2026-01-05"]), "paid": [9.9]})
    with pytest.raises(error) as caught:
        mistake(orders)
    assert type(caught.value) is error
    assert caught.value.code.startswith(code)
    assert caught.value.code.startswith(f"{error.default_code}.")


# -------------------------------------------------------------------------------------------------------------- hints


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("amout", ["uid", "paid_at", "amount"], " Did you mean 'amount'?"),
        ("Amount", ["uid", "amount"], " Did you mean 'amount'?"),
        ("AMOUT", ["uid", "amount"], " Did you mean 'amount'?"),
        ("transition", ["Transitions", "transitions"], " Did you mean 'transitions'?"),
        ("Transition", ["transitions", "Transitions"], " Did you mean 'Transitions'?"),
        ("客户编码", ["客户编号", "金额"], " Did you mean '客户编号'?"),
        ("zzz", ["uid", "amount"], ""),
        ("x", [], ""),
        (5, ["uid"], ""),
        (2026, [2025, "b"], " Did you mean 2025?"),
        (None, ["none of it"], ""),
    ],
)
def test_the_nearest_name_is_offered(name, known, hint):
    assert nearest(name, known) == hint


def test_a_missing_column_is_told_with_what_there_is():
    orders = pd.DataFrame({"uid": ["a"], "at": pd.to_datetime(["2026-01-05"]), "paid": [9.9]})
    with pytest.raises(om.ColumnError) as caught:
        om.rfm(orders, customer="UID", time="at", amount="paid", as_of="2026-01-31")
    sentence = "customer='UID' is not a column of the frame; it has ['uid', 'at', 'paid']. Did you mean 'uid'?"
    assert str(caught.value) == sentence


# ------------------------------------------------------------------------------------------------------------ warnings


def test_warnings_point_at_the_callers_line():
    overlapping = om.SegmentMap([("all", {"r": (1, 2)}), ("never", {"r": 1})], bins=2, otherwise="rest")
    summary = pd.DataFrame({"recency": [2, 30], "frequency": [9, 1], "monetary": [450.0, 15.0]})
    scores = om.RFMScorer(bins=2).fit(summary).transform(summary)
    with pytest.warns(om.OpsmetricsWarning, match="never") as caught:
        line = inspect.currentframe().f_lineno + 1
        overlapping.assign(scores)
    (warning,) = caught
    assert (Path(warning.filename).name, warning.lineno) == (Path(__file__).name, line)


def test_warnings_can_be_made_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error", om.OpsmetricsWarning)
        with pytest.raises(om.OpsmetricsWarning, match="careful"):
            warn("careful")
