"""One version everywhere, pins for all that is installed, and a single command for continuous integration."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import opsmetrics as om

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT, GROUPS = PYPROJECT["project"], PYPROJECT["dependency-groups"]
EXTRAS = PROJECT["optional-dependencies"]
UNPINNED = {"opsmetrics", "pyspark"}
"""Spark brings a Java machine; it is for clusters that have their own version of it."""


def text(name: str) -> str:
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"{name} is not part of this tree")
    return path.read_text("utf-8")


def constraints() -> list[Requirement]:
    return [Requirement(line) for line in text("constraints.txt").splitlines() if line and not line.startswith("#")]


def pins() -> set[str]:
    return {canonicalize_name(pin.name) for pin in constraints()}


USERS = [Requirement(line) for lines in (PROJECT["dependencies"], *EXTRAS.values()) for line in lines]
"""What users install: the run-time needs and the extras."""

DIRECT = USERS + [Requirement(entry) for entries in GROUPS.values() for entry in entries if isinstance(entry, str)]
"""What the project, its extras and its groups ask for by name."""


def _wanted(requirement: Requirement, extras: Iterable[str]) -> bool:
    return requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))


@functools.cache
def installed() -> frozenset[str]:
    """The names above and, where they are installed here, all that they need in turn."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [r for r in DIRECT if canonicalize_name(r.name) not in UNPINNED]
    while waiting:
        requirement = waiting.pop()
        key = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if key in seen or not _wanted(requirement, ()):
            continue
        seen.add(key)
        try:
            needs = importlib.metadata.requires(requirement.name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        waiting += [r for r in map(Requirement, needs) if _wanted(r, requirement.extras)]
    return frozenset(name for name, _ in seen)


# ------------------------------------------------------------------------------------------------------------- version


def test_the_version_is_that_of_the_project():
    assert om.__version__ == PROJECT["version"]


def test_the_version_is_that_to_cite():
    assert re.findall(r"^version: \"?([^\"\n]+)\"?$", text("CITATION.cff"), flags=re.MULTILINE) == [om.__version__]


def test_the_changelog_begins_with_this_version():
    assert re.findall(r"^## \[?([^\]\s]+)", text("CHANGELOG.md"), flags=re.MULTILINE)[0] in {om.__version__, "Unreleased"}


# --------------------------------------------------------------------------------------------------------- constraints


def test_every_constraint_is_one_version_from_the_index():
    """No addresses, no files, no options: the same names and versions wherever they are fetched from."""
    for pin in constraints():
        assert pin.url is None, pin
        assert [specifier.operator for specifier in pin.specifier] == ["=="], pin
        assert "*" not in str(pin.specifier), pin
        assert not pin.extras, pin
    assert not re.search(r"://|@|^-|\\$", text("constraints.txt"), flags=re.MULTILINE)


def test_all_that_is_installed_is_pinned():
    assert len(installed()) > 50
    assert sorted(installed() - pins()) == []


def test_all_that_is_asked_for_is_pinned():
    assert sorted({canonicalize_name(r.name) for r in DIRECT} - pins()) == sorted(UNPINNED)


def test_pins_of_one_name_exclude_each_other():
    """numpy may have a pin per Python, each under its own marker."""
    for name in pins():
        same = [pin for pin in constraints() if canonicalize_name(pin.name) == name]
        assert len(same) == len({str(pin.marker) for pin in same}), name
        for python in ("3.11.4", "3.11.9", "3.12.0", "3.13.0", "3.14.0"):
            environment = {"python_full_version": python, "python_version": ".".join(python.split(".")[:2])}
            held = [pin for pin in same if pin.marker is None or pin.marker.evaluate(environment)]
            assert len(held) <= 1, (name, python)


@pytest.mark.parametrize("requirement", sorted(set(DIRECT), key=str), ids=str)
def test_pins_satisfy_what_is_asked_for(requirement):
    for pin in constraints():
        if canonicalize_name(pin.name) == canonicalize_name(requirement.name):
            assert requirement.specifier.contains(next(iter(pin.specifier)).version), pin


# -------------------------------------------------------------------------------------------------- extras and groups


def test_the_extra_all_is_all_extras():
    (everything,) = map(Requirement, EXTRAS["all"])
    assert everything.name == PROJECT["name"]
    assert everything.extras == set(EXTRAS) - {"all"}


def test_the_run_time_needs_are_few():
    """Design, section 5. A fifth is a decision to be made there."""
    assert {Requirement(line).name for line in PROJECT["dependencies"]} == {"narwhals", "numpy", "pandas", "scipy"}


def test_needs_have_floors_and_no_ceilings():
    """A ceiling in a library keeps its users from security releases of others."""
    for requirement in USERS:
        assert [s.operator for s in requirement.specifier] == ([] if requirement.name == PROJECT["name"] else [">="]), requirement
    assert [s.operator for s in SpecifierSet(PROJECT["requires-python"])] == [">="]


def test_groups_that_are_included_exist():
    included = {entry["include-group"] for entries in GROUPS.values() for entry in entries if isinstance(entry, dict)}
    assert included <= set(GROUPS)


def _group_or_extra_names(line: str) -> set[str]:
    return {*re.findall(r"--group (\w+)", line), *re.findall(r"\.\[([\w,]+)\]", line)}


def test_the_makefile_installs_groups_and_extras_that_exist():
    makefile = text("Makefile")
    extras = re.search(r"^EXTRAS := (.*)$", makefile, flags=re.MULTILINE)[1].split(",")
    assert set(extras) <= set(EXTRAS)
    used = set().union(*map(_group_or_extra_names, makefile.splitlines()))
    assert {"test", "lint", "docs"} <= used <= set(GROUPS) | set(EXTRAS)


def test_every_install_is_constrained():
    makefile = text("Makefile")
    assert re.search(r"^INSTALL := .*--constraint constraints.txt", makefile, flags=re.MULTILINE)
    assert [line for line in makefile.splitlines() if "pip install" in line and not line.startswith(("INSTALL", "PIP"))] == []


# ------------------------------------------------------------------------------------------- continuous integration


def _steps() -> list[str]:
    lines = [line.partition("#")[0].strip() for line in text(".ci/run").splitlines()]
    return [line for line in lines if line.startswith("make ")]


def test_continuous_integration_is_one_command_that_stops_at_the_first_failure():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert text(".ci/run").startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text(".ci/run").splitlines()


def test_continuous_integration_runs_everything():
    steps = _steps()
    assert {"make lint", "make types", "make docs", "make wheel", "make demo", "make test"} == set(steps)
    assert steps[0] == "make test", "the suite speaks first"


def test_every_step_is_a_target():
    targets = set(re.findall(r"^(\w+):", text("Makefile"), flags=re.MULTILINE))
    assert {step.removeprefix("make ") for step in _steps()} <= targets


def test_tests_are_strict() -> None:
    """Warnings are errors, unknown marks and expected failures that pass are failures, and examples run."""
    pytest_table: dict[str, Any] = PYPROJECT["tool"]["pytest"]
    assert pytest_table["strict"] is True
    assert pytest_table["filterwarnings"] == ["error"]
    assert "--doctest-modules" in pytest_table["addopts"]
    assert PYPROJECT["tool"]["mypy"]["strict"] is True
