"""Pixels of a layer -> a path that another process can open."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from napari.layers import Image, Labels, Layer
from zarr.storage import LocalStore

from napari_unet.disk import disk_problems, found_in, lock, locked, room, sync
from napari_unet.library import file_name
from napari_unet.newzarr import create_stack
from napari_unet.omezarr import is_zarr
from napari_unet.part import Part
from napari_unet.problem import Problem
from napari_unet.reader import OURS
from napari_unet.slabs import Slabs
from napari_unet.view import View
from napari_unet.volume import Volume, open_volume
from napari_unet.widgets.place import voxel_size
from napari_unet.words import size

CHUNK = 1024
_BLOCK = 64  # side of a compared block, in pixels
_WAIT = 0.2  # seconds between two looks whether another copy is complete

Sections = Generator[tuple[int, int], None, Path]  # yields (done, total) sections, returns a path


def volume_of(layer: Layer) -> Volume:
    """Return a lazy look at `layer`, at its finest level, as (Z, Y, X); a 2-D one is a stack of one section.

    Raises
    ------
    Problem
        If it is a colour image, has more than three axes, or values that are not grey values.
    """
    array = finest(layer)
    if getattr(layer, "rgb", False):
        raise Problem(
            f"{layer.name} is a colour image. Show one of its colours as a layer of its own: "
            "right-click the layer > Split RGB."
        )
    if layer.ndim > 3:
        remedy = "Show one of them as a layer of its own: right-click the layer > Split Stack."
        if isinstance(layer, Image):
            remedy = "Say which axis the sections lie along, choose the rest with the sliders, then press Take."
        raise Problem(f"{layer.name} has {layer.ndim} axes (time or channels). {remedy}")
    if np.dtype(array.dtype).kind not in "biuf":
        raise Problem(
            f"{layer.name} holds {array.dtype} values, which are not grey values. "
            "Open it as whole numbers of 8 or 16 bit, or as floating point."
        )
    return Volume(View(array, (None, 0, 1)) if layer.ndim == 2 else array, layer.name, voxel_size(layer))


def finest(layer: Layer) -> Any:
    """Return the array of `layer`, the finest one of several levels."""
    return layer.data[0] if layer.multiscale else layer.data


def zarr_folder(array: Any) -> Path | None:
    """Return the folder of a Zarr array on this machine's disks, None for anything else."""
    if isinstance(array, zarr.Array) and isinstance(array.store, LocalStore):
        return Path(array.store.root) / array.path
    return None


def on_disk(layer: Layer) -> Path | None:
    """Return a file or folder that `open_volume` opens as just what `layer` shows, None if there is none.

    Images are compared in shape, dtype and blocks spread over the stack; labels in memory pixel by pixel, because they
    may have been painted on since they were read.
    """
    try:
        volume = volume_of(layer)
    except Problem:
        return None
    labels = isinstance(layer, Labels)
    everywhere = labels and not isinstance(finest(layer), zarr.Array | View | Part)
    return next((path for path in candidates(layer) if _holds(path, volume, labels, everywhere)), None)


def handed_over(layer: Layer) -> Volume:
    """Return `layer` as another process will see it: opened from its path, or as its copy.

    Raises
    ------
    Problem
        As `volume_of`.
    """
    path = on_disk(layer)
    return open_volume(path) if path else volume_of(layer)


def copied(layer: Layer, folder: Path) -> Sections:
    """Copy `layer` into `folder` as an OME-Zarr named after it and its pixels, unless such a copy is there.

    Meant for a thread. All is read twice, to name the copy and to write it; sections of one deep chunk together.

    Yields
    ------
    tuple of int
        (done, total) sections; total counts both readings.

    Returns
    -------
    Path

    Raises
    ------
    Problem
        As `volume_of`; if a section cannot be read, the disk has no room, or the pixels change meanwhile.
    """
    volume = volume_of(layer)
    depth = volume.shape[0]
    if not any(folder.glob(f"{file_name(layer.name)}-*.zarr")):  # else a copy may be there already
        _refuse_without_room(volume, folder)
    _sweep(folder)
    section, digest = Slabs(volume).section, _digest(volume)
    for z in range(depth):
        digest.update(_bytes(section(z)))
        yield z + 1, 2 * depth
    path = folder / f"{file_name(layer.name)}-{digest.hexdigest()[:12]}.zarr"
    while locked(_guard(path)):  # another panel makes this very copy
        time.sleep(_WAIT)
        yield depth, 2 * depth
    if not path.exists():
        _refuse_without_room(volume, folder)
        with whole(path) as beside:
            array, again = _created(beside, volume), _digest(volume)
            for z in range(depth):
                pixels = section(z)
                again.update(_bytes(pixels))
                array[z] = pixels
                # Else it would all be done at the end, where nobody is told how far it is, or hears Cancel.
                sync(beside, (beside / "0" / "c" / str(z)).glob("*/*"))
                yield depth + z + 1, 2 * depth
            if again.digest() != digest.digest():
                raise Problem(f"{layer.name} changed while it was copied. Try again when nothing changes it any more.")
    return path


