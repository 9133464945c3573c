from __future__ import annotations

import gc
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest
from napari.layers import Labels
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QCheckBox, QColorDialog, QComboBox, QLabel, QLineEdit, QPushButton, QToolButton, QWidget

from napari_unet.card import find
from napari_unet.classes import PixelClass
from napari_unet.config import TrainConfig
from napari_unet.events import Failed, Finished
from napari_unet.library import UNDONE, Library
from napari_unet.omezarr import open_array
from napari_unet.requests import Begin, Join, Preview
from napari_unet.runs import as_begun
from napari_unet.volume import open_volume
from napari_unet.widgets import handover
from napari_unet.widgets.classes import ClassList
from napari_unet.widgets.curve import Curve
from napari_unet.widgets.labelschoice import LabelsChoice
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.strokes import classes_of, is_strokes, new_strokes, path_of, set_classes

from .conftest import close_panel, panel_of, said
from .fakeworker import PAUSE_AT, STEPS
from .test_models import a_run

SHAPE = 4, 96, 128
AB = (PixelClass(1, "a", "#ff0000"), PixelClass(2, "b", "#00ff00"))
CD = (PixelClass(1, "c", "#0000ff"), PixelClass(2, "d", "#ffff00"))


def _stack(shape=SHAPE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape, np.uint8)


def _button(panel, name: str) -> QPushButton:
    return panel.findChild(QPushButton, name)


def _begun(driver, fake, number: int = 1) -> TrainConfig:
    """Return the configuration that the last of so many jobs got, once it is there."""
    driver.wait(lambda: len(fake.asked(Begin)) == number, 10)
    return TrainConfig(**fake.asked(Begin)[-1].config)


def _job(driver, panel):
    driver.wait(lambda: panel.jobs.latest("train") is not None, 10)
    return panel.jobs.latest("train")


def _paused(driver, job) -> None:
    """Wait until a fake training that was told to wait does so."""
    driver.wait(lambda: job.progress is not None and job.progress.done == PAUSE_AT, 10)


def _ready(driver) -> QWidget:
    """A panel that trains on a stack with painted labels."""
    driver.viewer.add_image(_stack(), name="stack")
    driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes")
    return panel_of(driver, "Train")


def _stopped(driver, panel):
    """Begin a fake training, and stop it where it waits; return its job."""
    driver.click(_button(panel, "train"))
    job = _job(driver, panel)
    _paused(driver, job)
    driver.click(_button(panel, "stop"))
    driver.wait(lambda: not job.running, 10)
    return job


def _unfold(driver, panel) -> None:
    driver.click(panel.findChild(QToolButton, "fold"))


def test_labels_in_memory_are_moved_to_disk_and_painted_on_there(driver, fake, home):
    image = driver.viewer.add_image(_stack(), name="stack", scale=(40, 4, 4), units=("nm",) * 3)
    strokes = driver.viewer.add_labels(np.zeros(SHAPE, int), name="my strokes", scale=(40, 4, 4), units=("nm",) * 3)
    strokes.data[1, 10:20, 10:30] = 1
    strokes.selected_label, strokes.brush_size, strokes.opacity, strokes.mode = 2, 9, 0.4, "paint"
    panel = panel_of(driver, "Train")
    driver.click(_button(panel, "train"))
    job = _job(driver, panel)

    assert said(panel).startswith("my strokes is kept on disk from now on, in")
    assert str(home.labels) in said(panel)
    assert is_strokes(strokes)
    assert path_of(strokes).parent == home.labels
    assert (strokes.selected_label, strokes.brush_size, strokes.opacity, strokes.mode) == (2, 9, 0.4, "paint")
    assert strokes.editable
    assert [each.name for each in classes_of(strokes)] == ["interior", "membrane"]
    assert np.allclose(strokes.colormap.map(1)[:3], QColor(classes_of(strokes)[0].color).getRgbF()[:3], atol=0.01)

    driver.show_section(2)
    driver.stroke(strokes, [(50, 40), (50, 60)])
    on_disk = open_array(path_of(strokes) / "0")
    assert on_disk[2, 50, 50] == 2
    assert on_disk[1, 15, 15] == 1
    strokes.undo()
    assert on_disk[2].max() == 0

    assert job.config == _begun(driver, fake)
    assert job.config == TrainConfig(
        inputs=(job.config.inputs[0], path_of(strokes)),
        out=home.runs / "my-strokes",
        classes=("interior", "membrane"),
        colors=tuple(each.color for each in classes_of(strokes)),
    )
    assert job.image == image
    assert np.array_equal(open_volume(job.config.inputs[0]).section(3), image.data[3])
    assert open_volume(job.config.inputs[0]).voxel_size == (40, 4, 4)


def test_a_lazy_image_that_the_disk_cannot_hold_is_refused_before_it_is_read(driver, fake, home, monkeypatch):
    read = []

    def section(block_info):
        read.append(block_info)
        return np.zeros((1, *SHAPE[1:]), np.uint8)

    lazy = da.map_blocks(section, chunks=((1,) * 4, (96,), (128,)), dtype=np.uint8)
    driver.viewer.add_image(lazy, name="lazy", contrast_limits=(0, 255))
    driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes")
    panel = panel_of(driver, "Train")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=20_000))
    read.clear()
    driver.click(_button(panel, "train"))
    driver.wait(lambda: said(panel).startswith("lazy is in no file that another process can open"), 10)
    assert not read
    assert not fake.asked(Begin)
    assert not home.copies.exists()


