"""How results look: aligned text for terminals, a table with inline SVG bars for notebooks. Strings in, strings out; no plot library."""

from __future__ import annotations

import datetime as dt
import html
import math
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_BAR_WIDTH = 10
_LINE = 118
_EIGHTHS = " ▏▎▍▌▋▊▉"
_SVG_WIDTH, _SVG_HEIGHT = 96, 10
_COLOUR = "#3b7dd8"

_STYLE = (
    "<style>.opsmetrics{font-size:13px;line-height:1.45;max-width:64em}"
    ".opsmetrics table{border-collapse:collapse;margin:.5em 0}"
    ".opsmetrics th{border-bottom:1px solid #999;font-weight:600;padding:2px 10px;text-align:right;white-space:nowrap}"
    ".opsmetrics td{padding:2px 10px;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
    ".opsmetrics th.text,.opsmetrics td.text{text-align:left}.opsmetrics .note{opacity:.7}"
    ".opsmetrics svg{vertical-align:middle;margin-left:.6em}</style>"
)


@dataclass(frozen=True, slots=True)
class View:
    """What a result shows of itself. `bars` names the columns drawn as bars, `total_rows` the rows there are in all.

    `ids` are written as they are (no thousands separators), `shares` as per cent whatever their name. Facts that are None are left out.
    """

    title: str
    facts: Mapping[str, object]
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    bars: Sequence[str] = ()
    ids: Sequence[str] = ()
    shares: Sequence[str] = ()
    total_rows: int | None = None
    notes: Sequence[str] = field(default_factory=tuple)


def text(view: View) -> str:
    """The view as aligned plain text; wide (Chinese) characters count as two columns."""
    cells = [[_cell(view, name, value) for name, value in zip(view.columns, row, strict=True)] for row in view.rows]
    for name in view.bars:
        at = view.columns.index(name)
        for cell, length in zip(cells, _lengths(view, at), strict=True):
            cell[at] = f"{cell[at]:>7} {_blocks(length)}"
    left = [_is_text(view, i) or name in view.bars for i, name in enumerate(view.columns)]
    facts = " · ".join(f"{name} {_fact(value)}" for name, value in view.facts.items() if value is not None)
    lines = [view.title, *textwrap.wrap(facts, _LINE, initial_indent="  ", subsequent_indent="  ")]
    if view.columns:
        lines += ["", *_grid(list(view.columns), cells, left)]
    return "\n".join([*lines, *_closing(view)])


def page(view: View) -> str:
    """The view as HTML that stands alone: no script, no font, no network."""
    told = {name: value for name, value in view.facts.items() if value is not None}
    facts = " · ".join(f"{html.escape(name)}: <b>{html.escape(_fact(value))}</b>" for name, value in told.items())
    lengths = {name: _lengths(view, view.columns.index(name)) for name in view.bars}
    head = "".join(f"<th{_class(view, i)}>{html.escape(name)}</th>" for i, name in enumerate(view.columns))
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_class(view, i)}>{html.escape(_cell(view, name, value))}{_svg(lengths[name][r]) if name in lengths else ''}</td>"
            for i, (name, value) in enumerate(zip(view.columns, row, strict=True))
        )
        + "</tr>"
        for r, row in enumerate(view.rows)
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if view.columns else ""
    closing = "".join(f"<div class='note'>{html.escape(line)}</div>" for line in _closing(view) if line)
    return f"{_STYLE}<div class='opsmetrics'><b>{html.escape(view.title)}</b><div>{facts}</div>{table}{closing}</div>"


def _cell(view: View, name: str, value: object) -> str:
    if name in view.ids:
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return number(value, "share" if name in view.shares else name)


def number(value: object, name: str = "") -> str:
    """A value as a reader wants it. Shares and rates are per cent; money and means keep two decimals; counts are grouped."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="minutes")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if _is_share(name):
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _is_share(name: str) -> bool:
    return name.endswith(("share", "rate", "conversion")) or "share_" in name


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_fact(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_fact(v) for v in value)
    if isinstance(value, float):
        return f"{value:,.6g}"
    return number(value)


def _closing(view: View) -> list[str]:
    hidden = (view.total_rows or 0) - len(view.rows)
    return [*([f"  ... {hidden:,} more rows"] if hidden > 0 else []), *(f"  {note}" for note in view.notes)]


def _is_text(view: View, column: int) -> bool:
    return view.columns[column] in view.ids or any(isinstance(row[column], str) for row in view.rows)


def _class(view: View, column: int) -> str:
    return " class='text'" if _is_text(view, column) or view.columns[column] in view.bars else ""


def _lengths(view: View, column: int) -> list[float]:
    """Bar lengths relative to the longest; a missing or negative value has none."""
    values = [float(v) if isinstance(v, (int, float)) and not math.isnan(v) else 0.0 for v in (row[column] for row in view.rows)]
    longest = max(values, default=0.0)
    return [max(v, 0.0) / longest if longest > 0 else 0.0 for v in values]


def _blocks(length: float) -> str:
    whole, eighths = divmod(round(length * _BAR_WIDTH * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()


def _svg(length: float) -> str:
    return (
        f"<svg width='{_SVG_WIDTH}' height='{_SVG_HEIGHT}' role='presentation'>"
        f"<rect width='{length * _SVG_WIDTH:.1f}' height='{_SVG_HEIGHT}' rx='2' fill='{_COLOUR}'/></svg>"
    )


def _grid(names: Sequence[str], cells: Sequence[Sequence[str]], left: Sequence[bool]) -> list[str]:
    """Names above their columns, in as many lines as it takes to be no wider than the cells."""
    stacks = [_stack(name, max((_width(row[i]) for row in cells), default=0)) for i, name in enumerate(names)]
    high = max(len(stack) for stack in stacks)
    padded = [[""] * (high - len(stack)) + stack for stack in stacks]
    rows = [*([stack[line] for stack in padded] for line in range(high)), *cells]
    widths = [max(_width(row[i]) for row in rows) for i in range(len(left))]
    return [("  " + "  ".join(_pad(cell, widths[i], left=left[i]) for i, cell in enumerate(row))).rstrip() for row in rows]


def _stack(name: str, width: int) -> list[str]:
    """A name broken at its underscores into lines of at most this width, where the words allow it."""
    lines: list[str] = []
    for word in name.split("_"):
        if lines and _width(lines[-1]) + 1 + _width(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _width(cell: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in cell)


def _pad(cell: str, width: int, *, left: bool) -> str:
    space = " " * (width - _width(cell))
    return cell + space if left else space + cell
