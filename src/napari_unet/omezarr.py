"""What a Zarr folder says about itself: array or group; axes, units and levels of an OME-Zarr image."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import zarr
from zarr.storage import LocalStore

from napari_unet.problem import Problem, reading, unreadable

_KEYS = {"name": "default", "configuration": {"separator": "/"}}  # of chunks: c/Z/Y/X
_NESTED = 4  # how far below its group the array of a level may lie


@dataclass(frozen=True)
class Level:
    """One resolution: an array, and where it lies in the units of the axes; no translation if nothing tells where."""

    path: str
    scale: tuple[float, ...]
    translation: tuple[float, ...] | None


@dataclass(frozen=True)
class Multiscale:
    """An image at several resolutions, finest first; axes are names in lower case, a unit may be unknown."""

    axes: tuple[str, ...]
    units: tuple[str | None, ...]
    levels: tuple[Level, ...]


def is_zarr(folder: Path) -> bool:
    """Return whether `folder` is a Zarr array or group, of format 2 or 3; raise a Problem if it cannot be looked at."""
    try:
        return any((folder / file).is_file() for file in ("zarr.json", ".zarray", ".zgroup"))
    except OSError as error:
        raise unreadable(folder, error) from error


def metadata(folder: Path) -> dict[str, Any]:
    """Return the metadata of a Zarr folder as format 3 writes it, with `node_type` and `attributes`.

    Raises
    ------
    Problem
        If a metadata file cannot be read.
    """
    if (node := _told_by(folder / "zarr.json")) is not None:
        return {"node_type": "group", "attributes": {}, **node}
    array = (folder / ".zarray").is_file()
    return {"node_type": "array" if array else "group", "attributes": _told_by(folder / ".zattrs") or {}}


def _told_by(file: Path) -> dict[str, Any] | None:
    """Return what a metadata file tells, None if there is none."""
    with reading(file, Problem(f"{file} is damaged. Copy the whole folder again from its source.")):
        return dict(json.loads(file.read_text("utf-8"))) if file.is_file() else None


def ome(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the OME part of a group's attributes: `ome` since version 0.5, all of them before."""
    inner = attributes.get("ome")
    return inner if isinstance(inner, Mapping) else attributes


def multiscale(attributes: Mapping[str, Any]) -> Multiscale | None:
    """Return the first image that the attributes of a group describe, None if they describe none.

    Lenient: what is missing or makes no sense beside axes and paths counts as scale 1, translation 0, unit unknown.
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


def level_of(folder: Path) -> tuple[Path, Multiscale, int] | None:
    """Return the image of which the array in `folder` is a level, its folder and what it is, and the level's number.

    None if it is an array by itself.
    """
    for group in list(folder.parents)[:_NESTED]:
        try:
            image = multiscale(metadata(group)["attributes"]) if is_zarr(group) else None
        except Problem:  # the array can be read all the same
            continue
        for number, level in enumerate(image.levels if image else ()):
            if image and group / level.path == folder:
                return group, image, number
    return None


def images_in(folder: Path) -> list[Path]:
    """Return the OME-Zarr images right inside a group, as bioformats2raw lays them out, by their numbers.

    What is damaged counts: who opens it says so.
    """
    found = []
    for inside in folder.iterdir():
        try:
            image = is_zarr(inside) and multiscale(metadata(inside)["attributes"]) is not None
        except Problem:
            image = True
        if image:
            found.append(inside)
    return sorted(found, key=lambda each: (len(each.name), each.name))


def open_array(folder: Path, mode: Literal["r", "r+"] = "r") -> zarr.Array:
    """Open the Zarr array in `folder`, for reading only unless `mode` is "r+".

    Raises
    ------
    Problem
        If there is none, it cannot be read, or reading it would run a pickle.
    """
    no_array = Problem(
        f"{folder} is not a Zarr array that can be read. "
        "Check that it was copied whole, or save it anew with a common codec."
    )
    with reading(folder, no_array):
        array = zarr.open_array(str(folder), mode=mode)
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


def written_sections(array: Any) -> set[int] | None:
    """Return the sections of an array (Z, Y, X) that are not empty, as its files tell; None if they do not."""
    if not isinstance(array, zarr.Array) or not isinstance(array.store, LocalStore):
        return None
    keys = array.metadata.to_dict().get("chunk_key_encoding")
    if array.fill_value or array.shards or array.chunks[0] != 1 or keys != _KEYS:
        return None
    folder = Path(array.store.root) / array.path / "c"
    return {int(z.name) for z in folder.iterdir() if z.name.isdigit()} if folder.is_dir() else set()


def _level(dataset: Mapping[str, Any], entry: Mapping[str, Any], ndim: int) -> Level:
    """Compose the transformations of one level, then those of the whole image."""
    nowhere = (0.0,) * ndim
    scale: tuple[float, ...] = (1.0,) * ndim
    translation: tuple[float, ...] | None = None
    given = (part.get("coordinateTransformations") for part in (dataset, entry))
    for step in (step for steps in given if isinstance(steps, list) for step in steps if isinstance(step, Mapping)):
        if (factors := numbers(step.get("scale"), ndim)) and all(factors):
            scale = tuple(a * b for a, b in zip(scale, factors, strict=True))
            translation = translation and tuple(a * b for a, b in zip(translation, factors, strict=True))
        elif "translation" in step:
            shifts = numbers(step["translation"], ndim) or nowhere
            translation = tuple(a + b for a, b in zip(translation or nowhere, shifts, strict=True))
    return Level(str(dataset["path"]), scale, translation)


def numbers(values: Any, count: int) -> list[float] | None:
    """Return `values` as `count` finite numbers, None if they are anything else."""
    try:
        found = [float(value) for value in values]
    except (TypeError, ValueError):
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None
