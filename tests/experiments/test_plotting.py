"""The pictures of A/B tests: what they say must be what the tables say, and drawing must leave no trace."""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from scipy import stats

import opsmetrics as om
from opsmetrics.plotting.canvas import BLUE, ORANGE
from opsmetrics.plotting.experiments import RED, ROWS
from tests.pictures import check_every_picture, check_words, families, legend, pretend_simhei, reading, solid, texts, ticks, title, whiskers
from tests.support import Kind

pytestmark = pytest.mark.usefixtures("agg")

METRICS: dict[str, Any] = {"converted": "converted", "revenue": om.Mean("revenue"), "aov": om.Ratio("revenue", "orders")}


def quiet(ask: Callable[..., Any], *args: Any, **asked: Any) -> Any:
    """An answer without what it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)
        return ask(*args, **asked)


@functools.cache
def units() -> pd.DataFrame:
    return om.make_experiment(6_000, rng=1)


def compared(**asked: Any) -> Any:
    return quiet(om.ab_test, units(), **({"variant": "variant", "metrics": METRICS, "control": "A"} | asked))


def counted(**arms: tuple[int, int]) -> dict[str, dict[str, int]]:
    return {name: {"n": n, "successes": k} for name, (n, k) in arms.items()}


def from_stats(stats: Any, **asked: Any) -> Any:
    return quiet(om.ab_test_from_stats, stats, **asked)


@functools.cache
def checked() -> Any:
    return om.aa_check(units(), metrics=["converted", "revenue"], repeats=60, rng=1, expected_split={"ctrl": 2, "x": 1, "y": 1})


RESULTS: dict[str, Callable[[], Any]] = {
    "test": compared,
    "all pairs": lambda: compared(control=None),
    "adjusted": lambda: compared(correction="benjamini-yekutieli"),
    "looked at": lambda: compared(sequential=om.GroupSequential(4, planned_n=12_000)),
    "one row": lambda: from_stats(counted(A=(100, 20), B=(100, 30))),
    "readout": lambda: compared().bayes(),
    "A/A": checked,
    "bounds": lambda: om.GroupSequential(4, planned_n=4_000).boundaries(),
    "bounds of one side": lambda: om.GroupSequential(20, planned_n=4_000, futility="pocock").boundaries(alternative="less"),
    "always valid": lambda: om.AlwaysValid(4_000).boundaries(),
    "plan": lambda: om.sample_size(0.05, effect=0.005),
    "plan for a fall": lambda: om.sample_size(om.Baseline(10, std=30), effect=-0.1, relative=True, alternative="less"),
    "equivalence": lambda: om.sample_size(om.Baseline(10, std=30), effect=0.1, hypothesis="equivalence", margin=0.5),
    "duration": lambda: om.duration(om.sample_size(0.05, effect=0.005), traffic=4_000),
    "duration without a plan": lambda: om.duration(50_000, traffic=20),
    "split": lambda: om.srm_test({"A": 10_100, "B": 9_950}),
    "mismatch": lambda: om.srm_test({"A": 821_588, "B": 815_482}),
    "looks at a split": lambda: om.srm_test([{"A": 100 * k, "B": 110 * k} for k in range(1, 60)], peeking=True),
}


@pytest.mark.parametrize("name", RESULTS)
def test_every_picture(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_every_picture(RESULTS[name](), monkeypatch)


@pytest.mark.parametrize("name", RESULTS)
def test_the_same_picture_twice(name: str) -> None:
    result = RESULTS[name]()
    np.testing.assert_equal(*(reading(result.plot(plt.figure().subplots())) for _ in range(2)))


def readings(frame: Any) -> list[dict[str, Any]]:
    """What the pictures say of one experiment."""
    found = quiet(om.ab_test, frame, variant="variant", metrics=METRICS, control="A")
    checked = om.aa_check(frame, metrics=["converted", "revenue"], repeats=10, rng=1)
    return [reading(result.plot(plt.figure().subplots())) for result in (found, found.bayes(), checked)]


@functools.cache
def few() -> pd.DataFrame:
    made = om.make_experiment(1_500, rng=2)
    return made.astype({"converted": float, "orders": float})


@functools.cache
def expected() -> list[dict[str, Any]]:
    return readings(few())


def test_the_same_picture_for_every_kind_of_frame(kind: Kind) -> None:
    np.testing.assert_equal(readings(kind.make(few())), expected())


# ---------------------------------------------------------------------------------------------------------------- forest


def intervals(ax: Axes) -> np.ndarray:
    """Row, low and high of each interval."""
    (drawn,) = ax.collections
    return np.array([[segment[0, 1], *segment[:, 0]] for segment in drawn.get_segments() if len(segment)])


def dots(ax: Axes) -> dict[str, list[list[float]]]:
    """The estimates: those that are filled, and those that are not."""
    marks = [line for line in ax.lines if line.get_marker() == "o"]
    return {"filled" if line.get_markerfacecolor() == BLUE else "hollow": line.get_xydata().tolist() for line in marks}


def all_dots(ax: Axes) -> list[list[float]]:
    """All estimates, from the top."""
    return sorted(itertools.chain(*dots(ax).values()), key=lambda dot: dot[1])


def arrows(ax: Axes, mark: str) -> list[float]:
    """The rows of the intervals that go on."""
    return [row for line in ax.lines if line.get_marker() == mark for row in line.get_ydata()]


def test_a_row_is_a_lift_with_its_interval() -> None:
    result = compared()
    ax, table = result.plot(), result.table
    assert ticks(ax.yaxis) == [f"{metric}: {variant}" for metric in METRICS for variant in "BC"]
    np.testing.assert_allclose(intervals(ax), np.column_stack([range(6), table["lift_low"], table["lift_high"]]))
    assert all_dots(ax) == [[lift, row] for row, lift in enumerate(table["lift"])]
    assert texts(ax) == [f"{lift:+.1%}  p = {p:.4f}" for lift, p in zip(table["lift"], table["p_value"], strict=True)]
    assert [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "None"] == [0, 0, 0]  # zero, and a line between metrics
    assert ax.get_xlabel() == "lift"
    assert title(ax) == "Lift of each variant over A\n95% intervals. Filled: p < 0.05"
    assert ax._left_title.get_color() != RED
    assert arrows(ax, ">") == arrows(ax, "<") == []


def test_filled_is_what_the_adjusted_p_value_finds() -> None:
    stats = [
        {"metric": metric, "variant": variant, "n": 10_000, "successes": k}
        for metric, pair in {"clear": (500, 640), "weak": (500, 570), "none": (500, 500)}.items()
        for variant, k in zip("AB", pair, strict=True)
    ]
    plain, holm = from_stats(stats, control="A"), from_stats(stats, control="A", correction="holm")
    assert [row for _, row in dots(plain.plot())["filled"]] == [0, 1]
    ax = holm.plot()
    assert [row for _, row in dots(ax)["filled"]] == [0]
    assert texts(ax)[1].endswith(f"p = {holm.table['p_adjusted'][1]:.4f}")
    assert texts(ax)[0].endswith("p < 0.0001")
    assert title(ax).endswith("Filled: p < 0.05 after holm")


def test_without_a_control_both_variants_have_their_name() -> None:
    ax = compared(control=None, metrics="converted").plot()
    assert ticks(ax.yaxis) == ["converted: B - A", "converted: C - A", "converted: C - B"]
    assert title(ax).startswith("Lift of the first variant over the second\n")


@pytest.mark.parametrize(("alternative", "mark", "other"), [("greater", ">", "<"), ("less", "<", ">")])
def test_an_end_that_is_open_has_an_arrow(alternative: str, mark: str, other: str) -> None:
    ax = compared(alternative=alternative).plot()
    assert arrows(ax, mark) == list(range(6))
    assert arrows(ax, other) == []
    assert f"intervals on one side ({alternative})" in title(ax)
    assert title(ax).endswith("\nArrow: the interval goes on")
    check_words(ax)


def test_an_interval_that_would_hide_the_others_goes_on_outside() -> None:
    means = {"near zero": (0.1, 0.2, 100.0), "usual": (10.0, 11.0, 100.0), "like it": (10.0, 10.1, 100.0)}
    stats = [
        {"metric": metric, "variant": variant, "n": 100 if metric == "near zero" else 10_000, "mean": mean, "variance": spread}
        for metric, (*pair, spread) in means.items()
        for variant, mean in zip("AB", pair, strict=True)
    ]
    result = from_stats(stats, control="A")
    assert np.isinf(result.table["lift_high"][0])
    ax = result.plot()
    assert arrows(ax, ">") == arrows(ax, "<") == [0]
    drawn = intervals(ax)
    assert drawn[0, 1:].tolist() == list(ax.get_xlim())
    np.testing.assert_allclose(drawn[1:, 1:], result.table[["lift_low", "lift_high"]][1:])


def test_a_rate_of_nothing_ends_at_its_natural_end() -> None:
    ax = from_stats(counted(A=(100, 3), B=(100, 0)), control="A").plot()
    assert dots(ax)["hollow"] == [[-1, 0]]
    assert intervals(ax)[0, 1] == -1
    assert arrows(ax, "<") == []


def test_a_control_of_nothing_has_an_interval_without_a_lift() -> None:
    result = from_stats(counted(A=(100, 0), B=(100, 3)), control="A")
    ax = result.plot()
    assert texts(ax) == [f"-  p = {result.table['p_value'][0]:.4f}"]
    assert arrows(ax, ">") == [0]
    np.testing.assert_allclose(intervals(ax)[0], [0, result.table["lift_low"][0], ax.get_xlim()[1]])
    check_words(ax)


def test_nothing_is_known_of_any_row() -> None:
    flat = [{"metric": m, "variant": v, "n": 50, "mean": 0.0, "variance": 0.0} for m in "xy" for v in "AB"]
    ax = from_stats(flat, control="A").plot()
    assert texts(ax) == ["-  p unknown"] * 2
    assert len(intervals(ax)) == 0
    assert arrows(ax, ">") == []
    check_words(ax)


def test_a_failed_split_is_said_first_and_in_red() -> None:
    result = from_stats(counted(A=(10_000, 500), B=(11_000, 560)), control="A")
    assert result.params["srm_mismatch"]
    ax = result.plot()
    assert title(ax).startswith("SAMPLE RATIO MISMATCH (p < 0.0001): do not read these numbers\nLift")
    assert ax._left_title.get_color() == RED
    check_words(ax)
    with mpl.rc_context({"axes.titlecolor": "green"}):
        assert result.plot()._left_title.get_color() == RED


def test_margins_say_what_their_intervals_are() -> None:
    metrics = {
        "equal": om.Mean("revenue", hypothesis="equivalence", margin=2),
        "no worse": om.Mean("revenue", hypothesis="non-inferiority", margin=2),
    }
    ax = compared(metrics=metrics, confidence=0.9).plot()
    assert "90% intervals." in title(ax)
    assert "Equivalence: 80% intervals\nNon-inferiority: intervals on one side" in title(ax)
    assert arrows(ax, ">") == [2, 3]
    assert "every look" in title(RESULTS["looked at"]().plot())


def test_very_many_comparisons_are_cut_with_a_note() -> None:
    k = np.random.default_rng(1).binomial(1_000, 0.05, (300, 2))
    stats = [
        {"shop": f"s{i}", "variant": v, "n": 1_000, "successes": int(c)}
        for i, pair in enumerate(k)
        for v, c in zip("AB", pair, strict=True)
    ]
    result = from_stats(stats, by="shop", control="A")
    ax = result.plot()
    assert ticks(ax.yaxis) == [f"s{i}, metric: B" for i in range(ROWS)]
    assert title(ax).endswith(f"\nThe first {ROWS} of 300 comparisons")
    assert all_dots(ax) == [[lift, row] for row, lift in enumerate(result.table["lift"][:ROWS])]
    check_words(ax)
    ax = result.bayes().plot()
    assert title(ax).endswith(f"\nThe first {ROWS} of 600 rows")
    check_words(ax)


def test_names_that_are_long_or_odd(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_simhei(monkeypatch)
    long = "revenue of all orders of the week after the first visit without refunds and taxes"
    stats = [
        {"metric": metric, "variant": variant, "n": 100, "successes": k}
        for metric in (long, "$a$-$b$", "转化率")
        for variant, k in (("A", 20), ("B", 30))
    ]
    ax = from_stats(stats, control="A").plot()
    labels = ax.get_yticklabels()
    assert ticks(ax.yaxis)[0].count("\n") == 1
    assert ticks(ax.yaxis)[0].endswith("...")
    assert ticks(ax.yaxis)[1] == "$a$-$b$: B"
    assert not labels[1].get_parse_math()
    assert families(labels[2:]) == {("sans-serif", "SimHei")}


# ------------------------------------------------------------------------------------------------------------- boundaries


def test_bounds_are_drawn_on_both_sides() -> None:
    result = om.GroupSequential(4, planned_n=4_000).boundaries()
    ax, table = result.plot(), result.table
    upper, lower = (line for line in ax.lines if line.get_color() == BLUE)
    np.testing.assert_allclose(upper.get_xydata(), table[["information", "bound"]])
    np.testing.assert_allclose(lower.get_ydata(), -table["bound"])
    assert texts(ax) == ["4.33", "2.96", "2.36", "2.01"]  # Lan and DeMets (1983), also in gsDesign
    assert legend(ax) == ["bound: stop"]
    told = result.params
    assert title(ax) == (
        f"When a test with 4 looks (obrien-fleming) stops\n{told['inflation']:.3f} times the units of a single look of the same power\n"
        f"Units until it stops: {told['expected_n_no_effect']:,.0f} expected without an effect, {told['expected_n_effect']:,.0f} with it"
    )
    assert ax.get_xlabel() == "information: share of the 4,000 planned units"
    assert ax.get_ylim()[0] == -ax.get_ylim()[1]


def test_futility_is_drawn_where_there_is_some() -> None:
    result = om.GroupSequential([0.3, 0.7], planned_n=4_000, futility="pocock").boundaries(alternative="greater")
    ax, table = result.plot(), result.table
    np.testing.assert_allclose(solid(ax)["futility: give up"].get_xydata(), table[["information", "futility"]])
    assert legend(ax) == ["bound: stop", "futility: give up"]
    assert title(ax).startswith("When a test with 3 looks (obrien-fleming) stops\n")
    assert len([line for line in ax.lines if line.get_color() == BLUE]) == 1
    assert ax.get_ylabel() == "z, on the side of greater"


def test_looks_that_cannot_stop_are_told() -> None:
    result = om.GroupSequential(200, planned_n=4_000).boundaries()
    early = int(np.isinf(result.table["bound"]).sum())
    assert early > 1
    ax = result.plot()
    assert title(ax).endswith(f"\nNo bound at the first {early} looks: too early to stop")
    assert np.isnan(ax.lines[1].get_ydata()[:early]).all()
    assert np.isfinite(ax.lines[1].get_ydata()[early:]).all()
    assert texts(ax) == []
    check_words(ax)


def test_one_look_and_an_always_valid_plan() -> None:
    ax = om.GroupSequential(1, planned_n=4_000).boundaries().plot()
    assert texts(ax) == ["1.96"]
    assert title(ax).startswith("When a test with 1 look (obrien-fleming) stops\n1.000 times")
    check_words(ax)
    result = om.AlwaysValid(4_000).boundaries()
    ax = result.plot()
    assert title(ax).startswith("When an always valid test stops\n")
    np.testing.assert_allclose(solid(ax)["bound: stop"].get_ydata(), result.table["bound"])


def test_results_can_be_drawn_on_top() -> None:
    """The axes are those of `ABTest.sequential`: information and z."""
    plan = om.GroupSequential(4, planned_n=12_000)
    ax, found = plan.boundaries().plot(), compared(sequential=plan).sequential
    ax.plot(found["information"], found["z"], "s")
    assert all(0 <= x <= ax.get_xlim()[1] and abs(z) <= ax.get_ylim()[1] for x, z in ax.lines[-1].get_xydata())


# ------------------------------------------------------------------------------------------------------------------ plans


def test_power_by_effect_and_the_planned_point() -> None:
    result = om.sample_size(0.05, effect=0.005)
    ax = result.plot()
    curve, drop, point = ax.lines
    np.testing.assert_allclose(curve.get_xydata(), result.curve[["effect", "power"]])
    np.testing.assert_allclose(point.get_xydata(), [[0.005, 0.8]])
    np.testing.assert_allclose(drop.get_xydata(), [[0.005, 0], [0.005, 0.8]])
    assert texts(ax) == ["0.005 (+10.0%): 80.0%"]
    assert title(ax) == "62,468 units show an effect of 0.005 (+10.0%)\nwith a power of 80.0% (two-sided, confidence 95%)"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("effect: treatment less control", "power")


@pytest.mark.parametrize(
    ("asked", "ends"),
    [
        ({"hypothesis": "equivalence"}, [-0.5, 0.5]),
        ({"hypothesis": "non-inferiority"}, [-0.5]),
        ({"hypothesis": "non-inferiority", "alternative": "less"}, [0.5]),
    ],
    ids=["equivalence", "non-inferiority", "non-inferiority, less is better"],
)
def test_margins_are_dotted(asked: dict[str, Any], ends: list[float]) -> None:
    ax = om.sample_size(om.Baseline(10, std=30), effect=0, margin=0.5, **asked).plot()
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"] == ends
    assert ax.get_xlabel().endswith("(dotted: the margin)")
    assert f"units show {asked['hypothesis']} at an effect of 0 (+0.0%)" in title(ax)
    check_words(ax)


def test_a_baseline_of_nothing_has_no_relative_effect() -> None:
    ax = om.sample_size(om.Baseline(0, std=30), effect=1).plot()
    assert texts(ax) == ["1: 80.0%"]


def test_days_until_the_power_is_there() -> None:
    result = om.duration(om.sample_size(0.05, effect=0.005), traffic=4_000)
    ax = result.plot()
    powers, enough, whole = ax.lines
    np.testing.assert_allclose(powers.get_xydata(), result.table[["day", "power"]])
    assert (enough.get_xdata()[0], whole.get_xdata()[0]) == (16, 21)
    assert title(ax) == "Run it for 3 whole weeks, 21 days\n16 days for 62,468 units"
    assert ticks(ax.xaxis) == ["0", "7", "14", "21"]
    assert ax.get_ylabel() == "power"


def test_days_until_the_units_are_there() -> None:
    result = om.duration(500, traffic=20_000)
    ax = result.plot()
    np.testing.assert_allclose(ax.lines[0].get_xydata(), result.table[["day", "units"]])
    assert title(ax) == "Run it for 1 whole week, 7 days\n1 day for 500 units"
    assert ax.get_ylabel() == "units so far"
    check_words(om.duration(50_000, traffic=14).plot())


def test_a_plan_with_looks_may_stop_early() -> None:
    plan = om.sample_size(0.05, effect=0.005, sequential=om.GroupSequential(4, planned_n=63_694))
    result = om.duration(plan, traffic=4_000)
    assert title(result.plot()).endswith(f", {result.params['expected_days']} days expected, as it may stop early")


# ----------------------------------------------------------------------------------------------------------------- splits


def marks(ax: Axes, colour: str) -> list[list[float]]:
    return [dot for line in ax.lines if line.get_marker() == "o" and line.get_color() == colour for dot in line.get_xydata().tolist()]


@pytest.mark.parametrize("extra", [0, 100, 232, 234, 400])
def test_the_ground_is_what_chance_does(extra: int) -> None:
    """Of two variants a dot leaves it exactly where Pearson's test finds a mismatch."""
    counts = {"A": 10_000 + extra, "B": 10_000 - extra}
    p = stats.chisquare(list(counts.values())).pvalue
    result = om.srm_test(counts)
    ax = result.plot()
    places = [[extra / 10_000, 0], [-extra / 10_000, 1]]
    assert marks(ax, RED) == (places if p < 0.001 else [])
    assert marks(ax, BLUE) == ([] if p < 0.001 else places)
    ground = [bar.get_width() / 2 for bar in ax.patches]
    np.testing.assert_allclose(ground, stats.norm.isf(0.0005) * math.sqrt(0.5 / 10_000))
    assert (ax._left_title.get_color() == RED) == (p < 0.001) == title(ax).startswith("SAMPLE RATIO MISMATCH: do not read the results (p")
    assert p < 0.001 or title(ax).startswith(f"The split is as planned (p = {p:.4f}, 20,000 units)")
    assert texts(ax)[0] == f"{counts['A']:,} units, {counts['A'] / 20_000:.2%} (plan 50.00%)"


