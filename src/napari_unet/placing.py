"""Where labels lie on an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_unet.problem import Problem
from napari_unet.volume import Volume


def refuse_other_voxels(image: Volume, labels: Volume) -> None:
    """Raise a Problem if the voxels are known to differ in size; the thickness of a single section does not matter."""
    if image.voxel_size is None or labels.voxel_size is None:
        return
    axes = slice(1 if 1 in (image.shape[0], labels.shape[0]) else 0, None)
    if not np.allclose(labels.voxel_size[axes], image.voxel_size[axes], rtol=0.01, atol=0):
        there, here = (" x ".join(f"{n:g}" for n in v.voxel_size or ()) for v in (labels, image))
        raise Problem(
            f"{labels.name} has voxels of {there} nm, but {image.name} of {here} nm. "
            "Resample the labels to the voxels of the image, or choose the level of the image that they belong to."
        )


def begins_on(image: Volume, labels: Volume) -> tuple[int, int, int]:
    """Return the voxel of the image on which labels begin, as both files tell; without a word, at the first voxel.

    An image that does not tell where it lies is taken to lie where it did when labels that are a result were computed.
    """
    start, origin = labels.offset or (0, 0, 0), image.offset or labels.made_at or (0, 0, 0)
    z, y, x = (round(a - b) for a, b in zip(start, origin, strict=True))
    return z, y, x


def corner_of(image: Volume, labels: Volume) -> tuple[int, int, int]:
    """Return where the labels begin on the image, in voxels.

    Labels of the image's very shape without a place of their own belong to it.
    """
    if labels.offset is not None:
        return begins_on(image, labels)
    if labels.shape == image.shape:
        return 0, 0, 0
    there, here = (" x ".join(map(str, volume.shape)) for volume in (labels, image))
    if any(a > b for a, b in zip(labels.shape, image.shape, strict=True)):
        raise Problem(
            f"{labels.name} is {there} voxels large, larger than {image.name} with {here}. "
            "Choose the labels that were painted on this image."
        )
    raise Problem(
        f"{labels.name} is {there} voxels large and does not say where it lies on {image.name} with {here}. "
        "Save the labels at the full size of the image, or with an offset in their metadata."
    )


def laid_on(section: np.ndarray, corner: Sequence[int], image: Volume, blank: int) -> np.ndarray:
    """Put a section that begins at `corner`, and may cover a part of the image, on one full of `blank`."""
    result = np.full(image.shape[1:], blank, section.dtype)
    y0, x0 = (max(a, 0) for a in corner)
    y1, x1 = (min(a + n, m) for a, n, m in zip(corner, section.shape, result.shape, strict=True))
    if y0 < y1 and x0 < x1:
        result[y0:y1, x0:x1] = section[y0 - corner[0] : y1 - corner[0], x0 - corner[1] : x1 - corner[1]]
    return result
