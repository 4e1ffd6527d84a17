"""Plans for who looks at a test before it is over: bounds and p-values that stay true, and what they cost."""

from __future__ import annotations

import abc
import dataclasses
import itertools
import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _output, _render
from opsmetrics._frames import Column, Floats
from opsmetrics._kernels import mixtures, sequential
from opsmetrics._kernels.alternatives import Alternative
from opsmetrics._kernels.sequential import Family
from opsmetrics._results import Result, shown
from opsmetrics.errors import ParameterError
from opsmetrics.experiments import schedules
from opsmetrics.experiments.monitors import Always, Looks, Monitor, groups
from opsmetrics.experiments.schedules import LOOKS, SHAPES, Price, Schedule, Terms

if TYPE_CHECKING:
    import pandas as pd

Bools = npt.NDArray[np.bool_]
FrameT_co = TypeVar("FrameT_co", covariant=True)

_MOST_LOOKS, _CLOSEST = 1_000, 1e-4

_RARE, _POWER = 10, 0.8
"""Successes and failures that a proportion needs before it is judged; the power at which a mixture's chances are told."""

_ROWS = 10
"""A mixture's chances are told in so many rows."""


# ---------------------------------------------------------------------------------------------------------------- results


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Boundaries(Result[FrameT_co]):
    """When a plan stops a test, look by look, and what it costs, as `GroupSequential.boundaries` returns it.

    Attributes
    ----------
    table : frame
        One row per look: ``look``, ``information`` (the fraction of the plan), ``n`` (units over all variants), ``bound`` (the z that stops
        the test, in size or on the side of the alternative; infinite where a look cannot stop yet), ``futility`` (the z below which it may
        be given up, with such a plan), ``nominal_p`` (the p-value of a fixed test at the bound), ``spent`` (the error spent so far; not
        for an always valid plan), and the chances to have stopped so far, ``stop_no_effect`` and ``stop_effect``. The effect is the one
        that the plan finds with its power.

    Examples
    --------
    >>> import opsmetrics as om
    >>> found = om.GroupSequential(5, planned_n=10_000).boundaries()
    >>> found.table["bound"].round(3).tolist()
    [4.877, 3.357, 2.68, 2.29, 2.031]
    >>> round(found.params["inflation"], 3)
    1.025
    """

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"])
        small = [columns.index(name) for name in ("nominal_p", "spent") if name in columns]
        told = [[f"{value:.2g}" if i in small else value for i, value in enumerate(row)] for row in rows]
        never = any(value == math.inf for row in rows for value in row)
        return _render.View(
            title="Boundaries",
            facts=shown(self.params),
            columns=columns,
            rows=told,
            shares=[name for name in ("information", "stop_no_effect", "stop_effect") if name in columns],
            notes=["a bound of inf: this look cannot stop the test yet"] if never else [],
        )


def _arguments(design: Any) -> list[str]:
    return [f.name for f in dataclasses.fields(design)]


# ---------------------------------------------------------------------------------------------------------------- designs


