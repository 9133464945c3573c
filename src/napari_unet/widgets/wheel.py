"""The mouse wheel scrolls the panel, also where it turns over a number or a choice."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QWidget


def only_with_focus(widget: QWidget) -> None:
    """Let the wheel turn `widget` only while it is being edited; else it is left to the panel around it."""
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # the wheel gives no focus
    widget.installEventFilter(_Filter(widget))


class _Filter(QObject):
    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802
        """Stop the wheel on its way to a widget without focus."""
        if event.type() != QEvent.Type.Wheel or watched.hasFocus():
            return False
        event.ignore()
        return True
