"""Painted sections -> training crops and validation tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from napari_unet import augment, holdout, painting, tiles
from napari_unet.grey import Grey, measure
from napari_unet.painting import UNCOUNTED, Meaning
from napari_unet.problem import Problem
from napari_unet.volume import Volume, open_volume

_JUDGED_TILE = 128  # side of a validation tile, in pixels
_JUDGED_TILES = 12  # at most, so that judging costs little beside training


@dataclass(frozen=True)
class PaintedSection:
    """A section with labels.

    Parameters
    ----------
    pair, z : int
        Which image/labels pair, which section of its image.
    image : ndarray, shape (Y, X)
        Grey values as they are.
    grey : Grey
    labels : ndarray, shape (Y, X), integer
        As painted, placed on the image.
    learn, held : ndarray, shape (Y, X), uint8
        Targets to learn from and to judge by; 255 where a pixel does not count.
    weights : ndarray, shape (Y, X), float32
        Loss weights; 0 where `learn` is 255.
    """

    pair: int
    z: int
    image: np.ndarray
    grey: Grey
    labels: np.ndarray
    learn: np.ndarray
    held: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Batch:
    """Crops of a step, on the device.

    `image` (N, 1, K + 188, K + 188) float32; `target` (N, K, K) int64, 255 = not counted; `weights` (N, K, K)
    float32.
    """

    image: Tensor
    target: Tensor
    weights: Tensor


def painted_sections(
    pairs: Sequence[tuple[Path, Path]], meaning: Meaning, balance: float, border_weight: float, channel: int | None
) -> list[PaintedSection]:
    """Read all sections that have painted pixels, hold a part out, and weigh the rest.

    Raises
    ------
    Problem
        If nothing is painted, only one class is, labels miss the image, or grey values cannot be used.
    """
    painted = [
        section
        for pair, (image, labels) in enumerate(pairs)
        for section in _of_pair(pair, open_volume(image, channel), open_volume(labels, labels=True), meaning)
    ]
    sections = _held_out(painted, [image.resolve() for image, _ in pairs])
    counts = np.sum([_counts(section.learn, len(meaning.values)) for section in sections], axis=0)
    if not np.count_nonzero(counts) > 1:
        if meaning.objects and not meaning.zero_counts:
            raise Problem(
                "Only one class is painted: objects, and nothing between them. "
                "Say that 0 means background (--zero background), and paint the objects of an area without gaps."
            )
        raise Problem(
            "Only one class is painted, so there is nothing to tell it from. Paint a few strokes of another class too."
        )
    per_class = painting.class_weights(counts, balance)
    return [
        replace(s, weights=painting.loss_weights(s.labels, s.learn, meaning, per_class, border_weight))
        for s in sections
    ]


def _of_pair(pair: int, image: Volume, labels: Volume, meaning: Meaning) -> list[PaintedSection]:
    """Read the painted sections of one pair; all that is painted is to be learned."""
    found = [(z, painted) for z in range(labels.shape[0]) if (painted := labels.section(z)).any()]
    if not found:
        raise Problem(f"{labels.name} has no painted pixel. Paint a few strokes of each class first.")
    if found[0][1].dtype.kind not in "iu":
        raise Problem(f"{labels.name} holds {found[0][1].dtype} values, not labels. Choose a layer of whole numbers.")
    _refuse_other_voxels(image, labels)
    dz, *corner = _corner(image, labels)
    sections = [z + dz for z, _ in found]
    placed = [_placed(painted, corner, image, 0) for _, painted in found]
    if any(not 0 <= z < image.shape[0] for z in sections) or not any(painted.any() for painted in placed):
        raise Problem(
            f"The painted pixels of {labels.name} do not lie on {image.name}, which is {image.shape} voxels large. "
            "Choose the image they were painted on."
        )
    # Beyond the labels nothing is labelled, also where 0 means background.
    targets = [
        _placed(painting.targets(painted, meaning, f"Section {z} of {labels.name}"), corner, image, UNCOUNTED)
        for z, painted in found
    ]
    nothing = np.full(image.shape[1:], UNCOUNTED, np.uint8)
    return [
        PaintedSection(pair, z, *_seen(image, z), painted, target, nothing, np.empty(0, np.float32))
        for z, painted, target in zip(sections, placed, targets, strict=True)
    ]


def _held_out(sections: Sequence[PaintedSection], images: Sequence[Path]) -> list[PaintedSection]:
    """Hold a part of each image out, the same for all its labels: else one pair learned what another judges."""
    result = []
    for image in dict.fromkeys(images):
        same = sorted((s for s in sections if images[s.pair] == image), key=lambda s: s.z)
        parts = holdout.split([s.z for s in same], [s.learn for s in same])
        result += [replace(s, learn=learn, held=held) for s, (learn, held) in zip(same, parts, strict=True)]
    return sorted(result, key=lambda s: (s.pair, s.z))


def _refuse_other_voxels(image: Volume, labels: Volume) -> None:
    """Raise a Problem if the voxels are known to differ in size; the thickness of a single section does not matter."""
    if image.voxel_size is None or labels.voxel_size is None:
        return
    axes = slice(1 if 1 in (image.shape[0], labels.shape[0]) else 0, None)
    if not np.allclose(labels.voxel_size[axes], image.voxel_size[axes], rtol=0.01, atol=0):
        there, here = (" x ".join(f"{n:g}" for n in v.voxel_size or ()) for v in (labels, image))
        raise Problem(
            f"{labels.name} has voxels of {there} nm, but {image.name} of {here} nm. "
            "Resample the labels to the voxels of the image, or choose the level of the image that they belong to."
        )


def _corner(image: Volume, labels: Volume) -> tuple[int, int, int]:
    """Return where the labels begin on the image, in voxels.

    Labels of the image's very shape without a place of their own belong to it.
    """
    if labels.offset is not None:
        z, y, x = (a - b for a, b in zip(labels.offset, image.offset or (0, 0, 0), strict=True))
        return z, y, x
    if labels.shape == image.shape:
        return 0, 0, 0
    there, here = (" x ".join(map(str, volume.shape)) for volume in (labels, image))
    if any(a > b for a, b in zip(labels.shape, image.shape, strict=True)):
        raise Problem(
            f"{labels.name} is {there} voxels large, larger than {image.name} with {here}. "
            "Choose the labels that were painted on this image."
        )
    raise Problem(
        f"{labels.name} is {there} voxels large and does not say where it lies on {image.name} with {here}. "
        "Save the labels at the full size of the image, or with an offset in their metadata."
    )


def _placed(section: np.ndarray, corner: Sequence[int], image: Volume, blank: int) -> np.ndarray:
    """Put a section that begins at `corner`, and may cover a part of the image, on one full of `blank`."""
    result = np.full(image.shape[1:], blank, section.dtype)
    y0, x0 = (max(a, 0) for a in corner)
    y1, x1 = (min(a + n, m) for a, n, m in zip(corner, section.shape, result.shape, strict=True))
    if y0 < y1 and x0 < x1:
        result[y0:y1, x0:x1] = section[y0 - corner[0] : y1 - corner[0], x0 - corner[1] : x1 - corner[1]]
    return result


def _seen(image: Volume, z: int) -> tuple[np.ndarray, Grey]:
    """Read a section of the image and measure its grey values."""
    pixels = image.section(z)
    grey = measure(pixels, f"Section {z} of {image.name}")
    if not grey.std:
        raise Problem(
            f"Section {z} of {image.name} has the same grey value everywhere, so nothing can be learned from it. "
            "Erase its labels, or choose the right image."
        )
    return pixels, grey


def _counts(target: np.ndarray, channels: int) -> np.ndarray:
    """Count the pixels of each channel."""
    return np.bincount(target.ravel(), minlength=UNCOUNTED + 1)[:channels]


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
        counts = np.array([_counts(section.learn, channels) for section in sections])
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


def judged_tiles(sections: Sequence[PaintedSection], seed: int) -> list[Judged]:
    """Return at most 12 tiles that show held-out pixels, drawn by the seed from all of them."""
    candidates = [(section, tile) for section in sections for tile in _held_tiles(section)]
    order = np.random.default_rng(seed).permutation(len(candidates))[:_JUDGED_TILES]
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
