"""The blocks of a segmentation, computed and written by the workers of a dask.distributed cluster.

The workers need this program in the same version, and the image, the model and the result under the same paths. What
is done, and the coarse levels, stay with the process that was asked. Several jobs may share a cluster.
"""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError
from typing import Any

from distributed import Client, Future, KilledWorker

from napari_unet import __version__
from napari_unet.blocks import Block
from napari_unet.blockwise import Written
from napari_unet.clusterworker import Segmenting, compute
from napari_unet.config import SegmentConfig
from napari_unet.events import Notice
from napari_unet.layout import Layout
from napari_unet.problem import Problem
from napari_unet.tiles import Box
from napari_unet.words import counted, duration

_PATIENCE = 30.0  # seconds to find the scheduler, and for the first worker to join
_LONG_PATIENCE = 600.0  # seconds for a worker to come back after all have left: a queue may have to start it
_BEAT = 0.1  # seconds between two looks at what is done
_ANSWER = 5.0  # seconds for a few bytes from the cluster: it may be busy, or die just then
_AT_HAND = 2  # blocks that each worker has: it computes one while the next is on its way
_START, _AGAIN = "Start some (dask worker ADDRESS)", "run the same command again: what is finished is kept."


def computed(
    config: SegmentConfig, layout: Layout, box: Box, order: Iterator[Block], should_stop: Callable[[], bool]
) -> Generator[Notice | Written, None, None]:
    """Let the workers compute blocks and write their chunks, until all are done or it should stop.

    However it ends, no worker is writing any more then, and none keeps the model: close it where it is not exhausted.
    When no worker is left, it waits ten minutes for others.

    Parameters
    ----------
    config : SegmentConfig
        With the address of the scheduler, and the precision and the tile of the result: all workers compute alike.
    layout : Layout
        Of the result, which exists.
    box : Box
        The segmented part of the image, in voxels.
    order : iterator of Block
        Asked when a worker is free.
    should_stop : callable
        Asked all the time; when it returns True, what the workers are at is finished, and yielded.

    Yields
    ------
    Notice or Written
        A block whose chunks are written and synced.

    Raises
    ------
    Problem
        If there is no cluster, if it is lost, or if a worker cannot do its part.
    """
    try:
        client = _Client(config.scheduler, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:  # nobody answers; no such address; TLS without certificates
        raise Problem(
            f"There is no dask scheduler at {config.scheduler}. Start one (dask scheduler), or check the address."
        ) from error
    log = logging.getLogger("distributed.client")
    with contextlib.ExitStack() as after:
        after.callback(log.setLevel, log.level)
        log.setLevel(logging.CRITICAL)  # else it shows tracebacks of what is said in a sentence here
        after.enter_context(client)
        crew = _Crew(client, config.scheduler)
        try:
            crew.engage(Segmenting(config, layout, box))
            yield from crew.work(order, should_stop)
            yield from crew.finish()
        except Problem:
            yield from crew.finish()
            raise
        finally:
            deque(crew.finish(), maxlen=0)  # if nobody listens any more: what is not yielded is computed again


class _Client(Client):
    """Closed when it cannot connect: dask leaves that to the garbage collector, which is too late at exit."""

    def start(self, **given: Any) -> None:
        try:
            super().start(**given)
        except BaseException:
            self.close()
            raise


class _Crew:
    """The workers of a cluster as one job sees them; other jobs know nothing of it."""

    def __init__(self, client: Client, address: str) -> None:
        self._client, self._address = client, address
        self._name = f"napari-unet-{uuid.uuid4().hex}"
        self._tasks: list[Future] = []
        self._engaged, self._met, self._count = False, False, 0
        self._alone: float | None = None  # since when there is no worker

    def engage(self, plugin: Segmenting) -> None:
        """Let all workers prepare, those that join later included."""
        self._engaged = True
        try:
            self._client.register_plugin(plugin, name=self._name)
        except ImportError as error:
            raise Problem(f"A worker lacks napari-unet ({error}). Install {__version__} for all workers.") from error
        except OSError as error:
            raise self._lost() from error

    def work(self, order: Iterator[Block], should_stop: Callable[[], bool]) -> Iterator[Notice | Written]:
        """Hand out blocks, and yield those that are written, until all are or it should stop."""
        while not should_stop():
            workers = self._workers()
            while len(self._tasks) < _AT_HAND * max(1, workers) and (block := next(order, None)) is not None:
                self._tasks.append(self._client.submit(compute, self._name, block, pure=False))
            if not self._tasks:
                return
            yield from self._missed(workers)
            for task in self._ended():
                yield from self._told(task)

    def finish(self) -> Iterator[Notice | Written]:
        """Dismiss the workers; wait for what they are at, and yield it; do nothing the second time."""
        if not self._engaged or self._client.status != "running":
            return
        self._engaged = False
        with contextlib.suppress(OSError, LookupError, ValueError):  # a worker that leaves just now, or could not begin
            self._client.unregister_worker_plugin(self._name)
        with contextlib.suppress(OSError, LookupError):  # then all are waited for: what has not begun fails soon
            at_work = {key for tasks in self._client.call_stack().values() for key in tasks}
            waiting = [each for each in self._tasks if not each.done() and each.key not in at_work]
            self._client.cancel(waiting)
            self._tasks = [each for each in self._tasks if each not in waiting]
        if self._tasks:
            yield Notice(f"Waiting for {counted(len(self._tasks), 'tile')} that the workers are computing.")
        while self._tasks and self._workers():
            for task in self._ended():
                with contextlib.suppress(Exception):  # what fails now is computed again by who goes on
                    yield from self._told(task)

    def _workers(self) -> int:
        """Return how many workers there are, or were when the scheduler last answered; raise Problem if it is lost."""
        if self._client.status != "running":
            raise self._lost()
        try:
            self._count = len(self._client.nthreads(callback_timeout=_ANSWER))
        except OSError as error:
            if not isinstance(error, TimeoutError):  # else it is busy
                raise self._lost() from error
        return self._count

    def _missed(self, workers: int) -> Iterator[Notice]:
        """Say when there is no worker; raise Problem when that has lasted."""
        now = time.monotonic()
        if workers:
            self._met, self._alone = True, None
        elif self._alone is None:
            self._alone = now
            if self._met:
                yield Notice(f"No worker is left on the cluster. {_START} within {duration(_LONG_PATIENCE)}.")
        elif now - self._alone > (_LONG_PATIENCE if self._met else _PATIENCE):
            what = "is left on" if self._met else "has joined"
            raise Problem(f"No worker {what} the cluster. {_START} and {_AGAIN}")

    def _ended(self) -> list[Future]:
        """Return the tasks that ended, at once if there are any, else after a moment."""
        if not any(each.done() for each in self._tasks):
            time.sleep(_BEAT)
        return [each for each in self._tasks if each.done()]

    def _told(self, task: Future) -> Iterator[Notice | Written]:
        """Yield what a task that ended says; its error is raised."""
        self._tasks.remove(task)
        failed = task.status == "error"  # which may be an OSError, too
        try:
            written, notices = task.result(timeout=None if failed else _ANSWER)
        except (CancelledError, OSError) as error:
            if failed:
                raise
            if not isinstance(error, TimeoutError):
                raise self._lost() from error
            self._tasks.append(task)  # its worker died before it could tell: another computes the block again
            return
        except KilledWorker as error:
            what = "Workers died over the same tile again and again; their logs tell why"
            raise Problem(f"{what}. Mend that and {_AGAIN}") from error
        yield from map(Notice, notices)
        yield written

    def _lost(self) -> Problem:
        self._engaged = False  # nobody is left to be told
        return Problem(f"The dask scheduler at {self._address} was lost. When it runs again, with workers, {_AGAIN}")
