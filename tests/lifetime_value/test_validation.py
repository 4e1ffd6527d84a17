"""Validation: what was held out, by pandas; scores by their definitions; naive rules; forecasts that are right where the model is."""

from __future__ import annotations

import json
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from tests.bad_input.cases import check_refused
from tests.lifetime_value.inputs import CDNOW, LAST_DAY, ORDERS, cdnow, orders_of, predicted, quiet
from tests.support import Kind, columns_of

END, LAST = "1997-09-30", "1998-06-30"
DURATION = 273


@pytest.fixture(scope="module")
def values() -> Any:
    return quiet(om.clv, cdnow(), **CDNOW, model="mbg_nbd", confidence=0.9)


@pytest.fixture(scope="module")
def checked(values: Any) -> om.Validation[Any]:
    return quiet(values.validate, calibration_end=END)


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    """What was known of CDNOW's customers on the last day that models learn from, and what came after, by pandas."""
    orders = cdnow().assign(day=lambda f: f["date"].dt.normalize())
    days = orders.groupby(["sample_id", "day"], as_index=False)["amount"].sum()
    first = days.groupby("sample_id")["day"].transform("min")
    known, later = days["day"] <= END, days["day"] > END
    repeat = days["day"] > first
    table = days[known].groupby("sample_id").agg(first=("day", "min"), last=("day", "max"))
    counts = days[known & repeat].groupby("sample_id").agg(frequency=("day", "size"), monetary_value=("amount", "mean"))
    held = days[later].groupby("sample_id").agg(bought=("day", "size"), spent=("amount", "sum"))
    table = table.join(counts).join(held).fillna(0)
    return table.assign(recency=(table["last"] - table["first"]).dt.days, T=(pd.Timestamp(END) - table["first"]).dt.days)


@pytest.fixture(scope="module")
def fit(people: pd.DataFrame) -> om.ModifiedBetaGeoFit:
    return om.ModifiedBetaGeo().fit(people)


@pytest.fixture(scope="module")
def spend(people: pd.DataFrame) -> om.GammaGammaFit:
    return om.GammaGamma().fit(people)


@pytest.fixture(scope="module")
def chances(people: pd.DataFrame, fit: Any) -> Any:
    """P(Y = n) of each customer in the days held out, n = 0 to 149."""
    return np.array([predicted(fit.purchase_probability(n, DURATION, people)) for n in range(150)])


# --------------------------------------------------------------------------------------------------------- the split


def test_it_learns_from_the_first_part_and_is_told_of_the_second(checked: Any) -> None:
    assert (checked.model, checked.calibration_end) == ("MBG/NBD", END)
    assert {name: checked.params[name] for name in ("calibration_end", "duration", "confidence", "as_of")} == {
        "calibration_end": END, "duration": DURATION, "confidence": 0.9, "as_of": LAST,
    }  # fmt: skip
    assert f"learned until {END}, held out {DURATION} days" in str(checked)


def test_the_middle_is_the_usual_split(values: Any) -> None:
    """Between the first order, 1997-01-01, and the end: 545 days, of which the later 272 are held out."""
    found = quiet(values.validate)
    assert found.params["duration"] == 545 // 2
    assert found.calibration_end == str((pd.Timestamp(LAST) - pd.Timedelta(days=272)).date())
    same = quiet(values.validate, calibration_end=found.calibration_end)
    pd.testing.assert_frame_equal(same.table, found.table)


def test_a_validation_leaves_the_values_as_they_are(values: Any) -> None:
    before = values.table.copy()
    quiet(values.validate, calibration_end=END)
    pd.testing.assert_frame_equal(values.table, before)


def test_it_holds_on_to_the_orders_as_they_were() -> None:
    orders, _ = orders_of(200, 1)
    mine = orders.copy()
    made = om.clv(mine, **ORDERS, model="mbg_nbd", as_of=LAST_DAY)
    expected = quiet(made.validate).table
    mine["amount"], mine["time"] = 0.0, pd.Timestamp("2025-01-01")
    pd.testing.assert_frame_equal(quiet(made.validate).table, expected)


