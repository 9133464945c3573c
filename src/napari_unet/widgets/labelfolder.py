"""The folder of painted labels: made under a name that none had before, its classes, and which of its files changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import zarr

from napari_unet.classes import PixelClass
from napari_unet.disk import disk_problems
from napari_unet.library import free
from napari_unet.marks import BY_HAND, KINDS
from napari_unet.newzarr import create_stack, label_colors
from napari_unet.omezarr import metadata, ome
from napari_unet.reader import STROKES
from napari_unet.volume import Volume
from napari_unet.widgets.handover import whole

_CHUNK = 512
_USED = ".used"  # in the folder of all labels: an empty file for each name that some had


@contextlib.contextmanager
def new_folder(folder: Path, name: str, ending: str = "", taken: Collection[Path] = ()) -> Iterator[tuple[Path, Path]]:
    """Give the path of new labels in `folder`, and the folder to fill that becomes it when it is complete.

    No labels had that path before: those may be away, and a training still learn them.

    Parameters
    ----------
    folder
        Of all labels.
    name, ending
        As for `free`.
    taken
        Folders that are not there now, and may come back.

    Raises
    ------
    Problem
        As `whole`.
    """
    used = folder / _USED
    with disk_problems(folder):
        path = free(folder, name, ".zarr", ending, [*taken, *(folder / each.name for each in used.glob("*.zarr"))])
    with whole(path) as beside:
        yield path, beside
        note_used(path)


def note_used(path: Path) -> None:
    """Note that labels have this path: it is given to no others, wherever these are then; where that can be written."""
    used = path.parent / _USED
    with contextlib.suppress(OSError):  # the labels matter more
        used.mkdir(exist_ok=True)
        (used / path.name).touch()


def create_labels(
    folder: Path,
    shape: Sequence[int],
    dtype: np.dtype,
    image: Volume,
    start: Sequence[int],
    classes: Sequence[PixelClass] = (),
) -> zarr.Array:
    """Create empty labels that begin at voxel `start` of `image`."""
    corner, kept = [a + b for a, b in zip(image.offset or (0, 0, 0), start, strict=True)], _kept(classes, uuid4().hex)
    return create_stack(folder, shape, _CHUNK, dtype, image.voxel_size, corner, _colors(classes), kept)


def identity(path: Path) -> str:
    """Return what tells the labels in `path` from others that are put there; "" for those of older versions.

    Raises
    ------
    Problem
        If it cannot be read now.
    """
    told: str = metadata(path)["attributes"].get(STROKES, {}).get("id", "")
    return told


def classes_in(path: Path) -> tuple[PixelClass, ...]:
    """Return the classes of the labels in `path`, none for ids."""
    kept = metadata(path)["attributes"][STROKES]["classes"]
    return tuple(PixelClass(each["value"], each["name"], each["color"]) for each in kept)


def write_classes(path: Path, classes: Sequence[PixelClass]) -> None:
    """Keep classes with the labels in `path`.

    Raises
    ------
    Problem
        If the folder cannot be written.
    """
    with disk_problems(path):
        described = {**ome(metadata(path)["attributes"]), "image-label": _colors(classes)}
        zarr.open_group(path, mode="r+").attrs.update({"ome": described, **_kept(classes, identity(path))})


def stamps(path: Path) -> dict[int, int]:
    """Return the sections of labels in `path` that were painted on, and when each changed last, in nanoseconds."""
    changed = {int(z.name): [y.stat().st_mtime_ns for y in _folders(Path(z))] for z in _folders(path / "0" / "c")}
    return {z: max(times) for z, times in changed.items() if times}


def chunk_files(path: Path) -> Iterator[Path]:
    """Yield the files of labels in `path`, and of their marks, that hold something."""
    for z in chain.from_iterable(_folders(path / array / "c") for array in ("0", *KINDS, BY_HAND)):
        for y in _folders(Path(z)):
            yield from (Path(file) for file in os.scandir(y) if file.name.isdigit())


def _colors(classes: Sequence[PixelClass]) -> dict[str, Any]:
    return label_colors({each.value: each.color for each in classes})


def _kept(classes: Sequence[PixelClass], told_by: str) -> dict[str, Any]:
    return {STROKES: {"classes": [asdict(each) for each in classes], "id": told_by}}


def _folders(path: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the numbered folders in `path`."""
    with contextlib.suppress(FileNotFoundError):  # nothing is painted yet
        yield from (entry for entry in os.scandir(path) if entry.name.isdigit())
