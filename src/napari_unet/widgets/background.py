"""Work on pixels of layers beside the window: in a thread, shown in napari's activity bar."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from napari.utils import progress
from qtpy.QtCore import QObject
from superqt.utils import create_worker

from napari_unet.problem import Problem

T = TypeVar("T")


def in_background(
    work: Generator[str, None, T],
    title: str,
    said: Callable[[str], Any],
    done: Callable[[T], Any],
    failed: Callable[[str], Any],
    owner: QObject | None = None,
) -> Callable[[], None]:
    """Run `work` in a thread.

    Parameters
    ----------
    work
        Yields what it is doing, as a sentence; returns its result, or raises Problem.
    title
        What napari's activity bar calls it; empty for work so short that it does not show it.
    said, done, failed
        Called in the thread of the window: with each sentence; with the result, or what went wrong in a sentence.
    owner
        If it is deleted, the work ends before its next step, and nothing is called any more.

    Returns
    -------
    callable
        Cancels the work before its next step; then `failed` is called, whatever came of it.
    """
    cancelled, abandoned = threading.Event(), threading.Event()
    if owner is not None:
        owner.destroyed.connect(abandoned.set)

    def steps() -> Generator[str, None, tuple[Any, Exception | None]]:
        try:
            while not (cancelled.is_set() or abandoned.is_set()):
                yield next(work)
        except StopIteration as end:
            return end.value, None
        except Exception as error:  # raised here, a Problem would be shown as a fault of the program
            return None, error
        work.close()  # here, not in the window: what is half done goes
        return None, None

    def returned(outcome: tuple[Any, Exception | None]) -> None:
        result, error = outcome
        if abandoned.is_set():
            return
        if cancelled.is_set():
            failed("Cancelled.")
        elif error is None:
            done(result)
        elif isinstance(error, Problem):
            failed(str(error))
        else:
            failed(f"Something went wrong that should not ({type(error).__name__}: {error}). Try again.")
            raise error

    def yielded(text: str) -> None:
        if not abandoned.is_set():
            said(text)

    # gui: in the bar only, nothing in the terminal.
    close = progress(total=0, desc=title, gui=True).close if title else lambda: None
    # Aborted when napari quits; what is half done goes then, too.
    heard = {"yielded": yielded, "returned": returned, "finished": close, "aborted": work.close}
    # Not napari's own: the window keeps that, and with it the layers, as long as it lives.
    create_worker(steps, _connect=heard)
    return cancelled.set
