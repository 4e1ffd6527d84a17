"""What type checkers tell a user: mypy, as strict as it gets, over a file that uses everything and over a file of mistakes."""

from __future__ import annotations

import datetime as dt
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import opsmetrics as om
from tests.test_api import CALLABLES, classes, made_by_users
from tests.typing import client

HERE = Path(__file__).parent / "typing"


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    """One run of mypy over both files, as a user with strict settings would run it."""
    files = [str(HERE / "client.py"), str(HERE / "misuse.py")]
    cache = HERE.parents[1] / ".mypy_cache" / "client"
    command = [sys.executable, "-m", "mypy", f"--config-file={HERE / 'mypy.ini'}", f"--cache-dir={cache}", "--no-error-summary", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr
    assert done.returncode in {0, 1}, done.stdout
    return done.stdout.splitlines()


def test_a_users_file_is_understood_without_any(complaints):
    assert [line for line in complaints if "client.py" in line] == []


def test_every_mistake_is_found(complaints):
    assert [line for line in complaints if "misuse.py" in line] == []


def test_the_package_itself_raises_no_complaint(complaints):
    assert [line for line in complaints if "client.py" not in line and "misuse.py" not in line] == []


def test_the_users_file_uses_every_name():
    used = set(re.findall(r"\bom\.(\w+)", (HERE / "client.py").read_text("utf-8")))
    assert set(om.__all__) <= used


def test_every_line_of_the_file_of_mistakes_is_one():
    lines = (HERE / "misuse.py").read_text("utf-8").splitlines()
    tried = [line for line in lines if line.startswith("    ") and not re.match(r"    \w+ = ", line)]
    assert len(tried) > 20
    assert all("# type: ignore[" in line for line in tried)


@pytest.mark.parametrize("name", [name for name, f in vars(client).items() if inspect.isfunction(f) and f.__module__ == client.__name__])
def test_the_users_file_runs(name):
    """What the checker believes is what happens."""
    function = getattr(client, name)
    if name == "drawn":
        axes = Figure().add_subplot()
        assert function(axes) is axes
    else:
        function()


# ------------------------------------------------------------------------------- Any in the annotations themselves

NAMES = {"dt": dt, "np": np, "pd": pd, "pl": pl, "pa": pa, "Axes": Axes} | {name: getattr(om, name) for name in om.__all__}
"""What modules import for type checkers only."""


def _signatures(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """What a caller sees of a function: its overloads where it has some."""
    plain = getattr(function, "__func__", function.__init__ if isinstance(function, type) else function)
    return list(typing.get_overloads(plain)) or [plain]


def _speaks_any(hint: Any) -> bool:
    return hint is Any or any(_speaks_any(inner) for inner in typing.get_args(hint) if not isinstance(inner, str))


def _hints(thing: Any) -> dict[str, Any]:
    return typing.get_type_hints(thing, localns=NAMES)


def test_any_is_seen_however_deep():
    assert _speaks_any(dict[str, tuple[int, Any] | None])
    assert not _speaks_any(dict[str, tuple[int, ...] | None])


@pytest.mark.parametrize("name", CALLABLES)
def test_arguments_and_answers_are_never_any(name):
    for signature in _signatures(CALLABLES[name]):
        assert [argument for argument, hint in _hints(signature).items() if _speaks_any(hint)] == []


@pytest.mark.parametrize("name", [name for name, cls in classes().items() if made_by_users(cls) or hasattr(cls, "__dataclass_fields__")])
def test_attributes_are_never_any(name):
    found = {field: hint for field, hint in _hints(classes()[name]).items() if not field.startswith("_")}
    assert found
    assert [field for field, hint in found.items() if _speaks_any(hint)] == []