def test_a_split_that_is_not_even() -> None:
    ax = om.srm_test({"A": 2_010, "B": 990}, expected_split={"A": 2, "B": 1}).plot()
    np.testing.assert_allclose(marks(ax, BLUE), [[0.005, 0], [-0.01, 1]])
    assert texts(ax) == ["2,010 units, 67.00% (plan 66.67%)", "990 units, 33.00% (plan 33.33%)"]
    check_words(ax)


def test_a_variant_without_units_and_very_few() -> None:
    ax = om.srm_test({"A": 0, "B": 3}).plot()
    assert marks(ax, BLUE) == [[-1, 0], [1, 1]]
    check_words(ax)
    ax = om.srm_test({f"v{i}": 1_000 + i for i in range(60)}).plot()
    assert len(ticks(ax.yaxis)) == ROWS
    assert title(ax).endswith(f"\nThe first {ROWS} of 60 variants")
    check_words(ax)


def test_evidence_by_look() -> None:
    result = om.srm_test([{"A": 100 * k, "B": 110 * k} for k in range(1, 60)], peeking=True)
    ax = result.plot()
    _, alarm, line = ax.lines
    np.testing.assert_allclose(line.get_xydata(), result.looks[["units", "evidence"]])
    assert alarm.get_ydata()[0] == pytest.approx(math.log(1_000))
    assert (line.get_ydata().max() > alarm.get_ydata()[0]) == result.mismatch == (ax._left_title.get_color() == RED)
    check_words(om.srm_test({"A": 100, "B": 110}, peeking=True).plot())


