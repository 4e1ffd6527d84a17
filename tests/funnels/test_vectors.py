"""Cases of other engines, from their tests and documentation: the slow reference and the funnel give the stated answers.

Where an engine means something else on purpose, the answers differ, as the documentation says.
"""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

import opsmetrics as om
from tests.funnels import reference as slow
from tests.support import SHARED, columns_of

FILE = SHARED / "reference" / "funnel_vectors.json"
VECTORS = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else []

pytestmark = pytest.mark.skipif(not VECTORS, reason="needs funnel_vectors.json of the shared folder, which is not beside this checkout")

AGREED = [pytest.param(v, id=v["id"]) for v in VECTORS if v["matches_recommended_semantics"]]
OTHERWISE = [pytest.param(v, id=v["id"]) for v in VECTORS if not v["matches_recommended_semantics"]]


class Case:
    """One vector, as both sides read it."""

    def __init__(self, vector: dict[str, Any]) -> None:
        self.expected, params = vector["expected"], vector["params"]
        self.hold, self.breakdown = params.get("by"), params.get("breakdown")
        self.at = params.get("attribution")
        self.steps = [_step(step) for step in params["steps"]]
        self.window = params["window"]
        # Steps of the vectors are numbered from 0; their "drop" ends the attempt, as the counts show.
        self.exclude = [{"event": e["event"], "after": e["from"] + 1, "before": e["to"] + 1} for e in params.get("exclude", [])]
        self.options = {name: params[name] for name in ("order", "ties", "entry")}
        self.options["exclusion"] = "remove" if params.get("exclusion") == "remove" else "end"
        self.events = vector["events"]
        self.columns = sorted({name for event in self.events for name in event.get("props") or {}})
        self.times = pd.to_datetime([e["t"] for e in self.events], **({"unit": "s"} if isinstance(self.events[0]["t"], int) else {}))

    # ------------------------------------------------------------------------------------------------------- the library

    def frame(self) -> pd.DataFrame:
        props = {name: [(e.get("props") or {}).get(name) for e in self.events] for name in self.columns}
        return pd.DataFrame(
            {"uid": [e["user"] for e in self.events], "at": self.times, "event": [e["event"] for e in self.events], **props}
        )

    def funnel(self, **choices: Any) -> om.Funnel:
        return om.funnel(
            self.frame(),
            self.steps,
            customer="uid",
            event="event",
            time="at",
            window=None if self.window is None else pd.Timedelta(seconds=self.window),
            exclude=self.exclude or None,
            hold=[self.hold] if self.hold else None,
            allow_missing=True,
            **(self.options | choices),
        )

    # ----------------------------------------------------------------------------------------------------- the reference

    def reference(self, **choices: Any) -> dict[Any, list[slow.Path]]:
        rules = slow.Rules(len(self.steps), window=self.window, **(self.options | choices))
        return slow.paths(slow.read(self.log(), self.steps, self.exclude, rules), rules)

    def log(self) -> list[slow.Event]:
        log = []
        for event, time in zip(self.events, self.times, strict=True):
            props = event.get("props") or {}
            held = self.hold is None or props.get(self.hold) is not None
            key = (event["user"], props.get(self.hold)) if self.hold else event["user"]
            log.append(slow.Event(key if held else None, int(time.timestamp()), props | {"event": event["event"]}))
        return log

    def value_of(self, path: slow.Path) -> Any:
        """The one value of a path: its first or last that is not null, or that of a step."""
        values = [None if row is None else (self.events[row].get("props") or {}).get(self.breakdown) for row in path.rows]
        if self.at.startswith("step"):
            return values[int(self.at.removeprefix("step"))]
        known = [value for value in values if value is not None]
        return known[0 if self.at == "first" else -1] if known else None

    def days(self) -> dict[str, tuple[int, int]]:
        """Each day on which the log has rows, with its first and last second."""
        days = sorted({time.normalize() for time in self.times})
        return {f"{day:%Y-%m-%d}": (int(day.timestamp()), int(day.timestamp()) + 86_399) for day in days}


def _step(step: Any) -> Any:
    if not isinstance(step, dict):
        return step
    return {name: value for name, value in step.items() if value is not None}


def _counts(paths: dict[Any, list[slow.Path]], steps: int) -> list[int]:
    return slow.counts(paths, slow.Rules(steps))


def _known(value: Any) -> Any:
    return None if pd.isna(value) else value


def test_every_vector_states_something_that_is_checked() -> None:
    checked = {"levels", "counts", "mean_step_seconds", "breakdown", "trend_by_entry_day", "totals"}
    for vector in VECTORS:
        if vector["matches_recommended_semantics"]:
            assert vector["expected"]
            assert set(vector["expected"]) <= checked, vector["id"]


# ------------------------------------------------------------------------------------------------- the reference is right