def test_the_rules_of_the_call_hold_for_the_parts(values: Any) -> None:
    """Refunds, missing customers, the zone and as_of are those of the call."""
    orders, _ = orders_of(200, 1)
    holed = pd.concat([orders.astype({"customer": "Int64"}), orders.head(5).assign(customer=None)]).astype({"customer": "Int64"})
    refund = orders.head(3).assign(amount=-1.0)
    made = om.clv(
        pd.concat([holed, refund]),
        **ORDERS,
        model="mbg_nbd",
        as_of="2025-11-30",
        missing_customer="drop",
        refunds="drop",
        tz="Asia/Shanghai",
    )
    found = quiet(made.validate, calibration_end="2025-06-30")
    assert found.dropped["refund"] == 3
    assert found.dropped["missing customer"] == 5
    assert (found.params["as_of"], found.params["duration"]) == ("2025-11-30", 153)
    plain = quiet(om.clv(orders, **ORDERS, model="mbg_nbd", as_of="2025-11-30", tz="Asia/Shanghai").validate, calibration_end="2025-06-30")
    pd.testing.assert_frame_equal(found.table, plain.table)
    pd.testing.assert_frame_equal(found.tracking, plain.tracking)


# ------------------------------------------------------------------------------------------------------------- scores


def gini(prediction: Any, actual: Any) -> float:
    """The area between the concentration curve and the diagonal, over that of the perfect order; ties in a chord."""

    def area(order_by: Any) -> float:
        frame = pd.DataFrame({"by": np.asarray(order_by), "actual": np.asarray(actual)}).groupby("by")["actual"].agg(["size", "sum"])
        x = np.append(0, frame["size"].cumsum()) / len(actual)
        y = np.append(0, frame["sum"].cumsum()) / np.sum(actual)
        return 0.5 - float(np.trapezoid(y, x))

    return area(prediction) / area(actual)


def test_the_model_and_the_naive_rules(checked: Any, people: pd.DataFrame, fit: Any, chances: Any) -> None:
    bought = people["bought"].to_numpy()
    rate = (people["frequency"] / people["T"]).to_numpy()
    mean = people["frequency"].sum() / people["T"].sum()
    rules = {
        "MBG/NBD": predicted(fit.expected_purchases(DURATION, people)),
        "same rate": rate * DURATION,
        "same mean": np.full(len(people), mean * DURATION),
        "nobody returns": np.zeros(len(people)),
    }
    table = checked.table
    assert table.columns.tolist() == ["rule", "mae", "rmse", "bias", "gini", "crps"]
    assert table["rule"].tolist() == list(rules)
    for row, prediction in zip(table.to_dict("records"), rules.values(), strict=True):
        assert row["mae"] == pytest.approx(np.abs(prediction - bought).mean(), rel=1e-6)
        assert row["rmse"] == pytest.approx(np.sqrt(((prediction - bought) ** 2).mean()), rel=1e-6)
        assert row["bias"] == pytest.approx(prediction.sum() / bought.sum() - 1, abs=1e-6)
        assert row["gini"] == pytest.approx(gini(prediction.round(9), bought), abs=1e-6)
    step = np.cumsum(chances, axis=0) - (bought[None, :] <= np.arange(150)[:, None])
    assert table["crps"][0] == pytest.approx((step**2).sum(axis=0).mean(), rel=1e-6)
    assert table["crps"][1:].tolist() == table["mae"][1:].tolist()  # of a rule that knows no distribution
    assert table["gini"][2:].tolist() == [0, 0]
    assert table["crps"][0] < table["crps"][1:].min()


def test_customers_who_came_on_the_last_day_have_no_rate() -> None:
    orders, _ = orders_of(300, 4)
    last = pd.DataFrame({"customer": [900, 901], "time": pd.Timestamp("2025-06-30 10:00"), "amount": 5.0})
    made = om.clv(pd.concat([orders, last]), **ORDERS, model="mbg_nbd", as_of=LAST_DAY)
    assert np.isfinite(quiet(made.validate, calibration_end="2025-06-30").table[["mae", "rmse", "bias", "gini", "crps"]]).all(axis=None)


# ----------------------------------------------------------------------------------------------------------- tracking


def test_tracking_ends_at_the_actual_totals(checked: Any, people: pd.DataFrame) -> None:
    """Cumulated repeat purchase days of those first seen while the model learned, week by week to the last day."""
    tracking = checked.tracking
    assert tracking.columns.tolist() == ["time", "actual", "expected", "held_out"]
    days = cdnow().assign(day=lambda f: f["date"].dt.normalize())[["sample_id", "day"]].drop_duplicates()
    first = days.groupby("sample_id")["day"].transform("min")
    repeats = days[(days["day"] > first) & (first <= END)]["day"]
    assert tracking["actual"].tolist() == [int((repeats <= time).sum()) for time in tracking["time"]]
    assert tracking["actual"].iloc[-1] == people["frequency"].sum() + people["bought"].sum() == len(repeats)
    assert tracking["time"].iloc[-1] == pd.Timestamp(LAST)
    assert (tracking["time"].diff().dropna() == pd.Timedelta(days=7)).all()
    assert tracking["time"].iloc[0] - pd.Timestamp("1997-01-01") < pd.Timedelta(days=7)
    assert tracking["held_out"].tolist() == (tracking["time"] > END).tolist()


