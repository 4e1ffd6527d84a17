"""Customer lifetime value from orders."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

from opsmetrics import _checks, _frames, _output, _render
from opsmetrics._frames import Column, Floats, Ints, Use
from opsmetrics._kernels.histories import Histories
from opsmetrics._results import SHOWN, Held, Result, Table, dropped_notes, shown, table_of
from opsmetrics.customers import MissingCustomer, Refunds
from opsmetrics.errors import ColumnError, DataError, ParameterError, warn
from opsmetrics.lifetime_value import choices, doors, outcomes, validations
from opsmetrics.lifetime_value.choices import Chosen, Model
from opsmetrics.lifetime_value.doors import DAYS_IN, Door
from opsmetrics.lifetime_value.fits import PurchaseFit, discounting, one_time_buyers
from opsmetrics.lifetime_value.fitted import around, demand_parameters
from opsmetrics.lifetime_value.specs import PurchaseModel
from opsmetrics.lifetime_value.spending import GammaGamma, GammaGammaFit, warn_of_no_mean
from opsmetrics.lifetime_value.summaries import CLVSummary, clv_summary
from opsmetrics.lifetime_value.validations import Validation
from opsmetrics.lifetime_value.worth import Base, Models, Question

FrameT = TypeVar("FrameT")
FrameT_co = TypeVar("FrameT_co", covariant=True)

RESERVED: Final = frozenset({
    "p_alive", "expected_purchases", "expected_purchases_low", "expected_purchases_high", "purchases_low", "purchases_high",
    "expected_amount", "value", "value_low", "value_high", "outcome_low", "outcome_high",
})  # fmt: skip
"""Columns that the table of values gets, besides those of the summary."""

TOTALS: Final = ("customers", *sorted(RESERVED - {"p_alive", "expected_amount"}))
"""Columns of sums."""


@dataclass(frozen=True, slots=True)
class People:
    """The customers of a table, as they were before anybody could change it: a frame of their ids, their histories and mean amounts."""

    ids: Any
    histories: Histories
    z: Floats


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CLV(Result[FrameT_co]):
    """What each customer is worth over a horizon, as `clv` returns it.

    Attributes
    ----------
    table : frame
        One row per customer: the columns of `clv_summary`, then ``p_alive``; ``expected_purchases`` within the horizon, the ends of the
        interval of this mean (``expected_purchases_low``, ``_high``) and those between which the number will lie (``purchases_low``,
        ``purchases_high``); ``expected_amount`` per purchase; ``value``, the mean of what the customer will bring, discounted, in the unit
        of `amount` times `margin`, with the interval of this mean (``value_low``, ``value_high``), and with the ends between which what he
        does bring will lie (``outcome_low``, ``outcome_high``).
    totals : frame
        One row for all customers: ``customers``, and sums of purchases and value with the same two kinds of intervals.
    fit : BetaGeoFit, ModifiedBetaGeoFit or ParetoNBDFit
        The model of buying.
    spend_fit : GammaGammaFit
        The model of amounts.
    choice : frame
        Of ``model="auto"`` and ``"auto_holdout"``: the models that were fitted, and what speaks for each; else the one model.
    customer : str
        The name of the customer column.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=500, rng=1)
    >>> values = om.clv(orders, customer="customer", time="time", amount="amount", horizon="180D", model="mbg_nbd")
    >>> bool((values.table["value"] >= 0).all())
    True
    """

    customer: str
    fit: PurchaseFit
    spend_fit: GammaGammaFit
    _orders: Held
    _asked: dict[str, Any]
    _people: People

    totals = Table()
    choice = Table()

    def _view(self) -> _render.View:
        names, rows = _output.head(self._tables["totals"])
        total = dict(zip(names, rows[0], strict=True))
        columns, best = _output.head(_most_valuable(self._tables["table"], self.customer))
        sure = f"{self.params['confidence']:.0%}"
        notes = [
            f"all customers: value {_money(total['value'])}; {sure} intervals: of the mean {_range(total, 'value')}, of the outcome "
            + _range(total, "outcome"),
            "the most valuable first; all: .table; groups: .by(). Both intervals suppose that the model is right: .validate() tells",
            *self.fit.warnings, *self.spend_fit.warnings, *dropped_notes(self.dropped),
        ]  # fmt: skip
        return _render.View(
            title=f"Customer lifetime value: {_output.height(self._tables['table']):,} customers, {self.fit.title}",
            facts=shown(self.params),
            columns=columns,
            rows=best,
            ids=[self.customer],
            total_rows=_output.height(self._tables["table"]),
            notes=notes,
        )

    def by(self, segments: object, *, label: str = "segment") -> CLVBreakdown[FrameT_co]:
        """Values of groups of customers, such as segments or stages (also known as: 分群价值).

        All customers share the parameters, so the means of groups err together: intervals of groups do not add up to that of all.

        Parameters
        ----------
        segments : RFM, Staged, or frame
            One row per customer with the customer column and the label. Customers whom it does not know are a group without a label.
        label : str
            The column of the group.

        Returns
        -------
        CLVBreakdown
            ``.table`` has one row per group: customers as a count, purchases as counts, value as money.

        Raises
        ------
        ColumnError
            A missing column; customers of another type.
        DataError
            A customer in two rows.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=500, rng=1)
        >>> columns = {"customer": "customer", "time": "time", "amount": "amount"}
        >>> values = om.clv(orders, **columns, model="mbg_nbd")
        >>> report = om.rfm(orders, **columns, as_of="2025-12-31")
        >>> int(values.by(report).table["customers"].sum())
        500
        """
        _checks.free("label", label, TOTALS)
        uses = [Use("customer", self.customer, "key"), Use("label", label, "label")]
        known, _ = _frames.columns("segments", table_of(segments), uses)
        own = _frames.in_memory(self._people.ids)
        (here, there), people = _frames.encode_together([own[self.customer], known[self.customer]], uses[0], ("the values", "segments"))
        labels, names = _frames.encode(known[label], uses[1])
        there, labels = there[there >= 0], labels[there >= 0]  # who has no id is nobody's customer
        if len(np.unique(there)) < len(there):
            raise DataError(f"customer={self.customer!r} repeats in segments; each customer is in one group.", code="data.repeated")
        group_of = np.full(len(people), -1, dtype=np.int64)
        group_of[there] = labels
        group = group_of[here]
        group[group < 0] = len(names)
        content = self._sums(group, len(names) + 1)
        some = np.flatnonzero(content["customers"])
        place = np.where(some < len(names), some, -1)
        columns: dict[str, Column] = {label: _output.take_or_null(names, place)}
        columns |= {name: values[some] for name, values in content.items()}
        params = {name: self.params[name] for name in ("model", "as_of", "horizon", "discount_rate", "margin", "confidence")}
        return CLVBreakdown(
            _tables={"table": _output.build(own.implementation, columns)}, params=params | {"label": label}, dropped={}, label=label
        )

    def validate(self, *, calibration_end: str | dt.date | dt.datetime | np.datetime64 | None = None) -> Validation[FrameT_co]:
        """Fit on the first part of the orders, predict the second, and report how well that went (also known as: 留出验证, 回测).

        Models that were handed over as fits are estimated anew, with the same penalty. Orders behind a relation or a scan are read again.

        Parameters
        ----------
        calibration_end : str, date, datetime or datetime64, optional
            The last day that models learn from; by default the middle between the first order and `as_of`.

        Returns
        -------
        Validation
            Scores against naive rules, the tracking curve, frequencies, calibration of purchases, PIT and coverage of intervals.

        Raises
        ------
        DataError
            Nobody bought before `calibration_end`; orders behind a relation or a scan that are not as many, or not up to the same time, as
            when they were valued.
        FitError
            Too little before `calibration_end` to fit a model.
        ParameterError
            A `calibration_end` that is not before `as_of`; a result from another process, to which its orders did not travel.

        Warns
        -----
        OpsmetricsWarning
            What the fits to the first part should be known by; that nobody bought in the second, so that there is no bias and no gini.

        References
        ----------
        See `Validation`.

        Examples
        --------
        >>> import opsmetrics as om
        >>> orders = om.make_orders(customers=500, rng=1)
        >>> values = om.clv(orders, customer="customer", time="time", amount="amount", model="mbg_nbd")
        >>> values.validate().table["rule"].tolist()[0]
        'MBG/NBD'
        """
        models = Models(self.fit, self.spend_fit)
        return validations.validate(self._orders, models, self._asked, self.params, calibration_end)

    def _sums(self, group: Ints, size: int) -> dict[str, Any]:
        """Sums of groups."""
        base = Base.of(Models(self.fit, self.spend_fit), self._people.histories, self._people.z, self._asked["question"])
        return outcomes.totals(base, outcomes.Coming.of(base), group, size, np.random.default_rng(self._asked["seed"]))


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CLVBreakdown(Result[FrameT_co]):
    """Values of groups of customers, as `CLV.by` returns them.

    Attributes
    ----------
    table : frame
        One row per group, in order of appearance: the label, ``customers``; ``expected_purchases`` and ``value`` with the intervals of
        these means (``_low``, ``_high``), and the ends between which purchases and values will lie (``purchases_low``, ``outcome_low``,
        ...).
    label : str
        The name of the column of the group.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=500, rng=1)
    >>> columns = {"customer": "customer", "time": "time", "amount": "amount"}
    >>> report = om.rfm(orders, **columns, as_of="2025-12-31")
    >>> om.clv(orders, **columns, model="mbg_nbd").by(report).label
    'segment'
    """

    label: str


def clv(
    orders: FrameT,
    *,
    customer: str,
    time: str,
    amount: str,
    horizon: int | str | dt.timedelta = "365D",
    discount_rate: float = 0.10,
    model: Model | PurchaseModel[PurchaseFit] | PurchaseFit = "bg_nbd",
    spend_model: GammaGamma | GammaGammaFit | None = None,
    margin: float = 1.0,
    as_of: str | dt.date | dt.datetime | np.datetime64 | None = None,
    tz: str | None = None,
    refunds: Refunds = "net",
    missing_customer: MissingCustomer = "error",
    confidence: float = 0.95,
    rng: int | np.random.Generator | None = 0,
) -> CLV[FrameT]:
    """What each customer will be worth, and how sure that is (also known as: 客户终身价值, CLV, LTV).

    A model of buying (days with a purchase, local calendar) and the Gamma-Gamma model of amounts are fitted to all customers. The value is
    margin times the discounted purchases to expect within the horizon times the mean amount. Two intervals tell different things: that of
    the *mean*, which narrows with the number of customers (delta method), and that of the *outcome*, in which what a customer brings will
    lie.

    Parameters
    ----------
    orders : frame
        One row per order or order line. pandas, polars (eager or lazy), pyarrow, or a DuckDB relation.
    customer, time, amount : str
        Columns of the customer (whole numbers or text), the time (dates or timestamps) and the money (any currency).
    horizon : int, str or timedelta
        So many days ahead, at most 100 years of them: 365, "365D", "52W".
    discount_rate : float
        Per year of 365.2425 days, continuously compounded, from 0 to 10: a purchase after u years counts exp(-discount_rate u).
    model : {"bg_nbd", "mbg_nbd", "pareto_nbd", "auto", "auto_holdout"}, model or fit
        The model of buying; "auto" fits all three and takes the one with the highest likelihood (they have as many parameters), and
        "auto_holdout" the one that predicts the second half of the orders best from the first (by the mean ranked probability score). Or a
        model such as ``om.BetaGeo(penalty=0.01)``; or a fit by days without covariates, such as last month's, read from JSON, which is
        not estimated again.
    spend_model : GammaGamma or GammaGammaFit, optional
        The model of amounts, or its fit; by default `GammaGamma` without a penalty.
    margin : float
        The share of the amount that is kept, above 0 and at most 1.
    as_of : str, date, datetime or datetime64, optional
        The last moment that the data covers, as in `clv_summary`; by default the local day of the last row.
    tz : str, optional
        The shop's time zone, as in `customer_summary`.
    refunds : {"net", "drop", "error"}
        As in `clv_summary`.
    missing_customer : {"error", "drop"}
        As in `clv_summary`.
    confidence : float
        Of both intervals, between 0 and 1.
    rng : int or Generator
        Seed of the draws that the ends of ``outcome_low`` and ``outcome_high`` are found by; the same seed gives the same table.

    Returns
    -------
    CLV
        ``.table`` has one row per customer: purchases as counts, amounts and values in the unit of `amount`, probabilities as fractions.

    Raises
    ------
    ColumnError
        A column that is missing, repeated or of the wrong type.
    DataError
        No rows, no purchase up to `as_of`, null customers under "error", refunds under "error".
    FitError
        No customer with a repeat purchase.
    ParameterError
        An argument outside its rule.

    Warns
    -----
    OpsmetricsWarning
        What a fit should be known by before its numbers are used; that BG/NBD takes all one-time buyers to be alive.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. & Lee, K. L. (2005), RFM and CLV: using iso-value curves for customer base analysis, Journal of Marketing
    Research 42, 415-430; Fader, P. S. & Hardie, B. G. S. (2013), The Gamma-Gamma model of monetary value.

    Examples
    --------
    >>> import opsmetrics as om
    >>> orders = om.make_orders(customers=500, rng=1)
    >>> values = om.clv(orders, customer="customer", time="time", amount="amount", horizon="180D", model="mbg_nbd")
    >>> row = values.totals.to_dict("records")[0]
    >>> row["outcome_low"] < row["value_low"] < row["value"] < row["value_high"] < row["outcome_high"]
    True
    """
    wanted = choices.understand(model)
    spender = choices.understand_spending(spend_model)
    if not isinstance(amount, str):
        raise ColumnError(f"amount={amount!r} is no name of a column; values need the column of the money.", code="column.name")
    question = _question(horizon, discount_rate, margin, confidence)
    random = _checks.generator("rng", rng)
    _checks.free("customer", customer, RESERVED)
    asked: dict[str, Any] = {"customer": customer, "time": time, "amount": amount, "as_of": as_of, "tz": tz, "refunds": refunds}
    asked["missing_customer"] = missing_customer
    held = Held.of("orders", orders)
    summary = clv_summary(orders, **asked)
    door = doors.enter(summary)
    chosen, models = _fitted(wanted, spender, summary, door, held, asked)
    z = _frames.columns("summary", summary.table, [Use("z", "monetary_value", "number")])[1]["z"]
    base = Base.of(models, door.histories, z, question)
    coming = outcomes.Coming.of(base)
    content = _columns(base, outcomes.value_ends(base, coming, random))
    seed = int(random.integers(2**63))  # of totals, which come out the same each time
    totals = outcomes.totals(base, coming, np.zeros(len(z), dtype=np.int64), 1, np.random.default_rng(seed))
    backend = door.table.frame.implementation
    tables = {
        "table": _output.append(door.table.frame, content),
        "totals": _output.build(backend, dict(totals)),
        "choice": _output.build(backend, chosen.columns(backend)),
    }
    params = dict(summary.params) | {
        "model": chosen.fit.title, "chosen_by": chosen.why, "horizon": int(question.span), "discount_rate": float(discount_rate),
        "margin": question.margin, "confidence": question.confidence,
    }  # fmt: skip
    return CLV(
        _tables=tables, params=params, dropped=summary.dropped, customer=customer, fit=models.buying, spend_fit=models.spending,
        _orders=held, _asked=asked | {"question": question, "seed": seed},
        _people=People(door.table.frame.select(customer).to_native(), door.histories, z),
    )  # fmt: skip


def _question(horizon: object, discount_rate: object, margin: object, confidence: object) -> Question:
    span = _checks.days("horizon", horizon, doors.LONGEST)
    if span is None:
        raise ParameterError("horizon=None: say how many days ahead, as in '365D'.", code="parameter.horizon")
    share = float(_checks.number("margin", margin))
    if not 0 < share <= 1:
        hint = f" Did you mean {share / 100:g}?" if 2 <= share < 100 else ""
        raise ParameterError(
            f"margin={margin!r} is the share of an amount that is kept, above 0 and at most 1.{hint}", code="parameter.margin"
        )
    return Question(float(span), discounting(discount_rate) / DAYS_IN["year"], share, _checks.fraction("confidence", confidence))


def _fitted(
    wanted: Any, spender: GammaGamma | GammaGammaFit, summary: CLVSummary[Any], door: Door, held: Held, asked: dict[str, Any]
) -> tuple[Chosen, Models]:
    """The model of buying that was chosen and that of amounts, and what should be known of them."""
    chosen = choices.choose(wanted, door.histories, held, asked)
    if not chosen.fit.params:
        raise choices.no_model(chosen.fit)
    spending = spender.fit(summary) if isinstance(spender, GammaGamma) else spender
    demand_parameters(spending)
    if chosen.fit.model == "bg_nbd" and (once := int(np.count_nonzero(door.histories.x == 0))):
        warn(one_time_buyers(once))
    q = spending.params["q"]
    if spending is spender:  # one that was fitted here has said so
        warn_of_no_mean(q, q <= 1, "of some of them")
    if 1 < q <= 2:
        warn(
            f"Gamma-Gamma: q = {q:.3g} is 2 or less, so the amounts of customers have no variance: a few of them decide what all bring, "
            "and how far that may lie from its mean is drawn at random."
        )
    return chosen, Models(chosen.fit, spending)


def _columns(base: Base, outcome: Floats) -> dict[str, Column]:
    """The columns of the table."""
    found, level = base.worth, base.question.confidence
    of_purchases, of_value = base.spreads()
    ends = around(found.purchases, of_purchases, level), around(found.value, of_value, level)
    purchases = outcomes.purchase_ends(base)
    return {
        "p_alive": found.alive,
        "expected_purchases": found.purchases, "expected_purchases_low": ends[0][0], "expected_purchases_high": ends[0][1],
        "purchases_low": purchases[0], "purchases_high": purchases[1],
        "expected_amount": found.amount,
        "value": found.value, "value_low": ends[1][0], "value_high": ends[1][1],
        "outcome_low": outcome[0], "outcome_high": outcome[1],
    }  # fmt: skip


def _most_valuable(table: Any, customer: str) -> Any:
    """The rows of the highest values, and the columns that matter most."""
    frame = _frames.in_memory(table)
    names = [
        customer, "p_alive", "expected_purchases", "purchases_low", "purchases_high", "expected_amount", "value", "value_low", "value_high",
        "outcome_low", "outcome_high",
    ]  # fmt: skip
    return frame.select(names).sort("value", descending=True, nulls_last=True).head(SHOWN).to_native()


def _range(total: Mapping[str, Any], name: str) -> str:
    return f"{_money(total[f'{name}_low'])} to {_money(total[f'{name}_high'])}"


def _money(value: Any) -> str:
    return "not known" if value is None else f"{value:,.0f}"
