"""The bundled sample: a crop of a fly's medulla, with strokes on two sections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_unet.classes import default_colors
from napari_unet.volume import open_volume

_DATA = Path(__file__).parent / "data"
IMAGE, STROKES, TRUTH = (_DATA / f"fly_medulla{part}.tif" for part in ("", "_strokes", "_truth"))


def fly_medulla() -> list[tuple[Any, dict[str, Any], str]]:
    """Return the sample as napari layers: image (24, 250, 250) uint8 and labels, 10 nm voxels."""
    from napari_unet.reader import paint_look  # napari is loaded only where it shows layers

    image, strokes = open_volume(IMAGE), open_volume(STROKES)
    place = {"scale": image.voxel_size, "units": ("nm",) * 3, "axis_labels": ("z", "y", "x")}
    interior, membrane = default_colors(2)
    classes = [{"value": 1, "name": "interior", "color": interior}, {"value": 2, "name": "membrane", "color": membrane}]
    return [
        (image.array[:], {"name": "fly medulla", "contrast_limits": (0, 255), **place}, "image"),
        (strokes.array[:], {"name": "strokes", **paint_look(classes), **place}, "labels"),
    ]
