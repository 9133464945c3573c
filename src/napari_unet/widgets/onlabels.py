"""Labels are painted on only where they lie: before their first section, napari would paint on their last ones."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from napari import Viewer
from napari.layers import Labels
from napari.utils.notifications import show_info, show_warning

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
        self._told = False  # of the stroke that is under way
        self._point = viewer.dims.point
        viewer.mouse_drag_callbacks.append(self._on_press)
        viewer.dims.events.point.connect(self._stay)

    def _on_press(self, viewer: Viewer, event: Any) -> Generator[None, None, None]:
        labels = viewer.layers.selection.active
        if labels is None or not is_strokes(labels) or labels.mode not in _TOOLS:
            return
        if event.button != 1 and (event.button, labels.mode) != (2, "paint"):  # napari strokes with the right one, too
            return
        if labels.cursor == "circle_frozen":  # the size of the brush is being changed
            return
        if problem := not_reached(viewer, labels, event.position):
            show_warning(f"Nothing is painted: {problem}")
            tool, labels.mode = labels.mode, "pan_zoom"
            labels.mouse_pan = labels.mouse_zoom = False
            yield
            while event.type == "mouse_move":
                yield
            labels.mode, labels.mouse_zoom = tool, True
        elif event.button == 1 and labels.mode in _DRAWING and viewer.dims.ndisplay == 2:
            last = self._sides(labels, event)
            self._drawn_on, self._told, beside = labels, False, bool(last)
            yield
            while event.type == "mouse_move":
                here = self._sides(labels, event)
                last, beside = here, beside and bool(last & here)
                yield
            self._drawn_on = None
            if beside:
                what = f"Nothing is painted: {labels.name} is only for a part of the section"
                show_warning(f"{what}, and that is elsewhere.")

    def _sides(self, labels: Labels, event: Any) -> set[tuple[int, bool]]:
        """Return beyond which ends of the labels the brush is, so far that it touches none of their pixels."""
        margin = 0 if labels.mode == "fill" else labels.brush_size / 2
        return _beyond(self._viewer, labels, event.position, self._viewer.dims.displayed, margin)

    def _stay(self, _: Any) -> None:
        """Go back where a stroke that is under way would leave its labels, and say so once."""
        dims, stroked, drawn = self._viewer.dims, self._stroked_on(), self._drawn_on
        if drawn is not None and all(each.unique_id != drawn.unique_id for each in self._viewer.layers):
            self._drawn_on = None  # they were removed, and nobody saw the button let go
        labels = self._drawn_on or stroked
        if labels is None or len(self._point) != dims.ndim or not not_reached(self._viewer, labels, dims.point):
            self._point, self._told = dims.point, self._told and labels is not None
            return
        if not self._told:
            self._told = True
            ends = "It ends where it began; Escape, while they are selected, takes it back"
            how = ends if stroked else "It is done when you let the button go"
            show_info(f"The view stays where {labels.name} lies while a stroke is under way. {how}.")
        dims.set_point(range(dims.ndim), self._point)

    def _stroked_on(self) -> Labels | None:
        """Return the labels on which a stroke of the right button is open, for which no button is held down."""
        labels = (layer for layer in self._viewer.layers if isinstance(layer, Labels))
        return next((each for each in labels if each._overlays["brush_stroke"].active and is_strokes(each)), None)


def _beyond(
    viewer: Viewer, labels: Labels, point: Sequence[float], axes: Sequence[int], margin: float = 0
) -> set[tuple[int, bool]]:
    """Return on which of these axes of the view a point is so far beyond the ends of the labels, and which ends."""
    voxel = voxel_at(viewer, labels, np.array(point))
    last = [axis - viewer.dims.ndim for axis in axes]
    before = {(axis, False) for axis in last if voxel[axis] < -0.5 - margin}
    return before | {(axis, True) for axis in last if voxel[axis] >= labels.data.shape[axis] - 0.5 + margin}
