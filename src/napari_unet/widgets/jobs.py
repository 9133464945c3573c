"""The jobs of a window, each in a process of its own: asked through a pipe, watched through its log."""

from __future__ import annotations

import contextlib
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from napari.utils import progress
from qtpy.QtCore import QObject, QTimer, Signal, Slot
from qtpy.QtWidgets import QMainWindow

from napari_unet import log
from napari_unet.config import CheckConfig, SegmentConfig, SuggestJob, TrainConfig
from napari_unet.events import Event, Failed, Finished, Notice, Progress, Ready
from napari_unet.layout import CONFIG
from napari_unet.log import ERROR, LOG
from napari_unet.problem import Problem
from napari_unet.requests import Begin, Request, Stop
from napari_unet.widgets.closing import Closing
from napari_unet.widgets.preferences import library_of
from napari_unet.widgets.process import WORKER, Worker, let_go
from napari_unet.words import duration, for_window

_Config = TrainConfig | SegmentConfig | CheckConfig | SuggestJob
_PATIENCE = 10.0  # seconds
_NOUNS = {
    "train": "training",
    "segment": "segmentation",
    "examples": "drawing of examples",
    "check": "check",
    "suggest": "search for places",
}
REMEDIES = {
    "train": "Press Continue: it goes on where it was.",
    "segment": "Press Resume: it goes on where it was.",
}


class Jobs(QObject):
    """The jobs of a main window, and one spare process that waits for the next one with everything loaded.

    With the window end the spare and all jobs that were not told to keep going.

    Parameters
    ----------
    window
        They belong to it, so that a panel can be closed while its job runs.
    command
        What starts a worker process.
    patience
        How long a process may take to end before it is killed, in seconds.
    """

    became_ready = Signal(object)
    broke = Signal(str)  # no process becomes ready, and why
    began = Signal(object)  # a job whose result is kept

    def __init__(self, window: QMainWindow, command: Sequence[str] = WORKER, patience: float = _PATIENCE) -> None:
        super().__init__(window)
        self.ready: Ready | None = None
        self.trouble = ""  # what `broke` said last
        self._command = command
        self._patience = patience
        self._jobs: list[Job] = []
        self._spare: Worker | None = None
        self._workers: list[Worker] = []
        self._scratch = tempfile.TemporaryDirectory(prefix="napari-unet-", ignore_cleanup_errors=True)
        self.destroyed.connect(partial(let_go, self._workers, self._scratch, patience))
        # Python may collect a window before Qt deletes it, then nobody hears `destroyed`.
        weakref.finalize(self, let_go, self._workers, self._scratch, patience).atexit = False
        Closing(window, self)

    @classmethod
    def of(cls, window: QMainWindow) -> Jobs:
        """Return the jobs of a window, made at the first call."""
        return window.findChild(cls) or cls(window)

    def warm(self) -> None:
        """Start the spare process if there is none."""
        if self._spare is None or self._spare.returncode is not None:
            with contextlib.suppress(Problem):  # it only saves time: a job starts its own and says what is wrong
                self._spare = self._employ()

    @property
    def scratch(self) -> Path:
        """A folder for what nobody keeps, such as previews; it goes with the window."""
        return Path(self._scratch.name)

    def start(self, verb: str, config: _Config, title: str, image: Any = None) -> Job:
        """Start a job, one of the verbs of `Begin`; `title` names it, `image` is the layer it is about.

        Raises
        ------
        Problem
            If the system starts no more processes.
        """
        worker, self._spare = self._spare, None
        if worker is None or worker.returncode is not None:
            worker = self._employ()
        kept = not config.out.is_relative_to(self.scratch)
        for job in [job for job in self._jobs if job.verb == verb and job.kept == kept and not job.running]:
            self._jobs.remove(job)
            job.setParent(None)  # it stays as long as somebody looks at it
        job = Job(self, worker, verb, config, title, image, kept, self._patience)
        self._jobs.append(job)
        self.warm()
        if kept:
            self.began.emit(job)
        return job

    def recall(self, job: Job) -> None:
        """Take up a job that ended before this window was opened."""
        self._jobs.append(job)
        self.began.emit(job)

    def latest(self, verb: str) -> Job | None:
        """Return the job of this verb that was started last, running or ended; one for scratch does not count."""
        return next((job for job in reversed(self._jobs) if job.verb == verb and job.kept), None)

    def running(self) -> list[Job]:
        """Return the jobs that have not ended."""
        return [job for job in self._jobs if job.running]

    def _employ(self) -> Worker:
        worker = Worker(self._command, library_of(self.parent()).root)
        worker.said.connect(self._hear)
        worker.ended.connect(self._forget)
        self._workers.append(worker)
        return worker

    @Slot(object)
    def _hear(self, event: Event) -> None:
        if isinstance(event, Ready):
            self.ready = event
            self.became_ready.emit(event)

    @Slot()
    def _forget(self) -> None:
        for worker in self._workers:
            if worker.returncode is not None:
                worker.close()
        if self._spare is not None and self._spare.returncode is not None and self.ready is None:
            self.trouble = self._spare.fate
            self.broke.emit(self.trouble)
        self._workers[:] = [worker for worker in self._workers if worker.returncode is None]


