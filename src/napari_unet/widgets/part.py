"""Which part of a stack: all of it, some sections, or what is in view."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_unet.widgets.sections import Sections
from napari_unet.widgets.wheel import only_with_focus

_STACK, _SECTIONS, _VIEW = "the whole stack", "some sections", "what is in view"
_WORDS = {_STACK: "stack", _SECTIONS: "sections", _VIEW: "view"}


class Part(QWidget):
    """A choice of the part to segment, and below it from which section to which if that matters."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._box, self._sections = QComboBox(objectName="part"), Sections()
        self._box.addItems(list(_WORDS))
        only_with_focus(self._box)
        self._sections.setObjectName("sections")
        self._sections.hide()
        self._box.currentTextChanged.connect(lambda text: self._sections.setVisible(text == _SECTIONS))
        self._box.currentTextChanged.connect(lambda _: self.changed.emit())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._box)
        column.addWidget(self._sections)

    @property
    def in_view(self) -> bool:
        """Whether it is what is in view."""
        return self._box.currentText() == _VIEW

    @property
    def word(self) -> str:
        """What it is, in a word that a button has room for."""
        return _WORDS[self._box.currentText()]

    def region(self) -> str:
        """Return the part as a region, empty for the whole stack; not for what is in view."""
        return "{}:{},:,:".format(*self._sections.range()) if self._box.currentText() == _SECTIONS else ""

    def choose_all(self) -> None:
        """Choose the whole stack."""
        self._box.setCurrentText(_STACK)

    def set_depth(self, sections: int) -> None:
        """Offer the sections of a stack, numbered from 0 as in napari."""
        self._sections.set_depth(sections)
