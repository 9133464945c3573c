"""What a window shows: its layers and where they come from, its panels, its jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer
from qtpy.QtWidgets import QWidget

from napari_unet.disk import seen
from napari_unet.reader import OURS
from napari_unet.session import Asked, Session, Shown
from napari_unet.widgets.choices import choices_in
from napari_unet.widgets.handover import candidates, finest
from napari_unet.widgets.job import Job

if TYPE_CHECKING:
    from napari import Viewer

PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_LOOK = ("name", "visible", "opacity", "blending")
_MORE: dict[type[Layer], tuple[str, ...]] = {
    Image: ("contrast_limits", "gamma", "colormap", "interpolation2d"),
    Labels: ("selected_label", "brush_size", "contour", "mode"),
}


def snapshot(
    viewer: Viewer,
    panels: Mapping[str, QWidget],
    jobs: Sequence[Job],
    copies: Mapping[Any, Path],
    known: Mapping[Any, str],
) -> Session:
    """Describe a window.

    Parameters
    ----------
    viewer
    panels
        Those that are open, by name.
    jobs
        Those to remember.
    copies
        Files that hold what layers show which are in memory, by the layers' ids.
    known
        What `which` told of images, by the layers' ids.
    """
    layers = [layer for layer in viewer.layers if not _passing(layer)]
    numbers = {layer.unique_id: number for number, layer in enumerate(layers)}

    def number(layer: Layer | None) -> int | None:
        return None if layer is None else numbers.get(layer.unique_id)

    dims, camera = viewer.dims, viewer.scene.camera
    return Session(
        layers=tuple(_shown(layer, copies.get(layer.unique_id), known.get(layer.unique_id, "")) for layer in layers),
        active=number(viewer.layers.selection.active),
        point=tuple(map(float, dims.point)),
        center=tuple(map(float, camera.center)),
        order=tuple(map(int, dims.order)),
        zoom=float(camera.zoom),
        panels={name: choices_in(panel, number) for name, panel in panels.items()},
        jobs=tuple(Asked(job.verb, job.config.model_dump(mode="json"), number(job.image)) for job in jobs),
    )


def kind_of(layer: Layer) -> str:
    """Return what napari calls layers of this kind, such as "image"."""
    return layer.__class__.__name__.lower()  # not type(layer): that may be napari's proxy


def _passing(layer: Layer) -> bool:
    """Tell whether a layer is one of ours that nobody keeps, such as a preview."""
    return OURS in layer.metadata and "path" not in layer.metadata[OURS]


def _shown(layer: Layer, copy: Path | None, which: str) -> Shown:
    pixels = finest(layer) if isinstance(layer, Image | Labels) else None
    size: dict[str, Any] = (
        {} if pixels is None else {"shape": tuple(map(int, pixels.shape)), "dtype": str(np.dtype(pixels.dtype))}
    )
    more = next((names for kind, names in _MORE.items() if isinstance(layer, kind)), ())
    look = {name: _plain(getattr(layer, name)) for name in (*PLACE, *_LOOK, *more)}
    return Shown(layer.name, kind_of(layer), which=which, look=look, **_origin(layer, copy), **size)


def _origin(layer: Layer, copy: Path | None) -> dict[str, Any]:
    """Return where a layer comes from, as fields of `Shown`."""
    source = layer.source
    if ours := layer.metadata.get(OURS, {}).get("path"):
        return {"origin": "ours", "path": ours}
    if source.sample:
        plugin, sample = source.sample
        return {"origin": "sample", "plugin": plugin, "sample": sample}
    if source.path:
        path = str(source.path)
        path = path if "://" in path else str(Path(path).absolute())
        return {"origin": "file", "path": path, "plugin": source.reader_plugin or ""}
    there = copy
    if isinstance(layer, Image | Labels):
        there = copy or next((path for path in candidates(layer) if seen(path)), None)
    return {"origin": "array", "path": str(there.absolute())} if there else {"origin": "memory"}


def _plain(value: Any) -> Any:
    """Return an attribute of a layer as JSON holds it."""
    if hasattr(value, "affine_matrix"):
        return value.affine_matrix.tolist()
    if hasattr(value, "controls"):  # a colormap; a person cannot make one without a name
        return value.name
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
