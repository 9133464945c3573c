"""Several stacks one after another, in a real window; the fake worker computes."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel, QMessageBox, QPushButton

from napari_unet.config import SegmentConfig
from napari_unet.events import Failed
from napari_unet.requests import Begin
from napari_unet.widgets.segment import SegmentPanel

from .conftest import close_panel, said

SHAPE = 3, 32, 48


class Person:
    """Somebody who selected several images and chose the entry in the menu."""

    def __init__(self, driver, fake, names) -> None:
        self.driver, self.fake, self.viewer = driver, fake, driver.viewer
        for seed, name in enumerate(names):
            pixels = np.random.default_rng(seed).integers(0, 255, SHAPE, np.uint8)
            self.viewer.add_image(pixels, name=name)
        self.viewer.layers.selection = set(self.viewer.layers)
        driver.activate()
        driver.menu("Layers", "Segment", "U-Net", "Segment with last model (U-Net)")
        self.panel = driver.window.findChild(SegmentPanel)
        self.wait(lambda: said(self.panel).startswith("Previewed with em-membrane."))

    def wait(self, condition) -> None:
        self.driver.wait(condition, 20)

    def press(self, name: str) -> None:
        self.driver.click(self.panel.findChild(QPushButton, name))

    def line(self) -> str:
        """Return what the panel says of the stacks."""
        label = self.panel.findChild(QLabel, "stacks")
        return label.text() if label.isVisible() else ""

    def asked(self) -> list[str]:
        """Return the names of the results that were asked for."""
        configs = [SegmentConfig(**begin.config) for begin in self.fake.asked(Begin)]
        return [config.out.stem.removesuffix("-em-membrane") for config in configs if not config.region]

    def results(self) -> list[str]:
        names = [each.name for each in self.viewer.layers if isinstance(each, Labels) and each.name != "U-Net preview"]
        return sorted(name.removesuffix("-em-membrane") for name in names)


@pytest.fixture
def person(driver, fake):
    fake.does("finish")
    person = Person(driver, fake, ("c", "b", "a"))
    yield person
    vars(person).clear()  # as for the driver


def test_several_stacks_follow_one_another_and_the_panel_says_so_before(person):
    segment = person.panel.findChild(QPushButton, "segment")
    assert segment.text() == "Segment 3 stacks"
    assert person.line() == (
        "Chosen: a, b, c. Segment 3 stacks does all of each, one after another, into layers of their own."
    )
    assert person.asked() == []
    person.fake.does("wait")
    person.press("segment")
    person.wait(lambda: person.asked() == ["a"])
    person.wait(lambda: person.line() == "2 more: b, c.")
    assert segment.text() == "Segment stack"
    assert segment.toolTip() == "A segmentation is running."
    person.fake.does("finish")
    person.wait(lambda: person.results() == ["a", "b", "c"])
    person.wait(lambda: not person.panel.jobs.running() and segment.isEnabled())
    assert person.asked() == ["a", "b", "c"]
    assert person.line() == ""


@pytest.mark.slow
def test_those_that_wait_can_be_cancelled(person):
    person.fake.does("wait")
    person.press("segment")
    person.wait(lambda: person.line() == "2 more: b, c.")
    person.press("cancel-stacks")
    assert person.line() == ""
    assert len(person.panel.jobs.running()) == 1
    person.fake.does("finish")
    person.wait(lambda: not person.panel.jobs.running())
    assert person.asked() == ["a"]


def test_closing_napari_says_which_stacks_are_not_begun_then(person):
    person.fake.does("wait")
    person.press("segment")
    person.wait(lambda: person.line() == "2 more: b, c." and len(person.results()) == 1)
    person.driver.window.windowHandle().close()
    (box,) = person.driver.window.findChildren(QMessageBox)
    job, waiting = box.text().split("\n")
    assert job.startswith("A segmentation is running: a-em-membrane, ")
    assert waiting == "Next: b, c. If napari is closed, that is not begun."
    QTest.keyClick(box, Qt.Key.Key_Escape)
    person.wait(lambda: not box.isVisible())
    assert person.line() == "2 more: b, c."


@pytest.mark.slow
def test_who_stops_one_stops_those_that_wait(person):
    person.fake.does("wait")
    person.press("segment")
    person.wait(lambda: person.line() == "2 more: b, c.")
    person.press("stop")
    person.wait(lambda: person.line() == "Not begun: b, c.")
    assert person.asked() == ["a"]
    assert person.panel.findChild(QPushButton, "segment").isEnabled()
    person.press("cancel-stacks")
    assert person.line() == ""


def test_one_that_fails_is_said_and_the_next_one_begins(person):
    person.fake.does("wait")
    person.press("segment")
    person.wait(lambda: person.line() == "2 more: b, c." and len(person.results()) == 1)
    person.viewer.layers.remove("b")
    assert person.line() == "2 more: b, c." or person.line() == "1 more: c."
    person.fake.does("fail")
    person.wait(lambda: isinstance(person.panel.jobs.latest("segment").outcome, Failed))
    person.fake.does("finish")
    person.wait(lambda: "c" in person.results())
    assert person.asked() == ["a", "c"]
    assert person.line().startswith("a was not segmented: The disk is full.")


@pytest.mark.slow
def test_another_image_or_cancel_takes_the_choice_back(person):
    person.press("cancel-stacks")
    assert person.line() == ""
    assert person.panel.findChild(QPushButton, "segment").text() == "Segment stack"
    person.press("segment")
    person.wait(lambda: person.results() == ["a"])
    assert person.asked() == ["a"]


@pytest.mark.slow
def test_stacks_follow_one_another_without_the_panel(person):
    person.fake.does("wait")
    person.press("segment")
    person.wait(lambda: person.line() == "2 more: b, c.")
    close_panel(person.driver, person.panel)
    person.fake.does("finish")
    person.wait(lambda: person.results() == ["a", "b", "c"])
