"""Reports: the result is compared with the truth of the same place, and the answer is JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.classes import PixelClass
from napari_unet.layout import Layout
from napari_unet.problem import Problem
from napari_unet.report import report
from napari_unet.scores import overlap
from napari_unet.store import open_store

BACKGROUND, INTERIOR, MEMBRANE = (
    PixelClass(0, "background", "#000000"),
    PixelClass(1, "interior", "#56b4e9"),
    PixelClass(2, "membrane", "#e69f00"),
)


def cells(shape: tuple[int, int, int] = (3, 12, 20)) -> np.ndarray:
    """Interiors (1) between lines of membrane (2)."""
    _, y, x = np.indices(shape)
    return np.where((y % 6 == 3) | (x % 7 == 4), 2, 1).astype(np.uint8)


def write_result(
    path: Path,
    predicted: np.ndarray,
    probabilities: np.ndarray | None = None,
    offset: tuple[int, int, int] = (0, 0, 0),
    classes: tuple[PixelClass, ...] = (INTERIOR, MEMBRANE),
    leave_out: int = 0,
    place: tuple[int, int, int] = (0, 0, 0),
) -> Path:
    """Write a segmentation, but for its last `leave_out` sections, of an image at a `place`."""
    layout = Layout(predicted.shape, classes, None, offset, probabilities is not None, {"place": place})
    with open_store(path, layout) as store:
        for chunk in store.pending[: len(predicted) - leave_out]:
            store.write(chunk, predicted[chunk.z], None if probabilities is None else probabilities[:, chunk.z])
    return path


def write_truth(path: Path, truth: np.ndarray, offset: tuple[int, int, int] | None = None) -> Path:
    place = {} if offset is None else {"offset": offset}
    tifffile.imwrite(path, truth, photometric="minisblack", metadata={"axes": "ZYX"} | place)
    return path


def scored(tmp_path: Path, predicted: np.ndarray, truth: np.ndarray, boundary: str = "", **how: Any) -> dict[str, Any]:
    """Report on arrays, and check that the answer is JSON."""
    result = write_result(tmp_path / "out.zarr", predicted, **how)
    found = report(result, write_truth(tmp_path / "truth.tif", truth), boundary)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


# ---- scores


def test_a_perfect_segmentation_scores_1(tmp_path: Path) -> None:
    truth = cells()
    found = scored(tmp_path, truth, truth, "membrane")
    assert found == {
        "sections": 3,
        "classes": {
            "interior": {"iou": 1.0, "dice": 1.0, "pixels": int((truth == 1).sum())},
            "membrane": {"iou": 1.0, "dice": 1.0, "pixels": int((truth == 2).sum())},
        },
        "at_0.5": {"v_rand": pytest.approx(1), "v_info": pytest.approx(1)},
    }


def test_probabilities_are_scored_over_thresholds(tmp_path: Path) -> None:
    truth = cells()
    # The class map says interior everywhere; only the probabilities know the membrane, at 0.3.
    probabilities = np.stack([np.where(truth == 2, 179, 255), np.where(truth == 2, 76, 0)]).astype(np.uint8)
    found = scored(tmp_path, np.ones_like(truth), truth, "membrane", probabilities=probabilities)
    assert found["classes"]["membrane"]["iou"] == 0
    assert found["at_0.5"]["v_rand"] < 0.9
    assert found["best"] == {
        "v_rand": pytest.approx(1),
        "v_rand_threshold": 0.1,
        "v_info": pytest.approx(1),
        "v_info_threshold": 0.1,
    }


def test_unlabelled_truth_is_not_scored(tmp_path: Path) -> None:
    truth, predicted = cells(), cells()
    predicted[:, :3] = 2
    truth[:, :3] = 0
    found = scored(tmp_path, predicted, truth, "membrane")
    assert found["classes"]["membrane"] == {"iou": 1.0, "dice": 1.0, "pixels": int((truth == 2).sum())}


def test_a_background_class_is_scored_where_the_truth_is_0(tmp_path: Path) -> None:
    truth = np.where(cells() == 2, 0, 1).astype(np.uint8)
    predicted = truth.copy()
    predicted[0] = 1
    found = scored(tmp_path, predicted, truth, "background", classes=(BACKGROUND, PixelClass(1, "cell", "#ffffff")))
    assert found["classes"]["background"]["pixels"] == int((truth == 0).sum())
    assert found["classes"]["background"]["iou"] == pytest.approx(2 / 3)
    assert found["at_0.5"]["v_rand"] < 1


def test_an_absent_class_and_a_truth_without_cells_are_null(tmp_path: Path) -> None:
    nothing = np.full((1, 8, 8), 2, np.uint8)
    probabilities = np.zeros((3, *nothing.shape), np.uint8)
    classes = (INTERIOR, MEMBRANE, PixelClass(3, "vesicle", "#ffffff"))
    found = scored(tmp_path, nothing, nothing, "membrane", probabilities=probabilities, classes=classes)
    assert found["classes"]["vesicle"] == {"iou": None, "dice": None, "pixels": 0}
    assert found["at_0.5"] == {"v_rand": None, "v_info": None}
    assert found["best"]["v_rand"] is None
    assert found["best"]["v_info"] is None


# ---- places


@given(st.data())
@settings(max_examples=25)
def test_what_both_cover_is_scored_wherever_they_lie(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut result and truth out of one world: the report must be that of their common part."""
    world = np.random.default_rng(0).integers(1, 3, (2, 5, 7, 9)).astype(np.uint8)
    boxes = []
    for _ in range(2):
        ends = [sorted(data.draw(st.permutations(range(n + 1)))[:2]) for n in world.shape[1:]]
        boxes.append(tuple(slice(*end) for end in ends))
    offsets = [tuple(side.start for side in box) for box in boxes]
    folder = tmp_path_factory.mktemp("place")
    result = write_result(folder / "out.zarr", world[0][boxes[0]], offset=offsets[0])
    truth = write_truth(folder / "truth.tif", world[1][boxes[1]], offset=offsets[1])
    common = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(*boxes, strict=True))
    if any(side.start >= side.stop for side in common):
        with pytest.raises(Problem, match=r"truth.tif does not cover the segmentation"):
            report(result, truth)
        return
    found = report(result, truth)
    assert found["sections"] == common[0].stop - common[0].start
    expected = overlap(world[0][common], world[1][common], 1)
    assert found["classes"]["interior"]["pixels"] == expected.pixels
    assert found["classes"]["interior"]["iou"] == (None if np.isnan(expected.iou) else expected.iou)


