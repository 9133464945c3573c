"""What was painted for a model is found again, for those behind it too, as it was painted last."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
import tifffile
from test_kept import WHOLE, painted_as

from napari_unet import timeline
from napari_unet.card import MODEL_FILE, find, read_card
from napari_unet.config import TrainConfig
from napari_unet.kept import JOINED, Joining, Kept, keep_joined, keep_labels
from napari_unet.lessons import Place, lessons_of
from napari_unet.painting import Meaning
from napari_unet.runs import INPUTS, open_run
from napari_unet.volume import open_volume

SHAPE = 6, 20, 30
START = "em-membrane-small"
CLASSES = [each.name for each in read_card(find(START)).classes]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, np.zeros(SHAPE, np.uint8), photometric="minisblack", metadata={"axes": "ZYX"})
    return path


def a_run(folder: Path, image: Path, sections: Collection[int], start: str = START, value: int = 1) -> Path:
    """A run whose sections are painted with one value, and its model; return the file of that."""
    config = TrainConfig(inputs=(image, folder / "labels.tif"), out=folder, start_from=start)
    run = open_run(config)
    labels = {z: np.full(SHAPE[1:], value, np.uint8) for z in sections}
    keep_labels(folder, 0, open_volume(image), painted_as(labels), WHOLE)
    run.begin(config, {"start model": "0", **{f"pair 1, section {z}": "0" for z in sections}})
    shutil.copy(find(START), folder / MODEL_FILE)
    return folder / MODEL_FILE


def painted(model: Path, classes: Collection[str] = CLASSES) -> dict[int, int]:
    """Return the sections that were painted for a model, and the value that each was painted with."""
    found: dict[Place, list[int]] = {
        place: [int(open_volume(each.labels, labels=True).section(each.z).max()) for each in lessons]
        for place, lessons in lessons_of(model, list(classes)).items()
    }
    return {z: value for (_, z), (value,) in found.items()}


def test_what_was_painted_for_a_model_says_where_and_what_it_means(image: Path, tmp_path: Path) -> None:
    model = a_run(tmp_path / "run", image, (1, 4))
    found = lessons_of(model, CLASSES)
    assert found.keys() == {(image.resolve(), 1), (image.resolve(), 4)}
    ((lesson,), _) = found.values()
    assert (lesson.image, lesson.channel, lesson.z) == (image, None, 1)
    assert lesson.meaning == Meaning((1, 2), separator=1)
    assert painted(model) == {1: 1, 4: 1}


def test_what_joined_is_part_of_it(image: Path, tmp_path: Path) -> None:
    model = a_run(tmp_path / "run", image, (1, 4))
    for step, value in ((7, 3), (9, 2)):
        now = {4: np.full(SHAPE[1:], value, np.uint8), 5: np.full(SHAPE[1:], value, np.uint8)}
        keep_joined(model.parent, [Joining(Kept(step, 0, (4, 5)), open_volume(image), WHOLE)], painted_as(now))
    assert painted(model) == {1: 1, 4: 2, 5: 2}


def test_the_latest_state_of_a_section_counts_and_the_chain_is_followed(image: Path, tmp_path: Path) -> None:
    first = a_run(tmp_path / "first", image, (1, 4))
    second = a_run(tmp_path / "second", image, (4,), str(first), value=2)
    third = a_run(tmp_path / "third", image, (0,), str(second.parent))
    assert painted(third) == {0: 1, 4: 2, 1: 1}
    first.parent.rename(tmp_path / "elsewhere")
    assert painted(third) == {0: 1, 4: 2}


def test_a_model_on_the_way_has_what_its_run_has(image: Path, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", image, (1,)).parent
    file = timeline.file_of(run, 10)
    file.parent.mkdir()
    shutil.copy(find(START), file)
    model = timeline.adopt(run, 10, tmp_path)
    assert painted(file) == painted(model / MODEL_FILE) == {1: 1}
    (model / "origin.json").write_text("[")
    assert painted(model / MODEL_FILE) == {}


def test_models_of_other_classes_are_passed_over(image: Path, tmp_path: Path) -> None:
    model = a_run(tmp_path / "run", image, (1,))
    assert painted(model, CLASSES[::-1]) == painted(model, ["cell", "gap"]) == {}


@pytest.mark.parametrize("name", [INPUTS, JOINED, MODEL_FILE])
def test_a_run_that_is_damaged_is_passed_over(image: Path, tmp_path: Path, name: str) -> None:
    first = a_run(tmp_path / "first", image, (1,))
    second = a_run(tmp_path / "second", image, (2,), str(first))
    (second.parent / name).write_text("{")
    assert painted(second) == {1: 1}


def test_there_is_an_end(image: Path, tmp_path: Path) -> None:
    """No start model is in a circle, but files may lie."""
    first = a_run(tmp_path / "first", image, (1,))
    second = a_run(tmp_path / "second", image, (2,), str(first))
    config = json.loads((first.parent / "config.json").read_text())
    (first.parent / "config.json").write_text(json.dumps(config | {"start_from": str(second)}))
    assert painted(second) == {1: 1, 2: 1}
    assert painted(find(START)) == painted(tmp_path / "nothing" / "model.safetensors") == {}
