"""A stack, on disk or in memory: lazy array, voxel size and position; opens it from any format."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.formats import open_source
from napari_unet.problem import Problem, reading
from napari_unet.view import View, chunk_side
from napari_unet.voxels import Source

_EXTRA = {"T": "time points", "C": "channels", "S": "channels"}
_ONE_VALUE = "Save the labels as one stack with the value of the class at each pixel."


@dataclass(frozen=True)
class Volume:
    """A stack of sections.

    Attributes
    ----------
    array
        Lazy (Z, Y, X): has shape and dtype, and gives numpy arrays when indexed by integers and slices.
    name
        What messages call it: its path, or the name of its layer.
    voxel_size
        Nanometres (Z, Y, X), None if unknown.
    offset
        Where its first voxel lies, in voxels (Z, Y, X), None if unknown.
    made_at
        Of a result: where the first voxel of its image lies, in voxels (Z, Y, X), None if unknown.
    """

    array: Any
    name: str
    voxel_size: tuple[float, float, float] | None = None
    offset: tuple[float, float, float] | None = None
    made_at: Sequence[float] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sections, rows and columns."""
        z, y, x = self.array.shape
        return int(z), int(y), int(x)

    @property
    def dtype(self) -> np.dtype:
        """What `section` returns: native byte order, uint8 for bool."""
        dtype = np.dtype(self.array.dtype)
        return np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")

    @property
    def nbytes(self) -> int:
        """How many bytes its voxels take without compression."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def chunk_depth(self) -> int:
        """How many sections lie in a chunk, and so are decoded together; chunks begin at multiples of it."""
        return self.array.chunk_depth if isinstance(self.array, View) else chunk_side(self.array, 0)

    def section(self, z: int, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Return section `z`, or a box of it, as an array (Y, X) of its own, of `dtype`.

        Raises
        ------
        Problem
            If it cannot be read.
        IndexError
            If there is no such section.
        """
        if not 0 <= z < self.shape[0]:
            raise IndexError(f"section {z} of {self.shape[0]}")
        return self._read((z, rows, columns), np.array, f"Section {z}")

    def slab(self, sections: range) -> np.ndarray:
        """Return sections that follow each other as `section` does, but (Z, Y, X), and for reading only."""
        key = slice(sections.start, sections.stop), slice(None), slice(None)
        return self._read(key, np.asarray, f"One of the sections {sections.start} to {sections.stop - 1}")

    def _read(self, key: tuple[int | slice, slice, slice], made: Callable[..., np.ndarray], what: str) -> np.ndarray:
        damaged = Problem(
            f"{what} of {self.name} cannot be read: the file is damaged or incomplete. "
            "Copy it again from its source, or replace that section."
        )
        with reading(f"{what} of {self.name}", damaged):
            return made(self.array[key], self.dtype, order="C")

    def fingerprint(self) -> str:
        """Return a sha256 over shape, dtype and eight bands of 64 rows, spread over sections and rows.

        The same pixels give the same fingerprint, whatever the format they are stored in.
        """
        depth, height, _ = self.shape
        digest = hashlib.sha256(f"{self.shape} {self.dtype.name}".encode())
        for i in range(8):
            z, top = i * (depth - 1) // 7, i * max(height - 64, 0) // 7
            band = self.section(z, slice(top, top + 64))
            digest.update(band.astype(band.dtype.newbyteorder("<"), copy=False).tobytes())
        return digest.hexdigest()


