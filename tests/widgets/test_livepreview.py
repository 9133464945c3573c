from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QObject, Signal

from napari_unet.classes import PixelClass
from napari_unet.config import TrainConfig
from napari_unet.events import Failed, Finished, Joined, Notice, Previewed
from napari_unet.preview import Preview as Shown
from napari_unet.preview import save_preview
from napari_unet.problem import Problem
from napari_unet.reader import OURS
from napari_unet.requests import Preview
from napari_unet.widgets import livepreview
from napari_unet.widgets.livepreview import LivePreview, classes_in
from napari_unet.widgets.predictions import LIVE
from napari_unet.widgets.result import show_preview

CLASSES = (PixelClass(1, "interior", "#00ff00"), PixelClass(2, "membrane", "#ff00ff"))


class Training(QObject):
    """A job that notes what it is asked."""

    happened = Signal(object)

    def __init__(self, out: Path) -> None:
        super().__init__()
        names, colors = (each.name for each in CLASSES), (each.color for each in CLASSES)
        self.config = TrainConfig(inputs=("image", "labels"), out=out, classes=tuple(names), colors=tuple(colors))
        self.asked: list[Preview] = []
        self.running = True
        self.ask = self.asked.append
        self.remarks: list[str] = []
        self.remark = self.remarks.append

    def answer(self, value: int) -> None:
        """Answer the last request."""
        at = self.asked[-1]
        pixels = np.full((at.y1 - at.y0, at.x1 - at.x0), value, np.uint8)
        save_preview(self.config.out / "preview.safetensors", Shown(pixels, at.z, at.y0, at.x0))
        self.happened.emit(Previewed(1, str(self.config.out / "preview.safetensors")))

    def end(self, event) -> None:
        self.running = False
        self.happened.emit(event)


@pytest.fixture
def hurried(monkeypatch) -> None:
    monkeypatch.setattr(livepreview, "_LOOK_EVERY", 10)
    monkeypatch.setattr(livepreview, "_SAME", 0.05)
    monkeypatch.setattr(livepreview, "_MOVED", 0.01)
    monkeypatch.setattr(livepreview, "_SHARE", 0)  # this machine may be busy


def _more(qtbot, job: Training) -> Preview:
    """Return the next request."""
    count = len(job.asked)
    qtbot.waitUntil(lambda: len(job.asked) > count)
    return job.asked[-1]


def _no_more(qtbot, job: Training) -> bool:
    count = len(job.asked)
    qtbot.wait(150)  # 15 looks
    return len(job.asked) == count


