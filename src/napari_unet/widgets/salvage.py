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
        Sentences of what was damaged: strokes, and marks of what was accepted or corrected.
    """
    if not is_zarr(path) or STROKES not in metadata(path)["attributes"]:
        return []
    _sweep(path)
    strokes, marks = set[int](), set[int]()
    for file in chunk_files(path):
        if not _whole(file):
            array, _, z, _, _ = file.relative_to(path).parts
            (strokes if array == "0" else marks).add(int(z))
            file.replace(file.with_name(file.name + DAMAGED))
    said = []
    if strokes:
        said.append(f"A part of {path.stem} was damaged in {_named(strokes)}, and is empty now; all else is there.")
    if marks:
        which = f"What of {path.stem} was accepted or corrected in {_named(marks)} is not known any more"
        said.append(f"{which}, as its marks were damaged: it counts as painted by hand.")
    return said


def _named(sections: set[int]) -> str:
    numbers = ", ".join(map(str, sorted(sections)))
    return f"section {numbers}" if len(sections) == 1 else f"sections {numbers}"


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
