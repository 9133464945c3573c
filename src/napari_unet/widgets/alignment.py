"""On which voxels of an image labels lie."""

from __future__ import annotations

from itertools import product

import numpy as np
from napari.layers import Image, Labels

from napari_unet.problem import Problem
from napari_unet.widgets.handover import volume_of
from napari_unet.widgets.place import onto

_TOLERANCE = 0.25  # voxels; files round their voxel sizes


def corner_of_copy(layer: Labels, image_layer: Image) -> tuple[int, int, int]:
    """Return the voxel (Z, Y, X) of an image on which a copy of labels would begin; no pixel is read.

    Raises
    ------
    Problem
        If they are no labels of this image or do not lie on its voxels, at least in part.
    """
    labels, image = volume_of(layer), volume_of(image_layer)
    if layer.multiscale:
        raise Problem(f"{layer.name} has several levels, so it cannot be painted on. Open its finest level by itself.")
    if labels.dtype.kind not in "iu":
        raise Problem(f"{layer.name} holds {labels.dtype} values, not labels. Choose a layer of whole numbers.")
    if labels.shape != image.shape:
        there, here = (" x ".join(map(str, volume.shape)) for volume in (labels, image))
        raise Problem(
            f"{layer.name} is {there} voxels large, but {image_layer.name} is {here}. "
            "Choose the image that the labels were painted on, or make new labels for this one."
        )
    corner = corner_on(layer, image_layer)
    if any(abs(start) >= side for start, side in zip(corner, image.shape, strict=True)):
        raise not_on(layer, image_layer)
    return corner


def corner_on(layer: Labels, image_layer: Image) -> tuple[int, int, int]:
    """Return the voxel (Z, Y, X) of an image on which labels begin, by where both lie in the viewer.

    Raises
    ------
    Problem
        If the voxels of the labels do not lie on voxels of the image.
    """
    corners = np.array([(*p, 1) for p in product(*((0, side - 1) for side in volume_of(layer).shape))])
    moved = (corners @ onto(layer, image_layer).T - corners)[:, :3]
    if 2 in (layer.ndim, image_layer.ndim):  # a flat layer lies in all sections
        moved[:, 0] = 0
    z, y, x = (round(shift) for shift in moved[0])
    if np.abs(moved - (z, y, x)).max() > _TOLERANCE:
        raise not_on(layer, image_layer)
    return z, y, x


def not_on(layer: Labels, image_layer: Image) -> Problem:
    """Return what to say of labels that lie elsewhere than on the voxels of an image that they belong to."""
    return Problem(
        f"{layer.name} does not lie on the voxels of {image_layer.name}. Choose the image that was painted on, or give "
        "the labels its place: right-click the image > Copy scale and transforms > Copy all to clipboard, then "
        "right-click the labels > Apply scale/transforms from Clipboard."
    )
