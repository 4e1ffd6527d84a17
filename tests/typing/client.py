"""A user's file: every public name, on every kind of frame, and no `Any` in sight. Checked by mypy, and run."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, assert_type

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

import opsmetrics as om

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def made() -> None:
    assert_type(om.make_orders(customers=20, rng=1), pd.DataFrame)
    assert_type(om.make_orders(20, rng=np.random.default_rng(1)), pd.DataFrame)
    assert_type(om.make_orders(customers=20, kind="polars", rng=1), pl.DataFrame)
    assert_type(om.make_orders(customers=20, kind="pyarrow", rng=1), pa.Table)
    assert_type(om.load_cdnow(), pd.DataFrame)


def with_pandas() -> None:
    orders = om.make_orders(customers=20, rng=1)
    summary = om.customer_summary(
        orders, customer="customer", time="time", amount="amount", as_of=dt.date(2026, 1, 1), order_id=None, window=dt.timedelta(days=365),
        tz=None, frequency="days", monetary="mean", refunds="drop", missing_customer="drop",
    )  # fmt: skip
    assert_type(summary, om.CustomerSummary[pd.DataFrame])
    assert_type(summary.table, pd.DataFrame)
    assert_type(summary.refund_only, pd.DataFrame)
    assert_type(summary.customer, str)
    report = om.rfm(
        orders, customer="customer", time="time", amount="amount", as_of="2026-01-01", bins={"r": 5, "f": 5, "m": 3}, window="52W"
    )
    assert_type(report, om.RFM[pd.DataFrame])
    assert_type(report.table, pd.DataFrame)
    assert_type(report.segments, om.SegmentSummary[pd.DataFrame])
    assert_type(report.segments.table, pd.DataFrame)
    assert_type(report.segment_names, tuple[str, ...])
    assert_type(report.customer, str | None)
    assert_type(om.segment_summary(report, order=report.segment_names).table, pd.DataFrame)
    assert_type(om.segment_summary(report.table, by="segment").table, pd.DataFrame)
    assert_type(om.segment_summary(report.table), om.SegmentSummary[pd.DataFrame])
    moves = om.transitions(report, report, confidence=0.9)
    assert_type(moves, om.Transitions[pd.DataFrame])
    assert_type(moves.table, pd.DataFrame)
    assert_type(moves.counts, pd.DataFrame)
    assert_type(moves.shares, pd.DataFrame)
    assert_type(moves.rates, pd.DataFrame)
    assert_type(om.transitions(report.table, report.table, customer="customer", label="segment"), om.Transitions[pd.DataFrame])


def worth() -> None:
    orders = om.make_orders(customers=300, rng=1)
    summary = om.clv_summary(
        orders, customer="customer", time="time", amount="amount", unit="day", as_of="2026-01-01", calibration_end=dt.date(2025, 9, 30),
        tz=None, refunds="drop", missing_customer="drop",
    )  # fmt: skip
    assert_type(summary, om.CLVSummary[pd.DataFrame])
    assert_type(summary.table, pd.DataFrame)
    assert_type(summary.unit, str)
    assert_type(om.BetaGeo(penalty=0.01).fit(summary), om.BetaGeoFit)
    assert_type(om.ParetoNBD().fit(summary.table, unit="day"), om.ParetoNBDFit)
    months = om.clv_summary(orders, customer="customer", time="time", unit="month")
    assert_type(om.BetaGeoBetaBinom().fit(months), om.BetaGeoBetaBinomFit)
    fit = om.ModifiedBetaGeo().fit(summary, purchase_covariates=(), dropout_covariates=())
    assert_type(fit, om.ModifiedBetaGeoFit)
    assert_type(fit.params, Mapping[str, float])
    assert_type(fit.standard_errors, dict[str, float])
    assert_type(fit.warnings, tuple[str, ...])
    assert_type(fit.aic - fit.bic, float)
    assert_type(om.ModifiedBetaGeoFit.from_dict(fit.to_dict()), om.ModifiedBetaGeoFit)
    assert_type(fit.expected_purchases(30), float)
    assert_type(fit.purchase_probability(0, 30), float)
    assert_type(fit.expected_purchases(30, summary, confidence=0.9), om.Predictions[pd.DataFrame])
    assert_type(fit.p_alive(summary.table).table, pd.DataFrame)
    assert_type(fit.discounted_purchases(summary.table, horizon="365D", discount_rate=0.1).table, pd.DataFrame)
    arrays = {"frequency": [1, 2], "recency": [3, 4], "T": [9, 9]}
    assert_type(fit.p_alive(arrays).table, pd.DataFrame)
    spend = om.GammaGamma().fit(summary)
    assert_type(spend, om.GammaGammaFit)
    assert_type(spend.expected_amount(), float)
    assert_type(spend.expected_amount(summary.table).table, pd.DataFrame)
    values = om.clv(orders, customer="customer", time="time", amount="amount", horizon="180D", margin=0.4, model="mbg_nbd", rng=1)
    assert_type(values, om.CLV[pd.DataFrame])
    assert_type(values.totals, pd.DataFrame)
    assert_type(values.choice, pd.DataFrame)
    assert_type(values.spend_fit, om.GammaGammaFit)
    report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    assert_type(values.by(report), om.CLVBreakdown[pd.DataFrame])
    held_out = values.validate()
    assert_type(held_out, om.Validation[pd.DataFrame])
    assert_type(held_out.tracking, pd.DataFrame)
    assert_type(held_out.coverage, pd.DataFrame)


def with_polars() -> None:
    orders = om.make_orders(customers=20, kind="polars", rng=1)
    summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of=np.datetime64("2026-01-01"), window=90)
    assert_type(summary.table, pl.DataFrame)
    assert_type(summary.refund_only, pl.DataFrame)
    report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of=dt.datetime(2026, 1, 1))
    assert_type(report, om.RFM[pl.DataFrame])
    assert_type(report.table, pl.DataFrame)
    assert_type(report.segments.table, pl.DataFrame)
    assert_type(om.segment_summary(report).table, pl.DataFrame)
    assert_type(om.transitions(report, report).counts, pl.DataFrame)
    assert_type(om.transitions(report.table, report.table, customer="customer").rates, pl.DataFrame)


def with_polars_lazy() -> None:
    orders = om.make_orders(customers=20, kind="polars", rng=1).lazy()
    summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    assert_type(summary, om.CustomerSummary[pl.LazyFrame])
    assert_type(summary.table, pl.DataFrame)
    assert_type(summary.refund_only, pl.DataFrame)
    report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    assert_type(report.table, pl.DataFrame)
    assert_type(report.segments.table, pl.DataFrame)
    assert_type(om.segment_summary(report).table, pl.DataFrame)
    assert_type(om.segment_summary(report.table.lazy()).table, pl.DataFrame)
    assert_type(om.transitions(report, report).shares, pl.DataFrame)
    assert_type(om.transitions(report.table.lazy(), report.table.lazy(), customer="customer").table, pl.DataFrame)


def with_duckdb() -> None:
    orders = duckdb.from_arrow(om.make_orders(customers=20, kind="pyarrow", rng=1))
    summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    assert_type(summary, om.CustomerSummary[duckdb.DuckDBPyRelation])
    assert_type(summary.table, pa.Table)
    assert_type(summary.refund_only, pa.Table)
    report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    assert_type(report.table, pa.Table)
    assert_type(report.segments.table, pa.Table)
    assert_type(om.segment_summary(report).table, pa.Table)
    assert_type(om.segment_summary(report.table).table, pa.Table)
    assert_type(om.transitions(report, report).rates, pa.Table)


def with_pyarrow() -> None:
    orders = om.make_orders(customers=20, kind="pyarrow", rng=1)
    report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    assert_type(report, om.RFM[pa.Table])
    assert_type(report.table, pa.Table)
    assert_type(om.transitions(report, report).table, pa.Table)


def scored() -> None:
    orders = om.make_orders(customers=20, rng=1)
    summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    spec = om.RFMScorer(bins=4, method="quantile", ties="mid", weights={"r": 100, "f": 10, "m": 1})
    fitted = spec.fit(summary)
    assert_type(fitted, om.FittedRFMScorer)
    assert_type(spec.fit(summary.table), om.FittedRFMScorer)
    assert_type(fitted.transform(summary), om.RFMScores[pd.DataFrame])
    assert_type(fitted.transform(summary.table), om.RFMScores[pd.DataFrame])
    assert_type(fitted.transform(pl.from_pandas(summary.table).lazy()).table, pl.DataFrame)
    assert_type(fitted.transform(summary).scorer, om.FittedRFMScorer)
    assert_type(fitted.bins, dict[str, int])
    assert_type(fitted.weights, Mapping[str, float])
    for axis, edges in fitted.edges.items():
        assert_type(axis, str)
        print(axis, list(edges))
    saved = fitted.to_dict()
    assert_type(saved, dict[str, object])
    assert_type(om.FittedRFMScorer.from_dict(saved), om.FittedRFMScorer)


def mapped() -> None:
    orders = om.make_orders(customers=20, rng=1)
    for chosen in (om.SegmentMap.rf10(), om.SegmentMap.r_rfm(), om.SegmentMap.cn8(labels="en", basis="value", centre="median")):
        report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01", segment_map=chosen)
        assert_type(report.segment_map, om.SegmentMap)
        assert_type(chosen.assign(report), om.RFM[pd.DataFrame])
        assert_type(om.SegmentMap.from_dict(chosen.to_dict()), om.SegmentMap)
    own = om.SegmentMap([("high", {"m": (3, 4)}), ("low", {"m": (1, 2)})], bins=4, otherwise=None)
    assert_type(own.names, tuple[str, ...])
    check = own.check()
    assert_type(check, om.MapCheck)
    assert_type(check.is_partition, bool)
    assert_type(check.gaps, tuple[tuple[int, int, int], ...])
    assert_type(om.SegmentMap.pymc_marketing().names, tuple[str, ...])
    for name, region in own.regions:
        assert_type(name, str)
        print(name, region)


def funnelled() -> None:
    events = om.make_events(customers=40, rng=1)
    assert_type(events, pd.DataFrame)
    assert_type(om.make_events(40, kind="polars", rng=1), pl.DataFrame)
    found = om.funnel(
        events,
        ["view", om.Step(["cart", "favourite"], label="like", optional=True), {"event": "pay", "where": {"channel": ["ads", "direct"]}}],
        customer="customer", event="event", time="time", window=dt.timedelta(days=7), step_window="1D",
        min_gap=None, entry="latest", exclude={"event": "help", "before": 3}, entries_between=("2025-01-01", None), amount="amount",
    )  # fmt: skip
    assert_type(found, om.Funnel[pd.DataFrame])
    assert_type(found.table, pd.DataFrame)
    assert_type(found.customers, pd.DataFrame)
    assert_type(found.by("channel", at="last"), om.FunnelBreakdown[pd.DataFrame])
    assert_type(found.trend("month").table, pd.DataFrame)
    assert_type(found.compare("channel", baseline="ads"), om.FunnelComparison[pd.DataFrame])
    assert_type(found.times(1, 3, edges=["0s", "1h"]), om.StepTimes[pd.DataFrame])
    assert_type(found.times(1, 3).histogram, pd.DataFrame)
    assert_type(found.survival(), om.ConversionCurve[pd.DataFrame])
    assert_type(found.next_events(after=1), om.NextEvents[pd.DataFrame])
    log = om.prepare_events(events, customer="customer", event="event", time="time")
    assert_type(log, om.EventLog[pd.DataFrame])
    assert_type(om.funnel(log, ["view", "pay"]), om.Funnel[pd.DataFrame])
    assert_type(om.path_transitions(log, gap="30min"), om.PathTransitions[pd.DataFrame])
    assert_type(om.path_transitions(log).nodes, pd.DataFrame)
    lazy = pl.from_pandas(events).lazy()
    assert_type(om.funnel(lazy, ["view", "pay"], customer="customer", event="event", time="time").table, pl.DataFrame)
    visits = om.sessionize(events, customer="customer", time="time", gap="1h")
    assert_type(visits, om.Sessions[pd.DataFrame])
    assert_type(visits.events, pd.DataFrame)
    assert_type(om.funnel_from_counts({"view": 10, "pay": 2}).table, pd.DataFrame)
    assert_type(om.aipl_steps(awareness="view", interest=["cart"], purchase="pay"), list[om.Step])
    assert_type(om.aarrr_steps(acquisition="a", activation="b", retention="c", referral="d", revenue="e")[0].label, str | None)


def lived() -> None:
    orders = om.make_orders(customers=60, rng=1)
    states = om.lifecycle(
        orders, customer="customer", time="time", amount="amount", period=28, as_of="2025-12-31", tz="Asia/Shanghai", week_start="sunday",
        new_after="90D", confidence=0.9,
    )  # fmt: skip
    assert_type(states, om.Lifecycle[pd.DataFrame])
    assert_type(states.revenue, pd.DataFrame)
    visits = om.lifecycle(om.make_events(40, kind="polars", rng=1), customer="customer", time="time", period="week")
    assert_type(visits.by("channel"), om.LifecycleBreakdown[pl.DataFrame])
    stages = om.Stages(
        [om.Stage("silent", {"recency": (90, None)}), om.Stage("few", {"orders": [1, 2]}, {"revenue": (0, 10)})], default="rest"
    )
    assert_type(om.Stages.from_dict(stages.to_dict()), om.Stages)
    summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2025-12-31")
    staged = stages.assign(summary)
    assert_type(staged, om.Staged[pd.DataFrame])
    assert_type(stages.assign(summary.table, customer="customer").overlaps, pd.DataFrame)
    log = om.make_events(40, rng=1)
    rates = staged.kpis(log, {"pays": "pay"}, customer="customer", event="event", time="time", between=(None, "2025-02-28"))
    assert_type(rates, om.StageKPIs[pd.DataFrame])
    history = stages.assign_at(orders, [dt.date(2025, 9, 30), "2025-12-31"], customer="customer", time="time", amount="amount")
    assert_type(history, om.StageHistory[pd.DataFrame])
    assert_type(om.transitions(staged, staged, lapsed=["silent"], top=["rest"]).rates, pd.DataFrame)
    assert_type(om.Stages.default(labels="zh"), om.StageModel)


def fitted() -> None:
    orders = om.make_orders(customers=2_000, rng=1)
    model = om.Stages.default().fit(orders, customer="customer", time="time", horizon="30D", p_dormant=0.25, p_churned=0.2, bands=(1, 2, 5))
    assert_type(model, om.FittedStages[pd.DataFrame])
    assert_type(model.curves, pd.DataFrame)
    assert_type(model.stages, om.Stages)


def came_back() -> None:
    orders, events = om.make_orders(customers=20, kind="polars", rng=1), om.make_events(customers=40, rng=1)
    cohorts = om.retention(orders, customer="customer", time="time", amount="amount", value="amount")
    assert_type(cohorts, om.Retention[pl.DataFrame])
    assert_type(cohorts.triangle, pl.DataFrame)
    assert_type(om.repurchase_rate(orders, customer="customer", time="time", within=["30D", 60]), om.Repurchase[pl.DataFrame])
    assert_type(om.next_period_rate(orders, customer="customer", time="time", period="quarter"), om.NextPeriod[pl.DataFrame])
    assert_type(om.stickiness(events, customer="customer", time="time", window=30), om.Stickiness[pd.DataFrame])
    active = om.activation_rate(events, "pay", customer="customer", event="event", time="time", within="3D")
    assert_type(active, om.Activation[pd.DataFrame])
    before = om.aipl(
        events, {"awareness": "view", "interest": ["cart"], "purchase": "pay", "loyalty": 2},
        customer="customer", event="event", time="time", as_of="2025-02-28", window=30, channel="channel", labels="zh",
    )  # fmt: skip
    assert_type(before, om.AIPL[pd.DataFrame])
    assert_type(before.flow(before), om.AIPLFlow[pd.DataFrame])


def tried() -> None:
    units, table = om.make_experiment(9_000, rng=1), om.make_experiment(9_000, kind="polars", rng=1)
    metrics = {
        "rate": om.Proportion("converted"),
        "spend": om.Mean("revenue", covariate="revenue_before"),
        "order": om.Ratio("revenue", "orders"),
    }
    found = om.ab_test(units, variant="variant", metrics=metrics, control="A", correction="holm")
    assert_type(found, om.ABTest[pd.DataFrame])
    assert_type(found.warnings, tuple[str, ...])
    assert_type(found.bayes(prior=(1, 1)), om.BayesReadout[pd.DataFrame])
    assert_type(om.ab_test(table, variant="variant", metrics=["converted", om.Quantile("basket", 0.5)], rng=1).table, pl.DataFrame)
    counts = {"A": {"n": 1_000, "successes": 50}, "B": {"n": 1_000, "successes": 60}}
    assert_type(om.ab_test_from_stats(counts, control="A"), om.ABTest[pd.DataFrame])
    assert_type(om.ab_test_from_stats(found.stats, by=None, sequential=om.AlwaysValid(2_000)), om.ABTest[pd.DataFrame])
    assert_type(om.aa_check(table, metrics="converted", repeats=20, rng=1), om.AACheck[pl.DataFrame])
    assert_type(om.srm_test({"A": 100, "B": 110}), om.SRMTest[pd.DataFrame])
    assert_type(om.adjust_pvalues([0.01, 0.2], correction="benjamini-hochberg"), list[float])


def planned() -> None:
    design = om.GroupSequential(5, planned_n=40_000, spending="pocock")
    assert_type(design.boundaries(), om.Boundaries[pd.DataFrame])
    plan = om.sample_size(om.Baseline(3.75, std=30), effect=0.05, relative=True, sequential=design)
    assert_type(plan, om.Plan[pd.DataFrame])
    assert_type(om.duration(plan, traffic=[5_000.0] * 7), om.Duration[pd.DataFrame])
    assert_type(om.power(0.05, n=40_000, effect=0.005), om.Plan[pd.DataFrame])
    assert_type(om.minimum_detectable_effect(om.Baseline.of(om.make_experiment(600, rng=1), "converted"), n=40_000).table, pd.DataFrame)


def told() -> None:
    orders = om.make_orders(customers=20, rng=1)
    report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    assert_type(report.params, dict[str, object])
    assert_type(report.dropped, dict[str, int])
    assert_type(report.to_dict(), dict[str, object])
    assert_type(json.dumps(report.to_dict()), str)
    assert_type(str(report), str)


def drawn(axes: Axes) -> Axes:
    orders = om.make_orders(customers=20, rng=1)
    report = om.rfm(orders, customer="customer", time="time", amount="amount", as_of="2026-01-01")
    report.segments.plot()
    return report.plot(ax=axes)


def caught() -> str:
    wrong: list[type[om.OpsmetricsError]] = [om.ColumnError, om.DataError, om.ParameterError, om.FitError]
    assert issubclass(om.OpsmetricsWarning, UserWarning)
    try:
        om.RFMScorer(bins=1)
    except om.OpsmetricsError as error:
        assert_type(error.code, str)
        return f"{error.code}: {error}" if type(error) in wrong else ""
    return ""
