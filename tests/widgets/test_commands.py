from __future__ import annotations

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_unet.widgets.guard import Guard
from napari_unet.widgets.strokes import classes_of, path_of

SHAPE = 3, 32, 48
ENTRY = "File", "New Layer", "Labels for U-Net"


@pytest.fixture
def told() -> list[str]:
    """What napari showed."""
    told: list[str] = []
    hear = notification_manager.notification_ready.connect(lambda shown: told.append(shown.message))
    yield told
    notification_manager.notification_ready.disconnect(hear)


def _click_entry(driver) -> None:
    driver.activate()
    driver.menu("File", "New Layer", "Labels for U-Net (U-Net)")


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


def test_labels_over_a_photo_are_refused(driver, told):
    driver.viewer.add_image(np.zeros((40, 50, 3), np.uint8), name="photo")
    _click_entry(driver)
    assert len(told) == 1
    assert "photo is a colour image." in told[0]
    assert len(driver.viewer.layers) == 1
