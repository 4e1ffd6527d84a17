"""What `import opsmetrics` costs beside `import pandas`: interpreters in turns, CPU seconds above a bare interpreter."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

from benchmarks import timing

ROUNDS = 15


def cpu_seconds(statement: str) -> float:
    """User and system seconds of an interpreter that runs one statement."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def main() -> bool:
    """Run, print, and tell whether the budget is kept."""
    statements = {
        "bare": "pass",
        "opsmetrics": "import opsmetrics",
        "opsmetrics and every name": "import opsmetrics; [getattr(opsmetrics, n) for n in opsmetrics.__all__]",
        "pandas": "import pandas",
    }
    print(f"Import: {ROUNDS} rounds in turns")
    taken: dict[str, list[float]] = {name: [] for name in statements}
    for turn in range(ROUNDS + 1):
        for name, statement in statements.items():
            seconds = cpu_seconds(statement)
            if turn:
                taken[name].append(seconds)
    middle = {name: statistics.median(seconds) for name, seconds in taken.items()}
    ratio = {name: (seconds - middle["bare"]) / (middle["pandas"] - middle["bare"]) for name, seconds in middle.items()}
    print(f"  {'opsmetrics with every public name / pandas':<44} {ratio['opsmetrics and every name']:10.2f}      (no target)")
    return timing.verdict("opsmetrics / pandas", ratio["opsmetrics"], 0.6)


if __name__ == "__main__":
    main()
