"""A form drawn from a settings class: one row a field, nothing about a field written twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QGridLayout,
    QLabel,
    QToolButton,
    QWidget,
)

from napari_unet.widgets.fields import error_of, row_of
from napari_unet.widgets.wheel import only_with_focus


class Form(QWidget):
    """A row for each named field of a settings class: its name in plain words, its value, a way back to its default.

    Attributes
    ----------
    brought : dict
        Values that it shows for one job alone; see `bring`.

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
        self._rows = {name: row_of(model, name) for name in names}
        self._defaults = {name: _default(model.model_fields[name]) for name in names}
        self._backs: dict[str, QToolButton] = {}
        self.brought: dict[str, Any] = {}
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

    def defaults(self) -> dict[str, Any]:
        """Return the defaults by field name."""
        return dict(self._defaults)

    def chosen(self) -> dict[str, Any]:
        """Return the values that are not the defaults."""
        return {name: value for name, value in self.asdict().items() if value != self._defaults[name]}

    def set(self, values: Mapping[str, Any]) -> None:
        """Show `values`; a field they do not name stays, a name without a row is passed over.

        Raises
        ------
        ValueError
            If a value is none of the choices of its field.
        """
        for name in self._rows.keys() & values.keys():
            self._rows[name].set(values[name])

    def for_others(self) -> dict[str, Any]:
        """Return the values by field name, with the default for a field that shows what was brought for one job."""
        return {
            name: self._defaults[name] if name in self.brought and shown == self.brought[name] else shown
            for name, shown in self.asdict().items()
        }

    def bring(self, values: Mapping[str, Any]) -> None:
        """Show `values` for one job alone: `for_others` does not return them."""
        self.brought = dict(values)
        self.set(values)

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
        self.changed.emit()  # what was chosen otherwise may be the default now

    def problem(self) -> str:
        """Return what is wrong with the first value that is not allowed, in one sentence, or an empty string."""
        for name, value in self.asdict().items():
            if error := error_of(self._model, name, value):
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


def _default(field: FieldInfo) -> Any:
    """Return the default of a field, None if it has none."""
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _label(name: str) -> str:
    """Return the name of a field in plain words."""
    return name.replace("_", " ").capitalize()


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
