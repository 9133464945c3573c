"""A strip of what is painted is held out, apart from what is learned."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from napari_unet import holdout
from napari_unet.holdout import GAP, LINKED, choose
from napari_unet.painting import UNCOUNTED

Parts = list[tuple[np.ndarray, np.ndarray]]


def split(sections: list[int], painted: list[np.ndarray], before: dict[int, holdout.Strip] | None = None) -> Parts:
    """Split what is painted by the strips that are chosen for it."""
    return list(holdout.split(sections, painted, choose(sections, painted, before or {})))


def strokes(draws: np.random.Generator, shape: tuple[int, int] = (130, 110)) -> np.ndarray:
    """Targets of a section with a few boxes of a few classes."""
    target = np.full(shape, UNCOUNTED, np.uint8)
    for _ in range(draws.integers(1, 12)):
        y, x = draws.integers(0, shape[0]), draws.integers(0, shape[1])
        h, w = draws.integers(1, 60, 2)
        target[y : y + h, x : x + w] = draws.integers(0, 4)
    return target


@st.composite
def volumes(draw: st.DrawFn) -> tuple[list[int], list[np.ndarray]]:
    draws = np.random.default_rng(draw(st.integers(0, 2**32)))
    sections = sorted(draw(st.sets(st.integers(0, 15), min_size=1, max_size=4)))
    return sections, [strokes(draws) for _ in sections]


def whole(shape: tuple[int, int] = (200, 160), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, shape).astype(np.uint8)


def counted(target: np.ndarray) -> np.ndarray:
    return target != UNCOUNTED


@given(volumes())
@settings(max_examples=40)
def test_learned_and_held_out_pixels_lie_apart(volume):
    sections, painted = volume
    parts = split(sections, painted)
    for z, (_, held) in zip(sections, parts, strict=True):
        away = distance_transform_edt(~counted(held)) if counted(held).any() else np.full(held.shape, np.inf)
        for other, (learn, _) in zip(sections, parts, strict=True):
            if abs(z - other) <= LINKED:
                assert (away[counted(learn)] > GAP).all()


@given(volumes())
@settings(max_examples=40)
def test_only_the_gap_is_lost(volume):
    sections, painted = volume
    for target, (learn, held) in zip(painted, split(sections, painted), strict=True):
        assert learn.dtype == held.dtype == np.uint8
        assert not (counted(learn) & counted(held)).any()
        both = np.minimum(learn, held)  # UNCOUNTED is the largest value
        kept = counted(both)
        np.testing.assert_array_equal(both[kept], target[kept])
        lost = (counted(target) & ~kept).nonzero()
        assert not lost[0].size or min(np.ptp(side) for side in lost) < GAP


@given(volumes())
@settings(max_examples=40)
def test_every_class_keeps_half_of_its_pixels_to_learn(volume):
    sections, painted = volume
    parts = split(sections, painted)
    for c in range(4):
        assert sum((learn == c).sum() for learn, _ in parts) >= sum((target == c).sum() for target in painted) / 2


@given(volumes())
@settings(max_examples=20)
def test_the_same_pixels_are_split_alike(volume):
    for one, two in zip(split(*volume), split(*volume), strict=True):
        np.testing.assert_array_equal(one, two)


@given(st.integers(120, 300), st.integers(120, 300), st.integers(0, 99))
@settings(max_examples=20)
def test_about_15_percent_is_held_out(height, width, seed):
    ((learn, held),) = split([0], [whole((height, width), seed)])
    assert 0.15 <= counted(held).mean() < 0.17
    # What is neither is a strip as wide as the gap.
    assert (~counted(learn) & ~counted(held)).sum() in (GAP * height, GAP * width)


def test_too_little_to_spare_is_all_learned():
    target = whole((50, 60))
    ((learn, held),) = split([5], [target])
    np.testing.assert_array_equal(learn, target)
    assert not counted(held).any()


def test_the_strip_shows_all_classes_where_it_can():
    target = np.zeros((200, 400), np.uint8)
    target[:, 200:] = 1
    ((_, held),) = split([0], [target])
    assert set(np.unique(held[counted(held)])) == {0, 1}
    ((_, turned),) = split([0], [target.T])
    assert set(np.unique(turned[counted(turned)])) == {0, 1}


def test_near_sections_share_the_strip_and_far_ones_do_not_matter():
    left, right = np.full((2, 200, 300), UNCOUNTED, np.uint8)
    left[:, :200], right[:, 100:] = whole((200, 200)), whole((200, 200), 1)
    alone = [*split([0], [left]), *split([0], [right])]
    np.testing.assert_array_equal(split([0, 4], [left, right]), alone)
    linked = split([0, 3], [left, right])
    assert not np.array_equal(linked, alone)
    # A chain of near sections hangs together.
    chain = split([0, 3, 6], [left, right, right])
    np.testing.assert_array_equal(chain[1], chain[2])
    assert not np.array_equal(chain[2], alone[1])


def test_a_section_without_counted_pixels_holds_nothing_out():
    empty = np.full((200, 160), UNCOUNTED, np.uint8)
    for part in split([0, 10], [empty, whole()])[0]:
        np.testing.assert_array_equal(part, empty)


@given(volumes(), st.data())
@settings(max_examples=60)
def test_strips_stay_while_more_is_painted(volume, data):
    sections, painted = volume
    first = data.draw(st.sets(st.sampled_from(sections), min_size=1))
    few = [(z, target) for z, target in zip(sections, painted, strict=True) if z in first]
    before = choose(*map(list, zip(*few, strict=True)), {})
    after = choose(sections, painted, before)
    assert before.items() <= after.items()
    parts = split(sections, painted, before)
    for z, (learn, held) in zip(sections, parts, strict=True):
        assert not counted(held).any() or z in after
        for other, (_, judged) in zip(sections, parts, strict=True):
            if abs(z - other) <= LINKED and counted(judged).any():
                assert (distance_transform_edt(~counted(judged))[counted(learn)] > GAP).all()


def test_a_strip_that_was_chosen_by_a_few_strokes_leaves_the_rest_of_the_section_to_learn() -> None:
    """Painting begins in a corner: what is painted elsewhere later must not all lie in the strip."""
    few = np.full((512, 512), UNCOUNTED, np.uint8)
    few[90:115, 30:200], few[120:145, 30:200] = 0, 1
    before = choose([3], [few], {})
    for turned in (few, few[::-1], few.T, few[:, ::-1].T):
        ((strip),) = choose([3], [turned], {}).values()
        assert strip.stop - strip.start <= 0.15 * 512 + 1
        assert strip.mask(few.shape)[counted(turned)].any()
    ((learn, held),) = split([3], [whole((512, 512))], before)
    assert counted(learn).mean() > 0.65
    assert counted(held).mean() > 0.14


def test_a_section_between_two_strips_is_learned_outside_both_and_takes_nothing_from_its_neighbours():
    upper, lower = np.full((2, 400, 300), UNCOUNTED, np.uint8)
    upper[:300], lower[100:] = whole((300, 300)), whole((300, 300), 1)
    before = {0: holdout.Strip(0, 0, 46), 6: holdout.Strip(0, 354, 400)}
    parts = split([0, 3, 6], [upper, whole((400, 300)), lower], before)
    learn, held = parts[1]
    assert counted(learn).any(1).nonzero()[0].tolist() == list(range(46 + GAP, 354 - GAP))
    assert not counted(held).any()
    np.testing.assert_array_equal([parts[0], parts[2]], split([0, 6], [upper, lower], before))


def test_a_section_near_one_that_is_painted_no_more_takes_its_strip():
    before = choose([11], [whole()], {})
    assert choose([14], [whole(seed=1)], before) == {11: before[11], 14: before[11]}
    ((learn, held),) = split([14], [whole(seed=1)], before)
    np.testing.assert_array_equal(counted(held), before[11].mask(held.shape))
    assert counted(learn).any()


def test_no_section():
    assert split([], []) == []
