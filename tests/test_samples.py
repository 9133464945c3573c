"""The bundled sample: two layers that napari takes, of one place, with their source named."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer

from napari_unet.samples import IMAGE, STROKES, TRUTH, fly_medulla
from napari_unet.volume import open_volume


@pytest.fixture(scope="module")
def layers() -> list[Layer]:
    return [Layer.create(*data) for data in fly_medulla()]


def test_napari_makes_an_image_and_labels_of_it(layers: list[Layer]) -> None:
    image, strokes = layers
    assert type(image) is Image
    assert type(strokes) is Labels
    assert [layer.name for layer in layers] == ["fly medulla", "strokes"]
    assert image.data.dtype == np.uint8
    for layer in layers:
        assert layer.data.shape == (24, 250, 250)
        assert tuple(layer.scale) == (10, 10, 10)
        assert [str(unit) for unit in layer.units] == ["nanometer"] * 3
        assert layer.axis_labels == ("z", "y", "x")


def test_the_strokes_can_be_painted_and_seen(layers: list[Layer]) -> None:
    strokes = layers[1]
    strokes.data_setitem((np.array([0]), np.array([0]), np.array([0])), 2)
    assert strokes.data[0, 0, 0] == 2
    assert len({tuple(strokes.colormap.map(value)) for value in (0, 1, 2, 3)}) == 4


def test_strokes_are_sparse_and_of_two_classes_on_two_sections() -> None:
    strokes = open_volume(STROKES).array[:]
    assert set(np.unique(strokes)) == {0, 1, 2}
    assert strokes.any((1, 2)).sum() == 2
    assert (strokes != 0).mean() < 0.02


def test_the_truth_covers_the_image_with_the_same_classes() -> None:
    image, truth = open_volume(IMAGE), open_volume(TRUTH)
    assert truth.shape == image.shape
    assert truth.voxel_size == image.voxel_size
    assert set(np.unique(truth.array[:])) == {1, 2}


def test_source_and_licence_are_named_beside_the_data() -> None:
    text = (IMAGE.parent / "README.md").read_text(encoding="utf-8")
    assert "FlyEM" in text
    assert "creativecommons.org/licenses/by" in text
    assert all(path.name in text for path in (IMAGE, STROKES, TRUTH))
