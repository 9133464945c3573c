"""Which model: a choice of those in the library and the bundled ones, each with its card."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QWidget,
)

from napari_unet.card import MODEL_FILE, Card, find, read_card
from napari_unet.disk import locked, seen
from napari_unet.events import Event, Failed, Finished
from napari_unet.library import Entry, Library
from napari_unet.naming import Named, named
from napari_unet.problem import Problem
from napari_unet.runs import LOCK
from napari_unet.widgets.cardwindow import CardWindow
from napari_unet.widgets.elide import elided
from napari_unet.widgets.job import Job
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.remembered import last_model, recall
from napari_unet.widgets.rows import plain_tip
from napari_unet.widgets.wheel import only_with_focus

SCRATCH = "scratch"


class ModelChoice(QWidget):
    """A combo box of models and a button that shows the card of the chosen one.

    Until somebody chooses, it is the model that was trained or used last, but for one that is still in training,
    in this window or elsewhere; those are marked.

    Parameters
    ----------
    library : Library
        Its models are offered, and any model file.
    with_scratch : bool
        Whether a network from scratch can be chosen too.
    parent : QWidget or None
        Qt's parent.

    Attributes
    ----------
    by_hand : bool
        Whether somebody chose.
    """

    changed = Signal()  # name() or card() returns something else
    called = Signal()  # the model has another name or state now
    said = Signal(str)  # a sentence for the user

    def __init__(self, library: Library, with_scratch: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._library = library
        self._scratch = with_scratch
        self._jobs: Jobs | None = None
        self.by_hand = False
        self._file: Entry | None = None  # a model that is not in the library
        self._entries: dict[str, Entry] = {}
        self._in_training: set[str] = set()
        self._running: set[str] = set()  # trained by this window
        self._ended: set[str] = set()  # said that they ended, but their process may hold the lock a moment longer
        self._chosen: tuple[str, Card | None] = ("", None)
        self._title = ""  # of the chosen one
        self._box = _Box()
        self._box.activated.connect(self._on_activated)
        self._button = QPushButton("Card")
        self._button.clicked.connect(self._on_card)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(self._box, 1)
        line.addWidget(self._button)
        self._file = self._last_file()
        self.refresh()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Read the library again: another window may have made a model."""
        super().showEvent(event)
        self.refresh()

    def name(self) -> str:
        """Return the choice: what `napari_unet.card.find` takes, or "scratch"."""
        return self._chosen[0]

    def card(self) -> Card | None:
        """Return the card of the chosen model as it was last read, None from scratch."""
        return self._chosen[1]

    def choose(self, name: str) -> None:
        """Choose a model by its name, file or run folder, or "scratch".

        Raises
        ------
        Problem
            If there is no such model.
        """
        self._fill()  # it may be new
        if name not in self._entries and not (self._scratch and name == SCRATCH):
            try:
                self._file = _of_file(name)
            except Problem:
                self.refresh()  # the list is of now, and shows what is chosen
                raise
            name = self._file.name
            self._fill()
        self.by_hand = True
        self._take(name)

    def choose_if_there(self, name: str, otherwise: str) -> None:
        """Choose a model as `choose` does; if it is gone or undone, `otherwise`."""
        gone = any(entry.undone for entry in self._entries.values() if entry.name == name)
        try:
            self.choose(otherwise if gone else name)
        except Problem:
            self.choose(otherwise)

    def choose_last(self) -> None:
        """Choose the model that was trained or used last, until there is a newer one."""
        self.by_hand = False
        self.refresh()

    def watch(self, jobs: Jobs) -> None:
        """Read the library again whenever a training of the window ends."""
        self._jobs = jobs
        jobs.began.connect(self._on_began)
        for job in jobs.running():
            self._on_began(job)
        self.refresh()

    def still_there(self) -> bool:
        """Read the library again; if the choice is gone, that is said, another one chosen, and False returned."""
        name = self.name()
        self.refresh()
        return self.name() == name

    def refresh(self) -> None:
        """Read the library again; what somebody chose stays if it is still there, else the last model is chosen."""
        if self._file is not None:
            try:
                self._file = _of_file(self._file.name)
            except Problem:
                self._file = None
        title, name = self._title, self.name()
        self._fill()
        there = name in self._entries or name == SCRATCH
        ready = [entry for entry in self._entries.values() if entry.name not in self._in_training]
        last = last_model(ready, recall(self._library)) or SCRATCH
        self._take(name if there and self.by_hand else last)
        if title and not there:
            self.said.emit(f"The model {title} is gone; {self._title} is chosen instead.")

    def _last_file(self) -> Entry | None:
        """Return the model that was used last if it is a file elsewhere than in the library."""
        name = recall(self._library).model
        if not name or name in {entry.name for entry in self._library.models()}:
            return None
        try:
            return _of_file(name)
        except Problem:
            return None

    def _on_began(self, job: Job) -> None:
        if job.verb == "train":
            self._running.add(str(job.config.out))
            job.happened.connect(self._on_event)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Finished | Failed):
            self.refresh()

    def _fill(self) -> None:
        """Offer what there is now."""
        models = [*self._library.models(), *([self._file] if self._file else [])]
        self._entries = {entry.name: entry for entry in models}
        busy = {entry.name for entry in models if entry.in_training}
        running = {str(job.config.out) for job in self._jobs.running()} if self._jobs else set()
        self._ended = ((self._ended | self._running) - running) & busy
        self._running = running
        self._in_training = (busy - self._ended) | running
        self._box.clear()
        for entry in self._entries.values():
            mark = " (in training)" if entry.name in self._in_training else ""
            self._box.addItem(entry.title + mark, entry.name)
            self._box.setItemData(self._box.count() - 1, plain_tip(_tip(entry)), Qt.ItemDataRole.ToolTipRole)
        if self._scratch:
            self._box.addItem("from scratch", SCRATCH)
        self._box.insertSeparator(self._box.count())
        self._box.addItem("Choose a file...")
        self._box.enable_last(False)

    def _take(self, name: str) -> None:
        """Make one of the offered models the choice."""
        entry, title = self._entries.get(name), self._title
        self._box.setCurrentIndex(self._box.findData(name))
        self._title = self._box.currentText()
        self._box.setToolTip(plain_tip(self._title if entry is None else f"{entry.title}: {_tip(entry)}"))
        self._button.setEnabled(entry is not None)
        self._button.setToolTip(
            "What the model is and what it was trained on." if entry else "A network from scratch has no card."
        )
        before, self._chosen = self._chosen, (name, entry.card if entry else None)
        if self._chosen != before:
            self.changed.emit()
        elif self._title != title:
            self.called.emit()

    def _on_activated(self, index: int) -> None:
        name = self._box.itemData(index)
        if name is None:
            self._box.setCurrentIndex(self._box.findData(self.name()))
            name, _ = QFileDialog.getOpenFileName(self, "Choose a model", "", "Models (*.safetensors)")
        if name:
            try:
                self.choose(name)
            except Problem as problem:
                self.said.emit(str(problem))

    def _on_card(self) -> None:
        for former in self.findChildren(CardWindow):
            former.close()
        card = self.card()
        assert card is not None
        window = CardWindow(card, self, self._own(self.name()))
        window.named.connect(self.refresh)
        window.said.connect(self.said)
        window.show()

    def _own(self, name: str) -> Path | None:
        """Return the folder of a model that the user may name: none of a bundled one, nor of a file alone."""
        folder = Path(name)
        return folder if folder.is_absolute() and seen(folder / MODEL_FILE) else None


class _Box(QComboBox):
    """A combo box as wide as there is room; its last item can only be taken from the open list."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        self.view().setTextElideMode(Qt.TextElideMode.ElideMiddle)
        only_with_focus(self)
        elided(self)

    def showPopup(self) -> None:  # noqa: N802
        self.enable_last(True)
        super().showPopup()

    def hidePopup(self) -> None:  # noqa: N802
        super().hidePopup()
        self.enable_last(False)

    def enable_last(self, enabled: bool) -> None:
        """Let wheel and arrow keys, which go from one model to the next, stop before the last item, or not."""
        self.model().item(self.count() - 1).setEnabled(enabled)


def _tip(entry: Entry) -> str:
    """Return where a model is, and what the user noted on it."""
    return f"{entry.name}\n{entry.note}" if entry.note else entry.name


def _of_file(name: str) -> Entry:
    """Return the model of a file or a run folder, by its full path."""
    file = find(name)
    called = named(file.parent) if file.name == MODEL_FILE else Named(file.stem)
    title = f"{called.name or file.parent.name} (file)"
    path = str(Path(name).expanduser().absolute())
    return Entry(path, title, read_card(file), locked(file.with_name(LOCK)), note=called.note)
