"""What the entries in napari's menus do."""

from __future__ import annotations

from napari import Viewer
from napari.layers import Image
from napari.utils.notifications import show_info, show_warning

from napari_unet.card import bundled, find, read_card
from napari_unet.library import library
from napari_unet.problem import Problem
from napari_unet.reader import OURS
from napari_unet.widgets.guard import guarded
from napari_unet.widgets.newlabels import add_strokes


def new_labels(viewer: Viewer) -> None:
    """Add empty labels over the selected image, or over the only one, kept on disk."""
    images = [layer for layer in viewer.layers if isinstance(layer, Image) and OURS not in layer.metadata]
    chosen = [layer for layer in images if layer in viewer.layers.selection] or images
    if not chosen:
        show_info("Open an image first: labels are painted over it.")
        return
    classes = tuple(c for c in read_card(find(bundled()[0])).classes if c.value)
    try:
        layer = add_strokes(viewer, chosen[-1], classes, library())
    except Problem as problem:
        show_warning(str(problem))
        return
    guarded(viewer)
    show_info(f"{layer.name} is kept on disk while you paint, in {library().labels}.")
