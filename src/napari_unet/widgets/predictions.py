"""Results and previews as what they say: at voxels of labels, whatever their part of the stack or their voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_unet.layout import NOT_COMPUTED
from napari_unet.reader import OURS
from napari_unet.widgets.handover import finest
from napari_unet.widgets.place import onto
from napari_unet.widgets.sight import in_view
from napari_unet.widgets.strokes import classes_of
from napari_unet.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari import Viewer
    from napari.components import ViewerModel

LIVE = "U-Net training preview"  # the name of the layer in which a training shows itself learning
_HIDING = {"opaque", "translucent", "translucent_no_depth"}  # ways to blend in which what is opaque hides what is below


def is_prediction(layer: Layer | None) -> bool:
    """Return whether a layer shows classes that a model predicted: a result, or a preview."""
    mark = layer.metadata.get(OURS, {}) if isinstance(layer, Labels) else {}
    return "preview" in mark or "classes" in mark


def is_result(layer: Layer) -> bool:
    """Return whether a layer shows the classes of a result."""
    return is_prediction(layer) and "classes" in layer.metadata[OURS]


def hide_others(viewer: ViewerModel, layer: Labels) -> list[Labels]:
    """Show a prediction, and hide those that it would be mixed with: where one shines through, both are wrong.

    Returns
    -------
    list of Labels
        What was hidden: above and below it, up to an image through which nothing shines. Previews move, so they lie
        everywhere; of two results that lie on other parts of a stack, both stay.
    """
    layer.visible, hidden = True, list[Labels]()
    if viewer.canvas.grid.enabled:
        return hidden
    layers = list(viewer.layers)
    at = [each.unique_id for each in layers].index(layer.unique_id)
    for side in (layers[at + 1 :], layers[:at][::-1]):
        for each in side:
            if each.visible and hides(each):
                break
            if each.visible and is_prediction(each) and _meet(each, layer):
                each.visible = False
                hidden.append(each)
    return hidden


def hidden_now(layers: Sequence[Layer]) -> str:
    """Return what to say of predictions that were hidden; nothing of previews that a button shows again."""
    names = [each.name for each in layers if is_result(each) or each.name == LIVE]
    if not names:
        return ""
    if len(names) == 1:
        return f"{names[0]} is hidden now; its eye in the layer list shows it again."
    return f"{listed(names)} are hidden now; their eyes in the layer list show them again."


def show_first(viewer: ViewerModel, layer: Labels) -> str:
    """Show a prediction instead of others; return which of them are hidden now, and what lies over it, in words."""
    return f"{hidden_now(hide_others(viewer, layer))} {_covered_by(viewer, layer)}".strip()


def _covered_by(viewer: ViewerModel, prediction: Labels) -> str:
    """Return what to say of images each of which lies over all of a prediction, nothing where none does."""
    if _beside(viewer):
        return ""
    corners = np.argwhere(np.ones((2, 2, 2))) * (np.array(finest(prediction).shape) - 1)
    layers = list(viewer.layers)
    above = layers[[layer.unique_id for layer in layers].index(prediction.unique_id) + 1 :]
    over = [each for each in above if each.visible and hides(each)]
    names = [each.name for each in over if _covered(each, onto(prediction, each), corners).all()]
    if not names:
        return ""
    if len(names) == 1:
        return f"{names[0]} lies over {prediction.name}; its eye in the layer list shows what is below."
    return f"{listed(names)} lie over {prediction.name}; their eyes in the layer list show what is below."


def predictions_in_view(viewer: Viewer) -> list[Labels]:
    """Return the predictions that show something in the section in view, the topmost first; no image hides it all."""
    found, above = list[Labels](), list[Layer]()
    for layer in _shown(viewer):
        if not is_prediction(layer):
            above.append(layer)
        elif (part := in_view(viewer, layer, max(finest(layer).shape))) is not None:
            rows, columns = (part.y0, part.y1 - 1), (part.x0, part.x1 - 1)
            corners = np.array([(part.z, y, x) for y in rows for x in columns])
            if not any(_covered(image, onto(layer, image), corners).all() for image in above):
                found.append(layer)
    return found


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
        Of its predictions, the topmost that says something of a voxel counts, unless an image hides it there.
    labels
        Labels of `strokes`; predictions in which a value means another class say nothing.
    voxels : ndarray, shape (N, 3), integer
        In voxels (Z, Y, X) of `labels`.

    Returns
    -------
    ndarray, shape (N,), uint8
        0 where nothing is predicted.
    """
    found, seen = np.zeros(len(voxels), np.uint8), np.ones(len(voxels), bool)
    for layer in _shown(viewer):
        silent = np.flatnonzero(seen & (found == 0))
        if not is_prediction(layer):
            seen[silent] = ~_covered(layer, onto(labels, layer), voxels[silent])
        elif silent.size and not difference(layer, labels):
            found[silent] = _said(layer, onto(labels, layer), voxels[silent])
    return found


