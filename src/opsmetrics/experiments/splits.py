"""Whether the variants got the units they were planned to get."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import numpy as np

from opsmetrics import _checks, _frames, _output, _render
from opsmetrics._frames import Backend, Column, Floats, Ints
from opsmetrics._kernels import mixtures
from opsmetrics._kernels import splits as kernel
from opsmetrics._results import SHOWN_LABELS, Later, Result, Table, shown
from opsmetrics.errors import ParameterError, nearest, warn

if TYPE_CHECKING:
    import pandas as pd

FrameT_co = TypeVar("FrameT_co", covariant=True)

Split: TypeAlias = Mapping[str, float] | Mapping[int, float]
"""The planned share, or weight, of each variant."""

THRESHOLD: Final = 0.001
"""Below this p-value the split is called a mismatch. It is small because the test is made on every experiment, and an alarm stops it."""

CONCENTRATION: Final = 10_000.0
"""Of the Dirichlet mixture of the sequential test: deviations of about half a percentage point are looked for first."""

_FEW: Final = 5
"""Where fewer units are expected, the chi-squared distribution is not to be relied on."""

_MOST_OUTCOMES: Final = 100_000
"""So many possible splits are counted one by one."""

_PEARSON, _EXACT, _MIXTURE = "Pearson's chi-squared", "exact multinomial", "Dirichlet mixture"


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class SRMTest(Result[FrameT_co]):
    """The split of units against the planned one, as `srm_test` returns it (also known as: 样本比例失衡检验).

    Attributes
    ----------
    table : frame
        One row per variant: ``variant``, ``observed`` and ``expected`` counts of units, ``share`` and ``expected_share`` as fractions.
    looks : frame
        Of a test that is looked at again and again: ``look``, ``units`` so far (a count), ``evidence`` against the planned split (the log
        of the likelihood ratio), ``p_value`` after this look.

    Examples
    --------
    >>> import opsmetrics as om
    >>> found = om.srm_test({"A": 821_588, "B": 815_482})
    >>> found.mismatch, f"{found.p_value:.2g}"
    (True, '1.8e-06')
    """

    looks = Table()

    @property
    def p_value(self) -> float:
        """The p-value as a fraction, NaN where there are no units; with peeking it holds at every look."""
        found = self.params["p_value"]
        return found if isinstance(found, float) else math.nan

    @property
    def mismatch(self) -> bool:
        """Whether the p-value is below 0.001: the units were not split as planned, and the results of the test are not to be read."""
        return self.params["mismatch"] is True

    def _view(self) -> _render.View:
        columns, rows = _output.head(self.table, SHOWN_LABELS)
        verdict = "SAMPLE RATIO MISMATCH: do not read the results" if self.mismatch else "the split is as planned"
        return _render.View(
            title=f"SRMTest - {verdict}",
            facts=shown(self.params),
            columns=columns,
            rows=rows,
            ids=["variant"],
            total_rows=_output.height(self.table),
            notes=["look for the reason first: the assignment, redirects, the log, a filter"] if self.mismatch else [],
        )


def srm_test(
    counts: Mapping[str, int] | Mapping[int, int] | Sequence[Mapping[str, int]] | Sequence[Mapping[int, int]],
    *,
    expected_split: Split | None = None,
    peeking: bool = False,
) -> SRMTest[pd.DataFrame]:
    """Test whether units were split between the variants as planned (also known as: 样本比例失衡检验, SRM).

    A split that is not the planned one means that units were lost or added in one variant more than in the other, and that the variants
    compare different people. A p-value below 0.001 is a mismatch. Once the data are complete this is Pearson's chi-squared test, or, where
    fewer than 5 units are expected of a variant, the exact multinomial test. A test that is looked at while it runs needs another one:
    with `peeking` the p-value holds at every look, at the price of noticing later.

    Parameters
    ----------
    counts : mapping of str to int, or sequence of mappings
        Units of each variant. With `peeking`, one mapping per look may be given, each with all units since the start.
    expected_split : mapping of str to float, optional
        The planned share of each variant, or its weight: ``{"A": 1, "B": 1}``. Equal shares by default.
    peeking : bool
        Whether the counts are looked at more than once.

    Returns
    -------
    SRMTest
        ``.table`` of observed and expected counts of units, ``.p_value``, ``.mismatch``.

    Raises
    ------
    ParameterError
        Fewer than two variants, counts that are no whole numbers of 0 or more, no units, or looks that do not grow; a planned split that
        names other variants, or has a share that is not above 0.

    Warns
    -----
    OpsmetricsWarning
        Fewer than 5 units are expected of a variant, and there are too many possible splits to count them all.

    References
    ----------
    Fabijan, A. et al. (2019), Diagnosing sample ratio mismatch in online controlled experiments, KDD, 2156-2164.
    Lindon, M. & Malek, A. (2022), Anytime-valid inference for multinomial count data, NeurIPS 35, 2817-2831 (with `peeking`).

    Examples
    --------
    >>> import opsmetrics as om
    >>> found = om.srm_test({"A": 10_050, "B": 9_950})
    >>> found.mismatch, round(found.p_value, 2)
    (False, 0.48)
    >>> om.srm_test({"A": 10_050, "B": 4_000}, expected_split={"A": 2, "B": 1}).mismatch
    True
    """
    if not isinstance(peeking, (bool, np.bool_)):
        raise ParameterError(f"peeking={peeking!r} must be True or False.", code="parameter.peeking")
    variants, looks = _counts(counts, peeking=bool(peeking))
    return srm_of(variants, looks, expected_split, _output.backend("pandas"), peeking=bool(peeking))


def srm_of(variants: Sequence[object], counts: Ints, expected_split: object, backend: Backend, *, peeking: bool) -> SRMTest[Any]:
    """The test of counts that are known to be right: one per variant, or with peeking a row of them per look."""
    looks = np.atleast_2d(np.asarray(counts, dtype=np.int64))
    shares = shares_of(expected_split, variants)
    found = _sequential(looks, shares) if peeking else _judged(looks, shares)
    last, p = looks[-1], float(found.p[-1])
    units = int(last.sum())
    _warn_of_few(found, last, shares)

    def table() -> Any:
        named = _output.labels(backend, variants, np.arange(len(variants)))
        share = last / units if units else np.full(len(shares), np.nan)
        content = {"observed": last, "expected": units * shares, "share": share, "expected_share": shares}
        return _output.build(backend, {"variant": named, **content})

    tables: dict[str, Any] = {"table": Later(table)}
    if peeking:
        history: dict[str, Column] = {
            "look": np.arange(1, len(looks) + 1), "units": looks.sum(axis=1), "evidence": found.statistic, "p_value": found.p,
        }  # fmt: skip
        tables["looks"] = _output.build(backend, history)
    statistic = float(found.statistic.max())
    params: dict[str, object] = {
        "method": found.method, "statistic": _known(statistic), "df": len(shares) - 1 if found.method == _PEARSON else None,
        "p_value": _known(p), "threshold": THRESHOLD, "mismatch": p < THRESHOLD, "peeking": peeking, "looks": len(looks), "units": units,
    }  # fmt: skip
    return SRMTest(_tables=tables, params=params, dropped={})


def srm_of_each(
    backend: Backend, by: Mapping[str, Any], variants: Sequence[object], counts: Ints, expected_split: object, *, peeking: bool
) -> SRMTest[Any]:
    """The test of many experiments, a row of counts for each; where there is nothing to tell them by, that of the one there is.

    A variant without units is none of the experiment. The split is a mismatch as a whole where one experiment is by itself, after the
    p-values have been multiplied by the number of experiments.
    """
    if not by:
        return srm_of(variants, counts[0], expected_split, backend, peeking=peeking)
    shares = shares_of(expected_split, variants)
    experiments = len(counts)
    columns = {name: np.full(experiments, np.nan) for name in ("statistic", "df", "p_value")}
    some = counts > 0
    for present in some[:1] if some.all() else np.unique(some, axis=0):  # nearly always all are there, and sorting rows is slow
        rows = np.flatnonzero((some == present).all(axis=1))
        if present.sum() < 2:
            continue
        own, planned = counts[np.ix_(rows, np.flatnonzero(present))], shares[present] / shares[present].sum()
        found = _mixed(own, planned) if peeking else _judged(own, planned)
        columns["statistic"][rows], columns["p_value"][rows] = found.statistic, found.p
        columns["df"][rows] = np.nan if peeking else present.sum() - 1
    least = float(min(np.nanmin(columns["p_value"], initial=1.0) * experiments, 1.0))
    flagged = columns["p_value"] < THRESHOLD

    def table() -> Any:
        head: dict[str, Column] = {name: _frames.take(values, np.arange(experiments)) for name, values in by.items()}
        return _output.build(backend, head | {"units": counts.sum(axis=1)} | columns | {"mismatch": flagged})

    params: dict[str, object] = {
        "method": _MIXTURE if peeking else _PEARSON, "p_value": least, "threshold": THRESHOLD, "mismatch": least < THRESHOLD,
        "peeking": peeking, "looks": 1, "units": int(counts.sum()), "experiments": experiments, "mismatches": int(flagged.sum()),
    }  # fmt: skip
    return SRMTest(_tables={"table": Later(table)}, params=params, dropped={})


# ------------------------------------------------------------------------------------------------------------- the tests


@dataclass(frozen=True, slots=True)
class _Found:
    """What a test says of each row of counts."""

    method: str
    statistic: Floats
    p: Floats


def _judged(counts: Ints, shares: Floats) -> _Found:
    """The test of complete data, row by row: exact where few units are expected of a variant and there are not too many possible splits."""
    statistic, p = kernel.pearson(counts, shares)
    units = counts.sum(axis=1)
    few = np.flatnonzero((units > 0) & (units * shares.min() < _FEW))
    exact = [row for row in few.tolist() if kernel.outcomes(int(units[row]), len(shares)) <= _MOST_OUTCOMES]
    for row in exact:
        p[row] = kernel.exact(counts[row], shares)
    return _Found(_EXACT if len(exact) == len(counts) else _PEARSON, statistic, p)


def _mixed(counts: Ints, shares: Floats) -> _Found:
    """The sequential test, each row by itself."""
    evidence = mixtures.split_evidence(counts, shares, CONCENTRATION)
    return _Found(_MIXTURE, evidence, np.exp(-np.maximum(evidence, 0.0)))


def _sequential(looks: Ints, shares: Floats) -> _Found:
    """The sequential test, look by look: the largest evidence so far counts."""
    found = _mixed(looks, shares)
    return _Found(found.method, found.statistic, np.minimum.accumulate(found.p))


def _warn_of_few(found: _Found, counts: Ints, shares: Floats) -> None:
    least = counts.sum() * shares.min()
    if found.method == _PEARSON and 0 < least < _FEW:
        warn(
            f"{least:.2g} units are expected of the smallest variant, and {_FEW} are needed for the p-value of the split to be relied on; "
            "wait for more units."
        )


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


# -------------------------------------------------------------------------------------------------------------- checks


def _counts(counts: object, *, peeking: bool) -> tuple[list[object], Ints]:
    """The variants in the order in which they are given, and their units with a row per look."""
    several = isinstance(counts, Sequence) and not isinstance(counts, (str, bytes))
    if several and not peeking:
        raise ParameterError(
            f"counts={_checks.short(counts)} is a list of looks; say peeking=True, or give one mapping of variants to units.",
            code="parameter.counts",
        )
    looks: list[Any] = list(counts) if isinstance(counts, Sequence) and several else [counts]
    if not looks:
        raise ParameterError("counts=[] has no look; give one mapping of variants to units for each.", code="parameter.counts")
    variants = _variants(looks[0])
    rows = np.array([_units(look, variants, number) for number, look in enumerate(looks, start=1)], dtype=np.int64)
    if (fallen := np.argwhere(np.diff(rows, axis=0) < 0)).size:
        look, place = fallen[0].tolist()
        raise ParameterError(
            f"counts of {variants[place]!r} fall from {rows[look, place]:,} to {rows[look + 1, place]:,} at look {look + 2}; each look has "
            "all units since the start. Add them up first.",
            code="parameter.counts",
        )
    if not rows[-1].any():
        raise ParameterError(f"counts={_checks.short(counts)} has no units; at least one is needed.", code="parameter.counts")
    return variants, rows


def _variants(look: object) -> list[object]:
    """Two or more names, all text or all whole numbers."""
    if not isinstance(look, Mapping):
        hint = " Write .to_dict() after it." if hasattr(look, "to_dict") else ""
        raise ParameterError(
            f"counts={_checks.short(look)} must be a mapping of variants to units, such as {{'A': 5000, 'B': 5000}}.{hint}",
            code="parameter.counts",
        )
    names: list[object] = [name.item() if isinstance(name, np.generic) else name for name in look]
    if len(names) < 2:
        raise ParameterError(
            f"counts={_checks.short(look)} has {len(names)} variants; a split is between two or more.", code="parameter.counts"
        )
    if len({type(name) for name in names}) > 1 or not isinstance(names[0], (str, int)):
        raise ParameterError(
            f"counts has the variants {_checks.short(names)}; their names must be all text, all whole numbers, or True and False.",
            code="parameter.counts",
        )
    return names


def _units(look: object, variants: Sequence[object], number: int) -> list[int]:
    """The units of each variant at one look."""
    if not isinstance(look, Mapping) or set(look) != set(variants):
        has = list(look) if isinstance(look, Mapping) else look
        raise ParameterError(
            f"counts of look {number} have {_checks.short(has)}, and the first has {_checks.short(list(variants))}; each look is a mapping "
            "with all variants.",
            code="parameter.counts",
        )
    return [_whole(variant, look[variant]) for variant in variants]


def _whole(variant: object, value: Any) -> int:
    if _checks.is_number(value, numbers.Real) and 0 <= value <= 2**53 and value == int(value):
        return int(value)
    raise ParameterError(
        f"counts[{variant!r}]={_checks.short(value)} is no number of units; it must be a whole number of 0 or more.",
        code="parameter.counts",
    )


def shares_of(expected_split: object, variants: Sequence[object]) -> Floats:
    """The planned shares of the variants, which add up to 1."""
    if expected_split is None:
        return np.full(len(variants), 1 / len(variants))
    if not isinstance(expected_split, Mapping):
        raise ParameterError(
            f"expected_split={_checks.short(expected_split)} must be a mapping of variants to shares, such as {{'A': 0.5, 'B': 0.5}}.",
            code="parameter.expected_split",
        )
    for name in expected_split:
        if name not in variants:
            raise ParameterError(
                f"expected_split has the variant {name!r}, which no unit is in; the units have {_checks.short(list(variants))}."
                f"{nearest(name, variants)}",
                code="parameter.expected_split",
            )
    if missing := [name for name in variants if name not in expected_split]:
        raise ParameterError(
            f"expected_split has no share for {_checks.short(missing)}; it needs one for each of {_checks.short(list(variants))}.",
            code="parameter.expected_split",
        )
    weights = np.array([_weight(name, expected_split[name]) for name in variants])
    return np.asarray(weights / weights.sum())


def _weight(variant: object, value: Any) -> float:
    if _checks.is_number(value, numbers.Real) and 0 < value <= 1e15:
        return float(value)
    raise ParameterError(
        f"expected_split[{variant!r}]={_checks.short(value)} is no share; it must be a number above 0.", code="parameter.expected_split"
    )