def test_customers_who_came_later_are_not_tracked() -> None:
    """Nor their repeat purchases: nothing was learned of them."""
    orders, _ = orders_of(300, 6)
    made = om.clv(orders, **ORDERS, model="mbg_nbd", as_of=LAST_DAY)
    found = quiet(made.validate, calibration_end="2025-06-30")
    days = orders.assign(day=orders["time"].dt.normalize())[["customer", "day"]].drop_duplicates()
    first = days.groupby("customer")["day"].transform("min")
    assert (first > "2025-06-30").any()
    repeats = days[(days["day"] > first) & (first <= "2025-06-30")]["day"]
    assert found.tracking["actual"].tolist() == [int((repeats <= time).sum()) for time in found.tracking["time"]]
    assert found.params["customers_after_calibration"] == days.loc[first > "2025-06-30", "customer"].nunique()
    assert found.frequencies["actual"].sum() == days.loc[first <= "2025-06-30", "customer"].nunique()


def test_tracking_expects_what_newcomers_do(checked: Any, people: pd.DataFrame, fit: Any) -> None:
    births = people["first"].value_counts()
    for time, expected in checked.tracking[["time", "expected"]].iloc[::9].itertuples(index=False):
        ages = (time - births.index).days
        total = sum(count * fit.expected_purchases(int(age)) for age, count in zip(ages, births, strict=True) if age > 0)
        assert expected == pytest.approx(total, rel=1e-6)


def test_frequencies_add_up_to_customers(checked: Any, people: pd.DataFrame, fit: Any) -> None:
    table = checked.frequencies
    assert table["purchases"].tolist() == ["0", "1", "2", "3", "4", "5", "6", "7+"]
    counts = people["frequency"].clip(upper=7).astype(int).value_counts().sort_index()
    assert table["actual"].tolist() == counts.tolist()
    assert table["actual"].sum() == len(people)
    assert table["expected"].sum() == pytest.approx(len(people))
    for n in range(7):
        total = sum(count * fit.purchase_probability(n, int(age)) for age, count in people["T"].value_counts().items())
        assert table["expected"][n] == pytest.approx(total, rel=1e-6)


# ----------------------------------------------------------------------------------- calibration, transform and coverage


def test_calibration_groups_customers_with_like_predictions(checked: Any, people: pd.DataFrame, fit: Any) -> None:
    table, prediction = checked.calibration, predicted(fit.expected_purchases(DURATION, people))
    assert table.columns.tolist() == ["customers", "expected", "actual", "actual_low", "actual_high"]
    assert len(table) == 10
    assert table["customers"].sum() == len(people)
    assert table["customers"].between(0.8 * len(people) / 10, 1.2 * len(people) / 10).all()
    assert table["expected"].is_monotonic_increasing
    assert table["customers"] @ table["expected"] == pytest.approx(prediction.sum(), rel=1e-6)
    assert table["customers"] @ table["actual"] == pytest.approx(people["bought"].sum())
    order, begin = np.argsort(prediction, kind="stable"), 0
    for row in table.to_dict("records"):
        own = people["bought"].to_numpy()[order[begin : begin + row["customers"]]]
        begin += row["customers"]
        half = 1.959964 * own.std(ddof=1) / np.sqrt(len(own))
        assert row["actual"] == pytest.approx(own.mean())
        assert row["actual_low"] == pytest.approx(max(own.mean() - half, 0), rel=1e-6)
        assert row["actual_high"] == pytest.approx(own.mean() + half, rel=1e-6)


def test_the_probability_integral_transform(checked: Any, people: pd.DataFrame, chances: Any) -> None:
    """Each customer's lies evenly between P(Y < y) and P(Y <= y) (Czado, Gneiting & Held 2009)."""
    table, bought = checked.pit, people["bought"].to_numpy(int)
    assert table["share"].sum() == pytest.approx(1)
    assert table["low"].tolist() == pytest.approx(np.arange(10) / 10)
    assert table["high"].tolist() == pytest.approx(np.arange(1, 11) / 10)
    upto = np.vstack([np.zeros(len(people)), np.cumsum(chances, axis=0)])
    rows = np.arange(len(people))
    low, high = upto[bought, rows], upto[bought + 1, rows]
    edges = np.arange(11)[:, None] / 10
    share = np.diff(np.clip((edges - low) / (high - low), 0, 1).mean(axis=1))
    assert table["share"].to_numpy() == pytest.approx(share, abs=1e-6)


