from __future__ import annotations

import gc
import shutil
import threading
import weakref

import numpy as np
import pytest
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDockWidget,
    QLabel,
    QListWidget,
    QPushButton,
    QScrollBar,
    QTabBar,
    QToolButton,
    QWidget,
)

from napari_unet.config import TrainConfig
from napari_unet.events import Ready, Started
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.panel import Panel

from .conftest import close_panel, panel_of, said
from .driver import LEFT, SCREEN, Driver
from .test_background import Paused
from .test_models import a_run


def dock_of(driver: Driver, panel: Panel) -> QDockWidget:
    (dock,) = (dock for dock in driver.window.findChildren(QDockWidget) if dock.isAncestorOf(panel))
    return dock


def to_front(driver: Driver, title: str) -> None:
    """Click the tab of a dock."""
    for bar in driver.window.findChildren(QTabBar):
        for index in range(bar.count()):
            if bar.tabText(index) == title:
                QTest.mouseClick(bar, LEFT, pos=bar.tabRect(index).center())


def raised(driver: Driver, panel: Panel) -> bool:
    """Tell whether the panel is in view, not behind a tab."""
    return not panel.visibleRegion().isEmpty()


def test_both_panels_are_tabs_in_one_place_of_at_most_340_pixels(open_window):
    driver = open_window(SCREEN)
    driver.viewer.add_image(np.zeros((4, 60, 80)), name="a name that is much too long to be shown in so narrow a panel")
    train = panel_of(driver, "Train")
    segment = panel_of(driver, "Segment")
    docks = dock_of(driver, train), dock_of(driver, segment)
    assert driver.window.tabifiedDockWidgets(docks[0]) == [docks[1]]
    driver.wait(lambda: raised(driver, segment) and not raised(driver, train), 5)
    for panel, dock in zip((train, segment), docks, strict=True):
        to_front(driver, dock.windowTitle())
        driver.wait(lambda panel=panel: raised(driver, panel), 5)
        driver.click(driver.find(panel, QToolButton, "fold"))
        driver.wait(lambda dock=dock: dock.width() <= 340, 5)
        inside = panel.widget()
        driver.wait(lambda panel=panel, inside=inside: inside.width() == panel.viewport().width(), 5)
        assert inside.minimumSizeHint().width() <= panel.viewport().width()
        for child in inside.findChildren(QWidget):
            if child.isVisible() and not isinstance(child, QScrollBar | QTabBar):
                assert child.mapTo(inside, child.rect().topRight()).x() < inside.width(), child.objectName()
    assert driver.window.width() == 1280


def test_the_names_of_rows_are_on_a_line_with_what_they_name(driver):
    driver.viewer.add_image(np.zeros((2, 8, 8), np.uint8), name="stack")
    driver.viewer.add_labels(np.zeros((2, 8, 8), np.uint8), name="strokes")
    panel = panel_of(driver, "Train")
    boxes = panel.findChild(QListWidget)
    first = boxes.visualItemRect(boxes.item(0)).center()
    (name,) = (each for each in panel.findChildren(QLabel) if each.text() == "Labels")
    line = name.mapTo(panel, name.contentsRect().center()).y()
    assert abs(boxes.viewport().mapTo(panel, first).y() - line) <= 2


def test_a_panel_that_floats_stays_where_it_is(driver):
    train = panel_of(driver, "Train")
    dock_of(driver, train).setFloating(True)
    segment = panel_of(driver, "Segment")
    driver.wait(lambda: raised(driver, segment), 5)
    assert dock_of(driver, train).isFloating()
    assert not dock_of(driver, segment).isFloating()
    assert driver.window.tabifiedDockWidgets(dock_of(driver, segment)) == []


def test_it_says_what_it_computes_on_and_what_to_do(driver):
    segment = panel_of(driver, "Segment")
    line = driver.find(segment, QLabel, "device")
    driver.wait(lambda: line.text() == "Computes on: the processor, 2 threads", 10)
    train = panel_of(driver, "Train")
    other = driver.find(train, QLabel, "device")
    assert other.text() == line.text()
    segment.jobs.ready = Ready("the processor", "Install a newer driver.")
    segment.jobs.became_ready.emit(segment.jobs.ready)
    for each in (line, other):
        assert each.text() == "Computes on: the processor\nNo GPU is used: Install a newer driver."


@pytest.mark.parametrize("name", ["Segment", "Train"])
def test_it_says_on_what_else_the_next_job_computes(driver, name):
    panel = panel_of(driver, name)
    driver.wait(lambda: said(panel, "device") == "Computes on: the processor, 2 threads", 10)
    driver.click(driver.find(panel, QToolButton, "fold"))
    driver.type(driver.find(panel, QAbstractSpinBox, "threads"), "1")
    more = "The next job, as Advanced says: threads 1."
    assert said(panel, "device") == f"Computes on: the processor, 2 threads\n{more}"
    driver.type(driver.find(panel, QAbstractSpinBox, "threads"), "0")
    assert said(panel, "device") == "Computes on: the processor, 2 threads"


