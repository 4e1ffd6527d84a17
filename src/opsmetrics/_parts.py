"""Reading a frame in parts of whole customers, and folding the parts on every core.

A frame in memory is one part, or a few where it is large. A DuckDB relation or a polars scan is a stream of parts, so that it never has to
fit in memory. Since no customer is in two parts, what is folded from the parts is put side by side.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames
from opsmetrics._clock import Clock
from opsmetrics._frames import Backend, Eager, Ints, Lazy, Use, Values
from opsmetrics._kernels import grouping
from opsmetrics.errors import DataError

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    import pyarrow as pa

T = TypeVar("T")

ROWS_PER_PART = 4_000_000
"""Rows of a polars scan that are collected at a time."""

ROWS_PER_BATCH = 500_000
"""Rows of a DuckDB relation that are fetched at a time."""

ROWS_TO_SPLIT = 1_000_000
"""Rows from which a frame in memory is worth cutting into parts."""

_SLICES, _SAMPLE = 8, 4_096


@dataclass(frozen=True, slots=True)
class Part:
    """The columns of some whole customers. `customers` are the distinct ids; `codes` points into them, -1 where the id is null."""

    rows: int
    codes: Ints
    customers: Values
    columns: Mapping[str, npt.NDArray[Any]]

    def __getitem__(self, argument: str) -> npt.NDArray[Any]:
        """The numbers of the column that the caller named for an argument."""
        return self.columns[argument]


Parts: TypeAlias = "Generator[Callable[[], Part], None, None]"


@dataclass(frozen=True, slots=True)
class Source:
    """A checked frame: what kind its results will have, how its clock runs, and its parts, each to be read by a call."""

    backend: Backend
    clock: Clock
    parts: Callable[[], Parts]


def read(argument: str, frame: object, uses: Sequence[Use], *, tz: str | None = None) -> Source:
    """Check a frame against its uses; the first use is the customer's. Nothing is computed until the parts are asked for."""
    native = _frames.wrap(argument, frame)
    schema = _frames.check(native, uses)
    clock = next(_frames.clock_of(schema[u.column], u, tz, _frames.engine(native)) for u in uses if u.role == "time")
    needed = native.select([u.column for u in uses])
    customer = uses[0].column

    def parts() -> Parts:
        rows = 0
        for chunk in _chunks(needed, customer):
            rows += len(chunk)
            if len(chunk) >= ROWS_TO_SPLIT and _splits(chunk[customer]):
                yield from _slices(chunk, uses)
            elif len(chunk):
                yield functools.partial(_part, chunk, uses)
        _checks.not_empty(argument, rows)

    return Source(_frames.family(native), clock, parts)


def fold(source: Source, partial: Callable[[Part], T]) -> list[T]:
    """`partial` of every part, on as many threads as there are cores: numpy and the hash tables leave the interpreter free.

    No more parts are begun than there are threads, so a stream stays a stream.
    """
    with contextlib.closing(source.parts()) as parts:  # an engine's open result ends with the fold, however that ends
        begun = list(itertools.islice(parts, 2))
        if len(begun) == 1:
            return [partial(begun[0]())]
        done: list[T] = []
        waiting: deque[Future[T]] = deque()
        threads = os.cpu_count() or 1
        with ThreadPoolExecutor(threads) as pool:
            for part in itertools.chain(begun, parts):
                if len(waiting) > threads:
                    done.append(waiting.popleft().result())
                waiting.append(pool.submit(_fold_one, partial, part))
            return done + [future.result() for future in waiting]


def _fold_one(partial: Callable[[Part], T], part: Callable[[], Part]) -> T:
    return partial(part())


# ------------------------------------------------------------------------------------------------- whole customers


def _chunks(frame: Eager | Lazy, customer: str) -> Iterator[Eager]:
    """Eager frames that share no customer."""
    streams = {"duckdb": _sorted_batches, "polars": _hashed_scans}
    if (stream := streams.get(_frames.engine(frame) or "")) is not None:
        return stream(cast("Lazy", frame), customer)
    return iter((_frames.collect(frame),))


