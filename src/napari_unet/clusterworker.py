"""What a worker of a dask.distributed cluster has at hand for a job, and what it does with a block."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker

from napari_unet import __version__
from napari_unet.blocks import Block
from napari_unet.blockwise import Blockwise, Written
from napari_unet.config import SegmentConfig
from napari_unet.device import choose, memory_problems
from napari_unet.disk import disk_problems, refuse_gone, sync
from napari_unet.finished import LOCK
from napari_unet.layout import Layout
from napari_unet.model import load
from napari_unet.predict import Predictor
from napari_unet.problem import Problem, told_by
from napari_unet.pyramids import Pyramids
from napari_unet.tiles import Box
from napari_unet.unet import folded
from napari_unet.volume import open_volume


class Segmenting(WorkerPlugin):
    """What a worker needs once for a job: the model on its device, the image, the arrays of the result."""

    def __init__(self, config: SegmentConfig, layout: Layout, box: Box) -> None:
        self._given: dict[str, Any] = {"config": config.model_dump(mode="json"), "layout": layout.to_json(), "box": box}
        self._version = __version__

    def setup(self, worker: Worker) -> None:
        """Load everything; called on each worker, also on those that join later."""
        self._one_at_a_time = threading.Lock()  # a worker may have several threads, but one device
        self._address, self._ended = worker.address, False
        self._error: Exception | None = None
        try:
            with self._here():
                self._load()
        except Exception as error:
            self._error = error  # dask only logs what fails on a worker that joins later
            raise

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002
        """Begin no other block, and give the memory back."""
        self._ended = True
        if self._one_at_a_time.acquire(blocking=False):  # else who computes does it
            self._let_go()
            self._one_at_a_time.release()

    def compute(self, block: Block) -> tuple[Written, list[str]]:
        """Compute a block and write its chunks; return what was written, and what the user should know."""
        with self._one_at_a_time:
            if self._error or self._ended:
                raise self._error or Problem("The job has ended.")
            try:
                with self._here():
                    return self._compute(block)
            finally:
                if self._ended:
                    self._let_go()

    def _load(self) -> None:
        if self._version != __version__:
            raise Problem(f"There is napari-unet {__version__}, not {self._version}. Install the same version.")
        config, layout = SegmentConfig(**self._given["config"]), Layout.from_json(self._given["layout"])
        compute, model, image = choose(config), load(config.model), open_volume(config.image, config.channel)
        for what, value in {"model_sha256": model.sha256, "image_fingerprint": image.fingerprint()}.items():
            if layout.provenance[what] != value:
                raise Problem(f"There is another {what.split('_')[0]} at the same path. Give all the same files.")
        try:
            self._out, self._pyramids = config.out, Pyramids(config.out, layout)
            self._held = (config.out / LOCK).open("rb")
        except (OSError, ValueError) as error:
            elsewhere = Problem(f"{config.out} cannot be opened. Give all the same folders, under the same paths.")
            raise told_by(error, config.out, elsewhere) from error
        predictor = Predictor(folded(model.net), model.card.classes, compute, config.tile, config.best_quality)
        self._job = Blockwise(predictor, image, Box(*self._given["box"]), layout)

    def _compute(self, block: Block) -> tuple[Written, list[str]]:
        seen = self._job.read(block)
        work, notices = self._job.compute(seen), []
        while True:
            try:
                notices.append(next(work).text)
            except StopIteration as end:
                chunks = end.value
                break
        with disk_problems(self._out):
            refuse_gone(self._out, self._held.fileno(), self._out / LOCK)  # else Zarr would begin another in its place
            for each in chunks:
                self._pyramids.write(each.chunk, each.classes, each.probabilities)
            sync(self._out, [file for each in chunks for file in self._pyramids.files(each.chunk)])
        sums = {each.chunk: each.seen for each in chunks}
        return Written(block, sums, self._job.predictor.tile, seen.blank), notices

    def _let_go(self) -> None:
        import torch

        self.__dict__.pop("_job", None)
        if held := self.__dict__.pop("_held", None):
            held.close()
        torch.cuda.empty_cache()  # which does nothing without a GPU

    @contextlib.contextmanager
    def _here(self) -> Iterator[None]:
        """Say what went wrong, and on which worker."""
        try:
            with memory_problems("Close other programs there, or choose another device (--device)."):
                yield
        except Problem as problem:
            raise Problem(f"On the worker {self._address}: {problem}") from problem
        except Exception as error:
            logging.getLogger(__name__).exception("What a developer needs to know of it:")
            what = f"Something went wrong that should not ({type(error).__name__}: {error})"
            remedy = "Its log tells more. Mend that and run the same command again: what is finished is kept."
            raise Problem(f"On the worker {self._address}: {what}. {remedy}") from error


def compute(name: str, block: Block) -> tuple[Written, list[str]]:
    """Compute a block of the job `name` on the worker that this runs on."""
    plugin = get_worker().plugins[name]
    assert isinstance(plugin, Segmenting)
    return plugin.compute(block)
