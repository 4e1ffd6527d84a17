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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames
from opsmetrics._clock import Clock
from opsmetrics._frames import Backend, Eager, Ints, Lazy, Use, Values
from opsmetrics._kernels import grouping
from opsmetrics._marks import Marker
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

ROWS_PER_BLOCK = 1 << 20
"""Rows of a frame in memory that are read at a time where each stands for itself: few enough for the scratch, and work for a thread."""

ROWS_IN_CACHE = 1 << 18
"""Rows whose scratch stays in the cache of a core, and that are worth handing to a thread."""

ROWS_TO_SPLIT = 1_000_000
"""Rows from which a frame in memory is worth cutting into parts."""

_SLICES, _MOST_SLICES = 7, 256
"""Parts of a frame that is just worth it, more of a larger one: scratch for the cache, yet not so many that each one's own cost tells."""

_SAMPLE, _STEPS = 8_192, 1 << 14
_KEY, _ROW = "key of the customer", "place in the frame"
_PLACE = "place in the relation"


@dataclass(frozen=True, slots=True)
class Part:
    """The columns of some whole customers. `customers` are the distinct ids; `codes` points into them, -1 where the id is null.

    Columns of keys and labels are codes as well, into their distinct values in `labels`. Of a log, `seen` has the events that were named
    and occur in the chunk that the part was cut from. The rows of a `grouped` part stand by customer already, each customer's in the order
    of the input, or in that of a prepared log.
    """

    rows: int
    codes: Ints
    customers: Values
    columns: Mapping[str, npt.NDArray[Any]]
    labels: Mapping[str, Values] = field(default_factory=dict)
    seen: frozenset[str | int] = frozenset()
    grouped: bool = False

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


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows in memory, with what a marker says of them: the rows that are wanted (all, where None), and columns that no frame has.

    Where the rows have places in the caller's frame they are `placed`.
    """

    frame: Eager
    wanted: Ints | None = None
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    seen: frozenset[str | int] = frozenset()
    placed: bool = False

    def __len__(self) -> int:
        return len(self.frame if self.wanted is None else self.wanted)

    def pick(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The wanted ones among the values of all rows."""
        return values if self.wanted is None else values[self.wanted]


def read(
    argument: str, frame: object, uses: Sequence[Use], *, tz: str | None = None, marker: Marker | None = None, whole: bool = True
) -> Source:
    """Check a frame against its uses; the first use is the customer's. Nothing is computed until the parts are asked for.

    Where customers need not be `whole`, since each row stands for itself, the parts are rows as they come.

    With a marker the parts have the marks of their rows as the column "marks" and, of a frame in memory, their places in it as "row". Rows
    that match nothing are left out as early as can be, unless the marker wants every row.
    """
    native = _frames.wrap(argument, frame)
    schema = _frames.check(native, uses)
    clocks = (_frames.clock_of(schema[u.column], u, tz, _frames.engine(native)) for u in uses if u.role == "time")
    clock = next(clocks, None) or Clock.of("D", None, tz)  # where no use is that of a time, nobody looks at the clock
    columns = dict.fromkeys([*(u.column for u in uses), *([] if marker is None else marker.columns)])
    customer, in_engine = uses[0].column, _frames.engine(native) is not None
    needed = native.select(list(columns)) if in_engine else native

    def parts() -> Parts:
        rows = 0
        wanted = needed if marker is None else marker.pushed_down(needed)
        # The first row of a customer, whose label counts, is the first of the input among those of one time.
        ordered = marker is not None or any(use.role == "label" for use in uses)
        for fetched in _chunks(wanted, customer, ordered=ordered) if whole else _batches(wanted):
            rows += len(fetched)
            if not whole:
                few = len(fetched) <= ROWS_PER_BLOCK
                pieces = [fetched] if few else (fetched[block] for block in _blocks(len(fetched), ROWS_PER_BLOCK))
                yield from (functools.partial(_part, Chunk(piece), uses) for piece in pieces)
                continue
            chunk = Chunk(fetched) if marker is None else _marked(fetched, marker, placed=not in_engine)
            if len(chunk) >= ROWS_TO_SPLIT:
                yield from _slices(chunk, uses)
            elif len(chunk):
                yield functools.partial(_part, chunk, uses)
        if rows == 0:
            _checks.not_empty(argument, _frames.count(needed) if wanted is not needed else 0)

    return Source(_frames.family(native), clock, parts)


