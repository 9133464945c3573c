"""What was last chosen is there again the next day, whatever became of the file."""

from __future__ import annotations

import json
import logging
import os
import time

import numpy as np
import pytest
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QPushButton

from napari_unet.card import MODEL_FILE
from napari_unet.library import undo
from napari_unet.requests import Begin
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.remembered import FILE, Choices, last_model, recall, remember

from .conftest import panel_of
from .test_models import a_run

SHAPE = 3, 32, 48


def test_each_choice_is_kept_with_the_others(home):
    assert recall(home) == Choices()
    remember(home, minutes=2.5, live=False)
    remember(home, model="mine", used=12.5)
    assert recall(home) == Choices(minutes=2.5, live=False, model="mine", used=12.5)
    assert [file.name for file in home.root.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "\x00\xff", '{"minutes": -1}', '{"minutes": NaN}', '{"live": "yes"}', '{"model": null}']
)
def test_a_damaged_file_is_passed_over_and_written_anew(home, caplog, text):
    home.root.mkdir()
    (home.root / FILE).write_bytes(text.encode("latin-1"))
    assert recall(home) == Choices()
    (record,) = caplog.records
    assert (record.levelno, FILE in record.getMessage()) == (logging.WARNING, True)
    remember(home, minutes=1.0)
    assert json.loads((home.root / FILE).read_text())["minutes"] == 1.0


def test_a_library_that_cannot_be_written_remembers_nothing(home, caplog):
    home.root.write_text("a file in the way")
    remember(home, minutes=1.0)
    assert recall(home) == Choices()
    assert caplog.records == []  # the panels say it
    assert home.root.read_text() == "a file in the way"


def test_what_a_later_version_keeps_does_no_harm(home):
    home.root.mkdir()
    (home.root / FILE).write_text('{"minutes": 7, "of tomorrow": 1}')
    assert recall(home) == Choices(minutes=7)


def test_the_last_model(home):
    names = [a_run(home.root, name) for name in ("old", "new")]
    for age, name in zip((2000, 1000), names, strict=True):
        os.utime(f"{name}/{MODEL_FILE}", (time.time() - age,) * 2)
    old, new = names
    assert last_model(home.models(), Choices()) == new
    for used, model in ((time.time() - 1500, new), (time.time() - 500, old)):
        assert last_model(home.models(), Choices(model=old, used=used)) == model
    assert last_model(home.models(), Choices(model="gone", used=time.time())) == new
    undo(home.runs / "old")
    assert last_model(home.models(), Choices(model=old, used=time.time())) == new
    undo(home.runs / "new")
    assert last_model(home.models(), Choices(model="em-membrane-small", used=1.0)) == "em-membrane-small"
    assert last_model(home.models(), Choices()) == "em-membrane"
    assert last_model([], Choices()) == ""


def test_panels_of_another_day_show_what_was_chosen(open_window, fake, home):
    fake.does("finish")
    own = a_run(home.root, "own")
    driver = open_window()
    driver.viewer.add_image(np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8), name="stack")
    driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes")
    train = panel_of(driver, "Train")
    train.findChild(ModelChoice).choose(own)
    train.findChild(QDoubleSpinBox, "minutes").setValue(2.5)
    driver.click(train.findChild(QCheckBox, "live"))
    assert recall(home) == Choices()  # nothing began yet
    driver.click(train.findChild(QPushButton, "train"))
    driver.wait(lambda: len(fake.asked(Begin)) == 1 and not train.jobs.running(), 20)

    segment = panel_of(driver, "Segment")
    assert segment.findChild(ModelChoice).name() == str(home.runs / "strokes")
    segment.findChild(ModelChoice).choose("em-membrane-small")
    driver.click(segment.findChild(QCheckBox, "probabilities"))
    driver.click(segment.findChild(QPushButton, "preview"))
    driver.wait(lambda: len(fake.asked(Begin)) == 2 and not segment.jobs.running(), 20)

    another = open_window()
    for name in ("Train", "Segment"):
        another.viewer.window.add_plugin_dock_widget("napari-unet", name)
    train, segment = (another.window.findChild(type(each)) for each in (train, segment))
    assert train.findChild(ModelChoice).name() == own
    assert train.findChild(QDoubleSpinBox, "minutes").value() == 2.5
    assert not train.findChild(QCheckBox, "live").isChecked()
    assert segment.findChild(ModelChoice).name() == "em-membrane-small"
    assert segment.findChild(QCheckBox, "probabilities").isChecked()


def test_a_start_model_that_is_gone_is_not_chosen(driver, home, caplog):
    remember(home, start_from=str(home.runs / "gone"), model=str(home.runs / "gone"), used=time.time())
    for name in ("Train", "Segment"):
        assert panel_of(driver, name).findChild(ModelChoice).name() == "em-membrane"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_model_of_a_file_is_remembered(driver, home, tmp_path):
    a_run(home.root, "own")
    a_run(tmp_path / "colleague", "theirs")
    file = str(tmp_path / "colleague" / "trainings" / "theirs" / MODEL_FILE)
    remember(home, model=file, used=time.time() + 1)
    assert panel_of(driver, "Segment").findChild(ModelChoice).name() == file
