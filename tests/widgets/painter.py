"""A napari of its own in which somebody paints until it is killed.

Run in `tests` as `python -m widgets.painter VERB FOLDER LIFE`: "new" sets up and paints, "again" recovers what the
killed one showed and paints on, "close" recovers and closes. What it is about to do, and what it has done, it notes in
`FOLDER/notes-LIFE.jsonl`, synced line by line.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QDoubleSpinBox, QLineEdit, QPushButton, QWidget

from napari_unet.widgets.classes import ClassList
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.labelschoice import LabelsChoice
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.strokes import path_of
from napari_unet.widgets.train import TrainPanel

from .conftest import panel_of, said
from .driver import Driver
from .fakeworker import FakeWorker

SHAPE = 8, 160, 200
SCREEN = 800, 600  # smaller than a person's: it is drawn without a GPU
MINUTES, MODEL, CELL_WALL = 7.5, "em-membrane-small", "cell wall"
SETTLED = 3.0  # seconds after which what the window shows is written down


class Bot:
    """What `Driver` needs of pytest-qt."""

    def wait(self, milliseconds: int) -> None:
        QTest.qWait(milliseconds)

    def waitUntil(self, condition: Callable[[], bool], timeout: int) -> None:
        end = time.monotonic() + timeout / 1000
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError
            QTest.qWait(10)

    def waitExposed(self, window: QWidget) -> None:
        QTest.qWaitForWindowExposed(window)


class Notes:
    """What is done, in a file that a kill leaves whole."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("a")

    def note(self, what: str, **more: Any) -> None:
        """Write a line, and sync it."""
        self._file.write(json.dumps({"what": what, "time": time.time(), **more}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def state(driver: Driver, panel: QWidget) -> dict[str, Any]:
    """Return what must come back, but for the pixels."""
    active = driver.viewer.layers.selection.active
    return {
        "layers": [layer.name for layer in driver.viewer.layers if not layer.name.startswith("U-Net")],
        "paths": [str(path_of(layer)) for layer in panel.findChild(LabelsChoice).chosen()],
        "classes": [each.name for each in panel.findChild(ClassList).classes()],
        "model": panel.findChild(ModelChoice).name(),
        "zero": panel.findChild(QComboBox, "zero").currentText(),
        "minutes": panel.findChild(QDoubleSpinBox, "minutes").value(),
        "active": active and active.name,
        "mode": active.mode if isinstance(active, Labels) else "",
        "brush": active.brush_size if isinstance(active, Labels) else 0,
        "section": driver.viewer.dims.current_step[0],
        "value": active.selected_label if isinstance(active, Labels) else 0,
    }


def set_up(driver: Driver, folder: Path) -> Labels:
    """Open a stack and the panel, make labels, and choose what is not the default."""
    driver.viewer.open(folder / "stack.tif", plugin="napari")
    panel = panel_of(driver, "Train")
    driver.choose(panel.findChild(QPushButton, "new"), "For the whole stack")
    driver.type(panel.findChild(ClassList).findChildren(QLineEdit)[1], CELL_WALL)
    panel.findChild(QDoubleSpinBox, "minutes").setValue(MINUTES)
    panel.findChild(ModelChoice).choose(MODEL)
    return driver.viewer.layers[-1]


def recover(driver: Driver, notes: Notes) -> Labels:
    """Press Recover, and note what is there."""
    panel = panel_of(driver, "Train")
    button = panel.findChild(QPushButton, "recover")
    driver.wait(button.isVisible, 10)
    driver.click(button)
    driver.wait(lambda: panel.findChild(QPushButton, "dismiss").text() == "Close", 30)
    (labels,) = panel.findChild(LabelsChoice).chosen()
    notes.note(
        "recovered",
        pixels=np.asarray(labels.data).tolist(),
        said=said(panel, "recovery"),
        progress=said(panel, "progress"),
        goes_on=panel.findChild(QPushButton, "resume").isVisible(),
        **state(driver, panel),
    )
    return labels


def paint(driver: Driver, notes: Notes, labels: Labels, button: str, draw: random.Random) -> None:
    """Begin or continue a training, and paint until this process is killed."""
    (panel,) = driver.window.findChildren(TrainPanel)
    done: list[Any] = []
    labels.events.paint.connect(lambda event: done.extend(event.value))
    stroke(driver, notes, labels, done, draw)
    before = panel.jobs.latest("train")
    driver.click(panel.findChild(QPushButton, button))
    driver.wait(lambda: panel.jobs.latest("train") is not before)
    end = time.monotonic() + SETTLED
    while time.monotonic() < end:
        stroke(driver, notes, labels, done, draw)
    notes.note("ready", **state(driver, panel))
    while True:
        stroke(driver, notes, labels, done, draw)


def stroke(driver: Driver, notes: Notes, labels: Labels, done: list[Any], draw: random.Random) -> None:
    """Paint a stroke somewhere; note it before, and after it with the pixels that napari says it changed."""
    z, value = draw.randrange(SHAPE[0]), draw.choice((1, 1, 2, 2, 0))
    row, column = draw.uniform(25, SHAPE[1] - 25), draw.uniform(25, SHAPE[2] - 25)
    points = [(row + draw.uniform(-9, 9), column + draw.uniform(-9, 9)) for _ in range(draw.choice((2, 3)))]
    notes.note("begins", section=z, value=value)
    driver.show_section(z)
    labels.selected_label = value
    driver.viewer.layers.selection.active = labels
    labels.mode = "paint"
    driver.stroke(labels, points)
    changed = np.zeros(SHAPE, bool)
    for atom in done:
        if hasattr(atom, "mask"):
            changed[atom.slice_key] |= True if atom.mask is None else atom.mask
        else:
            changed[atom[0]] = True
    assert set(np.flatnonzero(changed.any((1, 2))).tolist()) <= {z}
    notes.note("painted", section=z, value=value, pixels=np.flatnonzero(changed[z]).tolist())
    done.clear()


def close(driver: Driver) -> None:
    """Close the window in good order."""
    driver.viewer.close()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QTest.qWait(100)


def main(verb: str, folder: Path, life: str) -> None:
    """Paint in a new window, or in one that recovers first; or recover and close."""
    driver = Driver(napari.Viewer(), Bot())
    driver.window.resize(*SCREEN)
    fake = FakeWorker(folder / f"fake-{life}")
    Jobs(driver.window, fake.command, patience=3)
    notes = Notes(folder / f"notes-{life}.jsonl")
    labels = set_up(driver, folder) if verb == "new" else recover(driver, notes)
    if verb == "close":
        close(driver)
    else:
        paint(driver, notes, labels, "train" if verb == "new" else "resume", random.Random(int(life)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
