"""A/B tests: units and statistics that cannot be, arguments outside their rules, plans that do not work out, saved ones that are none."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from tests.bad_input.cases import Case, check_refused, refuse, settled
from tests.support import Kind, columns_of

P, C, D = om.ParameterError, om.ColumnError, om.DataError
TYPE, MISSING, NAME, REPEATED, RESERVED = ((C, f"column.{rule}") for rule in ("type", "missing", "name", "repeated", "reserved"))
EMPTY, INFINITE, VARIANT, STATS, PROPORTION, KIND = (
    (D, f"data.{rule}") for rule in ("empty", "infinite", "variant", "stats", "proportion", "kind")
)
CONTROL, NOTHING, TORN = ((D, f"data.{rule}") for rule in ("control", "missing", "torn"))
METRICS, CONFIDENCE, SPLIT, CORRECTION, COUNTS, LOOKS, SAVED, MARGIN = (
    (P, f"parameter.{rule}")
    for rule in ("metrics", "confidence", "expected_split", "correction", "counts", "looks", "saved", "margin")
)  # fmt: skip


def quiet(call: Callable[..., Any], *given: Any, **choices: Any) -> Any:
    """An answer without what it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)
        return call(*given, **choices)


def units(**columns: Any) -> pd.DataFrame:
    """Sixteen units in two arms; any column may be given anew."""
    usual: dict[str, Any] = {
        "uid": list("abcdefghijklmnop"),
        "arm": ["A", "B"] * 8,
        "converted": [0.0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1],
        "revenue": [0.0, 3, 2, 0, 0, 5, 9, 1, 0, 0, 4, 0, 2, 7, 0, 1],
        "orders": [0.0, 1, 1, 0, 0, 2, 3, 1, 0, 0, 1, 0, 1, 2, 0, 1],
        "before": [1.0, 2, 3, 1, 0, 5, 4, 1, 0, 2, 4, 0, 3, 6, 1, 1],
        "country": list("XXYYXXYYXXYYXXYY"),
    }
    return pd.DataFrame(usual | columns)


def ab(frame: Any = None, **choices: Any) -> Callable[[], Any]:
    """A test of the sixteen; it may warn of how few they are."""
    usual: dict[str, Any] = {"variant": "arm", "metrics": ["converted", "revenue"]}
    return lambda: quiet(om.ab_test, units() if frame is None else frame, **(usual | choices))


def with_(**columns: Any) -> Callable[[], Any]:
    return ab(units(**columns))


def measured(metric: Any, **columns: Any) -> Callable[[], Any]:
    return ab(units(**columns), metrics={"m": metric})


def arms(**changes: Any) -> dict[str, dict[str, Any]]:
    """Two arms with counts; arm A changed."""
    return {"A": {"n": 100, "successes": 20} | changes, "B": {"n": 100, "successes": 30}}


def rows(*variants: str, **columns: Any) -> list[dict[str, Any]]:
    return [{"variant": variant, "n": 100, "successes": 20} | columns for variant in variants]


MEANS: dict[str, Any] = {"n": 100, "mean": 2.0, "variance": 1.0}
RATIOS = MEANS | {"denominator_mean": 1.0, "denominator_variance": 1.0, "covariance_denominator": 0.5}


def means(usual: dict[str, Any] = MEANS, **changes: Any) -> dict[str, Any]:
    """Two arms with moments; arm A changed."""
    return {"A": usual | changes, "B": usual}


def without(name: str, usual: dict[str, Any]) -> dict[str, Any]:
    return {"A": {key: value for key, value in usual.items() if key != name}, "B": usual}


def stats(given: Any = None, **choices: Any) -> Callable[[], Any]:
    return lambda: quiet(om.ab_test_from_stats, arms() if given is None else given, **choices)


def aa(frame: Any = None, **choices: Any) -> Callable[[], Any]:
    usual: dict[str, Any] = {"metrics": ["converted", "revenue"], "repeats": 3, "rng": 1}
    return lambda: quiet(om.aa_check, units() if frame is None else frame, **(usual | choices))


def srm(counts: Any, **choices: Any) -> Callable[[], Any]:
    return lambda: quiet(om.srm_test, counts, **choices)


def adjust(p_values: Any, **choices: Any) -> Callable[[], Any]:
    return lambda: om.adjust_pvalues(p_values, **choices)


def looks(given: Any = 3, **choices: Any) -> Callable[[], Any]:
    return lambda: om.GroupSequential(given, **({"planned_n": 1_000} | choices))


def size(baseline: Any = 0.05, **choices: Any) -> Callable[[], Any]:
    return lambda: om.sample_size(baseline, **({"effect": 0.005} | choices))


def power(**choices: Any) -> Callable[[], Any]:
    return lambda: om.power(0.05, **({"effect": 0.005, "n": 1_000} | choices))


def days(plan: Any = 50_000, **choices: Any) -> Callable[[], Any]:
    return lambda: om.duration(plan, **({"traffic": 4_000} | choices))


@cache
def found() -> Any:
    return om.ab_test_from_stats(arms())


# ------------------------------------------------------------------------------------------------------ units and arms

CASES_UNITS = [
    refuse("no table", ab([1]), *KIND, "units is a list"),
    refuse("None", lambda: om.ab_test(None, variant="arm", metrics="converted"), *KIND, "units is a NoneType"),
    refuse("empty", ab(units().head(0)), *EMPTY, "units has no rows"),
    refuse("one row", ab(units().head(1)), *VARIANT, "one value, ['A']"),
    refuse("one variant", with_(arm="A"), *VARIANT, "one value, ['A']", "at least two"),
    refuse("variant null", with_(arm=pd.Series([None] * 16, dtype="string")), *VARIANT, "arm"),
    refuse("variant null but for one arm", with_(arm=["A", None] * 8), *VARIANT, "['A']"),
    refuse("variant missing", ab(variant="Arm"), *MISSING, "variant='Arm'", "Did you mean 'arm'?"),
    *[refuse(f"variant {name!r}", ab(variant=name), *NAME, repr(name)) for name in (None, 3, ["arm"])],
    refuse(
        "variant a column of ids", ab(units().assign(arm=range(16)).loc[np.arange(1_600) % 16].assign(arm=range(1_600))), *VARIANT, "ids"
    ),
    refuse("variant times", with_(arm=pd.date_range("2026-01-01", periods=16)), *TYPE, "variant='arm'"),
    refuse("variant named twice", ab(units().set_axis(["uid", "arm", "arm", "revenue", "o", "b", "c"], axis=1)), C, "column.duplicate"),
    refuse("control not there", ab(control="a"), *CONTROL, "control='a'", "['A', 'B']", "Did you mean 'A'?"),
    *[refuse(f"control {name!r}", ab(control=name), *CONTROL) for name in ("", 0, 1, False, math.nan, ["A"], {})],
    refuse("control an array", ab(control=np.array(["A", "B"])), *CONTROL),
    refuse("control a text, variants numbers", ab(units(arm=[0, 1] * 8), control="0"), *CONTROL, "[0, 1]", "Did you mean 0?"),
    refuse("control 0, variants true and false", ab(units(arm=[True, False] * 8), control=0), *CONTROL, "[False, True]"),
    refuse("a unit in two variants", ab(units(uid=list("aabbccddeeffgghh")), cluster="uid"), *TORN, "8 clusters", "one"),
    refuse("a unit in two strata", ab(units(uid=list("abab" * 4)), cluster="uid", strata="country"), *TORN, "2 clusters", "stratum"),
    refuse("cluster missing", ab(cluster="id"), *MISSING, "cluster='id'", "Did you mean 'uid'?"),
    refuse("cluster the variant", ab(cluster="arm"), *REPEATED),
    refuse("cluster null", ab(units(uid=pd.Series([None] * 16, dtype="string")), cluster="uid"), D, "data.*", "cluster"),
    refuse("strata missing", ab(strata="countr"), *MISSING, "Did you mean 'country'?"),
    refuse("strata the variant", ab(strata="arm"), *REPEATED),
    refuse("strata null", ab(units(country=pd.Series([None] * 16, dtype="string")), strata="country"), D, "data.*", "strata"),
]