# ------------------------------------------------------------------------------------------------------ A/A, and readouts


def test_error_rates_have_their_intervals() -> None:
    result = checked()
    ax, table = result.plot(), result.table
    off = (table["false_positive_rate_low"] > 0.05) | (table["false_positive_rate_high"] < 0.05)
    sure, odd = ax.containers
    np.testing.assert_allclose(whiskers(sure), table.loc[~off, ["false_positive_rate_low", "false_positive_rate_high"]])
    assert len(whiskers(odd)) == off.sum()
    assert ticks(ax.yaxis) == ["converted: x", "converted: y", "revenue: x", "revenue: y"]
    nominal = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert nominal == [0.05]
    assert texts(ax) == [f"{up:.1%} above, {down:.1%} below" for up, down in zip(table["above_rate"], table["below_rate"], strict=True)]
    assert title(ax).startswith(f"60 random splits of 6,000 units: {f'{off.sum()} of 4 off (orange)' if off.any() else 'none is off'}\n")
    assert "Dashed: the nominal 5%, half of it on each side" in title(ax)


def pretend(**columns: Any) -> Any:
    """A check with other rates."""
    rows = len(columns["false_positive_rate"])
    usual = {"metric": "m", "variant": [f"v{i}" for i in range(rows)], "above_rate": np.nan, "below_rate": np.nan}
    table = pd.DataFrame(usual | columns)
    return om.AACheck(_tables={"table": table}, params={"confidence": 0.95, "repeats": 100, "units": 50}, dropped={})


