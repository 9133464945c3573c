"""Where a training is judged: the strips of the painted sections that it does not learn from, as a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.events import Event, Finished, Joined, Score
from napari_unet.holdout import Strip, near_to
from napari_unet.problem import Problem
from napari_unet.runs import held_in
from napari_unet.widgets.companion import Companion
from napari_unet.widgets.job import Job
from napari_unet.widgets.outline import corners, outline, shape_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

NAME = "U-Net held out"


class HeldOut(Companion):
    """Draws what a training holds out, over its image.

    The layer replaces that of the last training. One that the user removes does not come back.
    """

    def __init__(self, viewer: Viewer, image: Image, job: Job) -> None:
        super().__init__(viewer, image, job)
        self._drawn: dict[int, Strip] = {}
        self._layer = ""  # the id of the layer, once there is one

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
        image = self._found(self._image)
        if image is None or (self._layer and self._found(self._layer) is None):
            return
        rectangles = [
            _corners(z, strip, shape_of(image))
            for z in range(min(strips, default=0), max(strips, default=-1) + 1)
            for near in [near_to(z, strips)]
            if z in strips or len(near) > 1  # such a section gets no strip of its own
            for strip in sorted(near, key=astuple)
        ]
        layer = outline(self._viewer, image, "held out", NAME, rectangles, "white", "transparent")
        self._layer = layer.unique_id


def _corners(z: int, strip: Strip, shape: tuple[int, int]) -> np.ndarray:
    """Return the corners of a strip on a section (Z, Y, X)."""
    along, across = (strip.start, strip.stop), (0, shape[1 - strip.axis])
    return corners(z, *((across, along) if strip.axis else (along, across)))
