"""Training: exact, resumable, judged honestly, and it learns what is painted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from safetensors.torch import load_file

from napari_unet.config import SegmentConfig, TrainConfig
from napari_unet.crops import Batch
from napari_unet.device import choose
from napari_unet.events import Event, Failed, Finished, Loss, Notice, Previewed, Progress, Score, Started
from napari_unet.grey import measure
from napari_unet.kept import labels_of
from napari_unet.learner import Learner
from napari_unet.library import free
from napari_unet.log import LOG, read
from napari_unet.model import load
from napari_unet.predict import logits
from napari_unet.preview import load_preview
from napari_unet.problem import Problem
from napari_unet.report import report
from napari_unet.requests import Preview
from napari_unet.runs import as_begun
from napari_unet.samples import IMAGE, TRUTH
from napari_unet.segment import segment
from napari_unet.tiles import Box
from napari_unet.train import train
from napari_unet.volume import open_volume


@pytest.fixture
def painted(tmp_path: Path) -> tuple[Path, Path]:
    """A small stack of dark lines on a bright ground, one section painted with strokes."""
    rng = np.random.default_rng(0)
    lines = (np.add.outer(np.arange(96), np.arange(96)) % 24) < 5
    image = np.stack([np.where(lines, 60, 180) + rng.normal(0, 15, lines.shape) for _ in range(3)])
    labels = np.zeros(image.shape, np.uint8)
    labels[1, ::4] = np.where(lines, 2, 1)[::4]
    tifffile.imwrite(tmp_path / "image.tif", image.astype(np.uint8), photometric="minisblack", metadata={"axes": "ZYX"})
    tifffile.imwrite(tmp_path / "labels.tif", labels, photometric="minisblack", metadata={"axes": "ZYX"})
    return tmp_path / "image.tif", tmp_path / "labels.tif"


def small(painted: tuple[Path, Path], out: Path, **changes: object) -> TrainConfig:
    """A training of a few seconds."""
    fields = {"steps": 12, "threads": 1, "crop": 16, "batch": 1, "inputs": painted, "out": out}
    fields |= {"start_from": "em-membrane-small"}
    return TrainConfig.model_validate(fields | changes)


def finish(config: TrainConfig) -> Finished:
    last = list(train(config))[-1]
    assert isinstance(last, Finished)
    return last


def assert_same_weights(one: Path, other: Path) -> None:
    weights = [load(str(path)).net.state_dict() for path in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    for name in weights[0]:
        assert torch.equal(weights[0][name], weights[1][name]), name


def test_same_settings_same_weights_another_seed_others(painted: tuple[Path, Path], tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        finish(small(painted, tmp_path / name, seed=seed, steps=4))
    assert_same_weights(tmp_path / "a", tmp_path / "b")
    with pytest.raises(AssertionError):
        assert_same_weights(tmp_path / "a", tmp_path / "c")


@pytest.mark.slow
def test_previews_and_random_draws_elsewhere_change_nothing(painted: tuple[Path, Path], tmp_path: Path) -> None:
    finish(small(painted, tmp_path / "a", steps=6))
    seen = []
    for event in train(small(painted, tmp_path / "b", steps=6), asked=lambda: Preview(0, 5, 60, 10, 50)):
        torch.rand(3)
        np.random.default_rng().random()
        if isinstance(event, Previewed):
            seen.append(event.step)
    assert seen == list(range(7))
    assert_same_weights(tmp_path / "a", tmp_path / "b")
    states = [load_file(tmp_path / name / "checkpoint.safetensors") for name in "ab"]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_less_is_painted_the_nearer_the_model_stays_to_its_start(
    painted: tuple[Path, Path], tmp_path: Path
) -> None:
    config = small(painted, tmp_path / "run")
    said = next(event.text for event in list(train(config)) if isinstance(event, Notice))
    pixels = sum(int(count.replace(",", "")) for count in re.findall(r"([\d,]+) of \w+ \(", said))
    assert 0 < pixels < 5_000
    learned = load_file(config.out / "checkpoint.safetensors")
    start, kept = (load(name).net.state_dict() for name in ("em-membrane-small", str(config.out)))
    for name in ("head.weight", "down.0.0.weight"):
        share = pixels / (pixels + 5_000)
        torch.testing.assert_close(kept[name], start[name].lerp(learned[f"average.{name}"], share))


# ---- previews


def previewed(config: TrainConfig, asked: Preview) -> list[Event]:
    """Return the previews of a training that is asked for one once, or what is said instead."""
    once = iter([asked])
    events = list(train(config, asked=lambda: next(once, None)))
    assert isinstance(events[-1], Finished)
    said = [event for event in events if isinstance(event, Previewed | Notice)]
    assert isinstance(said[0], Notice)  # what is painted
    return said[1:]


def test_a_model_that_knows_the_classes_is_previewed_before_steps_are_timed(
    painted: tuple[Path, Path], tmp_path: Path
) -> None:
    config = small(painted, tmp_path / "run", steps=0, minutes=0.01, precision="float32")
    events = train(config, asked=lambda: Preview(2, 0, 96, 0, 96))
    assert isinstance(next(events), Started)
    assert isinstance(next(events), Notice)  # what is painted
    assert next(events) == Previewed(0, str(config.out / "preview.safetensors"))
    image = np.asarray(open_volume(painted[0]).section(2))
    start, compute = load("em-membrane-small"), choose(config)
    channels = logits(start.net, image, measure(image, ""), Box(2, 3, 0, 96, 0, 96), 96, compute).argmax(0).numpy()
    values = np.array([each.value for each in start.card.classes], np.uint8)
    np.testing.assert_array_equal(load_preview(config.out / "preview.safetensors").classes, values[channels])
    events.close()  # as a kill would
    assert finish(config).path == str(config.out / "model.safetensors")


def test_a_preview_does_not_keep_who_stops(painted: tuple[Path, Path], tmp_path: Path) -> None:
    asked: list[object] = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) > 2

    config = small(painted, tmp_path / "run")
    *said, last = train(config, stop, lambda: Preview(2, 0, 96, 0, 96))
    assert isinstance(last, Finished)
    assert last.stopped
    assert not any(isinstance(event, Previewed) for event in said)


def test_a_preview_is_what_the_model_of_its_step_says(painted: tuple[Path, Path], tmp_path: Path) -> None:
    config = small(painted, tmp_path / "run", steps=1, classes="ground,line", zero="background", precision="float32")
    path = config.out / "preview.safetensors"
    assert previewed(config, Preview(2, 30, 500, -4, 20)) == [Previewed(1, str(path))]
    found = load_preview(path)
    assert (found.z, found.y, found.x) == (2, 30, 0)
    image = np.asarray(open_volume(painted[0]).section(2))
    net, grey, compute = load(str(config.out)).net, measure(image, ""), choose(config)
    whole = logits(net, image, grey, Box(2, 3, 0, 96, 0, 96), 96, compute).argmax(0).numpy()
    np.testing.assert_array_equal(found.classes, whole[30:, :20])


@pytest.mark.parametrize(
    "asked",
    [
        Preview(-1, 0, 9, 0, 9),
        Preview(3, 0, 9, 0, 9),
        Preview(0, 96, 99, 0, 9),
        Preview(0, 9, 9, 0, 9),
        Preview(0, 0, 9, -9, 0),
    ],
)
def test_a_preview_of_nothing_is_none(painted: tuple[Path, Path], tmp_path: Path, asked: Preview) -> None:
    assert previewed(small(painted, tmp_path / "run", steps=1), asked) == []


def test_a_section_that_cannot_be_shown_ends_no_training(painted: tuple[Path, Path], tmp_path: Path) -> None:
    image = tifffile.imread(painted[0]).astype(np.float32)
    image[2, 0, 0] = np.nan
    tifffile.imwrite(painted[0], image, photometric="minisblack", metadata={"axes": "ZYX"})
    (said,) = previewed(small(painted, tmp_path / "run", steps=1), Preview(2, 0, 9, 0, 9))
    assert isinstance(said, Notice)
    assert re.match(r"There is no preview. Section 2 of .*image.tif holds grey values that are not numbers", said.text)


def test_too_little_memory_is_said_and_logged(
    painted: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("napari_unet.learner.Learner.learn", full)
    config = small(painted, tmp_path / "run")
    with pytest.raises(Problem, match=r"not enough memory. Choose smaller crops") as problem:
        finish(config)
    assert read(config.out / LOG)[0][-1] == Failed(str(problem.value))


# ---- stopped and gone on


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_weights(painted: tuple[Path, Path], tmp_path: Path) -> None:
    finish(small(painted, tmp_path / "whole"))
    config = small(painted, tmp_path / "stopped")
    seen: list[Event] = []
    for event in train(config, lambda: any(isinstance(e, Loss) for e in seen)):
        seen.append(event)
    assert isinstance(event, Finished)
    assert event.stopped
    assert load(str(config.out)).card.step < 12
    events = list(train(config))
    assert Notice("Going on from step 5 of 12.") in events
    assert_same_weights(tmp_path / "whole", tmp_path / "stopped")
    assert finish(config).detail.startswith("already done")


def test_a_training_that_is_stopped_while_its_time_is_measured_has_not_begun(
    painted: tuple[Path, Path], tmp_path: Path
) -> None:
    config = small(painted, tmp_path / "run").model_copy(update={"steps": 0, "minutes": 5.0})
    *_, end = train(config, lambda: True)
    assert end == Finished(str(config.out), "nothing was learned yet", stopped=True)
    assert {path.name for path in config.out.iterdir()} == {"log.jsonl", "training.lock"}
    assert free(tmp_path, "run") == config.out  # its name is not taken


def test_a_training_that_is_stopped_before_its_first_step_leaves_no_model(
    painted: tuple[Path, Path], tmp_path: Path
) -> None:
    config = small(painted, tmp_path / "run")
    *_, end = train(config, lambda: True)
    assert end == Finished(str(config.out), "0 of 12 steps, nothing was learned yet", stopped=True)
    assert not (config.out / "model.safetensors").exists()
    assert "12 of 12" in finish(config).detail
    assert load(str(config.out)).card.step == 12


def test_a_killed_training_goes_on_to_the_same_weights(painted: tuple[Path, Path], tmp_path: Path) -> None:
    config = small(painted, tmp_path / "killed", steps=20)
    first = small(painted, tmp_path / "whole", steps=20)
    finish(first)
    arguments = [str(p) for p in painted] + ["--out", str(config.out), "--steps", "20", "--threads", "1"]
    arguments += ["--start-from", "em-membrane-small"]
    command = [sys.executable, "-m", "napari_unet.cli", "train", *arguments, "--crop", "16", "--batch", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not (config.out / "log.jsonl").exists() or '"loss"' not in (config.out / "log.jsonl").read_text():
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    finish(config)
    assert_same_weights(first.out, config.out)


def test_a_checkpoint_left_by_a_crash_is_gone_on_from(
    painted: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(small(painted, tmp_path / "whole", steps=7))
    monkeypatch.setattr("napari_unet.loop._CHECKPOINT_EVERY", 0.0)
    crashed = train(small(painted, tmp_path / "crashed", steps=7))
    next(event for event in crashed if isinstance(event, Loss) and event.step == 5)
    crashed.close()
    events = list(train(small(painted, tmp_path / "crashed", steps=7)))
    assert any("Going on from step" in event.text for event in events if isinstance(event, Notice))
    assert_same_weights(tmp_path / "whole", tmp_path / "crashed")


def test_minutes_become_steps_and_the_settings_are_kept_as_used(painted: tuple[Path, Path], tmp_path: Path) -> None:
    config = small(painted, tmp_path / "run", steps=0, minutes=0.05)
    events = list(train(config))
    used = json.loads((config.out / "config.json").read_text())
    assert used["steps"] == max(e.total for e in events if isinstance(e, Progress)) > 0
    compute = choose(config)
    assert (used["device"], used["precision"], used["threads"]) == (compute.kind, compute.precision, 1)
    assert used["minutes"] == 0.05
    assert used["learning_rate"] > 0
    timed = Notice("A few steps are timed first, to know how many fit into the time.")
    assert timed in events
    assert timed not in list(train(small(painted, tmp_path / "given", steps=3)))
    assert finish(config).detail.startswith("already done")


def test_changed_labels_are_refused_on_resuming(painted: tuple[Path, Path], tmp_path: Path) -> None:
    config = small(painted, tmp_path / "run", steps=11)
    list(train(config, lambda: True))
    labels = tifffile.imread(painted[1])
    labels[1, 1, 1] = 1
    tifffile.imwrite(painted[1], labels, photometric="minisblack", metadata={"axes": "ZYX"})
    with pytest.raises(Problem, match=r"changed since .* was begun \(pair 1, section 1\)"):
        finish(config)


def test_another_setting_is_refused(painted: tuple[Path, Path], tmp_path: Path) -> None:
    finish(small(painted, tmp_path / "run", steps=1))
    with pytest.raises(Problem, match="was begun with seed 0, not 3"):
        finish(small(painted, tmp_path / "run", steps=1, seed=3))


@pytest.fixture
def painted_whole(painted: tuple[Path, Path]) -> tuple[Path, Path]:
    """The same, each section painted whole: enough is held out."""
    labels = tifffile.imread(painted[1])
    lines = (np.add.outer(np.arange(96), np.arange(96)) % 24) < 5
    labels[:] = np.where(lines, 2, 1)
    tifffile.imwrite(painted[1], labels, photometric="minisblack", metadata={"axes": "ZYX"})
    return painted


@pytest.fixture
def _average_tells_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learn nothing; of the averaged network, the biases of the last layer are the number of steps. It alone counts."""
    monkeypatch.setattr("napari_unet.loop._FEW", 0)

    def learn(self: Learner, _batch: Batch, step: int) -> float:
        self._average.head.bias.fill_(step + 1)
        return 1.0

    monkeypatch.setattr(Learner, "learn", learn)


