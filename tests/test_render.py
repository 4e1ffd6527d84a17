"""Text and HTML of views: what a reader sees, and that nothing a table holds can break the page."""

from __future__ import annotations

import datetime as dt
import xml.etree.ElementTree as ET

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


def width(line: str) -> int:
    """Columns of a terminal."""
    return sum(2 if ord(c) > 0x2E80 else 1 for c in line)


def tree(page: str) -> ET.Element:
    """The page, read strictly: any tag left open or character left raw is an error."""
    return ET.fromstring(f"<page>{page}</page>")


# ----------------------------------------------------------------------------------------------------------------- text


def test_text_is_what_it_looks_like():
    assert _render.text(SHOP) == (
        "Channels\n"
        "  as_of: 2026-01-31\n"
        "  rows: 12,345\n"
        "  bins: r=5, f=4\n"
        "  order: app, web\n"
        "\n"
        "  channel  customers  customer_share             revenue\n"
        "  应用         1,200    75.0% ████████████████  9,876.50\n"
        "  web            400    25.0% █████▍                   -\n"
        "  dropped rows: 3 missing time"
    )


def test_columns_are_aligned_under_wide_characters():
    text = _render.text(View(title="t", facts={}, columns=["客户", "n"], rows=[("重要价值客户", 1), ("ab", 22), ("客", 333)]))
    lines = text.splitlines()[2:]
    assert len(lines) == 4
    assert len({width(line) for line in lines}) == 1


@given(st.lists(st.tuples(st.text(alphabet="ab客户。", min_size=1), st.integers(0, 10**9), st.floats(0, 1e9)), min_size=1, max_size=6))
def test_columns_are_aligned_whatever_they_hold(rows):
    lines = _render.text(View(title="t", facts={}, columns=["名 name", "n", "money"], rows=rows)).splitlines()[2:]
    assert len({width(line) for line in lines}) == 1


def test_facts_that_are_none_are_left_out():
    assert "window" not in _render.text(SHOP)
    assert "window" not in _render.page(SHOP)


def test_a_view_without_a_table():
    bare = View(title="t", facts={"x": 1}, columns=[], rows=[])
    assert _render.text(bare) == "t\n  x: 1"
    assert "<table" not in _render.page(bare)


def test_a_table_without_rows():
    empty = View(title="t", facts={}, columns=["a", "share"], rows=[], bars=["share"])
    assert _render.text(empty).splitlines()[-1].split() == ["a", "share"]
    tree(_render.page(empty))


def test_hidden_rows_are_counted():
    view = View(title="t", facts={}, columns=["a"], rows=[(1,), (2,)], total_rows=100_002)
    assert _render.text(view).endswith("... 100,000 more rows")
    assert "... 100,000 more rows" in "".join(tree(_render.page(view)).itertext())


# -------------------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("value", "name", "shown"),
    [
        (None, "x", "-"),
        (float("nan"), "x", "-"),
        (float("nan"), "revenue_share", "-"),
        (1_234_567, "orders", "1,234,567"),
        (-3, "orders", "-3"),
        (1234.5, "revenue", "1,234.50"),
        (0.1234, "revenue_share", "12.3%"),
        (0.5, "rate", "50.0%"),
        (0.5, "step_conversion", "50.0%"),
        (1, "share", "100.0%"),
        (0.25, "share_low", "25.0%"),
        (True, "converged", "True"),
        ("text", "x", "text"),
        (dt.date(2026, 1, 31), "x", "2026-01-31"),
        (dt.datetime(2026, 1, 31, 8, 5, 59), "x", "2026-01-31 08:05"),
        (dt.datetime(2026, 1, 31, 8, 5, tzinfo=dt.timezone(dt.timedelta(hours=8))), "x", "2026-01-31 08:05"),
    ],
)
def test_values_as_a_reader_wants_them(value, name, shown):
    assert _render.number(value, name) == shown


