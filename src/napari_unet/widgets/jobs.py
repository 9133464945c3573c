"""The jobs of a window, each in a process of its own, and a spare process for the next one."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal, Slot
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_unet.events import Event, Failed, Ready
from napari_unet.problem import Problem
from napari_unet.widgets.closing import Closing
from napari_unet.widgets.job import Job, JobConfig, Order, job_view
from napari_unet.widgets.preferences import follow, library_of
from napari_unet.widgets.process import WORKER, Worker, let_go
from napari_unet.words import for_window

_PATIENCE = 30.0  # seconds; a step of a training takes some on a slow machine


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
        self._machine: Mapping[str, Any] = {}  # what the preferences say of device and precision
        self._workers: list[Worker] = []
        self._scratch = tempfile.TemporaryDirectory(prefix="napari-unet-", ignore_cleanup_errors=True)
        self.destroyed.connect(partial(let_go, self._workers, self._scratch, patience))
        # Python may collect a window before Qt deletes it, then nobody hears `destroyed`.
        weakref.finalize(self, let_go, self._workers, self._scratch, patience).atexit = False
        Closing(window, self)
        follow(self._prefer)

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

    def start(self, verb: str, config: JobConfig, title: str, image: Any = None) -> Job:
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
        order = Order(verb, config, title, image, kept)
        job = Job(self, worker, order, self._patience, self.in_words)
        self._jobs.append(job)
        self.warm()
        if kept:
            job.happened.connect(self._tell)
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

    def in_words(self, text: str) -> str:
        """Return what a job says as the window says it."""
        copy = re.escape(str(self.scratch)) + r"[\\/]([^\\/]*?)-section-(\d+)-[0-9a-f]{12}\.zarr"
        text = re.sub(f"(?:Section 0 of |^){copy}", r"Section \2 of \1", text)  # one is all that the copy holds
        return for_window(library_of(self.parent()).in_words(re.sub(copy, r"section \2 of \1", text)))

    def _prefer(self, machine: Mapping[str, Any]) -> None:
        """Let the spare be one that is ready for what is preferred now, and says what that is."""
        if machine != self._machine:
            self._machine = machine
            if self._spare is not None:
                self._spare.close()
                self._spare = None
                self.warm()

    def _employ(self) -> Worker:
        worker = Worker((*self._command, json.dumps(self._machine)), library_of(self.parent()).root)
        worker.said.connect(self._hear)
        worker.ended.connect(self._forget)
        self._workers.append(worker)
        worker.listen()
        return worker

    @Slot(object)
    def _tell(self, event: Event) -> None:
        """Say of a job that failed what its panel would say, if nobody can see that."""
        job = self.sender()
        if isinstance(event, Failed) and not job.stopped:
            views = self.parent().findChildren(QWidget, job_view(job.verb))
            if not any(view.isVisible() for view in views):
                show_error(f"{job.title}: {event.text}")

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
