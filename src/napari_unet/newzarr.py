"""A new OME-Zarr image: its arrays, and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from napari_unet.omezarr import is_zarr
from napari_unet.problem import Problem


def refuse_inside(path: Path) -> None:
    """Raise a Problem if `path`, which is to be written, lies inside a Zarr: it would become a part of it."""
    for above in path.absolute().parents:
        inside = False
        with suppress(Problem):  # of what nobody may look at, writing will tell
            inside = is_zarr(above)
        if inside:
            raise Problem(f"{path} lies inside {above}, which is a Zarr of its own. Choose a name beside it.")


def create_level(
    folder: Path, shape: Sequence[int], chunks: Sequence[int], dtype: np.dtype | str, axes: str, fill_value: int = 0
) -> zarr.Array:
    """Create the array of one level in `folder`: axes a letter each, chunks compressed and with a checksum."""
    return zarr.create_array(
        folder,
        shape=tuple(shape),
        chunks=tuple(chunks),
        dtype=np.dtype(dtype).name,  # zarr knows only one of numpy's two names for a type of 64 bit
        fill_value=fill_value,
        compressors=[ZstdCodec(level=3), Crc32cCodec()],
        dimension_names=list(axes),
    )


def create_stack(
    folder: Path,
    shape: Sequence[int],
    side: int,
    dtype: np.dtype | str,
    voxel_size: Sequence[float] | None,
    offset: Sequence[float],
    label: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> zarr.Array:
    """Create an empty OME-Zarr image (Z, Y, X) of one level in `folder`, and return its array.

    Parameters
    ----------
    folder
        It must not exist yet.
    shape
        (Z, Y, X), in voxels.
    side
        Largest side of a chunk, in pixels; a chunk is a part of one section.
    dtype
        Of the voxels.
    voxel_size, offset
        As `describe` takes them.
    label
        What `label_colors` returned, for labels.
    attributes
        More attributes of the image, beside those of OME-Zarr.
    """
    array = create_level(folder / "0", shape, (1, *(min(side, length) for length in shape[1:])), dtype, "zyx")
    described = describe("zyx", 1, voxel_size, offset) | ({"image-label": label} if label else {})
    zarr.create_group(folder, attributes={"ome": described, **(attributes or {})})
    return array


def describe(axes: str, levels: int, voxel_size: Sequence[float] | None, offset: Sequence[float]) -> dict[str, Any]:
    """Describe an image as OME-Zarr 0.5 does, in nanometres if the voxel size is known, else in voxels.

    Parameters
    ----------
    axes
        "zyx" or "czyx".
    levels
        How many arrays it has, named 0, 1, ...; each halves Y and X of the one before.
    voxel_size
        (Z, Y, X) in nanometres, None if unknown.
    offset
        Where its first voxel lies, in voxels (Z, Y, X).

    Returns
    -------
    dict
        The value of the attribute `ome`.
    """
    unit = {"unit": "nanometer"} if voxel_size else {}
    z, y, x = voxel_size or (1.0, 1.0, 1.0)
    lead = len(axes) - 3
    # Coarse pixels are picked, not averaged: pixel (0, 0) is the same on all levels, so is the translation.
    start = [0.0] * lead + [n * size for n, size in zip(offset, (z, y, x), strict=True)]
    multiscale = {
        "axes": [
            {"name": "c", "type": "channel"} if name == "c" else {"name": name, "type": "space", **unit}
            for name in axes
        ],
        "datasets": [
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1.0] * lead + [z, y * 2**level, x * 2**level]},
                    {"type": "translation", "translation": start},
                ],
            }
            for level in range(levels)
        ],
    }
    return {"version": "0.5", "multiscales": [multiscale]}


def label_colors(colors: Mapping[int, str]) -> dict[str, Any]:
    """Describe the colours of labels as OME-Zarr 0.5 does: for each value `#rrggbb`, or `#rrggbbaa` with an alpha.

    Returns
    -------
    dict
        The value of `image-label` in the attribute `ome`.
    """
    rgba = {value: [*bytes.fromhex(color[1:].ljust(8, "f"))] for value, color in colors.items()}
    return {"version": "0.5", "colors": [{"label-value": value, "rgba": each} for value, each in rgba.items()]}