class _Grey:
    """A grey stack saved in colour, (Z, Y, X): red, green and blue must be equal wherever it is read."""

    def __init__(self, colours: View, name: str) -> None:
        self._colours, self._name = colours, name
        self.shape, self.dtype, self.ndim = colours.shape[:3], colours.dtype, 3
        self.size = int(np.prod(self.shape, dtype=np.int64))

    def __getitem__(self, key: Any) -> np.ndarray:
        pixels = self._colours[key]
        if (pixels[..., :3] != pixels[..., :1]).any():
            z = key[0] if isinstance(key, tuple) and isinstance(key[0], int | np.integer) else None
            where = self._name if z is None else f"Section {z} of {self._name}"
            raise Problem(
                f"{where} has colour in it, though the middle section is grey. Say which channel holds the signal "
                "(--channel): 0 is red, 1 is green, 2 is blue."
            )
        return np.asarray(pixels[..., 0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype)


def open_volume(path: str | Path, channel: int | None = None, labels: bool = False) -> Volume:
    """Open a stack lazily: TIFF, a folder of TIFF or PNG sections, Zarr, OME-Zarr or a level of it, HDF5, MRC.

    One image is a stack of one section. Axes of length one are left out. Where no axis is named Z, an unnamed one
    stands for it (the last, if there are several), or a channel axis longer than four; where there is but one section,
    time does: stacks are often saved like that. What to take of any axis more than that is asked, never guessed.

    Parameters
    ----------
    path
        The file or folder; a level of an OME-Zarr image, or a dataset in an HDF5 file, by a path that goes on inside:
        `stack.zarr/1`, `stack.h5/volumes/raw`.
    channel
        Which one to take of several channels, time points or stacks; needed only where there are several, and
        for a colour image with colour in it.
    labels
        Whether it holds labels: their values are those of the file, not the colours that a palette shows them in.

    Raises
    ------
    Problem
        If there is no stack that can be opened, or `channel` is missing or too large.
    """
    name = str(path)
    source = open_source(Path(path), labels)
    if len(source.array.shape) < 2 or 0 in source.array.shape:
        raise Problem(f"{name} holds no image: its shape is {source.array.shape}. Choose another file.")
    if source.array.dtype.kind not in "biuf":
        raise Problem(
            f"{name} holds {source.array.dtype} values, which are not grey values. "
            "Save it as whole numbers of 8 or 16 bit, or as floating point."
        )
    array = _stack(source, name, channel, labels)
    step, start = dict(source.voxels.step), source.voxels.start
    if array.shape[0] == 1 and "Y" in step:
        step.setdefault("Z", step["Y"])  # the thickness of a single section does not matter
    size = (step["Z"], step["Y"], step["X"]) if len(step.keys() & {*"ZYX"}) == 3 else None
    offset = (start.get("Z", 0.0), start.get("Y", 0.0), start.get("X", 0.0)) if start else None
    return Volume(array, name, size, offset, source.made_at)


def _stack(source: Source, name: str, channel: int | None, labels: bool) -> Any:
    """Return the array (Z, Y, X) that `channel` names."""
    array, axes, shape = source.array, source.axes, source.array.shape
    y, x = axes.index("Y"), axes.index("X")
    long = [i for i, length in enumerate(shape) if length > 1 and i not in (y, x)]
    z = _depth(axes, shape, long, channel)
    planes = [axes[i] for i in long if i < y] == ["S"]  # so tifffile saves a stack of few sections by itself
    if planes and labels:
        z = long[0]
    others = [i for i in long if i != z]
    colour = next((i for i in others if axes[i] == "S" and shape[i] in (3, 4)), None)
    if colour is not None and channel is None:
        if not _is_grey(View(array, (z, y, x, colour)), name):
            remedy = "Say which channel holds the signal (--channel): 0 is red, 1 is green, 2 is blue"
            remedy += ", 3 is transparency." if shape[colour] == 4 else "."
            if planes:
                remedy += " If these are sections, save them anew as grey values (photometric='minisblack')."
            raise Problem(f"{name} is a colour image{', not labels' * labels}. {_ONE_VALUE if labels else remedy}")
        others.remove(colour)
        if len(others) == 0:
            return _Grey(View(array, (z, y, x, colour)), name)
    unnamed = [str(shape[i]) for i in others if axes[i] not in _EXTRA]
    words = [f"{' x '.join(unnamed)} stacks"] * bool(unnamed)
    words += [f"{shape[i]} {_EXTRA[axes[i]]}" for i in others if axes[i] in _EXTRA]
    if len(others) > 1:
        what = f"{' and '.join(words)}, its axes are {_in_words(axes, shape, z)}"
        raise Problem(f"{name} has {what}. Save the one you need as a stack of its own.")
    count = shape[others[0]] if others else 1
    if count > 1 and channel is None:
        if labels:
            raise Problem(f"{name} has {words[0]}, but labels have one. {_ONE_VALUE}")
        what = f"{words[0]}, its axes are {_in_words(axes, shape, z)}"
        raise Problem(f"{name} has {what}. Say which one to use (--channel): 0 to {count - 1}.")
    if not 0 <= (channel or 0) < count:
        raise Problem(f"{name} has no channel {channel}. Channels count from 0, and the last one here is {count - 1}.")
    if (z, y, x) == (0, 1, 2) and len(shape) == 3:
        return array
    return View(array, (z, y, x), dict.fromkeys(others, channel or 0))


def _depth(axes: str, shape: tuple[int, ...], long: list[int], channel: int | None) -> int | None:
    """Return which of the axes `long` counts the sections, None if there is one section."""
    if named := [i for i in long if axes[i] == "Z"]:
        return named[0]
    has_z = "Z" in axes  # of length one
    if not has_z and (unnamed := [i for i in long if axes[i] not in "TCS"]):
        return unnamed[-1]
    if times := [i for i in long if axes[i] == "T"]:
        return times[0]
    many = [i for i in long if axes[i] == "C" and shape[i] > 4 and channel is None]
    return many[0] if many and not has_z else None


def _in_words(axes: str, shape: tuple[int, ...], z: int | None) -> str:
    """Name each axis with its length, and which one counts the sections."""
    names = [letter if letter in "TCZYXS" else "unnamed" for letter in axes]
    parts = [f"{name} {length}" for name, length in zip(names, shape, strict=True)]
    if z is not None and axes[z] != "Z":
        parts[z] += " (the sections)"
    return ", ".join(parts)


def _is_grey(colours: View, name: str) -> bool:
    """Return whether red, green and blue of (Z, Y, X, colour) are equal, judged by the middle section."""
    middle = colours.shape[0] // 2
    red, green, blue = (Volume(View(colours, (0, 1, 2), {3: i}), name).section(middle) for i in range(3))
    return np.array_equal(red, green) and np.array_equal(red, blue)
