"""Which chunks of a result are computed together, and in which order: numbers only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from napari_unet.layout import CHUNK, Chunk


@dataclass(frozen=True)
class Place:
    """What somebody looks at: section, row and column of the result, in voxels."""

    z: int
    y: int
    x: int


@dataclass(frozen=True)
class Block:
    """Chunks of a section that are computed in one go: those of a square that are asked for.

    All of the square is computed, whatever is asked for: in 16-bit numbers, tiles that lie otherwise round differently.

    Attributes
    ----------
    chunks : tuple of Chunk
        At least one.
    side : int
        Of the square, in chunks; squares begin at multiples of it.
    """

    chunks: tuple[Chunk, ...]
    side: int = 1

    @property
    def z(self) -> int:
        """The section."""
        return self.chunks[0].z

    def box(self, shape: tuple[int, int, int]) -> tuple[int, int, int, int]:
        """Return (y0, y1, x0, x1), the pixels of its square in a result of `shape`, ends excluded."""
        long = self.side * CHUNK
        y, x = (at // self.side * long for at in (self.chunks[0].y, self.chunks[0].x))
        return y, min(y + long, shape[1]), x, min(x + long, shape[2])


def blocks(pending: Iterable[Chunk], tile: int) -> list[Block]:
    """Put chunks together into squares about as large as a tile, at least one chunk.

    Parameters
    ----------
    pending : iterable of Chunk
    tile : int
        Largest side of a tile, in pixels.
    """
    side = max(1, tile // CHUNK)
    squares: dict[tuple[int, int, int], list[Chunk]] = {}
    for chunk in pending:
        squares.setdefault((chunk.z, chunk.y // side, chunk.x // side), []).append(chunk)
    return [Block(tuple(chunks), side) for chunks in squares.values()]


def nearest_first(
    sections: Iterable[int], blocks_of: Callable[[int], list[Block]], looked_at: Callable[[], Place | None]
) -> Iterator[Block]:
    """Yield all blocks, each time the one nearest to what is looked at then; without that, in their order.

    Nearer sections come first, so that the tiles of a section come one after another.

    Parameters
    ----------
    sections : iterable of int
        Those that have blocks.
    blocks_of : callable
        The blocks of a section, asked once, when its first one is due.
    looked_at : callable
        What somebody looks at, if anybody does.
    """
    waiting: dict[int, list[Block] | None] = dict.fromkeys(sections)
    while waiting:
        at = looked_at()
        z = next(iter(waiting)) if at is None else min(waiting, key=lambda each: abs(each - at.z))
        left = waiting[z] or blocks_of(z)
        yield left.pop(0 if at is None else min(range(len(left)), key=lambda i: _distance(left[i], at)))
        if left:
            waiting[z] = left
        else:
            del waiting[z]


def _distance(block: Block, at: Place) -> float:
    """Return how far the middle of a block is from a place in its section, in pixels."""
    middle = block.chunks[len(block.chunks) // 2]
    return math.hypot((middle.y + 0.5) * CHUNK - at.y, (middle.x + 0.5) * CHUNK - at.x)