CASES_METRICS = [
    *[refuse(f"metrics {given!r}", ab(metrics=given), *METRICS) for given in (None, 5, [], {})],
    refuse("metrics missing", ab(metrics="revenu"), *MISSING, "metrics['revenu']", "Did you mean 'revenue'?"),
    refuse("metrics named twice", ab(metrics=["revenue", om.Mean("revenue")]), *METRICS, "two of 'revenue'", "mapping"),
    refuse("a number for a metric", ab(metrics={"a": 5}), *METRICS, "metrics['a']=5", "om.Mean"),
    refuse("a number in a list", ab(metrics=["revenue", 5]), *METRICS, "metrics[1]=5"),
    refuse("a class for a metric", ab(metrics={"a": om.Mean}), *METRICS, "is no metric"),
    refuse("a name that is no text", ab(metrics={5: "revenue"}), *METRICS, "a name"),
    refuse("a name that is empty", ab(metrics={"": "revenue"}), *METRICS, "a name"),
    refuse("the variant as a metric", ab(metrics="arm"), *REPEATED, "metrics['arm']"),
    refuse("text", ab(metrics="country"), *TYPE, "metrics['country']", "String"),
    refuse("times", with_(revenue=pd.date_range("2026-01-01", periods=16)), *TYPE),
    refuse("missing in every row", with_(revenue=math.nan), *NOTHING, "metrics['revenue']", "every row"),
    refuse("a quantile missing in every row", measured(om.Quantile("revenue", 0.5), revenue=math.nan), *NOTHING, "metrics['m']"),
    refuse("a denominator missing in every row", measured(om.Ratio("revenue", "orders"), orders=math.nan), *NOTHING),
    *[
        refuse(f"infinite, {name}", measured(metric, revenue=[math.inf] + [1.0] * 15), *INFINITE, "'revenue'")
        for name, metric in {"bare": "revenue", "quantile": om.Quantile("revenue", 0.5), "ratio": om.Ratio("revenue", "orders")}.items()
    ],
    refuse("infinite both ways", with_(revenue=[math.inf, -math.inf] * 8), *INFINITE),
    refuse("infinite covariate", measured(om.Mean("revenue", covariate="before"), before=math.inf), *INFINITE, "'before'"),
    *[refuse(f"beyond measure, {big:g}", with_(revenue=[big, 1.5 * big] * 8), D, "data.*", "revenue") for big in (1e250, 1e308)],
    *[
        refuse(
            f"a proportion of {value}", measured(om.Proportion("converted"), converted=[value, 0] * 8), *PROPORTION, f"{value}", "om.Mean"
        )
        for value in (0.9999, 2, -1, 100)
    ],
    refuse("covariate missing", measured(om.Mean("revenue", covariate="befor")), *MISSING, "covariate", "Did you mean 'before'?"),
    refuse("covariate text", measured(om.Mean("revenue", covariate="country")), *TYPE),
    refuse("covariate the variant", ab(units(arm=[0, 1] * 8), metrics=om.Mean("revenue", covariate="arm")), *REPEATED),
]

CASES_ARGUMENTS = [
    *[
        refuse(f"{door} confidence {given!r}", call(confidence=given), *CONFIDENCE, f"confidence={given!r}", "between 0 and 1", *says)
        for door, call in {"frame": ab, "stats": stats, "A/A": aa, "plan": size}.items()
        for given, says in (
            (95, ("Did you mean 0.95?",)),
            (0, ()),
            (1, ()),
            (-0.05, ()),
            (math.nan, ()),
            ("0.95", ()),
            (None, ()),
            (True, ()),
        )
    ],
    *[
        refuse(
            f"{door} alternative {given!r}", call(alternative=given), P, "parameter.alternative", "'two-sided', 'greater', 'less'", *says
        )
        for door, call in {"frame": ab, "stats": stats, "plan": size}.items()
        for given, says in (
            ("two_sided", ("Did you mean 'two-sided'?",)),
            ("Greater", ("Did you mean 'greater'?",)),
            ("larger", ()),
            (None, ()),
        )
    ],
    *[
        refuse(f"{door} correction {given!r}", call(correction=given), *CORRECTION, "'benjamini-hochberg'", *says)
        for door, call in {"frame": ab, "stats": stats}.items()
        for given, says in (
            ("Holm", ("Did you mean 'holm'?",)),
            ("bonferoni", ("Did you mean 'bonferroni'?",)),
            ("fdr_bh", ()),
            (5, ()),
            ("", ()),
        )
    ],
    refuse("dunnett of all pairs", ab(correction="dunnett"), *CORRECTION, "control="),
    refuse("dunnett with looks", ab(correction="dunnett", control="A", sequential=om.AlwaysValid(100)), *CORRECTION, "'holm'"),
    *[
        refuse(f"{door} sequential {name}", call(sequential=given), P, "parameter.sequential", "GroupSequential", "AlwaysValid")
        for door, call in {"frame": ab, "stats": stats, "plan": size}.items()
        for name, given in {"a word": "pocock", "a number": 5, "a class": om.GroupSequential}.items()
    ],
    refuse(
        "futility of both sides",
        ab(sequential=om.GroupSequential(3, planned_n=100, futility="pocock")),
        P,
        "parameter.futility",
        "'greater'",
    ),
    *[
        refuse(f"{door} rng {given!r}", call(rng=given), P, "parameter.rng", "seed")
        for door, call in {"frame": ab, "A/A": aa}.items()
        for given in ("x", -1, 1.5, True)
    ],
    *[
        refuse(f"{door} expected_split {name}", call(given), *SPLIT, *says)
        for door, call in {
            "frame": lambda given: ab(expected_split=given),
            "stats": lambda given: stats(expected_split=given),
            "counts": lambda given: srm({"A": 10, "B": 12}, expected_split=given),
        }.items()
        for name, given, says in (
            ("leaves one out", {"A": 1}, ("['B']",)),
            ("names another", {"A": 1, "B": 1, "C": 1}, ("'C'", "['A', 'B']")),
            ("nearly names one", {"a": 1, "B": 1}, ("Did you mean 'A'?",)),
            ("zero", {"A": 0, "B": 1}, ("expected_split['A']=0", "above 0")),
            ("negative", {"A": -1, "B": 1}, ("expected_split['A']=-1",)),
            ("missing", {"A": math.nan, "B": 1}, ("nan",)),
            ("infinite", {"A": math.inf, "B": 1}, ("inf",)),
            ("text", {"A": "1", "B": 1}, ("'1'",)),
            ("empty", {}, ("['A', 'B']",)),
            ("a list", [0.5, 0.5], ("must be a mapping",)),
            ("a number", 0.5, ("must be a mapping",)),
        )
    ],
]

