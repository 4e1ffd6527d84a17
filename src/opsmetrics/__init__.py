"""Operations metrics for shops.

Public names are loaded when they are first used, so that ``import opsmetrics`` costs little and has no side effect.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsmetrics.customers import CustomerSummary, customer_summary
    from opsmetrics.datasets import load_cdnow, make_events, make_orders
    from opsmetrics.errors import ColumnError, DataError, FitError, OpsmetricsError, OpsmetricsWarning, ParameterError
    from opsmetrics.events import EventLog, prepare_events
    from opsmetrics.funnels.answers import ConversionCurve, FunnelBreakdown, FunnelComparison, NextEvents, StepTimes
    from opsmetrics.funnels.calls import funnel, funnel_from_counts
    from opsmetrics.funnels.presets import aarrr_steps, aipl_steps
    from opsmetrics.funnels.results import Funnel
    from opsmetrics.funnels.steps import Step
    from opsmetrics.migration import Transitions, transitions
    from opsmetrics.paths import PathTransitions, Sessions, path_transitions, sessionize
    from opsmetrics.segments.maps import MapCheck, SegmentMap
    from opsmetrics.segments.results import RFM, RFMScores
    from opsmetrics.segments.rfms import rfm
    from opsmetrics.segments.scorers import FittedRFMScorer, RFMScorer
    from opsmetrics.segments.summaries import SegmentSummary, segment_summary

__version__ = "0.1.0"

__all__ = [
    "RFM",
    "ColumnError",
    "ConversionCurve",
    "CustomerSummary",
    "DataError",
    "EventLog",
    "FitError",
    "FittedRFMScorer",
    "Funnel",
    "FunnelBreakdown",
    "FunnelComparison",
    "MapCheck",
    "NextEvents",
    "OpsmetricsError",
    "OpsmetricsWarning",
    "ParameterError",
    "PathTransitions",
    "RFMScorer",
    "RFMScores",
    "SegmentMap",
    "SegmentSummary",
    "Sessions",
    "Step",
    "StepTimes",
    "Transitions",
    "aarrr_steps",
    "aipl_steps",
    "customer_summary",
    "funnel",
    "funnel_from_counts",
    "load_cdnow",
    "make_events",
    "make_orders",
    "path_transitions",
    "prepare_events",
    "rfm",
    "segment_summary",
    "sessionize",
    "transitions",
]

_HOMES = {
    "customers": ("CustomerSummary", "customer_summary"),
    "datasets": ("load_cdnow", "make_events", "make_orders"),
    "errors": ("ColumnError", "DataError", "FitError", "OpsmetricsError", "OpsmetricsWarning", "ParameterError"),
    "events": ("EventLog", "prepare_events"),
    "funnels.answers": ("ConversionCurve", "FunnelBreakdown", "FunnelComparison", "NextEvents", "StepTimes"),
    "funnels.calls": ("funnel", "funnel_from_counts"),
    "funnels.presets": ("aarrr_steps", "aipl_steps"),
    "funnels.results": ("Funnel",),
    "funnels.steps": ("Step",),
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
