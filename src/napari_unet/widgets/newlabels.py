"""New labels to paint on, ready in the viewer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_warning

from napari_unet.classes import PixelClass
from napari_unet.library import Library
from napari_unet.problem import Problem
from napari_unet.tiles import Box
from napari_unet.widgets.salvage import salvage
from napari_unet.widgets.sight import camera_kept, in_view, show_nearest, why_not_in_view
from napari_unet.widgets.strokes import is_strokes, missing, new_strokes, open_strokes, path_of, set_classes

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Labels


def add_strokes(
    viewer: Viewer, image: Image, classes: Sequence[PixelClass], library: Library, box: Box | None = None
) -> Labels:
    """Add empty labels over an image, kept on disk, with the brush in hand; return their layer.

    Parameters
    ----------
    viewer
    image
        What is to be painted on.
    classes
        Their names and colours.
    library
        Where the labels are kept.
    box
        The part of the image that they cover, None for all of it.

    Raises
    ------
    Problem
        If the image is none that can be segmented, or the disk is full or cannot be written.
    """
    gone = [folder for each in viewer.layers if (folder := missing(each))]
    layer = new_strokes(image, library.labels, image.name, box, "labels", gone)
    set_classes(layer, classes)
    with camera_kept(viewer):
        viewer.add_layer(layer)
    start_painting(viewer, layer, classes[0].value)
    return layer


def reopen_strokes(viewer: Viewer, image: Image, path: Path) -> Labels:
    """Show labels of another day over their image, with the brush in hand; return their layer.

    One that is in the viewer already is taken.

    Raises
    ------
    Problem
        If they cannot be read, or do not fit on the image.
    """
    shown = (each for each in viewer.layers if is_strokes(each) and path_of(each).resolve() == path.resolve())
    layer = next(shown, None)
    if layer is None:
        for damage in salvage(path):
            show_warning(damage)
        with camera_kept(viewer):
            layer = viewer.add_layer(open_strokes(image, path))
    start_painting(viewer, layer, 1)
    return layer


def box_in_view(viewer: Viewer, image: Image) -> Box:
    """Return the part of the section of `image` that the view shows.

    Raises
    ------
    Problem
        If it shows nothing of it.
    """
    view = in_view(viewer, image, largest=10**9)
    if view is None:
        raise Problem(why_not_in_view(viewer, "Show a section of it, then press New again."))
    return Box(view.z, view.z + 1, view.y0, view.y1, view.x0, view.x1)


def start_painting(viewer: Viewer, layer: Labels, value: int) -> None:
    """Select a labels layer, go to where it lies, and take its brush in hand, with the class `value`."""
    viewer.layers.selection.active = layer
    layer.visible = True
    layer.selected_label = value
    layer.mode = "paint"
    if layer.ndim == 3:
        show_nearest(viewer, layer)
