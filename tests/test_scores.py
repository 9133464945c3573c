import json
from math import isnan, log, nan
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_dilation

from napari_unet.problem import Problem
from napari_unet.scores import (
    THRESHOLDS,
    Separation,
    best_separation,
    object_f1,
    overlap,
    rand_and_info,
    separation,
)

SHARED = Path(__file__).parents[2] / "shared"

id_maps = arrays(np.int32, (6, 5), elements=st.integers(0, 4))
interiors = arrays(bool, (2, 7, 8))
probabilities = arrays(np.float32, (2, 7, 8), elements=st.floats(0, 1, width=32))


def two_cells() -> np.ndarray:
    """One section, two cells of 4 x 4 pixels, parted by one column of membrane."""
    interior = np.ones((1, 4, 9), bool)
    interior[:, :, 4] = False
    return interior


# ---- pixels


def test_overlap_counts_pixels_of_one_class():
    predicted, truth = np.array([1, 1, 2, 1]), np.array([1, 2, 2, 1])
    found = overlap(predicted, truth, 1)
    # 2 pixels in both, 3 in either, 3 + 2 in the sum.
    assert (found.iou, found.dice, found.pixels) == (2 / 3, 4 / 5, 2)


def test_overlap_sees_only_scored_pixels():
    predicted, truth = np.array([1, 1, 1, 2]), np.array([1, 2, 1, 1])
    found = overlap(predicted, truth, 1, scored=np.array([True, True, False, False]))
    assert (found.iou, found.dice, found.pixels) == (1 / 2, 2 / 3, 1)


def test_overlap_of_a_class_in_neither_is_nan():
    found = overlap(np.ones(3, int), np.ones(3, int), 2)
    assert isnan(found.iou)
    assert isnan(found.dice)
    assert found.pixels == 0


@given(id_maps, id_maps)
def test_dice_follows_from_iou(predicted, truth):
    found = overlap(predicted, truth, 1)
    assume(not isnan(found.iou))
    assert found.dice == pytest.approx(2 * found.iou / (1 + found.iou))


# ---- cells

# Truth: two cells of 4 pixels, so n = 8, a = (1/2, 1/2), sum a^2 = 32/64 and H(A) = ln 2.
# V_rand = 2 sum p^2 / (sum a^2 + sum b^2) and V_info = 2 I / (H(A) + H(B)).
BY_HAND = {
    # p = b = a.
    "right": ([3, 3, 3, 3, 7, 7, 7, 7], 1, 1),
    # p = (4, 4)/8, b = 1: 2 (32/64) / (32/64 + 1) = 2/3; H(B) = 0, so I = 0.
    "merged": ([1, 1, 1, 1, 1, 1, 1, 1], 2 / 3, 0),
    # p = b = (2, 2, 4)/8, sum p^2 = 24/64: 48/56; H(B) = 3/2 ln 2, I = ln 2: 2 / (5/2).
    "split": ([1, 1, 2, 2, 3, 3, 3, 3], 6 / 7, 4 / 5),
    # Each dam pixel alone: p = b = (2, 1, 1, 4)/8, sum p^2 = 22/64: 44/54;
    # H(B) = (2/4 + 3/8 + 3/8 + 1/2) ln 2 = 7/4 ln 2, I = ln 2: 2 / (11/4).
    "two dam pixels": ([1, 1, 0, 0, 3, 3, 3, 3], 22 / 27, 8 / 11),
    # p = b = (1, ..., 1)/8, sum p^2 = 8/64: 16/40; H(B) = 3 ln 2, I = ln 2: 2 / 4.
    "all dams": ([0, 0, 0, 0, 0, 0, 0, 0], 2 / 5, 1 / 2),
}


@pytest.mark.parametrize(("segments", "v_rand", "v_info"), BY_HAND.values(), ids=BY_HAND.keys())
def test_rand_and_info_by_hand(segments, v_rand, v_info):
    truth = np.array([1, 1, 1, 1, 2, 2, 2, 2])
    assert rand_and_info(truth, np.array(segments)) == pytest.approx((v_rand, v_info))


