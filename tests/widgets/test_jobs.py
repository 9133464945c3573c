from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import psutil
import pytest
from napari._qt.dialogs.confirm_close_dialog import ConfirmCloseDialog
from napari._qt.dialogs.qt_activity_dialog import QtActivityDialog
from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar
from napari.layers import Image
from napari.utils import progress
from napari.utils._proxies import PublicOnlyProxy
from napari.utils.notifications import notification_manager
from qtpy import sip
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QDockWidget, QMainWindow, QMessageBox, QProgressDialog, QWidget

from napari_unet import log
from napari_unet.config import TrainConfig
from napari_unet.events import Failed, Finished, Loss, Notice, Progress, Ready, Started
from napari_unet.problem import Problem
from napari_unet.requests import Preview
from napari_unet.widgets.job import Job
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.jobview import JobView
from napari_unet.widgets.preparation import Preparation

from .conftest import children
from .test_background import Paused

# Follows the protocol of the worker, without torch. What it does is said by `start_from`.
FAKE = """
import json, os, sys, threading, time
from pathlib import Path
from napari_unet import log
from napari_unet.events import Failed, Finished, Loss, Notice, Previewed, Progress, Ready, Started, to_json
from napari_unet.requests import Begin, KeepGoing, Preview, Stop, from_json

begun, stop, keep, previews = [], threading.Event(), threading.Event(), []

def read():
    for line in sys.stdin:
        match from_json(line):
            case Begin() as begin: begun.append(begin)
            case Preview() as preview: previews.append(preview)
            case Stop(): stop.set()
            case KeepGoing(): keep.set()
    if not keep.is_set():
        stop.set()

def ring(line=""):
    try:
        print(line, flush=True)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")

def say(event):
    log.append(out / "log.jsonl", event)
    ring()

threading.Thread(target=read, daemon=True).start()
ring("a library says hello")
ring(to_json(Ready("the processor", "")))
while not begun:
    if stop.is_set():
        sys.exit()
    time.sleep(0.01)
config = begun[0].config
out, what = Path(config["out"]), config["start_from"]
out.mkdir(parents=True, exist_ok=True)
(out / "config.json").touch()
apart = os.getsid(0) == os.getpid() if hasattr(os, "getsid") else True
say(Started("train", "the processor", str(os.getpid())))
say(Notice(f"{os.environ['OMP_WAIT_POLICY']} {apart}"))
if what == "crash":
    print("Traceback", file=sys.stderr)
    raise ValueError("no such thing")
if what == "odd crash":
    os.write(2, "ValueError: \N{SNOWMAN} is missing".encode())
    sys.exit(1)
if what == "passed over":
    ring(to_json(Notice("A request was passed over.")))
    time.sleep(0.5)
if what == "broken":
    log.append(out / "log.jsonl", Failed("The disk is full."))
    ring(to_json(Failed("The disk is full.")))
    sys.exit(1)
if what == "refused":
    ring(to_json(Failed("There is nothing painted.")))
    sys.exit(1)
if what == "locked":
    time.sleep(0.5)  # what was said so far is heard
    log.append(out / "log.jsonl", Progress(19, 32, "chunk", 60.0))  # as another job does meanwhile
    ring(to_json(Failed("Another job is writing.")))
    sys.exit(1)
while what == "reads" and not stop.is_set():
    time.sleep(0.01)
total = 600 if what in ("wait", "hang") else 40 if what == "slow" else 3
for step in range(1, total + 1):
    say(Progress(step, total, "step", 60.0))
    say(Loss(step, 1 / step))
    while previews:
        preview = previews.pop()
        say(Previewed(step, str(preview.z)))
    while what == "wait" and not stop.is_set() and not previews:
        time.sleep(0.01)
    while what == "hang":
        time.sleep(1)
    if what == "slow":
        time.sleep(0.05)
    if stop.is_set():
        break
(out / "model").write_text(str(step))
say(Finished(str(out / "model"), "done", stopped=step < total))
if what == "lingers":
    time.sleep(60)
"""


