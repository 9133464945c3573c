"""All that is painted, as a training sees it: which pixels are learned, which are held out, and what each weighs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from napari_unet import holdout, painting
from napari_unet.corrections import corrected
from napari_unet.grey import Grey, measure
from napari_unet.holdout import Strips
from napari_unet.painting import UNCOUNTED, Meaning
from napari_unet.placing import corner_of, laid_on, refuse_other_voxels
from napari_unet.problem import Problem
from napari_unet.volume import Volume, open_volume


@dataclass(frozen=True)
class PaintedSection:
    """A section with labels.

    Parameters
    ----------
    pair, z : int
        Which image/labels pair, which section of its image.
    image : ndarray, shape (Y, X)
        Grey values as they are.
    grey : Grey
    labels : ndarray, shape (Y, X), integer
        As painted, placed on the image.
    corrected : ndarray, shape (Y, X), bool
        Where a prediction that said another class was painted over.
    target : ndarray, shape (Y, X), uint8
        What is painted, as channels; 255 where a pixel does not count.
    learn, held : ndarray, shape (Y, X), uint8
        The parts of `target` to learn from and to judge by.
    weights : ndarray, shape (Y, X), float32
        Loss weights; 0 where `learn` is 255.
    """

    pair: int
    z: int
    image: np.ndarray
    grey: Grey
    labels: np.ndarray
    corrected: np.ndarray
    target: np.ndarray
    learn: np.ndarray
    held: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Rules:
    """How painted pixels are read and weighed: fields of `TrainConfig`, and what the label values mean."""

    meaning: Meaning
    balance: float
    border_weight: float
    channel: int | None


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
    def corrected(self) -> int:
        """How many of those correct a prediction."""
        return sum(int((section.corrected & (section.learn != UNCOUNTED)).sum()) for section in self.sections)

    @property
    def trusted(self) -> bool:
        """Whether enough is held out for a score to say something."""
        return self.held >= holdout.TRUSTED

    @property
    def whole(self) -> bool:
        """Whether areas are painted rather than strokes."""
        return all(painting.painted_whole(section.learn != UNCOUNTED) for section in self.sections)

    def joined(self, pair: int, labels: Path, sections: Collection[int]) -> Painted:
        """Read some sections again, which were painted on meanwhile.

        Parameters
        ----------
        pair : int
        labels : Path
            Where the labels of this pair are now.
        sections : collection of int
            Sections of the image.

        Raises
        ------
        Problem
            As `read_painted`.
        """
        image = self._image(pair)
        known = {s.z: (s.image, s.grey) for s in self.sections if s.pair == pair}
        new = sections_of(pair, image, labels, self.rules.meaning, sections, known)
        kept = [s for s in self.sections if s.pair != pair or s.z not in sections]
        return _divided(self.pairs, self.rules, [*kept, *new], self.strips)

    def on_image(self, pair: int, labels: Path, sections: Collection[int]) -> set[int]:
        """Return which sections of the image some sections of its labels lie on.

        Raises
        ------
        Problem
            If there is no such pair, or the labels cannot be read or do not say where they lie.
        """
        shift = corner_of(self._image(pair), open_volume(labels, labels=True))[0]
        return {z + shift for z in sections}

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
            raise Problem(f"{path} has no painted pixel. Paint a few strokes of each class first.")
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


def sections_of(
    pair: int,
    image: Volume,
    path: Path,
    meaning: Meaning,
    only: Collection[int] | None = None,
    known: Mapping[int, tuple[np.ndarray, Grey]] | None = None,
) -> list[PaintedSection]:
    """Read the painted sections of one pair; all that is painted is to be learned, nothing is weighed.

    Parameters
    ----------
    pair : int
        Its number.
    image : Volume
    path : Path
        Its labels.
    meaning : Meaning
    only : collection of int, optional
        Sections of the image to look at.
    known : mapping, optional
        What was read of the image before, by section: pixels and grey values.

    Raises
    ------
    Problem
        As `read_painted`; not if nothing is painted.
    """
    labels = open_volume(path, labels=True)
    refuse_other_voxels(image, labels)
    dz, *corner = corner_of(image, labels)
    looked_at = range(labels.shape[0]) if only is None else sorted({z - dz for z in only} & set(range(labels.shape[0])))
    found = [(z, painted) for z in looked_at if (painted := labels.section(z)).any()]
    if not found:
        return []
    if found[0][1].dtype.kind not in "iu":
        raise Problem(f"{labels.name} holds {found[0][1].dtype} values, not labels. Choose a layer of whole numbers.")
    sections = [z + dz for z, _ in found]
    placed = [laid_on(painted, corner, image, 0) for _, painted in found]
    if any(not 0 <= z < image.shape[0] for z in sections) or not any(painted.any() for painted in placed):
        raise Problem(
            f"The painted pixels of {labels.name} do not lie on {image.name}, which is {image.shape} voxels large. "
            "Choose the image they were painted on."
        )
    # Beyond the labels nothing is labelled, also where 0 means background.
    targets = [
        laid_on(painting.targets(painted, meaning, f"Section {z} of {labels.name}"), corner, image, UNCOUNTED)
        for z, painted in found
    ]
    marks = [laid_on(corrected(path, z, painted), corner, image, 0) for z, painted in found]
    nothing, unweighed = np.full(image.shape[1:], UNCOUNTED, np.uint8), np.empty(0, np.float32)
    return [
        PaintedSection(
            pair, z, *((known or {}).get(z) or _seen(image, z)), painted, mark, target, target, nothing, unweighed
        )
        for z, painted, mark, target in zip(sections, placed, marks, targets, strict=True)
    ]


def _held_out(
    sections: Sequence[PaintedSection], images: Sequence[Path], strips: Strips
) -> tuple[list[PaintedSection], Strips]:
    """Hold a part of each image out, the same for all its labels: else one pair learned what another judges."""
    result, chosen = [], {}
    for image in dict.fromkeys(images):
        same = sorted((s for s in sections if images[s.pair] == image), key=lambda s: s.z)
        numbers, targets = [s.z for s in same], [s.target for s in same]
        chosen[image] = holdout.choose(numbers, targets, strips.get(image, {}))
        parts = holdout.split(numbers, targets, chosen[image])
        result += [replace(s, learn=learn, held=held) for s, (learn, held) in zip(same, parts, strict=True)]
    return sorted(result, key=lambda s: (s.pair, s.z)), chosen


def _seen(image: Volume, z: int) -> tuple[np.ndarray, Grey]:
    """Read a section of the image and measure its grey values."""
    pixels = image.section(z)
    grey = measure(pixels, f"Section {z} of {image.name}")
    if not grey.std:
        raise Problem(
            f"Section {z} of {image.name} has the same grey value everywhere, so nothing can be learned from it. "
            "Erase its labels, or choose the right image."
        )
    return pixels, grey


def counts_of(target: np.ndarray, channels: int) -> np.ndarray:
    """Count the pixels of each channel."""
    return np.bincount(target.ravel(), minlength=UNCOUNTED + 1)[:channels]
