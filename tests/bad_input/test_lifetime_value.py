"""Lifetime value: histories that cannot be, arguments outside their rules, saved fits that are none, fits without parameters."""

from __future__ import annotations

import datetime as dt
import json
import math
import pickle
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import opsmetrics as om
from benchmarks.peers import fitted as fitted_by_lifetimes
from benchmarks.peers import heard, lifetimes
from tests.bad_input.cases import Case, check_refused, refuse, settled
from tests.lifetime_value.inputs import BB, BG, HISTORY, MBG, MODELS, PARETO, at, quiet, rows, simulated, spending
from tests.support import Kind

P, C, D, F = om.ParameterError, om.ColumnError, om.DataError, om.FitError
TYPE, MISSING, NAME, REPEATED, RESERVED = ((C, f"column.{rule}") for rule in ("type", "missing", "name", "repeated", "reserved"))
RECENCY, FREQUENCY, KIND, WEIGHTS, EMPTY = ((D, f"data.{rule}") for rule in ("recency", "frequency", "kind", "weights", "empty"))
UNIT, PENALTY, CONFIDENCE, HORIZON = ((P, f"parameter.{rule}") for rule in ("unit", "penalty", "confidence", "horizon"))
RATE, MARGIN, SAVED, FITTER = ((P, f"parameter.{rule}") for rule in ("discount_rate", "margin", "saved", "fitter"))
NO_PARAMETERS = (F, "fit.parameters")

ORDERS: dict[str, Any] = {"customer": "customer", "time": "time", "amount": "amount", "model": "mbg_nbd"}
ONE = rows([1], [2], [3])


def people(**columns: Any) -> pd.DataFrame:
    """Four customers as a summary has them; any column may be given anew, or left out with None."""
    usual: dict[str, Any] = {
        "uid": list("abcd"),
        "frequency": [0, 2, 5, 1],
        "recency": [0.0, 20.0, 30.0, 9.0],
        "T": [30.0, 40.0, 35.0, 50.0],
        "monetary_value": [0.0, 20.0, 31.0, 12.0],
        "people": [3, 2, 1, 4],
        "z": [0.0, 1.0, 1.0, 0.0],
    }
    return pd.DataFrame({name: values for name, values in (usual | columns).items() if values is not None})


def objects(*values: Any) -> pd.Series:
    return pd.Series(list(values), dtype=object)


def fit(frame: Any = None, spec: Any = None, **choices: Any) -> Callable[[], Any]:
    """A fit of the four; it may warn of how few they are."""
    return lambda: quiet((spec or om.ModifiedBetaGeo()).fit, people() if frame is None else frame, **choices)


def with_(**columns: Any) -> Callable[[], Any]:
    return fit(people(**columns))


def amounts(**columns: Any) -> Callable[[], Any]:
    return fit(people(**columns), om.GammaGamma())


@cache
def orders() -> pd.DataFrame:
    return om.make_orders(200, rng=1)


def clv(frame: Any = None, **choices: Any) -> Callable[[], Any]:
    return lambda: quiet(om.clv, orders() if frame is None else frame, **(ORDERS | choices))


def given(make: Callable[[], Any], argument: str = "model") -> Callable[[], Any]:
    """Values by a fit that is made when they are asked for."""

    def call() -> Any:
        return clv(**{argument: make()})()

    return call


def of(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[], Any]:
    """The values of orders, changed."""
    return lambda: quiet(om.clv, change(orders()), **ORDERS)


def named(column: str) -> Callable[[], Any]:
    """The values of orders whose customers are in a column of this name."""
    return lambda: quiet(om.clv, orders().rename(columns={"customer": column}), **(ORDERS | {"customer": column}))


@cache
def values() -> Any:
    return om.clv(orders(), **ORDERS)


def by(change: Callable[[pd.DataFrame], Any] = lambda frame: frame, **choices: Any) -> Callable[[], Any]:
    """Groups of the customers, changed."""
    return lambda: values().by(change(values().table[["customer"]].assign(segment="x")), **choices)


def validated(calibration_end: Any) -> Callable[[], Any]:
    return lambda: values().validate(calibration_end=calibration_end)


@cache
def moved() -> Any:
    """A fit with a covariate."""
    frame = simulated(PARETO, 300, 1)
    return quiet(om.ParetoNBD().fit, frame.assign(z=np.arange(300) % 2), purchase_covariates=["z"])


@cache
def weekly() -> Any:
    """A fit that counts weeks."""
    return quiet(om.BetaGeo().fit, simulated(PARETO, 300, 1), unit="week")


@cache
def periods() -> Any:
    """A fit of periods in which one buys or does not."""
    return quiet(om.BetaGeoBetaBinom().fit, rows([0, 1, 2, 3, 1], [0, 3, 4, 5, 2], [6, 6, 6, 6, 6]), unit="month")


@cache
def no_amounts() -> Any:
    """A fit of amounts without parameters."""
    return quiet(om.GammaGamma().fit, people(frequency=[0] * 4, recency=[0.0] * 4, monetary_value=[0.0] * 4))


@cache
def nothing() -> Any:
    """A fit without parameters."""
    return quiet(om.BetaGeo().fit, rows([0, 0], [0, 0], [5, 7]))


def saved(**changes: Any) -> Callable[[], Any]:
    """A fit read back from what `to_dict` wrote, with changes."""
    return lambda: om.ParetoNBDFit.from_dict(json.loads(json.dumps(at(PARETO).to_dict())) | changes)


def params(**changes: Any) -> dict[str, Any]:
    return dict(PARETO.params) | changes


def covariance(value: Any, names: Any = tuple(PARETO.params)) -> dict[str, Any]:
    return {a: dict.fromkeys(names, value) for a in names}


def tilted(apart: float, size: float = 0.0) -> dict[str, Any]:
    """A covariance whose entries for r and alpha differ, or are larger than their variances allow."""
    found = json.loads(json.dumps(at(PARETO).to_dict()))["covariance"]
    found["r"]["alpha"] += size + apart
    found["alpha"]["r"] += size
    return found


