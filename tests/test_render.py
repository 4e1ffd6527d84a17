"""Text and HTML of views: what a reader sees, and that nothing a table holds can break the page."""

from __future__ import annotations

import datetime as dt
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmetrics import _render
from opsmetrics._render import View

SHOP = View(
    title="Channels",
    facts={"as_of": "2026-01-31", "window": None, "rows": 12_345, "bins": {"r": 5, "f": 4}, "order": ["app", "web"]},
    columns=["channel", "customers", "customer_share", "revenue"],
    rows=[("应用", 1_200, 0.75, 9_876.5), ("web", 400, 0.25, None)],
    bars=["customer_share"],
    notes=["dropped rows: 3 missing time"],
)


class Page(HTMLParser):
    """A page as a browser reads it: its words, tags, rows of cells and bars. Each tag must be closed in its turn, and none left open."""

    VOID = frozenset({"wbr", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words, self.tags, self.bars = "", set[str](), list[float]()
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        if tag == "rect":
            self.bars.append(float(dict(attrs)["width"]))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words += data
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data


def shown(view: View) -> Page:
    return Page(_render.page(view))


def cell(value: object, name: str = "x", **more: Any) -> str:
    """How one value is shown, in text and on the page."""
    view = View(title="t", facts={}, columns=[name], rows=[(value,)], **more)
    (words,) = shown(view).rows[1]
    assert _render.text(view).splitlines()[-1].strip() == words
    return words


def width(line: str) -> int:
    """Columns of a terminal."""
    return sum(2 if ord(c) > 0x2E80 else 1 for c in line)


# ----------------------------------------------------------------------------------------------------------------- text


def test_text_is_what_it_looks_like():
    assert _render.text(SHOP) == (
        "Channels\n"
        "  as_of 2026-01-31 · rows 12,345 · bins r=5, f=4 · order app, web\n"
        "\n"
        "  channel  customers  customer_share      revenue\n"
        "  应用         1,200   75.0% ██████████  9,876.50\n"
        "  web            400   25.0% ███▍               -\n"
        "  dropped rows: 3 missing time"
    )


def test_columns_are_aligned_under_wide_characters():
    text = _render.text(View(title="t", facts={}, columns=["客户", "n"], rows=[("重要价值客户", 1), ("ab", 22), ("客", 333)]))
    lines = text.splitlines()[2:]
    assert len(lines) == 4
    assert len({width(line) for line in lines}) == 1


WORDS = st.text(alphabet="ab_客户。", min_size=1, max_size=9)


@given(WORDS, st.lists(st.tuples(WORDS, st.integers(0, 10**9), st.floats(0, 1e9)), min_size=1, max_size=6))
def test_columns_are_aligned_whatever_they_hold(name, rows):
    view = View(title="t", facts={}, columns=[name + "1", name + "2", "z"], rows=rows)
    lines = _render.text(view).splitlines()[2:]
    assert len({width(line) for line in lines[-len(rows) - 1 :]}) == 1


def test_long_names_are_stacked_over_narrow_columns():
    view = View(title="t", facts={}, columns=["segment", "median_monetary"], rows=[("new", 1.5)])
    assert _render.text(view).splitlines()[2:] == [
        "            median_",
        "  segment  monetary",
        "  new          1.50",
    ]
    assert shown(view).rows[0] == ["segment", "median_monetary"]


def test_many_facts_are_wrapped_and_none_is_torn():
    """A name at the end of a line and its value on the next would be misread."""
    facts = {f"fact{i}": f"value{i}" for i in range(40)}
    lines = _render.text(View(title="t", facts=facts, columns=[], rows=[])).splitlines()
    assert len(lines) > 3
    assert max(map(width, lines)) <= 130
    assert all(any(f"{name} {value}" in line for line in lines) for name, value in facts.items())


def test_facts_that_are_none_are_left_out():
    assert "window" not in _render.text(SHOP)
    assert "window" not in _render.page(SHOP)


def test_a_view_without_a_table():
    bare = View(title="t", facts={"x": 1}, columns=[], rows=[])
    assert _render.text(bare) == "t\n  x 1"
    assert shown(bare).rows == []


def test_a_table_without_rows():
    empty = View(title="t", facts={}, columns=["a", "share"], rows=[], bars=["share"])
    assert _render.text(empty).splitlines()[-1].split() == ["a", "share"]
    assert shown(empty).rows == [["a", "share"]]


def test_hidden_rows_are_counted():
    view = View(title="t", facts={}, columns=["a"], rows=[(1,), (2,)], total_rows=100_002)
    assert _render.text(view).endswith("... 100,000 more rows")
    assert "... 100,000 more rows" in shown(view).words


# -------------------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("value", "name", "words"),
    [
        (None, "x", "-"),
        (float("nan"), "x", "-"),
        (float("nan"), "revenue_share", "-"),
        (1_234_567, "orders", "1,234,567"),
        (-3, "orders", "-3"),
        (1234.56, "revenue", "1,234.56"),
        (-0.5, "difference", "-0.50"),
        (0.1234, "revenue_share", "12.3%"),
        (0.5, "rate", "50.0%"),
        (0.5, "step_conversion", "50.0%"),
        (1, "share", "100.0%"),
        (0.25, "share_low", "25.0%"),
        (0.0, "revenue_share", "0.0%"),
        (True, "converged", "True"),
        ("text", "x", "text"),
        (dt.date(2026, 1, 31), "x", "2026-01-31"),
        (dt.datetime(2026, 1, 31, 8, 5, 59), "x", "2026-01-31 08:05"),
        (dt.datetime(2026, 1, 31, 8, 5, tzinfo=dt.timezone(dt.timedelta(hours=8))), "x", "2026-01-31 08:05"),
    ],
)
def test_values_as_a_reader_wants_them(value, name, words):
    assert cell(value, name) == words


def test_decimals_are_shown_by_columns_that_have_some():
    view = View(title="t", facts={}, columns=["days", "money"], rows=[(3.0, 3.0), (1000.0, 0.5), (None, float("nan"))])
    assert shown(view).rows[1:] == [["3", "3.00"], ["1,000", "0.50"], ["-", "-"]]


def test_shares_by_place_are_per_cent_whatever_their_name():
    """A matrix of shares is read by its large cells, so its zeros are dots."""
    view = View(title="t", facts={}, columns=["source", "vip"], rows=[("a", 0.5), ("b", None), ("c", 0.0)], shares=["vip"])
    assert [row[1] for row in shown(view).rows[1:]] == ["50.0%", "-", "·"]


@pytest.mark.parametrize("number", [17850, 17850.0])
def test_ids_are_written_as_they_are(number):
    """A customer number has no thousands, whether it came as a whole number or as the float that nulls make of it."""
    assert cell(number, "customer", ids=["customer"]) == "17850"


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_id_is_a_dash_too(missing):
    assert cell(missing, "customer", ids=["customer"]) == "-"


# ---------------------------------------------------------------------------------------------------------------- bars


def _blocks(view: View) -> list[str]:
    return ["".join(c for c in line if c in "█▏▎▍▌▋▊▉") for line in _render.text(view).splitlines()[3:]]


def test_bars_are_as_long_as_their_values():
    view = View(title="t", facts={}, columns=["a", "share"], rows=[("x", 0.4), ("y", 0.2), ("z", 0.0)], bars=["share"])
    longest = len(_blocks(view)[0])
    assert [len(bar) for bar in _blocks(view)] == [longest, longest // 2, 0]
    bars = shown(view).bars
    assert bars[0] > 0
    assert bars == [bars[0], bars[0] / 2, 0.0]


def test_all_bars_of_a_view_have_one_scale():
    view = View(title="t", facts={}, columns=["a", "share", "revenue_share"], rows=[("x", 0.2, 0.4)], bars=["share", "revenue_share"])
    first, second = shown(view).bars
    assert first == second / 2


def test_missing_and_negative_values_have_no_bar():
    rows = [("x", 0.4), ("y", -0.2), ("z", None), ("nan", float("nan"))]
    view = View(title="t", facts={}, columns=["a", "share"], rows=rows, bars=["share"])
    assert [bool(bar) for bar in _blocks(view)] == [True, False, False, False]
    assert [bar > 0 for bar in shown(view).bars] == [True, False, False, False]


def test_nothing_but_zeros_and_losses_have_no_bars():
    view = View(title="t", facts={}, columns=["a", "share"], rows=[("x", 0.0), ("y", -1.0)], bars=["share"])
    assert shown(view).bars == [0.0, 0.0]


# ---------------------------------------------------------------------------------------------------------------- HTML


def test_the_page_shows_all_the_text_shows():
    page = shown(SHOP)
    for words in ("Channels", "as_of: 2026-01-31", "rows: 12,345", "bins: r=5, f=4", "dropped rows: 3 missing time"):
        assert words in page.words
    assert page.rows == [[*SHOP.columns], ["应用", "1,200", "75.0%", "9,876.50"], ["web", "400", "25.0%", "-"]]
    assert len(page.bars) == 2


def test_the_page_stands_alone():
    """No script, no font, no network: it shows in a notebook that is mailed, and where pages from elsewhere are forbidden."""
    layout = {"style", "div", "b", "span", "wbr", "table", "thead", "tbody", "tr", "th", "td"}
    assert shown(SHOP).tags <= layout | {"svg", "rect"}
    assert not any(word in _render.page(SHOP) for word in ("http", "url(", "@import", "src=", "href=", " on"))


EVIL = "<script>alert('x')</script>\"&'"


def test_nothing_a_table_holds_can_break_the_page():
    view = View(title=EVIL, facts={EVIL: EVIL, "more": [EVIL]}, columns=[EVIL, "id"], rows=[(EVIL, EVIL)], ids=["id"], notes=[EVIL])
    page = shown(view)
    assert page.words.count(EVIL) == 8
    assert "script" not in page.tags


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=20))
def test_any_text_reads_back_from_the_page(word):
    page = shown(View(title=word, facts={"fact": word}, columns=[word], rows=[(word,)], notes=[word]))
    assert page.rows == [[word], [word]]
    assert page.words.count(word) >= 5
