"""The pictures of lifetime value: what they say must be what the tables say, and drawing must leave no trace."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import opsmetrics as om
from opsmetrics.plotting import series
from opsmetrics.plotting.canvas import BLUE, ORANGE
from tests.pictures import (
    check_every_picture,
    check_words,
    families,
    heights,
    legend,
    pretend_simhei,
    reading,
    solid,
    texts,
    ticks,
    title,
    whiskers,
)
from tests.support import Kind

pytestmark = pytest.mark.usefixtures("agg")

NAMES: dict[str, Any] = {"customer": "customer", "time": "time"}
MONEY: dict[str, Any] = {**NAMES, "amount": "amount"}


def quiet(ask: Callable[..., Any], *args: Any, **asked: Any) -> Any:
    """An answer without what it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)
        return ask(*args, **asked)


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    return om.make_orders(customers=600, rng=5)


@pytest.fixture(scope="module")
def summary(orders: pd.DataFrame) -> om.CLVSummary[pd.DataFrame]:
    return om.clv_summary(orders, **MONEY)


@pytest.fixture(scope="module")
def fit(summary: om.CLVSummary[pd.DataFrame]) -> om.ParetoNBDFit:
    found: om.ParetoNBDFit = quiet(om.ParetoNBD().fit, summary)
    return found


@pytest.fixture(scope="module")
def values(orders: pd.DataFrame) -> om.CLV[pd.DataFrame]:
    found: om.CLV[pd.DataFrame] = quiet(om.clv, orders, **MONEY, model="mbg_nbd", horizon="180D")
    return found


@pytest.fixture(scope="module")
def groups(orders: pd.DataFrame, values: om.CLV[pd.DataFrame]) -> om.CLVBreakdown[pd.DataFrame]:
    return values.by(om.rfm(orders, **MONEY, as_of="2025-12-31"))


@pytest.fixture(scope="module")
def validation(values: om.CLV[pd.DataFrame]) -> om.Validation[pd.DataFrame]:
    found: om.Validation[pd.DataFrame] = quiet(values.validate, calibration_end="2025-08-31")
    return found


@pytest.fixture(scope="module")
def predictions(summary: om.CLVSummary[pd.DataFrame], fit: om.ParetoNBDFit) -> dict[str, om.Predictions[pd.DataFrame]]:
    spending = quiet(om.GammaGamma().fit, summary)
    return {
        "p_alive": fit.p_alive(summary, confidence=0.9),
        "expected_purchases": fit.expected_purchases(90, summary, confidence=0.9),
        "purchase_probability": fit.purchase_probability(1, 90, summary),
        "discounted_purchases": fit.discounted_purchases(summary),
        "expected_amount": spending.expected_amount(summary),
    }


PREDICTED = {
    "p_alive": "P(alive)",
    "expected_purchases": "expected purchases in the next 90 days",
    "purchase_probability": "chance of exactly 1 purchase in the next 90 days",
    "discounted_purchases": "expected purchases for ever, discounted",
    "expected_amount": "expected amount per purchase",
}


