"""Shared by the tests of the window: a library of its own for each test, napari windows whose jobs are fake."""

from __future__ import annotations

import gc
import os

os.environ.setdefault("LP_NUM_THREADS", "0")  # draw without threads beside: both cores are busy with windows

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from napari import Viewer, settings
from napari._qt.dialogs.preferences_dialog import PreferencesDialog
from npe2 import PluginManifest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QDockWidget, QLabel, QWidget

from napari_unet.library import HOME, Library
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.panel import Panel

from .driver import SMALLER, Driver
from .fakeworker import FakeWorker


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each of two processes open half of the windows, before it does anything else: torch stays out of them."""
    files = sorted({item.path for item in items if item.path.is_relative_to(Path(__file__).parent)})
    half = {path: number % 2 for number, path in enumerate(files)}
    for item in items:
        if item.path in half:
            item.add_marker(pytest.mark.xdist_group(f"windows {half[item.path]}"))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Library:
    """The library of this test alone."""
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    return Library(tmp_path / "home")


@pytest.fixture(autouse=True)
def _own_preferences(tmp_path, monkeypatch) -> Iterator[None]:
    """Leave the user's preferences alone; napari reads them once a session."""
    monkeypatch.setattr(settings, "_CFG_PATH", str(tmp_path / "preferences" / "settings.yaml"))
    settings._clear_plugin_settings_cache()
    yield
    settings._clear_plugin_settings_cache()


@pytest.fixture(autouse=True, scope="session")
def _once() -> Iterator[None]:
    """Spare each window reading the manifests of plugins, saving preferences, looking for garbage in modules."""
    found = list(PluginManifest.discover())
    gc.freeze()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(settings.get_settings(), "_save_on_change", False)
        monkeypatch.setattr(PluginManifest, "discover", lambda **_: iter(found))
        yield


@pytest.fixture
def fake(tmp_path: Path) -> FakeWorker:
    """What the jobs of the test's windows do."""
    return FakeWorker(tmp_path / "fake")


@pytest.fixture
def _all_ended(qtbot, fake) -> Iterator[None]:
    """Wait for the processes, after the windows are closed."""
    yield
    fake.does("finish")
    qtbot.waitUntil(lambda: not _working(), timeout=10_000)


@pytest.fixture
def open_window(qtbot, fake, _all_ended, make_napari_viewer) -> Iterator[Callable[[], Driver]]:
    """Open napari windows, as many as are asked for; each with its own jobs, done by the fake worker."""
    drivers = []

    def open_window(size: tuple[int, int] = SMALLER) -> Driver:
        viewer: Viewer = make_napari_viewer(show=True)
        Jobs(viewer.window._qt_window, fake.command, patience=3)
        drivers.append(Driver(viewer, qtbot, size))
        return drivers[-1]

    yield open_window
    for driver in drivers:
        vars(driver).clear()  # pytest keeps it a while, and napari looks whether its windows are gone


@pytest.fixture
def driver(open_window) -> Driver:
    """One napari window."""
    return open_window()


def panel_of(driver: Driver, name: str) -> QWidget:
    """Open the panel "Train" or "Segment" through the menu and return it, once it knows what it computes on."""
    driver.activate()
    driver.menu("Plugins", "U-Net", f"{name} (U-Net)")
    (panel,) = (each for each in driver.window.findChildren(Panel) if type(each).__name__ == f"{name}Panel")
    driver.wait(lambda: panel.isVisible() and panel.jobs is not None and panel.jobs.ready is not None)
    return panel


def close_panel(driver: Driver, panel: QWidget) -> None:
    """Press the x of the dock that holds a panel."""
    (dock,) = (each for each in driver.window.findChildren(QDockWidget) if each.isAncestorOf(panel))
    driver.click(dock.titleBarWidget().close_button)
    driver.wait(lambda: not panel.isVisible())


@contextmanager
def page(driver: Driver) -> Iterator[QWidget]:
    """Open napari's preferences at the page of this plugin."""
    driver.activate()
    driver.menu("File", "Preferences")
    (dialog,) = driver.window.findChildren(PreferencesDialog)
    (item,) = dialog._list.findItems("U-Net", Qt.MatchFlag.MatchExactly)
    dialog._list.setCurrentItem(item)
    driver.wait(dialog.isVisible, 10)
    yield dialog._stack.currentWidget()
    dialog.accept()


def pick(page: QWidget, text: str) -> None:
    """Choose in the first combo box that offers `text`."""
    next(each for each in page.findChildren(QComboBox) if each.findText(text) >= 0).setCurrentText(text)


def said(panel: QWidget, name: str = "message") -> str:
    """Return what a line of a panel says."""
    return panel.findChild(QLabel, name).text()


def children() -> list[psutil.Process]:
    """Return the processes that the tests started, without the screen that they are shown on."""
    found = []
    for each in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # it ended just now
            if each.name() != "Xvfb":
                found.append(each)
    return found


def _working() -> list[psutil.Process]:
    _, alive = psutil.wait_procs(children(), timeout=0)
    return alive
