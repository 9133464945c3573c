"""Labels are painted on only where they lie: before their first section, napari would paint on their last ones."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from napari import Viewer
from napari.layers import Labels
from napari.utils.notifications import show_warning

from napari_unet.widgets.sight import shows_sections, voxel_at
from napari_unet.widgets.strokes import is_strokes

_DRAWING = "paint", "erase", "fill"
_TOOLS = *_DRAWING, "polygon"


def not_reached(viewer: Viewer, labels: Labels, point: Sequence[float]) -> str:
    """Return that labels (Z, Y, X) do not reach the section of a point of the world, or an empty string if they do."""
    hidden = [axis for axis in viewer.dims.not_displayed if axis >= viewer.dims.ndim - 3]
    if not _beyond(viewer, labels, point, hidden):
        return ""
    remedy = "Click the number of a class to go" if shows_sections(viewer) else "Move the slider to"
    return f"{labels.name} does not reach this section. {remedy} where it lies."


class OnLabels:
    """Lets nobody paint in a section that the selected labels on disk do not reach, and says so.

    napari takes the number of such a section for one that counts from the end. Therefore the tool is put away while a
    button is down there, and the view stays where the labels are while a stroke is under way. Beside the labels napari
    paints nothing; that is said, too.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = getattr(viewer, "__wrapped__", viewer)  # not napari's proxy, which hides what strokes are open
        self._drawn_on: Labels | None = None  # while a button is down
        self._point = viewer.dims.point
        viewer.mouse_drag_callbacks.append(self._on_press)
        viewer.dims.events.point.connect(self._stay)

    def _on_press(self, viewer: Viewer, event: Any) -> Generator[None, None, None]:
        labels = viewer.layers.selection.active
        if labels is None or not is_strokes(labels) or labels.mode not in _TOOLS:
            return
        if event.button != 1 and (event.button, labels.mode) != (2, "paint"):  # napari strokes with the right one, too
            return
        if problem := not_reached(viewer, labels, event.position):
            show_warning(f"Nothing is painted: {problem}")
            tool, labels.mode = labels.mode, "pan_zoom"
            labels.mouse_pan = labels.mouse_zoom = False
            yield
            while event.type == "mouse_move":
                yield
            labels.mode, labels.mouse_zoom = tool, True
        elif labels.mode in _DRAWING and viewer.dims.ndisplay == 2:
            self._drawn_on, beside = labels, self._beside(labels, event)
            yield
            while event.type == "mouse_move":
                beside = beside and self._beside(labels, event)
                yield
            self._drawn_on = None
            if beside:
                what = f"Nothing is painted: {labels.name} is only for a part of the section"
                show_warning(f"{what}, and that is elsewhere.")

    def _beside(self, labels: Labels, event: Any) -> bool:
        """Tell whether the brush touches no pixel of the labels."""
        return _beyond(self._viewer, labels, event.position, self._viewer.dims.displayed, labels.brush_size / 2)

    def _stay(self, _: Any) -> None:
        """Go back where a stroke that is under way would leave its labels."""
        dims, labels = self._viewer.dims, self._drawn_on or self._stroked_on()
        if labels is not None and len(self._point) == dims.ndim and not_reached(self._viewer, labels, dims.point):
            dims.set_point(range(dims.ndim), self._point)
        else:
            self._point = dims.point

    def _stroked_on(self) -> Labels | None:
        """Return the labels on which a stroke of the right button is open, for which no button is held down."""
        active = self._viewer.layers.selection.active
        open_there = isinstance(active, Labels) and active._overlays["brush_stroke"].active
        return active if open_there and is_strokes(active) else None


def _beyond(viewer: Viewer, labels: Labels, point: Sequence[float], axes: Sequence[int], margin: float = 0) -> bool:
    """Tell whether a point is so far beyond the ends of the labels on one of these axes of the view."""
    voxel = voxel_at(viewer, labels, np.array(point))
    last = (axis - viewer.dims.ndim for axis in axes)
    return any(not -0.5 - margin <= voxel[axis] < labels.data.shape[axis] - 0.5 + margin for axis in last)
