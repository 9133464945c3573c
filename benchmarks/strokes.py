"""Strokes as a person paints them on a section: short, a few pixels wide, in cells and along membranes, with slips."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.morphology import skeletonize

INTERIOR, MEMBRANE = 1, 2
_WIDTHS = (3, 4, 5)  # pixels
_LENGTHS = (20, 60)  # pixels
_STEP = 5  # pixels between two points of a polyline
_SLIP = 1.0  # pixels, standard deviation of a point's displacement: one in twenty is off by two or more
_AWAY = 6  # pixels from a membrane at which a stroke in a cell begins; it ends at half of that

Points = list[tuple[float, float]]


def paint(interior: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Paint `count` strokes on a section, half of them (rounded down) along membranes, the others in cells.

    Parameters
    ----------
    interior : ndarray, shape (Y, X), bool
        The truth: inside a cell, or membrane.
    count : int
    rng : numpy.random.Generator
        Same state, same strokes.

    Returns
    -------
    ndarray, shape (Y, X), uint8
        0 where nothing is painted, 1 interior, 2 membrane. Slips make some of it wrong.
    """
    labels = Image.new("L", interior.shape[::-1], 0)
    draw = ImageDraw.Draw(labels)
    distance = ndimage.distance_transform_edt(interior)
    skeleton = skeletonize(~interior)
    for number in range(count):
        length = rng.uniform(*_LENGTHS)
        along = number % 2 == 1
        points = _along(skeleton, length, rng) if along else _inside(distance, length, rng)
        slipped = np.array(points) + rng.normal(0, _SLIP, (len(points), 2))
        draw.line(
            [(x, y) for y, x in slipped], MEMBRANE if along else INTERIOR, int(rng.choice(_WIDTHS)), joint="curve"
        )
    return np.array(labels)


def _inside(distance: np.ndarray, length: float, rng: np.random.Generator) -> Points:
    """Walk through a cell, on a wavy way that keeps away from its membrane."""
    places = np.argwhere(distance >= min(_AWAY, distance.max()))
    at = places[rng.integers(len(places))].astype(float)
    points, heading = [(at[0], at[1])], rng.uniform(0, 2 * math.pi)
    for _ in range(round(length / _STEP)):
        turns = heading + rng.normal(0, 0.4) + np.array([0, 0.5, -0.5, 1, -1])
        ways = at + _STEP * np.stack([np.sin(turns), np.cos(turns)], axis=1)
        room = [_at(distance, way) for way in ways]
        best = int(np.argmax(np.minimum(room, _AWAY)))  # the first that has room enough: straight on if it can
        if room[best] < _AWAY / 2:
            break
        at, heading = ways[best], turns[best]
        points.append((at[0], at[1]))
    return points if len(points) > 1 else [points[0], (points[0][0] + 1, points[0][1] + 1)]


def _along(skeleton: np.ndarray, length: float, rng: np.random.Generator) -> Points:
    """Follow the middle line of a membrane; where it forks, any way is taken."""
    places = np.argwhere(skeleton)
    y, x = places[rng.integers(len(places))]
    seen, walked = {(y, x)}, [(y, x)]
    while len(walked) < length:
        near = [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        onward = [place for place in near if place not in seen and _at(skeleton, np.array(place))]
        if not onward:
            break
        seen.update(onward)
        y, x = onward[rng.integers(len(onward))]
        walked.append((y, x))
    points = [(float(y), float(x)) for y, x in walked[::_STEP]]
    return points if len(points) > 1 else [points[0], (points[0][0] + 1, points[0][1] + 1)]


def _at(array: np.ndarray, place: np.ndarray) -> float:
    """Return the value at a place, 0 beside the section."""
    y, x = np.round(place).astype(int)
    return float(array[y, x]) if 0 <= y < array.shape[0] and 0 <= x < array.shape[1] else 0.0
