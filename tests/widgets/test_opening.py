from __future__ import annotations

import json
import shutil

import numpy as np
import zarr
from napari.layers import Labels

from napari_unet.classes import PixelClass
from napari_unet.events import Failed, Finished
from napari_unet.layout import Chunk, Layout
from napari_unet.log import LOG, append
from napari_unet.newzarr import create_stack, label_colors
from napari_unet.store import open_store
from napari_unet.widgets.guard import Guard
from napari_unet.widgets.opening import get_reader

CLASSES = (PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00"))


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


def test_nobody_paints_on_labels_with_an_axis_that_is_left_out(driver, tmp_path):
    create_stack(tmp_path / "a.zarr", (2, 8, 8), 8, np.uint8, None, (0, 0, 0), label_colors({}))
    described = json.loads((tmp_path / "a.zarr/zarr.json").read_text())
    image = described["attributes"]["ome"]["multiscales"][0]
    image["axes"].insert(0, {"name": "t"})
    image["datasets"][0].pop("coordinateTransformations")
    (tmp_path / "a.zarr/zarr.json").write_text(json.dumps(described))
    shutil.rmtree(tmp_path / "a.zarr/0")
    zarr.create_array(tmp_path / "a.zarr/0", data=np.zeros((1, 2, 8, 8), np.uint8))
    driver.viewer.open(str(tmp_path / "a.zarr"), plugin="napari-unet")
    (layer,) = driver.viewer.layers
    assert (layer.ndim, layer.editable) == (3, False)


def test_what_is_no_volume_is_left_to_others(tmp_path):
    assert get_reader(str(tmp_path / "gone.zarr")) is None


def test_a_volume_is_read_without_a_window(tmp_path):
    path = tmp_path / "stack.zarr"
    create_stack(path, (2, 8, 8), 8, np.uint8, None, (0, 0, 0))
    read = get_reader(str(path))
    ((data, fields, kind),) = read(str(path))
    assert (data.shape, fields["name"], kind) == ((2, 8, 8), "stack", "image")


def test_what_speaks_against_a_complete_segmentation_is_said(driver, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("napari_unet.widgets.opening.show_warning", said.append)
    path = tmp_path / "cells.zarr"
    with open_store(path, Layout((1, 20, 30), CLASSES, None, (0, 0, 0), True, {})) as store:
        store.write(Chunk(0, 0, 0), np.ones((20, 30), np.uint8), np.ones((2, 20, 30), np.uint8))
    append(path / LOG, Finished(str(path), "1 section segmented"))
    driver.viewer.open(str(path), plugin="napari-unet")
    append(path / LOG, Failed("Section 0 is not what it was. Run the same command again."))
    driver.viewer.open(str(path), plugin="napari-unet")
    driver.viewer.open(str(path / "probabilities"), plugin="napari-unet")
    assert said == [
        "All of cells.zarr is computed, but its last job ended so: Section 0 is not what it was. "
        "Run the same command again."
    ]
