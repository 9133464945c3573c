"""Opening an OME-Zarr volume in napari's window, which is guarded from then on: the volume may be large."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari import current_viewer
from napari.utils.notifications import show_warning

from napari_unet import reader
from napari_unet.omezarr import metadata
from napari_unet.problem import Problem
from napari_unet.reader import LayerData
from napari_unet.result import doubt
from napari_unet.words import for_window


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Return a reader if `path` is one that `napari_unet.reader` opens, else None."""
    return _read if reader.get_reader(path) else None


def _read(path: str | list[str]) -> list[LayerData]:
    layers = reader.read(path)
    folder = Path(path if isinstance(path, str) else path[0])
    if reader.is_result(metadata(folder)["attributes"]):
        try:
            against = doubt(folder)  # else it looks like any other
        except Problem as problem:
            against = str(problem)
        if against:
            show_warning(for_window(against))
    if (viewer := current_viewer()) is not None:
        from napari_unet.widgets.guard import guarded  # not without a window: it needs Qt

        guarded(viewer)
        viewer.layers.events.inserted.connect(_read_only)
    return layers


def _read_only(event: Any) -> None:
    """Let nobody paint on labels that are only read: each stroke would fail."""
    if getattr(event.value, "data", None) is not None and getattr(event.value.data, "read_only", False):
        event.value.editable = False
