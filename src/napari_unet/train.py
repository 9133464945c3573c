"""train(...): fine-tune a U-Net on painted labels, as a generator of events.

Read it from top to bottom: what the labels mean, what is painted, which network, how many steps, the loop.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from napari_unet import requests
from napari_unet.card import MODEL_FILE, Card, find, where_it_is
from napari_unet.classes import PixelClass
from napari_unet.compare import compare
from napari_unet.config import TrainConfig
from napari_unet.crops import judged_tiles
from napari_unet.device import choose, memory_problems
from napari_unet.events import Event, Finished, Notice, Started
from napari_unet.kept import keep_labels
from napari_unet.learner import Learner
from napari_unet.lookout import Lookout
from napari_unet.loop import Loop
from napari_unet.model import Model, load
from napari_unet.painted import Painted, counts_of, read_painted
from napari_unet.paintedsection import PaintedSection
from napari_unet.painting import CORRECTION, Meaning
from napari_unet.plan import crops_of, first_network, peak_rate, plan_classes, rules_of, steps_in
from napari_unet.preview import PREVIEW
from napari_unet.runs import Run, open_run
from napari_unet.volume import open_volume
from napari_unet.words import counted


def train(
    config: TrainConfig,
    should_stop: Callable[[], bool] = lambda: False,
    asked: Callable[[], requests.Preview | None] = lambda: None,
    joins: Callable[[], Sequence[requests.Join]] = lambda: (),
) -> Iterator[Event]:
    """Train a model on painted labels.

    A run that was stopped or killed goes on where its last checkpoint was, to the same weights: on the processor,
    the same settings (thread count included) give the same weights bit for bit.

    Parameters
    ----------
    config : TrainConfig
    should_stop : callable
        Asked between two steps, and within a preview; when it returns True, the training is saved and ends.
    asked : callable
        Asked between two steps for a part of the first image to preview, if any. Previews change nothing.
    joins : callable
        Asked between two steps for what was painted meanwhile; it is learned from then on. The run keeps it with the
        step, so that resuming the training repeats it.

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
            yield from _train(run.config or config, run, run.finished, should_stop, asked, joins)

    yield from run.record(events())


def _train(
    config: TrainConfig,
    run: Run,
    finished: Finished | None,
    should_stop: Callable[[], bool],
    asked: Callable[[], requests.Preview | None],
    joins: Callable[[], Sequence[requests.Join]],
) -> Iterator[Event]:
    compute = choose(config)
    yield Started("train", str(compute), counted(len(config.pairs), "painted layer"))

    start = None if config.start_from == "scratch" else load(config.start_from)
    classes, meaning = plan_classes(config, start)
    before = run.held_before(find(config.start_from) if start else None)
    painted = read_painted(config.pairs, rules_of(config, meaning), before)
    fingerprints = {"start model": start.sha256 if start else "scratch"} | _fingerprints(painted.sections)
    if run.config is not None:
        run.check_inputs(fingerprints)
    if finished is not None:
        yield replace(finished, detail=f"already done: {finished.detail.removeprefix('already done: ')}")
        return
    yield Notice(_what_is_painted(painted, classes, meaning))

    net = first_network(config, start, classes)
    known = start is not None and [c.name for c in start.card.classes] == [c.name for c in classes]
    held_to = start.net if start and known else None
    peak = config.learning_rate or peak_rate(start, known)

    def learner(steps: int) -> Learner:
        return Learner(copy.deepcopy(net), compute, steps, peak, config.seed, start is not None, held_to)

    look = Lookout(open_volume(config.pairs[0][0], config.channel), classes, compute, run.folder / PREVIEW)
    if run.config is None:
        # A network that knows the classes has something to show: who watches does not wait until steps were timed.
        if known and (shown := look.preview(learner(1).average, 0, asked(), should_stop)):
            yield shown
        if not config.steps:
            yield Notice("A few steps are timed first, to know how many fit into the time.")
        steps = config.steps or steps_in(
            config.minutes,
            learner(1000),
            crops_of(config, painted, len(classes), compute.kind),
            judged_tiles(painted.sections, config.seed),
            config,
            should_stop,
        )
        if not steps:
            yield Finished(str(run.folder), "nothing was learned yet", stopped=True)
            return
        used = {"steps": steps, "threads": compute.threads, "device": compute.kind, "precision": compute.precision}
        used |= {"learning_rate": peak, "start_from": where_it_is(config.start_from)}
        config = config.model_copy(update=used)
        for pair, (path, _) in enumerate(config.pairs):
            of_pair = [section for section in painted.sections if section.pair == pair]
            keep_labels(run.folder, pair, open_volume(path, config.channel), of_pair, painted.extent(pair))
        run.keep_held(before, painted.strips)
        run.begin(config, fingerprints)
    card = _card_of(config, start, classes, meaning, net.head.in_channels)
    loop = Loop(config, run, learner(config.steps), net, painted, card, compute.kind)
    for event in loop.events(should_stop, lambda step: look.preview(loop.average, step, asked(), should_stop), joins):
        if isinstance(event, Finished) and start and known and (run.folder / MODEL_FILE).exists():
            kept = load(event.path)
            if said := compare(start, find(config.start_from), kept, loop.painted, config.seed, compute):
                yield said
        yield event


