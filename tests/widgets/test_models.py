"""The choice of a model: what is offered, what stays, what its card says."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest
from qtpy.QtCore import QObject, QPoint, QPointF, Qt, Signal
from qtpy.QtGui import QGuiApplication, QWheelEvent
from qtpy.QtWidgets import QApplication, QComboBox, QDialog, QFileDialog, QLabel, QLineEdit, QPushButton, QTextEdit

from napari_unet.card import KEY, MODEL_FILE, find, read_card
from napari_unet.config import TrainConfig
from napari_unet.disk import lock
from napari_unet.events import Failed, Finished, Progress
from napari_unet.library import Library
from napari_unet.problem import Problem
from napari_unet.widgets.models import ModelChoice

LEFT = Qt.MouseButton.LeftButton


def a_run(root, name, **changes):
    """A run folder with a model, its card changed."""
    folder = Library(root).runs / name
    folder.mkdir(parents=True, exist_ok=True)
    card = {KEY: json.dumps(asdict(replace(read_card(find("em-membrane")), name=name, **changes)))}
    header = json.dumps({"__metadata__": card}).encode()
    (folder / MODEL_FILE).write_bytes(len(header).to_bytes(8, "little") + header)
    return str(folder)


@pytest.fixture
def make(qtbot, tmp_path):
    """Make a choice of what is in the library, on the screen."""

    def make(with_scratch=True):
        choice = ModelChoice(Library(tmp_path), with_scratch)
        qtbot.addWidget(choice)
        with qtbot.waitExposed(choice):
            choice.show()
        choice.activateWindow()
        return choice

    return make


def box(choice):
    return choice.findChild(QComboBox)


def titles(choice):
    return [title for i in range(box(choice).count()) if (title := box(choice).itemText(i))]


def take(qtbot, choice, title):
    """Open the list and click on a model."""
    qtbot.mouseClick(box(choice), LEFT)
    view = box(choice).view()
    qtbot.waitUntil(view.isVisible)
    place = view.visualRect(view.model().index(box(choice).findText(title), 0)).center()
    qtbot.mouseMove(view.viewport(), place)
    qtbot.wait(QApplication.doubleClickInterval() // 4)
    qtbot.mouseClick(view.viewport(), LEFT, pos=place, delay=QApplication.doubleClickInterval())
    qtbot.waitUntil(lambda: not view.isVisible())


def button(choice):
    return choice.findChild(QPushButton)


# ---- choosing


def test_what_is_offered(make, tmp_path):
    a_run(tmp_path, "mine")
    offered = titles(make())
    assert offered[0].startswith("mine (today")
    assert offered[1:] == ["em-membrane", "em-membrane-small", "from scratch", "Choose a file..."]
    assert "from scratch" not in titles(make(with_scratch=False))


def test_a_model_is_taken_with_the_mouse(make, tmp_path, qtbot):
    mine = a_run(tmp_path, "mine")
    choice = make()
    assert (choice.name(), choice.card().name) == (mine, "mine")
    with qtbot.waitSignal(choice.changed):
        take(qtbot, choice, "from scratch")
    assert (choice.name(), choice.card()) == ("scratch", None)
    assert not button(choice).isEnabled()
    assert button(choice).toolTip() == "A network from scratch has no card."
    take(qtbot, choice, "em-membrane")
    assert (choice.name(), choice.card().name) == ("em-membrane", "em-membrane")
    assert button(choice).isEnabled()


def test_arrow_keys_stop_before_the_file_dialog(make, qtbot):
    choice = make()
    for _ in range(3):
        qtbot.keyClick(box(choice), Qt.Key.Key_Down)
    assert choice.name() == "scratch"
    qtbot.keyClick(box(choice), Qt.Key.Key_Up)
    assert choice.name() == "em-membrane-small"


def test_a_file_is_picked(make, qtbot, monkeypatch, tmp_path):
    file = tmp_path / "from a friend.safetensors"
    shutil.copy(find("em-membrane"), file)
    picked = iter([str(file), ""])
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (next(picked), ""))
    choice = make()
    with qtbot.waitSignal(choice.changed):
        take(qtbot, choice, "Choose a file...")
    for _ in range(2):
        assert choice.name() == str(file)
        assert box(choice).currentText() == "from a friend (file)"
        assert find(choice.name()) == file
        choice.refresh()
    take(qtbot, choice, "Choose a file...")  # the dialog is cancelled
    assert (choice.name(), box(choice).currentText()) == (str(file), "from a friend (file)")


def test_what_is_no_model_is_refused_in_a_sentence(make, qtbot, monkeypatch, tmp_path):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    choice = make()
    with qtbot.waitSignal(choice.said) as signal:
        take(qtbot, choice, "Choose a file...")
    assert signal.args[0].startswith(f"{file} holds weights, but not of a napari-unet model.")
    assert (choice.name(), box(choice).currentText()) == ("em-membrane", "em-membrane")


def test_a_caller_chooses_any_model_there_is(make, tmp_path):
    choice = make(with_scratch=False)
    mine = a_run(tmp_path / "elsewhere", "mine")
    choice.choose(mine)
    assert (choice.name(), box(choice).currentText()) == (mine, "mine (file)")
    for name in ("nothing", "scratch"):
        with pytest.raises(Problem, match=f"no model {name}"):
            choice.choose(name)
    assert choice.name() == mine


# ---- reading again


def test_what_is_chosen_is_in_view_when_another_model_is_refused(make, tmp_path):
    a_run(tmp_path, "newer")
    older = a_run(tmp_path, "older")
    choice = make()
    choice.choose(older)
    shown = box(choice).currentText()
    with pytest.raises(Problem):
        choice.choose(str(tmp_path / "gone"))
    assert (choice.name(), box(choice).currentText()) == (older, shown)
    said = []
    choice.said.connect(said.append)
    shutil.rmtree(older)
    with pytest.raises(Problem):
        choice.choose(older)
    assert box(choice).currentText() == choice.card().name + shown.removeprefix("older")
    assert said == [f"The model {shown} is gone; {box(choice).currentText()} is chosen instead."]


def test_the_choice_stays_while_it_is_there(make, tmp_path, qtbot):
    choice = make()
    take(qtbot, choice, "em-membrane")
    with qtbot.assertNotEmitted(choice.changed):
        mine = a_run(tmp_path, "mine")
        choice.refresh()
    assert (choice.name(), box(choice).currentText()) == ("em-membrane", "em-membrane")
    choice.choose(mine)
    with qtbot.waitSignal(choice.changed):  # the training has gone on
        a_run(tmp_path, "mine", step=4000)
        choice.refresh()
    assert choice.card().step == 4000
    shutil.rmtree(mine)
    with qtbot.waitSignal(choice.said) as signal:
        choice.refresh()
    assert signal.args[0].startswith("The model mine (today")
    assert signal.args[0].endswith(" is gone; em-membrane is chosen instead.")
    assert choice.name() == "em-membrane"


def test_what_nobody_chose_is_the_newest(make, tmp_path, qtbot):
    choice = make(with_scratch=False)
    assert choice.name() == "em-membrane"
    for age, name in ((20, "first"), (10, "second")):
        mine = a_run(tmp_path, name)
        os.utime(Library(tmp_path).runs / name / MODEL_FILE, (time.time() - age,) * 2)
        with qtbot.waitSignal(choice.changed):
            choice.refresh()
        assert choice.name() == mine
    qtbot.keyClick(box(choice), Qt.Key.Key_Down)
    first = choice.name()
    assert first.endswith("first")
    a_run(tmp_path, "third")
    choice.refresh()
    assert choice.name() == first
    caller = make()
    caller.choose("em-membrane")
    caller.refresh()
    assert caller.name() == "em-membrane"


class AJob(QObject):
    """What the choice knows of a job."""

    happened = Signal(object)

    def __init__(self, verb, out):
        super().__init__()
        self.verb, self.config = verb, TrainConfig(inputs=("image", "labels"), out=out)


class SomeJobs(QObject):
    """What the choice knows of the jobs of a window."""

    began = Signal(object)

    def __init__(self, *jobs):
        super().__init__()
        self.jobs = list(jobs)

    def running(self):
        return self.jobs

    def end(self, job, event):
        self.jobs.remove(job)
        job.happened.emit(event)


def test_a_model_is_offered_by_itself_when_its_training_has_ended(make, tmp_path):
    one = AJob("train", a_run(tmp_path, "one"))
    jobs = SomeJobs(one)
    choice = make()
    choice.watch(jobs)
    assert choice.name() == "em-membrane"
    assert titles(choice)[0].startswith("one")  # for those who want it as it is
    one.happened.emit(Progress(1, 2, "step", None))
    assert choice.name() == "em-membrane"
    jobs.end(one, Finished("model", "half", stopped=True))
    assert choice.name() == str(one.config.out)
    two = AJob("train", str(Library(tmp_path).runs / "two"))
    jobs.jobs.append(two)
    jobs.began.emit(two)
    a_run(tmp_path, "two")
    choice.refresh()
    assert choice.name() == str(one.config.out)
    jobs.end(two, Failed("The disk is full."))
    assert choice.name() == str(two.config.out)


TRAINING = """
import sys
from pathlib import Path
from napari_unet.runs import Run

