"""What was painted while a training runs: how much of it can be learned, and what cannot, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from itertools import chain
from pathlib import Path

import numpy as np

from napari_unet.events import NotJoined
from napari_unet.painted import Change, Painted
from napari_unet.painting import UNCOUNTED, UnknownValue
from napari_unet.problem import Problem
from napari_unet.requests import Join

_OTHER_CLASSES = "A training keeps the classes that it began with. Stop it and train again, or erase what is new."


def learnable(
    painted: Painted, asked: Sequence[Join], more: Mapping[int, Set[int]], refusals: Refusals
) -> list[Change]:
    """Find what can be learned of all that is asked for, of `more` sections of its pairs, and of what was refused.

    Parameters
    ----------
    painted : Painted
        What is there already.
    asked : sequence of Join
        Each names sections of its labels; of a pair that is asked for twice, the last labels count.
    more : mapping
        Sections of the image for each pair.
    refusals : Refusals
        They take note of what cannot be learned now.

    Returns
    -------
    list of Change
        One for each pair of which something is new.
    """
    strokes: dict[int, set[int]] = {}
    for each in asked:
        strokes.setdefault(each.pair, set()).update(each.sections)
    found: dict[int, Change] = {}
    tried: dict[int, Painted] = {}  # what was painted when a pair was looked at last
    pairs = {each.pair: Path(each.labels) for each in asked}
    while pairs:
        for pair, labels in pairs.items():
            now, joined = _looked_at(painted, pair, labels, strokes.pop(pair, set()), more.get(pair, set()), refusals)
            if not same_labels(now, painted):
                painted = now
                found[pair] = Change(pair, labels, joined | (found[pair].sections if pair in found else set()))
            tried[pair] = painted
        # What one lacked may have come with another.
        pairs = {pair: labels for pair, labels in refusals.waiting().items() if tried.get(pair) is not painted}
    return list(found.values())


def _looked_at(
    painted: Painted, pair: int, labels: Path, strokes: Set[int], more: Set[int], refusals: Refusals
) -> tuple[Painted, frozenset[int]]:
    """Join sections of the labels of one pair, `more` of its image, and what waits; return which of them can be."""
    try:
        asked = painted.on_image(pair, labels, None if refusals.unread(pair) else strokes)
        new = asked | more | refusals.refused(pair)
    except Problem as problem:  # what was there before is still learned
        refusals.note_unread(pair, labels, why_not(problem))
        return painted, frozenset()
    painted, refused = join(painted, pair, labels, new)
    refusals.note(pair, labels, refused)
    return painted, frozenset(new - refused.keys())


def join(painted: Painted, pair: int, labels: Path, sections: Set[int]) -> tuple[Painted, dict[int, str]]:
    """Read sections that were painted on meanwhile, as far as they can be learned.

    Parameters
    ----------
    painted : Painted
        What was there before.
    pair : int
    labels : Path
        Where the labels of this pair are now.
    sections : set of int
        Sections of the image.

    Returns
    -------
    Painted
        With the sections that can be learned; the others are in it as they were before.
    dict
        Of each of those others, why not and what to do.
    """
    painted, refused = _joined(painted, pair, labels, sections)
    while refused:  # what one lacked may have come with another
        painted, still = _joined(painted, pair, labels, refused.keys())
        if still.keys() == refused.keys():
            break
        refused = still
    return painted, refused


def _joined(painted: Painted, pair: int, labels: Path, sections: Set[int]) -> tuple[Painted, dict[int, str]]:
    """Do so once, in halves until each can be learned as a whole or is a single section."""
    try:
        return painted.joined([Change(pair, labels, frozenset(sections))]), {}
    except Problem as problem:
        if len(sections) == 1:
            return painted, dict.fromkeys(sections, why_not(problem))
    first = set(sorted(sections)[: len(sections) // 2])
    painted, refused = _joined(painted, pair, labels, first)
    painted, more = _joined(painted, pair, labels, sections - first)
    return painted, refused | more


def why_not(problem: Problem) -> str:
    """Return what to say of strokes that cannot be learned."""
    remedy = f"{problem.what}. {_OTHER_CLASSES}" if isinstance(problem, UnknownValue) else problem
    return f"Not learned: {remedy} Until then it learns what was there before."


class Refusals:
    """The sections that cannot be learned as they are now."""

    def __init__(self) -> None:
        self._why: dict[int, dict[int, str]] = {}
        self._unread: dict[int, str] = {}
        self._labels: dict[int, Path] = {}
        self._told = ""

    def waiting(self) -> dict[int, Path]:
        """Return the labels of each pair of which something waits: what it lacks may come with what joins any pair."""
        return {pair: self._labels[pair] for pair in sorted(self._why.keys() | self._unread.keys())}

    def refused(self, pair: int) -> set[int]:
        """Return the sections of the image that cannot be learned."""
        return set(self._why.get(pair, ()))

    def unread(self, pair: int) -> bool:
        """Return whether the labels of a pair could not be read: nobody knows what is new in them."""
        return pair in self._unread

    def note(self, pair: int, labels: Path, refused: Mapping[int, str]) -> None:
        """Take note of what is refused of a pair now."""
        self._labels[pair] = labels
        self._why.pop(pair, None)
        self._unread.pop(pair, None)
        if refused:
            self._why[pair] = dict(refused)

    def note_unread(self, pair: int, labels: Path, why: str) -> None:
        """Take note of labels that cannot be read, nor where they lie on the image."""
        self._labels[pair] = labels
        self._unread[pair] = why

    def tell(self) -> list[NotJoined]:
        """Return what there is to say of it that was not said yet, at most one event."""
        refused = chain.from_iterable(each.values() for each in self._why.values())
        before, self._told = self._told, ["", *refused, *self._unread.values()][-1]
        return [NotJoined(self._told)] if self._told != before else []


def same_labels(one: Painted, other: Painted) -> bool:
    """Tell whether the same is painted, and the same of it corrects a prediction."""
    return [(s.pair, s.z) for s in one.sections] == [(s.pair, s.z) for s in other.sections] and all(
        np.array_equal(a.labels, b.labels) and np.array_equal(a.corrected, b.corrected)
        for a, b in zip(one.sections, other.sections, strict=True)
    )


def same_learned(one: Painted, other: Painted) -> bool:
    """Tell whether the same is learned, and weighs the same."""
    ones, others = (
        {(s.pair, s.z): (s.learn, s.weights) for s in painted.sections if (s.learn != UNCOUNTED).any()}
        for painted in (one, other)
    )
    return ones.keys() == others.keys() and all(
        np.array_equal(a, b) for at in ones for a, b in zip(ones[at], others[at], strict=True)
    )