@pytest.fixture
def command(tmp_path) -> tuple[str, ...]:
    path = tmp_path / "fake.py"
    path.write_text(FAKE)
    return (sys.executable, str(path))


@pytest.fixture
def window(qtbot) -> QMainWindow:
    window = QMainWindow()
    qtbot.addWidget(window)
    return window


@pytest.fixture
def jobs(window, command, qtbot):
    jobs = Jobs(window, command)
    yield jobs
    processes = children()
    window.deleteLater()
    qtbot.waitUntil(lambda: not any(process.is_running() for process in processes))


def _config(folder: Path, what: str) -> TrainConfig:
    return TrainConfig(inputs=("image", "labels"), out=folder / "run", start_from=what)


def _start(jobs: Jobs, folder: Path, what: str) -> Job:
    return jobs.start("train", _config(folder, what), "my-run")


def _pid(qtbot, job: Job) -> int:
    qtbot.waitUntil(lambda: len(job.events) > 2)
    return int(job.events[0].detail)


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_the_events_of_a_job_come_in_their_order(qtbot, jobs, tmp_path):
    heard = []
    job = _start(jobs, tmp_path, "finish")
    job.happened.connect(heard.append)
    assert job.running
    assert jobs.running() == [job]
    qtbot.waitUntil(lambda: not job.running)
    assert heard == job.events == log.read(tmp_path / "run" / "log.jsonl")[0]
    assert [type(event) for event in heard] == [Started, Notice, *[Progress, Loss] * 3, Finished]
    assert heard[1].text == "PASSIVE True"
    assert job.outcome == heard[-1]
    assert jobs.running() == []


def test_a_resumed_job_does_not_tell_what_happened_before(qtbot, jobs, tmp_path):
    first = _start(jobs, tmp_path, "finish")
    qtbot.waitUntil(lambda: not first.running)
    second = _start(jobs, tmp_path, "finish")
    qtbot.waitUntil(lambda: not second.running)
    assert len(second.events) == len(first.events)
    assert jobs.latest("train") is second
    assert first.outcome is not None  # whoever still shows it can


def test_the_spare_is_ready_before_a_job_and_is_replaced(qtbot, jobs, tmp_path):
    with qtbot.waitSignal(jobs.became_ready) as ready:
        jobs.warm()
    jobs.warm()
    assert ready.args == [jobs.ready] == [Ready("the processor", "")]
    (spare,) = children()
    job = _start(jobs, tmp_path, "wait")
    assert _pid(qtbot, job) == spare.pid
    assert len(children()) == 2


def test_a_spare_that_died_is_not_taken(qtbot, jobs, tmp_path):
    with qtbot.waitSignal(jobs.became_ready):
        jobs.warm()
    (spare,) = children()
    spare.kill()
    qtbot.waitUntil(lambda: jobs._spare.returncode is not None)  # the window hears of it a moment later
    job = _start(jobs, tmp_path, "finish")
    qtbot.waitUntil(lambda: isinstance(job.outcome, Finished))


def test_a_spare_that_dies_while_it_is_taken_is_a_failed_job(qtbot, jobs, tmp_path):
    with qtbot.waitSignal(jobs.became_ready):
        jobs.warm()
    (spare,) = children()
    spare.kill()
    spare.wait()
    time.sleep(0.1)  # the thread has said so, nobody has heard it
    job = _start(jobs, tmp_path, "finish")
    qtbot.waitUntil(lambda: not job.running)


def test_a_worker_that_cannot_be_started_is_a_failed_job(qtbot, window, tmp_path):
    jobs = Jobs(window, (sys.executable, "-c", "import no_such_module"))
    jobs.warm()
    job = _start(jobs, tmp_path, "finish")
    qtbot.waitUntil(lambda: not job.running)
    assert "exit code 1: ModuleNotFoundError: No module named 'no_such_module'" in job.outcome.text


def test_a_process_that_the_system_does_not_start_is_a_problem(window, tmp_path):
    jobs = Jobs(window, (str(tmp_path / "no-python"),))
    jobs.warm()
    with pytest.raises(Problem, match="No job can be started"):
        _start(jobs, tmp_path, "finish")
    assert jobs.latest("train") is None


