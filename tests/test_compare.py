"""A training is compared with its start on what was painted before; networks here say one class everywhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import zarr
from test_kept import WHOLE, painted_as

from napari_unet.card import MODEL_FILE, Card, find, read_card
from napari_unet.compare import compare
from napari_unet.config import TrainConfig
from napari_unet.device import Compute
from napari_unet.events import Compared, Event, Finished, Notice
from napari_unet.kept import keep_labels, labels_of
from napari_unet.log import LOG, read
from napari_unet.marks import ACCEPTED, create_marks
from napari_unet.model import Model, load
from napari_unet.painted import Painted, Rules, read_painted
from napari_unet.painting import Meaning
from napari_unet.runs import open_run
from napari_unet.train import train
from napari_unet.unet import UNet
from napari_unet.volume import open_volume

CPU = Compute("cpu", "processor", "float32", 1)
SHAPE = 4, 96, 80
AREA = 96 * 80
SMALL = "em-membrane-small"


def says(channel: int, step: int = 5) -> Model:
    """A model that says one class everywhere."""
    net = UNet(classes=2, width=16, batch_norm=False).train(False)
    with torch.no_grad():
        for weights in net.parameters():
            weights.zero_()
        net.head.bias[channel] = 1.0
    return Model(net, Card("fake", read_card(find(SMALL)).classes, step=step))


def write(path: Path, stack: np.ndarray) -> Path:
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "ZYX"})
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write(tmp_path / "image.tif", np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8))


def a_model(folder: Path, image: Path, sections: dict[int, np.ndarray]) -> Path:
    """A model that was made from some painted sections; return its file."""
    config = TrainConfig(inputs=(image, folder / "labels.tif"), out=folder, start_from=SMALL)
    run = open_run(config)
    keep_labels(folder, 0, open_volume(image), painted_as(sections), WHOLE)
    run.begin(config, {f"pair 1, section {z}": "0" for z in sections})
    shutil.copy(find(SMALL), folder / MODEL_FILE)
    return folder / MODEL_FILE


def of(value: int) -> np.ndarray:
    return np.full(SHAPE[1:], value, np.uint8)


def halves() -> np.ndarray:
    """The left half of class 1, the right of class 2."""
    return np.where(np.arange(SHAPE[2]) < SHAPE[2] // 2, of(1), of(2))


def now(image: Path, sections: dict[int, np.ndarray]) -> Painted:
    """What is painted at the end of the training."""
    labels = np.zeros(SHAPE, np.uint8)
    for z, each in sections.items():
        labels[z] = each
    pair = image, write(image.with_name("now.tif"), labels)
    return read_painted([pair], Rules(Meaning((1, 2), separator=1), 0.0, 10.0, None))


def test_what_was_painted_before_shows_what_was_forgotten(image: Path, tmp_path: Path) -> None:
    file = a_model(tmp_path / "former", image, {0: of(1), 1: of(1)})
    found = compare(says(0), file, says(1), now(image, {3: halves()}), 0, CPU)
    assert found == Compared(1.0, 0.0, 2 * AREA, earlier=True)


def test_what_was_corrected_or_erased_since_does_not_count(image: Path, tmp_path: Path) -> None:
    """Of section 0 the right half is painted otherwise now, and the upper half no more."""
    file = a_model(tmp_path / "former", image, {0: of(1)})
    section = halves()
    section[:32] = 0
    found = compare(says(0), file, says(1), now(image, {0: section}), 0, CPU)
    assert found == Compared(1.0, 0.0, 64 * 40, earlier=True)


def test_what_was_accepted_from_a_model_judges_none(image: Path, tmp_path: Path) -> None:
    """The model that it was copied from would praise itself."""
    file = a_model(tmp_path / "former", image, {0: of(1)})
    labels = labels_of(file.parent, 0)
    create_marks(labels / ACCEPTED, zarr.open_array(labels / "0"))[0, :, :30] = 1
    found = compare(says(0), file, says(1), now(image, {3: halves()}), 0, CPU)
    assert found == Compared(1.0, 0.0, 96 * 50, earlier=True)


def test_without_anything_earlier_all_that_is_painted_counts_learned_or_held_out(image: Path) -> None:
    painted = now(image, {2: halves()})
    assert painted.held
    found = compare(says(0), find(SMALL), says(1), painted, 0, CPU)
    assert found == Compared(0.25, 0.25, AREA, earlier=False)


def test_a_class_of_few_pixels_does_not_count(image: Path, tmp_path: Path) -> None:
    section = of(1)
    section[0, :99] = 2
    file = a_model(tmp_path / "former", image, {0: section})
    found = compare(says(0), file, says(0), now(image, {3: halves()}), 0, CPU)
    assert found == Compared(1.0, 1.0, AREA - 80, earlier=True)


def test_the_start_is_not_compared_with_itself(image: Path) -> None:
    assert compare(says(0), find(SMALL), says(0, step=0), now(image, {2: halves()}), 0, CPU) is None


@pytest.mark.parametrize("gone", [True, False])
def test_an_image_that_is_gone_or_another_one_now_is_passed_over(image: Path, tmp_path: Path, gone: bool) -> None:
    other = image.with_name("other.tif")
    file = a_model(tmp_path / "former", write(other, np.zeros(SHAPE, np.uint8)), {3: of(1)})
    if gone:
        other.unlink()
    else:
        write(other, np.zeros((2, *SHAPE[1:]), np.uint8))
    found = compare(says(0), file, says(1), now(image, {2: halves()}), 0, CPU)
    assert isinstance(found, Compared)
    assert not found.earlier


def test_few_tiles_are_looked_at_and_the_seed_chooses_them(tmp_path: Path) -> None:
    shape = 20, 40, 300
    image = write(tmp_path / "image.tif", np.random.default_rng(0).integers(0, 255, shape, np.uint8))
    labels = np.random.default_rng(1).integers(1, 3, shape).astype(np.uint8)
    file = a_model(tmp_path / "former", image, dict(enumerate(labels)))
    other = write(tmp_path / "labels.tif", np.where(np.arange(20)[:, None, None] == 9, labels, 0).astype(np.uint8))
    painted = read_painted([(image, other)], Rules(Meaning((1, 2), separator=1), 0.0, 10.0, None))
    start, kept = says(0), says(1)
    random = torch.get_rng_state()
    found = [compare(start, file, kept, painted, seed, CPU) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert all(isinstance(each, Compared) and each.pixels <= 6 * 128 * 128 for each in found)
    assert torch.equal(torch.get_rng_state(), random)


def test_too_little_memory_does_not_spoil_the_training(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("napari_unet.compare.mean_iou", full)
    found = compare(says(0), find(SMALL), says(1), now(image, {2: halves()}), 0, CPU)
    assert isinstance(found, Notice)
    assert found.text.startswith("Not compared with the model before. There is not enough memory.")


# ---- in a training


def config_of(image: Path, out: Path, sections: dict[int, np.ndarray], start: str = SMALL) -> TrainConfig:
    now(image, sections)
    labels = image.with_name("now.tif").rename(out.with_suffix(".tif"))
    fields = {"steps": 3, "threads": 1, "crop": 16, "batch": 1, "start_from": start}
    return TrainConfig.model_validate(fields | {"inputs": (image, labels), "out": out})


def compared(events: list[Event]) -> list[Compared]:
    return [event for event in events if isinstance(event, Compared)]


def strokes() -> np.ndarray:
    section = halves()
    section[np.arange(96) % 4 > 0] = 0
    return section


def test_trainings_end_with_the_comparison_and_keep_it(image: Path, tmp_path: Path) -> None:
    first = config_of(image, tmp_path / "first", {1: strokes()})
    events = list(train(first))
    (found,) = compared(events)
    assert not found.earlier
    assert events[-2] == found
    assert isinstance(events[-1], Finished)
    second = config_of(image, tmp_path / "second", {1: strokes(), 3: strokes()}, str(first.out))
    (found,) = compared(list(train(second)))
    assert found.earlier
    assert found.pixels == np.count_nonzero(strokes())
    assert compared(read(second.out / LOG)[0]) == [found]


@pytest.mark.slow
def test_a_stopped_training_is_compared_too_and_again_when_it_goes_on(image: Path, tmp_path: Path) -> None:
    config = config_of(image, tmp_path / "run", {1: strokes()})
    left = iter([False, False, True])
    assert len(compared(list(train(config, lambda: next(left))))) == 1
    whole = replace_out(config, tmp_path / "whole")
    assert compared(list(train(config))) == compared(list(train(whole)))


def replace_out(config: TrainConfig, out: Path) -> TrainConfig:
    return config.model_copy(update={"out": out})


def test_the_weights_are_the_same_without_the_comparison(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(image, tmp_path / "with", {1: strokes()})
    assert compared(list(train(config)))
    monkeypatch.setattr("napari_unet.train.compare", lambda *_: None)
    without = replace_out(config, tmp_path / "without")
    assert not compared(list(train(without)))
    one, other = (load(str(each.out)).net.state_dict() for each in (config, without))
    assert all(torch.equal(one[name], other[name]) for name in one)
    files = [(each.out / "checkpoint.safetensors").read_bytes() for each in (config, without)]
    assert files[0] == files[1]


def test_other_classes_are_not_compared(image: Path, tmp_path: Path) -> None:
    config = config_of(image, tmp_path / "run", {1: strokes()}).model_copy(update={"classes": ("cell", "gap")})
    assert not compared(list(train(config)))
