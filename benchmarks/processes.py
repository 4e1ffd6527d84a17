"""Fresh processes, in which BLAS has one thread: what ran before counts neither in their memory nor in their times."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def alone(ask: Callable[..., Any], *args: Any) -> Any:
    """The answer of a function that runs in a process of its own; what it prints and raises comes here."""
    with _pool(1) as pool:
        return pool.submit(ask, *args).result()


def side_by_side(ask: Callable[[Any], Any], tasks: Iterable[Any]) -> list[Any]:
    """The answer to each task, in order, from as many processes as there are cores."""
    with _pool(os.cpu_count() or 1) as pool:
        return list(pool.map(ask, tasks))


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that begin when the first task is handed over. How many threads there are, BLAS asks the environment as it is loaded."""
    before = {name: os.environ.get(name) for name in BLAS_THREADS}
    sys.stdout.flush()
    os.environ.update(dict.fromkeys(BLAS_THREADS, "1"))
    try:
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def release() -> None:
    """Give memory that was freed back to the system (where there is glibc), so that its growth afterwards tells all that is needed."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


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


def growth_over_columns(run: Callable[[Any], object], frame: Any) -> float:
    """How much the resident memory grew at its highest while a frame of pandas was worked on, over the size of the frame's columns."""
    run(frame.head(1_000))  # imports are not the call's memory
    return peak_growth(lambda: run(frame)) / sum(frame[name].nbytes for name in frame)
