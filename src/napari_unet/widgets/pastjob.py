"""A job of a napari that died, as its log tells it: the panels show it like any other, and go on with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from qtpy.QtCore import QObject

from napari_unet import log
from napari_unet.events import Event, Failed, Finished, Notice, Progress, Started
from napari_unet.requests import Request
from napari_unet.widgets.job import REMEDIES, Job, Order


class PastJob(Job):
    """A job without a process; it has ended, and hears nothing any more.

    Parameters
    ----------
    parent
        As long as it lives, the job does.
    verb, config, image
        What was started, and the layer that it is about, None if that is gone.
    in_words
        Makes of a message of the core what the window says.
    """

    def __init__(self, parent: QObject, verb: str, config: Any, image: Any, in_words: Callable[[str], str]) -> None:
        QObject.__init__(self, parent)
        title = config.out.name if verb == "train" else config.out.stem
        self._know(Order(verb, config, title, image, True), in_words)
        events = [
            replace(each, text=in_words(each.text)) if isinstance(each, Failed | Notice) else each
            for each in since_it_was_started(log.read(self._log)[0])
        ]
        ends = [event for event in events if isinstance(event, Finished | Failed)]
        self.outcome = ends[-1] if ends else Failed(f"The {self.noun} ended with napari. {REMEDIES[verb]}")
        self.events = events if ends else [*events, self.outcome]
        self.progress = next((event for event in reversed(events) if isinstance(event, Progress)), None)

    @property
    def keeps_going(self) -> bool:
        """Whether it goes on when the window is closed: never."""
        return False

    def ask(self, request: Request) -> None:
        """Hear nothing."""

    def stop(self) -> None:
        """Do nothing: it has ended."""


def since_it_was_started(events: list[Event]) -> list[Event]:
    """Return what was said since the last start: before it, the job ended in ways that no longer matter."""
    starts = [number for number, event in enumerate(events) if isinstance(event, Started)]
    return events[starts[-1] :] if starts else events
