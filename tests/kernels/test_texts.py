"""Words among texts: Arrow's own search as witness."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmetrics._kernels import texts

SHORT = st.text("ab\0é购", max_size=4)
TEXTS = st.lists(SHORT | st.sampled_from(["a" * 253, "a" * 254, "a" * 255, "a" * 510, "b" + "a" * 253]), max_size=30)


def buffers(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """What Arrow keeps of a column, as arrays."""
    _, offsets, data = column.buffers()
    size = np.int64 if pa.types.is_large_string(column.type) else np.int32
    begin = np.frombuffer(offsets, size) if offsets else np.zeros(1, size)
    return begin[column.offset : column.offset + len(column) + 1], np.frombuffer(data or b"", np.uint8)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
@given(values=TEXTS, words=st.lists(SHORT | st.sampled_from(["a" * 253, "a" * 254]), max_size=6, unique=True), cut=st.integers(0, 5))
def test_a_text_is_at_the_place_of_its_word(kind, values, words, cut):
    column = pa.array([*words, *values, *words], kind).slice(cut)
    expected = pc.fill_null(pc.index_in(column, pa.array(words, kind)), len(words)).to_pylist()
    found = texts.places_among(*buffers(column), [word.encode() for word in words])
    assert found.tolist() == expected
    assert found.dtype == np.uint8
