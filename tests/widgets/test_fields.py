"""What is typed, picked or stepped to in a row is the value of its field."""

from pathlib import Path

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QFileDialog, QLineEdit, QToolButton

from .test_form import on_screen, row, type_in


@pytest.fixture
def form(qtbot):
    return on_screen(qtbot)


def word(form, name):
    """What a row shows where no number stands."""
    line = row(form, name)
    line = line if isinstance(line, QLineEdit) else line.findChild(QLineEdit)
    return line.text() or line.placeholderText()


@pytest.mark.parametrize(
    ("name", "text", "value", "shown"),
    [
        ("learning_rate", "1e-4", 1e-4, "0.0001"),
        ("learning_rate", "0", 0.0, "chosen by the program"),
        ("learning_rate", "", 0.0, "chosen by the program"),
        ("border_weight", "2.50", 2.5, "2.5"),
        ("seed", "4294967295", 2**32 - 1, "4294967295"),
        ("crop", "128", 128, "128"),
        ("steps", "0", 0, "from the time"),
        ("threads", "", 0, "all cores"),
        ("threads", "2", 2, "2"),
        ("channel", "0", 0, "0"),
        ("channel", "", None, "automatic"),
        ("classes", "cell wall,lumen, ", ("cell wall", "lumen"), "cell wall, lumen"),
        ("start_from", "scratch", "scratch", "scratch"),
        ("out", "runs/mine", Path("runs/mine"), "runs/mine"),
    ],
)
def test_what_is_typed_is_understood_and_shown(name, text, value, shown, form, qtbot):
    type_in(qtbot, form, name, text)
    assert form.asdict()[name] == value
    assert word(form, name) == shown


@pytest.mark.parametrize(
    ("name", "key", "stops"),
    [
        ("crop", Qt.Key.Key_Up, [128, 144, 160]),
        ("crop", Qt.Key.Key_Down, [96, 80, 64, 48, 32, 16, 16]),
        ("batch", Qt.Key.Key_Down, [3, 2, 1, 1]),
        ("batch", Qt.Key.Key_PageUp, [14]),
        ("threads", Qt.Key.Key_Down, [0]),
        ("channel", Qt.Key.Key_Up, [0, 1]),
    ],
)
def test_arrows_go_to_the_next_number_that_is_allowed(name, key, stops, form, qtbot):
    for stop in stops:
        qtbot.keyClick(row(form, name), key)
        assert form.asdict()[name] == stop
    assert form.problem() == "Out is empty."


def test_below_the_first_channel_is_none_named(form, qtbot):
    form.set({"channel": 1})
    for stop in (0, None, None):
        qtbot.keyClick(row(form, "channel"), Qt.Key.Key_Down)
        assert form.asdict()["channel"] == stop


def test_boxes_are_ticked_and_choices_chosen(form, qtbot):
    with qtbot.waitSignal(form.changed):
        qtbot.mouseClick(row(form, "objects"), Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    qtbot.keyClick(row(form, "device"), Qt.Key.Key_Down)
    qtbot.keyClick(row(form, "width"), Qt.Key.Key_Down)
    assert {name: form.asdict()[name] for name in ("objects", "device", "width")} == {
        "objects": True,
        "device": "cpu",
        "width": 16,
    }


def test_a_path_can_be_picked(form, qtbot, monkeypatch, tmp_path):
    picked = iter([str(tmp_path / "run"), ""])
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (next(picked), ""))
    for button in [row(form, "out").findChild(QToolButton)] * 2:  # the second time, the dialog is cancelled
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        assert form.asdict()["out"] == tmp_path / "run"
