"""Labels that are only in memory: that is said, and one press keeps them on disk."""

from __future__ import annotations

from collections.abc import Sequence

from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_unet.widgets.rows import Sentences, plain_tip
from napari_unet.widgets.strokes import is_strokes, missing
from napari_unet.words import listed

_TIP = "Copies them to a folder of yours, where each stroke is kept within seconds. Train does so, too."


class InMemory(QWidget):
    """Names the ticked labels that would be lost with napari; hidden where there are none."""

    pressed = Signal()  # keep them on disk

    def __init__(self) -> None:
        super().__init__()
        self._text = Sentences()
        self._text.setObjectName("in-memory")
        self._keep = QPushButton("Keep on disk", objectName="keep")
        self._keep.clicked.connect(self.pressed)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._text)
        column.addWidget(self._keep)
        self.hide()

    def show_layers(self, ticked: Sequence[Labels], reason: str) -> None:
        """Show what is to be said of the ticked layers, and why nothing can be kept now, if there is a reason."""
        names = [layer.name for layer in ticked if not is_strokes(layer) and not missing(layer)]
        if names:
            verb = "is" if len(names) == 1 else "are"
            self._text.setText(f"{listed(names)} {verb} only in memory: if napari dies, what you paint is lost.")
        self._keep.setEnabled(not reason)
        self._keep.setToolTip(plain_tip(reason or _TIP))
        self.setVisible(bool(names))
