"""Whether a result has seams: places where tiles meet, computed again in other tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.blocks import blocks
from napari_unet.disk import write_json
from napari_unet.layout import Layout
from napari_unet.tiles import Box, cover

if TYPE_CHECKING:
    from torch import Tensor

SEAMS = "seams.json"
SIDE = 128  # of a window, in pixels
_MOST = 8  # windows: together they cost as much as two or three tiles of 1024


@dataclass(frozen=True)
class Certificate:
    """What was found where tiles meet.

    Attributes
    ----------
    windows : int
        How many places were computed again, each SIDE x SIDE pixels around a corner or an edge of tiles.
    pixels : int
        In all windows together.
    changed : int
        Pixels whose class in the result is not the one that a single tile over the window gives.
    probabilities : int or None
        Largest difference between a probability in the result and that of the single tile, in steps of 1/255; None
        where the result keeps none.
    outputs : float
        Largest difference between an output (logit) of the single tile and of tiles that meet in the middle.
    """

    windows: int
    pixels: int
    changed: int
    probabilities: int | None
    outputs: float

    def __str__(self) -> str:
        if not self.windows:
            return "no seam to look for: each section is one tile"
        places = f"{self.windows} place{'s' * (self.windows > 1)} where tiles meet"
        found = f"no seam at {places}" if not self.changed else f"seams at {places}"
        compared = f"{self.changed:,} of {self.pixels:,} pixels computed again differ"
        if self.probabilities is not None:
            compared += f", probabilities by at most {self.probabilities} of 255"
        return f"{found} ({compared}, outputs of the network by at most {self.outputs:.1g})"

    def save(self, result: Path) -> None:
        """Keep it beside the result."""
        write_json(result / SEAMS, asdict(self))


def edges(layout: Layout, box: Box, tile: int) -> tuple[list[int], list[int]]:
    """Return the rows and the columns of a result at which its tiles meet.

    Parameters
    ----------
    layout : Layout
    box : Box
        The segmented part of the image: tiles begin at multiples of 16 of the image.
    tile : int
        Largest side of the tiles.
    """
    rows, columns = set[int](), set[int]()
    section = replace(layout, shape=(1, *layout.shape[1:]))
    for block in blocks(section.chunks(), tile):
        y0, y1, x0, x1 = block.box(layout.shape)
        for part in cover(box.y0 + y0, box.y0 + y1, box.x0 + x0, box.x0 + x1, tile):
            rows.add(max(part.y0 - box.y0, y0))
            columns.add(max(part.x0 - box.x0, x0))
    return sorted(rows - {0}), sorted(columns - {0})


def windows(layout: Layout, box: Box, tile: int) -> list[Box]:
    """Return windows around places where tiles of a result meet, in voxels of the result: at most 8, always the same.

    Parameters
    ----------
    layout, box, tile
        As for `edges`.
    """
    depth, height, width = layout.shape
    rows, columns = edges(layout, box, tile)
    if not rows and not columns:
        return []
    # Where no two edges cross, the middle of an edge will do.
    rows, columns = rows or [height // 2], columns or [width // 2]
    rng = np.random.default_rng(0)
    count = min(_MOST, math.ceil(depth * len(rows) * len(columns) / 50))
    chosen = {(int(rng.integers(depth)), int(rng.choice(rows)), int(rng.choice(columns))) for _ in range(count)}
    return [_around(*place, layout) for place in sorted(chosen)]


def certify(
    found: Callable[[Box, int], Tensor],
    kept: Callable[[Tensor], tuple[np.ndarray, np.ndarray | None]],
    stored: Callable[[Box], tuple[np.ndarray, np.ndarray | None]],
    at: Sequence[Box],
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
    """
    changed, pixels, outputs = 0, 0, 0.0
    steps: list[int] = []
    for box in at:
        whole, met = found(box, 2 * SIDE), found(box, SIDE // 2)
        outputs = max(outputs, float((whole - met).abs().max()))
        (labels, shares), (labels_there, shares_there) = kept(whole), stored(box)
        changed += int((labels != labels_there).sum())
        pixels += labels.size
        if shares is not None and shares_there is not None:
            steps.append(int(np.abs(shares.astype(int) - shares_there).max()))
    return Certificate(len(at), pixels, changed, max(steps) if steps else None, outputs)


def _around(z: int, y: int, x: int, layout: Layout) -> Box:
    """Return the window around a place, cut off where the result ends."""
    (y0, y1), (x0, x1) = (
        (max(middle - SIDE // 2, 0), min(middle + SIDE // 2, side))
        for middle, side in zip((y, x), layout.shape[1:], strict=True)
    )
    return Box(z, z + 1, y0, y1, x0, x1)
