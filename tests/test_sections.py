"""Sections: a window of a large one is what the whole one would be."""

from __future__ import annotations

import tracemalloc
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_unet import sections, tiles
from napari_unet.grey import measure
from napari_unet.sections import Sections
from napari_unet.tiles import Box
from napari_unet.volume import Volume


class Counted:
    """An array that says what is read of it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, 0

    def __getitem__(self, key: tuple) -> np.ndarray:
        found = self.array[key]
        self.read += found.size
        return found


@given(data=st.data(), height=st.integers(1, 700), width=st.integers(1, 700))
def test_a_window_gives_the_tiles_of_the_whole_section(data: st.DataObject, height: int, width: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, height, width), np.uint8)
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    y1, x1 = data.draw(st.integers(y0 + 1, height)), data.draw(st.integers(x0 + 1, width))
    with patch.object(sections, "WHOLE", data.draw(st.sampled_from([0, sections.WHOLE]))):
        window, _ = Sections(Volume(pixels, "stack")).read(Box(1, 2, y0, y1, x0, x1))
    assert window.shape == (height, width)
    for tile in tiles.cover(y0, y1, x0, x1, 64):
        assert (tiles.read(window, tile) == tiles.read(pixels[1], tile)).all()


def test_a_small_section_is_read_once_for_all_its_tiles() -> None:
    array = Counted(np.random.default_rng(0).integers(0, 255, (3, 60, 70), np.uint8))
    read = Sections(Volume(array, "stack")).read
    for box in (Box(1, 2, 0, 30, 0, 70), Box(1, 2, 30, 60, 0, 70)):
        window, grey = read(box)
        assert (window[np.arange(60)[:, None], np.arange(70)] == array.array[1]).all()
        assert grey == measure(array.array[1], "")
    assert array.read == 60 * 70


def test_a_section_is_let_go_before_the_next_is_read_even_while_its_tiles_are_computed() -> None:
    section = np.random.default_rng(0).integers(0, 255, (6000, 6000), np.uint8)
    read = Sections(Volume(np.broadcast_to(section, (3, *section.shape)), "stack")).read
    tracemalloc.start()
    kept = [read(Box(z, z + 1, 0, 16, 0, 16)) for z in range(3)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept) == 3
    assert section.nbytes < peak < 1.5 * section.nbytes


def test_of_a_large_section_little_is_read_and_its_grey_values_do_not_depend_on_the_part() -> None:
    array = Counted(np.random.default_rng(0).normal(100, 20, (1, 9000, 8000)).astype(np.uint8))
    read = Sections(Volume(array, "stack")).read
    _, here = read(Box(0, 1, 0, 64, 0, 64))
    assert array.read < 2_000_000
    _, there = Sections(Volume(array, "stack")).read(Box(0, 1, 8000, 9000, 7000, 8000))
    assert here == there
    assert abs(here.mean - 99.5) < 1
    assert abs(here.std - 20) < 1


def test_a_large_section_with_little_in_it_is_measured_on_that() -> None:
    image = np.zeros((2, 9000, 9000), np.uint8)
    tissue = np.random.default_rng(0).integers(50, 200, (1100, 1000), np.uint8)
    image[0, 145:1245, 145:1145] = tissue  # between the blocks that are looked at first
    image[1, 200, 300] = 7
    read = Sections(Volume(image, "stack")).read
    _, grey = read(Box(0, 1, 0, 16, 0, 16))
    assert abs(grey.mean - tissue.mean()) < 2
    assert abs(grey.std - tissue.std()) < 2
    _, dot = read(Box(1, 2, 0, 16, 0, 16))
    assert (dot.mean, dot.std) == (7, 0)


@given(data=st.data(), large=st.booleans())
def test_a_checksum_changes_with_what_is_seen_and_not_with_the_window(data: st.DataObject, large: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (1, 1500, 1500), np.uint8)
    y, x = data.draw(st.integers(0, 1499)), data.draw(st.integers(0, 1499))
    edited = pixels.copy()
    edited[0, y, x] ^= 255
    chunk, block = Box(0, 1, 512, 1024, 512, 1024), Box(0, 1, 0, 1024, 512, 1500)
    with patch.object(sections, "WHOLE", 0 if large else sections.WHOLE):
        first, again, other = (
            Sections(Volume(each, "stack")).read(box)[0].checksum(chunk)
            for each, box in ((pixels, chunk), (pixels, block), (edited, block))
        )
    assert first == again
    if all(512 - tiles.MARGIN <= at < 1024 + tiles.MARGIN for at in (y, x)):
        assert other != first
    elif not large and (y % 2 or x % 2):  # of 1500 x 1500 pixels, every second row and column is measured
        assert other == first
    elif not large:
        assert other != first
