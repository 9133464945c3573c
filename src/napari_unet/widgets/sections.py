"""From which section of a stack to which."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QSpinBox, QWidget

from napari_unet.widgets.wheel import only_with_focus


class Sections(QWidget):
    """Two numbers, both included; all sections until another choice is made."""

    def __init__(self) -> None:
        super().__init__()
        self._first, self._last = QSpinBox(), QSpinBox()
        self._first.setObjectName("first")
        self._last.setObjectName("last")
        self._first.setPrefix("from ")
        self._last.setPrefix("to ")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for each in (self._first, self._last):
            only_with_focus(each)
            row.addWidget(each)
        self.set_depth(1)
        self._first.valueChanged.connect(self._last.setMinimum)

    def set_depth(self, sections: int) -> None:
        """Offer the sections of a stack, numbered from 0 as in napari."""
        all_before = self._last.value() == self._last.maximum()
        self._first.setMaximum(sections - 1)
        self._last.setMaximum(sections - 1)
        if all_before:
            self._last.setValue(sections - 1)

    def range(self) -> tuple[int, int]:
        """Return the first section and the one after the last."""
        return self._first.value(), self._last.value() + 1
