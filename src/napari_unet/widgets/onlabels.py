"""Labels are painted on only where they lie: before their first section, napari would paint on their last ones."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from napari import Viewer
from napari.utils.notifications import show_warning

from napari_unet.widgets.sight import voxel_at
from napari_unet.widgets.strokes import is_strokes

_TOOLS = "paint", "erase", "fill", "polygon"


def paint_only_where_labels_lie(viewer: Viewer) -> None:
    """Put the tool away while a button is down in a section that the selected labels on disk do not reach, and say so.

    napari takes the number of such a section for one that counts from the end.
    """
    viewer.mouse_drag_callbacks.append(_on_press)


def _on_press(viewer: Viewer, event: Any) -> Generator[None, None, None]:
    labels = viewer.layers.selection.active
    if labels is None or not is_strokes(labels) or labels.mode not in _TOOLS or _reached(viewer, labels, event):
        return
    tool, labels.mode = labels.mode, "pan_zoom"
    what = f"Nothing is painted: {labels.name} does not reach this section."
    show_warning(f"{what} Press the number of a class to go where it lies.")
    yield
    while event.type == "mouse_move":
        yield
    labels.mode = tool


def _reached(viewer: Viewer, labels: Any, event: Any) -> bool:
    """Tell whether labels (Z, Y, X) have the section in which the mouse is."""
    voxel = np.floor(voxel_at(viewer, labels, np.array(event.position)) + 0.5)
    hidden = [axis - viewer.dims.ndim for axis in viewer.dims.not_displayed if axis >= viewer.dims.ndim - 3]
    return all(0 <= voxel[axis] < labels.data.shape[axis] for axis in hidden)
