"""The blocks of a segmentation, computed and written by the workers of a dask.distributed cluster.

The workers need this program in the same version, and the image, the model and the result under the same paths. What
is done, and the coarse levels, stay with the process that was asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from distributed import Client, KilledWorker, WorkerPlugin, as_completed, get_worker

from napari_unet import __version__
from napari_unet.blocks import Block
from napari_unet.blockwise import Blockwise
from napari_unet.config import SegmentConfig
from napari_unet.device import choose, largest_tile
from napari_unet.disk import sync
from napari_unet.events import Notice
from napari_unet.layout import Layout
from napari_unet.model import load
from napari_unet.predict import Predictor
from napari_unet.problem import Problem
from napari_unet.pyramids import Pyramids
from napari_unet.tiles import Box
from napari_unet.unet import folded
from napari_unet.volume import open_volume

_NAME = "napari-unet"
_PATIENCE = 30  # seconds to find the scheduler, and for the first worker to join
_AT_HAND = 2  # blocks that each worker has: it computes one while the next is on its way


def computed(
    config: SegmentConfig, layout: Layout, box: Box, order: Iterator[Block], should_stop: Callable[[], bool]
) -> Iterator[Notice | Block]:
    """Let the workers compute blocks and write their chunks, until all are done or it should stop.

    Parameters
    ----------
    config : SegmentConfig
        With the address of the scheduler, and a precision other than "auto", so that all workers compute alike.
    layout : Layout
        Of the result, which exists.
    box : Box
        The segmented part of the image, in voxels.
    order : iterator of Block
        Asked when a worker is free.
    should_stop : callable

    Yields
    ------
    Notice or Block
        A block whose chunks are written and synced.

    Raises
    ------
    Problem
        If there is no cluster, or a worker cannot do its part.
    """
    try:
        client = Client(config.scheduler, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise Problem(
            f"There is no dask scheduler at {config.scheduler}. Start one (dask scheduler), or check the address."
        ) from error
    with client, client.as_current():
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise Problem("No worker has joined the cluster. Start some (dask worker ADDRESS); try again.") from error
        client.register_plugin(_Segmenting(config, layout, box), name=_NAME)
        at_work = as_completed()
        while not should_stop():
            while at_work.count() < _AT_HAND * max(1, len(client.nthreads())):
                if (block := next(order, None)) is None:
                    break
                at_work.add(client.submit(_compute, block, pure=False))
            if at_work.is_empty():
                return
            try:
                done, notices = next(at_work).result()
            except KilledWorker as error:
                raise Problem(
                    "Workers of the cluster died over the same tile again and again; their logs tell why. Mend that "
                    "and run the same command again: what is finished is kept."
                ) from error
            yield from map(Notice, notices)
            yield done


class _Segmenting(WorkerPlugin):
    """What a worker needs once: the model on its device, the image, the arrays of the result."""

    def __init__(self, config: SegmentConfig, layout: Layout, box: Box) -> None:
        self._given: dict[str, Any] = {"config": config.model_dump(mode="json"), "layout": layout.to_json(), "box": box}
        self._version = __version__

    def setup(self, worker: object) -> None:  # noqa: ARG002
        """Load everything; called on each worker, also on those that join later."""
        if self._version != __version__:
            raise Problem(f"A worker has napari-unet {__version__}, not {self._version}. Install the same version.")
        config, layout = SegmentConfig(**self._given["config"]), Layout.from_json(self._given["layout"])
        compute, model, image = choose(config), load(config.model), open_volume(config.image, config.channel)
        seen = {"model_sha256": model.sha256, "image_fingerprint": image.fingerprint()}
        for what, value in seen.items():
            if layout.provenance[what] != value:
                raise Problem(f"A worker finds another {what.split('_')[0]} at the same path. Give it the same files.")
        tile = config.tile or largest_tile(compute, model.card.width)
        predictor = Predictor(folded(model.net), model.card.classes, compute, tile, config.best_quality)
        self._job = Blockwise(predictor, image, Box(*self._given["box"]), layout)
        self._out, self._pyramids = config.out, Pyramids(config.out, layout)
        self._one_at_a_time = threading.Lock()  # a worker may have several threads, but one device

    def compute(self, block: Block) -> list[str]:
        """Compute a block and write its chunks; return what the user should know."""
        with self._one_at_a_time:
            notices = []
            work = self._job.compute(self._job.read(block))
            while True:
                try:
                    notices.append(next(work).text)
                except StopIteration as end:
                    chunks = end.value
                    break
            for each in chunks:
                self._pyramids.write(each.chunk, each.classes, each.probabilities)
            sync(self._out, [file for each in chunks for file in self._pyramids.files(each.chunk)])
            return notices

    def __getstate__(self) -> dict[str, Any]:
        return {"_given": self._given, "_version": self._version}


def _compute(block: Block) -> tuple[Block, list[str]]:
    """Compute a block on the worker that this runs on."""
    plugin = get_worker().plugins[_NAME]
    assert isinstance(plugin, _Segmenting)
    return block, plugin.compute(block)
