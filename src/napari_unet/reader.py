"""Opens OME-Zarr images, their labels and the segmentations of this plugin as napari layers."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.notifications import show_warning

from napari_unet.channels import Channels, channels_of, described
from napari_unet.colours import file_colours
from napari_unet.omezarr import images_in, is_zarr, level_of, metadata, numbers, ome
from napari_unet.part import Part, Unreadable
from napari_unet.problem import Problem, told_by
from napari_unet.words import listed

LayerData = tuple[Any, dict[str, Any], str]

OURS = "napari-unet"  # the attribute of our results, and the key in the metadata of the layers of what it made
READ = "napari-unet-read"  # the key in the metadata of other images and labels that the reader opened: which they are
STROKES = "napari-unet-labels"  # the attribute of labels made to be painted on, with their classes
_NOT_COMPUTED = {"value": 255, "name": "not computed yet", "color": "transparent"}
_PAUSE = 10  # seconds between two warnings of one result


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return a reader if `path` is one folder `*.zarr` with an OME-Zarr image, or a level of one in it, else None."""
    paths = [path] if isinstance(path, str) else path
    folder = Path(paths[0])
    if len(paths) > 1 or _store(folder) is None or not folder.is_dir():
        return None
    try:
        return read if _found(folder) else None
    except Problem:
        return read  # says what is wrong


def read(path: str | list[str]) -> list[LayerData]:
    """Return the layers of an OME-Zarr image (0.4 or 0.5), or of several in a folder: one a channel, its labels above.

    An image of labels becomes Labels; so does a segmentation of this plugin, above its hidden probabilities.
    All are lazy, and for reading only but for labels that this plugin made to be painted on. Axes other than z, y and
    x are left out where they have a length of one. Labels and coarser levels that cannot be shown are left out with a
    notification.

    Raises
    ------
    Problem
        If a part of it cannot be read.
    """
    folder = Path(path if isinstance(path, str) else path[0])
    store, found = _store(folder) or folder, _found(folder)
    name = " ".join([store.stem.removesuffix(".ome"), *folder.relative_to(store).parts])
    names = [name] if len(found) == 1 else [f"{name} {each.name}" for each in found]
    layers, problems = list[LayerData](), list[Problem]()
    for image, called in zip(found, names, strict=True):
        try:
            layers += _image_and_labels(image, called)
        except Problem as problem:
            problems.append(problem)
    if problems and not layers:
        raise problems[0]
    for each in problems:
        show_warning(f"One of the images is not shown. {each}")
    return layers


def is_result(attributes: Mapping[str, Any]) -> bool:
    """Tell by the attributes of a folder whether it is a segmentation of ours, rather than the probabilities of one."""
    return OURS in attributes and "channels" not in attributes[OURS]


def _found(folder: Path) -> list[Path]:
    """Return the images of a Zarr folder: itself, or those right inside it."""
    if described(folder):
        return [folder]
    return images_in(folder) if metadata(folder)["node_type"] == "group" else []


def _store(folder: Path) -> Path | None:
    """Return the folder `*.zarr` that a path is, or lies in."""
    return next((each for each in (folder, *folder.parents) if each.suffix.lower() == ".zarr"), None)


def _image_and_labels(folder: Path, name: str) -> list[LayerData]:
    """Return the layers of one image, and of the labels that it lists."""
    attributes = metadata(folder)["attributes"]
    below = list[LayerData]()
    with _sensible(folder):
        classes = is_result(attributes) or "image-label" in ome(_of_image(folder))
        layers = list(_labels(folder, name) if classes else _images(folder, name))
    with _without("The probabilities", folder / "probabilities"):
        below += _probabilities(folder, attributes)
    for each in _names_of_labels(folder / "labels"):
        with _without(f"The labels {each}", folder / "labels" / each):
            layers += list(_beside(_labels(folder / "labels" / each, each), layers[0]))
    return below + layers


def _of_image(folder: Path) -> Mapping[str, Any]:
    """Return the attributes of an image, also where `folder` is a level of it."""
    about = metadata(folder)
    if about["node_type"] == "array" and (level := level_of(folder)):
        about = metadata(level[0])
    attributes: Mapping[str, Any] = about["attributes"]
    return attributes


def _names_of_labels(folder: Path) -> list[str]:
    """Return which labels a folder lists."""
    names = None
    with _without("The labels", folder):
        names = ome(metadata(folder)["attributes"]).get("labels") if is_zarr(folder) else None
    return [each for each in names if isinstance(each, str)] if isinstance(names, list) else []


