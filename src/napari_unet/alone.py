"""A job that goes on without a window: a file beside its result says so; who deletes that file stops the job."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import psutil

from napari_unet.disk import is_there, locked, newest_first, seen
from napari_unet.layout import CONFIG
from napari_unet.problem import Problem

ALONE = "goes-on-alone"
_EVERY = 0.5  # seconds


def go_alone(folder: Path, over: threading.Event) -> None:
    """Return when the job that fills `folder` is to stop, or is over; its window is gone. For a thread of it."""
    while not seen(folder / CONFIG):  # before it has begun, the folder may hold nothing else
        if over.wait(_EVERY):
            return
    with contextlib.suppress(OSError):
        (folder / ALONE).write_text(str(os.getpid()))
    while _may_be_there(folder / ALONE) and not over.wait(_EVERY):
        pass


def end_alone(folder: Path) -> None:
    """Stop the job that goes on alone in `folder`, in good order; or note that none does any more."""
    with contextlib.suppress(OSError):
        (folder / ALONE).unlink(missing_ok=True)


def alone_in(folder: Path, lock: str) -> list[Path]:
    """Return the results in `folder` whose job goes on alone, the one that was left last first.

    A kill leaves the file behind, and another job may have gone on since: one that makes a result holds the file `lock`
    in it, and its process is the one that `ALONE` names.
    """
    files = [file for _, file in newest_first(folder, f"*/{ALONE}") if _alive(file)]
    return [file.parent for file in files if locked(file.with_name(lock))]


def _may_be_there(file: Path) -> bool:
    try:
        return is_there(file)
    except Problem:  # a disk that does not answer stops nobody
        return True


def _alive(file: Path) -> bool:
    """Tell whether the process that a file names is alive."""
    try:
        return psutil.pid_exists(int(file.read_text()))
    except (OSError, ValueError):
        return False
