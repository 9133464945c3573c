"""MRC files: images and stacks of transmission electron microscopes, as many tomography programs write them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.inrow import InRow
from napari_unet.problem import Problem, reading
from napari_unet.voxels import Source, Voxels, damaged, of_zyx, package_missing

SUFFIXES = {".mrc", ".mrcs", ".map", ".rec", ".st"}
_ANGSTROM = 0.1  # nanometres
_BYTES = 0  # the mode of 8-bit values
_MODES = {_BYTES, 1, 2, 6, 12}  # int8, int16, float32, uint16, float16
_IMOD = 1146047817  # the stamp in headers by IMOD
_SIGNED = 1  # a bit of its flags


def open_mrc(path: Path) -> Source:
    """Open an MRC file (MRC2014, https://www.ccpem.ac.uk/mrc_format/mrc2014.php), read section by section.

    Bytes are signed as the standard says, but unsigned where IMOD, or a greatest value above 127, says so.

    Raises
    ------
    Problem
        If mrcfile is not installed, or the file cannot be read.
    """
    try:
        import mrcfile
    except ImportError as error:
        raise package_missing(path, "mrcfile") from error
    with reading(path, damaged(path)):
        with warnings.catch_warnings():
            # Lenient with a strange byte-order stamp or bytes behind the data; the rest is checked here.
            warnings.simplefilter("ignore", RuntimeWarning)
            with mrcfile.mmap(path, mode="r", permissive=True) as file:
                header, array = file.header, file.data
        if bytes(header.map)[:3] != b"MAP":
            raise damaged(path)
        if (mode := int(header.mode)) not in _MODES:
            raise Problem(f"{path} is an MRC of mode {mode}, which is not supported here. Save it in mode 1, 2 or 6.")
        if array is None or array.size != int(header.nx) * int(header.ny) * int(header.nz):
            raise damaged(path)
        dtype = np.dtype(np.uint8) if mode == _BYTES and not _signed(header) else array.dtype
        pixels = InRow(path, dtype, array.offset, array.shape)
        return Source(pixels, _axes(header, array.ndim), _voxels(header))


def _signed(header: Any) -> bool:
    """Return whether bytes are signed: bit 1 of IMOD's flags (https://bio3d.colorado.edu/imod/doc/mrc_format.txt)."""
    stamp, flags = np.frombuffer(header.extra2, header.mode.dtype, 2, offset=40)
    return bool(flags & _SIGNED) if stamp == _IMOD else not header.dmax > np.iinfo(np.int8).max


def _axes(header: Any, ndim: int) -> str:
    """Return a letter for each axis, slowest first; a volume stack has one more, which has no name."""
    order = [int(header.maps), int(header.mapr), int(header.mapc)]
    names = "".join(" XYZ"[number] for number in order) if sorted(order) == [1, 2, 3] else "ZYX"
    return ("Q" + names)[-ndim:]


def _voxels(header: Any) -> Voxels:
    """Return the size of a voxel from that of the cell, in angstrom, and how many voxels it counts."""
    cell = (float(header.cella.z), float(header.cella.y), float(header.cella.x))
    counts = (int(header.mz), int(header.my), int(header.mx))
    return of_zyx([length / count if count > 0 else 0.0 for length, count in zip(cell, counts, strict=True)], _ANGSTROM)
