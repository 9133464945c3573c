"""A job in a panel: how far it is, what it said, and the buttons to stop it and to go on."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_unet.disk import seen
from napari_unet.events import Event, Failed, Finished, Joined, Notice, NotJoined, Progress, Score, Started
from napari_unet.holdout import GAP, TRUSTED
from napari_unet.widgets.job import Job, job_view
from napari_unet.widgets.rows import Sentences
from napari_unet.words import counted, for_window

_APART = 6  # pixels between two notices
_AGAIN = 2000  # milliseconds after which it is looked again whether what is gone has come back


class JobView(QWidget):
    """One line of progress, one of state, Stop and Resume, what was said; empty until there is a job.

    Parameters
    ----------
    verb : str
        Of the jobs that it shows.
    resume_word : str
        What the button that goes on is called.
    """

    resumed = Signal(object)  # the job to go on with
    ended = Signal(object)  # the job that came to its end

    def __init__(self, verb: str, resume_word: str) -> None:
        super().__init__(objectName=job_view(verb))
        self._verb = verb
        self._job: Job | None = None
        self._score = ""
        self._stopping = False
        self._was_there = False  # the folder of a job that has ended
        self._about = ""
        self._later = QTimer(self, interval=_AGAIN, singleShot=True)
        self._later.timeout.connect(self._show_buttons)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(6)
        self._line, self._joined, self._refused = Sentences(), Sentences(), Sentences()
        self._said = QVBoxLayout()  # a paragraph for each notice
        self._joined.setObjectName("joined")
        self._refused.setObjectName("refused")
        self._line.setObjectName("progress")
        self._stop, self._resume = QPushButton("Stop"), QPushButton(resume_word)
        self._stop.setObjectName("stop")
        self._resume.setObjectName("resume")
        self._stop.clicked.connect(self._on_stop)
        self._resume.clicked.connect(self._on_resume)
        buttons = QHBoxLayout()
        buttons.addWidget(self._stop)
        buttons.addWidget(self._resume)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._bar)
        column.addWidget(self._line)
        column.addLayout(buttons)  # above what may become long: always in view
        column.addWidget(self._joined)
        column.addWidget(self._refused)
        column.addLayout(self._said)
        self._said.setSpacing(_APART)
        self._joined.hide()
        self._refused.hide()
        self._show_buttons()

    @property
    def job(self) -> Job | None:
        """The job in view."""
        return self._job

    def watch(self, job: Job) -> None:
        """Show `job`: what it said so far, and what it says from now on."""
        if self._job is not None:
            self._job.happened.disconnect(self._on_event)
        self._job = job
        self._score, self._stopping, self._was_there = "", False, False
        self._bar.setRange(0, 0)
        self._line.setText("Starting ...")
        self._joined.hide()
        self._refused.hide()
        while said := self._said.takeAt(0):
            said.widget().hide()
            said.widget().deleteLater()
        for event in job.events:
            self._show(event)
        job.happened.connect(self._on_event)
        self._show_buttons()

    def call(self, image: str) -> None:
        """Say in the end that the job was about an image of this name; empty where that is plain."""
        self._about = image
        self._show_buttons()

    def _on_stop(self) -> None:
        if self._job is not None:
            self._job.stop()
            self._stopping = True
            self._show_buttons()
            self._line.setText("Stopping; what is finished is kept ...")

    def _on_resume(self) -> None:
        self._show_buttons()
        if not self._resume.isHidden():
            self.resumed.emit(self._job)

    def _on_event(self, event: Event) -> None:
        self._show(event)
        if isinstance(event, Finished | Failed):
            self._show_buttons()
            self.ended.emit(self._job)

    def _show(self, event: Event) -> None:
        match event:
            case Started():
                then = "the labels" if event.verb == "train" else "computing the first tile"
                self._line.setText(f"Reading the image and {then} ...")
            case Progress(done, total):
                self._bar.setRange(0, total)
                self._bar.setValue(done)
                if self._job is not None and not self._stopping:
                    self._line.setText(f"{self._job.state}{self._score}")
            case Score():
                self._score = _scored(event) or self._score
                if self._job is not None and self._job.progress is None and not self._stopping:
                    self._line.setText(f"Learning; the time left is known soon ...{self._score}")
            case Notice(text):
                self._say(text)
                if self._verb == "train" and self._job is not None and not (self._job.progress or self._stopping):
                    self._line.setText("Learning; the time left is known soon ...")  # all is read
            case Joined(step, sections, pixels, more):
                learned = f"{pixels:,} pixels in {counted(sections, 'section')}"
                then = "It" if more else f"All of them lie in what is held out, or {GAP} pixels around it: it still"
                self._joined.setText(f"Your last strokes joined at step {step:,}. {then} learns from {learned} now.")
                self._joined.show()
            case NotJoined(text):
                self._refused.setText(text)
                self._refused.setVisible(bool(text))

    def _say(self, text: str) -> None:
        """Add a paragraph; what was said before comes last again."""
        paragraphs = [self._said.itemAt(i).widget() for i in range(self._said.count())]
        notice = next((each for each in paragraphs if each.text() == text), None)
        if notice:
            self._said.removeWidget(notice)
        else:
            notice = Sentences()
            notice.setObjectName("said")
            notice.setText(text)
        self._said.addWidget(notice)
        notice.show()

    def event(self, event: QEvent) -> bool:
        """Look anew when the user comes back: the folder of the job may be there again, or gone."""
        if event.type() == QEvent.Type.WindowActivate:
            self._show_buttons()
        return super().event(event)

    def _show_buttons(self) -> None:
        """Offer what can be done now."""
        job = self._job
        running = job is not None and job.running
        outcome = job.outcome if job is not None else None
        early = isinstance(outcome, Failed) or (isinstance(outcome, Finished) and outcome.stopped)
        self._stop.setVisible(running)
        self._stop.setEnabled(not self._stopping)
        self._stop.setToolTip("It stops after what it is doing now." if self._stopping else "What is finished is kept.")
        self._resume.setVisible(early and job is not None and job.goes_on)
        self._bar.setVisible(running)
        self._line.setVisible(job is not None)
        if job is not None and outcome is not None:
            self._was_there |= seen(job.config.out)
            gone = early and self._was_there and not seen(job.config.out)
            more = f" But {job.config.out} is gone. Put it back to go on with it." if gone else ""
            about = self._about and f"{self._about}: "
            self._line.setText(about + _how_it_ended(outcome) + more)
            if early and not seen(job.config.out):
                self._later.start()


def _how_it_ended(outcome: Finished | Failed) -> str:
    """Return the line of a job that has ended."""
    if isinstance(outcome, Failed):
        return outcome.text
    return f"{'Stopped' if outcome.stopped else 'Done'}: {for_window(outcome.detail)}."


def _scored(score: Score) -> str:
    """Return what follows the state of a training, empty if a score says nothing."""
    if not score.trusted:
        return f" · no score to trust yet: {score.held:,} of {TRUSTED:,} pixels held out"
    if score.iou is None or score.best is None:
        return ""
    return f" · IoU {score.iou:.2f}, kept {score.best:.2f}"
