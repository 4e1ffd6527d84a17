"""What is asked of a test before it: its hypothesis, its level and its units, each within its rule."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks
from opsmetrics._kernels import planning as kernel
from opsmetrics._kernels.alternatives import Alternative
from opsmetrics.errors import ParameterError
from opsmetrics.experiments import searches
from opsmetrics.experiments.baselines import Baseline, percent
from opsmetrics.experiments.designs import AlwaysValid, GroupSequential
from opsmetrics.experiments.metrics import Hypothesis

Floats = npt.NDArray[np.float64]
PlannedCorrection: TypeAlias = Literal["bonferroni", "dunnett", "holm"]

MOST_UNITS = 1e15
ROUNDING = 1e-9
"""An exact number this near above a whole one is that whole one."""

_LEAST = 2
_EFFECTS = 101
_INSIDE = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class PlanQuestion:
    """What is asked of a test, but for the number that is sought. `sign` is 1 where a higher value is hoped for; `level` is of one side."""

    baseline: Baseline
    relative: bool
    confidence: float
    alternative: Alternative
    shares: tuple[float, ...]
    correction: PlannedCorrection | None
    sequential: GroupSequential | AlwaysValid | None
    hypothesis: Hypothesis
    margin: float
    level: float
    sign: int

    @property
    def least(self) -> float:
        """The fewest units over all variants."""
        return _LEAST * self.baseline.cluster_size / min(self.shares)

    def absolute(self, size: float) -> float:
        """A size that may be relative to the baseline's."""
        return size * abs(self.baseline.value) if self.relative else size

    def power_at(self, effect: npt.ArrayLike, n: npt.ArrayLike) -> Floats:
        """The power of one look at n units, of the comparison that has the least."""
        units = np.asarray(n, dtype=np.float64)[..., None] * np.array(self.shares)
        powers = self._powers(self.sign * np.asarray(effect, dtype=np.float64)[..., None], units[..., :1], units[..., 1:])
        return np.asarray(powers.min(axis=-1))

    def _powers(self, effect: Floats, control: Floats, treatment: Floats) -> Floats:
        """The power by comparison; a metric of which less is better is turned round."""
        known, equivalence = self.baseline, self.hypothesis == "equivalence"
        worth = 1 / known.factor
        if known.std is None:
            p = known.value if self.sign > 0 else 1 - known.value
            of = kernel.power_of_equivalent_rates if equivalence else kernel.power_of_rates
            return of(p, p + effect, control * worth, treatment * worth, self.margin, self.level)
        error = known.std * np.sqrt(1 / (control * worth) + 1 / (treatment * worth))
        df = kernel.welch_df(control / known.cluster_size, treatment / known.cluster_size)
        if equivalence:
            return kernel.power_of_equivalent_means(effect, self.margin, error, df, self.level)
        return kernel.power_of_means(effect + self.margin, error, df, self.level)

    def inflation(self, power: float) -> tuple[float, float]:
        """By what looks along the way multiply the units: at most, and on average under the effect."""
        if self.sequential is None:
            return 1.0, 1.0
        sides: Literal[1, 2] = 2 if self.alternative == "two-sided" and self.hypothesis == "superiority" else 1
        # Outside of these the inflation is of no use: what chance finds anyway, and what is all but sure
        within = min(max(power, 1.2 * sides * self.level), kernel.NEARLY_SURE)
        return self.sequential._inflation(1 - sides * self.level, within, "two-sided" if sides == 2 else "greater")

    def reached_power(self, effect: float, n: float) -> float:
        """The power at n units; with looks along the way it is the one whose inflated units are n."""
        fixed = float(self.power_at(effect, n))
        if self.sequential is None:
            return fixed
        return searches.settled(
            lambda power: float(self.power_at(effect, max(n / self.inflation(power)[0], self.least))), self.level, fixed
        )

    def around(self, effect: float) -> Floats:
        """Effects for a picture: from none to twice this one, or a quarter beyond the margins."""
        wide = 1.25 * max(self.margin, abs(effect))
        ends = (-wide, wide) if self.margin else (0.0, 2 * effect)
        if self.baseline.std is None:
            low, high = -self.baseline.value * _INSIDE, (1 - self.baseline.value) * _INSIDE
            ends = min(max(ends[0], low), high), min(max(ends[1], low), high)
        return np.linspace(*ends, _EFFECTS)

    def sizes(self, n: float) -> tuple[float, float]:
        """The smallest and the largest effect to look among."""
        known = self.baseline
        if known.std is None:
            high = (1 - known.value if self.sign > 0 else known.value) * _INSIDE
        else:
            high = 1e4 * known.std * math.sqrt(known.factor / (n * min(self.shares)))
        return high * 1e-12, high

    def expecting(self, effect: float) -> tuple[PlanQuestion, float]:
        """The question with the direction of this effect, and the effect as a difference."""
        difference = self.absolute(_checks.number("effect", effect))
        question = self
        if self.hypothesis == "superiority":
            if difference == 0:
                raise ParameterError(
                    "effect=0 is nothing to find; give the smallest difference worth finding, or hypothesis='non-inferiority' or "
                    "'equivalence' with a margin.",
                    code="parameter.effect",
                )
            question = dataclasses.replace(self, sign=1 if difference > 0 else -1)
            if self.alternative != "two-sided" and question.sign != self.sign:
                raise ParameterError(
                    f"effect={effect!r} cannot be found under alternative={self.alternative!r}, which looks the other way. "
                    f"Did you mean {-effect!r}?",
                    code="parameter.effect",
                )
        elif (abs(difference) if self.hypothesis == "equivalence" else -self.sign * difference) >= self.margin:
            raise ParameterError(
                f"effect={effect!r} lies beyond the margin of {self.margin:g}, so that {self.hypothesis} cannot be shown; "
                "expect a smaller difference, such as 0, or allow a larger margin.",
                code="parameter.effect",
            )
        if self.baseline.std is None and not 0 < self.baseline.value + difference < 1:
            hint = percent(effect)
            raise ParameterError(
                f"effect={effect!r} takes the rate of {self.baseline.value:g} to {self.baseline.value + difference:g}; a rate must lie "
                f"between 0 and 1.{hint}",
                code="parameter.effect",
            )
        return question, difference

    def asked_power(self, power: float) -> float:
        """A power above what chance alone finds."""
        asked = _checks.fraction("power", power)
        if asked <= self.level:
            raise ParameterError(
                f"power={power!r} is no more than chance finds; it must be above {self.level:g}. The usual choice is 0.8.",
                code="parameter.power",
            )
        return asked

    def enough(self, n: float, inflation: float = 1.0) -> float:
        """Units of which each variant has two, or two clusters."""
        units, least = units_of("n", n), self.least * inflation
        if units < least * (1 - ROUNDING):
            kind = "units" if self.baseline.cluster_size == 1 else "clusters"
            raise ParameterError(
                f"n={n!r} is too few; each variant needs two {kind}, which takes {math.ceil(least * (1 - ROUNDING)):,} units over all.",
                code="parameter.n",
            )
        return max(units, least)

    def notes(self, n: int) -> list[str]:
        """What should be known before the plan is used."""
        notes = ["holm is planned as bonferroni, which is what holds for the first finding"] if self.correction == "holm" else []
        planned = getattr(self.sequential, "planned_n", None)
        if planned is not None and planned != n:
            notes.append(f"the looks are made for planned_n={planned:,}; make them again for the {n:,} units of this plan")
        return notes


