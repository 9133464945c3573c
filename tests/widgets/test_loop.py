"""The loop, as a person goes round it: paint, see it learn, look back, go where next, correct, train again, segment.

In a real window with the real worker process, on the bundled sample and on the ISBI 2012 stack: slow tests, since a
person's loop takes its minute or two.
Kills of napari, and what is recovered after them, are in `test_recovery_kills.py`.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QLabel, QLineEdit, QPushButton, QSlider

from napari_unet.card import MODEL_FILE
from napari_unet.events import Compared, Joined, Previewed, Score
from napari_unet.library import UNDONE
from napari_unet.widgets.job import Job
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.nextplace import NAME as NEXT
from napari_unet.widgets.predictions import LIVE
from napari_unet.words import verdict

from .laterloop import come_back, correct, make_it_worse, prefer, segment, segment_several, train_again
from .loop import ISBI, ISBI_2012, SAMPLE, STEPS, Loop
from .session import PICTURES, SECTION, Film

MODEL = "em-membrane-small"
MINUTES = 4.0
STOP_AT, STOP_AGAIN_AT = (60, 100) if PICTURES else (20, 40)
SHIFT = Qt.KeyboardModifier.ShiftModifier
SAFE = 5.0  # seconds after which a stroke is on the disk


@pytest.fixture(
    params=[
        pytest.param(SAMPLE, id="sample"),
        pytest.param(
            ISBI_2012,
            id="isbi2012",
            marks=pytest.mark.skipif(not ISBI.is_dir(), reason="isbi2012 is not in `shared` beside the checkout"),
        ),
    ]
)
def loop(request, make_napari_viewer, qtbot) -> Iterator[Loop]:
    loop = Loop(make_napari_viewer, qtbot, request.param)
    yield loop
    vars(loop).clear()  # napari checks that nobody holds a window that was closed


@pytest.mark.slow
def test_the_loop(loop, make_napari_viewer, qtbot, caplog):
    choose(loop)
    paint_and_be_told(loop)
    undo_a_slip(loop)
    film = Film(loop)
    former = loop.start_file().read_bytes()
    job, seconds = train_and_paint(loop)
    print(f"{seconds:.1f} s from a stroke to its first effect in the preview")  # pytest -rP shows it
    stop_and_continue(loop, job)
    film.save("loop.gif")
    look_back(loop)
    undo_and_redo(loop, former)
    if loop.stack is SAMPLE:  # its next section is nearly the same: sure to be worse
        make_it_worse(loop)
    go_where_next(loop)
    correct(loop)
    train_again(loop)
    segment(loop)
    segment_several(loop)
    prefer(loop)
    come_back(loop, make_napari_viewer, qtbot)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def choose(loop: Loop) -> None:
    """Choose the small model, and how long to train."""
    box = loop.panel.findChild(ModelChoice).findChild(QComboBox)
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Home)
    while box.currentText() != MODEL:
        QTest.keyClick(box, Qt.Key.Key_Down)
    loop.driver.type(loop.find(loop.panel, QDoubleSpinBox, "minutes").findChild(QLineEdit), str(MINUTES))
    if not PICTURES:
        loop.set_advanced(loop.panel, steps=STEPS, batch=1)
    loop.fold(loop.panel, "Shortcuts")
    keys = loop.find(loop.panel, QLabel, "shortcuts").text()
    assert all(each in keys for each in (">N&nbsp;", ">Ctrl+Z&nbsp;", "go to the next place worth painting"))
    loop.fold(loop.panel, "Shortcuts")


def paint_and_be_told(loop: Loop) -> None:
    """Findings while painting: too little of a class, a dot; each goes to its place."""
    driver, stack = loop.driver, loop.stack
    loop.labels = labels = loop.new_labels(loop.panel, stack.labels)
    for points in stack.interior:
        driver.stroke(labels, points)
    loop.pick_class(loop.panel, 2)
    begin, end = stack.membrane[0][:2]
    driver.stroke(labels, [begin, tuple(np.add(begin, end) / 2)])
    brush = labels.brush_size
    while labels.brush_size > 1:
        driver.press("[")
    driver.stroke(labels, [stack.dot, stack.dot])
    while labels.brush_size < brush:
        driver.press("]")
    loop.wait(lambda: loop.panel.findChild(QPushButton, "finding-strays") is not None, 10)
    few = np.count_nonzero(loop.painted() == 2)
    assert loop.finding("few").startswith(f"Only {few} painted pixels of membrane.")
    driver.show_section(SECTION - 4)
    loop.press_button("finding-strays")
    assert loop.section == SECTION
    centre = np.array(loop.viewer.scene.camera.center[-2:]) / loop.image.scale[-2:]
    np.testing.assert_allclose(centre, stack.dot, atol=1)
    driver.press("Ctrl+Z")
    loop.wait(lambda: loop.panel.findChild(QPushButton, "finding-strays") is None, 10)
    driver.press("Ctrl+R")
    for points in stack.membrane:
        driver.stroke(labels, points)
    loop.wait(lambda: loop.panel.findChild(QPushButton, "finding-few") is None, 10)


def undo_a_slip(loop: Loop) -> None:
    """The model finds a slip; undo goes to the section that it changes; what is painted is on the disk."""
    before = loop.painted()
    loop.driver.stroke(loop.labels, loop.stack.slip)
    loop.wait(lambda: not np.array_equal(loop.painted(), before), SAFE)
    np.testing.assert_array_equal(loop.painted(), np.asarray(loop.labels.data[SECTION]))
    loop.press_button("check")
    loop.wait(lambda: loop.panel.findChild(QPushButton, "finding-slip") is not None, 120)
    loop.wait(lambda: loop.button("check").text() == "Check", 60)
    found = len(loop.panel.findChildren(QPushButton, "finding-slip"))  # the edge of a stroke may be one, too
    loop.driver.show_section(SECTION + 4)
    loop.press_button("finding-slip")
    assert loop.section == SECTION
    loop.picture("slip")
    loop.driver.press("Ctrl+R")
    loop.driver.show_section(SECTION + 4)
    loop.driver.press("Ctrl+Z")
    assert loop.section == SECTION
    np.testing.assert_array_equal(loop.painted(), before)
    loop.wait(lambda: len(loop.panel.findChildren(QPushButton, "finding-slip")) == found - 1, 10)


def train_and_paint(loop: Loop) -> tuple[Job, float]:
    """A stroke that is painted meanwhile joins, and the preview changes; return the job, and how long that took."""
    job = loop.train(loop.panel)
    loop.layer(LIVE)
    loop.until_step(job, 10)
    assert " left" in loop.said("progress")
    held, preview = loop.held_out(), loop.predicted(LIVE)
    first, *others = loop.stack.later
    loop.driver.stroke(loop.labels, first)
    painted = time.monotonic()
    loop.wait(lambda: loop.joined(job) > 0, 60)
    at = next(i for i, each in enumerate(job.events) if isinstance(each, Joined))
    loop.wait(lambda: any(isinstance(each, Previewed) for each in job.events[at:]), 60)
    seconds = time.monotonic() - painted
    assert (loop.predicted(LIVE) != preview).any()
    np.testing.assert_array_equal(loop.held_out(), held)  # it stays while painting goes on
    score = next(each for each in job.events if isinstance(each, Score))
    assert not score.trusted
    assert f"no score to trust yet: {score.held:,} of 2,000 pixels held out" in loop.said("progress")
    before = loop.joined(job)
    for points in others:
        loop.driver.stroke(loop.labels, points)
    loop.wait(lambda: loop.joined(job) > before, 60)
    loop.panel.ensureWidgetVisible(loop.find(loop.panel, QLabel, "joined"))
    loop.until_step(job, STOP_AT)
    last = [each for each in job.events if isinstance(each, Joined)][-1]
    said = f"Your last strokes joined at step {last.step}. It learns from {last.pixels:,} pixels in 1 section now."
    assert loop.said("joined") == said
    loop.picture("learning")
    return job, seconds


def stop_and_continue(loop: Loop, job: Job) -> None:
    """Stop keeps the best so far and compares it with the start; Continue goes on at that step."""
    loop.press_button("stop")
    loop.wait(lambda: not job.running, 60)
    assert job.outcome.stopped
    at, steps = re.match(r"Stopped: (\d+) of (\d+) steps, kept the weights of step ", loop.said("progress")).groups()
    loop.press_button("resume")
    loop.wait(lambda: loop.panel.jobs.latest("train") is not job, 60)
    again = loop.panel.jobs.latest("train")
    loop.until_step(again, STOP_AGAIN_AT)
    loop.wait(lambda: loop.find(loop.panel, QSlider, "timeline").maximum() > 1, 300)  # one on the way is kept
    assert f"Going on from step {at} of {steps}." in loop.notices()
    loop.press_button("stop")
    loop.wait(lambda: not again.running, 60)
    compared = next(each for each in again.events if isinstance(each, Compared))
    assert loop.said("compared") == verdict(compared)


def look_back(loop: Loop) -> None:
    """The time-line: keys go to a model on the way, the one from before and the kept one, two of them on the view."""
    slider = loop.find(loop.panel, QSlider, "timeline")
    shown = {}
    for keys in ([Qt.Key.Key_Home, Qt.Key.Key_Right], [Qt.Key.Key_Home], [Qt.Key.Key_End]):
        slider.setFocus()
        for key in keys:
            QTest.keyClick(slider, key)
        layer = f"U-Net: {loop.said('stop-title').split(' · ')[1].lower()}"
        loop.press_button("show-step")
        shown[layer] = loop.predicted(layer)
        loop.wait(lambda: loop.button("show-step").text() == "Show", 60)
        if len(shown) == 2:
            middle, before = shown
            flip(loop, before, middle)
    _, _, after = shown
    assert re.fullmatch(r"U-Net: step \d+", middle)
    assert before == f"U-Net: before: {MODEL}"
    assert after.startswith("U-Net: kept: step ")
    assert middle not in loop.viewer.layers  # the two that were shown last are there
    assert all((shown[one] != shown[other]).any() for one, other in combinations(shown, 2))
    loop.picture("look-back")
    flip(loop, after, before)


def flip(loop: Loop, front: str, behind: str) -> None:
    """Flip from the model that is in view to the other one that was shown."""
    assert (loop.layer(front).visible, loop.layer(behind).visible) == (True, False)
    loop.press_button("flip")
    assert (loop.layer(front).visible, loop.layer(behind).visible) == (False, True)
    assert loop.said("message") == f"In view: {behind}."


def undo_and_redo(loop: Loop, former: bytes) -> None:
    """Undo leads to the model from before the training, bit for bit, and redo to the one that it kept."""
    choice = loop.panel.findChild(ModelChoice)
    run = loop.panel.jobs.latest("train").config.out
    kept = (run / MODEL_FILE).read_bytes()
    loop.press_button("undo")
    assert choice.name() == MODEL
    assert loop.start_file().read_bytes() == former
    assert (run / UNDONE).exists()
    loop.press_button("undo")
    assert choice.name() == str(run)
    assert loop.start_file().read_bytes() == kept


def go_where_next(loop: Loop) -> None:
    """The search for places can be stopped; the key N flies from place to place, and says why."""
    loop.press_button("next-place")
    loop.wait(lambda: loop.button("next-place").text() == "Stop looking", 10)
    loop.press_button("next-place")
    loop.wait(lambda: loop.said("why") == "The search for places was stopped.", 60)
    views = []
    for number in (1, 2):
        loop.driver.press("N")
        loop.wait(lambda number=number: loop.said("why").startswith(f"Place {number} of "), 120)
        (corner, *_), *_ = loop.layer(NEXT).data
        assert round(corner[0]) == loop.section
        views.append((loop.section, *loop.viewer.scene.camera.center))
        if number == 1:
            loop.panel.ensureWidgetVisible(loop.find(loop.panel, QLabel, "why"))
            loop.picture("where-next")
    assert views[0] != views[1]
