"""Small parts that rows are made of: text that wraps, a line that folds something away, widgets side by side."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QToolButton, QWidget


class Sentences(QLabel):
    """Text that wraps, and can be selected and copied; a word longer than the panel is cut, and whole in the tip."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setMinimumWidth(1)

    def setText(self, text: str) -> None:  # noqa: N802
        """Show `text`."""
        super().setText(text)
        self.setToolTip(plain_tip(text))


class Fold(QWidget):
    """A line that folds a widget away: ▸ Advanced."""

    def __init__(self, title: str, inside: QWidget) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        self._button = QToolButton()
        self._button.setObjectName("fold")
        self._button.setText(title)
        self._button.setCheckable(True)
        self._button.setAutoRaise(True)
        self._button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._button.setArrowType(Qt.ArrowType.RightArrow)
        self._button.toggled.connect(self._fold)
        self._inside = inside
        grid.addWidget(self._button, 0, 0, Qt.AlignmentFlag.AlignLeft)
        grid.addWidget(inside, 1, 0)
        inside.hide()

    def _fold(self, opened: bool) -> None:
        self._inside.setVisible(opened)
        self._button.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)


def plain_tip(text: str) -> str:
    """Return a tool tip that shows a text as it is: in names of layers and models, Qt would take <b> for bold."""
    return f'<p style="white-space: pre-wrap">{escape(text)}</p>' if Qt.mightBeRichText(text) else text


def side_by_side(*widgets: QWidget) -> QWidget:
    """Return a widget that holds others in a line, the last one as wide as there is room."""
    line = QWidget()
    row = QHBoxLayout(line)
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget)
    return line
