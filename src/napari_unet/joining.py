"""What was painted while a training runs: how much of it can be learned, and what cannot, and why."""

from __future__ import annotations

from collections.abc import Mapping, Set
from itertools import chain
from pathlib import Path

import numpy as np

from napari_unet.events import NotJoined
from napari_unet.painted import Painted
from napari_unet.painting import UNCOUNTED, UnknownValue
from napari_unet.problem import Problem

_OTHER_CLASSES = "A training keeps the classes that it began with. Stop it and train again, or erase what is new."


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
        return painted.joined(pair, labels, sections), {}
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
        self._unread: dict[int, tuple[set[int], str]] = {}
        self._labels: dict[int, Path] = {}
        self._told = ""

    def waiting(self) -> dict[int, Path]:
        """Return the labels of each pair of which something waits: what it lacks may come with what joins any pair."""
        return {pair: self._labels[pair] for pair in sorted(self._why.keys() | self._unread.keys())}

    def refused(self, pair: int) -> set[int]:
        """Return the sections of the image that cannot be learned."""
        return set(self._why.get(pair, ()))

    def unread(self, pair: int) -> set[int]:
        """Return the sections of the labels of a pair that could not be read."""
        return set(self._unread[pair][0]) if pair in self._unread else set()

    def note(self, pair: int, labels: Path, refused: Mapping[int, str]) -> None:
        """Take note of what is refused of a pair now."""
        self._labels[pair] = labels
        self._why.pop(pair, None)
        self._unread.pop(pair, None)
        if refused:
            self._why[pair] = dict(refused)

    def note_unread(self, pair: int, labels: Path, sections: Set[int], why: str) -> None:
        """Take note of labels of which some sections cannot be read, nor where they lie on the image."""
        self._labels[pair] = labels
        self._unread[pair] = set(sections), why

    def tell(self) -> list[NotJoined]:
        """Return what there is to say of it that was not said yet, at most one event."""
        refused = chain.from_iterable(each.values() for each in self._why.values())
        before, self._told = self._told, ["", *refused, *(why for _, why in self._unread.values())][-1]
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
