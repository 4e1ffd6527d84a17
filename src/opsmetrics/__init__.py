"""Operations metrics for shops.

Public names are loaded when they are first used, so that ``import opsmetrics`` costs little and has no side effect.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsmetrics.cohorts.activations import Activation, activation_rate
    from opsmetrics.cohorts.habits import Stickiness, stickiness
    from opsmetrics.cohorts.repurchases import NextPeriod, Repurchase, next_period_rate, repurchase_rate
    from opsmetrics.cohorts.retentions import Retention, retention
    from opsmetrics.customers import CustomerSummary, customer_summary
    from opsmetrics.datasets import load_cdnow, make_events, make_experiment, make_orders
    from opsmetrics.errors import ColumnError, DataError, FitError, OpsmetricsError, OpsmetricsWarning, ParameterError
    from opsmetrics.events import EventLog, prepare_events
    from opsmetrics.experiments.baselines import Baseline
    from opsmetrics.experiments.calls import ab_test, ab_test_from_stats
    from opsmetrics.experiments.corrections import adjust_pvalues
    from opsmetrics.experiments.designs import AlwaysValid, Boundaries, GroupSequential
    from opsmetrics.experiments.metrics import Mean, Proportion, Quantile, Ratio
    from opsmetrics.experiments.plans import Duration, Plan, duration, minimum_detectable_effect, power, sample_size
    from opsmetrics.experiments.posterior import BayesReadout
    from opsmetrics.experiments.results import ABTest
    from opsmetrics.experiments.simulations import AACheck, aa_check
    from opsmetrics.experiments.splits import SRMTest, srm_test
    from opsmetrics.funnels.answers import ConversionCurve, FunnelBreakdown, FunnelComparison, NextEvents, StepTimes
    from opsmetrics.funnels.calls import funnel, funnel_from_counts
    from opsmetrics.funnels.presets import aarrr_steps, aipl_steps
    from opsmetrics.funnels.results import Funnel
    from opsmetrics.funnels.steps import Step
    from opsmetrics.lifecycles.aipls import AIPL, aipl
    from opsmetrics.lifecycles.flows import AIPLFlow
    from opsmetrics.lifecycles.growth import Lifecycle, LifecycleBreakdown, lifecycle
    from opsmetrics.lifecycles.models import FittedStages, StageModel
    from opsmetrics.lifecycles.staged import Staged, StageHistory, StageKPIs
    from opsmetrics.lifecycles.stages import Stage, Stages
    from opsmetrics.lifetime_value.calls import CLV, CLVBreakdown, clv
    from opsmetrics.lifetime_value.predictions import Predictions
    from opsmetrics.lifetime_value.specs import (
        BetaGeo,
        BetaGeoBetaBinom,
        BetaGeoBetaBinomFit,
        BetaGeoFit,
        ModifiedBetaGeo,
        ModifiedBetaGeoFit,
        ParetoNBD,
        ParetoNBDFit,
    )
    from opsmetrics.lifetime_value.spending import GammaGamma, GammaGammaFit
    from opsmetrics.lifetime_value.summaries import CLVSummary, clv_summary
    from opsmetrics.lifetime_value.validations import Validation
    from opsmetrics.migration import Transitions, transitions
    from opsmetrics.paths import PathTransitions, Sessions, path_transitions, sessionize
    from opsmetrics.segments.maps import MapCheck, SegmentMap
    from opsmetrics.segments.results import RFM, RFMScores
    from opsmetrics.segments.rfms import rfm
    from opsmetrics.segments.scorers import FittedRFMScorer, RFMScorer
    from opsmetrics.segments.summaries import SegmentSummary, segment_summary

__version__ = "0.1.0"

__all__ = [
    "AIPL",
    "CLV",
    "RFM",
    "AACheck",
    "ABTest",
    "AIPLFlow",
    "Activation",
    "AlwaysValid",
    "Baseline",
    "BayesReadout",
    "BetaGeo",
    "BetaGeoBetaBinom",
    "BetaGeoBetaBinomFit",
    "BetaGeoFit",
    "Boundaries",
    "CLVBreakdown",
    "CLVSummary",
    "ColumnError",
    "ConversionCurve",
    "CustomerSummary",
    "DataError",
    "Duration",
    "EventLog",
    "FitError",
    "FittedRFMScorer",
    "FittedStages",
    "Funnel",
    "FunnelBreakdown",
    "FunnelComparison",
    "GammaGamma",
    "GammaGammaFit",
    "GroupSequential",
    "Lifecycle",
    "LifecycleBreakdown",
    "MapCheck",
    "Mean",
    "ModifiedBetaGeo",
    "ModifiedBetaGeoFit",
    "NextEvents",
    "NextPeriod",
    "OpsmetricsError",
    "OpsmetricsWarning",
    "ParameterError",
    "ParetoNBD",
    "ParetoNBDFit",
    "PathTransitions",
    "Plan",
    "Predictions",
    "Proportion",
    "Quantile",
    "RFMScorer",
    "RFMScores",
    "Ratio",
    "Repurchase",
    "Retention",
    "SRMTest",
    "SegmentMap",
    "SegmentSummary",
    "Sessions",
    "Stage",
    "StageHistory",
    "StageKPIs",
    "StageModel",
    "Staged",
    "Stages",
    "Step",
    "StepTimes",
    "Stickiness",
    "Transitions",
    "Validation",
    "aa_check",
    "aarrr_steps",
    "ab_test",
    "ab_test_from_stats",
    "activation_rate",
    "adjust_pvalues",
    "aipl",
    "aipl_steps",
    "clv",
    "clv_summary",
    "customer_summary",
    "duration",
    "funnel",
    "funnel_from_counts",
    "lifecycle",
    "load_cdnow",
    "make_events",
    "make_experiment",
    "make_orders",
    "minimum_detectable_effect",
    "next_period_rate",
    "path_transitions",
    "power",
    "prepare_events",
    "repurchase_rate",
    "retention",
    "rfm",
    "sample_size",
    "segment_summary",
    "sessionize",
    "srm_test",
    "stickiness",
    "transitions",
]

_HOMES = {
    "cohorts.activations": ("Activation", "activation_rate"),
    "cohorts.habits": ("Stickiness", "stickiness"),
    "cohorts.repurchases": ("NextPeriod", "Repurchase", "next_period_rate", "repurchase_rate"),
    "cohorts.retentions": ("Retention", "retention"),
    "customers": ("CustomerSummary", "customer_summary"),
    "datasets": ("load_cdnow", "make_events", "make_experiment", "make_orders"),
    "errors": ("ColumnError", "DataError", "FitError", "OpsmetricsError", "OpsmetricsWarning", "ParameterError"),
    "events": ("EventLog", "prepare_events"),
    "experiments.baselines": ("Baseline",),
    "experiments.calls": ("ab_test", "ab_test_from_stats"),
    "experiments.corrections": ("adjust_pvalues",),
    "experiments.designs": ("AlwaysValid", "Boundaries", "GroupSequential"),
    "experiments.metrics": ("Mean", "Proportion", "Quantile", "Ratio"),
    "experiments.plans": ("Duration", "Plan", "duration", "minimum_detectable_effect", "power", "sample_size"),
    "experiments.posterior": ("BayesReadout",),
    "experiments.results": ("ABTest",),
    "experiments.simulations": ("AACheck", "aa_check"),
    "experiments.splits": ("SRMTest", "srm_test"),
    "funnels.answers": ("ConversionCurve", "FunnelBreakdown", "FunnelComparison", "NextEvents", "StepTimes"),
    "funnels.calls": ("funnel", "funnel_from_counts"),
    "funnels.presets": ("aarrr_steps", "aipl_steps"),
    "funnels.results": ("Funnel",),
    "funnels.steps": ("Step",),
    "lifecycles.aipls": ("AIPL", "aipl"),
    "lifecycles.flows": ("AIPLFlow",),
    "lifecycles.growth": ("Lifecycle", "LifecycleBreakdown", "lifecycle"),
    "lifecycles.models": ("FittedStages", "StageModel"),
    "lifecycles.staged": ("StageHistory", "StageKPIs", "Staged"),
    "lifecycles.stages": ("Stage", "Stages"),
    "lifetime_value.calls": ("CLV", "CLVBreakdown", "clv"),
    "lifetime_value.predictions": ("Predictions",),
    "lifetime_value.specs": (
        "BetaGeo",
        "BetaGeoBetaBinom",
        "BetaGeoBetaBinomFit",
        "BetaGeoFit",
        "ModifiedBetaGeo",
        "ModifiedBetaGeoFit",
        "ParetoNBD",
        "ParetoNBDFit",
    ),
    "lifetime_value.spending": ("GammaGamma", "GammaGammaFit"),
    "lifetime_value.summaries": ("CLVSummary", "clv_summary"),
    "lifetime_value.validations": ("Validation",),
    "migration": ("Transitions", "transitions"),
    "paths": ("PathTransitions", "Sessions", "path_transitions", "sessionize"),
    "segments.maps": ("MapCheck", "SegmentMap"),
    "segments.results": ("RFM", "RFMScores"),
    "segments.rfms": ("rfm",),
    "segments.scorers": ("FittedRFMScorer", "RFMScorer"),
    "segments.summaries": ("SegmentSummary", "segment_summary"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # a checker sees the imports above, and so finds names that do not exist

    def __getattr__(name: str) -> object:
        """Load a public name from its module (PEP 562)."""
        if name not in _HOME_OF:
            from opsmetrics.errors import nearest

            raise AttributeError(f"module 'opsmetrics' has no attribute {name!r}.{nearest(name, __all__)}")
        value = getattr(importlib.import_module(f"opsmetrics.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