CASES_STATS = [
    refuse("nothing", stats({}), P, "parameter.stats"),
    refuse("an empty list", stats([]), P, "parameter.stats"),
    refuse("numbers", stats([1, 2]), P, "parameter.stats"),
    refuse("a number per arm", stats({"A": 5, "B": 6}), P, "parameter.stats", "stats['A']=5", "'successes'"),
    *[refuse(f"a {type(given).__name__}", stats(given), *KIND) for given in ("x", 5)],
    refuse("None", lambda: om.ab_test_from_stats(None), *KIND),
    refuse("no rows", stats(pd.DataFrame({"variant": [], "n": [], "successes": []})), *EMPTY),
    refuse("one variant", stats({"A": arms()["A"]}), *VARIANT),
    refuse("an arm without units", stats(arms(n=0, successes=0)), *VARIANT),
    refuse("variant missing", stats([{"arm": "A", "n": 5, "successes": 1}]), *MISSING, "'variant'"),
    refuse("variant null", stats([*rows("A", "B"), {"variant": None, "n": 1, "successes": 0}]), *STATS, "variant"),
    refuse("n missing", stats({"A": {"successes": 5}, "B": {"successes": 6}}), *MISSING, "'n'"),
    *[refuse(f"n {given}", stats(arms(n=given)), *STATS, f"n={given:g}", "0 or more") for given in (-10, 99.5, math.nan, math.inf, 1e16)],
    *[
        refuse(f"{given} of 100", stats(arms(successes=given)), *STATS, f"successes={given:g}", "from 0 to n")
        for given in (101, -1, 1.5, math.inf)
    ],
    refuse("successes null", stats(arms(successes=None)), *STATS, "'successes'", "'mean'"),
    refuse("successes text", stats(rows("A", "B", successes="5")), *TYPE),
    refuse("successes true and false", stats(rows("A", "B", successes=True)), *TYPE),
    refuse("a rate for a count", stats({"A": {"n": 100, "rate": 0.2}, "B": {"n": 100, "rate": 0.3}}), *STATS, "'successes'"),
    refuse("no variance", stats(without("variance", MEANS)), *STATS, "'variance'"),
    refuse("variance negative", stats(means(variance=-1.0)), *STATS, "variance=-1", "0 or more"),
    refuse("variance null", stats(means(variance=math.nan)), *STATS, "'variance'"),
    *[refuse(f"{name} infinite", stats(means(**{name: math.inf})), *STATS, name) for name in ("mean", "variance")],
    refuse("third moment infinite", stats(means(MEANS | {"third_moment": 1.0}, third_moment=math.inf)), *STATS, "third_moment"),
    refuse("denominator infinite", stats(means(RATIOS, denominator_mean=math.inf)), *STATS, "denominator_mean"),
    refuse("no covariance", stats(without("covariance_denominator", RATIOS)), *STATS, "'covariance_denominator'"),
    refuse(
        "covariance too large", stats(means(RATIOS, covariance_denominator=5.0)), *STATS, "covariance_denominator=5 ", "variances allow"
    ),
    refuse("counts and means of one metric", stats([*rows("A"), {"variant": "B", **MEANS}]), *STATS, "'metric'"),
    refuse("kind unknown", stats([{"variant": v, **MEANS, "kind": "means"} for v in "AB"]), P, "parameter.kind", "Did you mean 'mean'?"),
    refuse("a mean of 2 as a proportion", stats([{"variant": v, **MEANS, "kind": "proportion"} for v in "AB"]), *STATS, "mean=2"),
    refuse("a ratio without denominator", stats([{"variant": v, **MEANS, "kind": "ratio"} for v in "AB"]), *STATS, "denominator"),
    refuse("quantiles of parts", stats([{"variant": v, **MEANS, "kind": "quantile"} for v in "ABA"]), *STATS, "do not add up"),
    *[refuse(f"{name} null", stats(rows("A", "B", **{name: None})), *STATS, f"without a {name}") for name in ("metric", "stratum")],
    refuse("by missing", stats(rows("A", "B", shop=1), by="shp"), *MISSING, "by='shp'", "Did you mean 'shop'?"),
    refuse("by null", stats(rows("A", "B", shop=None), by="shop"), *STATS, "shop"),
    refuse("by twice", stats(rows("A", "B", shop=1), by=["shop", "shop"]), *REPEATED),
    *[
        refuse(f"by {name}", stats(rows("A", "B", metric="m"), by=name), *RESERVED, repr(name))
        for name in ("variant", "metric", "n", "successes")
    ],
    *[refuse(f"by {given!r}", stats(by=given), P, "parameter.by") for given in (5, True)],
    *[
        refuse(f"by a column named {name}", stats(rows("A", "B", **{name: 1}), by=name), *RESERVED, repr(name))
        for name in ("difference", "p_value", "lift", "baseline", "treatment", "method", "statistic", "control")
    ],
    refuse("by one with one variant", stats(rows("A", "B", shop=1) + rows("A", shop=2), by="shop"), *VARIANT),
    refuse("by one without the control", stats(rows("A", "B", shop=1) + rows("B", "C", shop=2), by="shop", control="A"), *CONTROL, "'A'"),
    refuse("control not there", stats(control="a"), *CONTROL, "Did you mean 'A'?"),
    refuse(
        "options of another metric",
        stats(rows("A", "B", metric="converted"), metrics={"convertd": om.Proportion("x")}),
        *METRICS,
        "'converted'?",
    ),
    refuse("options of another kind", stats(metrics={"metric": om.Mean("x")}), *METRICS, "a mean", "a proportion"),
    refuse("options in words", stats(metrics={"metric": "x"}), *METRICS, "om.Mean"),
    refuse("cuts of statistics", stats(means(), metrics={"metric": om.Mean("x", winsorize=0.99)}), *METRICS, "winsorize"),
    refuse(
        "skewness beside a covariate",
        stats(
            means(MEANS | {"covariate_mean": 0.0, "covariate_variance": 1.0, "covariance_covariate": 0.1, "third_moment": 1.0}),
            metrics={"metric": om.Mean("x", skew_correction=True)},
        ),
        *STATS,
        "without covariates",
    ),
    refuse(
        "skewness without a third moment", stats(means(), metrics={"metric": om.Mean("x", skew_correction=True)}), *STATS, "third_moment"
    ),
]

