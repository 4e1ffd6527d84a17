"""A/A tests on the user's own units: how often nothing is called something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from opsmetrics import _checks, _output, _render
from opsmetrics._frames import Backend, Column, Floats
from opsmetrics._kernels import rates
from opsmetrics._results import SHOWN_LABELS, Result, dropped_notes, shown
from opsmetrics.errors import ParameterError
from opsmetrics.experiments import inference, measures, splits
from opsmetrics.experiments.inference import Compared
from opsmetrics.experiments.laws import Question
from opsmetrics.experiments.measured import Measured
from opsmetrics.experiments.measures import Sizing
from opsmetrics.experiments.metrics import Metrics, named
from opsmetrics.experiments.populations import population
from opsmetrics.experiments.readings import Asked
from opsmetrics.experiments.splits import Split

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

MOST_REPEATS: Final = 1_000_000


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class AACheck(Result[FrameT_co]):
    """How often random splits of the same units were called different, as `aa_check` returns it (also known as: A/A 检验).

    Attributes
    ----------
    table : frame
        One row per metric and variant: ``metric``, ``variant``, ``repeats`` (splits with a p-value), ``false_positives`` of them, their
        share ``false_positive_rate`` with Wilson's interval ``false_positive_rate_low`` and ``false_positive_rate_high``, ``above_rate``
        and ``below_rate`` (the shares called above and below control: each should be half), ``method``.

    Examples
    --------
    >>> import opsmetrics as om
    >>> checked = om.aa_check(om.make_experiment(2_000, rng=1), metrics="converted", repeats=200, rng=1)
    >>> bool(checked.table["false_positive_rate"][0] < 0.12)
    True
    """

    def _view(self) -> _render.View:
        columns, rows = _output.head(self._tables["table"], SHOWN_LABELS)
        level = 1 - float(self.params["confidence"])  # type: ignore[arg-type]
        names = ("false_positive_rate_low", "false_positive_rate_high")
        places = [columns.index(name) for name in names]
        off = [row for row in rows if any(row[at] is None for at in places) or not row[places[0]] <= level <= row[places[1]]]  # type: ignore[operator]
        verdict = (
            f"every interval holds the nominal {level:.1%}"
            if not off
            else f"off the nominal {level:.1%}: {', '.join(dict.fromkeys(str(row[0]) for row in off))}"
        )
        return _render.View(
            title=f"A/A check: {self.params['repeats']:,} random splits of {self.params['units']:,} units",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            total_rows=_output.height(self._tables["table"]),
            notes=[verdict, *dropped_notes(self.dropped)],
        )


def aa_check(
    units: FrameT,
    *,
    metrics: Metrics,
    repeats: int = 1_000,
    expected_split: Split | None = None,
    confidence: float = 0.95,
    cluster: str | None = None,
    strata: str | None = None,
    rng: int | np.random.Generator | None = None,
    progress: bool = False,
) -> AACheck[FrameT]:
    """Split the same units at random many times, and count how often the test calls the arms different (also known as: A/A 检验).

    The share should be one less the confidence, half of it on each side. Where units are skewed and arms of unequal size it is not, and
    this says by how much for the units at hand. An experiment's own assignment is not looked at.

    Parameters
    ----------
    units : frame
        One row per unit, or several with `cluster`. pandas, polars (eager or lazy), pyarrow, or a DuckDB relation.
    metrics : str, metric, sequence or mapping
        As of `ab_test`.
    repeats : int
        How many random splits.
    expected_split : mapping of str to float, optional
        Share, or weight, of each variant, the control first; two even arms "A" and "B" by default.
    confidence : float
        Of the tests, and of the intervals of their error rates, between 0 and 1.
    cluster : str, optional
        Column of the unit of randomisation: whole clusters are assigned.
    strata : str, optional
        Column of groups, for post-stratified estimates.
    rng : int or numpy Generator, optional
        The seed.
    progress : bool
        Whether to show a bar (the ``progress`` extra).

    Returns
    -------
    AACheck
        ``.table`` has rates as fractions, one row per metric and variant but the control.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows; a proportion that is not 0 and 1; infinite values; fewer than two units.
    ParameterError
        An argument outside its rule.

    References
    ----------
    Kohavi, R., Tang, D. & Xu, Y. (2020), Trustworthy Online Controlled Experiments, chapter 19.

    Examples
    --------
    >>> import opsmetrics as om
    >>> units = om.make_experiment(2_000, rng=1)
    >>> checked = om.aa_check(units, metrics=["converted", "revenue"], repeats=200, rng=1)
    >>> checked.table["metric"].tolist()
    ['converted', 'revenue']
    """
    times = _checks.whole_number("repeats", repeats, 1, MOST_REPEATS)
    question = Question("two-sided", _checks.fraction("confidence", confidence))
    names = _arms(expected_split)
    shares = splits.shares_of(expected_split, names)
    sizing = Sizing(_checks.generator("rng", rng), _checks.flag("progress", progress))
    asked = Asked(named(metrics), strata=strata is not None, clustered=cluster is not None)
    people = population(units, asked, cluster, strata)
    together = np.zeros(people.units, dtype=np.int64)
    specs = measures.resolve(asked.metrics, {name: draw(together, 1) for name, draw in people.draws.items()})
    for name, metric in specs.items():
        if metric.hypothesis != "superiority":
            raise ParameterError(
                f"metrics[{name!r}] has the margin of {metric.hypothesis}, which arms that are alike keep; leave it out of an A/A check.",
                code="parameter.metrics",
            )
    drawn: dict[str, list[Measured]] = {name: [] for name in specs}
    for split in measures.progressing(range(times), "A/A splits", show=progress):
        arm = np.searchsorted(np.cumsum(shares)[:-1], sizing.rng.random(people.units), side="right").astype(np.int64)
        for name, metric in specs.items():
            found = people.draws[name](arm, len(names))
            groups = (len(names), people.strata)
            drawn[name].append(measures.measured_of(found, metric, groups, sizing, (name, split), clustered=asked.clustered))
    counts, methods = {}, {}
    for name, metric in specs.items():
        whole, _ = measures.thick(measures.stacked(drawn[name]).filled())
        tested = inference.compare(whole, metric, np.zeros(times, dtype=np.int64), np.zeros(times), question)
        counts[name], methods[name] = _counts(tested, len(names), question.alpha), tested.method
    table = _output.build(people.backend, _columns(people.backend, counts, methods, names, question.confidence))
    params = {
        "columns": {name: column for name, column in (("cluster", cluster), ("strata", strata)) if column is not None},
        "metrics": {name: str(metric) for name, metric in specs.items()}, "repeats": times, "units": people.units,
        "confidence": question.confidence, "expected_split": dict(zip(map(str, names), shares.tolist(), strict=True)),
    }  # fmt: skip
    return AACheck(_tables={"table": table}, params=params, dropped=people.dropped)


def _arms(expected_split: object) -> list[object]:
    """The variants, the control first."""
    names: list[object] = list(expected_split) if isinstance(expected_split, Mapping) else ["A", "B"]
    if len(names) < 2:
        raise ParameterError(
            f"expected_split={expected_split!r} must have at least two variants, such as {{'A': 0.9, 'B': 0.1}}.",
            code="parameter.expected_split",
        )
    return names


def _counts(tested: Compared, arms: int, alpha: float) -> Floats:
    """By variant but the control: the splits that were tested, and those called above and below it."""
    p, sign = tested.columns["p_value"], np.sign(tested.columns["difference"])
    hits = [~np.isnan(p), (p < alpha) & (sign > 0), (p < alpha) & (sign < 0)]
    return np.stack([np.bincount(tested.variant, weights=hit, minlength=arms)[1:] for hit in hits])


def _columns(
    backend: Backend, counts: Mapping[str, Floats], methods: Mapping[str, str], names: Sequence[object], confidence: float
) -> dict[str, Column]:
    """The table of error rates."""
    metrics, others = list(counts), len(names) - 1
    told, above, below = (np.concatenate([count[i] for count in counts.values()]) for i in range(3))
    metric = np.repeat(np.arange(len(metrics)), others)
    head: dict[str, Column] = {
        "metric": _output.words(backend, metrics, metric),
        "variant": _output.words(backend, [str(name) for name in names[1:]], np.tile(np.arange(others), len(metrics))),
        "repeats": told.astype(np.int64), "false_positives": (above + below).astype(np.int64),
    }  # fmt: skip
    sides = {f"{side}_rate": np.where(told > 0, hits / np.maximum(told, 1), np.nan) for side, hits in (("above", above), ("below", below))}
    found = rates.columns("false_positive_rate", above + below, told, confidence)
    return head | found | sides | {"method": _output.words(backend, list(methods.values()), metric)}