def test_labels_in_memory_that_lie_elsewhere_are_refused_until_they_are_moved(driver, fake):
    driver.viewer.add_image(_stack(), name="stack")
    strokes = driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes", translate=(0, 0, 128))
    panel = panel_of(driver, "Train")
    for place in ({}, {"scale": (1, 2, 2)}, {"rotate": 5}, {"translate": (4, 0, 0)}):
        for name, value in place.items():
            setattr(strokes, name, value)
        driver.wait(lambda: "strokes does not lie on the voxels of stack" in said(panel, "reason"), 5)
        assert not _button(panel, "train").isEnabled()
        for name, value in (("scale", (1, 1, 1)), ("rotate", 0), ("translate", (0, 0, 0))):
            setattr(strokes, name, value)
        driver.wait(lambda: not said(panel, "reason"), 5)
        assert _button(panel, "train").isEnabled()


@pytest.mark.slow
def test_labels_lie_above_an_image_that_is_opened_again(driver, fake):
    panel = _ready(driver)
    layers = driver.viewer.layers
    driver.viewer.add_labels(np.zeros((2, 8, 8), np.uint8), name="of another image")
    strokes = layers["strokes"]
    driver.click(_button(panel, "keep"))
    driver.wait(lambda: is_strokes(strokes), 20)
    layers.remove(layers["stack"])
    layers.selection.active = strokes
    more = driver.viewer.add_labels(np.zeros(SHAPE, np.uint8), name="more")
    panel.findChild(LabelsChoice).choose([strokes, more])
    driver.viewer.add_image(_stack(), name="again")
    driver.wait(lambda: [each.name for each in layers] == ["of another image", "again", "strokes", "more"], 5)
    layers.move(1, 4)  # by hand: so it stays
    driver.viewer.add_image(_stack((2, 8, 8)), name="third")
    QTest.qWait(100)
    assert [each.name for each in layers] == ["of another image", "strokes", "more", "again", "third"]


@pytest.mark.slow
def test_labels_are_kept_on_disk_also_while_a_training_runs(driver, fake):
    panel = _ready(driver)
    driver.click(_button(panel, "train"))
    driver.wait(lambda: panel.jobs.latest("train") is not None, 20)
    more = driver.viewer.add_labels(np.zeros(SHAPE, np.uint8), name="more", scale=driver.viewer.layers["stack"].scale)
    panel.findChild(LabelsChoice).choose([more])
    driver.wait(lambda: _button(panel, "keep").isEnabled() and not _button(panel, "train").isEnabled(), 10)
    driver.click(_button(panel, "keep"))
    driver.wait(lambda: is_strokes(more), 20)
    assert panel.jobs.latest("train").running


def test_labels_that_are_only_in_memory_are_named_and_kept_on_disk_at_a_press(driver, fake, home):
    panel = _ready(driver)
    strokes = driver.viewer.layers["strokes"]
    assert said(panel, "in-memory") == "strokes is only in memory: if napari dies, what you paint is lost."
    driver.click(_button(panel, "keep"))
    driver.wait(lambda: is_strokes(strokes), 20)
    driver.wait(lambda: not _button(panel, "keep").isVisible(), 10)
    assert said(panel).startswith("strokes is kept on disk from now on, in")
    driver.show_section(2)
    driver.viewer.layers.selection.active, strokes.mode, strokes.selected_label = strokes, "paint", 2
    driver.stroke(strokes, [(50, 40), (50, 60)])
    assert open_array(path_of(strokes) / "0")[2, 50, 50] == 2
    assert not fake.asked(Begin)  # nothing is trained
    assert not home.copies.exists()  # the image may be large


def test_the_configuration_is_what_the_widgets_show(driver, fake, home):
    panel = _ready(driver)
    panel.findChild(ModelChoice).choose("scratch")
    driver.click(panel.findChild(QComboBox, "zero"))
    QTest.keyClick(panel.findChild(QComboBox, "zero").view(), Qt.Key.Key_End)
    QTest.keyClick(panel.findChild(QComboBox, "zero").view(), Qt.Key.Key_Return)
    driver.type(panel.findChild(QWidget, "minutes").findChild(QLineEdit), "12.5")
    _unfold(driver, panel)
    driver.type(panel.findChild(QLineEdit, "name"), "My model: 2/3")
    for name, text in {
        "steps": "77", "seed": "5", "crop": "96", "batch": "3", "learning_rate": "0.002",
        "balance": "0.5", "border_weight": "7.5", "threads": "1",
    }.items():  # fmt: skip
        field = panel.findChild(QWidget, name)
        driver.type(field if isinstance(field, QLineEdit) else field.findChild(QLineEdit), text)
    panel.findChild(QCheckBox, "objects").click()
    for name, text in {"width": "32", "device": "cpu", "precision": "float32"}.items():
        panel.findChild(QComboBox, name).setCurrentText(text)
    driver.click(_button(panel, "train"))

    config = _begun(driver, fake)
    assert config.model_dump(exclude={"inputs", "colors"}) == {
        "out": home.runs / "My-model-2-3", "start_from": "scratch", "classes": ("interior", "membrane"),
        "zero": "background", "objects": True, "minutes": 12.5, "steps": 77, "seed": 5, "width": 32, "crop": 96,
        "batch": 3, "learning_rate": 0.002, "balance": 0.5, "border_weight": 7.5, "threads": 1, "device": "cpu",
        "precision": "float32", "augmentation": "near", "channel": TrainConfig.model_fields["channel"].default,
    }  # fmt: skip


@pytest.mark.slow
def test_what_is_changed_while_the_layers_are_prepared_is_for_the_next_training(driver, fake):
    panel = _ready(driver)
    driver.click(_button(panel, "train"))
    assert panel.preparing
    assert said(panel, "reason") == "The layers are being prepared."
    driver.type(panel.findChild(QWidget, "minutes").findChild(QLineEdit), "99")
    panel.findChild(ModelChoice).choose("scratch")
    config = _begun(driver, fake)
    assert (config.minutes, config.start_from) == (5.0, "em-membrane")


