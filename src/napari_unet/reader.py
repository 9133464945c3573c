"""Opens OME-Zarr images, their labels and the segmentations of this plugin as napari layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pint
from napari.utils.colormaps import DirectLabelColormap

from napari_unet.omezarr import is_zarr, metadata, multiscale, numbers, ome, open_level
from napari_unet.problem import Problem
from napari_unet.volume import View

LayerData = tuple[Any, dict[str, Any], str]

_OURS = "napari-unet"
_NOT_COMPUTED = {"value": 255, "name": "not computed yet", "color": "transparent"}


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return `read` if `path` is one folder `*.zarr` with an OME-Zarr image (0.4 or 0.5), else None."""
    paths = [path] if isinstance(path, str) else path
    folder = Path(paths[0])
    if len(paths) > 1 or folder.suffix.lower() != ".zarr" or not folder.is_dir():
        return None
    try:
        return read if multiscale(metadata(folder)["attributes"]) else None
    except Problem:
        return None


def read(path: str | list[str]) -> list[LayerData]:
    """Return the layers of an OME-Zarr image: one for each channel, and its labels above them.

    An image of labels becomes Labels; so does a segmentation of this plugin, above its hidden probabilities.
    All are lazy and for reading only.

    Raises
    ------
    Problem
        If a part of it cannot be read.
    """
    folder = Path(path if isinstance(path, str) else path[0])
    name = folder.stem.removesuffix(".ome")
    attributes = metadata(folder)["attributes"]
    if _OURS in attributes or "image-label" in ome(attributes):
        layers = [*_probabilities(folder, attributes), *_labels(folder, name)]
    else:
        layers = list(_images(folder, name))
    below = folder / "labels"
    names = ome(metadata(below)["attributes"]).get("labels") if is_zarr(below) else None
    return layers + [layer for each in names or () for layer in _labels(below / each, each)]


def _images(folder: Path, name: str) -> Iterator[LayerData]:
    """Yield an Image for each channel, by the name that the microscope gave it."""
    channels, place = _channels(folder)
    omero = ome(metadata(folder)["attributes"]).get("omero") or {}
    labels = [each.get("label") for each in omero.get("channels") or ()]
    for number, data in enumerate(channels):
        label = labels[number] if number < len(labels) else None
        fields = dict(place, name=name)
        if len(channels) > 1:
            fields.update(name=label or f"{name} {number}", blending="additive")
        if data[0].dtype == np.uint8:
            fields["contrast_limits"] = (0, 255)
        yield _layer(data, fields, "image")


def _labels(folder: Path, name: str) -> Iterator[LayerData]:
    """Yield a Labels for each channel, nearly always one, in the colours of the file."""
    attributes = metadata(folder)["attributes"]
    channels, place = _channels(folder)
    fields = dict(place, name=name)
    colours = _colours(ome(attributes).get("image-label") or {})
    if _OURS in attributes:
        classes = [*attributes[_OURS].get("classes", ()), _NOT_COMPUTED]
        colours.update((each["value"], each["color"]) for each in classes)
        fields["features"] = {
            "index": [each["value"] for each in classes],
            "class": [each["name"] for each in classes],
        }
        fields["metadata"] = {_OURS: attributes[_OURS]}
    if colours:
        # A value without a colour of its own is grey rather than invisible.
        painted: dict[int | None, Any] = {None: "gray", 0: "transparent"}
        fields["colormap"] = DirectLabelColormap(color_dict=painted | colours)
    for data in channels:
        yield _layer(data, fields, "labels")


def _probabilities(folder: Path, attributes: Mapping[str, Any]) -> Iterator[LayerData]:
    """Yield a hidden Image for each class of a segmentation that kept its probabilities."""
    folder = folder / "probabilities"
    if _OURS not in attributes or not is_zarr(folder):
        return
    channels, place = _channels(folder)
    for each, data in zip(attributes[_OURS]["classes"], channels, strict=True):
        fields = {"name": f"{each['name']} probability", "visible": False, "blending": "additive"}
        yield _layer(data, {**place, **fields, "contrast_limits": (0, 255)}, "image")


def _channels(folder: Path) -> tuple[list[list[Any]], dict[str, Any]]:
    """Return the levels of each channel of an image, and where its layers lie; nothing if it is no image."""
    image = multiscale(metadata(folder)["attributes"])
    if image is None:
        return [], {}
    levels = [open_level(folder, image, number) for number in range(len(image.levels))]
    shown = [i for i, axis in enumerate(image.axes) if axis != "c"]
    place = {
        "scale": [image.levels[0].scale[i] for i in shown],
        "translate": [image.levels[0].translation[i] for i in shown],
        "units": [_unit(image.units[i]) for i in shown],
        "axis_labels": [image.axes[i] for i in shown],
    }
    if "c" not in image.axes:
        return [levels], place
    channel = image.axes.index("c")
    count = levels[0].shape[channel]
    return [[View(level, tuple(shown), {channel: i}) for level in levels] for i in range(count)], place


def _layer(levels: list[Any], fields: Mapping[str, Any], kind: str) -> LayerData:
    """Return what napari makes a layer of; one level alone is no list."""
    several = len(levels) > 1
    return levels if several else levels[0], {**fields, "multiscale": several}, kind


def _unit(name: str | None) -> str:
    """Return a unit that napari knows, pixels for any other."""
    try:
        pint.Unit(name or "pixel")
    except (pint.PintError, ValueError, TypeError):
        return "pixel"
    return name or "pixel"


def _colours(image_label: Mapping[str, Any]) -> dict[int | None, Any]:
    """Return red, green, blue and alpha in [0, 1] for each label that has a colour."""
    found: dict[int | None, Any] = {}
    for each in image_label.get("colors") or ():
        if rgba := numbers(each.get("rgba"), 4):
            found[int(each["label-value"])] = [part / 255 for part in rgba]
    return found