def inside_out(names: Any = tuple(PARETO.params)) -> dict[str, Any]:
    """Pairs that are each possible, and together are not."""
    return {a: {b: 1.0 if a == b else -0.9 for b in names} for a in names}


def without(key: str) -> Callable[[], Any]:
    return lambda: om.ParetoNBDFit.from_dict({name: value for name, value in at(PARETO).to_dict().items() if name != key})


def saved_amounts(**changes: Any) -> Callable[[], Any]:
    return lambda: om.GammaGammaFit.from_dict(spending(6.0, 4.0, 15.0).to_dict() | changes)


@cache
def fitter(name: str) -> Any:
    return fitted_by_lifetimes(name, [simulated(BG, 200, 1)[column] for column in HISTORY])


def negative() -> Any:
    """A fitter whose parameters somebody wrote over."""
    given = at(BG).to_lifetimes()
    given.data, given.params_ = fitter("BetaGeoFitter").data, -given.params_
    return given


IDS: dict[str, Callable[..., Any]] = {
    "p_alive": lambda fit, summary: fit.p_alive(summary),
    "expected_purchases": lambda fit, summary: fit.expected_purchases(3, summary),
    "purchase_probability": lambda fit, summary: fit.purchase_probability(0, 3, summary),
    "discounted_purchases": lambda fit, summary: fit.discounted_purchases(summary, horizon=30),
    "expected_amount": lambda _, summary: spending(6.0, 4.0, 15.0).expected_amount(summary),
    "expected_amount_low": lambda _, summary: spending(6.0, 4.0, 15.0).expected_amount(summary, confidence=0.9),
}


def ids_in(column: str, ask: Callable[..., Any]) -> Callable[[], Any]:
    """A prediction of customers whose ids are in a column of its name."""

    def call() -> Any:
        summary = om.clv_summary(orders().rename(columns={"customer": column}), customer=column, time="time", amount="amount")
        return ask(om.ModifiedBetaGeo().fit(summary), summary)

    return call


def from_lifetimes(kind: Any, name: str, **choices: Any) -> Callable[[], Any]:
    return lambda: kind.from_lifetimes(fitter(name), **choices)


