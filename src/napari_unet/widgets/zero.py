"""What 0 means, in words."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_unet.widgets.rows import Sentences
from napari_unet.widgets.wheel import only_with_focus

_MEANINGS = {
    "unlabelled": ("not labelled", "Only what is painted counts."),
    "background": ("background", "What is not painted, on a section with paint, is background."),
}


class ZeroMeaning(QWidget):
    """A choice of what an unpainted pixel of a painted section is, and what that means for a training."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._box = QComboBox(objectName="zero")
        for value, (title, _) in _MEANINGS.items():
            self._box.addItem(title, value)
        only_with_focus(self._box)
        self._sentence = Sentences()
        self._sentence.setObjectName("zero-means")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._box)
        column.addWidget(self._sentence)
        self._box.currentIndexChanged.connect(self._explain)
        self._explain()

    def value(self) -> str:
        """Return "unlabelled" or "background"."""
        return str(self._box.currentData())

    def choose(self, value: str) -> None:
        """Let 0 mean "unlabelled" or "background"."""
        self._box.setCurrentIndex(self._box.findData(value))

    def _explain(self) -> None:
        self._sentence.setText(_MEANINGS[self.value()][1])
        self.changed.emit()
