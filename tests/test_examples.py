"""Examples: what a training would see, drawn and weighed as it would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_unet.augment import CHANGES
from napari_unet.config import TrainConfig
from napari_unet.crops import Crops
from napari_unet.events import Event, Failed, Finished, Started
from napari_unet.examples import MOSAIC, WEIGHTS, examples
from napari_unet.log import ERROR, LOG, read
from napari_unet.painted import Rules, read_painted
from napari_unet.paintedsection import PaintedSection
from napari_unet.painting import UNCOUNTED, Meaning, class_weights, loss_weights
from napari_unet.problem import Problem
from napari_unet.tiles import MARGIN

SIDE = 16 + 2 * MARGIN
CELL = SIDE + 4  # with the gap
MEANING = Meaning((1, 2), 1)
RED, BLUE = (255, 0, 0), (0, 0, 255)


def write(path: Path, stack: np.ndarray) -> Path:
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "ZYX"})
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Dark lines on a bright ground."""
    rng = np.random.default_rng(0)
    lines = (np.add.outer(np.arange(96), np.arange(80)) % 24) < 5
    stack = np.stack([np.where(lines, 60, 180) + rng.normal(0, 15, lines.shape) for _ in range(4)])
    return write(tmp_path / "image.tif", stack.astype(np.uint8))


def painted(path: Path, *sections: int, whole: bool = False) -> Path:
    """Labels of these sections: strokes, or each pixel."""
    lines = (np.add.outer(np.arange(96), np.arange(80)) % 24) < 5
    labels = np.zeros((4, 96, 80), np.uint8)
    for z in sections:
        labels[z, :: 1 if whole else 4] = np.where(lines, 2, 1)[:: 1 if whole else 4]
    return write(path, labels)


def config(tmp_path: Path, *inputs: Path, **changes: object) -> TrainConfig:
    fields = {"inputs": inputs, "out": tmp_path / "out", "crop": 16, "colors": "#ff0000,#0000ff"}
    return TrainConfig.model_validate(fields | changes)


def weights_of(asked: TrainConfig) -> np.ndarray:
    return np.asarray(zarr.open_array(asked.out / WEIGHTS, mode="r")[:])


def expected(sections: Sequence[PaintedSection], shape: tuple[int, ...]) -> np.ndarray:
    """Loss weights straight from `painting`; pairs with the same section share no pixel."""
    per_class = class_weights(sum(np.bincount(s.learn.ravel(), minlength=256)[:2] for s in sections), 0.0)
    result = np.zeros(shape, np.float32)
    for s in sections:
        result[s.z] += loss_weights(s.labels, s.learn, MEANING, per_class, 10.0)
    return result


def test_the_mosaic_shows_the_crops_of_the_first_steps(image: Path, tmp_path: Path) -> None:
    asked = config(tmp_path, image, painted(tmp_path / "labels.tif", 1))
    events = list(examples(asked))
    assert events[0] == Started("examples", "processor", "1 painted layer")
    assert events[-1] == Finished(str(asked.out), "1 painted section")
    sheet = tifffile.imread(asked.out / MOSAIC).astype(int)
    assert sheet.shape == (4 * CELL - 4, 4 * CELL - 4, 3)
    sections = read_painted(asked.pairs, Rules(MEANING, 0.0, 10.0, None)).sections
    crops = Crops(sections, 2, 16, asked.seed, "cpu", CHANGES["near"])
    seen = set()
    for row in range(4):
        batch = crops.batch(row, 4)
        for column in range(4):
            y, x = row * CELL, column * CELL
            target = np.full((SIDE, SIDE), UNCOUNTED)
            target[MARGIN:-MARGIN, MARGIN:-MARGIN] = batch.target[column].numpy()
            shown = sheet[y : y + SIDE, x : x + SIDE]
            seen |= set(np.unique(target))
            grey = (shown[..., 0] == shown[..., 1]) & (shown[..., 1] == shown[..., 2])
            assert grey[target == UNCOUNTED].all()
            for channel, color in enumerate((RED, BLUE)):
                # Half of the colour, half of a grey.
                rest = shown[target == channel] - np.array(color) // 2
                assert (np.ptp(rest, axis=-1) <= 1).all()
                assert not grey[target == channel].any()
    assert seen == {0, 1, UNCOUNTED}
    gaps = np.ones(sheet.shape[0], bool)
    for part in range(4):
        gaps[part * CELL : part * CELL + SIDE] = False
    assert (sheet[gaps] == 128).all()
    assert (sheet[:, gaps] == 128).all()


