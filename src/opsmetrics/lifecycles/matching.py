"""Named patterns of a log: rules that each mark rows, and what to say of an event that never occurs."""

from __future__ import annotations

from collections.abc import Mapping

from opsmetrics import _patterns
from opsmetrics._frames import Use
from opsmetrics._marks import MOST_PATTERNS, Marker
from opsmetrics.errors import ParameterError

ABSENT = "Where it may be absent, name a boolean column instead."


def event_use(event: str | None) -> list[Use]:
    """The column of events, where there is one, to be checked with the others."""
    return [] if event is None else [Use("event", event, "key")]


def understand(rules: Mapping[str, object], event: str | None, kinds: Mapping[str, str]) -> tuple[dict[str, str], Marker]:
    """What each rule says, and the marker of the rows: a bit for each rule, in their order."""
    if len(rules) > MOST_PATTERNS:
        raise ParameterError(f"rules has {len(rules)} entries; {MOST_PATTERNS} are the most. Ask in several calls.", code="parameter.rules")
    read = {name: _patterns.pattern("rules", of, event, kinds) for name, of in rules.items()}
    return {name: label for name, (label, _) in read.items()}, Marker(event, tuple(found for _, found in read.values()))
