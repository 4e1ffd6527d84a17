"""Laws of the funnel: what must not change when nothing that matters has changed."""

from __future__ import annotations

import datetime as dt
import itertools
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

import opsmetrics as om
from opsmetrics import _parts
from tests.support import KINDS, columns_of

START = dt.datetime(2026, 1, 5, tzinfo=None)
EVENTS = "AAABBBCCCDXY"
STEPS = ["A", "B", "C"]
FEW = settings(max_examples=10)
TIMES = ("time_1", "time_2", "time_3")


@st.composite
def logs(draw: st.DrawFn, apart: bool = False) -> pd.DataFrame:
    """Events of a few customers on a coarse grid of time, so that many fall together; or each at a time of its own."""
    random = Random(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(1, 60))
    slots = random.sample(range(400), rows) if apart else [random.randrange(40) for _ in range(rows)]
    frame = pd.DataFrame(
        {
            "uid": [random.randrange(6) for _ in range(rows)],
            "what": ["A", *(random.choice(EVENTS) for _ in range(rows - 1))],
            "at": pd.to_datetime([START + dt.timedelta(hours=3 * slot) for slot in slots]),
            "channel": [random.choice(["ads", "web", None]) for _ in range(rows)],
            "money": [random.randrange(1_000) / 100 for _ in range(rows)],
        }
    )
    return frame.astype({"channel": "string"})


windows = st.sampled_from([None, "0s", "12h", "1D", "3D", "30D"])
free = st.fixed_dictionaries(
    {
        "order": st.sampled_from(["ordered", "strict", "any"]),
        "window": windows,
        "entry": st.sampled_from(["best", "first", "latest"]),
        "exclude": st.sampled_from([None, "X"]),
        "exclusion": st.sampled_from(["end", "remove"]),
    }
)


def funnel(frame: Any, steps: Any = STEPS, **arguments: Any) -> om.Funnel[Any]:
    return om.funnel(frame, steps, **({"customer": "uid", "event": "what", "time": "at", "allow_missing": True} | arguments))


def told(found: om.Funnel[Any], *leave: str) -> dict[str, Any]:
    """The table of a funnel (to twelve digits) and that of its customers, but for the places of rows and some columns."""
    own = {name: values for name, values in columns_of(found.customers).items() if not name.startswith("row_") and name not in leave}
    table = {
        name: [float(f"{value:.12g}") if isinstance(value, float) else value for value in values]
        for name, values in columns_of(found.table).items()
    }
    return {"table": table, "customers": own, "dropped": found.dropped}


def counts(found: om.Funnel[Any]) -> list[int]:
    table = columns_of(found.table)
    return table.get("customers") or table["attempts"]


