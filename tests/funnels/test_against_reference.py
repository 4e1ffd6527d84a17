"""The funnel against the slow reference, on small logs full of equal times, overlapping steps and exclusions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import opsmetrics as om
from tests.funnels import reference as slow
from tests.support import columns_of

BASE = dt.datetime(2026, 1, 5, 10, 30)  # not midnight: a bound of the entries is an instant here, not a day

STEPS = ["A", "B", "C", "D", ["A", "B"], ["B", "C"], ["A", "C", "D"], {"event": "A", "where": {"g": "p"}}, {"where": {"g": ["p", "q"]}}]
EXCLUSIONS = ["X", "D", ["X", "C"], {"event": "X", "where": {"g": "p"}}]
FLAGS = ["s1", "s2", "s3", "x"]

ORDERS = ["ordered", "strict", "any"]
TIES = ["favorable", "strict"]
PICKS = ["best", "first", "latest", "totals"]
FEATURES = ["gaps", "end", "remove", "optional", "hold", "between"]
TOGETHER = [{"gaps", "end"}, {"gaps", "remove"}, {"gaps", "optional"}, {"optional", "end"}, {"optional", "remove"}]


@dataclass(frozen=True)
class Case:
    """A log and the arguments of a funnel over it, times and durations in whole seconds."""

    log: list[dict[str, Any]]
    steps: list[Any]
    rules: slow.Rules
    exclude: list[dict[str, Any]] = field(default_factory=list)
    hold: bool = False

    # ------------------------------------------------------------------------------------------------------- the library

    def funnel(self) -> om.Funnel:
        rules, named = self.rules, "event" in self.log[0]
        frame = pd.DataFrame(self.log)
        # Text, even where all of a column is null.
        frame = frame.astype({name: "string" for name in ("uid", "event", "g") if name in frame})
        frame["at"] = pd.to_datetime([None if row["at"] is None else BASE + _seconds(row["at"]) for row in self.log])
        bounds = rules.entries_between
        return om.funnel(
            frame,
            [om.Step(step, optional=k in rules.optional) for k, step in enumerate(self.steps, start=1)],
            customer="uid",
            time="at",
            event="event" if named else None,
            window=_seconds(rules.window),
            step_window=_durations(rules.step_window),
            min_gap=_durations(rules.min_gap),
            order=rules.order,
            ties=rules.ties,
            entry=rules.entry,
            count=rules.count,
            exclude=self.exclude or None,
            exclusion=rules.exclusion,
            hold=["g"] if self.hold else None,
            entries_between=None if bounds is None else (BASE + _seconds(bounds[0]), BASE + _seconds(bounds[1])),
            allow_missing=True,
        )

    # ----------------------------------------------------------------------------------------------------- the reference

    def events(self) -> list[slow.Event]:
        return [slow.Event(self.key(row), row["at"], row) for row in self.log]

    def key(self, row: dict[str, Any]) -> Any:
        if row["uid"] is None or (self.hold and row["g"] is None):
            return None
        return (row["uid"], row["g"]) if self.hold else row["uid"]

    def patterns(self) -> tuple[list[Any], list[dict[str, Any]]]:
        """Steps and exclusions as the reference reads them, where a flag is a column that is true."""
        if "event" in self.log[0]:
            return self.steps, self.exclude
        return [{"where": {flag: True}} for flag in self.steps], [{"where": {exclusion["event"]: True}} for exclusion in self.exclude]

    def reference(self) -> dict[Any, list[slow.Path]]:
        return slow.paths(slow.read(self.events(), *self.patterns(), self.rules), self.rules)

    def last_time(self) -> int:
        return max(row["at"] for row in self.log if row["at"] is not None)

    def unusable(self) -> int:
        """Rows without a key or a time, among those that take part: in strict order every row does."""
        steps, exclude = self.patterns()
        unusable = [event for event in self.events() if event.key is None or event.time is None]
        return sum(self.rules.order == "strict" or any(slow.matches(p, event) for p in [*steps, *exclude]) for event in unusable)


def _seconds(seconds: int | None) -> dt.timedelta | None:
    return None if seconds is None else dt.timedelta(seconds=seconds)


def _durations(gaps: list[int | None] | None) -> Any:
    """The gaps as a list, or as one duration where all are alike."""
    if gaps is None:
        return None
    return _seconds(gaps[0]) if len(set(gaps)) == 1 else [_seconds(gap) for gap in gaps]


# ------------------------------------------------------------------------------------------------------------------ logs


def random_rows(random: Random, uid: str, size: int, flags: bool) -> list[dict[str, Any]]:
    """Rows of one customer in a short time; now and then a customer or a time is null."""
    instants = random.choice([4, 8, 8, 12])
    found: list[dict[str, Any]] = []
    for _ in range(size):
        row: dict[str, Any] = {"uid": uid, "at": random.randrange(instants)}
        if flags:
            row |= {flag: random.random() < 0.35 for flag in FLAGS}
        else:
            row |= {"event": random.choice("AAAABBBBCCCCDDXX"), "g": random.choice(["p", "p", "p", "q", "q", None])}
        if found and random.random() < 0.04:
            row[random.choice(["uid", "at"])] = None
        found.append(row)
    return found


@st.composite
def logs(draw: st.DrawFn, flags: bool = False) -> list[dict[str, Any]]:
    """Random rows of some customers, shuffled: richer than rows drawn one by one, and a failure still shrinks to fewer of them."""
    random = Random(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=8))
    log = [row for number, size in enumerate(sizes) for row in random_rows(random, f"c{number}", size, flags)]
    random.shuffle(log)
    return log


@st.composite
def rules(draw: st.DrawFn, steps: int, order: str, ties: str, pick: str, features: AbstractSet[str]) -> slow.Rules:
    """Rules of a funnel of so many steps."""
    optional: frozenset[int] = frozenset()
    if "optional" in features:
        optional = draw(st.frozensets(st.integers(2, steps), min_size=1, max_size=steps - 2)) if steps > 2 else optional
    step_window = min_gap = None
    if "gaps" in features:
        one = st.integers(0, 4)

        def only_required(gaps: list[int | None]) -> list[int | None]:
            # One duration is for all gaps; a list names none for a step that is optional.
            return gaps if len(set(gaps)) == 1 else [None if step in optional else gap for step, gap in enumerate(gaps, start=2)]

        gaps = st.lists(st.none() | one, min_size=steps - 1, max_size=steps - 1) | one.map(lambda gap: [gap] * (steps - 1))
        step_window = draw(st.none() | gaps.map(only_required).filter(any))
        if step_window is None or draw(st.booleans()):
            bounds = step_window or [None] * (steps - 1)
            shortest = draw(st.integers(0, 2))
            min_gap = only_required([shortest if bound is None else min(shortest, bound) for bound in bounds])
    between = None
    if "between" in features:
        start = draw(st.integers(0, 5))
        between = (start, start + draw(st.integers(0, 5)))
    return slow.Rules(
        steps,
        optional=optional,
        window=draw(st.none() | st.integers(2, 8) | st.integers(0, 8)),
        step_window=step_window,
        min_gap=min_gap,
        order=order,
        ties=ties,
        entry="best" if pick == "totals" else pick,
        count="totals" if pick == "totals" else "unique",
        exclusion="remove" if "remove" in features else "end",
        entries_between=between,
    )


@st.composite
def exclusions(draw: st.DrawFn, own: slow.Rules, patterns: list[Any]) -> list[dict[str, Any]]:
    """One or two exclusions, some of them between two required steps only."""
    found = []
    for pattern in draw(st.lists(st.sampled_from(patterns), min_size=1, max_size=2)):
        exclusion = dict(pattern) if isinstance(pattern, dict) else {"event": pattern}
        if own.order != "any" and draw(st.booleans()):
            after, before = sorted(draw(st.lists(st.sampled_from(own.required), min_size=2, max_size=2, unique=True)))
            exclusion |= draw(st.sampled_from([{"after": after, "before": before}, {"after": after}, {"before": before}]))
        found.append(exclusion)
    # "after" the last required step, or "before" the first, leaves nothing between.
    return [e for e in found if e.get("after", own.required[0]) < e.get("before", own.required[-1])]


@st.composite
def cases(draw: st.DrawFn, order: str, ties: str, pick: str, features: AbstractSet[str]) -> Case:
    """A case of one class."""
    size = draw(st.sampled_from([3, 4] if "optional" in features else [2, 3, 3, 4]))
    steps = draw(st.lists(st.sampled_from(STEPS), min_size=size, max_size=size))
    own = draw(rules(len(steps), order, ties, pick, features))
    exclude = draw(exclusions(own, EXCLUSIONS)) if features & {"end", "remove"} else []
    return Case(draw(logs()), steps, own, exclude, hold="hold" in features)


def possible(order: str, ties: str, pick: str, features: AbstractSet[str]) -> bool:
    """Whether the options go together."""
    if order == "any" and (ties == "strict" or features & {"gaps", "optional"}):
        return False
    return not (pick == "totals" and "remove" in features) and not {"end", "remove"} <= features


def sensible(order: str, features: AbstractSet[str]) -> bool:
    """Whether there is a rule of ties and a pick that goes with them."""
    return any(possible(order, ties, pick, features) for ties, pick in product(TIES, PICKS))


def choices(order: str, features: AbstractSet[str]) -> st.SearchStrategy[tuple[str, str]]:
    """Rules of ties, and picks, that go together with an order and features."""
    return st.sampled_from([(ties, pick) for ties, pick in product(TIES, PICKS) if possible(order, ties, pick, features)])


@st.composite
def any_case(draw: st.DrawFn) -> Case:
    """A case with any features at once."""
    order, features = draw(st.tuples(st.sampled_from(ORDERS), st.frozensets(st.sampled_from(FEATURES))).filter(lambda c: sensible(*c)))
    return draw(cases(order, *draw(choices(order, features)), features))


CLASSES = [
    (order, features) for order, features in product(ORDERS, [set(), *({f} for f in FEATURES), *TOGETHER]) if sensible(order, features)
]


@st.composite
def flagged(draw: st.DrawFn) -> Case:
    """A case whose steps and exclusion are boolean columns, so that any row may match any of them."""
    order, features = draw(st.sampled_from([c for c in CLASSES if c[1] <= {"gaps", "optional"}]))
    own = draw(rules(3, order, *draw(choices(order, features)), features))
    return Case(draw(logs(flags=True)), FLAGS[:3], own, draw(st.sampled_from([[], [{"event": "x"}]])))


# ----------------------------------------------------------------------------------------------------------------- checks


def check(case: Case) -> None:
    """The table of the funnel, and where customers are counted theirs, against the reference."""
    expected = case.reference()
    funnel = case.funnel()
    table = columns_of(funnel.table)
    counted = "customers" if case.rules.count == "unique" else "attempts"
    assert table[counted] == slow.counts(expected, case.rules)
    assert [number or 0 for number in table["tied"]] == slow.tied(expected, case.rules)
    assert sum(funnel.dropped.values()) == case.unusable()
    if case.rules.count == "unique":
        assert customers_of(case, funnel) == {key: stated(case, path) for key, own in expected.items() for path in own}


def stated(case: Case, path: slow.Path) -> dict[str, Any]:
    """What the customers table says about a path."""
    row: dict[str, Any] = {"level": path.level, "immature": slow.immature(path, case.rules, case.last_time())}
    for k, (number, time) in enumerate(zip(path.rows, path.times, strict=True), start=1):
        row |= {f"row_{k}": number, f"time_{k}": None if time is None else BASE + dt.timedelta(seconds=time)}
    return row


def customers_of(case: Case, funnel: om.Funnel) -> dict[Any, dict[str, Any]]:
    columns = columns_of(funnel.customers)
    keys = columns.pop("uid")
    if case.hold:
        keys = list(zip(keys, columns.pop("g"), strict=True))
    assert len(set(keys)) == len(keys)
    return {key: {name: values[i] for name, values in columns.items()} for i, key in enumerate(keys)}


BY_HAND = [
    ("A0 B1 B5 C6", "ABC", {"step_window": [None, 2]}, {}, [[0, 2, 3]]),  # any chain: the second B is near the C
    ("A0 B1 B2 C6", "ABC", {"min_gap": [2, None]}, {}, [[0, 2, 3]]),
    ("A0 B3", "AB", {"window": 3}, {}, [[0, 1]]),
    ("A0 B3", "AB", {"window": 2}, {}, [[0, None]]),
    ("B0 A0", "AB", {}, {}, [[1, 0]]),
    ("B0 A0", "AB", {"ties": "strict"}, {}, [[1, None]]),
    ("A0 A1 B2", "AB", {"entry": "latest"}, {}, [[1, 2]]),
    ("A0 A1 B2", "AB", {}, {}, [[0, 2]]),
    ("A0 O1 B2 O3 C4", "AOBOC", {"optional": frozenset({2, 4})}, {}, [[0, 1, 2, 3, 4]]),
    ("A0 O1 O2", "AOB", {"optional": frozenset({2})}, {}, [[0, 1, None]]),
    ("A0 O1 O2", "ABO", {"optional": frozenset({3})}, {}, [[0, None, None]]),
    ("A0 X1 B2", "AB", {}, {"event": "X"}, [[0, None]]),
    ("A0 X1 B2", "AB", {"exclusion": "remove"}, {"event": "X"}, []),
    ("A0 X1 B2 C3", "ABC", {}, {"event": "X", "after": 2}, [[0, 2, 3]]),
    ("A0 B1 X2 C3", "ABC", {}, {"event": "X", "after": 2}, [[0, 1, None]]),
    ("A0 X1 A2 B3", "AB", {"order": "strict"}, {}, [[2, 3]]),
    ("B0 X1 A2", "AB", {"order": "any"}, {}, [[0, 2]]),
    ("A0 A1 B2 A3", "AB", {"count": "totals"}, {}, [[0, 2], [3, None]]),
    ("A0 X1 A2 B3", "AB", {"count": "totals"}, {"event": "X"}, [[0, None], [2, 3]]),
    ("A0 A2 A3 B9", "AB", {"count": "totals", "window": 2}, {}, [[0, None], [2, None]]),
]


@pytest.mark.parametrize(("log", "steps", "options", "exclusion", "expected"), BY_HAND)
def test_the_reference_on_cases_worked_by_hand(log: str, steps: str, options: Any, exclusion: Any, expected: Any) -> None:
    events = [slow.Event("c1", int(word[1:]), {"event": word[0]}) for word in log.split()]
    own = slow.Rules(len(steps), **options)
    found = slow.paths(slow.read(events, list(steps), [exclusion] if exclusion else [], own), own)
    assert [path.rows for path in found["c1"]] == expected


@pytest.mark.parametrize(("order", "features"), [pytest.param(*c, id="-".join([c[0], *sorted(c[1])])) for c in CLASSES])
@settings(max_examples=30)
@given(data=st.data())
def test_each_class_of_options(order: str, features: AbstractSet[str], data: st.DataObject) -> None:
    check(data.draw(cases(order, *data.draw(choices(order, features)), features)))


@settings(max_examples=120)
@given(any_case())
def test_all_options_at_once(case: Case) -> None:
    check(case)


@settings(max_examples=80)
@given(flagged())
def test_steps_that_are_boolean_columns(case: Case) -> None:
    check(case)
