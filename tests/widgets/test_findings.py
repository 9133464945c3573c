"""Findings in the Train panel: said while somebody paints, gone to by a click, mended, looked for by the model."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton

from napari_unet.config import CheckConfig
from napari_unet.requests import Begin
from napari_unet.widgets import handover, proofreader
from napari_unet.widgets.findings import Findings
from napari_unet.widgets.labelschoice import LabelsChoice
from napari_unet.widgets.strokes import new_strokes, path_of

from .conftest import close_panel, panel_of, said

SHAPE = 5, 200, 300
PLACE = {"scale": (40, 4, 4), "translate": (0, 8, 8)}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch) -> None:
    monkeypatch.setattr(proofreader, "_PAUSE", 50)


def _panel(driver, home, painted=()):
    """A panel over a stack, with labels on disk: boxes (z, y0, y1, x0, x1, value)."""
    image = driver.viewer.add_image(np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8), name="stack", **PLACE)
    layer = new_strokes(image, home.labels, "strokes")
    for z, y0, y1, x0, x1, value in painted:
        layer.data[z, y0:y1, x0:x1] = value
    driver.viewer.add_layer(layer)
    return panel_of(driver, "Train"), layer


GOOD = [(1, 20, 26, 20, 200, 1), (1, 60, 66, 20, 200, 2)]


def _lines(panel) -> list[str]:
    found = panel.findChild(Findings)
    return [
        line.findChild(QLabel).text()
        for line in found.findChildren(QPushButton)
        if line.objectName().startswith("finding-") and line.isVisible()
    ]


def _line(panel, kind: str) -> QPushButton:
    return panel.findChild(QPushButton, f"finding-{kind}")


def _middle(driver) -> list[int]:
    """The voxel of the stack in the middle of the view."""
    z = driver.viewer.dims.point[0] / 40
    y, x = (np.array(driver.viewer.scene.camera.center)[-2:] - 8) / 4
    return [round(z), round(y), round(x)]


def test_a_finding_is_said_while_one_paints_gone_to_and_gone_when_mended(driver, home) -> None:
    panel, layer = _panel(driver, home, GOOD)
    driver.wait(lambda: panel.findChild(Findings).isVisible())
    assert _lines(panel) == []
    layer.data_setitem((np.array([3]), np.array([150]), np.array([250])), 1)
    driver.wait(lambda: len(_lines(panel)) == 1, 20)
    assert _lines(panel) == ["Section 3: a dot of 1 pixel of interior. Erase it, if it is a slip of the brush."]
    layer.mode = "paint"
    driver.viewer.layers.selection.active = driver.viewer.layers["stack"]
    driver.click(_line(panel, "strays"))
    assert _middle(driver) == [3, 150, 250]
    assert (driver.viewer.layers.selection.active, layer.mode) == (layer, "paint")
    assert driver.viewer.scene.camera.zoom * 4 >= 2
    layer.data_setitem((np.array([3]), np.array([20]), np.array([220])), 1)
    told = "Section 3: a dot of 1 pixel of interior, and 1 more like it. Erase it, if it is a slip of the brush."
    driver.wait(lambda: _lines(panel) == [told], 20)
    places = []
    for _ in range(3):
        driver.click(_line(panel, "strays"))
        places.append(_middle(driver))
    assert sorted(places[:2]) == [[3, 20, 220], [3, 150, 250]]
    assert places[2] == places[0]
    layer.undo()
    layer.undo()
    driver.wait(lambda: _lines(panel) == [], 20)


def test_strokes_are_read_again_only_where_they_changed(driver, home, monkeypatch) -> None:
    seen = []
    look = proofreader.look
    monkeypatch.setattr(proofreader, "look", lambda labels, *more: seen.append(labels.max()) or look(labels, *more))
    panel, layer = _panel(driver, home, [*GOOD, (2, 20, 26, 20, 200, 1)])
    driver.wait(lambda: len(seen) == 2, 20)  # of five sections
    panel.updated()
    driver.qtbot.wait(300)
    assert len(seen) == 2
    layer.data_setitem((np.array([2]), np.array([150]), np.array([250])), 1)
    driver.wait(lambda: len(_lines(panel)) == 1, 20)
    assert len(seen) == 3


def test_one_click_flips_what_0_means_and_the_panel_says_what_that_is(driver, home) -> None:
    panel, layer = _panel(driver, home, GOOD)
    zero = panel.findChild(QComboBox, "zero")
    assert said(panel, "zero-means") == "Only what is painted counts."
    zero.setCurrentText("background")
    assert said(panel, "zero-means") == "What is not painted, on a section with paint, is background."
    driver.wait(lambda: len(_lines(panel)) == 1, 20)
    (text,) = _lines(panel)
    assert text.endswith("If you painted strokes, let 0 mean not labelled.")  # without the flag of a command
    assert panel.findChild(QPushButton, "flip-zero").text() == "Let 0 mean not labelled"
    driver.click(panel.findChild(QPushButton, "flip-zero"))
    assert zero.currentText() == "not labelled"
    driver.wait(lambda: _lines(panel) == [], 20)
    assert panel.findChild(QPushButton, "flip-zero") is None

    layer.data[1] = 1
    layer.data[1, 100:150, 100:200] = 0
    driver.wait(lambda: len(_lines(panel)) == 2 and _line(panel, "dense") is not None, 20)
    driver.click(panel.findChild(QPushButton, "flip-zero"))
    assert zero.currentText() == "background"


def test_labels_in_memory_are_read_too(driver) -> None:
    driver.viewer.add_image(np.ones(SHAPE, np.uint8), name="stack")
    labels = np.zeros(SHAPE, np.uint8)
    for z, y0, y1, x0, x1, value in GOOD:
        labels[z, y0:y1, x0:x1] = value
    layer = driver.viewer.add_labels(labels, name="strokes")
    panel = panel_of(driver, "Train")
    driver.show_section(2)
    layer.selected_label, layer.brush_size, layer.mode = 2, 1, "paint"
    driver.stroke(layer, [(150, 200), (150, 200)])
    driver.wait(lambda: len(_lines(panel)) == 1, 20)
    assert _lines(panel)[0].startswith("Section 2: a dot of 1 pixel of membrane.")
    layer.undo()
    driver.wait(lambda: _lines(panel) == [], 20)


def test_a_slip_is_looked_for_gone_to_and_painted_over(driver, fake, home) -> None:
    fake.does("finish")
    panel, layer = _panel(driver, home, GOOD)
    driver.click(panel.findChild(QPushButton, "check"))
    driver.wait(lambda: len(_lines(panel)) == 1, 20)
    assert _lines(panel) == ["Section 1: painted a, but the model is 98 % sure of b. A slip?"]
    assert said(panel, "checked") == ""
    (begin,) = fake.asked(Begin)
    config = CheckConfig(**begin.config)
    assert (begin.verb, config.inputs[1], config.start_from) == ("check", path_of(layer), "em-membrane")
    assert config.classes == ("interior", "membrane")
    assert panel.jobs.latest("check") is None  # nobody is asked to resume it
    driver.click(_line(panel, "slip"))
    assert _middle(driver) == [1, 20, 20]
    layer.data_setitem((np.array([2]), np.array([20]), np.array([20])), 1)  # elsewhere
    driver.wait(lambda: len(_lines(panel)) == 2, 20)
    layer.data[1, 20:26, 20:40] = 2
    driver.wait(lambda: len(_lines(panel)) == 1, 20)
    assert _line(panel, "slip") is None
    assert panel.findChild(QPushButton, "train").isEnabled()


def test_a_slip_that_is_painted_over_while_it_is_looked_for_is_none(driver, fake, home) -> None:
    panel, layer = _panel(driver, home, GOOD)
    driver.click(panel.findChild(QPushButton, "check"))
    driver.wait(lambda: said(panel, "checked").startswith("Looking for slips: section"), 20)
    layer.data[1, 20:26, 20:40] = 2
    fake.does("finish")
    driver.wait(lambda: panel.findChild(QPushButton, "check").text() == "Check", 20)
    assert _line(panel, "slip") is None


@pytest.mark.slow
def test_a_check_can_be_stopped_and_can_fail(driver, fake, home) -> None:
    panel, _ = _panel(driver, home, GOOD)
    button = panel.findChild(QPushButton, "check")
    driver.click(button)
    driver.wait(lambda: said(panel, "checked") == "Looking for slips: section 1 of 2, 1 min 00 s left.", 20)
    assert button.text() == "Stop check"
    driver.click(button)
    driver.wait(lambda: said(panel, "checked") == "The check was stopped.", 20)
    assert button.text() == "Check"
    fake.does("fail")
    driver.click(button)
    driver.wait(lambda: said(panel, "checked") == "Section 1 cannot be read. Copy it again.", 20)
    driver.click(button)
    close_panel(driver, panel)
    driver.qtbot.wait(500)


@pytest.mark.slow
def test_other_labels_end_the_check_of_the_former(driver, fake, home) -> None:
    panel, layer = _panel(driver, home, [*GOOD, (2, 150, 151, 10, 11, 1)])
    driver.wait(lambda: len(_lines(panel)) == 1, 20)
    driver.click(panel.findChild(QPushButton, "check"))
    driver.wait(lambda: said(panel, "checked").startswith("Looking for slips: section"), 20)
    (job,) = panel.jobs.running()
    layer = driver.viewer.add_layer(new_strokes(driver.viewer.layers["stack"], home.labels, "others"))
    panel.findChild(LabelsChoice).choose_only(layer)
    driver.wait(lambda: not job.running, 20)
    assert _lines(panel) == []
    assert (panel.findChild(QPushButton, "check").text(), said(panel, "checked")) == ("Check", "")
    assert panel.findChild(QPushButton, "check").isEnabled()


@pytest.mark.slow
def test_labels_that_are_closed_before_their_check_begins_are_not_checked(driver, fake, home) -> None:
    fake.does("finish")
    panel, layer = _panel(driver, home, GOOD)
    driver.click(panel.findChild(QPushButton, "check"))
    driver.viewer.layers.remove(layer)
    driver.wait(lambda: not panel.preparing, 20)
    assert (panel.findChild(QPushButton, "check").text(), said(panel, "checked")) == ("Check", "")
    assert not any(job.verb == "check" for job in panel.jobs.running())


def test_a_check_prepared_for_a_closed_panel_says_to_press_again(driver, fake, home, monkeypatch) -> None:
    go_on, create = threading.Event(), handover._created

    def created(*arguments):
        go_on.wait(20)
        return create(*arguments)

    monkeypatch.setattr("napari_unet.widgets.handover._created", created)
    fake.does("finish")
    panel, _ = _panel(driver, home, GOOD)
    driver.click(panel.findChild(QPushButton, "check"))
    close_panel(driver, panel)
    panel = panel_of(driver, "Train")
    go_on.set()
    driver.wait(lambda: said(panel) == "The panel was closed meanwhile. Press Check again.", 20)
    driver.click(panel.findChild(QPushButton, "check"))
    driver.wait(lambda: _line(panel, "slip") is not None, 20)
    assert said(panel) == ""


def test_the_list_is_short_and_nothing_is_said_without_labels(driver, home) -> None:
    dots = [(z, 150, 151, x, x + 1, value) for z in range(5) for x in (10, 20) for value in (1,)]
    unknown = [(2, 100 + 8 * i, 106 + 8 * i, 20, 100, 5 + i) for i in range(6)]
    panel, layer = _panel(driver, home, [*GOOD, *dots, *unknown])
    driver.wait(lambda: len(_lines(panel)) == 6, 20)
    texts = [label.text() for label in panel.findChild(Findings).findChildren(QLabel)]
    assert "3 more are listed when some of these are mended." in texts
    driver.viewer.layers.remove(layer)
    driver.wait(lambda: not _lines(panel) and not panel.findChild(QPushButton, "check").isVisible(), 20)


@pytest.mark.slow
def test_a_finding_of_a_stack_that_was_removed_does_no_harm(driver, home) -> None:
    panel, _ = _panel(driver, home, [*GOOD, (2, 150, 151, 10, 11, 1)])
    driver.wait(lambda: len(_lines(panel)) == 1, 20)
    driver.viewer.layers.remove("stack")
    driver.qtbot.wait(200)
    for line in panel.findChild(Findings).findChildren(QPushButton, "finding-strays"):
        driver.click(line)
        assert said(panel) == "The image is no longer open. Open it and choose it."