def test_a_request_is_answered(qtbot, jobs, tmp_path):
    job = _start(jobs, tmp_path, "wait")
    _pid(qtbot, job)
    job.ask(Preview(7, 0, 1, 0, 1))
    qtbot.waitUntil(lambda: any(getattr(event, "path", "") == "7" for event in job.events))


def test_stop_keeps_what_is_there(qtbot, jobs, tmp_path):
    job = _start(jobs, tmp_path, "wait")
    pid = _pid(qtbot, job)
    job.stop()
    qtbot.waitUntil(lambda: not job.running)
    assert job.outcome == Finished(str(tmp_path / "run" / "model"), "done", stopped=True)
    qtbot.waitUntil(lambda: _gone(pid))


def test_a_job_that_does_not_stop_is_killed(qtbot, window, command, tmp_path):
    jobs = Jobs(window, command, patience=0.3)
    job = _start(jobs, tmp_path, "hang")
    pid = _pid(qtbot, job)
    job.stop()
    qtbot.waitUntil(lambda: not job.running)
    assert job.outcome == Failed("Stopped. It had to be ended; what was finished before is kept.")
    assert _gone(pid)


def test_a_process_that_stays_after_its_job_is_killed(qtbot, window, command, tmp_path):
    jobs = Jobs(window, command, patience=0.3)
    job = _start(jobs, tmp_path, "lingers")
    pid = _pid(qtbot, job)
    qtbot.waitUntil(lambda: _gone(pid))
    assert isinstance(job.outcome, Finished)


def test_a_crash_is_told_in_a_sentence(qtbot, jobs, tmp_path):
    job = _start(jobs, tmp_path, "crash")
    qtbot.waitUntil(lambda: not job.running)
    assert job.outcome == Failed(
        "The training ended unexpectedly (exit code 1: ValueError: no such thing). "
        "Press Continue: it goes on where it was."
    )
    assert job.errors.startswith("Traceback")


def test_a_crash_is_told_and_kept_whatever_the_system_writes_in(qtbot, jobs, tmp_path, monkeypatch):
    write = Path.write_text

    def on_windows(path, text, encoding="cp1252", **more):
        return write(path, text, encoding, **more)

    monkeypatch.setattr(Path, "write_text", on_windows)
    job = _start(jobs, tmp_path, "odd crash")
    qtbot.waitUntil(lambda: not job.running)
    assert "\N{SNOWMAN} is missing" in job.outcome.text
    assert (tmp_path / "run" / log.ERROR).read_text(encoding="utf-8") == "ValueError: \N{SNOWMAN} is missing"


def test_a_request_that_was_passed_over_is_told(qtbot, jobs, tmp_path):
    job = _start(jobs, tmp_path, "passed over")
    qtbot.waitUntil(lambda: not job.running)
    assert Notice("A request was passed over.") in job.events


def test_a_spare_that_cannot_get_ready_says_why(qtbot, window):
    jobs = Jobs(window, (sys.executable, "-c", "raise ImportError('no torch')"))
    with qtbot.waitSignal(jobs.broke, timeout=30_000) as broke:
        jobs.warm()
    assert broke.args == [jobs.trouble] == ["exit code 1: ImportError: no torch"]


def test_a_job_keeps_no_layer_in_memory(qtbot, jobs, tmp_path):
    layer = Image(np.zeros((4, 4)))
    job = jobs.start("train", _config(tmp_path, "finish"), "my-run", PublicOnlyProxy(layer))
    assert job.image is layer
    del layer
    gc.collect()
    assert job.image is None
    qtbot.waitUntil(lambda: not job.running)


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_killed_job_is_told_in_a_sentence(qtbot, jobs, tmp_path):
    job = _start(jobs, tmp_path, "wait")
    os.kill(_pid(qtbot, job), signal.SIGKILL)
    qtbot.waitUntil(lambda: not job.running)
    assert job.outcome == Failed(
        "The training ended unexpectedly (killed by signal 9; often there was too little memory). "
        "Press Continue: it goes on where it was."
    )
    assert job.events[-1] == job.outcome


