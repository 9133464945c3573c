"""One painted section, boiled down to what is worth knowing of it: how much is painted, and what looks like a slip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import ndimage
from skimage import measure

_STRAY = 3  # pixels; a brush of 3 pixels leaves at least 4, in the corner of a section
_HOLE = 400  # pixels; larger ones are meant
_CLOSED = 0.95  # of the pixels around a hole belong to what it lies in
_AROUND = 4  # pixels; so far around a hole is looked, at least
_BODY = 100  # pixels; smaller pieces of an object are no object of their own
_GAP = 3  # pixels between two pieces that are as good as touching
_BRIDGE = 2  # pixels; half the width of what may join two objects by a slip ...
_THICK = 6  # pixels; ... of at least this half width
_STROKES = 0.1  # strokes cover less than this share of a section ...
_BROAD = 16.0  # pixels; ... and are no broader than this


@dataclass(frozen=True)
class Spot:
    """A pixel of a section, the label value that is meant there, and how many pixels it stands for."""

    y: int
    x: int
    value: int
    size: int


@dataclass(frozen=True)
class Seen:
    """What there is to know of a section.

    Attributes
    ----------
    area : int
        Pixels of the section.
    values : tuple of Spot
        For each painted value all its pixels, and a place in its largest piece.
    breadth : float
        How broad the painted pieces are, in pixels: twice their area over their edge, which is the width of a stroke
        and the radius of a disc.
    strays, holes, twins : tuple of Spot
        Pieces too small for a brush; gaps in what is filled; with ids, bodies of one object that look like two.
    """

    area: int
    values: tuple[Spot, ...]
    breadth: float
    strays: tuple[Spot, ...] = ()
    holes: tuple[Spot, ...] = ()
    twins: tuple[Spot, ...] = ()

    @property
    def share(self) -> float:
        """Which share of the section is painted."""
        return sum(spot.size for spot in self.values) / self.area

    @property
    def like_strokes(self) -> bool:
        """Whether it looks like strokes, rather than like a map of all that is there."""
        return self.share < _STROKES and self.breadth <= _BROAD


@dataclass(frozen=True)
class _Pieces:
    """Connected pixels of one value: their numbers from 1 on (Y, X); by number their sizes and values."""

    number: np.ndarray
    sizes: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray) -> _Pieces:
        number = measure.label(labels, background=0, connectivity=2)  # type: ignore[no-untyped-call]
        sizes = np.bincount(number.ravel())
        values = np.zeros(sizes.size, labels.dtype)
        values[number] = labels
        return cls(number, sizes, values)


def look(labels: np.ndarray, objects: bool, accepted: np.ndarray | None = None) -> Seen | None:
    """Return what there is to know of a section, None if nothing is painted.

    Parameters
    ----------
    labels : ndarray, shape (Y, X), integer
    objects : bool
        Whether the values are ids of objects.
    accepted : ndarray, shape (Y, X), bool, optional
        Where a prediction was copied: no brush slips there.
    """
    rows, columns = np.flatnonzero(labels.any(1)), np.flatnonzero(labels.any(0))
    if not rows.size:
        return None
    y, x = int(rows[0]), int(columns[0])
    box = np.s_[y : rows[-1] + 1, x : columns[-1] + 1]
    painted = np.ascontiguousarray(labels[box])
    pieces = _Pieces.of(painted)
    inside = ndimage.binary_erosion(painted)
    breadth = 2 * int(np.count_nonzero(painted)) / int(np.count_nonzero((painted != 0) & ~inside))
    by_hand = np.ones(painted.shape, bool) if accepted is None else ~accepted[box]
    found = _values(pieces), _strays(pieces, by_hand), _holes(painted), _twins(pieces) if objects else ()
    values, strays, holes, twins = (
        tuple(replace(spot, y=spot.y + y, x=spot.x + x) for spot in spots) for spots in found
    )
    return Seen(labels.size, values, breadth, strays, holes, twins)


def _values(pieces: _Pieces) -> Iterator[Spot]:
    """Yield for each value all its pixels, at a place in its largest piece."""
    boxes = ndimage.find_objects(pieces.number)
    by_value = np.lexsort((pieces.sizes[1:], pieces.values[1:])) + 1  # the largest piece of each comes last
    last = np.flatnonzero(np.diff(pieces.values[by_value], append=0))
    totals = np.add.reduceat(pieces.sizes[by_value], np.append(0, last[:-1] + 1))
    for piece, total in zip(by_value[last].tolist(), totals.tolist(), strict=True):
        rows, columns = boxes[piece - 1]
        ys, xs = np.nonzero(pieces.number[rows, columns] == piece)
        middle = ys.size // 2
        yield Spot(rows.start + int(ys[middle]), columns.start + int(xs[middle]), int(pieces.values[piece]), total)


def _strays(pieces: _Pieces, by_hand: np.ndarray) -> Iterator[Spot]:
    """Yield the pieces, painted `by_hand`, that no brush of 3 pixels or more leaves."""
    ys, xs = np.nonzero((pieces.number > 0) & (pieces.sizes[pieces.number] <= _STRAY) & by_hand)
    numbers, first = np.unique(pieces.number[ys, xs], return_index=True)
    for piece, at in zip(numbers.tolist(), first.tolist(), strict=True):
        yield Spot(int(ys[at]), int(xs[at]), int(pieces.values[piece]), int(pieces.sizes[piece]))


def _holes(labels: np.ndarray) -> Iterator[Spot]:
    """Yield the small gaps inside what is filled.

    A ring has none: as far around a hole as the hole is large, nearly all is filled with the same value.
    """
    gaps, _ = ndimage.label(labels == 0)
    sizes = np.bincount(gaps.ravel())
    at_border = np.concatenate([gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]])
    boxes = ndimage.find_objects(gaps)
    for gap in np.setdiff1d(np.flatnonzero(sizes <= _HOLE), np.append(at_border, 0)).tolist():
        box = boxes[gap - 1]
        y, x = box[0].start, box[1].start + int(np.argmax(gaps[box[0].start, box[1]] == gap))
        value = labels[y, x - 1]  # its first pixel has a painted one at its left
        near = tuple(_wider(side, max(side.stop - side.start, _AROUND)) for side in box)
        if (labels[near][gaps[near] != gap] == value).mean() >= _CLOSED:
            yield Spot(y, x, int(value), int(sizes[gap]))


def _twins(pieces: _Pieces) -> Iterator[Spot]:
    """Yield the ids whose bodies look like two objects: a hair's breadth apart, or joined by a narrow bridge."""
    boxes = ndimage.find_objects(pieces.number)
    bodies: dict[int, list[int]] = {}
    for piece in (np.flatnonzero(pieces.sizes[1:] >= _BODY) + 1).tolist():
        bodies.setdefault(int(pieces.values[piece]), []).append(piece)
    for value, numbers in bodies.items():
        at = next((at for a, b in combinations(numbers, 2) if (at := _meeting(pieces.number, boxes, a, b))), None)
        at = at or next((at for each in numbers if (at := _bridge(pieces.number, boxes, each))), None)
        if at:
            yield Spot(*at, value, int(pieces.sizes[numbers].sum()))


