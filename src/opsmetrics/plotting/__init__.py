"""Pictures of results, with matplotlib (the ``plot`` extra). Nothing is shown, and no global setting is touched."""

from __future__ import annotations

from opsmetrics.plotting import cohorts, customers, funnels, lifecycles, paths
from opsmetrics.plotting.canvas import draw

__all__ = ["cohorts", "customers", "draw", "funnels", "lifecycles", "paths"]