def test_the_class_that_is_marked_is_the_one_that_is_painted(driver, fake, home):
    image = driver.viewer.add_image(_stack(), name="stack")
    first, second = (driver.viewer.add_layer(new_strokes(image, home.labels, name)) for name in ("first", "second"))
    for layer in (first, second):
        set_classes(layer, [PixelClass(1, "cell", "#0000ff"), PixelClass(2, "rest", "#ff0000")])
    panel = panel_of(driver, "Train")
    panel.findChild(LabelsChoice).choose([first])
    numbers = [each for each in panel.findChild(ClassList).findChildren(QPushButton) if each.isCheckable()]
    driver.click(numbers[1])
    assert (first.selected_label, second.selected_label) == (2, 1)
    panel.findChild(LabelsChoice).choose([first, second])
    for layer, marked in ((second, [True, False]), (first, [False, True])):
        driver.viewer.layers.selection.active = layer
        assert [number.isChecked() for number in numbers] == marked
    panel.findChild(LabelsChoice).choose([second])
    assert [number.isChecked() for number in numbers] == [True, False]
    first.selected_label = 1
    close_panel(driver, panel)
    driver.viewer.layers.selection.active = second


def test_classes_stay_as_they_are_while_labels_are_written_with_them(driver, fake):
    panel = _ready(driver)
    name = panel.findChild(ClassList).findChild(QLineEdit)
    driver.type(name, "cell")
    driver.click(_button(panel, "train"))
    assert panel.preparing
    assert not name.isEnabled()
    assert _begun(driver, fake).classes[0] == "cell"
    driver.wait(name.isEnabled, 10)
    assert classes_of(driver.viewer.layers["strokes"])[0].name == "cell"


def test_a_class_that_is_added_while_the_image_is_copied_is_learned(driver, fake, home, monkeypatch):
    go_on, create = threading.Event(), handover._created

    def created(*arguments):
        go_on.wait(20)
        return create(*arguments)

    monkeypatch.setattr("napari_unet.widgets.handover._created", created)
    image = driver.viewer.add_image(_stack(), name="stack")
    strokes = driver.viewer.add_layer(new_strokes(image, home.labels, "strokes"))
    set_classes(strokes, AB)
    panel = panel_of(driver, "Train")
    driver.wait(lambda: _button(panel, "train").isEnabled(), 10)
    driver.click(_button(panel, "train"))
    assert panel.preparing
    driver.click(panel.findChild(QToolButton, "add"))
    added = classes_of(strokes)[2]
    driver.type(panel.findChild(ClassList).findChildren(QLineEdit)[0], "half a na")
    go_on.set()
    config = _begun(driver, fake)
    assert (config.classes, config.colors[2]) == (("a", "b", added.name), added.color)


@pytest.mark.slow
def test_a_model_is_never_overwritten(driver, fake, home):
    fake.does("finish")
    panel = _ready(driver)
    for number, name in enumerate(("strokes", "strokes-2", "strokes-3"), start=1):
        driver.click(_button(panel, "train"))
        config = _begun(driver, fake, number)
        assert config.out == home.runs / name
        driver.wait(lambda: "The model is called" in said(panel), 10)
        assert said(panel) == f"The model is called {name}. The Segment panel offers it."
        assert said(panel, "progress") == f"Done: {STEPS} steps."
    titles = [entry.name for entry in home.models()]
    assert titles[:3] == [str(home.runs / name) for name in ("strokes-3", "strokes-2", "strokes")]
    box = panel.findChild(ModelChoice).findChild(QComboBox)
    assert [box.itemText(i).split(" (")[0] for i in range(3)] == ["strokes-3", "strokes-2", "strokes"]
    assert panel.findChild(ModelChoice).name() == "em-membrane"


@pytest.mark.slow
def test_no_other_model_is_trained_where_the_chosen_one_was_deleted(driver, fake, home):
    former = Path(a_run(home.root, "strokes"))
    panel = _ready(driver)
    panel.findChild(ModelChoice).choose(str(former))
    shutil.rmtree(former)
    driver.click(_button(panel, "train"))
    assert said(panel).startswith("The model strokes (today ")
    assert said(panel).endswith(" is gone; em-membrane is chosen instead.")
    assert not panel.preparing
    driver.click(_button(panel, "train"))
    assert (config := _begun(driver, fake)).start_from == "em-membrane"
    assert config.out == former


def test_continue_after_stop_starts_the_same_configuration(driver, fake):
    panel = _ready(driver)
    driver.click(_button(panel, "train"))
    job = _job(driver, panel)
    _paused(driver, job)
    assert not _button(panel, "train").isEnabled()
    assert said(panel, "reason") == _button(panel, "train").toolTip() == "A training is running."
    driver.click(_button(panel, "stop"))
    driver.wait(lambda: not job.running, 10)
    assert said(panel, "progress") == f"Stopped: {PAUSE_AT} steps."
    assert _button(panel, "train").isEnabled()
    driver.type(panel.findChild(QWidget, "minutes").findChild(QLineEdit), "99")
    panel.findChild(ModelChoice).choose("scratch")
    assert _button(panel, "resume").text() == "Continue"
    fake.does("finish")
    driver.click(_button(panel, "resume"))
    assert _begun(driver, fake, 2) == as_begun(job.config) != job.config  # the strokes may be painted on meanwhile
    again = panel.jobs.latest("train")
    assert (again.image, again is job) == (job.image, False)
    driver.wait(lambda: isinstance(again.outcome, Finished) and not again.outcome.stopped, 10)
    assert not _button(panel, "resume").isVisible()


