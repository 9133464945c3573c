from __future__ import annotations

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidget, QPushButton

from napari_unet.omezarr import open_array
from napari_unet.requests import Begin
from napari_unet.widgets.sight import in_view
from napari_unet.widgets.strokes import classes_of, path_of

from .conftest import panel_of, said

SHAPE = 6, 200, 300
STACK, VIEW = "For the whole stack", "For what is in view"


def _press_new(driver, panel, what: str) -> None:
    driver.choose(panel.findChild(QPushButton, "new"), what)


def _ticked(panel) -> list[str]:
    boxes = panel.findChild(QListWidget, "labels")
    items = [boxes.item(row) for row in range(boxes.count())]
    return [item.text() for item in items if item.checkState() == Qt.CheckState.Checked]


def test_new_labels_for_the_stack_are_ready_to_paint_on(driver, home):
    viewer = driver.viewer
    image = viewer.add_image(
        np.zeros(SHAPE, np.uint8), name="my stack", scale=(40, 4, 4), translate=(80, 8, 8), units=("nm",) * 3
    )
    viewer.add_labels(np.zeros(SHAPE, np.uint8), name="others")
    panel = panel_of(driver, "Train")
    _press_new(driver, panel, STACK)
    labels = viewer.layers[-1]
    assert said(panel) == (
        f"{labels.name} is kept on disk while you paint. Paint a few strokes of each class, then press Train."
    )
    assert viewer.layers.selection.active == labels
    assert (labels.mode, labels.selected_label, labels.data.shape) == ("paint", 1, SHAPE)
    assert np.allclose(labels.extent.world, image.extent.world)
    assert labels.units == image.units
    assert [each.name for each in classes_of(labels)] == ["interior", "membrane"]
    assert path_of(labels).parent == home.labels
    assert _ticked(panel) == [labels.name]
    driver.show_section(80 + 4 * 40)  # the others have steps of 1, and begin at 0
    driver.stroke(labels, [(100, 100), (100, 130)])
    assert open_array(path_of(labels) / "0")[4, 100, 115] == 1

    _press_new(driver, panel, STACK)
    assert path_of(viewer.layers[-1]) != path_of(labels)
    assert _ticked(panel) == [viewer.layers[-1].name]


def test_new_labels_leave_the_place_of_those_whose_folder_is_gone(driver, home):
    driver.viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack")
    panel = panel_of(driver, "Train")
    _press_new(driver, panel, STACK)
    first = driver.viewer.layers[-1]
    driver.stroke(first, [(100, 100), (100, 130)])
    path = path_of(first)
    away = path.rename(home.root / "away")
    driver.wait(lambda: not first.editable, 5)
    _press_new(driver, panel, STACK)
    second = driver.viewer.layers[-1]
    assert path_of(second) != path
    driver.stroke(second, [(50, 100), (50, 130)])
    away.rename(path)
    driver.wait(lambda: first.editable, 5)
    assert first.data[:].any()
    assert not np.array_equal(first.data[:], second.data[:])


@pytest.mark.parametrize("what", [STACK, VIEW])
def test_a_flat_image_is_shown_as_before_when_labels_come_over_it(driver, what):
    driver.viewer.add_image(np.zeros(SHAPE[1:], np.uint8), name="flat")
    camera = driver.viewer.scene.camera
    camera.center, camera.zoom = (0, 60, 90), 9
    panel = panel_of(driver, "Train")
    _press_new(driver, panel, what)
    assert driver.viewer.layers[-1].ndim == 3
    assert (camera.center, camera.zoom) == ((0, 60, 90), 9)


def test_a_number_paints_on_the_ticked_labels_that_are_in_hand(driver):
    viewer = driver.viewer
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack")
    panel = panel_of(driver, "Train")
    for _ in range(2):
        _press_new(driver, panel, STACK)
    lower, upper = viewer.layers[1:]
    boxes = panel.findChild(QListWidget, "labels")
    for row in range(2):
        boxes.item(row).setCheckState(Qt.CheckState.Checked)
    viewer.layers.selection.active = lower
    lower.visible = False
    two = next(button for button in panel.findChildren(QPushButton) if button.text() == "2")
    driver.click(two)
    assert viewer.layers.selection.active == lower
    assert (lower.selected_label, lower.mode, lower.visible) == (2, "paint", True)
    viewer.layers.selection.active = viewer.layers["stack"]
    driver.click(two)
    assert viewer.layers.selection.active == upper


