"""Asking for answers, and comparing them with slow ones."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd

import opsmetrics as om
from tests.experiments import oracle
from tests.support import reference, to_pandas

ALTERNATIVES = ("two-sided", "greater", "less")


def quietly(call: Any, *args: Any, **choices: Any) -> Any:
    """A result without its warnings, which other tests look at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", om.OpsmetricsWarning)
        return call(*args, **choices)


def frame_of(**arms: Any) -> pd.DataFrame:
    """A frame of one column of outcomes per variant, the rows of the variants mixed."""
    rows = pd.concat([pd.DataFrame({"variant": name, "y": np.asarray(values)}) for name, values in arms.items()])
    return rows.sample(frac=1, random_state=1, ignore_index=True)


def ab(units: Any, metric: Any, *, control: Any = "A", **choices: Any) -> pd.DataFrame:
    """The table of one metric, by variant."""
    result = quietly(om.ab_test, units, variant="variant", metrics={"m": metric}, control=control, **choices)
    return to_pandas(result.table).set_index("variant")


def from_stats(records: Any, *, control: Any = "A", **choices: Any) -> pd.DataFrame:
    return to_pandas(quietly(om.ab_test_from_stats, records, control=control, **choices).table).set_index("variant")


def close(found: Any, expected: Any, rel: float = 1e-9, abs: float = 0.0) -> None:  # noqa: A002
    """Equal to nine digits, infinities included."""
    np.testing.assert_allclose(np.asarray(found, dtype=float), np.asarray(expected, dtype=float), rtol=rel, atol=abs)


def agree(row: pd.Series, expected: oracle.Answer, rel: float = 1e-9) -> None:
    """Everything an answer says; of a set of lifts, the ends."""
    close(row["treatment"], expected.treatment, rel)
    close(row["control"], expected.control, rel)
    close(row["difference"], expected.difference, rel, abs=1e-12)
    close(row[["difference_low", "difference_high"]], (expected.low, expected.high), rel, abs=1e-12)
    close(row["statistic"], expected.statistic, rel, abs=1e-12)
    close(row["p_value"], expected.p_value, rel)
    if math.isfinite(expected.df):
        close(row["df"], expected.df, rel)
    close(row["lift"], expected.difference / abs(expected.control), rel, abs=1e-12)
    close(row[["lift_low", "lift_high"]], oracle.shown(expected), max(rel, 1e-8), abs=1e-12)


def samples() -> dict[str, tuple[Any, Any]]:
    """Outcomes of a control and a treatment."""
    random = np.random.default_rng(20)

    def revenue(size: int) -> Any:
        return np.where(random.uniform(size=size) < 0.05, random.lognormal(4, 1, size), 0.0)

    return {
        "normal": (random.normal(10, 2, 80), random.normal(10.5, 3, 120)),
        "revenue": (revenue(2_000), revenue(1_500)),
        "small": (random.normal(5, 1, 4), random.normal(6, 2, 3)),
        "below zero": (random.normal(-8, 2, 60), random.normal(-7, 1, 50)),
        "around zero": (random.normal(0.05, 1, 60), random.normal(0.6, 1, 50)),
        "clearly around zero": (random.normal(0.0, 1, 200), random.normal(5, 1, 200)),
        "one arm constant": (random.normal(3, 1, 50), np.full(40, 3.25)),
        "unequal": (random.exponential(3, 900), random.exponential(3.5, 100)),
        "cents": (np.rint(random.lognormal(8, 1, 300)), np.rint(random.lognormal(8.1, 1, 280))),
    }


SAMPLES = samples()


def counts(*arms: tuple[str, int, int]) -> list[dict[str, Any]]:
    return [{"metric": "m", "variant": name, "n": n, "successes": k} for name, k, n in arms]


def arms(units: pd.DataFrame) -> list[pd.DataFrame]:
    return [units[units["variant"] == name] for name in ("A", "B", "C")]


def reference_case(name: str) -> dict[str, Any]:
    cases = {case["id"]: case for case in reference("ab.json")}
    return dict(cases[name])