def test_a_copy_of_a_section_is_called_as_the_user_knows_it(jobs):
    copy = jobs.scratch / "cells-section-3-0123456789ab.zarr"
    for text, words in (
        (f"Section 0 of {copy} holds no numbers.", "Section 3 of cells holds no numbers."),
        (f"{copy} has the same grey value everywhere.", "Section 3 of cells has the same grey value everywhere."),
        (f"No room for {copy}.", "No room for section 3 of cells."),
    ):
        assert jobs.in_words(text) == words


def test_a_failure_that_no_panel_shows_is_a_notification(qtbot, window, jobs, tmp_path):
    view = JobView("train", "Continue")
    window.setCentralWidget(view)
    window.show()
    for shown in (True, False):
        view.setVisible(shown)
        notification_manager.records.clear()
        job = _start(jobs, tmp_path / str(shown), "broken")
        qtbot.waitUntil(lambda job=job: not job.running)
        told = [each.message for each in notification_manager.records]
        assert told == ([] if shown else [f"{job.title}: The disk is full."])


@pytest.mark.parametrize(("what", "text"), [("broken", "The disk is full."), ("refused", "There is nothing painted.")])
def test_a_failure_is_told_once(qtbot, jobs, tmp_path, what, text):
    job = _start(jobs, tmp_path, what)
    qtbot.waitUntil(lambda: not job.running)
    pid = int(job.events[0].detail)
    qtbot.waitUntil(lambda: _gone(pid))
    qtbot.wait(50)
    assert [event for event in job.events if isinstance(event, Failed)] == [Failed(text)]


def test_an_exception_in_a_slot_loses_no_event(qtbot, jobs, tmp_path):
    heard = []

    def broken(event):
        raise RuntimeError("a slot is broken")

    with qtbot.capture_exceptions() as exceptions:
        job = _start(jobs, tmp_path, "finish")
        job.happened.connect(broken)
        job.happened.connect(heard.append)
        qtbot.waitUntil(lambda: not job.running)
    assert heard == job.events
    assert len(exceptions) == len(heard) == 9


def test_a_slot_that_lets_qt_go_on_does_not_change_the_order(qtbot, jobs, tmp_path):
    heard = []

    def slow(event):
        qtbot.wait(30)
        heard.append(event)

    job = _start(jobs, tmp_path, "finish")
    job.happened.connect(slow)
    qtbot.waitUntil(lambda: len(heard) == 9)
    assert heard == job.events


def test_why_a_job_was_refused_is_told_though_another_one_writes_the_log_and_a_slot_lets_qt_go_on(
    qtbot, jobs, tmp_path
):
    job = _start(jobs, tmp_path, "locked")
    job.happened.connect(lambda event: isinstance(event, Progress) and qtbot.wait(500))
    qtbot.waitUntil(lambda: not job.running)
    assert job.outcome == Failed("Another job is writing.")


def test_a_job_outlives_the_panel_that_started_it(qtbot, window, jobs, tmp_path):
    class Panel(QWidget):
        def hear(self, event):
            self.setToolTip(str(event))

    dock, panel = QDockWidget(window), Panel()
    dock.setWidget(panel)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    job = Jobs.of(window).start("train", _config(tmp_path, "slow"), "my-run")
    job.happened.connect(panel.hear)
    qtbot.waitUntil(lambda: panel.toolTip() != "")
    with qtbot.waitSignal(panel.destroyed):
        window.removeDockWidget(dock)
        dock.deleteLater()
    assert job.running
    qtbot.waitUntil(lambda: not job.running)
    assert Jobs.of(window).latest("train") is job
    assert job.outcome.stopped is False


