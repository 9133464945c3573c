"""check(...): what should be looked at before a training, as a generator of events: findings with their places."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_unet import painting
from napari_unet.classes import PixelClass
from napari_unet.config import CheckConfig, TrainConfig
from napari_unet.device import Compute, choose, largest_tile, memory_problems
from napari_unet.disk import disk_problems
from napari_unet.events import Event, Finding, Finished, Notice, Progress, Started
from napari_unet.lint import Layer, Rules, findings
from napari_unet.log import LOG, record
from napari_unet.marks import ACCEPTED, marked
from napari_unet.model import Model, load
from napari_unet.oddities import look
from napari_unet.painting import UNCOUNTED, Meaning
from napari_unet.placing import corner_of
from napari_unet.plan import plan_classes
from napari_unet.predict import Predictor
from napari_unet.problem import Problem
from napari_unet.sections import Sections
from napari_unet.slabs import Slabs
from napari_unet.slips import SLIP, Slip, parted, slips
from napari_unet.tiles import Box
from napari_unet.unet import folded
from napari_unet.volume import Volume, open_volume
from napari_unet.words import counted

_BLOCK = 512  # pixels; the model looks at a section in blocks of this side, where something is painted
_SLIPS = 5  # are said, at most


@dataclass(frozen=True)
class _Pair:
    """An image, its labels, and what these show."""

    image: Volume
    labels: Volume
    layer: Layer


def check(config: CheckConfig, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Look for what may be wrong with what is painted, before it is trained on.

    First the labels alone (`lint.py`), then, if the start model knows their classes, where it is sure of another class
    than the painted one (`slips.py`). One section is in memory at a time.

    Parameters
    ----------
    config : CheckConfig
    should_stop : callable
        Asked between two sections, and between two blocks of one.

    Yields
    ------
    Event
        A Finding for each place; the last event is Finished, its path that of the labels.

    Raises
    ------
    Problem
        If nothing is painted, labels miss the image, something cannot be read, or the disk is full.
    """
    with disk_problems(config.out):
        config.out.mkdir(parents=True, exist_ok=True)

    def events() -> Iterator[Event]:
        with memory_problems("Close other programs, or choose another device (--device)."):
            yield from _check(config, should_stop)

    yield from record(config.out / LOG, events())


def _check(config: CheckConfig, should_stop: Callable[[], bool]) -> Iterator[Event]:
    compute = choose(config)
    yield Started("check", str(compute), counted(len(config.pairs), "painted layer"))
    start = None if config.start_from == "scratch" else load(config.start_from)
    classes, meaning = plan_classes(TrainConfig(**config.model_dump(exclude={"precision"})), start)
    pairs = []
    for number in range(len(config.pairs)):
        pair = _read(config, number, meaning.objects, should_stop)
        if pair is None:
            yield Finished(str(config.inputs[1]), "nothing was looked at", True)
            return
        pairs.append(pair)
    names = {each.value: each.name for each in classes}
    rules = Rules(names, meaning.zero_counts, meaning.objects)
    said = list(findings([pair.layer for pair in pairs], rules))
    yield from _named(said, pairs)
    if start is None or {each.name for each in classes} - {each.name for each in start.card.classes}:
        why = f"{start.card.name} does not know all classes" if start else "there is no model to start from"
        yield Notice(f"Slips cannot be looked for: {why}.")
        doubted: list[Finding] | None = []
    else:
        doubted = yield from _Doubts(start, classes, meaning, compute, pairs).found(should_stop)
    said += doubted or ()
    yield from _named(doubted or (), pairs)
    yield Finished(str(config.inputs[1]), counted(len(said), "finding") if said else "nothing found", doubted is None)


def _named(found: Iterable[Finding], pairs: Sequence[_Pair]) -> Iterator[Finding]:
    """Yield findings; of several layers, each says first which one it is about."""
    for each in found:
        name = f"{pairs[each.pair].labels.name}: " if len(pairs) > 1 else ""
        yield replace(each, text=name + each.text)


def _read(config: CheckConfig, number: int, objects: bool, should_stop: Callable[[], bool]) -> _Pair | None:
    """Look at all sections of a labels layer that lie on its image, None if that was stopped."""
    path, painted = config.pairs[number]
    image, labels = open_volume(path, config.channel), open_volume(painted, labels=True)
    if labels.dtype.kind not in "iu":
        raise Problem(f"{labels.name} holds {labels.dtype} values, not labels. Choose a layer of whole numbers.")
    corner, sections, read = corner_of(image, labels), {}, Slabs(labels).section
    for z in range(max(-corner[0], 0), min(image.shape[0] - corner[0], labels.shape[0])):
        if should_stop():
            return None
        section = read(z)
        if seen := look(section, objects, marked(painted, ACCEPTED, z, section)):
            sections[z] = seen
    if not sections:
        raise Problem(f"{labels.name} has no painted pixel on {image.name}. Paint a few strokes of each class first.")
    return _Pair(image, labels, Layer(sections, labels.shape[0], corner))


