"""P-values of many tests, adjusted together."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any

from opsmetrics import _checks
from opsmetrics._kernels import multiplicity
from opsmetrics._kernels.multiplicity import CORRECTIONS, Correction
from opsmetrics.errors import ParameterError


def adjust_pvalues(p_values: Iterable[float], *, correction: Correction = "holm") -> list[float]:
    """Adjust the p-values of several tests for their number (also known as: 多重检验校正).

    An adjusted p-value is compared with the same level as a single one. Holm, Hochberg and Bonferroni bound the chance of any false alarm;
    Benjamini-Hochberg and Benjamini-Yekutieli the expected share of false alarms among the alarms. Holm is never weaker than Bonferroni,
    and holds whatever the dependence of the tests, as do Bonferroni and Benjamini-Yekutieli; Hochberg and Benjamini-Hochberg are for tests
    that are independent or that tend to agree.

    Parameters
    ----------
    p_values : iterable of float
        Fractions from 0 to 1. One that is missing (NaN) stays missing and does not count as a test.
    correction : {"holm", "hochberg", "bonferroni", "benjamini-hochberg", "benjamini-yekutieli"}
        The procedure.

    Returns
    -------
    list of float
        The adjusted p-values as fractions, in the order of the given ones.

    Raises
    ------
    ParameterError
        No p-values, or one that is not from 0 to 1; a correction that is not known, or that needs more than p-values.

    References
    ----------
    Holm, S. (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 65-70.
    Hochberg, Y. (1988), A sharper Bonferroni procedure for multiple tests of significance, Biometrika 75, 800-802.
    Benjamini, Y. & Hochberg, Y. (1995), Controlling the false discovery rate, JRSS B 57, 289-300.
    Benjamini, Y. & Yekutieli, D. (2001), The control of the false discovery rate in multiple testing under dependency, Annals of Statistics
    29, 1165-1188.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.adjust_pvalues([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    >>> om.adjust_pvalues([0.01, 0.04, 0.03], correction="benjamini-hochberg")
    [0.03, 0.04, 0.04]
    """
    asked: object = correction
    if asked == "dunnett":
        raise ParameterError(
            "correction='dunnett' cannot be made of p-values alone, since it needs the units of each arm; "
            f"ask ab_test for it, or use one of {', '.join(map(repr, CORRECTIONS))}. Did you mean 'holm'?",
            code="parameter.correction",
        )
    word = _checks.choice("correction", asked, CORRECTIONS)
    given = [_p_value(place, value) for place, value in enumerate(_checks.listed("p_values", p_values))]
    if not given:
        raise ParameterError("p_values=[] is empty; give at least one number from 0 to 1.", code="parameter.p_values")
    adjusted: list[float] = multiplicity.adjust(given, word).tolist()
    return adjusted


def _p_value(place: int, value: Any) -> float:
    """A number from 0 to 1, or NaN."""
    number = _checks.is_number(value, numbers.Real)
    if number and (value != value or 0 <= value <= 1):
        return float(value)
    hint = f" Did you mean {value / 100:g}?" if number and 1 < value <= 100 else ""
    raise ParameterError(
        f"p_values[{place}]={_checks.short(value)} is no p-value; it must be a number from 0 to 1.{hint}", code="parameter.p_values"
    )