CASES_SPECS = [
    *[refuse(f"column {given!r}", lambda given=given: om.Mean(given), *NAME, repr(given)) for given in (None, 5, "", ["a"])],
    refuse("denominator a number", lambda: om.Ratio("a", 5), *NAME, "denominator=5"),
    refuse("denominator the numerator", lambda: om.Ratio("a", "a"), *REPEATED, "that ratio is 1"),
    refuse("covariate a number", lambda: om.Mean("a", covariate=5), P, "parameter.covariate"),
    refuse("covariate of numbers", lambda: om.Mean("a", covariate=[5]), *NAME),
    refuse("covariate twice", lambda: om.Mean("a", covariate=["b", "b"]), *REPEATED),
    refuse("covariate the metric itself", lambda: om.Mean("a", covariate="a"), *REPEATED, "'a'"),
    refuse("covariate the denominator", lambda: om.Ratio("a", "b", covariate=["c", "b"]), *REPEATED, "'b'"),
    refuse("theta unknown", lambda: om.Mean("a", theta="total"), P, "parameter.theta", "'within', 'pooled'"),
    refuse(
        "hypothesis unknown",
        lambda: om.Mean("a", hypothesis="noninferiority"),
        P,
        "parameter.hypothesis",
        "Did you mean 'non-inferiority'?",
    ),
    refuse("a hypothesis without margin", lambda: om.Mean("a", hypothesis="equivalence"), *MARGIN, "above 0"),
    refuse("a margin without hypothesis", lambda: om.Mean("a", margin=1), *MARGIN, "'non-inferiority'"),
    *[
        refuse(f"margin {given!r}", lambda given=given: om.Mean("a", hypothesis="equivalence", margin=given), *MARGIN, repr(given))
        for given in (0, -1, math.nan, math.inf, "1", True)
    ],
    refuse("margin in per cent", lambda: om.Proportion("a", hypothesis="equivalence", margin=2), *MARGIN, "Did you mean 0.02?"),
    *[
        refuse(f"decrease {given!r}", lambda given=given: om.Mean("a", decrease=given), P, "parameter.decrease")
        for given in ("yes", 1, None)
    ],
    *[
        refuse(f"winsorize {given!r}", lambda given=given: om.Mean("a", winsorize=given), P, "parameter.winsorize")
        for given in (0.01, -1, math.nan, "99", True, (0.99, 0.01), (0.1, 0.5, 0.9), ())
    ],
    refuse("winsorize 99", lambda: om.Mean("a", winsorize=99), P, "parameter.winsorize", "Did you mean 0.99?"),
    refuse("skew_correction text", lambda: om.Mean("a", skew_correction="yes"), P, "parameter.skew_correction"),
    refuse("skew_correction with a covariate", lambda: om.Mean("a", skew_correction=True, covariate="b"), P, "parameter.skew_correction"),
    refuse("test unknown", lambda: om.Proportion("a", test="Fisher"), P, "parameter.test", "Did you mean 'fisher'?"),
    refuse(
        "an exact test of a margin", lambda: om.Proportion("a", test="fisher", hypothesis="equivalence", margin=0.1), P, "parameter.test"
    ),
    refuse("an exact test with a covariate", lambda: om.Proportion("a", test="fisher", covariate="b"), P, "parameter.test", "covariate"),
    refuse("interval unknown", lambda: om.Proportion("a", interval="wald"), P, "parameter.interval", "'newcombe'"),
    refuse(
        "an interval of counts with a covariate", lambda: om.Proportion("a", interval="newcombe", covariate="b"), P, "parameter.interval"
    ),
    *[
        refuse(f"q {given!r}", lambda given=given: om.Quantile("a", given), P, "parameter.q")
        for given in (0, 1, -0.5, math.nan, "median", [0.5])
    ],
    refuse("q 90", lambda: om.Quantile("a", 90), P, "parameter.q", "Did you mean 0.9?"),
    refuse("method unknown", lambda: om.Quantile("a", 0.5, method="boot"), P, "parameter.method", "Did you mean 'bootstrap'?"),
    refuse("saved of another kind", lambda: om.Mean.from_dict(om.Proportion("a").to_dict()), *SAVED, "is no mean"),
    refuse("saved with a key more", lambda: om.Mean.from_dict(om.Mean("a").to_dict() | {"margn": 1}), *SAVED, "Did you mean 'margin'?"),
    refuse("saved without a column", lambda: om.Mean.from_dict({"kind": "mean"}), *SAVED, "column"),
    *[refuse(f"saved {given!r}", lambda given=given: om.Ratio.from_dict(given), *SAVED) for given in (None, {}, 5, "{}")],
    *[
        refuse(f"prior {given!r}", lambda given=given: found().bayes(prior=given), P, "parameter.prior")
        for given in ((0, 1), (1, -1), (1, 1, 1), (math.nan, 1), (math.inf, 1), "uniform", 1, None)
    ],
    refuse(
        "a readout without a conjugate metric",
        lambda: stats(means(RATIOS))().bayes(),
        D,
        "data.conjugate",
        "proportions and means",
    ),
]

