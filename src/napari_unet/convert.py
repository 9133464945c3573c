"""convert(...): a result as one TIFF, for programs that do not open OME-Zarr."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_unet.disk import disk_problems, lock, sync
from napari_unet.events import Event, Finished, Notice, Progress, Started
from napari_unet.layout import NOT_COMPUTED, Layout
from napari_unet.newzarr import refuse_inside
from napari_unet.problem import Problem
from napari_unet.result import Result, doubt, open_result
from napari_unet.voxels import OME_CREATOR
from napari_unet.words import counted

_SUFFIXES = {".tif", ".tiff"}
# A TIFF that is not big ends at 2**32 bytes. How well the pixels can be compressed is not known before.
_BIG = 2**31


def convert(
    result: Path, out: Path, probabilities: bool = False, should_stop: Callable[[], bool] = lambda: False
) -> Iterator[Event]:
    """Write the class map of a result as OME-TIFF, compressed by zlib, a section at a time.

    Voxel size and offset go with it (`PhysicalSize` and `Position`), and what made it (a `MapAnnotation`), so that
    `open_volume` finds all of it again.

    Parameters
    ----------
    result : Path
        A segmentation, finished or not; what is not computed yet stays 255.
    out : Path
        The file to create, `*.tif`. It appears when it is complete: a job that is stopped or killed leaves none.
    probabilities : bool
        Write the probabilities of the classes instead, uint8 (Z, C, Y, X), 255 = 1; 0 where not computed yet.
    should_stop : callable
        Asked between two sections.

    Yields
    ------
    Event
        The last is Finished.

    Raises
    ------
    Problem
        If there is no such result, `out` exists, is written by another job or is no TIFF, or the disk is full or
        cannot be written.
    """
    found, against = _opened(result, probabilities), doubt(result)
    if out.suffix.lower() not in _SUFFIXES:
        raise Problem(f"{out} does not end in .tif, and only TIFF is written. Choose another name.")
    refuse_inside(out)
    with disk_problems(out):
        _refuse_existing(out)
    depth, height, width = found.layout.shape
    what = f"{counted(depth, 'section')} of {height} x {width} pixels"
    yield Started("convert", "processor", what)
    beside = out.with_name(out.name + ".partial")
    missing, began = 0, time.monotonic()
    with disk_problems(out), _alone(out):
        try:
            for done, lacking in enumerate(_writing(beside, found, probabilities), start=1):
                missing += lacking
                yield Progress(done, depth, "section", (time.monotonic() - began) / done * (depth - done))
                if done < depth and should_stop():
                    yield Finished(str(out), "nothing is kept", stopped=True)
                    return
            sync(out.parent, [beside])
            beside.replace(out)
        finally:
            beside.unlink(missing_ok=True)
    if missing:
        yield Notice(
            f"{missing:,} of {depth * height * width:,} pixels are not computed yet: "
            f"they are {0 if probabilities else NOT_COMPUTED} in {out.name}."
        )
    if against:
        yield Notice(against)
    yield Finished(str(out), f"{what} written")


def _refuse_existing(out: Path) -> None:
    if out.exists():
        raise Problem(f"{out} already exists. Choose another name, or delete it first.")


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Let nobody else write `out` meanwhile, which does not exist."""
    out.parent.mkdir(parents=True, exist_ok=True)
    file = out.with_name(out.name + ".lock")
    with lock(file, out) as held:
        try:
            _refuse_existing(out)  # another job may have ended just now
            yield
        finally:
            held.close()
            with contextlib.suppress(OSError):  # on Windows, while another job looks at it
                file.unlink()


def _opened(path: Path, probabilities: bool) -> Result:
    """Open a result, which must have probabilities if they are asked for."""
    found = open_result(path)
    if probabilities and not found.probabilities:
        raise Problem(f"{path} was made without probabilities. Segment again with --probabilities under another name.")
    return found


def _writing(file: Path, result: Result, probabilities: bool) -> Iterator[int]:
    """Write `file` section by section; yield after each how many of its pixels are not computed yet."""
    layout = result.layout
    about = _described(layout, [each.name for each in layout.classes] if probabilities else None)
    big = (len(layout.classes) if probabilities else 1) * int(np.prod(layout.shape, dtype=np.int64)) > _BIG
    with tifffile.TiffWriter(file, bigtiff=big, ome=False) as tif:
        for z in range(layout.shape[0]):
            classes = result.section(z)
            lacks, pages = classes == NOT_COMPUTED, iter([classes])
            if probabilities:
                lacks |= result.without_probabilities(z)
                pages = (result.section(z, channel=channel) for channel in range(len(layout.classes)))
            for page in pages:
                # The whole stack is described in its first page; tifffile itself would ask for all pages at once.
                tif.write(
                    page,
                    photometric="minisblack",
                    compression="zlib",
                    description=about,
                    metadata=None,
                )
                about = None
            yield int(np.count_nonzero(lacks))


def _described(layout: Layout, channels: list[str] | None = None) -> bytes | None:
    """Describe the pages in OME-XML: axes, channels, voxel size in nm, position of each page, what made them."""
    depth, height, width = layout.shape
    count = len(channels or [""])
    values = ", ".join(f"{each.value} {each.name}" for each in layout.classes)
    about: dict[str, Any] = {"Description": f"{values}, {NOT_COMPUTED} not computed yet"}
    if channels:
        about = {"Channel": {"Name": channels}}
    plane: dict[str, Any] = {}
    for axis, length, at in zip("ZYX", layout.voxel_size or (1.0, 1.0, 1.0), layout.offset, strict=True):
        if layout.voxel_size:
            about |= {f"PhysicalSize{axis}": length, f"PhysicalSize{axis}Unit": "nm"}
        pages = [z * (axis == "Z") for z in range(depth) for _ in range(count)]
        plane[f"Position{axis}"] = [(at + page) * length for page in pages]
        plane[f"Position{axis}Unit"] = ["nm" if layout.voxel_size else "pixel"] * len(pages)
    made = {key: value if isinstance(value, str) else json.dumps(value) for key, value in layout.provenance.items()}
    about["MapAnnotation"] = {"Namespace": OME_CREATOR, "Value": made}
    xml = tifffile.OmeXml(Creator=OME_CREATOR)
    shape, axes = ((depth, count, height, width), "ZCYX") if channels else (layout.shape, "ZYX")
    xml.addimage("uint8", shape, (depth * count, 1, 1, height, width, 1), axes=axes, Plane=plane, **about)
    return xml.tostring(declaration=True).encode()
