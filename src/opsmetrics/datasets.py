"""Data to try things on: seeded generators of shop tables, and CDNOW's purchases where the `lifetimes` distribution is installed."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt

from opsmetrics import _checks, _frames, _output
from opsmetrics.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

Kind = Literal["pandas", "polars", "pyarrow"]

_KINDS = ("pandas", "polars", "pyarrow")
_YEAR_START = np.datetime64("2025-01-01T00:00:00")
_YEAR_SECONDS = 365 * 86_400
_CHANNELS = ("ads", "direct", "search", "social")
_DRIVE = {"ads": 0.8, "direct": 1.2, "search": 1.05, "social": 0.7}
_EVENTS = ("view", "search", "view again", "favourite", "cart", "coupon", "checkout", "pay", "compare", "help")
_NAMES = {"view again": "view"}
_CHANCES: dict[str, tuple[str | None, float]] = {
    "view": (None, 1.0), "search": (None, 0.35), "view again": (None, 0.55), "favourite": ("view", 0.12), "cart": ("view", 0.3),
    "coupon": ("cart", 0.25), "checkout": ("cart", 0.55), "pay": ("checkout", 0.7), "compare": ("cart", 0.4), "help": ("cart", 0.15),
}  # fmt: skip
"""What an event needs, and how likely it is then for a visit of average drive."""
_INSTEAD = ("compare", "help")
_MINUTES = {
    "view": 0.2, "search": 0.7, "view again": 1.5, "favourite": 1.0, "cart": 3.0, "coupon": 0.5, "checkout": 6.0, "pay": 9.0,
    "compare": 4.0,
    "help": 5.0,
}  # fmt: skip
_CDNOW_FILE = "lifetimes/datasets/CDNOW_master.txt"
_VARIANTS = ("A", "B", "C")
_UPLIFT = {"A": 1.0, "B": 1.1, "C": 1.0}
_COUNTRIES = ("AT", "CH", "DE", "FR")
_COUNTRY_SHARES = (0.15, 0.1, 0.5, 0.25)
_REGULAR_SHARES = {"AT": 0.04, "CH": 0.07, "DE": 0.055, "FR": 0.038}
_PRICES = {"AT": 3.9, "CH": 4.4, "DE": 4.0, "FR": 3.8}
"""The mean of the logarithm of what an order is worth."""
_CHANCE = {"new": 0.03, "regular": 0.8, "other": 0.0145}
"""How likely a unit of each sort is to order while the experiment runs, without an effect."""


@overload
def make_orders(customers: int = ..., *, kind: Literal["pandas"] = ..., rng: int | np.random.Generator | None = ...) -> pd.DataFrame: ...
@overload
def make_orders(customers: int = ..., *, kind: Literal["polars"], rng: int | np.random.Generator | None = ...) -> pl.DataFrame: ...
@overload
def make_orders(customers: int = ..., *, kind: Literal["pyarrow"], rng: int | np.random.Generator | None = ...) -> pa.Table: ...
def make_orders(customers: int = 1_000, *, kind: Kind = "pandas", rng: int | np.random.Generator | None = None) -> Any:
    """A year of a shop's orders, as shops have them: a few heavy buyers, many who buy once, some who stop, some refunds.

    Customers join over the first three quarters of 2025. Each buys at once, then at a rate of his own (gamma distributed) until he stops
    for good (at an exponentially distributed time). Order values are log-normal around a level of his own, in cents; three in a hundred
    orders are refunded in full one to fourteen days later.

    Parameters
    ----------
    customers : int
        How many customers, each with at least one order.
    kind : {"pandas", "polars", "pyarrow"}
        The kind of frame.
    rng : int or numpy Generator, optional
        The seed; the same seed gives the same table.

    Returns
    -------
    frame
        ``customer`` (text), ``order_id`` (whole numbers; a refund bears the id of its order with a minus), ``time`` (stamps without a
        zone, in microseconds) and ``amount`` (money; refunds negative), sorted by time.

    Raises
    ------
    ParameterError
        Fewer than one customer, an unknown kind.

    References
    ----------
    Schmittlein, D. C., Morrison, D. G. & Colombo, R. (1987), Counting your customers, Management Science 33(1), 1-24 (the buying process).

    Examples
    --------
    >>> import opsmetrics as om
    >>> list(om.make_orders(customers=10, rng=0).columns)
    ['customer', 'order_id', 'time', 'amount']
    """
    _checks.choice("kind", kind, _KINDS)
    count = _checks.whole_number("customers", customers, 1, 10_000_000)
    random = _checks.generator("rng", rng)
    joined = random.uniform(0, 0.75 * _YEAR_SECONDS, count)
    stays = np.minimum(random.exponential(0.6 * _YEAR_SECONDS, count), _YEAR_SECONDS - joined)
    repeats = random.poisson(random.gamma(0.5, 12.0, count) * stays / _YEAR_SECONDS)
    buyer = np.repeat(np.arange(count), repeats + 1)
    since = random.uniform(0, 1, buyer.size) * stays[buyer]
    since[np.cumsum(repeats + 1) - repeats - 1] = 0.0
    second = (joined[buyer] + since).astype(np.int64)
    level = random.normal(4.0, 0.6, count)
    cents = np.maximum(np.rint(100 * random.lognormal(level[buyer], 0.5)), 1.0).astype(np.int64)
    order_id = np.arange(1, buyer.size + 1)
    refunded = second + random.integers(1, 15, buyer.size) * 86_400
    back = np.flatnonzero((random.uniform(size=buyer.size) < 0.03) & (refunded < _YEAR_SECONDS))
    columns = {
        "customer": np.concatenate([buyer, buyer[back]]),
        "order_id": np.concatenate([order_id, -order_id[back]]),
        "time": np.concatenate([second, refunded[back]]),
        "amount": np.concatenate([cents, -cents[back]]),
    }
    rows = np.lexsort((columns["order_id"], columns["time"]))
    backend = _output.backend(kind)
    width = max(5, len(str(count)))
    names = [f"C{number:0{width}d}" for number in range(1, count + 1)]
    return _output.build(
        backend,
        {
            "customer": _output.words(backend, names, columns["customer"][rows]),
            "order_id": columns["order_id"][rows],
            "time": (_YEAR_START + columns["time"][rows].astype("timedelta64[s]")).astype("datetime64[us]"),
            "amount": columns["amount"][rows] / 100,
        },
    )


@overload
def make_events(customers: int = ..., *, kind: Literal["pandas"] = ..., rng: int | np.random.Generator | None = ...) -> pd.DataFrame: ...
@overload
def make_events(customers: int = ..., *, kind: Literal["polars"], rng: int | np.random.Generator | None = ...) -> pl.DataFrame: ...
@overload
def make_events(customers: int = ..., *, kind: Literal["pyarrow"], rng: int | np.random.Generator | None = ...) -> pa.Table: ...
def make_events(customers: int = 1_000, *, kind: Kind = "pandas", rng: int | np.random.Generator | None = None) -> Any:
    """Ninety days of a shop's events: visits that begin with a view, some of which lead to a cart, a checkout and a payment.

    Each customer comes by one of four channels, which differ in how far visits go, and visits once or several times (Poisson with a gamma
    distributed rate). A visit looks at one product, and its events follow each other after exponential waiting times; those who leave a
    cart may compare or ask for help instead.

    Parameters
    ----------
    customers : int
        How many customers, each with at least one visit.
    kind : {"pandas", "polars", "pyarrow"}
        The kind of frame.
    rng : int or numpy Generator, optional
        The seed; the same seed gives the same table.

    Returns
    -------
    frame
        ``customer`` (text), ``time`` (stamps without a zone, in microseconds), ``event`` (view, search, favourite, cart, compare, help,
        coupon, checkout, pay), ``channel`` (ads, direct, search, social), ``product`` (whole numbers) and ``amount`` (money; of payments,
        else 0), sorted by time.

    Raises
    ------
    ParameterError
        Fewer than one customer, an unknown kind.

    References
    ----------
    Moe, W. W. & Fader, P. S. (2004), Dynamic conversion behavior at e-commerce sites, Management Science 50(3), 326-335 (visits that differ
    in how far they lead).

    Examples
    --------
    >>> import opsmetrics as om
    >>> list(om.make_events(customers=10, rng=0).columns)
    ['customer', 'time', 'event', 'channel', 'product', 'amount']
    """
    _checks.choice("kind", kind, _KINDS)
    count = _checks.whole_number("customers", customers, 1, 10_000_000)
    random = _checks.generator("rng", rng)
    channel = random.choice(len(_CHANNELS), count, p=(0.3, 0.25, 0.3, 0.15))
    visitor = np.repeat(np.arange(count), 1 + random.poisson(random.gamma(0.8, 2.5, count)))
    visits, drive = len(visitor), np.array([_DRIVE[name] for name in _CHANNELS])[channel[visitor]]
    happens = _visit(random, drive)
    waits = random.exponential(1.0, happens.shape) * np.array([_MINUTES[name] * 60 for name in _EVENTS])[:, None]
    start = random.uniform(0, 90 * 86_400, visits)
    second = (start + np.cumsum(np.where(happens, waits, 0.0), axis=0)).astype(np.int64)
    event, visit = np.nonzero(happens)
    product = random.integers(1, 201, visits)
    cents = np.maximum(np.rint(100 * random.lognormal(4.0, 0.6, visits)), 100).astype(np.int64)
    when = second[event, visit]
    rows = np.lexsort((event, visit, when))
    event, visit, when = event[rows], visit[rows], when[rows]
    backend = _output.backend(kind)
    width = max(5, len(str(count)))
    names = [f"C{number:0{width}d}" for number in range(1, count + 1)]
    return _output.build(
        backend,
        {
            "customer": _output.words(backend, names, visitor[visit]),
            "time": (_YEAR_START + when.astype("timedelta64[s]")).astype("datetime64[us]"),
            "event": _output.words(backend, [_NAMES.get(name, name) for name in _EVENTS], event),
            "channel": _output.words(backend, _CHANNELS, channel[visitor[visit]]),
            "product": product[visit],
            "amount": np.where(event == _EVENTS.index("pay"), cents[visit], 0) / 100,
        },
    )


def _visit(random: np.random.Generator, drive: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which events happen in each visit: every one has a chance, given the one it needs."""
    happens = np.zeros((len(_EVENTS), len(drive)), dtype=np.bool_)
    for place, name in enumerate(_EVENTS):
        needs, chance = _CHANCES[name]
        ready = np.ones(len(drive), dtype=np.bool_) if needs is None else happens[_EVENTS.index(needs)]
        if name in _INSTEAD:
            ready = ready & ~happens[_EVENTS.index("checkout")]
        happens[place] = ready & (random.uniform(size=len(drive)) < np.minimum(chance * (drive if needs is not None else 1.0), 1.0))
    return happens