def test_two_windows_have_jobs_of_their_own(qtbot, window, jobs, command, tmp_path):
    other = QMainWindow()
    qtbot.addWidget(other)
    others = Jobs(other, command)
    assert Jobs.of(other) is others is not Jobs.of(window)
    job = _start(jobs, tmp_path / "a", "wait")
    another = _start(others, tmp_path / "b", "wait")
    gone, stays = _pid(qtbot, another), _pid(qtbot, job)
    other.deleteLater()
    qtbot.waitUntil(lambda: _gone(gone))
    assert job.running
    assert not _gone(stays)


def test_nothing_is_left_of_a_window(qtbot, command, tmp_path):
    threads = set(threading.enumerate())
    window = QMainWindow()
    jobs = Jobs(window, command, patience=0.2)
    _pid(qtbot, _start(jobs, tmp_path / "a", "wait"))
    _pid(qtbot, _start(jobs, tmp_path / "b", "hang"))
    assert len(children()) == 3
    window.deleteLater()
    qtbot.waitUntil(lambda: not children())
    qtbot.waitUntil(lambda: set(threading.enumerate()) <= threads)


def test_nothing_is_left_of_a_window_that_python_collects(qtbot, command):
    window = QMainWindow()
    window.cycle = [window]
    Jobs(window, command).warm()
    assert children()
    del window
    gc.collect()
    qtbot.waitUntil(lambda: not children())


# A window of napari, closed by a person.


@pytest.fixture
def viewer(make_napari_viewer, command):
    viewer = make_napari_viewer(show=True)
    window = viewer.window._qt_window
    window._save_current_window_settings = lambda: None
    Jobs(window, command, patience=2)
    yield viewer
    if hasattr(viewer.window, "_qt_window") and not _is_open(window):
        del viewer.window._qt_window  # the fixture closes it otherwise


def _is_open(window: QMainWindow) -> bool:
    try:
        return window.isVisible()
    except RuntimeError:  # deleted
        return False


def _press_x(window: QMainWindow) -> None:
    window.windowHandle().close()


def _questions(window: QMainWindow) -> list[QMessageBox]:
    return [box for box in window.findChildren(QMessageBox) if box.isVisible()]


def _answer(qtbot, window: QMainWindow, words: str) -> None:
    qtbot.waitUntil(lambda: len(_questions(window)) == 1)
    (box,) = _questions(window)
    (button,) = (button for button in box.buttons() if button.text() == words)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_a_remark_of_the_window_is_heard_while_a_job_runs_and_after_it(qtbot, command, tmp_path):
    window, heard = QMainWindow(), []
    job = _start(Jobs(window, command, patience=2), tmp_path, "finish")
    job.happened.connect(heard.append)
    job.remark("early")
    qtbot.waitUntil(lambda: not job.running)
    job.remark("late")
    assert (heard[0], heard[-1], job.events[-1]) == (Notice("early"), Notice("late"), Notice("late"))


def test_a_window_that_goes_while_napari_makes_the_bar_of_a_job_does_no_harm(qtbot, command, tmp_path, monkeypatch):
    window, bars = QMainWindow(), []
    jobs = Jobs(window, command, patience=2)

    def made(**_):  # napari lets Qt go on meanwhile
        sip.delete(job)
        bars.append(Mock())
        return bars[0]

    monkeypatch.setattr("napari_unet.widgets.job.progress", made)
    with qtbot.capture_exceptions() as exceptions:
        job = _start(jobs, tmp_path, "wait")
        qtbot.waitUntil(lambda: bool(bars))
    assert exceptions == []
    bars[0].close.assert_called_once_with()


def test_the_question_says_what_runs(qtbot, viewer, tmp_path):
    window = viewer.window._qt_window
    job = _start(Jobs.of(window), tmp_path, "wait")
    _pid(qtbot, job)
    _press_x(window)
    (box,) = _questions(window)
    assert box.text() == "A training is running: my-run, step 1 of 600, 1 min 00 s left."
    job._tell([Progress(400, 600, "step", 20.0)])
    qtbot.waitUntil(lambda: box.text() == "A training is running: my-run, step 400 of 600, 20 s left.")
    assert {button.text() for button in box.buttons()} == {"Stop it", "Let it finish", "Keep napari open"}
    qtbot.keyClick(box, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not _questions(window))
    assert _is_open(window)
    assert job.running


