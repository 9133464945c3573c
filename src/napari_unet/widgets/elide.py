"""Long names in a combo box lose their middle; Qt would cut them in the middle of a letter."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter


def elided(box: QComboBox) -> None:
    """Let a combo box show the beginning and the end of a name that is too long, in its line and in its list."""
    box.view().setTextElideMode(Qt.TextElideMode.ElideMiddle)
    box.installEventFilter(_Painter(box))


class _Painter(QObject):
    def eventFilter(self, box: Any, event: Any) -> bool:  # noqa: N802
        """Paint the box in its own style, with a name that fits."""
        if event.type() != QEvent.Type.Paint:
            return False
        option, painter = QStyleOptionComboBox(), QStylePainter(box)
        box.initStyleOption(option)
        control, field = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
        room = box.style().subControlRect(control, option, field, box).width()
        option.currentText = box.fontMetrics().elidedText(option.currentText, Qt.TextElideMode.ElideMiddle, room)
        painter.drawComplexControl(control, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        return True