def ask(
    baseline: float | Baseline,
    relative: bool,
    confidence: float,
    alternative: Alternative,
    allocation: Sequence[float],
    correction: PlannedCorrection | None,
    sequential: GroupSequential | AlwaysValid | None,
    hypothesis: Hypothesis,
    margin: float | None,
) -> PlanQuestion:
    """The question, each part within its rule."""
    known = baseline if isinstance(baseline, Baseline) else _from_rate(baseline)
    weights = _weights(allocation)
    shares = tuple(weight / math.fsum(weights) for weight in weights)
    shown = _checks.choice("hypothesis", hypothesis, get_args(Hypothesis))
    side = _checks.choice("alternative", alternative, get_args(Alternative))
    kept = _planned_correction(correction)
    if not isinstance(relative, bool):
        raise ParameterError(f"relative={relative!r} must be True or False; the size goes into effect.", code="parameter.relative")
    if relative and known.value == 0:
        raise ParameterError("relative=True has no meaning for a baseline of 0; give the effect itself.", code="parameter.relative")
    if shown == "equivalence":
        _two_sided_and_one_look(side, sequential)
    if sequential is not None and kept == "dunnett":
        raise ParameterError("correction='dunnett' has no sequential form, as in ab_test; plan with 'holm'.", code="parameter.correction")
    if not _is_design(sequential):
        raise ParameterError(
            f"sequential={_checks.short(sequential)} is no design; give a GroupSequential or an AlwaysValid.", code="parameter.sequential"
        )
    sides: Literal[1, 2] = 2 if side == "two-sided" and shown == "superiority" else 1
    level = _level(1 - _checks.fraction("confidence", confidence), sides, shares, kept)
    sign = -1 if side == "less" else 1
    question = PlanQuestion(known, relative, confidence, side, shares, kept, sequential, shown, 0.0, level, sign)
    return dataclasses.replace(question, margin=_margin(question, margin))


