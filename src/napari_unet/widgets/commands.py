"""What the entries in napari's menus do."""

from __future__ import annotations

from napari import Viewer
from napari.layers import Image
from napari.utils.notifications import show_info, show_warning

from napari_unet.card import bundled, find, read_card
from napari_unet.problem import Problem
from napari_unet.reader import OURS
from napari_unet.widgets.guard import guarded, main_window
from napari_unet.widgets.labelschoice import LabelsChoice
from napari_unet.widgets.newlabels import add_strokes
from napari_unet.widgets.preferences import library_of
from napari_unet.widgets.segment import SegmentPanel

_SEGMENT = "Segment (U-Net)"  # the dock that napari's own entries open


def new_labels(viewer: Viewer) -> None:
    """Add empty labels over the selected image, or over the only one, kept on disk."""
    images = [layer for layer in viewer.layers if isinstance(layer, Image) and OURS not in layer.metadata]
    chosen = [layer for layer in images if layer in viewer.layers.selection] or images
    if not chosen:
        show_info("Open an image first: labels are painted over it.")
        return
    classes = tuple(c for c in read_card(find(bundled()[0])).classes if c.value)
    window = main_window(viewer.window.file_menu)
    assert window is not None
    library = library_of(window)
    try:
        layer = add_strokes(viewer, chosen[-1], classes, library)
    except Problem as problem:
        show_warning(str(problem))
        return
    for choice in window.findChildren(LabelsChoice):
        choice.choose_only(layer)  # what is painted next is what is learned
    guarded(viewer)
    show_info(f"{layer.name} is kept on disk while you paint, in {library.labels}.")


def segment_with_last_model(viewer: Viewer) -> None:
    """Open the Segment panel and preview what is in view of the selected image, with the model trained or used last.

    Several selected images wait there for one more click, which segments the whole of each, one after another.
    """
    panel = viewer.window.dock_widgets.get(_SEGMENT)
    if panel is None:
        panel = SegmentPanel(viewer)
        viewer.window.add_dock_widget(panel, name=_SEGMENT)
    panel.parent().show()
    panel.parent().raise_()
    panel.segment_last([image for image in panel.layers(Image) if image in viewer.layers.selection])
