"""The later chapters of the loop: correct what a model found, train it again, segment, and come back another day."""

from __future__ import annotations

import hashlib
import re

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QLabel, QListWidget, QPushButton

from napari_unet.card import MODEL_FILE, read_card
from napari_unet.config import TrainConfig
from napari_unet.events import Compared, Finished
from napari_unet.library import UNDONE
from napari_unet.result import open_result
from napari_unet.widgets.job import Job
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.sectionpreview import PREVIEW
from napari_unet.widgets.segment import SegmentPanel
from napari_unet.words import verdict

from .conftest import page, pick
from .loop import STEPS, Loop, mistake, what_is_right
from .session import PICTURES, SECTION

PRECISION = "bfloat16"
STOP_AT = 60 if PICTURES else 15
SHIFT = Qt.KeyboardModifier.ShiftModifier


def make_it_worse(loop: Loop) -> None:
    """Classes that are swapped on another section make the model worse: the panel says so, and leads back."""
    good, former = loop.start_file(), loop.start_file().read_bytes()
    loop.driver.press("Ctrl+R")
    loop.driver.show_section(SECTION + 1)  # what is corrected on the same one would not be compared
    wrong = loop.new_labels(loop.panel, f"{loop.stack.labels}-2")
    for value, strokes in ((2, loop.stack.interior), (1, [*loop.stack.membrane, *loop.stack.later])):
        loop.pick_class(loop.panel, value)
        for points in strokes:
            loop.driver.stroke(wrong, points)
    loop.set_advanced(loop.panel, steps=10, crop=80)  # swift, and enough
    job = loop.train(loop.panel)
    assert job.config.start_from == str(good.parent)
    loop.wait(lambda: not job.running, 120)
    (compared,) = (each for each in job.events if isinstance(each, Compared))
    assert compared.earlier
    assert loop.said("compared").startswith("Worse on what you painted before: IoU ")
    loop.press_button("back")
    assert loop.start_file() == good
    assert good.read_bytes() == former
    assert (job.config.out / UNDONE).exists()
    loop.set_advanced(loop.panel, steps=STEPS, crop=TrainConfig.model_fields["crop"].default)
    loop.viewer.layers.remove(wrong)
    ticks = loop.find(loop.panel, QListWidget, "labels")
    loop.click(ticks.viewport(), ticks.visualItemRect(ticks.item(0)).topLeft() + QPoint(10, 10))
    loop.driver.show_section(SECTION)


def correct(loop: Loop) -> None:
    """One click previews the section in view; what is right is accepted, what is wrong painted over."""
    loop.driver.press("Ctrl+R")
    loop.driver.menu("Layers", "Segment", "U-Net", "Segment with last model (U-Net)")
    segment = loop.opened(SegmentPanel)
    loop.wait(
        lambda: loop.find(segment, QLabel, "message").text().startswith(f"Previewed with {loop.stack.labels}."), 120
    )
    z, predicted = loop.section, loop.predicted(PREVIEW)
    truth = loop.stack.truth_of(z)
    right, (value, stroke) = what_is_right(predicted, truth), mistake(predicted, truth)
    loop.go_to_tab("Train")
    loop.pick_class(loop.panel, value)
    loop.driver.stroke(loop.labels, stroke)
    by_hand = np.asarray(loop.labels.data[z])
    assert (by_hand == value).any()
    loop.press_button("accept")
    loop.driver.stroke(loop.labels, right, SHIFT)
    accepted = np.asarray(loop.labels.data[z])
    new = accepted != by_hand
    np.testing.assert_array_equal(accepted[new], predicted[new])
    assert loop.said("message") == f"{new.sum():,} pixels are accepted into {loop.stack.labels}."
    loop.picture("correct")
    loop.press_button("accept")


def train_again(loop: Loop) -> None:
    """The next training counts what was corrected, and is compared on what was painted for the former one."""
    former = loop.start_file()
    kept = former.read_bytes()
    job = loop.train(loop.panel)
    assert job.config.start_from == str(former.parent)
    loop.wait(lambda: re.search(r"Corrected over a result: \d+; each counts 3 times\.", " ".join(loop.notices())), 60)
    loop.until_step(job, STOP_AT)
    loop.press_button("stop")
    loop.wait(lambda: not job.running, 60)
    compared = [each for each in job.events if isinstance(each, Compared)]
    if "so the start is kept" in loop.said("progress"):  # it was scored, and no better
        assert compared == []
    else:
        assert compared[0].earlier
        assert loop.said("compared") == verdict(compared[0])
    assert read_card(job.config.out / MODEL_FILE).started_from.endswith(f" {hashlib.sha256(kept).hexdigest()}")
    assert former.read_bytes() == kept


