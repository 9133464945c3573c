from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QApplication, QLabel, QProgressBar, QPushButton

from napari_unet.events import Failed, Finished, Notice, Progress, Score, Started
from napari_unet.widgets.job import Job
from napari_unet.widgets.jobview import JobView


class AJob(QObject):
    """What the view knows of a job."""

    happened = Signal(object)
    state = Job.state

    def __init__(self) -> None:
        super().__init__()
        self.events: list = []
        self.outcome = self.progress = None
        self.stops = 0
        self.goes_on = True
        self.config = SimpleNamespace(out=Path.cwd())

    @property
    def running(self) -> bool:
        return self.outcome is None

    def stop(self) -> None:
        self.stops += 1

    def say(self, *events) -> None:
        for event in events:
            self.events.append(event)
            if isinstance(event, Progress):
                self.progress = event
            if isinstance(event, Finished | Failed):
                self.outcome = event
            self.happened.emit(event)


@pytest.fixture
def view(qtbot) -> JobView:
    view = JobView("train", "Continue")
    qtbot.addWidget(view)
    view.show()
    return view


def seen(view: JobView) -> tuple[str, ...]:
    """Return the texts and buttons that are in view."""
    widgets = [*view.findChildren(QLabel), *view.findChildren(QPushButton)]
    return tuple(each.text() for each in widgets if each.isVisible())


def test_it_is_empty_without_a_job(view):
    assert seen(view) == ()
    assert not view.findChild(QProgressBar).isVisible()


def test_it_says_how_far_the_job_is(view):
    job = AJob()
    view.watch(job)
    assert seen(view) == ("Starting ...", "Stop")
    job.say(Started("segment", "the processor", "stack"))
    assert seen(view) == ("Reading the image and computing the first tile ...", "Stop")
    job.say(Progress(1, 3072, "chunk", None))
    assert seen(view) == ("tile 1 of 3,072", "Stop")
    job.say(Progress(212, 3072, "chunk", 240.0))
    assert seen(view) == ("tile 212 of 3,072, 4 min 00 s left", "Stop")
    bar = view.findChild(QProgressBar)
    assert (bar.value(), bar.maximum(), bar.isVisible()) == (212, 3072, True)
    job.say(Score(3, 0.812, 0.83, True), Progress(3, 600, "step", 5.0))
    assert seen(view) == ("step 3 of 600, 5 s left · IoU 0.81, kept 0.83", "Stop")
    job.say(Score(4, None, None, True), Progress(4, 600, "step", 5.0))
    assert "IoU 0.81" in seen(view)[0]
    job.say(Score(5, 0.1, 0.2, False, 412), Progress(5, 600, "step", 5.0))
    assert seen(view)[0] == "step 5 of 600, 5 s left · no score to trust yet: 412 of 2,000 pixels held out"
    job.say(*(Notice(f"Notice {n}.") for n in range(6)))
    notices = tuple(f"Notice {n}." for n in range(6))
    assert seen(view)[1:-1] == notices
    job.say(Finished("path", "40 sections segmented"))
    assert seen(view) == ("Done: 40 sections segmented.", *notices)
    assert not bar.isVisible()


def test_a_score_before_the_first_steps_tells_that_all_is_read(view):
    job = AJob()
    view.watch(job)
    job.say(Started("train", "cpu", ""))
    assert seen(view)[0] == "Reading the image and the labels ..."
    job.say(Notice("1 painted section."))
    assert seen(view)[0] == "Learning; the time left is known soon ..."
    job.say(Score(0, 0.812, 0.812, True))
    assert seen(view)[0] == "Learning; the time left is known soon ... · IoU 0.81, kept 0.81"
    job.say(Progress(1, 600, "step", 5.0))
    assert seen(view)[0].startswith("step 1 of 600")


def test_notices_come_into_view_while_it_runs(view):
    job = AJob()
    view.watch(job)
    job.say(Notice("Section 3 is blank."))
    assert seen(view) == ("Learning; the time left is known soon ...", "Section 3 is blank.", "Stop")
    job.say(Notice("1 of 4 tiles were finished before and are kept."))
    assert seen(view)[1:] == ("Section 3 is blank.", "1 of 4 tiles were finished before and are kept.", "Stop")
    for _ in range(100):
        job.say(Notice("A class has no name."))
    job.say(Notice("Section 3 is blank."))
    view.layout().activate()
    labels = sorted(view.findChildren(QLabel, "said"), key=lambda label: label.y())
    assert [label.text() for label in labels] == [
        "1 of 4 tiles were finished before and are kept.", "A class has no name.", "Section 3 is blank."
    ]  # fmt: skip


