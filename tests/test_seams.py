"""The seam certificate: windows lie where tiles meet, and a seam is found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from napari_unet.blocks import Block, blocks
from napari_unet.classes import PixelClass
from napari_unet.layout import Layout
from napari_unet.seams import SEAMS, Certificate, certify, places, windows
from napari_unet.tiles import Box, cover

VALUES = np.array([1, 2], np.uint8)
SIDE = 128


def layout(*shape: int) -> Layout:
    classes = (PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00"))
    return Layout(shape, classes, None, (0, 0, 0), False, {})


def whole(each: Layout) -> Box:
    return Box(*(end for side in each.shape for end in (0, side)))


def sides(block: Block, shape: tuple[int, int, int], there: Box, tile: int) -> Iterator[Box]:
    """Yield what each tile of a block gave to the result."""
    a, b, c, d = block.box(shape)
    tops, bottoms, lefts, rights = zip(*(chunk.box(shape) for chunk in block.chunks), strict=True)
    for each in cover(there.y0 + a, there.y0 + b, there.x0 + c, there.x0 + d, tile):
        top, bottom = max(each.y0 - there.y0, min(tops)), min(each.y1 - there.y0, max(bottoms))
        left, right = max(each.x0 - there.x0, min(lefts)), min(each.x1 - there.x0, max(rights))
        if top < bottom and left < right:
            yield Box(block.z, block.z + 1, top, bottom, left, right)


@example((1, 1, 2049), (0, 0, 0), 3072, 2, Random(0))  # one of three chunks of a square is left
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 4000), st.integers(1, 4000)),
    st.tuples(*[st.integers(0, 3000)] * 3),
    st.sampled_from([208, 512, 1024, 2048, 3072]),
    st.integers(0, 4),
    st.randoms(use_true_random=False),
)
def test_windows_lie_around_corners_of_the_tiles_that_were_computed(
    shape: tuple[int, int, int], at: tuple[int, int, int], tile: int, kept: int, random: Random
) -> None:
    """Some chunks are kept from a former run; memory gets short in some blocks, on some workers."""
    made = layout(*shape)
    there = Box(*(end for start, side in zip(at, shape, strict=True) for end in (start, start + side)))
    chunks = made.chunks()
    tiled = dict.fromkeys(blocks(chunks[:kept], tile), tile)
    tiled |= {block: random.choice([tile, max(tile // 32 * 16, 64)]) for block in blocks(chunks[kept:], tile)}
    computed = [part for block, side in tiled.items() for part in sides(block, shape, there, side)]
    found = places(made, there, tiled)
    assert found == places(made, there, dict(reversed(tiled.items())))
    assert len(found) <= 8
    # A tile that ends inside a section meets others: above or below, left or right, at a corner both.
    inside = [(t.y0 > 0 or t.y1 < shape[1], t.x0 > 0 or t.x1 < shape[2]) for t in computed]
    assert bool(found) == any(map(any, inside))
    for place, box in zip(found, windows(made, found, 128), strict=True):
        assert (box.z0, box.z1) == (place.z, place.z + 1)
        assert place.z < shape[0]
        assert 0 <= box.y0 < box.y1 <= min(shape[1], box.y0 + 128)
        assert 0 <= box.x0 < box.x1 <= min(shape[2], box.x0 + 128)
        here = [part for part in computed if part.z0 == place.z]
        rows = box.y0 < place.y < box.y1 and any(place.y in (t.y0, t.y1) and t.x0 <= place.x <= t.x1 for t in here)
        columns = box.x0 < place.x < box.x1 and any(place.x in (t.x0, t.x1) and t.y0 <= place.y <= t.y1 for t in here)
        assert (rows and columns) if any(map(all, inside)) else (rows or columns)


def test_large_results_are_looked_at_in_more_places() -> None:
    for shape, count in (((1, 2048, 2048), 1), ((400, 4096, 4096), 8)):
        made = layout(*shape)
        assert len(places(made, whole(made), dict.fromkeys(blocks(made.chunks(), 1024), 1024))) == count


def checked(labels: np.ndarray, bias: float, shares: np.ndarray | None = None, *, half: bool = False) -> Certificate:
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
    at = places(made, whole(made), dict.fromkeys(blocks(made.chunks(), 1024), 1024))
    return certify(found, kept, stored, windows(made, at, SIDE), SIDE, half)


def test_a_result_without_seams_is_certified(tmp_path: Path) -> None:
    found = checked(np.full((2048, 2048), 2, np.uint8), 0.0)
    assert found == Certificate(
        windows=1, pixels=SIDE * SIDE, changed=0, probabilities=None, between_tilings=0.0, half=False
    )
    assert str(found) == (
        "no seam at 1 place where tiles meet: of 16,384 pixels computed again, 0 have another class in the result; "
        "outputs of the network differ by at most 0 between two tilings computed again"
    )
    found.save(tmp_path)
    kept = {"windows": 1, "pixels": 16384, "changed": 0, "probabilities": None, "between_tilings": 0.0, "half": False}
    assert json.loads((tmp_path / SEAMS).read_text()) == kept


def test_a_seam_is_found() -> None:
    labels = np.full((2048, 2048), 2, np.uint8)
    labels[1020:1024] = 1
    found = checked(labels, 0.25)
    assert (found.changed, found.between_tilings) == (4 * SIDE, pytest.approx(0.25))
    assert str(found) == (
        "differences at 1 place where tiles meet: of 16,384 pixels computed again, 512 have another class in the "
        "result; outputs of the network differ by at most 0.2 between two tilings computed again"
    )


@pytest.mark.parametrize(("more", "verdict"), [(1, "no seam"), (5, "differences")])
def test_probabilities_are_compared_with_those_of_the_result(more: int, verdict: str) -> None:
    elsewhere = ", so tiles are not why: another processor or device may have computed the result"
    shares = np.stack([np.full((2048, 2048), each, np.uint8) for each in (69, 186)])
    shares[0, 1000:1030, 1024] += more
    found = checked(np.full((2048, 2048), 2, np.uint8), 0.0, shares)
    assert (found.changed, found.probabilities) == (0, more)
    assert str(found) == (
        f"{verdict} at 1 place where tiles meet: of 16,384 pixels computed again, 0 have another class in the result, "
        f"probabilities differ from the result by at most {more} of 255; outputs of the network differ by at most 0 "
        f"between two tilings computed again{elsewhere if verdict == 'differences' else ''}"
    )


def test_a_difference_that_tiles_do_not_explain_is_told_from_a_seam() -> None:
    labels = np.full((2048, 2048), 2, np.uint8)
    labels[1020, 1020] = 1
    sentence = "so tiles are not why: another processor or device may have computed the result"
    assert str(checked(labels, 2e-6)).endswith(sentence)
    assert sentence not in str(checked(labels, 1e-3))


def test_of_16_bit_numbers_it_says_that_they_round_otherwise() -> None:
    labels = np.full((2048, 2048), 2, np.uint8)
    assert "16-bit" not in str(checked(labels, 1e-2, half=True))
    labels[1020, 1020] = 1
    for bias in (0.0, 1e-2):
        assert str(checked(labels, bias, half=True)).endswith(
            ". 16-bit numbers round otherwise in other tiles: take float32 where that matters (--precision)"
        )


def test_one_tile_is_no_pass() -> None:
    found = checked(np.full((1024, 1000), 2, np.uint8), 0.0)
    assert found == Certificate(0, 0, 0, None, 0.0, False)
    assert str(found) == "not checked for seams: each section is one tile"
