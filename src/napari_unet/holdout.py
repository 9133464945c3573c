"""Which painted pixels are held out to judge the training: a strip at one side, with a gap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.painting import UNCOUNTED

SHARE = 0.15  # of the painted pixels
GAP = 32  # pixels between learned and held-out pixels; image context is no leak
LINKED = 3  # sections this close show nearly the same, so they share the strip
TRUSTED = 2000  # held-out pixels below which a score says little


@dataclass(frozen=True)
class Strip:
    """Rows (axis 0) or columns (axis 1) of a section, from `start` to before `stop`, that are held out."""

    axis: int
    start: int
    stop: int

    def mask(self, shape: tuple[int, ...], margin: int = 0) -> np.ndarray:
        """Return which pixels lie in the strip, or at most `margin` beside it: bool, of `shape` (Y, X)."""
        along = np.arange(shape[self.axis])
        inside = (along >= self.start - margin) & (along < self.stop + margin)
        return np.broadcast_to(inside[:, None] if self.axis == 0 else inside, shape)


Strips = Mapping[Path, Mapping[int, Strip]]  # image, section: what is held out there


def to_json(strips: Strips) -> list[dict[str, Any]]:
    """Return `strips` as `from_json` reads them."""
    return [
        {"image": str(image), "section": z, **asdict(strip)}
        for image, of_image in strips.items()
        for z, strip in sorted(of_image.items())
    ]


def from_json(parts: Sequence[dict[str, Any]]) -> Strips:
    """Return the strips that `to_json` wrote.

    Raises
    ------
    KeyError, TypeError, ValueError
        If they are something else.
    """
    strips: dict[Path, dict[int, Strip]] = {}
    for part in parts:
        strip = Strip(int(part["axis"]), int(part["start"]), int(part["stop"]))
        strips.setdefault(Path(part["image"]), {})[int(part["section"])] = strip
    return strips


def choose(sections: Sequence[int], painted: Sequence[np.ndarray], strips: Mapping[int, Strip]) -> dict[int, Strip]:
    """Choose the strip of each section painted on one image.

    A section that has a strip keeps it, so that judgements stay comparable while more is painted. One that comes
    near others takes the strip of the nearest, painted now or not, but none between different ones: it would take from
    what is judged and learned there. Sections that are linked share a strip.

    Parameters
    ----------
    sections : sequence of int
        Section numbers, never falling; the same one again for another labels layer.
    painted : sequence of ndarray, shape (Y, X), uint8
        Their targets, 255 where a pixel does not count.
    strips : mapping
        The strips chosen before.

    Returns
    -------
    dict
        Those of all sections that have one; too little may be painted for any.
    """
    chosen = dict(strips)
    for group in _linked(sorted({*sections, *strips})):
        fixed = [z for z in group if z in strips]
        new = [z for z in group if z not in strips]
        strip = None if fixed else _strip([target for z, target in zip(sections, painted, strict=True) if z in new])
        for z in new:
            if len({strips[other] for other in fixed if abs(other - z) <= LINKED}) > 1:
                continue
            nearest = strips[min(fixed, key=lambda other: abs(other - z))] if fixed else strip
            if nearest is not None:
                chosen[z] = nearest
    return chosen


def split(
    sections: Sequence[int], painted: Sequence[np.ndarray], strips: Mapping[int, Strip]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Split the targets painted on one image into a part to learn from and a part to judge by.

    Nothing is learned at a held-out place, nor within 32 pixels of it, in the section itself and at most 3 beside it.

    Parameters
    ----------
    sections, painted
        As for `choose`.
    strips : mapping
        What `choose` returned.

    Yields
    ------
    (ndarray, ndarray)
        For each section the targets to learn from and those held out; the others are 255 in each.
    """
    for z, target in zip(sections, painted, strict=True):
        near = near_to(z, strips)
        learn, held = target.copy(), np.full_like(target, UNCOUNTED)
        for strip in near:
            learn[strip.mask(target.shape, GAP)] = UNCOUNTED
        if z in strips:
            inside = strips[z].mask(target.shape)
            held[inside] = target[inside]
        yield learn, held


def near_to(z: int, strips: Mapping[int, Strip]) -> set[Strip]:
    """Return the strips of a section and of those at most 3 beside it: nothing is learned there in any of them."""
    return {strips[other] for other in range(z - LINKED, z + LINKED + 1) if other in strips}


def _linked(sections: Sequence[int]) -> list[list[int]]:
    """Group sections, in rising order, that lie at most LINKED apart."""
    groups: list[list[int]] = []
    for z in sections:
        if groups and z - groups[-1][-1] <= LINKED:
            groups[-1].append(z)
        else:
            groups.append([z])
    return groups


def _strip(targets: Sequence[np.ndarray]) -> Strip | None:
    """Return the strip to judge by, or None if no strip leaves every class painted enough to learn.

    Of the four sides, the one whose strip holds the most even share of all classes is taken.
    """
    classes = [c for c in np.unique(np.stack(targets)) if c != UNCOUNTED]
    best, chosen = 0.0, None
    for axis in (0, 1):
        # Painted pixels of each class along the axis, rows (or columns) of the section.
        counts = np.array([sum((t == c).sum(axis=1 - axis) for t in targets) for c in classes])
        for strip in _at_both_ends(axis, counts.sum(0)) if classes else ():
            share = counts[:, strip.start : strip.stop].sum(1) / counts.sum(1)
            lost = counts[:, max(strip.start - GAP, 0) : strip.stop + GAP].sum(1)
            evenness = float(share.min()) + 1e-9
            if (lost <= counts.sum(1) / 2).all() and evenness > best:
                best, chosen = evenness, strip
    return chosen


def _at_both_ends(axis: int, along: np.ndarray) -> tuple[Strip, Strip]:
    """Return the strips at the far end and the near end that hold about SHARE of the painted pixels.

    Each is no broader than SHARE of the section, unless they are: the rest may be painted later, to be learned.
    """
    far, near = (_end(counts) for counts in (along[::-1], along))
    size = len(along)
    return Strip(axis, size - far[1], size - far[0]), Strip(axis, *near)


def _end(along: np.ndarray) -> tuple[int, int]:
    """Return the first row, and that after the last, of the strip at the near end."""
    stop = int(np.searchsorted(np.cumsum(along), SHARE * along.sum())) + 1
    start = min(int(np.flatnonzero(along)[0]), stop - math.ceil(SHARE * len(along)))
    return (start if start > GAP else 0), stop  # else the gap takes all that is left
