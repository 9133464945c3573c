"""What is worth knowing before a long run: size, disk, pixel size, sections that show nothing, inverted contrast."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_unet import omezarr, words
from napari_unet.card import Card, bundled
from napari_unet.config import SegmentConfig
from napari_unet.disk import room
from napari_unet.events import Notice
from napari_unet.grey import measure
from napari_unet.layout import CHUNK, Layout
from napari_unet.tiles import Box
from napari_unet.volume import Volume
from napari_unet.voxels import of_multiscale

_SECTIONS = 16  # so many are looked at, at most
_PATIENCE = 5.0  # seconds; a slow disk is not looked at for longer
_WINDOW = 512  # pixels; the middle of a section, which is enough for most
_WHOLE = 2048  # pixels; windows spread over a section that shows nothing or equals the next, at most 3 x 3
_NARROWEST = 128  # pixels; in less, lines are too few to judge
_LINE = 2.0  # pixels; half the width of a membrane, about
# Measured: raw stacks of five laboratories have 0.15 to 0.39 here, and none of their sections less than 0.07;
# inverted, the same below zero; noise has 0.00 to 0.02.
_INVERTED = -0.05
_FITS = 0.7, 1.5  # pixel size over that of the training


def notices(
    config: SegmentConfig, image: Volume, box: Box, card: Card, layout: Layout
) -> Generator[Notice, None, set[int]]:
    """Say how large a segmentation is, and what may spoil it; at most 16 sections are looked at, in part.

    The first is always said, any other only where there is something to say; those that matter most come last.

    Parameters
    ----------
    config : SegmentConfig
        The folder of the result exists.
    image : Volume
    box : Box
        The segmented part of the image, in voxels.
    card : Card
        Of the model.
    layout : Layout
        Of the result.

    Returns
    -------
    set of int
        The sections of which it was said that they show nothing.

    Raises
    ------
    Problem
        If a section cannot be read: better now than after hours.
    """
    yield _size(config, image, layout)
    seen = _look(image, box)
    yield from _pixel_size(config, image, card)
    looked = f"{len(seen.looked)} of {words.counted(layout.shape[0], 'section')} looked at"
    blank = [
        f"{what}: {words.sections(sections)}. "
        for what, sections in (("Black", seen.black), ("The same grey value everywhere", seen.flat))
        if sections
    ]
    if blank:
        remedy = "If there should be tissue, save the stack again from its source."
        yield Notice(f"{''.join(blank)}The result will say nothing there ({looked}). {remedy}")
    if seen.repeated:
        remedy = "Unless they stand in for lost ones, save the stack again from its source."
        yield Notice(f"Equal to the next section, pixel by pixel: {words.sections(seen.repeated)} ({looked}). {remedy}")
    # Other models may have been trained on bright membranes: their cards do not tell.
    if config.model in bundled() and seen.contrast and np.median(seen.contrast) < _INVERTED:
        yield Notice(
            f"Membranes look bright here, but {card.name} was trained on dark ones and will hardly find them. "
            "Save the image with its grey values inverted (in Fiji: Edit > Invert) and segment that."
        )
    return {*seen.black, *seen.flat}


def needed(layout: Layout) -> int:
    """Return how many bytes a result takes without compression: class map, probabilities, all their levels."""
    arrays = 1 + len(layout.classes) * layout.probabilities
    return arrays * sum(math.prod(shape) for shape in layout.level_shapes())


def contrast(pixels: np.ndarray) -> float:
    """Return how much thin dark lines outweigh thin bright ones, from -1 to 1; inverted grey values change the sign.

    Lines are where the two curvatures of the smoothed image, the eigenvalues of its Hessian matrix, differ most
    (Frangi et al. 1998, doi:10.1007/BFb0056195); their cube lets strong ones count.

    Parameters
    ----------
    pixels : ndarray, shape (Y, X), float32
    """
    yy, xx, xy = (ndimage.gaussian_filter(pixels, _LINE, order, mode="nearest") for order in ((2, 0), (0, 2), (1, 1)))
    mean, apart = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    # With curvatures a >= b, a - |b| is twice the smaller of these; an inverted image has -b >= -a.
    dark, bright = (float((np.minimum(np.maximum(side, 0), apart) ** 3).sum()) for side in (mean, -mean))
    return (dark - bright) / (dark + bright or 1.0)


@dataclass
class _Seen:
    """What sections showed: numbers of those looked at, and of those with something to say; contrast of each."""

    looked: list[int] = field(default_factory=list)
    black: list[int] = field(default_factory=list)
    flat: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    contrast: list[float] = field(default_factory=list)


def _look(image: Volume, box: Box) -> _Seen:
    """Look at sections spread over a box."""
    seen, end = _Seen(), time.monotonic() + _PATIENCE
    for z in np.unique(np.linspace(box.z0, box.z1 - 1, _SECTIONS).astype(int)).tolist():
        if time.monotonic() > end:
            break
        _look_at(image, box._replace(z0=z), seen)
        seen.looked.append(z)
    return seen


def _look_at(image: Volume, box: Box, seen: _Seen) -> None:
    """Look at the first section of a box."""
    z, middle = box.z0, _middle(box)
    pixels = image.section(z, *middle)
    value = pixels[0, 0]
    # Where the middle says nothing yet, more is read.
    if (pixels == value).all() and all((image.section(z, *at) == value).all() for at in _spread(box)):
        (seen.flat if value else seen.black).append(z)
        return
    if (
        z + 1 < box.z1
        and np.array_equal(pixels, image.section(z + 1, *middle))
        and all(np.array_equal(image.section(z, *at), image.section(z + 1, *at)) for at in _spread(box))
    ):
        seen.repeated.append(z)
    grey = measure(pixels, f"Section {z} of {image.name}")
    if grey.std and min(pixels.shape) >= _NARROWEST:
        seen.contrast.append(contrast(grey.normalise(pixels)))


def _middle(box: Box) -> tuple[slice, slice]:
    """Return rows and columns of the window in the middle of a box."""
    rows, columns = (
        slice(max(start, (start + stop - _WINDOW) // 2), min(stop, (start + stop + _WINDOW) // 2))
        for start, stop in ((box.y0, box.y1), (box.x0, box.x1))
    )
    return rows, columns


def _spread(box: Box) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns of windows spread over a box: all of it, unless it is very large."""

    def pieces(start: int, stop: int) -> list[slice]:
        tops = np.linspace(start, max(start, stop - _WHOLE), min(3, math.ceil((stop - start) / _WHOLE))).astype(int)
        return [slice(top, min(top + _WHOLE, stop)) for top in tops.tolist()]

    return ((rows, columns) for rows in pieces(box.y0, box.y1) for columns in pieces(box.x0, box.x1))


