"""What painted pixels mean: classes, unlabelled pixels, touching objects, loss weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_unet.problem import Problem

UNCOUNTED = 255  # target of a pixel that is neither learned from nor scored
_MANY = 10  # values without a class, from which on the labels look like an image
_DENSE = 0.9  # a section counts as painted whole from this share of its painted bounding box on
CORRECTION = 3.0  # weight of a corrected pixel: it shows where the model errs, strokes mostly what it knows
_REACH = 6  # in sigmas: where d1 + d2 is larger, the border term is zero


class UnknownValue(Problem):
    """Labels hold a value that is no class; `what` says which, without what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}. {remedy}")
        self.what = what


@dataclass(frozen=True)
class Meaning:
    """What the values of a labels layer stand for.

    Parameters
    ----------
    values : tuple of int
        The label value of each output channel of the network, in order.
    separator : int or None
        The output channel of the class that separates touching objects (membrane, background), if any.
    objects : bool
        Values above 0 are object ids; all of them belong to the class of value 1. Needs a separator.
    zero_counts : bool
        0 means background (with `objects`: the separating class). Otherwise 0 is unlabelled.
    """

    values: tuple[int, ...]
    separator: int | None = None
    objects: bool = False
    zero_counts: bool = False


def targets(labels: np.ndarray, meaning: Meaning, name: str = "The painting") -> np.ndarray:
    """Return the output channel that each pixel should have.

    Parameters
    ----------
    labels : ndarray, shape (Y, X), integer or bool
    meaning : Meaning
    name : str
        What messages call the labels.

    Returns
    -------
    ndarray, shape (Y, X), uint8
        Channels; 255 where the pixel does not count. Between touching ids lies a one-pixel gap of the
        separating class (section 3 of arXiv 1505.04597).

    Raises
    ------
    UnknownValue
        If `labels` holds a value that `meaning` does not know.
    """
    result = np.full(labels.shape, UNCOUNTED, np.uint8)
    if meaning.objects:
        result[labels > 0] = meaning.values.index(1)
        gap = touching(labels) | (labels == 0) if meaning.zero_counts else touching(labels)
        return np.where(gap, np.uint8(meaning.separator or 0), result)
    for channel, value in enumerate(meaning.values):
        result[labels == value] = channel
    unknown = np.unique(labels[(result == UNCOUNTED) & (labels != 0)])
    if unknown.size:
        classes = f"not one of the {len(meaning.values)} named classes ({', '.join(map(str, meaning.values))})"
        if unknown.size >= _MANY:
            raise UnknownValue(
                f"{name} holds {unknown.size} values, such as {unknown[0]}, each of which is {classes}",
                "Check the order of the files: did you swap image and labels? If the values are ids of objects, "
                "say so (--objects).",
            )
        raise UnknownValue(
            f"{name} holds the value {unknown[0]}, which is {classes}",
            "Name it among the classes, or erase it; if the values are ids of objects, say so (--objects).",
        )
    return result


def touching(ids: np.ndarray) -> np.ndarray:
    """Return where an object touches another one below or to its right: bool, shape (Y, X)."""
    ids = np.asarray(ids)
    result = np.zeros(ids.shape, bool)
    result[:-1] |= (ids[:-1] != ids[1:]) & (ids[1:] != 0)
    result[:, :-1] |= (ids[:, :-1] != ids[:, 1:]) & (ids[:, 1:] != 0)
    return result & (ids != 0)


def class_weights(target_counts: np.ndarray, balance: float) -> np.ndarray:
    """Return the weight w_c of each class, which balances how often the classes were painted.

    Parameters
    ----------
    target_counts : ndarray, shape (channels,), integer
        Counted pixels of each class.
    balance : float
        From 0, all pixels alike, to 1, as in arXiv 1505.04597. The more, the more often a rare class is found where
        there is none: a network trained on balanced classes sees each as likely as the others.

    Returns
    -------
    ndarray, shape (channels,), float32
        total / (classes * count), at most 10, to the power of `balance`; 1 for a class without pixels.
    """
    counts = np.asarray(target_counts, float)
    painted = counts > 0
    balanced = counts.sum() / (max(painted.sum(), 1) * np.maximum(counts, 1))
    return np.where(painted, np.minimum(balanced, 10) ** balance, 1).astype(np.float32)


