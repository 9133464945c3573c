"""What is asked for is what a result was begun with, or it is refused and the difference said in words."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_layout import LAYOUT as ANY_LAYOUT

from napari_unet.classes import PixelClass
from napari_unet.differences import refuse_another
from napari_unet.layout import create
from napari_unet.problem import Problem

MADE = {
    "model": "abc",
    "model_sha256": "1f",
    "image": "stack.tif",
    "image_fingerprint": "5a",
    "channel": None,
    "precision": "bfloat16",
    "tile": 1024,
    "best_quality": False,
}
LAYOUT = replace(ANY_LAYOUT, provenance=MADE)


def made(**other: Any) -> dict[str, Any]:
    """What another provenance changes of the layout."""
    return {"provenance": MADE | other}


@pytest.mark.parametrize(
    ("other", "before", "now"),
    [
        (made(model="xyz", model_sha256="2e"), "with the model abc", "with the model xyz"),
        (made(tile=256), "in tiles of 1024 pixels", "in tiles of 256 pixels"),
        (made(precision="float32"), "in bfloat16", "in float32"),
        (made(best_quality=True), "without best quality", "with best quality"),
        (made(channel=1, image_fingerprint="6b"), "from no single channel", "from channel 1"),
        (made(later="x"), "with later None", "with later x"),
        ({"probabilities": False}, "with probabilities", "without probabilities"),
        (
            {"shape": (1, 1500, 1101)},
            "of 2 sections of 1500 x 1100 pixels",
            "of 1 section of 1500 x 1101 pixels",
        ),
        (
            {"classes": (PixelClass(1, "cell", "#56b4e9"),)},
            "with the classes 1 interior (#56b4e9) and 2 membrane (#e69f00)",
            "with the classes 1 cell (#56b4e9)",
        ),
        (
            {"voxel_size": None, "offset": (0, 0, 0)},
            "with voxels of 50 x 4 x 4 nm and from section 1, row 100 and column 200 on",
            "with voxels of unknown size and from section 0, row 0 and column 0 on",
        ),
    ],
)
def test_another_layout_is_refused_in_words(tmp_path: Path, other: dict[str, Any], before: str, now: str) -> None:
    create(tmp_path, LAYOUT)
    words = f"made {before}; now it is to be made {now}. To go on with it, ask for the same as before; otherwise choose"
    with pytest.raises(Problem, match=re.escape(words)):
        refuse_another(tmp_path, replace(LAYOUT, **other))


def test_a_model_that_was_trained_further_is_refused_in_words(tmp_path: Path) -> None:
    create(tmp_path, LAYOUT)
    with pytest.raises(Problem, match=r"made with abc before that was trained further\. Choose another output name"):
        refuse_another(tmp_path, replace(LAYOUT, **made(model_sha256="2e")))


def test_another_image_is_refused_in_words(tmp_path: Path) -> None:
    create(tmp_path, LAYOUT)
    with pytest.raises(Problem, match=r"made from another image than stack\.tif, or from that before it was edited"):
        refuse_another(tmp_path, replace(LAYOUT, **made(image_fingerprint="6b")))


def test_another_level_is_refused_by_its_name(tmp_path: Path) -> None:
    create(tmp_path, LAYOUT)
    words = "was made from stack.tif, and level 1 of ms.zarr is another image. Take the former one to go on, or"
    with pytest.raises(Problem, match=words):
        refuse_another(tmp_path, replace(LAYOUT, **made(image_fingerprint="6b", image="level 1 of ms.zarr")))


@pytest.mark.parametrize("other", [{}, {"voxel_size": (50, 4, 4)}, made(image="moved.tif")])
def test_the_same_layout_is_not_refused(tmp_path: Path, other: dict[str, Any]) -> None:
    create(tmp_path, LAYOUT)
    refuse_another(tmp_path, replace(LAYOUT, **other))


def test_a_result_that_does_not_know_its_tile_goes_on_in_any(tmp_path: Path) -> None:
    create(tmp_path, replace(LAYOUT, provenance={key: value for key, value in MADE.items() if key != "tile"}))
    refuse_another(tmp_path, LAYOUT)
