"""Overlap-tile geometry: numbers only.

The network eats a halo of 92 pixels on each side, plus 2 so that the kept part can start at a multiple of 16: a kept
tile of K x K (K a multiple of 16) is computed from K + 188 pixels a side, and its logits lie 2 pixels inside the
output. Max-pooling repeats every 16 pixels, so tiles agree with a single pass over the whole image only if they
start at multiples of 16 (the stride of 388 that figure 2 of arXiv 1505.04597 draws does not).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np

STRIDE = 16
MARGIN = 94  # read box minus kept box, each side, in pixels
CUT = 2  # output pixels to drop on each side, to be left with the kept box


class Box(NamedTuple):
    """A part of a stack, in voxels, ends excluded."""

    z0: int
    z1: int
    y0: int
    y1: int
    x0: int
    x1: int

    def shared(self, other: Box) -> Box | None:
        """Return what this box and another one share, None if nothing."""
        z0, y0, x0 = (max(a, b) for a, b in zip(self[::2], other[::2], strict=True))
        z1, y1, x1 = (min(a, b) for a, b in zip(self[1::2], other[1::2], strict=True))
        return Box(z0, z1, y0, y1, x0, x1) if z0 < z1 and y0 < y1 and x0 < x1 else None


@dataclass(frozen=True)
class Tile:
    """A kept box, in pixels of the image: rows y0 to y1, columns x0 to x1 (ends excluded).

    `y0` and `x0` are multiples of 16. The box may reach beyond the image by up to 15 pixels.
    """

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def rows(self) -> np.ndarray:
        """Rows of the read box, int64, which may lie outside the image."""
        return np.arange(self.y0 - MARGIN, self.y1 + MARGIN)

    @property
    def columns(self) -> np.ndarray:
        """Columns of the read box, int64, which may lie outside the image."""
        return np.arange(self.x0 - MARGIN, self.x1 + MARGIN)


def mirror(index: np.ndarray, size: int) -> np.ndarray:
    """Return `index` folded back into [0, size) by mirroring at the first and last pixel.

    The border pixel is not repeated: -1 becomes 1. Works for any distance and for ``size == 1``.
    """
    period = max(2 * (size - 1), 1)
    folded = np.mod(index, period)
    return np.minimum(folded, period - folded)


def cover(y0: int, y1: int, x0: int, x1: int, largest: int) -> Iterator[Tile]:
    """Yield tiles that cover the box without overlap, rows first.

    Parameters
    ----------
    y0, y1, x0, x1 : int
        The box, in pixels of the image. The tiles may reach beyond it to the next multiple of 16.
    largest : int
        The largest side of a tile; a multiple of 16. The tiles of a box are about equally large.

    Raises
    ------
    ValueError
        If `largest` is not a positive multiple of 16.
    """
    if largest < STRIDE or largest % STRIDE:
        raise ValueError(f"a tile side must be a positive multiple of {STRIDE}, not {largest}")
    for top, bottom in _pieces(y0, y1, largest):
        for left, right in _pieces(x0, x1, largest):
            yield Tile(top, bottom, left, right)


class Section(Protocol):
    """Rows and columns of pixels; a numpy array is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""

    def __getitem__(self, key: Any, /) -> np.ndarray:
        """Return the pixels at two arrays of indices that broadcast, as numpy does."""


def read(section: Section, tile: Tile) -> np.ndarray:
    """Return the pixels under the read box of `tile`, mirrored at the borders of `section`.

    Parameters
    ----------
    section : Section, shape (Y, X)

    Returns
    -------
    ndarray, shape (kept rows + 188, kept columns + 188), dtype of `section`
    """
    rows, columns = mirror(tile.rows, section.shape[0]), mirror(tile.columns, section.shape[1])
    return section[rows[:, None], columns]


def _pieces(start: int, stop: int, largest: int) -> Iterator[tuple[int, int]]:
    """Cut [start, stop) at multiples of 16 into the fewest, about equal, pieces of at most `largest`."""
    first = start // STRIDE
    steps = math.ceil(stop / STRIDE) - first
    pieces = math.ceil(steps * STRIDE / largest)
    edges = [first + steps * i // pieces for i in range(pieces + 1)]
    for a, b in pairwise(edges):
        yield a * STRIDE, b * STRIDE
