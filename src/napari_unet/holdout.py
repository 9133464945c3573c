"""Which painted pixels are held out to judge the training: a strip at one side, with a gap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_unet.painting import UNCOUNTED

SHARE = 0.15  # of the painted pixels
GAP = 32  # pixels between learned and held-out pixels; image context is no leak
LINKED = 3  # sections this close show nearly the same, so they share the strip
TRUSTED = 2000  # held-out pixels below which a score says little


def split(sections: Sequence[int], painted: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split the targets painted on one image into a part to learn from and a part to judge by.

    Sections at most 3 apart share the same strip, so that nothing is learned at a held-out place from a neighbour.

    Parameters
    ----------
    sections : sequence of int
        Section numbers, never falling; the same one again for another labels layer.
    painted : sequence of ndarray, shape (Y, X), uint8
        Their targets, 255 where a pixel does not count.

    Returns
    -------
    list of (ndarray, ndarray)
        For each section the targets to learn from and those held out; the others are 255 in each.
    """
    result = []
    for group in _linked(sections):
        targets = [painted[i] for i in group]
        strip = _strip(targets)
        for target in targets:
            learn, held = target.copy(), np.full_like(target, UNCOUNTED)
            if strip is not None:
                kept, judged = strip
                held[judged] = target[judged]
                mask = np.ones(target.shape, bool)
                mask[kept] = False
                learn[mask] = UNCOUNTED
            result.append((learn, held))
    return result


def _linked(sections: Sequence[int]) -> list[list[int]]:
    """Group the indices of sections that lie at most LINKED apart."""
    groups: list[list[int]] = []
    for i, z in enumerate(sections):
        if groups and z - sections[groups[-1][-1]] <= LINKED:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _strip(targets: Sequence[np.ndarray]) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """Return the boxes to learn from and to judge by, or None if no strip leaves every class painted enough to learn.

    Of the four sides, the one whose strip holds the most even share of all classes is taken.
    """
    classes = [c for c in np.unique(np.stack(targets)) if c != UNCOUNTED]
    if not classes:
        return None
    best, chosen = 0.0, None
    for axis in (0, 1):
        # Painted pixels of each class along the axis, rows (or columns) of the section.
        counts = np.array([sum((t == c).sum(axis=1 - axis) for t in targets) for c in classes])
        along = counts.sum(0)
        for from_end in (True, False):
            cut = _cut(along[::-1] if from_end else along)
            held, rest = (
                (slice(len(along) - cut, None), slice(0, max(len(along) - cut - GAP, 0)))
                if from_end
                else (slice(0, cut), slice(cut + GAP, None))
            )
            share = counts[:, held].sum(1) / counts.sum(1)
            if (counts[:, rest].sum(1) < counts.sum(1) / 2).any():
                continue
            evenness = float(share.min()) + 1e-9
            if evenness > best:
                everything = slice(None)
                best = evenness
                chosen = (
                    ((rest, everything), (held, everything)) if axis == 0 else ((everything, rest), (everything, held))
                )
    return chosen


def _cut(along: np.ndarray) -> int:
    """Return how many rows hold about SHARE of the painted pixels."""
    return int(np.searchsorted(np.cumsum(along), SHARE * along.sum())) + 1
