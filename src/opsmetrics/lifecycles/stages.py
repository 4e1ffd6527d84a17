"""Stages: a shop's own rules of where a customer stands, exclusive and exhaustive."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

import numpy as np

from opsmetrics import _checks, _frames, customers
from opsmetrics._frames import Ints, Use
from opsmetrics._results import Result, table_of
from opsmetrics.customers import MissingCustomer
from opsmetrics.errors import DataError, ParameterError
from opsmetrics.lifecycles import conditions
from opsmetrics.lifecycles.conditions import Bools, Condition, Given
from opsmetrics.lifecycles.staged import ALSO, AS_OF, STAGE, Staged, StageHistory, history, staged

if TYPE_CHECKING:
    from opsmetrics.lifecycles.models import StageModel

FrameT = TypeVar("FrameT")


@dataclass(frozen=True, init=False)
class Stage:
    """A named stage and the rules that put a customer in it (also known as: 生命周期阶段).

    Parameters
    ----------
    name : str
        The name, in any language.
    *rules : mapping
        A rule maps columns to conditions that must all hold; the stage holds where any of its rules does, and without rules always. A
        condition is a value (``"ads"``), a list of values (``["ads", "web"]``), or a pair of the lowest and the highest number, or of
        the first and the last date, both included, None where an end is open (``(2, 3)``, ``(None, date(2026, 1, 31))``). A missing value
        holds no condition.

    Raises
    ------
    ParameterError
        A name that is no text; a rule or condition that says nothing or that nobody can hold.
    ColumnError
        A column whose name is no text.

    References
    ----------
    The stages of the customer life cycle, 引入期, 成长期, 成熟期, 休眠期 and 流失期, as Chinese operations teams define them by rules.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.Stage("growth", {"orders": (2, 3), "recency": (None, 89)})
    Stage('growth', {'orders': (2, 3), 'recency': (None, 89)})
    """

    name: str
    rules: tuple[Mapping[str, Condition], ...]

    def __init__(self, name: str, *rules: Mapping[str, Given]) -> None:
        object.__setattr__(self, "name", _checks.word("name", name))
        object.__setattr__(self, "rules", tuple(conditions.read(name, rule) for rule in rules))

    def __repr__(self) -> str:
        spoken = (str({column: conditions.spoken(condition) for column, condition in rule.items()}) for rule in self.rules)
        return f"Stage({', '.join([repr(self.name), *spoken])})"


@dataclass(frozen=True, init=False, repr=False)
class Stages:
    """Stages in order: the first that holds is a customer's stage (also known as: 生命周期分层规则).

    Parameters
    ----------
    stages : sequence of Stage
        In the order in which they are tried.
    default : str, optional
        The stage of customers whom no other holds. Without it there must be none.

    Raises
    ------
    ParameterError
        No stages; a name twice; a stage that can never be given, because an earlier one holds all its customers.

    References
    ----------
    A decision list: Rivest, R. L. (1987), Learning decision lists, Machine Learning 2, 229-246.

    Examples
    --------
    >>> import pandas as pd, opsmetrics as om
    >>> stages = om.Stages([om.Stage("churned", {"recency": (180, None)}), om.Stage("new", {"orders": 1})], default="loyal")
    >>> summary = pd.DataFrame({"uid": ["ann", "bo", "cy"], "recency": [3, 200, 20], "orders": [1, 1, 4]})
    >>> stages.assign(summary).table["stage"].tolist()
    ['new', 'churned', 'loyal']
    """

    stages: tuple[Stage, ...]
    default_stage: str | None

    def __init__(self, stages: Sequence[Stage], *, default: str | None = None) -> None:
        given = _checks.listed("stages", stages)
        if not given or not all(isinstance(stage, Stage) for stage in given):
            raise ParameterError(f"stages={given!r} must be a list of om.Stage, at least one.", code="parameter.stages")
        names = [stage.name for stage in given] + ([] if default is None else [_checks.word("default", default)])
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ParameterError(f"stages repeats the name {repeated[0]!r}; write its rules in one Stage.", code="parameter.stages")
        object.__setattr__(self, "stages", tuple(given))
        object.__setattr__(self, "default_stage", default)
        self._demand_reachable()

    def __repr__(self) -> str:
        rest = "" if self.default_stage is None else f", default={self.default_stage!r}"
        return f"{type(self).__name__}([{', '.join(map(repr, self.stages))}]{rest})"

    def _demand_reachable(self) -> None:
        """Each rule list leaves something to the stages after it."""
        for place, stage in enumerate(self.stages):
            if blocks := _blocking(self.stages[:place], stage):
                come = "comes first and holds" if len(blocks) == 1 else "come first and together hold"
                fix = "swap the two" if len(blocks) == 1 else "move it up"
                raise ParameterError(
                    f"stages: {stage.name!r} can never be given, for {' and '.join(map(repr, blocks))} {come} all its customers; {fix}.",
                    code="parameter.stages",
                )
        all_of = next((stage.name for stage in self.stages if not stage.rules), None)
        if self.default_stage is not None and all_of is not None:
            raise ParameterError(
                f"default={self.default_stage!r} can never be given, for {all_of!r} has no rules and holds everybody; leave one out.",
                code="parameter.default",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the stages in order, the default last."""
        return (*(stage.name for stage in self.stages), *([] if self.default_stage is None else [self.default_stage]))

    @staticmethod
    def default(*, labels: Literal["zh", "en"] | Mapping[str, str] = "en") -> StageModel:
        """The five stages of the life cycle, whose limits are fitted to a shop's own orders (also known as: 引入/成长/成熟/休眠/流失).

        Parameters
        ----------
        labels : str or mapping
            The language of the names, "en" or "zh", or a name for each English one.

        Returns
        -------
        StageModel
            To be fitted: its ``fit`` finds after how many days of silence a customer is dormant or churned.

        Raises
        ------
        ParameterError
            Unknown labels; a mapping that leaves some out.

        References
        ----------
        See `StageModel`.

        Examples
        --------
        >>> import opsmetrics as om
        >>> om.Stages.default(labels="zh").names
        ('流失', '休眠', '引入', '成长', '成熟')
        """
        from opsmetrics.lifecycles.models import StageModel

        return StageModel(labels=labels)

    # ----------------------------------------------------------------------------------------------------------- assign

    @overload
    def assign(self, summary: Result[FrameT], *, customer: str | None = None) -> Staged[FrameT]: ...
    @overload
    def assign(self, summary: FrameT, *, customer: str | None = None) -> Staged[FrameT]: ...
    def assign(self, summary: Any, *, customer: str | None = None) -> Staged[Any]:
        """Put each customer in a stage (also known as: 阶段划分).

        Parameters
        ----------
        summary : CustomerSummary, RFM or frame
            One row per customer, with the columns that the rules look at. A customer summary has ``recency`` and ``tenure`` (days),
            ``orders``, ``revenue`` and more; join any other column to its table.
        customer : str, optional
            The column of the customer, which a summary knows already; rates by stage and moves need it.

        Returns
        -------
        Staged
            The table with the column ``stage``, counts of customers per stage, and who holds the rules of several.

        Raises
        ------
        ColumnError
            A column of the rules that is missing or of another type.
        DataError
            No rows; customers whom no stage holds, without a default.
        ParameterError
            A value of another type than its column.

        References
        ----------
        See `Stages`.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=200, rng=1)
        >>> summary = om.customer_summary(orders, customer="customer", time="time", amount="amount", as_of="2025-12-31")
        >>> stages = om.Stages([om.Stage("silent", {"recency": (91, None)}), om.Stage("one order", {"orders": 1})], default="more")
        >>> stages.assign(summary).stages[["stage", "customers"]].to_numpy().tolist()
        [['silent', 153], ['one order', 0], ['more', 47]]
        """
        frame = _frames.collect(_frames.wrap("summary", table_of(summary)))
        _checks.not_empty("summary", len(frame))
        known = customer if customer is not None or not isinstance(summary, Result) else getattr(summary, "customer", None)
        if known is not None:
            _checks.free("customer", known, (STAGE, ALSO))
            _frames.check(frame, [Use("customer", known, "key")])
        held = self._held(frame)
        return staged(self.names, frame, self._place(held, frame), held, summary, known)

    def _held(self, frame: _frames.Eager) -> Bools:
        """Whom each stage's own rules hold: stages by customers."""
        self._demand_columns(frame)
        return np.stack([conditions.holding(frame, stage.rules) for stage in self.stages])

    def _demand_columns(self, frame: _frames.Eager) -> None:
        names = list(frame.columns)
        for column in dict.fromkeys(column for stage in self.stages for rule in stage.rules for column in rule):
            if column not in names:
                _frames.check(frame, [Use("rules", column, "number")])

    def _place(self, held: Bools, frame: _frames.Eager) -> Ints:
        """The place of each customer's stage among the names."""
        nobody = np.asarray(~held.any(axis=0), dtype=np.bool_)
        if self.default_stage is None and nobody.any():
            columns = dict.fromkeys(column for stage in self.stages for rule in stage.rules for column in rule)
            row = int(np.flatnonzero(nobody)[0])
            example = ", ".join(f"{column}={_frames.take(frame[column], np.array([row])).to_list()[0]!r}" for column in columns)
            raise DataError(
                f"stages holds nobody among {int(nobody.sum()):,} of {len(nobody):,} customers, such as one with {example}; widen a rule, "
                "or give default='others'.",
                code="data.unstaged",
            )
        return np.where(nobody, len(self.stages), np.argmax(held, axis=0))

    def assign_at(
        self,
        orders: FrameT,
        dates: Sequence[str | dt.date | dt.datetime | np.datetime64],
        *,
        customer: str,
        time: str,
        amount: str,
        order_id: str | None = None,
        tz: str | None = None,
        missing_customer: MissingCustomer = "error",
    ) -> StageHistory[FrameT]:
        """Put each customer in a stage at several dates, with one pass over the orders (also known as: 多期阶段划分).

        The same as `customer_summary` and `assign` at each date; rules look at the columns of that summary.

        Parameters
        ----------
        orders : frame
            One row per order, or per order line with `order_id`, as `customer_summary` takes them.
        dates : sequence of str, date, datetime or datetime64
            The dates, each read as an ``as_of``; increasing.
        customer, time, amount : str
            Columns of the customer, the time and the money.
        order_id : str, optional
            Column of the order: at each date an order has the lines up to then.
        tz : str, optional
            The shop's time zone.
        missing_customer : {"error", "drop"}
            Refuse rows without a customer, or leave them out (counted).

        Returns
        -------
        StageHistory
            The stage of each customer at each date, counts of customers per stage and date, and the moves between them.

        Raises
        ------
        ColumnError
            A missing column, in the orders or in the rules.
        DataError
            As `customer_summary` and `assign`.
        ParameterError
            No dates, or dates that do not increase.

        References
        ----------
        See `customer_summary`.

        Examples
        --------
        >>> import opsmetrics as om
        >>> stages = om.Stages([om.Stage("silent", {"recency": (91, None)})], default="active")
        >>> found = stages.assign_at(om.make_orders(customers=200, rng=1), ["2025-06-30", "2025-12-31"],
        ...                          customer="customer", time="time", amount="amount")
        >>> found.counts[["as_of", "stage", "customers"]].to_numpy().tolist()[-2:]
        [['2025-12-31', 'silent', 153], ['2025-12-31', 'active', 47]]
        """
        _checks.free("customer", customer, (AS_OF, STAGE))
        moments = [_checks.moment("dates", given) for given in _checks.listed("dates", dates)]
        found = customers.summaries_at(
            orders, moments, customer=customer, time=time, amount=amount, order_id=order_id, tz=tz, missing_customer=missing_customer
        )
        frames = [_frames.in_memory(summary.table) for summary in found]
        return history(self.names, found, [self._place(self._held(frame), frame) for frame in frames], customer)

    # ------------------------------------------------------------------------------------------------------------ JSON

    def to_dict(self) -> dict[str, object]:
        """The stages as values `json.dumps` accepts.

        Returns
        -------
        dict
            What `from_dict` reads back to equal stages.

        Examples
        --------
        >>> import opsmetrics as om
        >>> stages = om.Stages([om.Stage("churned", {"recency": (180, None)})], default="active")
        >>> om.Stages.from_dict(stages.to_dict()) == stages
        True
        """
        rules = [
            {"name": stage.name, "rules": [{column: conditions.written(c) for column, c in rule.items()} for rule in stage.rules]}
            for stage in self.stages
        ]
        return {"stages": rules, "default": self.default_stage}

    @classmethod
    def from_dict(cls, saved: Mapping[str, object]) -> Self:
        """Stages from what `to_dict` wrote.

        Parameters
        ----------
        saved : mapping
            With the keys ``stages`` and ``default``.

        Returns
        -------
        Stages

        Raises
        ------
        ParameterError
            A missing or unknown key, or stages against the rules.

        Examples
        --------
        >>> import json, opsmetrics as om
        >>> text = json.dumps(om.Stages([om.Stage("一次", {"orders": 1})], default="多次").to_dict())
        >>> om.Stages.from_dict(json.loads(text)).names
        ('一次', '多次')
        """
        content: Any = _checks.named("saved", saved, ("stages", "default"))
        return cls(_stages_of(content["stages"]), default=content["default"])


def _blocking(earlier: Sequence[Stage], stage: Stage) -> list[str]:
    """As few earlier stages as hold all that a stage could hold; none where it may be given."""

    def block(stages: Sequence[Stage]) -> bool:
        rules = [rule for one in stages for rule in one.rules or ({},)]
        return all(conditions.covers(rules, own) for own in stage.rules or ({},))

    needed = list(earlier)
    if not block(needed):
        return []
    for one in reversed(earlier):
        if block(fewer := [other for other in needed if other is not one]):
            needed = fewer
    return [one.name for one in needed]


def _stages_of(given: object) -> list[Stage]:
    """Stages from their JSON."""
    made: list[Stage] = []
    for one in _checks.listed("stages", given):
        content: Any = _checks.named("stages", one, ("name", "rules"))
        rules: list[Any] = [
            {column: conditions.unwritten(c) for column, c in rule.items()} if isinstance(rule, Mapping) else rule
            for rule in _checks.listed("rules", content["rules"])
        ]
        made.append(Stage(content["name"], *rules))
    return made
