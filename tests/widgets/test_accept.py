"""Predictions are accepted and corrected with the mouse, in a real window."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from napari.layers import Labels
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QPushButton

from napari_unet.classes import PixelClass
from napari_unet.marks import ACCEPTED, CORRECTED, marked
from napari_unet.problem import Problem
from napari_unet.requests import Join
from napari_unet.tiles import Box
from napari_unet.widgets import accept
from napari_unet.widgets.labelschoice import LabelsChoice
from napari_unet.widgets.newlabels import add_strokes
from napari_unet.widgets.place import placed
from napari_unet.widgets.result import show_preview
from napari_unet.widgets.strokes import path_of, set_classes

from .conftest import panel_of, said

CLASSES = (PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00"))
SHAPE = 5, 120, 160
Z, Y0, X0 = 3, 20, 30  # where the preview begins
SHIFT = Qt.KeyboardModifier.ShiftModifier


class Scene:
    """A stack in the window with labels on disk, the Train panel, and the preview of a part of a section."""

    def __init__(self, driver, home, **place) -> None:
        self.driver, self.viewer = driver, driver.viewer
        self.image = self.viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack", **place)
        self.labels = add_strokes(self.viewer, self.image, CLASSES, home)
        self.panel = panel_of(driver, "Train")
        self.button = self.panel.findChild(QPushButton, "accept")
        self.predicted = np.ones((80, 100), np.uint8)
        self.predicted[:, 40:] = 2
        self.predicted[30:34], self.predicted[50:54] = 255, 0
        driver.show_section(Z)

    def predict(self) -> None:
        """Show the preview."""
        self.preview = show_preview(self.viewer, self.image, self.predicted, CLASSES, Z, Y0, X0, "U-Net preview")
        self.driver.wait(self.button.isEnabled, 5)

    def accept(self) -> np.ndarray:
        """Accept along a short way; return what is marked then."""
        self.predict()
        self.driver.click(self.button)
        self.driver.stroke(self.labels, [(40, 40), (40, 60)])
        return self.marked(ACCEPTED)

    def expected(self) -> np.ndarray:
        """What is predicted, on the image."""
        whole = np.zeros(SHAPE, np.uint8)
        whole[Z, Y0 : Y0 + 80, X0 : X0 + 100] = np.where(self.predicted == 255, 0, self.predicted)
        return whole

    def painted(self) -> np.ndarray:
        """The labels as they are on disk."""
        return np.asarray(zarr.open_array(path_of(self.labels) / "0")[:])

    def marked(self, kind: str = CORRECTED) -> np.ndarray:
        """What is corrected, or accepted, in the section."""
        return marked(path_of(self.labels), kind, Z, self.painted()[Z])

    def why(self, text: str) -> None:
        """Wait until the button is disabled and says why."""
        self.driver.wait(lambda: not self.button.isEnabled() and text in self.button.toolTip(), 5)


@pytest.fixture
def scene(driver, home, request) -> Scene:
    scene = Scene(driver, home, **getattr(request, "param", {}))
    yield scene
    vars(scene).clear()  # napari checks that nobody holds a window that was closed


PLACES = pytest.mark.parametrize(
    "scene",
    [
        {"scale": (40, 4, 4), "translate": (400, -31, 17), "units": "nm"},
        pytest.param({"scale": (9, 2, 1)}, marks=pytest.mark.slow),
    ],
    indirect=True,
)


@PLACES
def test_the_brush_accepts_what_it_goes_over_and_one_undo_takes_it_back(scene) -> None:
    driver, labels = scene.driver, scene.labels
    driver.stroke(labels, [(40, 40), (40, 60)])  # of class 1, by hand
    by_hand = scene.painted()
    scene.predict()
    driver.click(scene.button)
    driver.stroke(labels, [(40, 10), (40, 150)])
    found = scene.painted()
    touched = found != by_hand
    assert not (touched & (by_hand > 0)).any()
    np.testing.assert_array_equal(found[touched], scene.expected()[touched])
    rows, columns = np.nonzero(found[Z])
    assert (columns.min(), columns.max()) == (30, 129)  # just what is predicted
    assert set(rows) == set(range(rows.min(), rows.max() + 1))
    assert found[Z, 40, 75] == 2
    assert said(scene.panel) == f"{touched.sum():,} pixels are accepted into {labels.name}."
    driver.show_section(0)
    driver.press("Ctrl+Z")
    driver.wait(lambda: driver.viewer.dims.current_step[0] == Z, 5)
    np.testing.assert_array_equal(scene.painted(), by_hand)
    assert not scene.marked(ACCEPTED).any()
    driver.wait(lambda: said(scene.panel) == "What was accepted last is taken back.", 5)
    driver.press("Ctrl+Shift+Z")
    driver.wait(lambda: said(scene.panel).endswith(f"pixels are accepted into {labels.name}."), 5)
    np.testing.assert_array_equal(scene.painted(), found)
    np.testing.assert_array_equal(scene.marked(ACCEPTED), touched[Z])
    assert not scene.marked().any()


@pytest.mark.slow
def test_what_is_painted_by_hand_where_something_was_accepted_and_undone_is_by_hand(scene) -> None:
    driver, labels = scene.driver, scene.labels
    accepted = scene.accept()
    assert accepted.any()
    driver.press("Ctrl+Z")
    driver.click(scene.button)
    labels.selected_label, labels.mode = 1, "paint"  # what was accepted there, too
    driver.stroke(labels, [(40, 40), (40, 60)])
    assert (scene.painted()[Z][accepted] == 1).all()
    assert not scene.marked(ACCEPTED).any()
    assert not scene.marked().any()


@pytest.mark.slow
def test_undo_tells_what_was_accepted_from_what_was_painted_there_later(scene) -> None:
    driver, labels = scene.driver, scene.labels
    accepted = scene.accept()
    driver.click(scene.button)
    labels.mode = "erase"
    driver.stroke(labels, [(40, 45), (40, 50)])
    labels.selected_label, labels.mode = 1, "paint"
    driver.stroke(labels, [(40, 45), (40, 50)])
    by_hand = accepted & ~scene.marked(ACCEPTED)
    assert by_hand.any()
    assert (scene.painted()[Z][by_hand] == 1).all()
    for _ in range(2):
        driver.press("Ctrl+Z")
    np.testing.assert_array_equal(scene.marked(ACCEPTED), accepted)


@pytest.mark.slow
def test_what_is_accepted_is_marked_before_it_is_painted(scene, monkeypatch) -> None:
    """Who reads or kills in the middle of a drag finds no pixel that looks as if painted by hand."""
    seen = []
    write = Labels.data_setitem

    def look(labels, *given):
        write(labels, *given)
        seen.append(((scene.painted()[Z] > 0) & ~scene.marked(ACCEPTED)).sum())

    monkeypatch.setattr(Labels, "data_setitem", look)
    scene.predict()
    scene.driver.click(scene.button)
    scene.driver.stroke(scene.labels, [(40, 40), (40, 90)])
    assert len(seen) > 2
    assert not any(seen)
    assert scene.marked(ACCEPTED).any()


def test_what_cannot_be_marked_is_not_accepted(scene, monkeypatch, capsys) -> None:
    def full(*_):
        raise Problem("The disk is full.")

    monkeypatch.setattr(accept, "mark_accepted", full)
    scene.predict()
    scene.driver.click(scene.button)
    scene.driver.stroke(scene.labels, [(40, 40), (40, 60)])
    assert capsys.readouterr().out.count("Nothing more is accepted. The disk is full.") == 1
    assert not scene.painted().any()


@pytest.mark.slow
@pytest.mark.parametrize("scene", [{"scale": (9, 2, 1)}], indirect=True)
def test_the_brush_is_as_large_as_naparis_own(scene) -> None:
    scene.predicted[:] = 1
    scene.labels.brush_size = 9
    scene.driver.stroke(scene.labels, [(40, 40), (40, 90)])
    by_hand = scene.painted() > 0
    scene.driver.press("Ctrl+Z")
    assert not scene.painted().any()
    scene.predict()
    scene.driver.click(scene.button)
    scene.driver.stroke(scene.labels, [(40, 40), (40, 90)])
    accepted = scene.painted() > 0
    # napari puts discs beside each other, so the straight sides of ours reach half a pixel further.
    assert not (by_hand & ~accepted).any()
    assert accepted.sum() < 1.15 * by_hand.sum()


@PLACES
def test_shift_and_drag_accepts_a_rectangle(scene) -> None:
    scene.predict()
    scene.driver.click(scene.button)
    frame, drawn = scene.viewer.canvas.overlays._zoom_box, []
    frame.events.visible.connect(lambda _: drawn.append(frame.visible))
    scene.driver.stroke(scene.labels, [(90, 100), (10, 50)], SHIFT)
    expected = scene.expected()
    expected[Z, :10] = expected[Z, 91:] = expected[Z, :, :50] = expected[Z, :, 101:] = 0
    np.testing.assert_array_equal(scene.painted(), expected)
    assert drawn == [True, False]
    scene.driver.press("Ctrl+Z")
    assert not scene.painted().any()
    scene.driver.stroke(scene.labels, [(5, 5), (15, 15)], SHIFT)
    scene.panel.findChild(accept.Accept)._look()  # the word on the drag before comes not after this one
    assert said(scene.panel).startswith("Nothing is accepted")


def test_a_drag_where_no_prediction_is_in_view_says_so(scene) -> None:
    scene.predict()
    scene.driver.click(scene.button)
    scene.driver.show_section(0)
    scene.driver.stroke(scene.labels, [(40, 50), (60, 80)])
    assert said(scene.panel) == "Nothing is accepted: no prediction is in view."
    assert not scene.painted().any()


def test_nothing_is_accepted_into_labels_whose_folder_is_gone(scene, home) -> None:
    scene.predict()
    scene.driver.click(scene.button)
    away = path_of(scene.labels).rename(home.root / "away")
    scene.driver.stroke(scene.labels, [(40, 40), (40, 60)])
    assert said(scene.panel) in ("", f"Nothing is accepted: {scene.labels.name} is not kept on disk any more.")
    scene.why("is not kept on disk any more")
    assert not scene.button.isChecked()
    away.rename(home.labels / f"{scene.labels.name}.zarr")
    scene.driver.wait(scene.button.isEnabled, 5)
    assert not scene.painted().any()


@pytest.mark.slow
def test_nothing_is_accepted_where_labels_do_not_reach(scene, home) -> None:
    viewer, driver = scene.viewer, scene.driver
    viewer.layers.remove(scene.labels)
    labels = add_strokes(viewer, scene.image, CLASSES, home, Box(Z + 1, Z + 2, Y0, Y0 + 40, X0, X0 + 100))
    driver.show_section(Z)
    scene.predict()
    driver.click(scene.button)
    driver.stroke(scene.preview, [(40, 50), (60, 80)])
    told = f"Nothing is accepted: {labels.name} does not reach this section. Click the number of a class to go"
    assert said(scene.panel).startswith(told)
    assert not np.asarray(labels.data).any()


@pytest.mark.slow
def test_a_rectangle_ends_where_the_button_is_released(scene) -> None:
    scene.predict()
    scene.driver.click(scene.button)
    scene.driver.swift(scene.labels, (40, 50), (60, 80), SHIFT)
    rows, columns = np.nonzero(scene.painted()[Z])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (40, 60, 50, 80)


@pytest.mark.parametrize("keys", [pytest.param(SHIFT, marks=pytest.mark.slow), Qt.KeyboardModifier.NoModifier])
def test_nothing_is_accepted_any_more_when_another_section_comes_into_view(scene, monkeypatch, keys) -> None:
    monkeypatch.setattr(
        accept, "predicted", lambda _, labels, voxels: np.ones(len(voxels), np.uint8)
    )  # in all sections
    scene.predict()
    scene.driver.click(scene.button)
    QTimer.singleShot(60, lambda: scene.driver.show_section(Z + 1))
    scene.driver.stroke(scene.labels, [(60, 40), (60, 129)], keys)
    assert scene.viewer.dims.current_step[0] == Z + 1
    assert not scene.painted()[Z + 1].any()
    if keys == SHIFT:
        assert not scene.painted().any()
        assert said(scene.panel) == "Nothing is accepted: another section came into view. Drag in one section."


def test_a_disabled_button_says_why(scene, home) -> None:
    scene.why("No prediction is in view")
    scene.predict()
    scene.driver.show_section(0)
    scene.why("No prediction is in view")
    scene.driver.show_section(Z)
    scene.driver.wait(scene.button.isEnabled, 5)
    scene.preview.visible = False
    scene.why("No prediction is in view")
    scene.preview.visible = True
    scene.driver.wait(scene.button.isEnabled, 5)
    other = scene.viewer.add_image(np.zeros(SHAPE, np.uint8), name="another")  # opaque, and above
    scene.why("No prediction is in view")
    other.translate = 0, 0, 60  # the preview shows beside it
    scene.viewer.layers.selection.active = scene.labels
    scene.driver.wait(scene.button.isEnabled, 5)
    scene.viewer.layers.remove(other)
    set_classes(scene.labels, (CLASSES[0], PixelClass(2, "vesicle", "#ffffff")))
    scene.why(f'2 is "membrane" in U-Net preview, but "vesicle" in {scene.labels.name}. Make the classes the same, or')
    scene.viewer.layers.remove(scene.labels)
    scene.why("Tick a labels layer, or press New")
    in_memory = scene.viewer.add_labels(np.zeros(SHAPE, np.uint8), name="mine")
    scene.panel.findChild(LabelsChoice).choose_only(in_memory)
    scene.why("mine is only in memory")


@pytest.mark.slow
def test_the_tool_is_put_away(scene) -> None:
    """With its button, by another tool, another layer, and when its panel is hidden."""
    scene.predict()
    labels, driver = scene.labels, scene.driver
    labels.mode = "paint"
    driver.click(scene.button)
    assert (labels.mode, labels.mouse_pan, labels.cursor) == ("pan_zoom", False, "circle")
    driver.click(scene.button)
    assert (labels.mode, labels.mouse_pan, labels.cursor) == ("paint", False, "circle")
    for away in (
        lambda: setattr(labels, "mode", "erase"),
        lambda: setattr(driver.viewer.layers.selection, "active", scene.image),
        scene.panel.hide,
    ):
        driver.viewer.layers.selection.active = labels
        driver.click(scene.button)
        away()
        driver.wait(lambda: not scene.button.isChecked(), 5)
        assert labels.mouse_pan == (labels.mode == "pan_zoom")


def test_painting_over_a_prediction_is_a_correction_until_it_is_undone(scene) -> None:
    driver, labels = scene.driver, scene.labels
    driver.stroke(labels, [(30, 40), (30, 120)])
    assert not scene.marked().any()  # nothing said anything else
    driver.press("Ctrl+Z")
    scene.predict()
    driver.stroke(labels, [(30, 40), (30, 120)])
    painted, marked = scene.painted(), scene.marked()
    assert (path_of(labels) / CORRECTED).is_dir()
    np.testing.assert_array_equal(marked, (painted[Z] == 1) & (scene.expected()[Z] == 2))
    assert marked.any()
    driver.press("Ctrl+Z")
    assert not scene.marked().any()
    driver.press("Ctrl+Shift+Z")
    np.testing.assert_array_equal(scene.marked(), marked)
    driver.press("Ctrl+Z")
    scene.preview.visible = False
    driver.stroke(labels, [(30, 40), (30, 120)])
    np.testing.assert_array_equal(scene.painted(), painted)
    assert not scene.marked().any()  # what is not seen is not corrected


@pytest.mark.slow
def test_painting_over_a_prediction_that_another_image_hides_is_no_correction(scene) -> None:
    scene.predict()
    scene.viewer.add_image(np.zeros(SHAPE, np.uint8), name="another", **placed(scene.image))
    scene.viewer.layers.selection.active = scene.labels
    scene.driver.stroke(scene.labels, [(30, 40), (30, 120)])
    assert scene.painted().any()
    assert not scene.marked().any()


def test_nobody_paints_on_what_is_computed(scene) -> None:
    scene.predict()
    scene.preview.editable = True  # as one that was opened from a file
    scene.viewer.layers.selection.active = scene.preview
    scene.driver.wait(lambda: "is computed and stays as it is" in said(scene.panel), 5)
    assert said(scene.panel).endswith(f"To correct it, click a class number, and paint on {scene.labels.name}.")
    before = scene.preview.data.copy()
    scene.driver.press("P")
    scene.driver.stroke(scene.preview, [(10, 10), (10, 60)])
    np.testing.assert_array_equal(scene.preview.data, before)


def test_what_is_accepted_joins_a_training(scene, fake) -> None:
    driver, labels = scene.driver, scene.labels
    driver.stroke(labels, [(30, 40), (30, 120)])
    driver.click(scene.panel.findChild(QPushButton, "train"))
    driver.wait(lambda: "U-Net training preview" in scene.viewer.layers, 20)  # of class 2 all over
    driver.wait(scene.button.isEnabled, 5)
    driver.click(scene.button)
    driver.stroke(labels, [(60, 40), (60, 120)])
    driver.wait(lambda: (scene.painted()[Z] == 2).any(), 5)
    driver.wait(lambda: bool(fake.asked(Join)), 10)
    assert fake.asked(Join)[-1].sections == (Z,)


def test_a_rectangle_that_is_too_large_is_refused(scene, monkeypatch) -> None:
    monkeypatch.setattr(accept, "_MOST", 100)
    scene.predict()
    scene.driver.click(scene.button)
    scene.driver.stroke(scene.labels, [(40, 40), (60, 60)], SHIFT)
    assert said(scene.panel).startswith("The rectangle is too large: at most")
    assert not scene.painted().any()
