"""Places are spread over the stack, looked at in bounded number, and chosen far from all that is painted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.places import Place, choose, look_of, places_in, windows
from napari_unet.tiles import Box

shapes = st.tuples(st.integers(1, 60), st.integers(1, 1500), st.integers(1, 1500))
looks = st.lists(st.floats(-3, 3), min_size=6, max_size=6).map(np.array)
boxes = st.tuples(*[st.integers(0, 9)] * 3).map(lambda p: Box(p[0], p[0] + 1, p[1], p[1] + 1, p[2], p[2] + 1))
somewhere = st.builds(Place, boxes, looks, st.floats(0, 1))
TYPICAL = np.arange(1.0, 7.0)


def place(z: int, y: int = 0, x: int = 0, look: np.ndarray = TYPICAL, doubt: float = 0.0) -> Place:
    return Place(Box(z, z + 1, y, y + 128, x, x + 128), look, doubt)


@given(shapes, st.integers(0, 99))
def test_windows_are_few_and_lie_on_the_grid_of_the_stack(shape, seed):
    found = windows(shape, seed)
    depth, height, width = shape
    assert 1 <= len(found) <= 8
    assert len(set(found)) == len(found)
    assert [box.z0 for box in found] == sorted(box.z0 for box in found)
    for box in found:
        assert 0 <= box.z0 == box.z1 - 1 < depth
        assert 0 <= box.y0 < box.y1 <= min(height, box.y0 + 512)
        assert 0 <= box.x0 < box.x1 <= min(width, box.x0 + 512)
        assert box.y0 % 16 == box.x0 % 16 == 0
        assert box.y1 % 16 in (0, height % 16)


@given(shapes, st.integers(0, 99), st.data())
def test_windows_meet_the_boxes_that_are_asked_for(shape, seed, data):
    def part(length):
        start = data.draw(st.integers(0, length - 1))
        return start, data.draw(st.integers(start + 1, length))

    boxes = [Box(*part(shape[0]), *part(shape[1]), *part(shape[2])) for _ in range(data.draw(st.integers(1, 3)))]
    found = windows(shape, seed, boxes)
    assert found
    for box in found:
        pairs = [(each.y0 < box.y1, box.y0 < each.y1, each.x0 < box.x1, box.x0 < each.x1) for each in boxes]
        assert any(each.z0 <= box.z0 < each.z1 and all(pair) for each, pair in zip(boxes, pairs, strict=True))
    assert windows(shape, seed, [Box(0, shape[0], 0, shape[1], 0, shape[2])]) == windows(shape, seed)


def test_a_small_stack_is_looked_at_as_a_whole_and_a_large_one_all_over():
    assert [box.z0 for box in windows((5, 512, 512), 0)] == [0, 1, 2, 3, 4]
    covered = np.zeros((600, 700), int)
    for box in windows((1, 600, 700), 3):
        covered[box.y0 : box.y1, box.x0 : box.x1] += 1
    assert (covered == 1).all()
    for seed in range(5):
        assert [box.z0 // 100 for box in windows((800, 2000, 2000), seed)] == list(range(8))
    assert windows((800, 900, 900), 1) == windows((800, 900, 900), 1) != windows((800, 900, 900), 2)


@given(st.integers(0, 40), st.integers(1, 512), st.integers(1, 512))
def test_the_places_of_a_box_cover_it_once(corner, height, width):
    box = Box(2, 3, 16 * corner, 16 * corner + height, 32, 32 + width)
    covered = np.zeros((height, width), int)
    for each in places_in(box):
        assert (each.z0, each.z1) == (2, 3)
        assert max(each.y1 - each.y0, each.x1 - each.x0) <= 128
        covered[each.y0 - box.y0 : each.y1 - box.y0, each.x0 - box.x0 : each.x1 - box.x0] += 1
    assert (covered == 1).all()


def test_a_look_tells_brightness_and_the_scale_of_the_texture():
    rng = np.random.default_rng(0)
    fine = rng.normal(0, 1, (128, 128)).astype(np.float32)
    coarse = np.kron(rng.normal(0, 1, (8, 8)), np.ones((16, 16))).astype(np.float32)
    assert look_of(fine).shape == (6,)
    assert np.argmax(look_of(fine)[1:]) == 0
    assert np.argmax(look_of(coarse)[1:]) == 4
    np.testing.assert_allclose(look_of(fine + 2) - look_of(fine), [2, 0, 0, 0, 0, 0], atol=1e-3)


@given(st.lists(somewhere, max_size=12), st.lists(somewhere, max_size=4), st.integers(1, 15))
def test_each_place_is_named_once_and_all_if_that_many_are_wanted(places, painted, count):
    chosen = choose(places, painted, count)
    assert len(chosen) == min(count, len(places))
    assert len({id(each) for each, _ in chosen}) == len(chosen)
    every = choose(places, painted, len(places))
    assert all(one is other for (one, _), (other, _) in zip(chosen, every, strict=False))  # more change no order
    assert all(why.endswith(".") for _, why in chosen)


def test_without_anything_painted_the_most_doubtful_comes_first_then_what_is_far_from_it():
    places = [place(0, doubt=0.1), place(0, x=128, doubt=0.4), place(0, x=256, doubt=0.3), place(9, doubt=0.2)]
    chosen = choose(places, [], 2)
    assert [each for each, _ in chosen] == [places[1], places[3]]
    assert chosen[0][1] == "The model hesitates here: 40 % of the pixels are between two classes."


def test_what_looks_unlike_all_that_is_painted_comes_before_its_likes():
    strange = place(4, look=TYPICAL * 3, doubt=0.1)
    places = [place(z, doubt=0.1) for z in range(4)] + [strange]
    ((first, why),) = choose(places, [place(4, y=128)], 1)
    assert first is strange
    assert why == "This looks unlike what you have painted so far."


def test_a_sure_model_still_lets_the_far_ones_be_named():
    chosen = choose([place(z) for z in range(1, 11)], [place(0)], 2)
    assert [each.box.z0 for each, _ in chosen] == [10, 5]
    assert {why for _, why in chosen} == {"This is far from all that is painted or named before."}


@pytest.mark.parametrize("count", [1, 5])
def test_places_that_are_all_alike_are_named_in_any_order(count):
    assert len(choose([place(0)] * 5, [place(0)], count)) == count
