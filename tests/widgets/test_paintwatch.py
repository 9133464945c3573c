from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from napari.layers._layer_actions import _duplicate_layer

from napari_unet import disk
from napari_unet.classes import PixelClass
from napari_unet.widgets import paintwatch
from napari_unet.widgets.labelfolder import stamps
from napari_unet.widgets.paintwatch import PaintWatch
from napari_unet.widgets.strokes import missing, new_strokes, open_strokes, path_of, set_classes


@pytest.fixture
def viewer(make_napari_viewer, monkeypatch):
    monkeypatch.setattr(paintwatch, "_EVERY", 30)
    return make_napari_viewer()


@pytest.fixture
def labels(viewer, tmp_path):
    image = viewer.add_image(np.zeros((5, 700, 600), np.uint8), name="stack")
    return viewer.add_layer(new_strokes(image, tmp_path, "strokes"))


@pytest.fixture
def heard(viewer, labels, tmp_path):
    """A watch of the viewer, and what it tells."""
    watch, heard = PaintWatch(viewer, tmp_path), []
    watch.painted.connect(lambda path, sections: heard.append((path, sections)))
    heard.append(watch)  # so that it lives
    return heard


def told(heard) -> set[int]:
    return {z for _, sections in heard[1:] for z in sections}


def paint(labels, z: int, value: int = 1) -> None:
    labels.data_setitem(tuple(np.array([[z, 600, 10], [z, 600, 11]]).T), value)


def test_sections_are_told_when_they_are_painted_erased_undone_and_redone(qtbot, labels, heard) -> None:
    paint(labels, 1)
    qtbot.waitUntil(lambda: told(heard) == {1})
    paint(labels, 3)
    qtbot.waitUntil(lambda: told(heard) == {1, 3})
    for change in (labels.undo, labels.redo, lambda: paint(labels, 3, 0)):
        del heard[1:]
        change()
        qtbot.waitUntil(lambda: told(heard) == {3})
    assert {path for path, _ in heard[1:]} == {path_of(labels)}
    assert stamps(path_of(labels)).keys() >= {1}
    qtbot.wait(200)
    assert len(heard) == 2  # nothing more is told of what does not change


def test_a_section_that_is_painted_without_a_pause_is_told_all_the_same(qtbot, labels, heard) -> None:
    def still_painting() -> bool:
        paint(labels, 2, 1 + int(labels.data[2, 600, 10] == 1))
        return told(heard) == {2}

    qtbot.waitUntil(still_painting)


def test_what_was_painted_before_is_not_told(qtbot, viewer, labels, tmp_path) -> None:
    paint(labels, 1)
    watch, heard = PaintWatch(viewer, tmp_path), []
    watch.painted.connect(lambda *told: heard.append(told))
    qtbot.wait(200)
    assert heard == []


