"""A part of an array that is read when it is looked at, not when it is cut out."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import groupby, product
from typing import Any

import numpy as np

# Is told where an array cannot be read, by the indices of the axes that are gone or of length one, and the error.
Unreadable = Callable[[tuple[int, ...], Exception], None]


class Part:
    """A look at an array; indexing it gives a smaller one and reads nothing, numpy.asarray reads just what is left.

    Of a level of several, napari 0.9 cuts what is in view out of every section, then takes the one section it shows:
    a Zarr array would read them all.

    Parameters
    ----------
    array
        What is looked at; anything with shape and dtype that can be indexed by integers and slices.
    held
        For each axis of `array` the indices that are looked at, an integer for an axis that is gone; all by default.
    damaged
        For a Zarr array: called where it cannot be read, with the indices on the axes that are gone or of length one.
        Then the chunks that are damaged count as never written: napari does not recover from an error in a layer that
        is just added.
    """

    def __init__(
        self,
        array: Any,
        held: tuple[int | range, ...] | None = None,
        damaged: Unreadable | None = None,
    ) -> None:
        self._array = array
        self._damaged = damaged
        self._held = tuple(map(range, array.shape)) if held is None else held
        self.shape = tuple(len(each) for each in self._held if isinstance(each, range))
        self.dtype = np.dtype(array.dtype)
        self.ndim = len(self.shape)
        self.size = math.prod(self.shape)
        # napari rounds what it shows to whole chunks, so that it reads less often while the view moves.
        self.chunks = getattr(array, "chunks", None) if held is None else None

    def __getitem__(self, key: Any) -> Part:
        keys = list(key) if isinstance(key, tuple) else [key]
        gap = next((i for i, each in enumerate(keys) if each is Ellipsis), len(keys))
        keys[gap : gap + 1] = [slice(None)] * (self.ndim - len(keys) + (gap < len(keys)))
        if len(keys) != self.ndim:
            raise IndexError(f"{len(keys)} indices for {self.ndim} axes")
        each = iter(keys)
        held = tuple(h[next(each)] if isinstance(h, range) else h for h in self._held)
        return Part(self._array, held, self._damaged)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        try:
            return self._read(self._held, dtype)
        except Exception as error:  # zarr tells a damaged chunk by many kinds of error
            if self._damaged is None or isinstance(error, MemoryError):
                raise
            one = (each[0] if isinstance(each, range) and len(each) == 1 else each for each in self._held)
            self._damaged(tuple(each for each in one if not isinstance(each, range)), error)
            return self._whole(dtype or self.dtype)

    def _read(self, held: tuple[int | range, ...], dtype: Any) -> np.ndarray:
        """Read what is held; Zarr reads forwards only, so that axes held backwards are turned afterwards."""
        forwards = (h[::-1] if isinstance(h, range) and h.step < 0 else h for h in held)
        box = tuple(slice(h.start, h.stop, h.step) if isinstance(h, range) else h for h in forwards)
        turned = tuple(slice(None, None, -1 if h.step < 0 else 1) for h in held if isinstance(h, range))
        return np.asarray(np.asarray(self._array[box], dtype)[turned])

    def _whole(self, dtype: Any) -> np.ndarray:
        """Return what can be read, chunk by chunk; the rest is as if it had never been written."""
        found = np.full(self.shape, self._array.fill_value, dtype)
        pieces = [_by_chunk(held, size) for held, size in zip(self._held, self._array.chunks, strict=True)]
        for piece in product(*pieces):
            there = tuple(at for at, held in piece if isinstance(held, range))
            try:
                found[there] = self._read(tuple(held for _, held in piece), dtype)
            except MemoryError:
                raise
            except Exception:  # this one is damaged
                continue
        return found


def _by_chunk(held: int | range, size: int) -> list[tuple[slice, int | range]]:
    """Return the indices that lie in each chunk of an axis, and where they are among all that are held."""
    if not isinstance(held, range):
        return [(slice(None), held)]
    found: list[tuple[slice, int | range]] = []
    for _, group in groupby(range(len(held)), key=lambda i: held[i] // size):
        first, *more = group
        at = slice(first, (more or [first])[-1] + 1)
        found.append((at, held[at]))
    return found
