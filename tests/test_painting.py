"""What painted pixels mean to the loss."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import distance_transform_edt

from napari_unet.painting import UNCOUNTED, Meaning, border_term, class_weights, loss_weights, targets, touching
from napari_unet.problem import Problem

SPARSE = Meaning((1, 2), separator=1)
DENSE = Meaning((0, 1), separator=0, zero_counts=True)
OBJECTS = Meaning((1, 2), separator=1, objects=True)
WHOLE_OBJECTS = Meaning((0, 1), separator=0, objects=True, zero_counts=True)
ALIKE = np.ones(2, np.float32)

shapes = array_shapes(min_dims=2, max_dims=2, max_side=14)
# Not consecutive, and larger than a signed 32-bit number.
some_ids = arrays(np.uint32, shapes, elements=st.sampled_from([0, 0, 0, 1, 2, 7, 4_000_000_000]))


def split_by(gap: int, shape: tuple[int, int] = (40, 41)) -> np.ndarray:
    """Two objects, left and right, parted by `gap` columns."""
    ids = np.zeros(shape, np.int32)
    middle = shape[1] // 2
    ids[:, :middle], ids[:, middle + gap :] = 1, 2
    return ids


# ---- targets


@given(arrays(np.uint8, shapes, elements=st.integers(0, 2)))
def test_sparse_values_are_classes_and_zero_is_unlabelled(labels):
    np.testing.assert_array_equal(targets(labels, SPARSE), np.array([UNCOUNTED, 0, 1], np.uint8)[labels])


@given(arrays(np.int64, shapes, elements=st.integers(0, 2)))
def test_dense_zero_is_background(labels):
    found = targets(labels, Meaning((0, 1, 2), zero_counts=True))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, labels)


def test_values_need_not_be_in_order():
    assert targets(np.array([[0, 3, 200]]), Meaning((200, 3))).tolist() == [[UNCOUNTED, 1, 0]]


def test_a_mask_is_a_class():
    assert targets(np.array([[True, False]]), Meaning((1,))).tolist() == [[0, UNCOUNTED]]


@pytest.mark.parametrize("value", [3, -1, 255, 70_000])
def test_an_unknown_value_is_a_problem(value):
    labels = np.array([[0, 1, 2, value]], np.int32)
    with pytest.raises(Problem, match=rf"^L 7 holds the value {value}, .* 2 named classes \(1, 2\).*--objects"):
        targets(labels, SPARSE, "L 7")


@pytest.mark.parametrize(("count", "suspected"), [(9, False), (10, True)])
def test_many_unknown_values_look_like_an_image(count, suspected):
    with pytest.raises(Problem, match=r"^L 7 holds .*3, .* 2 named classes \(1, 2\)") as caught:
        targets(np.arange(3 + count)[None], SPARSE, "L 7")
    assert ("did you swap image and labels?" in str(caught.value)) == suspected


def test_touching_objects_get_a_gap_of_one_pixel():
    found = targets(split_by(0), OBJECTS)
    assert (found == 1).sum(1).tolist() == [1] * 40
    assert (found[:, 19] == 1).all()  # the left one gives its last column
    np.testing.assert_array_equal(targets(split_by(0).T, OBJECTS), found.T)  # and so does the upper one its last row


@pytest.mark.parametrize("gap", [1, 2, 5])
def test_objects_apart_lose_no_pixel(gap):
    ids = split_by(gap)
    np.testing.assert_array_equal(targets(ids, OBJECTS), np.where(ids, 0, UNCOUNTED))
    np.testing.assert_array_equal(targets(ids, WHOLE_OBJECTS), ids != 0)


@given(some_ids, st.sampled_from([OBJECTS, WHOLE_OBJECTS]))
def test_laws_of_objects(ids, meaning):
    found = targets(ids, meaning)
    inside = found == meaning.values.index(1)
    for a, b in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        assert not (inside[a] & inside[b] & (ids[a] != ids[b])).any()
    lost = (ids > 0) & ~inside
    np.testing.assert_array_equal(lost, touching(ids))
    assert (found[lost] == meaning.separator).all()
    assert (found[ids == 0] == (meaning.separator if meaning.zero_counts else UNCOUNTED)).all()


@given(some_ids)
def test_a_pixel_touches_another_object_below_or_to_its_right(ids):
    def differs(y: int, x: int, other: int) -> bool:
        return bool(other) and ids[y, x] != other

    for (y, x), found in np.ndenumerate(touching(ids)):
        below = ids[y + 1, x] if y + 1 < ids.shape[0] else 0
        right = ids[y, x + 1] if x + 1 < ids.shape[1] else 0
        assert found == (ids[y, x] > 0 and (differs(y, x, below) or differs(y, x, right)))


# ---- class weights


@given(arrays(np.int64, st.integers(1, 6), elements=st.integers(0, 10**7)))
def test_class_weights_balance_the_classes(counts):
    found = class_weights(counts, 1.0)
    assert found.dtype == np.float32
    assert ((found > 0) & (found <= 10)).all()
    assert (found[counts == 0] == 1).all()
    uncapped = (found < 10) & (counts > 0)
    share = counts.sum() / max((counts > 0).sum(), 1)
    np.testing.assert_allclose(found[uncapped] * counts[uncapped], share, rtol=1e-5)


def test_a_rare_class_weighs_at_most_ten():
    np.testing.assert_allclose(class_weights(np.array([99, 1, 0]), 1.0), [100 / 198, 10, 1])
    np.testing.assert_allclose(class_weights(np.array([30, 10]), 1.0), [2 / 3, 2])


@pytest.mark.parametrize(("balance", "weights"), [(0.0, [1, 1, 1]), (0.5, [np.sqrt(2 / 3), np.sqrt(2), 1])])
def test_classes_are_balanced_as_far_as_asked(balance, weights):
    np.testing.assert_allclose(class_weights(np.array([30, 10, 0]), balance), weights, rtol=1e-6)


# ---- border term


def by_definition(ids: np.ndarray, w0: float, sigma: float) -> np.ndarray:
    """Equation 2 with a distance map for every object."""
    names = [n for n in np.unique(ids) if n]
    if len(names) < 2:
        return np.zeros(ids.shape)
    total = np.sort([distance_transform_edt(ids != n) for n in names], axis=0)[:2].sum(0)
    return np.where((ids == 0) & (total <= 6 * sigma), w0 * np.exp(-(total**2) / (2 * sigma**2)), 0)


@given(some_ids, st.floats(0.1, 20), st.sampled_from([0.3, 0.7, 1, 2, 5]))
@settings(max_examples=60)
def test_the_border_term_is_equation_2(ids, w0, sigma):
    found = border_term(ids, w0, sigma)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_definition(ids, w0, sigma), rtol=1e-4, atol=1e-6)
    # No pixel between two objects is nearer than one pixel to both.
    assert found.max() <= w0 * np.exp(-2 / sigma**2) * (1 + 1e-6)
    assert not found[ids > 0].any()


@given(some_ids)
@settings(max_examples=30)
def test_the_border_term_does_not_know_the_numbers_of_the_objects(ids):
    renamed = np.select([ids == 1, ids == 2, ids == 7, ids > 7], [9, 8, 3, 1]).astype(np.int64)
    np.testing.assert_array_equal(border_term(ids), border_term(renamed))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
@pytest.mark.parametrize("fill", [0, 1])
def test_fewer_than_two_objects_have_no_border(fill, dtype):
    ids = np.full((20, 30), fill, dtype)
    ids[5:9, 5:9] = 1
    assert not border_term(ids).any()


def test_no_background_has_no_border():
    ids = np.full((12, 12), 3, np.uint16)
    ids[6:] = 60_000
    assert not border_term(ids).any()


def test_far_objects_have_no_border():
    assert border_term(split_by(29, (5, 60)), sigma=5).any()
    assert not border_term(split_by(30, (5, 60)), sigma=5).any()


def test_a_gap_of_one_pixel_weighs_most():
    found = border_term(split_by(1))
    np.testing.assert_allclose(found[:, 20], 10 * np.exp(-4 / 50), rtol=1e-6)


# ---- loss weights


@given(arrays(np.uint8, shapes, elements=st.sampled_from([0, 1, 2])), st.floats(0, 20))
@settings(max_examples=40)
def test_only_separating_pixels_weigh_more_than_their_class(labels, border):
    target = targets(labels, SPARSE)
    per_class = np.array([0.5, 3], np.float32)
    found = loss_weights(labels, target, SPARSE, per_class, border)
    assert found.dtype == np.float32
    assert not found[target == UNCOUNTED].any()
    assert (found[target == 0] == 0.5).all()
    assert (found[target == 1] >= 3).all()


def test_dense_labels_get_the_border_term_on_the_separator_alone():
    labels = (split_by(3) > 0).astype(np.uint8)  # the objects are the connected interiors
    target = targets(labels, DENSE)
    found = loss_weights(labels, target, DENSE, np.array([2, 0.7], np.float32), 10)
    np.testing.assert_allclose(found, np.where(labels, 0.7, 2 + border_term(split_by(3))), rtol=1e-6)
    assert found[20, 21] > 8


def test_a_membrane_within_an_unpainted_margin_is_still_painted_whole():
    labels = np.zeros((80, 90), np.uint8)
    labels[20:60, 30:71] = np.where(split_by(3), 1, 2)
    found = loss_weights(labels, targets(labels, SPARSE), SPARSE, ALIKE, 10)
    assert found[40, 51] > 8
    assert not found[labels == 0].any()


def test_strokes_get_no_border_term():
    labels = np.zeros((60, 60), np.uint8)
    labels[10:50, 20], labels[10:50, 22], labels[10:50, 24] = 1, 2, 1
    labels[5, 5], labels[55, 55] = 1, 2
    found = loss_weights(labels, targets(labels, SPARSE), SPARSE, ALIKE, 10)
    np.testing.assert_array_equal(found, labels > 0)


def test_the_ids_tell_objects_apart_and_pieces_together():
    pieces = split_by(3)
    touching_ids = split_by(0)
    for ids, meaning in ((pieces, WHOLE_OBJECTS), (touching_ids, WHOLE_OBJECTS), (touching_ids, OBJECTS)):
        target = targets(ids, meaning)
        assert loss_weights(ids, target, meaning, ALIKE, 10)[target == meaning.separator].min() > 8
    one = (pieces > 0).astype(np.int32)
    np.testing.assert_array_equal(loss_weights(one, targets(one, WHOLE_OBJECTS), WHOLE_OBJECTS, ALIKE, 10), 1)


@pytest.mark.parametrize(("meaning", "border"), [(DENSE, 0), (Meaning((0, 1), zero_counts=True), 10)])
def test_without_border_weight_or_separator_a_pixel_weighs_as_its_class(meaning, border):
    labels = (split_by(3) > 0).astype(np.uint8)
    found = loss_weights(labels, targets(labels, meaning), meaning, np.array([2, 3], np.float32), border)
    np.testing.assert_array_equal(found, labels + 2)


def test_nothing_painted_weighs_nothing():
    labels = np.zeros((5, 6), np.uint8)
    assert not loss_weights(labels, targets(labels, SPARSE), SPARSE, ALIKE, 10).any()
