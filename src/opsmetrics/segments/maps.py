"""From scores to segments: an ordered list of named regions, checked by enumerating every cell."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames, _output
from opsmetrics._frames import Floats, Ints
from opsmetrics.errors import ParameterError, warn
from opsmetrics.segments import presets
from opsmetrics.segments.regions import Region, holds, named_regions
from opsmetrics.segments.results import RFM, RFMScores
from opsmetrics.segments.scorers import AXES, MEASURES, SCORES
from opsmetrics.segments.splits import SPLIT_PARAMS, Basis, Comparison, Split
from opsmetrics.segments.summaries import TOTALS, summarise

FrameT = TypeVar("FrameT")

Cell: TypeAlias = tuple[int, int, int]

CODE_COLUMN: Final = "rfm_code"
_CODES: Final = tuple(f"{r}{f}{m}" for r in "01" for f in "01" for m in "01")


@dataclass(frozen=True, kw_only=True, repr=False)
class MapCheck:
    """What `SegmentMap.check` found by enumerating every cell (R, F, M).

    Attributes
    ----------
    gaps : tuple of cells
        Cells that no region holds.
    overlaps : mapping of cell to names
        Cells that several names hold; the first one wins.
    unreachable : tuple of str
        Names that can never be given, because earlier ones hold all their cells.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.SegmentMap([("best", {"r": (2, 3)}), ("good", {"r": 3}), ("rest", {"r": 1, "f": (1, 2)})], bins=3).check().unreachable
    ('good',)
    """

    gaps: tuple[Cell, ...]
    overlaps: Mapping[Cell, tuple[str, ...]]
    unreachable: tuple[str, ...]

    @property
    def is_partition(self) -> bool:
        """Whether each cell has exactly one name."""
        return not self.gaps and not self.overlaps

    def __str__(self) -> str:
        if self.is_partition:
            return "a partition: each cell has exactly one name"
        lines = [f"{len(self.gaps)} cells have no name{_some(self.gaps)}"] if self.gaps else []
        lines += [f"{len(self.overlaps)} cells have several names{_some(self.overlaps)}"] if self.overlaps else []
        lines += [f"names that no cell can get: {', '.join(self.unreachable)}"] if self.unreachable else []
        return "; ".join(lines)

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, init=False)
class SegmentMap:
    """An ordered list of named regions of the R, F, M cells (also known as: 客户分层规则).

    Parameters
    ----------
    regions : sequence of (name, region)
        A region is a mapping from axes ("r", "f", "m") to a score or an inclusive range of scores, any score where an axis is left
        out; or a list of codes such as ``["555", "554"]``. A name may have several regions.
    bins : int or mapping
        The number of scores on each axis that the map is made for, 2 to 10.
    otherwise : str, optional
        The name of cells that no region holds. It also declares that overlaps are meant: the first region that holds a cell wins.

    Raises
    ------
    ParameterError
        No regions, unknown axes, scores outside the bins. A map that is no partition raises when it is used, unless `otherwise` is given.

    References
    ----------
    Presets: `rf10`, `cn8`, `r_rfm`, `pymc_marketing`, each with its source.

    Examples
    --------
    >>> import opsmetrics as om
    >>> tiers = om.SegmentMap([("gold", {"f": 3}), ("silver", {"f": 2}), ("bronze", {"f": 1})], bins=3)
    >>> str(tiers.check())
    'a partition: each cell has exactly one name'
    """

    regions: tuple[tuple[str, Region], ...]
    bins: Mapping[str, int]
    otherwise: str | None
    split: Split | None

    def __init__(
        self,
        regions: Iterable[tuple[str, Mapping[str, int | tuple[int, int]] | Sequence[str]]],
        *,
        bins: int | Mapping[str, int] = 5,
        otherwise: str | None = None,
    ) -> None:
        given = _checks.named("bins", bins, AXES) if isinstance(bins, Mapping) else dict.fromkeys(AXES, bins)
        levels = {axis: _checks.whole_number("bins", given[axis], 2, 10) for axis in AXES}
        if not isinstance(otherwise, (str, NoneType)):
            raise ParameterError(f"otherwise={otherwise!r} must be a name, as text.", code="parameter.otherwise")
        self._set(named_regions(regions, levels), levels, otherwise, None)

    def _set(self, regions: Any, bins: Mapping[str, int], otherwise: str | None, split: Split | None) -> None:
        for field, value in {"regions": regions, "bins": bins, "otherwise": otherwise, "split": split}.items():
            object.__setattr__(self, field, value)

    def _with(self, split: Split) -> SegmentMap:
        """The same regions, of cells that are high or low by this split."""
        made = copy.copy(self)
        made._set(self.regions, self.bins, self.otherwise, split)
        return made

    @property
    def names(self) -> tuple[str, ...]:
        """The segment names in order, `otherwise` last."""
        names = dict.fromkeys(name for name, _ in self.regions)
        return (*names, *([self.otherwise] if self.otherwise is not None and self.otherwise not in names else []))

    # -------------------------------------------------------------------------------------------------------- presets

    @classmethod
    def rf10(cls) -> SegmentMap:
        """Ten segments on quintiles of recency and frequency, a true partition of the 25 cells; money plays no part.

        Returns
        -------
        SegmentMap

        References
        ----------
        The grid of patterns on the two-digit RF score that public RFM notebooks repeat.

        Examples
        --------
        >>> import opsmetrics as om
        >>> om.SegmentMap.rf10().names[:3]
        ('champions', 'loyal_customers', 'potential_loyalists')
        """
        return cls([(name, {"r": r, "f": f}) for name, (r, f) in presets.RF10.items()])

    @classmethod
    def cn8(
        cls,
        *,
        labels: Literal["zh", "en"] | Mapping[str, str] = "zh",
        basis: Basis = "score",
        centre: Literal["mean", "median"] | Mapping[str, float] = "mean",
        comparison: Comparison = ">",
    ) -> SegmentMap:
        """The eight classes of Chinese operations teams: each axis is high or low (also known as: RFM 八分类, 重要价值/发展/保持/挽留客户).

        The identity of a class is its code, R F M from 111 to 000, in the column ``rfm_code``; the label is data. Published practice
        differs in the three choices below, and they matter: they are kept in the result.

        Parameters
        ----------
        labels : {"zh", "en"} or mapping
            Names by code.
        basis : {"score", "value"}
            Compare scores, or the measures themselves (days, orders, money).
        centre : {"mean", "median"} or mapping
            What high is compared with: of the customers at hand, or given by axis in the unit of the basis.
        comparison : {">", ">="}
            Whether a customer at the centre is low or high. On recency the smaller value is the better one.

        Returns
        -------
        SegmentMap

        Raises
        ------
        ParameterError
            Unknown words; labels or centres that do not cover the codes or the axes.

        References
        ----------
        Alibaba Cloud, Quick Audience user analytics, and Kingdee (score against the mean score); 智慧商贸 (values against the fixed
        centres 10 days, 3 orders, 200 per order).

        Examples
        --------
        >>> import opsmetrics as om
        >>> om.SegmentMap.cn8().names[:2]
        ('重要价值客户', '重要发展客户')
        >>> om.SegmentMap.cn8(basis="value", centre={"r": 10, "f": 3, "m": 200}, labels="en").names[0]
        'Key: value'
        """
        codes = tuple(presets.CN8["zh"])
        if isinstance(labels, str):
            names: Mapping[str, object] = presets.CN8[_checks.choice("labels", labels, tuple(presets.CN8))]
        else:
            names = _checks.named("labels", labels, codes)
        split = Split.of(basis, centre, comparison)
        return cls([(str(names[code]), [_levels_of(code)]) for code in codes], bins=2)._with(split)

    @classmethod
    def r_rfm(cls) -> SegmentMap:
        """The ten segments of the R package rfm on quintiles; first match wins, and ten cells fall to "Others".

        Returns
        -------
        SegmentMap

        References
        ----------
        Hebbali, A., rfm 0.3.0 (R package, MIT): README.

        Examples
        --------
        >>> import opsmetrics as om
        >>> len(om.SegmentMap.r_rfm().check().gaps)
        10
        """
        return cls([(name, {"r": r, "f": f, "m": m}) for name, (r, f, m) in presets.R_RFM.items()], otherwise="Others")

    @classmethod
    def pymc_marketing(cls) -> SegmentMap:
        """The five segments of pymc-marketing on quartiles (``bins=4``); 18 of the 64 cells fall to "Other".

        Returns
        -------
        SegmentMap

        References
        ----------
        pymc-marketing, ``clv.utils.rfm_segments`` (Apache-2.0): its default segment table.

        Examples
        --------
        >>> import opsmetrics as om
        >>> om.SegmentMap.pymc_marketing().bins
        {'r': 4, 'f': 4, 'm': 4}
        """
        return cls([(name, codes.split()) for name, codes in presets.PYMC_MARKETING.items()], bins=4, otherwise="Other")

    # ---------------------------------------------------------------------------------------------------------- check

    def check(self) -> MapCheck:
        """Enumerate every cell and find gaps, overlaps and names that nothing can get.

        Returns
        -------
        MapCheck

        Examples
        --------
        >>> import opsmetrics as om
        >>> om.SegmentMap.rf10().check().is_partition
        True
        """
        names = tuple(dict.fromkeys(name for name, _ in self.regions))
        held = self._held()
        named = np.stack([held[[n == name for n, _ in self.regions]].any(axis=0) for name in names])
        count, first = named.sum(axis=0), np.argmax(held, axis=0)
        winners = {self.regions[i][0] for i in first[count > 0]}
        several = [(_cell(i), np.array(names)[named[:, i[0], i[1], i[2]]]) for i in np.argwhere(count > 1)]
        return MapCheck(
            gaps=tuple(_cell(i) for i in np.argwhere(count == 0)),
            overlaps={cell: tuple(holders.tolist()) for cell, holders in several},
            unreachable=tuple(name for name in names if name not in winners),
        )

    def _held(self) -> npt.NDArray[np.bool_]:
        """For each region, the cells it holds: regions x R x F x M."""
        cells = np.indices(tuple(self.bins[axis] for axis in AXES)) + 1
        return np.stack([holds(region, cells) for _, region in self.regions])

    def _demand_partition(self) -> None:
        check = self.check()
        if self.otherwise is None and not check.is_partition:
            raise ParameterError(
                f"the segment map is no partition: {check}. Mend the regions, or give otherwise='Others': the first region that holds "
                "a cell then wins, and the rest are Others.",
                code="parameter.partition",
            )
        if check.unreachable:
            warn(f"the segments {list(check.unreachable)} can never be given: earlier regions hold all their cells.")

    # ----------------------------------------------------------------------------------------------------------- assign

    def assign(self, scores: RFMScores[FrameT]) -> RFM[FrameT]:
        """Give each scored customer a segment.

        Parameters
        ----------
        scores : RFMScores
            Scored customers, as `FittedRFMScorer.transform` returns them.

        Returns
        -------
        RFM
            The scores with the column ``segment`` (and ``rfm_code`` for `cn8`).

        Raises
        ------
        ParameterError
            A map that is no partition, without `otherwise`; a map made for another number of bins.

        Examples
        --------
        >>> import pandas as pd, opsmetrics as om
        >>> summary = pd.DataFrame({"recency": [2, 30], "frequency": [9, 1], "monetary": [450.0, 15.0]})
        >>> scores = om.RFMScorer(bins=2).fit(summary).transform(summary)
        >>> om.SegmentMap.cn8(labels="en").assign(scores).table[["rfm_code", "segment"]].to_numpy().tolist()
        [['111', 'Key: value'], ['000', 'General: win back']]
        """
        if not isinstance(scores, RFMScores):
            raise ParameterError(
                f"scores is a {type(scores).__name__}; give what FittedRFMScorer.transform returns, a table with r_score, "
                "f_score and m_score.",
                code="parameter.scores",
            )
        self._demand_partition()
        table = scores._tables["table"]
        used, segment, code = self._place(scores)
        totals = [name for name in TOTALS if name in _frames.names("scores", table)]
        uses = [_frames.Use(name, name, "number") for name in (*MEASURES.values(), *totals)]
        frame, columns = _frames.columns("scores", table, uses)
        backend = frame.implementation
        added: dict[str, _frames.Column] = {} if code is None else {CODE_COLUMN: _output.words(backend, _CODES, code)}
        added["segment"] = _output.words(backend, self.names, segment)
        labels = _output.series(backend, self.names, _frames.TEXT)
        return RFM(
            _tables={**scores._tables, "table": _output.append(_output.without(frame, (CODE_COLUMN, "segment")), added)},
            params={k: v for k, v in scores.params.items() if k not in SPLIT_PARAMS} | (used.split.to_dict() if used.split else {}),
            dropped=dict(scores.dropped),
            customer=scores.customer,
            scorer=scores.scorer,
            segments=summarise(backend, "segment", labels, segment, columns, keep_order=True, dropped=scores.dropped),
            segment_map=used,
        )

    def _place(self, scores: RFMScores[Any]) -> tuple[SegmentMap, Ints, Ints | None]:
        """The map with its centres as numbers, the place of each customer's segment in `names`, and that of the code of high and low."""
        names = MEASURES if self.split is not None and self.split.basis == "value" else SCORES
        _, columns = _frames.columns("scores", scores._tables["table"], [_frames.Use(n, n, "number") for n in names.values()])
        compared = {axis: columns[names[axis]] for axis in AXES}
        winner = self._winner()
        if self.split is None:
            self._demand_bins(scores.scorer.bins)
            return self, winner.ravel()[_flat(self._cells(compared), winner.shape)], None
        split = self.split.centred(compared)
        code = _flat(split.levels(compared), winner.shape)
        return self._with(split), winner.ravel()[code], code

    def _matters(self, axis: str) -> bool:
        """Whether the map tells scores on this axis apart."""
        return any(isinstance(region, tuple) or axis in region for _, region in self.regions)

    def _cells(self, scores: Mapping[str, Floats]) -> list[Ints]:
        """The scores by axis; 1 on an axis that makes no difference, on which there may be any number of scores."""
        return [(scores[axis] if self._matters(axis) else np.ones_like(scores[axis])).astype(np.int64) for axis in AXES]

    def _demand_bins(self, bins: Mapping[str, int]) -> None:
        for axis in AXES:
            if self._matters(axis) and bins[axis] != self.bins[axis]:
                raise ParameterError(
                    f"the segment map is made for {self.bins[axis]} scores on the axis {axis!r}, but the scorer gives {bins[axis]}; "
                    f"score with bins={dict(self.bins)}, or choose another map, such as SegmentMap.cn8(), which takes any scores.",
                    code="parameter.bins",
                )

    def _winner(self) -> Ints:
        """For each cell, the place of its segment in `names`."""
        names, held = self.names, self._held()
        places = np.array([names.index(name) for name, _ in self.regions], dtype=np.int64)
        rest = 0 if self.otherwise is None else names.index(self.otherwise)  # without a rest there is nothing to fill
        return np.where(held.any(axis=0), places[np.argmax(held, axis=0)], rest)

    # ------------------------------------------------------------------------------------------------------------ JSON

    def to_dict(self) -> dict[str, object]:
        """The map as values `json.dumps` accepts.

        Returns
        -------
        dict
            What `from_dict` reads back to an equal map.

        Examples
        --------
        >>> import opsmetrics as om
        >>> rf10 = om.SegmentMap.rf10()
        >>> om.SegmentMap.from_dict(rf10.to_dict()) == rf10
        True
        """
        regions = [
            [name, list(region) if isinstance(region, tuple) else {axis: list(span) for axis, span in region.items()}]
            for name, region in self.regions
        ]
        return {"regions": regions, "bins": dict(self.bins), "otherwise": self.otherwise, "split": self.split and self.split.to_dict()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, object]) -> SegmentMap:
        """A map from what `to_dict` wrote.

        Parameters
        ----------
        saved : mapping
            With the keys ``regions``, ``bins``, ``otherwise`` and ``split``.

        Returns
        -------
        SegmentMap

        Raises
        ------
        ParameterError
            A missing or unknown key, or regions against the rules.

        Examples
        --------
        >>> import json, opsmetrics as om
        >>> text = json.dumps(om.SegmentMap.cn8().to_dict())
        >>> om.SegmentMap.from_dict(json.loads(text)).names[-1]
        '一般挽留客户'
        """
        _checks.named("saved", saved, ("regions", "bins", "otherwise", "split"))
        content: Any = saved  # whatever the file held; the constructor checks it
        made = cls(content["regions"], bins=content["bins"], otherwise=content["otherwise"])
        if saved["split"] is not None:
            split = _checks.named("split", saved["split"], ("basis", "centre", "comparison"))
            if set(made.bins.values()) != {2}:
                raise ParameterError(
                    f"split={dict(split)} belongs to a map of high and low, not to bins={dict(made.bins)}.", code="parameter.split"
                )
            return made._with(Split.of(split["basis"], split["centre"], split["comparison"]))
        return made


def _flat(cells: Sequence[Ints], shape: tuple[int, ...]) -> Ints:
    """The place of each customer's cell when the cells are laid out in one row."""
    flat = np.zeros(len(cells[0]), dtype=np.int64)
    for level, size in zip(cells, shape, strict=True):
        flat = flat * size + (level - 1)
    return flat


def _levels_of(code: str) -> str:
    """The class 101 as a cell: high is level 2, low is level 1."""
    return "".join("2" if high == "1" else "1" for high in code)


def _cell(index: npt.NDArray[Any]) -> Cell:
    r, f, m = (int(i) + 1 for i in index)
    return r, f, m


def _some(cells: Iterable[Cell]) -> str:
    shown = ["".join(map(str, cell)) for cell in cells]
    return f" ({', '.join(shown[:5])}{', ...' if len(shown) > 5 else ''})"