def test_coverage_is_the_share_inside_the_intervals_of_the_outcome(checked: Any, people: pd.DataFrame, chances: Any) -> None:
    table = checked.coverage.set_index("of")
    assert table.index.tolist() == ["purchases", "value", "all purchases", "all value"]
    assert (table["nominal"] == 0.9).all()
    upto = np.cumsum(chances, axis=0)
    low, high = ((upto < level - 1e-9).sum(axis=0) for level in (0.05, 0.95))
    assert table["covered"]["purchases"] == pytest.approx(((low <= people["bought"]) & (people["bought"] <= high)).mean(), abs=1e-9)
    assert table["covered"].between(0, 1).all()
    assert table["covered"]["purchases"] > 0.9  # counts jump
    assert table["covered"]["value"] > 0.85
    assert set(table["covered"][["all purchases", "all value"]]) <= {0.0, 1.0}


def test_values_held_out_are_those_of_pandas(values: Any, people: pd.DataFrame, fit: Any, spend: Any) -> None:
    """The intervals of value, of an undiscounted amount without a margin, hold the money that came."""
    orders = cdnow()[cdnow()["date"] <= END]
    made = quiet(om.clv, orders, **CDNOW, model="mbg_nbd", as_of=END, horizon=DURATION, discount_rate=0, confidence=0.9)
    assert made.fit.params == pytest.approx(fit.params, rel=1e-6)
    assert made.spend_fit.params == pytest.approx(spend.params, rel=1e-6)
    spent = people["spent"].to_numpy()
    inside = (made.table["outcome_low"].to_numpy() <= spent) & (spent <= made.table["outcome_high"].to_numpy())
    covered = quiet(values.validate, calibration_end=END).coverage.set_index("of")["covered"]
    assert covered["value"] == pytest.approx(inside.mean(), abs=0.004)
    total = made.totals.iloc[0]
    assert covered["all value"] == (total["outcome_low"] <= spent.sum() <= total["outcome_high"])
    assert covered["all purchases"] == (total["purchases_low"] <= people["bought"].sum() <= total["purchases_high"])


def test_penalties_are_those_of_the_fits() -> None:
    """Of both models: the totals that were expected are those of fits to the first part with these penalties."""
    orders, _ = orders_of(300, 8)
    buying, spend = om.ModifiedBetaGeo(penalty=20.0), om.GammaGamma(penalty=20.0)
    made = quiet(om.clv, orders, **ORDERS, model=buying, spend_model=spend, as_of=LAST_DAY)
    found = quiet(made.validate, calibration_end="2025-09-30").coverage.set_index("of")["expected"]
    known = om.clv_summary(orders, **ORDERS, as_of=LAST_DAY, calibration_end="2025-09-30")
    bought = predicted(buying.fit(known).expected_purchases(92, known))
    amount, free = (predicted(quiet(model.fit, known).expected_amount(known)) for model in (spend, om.GammaGamma()))
    assert found["all purchases"] == pytest.approx(bought.sum(), rel=1e-9)
    assert found["all value"] == pytest.approx(bought @ amount, rel=1e-9)
    assert abs(bought @ free / (bought @ amount) - 1) > 1e-3


