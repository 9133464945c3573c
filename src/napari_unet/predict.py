"""What a network says of a part of a section, tile by tile."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from torch import Tensor

from napari_unet import tiles
from napari_unet.classes import PixelClass
from napari_unet.device import Compute, fits, lacks_memory
from napari_unet.events import Notice
from napari_unet.grey import Grey
from napari_unet.tiles import Box, Section
from napari_unet.unet import UNet

_TRIES, _SMALLEST = 3, 64  # how often tiles may shrink, and to which side


def logits(
    net: UNet, section: Section, grey: Grey, box: Box, tile: int, compute: Compute, best_quality: bool = False
) -> Tensor:
    """Return the logits of a box of a section, computed tile by tile.

    Parameters
    ----------
    net : UNet
        In evaluation mode, on the device of `compute`.
    section : Section, shape (Y, X)
        The whole section, or the part that the box needs: tiles see beyond the box.
    grey : Grey
        Of the whole section.
    box : Box
        Its rows and columns.
    tile : int
        Largest side of a tile; a multiple of 16.
    compute : Compute
    best_quality : bool
        Average the probabilities over the 8 mirrored and rotated views, and return their logarithms.

    Returns
    -------
    Tensor, shape (classes, rows, columns), float32, on the device
    """
    result = torch.empty(net.head.out_channels, box.y1 - box.y0, box.x1 - box.x0, device=compute.kind)
    for part in tiles.cover(box.y0, box.y1, box.x0, box.x1, tile):
        pixels = torch.from_numpy(grey.normalise(tiles.read(section, part)))[None, None].to(compute.kind)
        with torch.inference_mode(), compute.autocast():
            seen = _over_views(net, pixels) if best_quality else net(_laid_out(pixels))
        kept = seen[0, :, tiles.CUT : -tiles.CUT]
        y0, y1 = max(part.y0, box.y0), min(part.y1, box.y1)
        x0, x1 = max(part.x0, box.x0), min(part.x1, box.x1)
        inside = kept[:, y0 - part.y0 : y1 - part.y0, tiles.CUT + x0 - part.x0 : tiles.CUT + x1 - part.x0]
        result[:, y0 - box.y0 : y1 - box.y0, x0 - box.x0 : x1 - box.x0] = inside
    return result


class Predictor:
    """A network that segments; where memory is short, in smaller tiles, in the end on the processor.

    Parameters
    ----------
    net : UNet
        Folded.
    classes : sequence of PixelClass
        One a channel.
    compute : Compute
    tile : int
        Largest side of a tile; a multiple of 16.
    best_quality : bool
        Average over the 8 mirrored and rotated views.

    Attributes
    ----------
    net : UNet
        On the device.
    compute : Compute
        What it computes on now.
    tile : int
        Largest side of a tile now.
    """

    def __init__(
        self, net: UNet, classes: Sequence[PixelClass], compute: Compute, tile: int, best_quality: bool
    ) -> None:
        self.net = net.to(compute.kind, memory_format=torch.channels_last)
        self._values = torch.tensor([each.value for each in classes], dtype=torch.uint8, device=compute.kind)
        self.compute, self.tile, self._best_quality = compute, tile, best_quality
        self._tries = _TRIES
        self._began = False

    def logits(self, section: Section, grey: Grey, box: Box) -> Generator[Notice, None, Tensor]:
        """Return the logits of a box as `logits` does; yield what the user should know of smaller tiles.

        Raises
        ------
        MemoryError, RuntimeError
            If not even the smallest tiles fit.
        """
        if not self._began:
            self._began = True
            yield from self._made_to_fit()
        while True:
            try:
                return self.once(section, grey, box, self.tile)
            except (MemoryError, RuntimeError) as error:
                if not lacks_memory(error) or (self.compute.kind == "cpu" and not self._may_shrink):
                    raise
            # Outside the handler, whose error would keep the tensors alive.
            yield self._give_way()

    def once(self, section: Section, grey: Grey, box: Box, tile: int) -> Tensor:
        """Return the logits of a box in tiles of at most a side, or fail."""
        return logits(self.net, section, grey, box, tile, self.compute, self._best_quality)

    def kept(self, found: Tensor, probabilities: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Return what a result keeps of logits: class values, and where wanted probabilities, 255 = 1; both uint8."""
        of_classes = (found.softmax(0) * 255).round().to(torch.uint8).cpu().numpy() if probabilities else None
        # Not argmax over the first axis: on a processor it takes ten times as long.
        highest, classes = found[0], self._values[0].expand(found.shape[1:])
        for value, channel in zip(self._values[1:], found[1:], strict=True):
            classes = torch.where(channel > highest, value, classes)
            highest = torch.maximum(channel, highest)
        return classes.cpu().numpy(), of_classes

    @property
    def _may_shrink(self) -> bool:
        return self._tries > 0 and self.tile > _SMALLEST

    def _made_to_fit(self) -> Iterator[Notice]:
        """Take smaller tiles than wished where the first would not fit; later, what is free does not tell."""
        wished = self.tile
        while self.tile > _SMALLEST and not fits(self.compute, self.net.head.in_channels, self.tile):
            self.tile = _smaller(self.tile)
        if self.tile < wished:
            yield self._smaller_tiles()

    def _give_way(self) -> Notice:
        """Take smaller tiles, or the processor; but for rounding, the result is the same."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self._may_shrink:
            self._tries -= 1
            self.tile = _smaller(self.tile)
            return self._smaller_tiles()
        self.compute = replace(self.compute, kind="cpu", name="processor")
        self.net, self._values = self.net.to("cpu"), self._values.to("cpu")
        self._tries = _TRIES
        what = f"The memory of the GPU is too small, so the processor goes on in tiles of {self.tile} pixels"
        return Notice(f"{what}. {self._rounded()}")

    def _smaller_tiles(self) -> Notice:
        what = f"There was not enough memory: going on in tiles of {self.tile} pixels"
        return Notice(f"{what}. {self._rounded()}")

    def _rounded(self) -> str:
        """Say what other tiles, or another device, mean for the result."""
        few = "next to no label" if self.compute.precision == "float32" else "a few labels in 100,000"
        return f"They round differently, by which {few} may change."


def _smaller(tile: int) -> int:
    """Return half the side of a tile, a multiple of 16."""
    return max(tile // 32 * 16, _SMALLEST)


def _over_views(net: UNet, pixels: Tensor) -> Tensor:
    """Return the logarithm of the mean probability over the views: (1, classes, rows, columns), float32.

    Tiles stay exact: their sides are multiples of 16 plus the margins, so max-pooling, seen from the other end of a
    tile, repeats at the same pixels of the section in all tiles.
    """
    total = torch.zeros((), device=pixels.device)
    for turns, mirrored in product(range(4), (False, True)):
        view = pixels.rot90(turns, (2, 3))
        seen = net(_laid_out(view.flip(3) if mirrored else view)).float().softmax(1)
        total = total + (seen.flip(3) if mirrored else seen).rot90(-turns, (2, 3))
    return (total / 8).clamp(min=1e-30).log()


def _laid_out(pixels: Tensor) -> Tensor:
    """Put the channels last in memory, which convolutions like best."""
    return pixels.contiguous(memory_format=torch.channels_last)
