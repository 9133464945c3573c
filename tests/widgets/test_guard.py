import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari import Viewer
from napari.layers import Image, Labels
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import QObject, Qt

from napari_unet.part import Part
from napari_unet.reader import READ
from napari_unet.widgets.guard import Guard

LARGE = (200, 512, 512)  # 52 million voxels
OURS: dict[str, Any] = {"napari-unet": {}}


class Counted:
    """Zeros that take no memory; remembers the size of the largest part that was asked for."""

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.ndim = len(shape)
        self.size = math.prod(shape)
        self.most = 0

    def __getitem__(self, index: Any) -> np.ndarray:
        part = np.broadcast_to(np.uint8(0), self.shape)[index]
        self.most = max(self.most, part.size)
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def press_3d(qtbot: Any, viewer: Viewer) -> None:
    """Click the button that changes between 2-D and 3-D."""
    button = viewer.window._qt_viewer.viewerButtons.ndisplayButton
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.fixture
def said() -> list[str]:
    return []


def test_the_counting_array_counts(qtbot: Any, make_napari_viewer: Callable[..., Viewer]) -> None:
    viewer = make_napari_viewer()
    data = Counted((20, 64, 64))
    viewer.add_layer(Labels(data, metadata=OURS))
    assert data.most == 64 * 64
    press_3d(qtbot, viewer)
    assert data.most == 20 * 64 * 64


def test_a_large_layer_is_never_read_in_3d(
    qtbot: Any, make_napari_viewer: Callable[..., Viewer], said: list[str]
) -> None:
    viewer = make_napari_viewer()
    Guard(PublicOnlyProxy(viewer), said.append, viewer.window._qt_window)
    data, image = Counted(LARGE), Counted((1, 200, 4096, 4096))
    layer = viewer.add_layer(Labels(data, name="cells", metadata={READ: "cells.zarr"}))
    image_layer = viewer.add_layer(Image(image, name="membrane probability", metadata=OURS, contrast_limits=(0, 255)))
    small = viewer.add_layer(Labels(np.zeros((3, 8, 8), np.uint8), metadata=OURS))
    image_layer.visible = False
    press_3d(qtbot, viewer)
    assert viewer.dims.ndisplay == 3
    assert (layer.visible, image_layer.visible, small.visible) == (False, False, True)
    assert said == [
        "Too large for 3-D, so hidden: cells. Drawing 52 million voxels there would freeze napari. "
        "It comes back in 2-D."
    ]
    press_3d(qtbot, viewer)
    assert (layer.visible, image_layer.visible, small.visible) == (True, False, True)
    image_layer.visible = True
    press_3d(qtbot, viewer)
    assert said[1:] == [
        "Too large for 3-D, so hidden: cells, membrane probability. Drawing 3,408 million voxels there would "
        "freeze napari. They come back in 2-D."
    ]
    press_3d(qtbot, viewer)
    assert image_layer.visible
    assert (data.most, image.most) == (512 * 512, 4096 * 4096)


def test_a_layer_whose_eye_is_opened_in_3d(
    qtbot: Any, make_napari_viewer: Callable[..., Viewer], said: list[str]
) -> None:
    viewer = make_napari_viewer()
    Guard(PublicOnlyProxy(viewer), said.append, viewer.window._qt_window)
    data, gone = Counted(LARGE), Counted(LARGE)
    layer = viewer.add_layer(Labels(data, metadata=OURS))
    other = viewer.add_layer(Labels(gone, metadata=OURS, visible=False))
    press_3d(qtbot, viewer)
    layer.visible = other.visible = True
    assert not layer.visible
    assert not other.visible
    assert len(said) == 3
    assert (data.most, gone.most) == (512 * 512, 512 * 512)
    viewer.layers.remove(other)
    press_3d(qtbot, viewer)
    assert layer.visible
    viewer.dims.set_current_step(0, 7)
    assert data.most == 512 * 512
    assert "refresh" not in vars(layer) | vars(other)


def test_one_guard_for_each_window(make_napari_viewer: Callable[..., Viewer], said: list[str]) -> None:
    viewer, other = make_napari_viewer(), make_napari_viewer()
    window = viewer.window._qt_window
    assert Guard.of(window, viewer, said.append) is Guard.of(window, viewer, said.append)
    assert Guard.of(other.window._qt_window, other, said.append) is not Guard.of(window, viewer, said.append)


def test_a_mode_survives(qtbot: Any, make_napari_viewer: Callable[..., Viewer], said: list[str]) -> None:
    viewer = make_napari_viewer()
    Guard(viewer, said.append, viewer.window._qt_window)
    layer = viewer.add_layer(Labels(Counted(LARGE), metadata=OURS))
    layer.mode = "paint"
    press_3d(qtbot, viewer)
    press_3d(qtbot, viewer)
    assert layer.mode == "paint"


