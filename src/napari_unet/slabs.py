"""Whole sections of a stack; those that lie in the chunks of one are read with it, as far as memory allows."""

from __future__ import annotations

import numpy as np

from napari_unet.volume import Volume

_KEPT = 2**28  # bytes of sections that are kept: as much as HDF5 is given for its chunks


class Slabs:
    """Reads whole sections, one after another: of chunks 64 sections deep, each is decoded once instead of 64 times.

    Parameters
    ----------
    image : Volume
    """

    def __init__(self, image: Volume) -> None:
        self._image = image
        of_one = image.shape[1] * image.shape[2] * image.dtype.itemsize
        self._depth = max(1, min(image.chunk_depth, _KEPT // of_one))
        self._kept = range(0)
        self._pixels: np.ndarray | None = None

    def section(self, z: int) -> np.ndarray:
        """Return section `z`, shape (Y, X), for reading only: it may be a part of what is kept.

        Raises
        ------
        Problem
            If it cannot be read.
        """
        if self._depth == 1:
            return self._image.section(z)
        if self._pixels is None or z not in self._kept:
            self._pixels = None  # one slab at a time
            chunk = z - z % self._image.chunk_depth
            first = z - (z - chunk) % self._depth
            self._kept = range(first, min(first + self._depth, chunk + self._image.chunk_depth, self._image.shape[0]))
            self._pixels = self._image.slab(self._kept)
        return self._pixels[z - self._kept.start]
