"""On which side of a null hypothesis an effect counts."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Alternative: TypeAlias = Literal["two-sided", "greater", "less"]

ALTERNATIVES: Final[tuple[Alternative, ...]] = ("two-sided", "greater", "less")