CASES_SPLITS = [
    refuse("one variant", srm({"A": 5}), *COUNTS, "two or more"),
    refuse("no variant", srm({}), *COUNTS),
    refuse("no units", srm({"A": 0, "B": 0}), *COUNTS, "no units"),
    *[
        refuse(f"{given!r} units", srm({"A": given, "B": 5}), *COUNTS, f"counts['A']={given!r}", "a whole number of 0 or more")
        for given in (-1, 1.5, math.nan, math.inf, "5", True, None)
    ],
    *[refuse(f"a {type(given).__name__}", srm(given), *COUNTS) for given in ([5, 5], (5, 5), "AB", 5, None, np.array([5, 5]))],
    refuse("a series", srm(pd.Series({"A": 5, "B": 5})), *COUNTS, ".to_dict()"),
    refuse("names of two types", srm({"A": 5, 1: 5}), *COUNTS, "['A', 1]"),
    refuse("a name that is missing", srm({None: 5, "B": 5}), *COUNTS),
    refuse("looks without peeking", srm([{"A": 5, "B": 5}]), *COUNTS, "peeking=True"),
    refuse("no look", srm([], peeking=True), *COUNTS),
    refuse("looks that fall", srm([{"A": 5, "B": 5}, {"A": 4, "B": 9}], peeking=True), *COUNTS, "'A' fall from 5 to 4 at look 2"),
    refuse("looks at other variants", srm([{"A": 5, "B": 5}, {"A": 5, "C": 9}], peeking=True), *COUNTS, "['A', 'C']"),
    refuse("a look that is none", srm([{"A": 5, "B": 5}, 7], peeking=True), *COUNTS, "look 2"),
    refuse("peeking text", srm({"A": 5, "B": 5}, peeking="yes"), P, "parameter.peeking"),
    *[
        refuse(f"p-value {given!r}", adjust([0.5, given]), P, "parameter.p_values", "p_values[1]", *says)
        for given, says in (
            (5, ("Did you mean 0.05?",)),
            (-0.1, ()),
            (math.inf, ()),
            ("0.05", ()),
            (True, ()),
            (None, ()),
            ([0.1], ()),
            (1j, ()),
        )
    ],
    *[refuse(f"p-values {given!r}", adjust(given), P, "parameter.p_values") for given in ([], "0.05", None, 0.05, {"a": 0.1})],
    refuse("correction nearly right", adjust([0.1], correction="Benjamini-Hochberg"), *CORRECTION, "Did you mean 'benjamini-hochberg'?"),
    refuse("correction without units", adjust([0.1], correction="dunnett"), *CORRECTION, "ask ab_test", "'holm'"),
    *[refuse(f"correction {given!r}", adjust([0.1], correction=given), *CORRECTION) for given in ("bh", None, 5)],
]

CASES_DESIGNS = [
    *[refuse(f"looks {given!r}", looks(given), *LOOKS) for given in (0, -1, 1_001, 2.5, 1e9, True, None, "4", [], {0.5: 1})],
    *[
        refuse(f"looks not increasing, {given!r}", looks(given), *LOOKS, "must increase")
        for given in ([0.5, 0.5], [0.5, 0.25], [0.99999, 1])
    ],
    *[
        refuse(f"looks outside, {given!r}", looks(given), *LOOKS, "above 0 and at most 1", *says)
        for given, says in (([0, 0.5], ()), ([-0.5, 1], ()), ([50, 100], ("Did you mean [0.5, 1.0]?",)))
    ],
    *[refuse(f"a look that is no number, {given!r}", looks([given, 1]), *LOOKS, repr(given)) for given in (math.nan, "x", None)],
    *[
        refuse(f"{design} planned_n {given!r}", call, P, "parameter.planned_n", "whole number")
        for given in (0, -5, 1.5, "1000", None, True, math.nan)
        for design, call in (("group sequential", looks(planned_n=given)), ("always valid", lambda given=given: om.AlwaysValid(given)))
    ],
    *[
        refuse(f"burn_in {given!r}", lambda given=given: om.AlwaysValid(9, burn_in=given), P, "parameter.burn_in")
        for given in (-1, 1.5, "x", None)
    ],
    *[
        refuse(f"{name} {given!r}", looks(**{name: given}), P, f"parameter.{name}", "'hwang-shih-decani'", *says)
        for name in ("spending", "futility")
        for given, says in (("pococ", ("Did you mean 'pocock'?",)), ("OBF", ()), (5, ()), (True, ()))
    ],
    refuse("a shape without a family", looks(shape=1), P, "parameter.shape", "'obrien-fleming' has no shape"),
    *[
        refuse(f"shape {given!r} of {family}", looks(spending=family, shape=given), P, "parameter.shape", repr(given))
        for family, given in (("hwang-shih-decani", 100), ("hwang-shih-decani", math.nan), ("kim-demets", 0), ("kim-demets", "x"))
    ],
    *[
        refuse(f"power {given!r}", looks(power=given), P, "parameter.power", *says)
        for given, says in ((80, ("Did you mean 0.8?",)), (0, ()), (1, ()))
    ],
    refuse("bounds at 95", lambda: looks()().boundaries(confidence=95), *CONFIDENCE, "Did you mean 0.95?"),
    refuse("bounds at the error", lambda: looks()().boundaries(confidence=0.1), P, "parameter.*", "confidence=0.1"),
    refuse("bounds of no side", lambda: looks()().boundaries(alternative="both"), P, "parameter.alternative"),
    refuse("futility of both sides", lambda: looks(futility="pocock")().boundaries(), P, "parameter.futility", "'greater' or 'less'"),
    refuse("a power that is chance", lambda: looks(power=0.03)().boundaries(), P, "parameter.power", "0.03"),
    *[
        refuse(f"saved {given!r}", lambda given=given: om.GroupSequential.from_dict(given), *SAVED)
        for given in (None, {}, 5, "{}", {"looks": 3})
    ],
    refuse("saved of the other kind", lambda: om.AlwaysValid.from_dict(looks()().to_dict()), *SAVED, "'looks'"),
]

