"""Places of a stack: which are looked at, how each looks, and which to name first. Numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from napari_unet import tiles
from napari_unet.tiles import Box

SIDE, _WINDOW = 128, 512  # pixels: of a place; of what is read at once, which the network sees for less than in places
_WINDOWS = 8  # are looked at, at most, however large the stack
_SCALES = (1.0, 2.0, 4.0, 8.0)  # pixels, standard deviations of the blurs between which texture is measured
_SURE = 0.01  # a place without doubt still counts so much: far from all others it is worth a look
_NOWHERE = 1e6  # the distance to what is painted, if nothing is
_NOTABLE = 0.5  # a reason is given if it holds for this place more than for half of them


@dataclass(frozen=True)
class Place:
    """A place on a section.

    Attributes
    ----------
    box : Box
    look : ndarray, shape (6,), float64
        From `look_of`.
    doubt : float
        The share of its pixels at which the model hesitates between two classes; 0 where nobody asked.
    """

    box: Box
    look: np.ndarray
    doubt: float = 0.0


def windows(shape: tuple[int, int, int], seed: int, within: Sequence[Box] = ()) -> list[Box]:
    """Return the parts of a stack to look at: all of a small one, else eight, drawn evenly over it.

    Parameters
    ----------
    shape : tuple of int
        Sections, rows, columns.
    seed : int
        Another seed draws others.
    within : sequence of Box
        Only parts that meet one of these boxes are returned; by default any.

    Returns
    -------
    list of Box
        Of one section each, at most 512 pixels a side, beginning at multiples of 16, in the order of their sections.
    """
    depth, height, width = shape
    of_section = _pieces(Box(0, 1, 0, height, 0, width), _WINDOW)
    boxes = within or [Box(0, depth, 0, height, 0, width)]
    meeting = [[part for part in of_section if part._replace(z0=box.z0, z1=box.z1).shared(box)] for box in boxes]
    ends = np.cumsum([(box.z1 - box.z0) * len(parts) for box, parts in zip(boxes, meeting, strict=True)])
    edges = np.linspace(0, ends[-1], min(ends[-1], _WINDOWS) + 1).astype(int)
    found = set()
    for i in np.random.default_rng(seed).integers(edges[:-1], edges[1:]):
        k = int(np.searchsorted(ends, i, side="right"))
        z, part = divmod(int(i - ends[k]), len(meeting[k]))  # sections from the end of the box, a negative number
        z += boxes[k].z1
        found.add(meeting[k][part]._replace(z0=z, z1=z + 1))
    return sorted(found)


def places_in(box: Box) -> list[Box]:
    """Return the places of a box of one section: it in about equal parts of at most 128 pixels a side."""
    return _pieces(box, SIDE)


def look_of(pixels: np.ndarray) -> np.ndarray:
    """Return how a place looks: brightness, and how strong its texture is at five scales.

    Grey values only, not features of the network: painted places then cost no pass through it, and a model that is
    wrong about a kind of tissue cannot hide it.

    Parameters
    ----------
    pixels : ndarray, shape (Y, X), float32
        Normalised by the grey values of the whole section.

    Returns
    -------
    ndarray, shape (6,), float64
        The mean; the standard deviations of the differences between blurs of 0, 1, 2, 4 and 8 pixels, and of the last.
    """
    blurred = [pixels, *(ndimage.gaussian_filter(pixels, scale) for scale in _SCALES)]
    bands = [fine - coarse for fine, coarse in pairwise(blurred)]
    return np.array([pixels.mean(), *(band.std() for band in bands), blurred[-1].std()], float)


def choose(places: Sequence[Place], painted: Sequence[Place], count: int) -> list[tuple[Place, str]]:
    """Return places worth painting, the best first, each with the reason in one sentence.

    Farthest-first: again and again the place is taken that is farthest from all that is painted or taken already, its
    distance multiplied by the doubt of the model. The distance counts look and position alike, each in standard
    deviations. Without the doubt this is k-Center-Greedy of Sener and Savarese, "Active Learning for Convolutional
    Neural Networks: A Core-Set Approach" (arXiv 1708.00489, algorithm 1).

    Parameters
    ----------
    places
        To choose from; none of them painted.
    painted
        Some of those that are.
    count
        So many, or all if there are fewer.
    """
    if not places:
        return []
    looks = _scaled(np.array([each.look for each in (*places, *painted)]))
    spots = _scaled(np.array([_centre(each.box) for each in (*places, *painted)]))
    points, n = np.hstack([looks, spots]), len(places)
    doubts = np.array([each.doubt for each in places])
    unlike, far = _nearest(looks, n), _nearest(points, n)
    chosen: list[tuple[Place, str]] = []
    while len(chosen) < min(count, n):
        best = int(np.argmax((doubts + _SURE) * far))
        chosen.append((places[best], _why(best, doubts, unlike)))
        far = np.minimum(far, np.linalg.norm(points[:n] - points[best], axis=1))
        far[best] = -1  # below any other, also of a place that is just the same
    return chosen


def _pieces(box: Box, largest: int) -> list[Box]:
    """Cut a box of one section into parts of at most `largest` pixels a side; none reaches beyond it."""
    cut = tiles.cover(box.y0, box.y1, box.x0, box.x1, largest)
    return [
        box._replace(y0=max(t.y0, box.y0), y1=min(t.y1, box.y1), x0=max(t.x0, box.x0), x1=min(t.x1, box.x1))
        for t in cut
    ]


def _centre(box: Box) -> tuple[float, float, float]:
    return float(box.z0), (box.y0 + box.y1) / 2, (box.x0 + box.x1) / 2


def _scaled(values: np.ndarray) -> np.ndarray:
    """Return values (places, kinds) in standard deviations, so that many kinds weigh as much as few."""
    spread = values.std(0)
    return values / np.where(spread > 0, spread, 1) / np.sqrt(values.shape[1])


def _nearest(points: np.ndarray, n: int) -> np.ndarray:
    """Return the distance of each of the first `n` points to the nearest of the others."""
    if len(points) == n:
        return np.full(n, _NOWHERE)
    return np.linalg.norm(points[:n, None] - points[None, n:], axis=2).min(1)


def _why(place: int, doubts: np.ndarray, unlike: np.ndarray) -> str:
    """Return the strongest reason for a place."""
    doubtful, strange = (float(np.mean(values < values[place])) for values in (doubts, unlike))
    if strange > max(doubtful, _NOTABLE):
        return "This looks unlike what you have painted so far."
    if doubtful >= _NOTABLE or doubts[place] == doubts.max() > 0:
        share = max(round(100 * doubts[place]), 1)
        return f"The model hesitates here: {share} % of the pixels are between two classes."
    return "This is far from all that is painted or named before."
