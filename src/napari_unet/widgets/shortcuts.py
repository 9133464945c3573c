"""The keys that help while painting, as they are set in napari now."""

from __future__ import annotations

from html import escape

from napari.settings import get_settings
from napari.utils.interactions import Shortcut
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShowEvent

from napari_unet.widgets.nextplace import KEY
from napari_unet.widgets.rows import Sentences
from napari_unet.widgets.undo import KEYS

# What it does: the name of napari's action, or a key of ours.
LINES = (
    ("paint", "napari:activate_labels_paint_mode"),
    ("erase", "napari:activate_labels_erase_mode"),
    ("fill", "napari:activate_labels_fill_mode"),
    ("take the class under the mouse", "napari:activate_labels_picker_mode"),
    ("next class", "napari:increase_label_id"),
    ("class before", "napari:decrease_label_id"),
    ("larger brush", "napari:increase_brush_size"),
    ("smaller brush", "napari:decrease_brush_size"),
    ("move the view, while held", "napari:hold_for_pan_zoom"),
    ("section before", "napari:increment_dims_left"),
    ("next section", "napari:increment_dims_right"),
    ("hide or show the layer", "napari:toggle_selected_visibility"),
    ("go to the next place worth painting", KEY),
    *((f"{name}, at its section", key) for key, name in KEYS.items()),
)


class Shortcuts(Sentences):
    """A table of keys and what they do, read anew whenever it is unfolded: they can be changed in the preferences."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("shortcuts")
        self.setTextFormat(Qt.TextFormat.RichText)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Show the keys of now."""
        super().showEvent(event)
        rows = "".join(f"<tr><td>{_keys(key)}&nbsp;&nbsp;</td><td>{does}</td></tr>" for does, key in LINES)
        self.setText(f"<table>{rows}</table>")
        self.setToolTip("Keys act on the layer that is selected. Change them in File > Preferences > Shortcuts.")


def _keys(key: str) -> str:
    """Return the keys of an action of napari, or one of ours, as this system writes them."""
    bound = get_settings().shortcuts.shortcuts.get(key, []) if key.startswith("napari:") else [key]
    names = (QKeySequence(Shortcut(each).qt).toString(QKeySequence.SequenceFormat.NativeText) for each in bound)
    return escape(" or ".join(names)) or "no key"
