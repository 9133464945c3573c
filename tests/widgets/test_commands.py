from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QPushButton

from napari_unet.config import SegmentConfig
from napari_unet.library import undo
from napari_unet.requests import Begin
from napari_unet.widgets.guard import Guard
from napari_unet.widgets.labelschoice import LabelsChoice
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.segment import SegmentPanel
from napari_unet.widgets.strokes import classes_of, path_of

from .conftest import panel_of, said
from .test_models import a_run

SHAPE = 3, 32, 48
ENTRY = "File", "New Layer", "Labels for U-Net (U-Net)"


@pytest.fixture
def told() -> list[str]:
    """What napari showed."""
    told: list[str] = []
    hear = notification_manager.notification_ready.connect(lambda shown: told.append(shown.message))
    yield told
    notification_manager.notification_ready.disconnect(hear)


def _click_entry(driver) -> None:
    driver.activate()
    driver.menu(*ENTRY)


def test_labels_from_the_menu(driver, told, home):
    viewer = driver.viewer
    _click_entry(driver)
    assert told == ["Open an image first: labels are painted over it."]
    assert len(viewer.layers) == 0

    first = viewer.add_image(np.zeros(SHAPE, np.uint8), name="first", scale=(2, 1, 1))
    viewer.add_image(np.zeros((2, 8, 8), np.uint8), name="second")
    ours = viewer.add_image(np.zeros((5, 8, 8)), name="weights", metadata={"napari-unet": {"weights": True}})
    viewer.layers.selection = {first}
    _click_entry(driver)
    labels = viewer.layers[-1]
    assert told[1:] == [f"{labels.name} is kept on disk while you paint, in {home.labels}."]
    assert (labels.data.shape, labels.mode, viewer.layers.selection.active) == (SHAPE, "paint", labels)
    assert np.allclose(labels.scale, first.scale)
    assert [each.name for each in classes_of(labels)] == ["interior", "membrane"]
    assert path_of(labels).parent == home.labels
    assert len(driver.window.findChildren(Guard)) == 1

    _click_entry(driver)  # the labels are selected now: over the topmost image that is no result
    assert viewer.layers[-1].data.shape == (2, 8, 8)
    viewer.layers.selection = {ours}
    _click_entry(driver)
    assert viewer.layers[-1].data.shape == (2, 8, 8)
    assert len(driver.window.findChildren(Guard)) == 1


def test_labels_from_the_menu_are_those_that_are_trained_on(driver, home):
    _stack(driver, "stack")
    panel = panel_of(driver, "Train")
    for _ in range(2):
        _click_entry(driver)
        assert panel.findChild(LabelsChoice).chosen() == [driver.viewer.layers.selection.active]


def test_labels_over_a_photo_are_refused(driver, told):
    driver.viewer.add_image(np.zeros((40, 50, 3), np.uint8), name="photo")
    _click_entry(driver)
    assert len(told) == 1
    assert "photo is a colour image." in told[0]
    assert len(driver.viewer.layers) == 1


# ---- one click


def _stack(driver, name: str, seed: int = 0):
    return driver.viewer.add_image(np.random.default_rng(seed).integers(0, 255, SHAPE, np.uint8), name=name)


def _one_click(driver) -> SegmentPanel:
    """Choose the entry in the menu of the layers."""
    driver.activate()
    driver.menu("Layers", "Segment", "U-Net", "Segment with last model (U-Net)")
    panel = driver.window.findChild(SegmentPanel)
    driver.wait(lambda: panel.isVisible() and panel.jobs is not None, 10)
    return panel


def _asked(driver, fake, count: int) -> list[SegmentConfig]:
    driver.wait(lambda: len(fake.asked(Begin)) >= count, 15)
    return [SegmentConfig(**begin.config) for begin in fake.asked(Begin)]


def test_one_click_without_an_image_says_what_to_do(driver):
    panel = _one_click(driver)
    assert said(panel, "reason") == "Open an image first: File > Open, or drag it into the window."
    assert not panel.jobs.running()


