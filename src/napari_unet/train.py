"""train(...): fine-tune a U-Net on painted labels, as a generator of events.

Read it from top to bottom: what the labels mean, what is painted, which network, how many steps, the loop.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from napari_unet import holdout, requests
from napari_unet.augment import CHANGES
from napari_unet.card import MODEL_FILE, Card, where_it_is
from napari_unet.classes import PixelClass
from napari_unet.config import TrainConfig
from napari_unet.crops import Crops, Judged, PaintedSection, judged_tiles, painted_sections
from napari_unet.device import choose, memory_problems
from napari_unet.disk import write_whole
from napari_unet.events import Event, Finished, Loss, Notice, Previewed, Progress, Score, Started
from napari_unet.learner import Learner
from napari_unet.lookout import Lookout
from napari_unet.model import load, save
from napari_unet.painting import UNCOUNTED, Meaning, painted_whole
from napari_unet.plan import JUDGEMENTS, first_network, peak_rate, plan_classes, steps_in
from napari_unet.preview import PREVIEW
from napari_unet.problem import Problem
from napari_unet.runs import Run, open_run
from napari_unet.unet import UNet
from napari_unet.volume import open_volume
from napari_unet.words import counted

CHECKPOINT = "checkpoint.safetensors"
_CHECKPOINT_EVERY = 60.0  # seconds
_LOSS_EVERY = 5  # steps
_SETTLED = 2 / 3  # share of the steps after which the learning rate has come down to a quarter
_DOUBT = 0.3  # share of the start model's opinion in strokes: what is painted still outweighs it


def train(
    config: TrainConfig,
    should_stop: Callable[[], bool] = lambda: False,
    asked: Callable[[], requests.Preview | None] = lambda: None,
) -> Iterator[Event]:
    """Train a model on painted labels.

    A run that was stopped or killed goes on where its last checkpoint was, to the same weights: on the processor,
    the same settings (thread count included) give the same weights bit for bit.

    Parameters
    ----------
    config : TrainConfig
    should_stop : callable
        Asked between two steps; when it returns True, the training is saved and ends.
    asked : callable
        Asked between two steps for a part of the first image to preview, if any. Previews change nothing.

    Yields
    ------
    Event
        The last is Finished.

    Raises
    ------
    Problem
        If something the user can mend is wrong; what was there before is untouched.
    """
    run = open_run(config)

    def events() -> Iterator[Event]:
        with memory_problems("Choose smaller crops (--crop 80) or fewer at once (--batch 2)."):
            yield from _train(run.config or config, run, run.finished, should_stop, asked)

    yield from run.record(events())


def _train(
    config: TrainConfig,
    run: Run,
    finished: Finished | None,
    should_stop: Callable[[], bool],
    asked: Callable[[], requests.Preview | None],
) -> Iterator[Event]:
    compute = choose(config)
    yield Started("train", str(compute), counted(len(config.pairs), "painted layer"))

    start = None if config.start_from == "scratch" else load(config.start_from)
    classes, meaning = plan_classes(config, start)
    sections = painted_sections(config.pairs, meaning, config.balance, config.border_weight, config.channel)
    fingerprints = {"start model": start.sha256 if start else "scratch"} | _fingerprints(sections)
    if run.config is not None:
        run.check_inputs(fingerprints)
    if finished is not None:
        yield replace(finished, detail=f"already done: {finished.detail.removeprefix('already done: ')}")
        return
    held = sum(int((section.held != UNCOUNTED).sum()) for section in sections)
    yield Notice(_what_is_painted(sections, classes, meaning, held))

    crops = Crops(sections, len(classes), config.crop, config.seed, compute.kind, CHANGES[config.augmentation])
    judged = judged_tiles(sections, config.seed)
    net = first_network(config, start, classes)
    known = start is not None and [c.name for c in start.card.classes] == [c.name for c in classes]
    held_to = start.net if start and known else None
    strokes = not all(painted_whole(section.learn != UNCOUNTED) for section in sections)
    peak = config.learning_rate or peak_rate(start, known)
    doubt = _DOUBT if strokes else 0.0

    def learner(steps: int) -> Learner:
        return Learner(copy.deepcopy(net), compute, steps, peak, config.seed, start is not None, held_to, doubt)

    if run.config is None:
        steps = config.steps or steps_in(config.minutes, learner(1000), crops, judged, config)
        used = {"steps": steps, "threads": compute.threads, "device": compute.kind, "precision": compute.precision}
        used |= {"learning_rate": peak, "start_from": where_it_is(config.start_from)}
        config = config.model_copy(update=used)
        for pair, (path, _) in enumerate(config.pairs):
            labels = {section.z: section.labels for section in sections if section.pair == pair}
            run.keep_labels(pair, open_volume(path, config.channel), labels)
        run.begin(config, fingerprints)
    card = Card(
        name=config.out.name,
        classes=classes,
        separator=classes[meaning.separator].name if meaning.separator is not None else "",
        width=net.head.in_channels,
        batch_norm=start.card.batch_norm if start else True,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=config.command(),
        started_from=f"{start.card.name} {start.sha256}" if start else "scratch",
        voxel_size=_voxel_sizes(config),
    )
    loop = _Loop(config, run, learner(config.steps), net, judged, card, trusted=held >= holdout.TRUSTED)
    look = Lookout(open_volume(config.pairs[0][0], config.channel), classes, compute, run.folder / PREVIEW)
    yield from loop.events(crops, should_stop, lambda step: look.preview(loop.average, step, asked()))


class _Loop:
    """The steps of a training, with its judgements and checkpoints."""

    def __init__(
        self,
        config: TrainConfig,
        run: Run,
        learner: Learner,
        start: UNet,
        judged: Sequence[Judged],
        card: Card,
        trusted: bool,
    ) -> None:
        self._config, self._folder, self._learner, self._start = config, run.folder, learner, start
        self._judged, self._card, self._trusted = judged, card, trusted
        self._every = max(10, config.steps // JUDGEMENTS)
        self._best, self._best_step, self._first = -math.inf, 0, -math.inf

    @property
    def average(self) -> UNet:
        """The network as it would be kept now."""
        return self._learner.average

    def events(
        self, crops: Crops, should_stop: Callable[[], bool], preview: Callable[[int], Previewed | Notice | None]
    ) -> Iterator[Event]:
        """Do all steps that are left."""
        steps = self._config.steps
        step = first = self._resume()
        yield Notice(f"Going on from step {step:,} of {steps:,}.") if step else self._judge(0)
        began = saved = time.monotonic()
        losses: list[float] = []
        while step < steps and not should_stop():
            losses.append(self._learner.learn(crops.batch(step, self._config.batch), step))
            if not math.isfinite(losses[-1]):
                raise Problem(
                    f"The training came apart at step {step}: its loss is no longer a number. "
                    "Train again into another folder (--out) with a smaller learning rate (--learning-rate)."
                )
            step += 1
            if step % _LOSS_EVERY == 0 or step == steps:
                yield Loss(step, float(np.mean(losses)))
                losses.clear()
                yield Progress(step, steps, "step", (time.monotonic() - began) / (step - first) * (steps - step))
            if step % self._every == 0 or step == steps:
                yield self._judge(step)
            if shown := preview(step):
                yield shown
            if time.monotonic() - saved > _CHECKPOINT_EVERY:
                self._save(step)
                saved = time.monotonic()
        self._save(step)
        if step < steps and not self._trusted:
            self._keep(step, self._learner.average)
        yield self._finished(step)

    def _judge(self, step: int) -> Score:
        """Score the averaged weights, and write the model if they are to be kept.

        While the learning rate is high, the score of a moment says little of the weights: of them, only those of a
        training that is stopped are kept. Once it has come down, the best from then on are, if they beat the start.
        """
        iou = self._learner.judge(self._judged)
        if step == 0:
            self._first = iou
        elif self._trusted and (step - 1) // self._every * self._every < _SETTLED * self._config.steps <= step:
            self._best = self._first
            self._keep(0, self._start)
        # Too few held-out pixels cannot tell which weights are better: then the last ones are kept.
        if not self._trusted or iou > self._best:
            self._best = iou
            self._keep(step, self._learner.average)
        if math.isnan(iou):
            return Score(step, None, None, trusted=False)
        return Score(step, iou, self._best, self._trusted)

    def _keep(self, step: int, net: UNet) -> None:
        """Write the weights of a step as the model."""
        self._best_step = step
        scores = {"held-out IoU": round(self._best, 4)} if self._trusted else {}
        save(self._folder / MODEL_FILE, net, replace(self._card, step=step, scores=scores))

    def _finished(self, step: int) -> Finished:
        """Say what is kept."""
        if self._trusted:
            kept = f"kept the weights of step {self._best_step:,}, held-out IoU {self._best:.3f}"
            if self._best_step == 0:
                kept = f"no step was better than the start (held-out IoU {self._best:.3f}), so the start is kept"
        else:
            kept = f"kept the weights of step {self._best_step:,}; too little is painted to score them"
        done = f"{step:,} of {self._config.steps:,} steps"
        return Finished(str(self._folder / MODEL_FILE), f"{done}, {kept}", stopped=step < self._config.steps)

    def _save(self, step: int) -> None:
        """Write the checkpoint, whole or not at all."""
        where = {"step": step, "best": self._best, "best_step": self._best_step, "first": self._first}
        state = to_bytes(self._learner.state(), {"napari-unet": json.dumps(where)})
        write_whole(self._folder / CHECKPOINT, lambda beside: beside.write_bytes(state))

    def _resume(self) -> int:
        """Go to the checkpoint, if there is one, and return its step."""
        path = self._folder / CHECKPOINT
        if not path.exists():
            return 0
        try:
            with safe_open(path, framework="pt") as file:
                where = json.loads(file.metadata()["napari-unet"])
                self._learner.restore({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise Problem(
                f"{path} is damaged. Delete it and run the same command again: the training starts from its first step."
            ) from error
        self._best, self._best_step, self._first = where["best"], where["best_step"], where["first"]
        return where["step"]


def _what_is_painted(
    sections: Sequence[PaintedSection], classes: Sequence[PixelClass], meaning: Meaning, held: int
) -> str:
    """Say how much is painted, what is held out, and what the values mean."""
    counts = np.sum([np.bincount(s.learn.ravel(), minlength=256)[: len(classes)] for s in sections], axis=0)
    painted = ", ".join(f"{n:,} of {c.name} ({c.value})" for n, c in zip(counts, classes, strict=True))
    told = counted(len(sections), "painted section")
    text = f"{told}. Pixels to learn from: {painted}. Held out to judge by: {held:,}."
    if held < holdout.TRUSTED:
        text += " That is too little to trust a score, so the last weights will be kept."
    zero = classes[meaning.separator or 0].name if meaning.objects else classes[0].name
    return f"{text} Value 0 means {zero if meaning.zero_counts else 'not labelled'}."


def _fingerprints(sections: Sequence[PaintedSection]) -> dict[str, str]:
    """Return a SHA-256 of image and labels for each painted section."""
    return {
        f"pair {s.pair + 1}, section {s.z}": hashlib.sha256(
            np.ascontiguousarray(s.image).data.tobytes() + np.ascontiguousarray(s.labels).data.tobytes()
        ).hexdigest()
        for s in sections
    }


def _voxel_sizes(config: TrainConfig) -> tuple[tuple[float, float, float], ...]:
    """Return the known voxel sizes of the images, each once."""
    sizes = [open_volume(image, config.channel).voxel_size for image, _ in config.pairs]
    return tuple(dict.fromkeys(size for size in sizes if size))
