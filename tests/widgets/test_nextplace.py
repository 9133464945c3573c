"""Where to paint next: asked with the button or the key, shown place by place; with the fake worker."""

from __future__ import annotations

import numpy as np
import pytest
from app_model.types import KeyBinding
from napari.layers import Shapes
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton

from napari_unet.reader import OURS
from napari_unet.requests import Begin
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.nextplace import NAME, NextPlace
from napari_unet.widgets.sight import in_view
from napari_unet.widgets.train import TrainPanel

from .conftest import close_panel, panel_of, said

SHAPE = 4, 96, 128


@pytest.fixture
def panel(driver, fake) -> TrainPanel:
    """The panel beside an image with strokes; the last is finished at once."""
    fake.does("finish")
    driver.viewer.add_image(np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8), name="stack", scale=(9, 3, 3))
    driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes", scale=(9, 3, 3))
    return panel_of(driver, "Train")


def button(panel) -> QPushButton:
    return panel.findChild(QPushButton, "next-place")


def why(panel) -> str:
    return said(panel, "why")


def place(driver) -> tuple[int, int, int]:
    """Return section, first row and first column of the outline."""
    (layer,) = (each for each in driver.viewer.layers if each.name == NAME)
    assert isinstance(layer, Shapes)
    ((corner, *_),) = layer.data
    return tuple(np.round(np.add(corner, (0, 0.5, 0.5))).astype(int).tolist())


def searches(fake) -> list[dict]:
    return [begin.config for begin in fake.asked(Begin) if begin.verb == "suggest"]


def test_the_button_flies_from_place_to_place_and_says_why(driver, fake, panel):
    assert button(panel).text() == "Where next? (N)"
    driver.click(button(panel))
    driver.wait(lambda: "Reason 1." in why(panel), 20)
    assert why(panel) == "Place 1 of 3, section 3. Reason 1."
    assert (button(panel).text(), button(panel).toolTip()) == ("Next place (N)", "Goes to place 2 of 3. Key: N.")
    (asked,) = searches(fake)
    assert asked["model"] == "em-membrane"
    assert len(asked["labels"]) == 1

    image = driver.viewer.layers["stack"]
    for corner in ((3, 64, 96), (0, 0, 0), (3, 0, 0)):
        assert place(driver) == corner
        view = in_view(driver.viewer, image)
        z, y, x = corner
        assert view.z == z
        centre = np.array(driver.viewer.scene.camera.center[-2:]) / 3
        np.testing.assert_allclose(centre, (y + 15.5, x + 15.5), atol=0.01)
        assert min(y + 32, SHAPE[1]) <= view.y1
        assert view.y0 <= y
        outlines = [layer for layer in driver.viewer.layers if layer.metadata.get(OURS, {}).get("next place")]
        assert len(outlines) == 1
        if corner != (3, 0, 0):
            driver.click(button(panel))
    assert why(panel) == "Place 3 of 3, section 3. Reason 3."
    assert button(panel).text() == "Where next? (N)"  # the list is at its end
    driver.click(button(panel))
    assert not panel.findChild(QLabel, "why").isVisible() or "Reason 3." not in why(panel)
    driver.wait(lambda: len(searches(fake)) == 2 and "Reason 1." in why(panel), 20)
    assert searches(fake)[1]["seed"] == 1


def test_the_key_does_the_same_while_somebody_paints_and_is_given_back(driver, fake, panel):
    labels = driver.viewer.layers["strokes"]
    driver.viewer.layers.selection.active = labels
    driver.press("N")
    driver.wait(lambda: "Reason 1." in why(panel), 20)
    assert driver.viewer.layers.selection.active is labels
    driver.press("N")
    assert why(panel) == "Place 2 of 3, section 0. Reason 2."
    assert driver.viewer.dims.current_step[0] == 0
    close_panel(driver, panel)
    assert KeyBinding.from_str("N") not in driver.viewer.keymap
    driver.press("N")
    assert place(driver) == (0, 0, 0)


@pytest.mark.slow
def test_nothing_flies_in_the_midst_of_a_stroke(driver, fake, panel, qtbot):
    driver.click(button(panel))
    canvas = driver.viewer.window._qt_viewer.canvas.native
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=canvas.rect().center())
    driver.wait(lambda: bool(searches(fake)) and not panel.jobs.running(), 20)
    driver.press("N")
    qtbot.wait(200)
    assert why(panel).startswith("Looking for places")
    assert driver.viewer.dims.current_step[0] == 1
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=canvas.rect().center())
    driver.wait(lambda: "Reason 1." in why(panel), 5)
    assert driver.viewer.dims.current_step[0] == 3