def test_what_is_wrong_with_the_fit_to_the_first_part_is_told() -> None:
    orders, _ = orders_of(60, 0)
    made = quiet(om.clv, orders, **ORDERS, model="mbg_nbd", as_of=LAST_DAY)
    known = om.clv_summary(orders, **ORDERS, as_of=LAST_DAY, calibration_end="2025-08-31")
    expected = [f"MBG/NBD: {line}" for line in quiet(om.ModifiedBetaGeo().fit, known).warnings]
    assert "the data hardly tell" in expected[0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made.validate(calibration_end="2025-08-31")
    assert [str(one.message) for one in caught if str(one.message).startswith("MBG/NBD")] == expected
    assert all(one.filename == __file__ for one in caught)


def test_the_right_model_is_found_right() -> None:
    """Simulated MBG/NBD customers: no bias, a flat transform, and each group within its interval, but for chance."""
    orders, _ = orders_of(2_500, 21)
    made = om.clv(orders, **ORDERS, model="mbg_nbd", as_of=LAST_DAY)
    found = quiet(made.validate, calibration_end="2025-09-30")
    model = found.table.iloc[0]
    assert abs(model["bias"]) < 0.08
    assert model["gini"] > 0.5
    assert (found.table["crps"][1:] > model["crps"]).all()
    assert found.pit["share"].between(0.08, 0.12).all()
    inside = found.calibration["expected"].between(found.calibration["actual_low"], found.calibration["actual_high"])
    assert inside.sum() >= 8
    assert found.coverage["covered"][:2].between(0.94, 1).all()
    assert found.tracking["expected"].iloc[-1] == pytest.approx(found.tracking["actual"].iloc[-1], rel=0.08)


def test_orders_of_two_days_cannot_be_split() -> None:
    """By nobody's argument: a first half to learn from and a second to hold out take three days."""
    random = np.random.default_rng(0)
    first = pd.Timestamp("2025-03-01")
    for days in (1, 2):
        when = first + pd.to_timedelta(random.integers(0, days, 900), "D")
        orders = pd.DataFrame({"customer": random.integers(0, 300, 900), "time": when, "amount": 5 + random.gamma(2, 3, 900).round(2)})
        asked = {"as_of": first + pd.Timedelta(days=days - 1), "horizon": 30, "model": om.ModifiedBetaGeo(penalty=0.1)}
        if days == 1:
            with pytest.raises(om.FitError, match="no customer has a repeat purchase"):
                quiet(om.clv, orders, **ORDERS, **asked)
            continue
        values = quiet(om.clv, orders, **ORDERS, **asked)
        with pytest.raises(om.DataError, match=r"the orders span 2 days, .* three days or more") as caught:
            values.validate()
        assert caught.value.code == "data.span"


def test_a_total_without_a_variance_has_an_interval_too() -> None:
    rng = np.random.default_rng(3)
    orders, _ = orders_of(600, 5)
    own = dict(enumerate(10.0 / rng.gamma(1.4, 1.0, 600)))
    heavy = orders.assign(amount=(orders["customer"].map(own) * rng.gamma(4.0, 0.25, len(orders))).clip(0.01, 1e9).round(2))
    found = quiet(quiet(om.clv, heavy, **ORDERS, model="mbg_nbd", as_of=LAST_DAY).validate)
    row = found.coverage.set_index("of").loc["all value"]
    assert 0 < row["low"] < row["high"] < np.inf
    assert row["covered"] == float(row["low"] <= row["actual"] <= row["high"])


# ---------------------------------------------------------------------------------------------------- frames and travel


def test_every_kind_of_frame_has_the_same_answer(kind: Kind) -> None:
    orders, _ = orders_of(300, 8)
    tables = ("table", "tracking", "frequencies", "calibration", "pit", "coverage")
    ours, theirs = (quiet(om.clv(frame, **ORDERS, model="mbg_nbd", as_of=LAST_DAY).validate) for frame in (orders, kind.make(orders)))
    for name in tables:
        assert isinstance(getattr(theirs, name), kind.result)
        assert columns_of(getattr(theirs, name)) == columns_of(getattr(ours, name)), name


def test_orders_do_not_travel(values: Any) -> None:
    travelled = pickle.loads(pickle.dumps(values))
    error = check_refused(travelled.validate, om.ParameterError, "parameter.log", ["another process", "orders"])
    assert "ask it where it was made" in str(error)


def test_a_validation_travels(checked: Any) -> None:
    again = pickle.loads(pickle.dumps(checked))
    pd.testing.assert_frame_equal(again.tracking, checked.tracking)
    sent = json.loads(json.dumps(checked.to_dict(), allow_nan=False))
    assert set(sent) == {"table", "tracking", "frequencies", "calibration", "pit", "coverage", "params", "dropped"}
    assert sent["tracking"][-1]["time"].startswith(LAST)
    for shown in (str(checked), checked._repr_html_()):
        assert "MBG/NBD" in shown
        assert "nobody returns" in shown


def test_splits_that_leave_nothing(values: Any) -> None:
    for end in (LAST, "1999-01-01"):
        check_refused(lambda end=end: values.validate(calibration_end=end), om.ParameterError, "parameter.calibration_end", [end])
    check_refused(lambda: values.validate(calibration_end="soon"), om.ParameterError, "parameter.calibration_end", ["'soon'"])
    check_refused(
        lambda: values.validate(calibration_end="1996-12-31"), om.DataError, "data.no_purchases", ["1996-12-31", "choose a later one"]
    )
    told = ["1997-01-01", "leaves too little to learn from: no customer has a repeat purchase", "Choose a later one"]
    check_refused(lambda: quiet(values.validate, calibration_end="1997-01-01"), om.FitError, "fit.no_repeats", told)
