"""A training compared with the model that it began with, on what the user painted."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_unet.crops import Judged, judged_tiles
from napari_unet.device import Compute, memory_problems
from napari_unet.events import Compared, Notice
from napari_unet.learner import at_work, mean_iou
from napari_unet.lessons import Lesson, Place, lessons_of
from napari_unet.model import Model
from napari_unet.painted import Painted
from napari_unet.paintedsection import PaintedSection, sections_of
from napari_unet.painting import UNCOUNTED
from napari_unet.problem import Problem
from napari_unet.volume import open_volume

_MOST = 6  # sections and tiles that are looked at: somebody may wait who pressed Stop
_FEW = 100  # pixels of a class below which its IoU is luck


def compare(
    start: Model, file: Path, kept: Model, painted: Painted, seed: int, compute: Compute
) -> Compared | Notice | None:
    """Compare the model that a training keeps with the one that it began with, of the same classes.

    They are compared on what was painted for the former model and those behind it: the former one learned from that,
    so this tells what was forgotten. Where a section is painted now too, only what is still painted alike counts: the
    rest was corrected since. If there is nothing of the kind, they are compared on all that is painted now.

    It draws from `seed` alone, and changes nothing.

    Parameters
    ----------
    start : Model
        The model that the training began with.
    file : Path
        Its file.
    kept : Model
        The one that the training keeps.
    painted : Painted
        What is painted at its end.
    seed : int
        Chooses what is looked at, at most 6 tiles.
    compute : Compute

    Returns
    -------
    Compared, Notice or None
        A notice says why they cannot be compared; None that there is nothing to compare.
    """
    if not kept.card.step:
        return None
    try:
        with memory_problems("The training is finished and kept."):
            earlier = _earlier(lessons_of(file, [each.name for each in start.card.classes]), painted, seed)
            tiles = _tiles(earlier, seed)
            now = [] if tiles else _tiles([_to_judge(each, ()) for each in painted.sections], seed)
            return _judged(start, kept, tiles or now, bool(tiles), compute)
    except Problem as problem:
        return Notice(f"Not compared with the model before. {problem}")


def _judged(start: Model, kept: Model, tiles: Sequence[Judged], earlier: bool, compute: Compute) -> Compared | None:
    if not tiles:
        return None
    before, after = (mean_iou(at_work(each.net, compute), tiles, compute) for each in (start, kept))
    return Compared(before, after, sum(int((tile.target != UNCOUNTED).sum()) for tile in tiles), earlier)


def _tiles(sections: Sequence[PaintedSection], seed: int) -> list[Judged]:
    """Return some tiles of what is to be judged by, without classes of which they show too little."""
    tiles = judged_tiles(sections, seed, _MOST)
    counts = sum((np.bincount(tile.target.ravel(), minlength=UNCOUNTED + 1) for tile in tiles), np.zeros(256, int))
    enough = np.flatnonzero(counts >= _FEW)
    kept = [replace(tile, target=np.where(np.isin(tile.target, enough), tile.target, UNCOUNTED)) for tile in tiles]
    return [tile for tile in kept if (tile.target != UNCOUNTED).any()]


def _earlier(lessons: Mapping[Place, Sequence[Lesson]], painted: Painted, seed: int) -> list[PaintedSection]:
    """Read some of the sections that were painted before, to be judged by what nobody corrected since."""
    now: dict[Place, list[np.ndarray]] = {}
    for section in painted.sections:
        now.setdefault((painted.pairs[section.pair][0].resolve(), section.z), []).append(section.target)
    places = sorted(lessons)
    read = []
    for i in sorted(np.random.default_rng(seed).permutation(len(places))[:_MOST]):
        for lesson in lessons[places[i]]:
            with contextlib.suppress(Problem):  # the image is gone, or another one
                read += [_to_judge(section, now.get(places[i], ())) for section in _sections(lesson)]
    return read


def _sections(lesson: Lesson) -> list[PaintedSection]:
    """Read a section that was painted for a model; none if all of it was erased."""
    image = open_volume(lesson.image, lesson.channel)
    return sections_of(0, image, lesson.labels, lesson.meaning, (lesson.z,))


def _to_judge(section: PaintedSection, now: Sequence[np.ndarray]) -> PaintedSection:
    """Let all of a section be judged by, or if it is painted now too, with the targets `now`, what is alike."""
    alike = np.any([target == section.target for target in now], axis=0) if now else True
    return replace(section, held=np.where(alike, section.by_hand, UNCOUNTED))