def test_new_labels_for_the_view_lie_on_what_is_in_view(driver):
    viewer = driver.viewer
    image = viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack", scale=(40, 4, 4), translate=(80, 8, 8))
    panel = panel_of(driver, "Train")
    driver.show_section(3)
    viewer.scene.camera.zoom *= 4
    view = in_view(viewer, image, largest=10**9)
    _press_new(driver, panel, VIEW)
    labels = viewer.layers[-1]
    assert labels.data.shape == (1, view.y1 - view.y0, view.x1 - view.x0)
    assert labels.data.shape[1] < SHAPE[1]
    assert np.allclose(labels.data_to_world((0, 0, 0)), image.data_to_world((3, view.y0, view.x0)))
    driver.stroke(labels, [(20, 20), (20, 30)])
    assert labels.data[0, 20, 25] == 1


def test_labels_of_another_day_come_back_on_their_image(driver, fake, tmp_path):
    """The file knows the voxel size, the layer does not: so the labels' file is no guide to where the layer lies."""
    viewer = driver.viewer
    file = tmp_path / "stack.tif"
    micron = {"axes": "ZYX", "spacing": 0.05, "unit": "um"}
    tifffile.imwrite(file, np.zeros(SHAPE, np.uint8), imagej=True, resolution=(10, 10), metadata=micron)
    viewer.open(str(file))
    panel = panel_of(driver, "Train")
    driver.choose(panel.findChild(QPushButton, "new"), STACK)
    labels = viewer.layers[-1]
    driver.stroke(labels, [(50, 60), (60, 80)])
    painted = np.asarray(labels.data)
    assert painted.any()
    viewer.layers.clear()

    viewer.open(str(file))
    driver.choose(panel.findChild(QPushButton, "new"), "Earlier labels", labels.name)
    again = viewer.layers[-1]
    np.testing.assert_array_equal(np.asarray(again.data), painted)
    np.testing.assert_allclose(again.data_to_world((1, 2, 3)), viewer.layers[0].data_to_world((1, 2, 3)))
    assert _ticked(panel) == [again.name]
    assert [each.name for each in classes_of(again)] == ["interior", "membrane"]
    assert said(panel) == f"{again.name} goes on being kept on disk while you paint."
    driver.choose(panel.findChild(QPushButton, "new"), "Earlier labels", labels.name)
    assert len(viewer.layers) == 2
    driver.click(panel.findChild(QPushButton, "train"))
    driver.wait(lambda: len(fake.asked(Begin)) == 1, 10)

    viewer.layers.clear()
    viewer.add_image(np.zeros((2, 20, 30), np.uint8), name="another")
    driver.choose(panel.findChild(QPushButton, "new"), "Earlier labels", labels.name)
    assert said(panel).startswith(f"{again.name} does not fit on another.")
    assert len(viewer.layers) == 1


def test_new_labels_that_cannot_be_made_are_refused_in_a_sentence(driver):
    viewer = driver.viewer
    panel = panel_of(driver, "Train")
    _press_new(driver, panel, STACK)
    assert said(panel) == "Open an image first: File > Open, or drag it into the window."
    viewer.add_image(np.zeros((40, 50, 3), np.uint8), name="photo")
    _press_new(driver, panel, STACK)
    assert "photo is a colour image." in said(panel)
    viewer.layers.clear()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack")
    viewer.scene.camera.center = (0, 10_000, 10_000)
    _press_new(driver, panel, VIEW)
    assert said(panel) == "The image is not in view. Show a section of it, then press New again."
    viewer.dims.order = (1, 0, 2)
    _press_new(driver, panel, VIEW)
    assert said(panel) == "Go back to the 2-D view of rows and columns first."
    assert len(viewer.layers) == 1
