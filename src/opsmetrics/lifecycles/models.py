"""The five stages of the life cycle, with limits that are fitted to how a shop's own customers come back."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial as bind
from typing import Any, Final, Literal, TypeVar, overload

import numpy as np

from opsmetrics import _checks, _frames, _lines, _output, _parts, _render, activity
from opsmetrics._frames import Column, Floats, Ints, Use
from opsmetrics._kernels import survival
from opsmetrics._kernels.survival import Returning
from opsmetrics._results import SHOWN_LABELS, Result, Table, dropped_notes, shown
from opsmetrics.activity import Log, Tally
from opsmetrics.errors import ParameterError, warn
from opsmetrics.lifecycles.conditions import Given
from opsmetrics.lifecycles.staged import Staged
from opsmetrics.lifecycles.stages import Stage, Stages

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

LEAST: Final = 30
"""Fewer gaps than these, watched to the end of the horizon, say too little."""

_NAMES = {
    "en": ("churned", "dormant", "introduction", "growth", "maturity"),
    "zh": ("流失", "休眠", "引入", "成长", "成熟"),
}
"""From the lowest to the highest, which is also the order in which they are tried."""

_BANDS = 3


@dataclass(frozen=True, kw_only=True)
class StageModel:
    """The five stages of the life cycle before they are fitted (also known as: 引入期/成长期/成熟期/休眠期/流失期).

    Introduction, growth and maturity are bands of orders; whoever has been silent too long is dormant or churned instead. How long is too
    long differs between the bands, and `fit` reads it off the shop's own orders: a customer is dormant when the chance that he returns
    within the horizon falls below one level, and churned when it falls below another.

    Parameters
    ----------
    labels : str or mapping
        The language of the names, "en" or "zh", or a name for each English one.

    Raises
    ------
    ParameterError
        Unknown labels; a mapping that leaves some out.

    References
    ----------
    Kaplan, E. L. & Meier, P. (1958), Nonparametric estimation from incomplete observations, JASA 53, 457-481.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.StageModel().names
    ('churned', 'dormant', 'introduction', 'growth', 'maturity')
    """

    labels: Literal["zh", "en"] | Mapping[str, str] = "en"

    def __post_init__(self) -> None:
        if self.names and not isinstance(self.labels, str):
            object.__setattr__(self, "labels", dict(self.labels))  # the caller may change his own

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the stages, from the lowest to the highest."""
        return _checks.names("labels", self.labels, _NAMES)

    def fit(
        self,
        orders: FrameT,
        *,
        customer: str,
        time: str,
        amount: str | None = None,
        order_id: str | None = None,
        as_of: str | dt.date | dt.datetime | np.datetime64 | None = None,
        tz: str | None = None,
        horizon: int | str | dt.timedelta = 90,
        p_dormant: float = 0.35,
        p_churned: float = 0.10,
        bands: Sequence[int] = (1, 2, 4),
        confidence: float = 0.95,
    ) -> FittedStages[FrameT]:
        """Find after how many days of silence customers do not come back (also known as: 休眠/流失天数拟合).

        The gaps between the purchase days of a customer are times to an event, and the silence since his last purchase is a gap that is
        still open: leaving it out, as rules made of observed gaps do, calls customers churned who return. S(t), the share of gaps longer
        than t days, is estimated in each band of orders, and with it the chance to return within the horizon H after t days of silence,
        (S(t) - S(t + H)) / S(t), made non-increasing.

        Parameters
        ----------
        orders : frame
            One row per order, or per order line with `order_id`. pandas, polars (eager or lazy), pyarrow, or a DuckDB relation.
        customer, time : str
            Columns of the customer and the time.
        amount : str, optional
            Column of the money; a negative amount is a refund, which is no purchase.
        order_id : str, optional
            Column of the order: lines of one customer with one order id are one order, at the time of the first, with the sum of the money.
        as_of : str, date, datetime or datetime64, optional
            The last moment that the data covers; by default the local day of the last row, taken to be over.
        tz : str, optional
            The shop's time zone, as in `customer_summary`.
        horizon : int, str or timedelta
            The question, in days: will they buy within so many?
        p_dormant, p_churned : float
            The chances to return, between 0 and 1, below which a customer is dormant, and churned.
        bands : sequence of int
            The numbers of orders with which introduction, growth and maturity begin; the first is 1.
        confidence : float
            Of the pointwise intervals of the curves, between 0 and 1.

        Returns
        -------
        FittedStages
            The limits in days, by band, the curves they come from, and the stages as rules. Where the history is too short to know a limit
            it is missing, with the reason, and a warning says so; customers of the band are then never put in that stage.

        Raises
        ------
        ColumnError
            A column that is missing, repeated or of the wrong type.
        DataError
            No rows, no purchase up to `as_of`.
        ParameterError
            Levels outside (0, 1) or in the wrong order; bands that do not increase from 1.

        References
        ----------
        Kaplan, E. L. & Meier, P. (1958), Nonparametric estimation from incomplete observations, JASA 53, 457-481.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=3_000, rng=1)
        >>> stages = om.Stages.default().fit(orders, customer="customer", time="time", amount="amount", horizon=60)
        >>> stages.table[["stage", "orders"]].to_numpy().tolist()
        [['introduction', '1'], ['growth', '2-3'], ['maturity', '4+']]
        """
        level, span = _checks.fraction("confidence", confidence), _span(horizon)
        levels = _levels(p_dormant, p_churned)
        starts = _starts(bands)
        log = activity.observe("orders", orders, activity.uses_of(customer, time, amount, order_id), tz=tz, as_of=as_of)
        found = activity.add_up(_parts.fold(log.source, bind(_partial, log=log, starts=starts)))
        _lines.demand_orders(found.dropped, log.columns)
        events, censored = found.counts[:, 0].reshape(2, _BANDS, -1)
        activity.demand_activity(censored, log.observed, log.columns)
        curves = [survival.returning(events[band], censored[band], span, LEAST, level) for band in range(_BANDS)]
        limits = [[_first_below(curve.probability, p) for p in levels] for curve in curves]
        reasons = [_reason(curve, found_limits, span) for curve, found_limits in zip(curves, limits, strict=True)]
        _tell(starts, curves, reasons, levels[0])
        backend, names = log.source.backend, self.names[2:]
        tables = {
            "table": _output.build(backend, _limit_columns(backend, names, starts, events, censored, curves, limits, reasons)),
            "curves": _output.build(backend, _curve_columns(backend, starts, curves)),
        }
        params = activity.params_of(log) | {
            "horizon": span, "p_dormant": levels[0], "p_churned": levels[1], "bands": list(starts), "stages": list(self.names),
            "confidence": level,
        }  # fmt: skip
        return FittedStages(
            _tables=tables, params=params, dropped=dict(found.dropped), stages=_compiled(self.names, starts, limits), bands=starts,
            names=self.names, _probability=tuple(curve.probability for curve in curves),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class FittedStages(Result[FrameT_co]):
    """The stages of the life cycle with fitted limits, as `StageModel.fit` returns them.

    Attributes
    ----------
    table : frame
        One row per band: ``stage`` (of those who are neither dormant nor churned), ``orders`` (the band, as text), ``customers`` in it at
        `as_of`, ``gaps`` (returns and silences), ``returned`` (gaps that ended), ``dormant_after`` and ``churned_after`` (days of silence;
        missing where the history is too short), ``longest_known`` (the longest silence in days that can be judged) and ``reason``.
    curves : frame
        ``orders`` (the band), ``recency`` (days of silence), ``at_risk`` (gaps watched to the end of the horizon), ``survival``,
        ``return_probability`` within the horizon with its pointwise interval ``return_probability_low`` and ``return_probability_high``.
    stages : Stages
        The same as rules, which `Stages.to_dict` writes to JSON.
    bands : tuple of int
        The numbers of orders with which the bands begin.
    names : tuple of str
        All five stages from the lowest to the highest, as ``order`` of `transitions` wants them.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=3_000, rng=1)
    >>> fitted = om.Stages.default().fit(orders, customer="customer", time="time", amount="amount", horizon=60)
    >>> summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2025-12-31")
    >>> int(fitted.assign(summary).stages["customers"].sum())
    3000
    """

    stages: Stages
    bands: tuple[int, ...]
    names: tuple[str, ...]
    _probability: tuple[Floats, ...]

    curves = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN_LABELS)
        return _render.View(
            title="Stages of the life cycle, fitted",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            notes=[
                "limits in days of silence; the chance to return by days of silence: .curves; the rules: .stages",
                *dropped_notes(self.dropped),
            ],
        )

    @overload
    def assign(self, summary: Result[FrameT], *, customer: str | None = None) -> Staged[FrameT]: ...
    @overload
    def assign(self, summary: FrameT, *, customer: str | None = None) -> Staged[FrameT]: ...
    def assign(self, summary: Any, *, customer: str | None = None) -> Staged[Any]:
        """Put each customer in a stage, as `Stages.assign` does, and tell his chance to return (also known as: 阶段划分, 回购概率).

        Parameters
        ----------
        summary : CustomerSummary, RFM or frame
            One row per customer with ``orders`` and ``recency``.
        customer : str, optional
            The column of the customer, which a summary knows already.

        Returns
        -------
        Staged
            The table with the columns ``stage`` and ``return_probability`` (the chance to buy again within the horizon, as a fraction), and
            counts of customers per stage. Silence longer than the history can judge has the last chance that is known: too high
            if anything, as long as later seasons are like those the curve was fitted to. NaN where none is known.

        Raises
        ------
        ColumnError
            A missing column.

        References
        ----------
        See `StageModel`.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=3_000, rng=1)
        >>> fitted = om.Stages.default().fit(orders, customer="customer", time="time", amount="amount", horizon=60)
        >>> summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2025-12-31")
        >>> fitted.assign(summary).label
        'stage'
        """
        window = summary.params.get("window") if isinstance(summary, Result) else None
        if window is not None:
            raise ParameterError(
                f"summary covers a window of {window} days, but the bands count all orders of a customer; summarise without a window.",
                code="parameter.summary",
            )
        found = self.stages.assign(summary, customer=customer)
        _checks.free("customer", found.customer, ("return_probability",))
        frame = _frames.in_memory(found._tables["table"])
        table = _output.append(frame, {"return_probability": self._chances(frame)})
        return replace(found, _tables={**found._tables, "table": table}, segment_names=self.names)

    def _chances(self, frame: _frames.Eager) -> Floats:
        """The chance that each customer returns within the horizon; the last that is known where the silence is longer."""
        _, columns = _frames.columns("summary", frame, [Use(name, name, "number") for name in ("orders", "recency")])
        band = np.searchsorted(self.bands, columns["orders"], side="right") - 1
        found = np.full(len(band), np.nan)
        for number, probability in enumerate(self._probability):
            own = (band == number) & ~np.isnan(columns["orders"]) & (columns["recency"] >= 0)
            if len(probability):
                found[own] = probability[np.minimum(columns["recency"][own], len(probability) - 1).astype(np.int64)]
        return found