@pytest.mark.slow
def test_an_undone_training_that_goes_on_is_no_longer_undone(driver, fake, home):
    panel = _ready(driver)
    job = _stopped(driver, panel)
    driver.click(_button(panel, "undo"))
    assert (job.config.out / UNDONE).exists()
    driver.click(_button(panel, "resume"))
    _begun(driver, fake, 2)
    assert not (job.config.out / UNDONE).exists()
    assert "(undone)" not in said(panel, "stop-title")
    fake.does("finish")
    driver.wait(lambda: not panel.jobs.latest("train").running, 20)
    assert _button(panel, "undo").text() == "Undo training"


@pytest.mark.slow
def test_a_training_goes_on_when_the_copy_of_its_image_is_gone(driver, fake, home):
    panel = _ready(driver)
    job = _stopped(driver, panel)
    shutil.rmtree(home.copies)
    fake.does("finish")
    driver.click(_button(panel, "resume"))
    image, labels = _begun(driver, fake, 2).pairs[0]
    assert image.is_relative_to(home.copies)
    assert labels.is_relative_to(job.config.out)
    np.testing.assert_array_equal(open_volume(image).array[:], driver.viewer.layers["stack"].data)
    driver.wait(lambda: isinstance(panel.jobs.latest("train").outcome, Finished), 10)


@pytest.mark.slow
def test_the_image_of_a_training_that_goes_on_is_chosen(driver, fake):
    panel = _ready(driver)
    job = _stopped(driver, panel)
    image = panel.findChild(QComboBox, "image")
    driver.viewer.add_image(255 - _stack(), name="another")
    image.setCurrentIndex(image.findText("another"))
    fake.does("finish")
    driver.click(_button(panel, "resume"))
    _begun(driver, fake, 2)
    assert image.currentText() == job.image.name == "stack"


@pytest.mark.slow
def test_a_training_goes_on_when_its_image_was_closed_and_opened_again(driver, fake):
    panel = _ready(driver)
    job = _stopped(driver, panel)
    driver.viewer.layers.remove("stack")
    driver.viewer.add_image(255 - _stack(), name="another")
    driver.click(_button(panel, "resume"))
    driver.wait(lambda: "is no longer open. Open" in said(panel), 10)
    again = driver.viewer.add_image(_stack(), name="again")
    fake.does("finish")
    driver.click(_button(panel, "resume"))
    assert _begun(driver, fake, 2) == as_begun(job.config)
    assert panel.jobs.latest("train").image is again
    driver.wait(lambda: isinstance(panel.jobs.latest("train").outcome, Finished), 10)


def test_a_class_of_painted_labels_keeps_its_number(driver, home):
    image = driver.viewer.add_image(_stack(), name="stack")
    panel = panel_of(driver, "Train")
    labels = new_strokes(image, home.labels, "strokes")
    set_classes(labels, AB)
    driver.viewer.add_layer(labels)
    driver.wait(lambda: panel._settings()["classes"] == ("a", "b"), 10)
    first, second = (each for each in panel.findChildren(QToolButton) if each.accessibleName() == "Remove")
    assert not first.isEnabled()
    assert "only the last class can be removed" in first.toolTip()
    driver.click(second)
    assert [each.name for each in classes_of(labels)] == ["a"]


@pytest.mark.slow
def test_the_curve_goes_on_and_the_last_message_goes(driver, fake):
    panel = _ready(driver)
    job = _stopped(driver, panel)
    driver.wait(lambda: "The model is called" in said(panel), 10)
    curve = panel.findChild(Curve)
    fake.does("fail")
    driver.click(_button(panel, "resume"))
    driver.wait(lambda: panel.jobs.latest("train") is not job, 10)
    curve.draw()
    assert len(curve._loss.getOriginalDataset()[0]) >= PAUSE_AT
    driver.wait(lambda: said(panel, "progress").startswith("The disk is full."), 10)
    assert said(panel) == ""


def test_a_class_is_painted_on_labels_that_are_ticked(driver):
    driver.viewer.add_image(_stack(), name="stack")
    panel = panel_of(driver, "Train")
    driver.click(next(button for button in panel.findChildren(QPushButton) if button.text() == "2"))
    assert said(panel) == "Tick a labels layer, or press New."


def test_where_the_steps_are_set_the_time_is_of_no_use(driver):
    panel = panel_of(driver, "Train")
    minutes = panel.findChild(QWidget, "minutes")
    assert minutes.isEnabled()
    _unfold(driver, panel)
    assert panel.findChild(QWidget, "channel") is None  # a layer has one
    driver.type(panel.findChild(QWidget, "steps").findChild(QLineEdit), "77")
    assert not minutes.isEnabled()
    assert minutes.toolTip() == "It trains for the steps set under Advanced, however long these take."
    driver.click(panel.findChild(QToolButton, "steps_back"))
    assert minutes.isEnabled()
    assert minutes.toolTip() == "How long; Stop works at any moment."


def test_the_segment_panel_offers_a_model_when_its_training_has_ended(driver, fake, home):
    driver.viewer.add_image(_stack(), name="stack")
    driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes")
    train = panel_of(driver, "Train")
    driver.click(_button(train, "train"))
    job = _job(driver, train)
    _paused(driver, job)
    shutil.copy(find("em-membrane"), job.config.out / "model.safetensors")  # half trained
    segment = panel_of(driver, "Segment")
    model = segment.findChild(ModelChoice)
    assert model.name() == "em-membrane"
    fake.does("finish")
    driver.wait(lambda: not job.running, 10)
    assert model.name() == str(job.config.out)
    assert train.findChild(ModelChoice).name() == "em-membrane"
    # Both panels are tabs: the click on one shows no other widget.
    box = model.findChild(QComboBox)
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Down)
    assert model.name() == "em-membrane"
    train.parentWidget().raise_()
    driver.wait(lambda: _button(train, "train").isEnabled(), 10)
    driver.click(_button(train, "train"))
    driver.wait(lambda: train.jobs.latest("train") is not job and not train.jobs.running(), 10)
    assert [box.itemText(row).split(" (")[0] for row in range(2)] == ["strokes-2", "strokes"]
    assert model.name() == "em-membrane"


