"""One job in a process of its own: `python -m napari_unet.worker`.

It loads torch, says that it is ready, and waits for one `Begin`. Requests are JSON lines on standard input
(`requests.py`); events go to the log of the job (`log.py`). Standard output is a doorbell: an empty line means "look at
the log"; what no log can hold (that it is ready, that a job could not begin) is said there as a line of JSON.

When standard input ends, whoever asked for the job is gone: it stops in good order, unless it was told to keep going
(`alone.py`).
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

# Threads that wait without spinning: otherwise a second busy program makes torch ten times slower. Before torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from napari_unet.alone import end_alone, go_alone
from napari_unet.check import check
from napari_unet.config import CheckConfig, SegmentConfig, Settings, SuggestJob, TrainConfig
from napari_unet.console import say
from napari_unet.device import choose, why_no_gpu
from napari_unet.disk import disk_problems, write_whole
from napari_unet.events import Event, Failed, Notice, Ready, to_json
from napari_unet.examples import examples
from napari_unet.log import ERROR, LOG, append, record
from napari_unet.problem import Problem
from napari_unet.requests import Begin, Join, KeepGoing, Look, Preview, Request, Stop, from_json
from napari_unet.segment import segment
from napari_unet.suggest import suggest
from napari_unet.train import train

_COURTESY = 5  # how far it steps back behind the window, which shares the processor


class Inbox:
    """The requests that came, sorted for the job that asks between two of its steps."""

    def __init__(self) -> None:
        self.begin: queue.SimpleQueue[Begin | None] = queue.SimpleQueue()
        self.over = threading.Event()  # the job has ended
        self._stop = threading.Event()
        self._keep_going = False
        self._folder = Path(os.devnull)  # of the job
        self._previews: deque[Preview] = deque(maxlen=1)  # only the latest counts
        self._joins: queue.SimpleQueue[Join] = queue.SimpleQueue()
        self._look: Look | None = None

    def read(self) -> None:
        """Take requests from standard input until it ends; runs in a thread of its own."""
        # Not sys.stdin: Python closes it at its end, and cannot while this thread waits in it.
        with os.fdopen(sys.stdin.fileno(), "rb", closefd=False) as lines:
            for line in lines:
                try:
                    self._take(from_json(line.decode(errors="replace")))
                except ValueError as error:  # whoever asks may be of another version: the job goes on
                    say(to_json(Notice(f"A request was passed over: {error}")))
        if not self._keep_going:
            self._stop.set()
        self.begin.put(None)
        if self._keep_going:
            go_alone(self._folder, self.over)
            self._stop.set()

    def _take(self, request: Request) -> None:
        match request:
            case Begin():
                self._folder = _folder_of(request)
                end_alone(self._folder)  # left by a kill
                self.begin.put(request)
            case Preview():
                self._previews.append(request)
            case Join():
                self._joins.put(request)
            case Look():
                self._look = request
            case Stop():
                self._stop.set()
            case KeepGoing():
                self._keep_going = True

    def should_stop(self) -> bool:
        """Tell whether the job is to end."""
        return self._stop.is_set()

    def asked(self) -> Preview | None:
        """Return the preview that was asked for since the last call, if any."""
        return self._previews.pop() if self._previews else None

    def painted(self) -> list[Join]:
        """Return what was painted since the last call."""
        joins = []
        with contextlib.suppress(queue.Empty):
            while True:
                joins.append(self._joins.get_nowait())
        return joins

    def looked_at(self) -> Look | None:
        """Return what was last looked at, if that was said."""
        return self._look


def main(preferred: str = "{}") -> int:
    """Wait for a job and do it; return 0 done or not needed, 1 failed. `preferred`: device and precision, in JSON."""
    inbox = Inbox()
    say(to_json(_ready(Settings.model_validate_json(preferred))))
    threading.Thread(target=inbox.read, name="requests", daemon=True).start()
    begin = inbox.begin.get()
    if begin is None:
        return 0
    folder = _folder_of(begin)
    try:
        for _ in _job(begin, inbox):
            say("")
    except Problem as problem:
        say(to_json(Failed(str(problem))))
        return 1
    except Exception as error:
        failed = Failed(_unexpected(error, folder))
        say(to_json(failed))
        with contextlib.suppress(Problem):
            if (folder / LOG).exists():
                append(folder / LOG, failed)
        return 1
    finally:
        inbox.over.set()
        end_alone(folder)
    return 0


def _folder_of(begin: Begin) -> Path:
    """Return the folder that a job fills; without one, nothing is kept of what goes wrong."""
    return Path(str(begin.config.get("out", os.devnull)))


def _ready(settings: Settings) -> Ready:
    """Say what this process computes on."""
    try:
        compute = choose(settings)
    except Problem as problem:
        return Ready("", str(problem))
    return Ready(str(compute), "" if compute.kind != "cpu" else why_no_gpu())


def _job(begin: Begin, inbox: Inbox) -> Iterator[Event]:
    """Return the events of the job."""
    jobs: dict[str, Callable[[], Iterator[Event]]] = {
        "train": lambda: train(TrainConfig(**begin.config), inbox.should_stop, inbox.asked, inbox.painted),
        "segment": lambda: segment(SegmentConfig(**begin.config), inbox.should_stop, inbox.looked_at),
        "examples": lambda: examples(TrainConfig(**begin.config)),
        "check": lambda: check(CheckConfig(**begin.config), inbox.should_stop),
        "suggest": lambda: _suggest(SuggestJob(**begin.config), inbox),
    }
    return jobs[begin.verb]()


def _suggest(config: SuggestJob, inbox: Inbox) -> Iterator[Event]:
    with disk_problems(config.out):
        config.out.mkdir(parents=True, exist_ok=True)
    yield from record(config.out / LOG, suggest(config, inbox.should_stop))


def _unexpected(error: Exception, folder: Path) -> str:
    """Keep what a developer needs to know beside the result, and say so."""
    text = f"Something went wrong that should not ({type(error).__name__}: {error}). What is finished is kept."
    details = folder / ERROR
    try:
        text_of_error = traceback.format_exc()
        write_whole(details, lambda beside: beside.write_text(text_of_error, encoding="utf-8", newline="\n"))
    except Problem:
        return text
    return f"{text} Details for a report are in {details}."


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(_COURTESY)
    os._exit(main(*sys.argv[1:]))  # all is said and on disk: what torch would tidy up takes a second