# ------------------------------------------------------------------------------------------------------------ arguments


def _span(horizon: object) -> int:
    span = _checks.days("horizon", horizon)
    if span is None:
        raise ParameterError("horizon=None: say within how many days a customer is to return, as in 90.", code="parameter.horizon")
    return span


def _levels(p_dormant: object, p_churned: object) -> tuple[float, float]:
    dormant, churned = _checks.fraction("p_dormant", p_dormant), _checks.fraction("p_churned", p_churned)
    if churned >= dormant:
        raise ParameterError(
            f"p_churned={churned:g} must be smaller than p_dormant={dormant:g}: a customer is dormant before he is churned.",
            code="parameter.p_churned",
        )
    return dormant, churned


def _starts(bands: object) -> tuple[int, ...]:
    given = tuple(_checks.whole_number("bands", start, 1, 10**9) for start in _checks.listed("bands", bands))
    if len(given) != _BANDS or given[0] != 1 or any(later <= earlier for earlier, later in itertools.pairwise(given)):
        raise ParameterError(
            f"bands={list(given)} must be three numbers of orders that increase from 1, with which introduction, growth and maturity "
            "begin: (1, 2, 4).",
            code="parameter.bands",
        )
    return given


# ------------------------------------------------------------------------------------------------ partial, then finish


