"""From chosen layers to files that the process which computes can open."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from napari.layers import Image, Labels

from napari_unet.classes import PixelClass
from napari_unet.config import SegmentConfig, TrainConfig
from napari_unet.disk import is_there, room
from napari_unet.library import Library
from napari_unet.placing import begins_on
from napari_unet.problem import Problem
from napari_unet.volume import open_volume
from napari_unet.widgets.alignment import corner_on, not_on
from napari_unet.widgets.handover import Sections, copied, on_disk, section_copied, volume_of
from napari_unet.widgets.labelfolder import classes_in
from napari_unet.widgets.place import first_voxel
from napari_unet.widgets.strokes import is_strokes, missing, moved_to_disk, path_of, why_missing
from napari_unet.words import duration, size

C = TypeVar("C", SegmentConfig, TrainConfig)
Moved = tuple[tuple[Labels, Path], ...]  # layers, and the files that they are kept in from now on
_SOON = 2.0  # seconds; before, nobody can tell how long a copy takes


@dataclass(frozen=True)
class Prepared:
    """Files that hold what the layers show.

    Attributes
    ----------
    image : Path
    labels : tuple of Path
        In the order of the layers; what several of them show is there once.
    moved : tuple of (Labels, Path)
        Layers that were not kept on disk while they are painted, and the files that they are kept in from now on.
    place : str
        Where the image lies, as in `SegmentConfig`; empty if `image` tells it, which a copy does not.
    """

    image: Path
    labels: tuple[Path, ...] = ()
    moved: Moved = ()
    place: str = ""

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The image and labels, as `TrainConfig.inputs`."""
        return tuple(path for labels in self.labels for path in (self.image, labels))


def prepare(
    image: Image, labels: Sequence[Labels], library: Library, classes: Sequence[PixelClass] = ()
) -> Generator[str, None, Prepared]:
    """Find the files of layers, or write them, labels with their classes; for a thread.

    Yields
    ------
    str
        What it is doing, in words.

    Raises
    ------
    Problem
        If a layer is none that can be used, labels lie elsewhere than on the image, or the disk is full.
    """
    yield "Looking for the image on disk ..."
    there = on_disk(image)
    for layer in labels:
        _refuse_elsewhere(layer, image, there)
    path = there or (yield from _copied(image, library.copies))
    moved = yield from keep(image, labels, library, classes)
    files = {layer.unique_id: file for layer, file in moved}
    painted = dict.fromkeys(files.get(each.unique_id) or path_of(each) for each in labels)
    tells = path.parent != library.copies and open_volume(path).offset is not None
    return Prepared(path, tuple(painted), moved, "" if tells else first_voxel(image))


def keep(
    image: Image, labels: Sequence[Labels], library: Library, classes: Sequence[PixelClass] = ()
) -> Generator[str, None, Moved]:
    """Write labels that are not kept on disk while they are painted to files, as `Prepared.moved`; for a thread.

    Also where another file holds the same: what is painted from now on is to be kept, and to join.

    Raises
    ------
    Problem
        As `prepare`.
    """
    there, moved = on_disk(image), []
    for layer in labels:
        if is_strokes(layer):
            continue
        if gone := missing(layer):  # a new folder there would be in the way when it is put back
            raise Problem(f"{layer.name} is not kept on disk any more: {why_missing(gone)}. Put its folder back first.")
        if there is not None and on_disk(layer) == there:
            raise Problem("The labels and the image are the same file. Choose the labels that you painted.")
        saving = moved_to_disk(layer, image, library.labels, classes)
        moved.append((layer, (yield from _in_words(saving, f"Saving {layer.name}"))))
    return tuple(moved)


