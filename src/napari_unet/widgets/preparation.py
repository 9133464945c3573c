"""Layers are written to files for a panel, which may be closed and opened again meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from napari.layers import Labels
from pydantic import ValidationError
from qtpy.QtCore import QObject, Qt, Signal

from napari_unet.problem import Problem
from napari_unet.widgets.background import in_background
from napari_unet.widgets.pending import Pending

T = TypeVar("T")


class Preparation(Pending):
    """Work on pixels before something can begin; it belongs to the jobs of its window, not to a panel.

    Parameters
    ----------
    jobs
        Those of the window.
    kind
        What kind of panel it is for, such as "Train".
    locked
        Nobody can paint on these layers meanwhile: a stroke in the middle of a copy would be lost.
    """

    said = Signal(str)  # what it is doing
    over = Signal()  # all is prepared, or nothing is
    ended = Signal(str)  # what is to be said of it, such as what went wrong; may be empty

    def __init__(self, jobs: QObject, kind: str, locked: Sequence[Labels] = ()) -> None:
        super().__init__(jobs, objectName=kind)
        self.step = ""  # what `said` told last
        self.cancelled = False
        self.writes_labels = bool(locked)
        self._stop: Callable[[], None] | None = None
        self._before = [(layer, layer.editable, layer.mode) for layer in locked]

    @classmethod
    def of(cls, jobs: QObject, kind: str) -> Preparation | None:
        """Return what is under way for a kind of panel."""
        return jobs.findChild(cls, kind, Qt.FindChildOption.FindDirectChildrenOnly)

    def begin(self, work: Generator[str, None, T], then: Callable[[T], str]) -> None:
        """Do `work` in the background, then go on with its result; `then` returns what is to be said."""
        for layer, _, _ in self._before:
            layer.editable = False

        def done(result: T) -> None:
            self._unlock()
            text = ""
            try:
                text = then(result)
            except ValidationError as error:
                text = error.errors()[0]["msg"].removeprefix("Value error, ").rstrip(".") + "."
            except Problem as problem:
                text = str(problem)
            finally:
                self.ended.emit(text)

        def failed(text: str) -> None:
            self._unlock()
            self.ended.emit(text)

        self._stop = in_background(work, "U-Net: preparing layers", self._tell, done, failed, self.parent())

    def told(self) -> str:
        """Return how far it is, and that it ends with the window."""
        if self.cancelled:
            return ""
        return f"{self.step or 'Preparing layers ...'} If napari is closed, nothing comes of it."

    def cancel(self) -> None:
        """End it before its next step."""
        if self._stop is not None:
            self._stop()
        self._tell("Cancelling ...")
        self.cancelled = True

    def _tell(self, text: str) -> None:
        if not self.cancelled:
            self.step = text
            self.said.emit(text)

    def _unlock(self) -> None:
        """Leave the layers as they were, and the window."""
        for layer, editable, mode in self._before:
            layer.editable, layer.mode = editable, mode
        self.setParent(None)
        self.over.emit()
