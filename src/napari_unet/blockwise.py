"""One block of a segmentation: read, computed, cut into chunks; in this process or on a worker of a cluster."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.blocks import Block
from napari_unet.events import Notice
from napari_unet.grey import Grey
from napari_unet.layout import Chunk, Layout
from napari_unet.predict import Predictor
from napari_unet.sections import Sections, Window
from napari_unet.tiles import Box
from napari_unet.volume import Volume

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Seen:
    """A block that was read: what the network needs of its section, and the grey values of all of it."""

    block: Block
    window: Window
    grey: Grey

    @property
    def blank(self) -> bool:
        """Whether its section has the same grey value everywhere."""
        return not self.grey.std


@dataclass(frozen=True)
class Written:
    """A block that a worker of a cluster wrote, with the checksum of what it saw for each chunk.

    `tile` is the largest side of the tiles it was computed in, `blank` whether its section has one grey value.
    """

    block: Block
    seen: dict[Chunk, int]
    tile: int
    blank: bool


@dataclass(frozen=True)
class Computed:
    """A chunk as the result keeps it: classes uint8 (h, w), probabilities uint8 (C, h, w) or None.

    `seen` is the checksum of what it saw of the image.
    """

    chunk: Chunk
    seen: int
    classes: np.ndarray
    probabilities: np.ndarray | None


class Blockwise:
    """Computes the blocks of a result.

    Parameters
    ----------
    predictor : Predictor
    image : Volume
    box : Box
        The segmented part of the image, in voxels.
    layout : Layout
        Of the result.
    """

    def __init__(self, predictor: Predictor, image: Volume, box: Box, layout: Layout) -> None:
        self.predictor = predictor
        self._image, self._box, self._layout = image, box, layout
        self._sections = Sections(image)

    def read(self, block: Block) -> Seen:
        """Read what a block needs.

        Raises
        ------
        Problem
            If the image cannot be read.
        """
        return Seen(block, *self._sections.read(self._on_image(self._around(block))))

    def compute(self, seen: Seen) -> Generator[Notice, None, list[Computed]]:
        """Return the chunks of a block; yield what the user should know."""
        around = self._around(seen.block)
        there = self._on_image(around)
        found = yield from self.predictor.logits(seen.window, seen.grey, there)
        classes, probabilities = self.kept(found)
        chunks = []
        for chunk in seen.block.chunks:
            y0, y1, x0, x1 = chunk.box(self._layout.shape)
            part = ..., slice(y0 - around.y0, y1 - around.y0), slice(x0 - around.x0, x1 - around.x0)
            seen_there = seen.window.checksum(self._under(chunk))
            chunks.append(
                Computed(chunk, seen_there, classes[part], None if probabilities is None else probabilities[part])
            )
        return chunks

    def seen(self, chunk: Chunk) -> int:
        """Return the checksum of what a chunk would see of the image now.

        Raises
        ------
        Problem
            If the image cannot be read.
        """
        there = self._under(chunk)
        return self._sections.read(there)[0].checksum(there)

    def logits(self, box: Box, tile: int) -> Tensor:
        """Return the logits of a box of the result in tiles of a side: float32 (classes, rows, columns)."""
        there = self._on_image(box)
        return self.predictor.once(*self._sections.read(there), there, tile)

    def kept(self, found: Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        """Return what the result keeps of logits: classes, and where it has them probabilities; both uint8."""
        return self.predictor.kept(found, self._layout.probabilities)

    def _under(self, chunk: Chunk) -> Box:
        """Return the box of a chunk, in voxels of the image."""
        return self._on_image(Box(chunk.z, chunk.z + 1, *chunk.box(self._layout.shape)))

    def _around(self, block: Block) -> Box:
        """Return the box around the chunks of a block, in voxels of the result."""
        return Box(block.z, block.z + 1, *block.box(self._layout.shape))

    def _on_image(self, box: Box) -> Box:
        """Return where a box of the result lies on the image."""
        z, y, x = self._box.z0, self._box.y0, self._box.x0
        return Box(box.z0 + z, box.z1 + z, box.y0 + y, box.y1 + y, box.x0 + x, box.x1 + x)
