"""Crops: labels lie where they were painted, every draw follows from seed and step, no pixel counts twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet import augment
from napari_unet.augment import CHANGES
from napari_unet.crops import Batch, Crops, Judged, judged_tiles
from napari_unet.grey import Grey
from napari_unet.paintedsection import PaintedSection
from napari_unet.painting import UNCOUNTED
from napari_unet.tiles import MARGIN

WIDE = CHANGES["wide"]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 255, shape).astype(np.uint8)


def section(image: np.ndarray, learn: np.ndarray, pair: int = 0, held: np.ndarray | None = None) -> PaintedSection:
    """A section painted with channels, without a file."""
    held = np.full_like(learn, UNCOUNTED) if held is None else held
    weights = np.where(learn == UNCOUNTED, 0, 1 + learn).astype(np.float32)
    grey, no = Grey(float(image.mean()), float(image.std()) or 1.0), np.zeros(learn.shape, bool)
    return PaintedSection(pair, 0, image, grey, learn, no, no, learn, learn, held, weights)


def painted(section: PaintedSection) -> np.ndarray:
    """What is learned and what is held out, together."""
    assert not ((section.learn != UNCOUNTED) & (section.held != UNCOUNTED)).any()
    return np.minimum(section.learn, section.held)


# ---- drawing


def batches_equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(getattr(one, part), getattr(other, part)) for part in ("image", "target", "weights"))


@pytest.fixture(scope="module")
def two_pairs() -> list[PaintedSection]:
    """Pairs of different size; the second shows class 0 alone."""
    one, other = np.full((60, 90), UNCOUNTED, np.uint8), np.full((33, 21), UNCOUNTED, np.uint8)
    one[10:12], one[50, 5], other[20:30, 3:9] = 0, 1, 0
    return [section(noise(60, 90), one), section(noise(33, 21), other, pair=1)]


def test_a_batch_has_the_shapes_and_types_that_the_network_wants(two_pairs: list[PaintedSection]) -> None:
    batch = Crops(two_pairs, 2, 32, 0, "cpu", WIDE).batch(3, 2)
    assert (batch.image.shape, batch.image.dtype) == ((2, 1, 220, 220), torch.float32)
    assert (batch.target.shape, batch.target.dtype) == ((2, 32, 32), torch.int64)
    assert (batch.weights.shape, batch.weights.dtype) == ((2, 32, 32), torch.float32)


@given(st.integers(0, 2**32 - 2), st.integers(0, 10**6), st.integers(0, 10**6))
@settings(max_examples=8)
def test_a_step_follows_from_seed_and_number_alone(
    two_pairs: list[PaintedSection], seed: int, step: int, other: int
) -> None:
    crops = Crops(two_pairs, 2, 16, seed, "cpu", WIDE)
    torch.manual_seed(0)
    first = crops.batch(step, 1)
    state = torch.get_rng_state()
    crops.batch(other, 2)
    torch.rand(3)
    assert batches_equal(crops.batch(step, 1), first)
    assert batches_equal(Crops(two_pairs, 2, 16, seed, "cpu", WIDE).batch(step, 1), first)
    assert not batches_equal(crops.batch(step + 1, 1), first)
    assert not batches_equal(Crops(two_pairs, 2, 16, seed + 1, "cpu", WIDE).batch(step, 1), first)
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_larger_batch_begins_with_the_crops_of_a_smaller_one(two_pairs: list[PaintedSection]) -> None:
    crops = Crops(two_pairs, 2, 16, 0, "cpu", WIDE)
    large, small = crops.batch(0, 3), crops.batch(0, 2)
    assert batches_equal(Batch(large.image[:2], large.target[:2], large.weights[:2]), small)


def test_targets_are_channels_or_uncounted_and_carry_their_weights(two_pairs: list[PaintedSection]) -> None:
    crops = Crops(two_pairs, 2, 64, 0, "cpu", WIDE)
    seen = set()
    for step in range(12):
        batch = crops.batch(step, 2)
        seen |= set(batch.target.unique().tolist())
        # The weights of these sections are 1 + channel.
        expected = torch.where(batch.target == UNCOUNTED, 0, 1 + batch.target).float()
        assert torch.equal(batch.weights, expected)
        assert batch.image.isfinite().all()
    assert seen == {0, 1, UNCOUNTED}


def test_labels_stay_on_their_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warp an image that is its own label: they must still agree."""
    monkeypatch.setattr(augment, "grey_values", lambda image, *_: image)
    y, x = np.indices((150, 130))
    learn = (((y // 10) + (x // 13)) % 2).astype(np.uint8)
    crops = Crops([section(learn.copy(), learn)], 2, 64, 0, "cpu", WIDE)
    for step in range(6):
        batch = crops.batch(step, 2)
        bright = batch.image[:, 0, MARGIN:-MARGIN, MARGIN:-MARGIN] > 0
        agree = (bright == (batch.target == 1)).flatten(1).float().mean(1)
        assert (agree > 0.98).all(), agree


def test_pairs_are_drawn_alike_then_classes_then_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is painted where: half of the crops from each pair, within it half of each class."""
    much, third, rest = (np.full((200, 200), UNCOUNTED, np.uint8) for _ in range(3))
    much[40:60], much[100, 0] = 0, 1
    third[150, :7], rest[190, :14] = 1, 1
    rows = {50: "much of class 0", 100: "one pixel of class 1", 150: "a third of pair 1", 190: "the rest of pair 1"}
    drawn: Counter[str] = Counter()
    coordinates = augment.coordinates

    def note(side: int, centre: tuple[float, float], *more: Any) -> torch.Tensor:
        drawn[rows[min(rows, key=lambda row: abs(row - centre[0]))]] += 1
        return coordinates(side, centre, *more)

    monkeypatch.setattr(augment, "coordinates", note)
    image = noise(200, 200)
    crops = Crops(
        [section(image, much), section(image, third, pair=1), section(image, rest, pair=1)],
        2,
        16,
        0,
        "cpu",
        WIDE,
    )
    for step in range(60):
        crops.batch(step, 4)
    shares = [drawn[place] / 240 for place in rows.values()]
    assert shares == pytest.approx([1 / 4, 1 / 4, 1 / 6, 1 / 3], abs=0.08)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2), (17, 1)])
def test_tiny_images_give_crops(shape: tuple[int, int]) -> None:
    learn = np.zeros(shape, np.uint8)
    batch = Crops([section(noise(*shape), learn)], 1, 16, 0, "cpu", WIDE).batch(0, 3)
    assert batch.image.isfinite().all()
    assert (batch.target == 0).all()  # mirrored, the painted pixels are everywhere


# ---- judging


def where_from(tile: Judged, section: PaintedSection) -> np.ndarray:
    """Return the pixel number that each pixel of a tile shows; the image must number its pixels."""
    shown = tile.image[MARGIN:-MARGIN, MARGIN:-MARGIN].astype(np.float64)
    return np.round(shown * section.grey.std + section.grey.mean).astype(int)


@given(st.data())
@settings(max_examples=25)
def test_judged_tiles_show_exactly_the_held_out_pixels(data: st.DataObject) -> None:
    height, width = data.draw(st.tuples(st.integers(1, 300), st.integers(1, 300)))
    image = np.arange(height * width, dtype=np.float64).reshape(height, width)
    held = np.full((height, width), UNCOUNTED, np.uint8)
    for channel in (0, 1):
        y, x = data.draw(st.tuples(st.integers(0, height - 1), st.integers(0, width - 1)))
        held[y : y + data.draw(st.integers(0, 40)), x : x + data.draw(st.integers(0, 40))] = channel
    one = section(image, np.full_like(held, UNCOUNTED), held=held)
    found = np.full(image.size, UNCOUNTED, np.uint8)
    for tile in judged_tiles([one], 0):
        counted = tile.target != UNCOUNTED
        assert counted.any()
        assert tile.image.shape == tuple(side + 2 * MARGIN for side in tile.target.shape)
        numbers = where_from(tile, one)[counted]
        assert (found[numbers] == UNCOUNTED).all(), "a pixel is judged twice"
        found[numbers] = tile.target[counted]
    np.testing.assert_array_equal(found.reshape(held.shape), held)


def test_tiles_to_judge_are_few_and_follow_from_the_seed() -> None:
    held = np.zeros((128 * 6, 128 * 6), np.uint8)
    one = section(np.arange(held.size, dtype=np.float64).reshape(held.shape), np.full_like(held, UNCOUNTED), held=held)
    firsts = [[where_from(tile, one)[0, 0] for tile in judged_tiles([one], seed)] for seed in (0, 0, 1)]
    assert len(set(firsts[0])) == 12
    assert firsts[0] == firsts[1] != firsts[2]


def test_nothing_held_out_gives_no_tiles() -> None:
    learn = np.zeros((40, 40), np.uint8)
    assert judged_tiles([section(noise(40, 40), learn)], 0) == []
