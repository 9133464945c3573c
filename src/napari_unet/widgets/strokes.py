"""Labels to paint on, kept on disk: an OME-Zarr that painting and undo write in place.

One is a folder that `reader.read` opens to be painted on again::

    NAME.zarr/
      zarr.json     OME metadata; attribute "napari-unet-labels": {"classes": [{value, name, color}], "id"}
      0/            unsigned integers (Z, Y, X)
      corrected/    which of them correct a prediction, once some do
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_unet.classes import PixelClass
from napari_unet.disk import seen
from napari_unet.omezarr import is_zarr, metadata, open_array
from napari_unet.placing import begins_on
from napari_unet.problem import Problem
from napari_unet.reader import OURS, STROKES, paint_look
from napari_unet.tiles import Box
from napari_unet.volume import open_volume
from napari_unet.widgets.alignment import corner_of_copy
from napari_unet.widgets.handover import Sections, finest, handed_over, volume_of, zarr_folder
from napari_unet.widgets.labelfolder import classes_in, create_labels, identity, new_folder, write_classes
from napari_unet.widgets.place import placed

BRUSH = 6  # pixels


def new_strokes(
    image_layer: Image,
    folder: Path,
    name: str,
    box: Box | None = None,
    ending: str = "",
    taken: Collection[Path] = (),
) -> Labels:
    """Create empty labels over an image, on disk, as a layer that is not in a viewer yet.

    Parameters
    ----------
    image_layer
        What is to be painted on.
    folder
        Where the labels are kept.
    name
        What the layer is called, followed by `ending`; where its folder is taken, NAME-2, NAME-3, ...
    box
        The part of the image that they cover, None for all of it.
    ending
        Stays whole where a long name is shortened.
    taken
        Folders that are not there now, and may come back.

    Returns
    -------
    Labels
        (Z, Y, X) uint8, placed over the image.

    Raises
    ------
    Problem
        If the image is none that can be segmented (see `volume_of`), or the folder cannot be written.
    """
    image = handed_over(image_layer)
    box = box or Box(0, image.shape[0], 0, image.shape[1], 0, image.shape[2])
    start = box.z0, box.y0, box.x0
    with new_folder(folder, name, ending, taken) as (path, beside):
        create_labels(beside, (box.z1 - box.z0, box.y1 - box.y0, box.x1 - box.x0), np.dtype(np.uint8), image, start)
    return _layer(path, image_layer, start)


def open_strokes(image_layer: Image, path: Path) -> Labels:
    """Open labels of another day over the image that they were painted on, wherever it is shown now.

    Returns
    -------
    Labels
        As from `new_strokes`, in the colours of their classes.

    Raises
    ------
    Problem
        If they cannot be read, or do not fit on the image.
    """
    labels, image = open_volume(path, labels=True), handed_over(image_layer)
    start = begins_on(image, labels)
    ends = (a + side for a, side in zip(start, labels.shape, strict=True))
    if min(start) < 0 or any(end > side for end, side in zip(ends, image.shape, strict=True)):
        raise Problem(f"{path.stem} does not fit on {image_layer.name}. Choose the image that it was painted on.")
    layer = _layer(path, image_layer, start)
    _show_classes(layer)
    return layer


def is_strokes(layer: Layer) -> bool:
    """Return whether `layer` shows labels that this module keeps on disk."""
    return isinstance(layer, Labels) and _folder(layer) is not None


def missing(layer: Layer) -> Path | None:
    """Return the folder in which labels were kept by this module if it is not there now, or others are, else None."""
    mark = layer.metadata.get(OURS)
    if not isinstance(mark, Mapping) or mark.keys() != {"path", "id"} or (array := zarr_folder(finest(layer))) is None:
        return None
    ours = os.path.realpath(array) == str(Path(mark["path"]) / "0")
    return array.parent if ours and not _holds(array.parent, mark["id"]) else None


def why_missing(folder: Path) -> str:
    """Return in words what is wrong with a folder that `missing` returned."""
    return f"{folder} holds other labels now" if seen(folder / "zarr.json") else f"{folder} is gone"


def path_of(layer: Labels) -> Path:
    """Return the folder of such labels.

    Raises
    ------
    ValueError
        If `layer` is no such layer.
    """
    path = _folder(layer)
    if path is None:
        raise ValueError(f"{layer.name} is not kept on disk")
    return path


def classes_of(layer: Labels) -> tuple[PixelClass, ...]:
    """Return the classes of such labels.

    Raises
    ------
    ValueError
        If `layer` is no such layer.
    """
    return classes_in(path_of(layer))


def set_classes(layer: Labels, classes: Sequence[PixelClass]) -> None:
    """Keep the classes of such labels on disk, and show their colours and, in the status bar, their names.

    Raises
    ------
    Problem
        If the folder cannot be written.
    ValueError
        If `layer` is no such layer.
    """
    write_classes(path_of(layer), classes)
    _show_classes(layer)


def show_look(layer: Labels, classes: Sequence[PixelClass]) -> None:
    """Show the colours of classes in a layer and their names in the status bar, unless others told something there."""
    look = paint_look([asdict(each) for each in classes])
    layer.colormap = look["colormap"]
    if set(layer.features) <= look["features"].keys():
        layer.features = look["features"]


def moved_to_disk(layer: Labels, image_layer: Image, folder: Path, classes: Sequence[PixelClass] = ()) -> Sections:
    """Copy labels that are in memory to disk, section by section; `take_over` then gives the copy to the layer.

    Their values mean `classes`, unless some have none there: ids keep their look, and where the layer had room for more
    than 255 of them, they have it on disk.

    Meant for a thread. The layer must not be painted on meanwhile (set `editable` to False): strokes would be lost.

    Yields
    ------
    tuple of int
        (done, total) sections; each counts twice, once to find the largest label, once to copy.

    Returns
    -------
    Path

    Raises
    ------
    Problem
        If they are no labels of this image or do not lie on its voxels, a section cannot be read, or the disk is full.
    """
    start = corner_of_copy(layer, image_layer)
    labels, image = volume_of(layer), handed_over(image_layer)
    depth, largest = labels.shape[0], 0
    for z in range(depth):
        section = labels.section(z)
        if section.min() < 0:
            raise Problem(f"{layer.name} holds negative labels. Erase them, or number the labels from 1.")
        largest = max(largest, int(section.max()))
        yield z + 1, 2 * depth
    with new_folder(folder, layer.name) as (path, beside):
        meant = classes if largest <= max((each.value for each in classes), default=0) else ()
        room = np.uint8 if meant or labels.dtype.itemsize == 1 else np.uint16
        dtype = np.promote_types(np.min_scalar_type(largest), room)
        array = create_labels(beside, labels.shape, dtype, image, start, meant)
        for z in range(depth):
            array[z] = labels.section(z)
            yield depth + z + 1, 2 * depth
    return path


def take_over(layer: Labels, path: Path) -> None:
    """Give `layer` the labels in `path` as its data, so that painting goes on there; call it in the window's thread."""
    place, mode = placed(layer), layer.mode
    array = open_array(path / "0", "r+")
    layer.editable = False  # forgets the steps to undo: they belong to the former data
    if layer.selected_label > np.iinfo(array.dtype).max:
        layer.selected_label = 1
    layer.data = array
    layer.mode = mode
    # A 2-D layer has become a stack of one section: napari gives the new axis no unit.
    layer.units, layer.axis_labels = place["units"], place["axis_labels"]
    layer.metadata = {**layer.metadata, **_mark(path)}
    _show_classes(layer)