def test_a_layer_that_comes_in_3d(qtbot: Any, make_napari_viewer: Callable[..., Viewer], said: list[str]) -> None:
    viewer = make_napari_viewer()
    viewer.add_layer(Image(np.zeros((3, 8, 8), np.uint8)))
    Guard(viewer, said.append, viewer.window._qt_window)
    press_3d(qtbot, viewer)
    data = Counted(LARGE)
    layer = viewer.add_layer(Labels(data, metadata=OURS))
    assert not layer.visible
    assert len(said) == 1
    press_3d(qtbot, viewer)
    assert layer.visible
    assert data.most == 512 * 512


def test_predictions_that_come_in_3d_hide_those_that_were_in_view(
    qtbot: Any, make_napari_viewer: Callable[..., Viewer], said: list[str]
) -> None:
    viewer = make_napari_viewer()
    Guard(viewer, said.append, viewer.window._qt_window)
    result: dict[str, Any] = {"napari-unet": {"classes": []}}
    first, beside = (
        viewer.add_layer(Labels(Counted(LARGE), name=name, metadata=result, translate=(z, 0, 0)))
        for name, z in (("first", 0), ("beside", 1000))
    )
    preview = Labels(np.zeros((1, 8, 8), np.uint8), metadata={"napari-unet": {"preview": "p"}}, visible=False)
    viewer.add_layer(preview)
    press_3d(qtbot, viewer)
    press_3d(qtbot, viewer)
    assert (first.visible, beside.visible) == (True, True)  # as they were
    press_3d(qtbot, viewer)
    second = viewer.add_layer(Labels(Counted(LARGE), name="second", metadata=result))
    press_3d(qtbot, viewer)
    assert (first.visible, beside.visible, second.visible) == (False, True, True)
    assert said[-1] == "first is hidden now; its eye in the layer list shows it again."
    press_3d(qtbot, viewer)
    preview.visible = True
    press_3d(qtbot, viewer)
    assert (beside.visible, second.visible, preview.visible) == (False, False, True)
    assert said[-1] == "second and beside are hidden now; their eyes in the layer list show them again."


def test_what_napari_can_draw_stays(qtbot: Any, make_napari_viewer: Callable[..., Viewer], said: list[str]) -> None:
    viewer = make_napari_viewer()
    Guard(viewer, said.append, viewer.window._qt_window)
    levels = [Counted(LARGE), Counted((200, 16, 16))]
    layer = viewer.add_layer(Labels([Part(each) for each in levels], multiscale=True, metadata=OURS))
    press_3d(qtbot, viewer)
    assert layer.visible
    assert levels[0].most <= 512 * 512
    assert levels[1].most == 200 * 16 * 16
    assert not said
    press_3d(qtbot, viewer)
    layer.locked_data_level = 0
    press_3d(qtbot, viewer)
    assert not layer.visible
    assert levels[0].most <= 512 * 512


def test_the_layers_of_others_are_left_alone(
    qtbot: Any, make_napari_viewer: Callable[..., Viewer], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unet.widgets.guard._MOST", 1000)
    viewer = make_napari_viewer()
    Guard(viewer, said.append, viewer.window._qt_window)
    theirs = viewer.add_layer(Labels(Counted((20, 64, 64))))
    points = viewer.add_points(np.zeros((2000, 3)), metadata=OURS)
    press_3d(qtbot, viewer)
    assert theirs.visible
    assert points.visible
    assert not said


def test_two_viewers(qtbot: Any, make_napari_viewer: Callable[..., Viewer]) -> None:
    first, second = make_napari_viewer(), make_napari_viewer()
    heard: dict[str, list[str]] = {"first": [], "second": []}
    for viewer, name in ((first, "first"), (second, "second")):
        Guard(viewer, heard[name].append, viewer.window._qt_window)
    layers = [viewer.add_layer(Labels(Counted(LARGE), metadata=OURS)) for viewer in (first, second)]
    press_3d(qtbot, second)
    assert [layer.visible for layer in layers] == [True, False]
    assert [len(each) for each in heard.values()] == [0, 1]


def test_it_ends_with_its_owner(qtbot: Any, make_napari_viewer: Callable[..., Viewer], said: list[str]) -> None:
    viewer = make_napari_viewer()
    owners = [QObject()]
    Guard(viewer, said.append, owners[0])
    data = Counted(LARGE)
    layer = viewer.add_layer(Labels(data, metadata=OURS))
    owners.clear()
    press_3d(qtbot, viewer)
    assert layer.visible
    assert not said
    assert data.most == math.prod(LARGE)