def test_shares_by_place_are_per_cent_whatever_their_name():
    view = View(title="t", facts={}, columns=["source", "champions"], rows=[("a", 0.5), ("b", None)], shares=["champions"])
    assert [line.split()[-1] for line in _render.text(view).splitlines()[-2:]] == ["50.0%", "-"]


@pytest.mark.parametrize("given", [17850, 17850.0])
def test_ids_are_written_as_they_are(given):
    """A customer number has no thousands, whether it came as a whole number or as the float that nulls make of it."""
    view = View(title="t", facts={}, columns=["customer", "orders"], rows=[(given, 17850)], ids=["customer"])
    assert _render.text(view).splitlines()[-1].split() == ["17850", "17,850"]


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_missing_id_is_a_dash_too(missing):
    view = View(title="t", facts={}, columns=["customer", "orders"], rows=[(missing, 1)], ids=["customer"])
    assert _render.text(view).splitlines()[-1].split() == ["-", "1"]


# ---------------------------------------------------------------------------------------------------------------- bars


def _blocks(view: View) -> list[str]:
    return ["".join(c for c in line if c in "█▏▎▍▌▋▊▉") for line in _render.text(view).splitlines()[3:]]


def _widths(view: View) -> list[float]:
    return [float(rect.attrib["width"]) for rect in tree(_render.page(view)).iter("rect")]


def test_bars_are_as_long_as_their_values():
    view = View(title="t", facts={}, columns=["a", "share"], rows=[("x", 0.4), ("y", 0.2), ("z", 0.0)], bars=["share"])
    assert [len(bar) for bar in _blocks(view)] == [16, 8, 0]
    assert _widths(view) == [96.0, 48.0, 0.0]


def test_missing_and_negative_values_have_no_bar():
    rows = [("x", 0.4), ("y", -0.2), ("z", None), ("nan", float("nan"))]
    view = View(title="t", facts={}, columns=["a", "share"], rows=rows, bars=["share"])
    assert [bool(bar) for bar in _blocks(view)] == [True, False, False, False]
    assert _widths(view) == [96.0, 0.0, 0.0, 0.0]


def test_nothing_but_zeros_and_losses_have_no_bars():
    view = View(title="t", facts={}, columns=["a", "share"], rows=[("x", 0.0), ("y", -1.0)], bars=["share"])
    assert _widths(view) == [0.0, 0.0]


# ---------------------------------------------------------------------------------------------------------------- HTML


def test_the_page_shows_all_the_text_shows():
    page = tree(_render.page(SHOP))
    said = "".join(page.itertext())
    for words in ("Channels", "as_of: 2026-01-31", "rows: 12,345", "应用", "1,200", "75.0%", "9,876.50", "dropped rows: 3 missing time"):
        assert words in said
    assert [cell.text for cell in page.iter("th")] == SHOP.columns
    assert [len(list(row)) for row in page.iter("tr")] == [4, 4, 4]
    assert len(list(page.iter("svg"))) == 2


def test_the_page_stands_alone():
    """No script, no font, no network: it shows in a notebook that is mailed, and where pages from elsewhere are forbidden."""
    page = _render.page(SHOP)
    tags = {element.tag for element in tree(page).iter()}
    assert tags <= {"page", "style", "div", "b", "table", "thead", "tbody", "tr", "th", "td", "svg", "rect"}
    assert not any(word in page for word in ("http", "url(", "@import", "src=", "href="))


EVIL = "<script>alert('x')</script>\"&'"


def test_nothing_a_table_holds_can_break_the_page():
    view = View(title=EVIL, facts={EVIL: EVIL, "more": [EVIL]}, columns=[EVIL, "id"], rows=[(EVIL, EVIL)], ids=["id"], notes=[EVIL])
    page = _render.page(view)
    assert "<script" not in page
    assert "".join(tree(page).itertext()).count(EVIL) == 8


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), max_size=20))
def test_any_text_reads_back_from_the_page(word):
    view = View(title=word, facts={"fact": word}, columns=[word], rows=[(word,)])
    page = tree(_render.page(view))
    assert next(page.iter("td")).text == (word or None)
    assert next(page.iter("th")).text == (word or None)