CASES_PLANS = [
    refuse("baseline 5", size(5), P, "parameter.value", "Did you mean 0.05, or Baseline(5.0, std=...)?"),
    *[refuse(f"baseline {given!r}", size(given), P, "parameter.value") for given in (0, 1, -0.1, math.nan, math.inf)],
    *[refuse(f"baseline {given!r}", size(given), P, "parameter.baseline") for given in (None, "5%", True, [0.05])],
    *[
        refuse(f"effect {given!r}", size(effect=given), P, "parameter.effect", repr(given))
        for given in (math.nan, math.inf, "x", None, True)
    ],
    refuse("effect 0", size(effect=0), P, "parameter.effect", "nothing to find"),
    refuse("effect in per cent", size(effect=10), P, "parameter.effect", "10.05", "Did you mean 0.1?"),
    refuse("effect below nothing", size(effect=-0.06), P, "parameter.effect", "between 0 and 1"),
    refuse("effect too small", size(effect=1e-12), P, "parameter.effect", "too small"),
    refuse("effect on the other side", size(alternative="less"), P, "parameter.effect", "Did you mean -0.005?"),
    refuse("power 80", size(power=80), P, "parameter.power", "Did you mean 0.8?"),
    *[refuse(f"power {given!r}", size(power=given), P, "parameter.power") for given in (0, 1, -1, math.nan, "x", None, 0.02)],
    *[
        refuse(f"allocation {given!r}", size(allocation=given), P, "parameter.allocation")
        for given in ((1,), (), (0, 1), (1, -1), (1, math.nan), (1, math.inf), "ab", 5, None)
    ],
    refuse("correction without a level", size(correction="benjamini-hochberg"), *CORRECTION, "'bonferroni'"),
    refuse("correction nearly right", size(correction="Dunnett"), *CORRECTION, "Did you mean 'dunnett'?"),
    refuse("equivalence without margin", size(hypothesis="equivalence"), *MARGIN, "margin is missing"),
    refuse("a margin without hypothesis", size(margin=0.1), *MARGIN),
    refuse("a margin below nothing", size(hypothesis="non-inferiority", margin=-0.1), *MARGIN, "Did you mean 0.1?"),
    refuse("a margin in per cent", size(hypothesis="non-inferiority", margin=2), *MARGIN, "Did you mean 0.02?"),
    refuse("an effect beyond the margin", size(hypothesis="equivalence", margin=0.001), P, "parameter.effect", "beyond the margin"),
    refuse("relative text", size(relative="yes"), P, "parameter.relative"),
    refuse("relative to nothing", size(om.Baseline(0, std=1), relative=True), P, "parameter.relative"),
    *[refuse(f"n {given!r}", power(n=given), P, "parameter.n") for given in (0, -10, 3, math.nan, math.inf, "x", None, True)],
    refuse("n too few for any effect", lambda: om.minimum_detectable_effect(0.05, n=4), P, "parameter.n", "not even the largest"),
    *[
        refuse(f"{name} {given!r}", lambda name=name, given=given: om.Baseline(0.05, **{name: given}), P, f"parameter.{name}", *says)
        for name, given, says in (
            ("std", 0, ()),
            ("std", -1, ()),
            ("std", math.nan, ()),
            ("std", "x", ()),
            ("correlation", 1, ()),
            ("correlation", 60, ("Did you mean 0.6?",)),
            ("cluster_size", 0.5, ()),
            ("icc", -0.1, ()),
            ("icc", 5, ("Did you mean 0.05?",)),
            ("icc", None, ()),
        )
    ],
    *[refuse(f"saved {given!r}", lambda given=given: om.Baseline.from_dict(given), *SAVED) for given in (None, {}, {"value": 0.05})],
    *[
        refuse(f"traffic {given!r}", days(traffic=given), P, "parameter.traffic")
        for given in (0, -5, math.nan, math.inf, "x", None, True, [], [0] * 7, [1, -1], [100], {"a": 1})
    ],
    refuse("traffic of ten years", days(traffic=1), P, "parameter.traffic", "3,653 days", "50,000 needed"),
    refuse("share 50", days(share=50), P, "parameter.share", "Did you mean 0.5?"),
    *[refuse(f"share {given!r}", days(share=given), P, "parameter.share") for given in (0, -1, math.nan, "x", None, True)],
    *[refuse(f"plan {given!r}", days(given), P, "parameter.plan") for given in (0, -1, math.nan, "x", None, True, [5])],
]

BEFORE: dict[str, Any] = {"nan": {"revenue": math.nan}, "inf": {"revenue": math.inf}, "constant": {"revenue": 1.0}}

CASES_HISTORIES = [
    *[refuse(f"repeats {given!r}", aa(repeats=given), P, "parameter.repeats") for given in (0, -1, 1.5, "10", None, True)],
    refuse("no table", aa([1]), *KIND),
    refuse("empty", aa(units().head(0)), *EMPTY),
    refuse("one unit", aa(units().head(1)), D, "data.*", "unit"),
    *[refuse(f"split {given!r}", aa(expected_split=given), *SPLIT) for given in ({}, {"A": 1}, {"A": 1, "B": 0}, [1, 1], "AB", 5)],
    refuse("metrics None", aa(metrics=None), *METRICS),
    refuse("a metric that is not there", aa(metrics="revenu"), *MISSING, "Did you mean 'revenue'?"),
    refuse("a metric that is missing", aa(units(revenue=math.nan)), *NOTHING),
    refuse("a quantile that is missing", aa(units(revenue=math.nan), metrics=om.Quantile("revenue", 0.5)), *NOTHING),
    refuse("a metric that is infinite", aa(units(revenue=math.inf)), *INFINITE),
    refuse("a proportion of 0.9999", aa(units(converted=0.9999), metrics=om.Proportion("converted")), *PROPORTION, "0.9999"),
    refuse("a metric with a margin", aa(metrics=om.Mean("revenue", hypothesis="equivalence", margin=1)), *METRICS, "equivalence"),
    refuse("clusters null", aa(units(uid=pd.Series([None] * 16, dtype="string")), cluster="uid"), D, "data.*", "cluster"),
    refuse("clusters in two strata", aa(units(uid=list("abab" * 4)), cluster="uid", strata="country"), *TORN),
    *[
        refuse(f"history of {name}, {kind}", lambda columns=columns, metric=metric: om.Baseline.of(units(**columns), metric), D, code)
        for name, code, columns in (
            ("nothing", "data.missing", BEFORE["nan"]),
            ("infinity", "data.infinite", BEFORE["inf"]),
            ("one value", "data.constant", BEFORE["constant"]),
        )
        for kind, metric in {"mean": om.Mean("revenue"), "quantile": om.Quantile("revenue", 0.5)}.items()
    ],
    refuse("history of one cluster", lambda: om.Baseline.of(units(uid="x"), om.Mean("revenue"), cluster="uid"), D, "data.*", "cluster"),
    *[
        refuse(f"history of {given!r}", lambda given=given: om.Baseline.of(units(), given), P, "parameter.metric")
        for given in (5, None, ["revenue"], {"r": "revenue"})
    ],
    refuse(
        "history of a column that is not there", lambda: om.Baseline.of(units(), om.Mean("revenu")), *MISSING, "Did you mean 'revenue'?"
    ),
]

CASES = {
    "units": CASES_UNITS, "metrics": CASES_METRICS, "arguments": CASES_ARGUMENTS, "stats": CASES_STATS, "specs": CASES_SPECS,
    "splits": CASES_SPLITS, "designs": CASES_DESIGNS, "plans": CASES_PLANS, "histories": CASES_HISTORIES,
}  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(*case.values, id=f"{group}: {case.id}") for group, cases in CASES.items() for case in cases])
def test_is_refused(case: Case) -> None:
    check_refused(case.call, case.error, case.code, case.says)


# ------------------------------------------------------------------------------------------------- the sentences in full

