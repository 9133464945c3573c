"""All that is painted, as a training sees it: which pixels are learned, which are held out, and what each weighs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from napari_unet import holdout, painting
from napari_unet.holdout import Strips
from napari_unet.omezarr import written_sections
from napari_unet.paintedsection import PaintedSection, sections_of
from napari_unet.painting import UNCOUNTED, Meaning
from napari_unet.placing import corner_of
from napari_unet.problem import Problem
from napari_unet.volume import Volume, open_volume


@dataclass(frozen=True)
class Rules:
    """How painted pixels are read and weighed: fields of `TrainConfig`, and what the label values mean."""

    meaning: Meaning
    balance: float
    border_weight: float
    channel: int | None


@dataclass(frozen=True)
class Change:
    """Sections (of the image) of a pair that were painted on, and where its labels are now."""

    pair: int
    labels: Path
    sections: frozenset[int]


@dataclass(frozen=True)
class Painted:
    """What is painted on all images.

    Attributes
    ----------
    pairs : sequence of (Path, Path)
        Images and labels.
    rules : Rules
    sections : tuple of PaintedSection
        In the order of their pairs and numbers.
    strips : mapping
        For each image, which strip is held out in which section; it stays where it is while more is painted.
    """

    pairs: Sequence[tuple[Path, Path]]
    rules: Rules
    sections: tuple[PaintedSection, ...]
    strips: Strips = field(default_factory=dict)

    @property
    def held(self) -> int:
        """How many pixels are held out."""
        return sum(int((section.held != UNCOUNTED).sum()) for section in self.sections)

    @property
    def learned(self) -> int:
        """How many pixels are learned from."""
        return sum(int((section.learn != UNCOUNTED).sum()) for section in self.sections)

    @property
    def learned_in(self) -> int:
        """How many sections have some of them."""
        return sum(bool((section.learn != UNCOUNTED).any()) for section in self.sections)

    @property
    def corrected(self) -> int:
        """How many of those correct a prediction."""
        return sum(int((section.corrected & (section.learn != UNCOUNTED)).sum()) for section in self.sections)

    @property
    def accepted(self) -> int:
        """How many of those were copied from a prediction."""
        return sum(int((section.accepted & (section.learn != UNCOUNTED)).sum()) for section in self.sections)

    @property
    def trusted(self) -> bool:
        """Whether enough is held out for a score to say something."""
        return self.held >= holdout.TRUSTED

    @property
    def whole(self) -> bool:
        """Whether areas are painted rather than strokes."""
        return all(painting.painted_whole(section.learn != UNCOUNTED) for section in self.sections)

    def joined(self, changes: Iterable[Change]) -> Painted:
        """Read some sections again, which were painted on meanwhile; of those that are changed twice, the last counts.

        Raises
        ------
        Problem
            As `read_painted`.
        """
        sections = self.sections
        for change in changes:
            pair, image = change.pair, self._image(change.pair)
            known = {s.z: (s.image, s.grey) for s in sections if s.pair == pair}
            new = sections_of(pair, image, change.labels, self.rules.meaning, change.sections, known)
            sections = (*(s for s in sections if s.pair != pair or s.z not in change.sections), *new)
        return _divided(self.pairs, self.rules, sections, self.strips)

    def on_image(self, pair: int, labels: Path, sections: Collection[int] | None) -> set[int]:
        """Return which sections of the image some sections of its labels lie on; None for all that may have changed.

        Raises
        ------
        Problem
            If there is no such pair, or the labels cannot be read or do not say where they lie.
        """
        volume = open_volume(labels, labels=True)
        shift = corner_of(self._image(pair), volume)[0]
        if sections is not None:
            return {z + shift for z in sections}
        written = written_sections(volume.array)
        now = range(volume.shape[0]) if written is None else written
        return {z + shift for z in now} | {section.z for section in self.sections if section.pair == pair}

    def extent(self, pair: int) -> tuple[slice, slice]:
        """Return the rows and columns of the image on which the labels of a pair are to be kept.

        Where 0 has a meaning these are the ones that they cover: beyond them nothing is labelled.
        """
        targets = [section.target for section in self.sections if section.pair == pair]
        if not targets or not self.rules.meaning.zero_counts:
            return slice(None), slice(None)
        counted = np.any([target != UNCOUNTED for target in targets], axis=0)
        rows, columns = (np.flatnonzero(counted.any(axis)) for axis in (1, 0))
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

    def _image(self, pair: int) -> Volume:
        if not 0 <= pair < len(self.pairs):
            raise Problem(f"There are {len(self.pairs)} painted layers, so none has the number {pair + 1}.")
        return open_volume(self.pairs[pair][0], self.rules.channel)


def read_painted(pairs: Sequence[tuple[Path, Path]], rules: Rules, strips: Strips | None = None) -> Painted:
    """Read all sections that have painted pixels, hold a part out, and weigh the rest.

    Parameters
    ----------
    pairs
        Images and labels.
    rules
    strips
        What was held out before, and stays so.

    Raises
    ------
    Problem
        If nothing is painted, only one class is, labels miss the image, or grey values cannot be used.
    """
    sections = []
    for pair, (image, path) in enumerate(pairs):
        found = sections_of(pair, open_volume(image, rules.channel), path, rules.meaning)
        if not found:
            raise Problem(f"{path} has no painted pixel. Paint a few strokes of each class first, or leave it out.")
        sections += found
    return _divided(pairs, rules, sections, strips or {})


def _divided(
    pairs: Sequence[tuple[Path, Path]], rules: Rules, sections: Sequence[PaintedSection], strips: Strips
) -> Painted:
    """Hold a part of what is painted out, and weigh the rest."""
    divided, held = _held_out(sections, [image.resolve() for image, _ in pairs], strips)
    meaning = rules.meaning
    counts = np.sum([counts_of(section.learn, len(meaning.values)) for section in divided], axis=0)
    if not np.count_nonzero(counts) > 1:
        if meaning.objects and not meaning.zero_counts:
            raise Problem(
                "Only one class is painted: objects, and nothing between them. "
                "Say that 0 means background (--zero background), and paint the objects of an area without gaps."
            )
        raise Problem(
            "Only one class is painted, so there is nothing to tell it from. Paint a few strokes of another class too."
        )
    per_class = painting.class_weights(counts, rules.balance)
    weights = (
        painting.loss_weights(s.labels, s.learn, meaning, per_class, rules.border_weight, s.corrected) for s in divided
    )
    return Painted(pairs, rules, tuple(replace(s, weights=w) for s, w in zip(divided, weights, strict=True)), held)


def _held_out(
    sections: Sequence[PaintedSection], images: Sequence[Path], strips: Strips
) -> tuple[list[PaintedSection], Strips]:
    """Hold a part of each image out, the same for all its labels: else one pair learned what another judges."""
    result, chosen = [], {}
    for image in dict.fromkeys(images):
        same = sorted((s for s in sections if images[s.pair] == image), key=lambda s: (s.z, s.pair))
        numbers = [s.z for s in same]
        chosen[image] = holdout.choose(numbers, [s.by_hand for s in same], strips.get(image, {}))
        parts = holdout.split(numbers, [s.target for s in same], chosen[image])
        result += [
            replace(s, learn=learn, held=np.where(s.accepted, UNCOUNTED, held))
            for s, (learn, held) in zip(same, parts, strict=True)
        ]
    return sorted(result, key=lambda s: (s.pair, s.z)), chosen


def counts_of(target: np.ndarray, channels: int) -> np.ndarray:
    """Count the pixels of each channel."""
    return np.bincount(target.ravel(), minlength=UNCOUNTED + 1)[:channels]