@pytest.mark.usefixtures("_average_tells_its_step")
@pytest.mark.parametrize(
    ("ious", "kept", "bests"),
    [
        # Judged at steps 0, 10, 20, 30 and 40; from 30 on the learning rate has come down.
        ((0.5, 0.9, 0.8, 0.6, 0.7), 40, (0.5, 0.9, 0.9, 0.6, 0.7)),
        ((0.5, 0.9, 0.8, 0.7, 0.6), 30, (0.5, 0.9, 0.9, 0.7, 0.7)),
        ((0.5, 0.9, 0.8, 0.4, 0.3), 0, (0.5, 0.9, 0.9, 0.5, 0.5)),
    ],
)
def test_the_best_of_the_last_third_is_kept_if_it_beats_the_start(
    painted_whole: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ious, kept, bests
) -> None:
    left = list(ious)
    monkeypatch.setattr("napari_unet.learner.Learner.judge", lambda *_: left.pop(0))
    config = small(painted_whole, tmp_path / "run", steps=40)
    scores = [e for e in train(config) if isinstance(e, Score)]
    assert [(s.iou, s.best, s.trusted) for s in scores] == [(i, b, True) for i, b in zip(ious, bests, strict=True)]
    found = load(str(config.out))
    assert (found.card.step, found.card.scores) == (kept, {"held-out IoU": bests[-1]})
    weights, start = (model.net.state_dict() for model in (found, load("em-membrane-small")))
    if kept:
        start["head.bias"].fill_(kept)
    assert all(torch.equal(weights[name], start[name]) for name in start)