def test_a_training_that_fails_says_why_and_can_go_on(driver, fake):
    fake.does("fail")
    panel = _ready(driver)
    driver.click(_button(panel, "train"))
    job = _job(driver, panel)
    driver.wait(lambda: isinstance(job.outcome, Failed), 10)
    assert said(panel, "progress") == "The disk is full. Make room and press Continue."
    assert _button(panel, "train").isEnabled()
    fake.does("finish")
    driver.click(_button(panel, "resume"))
    driver.wait(lambda: "The model is called" in said(panel), 10)


@pytest.mark.slow
def test_a_panel_that_is_opened_again_finds_the_training(driver, fake):
    driver.viewer.add_image(_stack(), name="stack")
    strokes = driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes")
    panel = panel_of(driver, "Train")
    driver.click(_button(panel, "train"))
    job = _job(driver, panel)
    _paused(driver, job)
    driver.wait(lambda: "U-Net training preview" in driver.viewer.layers, 10)
    close_panel(driver, panel)
    asked = len(fake.asked(Preview))
    driver.wait(lambda: len(fake.asked(Preview)) > asked, 10)  # it goes on for those who look at the image
    strokes.name = "renamed"

    panel = panel_of(driver, "Train")
    assert said(panel, "progress").startswith(f"step {PAUSE_AT} of {STEPS}")
    assert said(panel, "reason") == "A training is running."
    driver.click(panel.findChild(QCheckBox, "live"))
    close_panel(driver, panel)
    panel = panel_of(driver, "Train")
    assert not panel.findChild(QCheckBox, "live").isChecked()
    fake.does("finish")
    driver.wait(lambda: not job.running, 10)
    assert "The model is called strokes." in said(panel)
    close_panel(driver, panel)
    panel = panel_of(driver, "Train")
    assert said(panel, "progress") == f"Done: {STEPS} steps."


def test_a_panel_that_is_opened_again_shows_what_was_chosen(driver, fake):
    panel = _ready(driver)
    driver.click(panel.findChild(QToolButton, "fold"))
    driver.type(panel.findChild(QWidget, "steps").findChild(QLineEdit), "400")
    panel.findChild(ModelChoice).choose("em-membrane-small")
    close_panel(driver, panel)
    panel = panel_of(driver, "Train")
    driver.click(_button(panel, "train"))
    config = _job(driver, panel).config
    assert (config.steps, config.start_from) == (400, "em-membrane-small")


@pytest.mark.slow
def test_a_failure_comes_into_view(driver, fake):
    panel = _ready(driver)
    panel.parent().parent().resize(1280, 500)
    fake.does("fail")
    driver.click(_button(panel, "train"))
    job = _job(driver, panel)
    driver.wait(lambda: not job.running, 10)
    line = panel.findChild(QLabel, "progress")
    driver.wait(lambda: panel.viewport().rect().contains(line.mapTo(panel.viewport(), line.rect().center())), 5)


@pytest.mark.slow
def test_a_closed_panel_is_not_collected_while_it_hears_of_the_end(driver, fake, monkeypatch):
    panel = _ready(driver)
    driver.click(_button(panel, "train"))
    job = _job(driver, panel)
    _paused(driver, job)
    read, collected = Library.models, []

    def models(library: Library) -> list:
        collected.append(gc.collect())  # Python may do so at any time
        return read(library)

    monkeypatch.setattr(Library, "models", models)
    close_panel(driver, panel)
    del panel
    fake.does("finish")
    driver.wait(lambda: not job.running and len(collected) > 0, 10)


@pytest.mark.slow
def test_what_is_painted_while_it_trains_joins_and_what_was_painted_since_it_stopped(driver, fake):
    driver.viewer.add_image(_stack(), name="stack")
    strokes = driver.viewer.add_labels(np.zeros(SHAPE, np.uint8), name="strokes")
    strokes.data[1, 10:20, 10:30] = 1
    panel = panel_of(driver, "Train")
    driver.click(_button(panel, "train"))
    job = _job(driver, panel)
    _paused(driver, job)
    driver.show_section(2)
    strokes.selected_label, strokes.mode = 2, "paint"
    driver.stroke(strokes, [(50, 40), (50, 60)])
    driver.wait(lambda: bool(fake.asked(Join)), 20)  # a slow stroke is passed on more than once
    assert set(fake.asked(Join)) == {Join(0, str(path_of(strokes)), (2,))}
    driver.wait(lambda: said(panel, "joined") != "", 10)
    learned = "It learns from 1,234 pixels in 1 section now."
    assert said(panel, "joined") == f"Your last strokes joined at step {PAUSE_AT}. {learned}"

    driver.click(_button(panel, "stop"))
    driver.wait(lambda: not job.running, 10)
    driver.show_section(3)
    driver.stroke(strokes, [(50, 40), (50, 60)])
    driver.click(_button(panel, "resume"))
    both = Join(0, str(path_of(strokes)), (1, 2, 3))  # what is known already does not count
    driver.wait(lambda: both in fake.asked(Join), 20)
    assert fake.asked(Begin)[1].config["inputs"][1] != str(path_of(strokes))
    driver.stroke(strokes, [(20, 40), (20, 60)])
    driver.wait(lambda: fake.asked(Join)[-1].sections == (3,), 20)