def test_the_question_follows_the_jobs(qtbot, viewer, tmp_path):
    window = viewer.window._qt_window
    one = _start(Jobs.of(window), tmp_path / "one", "wait")
    _pid(qtbot, one)
    _press_x(window)
    (box,) = _questions(window)
    other = _start(Jobs.of(window), tmp_path / "other", "wait")
    qtbot.waitUntil(lambda: box.text().count("A training is running") == 2)
    for job in (one, other):
        job.stop()
    qtbot.waitUntil(lambda: box.text() == "Nothing runs any more. What is finished is kept.")
    assert {each.text() for each in box.buttons() if each.isVisible()} == {"Close napari", "Keep napari open"}
    _answer(qtbot, window, "Close napari")
    qtbot.waitUntil(lambda: not _is_open(window))


def test_the_question_is_about_what_is_prepared_too(qtbot, viewer):
    window, paused = viewer.window._qt_window, Paused()
    preparation = Preparation(Jobs.of(window), "Train")
    preparation.begin(paused.work(), lambda _: pytest.fail("it was given up"))
    qtbot.waitUntil(paused.begun.is_set)
    _press_x(window)
    (box,) = _questions(window)
    assert box.text() == "Preparing layers ... If napari is closed, nothing comes of it."
    assert {each.text() for each in box.buttons() if each.isVisible()} == {"Close napari", "Keep napari open"}
    _answer(qtbot, window, "Keep napari open")
    qtbot.waitUntil(lambda: not _questions(window))
    assert not preparation.cancelled
    _press_x(window)
    _answer(qtbot, window, "Close napari")
    qtbot.waitUntil(lambda: not _is_open(window))
    paused.go_on.set()
    qtbot.waitUntil(paused.cleaned.is_set)


def test_the_question_is_about_all_that_runs(qtbot, viewer, tmp_path):
    window = viewer.window._qt_window
    for name in ("one", "other"):
        _pid(qtbot, _start(Jobs.of(window), tmp_path / name, "wait"))
    _press_x(window)
    (box,) = _questions(window)
    assert box.text().count("A training is running") == 2
    assert {button.text() for button in box.buttons()} == {"Stop them", "Let them finish", "Keep napari open"}
    _answer(qtbot, window, "Keep napari open")


def test_keep_napari_open(qtbot, viewer, tmp_path):
    window = viewer.window._qt_window
    job = _start(Jobs.of(window), tmp_path, "wait")
    _pid(qtbot, job)
    for _ in range(2):
        _press_x(window)
        _answer(qtbot, window, "Keep napari open")
        qtbot.waitUntil(lambda: not _questions(window))
    assert _is_open(window)
    assert job.running


def test_stop_it(qtbot, viewer, tmp_path):
    window = viewer.window._qt_window
    pid = _pid(qtbot, _start(Jobs.of(window), tmp_path, "wait"))
    _press_x(window)
    _answer(qtbot, window, "Stop it")
    qtbot.waitUntil(lambda: not _is_open(window))
    events, _ = log.read(tmp_path / "run" / "log.jsonl")
    assert events[-1].stopped
    qtbot.waitUntil(lambda: _gone(pid) and not children())


def test_stop_it_waits_for_a_job_that_hangs_no_longer_than_its_time(qtbot, viewer, tmp_path):
    window = viewer.window._qt_window
    pid = _pid(qtbot, _start(Jobs.of(window), tmp_path, "hang"))
    _press_x(window)
    _answer(qtbot, window, "Stop it")
    qtbot.waitUntil(lambda: bool(window.findChildren(QProgressDialog)))
    _press_x(window)  # a second click changes nothing
    assert not _questions(window)
    assert _is_open(window)
    qtbot.waitUntil(lambda: not _is_open(window))
    assert _gone(pid)