def _shown(viewer: Viewer) -> Iterator[Layer]:
    """Yield the visible predictions, and the images that hide what lies below them, the topmost first."""
    beside = _beside(viewer)
    for layer in reversed(viewer.layers):
        if layer.visible and (is_prediction(layer) or (not beside and hides(layer))):
            yield layer


def _beside(viewer: ViewerModel) -> bool:
    """Return whether no layer lies below another one."""
    return viewer.dims.ndisplay == 3 or viewer.canvas.grid.enabled


def hides(layer: Layer) -> bool:
    """Return whether nothing shines through a layer where it is: an opaque image, in a section."""
    if not isinstance(layer, Image) or layer.ndim > 3 or layer.blending not in _HIDING:
        return False
    alpha = layer.data.shape[-1] == 4 if layer.rgb else layer.colormap.colors[:, 3].min() < 1
    return not alpha and (layer.opacity == 1 or layer.blending == "opaque")


def _covered(image: Layer, matrix: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Return which voxels (N, 3), that `matrix` brings onto those of an image, lie on it; one of 2-D is everywhere."""
    there, shape = _onto(matrix, voxels)[:, -image.ndim :], image.level_shapes[0][: image.ndim]
    return np.asarray(((there >= 0) & (there < shape)).all(1))


def _meet(one: Labels, other: Labels) -> bool:
    """Return whether some voxels of two predictions lie in one place, or may do."""
    if not (is_result(one) and is_result(other)):
        return True
    n = min(one.ndim, other.ndim)
    (a, b), (c, d) = one.extent.world[:, -n:], other.extent.world[:, -n:]
    return bool(np.all((a <= d) & (c <= b)))


def _names(prediction: Labels) -> dict[int, str]:
    """Return the name of each class that a prediction can show."""
    table = prediction.features
    named = zip(table["index"], table["class"], strict=True)
    return {int(value): str(name) for value, name in named if value not in (0, NOT_COMPUTED)}


def _said(layer: Labels, matrix: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Return the classes of a prediction at voxels that `matrix` brings onto its own; 0 where it has none."""
    array, said = finest(layer), np.zeros(len(voxels), np.uint8)
    there = _onto(matrix, voxels)
    inside = ((there >= 0) & (there < array.shape)).all(1)
    if inside.any():
        there = there[inside]
        low, high = there.min(0), there.max(0) + 1
        block = np.asarray(array[tuple(slice(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True))])
        said[inside] = block[tuple((there - low).T)]
    return np.where(said == NOT_COMPUTED, 0, said)


def _onto(matrix: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Return the voxels (N, 3) onto which a matrix (4, 4) brings the middle of others."""
    # A voxel reaches from -0.5 to 0.5; rounding first takes away what the matrix adds to whole numbers.
    return np.floor(np.round(voxels @ matrix[:3, :3].T + matrix[:3, 3], 6) + 0.5).astype(int)