@pytest.mark.usefixtures("_average_tells_its_step")
def test_a_training_that_is_stopped_before_keeps_its_best_and_may_go_on(
    painted_whole: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [0.5, 0.9, 0.8, 0.4, 0.6]
    monkeypatch.setattr("napari_unet.learner.Learner.judge", lambda *_: left.pop(0))
    config = small(painted_whole, tmp_path / "run", steps=40)
    list(train(config, lambda: len(left) == 2))
    assert load(str(config.out)).card.step == 10
    list(train(config))
    assert load(str(config.out)).card.step == 40


def test_with_too_little_held_out_the_last_is_kept(painted: tuple[Path, Path], tmp_path: Path) -> None:
    config = small(painted, tmp_path / "run")
    events = list(train(config))
    assert not any(e.trusted for e in events if isinstance(e, Score))
    assert any("too little to trust" in e.text for e in events if isinstance(e, Notice))
    card = load(str(config.out)).card
    assert card.step == 12
    assert card.scores == {}


def test_new_classes_from_the_bundled_model(painted: tuple[Path, Path], tmp_path: Path) -> None:
    finish(small(painted, tmp_path / "run", steps=1, classes="ground,line", zero="background"))
    card = load(str(tmp_path / "run")).card
    assert [(c.value, c.name) for c in card.classes] == [(0, "background"), (1, "ground"), (2, "line")]
    assert card.started_from.startswith("em-membrane-small ")


@pytest.mark.parametrize(("classes", "held"), [("", True), ("ground,line", False), ("membrane,interior", False)])
def test_only_the_same_classes_are_held_to_the_start_model(
    painted: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: str, held: bool
) -> None:
    compared: list[int] = []

    def counted(logits: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        compared.append(1)
        return logits.sum() * 0

    monkeypatch.setattr("napari_unet.learner.held_back", counted)
    finish(small(painted, tmp_path / "run", steps=2, classes=classes))
    assert len(compared) == (4 if held else 0)  # in each step, where something is painted and where nothing is


def test_several_pairs_of_different_sizes(painted: tuple[Path, Path], tmp_path: Path) -> None:
    second = (tmp_path / "second.tif", tmp_path / "second_labels.tif")
    for path, source in zip(second, painted, strict=True):
        tifffile.imwrite(
            path, tifffile.imread(source)[1:2, :50, :70], photometric="minisblack", metadata={"axes": "ZYX"}
        )
    events = list(train(small(painted, tmp_path / "run", steps=2, inputs=(*painted, *second))))
    assert any("2 painted sections" in e.text for e in events if isinstance(e, Notice))


def v_rand_of(model: str, out: Path) -> float:
    """V_rand of the sample's sections 9 to 14, none of them painted, at the threshold 0.5."""
    list(segment(SegmentConfig(image=IMAGE, out=out, model=model, region="9:15,:,:", threads=1)))
    return float(report(out, TRUTH, "membrane")["at_0.5"]["v_rand"])


@pytest.mark.slow
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_painted_section_helps_and_a_shuffled_one_does_not(tmp_path: Path, shuffled: bool) -> None:
    truth = np.asarray(open_volume(TRUTH).array[:])
    painted = np.zeros_like(truth)
    painted[6] = (
        np.random.default_rng(0).permutation(truth[6].ravel()).reshape(truth[6].shape) if shuffled else truth[6]
    )
    tifffile.imwrite(tmp_path / "painted.tif", painted, metadata={"axes": "ZYX"})
    model = "em-membrane-small"
    inputs, out = (IMAGE, tmp_path / "painted.tif"), tmp_path / "run"
    finish(TrainConfig(inputs=inputs, out=out, start_from=model, steps=50, batch=2, threads=1))
    before = v_rand_of(model, tmp_path / "before.zarr")
    after = v_rand_of(str(tmp_path / "run"), tmp_path / "after.zarr")
    assert (after > before) != shuffled, (before, after)


def test_a_finished_run_whose_labels_were_painted_on_is_not_already_done(
    painted: tuple[Path, Path], tmp_path: Path
) -> None:
    config = small(painted, tmp_path / "run", steps=1)
    finish(config)
    labels = tifffile.imread(painted[1])
    np.testing.assert_array_equal(open_volume(labels_of(config.out, 0), labels=True).array[:], labels)
    labels[1, 1, 1] = 1
    tifffile.imwrite(painted[1], labels, photometric="minisblack", metadata={"axes": "ZYX"})
    with pytest.raises(Problem, match="changed since"):
        finish(config)


def test_a_training_goes_on_with_the_labels_it_keeps_whatever_was_painted_since(
    painted: tuple[Path, Path], tmp_path: Path
) -> None:
    finish(small(painted, tmp_path / "whole", steps=4))
    config = small(painted, tmp_path / "run", steps=4)
    assert as_begun(config) == config
    list(train(config, lambda: True))
    labels = tifffile.imread(painted[1])
    labels[1, 1, 1] = 1
    tifffile.imwrite(painted[1], labels, photometric="minisblack", metadata={"axes": "ZYX"})
    with pytest.raises(Problem, match="changed since"):
        finish(config)
    finish(as_begun(config))
    assert_same_weights(tmp_path / "whole", tmp_path / "run")


def test_labels_of_a_part_that_go_on_say_nothing_of_the_rest(painted: tuple[Path, Path], tmp_path: Path) -> None:
    """Where 0 means background, it does so in the labels, not beside them."""
    metadata = {"axes": "ZYX", "offset": (0, 8, 20)}
    part = tifffile.imread(painted[1])[:, 8:72, 20:80]
    tifffile.imwrite(painted[1], part, photometric="minisblack", metadata=metadata)
    settings = {"steps": 4, "zero": "background", "classes": "ground,line"}
    finish(small(painted, tmp_path / "whole", **settings))
    config = small(painted, tmp_path / "run", **settings)
    list(train(config, lambda: True))
    finish(as_begun(config))
    assert_same_weights(tmp_path / "whole", tmp_path / "run")


def test_a_changed_start_model_is_refused_on_resuming(painted: tuple[Path, Path], tmp_path: Path) -> None:
    finish(small(painted, tmp_path / "first", steps=1))
    config = small(painted, tmp_path / "second", steps=3, start_from=str(tmp_path / "first"))
    list(train(config, lambda: True))
    finish(small(painted, tmp_path / "other", steps=2, seed=9))
    (tmp_path / "other" / "model.safetensors").replace(tmp_path / "first" / "model.safetensors")
    with pytest.raises(Problem, match="start model"):
        finish(config)


@pytest.mark.slow
def test_a_moved_run_goes_on(painted: tuple[Path, Path], tmp_path: Path) -> None:
    finish(small(painted, tmp_path / "whole", steps=2))
    list(train(small(painted, tmp_path / "before", steps=2), lambda: True))
    (tmp_path / "before").rename(tmp_path / "after")
    moved = tuple(path.rename(tmp_path / f"moved-{path.name}") for path in painted)
    finish(small(moved, tmp_path / "after", steps=2))
    assert_same_weights(tmp_path / "whole", tmp_path / "after")


def test_a_training_that_comes_apart_is_no_success(painted: tuple[Path, Path], tmp_path: Path) -> None:
    config = small(painted, tmp_path / "run", steps=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_unet.learner.Learner.learn", lambda *_: float("nan"))
        with pytest.raises(Problem, match=r"came apart at step 0.* smaller learning rate"):
            finish(config)


def test_a_damaged_checkpoint_is_said(painted: tuple[Path, Path], tmp_path: Path) -> None:
    config = small(painted, tmp_path / "run")
    list(train(config, lambda: True))
    checkpoint = config.out / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:3000])
    with pytest.raises(Problem, match=r"checkpoint.safetensors is damaged. Delete it"):
        finish(config)


@pytest.mark.parametrize(
    ("zero", "objects", "classes", "said"),
    [
        ("unlabelled", False, "interior,membrane", "Value 0 means not labelled."),
        ("background", False, "interior,membrane", "Value 0 means background."),
        ("background", True, "cell", "Value 0 means background."),
        ("background", True, "cell,membrane", "Value 0 means membrane."),
    ],
)
def test_what_zero_means_is_said(
    painted: tuple[Path, Path], tmp_path: Path, zero: str, objects: bool, classes: str, said: str
) -> None:
    config = small(painted, tmp_path / "run", steps=1, zero=zero, objects=objects, classes=classes)
    assert any(said in event.text for event in train(config) if isinstance(event, Notice))


def test_another_width_than_the_start_model_is_refused(painted: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(Problem, match="width 16, which cannot be changed to 64"):
        finish(small(painted, tmp_path / "run", width=64))
