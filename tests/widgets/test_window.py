"""The window as a whole: what it loads, its menus, two of them at once, both themes."""

from __future__ import annotations

import subprocess
import sys

import npe2
import pytest
import zarr
from qtpy.QtWidgets import QPushButton

from napari_unet.widgets.segment import SegmentPanel
from napari_unet.widgets.train import TrainPanel

from .conftest import panel_of
from .driver import SCREEN

KINDS = {"Train": TrainPanel, "Segment": SegmentPanel}

WITHOUT_TORCH = """
import sys
import napari
viewer = napari.Viewer(show=True)
window = viewer.window._qt_window
viewer.open_sample("napari-unet", "fly-medulla")
for panel in ("Train", "Segment"):
    viewer.window.add_plugin_dock_widget("napari-unet", panel)
    for _ in range(20):
        napari.qt.get_qapp().processEvents()
from napari_unet.widgets.commands import new_labels
new_labels(viewer)
from napari_unet.widgets.jobs import Jobs
assert window.findChild(Jobs) is not None
assert len(viewer.layers) == 3
viewer.close()
sys.exit("torch was loaded" if "torch" in sys.modules else 0)
"""


def test_napari_never_loads_torch(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("menu", "entries"),
    [
        ("napari-unet/layers", {"napari-unet.train", "napari-unet.segment", "napari-unet.segment_last"}),
        ("napari/file/new_layer", {"napari-unet.new_labels"}),
    ],
)
def test_the_menus_name_what_the_plugin_offers(menu, entries):
    manifest = npe2.PluginManifest.from_distribution("napari-unet")
    assert {item.command for item in manifest.contributions.menus[menu]} == entries


def test_both_panels_fit_a_small_screen_in_both_themes(open_window):
    driver = open_window(SCREEN)
    for theme in ("dark", "light"):
        driver.viewer.theme = theme
        for name in ("Train", "Segment"):
            panel = panel_of(driver, name) if theme == "dark" else driver.window.findChild(KINDS[name])
            inside = panel.widget()
            assert panel.width() <= 340
            assert inside.minimumSizeHint().width() <= panel.viewport().width()
            assert (driver.window.width(), driver.window.height()) == SCREEN


@pytest.mark.slow
def test_two_windows_share_nothing(open_window, fake):
    one, two = open_window(), open_window()
    one.viewer.open_sample("napari-unet", "fly-medulla")
    # A menu acts on the window that is active, and a screen without a window manager activates none.
    for each in (one, two):
        each.viewer.window.add_plugin_dock_widget("napari-unet", "Train")
    first, second = (each.window.findChild(TrainPanel) for each in (one, two))
    one.wait(lambda: first.jobs is not None and second.jobs is not None, 10)
    assert first.jobs is not second.jobs
    assert "Open an image first" in second.reason.text()
    assert not first.reason.text()
    fake.does("wait")
    one.click(first.findChild(QPushButton, "train"))
    one.wait(lambda: first.jobs.latest("train") is not None, 20)
    assert second.jobs.latest("train") is None
    assert second.jobs.running() == []
    assert len(two.viewer.layers) == 0


def test_a_large_layer_of_ours_is_hidden_in_3d(driver, tmp_path):
    panel_of(driver, "Segment")
    empty = zarr.create_array(tmp_path / "large", shape=(200, 1024, 1024), chunks=(1, 512, 512), dtype="uint8")
    layer = driver.viewer.add_labels(empty, metadata={"napari-unet": {"path": "large"}})
    button = driver.viewer.window._qt_viewer.viewerButtons.ndisplayButton
    driver.click(button)
    assert driver.viewer.dims.ndisplay == 3
    assert not layer.visible
    driver.click(button)
    assert layer.visible