def as_published(truth: np.ndarray, segments: np.ndarray) -> tuple[float, float]:
    """The challenge's sums, with the dam pixels gathered in `aux`."""
    n = np.count_nonzero(truth)
    p = np.array(
        [[np.sum((truth == i) & (segments == j)) for j in range(segments.max() + 1)]
         for i in range(1, truth.max() + 1)]
    ) / n  # fmt: skip
    aux, inside, a = p[:, 0].sum(), p[:, 1:], p.sum(axis=1)
    b = inside.sum(axis=0)

    def plogp(shares):
        return sum(share * log(share) for share in shares.ravel() if share)

    s_a, s_b, s_ab = plogp(a), plogp(b) - aux * log(n), plogp(inside) - aux * log(n)
    rand = np.sum(inside**2) + aux / n
    precision, recall = rand / (np.sum(b**2) + aux / n), rand / np.sum(a**2)
    info_precision, info_recall = (-s_a - (s_b - s_ab)) / -s_a, (-s_b - (s_a - s_ab)) / -s_b
    v_rand = 2 * precision * recall / (precision + recall)
    return v_rand, 2 * info_precision * info_recall / (info_precision + info_recall)


@given(id_maps, id_maps)
def test_rand_and_info_as_published(truth, segments):
    v_rand, v_info = rand_and_info(truth, segments)
    # The published quotients are defined only where neither entropy nor the information is 0.
    assume(v_info > 1e-9)
    assume(np.unique(truth[truth > 0]).size > 1)
    assert (v_rand, v_info) == pytest.approx(as_published(truth, segments))


@given(id_maps, id_maps)
def test_rand_and_info_lie_between_0_and_1(truth, segments):
    assume(truth.any())
    v_rand, v_info = rand_and_info(truth, segments)
    assert 0 < v_rand <= 1
    assert 0 <= v_info <= 1


@given(id_maps, id_maps, st.permutations([1, 2, 3, 4]), st.permutations([1, 2, 3, 4]))
def test_rand_and_info_see_neither_ids_nor_places(truth, segments, new_truth, new_segments):
    assume(truth.any())
    renamed = np.array([0, *new_truth])[truth], np.array([0, *new_segments])[segments] * 1000
    found = rand_and_info(renamed[0].T, renamed[1].T)
    assert found == pytest.approx(rand_and_info(truth, segments))


@given(id_maps, id_maps)
def test_rand_and_info_of_full_maps_are_symmetric(one, other):
    assert rand_and_info(one + 1, other + 1) == pytest.approx(rand_and_info(other + 1, one + 1))


@pytest.mark.parametrize(
    ("segments", "v_info"), [([1, 1, 1], 1), ([1, 1, 2], 0), ([0, 0, 0], 0)], ids=["one", "two", "dams"]
)
def test_information_of_a_single_cell(segments, v_info):
    assert rand_and_info(np.ones(3, int), np.array(segments))[1] == v_info


def test_rand_and_info_of_nothing_are_nan():
    assert np.isnan(rand_and_info(np.zeros(3, int), np.arange(3))).all()


def test_scoring_leaves_its_arrays_alone():
    truth, segments = np.array([0, 1, 1]), np.array([0, 0, 1])
    rand_and_info(truth, segments)
    assert (truth.tolist(), segments.tolist()) == ([0, 1, 1], [0, 0, 1])


@settings(deadline=None)
@given(interiors)
def test_the_true_membrane_separates_perfectly(interior):
    assume(interior.any())
    assert separation(~interior, interior, 0.5) == Separation(0.5, 1.0, 1.0)