def _card_of(
    config: TrainConfig, start: Model | None, classes: tuple[PixelClass, ...], meaning: Meaning, width: int
) -> Card:
    """Return the card of the model that a training makes, before it is scored."""
    return Card(
        name=config.out.name,
        classes=classes,
        separator=classes[meaning.separator].name if meaning.separator is not None else "",
        width=width,
        batch_norm=start.card.batch_norm if start else True,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=config.command(),
        started_from=f"{start.card.name} {start.sha256}" if start else "scratch",
        voxel_size=_voxel_sizes(config),
    )


def _what_is_painted(painted: Painted, classes: Sequence[PixelClass], meaning: Meaning) -> str:
    """Say how much is painted, what is held out, and what the values mean."""
    counts = np.sum([counts_of(section.learn, len(classes)) for section in painted.sections], axis=0)
    each = ", ".join(f"{n:,} of {c.name} ({c.value})" for n, c in zip(counts, classes, strict=True))
    told = counted(len(painted.sections), "painted section")
    text = f"{told}. Pixels to learn from: {each}. Held out to judge by: {painted.held:,}."
    if painted.corrected:
        text += f" Corrected over a result: {painted.corrected:,}; each counts {CORRECTION:g} times."
    if painted.accepted:
        text += f" Accepted from a result: {painted.accepted:,}; they are learned, and no score is taken of them."
    if not painted.trusted:
        text += " That is too little to trust a score, so the last weights will be kept."
    zero = classes[meaning.separator or 0].name if meaning.objects else classes[0].name
    return f"{text} Value 0 means {zero if meaning.zero_counts else 'not labelled'}."


def _fingerprints(sections: Sequence[PaintedSection]) -> dict[str, str]:
    """Return a SHA-256 of image, labels and marks for each painted section."""
    return {f"pair {s.pair + 1}, section {s.z}": _digest(s) for s in sections}


def _digest(section: PaintedSection) -> str:
    digest = hashlib.sha256(section.image.tobytes() + section.labels.tobytes())
    if section.corrected.any():  # else it is that of a run from before there were corrections
        digest.update(section.corrected.tobytes())
    if section.accepted.any():
        digest.update(b"accepted" + section.accepted.tobytes())
    return digest.hexdigest()


def _voxel_sizes(config: TrainConfig) -> tuple[tuple[float, float, float], ...]:
    """Return the known voxel sizes of the images, each once."""
    sizes = [open_volume(image, config.channel).voxel_size for image, _ in config.pairs]
    return tuple(dict.fromkeys(size for size in sizes if size))
