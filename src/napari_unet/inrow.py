"""Pixels that lie in one piece in a file, as most TIFF and MRC files keep them: a lazy array."""

from __future__ import annotations

import itertools
import math
import os
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


class InRow:
    """An array in a file; indexing it by integers and slices reads just that.

    It is read, not mapped into memory: where a mapped file becomes shorter, or its disk fails, the system kills the
    process.

    Parameters
    ----------
    path : Path
    dtype : numpy.dtype
        With its byte order.
    offset : int
        Where the first pixel begins, in bytes.
    shape : sequence of int
        The last axis varies fastest.

    Raises
    ------
    OSError
        If it cannot be opened, or is too short.
    """

    def __init__(self, path: Path, dtype: np.dtype, offset: int, shape: Sequence[int]) -> None:
        self.shape, self.dtype = tuple(map(int, shape)), np.dtype(dtype)
        self.ndim, self.size = len(self.shape), math.prod(self.shape)
        self._offset = int(offset)
        # Held open: whatever another program puts in its place, all sections are those of one file.
        self._file = path.open("rb", buffering=0)
        weakref.finalize(self, self._file.close)
        if self._file.seek(0, os.SEEK_END) < self._offset + self.size * self.dtype.itemsize:
            raise OSError(f"{path} is too short")
        self._one_at_a_time = threading.Lock()

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return a part as an array of its own.

        Raises
        ------
        OSError
            If it cannot be read, or the file has become too short.
        """
        keys = list(key) if isinstance(key, tuple) else [key]
        gap = next((i for i, each in enumerate(keys) if each is Ellipsis), len(keys))
        keys[gap : gap + 1] = [slice(None)] * (self.ndim - len(keys) + (gap < len(keys)))
        axes = [_indices(each, length) for each, length in zip(keys, self.shape, strict=True)]
        return self._box(axes)[tuple(slice(None) if isinstance(each, slice) else 0 for each in keys)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype)

    def _box(self, axes: list[range]) -> np.ndarray:
        """Read what is at these indices of each axis, in as few pieces as there are."""
        found = np.empty([len(each) for each in axes], self.dtype)
        if not found.size:
            return found
        # All of the last axes is wanted, a part of the one before: that is a piece.
        lead = self.ndim - 1
        while lead and axes[lead] == range(self.shape[lead]):
            lead -= 1
        along, inner = axes[lead], self.shape[lead + 1 :]
        first, last = min(along), max(along)
        in_row = along == range(first, last + 1)
        for place, at in enumerate(itertools.product(*axes[:lead])):
            start = 0
            for index, length in zip((*at, first), self.shape, strict=False):
                start = start * length + index
            into = found.reshape(-1, *found.shape[lead:])[place]
            piece = into if in_row else np.empty((last + 1 - first, *inner), self.dtype)
            self._read(start * math.prod(inner), piece)
            if not in_row:
                into[...] = piece[np.array(along) - first]
        return found

    def _read(self, start: int, piece: np.ndarray) -> None:
        """Fill an array with the pixels from one on."""
        left = piece.reshape(-1).view(np.uint8).data
        with self._one_at_a_time:
            self._file.seek(self._offset + start * self.dtype.itemsize)
            while left:
                count = self._file.readinto(left)
                if not count:
                    raise OSError(f"{self._file.name} has become shorter")
                left = left[count:]


def _indices(key: Any, length: int) -> range:
    """Return what an integer or a slice picks from an axis."""
    if isinstance(key, slice):
        return range(length)[key]
    index = range(length)[key]
    return range(index, index + 1)
