"""From measures to scores: a spec (`RFMScorer`), and the frozen scorer it becomes when fitted to customers (`FittedRFMScorer`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast, get_args, overload

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames, _output
from opsmetrics._frames import Column, Floats, Ints, Use
from opsmetrics._kernels import scoring
from opsmetrics._results import Result, table_of
from opsmetrics.customers import CustomerSummary
from opsmetrics.errors import DataError, FitError, ParameterError
from opsmetrics.segments.results import RFMScores
from opsmetrics.segments.summaries import finite_extremes

Method = Literal["quantile", "thresholds", "percentile", "ntile"]
Ties = Literal["low", "high", "mid"]

AXES: Final = ("r", "f", "m")
MEASURES: Final[Mapping[str, str]] = {"r": "recency", "f": "frequency", "m": "monetary"}
SCORES: Final[Mapping[str, str]] = {axis: f"{axis}_score" for axis in AXES}
WEIGHTS: Final[Mapping[str, float]] = {"r": 100, "f": 10, "m": 1}
_PERCENT = 100
_LARGEST_EDGE = 1.7e308
_USUAL = 5

Edge: TypeAlias = float | tuple[float, int | float | str]
FloatT = TypeVar("FloatT", Floats, np.float64)
FrameT = TypeVar("FrameT")


@dataclass(frozen=True, kw_only=True)
class RFMScorer:
    """How to score recency, frequency and money from 1 (worst) to k (best) (also known as: RFM 打分).

    Each axis is put in order of goodness (a recent customer is a good one), so ties fall the same way on all of them. Except under
    "ntile", equal values always get equal scores.

    Parameters
    ----------
    bins : int or mapping
        How many scores, 2 to 10, for all axes or by axis: ``{"r": 5, "f": 4, "m": 3}``.
    method : {"quantile", "thresholds", "percentile", "ntile"}
        "quantile": groups as equal as the ties allow. "thresholds": your own cuts. "percentile": 1 to 100 by percentile rank.
        "ntile": equal groups as SQL's NTILE makes them, ties split in order of `tie_key`.
    ties : {"low", "high", "mid"}
        Which rank tied values share under "quantile" and "percentile": the lowest, the highest or the middle one.
    thresholds : mapping of str to list of float, optional
        For "thresholds": increasing cuts by axis, in the unit of the measure. A frequency or an amount at a cut earns the better
        score, and so does a recency at a cut: ``{"r": [30, 90], ...}`` gives 3 up to 30 days, 2 up to 90 days, 1 beyond.
    weights : mapping of str to float, optional
        Weights of ``rfm_score``, by axis; 100, 10 and 1 by default, so that the scores 5, 4, 3 read 543.
    tie_key : str, optional
        For "ntile": a column with a distinct value in each row, such as the customer, which decides between equal values.

    Raises
    ------
    ParameterError
        A number of bins out of range, unknown words, cuts that do not increase, "ntile" without a tie key, arguments of another method.

    References
    ----------
    Hughes, A. M. (1994), Strategic Database Marketing (quintile scores of recency, frequency, monetary value). IBM SPSS Modeler,
    RFM Analysis node (weights 100, 10, 1; frozen bins; values out of range go to the end bins). SQL:2003, 6.10 (NTILE).

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> summary = pd.DataFrame({"recency": [2, 30, 200], "frequency": [9, 2, 1], "monetary": [450.0, 80.0, 15.0]})
    >>> scorer = om.RFMScorer(bins=3).fit(summary)
    >>> scorer.transform(summary).table[["r_score", "f_score", "m_score"]].to_numpy().tolist()
    [[3, 3, 3], [2, 2, 2], [1, 1, 1]]
    >>> scorer.edges["r"]
    (30.0, 2.0)
    """

    bins: int | Mapping[str, int] = _USUAL
    method: Method = "quantile"
    ties: Ties = "low"
    thresholds: Mapping[str, Sequence[float]] | None = None
    weights: Mapping[str, float] | None = None
    tie_key: str | None = None

    def __post_init__(self) -> None:
        _checks.choice("method", self.method, get_args(Method))
        _checks.choice("ties", self.ties, get_args(Ties))
        if self.weights is not None:
            weights = _checks.named("weights", self.weights, AXES)
            object.__setattr__(self, "weights", {axis: _checks.number("weights", weights[axis]) for axis in AXES})
        belongs = {"thresholds": (self.thresholds, "thresholds"), "tie_key": (self.tie_key, "ntile")}
        for argument, (value, method) in belongs.items():
            if value is not None and self.method != method:
                raise ParameterError(
                    f"{argument}={value!r} belongs to method={method!r}, not {self.method!r}; leave it out or change the method.",
                    code=f"parameter.{argument}",
                )
            if value is None and self.method == method:
                raise ParameterError(
                    f"method={method!r} needs {argument}="
                    + ("{'r': [...], 'f': [...], 'm': [...]}." if argument == "thresholds" else "the name of a column without repeats."),
                    code=f"parameter.{argument}",
                )
        if self.method in {"percentile", "thresholds"} and self.bins != _USUAL:
            raise ParameterError(
                f"bins={self.bins!r} has no effect under method={self.method!r}, which sets the number of scores itself; leave it out.",
                code="parameter.bins",
            )
        if self.thresholds is not None:
            cuts = _checks.named("thresholds", self.thresholds, AXES)
            clean = {axis: _checks.increasing(f"thresholds[{axis!r}]", cuts[axis]) for axis in AXES}
            object.__setattr__(self, "thresholds", clean)
        if isinstance(self.bins, Mapping):
            object.__setattr__(self, "bins", dict(_checks.named("bins", self.bins, AXES)))
        self._levels()

    def _levels(self) -> dict[str, int]:
        """The number of scores on each axis, where it is not the thresholds that set it."""
        if self.method == "percentile":
            return dict.fromkeys(AXES, _PERCENT)
        given = self.bins if isinstance(self.bins, Mapping) else dict.fromkeys(AXES, self.bins)
        return {axis: _checks.whole_number("bins", given[axis], 2, 10, hint=" The usual choice is 5.") for axis in AXES}

    def fit(self, summary: object) -> FittedRFMScorer:
        """Find the edges of the scores on these customers.

        Parameters
        ----------
        summary : CustomerSummary or frame
            One row per customer with the columns ``recency``, ``frequency`` and ``monetary`` (numbers, in any unit).

        Returns
        -------
        FittedRFMScorer
            The frozen scorer; it keeps nothing of the rows but the edges.

        Raises
        ------
        ColumnError
            A measure that is missing or not a number.
        DataError
            Null or infinite measures; a tie key with repeats.
        FitError
            No customers.

        Examples
        --------
        >>> import pandas as pd, opsmetrics as om
        >>> summary = pd.DataFrame({"recency": [2, 30], "frequency": [9, 1], "monetary": [450.0, 15.0]})
        >>> om.RFMScorer(bins=2).fit(summary).edges
        {'r': (2.0,), 'f': (9.0,), 'm': (450.0,)}
        """
        frame, measures = measures_of(summary)
        if len(frame) == 0:
            raise FitError("summary has no customers; a scorer needs at least one.", code="fit.empty")
        levels = self._levels()
        if self.tie_key is not None:
            keys = tie_keys(frame, self.tie_key)
            edges: dict[str, tuple[Edge, ...]] = {a: _ntile_edges(a, measures[a], keys, levels[a]) for a in AXES}
        elif self.thresholds is not None:
            cuts = self.thresholds
            edges = {a: tuple(float(c) for c in (sorted(cuts[a], reverse=True) if a == "r" else cuts[a])) for a in AXES}
        else:
            edges = {a: _natural(a, scoring.quantile_edges(good(a, measures[a]), levels[a], self.ties)) for a in AXES}
        weights = dict(self.weights or WEIGHTS)
        return FittedRFMScorer(edges=edges, method=self.method, ties=self.ties, weights=weights, tie_key=self.tie_key)


@dataclass(frozen=True, kw_only=True)
class FittedRFMScorer:
    """Frozen edges: the same measures get the same scores in every period, in every process (also known as: 固定分箱).

    Attributes
    ----------
    edges : mapping of str to tuple of float
        By axis, the values at which the scores 2..k begin, in the unit of the measure: a frequency or an amount at the edge or
        above, a recency at the edge or below. Under "ntile" each edge is a pair of value and tie key.
    method, ties, weights, tie_key
        As in the `RFMScorer` that was fitted.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> spring = pd.DataFrame({"recency": [2, 30, 60, 200], "frequency": [9, 2, 2, 1], "monetary": [450.0, 80.0, 70.0, 15.0]})
    >>> summer = pd.DataFrame({"recency": [400, 1], "frequency": [1, 99], "monetary": [5.0, 9999.0]})
    >>> om.RFMScorer(bins=2).fit(spring).transform(summer).table[["r_score", "f_score", "m_score"]].to_numpy().tolist()
    [[1, 1, 1], [2, 2, 2]]
    """

    edges: Mapping[str, tuple[Edge, ...]]
    method: str
    ties: str
    weights: Mapping[str, float]
    tie_key: str | None

    @property
    def bins(self) -> dict[str, int]:
        """The number of scores on each axis."""
        return {axis: len(self.edges[axis]) + 1 for axis in AXES}

    @overload
    def transform(self, summary: CustomerSummary[FrameT]) -> RFMScores[FrameT]: ...
    @overload
    def transform(self, summary: FrameT) -> RFMScores[FrameT]: ...
    def transform(self, summary: Any) -> RFMScores[Any]:
        """Score customers by the frozen edges; values outside the fitted range get the end scores.

        Parameters
        ----------
        summary : CustomerSummary, another result with its measures, or frame
            One row per customer with the columns ``recency``, ``frequency`` and ``monetary``.

        Returns
        -------
        RFMScores
            ``.table`` is the same table with ``r_score``, ``f_score``, ``m_score`` (whole numbers from 1) and ``rfm_score`` (their
            weighted sum).

        Raises
        ------
        ColumnError
            A measure that is missing or not a number.
        DataError
            Null or infinite measures.

        Examples
        --------
        >>> import pandas as pd, opsmetrics as om
        >>> summary = pd.DataFrame({"recency": [2, 30], "frequency": [9, 1], "monetary": [450.0, 15.0]})
        >>> om.RFMScorer(bins=2).fit(summary).transform(summary).table["rfm_score"].tolist()
        [222, 111]
        """
        frame, measures = measures_of(summary)
        scores = self._scores(frame, measures)
        columns: dict[str, Column] = {SCORES[axis]: scores[axis] for axis in AXES}
        columns["rfm_score"] = np.sum([self.weights[axis] * scores[axis] for axis in AXES], axis=0)
        known = summary if isinstance(summary, Result) else None
        kept = frame if known is None else _output.without(frame, ("rfm_code", "segment"))  # of an earlier map
        return RFMScores(
            _tables={**(known._tables if known else {}), "table": _output.append(kept, columns)},
            params=(known.params if known else {}) | {"method": self.method, "ties": self.ties, "bins": self.bins},
            dropped=dict(known.dropped) if known else {},
            customer=getattr(known, "customer", None),
            scorer=self,
        )

    def _scores(self, frame: Any, measures: Mapping[str, Floats]) -> dict[str, Ints]:
        if self.tie_key is None:
            return {a: scoring.scores(good(a, measures[a]), good(a, np.array(self.edges[a], dtype=np.float64))) for a in AXES}
        keys = tie_keys(frame, self.tie_key)
        return {a: _ntile_scores(a, measures[a], keys, self.edges[a], self.tie_key) for a in AXES}

    def to_dict(self) -> dict[str, object]:
        """The scorer as values `json.dumps` accepts.

        Returns
        -------
        dict
            What `from_dict` reads back to an equal scorer.

        Examples
        --------
        >>> import pandas as pd, opsmetrics as om
        >>> summary = pd.DataFrame({"recency": [2, 30], "frequency": [9, 1], "monetary": [450.0, 15.0]})
        >>> scorer = om.RFMScorer(bins=2).fit(summary)
        >>> om.FittedRFMScorer.from_dict(scorer.to_dict()) == scorer
        True
        """
        edges = {a: [list(e) if isinstance(e, tuple) else e for e in self.edges[a]] for a in AXES}
        return {
            "edges": edges,
            "method": self.method,
            "ties": self.ties,
            "weights": dict(self.weights),
            "tie_key": self.tie_key,
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, object]) -> FittedRFMScorer:
        """A scorer from what `to_dict` wrote.

        Parameters
        ----------
        saved : mapping
            With the keys ``edges``, ``method``, ``ties``, ``weights`` and ``tie_key``.

        Returns
        -------
        FittedRFMScorer

        Raises
        ------
        ParameterError
            A missing or unknown key, or edges that are not in order.

        Examples
        --------
        >>> import json, pandas as pd, opsmetrics as om
        >>> summary = pd.DataFrame({"recency": [2, 30], "frequency": [9, 1], "monetary": [450.0, 15.0]})
        >>> text = json.dumps(om.RFMScorer(bins=2).fit(summary).to_dict())
        >>> om.FittedRFMScorer.from_dict(json.loads(text)).bins
        {'r': 2, 'f': 2, 'm': 2}
        """
        _checks.named("saved", saved, ("edges", "method", "ties", "weights", "tie_key"))
        method = _checks.choice("method", saved["method"], get_args(Method))
        tie_key = saved["tie_key"]
        if isinstance(tie_key, str) != (method == "ntile") or not isinstance(tie_key, (str, NoneType)):
            raise ParameterError(
                f"tie_key={tie_key!r} does not go with method={method!r}; 'ntile' has the name of a column, the others have None.",
                code="parameter.tie_key",
            )
        edges, weights = _checks.named("edges", saved["edges"], AXES), _checks.named("weights", saved["weights"], AXES)
        return cls(
            edges={axis: _saved_edges(axis, edges[axis], keyed=tie_key is not None) for axis in AXES},
            method=method,
            ties=_checks.choice("ties", saved["ties"], get_args(Ties)),
            weights={axis: _checks.number("weights", weights[axis]) for axis in AXES},
            tie_key=tie_key,
        )


def measures_of(summary: object) -> tuple[Any, dict[str, Floats]]:
    """The customer table of a summary or a frame, and its measures by axis; each must be known and finite."""
    table = table_of(summary)
    uses = [Use(MEASURES[axis], MEASURES[axis], "number") for axis in AXES]
    frame, columns = _frames.columns("summary", table, uses)
    for name, values in columns.items():
        finite_extremes(name, values)
    return frame, {axis: columns[MEASURES[axis]] for axis in AXES}


def good(axis: str, values: FloatT) -> FloatT:
    """Measures in order of goodness: fewer days since the last order are better. The same turn leads back."""
    return -values if axis == "r" else values


def tie_keys(frame: Any, column: str) -> npt.NDArray[Any]:
    """A column that tells every two customers apart, as an array that compares: all numbers or all text."""
    use = Use("tie_key", column, "key")
    _frames.columns("summary", frame.to_native(), [use])
    codes, _ = _frames.encode(frame[column], use)
    if (codes < 0).any() or len(np.unique(codes)) < len(codes):
        raise DataError(f"tie_key={column!r} has repeats or nulls; it must tell every two customers apart.", code="data.tie_key")
    values = _frames.plain(frame[column])
    if values.dtype.is_numeric():
        return np.array(values.to_list())
    keys = values.to_list()
    if not all(isinstance(value, str) for value in keys):
        raise DataError(f"tie_key={column!r} mixes types; its values must be all text or all numbers. Cast it first.", code="data.tie_key")
    return np.array(keys, dtype=object)


def _natural(axis: str, edges: Floats) -> tuple[float, ...]:
    return tuple(float(e) + 0.0 for e in good(axis, edges))


def _ntile_order(values: Floats, keys: npt.NDArray[Any]) -> Ints:
    """Worst first; equal values in order of the tie key."""
    by_key = np.argsort(keys, kind="stable")
    return by_key[np.argsort(values[by_key], kind="stable")]


def _ntile_edges(axis: str, values: Floats, keys: npt.NDArray[Any], bins: int) -> tuple[Edge, ...]:
    if len(values) < bins:
        raise FitError(f"summary has {len(values)} customers; method='ntile' with {bins} bins needs at least {bins}.", code="fit.few")
    order = _ntile_order(good(axis, values), keys)
    first = order[scoring.ntile_starts(len(values), bins)]
    return tuple((float(values[i]), keys[i] if isinstance(keys[i], str) else keys[i].item()) for i in first)


def _ntile_scores(axis: str, values: Floats, keys: npt.NDArray[Any], edges: Sequence[Edge], column: str) -> Ints:
    pairs = cast("Sequence[tuple[float, Any]]", edges)
    if isinstance(pairs[0][1], str) != (keys.dtype == object):
        raise DataError(
            f"tie_key={column!r} holds {'text' if keys.dtype == object else 'numbers'}, but the scorer was fitted on the other; cast it.",
            code="data.tie_key",
        )
    scores = np.ones(len(values), dtype=np.int64)
    for value, key in pairs:
        better = good(axis, values) > good(axis, np.float64(value))
        scores += better | ((values == value) & (keys >= key))
    return scores


def _saved_edges(axis: str, edges: Any, *, keyed: bool) -> tuple[Edge, ...]:
    """Edges as read from JSON: numbers, or pairs of number and tie key, from the worst score to the best."""
    listed = edges if isinstance(edges, (list, tuple)) else []
    pairs = [edge if isinstance(edge, (list, tuple)) else [edge] for edge in listed]
    values = [pair[0] if pair and isinstance(pair[0], (int, float)) and abs(pair[0]) <= _LARGEST_EDGE else math.nan for pair in pairs]
    goodness = good(axis, np.array(values, dtype=np.float64))
    plain = all(isinstance(edge, (list, tuple)) == keyed for edge in listed)
    shaped = (
        bool(pairs) and plain and all(len(pair) == 1 + keyed for pair in pairs) and len({isinstance(pair[-1], str) for pair in pairs}) == 1
    )
    if not shaped or not np.all(np.isfinite(goodness)) or not np.all(goodness[1:] >= goodness[:-1]):
        kind = "pairs of a number and a tie key" if keyed else "finite numbers"
        raise ParameterError(f"edges[{axis!r}]={edges!r} must be {kind}, from the worst score to the best.", code="parameter.edges")
    return tuple((float(pair[0]), pair[1]) if keyed else float(pair[0]) for pair in pairs)
