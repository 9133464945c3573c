"""The steps of a training: learning, what joins, judging, previews, checkpoints."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from napari_unet import requests, timeline
from napari_unet.card import MODEL_FILE, Card
from napari_unet.config import TrainConfig
from napari_unet.crops import Judged, judged_tiles
from napari_unet.disk import disk_problems, write_whole
from napari_unet.events import Event, Finished, Joined, Loss, Notice, NotJoined, Previewed, Progress, Score
from napari_unet.joining import Refusals, learnable, same_learned, why_not
from napari_unet.kept import Joining, Kept, joined_in, keep_joined
from napari_unet.learner import Learner
from napari_unet.model import save
from napari_unet.painted import Change, Painted
from napari_unet.plan import JUDGEMENTS, crops_of
from napari_unet.problem import Problem
from napari_unet.runs import Run, held_in
from napari_unet.unet import UNet
from napari_unet.volume import open_volume
from napari_unet.words import counted

CHECKPOINT = "checkpoint.safetensors"
_CHECKPOINT_EVERY = 60.0  # seconds
_LOSS_EVERY = 5  # steps
_SETTLED = 2 / 3  # share of the steps after which the learning rate has come down to a quarter
_FEW = 5_000  # painted pixels at which the start model and what was learned count alike
_DOUBT = 0.3  # share of the start model's opinion in strokes: what is painted still outweighs it


class Loop:
    """The steps of a training, with what joins it, its judgements and checkpoints.

    Parameters
    ----------
    config : TrainConfig
        As it is used: with the number of steps.
    run : Run
    learner : Learner
    start : UNet
        The network as it was at first.
    painted : Painted
        What is painted at first.
    card : Card
        Of the models that it keeps.
    device : str
        Where crops are made: a kind of torch device.
    """

    def __init__(
        self, config: TrainConfig, run: Run, learner: Learner, start: UNet, painted: Painted, card: Card, device: str
    ) -> None:
        self._config, self._run, self._learner, self._start = config, run, learner, start
        self._card, self._device = card, device
        self._every = max(10, config.steps // JUDGEMENTS)
        self._best, self._best_step, self._first = -math.inf, 0, -math.inf
        self._kept = joined_in(run.folder)
        self._outdated = False  # more is held out now than when the best weights were judged
        self._judged: list[Judged] = []
        self._refusals = Refusals()
        self._painted = painted
        self._take(painted)

    @property
    def painted(self) -> Painted:
        """What is painted by now."""
        return self._painted

    @property
    def average(self) -> UNet:
        """The network as it would be kept now."""
        return self._learner.average

    def events(
        self,
        should_stop: Callable[[], bool],
        preview: Callable[[int], Previewed | Notice | None],
        joins: Callable[[], Sequence[requests.Join]],
    ) -> Iterator[Event]:
        """Do all steps that are left."""
        steps = self._config.steps
        step = first = self._resume()
        if step:
            yield Notice(f"Going on from step {step:,} of {steps:,}.")
            if any(kept.step < step for kept in self._kept):
                now = f"{counted(len(self._painted.sections), 'section')}, {counted(self._painted.learned, 'pixel')}"
                yield Notice(f"With what joined before, it learns from {now}.")
        elif not should_stop():
            yield self._judge(0)
        began = saved = time.monotonic()
        losses: list[float] = []
        while step < steps and not should_stop():
            yield from self._join(step, joins())
            losses.append(self._learner.learn(self._crops.batch(step, self._config.batch), step))
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
        if step < steps and not self._painted.trusted:
            self._keep(step, self._learner.average)
        yield self._finished(step)

    def _join(self, step: int, asked: Sequence[requests.Join]) -> Iterator[Joined | NotJoined]:
        """Learn from now on what joined at this step when it was trained before, and what is asked for now.

        All that joins at a step is one change: so a repetition needs to know nothing of the order in which it came.
        """
        before, replayed = self._painted, self._kept_at(step)
        if replayed:
            yield self._take(before.joined(replayed), step)
        if not asked:
            return
        later: dict[int, set[int]] = {}  # before the training was resumed here; it joins now
        for kept in self._kept:
            if kept.step >= step:
                later.setdefault(kept.pair, set()).update(kept.sections)
        new = learnable(self._painted, asked, later, self._refusals)
        if new:
            yield from self._learn(step, before, replayed, new)
        yield from self._refusals.tell()

    def _kept_at(self, step: int) -> list[Change]:
        """Return what the run keeps of what joined it at a step."""
        return [kept.change_in(self._run.folder) for kept in self._kept if kept.step == step]

    def _learn(self, step: int, before: Painted, replayed: Sequence[Change], new: Sequence[Change]) -> Iterator[Joined]:
        """Keep all that changes at a step, and learn it from now on."""
        changes = [*replayed, *new]
        try:
            painted = before.joined(changes)
        except Problem as problem:  # the disk is away, or all of a class is held out now
            for each in new:
                refused = each.sections | self._refusals.refused(each.pair)
                self._refusals.note(each.pair, each.labels, dict.fromkeys(refused, why_not(problem)))
            return
        joining = []
        for pair in sorted({each.pair for each in new}):
            image = open_volume(self._config.pairs[pair][0], self._config.channel)
            sections = {z for each in changes if each.pair == pair for z in each.sections}
            joining.append(Joining(Kept(step, pair, tuple(sorted(sections))), image, painted.extent(pair)))
        self._kept = keep_joined(self._run.folder, joining, painted.sections)
        if painted.strips != self._painted.strips:
            self._run.keep_held(held_in(self._run.folder, "before"), painted.strips)
        yield self._take(painted, step)

    def _take(self, painted: Painted, step: int = 0) -> Joined:
        """Let `painted` be what is learned and judged by."""
        more = not same_learned(painted, self._painted)
        self._painted = painted
        self._crops = crops_of(self._config, painted, len(self._card.classes), self._device)
        judged = judged_tiles(painted.sections, self._config.seed)
        self._outdated |= step > 0 and not _same(judged, self._judged)
        self._judged = judged
        self._learner.doubt = 0.0 if painted.whole else _DOUBT
        self._learner.learned = painted.learned / (painted.learned + _FEW)
        return Joined(step, painted.learned_in, painted.learned, more)

    def _judge(self, step: int) -> Score:
        """Score the averaged weights, and write the model if they are to be kept.

        While the learning rate is high, the score of a moment says little of the weights: of them, only those of a
        training that is stopped are kept. Once it has come down, the best from then on are, if they beat the start.
        Scores before more was held out no longer count.
        """
        trusted, outdated = self._painted.trusted, self._outdated
        iou = self._learner.judge(self._judged)
        if step == 0:
            self._first = iou
        elif outdated:
            self._first = self._learner.judge(self._judged, self._start)
        settles = (step - 1) // self._every * self._every < _SETTLED * self._config.steps <= step
        if step and trusted and (outdated or settles):
            self._best = self._first
            self._keep(0, self._start)
        self._outdated = False
        # Too few held-out pixels cannot tell which weights are better: then the last ones are kept.
        if not trusted or iou > self._best:
            self._best = iou
            self._keep(step, self._learner.average)
        if timeline.passes(step, self._every, self._config.steps):
            scores = {"held-out IoU": round(iou, 4)} if trusted else {}
            with disk_problems(self._run.folder):
                timeline.file_of(self._run.folder, step).parent.mkdir(exist_ok=True)
            self._write(timeline.file_of(self._run.folder, step), self._learner.average, step, scores)
        if math.isnan(iou):
            return Score(step, None, None, trusted=False)
        return Score(step, iou, self._best, trusted, self._painted.held)

    def _keep(self, step: int, net: UNet) -> None:
        """Write the weights of a step as the model."""
        self._best_step = step
        scores = {"held-out IoU": round(self._best, 4)} if self._painted.trusted else {}
        self._write(self._run.folder / MODEL_FILE, net, step, scores)

    def _write(self, path: Path, net: UNet, step: int, scores: dict[str, float]) -> None:
        save(path, net, replace(self._card, step=step, scores=scores))

    def _finished(self, step: int) -> Finished:
        """Say what is kept."""
        done = f"{step:,} of {self._config.steps:,} steps"
        if step == 0:  # no model is left that differs from its start in nothing but the name
            (self._run.folder / MODEL_FILE).unlink(missing_ok=True)
            return Finished(str(self._run.folder), f"{done}, nothing was learned yet", stopped=True)
        if self._painted.trusted:
            kept = f"kept the weights of step {self._best_step:,}, held-out IoU {self._best:.3f}"
            if self._best_step == 0:
                kept = f"no step was better than the start (held-out IoU {self._best:.3f}), so the start is kept"
        else:
            kept = f"kept the weights of step {self._best_step:,}; too little is painted to score them"
        return Finished(str(self._run.folder / MODEL_FILE), f"{done}, {kept}", stopped=step < self._config.steps)

    def _save(self, step: int) -> None:
        """Write the checkpoint, whole or not at all."""
        where = {"step": step, "best": self._best, "best_step": self._best_step, "first": self._first}
        where |= {"outdated": self._outdated}
        state = to_bytes(self._learner.state(), {"napari-unet": json.dumps(where)})
        write_whole(self._run.folder / CHECKPOINT, lambda beside: beside.write_bytes(state))

    def _resume(self) -> int:
        """Go to the checkpoint, if there is one, and return its step."""
        path = self._run.folder / CHECKPOINT
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
        for step in sorted({kept.step for kept in self._kept if kept.step < where["step"]}):
            self._take(self._painted.joined(self._kept_at(step)))
        self._best, self._best_step, self._first = where["best"], where["best_step"], where["first"]
        self._outdated = where["outdated"]
        return where["step"]


def _same(one: Sequence[Judged], other: Sequence[Judged]) -> bool:
    """Tell whether two lists of tiles judge by the same pixels."""
    return len(one) == len(other) and all(
        np.array_equal(a.image, b.image) and np.array_equal(a.target, b.target) for a, b in zip(one, other, strict=True)
    )
