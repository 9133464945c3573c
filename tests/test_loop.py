"""What is painted while a training runs joins it, is kept with its step, and is repeated exactly."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from napari_unet.card import MODEL_FILE
from napari_unet.config import TrainConfig
from napari_unet.events import Event, Finished, Joined, Notice, NotJoined, Score
from napari_unet.kept import JOINED, Kept, joined_in
from napari_unet.log import LOG
from napari_unet.loop import CHECKPOINT
from napari_unet.model import load
from napari_unet.problem import Problem
from napari_unet.requests import Join
from napari_unet.runs import held_in
from napari_unet.train import train
from napari_unet.volume import open_volume

Session = tuple[TrainConfig, dict[int, Sequence[Join]]]
LINES = (np.add.outer(np.arange(160), np.arange(160)) % 24) < 5
STEPS = 20


def write(path: Path, stack: np.ndarray) -> Path:
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "ZYX"})
    return path


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark lines on a bright ground, five sections."""
    folder = tmp_path_factory.mktemp("loop")
    noise = np.random.default_rng(0).normal(0, 15, (5, *LINES.shape))
    return write(folder / "image.tif", (np.where(LINES, 60, 180) + noise).clip(0, 255).astype(np.uint8))


def painted(*sections: int, every: int = 4) -> np.ndarray:
    """Each fourth row of some sections painted."""
    labels = np.zeros((5, *LINES.shape), np.uint8)
    for z in sections:
        labels[z, ::every] = np.where(LINES, 2, 1)[::every]
    return labels


@dataclass
class Person:
    """Paints at some steps: asks whether something joined once for each step."""

    strokes: dict[int, Sequence[Join]] = field(default_factory=dict)
    step: int = 0

    def joins(self) -> Sequence[Join]:
        self.step += 1
        return self.strokes.get(self.step - 1, ())


def config_of(image: Path, labels: Path, out: Path) -> TrainConfig:
    return TrainConfig(
        inputs=(image, labels), out=out, steps=STEPS, threads=1, crop=16, batch=1, start_from="em-membrane-small"
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load(str(folder)).net.state_dict()


def same(one: Path, other: Path) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one).values(), weights(other).values(), strict=True))


def joined(events: Sequence[Event]) -> list[Joined]:
    return [event for event in events if isinstance(event, Joined)]


@pytest.fixture
def session(image: Path, tmp_path: Path) -> Session:
    """A training, and what is painted at its steps 5 and 11."""
    return session_in(image, tmp_path)


@pytest.fixture(scope="module")
def whole(image: Path) -> tuple[Session, list[Event]]:
    """Such a training when it is finished, and what it said."""
    config, strokes = session_in(image, image.parent)
    return (config, strokes), list(train(config, joins=Person(strokes).joins))


def session_in(image: Path, folder: Path) -> Session:
    labels = write(folder / "labels.tif", painted(1))
    more, most = write(folder / "more.tif", painted(1, 3)), write(folder / "most.tif", painted(1, 3, every=2))
    strokes = {5: [Join(0, str(more), (3,))], 11: [Join(0, str(most), (1,)), Join(0, str(most), (3,))]}
    return config_of(image, labels, folder / "run"), strokes


def test_what_is_painted_meanwhile_is_learned_and_kept(whole, tmp_path: Path) -> None:
    (config, strokes), events = whole
    assert [(event.step, event.sections) for event in joined(events)] == [(5, 2), (11, 2)]
    assert joined(events)[0].pixels < joined(events)[1].pixels
    assert isinstance(events[-1], Finished)
    assert joined_in(config.out) == [Kept(5, 0, (3,)), Kept(11, 0, (1, 3))]
    kept = [tifffile.imread(strokes[step][0].labels) for step in (5, 11)]
    for each, there in zip(joined_in(config.out), kept, strict=True):
        now = open_labels(each.labels_in(config.out))
        for z in each.sections:
            np.testing.assert_array_equal(now[z], there[z])
    alone = config.model_copy(update={"out": tmp_path / "alone"})
    list(train(alone))
    assert not same(alone.out, config.out)


def open_labels(path: Path) -> np.ndarray:
    return np.asarray(open_volume(path, labels=True).array[:])


