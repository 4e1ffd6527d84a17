"""Run every benchmark: ``make bench`` or ``python -m benchmarks``. Wants a machine that does nothing else."""

from __future__ import annotations

import os
import platform
import sys

from benchmarks import funnel, funnel_intervals, import_cost, lifecycle, return_probability, rfm


def main() -> int:
    """All benchmarks; 1 where a target was missed."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    met = [import_cost.main(), rfm.main(), funnel.main(), funnel_intervals.main(), lifecycle.main(), return_probability.main()]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