def test_let_it_finish(qtbot, viewer, tmp_path):
    window = viewer.window._qt_window
    job = _start(Jobs.of(window), tmp_path, "slow")
    pid = _pid(qtbot, job)
    _press_x(window)
    _answer(qtbot, window, "Let it finish")
    qtbot.waitUntil(lambda: not _is_open(window))
    assert not _gone(pid)
    qtbot.waitUntil(lambda: _gone(pid))
    assert (tmp_path / "run" / "model").read_text() == "40"
    qtbot.waitUntil(lambda: not children())


def test_no_question_where_nothing_runs(qtbot, viewer, tmp_path):
    window = viewer.window._qt_window
    Jobs.of(window).warm()
    job = _start(Jobs.of(window), tmp_path, "finish")
    qtbot.waitUntil(lambda: not job.running)
    _press_x(window)
    qtbot.waitUntil(lambda: not _is_open(window))
    qtbot.waitUntil(lambda: not children())


def test_a_script_is_not_asked(qtbot, viewer, tmp_path):
    pid = _pid(qtbot, _start(Jobs.of(viewer.window._qt_window), tmp_path, "wait"))
    viewer.close()
    qtbot.waitUntil(lambda: _gone(pid) and not children())
    events, _ = log.read(tmp_path / "run" / "log.jsonl")
    assert events[-1].stopped


@pytest.mark.parametrize("words", ["Close Window", "Exit"])
def test_the_file_menu_asks_too(qtbot, viewer, tmp_path, words):
    window = viewer.window._qt_window
    viewer.add_image(np.zeros((4, 4)))
    _pid(qtbot, _start(Jobs.of(window), tmp_path, "wait"))
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is window)
    (action,) = (action for action in viewer.window.file_menu.actions() if action.text() == words)
    QTimer.singleShot(300, _confirm)
    action.trigger()
    _answer(qtbot, window, "Stop it")
    qtbot.waitUntil(lambda: not _is_open(window))
    qtbot.waitUntil(lambda: not children())


def test_exit_asks_for_the_jobs_of_all_windows(qtbot, viewer, make_napari_viewer, command, tmp_path):
    window, other = viewer.window._qt_window, make_napari_viewer(show=True).window._qt_window
    Jobs.of(window)
    job = _start(Jobs(other, command, patience=2), tmp_path, "wait")
    _pid(qtbot, job)
    viewer.add_image(np.zeros((4, 4)))
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is window)
    (action,) = (action for action in viewer.window.file_menu.actions() if action.text() == "Exit")
    QTimer.singleShot(300, _confirm)
    action.trigger()
    (box,) = _questions(window)
    assert box.text() == "A training is running: my-run, step 1 of 600, 1 min 00 s left."
    _answer(qtbot, window, "Keep napari open")
    qtbot.waitUntil(lambda: not _questions(window))
    assert _is_open(window)
    assert _is_open(other)
    assert job.running
    _press_x(window)  # this one alone: nothing runs in it
    qtbot.waitUntil(lambda: not _is_open(window))
    assert _is_open(other)


def _confirm() -> None:
    """Answer napari's own question."""
    (dialog,) = (each for each in QApplication.topLevelWidgets() if isinstance(each, ConfirmCloseDialog))
    dialog.close_btn.click()


def test_the_activity_bar_shows_how_far_it_is(qtbot, viewer, tmp_path):
    window = viewer.window._qt_window
    job = _start(Jobs.of(window), tmp_path, "wait")
    _pid(qtbot, job)
    (bar,) = window.findChildren(QtLabeledProgressBar)
    assert bar.description_label.text() == "my-run: "
    assert bar.eta_label.text() == "step 1 of 600, 1 min 00 s left"
    assert bar.qt_progress_bar.maximum() == 600
    assert not window.findChild(QtActivityDialog).isVisible()
    job.stop()
    qtbot.waitUntil(lambda: not window.findChildren(QtLabeledProgressBar))
    assert not progress._all_instances