SENTENCES: dict[str, tuple[Callable[[], Any], str]] = {
    "one variant": (with_(arm="A"), "variant has one value, ['A']; a comparison needs at least two."),
    "a control that is not there": (ab(control="a"), "control='a' is not among the variants ['A', 'B']. Did you mean 'A'?"),
    "a unit in two variants": (
        ab(units(uid=list("aabbccddeeffgghh")), cluster="uid"),
        (
            "cluster='uid': 8 clusters have rows in more than one variant; a cluster is the unit that was randomised, and belongs to one. "
            "Leave those out, or find out why."
        ),
    ),
    "more successes than units": (
        stats(arms(successes=101)),
        "stats: successes=101 must be a whole number from 0 to n, which is 100 there.",
    ),
    "fewer units than none": (stats(arms(n=-10)), "stats: n=-10 must be a whole number of units, 0 or more."),
    "missing metrics": (with_(revenue=math.nan), "metrics['revenue'] is missing in every row; there is nothing to compare."),
    "infinite metrics": (
        with_(revenue=[math.inf] + [1.0] * 15),
        "metrics['revenue']='revenue' has infinite values; a mean of them says nothing. Find out where they come from.",
    ),
    "per cent": (ab(confidence=95), "confidence=95 must lie between 0 and 1. Did you mean 0.95?"),
    "a level outside": (ab(confidence=1.0), "confidence=1.0 must lie between 0 and 1."),
    "looks that do not increase": (
        looks([0.5, 0.25]),
        "looks=[0.5, 0.25] must increase by 0.0001 or more, up to a last look at 1; 0.25 follows 0.5.",
    ),
    "planned units below none": (
        looks(planned_n=-5),
        "planned_n=-5 is out of range; it must be a whole number from 1 to 1000000000000000.",
    ),
    "a proportion of 0.9999": (
        measured(om.Proportion("converted"), converted=[0.9999, 0] * 8),
        (
            "metrics['m']: column 'converted' holds 0.9999; a proportion counts units for which something is true, as 0 and 1 or as "
            "booleans. Did you mean om.Mean('converted')?"
        ),
    ),
    "a split in other variants": (
        srm({"A": 10, "B": 12}, expected_split={"a": 1, "B": 1}),
        "expected_split has the variant 'a', which no unit is in; the units have ['A', 'B']. Did you mean 'A'?",
    ),
    "a p-value in per cent": (adjust([5]), "p_values[0]=5 is no p-value; it must be a number from 0 to 1. Did you mean 0.05?"),
    "an effect that is none": (
        size(effect=0),
        (
            "effect=0 is nothing to find; give the smallest difference worth finding, or hypothesis='non-inferiority' or 'equivalence' "
            "with a margin."
        ),
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_sentences(name: str) -> None:
    call, sentence = SENTENCES[name]
    assert str(check_refused(call, om.OpsmetricsError, "*")) == sentence


@pytest.mark.parametrize("given", [[0.5, 1.1], [0.25, 1.5]], ids=str)
def test_looks_a_little_outside_are_no_per_cent(given: list[float]) -> None:
    assert "Did you mean" not in str(check_refused(looks(given), *LOOKS))


# ------------------------------------------------------------------------------------------- odd, but with an answer


def row(result: Any, at: int = 0) -> dict[str, Any]:
    return {name: values[at] for name, values in columns_of(result.table).items()}


def heard(call: Callable[[], Any]) -> tuple[Any, list[str]]:
    """An answer, and what it warned of."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = call()
    assert {warning.category for warning in told} <= {om.OpsmetricsWarning}
    return result, [str(warning.message) for warning in told]


UNKNOWN = ("statistic", "p_value", "difference_low", "difference_high", "lift_low", "lift_high")


def asked(frame: Any, metric: Any, **choices: Any) -> Callable[[], Any]:
    return lambda: om.ab_test(frame, variant="arm", metrics={"m": metric}, **choices)


@pytest.mark.parametrize("levels", [[1.5, 1.5], [1.5, 2.5], [0.9999, 0.0]], ids=str)
def test_without_variance_nothing_is_tested(levels: list[float]) -> None:
    """A bare column of 0.9999 is a mean, which does not vary."""
    result, told = heard(asked(units(revenue=levels * 8), "revenue"))
    found = row(result)
    assert (found["kind"], found["control"], found["treatment"]) == ("mean", *levels)
    assert found["difference"] == levels[1] - levels[0]
    assert [found[name] for name in UNKNOWN] == [None] * 6
    assert told == ["m in B: nothing varies, a denominator is 0, or there are too few units, so there is nothing to test."]
    assert list(result.warnings) == told


def test_one_arm_without_variance_is_tested_by_the_other() -> None:
    varied = [0.0, 3, 2, 0, 5, 1, 4, 7]
    frame = units(revenue=[value for one in varied for value in (1.0, one)])
    found = row(asked(frame, "revenue")())
    expected = (np.mean(varied) - 1) / math.sqrt(np.var(varied, ddof=1) / 8)
    assert found["statistic"] == pytest.approx(expected, rel=1e-12)
    assert found["df"] == pytest.approx(7)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_or_none_converted(value: float) -> None:
    found = row(quiet(asked(units(converted=value), "converted")))
    assert (found["kind"], found["difference"], found["p_value"]) == ("proportion", 0, 1)
    assert found["difference_low"] == -found["difference_high"] < 0
    assert found["lift"] == (0 if value else None)


@pytest.mark.parametrize("orders", [0.0, [0.0, 1.0] * 8, [1.0, 1, -1, -1] * 4], ids=["all", "control", "in sum"])
def test_a_denominator_of_zero_has_no_ratio(orders: Any) -> None:
    result, told = heard(asked(units(orders=orders), om.Ratio("revenue", "orders")))
    found = row(result)
    assert found["control"] is None
    assert [found[name] for name in ("difference", "lift", *UNKNOWN)] == [None] * 8
    assert "denominator" in " ".join(told)


def test_missing_metrics_do_not_count() -> None:
    values = units()["revenue"].tolist()
    found = quiet(om.ab_test, units(revenue=[math.nan] * 4 + values[4:]), variant="arm", metrics=om.Mean("revenue"))
    assert (row(found)["n"], row(found)["n_baseline"], found.dropped["revenue missing"]) == (6, 6, 4)
    assert row(found)["control"] == np.mean(values[4::2])


@pytest.mark.parametrize("kept", [0, 1])
def test_a_metric_that_one_arm_hardly_has(kept: int) -> None:
    values = units()["revenue"].tolist()
    frame = units(revenue=[value if i % 2 or i < 2 * kept else math.nan for i, value in enumerate(values)])
    result, told = heard(asked(frame, om.Mean("revenue")))
    assert (row(result)["n_baseline"], row(result)["p_value"]) == (kept, None)
    assert "too few units" in " ".join(told)


def test_units_without_a_variant_are_counted() -> None:
    result = quiet(asked(units(arm=["A", "B"] * 7 + [None, None]), "revenue"))
    assert result.dropped["no variant"] == 2
    assert columns_of(result.srm)["observed"] == [7, 7]


def test_percentages_are_weights() -> None:
    halves = ab(expected_split={"A": 50, "B": 50})()
    assert columns_of(halves.srm) == columns_of(ab(expected_split={"A": 0.5, "B": 0.5})().srm)


@pytest.mark.parametrize("name", ["constant", "missing", "twice the same"])
def test_covariates_that_say_nothing(name: str) -> None:
    """The answer is that without them."""
    frame, plain = units(), row(quiet(asked(units(), om.Mean("revenue"))))
    if name == "twice the same":
        frame = frame.assign(again=2 * frame["before"])
        once, twice = (row(quiet(asked(frame, om.Mean("revenue", covariate=given)))) for given in ("before", ["before", "again"]))
        assert twice["difference"] == pytest.approx(once["difference"], rel=1e-9)
        return
    found = row(quiet(asked(frame.assign(before=1.0 if name == "constant" else math.nan), om.Mean("revenue", covariate="before"))))
    assert [found[value] for value in ("difference", "p_value")] == pytest.approx([plain[value] for value in ("difference", "p_value")])


@pytest.mark.parametrize(("size", "count"), [(16, 20), (4, 6)])
def test_more_covariates_than_units(size: int, count: int) -> None:
    names = [f"c{i}" for i in range(count)]
    frame = units().assign(**{name: np.random.default_rng(i).normal(size=16) for i, name in enumerate(names)}).head(size)
    found = row(quiet(asked(frame, om.Mean("revenue", covariate=names))))
    assert [found[value] for value in UNKNOWN] == [None] * 6


@pytest.mark.parametrize("uid", [[0, 1] * 8, [0, 1, 0, 1, 2, 3, 2, 3] * 2], ids=["one per arm", "two per arm"])
def test_few_clusters(uid: list[int]) -> None:
    result, told = heard(asked(units(uid=uid), om.Mean("revenue"), cluster="uid"))
    assert (row(result)["p_value"] is None) == (len(set(uid)) == 2)
    assert "fewer than 20 clusters" in " ".join(told)


def test_rare_events_in_large_arms() -> None:
    """Tiny counts go by an exact test, which must not look at each of a million million outcomes."""
    found = row(stats({"A": {"n": 10**12, "successes": 1}, "B": {"n": 10**12, "successes": 4}})())
    assert 0.05 < found["p_value"] <= 0.375 * (1 + 1e-6)  # Fisher's test given 5 in all: 2 (1 + 5) / 2^5; Boschloo's is never above it


def test_a_metric_of_one_variant_only_is_told() -> None:
    given = rows("A", "B", metric="x") + rows("A", metric="y")
    with pytest.warns(om.OpsmetricsWarning, match="y"):
        found = om.ab_test_from_stats(given, control="A")
    assert columns_of(found.table)["metric"] == ["x"]


@pytest.mark.parametrize("given", [means(mean=1e300, variance=1e300), means(variance=1e-300), arms(n=10**14, successes=10**13)], ids=str)
def test_statistics_of_any_size_end_in_an_answer_or_in_a_sentence(given: Any) -> None:
    result = settled(stats(given))
    assert isinstance(result, om.OpsmetricsError) or str(result)


def test_missing_p_values_stay() -> None:
    assert (
        om.adjust_pvalues([0.01, 0.02])
        == om.adjust_pvalues(iter([0.01, 0.02]))
        == om.adjust_pvalues(np.array([0.01, 0.02]))
        == [0.02, 0.02]
    )
    first, second = om.adjust_pvalues([math.nan, 0.01])
    assert math.isnan(first)
    assert second == 0.01
    assert math.isnan(*om.adjust_pvalues([math.nan]))


def test_histories_may_be_bare_columns() -> None:
    assert om.Baseline.of(units(), "converted") == om.Baseline.of(units(), om.Proportion("converted"))
    assert om.Baseline.of(units(), "revenue") == om.Baseline.of(units(), om.Mean("revenue"))


# -------------------------------------------------------------------------------------------------------- every frame


KINDS_OF_REFUSAL: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "one variant": (lambda frame: om.ab_test(frame, variant="arm", metrics="revenue"), {"arm": "A"}),
    "no variant": (lambda frame: om.ab_test(frame, variant="arm", metrics="revenue"), {"arm": pd.Series([None] * 16, dtype="string")}),
    "control": (lambda frame: om.ab_test(frame, variant="arm", metrics="revenue", control="a"), {}),
    "torn": (lambda frame: om.ab_test(frame, variant="arm", metrics="revenue", cluster="uid"), {"uid": list("aabbccddeeffgghh")}),
    "0.9999": (lambda frame: om.ab_test(frame, variant="arm", metrics=om.Proportion("converted")), {"converted": [0.9999, 0.0] * 8}),
    "infinite": (lambda frame: om.ab_test(frame, variant="arm", metrics="revenue"), {"revenue": [math.inf] + [1.0] * 15}),
    "missing": (lambda frame: om.ab_test(frame, variant="arm", metrics="revenue"), {"revenue": math.nan}),
    "empty": (lambda frame: om.ab_test(frame, variant="arm", metrics="revenue"), {}),
    "A/A": (lambda frame: om.aa_check(frame, metrics="revenue", repeats=2), {"revenue": [math.inf] + [1.0] * 15}),
}


@pytest.mark.parametrize("name", KINDS_OF_REFUSAL)
def test_refusals_are_those_of_every_frame(name: str, kind: Kind) -> None:
    """Whatever the engine, the same sentence."""
    call, columns = KINDS_OF_REFUSAL[name]
    frame = units(**columns)
    if name == "empty":
        frame = frame.head(0)
    expected, refused = (
        check_refused(lambda given=given: quiet(call, given), om.OpsmetricsError, "*") for given in (frame, kind.make(frame))
    )
    assert (str(refused), refused.code) == (str(expected), expected.code)


def test_statistics_are_those_of_every_frame(kind: Kind) -> None:
    given = pd.DataFrame(rows("A", "B")).astype({"n": float, "successes": float})
    for columns in ({"successes": 101.0}, {"n": -10.0}, {"variant": "A"}):
        expected, refused = (
            check_refused(lambda frame=frame: quiet(om.ab_test_from_stats, frame), om.OpsmetricsError, "*")
            for frame in (given.assign(**columns), kind.make(given.assign(**columns)))
        )
        assert (str(refused), refused.code) == (str(expected), expected.code)


def test_units_without_a_variant_or_a_metric_of_every_frame(kind: Kind) -> None:
    frame = units(arm=["A", "B"] * 7 + [None, None], revenue=[math.nan, math.nan, *units()["revenue"].tolist()[2:]])
    result = quiet(om.ab_test, kind.make(frame), variant="arm", metrics="revenue")
    assert (result.dropped["no variant"], result.dropped["revenue missing"]) == (2, 2)
    assert (row(result)["n"], row(result)["n_baseline"]) == (6, 6)


def test_warnings_are_sentences_too() -> None:
    """They end, and point at the line of the caller."""
    with pytest.warns(om.OpsmetricsWarning) as told:
        om.ab_test(units(), variant="arm", metrics=["converted", "revenue"])
        om.ab_test_from_stats({"A": {"n": 1_000, "successes": 100}, "B": {"n": 2_000, "successes": 200}})
        om.srm_test({f"v{i}": 1 + i % 2 for i in range(40)})
    assert len(told) >= 4
    for warning in told:
        assert str(warning.message).endswith((".", "?")), warning.message
        assert warning.filename == __file__