def events():
    print("begun", flush=True)
    sys.stdin.read()
    yield from ()

list(Run(Path(sys.argv[1]), None).record(events()))
"""


def test_a_model_that_another_process_trains_is_marked_and_not_taken_by_itself(make, tmp_path, qtbot):
    mine = a_run(tmp_path, "mine")
    command = [sys.executable, "-c", TRAINING, mine]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline().strip() == b"begun"
        choice = make()
        assert choice.name() == "em-membrane"
        assert titles(choice)[0].startswith("mine (today ")
        assert titles(choice)[0].endswith(" (in training)")
        choice.choose(mine)  # for those who want it as it is
        choice.refresh()
        assert choice.name() == mine
        elsewhere = make()
        other.stdin.close()
        other.wait()
    elsewhere.refresh()
    assert elsewhere.name() == mine
    assert "in training" not in titles(elsewhere)[0]


def test_a_training_of_the_window_has_ended_when_it_says_so_though_its_process_lives_on(make, tmp_path):
    job = AJob("train", a_run(tmp_path, "one"))
    jobs, choice = SomeJobs(), make()
    choice.watch(jobs)
    jobs.jobs.append(job)
    jobs.began.emit(job)
    with lock(job.config.out / "training.lock"):
        choice.refresh()
        assert titles(choice)[0].endswith(" (in training)")
        jobs.end(job, Finished("model", "full", stopped=False))
        assert choice.name() == str(job.config.out)
        assert not titles(choice)[0].endswith(" (in training)")
    choice.refresh()
    with lock(job.config.out / "training.lock"):  # another goes on with it
        choice.refresh()
        assert choice.name() == "em-membrane"


# ---- the card


def texts(window):
    return "\n".join(label.text() for label in window.findChildren(QLabel))


def test_the_card_of_the_bundled_model(make, qtbot):
    choice = make()
    qtbot.mouseClick(button(choice), LEFT)
    (window,) = choice.findChildren(QDialog)
    assert not window.isModal()
    said = texts(window)
    card = choice.card()
    figures = [f"{card.step:,}", *(f"{name}: {value:.3f}" for name, value in card.scores.items())]
    assert len(figures) > 1
    for part in ("50 × 4.6 × 4.6 nm (Z, Y, X)", "interior", "#e69f00", "CC BY 3.0 US", *figures):
        assert part in said
    assert window.findChild(QTextEdit).toPlainText() == choice.card().command
    qtbot.mouseClick(window.findChild(QPushButton), LEFT)
    assert QGuiApplication.clipboard().text() == choice.card().command


def test_a_card_of_ones_own_is_short(make, qtbot, tmp_path):
    changes = {"created": "once", "command": "", "voxel_size": (), "scores": {}, "about": {}}
    a_run(tmp_path, "<b>mine", started_from=f"em-membrane {'0a' * 32}", **changes)
    choice = make()
    for _ in range(2):  # the second replaces the first
        qtbot.mouseClick(button(choice), LEFT)
    (window,) = (each for each in choice.findChildren(QDialog) if each.isVisible())
    said = texts(window).split("\n")
    assert said[0] == "<b>mine"
    assert said[-8:] == [
        *("Created", "once"),
        *("Voxel sizes it saw", "not known"),
        "Started from",
        "em-membrane",
        *("Steps", f"{choice.card().step:,}"),
    ]
    labels = window.findChildren(QLabel)
    assert labels[0].textFormat() == Qt.TextFormat.PlainText
    assert window.findChild(QTextEdit) is None


def opened(qtbot, choice):
    """Open the card of the chosen model."""
    qtbot.mouseClick(button(choice), LEFT)
    (window,) = (each for each in choice.findChildren(QDialog) if each.isVisible())
    return window


def fill(qtbot, window, name, text):
    field = window.findChild(QLineEdit, name)
    qtbot.mouseClick(field, LEFT)
    field.selectAll()
    qtbot.keyClicks(field, text)
    return field


def test_a_model_of_ones_own_is_named_and_noted_on(make, qtbot, tmp_path):
    mine = a_run(tmp_path, "mine")
    model = (Library(tmp_path).runs / "mine" / MODEL_FILE).read_bytes()
    QGuiApplication.clipboard().setText("nothing")
    choice, heard = make(), []
    choice.called.connect(lambda: heard.append(choice.name()))
    window = opened(qtbot, choice)
    qtbot.keyClick(fill(qtbot, window, "name", "Best of May"), Qt.Key.Key_Return)
    assert titles(choice)[0].startswith("Best of May (today ")
    assert heard.count(choice.name()) == 1
    assert window.isVisible()
    assert QGuiApplication.clipboard().text() == "nothing"
    fill(qtbot, window, "note", "weak at vesicles")
    with qtbot.waitSignal(window.destroyed):
        window.close()  # with the cursor in the field
    assert choice.name() == mine
    assert box(choice).toolTip().endswith(f"{mine}\nweak at vesicles")
    assert box(choice).itemData(0, Qt.ItemDataRole.ToolTipRole) == f"{mine}\nweak at vesicles"
    assert (Library(tmp_path).runs / "mine" / MODEL_FILE).read_bytes() == model
    another = make()
    assert titles(another)[0] == titles(choice)[0]
    window = opened(qtbot, another)
    assert [window.findChild(QLineEdit, name).text() for name in ("name", "note")] == [
        "Best of May",
        "weak at vesicles",
    ]
    qtbot.keyClick(fill(qtbot, window, "name", " "), Qt.Key.Key_Return)
    assert titles(another)[0].startswith("mine (today ")


def test_a_bundled_model_keeps_its_name(make, qtbot):
    assert opened(qtbot, make()).findChild(QLineEdit) is None


def test_a_folder_that_cannot_be_written_is_said(make, qtbot, tmp_path, monkeypatch):
    def refused(*_):
        raise Problem("The disk is full.")

    a_run(tmp_path, "mine")
    choice = make()
    window = opened(qtbot, choice)
    monkeypatch.setattr("napari_unet.naming.name", refused)
    with qtbot.waitSignal(choice.said) as signal:
        qtbot.keyClick(fill(qtbot, window, "note", "good"), Qt.Key.Key_Return)
    assert signal.args == ["The disk is full."]


# ---- in a panel


def test_the_wheel_is_left_to_the_panel_without_focus(make, qtbot):
    choice = make()
    center = QPointF(box(choice).rect().center())
    none = (Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase)
    at = (center, QPointF(box(choice).mapToGlobal(center)), QPoint(), QPoint(0, -120))
    for focus, name in ((False, "em-membrane"), (True, "em-membrane-small")):
        here = box(choice) if focus else button(choice)
        here.setFocus()
        qtbot.waitUntil(here.hasFocus)
        QApplication.sendEvent(box(choice), QWheelEvent(*at, Qt.MouseButton.NoButton, *none, False))
        assert choice.name() == name


def test_a_long_name_does_not_widen_the_panel(make_napari_viewer, tmp_path):
    a_run(tmp_path, "a very long name " * 8)
    viewer = make_napari_viewer()
    choice = ModelChoice(Library(tmp_path), with_scratch=True)
    viewer.window.add_dock_widget(choice, name="models")
    for viewer.theme in ("dark", "light"):
        assert choice.minimumSizeHint().width() <= 320
        assert choice.sizeHint().width() <= 320