@pytest.mark.parametrize("vector", AGREED)
def test_the_reference_gives_the_stated_answer(vector: dict[str, Any]) -> None:
    case, expected = Case(vector), vector["expected"]
    paths, steps = case.reference(), len(case.steps)
    if "levels" in expected:
        levels = {str(event["user"]): 0 for event in case.events}
        assert levels | {str(key): path.level for key, own in paths.items() for path in own} == expected["levels"]
    if "counts" in expected:
        assert _counts(paths, steps) == expected["counts"]
    if "totals" in expected:
        assert _counts(case.reference(count="totals"), steps) == expected["totals"]
    for k, mean in enumerate(expected.get("mean_step_seconds", [])):
        waits = [path.times[k] - path.times[k - 1] for own in paths.values() for path in own if path.rows[k] is not None] if k else []
        assert (sum(waits) / len(waits) if waits else None) == mean
    if "breakdown" in expected:
        users: dict[Any, list[Any]] = {}
        for key, own in paths.items():
            users.setdefault(case.value_of(own[0]), []).append(key)
        assert users == dict(expected["breakdown"])
    if "trend_by_entry_day" in expected:
        trend = {day: _counts(case.reference(entries_between=bounds), steps) for day, bounds in case.days().items()}
        assert {day: counts for day, counts in trend.items() if counts[0]} == expected["trend_by_entry_day"]


# --------------------------------------------------------------------------------------------------- the funnel is right


@pytest.mark.parametrize("vector", AGREED)
def test_the_funnel_gives_the_stated_answer(vector: dict[str, Any]) -> None:
    case, expected = Case(vector), vector["expected"]
    funnel = case.funnel()
    table = columns_of(funnel.table)
    if "levels" in expected:
        assert levels_of(case, funnel) == expected["levels"]
    if "counts" in expected:
        assert table["customers"] == expected["counts"]
    if "totals" in expected:
        assert columns_of(case.funnel(count="totals").table)["attempts"] == expected["totals"]
    for k, mean in enumerate(expected.get("mean_step_seconds", [])):
        if k:
            waits = funnel.customers[f"time_{k + 1}"] - funnel.customers[f"time_{k}"]
            assert waits.dropna().dt.total_seconds().mean() == mean


@pytest.mark.parametrize("vector", [v for v in AGREED if "breakdown" in v.values[0]["expected"]])
def test_each_value_counts_its_own_customers(vector: dict[str, Any]) -> None:
    case = Case(vector)
    table = by_value(case)
    paths = case.reference()
    stated = {value: _counts({user: paths[user] for user in users}, len(case.steps)) for value, users in vector["expected"]["breakdown"]}
    assert table == stated
    assert [sum(counts) for counts in zip(*table.values(), strict=True)] == columns_of(case.funnel().table)["customers"]


@pytest.mark.parametrize("vector", [v for v in AGREED if "trend_by_entry_day" in v.values[0]["expected"]])
def test_a_customer_counts_once_on_each_day_of_entry(vector: dict[str, Any]) -> None:
    case = Case(vector)
    trend = columns_of(case.funnel().trend("day").table)
    counts: dict[str, list[int]] = {}
    for period, customers in zip(trend["period"], trend["customers"], strict=True):
        counts.setdefault(str(period)[:10], []).append(customers)
    assert {day: own for day, own in counts.items() if own[0]} == vector["expected"]["trend_by_entry_day"]


# -------------------------------------------------------------------------------------------- what differs, and on purpose


@pytest.mark.parametrize("vector", [v for v in OTHERWISE if "levels" in v.values[0]["expected"]])
def test_the_funnel_differs_where_the_documentation_says_so(vector: dict[str, Any]) -> None:
    case = Case(vector)
    levels = levels_of(case, case.funnel())
    assert levels.keys() == vector["expected"]["levels"].keys()
    assert levels != vector["expected"]["levels"]
    paths = case.reference()
    assert {user: level for user, level in levels.items() if level} == {str(key): path.level for key, own in paths.items() for path in own}


@pytest.mark.parametrize("vector", [v for v in OTHERWISE if "step1_values_upstream" in v.values[0]["expected"]])
def test_a_path_has_one_value_at_a_step(vector: dict[str, Any]) -> None:
    values = by_value(Case(vector))
    assert values == {"Safari": [1, 1, 1]}
    assert list(values) != vector["expected"]["step1_values_upstream"]


def levels_of(case: Case, funnel: om.Funnel) -> dict[str, int]:
    """The level of every customer of the log; those who never entered have none."""
    levels = {str(event["user"]): 0 for event in case.events}
    customers = columns_of(funnel.customers)
    return levels | {str(uid): level for uid, level in zip(customers["uid"], customers["level"], strict=True)}


def by_value(case: Case) -> dict[Any, list[int]]:
    """The counts of each step, by value of the broken down column."""
    at = case.steps[int(case.at.removeprefix("step"))] if case.at.startswith("step") else case.at
    table = columns_of(case.funnel().by(case.breakdown, at=at).table)
    counts: dict[Any, list[int]] = {}
    for value, customers in zip(table[case.breakdown], table["customers"], strict=True):
        counts.setdefault(_known(value), []).append(customers)
    return counts
