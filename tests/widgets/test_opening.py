from __future__ import annotations

import numpy as np
from napari.layers import Labels

from napari_unet.newzarr import create_stack, label_colors
from napari_unet.widgets.guard import Guard
from napari_unet.widgets.opening import get_reader


def test_opening_a_volume_guards_the_window(driver, tmp_path):
    path = tmp_path / "stack.zarr"
    create_stack(path, (2, 8, 8), 8, np.uint8, None, (0, 0, 0))
    driver.viewer.open(str(path), plugin="napari-unet")
    driver.viewer.open(str(path), plugin="napari-unet")
    assert len(driver.window.findChildren(Guard)) == 1


def test_nobody_paints_on_labels_that_are_only_read(driver, tmp_path):
    create_stack(tmp_path / "a.zarr", (2, 8, 8), 8, np.uint8, None, (0, 0, 0), label_colors({}))
    driver.viewer.open(str(tmp_path / "a.zarr"), plugin="napari-unet")
    (layer,) = driver.viewer.layers
    assert isinstance(layer, Labels)
    assert not layer.editable


def test_what_is_no_volume_is_left_to_others(tmp_path):
    assert get_reader(str(tmp_path / "gone.zarr")) is None


def test_a_volume_is_read_without_a_window(tmp_path):
    path = tmp_path / "stack.zarr"
    create_stack(path, (2, 8, 8), 8, np.uint8, None, (0, 0, 0))
    read = get_reader(str(path))
    ((data, fields, kind),) = read(str(path))
    assert (data.shape, fields["name"], kind) == ((2, 8, 8), "stack", "image")
