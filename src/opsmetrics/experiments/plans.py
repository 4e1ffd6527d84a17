"""Before a test: how many units it takes, what it can find, and for how long it has to run."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from opsmetrics import _checks, _output, _render
from opsmetrics._frames import Column, Floats
from opsmetrics._kernels.alternatives import Alternative
from opsmetrics._results import SHOWN, Result, Table, shown
from opsmetrics.errors import ParameterError
from opsmetrics.experiments import searches
from opsmetrics.experiments.baselines import Baseline, percent
from opsmetrics.experiments.metrics import Hypothesis
from opsmetrics.experiments.questions import MOST_UNITS, ROUNDING, PlannedCorrection, PlanQuestion, ask, units_of

if TYPE_CHECKING:
    import pandas as pd

    from opsmetrics.experiments.designs import AlwaysValid, GroupSequential

FrameT_co = TypeVar("FrameT_co", covariant=True)

MOST_DAYS = 3_653
"""Ten years: who needs longer needs another test."""

_WEEK = 7

_METHODS = {
    ("rate", "superiority"): "score test of two rates, pooled variance under the null (as R's power.prop.test)",
    ("rate", "non-inferiority"): "score test of two rates with a margin, constrained variance under the null (Farrington and Manning)",
    ("rate", "equivalence"): "two one-sided score tests of two rates, constrained variances under the nulls (Farrington and Manning)",
    ("mean", "superiority"): "Welch's t test, noncentral t distribution (as R's power.t.test)",
    ("mean", "non-inferiority"): "Welch's t test with a margin, noncentral t distribution",
    ("mean", "equivalence"): "two one-sided Welch's t tests, Owen's Q",
}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Plan(Result[FrameT_co]):
    """The plan of a test: units, effect and power, as `sample_size`, `power` and `minimum_detectable_effect` return it.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per variant: ``variant``, ``n`` (whole units), ``share``.
    curve : pandas.DataFrame
        The power by effect, at the units of this plan: ``effect``, ``effect_relative`` (to the baseline), ``power``. With looks along the
        way the inflation is that of the planned power.
    params : mapping
        ``n`` (whole units over all variants), ``n_exact`` (before they were rounded up), ``effect`` and ``effect_relative``, ``power`` (at
        ``n_exact``, of the comparison that has the least), ``inflation`` and ``expected_n`` of a sequential design, ``method`` (the
        formula), ``level`` (chance of a false finding of one comparison, on one side), ``notes``, and what was asked.

    Examples
    --------
    >>> import opsmetrics as om
    >>> plan = om.sample_size(0.05, effect=0.1, relative=True)
    >>> plan.params["n"], round(plan.params["effect"], 6)
    (62468, 0.005)
    """

    curve = Table()

    _question: PlanQuestion
    _found: _Found

    def _power_by(self, units: Floats) -> Floats:
        """The power once so many units are in, missing where they are too few."""
        return self._question.power_at(self._found.effect, units / self._found.inflation)

    def _view(self) -> _render.View:
        question, found, size = self._question, self._found, abs(self._question.baseline.value)
        columns, rows = _output.head(self._tables["table"], SHOWN)
        finding = f"a difference of {found.effect:.6g}" + (f" ({found.effect / size:+.1%})" if size else "")
        if question.hypothesis != "superiority":
            finding = f"{question.hypothesis} within {question.margin:.6g} where there is {finding}"
        return _render.View(
            title=f"Plan: {found.n:,} units have a power of {found.power:.1%} to show {finding}",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            total_rows=_output.height(self._tables["table"]),
            notes=[*question.notes(found.n), "power by effect: .curve"],
        )


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Duration(Result[FrameT_co]):
    """For how long a test has to run, as `duration` returns it.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per day, up to whole weeks: ``day``, ``units`` (in the test so far), and of a plan ``power`` (of a test of so many units; it
        is missing while they are too few).
    params : mapping
        ``days`` that it takes, ``weeks`` (whole weeks, of which each weekday is in the test equally often), ``days_recommended`` (of
        these), ``expected_days`` (of a sequential plan, at the expected number of units), ``n`` and ``share``.

    Examples
    --------
    >>> import opsmetrics as om
    >>> found = om.duration(om.sample_size(0.05, effect=0.005), traffic=4_000)
    >>> found.params["days"], found.params["days_recommended"]
    (16, 21)
    """

    def _view(self) -> _render.View:
        told = self.params
        columns, rows = _output.head(self._tables["table"])
        step = _WEEK * math.ceil(len(rows) / _WEEK / SHOWN)
        weeks = "1 whole week" if told["weeks"] == 1 else f"{told['weeks']} whole weeks"
        return _render.View(
            title=f"Duration: {told['days']:,} days for {told['n']:,} units; run {weeks} ({told['days_recommended']:,} days)",
            facts=shown(told),
            columns=columns,
            rows=[row for day, row in enumerate(rows, start=1) if day == told["days"] or day % step == 0],
            shares=("power",),
            notes=["by day: .table"],
        )


def sample_size(
    baseline: float | Baseline,
    *,
    effect: float,
    relative: bool = False,
    power: float = 0.8,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
    allocation: Sequence[float] = (1, 1),
    correction: PlannedCorrection | None = None,
    sequential: GroupSequential | AlwaysValid | None = None,
    hypothesis: Hypothesis = "superiority",
    margin: float | None = None,
) -> Plan[pd.DataFrame]:
    """How many units it takes to find an effect (also known as: 样本量计算).

    Parameters
    ----------
    baseline : float or Baseline
        The control's rate; or what is known of a mean, ratio or quantile, of a covariate and of clusters.
    effect : float
        The difference, treatment less control, that should be found; under non-inferiority and equivalence the one that is expected, often
        0.
    relative : bool
        Whether ``effect`` and ``margin`` are relative to the baseline's size: 0.1 is ten per cent of it.
    power : float
        The chance that it is found. To find the opposite does not count.
    confidence : float
        Of the test and its intervals.
    alternative : {"two-sided", "greater", "less"}
        What would be found; "greater" is a treatment above the control. Non-inferiority under "two-sided" and "greater" is that of a metric
        of which more is better, under "less" of one of which less is better; as in `ab_test` it has the whole error on its one side.
    allocation : sequence of float
        Weights of the variants, the control's first. Of several treatments each is compared with the control, and the one with the least
        power decides.
    correction : str, optional
        "bonferroni", "dunnett" or "holm": for several treatments, over which the error is kept; "holm" is planned as "bonferroni", which
        is what holds for the first finding.
    sequential : GroupSequential or AlwaysValid, optional
        The looks along the way, which cost units.
    hypothesis : {"superiority", "non-inferiority", "equivalence"}
        What is to be shown: a difference; that the treatment is not worse by ``margin`` or more; that it differs by less than ``margin``.
        Equivalence is shown by two one-sided tests, each with the whole error: by an interval of confidence ``2 * confidence - 1`` within
        the margins.
    margin : float, optional
        Of non-inferiority and equivalence, above 0.

    Returns
    -------
    Plan
        ``.table`` has the units of each variant, a count that is rounded up; the exact number is in ``params``.

    Raises
    ------
    ParameterError
        An argument outside its rule, an effect that the alternative excludes, a rate with the effect outside (0, 1), a margin that is
        missing or that the expected effect breaks.

    References
    ----------
    Cohen, J. (1988), Statistical Power Analysis for the Behavioral Sciences, 2nd ed. Fleiss, J. L., Tytun, A. & Ury, H. K. (1980), A simple
    approximation for calculating sample sizes for comparing independent proportions, Biometrics 36, 343-346. Farrington, C. P. & Manning,
    G. (1990), Test statistics and sample size formulae for comparative binomial trials with null hypothesis of non-zero risk difference or
    non-unity relative risk, Statistics in Medicine 9, 1447-1454. Schuirmann, D. J. (1987), A comparison of the two one-sided tests
    procedure and the power approach for assessing the equivalence of average bioavailability, Journal of Pharmacokinetics and
    Biopharmaceutics 15, 657-680.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.sample_size(0.05, effect=0.005).table
         variant      n  share
    0    control  31234    0.5
    1  treatment  31234    0.5
    >>> om.sample_size(0.05, effect=0.005, allocation=(2, 1, 1), correction="bonferroni").params["n"]
    112695
    """
    question = ask(baseline, relative, confidence, alternative, allocation, correction, sequential, hypothesis, margin)
    question, difference = question.expecting(effect)
    asked = question.asked_power(power)
    fixed = searches.crossing(lambda n: float(question.power_at(difference, n)), asked, question.least, MOST_UNITS)
    if math.isnan(fixed):
        raise ParameterError(
            f"effect={effect!r} is too small to be found by 1e15 units; give a larger one, or a larger margin.", code="parameter.effect"
        )
    reached = float(question.power_at(difference, fixed)) if fixed == question.least else asked
    exact = fixed * question.inflation(reached)[0]
    units = [math.ceil(exact * share * (1 - ROUNDING)) for share in question.shares]
    return _plan(question, difference, reached, exact, units)


def power(
    baseline: float | Baseline,
    *,
    n: float,
    effect: float,
    relative: bool = False,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
    allocation: Sequence[float] = (1, 1),
    correction: PlannedCorrection | None = None,
    sequential: GroupSequential | AlwaysValid | None = None,
    hypothesis: Hypothesis = "superiority",
    margin: float | None = None,
) -> Plan[pd.DataFrame]:
    """The chance that a test of so many units finds an effect (also known as: 统计功效).

    Parameters
    ----------
    baseline : float or Baseline
        The control's rate; or what is known of a mean, ratio or quantile, of a covariate and of clusters.
    n : float
        Units over all variants.
    effect : float
        The difference, treatment less control, that there is.
    relative : bool
        Whether ``effect`` and ``margin`` are relative to the baseline's size: 0.1 is ten per cent of it.
    confidence : float
        Of the test and its intervals.
    alternative : {"two-sided", "greater", "less"}
        As in `sample_size`.
    allocation : sequence of float
        Weights of the variants, the control's first.
    correction : str, optional
        For several treatments, as in `sample_size`.
    sequential : GroupSequential or AlwaysValid, optional
        The looks along the way, the last of them at ``n``.
    hypothesis : {"superiority", "non-inferiority", "equivalence"}
        What is to be shown, as in `sample_size`.
    margin : float, optional
        Of non-inferiority and equivalence, above 0.

    Returns
    -------
    Plan
        With the power in ``params``, a fraction.

    Raises
    ------
    ParameterError
        An argument outside its rule, fewer than two units (or clusters) per variant, an effect that the alternative excludes.

    References
    ----------
    Cohen, J. (1988), Statistical Power Analysis for the Behavioral Sciences, 2nd ed. Fleiss, J. L., Tytun, A. & Ury, H. K. (1980), A simple
    approximation for calculating sample sizes for comparing independent proportions, Biometrics 36, 343-346.

    Examples
    --------
    >>> import opsmetrics as om
    >>> round(om.power(0.05, n=40_000, effect=0.005).params["power"], 3)
    0.611
    """
    question = ask(baseline, relative, confidence, alternative, allocation, correction, sequential, hypothesis, margin)
    units = question.enough(n)
    question, difference = question.expecting(effect)
    reached = question.reached_power(difference, units)
    return _plan(question, difference, reached, units, _parts(units, question.shares))


def minimum_detectable_effect(
    baseline: float | Baseline,
    *,
    n: float,
    power: float = 0.8,
    confidence: float = 0.95,
    alternative: Alternative = "two-sided",
    allocation: Sequence[float] = (1, 1),
    correction: PlannedCorrection | None = None,
    sequential: GroupSequential | AlwaysValid | None = None,
) -> Plan[pd.DataFrame]:
    """The smallest effect that a test of so many units finds with this power (also known as: 最小可检测效应, MDE).

    Parameters
    ----------
    baseline : float or Baseline
        The control's rate; or what is known of a mean, ratio or quantile, of a covariate and of clusters.
    n : float
        Units over all variants.
    power : float
        The chance that it is found.
    confidence : float
        Of the test and its intervals.
    alternative : {"two-sided", "greater", "less"}
        The effect is a rise, under "less" a fall. Of rates a rise and a fall of one size differ in power.
    allocation : sequence of float
        Weights of the variants, the control's first.
    correction : str, optional
        For several treatments, as in `sample_size`.
    sequential : GroupSequential or AlwaysValid, optional
        The looks along the way, the last of them at ``n``.

    Returns
    -------
    Plan
        With ``effect`` in ``params``, and ``effect_relative``, a fraction of the baseline.

    Raises
    ------
    ParameterError
        An argument outside its rule, or so few units that no effect is found with this power.

    References
    ----------
    Cohen, J. (1988), Statistical Power Analysis for the Behavioral Sciences, 2nd ed. Fleiss, J. L., Tytun, A. & Ury, H. K. (1980), A simple
    approximation for calculating sample sizes for comparing independent proportions, Biometrics 36, 343-346.

    Examples
    --------
    >>> import opsmetrics as om
    >>> plan = om.minimum_detectable_effect(0.05, n=40_000)
    >>> round(plan.params["effect"], 5), round(plan.params["effect_relative"], 3)
    (0.00628, 0.126)
    """
    question = ask(baseline, False, confidence, alternative, allocation, correction, sequential, "superiority", None)
    units, asked = question.enough(n), question.asked_power(power)
    inflation, _ = question.inflation(asked)
    fixed = question.enough(n, inflation) / inflation
    low, high = question.sizes(fixed)
    size = searches.crossing(lambda size: float(question.power_at(question.sign * size, fixed)), asked, low, high)
    if math.isnan(size):
        raise ParameterError(
            f"n={n!r} is too few; not even the largest effect there can be is found with a power of {asked:g}. Give more units.",
            code="parameter.n",
        )
    return _plan(question, question.sign * size, asked, units, _parts(units, question.shares))


def duration(plan: Plan[object] | float, *, traffic: float | Sequence[float], share: float = 1.0) -> Duration[pd.DataFrame]:
    """For how long a test has to run, from the units it needs and the new units of a day (also known as: 实验时长).

    Parameters
    ----------
    plan : Plan or float
        A plan, or units over all variants.
    traffic : float or sequence of float
        New units that come each day: a number, or one for each day from the first. Seven numbers are a week that repeats; after the end of
        a longer sequence its last week does.
    share : float
        Of them that enter the test, whatever their variant.

    Returns
    -------
    Duration
        In ``params`` the days, and those of whole weeks, which have each weekday equally often.

    Raises
    ------
    ParameterError
        Traffic that is negative, or that does not bring the units within ten years; a sequence of fewer than seven days that is too short.

    References
    ----------
    Kohavi, R., Tang, D. & Xu, Y. (2020), Trustworthy Online Controlled Experiments, chapter 2: whole weeks.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.duration(50_000, traffic=[3_000] * 5 + [5_000] * 2).params["days"]
    14
    """
    n = plan._found.n if isinstance(plan, Plan) else units_of("plan", plan)
    days = _daily(traffic) * _part("share", share)
    units = days.cumsum()
    enough = np.flatnonzero(units >= n * (1 - ROUNDING))
    if not enough.size:
        raise ParameterError(
            f"traffic={_checks.short(traffic)} brings {units[-1]:,.0f} units in {units.size:,} days, of {n:,} needed; give more traffic "
            "or a larger share, plan for a larger effect, or give seven days or more, of which the last week repeats.",
            code="parameter.traffic",
        )
    needed = int(enough[0]) + 1
    weeks = math.ceil(needed / _WEEK)
    rows = units[: weeks * _WEEK]
    columns: dict[str, Column] = {"day": np.arange(1, rows.size + 1), "units": rows}
    params: dict[str, object] = {"days": needed, "weeks": weeks, "days_recommended": weeks * _WEEK, "n": n, "share": share}
    if isinstance(plan, Plan):
        columns["power"] = plan._power_by(rows)
        expected = plan._found.expected_n
        params["expected_days"] = None if expected is None else int(np.searchsorted(units, expected)) + 1
    return Duration(_tables={"table": _pandas(columns)}, params=params, dropped={})


@dataclass(frozen=True, slots=True)
class _Found:
    """The numbers of a plan."""

    n: int
    effect: float
    power: float
    inflation: float
    expected_n: float | None


def _plan(question: PlanQuestion, effect: float, power: float, exact: float, units: Sequence[int]) -> Plan[pd.DataFrame]:
    """The result of one of the three, when all numbers are known."""
    known, size = question.baseline, abs(question.baseline.value)
    most, expected = question.inflation(power)
    found = _Found(sum(units), effect, power, most, exact / most * expected if question.sequential is not None else None)
    effects = question.around(effect)
    curve: dict[str, Column] = {
        "effect": effects,
        "effect_relative": effects / size if size else np.full(effects.size, np.nan),
        "power": question.power_at(effects, exact / most),
    }
    names = ["treatment"] if len(units) == 2 else [f"treatment {i}" for i in range(1, len(units))]
    variants = _output.words(_output.backend("pandas"), ["control", *names], np.arange(len(units)))
    table: dict[str, Column] = {"variant": variants, "n": np.array(units), "share": np.array(question.shares)}
    spec = getattr(question.sequential, "to_dict", None)
    params: dict[str, object] = {
        "hypothesis": question.hypothesis, "n": found.n, "n_exact": exact, "effect": effect,
        "effect_relative": effect / size if size else None, "power": power, "confidence": question.confidence,
        "alternative": question.alternative, "margin": question.margin or None, "allocation": list(question.shares),
        "correction": question.correction, "level": question.level, "inflation": most, "expected_n": found.expected_n,
        "baseline": known.to_dict(), "sequential": spec() if spec else None,
        "method": _METHODS["rate" if known.std is None else "mean", question.hypothesis], "notes": question.notes(found.n),
    }  # fmt: skip
    tables = {"table": _pandas(table), "curve": _pandas(curve)}
    return Plan(_tables=tables, params=params, dropped={}, _question=question, _found=found)


def _pandas(columns: Mapping[str, Column]) -> Any:
    return _output.build(_output.backend("pandas"), columns)


def _parts(n: float, shares: Sequence[float]) -> list[int]:
    """Whole units that add up to n where it is whole."""
    ends = np.rint(n * np.cumsum(shares))
    return [int(part) for part in np.diff(ends, prepend=0.0)]


def _part(argument: str, value: float) -> float:
    """A share that may be the whole."""
    if not 0 < _checks.number(argument, value) <= 1:
        raise ParameterError(f"{argument}={value!r} must lie in (0, 1].{percent(value)}", code=f"parameter.{argument}")
    return value


def _daily(traffic: float | Sequence[float]) -> Floats:
    """New units by day, for as many days as they are known."""
    if _checks.is_number(traffic, numbers.Real):
        days = [float(_checks.number("traffic", traffic))]
        counts = np.full(MOST_DAYS, days[0])
    else:
        days = [float(_checks.number("traffic", count)) for count in _checks.listed("traffic", traffic)]
        weeks = -(-max(MOST_DAYS - len(days), 0) // _WEEK) if len(days) >= _WEEK else 0
        counts = np.concatenate([days, np.tile(days[-_WEEK:], weeks)])[:MOST_DAYS]
    if not days or min(days) < 0 or max(days) == 0:
        raise ParameterError(
            f"traffic={_checks.short(traffic)} must be new units by day, 0 or more, and some above 0.", code="parameter.traffic"
        )
    return counts