def _show_classes(layer: Labels) -> None:
    """Show the colours of its classes and, in the status bar, their names; without classes a layer keeps its look."""
    if classes := classes_of(layer):
        show_look(layer, classes)


def _layer(path: Path, image_layer: Image, start: Sequence[int]) -> Labels:
    """Return a layer on the labels in `path`, which begin at voxel `start` of an image."""
    place = placed(image_layer, (start[0], start[1], start[2]))
    layer = Labels(open_array(path / "0", "r+"), name=path.stem, metadata=_mark(path), **place)
    layer.brush_size = BRUSH
    return layer


def _folder(layer: Labels) -> Path | None:
    """Return the folder of labels of this module, None for any other layer."""
    array = zarr_folder(finest(layer))
    if array is None or missing(layer):
        return None
    with contextlib.suppress(Problem):  # it cannot be read now
        if is_zarr(array.parent) and STROKES in metadata(array.parent)["attributes"]:
            return array.parent
    return None


def _holds(folder: Path, told_by: str) -> bool:
    """Tell whether a folder still holds the labels that `identity` tells from others."""
    try:
        return seen(folder / "zarr.json") and identity(folder) == told_by
    except Problem:  # it cannot be read now, which does not make them others
        return True


def _mark(path: Path) -> Mapping[str, Any]:
    """Return the metadata of a layer on `path`."""
    return {OURS: {"path": str(path.resolve()), "id": identity(path)}}
