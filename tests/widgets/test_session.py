"""One session of a person, in a real window with the real worker process: paint, train, preview, segment.

With NAPARI_UNET_PICTURES set to a folder, it trains longer and saves the pictures of the documentation there.
"""

from __future__ import annotations

import logging
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication, QLabel, QPushButton, QWidget

from napari_unet.events import Finished
from napari_unet.result import open_result
from napari_unet.widgets.segment import SegmentPanel
from napari_unet.widgets.train import TrainPanel

from .session import PICTURES, SECTION, Session

SETTINGS = {"steps": 120} if PICTURES else {"steps": 12, "crop": 80}  # small crops are swift
STEPS = SETTINGS["steps"]


@pytest.fixture
def session(make_napari_viewer, qtbot, tmp_path, monkeypatch) -> Iterator[Session]:
    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path / "library"))
    session = Session(make_napari_viewer, qtbot, "window")
    yield session
    vars(session).clear()  # napari checks that nobody holds a window that was closed


@pytest.mark.slow
def test_from_strokes_to_a_segmented_stack(session, tmp_path, caplog):
    session.open_sample()
    image = session.layer("fly medulla")
    panel = session.open_panel("Train", TrainPanel)
    assert panel.width() <= 340
    session.picture("train-empty")

    labels = session.paint(panel)
    painted = np.asarray(labels.data[SECTION])
    assert min(np.bincount(painted.ravel(), minlength=3)[1:]) > 300
    session.picture("strokes")

    session.set_advanced(panel, **SETTINGS)
    job = session.train(panel)
    preview = session.layer("U-Net training preview")
    assert set(np.unique(preview.data)) == {1, 2}
    assert preview.translate[0] == SECTION * 10
    session.driver.show_section(SECTION + 1)
    session.wait(lambda: preview.translate[0] == (SECTION + 1) * 10, 30)
    session.driver.show_section(SECTION)
    session.wait(lambda: len(job.events) > STEPS // 5 and preview.translate[0] == SECTION * 10, 240)
    session.picture("training")
    session.wait(lambda: not job.running, 300)
    assert isinstance(job.outcome, Finished), job.outcome
    assert f"{STEPS} of {STEPS} steps" in session.find(panel, QLabel, "progress").text()

    panel = session.open_panel("Segment", SegmentPanel)
    model = panel.findChild(QWidget, "model")
    assert model.name() == str(tmp_path / "library" / "trainings" / "fly-medulla-labels")
    session.click(session.find(panel, QPushButton, "preview"))
    session.wait(lambda: "Previewed" in session.find(panel, QLabel, "message").text(), 60)
    assert not preview.visible
    preview = session.layer("U-Net preview")
    session.click(session.find(panel, QPushButton, "segment"))
    session.wait(lambda: panel.jobs.latest("segment") is not None, 60)
    segmenting = panel.jobs.latest("segment")
    result = session.result(segmenting)
    session.wait(lambda: segmenting.progress is not None, 60)
    session.picture("segmenting")
    session.wait(lambda: not segmenting.running, 120)
    assert isinstance(segmenting.outcome, Finished), segmenting.outcome
    session.picture("segmented")

    shown = np.asarray(result.data)
    assert shown.shape == image.data.shape
    assert set(np.unique(shown)) == {1, 2}
    for name in ("scale", "translate", "rotate", "shear"):
        np.testing.assert_allclose(getattr(result, name), getattr(image, name))
    assert (result.units, result.axis_labels) == (image.units, image.axis_labels)
    # The preview showed what the stack now holds.
    y0, x0 = (round(v) for v in np.array(preview.translate[1:]) / 10)
    height, width = preview.data.shape[1:]
    np.testing.assert_array_equal(preview.data[0], shown[SECTION, y0 : y0 + height, x0 : x0 + width])

    session.click(session.find(panel, QPushButton, "command"))
    session.wait(lambda: "clipboard" in session.find(panel, QLabel, "message").text(), 60)
    words = shlex.split(QApplication.clipboard().text())
    assert words[0] == "napari-unet"
    subprocess.run([sys.executable, "-m", "napari_unet.cli", *words[1:]], check=True, capture_output=True)
    np.testing.assert_array_equal(open_result(Path(words[3])).classes[0][:], shown)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    if PICTURES:
        session.viewer.theme = "light"
        session.picture("light")
