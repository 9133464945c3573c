"""What a Zarr folder says about itself: array or group; axes, units and levels of an OME-Zarr image."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from napari_unet.problem import Problem

_NESTED = 4  # how far below its group the array of a level may lie


@dataclass(frozen=True)
class Level:
    """One resolution: an array, and where it lies in the units of the axes."""

    path: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True)
class Multiscale:
    """An image at several resolutions, finest first; axes are names in lower case, a unit may be unknown."""

    axes: tuple[str, ...]
    units: tuple[str | None, ...]
    levels: tuple[Level, ...]


def is_zarr(folder: Path) -> bool:
    """Return whether `folder` is a Zarr array or group, of format 2 or 3."""
    return any((folder / file).is_file() for file in ("zarr.json", ".zarray", ".zgroup"))


def metadata(folder: Path) -> dict[str, Any]:
    """Return the metadata of a Zarr folder as format 3 writes it, with `node_type` and `attributes`.

    Raises
    ------
    Problem
        If a metadata file cannot be read.
    """
    file = folder / "zarr.json"
    try:
        if file.is_file():
            return {"node_type": "group", "attributes": {}, **json.loads(file.read_text("utf-8"))}
        node = "array" if (folder / ".zarray").is_file() else "group"
        file = folder / ".zattrs"
        attributes = dict(json.loads(file.read_text("utf-8"))) if file.is_file() else {}
    except (OSError, ValueError, TypeError) as error:
        raise Problem(f"{file} is damaged. Copy the whole folder again from its source.") from error
    return {"node_type": node, "attributes": attributes}


def ome(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the OME part of a group's attributes: `ome` since version 0.5, all of them before."""
    inner = attributes.get("ome")
    return inner if isinstance(inner, Mapping) else attributes


def multiscale(attributes: Mapping[str, Any]) -> Multiscale | None:
    """Return the first image that the attributes of a group describe, None if they describe none.

    Lenient: what is missing or misspelt beside axes and paths counts as scale 1, translation 0, unit unknown.
    """
    try:
        entry = ome(attributes)["multiscales"][0]
        axes = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in entry["axes"]]
        names = tuple(str(axis["name"]).lower() for axis in axes)
        levels = tuple(_level(dataset, entry, len(names)) for dataset in entry["datasets"])
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    if not levels or len(set(names)) < len(names) or not {"y", "x"} <= set(names):
        return None
    return Multiscale(names, tuple(str(axis["unit"]) if axis.get("unit") else None for axis in axes), levels)


def says_where(attributes: Mapping[str, Any], number: int = 0) -> bool:
    """Return whether the attributes of a group, in which `multiscale` found an image, place one of its levels."""
    image = ome(attributes)["multiscales"][0]
    return any("translation" in step for step in _steps(image["datasets"][number], image))


def level_of(folder: Path) -> tuple[Mapping[str, Any], Multiscale, int] | None:
    """Return the image of which the array in `folder` is a level: attributes of its group, image, number of the level.

    None if it is an array by itself.
    """
    for group in list(folder.parents)[:_NESTED]:
        try:
            attributes = metadata(group)["attributes"] if is_zarr(group) else {}
        except Problem:  # the array can be read all the same
            continue
        image = multiscale(attributes)
        for number, level in enumerate(image.levels if image else ()):
            if image and group / level.path == folder:
                return attributes, image, number
    return None


def images_in(folder: Path) -> list[Path]:
    """Return the OME-Zarr images right inside a group, as bioformats2raw lays them out, by their numbers."""
    found = []
    for inside in folder.iterdir():
        with contextlib.suppress(Problem):
            if is_zarr(inside) and multiscale(metadata(inside)["attributes"]) is not None:
                found.append(inside)
    return sorted(found, key=lambda each: (len(each.name), each.name))


def refuse_inside(path: Path) -> None:
    """Raise a Problem if `path`, which is to be written, lies inside a Zarr: it would become a part of it."""
    for above in path.absolute().parents:
        if is_zarr(above):
            raise Problem(f"{path} lies inside {above}, which is a Zarr of its own. Choose a name beside it.")


def open_array(folder: Path, mode: Literal["r", "r+"] = "r") -> zarr.Array:
    """Open the Zarr array in `folder`, for reading only unless `mode` is "r+".

    Raises
    ------
    Problem
        If there is none, it cannot be read, or reading it would run a pickle.
    """
    try:
        array = zarr.open_array(str(folder), mode=mode)
    except Exception as error:  # zarr tells a bad file by many kinds of error
        raise Problem(
            f"{folder} is not a Zarr array that can be read. "
            "Check that it was copied whole, or save it anew with a common codec."
        ) from error
    if any(getattr(codec, "codec_id", "") == "pickle" for codec in (*array.filters, *array.compressors)):
        raise Problem(f"{folder} holds pickled objects, which could run code. Save it again as plain numbers.")
    return array


def open_level(folder: Path, image: Multiscale, number: int = 0, mode: Literal["r", "r+"] = "r") -> zarr.Array:
    """Open one level of the image in `folder`, the finest by default, for reading only unless `mode` is "r+".

    Raises
    ------
    Problem
        If it cannot be read, or has not the axes that the metadata names.
    """
    array = open_array(folder / image.levels[number].path, mode)
    if array.ndim != len(image.axes):
        raise Problem(
            f"{folder} names {len(image.axes)} axes, but its array '{image.levels[number].path}' has "
            f"{array.ndim}. Open that array by itself."
        )
    return array


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
    offset: Sequence[int],
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


def describe(axes: str, levels: int, voxel_size: Sequence[float] | None, offset: Sequence[int]) -> dict[str, Any]:
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


def _level(dataset: Mapping[str, Any], entry: Mapping[str, Any], ndim: int) -> Level:
    """Compose the transformations of one level, then those of the whole image."""
    scale, translation = [1.0] * ndim, [0.0] * ndim
    for step in _steps(dataset, entry):
        if factors := numbers(step.get("scale"), ndim):
            scale = [a * b for a, b in zip(scale, factors, strict=True)]
            translation = [a * b for a, b in zip(translation, factors, strict=True)]
        elif shifts := numbers(step.get("translation"), ndim):
            translation = [a + b for a, b in zip(translation, shifts, strict=True)]
    return Level(str(dataset["path"]), tuple(scale), tuple(translation))


def _steps(dataset: Mapping[str, Any], entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the transformations of one level, then those of the whole image."""
    return [step for part in (dataset, entry) for step in part.get("coordinateTransformations") or ()]


def numbers(values: Any, count: int) -> list[float] | None:
    """Return `values` as `count` finite numbers, None if they are anything else."""
    try:
        found = [float(value) for value in values]
    except (TypeError, ValueError):
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None
