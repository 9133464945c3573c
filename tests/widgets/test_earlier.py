from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QPushButton, QSpinBox, QToolButton

from napari_unet.events import Failed
from napari_unet.log import LOG, append
from napari_unet.reader import OURS
from napari_unet.widgets.result import Growing

from .test_segment import Session, grey


def entries(session: Session) -> list[str]:
    """Open the menu, read it and close it."""
    menu = session.driver.open_menu(session.find(QPushButton, "earlier"))
    texts = [action.text() for action in menu.actions()]
    menu.close()
    return texts


def test_what_an_earlier_session_left_is_opened_and_finished(open_window, fake, home):
    first = Session(open_window(), fake)
    assert entries(first) == ["There are none yet"]
    first.viewer.add_image(grey((6, 60, 80)), name="stack", scale=(40, 4, 4))
    first.pick("part", "some sections")
    first.driver.type(first.find(QSpinBox, "first"), "2")
    first.press("segment")
    result = first.result()
    first.driver.wait(lambda: "tile 1 of 4" in first.says("progress"), 10)
    name = "stack-em-membrane"
    assert entries(first) == [f"Open {name}", f"{name} is being made: 1 of 4 tiles"]
    first.press("stop")
    first.driver.wait(lambda: first.says("progress").startswith("Stopped"), 10)
    assert np.unique(result.data[3]).tolist() == [255]

    later = Session(open_window(), fake)
    (home.segmentations / "broken.zarr").mkdir()
    assert [text.split(":")[0] for text in entries(later)] == [
        "broken cannot be opened as a result",
        "Open stack-em-membrane",
        "Resume stack-em-membrane",
    ]
    (home.segmentations / "broken.zarr").rmdir()
    later.choose("earlier", "Open")
    told = "stack-em-membrane is not finished: 1 of 4 tiles are done. Earlier results > Resume goes on."
    later.driver.wait(lambda: later.says() == told, 10)
    later.viewer.layers.clear()
    later.choose("earlier", "Resume")
    (copy,) = home.copies.glob("*.zarr")
    later.driver.wait(lambda: f"is not open. Open {copy} first; then try again." in later.says(), 10)
    copy.rename(home.root / "away")
    later.choose("earlier", "Resume")
    later.driver.wait(lambda: "is not open. Open stack first; then try again." in later.says(), 10)
    (home.root / "away").rename(copy)
    image = later.viewer.add_image(grey((6, 60, 80)), name="the same", scale=(40, 4, 4))
    later.viewer.add_image(np.zeros((6, 60, 80), np.uint8), name="another")
    later.pick("image", "another")
    fake.does("finish")
    later.choose("earlier", "Resume")
    again = later.result()
    later.done()
    assert 255 not in np.asarray(again.data)
    assert later.find(QComboBox, "image").currentText() == "the same"
    assert later.viewer.layers.index(again) == later.viewer.layers.index(image) + 1
    np.testing.assert_array_equal(again.scale, image.scale)
    assert again.translate.tolist() == [80, 0, 0]
    before, after = later.begun(2)
    assert before == after
    assert entries(later) == ["Open stack-em-membrane", "Check for damage"]
    for session in (first, later):
        vars(session).clear()


