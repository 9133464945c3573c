"""Patches that a model does not believe."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.painting import UNCOUNTED
from napari_unet.slips import SURE, Slip, parted, slips

SHAPE = 60, 80


def section(*boxes: tuple[int, int, int, int], sure: float = 0.98):
    """A stroke of channel 0 over the whole section; in boxes (y, x, height, width) the model is sure of channel 1."""
    painted, says = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    certain = np.full(SHAPE, 0.99, np.float32)
    for y, x, height, width in boxes:
        says[y : y + height, x : x + width] = 1
        certain[y : y + height, x : x + width] = sure
    return painted, says, certain


def test_a_patch_is_found_with_its_place_and_its_certainty() -> None:
    (found,) = slips(*section((20, 30, 8, 9)))
    assert (found.painted, found.says, found.size) == (0, 1, 72)
    assert abs(found.sure - 0.98) < 1e-6
    assert 21 <= found.y <= 26
    assert 31 <= found.x <= 37


def test_what_is_small_narrow_unsure_or_not_painted_is_no_slip() -> None:
    assert [*slips(*section((20, 30, 5, 7)))] == []
    assert [*slips(*section((20, 10, 2, 60)))] == []
    assert [*slips(*section((20, 30, 8, 9), sure=0.89))] == []
    painted, says, sure = section((20, 30, 8, 9))
    painted[:] = UNCOUNTED
    assert [*slips(painted, says, sure)] == []


def test_neighbours_that_differ_in_what_is_painted_are_two_slips() -> None:
    painted, says, sure = section((20, 30, 8, 18))
    painted[:, 39:] = 2
    painted[painted == 2] = np.where(says[painted == 2] == 1, 2, UNCOUNTED)
    assert {(slip.painted, slip.size) for slip in slips(painted, says, sure)} == {(0, 72), (2, 72)}


@given(st.integers(0, 2**32 - 1))
def test_each_slip_lies_where_the_model_is_sure_of_something_else(seed) -> None:
    rng = np.random.default_rng(seed)
    blocks = [np.kron(rng.integers(0, 3, (6, 8)), np.ones((10, 10), int)).astype(np.uint8) for _ in range(2)]
    painted = np.where(rng.random(SHAPE) < 0.001, UNCOUNTED, blocks[0]).astype(np.uint8)
    sure = np.kron(rng.choice([0.5, 0.97], (6, 8)), np.ones((10, 10))).astype(np.float32)
    found = [*slips(painted, blocks[1], sure)]
    assert all(isinstance(slip, Slip) for slip in found)
    for slip in found:
        assert (painted[slip.y, slip.x], blocks[1][slip.y, slip.x]) == (slip.painted, slip.says)
        assert slip.painted != slip.says
        assert slip.sure > SURE
    doubted = (painted != UNCOUNTED) & (painted != blocks[1]) & (sure > SURE)
    assert sum(slip.size for slip in found) <= doubted.sum()


@pytest.mark.parametrize(("gap", "found"), [(0, True), (1, False)])
def test_an_object_that_a_membrane_parts_is_found(gap: int, found: bool) -> None:
    ids, between = np.zeros(SHAPE, np.uint16), np.zeros(SHAPE, np.float32)
    ids[5:55, 5:75] = 17
    between[:, 29:32] = 0.8
    between[30 : 30 + gap, 29:32] = 0.6  # through a gap it is one
    spots = [*parted(ids, between)]
    assert len(spots) == found
    for spot in spots:
        assert (spot.value, spot.size) == (17, 50 * 24)
        assert 5 <= spot.x < 29


def test_what_a_membrane_cuts_off_must_be_large_and_two_ids_are_two_objects() -> None:
    ids, between = np.zeros(SHAPE, np.uint16), np.zeros(SHAPE, np.float32)
    ids[5:55, 5:75] = 17
    between[:, 10:13] = 0.9
    assert [*parted(ids, between)] == []
    between[:, 29:32] = 0.9
    ids[:, :30] *= 2
    assert [*parted(ids, between)] == []
