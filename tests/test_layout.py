import json
from dataclasses import replace

import numpy as np
import pytest
import yaozarrs
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.classes import PixelClass
from napari_unet.layout import CHUNK, Chunk, Layout, create, open_levels, read_layout
from napari_unet.problem import Problem

LAYOUT = Layout(
    shape=(2, 1500, 1100),
    classes=(PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00")),
    voxel_size=(50.0, 4.0, 4.0),
    offset=(1, 100, 200),
    probabilities=True,
    provenance={"model": "abc", "settings": {"tile_side": 512}},
)
sides = st.integers(1, 5000)


@given(st.tuples(st.integers(1, 3), sides, sides))
def test_the_chunks_cover_every_pixel_once(shape):
    boxes = [(chunk.z, *chunk.box(shape)) for chunk in replace(LAYOUT, shape=shape).chunks()]
    assert boxes == sorted(boxes)
    assert sum((y1 - y0) * (x1 - x0) for _, y0, y1, x0, x1 in boxes) == np.prod(shape)
    starts = {(z, y0, x0) for z, y0, _, x0, _ in boxes}
    assert len(starts) == len(boxes)
    assert all(y0 % CHUNK == x0 % CHUNK == 0 and y1 <= shape[1] and x1 <= shape[2] for _, y0, y1, x0, x1 in boxes)


@given(st.tuples(st.integers(1, 3), sides, sides))
def test_the_pyramid_ends_at_the_first_level_of_at_most_512(shape):
    levels = replace(LAYOUT, shape=shape).level_shapes()
    assert levels == [(shape[0], -(-shape[1] // 2**k), -(-shape[2] // 2**k)) for k in range(len(levels))]
    assert max(levels[-1][1:]) <= 512
    assert all(max(level[1:]) > 512 for level in levels[:-1])


@pytest.mark.parametrize("layout", [LAYOUT, replace(LAYOUT, voxel_size=None, probabilities=False)])
def test_a_layout_comes_back_from_disk(tmp_path, layout):
    create(tmp_path, layout)
    assert read_layout(tmp_path) == layout


@pytest.mark.parametrize("voxel_size", [(50.0, 4.0, 4.0), None])
def test_a_result_is_valid_ome_zarr(tmp_path, voxel_size):
    create(tmp_path, replace(LAYOUT, voxel_size=voxel_size))
    image = yaozarrs.validate_zarr_store(str(tmp_path)).ome_metadata()
    assert isinstance(image, yaozarrs.v05.LabelImage)
    image = yaozarrs.validate_zarr_store(str(tmp_path / "probabilities")).ome_metadata()
    assert isinstance(image, yaozarrs.v05.Image)


def test_the_metadata_place_the_result_in_its_image(tmp_path):
    create(tmp_path, LAYOUT)
    ome = json.loads((tmp_path / "zarr.json").read_text())["attributes"]["ome"]
    multiscale = ome["multiscales"][0]
    assert multiscale["axes"][0] == {"name": "z", "type": "space", "unit": "nanometer"}
    assert [each["coordinateTransformations"] for each in multiscale["datasets"][:2]] == [
        [{"type": "scale", "scale": [50, 4, 4]}, {"type": "translation", "translation": [50, 400, 800]}],
        [{"type": "scale", "scale": [50, 8, 8]}, {"type": "translation", "translation": [50, 400, 800]}],
    ]
    assert {each["label-value"]: each["rgba"] for each in ome["image-label"]["colors"]} == {
        1: [0x56, 0xB4, 0xE9, 255],
        2: [0xE6, 0x9F, 0x00, 255],
        255: [0, 0, 0, 0],
    }


def test_the_arrays_have_fixed_chunks_a_checksum_and_say_what_is_not_computed(tmp_path):
    create(tmp_path, LAYOUT)
    classes, probabilities = open_levels(tmp_path, LAYOUT, "r")
    assert [level.shape for level in classes] == [(2, 1500, 1100), (2, 750, 550), (2, 375, 275)]
    assert [level.chunks for level in classes] == [(1, 1024, 1024), (1, 512, 512), (1, 512, 512)]
    assert [level.chunks for level in probabilities[:2]] == [(1, 1, 1024, 1024), (1, 1, 512, 512)]
    assert probabilities[0].shape == (2, 2, 1500, 1100)
    assert (classes[0].fill_value, probabilities[0].fill_value) == (255, 0)
    for level in (*classes, *probabilities):
        assert level.dtype == np.uint8
        assert isinstance(level.metadata.codecs[-1], zarr.codecs.Crc32cCodec)


@pytest.mark.parametrize("content", [None, "", "[]", '{"attributes": {}}', '{"attributes": {"napari-unet": {}}}'])
def test_anything_else_is_no_result(tmp_path, content):
    if content is not None:
        (tmp_path / "zarr.json").write_text(content)
    with pytest.raises(Problem, match="is no segmentation"):
        read_layout(tmp_path)


def test_a_border_chunk_is_clipped():
    assert Chunk(0, 1, 1).box(LAYOUT.shape) == (1024, 1500, 1024, 1100)
