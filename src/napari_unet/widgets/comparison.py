"""Whether a training made the model better or worse on what was painted before, and the way back."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_unet.disk import seen
from napari_unet.events import Compared, Event, Failed, Finished
from napari_unet.library import UNDONE
from napari_unet.widgets.job import Job
from napari_unet.widgets.rows import Sentences
from napari_unet.widgets.timeline import Timeline
from napari_unet.words import verdict


class Comparison(QWidget):
    """Says what came of a training, and offers the former model if this one is worse; hidden until that is known.

    Parameters
    ----------
    timeline : Timeline
        Goes back to the former model.
    """

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self._timeline = timeline
        self._job: Job | None = None
        self._compared: Compared | None = None
        self._line = Sentences()
        self._line.setObjectName("compared")
        self._back = QPushButton("Back to the former model", objectName="back")
        self._back.setToolTip("Undoes this training: its model is kept, behind all others.")
        self._back.clicked.connect(self._on_back)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._line)
        column.addWidget(self._back, 0, Qt.AlignmentFlag.AlignLeft)
        timeline.chosen.connect(self._update)
        self.hide()

    def watch(self, job: Job) -> None:
        """Say what comes of a training."""
        if self._job is not None:
            self._job.happened.disconnect(self._on_event)
        self._job, self._compared = job, None
        self._update()
        for event in job.events:
            self._on_event(event)
        job.happened.connect(self._on_event)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Compared):
            self._compared = event
        if isinstance(event, Compared | Finished | Failed):
            self._update()

    def _update(self, *_: Any) -> None:
        """Show what is known, and the way back while there is one."""
        self.setVisible(self._compared is not None)
        if self._compared is None or self._job is None:
            return
        self._line.setText(verdict(self._compared))
        undone = seen(self._job.config.out / UNDONE)
        self._back.setVisible(self._compared.worse and not undone and not self._job.running)

    def _on_back(self) -> None:
        assert self._job is not None
        self._timeline.go_back(self._job.config.out)
