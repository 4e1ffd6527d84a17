"""Times in turns: A B C, A B C, ...; the medians and their ratio to the first are what counts, absolute times only measure the machine."""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections.abc import Callable, Mapping


def in_turns(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, run in contenders.items():
            gc.collect()
            began = time.perf_counter()
            kept = run()
            taken = time.perf_counter() - began
            del kept
            if turn:
                seconds[name].append(taken)
    return seconds


def ratios(seconds: Mapping[str, list[float]], ours: str, peer: str) -> tuple[float, float, float]:
    """Ours over the peer, round by round: lowest, median, highest."""
    pairs = [a / b for a, b in zip(seconds[ours], seconds[peer], strict=True)]
    return min(pairs), statistics.median(pairs), max(pairs)


def report(seconds: Mapping[str, list[float]]) -> None:
    """Medians in milliseconds."""
    for name, taken in seconds.items():
        print(f"  {name:<44} {statistics.median(taken) * 1e3:10.1f} ms   ({min(taken) * 1e3:.1f} .. {max(taken) * 1e3:.1f})")


def verdict(what: str, value: float, target: float) -> bool:
    """Print a measured value beside its target."""
    met = value <= target
    print(f"  {what:<44} {value:10.2f}      target <= {target:g}: {'met' if met else 'MISSED'}")
    return met


def peak_growth(run: Callable[[], object]) -> int:
    """How many bytes the resident memory grew at its highest while something ran, sampled every half millisecond."""
    import psutil

    process = psutil.Process()
    gc.collect()
    before = highest = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.is_set():
            highest = max(highest, process.memory_info().rss)
            time.sleep(0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        kept = run()
    finally:
        done.set()
        watcher.join()
    del kept
    return highest - before
