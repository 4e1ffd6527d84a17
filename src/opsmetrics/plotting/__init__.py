"""Pictures of results, with matplotlib (the ``plot`` extra). Nothing is shown, and no global setting is touched."""

from __future__ import annotations

from opsmetrics.plotting import cohorts, customers, experiments, funnels, lifecycles, lifetime_value, paths
from opsmetrics.plotting.canvas import draw
from opsmetrics.plotting.lifetime_value import calibration, frequencies

__all__ = ["calibration", "cohorts", "customers", "draw", "experiments", "frequencies", "funnels", "lifecycles", "lifetime_value", "paths"]