class Design(abc.ABC):
    """A plan for who looks at a test before it is over.

    Besides what users see, a plan tells `ab_test` what the present look may say (`_monitor`, `_ready`) and planning what it costs
    (`_inflation`).
    """

    planned_n: int

    def boundaries(self, *, confidence: float = 0.95, alternative: Alternative = "two-sided") -> Boundaries[pd.DataFrame]:
        """When the plan stops a test, and what that costs.

        Parameters
        ----------
        confidence : float
            Of the intervals, between 0 and 1: the chance to stop a test without an effect is at most 1 - confidence.
        alternative : {"two-sided", "greater", "less"}
            Which effects stop the test: any, or only those in one direction.

        Returns
        -------
        Boundaries
            ``.table`` has one row per look. ``.params`` has the price of looking: ``inflation``, how many times the units of a single look
            with the same power the whole plan has, and the units expected until a test stops, ``expected_n_no_effect`` and
            ``expected_n_effect``.

        Raises
        ------
        ParameterError
            A confidence outside 0 and 1; a power that is not above 1 - confidence; futility without a direction.

        Examples
        --------
        >>> import opsmetrics as om
        >>> plan = om.GroupSequential([0.5, 1], planned_n=1_000, spending="pocock")
        >>> plan.boundaries(confidence=0.9, alternative="greater").table[["information", "n", "bound"]].round(3)
           information     n  bound
        0          0.5   500  1.538
        1          1.0  1000  1.516
        """
        level = _checks.fraction("confidence", confidence)
        direction = _checks.choice("alternative", alternative, get_args(Alternative))
        columns, price = self._content(level, direction)
        table = _output.build(_output.backend("pandas"), columns)
        units = self.planned_n / price.most
        params = {
            "design": type(self).__name__, **self.to_dict(), "confidence": level, "alternative": direction, "inflation": price.most,
            "expected_n_no_effect": units * price.expected_no_effect, "expected_n_effect": units * price.expected_effect,
        }  # fmt: skip
        return Boundaries(_tables={"table": table}, params=params, dropped={})

    def to_dict(self) -> dict[str, object]:
        """The plan as values `json.dumps` accepts.

        Returns
        -------
        dict
            What `from_dict` reads back to an equal plan.

        Examples
        --------
        >>> import opsmetrics as om
        >>> om.AlwaysValid(20_000).to_dict()
        {'planned_n': 20000, 'burn_in': 100}
        """
        held = {name: getattr(self, name) for name in _arguments(type(self))}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in held.items()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, object]) -> Self:
        """A plan from what `to_dict` wrote.

        Parameters
        ----------
        saved : mapping
            With the arguments of the plan as keys.

        Returns
        -------
        GroupSequential or AlwaysValid

        Raises
        ------
        ParameterError
            A missing or unknown key, or arguments against the rules.

        Examples
        --------
        >>> import json, opsmetrics as om
        >>> plan = om.GroupSequential([0.25, 0.5, 1], planned_n=9_000)
        >>> om.GroupSequential.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
        True
        """
        content: Any = _checks.named("saved", saved, _arguments(cls))
        return cls(**content)

    @abc.abstractmethod
    def _content(self, confidence: float, alternative: Alternative) -> tuple[dict[str, Column], Price]:
        """The columns of the table of boundaries, and the price of the plan."""

    @abc.abstractmethod
    def _monitor(self, n: Floats, confidence: float, alternative: Alternative, ready: Bools | None = None) -> Monitor:
        """The present look at tests that have n units over all variants; `ready` as from `_ready`, by default all are."""

    @abc.abstractmethod
    def _price(self, confidence: float, power: float, alternative: Alternative) -> Price:
        """What the plan costs a test that is to have this power."""

    def _ready(self, units: Floats, rare: Floats | None = None) -> Bools:
        """Which tests may be judged, by the units of their smaller arm and, for proportions, the fewest successes or failures of an arm."""
        return np.ones((units if rare is None else rare).shape, dtype=np.bool_)

    def _inflation(self, confidence: float, power: float, alternative: Alternative) -> tuple[float, float]:
        """How many times the units of a single look with the same power the plan has, and needs on average where there is that effect."""
        price = self._price(confidence, power, alternative)
        return price.most, price.expected_effect


def _sides(alternative: Alternative) -> Literal[1, 2]:
    return 2 if alternative == "two-sided" else 1