@pytest.mark.usefixtures("hurried")
def test_it_follows_section_and_zoom_and_shows_the_answers(qtbot, make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    image = viewer.add_image(np.zeros((5, 200, 300), np.uint8), name="stack", scale=(40, 4, 4), rotate=10)
    viewer.dims.set_current_step(0, 3)
    viewer.reset_view()
    job = Training(tmp_path)
    LivePreview(viewer, image, job)
    first = _more(qtbot, job)
    assert (first.z, first.y0, first.y1, first.x0, first.x1) == (3, 0, 200, 0, 300)
    assert _no_more(qtbot, job)  # while the answer is awaited
    job.answer(2)
    preview = viewer.layers[LIVE]
    assert preview.data.shape == (1, 200, 300)
    assert set(np.unique(preview.data)) == {2}
    assert np.allclose(preview.data_to_world((0, 0, 0)), image.data_to_world((3, 0, 0)))
    assert np.allclose(preview.colormap.map(2), (1, 0, 1, 1))
    assert viewer.layers.index(preview) == 1

    assert _more(qtbot, job) == first  # the same again, as it has learned since
    viewer.dims.set_current_step(0, 1)
    viewer.scene.camera.zoom *= 8
    job.answer(1)
    second = _more(qtbot, job)
    assert second.z == 1
    assert second.x1 - second.x0 < 150
    job.answer(1)
    assert len(viewer.layers) == 2
    assert np.allclose(preview.data_to_world((0, 0, 0)), image.data_to_world((1, second.y0, second.x0)))


@pytest.mark.usefixtures("hurried")
def test_what_joins_is_previewed_soon(qtbot, make_napari_viewer, tmp_path, monkeypatch):
    monkeypatch.setattr(livepreview, "_SAME", 1000.0)
    viewer = make_napari_viewer()
    job = Training(tmp_path)
    LivePreview(viewer, viewer.add_image(np.zeros((5, 200, 300), np.uint8)), job)
    first = _more(qtbot, job)
    job.answer(1)
    assert _no_more(qtbot, job)
    job.happened.emit(Joined(7, 1, 40))
    assert _more(qtbot, job) == first


@pytest.mark.usefixtures("hurried")
def test_it_asks_only_for_what_somebody_can_see(qtbot, make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    image = viewer.add_image(np.zeros((5, 200, 300), np.uint8), name="stack")
    job = Training(tmp_path)
    live = LivePreview(viewer, image, job)
    _more(qtbot, job)
    live.pause(True)
    assert live.paused
    job.answer(1)
    assert LIVE not in viewer.layers  # the box was unticked meanwhile
    assert _no_more(qtbot, job)
    live.pause(False)
    _more(qtbot, job)
    job.answer(1)
    viewer.layers[LIVE].visible = False  # as the preview of another model does
    live.pause(True)
    live.pause(False)
    assert viewer.layers[LIVE].visible
    viewer.dims.ndisplay = 3
    while not _no_more(qtbot, job):
        job.answer(1)
    viewer.dims.ndisplay = 2
    _more(qtbot, job)
    viewer.layers.remove(image)
    viewer.layers[LIVE].data[:] = 0
    job.answer(1)
    assert not viewer.layers[LIVE].data.any()  # no preview of an image that is gone
    assert _no_more(qtbot, job)
    viewer.layers.append(image)
    _more(qtbot, job)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("event", [Finished("model", "done"), Failed("The disk is full.")])
def test_it_ends_with_the_job(qtbot, make_napari_viewer, tmp_path, event):
    viewer = make_napari_viewer()
    job = Training(tmp_path)
    live = LivePreview(viewer, viewer.add_image(np.zeros((5, 20, 30), np.uint8)), job)
    _more(qtbot, job)
    job.answer(1)
    job.end(event)
    live.pause(False)
    assert _no_more(qtbot, job)


@pytest.mark.usefixtures("hurried")
def test_an_answer_that_cannot_be_read_or_never_comes_is_asked_for_again(
    qtbot, make_napari_viewer, tmp_path, monkeypatch
):
    viewer = make_napari_viewer()
    job = Training(tmp_path)
    LivePreview(viewer, viewer.add_image(np.zeros((5, 20, 30), np.uint8)), job)
    _more(qtbot, job)
    job.happened.emit(Previewed(1, str(tmp_path / "nothing.safetensors")))
    _more(qtbot, job)
    monkeypatch.setattr(livepreview, "_LOST", 0.1)
    _more(qtbot, job)
    assert LIVE not in viewer.layers


@pytest.mark.usefixtures("hurried")
def test_it_waits_no_more_when_there_is_no_preview(qtbot, make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    job = Training(tmp_path)
    LivePreview(viewer, viewer.add_image(np.zeros((5, 20, 30), np.uint8)), job)
    _more(qtbot, job)
    job.happened.emit(Notice("Section 3 is blank."))
    assert _no_more(qtbot, job)
    problem = Problem("Section 0 cannot be read. Copy it again.")
    job.happened.emit(Notice(f"There is no preview. {problem}"))
    _more(qtbot, job)


@pytest.mark.usefixtures("hurried")
def test_a_preview_that_was_removed_does_not_come_back_by_itself(qtbot, make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    job = Training(tmp_path)
    live = LivePreview(viewer, viewer.add_image(np.zeros((5, 20, 30), np.uint8)), job)
    _more(qtbot, job)
    job.answer(1)
    _more(qtbot, job)
    viewer.layers.remove(LIVE)
    job.answer(1)
    assert LIVE not in viewer.layers
    assert _no_more(qtbot, job)
    live.pause(True)
    live.pause(False)
    _more(qtbot, job)
    job.answer(1)
    assert LIVE in viewer.layers


@pytest.mark.usefixtures("hurried")
def test_it_hides_what_another_model_predicted(qtbot, make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    image = viewer.add_image(np.zeros((5, 20, 30), np.uint8))
    other = show_preview(viewer, image, np.ones((20, 30), np.uint8), CLASSES, 0, 0, 0, "U-Net preview")
    result = viewer.add_labels(np.ones((5, 20, 30), np.uint8), name="cells", metadata={OURS: {"classes": []}})
    job = Training(tmp_path)
    live = LivePreview(viewer, image, job)
    _more(qtbot, job)
    job.answer(1)
    assert [layer.visible for layer in (other, result, viewer.layers[LIVE])] == [False, False, True]
    assert job.remarks == ["cells is hidden now; its eye in the layer list shows it again."]
    other.visible = result.visible = True  # whoever shows them wants them shown
    _more(qtbot, job)
    job.answer(2)
    assert (other.visible, result.visible) == (True, True)
    assert len(job.remarks) == 1
    live.pause(True)
    live.pause(False)
    assert [layer.visible for layer in (other, result, viewer.layers[LIVE])] == [False, False, True]
    assert len(job.remarks) == 2


def test_classes_are_those_of_the_configuration(tmp_path):
    assert classes_in(Training(tmp_path).config) == CLASSES