MAKING = """
import sys
from pathlib import Path
from napari_unet.layout import read_layout
from napari_unet.store import open_store

path = Path(sys.argv[1])
with open_store(path, read_layout(path)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_result_that_another_process_makes_is_not_offered_to_go_on_with(open_window, fake, home):
    session = Session(open_window(), fake)
    session.viewer.add_image(grey((4, 60, 80)), name="stack")
    session.press("segment")
    session.result()
    session.driver.wait(lambda: "tile 1 of 4" in session.says("progress"), 10)
    session.press("stop")
    session.driver.wait(lambda: session.says("progress").startswith("Stopped"), 10)
    (path,) = home.segmentations.glob("*.zarr")
    command = [sys.executable, "-c", MAKING, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline().strip() == b"held"
        menu = session.driver.open_menu(session.find(QPushButton, "earlier"))
        opened, making = menu.actions()
        assert (opened.text(), opened.isEnabled()) == ("Open stack-em-membrane", True)
        assert (making.text(), making.isEnabled()) == ("stack-em-membrane is being made: 1 of 4 tiles", False)
        opened.trigger()
        told = "stack-em-membrane was being made when it was opened: its tiles come into view as they are done."
        session.driver.wait(lambda: session.says() == told, 10)
        # It fills when the panel is closed, too.
        assert [each.path.name for each in session.panel.jobs.children() if isinstance(each, Growing)] == [path.name]
        menu.close()
        other.kill()
    assert entries(session)[1] == "Resume stack-em-membrane: 1 of 4 tiles are done"
    vars(session).clear()


def test_an_earlier_result_is_opened_over_its_image(open_window, fake, home):
    fake.does("finish")
    place = {"scale": (40, 4, 4), "translate": (7, 80, 90), "rotate": 20}
    session = Session(open_window(), fake)
    first = session.viewer.add_image(grey((6, 60, 80)), name="stack", **place)
    session.pick("part", "some sections")
    session.driver.type(session.find(QSpinBox, "first"), "2")
    session.press("segment")
    result = session.result()
    session.done()
    session.viewer.layers.remove(result)
    assert entries(session) == ["Open stack-em-membrane", "Check for damage"]
    (path,) = home.segmentations.glob("*.zarr")
    append(path / LOG, Failed("Section 3 is not what it was (--out)."))
    assert entries(session)[1:] == ["Resume stack-em-membrane: 4 of 4 tiles are done"]
    session.choose("earlier", "Open")
    opened = session.result()
    session.driver.wait(lambda: "its last job ended so: Section 3 is not what it was." in session.says(), 10)
    assert [layer.name for layer in session.viewer.layers] == ["stack", opened.name]
    np.testing.assert_allclose(opened.data_to_world((1, 5, 6)), first.data_to_world((3, 5, 6)))
    assert not opened.editable
    session.driver.wait(lambda: not session.panel.preparing, 10)
    session.viewer.layers.clear()
    session.viewer.add_image(np.zeros((6, 60, 80), np.uint8), name="another")
    session.choose("earlier", "Open")
    opened = session.result()
    assert opened.translate.tolist() == [2, 0, 0]
    opened.visible = False
    session.driver.wait(lambda: not session.panel.preparing, 10)
    session.choose("earlier", "Open")
    session.driver.wait(lambda: opened.visible, 10)
    assert session.results() == [opened]
    vars(session).clear()


@pytest.mark.slow
def test_what_computes_is_kept_however_often_an_earlier_result_goes_on(open_window, fake, home):
    first = Session(open_window(), fake)
    image = first.viewer.add_image(grey((6, 60, 80)), name="stack")
    first.driver.click(first.find(QToolButton, "fold"))
    first.driver.type(first.find(QLineEdit, "scheduler"), "tcp://one:1")
    first.press("segment")
    first.result()
    first.press("stop")
    first.driver.wait(lambda: first.says("progress").startswith("Stopped"), 10)
    later = Session(open_window(), fake)
    later.viewer.add_image(image.data, name="stack")
    later.choose("earlier", "Resume")
    for _ in range(2):
        later.driver.wait(lambda: later.find(QPushButton, "stop").isVisible(), 10)
        later.press("stop")
        later.driver.wait(lambda: later.says("progress").startswith("Stopped"), 10)
        later.press("resume")
    assert [config.scheduler for config in later.begun(4)] == ["tcp://one:1"] * 4
    later.press("stop")
    later.driver.wait(lambda: later.says("progress").startswith("Stopped"), 10)
    later.driver.click(later.find(QToolButton, "fold"))
    scheduler = later.find(QLineEdit, "scheduler")
    scheduler.setFocus()
    scheduler.selectAll()
    QTest.keyClick(scheduler, Qt.Key.Key_Backspace)
    later.press("resume")
    assert later.begun(5)[4].scheduler == ""
    for each in (first, later):
        vars(each).clear()


@pytest.mark.slow
def test_where_an_earlier_result_is_computed_is_for_that_one_alone(open_window, fake, home):
    first = Session(open_window(), fake)
    first.driver.click(first.find(QToolButton, "fold"))
    for name, cluster in (("plain", ""), ("far", "tcp://one:1")):
        assert not first.says("device").startswith("Computes on: the cluster")
        first.viewer.add_image(grey((6, 60, 80)), name=name)
        first.pick("image", name)
        first.driver.type(first.find(QLineEdit, "scheduler"), cluster)
        first.press("segment")
        first.driver.wait(lambda: "tile 1 of" in first.says("progress"), 30)
        first.press("stop")
        first.driver.wait(lambda: first.says("progress").startswith("Stopped"), 10)
    assert first.says("device") == "Computes on: the cluster tcp://one:1"
    later = Session(open_window(), fake)
    for layer in first.viewer.layers[:]:
        if layer.name in ("plain", "far"):
            later.viewer.add_image(layer.data, name=layer.name)
    later.choose("earlier", "Resume far")
    later.driver.wait(lambda: later.find(QPushButton, "stop").isVisible(), 10)
    later.press("stop")
    later.driver.wait(lambda: later.says("progress").startswith("Stopped"), 10)
    assert later.find(QLineEdit, "scheduler").text() == "tcp://one:1"
    later.press("command")
    assert "tcp://" not in QApplication.clipboard().text()
    fake.does("finish")
    for count, (name, cluster) in enumerate([("plain", ""), ("far", "tcp://one:1")], start=4):
        later.choose("earlier", f"Resume {name}")
        assert later.begun(count)[-1].scheduler == cluster
        later.done()
        assert later.find(QLineEdit, "scheduler").text() == ""
    for each in (first, later):
        vars(each).clear()


def test_a_finished_result_is_checked(open_window, fake, home):
    fake.does("finish")
    session = Session(open_window(), fake)
    session.viewer.add_image(grey((6, 60, 80)), name="stack")
    session.press("segment")
    session.done()
    session.driver.wait(lambda: len(entries(session)) == 2, 10)
    session.viewer.add_labels(np.ones((6, 60, 80), np.uint8), name="other", metadata={OURS: {"classes": []}})
    session.driver.choose(session.find(QPushButton, "earlier"), "Check for damage", "stack-em-membrane")
    before, after = session.begun(2)
    assert before == after
    told = "other is hidden now; its eye in the layer list shows it again."
    said = partial(session.panel.findChildren, QLabel, "said")
    session.driver.wait(lambda: told in [each.text() for each in said()], 10)
    session.done()
    vars(session).clear()


@pytest.mark.slow
def test_an_earlier_segmentation_goes_on_when_the_copy_of_its_image_is_gone(open_window, fake, home):
    session = Session(open_window(), fake)
    image = session.viewer.add_image(grey((6, 60, 80)), name="stack")
    session.press("segment")
    session.result()
    session.press("stop")
    session.driver.wait(lambda: session.says("progress").startswith("Stopped"), 10)
    shutil.rmtree(home.copies)
    later = Session(open_window(), fake)
    later.viewer.add_image(image.data, name="stack")
    fake.does("finish")
    later.choose("earlier", "Resume")
    later.done()
    assert later.begun(2)[1].image.exists()
    for each in (session, later):
        vars(each).clear()