@pytest.mark.parametrize("stop", [5, pytest.param(6, marks=pytest.mark.slow), pytest.param(14, marks=pytest.mark.slow)])
def test_a_stopped_training_repeats_what_joined_it(whole, tmp_path: Path, stop: int) -> None:
    (config, strokes), _ = whole
    stopped = config.model_copy(update={"out": tmp_path / "stopped"})
    person = Person(strokes)
    list(train(stopped, lambda: person.step >= stop, joins=person.joins))
    said = [event.text for event in train(stopped, joins=Person(strokes, stop).joins) if isinstance(event, Notice)]
    before = any(kept.step < stop for kept in joined_in(config.out))
    assert any(text.startswith("With what joined before, it learns from ") for text in said) == before
    assert same(config.out, stopped.out)
    assert joined_in(stopped.out) == joined_in(config.out)


def test_a_run_can_be_repeated_from_what_it_keeps(whole, tmp_path: Path) -> None:
    (config, _), events = whole
    again, told = repeated(config, tmp_path)
    assert joined(told) == joined(events)
    assert same(again, config.out)


def repeated(config: TrainConfig, folder: Path) -> tuple[Path, list[Event]]:
    """Train again from what a run keeps; return where, and what happened."""
    again = config.model_copy(update={"out": folder / "again"})
    shutil.copytree(config.out, again.out)
    for name in (CHECKPOINT, MODEL_FILE, LOG):
        (again.out / name).unlink()
    return again.out, list(train(again))


@pytest.mark.slow
def test_what_was_to_join_later_joins_with_what_is_painted_now(session, tmp_path: Path) -> None:
    """Killed after step 11, gone on from a checkpoint before it, and painted on at once."""
    config, strokes = session
    crashed = train(config, joins=Person(strokes).joins)
    next(event for event in crashed if isinstance(event, Joined) and event.step == 11)
    crashed.close()
    labels = write(tmp_path / "now.tif", painted(1, 3, 4, every=2))
    events = list(train(config, joins=Person({2: [Join(0, str(labels), (4,))]}).joins))
    assert [(event.step, event.sections) for event in joined(events)] == [(2, 3)]
    assert joined_in(config.out) == [Kept(2, 0, (1, 3, 4))]


@pytest.mark.slow
def test_what_cannot_be_learned_keeps_nothing_else_out_and_is_forgotten_if_erased(image: Path, tmp_path: Path) -> None:
    config = config_of(image, write(tmp_path / "labels.tif", painted(1)), tmp_path / "run")
    both = painted(0, 1, 2, 3, 4)
    both[2, 0, 0] = 9
    one = both.copy()
    both[3, 0, 0] = 9
    files = [str(write(tmp_path / f"{i}.tif", labels)) for i, labels in enumerate((both, one, painted(0, 1, 3, 4)))]
    strokes = {3: [Join(0, files[0], (0, 2, 3, 4))], 6: [Join(0, files[1], (3,))], 8: [Join(0, files[2], (2,))]}
    events = list(train(config, joins=Person(strokes).joins))
    assert [(event.step, event.sections) for event in joined(events)] == [(3, 3), (6, 4)]
    assert joined_in(config.out) == [Kept(3, 0, (0, 4)), Kept(6, 0, (3,))]
    said = [event.text for event in events if isinstance(event, NotJoined)]
    assert [text.split(" of ")[0] for text in said] == ["Not learned: Section 3", "Not learned: Section 2", ""]


@pytest.mark.slow
def test_what_was_erased_is_forgotten_once_that_can_be_done(image: Path, tmp_path: Path) -> None:
    config = config_of(image, write(tmp_path / "labels.tif", painted(1, 2)), tmp_path / "run")
    erased = painted(1, 2)
    erased[erased == 2] = 0
    moved = erased.copy()
    moved[4] = painted(4)[4]
    strokes = {3: [Join(0, str(write(tmp_path / "erased.tif", erased)), (1, 2))]}
    strokes[6] = [Join(0, str(write(tmp_path / "moved.tif", moved)), (4,))]
    events = list(train(config, joins=Person(strokes).joins))
    assert [kept.sections for kept in joined_in(config.out)] == [(1,), (2, 4)]
    said = [event.text for event in events if isinstance(event, NotJoined)]
    assert [text.split(",")[0] for text in said] == ["Not learned: Only one class is painted", ""]


def test_what_a_section_lacks_may_come_with_a_later_one(image: Path, tmp_path: Path) -> None:
    config = config_of(image, write(tmp_path / "labels.tif", painted(0)), tmp_path / "run")
    new = painted(0, 2, 4)
    new[0][new[0] == 2] = 0
    new[2, 0, 0] = 9
    strokes = {3: [Join(0, str(write(tmp_path / "new.tif", new)), (0, 2, 4))]}
    events = list(train(config, joins=Person(strokes).joins))
    assert joined_in(config.out) == [Kept(3, 0, (0, 4))]
    assert ["value 9" in event.text for event in events if isinstance(event, NotJoined)] == [True]


