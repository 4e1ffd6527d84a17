"""The fitted stages: gaps, curves and limits against fractions worked out by hand, and statsmodels over real purchases."""

from __future__ import annotations

import datetime as dt
import json
import pickle
import warnings
from dataclasses import replace
from random import Random
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from statsmodels.duration.survfunc import SurvfuncRight

import opsmetrics as om
from opsmetrics import _parts
from opsmetrics.lifecycles import models
from tests.lifecycles import reference as slow
from tests.lifecycles.logs import CLOCKS, NAMES, Case
from tests.support import Kind, columns_of, data, reference

BANDS = ["1", "2-3", "4+"]
CDNOW: dict[str, Any] = {"customer": "sample_id", "time": "date"}


def fit(frame: Any, *, labels: Any = "en", **options: Any) -> om.FittedStages[Any]:
    """A fit whose warnings are looked at elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)
        return om.Stages.default(labels=labels).fit(frame, **options)


@pytest.fixture(scope="module")
def cdnow() -> pd.DataFrame:
    return pd.read_parquet(data("cdnow_sample.parquet"))


def records(frame: Any) -> list[dict[str, Any]]:
    table = columns_of(frame)
    return [{name: values[row] for name, values in table.items()} for row in range(len(next(iter(table.values()))))]


def chances(fitted: om.FittedStages[Any], summary: Any) -> list[float]:
    """The chance of each customer to return, NaN where it is not known."""
    return [np.nan if chance is None else chance for chance in columns_of(fitted.assign(summary).table)["return_probability"]]


def curve_of(fitted: om.FittedStages[Any], band: str) -> pd.DataFrame:
    return fitted.curves[fitted.curves["orders"] == band].reset_index(drop=True)


# --------------------------------------------------------------------------------------------------------- the reference


@st.composite
def cases(draw: st.DrawFn) -> tuple[Case, dict[str, Any]]:
    """Purchases of some customers in a few weeks, with refunds and nulls, near the days on which clocks change."""
    random = Random(draw(st.integers(0, 2**32 - 1)))
    tz = draw(st.sampled_from(list(CLOCKS)))
    base, days = CLOCKS[tz], draw(st.integers(3, 40))
    rows = [
        slow.Row(
            None if random.random() < 0.03 else f"c{random.randrange(15)}",
            None if random.random() < 0.03 else base + dt.timedelta(hours=random.randrange(days * 24)),
            None if random.random() < 0.03 else random.choice([100, 100, 0, 250, -100]),
        )
        for _ in range(draw(st.integers(5, 90)))
    ]
    rows.append(slow.Row("c0", base, 100))
    as_of = draw(st.none() | st.integers(1, days + 10).map(lambda later: base.date() + dt.timedelta(days=later)))
    levels = sorted(draw(st.lists(st.integers(1, 19), min_size=2, max_size=2, unique=True)))
    options = {
        "horizon": draw(st.integers(1, 12)), "bands": draw(st.sampled_from([(1, 2, 4), (1, 2, 3), (1, 5, 6)])),
        "p_churned": levels[0] / 20 + 0.001, "p_dormant": levels[1] / 20 + 0.001,
    }  # fmt: skip
    return Case(rows, slow.Rules(tz=tz, as_of=as_of, money=draw(st.booleans()))), options


@settings(max_examples=60)
@given(cases(), st.integers(1, 6))
def test_limits_and_curves_against_fractions(case_and_options: tuple[Case, dict[str, Any]], least: int) -> None:
    case, options = case_and_options
    given_options = {name: value for name, value in case.options().items() if name in {"customer", "time", "amount", "tz", "as_of"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "LEAST", least)
        fitted = fit(case.frame(), **given_options, **options)
    book = slow.read(case.rows, case.rules)
    every = slow.gaps(book.rows, case.rules, book.today, options["bands"])
    curves, table = columns_of(fitted.curves), records(fitted.table)
    assert fitted.dropped == book.dropped
    place = 0
    limits, known = [], []
    for band, row in enumerate(table):
        own = [gap for gap in every if gap.band == band]
        curve = slow.returning(own, options["horizon"], least)
        size = len(curve.probability)
        here = slice(place, place + size)
        assert curves["recency"][here] == list(range(size))
        assert curves["at_risk"][here] == curve.watched
        assert curves["survival"][here] == pytest.approx([float(share) for share in curve.survival], abs=1e-12)
        assert curves["return_probability"][here] == pytest.approx([float(chance) for chance in curve.probability], abs=1e-12)
        place += size
        known.append(curves["return_probability"][here])
        limits.append((curve.first_below(options["p_dormant"]), curve.first_below(options["p_churned"])))
        assert (row["dormant_after"], row["churned_after"]) == limits[-1]
        assert row["longest_known"] == (size - 1 if size else None)
        assert (row["gaps"], row["returned"]) == (len(own), sum(gap.ended for gap in own))
        assert row["customers"] == len(own) - row["returned"]
        assert bool(row["reason"]) == (None in limits[-1])
    assert place == len(curves["recency"])
    for low, chance, high in zip(*(curves[f"return_probability{end}"] for end in ("_low", "", "_high")), strict=True):
        assert (np.isnan(low) if low is not None else True) or 0 <= low <= chance + 1e-12 <= high + 2e-12 <= 1 + 2e-12
    people = [{"orders": orders, "recency": recency} for orders in range(1, 8) for recency in range(0, 45, 3)]
    assigned = fitted.assign(pd.DataFrame(people)).table
    for person, stage, chance in zip(people, assigned["stage"], assigned["return_probability"], strict=True):
        band = max(number for number, start in enumerate(options["bands"]) if start <= person["orders"])
        dormant_after, churned_after = limits[band]
        if churned_after is not None and person["recency"] >= churned_after:
            expected = "churned"
        elif dormant_after is not None and person["recency"] >= dormant_after:
            expected = "dormant"
        else:
            expected = ["introduction", "growth", "maturity"][band]
        assert stage == expected
        if known[band]:
            assert chance == known[band][min(person["recency"], len(known[band]) - 1)]
        else:
            assert np.isnan(chance)


def test_a_case_worked_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four customers buy once and return after 1, 2, 2 and 3 days, one is silent for ten."""
    monkeypatch.setattr(models, "LEAST", 2)
    start = pd.Timestamp("2026-01-01")
    rows = [(who, start + pd.Timedelta(days=days)) for who, days in (("a", 1), ("b", 2), ("c", 2), ("d", 3))]
    frame = pd.DataFrame([(who, start) for who in "abcde"] + rows, columns=["customer", "time"])
    with pytest.warns(om.OpsmetricsWarning) as told:
        fitted = om.Stages.default().fit(frame, **NAMES, as_of="2026-01-11", horizon=2, p_dormant=0.7, p_churned=0.5)
    short, at_once, _ = (str(warning.message) for warning in told)
    assert "the history is too short to know every limit: of the band 1, silence can be judged up to 1 days" in short
    assert "of the band 1 no more than 60% return within the horizon even from the first day" in at_once
    one = curve_of(fitted, "1")
    # S = 1, 4/5, 2/5, 1/5, 1/5, ...; at risk on day 2 are four, on day 3 two, on day 4 one.
    assert one["at_risk"].tolist() == [4, 2]
    assert one["survival"].tolist() == pytest.approx([1, 0.8])
    assert one["return_probability"].tolist() == pytest.approx([0.6, 0.6])  # 1 - 2/5, and 1 - (1/5)/(4/5) = 0.75 made non-increasing
    assert records(fitted.table)[0] == {
        "stage": "introduction", "orders": "1", "customers": 1, "gaps": 5, "returned": 4, "dormant_after": 0, "churned_after": None,
        "longest_known": 1, "reason": "silence can be judged up to 1 days, after which 60% still return",
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- witnesses


def gaps_of(orders: pd.DataFrame, today: str) -> pd.DataFrame:
    """The gaps between purchase days with pandas: of which band, how long, whether ended."""
    counted = orders.groupby([orders["sample_id"], orders["date"].dt.normalize().rename("day")]).size().rename("rows").reset_index()
    people = counted.groupby("sample_id")
    so_far, after = people["rows"].cumsum(), people["day"].shift(-1)
    days = (after.fillna(pd.Timestamp(today)) - counted["day"]).dt.days
    return pd.DataFrame({"band": pd.cut(so_far, [0, 1, 3, np.inf], labels=BANDS), "days": days, "ended": after.notna()})


def test_statsmodels_over_cdnow(cdnow: pd.DataFrame) -> None:
    """S(t) of each band, the chance to return by refitting on those still silent, its interval, and the limits by a scan."""
    fitted = fit(cdnow, **CDNOW, as_of="1998-06-30", horizon=90)
    gaps = gaps_of(cdnow, "1998-06-30")
    for band, row in zip(BANDS, records(fitted.table), strict=True):
        own = gaps[(gaps["band"] == band) & (gaps["days"] > 0)]
        curve = curve_of(fitted, band)
        witness = SurvfuncRight(own["days"], own["ended"].astype(int))
        steps = np.searchsorted(witness.surv_times, curve["recency"], side="right")
        survival = np.append(1.0, witness.surv_prob)
        assert curve["survival"].to_numpy() == pytest.approx(survival[steps], abs=1e-12)
        later = np.searchsorted(witness.surv_times, curve["recency"] + 90, side="right")
        chance = np.minimum.accumulate(1 - survival[later] / survival[steps])
        assert curve["return_probability"].to_numpy() == pytest.approx(chance, abs=1e-12)
        at_risk = [int((own["days"] >= t + 90).sum()) for t in curve["recency"]]
        assert curve["at_risk"].tolist() == at_risk
        assert min(at_risk) >= 30
        assert (own["days"] >= len(curve) + 90).sum() < 30
        low, high = [], []
        for t in curve["recency"]:
            silent = own[own["days"] > t]
            again = SurvfuncRight(silent["days"] - t, silent["ended"].astype(int))
            last = int(np.searchsorted(again.surv_times, 90, side="right")) - 1
            s, error = again.surv_prob[last], again.surv_prob_se[last]
            half = 1.959963984540054 * error / (s * abs(np.log(s)))
            low.append(1 - s ** np.exp(-half))
            high.append(1 - s ** np.exp(half))
        assert curve["return_probability_low"].to_numpy() == pytest.approx(np.minimum.accumulate(low), abs=1e-9)
        assert curve["return_probability_high"].to_numpy() == pytest.approx(np.minimum.accumulate(high), abs=1e-9)
        for name, level in (("dormant_after", 0.35), ("churned_after", 0.10)):
            assert row[name] == next((t for t, p in enumerate(chance) if p < level), None), (band, name)
    assert fitted.table["customers"].sum() == cdnow["sample_id"].nunique()
    assert fitted.table["dormant_after"].notna().all()


def test_the_limits_keep_their_promise_on_the_months_after(cdnow: pd.DataFrame) -> None:
    """Fitted to the first year, the stages part those who return within 90 days from those who do not."""
    fitted = fit(cdnow, **CDNOW, as_of="1997-12-31", horizon=90, p_churned=0.12)
    summary = om.customer_summary(cdnow, **CDNOW, amount="amount", as_of="1997-12-31")
    later = cdnow[cdnow["date"].between("1998-01-01", "1998-03-31")]["sample_id"].unique()
    staged = fitted.assign(summary)
    returned = summary.table["sample_id"].isin(later)
    share = returned.groupby(staged.table["stage"].tolist()).mean()
    assert share["churned"] < 0.12 < share["dormant"] < 0.35 < share["maturity"]
    chance = staged.table["return_probability"]
    assert chance.notna().all()
    assert abs(chance.mean() - returned.mean()) < 0.04


# ------------------------------------------------------------------------------------------------------------------ laws


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    return om.make_orders(2_000, rng=3)


ORDERS: dict[str, Any] = {"customer": "customer", "time": "time", "amount": "amount", "horizon": 60, "as_of": "2025-12-31"}


def everything(frame: Any, **options: Any) -> list[Any]:
    fitted = fit(frame, **(ORDERS | options))
    return [columns_of(fitted.table), columns_of(fitted.curves), fitted.dropped, fitted.params, fitted.stages.to_dict()]


def test_every_kind_of_frame_has_the_same_answer(orders: pd.DataFrame, kind: Kind) -> None:
    assert everything(kind.make(orders)) == everything(orders)
    fitted = fit(kind.make(orders), **ORDERS)
    assert isinstance(fitted.table, kind.result)
    assert isinstance(fitted.curves, kind.result)
    summary = om.customer_summary(kind.make(orders), customer="customer", time="time", amount="amount", as_of="2025-12-31")
    assert chances(fitted, summary) == chances(fit(orders, **ORDERS), pd.DataFrame(columns_of(summary.table)))
    assert isinstance(fitted.assign(summary).table, kind.result)


@pytest.mark.parametrize("engine", ["pandas", "polars-scan", "duckdb"])
def test_tables_that_are_cut_into_parts(orders: pd.DataFrame, engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    expected = everything(orders, tz="Asia/Shanghai")
    for name in ("ROWS_TO_SPLIT", "ROWS_PER_PART", "ROWS_PER_BATCH"):
        monkeypatch.setattr(_parts, name, 900)
    orders.to_parquet(tmp_path / "orders.parquet", index=False)
    path = str(tmp_path / "orders.parquet")
    made = {"pandas": lambda: orders, "polars-scan": lambda: pl.scan_parquet(path), "duckdb": lambda: duckdb.connect().read_parquet(path)}
    assert everything(made[engine](), tz="Asia/Shanghai") == expected


def test_rows_in_any_order_under_other_names_and_whole_weeks_later(orders: pd.DataFrame) -> None:
    expected = everything(orders)
    shuffled = orders.sample(frac=1, random_state=2).assign(customer=lambda f: "x" + f["customer"].str[::-1])
    assert everything(shuffled) == expected
    later = everything(orders.assign(time=orders["time"] + pd.Timedelta(weeks=52)), as_of="2026-12-30")
    later[3]["as_of"] = "2025-12-31"
    assert later == expected
    doubled = pd.concat([orders, orders.assign(customer="twin of " + orders["customer"])])
    twins = fit(doubled, **ORDERS)
    alone = fit(orders, **ORDERS)
    assert twins.table["gaps"].tolist() == (2 * alone.table["gaps"]).tolist()
    size = len(curve_of(alone, "4+"))
    for name in ("survival", "return_probability"):
        assert curve_of(twins, "4+")[name].tolist()[:size] == pytest.approx(curve_of(alone, "4+")[name].tolist())


def test_levels_and_horizons_move_the_limits_one_way(orders: pd.DataFrame) -> None:
    def limits(**options: Any) -> list[float]:
        return fit(orders, **(ORDERS | options)).table["churned_after"].astype(float).fillna(np.inf).tolist()

    strict, usual, lax = (limits(p_churned=p) for p in (0.05, 0.10, 0.20))
    assert all(a >= b >= c for a, b, c in zip(strict, usual, lax, strict=True))
    assert strict != lax


def test_names_in_chinese_and_stages_as_json(orders: pd.DataFrame) -> None:
    english, chinese = (fit(orders, **ORDERS, labels=labels) for labels in ("en", "zh"))
    assert chinese.stages.names == ("流失", "休眠", "引入", "成长", "成熟")
    assert om.Stages.default(labels="zh").names == chinese.stages.names
    assert english.stages.names == om.StageModel().names == ("churned", "dormant", "introduction", "growth", "maturity")
    summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2025-12-31")
    one, two = english.assign(summary), chinese.assign(summary)
    words = dict(zip(english.stages.names, chinese.stages.names, strict=True))
    assert [words[stage] for stage in one.table["stage"]] == two.table["stage"].tolist()
    again = om.Stages.from_dict(json.loads(json.dumps(chinese.stages.to_dict(), ensure_ascii=False)))
    assert again == chinese.stages
    assert again.assign(summary).table.equals(two.table.drop(columns="return_probability"))
    moves = om.transitions(one, one, lapsed=["churned", "dormant"], top=["maturity"])
    assert moves.rates["rate"].tolist() == [0.0, 1.0, 0.0, 0.0, 0.0]
    travelled = pickle.loads(pickle.dumps(chinese))
    assert chances(travelled, summary) == chances(english, summary)
    assert json.dumps(chinese.to_dict())
    own = dict(zip(english.stages.names, "edcba", strict=True))
    renamed = fit(orders, **ORDERS, labels=own)
    assert renamed.stages.names == tuple("edcba")
    assert [own[stage] for stage in one.table["stage"]] == renamed.assign(summary).table["stage"].tolist()


def test_the_chance_of_customers_that_no_curve_knows(orders: pd.DataFrame) -> None:
    fitted = fit(orders, **ORDERS)
    people = pd.DataFrame(
        {"orders": pd.array([1, 1, None, 1, 0, 3], dtype="Int64"), "recency": pd.array([0, 10**6, 3, None, 3, -1], dtype="Int64")}
    )
    unknown = people.assign(orders=people["orders"].replace({0: 1}).fillna(1), recency=people["recency"].abs())
    assert not np.isnan(chances(fitted, unknown)[2])
    fitted = replace(fitted, stages=om.Stages([*fitted.stages.stages], default="unknown"))
    found = np.array(chances(fitted, people))
    curve = curve_of(fitted, "1")["return_probability"]
    assert found[:2].tolist() == [curve.iloc[0], curve.iloc[-1]]
    assert np.isnan(found[2:]).all()
    stages = fitted.assign(people).table["stage"].tolist()
    assert stages[2] == stages[4] == "unknown"
    assert stages[3] == "introduction"  # of an unknown silence nothing is said, but it is one order


def test_a_refund_is_no_purchase_and_several_orders_of_a_day_are_one_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "LEAST", 1)
    days = ["2026-01-01 09:00", "2026-01-01 10:00", "2026-01-05 12:00", "2026-01-08 12:00", "2026-01-20 12:00"]
    frame = pd.DataFrame({"customer": 1, "time": pd.to_datetime(days), "amount": [5.0, 6.0, -6.0, 1.0, 2.0]})
    options: dict[str, Any] = {**NAMES, "amount": "amount", "as_of": "2026-02-01", "horizon": 5}
    table = fit(frame, **options).table
    assert table["gaps"].tolist() == [0, 2, 1]  # two orders on the first day; the third after seven days, the fourth after twelve
    assert table["returned"].tolist() == [0, 2, 0]
    case = replace(
        Case([], slow.Rules()), rows=[slow.Row(1, time, round(100 * a)) for time, a in zip(frame["time"], frame["amount"], strict=True)]
    )
    rules = slow.Rules(money=True, as_of=dt.date(2026, 2, 1))
    assert slow.gaps(case.rows, rules, dt.date(2026, 2, 1), (1, 2, 4)) == [
        slow.Gap(1, 7, True),
        slow.Gap(1, 12, True),
        slow.Gap(2, 12, False),
    ]


def test_who_returned_in_the_study_of_dormancy() -> None:
    """CDNOW to day 272 against the 273 days after: how well recency and orders rank, and the quantiles of observed gaps.

    P(alive) ranks worse than a coin, as there; its third digit, like that of the expected purchases, hangs on how the study counted time.
    """
    study = reference("lifecycle.json")["cdnow_dormancy"]["derived"]
    bought = pd.read_parquet(data("cdnow_sample.parquet"))[["sample_id", "date"]].drop_duplicates()
    known, later = (bought[side] for side in (bought["date"] <= "1997-09-30", bought["date"] > "1997-09-30"))
    people = om.customer_summary(known.assign(amount=1.0), **CDNOW, amount="amount", as_of="1997-09-30").table
    back = people["sample_id"].isin(later["sample_id"])
    repeats = om.clv_summary(known, **CDNOW, as_of="1997-09-30")
    with pytest.warns(om.OpsmetricsWarning, match="bought once"):
        alive = om.BetaGeo().fit(repeats).p_alive(repeats).table["p_alive"]

    def area(score: pd.Series) -> float:
        return float(mannwhitneyu(score[back.to_numpy()], score[~back.to_numpy()]).statistic / (back.sum() * (~back).sum()))

    assert area(-people["recency"]) == pytest.approx(study["AUC"]["recency"], abs=5e-5)
    assert area(people["orders"]) == pytest.approx(study["AUC"]["frequency"], abs=5e-5)
    assert area(alive) < 0.32
    assert len(people) == study["customers"]
    assert (people["orders"] == 1).mean() == pytest.approx(study["one_time"], abs=5e-4)
    assert back.mean() == pytest.approx(study["buy_in_holdout_273d"], abs=5e-4)
    gaps = known.sort_values(["sample_id", "date"]).groupby("sample_id")["date"].diff().dt.days.dropna()
    assert gaps.quantile([0.8, 0.9]).tolist() == pytest.approx(study["observed_gap_P80_P90"], abs=1)
