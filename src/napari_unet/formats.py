"""The file formats of stacks: each opener returns a lazy array, its axes and what its metadata says."""

from __future__ import annotations

import logging
import re
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from PIL import Image, PngImagePlugin

from napari_unet import hdf5, mrc, omezarr
from napari_unet.inrow import InRow
from napari_unet.problem import Problem, reading, unreadable
from napari_unet.voxels import Source, Voxels, damaged, letters, made_at_of_tiff, of_multiscale, of_tiff

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what is wrong with a file is said in a sentence

_TIFF = {".tif", ".tiff", ".btf", ".tf8"}
_PNG = ".png"
_PACKED = {".gz", ".zip", ".bz2", ".xz", ".zst", ".7z", ".tgz", ".rar"}


def open_source(path: Path, labels: bool = False) -> Source:
    """Open a stack without reading its pixels.

    A TIFF, a PNG, a folder of those, a Zarr array, an OME-Zarr group or a level of it, a dataset in an HDF5 file
    (`stack.h5/volumes/raw`), an MRC file. A PNG with a palette gives its colours, or with `labels` the numbers that
    the palette gives colours to.

    Raises
    ------
    Problem
        If there is nothing at `path`, or nothing that can or may be read.
    """
    try:
        return _opened(path, labels)
    except OSError as error:  # of a folder
        raise unreadable(path, error) from error


def _opened(path: Path, labels: bool) -> Source:
    """Open a stack by the format that its name or what lies in it tells."""
    if file := hdf5.file_of(path):
        return hdf5.open_dataset(file, path.relative_to(file).as_posix())
    if not path.exists():
        if path.name.isdecimal() and path.parent.suffix.lower() in _TIFF and path.parent.is_file():
            return _open_tiff(path.parent, int(path.name))
        raise Problem(f"{path} does not exist. Check the path.")
    if path.is_dir():
        return _open_zarr(path) if omezarr.is_zarr(path) else _open_folder(path, labels)
    suffix = path.suffix.lower()
    if suffix == _PNG:
        return _open_sections([path], labels)
    if suffix in _TIFF:
        return _open_tiff(path)
    if suffix in mrc.SUFFIXES:
        return mrc.open_mrc(path)
    if suffix in _PACKED:
        raise Problem(f"{path} is packed. Unpack it first (gunzip, unzip, 7-Zip), then choose the file inside.")
    raise Problem(f"{path} cannot be opened. Save it as TIFF, HDF5, MRC, OME-Zarr or as a folder of PNG files.")


def in_words(path: Path) -> str:
    """Call a stack as a sentence does: "stack.tif", "level 1 of stack.zarr", "volumes/raw of stack.h5"."""
    if (file := hdf5.file_of(path)) and file != path:
        return f"{path.relative_to(file).as_posix()} of {file.name}"
    if path.name.isdecimal() and (omezarr.is_zarr(path.parent) or path.parent.suffix.lower() in _TIFF):
        return f"level {path.name} of {path.parent.name}"
    return path.name


class SectionFiles:
    """Image files as one array (Z, Y, X) or (Z, Y, X, S), each read when it is asked for."""

    def __init__(self, paths: list[Path], labels: bool) -> None:
        self._paths, self._labels = paths, labels
        shape, self.dtype = _probe(paths[0], labels)
        for path in paths[1:]:
            if (found := _probe(path, labels)) != (shape, self.dtype):
                raise Problem(
                    f"{path} is {_words(*found)}, but {paths[0].name} is {_words(shape, self.dtype)}. "
                    "Make all sections alike, or take this one out of the folder."
                )
        self.shape = (len(paths), *shape)
        self.ndim = len(self.shape)
        # Tiles are asked for section by section: keeping the last one spares decoding it for each tile.
        self._last: tuple[int, np.ndarray] | None = None

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        z, *box = key
        if isinstance(z, slice):
            return np.stack([self._section(i)[tuple(box)] for i in range(*z.indices(len(self._paths)))])
        return self._section(z)[tuple(box)]

    def _section(self, z: int) -> np.ndarray:
        """Return the pixels of one file."""
        last = self._last
        if last is None or last[0] != z:
            last = self._last = (z, _read(self._paths[z], self._labels))
        return last[1]


def _open_folder(folder: Path, labels: bool) -> Source:
    """Open a folder of sections, in the order a person would count them: 2 before 10."""
    paths = [
        path for path in folder.iterdir() if path.suffix.lower() in _TIFF | {_PNG} and not path.name.startswith(".")
    ]
    if not paths:
        raise Problem(f"{folder} holds no sections. Choose a folder with TIFF or PNG files, or a Zarr folder.")
    return _open_sections(sorted(paths, key=lambda path: (_natural(path.name), path.name)), labels)


def _natural(name: str) -> list[str | int]:
    """Split a name so that its numbers compare as numbers."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split("([0-9]+)", name.lower()))]


def _open_sections(paths: list[Path], labels: bool) -> Source:
    array = SectionFiles(paths, labels)
    return Source(array, "ZYXS"[: array.ndim])


def _probe(path: Path, labels: bool) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and dtype of one section from its header."""
    if path.suffix.lower() == _PNG:
        with reading(path, damaged(path)), PngImagePlugin.PngImageFile(path) as image:
            pixel = np.asarray(Image.new(_plain(image.mode, labels), (1, 1)))
            return (image.height, image.width, *pixel.shape[2:]), pixel.dtype
    source = _open_tiff(path)
    if source.axes not in ("YX", "YXS"):
        raise Problem(f"{path} holds more than one section. Open it by itself, or take it out of the folder.")
    return source.array.shape, source.array.dtype.newbyteorder("=")