@dataclass(frozen=True)
class GroupSequential(Design):
    """Look at a test at planned times, and stop it at bounds that keep the error what it was (also known as: alpha spending, 成组序贯).

    Each look spends a part of the error, by the information there is: the units that are in, as a fraction of those planned. A look need
    not come exactly when planned. The planned look that is nearest to the present units is taken to be the present one, and those before it
    to have been at their times, unless `looked_at` says when they were. The times must not be chosen by what the results look like. Units
    beyond the plan are allowed at the last look only.

    Parameters
    ----------
    looks : int or sequence of float
        How many looks, evenly spaced; or the fractions of `planned_n` at which they are, increasing, in (0, 1]. A last one at 1 is added
        where it is missing.
    planned_n : int
        Units over all variants at the last look.
    spending : {"obrien-fleming", "pocock", "hwang-shih-decani", "kim-demets"}
        How the error is spent: hardly any early ("obrien-fleming"), or so that the bounds are about even ("pocock"); the other two have a
        shape.
    shape : float, optional
        Of "hwang-shih-decani", from -40 to 10, by default -4 (less early; 1 is much like "pocock"); of "kim-demets", the power of the
        information, from 0.1 to 50, by default 3.
    futility : str, optional
        How the type II error 1 - `power` is spent on giving a one-sided test up, in the words of `spending`; by default it is not given up.
        "hwang-shih-decani" has the shape -2 here, "kim-demets" 3. The bounds do not bind: who goes on keeps his error.
    power : float
        The chance to find the effect that the plan is made for, between 0 and 1. It moves nothing but bounds of futility and the chances
        that `boundaries` shows.

    Raises
    ------
    ParameterError
        Looks that do not increase, that lie outside (0, 1] or closer than 0.0001, or more than 1,000 of them; an unknown way to spend; a
        shape outside its range, or for a family that has none.

    References
    ----------
    Lan, K. K. G. & DeMets, D. L. (1983), Discrete sequential boundaries for clinical trials, Biometrika 70, 659-663. Jennison, C. &
    Turnbull, B. W. (2000), Group Sequential Methods with Applications to Clinical Trials.

    Examples
    --------
    >>> import opsmetrics as om
    >>> plan = om.GroupSequential(4, planned_n=40_000)
    >>> plan.boundaries().table[["look", "n", "bound"]].round(3)
       look      n  bound
    0     1  10000  4.333
    1     2  20000  2.963
    2     3  30000  2.359
    3     4  40000  2.014
    """

    looks: int | Sequence[float]
    _: KW_ONLY
    planned_n: int
    spending: Family = "obrien-fleming"
    shape: float | None = None
    futility: Family | None = None
    power: float = 0.8

    def __post_init__(self) -> None:
        object.__setattr__(self, "looks", _looks(self.looks))
        object.__setattr__(self, "planned_n", _checks.whole_number("planned_n", self.planned_n, 1, 10**15))
        _checks.choice("spending", self.spending, get_args(Family))
        object.__setattr__(self, "shape", _shape(self.spending, self.shape))
        if self.futility is not None:
            _checks.choice("futility", self.futility, get_args(Family))
        object.__setattr__(self, "power", _checks.fraction("power", self.power))

    def looked_at(self, counts: Sequence[int]) -> GroupSequential:
        """The plan with its looks at the times at which they were, however many they are.

        A bound depends on the looks up to its own alone (Lan and DeMets), so a plan that is made anew at each look keeps its error: whoever
        looks twice near one planned look, or at other times than planned, says so here.

        Parameters
        ----------
        counts : sequence of int
            Units over all variants at each look so far, the present one included; increasing. Only the last may reach `planned_n`.

        Returns
        -------
        GroupSequential
            With these looks, and those of the planned ones that are still to come: an actual look takes the place of the planned one that
            is nearest to it.

        Raises
        ------
        ParameterError
            No look; units that are no whole numbers or do not increase; looks closer than 0.0001 of the plan, or after its end.

        Examples
        --------
        >>> import opsmetrics as om
        >>> plan = om.GroupSequential(5, planned_n=10_000)
        >>> plan.looked_at([1_400, 4_100, 4_300]).looks
        (0.14, 0.41, 0.43, 0.6, 0.8, 1.0)
        """
        been, planned = _been(counts, self.planned_n), np.array(self._terms().times)
        coming = planned[int(np.argmin(np.abs(planned - been[-1]))) + 1 :]
        coming = coming[(coming >= been[-1] + 2 * _CLOSEST) | (coming == 1)]
        if (looks := len(been) + len(coming)) > _MOST_LOOKS:
            raise ParameterError(
                f"counts has {len(been)} looks, which with those still to come are {looks}; {_MOST_LOOKS:,} is the most. Leave out "
                "some that were close to others.",
                code="parameter.counts",
            )
        return dataclasses.replace(self, looks=(*been, *coming.tolist()))

    def _terms(self) -> Terms:
        """The plan in shares of its units, its last look at 1."""
        if isinstance(self.looks, int):
            times = (np.arange(1, self.looks + 1) / self.looks).tolist()
        else:
            times = self.looks if self.looks[-1] == 1 else [*self.looks, 1.0]
        return Terms(tuple(times), self.spending, self.shape, self.futility, self.power)

    def _content(self, confidence: float, alternative: Alternative) -> tuple[dict[str, Column], Price]:
        plan = self._plan(confidence, alternative)
        t, below, above = plan.walk.t, *plan.leaving()
        futility = {} if self.futility is None else {"futility": plan.lower.lower}
        columns: dict[str, Column] = {
            "look": np.arange(1, t.size + 1),
            **_bounds(t, self.planned_n, plan.walk.upper, _sides(alternative)),
            **futility,
            "spent": plan.spending.spent(t, 1 - confidence),
            **_chances(below + above),
        }
        return columns, plan.price()

    def _monitor(self, n: Floats, confidence: float, alternative: Alternative, ready: Bools | None = None) -> Monitor:
        plan, t = self._plan(confidence, alternative), np.asarray(n, dtype=np.float64) / self.planned_n
        look = np.searchsorted((plan.walk.t[1:] + plan.walk.t[:-1]) / 2, t)
        critical, futility = np.full(t.size, np.inf), np.full(t.size, -np.inf)
        judged = t > 0 if ready is None else ready & (t > 0)
        for k, here in groups(look, judged):
            critical[here] = plan.critical(k, t[here])
            futility[here] = np.minimum(plan.give_up(k, t[here]), critical[here])
        sides = _sides(alternative)
        return Looks(error=1 - confidence, sides=sides, critical=critical, plan=plan, look=look, t=t, judged=judged, futility=futility)

    def _price(self, confidence: float, power: float, alternative: Alternative) -> Price:
        if self.futility is not None:
            return dataclasses.replace(self, power=power)._plan(confidence, alternative).price()
        error, sides = 1 - confidence, _sides(alternative)
        _demand_power(power, error)
        return schedules.priced(schedules.stops(self._terms(), error, sides), power, error, sides)

    def _plan(self, confidence: float, alternative: Alternative) -> Schedule:
        if self.futility is not None and alternative == "two-sided":
            raise ParameterError(
                f"futility={self.futility!r} gives up one direction, but alternative='two-sided' has two; choose 'greater' or 'less', or "
                "leave futility out.",
                code="parameter.futility",
            )
        _demand_power(self.power, 1 - confidence)
        return schedules.schedule(self._terms(), 1 - confidence, _sides(alternative))