def segment(loop: Loop) -> None:
    """The whole stack, with the last model: stopped and resumed, with the time left."""
    loop.driver.menu("Layers", "Segment", "U-Net", "Segment with last model (U-Net)")
    panel = loop.opened(SegmentPanel)
    name = loop.panel.jobs.latest("train").config.out.name
    loop.wait(lambda: loop.find(panel, QLabel, "message").text().startswith(f"Previewed with {name}."), 120)
    loop.click(loop.find(panel, QPushButton, "segment"))
    loop.wait(lambda: panel.jobs.latest("segment") is not None, 60)
    job = panel.jobs.latest("segment")
    loop.click(loop.find(panel, QPushButton, "stop"))  # at once: the stack is small
    loop.wait(lambda: not job.running, 60)
    assert job.outcome.stopped
    lines: list[str] = []
    progress = loop.find(panel, QLabel, "progress")
    panel.jobs.began.connect(lambda job: job.happened.connect(lambda _: lines.append(progress.text())))
    loop.click(loop.find(panel, QPushButton, "resume"))
    loop.wait(lambda: panel.jobs.latest("segment") is not job, 60)
    job = panel.jobs.latest("segment")
    assert finished(loop, job) == loop.image.data.shape
    assert any(" left" in each for each in lines)
    assert loop.result(job).visible
    loop.driver.show_section(SECTION + 5)  # nothing is painted there
    loop.picture("segmented")


def segment_several(loop: Loop) -> None:
    """Two chosen stacks follow one another; while one is segmented, those that wait can be cancelled."""
    corners = [
        loop.viewer.add_image(loop.image.data[:2, :64, :64], name=name, scale=loop.image.scale, units=loop.image.units)
        for name in ("one", "another")
    ]
    loop.viewer.layers.selection = set(corners)
    loop.driver.menu("Layers", "Segment", "U-Net", "Segment with last model (U-Net)")
    panel = loop.opened(SegmentPanel)
    button, line = loop.find(panel, QPushButton, "segment"), loop.find(panel, QLabel, "stacks")
    loop.wait(lambda: button.text() == "Segment 2 stacks" and button.isEnabled(), 120)
    before = panel.jobs.latest("segment")
    loop.click(button)
    loop.wait(lambda: panel.jobs.latest("segment") is not before and not line.isVisible(), 120)
    job = panel.jobs.latest("segment")
    assert finished(loop, job) == (2, 64, 64)
    assert {each.name.rsplit("-", 3)[0] for each in loop.viewer.layers} >= {"one", "another"}
    for each in corners:
        loop.viewer.layers.remove(each)


def prefer(loop: Loop) -> None:
    """What is chosen in napari's preferences counts in the panels."""
    with page(loop.driver) as shown:
        pick(shown, PRECISION)
    assert loop.find(loop.panel, QComboBox, "precision").currentText() == PRECISION


def come_back(loop: Loop, make_napari_viewer, qtbot) -> None:
    """Another window knows the last choices, and brings the strokes back."""
    painted = np.asarray(loop.labels.data)
    last = loop.panel.jobs.latest("train").config.start_from
    minutes = loop.find(loop.panel, QDoubleSpinBox, "minutes").value()
    other = Loop(make_napari_viewer, qtbot, loop.stack)
    assert other.panel.findChild(ModelChoice).name() == last
    assert other.find(other.panel, QDoubleSpinBox, "minutes").value() == minutes
    assert other.find(other.panel, QComboBox, "precision").currentText() == PRECISION
    other.driver.choose(other.button("new"), "Earlier labels", loop.stack.labels)
    np.testing.assert_array_equal(other.layer(loop.stack.labels).data, painted)
    vars(other).clear()


def finished(loop: Loop, job: Job) -> tuple[int, ...]:
    """Wait for a segmentation and its layer; return the shape of what it found, both classes."""
    loop.wait(lambda: not job.running, 300)
    assert isinstance(job.outcome, Finished), job.outcome
    assert loop.result(job).visible
    found = open_result(job.config.out).classes[0]
    assert set(np.unique(found)) == {1, 2}
    return found.shape
