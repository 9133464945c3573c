"""One job of a window, in a process of its own: asked through a pipe, watched through its log."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from napari.utils import progress
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal, Slot

from napari_unet import log
from napari_unet.config import CheckConfig, SegmentConfig, SuggestJob, TrainConfig
from napari_unet.disk import seen
from napari_unet.events import Event, Failed, Finished, Notice, NotJoined, Progress
from napari_unet.layout import CONFIG
from napari_unet.log import ERROR, LOG
from napari_unet.requests import Begin, Request, Stop
from napari_unet.widgets.process import Worker
from napari_unet.words import duration, for_window

JobConfig = TrainConfig | SegmentConfig | CheckConfig | SuggestJob
_NOUNS = {
    "train": "training",
    "segment": "segmentation",
    "examples": "drawing",
    "check": "check",
    "suggest": "search for places",
}
REMEDIES = {
    "train": "Press Continue: it goes on where it was.",
    "segment": "Press Resume: it goes on where it was.",
}


def job_view(verb: str) -> str:
    """Return the object name of the widgets that show jobs of a verb."""
    return f"{verb}-job"


def layer_ref(layer: Any) -> weakref.ref | None:
    """Return a reference that keeps no stack in memory."""
    return None if layer is None else weakref.ref(getattr(layer, "__wrapped__", layer))  # not napari's proxy


@dataclass(frozen=True)
class Order:
    """What is to be done: one of the verbs of `Begin`, its settings, what it is called, the layer that it is about.

    `kept` tells whether its result stays when the window is gone.
    """

    verb: str
    config: JobConfig
    title: str
    image: Any
    kept: bool


class Job(QObject):
    """One job, running or ended; `happened` passes on each of its events.

    Attributes
    ----------
    verb, config, title
        What was started.
    kept
        Whether its result stays when the window is gone.
    events
        What happened so far.
    outcome
        The last event, None while it runs.
    progress
        How far it is, None until it says so.
    stopped
        Whether somebody stopped it.
    errors
        The end of what its process wrote to stderr, once it is gone.
    """

    happened = Signal(object)

    def __init__(
        self, parent: QObject, worker: Worker, order: Order, patience: float, in_words: Callable[[str], str]
    ) -> None:
        super().__init__(parent)
        self._know(order, in_words)
        self._worker = worker
        self._read_to = self._log.stat().st_size if seen(self._log) else 0  # what is there is of former jobs
        self._killed = False
        self._overdue = QTimer(self, singleShot=True, interval=round(patience * 1000))
        self._overdue.timeout.connect(self._kill)
        worker.rang.connect(self._read)
        worker.said.connect(self._hear)
        worker.ended.connect(self._end)
        worker.ask(Begin(self.verb, self.config.model_dump(mode="json")))
        if worker.returncode is not None:  # it died just now, before anybody listened
            QTimer.singleShot(0, self._end)

    def _know(self, order: Order, in_words: Callable[[str], str]) -> None:
        """Note what was ordered; nothing has happened yet."""
        self.verb, self.title, self.kept = order.verb, order.title, order.kept
        self._image = layer_ref(order.image)
        self.image_name: str = getattr(order.image, "name", "")  # as it was when the job began
        self.config: Any = order.config
        self.events: list[Event] = []
        self.outcome: Finished | Failed | None = None
        self.progress: Progress | None = None
        self.stopped = False
        self.errors = ""
        self._in_words = in_words
        self._log = self.config.out / LOG
        self._read_to = 0
        self._aloud: list[Event] = []
        self._unheard: list[Event] = []
        self._telling = False
        self._bar: Any = None

    @property
    def image(self) -> Any:
        """The layer it is about, None if that is gone: a job keeps no stack in memory."""
        return self._image and self._image()

    @property
    def noun(self) -> str:
        """What it is, such as "training"."""
        return _NOUNS[self.verb]

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.outcome is None

    @property
    def goes_on(self) -> bool:
        """Whether it could go on where it was, since it was begun and is kept."""
        return self.kept and seen(self.config.out / CONFIG)

    @property
    def keeps_going(self) -> bool:
        """Whether it was told to go on when the window is closed."""
        return self._worker.keeps_going

    @property
    def state(self) -> str:
        """How far it is, such as "step 240 of 600, 3 min 00 s left"."""
        if self.progress is None:
            return "starting"
        at, left = self.progress, self.progress.seconds_left
        time = f", {duration(left)} left" if left is not None else ""
        return for_window(f"{at.unit} {at.done:,} of {at.total:,}{time}")

    def ask(self, request: Request) -> None:
        """Send a request; a job that has ended does not hear it."""
        self._worker.ask(request)

    def remark(self, text: str) -> None:
        """Let those who show it say what the window did for it, perhaps at its end."""
        if self.running:
            self._unheard.insert(0, Notice(text))  # before what its process said since: its end may be there
            self._tell([])
        else:
            self.events.append(Notice(text))
            self.happened.emit(self.events[-1])

    def stop(self) -> None:
        """Let it stop in good order, or kill it when its time is over: what is finished is on disk.

        One whose result nobody keeps ends at once.
        """
        self.stopped = True
        if not self.kept:
            self._kill()
            return
        self.ask(Stop())
        if self.running and not self._overdue.isActive():
            self._overdue.start()

    @Slot()
    def _read(self) -> None:
        """Pass on what is new in the log, then what was said aloud."""
        new, self._read_to = log.read(self._log, self._read_to)
        aloud, self._aloud = self._aloud, []
        self._tell(new + aloud)

    @Slot(object)
    def _hear(self, event: Event) -> None:
        """Pass on what the process said aloud, after what it wrote before."""
        if isinstance(event, Failed | Notice):
            self._aloud.append(event)  # first: whoever hears of the log may let Qt go on to the end of the job
        self._read()

    @Slot()
    def _kill(self) -> None:
        self._killed = True
        self._worker.kill()

    @Slot()
    def _end(self) -> None:
        """Tell what became of the job, now that its process is gone."""
        self.errors = self._worker.errors
        self._read()
        unexpected = self.running
        self._tell([Failed(self._why())])
        self._overdue.stop()
        if unexpected and self.errors and seen(self.config.out):
            with contextlib.suppress(OSError):
                (self.config.out / ERROR).write_text(self.errors, encoding="utf-8", newline="\n")

    def _why(self) -> str:
        """Return why the process is gone, if it did not say so itself, and what to do."""
        if self._killed and not self.kept:
            return f"The {self.noun} was stopped."
        if self._killed:
            return "Stopped. It had to be ended; what was finished before is kept."
        remedy = REMEDIES[self.verb] if self.goes_on else "Try again."
        return f"The {self.noun} ended unexpectedly ({self._worker.fate}). {remedy}"

    def _tell(self, events: list[Event]) -> None:
        """Pass on events in their order; who hears them may let Qt go on, which brings us here again, or deletes us."""
        self._unheard += events
        if self._telling:
            return
        self._telling = True
        try:
            while self._unheard and isalive(self):
                self._take(self._unheard.pop(0))
        finally:
            self._telling = False

    def _take(self, event: Event) -> None:
        """Pass on one event; after the last one there is none."""
        if not self.running:
            return
        if isinstance(event, Failed | Notice | NotJoined):
            event = replace(event, text=self._in_words(event.text))
        self.events.append(event)
        if isinstance(event, Progress):
            self.progress = event
        elif isinstance(event, Finished | Failed):
            self.outcome = event
            self._expect_end()
        self.happened.emit(event)
        if isalive(self) and not (self._unheard and self.running):
            self._draw()

    def _expect_end(self) -> None:
        """Give its process, which has said its last word, some time to end."""
        self._overdue.start()

    def _draw(self) -> None:
        """Show how far it is in napari's activity bar."""
        if self.outcome and self._bar is not None:
            self._bar.close()
        if self.outcome or not (self.progress or self.kept):
            return
        at = self.progress or Progress(0, 0, "", None)  # napari shows a total of 0 as busy
        if self._bar is None or self._bar.disable:  # napari closes all bars with any of its windows
            # gui: in the bar only, nothing in the terminal.
            self._bar = progress(total=at.total, desc=self.title, gui=True)
            if not isalive(self):  # that let Qt go on: the window was closed
                self._bar.close()
                return
            self.destroyed.connect(self._bar.close)
        self._bar.total = at.total
        self._bar.bar_format = f"|{self.state}"  # napari shows what follows the bar
        self._bar.update(at.done - self._bar.n)
        self._bar.refresh()
