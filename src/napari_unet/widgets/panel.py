"""What both panels are made of: rows, a message, what it computes on, and the jobs of the main window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from napari.layers import Image, Labels
from napari.utils.notifications import show_info
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QWidget,
)

from napari_unet.events import Failed
from napari_unet.problem import Problem
from napari_unet.reader import OURS
from napari_unet.widgets.computeson import ComputesOn
from napari_unet.widgets.docks import into_one_place
from napari_unet.widgets.guard import Guard, main_window
from napari_unet.widgets.handover import volume_of
from napari_unet.widgets.imagechoice import ImageChoice
from napari_unet.widgets.job import Job
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.jobview import JobView
from napari_unet.widgets.lonejob import take_up
from napari_unet.widgets.onestack import OneStack
from napari_unet.widgets.paintwatch import PaintWatch
from napari_unet.widgets.preferences import library_of, unwritable
from napari_unet.widgets.preparation import Preparation
from napari_unet.widgets.recovery import Recovery, RecoveryLine
from napari_unet.widgets.rows import Sentences
from napari_unet.widgets.strokes import is_strokes, missing
from napari_unet.words import for_window

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from napari import Viewer
    from napari.layers import Layer

WIDTH = 330  # pixels
OPEN_FIRST = "Open an image first: File > Open, or drag it into the window."
T = TypeVar("T")
W = TypeVar("W", bound=QWidget)


class Panel(QScrollArea):
    """A column of rows that scrolls where the window is low.

    Parameters
    ----------
    viewer : Viewer
        The viewer that it works on.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        window = main_window(viewer.window.file_menu)
        assert window is not None
        self._library = library_of(window)
        self.jobs: Jobs | None = None
        self.watch: PaintWatch | None = None
        body = QWidget()
        self._grid = QGridLayout(body)
        self._grid.setContentsMargins(6, 6, 6, 6)
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnStretch(1, 1)
        self.setWidget(body)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.reason = Sentences()
        self.reason.setObjectName("reason")
        self.reason.hide()
        self._message = Sentences()
        self._device = ComputesOn()
        self._message.setObjectName("message")
        self._message.hide()
        self._cancelling = QPushButton("Cancel")
        self._cancelling.setObjectName("cancel")
        self._cancelling.setToolTip("Ends the preparation; nothing is started.")
        self._cancelling.clicked.connect(self._on_cancel)
        self._cancelling.hide()
        self._recovery = self.wide(RecoveryLine())

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return a width that leaves room for the image on a small screen."""
        return QSize(WIDTH, self.widget().sizeHint().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return the width that all rows need; the height scrolls."""
        return QSize(WIDTH, 200)

    def row(self, label: str, widget: W, tip: str) -> W:
        """Add a row: a label in plain words, a widget, one sentence that both show under the mouse."""
        name = QLabel(label)
        for each in (name, widget):
            each.setToolTip(tip)
        line = self._grid.rowCount()
        name.setContentsMargins(0, 5, 0, 0)  # on a line with the text of a widget of one line
        self._grid.addWidget(name, line, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(widget, line, 1)
        return self._own(widget)

    def wide(self, widget: W) -> W:
        """Add a widget over the whole width."""
        self._grid.addWidget(widget, self._grid.rowCount(), 0, 1, 2)
        return self._own(widget)

    def _own(self, widget: W) -> W:
        """Let a widget know its panel: Python must not collect a closed one while a widget of it hears of a job."""
        widget.panel = self
        return widget

    def answers(self) -> None:
        """Add what is said: why nothing can begin, the message, what it computes on; near the button that asks."""
        self.wide(self.reason)
        self.wide(self._message)
        self.wide(self._cancelling)
        self.wide(self._device)

    def last_row(self) -> None:
        """Keep all rows at the top."""
        self._grid.setRowStretch(self._grid.rowCount(), 1)

    def say(self, text: str) -> None:
        """Show one message in the panel; an empty text takes it away."""
        self._message.setText(for_window(text))
        self._message.setVisible(bool(text))

    def explain(self, reason: str) -> None:
        """Show why nothing can begin; an empty text takes it away."""
        self.reason.setText(reason)
        self.reason.setVisible(bool(reason))

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Find the jobs of the main window; a panel has none before it is shown in it."""
        super().showEvent(event)
        window = main_window(self)
        if self.jobs is None and window is not None:
            self.jobs = Jobs.of(window)
            take_up(self.jobs, self._library)
            self.jobs.began.connect(self.began)
            self._device.watch(self.jobs)
            self.jobs.warm()
            Guard.of(window, self.viewer, show_info)
            self.watch = PaintWatch.of(window, self.viewer)
            into_one_place(self, window)
            self.attached()
            if (preparation := self._preparation) is not None:
                self._follow(preparation)
            recovery = Recovery.of(window, self.viewer)
            trouble = [unwritable(self._library), *recovery.record(self._name, self)]
            self._recovery.watch(recovery)
            if any(trouble):
                self.say(" ".join(filter(None, trouble)))

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        """Keep what it shows for the next panel of its kind: a closed one is gone."""
        if (window := main_window(self)) is not None and self.jobs is not None:
            Recovery.of(window, self.viewer).left(self._name, self)
        super().hideEvent(event)

    @property
    def _name(self) -> str:
        return type(self).__name__.removesuffix("Panel")

    def attached(self) -> None:
        """Take up what is under way; called once, when the jobs are known."""

    def began(self, job: Job) -> None:
        """Show a job of this window that was started just now, perhaps by a panel that is closed."""

    def layers(self, kind: type[Layer]) -> list[Layer]:
        """Return the layers of a kind that this plugin did not compute, the topmost first."""
        chosen = [each for each in reversed(self.viewer.layers) if isinstance(each, kind)]
        return [each for each in chosen if OURS not in each.metadata or is_strokes(each) or missing(each)]

    def image_of(self, job: Job) -> Image | None:
        """Return the layer that a job is about, if it is still in the viewer."""
        there = {each.unique_id: each for each in self.viewer.layers}
        return None if job.image is None else there.get(job.image.unique_id)

    def image_choice(self, tip: str) -> ImageChoice:
        """Add the row in which the image is chosen; it follows the layers of the viewer."""
        choice = ImageChoice(lambda: self.layers(Image))
        self.row("Image", choice.native, tip)
        self.wide(OneStack(self.viewer, choice))
        return choice

    def problem_of(self, image: Image | None) -> str:
        """Return why an image cannot be used, or an empty string."""
        if image is None:
            return OPEN_FIRST
        try:
            volume_of(image)
        except Problem as problem:
            return str(problem)
        return ""

    @property
    def preparing(self) -> bool:
        """Whether layers are being written to files."""
        return self._preparation is not None

    @property
    def _preparation(self) -> Preparation | None:
        return Preparation.of(self.jobs, self._name) if self.jobs is not None else None

    def updated(self) -> None:
        """Show what can be done now; called when that may have changed."""

    def show_end(self, view: JobView) -> None:
        """Show what can be done after the end of a job, and why it failed: long panels scroll."""
        self.updated()
        if view.job is not None and isinstance(view.job.outcome, Failed):
            later = QTimer(self, singleShot=True)  # its sentence has its height only then
            later.timeout.connect(lambda: self.ensureWidgetVisible(view))
            later.timeout.connect(later.deleteLater)
            later.start()

    def prepare(self, work: Generator[str, None, T], then: Callable[[T], None], locked: Sequence[Labels] = ()) -> None:
        """Do `work` on pixels in the background, then go on with its result; what is wrong is said.

        Nobody can paint on the layers `locked` meanwhile: a stroke in the middle of a copy would be lost.
        """
        assert self.jobs is not None
        preparation = Preparation(self.jobs, self._name, locked)

        def go_on(result: T) -> str:
            then(result)
            return self._message.text()  # for the panel that is open now

        preparation.ended.connect(self._tell_if_closed)
        preparation.begin(work, go_on)
        self._follow(preparation)

    def _follow(self, preparation: Preparation) -> None:
        """Show how far files are written, perhaps for a panel that was closed meanwhile."""
        preparation.said.connect(self.say)
        preparation.over.connect(self._on_over)
        preparation.ended.connect(self._on_ended_preparation)
        self._cancelling.setEnabled(not preparation.cancelled)
        self._cancelling.show()
        self.say(preparation.step)
        self.updated()

    def _on_over(self) -> None:
        self._cancelling.setVisible(self.preparing)
        self.say("")

    def _on_ended_preparation(self, text: str) -> None:
        if text:
            self.say(text)
        self.updated()

    def _tell_if_closed(self, text: str) -> None:
        """Let napari say what no panel says: they were closed meanwhile."""
        assert self.jobs is not None
        panels = self.jobs.parent().findChildren(type(self))
        if text and not any(panel.isVisible() for panel in panels):
            show_info(f"U-Net: {text}")

    def _on_cancel(self) -> None:
        if self._preparation is not None:
            self._preparation.cancel()
        self._cancelling.setEnabled(False)
