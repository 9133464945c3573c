from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QObject, Signal

from napari_unet.events import Finished
from napari_unet.requests import Look
from napari_unet.widgets import follow
from napari_unet.widgets.follow import Follow


class Segmentation(QObject):
    """A job that notes what it is asked."""

    happened = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Look] = []
        self.ask = self.asked.append


@pytest.fixture
def viewer(make_napari_viewer, monkeypatch):
    monkeypatch.setattr(follow, "_LOOK_EVERY", 10)
    return make_napari_viewer()


def test_the_middle_of_what_is_in_view_is_said_at_once_and_when_it_changes(qtbot, viewer) -> None:
    image = viewer.add_image(np.zeros((5, 200, 300), np.uint8), scale=(40, 4, 4))
    viewer.dims.set_current_step(0, 3)
    viewer.reset_view()
    job = Segmentation()
    Follow(viewer, image, job)
    assert job.asked == [Look(3, 100, 150)]
    viewer.dims.set_current_step(0, 1)
    qtbot.waitUntil(lambda: job.asked[1:] == [Look(1, 100, 150)])
    viewer.scene.camera.zoom *= 4
    viewer.scene.camera.center = (0, 200, 800)  # in nanometres
    qtbot.waitUntil(lambda: len(job.asked) > 2)
    last = job.asked[-1]
    assert last.z == 1
    assert abs(last.y - 50) < 5
    assert abs(last.x - 200) < 5
    qtbot.wait(100)
    assert job.asked[-1] is last


def test_it_is_quiet_where_the_image_is_not_in_view_and_after_the_end(qtbot, viewer) -> None:
    image = viewer.add_image(np.zeros((5, 200, 300), np.uint8))
    job = Segmentation()
    Follow(viewer, image, job)
    said = list(job.asked)
    viewer.dims.ndisplay = 3
    qtbot.wait(100)
    viewer.layers.remove(image)
    qtbot.wait(100)
    assert job.asked == said
    other = viewer.add_image(np.zeros((5, 200, 300), np.uint8))
    ended = Segmentation()
    Follow(viewer, other, ended)
    ended.happened.emit(Finished("", ""))
    said = list(ended.asked)
    viewer.dims.set_current_step(0, 4)
    qtbot.wait(100)
    assert ended.asked == said