def _is_design(given: object) -> bool:
    return given is None or (not isinstance(given, type) and callable(getattr(given, "_inflation", None)))


def _level(error: float, sides: Literal[1, 2], shares: Sequence[float], correction: PlannedCorrection | None) -> float:
    """The chance of a false finding of one comparison on one side, so that `error` holds over all comparisons and sides."""
    treatments = len(shares) - 1
    if correction == "dunnett" and treatments > 1:
        return kernel.dunnett_level(error, shares, sides)
    return error / sides / (treatments if correction else 1)


def _from_rate(value: float) -> Baseline:
    if not _checks.is_number(value, numbers.Real):
        raise ParameterError(f"baseline={_checks.short(value)} must be a rate or a Baseline.", code="parameter.baseline")
    return Baseline(float(value))


def _weights(allocation: Sequence[float]) -> list[float]:
    weights = [float(_checks.number("allocation", weight)) for weight in _checks.listed("allocation", allocation)]
    if len(weights) < 2 or min(weights) <= 0:
        raise ParameterError(
            f"allocation={allocation!r} must have a weight above 0 for each variant, the control's first, and at least two; "
            "(1, 1) are equal halves.",
            code="parameter.allocation",
        )
    return weights


def _planned_correction(correction: PlannedCorrection | None) -> PlannedCorrection | None:
    if correction in ("benjamini-hochberg", "benjamini-yekutieli", "hochberg"):
        raise ParameterError(
            f"correction={correction!r} has no level of its own to plan with, as it depends on the other comparisons; plan with "
            "'bonferroni', 'dunnett' or 'holm'.",
            code="parameter.correction",
        )
    return None if correction is None else _checks.choice("correction", correction, get_args(PlannedCorrection))


def _two_sided_and_one_look(alternative: Alternative, sequential: GroupSequential | AlwaysValid | None) -> None:
    """Equivalence has two sides and one look."""
    if alternative != "two-sided":
        raise ParameterError(
            f"alternative={alternative!r} does not go with hypothesis='equivalence', which has both sides; leave it 'two-sided'.",
            code="parameter.alternative",
        )
    if sequential is not None:
        raise ParameterError(
            "sequential does not go with hypothesis='equivalence', which is planned for one look; leave it out.",
            code="parameter.sequential",
        )


def _margin(question: PlanQuestion, margin: float | None) -> float:
    """The margin as a difference; 0 under superiority."""
    if question.hypothesis == "superiority":
        if margin is not None:
            raise ParameterError(
                f"margin={margin!r} has no meaning under hypothesis='superiority'; it goes with 'non-inferiority' or 'equivalence'.",
                code="parameter.margin",
            )
        return 0.0
    if margin is None:
        raise ParameterError(
            f"margin is missing; hypothesis={question.hypothesis!r} needs the difference that would matter, above 0.",
            code="parameter.margin",
        )
    size = question.absolute(_checks.number("margin", margin))
    if size <= 0 or (question.baseline.std is None and size >= 1):
        bounds = "between 0 and 1, a difference of rates" if question.baseline.std is None else "above 0"
        hint = f" Did you mean {-margin!r}?" if size < 0 else percent(margin)
        raise ParameterError(f"margin={margin!r} must be {bounds}.{hint}", code="parameter.margin")
    return size


def units_of(argument: str, n: float) -> float:
    """A number of units, which need not be whole."""
    if not _checks.is_number(n, numbers.Real) or not 0 < n <= MOST_UNITS:
        raise ParameterError(
            f"{argument}={_checks.short(n)} must be a number of units above 0, over all variants.", code=f"parameter.{argument}"
        )
    return n