def loss_weights(
    labels: np.ndarray,
    target: np.ndarray,
    meaning: Meaning,
    per_class: np.ndarray,
    border: float,
    corrected: np.ndarray | None = None,
) -> np.ndarray:
    """Return w(x) = w_c(x) + the border term of equation 2 of arXiv 1505.04597, three times that where corrected.

    The border term is added where a section was painted whole: between strokes, the distance to the next
    stroke says nothing about objects that touch.

    Parameters
    ----------
    labels : ndarray, shape (Y, X), integer
    target : ndarray, shape (Y, X), uint8
        What `targets` made of `labels`.
    meaning : Meaning
    per_class : ndarray, shape (channels,), float32
    border : float
        w0, the border term where two objects touch; the paper takes 10.
    corrected : ndarray, shape (Y, X), bool, optional
        Pixels that were painted where a prediction said another class.

    Returns
    -------
    ndarray, shape (Y, X), float32
        0 where the pixel does not count.
    """
    counted = target != UNCOUNTED
    weights = np.where(counted, per_class[np.where(counted, target, 0)], 0).astype(np.float32)
    if border and meaning.separator is not None and painted_whole(counted):
        separating = target == meaning.separator
        objects = counted & ~separating
        ids = np.where(objects, labels, 0) if meaning.objects else ndimage.label(objects)[0]
        weights[separating] += border_term(ids, border)[separating]
    if corrected is not None:
        weights[corrected] *= CORRECTION
    return weights


def border_term(ids: np.ndarray, w0: float = 10.0, sigma: float = 5.0) -> np.ndarray:
    """Return w0 exp(-(d1 + d2)^2 / (2 sigma^2)), equation 2 of arXiv 1505.04597 without w_c.

    d1 and d2 are the distances to the nearest and the second-nearest object. Each object is looked at in its
    own box plus 6 sigma, beyond which the term is zero: the cost grows with the area, not with area x objects.

    Parameters
    ----------
    ids : ndarray, shape (Y, X), integer
        Objects; 0 where there is none.
    w0 : float
    sigma : float
        In pixels.

    Returns
    -------
    ndarray, shape (Y, X), float32
        0 on the objects, where d1 + d2 > 6 sigma, and everywhere if there are fewer than two objects.
    """
    reach = int(np.ceil(_REACH * sigma))
    # Padding keeps every slice inside the array, and makes `reach` pixels of room around each object.
    padded = np.pad(np.unique(ids, return_inverse=True)[1].reshape(ids.shape), reach)
    first, second = np.full((2, *padded.shape), np.inf, np.float32)
    for number, box in enumerate(ndimage.find_objects(padded.astype(np.int32)), start=1):
        if box is None:
            continue
        near = tuple(slice(side.start - reach, side.stop + reach) for side in box)
        distance = ndimage.distance_transform_edt(padded[near] != number).astype(np.float32)
        second[near] = np.minimum(second[near], np.maximum(first[near], distance))
        first[near] = np.minimum(first[near], distance)
    total = (first + second)[reach:-reach, reach:-reach]
    inside = (ids == 0) & (total <= _REACH * sigma)
    return np.where(inside, w0 * np.exp(-(np.where(inside, total, 0) ** 2) / (2 * sigma**2)), 0).astype(np.float32)


def painted_whole(counted: np.ndarray) -> bool:
    """Tell whether the painted part of a section, bool (Y, X), is an area rather than strokes."""
    rows, columns = np.flatnonzero(counted.any(1)), np.flatnonzero(counted.any(0))
    if not rows.size:
        return False
    return bool(counted[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean() >= _DENSE)
