from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.part import Part

PIXELS = np.arange(4 * 5 * 6).reshape(4, 5, 6)


class Counted:
    """An array that counts what is read of it."""

    shape, dtype = PIXELS.shape, PIXELS.dtype
    read = 0

    def __getitem__(self, key: Any) -> np.ndarray:
        self.read += PIXELS[key].size
        return PIXELS[key]


def steps(length: int) -> st.SearchStrategy[Any]:
    """Integers and slices of an axis."""
    return (st.integers(-length, length - 1) | st.slices(length)) if length else st.slices(length)


@given(st.data())
def test_it_gives_what_numpy_gives(data: st.DataObject) -> None:
    part, pixels = Part(PIXELS), PIXELS
    for _ in range(3):
        count = data.draw(st.integers(0, pixels.ndim))
        key = tuple(data.draw(steps(length)) for length in pixels.shape[:count])
        if data.draw(st.booleans()):
            key = (*key, ...)
        part, pixels = part[key], pixels[key]
        assert (part.shape, part.ndim, part.size) == (pixels.shape, pixels.ndim, pixels.size)
        np.testing.assert_array_equal(np.asarray(part), pixels)


def test_it_reads_no_more_than_what_is_left() -> None:
    array = Counted()
    part = Part(array)[:, 1:3, np.int64(0) : np.int64(4)][2, :, :]
    assert array.read == 0
    np.testing.assert_array_equal(np.asarray(part), PIXELS[2, 1:3, :4])
    assert array.read == 8
    assert np.asarray(part, np.float32).dtype == np.float32


def test_it_shows_the_chunks_of_the_whole(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", shape=(4, 5, 6), chunks=(1, 5, 3), dtype="uint8")
    assert Part(array).chunks == (1, 5, 3)
    assert Part(array)[1].chunks is None
    assert Part(PIXELS).chunks is None


def test_too_many_indices() -> None:
    with pytest.raises(IndexError):
        Part(PIXELS)[0, 0, 0, 0]
    with pytest.raises(IndexError):
        Part(PIXELS)[4]


@given(data=st.data())
def test_what_is_damaged_is_missing_and_nothing_else(tmp_path_factory: Any, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("part")
    array = zarr.create_array(folder, shape=PIXELS.shape, chunks=(1, 2, 4), dtype=PIXELS.dtype, fill_value=999)
    array[:] = PIXELS
    chunks = sorted(path for path in (folder / "c").rglob("*") if path.is_file())
    expected = PIXELS.copy()
    for file in data.draw(st.sets(st.sampled_from(chunks))):
        file.write_bytes(b"no chunk")
        z, y, x = map(int, file.relative_to(folder / "c").parts)
        expected[z, 2 * y : 2 * y + 2, 4 * x : 4 * x + 4] = 999
    key = data.draw(st.tuples(*map(steps, PIXELS.shape)))
    told: list[int] = []
    found = np.asarray(Part(array, damaged=lambda *_: told.append(1))[key])
    np.testing.assert_array_equal(found, expected[key])
    assert bool(told) == np.any(expected[key] == 999)
