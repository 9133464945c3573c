"""A section with labels: what is painted on it, as channels, and how it came to be painted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_unet import painting
from napari_unet.grey import Grey, measure
from napari_unet.marks import KINDS, marked
from napari_unet.omezarr import written_sections
from napari_unet.painting import UNCOUNTED, Meaning
from napari_unet.placing import corner_of, laid_on, refuse_other_voxels
from napari_unet.problem import Problem
from napari_unet.slabs import Slabs
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
    accepted : ndarray, shape (Y, X), bool
        Where a prediction was copied: it is learned, and judges nothing, for that would be a model its own judge.
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
    accepted: np.ndarray
    target: np.ndarray
    learn: np.ndarray
    held: np.ndarray
    weights: np.ndarray

    @property
    def by_hand(self) -> np.ndarray:
        """The part of `target` that may judge: all that was not copied from a prediction; uint8 (Y, X)."""
        return np.where(self.accepted, UNCOUNTED, self.target)


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
    looked_at = set(range(labels.shape[0])) if only is None else {z - dz for z in only} & set(range(labels.shape[0]))
    section, written = Slabs(labels).section, written_sections(labels.array)
    if written is not None:  # to read all of a large stack with a few strokes would take a minute
        looked_at &= written
    found = [(z, painted.copy()) for z in sorted(looked_at) if (painted := section(z)).any()]
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

    def name_of(z: int) -> str:
        return f"{labels.name}, on section {z + dz} of the image," if dz else f"Section {z} of {labels.name}"

    # Beyond the labels nothing is labelled, also where 0 means background.
    targets = [
        laid_on(painting.targets(painted, meaning, name_of(z)), corner, image, UNCOUNTED) for z, painted in found
    ]
    corrected, accepted = (
        [laid_on(marked(path, kind, z, painted), corner, image, 0) for z, painted in found] for kind in KINDS
    )
    nothing, no_weight = np.full(image.shape[1:], UNCOUNTED, np.uint8), np.empty(0, np.float32)
    before = known or {}
    return [
        PaintedSection(
            pair, z, *(before.get(z) or _seen(image, z)), painted, mended, copied, target, target, nothing, no_weight
        )
        for z, painted, mended, copied, target in zip(sections, placed, corrected, accepted, targets, strict=True)
    ]


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
