"""How results look: aligned text for terminals, a table with inline SVG bars for notebooks. Strings in, strings out; no plot library."""

from __future__ import annotations

import datetime as dt
import html
import math
import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_LINE = 118
_NOTE = 160
_BAR_WIDTH = 10
_EIGHTHS = " ▏▎▍▌▋▊▉"
_SVG_WIDTH, _SVG_HEIGHT = 64, 10
_COLOUR = "#3b7dd8"

_STYLE = (
    "<style>.opsmetrics{font-size:13px;line-height:1.45;overflow-x:auto}"
    ".opsmetrics table{border-collapse:collapse;margin:.5em 0;font-size:inherit;color:inherit}"
    ".opsmetrics th{border-bottom:1px solid #999;font-weight:600;padding:2px 8px;text-align:right;vertical-align:bottom}"
    ".opsmetrics td{padding:2px 8px;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
    ".opsmetrics th.text,.opsmetrics td.text{text-align:left}.opsmetrics .note{opacity:.7}"
    ".opsmetrics span.figure{display:inline-block;min-width:3.4em;text-align:right}"
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


@dataclass(frozen=True, slots=True)
class _Column:
    """A column ready to be laid out: its cells as text, and the lengths of its bars where it has bars."""

    name: str
    cells: Sequence[str]
    left: bool
    bars: Sequence[float] | None


def text(view: View) -> str:
    """The view as aligned plain text; wide (Chinese) characters count as two columns."""
    lines = [view.title, *_wrap([f"{name} {_fact(value)}" for name, value in view.facts.items() if value is not None])]
    stacks = [_lay_out(column) for column in _columns(view)]
    if stacks:
        high = max(len(stack) for stack in stacks)
        lines += ["", *("  " + "  ".join(line).rstrip() for line in zip(*(_grow(stack, high) for stack in stacks), strict=True))]
    notes = (piece for line in _closing(view) for piece in textwrap.wrap(line, _NOTE, break_on_hyphens=False) or [""])
    return "\n".join([*lines, *(f"  {piece}" for piece in notes)])


def page(view: View) -> str:
    """The view as HTML that stands alone: no script, no font, no network."""
    facts = " · ".join(f"{_escape(name)}: <b>{_escape(_fact(value))}</b>" for name, value in view.facts.items() if value is not None)
    columns = _columns(view)
    head = "".join(f"<th{_class(column)}>{_escape(column.name).replace('_', '_<wbr>')}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(_data(column, row) for column in columns)}</tr>" for row in range(len(view.rows)))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if columns else ""
    closing = "".join(f"<div class='note'>{_escape(line)}</div>" for line in _closing(view))
    return f"{_STYLE}<div class='opsmetrics'><b>{_escape(view.title)}</b><div>{facts}</div>{table}{closing}</div>"


# ------------------------------------------------------------------------------------------------------------- columns


def _columns(view: View) -> list[_Column]:
    values = {name: [row[i] for row in view.rows] for i, name in enumerate(view.columns)}
    # One scale for all bars: a longer bar is a larger share, in whichever column.
    longest = max((_length(value) for name in view.bars for value in values[name]), default=0.0) or 1.0
    return [
        _Column(
            name=name,
            cells=_cells(view, name, column),
            left=name in view.ids or name in view.bars or any(isinstance(value, str) for value in column),
            bars=[_length(value) / longest for value in column] if name in view.bars else None,
        )
        for name, column in values.items()
    ]


def _cells(view: View, name: str, column: Sequence[object]) -> list[str]:
    """Values as a reader wants them: shares in per cent, counts grouped, decimals only in columns that have some."""
    if name in view.ids:
        return [_id(value) for value in column]
    if name in view.shares:
        return ["·" if value == 0 else _share(value) for value in column]
    if name.endswith(("share", "rate", "conversion")) or re.search("(share|rate|conversion)_", name):
        return [_share(value) for value in column]
    if name == "seconds" or name.endswith("_seconds"):
        return [span(value) for value in column]
    stamps = [value for value in column if isinstance(value, dt.datetime)]
    if stamps and all(value.time() == dt.time() for value in stamps):
        return [_plain(value.date() if isinstance(value, dt.datetime) else value) for value in column]
    whole = all(value.is_integer() for value in column if isinstance(value, float) and math.isfinite(value))
    return [_plain(value, decimals=0 if whole else 2) for value in column]


def _id(value: object) -> str:
    """A number that is a name: 17850, not 17,850."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int) else _plain(value)


def _share(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, (int, float)) and math.isfinite(value) else _plain(value)


def span(seconds: object) -> str:
    """Seconds in the unit a reader would choose."""
    if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        return _plain(seconds)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.3g} s"


def signed(value: object) -> object:
    """A change as a share, with its sign."""
    return f"{value:+.1%}" if isinstance(value, float) and math.isfinite(value) else value


def p_value(value: object) -> object:
    """A chance as tests report it."""
    if not isinstance(value, float):
        return value
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"


def p_equals(value: object) -> str:
    """A chance in a sentence."""
    return "p < 0.0001" if isinstance(value, float) and value < 1e-4 else f"p = {p_value(value)}"


def _plain(value: object, decimals: int = 2) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="minutes")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{decimals}f}"


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_fact(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_fact(inner) for inner in value)
    return f"{value:,.6g}" if isinstance(value, float) else _plain(value)


def _length(value: object) -> float:
    """What a bar draws; a missing or negative value has no bar."""
    return max(float(value), 0.0) if isinstance(value, (int, float)) and math.isfinite(value) else 0.0


def _closing(view: View) -> list[str]:
    hidden = (view.total_rows or 0) - len(view.rows)
    return [*([f"... {hidden:,} more rows"] if hidden > 0 else []), *view.notes]


# ---------------------------------------------------------------------------------------------------------------- text


def _wrap(facts: Sequence[str]) -> list[str]:
    """Facts in lines of a readable length, none torn."""
    lines: list[str] = []
    for fact in facts:
        if lines and _width(lines[-1]) + _width(fact) + 3 <= _LINE:
            lines[-1] += f" · {fact}"
        else:
            lines.append(f"  {fact}")
    return lines


def _lay_out(column: _Column) -> list[str]:
    """The lines of a column, of equal width: its name in as many as it takes to be no wider than the cells, then the cells."""
    bars = column.bars
    cells = list(column.cells) if bars is None else [f"{c:>6} {_blocks(b)}" for c, b in zip(column.cells, bars, strict=True)]
    lines = [*_stack(column.name, max(map(_width, cells), default=0)), *cells]
    width = max(map(_width, lines))
    return [line + " " * (width - _width(line)) if column.left else " " * (width - _width(line)) + line for line in lines]


def _stack(name: str, width: int) -> list[str]:
    """A name broken after its underscores into lines of at most this width, where the words allow it."""
    lines: list[str] = [""]
    for word in re.findall("[^_]*_|[^_]+", name):
        if lines[-1] and _width(lines[-1]) + _width(word) > width:
            lines.append("")
        lines[-1] += word
    return lines


def _grow(stack: list[str], high: int) -> list[str]:
    return [" " * _width(stack[0])] * (high - len(stack)) + stack


def _blocks(length: float) -> str:
    whole, eighths = divmod(round(length * _BAR_WIDTH * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()


def _width(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


# ---------------------------------------------------------------------------------------------------------------- HTML


def _data(column: _Column, row: int) -> str:
    cell = _escape(column.cells[row])
    if column.bars is None:
        return f"<td{_class(column)}>{cell}</td>"
    bar = (
        f"<svg width='{_SVG_WIDTH}' height='{_SVG_HEIGHT}' role='presentation'>"
        f"<rect width='{column.bars[row] * _SVG_WIDTH:.1f}' height='{_SVG_HEIGHT}' rx='2' fill='{_COLOUR}'/></svg>"
    )
    return f"<td{_class(column)}><span class='figure'>{cell}</span>{bar}</td>"


def _class(column: _Column) -> str:
    return " class='text'" if column.left else ""


def _escape(words: str) -> str:
    return html.escape(words)