CASES_HISTORIES = [
    *[
        refuse(f"{name} in the index", fit(people().set_index(name)), *MISSING, f"{name!r} is in the index", ".reset_index()")
        for name in ("frequency", "recency", "T")
    ],
    refuse("one of two in the index", fit(people().set_index(["uid", "T"])), *MISSING, "'T' is in the index"),
    *[refuse(f"{name} missing", with_(**{name: None}), *MISSING, repr(name)) for name in ("frequency", "recency", "T")],
    refuse("frequency null", with_(frequency=[0, 2, None, 1]), *FREQUENCY, "null or infinite in 1 of 4 rows"),
    refuse("frequency null throughout", with_(frequency=pd.Series([None] * 4, dtype="Int64")), *FREQUENCY, "4 of 4 rows"),
    refuse("frequency negative", with_(frequency=[0, 2, -1, 1]), *FREQUENCY, "frequency=-1", "whole number"),
    refuse("frequency a fraction", with_(frequency=[0, 2, 1.5, 1]), *FREQUENCY, "frequency=1.5", "counts repeat purchases"),
    refuse("frequency nobody has", with_(frequency=[0, 2, 10**7, 1]), *FREQUENCY, "1,000,000"),
    refuse("frequency infinite", with_(frequency=[0, 2, math.inf, 1]), *FREQUENCY, "null or infinite"),
    refuse("frequency text", with_(frequency=list("0251")), *TYPE, "pandas.to_numeric"),
    refuse("frequency true and false", with_(frequency=[False, True, True, True]), *TYPE, "Boolean"),
    refuse("frequency dates", with_(frequency=pd.to_datetime(["2026-01-01"] * 4)), *TYPE, "must hold numbers"),
    refuse("frequency mixed", with_(frequency=objects(0, 2, "x", 1)), *TYPE),
    refuse("frequency lists", with_(frequency=objects([0], [2], [3], [1])), *TYPE),
    refuse("frequency categories", with_(frequency=pd.Categorical([0, 2, 5, 1])), *TYPE, "Categorical"),
    refuse("recency a span of time", with_(recency=pd.to_timedelta([0, 20, 30, 9], unit="D")), *TYPE, "recency"),
    refuse("recency above T", with_(recency=[0, 20, 36, 9.0]), *RECENCY, "recency=36 with T=35 in row 2", "RFM's recency", "T - recency"),
    refuse("recency negative", with_(recency=[0, -1, 30, 9.0]), *RECENCY, "recency=-1", "row 1"),
    refuse("recency without a repeat", with_(recency=[1.0, 20, 30, 9]), *RECENCY, "recency=1 with frequency=0", "leaves out the first"),
    refuse("recency null", with_(recency=[0, math.nan, 30, 9]), *RECENCY, "1 of 4 rows"),
    refuse("recency infinite", with_(recency=[0, 20, math.inf, 9], T=[30, 40, math.inf, 50]), *RECENCY),
    refuse("T negative", with_(T=[-1, 40, 35, 50.0]), *RECENCY, "T=-1"),
    refuse("T infinite", with_(T=[30, 40, math.inf, 50]), D, "data.t", "T is null or infinite in 1 of 4 rows"),
    refuse("T null", with_(T=[30, 40, None, 50]), D, "data.t", "1 of 4 rows"),
    refuse("T beyond measure", with_(T=[30, 40, 1e300, 50]), D, "data.t", "T=1e+300", "beyond measure", "1e+15"),
    refuse("times below measure", fit(rows([0, 2], [0, 2e-310], [3e-310, 4e-310])), *RECENCY, "2e-310", "beyond measure"),
    refuse("empty", fit(people().head(0)), *EMPTY, "summary has no rows"),
    refuse("empty arrays", fit(rows([], [], [])), *EMPTY),
    refuse("a mapping of nothing", fit({}), *MISSING, "frequency"),
    *[
        refuse(f"a {type(frame).__name__}", fit(frame), *KIND, f"summary is a {type(frame).__name__}, not a table")
        for frame in ([1, 2], "x", 5, np.zeros((3, 3)), pd.Series([1]))
    ],
    refuse("None", lambda: om.BetaGeo().fit(None), *KIND, "NoneType"),
    refuse("arrays of different lengths", fit(rows([0, 1], [0, 1, 2], [3, 4])), *KIND, "(3,)", "one length"),
    refuse("a matrix", fit(rows([[1]], [[2]], [[3]])), *KIND, "(1, 1)"),
    refuse("ragged lists", fit(rows([[1], [2, 3]], [1, 2], [3, 4])), *KIND, "unequal length in 'frequency'", "one number per customer"),
    refuse("masked arrays", fit(rows(np.ma.array([1, 2], mask=[0, 1]), [1, 2], [3, 4])), *FREQUENCY, "1 of 2 rows"),
    refuse("arrays of text", fit(rows(["a"], ["b"], ["c"])), *TYPE),
    refuse("arrays with None", fit(rows([1, None], [1, 2], [3, 4])), *TYPE),
    refuse("arrays of dates", fit(rows([1, 2], [dt.date(2026, 1, 1)] * 2, [3, 4])), *TYPE),
    refuse("arrays by number", fit({1: [1], 2: [2]}), *MISSING),
    refuse("two columns of one name", fit(pd.concat([people(), people()[["T"]]], axis=1)), C, "column.duplicate", "'T'"),
    refuse(
        "a summary of the other kind",
        lambda: om.BetaGeo().fit(om.customer_summary(orders(), customer="customer", time="time", amount="amount", as_of="2025-12-31")),
        *MISSING,
        "'T'",
    ),
    refuse("weights missing", fit(weights="peple"), *MISSING, "Did you mean 'people'?"),
    refuse("weights negative", fit(people(people=[3, -1, 1, 1]), weights="people"), *WEIGHTS, "'people'", "the smallest is -1"),
    refuse("weights zero", fit(people(people=[0] * 4), weights="people"), *WEIGHTS, "not all of them 0"),
    refuse("weights null", fit(people(people=[3, None, 1, 1]), weights="people"), *WEIGHTS, "1 of 4 rows"),
    refuse("weights infinite", fit(people(people=[3, math.inf, 1, 1]), weights="people"), *WEIGHTS),
    refuse("weights text", fit(people(people=list("abcd")), weights="people"), *TYPE),
    refuse("weights true and false", fit(people(people=[True] * 4), weights="people"), *TYPE),
    refuse("weights a number", fit(weights=5), *NAME, "5"),
    *[
        refuse(f"weights in a {type(given).__name__}, {told}, {spec.__name__}", fit(made, spec(), weights=given), *NAME, says, "name their")
        for spec in (*(model.spec for model in MODELS), om.GammaGamma)
        for told, made in (("frame", None), ("arrays", {name: people()[name].to_numpy() for name in people()}))
        for given, says in (
            ([1, 2, 3, 4], "weights=[1, 2, 3, 4] is"),
            (np.arange(900.0), "weights=array([ 0., 1."),
            (people()["people"], "weights=0 3 1 2"),
        )
    ],
    refuse("weights the frequency", fit(weights="frequency"), *REPEATED, "frequency"),
    refuse("unit unknown", fit(unit="weak"), *UNIT, "Did you mean 'week'?"),
    refuse("unit of pandas", fit(unit="D"), *UNIT, "'day'"),
    refuse("unit a number", fit(unit=7), *UNIT),
    refuse(
        "unit another than the summary's",
        lambda: om.BetaGeo().fit(om.clv_summary(orders(), customer="customer", time="time"), unit="week"),
        *UNIT,
        "counts in days",
        "leave unit out",
    ),
    *[
        refuse(f"penalty {penalty!r} of {spec.__name__}", lambda spec=spec, penalty=penalty: spec(penalty=penalty), *PENALTY, repr(penalty))
        for spec in (om.BetaGeo, om.ModifiedBetaGeo, om.ParetoNBD, om.BetaGeoBetaBinom, om.GammaGamma)
        for penalty in (-1, math.nan)
    ],
    *[
        refuse(f"penalty {penalty!r}", lambda penalty=penalty: om.BetaGeo(penalty=penalty), *PENALTY)
        for penalty in (math.inf, "1", None, True)
    ],
]

CASES_PERIODS = [
    refuse(
        "BG/BB, recency a fraction", fit(rows([1, 0], [1.5, 0], [3, 3]), om.BetaGeoBetaBinom()), *RECENCY, "whole numbers", "unit='month'"
    ),
    refuse("BG/BB, T a fraction", fit(rows([1, 0], [1, 0], [3.5, 3]), om.BetaGeoBetaBinom()), *RECENCY, "whole numbers"),
    refuse(
        "BG/BB, frequency above recency", fit(rows([3, 0], [2, 0], [3, 3]), om.BetaGeoBetaBinom()), *FREQUENCY, "one purchase per period"
    ),
    refuse("BG/BB, frequency without recency", fit(rows([1, 0], [0, 0], [3, 3]), om.BetaGeoBetaBinom()), *FREQUENCY),
    refuse("BG/BB, a prediction of half a recency", lambda: at(BB).p_alive(rows([1], [1.5], [3])), *RECENCY, "whole numbers"),
    refuse("BG/BB, a prediction of half a T", lambda: at(BB).expected_purchases(3, rows([1], [2], [3.5])), *RECENCY, "whole numbers"),
    refuse(
        "BG/BB, a prediction of more purchases than periods",
        lambda: at(BB).p_alive(rows([3], [2], [3])),
        *FREQUENCY,
        "one purchase per period",
    ),
    refuse("BG/BB, t a fraction", lambda: at(BB).expected_purchases(1.5, ONE), P, "parameter.t", "whole number of periods"),
]

