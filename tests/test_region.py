"""Text to box and back."""

from __future__ import annotations

import pytest

from napari_unet.problem import Problem
from napari_unet.region import box_of, place_of, start_of
from napari_unet.tiles import Box


@pytest.mark.parametrize(
    ("text", "box"),
    [("", (0, 5, 0, 60, 0, 70)), ("1:3,0:60,8:70", (1, 3, 0, 60, 8, 70)), ("2:,:30,:", (2, 5, 0, 30, 0, 70))],
)
def test_region_text(text: str, box: tuple[int, ...]) -> None:
    assert box_of(text, (5, 60, 70)) == Box(*box)
    assert start_of(text) == box[::2]


@pytest.mark.parametrize("text", ["0:6,:,:", "3:3,:,:", "4:2,:,:", ":,60:,:", ":,:,0:71"])
def test_region_outside_the_stack(text: str) -> None:
    with pytest.raises(Problem, match="does not lie inside the stack of 5 sections"):
        box_of(text, (5, 60, 70))


def test_a_place() -> None:
    assert place_of("") is None
    assert place_of("0,12.5,-3") == (0, 12.5, -3)
