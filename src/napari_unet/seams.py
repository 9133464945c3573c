"""Whether a result has seams: places where tiles meet, computed again in other tiles."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.blocks import Block, Place
from napari_unet.disk import write_json
from napari_unet.layout import Chunk, Layout
from napari_unet.tiles import STRIDE, Box, cover
from napari_unet.words import counted

if TYPE_CHECKING:
    from torch import Tensor

SEAMS = "seams.json"
SIDES = (128, 64, 32)  # of a window, in pixels; the smaller ones where memory is short
_MOST, _EVERY = 8, 50  # windows at most, and chunks for each: less than a hundredth of the work
_EQUAL = 1e-5  # by so much outputs of the network may differ between tilings, by rounding
_ROUNDED = 1  # of 255: by so much a probability may differ that is the same but for rounding


@dataclass(frozen=True)
class Certificate:
    """What was found where tiles meet.

    Attributes
    ----------
    windows : int
        How many places were computed again, around a corner or an edge of tiles; 0 where no tiles meet.
    pixels : int
        In all windows together.
    changed : int
        Pixels whose class in the result is not the one that a single tile over the window gives.
    probabilities : int or None
        Largest difference between a probability in the result and that of the single tile, in steps of 1/255; None
        where the result keeps none.
    between_tilings : float
        Largest difference between an output (logit) of the single tile and of tiles that meet in the middle, both
        computed again: a result keeps no outputs.
    half : bool
        Whether all was computed in 16-bit numbers, which round otherwise in tiles of another size.
    """

    windows: int
    pixels: int
    changed: int
    probabilities: int | None
    between_tilings: float
    half: bool

    def __str__(self) -> str:
        if not self.windows:
            return "not checked for seams: each section is one tile"
        same = not self.changed and (self.probabilities or 0) <= _ROUNDED
        told = f"{'no seam' if same else 'differences'} at {counted(self.windows, 'place')} where tiles meet: of "
        told += f"{self.pixels:,} pixels computed again, {self.changed:,} have another class in the result"
        if self.probabilities is not None:
            told += f", probabilities differ from the result by at most {self.probabilities} of 255"
        between = f"by at most {self.between_tilings:.1g} between two tilings computed again"
        told += f"; outputs of the network differ {between}"
        if not same and self.half:
            told += ". 16-bit numbers round otherwise in other tiles: take float32 where that matters (--precision)"
        elif not same and self.between_tilings <= _EQUAL:
            told += ", so tiles are not why: another processor or device may have computed the result"
        return told

    def save(self, result: Path) -> None:
        """Keep it beside the result."""
        write_json(result / SEAMS, asdict(self))


def certified(result: Path) -> bool:
    """Tell whether a certificate lies beside a result, whole."""
    try:
        Certificate(**json.loads((result / SEAMS).read_bytes()))
    except (OSError, ValueError, TypeError):
        return False
    return True


def places(layout: Layout, box: Box, tiled: Mapping[Block, int]) -> list[Place]:
    """Return places on a result where tiles meet: corners, or edges where there is no corner; none where none meet.

    Parameters
    ----------
    layout : Layout
    box : Box
        The segmented part of the image: tiles begin at multiples of 16 of the image.
    tiled : mapping of Block to int
        The blocks of the result, and the largest side of the tiles that each was computed in.

    Returns
    -------
    list of Place
        At most 8, always the same of the same blocks, in whatever order.
    """
    chunks = sorted((chunk.z, chunk.y, chunk.x, block, chunk) for block in tiled for chunk in block.chunks)
    count = min(_MOST, math.ceil(len(chunks) / _EVERY))
    rng = np.random.default_rng(0)
    corners: list[Place] = []
    edges: list[Place] = []
    for i in rng.permutation(len(chunks)):
        *_, block, chunk = chunks[i]
        rows, columns = _edges(layout, box, chunk, block, tiled[block])
        if rows or columns:
            top, bottom, left, right = chunk.box(layout.shape)
            y, x = (int(rng.choice(each)) for each in (rows or [(top + bottom) // 2], columns or [(left + right) // 2]))
            (corners if rows and columns else edges).append(Place(chunk.z, y, x))
        if len(corners) == count:
            break
    return (corners or edges)[:count]


def windows(layout: Layout, at: Sequence[Place], side: int) -> list[Box]:
    """Return windows of a side around places, cut off where the result ends, in voxels of the result."""
    half, (_, height, width) = side // 2, layout.shape
    return [
        Box(z, z + 1, max(y - half, 0), min(y + half, height), max(x - half, 0), min(x + half, width))
        for z, y, x in ((each.z, each.y, each.x) for each in at)
    ]


def certify(
    found: Callable[[Box, int], Tensor],
    kept: Callable[[Tensor], tuple[np.ndarray, np.ndarray | None]],
    stored: Callable[[Box], tuple[np.ndarray, np.ndarray | None]],
    at: Sequence[Box],
    side: int,
    half: bool,
) -> Certificate:
    """Compute windows again, in one tile and in tiles that meet in the middle, and compare.

    Parameters
    ----------
    found : callable
        The logits (classes, rows, columns) of a box in tiles of a side, float32.
    kept : callable
        What a result keeps of logits: classes uint8 (rows, columns), and where it keeps them probabilities
        uint8 (classes, rows, columns).
    stored : callable
        The same of a box in the result.
    at : sequence of Box
        The windows.
    side : int
        Largest side of a window; a multiple of 32.
    half : bool
        Whether `found` computes in 16-bit numbers.
    """
    changed, pixels, between = 0, 0, 0.0
    steps: list[int] = []
    for box in at:
        # A window need not begin at a multiple of 16: one tile over it may be longer by that.
        whole, met = found(box, side + STRIDE), found(box, side // 2)
        between = max(between, float((whole - met).abs().max()))
        (labels, shares), (labels_there, shares_there) = kept(whole), stored(box)
        changed += int((labels != labels_there).sum())
        pixels += labels.size
        if shares is not None and shares_there is not None:
            steps.append(int(np.abs(shares.astype(int) - shares_there).max()))
    return Certificate(len(at), pixels, changed, max(steps) if steps else None, between, half)


def _edges(layout: Layout, box: Box, chunk: Chunk, block: Block, tile: int) -> tuple[list[int], list[int]]:
    """Return the rows and the columns of a result at which tiles meet in a chunk of a block, or at its borders."""
    square, (top, bottom, left, right) = block.box(layout.shape), chunk.box(layout.shape)
    tops, bottoms, lefts, rights = zip(*(each.box(layout.shape) for each in block.chunks), strict=True)
    y0, y1, x0, x1 = min(tops), max(bottoms), min(lefts), max(rights)
    rows, columns = set[int](), set[int]()
    for part in cover(box.y0 + square[0], box.y0 + square[1], box.x0 + square[2], box.x0 + square[3], tile):
        # Tiles reach beyond what is kept of them: to multiples of 16, and over chunks that are finished.
        rows |= {min(max(edge - box.y0, y0), y1) for edge in (part.y0, part.y1)}
        columns |= {min(max(edge - box.x0, x0), x1) for edge in (part.x0, part.x1)}
    _, height, width = layout.shape
    rows &= set(range(max(top, 1), min(bottom + 1, height)))
    columns &= set(range(max(left, 1), min(right + 1, width)))
    return sorted(rows), sorted(columns)
