"""Painted sections -> training crops and validation tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from napari_unet import augment, tiles
from napari_unet.painted import counts_of
from napari_unet.paintedsection import PaintedSection
from napari_unet.painting import UNCOUNTED

_JUDGED_TILE = 128  # side of a validation tile, in pixels
_JUDGED_TILES = 12  # at most, so that judging costs little beside training


@dataclass(frozen=True)
class Batch:
    """Crops of a step, on the device.

    `image` (N, 1, K + 188, K + 188) float32; `target` (N, K, K) int64, 255 = not counted; `weights` (N, K, K)
    float32.
    """

    image: Tensor
    target: Tensor
    weights: Tensor


@dataclass(frozen=True)
class _Choice:
    """A class painted in a pair: the sections that show it, and their shares of its pixels."""

    channel: int
    members: np.ndarray
    shares: np.ndarray


class Crops:
    """Training crops, drawn anew for each step from the seed and the step's number alone.

    Each pair is equally likely, then each class painted in it, then each painted pixel of that class. Without a
    state of its own, a resumed training sees the same crops, and a preview changes nothing.
    """

    def __init__(
        self,
        sections: Sequence[PaintedSection],
        channels: int,
        side: int,
        seed: int,
        device: str,
        changes: augment.Changes,
    ) -> None:
        self._sections = sections
        self._changes = changes
        self._side = side
        self._seed = seed
        self._device = device
        counts = np.array([counts_of(section.learn, channels) for section in sections])
        self._choices: list[list[_Choice]] = []
        for pair in sorted({section.pair for section in sections}):
            members = np.flatnonzero([section.pair == pair for section in sections])
            painted = [c for c in range(channels) if counts[members, c].any()]
            choices = [_Choice(c, members, counts[members, c] / counts[members, c].sum()) for c in painted]
            if choices:  # all that a pair shows may be held out
                self._choices.append(choices)

    def batch(self, step: int, size: int) -> Batch:
        """Return `size` crops, those of step number `step`."""
        crops = [self._crop(np.random.SeedSequence([self._seed, step, i])) for i in range(size)]
        image, target, weights = (torch.stack(part) for part in zip(*crops, strict=True))
        return Batch(image.contiguous(memory_format=torch.channels_last), target, weights)

    def _crop(self, seed: np.random.SeedSequence) -> tuple[Tensor, Tensor, Tensor]:
        """Draw one crop: image (1, S, S), target (K, K), weights (K, K)."""
        draws = np.random.default_rng(seed)
        generator = Generator().manual_seed(int(seed.generate_state(1, np.uint64)[0] >> 1))
        of_pair = self._choices[draws.integers(len(self._choices))]
        choice = of_pair[draws.integers(len(of_pair))]
        section = self._sections[draws.choice(choice.members, p=choice.shares)]
        pixels = np.flatnonzero(section.learn == choice.channel)
        y, x = divmod(int(pixels[draws.integers(len(pixels))]), section.learn.shape[1])
        dy, dx = draws.uniform(-self._side / 3, self._side / 3, 2)

        grid = augment.coordinates(self._side + 2 * tiles.MARGIN, (y + dy, x + dx), self._changes.scale, generator)
        grid = grid.to(self._device)
        window, corner = _window(section.image[None], grid)
        image = torch.from_numpy(section.grey.normalise(window)).to(self._device)
        image = augment.grey_values(augment.warp(image, corner, grid, "bilinear"), self._changes, generator)

        inner = grid[:, tiles.MARGIN : -tiles.MARGIN, tiles.MARGIN : -tiles.MARGIN]
        window, corner = _window(np.stack([section.learn, section.weights]), inner)
        target, weights = augment.warp(torch.from_numpy(window).to(self._device), corner, inner, "nearest")
        return image, target.long(), weights


def _window(planes: np.ndarray, grid: Tensor) -> tuple[np.ndarray, tuple[int, int]]:
    """Cut what `grid` needs out of (C, Y, X) planes, mirrored at the border; return it and its first row and column."""
    low, high = grid.amin((1, 2)).floor().int().tolist(), grid.amax((1, 2)).ceil().int().tolist()
    rows, columns = (
        tiles.mirror(np.arange(a, b + 1), size) for a, b, size in zip(low, high, planes.shape[1:], strict=True)
    )
    return planes[:, rows[:, None], columns], (low[0], low[1])


@dataclass(frozen=True)
class Judged:
    """A validation tile: normalised pixels (S, S) float32 and held-out targets (K, K) uint8."""

    image: np.ndarray
    target: np.ndarray


def judged_tiles(sections: Sequence[PaintedSection], seed: int, most: int = _JUDGED_TILES) -> list[Judged]:
    """Return at most so many tiles that show held-out pixels, drawn by the seed from all of them."""
    candidates = [(section, tile) for section in sections for tile in _held_tiles(section)]
    order = np.random.default_rng(seed).permutation(len(candidates))[:most]
    return [_judged(*candidates[i]) for i in sorted(order)]


def _held_tiles(section: PaintedSection) -> Iterator[tiles.Tile]:
    """Yield the tiles of a section that hold held-out pixels."""
    rows, columns = (np.flatnonzero((section.held != UNCOUNTED).any(axis)) for axis in (1, 0))
    if rows.size:
        for tile in tiles.cover(rows[0], rows[-1] + 1, columns[0], columns[-1] + 1, _JUDGED_TILE):
            if (section.held[tile.y0 : tile.y1, tile.x0 : tile.x1] != UNCOUNTED).any():
                yield tile


def _judged(section: PaintedSection, tile: tiles.Tile) -> Judged:
    target = np.full((tile.y1 - tile.y0, tile.x1 - tile.x0), UNCOUNTED, np.uint8)
    inside = section.held[tile.y0 : tile.y1, tile.x0 : tile.x1]
    target[: inside.shape[0], : inside.shape[1]] = inside
    return Judged(section.grey.normalise(tiles.read(section.image, tile)), target)
