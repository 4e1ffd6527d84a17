"""What the tests of pictures share: reading a picture back, and what must hold of every one."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from opsmetrics.plotting.canvas import _CJK_FAMILIES


def ticks(axis: Any) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def title(ax: Axes) -> str:
    return ax.get_title(loc="left")


def legend(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def whiskers(container: Any, axis: int = 0) -> np.ndarray:
    """The intervals that error bars draw along x (or y), one row each; none where there is none."""
    (bars,) = container.lines[2]
    return np.array([segment[:, axis] for segment in bars.get_segments() if len(segment)])


def solid(ax: Axes) -> dict[str, Any]:
    """The lines that the legend names."""
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def heights(container: Any) -> list[float]:
    return [bar.get_height() for bar in container]


def check_every_picture(result: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It draws on axes of its own or on those given, and leaves no trace."""

    def shown(*_: Any, **__: Any) -> None:
        raise AssertionError("shown")

    monkeypatch.setattr(plt, "show", shown)
    before, units, table = mpl.rcParams.copy(), dict(mpl.units.registry), result.table.copy()
    ax = result.plot()
    assert isinstance(ax, Axes)
    assert plt.get_fignums() == [ax.figure.number]
    check_words(ax)
    _, (left, right) = plt.subplots(1, 2)
    assert result.plot(ax=right) is right
    assert len(plt.get_fignums()) == 2
    assert not left.has_data()
    assert mpl.rcParams == before
    assert dict(mpl.units.registry) == units
    pd.testing.assert_frame_equal(result.table, table)


def check_words(ax: Axes) -> None:
    """A picture says what it shows, and its words cover nothing, nor do they leave the page."""
    assert len(title(ax)) > 20
    assert ax.get_xlabel()
    assert ax.get_ylabel() or ticks(ax.yaxis)
    ax.figure.canvas.draw()
    whole = ax.figure.bbox
    for labels in (ax.get_xticklabels(), ax.get_yticklabels(), ax.texts):
        boxes = [label.get_window_extent() for label in labels if label.get_text()]
        assert [(i, k) for i, a in enumerate(boxes) for k, b in enumerate(boxes) if i < k and a.overlaps(b)] == []
    heading = ax._left_title.get_window_extent()
    assert heading.y0 > ax.get_window_extent().y1
    assert all(box.x1 <= whole.x1 + 1 for box in [heading, *(text.get_window_extent() for text in ax.texts)])
    assert ax.xaxis.label.get_window_extent().x1 <= whole.x1
    assert ax.yaxis.label.get_window_extent().y1 <= whole.y1
    if ax.get_legend():
        box = ax.get_legend().get_window_extent()
        assert ax.get_window_extent().y1 <= box.y0 + 1
        assert box.y1 <= heading.y0 + 1
        assert box.x1 <= whole.x1
    if not ax.images:
        lengths = ax.xaxis if ax.yaxis_inverted() else ax.yaxis
        assert lengths.get_view_interval()[0] <= 0, "a length that does not start at zero lies"


def reading(ax: Axes) -> dict[str, Any]:
    """What a picture says, to compare it with another."""
    return {
        "title": title(ax),
        "texts": texts(ax),
        "ticks": (ticks(ax.xaxis), ticks(ax.yaxis)),
        "lines": [line.get_xydata() for line in ax.lines],
        "patches": [patch.get_extents().bounds for patch in ax.patches],
        "images": [np.ma.filled(image.get_array(), np.nan) for image in ax.images],
    }


def pretend_simhei(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has DejaVu, which knows no Chinese, and SimHei."""
    fonts = [font for font in font_manager.fontManager.ttflist if font.name not in _CJK_FAMILIES]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*fonts, font_manager.FontEntry(name="SimHei")])
    monkeypatch.setitem(mpl.rcParams, "font.sans-serif", ["DejaVu Sans"])


def families(labels: Any) -> set[tuple[str, ...]]:
    return {tuple(label.get_fontfamily()) for label in labels}
