"""The channels of an OME-Zarr image as lazy arrays, their axes in napari's order, and where they lie."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pint

from napari_unet.omezarr import Multiscale, level_of, metadata, multiscale, open_level
from napari_unet.part import Part, Unreadable
from napari_unet.problem import Problem
from napari_unet.view import View

_STACK = ("z", "y", "x")  # the axes of a stack, in napari's order


@dataclass(frozen=True)
class Channels:
    """An image, channel by channel.

    Attributes
    ----------
    levels : list of list
        Of each channel its levels, finest first; time and the like come before Z, Y, X.
    place : mapping
        Scale, translate, units and axis labels, as a napari layer takes them.
    missing : tuple of str
        Coarser levels that cannot be read.
    """

    levels: list[list[Any]]
    place: Mapping[str, Any]
    missing: tuple[str, ...]


def described(folder: Path) -> Multiscale | None:
    """Return what is known of an image, or of one level of it."""
    about = metadata(folder)
    if about["node_type"] == "group":
        return multiscale(about["attributes"])
    if (found := level_of(folder)) is None:
        return None
    _, image, number = found
    return replace(image, levels=(replace(image.levels[number], path="."),))


def channels_of(folder: Path, painted: bool = False, damaged: Unreadable | None = None) -> Channels:
    """Open the channels of an image.

    Parameters
    ----------
    folder
    painted
        Whether they may be written, where the system lets them be.
    damaged
        Is told where they cannot be read.

    Raises
    ------
    Problem
        If it is no image, or its finest level cannot be opened.
    """
    image = described(folder)
    if image is None:
        raise Problem(f"{folder} is not an OME-Zarr image. Copy it again from its source.")
    writable = painted and os.access(folder / image.levels[0].path, os.W_OK)
    levels, missing = _levels(folder, image, "r+" if writable else "r")
    if damaged is not None:
        levels = [Part(level, damaged=damaged) for level in levels]
    others = [i for i, axis in enumerate(image.axes) if axis not in _STACK and axis != "c" and levels[0].shape[i] > 1]
    shown = [*others, *(image.axes.index(axis) for axis in _STACK if axis in image.axes)]
    start = image.levels[0].translation or (0.0,) * len(image.axes)
    place = {
        "scale": [image.levels[0].scale[i] for i in shown],
        "translate": [start[i] for i in shown],
        "units": [_unit(image.units[i]) for i in shown],
        "axis_labels": [image.axes[i] for i in shown],
    }
    if damaged is None and shown == list(range(len(image.axes))) and levels[0].dtype.isnative:
        return Channels([levels], place, missing)
    channel = image.axes.index("c") if "c" in image.axes else None
    held = [{}] if channel is None else [{channel: i} for i in range(levels[0].shape[channel])]
    return Channels([[View(level, tuple(shown), each) for level in levels] for each in held], place, missing)


def _levels(folder: Path, image: Multiscale, mode: Literal["r", "r+"]) -> tuple[list[Any], tuple[str, ...]]:
    """Open the levels of an image; return them, and which coarser ones cannot be read."""
    levels, missing = [open_level(folder, image, 0, mode)], []
    for number, level in enumerate(image.levels[1:], start=1):
        try:
            levels.append(open_level(folder, image, number, mode))
        except Problem:
            missing.append(level.path)
    return levels, tuple(missing)


def _unit(name: str | None) -> str:
    """Return a unit that napari knows, pixels for any other."""
    try:
        pint.Unit(name or "pixel")
    except (pint.PintError, ValueError, TypeError):
        return "pixel"
    return name or "pixel"
