"""The widget that fits a field of a settings class, and its value as text."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QStyle,
    QWidget,
)

_AUTOMATIC = "automatic"
_FAR = 32  # how many whole numbers an arrow looks at to find one that is allowed


@dataclass(frozen=True)
class Row:
    """The widget of a field, how to read and to show a value, and the signal that it is another one."""

    widget: QWidget
    get: Callable[[], Any]
    set: Callable[[Any], None]
    changed: Any


def row_of(model: type[BaseModel], name: str) -> Row:
    """Return the row that fits the type of a field."""
    field = model.model_fields[name]
    kind, optional = _bare(field.annotation)
    if get_origin(kind) is Literal:
        return _choice_row((None, *get_args(kind)) if optional else get_args(kind))
    if kind is bool:
        box = QCheckBox()
        return Row(box, box.isChecked, box.setChecked, box.toggled)
    text = _text(field, kind, optional)
    if kind is int:
        spin = _Spin(text, lambda value: error_of(model, name, value) is None)
        return _text_row(spin, spin.lineEdit(), text)
    line = _PathLine() if kind is Path else QLineEdit()
    return _text_row(line, line, text)


def error_of(model: type[BaseModel], name: str, value: Any) -> Any:
    """Return what pydantic says against a value of one field, or None."""
    try:
        model.model_validate({name: value})
    except ValidationError as error:  # the other fields may be missing
        return next((each for each in error.errors() if each["loc"][:1] == (name,)), None)
    return None


def _choice_row(choices: Sequence[Any]) -> Row:
    """Return a row of a few choices."""
    box = QComboBox()
    box.addItems([_AUTOMATIC if choice in (None, "auto") else str(choice) for choice in choices])
    return Row(
        box,
        lambda: choices[box.currentIndex()],
        lambda value: box.setCurrentIndex(choices.index(value)),
        box.currentIndexChanged,
    )


def _text_row(widget: QWidget, line: QLineEdit, text: _Text) -> Row:
    """Return a row whose value is typed in `line`."""
    line.setPlaceholderText(text.word)
    letters, em = line.fontMetrics().horizontalAdvance(text.word), line.fontMetrics().height()
    widget.setMinimumWidth(letters + (em if widget is line else 4 * em))  # the word and, of a spin box, its arrows
    row = Row(widget, lambda: text.read(line.text()), lambda value: line.setText(text.show(value)), line.textChanged)
    line.editingFinished.connect(lambda: row.set(row.get()))  # as it is understood: "0" becomes its word
    return row


@dataclass(frozen=True)
class _Text:
    """A value as text, exactly; no text is the value `empty`, which `word` names."""

    kind: Any
    empty: Any
    word: str

    def read(self, text: str) -> Any:
        """Return the value of a text, or the text if it is no number."""
        if not text.strip():
            return self.empty
        if get_origin(self.kind) is tuple:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        try:
            return self.kind(text.replace(",", ".") if self.kind is float else text)
        except ValueError:
            return text

    def show(self, value: Any) -> str:
        """Return the text of a value."""
        if value is None or value == self.empty:
            return ""
        if isinstance(value, tuple | list):
            return ", ".join(map(str, value))
        return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _text(field: FieldInfo, kind: Any, optional: bool) -> _Text:
    """Return how the value of a field is written."""
    extra = field.json_schema_extra
    if optional or kind is Path:
        return _Text(kind, None, _AUTOMATIC if optional else "")
    if isinstance(extra, dict) and "zero" in extra:
        return _Text(kind, kind(0), str(extra["zero"]))
    return _Text(kind, () if get_origin(kind) is tuple else "", "")


class _Spin(QAbstractSpinBox):
    """A whole number of any size; the arrows go to the next one that is allowed."""

    def __init__(self, text: _Text, allowed: Callable[[Any], bool]) -> None:
        super().__init__()
        self._text = text
        self._allowed = allowed

    def stepBy(self, steps: int) -> None:  # noqa: N802
        """Go to the next allowed number, up or down, so many times."""
        for _ in range(abs(steps)):
            if (after := self._next(1 if steps > 0 else -1)) is not None:
                self.lineEdit().setText(after)

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:  # noqa: N802
        """Return which of the two arrows lead anywhere."""
        arrow = QAbstractSpinBox.StepEnabledFlag
        up = arrow.StepNone if self._next(1) is None else arrow.StepUpEnabled
        down = arrow.StepNone if self._next(-1) is None else arrow.StepDownEnabled
        return up | down

    def _next(self, way: int) -> str | None:
        """Return the text an arrow leads to, or None."""
        value = self._text.read(self.lineEdit().text())
        value = -1 if value is None else value  # "automatic" stands below all numbers
        if not isinstance(value, int):
            return None
        numbers = range(value + way, value + way * (_FAR + 1), way)
        for number in filter(self._allowed, numbers):
            return self._text.show(number)
        return "" if way < 0 <= value and self._text.empty is None else None


class _PathLine(QLineEdit):
    """A path, typed or picked."""

    def __init__(self) -> None:
        super().__init__()
        icon = self.style().standardIcon(QStyle.StandardPixmap.SP_DirOpenIcon)
        pick = self.addAction(icon, QLineEdit.ActionPosition.TrailingPosition)
        pick.setToolTip("Pick a place.")
        pick.triggered.connect(self._pick)

    def _pick(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, self.accessibleName(), self.text())
        if path:
            self.setText(path)


def _bare(annotation: Any) -> tuple[Any, bool]:
    """Return a type without its constraints, and whether it may be None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        (other,) = (each for each in get_args(annotation) if each is not types.NoneType)
        return _bare(other)[0], True
    return annotation, False
