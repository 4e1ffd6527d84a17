"""The docstrings of public names: numpydoc sections that agree with the signatures, units, sources, examples (which run as doctests)."""

from __future__ import annotations

import builtins
import dataclasses
import inspect
import re
import sys
from typing import Any, Literal, get_args, get_origin

import pytest

import opsmetrics as om
from opsmetrics._results import Table
from tests.test_api import CALLABLES, classes, exported, functions, made_by_users, parameters

SECTIONS = ("Parameters", "Attributes", "Returns", "Raises", "Warns", "Notes", "References", "Examples")
"""The sections in use, in numpydoc's order."""

UNITS = r"\b(days?|counts?|fractions?|money|dollars|scores?|unit|microseconds)\b"
"""A reader of numbers wants to know what they count."""

METHODS = {f.__qualname__: f for f in CALLABLES.values() if inspect.isfunction(f) or inspect.ismethod(f)}
"""Functions and methods; an inherited method is told once, where it is written."""

SPECS = {name: cls for name, cls in classes().items() if made_by_users(cls)}
TALKERS = METHODS | SPECS
WITH_PARAMETERS = {name: f for name, f in TALKERS.items() if parameters(f)}

PROPERTIES = {
    f"{name}.{member}": value
    for name, cls in classes().items()
    for member, value in inspect.getmembers(cls, lambda m: isinstance(m, property))
    if not member.startswith("_")
}


def sections(thing: Any) -> dict[str, str]:
    """The sections of a docstring by name; what stands before the first has the name ""."""
    parts = re.split(r"^(\S.*)\n-{3,}\n", inspect.getdoc(thing) or "", flags=re.MULTILINE)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section: str) -> dict[str, tuple[str, str]]:
    """The entries of a section: name -> (type, description); "a, b : type" makes two."""
    found = {}
    for block in re.split(r"\n(?=\S)", section.strip()):
        head, _, body = block.partition("\n")
        names, _, kind = head.partition(" : ")
        found |= {name.strip().lstrip("*"): (kind, inspect.cleandoc(body)) for name in names.split(",")}
    return found


# ---------------------------------------------------------------------------------------------------------- the reader


def test_the_reader_reads():
    def f(a, b, c):
        """Say it.

        Parameters
        ----------
        a, b : int
            Two days.
        c
            As in `g`.

        Returns
        -------
        int
            A count.
        """

    assert list(sections(f)) == ["", "Parameters", "Returns"]
    assert entries(sections(f)["Parameters"]) == {"a": ("int", "Two days."), "b": ("int", "Two days."), "c": ("", "As in `g`.")}


def test_the_walk_finds_what_has_docstrings():
    assert {"rfm", "Result.plot", "RFMScorer.fit", "SegmentMap.cn8", "RFMScorer", "SegmentMap"} <= set(TALKERS)
    assert {"MapCheck.is_partition", "FittedRFMScorer.bins", "RFM.segment_names"} <= set(PROPERTIES)


# ------------------------------------------------------------------------------------------------------------ sections


@pytest.mark.parametrize("name", exported() | METHODS | PROPERTIES)
def test_everything_public_is_described_in_a_sentence(name):
    thing = (exported() | METHODS | PROPERTIES)[name]
    own = vars(thing).get("__doc__") if isinstance(thing, type) else thing.__doc__  # a class would show its parent's
    assert own, "no docstring"
    assert re.match(r"[A-Z`].*[.:)]$", own.strip().splitlines()[0]), "the first line is a sentence"


@pytest.mark.parametrize("name", TALKERS | classes())
def test_sections_are_known_and_in_order(name):
    found = list(sections((TALKERS | classes())[name]))[1:]
    assert found == [s for s in SECTIONS if s in found]


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_what_takes_arguments_tells_all_about_them(name):
    """An argument can be wrong, so there is always something to raise."""
    wanted = {"Parameters", "Raises", "Examples"} | ({"Returns"} if name in METHODS else set())
    assert wanted <= set(sections(TALKERS[name]))


@pytest.mark.parametrize("name", METHODS)
def test_what_gives_something_back_tells_what(name):
    if METHODS[name].__annotations__["return"] != "None":
        assert "Returns" in sections(METHODS[name])


