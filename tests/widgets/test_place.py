from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image, Labels

from napari_unet.widgets.place import first_voxel, placed, voxel_size

# napari takes a shear below 1e-8 for none in one place and for one in another.
small = st.integers(-3_000_000, 3_000_000).map(lambda millionths: millionths / 1e6)
sizes = st.floats(0.1, 50)


@st.composite
def images(draw: st.DrawFn) -> Image:
    """Draw an image of 2 or 3 dimensions that lies anyhow."""
    ndim = draw(st.sampled_from([2, 3]))
    shear = draw(st.lists(small, min_size=1 if ndim == 2 else 3, max_size=1 if ndim == 2 else 3))
    upper = np.eye(ndim)
    upper[np.triu_indices(ndim, 1)] = shear
    affine = np.eye(ndim + 1)
    # So small that the matrix can be inverted.
    tilt = draw(st.lists(st.floats(-0.3, 0.3), min_size=ndim * ndim, max_size=ndim * ndim))
    affine[:-1, :-1] += np.reshape(tilt, (ndim, ndim))
    affine[:-1, -1] = draw(st.lists(small, min_size=ndim, max_size=ndim))
    return Image(
        np.zeros((4, 5, 6)[-ndim:], np.uint8),
        scale=draw(st.lists(sizes, min_size=ndim, max_size=ndim)),
        translate=draw(st.lists(st.floats(-100, 100), min_size=ndim, max_size=ndim)),
        rotate=draw(st.sampled_from([(10, 20, 30), (0, 90, 0)]) if ndim == 3 else st.sampled_from([0, 33, 90])),
        shear=draw(st.sampled_from([upper, upper.T])),
        affine=draw(st.sampled_from([None, affine])),
    )


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@settings(max_examples=60)
@given(images(), st.tuples(*[st.integers(0, 50)] * 3), st.tuples(*[st.integers(0, 50)] * 3))
def test_a_voxel_lies_on_the_voxel_of_the_image(image: Image, offset: Any, voxel: tuple[int, ...]) -> None:
    offset = (0, *offset[1:]) if image.ndim == 2 else offset
    labels = Labels(np.zeros((2, 2, 2), np.uint8), **placed(image, offset))
    there = np.add(voxel, offset)
    expected = np.array(image.data_to_world(there[-image.ndim :]))
    world = np.array(labels.data_to_world(voxel))
    np.testing.assert_allclose(world[-image.ndim :], expected, rtol=1e-9, atol=1e-6)
    if image.ndim == 2:
        assert world[0] == voxel[0]


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ({}, ""),
        ({"scale": (50, 4, 4)}, ""),
        ({"scale": (50, 4, 4), "translate": (25, 2, -6)}, "0.5,0.5,-1.5"),
        ({"scale": (0.05, 0.004, 0.004), "translate": (0.1, 0, 4e6 * 0.004), "units": "um"}, "2,0,4000000"),
        ({"translate": (1, 1, 1), "affine": np.diag([2, 2, 2, 1])}, "1,1,1"),
    ],
)
def test_the_first_voxel(where: dict[str, Any], place: str) -> None:
    assert first_voxel(Image(np.zeros((2, 3, 4)), **where)) == place


def test_the_first_voxel_of_a_flat_image() -> None:
    assert first_voxel(Image(np.zeros((3, 4)), scale=(4, 4), translate=(2, -6))) == "0,0.5,-1.5"


def test_units_and_labels_are_those_of_the_image() -> None:
    stack = Image(np.zeros((2, 3, 4)), units=("um", "nm", "nm"), axis_labels=("depth", "y", "x"))
    place = placed(stack)
    assert (place["units"], place["axis_labels"]) == (stack.units, ("depth", "y", "x"))
    section = Labels(np.zeros((1, 3, 4), int), **placed(Image(np.zeros((3, 4)), units="nm", axis_labels=("y", "x"))))
    assert [str(unit) for unit in section.units] == ["nanometer"] * 3
    assert section.axis_labels == ("z", "y", "x")
    plain = Labels(np.zeros((1, 3, 4), int), **placed(Image(np.zeros((3, 4)))))
    assert plain.axis_labels == Labels(np.zeros((1, 3, 4), int)).axis_labels


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"scale": (0.05, 4, 4.5), "units": ("um", "nm", "nm")}, (50, 4, 4.5)),
        ({"scale": (50, 4, 4), "units": "angstrom", "rotate": (0, 0, 30)}, (5, 0.4, 0.4)),
        ({"affine": np.diag([50, 4, 4, 1]), "scale": (1, 2, 2), "units": "nm"}, (50, 8, 8)),
        ({"scale": (50, 4, 4)}, None),
        ({"units": ("s", "nm", "nm")}, None),
    ],
)
def test_the_voxel_size_in_nanometres(options: dict[str, Any], size: tuple[float, ...] | None) -> None:
    found = voxel_size(Image(np.zeros((2, 3, 4)), **options))
    assert found == (None if size is None else pytest.approx(size, rel=1e-12))


def test_a_single_image_is_as_thick_as_its_pixels_are_high() -> None:
    assert voxel_size(Image(np.zeros((3, 4)), scale=(4, 5), units="nm")) == (4, 4, 5)
