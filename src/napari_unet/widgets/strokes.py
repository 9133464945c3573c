"""Labels to paint on, kept on disk: an OME-Zarr that painting and undo write in place.

One is a folder that `reader.read` opens to be painted on again::

    NAME.zarr/
      zarr.json     OME metadata; attribute "napari-unet-labels": {"classes": [{value, name, color}]}
      0/            unsigned integers (Z, Y, X)
      corrected/    which of them correct a prediction, once some do
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from napari.layers import Image, Labels, Layer

from napari_unet.classes import PixelClass
from napari_unet.disk import disk_problems, seen
from napari_unet.library import free
from napari_unet.marks import BY_HAND, KINDS
from napari_unet.newzarr import create_stack, label_colors
from napari_unet.omezarr import is_zarr, metadata, ome, open_array
from napari_unet.placing import begins_on
from napari_unet.problem import Problem
from napari_unet.reader import OURS, STROKES, paint_look
from napari_unet.tiles import Box
from napari_unet.volume import Volume, open_volume
from napari_unet.widgets.alignment import corner_of_copy
from napari_unet.widgets.handover import Sections, finest, handed_over, volume_of, whole, zarr_folder
from napari_unet.widgets.place import placed

CHUNK = 512
BRUSH = 6  # pixels
_USED = ".used"  # in the folder of all labels: an empty file for each name that some had


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
    path = _never_used(folder, name, ending, taken)
    with whole(path) as beside:
        _create(beside, (box.z1 - box.z0, box.y1 - box.y0, box.x1 - box.x0), np.dtype(np.uint8), image, start)
    _take_note(path)
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
    """Return the folder in which labels were kept by this module if it is not there now, else None."""
    mark, array = layer.metadata.get(OURS), zarr_folder(finest(layer))
    if array is None or not isinstance(mark, Mapping) or mark.keys() != {"path"}:
        return None
    ours = os.path.realpath(array) == str(Path(mark["path"]) / "0")
    return array.parent if ours and not seen(array.parent / "zarr.json") else None


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


def stamps(path: Path) -> dict[int, int]:
    """Return the sections of labels in `path` that were painted on, and when each changed last, in nanoseconds."""
    changed = {int(z.name): [y.stat().st_mtime_ns for y in _folders(Path(z))] for z in _folders(path / "0" / "c")}
    return {z: max(times) for z, times in changed.items() if times}


def chunk_files(path: Path) -> Iterator[Path]:
    """Yield the files of labels in `path`, and of their marks, that hold something."""
    for z in chain.from_iterable(_folders(path / array / "c") for array in ("0", *KINDS, BY_HAND)):
        for y in _folders(Path(z)):
            yield from (Path(file) for file in os.scandir(y) if file.name.isdigit())


def classes_of(layer: Labels) -> tuple[PixelClass, ...]:
    """Return the classes of such labels.

    Raises
    ------
    ValueError
        If `layer` is no such layer.
    """
    kept = metadata(path_of(layer))["attributes"][STROKES]["classes"]
    return tuple(PixelClass(each["value"], each["name"], each["color"]) for each in kept)


def set_classes(layer: Labels, classes: Sequence[PixelClass]) -> None:
    """Keep the classes of such labels on disk, and show their colours and, in the status bar, their names.

    Raises
    ------
    Problem
        If the folder cannot be written.
    ValueError
        If `layer` is no such layer.
    """
    _write_classes(path_of(layer), classes)
    _show_classes(layer)


def _write_classes(path: Path, classes: Sequence[PixelClass]) -> None:
    with disk_problems(path):
        described = {**ome(metadata(path)["attributes"]), "image-label": _colors(classes)}
        zarr.open_group(path, mode="r+").attrs.update({"ome": described, **_kept(classes)})


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
    path = _never_used(folder, layer.name)
    with whole(path) as beside:
        meant = classes if largest <= max((each.value for each in classes), default=0) else ()
        room = np.uint8 if meant or labels.dtype.itemsize == 1 else np.uint16
        dtype = np.promote_types(np.min_scalar_type(largest), room)
        array = _create(beside, labels.shape, dtype, image, start, meant)
        for z in range(depth):
            array[z] = labels.section(z)
            yield depth + z + 1, 2 * depth
    _take_note(path)
    return path


def take_over(layer: Labels, path: Path, classes: Sequence[PixelClass] = ()) -> None:
    """Give `layer` the labels in `path` as its data, so that painting goes on there; call it in the window's thread.

    What was copied with classes has `classes` from now on, if there are some: they were named while it was copied.

    Raises
    ------
    Problem
        If the folder cannot be written.
    """
    if classes and metadata(path)["attributes"][STROKES]["classes"]:
        _write_classes(path, classes)
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
    with contextlib.suppress(Problem):  # it cannot be read now
        if array is not None and is_zarr(array.parent) and STROKES in metadata(array.parent)["attributes"]:
            return array.parent
    return None


def _never_used(folder: Path, name: str, ending: str = "", taken: Collection[Path] = ()) -> Path:
    """Return a path for new labels that none had before: these may be away, and a training still learn them."""
    with disk_problems(folder):
        used = [folder / each.name for each in (folder / _USED).glob("*.zarr")]
        return free(folder, name, ".zarr", ending, [*taken, *used])


def _take_note(path: Path) -> None:
    """Let no other labels have this path, whatever becomes of it."""
    used = path.parent / _USED
    with disk_problems(used):
        used.mkdir(exist_ok=True)
        (used / path.name).touch()


def _create(
    folder: Path,
    shape: Sequence[int],
    dtype: np.dtype,
    image: Volume,
    start: Sequence[int],
    classes: Sequence[PixelClass] = (),
) -> zarr.Array:
    """Create empty labels that begin at voxel `start` of `image`."""
    corner = [a + b for a, b in zip(image.offset or (0, 0, 0), start, strict=True)]
    return create_stack(folder, shape, CHUNK, dtype, image.voxel_size, corner, _colors(classes), _kept(classes))


def _colors(classes: Sequence[PixelClass]) -> dict[str, Any]:
    return label_colors({each.value: each.color for each in classes})


def _kept(classes: Sequence[PixelClass]) -> dict[str, Any]:
    return {STROKES: {"classes": [asdict(each) for each in classes]}}


def _mark(path: Path) -> Mapping[str, Any]:
    """Return the metadata of a layer on `path`."""
    return {OURS: {"path": str(path.resolve())}}


def _folders(path: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the numbered folders in `path`."""
    with contextlib.suppress(FileNotFoundError):  # nothing is painted yet
        yield from (entry for entry in os.scandir(path) if entry.name.isdigit())
