"""Undo and redo of what is painted show the section that they change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.widgets.marks import taken_back
from napari_unet.widgets.sight import show_section
from napari_unet.widgets.strokes import is_strokes

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Labels

KEYS = {"Control-Z": "undo", "Control-Shift-Z": "redo"}


def jump_on_undo(viewer: Viewer, layer: Labels) -> None:
    """Let the undo keys of 3-D labels go to the section that they change.

    Parameters
    ----------
    viewer
    layer
        Labels of 3 dimensions; of others, the keys are left alone.
    """
    if layer.ndim == 3:
        for key, name in KEYS.items():
            layer.bind_key(key, _jumping(viewer, name), overwrite=True)


def _jumping(viewer: Viewer, name: str):  # type: ignore[no-untyped-def]
    def act(layer: Labels) -> None:
        history = layer._undo_history if name == "undo" else layer._redo_history  # napari tells it nowhere else
        step = history[-1] if history else ()
        getattr(layer, name)()
        if step and name == "undo" and is_strokes(layer):
            taken_back(layer, step)
        if step:
            show_section(viewer, layer, _first_section(step))

    return act


def _first_section(step: Iterable[Any]) -> int:
    """Return the first section that a step of napari's undo history changed."""
    return min(
        part.slice_key[0].start if hasattr(part, "slice_key") else int(np.min(part[0][0]))  # a tool; `data_setitem`
        for part in step
    )
