"""What every picture is made of: axes, colours, marks with intervals, titles, and letters for every language."""

from __future__ import annotations

import functools
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from opsmetrics import _output
from opsmetrics.errors import warn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

    from opsmetrics._results import Result
    from opsmetrics.lifetime_value.fits import PurchaseFit

Words = npt.NDArray[np.object_]
Floats = npt.NDArray[np.float64]

# Blue and orange differ for every common kind of colour blindness, and in grey.
BLUE, ORANGE, INK, GREY = "#3b7dd8", "#e69f00", "#222222", "#5b616b"
LIGHT = "#cfdff5"
"""What was lost of a blue bar."""

COLOURS = (BLUE, ORANGE, "#009e73", "#cc79a7", "#56b4e9", "#d55e00", GREY, INK)
"""Values of a column, each with a mark of its own as well (after Okabe & Ito)."""

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_CJK_FAMILIES = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "SimHei",
    "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "Arial Unicode MS", "Noto Sans CJK JP",
)  # fmt: skip


@functools.singledispatch
def draw(result: Result[Any] | PurchaseFit, _ax: Axes | None) -> Axes:
    """Draw a result on axes; new ones where none are given."""
    raise TypeError(f"{type(result).__name__} has no picture; draw its .table.")


def read(result: Result[Any], name: str = "table") -> dict[str, list[Any]]:
    """A table of a result as Python columns; missing numbers are None."""
    names, rows = _output.head(getattr(result, name))
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def numbers(values: Sequence[Any]) -> Floats:
    """A column of numbers; missing ones are NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def new_axes(ax: Axes | None, width: float, height: float) -> Axes:
    """The axes given, or new ones of this size in inches."""
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError('plotting needs matplotlib: pip install "opsmetrics[plot]"') from None
    _, fresh = plt.subplots(figsize=(width, height), layout="constrained")
    return fresh


def heat(ax: Axes, values: npt.NDArray[Any], words: Words, *, top: float) -> AxesImage:
    """Cells from white (zero) to dark blue (top), divided by white lines, with words in ink that can be read on them."""
    image = ax.imshow(np.ma.masked_equal(values, 0), cmap="Blues", aspect="auto", vmin=0.0, vmax=top)
    if words.any():
        ax.set_xticks(np.arange(values.shape[1] + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(values.shape[0] + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="#e3e6ea", linewidth=0.8)
        ax.tick_params(which="minor", length=0)
    for (y, x), word in np.ndenumerate(words):
        if word:
            # From two thirds of the scale on, white has more contrast on "Blues" than ink.
            ax.text(x, y, word, ha="center", va="center", fontsize=8, linespacing=1.35, color="white" if values[y, x] > 0.67 * top else INK)
    return image


def count_axis(axis: Axis) -> None:
    """An axis of counts: whole numbers, in thousands."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda count, _: f"{count:,.0f}")


def per_cent(share: float) -> str:
    """A share in whole per cent; nothing for zero, and never 0% for a little."""
    if share == 0:
        return ""
    return "<1%" if share < 0.005 else f"{share:.0%}"


def exact(share: float) -> str:
    """A share in per cent with one decimal; a dash where it is not known."""
    return "-" if np.isnan(share) else f"{share:.1%}"


def span(seconds: float) -> str:
    """Seconds in the unit a reader would choose, without needless decimals."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{float(f'{seconds / size:.1f}'):,g} {unit}"
    return f"{seconds:.3g} s"


def wrapped(label: object, width: int = 18) -> str:
    """A label that fits beside the axes, broken where it is long."""
    return textwrap.fill(str(label), width)


def share_axis(axis: Axis) -> None:
    """An axis of shares, with as many decimals as its ticks need."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda share, _: f"{100 * share:.6g}%")


def whiskers(middle: Floats, low: Floats, high: Floats) -> Floats:
    """How far an interval reaches to both sides, as matplotlib wants it; an end that rounding put on the wrong side is at the middle."""
    return np.maximum([middle - low, high - middle], 0.0)


def legend_above(ax: Axes, columns: int) -> None:
    """A legend between the title and the axes, where it covers nothing."""
    ax.legend(
        frameon=False, ncols=columns, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.0, borderpad=0.2, fontsize=9,
        columnspacing=1.2, handletextpad=0.4,
    )  # fmt: skip


def finish(ax: Axes, title: str, *, grid: str | None = None, above: float = 6) -> Axes:
    """The title (so many points above the axes), light lines, and letters for every language."""
    heading = ax.set_title(title, loc="left", fontsize=11, pad=above)
    ax.spines[["top", "right"]].set_visible(False)
    if grid is not None:
        ax.grid(axis=grid, alpha=0.3)  # type: ignore[arg-type]
        ax.set_axisbelow(True)
    legend = ax.get_legend()
    named = [heading, ax.xaxis.label, ax.yaxis.label, *([] if legend is None else legend.get_texts())]
    labels = [*named, *ax.get_xticklabels(), *ax.get_yticklabels(), *ax.texts]
    for label in labels:
        label.set_parse_math(False)  # "$100-$500" is a price, not a formula
    letter(labels)
    return ax


def letter(labels: Sequence[Text]) -> None:
    """Give labels with Chinese characters a font that has them; the default font draws boxes."""
    wide = [label for label in labels if _lacks(label)]
    if not wide:
        return
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    family = next((name for name in _CJK_FAMILIES if name in installed), None)
    if family is None:
        warn(
            "the labels have Chinese characters, but no font with them is installed; install one (for example fonts-noto-cjk) and "
            "delete matplotlib's font cache, or choose English labels."
        )
        return
    for label in wide:
        label.set_fontfamily([*label.get_fontfamily(), family])


def _lacks(label: Text) -> bool:
    """Whether a label has wide characters that its font, the user's choice, has no glyphs for."""
    wide = {c for c in label.get_text() if unicodedata.east_asian_width(c) in "WF"}
    if not wide:
        return False
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont(label.get_fontproperties()))
    return not all(font.get_char_index(ord(c)) for c in wide)