@pytest.mark.parametrize("name", ["summary", "values", "groups", "validation", *PREDICTED])
def test_every_picture(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    result = request.getfixturevalue("predictions")[name] if name in PREDICTED else request.getfixturevalue(name)
    check_every_picture(result, monkeypatch)


@pytest.mark.parametrize("name", ["plot_frequencies", "plot_calibration"])
def test_other_pictures_of_a_validation(name: str, validation: om.Validation[pd.DataFrame]) -> None:
    check_plot(getattr(validation, name))


def check_plot(plot: Callable[..., Axes]) -> None:
    before = mpl.rcParams.copy()
    check_words(plot())
    assert len(plt.get_fignums()) == 1
    _, (left, right) = plt.subplots(1, 2)
    assert plot(ax=right) is right
    assert not left.has_data()
    assert len(plt.get_fignums()) == 2
    assert mpl.rcParams == before


def readings(orders: Any) -> list[dict[str, Any]]:
    """What the pictures say of one shop."""
    values = quiet(om.clv, orders, **MONEY, model="mbg_nbd", horizon="180D")
    summary, validation = om.clv_summary(orders, **NAMES), quiet(values.validate)
    scored = om.rfm(orders, **MONEY, as_of="2025-12-31")
    plots = [summary.plot, values.plot, values.by(scored).plot, values.fit.p_alive(summary).plot]
    plots += [validation.plot, validation.plot_frequencies, validation.plot_calibration]
    return [reading(plot(plt.figure().subplots())) for plot in plots]


def shop() -> pd.DataFrame:
    return om.make_orders(customers=200, rng=5)


@functools.cache
def expected() -> list[dict[str, Any]]:
    return readings(shop())


def test_the_same_picture_for_every_kind_of_frame(kind: Kind) -> None:
    np.testing.assert_equal(readings(kind.make(shop())), expected())


# ------------------------------------------------------------------------------------------------------- repeat purchases


def test_bars_are_the_customers_by_repeat_purchases(summary: om.CLVSummary[pd.DataFrame]) -> None:
    ax, frequency = summary.plot(), summary.table["frequency"]
    assert frequency.max() > 7
    counts = [*((frequency == i).sum() for i in range(7)), (frequency >= 7).sum()]
    assert heights(ax.containers[0]) == counts
    assert ticks(ax.xaxis) == [*map(str, range(7)), "7+"]
    assert texts(ax) == [f"{count / len(frequency):.0%}" for count in counts]
    assert ax.get_xlabel() == "repeat purchases (days with a purchase, without the first)"
    assert title(ax) == f"How often 600 customers came back, up to {summary.params['as_of']}"


def test_the_title_tells_the_end_of_the_time_to_learn_from(orders: pd.DataFrame) -> None:
    held = om.clv_summary(orders, **NAMES, unit="week", calibration_end="2025-08-31")
    ax = held.plot()
    assert title(ax) == f"How often {len(held.table)} customers came back, up to 2025-08-31"
    assert ax.get_xlabel().startswith("repeat purchases (weeks")


def test_nobody_came_back() -> None:
    once = pd.DataFrame({"customer": [1, 2], "time": pd.to_datetime(["2025-01-02", "2025-01-03"])})
    ax = om.clv_summary(once, **NAMES).plot()
    assert heights(ax.containers[0]) == [2, *[0] * 7]
    assert texts(ax) == ["100%", *[""] * 7]


# ---------------------------------------------------------------------------------------------- who is still a customer


SPECS = {
    "bg_nbd": om.BetaGeo, "mbg_nbd": om.ModifiedBetaGeo, "pareto_nbd": om.ParetoNBD, "bg_bb": om.BetaGeoBetaBinom,
}  # fmt: skip


def cells(ax: Axes) -> np.ndarray:
    """The matrix drawn: recency by frequency."""
    (image,) = ax.images
    return np.ma.filled(image.get_array(), np.nan)


@pytest.mark.parametrize("name", SPECS)
def test_cells_are_p_alive(name: str, orders: pd.DataFrame) -> None:
    summary = om.clv_summary(orders, **NAMES, unit="month" if name == "bg_bb" else "week")
    fit = quiet(SPECS[name]().fit, summary)
    check_plot(fit.plot)
    ax = fit.plot()
    found, p = cells(ax), fit.params
    mean_rate = (p["alpha"] + 1) / (p["alpha"] + p["beta"] + 1) if name == "bg_bb" else (p["r"] + 1) / p["alpha"]
    age = float(title(ax).split(" who first bought ")[1].split()[0].replace(",", ""))
    assert age == (np.ceil(10 / mean_rate) if name == "bg_bb" else float(f"{10 / mean_rate:.1e}"))
    x, t_x = np.meshgrid(np.arange(21), np.linspace(0, age, len(found)))
    can_be = (x > 0) == (t_x > 0)
    can_be &= (x <= t_x) | (name != "bg_bb")
    asked = {"frequency": x[can_be], "recency": t_x[can_be], "T": np.full(can_be.sum(), age)}
    np.testing.assert_allclose(found[can_be], quiet(fit.p_alive, asked).table["p_alive"], atol=1e-11)
    assert np.isnan(found[~can_be]).all()
    assert ax.get_xlabel() == "repeat purchases"
    assert ax.get_ylabel() == f"{summary.unit}s from the first to the last purchase"
    assert [other.get_ylabel() for other in ax.figure.axes if other is not ax] == ["P(alive)"]
    assert texts(ax) == [f"never came back: {found[0, 0]:.0%}"]
    assert fit.title in title(ax)


def test_ticks_stand_at_their_recency_and_the_line_at_a_half(fit: om.ParetoNBDFit) -> None:
    ax = fit.plot()
    found = cells(ax)
    age = float(title(ax).split(" who first bought ")[1].split()[0].replace(",", ""))
    np.testing.assert_allclose(ax.get_yticks() * age / (len(found) - 1), [float(tick.replace(",", "")) for tick in ticks(ax.yaxis)])
    assert ax.get_yticks()[0] == 0
    assert ax.get_ylim()[0] < ax.get_ylim()[1]  # up: bought recently
    (image,) = ax.images
    assert (image.norm.vmin, image.norm.vmax) == (0, 1)
    (line,) = ax.collections
    for x, y in line.get_paths()[0].vertices:
        around = found[int(np.floor(y)) : int(np.ceil(y)) + 1, int(np.floor(x)) : int(np.ceil(x)) + 1]
        assert around.min() <= 0.5 <= around.max()
    assert "Line: 50%" in title(ax)


def test_what_cannot_be_is_grey_and_zero_is_not(fit: om.ParetoNBDFit) -> None:
    ax = fit.plot()
    (image,) = ax.images
    colours = image.to_rgba(image.get_array())
    assert colours[5, 0, 3] == 0  # the ground is seen
    assert mpl.colors.to_hex(ax.get_facecolor()) == series.GROUND
    assert colours[1, 20, 3] == 1


def test_covariates_are_at_zero(summary: om.CLVSummary[pd.DataFrame], fit: om.ParetoNBDFit) -> None:
    moved = dataclasses.replace(fit, params={**fit.params, "purchase[shop]": 0.7}, purchase_covariates=("shop",))
    ax = moved.plot()
    np.testing.assert_array_equal(cells(ax), cells(fit.plot()))
    assert "at covariates of 0" in title(ax)
    assert "covariates" not in title(fit.plot())


def test_all_are_alike_alive() -> None:
    """Nobody ever drops out, so there is no line at a half."""
    params = {"r": 5.0, "alpha": 50.0, "a": 1e-30, "b": 10.0}
    fit = om.BetaGeoFit(
        params=params, covariance={}, log_likelihood=0.0, customers=1.0, converged=True, reason="", evaluations=0, warnings=(), penalty=0.0,
        unit="day", purchase_covariates=(), dropout_covariates=(),
    )  # fmt: skip
    ax = fit.plot()
    np.testing.assert_allclose(np.nanmin(cells(ax)), 1)
    assert len(ax.collections) == 0
    assert "Line" not in title(ax)
    check_words(ax)


def test_a_fit_without_parameters_has_no_picture() -> None:
    fit = quiet(om.BetaGeo().fit, {"frequency": [0], "recency": [0], "T": [5]})
    with pytest.raises(om.OpsmetricsError, match="BG/NBD has no parameters"):
        fit.plot()
    assert plt.get_fignums() == []


@pytest.mark.parametrize("name", PREDICTED)
def test_a_histogram_of_what_was_predicted(name: str, predictions: dict[str, om.Predictions[pd.DataFrame]]) -> None:
    result = predictions[name]
    ax, values = result.plot(), result.table[name].to_numpy()
    bars = ax.containers[0]
    edges = np.array([*(bar.get_x() for bar in bars), bars[-1].get_x() + bars[-1].get_width()])
    assert sum(heights(bars)) == len(values) == 600
    for low, high, height in zip(edges[:-2], edges[1:-1], heights(bars)[:-1], strict=True):
        assert height == ((values >= low) & (values < high)).sum()
    assert heights(bars)[-1] == (values >= edges[-2]).sum()
    assert edges[0] == 0
    assert (bars[-1].get_hatch() is not None) == (values.max() > edges[-1] + 1e-9) == ("Last bar" in title(ax))
    (mean,) = ax.lines
    assert mean.get_xdata()[0] == values.mean()
    assert ax.get_xlabel() == PREDICTED[name]
    assert title(ax).lower().startswith(PREDICTED[name].lower())
    assert result.params["model"] in title(ax)


def test_what_was_predicted_is_told_from_what_was_there(values: om.CLV[pd.DataFrame]) -> None:
    """A table that has predictions of another question."""
    found = values.fit.expected_purchases(30, values.table)
    ax = found.plot()
    assert ax.lines[0].get_xdata()[0] == found.table["expected_purchases"].mean()
    ax = values.fit.p_alive(found.table).plot()
    assert ax.get_xlabel() == "P(alive)"
    assert ax.lines[0].get_xdata()[0] == values.table["p_alive"].mean()


@pytest.mark.parametrize("amounts", [[np.inf, np.inf], [3.0, np.inf], [0.0, 0.0], [7.0]])
def test_predictions_that_are_all_alike_or_unknown(amounts: list[float]) -> None:
    table = pd.DataFrame({"expected_amount": amounts})
    result = om.Predictions(_tables={"table": table}, params={"model": "Gamma-Gamma"}, dropped={}, customer=None, unit="purchase")
    ax = result.plot()
    assert sum(heights(ax.containers[0])) == len(amounts)
    assert ("mean" in title(ax)) == np.isfinite(amounts).all()
    check_words(ax)


# ------------------------------------------------------------------------------------------------ what customers are worth


def test_the_curve_is_the_share_of_value(values: om.CLV[pd.DataFrame]) -> None:
    ax, worth = values.plot(), np.sort(values.table["value"].to_numpy())[::-1]
    alike, curve, marks = ax.lines
    assert alike.get_xydata().tolist() == [[0, 0], [1, 1]]
    np.testing.assert_allclose(curve.get_xdata(), np.arange(601) / 600)
    np.testing.assert_allclose(curve.get_ydata(), np.append(0, worth.cumsum()) / worth.sum())
    theirs = [worth[:60].sum() / worth.sum(), worth[:120].sum() / worth.sum()]
    np.testing.assert_allclose(marks.get_xydata(), [[0.1, theirs[0]], [0.2, theirs[1]]])
    assert texts(ax) == [f"10% hold {theirs[0]:.0%}", f"20% hold {theirs[1]:.0%}"]
    assert title(ax).startswith(f"20% of customers hold {theirs[1]:.0%} of the value of the next 180 days\n600 customers up to 2025-")
    (total,) = values.totals.to_dict("records")
    assert title(ax).endswith(f"\nAll together: {total['value']:,.0f} [{total['outcome_low']:,.0f}, {total['outcome_high']:,.0f}] to come")


def pretend(values: om.CLV[pd.DataFrame], worth: np.ndarray, **total: float) -> Any:
    """The same answer with other values."""
    table = pd.DataFrame({"customer": np.arange(len(worth)), "value": worth})
    return dataclasses.replace(values, _tables={**values._tables, "table": table, "totals": values.totals.assign(**total)})


def test_a_curve_of_very_many_customers_has_few_points(values: om.CLV[pd.DataFrame]) -> None:
    worth = np.random.default_rng(1).exponential(size=50_000) ** 2
    ax = pretend(values, worth).plot()
    curve = ax.lines[1]
    assert len(curve.get_xdata()) == 1_001
    held = np.append(0, np.sort(worth)[::-1].cumsum()) / worth.sum()
    np.testing.assert_allclose(curve.get_ydata(), held[np.rint(curve.get_xdata() * 50_000).astype(int)])
    np.testing.assert_allclose(ax.lines[2].get_ydata(), held[[5_000, 10_000]])


@pytest.mark.parametrize(("worth", "held"), [([5.0], 0.2), ([0.0, 0.0], 0.0), ([3.0, 1.0, np.inf], 0.3), ([np.inf], 0.0)])
def test_few_customers_and_values_that_are_not_known(values: om.CLV[pd.DataFrame], worth: list[float], held: float) -> None:
    ax = pretend(values, np.array(worth), value=np.inf, outcome_low=np.nan).plot()
    np.testing.assert_allclose(ax.lines[2].get_ydata()[1], held)
    unknown = int(np.isinf(worth).sum())
    assert title(ax).endswith(f", without {unknown} of unknown value" if unknown else "2025-12-31")


def test_bars_and_intervals_of_groups(groups: om.CLVBreakdown[pd.DataFrame]) -> None:
    ax, table = groups.plot(), groups.table.sort_values("value", ascending=False, kind="stable")
    bars, mean, outcome = ax.containers
    np.testing.assert_allclose([bar.get_width() for bar in bars], table["value"])
    np.testing.assert_allclose(whiskers(mean), table[["value_low", "value_high"]])
    np.testing.assert_allclose(whiskers(outcome), table[["outcome_low", "outcome_high"]], atol=1e-9)
    assert mean.lines[2][0].get_linewidth()[0] > 3 * outcome.lines[2][0].get_linewidth()[0]
    assert ticks(ax.yaxis) == [f"{name}  {count:,}" for name, count in zip(table["segment"], table["customers"], strict=True)]
    assert ax.yaxis_inverted()
    assert texts(ax) == [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in table["value"]]
    assert legend(ax) == ["expected value", "mean within (95%)", "outcome within (95%)"]
    assert title(ax) == "What customers will be worth in the next 180 days, by segment"


def test_the_most_valuable_of_many_groups(values: om.CLV[pd.DataFrame]) -> None:
    rows = np.arange(600)
    city = np.where(rows % 25 == 0, None, np.array([f"city {i:02}" for i in range(25)], dtype=object)[rows % 25])
    found = values.by(pd.DataFrame({"customer": values.table["customer"], "city": city}), label="city")
    ax, table = found.plot(), found.table.sort_values("value", ascending=False).head(20)
    names = ["no city" if pd.isna(name) else name for name in table["city"]]
    assert ticks(ax.yaxis) == [f"{name}  {count}" for name, count in zip(names, table["customers"], strict=True)]
    assert title(ax).endswith("by city, the 20 most valuable of 25")
    assert "no city" in "".join(ticks(ax.yaxis))
    check_words(ax)


def test_groups_whose_value_is_not_known(groups: om.CLVBreakdown[pd.DataFrame]) -> None:
    """Amounts without a mean: only what they will come to has an interval."""
    table = groups.table.copy()
    table.loc[0, ["value", "value_low", "value_high"]] = np.inf
    ax = dataclasses.replace(groups, _tables={"table": table}).plot()
    bars, mean, outcome = ax.containers
    assert texts(ax)[-1] == "unknown"
    assert ticks(ax.yaxis)[-1].startswith(table["segment"][0])
    assert bars[-1].get_width() == 0
    assert len(whiskers(mean)[~np.isnan(whiskers(mean)).any(axis=1)]) == len(table) - 1
    assert len(whiskers(outcome)[~np.isnan(whiskers(outcome)).any(axis=1)]) == len(table)
    check_words(ax)


# ---------------------------------------------------------------------------------------------- how well it was predicted


def test_lines_are_the_cumulated_purchases(validation: om.Validation[pd.DataFrame]) -> None:
    ax, table = validation.plot(), validation.tracking
    lines = solid(ax)
    assert list(lines) == legend(ax) == ["actual", "expected by MBG/NBD"]
    for name, line in zip(("actual", "expected"), lines.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), table["time"].to_numpy().astype("datetime64[D]"))
        np.testing.assert_array_equal(line.get_ydata(), table[name])
    (begins,) = [line for line in ax.lines if line not in lines.values()]
    at = mpl.dates.date2num(begins.get_xdata()[0])
    weeks = mpl.dates.date2num(table["time"])
    np.testing.assert_array_equal(weeks > at, table["held_out"])
    assert table["held_out"].any()
    actual, expected = table[["actual", "expected"]].iloc[-1]
    until, off = f"{table['time'].iloc[-1]:%Y-%m-%d}", expected / actual - 1
    assert title(ax) == f"Repeat purchases up to {until}: {actual:,.0f}, and {expected:,.0f} expected ({off:+.1%})"