CASES_AMOUNTS = [
    refuse("monetary_value missing", amounts(monetary_value=None), *MISSING, "monetary_value"),
    refuse("monetary_value null", amounts(monetary_value=[0, None, 1.0, 2]), D, "data.monetary_value", "1 of 4 rows"),
    refuse("monetary_value infinite", amounts(monetary_value=[0, math.inf, 1, 2]), D, "data.monetary_value"),
    refuse("monetary_value beyond measure", amounts(monetary_value=[0, 1e300, 1e-300, 5.0]), D, "data.monetary_value", "1e+300"),
    refuse("monetary_value text", amounts(monetary_value=list("abcd")), *TYPE),
    refuse("frequency a fraction", amounts(frequency=[0, 1.5, 1, 2]), *FREQUENCY, "1.5"),
    refuse("frequency negative", amounts(frequency=[0, -1, 1, 2]), *FREQUENCY),
    refuse("empty", fit(people().head(0), om.GammaGamma()), *EMPTY),
    refuse("weights negative", fit(people(people=[-1, 1, 1, 1]), om.GammaGamma(), weights="people"), *WEIGHTS),
    refuse("weights missing", fit(spec=om.GammaGamma(), weights="x"), *MISSING),
    refuse("amounts null", lambda: spending(6, 4, 15).expected_amount(people(monetary_value=[0, None, 1.0, 2])), D, "data.monetary_value"),
    refuse("amounts missing", lambda: spending(6, 4, 15).expected_amount(people(monetary_value=None)), *MISSING),
    refuse("confidence 95", lambda: spending(6, 4, 15).expected_amount(people(), confidence=95), *CONFIDENCE, "Did you mean 0.95?"),
    refuse("confidence of nobody", lambda: spending(6, 4, 15).expected_amount(confidence=0.9), *CONFIDENCE, "a summary too"),
]

CASES_COVARIATES = [
    *[
        refuse(f"{part} {told}", fit(people(**columns), om.ParetoNBD(), **{f"{part}_covariates": given}), *rule, *says)
        for part in ("purchase", "dropout")
        for told, columns, given, rule, says in (
            ("missing", {}, ["zz"], MISSING, (f"{part}_covariates[0]", "Did you mean 'z'?")),
            ("constant", {"z": 1.0}, ["z"], (F, "fit.covariates"), ("['z']", "do not differ")),
            ("collinear", {"y": [1.0, 3.0, 3.0, 1.0]}, ["z", "y"], (F, "fit.covariates"), ("follows from the others",)),
            ("null", {"z": [0, None, 1.0, 1]}, ["z"], (D, "data.covariates"), ("'z'", "must be known of every customer")),
            ("infinite", {"z": [0, math.inf, 1.0, 1]}, ["z"], (D, "data.covariates"), ("'z'",)),
            ("huge", {"z": [0, 1e155, 1.0, 1]}, ["z"], (D, "data.covariates"), ("'z'", "1e+155", "beyond measure")),
            ("tiny", {"z": [0, 1e-170, 0.0, 0]}, ["z"], (D, "data.covariates"), ("'z'", "1e-170", "beyond measure")),
            ("text", {"z": list("abcd")}, ["z"], TYPE, ("'z'",)),
            ("true and false", {"z": [True, False, True, False]}, ["z"], TYPE, ("Boolean",)),
            ("repeated", {}, ["z", "z"], REPEATED, ("'z'",)),
            ("a text", {}, "z", (P, f"parameter.{part}_covariates"), ("must be a list",)),
            ("None", {}, None, (P, f"parameter.{part}_covariates"), ("must be a list",)),
            ("a number", {}, [5], NAME, ("5",)),
            ("nested", {}, [["z"]], NAME, ()),
        )
    ],
    *[refuse(f"{model} constant", fit(people(z=1.0), model.spec(), dropout_covariates=["z"]), F, "fit.covariates") for model in (BG, MBG)],
    refuse(
        "a new customer", lambda: moved().expected_purchases(3), P, "parameter.summary", "['z']", "a row with frequency, recency and T of 0"
    ),
    refuse("a new customer's chance", lambda: moved().purchase_probability(0, 3), P, "parameter.summary", "['z']"),
    refuse("not in the summary", lambda: moved().p_alive(ONE), *MISSING, "'z'"),
    refuse(
        "far beyond those of the fit",
        lambda: moved().p_alive(rows([1, 1], [2, 2], [3, 3]) | {"z": [1e6, -1e6]}),
        D,
        "data.covariates",
        "far beyond the customers that the fit knows",
    ),
    refuse("null in the summary", lambda: moved().p_alive(ONE | {"z": [math.nan]}), D, "data.covariates"),
]

