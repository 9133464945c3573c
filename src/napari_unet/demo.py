"""The whole job on the bundled sample: segment, fine-tune on its strokes, segment again, compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_unet.classes import PixelClass, tint
from napari_unet.config import SegmentConfig, TrainConfig
from napari_unet.disk import disk_problems, write_json
from napari_unet.events import Event, Notice
from napari_unet.problem import Problem
from napari_unet.report import report
from napari_unet.result import open_result
from napari_unet.samples import IMAGE, STROKES, TRUTH
from napari_unet.segment import segment
from napari_unet.train import train
from napari_unet.volume import open_volume

_MODEL = "em-membrane-small"  # three times as many steps in the minute
_SHOWN, _PAINTED = 12, 18  # sections in the picture: one without strokes, one with
_ZOOM, _CAPTION, _GAP = 2, 40, 8  # enlargement; pixels


def demo(folder: Path, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Do the whole job into `folder`: about two minutes on two cores; run again, it resumes.

    Yields
    ------
    Event
        Those of both segmentations and the training, and the scores as notices.

    Raises
    ------
    Problem
        If `folder` is a file or cannot be written, or one of the jobs fails.
    """
    with disk_problems(folder):
        if folder.is_file():
            raise Problem(f"{folder} is a file. Choose another folder for the results of the demo.")
        folder.mkdir(parents=True, exist_ok=True)
    before, run, after = folder / "before.zarr", folder / "run", folder / "after.zarr"
    jobs: list[Iterator[Event]] = [
        segment(SegmentConfig(image=IMAGE, out=before, model=_MODEL, probabilities=True), should_stop),
        train(TrainConfig(inputs=(IMAGE, STROKES), out=run, start_from=_MODEL, minutes=1), should_stop),
        segment(SegmentConfig(image=IMAGE, out=after, model=str(run), probabilities=True), should_stop),
    ]
    for job in jobs:
        yield from job
        if should_stop():
            return
    scores = {name: report(path, TRUTH, "membrane") for name, path in (("before", before), ("after", after))}
    write_json(folder / "scores.json", scores)
    for name, score in scores.items():
        yield Notice(_sentence(name, score))
    picture(folder / "demo.png", before, after)
    yield Notice(f"The picture: {folder / 'demo.png'}. The segmented stack: {after}.")


def picture(path: Path, before: Path, after: Path) -> None:
    """Write a PNG with image, strokes, and the segmentation before and after, side by side."""
    image, strokes = open_volume(IMAGE), open_volume(STROKES)
    classes = open_result(after).layout.classes
    panels = [
        (f"section {_SHOWN}", _coloured(image.section(_SHOWN), None, classes)),
        (f"strokes on section {_PAINTED}", _coloured(image.section(_PAINTED), strokes.section(_PAINTED), classes)),
    ]
    for name, result in (("before training", before), ("after training", after)):
        segmented = np.asarray(open_result(result).classes[0][_SHOWN])
        panels.append((f"{name}, section {_SHOWN}", _coloured(image.section(_SHOWN), segmented, classes)))
    height, width = (n * _ZOOM for n in image.shape[1:])
    sheet = Image.new("RGB", (len(panels) * (width + _GAP) - _GAP, height + _CAPTION), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (caption, pixels) in enumerate(panels):
        left = i * (width + _GAP)
        draw.text((left + 4, 8), caption, fill="black", font=ImageFont.load_default(20))
        sheet.paste(Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST), (left, _CAPTION))
    with disk_problems(path):
        sheet.save(path)


def _coloured(section: np.ndarray, labels: np.ndarray | None, classes: tuple[PixelClass, ...]) -> np.ndarray:
    """Lay the colours of the classes over a grey section, half transparent: uint8 (Y, X, 3)."""
    rgb = np.repeat(section[..., None].astype(float), 3, axis=2)
    if labels is not None:
        for c in classes:
            tint(rgb, labels == c.value, c.color)
    return rgb.astype(np.uint8)


def _sentence(name: str, score: dict[str, Any]) -> str:
    """Say the scores of one segmentation."""
    best = score["best"]
    return (
        f"{name.capitalize()} training, against the sample's truth: V_rand {score['at_0.5']['v_rand']:.3f}, "
        f"V_info {score['at_0.5']['v_info']:.3f} (best threshold: {best['v_rand']:.3f}, {best['v_info']:.3f}); "
        f"membrane IoU {score['classes']['membrane']['iou']:.3f}."
    )
