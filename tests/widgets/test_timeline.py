"""The models of a training: shown, compared, taken, undone; with the fake worker."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from qtpy.QtWidgets import QPushButton, QSlider

from napari_unet.card import MODEL_FILE, find
from napari_unet.events import Finished
from napari_unet.library import UNDONE
from napari_unet.naming import Named, name, name_of
from napari_unet.reader import OURS
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.predictions import LIVE
from napari_unet.widgets.result import show_preview
from napari_unet.widgets.timeline import Timeline

from .conftest import panel_of, said

SHAPE = 4, 96, 128


def _button(panel, name: str) -> QPushButton:
    return panel.findChild(QPushButton, name)


def _trained(driver, fake, home, start="em-membrane"):
    """A panel after a training of "strokes"."""
    fake.does("finish")
    driver.viewer.add_image(np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8), name="stack")
    driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes")
    panel = panel_of(driver, "Train")
    assert not panel.findChild(Timeline).isVisible()
    panel.findChild(ModelChoice).choose(start)
    driver.click(_button(panel, "train"))
    driver.wait(lambda: panel.jobs.latest("train") is not None and not panel.jobs.latest("train").running, 20)
    return panel, home.runs / "strokes"


def _at(panel, value: int) -> str:
    panel.findChild(QSlider, "timeline").setValue(value)
    return said(panel, "stop-title")


def _previews(driver) -> dict[str, bool]:
    return {layer.name: layer.visible for layer in driver.viewer.layers if layer.name.startswith("U-Net: ")}


def test_models_of_a_training_are_shown_and_compared(driver, fake, home) -> None:
    panel, _ = _trained(driver, fake, home)
    runs, titles = zip(*(_at(panel, value).split(" · ")[:2] for value in range(4)), strict=True)
    assert set(runs) == {"strokes"}
    assert list(titles) == ["Before: em-membrane", "Step 10", "Step 40", titles[3]]
    assert titles[3].startswith("Kept: step ")
    for value, names in ((0, {"U-Net: before: em-membrane"}), (1, {"U-Net: before: em-membrane", "U-Net: step 10"})):
        _at(panel, value)
        driver.click(_button(panel, "show-step"))
        driver.wait(lambda names=names: _previews(driver).keys() == names, 20)
    driver.wait(lambda: said(panel) == "Previewed with step 10.", 20)
    assert _previews(driver) == {"U-Net: before: em-membrane": False, "U-Net: step 10": True}
    driver.click(_button(panel, "flip"))
    assert _previews(driver) == {"U-Net: before: em-membrane": True, "U-Net: step 10": False}
    assert said(panel) == "In view: U-Net: before: em-membrane."
    driver.viewer.add_labels(np.ones((3, 9, 9), np.uint8), name="cells", metadata={OURS: {"classes": []}})
    driver.wait(lambda: said(panel).startswith("cells is computed"), 20)  # it is selected
    driver.click(_button(panel, "flip"))
    again = "cells is hidden now; its eye in the layer list shows it again."
    assert said(panel) == f"In view: U-Net: step 10. {again}"
    _at(panel, 2)
    driver.click(_button(panel, "show-step"))
    driver.wait(lambda: _previews(driver).keys() == {"U-Net: step 10", "U-Net: step 40"}, 20)


@pytest.mark.slow
def test_a_model_whose_preview_was_stopped_cannot_be_flipped_to(driver, fake, home) -> None:
    panel, _ = _trained(driver, fake, home)
    show = _button(panel, "show-step")
    _at(panel, 0)
    driver.click(show)
    driver.wait(lambda: len(_previews(driver)) == 1, 20)
    fake.does("hang")
    _at(panel, 1)
    driver.click(show)
    driver.wait(lambda: show.text() == "Stop", 20)
    driver.click(show)
    driver.wait(lambda: said(panel) == "The preview was stopped.", 20)
    assert not _button(panel, "flip").isEnabled()


def test_an_earlier_model_is_taken(driver, fake, home) -> None:
    panel, run = _trained(driver, fake, home)
    _at(panel, 1)
    driver.click(_button(panel, "use-step"))
    model = home.runs / "strokes-step-10"
    assert panel.findChild(ModelChoice).name() == str(model)
    assert (model / MODEL_FILE).read_bytes() == (run / "steps" / "000010.safetensors").read_bytes()
    segment = panel_of(driver, "Segment")
    assert str(model) in [segment.findChild(ModelChoice)._box.itemData(i) for i in range(4)]


def test_a_training_is_undone_and_redone(driver, fake, home) -> None:
    panel, run = _trained(driver, fake, home)
    choice = panel.findChild(ModelChoice)
    choice.choose(str(run))
    before = (run / MODEL_FILE).read_bytes()
    assert _button(panel, "undo").text() == "Undo training"
    driver.click(_button(panel, "undo"))
    assert choice.name() == "em-membrane"
    assert (run / UNDONE).exists()
    assert said(panel) == "Undone: em-membrane is chosen again, as it was. strokes is kept, behind all others."
    assert _button(panel, "undo").text() == "Redo training"
    assert said(panel, "stop-title").startswith("strokes (undone) · Kept: ")
    driver.click(_button(panel, "undo"))
    assert said(panel, "stop-title").startswith("strokes · Kept: ")
    assert choice.name() == str(run)
    assert not (run / UNDONE).exists()
    assert (run / MODEL_FILE).read_bytes() == before
    (run / MODEL_FILE).write_bytes(b"damaged")
    driver.click(_button(panel, "undo"))
    assert _button(panel, "undo").text() == "Redo training"
    assert panel_of(driver, "Segment").findChild(ModelChoice).name() == "em-membrane"


@pytest.mark.slow
@pytest.mark.parametrize(("clicks", "expected"), [(1, "em-membrane-small"), (2, "strokes")])
def test_after_undoing_one_click_segments_with_the_former_model(driver, fake, home, clicks, expected) -> None:
    panel, _ = _trained(driver, fake, home, "em-membrane-small")
    for _ in range(clicks):
        driver.click(_button(panel, "undo"))
    assert name_of(panel_of(driver, "Segment").findChild(ModelChoice).name()) == expected


@pytest.mark.slow
def test_a_training_preview_that_is_hidden_by_a_model_that_is_shown_is_told(driver, fake, home) -> None:
    panel, _ = _trained(driver, fake, home)
    live = show_preview(driver.viewer, driver.viewer.layers["stack"], np.ones((9, 9), np.uint8), (), 0, 0, 0, LIVE)
    for told in ("Previewed with step 10. U-Net training preview is hidden now; its eye", "Previewed with step 40."):
        _at(panel, 1 if live.visible else 2)
        driver.click(_button(panel, "show-step"))
        driver.wait(lambda told=told: said(panel).startswith(told), 20)
        assert not live.visible


def test_undo_and_redo_stay_with_one_training(driver, fake, home) -> None:
    panel, former = _trained(driver, fake, home)
    panel.findChild(ModelChoice).choose(str(former))
    driver.click(_button(panel, "train"))
    driver.wait(lambda: said(panel) == "The model is called strokes-2. The Segment panel offers it.", 20)
    driver.click(_button(panel, "undo"))
    name(former, Named("Best one"))
    panel.findChild(ModelChoice).refresh()
    assert _button(panel, "undo").text() == "Redo training"
    assert _at(panel, 0).startswith("strokes-2 (undone) · Before: Best one")
    driver.click(_button(panel, "show-step"))
    driver.wait(lambda: "U-Net: before: Best one" in _previews(driver), 20)
    driver.click(_button(panel, "undo"))
    panel.findChild(Timeline).hide()  # as while another training has no model yet
    name(former, Named("Second best"))
    panel.findChild(ModelChoice).refresh()
    assert panel.findChild(Timeline).isHidden()
    panel.findChild(Timeline).show()
    for undone in (True, False, True, False):
        driver.click(_button(panel, "undo"))
        assert (home.runs / "strokes-2" / UNDONE).exists() == undone
        assert not (former / UNDONE).exists()
        assert _button(panel, "undo").text() == ("Redo training" if undone else "Undo training")


@pytest.mark.slow
def test_nothing_is_undone_or_taken_if_the_other_model_is_gone(driver, fake, home) -> None:
    panel, former = _trained(driver, fake, home)
    choice, run = panel.findChild(ModelChoice), home.runs / "strokes-2"
    choice.choose(str(former))
    driver.click(_button(panel, "train"))
    driver.wait(lambda: said(panel) == "The model is called strokes-2. The Segment panel offers it.", 20)
    former.rename(home.root / "elsewhere")
    for value, button in ((0, "use-step"), (3, "undo")):
        _at(panel, value)
        driver.click(_button(panel, button))
        assert said(panel) == "strokes is gone, so nothing is changed. Choose another model at Start from."
    assert not (run / UNDONE).exists()
    (home.root / "elsewhere").rename(former)
    model = former / "model.safetensors"
    model.rename(home.root / "model")
    driver.click(_button(panel, "undo"))
    assert said(panel).startswith(f"Nothing is changed. The folder {former} holds no model.safetensors.")
    (home.root / "model").rename(model)
    driver.click(_button(panel, "undo"))
    assert choice.name() == str(former)
    run.rename(home.root / "elsewhere")
    _at(panel, 1)
    for button in ("use-step", "undo"):
        driver.click(_button(panel, button))
        assert "nothing is changed" in said(panel) or "cannot be read" in said(panel)
        assert choice.name() == str(former)
    assert not (home.runs / "strokes-2-step-10").exists()


@pytest.mark.slow
def test_a_training_that_was_stopped_before_its_first_step_has_no_time_line(driver, fake, home) -> None:
    panel, run = _trained(driver, fake, home)
    (run / MODEL_FILE).unlink()
    panel.jobs.latest("train").happened.emit(Finished(str(run), "0 of 40 steps, nothing was learned yet", stopped=True))
    assert not panel.findChild(Timeline).isVisible()


@pytest.mark.slow
def test_nothing_is_undone_while_it_trains(driver, fake) -> None:
    driver.viewer.add_image(np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8), name="stack")
    driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes")
    panel = panel_of(driver, "Train")
    driver.click(_button(panel, "train"))
    driver.wait(lambda: panel.jobs.latest("train") is not None, 10)
    job = panel.jobs.latest("train")
    driver.wait(lambda: job.progress is not None and job.progress.done == 10, 10)
    assert not _button(panel, "undo").isEnabled() or not panel.findChild(Timeline).isVisible()
    shutil.copy(find("em-membrane-small"), job.config.out / MODEL_FILE)
    job._worker.kill()
    driver.wait(lambda: not job.running, 10)
    assert panel.findChild(Timeline).isVisible()
    assert _button(panel, "undo").isEnabled()