def _partial(part: _parts.Part, log: Log, starts: tuple[int, ...]) -> Tally:
    """Gaps of some whole customers, by band and length in days: those that ended, then those that are open."""
    rows = activity.usable(part, log.observed)
    bought = activity.cells(rows, log.observed, len(part.customers)).active
    last, so_far = bought.last, np.cumsum(bought.orders)
    before = so_far[bought.first] - bought.orders[bought.first]
    orders = so_far - np.repeat(before, np.diff(np.append(np.flatnonzero(bought.first), len(bought))))
    band = np.searchsorted(starts, orders, side="right") - 1
    until = np.append(bought.period[1:], 0)
    until[last] = log.observed.today
    gap = until - bought.period
    size = int(gap.max(initial=0)) + 1
    slot = band * size + gap
    counts = [np.bincount(slot[chosen], minlength=_BANDS * size).reshape(_BANDS, size) for chosen in (~last, last)]
    return Tally(0, np.concatenate(counts)[:, None, :], rows.dropped)


def _first_below(probability: Floats, level: float) -> int | None:
    """The first day of silence at which the chance to return is below a level."""
    below = np.flatnonzero(probability < level)
    return int(below[0]) if below.size else None


def _reason(curve: Returning, limits: Sequence[int | None], horizon: int) -> str:
    """Why a limit is missing."""
    if all(limit is not None for limit in limits):
        return ""
    if not len(curve.probability):
        return f"fewer than {LEAST} gaps were watched for {horizon} days"
    return f"silence can be judged up to {len(curve.probability) - 1} days, after which {curve.probability[-1]:.0%} still return"


