"""What is held out is drawn over its image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Shapes
from qtpy.QtCore import QObject, Signal

from napari_unet.config import TrainConfig
from napari_unet.events import Finished, Loss, Score
from napari_unet.holdout import Strip
from napari_unet.reader import OURS
from napari_unet.runs import HELD, Run
from napari_unet.widgets.heldout import NAME, HeldOut

SCORE = Score(1, 0.5, 0.5, trusted=True)


class Training(QObject):
    """A job with a run folder."""

    happened = Signal(object)

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.image, out = folder / "image.tif", folder / "run"
        self.config = TrainConfig(inputs=(str(self.image), "labels"), out=out, classes=("a", "b"))
        out.mkdir(parents=True)

    def holds(self, strips: dict[int, Strip]) -> None:
        """Hold out strips of the image, and say a score."""
        Run(self.config.out, None).keep_held({}, {self.image.resolve(): strips})
        self.happened.emit(SCORE)


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((8, 60, 80), np.uint8), scale=(50, 4, 4), translate=(0, 8, 0), name="image")
    viewer.add_labels(np.zeros((8, 60, 80), np.uint8), name="strokes")
    return viewer


def drawn(viewer) -> Shapes:
    (layer,) = (each for each in viewer.layers if OURS in each.metadata)
    return layer


def pixels(viewer) -> np.ndarray:
    """Return which voxels of the image the shapes cover."""
    masks = np.zeros((8, 60, 80), bool)
    for corners in drawn(viewer).data:
        low, high = corners.min(0), corners.max(0)
        (y0, x0), (y1, x1) = (np.ceil(end[1:]).astype(int) for end in (low, high))
        masks[round(low[0]), y0:y1, x0:x1] = True
    return masks


def test_strips_are_drawn_where_they_are_and_follow_the_training(viewer, tmp_path):
    job = Training(tmp_path)
    HeldOut(viewer, viewer.layers["image"], job)
    viewer.layers.selection.active = viewer.layers["strokes"]
    low, left = Strip(0, 50, 60), Strip(1, 0, 7)
    strips = {1: low, 7: left}
    job.holds(strips)
    assert [layer.name for layer in viewer.layers] == ["image", "strokes", NAME]
    assert viewer.layers.selection.active is viewer.layers["strokes"]  # somebody paints
    expected = np.zeros((8, 60, 80), bool)
    expected[1], expected[7] = low.mask((60, 80)), left.mask((60, 80))
    expected[4] = expected[1] | expected[7]  # three sections from each: nothing is learned there in either
    assert np.array_equal(pixels(viewer), expected)
    layer = drawn(viewer)
    np.testing.assert_allclose(layer.data_to_world((1, 2, 3)), viewer.layers["image"].data_to_world((1, 2, 3)))
    assert not layer.editable

    job.happened.emit(Loss(2, 0.1))
    job.happened.emit(SCORE)
    assert drawn(viewer) is layer  # nothing changed
    layer.visible = False
    job.holds({**strips, 0: Strip(0, 0, 5)})
    expected[:4, :5], expected[:4, 50:] = True, True
    assert np.array_equal(pixels(viewer), expected)
    assert not drawn(viewer).visible


def test_a_layer_that_is_removed_does_not_come_back_until_the_next_training(viewer, tmp_path):
    job = Training(tmp_path / "a")
    HeldOut(viewer, viewer.layers["image"], job)
    job.holds({1: Strip(0, 50, 60)})
    viewer.layers.remove(drawn(viewer))
    job.holds({2: Strip(0, 50, 60)})
    assert NAME not in viewer.layers

    following = Training(tmp_path / "b")
    HeldOut(viewer, viewer.layers["image"], following)
    following.holds({2: Strip(0, 50, 60)})
    another = Training(tmp_path / "c")
    HeldOut(viewer, viewer.layers["image"], another)
    another.holds({0: Strip(1, 0, 9)})
    assert [round(corners[0, 0]) for corners in drawn(viewer).data] == [0]  # one layer, of the last training


def test_nothing_is_drawn_without_an_image_or_a_file_that_can_be_read(viewer, tmp_path):
    job = Training(tmp_path)
    HeldOut(viewer, viewer.layers["image"], job)
    (job.config.out / HELD).write_text("{")
    job.happened.emit(SCORE)
    assert len(viewer.layers) == 2
    viewer.layers.remove("image")
    job.holds({1: Strip(0, 50, 60)})
    job.happened.emit(Finished(str(job.config.out), "done"))
    assert [layer.name for layer in viewer.layers] == ["strokes"]


def test_a_flat_image_of_several_levels_has_its_strip_too(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    viewer.add_image([np.zeros((60, 80)), np.zeros((30, 40))], multiscale=True, name="image")
    job = Training(tmp_path)
    HeldOut(viewer, viewer.layers["image"], job)
    job.holds({0: Strip(1, 70, 80)})
    ((corners,),) = [drawn(viewer).data]
    assert corners.min(0).tolist() == [0, -0.5, 69.5]
    assert corners.max(0).tolist() == [0, 59.5, 79.5]
