"""A slow reference of the funnel: one customer at a time, in plain loops, written from the semantics in words.

It shares nothing with the library. Steps are numbered from 1. A gap is numbered by the required step it begins at: gap g lies between
the g-th required step and the next required one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Row:
    """One row of the log: the steps it matches, and the gaps in which it counts as an exclusion (of any order: any gap at all)."""

    key: Hashable
    time: int
    steps: frozenset[int]
    excludes: frozenset[int]
    number: int


@dataclass(frozen=True)
class Rules:
    """All options of a funnel, in the unit of the rows' time."""

    steps: int
    optional: frozenset[int] = frozenset()
    window: int | None = None
    step_window: Sequence[int | None] | None = None  # one for each step after the first
    min_gap: Sequence[int | None] | None = None
    order: str = "ordered"
    ties: str = "favorable"
    entry: str = "best"
    count: str = "unique"
    exclusion: str = "end"
    entries_between: tuple[int, int] | None = None

    @property
    def required(self) -> list[int]:
        return [step for step in range(1, self.steps + 1) if step not in self.optional]


class Event(NamedTuple):
    """One row of the log as a caller has it: its key (None: null), its time (None: null), and its other columns."""

    key: Hashable
    time: int | None
    columns: Mapping[str, Any]


def matches(step: Any, event: Event) -> bool:
    """Whether an event is the step: a name, a list of names, or a dict with "event" and "where"."""
    if not isinstance(step, Mapping):
        step = {"event": step}
    wanted = dict(step.get("where", {}))
    if "event" in step:
        wanted["event"] = step["event"]
    return all(event.columns.get(name) in (value if isinstance(value, list) else [value]) for name, value in wanted.items())


def read(events: Sequence[Event], steps: Sequence[Any], exclude: Sequence[Mapping[str, Any]], rules: Rules) -> list[Row]:
    """Rows of events; those without a key or a time are left out. Exclusions name steps by number."""
    required = rules.required
    rows = []
    for number, event in enumerate(events):
        if event.key is None or event.time is None:
            continue
        gaps = set()
        for exclusion in exclude:
            after, before = exclusion.get("after", required[0]), exclusion.get("before", required[-1])
            if matches(exclusion, event):
                gaps |= {g for g in range(1, len(required)) if after <= required[g - 1] and required[g] <= before}
        matched = frozenset(k for k, step in enumerate(steps, start=1) if matches(step, event))
        rows.append(Row(event.key, event.time, matched, frozenset(gaps), number))
    return rows


class Path(NamedTuple):
    """What one attempt filled: the number of the last step filled, and for each step its row's number and time (None: not filled)."""

    level: int
    rows: list[int | None]
    times: list[int | None]
    complete: bool


class Attempt(NamedTuple):
    """Positions in a customer's ordered rows: of the required steps reached (any order: of the levels), and of the optional steps."""

    chain: list[int]
    extra: dict[int, int]


def paths(rows: Iterable[Row], rules: Rules) -> dict[Hashable, list[Path]]:
    """The counted paths of each key that opened an attempt; a removed key has none."""
    by_key: dict[Hashable, list[Row]] = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row)
    found = {}
    for key, own in by_key.items():
        customer = Customer(own, rules)
        if customer.entries:
            found[key] = [customer.path(attempt) for attempt in customer.counted()]
    return found


def counts(found: dict[Hashable, list[Path]], rules: Rules) -> list[int]:
    """Paths that filled each step."""
    return [sum(path.rows[k] is not None for own in found.values() for path in own) for k in range(rules.steps)]


def tied(found: dict[Hashable, list[Path]], rules: Rules) -> list[int]:
    """Paths whose row of a step has the time of the filled step before it."""
    totals = [0] * rules.steps
    for path in (path for own in found.values() for path in own):
        filled = [k for k in range(rules.steps) if path.times[k] is not None]
        for before, k in pairwise(filled):
            totals[k] += path.times[k] == path.times[before]
    return totals


def immature(path: Path, rules: Rules, last_time: int) -> bool:
    """Whether the path may still convert after the end of the data."""
    return rules.window is not None and not path.complete and path.times[0] + rules.window > last_time


