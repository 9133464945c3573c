"""The classes of a training: a row for each, with its number, colour and name."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import count

from qtpy.QtCore import QEvent, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QColorDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_unet.classes import PixelClass, default_colors

_MOST = 254  # of the values of a byte, 0 is unlabelled or background and 255 not yet computed
_IN_VIEW = 5  # rows; more scroll, and half of the next shows that there are more


def legend(classes: Sequence[PixelClass]) -> str:
    """Return the colours and names of `classes` as rich text, for a label that wraps between them."""
    return " &nbsp; ".join(
        f'<span style="color: {each.color}">■</span>&nbsp;{escape(each.name).replace(" ", "&nbsp;")}'
        for each in classes
    )


class ClassList(QWidget):
    """The classes of a training, numbered 1, 2, ...; a click on a number asks to paint with that class.

    Parameters
    ----------
    parent : QWidget or None
        Qt's parent.
    """

    changed = Signal()  # classes() returns something else
    edited = Signal()  # because somebody changed it here
    picked = Signal(int)  # the number of this class was clicked

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[_Row] = []
        self._current = 0
        self._painted = False
        self._scroll = _Scroll()
        self._add = QToolButton(text="+ class", objectName="add", autoRaise=True)
        self._add.clicked.connect(self._on_add)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._scroll)
        column.addWidget(self._add, alignment=Qt.AlignmentFlag.AlignLeft)
        self.edited.connect(self.changed)
        self._number()

    def classes(self) -> tuple[PixelClass, ...]:
        """Return the classes from top to bottom, their values 1, 2, ..."""
        return tuple(PixelClass(i, row.name(), row.color) for i, row in enumerate(self._rows, start=1))

    def set_classes(self, classes: Sequence[PixelClass]) -> None:
        """Show `classes` in the order of their values; one of value 0, the background, is left out."""
        shown = [each for each in sorted(classes, key=lambda each: each.value) if each.value]
        # A row that is being edited is left alone where nothing is new.
        if [(each.name, each.color) for each in shown] == [(each.name, each.color) for each in self.classes()]:
            return
        while self._rows:
            self._drop(self._rows[-1])
        for each in shown:
            self._append(each.name, each.color)
        self._number()
        self.changed.emit()

    def set_current(self, value: int) -> None:
        """Show which class is painted with now; a value without a row marks none."""
        self._current = value
        for i, row in enumerate(self._rows, start=1):
            row.number.setChecked(i == value)

    def set_painted(self, painted: bool) -> None:
        """Say whether labels are painted with these numbers: then none may move up to another class."""
        self._painted = painted
        self._number()

    def problem(self) -> str:
        """Return what is wrong with the classes, in one sentence, or an empty string."""
        names, colors = [row.name() for row in self._rows], [row.color.lower() for row in self._rows]
        if "" in names:
            return "A class has no name."
        if any("," in name for name in names):
            return "A class name cannot hold a comma."
        for i, name in enumerate(names):
            if name in names[:i]:
                return f"Two classes are called {name}."
            if colors[i] in colors[:i]:
                return f"{names[colors.index(colors[i])]} and {name} have the same colour."
        return ""

    def _append(self, name: str, color: str) -> None:
        row = _Row(name, color)
        row.changed.connect(self.edited)
        row.number.clicked.connect(lambda: self._on_number(row))
        row.away.clicked.connect(lambda: self._on_away(row))
        self._rows.append(row)
        self._scroll.column.addWidget(row)
        row.show()  # at once, so that it counts where the height is asked for

    def _drop(self, row: _Row) -> None:
        self._rows.remove(row)
        row.setParent(None)
        row.deleteLater()

    def _number(self) -> None:
        """Write what depends on the number of rows and on their order."""
        for i, row in enumerate(self._rows, start=1):
            row.set_number(i, self._why_it_stays(i))
        self.set_current(self._current)
        full = len(self._rows) >= _MOST
        self._add.setEnabled(not full)
        self._add.setToolTip(f"There are at most {_MOST} classes." if full else "Add a class.")
        self._scroll.updateGeometry()

    def _why_it_stays(self, value: int) -> str:
        """Return why a class cannot be removed, or an empty string."""
        if len(self._rows) == 1:
            return "A training needs at least one class."
        if self._painted and value < len(self._rows):
            return "The labels are painted with these numbers: only the last class can be removed."
        return ""

    def _on_number(self, row: _Row) -> None:
        value = self._rows.index(row) + 1
        self.set_current(value)  # also a second click leaves it marked
        self.picked.emit(value)

    def _on_add(self) -> None:
        names, colors = {row.name() for row in self._rows}, {row.color.lower() for row in self._rows}
        free = (f"class {i}" for i in count(len(names) + 1))
        self._append(
            next(name for name in free if name not in names),
            next(color for color in default_colors(len(colors) + 1) if color not in colors),
        )
        self._number()
        line = self._rows[-1].line
        line.setFocus()
        line.selectAll()
        self._scroll.to_end()
        self.edited.emit()

    def _on_away(self, row: _Row) -> None:
        self._drop(row)
        self._number()
        self.edited.emit()


class _Row(QWidget):
    """One class."""

    changed = Signal()

    def __init__(self, name: str, color: str) -> None:
        super().__init__()
        self.number = QPushButton(checkable=True)
        self.number.setFixedWidth(self.fontMetrics().horizontalAdvance("00000"))
        self._swatch = QToolButton(autoRaise=True, toolTip="Choose a colour.", accessibleName="Colour")
        self._swatch.clicked.connect(self._choose)
        self.line = QLineEdit(name, placeholderText="name", accessibleName="Name")
        self.line.setToolTip("Name of the class.")
        self.line.textEdited.connect(self.changed)
        self.away = QToolButton(text="×", autoRaise=True, accessibleName="Remove")
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        for widget in (self.number, self._swatch, self.line, self.away):
            line.addWidget(widget)
        self._paint(color)

    def name(self) -> str:
        return self.line.text().strip()

    def set_number(self, value: int, stays: str) -> None:
        self.number.setText(str(value))
        self.number.setToolTip(f"Paint with class {value}.")
        self.away.setEnabled(not stays)
        self.away.setToolTip(stays or "Remove this class; the ones below it move up by one number.")

    def _choose(self) -> None:
        dialog = QColorDialog(QColor(self.color), self)
        dialog.setOption(QColorDialog.ColorDialogOption.DontUseNativeDialog)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(f"Colour of {self.name() or 'the class'}")
        dialog.colorSelected.connect(self._on_chosen)
        dialog.open()

    def _on_chosen(self, color: QColor) -> None:
        self._paint(color.name())
        self.changed.emit()

    def _paint(self, color: str) -> None:
        self.color = color
        square = QPixmap(14, 14)
        square.fill(QColor(color))
        self._swatch.setIcon(QIcon(square))


class _Scroll(QScrollArea):
    """As high as its rows, up to a few."""

    def __init__(self) -> None:
        super().__init__()
        rows = QWidget()
        self.column = QVBoxLayout(rows)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(2)
        self.setWidget(rows)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802
        hint, rows = self.column.sizeHint(), self.column.count()
        height = hint.height() * (_IN_VIEW + 0.5) / rows if rows > _IN_VIEW else hint.height()
        return QSize(hint.width(), round(height) + 2 * self.frameWidth())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(0, self.sizeHint().height())  # Qt would keep room for its arrows

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()  # the theme has given the rows another height
        return super().event(event)

    def to_end(self) -> None:
        self.widget().resize(self.widget().width(), self.column.sizeHint().height())  # else only at the next event
        self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())
