from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QLabel, QPushButton, QToolButton

from napari_unet.requests import Begin
from napari_unet.widgets.looks import WEIGHTS_NAME
from napari_unet.widgets.newlabels import start_painting

from .conftest import close_panel, panel_of, said

SHAPE = 3, 64, 96
MEANING = "The brighter a pixel, the more it counts. Strokes that stay dark are held out to judge the training by."


def _panel(driver):
    """Return the panel, its advanced part unfolded, over a stack with painted labels."""
    driver.viewer.add_image(np.ones(SHAPE, np.uint8), name="stack", scale=(40, 4, 4), translate=(0, 8, 8))
    driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes", scale=(40, 4, 4), translate=(0, 8, 8))
    panel = panel_of(driver, "Train")
    driver.click(panel.findChild(QToolButton, "fold"))
    return panel


def test_examples_are_shown_in_a_window_and_weights_as_a_layer(driver, fake):
    viewer = driver.viewer
    panel = _panel(driver)
    strokes = viewer.layers["strokes"]
    driver.click(panel.findChild(QPushButton, "examples"))
    driver.wait(lambda: bool(panel.findChildren(QDialog, "mosaic")), 15)
    (window,) = panel.findChildren(QDialog, "mosaic")
    assert any("bent and shaded" in label.text() for label in window.findChildren(QLabel))
    assert "membrane" in window.findChildren(QLabel)[-1].text()
    assert said(panel).startswith("strokes is kept on disk from now on, in")
    window.close()

    start_painting(viewer, strokes, 2)
    driver.show_section(1)
    for _ in range(2):
        driver.click(panel.findChild(QPushButton, "weights"))
        assert panel.jobs is not None
        driver.wait(lambda: said(panel) == MEANING, 15)
        weights = viewer.layers[WEIGHTS_NAME]
        assert (weights.data.shape, tuple(weights.contrast_limits)) == (SHAPE, (0, 2))
        assert viewer.dims.current_step[0] == 0  # the nearest section that is painted
        assert np.allclose(weights.extent.world, viewer.layers["stack"].extent.world)
        assert (len(viewer.layers), viewer.layers.selection.active, strokes.mode) == (3, strokes, "paint")
        assert panel.findChild(QPushButton, "train").isEnabled()
    configs = [begin.config["out"] for begin in fake.asked(Begin)]
    assert len(set(configs)) == 3
    assert panel.jobs.latest("examples") is None  # nobody is asked to resume them
    assert panel.jobs.latest("train") is None


@pytest.mark.slow
def test_weights_move_nobody_in_the_midst_of_a_stroke(driver, fake, qtbot):
    panel = _panel(driver)
    driver.show_section(1)
    canvas = driver.viewer.window._qt_viewer.canvas.native
    driver.click(panel.findChild(QPushButton, "weights"))
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=canvas.rect().center())
    driver.wait(lambda: WEIGHTS_NAME in driver.viewer.layers and said(panel).endswith(MEANING), 15)
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=canvas.rect().center())
    assert driver.viewer.dims.current_step[0] == 1


@pytest.mark.slow
def test_looks_that_fail_or_whose_panel_is_closed_do_no_harm(driver, fake):
    fake.does("fail")
    panel = _panel(driver)
    driver.click(panel.findChild(QPushButton, "weights"))
    driver.wait(lambda: said(panel).endswith("Nothing is painted. Paint a few strokes of each class."), 15)
    fake.does("finish")
    driver.click(panel.findChild(QPushButton, "weights"))
    close_panel(driver, panel)
    driver.wait(lambda: WEIGHTS_NAME in driver.viewer.layers, 15)


@pytest.mark.slow
def test_no_window_opens_for_a_panel_that_was_closed(driver, fake, qtbot):
    panel = _panel(driver)
    fake.does("hang")
    driver.click(panel.findChild(QPushButton, "examples"))
    driver.wait(lambda: bool(panel.jobs.running()), 15)
    (job,) = panel.jobs.running()
    close_panel(driver, panel)
    fake.does("finish")
    driver.wait(lambda: not job.running, 15)
    qtbot.wait(50)
    assert panel.findChildren(QDialog, "mosaic") == []


def test_a_drawing_can_be_stopped(driver, fake):
    panel = _panel(driver)
    fake.does("hang")
    examples, weights = (panel.findChild(QPushButton, name) for name in ("examples", "weights"))
    driver.click(weights)
    driver.wait(lambda: weights.text() == "Stop drawing", 15)
    assert not examples.isEnabled()
    assert examples.toolTip() == "The other one is being drawn."
    driver.click(weights)
    driver.wait(lambda: said(panel).endswith("The drawing was stopped."), 5)
    assert (weights.text(), weights.isEnabled(), examples.isEnabled()) == ("Show weights", True, True)
    assert WEIGHTS_NAME not in driver.viewer.layers