def layer_ref(layer: Any) -> weakref.ref | None:
    """Return a reference that keeps no stack in memory."""
    return None if layer is None else weakref.ref(getattr(layer, "__wrapped__", layer))  # not napari's proxy


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
        self,
        parent: QObject,
        worker: Worker,
        verb: str,
        config: _Config,
        title: str,
        image: Any,
        kept: bool,
        patience: float,
    ) -> None:
        super().__init__(parent)
        self.verb, self.title, self.kept = verb, title, kept
        self._image = layer_ref(image)
        self.config: Any = config
        self.events: list[Event] = []
        self.outcome: Finished | Failed | None = None
        self.progress: Progress | None = None
        self.stopped = False
        self.errors = ""
        self._worker = worker
        self._log = config.out / LOG
        self._read_to = self._log.stat().st_size if self._log.exists() else 0  # what is there is of former jobs
        self._unheard: list[Event] = []
        self._telling = False
        self._bar: Any = None
        self._killed = False
        self._overdue = QTimer(self, singleShot=True, interval=round(patience * 1000))
        self._overdue.timeout.connect(self._kill)
        worker.rang.connect(self._read)
        worker.said.connect(self._hear)
        worker.ended.connect(self._end)
        worker.ask(Begin(verb, config.model_dump(mode="json")))
        if worker.returncode is not None:  # it died just now, before anybody listened
            QTimer.singleShot(0, self._end)

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
        return self.kept and (self.config.out / CONFIG).exists()

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
        return f"{at.unit} {at.done:,} of {at.total:,}{time}"

    def ask(self, request: Request) -> None:
        """Send a request; a job that has ended does not hear it."""
        self._worker.ask(request)

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
        """Pass on what is new in the log."""
        new, self._read_to = log.read(self._log, self._read_to)
        self._tell(new)

    @Slot(object)
    def _hear(self, event: Event) -> None:
        """Pass on what the process said aloud, after what it wrote before."""
        self._read()
        if isinstance(event, Failed | Notice):
            self._tell([event])

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
        if unexpected and self.errors and self.config.out.is_dir():
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
        """Pass on events in their order; who hears them may let Qt go on, which brings us here again."""
        self._unheard += events
        if self._telling:
            return
        self._telling = True
        try:
            while self._unheard:
                self._take(self._unheard.pop(0))
        finally:
            self._telling = False

    def _take(self, event: Event) -> None:
        """Pass on one event; after the last one there is none."""
        if not self.running:
            return
        if isinstance(event, Failed | Notice):
            event = replace(event, text=for_window(event.text))
        self.events.append(event)
        if isinstance(event, Progress):
            self.progress = event
        elif isinstance(event, Finished | Failed):
            self.outcome = event
            self._overdue.start()
        self.happened.emit(event)
        if not (self._unheard and self.running):
            self._draw()

    def _draw(self) -> None:
        """Show how far it is in napari's activity bar."""
        if self.outcome and self._bar is not None:
            self._bar.close()
        if self.outcome or not self.progress:
            return
        if self._bar is None or self._bar.disable:  # napari closes all bars with any of its windows
            # gui: in the bar only, nothing in the terminal.
            self._bar = progress(total=self.progress.total, desc=self.title, gui=True)
            self.destroyed.connect(self._bar.close)
        self._bar.total = self.progress.total
        self._bar.bar_format = f"|{self.state}"  # napari shows what follows the bar
        self._bar.update(self.progress.done - self._bar.n)
        self._bar.refresh()