@pytest.mark.parametrize("kept", [pytest.param(True, marks=pytest.mark.slow), False])
def test_what_is_painted_on_labels_that_a_training_does_not_know_is_said_once(driver, fake, home, kept):
    image = driver.viewer.add_image(_stack(), name="stack")
    strokes = driver.viewer.add_labels(np.zeros(SHAPE, np.uint8), name="strokes")
    strokes.data[1, 10:20, 10:30] = 1
    panel = panel_of(driver, "Train")
    driver.click(_button(panel, "train"))
    _paused(driver, _job(driver, panel))
    name = "kept" if kept else "in-memory"  # of its own: napari keeps what was said in other tests
    in_memory = Labels(np.zeros(SHAPE, np.uint8), name=name)
    other = driver.viewer.add_layer(new_strokes(image, home.labels, name) if kept else in_memory)
    driver.viewer.layers.selection.active = other
    other.mode = "paint"
    driver.qtbot.wait(1500)  # it is looked at every second
    told = f"The training that runs does not learn {name}: it was not ticked when that began."
    for row in (20, 50):
        driver.stroke(other, [(row, 40), (row, 60)])
        driver.wait(lambda: [each.message for each in notification_manager.records].count(told) == 1, 10)
    assert not fake.asked(Join)


@pytest.mark.slow
def test_a_training_that_was_prepared_for_a_closed_panel_runs_once(driver, fake):
    panel = _ready(driver)
    driver.click(_button(panel, "train"))
    close_panel(driver, panel)
    panel = panel_of(driver, "Train")
    driver.wait(lambda: panel.jobs.latest("train") is not None, 10)
    if _button(panel, "train").isEnabled():
        driver.click(_button(panel, "train"))
        driver.wait(lambda: not panel.preparing, 10)
    assert len(panel.jobs.running()) == 1


def test_classes_are_renamed_and_coloured_in_the_layer_and_on_disk(driver, home):
    image = driver.viewer.add_image(_stack(), name="stack")
    strokes = new_strokes(image, home.labels, "first")
    set_classes(strokes, AB)
    driver.viewer.add_layer(strokes)
    panel = panel_of(driver, "Train")
    first = next(line for line in panel.findChildren(QLineEdit) if line.text() == "a")
    driver.type(first, "axon")
    next(button for button in panel.findChildren(QToolButton) if button.accessibleName() == "Colour").click()
    (dialog,) = panel.findChildren(QColorDialog)
    dialog.setCurrentColor(QColor("#123456"))
    dialog.accept()
    now = (PixelClass(1, "axon", "#123456"), AB[1])
    assert classes_of(strokes) == now
    assert list(strokes.features["class"]) == ["axon", "b"]
    assert np.allclose(strokes.colormap.map(1)[:3], QColor("#123456").getRgbF()[:3], atol=0.01)

    driver.click(next(button for button in panel.findChildren(QPushButton) if button.text() == "2"))
    assert driver.viewer.layers.selection.active == strokes
    assert (strokes.selected_label, strokes.mode) == (2, "paint")

    first = next(line for line in panel.findChildren(QLineEdit) if line.text() == "axon")
    first.selectAll()
    QTest.keyClick(first, Qt.Key.Key_Delete)
    assert said(panel, "reason") == "A class has no name."
    driver.viewer.add_points(name="dots")  # a layer that comes while a name is typed
    assert said(panel, "reason") == "A class has no name."
    assert classes_of(strokes) == now


def test_classes_that_were_named_by_hand_stay_when_another_model_is_chosen(driver, home):
    driver.viewer.add_image(np.zeros((3, 40, 60), np.uint8), name="stack")
    driver.viewer.add_labels(np.ones((3, 40, 60), np.uint8), name="in memory")
    panel = panel_of(driver, "Train")
    name = panel.findChild(ClassList).findChild(QLineEdit)
    before = name.text()
    driver.type(name, "mitochondrion")
    panel.findChild(ModelChoice).choose("em-membrane-small")
    assert name.text() == "mitochondrion" != before


def _kept_and_in_memory(driver, home):
    """Add a stack, labels on disk with classes of their own, and labels in memory; return those on disk."""
    image = driver.viewer.add_image(_stack(), name="stack")
    kept = new_strokes(image, home.labels, "kept")
    set_classes(kept, CD)
    driver.viewer.add_layer(kept)
    driver.viewer.add_labels(np.ones(_stack().shape, np.uint8), name="in memory")
    return kept


def _two_in_memory(driver):
    """Add a stack and two labels in memory; return the panel and its list of labels."""
    driver.viewer.add_image(_stack(), name="stack")
    for name in ("first", "second"):
        driver.viewer.add_labels(np.ones(_stack().shape, np.uint8), name=name)
    panel = panel_of(driver, "Train")
    return panel, panel.findChild(QWidget, "labels")


def test_classes_of_labels_in_memory_come_back_when_they_are_ticked_again(driver, home):
    kept = _kept_and_in_memory(driver, home)
    panel = panel_of(driver, "Train")
    boxes = panel.findChild(QWidget, "labels")
    assert [boxes.item(row).text() for row in range(2)] == ["in memory", "kept"]
    shown = []
    boxes.item(0).setCheckState(Qt.CheckState.Checked)
    driver.type(panel.findChild(ClassList).findChild(QLineEdit), "mitochondrion")
    for row in (1, 0):
        boxes.item(row).setCheckState(Qt.CheckState.Checked)
        boxes.item(1 - row).setCheckState(Qt.CheckState.Unchecked)
        shown.append(panel.findChild(ClassList).classes()[0].name)
    assert shown == ["c", "mitochondrion"]
    assert classes_of(kept) == CD


