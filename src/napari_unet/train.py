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
from functools import partial

import numpy as np
import tifffile
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from napari_unet import holdout
from napari_unet.classes import PixelClass
from napari_unet.config import TrainConfig
from napari_unet.crops import Crops, Judged, PaintedSection, judged_tiles, painted_sections
from napari_unet.device import choose, memory_problems
from napari_unet.disk import disk_problems, write_whole
from napari_unet.events import Event, Finished, Loss, Notice, Progress, Score, Started
from napari_unet.learner import Learner
from napari_unet.model import MODEL_FILE, Card, load, save, where_it_is
from napari_unet.painting import UNCOUNTED, Meaning
from napari_unet.plan import JUDGEMENTS, first_network, plan_classes, steps_in
from napari_unet.problem import Problem
from napari_unet.runs import PAINTED, Run, open_run
from napari_unet.volume import open_volume

CHECKPOINT = "checkpoint.safetensors"
_CHECKPOINT_EVERY = 60.0  # seconds
_LOSS_EVERY = 5  # steps
_PEAK = {"scratch": 3e-3, "fine-tune": 5e-4}  # learning rates


def train(config: TrainConfig, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Train a model on painted labels.

    A run that was stopped or killed goes on where its last checkpoint was, to the same weights: on the processor,
    the same settings (thread count included) give the same weights bit for bit.

    Parameters
    ----------
    config : TrainConfig
    should_stop : callable
        Asked between two steps; when it returns True, the training is saved and ends.

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
    with memory_problems("Choose smaller crops (--crop 80) or fewer at once (--batch 2)."):
        yield from run.record(_train(run.config or config, run, run.finished, should_stop))


def _train(
    config: TrainConfig, run: Run, finished: Finished | None, should_stop: Callable[[], bool]
) -> Iterator[Event]:
    compute = choose(config)
    yield Started("train", str(compute), f"{len(config.pairs)} labels layer(s)")

    start = None if config.start_from == "scratch" else load(config.start_from)
    classes, meaning = plan_classes(config, start)
    sections = painted_sections(config.pairs, meaning, config.border_weight, config.channel)
    fingerprints = {"start model": start.sha256 if start else "scratch"} | _fingerprints(sections)
    if run.config is not None:
        run.check_inputs(fingerprints)
    if finished is not None:
        yield replace(finished, detail=f"already done: {finished.detail.removeprefix('already done: ')}")
        return
    held = sum(int((section.held != UNCOUNTED).sum()) for section in sections)
    yield Notice(_what_is_painted(sections, classes, meaning, held))

    crops = Crops(sections, len(classes), config.crop, config.seed, compute.kind)
    judged = judged_tiles(sections, config.seed)
    net = first_network(config, start, classes)
    peak = config.learning_rate or _PEAK["fine-tune" if start else "scratch"]

    same_classes = start is not None and [c.name for c in start.card.classes] == [c.name for c in classes]
    held_to = start.net if start and same_classes else None

    def learner(steps: int) -> Learner:
        return Learner(copy.deepcopy(net), compute, steps, peak, config.seed, start is not None, held_to)

    if run.config is None:
        steps = config.steps or steps_in(config.minutes, learner(1000), crops, judged, config)
        used = {"steps": steps, "threads": compute.threads, "device": compute.kind, "precision": compute.precision}
        used |= {"learning_rate": peak, "start_from": where_it_is(config.start_from)}
        config = config.model_copy(update=used)
        _keep_painted(run, sections)
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
    loop = _Loop(config, run, learner(config.steps), judged, card, trusted=held >= holdout.TRUSTED)
    yield from loop.events(crops, should_stop)


class _Loop:
    """The steps of a training, with its judgements and checkpoints."""

    def __init__(
        self, config: TrainConfig, run: Run, learner: Learner, judged: Sequence[Judged], card: Card, trusted: bool
    ) -> None:
        self._config, self._folder, self._learner = config, run.folder, learner
        self._judged, self._card, self._trusted = judged, card, trusted
        self._best, self._best_step = -math.inf, 0

    def events(self, crops: Crops, should_stop: Callable[[], bool]) -> Iterator[Event]:
        """Do all steps that are left."""
        steps, every = self._config.steps, max(10, self._config.steps // JUDGEMENTS)
        step = first = self._resume()
        yield Notice(f"Going on from step {step:,} of {steps:,}.") if step else self._judge(0)
        began = saved = time.monotonic()
        losses: list[float] = []
        while step < steps and not should_stop():
            losses.append(self._learner.learn(crops.batch(step, self._config.batch), step))
            if not math.isfinite(losses[-1]):
                raise Problem(
                    f"The training came apart at step {step}: its loss is no longer a number. "
                    "Train again into another folder (--out) with a smaller --learning-rate."
                )
            step += 1
            if step % _LOSS_EVERY == 0 or step == steps:
                yield Loss(step, float(np.mean(losses)))
                losses.clear()
                yield Progress(step, steps, "step", (time.monotonic() - began) / (step - first) * (steps - step))
            if step % every == 0 or step == steps:
                yield self._judge(step)
            if time.monotonic() - saved > _CHECKPOINT_EVERY:
                self._save(step)
                saved = time.monotonic()
        self._save(step)
        yield self._finished(step)

    def _judge(self, step: int) -> Score:
        """Score the averaged weights, and write the model if they are to be kept."""
        iou = self._learner.judge(self._judged)
        # Too few held-out pixels cannot tell which weights are better: then the last ones are kept.
        if not self._trusted or iou > self._best:
            self._best, self._best_step = iou, step
            card = replace(self._card, step=step, scores={"held-out IoU": round(iou, 4)} if self._trusted else {})
            save(self._folder / MODEL_FILE, self._learner.average, card)
        if math.isnan(iou):
            return Score(step, None, None, trusted=False)
        return Score(step, iou, self._best, self._trusted)

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
        where = {"napari-unet": json.dumps({"step": step, "best": self._best, "best_step": self._best_step})}
        state = to_bytes(self._learner.state(), where)
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
        self._best, self._best_step = where["best"], where["best_step"]
        return where["step"]


def _what_is_painted(
    sections: Sequence[PaintedSection], classes: Sequence[PixelClass], meaning: Meaning, held: int
) -> str:
    """Say how much is painted, what is held out, and what the values mean."""
    counts = np.sum([np.bincount(s.learn.ravel(), minlength=256)[: len(classes)] for s in sections], axis=0)
    painted = ", ".join(f"{n:,} of {c.name} ({c.value})" for n, c in zip(counts, classes, strict=True))
    text = f"{len(sections)} painted section(s). Pixels to learn from: {painted}. Held out to judge by: {held:,}."
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


def _keep_painted(run: Run, sections: Sequence[PaintedSection]) -> None:
    """Keep the painted sections as they are now."""
    folder = run.folder / PAINTED
    with disk_problems(folder):
        folder.mkdir(exist_ok=True)
    for s in sections:
        path = folder / f"{s.pair + 1}-{s.z:05d}.tif"
        write_whole(path, partial(tifffile.imwrite, data=s.labels, compression="zlib"))


def _voxel_sizes(config: TrainConfig) -> tuple[tuple[float, float, float], ...]:
    """Return the known voxel sizes of the images, each once."""
    sizes = [open_volume(image, config.channel).voxel_size for image, _ in config.pairs]
    return tuple(dict.fromkeys(size for size in sizes if size))
