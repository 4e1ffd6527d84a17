"""Funnels that operations teams know by name, as lists of steps over a shop's own events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from opsmetrics import _checks
from opsmetrics._patterns import Of
from opsmetrics.funnels.steps import Step

_AIPL = {"en": ("awareness", "interest", "purchase", "loyalty"), "zh": ("认知", "兴趣", "购买", "忠诚")}
_AARRR = {
    "en": ("acquisition", "activation", "retention", "referral", "revenue"),
    "zh": ("获客", "激活", "留存", "推荐", "变现"),
}


def aipl_steps(
    *, awareness: Of, interest: Of, purchase: Of, loyalty: Of | None = None, labels: Literal["zh", "en"] | Mapping[str, str] = "en"
) -> list[Step]:
    """The steps of A-I-P-L (also known as: AIPL 人群链路): awareness, interest, purchase, loyalty.

    Loyalty is by default one more purchase: since a row fills one step only, the same event twice in a row means buying again.

    Parameters
    ----------
    awareness, interest, purchase : str, int, list or mapping
        The shop's events of each stage, as `Step` takes them: exposures and clicks; favourites and carts; payments.
    loyalty : str, int, list or mapping, optional
        The events of loyalty; those of `purchase` by default.
    labels : str or mapping
        The language of the labels, "en" or "zh", or a label for each English one.

    Returns
    -------
    list of Step
        To be given to `funnel`, which counts customers.

    Raises
    ------
    ParameterError
        Unknown labels; a mapping that leaves some out.

    References
    ----------
    Alibaba's brand marketing calls the consumer's way A-I-P-L (awareness, interest, purchase, loyalty). The steps are those of the
    hierarchy of effects: Lavidge, R. J. & Steiner, G. A. (1961), A model for predictive measurements of advertising effectiveness,
    Journal of Marketing 25(6), 59-62.

    Examples
    --------
    >>> import opsmetrics as om
    >>> steps = om.aipl_steps(awareness="view", interest=["search", "cart"], purchase="pay")
    >>> om.funnel(om.make_events(200, rng=1), steps, customer="customer", event="event", time="time").table["step"].tolist()
    ['awareness', 'interest', 'purchase', 'loyalty']
    """
    return _labelled(_AIPL, labels, (awareness, interest, purchase, purchase if loyalty is None else loyalty))


def aarrr_steps(
    *, acquisition: Of, activation: Of, retention: Of, referral: Of, revenue: Of, labels: Literal["zh", "en"] | Mapping[str, str] = "en"
) -> list[Step]:
    """The steps of AARRR (also known as: 海盗模型): acquisition, activation, retention, referral, revenue.

    Referral is optional: few customers refer others, and those who pay without it have not failed.

    Parameters
    ----------
    acquisition, activation, retention, referral, revenue : str, int, list or mapping
        The shop's events of each stage, as `Step` takes them.
    labels : str or mapping
        The language of the labels, "en" or "zh", or a label for each English one.

    Returns
    -------
    list of Step
        To be given to `funnel`, which counts customers.

    Raises
    ------
    ParameterError
        Unknown labels; a mapping that leaves some out.

    References
    ----------
    McClure, D. (2007), Startup metrics for pirates: AARRR.

    Examples
    --------
    >>> import opsmetrics as om
    >>> steps = om.aarrr_steps(acquisition="signup", activation="view", retention="login", referral="invite", revenue="pay")
    >>> [(step.label, step.of) for step in steps]
    [('acquisition', 'signup'), ('activation', 'view'), ('retention', 'login'), ('referral', 'invite'), ('revenue', 'pay')]
    >>> [step.label for step in steps if step.optional]
    ['referral']
    """
    return _labelled(_AARRR, labels, (acquisition, activation, retention, referral, revenue), optional={3})


def _labelled(
    names: Mapping[str, Sequence[str]],
    labels: str | Mapping[str, str],
    events: Sequence[Of],
    optional: frozenset[int] | set[int] = frozenset(),
) -> list[Step]:
    """Steps with the labels of a language, or with those that the caller gives."""
    chosen = _checks.names("labels", labels, names)
    return [Step(of, label=label, optional=place in optional) for place, (of, label) in enumerate(zip(events, chosen, strict=True))]