class _Doubts:
    """Where a model doubts what is painted.

    Parameters
    ----------
    start : Model
        It knows all classes.
    classes, meaning
        Of the labels.
    compute : Compute
    pairs : sequence of _Pair
    """

    def __init__(
        self,
        start: Model,
        classes: Sequence[PixelClass],
        meaning: Meaning,
        compute: Compute,
        pairs: Sequence[_Pair],
    ) -> None:
        self._model, self._meaning, self._pairs = start, meaning, pairs
        self._names = [each.name for each in start.card.classes]
        # From the channels of the labels to those of the model.
        self._channel = np.full(UNCOUNTED + 1, UNCOUNTED, np.uint8)
        self._channel[: len(classes)] = [self._names.index(each.name) for each in classes]
        self._separator = None if meaning.separator is None else int(self._channel[meaning.separator])
        tile = min(largest_tile(compute, start.card.width), _BLOCK)
        self._predictor = Predictor(folded(start.net), start.card.classes, compute, tile, False)

    def found(self, should_stop: Callable[[], bool]) -> Generator[Event, None, list[Finding] | None]:
        """Look at all painted sections; yield how far that is, return the largest slips, None if it was stopped."""
        places = [(number, z) for number, pair in enumerate(self._pairs) for z in sorted(pair.layer.sections)]
        best: list[tuple[int, Finding]] = []
        began = time.monotonic()
        for done, (number, z) in enumerate(places, start=1):
            section = yield from self._of_section(number, z, should_stop)
            if section is None:
                return None
            best = sorted([*best, *section], key=lambda each: -each[0])[:_SLIPS]
            left = (time.monotonic() - began) / done * (len(places) - done)
            yield Progress(done, len(places), "section", left)
        return [finding for _, finding in best]

    def _of_section(
        self, number: int, z: int, should_stop: Callable[[], bool]
    ) -> Generator[Notice, None, list[tuple[int, Finding]] | None]:
        """Return the slips of a section of the labels, and how large each is; None if that was stopped."""
        pair = self._pairs[number]
        dz, dy, dx = pair.layer.corner
        labels = self._known(pair.labels.section(z))
        painted = self._channel[painting.targets(labels, self._meaning)]
        says, sure = np.zeros(painted.shape, np.uint8), np.zeros(painted.shape, np.float32)
        between = np.zeros(painted.shape, np.float32)
        sections = Sections(pair.image)
        for box in _painted_boxes(painted, pair):
            if should_stop():
                return None
            box = box._replace(z0=z + dz, z1=z + dz + 1)
            probabilities = (yield from self._predictor.logits(*sections.read(box), box)).softmax(0)
            here = slice(box.y0 - dy, box.y1 - dy), slice(box.x0 - dx, box.x1 - dx)
            sure[here], says[here] = (each.cpu().numpy() for each in probabilities.max(0))
            if self._separator is not None:
                between[here] = probabilities[self._separator].cpu().numpy()

        def finding(text: str, y: int, x: int) -> Finding:
            return Finding(SLIP, f"Section {z + dz}: {text}", number, z + dz, y + dy, x + dx, int(labels[y, x]))

        found = [
            (slip.size, finding(self._doubt(slip, bool(labels[slip.y, slip.x])), slip.y, slip.x))
            for slip in slips(painted, says, sure)
        ]
        if self._meaning.objects and self._separator is not None:
            seen = f"{self._model.card.name} sees a {self._names[self._separator]} through object"
            for spot in parted(labels, between):
                text = f"{seen} {spot.value}. If it is two objects, give one of them another id."
                found.append((spot.size, finding(text, spot.y, spot.x)))
        return found

    def _doubt(self, slip: Slip, by_hand: bool) -> str:
        says, painted = self._names[slip.says], self._names[slip.painted]
        sure = f"{math.floor(100 * slip.sure)} %"
        how = f"painted {painted}" if by_hand else f"left as {painted}"
        return f"{how}, but {self._model.card.name} is {sure} sure of {says}. A slip?"

    def _known(self, labels: np.ndarray) -> np.ndarray:
        """Return a section without the values that are no class; those are a finding of their own."""
        return labels if self._meaning.objects else np.where(np.isin(labels, self._meaning.values), labels, 0)


def _painted_boxes(painted: np.ndarray, pair: _Pair) -> Iterator[Box]:
    """Yield where on the image something is painted in a section of its labels, block by block; no sections."""
    _, dy, dx = pair.layer.corner
    _, height, width = pair.image.shape
    for top in range(0, painted.shape[0], _BLOCK):
        for left in range(0, painted.shape[1], _BLOCK):
            block = painted[top : top + _BLOCK, left : left + _BLOCK] != UNCOUNTED
            ys, xs = np.flatnonzero(block.any(1)) + top + dy, np.flatnonzero(block.any(0)) + left + dx
            if ys.size:
                y0, y1 = max(int(ys[0]), 0), min(int(ys[-1]) + 1, height)
                x0, x1 = max(int(xs[0]), 0), min(int(xs[-1]) + 1, width)
                if y0 < y1 and x0 < x1:
                    yield Box(0, 0, y0, y1, x0, x1)