def test_the_activity_bar_is_busy_until_it_is_known_how_far_it_is(qtbot, viewer, tmp_path):
    window = viewer.window._qt_window
    job = _start(Jobs.of(window), tmp_path, "reads")
    qtbot.waitUntil(lambda: bool(window.findChildren(QtLabeledProgressBar)))
    (bar,) = window.findChildren(QtLabeledProgressBar)
    assert bar.description_label.text() == "my-run: "
    assert bar.qt_progress_bar.maximum() == 0
    job.stop()
    qtbot.waitUntil(lambda: not job.running)
    qtbot.waitUntil(lambda: not window.findChildren(QtLabeledProgressBar))


def test_the_activity_bar_outlives_another_window(qtbot, viewer, make_napari_viewer, tmp_path):
    other = make_napari_viewer()
    job = _start(Jobs.of(viewer.window._qt_window), tmp_path, "wait")
    _pid(qtbot, job)
    other.close()
    del other
    gc.collect()
    job.ask(Preview(0, 0, 1, 0, 1))  # it goes on by a step
    qtbot.waitUntil(lambda: job.progress.done == 2)
    assert viewer.window._qt_window.findChildren(QtLabeledProgressBar)
    job.stop()
    qtbot.waitUntil(lambda: not job.running)
    assert not progress._all_instances


# A napari that dies.

_DYING = """
import sys
from pathlib import Path
from qtpy.QtWidgets import QApplication, QMainWindow
from napari_unet.config import TrainConfig
from napari_unet.requests import KeepGoing
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.jobview import JobView

app = QApplication([])
window = QMainWindow()
fake, out, what, keep = sys.argv[1:]
config = TrainConfig(inputs=("image", "labels"), out=Path(out), start_from=what)
job = Jobs(window, (sys.executable, fake)).start("train", config, "my-run")
if keep == "keep":
    job.ask(KeepGoing())
job.happened.connect(lambda event: print(job.events[0].detail, flush=True))
if sys.argv[4] == "quit":
    job.happened.connect(lambda event: app.quit())
app.exec()
"""


def _napari(command: tuple[str, ...], folder: Path, *how: str) -> tuple[subprocess.Popen, int]:
    """Start a window with a job; return its process and the id of the job's."""
    words = [sys.executable, "-c", _DYING, command[1], str(folder / "run"), *how]
    napari = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return napari, int(napari.stdout.readline())


def _wait(condition) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_job_ends_when_napari_is_killed(command, tmp_path):
    napari, pid = _napari(command, tmp_path, "wait", "end")
    assert not _gone(pid)
    napari.kill()
    napari.communicate()
    _wait(lambda: _gone(pid))
    events, _ = log.read(tmp_path / "run" / "log.jsonl")
    assert events[-1].stopped


def test_a_job_told_to_keep_going_outlives_a_killed_napari(command, tmp_path):
    napari, pid = _napari(command, tmp_path, "slow", "keep")
    napari.kill()
    napari.communicate()
    assert not _gone(pid)
    _wait(lambda: _gone(pid))
    assert (tmp_path / "run" / "model").read_text() == "40"


def test_napari_leaves_without_a_word_while_a_job_runs(command, tmp_path):
    napari, pid = _napari(command, tmp_path, "wait", "quit")
    _, errors = napari.communicate(timeout=10)
    assert napari.returncode == 0
    assert "Error" not in errors
    _wait(lambda: _gone(pid))


_LOUD = """
import atexit, sys, time
from pathlib import Path
from qtpy.QtCore import QCoreApplication, Qt

heard = []

def still():
    before = len(heard)
    time.sleep(0.3)
    print(len(heard) - before)

atexit.register(still)  # called after what is registered later, before Qt is taken down

from napari_unet.widgets.process import Worker

app = QCoreApplication([])
worker = Worker((sys.executable, "-c", "while True: print(flush=True)"), Path())
worker.rang.connect(lambda: heard.append(0), Qt.ConnectionType.DirectConnection)
worker.listen()
while len(heard) < 10:
    time.sleep(0.01)
"""


def test_no_process_is_heard_while_python_ends():  # what a thread says while Qt is taken down made it crash
    done = subprocess.run([sys.executable, "-c", _LOUD], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
