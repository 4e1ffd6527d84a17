"""Who moved where between two dates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar, overload

import numpy as np

from opsmetrics import _checks, _frames, _output, _render
from opsmetrics._frames import Column, Ints, Use
from opsmetrics._kernels import grouping, rates
from opsmetrics._results import SHOWN_LABELS, Result, Table, table_of
from opsmetrics.errors import DataError, ParameterError, nearest, warn

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

ENTRY: Final = "(new)"
"""The row of customers who were not there before."""

EXIT: Final = "(gone)"
"""The column of customers who are not there any more."""

_Special: TypeAlias = tuple[Ints | None, Ints | None]
"""The places of lapsed and of top labels, None where none were named."""

RESERVED: Final = frozenset({ENTRY, EXIT, "source"})


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Transitions(Result[FrameT_co]):
    """Moves of customers between labels, as `transitions` returns them.

    Attributes
    ----------
    table : frame
        One row per move that happened, ready for a Sankey diagram: ``source``, ``target``, ``customers``, ``share`` of the source with
        its Wilson interval ``share_low`` and ``share_high``. Newcomers have the source "(new)", leavers the target "(gone)".
    counts : frame
        The matrix of customers: ``source``, then one column per target.
    shares : frame
        The matrix of row shares: each row adds up to 1; missing where nobody started.
    rates : frame
        ``direction`` (up, down, stayed, gone; without an order moved, stayed, gone; "won back" and "top lost" where lapsed and top labels
        are named), ``customers``, ``of`` (customers there before; of these two, those lapsed, or at the top), ``rate``, ``rate_low``,
        ``rate_high``.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> before = pd.DataFrame({"uid": [1, 2], "tier": ["low", "low"]})
    >>> after = pd.DataFrame({"uid": [1, 2], "tier": ["low", "high"]})
    >>> moves = om.transitions(before, after, customer="uid", label="tier", order=["low", "high"])
    >>> moves.rates[["direction", "customers", "rate"]].to_numpy().tolist()
    [['up', 1, 0.5], ['down', 0, 0.0], ['stayed', 1, 0.5], ['gone', 0, 0.0]]
    """

    counts = Table()
    shares = Table()
    rates = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["shares"], SHOWN_LABELS)
        _, found = _output.head(self._tables["rates"])
        spoken = {f"{row[0]} rate": f"{row[3]:.1%} [{row[4]:.1%}, {row[5]:.1%}]" for row in found if row[3] is not None}
        return _render.View(
            title="Transitions: share of each source (row) by target (column)",
            facts=self.params | spoken,
            columns=columns,
            rows=rows,
            shares=columns[1:],
            total_rows=_output.height(self._tables["shares"]),
            notes=["counts: .counts; one row per move: .table"],
        )


@overload
def transitions(
    before: Result[FrameT], after: Result[FrameT], *, customer: str | None = None, label: str | None = None,
    order: Sequence[str] | None = None, lapsed: Sequence[str] | None = None, top: Sequence[str] | None = None, confidence: float = 0.95,
) -> Transitions[FrameT]: ...  # fmt: skip
@overload
def transitions(
    before: FrameT, after: FrameT, *, customer: str | None = None, label: str | None = None,
    order: Sequence[str] | None = None, lapsed: Sequence[str] | None = None, top: Sequence[str] | None = None, confidence: float = 0.95,
) -> Transitions[FrameT]: ...  # fmt: skip
def transitions(
    before: Any, after: Any, *, customer: str | None = None, label: str | None = None,
    order: Sequence[str] | None = None, lapsed: Sequence[str] | None = None, top: Sequence[str] | None = None, confidence: float = 0.95,
) -> Transitions[Any]:  # fmt: skip
    """Count the moves of customers between labels at two dates (also known as: 分层迁移, 金字塔流动).

    Parameters
    ----------
    before, after : RFM or frame
        One row per customer with a label. Between two RFM reports use the same scorer, else the edges move as well as the customers.
        Two dates are two looks: who came back and lapsed again between them has not moved.
    customer : str, optional
        The column of the customer; known already where `before` is a result.
    label : str, optional
        The column of the label; that of the result where `before` is one ("segment", or "stage" of staged customers), else "segment".
    order : sequence of str, optional
        All labels from the lowest to the highest, for labels that have an order; gives the rates up and down.
    lapsed : sequence of str, optional
        Labels of those who have stopped, such as dormant and churned; gives the win-back rate (召回率), the share of them that has another
        label after.
    top : sequence of str, optional
        Labels of the most valuable; with `lapsed`, gives their churn (高价值流失), the share of them that is lapsed or gone after.
    confidence : float
        Of the Wilson intervals, between 0 and 1.

    Returns
    -------
    Transitions
        Counts of customers, shares of each source, and rates among the customers there before, as fractions.

    Raises
    ------
    ColumnError
        A missing column; customers of one type before and another after.
    DataError
        A customer in two rows of one side; customers or labels that are null; a label named "(new)" or "(gone)".
    ParameterError
        An order that leaves out or repeats a label; lapsed or top labels that never occur or are both; a confidence outside (0, 1); no
        name for the customer column.

    References
    ----------
    Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference, JASA 22, 209-212 (the intervals). Pfeifer,
    P. E. & Carraway, R. L. (2000), Modeling customer relationships as Markov chains, Journal of Interactive Marketing 14(2), 43-55.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> before = pd.DataFrame({"uid": [1, 2, 3], "tier": ["low", "low", "high"]})
    >>> after = pd.DataFrame({"uid": [1, 2, 4], "tier": ["high", "low", "low"]})
    >>> om.transitions(before, after, customer="uid", label="tier").table[["source", "target", "customers"]]
       source  target  customers
    0    high  (gone)          1
    1     low    high          1
    2     low     low          1
    3   (new)     low          1
    """
    _checks.fraction("confidence", confidence)
    results = [given for given in (before, after) if isinstance(given, Result)]
    key = customer if customer is not None else next((getattr(result, "customer", None) for result in results), None)
    if key is None:
        raise ParameterError("customer=None: name the column of the customer.", code="parameter.customer")
    for rule, fault in (("scorer", "scored with different edges"), ("segment_map", "mapped with different maps or centres")):
        rules = [getattr(result, rule) for result in results if hasattr(result, rule)]
        if len(rules) == 2 and rules[0] != rules[1]:
            warn(
                f"before and after were {fault}, so the rule moved as well as the customers; hand the first report's {rule} to the second."
            )
    label = label if label is not None else next((str(getattr(result, "label", "segment")) for result in results), "segment")
    uses = [Use("customer", key, "key"), Use("label", label, "key")]
    sides = [_side(argument, given, uses) for argument, given in (("before", before), ("after", after))]
    (old, new), people = _frames.encode_together([side[key] for side in sides], uses[0])
    for argument, codes in (("before", old), ("after", new)):
        _demand_one_row_each(argument, key, codes)
    names, labels = _labels([side[label] for side in sides], uses[1], order, getattr(results[0], "segment_names", ()) if results else ())
    special = _special(names, lapsed, top, getattr(results[0], "segment_names", ()) if results else ())
    moves = _moves(old, new, labels, len(people), len(names))
    params: dict[str, object] = {"label": label, "order": None if order is None else names, "confidence": confidence}
    params |= {argument: given if given is None else list(given) for argument, given in (("lapsed", lapsed), ("top", top))}
    return _result(
        sides[0].implementation, names, moves, order is not None, special, confidence, params | {"before": len(old), "after": len(new)}
    )


def _side(argument: str, given: Any, uses: Sequence[Use]) -> Any:
    """One side as an eager frame."""
    return _frames.columns(argument, table_of(given), uses)[0]


def _demand_one_row_each(argument: str, customer: str, codes: Ints) -> None:
    if nulls := int(np.count_nonzero(codes < 0)):
        raise DataError(f"customer={customer!r} is null in {nulls:,} rows of {argument}; fill or drop them.", code="data.null")
    if repeats := len(codes) - len(np.unique(codes)):
        raise DataError(
            f"customer={customer!r} repeats in {repeats:,} rows of {argument}; each customer has one label at a time.", code="data.repeated"
        )


def _labels(sides: Sequence[_frames.Values], use: Use, order: Sequence[str] | None, usual: Sequence[str]) -> tuple[list[str], list[Ints]]:
    """The names of the labels in order (the usual one, then by name), and the place of each customer's, before and after."""
    codes, distinct = _frames.encode_together(sides, use)
    for argument, side in (("before", codes[0]), ("after", codes[1])):
        if nulls := int(np.count_nonzero(side < 0)):
            raise DataError(f"label={use.column!r} is null in {nulls:,} rows of {argument}; fill or drop them.", code="data.null")
    there = [str(value) for value in distinct.to_list()]
    if len(set(there)) < len(there):
        twice = sorted({name for name in there if there.count(name) > 1})
        raise DataError(f"label={use.column!r} has different values that read alike: {twice}; make them one.", code="data.label")
    names = sorted(there, key=_by(usual)) if order is None else [str(name) for name in _checks.listed("order", order)]
    if taken := sorted(RESERVED & set(there)):
        raise DataError(
            f"label={use.column!r} has the value {taken[0]!r}, which names a column or row of the result; rename it.", code="data.label"
        )
    _checks.order_of(names, there, RESERVED)
    place = np.array([names.index(name) for name in there], dtype=np.int64)
    return names, [place[side] for side in codes]


