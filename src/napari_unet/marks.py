"""How pixels of labels came to be painted: marks that are kept beside the labels, in their folder.

::

    NAME.zarr/
      0/            the labels
      corrected/    of the same shape: the label that was painted where a prediction in view said another class
      accepted/     of the same shape: the label that was copied from a prediction

A pixel is marked as long as its label is the one that is kept there. So undo and the eraser take the mark back
without knowing of it, redo brings it back, and a kill between the two writes leaves labels that are just not marked.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zarr

from napari_unet.newzarr import create_level
from napari_unet.omezarr import is_zarr, open_array

CORRECTED, ACCEPTED = "corrected", "accepted"
KINDS = CORRECTED, ACCEPTED


def marked(labels: Path, kind: str, z: int, section: np.ndarray) -> np.ndarray:
    """Return which pixels of a section of labels are marked.

    Parameters
    ----------
    labels : Path
        Where the labels are; only those in a Zarr have marks.
    kind : {"corrected", "accepted"}
    z : int
        The number of the section in them.
    section : ndarray, shape (Y, X), integer
        Its labels.

    Returns
    -------
    ndarray, shape (Y, X), bool

    Raises
    ------
    Problem
        If the marks cannot be read.
    """
    marks = open_marks(labels, kind)
    if marks is None or marks.shape[1:] != section.shape or not z < marks.shape[0]:
        return np.zeros(section.shape, bool)
    return (section != 0) & (np.asarray(marks[z]) == section)


def open_marks(labels: Path, kind: str) -> zarr.Array | None:
    """Return the marks of a kind that are kept with labels, to be written too; None if there are none.

    Raises
    ------
    Problem
        If they cannot be read.
    """
    folder = labels / kind
    return open_array(folder, "r+") if is_zarr(folder) else None


def create_marks(folder: Path, labels: zarr.Array) -> zarr.Array:
    """Create in `folder` the marks of labels, none yet."""
    return create_level(folder, labels.shape, labels.chunks, labels.dtype, "zyx")