def _tell(starts: tuple[int, ...], curves: Sequence[Returning], reasons: Sequence[str], p_dormant: float) -> None:
    """What a reader should know before he trusts the stages."""
    if any(reasons):
        warn(f"the history is too short to know every limit: {'; '.join(_told(starts, reasons))}. These customers keep their stage.")
    for band, curve in zip(_spoken(starts), curves, strict=True):
        if len(curve.probability) and curve.probability[0] < p_dormant:
            warn(
                f"p_dormant={p_dormant:g}: of the band {band} no more than {curve.probability[0]:.0%} return within the horizon even from "
                "the first day, so that all of it is dormant at once; choose a longer horizon, or a smaller p_dormant."
            )


def _told(starts: tuple[int, ...], reasons: Sequence[str]) -> list[str]:
    return [f"of the band {band}, {reason}" for band, reason in zip(_spoken(starts), reasons, strict=True) if reason]


def _spoken(starts: tuple[int, ...]) -> list[str]:
    """Bands as they would be written: 1, 2-3, 4+."""
    ends = [f"{start}-{after - 1}" if after - 1 > start else str(start) for start, after in itertools.pairwise(starts)]
    return [*ends, f"{starts[-1]}+"]


def _compiled(names: Sequence[str], starts: tuple[int, ...], limits: Sequence[Sequence[int | None]]) -> Stages:
    """The limits as rules. A stage that nobody could be in is left out: for want of a limit, or because all are churned at once."""
    spans = [(start, after - 1) for start, after in itertools.pairwise(starts)] + [(starts[-1], None)]
    churned: list[dict[str, Given]] = []
    dormant: list[dict[str, Given]] = []
    for span, (from_dormant, from_churned) in zip(spans, limits, strict=True):
        if from_churned is not None:
            churned.append({"orders": span, "recency": (from_churned, None)})
        if from_dormant is not None and from_dormant != from_churned:
            dormant.append({"orders": span, "recency": (from_dormant, None)})
    silent = [Stage(name, *rules) for name, rules in zip(names, (churned, dormant), strict=False) if rules]
    return Stages([*silent, *(Stage(name, {"orders": span}) for name, span in zip(names[2:], spans, strict=True))])


def _limit_columns(
    backend: _frames.Backend, names: Sequence[str], starts: tuple[int, ...], events: Ints, censored: Ints,
    curves: Sequence[Returning], limits: Sequence[Sequence[int | None]], reasons: Sequence[str],
) -> dict[str, Column]:  # fmt: skip
    rows = np.arange(_BANDS)
    days = [np.array([-1 if found[place] is None else found[place] for found in limits], dtype=np.int64) for place in (0, 1)]
    longest = np.array([len(curve.probability) - 1 for curve in curves], dtype=np.int64)
    return {
        "stage": _output.words(backend, names, rows), "orders": _output.words(backend, _spoken(starts), rows),
        "customers": censored.sum(axis=1), "gaps": (events + censored).sum(axis=1), "returned": events.sum(axis=1),
        "dormant_after": _output.whole_or_null(backend, days[0], days[0] >= 0),
        "churned_after": _output.whole_or_null(backend, days[1], days[1] >= 0),
        "longest_known": _output.whole_or_null(backend, longest, longest >= 0),
        "reason": _output.words(backend, reasons, rows),
    }  # fmt: skip


def _curve_columns(backend: _frames.Backend, starts: tuple[int, ...], curves: Sequence[Returning]) -> dict[str, Column]:
    sizes = [len(curve.probability) for curve in curves]
    return {
        "orders": _output.words(backend, _spoken(starts), np.repeat(np.arange(_BANDS), sizes)),
        "recency": np.concatenate([np.arange(size) for size in sizes]),
        "at_risk": np.concatenate([curve.watched for curve in curves]),
        "survival": np.concatenate([curve.survival for curve in curves]),
        "return_probability": np.concatenate([curve.probability for curve in curves]),
        "return_probability_low": np.concatenate([curve.low for curve in curves]),
        "return_probability_high": np.concatenate([curve.high for curve in curves]),
    }
