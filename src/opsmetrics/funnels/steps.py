"""Steps and exclusions of a funnel: what the caller writes, and the patterns of events it stands for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from opsmetrics import _checks
from opsmetrics._marks import MOST_PATTERNS, Pattern
from opsmetrics._patterns import Of, pattern, word
from opsmetrics.errors import ParameterError, nearest


@dataclass(frozen=True)
class Step:
    """One step of a funnel, where a name or a mapping does not say enough (also known as: 漏斗步骤).

    Parameters
    ----------
    of : str, int, list or mapping
        What fills the step: an event, any of a list of events, ``{"event": ..., "where": {column: value}}`` (a list of values for any of
        them; without "event" any event), or the name of a boolean column.
    label : str, optional
        What the step is called in results; the event by default.
    optional : bool
        Whether the step may be skipped: the steps after it do not wait for it. The first step cannot be optional.

    Raises
    ------
    ParameterError
        By `funnel`, where the step is not understood.

    References
    ----------
    Optional steps are those of GrowthBook's funnel metrics: windows and gaps are those between the required steps.

    Examples
    --------
    >>> import opsmetrics as om
    >>> events = om.make_events(100, rng=1)
    >>> steps = ["view", om.Step("coupon", optional=True), om.Step(["pay_card", "pay_wallet"], label="pay")]
    >>> om.funnel(events, ["view", om.Step("cart", optional=True), om.Step(["pay"], label="paid")],
    ...           customer="customer", event="event", time="time").table["step"].tolist()
    ['view', 'cart', 'paid']
    """

    of: Of
    label: str | None = field(default=None, kw_only=True)
    optional: bool = field(default=False, kw_only=True)


StepLike: TypeAlias = Of | Step
"""What a step may be written as."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps as patterns, with their labels."""

    labels: tuple[str, ...]
    patterns: tuple[Pattern, ...]
    optional: tuple[bool, ...]

    @property
    def required(self) -> tuple[int, ...]:
        """The numbers, from 0, of the steps that must be taken."""
        return tuple(number for number, optional in enumerate(self.optional) if not optional)

    def number(self, argument: str, given: object) -> int:
        """The number, from 0, of a step named by its label or by its number from 1."""
        if isinstance(given, str) and given in self.labels:
            return self.labels.index(given)
        place = word(given)
        if isinstance(place, int) and not isinstance(place, bool) and 1 <= place <= len(self.labels):
            return place - 1
        raise ParameterError(
            f"{argument}={given!r} is no step of this funnel; its steps are {list(self.labels)}, or their numbers from 1 to "
            f"{len(self.labels)}.{nearest(given, self.labels)}",
            code=f"parameter.{argument}",
        )


@dataclass(frozen=True, slots=True)
class Excluded:
    """Patterns that end an attempt, and the required steps (places among them) between which they do."""

    labels: tuple[str, ...]
    patterns: tuple[Pattern, ...]
    spans: tuple[tuple[int, int], ...]


def understand(steps: object, event: str | None, kinds: Mapping[str, str]) -> Steps:
    """The steps of a funnel as patterns over columns of these kinds."""
    given = _listed("steps", steps)
    if len(given) < 2:
        raise ParameterError(
            f"steps={given!r} has {len(given)} step; a funnel leads from one step to another, so name two or more.", code="parameter.steps"
        )
    if len(given) > MOST_PATTERNS:
        raise ParameterError(f"steps has {len(given)} steps; {MOST_PATTERNS} are the most.", code="parameter.steps")
    whole = [step if isinstance(step, Step) else Step(step) for step in given]
    for step in whole:
        if not isinstance(step.optional, bool):
            raise ParameterError(f"optional={step.optional!r} must be True or False.", code="parameter.optional")
    if whole[0].optional:
        raise ParameterError(
            f"steps begins with an optional step, {whole[0].of!r}; the first step opens an attempt, so it must be taken.",
            code="parameter.steps",
        )
    if sum(not step.optional for step in whole) < 2:
        raise ParameterError("steps has one required step; name two or more that must be taken.", code="parameter.steps")
    read = [pattern("steps", step.of, event, kinds) for step in whole]
    labels = [_checks.word("label", step.label) if step.label is not None else label for step, (label, _) in zip(whole, read, strict=True)]
    return Steps(_numbered(labels), tuple(pattern for _, pattern in read), tuple(bool(step.optional) for step in whole))


def understand_exclusions(exclude: object, steps: Steps, event: str | None, kinds: Mapping[str, str]) -> Excluded:
    """What ends an attempt, and between which steps."""
    if exclude is None:
        return Excluded((), (), ())
    given = exclude if isinstance(exclude, (list, tuple)) else [exclude]
    labels, patterns, spans = [], [], []
    for one in given:
        inner = one.of if isinstance(one, Step) else one
        bounds = {key: inner[key] for key in ("after", "before") if key in inner} if isinstance(inner, Mapping) else {}
        rest = {key: value for key, value in inner.items() if key not in bounds} if isinstance(inner, Mapping) else inner
        label, found = pattern("exclude", rest, event, kinds)
        labels.append(label)
        patterns.append(found)
        spans.append(_span(bounds, steps))
    if len(patterns) + len(steps.patterns) > MOST_PATTERNS:
        raise ParameterError(
            f"exclude and steps name {len(patterns) + len(steps.patterns)} patterns; {MOST_PATTERNS} are the most.",
            code="parameter.exclude",
        )
    return Excluded(tuple(labels), tuple(patterns), tuple(spans))


def _span(bounds: Mapping[str, object], steps: Steps) -> tuple[int, int]:
    """Between which required steps an exclusion acts."""
    ends = {"after": steps.required[0], "before": steps.required[-1]}
    for argument, given in bounds.items():
        ends[argument] = steps.number(argument, given)
        if ends[argument] not in steps.required:
            raise ParameterError(
                f"{argument}={given!r} is an optional step; exclusions lie between steps that must be taken.", code=f"parameter.{argument}"
            )
    after, before = steps.required.index(ends["after"]), steps.required.index(ends["before"])
    if after >= before:
        raise ParameterError(
            f"exclude acts after {steps.labels[ends['after']]!r} and before {steps.labels[ends['before']]!r}; the first must come "
            f"before the second.",
            code="parameter.exclude",
        )
    return after, before


def _listed(argument: str, values: object) -> list[Any]:
    if isinstance(values, (list, tuple)):
        return list(values)
    hint = f" Did you mean [{values!r}, ...]?" if isinstance(values, str) else ""
    raise ParameterError(f"{argument}={_checks.short(values)} must be a list of steps in their order.{hint}", code=f"parameter.{argument}")


def _numbered(labels: Sequence[str]) -> tuple[str, ...]:
    """Repeated labels get numbers, since each row of a result must have a name of its own."""
    seen: Counter[str] = Counter()
    made = []
    for label in labels:
        seen[label] += 1
        made.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return tuple(made)
