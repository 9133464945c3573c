"""Rectangles on sections of an image, as one layer to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Shapes

from napari_unet.reader import OURS
from napari_unet.widgets.place import placed
from napari_unet.widgets.result import selection_kept

if TYPE_CHECKING:
    from napari import Viewer


def outline(
    viewer: Viewer, image: Image, mark: str, name: str, rectangles: Sequence[np.ndarray], edge: str, face: str
) -> Shapes:
    """Draw rectangles over an image, instead of the last ones of that mark; hidden if those were.

    Parameters
    ----------
    viewer
    image
        What they lie on.
    mark
        Tells them from other layers of ours.
    name
        Of the layer.
    rectangles
        The corners of each, as from `corners`.
    edge, face
        Colours.
    """
    old = [layer for layer in viewer.layers if layer.metadata.get(OURS, {}).get(mark)]
    layer = Shapes(
        rectangles,
        shape_type="rectangle",
        edge_width=max(shape_of(image)) / 500,
        edge_color=edge,
        face_color=face,
        name=name,
        metadata={OURS: {mark: True}},
        **placed(image),
    )
    layer.visible = all(each.visible for each in old)
    with selection_kept(viewer):
        for each in old:
            viewer.layers.remove(each)
        viewer.layers.append(layer)
    layer.editable = False
    return layer


def corners(z: int, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    """Return the corners (4, 3) of a box of section `z`, ends excluded; voxel 0 reaches from -0.5 to 0.5."""
    (y0, y1), (x0, x1) = rows, columns
    return np.array([(z, y0, x0), (z, y0, x1), (z, y1, x1), (z, y1, x0)]) - (0, 0.5, 0.5)


def shape_of(image: Image) -> tuple[int, int]:
    """Return how many rows and columns an image has, at its finest level."""
    height, width = image.level_shapes[0][-2:] if image.multiscale else image.data.shape[-2:]
    return int(height), int(width)