@FEW
@given(logs(), free, st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(frame: pd.DataFrame, choices: dict[str, Any], seed: int) -> None:
    """Where steps share no event, they settle the order of equal times, and rows of one step at one time are alike."""
    choices |= {"exclude": None} | ({"order": "ordered"} if choices["order"] == "strict" else {})  # these look at the rows between
    shuffled = frame.sample(frac=1.0, random_state=seed)
    assert told(funnel(shuffled, **choices)) == told(funnel(frame, **choices))


@FEW
@given(logs(apart=True), free, st.integers(0, 2**32 - 1))
def test_the_order_of_rows_at_different_times_never_matters(frame: pd.DataFrame, choices: dict[str, Any], seed: int) -> None:
    shuffled = frame.sample(frac=1.0, random_state=seed)
    assert told(funnel(shuffled, amount="money", **choices)) == told(funnel(frame, amount="money", **choices))
    for question in (lambda f: f.by("channel"), lambda f: f.trend("day")):
        assert columns_of(question(funnel(shuffled, **choices)).table) == columns_of(question(funnel(frame, **choices)).table)


@FEW
@given(logs(), free, st.permutations(range(6)))
def test_the_names_of_customers_do_not_matter(frame: pd.DataFrame, choices: dict[str, Any], names: list[int]) -> None:
    table = told(funnel(frame, **choices))
    renamed = told(funnel(frame.assign(uid=[f"c{names[uid]}" for uid in frame["uid"]]), **choices))
    rows = {f"c{names[uid]}": row for uid, *row in zip(*table["customers"].values(), strict=True)}
    assert rows == {uid: row for uid, *row in zip(*renamed["customers"].values(), strict=True)}
    assert table["table"] == renamed["table"]


@FEW
@given(logs(), free, st.integers(-700_000, 2_000_000))
def test_moving_time_does_not_matter(frame: pd.DataFrame, choices: dict[str, Any], days: int) -> None:
    moved = frame.assign(at=(frame["at"].astype("datetime64[s]") + np.timedelta64(days, "D")))
    assert told(funnel(moved, **choices), *TIMES) == told(funnel(frame, **choices), *TIMES)


@FEW
@given(logs(), free, st.sampled_from(["s", "ms", "us", "ns"]))
def test_the_unit_of_time_does_not_matter(frame: pd.DataFrame, choices: dict[str, Any], unit: str) -> None:
    assert told(funnel(frame.assign(at=frame["at"].astype(f"datetime64[{unit}]")), **choices)) == told(funnel(frame, **choices))


@FEW
@given(logs(), free)
def test_days_are_their_midnights(frame: pd.DataFrame, choices: dict[str, Any]) -> None:
    choices |= {"window": None if choices["window"] in {None, "12h"} else choices["window"]}  # half a day is no day
    midnights = frame.assign(at=frame["at"].dt.normalize())
    days = midnights.astype({"at": "date32[day][pyarrow]"})
    assert told(funnel(days, **choices), *TIMES) == told(funnel(midnights, **choices), *TIMES)


@FEW
@given(logs(), logs(), free)
def test_disjoint_customers_add_up(one: pd.DataFrame, other: pd.DataFrame, choices: dict[str, Any]) -> None:
    other = other.assign(uid=other["uid"] + 100)
    together = funnel(pd.concat([one, other], ignore_index=True), **choices)
    apart = [funnel(part, **choices) for part in (one, other)]
    assert counts(together) == [a + b for a, b in zip(*map(counts, apart), strict=True)]
    levels = [level for part in apart for level in columns_of(part.customers)["level"]]
    assert columns_of(together.customers)["level"] == levels


@FEW
@given(logs(), free)
def test_a_smaller_window_never_counts_more(frame: pd.DataFrame, choices: dict[str, Any]) -> None:
    choices |= {"exclusion": "end", "entry": "best"}
    found = [counts(funnel(frame, **(choices | {"window": window}))) for window in ("0s", "12h", "1D", "3D", None)]
    for smaller, larger in itertools.pairwise(found):
        assert all(a <= b for a, b in zip(smaller, larger, strict=True))


@FEW
@given(logs(), free, st.integers(0, 2**32 - 1))
def test_events_that_match_nothing_change_nothing(frame: pd.DataFrame, choices: dict[str, Any], seed: int) -> None:
    choices |= {"order": "any"} if choices["order"] == "strict" else {}
    random = np.random.default_rng(seed)
    more = frame.sample(n=30, replace=True, random_state=seed).assign(what="Z", uid=random.integers(0, 9, 30))
    noisy = pd.concat([frame, more], ignore_index=True).sample(frac=1.0, random_state=seed).sort_values("at", kind="stable")
    noisy = pd.concat([noisy[noisy["what"] == "Z"], frame])  # the others keep their order
    assert told(funnel(noisy, **choices), "immature") == told(funnel(frame, **choices), "immature")


@FEW
@given(logs(), free, st.booleans(), st.sampled_from(["unique", "totals"]))
def test_counts_fall_and_shares_are_shares(frame: pd.DataFrame, choices: dict[str, Any], optional: bool, count: str) -> None:
    optional = optional and choices["order"] != "any"
    choices |= {"count": count} | ({"entry": "best", "exclusion": "end"} if count == "totals" else {})
    found = funnel(frame, ["A", om.Step("B", optional=optional), "C", "D"], **choices)
    table, reach = columns_of(found.table), counts(found)
    required = [reach[0], *([] if optional else [reach[1]]), *reach[2:]]
    assert required == sorted(required, reverse=True)
    for name in ("conversion", "conversion_low", "conversion_high", "step_conversion"):
        assert all(0 <= share <= 1 for share in table[name] if share is not None), name
    for low, share, high in zip(table["conversion_low"], table["conversion"], table["conversion_high"], strict=True):
        assert share is None or low <= share <= high
    assert all(tied <= taken for tied, taken in zip(table["tied"], reach, strict=True))
    assert all(
        a <= b
        for name in ("step_seconds", "seconds")
        for a, b in zip(table[f"median_{name}"], table[f"p90_{name}"], strict=True)
        if a is not None
    )
    if count == "unique":
        levels = columns_of(found.customers)["level"]
        assert reach[3] == levels.count(4)
        assert reach[0] == len(levels)


@FEW
@given(logs(), windows)
def test_strict_ties_never_count_more(frame: pd.DataFrame, window: str | None) -> None:
    strict, favorable = (counts(funnel(frame, window=window, ties=ties)) for ties in ("strict", "favorable"))
    assert all(a <= b for a, b in zip(strict, favorable, strict=True))
    assert columns_of(funnel(frame, window=window, ties="strict").table)["tied"] == [0, 0, 0]


@FEW
@given(logs(apart=True), windows)
def test_without_equal_times_ties_do_not_matter(frame: pd.DataFrame, window: str | None) -> None:
    assert told(funnel(frame, window=window, ties="strict")) == told(funnel(frame, window=window))


@FEW
@given(logs(), free)
def test_rules_of_entry_agree_on_depth(frame: pd.DataFrame, choices: dict[str, Any]) -> None:
    choices |= {"exclusion": "end"}
    best, latest, first = (funnel(frame, **(choices | {"entry": entry})) for entry in ("best", "latest", "first"))
    assert counts(best) == counts(latest)
    assert columns_of(best.customers)["level"] == columns_of(latest.customers)["level"]
    assert all(a <= b for a, b in zip(counts(first), counts(best), strict=True))
    pairs = zip(*(columns_of(found.customers)["time_1"] for found in (first, best, latest)), strict=True)
    assert all(a <= b <= c for a, b, c in pairs)


@FEW
@given(logs(), free, st.sampled_from(["first", "last", 1, 2, "C"]), st.sampled_from(["unique", "totals"]))
def test_rows_of_a_breakdown_add_up(frame: pd.DataFrame, choices: dict[str, Any], at: Any, count: str) -> None:
    choices |= {"count": count} | ({"entry": "best", "exclusion": "end"} if count == "totals" else {})
    found = funnel(frame, amount="money", **choices)
    parts = found.by("channel", at="first" if choices["order"] == "any" else at)
    table = pd.DataFrame(columns_of(parts.table))
    if table.empty:
        assert counts(found) == [0, 0, 0]
        return
    whole, counted = pd.DataFrame(columns_of(found.table)).set_index("step"), "customers" if count == "unique" else "attempts"
    sums = table.groupby("step")[[counted, "tied", "amount"]].sum()
    for name in (counted, "tied"):
        assert sums[name].to_dict() == whole[name].to_dict()
    assert np.allclose(sums["amount"].loc[whole.index], whole["amount"])
    assert table.groupby(table["channel"].fillna("none"))["step"].count().eq(3).all()


@FEW
@given(logs(), windows)
def test_attempts_are_at_least_as_many_as_customers(frame: pd.DataFrame, window: str | None) -> None:
    unique, totals = funnel(frame, window=window), funnel(frame, window=window, count="totals")
    assert counts(totals)[0] >= counts(unique)[0]
    people = set(columns_of(totals.customers)["uid"])
    assert people == set(columns_of(unique.customers)["uid"])


@FEW
@given(logs(), st.sampled_from(["unique", "totals"]), windows)
def test_days_of_entry_add_up_to_attempts(frame: pd.DataFrame, count: Any, window: str | None) -> None:
    """A customer counts once a period, so periods hold at least all customers, and all attempts exactly."""
    found = funnel(frame, count=count, window=window)
    table = columns_of(found.trend("day").table)
    counted = "customers" if count == "unique" else "attempts"
    entries = sum(number for step, number in zip(table["step"], table[counted], strict=True) if step == "A")
    assert entries == counts(found)[0] if count == "totals" else entries >= counts(found)[0]


@FEW
def log_of(**customers: str) -> pd.DataFrame:
    """A log in which each customer does what at which minute past ten: a=("v 0, p 5")."""
    rows = [(uid, *one.split(), 1.0) for uid, told in customers.items() for one in told.split(", ")]
    frame = pd.DataFrame(rows, columns=["uid", "what", "minute", "money"])
    return frame.assign(at=pd.Timestamp("2026-03-02 10:00") + pd.to_timedelta(frame["minute"].astype(int), "min"))


def test_an_event_without_a_name_is_not_what_came_next() -> None:
    """It is passed over, as `path_transitions` does, and counted; "(nothing)" means that none came."""
    log = log_of(a="v 0, x 1, help 5", b="v 0", c="v 0, p 10", d="v 0, x 7").replace({"what": {"x": None}})
    for frame in (log, om.prepare_events(log, customer="uid", event="what", time="at")):
        columns = {} if frame is not log else {"customer": "uid", "event": "what", "time": "at"}
        found = om.funnel(frame, ["v", "p"], **columns).next_events(after="v")
        table = columns_of(found.table)
        assert dict(zip(table["event"], table["customers"], strict=True)) == {"help": 1, "(nothing)": 2}
        assert dict(zip(table["event"], table["median_seconds"], strict=True)) == {"help": 300.0, "(nothing)": None}
        assert found.dropped == {"missing event": 2}


def test_a_comparison_with_the_step_before_is_that_of_its_rates() -> None:
    """Web 4 of 8 to the cart and 1 of 4 on to pay, ads 6 of 8 and 3 of 6: by hand, with the interval of Newcombe's witness."""
    web = {f"w{i}": told for i, told in enumerate(["v 0"] * 4 + ["v 0, c 1"] * 3 + ["v 0, c 1, p 2"])}
    ads = {f"a{i}": told for i, told in enumerate(["v 0"] * 2 + ["v 0, c 1"] * 3 + ["v 0, c 1, p 2"] * 3)}
    log = log_of(**web, **ads)
    log["channel"] = np.where(log["uid"].str.startswith("w"), "web", "ads")
    found = funnel(log, ["v", "c", "p"])
    for denominator, rates in (("entries", [(3 / 8, 1 / 8)]), ("previous", [(3 / 6, 1 / 4)])):
        table = found.compare("channel", baseline="web", denominator=denominator).table
        row = table[table["step"] == "p"].iloc[0]
        ((ours, base),) = rates
        assert (row["rate"], row["baseline_rate"], row["difference"]) == pytest.approx((ours, base, ours - base))
        n = (8, 8) if denominator == "entries" else (6, 4)
        low, high = confint_proportions_2indep(3, n[0], 1, n[1], method="newcomb", compare="diff")
        assert (row["difference_low"], row["difference_high"]) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize("ask", ["previous", "next"])
def test_what_is_asked_of_paths_clusters_by_customer(ask: str) -> None:
    """Each path four times over in sessions of its customer: rates and intervals are those of one of them."""
    random = Random(3)
    told = {f"u{i}": random.choice(["v 0", "v 0, c 1", "v 0, c 1, p 2", "v 0, h 1", "v 0, c 3, h 4"]) for i in range(40)}
    log = log_of(**told)
    log["channel"] = np.where(log["uid"].str[1:].astype(int) % 2, "web", "ads")
    copies = pd.concat([log.assign(session=one) for one in "abcd"], ignore_index=True)

    def asked(found: om.Funnel[Any]) -> dict[str, Any]:
        answer = found.next_events(after="v") if ask == "next" else found.compare("channel", baseline="web", denominator="previous")
        return columns_of(answer.table)

    one, four = asked(funnel(log, ["v", "c", "p"])), asked(funnel(copies, ["v", "c", "p"], hold="session"))
    shares = ["share", "share_low", "share_high"] if ask == "next" else ["rate", "difference", "difference_low", "difference_high"]
    for name in shares:
        assert four[name] == pytest.approx(one[name], abs=0.02, nan_ok=True), name  # unclustered ends lie 0.1 closer


@given(logs(), st.sampled_from([2, 3, 24]), st.sampled_from(["ordered", "strict"]))
def test_a_slower_shop_has_the_same_funnel(frame: pd.DataFrame, factor: int, order: str) -> None:
    """Times, window and gaps by the same factor."""
    slow = frame.assign(at=START + factor * (frame["at"] - START))
    spans = {"window": 24, "step_window": 12, "min_gap": 3}
    once, later = (
        funnel(log, order=order, **{name: f"{hours * by}h" for name, hours in spans.items()}) for log, by in ((frame, 1), (slow, factor))
    )
    assert counts(later) == counts(once)
    assert columns_of(later.customers)["level"] == columns_of(once.customers)["level"]
    waits = (columns_of(found.table)["median_seconds"] for found in (once, later))
    assert [None if wait is None else factor * wait for wait in next(waits)] == pytest.approx(next(waits), nan_ok=True)


@given(logs(), st.integers(1, 39), st.sampled_from([None, "12h", "3D"]))
def test_the_window_of_entries_may_be_split(frame: pd.DataFrame, cut: int, window: str | None) -> None:
    """Attempts that begin before a moment and those from it on are all attempts, where entries lie apart by more than the window."""
    moment = START + dt.timedelta(hours=3 * cut)
    first, second = ((START, moment), (moment, START + dt.timedelta(days=400)))
    whole, *parts = (
        funnel(frame, window=window, entry="first", entries_between=between) for between in ((first[0], second[1]), first, second)
    )
    entered = [set(columns_of(found.customers)["uid"]) for found in (whole, *parts)]
    assert entered[0] == entered[1] | entered[2]
    early = columns_of(parts[0].customers)
    all_ = columns_of(whole.customers)
    known = dict(zip(all_["uid"], all_["level"], strict=True))
    assert [known[uid] for uid in early["uid"]] == early["level"]  # who entered before the cut entered there first
    late = dict(zip(*(columns_of(parts[1].customers)[name] for name in ("uid", "level")), strict=True))
    assert {uid: level for uid, level in known.items() if uid not in entered[1]} == {
        uid: level for uid, level in late.items() if uid not in entered[1]
    }


@given(logs(), windows)
def test_paths_of_one_customer_are_no_more_news_than_one(frame: pd.DataFrame, window: str | None) -> None:
    """The same paths twice, in two sessions of each customer: the conversion curve knows no more than from one of them."""
    alone = columns_of(funnel(frame, window=window, entry="first").survival().table)
    both = pd.concat([frame.assign(session=session) for session in ("a", "b")], ignore_index=True)
    twice = columns_of(funnel(both, window=window, entry="first", hold="session").survival().table)
    assert twice["seconds"] == alone["seconds"]
    for name in ("at_risk", "converted", "censored"):
        assert twice[name] == [2 * count for count in alone[name]]
    for name in ("conversion", "conversion_low", "conversion_high"):
        assert twice[name] == pytest.approx(alone[name], rel=1e-7, abs=1e-9), name


@given(logs(), free)
def test_a_huge_step_window_is_none(frame: pd.DataFrame, choices: dict[str, Any]) -> None:
    """Without exclusions: with them, any chain around an excluded row would do."""
    choices = {"window": choices["window"], "entry": choices["entry"], "ties": "strict" if choices["order"] == "strict" else "favorable"}
    free_gaps = told(funnel(frame, **choices))
    assert told(funnel(frame, step_window="100000D", **choices)) == free_gaps
    assert told(funnel(frame, min_gap="0s", **choices)) == free_gaps
    assert told(funnel(frame, step_window=[None, "100000D"], **choices)) == free_gaps


@pytest.mark.parametrize("text", [False, True], ids=["numbers", "text"])
@settings(max_examples=5)
@given(frame=logs(), choices=free, size=st.integers(1, 20), count=st.sampled_from(["unique", "totals"]))
def test_cutting_the_frame_into_parts_changes_nothing(
    text: bool, frame: pd.DataFrame, choices: dict[str, Any], size: int, count: str
) -> None:
    choices |= {"count": count} | ({"entry": "best", "exclusion": "end"} if count == "totals" else {})
    frame = frame.assign(uid=[f"c{uid}" for uid in frame["uid"]]) if text else frame
    frame.loc[frame.index % 11 == 3, "at"] = None

    def everything() -> list[Any]:
        found = funnel(frame, amount="money", **choices)
        held = funnel(frame, hold=["channel"], **choices)
        answers = [found.table, found.customers, found.by("channel").table, found.trend("day").table, held.customers, held.table]
        answers += [] if choices["order"] == "any" else [found.next_events(after=1).table]
        paths = om.path_transitions(frame, customer="uid", event="what", time="at", gap="1D")
        visits = om.sessionize(frame, customer="uid", time="at", gap="1D")
        answers += [paths.table, paths.nodes, visits.table, visits.events]
        log = om.prepare_events(frame, customer="uid", event="what", time="at")
        ready = om.funnel(log, STEPS, allow_missing=True, **choices)
        return [*map(columns_of, answers), found.dropped, held.dropped, columns_of(ready.customers), ready.dropped]

    whole = everything()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_parts, "ROWS_TO_SPLIT", size)
        patch.setattr(_parts, "ROWS_IN_CACHE", max(size // 3, 1))
        assert everything() == whole


@pytest.mark.parametrize(("kind", "text"), [("pandas", False), ("pandas", True), ("polars", True), ("pyarrow", False)])
def test_cutting_a_larger_frame_into_parts_changes_nothing(kind: Any, text: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = om.make_events(800, rng=8)
    frame = frame if text else frame.assign(customer=frame["customer"].str[1:].astype("int64"))
    native = next(one for one in KINDS if str(one) == kind).make(frame)
    names = {"customer": "customer", "event": "event", "time": "time"}

    def everything() -> list[Any]:
        found = om.funnel(native, ["view", "cart", "pay"], window="7D", amount="amount", **names)
        return [
            columns_of(found.table),
            columns_of(found.customers),
            columns_of(found.by("channel").table),
            columns_of(found.trend().table),
        ]

    whole = everything()
    for size in (100, 2_000):
        monkeypatch.setattr(_parts, "ROWS_TO_SPLIT", size)
        assert everything() == whole
