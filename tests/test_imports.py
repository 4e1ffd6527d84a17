"""Who imports whom: the arrows of the design, checked on the syntax of every file, and what `import opsmetrics` does to a process.

The rules hold at the top of a file, inside functions and under TYPE_CHECKING alike, but for two freedoms that are written where they are
used: types of other libraries may be named under TYPE_CHECKING, and `_results` calls `plotting` from inside a function.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import opsmetrics as om

ROOT = Path(om.__file__).parent
FILES = {
    ".".join((om.__name__, *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
MODULES = tuple(name.removeprefix("opsmetrics").removeprefix(".") or "__init__" for name in FILES)
"""Modules by their names inside the package: "errors", "_kernels.rates", "segments"; "__init__" is the package itself."""

GROUND = {
    "errors", "_checks", "_clock", "_frames", "_kernels", "_lines", "_marks", "_output", "_parts", "_patterns", "_render", "_results",
    "activity", "customers", "events",
}  # fmt: skip
"""Families of modules that any topic may stand on."""

MAY_IMPORT = {
    "errors": set(),
    "_kernels": {"errors"},
    "_checks": {"errors"},
    "_clock": {"errors", "_checks", "_kernels"},
    "_render": set(),
    "_frames": {"errors", "_checks", "_clock", "_kernels"},
    "_lines": {"errors", "_frames"},
    "_marks": {"errors", "_checks", "_clock", "_frames", "_kernels"},
    "_output": {"_checks", "_clock", "_frames"},
    "_parts": {"errors", "_checks", "_clock", "_frames", "_kernels", "_marks"},
    "_patterns": {"errors", "_marks"},
    "_results": {"errors", "_frames", "_output", "_render", "plotting"},
    "activity": GROUND - {"customers", "events"},
    "customers": GROUND - {"activity", "events"},
    "events": GROUND - {"activity", "customers"},
    "datasets": GROUND - {"activity", "customers", "events"},
    "__main__": {"__init__"},
}
"""What a family may import of the package besides itself. A family not named here is a topic: it may import GROUND."""

HEAVY = {"pandas", "polars", "pyarrow", "duckdb", "matplotlib", "pyspark", "lifetimes", "scipy.stats", "scipy.optimize"}
"""Never loaded by importing this package."""

FRAMES = {"narwhals", "pandas", "polars", "pyarrow", "duckdb", "pyspark"}


@dataclass(frozen=True)
class Import:
    """One import: who, what, on which line, and whether in a function or under TYPE_CHECKING."""

    module: str
    target: str
    names: tuple[str, ...]
    line: int
    late: bool
    typing: bool

    @property
    def family(self) -> str:
        """The part of the package that is imported; empty for other libraries."""
        if self.target == "opsmetrics":
            return "__init__"
        return self.target.split(".")[1] if self.target.startswith("opsmetrics.") else ""

    @property
    def library(self) -> str:
        """The other library that is imported; empty for the package."""
        return "" if self.family else self.target.split(".")[0]

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}, imports {self.target}"


def family(module: str) -> str:
    return module.partition(".")[0]


def _targets(node: ast.stmt) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The modules an import statement loads; `from package import module` loads the module."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, ()) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports hide where an arrow goes"
        submodules = [a.name for a in node.names if f"{node.module}.{a.name}" in FILES or f"{node.module}.{a.name}" in HEAVY]
        yield from ((f"{node.module}.{name}", ()) for name in submodules)
        if names := tuple(a.name for a in node.names if a.name not in submodules):
            yield str(node.module), names


def _imports(module: str, node: ast.AST, *, late: bool = False, typing: bool = False) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield from (Import(module, target, names, child.lineno, late, typing) for target, names in _targets(child))
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.body:
                yield from _imports(module, ast.Module([statement], []), late=late, typing=True)
            for statement in child.orelse:
                yield from _imports(module, ast.Module([statement], []), late=late, typing=typing)
        else:
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _imports(module, child, late=late or inside, typing=typing)


IMPORTS = tuple(
    found for name, path in zip(MODULES, FILES.values(), strict=True) for found in _imports(name, ast.parse(path.read_text("utf-8")))
)


def check_none(broken: list[Import]) -> None:
    assert not broken, "\n" + "\n".join(map(str, broken))


# --------------------------------------------------------------------------------------------------- the walk itself


def test_the_walk_sees_every_kind_of_import():
    text = """
    import os, scipy.stats
    from opsmetrics import _frames, __version__
    from opsmetrics.customers import CustomerSummary
    from scipy import stats
    if TYPE_CHECKING:
        import pandas as pd
    else:
        import polars
    class Result:
        def plot(self):
            try:
                from opsmetrics import plotting
            except ImportError:
                import duckdb
    """
    seen = {(i.target, i.late, i.typing) for i in _imports("x", ast.parse(textwrap.dedent(text)))}
    assert seen == {
        ("os", False, False),
        ("scipy.stats", False, False),
        ("opsmetrics._frames", False, False),
        ("opsmetrics", False, False),
        ("opsmetrics.customers", False, False),
        ("pandas", False, True),
        ("polars", False, False),
        ("opsmetrics.plotting", True, False),
        ("duckdb", True, False),
    }


def test_the_walk_sees_the_package():
    assert {"errors", "_kernels.rates", "segments.rfms", "__init__"} <= set(MODULES)
    assert any(i.late and i.target == "pandas" for i in IMPORTS)
    assert any(i.typing and i.target == "polars" for i in IMPORTS)


# ------------------------------------------------------------------------------------------------ inside the package


@pytest.mark.parametrize("module", [m for m in MODULES if family(m) not in {"__init__", "plotting"}])
def test_arrows_run_one_way(module):
    """Topics never import each other; the ground imports no topic; kernels import nothing but errors and kernels."""
    mine = family(module)
    allowed = MAY_IMPORT.get(mine, GROUND) | {mine}
    check_none([i for i in IMPORTS if i.module == module and i.family and i.family not in allowed])


def test_the_package_itself_imports_only_errors_and_names_for_type_checkers():
    check_none([i for i in IMPORTS if i.module == "__init__" and i.family and not i.typing and not (i.late and i.family == "errors")])


def test_plotting_knows_results_only():
    import importlib

    from opsmetrics._results import Result

    for found in [i for i in IMPORTS if family(i.module) == "plotting" and i.family]:
        if found.family not in {"_frames", "_output", "_results", "errors", "plotting"}:
            assert found.names, f"{found}: name the result class instead of the module"
            members = [getattr(importlib.import_module(found.target), name) for name in found.names]
            assert all(isinstance(m, type) and (issubclass(m, Result) or hasattr(m, "plot")) for m in members), found


def test_plotting_is_imported_by_functions_of_results_only():
    arrows = [i for i in IMPORTS if i.family == "plotting" and family(i.module) != "plotting"]
    assert arrows
    check_none([i for i in arrows if i.module != "_results" or not i.late])


def test_no_cycles_when_modules_load():
    """Imports inside functions and under TYPE_CHECKING do not run while a module loads."""
    short = dict(zip(FILES, MODULES, strict=True))
    now = [i for i in IMPORTS if i.target in short and not (i.late or i.typing)]
    graph = {module: {short[i.target] for i in now if i.module == module} for module in MODULES}
    assert graph["segments.rfms"] >= {"customers", "segments.maps"}
    tuple(graphlib.TopologicalSorter(graph).static_order())


def test_no_module_bears_the_name_of_a_public_function():
    """`from opsmetrics import funnel` must not give the module to some and the function to others."""
    stems = {part for module in MODULES for part in module.split(".")}
    assert not stems & set(om.__all__)


# ----------------------------------------------------------------------------------------------------- other libraries


def test_kernels_know_numpy_and_special_functions_only():
    allowed = sys.stdlib_module_names | {"numpy"}
    outside = [i for i in IMPORTS if family(i.module) == "_kernels" and i.library and i.library not in allowed]
    check_none([i for i in outside if i.target != "scipy.special"])


def test_only_the_boundary_knows_narwhals():
    assert {i.module for i in IMPORTS if i.library == "narwhals"} == {"_frames", "_output"}


@pytest.mark.parametrize("module", ["errors", "_checks", "_clock", "_render"])
def test_checks_and_text_know_no_frames(module):
    check_none([i for i in IMPORTS if i.module == module and i.library in FRAMES])


def test_errors_need_the_standard_library_only():
    check_none([i for i in IMPORTS if i.module == "errors" and i.library not in sys.stdlib_module_names])


def test_heavy_libraries_are_imported_by_functions_and_type_checkers_only():
    heavy = [i for i in IMPORTS if i.library in HEAVY or any(i.target == h or i.target.startswith(f"{h}.") for h in HEAVY)]
    assert heavy
    check_none([i for i in heavy if not (i.late or i.typing)])


def test_nothing_is_imported_that_is_not_declared():
    engines = {"matplotlib", "polars", "pyarrow", "duckdb", "pyspark", "tqdm"}
    declared = sys.stdlib_module_names | {"narwhals", "numpy", "pandas", "scipy"} | engines
    check_none([i for i in IMPORTS if i.library and i.library not in declared])


# -------------------------------------------------------------------------------------------------------- in a process


def _run(code: str, *flags: str) -> str:
    """What a fresh interpreter prints; it must succeed, and say nothing on stderr."""
    done = subprocess.run([sys.executable, "-I", *flags, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_importing_is_cheap_and_silent():
    """Nothing is loaded but the package itself: not even numpy."""
    code = """
    import logging, sys, threading, warnings
    import importlib, typing, __future__  # what the package itself imports
    before = set(sys.modules), list(warnings.filters), list(logging.getLogger().handlers), threading.active_count()
    import opsmetrics
    after = list(warnings.filters), list(logging.getLogger().handlers), threading.active_count()
    assert after == before[1:], after
    loaded = set(sys.modules) - before[0]
    assert loaded == {"opsmetrics"}, loaded
    """
    assert _run(code, "-W", "error") == ""


def test_using_every_name_loads_no_heavy_library():
    code = f"""
    import logging, sys, threading, warnings
    import narwhals.stable.v2, numpy, scipy.special
    before = list(warnings.filters), list(logging.getLogger().handlers), threading.active_count()
    import opsmetrics
    for name in opsmetrics.__all__:
        getattr(opsmetrics, name)
    assert (list(warnings.filters), list(logging.getLogger().handlers), threading.active_count()) == before
    heavy = sorted(set(sys.modules) & {HEAVY!r})
    assert not heavy, heavy
    assert "opsmetrics.segments.rfms" in sys.modules
    """
    assert _run(code, "-W", "error") == ""


def test_every_module_can_be_imported_first():
    names = [name for name in FILES if not name.endswith("__main__")]
    code = f"""
    import importlib, sys
    for name in {names!r}:
        for loaded in [m for m in sys.modules if m.split(".")[0] == "opsmetrics"]:
            del sys.modules[loaded]
        importlib.import_module(name)
    """
    assert _run(code, "-W", "error") == ""
