"""A new image says of itself what is read again, and lies in no other Zarr."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from yaozarrs import validate_zarr_store

from napari_unet.newzarr import create_stack, label_colors, refuse_inside
from napari_unet.omezarr import metadata
from napari_unet.problem import Problem
from napari_unet.volume import open_volume


@pytest.mark.parametrize("dtype", [np.uint8, np.longlong])
@pytest.mark.parametrize("voxel_size", [(50, 4, 5), None])
def test_a_new_stack_lies_where_it_was_said(tmp_path: Path, dtype: type, voxel_size: tuple[int, ...] | None) -> None:
    array = create_stack(tmp_path / "a.zarr", (2, 30, 20), 16, dtype, voxel_size, (1, 2, 3))
    array[1] = 7
    validate_zarr_store(tmp_path / "a.zarr")
    volume = open_volume(tmp_path / "a.zarr")
    assert (volume.shape, volume.voxel_size, volume.offset) == ((2, 30, 20), voxel_size, (1, 2, 3))
    np.testing.assert_array_equal(volume.array[:, 5, 5], [0, 7])
    assert array.chunks == (1, 16, 16)


def test_labels_have_colours_and_attributes_of_their_own(tmp_path: Path) -> None:
    colours = label_colors({1: "#56b4e9", 255: "#00000080"})
    create_stack(tmp_path / "a.zarr", (1, 4, 4), 4, np.uint8, None, (0, 0, 0), colours, {"mine": 3})
    attributes = metadata(tmp_path / "a.zarr")["attributes"]
    assert attributes["mine"] == 3
    assert attributes["ome"]["image-label"]["colors"] == [
        {"label-value": 1, "rgba": [0x56, 0xB4, 0xE9, 255]},
        {"label-value": 255, "rgba": [0, 0, 0, 128]},
    ]


def test_nothing_is_written_into_another_zarr(tmp_path: Path) -> None:
    refuse_inside(tmp_path / "new" / "b.zarr")
    zarr.create_group(tmp_path / "a.zarr")
    with pytest.raises(Problem, match=f"lies inside {tmp_path / 'a.zarr'}, which is a Zarr of its own"):
        refuse_inside(tmp_path / "a.zarr" / "deep" / "b.zarr")
