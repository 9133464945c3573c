"""How well a segmentation agrees with a truth, as the `score` command reports it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.layout import NOT_COMPUTED, Layout
from napari_unet.omezarr import numbers
from napari_unet.problem import Problem
from napari_unet.result import Result, open_result
from napari_unet.scores import best_separation, overlap, separation
from napari_unet.volume import Volume, open_volume

_Slices = tuple[slice, slice, slice]


def report(result_path: Path, truth_path: Path, boundary: str = "") -> dict[str, Any]:
    """Score a segmentation where the truth covers it.

    Parameters
    ----------
    result_path : Path
        A finished segmentation.
    truth_path : Path
        A class map with the same values; 0 is not scored, unless the model has a class of value 0.
    boundary : str
        Name of the class that separates cells; with it, how well the cells are separated is scored too.

    Returns
    -------
    dict
        IoU and Dice of each class; with `boundary` V_rand and V_info at the threshold 0.5 and, where
        probabilities were written, the best over thresholds. Ready for JSON: None where there was nothing to
        score.

    Raises
    ------
    Problem
        If the two do not overlap, the result is not finished there, the truth holds values that are no class, or
        there is no such class.
    """
    result, truth_volume = open_result(result_path), open_volume(truth_path, labels=True)
    layout = result.layout
    here, there = _shared_box(layout, truth_volume)
    predicted, truth = _read(result.section, here), _read(truth_volume.section, there)
    lacks = predicted == NOT_COMPUTED
    if boundary and result.probabilities:
        lacks |= _read(result.without_probabilities, here)
    if lacks.any():
        raise Problem(f"{result_path} is not finished. Run the same segment command again, then score it.")
    _refuse_foreign(truth, layout, truth_volume.name)
    scored = np.ones(truth.shape, bool) if any(c.value == 0 for c in layout.classes) else truth != 0
    if not scored.any():
        raise Problem(f"{truth_path} holds only 0, so there is nothing to score. Choose a truth with classes.")
    classes = {}
    for c in layout.classes:
        agreement = overlap(predicted, truth, c.value, scored)
        classes[c.name] = {"iou": _json(agreement.iou), "dice": _json(agreement.dice), "pixels": agreement.pixels}
    scores: dict[str, Any] = {"sections": len(truth), "classes": classes}
    if boundary:
        scores |= _separation(result, here, predicted, truth, boundary)
    return scores


def _refuse_foreign(truth: np.ndarray, layout: Layout, name: str) -> None:
    """Raise a Problem if a truth holds values that are neither 0 nor a class: they would count as another class."""
    foreign = np.setdiff1d(truth, [0, *(c.value for c in layout.classes)]).tolist()
    if foreign:
        values = f"{', '.join(map(str, foreign[:3]))}{' and others' * (len(foreign) > 3)}"
        classes = ", ".join(f"{c.value} ({c.name})" for c in layout.classes)
        raise Problem(
            f"{name} holds the values {values}, but the classes of the segmentation are {classes}. "
            "Give the truth the values of these classes; 0 is for what is not labelled, unless it is a class."
        )


def _separation(
    result: Result, here: _Slices, predicted: np.ndarray, truth: np.ndarray, boundary: str
) -> dict[str, Any]:
    """Score how the boundary class separates cells."""
    names = [c.name for c in result.layout.classes]
    if boundary not in names:
        raise Problem(f"There is no class {boundary}. Choose one of: {', '.join(names)}.")
    channel = names.index(boundary)
    value = result.layout.classes[channel].value
    cells = (truth != 0) & (truth != value)
    membrane = (predicted == value).astype(np.float32)
    if result.probabilities:
        membrane = _read(partial(result.section, channel=channel), here).astype(np.float32) / 255
    fixed = separation(membrane, cells, 0.5)
    scores: dict[str, Any] = {"at_0.5": {"v_rand": _json(fixed.v_rand), "v_info": _json(fixed.v_info)}}
    if result.probabilities:
        rand, info = best_separation(membrane, cells)
        scores["best"] = {
            "v_rand": _json(rand.v_rand),
            "v_rand_threshold": rand.threshold,
            "v_info": _json(info.v_info),
            "v_info_threshold": info.threshold,
        }
    return scores


def _read(section: Callable[[int, slice, slice], np.ndarray], box: _Slices) -> np.ndarray:
    """Read a box of a stack by what reads a box of a section."""
    return np.stack([section(z, *box[1:]) for z in range(box[0].start, box[0].stop)])


def _json(score: float) -> float | None:
    """Return None for nan, which JSON does not have."""
    return None if math.isnan(score) else score


def _shared_box(layout: Layout, truth: Volume) -> tuple[_Slices, _Slices]:
    """Return the box that both cover, in voxels of the result and of the truth.

    A truth of the region's very shape without a place of its own belongs to the region, any other to the image.
    """
    image = numbers(layout.provenance.get("place"), 3) or (0, 0, 0)
    offset = truth.offset or (layout.offset if truth.shape == layout.shape else image)
    here, there = [], []
    for a, n, b, m in zip(layout.offset, layout.shape, offset, truth.shape, strict=True):
        begin = round(b - a)  # of the truth, in voxels of the result
        start, stop = max(0, begin), min(n, begin + m)
        if start >= stop:
            raise Problem(f"{truth.name} does not cover the segmentation. Choose the truth of the same stack.")
        here.append(slice(start, stop))
        there.append(slice(start - begin, stop - begin))
    return (here[0], here[1], here[2]), (there[0], there[1], there[2])