@pytest.mark.parametrize("when", [3, pytest.param(6, marks=pytest.mark.slow)])
def test_what_one_of_several_labels_lacked_may_come_with_another(image: Path, tmp_path: Path, when: int) -> None:
    first, second = painted(1), painted(3)
    second[second == 2] = 0
    files = [write(tmp_path / f"{i}.tif", labels) for i, labels in enumerate((first, second))]
    config = config_of(image, files[0], tmp_path / "run").model_copy(
        update={"inputs": (image, files[0], image, files[1])}
    )
    erased = first.copy()
    erased[erased == 2] = 0
    erased[2] = erased[1]  # is learned at once
    more = second.copy()
    more[4] = painted(4)[4]
    lacks = Join(0, str(write(tmp_path / "erased.tif", erased)), (1, 2))
    brings = Join(1, str(write(tmp_path / "more.tif", more)), (4,))
    strokes = {3: [lacks], 6: [brings]} if when == 6 else {3: [lacks, brings]}
    events = list(train(config, joins=Person(strokes).joins))
    of_first = [Kept(3, 0, (1, 2))] if when == 3 else [Kept(3, 0, (2,)), Kept(6, 0, (1,))]
    assert joined_in(config.out) == [*of_first, Kept(when, 1, (4,))]
    again, told = repeated(config, tmp_path)
    assert joined(told) == joined(events)
    assert same(again, config.out)
    said = [event.text.split(",")[0] for event in events if isinstance(event, NotJoined)]
    assert said == (["Not learned: Only one class is painted", ""] if when == 6 else [])


@pytest.mark.slow
def test_strokes_that_are_all_held_out_are_told_from_others(image: Path, tmp_path: Path) -> None:
    labels = painted(1)
    config = config_of(image, write(tmp_path / "labels.tif", labels), tmp_path / "run")
    first = list(train(config.model_copy(update={"out": tmp_path / "first", "steps": 1})))
    assert not joined(first)
    (strip,) = {*held_in(tmp_path / "first")[image.resolve()].values()}
    both = []
    for name, inside in (("in.tif", True), ("out.tif", False)):
        more = labels.copy()
        new = np.where(LINES, 2, 1) * (strip.mask(LINES.shape) == inside)
        more[1] = np.where(more[1] == 0, new, more[1])
        both.append(Join(0, str(write(tmp_path / name, more)), (1,)))
    events = list(train(config, joins=Person({3: both[:1], 6: both[1:]}).joins))
    assert [event.learned for event in joined(events)] == [False, True]


def test_a_stroke_that_cannot_be_learned_is_said_and_the_rest_goes_on(image: Path, tmp_path: Path) -> None:
    config = config_of(image, write(tmp_path / "labels.tif", painted(1)), tmp_path / "run")
    wrong = painted(1)
    wrong[1, 0, 0] = 9
    strokes = {3: [Join(0, str(write(tmp_path / "wrong.tif", wrong)), (1,))], 5: [Join(4, "none.tif", (1,))]}
    events = list(train(config, joins=Person(strokes).joins))
    said = [event.text for event in events if isinstance(event, NotJoined)]
    assert sum(text.startswith("Not learned: ") for text in said) == 2
    remedy = "A training keeps the classes that it began with. Stop it and train again, or erase what is new."
    meanwhile = "Until then it learns what was there before."
    assert any("holds the value 9" in text and text.endswith(f"{remedy} {meanwhile}") for text in said)
    assert not joined(events)
    assert not (config.out / JOINED).exists()
    assert isinstance(events[-1], Finished)


def test_scores_start_anew_when_more_is_held_out(image: Path, tmp_path: Path, monkeypatch) -> None:
    """The start model judged by the old and by the new pixels is not the same score."""
    config = config_of(image, write(tmp_path / "labels.tif", painted(1, every=1)), tmp_path / "run")
    more = write(tmp_path / "more.tif", painted(1, 2, every=1))
    ious = iter([0.9, 0.5, 0.6, 0.7])  # start; step 10, and the start again; step 20
    monkeypatch.setattr("napari_unet.learner.Learner.judge", lambda *_: next(ious))
    scores = [e for e in train(config, joins=Person({4: [Join(0, str(more), (2,))]}).joins) if isinstance(e, Score)]
    assert [(score.step, score.iou, score.best) for score in scores] == [
        (0, 0.9, 0.9),
        (10, 0.5, 0.6),
        (20, 0.7, 0.7),
    ]
    assert all(score.trusted for score in scores)


