"""The log of a job, `log.jsonl`: one event a line, written by the job, read by whoever watches it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from napari_unet.disk import disk_problems, refuse_gone
from napari_unet.events import Event, Failed, from_json, to_json
from napari_unet.problem import Problem

LOG = "log.jsonl"
ERROR = "error.txt"  # beside it, what a developer needs to know of an error that should not be
_TAIL = 2**16  # bytes; more than the longest line


def record(path: Path, events: Iterable[Event]) -> Iterator[Event]:
    """Append each event to the log `path`, then pass it on; a problem is logged too.

    Raises
    ------
    Problem
        That of the job; if the disk is full or cannot be written, or the folder was moved or deleted: what is in its
        place is left alone.
    """
    _end_last_line(path)
    with _held(path.parent) as still_there:
        try:
            for event in events:
                still_there()
                append(path, event)
                yield event
        except Problem as problem:
            with contextlib.suppress(Problem):  # what failed first says more than that the log fails, too
                still_there()
                append(path, Failed(str(problem)))
            raise


def append(path: Path, event: Event) -> None:
    """Write one event, with the time in seconds since 1970.

    Raises
    ------
    Problem
        If the disk is full or cannot be written.
    """
    # Opened for each line: a full disk may show only when the file is closed.
    with disk_problems(path.parent), path.open("a") as log:
        log.write(json.dumps({"time": round(time.time(), 3)} | json.loads(to_json(event))) + "\n")


def read(path: Path, start: int = 0) -> tuple[list[Event], int]:
    """Return the events after byte `start` of the log, and where the next reading starts; a half line is left for it.

    A log that is not there yet, or that the disk does not give, is empty; a line that a kill left unfinished is passed
    over.
    """
    try:
        with path.open("rb") as log:
            log.seek(start)
            text = log.read()
    except OSError:
        return [], start
    end = text.rfind(b"\n") + 1
    events = []
    for line in text[:end].decode(errors="replace").splitlines():
        try:
            events.append(from_json(line))
        except ValueError:
            continue
    return events, start + end


def last(path: Path) -> Event | None:
    """Return the last event of the log, None if there is none that can be read; a long log is not read for it."""
    try:
        start = max(0, path.stat().st_size - _TAIL)
    except OSError:
        return None
    events, _ = read(path, start)
    return events[-1] if events else None


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[Callable[[], None]]:
    """Give what raises a Problem once a folder is not the one that it is now."""
    if sys.platform == "win32":  # which opens no folder, and moves none in which a job has its lock
        yield lambda: None
        return
    with disk_problems(folder):
        opened = os.open(folder, os.O_RDONLY)
    try:
        yield lambda: refuse_gone(folder, opened, folder)
    finally:
        os.close(opened)


def _end_last_line(path: Path) -> None:
    """Let the next event have a line of its own where a kill left half a line."""
    with disk_problems(path.parent), path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.write(b"\n")
