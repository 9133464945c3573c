"""A worker process without torch: it follows the protocol of `napari_unet.worker`, and does as a test tells it.

`FakeWorker` is the test's end of it; this file, run as a script with a folder, is the process. Both meet in the folder:
`does` holds what jobs are to do now, `asked.jsonl` every request that came.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile
import zarr

from napari_unet import log
from napari_unet.card import bundled, find, read_card
from napari_unet.config import CheckConfig, SegmentConfig, SuggestJob, TrainConfig
from napari_unet.events import (
    Compared,
    Event,
    Failed,
    Finding,
    Finished,
    Joined,
    Loss,
    Notice,
    Previewed,
    Progress,
    Ready,
    Score,
    Started,
    Suggested,
    to_json,
)
from napari_unet.events import from_json as event_of
from napari_unet.layout import CONFIG, Layout
from napari_unet.preview import Preview as Shown
from napari_unet.preview import save_preview
from napari_unet.requests import Begin, Join, KeepGoing, Preview, Request, Stop, from_json
from napari_unet.requests import to_json as to_line
from napari_unet.slips import SLIP
from napari_unet.store import open_store
from napari_unet.timeline import file_of
from napari_unet.volume import open_volume

Does = Literal["finish", "wait", "hang", "fail", "crash"]
STEPS, PAUSE_AT = 40, 10  # of a training; a job told to wait stays there
DEVICE = "the processor, 2 threads"


class FakeWorker:
    """What a test tells the processes, and what they were asked; `command` is for `Jobs`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.command = (sys.executable, "-P", __file__, str(folder))
        self.does("wait")

    def does(self, what: Does) -> None:
        """Let the jobs run to their end, wait in the middle or hang at the start until told or stopped, or go wrong."""
        beside = self._folder / "does.new"
        beside.write_text(what)
        beside.replace(self._folder / "does")

    def compares(self, compared: Compared) -> None:
        """Let the trainings end with a comparison."""
        (self._folder / "compared").write_text(to_json(compared))

    def asked(self, kind: type[Request]) -> list[Request]:
        """Return all requests of a kind, in their order."""
        file = self._folder / "asked.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [request for line in lines if isinstance(request := from_json(line), kind)]


