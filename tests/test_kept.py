"""A run keeps what it learned from where it lies, and what joined it in the order of its steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_unet import kept
from napari_unet.grey import measure
from napari_unet.kept import JOINED, Joining, Kept, joined_in, keep_joined, keep_labels, labels_of
from napari_unet.marks import CORRECTED, marked
from napari_unet.paintedsection import PaintedSection
from napari_unet.problem import Problem
from napari_unet.volume import Volume, open_volume

SHAPE = 6, 20, 30
WHOLE = slice(None), slice(None)


def painted_as(labels: dict[int, np.ndarray]) -> list[PaintedSection]:
    """Sections with these labels, of which a run keeps nothing else; 250 is accepted, what is above corrects."""
    grey, nothing = measure(np.zeros((1, 1), np.uint8), ""), np.empty((0, 0), np.uint8)
    unweighed = nothing.astype(np.float32)
    return [
        PaintedSection(0, z, nothing, grey, each, each > 250, each == 250, nothing, nothing, nothing, unweighed)
        for z, each in labels.items()
    ]


@pytest.fixture
def image(tmp_path: Path) -> Volume:
    metadata = {"axes": "ZYX", "voxel_size": (50, 4, 5), "offset": (1, 2, 3)}
    tifffile.imwrite(tmp_path / "image.tif", np.zeros(SHAPE, np.uint8), photometric="minisblack", metadata=metadata)
    return open_volume(tmp_path / "image.tif")


def of(value: int) -> np.ndarray:
    return np.full(SHAPE[1:], value, np.uint8)


def test_labels_are_kept_where_they_were_painted(image: Volume, tmp_path: Path) -> None:
    keep_labels(tmp_path, 1, image, painted_as({2: of(7), 4: of(254)}), (slice(5, 15), slice(10, 30)))
    path = labels_of(tmp_path, 1)
    kept = open_volume(path, labels=True)
    assert (kept.shape, kept.voxel_size, kept.offset) == ((6, 10, 20), (50, 4, 5), (1, 7, 13))
    assert [np.unique(section).tolist() for section in kept.array[:]] == [[0], [0], [7], [0], [254], [0]]
    assert [marked(path, CORRECTED, z, kept.section(z)).all() for z in (2, 4)] == [False, True]


def test_what_joins_again_takes_the_place_of_what_joined_later(image: Volume, tmp_path: Path) -> None:
    assert joined_in(tmp_path) == []
    first, second, other = Kept(5, 0, (1, 2)), Kept(9, 0, (3,)), Kept(7, 1, (0,))
    for each in (first, second, other):
        found = keep_joined(tmp_path, [Joining(each, image, WHOLE)], painted_as({1: of(1), 3: of(2)}))
    assert found == joined_in(tmp_path) == [first, other, second]
    there = [open_volume(each.labels_in(tmp_path), labels=True).array[:] for each in (first, second)]
    assert [[int(section.max()) for section in each] for each in there] == [[0, 1, 0, 0, 0, 0], [0, 0, 0, 2, 0, 0]]
    now = Kept(6, 0, (4,))
    assert keep_joined(tmp_path, [Joining(now, image, WHOLE)], painted_as({4: of(3)})) == [first, now, other]


def test_what_joins_at_a_step_is_listed_as_a_whole_or_not_at_all(image: Volume, tmp_path: Path, monkeypatch) -> None:
    joining = [Joining(Kept(5, pair, (1,)), image, WHOLE) for pair in (0, 1)]
    real, made = kept.create_stack, []

    def create_stack(path: Path, *about: object) -> object:
        made.append(path)
        if len(made) == 2:
            raise OSError(28, "No space left on device")
        return real(path, *about)

    monkeypatch.setattr(kept, "create_stack", create_stack)
    with pytest.raises(Problem, match="full"):
        keep_joined(tmp_path, joining, painted_as({1: of(1)}))
    assert joined_in(tmp_path) == []
    assert (
        keep_joined(tmp_path, joining, painted_as({1: of(1)}))
        == joined_in(tmp_path)
        == [Kept(5, 0, (1,)), Kept(5, 1, (1,))]
    )


@pytest.mark.parametrize("text", ["", "7", "[{]", '[{"step": 1}]'])
def test_a_damaged_list_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / JOINED).write_text(text)
    with pytest.raises(Problem, match=r"joined.json cannot be read"):
        joined_in(tmp_path)
