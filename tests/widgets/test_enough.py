"""When the last three corrections changed next to nothing, it is said, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QObject, Signal

from napari_unet.events import Event, Finished, Joined, Loss, Previewed
from napari_unet.preview import Preview, save_preview
from napari_unet.widgets.enough import Corrections, Enough

PIXELS = 1000
LITTLE, MUCH = 2, 4  # pixels; the limit is 3


def view(changed: int, z: int = 0) -> Preview:
    """A view of 1,000 pixels, so many of which are of the second class."""
    classes = np.ones((20, 50), np.uint8)
    classes.flat[:changed] = 2
    return Preview(classes, z, 0, 0)


def corrected(corrections: Corrections, *changes: int, previews: int = 3) -> None:
    """Let corrections join, each of which changes so many pixels."""
    total = 0
    corrections.previewed(view(total))
    for each in changes:
        corrections.joined()
        total += each
        for _ in range(previews):
            corrections.previewed(view(total))


def test_three_little_changes_in_a_row_are_enough():
    corrections = Corrections()
    corrected(corrections, LITTLE, LITTLE)
    assert not corrections.enough
    corrected(corrections, LITTLE)
    assert corrections.enough


@pytest.mark.parametrize("changes", [(MUCH,) * 3, (LITTLE, LITTLE, MUCH), (LITTLE, MUCH, LITTLE), (3, 3, 3)])
def test_a_large_change_among_the_last_three_is_not_enough(changes):
    corrections = Corrections()
    corrected(corrections, LITTLE, *changes)
    assert not corrections.enough


@pytest.mark.parametrize("previews", [1, 2])
def test_who_paints_on_and_on_is_told_too(previews):
    corrections = Corrections()
    corrected(corrections, *[0] * 6, previews=previews)
    assert not corrections.enough
    corrected(corrections, *[0] * 14, previews=previews)
    assert corrections.enough
    corrections = Corrections()
    corrected(corrections, *[LITTLE] * 20, previews=previews)
    assert not corrections.enough


@pytest.mark.parametrize("previews", [0, 1, 2])
def test_corrections_that_follow_each_other_swiftly_are_judged_together(previews):
    corrections = Corrections()
    corrected(corrections, *[LITTLE] * 9, previews=previews)
    for _ in range(3):
        corrections.previewed(view(9 * LITTLE))
    for count in (1, 2, 3):
        assert not corrections.enough  # together, those before changed much
        corrections.joined()
        for _ in range(3):
            corrections.previewed(view((9 + count) * LITTLE))
    assert corrections.enough


def test_a_late_effect_counts():
    corrections = Corrections()
    corrected(corrections, LITTLE, LITTLE)
    corrections.joined()
    for changed in (2 * LITTLE, 2 * LITTLE, 2 * LITTLE + MUCH):
        corrections.previewed(view(changed))
    assert not corrections.enough


def test_another_view_is_another_thing_and_an_effect_that_nobody_saw_is_not_small():
    corrections = Corrections()
    corrected(corrections, LITTLE, LITTLE)
    corrections.joined()
    corrections.previewed(view(0, z=1))
    corrections.joined()
    assert not corrections.enough
    for z in (2, 3, 4):  # each correction elsewhere, and looked at there before and after
        corrections.previewed(view(0, z))
        corrections.joined()
        for _ in range(3):
            corrections.previewed(view(LITTLE, z))
    assert corrections.enough


def test_before_the_first_preview_nothing_is_known():
    corrections = Corrections()
    for _ in range(5):
        corrections.joined()
        corrections.settle()
    assert not corrections.enough


class Training(QObject):
    """A job that says what it is told to."""

    happened = Signal(object)

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._file = folder / "preview.safetensors"

    def say(self, *events: Event) -> None:
        for event in events:
            self.happened.emit(event)

    def show(self, changed: int) -> None:
        save_preview(self._file, view(changed))
        self.happened.emit(Previewed(1, str(self._file)))

    def correct(self, times: int) -> None:
        self.show(0)
        for _ in range(times):
            self.say(Joined(1, 1, 100), Loss(1, 0.1))
            for _ in range(3):
                self.show(LITTLE)


@pytest.fixture
def line(qtbot) -> Enough:
    line = Enough()
    qtbot.addWidget(line)
    return line


def test_it_is_said_once_and_anew_of_the_next_training(line, tmp_path):
    job = Training(tmp_path)
    line.watch(job)
    job.correct(2)
    assert line.isHidden()
    job.correct(1)
    assert not line.isHidden()
    assert line.text().startswith("Your last three corrections changed less than 0.3 % of the view: ")
    following = Training(tmp_path)
    line.watch(following)
    assert line.isHidden()
    job.correct(3)  # nobody listens any more
    assert line.isHidden()
    following.correct(3)
    assert not line.isHidden()


def test_the_end_judges_the_last_one_and_a_preview_that_cannot_be_read_is_passed_over(line, tmp_path):
    job = Training(tmp_path)
    line.watch(job)
    job.correct(2)
    job.say(Joined(1, 1, 100), Previewed(1, str(tmp_path / "nothing")))
    job.show(LITTLE)
    assert line.isHidden()
    job.say(Finished("model", "done"))
    assert not line.isHidden()
