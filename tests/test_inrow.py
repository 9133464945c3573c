"""An array in a file gives what numpy gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.inrow import InRow

SHAPE = (3, 4, 5, 2)
keys = st.tuples(
    *(st.one_of(st.integers(-n, n - 1), st.slices(n)) for n in SHAPE),
).flatmap(lambda key: st.sampled_from([key, key[:2], key[0], (..., key[3]), (key[0], ..., key[3]), ...]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, InRow]:
    pixels = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(">u2")
    path = tmp_path_factory.mktemp("raw") / "a.raw"
    path.write_bytes(b"header!" + pixels.tobytes())
    return pixels, InRow(path, pixels.dtype, 7, SHAPE)


@settings(max_examples=300)
@given(key=keys)
def test_any_part_is_that_of_numpy(made: tuple[np.ndarray, InRow], key: object) -> None:
    pixels, found = made
    np.testing.assert_array_equal(found[key], pixels[key])
    assert found[key].dtype == pixels[key].dtype


def test_it_looks_like_an_array(made: tuple[np.ndarray, InRow]) -> None:
    pixels, found = made
    assert (found.shape, found.dtype, found.ndim, found.size) == (pixels.shape, pixels.dtype, 4, 120)
    np.testing.assert_array_equal(np.asarray(found), pixels)
    with pytest.raises(IndexError):
        found[3]


def test_a_file_that_becomes_shorter_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(20))
    found = InRow(path, np.dtype(np.uint8), 0, (4, 5))
    with path.open("r+b") as file:
        file.truncate(12)
    assert found[1].tolist() == [0] * 5
    with pytest.raises(OSError, match="shorter"):
        found[2]


def test_a_file_that_is_too_short_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(19))
    with pytest.raises(OSError, match="too short"):
        InRow(path, np.dtype(np.uint8), 0, (4, 5))
