"""Whole sections of a stack; those that lie in the chunks of one are read with it, as far as memory allows."""

from __future__ import annotations

import numpy as np

from napari_unet.volume import Volume

_KEPT = 2**28  # bytes of sections that are kept: as much as HDF5 is given for its chunks
_SLABS = 2


class Slabs:
    """Reads whole sections: of chunks 64 sections deep, each is decoded once instead of 64 times.

    Two slabs are kept, for those who begin at a section in view and go to and fro from it.

    Parameters
    ----------
    image : Volume
    """

    def __init__(self, image: Volume) -> None:
        self._image = image
        of_one = image.shape[1] * image.shape[2] * image.dtype.itemsize
        self._depth = max(1, min(image.chunk_depth, _KEPT // _SLABS // of_one))
        self._slabs: dict[range, np.ndarray] = {}  # which sections, and these; those that were read last at the end

    def section(self, z: int) -> np.ndarray:
        """Return section `z`, shape (Y, X), for reading only: it may be a part of what is kept.

        Raises
        ------
        Problem
            If it cannot be read.
        """
        if self._depth == 1:
            return self._image.section(z)
        these = self._around(z)
        pixels = self._slabs.pop(these, None)
        if pixels is None:
            while len(self._slabs) >= _SLABS:  # before another one takes memory
                del self._slabs[next(iter(self._slabs))]
            pixels = self._image.slab(these)
        self._slabs[these] = pixels
        return pixels[z - these.start]

    def _around(self, z: int) -> range:
        """Return the sections that are read with section `z`, all of the same chunks."""
        deep, depth = self._image.chunk_depth, self._image.shape[0]
        chunk = z - z % deep
        first = z - (z - chunk) % self._depth
        return range(first, min(first + self._depth, chunk + deep, depth))
