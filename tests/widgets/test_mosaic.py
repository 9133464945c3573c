"""The window of examples: the whole picture, its shape kept, beside the panel."""

import numpy as np
import pytest
import tifffile
from qtpy.QtWidgets import QDialog, QLabel, QWidget

from napari_unet.classes import PixelClass, default_colors
from napari_unet.problem import Problem
from napari_unet.widgets.mosaic import show_mosaic

CLASSES = [PixelClass(i + 1, name, default_colors(2)[i]) for i, name in enumerate(("interior", "membrane"))]
CAPTION = "The middle counts <most>. The rim is only seen."
RED, GREEN = (200, 10, 20), (10, 180, 30)


@pytest.fixture
def mosaic(tmp_path):
    """A picture twice as wide as high: its left half red, its right half green."""
    pixels = np.empty((101, 202, 3), np.uint8)  # rows that are no multiple of 4 bytes
    pixels[:, :101], pixels[:, 101:] = RED, GREEN
    tifffile.imwrite(tmp_path / "examples.tif", pixels, photometric="rgb")
    return tmp_path / "examples.tif"


@pytest.fixture
def parent(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    return parent


def windows(parent):
    return [each for each in parent.findChildren(QDialog) if each.isVisible()]


@pytest.mark.parametrize("size", [(400, 800), (900, 400), (250, 300)])
def test_the_whole_picture_is_shown_in_its_shape(mosaic, parent, qtbot, size):
    window = show_mosaic(parent, mosaic, CAPTION, CLASSES)
    window.resize(*size)
    qtbot.waitExposed(window)
    picture = window.layout().itemAt(0).widget().grab().toImage()
    colors = np.array(
        [[picture.pixelColor(x, y).getRgb()[:3] for x in range(picture.width())] for y in range(picture.height())]
    )
    halves = [np.argwhere((colors == color).all(axis=-1)) for color in (RED, GREEN)]
    height, width = np.ptp(np.concatenate(halves), axis=0) + 1
    assert abs(width - 2 * height) <= 3
    assert width == picture.width() or height == picture.height()
    assert halves[0][:, 1].max() < halves[1][:, 1].min()


def test_it_says_what_is_to_be_seen(mosaic, parent):
    window = show_mosaic(parent, mosaic, CAPTION, CLASSES)
    assert not window.isModal()
    caption, legend = (label.text() for label in window.findChildren(QLabel))
    assert caption == CAPTION
    for each in CLASSES:
        assert each.name in legend
        assert each.color in legend


def test_a_new_one_replaces_that_of_the_same_parent(mosaic, parent, qtbot):
    other = QWidget()
    qtbot.addWidget(other)
    first, _ = (show_mosaic(each, mosaic, CAPTION, CLASSES) for each in (parent, other))
    gone = []
    first.destroyed.connect(lambda: gone.append(True))
    second = show_mosaic(parent, mosaic, CAPTION, CLASSES)
    assert windows(parent) == [second]
    assert len(windows(other)) == 1
    qtbot.waitUntil(lambda: bool(gone))


def test_what_cannot_be_read_is_said_and_the_former_one_stays(mosaic, parent, tmp_path):
    former = show_mosaic(parent, mosaic, CAPTION, CLASSES)
    (tmp_path / "broken.tif").write_bytes(b"no picture")
    for name in ("broken.tif", "missing.tif"):
        with pytest.raises(Problem, match=f"{name} cannot be read"):
            show_mosaic(parent, tmp_path / name, CAPTION, CLASSES)
    assert windows(parent) == [former]