def section_copied(layer: Layer, z: int, folder: Path) -> Path:
    """Copy section `z` of `layer` as `copied` copies all of it: a stack (1, Y, X).

    Raises
    ------
    Problem
        As `copied`.
    """
    volume = volume_of(layer)
    one = replace(volume, array=View(volume.array, (None, 1, 2), {0: z}), offset=(z, 0, 0))
    digest = _digest(one)
    digest.update(_bytes(one.section(0)))
    path = folder / f"{file_name(layer.name)}-section-{z}-{digest.hexdigest()[:12]}.zarr"
    if not path.exists():
        with whole(path) as beside:
            _created(beside, one)[0] = one.section(0)
    return path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a folder beside `path` to fill; it becomes `path` when it is complete, and goes if anything fails.

    Raises
    ------
    Problem
        If the disk is full, `path` cannot be written, another thread or process is writing it, or somebody deletes the
        folder meanwhile.
    """
    beside, guard = path.with_name(f"{path.name}.partial"), _guard(path)
    with disk_problems(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        held = lock(guard)
        try:
            shutil.rmtree(beside, ignore_errors=True)  # left by a kill
            yield beside
            if not is_zarr(beside):
                raise Problem(f"{beside.parent} was deleted while {path.stem} was written. Try again.")
            sync(beside, [file for file in beside.rglob("*") if file.is_file()])
            with suppress(OSError):  # an empty folder of that name; Windows renames nothing onto it
                path.rmdir()
            beside.rename(path)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        finally:
            held.close()
            guard.unlink(missing_ok=True)


def _guard(path: Path) -> Path:
    """Return the lock of who writes a copy."""
    return path.with_name(f"{path.name}.lock")


def _sweep(folder: Path) -> None:
    """Remove copies in the midst of which napari ended."""
    for beside in found_in(folder, "*.partial"):
        guard = _guard(beside.with_suffix(""))
        if not locked(guard):
            shutil.rmtree(beside, ignore_errors=True)
            with suppress(OSError):
                guard.unlink()


def candidates(layer: Layer) -> Iterator[Path]:
    """Yield where the pixels of `layer` may come from; what tells the voxel size comes first."""
    array = finest(layer)
    for path in (layer.source.path, layer.metadata.get(OURS, {}).get("path")):
        if path:
            yield Path(path)
    if folder := zarr_folder(array):
        if is_zarr(folder.parent):
            yield folder.parent
        yield folder
    if isinstance(array, np.memmap) and array.filename:
        yield Path(array.filename)


def blocks(shape: tuple[int, int, int]) -> Iterator[tuple[int, slice, slice]]:
    """Yield the corners of three sections, and eight blocks spread evenly over depth, rows and columns."""
    depth, height, width = shape
    for z in (0, depth // 2, depth - 1):
        yield z, slice(0, _BLOCK), slice(0, _BLOCK)
    for i in range(8):
        # Multiples of these two numbers, modulo 1, fill a square without lines or clusters.
        y = int((i + 1) * 0.754878 % 1 * max(height - _BLOCK, 0))
        x = int((i + 1) * 0.569840 % 1 * max(width - _BLOCK, 0))
        yield i * (depth - 1) // 7, slice(y, y + _BLOCK), slice(x, x + _BLOCK)


def _refuse_without_room(volume: Volume, folder: Path) -> None:
    """Raise a Problem if the disk cannot hold a copy of `volume`."""
    free = room(folder)
    if free is not None and free < volume.nbytes:
        raise Problem(
            f"{volume.name} is in no file that another process can open, so it has to be copied. That takes up to "
            f"{size(volume.nbytes)}, but the disk that holds {folder} has {size(free)} free. Free some space, save the "
            "stack on another disk and open that, or choose another library folder: File > Preferences > U-Net."
        )


def _holds(path: Path, volume: Volume, labels: bool, everywhere: bool) -> bool:
    """Return whether `path` opens as `volume`, by blocks of it or by all its pixels."""
    try:
        there = open_volume(path, labels=labels)
        if (there.shape, there.dtype) != (volume.shape, volume.dtype):
            return False
        whole_sections = ((z, slice(None), slice(None)) for z in range(volume.shape[0]))
        boxes = whole_sections if everywhere else blocks(volume.shape)
        nan = volume.dtype.kind == "f"
        return all(np.array_equal(there.section(*box), volume.section(*box), equal_nan=nan) for box in boxes)
    except (Problem, OSError, ValueError):  # a path can also be one that no disk can hold
        return False


def _digest(volume: Volume) -> Any:
    """Return a sha256 over all but the pixels."""
    return hashlib.sha256(f"{volume.shape} {volume.dtype.name} {volume.voxel_size}".encode())


def _bytes(section: np.ndarray) -> bytes:
    """Return the pixels of a section, the same on every machine."""
    return section.astype(section.dtype.newbyteorder("<"), copy=False).tobytes()


def _created(folder: Path, volume: Volume) -> zarr.Array:
    """Create an empty OME-Zarr for the pixels of `volume`."""
    return create_stack(folder, volume.shape, CHUNK, volume.dtype, volume.voxel_size, volume.offset or (0, 0, 0))
