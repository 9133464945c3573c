from __future__ import annotations

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QPushButton

from napari_unet.classes import PixelClass
from napari_unet.tiles import Box
from napari_unet.widgets.classes import ClassList
from napari_unet.widgets.newlabels import add_strokes
from napari_unet.widgets.strokes import path_of

from .conftest import panel_of

CLASSES = (PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00"))
TOLD = "Nothing is painted: {} does not reach this section. Click the number of a class to go where it lies."


def scene(driver, home, box: Box, depth: int, scale=(40, 4, 4)):
    """Show a stack, the panel, and labels on a part of the stack; return these two."""
    image = driver.viewer.add_image(np.zeros((depth, 120, 160), np.uint8), name="stack", scale=scale)
    panel = panel_of(driver, "Train")
    return panel, add_strokes(driver.viewer, image, CLASSES, home, box)


def brush_in_hand(driver, home, box: Box):
    """Show a stack of nine sections at section 4, with the brush on labels on a part of it; return these."""
    _, labels = scene(driver, home, box, 9)
    driver.show_section(4)
    labels.mode = "paint"
    return labels


@pytest.mark.parametrize("tool", ["paint", "fill"])
@pytest.mark.parametrize("z", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_nothing_is_painted_in_a_section_that_labels_do_not_reach(driver, home, z, tool) -> None:
    viewer = driver.viewer
    panel, labels = scene(driver, home, Box(3, 5, 0, 120, 0, 160), 6)
    labels.mode = tool
    labels.brush_size = 6
    driver.show_section(z)
    driver.stroke(labels, [(50, 60), (60, 80)])
    assert not np.asarray(labels.data).any()
    assert labels.mode == tool
    assert notification_manager.records[-1].message == TOLD.format(labels.name)
    driver.wait(lambda: path_of(labels) is not None and bool(panel.findChild(ClassList).findChildren(QPushButton)), 5)
    driver.click(panel.findChild(ClassList).findChildren(QPushButton)[0])
    assert viewer.dims.current_step[0] == (3 if z == 2 else 4)
    driver.stroke(labels, [(50, 60), (60, 80)])
    assert np.asarray(labels.data).any(axis=(1, 2)).tolist() == [z == 2, z == 5]


@pytest.mark.parametrize("tool", ["paint", "erase", "fill"])
def test_who_paints_beside_labels_is_told(driver, home, tool) -> None:
    _, labels = scene(driver, home, Box(0, 6, 40, 80, 0, 160), 6)
    labels.mode, labels.brush_size = tool, 6
    driver.stroke(labels, [(-20, 60), (-10, 80)])
    assert not np.asarray(labels.data).any()
    beside = f"Nothing is painted: {labels.name} is only for a part of the section, and that is elsewhere."
    assert notification_manager.records.pop().message == beside
    driver.stroke(labels, [(-20, 60), (10, 80)])
    assert beside not in [record.message for record in notification_manager.records]
    assert np.asarray(labels.data).any() == (tool != "erase")


@pytest.mark.slow
def test_where_columns_of_sections_are_looked_at_the_slider_leads_to_labels(driver, home) -> None:
    viewer = driver.viewer
    _, labels = scene(driver, home, Box(0, 30, 40, 80, 0, 160), 30, scale=(1, 1, 1))
    labels.mode = "paint"
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_point(1, 10)
    driver.stroke(labels, [(10, 60), (20, 80)])
    assert not np.asarray(labels.data).any()
    told = f"Nothing is painted: {labels.name} does not reach this section. Move the slider to where it lies."
    assert notification_manager.records[-1].message == told


def test_the_view_stays_where_labels_lie_while_somebody_paints(driver, home) -> None:
    viewer, labels = driver.viewer, brush_in_hand(driver, home, Box(3, 6, 0, 120, 0, 160))

    def leave() -> None:
        for _ in range(3):
            driver.press("Left")

    driver.stroke(labels, [(50, 60), (60, 140)], midway=leave)
    assert viewer.dims.current_step[0] == 3
    assert np.asarray(labels.data).any(axis=(1, 2)).tolist() == [True, True, False]
    leave()
    assert viewer.dims.current_step[0] == 0  # nobody paints now


def test_labels_that_are_removed_while_somebody_paints_hold_the_view_no_longer(driver, home) -> None:
    viewer, labels = driver.viewer, brush_in_hand(driver, home, Box(3, 6, 0, 120, 0, 160))

    def remove() -> None:
        viewer.layers.remove(labels)
        viewer.layers.remove("stack")
        viewer.add_image(np.zeros((9, 120, 160), np.uint8), name="stack", scale=(40, 4, 4))
        driver.show_section(0)
        assert viewer.dims.current_step[0] == 0

    driver.stroke(labels, [(50, 60), (60, 140)], midway=remove)


@pytest.mark.slow
def test_the_view_stays_where_labels_lie_while_a_stroke_of_the_right_button_is_open(driver, home) -> None:
    viewer, labels = driver.viewer, brush_in_hand(driver, home, Box(4, 5, 0, 120, 0, 160))
    driver.right_click(labels, (50, 60))
    driver.press("Left")
    assert viewer.dims.current_step[0] == 4
    driver.press("Escape")
    driver.press("Left")
    assert viewer.dims.current_step[0] == 3


def test_who_is_told_that_nothing_is_painted_looks_at_the_same_as_before(driver, home) -> None:
    viewer = driver.viewer
    _, labels = scene(driver, home, Box(4, 5, 0, 120, 0, 160), 9)
    driver.show_section(2)
    labels.mode = "paint"
    before = viewer.scene.camera.center
    driver.stroke(labels, [(50, 60), (60, 140)])
    assert viewer.scene.camera.center == before
    assert (labels.mode, labels.mouse_pan, labels.mouse_zoom) == ("paint", False, True)