@overload
def make_experiment(units: int = ..., *, kind: Literal["pandas"] = ..., rng: int | np.random.Generator | None = ...) -> pd.DataFrame: ...
@overload
def make_experiment(units: int = ..., *, kind: Literal["polars"], rng: int | np.random.Generator | None = ...) -> pl.DataFrame: ...
@overload
def make_experiment(units: int = ..., *, kind: Literal["pyarrow"], rng: int | np.random.Generator | None = ...) -> pa.Table: ...
def make_experiment(units: int = 10_000, *, kind: Kind = "pandas", rng: int | np.random.Generator | None = None) -> Any:
    """A shop's experiment with three variants, one row per unit: five in a hundred order, and a few spend most of the money.

    Each unit gets one of three variants with equal chances. B makes an order 10 % more likely (5.5 instead of 5 in a hundred) and changes
    nothing else; C is as A. Units are regular customers, others or new ones, who differ in how likely they are to order; countries differ
    in how many regulars they have and in prices. Visits are skewed (one, and Poisson with a gamma distributed rate), order values are
    log-normal around a level of each unit's own. What a unit spent before the experiment comes from the same level, so that its correlation
    with the revenue is about 0.6; it is missing for the new ones, about 15 in a hundred.

    Parameters
    ----------
    units : int
        How many units, which are customers here.
    kind : {"pandas", "polars", "pyarrow"}
        The kind of frame.
    rng : int or numpy Generator, optional
        The seed; the same seed gives the same table.

    Returns
    -------
    frame
        ``unit`` (text), ``variant`` (A, B, C), ``country`` (AT, CH, DE, FR), ``sessions`` (whole numbers from 1), ``converted`` (1 with an
        order, else 0), ``orders`` (whole numbers), ``revenue`` (money), ``revenue_before`` (money; null for new units) and ``basket`` (the
        mean value of the unit's orders; null without one).

    Raises
    ------
    ParameterError
        Fewer than one unit, an unknown kind.

    References
    ----------
    Deng, A., Xu, Y., Kohavi, R. & Walker, T. (2013), Improving the sensitivity of online controlled experiments by utilizing pre-experiment
    data, WSDM '13, 123-132 (what was measured before the experiment).

    Examples
    --------
    >>> import opsmetrics as om
    >>> list(om.make_experiment(units=10, rng=0).columns)
    ['unit', 'variant', 'country', 'sessions', 'converted', 'orders', 'revenue', 'revenue_before', 'basket']
    """
    _checks.choice("kind", kind, _KINDS)
    count = _checks.whole_number("units", units, 1, 10_000_000)
    random = _checks.generator("rng", rng)
    variant = random.integers(0, len(_VARIANTS), count)
    country = random.choice(len(_COUNTRIES), count, p=_COUNTRY_SHARES)
    new = random.uniform(size=count) < 0.15
    regular = ~new & (random.uniform(size=count) < _of(_REGULAR_SHARES, country))
    sessions = 1 + random.poisson(random.gamma(0.7, np.where(regular, 6.0, 3.0)))
    chance = np.where(new, _CHANCE["new"], np.where(regular, _CHANCE["regular"], _CHANCE["other"]))
    converted = (random.uniform(size=count) < chance * _of(_UPLIFT, variant)).astype(np.int64)
    orders = converted * (1 + random.binomial(sessions - 1, 0.05))
    ordered_before = random.uniform(size=count) < np.where(regular, 0.95, _CHANCE["other"])
    level = random.normal(_of(_PRICES, country), 0.6)
    cents = _spending(random, level, orders)
    before = _spending(random, level, np.where(ordered_before, 1 + random.binomial(sessions - 1, 0.1), 0))
    backend = _output.backend(kind)
    width = max(5, len(str(count)))
    return _output.build(
        backend,
        {
            "unit": _output.words(backend, [f"U{number:0{width}d}" for number in range(1, count + 1)], np.arange(count)),
            "variant": _output.words(backend, _VARIANTS, variant),
            "country": _output.words(backend, _COUNTRIES, country),
            "sessions": sessions,
            "converted": converted,
            "orders": orders,
            "revenue": cents / 100,
            "revenue_before": _or_null(backend, before / 100, ~new),
            "basket": _or_null(backend, cents / (100 * np.maximum(orders, 1)), orders > 0),
        },
    )


