"""What a job that died left of a result: only finished chunks stay, and the coarse levels over them are whole."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np

from napari_unet.disk import sync
from napari_unet.finished import NOT_FINISHED, list_anew
from napari_unet.layout import chunks_in, chunks_where
from napari_unet.pyramids import Pyramids


def mend(path: Path, pyramids: Pyramids, seen: np.ndarray) -> tuple[int, int]:
    """Look at all listed chunks; remove all else from sections that are not whole, and what is left of half files.

    Parameters
    ----------
    path : Path
        The folder of the result; nobody may be writing.
    pyramids : Pyramids
    seen : ndarray, shape `Layout.grid`, int64
        What `finished.listed_in` found; NOT_FINISHED from now on for a chunk that is not as it was written.

    Returns
    -------
    damaged : int
        How many chunks that were listed are not as they were written; they are listed no more.
    torn : int
        Of how many sections, all of them listed and whole, coarse levels were not; they are written again.

    Raises
    ------
    Problem, OSError
        If the disk is full or cannot be written, or a file cannot be read now.
    """
    damaged = 0
    for chunk in pyramids.broken(chunks_where(seen != NOT_FINISHED)):
        seen[chunk] = NOT_FINISHED
        damaged += 1
    finished = seen != NOT_FINISHED
    if damaged:
        list_anew(path, seen)
    sweep(path, pyramids)
    sections = set(np.flatnonzero(~finished.all(axis=(1, 2))).tolist())
    whole = finished & finished.all(axis=(1, 2), keepdims=True)
    torn = set(pyramids.torn(chunks_where(whole)))
    sections |= torn
    for array in chain.from_iterable(pyramids.levels):
        for folder in (path / array.path).glob("c/*" if array.ndim == 3 else "c/*/*"):
            if folder.name.isdecimal() and (z := int(folder.name)) in sections:
                kept = {file for chunk in chunks_in(z, finished[z]) for file in pyramids.files(chunk)}
                for file in set(folder.glob("*/*")) - kept:
                    file.unlink()
    for z in np.flatnonzero(finished.any(axis=(1, 2))).tolist():
        if z in sections:
            sync(path, pyramids.coarsen(chunks_in(z, finished[z])))
    return damaged, len(torn)


def sweep(path: Path, pyramids: Pyramids) -> None:
    """Remove what was written in part by a process that died; nobody may be writing.

    Raises
    ------
    OSError
        If the disk cannot be written.
    """
    for array in chain.from_iterable(pyramids.levels):
        for left in (path / array.path).rglob("*.partial"):
            left.unlink(missing_ok=True)
