"""The arrays of a result: writing a chunk, making the coarse levels over it, and which files that makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

import google_crc32c
import numpy as np
import zarr

from napari_unet.ahead import ahead
from napari_unet.layout import CHUNK, COARSE_CHUNK, NOT_COMPUTED, Chunk, Layout, files_of, open_levels
from napari_unet.problem import Problem, forbidden, unreadable

Name = TypeVar("Name")

_READERS = 8  # files that are checked at once
_CHECKSUM = 4  # bytes at the end of a file, CRC-32C of all before


class Pyramids:
    """The class map of a result and, if it has them, its probabilities, to be written.

    Different chunks may be written by different processes at once; coarse levels by one alone.

    Parameters
    ----------
    path : Path
        The folder of the result, which exists.
    layout : Layout

    Attributes
    ----------
    levels : list of tuple of zarr.Array
        Of each of the two, the levels, finest first.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path, self._layout = path, layout
        self.levels = open_levels(path, layout, "r+")

    def write(self, chunk: Chunk, classes: np.ndarray, probabilities: np.ndarray | None) -> None:
        """Write one chunk at full resolution.

        Parameters
        ----------
        chunk : Chunk
        classes : ndarray, shape (h, w), uint8
            The pixels of `chunk.box`, at most 254.
        probabilities : ndarray, shape (C, h, w), uint8, or None
            255 = probability 1; None if the layout keeps none.

        Raises
        ------
        ValueError
            If the pixels do not fit the chunk.
        OSError
            If the disk is full or cannot be written.
        """
        images = [classes] if probabilities is None else [classes, probabilities]
        self._check(chunk, images)
        y0, y1, x0, x1 = chunk.box(self._layout.shape)
        for levels, pixels in zip(self.levels, images, strict=True):
            levels[0][..., chunk.z, y0:y1, x0:x1] = pixels

    def files(self, chunk: Chunk) -> list[Path]:
        """Return the files of a chunk at full resolution."""
        return [file for levels in self.levels for file in files_of(self._path, levels[0], chunk)]

    def coarsen(self, chunks: Iterable[Chunk]) -> list[Path]:
        """Write the coarse chunks over `chunks`, each whole and from the level below; return their files."""
        files = []
        for fine, coarse, z, y, x in self._over(chunks):
            top, left = y * COARSE_CHUNK, x * COARSE_CHUNK
            block = fine[..., z, 2 * top : 2 * top + CHUNK : 2, 2 * left : 2 * left + CHUNK : 2]
            coarse[..., z, top : top + COARSE_CHUNK, left : left + COARSE_CHUNK] = block
            files += files_of(self._path, coarse, (z, y, x))
        return files

    def broken(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yield those of which a file at full resolution is missing or, by its checksum, not as it was written."""
        return self._not_whole((chunk, self.files(chunk)) for chunk in chunks)

    def torn(self, chunks: Iterable[Chunk]) -> Iterator[int]:
        """Yield the section of each coarse file over `chunks` that is missing or not as it was written.

        `chunks` come section by section.
        """
        sections = groupby(chunks, attrgetter("z"))
        over = (each for _, section in sections for each in self._over(section))
        return self._not_whole((z, files_of(self._path, coarse, (z, y, x))) for _, coarse, z, y, x in over)

    def _not_whole(self, named: Iterable[tuple[Name, list[Path]]]) -> Iterator[Name]:
        """Yield the name of what has a file that is not whole."""

        def look(each: tuple[Name, list[Path]]) -> tuple[Name, bool]:
            name, files = each
            return name, all(map(_is_whole, files))

        return (name for name, whole in ahead(look, named, 2 * _READERS, _READERS) if not whole)

    def _over(self, chunks: Iterable[Chunk]) -> Iterator[tuple[zarr.Array, zarr.Array, int, int, int]]:
        """Yield a level, the coarser one, and the indices of each coarse chunk over `chunks`; finer levels first."""
        chunks = list(chunks)
        for levels in self.levels:
            # A chunk of level 1 (512 px) lies over one of level 0 (1024 px), later ones over 2 x 2 chunks.
            touched = {(chunk.z, chunk.y, chunk.x) for chunk in chunks}
            for fine, coarse in pairwise(levels):
                yield from ((fine, coarse, *at) for at in sorted(touched))
                touched = {(z, y // 2, x // 2) for z, y, x in touched}

    def _check(self, chunk: Chunk, images: list[np.ndarray]) -> None:
        """Raise ValueError unless `images` are the pixels of the chunk."""
        y0, y1, x0, x1 = chunk.box(self._layout.shape)
        shapes: list[tuple[int, ...]] = [(y1 - y0, x1 - x0)]
        if self._layout.probabilities:
            shapes.append((len(self._layout.classes), y1 - y0, x1 - x0))
        if [image.shape for image in images] != shapes or any(image.dtype != np.uint8 for image in images):
            raise ValueError(f"{chunk} takes uint8 {shapes}, got {[(i.dtype, i.shape) for i in images]}")
        if images[0].max() == NOT_COMPUTED:
            raise ValueError(f"{NOT_COMPUTED} means not computed yet, it is no class")


def _is_whole(file: Path) -> bool:
    """Tell whether a file is there and ends with the checksum of what is in it.

    Raises
    ------
    Problem
        If it is there and cannot be read now: nobody knows whether it is whole.
    """
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
    except PermissionError as error:
        raise forbidden(file) from error
    except OSError as error:
        remedy = "If it stays so, delete it: what was in it is computed again."
        raise Problem(f"{unreadable(file, error)} {remedy}") from error
    told = int.from_bytes(content[-_CHECKSUM:], "little")
    return len(content) > _CHECKSUM and google_crc32c.value(content[:-_CHECKSUM]) == told