def _of(values: dict[str, float], codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The value of each code's name, where the names stand in the order of their codes."""
    return np.array(list(values.values()))[codes]


def _spending(random: np.random.Generator, level: npt.NDArray[np.float64], orders: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What each unit spends in so many orders, in cents: their values are log-normal around his level."""
    buyer = np.repeat(np.arange(len(orders)), orders)
    cents = np.maximum(np.rint(100 * random.lognormal(level[buyer], 0.3)), 1.0)
    return np.rint(np.bincount(buyer, weights=cents, minlength=len(orders))).astype(np.int64)


def _or_null(backend: _frames.Backend, numbers: npt.NDArray[np.float64], known: npt.NDArray[np.bool_]) -> _frames.Values:
    """Numbers as a column, null where they are not known."""
    column = _frames.like(_output.series(backend, [0.0], None), numbers)
    return _output.take_or_null(column, np.where(known, np.arange(len(numbers)), -1))


def load_cdnow() -> pd.DataFrame:
    """All purchases of 23,570 customers who first bought at CDNOW in the first quarter of 1997, up to June 1998.

    The file is read from the installed ``lifetimes`` distribution, which is not imported.

    Returns
    -------
    pandas.DataFrame
        69,659 rows: ``customer`` (whole numbers), ``date`` (days), ``quantity`` (CDs) and ``amount`` (US dollars).

    Raises
    ------
    DataError
        Where ``lifetimes`` is not installed: ``pip install "opsmetrics[lifetimes]"``.

    References
    ----------
    Fader, P. S. & Hardie, B. G. S. (2001), Forecasting repeat sales at CDNOW: a case study, Interfaces 31(3), S94-S107.

    Examples
    --------
    >>> import opsmetrics as om
    >>> om.load_cdnow().head(2)
       customer       date  quantity  amount
    0         1 1997-01-01         1   11.77
    1         2 1997-01-12         1   12.00
    """
    import pandas as pd

    try:
        path = importlib.metadata.distribution("lifetimes").locate_file(_CDNOW_FILE)
    except importlib.metadata.PackageNotFoundError:
        raise DataError(
            'the CDNOW purchases come with the lifetimes distribution, which is not installed; run pip install "opsmetrics[lifetimes]".',
            code="data.cdnow",
        ) from None
    if not (file := Path(str(path))).exists():
        raise DataError(
            f"the lifetimes distribution is installed without {_CDNOW_FILE}; reinstall it with pip install --force-reinstall lifetimes.",
            code="data.cdnow",
        )
    frame = pd.read_csv(file, sep=r"\s+", skiprows=1, names=["customer", "date", "quantity", "amount"], dtype={"date": str})
    frame["date"] = pd.to_datetime(frame["date"], format="%Y%m%d")
    return frame
