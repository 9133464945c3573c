"""A growing result: what is done, resuming, and the coarse levels.

Beside what `layout.py` describes, the folder of a result holds::

    done.jsonl         one line a finished chunk; made last: without it, the folder was never completed
    segmentation.lock  locked while a job writes

Only `done.jsonl` tells what is finished. Zarr renames a chunk into its place but never syncs it: a chunk is
listed once its files, those of the coarse levels included, are synced. On reopening, the checksums of all listed
chunks are looked at, and what a job that died left is removed (`mending.py`), to be computed again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

import numpy as np

from napari_unet.differences import refuse_another
from napari_unet.disk import disk_problem, lock, refuse_gone, sync
from napari_unet.finished import DONE, LOCK, NOT_FINISHED, NOT_KNOWN, lines_of, list_anew, listed_in
from napari_unet.layout import Chunk, Layout, chunks_in, create
from napari_unet.mending import mend, sweep
from napari_unet.newzarr import refuse_inside
from napari_unet.problem import Problem
from napari_unet.pyramids import Pyramids
from napari_unet.tiles import Box

_BATCH = 16  # chunks written before they are listed
_PATIENCE = 2.0  # seconds between two flushes: a slower chunk is listed at once
_MADE_FIRST = {LOCK, "zarr.json", "probabilities"}  # beside the levels, before `done.jsonl`


def open_store(path: Path, layout: Layout) -> Store:
    """Create the result `path`, or reopen it to go on where it stopped.

    Raises
    ------
    Problem
        If `path` holds something else, or a result of another layout, or if another job writes there: nothing
        is touched then; and if the disk is full or cannot be written.
    """
    try:
        new = _is_new(path)
        if not new:
            refuse_another(path, layout)
        else:
            refuse_inside(path)
        path.mkdir(parents=True, exist_ok=True)
        held = lock(path / LOCK)
        try:
            if new and not (path / DONE).exists():
                _create(path, layout)
            refuse_another(path, layout)
            return Store(path, layout, held)
        except BaseException:
            held.close()
            raise
    except OSError as error:
        raise disk_problem(path, error) from error


class Store:
    """A result to fill, chunk by chunk, by one process and one thread; made by `open_store`.

    Attributes
    ----------
    path : Path
        The folder of the result.
    layout : Layout
        What it is made with.
    total : int
        How many chunks it has.
    damaged : int
        How many were listed when it was opened, but are not as they were written: they are pending again.
    torn : int
        Of how many sections, all of them listed, coarse levels were not as they were written: they were written again.
    seen : ndarray, shape `Layout.grid`, int64
        The checksum of what each listed chunk saw of the image, NOT_KNOWN where there is none; else NOT_FINISHED.
    """

    def __init__(self, path: Path, layout: Layout, lock: IO[bytes]) -> None:
        self.path = path
        self.layout = layout
        self._lock = lock
        self._pyramids = Pyramids(path, layout)
        self.seen = listed_in(path, layout.grid)
        self.total = self.seen.size
        self.damaged, self.torn = mend(path, self._pyramids, self.seen)
        self._unlisted: dict[Chunk, int] = {}
        self._flushed = time.monotonic()
        self._failed: Problem | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def done(self) -> int:
        """How many chunks are listed: they outlive a crash."""
        return int((self.seen != NOT_FINISHED).sum())

    @property
    def pending(self) -> list[Chunk]:
        """The chunks still to be written, in the order z, y, x; there may be a million."""
        return [chunk for z in self.unfinished for chunk in self.pending_in(z)]

    @property
    def unfinished(self) -> list[int]:
        """The sections of which not all chunks are listed."""
        sections: list[int] = np.flatnonzero((self.seen == NOT_FINISHED).any(axis=(1, 2))).tolist()
        return sections

    def pending_in(self, z: int) -> list[Chunk]:
        """Return the chunks of a section still to be written."""
        missing = chunks_in(z, self.seen[z] == NOT_FINISHED)
        return [chunk for chunk in missing if chunk not in self._unlisted]

    def listed_in(self, z: int) -> list[Chunk]:
        """Return the chunks of a section that are listed."""
        return chunks_in(z, self.seen[z] != NOT_FINISHED)

    def stored(self, box: Box) -> tuple[np.ndarray, np.ndarray | None]:
        """Return a box of one section at full resolution.

        Returns
        -------
        classes : ndarray, shape (rows, columns), uint8
        probabilities : ndarray, shape (classes, rows, columns), uint8, or None
            255 = 1; None where the result keeps none.
        """
        part = ..., box.z0, slice(box.y0, box.y1), slice(box.x0, box.x1)
        classes, *probabilities = (np.asarray(levels[0][part]) for levels in self._pyramids.levels)
        return classes, probabilities[0] if probabilities else None

    def write(
        self, chunk: Chunk, classes: np.ndarray, probabilities: np.ndarray | None, seen: int | None = None
    ) -> None:
        """Write one pending chunk; it is listed as done at one of the next flushes.

        Parameters
        ----------
        chunk : Chunk
            Which one.
        classes : numpy.ndarray
            uint8 (h, w), the pixels of `chunk.box`, at most 254.
        probabilities : numpy.ndarray or None
            uint8 (C, h, w), 255 = probability 1; None if the layout keeps none.
        seen : int, optional
            The checksum of what the chunk saw of the image.

        Raises
        ------
        Problem
            If the disk is full or cannot be written; what is listed stays.
        ValueError
            If the pixels do not fit the chunk.
        """
        if chunk in self._unlisted or self.seen[chunk] != NOT_FINISHED:
            raise ValueError(f"{chunk} was written before")
        with self._disk():
            self._pyramids.write(chunk, classes, probabilities)
        self.written(chunk, seen)

    def written(self, chunk: Chunk, seen: int | None) -> None:
        """Take note of a chunk that was written, here or by another process; the same problems as of `write`."""
        self._unlisted[chunk] = NOT_KNOWN if seen is None else seen
        if len(self._unlisted) >= _BATCH or time.monotonic() - self._flushed >= _PATIENCE:
            self.flush()

    def flush(self) -> None:
        """Write the coarse levels of what was written, make all of it safe on the disk, then list it as done.

        Raises
        ------
        Problem
            If the disk is full or cannot be written; what was listed before stays.
        """
        if not self._unlisted:
            return
        with self._disk():
            files = [file for chunk in self._unlisted for file in self._pyramids.files(chunk)]
            sync(self.path, files + self._pyramids.coarsen(self._unlisted))
            with (self.path / DONE).open("ab") as log:
                log.write(b"".join(lines_of(self._unlisted.items())))
                log.flush()
                os.fsync(log.fileno())
        for chunk, seen in self._unlisted.items():
            self.seen[chunk] = seen
        self._unlisted.clear()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush, and let another job write here."""
        try:
            self.flush()
        finally:
            self._lock.close()

    def forget(self, chunks: np.ndarray) -> None:
        """Throw away finished chunks: bool, shape `Layout.grid`; nobody may be writing.

        Raises
        ------
        Problem
            If the disk is full or cannot be written.
        """
        with self._disk():
            self.seen[chunks] = NOT_FINISHED
            list_anew(self.path, self.seen)
            mend(self.path, self._pyramids, self.seen)

    def sweep(self) -> None:
        """Remove what was written in part by a process that died; nobody may be writing.

        Raises
        ------
        Problem
            If the disk cannot be written.
        """
        with self._disk():
            sweep(self.path, self._pyramids)

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        """Turn a failing disk into a Problem, for good; what was not listed by then counts as never written."""
        try:
            if self._failed:  # half a line may be in the list: another would make it one that makes no sense
                raise self._failed
            self.refuse_gone()
            yield
        except OSError as error:
            self.refuse_gone()
            self._failed = disk_problem(self.path, error, f"; {self.done} of {self.total} chunks are kept")
            raise self._failed from error
        finally:
            if self._failed:
                self._unlisted.clear()

    def refuse_gone(self) -> None:
        """Raise Problem if the folder is no longer the one that was opened: Zarr would begin another in its place."""
        try:
            refuse_gone(self.path, self._lock.fileno(), self.path / LOCK)
        except Problem as problem:
            self._failed = problem
            raise


def _is_new(path: Path) -> bool:
    """Tell whether there is nothing, an empty folder, or one that a job began to create and left."""
    if not path.is_dir():
        return not path.exists()
    names = {each.name for each in path.iterdir()}
    begun = LOCK in names and DONE not in names and not (path / "0" / "c").exists()
    return not names or (begun and all(map(_is_ours, names)))


def _is_ours(name: str) -> bool:
    """Tell whether a creation that was killed may have left `name`."""
    return name in _MADE_FIRST or name.isdecimal() or name.endswith(".partial")


def _create(path: Path, layout: Layout) -> None:
    """Clear what a kill left of an earlier creation, then create; `done.jsonl` comes last."""
    for left in path.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name != LOCK:
            left.unlink()
    create(path, layout)
    sync(path, path.rglob("zarr.json"))
    (path / DONE).touch()
    sync(path.parent, [path / DONE])
