"""Sections that lie in the same chunks are decoded once, and what is kept of them is bounded."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import LocalStore

from napari_unet import slabs
from napari_unet.problem import Problem
from napari_unet.sections import Sections
from napari_unet.slabs import Slabs
from napari_unet.tiles import Box
from napari_unet.volume import Volume, open_volume


class Chunked:
    """An array in chunks that says which sections are read of it."""

    def __init__(self, pixels: np.ndarray, depth: int) -> None:
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.chunks = depth, 16, 16
        self.read: list[int | slice] = []

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        self.read.append(key[0])
        return self.pixels[key]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each chunk of any Zarr is read."""
    real, reads = LocalStore.get, Counter[str]()

    async def counted(store: LocalStore, key: str, *given: Any, **more: Any) -> Any:
        reads[key] += "c/" in key
        return await real(store, key, *given, **more)

    monkeypatch.setattr(LocalStore, "get", counted)
    return reads


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_each_deep_chunk_is_read_once_whatever_the_order_of_axes(
    tmp_path: Path, reads: Counter[str], axes: tuple[int, int, int]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 70, 90), np.uint8)
    back = np.argsort(axes)
    stored, chunks = pixels.transpose(back), np.array([16, 32, 32])[back].tolist()
    names = [("z", "y", "x")[axis] for axis in back]
    zarr.create_array(tmp_path / "deep.zarr", data=stored, chunks=chunks, dimension_names=names)
    reads.clear()
    read = Sections(open_volume(tmp_path / "deep.zarr")).read
    for z in range(40):
        window, _ = read(Box(z, z + 1, 0, 70, 0, 90))
        assert (window[np.arange(70)[:, None], np.arange(90)] == pixels[z]).all()
    assert set(reads.values()) - {0} == {1}
    assert sum(reads.values()) == 3 * 3 * 3


@pytest.mark.parametrize("first", [0, 20, 39])
def test_a_chunk_is_read_once_also_to_and_fro_from_the_section_in_view(first: int) -> None:
    array = Chunked(np.arange(40, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 3), np.uint8), 8)
    image = Slabs(Volume(array, "stack"))
    for z in sorted(range(40), key=lambda z: abs(z - first)):
        assert (image.section(z) == z).all()
    assert len(array.read) == 5


@given(
    st.integers(1, 40), st.integers(1, 20), st.integers(1, 12), st.lists(st.integers(0, 10**6), min_size=1, max_size=30)
)
def test_any_section_is_the_right_one_and_few_are_kept(depth: int, deep: int, room: int, order: list[int]) -> None:
    pixels = np.arange(depth * 6, dtype=np.uint8).reshape(depth, 2, 3)
    array = Chunked(pixels, deep)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slabs, "_KEPT", room * 6)
        image = Slabs(Volume(array, "stack"))
    for z in order:
        assert (image.section(z % depth) == pixels[z % depth]).all()
    for key in array.read:
        if isinstance(key, slice):
            assert 0 < key.stop - key.start <= min(room, deep)
            assert key.start // deep == (key.stop - 1) // deep  # in the same chunks


@pytest.mark.parametrize("deep", [1, 64])
def test_memory_stays_flat(deep: int) -> None:
    """However deep the chunks are: a section and what is kept of its neighbours."""
    section = np.broadcast_to(np.arange(1000, dtype=np.uint8), (1000, 1000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slabs, "_KEPT", 10 * section.size)
        image = Slabs(Volume(Chunked(np.broadcast_to(section, (200, *section.shape)), deep), "stack"))
    tracemalloc.start()
    for z in range(200):
        assert image.section(z).shape == section.shape
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert section.size <= peak < 12 * section.size


def test_sections_too_large_to_keep_are_read_alone() -> None:
    array = Chunked(np.zeros((4, 20, 20), np.uint8), 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slabs, "_KEPT", 799)
        image = Slabs(Volume(array, "stack"))
    for z in range(4):
        image.section(z)
    assert array.read == [0, 1, 2, 3]


def test_a_damaged_chunk_is_said_with_its_sections(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 40, 40), np.uint8)
    zarr.create_array(tmp_path / "deep.zarr", data=pixels, chunks=(4, 40, 40))
    (tmp_path / "deep.zarr" / "c" / "1" / "0" / "0").write_bytes(b"no such thing")
    image = Slabs(open_volume(tmp_path / "deep.zarr"))
    assert (image.section(3) == pixels[3]).all()
    with pytest.raises(Problem, match=r"One of the sections 4 to 5 of .* cannot be read"):
        image.section(5)
