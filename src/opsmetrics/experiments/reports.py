"""Comparisons of all metrics as one table, and the sentences that belong beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from opsmetrics import _frames, _output
from opsmetrics._frames import Backend, Column, Floats, Ints
from opsmetrics._kernels import contrasts
from opsmetrics.experiments.inference import FEW_BEYOND, FEW_CLUSTERS, FEW_OUTCOMES, TAIL_EXCESS, TOO_NARROW, USUAL_SKEWNESS, Compared
from opsmetrics.experiments.laws import normal
from opsmetrics.experiments.measured import Measured
from opsmetrics.experiments.splits import THRESHOLD
from opsmetrics.experiments.statistics import KINDS, columns_of

Bools = npt.NDArray[np.bool_]

TOLD: Final = 0.1
NAMED: Final = 3
"""How many comparisons a sentence names before it counts the rest."""


@dataclass(frozen=True, slots=True)
class Tests:
    """What tests are called: by place, the metric and the labels of the experiment; and the variants."""

    metrics: Sequence[str]
    metric: Ints
    experiment: Ints
    by: Mapping[str, Any]
    variants: Sequence[object]


@dataclass(frozen=True, slots=True)
class Rows:
    """All comparisons in the order of the table."""

    place: Ints
    variant: Ints
    baseline: Ints
    kind: Ints
    methods: Sequence[str]
    method: Ints
    columns: Mapping[str, Floats]
    excess: Floats
    bearable: Floats
    few: Bools
    few_clusters: Bools
    narrow: Bools
    corrigible: Bools


def in_order(compared: Sequence[Compared], adjusted: Floats | None) -> Rows:
    """The comparisons of all metrics: by test, then by baseline and variant."""
    place, variant, baseline, order = _sorted(compared)
    columns = {name: np.concatenate([one.columns[name] for one in compared])[order] for name in compared[0].columns}
    # A method, or with tiny counts its exact form.
    methods = [one.method.replace("score", test, 1) for one in compared for test in ("score", "Fisher's exact", "Boschloo's exact")]
    method = np.concatenate([3 * i + one.exact for i, one in enumerate(compared)])
    kind = np.repeat([KINDS.index(one.kind) for one in compared], [len(one.place) for one in compared])
    p = np.full(len(order), np.nan) if adjusted is None else adjusted[order]
    told = {
        name: np.concatenate([getattr(one, name) for one in compared])[order]
        for name in ("excess", "bearable", "few", "few_clusters", "narrow")
    }
    corrigible = np.repeat([one.corrigible for one in compared], [len(one.place) for one in compared])[order]
    return Rows(
        place, variant, baseline, kind[order], methods, method[order], columns | {"p_adjusted": p}, corrigible=corrigible, **told
    )  # fmt: skip


def _sorted(compared: Sequence[Compared]) -> tuple[Ints, Ints, Ints, Ints]:
    """The place, the variant and the baseline of each comparison in the order of the table, and that order."""
    place, variant, baseline = (np.concatenate([getattr(one, name) for one in compared]) for name in ("place", "variant", "baseline"))
    order = np.lexsort((variant, baseline, place))
    return place[order], variant[order], baseline[order], order


_ORDER: Final = (
    "n", "n_baseline", "treatment", "control", "difference", "difference_low", "difference_high", "lift", "lift_low", "lift_high",
    "statistic", "df", "p_value", "p_adjusted", "variance_reduction",
)  # fmt: skip


RESERVED: Final = frozenset({"metric", "kind", "variant", "baseline", "method", "stratum", "successes", "mean", "variance", *_ORDER})
"""Columns of the tables, which a column that tells experiments apart must not be named like."""


def table(backend: Backend, tests: Tests, rows: Rows) -> Any:
    """The main table of the result."""
    columns = head(backend, tests, rows.place)
    columns["kind"] = _output.words(backend, KINDS, rows.kind)
    columns |= _sides(backend, tests, rows.variant, rows.baseline)
    numbers: dict[str, Column] = {name: rows.columns[name] for name in _ORDER}
    for name in ("n", "n_baseline"):
        numbers[name] = rows.columns[name].astype(np.int64)
    return _output.build(backend, columns | numbers | {"method": _output.words(backend, rows.methods, rows.method)})


def head(backend: Backend, tests: Tests, place: Ints) -> dict[str, Column]:
    """The columns that name a test."""
    by: dict[str, Column] = {name: _frames.take(values, tests.experiment[place]) for name, values in tests.by.items()}
    return by | {"metric": _output.words(backend, tests.metrics, tests.metric[place])}


def _sides(backend: Backend, tests: Tests, variant: Ints, baseline: Ints) -> dict[str, Column]:
    """The columns that name what is compared."""
    return {name: _output.labels(backend, tests.variants, codes) for name, codes in (("variant", variant), ("baseline", baseline))}


def statistics(backend: Backend, tests: Tests, measured: Sequence[Measured], strata: Sequence[object]) -> Any:
    """What the table was made of, one row per metric, variant and stratum that has units."""
    kept = [np.flatnonzero(own.sizes > 0) for own in measured]
    arm = [cells // own.strata for own, cells in zip(measured, kept, strict=True)]
    place = np.concatenate([own.place[own.test[a]] for own, a in zip(measured, arm, strict=True)])
    variant = np.concatenate([own.variant[a] for own, a in zip(measured, arm, strict=True)])
    order = np.lexsort((variant, place))
    columns = head(backend, tests, place[order])
    kind = np.repeat([KINDS.index(own.layout.kind) for own in measured], [len(cells) for cells in kept])
    columns |= {"kind": _output.words(backend, KINDS, kind[order]), "variant": _output.labels(backend, tests.variants, variant[order])}
    if strata != [None]:
        stratum = np.concatenate([cells % own.strata for own, cells in zip(measured, kept, strict=True)])[order]
        columns["stratum"] = _output.labels(backend, strata, stratum)
    found = [{name: values[cells] for name, values in columns_of(own).items()} for own, cells in zip(measured, kept, strict=True)]
    names = dict.fromkeys(name for one in found for name in one)
    numbers: dict[str, Column] = {
        name: np.concatenate([one.get(name, np.full(len(cells), np.nan)) for one, cells in zip(found, kept, strict=True)])[order]
        for name in names
    }
    sizes = np.concatenate([own.sizes[cells] for own, cells in zip(measured, kept, strict=True)])[order]
    numbers = {"units": sizes.astype(np.int64), **numbers, "n": np.asarray(numbers["n"]).astype(np.int64)}
    return _output.build(backend, columns | numbers)


def sequential(backend: Backend, tests: Tests, compared: Sequence[Compared]) -> Any:
    """Where each comparison stands in its sequential design."""
    place, variant, baseline, order = _sorted(compared)
    parts = [_standing(one) for one in compared]
    columns = head(backend, tests, place) | _sides(backend, tests, variant, baseline)
    return _output.build(backend, columns | {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]})


def _standing(one: Compared) -> dict[str, npt.NDArray[Any]]:
    """Of each comparison: the look, what had to be reached, and an estimate that allows for stopping.

    The statistic has the error that there is without an effect. Around the estimate there is one, and each arm has its own variance, so
    that near the bound the interval may hold no effect although the test has stopped.
    """
    if one.monitor is None:
        return {}
    z = one.sign * normal(one.columns["statistic"], one.columns["df"])
    stopping = one.monitor.stopping(z)
    facts = {name: np.asarray(values) for name, values in one.monitor.facts().items()}
    estimate = one.null + contrasts.bent(one.sign * stopping.z_estimate, one.skew) * one.error
    with np.errstate(invalid="ignore"):
        reach = [one.sign * (end - stopping.z_estimate) * one.own_error for end in (stopping.z_low, stopping.z_high)]
    ends = [estimate + end for end in reach]
    if not one.monitor.stagewise:  # whose interval is the same at every look
        ends = [one.columns["difference_low"], one.columns["difference_high"]]
    return {
        **facts, "z": one.sign * z, "bound": one.monitor.critical, "stopped": stopping.stopped, "stopping_p_value": stopping.p_value,
        "estimate": estimate, "estimate_low": np.minimum(*ends), "estimate_high": np.maximum(*ends),
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- warnings


def warnings_of(tests: Tests, rows: Rows) -> list[str]:
    """What should be known of the comparisons."""
    finite = {name: np.isfinite(rows.columns[name]) for name in ("lift_low", "lift_high", "difference_low", "difference_high")}
    endless = (finite["difference_low"] & ~finite["lift_low"]) | (finite["difference_high"] & ~finite["lift_high"])
    mean = rows.kind != KINDS.index("proportion")
    beyond = np.isinf(rows.excess)
    skewed = (rows.excess > TAIL_EXCESS) & ~beyond
    worst = float(np.max(rows.excess[~beyond & ~np.isnan(rows.excess)], initial=0.0))
    off = f"so that the error of a tail is off by {_off(worst)} (rule: more than {TAIL_EXCESS:.1%}); even the arms, or"
    unknown = rows.bearable < USUAL_SKEWNESS
    least = float(np.min(rows.bearable[unknown], initial=np.inf))
    found = {
        f"units are skewed and the arms of unequal size, {off} use om.Mean(..., skew_correction=True)": skewed & rows.corrigible,
        f"units are skewed and the arms of unequal size, or at a margin of unequal spread, {off} wait for more units": (
            skewed & ~rows.corrigible
        ),
        "units are so skewed that their third moment does not correct for it; wait for more units, or winsorize": beyond,
        f"the arms differ in size or spread, and without third_moment nobody knows how skewed units are; a skewness above {least:.2g} puts "
        f"the error of a tail off by more than {TAIL_EXCESS:.1%}": unknown,
        f"fewer than {FEW_OUTCOMES} units have it, or lack it, in an arm": rows.few & (rows.kind == KINDS.index("proportion")),
        f"fewer than {FEW_BEYOND} units lie beyond the quantile in an arm; wait for more units": (
            rows.few & (rows.kind == KINDS.index("quantile"))
        ),
        f"fewer than {FEW_CLUSTERS} clusters, or units of a ratio, in an arm; the t distribution allows for that only in part": (
            rows.few_clusters
        ),
        "the arms vary differently, but are taken to vary alike, as without an effect, so the interval of the effect is too narrow (rule: "
        f"errors {TOO_NARROW:g} times as large); even the arms": rows.narrow,
        "the mean of the control cannot be told from 0, so the lift is not bounded": endless & mean & ~np.isnan(rows.columns["lift"]),
        "nothing varies, a denominator is 0, or there are too few units, so there is nothing to test": np.isnan(rows.columns["statistic"]),
    }
    return [f"{_whom(tests, rows, which)}: {sentence}." for sentence, which in found.items() if which.any()]


def _off(excess: float) -> str:
    """A prediction from the third moment, which says no more than "much" where it is large."""
    return f"up to {excess:.1%}" if excess <= TOLD else f"more than {TOLD:.0%}"


def alone(tests: Tests, measured: Sequence[Measured], rows: Rows) -> list[str]:
    """Metrics that one variant of an experiment has, and no other."""
    lonely = np.zeros(len(tests.metric), dtype=np.bool_)
    lonely[np.concatenate([own.place for own in measured])] = True
    lonely[rows.place] = False
    places = np.flatnonzero(lonely)
    names = [_test_name(tests, place) for place in places[:NAMED].tolist()]
    return [f"{_some(names, len(places))}: only one variant has it, so it is not compared."] if len(places) else []


def uneven(tests: Tests, measured: Sequence[Measured]) -> list[str]:
    """Covariates that are missing in one arm more than in another, which chance does not do."""
    told = []
    for own in measured:
        for covariate in own.layout.missing:
            (missing, rows), lacking = own.gaps(covariate), own.lacking(covariate)
            for test, place in enumerate(own.place.tolist()):
                arms, name = own.test == test, _test_name(tests, place)
                if lacking[test]:
                    told.append(f"{name}: a covariate is missing in all units of an arm; it is left out.")
                elif _apart(missing[arms], rows[arms]):
                    told.append(f"{name}: a covariate is missing in one arm more than in another; was it measured before the test?")
    return told


def _apart(missing: Floats, rows: Floats) -> bool:
    """Whether shares differ by more than chance does once in a thousand, by Pearson's test."""
    from scipy.special import chdtrc

    share = missing.sum() / rows.sum()
    statistic = float(((missing - rows * share) ** 2 / (rows * share * (1 - share))).sum()) if 0 < share < 1 else 0.0
    return bool(chdtrc(max(len(rows) - 1, 1), statistic) < THRESHOLD)


def _test_name(tests: Tests, place: int) -> str:
    """The metric, and what tells its experiment apart."""
    metric = tests.metrics[tests.metric[place]]
    experiment = [f"{name}={values[int(tests.experiment[place])]}" for name, values in tests.by.items()]
    return f"{metric} ({', '.join(experiment)})" if experiment else metric


def _whom(tests: Tests, rows: Rows, which: Bools) -> str:
    """The comparisons that a sentence is about."""
    at = np.flatnonzero(which)
    names = [f"{_test_name(tests, rows.place[i])} in {tests.variants[rows.variant[i]]}" for i in at[:NAMED].tolist()]
    return _some(names, len(at))


def _some(names: Sequence[str], many: int) -> str:
    """The first names of many."""
    return ", ".join(dict.fromkeys(names)) + (f" and {many - NAMED:,} more" if many > NAMED else "")