def _meeting(number: np.ndarray, boxes: list[tuple[slice, slice]], a: int, b: int) -> tuple[int, int] | None:
    """Return where two pieces are at most a few pixels apart, if they are anywhere."""
    box = tuple(_wider(side, _GAP + 1) for side in boxes[b - 1])
    window = number[box]
    if not (window == a).any():
        return None
    distance = np.where(window == b, ndimage.distance_transform_edt(window != a), np.inf)
    y, x = np.unravel_index(distance.argmin(), distance.shape)
    return (box[0].start + int(y), box[1].start + int(x)) if distance[y, x] <= _GAP + 1 else None


def _bridge(number: np.ndarray, boxes: list[tuple[slice, slice]], piece: int) -> tuple[int, int] | None:
    """Return where a narrow bridge joins two thick parts of a piece, if one does."""
    box = boxes[piece - 1]
    inside = np.pad(number[box] == piece, 1)
    depth = ndimage.distance_transform_edt(inside)
    parts, count = ndimage.label(depth > _BRIDGE, np.ones((3, 3)))
    thick = np.flatnonzero(ndimage.maximum(depth, parts, range(1, count + 1)) >= _THICK) + 1
    if len(thick) < 2:
        return None
    # Each pixel goes to its nearest part; the bridge is where two of these meet, be it at a corner.
    parts = np.where(np.isin(parts, thick), parts, 0)
    rows, columns = ndimage.distance_transform_edt(parts == 0, return_distances=False, return_indices=True)
    nearest = np.where(inside, parts[rows, columns], 0)
    y, x = np.argwhere(inside & (ndimage.maximum_filter(nearest, 3) > nearest))[0]
    return box[0].start + int(y) - 1, box[1].start + int(x) - 1


def _wider(side: slice, more: int) -> slice:
    """Return a side of a box with some pixels more at both ends."""
    return slice(max(side.start - more, 0), side.stop + more)