def test_rates_that_are_off_are_orange_and_missing_ones_are_not() -> None:
    result = pretend(
        false_positive_rate=[0.05, 0.15, np.nan, 0.01],
        false_positive_rate_low=[0.02, 0.09, 0.0, 0.0],
        false_positive_rate_high=[0.11, 0.23, 1.0, 0.04],
    )
    ax = result.plot()
    sure, odd = ax.containers
    np.testing.assert_allclose(whiskers(sure), [[0.02, 0.11]])
    np.testing.assert_allclose(whiskers(odd), [[0.09, 0.23], [0.0, 0.04]])
    assert odd.lines[0].get_color() == ORANGE
    assert title(ax).startswith("100 random splits of 50 units: 2 of 4 off (orange)\n")
    assert texts(ax)[2] == "- above, - below"
    assert ax.get_xlim()[1] < 0.5
    check_words(ax)
    nothing = {name: [np.nan] for name in ("false_positive_rate", "false_positive_rate_low", "false_positive_rate_high")}
    check_words(pretend(**nothing).plot())


def test_bars_are_the_probability_to_be_best() -> None:
    result = compared().bayes()
    ax, table = result.plot(), result.table
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], table["probability_best"])
    assert ticks(ax.yaxis) == [f"{metric}: {variant}" for metric in ("converted", "revenue") for variant in "ABC"]
    assert texts(ax) == [
        f"{chance:.1%}  loses {loss:.3g}" for chance, loss in zip(table["probability_best"], table["expected_loss"], strict=True)
    ]
    assert title(ax) == ("How probably each variant is the best\nNo protection against peeking\nNo conjugate prior, left out: aov")