def test_every_stroke_is_synced_and_a_layer_that_is_removed_is_forgotten(
    qtbot, viewer, labels, heard, monkeypatch
) -> None:
    synced = []

    def fsync(number: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{number}").readlink()))
        assert threading.current_thread() is not threading.main_thread()

    monkeypatch.setattr(disk.os, "fsync", fsync)
    path = path_of(labels)
    for z in (0, 4):
        paint(labels, z)
        files = {str(path / f"0/c/{z}/1/0"), str(path / f"0/c/{z}/1"), str(path / "0/c")}
        qtbot.waitUntil(lambda files=files: files <= set(synced))
    viewer.layers.remove(labels)
    qtbot.wait(100)
    synced.clear()
    labels.data[2, 0, 0] = 1
    qtbot.wait(200)
    assert synced == []


@pytest.fixture
def synced(monkeypatch) -> list[str]:
    """The files and folders that are synced."""
    synced: list[str] = []
    monkeypatch.setattr(disk.os, "fsync", lambda number: synced.append(str(Path(f"/proc/self/fd/{number}").readlink())))
    return synced


def test_what_was_painted_before_the_first_look_and_after_the_last_is_synced(
    qtbot, viewer, labels, synced, tmp_path
) -> None:
    path = path_of(labels)
    paint(labels, 1)
    watch = PaintWatch(viewer, tmp_path)
    qtbot.waitUntil(lambda: str(path / "0/c/1/1/0") in synced)
    paint(labels, 2)
    viewer.layers.remove(labels)
    qtbot.waitUntil(lambda: str(path / "0/c/2/1/0") in synced)
    assert watch is not None


def test_classes_are_synced(qtbot, labels, heard, synced) -> None:
    path = path_of(labels)
    set_classes(labels, (PixelClass(1, "cell", "#ff0000"),))
    qtbot.waitUntil(lambda: str(path / "zarr.json") in synced)


def test_undo_shows_its_section_in_a_layer_that_was_removed_and_added_again(qtbot, viewer, labels, heard) -> None:
    path, image = path_of(labels), viewer.layers["stack"]
    viewer.layers.remove(labels)
    again = viewer.add_layer(open_strokes(image, path))
    qtbot.waitUntil(lambda: bool(again.keymap))


def test_a_disk_that_does_not_keep_it_is_told(qtbot, labels, heard, monkeypatch) -> None:
    said = []
    monkeypatch.setattr(paintwatch, "show_warning", said.append)

    def fsync(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(disk.os, "fsync", fsync)
    paint(labels, 1)
    qtbot.waitUntil(lambda: bool(said))
    assert said[0].startswith("What you paint may not be safe on the disk: Input/output error (")


def test_labels_whose_folder_is_gone_are_told(qtbot, labels, heard, tmp_path, capsys) -> None:
    paint(labels, 1)
    qtbot.waitUntil(lambda: told(heard) == {1})
    path, labels.mode = path_of(labels), "erase"
    path.rename(tmp_path / "elsewhere")
    qtbot.waitUntil(lambda: "strokes is not kept on disk any more" in capsys.readouterr().out)
    assert not labels.editable
    assert labels.mode == "pan_zoom"
    labels.paint((2, 5, 5), 1)  # before that was found
    shutil.rmtree(path)
    (tmp_path / "elsewhere").rename(path)
    qtbot.waitUntil(lambda: labels.editable)
    assert labels.mode == "erase"
    paint(labels, 3)
    qtbot.waitUntil(lambda: 3 in stamps(path))


def test_no_labels_get_the_name_of_those_that_somebody_else_made(qtbot, viewer, labels, tmp_path):
    shutil.rmtree(tmp_path / ".used")  # so it is with labels that were copied from another machine
    watch = PaintWatch(viewer, tmp_path)
    qtbot.waitUntil((tmp_path / ".used").exists)
    path_of(labels).rename(tmp_path / "elsewhere")
    others = new_strokes(viewer.layers["stack"], tmp_path, "strokes")
    assert path_of(others).name == "strokes-2.zarr"
    assert watch.parent() is None


def test_labels_put_in_the_place_of_others_are_not_taken_for_them(qtbot, viewer, labels, heard, tmp_path, capsys):
    paint(labels, 1)
    path = path_of(labels)
    away = path.rename(tmp_path / "elsewhere")
    qtbot.waitUntil(lambda: not labels.editable)
    others = viewer.add_layer(new_strokes(viewer.layers["stack"], tmp_path, "others"))
    path_of(others).rename(path)
    found = []
    qtbot.waitUntil(
        lambda: f"{path} holds other labels now" in (found.append(capsys.readouterr().out) or "".join(found))
    )
    assert (labels.editable, missing(labels)) == (False, path)
    assert "again" not in "".join(found)
    path.rename(tmp_path / "others.zarr")
    away.rename(path)
    qtbot.waitUntil(lambda: labels.editable)


def test_a_duplicate_of_labels_whose_folder_is_gone_cannot_be_painted_on(qtbot, viewer, labels, heard, tmp_path):
    viewer.layers.selection = {labels}
    _duplicate_layer(viewer.layers)
    copy = viewer.layers["strokes copy"]
    qtbot.wait(50)  # a look
    path = path_of(labels)
    away = path.rename(tmp_path / "elsewhere")
    qtbot.waitUntil(lambda: not labels.editable)
    assert not copy.editable
    viewer.layers.selection = {labels}
    _duplicate_layer(viewer.layers)
    later = viewer.layers["strokes copy [1]"]
    qtbot.waitUntil(lambda: not later.editable)
    away.rename(path)
    qtbot.waitUntil(lambda: labels.editable)
    assert copy.editable
    assert later.editable


def test_a_window_has_one_watch(viewer) -> None:
    window = viewer.window._qt_window
    assert PaintWatch.of(window, viewer) is PaintWatch.of(window, viewer)


def test_a_duplicate_that_shares_the_labels_on_disk_is_told(viewer, qtbot, labels, heard, capsys) -> None:
    viewer.layers.selection = {labels}
    _duplicate_layer(viewer.layers)
    qtbot.waitUntil(lambda: "strokes copy is no copy" in capsys.readouterr().out, timeout=3000)
    qtbot.wait(100)
    assert "no copy" not in capsys.readouterr().out  # once
