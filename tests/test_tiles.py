"""Tiles cover every pixel once, and see the image mirrored at its own border."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.tiles import CUT, MARGIN, STRIDE, Tile, cover, mirror, read

sizes = st.integers(1, 40)
corners = st.tuples(st.integers(0, 100), st.integers(0, 100))
lengths = st.tuples(st.integers(1, 150), st.integers(1, 150))
largest = st.integers(1, 12).map(lambda steps: steps * STRIDE)


def below(n: int) -> int:
    return n // STRIDE * STRIDE


def above(n: int) -> int:
    return -(-n // STRIDE) * STRIDE


@given(corners, lengths, largest)
def test_tiles_cover_the_aligned_box_once(start, length, side):
    (y0, x0), (y1, x1) = start, (start[0] + length[0], start[1] + length[1])
    count = np.zeros((above(y1), above(x1)), int)
    for tile in cover(y0, y1, x0, x1, side):
        assert tile.y0 % STRIDE == tile.x0 % STRIDE == 0
        assert 0 < tile.y1 - tile.y0 <= side
        assert 0 < tile.x1 - tile.x0 <= side
        count[tile.y0 : tile.y1, tile.x0 : tile.x1] += 1
    assert (count[below(y0) :, below(x0) :] == 1).all()
    assert count.sum() == count[below(y0) :, below(x0) :].size


@given(corners, lengths, largest)
def test_tiles_are_few_and_about_equal(start, length, side):
    (y0, x0), (y1, x1) = start, (start[0] + length[0], start[1] + length[1])
    cut = list(cover(y0, y1, x0, x1, side))
    for pieces, first, last in (
        ({(t.y0, t.y1) for t in cut}, below(y0), above(y1)),
        ({(t.x0, t.x1) for t in cut}, below(x0), above(x1)),
    ):
        assert len(pieces) == -(-(last - first) // side)
        sides = [b - a for a, b in pieces]
        assert max(sides) - min(sides) <= STRIDE
    assert cut == sorted(cut, key=lambda t: (t.y0, t.x0))


@pytest.mark.parametrize("side", [0, -16, 8, 17, 100])
def test_a_tile_side_is_a_multiple_of_16(side):
    with pytest.raises(ValueError, match=f"multiple of 16, not {side}"):
        list(cover(0, 64, 0, 64, side))


@given(st.integers(-50, 50), st.integers(1, 128))
def test_a_read_box_is_a_legal_input_around_its_tile(start, steps):
    tile = Tile(start * STRIDE, (start + steps) * STRIDE, 0, STRIDE)
    assert tile.rows.size == steps * STRIDE + 188
    assert tile.rows.size % 16 == 12
    assert tile.columns.size == STRIDE + 188
    np.testing.assert_array_equal(tile.rows[MARGIN:-MARGIN], np.arange(tile.y0, tile.y1))
    assert MARGIN - CUT == 92


@given(st.integers(2, 40), st.integers(0, 200))
def test_mirror_is_the_reflection_of_numpy(size, pad):
    expected = np.pad(np.arange(size), pad, mode="reflect")
    np.testing.assert_array_equal(mirror(np.arange(-pad, size + pad), size), expected)


@given(sizes, st.lists(st.integers(-(10**15), 10**15), min_size=1))
def test_laws_of_mirror(size, index):
    index = np.array(index)
    found = mirror(index, size)
    assert ((found >= 0) & (found < size)).all()
    np.testing.assert_array_equal(mirror(-index, size), found)
    np.testing.assert_array_equal(mirror(2 * (size - 1) - index, size), found)
    np.testing.assert_array_equal(mirror(index + 2 * (size - 1), size), found)
    np.testing.assert_array_equal(mirror(found, size), found)
    assert (abs(mirror(index + 1, size) - found) == min(size - 1, 1)).all()


def test_the_border_pixel_is_not_repeated():
    assert mirror(np.array([-2, -1, 0, 3, 4, 5]), 4).tolist() == [2, 1, 0, 3, 2, 1]


@given(sizes, sizes, st.integers(0, 3), st.integers(0, 3), st.sampled_from([np.uint8, np.float32, ">u2"]))
@settings(max_examples=30)
def test_read_sees_the_reflected_image(height, width, top, left, dtype):
    section = np.random.default_rng(height * width).integers(0, 255, (height, width)).astype(dtype)
    tile = Tile(top * STRIDE, (top + 2) * STRIDE, left * STRIDE, (left + 1) * STRIDE)
    found = read(section, tile)
    pad = MARGIN + 6 * STRIDE
    padded = np.pad(section, pad, mode="reflect")
    expected = padded[np.ix_(tile.rows + pad, tile.columns + pad)]
    assert found.dtype == section.dtype
    np.testing.assert_array_equal(found, expected)
