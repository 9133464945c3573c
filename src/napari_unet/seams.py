"""Whether a result has seams: places where tiles meet, computed again in other tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from napari_unet.disk import write_json
from napari_unet.layout import CHUNK, Layout
from napari_unet.tiles import Box

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
    largest : float
        Largest difference between a logit of that single tile and of tiles that meet in the middle of the window.
    """

    windows: int
    pixels: int
    changed: int
    largest: float

    def __str__(self) -> str:
        places = f"{self.windows} place{'s' * (self.windows > 1)} where tiles meet"
        if not self.changed:
            return f"no seam at {places}"
        return f"{self.changed:,} of {self.pixels:,} pixels differ at {places}"

    def save(self, result: Path) -> None:
        """Keep it beside the result."""
        write_json(result / SEAMS, asdict(self))


def windows(layout: Layout, tile: int) -> list[Box]:
    """Return windows around places where tiles of a result meet, in voxels of the result: at most 8, always the same.

    Parameters
    ----------
    layout : Layout
    tile : int
        Largest side of the tiles it was computed in; those of different chunks meet at multiples of 1024 anyway.
    """
    depth, height, width = layout.shape
    step = min(tile, CHUNK)
    rows, columns = (range(step, side, step) for side in (height, width))
    if not rows and not columns:
        return []
    # Where no two edges cross, the middle of an edge will do.
    rows, columns = rows or range(height // 2, height // 2 + 1), columns or range(width // 2, width // 2 + 1)
    rng = np.random.default_rng(0)
    count = min(_MOST, math.ceil(depth * len(rows) * len(columns) / 50))
    chosen = {(int(rng.integers(depth)), int(rng.choice(rows)), int(rng.choice(columns))) for _ in range(count)}
    return [_around(*place, layout) for place in sorted(chosen)]


def certify(
    found: Callable[[Box, int], np.ndarray], stored: Callable[[Box], np.ndarray], values: np.ndarray, at: Sequence[Box]
) -> Certificate:
    """Compute windows again, in one tile and in tiles that meet in the middle, and compare.

    Parameters
    ----------
    found : callable
        The logits (classes, rows, columns) of a box in tiles of a side, float32.
    stored : callable
        The class values of a box in the result: uint8 (rows, columns).
    values : ndarray, shape (classes,), uint8
        The class values by channel.
    at : sequence of Box
    """
    changed, pixels, largest = 0, 0, 0.0
    for box in at:
        whole, met = found(box, 2 * SIDE), found(box, SIDE // 2)
        labels = stored(box)
        changed += int((values[whole.argmax(0)] != labels).sum())
        largest = max(largest, float(np.abs(whole - met).max()))
        pixels += labels.size
    return Certificate(len(at), pixels, changed, largest)


def _around(z: int, y: int, x: int, layout: Layout) -> Box:
    """Return the window around a place, cut off where the result ends."""
    (y0, y1), (x0, x1) = (
        (max(middle - SIDE // 2, 0), min(middle + SIDE // 2, side))
        for middle, side in zip((y, x), layout.shape[1:], strict=True)
    )
    return Box(z, z + 1, y0, y1, x0, x1)
