"""A training that made the model worse says so in the panel, and one click takes the former model back."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QPushButton, QWidget

from napari_unet.card import MODEL_FILE
from napari_unet.events import Compared
from napari_unet.library import UNDONE
from napari_unet.widgets.comparison import Comparison
from napari_unet.widgets.models import ModelChoice

from .conftest import close_panel, panel_of, said

SHAPE = 4, 96, 128
WORSE = Compared(0.871, 0.832, 4210, earlier=True)
BETTER = Compared(0.832, 0.871, 4210, earlier=True)


def _button(panel: QWidget, name: str) -> QPushButton:
    return panel.findChild(QPushButton, name)


@pytest.fixture
def trained(driver, fake):
    """Train and wait for the end; return the panel."""
    fake.does("finish")
    driver.viewer.add_image(np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8), name="stack")
    driver.viewer.add_labels(np.ones(SHAPE, np.uint8), name="strokes")
    panel = panel_of(driver, "Train")

    def train(compared: Compared | None):
        if compared is not None:
            fake.compares(compared)
        before = panel.jobs.latest("train")
        driver.wait(_button(panel, "train").isEnabled, 10)
        driver.click(_button(panel, "train"))
        driver.wait(lambda: (job := panel.jobs.latest("train")) not in (None, before) and not job.running, 20)
        return panel

    return train


def test_a_worse_model_is_said_and_the_former_one_taken_back(driver, trained, home) -> None:
    choice = trained(None).findChild(ModelChoice)
    former = home.runs / "strokes"
    bytes_before = (former / MODEL_FILE).read_bytes()
    choice.choose(str(former))
    panel = trained(WORSE)
    run = home.runs / "strokes-2"
    assert said(panel, "compared") == "Worse on what you painted before: IoU 0.83, was 0.87, on 4,210 pixels."
    choice.choose("em-membrane-small")  # the button is of the training, whatever is chosen
    driver.click(_button(panel, "back"))
    assert choice.name() == str(former)
    assert said(panel) == "Undone: strokes is chosen again, as it was. strokes-2 is kept, behind all others."
    assert (run / UNDONE).exists()
    assert not (former / UNDONE).exists()
    assert (former / MODEL_FILE).read_bytes() == bytes_before
    assert not _button(panel, "back").isVisible()
    choice.choose(str(run))
    driver.click(_button(panel, "undo"))  # which is Redo now
    assert _button(panel, "back").isVisible()


@pytest.mark.slow
def test_a_better_model_is_one_calm_line_that_the_next_training_takes_away(driver, fake, trained) -> None:
    panel = trained(None)
    assert not panel.findChild(Comparison).isVisible()
    trained(BETTER)
    assert said(panel, "compared").startswith("On what you painted before: IoU 0.87, was 0.83, on 4,210 pixels. Both")
    assert not _button(panel, "back").isVisible()
    close_panel(driver, panel)
    panel = panel_of(driver, "Train")  # opened again, it is still said
    assert panel.findChild(Comparison).isVisible()
    fake.does("wait")
    driver.click(_button(panel, "train"))
    driver.wait(lambda: not panel.findChild(Comparison).isVisible(), 10)
