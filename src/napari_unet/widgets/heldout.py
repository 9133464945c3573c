"""Where a training is judged: the strips of the painted sections that it does not learn from, as a layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Shapes
from qtpy.QtCore import QObject

from napari_unet.events import Event, Finished, Joined, Score
from napari_unet.holdout import Strip
from napari_unet.problem import Problem
from napari_unet.reader import OURS
from napari_unet.runs import held_in
from napari_unet.widgets.jobs import Job
from napari_unet.widgets.place import placed
from napari_unet.widgets.result import selection_kept

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

NAME = "U-Net held out"


class HeldOut(QObject):
    """Draws what a training holds out, over its image; it lives as long as the job.

    The layer replaces that of the last training. One that the user removes does not come back.

    Parameters
    ----------
    viewer
    image
        The layer that is trained on.
    job
        The training.
    """

    def __init__(self, viewer: Viewer, image: Image, job: Job) -> None:
        super().__init__(job)
        self._viewer, self._job = viewer, job
        self._image: str = image.unique_id  # no more of it: a stack that is removed leaves the memory
        self._drawn: dict[int, Strip] = {}
        self._layer = ""  # the id of the layer, once there is one
        job.happened.connect(self._on_event)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Score | Joined | Finished):
            try:
                strips = dict(held_in(self._job.config.out).get(self._job.config.pairs[0][0].resolve(), {}))
            except Problem:  # nothing that the user can do now; a training that needs the file says so
                return
            if strips != self._drawn:
                self._drawn = strips
                self._draw(strips)

    def _draw(self, strips: Mapping[int, Strip]) -> None:
        there = {layer.unique_id: layer for layer in self._viewer.layers}
        image = there.get(self._image)
        if image is None or (self._layer and self._layer not in there):
            return
        old = [layer for layer in there.values() if layer.metadata.get(OURS, {}).get("held out")]
        shape = image.level_shapes[0][-2:] if image.multiscale else image.data.shape[-2:]
        layer = Shapes(
            [_corners(z, strip, shape) for z, strip in sorted(strips.items())],
            shape_type="rectangle",
            edge_width=max(shape) / 500,
            edge_color="white",
            face_color="#ffffff26",
            name=NAME,
            metadata={OURS: {"held out": True}},
            **placed(image),
        )
        layer.visible = all(each.visible for each in old)
        with selection_kept(self._viewer):
            for each in old:
                self._viewer.layers.remove(each)
            self._viewer.layers.append(layer)
        layer.editable = False
        self._layer = layer.unique_id


def _corners(z: int, strip: Strip, shape: tuple[int, ...]) -> np.ndarray:
    """Return the corners of a strip on a section (Z, Y, X); voxel 0 reaches from -0.5 to 0.5."""
    along, across = strip.axis, 1 - strip.axis
    corners = np.full((4, 3), float(z))
    corners[:, 1 + along] = np.array([strip.start, strip.start, strip.stop, strip.stop]) - 0.5
    corners[:, 1 + across] = np.array([0, shape[across], shape[across], 0]) - 0.5
    return corners
