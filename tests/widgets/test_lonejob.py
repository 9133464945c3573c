"""What goes on alone after its window was closed, in a later window."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from qtpy.QtWidgets import QPushButton

from napari_unet import finished, log, runs
from napari_unet.alone import ALONE
from napari_unet.config import SegmentConfig, TrainConfig
from napari_unet.disk import lock
from napari_unet.events import Finished, Progress, Started
from napari_unet.layout import CONFIG

from .conftest import close_panel, panel_of, said


@pytest.fixture
def alone(home) -> Callable[[str], tuple[Path, IO[bytes]]]:
    """Make what a job that goes on alone has on disk, and its lock."""

    def alone(verb: str) -> tuple[Path, IO[bytes]]:
        out = home.runs / "strokes" if verb == "train" else home.segmentations / "cells.zarr"
        out.mkdir(parents=True)
        config = (
            TrainConfig(inputs=(home.root / "a.tif", home.root / "b.zarr"), out=out)
            if verb == "train"
            else SegmentConfig(image=home.root / "a.tif", out=out)
        )
        (out / CONFIG).write_text(config.model_dump_json())
        (out / ALONE).write_text(str(os.getpid()))
        log.append(out / log.LOG, Finished("", "of an earlier start", stopped=True))
        log.append(out / log.LOG, Started(verb, "the processor", ""))
        log.append(out / log.LOG, Progress(10, 40, "step" if verb == "train" else "tile", 60.0))
        return out, lock(out / (runs.LOCK if verb == "train" else finished.LOCK))

    return alone


@pytest.mark.parametrize(
    ("verb", "name", "unit", "more", "on"),
    [
        ("train", "Train", "step", "What you paint while it runs does not join it.", "Continue"),
        ("segment", "Segment", "tile", "Earlier results > Open shows what is done.", "Resume"),
    ],
)
def test_it_is_shown_in_a_later_window_and_can_be_stopped(driver, alone, verb, name, unit, more, on):
    driver.viewer.add_image(np.zeros((4, 60, 80), np.uint8), name="stack")
    driver.viewer.add_labels(np.ones((4, 60, 80), np.uint8), name="strokes")
    out, held = alone(verb)
    panel = panel_of(driver, name)
    assert said(panel, "progress") == f"{unit} 10 of 40, 1 min 00 s left"
    assert said(panel, "said").endswith(f" was begun in a window that is closed now. {more}")
    assert not panel.findChild(QPushButton, verb).isEnabled()
    log.append(out / log.LOG, Progress(20, 40, unit, 30.0))
    driver.wait(lambda: said(panel, "progress").startswith(f"{unit} 20 of 40"), 5)
    close_panel(driver, panel)
    panel = panel_of(driver, name)
    (job,) = panel.jobs.running()
    assert job.keeps_going  # closing this window asks nothing

    driver.click(panel.findChild(QPushButton, "stop"))
    assert not (out / ALONE).exists()
    log.append(out / log.LOG, Finished(str(out), "20 of 40", stopped=True))
    driver.wait(lambda: said(panel, "progress") == "Stopped: 20 of 40.", 5)
    held.close()
    button = panel.findChild(QPushButton, "resume")
    assert (button.text(), button.isVisible()) == (on, True)
    assert panel.findChild(QPushButton, verb).isEnabled()


def test_one_that_is_killed_is_said(driver, alone):
    _, held = alone("train")
    panel = panel_of(driver, "Train")
    held.close()
    words = "The training ended unexpectedly. Press Continue: it goes on where it was."
    driver.wait(lambda: said(panel, "progress") == words, 5)
    assert not panel.jobs.running()


def test_what_a_kill_left_and_what_has_no_settings_is_not_shown(driver, alone, home):
    alone("train")[1].close()
    out, held = alone("segment")
    (out / CONFIG).unlink()
    panel = panel_of(driver, "Train")
    assert panel.jobs.latest("train") is None
    assert panel.jobs.latest("segment") is None
    held.close()
