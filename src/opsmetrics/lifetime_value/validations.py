"""How well a model of buying predicts: fitted to the first part of the orders, and held against the second."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from opsmetrics import _checks, _frames, _output, _render
from opsmetrics._frames import Backend, Column, Floats, Ints, Use
from opsmetrics._kernels import forecasts
from opsmetrics._kernels.histories import Histories
from opsmetrics._results import Held, Result, Table, dropped_notes, picture, shown
from opsmetrics.errors import DataError, FitError, warn
from opsmetrics.lifetime_value import doors, outcomes
from opsmetrics.lifetime_value.fits import PurchaseFit
from opsmetrics.lifetime_value.fitted import LEVEL, told
from opsmetrics.lifetime_value.laws import law_of
from opsmetrics.lifetime_value.models import fit_histories
from opsmetrics.lifetime_value.spending import GammaGamma
from opsmetrics.lifetime_value.summaries import CLVSummary, clv_summary
from opsmetrics.lifetime_value.tracking import repeats_by_day
from opsmetrics.lifetime_value.worth import Base, Kinds, Models, Question, Worth

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FrameT_co = TypeVar("FrameT_co", covariant=True)

GROUPS: Final = 10
"""Groups of customers by prediction, and bins of the probability integral transform."""

MOST_SHOWN: Final = 7
"""Repeat purchases from which customers are counted together."""

_EVERY = 7


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Validation(Result[FrameT_co]):
    """How well a model predicted what was held out, as `CLV.validate` returns it.

    Attributes
    ----------
    table : frame
        One row per rule of prediction, the model first, then naive ones (the same rate as so far, the same mean for all, nobody returns):
        ``rule``; ``mae`` and ``rmse``, the mean absolute and the root mean square error of a customer's purchases; ``bias``, the predicted
        total over the actual one, less 1; ``gini``, how well it ranks customers (1 as the actual purchases do, 0 like chance); ``crps``,
        the mean ranked probability score, which is the ``mae`` of a rule that knows no distribution.
    tracking : frame
        One row per week: ``time`` (its last day), cumulated repeat purchases, ``actual`` and ``expected``, and whether it is ``held_out``.
    frequencies : frame
        One row per number of repeat purchases in the time that the model learned from: ``purchases`` (text, the last is "7+"), customers,
        ``actual`` and ``expected``.
    calibration : frame
        One row per group of customers with like predictions: ``customers``, means of purchases held out, ``expected`` and ``actual`` with
        its 95 % interval (``actual_low``, ``actual_high``).
    pit : frame
        The probability integral transform of purchases: ``low``, ``high`` (of a bin), ``share``; all shares are alike where distributions
        are right.
    coverage : frame
        One row per interval of the outcome: ``of`` ("purchases", "value" of customers, "all purchases", "all value"), ``nominal``, and
        ``covered``, the share that lay inside; for the two sums what was ``expected``, the ``actual`` one, and the ends.
        Intervals of counts cover more than the nominal share, since counts jump.
    model : str
        The name of the model.
    calibration_end : str
        The last day that the model learned from.

    References
    ----------
    Gneiting, T. & Raftery, A. E. (2007), Strictly proper scoring rules, prediction, and estimation, JASA 102, 359-378; Czado, C., Gneiting,
    T. & Held, L. (2009), Predictive model assessment for count data, Biometrics 65, 1254-1261.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=500, rng=1)
    >>> values = om.clv(orders, customer="customer", time="time", amount="amount", model="mbg_nbd")
    >>> values.validate().coverage["of"].tolist()
    ['purchases', 'value', 'all purchases', 'all value']
    """

    model: str
    calibration_end: str

    tracking = Table()
    frequencies = Table()
    calibration = Table()
    pit = Table()
    coverage = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"])
        _, covered = _output.head(self._tables["coverage"])
        told = ", ".join(f"{of} {_covered(str(of), float(str(share)))}" for of, _, share, *_ in covered)
        return _render.View(
            title=f"Validation of {self.model}: learned until {self.calibration_end}, held out {self.params['duration']:,} days",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            shares=["bias"],
            notes=[
                f"inside the {self.params['confidence']:.0%} intervals of the outcome: {told}",
                "more: .tracking, .frequencies, .calibration, .pit, .coverage",
                *self._lacking,
                *dropped_notes(self.dropped),
            ],
        )

    @property
    def _lacking(self) -> list[str]:
        """What has no number, and why."""
        columns, rows = _output.head(self._tables["table"])
        known = dict(zip(columns, rows[0], strict=True))
        if known["bias"] is None:
            return ["nobody bought in the time held out, so there is no bias and no gini; hold out more of the orders"]
        return ["all customers bought equally often in the time held out, so there is no gini"] if known["gini"] is None else []

    def plot_frequencies(self, ax: Axes | None = None) -> Axes:
        """Draw how many customers made 0, 1, 2, ... repeat purchases, and how many the model expects (also known as: 复购次数分布).

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes by default.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.

        Raises
        ------
        ImportError
            Without matplotlib: ``pip install "opsmetrics[plot]"``.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=500, rng=1)
        >>> values = om.clv(orders, customer="customer", time="time", amount="amount", model="mbg_nbd")
        >>> values.validate().plot_frequencies().get_xlabel()
        'repeat purchases'
        """
        return picture(self, ax, "frequencies")

    def plot_calibration(self, ax: Axes | None = None) -> Axes:
        """Draw the mean purchases held out against the predicted ones, by group of customers (also known as: 校准图).

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes by default.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.

        Raises
        ------
        ImportError
            Without matplotlib: ``pip install "opsmetrics[plot]"``.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=500, rng=1)
        >>> values = om.clv(orders, customer="customer", time="time", amount="amount", model="mbg_nbd")
        >>> values.validate().plot_calibration().get_xlabel()
        'predicted purchases'
        """
        return picture(self, ax, "calibration")


@dataclass(frozen=True, slots=True)
class Half:
    """The customers of the first part of the orders, and what they did in the second, so many days long."""

    summary: CLVSummary[Any]
    rows: Histories
    z: Floats
    bought: Ints
    spent: Floats
    duration: int


@dataclass(frozen=True, slots=True)
class Trial(Half):
    """The same with the models that were fitted to the first part."""

    models: Models


def validate(orders: Held, models: Models, asked: Mapping[str, Any], valued: Mapping[str, Any], calibration_end: object) -> Validation[Any]:
    """Fit models like these to the first part, and hold them against the second; `valued` are the facts of the answer that they are of."""
    half = _half(orders, asked, calibration_end)
    _refuse_changed(half.summary, valued)
    trial, confidence = _trial(half, models), float(valued["confidence"])
    told(trial.models.buying)
    question = Question(float(trial.duration), 0.0, 1.0, confidence)
    base = Base.of(trial.models, trial.rows, trial.z, question)
    worth, kinds = base.worth, base.kinds
    backend = _frames.wrap("summary", trial.summary.table).implementation
    contents = {
        "table": _rules(backend, trial, kinds, worth),
        "tracking": _tracking(backend, orders, asked, trial),
        "frequencies": _frequencies(backend, trial),
        "calibration": _calibration(trial, worth),
        "pit": _pit(trial, kinds, worth),
        "coverage": _coverage(backend, trial, base),
    }
    end = str(trial.summary.params["calibration_end"])
    params = dict(trial.summary.params) | {"model": trial.models.buying.title, "duration": trial.duration, "confidence": confidence}
    found: Validation[Any] = Validation(
        _tables={name: _output.build(backend, content) for name, content in contents.items()}, params=params, dropped=trial.summary.dropped,
        model=trial.models.buying.title, calibration_end=end,
    )  # fmt: skip
    for sentence in found._lacking:
        warn(f"{sentence}.")
    return found


def _covered(of: str, share: float) -> str:
    """A share of customers; of a total, whether it lay inside."""
    return f"{share:.0%}" if not of.startswith("all") else "yes" if share else "no"


def _share_inside(actual: Floats, low: Floats, high: Floats) -> float:
    """The share of values inside their intervals."""
    return float(np.mean((low <= actual) & (actual <= high)))


def score(orders: Held, like: PurchaseFit, asked: Mapping[str, Any]) -> float:
    """The mean ranked probability score on the second half; missing where the model cannot be fitted to the first."""
    half = _half(orders, asked, None)
    buying = fit_histories(type(like), half.rows, "day", like.penalty)
    if not buying.params:
        return float("nan")
    alive = law_of(buying).p_alive(half.rows.x, half.rows.t_x, half.rows.T)
    return float(_crps(buying, Kinds.of_rows(half.rows, half.z), half, alive).mean())


def _refuse_changed(summary: CLVSummary[Any], valued: Mapping[str, Any]) -> None:
    """Orders behind a relation or a scan are read again, and may be others by now."""
    now, before = ({name: facts[name] for name in ("rows", "as_of")} for facts in (summary.params, valued))
    if now != before:
        raise DataError(
            f"orders have changed: {now['rows']:,} rows up to {now['as_of']}, but {before['rows']:,} up to {before['as_of']} when they "
            "were valued. A relation or a scan is read again; value it anew, or hand over a frame in memory.",
            code="data.unstable",
        )


def _trial(half: Half, like: Models) -> Trial:
    buying = fit_histories(type(like.buying), half.rows, "day", like.buying.penalty)
    if not buying.params:
        end = half.summary.params["calibration_end"]
        raise FitError(
            f"calibration_end={end!s} leaves too little to learn from: {buying.reason}. Choose a later one.", code="fit.no_repeats"
        )
    models = Models(buying, GammaGamma(penalty=like.spending.penalty).fit(half.summary))
    return Trial(half.summary, half.rows, half.z, half.bought, half.spent, half.duration, models)


def _half(orders: Held, asked: Mapping[str, Any], calibration_end: object) -> Half:
    own = {name: asked[name] for name in ("customer", "time", "amount", "as_of", "tz", "refunds", "missing_customer")}
    end: Any = _middle(orders, own) if calibration_end is None else calibration_end
    summary = clv_summary(orders.frame, **own, calibration_end=end)
    names = ("monetary_value", "frequency_holdout", "monetary_value_holdout", "duration_holdout")
    _, columns = _frames.columns("summary", summary.table, [Use(name, name, "number") for name in names])
    bought = columns["frequency_holdout"].astype(np.int64)
    spent = columns["monetary_value_holdout"] * columns["frequency_holdout"]
    duration = int(columns["duration_holdout"][0])
    return Half(summary, doors.enter(summary).histories, columns["monetary_value"], bought, spent, duration)


def _middle(orders: Held, own: Mapping[str, Any]) -> dt.date:
    """The day in the middle between the first order and the end."""
    summary = clv_summary(orders.frame, **own)
    oldest = int(_frames.columns("summary", summary.table, [Use("T", "T", "number")])[1]["T"].max())
    if oldest < 2:
        raise DataError(
            f"the orders span {oldest + 1} days, but a first half to learn from and a second to hold out take three days or more.",
            code="data.span",
        )
    end = _checks.moment("as_of", summary.params["as_of"])
    last = end.day if end.day is not None else dt.date.fromisoformat(end.text[:10])
    return last - dt.timedelta(days=oldest // 2)


def _crps(buying: PurchaseFit, kinds: Kinds, half: Half, alive: Floats) -> Floats:
    scores = np.empty(len(half.rows))
    for block, own in kinds.blocks():
        counts = kinds.counts(buying, float(half.duration), block)
        scores[own] = forecasts.crps(counts, kinds.of[own] - block.start, alive[own], half.bought[own])
    return scores


def _rules(backend: Backend, trial: Trial, kinds: Kinds, found: Worth) -> dict[str, Column]:
    """Scores of the model, and of rules that need none."""
    rows, actual = trial.rows, trial.bought
    rate = np.divide(rows.x, rows.T, out=np.zeros(len(rows)), where=rows.T > 0)
    predictions = {
        trial.models.buying.title: found.purchases,
        "same rate": rate * trial.duration,
        "same mean": np.full(len(rows), rows.x.sum() / max(rows.T.sum(), 1.0) * trial.duration),
        "nobody returns": np.zeros(len(rows)),
    }
    off = [predicted - actual for predicted in predictions.values()]
    absolute = np.array([np.abs(error).mean() for error in off])
    return {
        "rule": _output.words(backend, list(predictions), np.arange(len(predictions))),
        "mae": absolute,
        "rmse": np.array([np.sqrt(np.mean(error**2)) for error in off]),
        "bias": np.array([error.sum() / actual.sum() if actual.any() else np.nan for error in off]),
        "gini": np.array([forecasts.gini(predicted, actual) for predicted in predictions.values()]),
        "crps": np.append(_crps(trial.models.buying, kinds, trial, found.alive).mean(), absolute[1:]),
    }


def _calibration(trial: Trial, found: Worth) -> dict[str, Column]:
    groups = forecasts.calibration(found.purchases, trial.bought, GROUPS)
    half = LEVEL * groups.error
    return {
        "customers": groups.customers, "expected": groups.predicted, "actual": groups.actual,
        "actual_low": np.maximum(groups.actual - half, 0.0), "actual_high": groups.actual + half,
    }  # fmt: skip


def _pit(trial: Trial, kinds: Kinds, found: Worth) -> dict[str, Column]:
    low, high = ends = np.empty((2, len(trial.rows)))
    for block, own in kinds.blocks():
        counts = kinds.counts(trial.models.buying, float(trial.duration), block)
        ends[:, own] = forecasts.pit(counts, kinds.of[own] - block.start, found.alive[own], trial.bought[own])
    edges = np.arange(GROUPS + 1) / GROUPS
    return {"low": edges[:-1], "high": edges[1:], "share": forecasts.pit_histogram(low, high, GROUPS)}


def _frequencies(backend: Backend, trial: Trial) -> dict[str, Column]:
    """Customers by repeat purchases so far, and how many the model expects of customers as old as they are."""
    ages, weights = np.unique(trial.rows.T, return_counts=True)
    law = law_of(trial.models.buying)
    counts, born = law.counts(np.zeros(len(ages)), np.zeros(len(ages)), ages), float(law.p_alive(0, 0.0, 0.0))
    expected = np.array([born * float(weights @ next(counts)) for _ in range(MOST_SHOWN)])
    expected[0] += (1 - born) * weights.sum()
    actual = np.bincount(np.minimum(trial.rows.x, MOST_SHOWN), minlength=MOST_SHOWN + 1)
    names = [*(str(n) for n in range(MOST_SHOWN)), f"{MOST_SHOWN}+"]
    return {
        "purchases": _output.words(backend, names, np.arange(len(names))), "actual": actual,
        "expected": np.append(expected, weights.sum() - expected.sum()),
    }  # fmt: skip


def _coverage(backend: Backend, trial: Trial, base: Base) -> dict[str, Column]:
    """The share of outcomes inside their intervals."""
    random = np.random.default_rng(0)
    coming = outcomes.Coming.of(base)
    purchases, outcome = outcomes.purchase_ends(base), outcomes.value_ends(base, coming, random)
    sums = outcomes.totals(base, coming, np.zeros(len(trial.rows), dtype=np.int64), 1, random)
    spent = np.maximum(trial.spent, 0.0)
    cases = {
        "purchases": (trial.bought, *purchases),
        "value": (spent, *outcome),
        "all purchases": (trial.bought.sum(keepdims=True), sums["purchases_low"], sums["purchases_high"]),
        "all value": (spent.sum(keepdims=True), sums["outcome_low"], sums["outcome_high"]),
    }
    covered = [_share_inside(*case) for case in cases.values()]
    sums_of = [np.nan, np.nan, sums["expected_purchases"][0], sums["value"][0]]
    ends = [(np.nan,) * 3] * 2 + [tuple(float(part[0]) for part in case) for case in list(cases.values())[2:]]
    actual, low, high = np.array(ends).T
    return {
        "of": _output.words(backend, list(cases), np.arange(len(cases))), "nominal": np.full(len(cases), base.question.confidence),
        "covered": np.array(covered), "expected": np.array(sums_of), "actual": actual, "low": low, "high": high,
    }  # fmt: skip


def _tracking(backend: Backend, orders: Held, asked: Mapping[str, Any], trial: Trial) -> dict[str, Column]:
    """Cumulated repeat purchases by week of customers first seen while the model learned: actual, and expected of newcomers."""
    repeats, first_day, end = repeats_by_day(orders.frame, asked, str(trial.summary.params["calibration_end"]))
    last = first_day + len(repeats) - 1
    births = np.bincount((end - first_day - trial.rows.T).astype(np.int64), minlength=len(repeats))
    law = law_of(trial.models.buying)
    ages = np.arange(len(repeats), dtype=np.float64)
    curve = float(law.p_alive(0, 0.0, 0.0)) * law.expected(np.zeros(len(ages)), np.zeros(len(ages)), ages)
    at = np.arange(last, first_day - 1, -_EVERY)[::-1] - first_day
    expected = np.zeros(len(at))
    for born in np.flatnonzero(births):  # far fewer than days, where one date is centuries off
        since = np.searchsorted(at, born)
        expected[since:] += births[born] * curve[at[since:] - born]
    return {
        "time": _output.days(backend, at + first_day), "actual": np.cumsum(repeats)[at], "expected": expected,
        "held_out": at + first_day > end,
    }  # fmt: skip
