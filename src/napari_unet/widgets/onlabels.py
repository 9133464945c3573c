"""Labels are painted on only where they lie: before their first section, napari would paint on their last ones."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from napari import Viewer
from napari.layers import Labels
from napari.utils.notifications import show_warning

from napari_unet.widgets.sight import shows_sections, voxel_at
from napari_unet.widgets.strokes import is_strokes

_DRAWING = "paint", "erase", "fill"
_TOOLS = *_DRAWING, "polygon"


def paint_only_where_labels_lie(viewer: Viewer) -> None:
    """Put the tool away while a button is down in a section that the selected labels on disk do not reach, and say so.

    napari takes the number of such a section for one that counts from the end. Beside the labels it paints nothing;
    that is said, too.
    """
    viewer.mouse_drag_callbacks.append(_on_press)


def not_reached(viewer: Viewer, labels: Labels, event: Any) -> str:
    """Return that labels (Z, Y, X) do not reach the section in which the mouse is, or an empty string if they do."""
    hidden = [axis for axis in viewer.dims.not_displayed if axis >= viewer.dims.ndim - 3]
    if not _beyond(viewer, labels, event, hidden):
        return ""
    remedy = "Press the number of a class to go" if shows_sections(viewer) else "Move the slider to"
    return f"{labels.name} does not reach this section. {remedy} where it lies."


def _on_press(viewer: Viewer, event: Any) -> Generator[None, None, None]:
    labels = viewer.layers.selection.active
    if labels is None or not is_strokes(labels) or labels.mode not in _TOOLS:
        return
    if problem := not_reached(viewer, labels, event):
        show_warning(f"Nothing is painted: {problem}")
        tool, labels.mode = labels.mode, "pan_zoom"
        yield
        while event.type == "mouse_move":
            yield
        labels.mode = tool
    elif labels.mode in _DRAWING and viewer.dims.ndisplay == 2:
        beside = _beside(viewer, labels, event)
        yield
        while event.type == "mouse_move":
            beside = beside and _beside(viewer, labels, event)
            yield
        if beside:
            show_warning(f"Nothing is painted: {labels.name} is only for a part of the section, and that is elsewhere.")


def _beside(viewer: Viewer, labels: Labels, event: Any) -> bool:
    """Tell whether the brush touches no pixel of the labels."""
    return _beyond(viewer, labels, event, viewer.dims.displayed, labels.brush_size / 2)


def _beyond(viewer: Viewer, labels: Labels, event: Any, axes: Any, margin: float = 0) -> bool:
    """Tell whether the mouse is so far beyond the ends of the labels on one of these axes of the view."""
    voxel = voxel_at(viewer, labels, np.array(event.position))
    last = (axis - viewer.dims.ndim for axis in axes)
    return any(not -0.5 - margin <= voxel[axis] < labels.data.shape[axis] - 0.5 + margin for axis in last)
