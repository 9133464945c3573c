"""What a network in training says of a part of a section, for whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from napari_unet import requests
from napari_unet.classes import PixelClass
from napari_unet.device import Compute, memory_problems
from napari_unet.events import Notice, Previewed
from napari_unet.grey import measure
from napari_unet.interrupt import interruptible
from napari_unet.predict import logits
from napari_unet.preview import NONE, Preview, save_preview
from napari_unet.problem import Problem
from napari_unet.tiles import Box
from napari_unet.unet import UNet
from napari_unet.volume import Volume

_TILE = 512  # pixels; the training needs the rest of the memory


class Lookout:
    """Segments parts of the first image with the network in training, for whoever watches."""

    def __init__(self, image: Volume, classes: Sequence[PixelClass], compute: Compute, path: Path) -> None:
        self._image, self._compute, self._path = image, compute, path
        self._values = np.array([c.value for c in classes], np.uint8)

    def preview(
        self, net: UNet, step: int, asked: requests.Preview | None, should_stop: Callable[[], bool]
    ) -> Previewed | Notice | None:
        """Write the part that is asked for, if any, without what lies beyond the image, or say why there is none.

        When it should stop, there is none, and nothing to say.
        """
        depth, height, width = self._image.shape
        if asked is None or not 0 <= asked.z < depth:
            return None
        box = Box(asked.z, asked.z + 1, max(asked.y0, 0), min(asked.y1, height), max(asked.x0, 0), min(asked.x1, width))
        if box.y0 >= box.y1 or box.x0 >= box.x1:
            return None
        try:
            section = self._image.section(box.z0)
            grey = measure(section, f"Section {box.z0} of {self._image.name}")
            with memory_problems("Zoom in to preview a smaller part."), interruptible(net, should_stop):
                channels = logits(net, section, grey, box, _TILE, self._compute).argmax(0).cpu().numpy()
                save_preview(self._path, Preview(self._values[channels], box.z0, box.y0, box.x0))
                return Previewed(step, str(self._path))
        except Problem as problem:  # of a section that no training needs, or of a file that is being read
            return Notice(f"{NONE} {problem}")
        return None
