"""Places where a model does not believe what is painted: slips, perhaps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage import measure

from napari_unet.oddities import Spot
from napari_unet.painting import UNCOUNTED

SLIP = "slip"  # the kind of a finding
# Measured: calibrated models are rarely more than 95 % sure of a membrane; at 90 %, careful labels have one patch of
# this size in five sections, and most strokes of the wrong class have one each.
SURE = 0.9  # probability from which on a model is believed
_PATCH = 60  # pixels; fewer are no slip worth a look, nor is what is nowhere 3 pixels wide: strokes may touch a border
_CORE = 3
# Measured on ids of neurons: finds half of the neighbours that share an id, and one in thirty objects wrongly.
_BETWEEN = 0.7  # probability of the separating class from which on it parts an object
_BODY = 400  # pixels of each part, at least


@dataclass(frozen=True)
class Slip:
    """A patch of a section whose painted class a model does not believe.

    Attributes
    ----------
    y, x : int
        A pixel in the midst of it.
    painted, says : int
        Which channel is painted, of which one the model is sure.
    sure : float
        How sure, in the mean of the patch.
    size : int
        Pixels of the patch.
    """

    y: int
    x: int
    painted: int
    says: int
    sure: float
    size: int


def slips(painted: np.ndarray, says: np.ndarray, sure: np.ndarray) -> Iterator[Slip]:
    """Yield the patches of a section where another class is painted than the one that a model is sure of.

    Parameters
    ----------
    painted : ndarray, shape (Y, X), uint8
        Channels; 255 where nothing is painted.
    says : ndarray, shape (Y, X), uint8
        The most probable channel.
    sure : ndarray, shape (Y, X), float
        Its probability; 0 where the model was not asked.
    """
    doubted = (painted != UNCOUNTED) & (painted != says) & (sure > SURE)
    rows, columns = np.flatnonzero(doubted.any(1)), np.flatnonzero(doubted.any(0))
    if not rows.size:
        return
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    painted, says, sure = painted[box], says[box], sure[box]
    both = np.where(doubted[box], painted.astype(np.int32) * (UNCOUNTED + 1) + says + 1, 0)
    pieces = measure.label(both, background=0, connectivity=2)  # type: ignore[no-untyped-call]
    sizes = np.bincount(pieces.ravel())
    core = ndimage.minimum_filter(pieces, _CORE, mode="constant") == ndimage.maximum_filter(pieces, _CORE)
    ys, xs = np.nonzero(core & (pieces > 0) & (sizes[pieces] >= _PATCH))
    at = pieces[ys, xs]
    for piece in np.unique(at).tolist():
        inside = np.flatnonzero(at == piece)
        y, x = int(ys[inside[inside.size // 2]]), int(xs[inside[inside.size // 2]])
        mean = float(sure[pieces == piece].mean())
        yield Slip(y + int(rows[0]), x + int(columns[0]), int(painted[y, x]), int(says[y, x]), mean, int(sizes[piece]))


def parted(ids: np.ndarray, between: np.ndarray) -> Iterator[Spot]:
    """Yield the objects through which a model sees what separates objects, such as a membrane: two, perhaps.

    Parameters
    ----------
    ids : ndarray, shape (Y, X), integer
        0 where there is no object.
    between : ndarray, shape (Y, X), float
        The probability of what separates them.

    Yields
    ------
    Spot
        In the smaller one of the two largest parts, with its size.
    """
    pieces = measure.label(ids, background=0, connectivity=1)  # type: ignore[no-untyped-call]
    parts = measure.label(np.where(between < _BETWEEN, pieces, 0), background=0, connectivity=1)  # type: ignore[no-untyped-call]
    sizes = np.bincount(parts.ravel())
    boxes = ndimage.find_objects(parts)
    found: dict[int, list[tuple[int, int, int]]] = {}  # piece: size and place of its large parts
    for part in (np.flatnonzero(sizes[1:] >= _BODY) + 1).tolist():
        ys, xs = np.nonzero(parts[boxes[part - 1]] == part)
        y, x = (int(n[n.size // 2]) + side.start for n, side in zip((ys, xs), boxes[part - 1], strict=True))
        found.setdefault(int(pieces[y, x]), []).append((int(sizes[part]), y, x))
    for large in found.values():
        if len(large) > 1:
            size, y, x = sorted(large)[-2]
            yield Spot(y, x, int(ids[y, x]), size)