def _sorted_batches(frame: Lazy, customer: str) -> Iterator[Eager]:
    """A relation, sorted by customer in the engine (which spills to disk as it must) and fetched in batches.

    The rows of a batch's last customer wait for the next batch, which may hold more of them.
    """
    import pyarrow as pa

    relation = cast("duckdb.DuckDBPyRelation", frame.to_native())
    name = '"' + customer.replace('"', '""') + '"'
    # By the bytes of a text, not by its collation, under which different customers may interleave.
    relation = relation.order(f"encode({name})" if _frames.is_text(frame, customer) else name)
    waiting: pa.Table | None = None
    for batch in relation.to_arrow_reader(ROWS_PER_BATCH):
        fetched = pa.Table.from_batches([batch])
        table = fetched if waiting is None else pa.concat_tables([waiting, fetched])
        begin = _last_run(table.column(customer))
        waiting = table.slice(begin)
        if begin:
            yield _frames.in_memory(table.slice(0, begin))
    if waiting is not None:
        yield _frames.in_memory(waiting)


def _last_run(values: pa.ChunkedArray) -> int:
    """Where the run of the last value of a sorted column begins."""
    import pyarrow.compute as pc

    if len(values) == 0:
        return 0
    last = values[len(values) - 1]
    nothing = not last.is_valid or last.as_py() != last.as_py()
    same = pc.is_null(values, nan_is_null=True) if nothing else pc.equal(values, last)
    return int(pc.index(same, True).as_py())


def _hashed_scans(frame: Lazy, customer: str) -> Iterator[Eager]:
    """A scan, read once per part by the streaming engine; a part holds the customers whose hash falls to it."""
    import polars as pl

    scan = cast("pl.LazyFrame", frame.to_native())
    rows = int(scan.select(pl.len()).collect(engine="streaming").item())
    count = max(1, math.ceil(rows / ROWS_PER_PART))
    seen = 0
    for part in range(count):
        kept = scan if count == 1 else scan.filter(pl.col(customer).hash(seed=0) % count == part)
        chunk = kept.collect(engine="streaming")
        seen += len(chunk)
        yield _frames.in_memory(chunk)
    if seen != rows:
        raise DataError(
            f"the scan gave {rows:,} rows when counted and {seen:,} when read; collect() it first, so that every look sees the same rows.",
            code="data.unstable",
        )


def _splits(customer: Values) -> bool:
    """Whether customers can be told apart by a number at once; text is encoded first, and then the work is done."""
    return customer.dtype.is_integer() and customer.null_count() == 0


def _slices(chunk: Eager, uses: Sequence[Use]) -> Iterator[Callable[[], Part]]:
    """Parts of a large frame in memory, each a range of customers: hash tables that fit the cache, and work for every core.

    The customers of a part come in order, and so do the parts, which leaves nothing to sort at the end.
    """
    customer = chunk[uses[0].column]
    keys = customer.to_numpy()
    values = {u.argument: _frames.values_of(chunk[u.column], u) for u in uses[1:]}
    sample = np.sort(keys[:: max(1, len(keys) // _SAMPLE)])
    cuts = np.unique(sample[np.arange(1, _SLICES) * len(sample) // _SLICES])

    place = np.zeros(len(keys), dtype=np.uint8)
    for block in grouping.blocks(len(keys)):
        for cut in cuts:
            place[block] += keys[block] >= cut

    def read_slice(number: int) -> Part:
        rows = np.flatnonzero(place == number)
        codes, distinct = _frames.factorize(keys[rows])
        order = np.argsort(distinct)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        columns = {name: column[rows] for name, column in values.items()}
        return Part(len(rows), rank[codes], _frames.like(customer, distinct[order]), columns)

    for number in range(len(cuts) + 1):
        yield functools.partial(read_slice, number)


def _part(chunk: Eager, uses: Sequence[Use]) -> Part:
    codes, customers = _frames.encode(chunk[uses[0].column], uses[0])
    values = {u.argument: _frames.values_of(chunk[u.column], u) for u in uses[1:]}
    return Part(len(chunk), codes, customers, values)