CASES_PREDICTIONS = [
    *[
        refuse(f"t {t!r}", lambda t=t: at(PARETO).expected_purchases(t, ONE), P, "parameter.t", repr(t))
        for t in (-1, math.nan, math.inf, "30", "30D", None, True, [1, 2], dt.timedelta(days=3), 1e16)
    ],
    refuse("t and the summary swapped", lambda: at(PARETO).expected_purchases(ONE, 30), P, "parameter.t"),
    refuse("t negative of a new customer", lambda: at(PARETO).expected_purchases(-1), P, "parameter.t", "a number of weeks, 0 or more"),
    *[
        refuse(f"x {x!r}", lambda x=x: at(PARETO).purchase_probability(x, 3), P, "parameter.x", "whole number")
        for x in (1.5, -1, math.nan, "1", None, True, 2_501, [1])
    ],
    refuse("t of more periods than BG/BB counts", lambda: at(BB).purchase_probability(0, 10**7, ONE), P, "parameter.t", "100,000", "BG/BB"),
    refuse("t of a new customer of BG/BB", lambda: at(BB).purchase_probability(0, 100_001), P, "parameter.t", "less far ahead"),
    refuse("t negative of a chance", lambda: at(PARETO).purchase_probability(1, -3), P, "parameter.t"),
    *[
        refuse(f"confidence {confidence!r}", lambda confidence=confidence: at(PARETO).p_alive(ONE, confidence=confidence), *CONFIDENCE)
        for confidence in (0, 1, -0.5, math.nan, "0.9", True)
    ],
    refuse("confidence 95", lambda: at(PARETO).p_alive(ONE, confidence=95), *CONFIDENCE, "Did you mean 0.95?"),
    refuse("confidence of a new customer", lambda: at(PARETO).expected_purchases(3, confidence=0.9), *CONFIDENCE, "a summary too"),
    refuse("for ever with BG/NBD", lambda: at(BG).discounted_purchases(ONE), *HORIZON, "for ever", "BG/NBD", "'365D'"),
    refuse("for ever with MBG/NBD", lambda: at(MBG).discounted_purchases(ONE), *HORIZON, "for ever"),
    refuse("for ever without a discount", lambda: at(PARETO).discounted_purchases(ONE, discount_rate=0), *HORIZON, "discount_rate=0"),
    refuse(
        "horizon of less than a period",
        lambda: at(BB, unit="year").discounted_purchases(ONE, horizon=10),
        *HORIZON,
        "horizon=10 days are less than half a year",
        "BG/BB",
    ),
    refuse("for ever without a discount, BG/BB", lambda: at(BB).discounted_purchases(ONE, discount_rate=0), *HORIZON),
    *[
        refuse(f"horizon {horizon!r}", lambda horizon=horizon: at(PARETO).discounted_purchases(ONE, horizon=horizon), *HORIZON)
        for horizon in (0, -5, "1 month", 1.5, math.inf, dt.timedelta(hours=5), "12M")
    ],
    *[
        refuse(
            f"horizon beyond a life, {model}",
            lambda model=model: at(model).discounted_purchases(ONE, horizon=36_526),
            *HORIZON,
            "36,525 days (100 years)",
        )
        for model in MODELS
    ],
    refuse("discount_rate 15", lambda: at(PARETO).discounted_purchases(ONE, discount_rate=15), *RATE, "0.1 is 10 %", "Did you mean 0.15?"),
    *[
        refuse(f"discount_rate {rate!r}", lambda rate=rate: at(PARETO).discounted_purchases(ONE, discount_rate=rate), *RATE)
        for rate in (-0.1, math.nan, "10%", 500, None)
    ],
    refuse("summary None", lambda: at(PARETO).p_alive(None), *KIND),
    refuse("summary without recency", lambda: at(PARETO).p_alive({"frequency": [1]}), *MISSING, "recency"),
    refuse("summary impossible", lambda: at(PARETO).p_alive(rows([1], [9], [5])), *RECENCY, "recency=9 with T=5"),
    refuse("summary empty", lambda: at(PARETO).p_alive(rows([], [], [])), *EMPTY),
    *[refuse(f"customers in a column named {name}", ids_in(name, ask), *RESERVED, repr(name)) for name, ask in IDS.items()],
    refuse(
        "summary in other units",
        lambda: at(PARETO).p_alive(om.clv_summary(orders(), customer="customer", time="time")),
        *UNIT,
        "summary counts in days, but the fit in weeks",
        "unit='week'",
    ),
    refuse("no parameters: P(alive)", lambda: nothing().p_alive(ONE), *NO_PARAMETERS, "no customer has a repeat purchase"),
    refuse("no parameters: expected", lambda: nothing().expected_purchases(3), *NO_PARAMETERS, "Nothing can be predicted"),
    refuse("no parameters: expected of some", lambda: nothing().expected_purchases(3, ONE), *NO_PARAMETERS),
    refuse("no parameters: chances", lambda: nothing().purchase_probability(0, 3), *NO_PARAMETERS),
    refuse("no parameters: discounted", lambda: nothing().discounted_purchases(ONE, horizon=3), *NO_PARAMETERS),
    refuse("no parameters: lifetimes", lambda: nothing().to_lifetimes(), *NO_PARAMETERS),
    refuse("no parameters: plot", lambda: nothing().plot(), *NO_PARAMETERS),
    refuse(
        "no parameters: amounts",
        lambda: quiet(om.GammaGamma().fit, {"frequency": [0], "monetary_value": [0.0]}).expected_amount(),
        *NO_PARAMETERS,
    ),
]

