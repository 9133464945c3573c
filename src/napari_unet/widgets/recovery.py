"""After a napari that died: one line in the panels that offers to bring back what it showed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QMainWindow, QPushButton, QVBoxLayout, QWidget

from napari_unet.library import when
from napari_unet.problem import Problem
from napari_unet.session import Left, died, dismiss, left_in
from napari_unet.widgets.background import in_background
from napari_unet.widgets.docks import dock_of
from napari_unet.widgets.preferences import sessions_of
from napari_unet.widgets.recall import bring_back, read_session
from napari_unet.widgets.recorder import Recorder
from napari_unet.widgets.reopen import Found

if TYPE_CHECKING:
    from napari import Viewer


class Recovery(QObject):
    """What is left of windows that died, offered one after another in this one.

    Parameters
    ----------
    window, viewer
        Where it comes back.

    Attributes
    ----------
    text : str
        What there is to say; empty if nothing is offered.
    """

    changed = Signal()

    def __init__(self, window: QMainWindow, viewer: Viewer) -> None:
        super().__init__(window)
        self._viewer = viewer
        self._recorder = Recorder.of(window, viewer)
        self._cancel: Callable[[], None] | None = None
        self._file: Path | None = None
        self.text = ""
        self._offer()

    @classmethod
    def of(cls, window: QMainWindow, viewer: Viewer) -> Recovery:
        """Return that of a window, made at the first call."""
        return window.findChild(cls) or cls(window, viewer)

    @property
    def offered(self) -> bool:
        """Whether there is something to bring back."""
        return self._file is not None and not self.busy

    @property
    def busy(self) -> bool:
        """Whether something is being brought back."""
        return self._cancel is not None

    def record(self, name: str, panel: QWidget) -> list[str]:
        """Record what a panel shows, for the case that this window dies, too; see `Recorder.add`."""
        return self._recorder.add(name, panel)

    def left(self, name: str, panel: QWidget) -> None:
        """Keep what a panel shows for the next one of this name in this window."""
        self._recorder.left(name, panel)

    def recover(self, front: QWidget) -> None:
        """Bring back what is offered; `front` is in the panel that stays in front."""
        assert self._file is not None
        try:
            left = Left(self._file)
        except Problem as problem:
            self._say(str(problem))
            return

        def done(found: Found) -> None:
            self._cancel = self._file = None
            said = bring_back(self._viewer, self.parent(), left.session, found)
            try:
                self._recorder.write()
            except Problem:  # then the former session stays, and is offered again
                left.let_go()
            else:
                left.forget()
            self._say(said)
            if dock := dock_of(front):  # once other panels that were opened just now have been raised
                QTimer.singleShot(0, dock.raise_)

        def failed(text: str) -> None:
            self._cancel = None
            left.let_go()
            self._say(text)

        self._cancel = in_background(read_session(left.session), "U-Net: recovering", self._say, done, failed, self)
        self._say("Recovering ...")

    def dismiss(self) -> None:
        """Forget what is offered; cancel what is being brought back; or pass on to the next."""
        if self._cancel is not None:
            self._cancel()
            return
        if self._file is not None:
            with contextlib.suppress(Problem):  # another window is bringing it back
                dismiss(self._file)
        self._offer()

    def _offer(self) -> None:
        self._file = next(iter(left_in(sessions_of(self.parent()))), None)
        self._say(f"napari ended unexpectedly ({when(died(self._file))})." if self._file else "")

    def _say(self, text: str) -> None:
        self.text = text
        self.changed.emit()


class RecoveryLine(QWidget):
    """Shows in a panel what is offered, if anything is."""

    def __init__(self) -> None:
        super().__init__()
        self._recovery: Recovery | None = None
        self._text = QLabel(objectName="recovery", wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setMinimumWidth(1)
        self._recover = QPushButton("Recover", objectName="recover")
        self._dismiss = QPushButton("Dismiss", objectName="dismiss")
        self._recover.setToolTip("Opens what was open then: layers, labels, classes, model, and jobs to go on with.")
        self._recover.clicked.connect(lambda: self._recovery and self._recovery.recover(self))
        self._dismiss.clicked.connect(lambda: self._recovery and self._recovery.dismiss())
        buttons = QHBoxLayout()
        buttons.addWidget(self._recover)
        buttons.addWidget(self._dismiss)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(4)
        column.addWidget(self._text)
        column.addLayout(buttons)
        self.hide()

    def watch(self, recovery: Recovery) -> None:
        """Show what a window offers."""
        self._recovery = recovery
        recovery.changed.connect(self._update)
        self._update()

    def _update(self) -> None:
        recovery = self._recovery
        assert recovery is not None
        self._text.setText(recovery.text)
        self._recover.setVisible(recovery.offered)
        words, tip = "Close", "Takes this line away."
        if recovery.busy:
            words, tip = "Cancel", "Nothing is opened; it can be recovered later."
        elif recovery.offered:
            words, tip = "Dismiss", "Forgets what was open then. Nothing painted, trained or segmented is deleted."
        self._dismiss.setText(words)
        self._dismiss.setToolTip(tip)
        self.setVisible(bool(recovery.text))
