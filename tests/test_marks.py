"""Corrections count more, what is accepted judges nothing; both stay with their labels, and a training repeats them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unet.card import MODEL_FILE
from napari_unet.config import TrainConfig
from napari_unet.events import Joined, Notice
from napari_unet.kept import labels_of
from napari_unet.log import LOG
from napari_unet.loop import CHECKPOINT
from napari_unet.marks import ACCEPTED, BY_HAND, CORRECTED, create_marks, marked, open_marks
from napari_unet.newzarr import create_stack
from napari_unet.painted import Painted, Rules, read_painted
from napari_unet.painting import CORRECTION, UNCOUNTED, Meaning, loss_weights, targets
from napari_unet.problem import Problem
from napari_unet.requests import Join
from napari_unet.runs import as_begun
from napari_unet.train import train

RULES = Rules(Meaning((1, 2), separator=1), 1.0, 10.0, None)
SHAPE = 3, 96, 96
LINES = (np.add.outer(np.arange(96), np.arange(96)) % 24) < 5
HERE = np.s_[1, 40:60, 20:50]  # what is corrected


@pytest.fixture
def image(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).normal(0, 15, SHAPE)
    array = (np.where(LINES, 60, 180) + noise).clip(0, 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "image.tif", array, photometric="minisblack", metadata={"axes": "ZYX"})
    return tmp_path / "image.tif"


def paint(path: Path, mark: bool, *sections: int) -> Path:
    """Each fourth row of some sections painted; a part of section 1 corrects a prediction if `mark`."""
    labels = create_stack(path, SHAPE, 64, np.uint8, None, (0, 0, 0))
    for z in sections:
        rows = np.zeros(LINES.shape, np.uint8)
        rows[::4] = np.where(LINES, 2, 1)[::4]
        labels[z] = rows
    if mark:
        create_marks(path / CORRECTED, labels)[HERE] = labels[HERE]
    return path


def painted(image: Path, labels: Path) -> Painted:
    return read_painted([(image, labels)], RULES)


@given(arrays(np.uint8, (6, 7), elements=st.integers(0, 2)), arrays(bool, (6, 7)), st.floats(0, 10))
def test_a_corrected_pixel_weighs_three_times_what_it_did(labels, where, border) -> None:
    meaning, per_class = RULES.meaning, np.array([2, 0.7], np.float32)
    target = targets(labels, meaning)
    before = loss_weights(labels, target, meaning, per_class, border)
    found = loss_weights(labels, target, meaning, per_class, border, where)
    np.testing.assert_array_equal(found, np.where(where, before * np.float32(CORRECTION), before))
    assert loss_weights(labels, target, meaning, per_class, border, np.zeros_like(where)).tobytes() == before.tobytes()


def test_a_pixel_is_corrected_while_its_label_is_that_of_the_mark(tmp_path: Path) -> None:
    """So that undo, which knows of no marks, takes them back, and redo brings them."""
    path = paint(tmp_path / "labels.zarr", True, 1)
    labels = zarr.open_array(path / "0")
    before = np.asarray(labels[1])
    expected = np.zeros(SHAPE[1:], bool)
    expected[HERE[1:]] = before[HERE[1:]] > 0
    assert expected.any()
    np.testing.assert_array_equal(marked(path, CORRECTED, 1, before), expected)
    assert not marked(path, CORRECTED, 1, np.zeros_like(before)).any()
    assert not marked(path, CORRECTED, 1, np.where(before, 3 - before, 0)).any()
    assert not marked(path, CORRECTED, 0, before).any()


def test_only_labels_in_a_zarr_have_corrections(image: Path, tmp_path: Path) -> None:
    assert open_marks(image, CORRECTED) is None
    assert open_marks(paint(tmp_path / "labels.zarr", False, 1), CORRECTED) is None
    of_another_shape = paint(tmp_path / "other.zarr", False, 1)
    zarr.create_array(of_another_shape / CORRECTED, data=np.ones((3, 5, 5), np.uint8))
    assert not marked(of_another_shape, CORRECTED, 1, np.ones(SHAPE[1:], np.uint8)).any()


def test_marks_that_cannot_be_read_are_a_problem(image: Path, tmp_path: Path) -> None:
    path = paint(tmp_path / "labels.zarr", True, 1)
    (path / CORRECTED / "zarr.json").write_text("{")
    with pytest.raises(Problem, match="not a Zarr array that can be read"):
        painted(image, path)


def test_corrections_lie_where_their_labels_lie(image: Path, tmp_path: Path) -> None:
    path = tmp_path / "part.zarr"
    labels = create_stack(path, (1, 40, 50), 64, np.uint8, None, (2, 30, 20))
    labels[0, 5:9], labels[0, 20:24] = 1, 2
    create_marks(path / CORRECTED, labels)[0, 7:22, 10:13] = 1
    (found,) = painted(image, path).sections
    expected = np.zeros(SHAPE[1:], bool)
    expected[37:39, 30:33] = True  # where they say what is painted
    assert found.z == 2
    np.testing.assert_array_equal(found.corrected, expected)
    assert painted(image, path).corrected == (expected & (found.learn != UNCOUNTED)).sum() > 0


def test_without_corrections_all_is_as_before(image: Path, tmp_path: Path) -> None:
    plain, corrected = paint(tmp_path / "plain.zarr", False, 1), paint(tmp_path / "corrected.zarr", True, 1)
    (one,), (other,) = painted(image, plain).sections, painted(image, corrected).sections
    np.testing.assert_array_equal(one.learn, other.learn)
    np.testing.assert_array_equal(one.held, other.held)
    np.testing.assert_array_equal(other.weights, one.weights * np.where(other.corrected, np.float32(CORRECTION), 1))
    assert not one.corrected.any()
    assert painted(image, plain).corrected == 0


def accept(path: Path, here=np.s_[:]) -> Path:
    """Mark what is painted there as copied from a prediction."""
    labels = zarr.open_array(path / "0")
    create_marks(path / ACCEPTED, labels)[here] = labels[here]
    return path


def test_what_is_accepted_is_learned_and_judges_nothing(image: Path, tmp_path: Path) -> None:
    plain, mixed = paint(tmp_path / "plain.zarr", False, 1), accept(paint(tmp_path / "mixed.zarr", False, 1), HERE)
    (one,), (other,) = painted(image, plain).sections, painted(image, mixed).sections
    expected = np.zeros(SHAPE[1:], bool)
    expected[HERE[1:]] = one.labels[HERE[1:]] > 0
    np.testing.assert_array_equal(other.accepted, expected)
    assert (one.held != UNCOUNTED).any()
    assert not (other.held != UNCOUNTED)[expected].any()
    assert painted(image, mixed).accepted == (expected & (other.learn != UNCOUNTED)).sum() > 0
    assert painted(image, plain).accepted == 0


def test_what_is_painted_by_hand_where_the_same_was_accepted_judges_again(image: Path, tmp_path: Path) -> None:
    path = accept(paint(tmp_path / "labels.zarr", False, 1))
    labels = zarr.open_array(path / "0")
    create_marks(path / BY_HAND, labels)[1, :10] = labels[1, :10]
    (found,) = painted(image, path).sections
    assert not found.accepted[:10].any()
    np.testing.assert_array_equal(found.accepted[10:], found.labels[10:] > 0)


def test_of_what_is_accepted_everywhere_nothing_is_held_out(image: Path, tmp_path: Path) -> None:
    """However much it is, a score of it would be a model's own praise."""
    found = painted(image, accept(paint(tmp_path / "labels.zarr", False, 0, 1, 2)))
    assert found.held == 0
    assert not found.strips[image.resolve()]
    assert found.learned == found.accepted == sum((section.labels > 0).sum() for section in found.sections)