CASES_SAVED = [
    *[
        refuse(f"a {type(given).__name__}", lambda given=given: om.ParetoNBDFit.from_dict(given), *SAVED, "must be a mapping")
        for given in (None, [1], "{}", 5)
    ],
    refuse("empty", lambda: om.ParetoNBDFit.from_dict({}), *SAVED, "'params'"),
    *[refuse(f"without {key}", without(key), *SAVED, repr(key)) for key in at(PARETO).to_dict()],
    refuse("one key more", saved(extra=1), *SAVED, "'extra'"),
    *[
        refuse(
            f"a fit of {given} for {kind}",
            lambda given=given, kind=kind: kind.fit.from_dict(at(given).to_dict()),
            P,
            "parameter.model",
            f"model={given.name!r}",
            f"read it by {given.fit.__name__}.from_dict",
        )
        for given in MODELS
        for kind in MODELS
        if given is not kind
    ],
    refuse("amounts for buying", lambda: om.BetaGeoFit.from_dict(spending(6, 4, 15).to_dict()), *SAVED, "read it by GammaGammaFit"),
    refuse("model nearly right", saved(model="pareto"), P, "parameter.model", "Did you mean 'pareto_nbd'?"),
    *[
        refuse(f"r {r!r}", saved(params=params(r=r)), P, "parameter.params", repr(r), "'r'")
        for r in (-1.0, 0.0, math.nan, math.inf, "1", None, True)
    ],
    refuse("r beyond measure", saved(params=params(r=1e308)), P, "parameter.params", "1e+308"),
    refuse("r next to nothing", saved(params=params(r=1e-300)), P, "parameter.params", "1e-300"),
    refuse("a coefficient beyond measure", saved(purchase_covariates=["z"], params=params(**{"purchase[z]": 1e9})), P, "parameter.params"),
    refuse("a parameter missing", saved(params={"r": 1.0}), P, "parameter.params", "'alpha'"),
    refuse("a parameter more", saved(params=params(q=1.0)), P, "parameter.params", "'q'"),
    refuse("parameters in a list", saved(params=[1, 2, 3, 4]), P, "parameter.params", "must be a mapping"),
    refuse("no parameters, but their covariance", saved(params={}), P, "parameter.covariance"),
    refuse("covariance in lists", saved(covariance=[[1.0]]), P, "parameter.covariance", "must be a mapping"),
    refuse("covariance missing", saved(covariance={}), P, "parameter.covariance", "'r'"),
    *[
        refuse(f"covariance of {value!r}", saved(covariance=covariance(value)), P, "parameter.covariance", "covariance['r']['r']=")
        for value in (math.nan, "x", None)
    ],
    refuse("covariance not symmetric", saved(covariance=tilted(1e-3)), P, "parameter.covariance", "'r'", "'alpha'", "symmetric"),
    refuse("r of 400 digits", saved(params=params(r=10**400)), P, "parameter.params", "finite"),
    refuse("customers of 400 digits", saved(customers=10**400), P, "parameter.customers", "finite"),
    refuse("parameters in a series", saved(params=pd.Series([1.0, 2.0])), P, "parameter.params"),
    refuse("covariance of no customers", saved(covariance=inside_out()), P, "parameter.covariance", "below 0"),
    refuse("covariance beyond its variances", saved(covariance=tilted(0.0, 1e3)), P, "parameter.covariance", "'alpha'", "variances"),
    refuse("variances beyond measure", saved(covariance=covariance(1e308)), P, "parameter.covariance", "'r'", "beyond measure", "1e+100"),
    refuse(
        "variances beyond what they belong to",
        saved(params=dict.fromkeys(PARETO.params, 1e-120), covariance=covariance(1.0)),
        P,
        "parameter.covariance",
        "'r', which is 1e-120",
    ),
    refuse("unit unknown", saved(unit="weeks"), *UNIT, "Did you mean 'week'?"),
    refuse("unit None", saved(unit=None), *UNIT),
    refuse("converged a text", saved(converged="no"), P, "parameter.converged", "'no'", "True or False"),
    refuse("customers negative", saved(customers=-5), P, "parameter.customers", "-5", "0 or more"),
    refuse("penalty negative", saved(penalty=-1.0), *PENALTY, "0 or more"),
    refuse("variances negative", saved(covariance=covariance(-1.0)), P, "parameter.covariance", "0 or more"),
    refuse("customers text", saved(customers="5"), P, "parameter.customers"),
    refuse("evaluations negative", saved(evaluations=-1), P, "parameter.evaluations"),
    refuse("evaluations a fraction", saved(evaluations=1.5), P, "parameter.evaluations"),
    refuse("warnings a text", saved(warnings="x"), P, "parameter.warnings", "must be a list"),
    refuse("warnings None", saved(warnings=None), P, "parameter.warnings"),
    refuse("penalty None", saved(penalty=None), *PENALTY),
    refuse("log_likelihood text", saved(log_likelihood="x"), P, "parameter.log_likelihood"),
    refuse("covariates without coefficients", saved(purchase_covariates=["z"]), P, "parameter.params", "'purchase[z]'"),
    refuse("covariates twice", saved(purchase_covariates=["z", "z"]), P, "parameter.purchase_covariates", "'z'", "once"),
    refuse("covariates a text", saved(purchase_covariates="z"), P, "parameter.purchase_covariates"),
    refuse("covariates a number", saved(dropout_covariates=[5]), P, "parameter.dropout_covariates"),
    refuse("amounts: a model of buying", lambda: om.GammaGammaFit.from_dict(at(PARETO).to_dict()), *SAVED, "by ParetoNBDFit"),
    refuse("amounts: correlation 1.5", saved_amounts(correlation=1.5), P, "parameter.correlation", "correlation=1.5", "-1 and 1"),
    refuse("amounts: correlation -2", saved_amounts(correlation=-2), P, "parameter.correlation", "-1 and 1"),
    refuse("amounts: left_out negative", saved_amounts(left_out=-1), P, "parameter.left_out", "left_out=-1", "0 or more"),
    refuse("amounts: q negative", saved_amounts(params={"p": 1.0, "q": -1.0, "v": 1.0}), P, "parameter.params", "-1"),
    refuse("amounts: correlation text", saved_amounts(correlation="x"), P, "parameter.correlation"),
    refuse("amounts: left_out None", saved_amounts(left_out=None), P, "parameter.left_out"),
]

CASES_LIFETIMES = [
    *[
        refuse(f"a {name}", lambda given=given: om.BetaGeoFit.from_lifetimes(given), *FITTER, name, "BetaGeoFit.from_lifetimes takes one")
        for name, given in (("NoneType", None), ("object", object()), ("dict", {"r": 1.0}), ("BetaGeoFit", at(BG)))
    ],
    refuse("not fitted", lambda: om.BetaGeoFit.from_lifetimes(type(at(BG).to_lifetimes())()), *FITTER, "BetaGeoFitter", "that is fitted"),
    refuse("the class of a fitter", lambda: om.BetaGeoFit.from_lifetimes(type(at(BG).to_lifetimes())), *FITTER),
    refuse(
        "another fitter",
        from_lifetimes(om.ParetoNBDFit, "BetaGeoFitter"),
        *FITTER,
        "fitter is a BetaGeoFitter",
        "a ParetoNBDFitter",
    ),
    refuse(
        "MBG/NBD for BG/NBD", from_lifetimes(om.BetaGeoFit, "ModifiedBetaGeoFitter"), *FITTER, "a ModifiedBetaGeoFitter", "a BetaGeoFitter"
    ),
    refuse("BG/NBD for MBG/NBD", from_lifetimes(om.ModifiedBetaGeoFit, "BetaGeoFitter"), *FITTER, "a ModifiedBetaGeoFitter"),
    refuse("parameters written over", lambda: om.BetaGeoFit.from_lifetimes(negative()), *FITTER, "above 0", "Fit it again"),
    refuse("a fitter of buying for amounts", from_lifetimes(om.GammaGammaFit, "BetaGeoFitter"), *FITTER, "a GammaGammaFitter"),
    refuse(
        "saved without its data", lambda: om.BetaGeoFit.from_lifetimes(at(BG).to_lifetimes()), *FITTER, "without its data", "fit it again"
    ),
    refuse("amounts without data", lambda: om.GammaGammaFit.from_lifetimes(spending(6, 4, 15).to_lifetimes()), *FITTER, "without its data"),
    refuse("amounts None", lambda: om.GammaGammaFit.from_lifetimes(None), *FITTER),
    refuse("unit of pandas", from_lifetimes(om.BetaGeoFit, "BetaGeoFitter", unit="D"), *UNIT),
    refuse("covariates", lambda: moved().to_lifetimes(), F, "fit.covariates", "lifetimes knows no covariates"),
]

