"""Events of a job, shown in a terminal or printed as JSON."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import TextIO

from napari_unet.events import (
    Compared,
    Event,
    Failed,
    Finding,
    Finished,
    Joined,
    Loss,
    Notice,
    NotJoined,
    Progress,
    Score,
    Started,
    Suggested,
    to_json,
)
from napari_unet.problem import Problem
from napari_unet.words import counted, duration, verdict

_EVERY = 30  # seconds between two lines of progress where they cannot be drawn over


def print_events(events: Iterable[Event], as_json: bool, answered: bool = False) -> int:
    """Print each event as it comes: JSON lines on stdout, or sentences with one line of progress.

    Parameters
    ----------
    events : iterable of Event
    as_json : bool
    answered : bool
        Whether they are the answer that a command was asked for, and all that comes of it.

    Returns
    -------
    int
        0 if the job came to its end, 1 if it was stopped.

    Raises
    ------
    Problem
        That of the job; as JSON it is printed as its last event, too. If an answer cannot be written.
    """
    out = answer if answered else say
    line = _Line(out)
    stopped = False
    try:
        for event in events:
            if as_json:
                out(to_json(event))
            else:
                line.show(event)
            stopped = isinstance(event, Finished) and event.stopped
    except Problem as problem:
        if as_json:
            say(to_json(Failed(str(problem))))
        raise
    finally:
        line.end()
    return int(stopped)


def say(text: str, stream: TextIO | None = None, end: str = "\n") -> None:
    """Print to `stream`, by default stdout, at once; what nobody reads (`| head`) or a full disk refuses is dropped."""
    stream = stream or sys.stdout
    try:
        print(text, end=end, file=stream, flush=True)
    except OSError:  # a pipe without a reader, a terminal that is gone, a full disk: the job goes on
        _drop(stream)


def answer(text: str) -> None:
    """Print to stdout what a command was asked for; what nobody reads (`| head`) is dropped.

    Raises
    ------
    Problem
        If it cannot be written: nobody would know that it is missing.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        _drop(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return
        raise Problem(f"The answer cannot be written ({error.strerror}). Write it to another place.") from error


def _drop(stream: TextIO) -> None:
    """Let go nowhere what is printed to a stream from here on, also when Python flushes it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class _Line:
    """The line of progress at the bottom: on a terminal it is drawn over, elsewhere there is one now and then."""

    def __init__(self, out: Callable[[str], None]) -> None:
        self._out = out
        self._loss = self._score = ""
        self._drawn = 0
        self._said = time.monotonic()

    def show(self, event: Event) -> None:
        match event:
            case Started(verb, device, detail):
                self._print(f"{verb}: {detail}, on {device}")
            case Progress(done, total, unit, left):
                time = f", {duration(left)} left" if left is not None else ""
                self._draw(f"{unit} {done:,} of {total:,}{time}{self._loss}{self._score}")
            case Loss(_, loss):
                self._loss = f", loss {loss:.3f}"
            case Score(_, iou, best, trusted) if trusted:
                self._score = f", IoU {iou:.3f}, kept {best:.3f}"
            case Joined(step, sections, pixels, learned):
                there, now = counted(sections, "section"), "now" if learned else "all of them held out, still"
                self._print(f"Strokes joined at step {step:,}: {now} {pixels:,} pixels in {there} to learn from.")
            case NotJoined(text) if text:
                self._print(text)
            case Compared():
                self._print(verdict(event))
            case Finding(text=text, z=z, y=y, x=x):
                self._print(f"{text} [{z}, {y}, {x}]")
            case Suggested(rank, z, y0, y1, x0, x1, why):
                self._print(f"{rank}. Section {z}, rows {y0} to {y1 - 1}, columns {x0} to {x1 - 1}. {why}")
            case Notice(text) | Failed(text):
                self._print(text)
            case Finished(path, detail, stopped):
                self._print(f"{'Stopped: ' * stopped}{detail}\n{path}")

    def _draw(self, text: str) -> None:
        if sys.stderr.isatty():
            say("\r" + text.ljust(self._drawn), sys.stderr, end="")
            self._drawn = len(text)
        elif time.monotonic() - self._said >= _EVERY:
            say(text, sys.stderr)
            self._said = time.monotonic()

    def end(self) -> None:
        if self._drawn:
            say("", sys.stderr)
            self._drawn = 0

    def _print(self, text: str) -> None:
        self.end()
        self._out(text)
