"""A result to read, finished or still growing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import zarr

from napari_unet.layout import Layout, open_levels, read_layout


@dataclass(frozen=True)
class Result:
    """A result to read, finished or not.

    Attributes
    ----------
    layout : Layout
        What it was made with.
    classes : tuple of zarr.Array
        Levels of the class map, finest first, uint8 (Z, Y, X); 255 = not computed yet.
    probabilities : tuple of zarr.Array
        Levels of the probabilities, finest first, uint8 (C, Z, Y, X), 255 = 1; empty if they were not kept.
    """

    layout: Layout
    classes: tuple[zarr.Array, ...]
    probabilities: tuple[zarr.Array, ...]


def open_result(path: Path) -> Result:
    """Open a result to read it, also while it is still growing.

    Raises
    ------
    Problem
        If `path` holds no result.
    """
    layout = read_layout(path)
    classes, *probabilities = open_levels(path, layout, "r")
    return Result(layout, classes, probabilities[0] if probabilities else ())
