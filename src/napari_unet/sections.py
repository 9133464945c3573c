"""Sections as they are read for tiles: whole where that is small, else just the window that is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np

from napari_unet import tiles
from napari_unet.grey import Grey, measure, refuse_no_numbers
from napari_unet.tiles import Box, Tile
from napari_unet.volume import Volume

WHOLE = 2**26  # pixels: a larger section is read in windows
_BLOCKS, _SIDE = 8, 128  # its grey values are measured on 8 x 8 blocks of 128 x 128 pixels, spread over it


@dataclass(frozen=True)
class Window:
    """A part of a section that is indexed as if it were all of it.

    Attributes
    ----------
    pixels : ndarray, shape (rows, columns)
    y, x : int
        Where the part begins in the section.
    shape : tuple of int
        Of the whole section.
    """

    pixels: np.ndarray
    y: int
    x: int
    shape: tuple[int, int]

    def __getitem__(self, key: tuple[Any, Any]) -> np.ndarray:
        rows, columns = key
        return self.pixels[rows - self.y, columns - self.x]

    def checksum(self, box: Box) -> int:
        """Return the CRC32C of the pixels in a box of the section."""
        part = self.pixels[box.y0 - self.y : box.y1 - self.y, box.x0 - self.x : box.x1 - self.x]
        return int(google_crc32c.value(part.astype(part.dtype.newbyteorder("<"), copy=False).tobytes()))


class Sections:
    """Reads a stack for its tiles; keeps the last section, since its tiles come one after another.

    Parameters
    ----------
    image : Volume
    """

    def __init__(self, image: Volume) -> None:
        self._image = image
        self._large = image.shape[1] * image.shape[2] > WHOLE
        self._last: tuple[int, Grey, np.ndarray | None] | None = None

    def read(self, box: Box) -> tuple[Window, Grey]:
        """Return what the network needs to say something of a box of one section.

        Grey values are always measured on the same pixels of a section, whatever part is asked for.

        Raises
        ------
        Problem
            If it cannot be read, or a grey value is not a number or infinite.
        """
        if self._last is None or self._last[0] != box.z0:
            self._last = None  # one at a time: of float64, it may have half a gigabyte
            self._last = (box.z0, *self._opened(box.z0))
        _, grey, whole = self._last
        return self._window(box, whole), grey

    def _opened(self, z: int) -> tuple[Grey, np.ndarray | None]:
        """Return the grey values of a section, and its pixels if they are few enough."""
        whole = None if self._large else self._image.section(z)
        return measure(self._sample(z) if whole is None else whole, self._name(z)), whole

    def _sample(self, z: int) -> np.ndarray:
        """Return blocks spread over a large section, in one array."""
        tops, lefts = (np.linspace(0, max(n - _SIDE, 0), _BLOCKS).astype(int) for n in self._image.shape[1:])
        return np.block(
            [[self._image.section(z, slice(y, y + _SIDE), slice(x, x + _SIDE)) for x in lefts] for y in tops]
        )

    def _window(self, box: Box, whole: np.ndarray | None) -> Window:
        """Return what tiles see of a section; they begin and end at multiples of 16, mirrored beyond the section."""
        _, height, width = self._image.shape
        around = Tile(box.y0 // 16 * 16, -(-box.y1 // 16) * 16, box.x0 // 16 * 16, -(-box.x1 // 16) * 16)
        rows, columns = tiles.mirror(around.rows, height), tiles.mirror(around.columns, width)
        top, left = int(rows.min()), int(columns.min())
        part = slice(top, int(rows.max()) + 1), slice(left, int(columns.max()) + 1)
        if whole is None:
            pixels = self._image.section(box.z0, *part)
            refuse_no_numbers(pixels, self._name(box.z0))  # `measure` saw a sample only
        else:
            pixels = whole[part].copy()  # who computes it may still be at it when the next section is read
        return Window(pixels, top, left, (height, width))

    def _name(self, z: int) -> str:
        return f"Section {z} of {self._image.name}"
