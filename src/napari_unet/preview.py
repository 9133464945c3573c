"""A part of a section as a training segments it now: a file that a window shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from napari_unet.disk import write_whole
from napari_unet.problem import Problem

PREVIEW = "preview.safetensors"
NONE = "There is no preview."  # how a notice begins that says why


@dataclass(frozen=True)
class Preview:
    """What a training says of a part of a section.

    Attributes
    ----------
    classes : ndarray, shape (Y, X), uint8
        The class values.
    z, y, x : int
        Where its first pixel lies in the image, in voxels.
    """

    classes: np.ndarray
    z: int
    y: int
    x: int


def save_preview(path: Path, preview: Preview) -> None:
    """Write `preview` to `path`, whole or not at all.

    Raises
    ------
    Problem
        If the disk is full or the folder cannot be written.
    """
    where = {"place": json.dumps([preview.z, preview.y, preview.x])}
    content = to_bytes({"classes": np.ascontiguousarray(preview.classes)}, where)
    write_whole(path, lambda beside: beside.write_bytes(content))


def load_preview(path: Path) -> Preview:
    """Return the preview in `path`.

    Raises
    ------
    Problem
        If it cannot be read.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return Preview(file.get_tensor("classes"), *json.loads(file.metadata()["place"]))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise Problem(f"The preview in {path} cannot be read. Wait for the next one.") from error
