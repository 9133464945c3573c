"""What a kill or a power cut left in the labels of `strokes`: half-written files go, damaged ones are set aside."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import google_crc32c

from napari_unet.omezarr import is_zarr, metadata
from napari_unet.reader import STROKES
from napari_unet.widgets.labelfolder import chunk_files

DAMAGED = ".damaged"
_OLD = 60.0  # seconds; a younger file may be one that another window is writing
_CHECKSUM = 4  # bytes at the end of a chunk


def salvage(path: Path) -> list[str]:
    """Make labels readable again; a folder that holds none stays as it is.

    Zarr writes each chunk beside and renames, so a kill leaves half-written files that nobody reads. A power cut may
    leave a chunk that does not fit its checksum; napari could show nothing of its section.

    Returns
    -------
    list of str
        A sentence if something was damaged.
    """
    if not is_zarr(path) or STROKES not in metadata(path)["attributes"]:
        return []
    _sweep(path)
    sections = set()
    for file in chunk_files(path):
        if not _whole(file):
            sections.add(int(file.parts[-3]))
            file.replace(file.with_name(file.name + DAMAGED))
    if not sections:
        return []
    where = ", ".join(map(str, sorted(sections)))
    which = "section" if len(sections) == 1 else "sections"
    return [f"A part of {path.stem} was damaged in {which} {where}, and is empty now; all else is there."]


def _sweep(path: Path) -> None:
    """Delete what was never finished."""
    for folder, _, names in os.walk(path):
        for file in (Path(folder, name) for name in names if name.endswith(".partial")):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > _OLD:
                    file.unlink()


def _whole(file: Path) -> bool:
    """Tell whether a chunk fits its checksum."""
    try:
        chunk = file.read_bytes()
    except OSError:  # whoever reads it says what is wrong
        return True
    return google_crc32c.value(chunk[:-_CHECKSUM]) == int.from_bytes(chunk[-_CHECKSUM:], "little") if chunk else False
