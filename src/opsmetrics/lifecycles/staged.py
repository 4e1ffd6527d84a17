"""Customers in their stages: how many, who could be in several, what each stage does, and who moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from opsmetrics import _checks, _frames, _output, _render
from opsmetrics._frames import Column, Ints, Use
from opsmetrics._kernels import grouping
from opsmetrics._patterns import Of
from opsmetrics._results import SHOWN_LABELS, Later, Result, Table, dropped_notes, shown
from opsmetrics.activity import Moment
from opsmetrics.errors import ParameterError
from opsmetrics.lifecycles import kpis as populations
from opsmetrics.lifecycles.conditions import Bools

if TYPE_CHECKING:
    from opsmetrics.customers import CustomerSummary

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

AS_OF: Final = "as_of"
STAGE: Final = "stage"
ALSO: Final = "also"


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Staged(Result[FrameT_co]):
    """Customers with their stage, as `Stages.assign` returns them.

    Attributes
    ----------
    table : frame
        The summary with the column ``stage``.
    stages : frame
        One row per stage, in order: ``stage``, ``customers``, ``customer_share``, ``matched`` (customers whom its rules hold) and ``taken``
        (of these, those whom an earlier stage took).
    overlaps : frame
        How many hold the rules of more stages than theirs: ``stage``, ``also`` (a later stage whose rules hold them), ``customers``.
    overlapping : frame
        Who they are: the customer column (``row``, the place in the summary from 0, where no customer is known), ``stage``, ``also``.
    customer : str or None
        The column of the customer, where the summary knows it.
    label : str
        The column of the label, "stage".
    segment_names : tuple of str
        The stages in order.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> stages = om.Stages([om.Stage("silent", {"recency": (90, None)}), om.Stage("one order", {"orders": 1})], default="more")
    >>> summary = pd.DataFrame({"uid": [1, 2, 3], "recency": [3, 200, 20], "orders": [1, 1, 4]})
    >>> stages.assign(summary).overlaps.to_numpy().tolist()
    [['silent', 'one order', 1]]
    """

    customer: str | None
    label: str
    segment_names: tuple[str, ...]

    stages = Table()
    overlaps = Table()
    overlapping = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["stages"], SHOWN_LABELS)
        total, several = _output.height(self._tables["table"]), _output.height(self._tables["overlaps"])
        notes = ["customers with their stage: .table"]
        notes += ["customers who hold the rules of several stages: .overlaps, .overlapping"] if several else []
        notes += [
            f"{stage!r} holds {matched:,} customers, all of whom earlier stages take"
            for stage, n, _, matched, _ in rows
            if matched and not n
        ]
        return _render.View(
            title=f"Stages: {total:,} customers",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            bars=("customer_share",),
            total_rows=_output.height(self._tables["stages"]),
            notes=[*notes, *dropped_notes(self.dropped)],
        )

    def kpis(
        self,
        data: object,
        rules: Mapping[str, Of],
        *,
        customer: str,
        event: str | None = None,
        time: str | None = None,
        between: tuple[Moment | None, Moment | None] | None = None,
        by: str | None = None,
        tz: str | None = None,
        confidence: float = 0.95,
    ) -> StageKPIs[FrameT_co]:
        """What share of each stage did something: each stage has its own goals and rates (also known as: 分层 KPI, 人群行为率).

        Parameters
        ----------
        data : frame
            One row per event or order, in a frame of the same kind as the summary.
        rules : mapping of str to str, int, list or mapping
            The name of each rate, and the rows that count, as a funnel's step is written: an event, a list of events, ``{"event": ...,
            "where": {column: value}}``, or the name of a boolean column.
        customer : str
            The column of the customer in `data`. Rows of customers who are in no stage are left out.
        event : str, optional
            The column of the event, where the rules name events.
        time : str, optional
            The column of the time; needed for `between`.
        between : pair, optional
            Only rows from the first moment to the second, both included; either may be None. A warning says so where the data ends before.
        by : str, optional
            A column of the staged table: groups nested in each stage.
        tz : str, optional
            The shop's time zone, for `between`.
        confidence : float
            Of the Wilson intervals, between 0 and 1.

        Returns
        -------
        StageKPIs
            For each stage (and group), and each rate: the customers of the stage, the customers who did it, and their share as a fraction.

        Raises
        ------
        ColumnError
            A missing column.
        ParameterError
            A rule that is not understood, an event that never occurs; a summary that does not know its customers.

        References
        ----------
        Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference, JASA 22, 209-212.

        Examples
        --------
        >>> import opsmetrics as om
        >>> events = om.make_events(100, rng=1)
        >>> pays = events[events["event"] == "pay"]
        >>> summary = om.customer_summary(pays, customer="customer", time="time", amount="amount", as_of="2025-03-01")
        >>> staged = om.Stages([om.Stage("one", {"orders": 1})], default="more").assign(summary)
        >>> rates = staged.kpis(events, {"asks for help": "help"}, customer="customer", event="event", time="time",
        ...                     between=("2025-03-02", None))
        >>> rates.table["stage"].tolist()
        ['one', 'more']
        """
        level = _checks.fraction("confidence", confidence)
        if self.customer is None:
            raise ParameterError(
                "customer=None: the staged table does not know its customers; name their column in assign(summary, customer=...).",
                code="parameter.customer",
            )
        frame = _frames.in_memory(self._tables["table"])
        uses = [Use("customer", self.customer, "key"), *([] if by is None else [Use("by", by, "label")])]
        _frames.check(frame, uses)
        reached, dropped, names = populations.reached(
            data, rules, frame[self.customer], customer=customer, event=event, time=time, between=between, tz=tz
        )
        stage = _frames.positions_among(frame[STAGE], self.segment_names).astype(np.int64)
        groups = None if by is None else (by, *_frames.encode(frame[by], uses[1]))
        table = populations.kpi_table(frame.implementation, self.segment_names, stage, groups, reached, names, level)
        params: dict[str, object] = {
            "columns": {"customer": customer, "event": event, "time": time}, "rules": names, "by": by,
            "between": None if between is None else [None if end is None else str(end) for end in between], "tz": tz,
            "confidence": level,
        }  # fmt: skip
        return StageKPIs(_tables={"table": table}, params=params, dropped=dict(dropped))


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class StageKPIs(Result[FrameT_co]):
    """Rates with a stage as their population, as `Staged.kpis` returns them.

    Attributes
    ----------
    table : frame
        ``stage``, the column of nested groups where one was named, ``kpi``, ``customers`` of the stage, ``reached`` (customers who did
        it), ``rate`` with its interval ``rate_low`` and ``rate_high``.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> orders = om.make_orders(customers=100, rng=1)
    >>> summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2025-06-30")
    >>> staged = om.Stages([om.Stage("one", {"orders": 1})], default="more").assign(summary)
    >>> later = orders.assign(big=orders["amount"] > 50)
    >>> rates = staged.kpis(later, {"big order": "big"}, customer="customer", time="time", between=("2025-07-01", None))
    >>> rates.table[["stage", "kpi"]].to_numpy().tolist()
    [['one', 'big order'], ['more', 'big order']]
    """

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN_LABELS)
        total = _output.height(self._tables["table"])
        return _render.View(
            title=f"Rates by stage: {total:,}",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            bars=("rate",),
            total_rows=total,
            notes=dropped_notes(self.dropped),
        )


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class StageHistory(Result[FrameT_co]):
    """The stage of each customer at several dates, as `Stages.assign_at` returns it.

    Attributes
    ----------
    table : frame
        ``as_of`` (the date as it was given), the customer column and ``stage``: one row for each date and customer who had bought by then.
    counts : frame
        ``as_of``, ``stage``, ``customers``, ``customer_share``.
    moves : frame
        From each date to the next: ``before``, ``after``, ``source`` ("(new)" for those who had not bought before), ``target``,
        ``customers``.
    customer : str
        The column of the customer.

    Examples
    --------
    >>> import opsmetrics as om
    >>> stages = om.Stages([om.Stage("silent", {"recency": (91, None)})], default="active")
    >>> found = stages.assign_at(om.make_orders(customers=200, rng=1), ["2025-06-30", "2025-12-31"],
    ...                          customer="customer", time="time", amount="amount")
    >>> found.moves[["source", "target", "customers"]].to_numpy().tolist()[0]
    ['silent', 'silent', 41]
    """

    customer: str

    counts = Table()
    moves = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["counts"], SHOWN_LABELS)
        return _render.View(
            title="Stages over time",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            bars=("customer_share",),
            total_rows=_output.height(self._tables["counts"]),
            notes=["moves between the dates: .moves; the stage of each customer: .table", *dropped_notes(self.dropped)],
        )


NEW: Final = "(new)"


def staged(names: Sequence[str], frame: _frames.Eager, place: Ints, held: Bools, summary: object, customer: str | None) -> Staged[Any]:
    """The result of putting customers in stages."""
    backend = frame.implementation
    winners = np.bincount(place, minlength=len(names))
    own = np.arange(len(held))[:, None]
    taken = held & (place[None, :] < own)
    matched, lost = np.zeros(len(names), dtype=np.int64), np.zeros(len(names), dtype=np.int64)
    matched[: len(held)], lost[: len(held)] = held.sum(axis=1), taken.sum(axis=1)
    matched[len(held) :] = winners[len(held) :]
    also = np.array([np.bincount(place[row], minlength=len(names)) for row in taken], dtype=np.int64)
    later, first = np.nonzero(also)
    order = np.lexsort((later, first))
    later, first = later[order], first[order]
    rows = np.arange(len(names))
    tables = {
        "table": _output.append(frame, {STAGE: _output.words(backend, names, place)}),
        "stages": _output.build(
            backend,
            {
                STAGE: _output.words(backend, names, rows),
                "customers": winners,
                "customer_share": grouping.ratio(winners, len(place)),
                "matched": matched,
                "taken": lost,
            },
        ),
        "overlaps": _output.build(
            backend,
            {STAGE: _output.words(backend, names, first), ALSO: _output.words(backend, names, later), "customers": also[later, first]},
        ),
        "overlapping": Later(lambda: _overlapping(names, frame, place, taken, customer)),
    }
    base = summary if isinstance(summary, Result) else None
    params = {} if base is None else dict(base.params)
    return Staged(
        _tables=tables,
        params=params | {"stages": list(names)},
        dropped={} if base is None else dict(base.dropped),
        customer=customer,
        label=STAGE,
        segment_names=tuple(names),
    )


def _overlapping(names: Sequence[str], frame: _frames.Eager, place: Ints, taken: Bools, customer: str | None) -> Any:
    """Who holds the rules of more stages than his own: by customer, then by stage."""
    person, also = np.nonzero(taken.T)
    who: dict[str, Column] = {"row": person} if customer is None else {customer: _frames.take(frame[customer], person)}
    return _output.build(
        frame.implementation,
        who | {STAGE: _output.words(frame.implementation, names, place[person]), ALSO: _output.words(frame.implementation, names, also)},
    )


def history(names: Sequence[str], summaries: Sequence[CustomerSummary[Any]], places: Sequence[Ints], customer: str) -> StageHistory[Any]:
    """The result of putting customers in stages at several dates."""
    frames = [_frames.in_memory(summary.table) for summary in summaries]
    backend = frames[0].implementation
    dates = [str(summary.params["as_of"]) for summary in summaries]
    counts = np.array([np.bincount(place, minlength=len(names)) for place in places], dtype=np.int64)
    at, stage = np.divmod(np.arange(counts.size), len(names))
    tables: dict[str, Any] = {
        "table": Later(lambda: _long(frames, places, names, dates, customer)),
        "counts": _output.build(
            backend,
            {
                AS_OF: _output.words(backend, dates, at),
                STAGE: _output.words(backend, names, stage),
                "customers": counts.ravel(),
                "customer_share": grouping.ratio(counts, counts.sum(axis=1, keepdims=True)).ravel(),
            },
        ),
        "moves": _output.build(backend, _moves([frame[customer] for frame in frames], places, names, dates, customer)),
    }
    last = summaries[-1]
    params = {name: value for name, value in last.params.items() if name not in {"as_of", "window", "frequency", "monetary", "refund_only"}}
    return StageHistory(
        _tables=tables, params=params | {"dates": dates, "stages": list(names)}, dropped=dict(last.dropped), customer=customer
    )


def _long(frames: Sequence[_frames.Eager], places: Sequence[Ints], names: Sequence[str], dates: Sequence[str], customer: str) -> Any:
    """One row per date and customer."""
    backend = frames[0].implementation
    return _output.build(
        backend,
        {
            AS_OF: _output.words(backend, dates, np.repeat(np.arange(len(dates)), [len(place) for place in places])),
            customer: _frames.concat([frame[customer] for frame in frames]),
            STAGE: _output.words(backend, names, np.concatenate(places)),
        },
    )


def _moves(
    people: Sequence[_frames.Values], places: Sequence[Ints], names: Sequence[str], dates: Sequence[str], customer: str
) -> dict[str, Column]:
    """Who moved from each date to the next; whoever has bought by a date has bought by the next one."""
    sources, rows = [*names, NEW], []
    for number in range(len(dates) - 1):
        (old, new), everybody = _frames.encode_together([people[number], people[number + 1]], Use("customer", customer, "key"))
        source = np.full(len(everybody), len(names))
        source[old] = places[number]
        moved = np.bincount(source[new] * len(names) + places[number + 1], minlength=len(sources) * len(names))
        rows += [(number, *divmod(int(pair), len(names)), int(moved[pair])) for pair in np.flatnonzero(moved)]
    backend = people[0].implementation
    before, source_of, target, count = (
        (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)) if rows else np.zeros((4, 0), np.int64)
    )
    return {
        "before": _output.words(backend, dates, before),
        "after": _output.words(backend, dates, before + 1),
        "source": _output.words(backend, sources, source_of),
        "target": _output.words(backend, names, target),
        "customers": count,
    }