CASES_CLV = [
    refuse("model nearly right", clv(model="bg_ndb"), P, "parameter.model", "Did you mean 'bg_nbd'?"),
    *[
        refuse(f"model {told}", clv(model=model), P, "parameter.model", "'auto_holdout'")
        for told, model in (
            ("by its title", "BG/NBD"),
            ("None", None),
            ("a class", om.BetaGeo),
            ("of periods", om.BetaGeoBetaBinom()),
            ("in periods", "bg_bb"),
        )
    ],
    refuse("a fit with covariates", given(moved), P, "parameter.model", "['z']", "discounted_purchases"),
    refuse("a fit of nothing", given(nothing), F, "fit.parameters", "no customer has a repeat purchase"),
    refuse("a fit by the week", given(weekly), P, "parameter.model", "by the week", "unit='day'"),
    refuse("a fit of periods", given(periods), P, "parameter.model", "BG/BB", "pareto_nbd"),
    refuse("a model of amounts as a text", clv(spend_model="gamma"), P, "parameter.spend_model", "om.GammaGamma()"),
    refuse("a model of buying for amounts", clv(spend_model=om.BetaGeo()), P, "parameter.spend_model"),
    refuse("amounts of nothing", given(no_amounts, "spend_model"), F, "fit.parameters"),
    refuse("horizon None", clv(horizon=None), *HORIZON, "say how many days ahead, as in '365D'"),
    *[
        refuse(f"horizon {horizon!r}", clv(horizon=horizon), *HORIZON, "'90D'")
        for horizon in (0, -1, "1 month", "1Y", "12M", 365.0, 10**7, dt.timedelta(hours=36), True)
    ],
    refuse("horizon of 101 years", clv(horizon=36_526), *HORIZON, "horizon=36526 is too long", "36,525 days (100 years)"),
    refuse("horizon of millions of weeks", clv(horizon="999999999W"), *HORIZON, "'999999999W'", "100 years"),
    refuse("discount_rate 12", clv(discount_rate=12), *RATE, "Did you mean 0.12?"),
    refuse("discount_rate 15", clv(discount_rate=15), *RATE, "0.1 is 10 %", "Did you mean 0.15?"),
    *[refuse(f"discount_rate {rate!r}", clv(discount_rate=rate), *RATE) for rate in (-0.01, None, "10%", math.nan, math.inf)],
    refuse("margin 30", clv(margin=30), *MARGIN, "above 0 and at most 1", "Did you mean 0.3?"),
    *[refuse(f"margin {margin!r}", clv(margin=margin), *MARGIN) for margin in (0, -0.1, 1.01, math.nan, 100, "0.3", None, True)],
    refuse("confidence 95", clv(confidence=95), *CONFIDENCE, "Did you mean 0.95?"),
    refuse("confidence None", clv(confidence=None), *CONFIDENCE),
    *[refuse(f"rng {rng!r}", clv(rng=rng), P, "parameter.rng", "is no seed") for rng in ("x", -1, 1.5, True)],
    refuse("customer nearly right", clv(customer="custmer"), *MISSING, "Did you mean 'customer'?"),
    refuse("amount nearly right", clv(amount="amout"), *MISSING, "Did you mean 'amount'?"),
    refuse("amount None", clv(amount=None), *NAME, "amount=None", "values need the column of the money"),
    refuse("time an amount", clv(time="amount"), *TYPE),
    refuse("as_of no date", clv(as_of="yesterday"), P, "parameter.as_of"),
    refuse("as_of before the data", clv(as_of="2020-01-01"), D, "data.no_purchases", "2020-01-01", "later as_of"),
    refuse("zone unknown", clv(tz="Mars"), P, "parameter.tz"),
    refuse("refunds nearly right", clv(refunds="nett"), P, "parameter.refunds", "Did you mean 'net'?"),
    refuse("missing_customer nearly right", clv(missing_customer="dorp"), P, "parameter.missing_customer", "Did you mean 'drop'?"),
    refuse("empty", of(lambda frame: frame.head(0)), *EMPTY),
    refuse("no table", clv([1]), *KIND),
    refuse("amounts text", of(lambda frame: frame.assign(amount="x")), *TYPE),
    refuse("amounts infinite", of(lambda frame: frame.assign(amount=math.inf)), D, "data.amount"),
    refuse("amounts null", of(lambda frame: frame.assign(amount=np.nan)), D, "data.no_purchases"),
    refuse("times text", of(lambda frame: frame.assign(time="2025-01-01")), *TYPE),
    refuse("customers null", of(lambda frame: frame.assign(customer=None)), D, "data.missing_customer", "missing_customer='drop'"),
    refuse("refunds only", of(lambda frame: frame.assign(amount=-1.0)), D, "data.no_purchases", "refunds"),
    refuse(
        "no repeat buyers", of(lambda frame: frame.drop_duplicates("customer")), F, "fit.no_repeats", "no customer has a repeat purchase"
    ),
    refuse("nothing paid", of(lambda frame: frame.assign(amount=0.0)), *NO_PARAMETERS, "no customer has a repeat purchase of more than 0"),
    refuse("hardly anything paid", of(lambda frame: frame.assign(amount=1e-9)), *NO_PARAMETERS, "a millionth of the unit of money"),
    *[
        refuse(f"customer named {name}", named(name), *RESERVED, repr(name), "rename it first")
        for name in ("value", "p_alive", "expected_purchases", "purchases_low", "expected_amount", "value_low", "outcome_high", "T")
    ],
]

