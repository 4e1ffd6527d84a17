"""Times in turns, in an order drawn anew for each round; medians and ratios are what counts, absolute times only measure the machine.

What a contender leaves behind, in the caches and in the memory that the process holds, is felt by the next: in a fixed order always by the
same one.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

IN_A_ROW = 10
"""Calls of a few milliseconds, which after a call of others find the caches empty, and in a row, as in a service, do not."""


def in_turns(
    contenders: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
    warmed: bool = False,
    in_a_row: int = 1,
) -> dict[str, list[float]]:
    """Seconds of a call of each contender in each round, after one round that does not count unless all are warmed up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    lots = random.Random(0)
    for turn in range(warmed, rounds + 1):
        for name, run in lots.sample(list(contenders.items()), len(contenders)):
            gc.collect()
            began = clock()
            for _ in range(in_a_row):
                kept = run()
            taken = (clock() - began) / in_a_row
            del kept
            if turn:
                seconds[name].append(taken)
    return seconds


def ratios(seconds: Mapping[str, Sequence[float]], ours: str, peer: str) -> tuple[float, float, float]:
    """Ours over the peer, round by round: lowest, median, highest."""
    pairs = [a / b for a, b in zip(seconds[ours], seconds[peer], strict=True)]
    return min(pairs), statistics.median(pairs), max(pairs)


def report(seconds: Mapping[str, Sequence[float]]) -> None:
    """Medians in milliseconds."""
    for name, taken in seconds.items():
        print(f"  {name:<44} {statistics.median(taken) * 1e3:10.1f} ms   ({min(taken) * 1e3:.1f} .. {max(taken) * 1e3:.1f})")


def verdict(what: str, value: float, target: float, *, at_least: bool = False) -> bool:
    """Print a measured value beside its target, the most it may be, or the least."""
    met = value >= target if at_least else value <= target
    print(f"  {what:<44} {value:10.2f}      target {'>=' if at_least else '<='} {target:g}: {'met' if met else 'MISSED'}")
    return met
