"""A result to read, finished or still growing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr

from napari_unet.disk import is_there
from napari_unet.events import Failed, Finished
from napari_unet.finished import finished_chunks
from napari_unet.layout import Layout, chunks_in, files_of, open_levels, read_layout
from napari_unet.log import LOG, last
from napari_unet.problem import Problem, reading


@dataclass(frozen=True)
class Result:
    """A result to read, finished or not.

    Attributes
    ----------
    path : Path
        Its folder.
    layout : Layout
        What it was made with.
    classes : tuple of zarr.Array
        Levels of the class map, finest first, uint8 (Z, Y, X); 255 = not computed yet.
    probabilities : tuple of zarr.Array
        Levels of the probabilities, finest first, uint8 (C, Z, Y, X), 255 = 1; empty if they were not kept.
    """

    path: Path
    layout: Layout
    classes: tuple[zarr.Array, ...]
    probabilities: tuple[zarr.Array, ...]

    def section(
        self, z: int, rows: slice = slice(None), columns: slice = slice(None), channel: int | None = None
    ) -> np.ndarray:
        """Return a box of a section at full resolution: its classes, or the probability of one; uint8 (Y, X).

        Raises
        ------
        Problem
            If it is damaged or cannot be read now.
        """
        levels, of_class = (self.classes, ()) if channel is None else (self.probabilities, (channel,))
        damaged = Problem(
            f"Section {z} of {self.path} is damaged. "
            "Run the same napari-unet segment command again, which computes what is damaged."
        )
        with reading(f"Section {z} of {self.path}", damaged):
            return np.asarray(levels[0][(*of_class, z, rows, columns)])

    def without_probabilities(self, z: int, rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Return where a box of a section has no probabilities: bool (Y, X). A file that is missing reads as 0."""
        gone = np.zeros(self.layout.shape[1:], bool)
        for chunk in chunks_in(z, np.ones(self.layout.grid[1:], bool)):
            y0, y1, x0, x1 = chunk.box(self.layout.shape)
            gone[y0:y1, x0:x1] = not all(map(is_there, files_of(self.path, self.probabilities[0], chunk)))
        return gone[rows, columns]


def open_result(path: Path) -> Result:
    """Open a result to read it, also while it is still growing.

    Raises
    ------
    Problem
        If `path` holds no result, or a damaged one.
    """
    layout = read_layout(path)
    damaged = Problem(
        f"{path} is damaged: not all of its levels can be opened. "
        "Copy the whole folder again from its source, or segment again under another name."
    )
    with reading(path, damaged):
        classes, *probabilities = open_levels(path, layout, "r")
    return Result(path, layout, classes, probabilities[0] if probabilities else ())


def doubt(path: Path) -> str:
    """Return what speaks against a result in which nothing is missing, in words; nothing where it is good.

    When all is computed, the image is compared with what it was under each chunk, and seams are looked for: the job may
    have found the image edited, or have been stopped or killed before.

    Raises
    ------
    Problem
        If `path` holds no result.
    """
    done, total = finished_chunks(path)
    said = last(path / LOG) if done == total else None
    if said is None or (isinstance(said, Finished) and not said.stopped):
        return ""
    if isinstance(said, Failed):
        return f"All of {path.name} is computed, but its last job ended so: {said.text}"
    if isinstance(said, Finished):
        remedy = "Run the napari-unet segment command that made it again."
        return f"All of {path.name} is computed, but its last job was stopped: {said.detail}. {remedy}"
    return (
        f"All of {path.name} is computed, but its job has not ended, which compares the image with what it was and "
        "looks for seams. If it does not run any more, run the napari-unet segment command that made it again."
    )
