"""The two doors to a funnel: a log of events, or counts."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_args, overload

import numpy as np

from opsmetrics import _checks, _frames, _output, _parts
from opsmetrics._frames import Use
from opsmetrics._kernels import grouping, rates, sequences
from opsmetrics._kernels.attempts import Exclusion, Plan
from opsmetrics._marks import Marker
from opsmetrics._results import Held, Later
from opsmetrics.errors import ColumnError, DataError, ParameterError
from opsmetrics.events import Columns, EventLog, check, demand_known, kinds_of, latest, opened, read
from opsmetrics.funnels import facts, tables
from opsmetrics.funnels.facts import Paths, Rules
from opsmetrics.funnels.results import Asked, Funnel, customers_later
from opsmetrics.funnels.steps import Excluded, StepLike, Steps, understand, understand_exclusions

if TYPE_CHECKING:
    import pandas as pd

FrameT = TypeVar("FrameT")

Gaps: TypeAlias = str | dt.timedelta | Sequence[str | dt.timedelta | None]
"""One span for all gaps, or one for each."""

Moment: TypeAlias = str | dt.date | dt.datetime | np.datetime64
"""A day or an instant."""

Order = Literal["ordered", "strict", "any"]
Ties = Literal["favorable", "strict"]
Entry = Literal["best", "first", "latest"]
Count = Literal["unique", "totals"]
Rule = Literal["end", "remove"]

_FIXED = frozenset({"level", "immature"})
"""Columns of the table of customers whatever the steps."""


@overload
def funnel(
    events: EventLog[FrameT], steps: Sequence[StepLike], *, customer: None = ..., event: None = ..., time: None = ...,
    window: int | str | dt.timedelta | None = ..., step_window: Gaps | None = ..., min_gap: Gaps | None = ..., order: Order = ...,
    ties: Ties = ..., entry: Entry = ..., count: Count = ..., exclude: StepLike | Sequence[StepLike] | None = ..., exclusion: Rule = ...,
    hold: Sequence[str] | None = ..., entries_between: tuple[Moment | None, Moment | None] | None = ..., amount: str | None = ...,
    tz: str | None = ..., confidence: float = ..., allow_missing: bool = ...,
) -> Funnel[FrameT]: ...  # fmt: skip
@overload
def funnel(
    events: FrameT, steps: Sequence[StepLike], *, customer: str, event: str | None = ..., time: str,
    window: int | str | dt.timedelta | None = ..., step_window: Gaps | None = ..., min_gap: Gaps | None = ..., order: Order = ...,
    ties: Ties = ..., entry: Entry = ..., count: Count = ..., exclude: StepLike | Sequence[StepLike] | None = ..., exclusion: Rule = ...,
    hold: Sequence[str] | None = ..., entries_between: tuple[Moment | None, Moment | None] | None = ..., amount: str | None = ...,
    tz: str | None = ..., confidence: float = ..., allow_missing: bool = ...,
) -> Funnel[FrameT]: ...  # fmt: skip
def funnel(
    events: Any, steps: Sequence[StepLike], *, customer: str | None = None, event: str | None = None, time: str | None = None,
    window: int | str | dt.timedelta | None = None, step_window: Gaps | None = None, min_gap: Gaps | None = None, order: Order = "ordered",
    ties: Ties = "favorable", entry: Entry = "best", count: Count = "unique", exclude: StepLike | Sequence[StepLike] | None = None,
    exclusion: Rule = "end",
    hold: Sequence[str] | None = None, entries_between: tuple[Moment | None, Moment | None] | None = None, amount: str | None = None,
    tz: str | None = None, confidence: float = 0.95, allow_missing: bool = False,
) -> Funnel[Any]:  # fmt: skip
    """How many customers take the steps of a funnel, one after the other (also known as: 漏斗转化分析).

    Rows are read in the order of customer, time, lowest step that the row matches, and place in the input. Every row that matches the first
    step opens an attempt; each next step takes the first later row that matches it, inside the window. A row fills at most one step of an
    attempt. One row per customer is kept, with the row and the time of every step, and all else is derived from it.

    Parameters
    ----------
    events : frame or EventLog
        One row per event: pandas, polars (eager or lazy), pyarrow, or a DuckDB relation (the last two lazy kinds are streamed); or a
        log from `prepare_events`, which knows its columns.
    steps : list
        Two steps or more: an event, a list of events (any of them), ``{"event": ..., "where": {column: value}}``, the name of a boolean
        column, or a `Step` with a label or ``optional=True``.
    customer, event, time : str, optional
        Columns of the customer (whole numbers or text), the event (text or whole numbers; not needed where all steps are boolean columns)
        and the time (dates or timestamps). A prepared log knows them.
    window : int, str or timedelta, optional
        How long after its entry an attempt may take steps, inclusive: "7D", "30min", or a number of days. Elapsed time: clock changes do
        not matter.
    step_window, min_gap : str, timedelta or sequence, optional
        The longest and the shortest time between a step and the required step before it; a list has one span (or None) for each step after
        the first. With them any valid chain of rows counts, not only that of the first rows.
    order : {"ordered", "strict", "any"}
        Other events may lie between the steps; no other event may (a repetition of the current step may); the steps in any order, and a
        level means that at least so many of them were taken.
    ties : {"favorable", "strict"}
        Whether a step may have the time of the step before it.
    entry : {"best", "first", "latest"}
        Which attempt speaks for a customer: the deepest, the earliest of these; the first one only; the deepest, that which was completed
        first and of these entered last (the shortest time to convert).
    count : {"unique", "totals"}
        Count customers once, or attempts that do not overlap.
    exclude : step or sequence of steps, optional
        Events that must not lie between two steps, written like steps; a mapping may have "after" and "before" to name between which.
    exclusion : {"end", "remove"}
        An excluded event ends the attempt, so that earlier steps still count; or it removes the customer from every step.
    hold : sequence of str, optional
        Columns held constant: the steps must be about the same product, the same session. They become part of the key, so that pairs of
        customer and value are counted.
    entries_between : tuple, optional
        The first and the last moment of entries (days are whole, either may be None); later steps may come after it.
    amount : str, optional
        Column of money, summed over the rows that fill each step.
    tz : str, optional
        The shop's time zone, whose calendar counts days for `entries_between` and `Funnel.trend`.
    confidence : float
        Of the intervals, between 0 and 1.
    allow_missing : bool
        Whether an event of a step may be absent from the log. A typo looks like a step that nobody takes.

    Returns
    -------
    Funnel
        ``.table`` has one row per step: counts, fractions, and times in seconds; money is in the unit of `amount`. Rows without a
        customer, a time or a value held constant are left out and counted in ``.dropped``.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows; times beyond the calendar; infinite money.
    ParameterError
        An argument outside its rule; an event that never occurs, with the nearest that does.

    References
    ----------
    Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference, JASA 22, 209-212. For attempts, and where
    something is held constant, customers are clusters: Cochran, W. G. (1977), Sampling Techniques, 3rd ed., 6.3.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> log = pd.DataFrame({
    ...     "uid": ["ann", "ann", "ann", "bo", "bo"],
    ...     "what": ["view", "cart", "pay", "view", "pay"],
    ...     "at": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:05", "2026-01-02 10:00", "2026-01-01 11:00", "2026-01-09 11:00"]),
    ... })
    >>> steps = ["view", om.Step("cart", optional=True), "pay"]
    >>> found = om.funnel(log, steps, customer="uid", event="what", time="at", window="7D")
    >>> found.table[["step", "customers", "conversion", "median_step_seconds"]]
       step  customers  conversion  median_step_seconds
    0  view          2         1.0                  NaN
    1  cart          1         0.5                300.0
    2   pay          1         0.5              86100.0
    """
    for name, value, allowed in (
        ("order", order, Order), ("ties", ties, Ties), ("entry", entry, Entry), ("count", count, Count), ("exclusion", exclusion, Rule),
    ):  # fmt: skip
        _checks.choice(name, value, get_args(allowed))
    level = _checks.fraction("confidence", confidence)
    columns = Columns(customer, event, time).resolved(events)
    log = opened(events)
    kinds = kinds_of(log)
    wanted = understand(steps, columns.event, kinds)
    excluded = understand_exclusions(exclude, wanted, columns.event, kinds)
    _demand_consistent(wanted, excluded, order, ties, entry, count, exclusion, (step_window, min_gap))
    held = tuple(_held(hold, columns, len(wanted.labels), kinds))
    uses = [Use("customer", str(columns.customer), "key"), Use("time", str(columns.time), "time"), *held]
    uses += [] if amount is None else [Use("amount", amount, "number")]
    marker = Marker(columns.event, (*wanted.patterns, *excluded.patterns), every=order == "strict")
    check(log, [*uses, *([] if columns.event is None else [Use("event", columns.event, "key")])])
    source = read(log, uses, marker, tz)
    clock = source.clock
    span, gaps = (
        _checks.duration("window", window, days=True),
        [_gaps(name, given, wanted) for name, given in (("step_window", step_window), ("min_gap", min_gap))],
    )
    _demand_possible(gaps[0], gaps[1])
    begin, end = clock.between("entries_between", entries_between)
    plan = Plan(
        size=len(wanted.labels), required=wanted.required, order=order, strict_ties=ties == "strict",
        window=None if span is None else min(clock.whole_ticks(span), sequences.LARGEST),
        step_window=tuple(None if gap is None else clock.whole_ticks(gap) for gap in gaps[0]),
        min_gap=tuple(None if gap is None else -clock.whole_ticks(-gap) for gap in gaps[1]),
        exclusions=tuple(Exclusion(len(wanted.labels) + place, *ends) for place, ends in enumerate(excluded.spans)),
        entry=entry, removes=exclusion == "remove" and bool(excluded.patterns), totals=count == "totals", begin=begin, end=end,
    )  # fmt: skip
    rules = Rules(plan, clock, held, None if amount is None else "amount")
    paths = facts.merge(_parts.fold(source, functools.partial(facts.partial, rules=rules)), plan.size, held, None)
    if not allow_missing:
        for argument, patterns in (("steps", wanted.patterns), ("exclude", excluded.patterns)):
            demand_known(argument, patterns, paths.seen, log, columns.event, "Pass allow_missing=True if it may be absent.")
    _demand_finite(paths, amount)
    labels = tuple(f"at least {k} of {plan.size}" for k in range(1, plan.size + 1)) if order == "any" else wanted.labels
    reading = tables.Reading(labels, wanted, clock, level, "attempts" if plan.totals else "customers", clustered=plan.totals or bool(held))
    asked = Asked(Held("log", log), tuple(uses), columns, marker, rules, reading, source.backend, latest(log, uses[1]), tz)
    table = _output.build(source.backend, {"step": _output.series(source.backend, labels, _frames.TEXT), **tables.measures(paths, reading)})
    params: dict[str, object] = {
        "columns": {use.argument: use.column for use in uses} | {"event": columns.event}, "steps": list(wanted.labels),
        "window": None if span is None else _checks.spoken(span),
        "step_window": _spoken(gaps[0]), "min_gap": _spoken(gaps[1]), "order": order, "ties": ties, "entry": None if plan.totals else entry,
        "count": count, "exclude": list(excluded.labels) or None, "exclusion": exclusion if excluded.labels else None,
        "hold": [use.column for use in held] or None,
        "entries_between": None if entries_between is None else [str(end) for end in entries_between],
        "tz": clock.local, "confidence": level, "immature": int(asked.immature(paths).sum()), "removed": paths.removed,
    }  # fmt: skip
    later = {"customers": Later(customers_later(asked, paths, tables.customers_frame))}
    return Funnel(_tables={"table": table, **later}, params=params, dropped=dict(paths.dropped or {}), _paths=paths, _asked=asked)


def funnel_from_counts(counts: Mapping[str, int] | Sequence[tuple[str, int]], *, confidence: float = 0.95) -> Funnel[pd.DataFrame]:
    """A funnel from numbers that are counted already, in SQL or elsewhere (also known as: 由计数构建漏斗).

    Parameters
    ----------
    counts : mapping or list of pairs
        The steps in order, and how many took each: reach, so that no number is larger than the one before.
    confidence : float
        Of the intervals, between 0 and 1.

    Returns
    -------
    Funnel
        ``.table`` with counts, rates and intervals, in pandas. Times and questions about the log are not known.

    Raises
    ------
    ParameterError
        Fewer than two steps; counts that are no whole numbers or that grow along the funnel.

    References
    ----------
    Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference, JASA 22, 209-212.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.funnel_from_counts({"view": 1000, "cart": 250, "pay": 100}).table[["step", "customers", "conversion", "dropped"]]
       step  customers  conversion  dropped
    0  view       1000        1.00        0
    1  cart        250        0.25      750
    2   pay        100        0.10      150
    """
    level = _checks.fraction("confidence", confidence)
    pairs = list(counts.items()) if isinstance(counts, Mapping) else counts
    if not isinstance(pairs, (list, tuple)) or not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise ParameterError(f"counts={counts!r} must be a mapping of steps to numbers, or a list of such pairs.", code="parameter.counts")
    if len(pairs) < 2:
        raise ParameterError(f"counts={counts!r} has {len(pairs)} step; name two or more.", code="parameter.counts")
    names = tuple(str(name) for name, _ in pairs)
    taken = np.array([_checks.whole_number("counts", number, 0, 2**53) for _, number in pairs], dtype=np.int64)
    if (grown := np.flatnonzero(np.diff(taken) > 0)).size:
        place = int(grown[0])
        raise ParameterError(
            f"counts grow from {names[place]!r} ({taken[place]:,}) to {names[place + 1]!r} ({taken[place + 1]:,}); a funnel counts "
            f"those who took "
            "this step and all before it.",
            code="parameter.counts",
        )
    before = np.concatenate((taken[:1], taken[:-1]))
    low, high = rates.wilson(taken, taken[0], level)
    backend = _output.backend("pandas")
    if taken[0]:
        low[0] = high[0] = 1.0  # whoever enters has entered
    unknown = np.full(len(taken), np.nan)
    table = _output.build(
        backend,
        {
            "step": _output.series(backend, names, _frames.TEXT), "customers": taken, "conversion": grouping.ratio(taken, taken[0]),
            "conversion_low": low, "conversion_high": high, "step_conversion": grouping.ratio(taken, before),
            "dropped": before - taken, "tied": np.zeros(len(taken), dtype=np.int64), "median_step_seconds": unknown,
            "p90_step_seconds": unknown.copy(), "median_seconds": unknown.copy(), "p90_seconds": unknown.copy(),
        },
    )  # fmt: skip
    return Funnel(_tables={"table": table}, params={"steps": list(names), "confidence": level}, dropped={}, _paths=None, _asked=None)


# ------------------------------------------------------------------------------------------------------------ arguments


def _demand_consistent(
    wanted: Steps, excluded: Excluded, order: str, ties: str, entry: str, count: str, exclusion: str, gaps: tuple[object, object]
) -> None:
    """Arguments that contradict each other."""
    if order == "any":
        whole = (0, len(wanted.required) - 1)
        faults = {
            "ties": (ties == "strict", "equal times have no order to decide"),
            "step_window": (gaps[0] is not None, "there is no step before"),
            "min_gap": (gaps[1] is not None, "there is no step before"),
            "steps": (any(wanted.optional), "a level is any so many of the steps, so none is optional"),
            "exclude": (any(span != whole for span in excluded.spans), "there is no step to be after or before"),
        }
        for argument, (wrong, reason) in faults.items():
            if wrong:
                raise ParameterError(
                    f"{argument} and order='any' were both given, but in any order {reason}; leave one out.", code=f"parameter.{argument}"
                )
    if count == "totals" and entry != "best":
        raise ParameterError(
            f"entry={entry!r} and count='totals' were both given, but totals count every attempt; leave entry out.", code="parameter.entry"
        )
    if count == "totals" and exclusion == "remove":
        raise ParameterError(
            "exclusion='remove' and count='totals' were both given, but it removes customers and totals count attempts; use "
            "exclusion='end'.",
            code="parameter.exclusion",
        )


def _held(hold: object, columns: Columns, size: int, kinds: Mapping[str, str]) -> list[Use]:
    """The columns held constant, which the table of customers shows."""
    names = [] if hold is None else [hold] if isinstance(hold, str) else _checks.listed("hold", hold)
    taken = _FIXED | {f"{word}_{number}" for number in range(1, size + 1) for word in ("time", "row")}
    for name in names:
        if not isinstance(name, str):
            raise ColumnError(f"hold has {name!r}, which is no name of a column; a name is a text.", code="column.name")
        _checks.free("hold", name, taken)
        if name == columns.event:
            raise ColumnError(
                f"hold={name!r} is the column of events, which cannot be constant along steps; choose another.", code="column.repeated"
            )
    _checks.free("customer", str(columns.customer), taken)
    return [Use(f"hold {name}" if name in kinds else "hold", name, "label") for name in names]


def _gaps(argument: str, given: object, wanted: Steps) -> tuple[int | None, ...]:
    """One span for each gap between required steps."""
    if not isinstance(given, (list, tuple)):
        return (_checks.duration(argument, given),) * (len(wanted.required) - 1)
    if len(given) != len(wanted.labels) - 1:
        raise ParameterError(
            f"{argument} has {len(given)} spans for {len(wanted.labels)} steps; give one span, or one for each of the "
            f"{len(wanted.labels) - 1} steps after "
            "the first (None where it is free).",
            code=f"parameter.{argument}",
        )
    for label, optional, span in zip(wanted.labels[1:], wanted.optional[1:], given, strict=True):
        if optional and span is not None:
            raise ParameterError(
                f"{argument} bounds {label!r}, which is optional; gaps lie between required steps.", code=f"parameter.{argument}"
            )
    return tuple(_checks.duration(argument, given[step - 1]) for step in wanted.required[1:])


def _demand_possible(longest: tuple[int | None, ...], shortest: tuple[int | None, ...]) -> None:
    """Gaps that something can lie within."""
    for most, least in zip(longest, shortest, strict=True):
        if most is not None and least is not None and most < least:
            raise ParameterError(
                f"min_gap={_checks.spoken(least)!r} is longer than step_window={_checks.spoken(most)!r}, so no step could follow; "
                f"swap the two.",
                code="parameter.min_gap",
            )


def _spoken(gaps: tuple[int | None, ...]) -> str | list[str] | None:
    """Gaps as they would be written; None where all are free."""
    words = ["free" if gap is None else _checks.spoken(gap) for gap in gaps]
    if all(gap is None for gap in gaps):
        return None
    return words[0] if len(set(words)) == 1 else words


def _demand_finite(paths: Paths, amount: str | None) -> None:
    if paths.amount is not None and (bad := float(np.nanmax(np.abs(paths.amount), initial=0.0))) >= grouping.LARGEST:
        raise DataError(
            f"amount={amount!r} reaches {bad:g}; amounts must be finite. Remove the infinite ones or use a larger unit.", code="data.amount"
        )
