from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QListWidget

from napari_unet.classes import PixelClass
from napari_unet.widgets.guard import guarded
from napari_unet.widgets.newlabels import add_strokes

from .conftest import panel_of


@pytest.mark.parametrize(
    ("scale", "on_disk"),
    [
        pytest.param((1, 1, 1), True, marks=pytest.mark.slow),
        ((40, 4, 4), True),
        pytest.param((40, 4, 4), False, marks=pytest.mark.slow),
    ],
)
def test_undo_and_redo_go_to_the_section_that_they_change(driver, home, scale, on_disk) -> None:
    image = driver.viewer.add_image(np.zeros((9, 96, 128), np.uint8), name="stack", scale=scale)
    if on_disk:
        labels = add_strokes(driver.viewer, image, (PixelClass(1, "a", "#ff0000"),), home)
        guarded(driver.viewer)
    else:
        labels = driver.viewer.add_labels(np.zeros((9, 96, 128), np.uint8), name="mine", scale=scale)
        panel = panel_of(driver, "Train")
        ticks = panel.findChild(QListWidget, "labels")
        driver.wait(lambda: ticks.count() == 1, 5)
        if ticks.item(0).checkState() != Qt.CheckState.Checked:
            driver.click(ticks.viewport(), ticks.visualItemRect(ticks.item(0)).topLeft() + QPoint(10, 10))
        driver.viewer.layers.selection.active = labels
        labels.mode = "paint"
    for z in (2, 7):
        driver.show_section(z)
        driver.stroke(labels, [(20, 20), (20, 60)])
    driver.show_section(4)
    for keys, section, painted in (
        ("Ctrl+Z", 7, [2]),
        ("Ctrl+Z", 2, []),
        ("Ctrl+Shift+Z", 2, [2]),
        ("Ctrl+Shift+Z", 7, [2, 7]),
    ):
        driver.press(keys)
        driver.wait(lambda section=section: driver.viewer.dims.current_step[0] == section, 5)
        assert np.flatnonzero(np.asarray(labels.data).any((1, 2))).tolist() == painted
        driver.show_section(4)
