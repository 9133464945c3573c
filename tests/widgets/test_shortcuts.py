"""The keys in the panel are those that napari listens to."""

from __future__ import annotations

import numpy as np
from napari.settings import get_settings
from napari.utils.action_manager import action_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QToolButton

from napari_unet.widgets.shortcuts import LINES

from .conftest import panel_of


def _table(driver, panel) -> str:
    """Unfold the keys, and return what they say."""
    (fold,) = (each for each in panel.findChildren(QToolButton, "fold") if each.text() == "Shortcuts")
    label = panel.findChild(QLabel, "shortcuts")
    if label.isVisible():
        driver.click(fold)
    driver.click(fold)
    assert label.isVisible()
    assert label.textFormat() == Qt.TextFormat.RichText  # a table, not its tags
    return label.text()


def _row(does: str, keys: str) -> str:
    return f"<td>{keys}&nbsp;&nbsp;</td><td>{does}</td>"


def test_the_keys_are_those_of_now(driver):
    labels = driver.viewer.add_labels(np.zeros((3, 40, 60), np.uint8))
    panel = panel_of(driver, "Train")
    table = _table(driver, panel)
    for does, keys in (("paint", "2 or P"), ("larger brush", "]"), ("undo, at its section", "Ctrl+Z")):
        assert _row(does, keys) in table, table
    before = labels.brush_size
    driver.press("]")
    assert labels.brush_size > before

    get_settings().shortcuts.shortcuts = {
        **get_settings().shortcuts.shortcuts,
        "napari:increase_brush_size": ["Shift-W"],
        "napari:decrease_brush_size": [],
    }
    table = _table(driver, panel)
    assert _row("larger brush", "Shift+W") in table, table
    assert _row("smaller brush", "no key") in table


def test_each_action_is_one_of_napari(driver):
    panel_of(driver, "Train")
    actions = {key for _, key in LINES if key.startswith("napari:")}
    assert actions <= action_manager._actions.keys()
