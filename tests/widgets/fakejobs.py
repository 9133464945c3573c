"""What the jobs of `fakeworker.py` do, which loads this when one begins."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tifffile
import zarr
from fakeworker import DEVICE, PAUSE_AT, STEPS

from napari_unet.card import bundled, find, read_card
from napari_unet.config import CheckConfig, SegmentConfig, SuggestJob, TrainConfig
from napari_unet.events import (
    Event,
    Failed,
    Finding,
    Finished,
    Joined,
    Loss,
    Notice,
    Previewed,
    Progress,
    Score,
    Started,
    Suggested,
)
from napari_unet.events import from_json as event_of
from napari_unet.layout import CONFIG, Layout
from napari_unet.preview import Preview as Shown
from napari_unet.preview import save_preview
from napari_unet.problem import Problem
from napari_unet.sections import Sections
from napari_unet.slips import SLIP
from napari_unet.store import open_store
from napari_unet.tiles import Box
from napari_unet.timeline import file_of
from napari_unet.volume import open_volume


class FakeJobs:
    """Each method is a verb; it takes the fields of its configuration, and yields what happens."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    def train(self, fields: dict) -> Iterator[Event]:
        config = TrainConfig(**fields)
        (config.out / CONFIG).write_text(config.model_dump_json())
        yield Started("train", DEVICE, str(os.getpid()))
        yield Notice("Fake, without a network.")
        for step in range(1, STEPS + 1):
            yield Progress(step, STEPS, "step", 60.0)
            yield Loss(step, 1 / step)
            if step in (PAUSE_AT, STEPS):
                file_of(config.out, step).parent.mkdir(exist_ok=True)
                shutil.copy(find(config.start_from), file_of(config.out, step))
            if step % 5 == 0:
                yield Score(step, 0.5 + step / 100, 0.5 + step / 100, True)
            yield from self._shown(config, step)
            while step == PAUSE_AT and self._worker.does() == "wait" and not self._worker.stop.is_set():
                yield from self._shown(config, step)
                time.sleep(0.01)
            if step == PAUSE_AT and self._goes_wrong():
                yield Failed("The disk is full. Make room and press Continue.")
                sys.exit(1)
            if self._worker.stop.is_set():
                break
        shutil.copy(find(bundled()[0]), config.out / "model.safetensors")
        if (self._worker.folder / "compared").exists():
            yield event_of((self._worker.folder / "compared").read_text())
        yield Finished(str(config.out / "model.safetensors"), f"{step} steps", stopped=step < STEPS)

    def segment(self, fields: dict) -> Iterator[Event]:
        """Bright pixels are of the first class, dark ones of the second."""
        config = SegmentConfig(**fields)
        volume = open_volume(config.image)
        ends = [part.split(":") for part in (config.region or ":,:,:").split(",")]
        low = [int(a or 0) for a, _ in ends]
        high = [int(b or size) for (_, b), size in zip(ends, volume.shape, strict=True)]
        shape = tuple(b - a for a, b in zip(low, high, strict=True))
        try:
            Sections(volume).read(Box(low[0], high[0], low[1], high[1], low[2], high[2]))
        except Problem as problem:
            yield Failed(str(problem))
            sys.exit(1)
        card = read_card(find(config.model))
        provenance = {"model": config.model, "image": config.image.name, "image_fingerprint": volume.fingerprint()}
        layout = Layout(shape, card.classes, volume.voxel_size, tuple(low), config.probabilities, provenance)
        with open_store(config.out, layout) as store:
            (config.out / CONFIG).write_text(config.model_dump_json())
            yield Started("segment", DEVICE, str(os.getpid()))
            for chunk in store.pending:
                while self._worker.does() == "hang" and not self._worker.stop.is_set():
                    time.sleep(0.01)
                if self._worker.stop.is_set():
                    break
                y0, y1, x0, x1 = chunk.box(shape)
                section = volume.section(low[0] + chunk.z, slice(low[1] + y0, low[1] + y1))
                grey = np.asarray(section)[:, low[2] + x0 : low[2] + x1]
                classes = np.where(grey > grey.mean(), card.classes[0].value, card.classes[-1].value).astype(np.uint8)
                sure = np.stack([np.where(classes == each.value, 255, 0) for each in card.classes]).astype(np.uint8)
                store.write(chunk, classes, sure if config.probabilities else None)
                store.flush()
                yield Progress(store.done, store.total, "tile", 60.0)
                while store.done < store.total and self._worker.does() == "wait" and not self._worker.stop.is_set():
                    time.sleep(0.01)
                if self._goes_wrong():
                    yield Failed("The disk is full. Make room and press Resume.")
                    sys.exit(1)
                if self._worker.stop.is_set():
                    break
            done, total = store.done, store.total
        yield Finished(str(config.out), f"{done} of {total} tiles", stopped=done < total)

    def examples(self, fields: dict) -> Iterator[Event]:
        config = TrainConfig(**fields)
        yield Started("examples", DEVICE, str(os.getpid()))
        while self._worker.does() == "hang":
            time.sleep(0.01)
        if self._goes_wrong():
            yield Failed("Nothing is painted. Paint a few strokes of each class.")
            sys.exit(1)
        tifffile.imwrite(config.out / "examples.tif", np.full((64, 64, 3), 128, np.uint8), photometric="rgb")
        weights = zarr.create_array(
            config.out / "weights.zarr", shape=open_volume(config.inputs[0]).shape, dtype="float32"
        )
        weights[0] = 2
        weights.attrs["highest"] = 2.0
        weights.attrs["painted"] = [0, 2]
        yield Finished(str(config.out), "drawn")

    def check(self, fields: dict) -> Iterator[Event]:
        """In the first painted section, the first painted pixel is a slip."""
        config = CheckConfig(**fields)
        yield Started("check", DEVICE, str(os.getpid()))
        labels = open_volume(config.inputs[1], labels=True)
        z = next(z for z in range(labels.shape[0]) if labels.section(z).any())
        yield Progress(1, 2, "section", 60.0)
        while self._worker.does() == "wait" and not self._worker.stop.is_set():
            time.sleep(0.01)
        if self._goes_wrong():
            yield Failed("Section 1 cannot be read. Copy it again.")
            sys.exit(1)
        if self._worker.stop.is_set():
            yield Finished(str(config.out), "nothing found", True)
            return
        y, x = np.argwhere(labels.section(z))[0].tolist()
        yield Finding("hole", "Said by the window itself.", 0, z, y, x)
        yield Finding(SLIP, f"Section {z}: painted a, but the model is 98 % sure of b. A slip?", 0, z, y, x, 1)
        yield Finished(str(config.out), "2 findings")

    def suggest(self, fields: dict) -> Iterator[Event]:
        """Three places, in the corners of the last section and of the first one."""
        config = SuggestJob(**fields)
        depth, height, width = open_volume(config.image).shape
        yield Started("suggest", DEVICE, str(os.getpid()))
        yield Progress(1, 2, "view", 1.0)
        while self._worker.does() == "wait" and not self._worker.stop.is_set():
            time.sleep(0.01)
        if self._goes_wrong():
            yield Failed("The model cannot be read. Choose another one.")
            sys.exit(1)
        if self._worker.stop.is_set():
            yield Finished(str(config.image), "no place was named", stopped=True)
            return
        places = [(depth - 1, height - 32, width - 32), (0, 0, 0), (depth - 1, 0, 0)]
        for rank, (z, y, x) in enumerate(places, start=1):
            yield Suggested(rank, z, y, y + 32, x, x + 32, f"Reason {rank}.")
        yield Finished(str(config.image), "3 places to paint next")

    def _shown(self, config: TrainConfig, step: int) -> Iterator[Event]:
        """Let strokes join, and answer previews: every pixel is of the last class."""
        while self._worker.joins:
            yield Joined(step, len(self._worker.joins.pop(0).sections), 1234)
        while self._worker.previews:
            asked = self._worker.previews.pop(0)
            pixels = np.full((asked.y1 - asked.y0, asked.x1 - asked.x0), len(config.classes), np.uint8)
            save_preview(config.out / "preview.safetensors", Shown(pixels, asked.z, asked.y0, asked.x0))
            yield Previewed(step, str(config.out / "preview.safetensors"))

    def _goes_wrong(self) -> bool:
        if self._worker.does() == "crash":
            raise ValueError("no such thing")
        return self._worker.does() == "fail"
