"""What tells a layer from others of the same file: a file may hold several of one size, and layers can be renamed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_unet.reader import OURS, READ
from napari_unet.widgets.handover import blocks


def which(pixels: Any, metadata: Mapping[str, Any]) -> str:
    """Return what a mark of ours tells, such as the channel or the class that is shown, else a SHA-256 of some pixels.

    Parameters
    ----------
    pixels
        An array of two or more axes, the finest level of a layer; blocks spread over it are read.
    metadata
        Of the layer.

    Returns
    -------
    str
        Empty if the pixels cannot be read now.
    """
    if READ in metadata:
        return str(metadata[READ])
    mark = metadata.get(OURS, {})
    if "path" in mark:
        told: str = mark.get("probability") or mark.get("id", "")
        return told
    *leading, height, width = pixels.shape
    digest = hashlib.sha256()
    try:
        for at, rows, columns in blocks((int(np.prod(leading)), height, width)):
            index = (int(i) for i in np.unravel_index(at, leading)) if leading else ()
            digest.update(np.asarray(pixels[(*index, rows, columns)]).tobytes())
    except Exception:  # files of others fail in many ways
        return ""
    return digest.hexdigest()
