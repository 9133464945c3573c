"""The seam certificate: windows lie where tiles meet, and a seam is found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.blocks import blocks
from napari_unet.classes import PixelClass
from napari_unet.layout import Layout
from napari_unet.seams import SEAMS, SIDE, Certificate, certify, windows
from napari_unet.tiles import Box, cover

VALUES = np.array([1, 2], np.uint8)


def layout(*shape: int) -> Layout:
    classes = (PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00"))
    return Layout(shape, classes, None, (0, 0, 0), False, {})


def cuts(start: int, tiles: set[int], stop: int) -> set[int]:
    return {edge - start for edge in tiles if start < edge < stop}


@given(
    st.tuples(st.integers(1, 50), st.integers(1, 5000), st.integers(1, 5000)),
    st.tuples(*[st.integers(0, 3000)] * 3),
    st.sampled_from([64, 208, 512, 1024, 2048, 3072]),
)
def test_windows_lie_in_the_result_around_edges_of_the_tiles_it_was_computed_in(
    shape: tuple[int, int, int], at: tuple[int, int, int], tile: int
) -> None:
    there = Box(*(end for start, side in zip(at, shape, strict=True) for end in (start, start + side)))
    made = windows(layout(*shape), there, tile)
    assert made == windows(layout(*shape), there, tile)
    rows, columns = set(), set()
    for block in blocks([chunk for chunk in layout(*shape).chunks() if chunk.z == 0], tile):
        y0, y1, x0, x1 = block.box(shape)
        used = list(cover(at[1] + y0, at[1] + y1, at[2] + x0, at[2] + x1, tile))
        rows |= {y0} | cuts(at[1], {each.y0 for each in used}, at[1] + y1)
        columns |= {x0} | cuts(at[2], {each.x0 for each in used}, at[2] + x1)
    rows, columns = rows - {0}, columns - {0}
    assert bool(made) == bool(rows or columns)
    assert len(made) <= 8
    for box in made:
        assert 0 <= box.z0 < box.z1 <= shape[0]
        assert 0 <= box.y0 < box.y1 <= shape[1]
        assert 0 <= box.x0 < box.x1 <= shape[2]
        assert not rows or any(box.y0 < edge < box.y1 for edge in rows)
        assert not columns or any(box.x0 < edge < box.x1 for edge in columns)


def box_of(each: Layout) -> Box:
    return Box(*(end for side in each.shape for end in (0, side)))


def test_large_results_are_looked_at_in_more_places() -> None:
    for shape, count in (((1, 2048, 2048), 1), ((400, 4096, 4096), 8)):
        assert len(windows(layout(*shape), box_of(layout(*shape)), 1024)) == count


def checked(labels: np.ndarray, bias: float, shares: np.ndarray | None = None) -> Certificate:
    """Compare a result with logits that say class 2 everywhere; small tiles say it with a bias."""

    def found(box: Box, tile: int) -> torch.Tensor:
        logits = torch.zeros((2, box.y1 - box.y0, box.x1 - box.x0))
        logits[1] = 1 + (bias if tile < SIDE else 0)
        return logits

    def kept(logits: torch.Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        of_classes = None if shares is None else (logits.softmax(0) * 255).round().to(torch.uint8).numpy()
        return VALUES[logits.argmax(0).numpy()], of_classes

    def stored(box: Box) -> tuple[np.ndarray, np.ndarray | None]:
        part = ..., slice(box.y0, box.y1), slice(box.x0, box.x1)
        return labels[part], None if shares is None else shares[part]

    made = layout(1, *labels.shape)
    return certify(found, kept, stored, windows(made, box_of(made), 1024))


def test_a_result_without_seams_is_certified(tmp_path: Path) -> None:
    found = checked(np.full((2048, 2048), 2, np.uint8), 0.0)
    assert found == Certificate(windows=1, pixels=SIDE * SIDE, changed=0, probabilities=None, outputs=0.0)
    assert str(found) == (
        "no seam at 1 place where tiles meet (0 of 16,384 pixels computed again differ, outputs of the network by at "
        "most 0)"
    )
    found.save(tmp_path)
    kept = {"windows": 1, "pixels": 16384, "changed": 0, "probabilities": None, "outputs": 0.0}
    assert json.loads((tmp_path / SEAMS).read_text()) == kept


def test_a_seam_is_found() -> None:
    labels = np.full((2048, 2048), 2, np.uint8)
    labels[1020:1024] = 1
    found = checked(labels, 0.25)
    assert (found.changed, found.outputs) == (4 * SIDE, pytest.approx(0.25))
    assert str(found) == (
        "seams at 1 place where tiles meet (512 of 16,384 pixels computed again differ, outputs of the network by at "
        "most 0.2)"
    )


def test_probabilities_are_compared_with_those_of_the_result() -> None:
    shares = np.stack([np.full((2048, 2048), each, np.uint8) for each in (69, 186)])
    shares[0, 1000:1030, 1024] += 5
    found = checked(np.full((2048, 2048), 2, np.uint8), 0.0, shares)
    assert (found.changed, found.probabilities) == (0, 5)
    assert "differ, probabilities by at most 5 of 255, outputs" in str(found)


def test_one_tile_is_no_pass() -> None:
    found = checked(np.full((1024, 1000), 2, np.uint8), 0.0)
    assert found == Certificate(0, 0, 0, None, 0.0)
    assert str(found) == "no seam to look for: each section is one tile"