def test_a_truth_of_the_regions_shape_without_a_place_belongs_to_the_region(tmp_path: Path) -> None:
    truth = cells()
    found = scored(tmp_path, truth, truth, offset=(1, 100, 200))
    assert found["classes"]["membrane"]["pixels"] == int((truth == 2).sum())
    assert found["classes"]["membrane"]["iou"] == 1


# ---- what cannot be scored


def test_an_unfinished_result_is_refused_where_the_truth_covers_it(tmp_path: Path) -> None:
    result = write_result(tmp_path / "out.zarr", cells(), leave_out=1)
    with pytest.raises(Problem, match=r"out.zarr is not finished. Run the same segment command again"):
        report(result, write_truth(tmp_path / "whole.tif", cells()))
    assert report(result, write_truth(tmp_path / "first.tif", cells((2, 12, 20))))["sections"] == 2


def test_a_result_without_some_of_its_probabilities_is_not_finished_where_they_are_asked_for(tmp_path: Path) -> None:
    probabilities = np.stack([np.where(cells() == value, 255, 0) for value in (1, 2)]).astype(np.uint8)
    result = write_result(tmp_path / "out.zarr", cells(), probabilities=probabilities)
    truth = write_truth(tmp_path / "truth.tif", cells())
    (result / "probabilities/0/c/1/2/0/0").unlink()
    assert report(result, truth)["sections"] == 3
    with pytest.raises(Problem, match=r"out.zarr is not finished. Run the same segment command again"):
        report(result, truth, "membrane")
    first = write_truth(tmp_path / "first.tif", cells((2, 12, 20)))
    assert report(result, first, "membrane")["at_0.5"]["v_rand"] == pytest.approx(1)


def test_a_truth_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"truth.tif holds only 0"):
        scored(tmp_path, cells(), np.zeros_like(cells()))


@pytest.mark.parametrize(
    ("values", "words"),
    [((0, 255), "255"), ((2, 9), "9"), ((10, 11, 12, 13), "10, 11, 12 and others"), ((0.5,), "0.5")],
)
def test_a_truth_of_foreign_values_is_refused(tmp_path: Path, values: tuple[float, ...], words: str) -> None:
    truth = np.resize(values, cells().shape).astype(np.float32 if 0.5 in values else np.uint8)
    expected = rf"truth.tif holds the values {words}, but .* are 1 \(interior\), 2 \(membrane\)\. Give"
    with pytest.raises(Problem, match=expected):
        scored(tmp_path, cells(), truth)


@pytest.mark.parametrize("probabilities", [None, np.zeros((2, 3, 12, 20), np.uint8)])
def test_a_boundary_that_is_no_class_is_refused(tmp_path: Path, probabilities: np.ndarray | None) -> None:
    with pytest.raises(Problem, match=r"There is no class wall. Choose one of: interior, membrane."):
        scored(tmp_path, cells(), cells(), "wall", probabilities=probabilities)


def test_what_is_not_there_is_a_problem(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "truth.tif", cells())
    with pytest.raises(Problem, match="no segmentation made by napari-unet"):
        report(tmp_path / "none.zarr", truth)
    with pytest.raises(Problem, match=r"none.tif"):
        report(write_result(tmp_path / "out.zarr", cells()), tmp_path / "none.tif")


@pytest.mark.parametrize("part", ["0", "probabilities/0"])
def test_a_damaged_result_is_a_problem(tmp_path: Path, part: str) -> None:
    probabilities = np.stack([np.where(cells() == value, 255, 0) for value in (1, 2)]).astype(np.uint8)
    result = write_result(tmp_path / "out.zarr", cells(), probabilities=probabilities)
    for chunk in (result / part / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(chunk.read_bytes()[:-1] + b"?")
    words = (
        r"Section 0 of .*out.zarr is damaged. Run the same napari-unet segment command again, which computes what is"
    )
    with pytest.raises(Problem, match=words):
        report(result, write_truth(tmp_path / "truth.tif", cells()), "membrane")


def test_a_truth_without_a_place_belongs_to_the_image_wherever_that_lies(tmp_path: Path) -> None:
    truth = cells()
    result = write_result(tmp_path / "out.zarr", truth[:, 4:, 10:], offset=(-1, 54, 35), place=(-1, 50, 25))
    found = report(result, write_truth(tmp_path / "truth.tif", truth))
    assert found["classes"]["membrane"]["iou"] == 1
    assert found["classes"]["membrane"]["pixels"] == int((truth[:, 4:, 10:] == 2).sum())
