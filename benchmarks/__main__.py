"""Run every benchmark: ``make bench`` or ``python -m benchmarks``. Wants a machine that does nothing else."""

from __future__ import annotations

import os
import platform
import sys

from benchmarks import (
    experiments,
    experiments_errors,
    experiments_peeking,
    funnel,
    funnel_intervals,
    import_cost,
    lifecycle,
    lifetime_value,
    lifetime_value_recovery,
    lifetime_value_robustness,
    return_probability,
    rfm,
)


def main() -> int:
    """All benchmarks; 1 where a target was missed."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    parts = (
        import_cost, rfm, funnel, funnel_intervals, lifecycle, return_probability, lifetime_value, lifetime_value_robustness,
        lifetime_value_recovery, experiments, experiments_errors, experiments_peeking,
    )  # fmt: skip
    met = [part.main() for part in parts]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
