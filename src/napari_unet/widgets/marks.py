"""What is painted over a prediction that says another class, or copied from one, is remembered with the labels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_warning

from napari_unet.disk import disk_problems
from napari_unet.marks import ACCEPTED, BY_HAND, CORRECTED, create_marks, open_marks
from napari_unet.problem import Problem
from napari_unet.widgets.handover import whole
from napari_unet.widgets.predictions import predicted
from napari_unet.widgets.strokes import is_strokes, path_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Labels


def mark_corrections(viewer: Viewer, layer: Labels) -> None:
    """Mark from now on what is painted on labels where a prediction in view says another class.

    Parameters
    ----------
    viewer
    layer
        Labels of `strokes`.
    """

    def painted(event: Any) -> None:
        try:
            if is_strokes(layer):  # else its folder is gone, which the watch says
                _mark(viewer, layer, _voxels(event.value, layer.data.shape))
        except Problem as problem:
            show_warning(f"What you corrected is painted, but does not count more: {problem}")

    layer.events.paint.connect(painted)


def _voxels(step: Iterable[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return the voxels (N, 3) that a step of napari's undo history changed, each once."""
    numbers = []
    for part in step:
        if hasattr(part, "slice_key"):  # of a tool of napari: a box, and a mask unless all of it was changed
            sides = [side.stop - side.start for side in part.slice_key]
            inside = np.nonzero(np.ones(sides, bool) if part.mask is None else part.mask)
            indices = tuple(axis + side.start for axis, side in zip(inside, part.slice_key, strict=True))
        else:  # of `data_setitem`: indices, values before and after
            indices = part[0]
        numbers.append(np.ravel_multi_index(indices, shape))
    return np.transpose(np.unravel_index(np.unique(np.concatenate(numbers)), shape))


def mark_accepted(layer: Labels, voxels: np.ndarray, values: np.ndarray) -> None:
    """Mark voxels (N, 3) of `layer`, one of `strokes`, that are going to get values (N,) copied from a prediction.

    Raises
    ------
    Problem
        If the disk is full or cannot be written.
    """
    no = np.zeros(len(voxels), bool)
    _set(layer, ACCEPTED, voxels, values, ~no)
    for kind in (CORRECTED, BY_HAND):
        _set(layer, kind, voxels, values, no)


def taken_back(layer: Labels, step: Iterable[Any]) -> None:
    """Forget what was painted by hand in a step of napari's undo history: what comes back may have been accepted."""
    with contextlib.suppress(Problem):  # it just judges no model then
        voxels = _voxels(step, layer.data.shape)
        marks = open_marks(path_of(layer), BY_HAND)
        if marks is not None:
            _set(layer, BY_HAND, voxels, _at(marks, voxels), np.zeros(len(voxels), bool))


def _mark(viewer: Viewer, layer: Labels, voxels: np.ndarray) -> None:
    """Mark those voxels that were painted just now where a prediction says another class, and only those."""
    values, said = _at(layer.data, voxels), predicted(viewer, layer, voxels)
    _set(layer, CORRECTED, voxels, values, (said != 0) & (values != 0) & (values != said))
    copied = open_marks(path_of(layer), ACCEPTED)
    if copied is not None:
        _set(layer, BY_HAND, voxels, values, (values != 0) & (_at(copied, voxels) == values))


def _at(array: Any, voxels: np.ndarray) -> np.ndarray:
    """Return the values of a 3-D array at voxels (N, 3)."""
    box, there = _box(voxels)
    return np.asarray(array[box])[there]


def _box(voxels: np.ndarray) -> tuple[tuple[slice, ...], tuple[np.ndarray, ...]]:
    """Return the box around voxels (N, 3), and where they are in it."""
    low, high = voxels.min(0), voxels.max(0) + 1
    return tuple(slice(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True)), tuple((voxels - low).T)


def _set(layer: Labels, kind: str, voxels: np.ndarray, values: np.ndarray, these: np.ndarray) -> None:
    """Mark `these` (N,) of the voxels (N, 3), and no other of them, with the values (N,) of their labels.

    Marks of other labels stay: an undo may bring these back.
    """
    box, there = _box(voxels)
    path = path_of(layer)
    with disk_problems(path):
        marks = open_marks(path, kind)
        if marks is None:
            if not these.any():
                return
            with whole(path / kind) as beside:
                create_marks(beside, layer.data)
            marks = open_marks(path, kind)
            assert marks is not None
        block = np.asarray(marks[box])
        block[there] = np.where(these, values, np.where(block[there] == values, 0, block[there]))
        marks[box] = block
