"""How labels are shown: the colours and names of their classes, as napari takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from napari.utils.colormaps import DirectLabelColormap

from napari_unet.omezarr import numbers, ome

_NOT_COMPUTED = {"value": 255, "name": "not computed yet", "color": "transparent"}


def class_look(classes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the colormap and features of a Labels that shows classes, each with value, name and color (`#rrggbb`).

    255, not computed yet, is transparent, and so is the background, 0: else it would darken the image.
    """
    shown = [each if each["value"] else {**each, "color": "transparent"} for each in classes]
    return paint_look([*shown, _NOT_COMPUTED])


def paint_look(classes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the same for a Labels to paint classes on, where 255 is a value like any other."""
    return {
        "colormap": _colormap({each["value"]: each["color"] for each in classes}),
        "features": {"index": [each["value"] for each in classes], "class": [each["name"] for each in classes]},
    }


def file_look(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the colormap of a Labels in the colours that the attributes of an OME-Zarr give, nothing without any."""
    about = ome(attributes).get("image-label")
    found: dict[int | None, Any] = {}
    colours = about.get("colors") if isinstance(about, dict) else None
    for each in colours if isinstance(colours, list) else ():
        value = each.get("label-value") if isinstance(each, dict) else None
        if isinstance(value, int) and (rgba := numbers(each.get("rgba"), 4)):
            found[value] = [min(max(part / 255, 0), 1) for part in rgba]
    return {"colormap": _colormap(found)} if found else {}


def _colormap(colours: Mapping[int | None, Any]) -> DirectLabelColormap:
    """Return a colormap in which a value without a colour of its own is grey rather than invisible."""
    return DirectLabelColormap(color_dict={None: "gray", 0: "transparent", **colours})
