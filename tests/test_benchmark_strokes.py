"""The strokes of `benchmarks/strokes.py`: as many as asked, the same for a seed, mostly right."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

_FILE = Path(__file__).parents[1] / "benchmarks/strokes.py"


@pytest.fixture(scope="module")
def strokes():
    spec = importlib.util.spec_from_file_location("strokes", _FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def interior() -> np.ndarray:
    """Cells of about 40 pixels with membranes of five."""
    y, x = np.indices((200, 240))
    return ((y + 6 * np.sin(x / 9)) % 45 >= 5) & ((x + 6 * np.sin(y / 11)) % 50 >= 5)


def test_the_same_seed_paints_the_same(strokes, interior):
    first, again, other = (strokes.paint(interior, 12, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_half_of_the_strokes_lie_on_membranes(strokes, interior, count):
    labels = strokes.paint(interior, count, np.random.default_rng(0))
    assert (labels.shape, labels.dtype) == (interior.shape, np.uint8)
    assert np.unique(labels).tolist() == [0, strokes.INTERIOR, strokes.MEMBRANE][: 1 + min(count, 2)]


def test_strokes_are_short_thin_and_mostly_right(strokes, interior):
    for seed in range(5):
        labels = strokes.paint(interior, 2, np.random.default_rng(seed))
        for value in (strokes.INTERIOR, strokes.MEMBRANE):
            assert ndimage.label(labels == value, np.ones((3, 3)))[1] == 1
            assert 4 <= np.count_nonzero(labels == value) <= 60 * 8
    labels = strokes.paint(interior, 100, np.random.default_rng(0))
    truth = np.where(interior, strokes.INTERIOR, strokes.MEMBRANE)
    painted = labels > 0
    wrong = np.mean(labels[painted] != truth[painted])
    assert 0 < wrong < 0.25
    assert painted.mean() < 0.4