class Customer:
    """The rows of one customer in the total order, and the attempts among them."""

    def __init__(self, rows: list[Row], rules: Rules) -> None:
        self.rules = rules
        self.rows = sorted(rows, key=lambda row: (row.time, min(row.steps, default=rules.steps + 1), row.number))
        self.entries = [at for at, row in enumerate(self.rows) if self.opens(row)]

    def opens(self, row: Row) -> bool:
        if self.rules.entries_between is not None:
            start, end = self.rules.entries_between
            if not start <= row.time <= end:
                return False
        return bool(row.steps) if self.rules.order == "any" else 1 in row.steps

    # ------------------------------------------------------------------------------------------------------ one attempt

    def attempt(self, entry: int) -> Attempt:
        if self.rules.order == "any":
            return Attempt(self.fillings(entry), {})
        if self.rules.step_window is None and self.rules.min_gap is None:
            chain = self.first_rows(entry)
        else:
            chain = self.best_chain(entry)
        return Attempt(chain, self.optional_rows(chain))

    def inside(self, entry: int, at: int) -> bool:
        return self.rules.window is None or self.rows[at].time - self.rows[entry].time <= self.rules.window

    def later(self, before: int, after: int) -> bool:
        """Whether one position comes after another, as the ties rule wants it."""
        if self.rules.ties == "strict" and self.rows[after].time <= self.rows[before].time:
            return False
        return after > before

    def is_exclusion(self, at: int, gap: int) -> bool:
        return gap in self.rows[at].excludes

    def breaks(self, at: int, gap: int) -> bool:
        """Whether a row is foreign to a gap in strict order.

        The gap's own steps are the required step it begins at, the optional steps that follow, and the next required step. After the
        last required step the gap has no end, and only trailing optional steps can lie in it.
        """
        if self.rules.order != "strict":
            return False
        required = self.rules.required
        last = required[gap] if gap < len(required) else self.rules.steps
        return not any(step in self.rows[at].steps for step in range(required[gap - 1], last + 1))

    def ends(self, at: int, gap: int) -> bool:
        """Whether a row inside a gap ends the attempt."""
        return self.breaks(at, gap) or (self.rules.exclusion == "end" and self.is_exclusion(at, gap))

    def is_open(self, before: int, after: int, gap: int) -> bool:
        """Whether nothing strictly between two positions ends the attempt."""
        return not any(self.ends(at, gap) for at in range(before + 1, after))

    def first_rows(self, entry: int) -> list[int]:
        """Each required step in turn takes the first later row that matches it; where that row is of no use, the attempt stays."""
        chain = [entry]
        for gap, step in enumerate(self.rules.required[1:], start=1):
            matches = [at for at, row in enumerate(self.rows) if step in row.steps and self.later(chain[-1], at)]
            if not matches or not self.inside(entry, matches[0]) or not self.is_open(chain[-1], matches[0], gap):
                break
            chain.append(matches[0])
        return chain

    def all_chains(self, chain: list[int]) -> Iterator[list[int]]:
        """The chain and every chain that continues it."""
        yield chain
        gap = len(chain)
        if gap == len(self.rules.required):
            return
        step = self.rules.required[gap]
        longest = self.rules.step_window and self.rules.step_window[step - 2]
        shortest = self.rules.min_gap and self.rules.min_gap[step - 2]
        for at, row in enumerate(self.rows):
            waited = row.time - self.rows[chain[-1]].time
            if (
                step in row.steps
                and self.later(chain[-1], at)
                and self.inside(chain[0], at)
                and self.is_open(chain[-1], at, gap)
                and (longest is None or waited <= longest)
                and (shortest is None or waited >= shortest)
            ):
                yield from self.all_chains([*chain, at])

    def best_chain(self, entry: int) -> list[int]:
        """Of all chains the deepest; of these the one that completes first; of these the one that is first at each step in turn."""
        return min(self.all_chains([entry]), key=lambda chain: (-len(chain), chain[-1], chain))

    def optional_rows(self, chain: list[int]) -> dict[int, int]:
        """Optional steps between the required rows, and those directly after the last of them."""
        found = {}
        for gap, start in enumerate(chain, start=1):
            first = self.rules.required[gap - 1]
            last = self.rules.required[gap] if gap < len(self.rules.required) else self.rules.steps + 1
            before = start
            for step in range(first + 1, last):
                for at in range(before + 1, len(self.rows)):
                    if gap < len(chain):
                        fits = self.later(at, chain[gap])
                    else:
                        fits = self.inside(chain[0], at) and self.is_open(start, at + 1, gap)
                    if fits and step in self.rows[at].steps and self.later(before, at):
                        found[step] = before = at
                        break
        return found

    # --------------------------------------------------------------------------------------------------------- any order

    def fillings(self, entry: int) -> list[int]:
        """For k = 1, 2, ...: the first position by which k steps can be filled by distinct rows."""
        usable: list[int] = []
        chain: list[int] = []
        for at in range(entry, len(self.rows)):
            # The row that opens the attempt does not end it, whatever else it is.
            ended = at > entry and self.rules.exclusion == "end" and bool(self.rows[at].excludes)
            if ended or not self.inside(entry, at):
                break
            usable.append(at)
            if self.most_filled(usable, set()) > len(chain):
                chain.append(at)
        return chain

    def most_filled(self, usable: list[int], taken: set[int]) -> int:
        """The most steps that distinct rows can fill, one row one step: every assignment is tried."""
        if not usable or len(taken) == self.rules.steps:
            return 0
        first, rest = usable[0], usable[1:]
        free = self.rows[first].steps - taken
        return max([self.most_filled(rest, taken), *(1 + self.most_filled(rest, taken | {step}) for step in free)])

    # ------------------------------------------------------------------------------------------------- which attempts count

    def depth(self) -> int:
        """How many rows of a chain complete it."""
        return self.rules.steps if self.rules.order == "any" else len(self.rules.required)

    def is_dirty(self, attempt: Attempt) -> bool:
        """Whether an exclusion row lies between required rows, or in the gap in which the attempt stopped.

        Optional steps have no part in it: a gap reaches from one required row to the next, whatever was filled between.
        """
        chain = attempt.chain
        for gap, (before, after) in enumerate(pairwise(chain), start=1):
            if any(self.excludes(at, gap) for at in range(before + 1, after)):
                return True
        if len(chain) == self.depth():
            return False
        after = range(chain[-1] + 1, len(self.rows))
        return any(self.excludes(at, len(chain)) and self.inside(chain[0], at) for at in after)

    def excludes(self, at: int, gap: int) -> bool:
        return bool(self.rows[at].excludes) if self.rules.order == "any" else self.is_exclusion(at, gap)

    def counted(self) -> list[Attempt]:
        if self.rules.count == "totals":
            return self.one_after_another()
        attempts = [self.attempt(entry) for entry in (self.entries[:1] if self.rules.entry == "first" else self.entries)]
        remove = self.rules.exclusion == "remove"

        def preference(attempt: Attempt) -> tuple[int, ...]:
            # The depth of an attempt is that of its required steps: what is optional cannot make one attempt better than another.
            chain = attempt.chain
            dirty = remove and self.is_dirty(attempt)
            last = (chain[-1], -chain[0]) if self.rules.entry == "latest" else (chain[0],)
            return (-len(chain), dirty, *last)

        chosen = min(attempts, key=preference)
        return [] if remove and self.is_dirty(chosen) else [chosen]

    def one_after_another(self) -> list[Attempt]:
        """Totals: the next attempt opens where the one before it is over."""
        taken: list[Attempt] = []
        for entry in self.entries:
            if not taken or self.is_over(taken[-1], entry):
                taken.append(self.attempt(entry))
        return taken

    def is_over(self, attempt: Attempt, entry: int) -> bool:
        """Whether an attempt is over at a later entry."""
        chain = attempt.chain
        if len(chain) == self.depth():
            return entry > max([*chain, *attempt.extra.values()])
        for at in range(chain[-1] + 1, len(self.rows)):
            ended = bool(self.rows[at].excludes) if self.rules.order == "any" else self.ends(at, len(chain))
            if ended and self.inside(chain[0], at):
                return entry >= at
        return not self.inside(chain[0], entry)

    # ------------------------------------------------------------------------------------------------------------ answers

    def path(self, attempt: Attempt) -> Path:
        steps = range(1, self.rules.steps + 1)
        names = steps if self.rules.order == "any" else self.rules.required
        filled = dict(zip(names, attempt.chain, strict=False)) | attempt.extra
        return Path(
            level=max(filled),
            rows=[self.rows[filled[step]].number if step in filled else None for step in steps],
            times=[self.rows[filled[step]].time if step in filled else None for step in steps],
            complete=len(attempt.chain) == self.depth(),
        )