class _Process:
    """The process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begin: Begin | None = None
        self._previews: list[Preview] = []
        self._joins: list[Join] = []
        self._stop, self._keep = threading.Event(), threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def run(self) -> None:
        _ring(to_json(Ready(DEVICE, "")))
        while self._begin is None:
            if self._stop.is_set():
                return
            time.sleep(0.01)
        jobs = {"train": self._train, "segment": self._segment}
        jobs |= {"examples": self._examples, "check": self._check, "suggest": self._suggest}
        out = Path(self._begin.config["out"])
        out.mkdir(parents=True, exist_ok=True)
        for event in jobs[self._begin.verb](self._begin.config):
            log.append(out / log.LOG, event)
            _ring()

    def _read(self) -> None:
        for line in sys.stdin:
            with (self._folder / "asked.jsonl").open("a") as asked:
                asked.write(to_line(from_json(line)) + "\n")
            match from_json(line):
                case Begin() as begin:
                    self._begin = begin
                case Preview() as preview:
                    self._previews.append(preview)
                case Join() as join:
                    self._joins.append(join)
                case Stop():
                    self._stop.set()
                case KeepGoing():
                    self._keep.set()
        if not self._keep.is_set():
            self._stop.set()

    def _does(self) -> str:
        return (self._folder / "does").read_text()

    def _goes_wrong(self) -> bool:
        if self._does() == "crash":
            raise ValueError("no such thing")
        return self._does() == "fail"

    def _train(self, fields: dict) -> Iterator[Event]:
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
            while step == PAUSE_AT and self._does() == "wait" and not self._stop.is_set():
                yield from self._shown(config, step)
                time.sleep(0.01)
            if step == PAUSE_AT and self._goes_wrong():
                yield Failed("The disk is full. Make room and press Continue.")
                sys.exit(1)
            if self._stop.is_set():
                break
        shutil.copy(find(bundled()[0]), config.out / "model.safetensors")
        if (self._folder / "compared").exists():
            yield event_of((self._folder / "compared").read_text())
        yield Finished(str(config.out / "model.safetensors"), f"{step} steps", stopped=step < STEPS)

    def _shown(self, config: TrainConfig, step: int) -> Iterator[Event]:
        """Let strokes join, and answer previews: every pixel is of the last class."""
        while self._joins:
            yield Joined(step, len(self._joins.pop(0).sections), 1234)
        while self._previews:
            asked = self._previews.pop(0)
            pixels = np.full((asked.y1 - asked.y0, asked.x1 - asked.x0), len(config.classes), np.uint8)
            save_preview(config.out / "preview.safetensors", Shown(pixels, asked.z, asked.y0, asked.x0))
            yield Previewed(step, str(config.out / "preview.safetensors"))

    def _segment(self, fields: dict) -> Iterator[Event]:
        """Bright pixels are of the first class, dark ones of the second."""
        config = SegmentConfig(**fields)
        volume = open_volume(config.image)
        ends = [part.split(":") for part in (config.region or ":,:,:").split(",")]
        low = [int(a or 0) for a, _ in ends]
        high = [int(b or size) for (_, b), size in zip(ends, volume.shape, strict=True)]
        shape = tuple(b - a for a, b in zip(low, high, strict=True))
        card = read_card(find(config.model))
        provenance = {"model": config.model, "image": config.image.name, "image_fingerprint": volume.fingerprint()}
        layout = Layout(shape, card.classes, volume.voxel_size, tuple(low), config.probabilities, provenance)
        with open_store(config.out, layout) as store:
            (config.out / CONFIG).write_text(config.model_dump_json())
            yield Started("segment", DEVICE, str(os.getpid()))
            for chunk in store.pending:
                while self._does() == "hang" and not self._stop.is_set():
                    time.sleep(0.01)
                if self._stop.is_set():
                    break
                y0, y1, x0, x1 = chunk.box(shape)
                section = volume.section(low[0] + chunk.z, slice(low[1] + y0, low[1] + y1))
                grey = np.asarray(section)[:, low[2] + x0 : low[2] + x1]
                classes = np.where(grey > grey.mean(), card.classes[0].value, card.classes[-1].value).astype(np.uint8)
                sure = np.stack([np.where(classes == each.value, 255, 0) for each in card.classes]).astype(np.uint8)
                store.write(chunk, classes, sure if config.probabilities else None)
                store.flush()
                yield Progress(store.done, store.total, "tile", 60.0)
                while store.done < store.total and self._does() == "wait" and not self._stop.is_set():
                    time.sleep(0.01)
                if self._goes_wrong():
                    yield Failed("The disk is full. Make room and press Resume.")
                    sys.exit(1)
                if self._stop.is_set():
                    break
            done, total = store.done, store.total
        yield Finished(str(config.out), f"{done} of {total} tiles", stopped=done < total)

    def _examples(self, fields: dict) -> Iterator[Event]:
        config = TrainConfig(**fields)
        yield Started("examples", DEVICE, str(os.getpid()))
        while self._does() == "hang":
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

    def _check(self, fields: dict) -> Iterator[Event]:
        """In the first painted section, the first painted pixel is a slip."""
        config = CheckConfig(**fields)
        yield Started("check", DEVICE, str(os.getpid()))
        labels = open_volume(config.inputs[1], labels=True)
        z = next(z for z in range(labels.shape[0]) if labels.section(z).any())
        yield Progress(1, 2, "section", 60.0)
        while self._does() == "wait" and not self._stop.is_set():
            time.sleep(0.01)
        if self._goes_wrong():
            yield Failed("Section 1 cannot be read. Copy it again.")
            sys.exit(1)
        if self._stop.is_set():
            yield Finished(str(config.out), "nothing found", True)
            return
        y, x = np.argwhere(labels.section(z))[0].tolist()
        yield Finding("hole", "Said by the window itself.", 0, z, y, x)
        yield Finding(SLIP, f"Section {z}: painted a, but the model is 98 % sure of b. A slip?", 0, z, y, x)
        yield Finished(str(config.out), "2 findings")

    def _suggest(self, fields: dict) -> Iterator[Event]:
        """Three places, in the corners of the last section and of the first one."""
        config = SuggestJob(**fields)
        depth, height, width = open_volume(config.image).shape
        yield Started("suggest", DEVICE, str(os.getpid()))
        yield Progress(1, 2, "view", 1.0)
        while self._does() == "wait" and not self._stop.is_set():
            time.sleep(0.01)
        if self._goes_wrong():
            yield Failed("The model cannot be read. Choose another one.")
            sys.exit(1)
        if self._stop.is_set():
            yield Finished(str(config.image), "no place was named", stopped=True)
            return
        places = [(depth - 1, height - 32, width - 32), (0, 0, 0), (depth - 1, 0, 0)]
        for rank, (z, y, x) in enumerate(places, start=1):
            yield Suggested(rank, z, y, y + 32, x, x + 32, f"Reason {rank}.")
        yield Finished(str(config.image), "3 places to paint next")


def _ring(line: str = "") -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115


if __name__ == "__main__":
    _Process(Path(sys.argv[1])).run()
