"""The seam certificate: windows lie where tiles meet, and a seam is found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.classes import PixelClass
from napari_unet.layout import Layout
from napari_unet.seams import SEAMS, SIDE, Certificate, certify, windows
from napari_unet.tiles import Box

VALUES = np.array([1, 2], np.uint8)


def layout(*shape: int) -> Layout:
    classes = (PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00"))
    return Layout(shape, classes, None, (0, 0, 0), False, {})


@given(st.integers(1, 50), st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([64, 512, 1024, 2048]))
def test_windows_lie_in_the_result_around_edges_of_tiles(z: int, y: int, x: int, tile: int) -> None:
    made, step = windows(layout(z, y, x), tile), min(tile, 1024)
    assert made == windows(layout(z, y, x), tile)
    assert bool(made) == (max(x, y) > step)
    assert len(made) <= 8
    for box in made:
        assert 0 <= box.z0 < box.z1 <= z
        assert 0 <= box.y0 < box.y1 <= y
        assert 0 <= box.x0 < box.x1 <= x
        assert any(edge % step == 0 for a, b in (box[2:4], box[4:6]) for edge in range(a + 1, b))


def test_large_results_are_looked_at_in_more_places() -> None:
    assert len(windows(layout(1, 2048, 2048), 1024)) == 1
    assert len(windows(layout(400, 4096, 4096), 1024)) == 8


def checked(labels: np.ndarray, bias: float) -> Certificate:
    """Compare a result with logits that say class 2 everywhere; small tiles say it with a bias."""

    def found(box: Box, tile: int) -> np.ndarray:
        logits = np.zeros((2, box.y1 - box.y0, box.x1 - box.x0), np.float32)
        logits[1] = 1 + (bias if tile < SIDE else 0)
        return logits

    at = windows(layout(1, *labels.shape), 1024)
    return certify(found, lambda box: labels[box.y0 : box.y1, box.x0 : box.x1], VALUES, at)


def test_a_result_without_seams_is_certified(tmp_path: Path) -> None:
    found = checked(np.full((2048, 2048), 2, np.uint8), 0.0)
    assert found == Certificate(windows=1, pixels=SIDE * SIDE, changed=0, largest=0.0)
    assert str(found) == "no seam at 1 place where tiles meet"
    found.save(tmp_path)
    assert json.loads((tmp_path / SEAMS).read_text()) == {"windows": 1, "pixels": 16384, "changed": 0, "largest": 0.0}


def test_a_seam_is_found() -> None:
    labels = np.full((2048, 2048), 2, np.uint8)
    labels[1020:1024] = 1
    found = checked(labels, 0.25)
    assert (found.changed, found.largest) == (4 * SIDE, pytest.approx(0.25))
    assert str(found) == "512 of 16,384 pixels differ at 1 place where tiles meet"


def test_one_tile_has_no_seam() -> None:
    assert checked(np.full((1024, 1000), 2, np.uint8), 0.0) == Certificate(0, 0, 0, 0.0)
