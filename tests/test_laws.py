"""Laws of the RFM family: what must not change when nothing that matters has changed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import opsmetrics as om
from tests.support import KINDS, Kind, columns_of, to_pandas

AS_OF = "2026-03-31"
START = dt.datetime(2025, 12, 1, tzinfo=None)


@st.composite
def orders(draw: st.DrawFn) -> pd.DataFrame:
    """Orders and refunds of a few customers around as_of, some on the same instant, some after as_of."""
    rows = draw(
        st.lists(
            st.tuples(st.integers(1, 8), st.integers(0, 125 * 24 * 4), st.integers(-20_000, 500_00), st.integers(1, 6)),
            min_size=1,
            max_size=60,
        )
    )
    frame = pd.DataFrame(
        {
            "uid": [100 + r[0] for r in rows],
            "paid_at": pd.to_datetime([START + dt.timedelta(minutes=15 * r[1]) for r in rows]),
            "amount": [r[2] / 100 for r in rows],
            "order": [r[3] for r in rows],
        }
    )
    frame.loc[0, ["paid_at", "amount"]] = [pd.Timestamp(START), 9.99]  # one purchase at least
    return frame


options = st.fixed_dictionaries(
    {
        "order_id": st.sampled_from([None, "order"]),
        "window": st.sampled_from([None, 30, "365D"]),
        "frequency": st.sampled_from(["orders", "days"]),
        "monetary": st.sampled_from(["net", "gross", "mean"]),
        "refunds": st.sampled_from(["net", "drop"]),
        "tz": st.sampled_from([None, "Asia/Shanghai", "America/New_York"]),
        "kind": st.sampled_from(KINDS),
    }
)


def rfm(frame: pd.DataFrame, as_of: str = AS_OF, *, kind: Kind, **choices: Any) -> dict[str, list[Any]] | str:
    """The table of scores and segments, or the code of the error where no purchase is left."""
    try:
        report = om.rfm(kind.make(frame), customer="uid", time="paid_at", amount="amount", as_of=as_of, **choices)
    except om.DataError as error:
        return error.code
    return columns_of(report.table) | {"dropped": report.dropped, "segments": columns_of(report.segments.table)}


def without(table: dict[str, list[Any]] | str, *names: str) -> Any:
    return table if isinstance(table, str) else {name: values for name, values in table.items() if name not in names}


@given(orders(), options, st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(frame: pd.DataFrame, choices: dict[str, Any], seed: int) -> None:
    shuffled = frame.sample(frac=1.0, random_state=seed)
    assert rfm(shuffled, **choices) == rfm(frame, **choices)


@given(orders(), options, st.permutations(range(9)))
def test_the_names_of_customers_do_not_matter(frame: pd.DataFrame, choices: dict[str, Any], names: list[int]) -> None:
    table, renamed = rfm(frame, **choices), rfm(frame.assign(uid=[f"c{names[uid - 100]}" for uid in frame["uid"]]), **choices)
    if isinstance(table, str):
        assert renamed == table
        return
    rows = {f"c{names[uid - 100]}": row for uid, *row in zip(*without(table, "dropped", "segments").values(), strict=True)}
    assert rows == {uid: row for uid, *row in zip(*without(renamed, "dropped", "segments").values(), strict=True)}
    assert table["segments"] == renamed["segments"]


@pytest.mark.parametrize("scale", [0.01, 100.0])
@given(frame=orders(), choices=options)
def test_the_unit_of_money_does_not_matter(frame: pd.DataFrame, choices: dict[str, Any], scale: float) -> None:
    money = ("monetary", "revenue", "refunded", "segments")
    scaled = rfm(frame.assign(amount=(frame["amount"] * scale).round(6)), **choices)
    assert without(scaled, *money) == without(rfm(frame, **choices), *money)


@given(orders(), options, st.integers(-5_000, 5_000))
def test_moving_time_and_as_of_together_does_not_matter(frame: pd.DataFrame, choices: dict[str, Any], days: int) -> None:
    choices |= {"tz": None}  # a clock change lies at its own date
    moved = frame.assign(paid_at=frame["paid_at"] + pd.Timedelta(days=days))
    as_of = (dt.date.fromisoformat(AS_OF) + dt.timedelta(days=days)).isoformat()
    stamps = ("first_order", "last_order")
    assert without(rfm(moved, as_of=as_of, **choices), *stamps) == without(rfm(frame, **choices), *stamps)


@given(orders(), options, st.sampled_from(["s", "ms", "us", "ns"]))
def test_the_unit_of_time_does_not_matter(frame: pd.DataFrame, choices: dict[str, Any], unit: str) -> None:
    assert rfm(frame.assign(paid_at=frame["paid_at"].astype(f"datetime64[{unit}]")), **choices) == rfm(frame, **choices)


@given(orders(), options)
def test_every_row_is_used_or_counted(frame: pd.DataFrame, choices: dict[str, Any]) -> None:
    """Rows = orders + refunds + dropped, when each row is an order of its own."""
    choices |= {"order_id": None}
    kind = choices.pop("kind")
    try:
        summary = om.customer_summary(kind.make(frame), customer="uid", time="paid_at", amount="amount", as_of=AS_OF, **choices)
    except om.DataError:
        return
    local = frame["paid_at"] if choices["tz"] is None else frame["paid_at"].dt.tz_localize("UTC").dt.tz_convert(choices["tz"])
    day = local.dt.tz_localize(None).dt.normalize()
    window = {None: 10**4, 30: 30, "365D": 365}[choices["window"]]
    inside = (day <= AS_OF) & (day > pd.Timestamp(AS_OF) - pd.Timedelta(days=window))
    kept = frame[inside & ((frame["amount"] >= 0) | (choices["refunds"] == "net"))]
    assert sum(summary.dropped.values()) == len(frame) - len(kept)
    table, apart = columns_of(summary.table), columns_of(summary.refund_only)
    assert sum(table["orders"]) == (kept["amount"] >= 0).sum()
    assert set(table["uid"]) | set(apart["uid"]) == set(kept["uid"])


@given(orders(), options, st.sampled_from(["low", "high", "mid"]), st.integers(2, 10))
def test_scores_are_monotone_and_equal_values_score_alike(frame: pd.DataFrame, choices: dict[str, Any], ties: Any, bins: int) -> None:
    kind = choices.pop("kind")
    try:
        summary = om.customer_summary(kind.make(frame), customer="uid", time="paid_at", amount="amount", as_of=AS_OF, **choices)
    except om.DataError:
        return
    scored = to_pandas(om.RFMScorer(bins=bins, ties=ties).fit(summary).transform(summary).table)
    for measure, score, sign in (("recency", "r_score", -1), ("frequency", "f_score", 1), ("monetary", "m_score", 1)):
        by_goodness = sorted(zip(sign * scored[measure], scored[score], strict=True))
        scores = [score for _, score in by_goodness]
        assert scores == sorted(scores)
        assert scored.groupby(measure)[score].nunique().max() == 1
        assert scored[score].between(1, bins).all()


@settings(max_examples=30)
@given(orders(), options)
def test_a_frozen_scorer_repeats_itself_and_survives_json(frame: pd.DataFrame, choices: dict[str, Any]) -> None:
    native = choices.pop("kind").make(frame)
    try:
        report = om.rfm(native, customer="uid", time="paid_at", amount="amount", as_of=AS_OF, **choices)
    except om.DataError:
        return
    again = om.FittedRFMScorer.from_dict(report.scorer.to_dict())
    assert again == report.scorer
    second = om.rfm(native, customer="uid", time="paid_at", amount="amount", as_of=AS_OF, scorer=again, **choices)
    assert columns_of(second.table) == columns_of(report.table)


@given(orders(), options)
def test_the_caller_keeps_its_frame(frame: pd.DataFrame, choices: dict[str, Any]) -> None:
    before = frame.copy(deep=True)
    rfm(frame, **choices)
    pd.testing.assert_frame_equal(frame, before)


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), unique_by=lambda r: r[0], min_size=1), st.data())
def test_transitions_add_up(before: list[tuple[int, str]], data: st.DataObject) -> None:
    after = data.draw(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), unique_by=lambda r: r[0], min_size=1))
    old, new = (pd.DataFrame(rows, columns=["uid", "tier"]) for rows in (before, after))
    moves = om.transitions(old, new, customer="uid", label="tier", order=["a", "b", "c"])
    counts = moves.counts.set_index("source")
    assert counts.to_numpy().sum() == len(set(old["uid"]) | set(new["uid"]))
    assert counts.drop(columns="(gone)").to_numpy().sum() == len(new)
    assert counts.drop(index="(new)").to_numpy().sum() == len(old)
    shares = moves.shares.set_index("source").loc[lambda s: s.notna().all(axis=1)]
    assert np.allclose(shares.sum(axis=1), 1.0)
    rates = moves.rates.set_index("direction")["rate"]
    assert np.isclose(rates.sum(), 1.0)
    back = om.transitions(new, old, customer="uid", label="tier", order=["a", "b", "c"]).counts.set_index("source")
    assert np.array_equal(back.to_numpy(), counts.to_numpy().T)
    pairs = dict(zip(old["uid"], old["tier"], strict=True))
    ups = sum(1 for uid, tier in after if uid in pairs and tier > pairs[uid])
    assert moves.rates.set_index("direction")["customers"]["up"] == ups
