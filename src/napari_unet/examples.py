"""examples(...): what a training would see, to look at before it begins: augmented crops and loss weights."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

import numpy as np
import tifffile
from torch import Tensor

from napari_unet.augment import CHANGES
from napari_unet.classes import PixelClass, tint
from napari_unet.config import TrainConfig
from napari_unet.crops import Crops
from napari_unet.disk import disk_problems
from napari_unet.events import Event, Finished, Started
from napari_unet.log import ERROR, LOG, record
from napari_unet.model import load
from napari_unet.newzarr import create_level
from napari_unet.painted import read_painted
from napari_unet.paintedsection import PaintedSection
from napari_unet.painting import UNCOUNTED
from napari_unet.plan import plan_classes, rules_of
from napari_unet.problem import Problem
from napari_unet.tiles import MARGIN
from napari_unet.volume import open_volume
from napari_unet.words import counted

MOSAIC, WEIGHTS = "examples.tif", "weights.zarr"
_OURS = {MOSAIC, WEIGHTS, LOG, ERROR}
_COLUMNS = _ROWS = 4
_GAP = 4  # pixels between two examples
_GREY = 3.0  # standard deviations from the mean that are drawn black and white
_CHUNK = 512


def examples(config: TrainConfig) -> Iterator[Event]:
    """Write into `config.out` what a training with this configuration would see.

    `examples.tif` is a mosaic of the crops of its first steps, coloured where they are painted; `weights.zarr` holds
    the loss weight of each pixel of the first image, float32 (Z, Y, X), 0 where nothing is learned.

    Yields
    ------
    Event
        The last is Finished.

    Raises
    ------
    Problem
        If the training could not begin, the folder holds something else, or the disk is full or cannot be written.
    """
    folder = config.out
    with disk_problems(folder):
        if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - _OURS):
            raise Problem(f"{folder} already exists and holds something else. Choose another name (--out).")
        folder.mkdir(parents=True, exist_ok=True)
    yield from record(folder / LOG, _examples(config))


def _examples(config: TrainConfig) -> Iterator[Event]:
    yield Started("examples", "processor", counted(len(config.pairs), "painted layer"))
    start = None if config.start_from == "scratch" else load(config.start_from)
    classes, meaning = plan_classes(config, start)
    sections = read_painted(config.pairs, rules_of(config, meaning)).sections
    with disk_problems(config.out):
        tifffile.imwrite(config.out / MOSAIC, _mosaic(config, sections, classes), photometric="rgb")
        _write_weights(config, sections)
    yield Finished(str(config.out), counted(len(sections), "painted section"))


def _mosaic(config: TrainConfig, sections: Sequence[PaintedSection], classes: tuple[PixelClass, ...]) -> np.ndarray:
    """Return the crops of the first steps side by side, uint8 (Y, X, 3)."""
    crops = Crops(sections, len(classes), config.crop, config.seed, "cpu", CHANGES[config.augmentation])
    side = config.crop + 2 * MARGIN + _GAP
    sheet = np.full((_ROWS * side - _GAP, _COLUMNS * side - _GAP, 3), 128, np.uint8)
    for row in range(_ROWS):
        batch = crops.batch(row, _COLUMNS)
        for column, (image, target) in enumerate(zip(batch.image, batch.target, strict=True)):
            y, x = row * side, column * side
            sheet[y : y + side - _GAP, x : x + side - _GAP] = _coloured(image[0], target, classes)
    return sheet


def _coloured(image: Tensor, target: Tensor, classes: tuple[PixelClass, ...]) -> np.ndarray:
    """Draw a crop: its context in grey, darker; the part that counts in grey, coloured where it is painted."""
    grey = ((image.numpy() / _GREY + 1) * 127.5).clip(0, 255)
    rgb = np.repeat(grey[..., None] * 0.6, 3, axis=2)
    inner = rgb[MARGIN:-MARGIN, MARGIN:-MARGIN]
    inner[:] = grey[MARGIN:-MARGIN, MARGIN:-MARGIN, None]
    for channel, each in enumerate(classes):
        tint(inner, target.numpy() == channel, each.color)
    return rgb.astype(np.uint8)


def _write_weights(config: TrainConfig, sections: Sequence[PaintedSection]) -> None:
    """Write the loss weights of the painted sections of the first image; all others take no room."""
    path = config.pairs[0][0]
    image = open_volume(path, config.channel)
    shutil.rmtree(config.out / WEIGHTS, ignore_errors=True)  # of another time
    weights = create_level(config.out / WEIGHTS, image.shape, (1, _CHUNK, _CHUNK), "float32", "zyx")
    here = [section for section in sections if config.pairs[section.pair][0] == path]
    for section in here:
        counted = section.learn != UNCOUNTED
        weights[section.z] = np.where(counted, section.weights, np.asarray(weights[section.z]))
    weights.attrs["highest"] = float(max(section.weights.max() for section in sections))
    weights.attrs["painted"] = sorted({section.z for section in here})
