"""Regions of the R, F, M cells: inclusive ranges of scores by axis, or lists of codes; checked and in one clean form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from opsmetrics.errors import ParameterError
from opsmetrics.segments.scorers import AXES

Region: TypeAlias = "Mapping[str, tuple[int, int]] | tuple[str, ...]"


def named_regions(regions: Any, levels: Mapping[str, int]) -> tuple[tuple[str, Region], ...]:
    """Pairs of a name and a region, as anyone may have written them, in their one clean form."""
    if not isinstance(regions, Iterable) or isinstance(regions, (str, Mapping)):
        raise ParameterError(f"regions={regions!r} must be a list of pairs of a name and a region.", code="parameter.regions")
    pairs = [tuple(pair) if isinstance(pair, (tuple, list)) else (pair,) for pair in regions]
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], str):
            raise ParameterError(f"regions has {pair!r}; each entry is a pair of a name and a region.", code="parameter.regions")
    if not pairs:
        raise ParameterError("regions=[] is empty; a map needs at least one named region.", code="parameter.regions")
    return tuple((name, _region(name, region, levels)) for name, region in pairs)


def _region(name: str, region: object, levels: Mapping[str, int]) -> Region:
    """A region in its one clean form: inclusive ranges by axis, or codes."""
    if isinstance(region, Mapping):
        if not region or not set(region) <= set(AXES):
            raise ParameterError(
                f"the region {name!r} has the axes {list(region)}; it needs at least one of {list(AXES)} and no other.",
                code="parameter.regions",
            )
        return {axis: _span(name, axis, region[axis], levels[axis]) for axis in AXES if axis in region}
    if isinstance(region, Sequence) and not isinstance(region, str) and region:
        return tuple(_code(name, code, levels) for code in region)
    raise ParameterError(
        f"the region {name!r} is {region!r}; give ranges by axis such as {{'r': (4, 5), 'f': 5}}, or codes such as ['555', '554'].",
        code="parameter.regions",
    )


def _span(name: str, axis: str, span: Any, top: int) -> tuple[int, int]:
    low, high = span if isinstance(span, (tuple, list)) and len(span) == 2 else (span, span)
    whole = all(isinstance(end, (int, np.integer)) and not isinstance(end, bool) for end in (low, high))
    if not whole or not 1 <= low <= high <= top:
        raise ParameterError(
            f"the region {name!r} has {axis}={span!r}; it must be a score or an inclusive range of scores from 1 to {top}.",
            code="parameter.regions",
        )
    return int(low), int(high)


def _code(name: str, code: object, levels: Mapping[str, int]) -> str:
    digits = [int(digit) for digit in code] if isinstance(code, str) and code.isdecimal() else []
    if len(digits) == len(AXES) and all(1 <= digit <= levels[axis] for digit, axis in zip(digits, AXES, strict=True)):
        return str(code)
    raise ParameterError(
        f"the region {name!r} has the code {code!r}; a code is three digits R F M, each from 1 to its number of bins "
        f"{[levels[axis] for axis in AXES]}.",
        code="parameter.regions",
    )


def holds(region: Region, cells: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which cells a region holds."""
    if isinstance(region, tuple):
        return np.isin(cells[0] * 100 + cells[1] * 10 + cells[2], [int(code) for code in region])
    held = np.ones(cells.shape[1:], dtype=np.bool_)
    for axis, (low, high) in region.items():
        level = cells[AXES.index(axis)]
        held &= (level >= low) & (level <= high)
    return held