CASES_GROUPS = [
    *[
        refuse(f"label {name}", by(lambda frame, name=name: frame.rename(columns={"segment": name}), label=name), *RESERVED, repr(name))
        for name in ("value", "customers", "outcome_low")
    ],
    refuse("label missing", by(label="segmnt"), *MISSING, "Did you mean 'segment'?"),
    refuse("customers missing", by(lambda frame: frame.drop(columns="customer")), *MISSING, "'customer'"),
    refuse("customers repeated", by(lambda frame: pd.concat([frame, frame.head(1)])), D, "data.repeated", "'customer'", "one group"),
    refuse("customers of another type", by(lambda frame: frame.assign(customer=range(len(frame)))), *TYPE, "cannot be compared"),
    refuse("no table", by(lambda _: [1]), *KIND, "segments is a list"),
    refuse("None", by(lambda _: None), *KIND),
    refuse("label a number", by(label=5), *NAME),
    refuse("label None", by(label=None), *NAME),
    refuse("label the customer", by(label="customer"), *REPEATED),
    refuse("labels times", by(lambda frame: frame.assign(segment=pd.Timestamp("2026-01-01"))), *TYPE),
    refuse("values themselves", lambda: values().by(values()), *MISSING, "'segment'"),
]

CASES_VALIDATION = [
    refuse("before the data", validated("2020-01-01"), D, "data.no_purchases", "2020-01-01", "choose a later one"),
    refuse("after the data", validated("2030-01-01"), P, "parameter.calibration_end", "an earlier day than as_of"),
    refuse("no date", validated("soon"), P, "parameter.calibration_end", "'soon'"),
    refuse("a number", validated(90), P, "parameter.calibration_end", "90"),
    refuse("after a journey", lambda: pickle.loads(pickle.dumps(values())).validate(), P, "parameter.log", "another process", "orders"),
]

CASES = {
    "histories": CASES_HISTORIES, "periods": CASES_PERIODS, "amounts": CASES_AMOUNTS, "covariates": CASES_COVARIATES,
    "predictions": CASES_PREDICTIONS, "saved": CASES_SAVED, "lifetimes": CASES_LIFETIMES, "clv": CASES_CLV, "groups": CASES_GROUPS,
    "validation": CASES_VALIDATION,
}  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(*case.values, id=f"{group}: {case.id}") for group, cases in CASES.items() for case in cases])
def test_is_refused(case: Case) -> None:
    check_refused(lambda: heard_in_silence(case.call), case.error, case.code, case.says)


def heard_in_silence(call: Callable[[], Any]) -> Any:
    """What lifetimes warns of when it is first imported is not the question."""
    lifetimes()
    return call()


def test_there_are_enough_of_them() -> None:
    assert sum(map(len, CASES.values())) >= 60


# ---------------------------------------------------------------------------------------------- odd, but with an answer


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(rows(1, 2, 3), id="one customer, no lists"),
        pytest.param(rows([0], [0], [0]), id="of age 0"),
        pytest.param(rows([3] * 5, [4] * 5, [4] * 5), id="all alike"),
        pytest.param(rows([0, 0, 1], [0, 0, 0.0], [1, 2, 3]), id="repeated at once"),
        pytest.param(rows([0, 2, 5], [0, 2e-12, 3e-12], [3e-12, 4e-12, 5e-12]), id="next to no time"),
        pytest.param(rows([0, 9_999, 3], [0, 9, 9], [10, 10, 10]), id="a very heavy buyer"),
        pytest.param(rows([0, 1, 2], [0, 1e9, 2e9], [3e9, 3e9, 3e9]), id="time in nanoseconds"),
    ],
)
@pytest.mark.parametrize("model", [BG, MBG, PARETO], ids=str)
def test_odd_histories_end_in_a_fit_or_in_a_sentence(model: Any, history: Any) -> None:
    found = settled(lambda: quiet(model.spec().fit, history))
    if isinstance(found, om.OpsmetricsError) or not found.params:
        return
    assert found.converged or found.warnings
    expected = quiet(found.expected_purchases, 1.0, history).table["expected_purchases"]
    assert np.isfinite(expected).all()
    assert str(found)


def test_refusals_are_those_of_every_frame(kind: Kind) -> None:
    """Whatever the engine, the same sentence."""
    for frame, rule in (
        (people(recency=[0, 20, 36, 9.0]), RECENCY),
        (people(frequency=[0, 2, -1, 1]), FREQUENCY),
        (people(T=None), MISSING),
    ):
        if kind.name == "pandas-categorical":
            check_refused(lambda frame=frame: om.BetaGeo().fit(kind.make(frame)), C, "column.*")
            continue
        check_refused(lambda frame=frame: om.BetaGeo().fit(kind.make(frame)), *rule)
        check_refused(lambda frame=frame: at(BG).p_alive(kind.make(frame)), *rule)


def test_warnings_are_sentences_too() -> None:
    """They end, and say what to do."""
    with pytest.warns(om.OpsmetricsWarning) as told:
        om.BetaGeo().fit(people())
        om.BetaGeo().fit(rows([0], [0], [5]))
        om.GammaGamma().fit({"frequency": [0], "monetary_value": [0.0]})
        at(BG).p_alive(people())
    assert len(told) >= 4
    for warning in told:
        assert str(warning.message).endswith((".", "?")), warning.message
        assert warning.filename == __file__  # it points at the line of the caller


def test_lifetimes_answers_ours_too() -> None:
    """A fit that went out is asked with our sentences aside."""
    fitter_out = at(BG).to_lifetimes()
    assert np.isfinite(heard(fitter_out.conditional_probability_alive, np.array([1.0]), np.array([2.0]), np.array([3.0]))).all()
