from __future__ import annotations

import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QListWidget, QPushButton

from napari_unet.classes import PixelClass
from napari_unet.widgets.labelschoice import LabelsChoice
from napari_unet.widgets.strokes import new_strokes, set_classes

AB = (PixelClass(1, "a", "#ff0000"), PixelClass(2, "b", "#00ff00"))


@pytest.fixture
def choice(qtbot) -> LabelsChoice:
    choice = LabelsChoice(list)
    qtbot.addWidget(choice)
    choice.resize(250, 100)
    choice.show()
    return choice


def _labels(*names: str) -> list[Labels]:
    return [Labels(np.zeros((2, 4, 4), np.uint8), name=name) for name in names]


def _click_box(choice: LabelsChoice, row: int) -> None:
    boxes = choice.findChild(QListWidget)
    spot = boxes.visualItemRect(boxes.item(row))
    QTest.mouseClick(boxes.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(spot.left() + 10, spot.center().y()))


def test_a_layer_that_is_alone_is_ticked_once(qtbot, choice):
    a, b, c = _labels("a", "b", "c")
    with qtbot.waitSignal(choice.changed):
        choice.show_layers([a])
    assert choice.chosen() == [a]
    with qtbot.waitSignal(choice.changed):
        _click_box(choice, 0)
    assert choice.chosen() == []
    choice.show_layers([a])
    assert choice.chosen() == []  # it stays as the user left it
    choice.show_layers([b, a])
    assert choice.chosen() == []
    choice.show_layers([c])
    assert choice.chosen() == [c]


def test_ticks_follow_their_layers(choice):
    a, b, c = _labels("a", "b", "c")
    choice.show_layers([c, b, a])
    _click_box(choice, 0)
    _click_box(choice, 2)
    assert choice.chosen() == [c, a]
    a.name = "renamed"
    choice.show_layers([a, b, c])
    assert choice.chosen() == [a, c]
    assert choice.findChild(QListWidget).item(0).text() == "renamed"
    choice.show_layers([b, c])
    assert choice.chosen() == [c]
    choice.show_layers([])
    assert choice.chosen() == []


def test_choosing_one_is_one_change(qtbot, choice):
    a, b, c = _labels("a", "b", "c")
    choice.show_layers([a, b, c])
    _click_box(choice, 0)
    heard = []
    choice.changed.connect(lambda: heard.append(choice.chosen()))
    choice.choose_only(c)
    assert heard == [[c]]


@pytest.mark.parametrize(("row", "signal"), [(0, "new_for_stack"), (1, "new_for_view")])
def test_new_asks_what_for(qtbot, choice, row, signal):
    new = choice.findChild(QPushButton, "new")
    QTest.mouseClick(new, Qt.MouseButton.LeftButton)
    menu = new.menu()
    qtbot.waitUntil(menu.isVisible)
    with qtbot.waitSignal(getattr(choice, signal)):
        QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(menu.actions()[row]).center())


def test_earlier_labels_are_offered(qtbot, choice):
    new = choice.findChild(QPushButton, "new")
    (earlier,) = (each for each in new.menu().actions() if each.text() == "Earlier labels")
    QTest.mouseClick(new, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(new.menu().isVisible)
    assert not earlier.isEnabled()
    new.menu().close()


def test_classes_that_are_kept_with_the_labels(choice, tmp_path):
    image = Image(np.zeros((2, 8, 8), np.uint8), name="stack")
    a, b = (new_strokes(image, tmp_path, name) for name in "ab")
    choice.show_layers([a, b, *_labels("c")])
    for row in range(3):
        _click_box(choice, row)
    assert choice.kept_classes() == []
    set_classes(a, AB)
    assert choice.kept_classes() == [AB]
    assert not choice.classes_differ()
    set_classes(b, [PixelClass(1, "a", "#0000ff"), AB[1]])
    assert not choice.classes_differ()  # another colour is no other meaning
    set_classes(b, AB[:1])
    assert choice.classes_differ()
    _click_box(choice, 1)
    assert not choice.classes_differ()


def test_classes_are_seen_in_labels_in_memory_but_for_ids_and_what_others_tell_there(choice):
    plain, ids, told = _labels("plain", "ids", "told")
    ids.data[0, 0, 0] = 7
    told.features = {"index": [1], "area": [3.5]}
    before = ids.colormap
    choice.show_layers([plain, ids, told])
    for row in range(3):
        _click_box(choice, row)
    choice.show_classes(AB)
    for layer in (plain, told):
        assert [layer.get_color(each.value)[:3].tolist() for each in AB] == [[1, 0, 0], [0, 1, 0]]
    assert plain.features["class"].tolist() == ["a", "b"]
    assert told.features.columns.tolist() == ["index", "area"]
    assert ids.colormap is before
    choice.keep_classes([*AB, PixelClass(3, "c", "#0000ff")])
    assert plain.get_color(3)[:3].tolist() == [0, 0, 1]
    assert ids.colormap is before


def test_what_is_lazy_may_hold_ids_and_keeps_its_colours_when_it_is_painted_on(choice):
    lazy = Labels(zarr.array(np.full((2, 8, 8), 7, np.uint8)), name="lazy")
    before = lazy.colormap
    choice.show_layers([lazy])
    choice.show_classes(AB)
    lazy.selected_label = 1
    choice.painted_on(lazy)
    assert lazy.colormap is before


def test_what_is_damaged_keeps_its_colours(choice, tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(2, 8, 8), chunks=(1, 8, 8), dtype="u1", fill_value=0)
    array[:] = 1
    (tmp_path / "a.zarr/c/1/0/0").write_bytes(b"cut")
    lazy = Labels(array, name="lazy")
    before = lazy.colormap
    choice.show_layers([lazy])
    choice.show_classes(AB)
    assert lazy.colormap is before


@pytest.mark.parametrize("largest", [0, 2])
def test_what_is_lazy_and_holds_nothing_else_has_the_colours_of_its_classes(choice, tmp_path, largest):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(2, 8, 8), chunks=(1, 8, 8), dtype="u1", fill_value=0)
    array[:] = largest
    lazy = Labels(array, name="lazy")
    choice.show_layers([lazy])
    choice.show_classes(AB)
    assert [lazy.get_color(each.value)[:3].tolist() for each in AB] == [[1, 0, 0], [0, 1, 0]]


def test_classes_are_kept_with_labels_in_memory_too(choice):
    choice.show_layers(_labels("a", "b"))
    _click_box(choice, 0)
    choice.keep_classes(AB)
    _click_box(choice, 1)
    assert choice.kept_classes() == [AB]
    _click_box(choice, 0)
    choice.keep_classes(AB[:1])
    assert choice.kept_classes() == [AB[:1]]
    assert not choice.classes_differ()
    _click_box(choice, 0)
    assert choice.classes_differ()
