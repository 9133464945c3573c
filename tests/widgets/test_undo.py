from __future__ import annotations

import numpy as np
import pytest

from napari_unet.classes import PixelClass
from napari_unet.widgets.guard import guarded
from napari_unet.widgets.newlabels import add_strokes


@pytest.mark.parametrize("scale", [(1, 1, 1), (40, 4, 4)])
def test_undo_and_redo_go_to_the_section_that_they_change(driver, home, scale) -> None:
    image = driver.viewer.add_image(np.zeros((9, 96, 128), np.uint8), name="stack", scale=scale)
    labels = add_strokes(driver.viewer, image, (PixelClass(1, "a", "#ff0000"),), home)
    guarded(driver.viewer)
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