def training_on(files: Prepared, out: Path, settings: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration of a training on files, with the settings that its panel showed."""
    return TrainConfig(inputs=files.inputs, out=out, **with_added(settings, files))


def with_added(settings: Mapping[str, Any], files: Prepared) -> dict[str, Any]:
    """Return settings with the classes that were added to the labels while files were written."""
    now = {classes_in(labels) for labels in files.labels}
    added = now.pop()[len(settings["classes"]) :] if len(now) == 1 else ()
    names, colors = (each.name for each in added), (each.color for each in added)
    return {**settings, "classes": (*settings["classes"], *names), "colors": (*settings["colors"], *colors)}


def prepare_section(image: Image, z: int, folder: Path) -> Generator[str, None, tuple[Path, int]]:
    """Find a file that holds section `z` of an image, or write one into `folder`; for a thread.

    Returns
    -------
    tuple of Path and int
        The file, and the section's number in it.

    Raises
    ------
    Problem
        As `prepare`.
    """
    yield "Reading the section ..."
    there = on_disk(image)
    return (there, z) if there else (section_copied(image, z, folder), 0)


def layer_of(fingerprint: str, layers: Sequence[Image]) -> Generator[str, None, Image | None]:
    """Find the layer that shows an image, by the pixels (see `Volume.fingerprint`); for a thread.

    Returns
    -------
    Image or None
        None if none of `layers` does.
    """
    for layer in layers:
        yield f"Looking whether {layer.name} is the image ..."
        with contextlib.suppress(Problem):
            if volume_of(layer).fingerprint() == fingerprint:
                return layer
    return None


def to_go_on(
    config: TrainConfig, image: Image | None, layers: Sequence[Image], library: Library
) -> Generator[str, None, tuple[TrainConfig, Image]]:
    """Find what is needed to go on with a training; for a thread.

    Parameters
    ----------
    config
        Its settings.
    image
        The layer that it was about, None if that is gone: then the one of `layers` that shows its image is taken.
    layers
    library

    Raises
    ------
    Problem
        If its image is not open, or as `prepare`.
    """
    file = config.inputs[0]
    if image is None and is_there(file):
        image = yield from layer_of(open_volume(file).fingerprint(), layers)
    if image is None:
        gone = f"The image of {config.out.name} is no longer open. Open {file} first; then press Continue."
        raise not_open(gone, file, library)
    return (yield from with_its_image(config, image, library)), image


def not_open(text: str, file: Path, library: Library) -> Problem:
    """Return the Problem that an image is not open; its copy is called by its path where that can be opened."""
    return Problem(text if is_there(file) else library.in_words(text))


def with_its_image(config: C, image: Image, library: Library) -> Generator[str, None, C]:
    """Return the settings of a job, with its image written again if that file is gone; for a thread.

    Raises
    ------
    Problem
        As `prepare`.
    """
    path = config.image if isinstance(config, SegmentConfig) else config.inputs[0]
    if is_there(path):
        return config
    files = yield from prepare(image, (), library)
    if isinstance(config, SegmentConfig):
        return config.model_copy(update={"image": files.image})
    inputs = tuple(files.image if each == path else each for each in config.inputs)
    return config.model_copy(update={"inputs": inputs})


def _refuse_elsewhere(layer: Labels, image: Image, there: Path | None) -> None:
    """Raise a Problem if strokes on disk lie elsewhere over the image than their file says."""
    if not is_strokes(layer):
        return
    kept = begins_on(open_volume(there) if there else volume_of(image), open_volume(path_of(layer), labels=True))
    if corner_on(layer, image) != kept:
        raise not_on(layer, image)


def _copied(image: Image, folder: Path) -> Generator[str, None, Path]:
    """Copy an image; before its first section is read, say how large it is and how much room there is."""
    free = room(folder)
    said = f"Copying {image.name}, {size(volume_of(image).nbytes)}" + ("" if free is None else f" ({size(free)} free)")
    yield f"{said} ..."
    return (yield from _in_words(copied(image, folder), said))


def _in_words(sections: Sections, what: str) -> Generator[str, None, Path]:
    """Pass on how far a copy is and, after a while, the time left, as a sentence; return what it returns."""
    began, before = time.monotonic(), 0
    while True:
        try:
            done, total = next(sections)
        except StopIteration as stop:
            path: Path = stop.value
            return path
        now, reads = time.monotonic(), 2 * done <= total
        if done == before:  # all is read, and not written yet
            began = now
            yield "Waiting for the copy that another panel makes ..."
            continue
        left = (now - began) / (done - before) * (total - done)
        # All is read once before it is written, which takes longer.
        said = f", {'more than ' * reads}{duration(left)} left" if now - began > _SOON else ""
        yield f"{what}: {100 * done // total} %{said} ..."
        if 2 * done == total:
            began, before = now, done
