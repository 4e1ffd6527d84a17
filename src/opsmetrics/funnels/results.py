"""The funnel: its table, its customers, and the questions it answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial as bind
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _output, _parts, _render, events
from opsmetrics._frames import Backend, Use
from opsmetrics._kernels import periods
from opsmetrics._marks import Marker
from opsmetrics._results import Held, Result, Table, dropped_notes, shown
from opsmetrics.errors import ParameterError
from opsmetrics.funnels import answers, facts
from opsmetrics.funnels.answers import ConversionCurve, FunnelBreakdown, FunnelComparison, NextEvents, StepTimes
from opsmetrics.funnels.facts import Carry, Paths, Rules
from opsmetrics.funnels.tables import Reading

FrameT_co = TypeVar("FrameT_co", covariant=True)

Denominator = Literal["entries", "previous"]
Period = Literal["week", "day", "month", "quarter", "year"]

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
_HIDDEN = ("conversion_low", "conversion_high", "tied", "p90_step_seconds")


@dataclass(frozen=True, slots=True)
class Asked:
    """A log and what was asked of it, so that it can be asked again."""

    log: Held
    uses: tuple[Use, ...]
    columns: events.Columns
    marker: Marker
    rules: Rules
    reading: Reading
    backend: Backend
    end: int
    tz: str | None

    def again(self, carry: Carry, use: Use | None = None, *, every: bool = False) -> Paths:
        """The paths, each with one more value: that of a column, where it is used, or of the period of entry."""
        uses = (*self.uses, *([] if use is None or use in self.uses else [use]))
        source = events.read(self.log.frame, uses, replace(self.marker, every=self.marker.every or every), self.tz)
        rules = replace(self.rules, carry=carry)
        found = _parts.fold(source, bind(facts.partial, rules=rules))
        return facts.merge(found, len(self.reading.labels), rules.hold, use)

    def immature(self, paths: Paths) -> npt.NDArray[np.bool_]:
        """Paths that have not converted and whose window was still open when the data ended."""
        if self.rules.plan.window is None:
            return np.zeros(len(paths), dtype=np.bool_)
        return np.asarray(~paths.taken[self.reading.steps.required[-1]] & (paths.limit > self.end))


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Funnel(Result[FrameT_co]):
    """How many customers took the steps, as `funnel` returns it (also known as: 漏斗转化).

    Attributes
    ----------
    table : frame
        One row per step: ``step``, ``customers`` who took it (``attempts`` where these are counted), ``conversion`` from the first step
        with its interval ``conversion_low`` and ``conversion_high``, ``step_conversion`` from the required step before, ``dropped``
        (those of the step before who did not come), ``tied`` (those at the same time as their step before: the order of equal times
        decided), ``median_step_seconds`` and ``p90_step_seconds`` from the step before, ``median_seconds`` and ``p90_seconds`` from the
        entry, and ``amount`` (the sum over the rows that fill the step) where an amount was named.
    customers : frame
        One row per customer (and value held constant, or attempt): ``level`` (the number of the last step taken), ``immature`` (not
        converted, and the window still open when the data ended), ``time_1``, ``time_2``, ... and, of frames in memory, ``row_1``,
        ``row_2``, ... (places in the input, from 0). Made when it is first asked for.

    Examples
    --------
    >>> import opsmetrics as om
    >>> events = om.make_events(300, rng=1)
    >>> found = om.funnel(events, ["view", "cart", "pay"], customer="customer", event="event", time="time", window="7D")
    >>> found.table["step"].tolist()
    ['view', 'cart', 'pay']
    """

    _paths: Paths | None
    _asked: Asked | None

    customers = Table()

    # ------------------------------------------------------------------------------------------------------ questions

    def by(self, column: str, *, at: str | int = "first") -> FunnelBreakdown[FrameT_co]:
        """The funnel for each value of a column (also known as: 分渠道漏斗).

        A path has one value, so the rows of a step add up to the funnel's.

        Parameters
        ----------
        column : str
            A column of the log: a channel, a device, an experiment's variant. The funnel reads the log again.
        at : str or int
            Where along the path the value is read: at the "first" or the "last" row that has one, or at the row of a step (its label or its
            number from 1; null where the step was not taken).

        Returns
        -------
        FunnelBreakdown
            ``.table`` has the columns of the funnel's, for each value, those with most entries first.

        Raises
        ------
        ColumnError
            A column that is missing or of a type that has no names.
        ParameterError
            A step that the funnel does not have; a funnel of counts alone.

        References
        ----------
        The rule of one value per path is that of first- and last-touch attribution along the path.

        Examples
        --------
        >>> import opsmetrics as om
        >>> events = om.make_events(300, rng=1)
        >>> found = om.funnel(events, ["view", "cart", "pay"], customer="customer", event="event", time="time")
        >>> sorted(set(found.by("channel").table["channel"]))
        ['ads', 'direct', 'search', 'social']
        """
        asked = self._demand_log("by")
        paths = self._valued(asked, column, at)
        return answers.breakdown(
            paths, asked.reading, asked.backend, column, self._told(at=at), periods=False, immature=np.zeros(0, dtype=np.bool_)
        )

    def compare(
        self, column: str, *, baseline: object, at: str | int = "first", denominator: Denominator = "entries"
    ) -> FunnelComparison[FrameT_co]:
        """Values of a column against one of them, at every step after the first (also known as: 漏斗对比).

        Parameters
        ----------
        column : str
            A column of the log.
        baseline : str, int or bool
            The value to compare with.
        at : str or int
            Where along the path the value is read, as in `by`.
        denominator : {"entries", "previous"}
            Rates out of all entries, or out of those who took the required step before. The second compares groups that earlier steps have
            already chosen, so a difference may come from who got there.

        Returns
        -------
        FunnelComparison
            Differences with Newcombe intervals, p-values, and p-values adjusted over all rows. With attempts, or with something held
            constant, customers are clusters: rates count as many trials as they are worth.

        Raises
        ------
        ColumnError
            A column that is missing or of a type that has no names.
        DataError
            No other value to compare.
        ParameterError
            A baseline that does not occur.

        References
        ----------
        Newcombe, R. G. (1998), Interval estimation for the difference between independent proportions, Statistics in Medicine 17, 873-890.
        Holm, S. (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 65-70.

        Examples
        --------
        >>> import opsmetrics as om
        >>> events = om.make_events(300, rng=1)
        >>> found = om.funnel(events, ["view", "cart", "pay"], customer="customer", event="event", time="time")
        >>> found.compare("channel", baseline="search").params["denominator"]
        'entries'
        """
        asked = self._demand_log("compare")
        _checks.choice("denominator", denominator, get_args(Denominator))
        paths = self._valued(asked, column, at)
        return answers.comparison(
            paths, asked.reading, asked.backend, column, baseline, denominator, self._told(at=at, confidence=asked.reading.confidence)
        )

    def times(
        self, start: str | int, end: str | int, *, quantiles: Sequence[float] = LEVELS, edges: Sequence[str | dt.timedelta] | None = None
    ) -> StepTimes[FrameT_co]:
        """How long it took from one step to another, of those who took both (also known as: 转化时长).

        Parameters
        ----------
        start, end : str or int
            Two steps, by label or by number from 1.
        quantiles : sequence of float
            Between 0 and 1.
        edges : sequence of str or timedelta, optional
            The edges of the histogram's bins as spans ("0s", "5min", "1h"); by default those a reader would choose.

        Returns
        -------
        StepTimes
            ``.table`` of quantiles, ``.histogram`` of bins; in seconds.

        Raises
        ------
        ParameterError
            Steps the funnel does not have, or in the wrong order; quantiles outside 0 and 1; edges that do not increase.

        References
        ----------
        Hyndman, R. J. & Fan, Y. (1996), Sample quantiles in statistical packages, The American Statistician 50(4), 361-365 (type 7).

        Examples
        --------
        >>> import opsmetrics as om
        >>> events = om.make_events(300, rng=1)
        >>> found = om.funnel(events, ["view", "cart", "pay"], customer="customer", event="event", time="time")
        >>> found.times("view", "pay").table["quantile"].tolist()
        [0.1, 0.25, 0.5, 0.75, 0.9, 0.99]
        """
        asked, paths = self._demand_log("times"), self._known_paths("times")
        first, last = (asked.reading.steps.number(name, given) for name, given in (("start", start), ("end", end)))
        if first >= last:
            raise ParameterError(
                f"start={start!r} does not come before end={end!r}; times run from an earlier step to a later one.", code="parameter.start"
            )
        levels = [float(_checks.number("quantiles", level)) for level in _checks.listed("quantiles", quantiles)]
        if not levels or min(levels) < 0 or max(levels) > 1:
            raise ParameterError(f"quantiles={quantiles!r} must lie between 0 and 1.", code="parameter.quantiles")
        return answers.times(paths, asked.reading, asked.backend, (first, last), levels, edges)

    def survival(self) -> ConversionCurve[FrameT_co]:
        """The share converted by each time since entry, minding entries that could not be watched to the end (also known as: 生存曲线).

        Entries count as long as they were seen: until they converted, their window closed, or the data ended. With ``entry="best"`` the
        clock starts at the attempt that went deepest; ``entry="first"`` is the honest choice for a curve.

        Returns
        -------
        ConversionCurve
            One less the Kaplan-Meier curve, with its pointwise interval, which clusters by customer where he has several paths.

        Raises
        ------
        ParameterError
            A funnel of counts alone.

        References
        ----------
        Kaplan, E. L. & Meier, P. (1958), Nonparametric estimation from incomplete observations, JASA 53, 457-481.

        Examples
        --------
        >>> import opsmetrics as om
        >>> events = om.make_events(300, rng=1)
        >>> found = om.funnel(events, ["view", "pay"], customer="customer", event="event", time="time", entry="first")
        >>> bool(found.survival().table["conversion"].is_monotonic_increasing)
        True
        """
        asked, paths = self._demand_log("survival"), self._known_paths("survival")
        confidence = asked.reading.confidence
        return answers.curve(paths, asked.reading, asked.backend, asked.end, confidence, self._told(confidence=confidence))

    def trend(self, period: Period = "week") -> FunnelBreakdown[FrameT_co]:
        """The funnel for each period of entry (also known as: 转化趋势).

        In each period a customer counts once, by the best (or first, or latest) of the attempts that began in it; over several periods he
        may count several times.

        Parameters
        ----------
        period : {"week", "day", "month", "quarter", "year"}
            Of the calendar of the funnel's `tz`; weeks begin on Monday.

        Returns
        -------
        FunnelBreakdown
            ``.table`` has ``period`` (its first day), the columns of the funnel's, and ``immature``: entries without a conversion whose
            window was not over when the data ended.

        Raises
        ------
        ParameterError
            An unknown period; a funnel of counts alone.

        References
        ----------
        ISO 8601 (weeks).

        Examples
        --------
        >>> import opsmetrics as om
        >>> events = om.make_events(300, rng=1)
        >>> found = om.funnel(events, ["view", "cart", "pay"], customer="customer", event="event", time="time", window="7D")
        >>> found.trend("month").table["period"].dt.strftime("%Y-%m-%d").unique().tolist()
        ['2025-01-01', '2025-02-01', '2025-03-01']
        """
        asked = self._demand_log("trend")
        _checks.choice("period", period, periods.WORDS)
        paths = asked.again(Carry("period", period))
        return answers.breakdown(
            paths, asked.reading, asked.backend, "period", self._told(period=period, tz=asked.rules.clock.local), periods=True,
            immature=asked.immature(paths),
        )  # fmt: skip

    def next_events(self, after: str | int) -> NextEvents[FrameT_co]:
        """What customers did first after a step, of those who did not take the next one (also known as: 流失去向).

        Parameters
        ----------
        after : str or int
            A step, by label or by number from 1. After the last step: what those who converted did then.

        Returns
        -------
        NextEvents
            One row per event that came first after the step's row, inside the window.

        Raises
        ------
        ParameterError
            A step the funnel does not have; a log without a column of events; steps in any order.

        References
        ----------
        Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference, JASA 22, 209-212 (the intervals).

        Examples
        --------
        >>> import opsmetrics as om
        >>> events = om.make_events(300, rng=1)
        >>> found = om.funnel(events, ["view", "cart", "pay"], customer="customer", event="event", time="time")
        >>> float(found.next_events(after="cart").table["share"].sum().round(6))
        1.0
        """
        asked = self._demand_log("next_events")
        if asked.columns.event is None:
            raise ParameterError(
                "event=None: the funnel names no column of events, so it cannot say which came next.", code="parameter.event"
            )
        if asked.rules.plan.order == "any":
            raise ParameterError(
                "next_events asks what came after a step, but with order='any' a level is no step.", code="parameter.after"
            )
        step = asked.reading.steps.number("after", after)
        paths = asked.again(Carry("next", "event", step), Use("event", asked.columns.event, "label"), every=True)
        return answers.next_events(paths, asked.reading, asked.backend, step, asked.reading.confidence)

    # ------------------------------------------------------------------------------------------------------ the insides

    def _valued(self, asked: Asked, column: str, at: str | int) -> Paths:
        """The paths with their value of a column."""
        word = isinstance(at, str) and at in {"first", "last"} and at not in asked.reading.steps.labels
        place = at if word else asked.reading.steps.number("at", at)
        if asked.rules.plan.order == "any" and isinstance(place, int):
            raise ParameterError(
                f"at={at!r} names a step, but with order='any' a level is no step; use 'first' or 'last'.", code="parameter.at"
            )
        answers.demand_free(column)
        held = next((use for use in asked.rules.hold if use.column == column), None)
        if held is not None:
            return asked.again(Carry("column", held.argument, place), held)
        return asked.again(Carry("column", "column", place), Use("column", column, "label"))

    def _demand_log(self, question: str) -> Asked:
        if self._asked is None:
            raise ParameterError(
                f"{question} needs the events; this funnel was made of counts alone. Make it with om.funnel from the log.",
                code="parameter.counts",
            )
        return self._asked

    def _known_paths(self, question: str) -> Paths:
        if self._paths is None:
            raise ParameterError(f"{question} needs the events; this funnel was made of counts alone.", code="parameter.counts")
        return self._paths

    def _told(self, **more: object) -> dict[str, object]:
        """What an answer should say of the funnel it comes from."""
        kept = {name: self.params[name] for name in ("window", "order", "entry", "count") if self.params.get(name) is not None}
        return kept | {name: value for name, value in more.items() if value is not None}

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"])
        keep = [i for i, name in enumerate(columns) if name not in _HIDDEN and not (self._paths is None and name.endswith("_seconds"))]
        counted = columns[1]
        entered, last = (rows[0][1], rows[-1][1]) if rows else (0, 0)
        share = f", {last / entered:.1%} convert" if isinstance(entered, int) and isinstance(last, int) and entered else ""
        low, high = (rows[-1][columns.index(name)] for name in ("conversion_low", "conversion_high"))
        within = f" [{low:.1%}, {high:.1%}]" if share and isinstance(low, float) and isinstance(high, float) else ""
        return _render.View(
            title=f"Funnel: {entered:,} {self._counted(counted)} enter{share}{within}",
            facts=shown(self.params),
            columns=[columns[i] for i in keep],
            rows=[[row[i] for i in keep] for row in rows],
            bars=("conversion",),
            ids=("step",),
            notes=self._notes([row[columns.index("tied")] for row in rows]),
        )

    def _counted(self, counted: str) -> str:
        """What is counted, in words."""
        held = self.params.get("hold")
        return f"pairs of customer and {', '.join(map(str, held))}" if isinstance(held, list) and counted == "customers" else counted

    def _notes(self, tied: Sequence[object]) -> list[str]:
        """What a reader should know of the numbers."""
        immature, removed = self.params.get("immature", 0), self.params.get("removed", 0)
        ties = sum(count for count in tied if isinstance(count, int))
        return [
            *([f"{immature:,} have not converted but their window was still open at the end of the data"] if immature else []),
            *([f"{ties:,} tied with the step before: equal times are read in the funnel's favour"] if ties else []),
            *([f"{removed:,} were removed by an exclusion"] if removed else []),
            *dropped_notes(self.dropped),
        ]


def customers_later(asked: Asked, paths: Paths, make: Callable[..., Any]) -> Callable[[], Any]:
    """The table of customers, made when asked for."""
    return lambda: make(paths, asked.reading, asked.backend, asked.uses[0], asked.rules.hold, asked.immature(paths))
