"""segment(...): a trained model over a whole stack, tile by tile, as a generator of events."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from itertools import groupby

import numpy as np
import torch

from napari_unet.config import SegmentConfig
from napari_unet.device import Compute, choose, memory_problems
from napari_unet.disk import write_json
from napari_unet.events import Event, Finished, Notice, Progress, Started
from napari_unet.grey import Grey, measure
from napari_unet.layout import CONFIG, Chunk, Layout, read_layout
from napari_unet.log import LOG, record
from napari_unet.model import Model, load
from napari_unet.predict import logits
from napari_unet.problem import Problem
from napari_unet.store import Store, open_store
from napari_unet.tiles import Box
from napari_unet.unet import UNet, folded
from napari_unet.volume import Volume, open_volume
from napari_unet.words import counted


def segment(config: SegmentConfig, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Segment a stack into an OME-Zarr; what a stopped or killed job finished is kept, and the rest is done.

    The result does not depend on the tile size: the image is mirrored at its own border only, tiles start at
    multiples of 16, and grey values are measured over whole sections (arXiv 1505.04597, section 2 and figure 2).

    Parameters
    ----------
    config : SegmentConfig
    should_stop : callable
        Asked between two chunks; when it returns True, what is done is made safe and the job ends.

    Yields
    ------
    Event
        The last is Finished.

    Raises
    ------
    Problem
        If something the user can mend is wrong; what is finished stays.
    """
    compute = choose(_as_begun(config))
    model = load(config.model)
    image = open_volume(config.image, config.channel)
    box = parse_region(config.region, image.shape)
    _refuse_blank(image, box)

    def events() -> Iterator[Event]:
        with memory_problems("Choose smaller tiles (--tile 256): the result is the same."):
            net = folded(model.net).to(compute.kind, memory_format=torch.channels_last)
            yield from _Job(net, model, image, box, store, config).events(compute, should_stop)

    with open_store(config.out, _layout(config, compute, model, image, box)) as store:
        write_json(config.out / CONFIG, config.model_dump(mode="json"))
        yield from record(config.out / LOG, events())


def parse_region(text: str, shape: tuple[int, int, int]) -> Box:
    """Return the box of "z0:z1,y0:y1,x0:x1" in a stack of `shape`; an empty text or end means all.

    Raises
    ------
    Problem
        If the region does not lie inside the stack.
    """
    ends: list[int] = []
    for part, size in zip(text.split(",") if text else [":"] * 3, shape, strict=True):
        start, stop = re.split(":", part)
        ends += [int(start or 0), int(stop or size)]
    box = Box(*ends)
    for start, stop, size in zip(box[::2], box[1::2], shape, strict=True):
        if not 0 <= start < stop <= size:
            raise Problem(
                f"The region {text} does not lie inside the stack of {shape[0]} sections of {shape[1]} x {shape[2]} "
                "pixels. Give it as z0:z1,y0:y1,x0:x1, each end larger than its start."
            )
    return box


class _Job:
    """A segmentation in progress."""

    def __init__(self, net: UNet, model: Model, image: Volume, box: Box, store: Store, config: SegmentConfig) -> None:
        self._net, self._image, self._box, self._store = net, image, box, store
        self._tile, self._best_quality = config.tile, config.best_quality
        self._model = model.card.name
        self._values = torch.tensor([c.value for c in model.card.classes], dtype=torch.uint8)

    def events(self, compute: Compute, should_stop: Callable[[], bool]) -> Iterator[Event]:
        """Compute all chunks that are pending."""
        yield Started("segment", str(compute), f"{self._image.name} with {self._model}")
        pending, total = self._store.pending, self._store.total
        if not pending:
            yield Finished(str(self._store.path), "already done")
            return
        done = kept = total - len(pending)
        if kept:
            yield Notice(f"{kept:,} of {total:,} chunks were finished before and are kept.")
        began = time.monotonic()
        for z, chunks in groupby(pending, key=lambda chunk: chunk.z):
            section = self._image.section(self._box.z0 + z)
            grey = measure(section, f"Section {self._box.z0 + z} of {self._image.name}")
            if not grey.std:
                yield Notice(f"Section {self._box.z0 + z} has the same grey value everywhere: its result says nothing.")
            for chunk in chunks:
                if should_stop():
                    self._store.flush()
                    yield Finished(str(self._store.path), f"{done:,} of {total:,} chunks are kept", True)
                    return
                self._compute(chunk, section, grey, compute)
                done += 1
                pace = (time.monotonic() - began) / (done - kept)
                yield Progress(done, total, "chunk", pace * (total - done))
        self._store.flush()
        sections = counted(self._box.z1 - self._box.z0, "section")
        yield Finished(str(self._store.path), f"{sections} segmented")

    def _compute(self, chunk: Chunk, section: np.ndarray, grey: Grey, compute: Compute) -> None:
        """Compute one chunk and write it."""
        y0, y1, x0, x1 = chunk.box(self._store.layout.shape)
        z, y, x = self._box.z0 + chunk.z, self._box.y0, self._box.x0
        box = Box(z, z + 1, y + y0, y + y1, x + x0, x + x1)
        scores = logits(self._net, section, grey, box, self._tile, compute, self._best_quality)
        classes = self._values.to(scores.device)[scores.argmax(0)].cpu().numpy()
        probabilities = None
        if self._store.layout.probabilities:
            probabilities = (scores.softmax(0) * 255).round().to(torch.uint8).cpu().numpy()
        self._store.write(chunk, classes, probabilities)


def _as_begun(config: SegmentConfig) -> SegmentConfig:
    """Take the number format of a result that was begun, unless another is asked for: a trial might choose another."""
    if config.precision != "auto":
        return config
    try:
        return config.model_copy(update={"precision": read_layout(config.out).provenance["precision"]})
    except (Problem, KeyError):  # there is none yet, or it is refused later
        return config


def _layout(config: SegmentConfig, compute: Compute, model: Model, image: Volume, box: Box) -> Layout:
    """Say what the result will be and what makes it: all that changes a pixel, and nothing else."""
    provenance = {
        "model": model.card.name,
        "model_sha256": model.sha256,
        "image": config.image.name,
        "image_fingerprint": image.fingerprint(),
        "channel": config.channel,
        "precision": compute.precision,
        "best_quality": config.best_quality,
    }
    z, y, x = image.offset or (0, 0, 0)
    return Layout(
        shape=(box.z1 - box.z0, box.y1 - box.y0, box.x1 - box.x0),
        classes=model.card.classes,
        voxel_size=image.voxel_size,
        offset=(z + box.z0, y + box.y0, x + box.x0),
        probabilities=config.probabilities,
        provenance=provenance,
    )


def _refuse_blank(image: Volume, box: Box) -> None:
    """Raise a Problem if the first, the middle and the last section show nothing at all."""
    looked_at = {box.z0, (box.z0 + box.z1) // 2, box.z1 - 1}
    if not any(measure(image.section(z), f"Section {z} of {image.name}").std for z in looked_at):
        raise Problem(f"{image.name} has the same grey value everywhere. Choose the image that shows the tissue.")
