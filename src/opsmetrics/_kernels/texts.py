"""Texts as column stores keep them: where each begins in one run of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

LONGEST: Final = 254
"""Bytes of the longest word that is looked for."""


def places_among(offsets: npt.NDArray[np.integer], data: npt.NDArray[np.uint8], words: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    """The place of each text in a list of different words, fewer than 255; the length of the list where it is none of them.

    Length and first byte leave few texts that may be a word, and the rest of these is compared byte by byte. That takes less than to hash
    every text, as a search for all words at once must.
    """
    found = np.full(len(offsets) - 1, len(words), dtype=np.uint8)
    begins = offsets[:-1].astype(np.intp, copy=False)
    sizes = np.minimum(np.diff(offsets), LONGEST + 1).astype(np.uint16)
    keys = sizes << 8
    if len(data):
        keys |= data.take(begins, mode="clip")
    for place, word in enumerate(words):
        if not word:
            found[sizes == 0] = place
            continue
        here = np.flatnonzero(keys == np.uint16(len(word) << 8 | word[0]))
        at, same = begins.take(here), np.ones(len(here), dtype=np.bool_)
        for byte in word[1:]:
            at += 1
            same &= data.take(at) == byte
        found[here if same.all() else here[same]] = place
    return found
