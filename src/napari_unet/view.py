"""A lazy look at an array."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np


class View:
    """A lazy look at an array, for reading only: some of its axes, reordered; the others held at one index.

    Its pixels have the byte order of the machine, which napari's labels need.

    Parameters
    ----------
    array
        What is looked at; anything with shape and dtype that can be indexed by slices.
    axes
        For each axis of the view the axis of `array` it shows, None for a new axis of length one.
    held
        Index on an axis of `array` that is not shown; 0 where it is not given.
    """

    read_only = True

    def __init__(self, array: Any, axes: tuple[int | None, ...], held: Mapping[int, int] | None = None) -> None:
        self._array = array
        self._axes = axes
        held = held or {}
        self._box = [slice(held.get(i, 0), held.get(i, 0) + 1) for i in range(len(array.shape))]
        self.shape = tuple(1 if axis is None else int(array.shape[axis]) for axis in axes)
        self.dtype = np.dtype(array.dtype).newbyteorder("=")
        self.ndim = len(axes)
        self.size = int(np.prod(self.shape, dtype=np.int64))
        self.chunk_depth = 1 if axes[0] is None else chunk_side(array, axes[0])  # of a view (Z, Y, X)

    def __getitem__(self, key: Any) -> np.ndarray:
        box, after = list(self._box), list[int | slice]()
        for axis, index, length in zip(self._axes, self._full(key), self.shape, strict=True):
            # An integer is a slice of one at first: all axes must be there to be reordered.
            ranged = isinstance(index, slice)
            part = index if ranged else _one(index, length)
            if axis is None:
                after.append(part if ranged else 0)
            else:
                box[axis] = part
                after.append(slice(None) if ranged else 0)
        block = np.asarray(self._array[tuple(box)], self.dtype)
        shown = [axis for axis in self._axes if axis is not None]
        hidden = tuple(axis for axis in range(block.ndim) if axis not in shown)
        block = block.transpose(*shown, *hidden).reshape([block.shape[axis] for axis in shown])
        return np.expand_dims(block, [i for i, axis in enumerate(self._axes) if axis is None])[tuple(after)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype)

    def _full(self, key: Any) -> list[Any]:
        """Return `key` with one entry for each axis."""
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis not in keys:
            keys.append(Ellipsis)
        gap = keys.index(Ellipsis)
        keys[gap : gap + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
        return keys


def chunk_side(array: Any, axis: int) -> int:
    """Return the side of the chunks of an array along an axis, 1 if it has none of one size."""
    chunks = getattr(array, "chunks", None)
    return chunks[axis] if isinstance(chunks, tuple) and isinstance(chunks[axis], int) else 1


def _one(index: Any, length: int) -> slice:
    """Return the slice that holds the one element `index`."""
    at = operator.index(index)
    if not -length <= at < length:
        raise IndexError(f"index {at} is out of bounds for an axis of length {length}")
    return slice(at % length, at % length + 1)
