"""The page in napari's preferences, and what the panels take from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from napari._qt.dialogs.preferences_dialog import PreferencesDialog
from napari.settings import get_plugin_settings
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QToolButton, QWidget

from napari_unet.library import HOME, Library
from napari_unet.widgets.preferences import library_of

from .conftest import close_panel, panel_of, said


@contextmanager
def page(driver) -> Iterator[QWidget]:
    """Open napari's preferences at the page of this plugin."""
    driver.activate()
    driver.menu("File", "Preferences")
    (dialog,) = driver.window.findChildren(PreferencesDialog)
    (item,) = dialog._list.findItems("U-Net", Qt.MatchFlag.MatchExactly)
    dialog._list.setCurrentItem(item)
    driver.wait(dialog.isVisible, 10)
    yield dialog._stack.currentWidget()
    dialog.accept()


def _pick(page: QWidget, text: str) -> None:
    """Choose in the first combo box that offers `text`."""
    next(each for each in page.findChildren(QComboBox) if each.findText(text) >= 0).setCurrentText(text)


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
        _pick(shown, "cpu")
        assert _shown(panels, "device") == ["cpu", "cpu"]
        _pick(shown, "bfloat16")
        assert _shown(panels, "precision") == ["bfloat16", "bfloat16"]
        train.findChild(QComboBox, "device").setCurrentText("mps")  # chosen in the panel: it stays
        _pick(shown, "cuda")
        assert _shown(panels, "device") == ["mps", "cuda"]
        train.findChild(QToolButton, "device_back").click()
        assert _shown(panels, "device") == ["cuda", "cuda"]
    close_panel(driver, segment)
    get_plugin_settings("napari-unet").computing.device = "auto"
    assert _shown([train], "device") == ["automatic"]


def test_the_library_folder_counts_for_the_next_window(open_window, monkeypatch, tmp_path):
    monkeypatch.delenv(HOME)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    one = open_window()
    assert library_of(one.window) == Library(tmp_path / "napari-unet")
    get_plugin_settings("napari-unet").computing.library_folder = "data/unet"
    two = open_window()
    assert library_of(one.window) == Library(tmp_path / "napari-unet")
    assert library_of(two.window) == Library(tmp_path / "data" / "unet")
    monkeypatch.setenv(HOME, str(tmp_path / "named"))
    assert library_of(open_window().window) == Library(tmp_path / "named")


def test_a_library_that_cannot_be_written_is_said(driver, home):
    home.root.write_text("a file in the way")
    for name in ("Train", "Segment"):
        assert said(panel_of(driver, name)).startswith(f"Nothing can be kept in {home.root}: it cannot be written.")
