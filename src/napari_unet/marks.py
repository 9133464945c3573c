"""How pixels of labels came to be painted: marks that are kept beside the labels, in their folder.

::

    NAME.zarr/
      0/            the labels
      corrected/    of the same shape: the label that was painted where a prediction in view said another class
      accepted/     of the same shape: the label that was copied from a prediction
      by_hand/      of the same shape: the label that was painted by hand where the same one had been copied before

A pixel is marked as long as its label is the one that is kept there. So undo and the eraser take the mark back
without knowing of it, and redo brings it back. What is accepted is marked before it is painted, so that a kill between
the two writes leaves no pixel that judges the model which it came from; a correction is marked afterwards.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zarr

from napari_unet.newzarr import create_level
from napari_unet.omezarr import is_zarr, open_array

CORRECTED, ACCEPTED, BY_HAND = "corrected", "accepted", "by_hand"
KINDS = CORRECTED, ACCEPTED  # what a training looks at


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
    here = _is(labels, kind, z, section)
    return here & ~_is(labels, BY_HAND, z, section) if kind == ACCEPTED and here.any() else here


def _is(labels: Path, kind: str, z: int, section: np.ndarray) -> np.ndarray:
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
