"""Patterns of events: which rows of a log match which of them, as bits of one number per row.

The engine that holds the rows leaves out those that match nothing; what it hands over is marked here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from opsmetrics import _frames
from opsmetrics._frames import Eager, Lazy

MOST_PATTERNS = 62
"""As many patterns as a signed integer has bits to spare."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A row matches if its event is one of these (any, where None), its other columns have these values, and its flag is true."""

    events: tuple[str | int, ...] | None
    where: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    flag: str | None = None


@dataclass(frozen=True, slots=True)
class Marker:
    """Patterns over the columns of a log, the event's among them. `every` keeps rows that match nothing."""

    event: str | None
    patterns: tuple[Pattern, ...]
    every: bool = False

    @property
    def columns(self) -> list[str]:
        """The columns that the patterns look at, each once."""
        named = [self.event] if any(pattern.events is not None for pattern in self.patterns) else []
        named += [name for pattern in self.patterns for name, _ in pattern.where]
        named += [pattern.flag for pattern in self.patterns if pattern.flag is not None]
        return [name for name in dict.fromkeys(named) if name is not None]

    @property
    def words(self) -> tuple[str | int, ...]:
        """The events that are named, each once."""
        return tuple(dict.fromkeys(word for pattern in self.patterns for word in pattern.events or ()))

    @property
    def by_event_alone(self) -> bool:
        """Whether the event of a row decides what it matches."""
        return all(pattern.events is not None and not pattern.where and pattern.flag is None for pattern in self.patterns)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest type with a bit for each pattern."""
        return np.min_scalar_type((1 << len(self.patterns)) - 1)

    def pushed_down(self, frame: Eager | Lazy) -> Eager | Lazy:
        """The rows that match something, left to the engine to find."""
        if self.every or _frames.engine(frame) is None:
            return frame
        return _frames.keep_any(frame, [list(self._conditions(pattern)) for pattern in self.patterns])

    def _conditions(self, pattern: Pattern) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """What has to hold of which column."""
        if pattern.events is not None and self.event is not None:
            yield self.event, pattern.events
        yield from pattern.where
        if pattern.flag is not None:
            yield pattern.flag, (True,)

    def mark(self, frame: Eager) -> tuple[npt.NDArray[Any], frozenset[str | int]]:
        """The marks of each row, and which of the named events occur."""
        words = self.words
        if not words or self.event is None:
            return self._combine(frame, np.zeros(len(frame), dtype=np.uint8)), frozenset()
        codes = _frames.positions_among(frame.get_column(self.event), words)
        seen = frozenset(word for place, word in enumerate(words) if _occurs(codes, place))
        return (look_up(self.by_code(words), codes) if self.by_event_alone else self._combine(frame, codes)), seen

    def by_code(self, known: Sequence[Any]) -> npt.NDArray[Any]:
        """The marks that each of these events earns by its name, and, last, those of any other event."""
        bits = [sum(1 << bit for bit, p in enumerate(self.patterns) if p.events is not None and word in p.events) for word in known]
        return np.array([*bits, 0], dtype=self.dtype)

    def _combine(self, frame: Eager, codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The marks where other columns have a say."""
        named = look_up(self.by_code(self.words), codes) if self.words else np.zeros(len(frame), dtype=self.dtype)
        masks = {condition: _frames.among(frame[condition[0]], condition[1]) for p in self.patterns for condition in p.where}
        masks |= {(p.flag, (True,)): _frames.among(frame[p.flag], (True,)) for p in self.patterns if p.flag is not None}
        marks = np.zeros(len(frame), dtype=self.dtype)
        for bit, pattern in enumerate(self.patterns):
            one = marks.dtype.type(1 << bit)
            matches = np.ones(len(frame), dtype=np.bool_) if pattern.events is None else (named & one) != 0
            for condition in (*pattern.where, *([] if pattern.flag is None else [(pattern.flag, (True,))])):
                matches = matches & masks[condition]
            marks[matches] |= one
        return marks


def _occurs(codes: npt.NDArray[Any], place: int) -> bool:
    """Whether a code occurs: bytes are searched until the first one is found."""
    return codes.tobytes().find(place) >= 0 if codes.dtype.itemsize == 1 else bool((codes == place).any())


def look_up(table: npt.NDArray[Any], codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The entry of a table for each code. From bytes to bytes it is a translation, three times as fast as indexing."""
    if table.dtype.itemsize > 1 or codes.dtype.itemsize > 1 or codes.dtype.kind != "u":
        return np.asarray(table[codes])
    return np.frombuffer(codes.tobytes().translate(table.tobytes().ljust(256, b"\0")), dtype=table.dtype)