def test_stop_is_acknowledged_at_once_and_asked_once(view, qtbot):
    job, ended = AJob(), []
    view.ended.connect(ended.append)
    view.watch(job)
    job.say(Progress(1, 4, "chunk", 9.0))
    stop = view.findChild(QPushButton, "stop")
    for _ in range(2):
        qtbot.mouseClick(stop, Qt.MouseButton.LeftButton)
    assert job.stops == 1
    job.say(Progress(2, 4, "chunk", 9.0))
    assert seen(view) == ("Stopping; what is finished is kept ...", "Stop")
    assert not stop.isEnabled()
    assert stop.toolTip() == "It stops after what it is doing now."
    assert view.findChild(QProgressBar).value() == 2
    job.say(Finished("path", "2 of 4 chunks are kept", stopped=True))
    assert seen(view) == ("Stopped: 2 of 4 tiles are kept.", "Continue")
    assert ended == [job]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Finished("path", "done"), ("Done: done.",)),
        (Finished("path", "half", stopped=True), ("Stopped: half.", "Continue")),
        (Failed("The disk is full. Make room."), ("The disk is full. Make room.", "Continue")),
    ],
)
def test_what_is_not_done_can_go_on(view, qtbot, outcome, words):
    job, resumed = AJob(), []
    view.resumed.connect(resumed.append)
    job.say(Progress(1, 4, "chunk", 9.0), outcome)
    view.watch(job)  # as a panel that is opened afterwards
    assert seen(view) == words
    if "Continue" in words:
        qtbot.mouseClick(view.findChild(QPushButton, "resume"), Qt.MouseButton.LeftButton)
        assert resumed == [job]


def test_another_job_takes_the_place_of_the_last_one(view, qtbot):
    first, second = AJob(), AJob()
    view.watch(first)
    qtbot.mouseClick(view.findChild(QPushButton, "stop"), Qt.MouseButton.LeftButton)
    first.say(Notice("Old."), Score(1, 0.5, 0.5, True), Finished("path", "half", stopped=True))
    view.watch(second)
    assert seen(view) == ("Starting ...", "Stop")
    assert view.findChild(QPushButton, "stop").isEnabled()
    first.say(Progress(1, 4, "chunk", None))
    second.say(Progress(2, 4, "chunk", None), Notice("New."))
    assert seen(view) == ("tile 2 of 4", "New.", "Stop")


def test_a_folder_that_was_moved_back_can_go_on_when_the_user_is_back(view):
    job = AJob()
    job.goes_on = False
    view.watch(job)
    job.say(Failed("The folder was moved. Move it back."))
    assert "Continue" not in seen(view)
    job.goes_on = True
    QApplication.sendEvent(view.window(), QEvent(QEvent.Type.WindowActivate))
    assert "Continue" in seen(view)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Finished("path", "15 of 32 chunks are kept", stopped=True), "Stopped: 15 of 32 tiles are kept."),
        (Failed("The disk is full. Free some space."), "The disk is full. Free some space."),
    ],
)
def test_what_was_moved_while_the_window_was_in_front_cannot_go_on_and_it_is_said(
    view, qtbot, tmp_path, outcome, words
):
    job, resumed = AJob(), []
    job.config.out = tmp_path / "out.zarr"
    job.config.out.mkdir()
    view.resumed.connect(resumed.append)
    view.watch(job)
    job.say(outcome)
    assert seen(view) == (words, "Continue")
    job.config.out.rename(tmp_path / "other.zarr")
    job.goes_on = False
    qtbot.mouseClick(view.findChild(QPushButton, "resume"), Qt.MouseButton.LeftButton)
    gone = f"But {job.config.out} is gone. Put it back to go on with it."
    assert seen(view) == (f"{words} {gone}",)
    assert resumed == []
    job.config.out.mkdir()
    job.goes_on = True
    QApplication.sendEvent(view.window(), QEvent(QEvent.Type.WindowActivate))
    assert seen(view) == (words, "Continue")


def test_what_comes_back_can_go_on_though_nobody_leaves_the_window(view, qtbot, tmp_path):
    job = AJob()
    job.config.out, job.goes_on = tmp_path / "out.zarr", False
    view.watch(job)
    job.say(Failed("It was moved or deleted. Move it back, and try again."))
    assert seen(view) == ("It was moved or deleted. Move it back, and try again.",)
    job.config.out.mkdir()
    job.goes_on = True
    qtbot.waitUntil(lambda: seen(view)[1:] == ("Continue",))


def test_what_failed_before_it_was_begun_cannot_go_on(view):
    job = AJob()
    job.goes_on = False
    view.watch(job)
    job.say(Failed("Nothing is painted. Paint a few strokes of each class."))
    assert seen(view) == ("Nothing is painted. Paint a few strokes of each class.",)