@pytest.mark.parametrize("whole", [False, True])
def test_the_weights_are_those_of_the_training_and_zero_elsewhere(image: Path, tmp_path: Path, whole: bool) -> None:
    asked = config(tmp_path, image, painted(tmp_path / "labels.tif", 1, 3, whole=whole))
    list(examples(asked))
    weights = weights_of(asked)
    assert weights.shape == (4, 96, 80)
    assert weights.dtype == np.float32
    sections = read_painted(asked.pairs, Rules(MEANING, 0.0, 10.0, None)).sections
    np.testing.assert_array_equal(weights, expected(sections, weights.shape))
    assert not weights[[0, 2]].any()
    assert weights[1].any()


def test_sections_without_weights_take_no_room(image: Path, tmp_path: Path) -> None:
    asked = config(tmp_path, image, painted(tmp_path / "labels.tif", 1))
    list(examples(asked))
    assert [path.name for path in (asked.out / WEIGHTS / "c").iterdir()] == ["1"]


def test_two_layers_on_one_image_are_both_weighed_and_another_image_is_not(image: Path, tmp_path: Path) -> None:
    even, odd = (painted(tmp_path / name, 1) for name in ("even.tif", "odd.tif"))
    for path, first in ((even, 4), (odd, 0)):
        labels = tifffile.imread(path)
        labels[1, first::8] = 0
        write(path, labels)
    another = write(tmp_path / "another.tif", tifffile.imread(image)[:, :50, :60])
    of_another = write(tmp_path / "strokes.tif", tifffile.imread(painted(tmp_path / "all.tif", 2))[:, :50, :60])
    asked = config(tmp_path, image, even, another, of_another, image, odd)
    assert list(examples(asked))[-1] == Finished(str(asked.out), "3 painted sections")
    sections = read_painted(asked.pairs, Rules(MEANING, 0.0, 10.0, None)).sections
    per_class = class_weights(sum(np.bincount(s.learn.ravel(), minlength=256)[:2] for s in sections), 0.0)
    of_image = [s for s in sections if s.pair != 1]
    both = sum(loss_weights(s.labels, s.learn, MEANING, per_class, 10.0) for s in of_image)
    weights = weights_of(asked)
    assert all((s.learn != UNCOUNTED).any() for s in of_image)
    np.testing.assert_array_equal(weights[1], both)
    assert not weights[[0, 2, 3]].any()


def test_unpainted_labels_are_logged_and_raised(image: Path, tmp_path: Path) -> None:
    asked = config(tmp_path, image, painted(tmp_path / "labels.tif"))
    seen: list[Event] = []
    with pytest.raises(Problem, match="has no painted pixel") as problem:
        seen.extend(examples(asked))
    assert read(asked.out / LOG)[0][-1] == Failed(str(problem.value))


def test_twice_into_one_folder_shows_the_latest(image: Path, tmp_path: Path) -> None:
    list(examples(config(tmp_path, image, painted(tmp_path / "labels.tif", 1))))
    asked = config(tmp_path, image, painted(tmp_path / "labels.tif", 2), seed=3)
    before = (asked.out / MOSAIC).read_bytes()
    (asked.out / ERROR).write_text("of a time before")
    list(examples(asked))
    assert (asked.out / MOSAIC).read_bytes() != before
    assert [z for z, section in enumerate(weights_of(asked)) if section.any()] == [2]
    assert len([event for event in read(asked.out / LOG)[0] if isinstance(event, Finished)]) == 2


def test_a_run_or_another_folder_is_left_alone(image: Path, tmp_path: Path) -> None:
    asked = config(tmp_path, image, painted(tmp_path / "labels.tif", 1))
    asked.out.mkdir()
    (asked.out / "config.json").write_text("{}")
    with pytest.raises(Problem, match="already exists and holds something else"):
        list(examples(asked))
    assert [path.name for path in asked.out.iterdir()] == ["config.json"]
    with pytest.raises(Problem, match="already exists and holds something else"):
        list(examples(asked.model_copy(update={"out": asked.out / "config.json"})))
