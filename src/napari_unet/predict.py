"""What a network says of a part of a section, tile by tile."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from napari_unet import tiles
from napari_unet.device import Compute
from napari_unet.grey import Grey
from napari_unet.tiles import Box
from napari_unet.unet import UNet


def logits(net: UNet, section: np.ndarray, grey: Grey, box: Box, tile: int, compute: Compute) -> Tensor:
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

    Returns
    -------
    Tensor, shape (classes, rows, columns), float32, on the device
    """
    result = torch.empty(net.head.out_channels, box.y1 - box.y0, box.x1 - box.x0, device=compute.kind)
    for part in tiles.cover(box.y0, box.y1, box.x0, box.x1, tile):
        pixels = torch.from_numpy(grey.normalise(tiles.read(section, part)))[None, None].to(compute.kind)
        with torch.inference_mode(), compute.autocast():
            kept = net(pixels.contiguous(memory_format=torch.channels_last))[0, :, tiles.CUT : -tiles.CUT]
        y0, y1 = max(part.y0, box.y0), min(part.y1, box.y1)
        x0, x1 = max(part.x0, box.x0), min(part.x1, box.x1)
        inside = kept[:, y0 - part.y0 : y1 - part.y0, tiles.CUT + x0 - part.x0 : tiles.CUT + x1 - part.x0]
        result[:, y0 - box.y0 : y1 - box.y0, x0 - box.x0 : x1 - box.x0] = inside
    return result
