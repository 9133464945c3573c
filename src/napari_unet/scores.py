"""How good a segmentation is: overlap of pixels, separation of cells, agreement of objects.

Every score lies in [0, 1], 1 is perfect, and nan says that there was nothing to score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from scipy.ndimage import label
from scipy.sparse import coo_array
from skimage.segmentation import watershed

from napari_unet.problem import Problem

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Overlap:
    """Agreement of the pixels of one class.

    `pixels` counts the scored pixels of the class in the truth; `iou` and `dice` are nan where the class is
    neither in the truth nor predicted.
    """

    iou: float
    dice: float
    pixels: int


@dataclass(frozen=True)
class Separation:
    """How well cells are kept apart by membrane at one threshold: V_rand and V_info, mean over sections."""

    threshold: float
    v_rand: float
    v_info: float


@dataclass(frozen=True)
class ObjectScore:
    """Agreement of whole objects; `matched`, `predicted` and `truth` are numbers of objects.

    `precision` is nan without predicted objects, `recall` without true ones, `f1` without either.
    """

    precision: float
    recall: float
    f1: float
    matched: int
    predicted: int
    truth: int


def overlap(predicted: np.ndarray, truth: np.ndarray, value: int, scored: np.ndarray | None = None) -> Overlap:
    """Score the pixels of one class.

    Parameters
    ----------
    predicted, truth : np.ndarray
        Class of every pixel, integers, of one shape.
    value : int
        The class to score.
    scored : np.ndarray, optional
        Which pixels count, bool, of the same shape; by default all.

    Returns
    -------
    Overlap
        IoU = |P and T| / |P or T| and Dice = 2 |P and T| / (|P| + |T|), with P and T the pixels of the class.

    Raises
    ------
    Problem
        If the shapes differ.
    """
    _check_shapes(predicted, truth)
    in_predicted, in_truth = predicted == value, truth == value
    if scored is not None:
        _check_shapes(scored, truth)
        in_predicted, in_truth = in_predicted & scored, in_truth & scored
    both = int(np.count_nonzero(in_predicted & in_truth))
    pixels = int(np.count_nonzero(in_truth))
    total = int(np.count_nonzero(in_predicted)) + pixels
    return Overlap(iou=_ratio(both, total - both), dice=_ratio(2 * both, total), pixels=pixels)


def separation(membrane: np.ndarray, interior: np.ndarray, threshold: float) -> Separation:
    """Score how well membrane keeps cells apart, by the final metrics of the ISBI 2012 challenge.

    Pixels of at least `threshold` are membrane. The 4-connected interiors left between them grow until
    one-pixel dams part them, so the width of a membrane does not matter. Each section is scored on its own.

    Parameters
    ----------
    membrane : np.ndarray
        Predicted probability of membrane in [0, 1], shape (Z, Y, X).
    interior : np.ndarray
        True interior, bool, of the same shape; its 4-connected parts are the true cells.
    threshold : float
        In (0, 1]; a membrane map of only 0 and 1 gives the same score at each.

    Returns
    -------
    Separation
        Mean over the sections that have true interior; nan where no section has.

    Raises
    ------
    Problem
        If the shapes differ, are not (Z, Y, X), or `membrane` leaves [0, 1].

    References
    ----------
    Arganda-Carreras et al. 2015, "Crowdsourcing the creation of image segmentation algorithms for
    connectomics", Frontiers in Neuroanatomy 9:142.
    """
    _check_shapes(membrane, interior)
    if membrane.ndim != 3:
        raise Problem(f"The membrane map has {membrane.ndim} axes. Give a stack of sections (Z, Y, X).")
    # Written so that nan fails too.
    if membrane.size and not (membrane.min() >= 0 and membrane.max() <= 1):
        raise Problem("The membrane map holds values outside 0 to 1. Give the probability of membrane.")
    scores = [
        rand_and_info(label(inside)[0], _grown(section >= threshold))
        for section, inside in zip(membrane, interior, strict=True)
        if inside.any()
    ]
    v_rand, v_info = np.mean(scores, axis=0) if scores else (nan, nan)
    return Separation(threshold=threshold, v_rand=float(v_rand), v_info=float(v_info))


def best_separation(
    membrane: np.ndarray, interior: np.ndarray, thresholds: Sequence[float] = THRESHOLDS
) -> tuple[Separation, Separation]:
    """Return the separations at the thresholds that are best by V_rand and best by V_info.

    Scores are averaged over sections first, then the best threshold is taken, as the challenge does; of
    equally good thresholds it is the first. Parameters and errors are those of `separation`.
    """
    found = [separation(membrane, interior, threshold) for threshold in thresholds]
    return max(found, key=lambda one: one.v_rand), max(found, key=lambda one: one.v_info)


def rand_and_info(truth_ids: np.ndarray, segment_ids: np.ndarray) -> tuple[float, float]:
    """Return V_rand and V_info of a segmentation.

    With p_ij the share of pixels in truth i and segment j, a_i and b_j its sums, V_rand is the harmonic mean
    of sum p^2 / sum b^2 and sum p^2 / sum a^2, and V_info that of I / H(A) and I / H(B), where
    I = H(A) + H(B) - H(A, B) is the mutual information (natural logarithm).

    Parameters
    ----------
    truth_ids : np.ndarray
        True cell of every pixel, integers; only pixels above 0 are scored.
    segment_ids : np.ndarray
        Segment of every pixel, integers, same shape; every pixel of 0 is a segment of its own.

    Returns
    -------
    v_rand, v_info : float
        In [0, 1]; nan where no pixel is scored. V_info is 1 where truth and segmentation both are one single
        region, and 0 where one of the two is.

    Raises
    ------
    Problem
        If the shapes differ.

    References
    ----------
    Arganda-Carreras et al. 2015, Frontiers in Neuroanatomy 9:142, with alpha = 1/2.
    """
    _check_shapes(truth_ids, segment_ids)
    inside = truth_ids > 0
    truth, segments = truth_ids[inside], segment_ids[inside].astype(np.int64)
    if not truth.size:
        return nan, nan
    alone = segments == 0
    segments[alone] = segments.max() + 1 + np.arange(np.count_nonzero(alone))
    _, _, pairs = _contingency(truth, segments)
    p, a, b = pairs.data, pairs.sum(axis=1), pairs.sum(axis=0)
    v_rand = 2 * np.sum(p**2) / (np.sum(a**2) + np.sum(b**2))
    entropies = _entropy(a) + _entropy(b)
    # Rounding may leave the information just outside its bounds.
    information = min(max(entropies - _entropy(p), 0.0), entropies / 2)
    v_info = 2 * information / entropies if entropies else 1.0
    return float(v_rand), v_info


def object_f1(predicted_ids: np.ndarray, truth_ids: np.ndarray, iou: float = 0.5) -> ObjectScore:
    """Score whole objects: a predicted and a true object match where their IoU is above `iou`.

    Parameters
    ----------
    predicted_ids, truth_ids : np.ndarray
        Object of every pixel, integers, of one shape, 2-D or 3-D; 0 is background.
    iou : float
        In [0.5, 1): above one half, no object can match two others.

    Returns
    -------
    ObjectScore
        With F1 = 2 matched / (predicted + truth).

    Raises
    ------
    Problem
        If the shapes differ or `iou` is out of range.
    """
    _check_shapes(predicted_ids, truth_ids)
    if not 0.5 <= iou < 1:
        raise Problem(f"An IoU of {iou} cannot match objects one to one. Choose one from 0.5 to below 1.")
    rows, columns, pairs = _contingency(truth_ids.ravel(), predicted_ids.ravel())
    union = pairs.sum(axis=1)[pairs.row] + pairs.sum(axis=0)[pairs.col] - pairs.data
    objects = (rows[pairs.row] > 0) & (columns[pairs.col] > 0)
    matched = int(np.count_nonzero(objects & (pairs.data > iou * union)))
    truth, predicted = int(np.count_nonzero(rows > 0)), int(np.count_nonzero(columns > 0))
    return ObjectScore(
        precision=_ratio(matched, predicted),
        recall=_ratio(matched, truth),
        f1=_ratio(2 * matched, truth + predicted),
        matched=matched,
        predicted=predicted,
        truth=truth,
    )


def _grown(membrane: np.ndarray) -> np.ndarray:
    """Grow the 4-connected interiors of one section, bool (Y, X), into ids that one-pixel dams of 0 part."""
    interiors, _ = label(~membrane)
    return watershed(membrane, interiors, connectivity=1, watershed_line=True)  # type: ignore[no-untyped-call]


def _contingency(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, coo_array]:
    """Return the ids of `rows`, those of `columns`, and how many pixels each pair of them shares."""
    row_ids, row = np.unique(rows, return_inverse=True)
    column_ids, column = np.unique(columns, return_inverse=True)
    pairs = coo_array((np.ones(row.size, np.int64), (row, column)), shape=(row_ids.size, column_ids.size))
    # By way of csr, which sums repeated pairs several times faster than coo does.
    return row_ids, column_ids, pairs.tocsr().tocoo()


def _entropy(counts: np.ndarray) -> float:
    """Entropy in nats of the shares that `counts`, none of them 0, have in their sum."""
    shares = counts / counts.sum()
    return -float(np.sum(shares * np.log(shares)))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else nan


def _check_shapes(one: np.ndarray, other: np.ndarray) -> None:
    if one.shape != other.shape:
        raise Problem(f"The arrays to compare have shapes {one.shape} and {other.shape}. Give two of one shape.")
