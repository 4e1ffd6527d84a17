"""What an A/B test says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from opsmetrics import _frames, _output, _render
from opsmetrics._results import SHOWN_LABELS, Result, Table, dropped_notes, plain, shown
from opsmetrics.experiments.measured import Measured
from opsmetrics.experiments.metrics import Metric
from opsmetrics.experiments.posterior import BayesReadout, read_out
from opsmetrics.experiments.reports import Tests

FrameT_co = TypeVar("FrameT_co", covariant=True)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ABTest(Result[FrameT_co]):
    """Variants compared, metric by metric, as `ab_test` and `ab_test_from_stats` return them (also known as: A/B 测试结果).

    Attributes
    ----------
    table : frame
        One row per metric and comparison: ``metric``, ``kind`` (proportion, mean, ratio, quantile), ``variant`` and ``baseline`` (compared
        with), ``n`` and ``n_baseline`` (units, or clusters, that count), ``treatment`` and ``control`` (estimates), ``difference`` of these
        with its interval ``difference_low`` and ``difference_high``, ``lift`` (difference over the size of control, a fraction) with
        ``lift_low`` and ``lift_high``, ``statistic`` with its degrees of freedom ``df`` (infinite: normal), ``p_value``, ``p_adjusted``
        (missing without a correction), ``variance_reduction`` by the covariates (a fraction), ``method``.
    srm : frame
        The split: ``variant``, ``observed``, ``expected``, ``share``, ``expected_share``; tests of many experiments have one row each, with
        ``statistic``, ``df``, ``p_value``.
    stats : frame
        What the table was made of, as `ab_test_from_stats` takes it: rows of other days and machines may be put below.
    sequential : frame
        With a sequential design: the look, its ``information`` (the share of the planned units), the ``z`` of each comparison and the
        ``bound`` it has to pass, whether it has ``stopped``, and what may then be said: ``stopping_p_value``, ``estimate``
        (median-unbiased, futility not looked at; of an always valid test shrunk towards 0) with its interval, in which each arm has its
        own variance. They suppose that no earlier look has stopped the test: take those of the first look that does.
    warnings : tuple of str
        What should be known before the numbers are used.

    Examples
    --------
    >>> import opsmetrics as om
    >>> found = om.ab_test_from_stats({"A": {"n": 10_000, "successes": 500}, "B": {"n": 10_000, "successes": 560}}, control="A")
    >>> round(float(found.table["p_value"][0]), 4)
    0.0583
    """

    warnings: tuple[str, ...]
    _tests: Tests
    _entries: Sequence[tuple[Measured, Metric]]

    srm = Table()
    stats = Table()
    sequential = Table()

    def _view(self) -> _render.View:
        columns, rows = _output.head(self.table, SHOWN_LABELS)
        height = _output.height(self.table)
        records = [dict(zip(columns, row, strict=True)) for row in rows]
        by = [str(name) for name in plain(self.params["by"]) or ()]
        listed = [_row(record, by, self.params["correction"] is not None) for record in records]
        title = f"A/B test of {len(self._tests.variants)} variants"
        if self.params["srm_mismatch"]:
            where = f" IN {self.params['srm_mismatches']:,} EXPERIMENTS" if self.params["by"] else ""
            title = f"SAMPLE RATIO MISMATCH{where} ({_render.p_equals(self.params['srm_p_value'])}): do not read these numbers.\n{title}"
        return _render.View(
            title=title,
            facts=shown(self.params),
            columns=list(listed[0]) if listed else [],
            rows=[list(row.values()) for row in listed],
            ids=[*by, "metric", "variant", "against"],
            total_rows=height,
            notes=[*self.warnings, *_remarks(self.params, height), *dropped_notes(self.dropped)],
        )

    def to_dict(self) -> dict[str, object]:
        """Everything the result holds, as values `json.dumps` accepts.

        Returns
        -------
        dict
            Each named table as a list of records, then ``params``, ``dropped`` and ``warnings``. Missing and infinite values are None.

        Examples
        --------
        >>> import opsmetrics as om
        >>> found = om.ab_test_from_stats({"A": {"n": 100, "successes": 15}, "B": {"n": 100, "successes": 19}})
        >>> found.to_dict()["stats"][0]["successes"]
        15.0
        """
        return super().to_dict() | {"warnings": list(self.warnings)}

    def bayes(self, *, prior: Sequence[float] = (1.0, 1.0)) -> BayesReadout[FrameT_co]:
        """How probable it is that each variant is the best, and what choosing it is expected to lose.

        A readout for those who decide by it, and no protection against peeking: a rule that stops at a probability of 95 % stops by chance
        in 42 % of tests without an effect that are looked at twenty times.

        Parameters
        ----------
        prior : pair of float
            Of a rate: Beta(a, b), the successes and failures believed in beforehand. A mean has the flat prior of a normal model.

        Returns
        -------
        BayesReadout
            ``.table`` has probabilities as fractions and losses in the units of the metric, one row per metric and variant.

        Raises
        ------
        DataError
            No metric with a conjugate prior: proportions and means without covariates, clusters and strata have one.
        ParameterError
            A prior that is no pair of numbers above 0.

        Examples
        --------
        >>> import opsmetrics as om
        >>> found = om.ab_test_from_stats({"A": {"n": 100, "successes": 20}, "B": {"n": 100, "successes": 30}}, control="A")
        >>> found.bayes().table["probability_best"].round(4).tolist()
        [0.0524, 0.9476]
        """
        return read_out(self._tests, self._entries, prior, self.params, _frames.family(_frames.wrap("table", self.table)))


def _row(record: Mapping[str, Any], by: Sequence[str], adjusted: bool) -> dict[str, object]:
    """A comparison as a reader wants it."""
    share = record["kind"] == "proportion"
    text = {"metric": record["metric"], "variant": record["variant"], "against": record["baseline"]}
    p = {"p_value": _render.p_value(record["p_value"])} | ({"p_adjusted": _render.p_value(record["p_adjusted"])} if adjusted else {})
    return {
        **{name: record[name] for name in by}, **text,
        "control": value(record["control"], share=share), "treatment": value(record["treatment"], share=share),
        "difference": value(record["difference"], share=share, sign="+"),
        "from_to": between(value(record["difference_low"], share=share, sign="+"), value(record["difference_high"], share=share, sign="+")),
        "lift": _render.signed(record["lift"]),
        "lift_from_to": between(_render.signed(record["lift_low"]), _render.signed(record["lift_high"])),
        **p,
    }  # fmt: skip


def value(number: float | None, *, share: bool, sign: str = "") -> str:
    """An estimate: rates in per cent, others to four digits."""
    if number is None:
        return "-"
    if number in (float("inf"), float("-inf")):
        return "∞" if number > 0 else "-∞"
    return f"{number:{sign}.2%}" if share else f"{number:{sign},.4g}"


def between(low: object, high: object) -> str:
    """An interval; ends that are not known, or have none, are open."""
    ends = [{None: "-", float("inf"): "∞", float("-inf"): "-∞"}.get(end, end) for end in (low, high)]  # type: ignore[call-overload]
    return f"{ends[0]} to {ends[1]}"


def _remarks(params: Mapping[str, Any], comparisons: int) -> list[str]:
    """What a reader should see although nothing is wrong."""
    found = [] if params["srm_mismatch"] else [f"sample ratio as expected ({_render.p_equals(params['srm_p_value'])})"]
    if params["correction"] is None and comparisons > 1 and not params["by"]:
        chance = 1 - params["confidence"] ** comparisons
        found.append(
            f"{comparisons} comparisons and no correction: one of them is called by chance in up to {chance:.0%} of tests without effects"
        )
    return found
