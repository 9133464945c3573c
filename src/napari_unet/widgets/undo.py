"""Undo and redo of what is painted show the section that they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unet.widgets.place import show_section
from napari_unet.widgets.strokes import path_of, stamps

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Labels

KEYS = {"Control-Z": "undo", "Control-Shift-Z": "redo"}


def jump_on_undo(viewer: Viewer, layer: Labels) -> None:
    """Let the undo keys of labels that are kept on disk go to the section that they change.

    Parameters
    ----------
    viewer
    layer
        Labels of `strokes`.
    """
    for key, name in KEYS.items():
        layer.bind_key(key, _jumping(viewer, name), overwrite=True)


def _jumping(viewer: Viewer, name: str):  # type: ignore[no-untyped-def]
    def act(layer: Labels) -> None:
        before = stamps(path_of(layer))
        getattr(layer, name)()
        after = stamps(path_of(layer))
        changed = [z for z in after.keys() | before if after.get(z) != before.get(z)]
        if changed:
            show_section(viewer, layer, min(changed))

    return act
