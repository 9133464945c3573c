"""Several stacks, segmented one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_unet.events import Event, Failed, Finished
from napari_unet.library import Library
from napari_unet.problem import Problem
from napari_unet.widgets.background import in_background
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.pending import Pending
from napari_unet.widgets.prepare import Prepared, prepare
from napari_unet.widgets.rows import Sentences
from napari_unet.widgets.segmenting import Settings, begin_segmentation

if TYPE_CHECKING:
    from napari import Viewer


class Stacks(Pending):
    """Segments whole stacks one after another; it belongs to the main window, as the jobs do.

    One that fails is said, and the next one begins. Who stops one stops those that wait, too.

    Attributes
    ----------
    preparing : str
        How far the stack is that is being brought to disk, in words.
    not_done : tuple of str
        Which stacks were not segmented and why, in sentences.
    """

    changed = Signal()

    def __init__(self, viewer: Viewer, jobs: Jobs, library: Library) -> None:
        super().__init__(jobs)
        self.preparing = ""
        self.not_done: tuple[str, ...] = ()
        self._viewer, self._jobs, self._library = viewer, jobs, library
        self._waiting: list[str] = []  # no more of the layers than their ids: one that is removed leaves the memory
        self._settings: Settings | None = None
        self._stop_preparing: Callable[[], None] | None = None

    @classmethod
    def of(cls, viewer: Viewer, jobs: Jobs, library: Library) -> Stacks:
        """Return the stacks of a window, made at the first call."""
        return jobs.findChild(cls) or cls(viewer, jobs, library)

    def begin(self, images: Sequence[Image], settings: Settings) -> None:
        """Segment `images` in this order."""
        self._waiting, self._settings, self.not_done = [image.unique_id for image in images], settings, ()
        self._next()

    def waiting(self) -> list[Image]:
        """Return the images that wait, but for those that were removed."""
        return _found(self._viewer, self._waiting)

    def told(self) -> str:
        """Return what is not begun without the window."""
        preparing = self._stop_preparing is not None
        left = [self.preparing] * preparing
        if waiting := self.waiting():
            left.append(f"{'Then' if preparing else 'Next'}: {_names(waiting)}.")
        return " ".join([*left, "If napari is closed, that is not begun."]) if left else ""

    def cancel(self) -> None:
        """Begin no other stack, and forget what was not done; the one that runs goes on."""
        self._waiting, self.not_done = [], ()
        if self._stop_preparing is not None:
            self._stop_preparing()
            self.preparing, self._stop_preparing = "Cancelling ...", None
        self.changed.emit()

    def _next(self) -> None:
        images = self.waiting()
        self._waiting = [image.unique_id for image in images[1:]]
        if images:
            image = images[0]
            self.preparing = f"Preparing {image.name} ..."
            work = prepare(image, (), self._library)
            self._stop_preparing = in_background(
                work,
                "U-Net: preparing layers",
                self._say,
                lambda files: self._start(image, files),
                lambda text: self._fail(image.name, text),
                self._jobs,
            )
        self.changed.emit()

    def _start(self, image: Image, files: Prepared) -> None:
        assert self._settings is not None
        self.preparing, self._stop_preparing = "", None
        try:
            config = self._settings(image, files)
            job = begin_segmentation(self._viewer, self._jobs, config, image)
        except Problem as problem:
            self._fail(image.name, str(problem))
            return

        image_name = image.name  # not the image: the job may outlive it

        def happened(event: Event) -> None:
            if job.stopped and isinstance(event, Finished | Failed):
                self._drop()
            elif isinstance(event, Failed):
                self._fail(image_name, event.text)
            elif isinstance(event, Finished):
                QTimer.singleShot(0, self._next)  # when all have heard of the end

        job.happened.connect(happened)
        self.changed.emit()

    def _fail(self, name: str, text: str) -> None:
        """Keep what went wrong, and go on."""
        self.preparing, self._stop_preparing = "", None
        self.not_done = (*self.not_done, f"{name} was not segmented: {text}")
        QTimer.singleShot(0, self._next)

    def _drop(self) -> None:
        """Begin none of those that wait, and say so."""
        if waiting := self.waiting():
            self.not_done = (*self.not_done, f"Not begun: {_names(waiting)}.")
        self._waiting = []
        self.changed.emit()

    def _say(self, text: str) -> None:
        if self._stop_preparing is not None:
            self.preparing = text
            self.changed.emit()


class StacksLine(QWidget):
    """Says which stacks will follow one another, and which still wait; hidden where there are none.

    Parameters
    ----------
    viewer
        Its layers are chosen.
    """

    changed = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._stacks: Stacks | None = None
        self._offered: list[str] = []
        self._text = Sentences()
        self._text.setObjectName("stacks")
        self._cancel = QPushButton("Cancel", objectName="cancel-stacks")
        self._cancel.clicked.connect(self._on_cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._text, 1)
        row.addWidget(self._cancel)
        self.hide()

    def watch(self, stacks: Stacks) -> None:
        """Show what waits in a window."""
        self._stacks = stacks
        stacks.changed.connect(self.refresh)
        self.refresh()

    @property
    def busy(self) -> bool:
        """Whether stacks wait, or one is being prepared."""
        return self._stacks is not None and bool(self._stacks.preparing or self._stacks.waiting())

    def offer(self, images: Sequence[Image]) -> None:
        """Let several images be segmented at the next press; a single one is no matter of this line."""
        self._offered = [image.unique_id for image in images] if len(images) > 1 else []
        self.refresh()

    def offered(self) -> list[Image]:
        """Return the images that the next press segments, none if it is the one in the panel."""
        images = _found(self._viewer, self._offered)
        return images if len(images) > 1 else []

    def begin(self, settings: Settings) -> None:
        """Segment what is offered."""
        assert self._stacks is not None
        images, self._offered = self.offered(), []
        self._stacks.begin(images, settings)

    def refresh(self) -> None:
        """Show what there is to say now."""
        stacks = self._stacks
        lines = []
        if offered := self.offered():
            lines = [
                f"Chosen: {_names(offered)}. Segment {len(offered)} stacks does all of each, one after another, "
                "into layers of their own."
            ]
        elif stacks is not None:
            waiting = stacks.waiting()
            lines = [*stacks.not_done]
            lines += [stacks.preparing] if stacks.preparing else []
            lines += [f"{len(waiting)} more: {_names(waiting)}."] if waiting else []
        self._text.setText("\n".join(lines))
        self._cancel.setText("Cancel" if offered or self.busy else "OK")
        self._cancel.setToolTip(_tip(bool(offered), self.busy))
        self.setVisible(bool(lines))
        self.changed.emit()

    def _on_cancel(self) -> None:
        if self.offered():
            self.offer(())
        elif self._stacks is not None:
            self._stacks.cancel()


def _tip(offered: bool, busy: bool) -> str:
    if offered:
        return "Only the image in the first row is segmented then."
    return "Those that wait are not segmented; the one that runs goes on." if busy else "Takes this line away."


def _found(viewer: Viewer, ids: Sequence[str]) -> list[Image]:
    """Return the images of a viewer with these ids, in their order."""
    there = {layer.unique_id: layer for layer in viewer.layers if isinstance(layer, Image)}
    return [there[each] for each in ids if each in there]


def _names(images: Sequence[Image]) -> str:
    return ", ".join(image.name for image in images)