def test_classes_of_two_labels_in_memory_stay_theirs_while_both_are_ticked(driver):
    panel, boxes = _two_in_memory(driver)
    shown = panel.findChild(ClassList)

    def only(row: int) -> None:
        boxes.item(row).setCheckState(Qt.CheckState.Checked)
        boxes.item(1 - row).setCheckState(Qt.CheckState.Unchecked)

    for row, name in enumerate(("soma", "glia")):
        only(row)
        driver.type(shown.findChild(QLineEdit), name)
    for row, name in [(0, "soma"), (1, "glia"), (0, "soma")]:
        only(row)
        assert shown.classes()[0].name == name
    boxes.item(1).setCheckState(Qt.CheckState.Checked)
    assert said(panel, "reason").startswith("The ticked labels have different classes.")
    assert not shown.isEnabled()
    assert not _button(panel, "train").isEnabled()
    only(1)
    assert shown.isEnabled()
    driver.type(shown.findChild(QLineEdit), "soma")
    boxes.item(0).setCheckState(Qt.CheckState.Checked)
    assert _button(panel, "train").isEnabled()


def test_labels_in_memory_mean_what_was_shown_for_them_when_they_were_painted(driver, home):
    _kept_and_in_memory(driver, home)
    panel = panel_of(driver, "Train")
    boxes, shown = panel.findChild(QWidget, "labels"), panel.findChild(ClassList)

    def tick(row: int, on: bool) -> None:
        boxes.item(row).setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    tick(0, True)
    assert [each.name for each in shown.classes()] == ["interior", "membrane"]
    tick(1, True)
    assert said(panel, "reason").startswith("The ticked labels have different classes.")
    tick(0, False)
    assert [each.name for each in shown.classes()] == ["c", "d"]
    tick(0, True)
    tick(1, False)
    assert [each.name for each in shown.classes()] == ["interior", "membrane"]
    panel._painted.offer_classes(AB)
    assert shown.classes() == AB
    tick(0, False)
    tick(0, True)
    assert shown.classes() == AB
    layer = driver.viewer.layers["in memory"]
    driver.viewer.layers.selection.active = layer
    layer.mode, layer.selected_label = "paint", 2
    driver.stroke(layer, [(20, 40), (20, 60)])
    panel._painted.offer_classes(CD)
    assert shown.classes() == AB


def test_classes_of_labels_in_memory_outlive_the_panel(driver):
    panel, boxes = _two_in_memory(driver)
    for row, name in enumerate(("soma", "glia")):
        boxes.item(row).setCheckState(Qt.CheckState.Checked)
        boxes.item(1 - row).setCheckState(Qt.CheckState.Unchecked)
        driver.type(panel.findChild(ClassList).findChild(QLineEdit), name)
    close_panel(driver, panel)
    panel = panel_of(driver, "Train")
    panel.findChild(QWidget, "labels").item(0).setCheckState(Qt.CheckState.Checked)
    assert said(panel, "reason").startswith("The ticked labels have different classes.")


def test_labels_whose_folder_is_gone_are_not_trained_until_it_is_back(driver, home):
    image = driver.viewer.add_image(_stack(), name="stack")
    strokes = new_strokes(image, home.labels, "mine")
    set_classes(strokes, AB)
    driver.viewer.add_layer(strokes)
    panel = panel_of(driver, "Train")
    driver.wait(lambda: _button(panel, "train").isEnabled(), 5)
    away = path_of(strokes).rename(home.root / "away")
    driver.wait(lambda: said(panel, "reason").startswith("mine is not kept on disk any more: "), 10)
    assert not _button(panel, "train").isEnabled()
    assert not panel.findChild(QLabel, "in-memory").isVisible()
    assert not panel.findChild(ClassList).isEnabled()
    away.rename(home.labels / "mine.zarr")
    driver.wait(lambda: _button(panel, "train").isEnabled(), 10)
    assert panel.findChild(ClassList).classes() == classes_of(strokes) == AB


def test_labels_with_other_classes_keep_them(driver, home):
    image = driver.viewer.add_image(_stack(), name="stack")
    layers = [new_strokes(image, home.labels, name) for name in ("first", "second")]
    for layer, classes in zip(layers, (AB, CD), strict=True):
        set_classes(layer, classes)
        driver.viewer.add_layer(layer)
    panel = panel_of(driver, "Train")
    boxes = panel.findChild(QWidget, "labels")
    assert [boxes.item(row).text() for row in range(2)] == ["second", "first"]
    boxes.item(1).setCheckState(Qt.CheckState.Checked)
    boxes.item(0).setCheckState(Qt.CheckState.Checked)
    assert [classes_of(layer) for layer in layers] == [AB, CD]
    assert said(panel, "reason").startswith("The ticked labels have different classes.")
    boxes.item(1).setCheckState(Qt.CheckState.Unchecked)
    for old, new in (("c", "a"), ("d", "b")):
        driver.type(next(line for line in panel.findChildren(QLineEdit) if line.text() == old), new)
    boxes.item(1).setCheckState(Qt.CheckState.Checked)
    assert _button(panel, "train").isEnabled()
    assert [[each.name for each in classes_of(layer)] for layer in layers] == [["a", "b"]] * 2


def test_a_disabled_button_says_why(driver):
    panel = panel_of(driver, "Train")
    train = _button(panel, "train")

    def why() -> str:
        assert not train.isEnabled()
        assert said(panel, "reason") == train.toolTip() == _button(panel, "examples").toolTip()
        return train.toolTip()

    assert why() == "Open an image first: File > Open, or drag it into the window."
    driver.viewer.add_image(_stack(), name="stack")
    assert why() == "Press New and paint a few strokes, or tick a labels layer."
    driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes")
    assert train.isEnabled()
    _unfold(driver, panel)
    driver.type(panel.findChild(QWidget, "crop").findChild(QLineEdit), "100")
    assert why() == "Crop must be a multiple of 16, such as 96."
    driver.type(panel.findChild(QWidget, "crop").findChild(QLineEdit), "96")
    assert train.isEnabled()
    driver.viewer.layers.remove("stack")
    assert why().startswith("Open an image first")


