"""What predictions say at voxels of labels, by where both lie in the world."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from napari.utils import Colormap

from napari_unet.classes import PixelClass
from napari_unet.layout import Layout
from napari_unet.reader import OURS
from napari_unet.store import open_store
from napari_unet.widgets.place import placed
from napari_unet.widgets.predictions import LIVE, difference, hidden_now, hide_others, is_prediction, predicted
from napari_unet.widgets.result import Growing, show_preview
from napari_unet.widgets.strokes import new_strokes, set_classes

CLASSES = (PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00"))
SHAPE = 4, 60, 80
PLACES = [
    {},
    {"scale": (40, 4, 4), "translate": (400, -31, 17.5), "units": "nm"},
    {"scale": (0.3, 0.1, 0.1), "translate": (1e4, 1e5, -1e5), "units": "um"},
    {"scale": (5, 1, 2), "rotate": (0, 0, 30), "affine": np.diag([2, 3, 4, 1])},
]


def everywhere(shape=SHAPE) -> np.ndarray:
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 3)


@pytest.fixture(params=PLACES)
def viewer(request) -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack", **request.param)
    return viewer


def labels_on(viewer: ViewerModel, folder, classes=CLASSES):
    labels = new_strokes(viewer.layers["stack"], folder, "labels")
    set_classes(labels, classes)
    return viewer.add_layer(labels)


def preview(viewer: ViewerModel, array: np.ndarray, z: int, y0: int, x0: int, name="preview"):
    return show_preview(viewer, viewer.layers["stack"], array, CLASSES, z, y0, x0, name)


def test_each_voxel_is_found_and_the_topmost_that_is_visible_counts(viewer, tmp_path) -> None:
    labels, random = labels_on(viewer, tmp_path), np.random.default_rng(0)
    below, above = random.choice(np.array([0, 1, 2, 255], np.uint8), (2, 20, 30))
    preview(viewer, below, 2, 11, 7, "below")
    layer = preview(viewer, above, 2, 21, 17, "above")
    expected = np.zeros(SHAPE, np.uint8)
    expected[2, 11:31, 7:37] = np.where(below == 255, 0, below)
    alone = expected.copy()
    there = expected[2, 21:41, 17:47]
    there[:] = np.where((above == 0) | (above == 255), there, above)
    np.testing.assert_array_equal(predicted(viewer, labels, everywhere()).reshape(SHAPE), expected)
    layer.visible = False
    np.testing.assert_array_equal(predicted(viewer, labels, everywhere()).reshape(SHAPE), alone)


def test_labels_of_a_part_and_a_coarser_prediction(viewer, tmp_path) -> None:
    """A pixel of it, twice as wide, is centred on one of the image and reaches to the middle of the next ones."""
    image = viewer.layers["stack"]
    coarse = np.random.default_rng(0).choice(np.array([1, 2], np.uint8), (30, 40))
    layer = preview(viewer, coarse, 1, 0, 0)
    layer.scale = layer.scale * (1, 2, 2)
    labels = labels_on(viewer, tmp_path)
    found = predicted(viewer, labels, everywhere()).reshape(SHAPE)
    rows, columns = ((np.arange(side) + 1) // 2 for side in image.data.shape[1:])
    inside = np.ix_(rows < 30, columns < 40)
    np.testing.assert_array_equal(found[1][inside], coarse[np.ix_(rows[rows < 30], columns[columns < 40])])
    assert not found[[0, 2, 3]].any()


def test_a_result_on_disk_of_a_part_of_the_stack(viewer, tmp_path) -> None:
    labels = labels_on(viewer, tmp_path)
    layout = Layout((2, 40, 50), CLASSES, None, (1, 5, 9), False, {"model": "m", "image": "i"})
    whole = np.random.default_rng(0).choice(np.array([1, 2], np.uint8), layout.shape)
    with open_store(tmp_path / "result.zarr", layout) as store:
        first = next(iter(store.pending))
        store.write(first, whole[first.z], None)
        store.flush()
    growing = Growing(viewer, viewer.layers["stack"], tmp_path / "result.zarr", (1, 5, 9))
    growing.finish()
    expected = np.zeros(SHAPE, np.uint8)
    expected[1 + first.z, 5:45, 9:59] = whole[first.z]  # the other section is not computed
    np.testing.assert_array_equal(predicted(viewer, labels, everywhere()).reshape(SHAPE), expected)


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        (CLASSES, ""),
        ((*CLASSES, PixelClass(3, "vesicle", "#ffffff")), ""),
        (CLASSES[:1], 'labels has no class 2, which preview calls "membrane"'),
        (
            (CLASSES[0], PixelClass(2, "vesicle", "#ffffff")),
            '2 is "membrane" in preview, but "vesicle" in labels',
        ),
    ],
)
def test_a_prediction_of_other_classes_says_nothing(tmp_path, classes, text) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack")
    labels = labels_on(viewer, tmp_path, classes)
    layer = preview(viewer, np.full((20, 30), 2, np.uint8), 1, 0, 0)
    assert difference(layer, labels) == text
    assert predicted(viewer, labels, np.array([[1, 3, 3]])).tolist() == [0 if text else 2]


def result(viewer: ViewerModel, name: str, z: int):
    """A result of two sections, above all that is there."""
    array = np.ones((2, *SHAPE[1:]), np.uint8)
    return viewer.add_labels(array, name=name, translate=(z, 0, 0), metadata={OURS: {"classes": []}})


def test_a_prediction_that_is_shown_is_mixed_with_no_other_one(tmp_path) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack")
    labels, small = labels_on(viewer, tmp_path), preview(viewer, np.ones((5, 5), np.uint8), 3, 0, 0)
    first, same, further = result(viewer, "first", 0), result(viewer, "same", 1), result(viewer, "further", 2)
    assert hide_others(viewer, first) == [same, small]
    assert (labels.visible, further.visible) == (True, True)  # no prediction; of other sections
    assert hide_others(viewer, small) == [first, further]
    same.visible = True
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="over all")
    above = result(viewer, "above", 0)
    assert hide_others(viewer, above) == []
    viewer.layers["over all"].opacity = 0.5
    assert hide_others(viewer, above) == [same, small]
    first.visible = viewer.canvas.grid.enabled = True
    assert hide_others(viewer, above) == []


def test_what_was_hidden_is_told_but_for_what_a_button_shows_again() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack")
    one, other = result(viewer, "one", 0), result(viewer, "other", 2)
    pressed, live = (preview(viewer, np.ones((5, 5), np.uint8), 3, 0, 0, name) for name in ("U-Net preview", LIVE))
    assert hidden_now([pressed]) == ""
    assert hidden_now([one, pressed]) == "one is hidden now; its eye in the layer list shows it again."
    told = "one, other and U-Net training preview are hidden now; their eyes in the layer list show them again."
    assert hidden_now([one, other, live]) == told


HIDING = [
    {},
    {"blending": "translucent"},
    {"blending": "opaque", "opacity": 0.3},  # which says nothing then
]
SHINING_THROUGH = [
    {"opacity": 0.9},
    {"blending": "additive"},
    {"blending": "minimum"},
    {"blending": "multiplicative"},
    {"visible": False},
    {"colormap": Colormap([[0, 0, 0, 0], [1, 1, 1, 1]])},
]


@pytest.mark.parametrize(
    ("look", "hides"), [(each, True) for each in HIDING] + [(each, False) for each in SHINING_THROUGH]
)
def test_what_an_opaque_image_hides_says_nothing(viewer, tmp_path, look, hides) -> None:
    """Its eye is on, but nobody can see it."""
    labels, all_one = labels_on(viewer, tmp_path), np.ones(SHAPE[1:], np.uint8)
    layer = preview(viewer, all_one, 2, 0, 0)
    place = placed(viewer.layers["stack"])
    above = viewer.add_image(np.zeros((SHAPE[0], 30, SHAPE[2]), np.uint8), name="another", **place, **look)
    expected = np.zeros(SHAPE, np.uint8)
    expected[2] = 1
    expected[2, :30] = 0 if hides else 1  # it covers the upper half
    np.testing.assert_array_equal(predicted(viewer, labels, everywhere()).reshape(SHAPE), expected)
    viewer.layers.move(viewer.layers.index(above), viewer.layers.index(layer))
    assert predicted(viewer, labels, everywhere()).reshape(SHAPE)[2].all()


def test_an_image_hides_in_its_own_sections_alone(viewer, tmp_path) -> None:
    labels = labels_on(viewer, tmp_path)
    layer = preview(viewer, np.ones(SHAPE[1:], np.uint8), 2, 0, 0)
    place = placed(viewer.layers["stack"])
    above = viewer.add_image(np.zeros((2, *SHAPE[1:]), np.uint8), name="another", **place)  # sections 0 and 1
    assert predicted(viewer, labels, everywhere()).reshape(SHAPE)[2].all()
    layer.translate = placed(viewer.layers["stack"], (1, 0, 0))["translate"]
    assert not predicted(viewer, labels, everywhere()).any()
    above.visible = False
    assert predicted(viewer, labels, everywhere()).reshape(SHAPE)[1].all()


def test_a_picture_of_two_dimensions_hides_in_all_sections(tmp_path) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack")
    labels = labels_on(viewer, tmp_path)
    preview(viewer, np.ones(SHAPE[1:], np.uint8), 2, 0, 0)
    picture = viewer.add_image(np.zeros((*SHAPE[1:], 3), np.uint8), rgb=True)
    assert not predicted(viewer, labels, everywhere()).any()
    viewer.canvas.grid.enabled = True  # beside each other
    assert predicted(viewer, labels, everywhere()).any()
    viewer.canvas.grid.enabled = False
    picture.data = np.zeros((*SHAPE[1:], 4), np.uint8)
    assert predicted(viewer, labels, everywhere()).any()


def test_what_is_a_prediction(tmp_path) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack")
    layer = preview(viewer, np.ones((20, 30), np.uint8), 1, 0, 0)
    others = [labels_on(viewer, tmp_path), viewer.add_labels(np.ones(SHAPE, np.uint8)), viewer.layers["stack"]]
    assert [is_prediction(each) for each in (layer, *others, None)] == [True, False, False, False, False]
    assert not is_prediction(Image(np.zeros(SHAPE), metadata=layer.metadata))