def _size(config: SegmentConfig, image: Volume, layout: Layout) -> Notice:
    """Say how much there is to do, and whether the disk has room for the result."""
    depth, height, width = layout.shape
    stack = f"{words.counted(depth, 'section')} of {height} x {width} pixels"
    size = words.size(depth * height * width * image.dtype.itemsize)
    chunks = depth * math.ceil(height / CHUNK) * math.ceil(width / CHUNK)
    what = f"{stack} ({size}), {words.counted(chunks, 'chunk')}."
    if config.best_quality:
        what += " Each is computed 8 times; the time left is known when the first one is done."
    most = max(needed(layout), 10**6)  # metadata and log included
    free = room(config.out)
    if free is None:
        return Notice(f"{what} The result takes at most {words.size(most)}.")
    if most <= free:
        return Notice(f"{what} The result takes at most {words.size(most)}; {words.size(free)} are free.")
    remedy = "Free some space, or segment without probabilities" if layout.probabilities else "Free some space"
    return Notice(
        f"{what} The disk may get full: the result takes up to {words.size(most)}, less where it can be compressed, "
        f"and {words.size(free)} are free. {remedy}; when a disk is full, what is finished is kept."
    )


def _pixel_size(config: SegmentConfig, image: Volume, card: Card) -> Iterator[Notice]:
    """Say if the model was trained on pixels of another size, and what to do."""
    trained = sorted({math.sqrt(y * x) for _, y, x in card.voxel_size if y * x > 0})
    if not trained:
        return
    on = f"{card.name} was trained on pixels of {words.listed([_short(size) for size in trained])} nm"
    if image.voxel_size is None:
        yield Notice(f"The voxel size of this image is not known; {on}.")
        return
    size = math.sqrt(image.voxel_size[1] * image.voxel_size[2])
    off, target = _misfit(size, trained)
    if not off:
        return
    fitting = [(*_misfit(other, trained), path, other) for path, other in _levels(config.image)]
    if fitting := [each for each in fitting if not each[0]]:
        path, other = min(fitting, key=lambda each: abs(math.log(each[3] / each[1])))[2:]
        remedy = f"Segment {path} instead: it is the same image with pixels of {_short(other)} nm."
    else:
        verb, times = ("Enlarge", size / target) if size > target else ("Shrink", target / size)
        remedy = f"{verb} its rows and columns {_short(times)} times first."
    yield Notice(f"Pixels are {_short(size)} nm here, but {on}, so it may miss much. {remedy}")


def _short(number: float) -> str:
    """Return a number with no more digits than one needs: "4.25" or "1,840"."""
    return f"{number:.3g}" if number < 1000 else f"{number:,.0f}"


def _misfit(size: float, trained: list[float]) -> tuple[bool, float]:
    """Return whether pixels of a size are unlike all that a model was trained on, and the most similar of these."""
    nearest = min(trained, key=lambda each: abs(math.log(size / each)))
    return not any(_FITS[0] <= size / each <= _FITS[1] for each in trained), nearest


def _levels(path: Path) -> list[tuple[Path, float]]:
    """Return the levels of the OME-Zarr image at a path, or around it: where they are, and their pixel size in nm."""
    if not omezarr.is_zarr(path):
        return []
    if of := omezarr.level_of(path):
        group, image, _ = of
    elif found := omezarr.multiscale((about := omezarr.metadata(path))["attributes"]):
        group, image = path, found
    else:
        images = omezarr.images_in(path) if about["node_type"] == "group" else []
        return _levels(images[0]) if len(images) == 1 else []
    steps = [of_multiscale(image, number).step for number in range(len(image.levels))]
    return [
        (group / level.path, math.sqrt(step["Y"] * step["X"]))
        for level, step in zip(image.levels, steps, strict=True)
        if {"Y", "X"} <= step.keys()
    ]
