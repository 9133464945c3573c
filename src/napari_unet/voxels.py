"""What a file tells of its stack: lazy array, axes, voxel size and position; what is said where it does not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile

from napari_unet.omezarr import Multiscale, numbers
from napari_unet.problem import Problem

OME_CREATOR = "napari-unet"  # who writes an OME-TIFF in which the position of the planes is the offset

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
    start: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """What a file holds.

    Attributes
    ----------
    array
        Lazy, with as many dimensions as `axes` has letters.
    axes
        A letter for each dimension: Z, Y, X, T time, C channel, S colour sample, any other unknown.
    voxels
        Size and position of a voxel, where the metadata tells.
    made_at
        Of a result: where its image lies, in voxels (Z, Y, X); None if that is unknown.
    """

    array: Any
    axes: str
    voxels: Voxels = field(default_factory=Voxels)
    made_at: Sequence[float] | None = None


def letters(names: Sequence[str | None], ndim: int) -> str:
    """Return a letter for each of `ndim` axes; unless `names` tell them, the last two are Y and X."""
    found = "".join(name.upper() if name in ("t", "c", "z", "y", "x") else "Q" for name in names)
    told = len(found) == ndim and found.count("Y") == found.count("X") == 1
    return found if told else ("Q" * (ndim - 2) + "YX")[-ndim:]


def damaged(path: Path) -> Problem:
    """Return what to say of a file that cannot be made sense of."""
    return Problem(
        f"{path} cannot be read: it is damaged, incomplete or not what its name says. "
        "Copy it again from its source, or save it anew."
    )


def package_missing(path: Path, package: str) -> Problem:
    """Return what to say of a file whose format needs a package that is not installed."""
    return Problem(
        f"{path} cannot be opened without the Python package {package}. "
        f"Install it into the same environment: pip install {package}."
    )


def nanometres(unit: str | None) -> float | None:
    """Return the length of `unit` (a name or symbol) in nanometres, None if it is no known length."""
    name = (unit or "").strip().lower().replace("metre", "meter")
    return _NANOMETRES.get(name) or _NANOMETRES.get(name.removesuffix("s"))


def of_multiscale(image: Multiscale, number: int = 0) -> Voxels:
    """Return the voxels of one level of an OME-Zarr image, the finest by default."""
    level = image.levels[number]
    axes = [axis.upper() for axis in image.axes]
    lengths = [_length(scale, nanometres(unit)) for scale, unit in zip(level.scale, image.units, strict=True)]
    starts = [
        _rounded(at / step) if step else 0.0 for at, step in zip(level.translation or (), level.scale, strict=False)
    ]
    return Voxels(_known(dict(zip(axes, lengths, strict=True))), dict(zip(axes, starts, strict=False)))


def of_zyx(size: Any, unit: float = 1.0, shift: Any = None) -> Voxels:
    """Return the voxels of a `size` that begin at `shift`, both (Z, Y, X) in units of `unit` nanometres.

    What is not three finite numbers counts as unknown, and so does a size of 0.
    """
    sizes, shifts = numbers(size, 3) or (), numbers(shift, 3) or ()
    step = _known({axis: _length(value, unit) for axis, value in zip("ZYX", sizes, strict=False)})
    if len(step) < 3:
        return Voxels(step)
    return Voxels(step, {axis: _rounded(at * unit / step[axis]) for axis, at in zip("ZYX", shifts, strict=False)})


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


def made_at_of_tiff(tif: tifffile.TiffFile) -> Sequence[float] | None:
    """Return where the image lies that a converted result was computed from, None if it is none or does not tell."""
    if tif.ome_metadata and OME_CREATOR in tif.ome_metadata:  # the XML of many pages is long
        made = f".//{{*}}MapAnnotation[@Namespace='{OME_CREATOR}']//{{*}}M[@K='place']"
        with suppress(ValueError):
            return numbers(json.loads(ElementTree.fromstring(tif.ome_metadata).findtext(made, "null")), 3)
    return None


def _of_shaped(tags: Mapping[str, Any]) -> Voxels:
    """Read the JSON that tifffile stores: `voxel_size` in nanometres, `offset` in voxels, both (Z, Y, X)."""
    size, offset = numbers(tags.get("voxel_size"), 3) or (), numbers(tags.get("offset"), 3) or ()
    step = {axis: _length(value, 1.0) for axis, value in zip("ZYX", size, strict=False)}
    return Voxels(_known(step), {axis: _rounded(value) for axis, value in zip("ZYX", offset, strict=False)})


def _of_ome(xml: str) -> Voxels:
    """Read the physical sizes of the first image; without a unit they are micrometres.

    The position of its first plane is the offset only where we wrote it: a microscope writes that of its stage.
    """
    image = ElementTree.fromstring(xml)
    pixels, plane = image.find(".//{*}Pixels"), image.find(".//{*}Plane")
    tags = {} if pixels is None else pixels.attrib
    step = _known(
        {
            axis: _length(tags.get(f"PhysicalSize{axis}"), nanometres(tags.get(f"PhysicalSize{axis}Unit", "um")))
            for axis in "ZYX"
        }
    )
    if plane is None or image.get("Creator") != OME_CREATOR:
        return Voxels(step)
    start = {axis: _in_voxels(plane, axis, step.get(axis)) for axis in "ZYX"}
    return Voxels(step, {axis: at for axis, at in start.items() if at is not None})


def _in_voxels(plane: ElementTree.Element, axis: str, step: float | None) -> float | None:
    """Return the position of a plane, which is a length or in pixels; None if it tells nothing."""
    found, unit = numbers([plane.get(f"Position{axis}")], 1), plane.get(f"Position{axis}Unit")
    each = 1.0 if unit == "pixel" else (nanometres(unit) or 0.0) / (step or math.inf)
    return _rounded(found[0] * each) if found and each else None


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


def _rounded(start: float) -> float:
    """Return a position in voxels without what a division leaves behind: a whole number stays one."""
    return round(start, 6)


def _known(step: Mapping[str, float | None]) -> dict[str, float]:
    return {axis: length for axis, length in step.items() if length is not None}