def test_a_key_that_means_something_already_is_left_alone(driver, fake):
    pressed = []
    driver.viewer.bind_key("N", pressed.append)
    driver.viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack")
    panel = panel_of(driver, "Train")
    driver.press("N")
    assert len(pressed) == 1
    close_panel(driver, panel)
    driver.press("N")
    assert len(pressed) == 2
    assert searches(fake) == []


def test_a_search_can_be_stopped(driver, fake, panel):
    fake.does("wait")
    driver.click(button(panel))
    driver.wait(lambda: "1 of 2 views" in why(panel), 20)
    assert button(panel).text() == "Stop looking"
    driver.press("N")  # not another one
    driver.click(button(panel))
    driver.wait(lambda: why(panel) == "The search for places was stopped.", 20)
    assert button(panel).text() == "Where next? (N)"
    assert NAME not in driver.viewer.layers
    assert len(searches(fake)) == 1


@pytest.mark.parametrize("other", ["image", "model"])
def test_what_changes_during_the_search(driver, fake, panel, other):
    fake.does("wait")
    driver.click(button(panel))
    driver.wait(lambda: "1 of 2 views" in why(panel), 20)
    if other == "image":
        driver.viewer.add_image(np.zeros(SHAPE, np.uint8), name="other")
        panel._image.choose(driver.viewer.layers["other"])
    else:
        panel.findChild(ModelChoice).choose("em-membrane-small")
    fake.does("finish")
    said = {"image": "Another image is chosen now. Press Where next? (N) again.", "model": "Reason 1."}
    driver.wait(lambda: said[other] in why(panel), 20)
    assert button(panel).text() == {"image": "Where next? (N)", "model": "Next place (N)"}[other]


def test_what_goes_wrong_is_said(driver, fake, panel):
    fake.does("fail")
    driver.click(button(panel))
    driver.wait(lambda: why(panel) == "The model cannot be read. Choose another one.", 20)
    assert button(panel).isEnabled()


def test_the_button_says_why_it_cannot(driver, fake):
    panel = panel_of(driver, "Train")
    assert not button(panel).isEnabled()
    assert button(panel).toolTip().startswith("Open an image first")
    driver.press("N")
    driver.viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack")
    assert button(panel).isEnabled()
    panel.findChild(ModelChoice).choose("scratch")
    assert button(panel).toolTip() == "A model from scratch knows nothing yet. Train it first."
    assert not button(panel).isEnabled()


@pytest.mark.slow
def test_a_training_makes_the_list_a_thing_of_the_past(driver, fake, home, panel):
    driver.click(button(panel))
    driver.wait(lambda: "Reason 1." in why(panel), 20)
    driver.click(panel.findChild(QPushButton, "train"))
    driver.wait(lambda: panel.jobs.latest("train") is not None and not panel.jobs.latest("train").running, 20)
    assert button(panel).text() == "Where next? (N)"
    driver.click(button(panel))
    driver.wait(lambda: len(searches(fake)) == 2, 20)
    assert searches(fake)[1]["model"] == str(home.runs / "strokes")


@pytest.mark.slow
def test_another_image_has_another_list(driver, fake, panel):
    driver.click(button(panel))
    driver.wait(lambda: "Reason 1." in why(panel), 20)
    driver.viewer.layers.remove("stack")
    assert not button(panel).isEnabled()
    driver.viewer.add_image(np.zeros(SHAPE, np.uint8), name="other")
    assert button(panel).text() == "Where next? (N)"
    assert panel.findChild(NextPlace).isVisible()


@pytest.mark.slow
def test_the_key_leaves_3d_also_where_the_mouse_has_not_moved(driver, fake, panel):
    labels = driver.viewer.layers["strokes"]
    driver.viewer.layers.selection.active = labels
    driver.press("Ctrl+Y")
    assert driver.viewer.dims.ndisplay == 3
    driver.press("N")
    driver.wait(lambda: "Reason 1." in why(panel), 20)
    assert driver.viewer.dims.ndisplay == 2
    assert driver.viewer.dims.current_step[0] == 3