def _marked(frame: Eager, marker: Marker, *, placed: bool) -> Chunk:
    """The rows that match something, with their marks."""
    found = _share_out(len(frame), lambda block: _mark_block(frame, marker, block))
    wanted = np.concatenate([rows for rows, _, _ in found])
    marks = np.concatenate([marks for _, marks, _ in found])
    seen = frozenset().union(*(words for _, _, words in found))
    return Chunk(frame, None if len(wanted) == len(frame) else wanted, {"marks": marks}, seen, placed)


def _mark_block(frame: Eager, marker: Marker, block: slice) -> tuple[Ints, npt.NDArray[Any], frozenset[str | int]]:
    """Of some rows: those that are wanted, all marks, and the named events that occur."""
    marks, seen = marker.mark(frame if block == slice(0, len(frame)) else frame[block])
    rows = np.arange(len(marks)) if marker.every else np.flatnonzero(marks != 0)
    rows += block.start
    return rows, marks, seen


def _share_out(size: int, work: Callable[[slice], T]) -> list[T]:
    """Work on the rows; on many, block by block on all cores."""
    if size < ROWS_TO_SPLIT:
        return [work(slice(0, size))]
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, _blocks(size, min(-(-size // threads), ROWS_IN_CACHE))))


def fold(source: Source, partial: Callable[[Part], T]) -> list[T]:
    """`partial` of every part, on as many threads as there are cores: numpy and the hash tables leave the interpreter free.

    No more parts are begun than there are threads, so a stream stays a stream.
    """
    with contextlib.closing(source.parts()) as parts:  # an engine's open result ends with the fold, however that ends
        begun = list(itertools.islice(parts, 2))
        if len(begun) < 2:
            return [partial(part()) for part in begun]
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


def _chunks(frame: Eager | Lazy, customer: str, *, ordered: bool) -> Iterator[Eager]:
    """Eager frames that share no customer; those of a log have the rows of each customer in their order."""
    engine = _frames.engine(frame)
    if engine == "duckdb":
        return _sorted_batches(cast("Lazy", frame), customer, ordered=ordered)
    return _hashed_scans(cast("Lazy", frame), customer) if engine == "polars" else iter((_frames.collect(frame),))


def _batches(frame: Eager | Lazy) -> Iterator[Eager]:
    """Eager frames of rows as they come."""
    if _frames.engine(frame) != "duckdb":
        yield _frames.collect(frame)
        return
    import pyarrow as pa

    for batch in cast("duckdb.DuckDBPyRelation", frame.to_native()).to_arrow_reader(ROWS_PER_BATCH):
        yield _frames.in_memory(pa.Table.from_batches([batch]))


def _blocks(rows: int, most: int) -> Iterator[slice]:
    """Blocks of so many rows at most."""
    return (slice(begin, min(begin + most, rows)) for begin in range(0, rows, most))


def _sorted_batches(frame: Lazy, customer: str, *, ordered: bool) -> Iterator[Eager]:
    """A relation, sorted by customer in the engine (which spills to disk as it must) and fetched in batches.

    The rows of a batch's last customer wait for the next batch, which may hold more of them.
    """
    import pyarrow as pa

    relation = cast("duckdb.DuckDBPyRelation", frame.to_native())
    name = '"' + customer.replace('"', '""') + '"'
    # By the bytes of a text, not by its collation, under which different customers may interleave.
    key = f"encode({name})" if _frames.is_text(frame, customer) else name
    if ordered:  # the engine's sort does not keep the rows of a customer in their order
        place = next(free for free in (_PLACE + "_" * size for size in itertools.count()) if free not in map(str.lower, relation.columns))
        relation = relation.project(f'*, row_number() over () as "{place}"').order(f'{key}, "{place}"').project(f'* exclude ("{place}")')
    else:
        relation = relation.order(key)
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


def _slices(chunk: Chunk, uses: Sequence[Use]) -> Iterator[Callable[[], Part]]:
    """Parts of a large frame in memory, each a range of customers: scratch that fits the cache, and work for every core.

    Blocks of rows are dealt out to the parts while they are in the cache, and the rows of a part are brought together by customer. Of whole
    numbers the customers come in order, and so do the parts, which leaves nothing to sort at the end.
    """
    customer = chunk.frame.get_column(uses[0].column)
    dense = None if _frames.are_whole(customer) else _encode(chunk, uses[0])
    ids = customer.to_numpy() if dense is None else dense[0]
    values, labels = _columns(chunk, uses)
    rows_type = np.min_scalar_type(len(chunk.frame))
    selected = chunk.wanted is not None  # of whole frames only places are dealt out: copies of all columns are memory

    def keys_of(block: slice) -> npt.NDArray[Any]:
        return ids[block] if chunk.wanted is None or dense is not None else ids.take(chunk.wanted[block])

    def deal(block: slice) -> tuple[Ints, dict[str, npt.NDArray[Any]]]:
        keys, rows = keys_of(block), np.arange(block.start, block.stop) if chunk.wanted is None else chunk.wanted[block]
        columns = {_ROW: rows.astype(rows_type)}
        if selected:
            columns |= {_KEY: keys} | {name: column.take(rows) for name, column in values.items()}
        place = slice_of(keys)
        order = np.argsort(place, kind="stable")
        begins = np.searchsorted(place.take(order), np.arange(slices + 1))
        return begins, {name: column.take(order) for name, column in columns.items()}

    slices = min(len(chunk) * _SLICES // ROWS_TO_SPLIT, _MOST_SLICES)
    slice_of = _dealer(keys_of(slice(0, len(chunk), max(1, len(chunk) // _SAMPLE))), slices)
    dealt = _share_out(len(chunk), deal)

    def read_slice(number: int) -> Part:
        hands = [(columns, slice(begins[number], begins[number + 1])) for begins, columns in dealt]
        own = {name: np.concatenate([columns[name][rows] for columns, rows in hands]) for name in dealt[0][1]}
        rows = own.pop(_ROW)
        if not selected:  # clipping places that need none is quicker than refusing those that are out of bounds
            places = rows.astype(np.intp)
            own = {name: column.take(places, mode="clip") for name, column in {_KEY: ids, **values}.items()}
        order, codes, distinct = grouping.together(own.pop(_KEY))
        columns = {name: column.take(order) for name, column in own.items()}
        if chunk.placed:
            columns["row"] = rows.take(order)
        if dense is None:
            people = _frames.like(customer, distinct)
        else:
            known = distinct >= 0  # the rows without a customer come first
            codes, people = codes - int(not known.all()), _frames.take(dense[1], distinct[known])
        return Part(len(rows), codes, people, columns, labels, chunk.seen, grouped=True)

    for number in np.flatnonzero(sum(np.diff(begins) for begins, _ in dealt)):
        yield functools.partial(read_slice, int(number))


def _dealer(sample: npt.NDArray[Any], slices: int) -> Callable[[npt.NDArray[Any]], npt.NDArray[np.uint8]]:
    """Which of some ranges of about as many rows each a key is in, told from a sample of the keys.

    A table over even steps of the keys' range knows; where the keys crowd in few of the steps, they are compared with the cuts.
    """
    low, high = float(sample.min()), float(sample.max())
    per_key = _STEPS / (high - low + 1)

    def steps(keys: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
        step = keys.astype(np.float64)
        step -= low
        step *= per_key
        return np.clip(step, 0, _STEPS - 1, out=step).astype(np.uint16)

    counts = np.bincount(steps(sample), minlength=_STEPS)
    table = np.minimum((np.cumsum(counts) - counts) * slices // len(sample), slices - 1)  # beyond the sample it is the last
    if np.bincount(table, counts).max() <= 2 * len(sample) / slices:
        numbers = table.astype(np.uint8)
        return lambda keys: numbers.take(steps(keys))
    cuts = np.unique(np.sort(sample)[np.arange(1, slices) * len(sample) // slices])
    return lambda keys: np.searchsorted(cuts, keys, side="right").astype(np.uint8)


def _part(chunk: Chunk, uses: Sequence[Use]) -> Part:
    codes, customers = _encode(chunk, uses[0])
    values, labels = _columns(chunk, uses)
    columns = {name: chunk.pick(column) for name, column in values.items()}
    if chunk.placed:
        columns["row"] = np.arange(len(chunk)) if chunk.wanted is None else chunk.wanted
    return Part(len(chunk), codes, customers, columns, labels, chunk.seen)


def _encode(chunk: Chunk, use: Use) -> tuple[Ints, Values]:
    """The customers of the rows that are wanted, as codes."""
    series = chunk.frame.get_column(use.column)
    return _frames.encode(series if chunk.wanted is None else _frames.take(series, chunk.wanted), use)


def _columns(chunk: Chunk, uses: Sequence[Use]) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Values]]:
    """The numbers of all rows in all columns but the customer's, and the distinct values of those that are labels."""
    values, labels = dict(chunk.columns), {}
    for use in uses[1:]:
        if use.role == "label":
            values[use.argument], labels[use.argument] = _frames.encode(chunk.frame.get_column(use.column), use)
        else:
            values[use.argument] = _frames.values_in(chunk.frame, use)
    return values, labels
