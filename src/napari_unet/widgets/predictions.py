"""Results and previews as what they say: at voxels of labels, whatever their part of the stack or their voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Layer

from napari_unet.layout import NOT_COMPUTED
from napari_unet.reader import OURS
from napari_unet.widgets.handover import finest
from napari_unet.widgets.place import in_view, onto
from napari_unet.widgets.strokes import classes_of

if TYPE_CHECKING:
    from napari import Viewer


def is_prediction(layer: Layer | None) -> bool:
    """Return whether a layer shows classes that a model predicted: a result, or a preview."""
    mark = layer.metadata.get(OURS, {}) if isinstance(layer, Labels) else {}
    return "preview" in mark or "classes" in mark


def predictions_in_view(viewer: Viewer) -> list[Labels]:
    """Return the predictions that show something in the section in view, the topmost first."""
    return [layer for layer in _visible(viewer) if in_view(viewer, layer) is not None]


def difference(prediction: Labels, labels: Labels) -> str:
    """Return which value means one class in a prediction and none or another one in labels of `strokes`, or nothing."""
    named = {each.value: each.name for each in classes_of(labels)}
    for value, name in _names(prediction).items():
        if value not in named:
            return f'{labels.name} has no class {value}, which {prediction.name} calls "{name}"'
        if named[value] != name:
            return f'{value} is "{name}" in {prediction.name}, but "{named[value]}" in {labels.name}'
    return ""


def predicted(viewer: Viewer, labels: Labels, voxels: np.ndarray) -> np.ndarray:
    """Return which class the visible predictions say of voxels of labels.

    Parameters
    ----------
    viewer
        Of its predictions, the topmost that says something of a voxel counts.
    labels
        Labels of `strokes`; predictions in which a value means another class say nothing.
    voxels : ndarray, shape (N, 3), integer
        In voxels (Z, Y, X) of `labels`.

    Returns
    -------
    ndarray, shape (N,), uint8
        0 where nothing is predicted.
    """
    found = np.zeros(len(voxels), np.uint8)
    for layer in _visible(viewer):
        silent = np.flatnonzero(found == 0)
        if silent.size and not difference(layer, labels):
            found[silent] = _said(layer, onto(labels, layer), voxels[silent])
    return found


def _visible(viewer: Viewer) -> list[Labels]:
    return [layer for layer in reversed(viewer.layers) if layer.visible and is_prediction(layer)]


def _names(prediction: Labels) -> dict[int, str]:
    """Return the name of each class that a prediction can show."""
    table = prediction.features
    named = zip(table["index"], table["class"], strict=True)
    return {int(value): str(name) for value, name in named if value not in (0, NOT_COMPUTED)}


def _said(layer: Labels, matrix: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Return the classes of a prediction at voxels that `matrix` brings onto its own; 0 where it has none."""
    array, said = finest(layer), np.zeros(len(voxels), np.uint8)
    # A voxel reaches from -0.5 to 0.5; rounding first takes away what the matrix adds to whole numbers.
    there = np.floor(np.round(voxels @ matrix[:3, :3].T + matrix[:3, 3], 6) + 0.5).astype(int)
    inside = ((there >= 0) & (there < array.shape)).all(1)
    if inside.any():
        there = there[inside]
        low, high = there.min(0), there.max(0) + 1
        block = np.asarray(array[tuple(slice(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True))])
        said[inside] = block[tuple((there - low).T)]
    return np.where(said == NOT_COMPUTED, 0, said)