@pytest.mark.parametrize(
    "kind", ["2-D", *(pytest.param(each, marks=pytest.mark.slow) for each in ("multiscale", "dask", "float"))]
)
def test_images_of_all_kinds_are_trained_on(driver, fake, kind):
    fake.does("finish")
    stack = _stack()
    data, shape = {
        "2-D": (stack[0], SHAPE[1:]),
        "multiscale": ([stack, stack[:, ::2, ::2]], SHAPE),
        "dask": (da.from_array(stack), SHAPE),
        "float": (stack / 255, SHAPE),
    }[kind]
    driver.viewer.add_image(data, name="stack", multiscale=kind == "multiscale", rotate=5)
    strokes = driver.viewer.add_labels(np.ones(shape, np.uint8), name="strokes", rotate=5)
    panel = panel_of(driver, "Train")
    driver.click(_button(panel, "train"))
    driver.wait(lambda: "The model is called" in said(panel), 10)
    assert is_strokes(strokes)


@pytest.mark.parametrize(
    ("shape", "options", "text"),
    [((*SHAPE, 3), {"rgb": True}, "is a colour image"), ((2, *SHAPE), {}, "has 4 axes")],
)
def test_images_that_cannot_be_used_are_refused_before_the_button_is_pressed(driver, fake, shape, options, text):
    driver.viewer.add_image(_stack(shape), name="stack", **options)
    driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes")
    panel = panel_of(driver, "Train")
    assert text in said(panel, "reason")
    train = _button(panel, "train")
    assert (train.isEnabled(), train.toolTip()) == (False, said(panel, "reason"))


def test_labels_that_do_not_fit_are_refused_before_the_button_is_pressed(driver, fake):
    driver.viewer.add_image(_stack((2, 96, 128)), name="stack")
    driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes")
    panel = panel_of(driver, "Train")
    assert "voxels large" in said(panel, "reason")
    assert not _button(panel, "train").isEnabled()


@pytest.mark.slow
def test_labels_that_cannot_be_copied_are_refused_in_a_sentence(driver, fake):
    driver.viewer.add_image(_stack(), name="stack")
    strokes = driver.viewer.add_labels(np.full(SHAPE, -1), name="strokes")
    strokes.mode = "paint"
    panel = panel_of(driver, "Train")
    driver.click(_button(panel, "train"))
    driver.wait(lambda: not panel.preparing, 10)
    assert said(panel) == "strokes holds negative labels. Erase them, or number the labels from 1."
    assert _button(panel, "train").isEnabled()
    assert (strokes.editable, strokes.mode) == (True, "paint")
    assert fake.asked(Begin) == []


@pytest.mark.slow
def test_layers_may_come_and_go_while_a_training_runs(driver, fake):
    viewer = driver.viewer
    image = viewer.add_image(_stack(), name="stack")
    strokes = viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes")
    panel = panel_of(driver, "Train")
    driver.click(_button(panel, "train"))
    job = _job(driver, panel)
    driver.wait(lambda: "U-Net training preview" in viewer.layers, 10)
    viewer.screenshot(flash=False)  # vispy may crash where a layer that was never drawn loses its neighbours
    box, boxes = panel.findChild(QComboBox, "image"), panel.findChild(QWidget, "labels")
    image.name, strokes.name = "other", "lines"
    assert (box.currentText(), boxes.item(0).text()) == ("other", "lines")
    assert boxes.item(0).checkState() == Qt.CheckState.Checked
    boxes.item(0).setCheckState(Qt.CheckState.Unchecked)
    viewer.layers.move(0, len(viewer.layers))
    assert boxes.item(0).checkState() == Qt.CheckState.Unchecked
    viewer.layers.remove(image)
    viewer.layers.remove(strokes)
    assert (box.count(), boxes.count()) == (0, 0)
    fake.does("finish")
    driver.wait(lambda: not job.running, 10)
    assert said(panel) == "The model is called strokes. The Segment panel offers it."


@pytest.mark.slow
def test_two_windows_train_apart(open_window, fake, home):
    drivers = [open_window() for _ in range(2)]
    panels = []
    for driver in drivers:
        driver.viewer.add_image(_stack(), name="stack")
        driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes")
        panels.append(panel_of(driver, "Train"))
        driver.click(_button(panels[-1], "train"))
        _paused(driver, _job(driver, panels[-1]))
    first, second = (panel.jobs.latest("train") for panel in panels)
    assert (first.config.out, second.config.out) == (home.runs / "strokes", home.runs / "strokes-2")
    drivers[0].click(_button(panels[0], "stop"))
    drivers[0].wait(lambda: not first.running, 10)
    assert second.running
    assert said(panels[1], "progress").startswith("step")


@pytest.mark.parametrize("gap", [pytest.param(" ", marks=pytest.mark.slow), "_"])
def test_no_row_is_wider_than_the_panel(driver, fake, gap):
    driver.viewer.theme = "light"
    driver.viewer.add_image(_stack(), name="a long name of a stack ".replace(" ", gap) * 4)
    driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="another long name of labels ".replace(" ", gap) * 4)
    panel = panel_of(driver, "Train")
    _unfold(driver, panel)
    driver.click(_button(panel, "train"))
    job = _job(driver, panel)
    driver.wait(lambda: job.progress is not None, 10)
    assert panel.width() <= 340
    assert panel.widget().minimumSizeHint().width() <= panel.viewport().width()