@contextmanager
def _sensible(folder: Path) -> Iterator[None]:
    """Turn what metadata of another kind than they should be lead to into a Problem."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Problem(f"The metadata of {folder} make no sense. Copy the folder again from its source.") from error


@contextmanager
def _without(what: str, folder: Path) -> Iterator[None]:
    """Say that something in a folder is not shown, and why, if it cannot be read."""
    try:
        with _sensible(folder):
            yield
    except Problem as problem:
        show_warning(f"{what} are not shown. {problem}")


def _beside(labels: Iterable[LayerData], image: LayerData) -> Iterator[LayerData]:
    """Yield `labels`, in the units of their image where they have none."""
    for data, fields, kind in labels:
        unknown = set(fields["units"]) == {"pixel"} and len(fields["units"]) == len(image[1]["units"])
        yield data, dict(fields, units=image[1]["units"]) if unknown else fields, kind


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


def _images(folder: Path, name: str) -> Iterator[LayerData]:
    """Yield an Image for each channel, with the name, colour and grey values that the microscope gave it."""
    found = _channels(folder)
    attributes = _of_image(folder)
    omero = ome(attributes).get("omero")
    listed = omero.get("channels") if isinstance(omero, dict) else None
    told = [each if isinstance(each, dict) else {} for each in (listed if isinstance(listed, list) else ())]
    told = told or [{"label": f"{each} probability"} for each in attributes.get(OURS, {}).get("channels", ())]
    told += [{}] * (len(found.levels) - len(told))
    shown = [each.get("active") is not False for each in told]
    for number, (data, about) in enumerate(zip(found.levels, told, strict=False)):
        mark = {READ: str(folder.resolve()) + f" {number}" * (len(found.levels) > 1)}
        fields = dict(found.place, name=name, rgb=False, metadata=mark)  # napari takes a short last axis for colours
        if data[0].dtype == np.uint8:
            fields["contrast_limits"] = (0, 255)
        if len(found.levels) > 1:
            fields.update(name=about.get("label") or f"{name} {number}", **_coloured(about))
            fields["visible"] = shown[number] or not any(shown)
        yield _layer(data, fields, "image")


def _coloured(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a channel is shown among others, as far as OMERO's metadata tell; grey ones cannot be added up."""
    fields: dict[str, Any] = {}
    if re.fullmatch("[0-9a-fA-F]{6}", str(about.get("color"))):
        fields.update(colormap=f"#{about['color']}", blending="additive")
    window = about.get("window") or {}
    limits = numbers([window.get("start"), window.get("end")], 2) if isinstance(window, dict) else None
    if limits and limits[0] < limits[1]:
        fields["contrast_limits"] = tuple(limits)
    return fields


def _labels(folder: Path, name: str) -> Iterator[LayerData]:
    """Yield a Labels for each channel, nearly always one, in the colours of the file."""
    attributes = metadata(folder)["attributes"]
    found = _channels(folder, _damaged(folder) if OURS in attributes else None)
    if (dtype := found.levels[0][0].dtype).kind not in "iu":
        remedy = "Save them as whole numbers."
        raise Problem(f"{folder} holds {dtype} values, which are not labels. {remedy}")
    fields = dict(found.place, name=name, metadata={READ: str(folder.resolve())})
    if OURS in attributes:
        fields.update(class_look(attributes[OURS].get("classes", ())), metadata=_mark(folder, attributes))
    elif STROKES in attributes:
        mark = {"path": str(folder.resolve()), "id": attributes[STROKES].get("id", "")}
        fields.update(paint_look(attributes[STROKES]["classes"]), metadata={OURS: mark})
    elif colours := file_colours(_of_image(folder)):
        fields["colormap"] = _colormap(colours)
    for data in found.levels:
        yield _layer(data, fields, "labels")


def _probabilities(folder: Path, attributes: Mapping[str, Any]) -> Iterator[LayerData]:
    """Yield a hidden Image for each class of a segmentation that kept its probabilities."""
    below = folder / "probabilities"
    if OURS not in attributes or not is_zarr(below):
        return
    found = _channels(below, _damaged(folder))
    for each, data in zip(attributes[OURS]["classes"], found.levels, strict=True):
        fields = {"name": f"{each['name']} probability", "visible": False, "blending": "additive"}
        mark = _mark(folder, attributes, probability=each["name"])
        yield _layer(data, {**found.place, **fields, "contrast_limits": (0, 255), "metadata": mark}, "image")


def _damaged(folder: Path) -> Unreadable:
    """Return what says that a result cannot be read, once a while for each section."""
    said: dict[tuple[int, ...], float] = {}
    damaged = Problem(
        f"Damaged here: {folder.stem}. What is damaged is computed again by Earlier results > Check for "
        "damage, in the Segment panel, or by the napari-unet segment command that made it."
    )

    def tell(section: tuple[int, ...], error: Exception) -> None:
        z = section[-1:]  # whichever class
        if time.monotonic() > said.get(z, -math.inf) + _PAUSE:
            said[z] = time.monotonic()
            what = f"Section {z[0]} of {folder.stem}" if z else folder.stem
            show_warning(str(told_by(error, what, damaged)))

    return tell


def _mark(folder: Path, attributes: Mapping[str, Any], **more: str) -> dict[str, Any]:
    """Return the metadata of a layer of a result: how it was made, and where it is."""
    return {OURS: {**attributes[OURS], "path": str(folder.resolve()), **more}}


def _channels(folder: Path, damaged: Unreadable | None = None) -> Channels:
    """Open the channels of an image; coarser levels that cannot be read are left out with a notification."""
    found = channels_of(folder, STROKES in metadata(folder)["attributes"], damaged)
    if found.missing:
        named = f"level{'s' * (len(found.missing) > 1)} {listed(found.missing)}"
        show_warning(
            f"{folder.name} is shown without {named}, which cannot be read; zoomed out, it may be slow. "
            "Copy the folder again from its source."
        )
    return found


def _layer(levels: list[Any], fields: Mapping[str, Any], kind: str) -> LayerData:
    """Return what napari makes a layer of; one level alone is no list."""
    several = len(levels) > 1
    return [Part(level) for level in levels] if several else levels[0], {**fields, "multiscale": several}, kind


def _colormap(colours: Mapping[int | None, Any]) -> DirectLabelColormap:
    """Return a colormap in which a value without a colour of its own is grey rather than invisible."""
    return DirectLabelColormap(color_dict={None: "gray", 0: "transparent", **colours})
