"""What a caller writes for "such rows of the log", and the pattern it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from opsmetrics._marks import Pattern
from opsmetrics.errors import ColumnError, ParameterError, nearest

Of: TypeAlias = str | int | Sequence[str | int] | Mapping[str, object]
"""An event, a list of events, a mapping with "event" and "where", or the name of a boolean column."""


def pattern(argument: str, of: object, event: str | None, kinds: Mapping[str, str]) -> tuple[str, Pattern]:
    """The label and the pattern of one thing."""
    if isinstance(of, str) and kinds.get(of) == "flag":
        return of, Pattern(None, flag=of)
    if isinstance(of, Mapping):
        return _where(argument, of, event, kinds)
    events = tuple(of) if isinstance(of, (list, tuple, set, frozenset)) else (of,)
    _demand_events(argument, of, events, event, kinds)
    return "|".join(map(str, events)), Pattern(tuple(word(name) for name in events))


def _where(argument: str, of: Mapping[str, Any], event: str | None, kinds: Mapping[str, str]) -> tuple[str, Pattern]:
    """A mapping with an event, conditions on other columns, or both."""
    known = ("event", "where", "after", "before") if argument == "exclude" else ("event", "where")
    for key in of:
        if key not in known:
            raise ParameterError(
                f"{argument} has the key {key!r} in {dict(of)!r}; its keys are {list(known)}.{nearest(key, known)}",
                code=f"parameter.{argument}",
            )
    where = of.get("where") or {}
    if not isinstance(where, Mapping) or (of.get("event") is None and not where):
        raise ParameterError(
            f'{argument} has {dict(of)!r}, which asks for nothing; give an "event", or "where" as a mapping of columns to values.',
            code=f"parameter.{argument}",
        )
    label, found = ("any event", Pattern(None)) if of.get("event") is None else pattern(argument, of["event"], event, kinds)
    conditions = tuple((str(column), values(argument, column, wanted, kinds)) for column, wanted in where.items())
    said = ", ".join(f"{column}={'|'.join(map(str, values))}" for column, values in conditions)
    return (f"{label} [{said}]" if said else label), Pattern(found.events, conditions, found.flag)


def values(argument: str, column: object, wanted: object, kinds: Mapping[str, str]) -> tuple[Any, ...]:
    """The values that a column may have, each of a type that the column can hold."""
    if not isinstance(column, str) or column not in kinds:
        raise ColumnError(
            f"{argument} looks at {column!r}, which is not a column of the frame; it has {list(kinds)}.{nearest(column, kinds)}",
            code="column.missing",
        )
    given = tuple(word(value) for value in (wanted if isinstance(wanted, (list, tuple, set, frozenset)) else [wanted]))
    types: dict[str, tuple[type, ...]] = {"flag": (bool,), "text": (str,), "whole": (int,), "real": (int, float)}
    kind = kinds[column]
    if kind not in types:
        raise ColumnError(
            f"{argument} looks at {column!r}, which holds neither text, numbers nor true and false; make a boolean column of the "
            f"condition.",
            code="column.type",
        )
    for value in given:
        if not isinstance(value, types[kind]) or (isinstance(value, bool) and kind != "flag") or not _storable(value):
            raise ParameterError(
                f"{argument} compares {column!r} with {value!r}, but the column holds {_SPOKEN[kind]}; give a value of its type, or "
                f"name a boolean column.",
                code=f"parameter.{argument}",
            )
    if not given:
        raise ParameterError(f"{argument} gives no value for {column!r}; name at least one.", code=f"parameter.{argument}")
    return tuple(dict.fromkeys(float(value) for value in given) if kind == "real" else dict.fromkeys(given))


_SPOKEN = {"flag": "true and false", "text": "text", "whole": "whole numbers", "real": "numbers", "other": "something else"}


def _demand_events(argument: str, of: object, events: Sequence[object], event: str | None, kinds: Mapping[str, str]) -> None:
    """Events are text or whole numbers, as the event column holds them."""
    flags = [name for name, kind in kinds.items() if kind == "flag" and isinstance(name, str)]
    words = [word(name) for name in events]
    if not words or not all(isinstance(word, (str, int)) and not isinstance(word, bool) and _storable(word) for word in words):
        raise ParameterError(
            f'{argument} has {of!r}, which is no step; a step is an event, a list of events, a mapping with "event" and "where", the '
            f"name of a "
            "boolean column, or an om.Step of one of these.",
            code=f"parameter.{argument}",
        )
    if event is None:
        raise ParameterError(
            f"{argument} has {of!r}, which is no boolean column of the frame (it has {flags}), and event=None names no column of "
            f"events; name it.",
            code="parameter.event",
        )
    kind = kinds.get(event)
    if kind not in {"text", "whole"}:
        return  # the check of the columns has the sentence
    wrong = [name for name in events if isinstance(word(name), str) != (kind == "text")]
    if wrong:
        raise ParameterError(
            f"{argument} has {wrong[0]!r}, but event={event!r} holds {_SPOKEN[kind]}; write events as the column holds them.",
            code=f"parameter.{argument}",
        )


def word(value: Any) -> Any:
    """A plain value of a numpy scalar."""
    return value.item() if hasattr(value, "item") and not isinstance(value, (str, bytes)) and getattr(value, "ndim", 1) == 0 else value


def _storable(value: Any) -> bool:
    """Whether a column can hold a value: text that can be encoded, whole numbers of 64 bits, numbers that equal themselves."""
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    return bool(value == value if isinstance(value, float) else -(2**63) <= value < 2**64)
