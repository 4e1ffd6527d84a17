"""The documentation against the package: nothing public is missing, and nothing it names is gone."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

import opsmetrics as om

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_every_public_name_has_a_reference() -> None:
    pages = "\n".join(text(page) for page in (DOCS / "reference").glob("*.md"))
    described = re.findall(r"^::: opsmetrics\.(\w+)$", pages, re.MULTILINE)
    assert sorted(described) == sorted(om.__all__)


def test_the_readme_begins_with_the_two_commands() -> None:
    commands = [code.strip() for _, code in FENCE.findall(text(ROOT / "README.md"))]
    assert commands[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    targets = (unquote(target.partition("#")[0]) for target in LINK.findall(FENCE.sub("", text(page))))
    missing = [target for target in targets if target and "://" not in target and not (page.parent / target).is_file()]
    assert missing == []


def test_every_page_is_in_the_navigation() -> None:
    """The Chinese pages above all: nothing else leads a reader to them."""
    project = tomllib.loads(text(ROOT / "zensical.toml"))["project"]
    listed = set(leaves(project["nav"]))
    assert {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} == listed


def test_every_error_code_is_documented() -> None:
    documented = set(re.findall(r"`([a-z]+(?:\.[a-z_<>]+)*)`", text(DOCS / "errors.md")))
    raised = {code for source in SOURCES for code in codes(ast.parse(text(source)))}
    assert "column.missing" in raised
    assert raised - documented == set()


def test_no_documented_error_code_is_gone() -> None:
    raised = {code for source in SOURCES for code in codes(ast.parse(text(source)))}
    first_column = re.findall(r"^\| `([a-z]+\.[a-z_.<>]+)` \|", text(DOCS / "errors.md"), re.MULTILINE)
    of_arguments = {code for code in first_column if code.startswith("parameter.")}  # these may come from `parameter.<argument>`
    assert set(first_column) - raised - of_arguments == set()


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_python_example_is_a_doctest(page: Path) -> None:
    for language, code in FENCE.findall(text(page)):
        assert language in {"pycon", "sh", "text"}
        assert (language == "pycon") == code.startswith(">>> ")


def leaves(nav: object) -> Iterator[str]:
    """The pages of a navigation, however deep."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for inner in nav.values():
            yield from leaves(inner)
    elif isinstance(nav, list):
        for inner in nav:
            yield from leaves(inner)


def codes(tree: ast.AST) -> Iterator[str]:
    """Every ``code="..."`` and ``default_code = "..."``; what an f-string fills in is written ``<name>``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "code":
            yield from spoken(node.value)
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.value is not None and any(isinstance(t, ast.Name) and t.id == "default_code" for t in targets):
                yield from spoken(node.value)


def spoken(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(f"<{ast.unparse(part.value)}>" if isinstance(part, ast.FormattedValue) else str(part.value) for part in node.values)
