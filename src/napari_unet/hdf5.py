"""A dataset in an HDF5 file, named by a path that goes on inside the file: `stack.h5/volumes/raw`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.problem import Problem, reading
from napari_unet.voxels import Source, Voxels, damaged, letters, of_zyx, package_missing

if TYPE_CHECKING:
    import h5py

SUFFIXES = {".h5", ".hdf5", ".hdf"}
_DIMENSIONS = range(2, 6)
_NAMED = 8  # how many datasets a message lists
# Sections are read one after another, but a chunk holds many: it is kept decoded. 256 MiB hold a layer of chunks
# 64 deep of 2048 x 2048 bytes; the slots are a prime, as HDF5 advises.
_CACHE = {"rdcc_nbytes": 2**28, "rdcc_nslots": 10007}


def file_of(path: Path) -> Path | None:
    """Return the HDF5 file that `path` is or leads into, None if there is none."""
    return next((each for each in (path, *path.parents) if each.suffix.lower() in SUFFIXES and each.is_file()), None)


def open_dataset(file: Path, inside: str) -> Source:
    """Open the dataset `inside` an HDF5 file, or the only image in that group; `.` is the whole file.

    Axes are told by the labels of the dimensions or by the axis tags of ilastik; else the last two are Y and X. The
    voxel size is told by `element_size_um` (micrometres) or `resolution` with `offset` (nanometres), all (Z, Y, X).

    Returns
    -------
    Source
        The file stays open as long as its array lives.

    Raises
    ------
    Problem
        If h5py is not installed, the file cannot be read, there is no such dataset, or there are several.
    """
    try:
        import h5py
    except ImportError as error:
        raise package_missing(file, "h5py") from error
    with reading(file, damaged(file)), ExitStack() as files:
        opened = files.enter_context(_open(file))
        try:
            found = opened[inside]
        except KeyError:
            raise Problem(f"{file} holds no {inside}. {_remedy(file, _images(opened))}") from None
        if isinstance(found, h5py.Group):
            found = _only_image(file, inside, found)
        elif not isinstance(found, h5py.Dataset) or found.shape is None:
            raise Problem(f"{inside} in {file} is no array of numbers. {_remedy(file, _images(opened))}")
        _refuse_unknown_filters(file, found)
        source = Source(_Pixels(file, found), letters(_axis_names(found), found.ndim), _voxels(found))
        files.pop_all()  # a dataset keeps its file open, and closes it at its own end
        return source


class _Pixels:
    """A dataset, read only as long as its file is as long as it was: HDF5 takes what is cut off for zeros."""

    def __init__(self, file: Path, dataset: h5py.Dataset) -> None:
        self.dataset, self._file, self._length = dataset, file, file.stat().st_size
        self.shape, self.dtype, self.ndim, self.size = dataset.shape, dataset.dtype, dataset.ndim, dataset.size
        if dataset.chunks:
            self.chunks: tuple[int, ...] = dataset.chunks

    def __getitem__(self, key: Any) -> np.ndarray:
        pixels = self.dataset[key]
        if self._file.stat().st_size < self._length:  # looked at afterwards: before, it might still be cut meanwhile
            raise OSError(f"{self._file} has become shorter")
        return pixels

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype)


def _open(file: Path) -> h5py.File:
    """Open a file without locking it, which fails on some network disks."""
    import h5py

    try:
        return h5py.File(file, "r", locking=False, **_CACHE)
    except OSError:  # damaged, or open in this process with locks: both must be the same
        return h5py.File(file, "r", **_CACHE)


def _images(group: h5py.Group) -> list[h5py.Dataset]:
    """Return the datasets in a group, however deep, that may be images."""
    found: list[h5py.Dataset] = []

    def visit(_: str, each: Any) -> None:
        shape = getattr(each, "shape", None)
        if shape and len(shape) in _DIMENSIONS and each.dtype.kind in "biuf":
            found.append(each)

    group.visititems(visit)
    return found


def _only_image(file: Path, inside: str, group: h5py.Group) -> h5py.Dataset:
    """Return the one dataset of a group that may be an image."""
    images = _images(group)
    if len(images) == 1:
        return images[0]
    where = f"{inside} in {file}" if group.name != "/" else str(file)
    what = f"{len(images)} datasets that may be the image" if images else "no dataset of 2 to 5 dimensions"
    raise Problem(f"{where} holds {what}. {_remedy(file, images)}")


def _remedy(file: Path, images: list[h5py.Dataset]) -> str:
    """Say which images there are, and how to name one."""
    if not images:
        return "Choose another file."
    names = [f"{each.name[1:]} ({' x '.join(map(str, each.shape))})" for each in images[:_NAMED]]
    more = f" and {len(images) - _NAMED} more" if len(images) > _NAMED else ""
    return f"Name one, as in {file.name}{images[0].name}: there is {', '.join(names)}{more}."


def _refuse_unknown_filters(file: Path, dataset: h5py.Dataset) -> None:
    """Raise Problem if the pixels are compressed in a way that the installed HDF5 cannot read."""
    import h5py

    made = dataset.id.get_create_plist()
    for number, _, _, name in (made.get_filter(i) for i in range(made.get_nfilters())):
        if not h5py.h5z.filter_avail(number):
            called = name.decode(errors="replace").split(";")[0].strip() or f"filter {number}"
            raise Problem(
                f"{dataset.name[1:]} in {file} is compressed by {called}, which is not supported here. "
                "Save it again with gzip compression, or without."
            )


def _axis_names(dataset: h5py.Dataset) -> list[str | None]:
    """Return the name of each axis, as far as they are told."""
    try:
        return [str(axis["key"]) for axis in json.loads(dataset.attrs["axistags"])["axes"]]
    except (KeyError, TypeError, ValueError):
        return [each.label.lower() for each in dataset.dims]


def _voxels(dataset: h5py.Dataset) -> Voxels:
    """Return what the common attributes say."""
    attributes = dataset.attrs
    if (size := attributes.get("element_size_um")) is not None:
        return of_zyx(size, 1000.0)
    return of_zyx(attributes.get("resolution"), 1.0, attributes.get("offset"))
