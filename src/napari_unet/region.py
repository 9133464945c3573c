"""Text on where things lie: a region, such as "2:5,:,0:512", from starts to before ends; a place, "0,12.5,-3"."""

from __future__ import annotations

from napari_unet.problem import Problem
from napari_unet.tiles import Box

_ALL = ":,:,:"


def box_of(text: str, shape: tuple[int, int, int]) -> Box:
    """Return the box of "z0:z1,y0:y1,x0:x1" in a stack of `shape`; an empty text or end means all.

    Raises
    ------
    Problem
        If the region does not lie inside the stack.
    """
    ends: list[int] = []
    for part, size in zip((text or _ALL).split(","), shape, strict=True):
        first, end = part.split(":")
        ends += [int(first or 0), int(end or size)]
    box = Box(*ends)
    for start, stop, size in zip(box[::2], box[1::2], shape, strict=True):
        if not 0 <= start < stop <= size:
            raise Problem(
                f"The region {text} does not lie inside the stack of {shape[0]} sections of {shape[1]} x {shape[2]} "
                "pixels. Give it as z0:z1,y0:y1,x0:x1, each end larger than its start."
            )
    return box


def start_of(text: str) -> tuple[int, int, int]:
    """Return the first voxel (Z, Y, X) of a region; that of the stack for an empty text."""
    z, y, x = (int(part.partition(":")[0] or 0) for part in (text or _ALL).split(","))
    return z, y, x


def place_of(text: str) -> tuple[float, float, float] | None:
    """Return (Z, Y, X) of a place in voxels, None for an empty text."""
    if not text:
        return None
    z, y, x = map(float, text.split(","))
    return z, y, x
