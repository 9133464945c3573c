"""What one painted section shows: strays, holes, twins, and whether it looks like strokes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from napari.layers.labels._labels_utils import sphere_indices
from skimage.draw import disk

from napari_unet.oddities import Seen, Spot, look

SHAPE = 120, 150
places = st.tuples(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1))


def seen(labels: np.ndarray, objects: bool = False) -> Seen:
    found = look(labels, objects)
    assert found is not None
    return found


def stroked(strokes: list[tuple[list[tuple[int, int]], int, int]]) -> np.ndarray:
    """Paint clicks (y, x) with a brush of a size and a value, as napari does."""
    labels = np.zeros(SHAPE, np.uint8)
    for clicks, size, value in strokes:
        around = sphere_indices(size / 2, (1, 1))
        for click in clicks:
            y, x = (around + click).T
            inside = (y >= 0) & (y < SHAPE[0]) & (x >= 0) & (x < SHAPE[1])
            labels[y[inside], x[inside]] = value
    return labels


def discs(*centres: tuple[int, int, int, int]) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint16)
    for y, x, radius, value in centres:
        labels[disk((y, x), radius, shape=SHAPE)] = value
    return labels


def test_what_is_accepted_is_no_slip_of_the_brush() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[20:30, 20:30] = labels[40, 40] = labels[60, 60:62] = 1
    accepted = np.zeros(SHAPE, bool)
    accepted[60] = True
    found = look(labels, False, accepted)
    assert found is not None
    assert [(spot.y, spot.x) for spot in found.strays] == [(40, 40)]


# ---- laws


@given(st.lists(places, min_size=1, max_size=6), st.integers(3, 20))
@example([(0, 0)], 4)  # around it, no more than three pixels are unpainted
def test_a_brush_of_three_pixels_or_more_leaves_no_stray(clicks, size) -> None:
    assert seen(stroked([(clicks, size, 1)])).strays == ()


@given(st.lists(st.tuples(st.lists(places, min_size=1, max_size=4), st.integers(1, 12), st.integers(1, 3)), max_size=6))
@example([([(5, 9), (17, 5)], 12, 1)])  # two discs that meet at a corner
def test_every_painted_pixel_is_counted_once_and_each_place_is_of_its_value(strokes) -> None:
    labels = stroked(strokes)
    found = look(labels, objects=True)
    if found is None:
        assert not labels.any()
        return
    assert {spot.value: spot.size for spot in found.values} == {
        value: int((labels == value).sum()) for value in np.unique(labels[labels > 0]).tolist()
    }
    for spot in (*found.values, *found.strays, *found.twins):
        assert labels[spot.y, spot.x] == spot.value
    for hole in found.holes:
        assert labels[hole.y, hole.x] == 0
        assert hole.value in labels
    assert found.share == pytest.approx((labels > 0).mean())


@given(st.lists(st.tuples(places, st.integers(1, 12), st.integers(1, 3)), max_size=5), st.booleans())
def test_what_is_seen_is_the_same_at_another_place(clicks, objects) -> None:
    labels = stroked([([click], size, value) for click, size, value in clicks])
    moved = np.zeros((160, 170), np.uint8)
    moved[31:151, 17:167] = labels
    here, there = look(labels, objects), look(moved, objects)
    if here is None or there is None:
        assert here is there
        return
    for part in ("values", "strays", "twins"):
        spots = [Spot(spot.y + 31, spot.x + 17, spot.value, spot.size) for spot in getattr(here, part)]
        assert spots == [*getattr(there, part)]
    assert here.breadth == there.breadth


# ---- strays and holes


def test_dots_that_no_brush_leaves_are_strays() -> None:
    labels = stroked([([(60, y) for y in range(20, 90)], 6, 1)])
    labels[10, 12] = 2
    labels[100, 100:103] = 1
    labels[20:22, 20:22] = 1  # of four pixels
    assert set(seen(labels).strays) == {Spot(10, 12, 2, 1), Spot(100, 100, 1, 3)}


@pytest.mark.parametrize("radius", [1, 4, 9])
def test_a_hole_in_what_is_filled_is_found(radius) -> None:
    labels = discs((60, 70, 45, 3))
    labels[disk((60, 70), radius)] = 0
    (hole,) = seen(labels).holes
    assert (hole.value, hole.size) == (3, int((labels[40:80, 50:90] == 0).sum()))
    assert max(abs(hole.x - 70), abs(hole.y - 60)) < radius


@pytest.mark.parametrize("brush", [4, 6, 10])
@pytest.mark.parametrize("radius", [12, 20, 30])
def test_a_ring_of_paint_has_no_hole(brush, radius) -> None:
    around = np.linspace(0, 2 * np.pi, 200)
    ring = np.stack([60 + radius * np.sin(around), 70 + radius * np.cos(around)], 1).round().astype(int)
    assert seen(stroked([(ring, brush, 1)])).holes == ()


def test_a_net_of_membranes_has_no_hole_and_a_gap_at_the_border_is_none() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[::15] = labels[1::15] = labels[:, ::15] = labels[:, 1::15] = 1
    assert seen(labels).holes == ()
    labels[:] = 1
    labels[:4, 30:34] = 0
    assert seen(labels).holes == ()
    labels[60, 60] = 0
    assert seen(labels).holes == (Spot(60, 60, 1, 1),)


# ---- twins


def test_an_id_in_two_objects_side_by_side_is_found() -> None:
    apart = discs((40, 40, 18, 5), (40, 78, 18, 5), (90, 40, 18, 6), (90, 78, 18, 7))
    (twins,) = seen(apart, objects=True).twins
    assert (twins.value, twins.size) == (5, int((apart == 5).sum()))
    assert abs(twins.y - 40) <= 6
    assert abs(twins.x - 59) <= 3
    assert seen(apart).twins == ()  # of classes, pieces are many


def test_an_id_in_two_objects_that_a_narrow_bridge_joins_is_found() -> None:
    joined = discs((40, 40, 18, 5), (40, 90, 18, 5))
    joined[39:42, 40:90] = 5
    (twins,) = seen(joined, objects=True).twins
    assert abs(twins.y - 40) <= 2
    assert 57 <= twins.x <= 73


@pytest.mark.parametrize(
    "one",
    [
        discs((40, 40, 18, 5), (40, 99, 18, 5)),  # far apart: one cell, cut twice
        discs((60, 70, 40, 5)),
        discs((40, 40, 18, 5), (40, 62, 18, 5)),  # a waist is no bridge
        discs((40, 40, 18, 5), (40, 62, 3, 5)),  # too small for an object
    ],
)
def test_one_object_is_no_twins(one) -> None:
    assert seen(one, objects=True).twins == ()


# ---- strokes or a map


def test_strokes_look_like_strokes_and_maps_do_not() -> None:
    line = [(30 + i // 3, 20 + i) for i in range(60)]
    strokes = seen(stroked([(line, 6, 1), ([(90, 40 + i) for i in range(50)], 6, 2)]))
    assert strokes.like_strokes
    assert strokes.breadth == pytest.approx(6, abs=1.5)
    assert not seen(discs((60, 70, 22, 1))).like_strokes  # one large thing
    assert not seen(np.ones(SHAPE, np.uint8)).like_strokes
    net = np.zeros(SHAPE, np.uint8)
    net[::15] = net[1::15] = net[:, ::15] = net[:, 1::15] = 1
    assert not seen(net).like_strokes


def test_an_empty_section_shows_nothing() -> None:
    assert look(np.zeros(SHAPE, np.uint8), objects=False) is None
