from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_unet.widgets.which import which

PIXELS = np.random.default_rng(0).integers(0, 255, (2, 5, 90, 110), np.uint8)


@pytest.mark.parametrize("held", [np.asarray, zarr.array, lambda pixels: da.from_array(pixels, chunks=32)])
def test_the_same_pixels_are_the_same_however_they_are_held(held) -> None:
    for pixels in (PIXELS, PIXELS[0], PIXELS[0, 0]):
        assert which(held(pixels), {}) == which(pixels, {}) != ""


def test_channels_of_a_file_differ() -> None:
    assert which(PIXELS[0], {}) != which(PIXELS[1], {})
    assert which(PIXELS[0], {}) != which(PIXELS[0, ::-1], {})


def test_a_layer_of_a_result_is_told_by_its_class() -> None:
    assert which(PIXELS[0], {"napari-unet": {"path": "out.zarr", "probability": "cell"}}) == "cell"
    assert which(PIXELS[0], {"napari-unet": {"path": "out.zarr"}}) == ""


def test_what_cannot_be_read_is_not_known() -> None:
    def broken(block):
        raise OSError

    pixels = da.from_array(PIXELS, chunks=32).map_blocks(broken, dtype=np.uint8, meta=np.empty((0,) * 4, np.uint8))
    assert which(pixels, {}) == ""