@pytest.mark.parametrize(("end", "words"), [
    ("2025-03-01", "held out after 2025-03-01"), ("2025-12-29", "learned until 2025-12-29"), ("2025-06-30 18:00", "2025-06-30"),
])  # fmt: skip
def test_where_the_held_out_part_begins(values: om.CLV[pd.DataFrame], end: str, words: str) -> None:
    ax = quiet(values.validate, calibration_end=end).plot()
    assert words in texts(ax)[0]
    check_words(ax)


def test_where_the_held_out_part_begins_before_the_first_week_ends(validation: om.Validation[pd.DataFrame]) -> None:
    first = validation.tracking.head(1)
    begins = f"{first['time'].iloc[0] - pd.Timedelta(days=6):%Y-%m-%d}"
    short = dataclasses.replace(validation, _tables={**validation._tables, "tracking": first}, calibration_end=begins)
    ax = short.plot()
    assert ax.get_xlim()[0] == mpl.dates.date2num(np.datetime64(begins))
    check_words(ax)


def test_nothing_happened_after_the_first_purchases(validation: om.Validation[pd.DataFrame]) -> None:
    tracking = validation.tracking.assign(actual=0, expected=0.0)
    ax = dataclasses.replace(validation, _tables={**validation._tables, "tracking": tracking}).plot()
    assert title(ax).endswith(": 0, and 0 expected")
    check_words(ax)


