"""The page in napari's preferences, and what the panels take from it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.settings import get_plugin_settings
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton, QToolButton, QWidget

from napari_unet.library import HOME, Library
from napari_unet.widgets.preferences import library_of, sessions_of

from .conftest import close_panel, page, panel_of, pick, said
from .fakeworker import DEVICE


def _shown(panels: Sequence[QWidget], name: str) -> list[str]:
    return [panel.findChild(QComboBox, name).currentText() for panel in panels]


def test_the_page_has_all_three_in_words(driver):
    with page(driver) as shown:
        texts = {label.text() for label in shown.findChildren(QLabel)}
        assert {"Device", "Precision", "Library folder"} <= texts
        offered = [[box.itemText(row) for row in range(box.count())] for box in shown.findChildren(QComboBox)]
        assert offered == [["auto", "cpu", "cuda", "mps"], ["auto", "float32", "bfloat16"]]


def test_the_panels_take_what_is_preferred(driver):
    panels = train, segment = panel_of(driver, "Train"), panel_of(driver, "Segment")
    with page(driver) as shown:
        pick(shown, "cpu")
        assert _shown(panels, "device") == ["cpu", "cpu"]
        pick(shown, "bfloat16")
        assert _shown(panels, "precision") == ["bfloat16", "bfloat16"]
        train.findChild(QComboBox, "device").setCurrentText("mps")  # chosen in the panel: it stays
        pick(shown, "cuda")
        assert _shown(panels, "device") == ["mps", "cuda"]
        train.findChild(QToolButton, "device_back").click()
        assert _shown(panels, "device") == ["cuda", "cuda"]
    close_panel(driver, segment)
    get_plugin_settings("napari-unet").computing.device = "auto"
    assert _shown([train], "device") == ["automatic"]


def test_the_panels_say_what_the_preferred_machine_is(driver):
    panels = panel_of(driver, "Train"), panel_of(driver, "Segment")
    driver.wait(lambda: {said(each, "device") for each in panels} == {f"Computes on: {DEVICE}"}, 10)
    with page(driver) as shown:
        pick(shown, "bfloat16")
        driver.wait(lambda: {said(each, "device") for each in panels} == {f"Computes on: {DEVICE}, bfloat16"}, 10)


def test_the_library_folder_counts_for_the_next_window(open_window, monkeypatch, tmp_path):
    monkeypatch.delenv(HOME)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    one = open_window()
    assert library_of(one.window) == Library(tmp_path / "napari-unet")
    get_plugin_settings("napari-unet").computing.library_folder = "data/unet"
    two = open_window()
    assert library_of(one.window) == Library(tmp_path / "napari-unet")
    assert library_of(two.window) == Library(tmp_path / "data" / "unet")
    assert {sessions_of(each.window) for each in (one, two)} == {tmp_path / "napari-unet" / "sessions"}
    monkeypatch.setenv(HOME, str(tmp_path / "named"))
    assert library_of(open_window().window) == Library(tmp_path / "named")


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EACCES])
def test_panels_open_where_the_disk_of_the_library_does_not_answer_and_work_when_it_does(
    driver, home, monkeypatch, number
):
    home.root.mkdir()
    with monkeypatch.context() as patch:
        for name in ("stat", "lstat", "scandir", "listdir", "mkdir", "open"):
            patch.setattr(os, name, _refusing(getattr(os, name), home.root, number))
        panels = [panel_of(driver, name) for name in ("Train", "Segment")]
        for panel in panels:
            assert said(panel).startswith(f"Nothing can be kept in {home.root}: it cannot be written.")
        driver.wait(lambda: all(said(panel, "device").startswith("Computes on: the") for panel in panels), 10)
    driver.viewer.add_image(np.zeros((2, 40, 40), np.uint8), name="stack")
    driver.wait(panels[1].findChild(QPushButton, "segment").isEnabled, 10)
    driver.click(panels[1].findChild(QPushButton, "segment"))
    driver.wait(lambda: panels[1].findChild(QPushButton, "stop").isVisible(), 10)


def _refusing(function: Callable[..., Any], folder: Path, number: int) -> Callable[..., Any]:
    """Return a function of the system that refuses all below a folder."""

    def refusing(path: Any = ".", *args: Any, **options: Any) -> Any:
        if not isinstance(path, int) and Path(os.fsdecode(path)).is_relative_to(folder):
            raise OSError(number, os.strerror(number), str(path))
        return function(path, *args, **options)

    return refusing


def test_a_library_that_cannot_be_written_is_said(driver, home):
    home.root.write_text("a file in the way")
    for name in ("Train", "Segment"):
        assert said(panel_of(driver, name)).startswith(f"Nothing can be kept in {home.root}: it cannot be written.")