def test_a_damaged_list_of_what_joined_is_named(session) -> None:
    config, strokes = session
    events: Iterator[Event] = train(config, joins=Person(strokes).joins)
    next(event for event in events if isinstance(event, Joined))
    events.close()  # type: ignore[attr-defined]
    (config.out / JOINED).write_text("[{]")
    with pytest.raises(Problem, match=r"joined.json cannot be read"):
        list(train(config))


@pytest.mark.slow
def test_what_is_held_out_stays_so_in_the_next_training(image: Path, tmp_path: Path) -> None:
    """Else it would judge by what the former one learned; what joined is held out where it was, too."""
    config = config_of(image, write(tmp_path / "labels.tif", painted(1, every=1)), tmp_path / "first")
    far = painted(1, every=1)
    far[4, 100:] = far[1, 100:]
    strokes = {4: [Join(0, str(write(tmp_path / "far.tif", far)), (4,))]}
    list(train(config, joins=Person(strokes).joins))
    (strips,) = held_in(config.out).values()
    assert strips.keys() == {1, 4}
    assert held_in(config.out, "before") == {}
    more = far.copy()
    more[1, :, :40] = 0
    more[2] = painted(1, every=1)[1]
    labels = write(tmp_path / "more.tif", more)
    following = config_of(image, labels, tmp_path / "second").model_copy(update={"start_from": str(config.out)})
    list(train(following))
    (now,) = held_in(following.out).values()
    assert strips.items() <= now.items()
    assert now[2] == strips[1]
    assert held_in(following.out, "before") == held_in(config.out)
    afresh = config_of(image, labels, tmp_path / "third")
    list(train(afresh))
    assert not strips.items() <= next(iter(held_in(afresh.out).values())).items()


def test_sections_of_labels_that_begin_elsewhere_join_where_they_lie(image: Path, tmp_path: Path) -> None:
    config = config_of(image, write(tmp_path / "labels.tif", painted(1)), tmp_path / "run")
    part = painted(1, 3)[2:4, 40:120, 40:120]
    metadata = {"axes": "ZYX", "offset": (2, 40, 40)}
    tifffile.imwrite(tmp_path / "part.tif", part, photometric="minisblack", metadata=metadata)
    list(train(config, joins=Person({2: [Join(0, str(tmp_path / "part.tif"), (1,))]}).joins))
    (kept,) = joined_in(config.out)
    assert kept == Kept(2, 0, (3,))
    expected = np.zeros_like(painted())[3]
    expected[40:120, 40:120] = part[1]
    np.testing.assert_array_equal(open_labels(kept.labels_in(config.out))[3], expected)


def test_labels_of_a_part_that_could_not_be_read_join_where_they_lie_once_they_can(image: Path, tmp_path: Path) -> None:
    first, part = write(tmp_path / "labels.tif", painted(1)), tmp_path / "part.tif"
    pixels, metadata = painted(1, 3)[3:4, 40:120, 40:120], {"axes": "ZYX", "offset": (3, 40, 40)}
    tifffile.imwrite(part, np.where(pixels == 2, 0, pixels), photometric="minisblack", metadata=metadata)
    config = config_of(image, first, tmp_path / "run").model_copy(update={"inputs": (image, first, image, part)})
    more = Join(0, str(write(tmp_path / "more.tif", painted(1, 4))), (4,))
    # Of labels that are away nobody can say which sections are new.
    person = Person({3: [Join(1, str(tmp_path / "away.tif"), ())], 6: [more]})

    def joins() -> Sequence[Join]:
        if person.step == 5:
            tifffile.imwrite(tmp_path / "away.tif", pixels, photometric="minisblack", metadata=metadata)
        return person.joins()

    events = list(train(config, joins=joins))
    assert joined_in(config.out) == [Kept(6, 0, (4,)), Kept(6, 1, (3,))]
    said = [event.text for event in events if isinstance(event, NotJoined)]
    assert [text[:40] for text in said] == [f"Not learned: {tmp_path / 'away.tif'}"[:40], ""]


def test_what_is_learned_already_does_not_join(session) -> None:
    config, _ = session
    strokes = {3: [Join(0, str(config.pairs[0][1]), (0, 1, 2))]}
    events = list(train(config, joins=Person(strokes).joins))
    assert not joined(events)
    assert joined_in(config.out) == []