@settings(deadline=None)
@given(probabilities, interiors, st.sampled_from(THRESHOLDS))
def test_separation_lies_between_0_and_1(membrane, interior, threshold):
    assume(interior.any())
    found = separation(membrane, interior, threshold)
    assert 0 < found.v_rand <= 1
    assert 0 <= found.v_info <= 1


def test_separation_forgives_width_but_not_place():
    interior = two_cells()
    wide, shifted = ~interior, np.zeros_like(interior)
    wide[:, :, 3:6] = True
    shifted[:, :, 3] = True
    assert separation(wide, interior, 0.5) == Separation(0.5, 1.0, 1.0)
    # The dam takes 4 of the 16 pixels of the left cell: sum p^2 = sum b^2 = (144 + 4 + 256)/1024.
    assert separation(shifted, interior, 0.5).v_rand == pytest.approx(808 / (512 + 404))


def test_cells_that_touch_at_a_corner_are_two():
    interior = np.array([[[True, False], [False, True]]])
    # Both merged into one region, as in the case above.
    assert separation(np.zeros((1, 2, 2)), interior, 0.5) == Separation(0.5, pytest.approx(2 / 3), 0.0)


def test_separation_is_the_mean_over_sections_with_interior():
    interior = np.concatenate([two_cells(), two_cells(), np.zeros((1, 4, 9), bool)])
    membrane = np.zeros(interior.shape)
    membrane[0] = ~interior[0]
    # Perfect (1, 1) and merged (2/3, 0); the section without interior does not count.
    assert separation(membrane, interior, 0.5) == Separation(0.5, pytest.approx(5 / 6), 0.5)


def test_separation_without_any_true_interior_is_nan():
    found = separation(np.zeros((1, 3, 3)), np.zeros((1, 3, 3), bool), 0.5)
    assert isnan(found.v_rand)
    assert isnan(found.v_info)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float16, np.float32, float])
def test_a_binary_map_scores_the_same_at_every_threshold(dtype):
    interior = two_cells()
    membrane = np.zeros(interior.shape, dtype)
    membrane[:, :, 3] = 1
    found = [separation(membrane, interior, threshold) for threshold in THRESHOLDS]
    assert len({(one.v_rand, one.v_info) for one in found}) == 1
    assert found[0].v_rand < 1


def test_best_separation_takes_each_score_at_its_own_threshold():
    # Grey everywhere: up to 0.5 all is dams (p = 1/32: 64/(32 + 512) and 2/(1 + 5)), above all is merged.
    by_rand, by_info = best_separation(np.full((1, 4, 9), 0.5), two_cells())
    assert by_rand == Separation(0.6, pytest.approx(2 / 3), 0.0)
    assert by_info == Separation(0.1, pytest.approx(2 / 17), pytest.approx(1 / 3))


def test_best_separation_averages_before_it_chooses():
    # No one threshold serves both sections: the first needs 0.3 or less, the second more than 0.5.
    interior = np.concatenate([two_cells(), two_cells()])
    membrane = ~interior * np.array([0.3, 0.9])[:, None, None]
    membrane[1, :, 1] = 0.5
    by_rand, _ = best_separation(membrane, interior)
    # Second section: the left cell falls into 4 + 8 pixels and 4 dam pixels, sum p^2 = 340/1024.
    assert by_rand.threshold == 0.1
    assert by_rand.v_rand == pytest.approx((1 + 680 / (512 + 340)) / 2)


@pytest.mark.parametrize(
    ("membrane", "interior", "words"),
    [
        (np.zeros((1, 3, 3)), np.zeros((1, 3, 4), bool), "shape"),
        (np.zeros((3, 3)), np.zeros((3, 3), bool), "2 axes"),
        (np.full((1, 3, 3), 255, np.uint8), np.ones((1, 3, 3), bool), "outside 0 to 1"),
        (np.full((1, 3, 3), nan), np.ones((1, 3, 3), bool), "outside 0 to 1"),
    ],
)
def test_separation_refuses_what_it_cannot_score(membrane, interior, words):
    with pytest.raises(Problem, match=words):
        separation(membrane, interior, 0.5)