def _by(usual: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    return lambda name: (usual.index(name) if name in usual else len(usual), name)


def _moves(old: Ints, new: Ints, labels: Sequence[Ints], people: int, size: int) -> Ints:
    """The matrix of moves; its last row holds the newcomers and its last column the leavers."""
    source, target = np.full(people, size), np.full(people, size)
    source[old], target[new] = labels[0], labels[1]
    return np.bincount(source * (size + 1) + target, minlength=(size + 1) ** 2).reshape(size + 1, size + 1)


def _result(
    backend: _frames.Backend, names: list[str], moves: Ints, ordered: bool, special: _Special, confidence: float, params: dict[str, object]
) -> Transitions[Any]:
    sources, targets = [*names, ENTRY], [*names, EXIT]
    totals = moves.sum(axis=1)
    at_source, at_target = np.nonzero(moves)
    happened, started = moves[at_source, at_target], totals[at_source]
    low, high = rates.wilson(happened, started, confidence)
    long: dict[str, Column] = {
        "source": _output.words(backend, sources, at_source),
        "target": _output.words(backend, targets, at_target),
        "customers": happened,
        "share": happened / started,
        "share_low": low,
        "share_high": high,
    }
    shares = grouping.ratio(moves, totals[:, None])
    rows = _output.words(backend, sources, np.arange(len(sources)))
    tables = {
        "table": _output.build(backend, long),
        "counts": _output.build(backend, {"source": rows, **{name: moves[:, i] for i, name in enumerate(targets)}}),
        "shares": _output.build(backend, {"source": rows, **{name: shares[:, i] for i, name in enumerate(targets)}}),
        "rates": _output.build(backend, _rates(backend, moves, ordered, special, confidence)),
    }
    return Transitions(_tables=tables, params=params, dropped={})


def _special(names: Sequence[str], lapsed: object, top: object, usual: Sequence[str]) -> _Special:
    """The places of the lapsed and of the top labels; nobody need be in a label that the result knows."""
    places: dict[str, list[int]] = {}
    for argument, given in (("lapsed", lapsed), ("top", top)):
        if given is None:
            continue
        wanted = _checks.listed(argument, given)
        for name in wanted:
            if name not in names and name not in usual:
                raise ParameterError(
                    f"{argument} has {name!r}, which is no label here; the labels are {list(names)}.{nearest(name, names)}",
                    code=f"parameter.{argument}",
                )
        places[argument] = sorted({names.index(name) for name in wanted if name in names})
    if both := sorted(set(places.get("lapsed", [])) & set(places.get("top", []))):
        raise ParameterError(f"top and lapsed both have {names[both[0]]!r}; a customer is one or the other.", code="parameter.top")
    if top is not None and lapsed is None:
        raise ParameterError("top was given without lapsed; name the labels of those who have stopped.", code="parameter.top")
    lapsed_at, top_at = (np.array(places[name], dtype=np.int64) if name in places else None for name in ("lapsed", "top"))
    return lapsed_at, top_at


def _rates(backend: _frames.Backend, moves: Ints, ordered: bool, special: _Special, confidence: float) -> dict[str, Column]:
    """How many of those there before went where; "up" is above the diagonal of the ordered labels."""
    inner, everybody = moves[:-1, :-1], int(moves[:-1].sum())
    stayed, gone = int(np.trace(inner)), int(moves[:-1, -1].sum())
    up, down = int(np.triu(inner, 1).sum()), int(np.tril(inner, -1).sum())
    found = {"up": (up, everybody), "down": (down, everybody)} if ordered else {"moved": (up + down, everybody)}
    found |= {"stayed": (stayed, everybody), "gone": (gone, everybody)}
    lapsed, top = special
    if lapsed is not None:
        back = inner[lapsed].sum() - inner[np.ix_(lapsed, lapsed)].sum()
        found["won back"] = int(back), int(moves[lapsed].sum())
    if top is not None and lapsed is not None:
        found["top lost"] = int(inner[np.ix_(top, lapsed)].sum() + moves[top, -1].sum()), int(moves[top].sum())
    customers, of = (np.array(numbers, dtype=np.int64) for numbers in zip(*found.values(), strict=True))
    low, high = rates.wilson(customers, of, confidence)
    direction = _output.words(backend, list(found), np.arange(len(found)))
    return {
        "direction": direction, "customers": customers, "of": of, "rate": grouping.ratio(customers, of), "rate_low": low, "rate_high": high,
    }  # fmt: skip
