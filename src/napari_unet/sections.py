"""Sections as they are read for tiles: whole where that is small, else just the window that is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np

from napari_unet import tiles
from napari_unet.grey import Grey, measure, measured, refuse_no_numbers
from napari_unet.slabs import Slabs
from napari_unet.tiles import Box, Tile
from napari_unet.volume import Volume

WHOLE = 2**26  # pixels: a larger section is read in windows
_BLOCKS, _SIDE = 8, 128  # its grey values are measured on 8 x 8 blocks of 128 x 128 pixels, spread over it
_BAND = 1024  # rows; where those blocks show nothing, all of it is looked through, so many rows at a time


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
    measured : int
        The CRC32C of the pixels on which the grey values of the section were measured.
    """

    pixels: np.ndarray
    y: int
    x: int
    shape: tuple[int, int]
    measured: int

    def __getitem__(self, key: tuple[Any, Any]) -> np.ndarray:
        rows, columns = key
        return self.pixels[rows - self.y, columns - self.x]

    def checksum(self, box: Box) -> int:
        """Return the CRC32C of all that decides what the network says of a box: its pixels, halo and grey values."""
        rows, columns = _seen(box, self.shape)
        part = self.pixels[rows.start - self.y : rows.stop - self.y, columns.start - self.x : columns.stop - self.x]
        return _crc32c(part, self.measured)


class Sections:
    """Reads a stack for its tiles; keeps the last section, since its tiles come one after another.

    Parameters
    ----------
    image : Volume
    """

    def __init__(self, image: Volume) -> None:
        self._image = image
        self._large = image.shape[1] * image.shape[2] > WHOLE
        self._slabs = Slabs(image)
        self._last: tuple[int, Grey, int, np.ndarray | None] | None = None

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
        _, grey, seen, whole = self._last
        return self._window(box, whole, seen), grey

    def _opened(self, z: int) -> tuple[Grey, int, np.ndarray | None]:
        """Return the grey values of a section, the checksum of what they were measured on, its pixels if few enough."""
        whole = None if self._large else self._slabs.section(z)
        looked_at = self._sample(z) if whole is None else whole
        return measure(looked_at, self._name(z)), _crc32c(measured(looked_at)), whole

    def _sample(self, z: int) -> np.ndarray:
        """Return blocks spread over a large section, or if they show nothing over what is in it, in one array."""
        _, height, width = self._image.shape
        blocks = self._blocks(z, (0, height), (0, width))
        if (blocks == blocks[0, 0]).all() and (inside := self._other_than(z, blocks[0, 0])):
            return self._blocks(z, *inside)
        return blocks

    def _blocks(self, z: int, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
        """Return blocks spread over some rows and columns, in one array."""
        tops, lefts = (
            [slice(start, min(start + _SIDE, stop)) for start in _spread(first, stop)]
            for first, stop in (rows, columns)
        )
        return np.block([[self._image.section(z, y, x) for x in lefts] for y in tops])

    def _other_than(self, z: int, value: float) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Return the rows and columns around all pixels of a section that have another value, None if none has."""
        height, columns = self._image.shape[1], np.zeros(self._image.shape[2], bool)
        rows: list[int] = []
        for top in range(0, height, _BAND):
            other = self._image.section(z, slice(top, min(top + _BAND, height))) != value
            rows += (top + np.flatnonzero(other.any(1))).tolist()
            columns |= other.any(0)
        if not rows:
            return None
        x = np.flatnonzero(columns)
        return (rows[0], rows[-1] + 1), (int(x[0]), int(x[-1]) + 1)

    def _window(self, box: Box, whole: np.ndarray | None, seen: int) -> Window:
        """Return what tiles see of a section."""
        part = _seen(box, self._image.shape[1:])
        if whole is None:
            pixels = self._image.section(box.z0, *part)
            refuse_no_numbers(pixels, self._name(box.z0))  # `measure` saw a sample only
        else:
            pixels = whole[part].copy()  # who computes it may still be at it when the next section is read
        return Window(pixels, part[0].start, part[1].start, self._image.shape[1:], seen)

    def _name(self, z: int) -> str:
        return f"Section {z} of {self._image.name}"


def _spread(first: int, stop: int) -> list[int]:
    """Return where blocks begin that are spread evenly."""
    return np.linspace(first, max(stop - _SIDE, first), _BLOCKS).astype(int).tolist()


def _seen(box: Box, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Return what tiles of a box see of its section; they begin and end at multiples of 16, mirrored beyond it."""
    around = Tile(box.y0 // 16 * 16, -(-box.y1 // 16) * 16, box.x0 // 16 * 16, -(-box.x1 // 16) * 16)
    rows, columns = tiles.mirror(around.rows, shape[0]), tiles.mirror(around.columns, shape[1])
    return slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1)


def _crc32c(pixels: np.ndarray, before: int = 0) -> int:
    """Return the checksum of pixels, the same on every machine, going on from that of what came before."""
    return int(google_crc32c.extend(before, pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()))