# ---- the challenge's own stack

PREDICTIONS = {
    "unchanged": lambda stack: stack[:10],
    "scipy.ndimage.binary_dilation(membrane, iterations=1)": lambda stack: dilated(stack, 1),
    "scipy.ndimage.binary_dilation(membrane, iterations=2)": lambda stack: dilated(stack, 2),
    "scipy.ndimage.binary_dilation(membrane, iterations=3)": lambda stack: dilated(stack, 3),
    "membrane of the next section (z+1)": lambda stack: stack[1:11],
    "membrane with every 8th row erased (rows 0, 8, 16, ...)": lambda stack: (
        stack[:10] & (np.arange(stack.shape[1]) % 8 != 0)[:, None]
    ),
    "no membrane at all": lambda stack: np.zeros_like(stack[:10]),
}


def dilated(stack: np.ndarray, iterations: int) -> np.ndarray:
    return np.stack([binary_dilation(section, iterations=iterations) for section in stack[:10]])


@pytest.mark.skipif(not SHARED.is_dir(), reason="the ISBI 2012 stack is not in `shared` beside the checkout")
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_separation_agrees_with_an_independent_implementation(prediction):
    cases = json.loads((SHARED / "golden/isbi_scores.json").read_text())["cases"]
    expected = {case["prediction"]: (case["v_rand"], case["v_info"]) for case in cases}
    interior = tifffile.imread(SHARED / "data/isbi2012/interior.tif") == 255
    found = separation(PREDICTIONS[prediction](~interior), interior[:10], 0.5)
    assert expected.keys() == PREDICTIONS.keys()
    assert (found.v_rand, found.v_info) == pytest.approx(expected[prediction], abs=0.001)


# ---- objects


def test_object_f1_by_hand():
    truth = np.array([1, 1, 1, 0, 2, 2, 0, 3, 3, 0])
    predicted = np.array([9, 9, 0, 0, 5, 0, 0, 4, 4, 8])
    # IoU: 2/3 matches, 1/2 is not above 1/2, 2/2 matches; object 8 meets none.
    found = object_f1(predicted, truth)
    assert (found.matched, found.predicted, found.truth) == (2, 4, 3)
    assert (found.precision, found.recall, found.f1) == (2 / 4, 2 / 3, 4 / 7)
    assert object_f1(predicted, truth, iou=0.7).matched == 1


def test_object_f1_takes_large_ids_and_volumes():
    ids = np.zeros((2, 3, 4), np.uint64)
    ids[0, 0], ids[1, 2] = 2**63 + 1, 2**63 + 2
    assert object_f1(ids, ids).matched == 2


def test_object_f1_without_objects_is_nan():
    nothing, one = np.zeros(3, int), np.ones(3, int)
    assert isnan(object_f1(nothing, nothing).f1)
    assert isnan(object_f1(nothing, one).precision)
    assert isnan(object_f1(one, nothing).recall)
    assert object_f1(nothing, one).f1 == 0


@given(id_maps, id_maps)
def test_object_f1_matches_as_one_by_one(predicted, truth):
    pairs = [(truth == i, predicted == j) for i in range(1, 5) for j in range(1, 5)]
    expected = sum(2 * np.sum(one & other) > np.sum(one | other) for one, other in pairs)
    found, swapped = object_f1(predicted, truth), object_f1(truth, predicted)
    assert found.matched == swapped.matched == expected
    assert found.precision == pytest.approx(swapped.recall, nan_ok=True)
    assert found.f1 == pytest.approx(swapped.f1, nan_ok=True)


@pytest.mark.parametrize("iou", [0.4, 1.0, nan])
def test_object_f1_refuses_an_iou_that_cannot_match(iou):
    with pytest.raises(Problem, match="IoU"):
        object_f1(np.ones(3, int), np.ones(3, int), iou)