@pytest.mark.parametrize("name", functions() | SPECS)
def test_metrics_and_specs_name_their_source(name):
    """An author and a year, a product, or the presets that name theirs."""
    assert len(sections(exported()[name])["References"].split()) >= 5


@pytest.mark.parametrize("name", exported())
def test_everything_exported_has_an_example_as_users_write_it(name):
    example = sections(exported()[name])["Examples"]
    assert re.search(r"^>>> import .*\bopsmetrics as om$", example, flags=re.MULTILINE)
    if name in functions() or name in SPECS:
        assert re.search(rf"\bom\.{name}\(", example)


@pytest.mark.parametrize("name", [n for n, f in METHODS.items() if "Examples" in sections(f)])
def test_examples_of_methods_call_them(name):
    assert f"{name.rpartition('.')[2]}(" in sections(METHODS[name])["Examples"]
    assert ">>> " in sections(METHODS[name])["Examples"]


# ----------------------------------------------------------------------------------- sections and signatures agree


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_documented_arguments_are_those_of_the_signature_in_its_order(name):
    assert list(entries(sections(TALKERS[name])["Parameters"])) == [p.name for p in parameters(TALKERS[name])]


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_each_argument_has_a_type_and_a_description(name):
    for argument, (kind, description) in entries(sections(TALKERS[name])["Parameters"]).items():
        assert description, argument
        assert kind or description.startswith("As in `"), argument


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_optional_arguments_are_called_optional(name):
    told = entries(sections(TALKERS[name])["Parameters"])
    for p in parameters(TALKERS[name]):
        if kind := told[p.name][0]:
            assert ("optional" in kind) == (p.default is None), p.name


@pytest.mark.parametrize("name", [n for n, f in TALKERS.items() if "Raises" in sections(f)])
def test_documented_errors_exist(name):
    for error, (_, description) in entries(sections(TALKERS[name])["Raises"]).items():
        kind = getattr(om, error, None) or getattr(builtins, error)
        assert issubclass(kind, Exception)
        assert description, error


def _attributes(cls: type) -> set[str]:
    """What users read of an object: fields, tables and properties."""
    fields = {f.name for f in dataclasses.fields(cls) if not f.name.startswith("_")}
    return fields | {name for c in cls.__mro__ for name, value in vars(c).items() if isinstance(value, (Table, property))}


@pytest.mark.parametrize("name", [n for n, cls in classes().items() if dataclasses.is_dataclass(cls) and n not in SPECS])
def test_documented_attributes_are_those_of_the_object(name):
    """A class tells its own fields and tables; what it inherits is told by the base, but for its main table."""
    cls = classes()[name]
    told = entries(sections(cls)["Attributes"])
    own = {f for f in cls.__annotations__ if not f.startswith("_")} | {n for n, value in vars(cls).items() if isinstance(value, Table)}
    assert own <= set(told)
    assert set(told) <= _attributes(cls)
    assert "table" in told or not hasattr(cls, "table")


# ------------------------------------------------------------------------------------------------- units and shapes


@pytest.mark.parametrize("name", functions())
def test_functions_tell_the_units_of_what_they_return(name):
    assert re.search(UNITS, sections(exported()[name])["Returns"])


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_frames_are_described_by_what_a_row_is(name):
    for argument, (kind, description) in entries(sections(TALKERS[name])["Parameters"]).items():
        if re.search(r"\bframe\b", kind):
            assert description.startswith("One row per "), argument


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_choices_in_the_docstring_are_those_of_the_type(name):
    """`{"net", "drop", "error"}` in the text is the Literal of the annotation, the default first."""
    function = TALKERS[name]
    told = entries(sections(function)["Parameters"])
    for p in parameters(function):
        hint = eval(p.annotation, vars(sys.modules[function.__module__])) if p.name in told and "{" in told[p.name][0] else None
        if hint is not None:
            literals = [a for a in (hint, *get_args(hint)) if get_origin(a) is Literal]
            words = re.findall(r'"(.+?)"', told[p.name][0])
            # As sets: typing keeps one of the unions that differ in order alone.
            assert set(words) == {word for literal in literals for word in get_args(literal)}
            assert p.default == words[0]


def test_choices_are_found():
    assert entries(sections(om.customer_summary)["Parameters"])["refunds"][0] == '{"net", "drop", "error"}'