def test_a_strip_is_chosen_by_what_is_painted_by_hand(image: Path, tmp_path: Path) -> None:
    """Where much is accepted at one side, the other is held out."""
    path = paint(tmp_path / "labels.zarr", False, 1)
    (strip,) = painted(image, path).strips[image.resolve()].values()
    inside = strip.mask(SHAPE[1:])
    accept(path, np.s_[1])
    marks = zarr.open_array(path / ACCEPTED)
    marks[1] = np.where(inside, marks[1], 0)
    found = painted(image, path)
    (other,) = found.strips[image.resolve()].values()
    assert other != strip
    assert found.held > 0


# ---- trainings


def config_of(image: Path, labels: Path, out: Path) -> TrainConfig:
    fields = {"inputs": (image, labels), "out": out, "start_from": "em-membrane-small"}
    return TrainConfig.model_validate(fields | {"steps": 6, "threads": 1, "crop": 16, "batch": 1})


def weights(config: TrainConfig) -> bytes:
    return (config.out / CHECKPOINT).read_bytes()


def first_notice(config: TrainConfig) -> str:
    """Train to the end; return what it says first."""
    return next(event.text for event in list(train(config)) if isinstance(event, Notice))


def test_a_training_says_how_much_is_corrected_learns_it_and_can_be_repeated(image: Path, tmp_path: Path) -> None:
    labels = paint(tmp_path / "labels.zarr", True, 1)
    config = config_of(image, labels, tmp_path / "run")
    told = first_notice(config)
    count = painted(image, labels).corrected
    assert f"Corrected over a result: {count:,}; each counts 3 times." in told
    alone = config_of(image, paint(tmp_path / "plain.zarr", False, 1), tmp_path / "alone")
    assert "Corrected" not in first_notice(alone)
    assert weights(alone) != weights(config)

    before = weights(config)
    zarr.open_array(labels / CORRECTED)[:] = 0  # what the run keeps is its own
    for name in (CHECKPOINT, MODEL_FILE, LOG):
        (config.out / name).unlink()
    list(train(as_begun(config)))
    assert weights(config) == before


