"""A form drawn from a settings class: one row a field, nothing about a field written twice."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QLineEdit,
    QStyle,
    QToolButton,
    QWidget,
)

from napari_unet.widgets.wheel import only_with_focus

_AUTOMATIC = "automatic"
_FAR = 32  # how many whole numbers an arrow looks at to find one that is allowed


class Form(QWidget):
    """A row for each named field of a settings class: its name in plain words, its value, a way back to its default.

    Parameters
    ----------
    model
        The settings: type, default, range and description of a field make its row. Where `json_schema_extra` of a
        number has a word for `zero`, the row shows that word in place of 0.
    names
        The fields to show, from top to bottom. The widget that holds a value has the field's name as object name.
    """

    changed = Signal()

    def __init__(self, model: type[BaseModel], names: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._rows = {name: _row(model, name) for name in names}
        self._defaults = {name: _default(model.model_fields[name]) for name in names}
        self._backs: dict[str, QToolButton] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        for line, name in enumerate(names):
            grid.setRowMinimumHeight(line, 26)  # in step, whatever the widget
            self._draw(grid, line, name)
        self.reset()

    def asdict(self) -> dict[str, Any]:
        """Return the values by field name; where a number is due and none is typed, the text."""
        return {name: row.get() for name, row in self._rows.items()}

    def set(self, values: Mapping[str, Any]) -> None:
        """Show `values`; a field they do not name stays, a name without a row is passed over.

        Raises
        ------
        ValueError
            If a value is none of the choices of its field.
        """
        for name in self._rows.keys() & values.keys():
            self._rows[name].set(values[name])

    def reset(self) -> None:
        """Show the defaults; a field without one is empty."""
        self.set(self._defaults)

    def prefer(self, values: Mapping[str, Any]) -> None:
        """Take `values` as the defaults of their fields; a row that shows its former default shows the new one."""
        for name in self._rows.keys() & values.keys():
            untouched = self._rows[name].get() == self._defaults[name]
            self._defaults[name] = values[name]
            if untouched:
                self._rows[name].set(values[name])
            self._show_back(name)

    def problem(self) -> str:
        """Return what is wrong with the first value that is not allowed, in one sentence, or an empty string."""
        for name, value in self.asdict().items():
            if error := _error(self._model, name, value):
                return _sentence(_label(name), error)
        return ""

    def _draw(self, grid: QGridLayout, line: int, name: str) -> None:
        row, field = self._rows[name], self._model.model_fields[name]
        label, back = QLabel(_label(name)), QToolButton()
        label.setBuddy(row.widget)
        label.setToolTip(field.description or "")
        row.widget.setToolTip(field.description or "")
        row.widget.setAccessibleName(label.text())
        row.widget.setObjectName(name)
        only_with_focus(row.widget)
        back.setText("↺")
        back.setToolTip("Back to the default.")
        back.setObjectName(f"{name}_back")
        back.setAutoRaise(True)
        policy = back.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        back.setSizePolicy(policy)
        back.hide()
        self._backs[name] = back
        for column, widget in enumerate((label, row.widget, back)):
            grid.addWidget(widget, line, column)

        def on_changed() -> None:
            self._show_back(name)
            self.changed.emit()

        row.changed.connect(on_changed)
        back.clicked.connect(lambda: row.set(self._defaults[name]))

    def _show_back(self, name: str) -> None:
        self._backs[name].setVisible(self._rows[name].get() != self._defaults[name])


@dataclass(frozen=True)
class _Row:
    """The widget of a field, how to read and to show a value, and the signal that it is another one."""

    widget: QWidget
    get: Callable[[], Any]
    set: Callable[[Any], None]
    changed: Any


def _row(model: type[BaseModel], name: str) -> _Row:
    """Return the row that fits the type of a field."""
    field = model.model_fields[name]
    kind, optional = _bare(field.annotation)
    if get_origin(kind) is Literal:
        return _choice_row((None, *get_args(kind)) if optional else get_args(kind))
    if kind is bool:
        box = QCheckBox()
        return _Row(box, box.isChecked, box.setChecked, box.toggled)
    text = _text(field, kind, optional)
    if kind is int:
        spin = _Spin(text, lambda value: _error(model, name, value) is None)
        return _text_row(spin, spin.lineEdit(), text)
    line = _PathLine() if kind is Path else QLineEdit()
    return _text_row(line, line, text)


def _choice_row(choices: Sequence[Any]) -> _Row:
    """Return a row of a few choices."""
    box = QComboBox()
    box.addItems([_AUTOMATIC if choice in (None, "auto") else str(choice) for choice in choices])
    return _Row(
        box,
        lambda: choices[box.currentIndex()],
        lambda value: box.setCurrentIndex(choices.index(value)),
        box.currentIndexChanged,
    )


def _text_row(widget: QWidget, line: QLineEdit, text: _Text) -> _Row:
    """Return a row whose value is typed in `line`."""
    line.setPlaceholderText(text.word)
    letters, em = line.fontMetrics().horizontalAdvance(text.word), line.fontMetrics().height()
    widget.setMinimumWidth(letters + (em if widget is line else 4 * em))  # the word and, of a spin box, its arrows
    row = _Row(widget, lambda: text.read(line.text()), lambda value: line.setText(text.show(value)), line.textChanged)
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
            return self.kind(text)
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


def _default(field: FieldInfo) -> Any:
    """Return the default of a field, None if it has none."""
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _label(name: str) -> str:
    """Return the name of a field in plain words."""
    return name.replace("_", " ").capitalize()


def _error(model: type[BaseModel], name: str, value: Any) -> Any:
    """Return what pydantic says against a value of one field, or None."""
    try:
        model.model_validate({name: value})
    except ValidationError as error:  # the other fields may be missing
        return next((each for each in error.errors() if each["loc"][:1] == (name,)), None)
    return None


def _sentence(label: str, error: Any) -> str:
    """Return a validation error in plain words."""
    limits = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
    kind, context = error["type"], error.get("ctx", {})
    for limit in limits.keys() & context.keys():
        return f"{label} must be {limits[limit]} {f'{context[limit]:,}'.removesuffix('.0')}."
    if kind.startswith(("int_", "float_", "finite_")):
        return f"{label} must be a {'whole ' if kind.startswith('int_') else ''}number."
    if error["input"] is None:
        return f"{label} is empty."
    said = str(context["error"]) if kind == "value_error" else error["msg"]
    return f"{label} {said}." if said.startswith("must") else f"{label}: {said}."
