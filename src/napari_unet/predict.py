"""What a network says of a part of a section, tile by tile."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor

from napari_unet import tiles
from napari_unet.device import Compute
from napari_unet.grey import Grey
from napari_unet.tiles import Box
from napari_unet.unet import UNet


def logits(
    net: UNet, section: np.ndarray, grey: Grey, box: Box, tile: int, compute: Compute, best_quality: bool = False
) -> Tensor:
    """Return the logits of a box of a section, computed tile by tile.

    Parameters
    ----------
    net : UNet
        In evaluation mode, on the device of `compute`.
    section : ndarray, shape (Y, X)
        The whole section: tiles see beyond the box.
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
