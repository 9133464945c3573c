"""What a kill or a power cut left in labels."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image

from napari_unet.marks import ACCEPTED
from napari_unet.newzarr import create_stack
from napari_unet.widgets.salvage import salvage
from napari_unet.widgets.strokes import new_strokes, open_strokes, path_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Labels with a stroke on each of three sections of two chunks."""
    layer = new_strokes(Image(np.zeros((4, 700, 90), np.uint8)), tmp_path, "strokes")
    for z in (0, 1, 3):
        layer.data[z, 600, 10:20] = layer.data[z, 20, 10:20] = z + 1
    return path_of(layer)


def test_whole_labels_stay_as_they_are(path: Path) -> None:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert salvage(path) == []
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_half_written_files_go_unless_somebody_may_write_them(path: Path) -> None:
    old, new, above = path / "0/c/1/0/0.ab12.partial", path / "0/c/1/0/0.cd34.partial", path / "zarr.ef56.partial"
    for file in (old, new, above):
        file.write_bytes(b"half")
    for file in (old, above):
        os.utime(file, (time.time() - 100,) * 2)
    assert salvage(path) == []
    assert [file.exists() for file in (old, new, above)] == [False, True, False]


@pytest.mark.parametrize("left", [0, 3, 20])
def test_a_damaged_chunk_is_set_aside_and_loses_no_other(path: Path, left: int) -> None:
    chunk = path / "0/c/1/0/0"
    chunk.write_bytes(chunk.read_bytes()[:left])
    said = salvage(path)
    assert said == ["A part of strokes was damaged in section 1, and is empty now; all else is there."]
    assert chunk.with_name("0.damaged").stat().st_size == left
    array = open_strokes(Image(np.zeros((4, 700, 90), np.uint8)), path).data
    for z, top, bottom in ((0, 1, 1), (1, 0, 2), (3, 4, 4)):
        assert (array[z, 20, 10], array[z, 600, 10]) == (top, bottom)
    array[1, 20, 10] = 5
    assert salvage(path) == []
    assert array[1, 20, 10] == 5


def test_damaged_marks_are_told_apart_from_strokes(path: Path) -> None:
    mark = path / ACCEPTED / "c/3/0/0"
    mark.parent.mkdir(parents=True)
    mark.write_bytes(b"")
    told = "What of strokes was accepted or corrected in section 3 is not known any more, as its marks were damaged: "
    assert salvage(path) == [f"{told}it counts as painted by hand."]
    assert mark.with_name("0.damaged").exists()


def test_other_zarrs_are_left_alone(tmp_path: Path) -> None:
    array = create_stack(tmp_path / "a.zarr", (1, 9, 9), 9, "uint8", None, (0, 0, 0))
    array[0] = 1
    (tmp_path / "a.zarr/0/c/0/0/0").write_bytes(b"")
    assert salvage(tmp_path / "a.zarr") == []
    assert salvage(tmp_path) == []
    assert (tmp_path / "a.zarr/0/c/0/0/0").exists()