@dataclass(frozen=True)
class AlwaysValid(Design):
    """Look at a test whenever one likes, and stop it whenever one likes (also known as: mSPRT, anytime-valid inference).

    The interval is wider than that of a single look, and holds at all sample sizes at once. It is the asymptotic confidence sequence of a
    normal mixture, tuned to be narrowest near `planned_n`; it stays true before and after.

    Parameters
    ----------
    planned_n : int
        Units over all variants at which the interval is to be narrow: those that the test would have without looking.
    burn_in : int
        Units that each variant must have, and for a proportion ten successes and ten failures as well, before there is an interval; before
        that p is 1. Normal approximations do not hold earlier.

    Raises
    ------
    ParameterError
        Numbers of units that are no whole numbers, or out of range.

    References
    ----------
    Waudby-Smith, I., Arbour, D., Sinha, R., Kennedy, E. H. & Ramdas, A. (2024), Time-uniform central limit theory and asymptotic
    confidence sequences, Annals of Statistics 52, 2613-2640. Johari, R., Koomen, P., Pekelis, L. & Walsh, D. (2022), Always valid
    inference: continuous monitoring of A/B tests, Operations Research 70, 1806-1821.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.AlwaysValid(40_000).boundaries().table[["n", "bound"]].round(3).tail(2)
           n  bound
    8  36000  3.037
    9  40000  3.035
    """

    planned_n: int
    _: KW_ONLY
    burn_in: int = 100

    def __post_init__(self) -> None:
        object.__setattr__(self, "planned_n", _checks.whole_number("planned_n", self.planned_n, 1, 10**15))
        object.__setattr__(self, "burn_in", _checks.whole_number("burn_in", self.burn_in, 0, 10**15))

    def _content(self, confidence: float, alternative: Alternative) -> tuple[dict[str, Column], Price]:
        error, sides = 1 - confidence, _sides(alternative)
        walk = schedules.mixture(error, sides)
        rows = slice(LOOKS // _ROWS - 1, None, LOOKS // _ROWS)
        price = self._price(confidence, _POWER, alternative)
        below, above = sequential.leaving(walk, [0.0, math.sqrt(price.most) * sequential.fixed_drift(_POWER, error, sides)])
        columns: dict[str, Column] = {
            "look": np.arange(1, _ROWS + 1),
            **_bounds(walk.t[rows], self.planned_n, walk.upper[rows], sides),
            **{name: values[rows] for name, values in _chances(below + above).items()},
        }
        return columns, price

    def _monitor(self, n: Floats, confidence: float, alternative: Alternative, ready: Bools | None = None) -> Monitor:
        error, sides, units = 1 - confidence, _sides(alternative), np.asarray(n, dtype=np.float64)
        rho2 = mixtures.tuned(self.planned_n, error)
        judged = units > 0 if ready is None else ready & (units > 0)
        critical = np.where(judged, mixtures.critical(units, rho2, error, sides), np.inf)
        return Always(error=error, sides=sides, critical=critical, n=units, rho2=rho2, ready=judged, planned_n=self.planned_n)

    def _ready(self, units: Floats, rare: Floats | None = None) -> Bools:
        enough = units >= self.burn_in
        return enough if rare is None else enough & (rare >= _RARE)

    def _price(self, confidence: float, power: float, alternative: Alternative) -> Price:
        error, sides = 1 - confidence, _sides(alternative)
        _demand_power(power, error)
        return schedules.priced(schedules.mixture(error, sides), power, error, sides)


# ------------------------------------------------------------------------------------------------------------------ columns


def _bounds(t: Floats, planned_n: int, upper: Floats, sides: int) -> dict[str, Column]:
    from scipy.special import ndtr

    units = np.ceil(t * planned_n * (1 - 1e-15)).astype(np.int64)
    return {"information": t, "n": units, "bound": upper, "nominal_p": sides * ndtr(-upper)}


def _chances(stops: Floats) -> dict[str, Floats]:
    none, some = np.minimum(stops.cumsum(axis=0), 1.0).T
    return {"stop_no_effect": none, "stop_effect": some}


# ---------------------------------------------------------------------------------------------------------------- arguments


def _looks(given: Any) -> int | tuple[float, ...]:
    """How many looks, or their times."""
    if _checks.is_number(given, numbers.Number):
        return _checks.whole_number("looks", given, 1, _MOST_LOOKS, hint=" Fractions of the plan are given as a list.")
    times = tuple(float(_checks.number("looks", one)) for one in _checks.listed("looks", given))
    if not 1 <= len(times) <= _MOST_LOOKS:
        raise ParameterError(f"looks has {len(times)} looks; it must have from 1 to {_MOST_LOOKS}.", code="parameter.looks")
    if outside := [t for t in times if not 0 < t <= 1]:
        hint = f" Did you mean {[t / 100 for t in times]}?" if all(1 <= t <= 100 for t in times) else ""
        raise ParameterError(
            f"looks={list(times)} has {outside[0]:g}; a look is at a fraction of planned_n, above 0 and at most 1.{hint}",
            code="parameter.looks",
        )
    for before, after in itertools.pairwise((*times, *([1.0] if times[-1] < 1 else []))):
        if not after - before >= _CLOSEST * (1 - 1e-9):  # fractions are rounded
            raise ParameterError(
                f"looks={list(times)} must increase by {_CLOSEST:g} or more, up to a last look at 1; {after:g} follows {before:g}.",
                code="parameter.looks",
            )
    return times


def _been(counts: Any, planned_n: int) -> tuple[float, ...]:
    """Looks that have been, as fractions of the plan; units beyond it belong to its end."""
    given = _checks.listed("counts", counts)
    if not given:
        raise ParameterError("counts=[] must have one or more looks, each as the units over all variants.", code="parameter.counts")
    units = [_checks.whole_number("counts", one, 1, 10**15, hint=" A look is told by its units over all variants.") for one in given]
    ends = [*units, *([planned_n] if units[-1] < planned_n else [])]
    for before, after in itertools.pairwise(ends):
        if before >= planned_n or after - before < _CLOSEST * planned_n:
            raise ParameterError(
                f"counts={given} must increase by {_CLOSEST:g} of planned_n={planned_n} or more, and end where the plan does; "
                f"{after} follows {before}.",
                code="parameter.counts",
            )
    return tuple(min(one / planned_n, 1.0) for one in units)


def _shape(family: Family, given: float | None) -> float | None:
    """A shape that the family can have."""
    if given is None:
        return None
    if family not in SHAPES:
        raise ParameterError(
            f"shape={given!r} has nothing to act on, for spending={family!r} has no shape; leave it out, or choose one of {list(SHAPES)}.",
            code="parameter.shape",
        )
    _, low, high = SHAPES[family]
    shape = float(_checks.number("shape", given))
    if not low <= shape <= high:
        raise ParameterError(
            f"shape={given!r} is out of range; for spending={family!r} it must lie between {low:g} and {high:g}.", code="parameter.shape"
        )
    return shape


def _demand_power(power: float, error: float) -> None:
    if power <= error * (1 + 1e-9):
        argument = "confidence" if power >= 0.5 else "power"
        raise ParameterError(
            f"confidence={1 - error:g} leaves a chance of {error:g} to stop without an effect, and power={power!r} is not above that; the "
            "usual choices are 0.95 and 0.8.",
            code=f"parameter.{argument}",
        )