def test_other_corrections_are_another_training(image: Path, tmp_path: Path) -> None:
    labels = paint(tmp_path / "labels.zarr", True, 1)
    config = config_of(image, labels, tmp_path / "run")
    list(train(config, lambda: True))
    zarr.open_array(labels / CORRECTED)[:] = 0
    with pytest.raises(Problem, match=r"changed since .* was begun \(pair 1, section 1\)"):
        list(train(config))


def test_corrections_join_and_are_repeated(image: Path, tmp_path: Path) -> None:
    labels, more = paint(tmp_path / "labels.zarr", False, 1), paint(tmp_path / "more.zarr", True, 1)
    config = config_of(image, labels, tmp_path / "run")
    asked = iter([[], [], [Join(0, str(more), (1,))]])
    events = list(train(config, joins=lambda: next(asked, [])))
    assert [event.step for event in events if isinstance(event, Joined)] == [2]

    again = config.model_copy(update={"out": tmp_path / "again"})
    asked = iter([[], [], [Join(0, str(more), (1,))]])
    steps = iter(range(9))
    list(train(again, lambda: next(steps) == 4, joins=lambda: next(asked, [])))
    zarr.open_array(more / CORRECTED)[:] = 0
    list(train(again))
    assert weights(again) == weights(config)


def test_a_training_says_how_much_is_accepted_keeps_it_and_tells_others_apart(image: Path, tmp_path: Path) -> None:
    labels = accept(paint(tmp_path / "labels.zarr", False, 1), HERE)
    config = config_of(image, labels, tmp_path / "run")
    told = first_notice(config)
    count = painted(image, labels).accepted
    assert f"Accepted from a result: {count:,}; they are learned, and no score is taken of them." in told
    (kept,) = painted(image, labels_of(config.out, 0)).sections
    np.testing.assert_array_equal(kept.accepted, painted(image, labels).sections[0].accepted)
    assert kept.accepted.any()

    begun = config_of(image, labels, tmp_path / "begun")
    list(train(begun, lambda: True))
    zarr.open_array(labels / ACCEPTED)[:] = 0
    with pytest.raises(Problem, match=r"changed since .* was begun \(pair 1, section 1\)"):
        list(train(begun))
