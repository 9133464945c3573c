"""A job that was told to finish when its window was closed: a later window shows it, and can stop it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, QTimer, Slot

from napari_unet import log
from napari_unet.alone import alone_in, end_alone
from napari_unet.disk import locked
from napari_unet.events import Failed, Notice
from napari_unet.finished import LOCK as RESULT_LOCK
from napari_unet.library import Library
from napari_unet.problem import Problem
from napari_unet.requests import Request
from napari_unet.runs import LOCK, begun_in
from napari_unet.widgets.earlier import settings_of
from napari_unet.widgets.job import REMEDIES, Job, Order
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.pastjob import since_it_was_started

_LOCKS = {"train": LOCK, "segment": RESULT_LOCK}
_EVERY = 500  # milliseconds
_WITHOUT = {
    "train": "What you paint while it runs does not join it.",
    "segment": "Earlier results > Open shows what is done.",
}


class LoneJob(Job):
    """A job whose window is closed, as its log tells it; of what it is asked it hears nothing but Stop.

    Parameters
    ----------
    jobs
        Those of the window that shows it.
    verb, config
        What was started.
    """

    def __init__(self, jobs: Jobs, verb: str, config: Any) -> None:
        QObject.__init__(self, jobs)
        self._know(Order(verb, config, config.out.stem, None, True), jobs.in_words)
        self._timer = QTimer(self, interval=_EVERY)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        events, self._read_to = log.read(self._log)
        without = f"The {self.noun} {self.title} was begun in a window that is closed now. {_WITHOUT[verb]}"
        self._tell([*since_it_was_started(events), Notice(without)])

    @property
    def keeps_going(self) -> bool:
        """Whether it goes on when the window is closed: always."""
        return True

    def ask(self, request: Request) -> None:
        """Do nothing: it does not listen."""

    def stop(self) -> None:
        """Let it stop in good order."""
        self.stopped = True
        end_alone(self.config.out)

    @Slot()
    def _look(self) -> None:
        """Pass on what is new in the log; and that its process is gone, if that says nothing of an end."""
        over = not locked(self.config.out / _LOCKS[self.verb])
        self._read()
        if over:
            self._tell([Failed(f"The {self.noun} ended unexpectedly. {REMEDIES[self.verb]}")])

    def _expect_end(self) -> None:
        self._timer.stop()


def take_up(jobs: Jobs, library: Library) -> None:
    """Let a window show the training and the segmentation that go on alone, unless it has one of its own."""
    for verb, folder in (("train", library.runs), ("segment", library.segmentations)):
        if any(job.verb == verb for job in jobs.running()):
            continue
        for out in alone_in(folder, _LOCKS[verb]):
            try:
                config = begun_in(out) if verb == "train" else settings_of(out)
            except Problem:
                continue
            if config is not None:
                jobs.recall(LoneJob(jobs, verb, config.model_copy(update={"out": out})))
                break
