"""On which voxels of an image labels lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_unet.problem import Problem
from napari_unet.widgets.alignment import corner_of_copy, corner_on
from napari_unet.widgets.place import placed

STACK = np.zeros((5, 90, 110), np.uint8)
LABELS = np.zeros(STACK.shape, np.int32)
TURNED: dict[str, Any] = {"scale": (50, 4, 4), "units": "nm", "rotate": (0, 0, 30), "translate": (9, 8, 7)}


@pytest.mark.parametrize("place", [{}, TURNED, {**TURNED, "affine": np.diag([2, 3, 4, 1])}])
@pytest.mark.parametrize("corner", [(0, 0, 0), (1, 20, -30)])
def test_labels_begin_where_they_lie(place: dict[str, Any], corner: tuple[int, int, int]) -> None:
    image = Image(STACK, **place)
    layer = Labels(LABELS, **placed(image, corner))
    assert corner_on(layer, image) == corner_of_copy(layer, image) == corner


def test_units_of_the_layers_may_differ() -> None:
    image = Image(STACK, scale=(50, 4, 4), units="nm")
    layer = Labels(LABELS, scale=(0.05, 0.004, 0.004), units="um", translate=(0.1, 0, 0))
    assert corner_on(layer, image) == (2, 0, 0)


def test_a_flat_layer_lies_in_all_sections() -> None:
    assert corner_on(Labels(LABELS[0]), Image(STACK[:1], translate=(7, 0, 0))) == (0, 0, 0)


@pytest.mark.parametrize(
    "place", [{"scale": (1, 2, 2)}, {"translate": (0, 0, 0.5)}, {"rotate": 5}, {"shear": [0, 0, 1]}]
)
def test_labels_that_do_not_lie_on_the_voxels_are_refused(place: dict[str, Any]) -> None:
    with pytest.raises(Problem, match="mine does not lie on the voxels of cell"):
        corner_on(Labels(LABELS, name="mine", **place), Image(STACK, name="cell"))


@pytest.mark.parametrize("corner", [(5, 0, 0), (0, -90, 0), (0, 0, 110)])
def test_labels_beside_the_image_are_not_copied(corner: tuple[int, int, int]) -> None:
    with pytest.raises(Problem, match="mine does not lie on the voxels of cell"):
        corner_of_copy(Labels(LABELS, name="mine", translate=corner), Image(STACK, name="cell"))


@pytest.mark.parametrize(
    ("layer", "what"),
    [
        (Labels(LABELS[1:], name="labels"), "labels is 4 x 90 x 110 voxels large, but cell is 5 x 90 x 110"),
        (Image(STACK / np.float32(3)), "float32 values"),
        (Labels([LABELS, LABELS[:, ::2, ::2]]), "several levels"),
    ],
)
def test_what_cannot_be_copied_onto_the_image(layer: Labels, what: str) -> None:
    with pytest.raises(Problem, match=what):
        corner_of_copy(layer, Image(STACK, name="cell"))
