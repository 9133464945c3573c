"""Voxel size and position, as the metadata of a file tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import tifffile

from napari_unet.omezarr import Multiscale, numbers

_NANOMETRES = {
    "picometer": 1e-3,
    "pm": 1e-3,
    "angstrom": 0.1,
    "ångström": 0.1,
    "å": 0.1,
    "nanometer": 1.0,
    "nm": 1.0,
    "micrometer": 1e3,
    "micron": 1e3,
    "um": 1e3,
    "\N{MICRO SIGN}m": 1e3,
    "\N{GREEK SMALL LETTER MU}m": 1e3,
    "\\u00b5m": 1e3,  # ImageJ writes the micro sign like this
    "millimeter": 1e6,
    "mm": 1e6,
    "meter": 1e9,
    "m": 1e9,
}


@dataclass(frozen=True)
class Voxels:
    """What is known of the axes Z, Y, X: `step` in nanometres, `start` of the first voxel in voxels.

    Both are empty if nothing is known.
    """

    step: Mapping[str, float] = field(default_factory=dict)
    start: Mapping[str, int] = field(default_factory=dict)


def nanometres(unit: str | None) -> float | None:
    """Return the length of `unit` (a name or symbol) in nanometres, None if it is no known length."""
    name = (unit or "").strip().lower().replace("metre", "meter")
    return _NANOMETRES.get(name) or _NANOMETRES.get(name.removesuffix("s"))


def of_multiscale(image: Multiscale) -> Voxels:
    """Return the voxels of the finest level of an OME-Zarr image."""
    step, start = {}, {}
    level = image.levels[0]
    for axis, unit, scale, shift in zip(image.axes, image.units, level.scale, level.translation, strict=True):
        step[axis.upper()] = _length(scale, nanometres(unit))
        start[axis.upper()] = round(shift / scale) if scale else 0
    return Voxels(_known(step), start)


def of_tiff(tif: tifffile.TiffFile) -> Voxels:
    """Return the voxels of a TIFF by tifffile, an OME-TIFF or one by ImageJ.

    The resolution tags of any other TIFF are not trusted: most say how to print it.
    """
    if tif.shaped_metadata:
        return _of_shaped(tif.shaped_metadata[0])
    if tif.ome_metadata:
        return _of_ome(tif.ome_metadata)
    if tif.imagej_metadata:
        return _of_imagej(tif.imagej_metadata, tif.pages.first.tags)
    return Voxels()


def _of_shaped(tags: Mapping[str, Any]) -> Voxels:
    """Read the JSON that tifffile stores: `voxel_size` in nanometres, `offset` in voxels, both (Z, Y, X)."""
    size, offset = numbers(tags.get("voxel_size"), 3) or (), numbers(tags.get("offset"), 3) or ()
    step = {axis: _length(value, 1.0) for axis, value in zip("ZYX", size, strict=False)}
    return Voxels(_known(step), {axis: round(value) for axis, value in zip("ZYX", offset, strict=False)})


def _of_ome(xml: str) -> Voxels:
    """Read the physical sizes of the first image; without a unit they are micrometres."""
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    tags = {} if pixels is None else pixels.attrib
    return Voxels(
        _known(
            {
                axis: _length(tags.get(f"PhysicalSize{axis}"), nanometres(tags.get(f"PhysicalSize{axis}Unit", "um")))
                for axis in "ZYX"
            }
        )
    )


def _of_imagej(info: Mapping[str, Any], tags: tifffile.TiffTags) -> Voxels:
    """Read pixels per unit and the distance of sections, which ImageJ leaves out where it is one unit."""
    unit = nanometres(str(info.get("unit", "")))
    step = {"Z": _length(info.get("spacing", 1.0), unit)}
    for axis in "YX":
        pixels, per_units = tags.valueof(f"{axis}Resolution", (0, 1))
        step[axis] = _length(per_units / pixels, unit) if pixels else None
    return Voxels(_known(step))


def _length(number: Any, unit: float | None) -> float | None:
    """Return `number` units in nanometres, None if that is no length."""
    found = numbers([number], 1)
    return abs(found[0]) * unit if found and found[0] and unit else None


def _known(step: Mapping[str, float | None]) -> dict[str, float]:
    return {axis: length for axis, length in step.items() if length is not None}
