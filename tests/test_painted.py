"""What is painted: labels lie where they were painted, and what joins later is read like what was there before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.painted import Change, Painted, Rules, read_painted
from napari_unet.paintedsection import PaintedSection
from napari_unet.painting import UNCOUNTED, Meaning
from napari_unet.problem import Problem

Place = tuple[int, int, int]
SPARSE = Meaning((1, 2), separator=1)
WITH_ZERO = Meaning((0, 1), separator=0, zero_counts=True)
RULES = Rules(SPARSE, 1.0, 10.0, None)


def write(path: Path, array: np.ndarray, offset: Place | None = None, voxel_size: Sequence[float] = ()) -> Path:
    metadata = {"axes": "ZYX", "voxel_size": voxel_size} | ({} if offset is None else {"offset": offset})
    tifffile.imwrite(path, array, photometric="minisblack", metadata=metadata)
    return path


def sections_of(
    folder: Path,
    image: np.ndarray,
    labels: np.ndarray,
    meaning: Meaning = SPARSE,
    at: Place | None = None,
    image_at: Place | None = None,
) -> list[PaintedSection]:
    pair = write(folder / "image.tif", image, image_at), write(folder / "labels.tif", labels, at)
    return list(read_painted([pair], Rules(meaning, 1.0, 10.0, None)).sections)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 255, shape).astype(np.uint8)


def strokes(*shape: int) -> np.ndarray:
    """Two rows of class 1 and two of class 2, far apart, in each section."""
    labels = np.zeros(shape, np.uint8)
    labels[..., shape[-2] // 4 : shape[-2] // 4 + 2, :] = 1
    labels[..., shape[-2] // 2 : shape[-2] // 2 + 2, :] = 2
    return labels


def test_painted_sections_are_found_with_what_they_show(tmp_path: Path) -> None:
    image, labels = noise(5, 40, 50), np.zeros((5, 40, 50), np.uint16)
    labels[1, 3:6], labels[4, :, 7] = 1, 2
    first, second = sections_of(tmp_path, image, labels)
    assert [(s.pair, s.z) for s in (first, second)] == [(0, 1), (0, 4)]
    np.testing.assert_array_equal(first.image, image[1])
    np.testing.assert_array_equal(second.labels, labels[4])
    assert first.grey.mean == pytest.approx(image[1].mean())
    assert {*np.unique(first.learn)} == {0, UNCOUNTED}
    assert {*np.unique(second.learn)} == {1, UNCOUNTED}


@given(st.tuples(st.integers(-2, 2), st.integers(-60, 60), st.integers(-60, 60)), st.booleans())
@settings(max_examples=30)
def test_labels_lie_where_their_offset_says(
    tmp_path_factory: pytest.TempPathFactory, shift: Place, zero_counts: bool
) -> None:
    """Paste the labels into the world by hand: what lies on the image must come back, all else must not count."""
    folder, image_at = tmp_path_factory.mktemp("place"), (3, 100, 200)
    at = tuple(a + b for a, b in zip(image_at, shift, strict=True))
    meaning = Meaning((0, 1, 2), 0, zero_counts=True) if zero_counts else SPARSE
    painting = strokes(1, 24, 30)
    world = np.full((5, 200, 200), UNCOUNTED, np.uint8)
    counted = (painting > 0) | zero_counts
    box = np.s_[2 + shift[0], 70 + shift[1] : 94 + shift[1], 70 + shift[2] : 100 + shift[2]]
    world[box] = np.where(counted, painting - (0 if zero_counts else 1), UNCOUNTED)[0]
    expected = world[2:4, 70:110, 70:106]
    strokes_on_image = (expected != UNCOUNTED) & ((expected > 0) | (not zero_counts))
    if not strokes_on_image.any() or np.unique(expected[expected != UNCOUNTED]).size < 2:
        words = "Only one class is painted" if strokes_on_image.any() else "do not lie on"
        with pytest.raises(Problem, match=words):
            sections_of(folder, noise(2, 40, 36), painting, meaning, at=at, image_at=image_at)
        return
    (found,) = sections_of(folder, noise(2, 40, 36), painting, meaning, at=at, image_at=image_at)
    # The gap between learned and held-out pixels is lost; nothing else is, and nothing is added.
    there = np.minimum(found.learn, found.held)
    np.testing.assert_array_equal(there[there != UNCOUNTED], expected[found.z][there != UNCOUNTED])
    if (found.held == UNCOUNTED).all():
        np.testing.assert_array_equal(there, expected[found.z])


def test_labels_of_the_images_shape_without_a_place_belong_to_the_image(tmp_path: Path) -> None:
    """As napari saves what was painted on a stack that has a place of its own."""
    (found,) = sections_of(tmp_path, noise(1, 40, 40), strokes(1, 40, 40), image_at=(100, 7, 0))
    np.testing.assert_array_equal(found.labels, strokes(1, 40, 40)[0])


def test_background_ends_where_the_labels_end(tmp_path: Path) -> None:
    labels = np.zeros((1, 8, 8), np.uint8)
    labels[0, 2:5, 2:5] = 1
    (found,) = sections_of(tmp_path, noise(1, 30, 30), labels, WITH_ZERO, at=(0, 10, 12))
    counted = np.minimum(found.learn, found.held) != UNCOUNTED
    assert counted.any()
    counted[10:18, 12:20] = False
    assert not counted.any()


@pytest.mark.parametrize("shape", [(2, 41, 40), (2, 40, 41), (1, 80, 80), (3, 40, 40), (3, 20, 20)])
def test_labels_larger_than_the_image_are_refused(tmp_path: Path, shape: Place) -> None:
    with pytest.raises(Problem, match=r"labels.tif is .* voxels large, larger than .*image.tif with 2 x 40 x 40\. Ch"):
        sections_of(tmp_path, noise(2, 40, 40), strokes(*shape))


@pytest.mark.parametrize("shape", [(1, 40, 40), (2, 39, 40), (2, 40, 20), (1, 20, 20)])
def test_smaller_labels_must_say_where_they_lie(tmp_path: Path, shape: Place) -> None:
    """They could lie anywhere: a corner is a guess, and a wrong one trains on nonsense."""
    size = " x ".join(map(str, shape))
    with pytest.raises(Problem, match=rf"labels.tif is {size} voxels.*image.tif with 2 x 40 x 40\. Save .* full size"):
        sections_of(tmp_path, noise(2, 40, 40), strokes(*shape))
    assert sections_of(tmp_path, noise(2, 40, 40), strokes(*shape), at=(0, 0, 0))


@pytest.mark.parametrize(
    ("sizes", "sections"),
    [(((50, 4, 4), (50, 8, 8)), 2), (((50, 4, 4), (50, 4, 4.1)), 2), (((50, 4, 4), (25, 4, 4)), 2),
     (((4, 4, 4), (4, 8, 8)), 1)],
)  # fmt: skip
def test_labels_of_other_voxels_are_refused(tmp_path: Path, sizes: list[Sequence[float]], sections: int) -> None:
    image = write(tmp_path / "image.tif", noise(sections, 40, 40), voxel_size=sizes[0])
    labels = write(tmp_path / "labels.tif", strokes(sections, 40, 40), (0, 0, 0), sizes[1])
    with pytest.raises(Problem, match=r"labels.tif has voxels of .* nm, but .*image.tif of .* nm\. Resample"):
        read_painted([(image, labels)], RULES)


@pytest.mark.parametrize(
    ("sizes", "sections"),
    [(((50, 4, 4), ()), 2), (((), (50, 4, 4)), 2), (((50, 4, 4), (50.3, 4.02, 4)), 2), (((50, 4, 4), (4, 4, 4)), 1)],
)
def test_labels_of_like_or_unknown_voxels_are_taken(
    tmp_path: Path, sizes: list[Sequence[float]], sections: int
) -> None:
    """The thickness of a single section is not known, and does not matter."""
    image = write(tmp_path / "image.tif", noise(2, 40, 40), voxel_size=sizes[0])
    labels = write(tmp_path / "labels.tif", strokes(sections, 40, 40), (0, 0, 0), sizes[1])
    assert len(read_painted([(image, labels)], RULES).sections) == sections


@pytest.mark.parametrize("at", [(1, 0, 0), (-1, 0, 0), (0, 40, 0), (0, 0, -40), (0, 1000, 1000)])
def test_labels_off_the_image_are_refused(tmp_path: Path, at: Place) -> None:
    with pytest.raises(Problem, match=r"painted pixels of .*labels.tif do not lie on .*image.tif"):
        sections_of(tmp_path, noise(1, 40, 40), strokes(1, 40, 40), at=at)


def test_sections_beyond_the_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"do not lie on .*image.tif, which is \(2, 40, 40\)"):
        sections_of(tmp_path, noise(2, 40, 40), strokes(3, 40, 40), at=(0, 0, 0))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_empty_labels_are_refused(tmp_path: Path, dtype: type) -> None:
    with pytest.raises(Problem, match=r"labels.tif has no painted pixel"):
        sections_of(tmp_path, noise(2, 40, 40), np.zeros((2, 40, 40), dtype))


@pytest.mark.parametrize("value", [1.0, 0.5, np.nan])
def test_labels_that_are_no_whole_numbers_are_refused(tmp_path: Path, value: float) -> None:
    labels = np.zeros((1, 40, 40), np.float32)
    labels[0, 3] = value
    with pytest.raises(Problem, match=r"labels.tif holds float32 values, not labels"):
        sections_of(tmp_path, noise(1, 40, 40), labels)


def test_one_class_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="Only one class is painted"):
        sections_of(tmp_path, noise(1, 40, 40), np.minimum(strokes(1, 40, 40), 1))


def test_objects_alone_need_a_meaning_of_zero(tmp_path: Path) -> None:
    """Another class cannot be painted there: every value is an object."""
    ids = Meaning((0, 1), separator=0, objects=True)
    labels = strokes(1, 40, 40) * 7
    with pytest.raises(Problem, match=r"Only one class is painted: .* \(--zero background\)"):
        sections_of(tmp_path, noise(1, 40, 40), labels, ids)
    assert sections_of(tmp_path, noise(1, 40, 40), labels, replace(ids, zero_counts=True))


@pytest.mark.parametrize("gap", [0, 3])
def test_labels_of_one_image_hold_the_same_places_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: int
) -> None:
    """What one pair learns, no other pair of that image judges, nor the sections near it."""
    image, other = write(tmp_path / "image.tif", noise(8, 120, 120)), write(tmp_path / "o.tif", noise(8, 120, 120))
    above, below = np.zeros((2, 8, 120, 120), np.uint8)
    above[1, :80:2], above[1, 1:80:2] = 1, 2
    below[1 + gap, 40::2], below[1 + gap, 41::2] = 1, 2
    paths = [write(tmp_path / f"{i}.tif", labels) for i, labels in enumerate((above, below, above))]
    monkeypatch.chdir(tmp_path)
    pairs = list(zip((image, Path("image.tif"), other), paths, strict=True))
    found = read_painted(pairs, RULES).sections
    assert [(s.pair, s.z) for s in found] == [(0, 1), (1, 1 + gap), (2, 1)]
    one, two, alone = found
    assert (two.held != UNCOUNTED).any()
    for learning, judging in ((one, two), (two, one)):
        assert not ((learning.learn != UNCOUNTED) & (judging.held != UNCOUNTED)).any()
    assert (alone.held != UNCOUNTED).any()
    assert not np.array_equal(alone.held, one.held)


def test_two_classes_may_come_from_two_pairs(tmp_path: Path) -> None:
    pairs = []
    for value in (1, 2):
        labels = np.where(strokes(1, 40, 40) == value, value, 0).astype(np.uint8)
        pairs.append((write(tmp_path / f"{value}.tif", noise(1, 40, 40)), write(tmp_path / f"l{value}.tif", labels)))
    assert [s.pair for s in read_painted(pairs, RULES).sections] == [0, 1]


def test_a_value_without_a_name_is_refused(tmp_path: Path) -> None:
    labels = np.zeros((3, 40, 40), np.uint8)
    labels[2] = strokes(40, 40) + 1
    with pytest.raises(Problem, match=r"Section 2 of .*labels.tif holds the value 3, which"):
        sections_of(tmp_path, noise(3, 40, 40), labels)


def test_the_section_of_a_value_without_a_name_is_that_of_the_image(tmp_path: Path) -> None:
    labels = strokes(1, 40, 40) + 1
    with pytest.raises(Problem, match=r"labels.tif, on section 2 of the image, holds the value 3, which"):
        sections_of(tmp_path, noise(3, 40, 40), labels, at=(2, 0, 0))


def test_an_image_given_as_labels_is_suspected(tmp_path: Path) -> None:
    with pytest.raises(
        Problem, match=r"Section 0 of .*labels.tif holds 252 values, .* did you swap image and labels\?"
    ):
        sections_of(tmp_path, strokes(1, 40, 40), noise(1, 40, 40))


def test_a_painted_section_must_show_something(tmp_path: Path) -> None:
    image = noise(3, 40, 40)
    image[1] = 7
    labels = np.zeros((3, 40, 40), np.uint8)
    labels[0] = strokes(40, 40)
    assert len(sections_of(tmp_path, image, labels)) == 1  # the blank section is not painted
    labels[1, 0, 0] = 1
    with pytest.raises(Problem, match=r"Section 1 of .*image.tif has the same grey value everywhere"):
        sections_of(tmp_path, image, labels)


def test_grey_values_must_be_numbers(tmp_path: Path) -> None:
    image = noise(1, 40, 40).astype(np.float32)
    image[0, 0, 0] = np.nan
    with pytest.raises(Problem, match=r"Section 0 of .*image.tif holds grey values that are not numbers"):
        sections_of(tmp_path, image, strokes(1, 40, 40))


def test_weights_balance_the_classes_and_are_0_where_nothing_counts(tmp_path: Path) -> None:
    labels = np.zeros((1, 40, 40), np.uint8)
    labels[0, 4:8], labels[0, 20] = 1, 2
    (found,) = sections_of(tmp_path, noise(1, 40, 40), labels)
    assert found.weights.dtype == np.float32
    np.testing.assert_array_equal(found.weights == 0, found.learn == UNCOUNTED)
    sums = [found.weights[found.learn == channel].sum() for channel in (0, 1)]
    assert sums[0] == pytest.approx(sums[1])


# ---- joining


def of_file(folder: Path, image: np.ndarray, labels: np.ndarray) -> Painted:
    return read_painted([(write(folder / "image.tif", image), write(folder / "labels.tif", labels))], RULES)


def same(one: Sequence[PaintedSection], other: Sequence[PaintedSection]) -> bool:
    arrays = ("image", "labels", "target", "learn", "held", "weights")
    return [(s.pair, s.z, s.grey) for s in one] == [(s.pair, s.z, s.grey) for s in other] and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for a, b in zip(one, other, strict=True) for name in arrays
    )


@given(st.integers(0, 2**32), st.sets(st.integers(0, 7)))
@settings(max_examples=15)
def test_what_joins_is_as_if_it_had_been_there_with_the_same_strips(
    tmp_path_factory: pytest.TempPathFactory, seed: int, changed: set[int]
) -> None:
    draws, folder = np.random.default_rng(seed), tmp_path_factory.mktemp("joined")
    labels = np.zeros((8, 120, 100), np.uint8)
    labels[2], labels[6, :60] = strokes(120, 100), strokes(60, 100)
    before = of_file(folder, noise(8, 120, 100), labels)
    for z in changed:
        labels[z] = strokes(120, 100) * draws.integers(0, 2, (120, 100), np.uint8) * draws.integers(0, 2)
    later = write(folder / "later.tif", labels)
    if not labels.any():
        return
    after = before.joined([Change(0, later, frozenset(changed))])
    again = read_painted([(folder / "image.tif", later)], RULES, before.strips)
    assert same(after.sections, again.sections)
    assert {image: dict(strips) for image, strips in after.strips.items()} == again.strips
    (image,) = before.strips
    assert before.strips[image].items() <= after.strips[image].items()


def test_only_the_sections_that_are_named_join(tmp_path: Path) -> None:
    labels = np.zeros((4, 120, 100), np.uint8)
    labels[1] = strokes(120, 100)
    before = of_file(tmp_path, noise(4, 120, 100), labels)
    labels[2], labels[3] = labels[1], labels[1]
    after = before.joined([Change(0, write(tmp_path / "later.tif", labels), frozenset({3}))])
    assert [section.z for section in after.sections] == [1, 3]


def test_a_stroke_of_an_unknown_class_does_not_join(tmp_path: Path) -> None:
    labels = np.zeros((1, 40, 40), np.uint8)
    labels[0] = strokes(40, 40)
    before = of_file(tmp_path, noise(1, 40, 40), labels)
    labels[0, 0, 0] = 9
    with pytest.raises(Problem, match="holds the value 9"):
        before.joined([Change(0, write(tmp_path / "later.tif", labels), frozenset({0}))])