def _read(path: Path, labels: bool) -> np.ndarray:
    """Read one section."""
    with reading(path, damaged(path)):
        if path.suffix.lower() != _PNG:
            return np.array(_open_tiff(path).array[...])
        # Image.open would refuse a large section as a "decompression bomb".
        with PngImagePlugin.PngImageFile(path) as image:
            return np.array(image.convert(_plain(image.mode, labels)))


def _plain(mode: str, labels: bool) -> str:
    """Return the Pillow mode without transparency and, but for labels, without palette."""
    return {"P": "P" if labels else "RGB", "RGBA": "RGB", "LA": "L"}.get(mode, mode)


def _words(shape: tuple[int, ...], dtype: np.dtype) -> str:
    return f"{' x '.join(map(str, shape))} pixels of {dtype}"


def _open_tiff(path: Path, level: int = 0) -> Source:
    """Open a level of the one image of a TIFF: section by section if its pixels lie in a row, else by strip or tile."""
    with reading(path, damaged(path)), ExitStack() as files:
        tif = files.enter_context(tifffile.TiffFile(path))
        series = _one_series(tif, path)
        voxels, made_at = of_tiff(tif), made_at_of_tiff(tif)
        if level:
            series, voxels = _level(series, level, voxels, path)
        if series.dataoffset is not None and series.transform is None:
            dtype = np.dtype(tif.byteorder + series.dtype.char)
            return Source(InRow(path, dtype, series.dataoffset, series.shape), series.axes, voxels, made_at)
        array = zarr.open_array(series.aszarr(level=0), mode="r")
        weakref.finalize(array, files.pop_all().close)
        return Source(array, series.axes, voxels, made_at)


def _level(
    series: tifffile.TiffPageSeries, level: int, voxels: Voxels, path: Path
) -> tuple[tifffile.TiffPageSeries, Voxels]:
    """Return a coarser level of an image, and how large its voxels are."""
    if level >= len(series.levels):
        last = len(series.levels) - 1
        raise Problem(f"{path} has no level {level}. Levels count from 0, the finest, and the last one here is {last}.")
    coarse = series.levels[level]
    shrunk = {axis: a / b for axis, a, b in zip(series.axes, series.shape, coarse.shape, strict=True)}
    return coarse, Voxels({axis: step * shrunk.get(axis, 1) for axis, step in voxels.step.items()})


def _one_series(tif: tifffile.TiffFile, path: Path) -> tifffile.TiffPageSeries:
    """Return the only image of `tif`, as complete as can be told without reading it."""
    if len(tif.series) > 1:
        raise Problem(f"{path} holds images of different sizes. Save the stack you need as a file of its own.")
    series = tif.series[0]
    if (compression := series.keyframe.compression) not in tifffile.TIFF.DECOMPRESSORS:
        name = getattr(compression, "name", compression)
        raise Problem(
            f"{path} is compressed by {name}, which is not supported here. "
            "Install the package imagecodecs, or save the stack without compression."
        )
    # tifffile leaves out the pages behind a gap; a whole file ends its list of pages with a zero.
    tif.filehandle.seek(tif.pages.next_page_offset or 0)
    link = tif.filehandle.read(tif.tiff.offsetsize)
    pages = [page for page in series.pages if page is not None]
    if link != bytes(tif.tiff.offsetsize) or len(pages) < len(series.pages):
        raise damaged(path)
    for page in pages:
        ends = (start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False))
        if page.parent is tif and max(ends, default=0) > tif.filehandle.size:
            raise damaged(path)
    return series


def _open_zarr(folder: Path) -> Source:
    """Open a Zarr array, which may be a level of an OME-Zarr image, or the finest level of an OME-Zarr group."""
    metadata = omezarr.metadata(folder)
    if metadata["node_type"] == "array":
        array = omezarr.open_array(folder)
        level = omezarr.level_of(folder)
        if level and len(level[1].axes) == array.ndim:
            return Source(array, letters(level[1].axes, array.ndim), of_multiscale(*level[1:]))
        return Source(array, letters(metadata.get("dimension_names") or (), array.ndim))
    image = omezarr.multiscale(metadata["attributes"])
    if image is None:
        images = omezarr.images_in(folder)
        if len(images) == 1:
            return _open_zarr(images[0])
        if images:
            names = ", ".join(str(each) for each in images[:4]) + ", ..." * (len(images) > 4)
            raise Problem(f"{folder} holds {len(images)} images. Name one: {names}.")
        raise Problem(f"{folder} is a Zarr group that is not an OME-Zarr image. Open one of the arrays inside it.")
    array = omezarr.open_level(folder, image)
    return Source(array, letters(image.axes, array.ndim), of_multiscale(image), _made_at(metadata["attributes"]))


def _made_at(attributes: Mapping[str, Any]) -> Sequence[float] | None:
    """Return where the image lies that a result was computed from, None if it is no result or does not tell."""
    with suppress(KeyError, TypeError):
        return omezarr.numbers(attributes["napari-unet"]["provenance"]["place"], 3)
    return None