def test_one_click_previews_the_section_in_view_and_one_more_segments_the_stack(driver, fake, home):
    fake.does("finish")
    stack = _stack(driver, "stack")
    _stack(driver, "other", 1)
    driver.viewer.layers.selection = {stack}
    driver.show_section(2)
    panel = _one_click(driver)
    below = "other lies over U-Net preview; its eye in the layer list shows what is below."
    driver.wait(lambda: said(panel) == f"Previewed with em-membrane. {below}", 20)
    preview = driver.viewer.layers["U-Net preview"]
    assert preview.translate[0] == 2
    (asked,) = _asked(driver, fake, 1)
    assert asked.model == "em-membrane"
    assert asked.region.startswith("0:1,")  # of the copy of one section
    driver.click(panel.findChild(QPushButton, "segment"))
    asked = _asked(driver, fake, 2)[1]
    assert (asked.model, asked.region, asked.out) == ("em-membrane", "", home.segmentations / "stack-em-membrane.zarr")
    driver.wait(lambda: any(isinstance(each, Labels) and each.data.shape == SHAPE for each in driver.viewer.layers), 20)


@pytest.mark.slow
def test_the_preview_of_another_image_lies_over_that_one(driver, fake):
    fake.does("finish")
    lower, upper = _stack(driver, "lower"), _stack(driver, "upper", 1)
    for count, image in enumerate((lower, upper), start=1):
        driver.viewer.layers.selection = {image}
        panel = _one_click(driver)
        _asked(driver, fake, count)
        driver.wait(lambda panel=panel: said(panel).startswith("Previewed with em-membrane."), 20)
        names = [layer.name for layer in driver.viewer.layers]
        assert names.index("U-Net preview") == names.index(image.name) + 1
        assert driver.viewer.layers.selection == {image}


@pytest.mark.slow
def test_one_click_on_several_previews_the_first_that_can_be_segmented(driver, fake):
    fake.does("finish")
    photo = driver.viewer.add_image(np.zeros((*SHAPE, 3), np.uint8), name="photo")
    stack, another = _stack(driver, "stack"), _stack(driver, "another", 1)
    driver.viewer.layers.selection = {photo, stack, another}
    panel = _one_click(driver)
    driver.wait(lambda: said(panel).startswith("Previewed with em-membrane."), 20)
    driver.click(panel.findChild(QPushButton, "segment"))
    driver.wait(lambda: "photo" in said(panel, "stacks") and "colour image" in said(panel, "stacks"), 20)
    driver.wait(lambda: len(fake.asked(Begin)) == 3 and not panel.jobs.running(), 20)


def test_the_last_model_is_the_one_trained_or_used_last(driver, fake, home):
    fake.does("finish")
    _stack(driver, "stack")
    panel = panel_of(driver, "Segment")
    for name in ("older", "newer"):
        a_run(home.root, name)
    panel = _one_click(driver)
    model = panel.findChild(ModelChoice)
    driver.wait(lambda: said(panel) == "Previewed with newer.", 20)
    assert model.name() == str(home.runs / "newer")

    model.choose(str(home.runs / "older"))  # chosen, but not used
    _one_click(driver)
    driver.wait(lambda: len(fake.asked(Begin)) == 2 and said(panel) == "Previewed with newer.", 20)
    model.choose(str(home.runs / "older"))
    driver.click(panel.findChild(QPushButton, "preview"))
    driver.wait(lambda: said(panel) == "Previewed with older.", 20)
    _one_click(driver)
    driver.wait(lambda: len(fake.asked(Begin)) == 4 and said(panel) == "Previewed with older.", 20)

    a_run(home.root, "newest")
    _one_click(driver)
    driver.wait(lambda: said(panel) == "Previewed with newest.", 20)
    undo(home.runs / "newest")
    _one_click(driver)
    driver.wait(lambda: len(fake.asked(Begin)) == 6 and not panel.jobs.running(), 20)
    assert model.name() == str(home.runs / "newer")


def test_one_click_while_a_preview_is_computed_begins_no_other_one(driver, fake):
    fake.does("hang")
    _stack(driver, "stack")
    panel = _one_click(driver)
    _asked(driver, fake, 1)
    _one_click(driver)
    assert said(panel).startswith("A preview is being computed.")
    assert len(fake.asked(Begin)) == 1
    assert panel_of(driver, "Train").isVisible()
    _one_click(driver)  # from behind the tab of the other panel
    driver.wait(lambda: not panel.visibleRegion().isEmpty(), 5)
    assert len(driver.window.findChildren(SegmentPanel)) == 1
