"""Visits and transitions against a slow answer, written one customer at a time."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter, defaultdict
from statistics import median
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opsmetrics as om
from tests.support import columns_of

START = dt.datetime(2026, 3, 2)
COLUMNS = {"customer": "uid", "time": "at"}


@st.composite
def logs(draw: st.DrawFn) -> pd.DataFrame:
    """Events of a few customers at minutes of their own, in any order."""
    minutes = draw(st.lists(st.integers(0, 300), min_size=1, max_size=40, unique=True))
    rows = [(draw(st.sampled_from("abc")), draw(st.sampled_from(["view", "cart", "pay", None])), minute) for minute in minutes]
    rows[0] = ("a", "view", rows[0][2])
    frame = pd.DataFrame(rows, columns=["uid", "what", "minute"]).astype({"what": "string"})
    return frame.assign(at=pd.to_datetime([START + dt.timedelta(minutes=minute) for minute in minutes]))


def visits_of(frame: pd.DataFrame, gap: int | None) -> list[tuple[str, list[tuple[str, int]]]]:
    """The visits of each customer: what he did at which minute; a silence longer than the gap ends one."""
    found: list[tuple[str, list[tuple[str, int]]]] = []
    for uid, own in frame.sort_values("minute").groupby("uid"):
        last = None
        for what, minute in zip(own["what"], own["minute"], strict=True):
            if last is None or (gap is not None and minute - last > gap):
                found.append((str(uid), []))
            found[-1][1].append((what, int(minute)))
            last = minute
    return found


@given(logs(), st.sampled_from([10, 30, 120]))
def test_visits_end_with_a_silence(frame: pd.DataFrame, gap: int) -> None:
    number: Counter[str] = Counter()
    expected: dict[str, list[Any]] = {name: [] for name in ("uid", "session", "start", "end", "events", "seconds")}
    for uid, visit in visits_of(frame, gap):
        number[uid] += 1
        first, last = visit[0][1], visit[-1][1]
        times = [START + dt.timedelta(minutes=minute) for minute in (first, last)]
        for name, value in zip(expected, (uid, number[uid], *times, len(visit), 60.0 * (last - first)), strict=True):
            expected[name].append(value)
    assert columns_of(om.sessionize(frame, **COLUMNS, gap=f"{gap}min").table) == expected


@given(logs(), st.sampled_from([None, 30]))
def test_what_follows_what_is_counted_visit_by_visit(frame: pd.DataFrame, gap: int | None) -> None:
    """Rows without an event are left out and counted; each visit begins with "(entry)" and ends with "(exit)"."""
    named = frame[frame["what"].notna()]
    visits = visits_of(named, gap)
    moves: Counter[tuple[str, str]] = Counter()
    people, waits = defaultdict(set), defaultdict(list)
    seen, seen_by, entries, exits = Counter[str](), defaultdict(set), Counter[str](), Counter[str]()
    for uid, visit in visits:
        way = [("(entry)", None), *visit, ("(exit)", None)]
        for (source, begun), (target, done) in itertools.pairwise(way):
            moves[source, target] += 1
            people[source, target].add(uid)
            if begun is not None and done is not None:
                waits[source, target].append(60.0 * (done - begun))
        for what, _ in visit:
            seen[what] += 1
            seen_by[what].add(uid)
        entries[visit[0][0]] += 1
        exits[visit[-1][0]] += 1
    out = Counter({source: sum(n for (one, _), n in moves.items() if one == source) for source, _ in moves})
    found = om.path_transitions(frame, **COLUMNS, event="what", gap=None if gap is None else f"{gap}min")
    table = columns_of(found.table)
    rows = {(source, target): row for source, target, *row in zip(*table.values(), strict=True)}
    assert set(rows) == set(moves)
    for pair, (count, customers, share, low, high, wait) in rows.items():
        assert (count, customers) == (moves[pair], len(people[pair]))
        assert share == pytest.approx(moves[pair] / out[pair[0]])
        assert low <= share <= high
        assert wait == (pytest.approx(median(waits[pair])) if waits[pair] else None)
    for event, visited, customers, entry, leave, *_ in zip(*columns_of(found.nodes).values(), strict=True):
        assert (visited, customers) == (seen[event], len(seen_by[event]))
        assert entry == pytest.approx(entries[event] / len(visits))
        assert leave == pytest.approx(exits[event] / seen[event])
    assert found.dropped == ({"missing event": len(frame) - len(named)} if len(named) < len(frame) else {})