def test_it_says_that_the_preferred_device_is_not_there(driver):
    panel = panel_of(driver, "Segment")
    driver.wait(lambda: panel.jobs.ready is not None, 10)
    panel.jobs.ready = Ready("", "This machine has no Apple GPU.")
    panel.jobs.became_ready.emit(panel.jobs.ready)
    assert said(panel, "device") == "Nothing can be computed: This machine has no Apple GPU."


def test_it_says_what_a_running_job_computes_on(driver, fake, tmp_path):
    panel = panel_of(driver, "Segment")
    job = panel.jobs.start("train", TrainConfig(inputs=("image", "labels"), out=tmp_path / "run"), "my-run")
    driver.wait(lambda: job.progress is not None)
    job._tell([Started("train", "the GPU", "")])
    assert said(panel, "device") == "Computes on: the processor, 2 threads and the GPU"
    job.events = [event for event in job.events if isinstance(event, Started) and event.device == "the GPU"]
    job._tell([Started("train", "the GPU", "")])
    other = panel_of(driver, "Train")
    assert said(panel, "device") == said(other, "device") == "Computes on: the GPU"
    job.stop()
    driver.wait(lambda: not job.running)
    assert said(panel, "device") == said(other, "device") == "Computes on: the processor, 2 threads"


def test_it_says_why_nothing_can_be_computed(driver):
    panel = panel_of(driver, "Segment")
    panel.jobs.ready, panel.jobs.trouble = None, "exit code 1: no <torch>"
    panel.jobs.broke.emit(panel.jobs.trouble)
    assert said(panel, "device") == (
        "Nothing can be computed: exit code 1: no <torch>.\nRun napari-unet doctor in a terminal; it tells more."
    )


def test_what_is_wrong_with_a_setting_is_said_in_plain_words(driver):
    def work():
        yield "half"

    panel = panel_of(driver, "Segment")
    panel.prepare(work(), lambda _: TrainConfig(inputs=("image",), out="run"))
    driver.wait(lambda: not panel.preparing and said(panel) != "")
    assert not said(panel).startswith("Value error")
    assert said(panel).endswith(".")
    assert not said(panel).endswith("..")


def test_a_model_that_went_while_the_panel_was_closed_is_told(driver, home):
    former = a_run(home.root, "strokes")
    panel = panel_of(driver, "Train")
    panel.findChild(ModelChoice).choose(former)
    close_panel(driver, panel)
    shutil.rmtree(former)
    assert said(panel_of(driver, "Train")).startswith("The model strokes is not chosen: ")


@pytest.mark.slow
def test_an_image_leaves_the_memory_after_a_preparation(driver):
    def work(image):
        yield "half"
        return image.name

    heard = []
    image = driver.viewer.add_image(np.zeros((4, 60, 80)), name="stack")
    panel = panel_of(driver, "Segment")
    panel.prepare(work(image), lambda name, image=image: heard.append(name))  # as Segment does
    driver.wait(lambda: heard == ["stack"])
    close_panel(driver, panel)
    driver.viewer.layers.clear()
    left = weakref.ref(image)
    del image, panel

    def gone() -> bool:
        gc.collect()
        return left() is None

    driver.wait(gone, 5)


@pytest.mark.slow
def test_two_windows_know_nothing_of_each_other(open_window):
    one, two = open_window(), open_window()
    first, second = panel_of(one, "Segment"), panel_of(two, "Segment")
    assert first.jobs is not second.jobs
    one.viewer.add_image(np.zeros((4, 60, 80)), name="stack")
    assert one.find(first, QPushButton, "segment").isEnabled()
    assert not two.find(second, QPushButton, "segment").isEnabled()


def test_the_choice_stays_with_its_layer(driver):
    panel = panel_of(driver, "Segment")
    changes = []
    panel._image.changed.connect(changes.append)
    box = driver.find(panel, QComboBox, "image")
    first = driver.viewer.add_image(np.zeros((4, 60, 80)), name="first")
    second = driver.viewer.add_image(np.zeros((4, 60, 80)), name="second")
    assert changes == [first]
    first.name = "renamed"
    driver.viewer.layers.move(0, 2)
    assert box.currentText() == "renamed"
    driver.viewer.layers.remove(first)
    assert box.currentText() == "second"
    assert changes == [first, second]
    driver.viewer.layers.clear()
    assert box.count() == 0


def test_a_window_closed_in_the_middle_of_a_preparation_says_nothing(driver, qtbot):
    paused = Paused()
    panel_of(driver, "Segment").prepare(paused.work(), lambda _: None)
    driver.wait(paused.begun.is_set, 5)
    threading.Timer(0.2, paused.go_on.set).start()
    with qtbot.capture_exceptions() as exceptions:
        driver.viewer.close()
        qtbot.wait(300)
        driver.wait(paused.cleaned.is_set, 5)
    assert exceptions == []
