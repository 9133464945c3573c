"""Which part of a layer the view shows, and how it comes to show another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_unet.voxels import nanometres

if TYPE_CHECKING:
    from napari import Viewer
    from napari.components import ViewerModel
    from napari.layers import Layer

_TINY, _COMFORTABLE = 1 / 6, 1 / 2  # shares of the view that a part takes
_AROUND = 32  # pixels of the image to each side of a place that somebody is to look at

FLAT_FIRST = "Go back to the 2-D view of rows and columns first."


@dataclass(frozen=True)
class InView:
    """The visible part of a section, in voxels; ends are excluded."""

    z: int
    y0: int
    y1: int
    x0: int
    x1: int


def around(z: int, y: int, x: int) -> InView:
    """Return a voxel with so much around it that one sees what is there; it may reach beyond the image."""
    return InView(z, y - _AROUND, y + _AROUND + 1, x - _AROUND, x + _AROUND + 1)


def shows_sections(viewer: Viewer) -> bool:
    """Tell whether the view shows rows and columns."""
    return sorted(viewer.dims.displayed) == [viewer.dims.ndim - 2, viewer.dims.ndim - 1]


def why_not_in_view(viewer: Viewer, remedy: str) -> str:
    """Return what to say where `in_view` returns None; `remedy` brings a section into the 2-D view."""
    return f"The image is not in view. {remedy}" if shows_sections(viewer) else FLAT_FIRST


def show_section(viewer: Viewer, layer: Layer, z: int) -> None:
    """Go to section `z` of a 3-D layer, if the view shows sections."""
    dims = viewer.dims
    if shows_sections(viewer):
        ratio = _units(viewer, layer)
        _, *middle = dims.point[-3:]
        corner = layer.world_to_data(np.array((0, *middle)) * ratio)
        dims.set_point(dims.ndim - 3, layer.data_to_world((z, *corner[-2:]))[-3] / ratio[-3])


def show_nearest(viewer: Viewer, layer: Layer) -> None:
    """Go to the section of a 3-D layer that is nearest to the view, if that shows none of it."""
    z, depth = math.floor(voxel_at(viewer, layer, np.array(viewer.dims.point))[0] + 0.5), layer.level_shapes[0][0]
    if not 0 <= z < depth and not painting():
        show_section(viewer, layer, 0 if z < 0 else depth - 1)


def show_flat(viewer: Viewer, image: Layer) -> None:
    """Go to where layers over a 2-D image lie; beside a stack, the image itself shows in all sections.

    Call it on what the user does, not when the layers are there: by then somebody may be painting. Where no layer
    reaches there yet, the view follows the next one that is added or comes there, unless it moves before.
    """
    dims = viewer.dims
    axis = dims.ndim - 3
    if image.ndim > 2 or axis < 0 or not shows_sections(viewer):
        return
    dims.set_point(axis, 0)
    reached = dims.point
    if reached[axis] == 0:
        return

    def follow(_: Any) -> None:
        dims.events.range.disconnect(follow)
        if dims.point == reached and not painting():
            dims.set_point(axis, 0)

    dims.events.range.connect(follow)


@contextmanager
def camera_kept(viewer: ViewerModel) -> Iterator[None]:
    """Show afterwards the part that was shown before: napari shows all where the first stack joins flat images."""
    camera = viewer.scene.camera
    center, zoom = camera.center, camera.zoom
    yield
    camera.center, camera.zoom = center, zoom


def painting() -> bool:
    """Tell whether a mouse button is down: a stroke would go through all sections between, if the view went on."""
    return QApplication.mouseButtons() != Qt.MouseButton.NoButton


def show_part(viewer: Viewer, layer: Layer, part: InView) -> None:
    """Put a part of a section of `layer` into the middle of the view, which shows rows and columns for it.

    The zoom changes only where the part would not fit, or would be less than a sixth of the view.
    """
    dims = viewer.dims
    dims.ndisplay = 2
    if not shows_sections(viewer):
        dims.order = tuple(range(dims.ndim))
    camera, shown = viewer.scene.camera, list(dims.displayed)
    if layer.ndim > 2:
        show_section(viewer, layer, part.z)
    else:
        show_flat(viewer, layer)
    corners = product((part.y0 - 0.5, part.y1 - 0.5), (part.x0 - 0.5, part.x1 - 0.5))
    ratio = _units(viewer, layer)
    world = np.array([layer.data_to_world((part.z, *corner)[-layer.ndim :]) / ratio for corner in corners])
    low, high = (end[[axis - dims.ndim for axis in shown]] for end in (world.min(0), world.max(0)))
    share = max((high - low) * camera.zoom / viewer.canvas.size)
    if not _TINY <= share <= 1:
        camera.zoom *= _COMFORTABLE / share
    camera.center = (*camera.center[:-2], *((low + high) / 2))


def in_view(viewer: Viewer, layer: Layer, largest: int = 1024) -> InView | None:
    """Return which part of which section of `layer` the view shows, in voxels of its finest level.

    Parameters
    ----------
    viewer
    layer
        An image of 2 or 3 dimensions.
    largest
        At most so many pixels a side are returned, those around the centre of what is visible.

    Returns
    -------
    InView or None
        None if the view shows other axes than rows and columns, all three of them, or nothing of the image.
    """
    dims, camera = viewer.dims, viewer.scene.camera
    shown = list(dims.displayed)
    if not shows_sections(viewer):
        return None
    depth, *sides = (1, *layer.level_shapes[0].tolist())[-3:]
    point = np.array(dims.point, float)
    # napari chooses the section by the slider alone, also where an image is tilted.
    point[shown] = 0
    z = round(voxel_at(viewer, layer, point)[0])
    # Not from layer.corner_pixels: those of a multiscale layer grow to whole chunks, and stay when the view shrinks.
    half = np.array(viewer.canvas.size) / 2 / camera.zoom
    corners = []
    for signs in product((-1, 1), repeat=2):
        point[shown] = camera.center[-2:] + signs * half
        corners.append(voxel_at(viewer, layer, point)[1:])
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    (y0, y1), (x0, x1) = (_cut(a, b, side, largest) for a, b, side in zip(low, high, sides, strict=True))
    return InView(z, y0, y1, x0, x1) if 0 <= z < depth and y0 < y1 and x0 < x1 else None


def voxel_at(viewer: Viewer, layer: Layer, point: np.ndarray) -> np.ndarray:
    """Return where a point of the world lies in `layer`, in voxels (Z, Y, X); of more axes, on each of them."""
    voxel = layer.world_to_data(point[-layer.ndim :] * _units(viewer, layer))
    return np.concatenate([np.zeros(max(3 - layer.ndim, 0)), voxel])


def _units(viewer: Viewer, layer: Layer) -> np.ndarray:
    """Return the units of the world in those of `layer`: the world counts in the smallest of all layers."""
    units = zip((viewer.dims.units or layer.units)[-layer.ndim :], layer.units, strict=True)
    return np.array([(nanometres(str(world)) or 1) / (nanometres(str(own)) or 1) for world, own in units])


def _cut(low: float, high: float, side: int, largest: int) -> tuple[int, int]:
    """Return the pixels from `low` to `high` that the image has, at most `largest` around their centre."""
    start, end = max(math.floor(low + 0.5), 0), min(math.floor(high + 0.5) + 1, side)
    if end - start > largest:
        start = (start + end - largest) // 2
        end = start + largest
    return start, end
