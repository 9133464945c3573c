"""The colours that an OME-Zarr file gives to its labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_unet.omezarr import numbers, ome


def file_colours(attributes: Mapping[str, Any]) -> dict[int | None, Any]:
    """Return red, green, blue and alpha in [0, 1] for each label that has a colour in the attributes of an OME-Zarr."""
    about = ome(attributes).get("image-label")
    found: dict[int | None, Any] = {}
    colours = about.get("colors") if isinstance(about, dict) else None
    for each in colours if isinstance(colours, list) else ():
        value = each.get("label-value") if isinstance(each, dict) else None
        if isinstance(value, int) and (rgba := numbers(each.get("rgba"), 4)):
            found[value] = [min(max(part / 255, 0), 1) for part in rgba]
    return found
