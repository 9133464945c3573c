"""A preview comes back from its file as it was, and what is no preview is a Problem."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import save as to_bytes

from napari_unet.preview import PREVIEW, Preview, load_preview, save_preview
from napari_unet.problem import Problem

CLASSES = np.array([[1, 2], [2, 0]], np.uint8)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2)), *[st.integers(0, 10**6)] * 3)
def test_a_preview_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, classes: np.ndarray, z: int, y: int, x: int
) -> None:
    path = tmp_path_factory.getbasetemp() / PREVIEW
    for whole in (classes, classes.T):
        save_preview(path, Preview(whole, z, y, x))
        found = load_preview(path)
        np.testing.assert_array_equal(found.classes, whole)
        assert found.classes.dtype == np.uint8
        assert (found.z, found.y, found.x) == (z, y, x)


def test_a_preview_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    for z in (3, 4):
        save_preview(tmp_path / PREVIEW, Preview(CLASSES, z, 0, 0))
    assert load_preview(tmp_path / PREVIEW).z == 4
    assert [path.name for path in tmp_path.iterdir()] == [PREVIEW]


@pytest.mark.parametrize("tenth", range(10))
def test_a_file_cut_short_is_a_problem(tmp_path: Path, tenth: int) -> None:
    path = tmp_path / PREVIEW
    save_preview(path, Preview(CLASSES, 0, 0, 0))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * tenth // 10])
    with pytest.raises(Problem, match=r"The preview in .*preview.safetensors cannot be read"):
        load_preview(path)


@pytest.mark.parametrize(
    "content",
    [
        b"no preview",
        to_bytes({"classes": CLASSES}),
        to_bytes({"classes": CLASSES}, {"place": "[1, 2]"}),
        to_bytes({"classes": CLASSES}, {"place": "{"}),
        to_bytes({"weights": CLASSES}, {"place": "[1, 2, 3]"}),
    ],
)
def test_a_file_of_another_kind_is_a_problem(tmp_path: Path, content: bytes) -> None:
    (tmp_path / PREVIEW).write_bytes(content)
    with pytest.raises(Problem, match="cannot be read"):
        load_preview(tmp_path / PREVIEW)


def test_no_file_and_no_folder_are_problems(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot be read"):
        load_preview(tmp_path / PREVIEW)
    with pytest.raises(Problem, match="cannot be written"):
        save_preview(tmp_path / "gone" / PREVIEW, Preview(CLASSES, 0, 0, 0))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_a_full_disk_leaves_the_former_preview(tmp_path: Path) -> None:
    save_preview(tmp_path / PREVIEW, Preview(CLASSES, 7, 0, 0))
    (tmp_path / f"{PREVIEW}.partial").symlink_to("/dev/full")
    with pytest.raises(Problem, match="is full"):
        save_preview(tmp_path / PREVIEW, Preview(CLASSES, 8, 0, 0))
    assert load_preview(tmp_path / PREVIEW).z == 7
