"""What the widgets of a panel show, as plain values, and back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari.layers import Layer
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox, QWidget

from napari_unet.classes import PixelClass
from napari_unet.problem import Problem
from napari_unet.widgets.classes import ClassList
from napari_unet.widgets.form import Form
from napari_unet.widgets.labelschoice import LabelsChoice
from napari_unet.widgets.models import ModelChoice

_LAYER = "image"  # the combo box whose values are layers

_Access = tuple[Callable[[Any], Any], Callable[[Any, Any], None]]
_KINDS: dict[type[QWidget], _Access] = {
    QComboBox: (lambda box: box.currentText(), lambda box, text: box.setCurrentText(text)),
    QCheckBox: (lambda box: box.isChecked(), lambda box, on: box.setChecked(on)),
    QSpinBox: (lambda box: box.value(), lambda box, number: box.setValue(number)),
    QDoubleSpinBox: (lambda box: box.value(), lambda box, number: box.setValue(number)),
    QLineEdit: (lambda line: line.text(), lambda line, text: line.setText(text)),
}


def choices_in(panel: QWidget, number: Callable[[Layer], Any]) -> dict[str, Any]:
    """Return what a panel shows, as JSON holds it if `number`, which tells which layer is which, is a number."""
    found: dict[str, Any] = {"widgets": {name: get(each) for name, each, (get, _) in _named(panel)}}
    found["form"] = {name: value for form in panel.findChildren(Form) for name, value in form.asdict().items()}
    found["brought"] = {name: value for form in panel.findChildren(Form) for name, value in form.brought.items()}
    if (images := panel.findChild(QComboBox, _LAYER)) and images.currentData() is not None:
        found["image"] = number(images.currentData())
    for labels in panel.findChildren(LabelsChoice):
        found["ticked"] = [number(layer) for layer in labels.chosen()]
    for classes in panel.findChildren(ClassList):
        found["classes"] = [asdict(each) for each in classes.classes()]
    for model in panel.findChildren(ModelChoice):
        if model.by_hand:  # else it follows what was trained or used last
            found["model"] = model.name()
    return found


def choose(panel: QWidget, choices: Mapping[str, Any], layers: Mapping[Any, Layer]) -> list[str]:
    """Let a panel show what it showed; what it does not know is passed over.

    Parameters
    ----------
    panel
    choices
        What `choices_in` returned.
    layers
        Those that are there again, by their numbers.

    Returns
    -------
    list of str
        A sentence for each choice that can no longer be made.
    """
    _choose_layers(panel, choices, layers)
    values = choices.get("widgets", {})
    for name, each, (_, put) in _named(panel):
        if name in values:
            with contextlib.suppress(TypeError):
                put(each, values[name])
    for form in panel.findChildren(Form):
        with contextlib.suppress(TypeError, ValueError):
            form.bring(choices.get("brought", {}))
            form.set(choices.get("form", {}))
    said = []
    for model in panel.findChildren(ModelChoice):
        try:
            if "model" in choices:
                model.choose(choices["model"])
        except Problem as problem:
            said.append(f"The model {Path(choices['model']).name} is not chosen: {problem}")
    _choose_classes(panel, choices.get("classes", ()))
    return said


def _choose_layers(panel: QWidget, choices: Mapping[str, Any], layers: Mapping[Any, Layer]) -> None:
    image, box = layers.get(choices.get("image")), panel.findChild(QComboBox, _LAYER)
    if box is not None and image is not None:
        box.setCurrentIndex(next((i for i in range(box.count()) if box.itemData(i) == image), box.currentIndex()))
    for labels in panel.findChildren(LabelsChoice):
        labels.choose([layers[number] for number in choices.get("ticked", ()) if number in layers])


def _choose_classes(panel: QWidget, classes: Sequence[Mapping[str, Any]]) -> None:
    """Show classes that are kept with no labels yet."""
    shown = tuple(PixelClass(**one) for one in classes)
    for labels, each in zip(panel.findChildren(LabelsChoice), panel.findChildren(ClassList), strict=True):
        if shown and shown != each.classes() and not labels.named():
            each.set_classes(shown)
            labels.keep_classes(shown)


def _named(panel: QWidget) -> Iterator[tuple[str, QWidget, _Access]]:
    """Yield the widgets with a name and one plain value, but for those in forms, which have their own."""
    forms = panel.findChildren(Form)
    for each in panel.findChildren(QWidget):
        name = each.objectName()
        access = next((access for kind, access in _KINDS.items() if isinstance(each, kind)), None)
        apart = name in ("", _LAYER) or name.startswith("qt_") or any(form.isAncestorOf(each) for form in forms)
        if access is not None and not apart:
            yield name, each, access