def test_pairs_of_bars_are_the_frequencies(validation: om.Validation[pd.DataFrame]) -> None:
    ax, table = validation.plot_frequencies(), validation.frequencies
    for container, name, colour in zip(ax.containers, ("actual", "expected"), (BLUE, ORANGE), strict=True):
        np.testing.assert_allclose(heights(container), table[name])
        np.testing.assert_array_equal(np.rint([bar.get_x() + bar.get_width() / 2 for bar in container]), np.arange(8))
        assert {mpl.colors.to_hex(bar.get_facecolor()) for bar in container} == {colour}
    assert ticks(ax.xaxis) == table["purchases"].tolist() == [*map(str, range(7)), "7+"]
    assert legend(ax) == ["actual", "expected by MBG/NBD"]
    assert ax.get_xlabel() == "repeat purchases"
    assert title(ax) == f"How often {table['actual'].sum()} customers came back, up to 2025-08-31"


def test_dots_are_the_groups_and_the_diagonal_is_the_prediction(validation: om.Validation[pd.DataFrame]) -> None:
    ax, table = validation.plot_calibration(), validation.calibration
    (dots,) = ax.containers
    np.testing.assert_allclose(dots.lines[0].get_xydata(), table[["expected", "actual"]])
    np.testing.assert_allclose(whiskers(dots, axis=1), table[["actual_low", "actual_high"]])
    diagonal = next(line for line in ax.lines if line.get_linestyle() == "--").get_xydata()
    assert (diagonal[:, 0] == diagonal[:, 1]).all()
    assert ax.get_xlim() == ax.get_ylim() == tuple(diagonal[:, 0])
    assert diagonal[1, 0] > table[["expected", "actual_high"]].to_numpy().max()
    assert ax.get_xlabel() == "predicted purchases"
    assert title(ax).startswith("Purchases of customers after 2025-08-31, predicted by MBG/NBD\n")


def test_a_group_of_one_has_no_interval(validation: om.Validation[pd.DataFrame]) -> None:
    alone = validation.calibration.head(2).assign(actual_low=[0.0, np.nan], actual_high=[1.0, np.nan])
    ax = dataclasses.replace(validation, _tables={**validation._tables, "calibration": alone}).plot_calibration()
    assert len(ax.containers[0].lines[0].get_xydata()) == 2
    check_words(ax)


# ------------------------------------------------------------------------------------------------------------- letters


def test_chinese_labels_get_an_installed_font(values: om.CLV[pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_simhei(monkeypatch)
    group = np.array(["高价值", "$1-$5", None], dtype=object)[np.arange(600) % 3]
    ax = values.by(pd.DataFrame({"customer": values.table["customer"], "分群": group}), label="分群").plot()
    found = {label.get_text().rpartition("  ")[0]: label for label in ax.get_yticklabels()}
    assert set(found) == {"高价值", "$1-$5", "no 分群"}
    assert families([found["高价值"], found["no 分群"], ax._left_title]) == {("sans-serif", "SimHei")}
    assert not any(label.get_parse_math() for label in found.values())
